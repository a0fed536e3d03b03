/* cond.h -- waiting, with a lock let go of, until somebody says that something has changed: Condition.
 *
 *   object:  | mps_object | lock : 64 | mps_waitq |
 *
 * The lock is an object of its own (Lock or RLock), on which the condition counts a reference. Whoever waits has it, enters the queue,
 * lets go of it, sleeps on a block of his own, and takes it again; whoever notifies has it too. Both are the caller's
 * affair, as it holds the lock across its own code: what stands here is the queue.
 *
 * A notification is for exactly one living waiter, in the order in which they came. One that was not used (its waiter was
 * killed, or an exception ended its wait) goes to the next.
 *
 * Locking, costs: as waitq.h. A waiter costs two short operations, a notification one.
 */
#ifndef MPS_COND_H
#define MPS_COND_H

#include "waitq.h"

typedef struct mps_cond {
    mps_object object;
    uint64_t lock; /* offset of the Lock or RLock; 0 none yet */
    mps_waitq queue;
} mps_cond;

_Static_assert(sizeof(mps_cond) == 112, "stored");
_Static_assert(offsetof(mps_cond, lock) == 80, "stored");

/* The lock to use, from now on: an object that this process refers to. MPS_E_TYPE unless it is a Lock or an RLock. */
mps_status mps_cond_init(mps_seg *seg, mps_door door, mps_off off, mps_off lock);
/* The lock, NULL if there is none. */
mps_object *mps_cond_lock(mps_seg *seg, mps_off off);

/* Begins to wait; the caller lets go of the lock then. */
mps_status mps_cond_enter(mps_seg *seg, mps_door door, mps_off off, mps_turn *turn);
/* Waits. MPS_OK: notified. MPS_E_TIMEOUT. Both: the turn is over. MPS_E_INTR: call it again, or quit; all others: quit. */
mps_status mps_cond_wait(mps_seg *seg, mps_door door, mps_off off, const mps_turn *turn, uint64_t timeout_ns);
/* Ends a turn by itself; a notification that came meanwhile goes to the next. */
mps_status mps_cond_quit(mps_seg *seg, mps_door door, mps_off off, const mps_turn *turn);
/* Wakes up to n. */
mps_status mps_cond_notify(mps_seg *seg, mps_door door, mps_off off, uint64_t n);
/* How many living ones wait. */
mps_status mps_cond_waiting(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);

mps_status mps_cond_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_cond_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
