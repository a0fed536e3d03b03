#include "lock.h"

#include "os.h"

#define SPINS 100
#define WAIT_MIN_NS 2000000u       /* 2 ms */
#define WAIT_MAX_NS 10000000u      /* 10 ms */
#define REST_LIMIT_NS 60000000000u /* 60 s: no operation takes that long, but one of a stopped process */
#define GLANCES 256u
#define STRANGE 3u /* looks, a sleep apart, after which an owner that can't be one is believed to be none */

/* One try and one sleep on a lock word. *mine: we have it now. Answers the owner's token when the sleep ended without news. */
static uint32_t try_or_sleep(uint32_t *word, uint32_t token, uint64_t timeout_ns, bool *mine)
{
    uint32_t v = mps_load32(word);
    if ((v & ~MPS_WAITERS) == 0) {
        /* Others may sleep too: whoever has slept takes the lock with the waiters bit. */
        *mine = mps_cas32(word, &v, token | MPS_WAITERS);
        return 0;
    }
    if ((v & MPS_WAITERS) == 0) {
        if (!mps_cas32(word, &v, v | MPS_WAITERS)) {
            return 0;
        }
        v |= MPS_WAITERS;
    }
    return mps_os_wait(word, v, timeout_ns) != MPS_OK ? v & ~MPS_WAITERS : 0;
}

static bool spin(uint32_t *word, uint32_t token)
{
    for (int i = 0; i < SPINS; i++) {
        uint32_t v = mps_load32(word);
        if (v == 0 && mps_cas32(word, &v, token)) {
            return true;
        }
        mps_pause();
    }
    return false;
}

/* Whether a lane of the owner's slot lists the guard, as it does from before it is taken until after it was let go of. A word that
 * names a living process which does not list it was never written by that process: the segment is damaged. */
static bool owner_lists(const mps_tx *tx, uint32_t owner, const mps_guard *guard)
{
    mps_off off = mps_region_off(&tx->seg->region, guard);
    const mps_slot_body *body = mps_slot_body_at(tx->seg, mps_token_slot(owner));
    for (uint32_t i = 0; i < MPS_LANES * MPS_HELD; i++) {
        const mps_lane *lane = &body->lanes[i / MPS_HELD];
        bool our_wish = lane == tx->lane && i % MPS_HELD == tx->n_held;
        if (!our_wish && mps_load64(&lane->held[i % MPS_HELD]) == off) {
            return true;
        }
    }
    return false;
}

/* What to do about an owner that has kept us waiting. *strange counts how often it seemed to be none. */
static mps_status look_at_owner(mps_tx *tx, const mps_guard *guard, uint32_t owner, uint32_t *strange)
{
    mps_seg *seg = tx->seg;
    int alive = mps_token_alive(seg, owner);
    if (alive == 0) {
        return seg->hooks->recover_locks(seg, owner);
    }
    bool real = alive > 0 && !MPS_LIVENESS;
    /* An owner that takes and leaves it again and again may move from lane to lane under our eyes: so look often. */
    for (uint32_t i = 0; alive > 0 && !real && i < GLANCES && mps_load32(&guard->lock) == owner; i++) {
        real = owner_lists(tx, owner, guard);
    }
    if (real || mps_load32(&guard->lock) != owner) {
        *strange = 0;
    } else if (++*strange > STRANGE) {
        return MPS_E_CORRUPT;
    }
    return mps_load32(&seg->control->state) == MPS_STATE_BROKEN ? MPS_E_CORRUPT : MPS_OK;
}

/* One try and one sleep on a guard, as try_or_sleep; who has slept leaves word that others may sleep too. */
static uint32_t try_or_sleep_on(mps_guard *guard, uint32_t token, uint64_t timeout_ns, bool *mine)
{
    uint32_t v = 0;
    if (mps_cas32(&guard->lock, &v, token)) {
        mps_store32(&guard->waiters, 1);
        *mine = true;
        return 0;
    }
    mps_swap32(&guard->waiters, 1);
    return mps_os_wait(&guard->lock, v, timeout_ns) != MPS_OK ? v : 0;
}

