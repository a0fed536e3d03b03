/* test_tree.c -- trees beside a sorted array: every operation answers what the array does, and the tree is sound after each. */
#include "content.h"

#include "tree_body.h"

#define KEYS 4000u   /* different keys */
#define ITEMS 30000u /* that the model may hold */

static const mps_door door = MPS_DOOR_FREE;

typedef enum form { FORM_NUMBER, FORM_TEXT, FORM_LONG_TEXT, FORM_TUPLE, FORMS } form;

typedef struct key {
    mps_enc enc;
    uint8_t data[200];
} key;

static void key_make(key *k, form f, uint64_t id)
{
    char text[100];
    k->enc = (mps_enc){0};
    switch (f) {
    case FORM_NUMBER: {
        double x = (double)id;
        k->enc.value = id % 5 == 0 ? (mps_value){MPS_TAG_FLOAT, 0} : mps_value_int((int64_t)id);
        if (id % 5 == 0) {
            memcpy(&k->enc.value.w1, &x, sizeof x);
        }
        return;
    }
    case FORM_TEXT:
        snprintf(text, sizeof text, "k%08" PRIu64, id);
        k->enc.value = mps_value_short(MPS_TAG_ASCII, text, 9);
        return;
    case FORM_LONG_TEXT:
        snprintf((char *)k->data, sizeof k->data, "a key too long for sixteen bytes: %08" PRIu64, id);
        k->enc = (mps_enc){.value = {MPS_TAG_ASCII, 0}, .data = k->data, .nbytes = strlen((char *)k->data)};
        return;
    default: {
        uint64_t high = id / 16;
        uint8_t *p = k->data;
        *p++ = 't';
        *p++ = 2;
        *p++ = 'i';
        memcpy(p, &high, 8);
        p += 8;
        *p++ = 'a';
        *p++ = (uint8_t)(1 + id % 16);
        memset(p, 'x', 1 + id % 16);
        p += 1 + id % 16;
        k->enc = (mps_enc){.value = {MPS_TAG_KEY, 0}, .data = k->data, .aux = (uint32_t)(p - k->data)};
        memset(p, 0x55, 7);
        k->enc.nbytes = k->enc.aux + (id % 2) * 7;
    }
    }
}

static bool key_is(const key *k, const mps_copy *copy)
{
    if (k->enc.data == NULL) {
        return copy->value.w0 == k->enc.value.w0 && copy->value.w1 == k->enc.value.w1;
    }
    return copy->nbytes == k->enc.nbytes && memcmp(copy->data, k->enc.data, copy->nbytes) == 0;
}

/* ---- the model ---- */

typedef struct model {
    uint64_t keys[ITEMS], values[ITEMS];
    uint64_t n;
    bool multi, set;
    form f;
    world *w;
    mps_off tree;
    check_rng rng;
} model;

