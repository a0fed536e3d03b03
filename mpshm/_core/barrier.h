/* barrier.h -- a place where processes wait for each other: Barrier.
 *
 *   object:  | mps_object | phase : 64 | parties : 64 | mps_waitq | waiters : 32 | 32 | timeout : 64 | action : 16 |
 *   phase:   | token : 32 | run : 30 | OPEN, RUNNING or BROKEN : 2 |
 *
 * Who comes enters the queue and sleeps. The last to come looks whether all who wait live; if they do, he tells each its number,
 * all in one operation, and nobody of the next round can be taken for one of this: what was told stands in the waiter's own block.
 *
 * With an action, the last to come says RUNNING, runs it outside of everything, and tells the others afterwards. Who comes
 * meanwhile waits, on phase, for the end of it. If the process that runs it dies, who notices breaks the barrier. `run` tells one
 * run from the next: one that a reset() or abort() overtook ends as broken.
 *
 * Invariants: unless it is OPEN or RUNNING nobody waits untold; while it is OPEN fewer wait untold than parties.
 * Locking: as waitq.h; `waiters` belongs to those who sleep on phase. Costs: O(parties) for each who comes.
 */
#ifndef MPS_BARRIER_H
#define MPS_BARRIER_H

#include "value.h"
#include "waitq.h"

#define MPS_BARRIER_LOCAL \
    ((uint64_t)1 << 32) /* in parties: there is an action, but not here: only some handles have it */

typedef struct mps_barrier_object {
    mps_object object;
    uint64_t phase;   /* token of who runs the action << 32 | run << 2 | phase; its lower half is slept on */
    uint64_t parties; /* how many wait for each other, 1 at least; or with MPS_BARRIER_LOCAL */
    mps_waitq queue;
    uint32_t waiters; /* 1: somebody may sleep on phase */
    uint32_t reserved;
    uint64_t timeout; /* the binding's own: what waits last when nothing is said */
    mps_value action; /* what to run; none: EMPTY or NONE */
} mps_barrier_object;

_Static_assert(sizeof(mps_barrier_object) == 152, "stored");
_Static_assert(offsetof(mps_barrier_object, phase) == 80, "stored");
_Static_assert(offsetof(mps_barrier_object, queue) == 96, "stored");
_Static_assert(offsetof(mps_barrier_object, action) == 136, "stored");

enum { MPS_BARRIER_PASSED = 0, MPS_BARRIER_WAITS = 1, MPS_BARRIER_RUNS = 2, MPS_BARRIER_BROKE = 3 };

/* What came of arriving, or of waiting. Private memory. */
typedef struct mps_arrival {
    uint32_t outcome; /* MPS_BARRIER_* */
    uint32_t index;   /* PASSED: the caller's number, 0 <= index < parties */
    uint32_t run;     /* RUNS: the caller is to run the action, then mps_barrier_finish */
    mps_turn turn;    /* WAITS: mps_barrier_wait, until that gives another outcome */
} mps_arrival;

mps_status mps_barrier_init(mps_seg *seg, mps_door door, mps_off off, uint64_t parties, uint64_t timeout,
                            mps_enc *action);
/* Comes to the barrier. MPS_E_BUSY: the action is being run; mps_barrier_settle, then again. */
mps_status mps_barrier_arrive(mps_seg *seg, mps_door door, mps_off off, mps_arrival *a);
/* Waits until the action is over, or the process that runs it is dead: as a wait of the core. */
mps_status mps_barrier_settle(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns);
/* Waits for the others: MPS_OK, with an outcome; when the time is over the barrier is broken. MPS_E_INTR: call it again, or quit. */
mps_status mps_barrier_wait(mps_seg *seg, mps_door door, mps_off off, mps_arrival *a, uint64_t timeout_ns);
/* Goes away from where the others wait. */
mps_status mps_barrier_quit(mps_seg *seg, mps_door door, mps_off off, const mps_arrival *a);
/* After the action: lets all go, or breaks the barrier (well: whether it went well). */
mps_status mps_barrier_finish(mps_seg *seg, mps_door door, mps_off off, bool well, mps_arrival *a);
/* Who waits gets BROKE; the barrier is broken from now on (lasting), or as new. */
mps_status mps_barrier_break(mps_seg *seg, mps_door door, mps_off off, bool lasting);

/* How many living ones wait, who runs the action counted; 0 when it is broken. */
mps_status mps_barrier_waiting(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
mps_status mps_barrier_is_broken(mps_seg *seg, mps_door door, mps_off off, bool *broken);
mps_status mps_barrier_action(mps_seg *seg, mps_door door, mps_off off, mps_copy *out);

mps_status mps_barrier_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_barrier_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
