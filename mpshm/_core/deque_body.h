/* deque_body.h -- inside a deque: its circular array as an operation under the guard sees it. For deque*.c only.
 *
 * The body is an mps_array (vector_body.h) of kind MPS_KIND_DEQUE_BODY. In limbo its cursor is what `ends` was: the values that
 * are still to be released.
 */
#ifndef MPS_DEQUE_BODY_H
#define MPS_DEQUE_BODY_H

#include "deque.h"
#include "vector_body.h"

#define MPS_ROOM_SWING 8u /* journal entries of a body that is swung in, or of `ends` changed */

/* A deque as one operation sees it. */
typedef struct mps_ring {
    mps_array *array; /* NULL: none yet */
    uint64_t first;   /* place of the first value */
    uint64_t length;
    uint64_t capacity;
} mps_ring;

static inline uint64_t mps_ends(uint64_t first, uint64_t length)
{
    return first << 32 | length;
}

/* The parts of a body of that offset and those ends: false when they can't be. */
static inline bool mps_ring_shape(mps_seg *seg, mps_off off, uint64_t ends, mps_ring *r)
{
    r->array = mps_array_at(seg, off, 0);
    if (mps_unlikely(r->array == NULL)) {
        return false;
    }
    r->first = ends >> 32;
    r->length = (uint32_t)ends;
    r->capacity = mps_load64(&r->array->capacity);
    return mps_likely(r->capacity <= MPS_DEQUE_MAX && r->first < r->capacity && r->length <= r->capacity &&
                      mps_region_holds(&seg->region, off, mps_array_bytes(r->capacity)));
}

/* Under the guard: MPS_OK, or MPS_E_CORRUPT. */
static inline mps_status mps_deque_reach(mps_seg *seg, const mps_deque *d, mps_ring *r)
{
    mps_off off = mps_load64(&d->body);
    uint64_t ends = mps_load64(&d->ends);
    if (mps_unlikely(off == 0)) {
        *r = (mps_ring){0};
        return ends == 0 ? MPS_OK : MPS_E_CORRUPT;
    }
    return mps_likely(mps_ring_shape(seg, off, ends, r)) ? MPS_OK : MPS_E_CORRUPT;
}

/* The greatest length. */
static inline uint64_t mps_deque_maxlen(const mps_deque *d)
{
    return mps_load64(&d->limit) - 1; /* without one, all bits are set */
}

/* Where value i is, or would be: i <= capacity. */
static inline mps_value *mps_ring_place(const mps_ring *r, uint64_t i)
{
    uint64_t place = r->first + i;
    return &r->array->values[place < r->capacity ? place : place - r->capacity];
}

/* The place n before the first, n <= capacity. */
static inline uint64_t mps_ring_before(const mps_ring *r, uint64_t n)
{
    return r->first >= n ? r->first - n : r->first + r->capacity - n;
}

/* The place n after the first, n <= capacity. */
static inline uint64_t mps_ring_after(const mps_ring *r, uint64_t n)
{
    return r->first + n < r->capacity ? r->first + n : r->first + n - r->capacity;
}

/* Takes the guard for a change, unless somebody else holds the user's lock. */
static inline mps_status mps_deque_enter(mps_tx *tx, mps_deque *d)
{
    mps_status st = mps_tx_lock(tx, &d->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &d->object.user) : st;
}

/* What others see from now on; not in the journal if it is all that the operation changes. */
static inline void mps_deque_publish(mps_tx *tx, mps_deque *d, uint64_t first, uint64_t length)
{
    if (mps_likely(tx->ctl == 0)) {
        mps_barrier();
        mps_store64(&d->ends, mps_ends(first, length));
    } else {
        mps_tx_set(tx, &d->ends, mps_ends(first, length));
    }
}

/* Writes a value where nobody reaches it yet. */
static inline void mps_place_store(mps_value *place, mps_value v)
{
    mps_store64(&place->w0, v.w0);
    mps_store64(&place->w1, v.w1);
}

/* ---- deque.c: under the guard, its sequence odd ---- */

/* A new body. shorter: it takes the place of one that is as long, so it may pass max_size until that one is free: taking out and
 * turning round must work in a full segment. */
mps_status mps_ring_make(mps_tx *tx, uint64_t capacity, bool shorter, mps_array **out);
/* Copies values [start, start + n) to a new body. */
void mps_ring_move(const mps_ring *r, uint64_t start, uint64_t n, mps_value *to);
/* Swings a new body in, its first value at place 0; the old one is freed, what it held having moved or been released. */
mps_status mps_deque_swing(mps_tx *tx, mps_deque *d, mps_ring *r, mps_array *array, uint64_t length);
/* Moves all values to a body for `need` values and some more. */
mps_status mps_deque_grow(mps_tx *tx, mps_deque *d, mps_ring *r, uint64_t need);
/* How large a body for n values is made: never larger than a deque with a maxlen can use. */
uint64_t mps_deque_capacity(const mps_deque *d, uint64_t n);
/* Gives memory back when little of the body is in use; that there is none to be had for the smaller one does no harm. */
mps_status mps_deque_fit(mps_tx *tx, mps_deque *d, mps_ring *r);
/* Takes the value at an end out, of which there is one. */
mps_status mps_deque_cut(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end);
/* Puts a stored value in at an end. */
mps_status mps_deque_put(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end, mps_value now);
/* Hands the body over to die with the values in it. */
mps_status mps_deque_empty(mps_tx *tx, mps_deque *d, mps_ring *r);

#endif
