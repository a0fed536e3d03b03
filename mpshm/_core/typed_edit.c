#include "typed_body.h"

#include <stdlib.h>

#include "reader.h"

/* ---- one item ---- */

mps_status mps_typed_put(mps_tx *tx, const mps_typed_reach *r, uint64_t i, const void *item)
{
    uint8_t *place = r->items + i * r->itemsize;
    if (mps_unlikely(!mps_typed_is_word(r->itemsize))) {
        return mps_span_splice(tx, place, r->itemsize, 0, r->itemsize, item, r->itemsize, 0);
    }
    if (r->itemsize == 8) {
        uint64_t word;
        memcpy(&word, item, 8);
        __atomic_store_n((uint64_t *)(void *)place, word, __ATOMIC_RELAXED);
    } else if (r->itemsize == 4) {
        uint32_t word;
        memcpy(&word, item, 4);
        __atomic_store_n((uint32_t *)(void *)place, word, __ATOMIC_RELAXED);
    } else if (r->itemsize == 2) {
        uint16_t word;
        memcpy(&word, item, 2);
        __atomic_store_n((uint16_t *)(void *)place, word, __ATOMIC_RELAXED);
    } else {
        __atomic_store_n(place, *(const uint8_t *)item, __ATOMIC_RELAXED);
    }
    mps_crash_point();
    return MPS_OK;
}

mps_status mps_typed_set(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index, const void *item)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    uint64_t i;
    mps_status st = mps_typed_start(seg, door, t, itemsize, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (mps_likely(mps_typed_clip(index, r.length, &i))) {
        mps_tx_write_begin(&tx, &t->object.guard);
        st = mps_typed_put(&tx, &r, i, item);
    } else {
        st = MPS_E_RANGE;
    }
    return mps_typed_finish(&tx, st);
}

/* ---- at the end ---- */

static inline mps_status push(mps_tx *tx, mps_typed *t, mps_typed_reach *r, const void *items, uint64_t n)
{
    mps_tx_write_begin(tx, &t->object.guard);
    if (mps_unlikely(n > r->capacity - r->length)) {
        mps_status st =
            n > MPS_RAW_MAX ? MPS_E_TOOLARGE : mps_typed_provide(tx, t, r, r->length + n, n > 1 && r->length == 0);
        if (st != MPS_OK) {
            return st;
        }
    }
    if (mps_likely(n > 0)) {
        uint8_t *place = r->items + r->length * r->itemsize;
        if (n == 1 && r->itemsize == 8) { /* (a store, no call) */
            uint64_t word;
            memcpy(&word, items, 8);
            mps_fresh64((uint64_t *)(void *)place, word);
        } else {
            mps_fresh_copy(place, items, n * r->itemsize);
        }
        mps_crash_point();
        mps_typed_publish(tx, t, r->length + n);
    }
    return MPS_OK;
}

mps_status mps_typed_push(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, const void *items, uint64_t n)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_typed_start(seg, door, t, itemsize, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = push(&tx, t, &r, items, n);
    return mps_typed_finish(&tx, st);
}

static mps_status resize(mps_tx *tx, mps_typed *t, mps_typed_reach *r, uint64_t n)
{
    mps_status st = mps_typed_provide(tx, t, r, n, true);
    if (st != MPS_OK || n == r->length) {
        return st;
    }
    if (n > r->length && !MPS_RACY_ATOMIC) {
        memset(r->items + r->length * r->itemsize, 0, (n - r->length) * r->itemsize);
    }
    for (uint64_t i = r->length * r->itemsize; MPS_RACY_ATOMIC && i < n * r->itemsize; i++) {
        __atomic_store_n(r->items + i, 0, __ATOMIC_RELAXED);
    }
    mps_typed_publish(tx, t, n);
    return MPS_OK;
}

mps_status mps_typed_resize(mps_seg *seg, mps_door door, mps_off off, uint64_t n)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_typed_start(seg, door, t, 0, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_write_begin(&tx, &t->object.guard);
    st = resize(&tx, t, &r, n);
    return mps_typed_finish(&tx, st);
}

/* ---- anywhere ---- */

/* Builds a new array: what stands before and after the part, with other items between. */
static mps_status splice_aside(mps_tx *tx, mps_typed *t, const mps_typed_reach *r, uint64_t start, uint64_t stop,
                               const void *items, uint64_t n)
{
    uint8_t *made;
    uint64_t length = r->length - (stop - start) + n, size = r->itemsize;
    tx->urgent = length <= r->length;
    mps_status st = mps_typed_swing(tx, t, size, length + (n > stop - start ? length / 4 : 0), &made);
    tx->urgent = false;
    if (st != MPS_OK) {
        return st;
    }
    mps_span_build(made, r->items, r->length * size, start * size, stop * size, items, n * size);
    mps_tx_set(tx, &t->length, length);
    return MPS_OK;
}

