/* ordered.h -- keys of Map, MultiMap and SortedSet, which the core can put in order (order.h).
 *
 * Numbers, text and bytes are stored as they are as values; tuples of these in their canonical form (key.h), which the core compares item by
 * item. What equals one of these, as a member of an IntEnum or a number of NumPy's, is stored as an alias of it: compared as what it equals, and
 * given back as it was.
 */
#ifndef MPY_ORDERED_H
#define MPY_ORDERED_H

#include "encode.h"

/* Whether a key can be put in order. */
typedef enum mpy_orderly {
    MPY_ORDER_FAILED = -1, /* an exception is set */
    MPY_ORDERLY = 0,
    MPY_UNORDERLY = 1, /* no key of these containers */
    MPY_NOT_A_NUMBER = 2,
} mpy_orderly;

mpy_orderly mpy_encode_orderly_slow(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold, bool store);
/* TypeError or ValueError for a key that is not orderly: always -1. */
int mpy_refuse_key(mpy_handle *h, PyObject *key, mpy_orderly why);
/* TypeError for a key that has no order among those that are there (MPS_E_TYPE): always NULL. */
PyObject *mpy_fail_order(mpy_handle *h, PyObject *key);

/* A key to look for. */
static inline mpy_orderly mpy_encode_wanted(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold)
{
    return mps_likely(mpy_encode_fast(key, enc)) ? MPY_ORDERLY : mpy_encode_orderly_slow(h, key, enc, hold, false);
}

/* A key to store, or to compare with: 0 or -1. */
static inline int mpy_encode_ordered(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold)
{
    if (mps_likely(mpy_encode_fast(key, enc))) {
        return 0;
    }
    mpy_orderly how = mpy_encode_orderly_slow(h, key, enc, hold, true);
    return how == MPY_ORDERLY ? 0 : mpy_refuse_key(h, key, how);
}

#endif