/* Lets go, and wakes one who sleeps. */
static inline void let_go(mps_guard *guard)
{
    mps_store32_release(&guard->lock, 0);
    if (mps_unlikely(mps_load32(&guard->waiters) != 0)) {
        mps_store32(&guard->waiters, 0);
        mps_os_wake(&guard->lock, 1);
    }
}

mps_status mps_tx_lock_wait(mps_tx *tx, mps_guard *guard)
{
    if (spin(&guard->lock, tx->token)) {
        return MPS_OK;
    }
    mps_tx_leave(tx);
    uint64_t timeout_ns = WAIT_MIN_NS;
    bool mine = false;
    mps_status st = MPS_OK;
    uint32_t strange = 0;
    while (!mine && st == MPS_OK) {
        uint32_t owner = try_or_sleep_on(guard, tx->token, timeout_ns, &mine);
        if (owner != 0) {
            timeout_ns = mps_min64(timeout_ns * 2, WAIT_MAX_NS);
            st = look_at_owner(tx, guard, owner, &strange);
        }
    }
    if (st != MPS_OK && tx->n_held == 0) {
        mps_tx_enter(tx);
    }
    return st;
}

mps_status mps_tx_lock_frozen(mps_tx *tx, mps_guard *guard)
{
    mps_seg *seg = tx->seg;
    const mps_lane *lane = tx->lane;
    if (tx->ctl != 0 || (mps_load64(&lane->limbo) | mps_load64(&lane->hold[0]) | mps_load64(&lane->hold[1])) != 0) {
        tx->guards[tx->n_held++] = guard; /* begun before the freeze, which waits for the end of it */
        return MPS_OK;
    }
    for (;;) {
        let_go(guard);
        mps_barrier();
        mps_store64(&tx->lane->held[0], 0);
        mps_tx_leave(tx);
        uint32_t freezer;
        while ((freezer = mps_load32(&seg->control->freeze)) != 0) {
            mps_os_wait(&seg->control->freeze, freezer, WAIT_MAX_NS);
            uint32_t token = freezer & ~MPS_WAITERS;
            bool bogus = token == seg->token && __atomic_load_n(&seg->freezers, __ATOMIC_ACQUIRE) == 0;
            if (bogus || mps_token_alive(seg, token) <= 0) {
                mps_cas32(&seg->control->freeze, &freezer, 0);
            }
        }
        mps_store64(&tx->lane->held[0], mps_region_off(&seg->region, guard));
        mps_barrier();
        uint32_t free = 0;
        if (!mps_cas32(&guard->lock, &free, tx->token)) {
            mps_status st = mps_tx_lock_wait(tx, guard);
            if (st != MPS_OK) {
                mps_store64(&tx->lane->held[0], 0);
                return st;
            }
        }
        if (mps_load32(&seg->control->freeze) == 0) {
            tx->guards[tx->n_held++] = guard;
            return MPS_OK;
        }
    }
}

static inline void unlock_one(mps_tx *tx)
{
    uint32_t i = --tx->n_held;
    mps_guard *guard = tx->guards[i];
    uint32_t seq = mps_load32(&guard->seq);
    if (seq & 1u) {
        mps_store32_release(&guard->seq, seq + 1);
    }
    let_go(guard);
    if (MPS_LIVENESS) {
        mps_barrier();
        mps_store64(&tx->lane->held[i], 0);
    }
}

void mps_tx_unlock_last(mps_tx *tx)
{
    unlock_one(tx);
    if (tx->n_held == 0) {
        mps_tx_enter(tx);
    }
}

void mps_tx_unlock_all(mps_tx *tx)
{
    while (tx->n_held > 0) {
        unlock_one(tx);
    }
    if (!tx->has_frees) {
        mps_tx_enter(tx);
    }
}

void mps_guard_release_for(mps_guard *guard, uint32_t token)
{
    if (mps_load32(&guard->lock) != token) {
        return;
    }
    uint32_t seq = mps_load32(&guard->seq);
    if (seq & 1u) {
        mps_store32_release(&guard->seq, seq + 1);
    }
    mps_barrier();
    mps_store32_release(&guard->lock, 0);
    mps_os_wake(&guard->lock, INT32_MAX);
}

