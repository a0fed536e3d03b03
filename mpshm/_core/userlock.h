/* userlock.h -- a lock that a program holds: for as long as it likes, across its own code.
 *
 *   | word : 32 | waiters : 32 | thread : 64 | depth : 32 | died : 32 |      24 bytes
 *
 * word is the owner's token, 0 when free; thread tells which of its threads. Nothing that the segment itself relies on is
 * guarded by it, so there is nothing to journal: the word alone decides, one store each way. When the owner dies, the
 * next who asks takes the word over and `died` says so until it lets go.
 *
 * Every container has one (`with d.lock:`): while one thread holds it, the others' changes answer MPS_E_BUSY, and
 * they wait here, outside of any operation.
 *
 * Costs: uncontended, one compare-and-swap to take and four stores to let go.
 */
#ifndef MPS_USERLOCK_H
#define MPS_USERLOCK_H

#include "lock.h"
#include "nap.h"

typedef struct mps_userlock {
    uint32_t word;    /* owner's token; 0 free */
    uint32_t waiters; /* 1: somebody may sleep on word */
    uint64_t thread;  /* mps_os_thread_id of the owner's thread; meaningful while held */
    uint32_t depth;   /* how often the owner has it, 1 at least while it is held */
    uint32_t
        died; /* 1: the present owner got it from one that died; 2: it is free, and the next owner is to be told so */
} mps_userlock;

_Static_assert(sizeof(mps_userlock) == 24, "stored");

/* Takes it. reentrant: the same thread may take it again. timeout_ns 0 tries only, MPS_FOREVER waits. MPS_OK, MPS_E_TIMEOUT,
 * MPS_E_INTR as mps_nap_wait, MPS_E_CLOSED. */
mps_status mps_userlock_acquire(mps_seg *seg, mps_door door, mps_userlock *lock, bool reentrant, uint64_t timeout_ns);
/* Lets go. owner_only: only the thread that holds it may (MPS_E_NOTOWNER). A free lock: MPS_E_NOTOWNER. */
mps_status mps_userlock_release(mps_seg *seg, mps_door door, mps_userlock *lock, bool owner_only);
/* Lets go of a lock that this thread has taken several times, at once; *depth: how often. A free lock: MPS_E_NOTOWNER. */
mps_status mps_userlock_release_all(mps_seg *seg, mps_door door, mps_userlock *lock, bool owner_only, uint32_t *depth);
/* The lock, just taken, counts as taken so often. */
void mps_userlock_deepen(mps_userlock *lock, uint32_t depth);
/* Whether a living process holds it. */
bool mps_userlock_held(mps_seg *seg, mps_userlock *lock);
/* Whether this thread holds it. */
bool mps_userlock_mine(const mps_seg *seg, const mps_userlock *lock);
/* Waits, without taking it, until others may change what it guards: as acquire. */
mps_status mps_userlock_wait(mps_seg *seg, mps_door door, mps_userlock *lock, uint64_t timeout_ns);

/* For changes, under the container's guard: MPS_OK, or MPS_E_BUSY while another thread holds the lock. */
static inline mps_status mps_userlock_pass(const mps_seg *seg, const mps_userlock *lock)
{
    if (mps_likely(mps_load32(&lock->word) == 0) || mps_userlock_mine(seg, lock)) {
        return MPS_OK;
    }
    return MPS_E_BUSY;
}

#endif
