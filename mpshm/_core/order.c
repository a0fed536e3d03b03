#include "order.h"

/* ---- numbers ---- */

static int compare_ints(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static uint8_t byte_at(const uint8_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

/* Two's complement, little-endian, of any lengths. */
static int compare_big(const uint8_t *a, uint64_t na, const uint8_t *b, uint64_t nb)
{
    bool minus_a = na > 0 && (byte_at(&a[na - 1]) & 0x80) != 0, minus_b = nb > 0 && (byte_at(&b[nb - 1]) & 0x80) != 0;
    if (minus_a != minus_b) {
        return minus_a ? -1 : 1;
    }
    uint8_t fill = minus_a ? 0xff : 0;
    for (uint64_t i = mps_max64(na, nb); i > 0; i--) {
        uint8_t x = i <= na ? byte_at(&a[i - 1]) : fill, y = i <= nb ? byte_at(&b[i - 1]) : fill;
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return 0;
}

#define DOUBLE_BYTES 136u /* of the largest double as a whole number, with a sign */

/* The whole number nearest to a finite double in the direction of 0, as compare_big wants it. */
static void big_of_double(double x, uint8_t *out)
{
    uint64_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff) - 1075;
    uint64_t digits = (bits & (((uint64_t)1 << 52) - 1)) | (uint64_t)1 << 52;
    memset(out, 0, DOUBLE_BYTES);
    if (exponent < -52) {
        return;
    }
    if (exponent < 0) {
        digits >>= -exponent;
        exponent = 0;
    }
    unsigned __int128 shifted = (unsigned __int128)digits << (exponent % 8);
    memcpy(out + exponent / 8, &shifted, 8);
    if ((bits >> 63) != 0) {
        unsigned carry = 1;
        for (unsigned i = 0; i < DOUBLE_BYTES; i++) {
            carry += (uint8_t)~out[i];
            out[i] = (uint8_t)carry;
            carry >>= 8;
        }
    }
}

static mps_status compare_int_double(int64_t n, double x, int *order)
{
    if (x != x) {
        return MPS_E_RETRY;
    }
    if (x >= 0x1p63 || x < -0x1p63) {
        *order = x > 0 ? -1 : 1;
        return MPS_OK;
    }
    int64_t whole = (int64_t)x;
    double rest = x - (double)whole;
    *order = n != whole ? compare_ints(n, whole) : (rest < 0) - (rest > 0);
    return MPS_OK;
}

static mps_status compare_big_double(const mps_rank *a, double x, int *order)
{
    uint8_t whole[DOUBLE_BYTES];
    if (x != x) {
        return MPS_E_RETRY;
    }
    if (x - x != 0) {
        *order = x > 0 ? -1 : 1;
        return MPS_OK;
    }
    big_of_double(x, whole);
    *order = compare_big(a->data, a->nbytes, whole, sizeof whole);
    if (*order == 0 && x > -0x1p53 && x < 0x1p53) {
        double rest = x - (double)(int64_t)x;
        *order = (rest < 0) - (rest > 0);
    }
    return MPS_OK;
}

static bool is_whole(const mps_rank *r)
{
    return r->tag == MPS_TAG_INT || r->tag == MPS_TAG_BOOL;
}

static mps_status compare_numbers(const mps_rank *a, const mps_rank *b, int *order)
{
    if (is_whole(a) && is_whole(b)) {
        *order = compare_ints((int64_t)a->near.w1, (int64_t)b->near.w1);
        return MPS_OK;
    }
    mps_status st = MPS_OK;
    if (b->tag == MPS_TAG_FLOAT) {
        double x = mps_order_double(b->near.w1);
        if (a->tag == MPS_TAG_FLOAT) {
            double y = mps_order_double(a->near.w1);
            *order = (y > x) - (y < x);
            return x == x && y == y ? MPS_OK : MPS_E_RETRY;
        }
        return is_whole(a) ? compare_int_double((int64_t)a->near.w1, x, order) : compare_big_double(a, x, order);
    }
    if (a->tag == MPS_TAG_FLOAT) {
        double x = mps_order_double(a->near.w1);
        st = is_whole(b) ? compare_int_double((int64_t)b->near.w1, x, order) : compare_big_double(b, x, order);
        *order = -*order;
        return st;
    }
    const uint8_t *da = is_whole(a) ? (const uint8_t *)&a->near.w1 : a->data;
    const uint8_t *db = is_whole(b) ? (const uint8_t *)&b->near.w1 : b->data;
    *order = compare_big(da, is_whole(a) ? 8 : a->nbytes, db, is_whole(b) ? 8 : b->nbytes);
    return MPS_OK;
}

/* ---- text and bytes ---- */

/* memcmp of bytes that may change meanwhile. */
static int compare_run(const uint8_t *a, uint64_t na, const uint8_t *b, uint64_t nb)
{
    uint64_t n = mps_min64(na, nb);
    int order = 0;
    if (!MPS_RACY_ATOMIC) {
        order = memcmp(a, b, n);
    } else {
        for (uint64_t i = 0; i < n && order == 0; i++) {
            order = byte_at(&a[i]) - byte_at(&b[i]);
        }
    }
    return order != 0 ? order : (na > nb) - (na < nb);
}

static unsigned width_of(unsigned tag)
{
    return tag <= MPS_TAG_LATIN ? 1 : tag == MPS_TAG_UCS2 ? 2 : 4;
}

static uint32_t character(const uint8_t *p, unsigned width)
{
    uint32_t c = 0;
    for (unsigned i = 0; i < width; i++) {
        c |= (uint32_t)byte_at(&p[i]) << (8 * i);
    }
    return c;
}

static int compare_text(const mps_rank *a, const mps_rank *b)
{
    unsigned wa = width_of(a->tag), wb = width_of(b->tag);
    if (wa == 1 && wb == 1) {
        return compare_run(a->data, a->nbytes, b->data, b->nbytes);
    }
    uint64_t na = a->nbytes / wa, nb = b->nbytes / wb, n = mps_min64(na, nb);
    for (uint64_t i = 0; i < n; i++) {
        uint32_t x = character(a->data + i * wa, wa), y = character(b->data + i * wb, wb);
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return (na > nb) - (na < nb);
}

/* ---- tuples ---- */

typedef struct cursor {
    const uint8_t *at, *end;
} cursor;

/* A length or count, of which each item takes a byte at least. */
static bool read_count(cursor *c, uint64_t *count)
{
    *count = 0;
    for (unsigned shift = 0; c->at < c->end && shift < 63; shift += 7) {
        uint8_t byte = byte_at(c->at++);
        *count |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return *count <= (uint64_t)(c->end - c->at);
        }
    }
    return false;
}

/* One item of a form; of a tuple its head alone, and *count. */
static mps_status read_item(cursor *c, mps_rank *item, uint64_t *count)
{
    static const struct {
        char mark;
        uint8_t tag, kind;
    } marks[] = {
        {'i', MPS_TAG_INT, MPS_ORDER_NUMBER},    {'f', MPS_TAG_FLOAT, MPS_ORDER_NUMBER},
        {'I', MPS_TAG_BIGINT, MPS_ORDER_NUMBER}, {'a', MPS_TAG_ASCII, MPS_ORDER_TEXT},
        {'l', MPS_TAG_LATIN, MPS_ORDER_TEXT},    {'u', MPS_TAG_UCS2, MPS_ORDER_TEXT},
        {'U', MPS_TAG_UCS4, MPS_ORDER_TEXT},     {'b', MPS_TAG_BYTES, MPS_ORDER_BYTES},
        {'t', MPS_TAG_KEY, MPS_ORDER_TUPLE},
    };
    *item = (mps_rank){0};
    *count = 0;
    if (c->at >= c->end) {
        return MPS_E_RETRY;
    }
    char mark = (char)byte_at(c->at++);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (marks[i].mark == mark) {
            item->tag = marks[i].tag;
            item->kind = (mps_order_kind)marks[i].kind;
        }
    }
    switch (item->tag) {
    case 0: return MPS_E_TYPE;
    case MPS_TAG_KEY: return read_count(c, count) ? MPS_OK : MPS_E_RETRY;
    case MPS_TAG_INT:
    case MPS_TAG_FLOAT:
        if (c->end - c->at < 8) {
            return MPS_E_RETRY;
        }
        mps_racy_copy(&item->near.w1, c->at, 8);
        c->at += 8;
        return MPS_OK;
    default:
        if (!read_count(c, &item->nbytes)) {
            return MPS_E_RETRY;
        }
        item->data = c->at;
        c->at += item->nbytes;
        return MPS_OK;
    }
}

static mps_status compare_plain(const mps_rank *a, const mps_rank *b, int *order)
{
    switch (a->kind) {
    case MPS_ORDER_NUMBER: return compare_numbers(a, b, order);
    case MPS_ORDER_TEXT: *order = compare_text(a, b); return MPS_OK;
    default: *order = compare_run(a->data, a->nbytes, b->data, b->nbytes); return MPS_OK;
    }
}

/* How many items of each side are left in the tuples that both cursors are inside of, the outermost first. */
typedef struct levels {
    uint64_t a[MPS_ORDER_DEPTH], b[MPS_ORDER_DEPTH];
    uint32_t n;
} levels;

static bool enter(levels *l, uint64_t a, uint64_t b)
{
    if (l->n == MPS_ORDER_DEPTH) {
        return false;
    }
    l->a[l->n] = a;
    l->b[l->n++] = b;
    return true;
}

static mps_status compare_tuples(const mps_rank *a, const mps_rank *b, int *order)
{
    cursor ca = {a->data, a->data + a->nbytes}, cb = {b->data, b->data + b->nbytes};
    levels open;
    open.n = 0;
    enter(&open, 1, 1);
    *order = 0;
    while (open.n > 0) {
        uint64_t *left_a = &open.a[open.n - 1], *left_b = &open.b[open.n - 1];
        if (*left_a == 0 || *left_b == 0) {
            if (*left_a != *left_b) {
                *order = *left_a > *left_b ? 1 : -1;
                return MPS_OK;
            }
            open.n--;
            continue;
        }
        --*left_a;
        --*left_b;
        mps_rank x, y;
        uint64_t n_x, n_y;
        mps_status st = read_item(&ca, &x, &n_x);
        st = st == MPS_OK ? read_item(&cb, &y, &n_y) : st;
        if (st != MPS_OK) {
            return st;
        }
        if (x.kind != y.kind) {
            return MPS_E_TYPE;
        }
        if (x.kind == MPS_ORDER_TUPLE) {
            if (!enter(&open, n_x, n_y)) {
                return MPS_E_RETRY;
            }
            continue;
        }
        st = compare_plain(&x, &y, order);
        if (st != MPS_OK || *order != 0) {
            return st;
        }
    }
    return MPS_OK;
}

mps_status mps_order_check_form(const void *form, uint64_t nbytes)
{
    cursor c = {form, (const uint8_t *)form + nbytes};
    if (nbytes == 0 || *c.at != 't') {
        return MPS_E_TYPE;
    }
    while (c.at < c.end) {
        mps_rank item;
        uint64_t count;
        mps_status st = read_item(&c, &item, &count);
        if (st != MPS_OK) {
            return st;
        }
        if (item.tag == MPS_TAG_FLOAT && mps_order_double(item.near.w1) != mps_order_double(item.near.w1)) {
            return MPS_E_INVAL;
        }
    }
    return MPS_OK;
}

/* ---- keys ---- */

static mps_order_kind kind_of_tag(unsigned tag)
{
    switch (tag) {
    case MPS_TAG_INT:
    case MPS_TAG_BOOL:
    case MPS_TAG_FLOAT:
    case MPS_TAG_BIGINT: return MPS_ORDER_NUMBER;
    case MPS_TAG_ASCII:
    case MPS_TAG_LATIN:
    case MPS_TAG_UCS2:
    case MPS_TAG_UCS4: return MPS_ORDER_TEXT;
    case MPS_TAG_BYTES: return MPS_ORDER_BYTES;
    case MPS_TAG_KEY: return MPS_ORDER_TUPLE;
    default: return MPS_ORDER_NONE;
    }
}

/* An inline key; r stays where it is. */
static bool rank_near(mps_rank *r, mps_value v)
{
    r->near = v;
    r->tag = mps_value_tag(v);
    r->kind = kind_of_tag(r->tag);
    r->data = (const uint8_t *)&r->near + 2;
    r->nbytes = (v.w0 >> 8) & 0xff;
    bool number = r->tag <= MPS_TAG_FLOAT;
    return r->kind != MPS_ORDER_NONE && r->tag != MPS_TAG_KEY && (number || r->nbytes <= MPS_INLINE_MAX);
}

/* A key of which tag, bytes and (of a tuple) the length of its form are known. */
static bool rank_far(mps_rank *r, unsigned tag, const uint8_t *data, uint64_t nbytes, uint64_t aux)
{
    r->tag = tag;
    r->kind = kind_of_tag(tag);
    r->data = data;
    r->nbytes = tag == MPS_TAG_KEY ? aux : nbytes;
    return r->kind != MPS_ORDER_NONE && (tag > MPS_TAG_FLOAT) && r->nbytes <= nbytes;
}

/* What an ALIAS stands for: its data begins with that, `aux` bytes. */
static bool rank_alias(mps_rank *r, const uint8_t *data, uint64_t nbytes, uint64_t aux)
{
    mps_value head;
    if (aux < sizeof head || aux > nbytes) {
        return false;
    }
    mps_racy_copy(&head, data, sizeof head);
    if (aux == sizeof head) {
        return mps_value_is_inline(head) && rank_near(r, head);
    }
    return rank_far(r, mps_value_tag(head), data + sizeof head, aux - sizeof head, aux - sizeof head);
}

static bool rank_stored(mps_seg *seg, mps_rank *r, mps_value v)
{
    if (mps_value_is_inline(v)) {
        return rank_near(r, v);
    }
    mps_span span;
    if (!mps_value_span(seg, v, &span)) {
        return false;
    }
    return mps_value_tag(v) == MPS_TAG_ALIAS ? rank_alias(r, span.data, span.nbytes, span.aux)
                                             : rank_far(r, mps_value_tag(v), span.data, span.nbytes, span.aux);
}

/* ---- heads ---- */

#define HEAD_BYTES 7u

/* n bytes of a head from text: see order.h. */
static uint64_t text_head(const mps_rank *r, unsigned n)
{
    unsigned width = width_of(r->tag);
    uint64_t head = 0, characters = r->nbytes / width;
    bool open = true;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t c = open && i < characters ? character(r->data + i * width, width) : 0;
        open = open && c < 0xff;
        head = head << 8 | (c < 0xff ? c : 0xff);
    }
    return head;
}

