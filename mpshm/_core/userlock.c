#include "userlock.h"

#include "os.h"

#define DIED 1u        /* the present owner got it from one that died */
#define DIED_BEFORE 2u /* nobody has it: the last owner died, and the next one is to be told */

/* The word is ours: says whose exactly. */
static inline void taken(mps_userlock *lock, uint32_t died)
{
    mps_store64(&lock->thread, mps_os_thread_id());
    mps_store32(&lock->depth, 1);
    if (mps_unlikely(mps_load32(&lock->died) != died)) {
        mps_store32(&lock->died, died);
    }
}

/* Nobody's any more. The thread goes first: the word's next owner may be another thread of this process. */
static inline void let_go(mps_userlock *lock, uint32_t died)
{
    mps_store64(&lock->thread, 0);
    mps_store32(&lock->depth, 0);
    if (mps_unlikely(mps_load32(&lock->died) != died)) {
        mps_store32(&lock->died, died);
    }
    mps_store32_release(&lock->word, 0);
    mps_wake(&lock->word, &lock->waiters, 1);
}

static inline uint32_t died_before(const mps_userlock *lock)
{
    return mps_unlikely(mps_load32(&lock->died) == DIED_BEFORE) ? DIED : 0;
}

bool mps_userlock_mine(const mps_seg *seg, const mps_userlock *lock)
{
    uint32_t owner = mps_load32(&lock->word);
    return owner != 0 && owner == seg->token && mps_load64(&lock->thread) == mps_os_thread_id();
}

bool mps_userlock_held(mps_seg *seg, mps_userlock *lock)
{
    uint32_t v = mps_load32(&lock->word);
    return v != 0 && mps_token_alive(seg, v) == 1;
}

/* Takes the word from an owner that is dead, and either keeps the lock or leaves it free: whether the wait is over. */
static bool succeed(mps_seg *seg, mps_userlock *lock, uint32_t seen, bool take)
{
    if (mps_token_alive(seg, seen) > 0 || !mps_cas32(&lock->word, &seen, seg->token)) {
        return false;
    }
    if (take) {
        taken(lock, DIED);
    } else {
        let_go(lock, DIED_BEFORE);
    }
    return true;
}

/* Looks once: whether the wait is over. *seen: what the word was, if not. */
static bool look(mps_seg *seg, mps_userlock *lock, bool take, bool ask, uint32_t *seen)
{
    while ((*seen = mps_load32(&lock->word)) == 0) {
        if (!take) {
            return true;
        }
        if (mps_cas32(&lock->word, seen, seg->token)) {
            taken(lock, died_before(lock));
            return true;
        }
    }
    return ask && succeed(seg, lock, *seen, take);
}

/* Waits until the lock is free (and takes it), its owner is dead (and succeeds it), or the time is over. */
static mps_status wait_for(mps_seg *seg, mps_door door, mps_userlock *lock, bool take, uint64_t timeout_ns)
{
    uint32_t seen;
    if (timeout_ns == 0) {
        return look(seg, lock, take, true, &seen) ? MPS_OK : MPS_E_TIMEOUT;
    }
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    nap.patient = mps_load32(&lock->word) == seg->token; /* the thread that has it may need the GIL to let go */
    mps_status st = MPS_OK;
    while (st == MPS_OK && !look(seg, lock, take, nap.slept, &seen)) {
        st = mps_nap_wait(&nap, &lock->word, seen, &lock->waiters);
    }
    mps_nap_end(&nap);
    if (nap.slept && !take) {
        mps_wake(&lock->word, &lock->waiters, 1); /* the wake-up was meant for one who takes the lock */
    }
    return st;
}

/* A process that has a lock stays attached even without a handle: leaving would look like its death. */
static inline void count_locks(mps_seg *seg, mps_door door, uint32_t n)
{
    if (mps_likely(door == MPS_DOOR_GIL)) {
        seg->gil_locks += n;
    } else {
        __atomic_fetch_add(&seg->locks, n, __ATOMIC_RELAXED);
    }
}

mps_status mps_userlock_acquire(mps_seg *seg, mps_door door, mps_userlock *lock, bool reentrant, uint64_t timeout_ns)
{
    mps_status st = mps_tx_take_slot(seg, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    uint32_t free = 0;
    if (mps_likely(mps_cas32(&lock->word, &free, seg->token))) {
        taken(lock, died_before(lock));
        count_locks(seg, door, 1);
        return MPS_OK;
    }
    if (reentrant && mps_userlock_mine(seg, lock)) {
        uint32_t depth = mps_load32(&lock->depth);
        if (depth == UINT32_MAX) {
            return MPS_E_TOOLARGE;
        }
        mps_store32(&lock->depth, depth + 1);
        return MPS_OK;
    }
    st = wait_for(seg, door, lock, true, timeout_ns);
    if (st == MPS_OK) {
        count_locks(seg, door, 1);
    }
    return st;
}

/* Lets go wholly of a lock that is held. */
static inline void release(mps_seg *seg, mps_door door, mps_userlock *lock, uint32_t owner)
{
    if (mps_likely(owner == seg->token)) {
        count_locks(seg, door, UINT32_MAX);
    }
    let_go(lock, 0);
}

mps_status mps_userlock_release(mps_seg *seg, mps_door door, mps_userlock *lock, bool owner_only)
{
    if (mps_unlikely(seg->region.readonly)) {
        return MPS_E_READONLY;
    }
    uint32_t owner = mps_load32(&lock->word);
    if (owner == 0 || (owner_only && !mps_userlock_mine(seg, lock))) {
        return MPS_E_NOTOWNER;
    }
    uint32_t depth = mps_load32(&lock->depth);
    if (owner_only && depth > 1) {
        mps_store32(&lock->depth, depth - 1);
    } else {
        release(seg, door, lock, owner);
    }
    return MPS_OK;
}

mps_status mps_userlock_release_all(mps_seg *seg, mps_door door, mps_userlock *lock, bool owner_only, uint32_t *depth)
{
    if (mps_unlikely(seg->region.readonly)) {
        return MPS_E_READONLY;
    }
    uint32_t owner = mps_load32(&lock->word);
    if (owner == 0 || (owner_only && !mps_userlock_mine(seg, lock))) {
        return MPS_E_NOTOWNER;
    }
    *depth = mps_load32(&lock->depth);
    release(seg, door, lock, owner);
    return MPS_OK;
}

void mps_userlock_deepen(mps_userlock *lock, uint32_t depth)
{
    mps_store32(&lock->depth, depth);
}

mps_status mps_userlock_wait(mps_seg *seg, mps_door door, mps_userlock *lock, uint64_t timeout_ns)
{
    mps_status st = mps_tx_take_slot(seg, door);
    if (st != MPS_OK || mps_load32(&lock->word) == 0 || mps_userlock_mine(seg, lock)) {
        return st;
    }
    return wait_for(seg, door, lock, false, timeout_ns);
}
