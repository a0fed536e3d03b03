#include "reader.h"

#include "lock.h"
#include "os.h"

#define LOOKS 200u /* at a busy sequence, before sleeping */
#define NAP_NS 100000u
#define LIMIT_NS 10000000000u /* a writer that has not ended after this long is dead, or stopped */

/* What a segment that is only read says of itself. */
static mps_status state_of(const mps_seg *seg)
{
    switch (mps_load32(&seg->watched->state)) {
    case MPS_STATE_READY: return MPS_OK;
    case MPS_STATE_CLOSED: return MPS_E_CLOSED;
    default: return MPS_E_CORRUPT;
    }
}

mps_status mps_reader_look_slow(mps_seg *seg, mps_off off)
{
    if (!seg->region.readonly) {
        return mps_load32(&seg->control->state) == MPS_STATE_CLOSED ? MPS_E_CLOSED : MPS_E_CORRUPT;
    }
    mps_status st = state_of(seg);
    return st == MPS_OK && !mps_ref_is_same(seg, off) ? MPS_E_STALE : st;
}

mps_status mps_reader_begin_slow(mps_seg *seg, mps_tx *tx, mps_door door)
{
    mps_status st = state_of(seg);
    if (st != MPS_OK) {
        return st;
    }
    uint32_t lane = mps_lane_claim(seg, door);
    *tx = (mps_tx){.seg = seg, .lane = &seg->body->lanes[lane], .lane_index = lane, .door = door, .reading = true};
    return MPS_OK;
}

/* Waits until the sequence is even. */
static mps_status wait_for_writer(mps_tx *tx, const mps_guard *guard)
{
    uint64_t until = 0;
    for (uint32_t n = 0;; n++) {
        tx->read_seq = mps_read_begin(guard);
        if (mps_likely((tx->read_seq & 1u) == 0)) {
            mps_tx_enter(tx);
            return MPS_OK;
        }
        if (n < LOOKS) {
            mps_pause();
            continue;
        }
        mps_tx_leave(tx);
        uint64_t now = mps_os_now();
        until = until == 0 ? now + LIMIT_NS : until;
        if (now > until) {
            mps_tx_enter(tx);
            return MPS_E_TIMEOUT;
        }
        mps_os_sleep(NAP_NS);
    }
}

mps_status mps_reader_lock_slow(mps_tx *tx, mps_object *obj)
{
    mps_status st = wait_for_writer(tx, &obj->guard);
    if (st != MPS_OK) {
        return st;
    }
    tx->guards[tx->n_held++] = &obj->guard;
    return mps_ref_is_same(tx->seg, mps_region_off(&tx->seg->region, obj)) ? MPS_OK : MPS_E_STALE;
}

mps_status mps_reader_end(mps_tx *tx, mps_status st)
{
    mps_seg *seg = tx->seg;
    if (tx->n_held > 0) {
        const mps_guard *guard = tx->guards[0];
        mps_off off = mps_region_off(&seg->region, guard) - offsetof(mps_object, guard);
        if (!mps_read_valid(guard, tx->read_seq)) {
            st = MPS_E_RETRY;
        } else if (!mps_ref_is_same(seg, off)) {
            st = MPS_E_STALE;
        }
    }
    mps_tx_enter(tx);
    mps_lane_release(seg, tx->lane_index);
    return st;
}

bool mps_reader_again(mps_seg *seg, mps_door door, mps_status *st, uint64_t *since)
{
    if (mps_likely(*st != MPS_E_RETRY || !seg->region.readonly)) {
        return false;
    }
    uint64_t now = mps_os_now();
    *since = *since == 0 ? now : *since;
    if (now - *since > LIMIT_NS) {
        *st = MPS_E_TIMEOUT;
        return false;
    }
    if (now - *since > NAP_NS) {
        void *state = mps_door_leave(door);
        mps_os_sleep(NAP_NS);
        mps_door_enter(door, state);
    }
    return true;
}

static mps_status word_once(mps_seg *seg, mps_door door, mps_object *obj, const uint64_t *word, uint64_t *n)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, obj);
    *n = mps_load64(word);
    if (tx.reading) {
        return mps_reader_end(&tx, st);
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

mps_status mps_reader_word_slow(mps_seg *seg, mps_door door, mps_object *obj, const uint64_t *word, uint64_t *n)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = word_once(seg, door, obj, word, n);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}