static uint64_t bytes_head(const mps_rank *r, unsigned n)
{
    uint64_t head = 0;
    for (uint64_t i = 0; i < n; i++) {
        head = head << 8 | (i < r->nbytes ? byte_at(&r->data[i]) : 0);
    }
    return head;
}

/* 52 bits that ascend with the number; 0 for large ones, which are compared in full. */
static bool number_head(const mps_rank *r, uint64_t *head)
{
    if (r->tag == MPS_TAG_BIGINT) {
        return false;
    }
    double x = is_whole(r) ? (double)(int64_t)r->near.w1 : mps_order_double(r->near.w1);
    uint64_t bits = 0;
    x = x == 0 ? 0 : x; /* -0.0 is 0 */
    memcpy(&bits, &x, sizeof bits);
    *head = (bits >> 63 != 0 ? ~bits : bits | (uint64_t)1 << 63) >> 12;
    return x == x;
}

static bool tuple_head(const mps_rank *r, uint64_t *head)
{
    cursor c = {r->data, r->data + r->nbytes};
    mps_rank item;
    uint64_t n, inside = 0;
    *head = 0;
    if (read_item(&c, &item, &n) != MPS_OK || item.kind != MPS_ORDER_TUPLE) {
        return false;
    }
    if (n == 0) {
        return true;
    }
    if (read_item(&c, &item, &n) != MPS_OK) {
        return false;
    }
    switch (item.kind) {
    case MPS_ORDER_NUMBER:
        if (!number_head(&item, &inside)) {
            return true; /* of no kind: compared in full */
        }
        break;
    case MPS_ORDER_TEXT: inside = text_head(&item, 6) << 4; break;
    case MPS_ORDER_BYTES: inside = bytes_head(&item, 6) << 4; break;
    default: break;
    }
    *head = (uint64_t)item.kind << 52 | inside;
    return true;
}