/* ---- words ---- */

mps_status mps_word_lock(mps_seg *seg, uint32_t *word, uint32_t token, const uint32_t *threads)
{
    uint32_t free = 0;
    if (mps_cas32(word, &free, token)) {
        return MPS_OK;
    }
    bool mine = false;
    while (!mine) {
        uint32_t owner = try_or_sleep(word, token, WAIT_MIN_NS, &mine);
        if (owner == 0) {
            continue;
        }
        /* Ours, though we are the only thread of ours that wants it: not written by us, so by nobody. */
        bool bogus = owner == seg->token && __atomic_load_n(threads, __ATOMIC_ACQUIRE) <= 1;
        if (bogus || mps_token_alive(seg, owner) <= 0) {
            uint32_t v = owner | MPS_WAITERS;
            mine = mps_cas32(word, &v, token | MPS_WAITERS);
        }
    }
    return MPS_OK;
}

void mps_word_unlock(uint32_t *word, uint32_t token)
{
    uint32_t v = mps_load32(word);
    while ((v & ~MPS_WAITERS) == token) {
        if (mps_cas32(word, &v, 0)) {
            if (v & MPS_WAITERS) {
                mps_os_wake(word, INT32_MAX);
            }
            return;
        }
    }
}

/* ---- freezing ---- */

/* Nothing begun that is not finished: no guard, no journal, nothing dying, nothing held. */
static bool at_rest(const mps_lane *lane)
{
    return mps_load64(&lane->held[0]) == 0 && mps_load64(&lane->ctl) == 0 && mps_load64(&lane->limbo) == 0 &&
           mps_load64(&lane->hold[0]) == 0 && mps_load64(&lane->hold[1]) == 0;
}

static bool somebody_died(mps_seg *seg)
{
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        if (mps_slot_alive(seg, slot) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether no thread of ours is using this lane of our slot. */
static bool idle(const mps_seg *seg, uint32_t lane)
{
    uint32_t idle_lanes =
        __atomic_load_n(&seg->gil_lanes, __ATOMIC_ACQUIRE) | __atomic_load_n(&seg->free_lanes, __ATOMIC_ACQUIRE);
    return (idle_lanes >> lane & 1u) != 0;
}

static mps_status wait_for_rest(mps_seg *seg, uint32_t slot)
{
    mps_slot_head *head = mps_slot_head_at(seg, slot);
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    uint64_t begin = mps_os_now();
    uint32_t strange = 0; /* looks at which a lane that nobody uses was busy */
    for (uint32_t lane = 0, rounds = 0; lane < MPS_LANES;) {
        if ((mps_load64(&head->word) & 0xff) != MPS_SLOT_USED) {
            return MPS_OK;
        }
        if (at_rest(&body->lanes[lane])) {
            lane++;
            strange = 0;
            continue;
        }
        strange = slot == seg->slot && idle(seg, lane) ? strange + 1 : 0;
        if (strange > STRANGE) {
            return MPS_E_CORRUPT;
        }
        if (++rounds % 64 == 0) {
            if (somebody_died(seg)) {
                return MPS_E_RETRY;
            }
            if (mps_os_now() - begin > REST_LIMIT_NS) {
                return MPS_E_TIMEOUT;
            }
        }
        mps_os_sleep(20000);
    }
    return MPS_OK;
}

mps_status mps_freeze(mps_seg *seg)
{
    __atomic_fetch_add(&seg->freezers, 1, __ATOMIC_ACQ_REL);
    mps_status st = mps_word_lock(seg, &seg->control->freeze, seg->token, &seg->freezers);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    for (uint32_t slot = 0; slot < seg->n_slots && st == MPS_OK; slot++) {
        st = wait_for_rest(seg, slot);
    }
    if (st == MPS_OK && somebody_died(seg)) {
        st = MPS_E_RETRY;
    }
    if (st != MPS_OK) {
        mps_unfreeze(seg);
    }
    return st;
}

void mps_unfreeze(mps_seg *seg)
{
    mps_word_unlock(&seg->control->freeze, seg->token);
    __atomic_fetch_sub(&seg->freezers, 1, __ATOMIC_ACQ_REL);
}
