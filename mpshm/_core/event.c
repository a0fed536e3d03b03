#include "event.h"

#include "reader.h"

#define SET 1u

static inline mps_event *event_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* Whether it may be changed: MPS_E_CLOSED, MPS_E_READONLY. */
static inline mps_status open(const mps_seg *seg)
{
    uint32_t state = mps_load32(&seg->control->state);
    if (mps_likely(state == MPS_STATE_READY)) {
        return MPS_OK;
    }
    return state == MPS_STATE_CLOSED ? MPS_E_CLOSED : state == MPS_STATE_READING ? MPS_E_READONLY : MPS_E_CORRUPT;
}

mps_status mps_event_is_set(mps_seg *seg, mps_off off, bool *set)
{
    *set = (mps_load32_acquire(&event_at(seg, off)->word) & SET) != 0;
    return mps_reader_look(seg, off);
}

mps_status mps_event_set(mps_seg *seg, mps_off off)
{
    mps_event *e = event_at(seg, off);
    mps_status st = open(seg);
    uint32_t word = mps_load32(&e->word);
    while (mps_likely(st == MPS_OK) && (word & SET) == 0) {
        if (mps_cas32(&e->word, &word, (word + 2) | SET)) {
            mps_wake(&e->word, &e->waiters, INT32_MAX);
            break;
        }
    }
    return st;
}

mps_status mps_event_clear(mps_seg *seg, mps_off off)
{
    mps_event *e = event_at(seg, off);
    mps_status st = open(seg);
    uint32_t word = mps_load32(&e->word);
    while (mps_likely(st == MPS_OK) && (word & SET) != 0 && !mps_cas32(&e->word, &word, word & ~SET)) {
    }
    return st;
}

mps_status mps_event_wait(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns)
{
    mps_event *e = event_at(seg, off);
    uint32_t seen = mps_load32_acquire(&e->word);
    mps_status st = mps_reader_look(seg, off);
    if (mps_unlikely(st != MPS_OK) || (seen & SET) != 0) {
        return st;
    }
    if (timeout_ns == 0) {
        return MPS_E_TIMEOUT;
    }
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    while (st == MPS_OK && mps_load32_acquire(&e->word) == seen) {
        st = mps_nap_wait(&nap, &e->word, seen, &e->waiters);
    }
    mps_nap_end(&nap);
    return st == MPS_E_TIMEOUT && mps_load32_acquire(&e->word) != seen ? MPS_OK : st;
}

/* ---- dying, check ---- */

mps_status mps_event_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)tx;
    (void)m;
    (void)off;
    *done = true;
    return MPS_OK;
}

mps_status mps_event_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    (void)seg;
    (void)off;
    (void)v;
    return MPS_OK;
}
