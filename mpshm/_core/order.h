/* order.h -- which of two stored keys comes first, without Python.
 *
 * Keys are of four kinds, and a container's are all of one, so that any two can be compared:
 *
 *   numbers   INT, BOOL, FLOAT, BIGINT: by value, exactly, whatever the types; never NaN
 *   text      ASCII, LATIN, UCS2, UCS4: by code point, whatever the widths
 *   bytes     BYTES
 *   tuples    KEY, whose canonical form (aux bytes) consists of i I f a l u U b t as key.h of the binding draws them: item by
 *             item; where two items are of different kinds there is no order
 *
 * Text, bytes and tuples out of line have the beginning of what they are compared by, their head, in bytes 1..7 of w0: where heads differ,
 * they say which key comes first, and nothing out of line is looked at.
 *
 *   text     its first seven characters, a byte each, up to and with the first above 254, which is 255; 0 where there are no more
 *   bytes    the first seven; 0 where there are no more
 *   tuples   the first item's kind : 4 bits, and 52 bits of it: six characters or bytes, or the bits of the nearest double, so that they ascend
 *
 * An ALIAS is compared as what it stands for. Equal keys are those of which neither comes first: 1, 1.0 and True.
 *
 * Everything here may be called on bytes that another process is changing or that are hostile: offsets and lengths are bounded, each is read
 * once, nesting ends at MPS_ORDER_DEPTH. A wrong answer is possible then, no fault and no endless loop.
 *
 * Costs: two short keys some instructions; in a row of n short keys log2(n) steps without a branch that could be mispredicted.
 */
#ifndef MPS_ORDER_H
#define MPS_ORDER_H

#include "value.h"

#define MPS_ORDER_DEPTH 256u /* levels of nesting in a tuple */

/* Kinds of keys. */
typedef enum mps_order_kind {
    MPS_ORDER_NONE = 0, /* not a key that has an order */
    MPS_ORDER_NUMBER = 1,
    MPS_ORDER_TEXT = 2,
    MPS_ORDER_BYTES = 3,
    MPS_ORDER_TUPLE = 4,
} mps_order_kind;

/* A key as it is compared. */
typedef struct mps_rank {
    mps_value near;      /* the sixteen bytes of an inline one */
    const uint8_t *data; /* of text, bytes, big ints and tuples; of inline ones inside near */
    uint64_t nbytes;
    unsigned tag;
    mps_order_kind kind;
} mps_rank;

/* A key to look for, made once for many comparisons. It must not move. */
typedef struct mps_sought {
    mps_rank rank;
    unsigned __int128
        digits;    /* of short ones: in the order of the keys, but for those that differ in zeros at their end alone */
    uint64_t head; /* as above; of short ones only once it is asked for */
    bool has_head;
    bool is_float;
    bool is_int;   /* an int that was one from its beginning */
    bool is_short; /* inline text of one byte a character, or bytes: compared by digits with keys of the same tag */
} mps_sought;

/* From a key given. */
void mps_sought_make(mps_sought *sought, const mps_enc *key);
/* From a stored key: false when it makes no sense. */
bool mps_sought_stored(mps_seg *seg, mps_sought *sought, mps_value key);
/* A key that has just been stored, with its head. */
mps_value mps_order_mark(mps_seg *seg, mps_value stored);

/* Compares a stored key with one that is looked for: *order below 0, 0, above 0. MPS_E_TYPE when they have no order, MPS_E_RETRY when
 * the bytes make no sense. */
mps_status mps_order_compare(mps_seg *seg, mps_value stored, const mps_sought *key, int *order);
/* In a sorted row: how many of the n keys come before the one looked for, or (after) before or equal it. */
mps_status mps_order_find_any(mps_seg *seg, const mps_value *keys, uint32_t n, const mps_sought *key, bool after,
                              uint32_t *at);
/* Whether a canonical form, with n bytes, is one of a tuple that has an order: MPS_OK; MPS_E_TYPE; MPS_E_INVAL for one with a NaN. */
mps_status mps_order_check_form(const void *form, uint64_t nbytes);

/* The digits of inline text or bytes: the fourteen bytes from the first on. */
static inline unsigned __int128 mps_order_digits(mps_value v)
{
    uint64_t high = __builtin_bswap64(v.w0) & 0xffffffffffff, low = __builtin_bswap64(v.w1);
    return (unsigned __int128)high << 64 | low;
}

/* Whether two short keys of one tag have the same digits, and are not the same: one ends with more zeros than the other. */
static inline bool mps_order_twins(mps_value a, mps_value b)
{
    return a.w1 == b.w1 && a.w0 != b.w0 && (a.w0 ^ b.w0) >> 16 == 0;
}

