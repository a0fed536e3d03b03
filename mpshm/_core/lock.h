/* lock.h -- the guard of a shared structure: a robust lock and a sequence counter for readers.
 *
 *   guard:  | lock : 32 | seq : 32 | waiters : 32 | reserved : 32 |
 *   lock:   | 0 : 1 | generation : 20 | slot : 11 |      0: free
 *
 * A guard is taken inside an operation (journal.h) and held until its commit or abort. The offset of
 * the guard is written to the lane before the lock word changes, so whoever recovers a dead process finds
 * what it held. Waiters spin shortly, then sleep 2 to 10 ms at a time and ask whether the owner lives; if
 * not, they free its locks and go on.
 *
 * Order: a container's guard, then the references' guard, then the allocator's. Never two containers', but in
 * the order of their offsets.
 *
 * Readers without a lock: mps_read_begin() gives an even sequence number, mps_read_valid() tells whether
 * nothing changed since. A killed writer leaves the sequence odd; so a reader that was turned away
 * MPS_READ_TRIES times takes the lock, which recovers.
 *
 * Letting go is a plain store, then a look at `waiters`. The processor may do the look before others see the store; a waiter that
 * sets `waiters` just then reads the lock once more inside the system call, hundreds of nanoseconds later. Should it ever
 * fall asleep all the same, it wakes by itself after 2 ms.
 *
 * Costs: uncontended, one compare-and-swap to take and two stores to let go.
 */
#ifndef MPS_LOCK_H
#define MPS_LOCK_H

#include "journal.h"

#define MPS_READ_TRIES 16u

typedef struct mps_guard {
    uint32_t lock;    /* owner's token; 0 free */
    uint32_t seq;     /* odd while a writer is inside; wraps */
    uint32_t waiters; /* 1: somebody may sleep on lock */
    uint32_t reserved;
} mps_guard;

_Static_assert(sizeof(mps_guard) == 16, "stored");

/* The slow parts of taking a guard: somebody has it (wait, recover a dead owner); the segment is frozen (give it back, wait). */
mps_status mps_tx_lock_wait(mps_tx *tx, mps_guard *guard);
mps_status mps_tx_lock_frozen(mps_tx *tx, mps_guard *guard);

/* Takes a guard without telling readers: what is read under it stays as it is. */
static inline mps_status mps_tx_lock(mps_tx *tx, mps_guard *guard)
{
    mps_assert(tx->n_held < MPS_HELD);
    if (MPS_LIVENESS) {
        mps_store64(&tx->lane->held[tx->n_held], mps_region_off(&tx->seg->region, guard));
        mps_barrier();
    }
    uint32_t free = 0;
    if (mps_unlikely(!mps_cas32(&guard->lock, &free, tx->token))) {
        mps_status st = mps_tx_lock_wait(tx, guard);
        if (st != MPS_OK) {
            mps_store64(&tx->lane->held[tx->n_held], 0);
            return st;
        }
    }
    if (mps_unlikely(MPS_LIVENESS && tx->n_held == 0 && mps_load32(&tx->seg->control->freeze) != 0)) {
        return mps_tx_lock_frozen(tx, guard);
    }
    tx->guards[tx->n_held++] = guard;
    return MPS_OK;
}

/* Readers without a lock turn away from now on, until commit or abort. */
static inline void mps_tx_write_begin(mps_tx *tx, mps_guard *guard)
{
    uint32_t seq = mps_load32(&guard->seq);
    mps_store32(&guard->seq, seq | 1u);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    (void)tx;
}

static inline mps_status mps_tx_lock_write(mps_tx *tx, mps_guard *guard)
{
    mps_status st = mps_tx_lock(tx, guard);
    if (mps_likely(st == MPS_OK)) {
        mps_tx_write_begin(tx, guard);
    }
    return st;
}

/* Lets go of the guard taken last, before the operation's end: only where nothing under it is still journaled. */
void mps_tx_unlock_last(mps_tx *tx);
/* Lets go of everything. */
void mps_tx_unlock_all(mps_tx *tx);

/* Even: go on reading. Odd: a writer is inside. */
static inline uint32_t mps_read_begin(const mps_guard *guard)
{
    return mps_load32_acquire(&guard->seq);
}

static inline bool mps_read_valid(const mps_guard *guard, uint32_t seq)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return mps_load32(&guard->seq) == seq;
}

/* ---- lock words outside of operations (control->recovery, control->freeze) ---- */

/* Takes a lock word in the name of token; a dead owner is simply succeeded. threads: how many of ours hold it or want it, the
 * caller counted. */
mps_status mps_word_lock(mps_seg *seg, uint32_t *word, uint32_t token, const uint32_t *threads);
void mps_word_unlock(uint32_t *word, uint32_t token);

/* Stops all changes of the segment until mps_unfreeze, once every operation that was going on has ended. MPS_E_RETRY: somebody
 * died; recover, try again. MPS_E_TIMEOUT: a living process has not ended its operation in a minute. */
mps_status mps_freeze(mps_seg *seg);
void mps_unfreeze(mps_seg *seg);

/* Lets go of a guard in the name of a dead process, if it has it; mends the sequence. */
void mps_guard_release_for(mps_guard *guard, uint32_t token);

#endif
