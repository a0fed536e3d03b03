/* sem.h -- permits that processes take and give back: Semaphore, BoundedSemaphore.
 *
 *   object:  | mps_object | state : 64 | waiters : 32 | bound : 32 | place x 4 | more : 64 | n_more : 32 | total : 32 |
 *   state:   | 0 : 1 | token : 31 | 0 : 2 | count : 10 | value : 20 |      narrow: one process at most has permits
 *            | 1 : 1 | signal : 1 | left : 30 | value : 32 |               wide: see the places
 *   place:   | token : 32 | told : 1 | count : 31 |                        count 0: free
 *   block:   | place x n_more |                                            further places
 *
 * A permit belongs to the process that took it (its threads share an account) until that process gives it back. When it dies, or
 * leaves without giving it back, the permit returns: whoever waits, counts or needs a place settles the accounts of those
 * that are gone. `left` counts the permits at hand that came back so; who gets one is told (`told`) until it gives back its last.
 *
 * As long as one process has all permits that are out, and numbers are small, state says it all (narrow), and one compare-and-swap
 * takes or gives. The second holder makes it wide; when all have been given back it is narrow again.
 *
 * A semaphore may also be a signal: one process gives, another takes. The first release of a permit that its process does not have
 * says so (`signal`), and nobody owns permits from then on: one compare-and-swap each, again.
 *
 * Invariants, while it is no signal: value + the sum of counts = total, a token has one place at most, left <= value.
 * Locking: narrow, and as a signal, state changes without the guard, and the places mean nothing. Wide, state and places change under
 * the guard, in the journal. From one to the other it goes by one store of state, under the guard.
 * Costs: narrow and signal O(1) without a guard; wide O(1) for the first four holders, then O(holders).
 */
#ifndef MPS_SEM_H
#define MPS_SEM_H

#include "value.h"

#define MPS_SEM_MAX 0x7fffffffu /* permits */
#define MPS_SEM_PLACES 4u

typedef struct mps_sem {
    mps_object object;
    uint64_t state;   /* see above; its lower half is what waiters sleep on */
    uint32_t waiters; /* 1: somebody may sleep on value */
    uint32_t bound;   /* value never exceeds it; at most MPS_SEM_MAX */
    uint64_t place[MPS_SEM_PLACES];
    uint64_t more;   /* offset of the block of further places; 0 none */
    uint32_t n_more; /* places in it */
    uint32_t total;  /* permits at first, at most MPS_SEM_MAX */
} mps_sem;

_Static_assert(sizeof(mps_sem) == 144, "stored");
_Static_assert(offsetof(mps_sem, state) == 80, "stored");
_Static_assert(offsetof(mps_sem, place) == 96, "stored");

/* A new semaphore: so many permits at hand, and never more than bound. */
mps_status mps_sem_init(mps_seg *seg, mps_door door, mps_off off, uint32_t value, uint32_t bound);
/* Takes a permit. timeout_ns 0 tries only. MPS_OK, MPS_E_TIMEOUT, MPS_E_INTR as mps_nap_wait, MPS_E_CLOSED, MPS_E_FULL. */
mps_status mps_sem_acquire(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns);
/* Gives n permits, at least 1: MPS_E_OVERFLOW past the bound. */
mps_status mps_sem_release(mps_seg *seg, mps_door door, mps_off off, uint32_t n);
/* Permits at hand. */
mps_status mps_sem_value(mps_seg *seg, mps_door door, mps_off off, uint32_t *value);
/* Permits that this process has; *told: whether it got one of them from a process that is gone. Both 0 for a signal. */
void mps_sem_mine(mps_seg *seg, mps_off off, uint32_t *count, bool *told);
uint32_t mps_sem_bound(const mps_seg *seg, mps_off off);

mps_status mps_sem_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_sem_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
