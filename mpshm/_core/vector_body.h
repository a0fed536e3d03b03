/* vector_body.h -- inside a vector: its array as an operation under the guard sees it. For vector*.c, and for deque*.c, whose arrays
 * are the same blocks of another kind (deque_body.h).
 *
 *   | mortal : 24 | capacity : 64 | values : 16 bytes x capacity |
 *
 * In limbo the values [first, cursor) are still to be released, and `first` stands in the place of the capacity: so a part that
 * was cut out of a list dies together with the array that it stood in, whose other values have moved to a new one.
 */
#ifndef MPS_VECTOR_BODY_H
#define MPS_VECTOR_BODY_H

#include "vector.h"

#define MPS_VECTOR_MAX ((uint64_t)1 << 38) /* values that a vector can hold */

typedef struct mps_array {
    mps_mortal mortal; /* cursor: see above */
    uint64_t capacity; /* values that fit; in limbo: the first value still to be released */
    mps_value values[];
} mps_array;

_Static_assert(sizeof(mps_array) == 32, "stored");

/* A vector as one operation sees it. */
typedef struct mps_reach {
    mps_array *array; /* NULL: none yet */
    uint64_t length;
    uint64_t capacity;
} mps_reach;

static inline uint64_t mps_array_bytes(uint64_t capacity)
{
    return sizeof(mps_array) + capacity * sizeof(mps_value);
}

/* The array that a body's offset names, when [off, off + bytes of n values) can be one; else NULL. */
static inline mps_array *mps_array_at(mps_seg *seg, mps_off off, uint64_t n)
{
    if (mps_unlikely((off & 15) != 0 || off < seg->arena || n > MPS_VECTOR_MAX ||
                     !mps_region_holds(&seg->region, off, mps_array_bytes(n)))) {
        return NULL;
    }
    return mps_region_at(&seg->region, off);
}

/* Under the guard: MPS_OK, or MPS_E_CORRUPT. */
static inline mps_status mps_vector_reach(mps_seg *seg, const mps_vector *v, mps_reach *r)
{
    mps_off off = mps_load64(&v->body);
    r->length = mps_load64(&v->length);
    r->capacity = 0;
    r->array = NULL;
    if (mps_unlikely(off == 0)) {
        return r->length == 0 ? MPS_OK : MPS_E_CORRUPT;
    }
    r->array = mps_array_at(seg, off, r->length);
    if (mps_unlikely(r->array == NULL)) {
        return MPS_E_CORRUPT;
    }
    r->capacity = mps_load64(&r->array->capacity);
    return mps_likely(r->length <= r->capacity && mps_array_at(seg, off, r->capacity) != NULL) ? MPS_OK : MPS_E_CORRUPT;
}

/* Takes the vector's guard for a change, unless somebody else holds the user's lock. */
static inline mps_status mps_vector_enter(mps_tx *tx, mps_vector *v)
{
    mps_status st = mps_tx_lock(tx, &v->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &v->object.user) : st;
}

/* Ends a change with one value. */
static inline mps_status mps_vector_finish(mps_tx *tx, mps_status st, mps_enc *value)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    if (mps_unlikely(value->blob != 0)) {
        mps_enc_forget(tx, value);
    }
    mps_tx_end(tx);
    return st;
}

/* Puts a value into the place of one that is there. */
static inline mps_status mps_vector_put(mps_tx *tx, mps_value *place, const mps_enc *value)
{
    mps_value now, old = mps_value_load(place);
    mps_status st = mps_enc_store(tx, value, &now);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (old.w0 != now.w0) {
        mps_tx_set(tx, &place->w0, now.w0);
    }
    mps_tx_set(tx, &place->w1, now.w1);
    return mps_value_release(tx, old);
}

/* ---- vector.c: under the guard, its sequence odd ---- */

/* Makes room for `need` values: in place where the neighbour is free, else in a new array. */
mps_status mps_vector_grow(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t need);
/* A new array for that many values, of kind MPS_KIND_ARRAY_BODY or MPS_KIND_DEQUE_BODY. */
mps_status mps_array_make(mps_tx *tx, uint32_t kind, uint64_t capacity, mps_array **out);
/* Sets body and length; the old array is freed, its values having moved. */
mps_status mps_vector_swing(mps_tx *tx, mps_vector *v, mps_reach *r, mps_array *array, uint64_t length);
/* Gives memory back when little of the array is in use; that there is none to be had for the smaller one does no harm. */
mps_status mps_vector_fit(mps_tx *tx, mps_vector *v, mps_reach *r);
/* Replaces values [start, stop) by n others. */
mps_status mps_vector_splice(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t start, uint64_t stop,
                             const mps_enc *values, uint64_t n);
/* Hands the array over to die with its values [first, stop); the vector refers to it no more. */
mps_status mps_array_drop(mps_tx *tx, mps_array *array, uint64_t first, uint64_t stop);

#endif