/* False for what has none. */
static bool head_of(const mps_rank *r, uint64_t *head)
{
    switch (r->kind) {
    case MPS_ORDER_TEXT: *head = text_head(r, HEAD_BYTES); return true;
    case MPS_ORDER_BYTES: *head = bytes_head(r, HEAD_BYTES); return true;
    case MPS_ORDER_TUPLE: return tuple_head(r, head);
    default: return false;
    }
}

mps_value mps_order_mark(mps_seg *seg, mps_value stored)
{
    mps_rank r;
    uint64_t head;
    if (mps_value_is_inline(stored) || mps_value_tag(stored) == MPS_TAG_ALIAS || !rank_stored(seg, &r, stored) ||
        !head_of(&r, &head)) {
        return stored;
    }
    return (mps_value){(stored.w0 & 0xff) | head << 8, stored.w1};
}

/* Whether heads alone say which of two keys comes first: one of a stored key of the same kind, and the one looked for. */
static inline bool heads_decide(mps_value stored, const mps_sought *key, int *order)
{
    unsigned tag = mps_value_tag(stored);
    uint64_t head = stored.w0 >> 8;
    if (!key->has_head || kind_of_tag(tag) != key->rank.kind) {
        return false;
    }
    if (mps_value_is_inline(stored)) {
        mps_rank r;
        if (!rank_near(&r, stored) || !head_of(&r, &head)) {
            return false;
        }
    }
    if (head == key->head || (tag == MPS_TAG_KEY && (head ^ key->head) >> 52 != 0)) {
        return false;
    }
    *order = head < key->head ? -1 : 1;
    return true;
}

