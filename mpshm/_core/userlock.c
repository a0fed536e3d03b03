#include "userlock.h"

#include "os.h"

#define SPINS 100
#define SLICE_MIN_NS 2000000u  /* 2 ms */
#define SLICE_MAX_NS 50000000u /* 50 ms: a dead owner is noticed within two of them */
#define LOOK_UP 2u     /* sleeps of full length after which a holder of the GIL looks at its signals, come what may */
#define DIED 1u        /* the present owner got it from one that died */
#define DIED_BEFORE 2u /* nobody has it: the last owner died, and the next one is to be told */

/* A wait that goes on. */
typedef struct wait {
    mps_seg *seg;
    mps_userlock *lock;
    uint64_t deadline; /* MPS_FOREVER: none */
    uint64_t slice_ns;
    uint32_t look_up; /* sleeps of full length until MPS_E_INTR is answered; 0: never without a signal */
    bool take;        /* take the lock; else only wait until it is free */
    bool slept;
} wait;

/* Sees to it that this process has a slot, so that it can be an owner. */
static mps_status own_slot(mps_seg *seg, mps_door door)
{
    if (mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY && seg->token != 0 &&
                   mps_load64(&seg->head->word) == seg->slot_word)) {
        return MPS_OK;
    }
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st == MPS_OK) {
        mps_tx_end(&tx);
    }
    return st;
}

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
    if (mps_unlikely(mps_swap32(&lock->word, 0) & MPS_WAITERS)) {
        mps_os_wake(&lock->word, 1);
    }
}

static inline uint32_t died_before(const mps_userlock *lock)
{
    return mps_unlikely(mps_load32(&lock->died) == DIED_BEFORE) ? DIED : 0;
}

bool mps_userlock_mine(const mps_seg *seg, const mps_userlock *lock)
{
    uint32_t owner = mps_load32(&lock->word) & ~MPS_WAITERS;
    return owner != 0 && owner == seg->token && mps_load64(&lock->thread) == mps_os_thread_id();
}

bool mps_userlock_held(mps_seg *seg, mps_userlock *lock)
{
    uint32_t v = mps_load32(&lock->word);
    return v != 0 && mps_token_alive(seg, v & ~MPS_WAITERS) == 1;
}

static bool spin(uint32_t *word)
{
    for (int i = 0; i < SPINS && mps_load32(word) != 0; i++) {
        mps_pause();
    }
    return mps_load32(word) == 0;
}

/* Takes the lock's word from an owner that is dead; *done: the wait is over. */
static void succeed(wait *w, uint32_t seen, bool *done)
{
    if (mps_token_alive(w->seg, seen & ~MPS_WAITERS) > 0 ||
        !mps_cas32(&w->lock->word, &seen, w->seg->token | MPS_WAITERS)) {
        return;
    }
    *done = true;
    if (w->take) {
        taken(w->lock, DIED);
    } else {
        let_go(w->lock, DIED_BEFORE);
    }
}

/* Sleeps once; MPS_OK: look again. */
static mps_status sleep_once(wait *w, uint32_t seen)
{
    uint64_t timeout_ns = w->slice_ns;
    if (w->deadline != MPS_FOREVER) {
        uint64_t now = mps_os_now();
        if (now >= w->deadline) {
            return MPS_E_TIMEOUT;
        }
        timeout_ns = mps_min64(timeout_ns, w->deadline - now);
    }
    if ((seen & MPS_WAITERS) == 0 && !mps_cas32(&w->lock->word, &seen, seen | MPS_WAITERS)) {
        return MPS_OK;
    }
    w->slept = true;
    mps_status st = mps_os_wait(&w->lock->word, seen | MPS_WAITERS, timeout_ns);
    if (st == MPS_E_TIMEOUT && w->slice_ns >= SLICE_MAX_NS && w->look_up > 0 && --w->look_up == 0) {
        return MPS_E_INTR;
    }
    if (st == MPS_E_TIMEOUT) {
        w->slice_ns = mps_min64(w->slice_ns * 2, SLICE_MAX_NS);
    }
    return st == MPS_E_INTR ? st : MPS_OK;
}

/* Waits without the GIL until the lock is free (and takes it), its owner is dead (and succeeds it), or the time is over. Who
 * has slept takes the lock with the waiters bit, since others may sleep too. */