static mps_status splice(mps_tx *tx, mps_typed *t, mps_typed_reach *r, uint64_t start, uint64_t stop, const void *items,
                         uint64_t n)
{
    uint64_t size = r->itemsize, length = r->length - (stop - start) + n;
    if (n > MPS_RAW_MAX || length > MPS_RAW_MAX) {
        return MPS_E_TOOLARGE;
    }
    if (length > mps_typed_maxlen(t)) {
        return MPS_E_INVAL;
    }
    if (n == 0 && stop == r->length) {
        mps_typed_publish(tx, t, start);
        return MPS_OK;
    }
    if (start == r->length) {
        return push(tx, t, r, items, n);
    }
    /* Much is built aside; where that can't be, since others look at the data or there is no memory, it is logged all the same. */
    if (mps_span_cost(r->length * size, start * size, stop * size, n * size) > MPS_SPAN_LOGGED &&
        mps_load64(&t->limit) == 0) {
        mps_status st = splice_aside(tx, t, r, start, stop, items, n);
        if (st != MPS_E_EXISTS && st != MPS_E_FULL) {
            return st;
        }
    }
    mps_status st = mps_typed_provide(tx, t, r, length, false);
    if (st == MPS_OK) {
        st = mps_span_splice(tx, r->items, r->length * size, start * size, stop * size, items, n * size, 1);
    }
    if (st == MPS_OK && length != r->length) {
        mps_tx_set(tx, &t->length, length);
    }
    return st;
}

mps_status mps_typed_pop(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index, void *item)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    uint64_t i = 0;
    mps_status st = mps_typed_start(seg, door, t, itemsize, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_typed_clip(index, r.length, &i) ? MPS_OK : MPS_E_RANGE;
    if (mps_likely(st == MPS_OK)) {
        if (item != NULL) {
            mps_racy_copy(item, r.items + i * r.itemsize, r.itemsize);
        }
        mps_tx_write_begin(&tx, &t->object.guard);
        st = splice(&tx, t, &r, i, i + 1, NULL, 0);
    }
    return mps_typed_finish(&tx, st);
}

static mps_status assign_stepped(mps_tx *tx, const mps_typed_reach *r, int64_t start, int64_t step,
                                 const uint8_t *items, uint64_t n)
{
    mps_status st = MPS_OK;
    uint64_t at = (uint64_t)start, size = r->itemsize;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++, at += (uint64_t)step) {
        st = mps_span_splice(tx, r->items + at * size, size, 0, size, items + i * size, size, 0);
    }
    return st;
}

static mps_status assign(mps_tx *tx, mps_typed *t, uint64_t itemsize, const mps_slice *slice, const void *items,
                         uint64_t n, uint64_t *found)
{
    mps_typed_reach r;
    int64_t start, stop, step;
    mps_status st = mps_typed_enter(tx, t, itemsize, &r);
    if (st != MPS_OK) {
        return st;
    }
    *found = mps_slice_adjust(slice, r.length, &start, &stop, &step);
    if (step != 1 && *found != n) {
        return MPS_E_CHANGED;
    }
    mps_tx_write_begin(tx, &t->object.guard);
    if (step != 1) {
        return assign_stepped(tx, &r, start, step, items, n);
    }
    return splice(tx, t, &r, (uint64_t)start, (uint64_t)start + *found, items, n);
}

mps_status mps_typed_assign(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_slice slice,
                            const void *items, uint64_t n, uint64_t *found)
{
    mps_tx tx;
    if (slice.step == 0) {
        return MPS_E_RANGE;
    }
    mps_status st = mps_tx_begin(seg, &tx, door);
    return st == MPS_OK ? mps_typed_finish(&tx, assign(&tx, mps_typed_at(seg, off), itemsize, &slice, items, n, found))
                        : st;
}

/* As splice, for one item many times over. */
static mps_status fill_run(mps_tx *tx, mps_typed *t, mps_typed_reach *r, uint64_t start, uint64_t n, const void *item)
{
    uint8_t *items = malloc(n * r->itemsize);
    if (items == NULL) {
        return MPS_E_NOMEM;
    }
    for (uint64_t i = 0; i < n; i++) {
        memcpy(items + i * r->itemsize, item, r->itemsize);
    }
    mps_status st = splice(tx, t, r, start, start + n, items, n);
    free(items);
    return st;
}