static void sought_settle(mps_sought *s)
{
    unsigned tag = s->rank.tag;
    bool inside = s->rank.data == (const uint8_t *)&s->rank.near + 2;
    s->is_int = tag == MPS_TAG_INT && s->rank.near.w0 == MPS_TAG_INT;
    s->is_float = tag == MPS_TAG_FLOAT;
    s->is_short = inside && (tag == MPS_TAG_ASCII || tag == MPS_TAG_LATIN || tag == MPS_TAG_BYTES);
    s->has_head = false;
    if (s->is_short) {
        s->digits = mps_order_digits(s->rank.near);
    } else {
        s->has_head = head_of(&s->rank, &s->head);
    }
}

void mps_sought_make(mps_sought *s, const mps_enc *key)
{
    s->rank.kind = MPS_ORDER_NONE;
    bool known = false;
    if (key->data == NULL) {
        known = rank_near(&s->rank, key->value);
    } else if (mps_value_tag(key->value) == MPS_TAG_ALIAS) {
        known = rank_alias(&s->rank, key->data, key->nbytes, key->aux);
    } else {
        known = rank_far(&s->rank, mps_value_tag(key->value), key->data, key->nbytes, key->aux);
    }
    if (!known) {
        s->rank.kind = MPS_ORDER_NONE;
        s->rank.tag = MPS_TAG_EMPTY;
        s->is_int = s->is_short = s->is_float = s->has_head = false;
        return;
    }
    sought_settle(s);
}

