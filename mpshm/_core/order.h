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
    unsigned __int128 digits; /* of short text and bytes: in the order of the keys */
    uint64_t head;            /* as above, also of inline ones */
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

/* The digits of inline text or bytes: the fourteen bytes from the first on, then the length. */
static inline unsigned __int128 mps_order_digits(mps_value v)
{
    uint64_t high = __builtin_bswap64(v.w0) << 16, low = __builtin_bswap64(v.w1);
    return (unsigned __int128)high << 64 | (unsigned __int128)low << 16 | ((v.w0 >> 8) & 0xff);
}

static inline double mps_order_double(uint64_t word)
{
    double x = 0;
    memcpy(&x, &word, sizeof x);
    return x;
}

static inline bool mps_order_before_int(mps_value v, int64_t key, bool after)
{
    return after ? (int64_t)v.w1 <= key : (int64_t)v.w1 < key;
}

/* The same as mps_order_find_any; ints among ints and short texts among short texts here, in the caller's own code. */
__attribute__((always_inline)) static inline mps_status mps_order_find(mps_seg *seg, const mps_value *keys, uint32_t n,
                                                                       const mps_sought *key, bool after, uint32_t *at)
{
    const mps_value *base = keys;
    uint64_t odd = 0;
    if (mps_unlikely(n == 0)) {
        *at = 0;
        return MPS_OK;
    }
    uint32_t left = n;
    if (mps_likely(key->is_int)) {
        int64_t wanted = (int64_t)key->rank.near.w1;
        while (left > 1) {
            uint32_t half = left / 2;
            mps_value v = mps_value_load(&base[half - 1]);
            odd |= v.w0 ^ MPS_TAG_INT;
            base += mps_order_before_int(v, wanted, after) ? half : 0;
            left -= half;
        }
        mps_value v = mps_value_load(base);
        odd |= v.w0 ^ MPS_TAG_INT;
        base += mps_order_before_int(v, wanted, after);
    } else if (key->is_short) {
        unsigned __int128 wanted = key->digits;
        while (left > 1) {
            uint32_t half = left / 2;
            mps_value v = mps_value_load(&base[half - 1]);
            unsigned __int128 digits = mps_order_digits(v);
            odd |= (v.w0 ^ key->rank.tag) & 0xff;
            base += (after ? digits <= wanted : digits < wanted) ? half : 0;
            left -= half;
        }
        mps_value v = mps_value_load(base);
        unsigned __int128 digits = mps_order_digits(v);
        odd |= (v.w0 ^ key->rank.tag) & 0xff;
        base += after ? digits <= wanted : digits < wanted;
    } else if (key->is_float) {
        double wanted = mps_order_double(key->rank.near.w1);
        while (left > 1) {
            uint32_t half = left / 2;
            mps_value v = mps_value_load(&base[half - 1]);
            double x = mps_order_double(v.w1);
            odd |= v.w0 ^ MPS_TAG_FLOAT;
            base += (after ? x <= wanted : x < wanted) ? half : 0;
            left -= half;
        }
        mps_value v = mps_value_load(base);
        double x = mps_order_double(v.w1);
        odd |= v.w0 ^ MPS_TAG_FLOAT;
        base += after ? x <= wanted : x < wanted;
    } else {
        odd = 1;
    }
    if (mps_unlikely(odd != 0)) {
        return mps_order_find_any(seg, keys, n, key, after, at);
    }
    *at = (uint32_t)(base - keys);
    return MPS_OK;
}

/* Whether a stored key equals the one looked for; false also when they have no order. */
static inline bool mps_order_equal(mps_seg *seg, mps_value stored, const mps_sought *key)
{
    if (mps_likely(key->is_int && stored.w0 == MPS_TAG_INT)) {
        return stored.w1 == key->rank.near.w1;
    }
    int order = 1;
    return mps_order_compare(seg, stored, key, &order) == MPS_OK && order == 0;
}

#endif