static inline double mps_order_double(uint64_t word)
{
    double x = 0;
    memcpy(&x, &word, sizeof x);
    return x;
}

/* What keys of a row are compared by. */
typedef enum mps_order_way { MPS_ORDER_BY_INT, MPS_ORDER_BY_DIGITS, MPS_ORDER_BY_FLOAT } mps_order_way;

/* What they are compared with: those less than it come before. */
typedef struct mps_order_limit {
    unsigned __int128 digits;
    int64_t n;
    double x, equal;  /* equal: not a number unless keys that equal x come before, too */
    uint64_t like_w0; /* what w0 of keys that can be compared so is like */
} mps_order_limit;

/* Whether a key of the row comes before the limit. *odd gets the bits of w0 that are not like those of the limit. */
__attribute__((always_inline)) static inline bool mps_order_before(mps_order_way way, const mps_value *at,
                                                                   const mps_order_limit *limit, uint64_t *odd)
{
    mps_value v = mps_value_load(at);
    *odd |= v.w0 ^ limit->like_w0;
    if (way == MPS_ORDER_BY_INT) {
        return (int64_t)v.w1 < limit->n;
    }
    if (way == MPS_ORDER_BY_DIGITS) {
        return mps_order_digits(v) < limit->digits;
    }
    double x = mps_order_double(v.w1);
    return (x < limit->x) | (x == limit->equal);
}

/* In a sorted row of n > 0 keys: behind the last that comes before the limit. A conditional move, no branch, takes each
 * step (the compiler has to be told that it could not be predicted). */
__attribute__((always_inline)) static inline const mps_value *mps_order_search(mps_order_way way, const mps_value *base,
                                                                               uint32_t n, const mps_order_limit *limit,
                                                                               uint64_t *odd)
{
    for (uint32_t left = n; left > 1;) {
        uint32_t half = left / 2;
        const mps_value *next = base + half;
        base = __builtin_expect_with_probability(mps_order_before(way, next - 1, limit, odd), 1, 0.5) ? next : base;
        left -= half;
    }
    return base + mps_order_before(way, base, limit, odd);
}

/* The same as mps_order_find_any; ints among ints and short texts among short texts here, in the caller's own code. */
__attribute__((always_inline)) static inline mps_status mps_order_find(mps_seg *seg, const mps_value *keys, uint32_t n,
                                                                       const mps_sought *key, bool after, uint32_t *at)
{
    const mps_value *end = keys;
    mps_order_limit limit;
    uint64_t odd = 0;
    if (mps_unlikely(n == 0)) {
        *at = 0;
        return MPS_OK;
    }
    if (mps_likely(key->is_int)) {
        limit.like_w0 = MPS_TAG_INT;
        odd = __builtin_add_overflow((int64_t)key->rank.near.w1, after, &limit.n);
        end = mps_order_search(MPS_ORDER_BY_INT, keys, n, &limit, &odd);
    } else if (mps_likely(key->is_short)) {
        limit.like_w0 = key->rank.tag;
        limit.digits = key->digits + after;
        end = mps_order_search(MPS_ORDER_BY_DIGITS, keys, n, &limit, &odd);
        odd &= 0xff;
        const mps_value *met = after ? end - 1 : end; /* the one that may equal it */
        if (met >= keys && met < keys + n) {
            odd |= mps_order_twins(mps_value_load(met), key->rank.near);
        }
    } else if (key->is_float) {
        limit.like_w0 = MPS_TAG_FLOAT;
        limit.x = mps_order_double(key->rank.near.w1);
        limit.equal = after ? limit.x : mps_order_double(UINT64_MAX);
        end = mps_order_search(MPS_ORDER_BY_FLOAT, keys, n, &limit, &odd);
    } else {
        odd = 1;
    }
    if (mps_unlikely(odd != 0)) {
        return mps_order_find_any(seg, keys, n, key, after, at);
    }
    *at = (uint32_t)(end - keys);
    return MPS_OK;
}

/* Whether a stored key equals the one looked for; false also when they have no order. */
static inline bool mps_order_equal(mps_seg *seg, mps_value stored, const mps_sought *key)
{
    if (mps_likely(key->is_int && stored.w0 == MPS_TAG_INT)) {
        return stored.w1 == key->rank.near.w1;
    }
    if (mps_likely(key->is_short && ((stored.w0 ^ key->rank.near.w0) & 0xff) == 0)) {
        return stored.w0 == key->rank.near.w0 && stored.w1 == key->rank.near.w1;
    }
    int order = 1;
    return mps_order_compare(seg, stored, key, &order) == MPS_OK && order == 0;
}

#endif