static uint64_t bound(const model *m, uint64_t key, bool after)
{
    uint64_t low = 0, high = m->n;
    while (low < high) {
        uint64_t mid = (low + high) / 2;
        if (m->keys[mid] < key || (after && m->keys[mid] == key)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static bool has(const model *m, uint64_t at, uint64_t key)
{
    return at < m->n && m->keys[at] == key;
}

static void model_insert(model *m, uint64_t at, uint64_t key, uint64_t value)
{
    CHECK(m->n < ITEMS);
    memmove(&m->keys[at + 1], &m->keys[at], (m->n - at) * 8);
    memmove(&m->values[at + 1], &m->values[at], (m->n - at) * 8);
    m->keys[at] = key;
    m->values[at] = value;
    m->n++;
}

static void model_erase(model *m, uint64_t at)
{
    m->n--;
    memmove(&m->keys[at], &m->keys[at + 1], (m->n - at) * 8);
    memmove(&m->values[at], &m->values[at + 1], (m->n - at) * 8);
}

static void model_set(model *m, uint64_t key, uint64_t value)
{
    uint64_t at = bound(m, key, m->multi);
    if (!m->multi && has(m, at, key)) {
        m->values[at] = value;
    } else {
        model_insert(m, at, key, value);
    }
}

/* ---- one operation each ---- */

static mps_enc *given(const model *m, thing *v, uint64_t value)
{
    if (m->set) {
        return NULL;
    }
    thing_value(m->w, v, value);
    return &v->enc;
}

static void set(model *m, uint64_t id, uint64_t value)
{
    static thing v;
    key k;
    bool added;
    uint64_t before = m->n;
    key_make(&k, m->f, id);
    CHECK_OK(mps_tree_set(m->w->seg, door, m->tree, &k.enc, given(m, &v, value), &added));
    model_set(m, id, value);
    CHECK(added == (m->n > before));
}

static void setdefault(model *m, uint64_t id, uint64_t value)
{
    static thing v;
    key k;
    mps_copy copy;
    mps_copy_init(&copy);
    uint64_t at = bound(m, id, false);
    bool there = has(m, at, id);
    key_make(&k, m->f, id);
    CHECK_STATUS(mps_tree_setdefault(m->w->seg, door, m->tree, &k.enc, given(m, &v, value), m->set ? NULL : &copy),
                 there ? MPS_E_EXISTS : MPS_OK);
    if (there && !m->set) {
        check_copy(m->w, &copy, m->values[at], false);
    } else if (!there) {
        model_insert(m, at, id, value);
    }
    mps_copy_done(&copy);
}

static void get(model *m, uint64_t id)
{
    key k;
    mps_copy copy;
    mps_copy_init(&copy);
    uint64_t at = bound(m, id, false), rank;
    key_make(&k, m->f, id);
    mps_status expected = has(m, at, id) ? MPS_OK : MPS_E_NOTFOUND;
    CHECK_STATUS(mps_tree_get(m->w->seg, door, m->tree, &k.enc, m->set ? NULL : &copy), expected);
    if (expected == MPS_OK && !m->set) {
        check_copy(m->w, &copy, m->values[at], false);
    }
    mps_copy_done(&copy);
    CHECK_STATUS(mps_tree_has(m->w->seg, door, m->tree, &k.enc), expected);
    CHECK_OK(mps_tree_rank(m->w->seg, door, m->tree, &k.enc, MPS_BOUND_LOWER, &rank));
    CHECK(rank == at);
    CHECK_OK(mps_tree_rank(m->w->seg, door, m->tree, &k.enc, MPS_BOUND_UPPER, &rank));
    CHECK(rank == bound(m, id, true));
}

static void pop(model *m, uint64_t id)
{
    key k;
    mps_copy copy;
    mps_copy_init(&copy);
    uint64_t at = bound(m, id, false);
    key_make(&k, m->f, id);
    bool copied = !m->set && check_below(&m->rng, 2) == 0;
    CHECK_STATUS(mps_tree_pop(m->w->seg, door, m->tree, &k.enc, copied ? &copy : NULL),
                 has(m, at, id) ? MPS_OK : MPS_E_NOTFOUND);
    if (has(m, at, id)) {
        if (copied) {
            check_copy(m->w, &copy, m->values[at], false);
        }
        model_erase(m, at);
    }
    mps_copy_done(&copy);
}

static void item(model *m, bool remove)
{
    mps_copy first, second;
    mps_copy_init(&first);
    mps_copy_init(&second);
    int64_t index = (int64_t)check_below(&m->rng, 2 * m->n + 2) - (int64_t)m->n - 1;
    int64_t at = index < 0 ? index + (int64_t)m->n : index;
    bool there = at >= 0 && (uint64_t)at < m->n;
    mps_copy *value = m->set ? NULL : &second;
    mps_status st = remove ? mps_tree_pop_item(m->w->seg, door, m->tree, index, &first, value)
                           : mps_tree_item(m->w->seg, door, m->tree, index, &first, value);
    CHECK_STATUS(st, there ? MPS_OK : MPS_E_RANGE);
    if (there) {
        key k;
        key_make(&k, m->f, m->keys[at]);
        CHECK(key_is(&k, &first));
        if (!m->set) {
            check_copy(m->w, &second, m->values[at], false);
        }
        if (remove) {
            model_erase(m, (uint64_t)at);
        }
    }
    mps_copy_done(&first);
    mps_copy_done(&second);
}

static void exchange(model *m, uint64_t id, uint64_t value)
{
    static thing v, old;
    key k;
    uint64_t at = bound(m, id, false);
    bool there = has(m, at, id), take = check_below(&m->rng, 3) == 0;
    if (m->set || m->multi) {
        return;
    }
    key_make(&k, m->f, id);
    thing_value(m->w, &v, value);
    if (there) {
        thing_value(m->w, &old, m->values[at]);
    }
    CHECK_OK(mps_tree_exchange(m->w->seg, door, m->tree, &k.enc, there ? &old.enc : NULL, take ? NULL : &v.enc));
    if (!take) {
        model_set(m, id, value);
    } else if (there) {
        model_erase(m, at);
    }
    if (there) {
        mps_enc other = {.value = mps_value_int(-99)};
        CHECK_STATUS(mps_tree_exchange(m->w->seg, door, m->tree, &k.enc, &other, &v.enc), MPS_E_CHANGED);
    }
}

static void remove_nth(model *m, uint64_t id)
{
    static thing v;
    key k;
    uint64_t first = bound(m, id, false), end = bound(m, id, true);
    if (m->set || first == end) {
        return;
    }
    uint64_t nth = check_below(&m->rng, end - first);
    key_make(&k, m->f, id);
    thing_value(m->w, &v, m->values[first + nth]);
    CHECK_OK(mps_tree_remove(m->w->seg, door, m->tree, &k.enc, nth, &v.enc));
    model_erase(m, first + nth);
}

#define BATCH 700u

static void update(model *m, bool whole)
{
    static key keys[BATCH];
    static thing things[BATCH];
    static mps_enc encs[BATCH], values[BATCH];
    uint64_t n = check_below(&m->rng, check_below(&m->rng, 3) == 0 ? BATCH : 40);
    int64_t grown, before = (int64_t)m->n;
    mps_snap snap;
    mps_snap_init(&snap);
    mps_tree_range none = {.limit = 0};
    if (whole) {
        m->n = 0;
        CHECK_OK(mps_tree_snapshot(m->w->seg, door, m->tree, &none, MPS_SNAP_KEYS, &snap));
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t id = check_below(&m->rng, KEYS), value = check_random(&m->rng) >> 40;
        key_make(&keys[i], m->f, id);
        encs[i] = keys[i].enc;
        mps_enc *v = given(m, &things[i], value);
        if (v != NULL) {
            values[i] = *v;
        }
        model_set(m, id, value);
    }
    mps_enc *v = m->set ? NULL : values;
    if (whole) {
        CHECK_STATUS(mps_tree_replace(m->w->seg, door, m->tree, encs, v, n, snap.seq + 2, &grown), MPS_E_CHANGED);
        CHECK_OK(mps_tree_replace(m->w->seg, door, m->tree, encs, v, n, snap.seq, &grown));
    } else {
        CHECK_OK(mps_tree_update(m->w->seg, door, m->tree, encs, v, n, &grown));
    }
    CHECK(grown == (int64_t)m->n - before);
    mps_snap_done(&snap);
}

static void take(model *m)
{
    static key keys[BATCH];
    static mps_enc encs[BATCH];
    uint64_t n = check_below(&m->rng, BATCH), start = check_below(&m->rng, KEYS);
    int64_t grown, before = (int64_t)m->n;
    if (m->multi) {
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = bound(m, start + i, false);
        key_make(&keys[i], m->f, start + i);
        encs[i] = keys[i].enc;
        if (has(m, at, start + i)) {
            model_erase(m, at);
        }
    }
    CHECK_OK(mps_tree_take(m->w->seg, door, m->tree, encs, n, &grown));
    CHECK(grown == (int64_t)m->n - before);
}

static void range(model *m)
{
    key low, high;
    uint64_t a = check_below(&m->rng, KEYS), b = check_below(&m->rng, KEYS);
    mps_tree_range r = {.limit = check_below(&m->rng, 3000), .skip = check_below(&m->rng, 4)};
    uint64_t first = 0, end = m->n;
    r.reverse = check_below(&m->rng, 2) == 0;
    if (check_below(&m->rng, 4) == 0) {
        r.by_index = true;
        r.start = (int64_t)check_below(&m->rng, m->n + 1);
        r.stop = -(int64_t)check_below(&m->rng, m->n + 9);
        first = (uint64_t)r.start;
        end = (uint64_t)(-r.stop) > m->n ? 0 : m->n - (uint64_t)-r.stop;
        end = r.stop == 0 ? 0 : end;
    } else {
        if (check_below(&m->rng, 4) > 0) {
            key_make(&low, m->f, a);
            r.from = &low.enc;
            r.from_bound = check_below(&m->rng, 2) ? MPS_BOUND_LOWER : MPS_BOUND_UPPER;
            first = bound(m, a, r.from_bound == MPS_BOUND_UPPER);
        }
        if (check_below(&m->rng, 4) > 0) {
            key_make(&high, m->f, b);
            r.to = &high.enc;
            r.to_bound = check_below(&m->rng, 2) ? MPS_BOUND_LOWER : MPS_BOUND_UPPER;
            end = bound(m, b, r.to_bound == MPS_BOUND_UPPER);
        }
    }
    end = end < first ? first : end;
    uint64_t skip = r.skip < end - first ? r.skip : end - first;
    first += r.reverse ? 0 : skip;
    end -= r.reverse ? skip : 0;
    uint64_t n = end - first < r.limit ? end - first : r.limit;
    mps_snap snap;
    mps_snap_init(&snap);
    CHECK_OK(mps_tree_snapshot(m->w->seg, door, m->tree, &r, MPS_SNAP_KEYS, &snap));
    CHECK(snap.n_items == n && r.left == end - first - n);
    for (uint64_t i = 0; i < n; i++) {
        key k;
        mps_copy copy;
        mps_snap_item(&snap, i, &copy);
        key_make(&k, m->f, m->keys[r.reverse ? end - 1 - i : first + i]);
        CHECK(key_is(&k, &copy));
    }
    mps_snap_done(&snap);
}

static void compare(model *m)
{
    mps_snap snap;
    mps_snap_init(&snap);
    mps_tree_range all = {.limit = UINT64_MAX};
    unsigned step = m->set ? 1 : 2;
    uint64_t n;
    CHECK_OK(mps_tree_len(m->w->seg, door, m->tree, &n));
    CHECK(n == m->n);
    CHECK_OK(mps_tree_snapshot(m->w->seg, door, m->tree, &all, m->set ? MPS_SNAP_KEYS : MPS_SNAP_BOTH, &snap));
    CHECK(snap.n_items == m->n * step);
    for (uint64_t i = 0; i < m->n; i++) {
        mps_copy copy;
        key k;
        mps_snap_item(&snap, i * step, &copy);
        key_make(&k, m->f, m->keys[i]);
        CHECK(key_is(&k, &copy));
        if (!m->set) {
            static thing v;
            mps_snap_item(&snap, i * step + 1, &copy);
            thing_value(m->w, &v, m->values[i]);
            CHECK(thing_is(&v, &copy));
        }
    }
    mps_snap_drop_refs(m->w->seg, door, &snap, 0);
    mps_snap_done(&snap);
    CHECK_SOUND(m->w->seg);
}

static void step(model *m, bool growing)
{
    uint64_t id = check_below(&m->rng, KEYS), value = check_random(&m->rng) >> 40;
    switch (check_below(&m->rng, 16)) {
    case 0: setdefault(m, id, value); break;
    case 1: get(m, id); break;
    case 2: pop(m, id); break;
    case 3: item(m, false); break;
    case 4: item(m, !growing); break;
    case 5: exchange(m, id, value); break;
    case 6: remove_nth(m, id); break;
    case 7: range(m); break;
    default:
        if (growing) {
            set(m, id, value);
        } else {
            m->n > 0 ? pop(m, m->keys[check_below(&m->rng, m->n)]) : get(m, id);
        }
    }
}

static void test_model(uint64_t seed, uint32_t kind, form f, unsigned steps)
{
    static model m;
    world w = world_make((uint64_t)64 << 20);
    m = (model){
        .multi = kind == MPS_KIND_MULTI_MAP, .set = kind == MPS_KIND_SORTED_SET, .f = f, .w = &w, .rng = {seed}};
    m.tree = world_object(&w, kind, sizeof(mps_tree));
    for (unsigned i = 0; i < steps; i++) {
        bool growing = i / (steps / 4) % 2 == 0;
        step(&m, growing);
        if (i % 97 == 0) {
            update(&m, check_below(&m.rng, 8) == 0);
        }
        if (i % 331 == 0) {
            take(&m);
        }
        if (i % 64 == 0 || i + 40 > steps) {
            compare(&m);
        }
        if (i == steps / 2) {
            CHECK_OK(mps_tree_clear(w.seg, door, m.tree));
            m.n = 0;
            compare(&m);
        }
    }
    mps_ref_drop(w.seg, door, m.tree);
    world_end(&w);
}

/* ---- order ---- */

static int order_of(mps_enc *a, mps_enc *b)
{
    /* Two trees would do, but a tree with one key and the rank of another says it, too. */
    static world w;
    if (w.seg == NULL) {
        w = world_make((uint64_t)1 << 20);
    }
    mps_off tree = world_object(&w, MPS_KIND_MAP, sizeof(mps_tree));
    mps_enc one = {.value = mps_value_int(1)};
    bool added;
    uint64_t lower, upper;
    CHECK_OK(mps_tree_set(w.seg, door, tree, a, &one, &added));
    mps_status st = mps_tree_rank(w.seg, door, tree, b, MPS_BOUND_LOWER, &lower);
    if (st == MPS_E_TYPE) {
        CHECK_STATUS(mps_tree_set(w.seg, door, tree, b, &one, &added), MPS_E_TYPE);
        mps_ref_drop(w.seg, door, tree);
        return 99;
    }
    CHECK_OK(st);
    CHECK_OK(mps_tree_rank(w.seg, door, tree, b, MPS_BOUND_UPPER, &upper));
    mps_ref_drop(w.seg, door, tree);
    return lower == 1 ? -1 : upper == 1 ? 0 : 1;
}

static mps_enc real(double x)
{
    mps_enc e = {.value = {MPS_TAG_FLOAT, 0}};
    memcpy(&e.value.w1, &x, sizeof x);
    return e;
}

static mps_enc integer(int64_t n)
{
    return (mps_enc){.value = mps_value_int(n)};
}

/* 2**bit, or -(2**bit), and n more. */
static mps_enc big(uint8_t *data, unsigned bit, bool minus, int n)
{
    memset(data, 0, 160);
    memset(data + bit / 8, minus ? 0xff : 0, 160 - bit / 8);
    data[bit / 8] = (uint8_t)(minus ? 0xff << bit % 8 : 1 << bit % 8);
    int carry = n;
    for (unsigned i = 0; i < 160; i++) {
        carry += data[i];
        data[i] = (uint8_t)carry;
        carry >>= 8;
    }
    return (mps_enc){.value = {MPS_TAG_BIGINT, 0}, .data = data, .nbytes = 160};
}

static void test_numbers(void)
{
    uint8_t d[8][160];
    mps_enc row[] = {
        real(-__builtin_inf()),
        real(-0x1p200),
        big(d[0], 199, true, 0),
        big(d[1], 64, true, -1),
        real(-0x1p64),
        big(d[2], 64, true, 1),
        integer(INT64_MIN),
        integer(-5),
        real(-4.5),
        integer(-4),
        real(-0.5),
        integer(0),
        real(4.9e-324),
        integer(1),
        real(1.5),
        integer((1ll << 53) + 1),
        real(0x1p53 + 2),
        integer(INT64_MAX),
        real(0x1p63),
        big(d[3], 63, false, 1),
        big(d[4], 1023, false, -1),
        real(0x1p1023),
        big(d[5], 1023, false, 1),
        real(__builtin_inf()),
    };
    size_t n = sizeof row / sizeof row[0];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            CHECK(order_of(&row[i], &row[j]) == (i > j) - (i < j));
        }
    }
    mps_enc yes = {.value = {MPS_TAG_BOOL, 1}}, a = integer(1), b = real(1), z = real(-0.0), zero = integer(0);
    CHECK(order_of(&yes, &a) == 0 && order_of(&a, &b) == 0 && order_of(&b, &yes) == 0 && order_of(&z, &zero) == 0);
    mps_enc e = big(d[6], 63, false, 0), f = real(0x1p63);
    CHECK(order_of(&e, &f) == 0);
}

static mps_enc text(unsigned tag, const void *data, uint64_t nbytes)
{
    return nbytes <= MPS_INLINE_MAX ? (mps_enc){.value = mps_value_short(tag, data, nbytes)}
                                    : (mps_enc){.value = {tag, 0}, .data = data, .nbytes = nbytes};
}

static void test_texts(void)
{
    uint16_t two[] = {'a', 0x100};
    uint16_t surrogate[] = {'a', 0xd800};
    uint32_t four[] = {'a', 0x10000};
    mps_enc row[] = {
        text(MPS_TAG_ASCII, "", 0),
        text(MPS_TAG_ASCII, "\0", 1),
        text(MPS_TAG_ASCII, "a", 1),
        text(MPS_TAG_ASCII, "a\0", 2),
        text(MPS_TAG_ASCII, "aaaaaaaaaaaaaa", 14),
        text(MPS_TAG_ASCII, "aaaaaaaaaaaaaaa", 15),
        text(MPS_TAG_ASCII, "aaaaaaaaaaaaaab", 15),
        text(MPS_TAG_ASCII, "ab", 2),
        text(MPS_TAG_LATIN, "a\xe4", 2),
        text(MPS_TAG_LATIN, "a\xe4xxxxxxxxxxxxxxxxxxxxxx", 24),
        text(MPS_TAG_UCS2, two, 4),
        text(MPS_TAG_UCS2, surrogate, 4),
        text(MPS_TAG_UCS4, four, 8),
        text(MPS_TAG_ASCII, "b", 1),
    };
    size_t n = sizeof row / sizeof row[0];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            CHECK(order_of(&row[i], &row[j]) == (i > j) - (i < j));
        }
    }
    mps_enc bytes = text(MPS_TAG_BYTES, "a", 1), number = integer(1), none = {.value = {MPS_TAG_NONE, 0}};
    CHECK(order_of(&row[2], &bytes) == 99 && order_of(&bytes, &number) == 99 && order_of(&number, &row[2]) == 99);
    CHECK(order_of(&number, &none) == 99);
}