static mps_status wait_on(wait *w, bool look_at_once)
{
    for (bool look = look_at_once;; look = true) {
        uint32_t seen = mps_load32(&w->lock->word);
        if (seen == 0) {
            if (!w->take) {
                return MPS_OK;
            }
            if (mps_cas32(&w->lock->word, &seen, w->seg->token | (w->slept ? MPS_WAITERS : 0))) {
                taken(w->lock, died_before(w->lock));
                return MPS_OK;
            }
            continue;
        }
        bool done = false;
        if (look) {
            succeed(w, seen, &done);
        }
        if (done) {
            return MPS_OK;
        }
        if (mps_load32(&w->seg->control->state) != MPS_STATE_READY) {
            return mps_load32(&w->seg->control->state) == MPS_STATE_CLOSED ? MPS_E_CLOSED : MPS_E_CORRUPT;
        }
        mps_status st = sleep_once(w, seen);
        if (st != MPS_OK) {
            return st;
        }
    }
}

static mps_status wait_with(mps_seg *seg, mps_door door, mps_userlock *lock, bool take, uint64_t timeout_ns)
{
    wait w = {.seg = seg, .lock = lock, .deadline = MPS_FOREVER, .slice_ns = SLICE_MIN_NS, .take = take};
    w.look_up = door == MPS_DOOR_GIL ? LOOK_UP : 0;
    if (timeout_ns != MPS_FOREVER) {
        uint64_t now = mps_os_now();
        w.deadline = timeout_ns < MPS_FOREVER - now ? now + timeout_ns : MPS_FOREVER;
    }
    /* A thread of our own process may need the GIL before it lets go. */
    bool ours = (mps_load32(&lock->word) & ~MPS_WAITERS) == seg->token;
    if (timeout_ns == 0 || (!ours && spin(&lock->word))) {
        mps_status st = wait_on(&(wait){.seg = seg, .lock = lock, .take = take}, true);
        if (st != MPS_E_TIMEOUT || timeout_ns == 0) {
            return st;
        }
    }
    void *gil = mps_door_leave(door);
    mps_status st = wait_on(&w, false);
    mps_door_enter(door, gil);
    if (!take && w.slept) {
        mps_os_wake(&lock->word, 1); /* the wake that ended our sleep was meant for one who takes the lock */
    }
    return st;
}

/* A process that has a lock stays attached even without a handle: leaving would look like its death. */
static mps_status count_lock(mps_seg *seg, mps_status st)
{
    if (st == MPS_OK) {
        __atomic_fetch_add(&seg->locks, 1, __ATOMIC_RELAXED);
    }
    return st;
}

mps_status mps_userlock_acquire(mps_seg *seg, mps_door door, mps_userlock *lock, bool reentrant, uint64_t timeout_ns)
{
    mps_status st = own_slot(seg, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    uint32_t free = 0;
    if (mps_likely(mps_cas32(&lock->word, &free, seg->token))) {
        taken(lock, died_before(lock));
        return count_lock(seg, MPS_OK);
    }
    if (reentrant && mps_userlock_mine(seg, lock)) {
        uint32_t depth = mps_load32(&lock->depth);
        if (depth == UINT32_MAX) {
            return MPS_E_TOOLARGE;
        }
        mps_store32(&lock->depth, depth + 1);
        return MPS_OK;
    }
    return count_lock(seg, wait_with(seg, door, lock, true, timeout_ns));
}

mps_status mps_userlock_release(mps_seg *seg, mps_userlock *lock, bool owner_only)
{
    uint32_t v = mps_load32(&lock->word);
    if ((v & ~MPS_WAITERS) == 0 || (owner_only && !mps_userlock_mine(seg, lock))) {
        return MPS_E_NOTOWNER;
    }
    uint32_t depth = mps_load32(&lock->depth);
    if (owner_only && depth > 1) {
        mps_store32(&lock->depth, depth - 1);
    } else {
        if ((v & ~MPS_WAITERS) == seg->token) {
            __atomic_fetch_sub(&seg->locks, 1, __ATOMIC_RELAXED);
        }
        let_go(lock, 0);
    }
    return MPS_OK;
}

mps_status mps_userlock_wait(mps_seg *seg, mps_door door, mps_userlock *lock, uint64_t timeout_ns)
{
    mps_status st = own_slot(seg, door);
    if (st != MPS_OK || mps_load32(&lock->word) == 0 || mps_userlock_mine(seg, lock)) {
        return st;
    }
    return wait_with(seg, door, lock, false, timeout_ns);
}
