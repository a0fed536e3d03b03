/* typed_body.h -- inside a vector of typed items: its array as an operation under the guard sees it. For typed*.c only. */
#ifndef MPS_TYPED_BODY_H
#define MPS_TYPED_BODY_H

#include "span.h"
#include "typed.h"

#define MPS_ROOM_TYPED 32u /* journal entries of data that is swung in, of an array made longer, of the length */

/* A vector as one operation sees it. */
typedef struct mps_typed_reach {
    uint8_t *items; /* NULL: none yet */
    uint64_t itemsize;
    uint64_t length;
    uint64_t capacity;
} mps_typed_reach;

static inline mps_typed *mps_typed_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* The data of a raw object that has MPS_CACHE_LINE bytes at least, if `nbytes` of it lie in the segment; else NULL. */
static inline uint8_t *mps_typed_items(mps_seg *seg, mps_off data, uint64_t nbytes)
{
    mps_off at = mps_round_up(data + sizeof(mps_raw), MPS_CACHE_LINE);
    if (mps_unlikely((data & 15) != 0 || data < seg->arena || data > MPS_RAW_MAX ||
                     !mps_region_holds(&seg->region, at, nbytes))) {
        return NULL;
    }
    return mps_region_at(&seg->region, at);
}

/* Under the guard: MPS_OK, MPS_E_TYPE, or MPS_E_CORRUPT. */
static inline mps_status mps_typed_reach_get(mps_seg *seg, const mps_typed *t, mps_typed_reach *r)
{
    mps_off data = mps_load64(&t->data);
    r->itemsize = mps_load32(&t->itemsize);
    r->length = mps_load64(&t->length);
    r->capacity = mps_load64(&t->capacity);
    r->items = NULL;
    if (mps_unlikely(r->itemsize - 1u >= MPS_TYPED_ITEM)) {
        return r->itemsize == 0 && data == 0 ? MPS_E_TYPE : MPS_E_CORRUPT;
    }
    if (mps_unlikely(data == 0)) {
        return (r->length | r->capacity) == 0 ? MPS_OK : MPS_E_CORRUPT;
    }
    uint64_t nbytes;
    if (mps_unlikely(r->length > r->capacity || __builtin_mul_overflow(r->capacity, r->itemsize, &nbytes) ||
                     nbytes > MPS_RAW_MAX)) {
        return MPS_E_CORRUPT;
    }
    r->items = mps_typed_items(seg, data, nbytes);
    if (mps_unlikely(r->items == NULL)) {
        return MPS_E_CORRUPT;
    }
    const mps_raw *raw = mps_region_at(&seg->region, data);
    return mps_likely(mps_load32(&raw->object.mortal.kind) == MPS_KIND_RAW &&
                      mps_load64(&raw->nbytes) >= mps_max64(nbytes, MPS_CACHE_LINE))
               ? MPS_OK
               : MPS_E_CORRUPT;
}

/* The same for one who goes by that itemsize: he has buffers for it (0: none). */
static inline mps_status mps_typed_reach_sized(mps_seg *seg, const mps_typed *t, uint64_t itemsize, mps_typed_reach *r)
{
    mps_status st = mps_typed_reach_get(seg, t, r);
    return mps_likely(st != MPS_OK || itemsize == 0 || r->itemsize == itemsize) ? st : MPS_E_CORRUPT;
}

/* Takes the guard for a change, unless somebody else holds the user's lock, and looks. */
static inline mps_status mps_typed_enter(mps_tx *tx, mps_typed *t, uint64_t itemsize, mps_typed_reach *r)
{
    mps_status st = mps_tx_lock(tx, &t->object.guard);
    if (mps_likely(st == MPS_OK)) {
        st = mps_userlock_pass(tx->seg, &t->object.user);
    }
    return mps_likely(st == MPS_OK) ? mps_typed_reach_sized(tx->seg, t, itemsize, r) : st;
}

static inline mps_status mps_typed_finish(mps_tx *tx, mps_status st)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    mps_tx_end(tx);
    return st;
}

/* Ends an operation that could not enter: always `st`. */
mps_status mps_typed_turn_away(mps_tx *tx, mps_status st);

/* Begins an operation and enters. What is not MPS_OK has ended it again. */
static inline mps_status mps_typed_start(mps_seg *seg, mps_door door, mps_typed *t, uint64_t itemsize, mps_tx *tx,
                                         mps_typed_reach *r)
{
    mps_status st = mps_tx_begin(seg, tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_typed_enter(tx, t, itemsize, r);
    return mps_likely(st == MPS_OK) ? MPS_OK : mps_typed_turn_away(tx, st);
}

/* The greatest length. */
static inline uint64_t mps_typed_maxlen(const mps_typed *t)
{
    return mps_load64(&t->limit) - 1; /* without one, all bits are set */
}

/* The place of an index, which may be negative; false: out of range. */
static inline bool mps_typed_clip(int64_t index, uint64_t length, uint64_t *i)
{
    *i = (uint64_t)(index < 0 ? index + (int64_t)length : index);
    return *i < length;
}

/* Whether an item is changed with one store. */
static inline bool mps_typed_is_word(uint64_t itemsize)
{
    return itemsize <= 8 && (itemsize & (itemsize - 1)) == 0;
}

/* What others see from now on; not in the journal if it is all that the operation changes. */
static inline void mps_typed_publish(mps_tx *tx, mps_typed *t, uint64_t length)
{
    if (mps_likely(tx->ctl == 0)) {
        mps_barrier();
        mps_store64(&t->length, length);
    } else {
        mps_tx_set(tx, &t->length, length);
    }
}

/* ---- typed.c: under the guard, its sequence odd ---- */

/* Room for `need` items, and some more where that is no trouble (`exact`: not): in place if possible, else in another place. */
mps_status mps_typed_provide(mps_tx *tx, mps_typed *t, mps_typed_reach *r, uint64_t need, bool exact);
/* New data for `capacity` items, what was there before still to be copied: MPS_E_EXISTS while others refer to the old. *items: where. The
 * old data, whose bytes may still be read until the commit, is given up. */
mps_status mps_typed_swing(mps_tx *tx, mps_typed *t, uint64_t itemsize, uint64_t capacity, uint8_t **items);
/* Writes one item. */
mps_status mps_typed_put(mps_tx *tx, const mps_typed_reach *r, uint64_t i, const void *item);

#endif