static mps_enc tuple(const void *form, uint64_t nbytes)
{
    return (mps_enc){.value = {MPS_TAG_KEY, 0}, .data = form, .nbytes = nbytes, .aux = (uint32_t)nbytes};
}

static void test_tuples(void)
{
    mps_enc row[] = {
        tuple("t\0", 2),
        tuple("t\1t\0", 4),
        tuple("t\1t\1a\1x", 7),
        tuple("t\2t\1a\1xa\1a", 10),
        tuple("t\2t\1a\1xa\2aa", 11),
        tuple("t\2t\1a\1xa\1b", 10),
        tuple("t\1t\1a\1y", 7),
    };
    size_t n = sizeof row / sizeof row[0];
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            CHECK(order_of(&row[i], &row[j]) == (i > j) - (i < j));
        }
        CHECK_OK(mps_order_check_form(row[i].data, row[i].nbytes));
    }
    mps_enc other = tuple("t\1i\0\0\0\0\0\0\0\0", 11);
    CHECK(order_of(&row[2], &other) == 99);
    CHECK(order_of(&row[0], &other) == -1);
    CHECK_STATUS(mps_order_check_form("t\1n", 3), MPS_E_TYPE);
    CHECK_STATUS(mps_order_check_form("t\1f\0\0\0\0\0\0\xf8\x7f", 11), MPS_E_INVAL);
}

