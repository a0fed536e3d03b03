#include "recover.h"

#include "lock.h"
#include "os.h"
#include "refs.h"

/* ---- steps 1 to 3: its locks ---- */

/* Step 1 for one lane: an allocation that was going on is undone, and the allocator let go of. */
static mps_status undo_inner(mps_seg *seg, uint32_t slot, uint32_t lane, uint32_t token)
{
    mps_tx tx;
    mps_status st = mps_tx_adopt_lane(seg, &tx, slot, lane, token);
    if (st == MPS_OK && mps_ctl_inner(tx.ctl) > 0) {
        mps_tx_abort_inner(&tx);
    }
    return st;
}

/* Step 2: the operation that was going on is undone, or its frees are carried out, under the guards it held. */
static mps_status settle(mps_seg *seg, uint32_t slot, uint32_t lane, uint32_t token)
{
    mps_tx tx;
    mps_status st = mps_tx_adopt_lane(seg, &tx, slot, lane, token);
    if (st == MPS_OK && tx.ctl != 0) {
        tx.n_held = MPS_HELD - 1; /* its guards stay where they are: what we take comes behind them */
        mps_store64(&tx.lane->held[MPS_HELD - 1], 0);
        st = mps_tx_settle(&tx);
    }
    return st;
}

/* Step 3 for one lane. Guards that it was only about to take, or has let go of, are others' business. */
static void release_guards(mps_seg *seg, mps_lane *lane, uint32_t token)
{
    for (uint32_t i = MPS_HELD; i-- > 0;) {
        mps_off off = mps_load64(&lane->held[i]);
        if (off == 0) {
            continue;
        }
        if ((off & 7) == 0 && off >= MPS_PAGE / 16 && mps_region_holds(&seg->region, off, sizeof(mps_guard))) {
            mps_guard_release_for(mps_region_at(&seg->region, off), token);
        }
        mps_barrier();
        mps_store64(&lane->held[i], 0);
    }
}

static mps_status free_its_locks(mps_seg *seg, uint32_t slot, uint32_t token)
{
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < MPS_LANES && st == MPS_OK; i++) {
        st = undo_inner(seg, slot, i, token);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_alloc_release_for(seg, token);
    for (uint32_t i = 0; i < MPS_LANES && st == MPS_OK; i++) {
        st = settle(seg, slot, i, token);
    }
    if (st != MPS_OK) {
        return st;
    }
    for (uint32_t i = 0; i < MPS_LANES; i++) {
        release_guards(seg, &body->lanes[i], token);
    }
    return MPS_OK;
}

/* ---- step 4: its belongings ---- */

static mps_status empty_lane(mps_seg *seg, uint32_t slot, uint32_t lane, uint32_t token)
{
    mps_tx tx;
    mps_status st = mps_tx_adopt_lane(seg, &tx, slot, lane, token);
    if (st == MPS_OK && tx.ctl != 0) {
        st = MPS_E_CORRUPT; /* its operations were settled before */
    }
    if (st == MPS_OK) {
        st = mps_hold_drop(&tx);
    }
    if (st == MPS_OK) {
        st = mps_limbo_drain(&tx);
    }
    return st;
}

static mps_status drop_references(mps_seg *seg, uint32_t slot, uint32_t token)
{
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    mps_tx tx;
    mps_status st = mps_tx_adopt_lane(seg, &tx, slot, 0, token);
    for (bool done = false; st == MPS_OK && !done;) {
        st = mps_refs_drop_some(&tx, body, &done);
        if (st != MPS_OK) {
            mps_tx_abort(&tx);
            return st;
        }
        st = mps_tx_commit(&tx);
        if (st == MPS_OK) {
            st = mps_limbo_drain(&tx);
        }
    }
    return st;
}

