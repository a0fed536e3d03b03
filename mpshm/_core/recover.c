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
    /* It counts as alive while we clean up after it, in its name: nobody must wait for it to go on, we least of all. */
    mps_word_unlock(&seg->control->freeze, token);
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
            st = mps_pools_flush(&tx);
        }
        if (st == MPS_OK) {
            st = mps_alloc_flush(&tx, 0);
        }
    }
    return st;
}

/* ---- who does it ---- */

/* control->recovery for this thread. It is held for steps 1 to 3 only, which wait for nothing but the allocator's guard; so
 * whoever holds other guards may wait for it. */
static mps_status begin(mps_seg *seg)
{
    __atomic_fetch_add(&seg->recoverers, 1, __ATOMIC_ACQ_REL);
    mps_status st = mps_word_lock(seg, &seg->control->recovery, seg->token, &seg->recoverers);
    if (st == MPS_OK) {
        __atomic_store_n(&seg->recovering, mps_os_thread_id(), __ATOMIC_RELAXED);
    } else {
        __atomic_fetch_sub(&seg->recoverers, 1, __ATOMIC_ACQ_REL);
    }
    return st;
}

static void end(mps_seg *seg)
{
    __atomic_store_n(&seg->recovering, 0, __ATOMIC_RELAXED);
    mps_word_unlock(&seg->control->recovery, seg->token);
    __atomic_fetch_sub(&seg->recoverers, 1, __ATOMIC_ACQ_REL);
}

static mps_status found_damage(mps_seg *seg, mps_status st)
{
    if (st == MPS_E_CORRUPT) {
        mps_store32(&seg->control->state, MPS_STATE_BROKEN);
    }
    return st;
}

/* Steps 1 to 3 for a token that is dead still, now that we hold control->recovery. */
static mps_status locks_of(mps_seg *seg, uint32_t token, bool *dead)
{
    uint32_t slot = mps_token_slot(token);
    uint64_t word = mps_load64(&mps_slot_head_at(seg, slot)->word);
    bool same = (word & 0xff) == MPS_SLOT_USED && mps_token_make(word, slot) == token;
    /* Our own token names a dead process only while we claim its slot (slots.c). */
    *dead = same && (token == seg->token ? !mps_slot_is_cleaned(seg, slot) : mps_token_alive(seg, token) == 0);
    if (!*dead) {
        return MPS_OK;
    }
    mps_off body = seg->bodies + slot * seg->body_stride;
    if (!mps_region_holds(&seg->region, body, sizeof(mps_slot_body))) {
        return found_damage(seg, MPS_E_CORRUPT);
    }
    return found_damage(seg, free_its_locks(seg, slot, token));
}

mps_status mps_recover_locks(mps_seg *seg, uint32_t token)
{
    bool dead = false;
    if (mps_token_slot(token) >= seg->n_slots) {
        return MPS_E_CORRUPT;
    }
    if (__atomic_load_n(&seg->recovering, __ATOMIC_RELAXED) == mps_os_thread_id()) {
        return locks_of(seg, token, &dead); /* another dead process's lock met on the way */
    }
    mps_status st = begin(seg);
    if (st == MPS_OK) {
        st = locks_of(seg, token, &dead);
        end(seg);
    }
    if (dead) {
        __atomic_store_n(&seg->dead_seen, 1, __ATOMIC_RELAXED);
    }
    return st;
}

mps_status mps_recover_token(mps_seg *seg, uint32_t token)
{
    uint32_t slot = mps_token_slot(token);
    bool dead = false;
    if (slot >= seg->n_slots) {
        return MPS_E_CORRUPT;
    }
    mps_slot_head *head = mps_slot_head_at(seg, slot);
    mps_status st = begin(seg);
    if (st != MPS_OK) {
        return st;
    }
    st = locks_of(seg, token, &dead);
    if (st == MPS_OK && dead && token != seg->token) {
        mps_store64(&head->cleaner, seg->token); /* to all others it lives, as long as we do */
    }
    end(seg);
    if (st != MPS_OK || !dead) {
        return st;
    }
    st = found_damage(seg, empty_slot(seg, slot, token));
    if (st == MPS_OK) {
        __atomic_fetch_add(&seg->control->recoveries, 1, __ATOMIC_RELAXED);
        mps_slot_retire(seg, slot);
    }
    mps_store64(&head->cleaner, 0);
    return st;
}

mps_status mps_recover_leave(mps_seg *seg)
{
    return empty_slot(seg, seg->slot, seg->token);
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