static mps_status fill(mps_tx *tx, mps_typed *t, uint64_t itemsize, const mps_slice *slice, const void *item)
{
    mps_typed_reach r;
    int64_t start, stop, step;
    mps_status st = mps_typed_enter(tx, t, itemsize, &r);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t n = mps_slice_adjust(slice, r.length, &start, &stop, &step), at = (uint64_t)start;
    mps_tx_write_begin(tx, &t->object.guard);
    if (step == 1 && n > 1) {
        return fill_run(tx, t, &r, (uint64_t)start, n, item);
    }
    for (uint64_t i = 0; i < n && st == MPS_OK; i++, at += (uint64_t)step) {
        st = mps_span_splice(tx, r.items + at * r.itemsize, r.itemsize, 0, r.itemsize, item, r.itemsize, 0);
    }
    return st;
}

mps_status mps_typed_fill(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_slice slice,
                          const void *item)
{
    mps_tx tx;
    if (slice.step == 0) {
        return MPS_E_RANGE;
    }
    mps_status st = mps_tx_begin(seg, &tx, door);
    return st == MPS_OK ? mps_typed_finish(&tx, fill(&tx, mps_typed_at(seg, off), itemsize, &slice, item)) : st;
}

mps_status mps_typed_insert(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index,
                            const void *items, uint64_t n)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_typed_start(seg, door, t, itemsize, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    int64_t length = (int64_t)r.length;
    int64_t i = index < 0 ? (index < -length ? 0 : index + length) : (index > length ? length : index);
    mps_tx_write_begin(&tx, &t->object.guard);
    st = splice(&tx, t, &r, (uint64_t)i, (uint64_t)i, items, n);
    return mps_typed_finish(&tx, st);
}

mps_status mps_typed_replace(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, const void *items, uint64_t n,
                             uint32_t version)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_typed_start(seg, door, t, itemsize, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (mps_load32(&t->object.guard.seq) != version) {
        st = MPS_E_CHANGED;
    } else {
        mps_tx_write_begin(&tx, &t->object.guard);
        st = splice(&tx, t, &r, 0, r.length, items, n);
    }
    return mps_typed_finish(&tx, st);
}

/* ---- many items on their way out ---- */

/* MPS_E_RETRY: there is not room enough, and *n says how much it takes. */
static mps_status copy_out(const mps_typed_reach *r, const mps_slice *slice, uint8_t *out, uint64_t *n)
{
    int64_t start, stop, step;
    uint64_t found = mps_slice_adjust(slice, r->length, &start, &stop, &step), room = *n, size = r->itemsize;
    *n = found;
    if (found > room) {
        return MPS_E_RETRY;
    }
    if (step == 1) {
        if (found > 0) {
            mps_racy_copy(out, r->items + (uint64_t)start * size, found * size);
        }
        return MPS_OK;
    }
    uint64_t at = (uint64_t)start;
    for (uint64_t i = 0; i < found; i++, at += (uint64_t)step) {
        mps_racy_copy(out + i * size, r->items + at * size, size);
    }
    return MPS_OK;
}

static mps_status read_once(mps_seg *seg, mps_door door, mps_typed *t, uint64_t itemsize, const mps_slice *slice,
                            void *items, uint64_t *n, uint32_t *version)
{
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    *version = mps_load32(&t->object.guard.seq);
    st = st == MPS_OK ? mps_typed_reach_sized(seg, t, itemsize, &r) : st;
    st = st == MPS_OK ? copy_out(&r, slice, items, n) : st;
    bool short_of_room = st == MPS_E_RETRY; /* ... and not a change half done */
    st = mps_copy_end(&tx, short_of_room ? MPS_OK : st, NULL, NULL);
    return short_of_room && st == MPS_OK ? MPS_E_NOTFOUND : st;
}

mps_status mps_typed_read(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_slice slice, void *items,
                          uint64_t *n, uint32_t *version)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_typed_reach r;
    uint64_t room = *n;
    if (slice.step == 0) {
        return MPS_E_RANGE;
    }
    mps_glance glance = mps_glance_at(seg, &t->object.guard);
    while (mps_glance_next(&glance)) {
        *n = room;
        *version = glance.seq;
        mps_status st = mps_typed_reach_sized(seg, t, itemsize, &r);
        st = st == MPS_OK ? copy_out(&r, &slice, items, n) : st;
        if (mps_glance_valid(&glance)) {
            return st;
        }
    }
    uint64_t since = 0;
    mps_status st;
    do {
        *n = room;
        st = read_once(seg, door, t, itemsize, &slice, items, n, version);
    } while (mps_reader_again(seg, door, &st, &since));
    return st == MPS_E_NOTFOUND ? MPS_E_RETRY : st;
}