bool mps_sought_stored(mps_seg *seg, mps_sought *s, mps_value key)
{
    if (!rank_stored(seg, &s->rank, key)) {
        return false;
    }
    sought_settle(s);
    return true;
}

mps_status mps_order_compare(mps_seg *seg, mps_value stored, const mps_sought *key, int *order)
{
    mps_rank r;
    if (!rank_stored(seg, &r, stored)) {
        return MPS_E_RETRY;
    }
    if (r.kind != key->rank.kind) {
        return MPS_E_TYPE;
    }
    return r.kind == MPS_ORDER_TUPLE ? compare_tuples(&r, &key->rank, order) : compare_plain(&r, &key->rank, order);
}

mps_status mps_order_find_any(mps_seg *seg, const mps_value *keys, uint32_t n, const mps_sought *key, bool after,
                              uint32_t *at)
{
    uint32_t low = 0, high = n;
    mps_sought with_head;
    if (key->is_short) {
        with_head = *key;
        with_head.rank.data = (const uint8_t *)&with_head.rank.near + 2;
        with_head.has_head = head_of(&with_head.rank, &with_head.head);
        key = &with_head;
    }
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = 0;
        mps_value stored = mps_value_load(&keys[mid]);
        if (!heads_decide(stored, key, &order)) {
            mps_status st = mps_order_compare(seg, stored, key, &order);
            if (mps_unlikely(st != MPS_OK)) {
                return st;
            }
        }
        if (order < 0 || (after && order == 0)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    *at = low;
    return MPS_OK;
}