static mps_status empty_slot(mps_seg *seg, uint32_t slot, uint32_t token)
{
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < MPS_LANES && st == MPS_OK; i++) {
        st = empty_lane(seg, slot, i, token);
    }
    if (st == MPS_OK) {
        st = drop_references(seg, slot, token);
    }
    for (uint32_t i = 0; i < MPS_LANES && st == MPS_OK; i++) {
        mps_tx tx;
        st = mps_tx_adopt_lane(seg, &tx, slot, i, token);
        if (st == MPS_OK) {
            st = mps_alloc_flush(&tx, 0);
        }
    }
    return st;
}

/* ---- all of it ---- */

/* Under control->recovery. */
static mps_status recover_slot(mps_seg *seg, uint32_t slot, uint32_t token, bool locks_only)
{
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    if (!mps_region_holds(&seg->region, mps_region_off(&seg->region, body), sizeof(*body))) {
        return MPS_E_CORRUPT;
    }
    mps_status st = free_its_locks(seg, slot, token);
    if (st != MPS_OK || locks_only) {
        return st;
    }
    st = empty_slot(seg, slot, token);
    if (st != MPS_OK) {
        return st;
    }
    mps_control *control = seg->control;
    mps_store64(&control->recoveries, mps_load64(&control->recoveries) + 1);
    mps_slot_retire(seg, slot);
    return MPS_OK;
}

mps_status mps_recovery_begin(mps_seg *seg)
{
    mps_status st = mps_word_lock(seg, &seg->control->recovery, seg->token);
    if (st == MPS_OK) {
        __atomic_store_n(&seg->recovering, mps_os_thread_id(), __ATOMIC_RELAXED);
    }
    return st;
}

void mps_recovery_end(mps_seg *seg, uint32_t token)
{
    __atomic_store_n(&seg->recovering, 0, __ATOMIC_RELAXED);
    mps_word_unlock(&seg->control->recovery, token);
}

static mps_status recover_if_dead(mps_seg *seg, uint32_t token, bool nested)
{
    uint32_t slot = mps_token_slot(token);
    uint64_t word = mps_load64(&mps_slot_head_at(seg, slot)->word);
    bool same = (word & 0xff) == MPS_SLOT_USED && mps_token_make(word, slot) == token;
    /* Our own token names a dead process only while we claim its slot (slots.c). */
    if (!same || (token != seg->token && mps_token_alive(seg, token) != 0)) {
        return MPS_OK;
    }
    mps_status st = recover_slot(seg, slot, token, nested);
    if (st == MPS_E_CORRUPT) {
        mps_store32(&seg->control->state, MPS_STATE_BROKEN);
    }
    return st;
}

mps_status mps_recover_token(mps_seg *seg, uint32_t token)
{
    if (mps_token_slot(token) >= seg->n_slots) {
        return MPS_E_CORRUPT;
    }
    if (__atomic_load_n(&seg->recovering, __ATOMIC_RELAXED) == mps_os_thread_id()) {
        return recover_if_dead(seg, token, true);
    }
    uint32_t ours = seg->token;
    mps_status st = mps_recovery_begin(seg);
    if (st == MPS_OK) {
        st = recover_if_dead(seg, token, false);
        mps_recovery_end(seg, ours);
    }
    return st;
}

mps_status mps_recover_leave(mps_seg *seg)
{
    uint32_t ours = seg->token;
    mps_status st = mps_recovery_begin(seg);
    if (st == MPS_OK) {
        st = empty_slot(seg, seg->slot, ours);
        mps_recovery_end(seg, ours);
    }
    return st;
}

mps_status mps_recover_all(mps_seg *seg, uint32_t *count)
{
    *count = 0;
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        uint64_t word = mps_load64(&mps_slot_head_at(seg, slot)->word);
        if ((word & 0xff) != MPS_SLOT_USED) {
            continue;
        }
        uint32_t token = mps_token_make(word, slot);
        if (mps_token_alive(seg, token) != 0) {
            continue;
        }
        mps_status st = mps_recover_token(seg, token);
        if (st != MPS_OK) {
            return st;
        }
        *count += 1;
    }
    return MPS_OK;
}
