/* waitq.h -- those who wait for an object, in the order in which they came: for Condition and Barrier.
 *
 *   queue:   | first : 64 | last : 64 | waiting : 64 |                               part of the object
 *   waiter:  | state : 32 | note : 32 | token : 32 | waiters : 32 | next : 64 | prev : 64 |     a block
 *
 *   first -> told -> told -> waiting -> waiting -> waiting <- last
 *
 * Each waiter has a block and sleeps on the state in it, so who wakes one wakes just that one. It is told something (state other
 * than WAITING) once, and takes its block out of the queue itself. The queue is all there is: nothing counts.
 *
 * A process that dies leaves its waiters behind. Who tells asks whether those whom he tells live (unless they are his own), and
 * takes the dead ones out; a waiter whose sleep ended without news looks at those before it (mps_waitq_sweep), because
 * one of them may have died with news that now is the next one's.
 *
 * Invariants: `waiting` is the first that was told nothing, all behind it were told nothing either; prev of each is the one
 * before it, so a walk along next that checks prev ends.
 * Locking: all of it changes under the object's guard, in the journal, but for `waiters`, which belongs to who sleeps. A told waiter
 * may see its state before the commit, and believes it only under the guard.
 * Costs: O(1) to add, to remove and to tell one; telling another process's waiter asks the system once whether it lives.
 */
#ifndef MPS_WAITQ_H
#define MPS_WAITQ_H

#include "value.h"

typedef struct mps_waitq {
    uint64_t first;   /* offset of the oldest waiter; 0 none */
    uint64_t last;    /* of the youngest; 0 none */
    uint64_t waiting; /* of the oldest that was told nothing; 0 none */
} mps_waitq;

typedef struct mps_waiter {
    uint64_t word;    /* note << 32 | state; the state is what it sleeps on */
    uint32_t token;   /* its process */
    uint32_t waiters; /* 1: it may be asleep */
    uint64_t next;    /* offset; 0 last */
    uint64_t prev;    /* offset; 0 first */
} mps_waiter;

_Static_assert(sizeof(mps_waitq) == 24, "stored");
_Static_assert(sizeof(mps_waiter) == 32, "stored");

enum {
    MPS_WAITER_WAITING = 1,
    MPS_WAITER_TOLD = 2,   /* what it waited for has come; note: how many were told before it, at the same time */
    MPS_WAITER_BROKEN = 3, /* it won't come */
};

/* A waiter of this process, as long as it is in a queue. Private memory. */
typedef struct mps_turn {
    mps_off node;
    uint32_t token; /* ours when we came: with another we are taken for dead, and the block is not ours any more */
} mps_turn;

/* Whom to wake after the commit. Private memory. */
typedef struct mps_wakes {
    uint32_t n, capacity;
    mps_waiter **who; /* few, or memory from malloc */
    mps_waiter *few[16];
} mps_wakes;

/* ---- inside operations, under the object's guard ---- */

/* A new waiter of this process at the end. */
mps_status mps_waitq_add(mps_tx *tx, mps_waitq *q, mps_turn *turn);
/* Takes one out, and frees its block. */
mps_status mps_waitq_remove(mps_tx *tx, mps_waitq *q, mps_off node);
/* Tells up to n living waiters, the oldest first, and takes dead ones out that it meets. *told: how many. */
mps_status mps_waitq_tell(mps_tx *tx, mps_waitq *q, uint64_t n, uint32_t state, mps_wakes *wakes, uint64_t *told);
/* Takes dead ones out from the first to the first living one that was told nothing. *unheard: those that were told something. */
mps_status mps_waitq_sweep(mps_tx *tx, mps_waitq *q, uint64_t *unheard);
/* How many wait and were told nothing. living: takes the dead among them out first. */
mps_status mps_waitq_count(mps_tx *tx, mps_waitq *q, bool living, uint64_t *n);
/* How many living ones wait, without a guard and without a change: bounded, whatever is there. */
mps_status mps_waitq_look(mps_seg *seg, const mps_waitq *q, uint64_t *n);
/* The block of a turn; NULL if it is not ours any more. */
mps_waiter *mps_waitq_mine(const mps_tx *tx, const mps_turn *turn);

/* Before the operation, before its commit, and after it. */
void mps_wakes_begin(mps_wakes *wakes);
void mps_wakes_look(mps_wakes *wakes);
/* Those who are to take a lock first are not woken while it is held: they go on sleeping on the lock, and it wakes them. (To wake them
 * would be to let them run just to find it held.) */
void mps_wakes_move(mps_wakes *wakes, mps_userlock *lock);
void mps_wakes_end(mps_wakes *wakes, bool wake);

/* ---- outside of operations ---- */

/* Sleeps until it is told something, or seems to be: MPS_OK; MPS_E_TIMEOUT and the others of mps_nap_wait. care(seg, off, turn) is
 * called after each sleep without news. */
mps_status mps_waitq_sleep(mps_nap *nap, const mps_turn *turn,
                           mps_status (*care)(mps_seg *seg, mps_off off, const mps_turn *turn), mps_off off);

/* ---- dying, check ---- */

/* Frees some of the blocks; *done when none is left. */
mps_status mps_waitq_drop(mps_tx *tx, mps_waitq *q, bool *done);
mps_status mps_waitq_visit(mps_seg *seg, const mps_waitq *q, mps_visit *v);

#endif
