#include "reader.h"
#include "ring_body.h"

/* Ends an operation on which nothing was copied. */
static mps_status finish(mps_tx *tx, mps_status st)
{
    return mps_copy_end(tx, st, NULL, NULL);
}

/* put.items less those that `behind` counts, under the guard of the latter and then put_guard: nothing is undone any more. */
static mps_status difference_locked(mps_seg *seg, mps_door door, mps_ring *r, mps_guard *guard, const uint64_t *behind,
                                    uint32_t *n)
{
    mps_tx tx;
    uint64_t word = 0;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, guard);
    if (st == MPS_OK) {
        st = mps_ring_enter_put(&tx, r, &word);
    }
    *n = mps_ring_items(word) - mps_ring_items(mps_load64(behind));
    return finish(&tx, st);
}

/* The same; without a guard where nobody is in the middle of a change that may be undone. */
static inline mps_status difference(mps_seg *seg, mps_door door, mps_ring *r, mps_guard *guard, const uint64_t *behind,
                                    uint32_t *n)
{
    mps_status st = mps_reader_look(seg, mps_region_off(&seg->region, r));
    uint32_t seq = mps_read_begin(guard);
    uint32_t first = mps_ring_items(mps_load64_acquire(behind)); /* put is never behind it, then */
    uint64_t word = mps_load64_acquire(&r->put);
    *n = mps_ring_items(word) - first;
    if (mps_unlikely(st == MPS_OK && seg->region.readonly)) {
        *n = mps_ring_certain(word) - first; /* (the one that is being put does not count yet) */
    } else if (mps_unlikely(st == MPS_OK &&
                            ((word & MPS_RING_TENTATIVE) != 0 || (seq & 1u) != 0 || !mps_read_valid(guard, seq)))) {
        st = difference_locked(seg, door, r, guard, behind, n);
    }
    return st == MPS_OK && *n > MPS_RING_MOST ? MPS_E_CORRUPT : st;
}

mps_status mps_ring_count(mps_seg *seg, mps_door door, mps_off off, uint32_t *n)
{
    mps_ring *r = mps_ring_at(seg, off);
    return difference(seg, door, r, &r->get_guard, &r->got, n);
}

mps_status mps_ring_unfinished(mps_seg *seg, mps_door door, mps_off off, uint32_t *n)
{
    mps_ring *r = mps_ring_at(seg, off);
    return difference(seg, door, r, &r->object.guard, &r->done, n);
}

/* ---- tasks ---- */

/* Tasks put for certain and not finished; under object.guard. */
static uint32_t unfinished(const mps_ring *r)
{
    uint32_t done = (uint32_t)mps_load64_acquire(&r->done);
    return mps_ring_certain(mps_load64_acquire(&r->put)) - done;
}

mps_status mps_ring_task_done(mps_seg *seg, mps_door door, mps_off off)
{
    mps_ring *r = mps_ring_at(seg, off);
    mps_tx tx;
    uint32_t left = 0;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, &r->object.guard);
    if (st == MPS_OK) {
        left = unfinished(r);
        if (left == 0) {
            st = MPS_E_RANGE;
        } else {
            mps_store64_release(&r->done, (uint32_t)(mps_load64(&r->done) + 1));
        }
    }
    st = finish(&tx, st);
    if (st == MPS_OK && left == 1) {
        mps_wake(mps_ring_futex(&r->done), &r->done_waiters, INT32_MAX);
    }
    return st;
}

mps_status mps_ring_join(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns)
{
    mps_ring *r = mps_ring_at(seg, off);
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    for (;;) {
        uint32_t left = 0, seen = (uint32_t)mps_load64(&r->done);
        mps_status st = mps_ring_unfinished(seg, door, off, &left);
        if (st == MPS_OK && left > 0) {
            st = mps_nap_wait(&nap, mps_ring_futex(&r->done), seen, &r->done_waiters);
            mps_nap_end(&nap);
            if (st == MPS_OK) {
                continue;
            }
        }
        return st;
    }
}

/* ---- shutting down ---- */

/* Throws away what is there: the chunks go to limbo with what is in them. Under all three guards. */
static mps_status drain(mps_tx *tx, mps_ring *r, uint64_t word)
{
    uint64_t got = mps_load64(&r->got);
    uint32_t n = mps_ring_items(word) - mps_ring_items(got);
    mps_off first = mps_load64(&r->first);
    uint64_t rest = mps_ring_word(mps_ring_items(word), 0);
    uint32_t left = unfinished(r);
    mps_tx_write_begin(tx, &r->object.guard);
    mps_tx_write_begin(tx, &r->get_guard);
    mps_tx_set(tx, &r->done, (uint32_t)(mps_load64(&r->done) + mps_min64(n, left)));
    mps_tx_set(tx, &r->got, rest);
    mps_tx_set(tx, &r->put, rest);
    if (first == 0) {
        return n == 0 ? MPS_OK : MPS_E_CORRUPT;
    }
    return mps_ring_let_die(tx, r, got, word);
}

mps_status mps_ring_shut(mps_seg *seg, mps_door door, mps_off off, bool at_once)
{
    mps_ring *r = mps_ring_at(seg, off);
    mps_tx tx;
    uint64_t word = 0;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, &r->object.guard);
    if (st == MPS_OK) {
        st = mps_tx_lock(&tx, &r->get_guard);
    }
    if (st == MPS_OK) {
        st = mps_ring_enter_put(&tx, r, &word);
    }
    if (st == MPS_OK) {
        mps_tx_set(&tx, &r->shut, 1);
        st = at_once ? drain(&tx, r, word) : MPS_OK;
    }
    st = finish(&tx, st);
    if (st == MPS_OK) { /* (come what may of the words that say whether somebody sleeps) */
        mps_os_wake(mps_ring_futex(&r->put), INT32_MAX);
        mps_os_wake(mps_ring_futex(&r->got), INT32_MAX);
        mps_os_wake(mps_ring_futex(&r->done), INT32_MAX);
    }
    return st;
}