/* Taking out works in a segment that has no room left, and the room comes back. */
static void test_full(void)
{
    world w = world_make((uint64_t)1 << 20);
    mps_off tree = world_object(&w, MPS_KIND_MAP, sizeof(mps_tree));
    bool added;
    uint64_t n = 0;
    check_rng rng = {5};
    mps_status st = MPS_OK;
    for (; st == MPS_OK; n++) {
        key k;
        mps_enc one = integer(1);
        key_make(&k, FORM_LONG_TEXT, check_random(&rng) >> 20);
        st = mps_tree_set(w.seg, door, tree, &k.enc, &one, &added);
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK_SOUND(w.seg);
    for (uint64_t left = n - 1; left > 0; left--) {
        CHECK_OK(mps_tree_pop_item(w.seg, door, tree, (int64_t)check_below(&rng, left), NULL, NULL));
    }
    CHECK_STATUS(mps_tree_pop_item(w.seg, door, tree, 0, NULL, NULL), MPS_E_RANGE);
    mps_ref_drop(w.seg, door, tree);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20250711);
    test_numbers();
    test_texts();
    test_tuples();
    test_full();
    for (form f = 0; f < FORMS; f++) {
        test_model(check_random(&rng), MPS_KIND_MAP, f, 4000);
        test_model(check_random(&rng), MPS_KIND_MULTI_MAP, f, 3000);
        test_model(check_random(&rng), MPS_KIND_SORTED_SET, f, 3000);
    }
    return 0;
}
