/* nap.h -- waiting until a word of shared memory changes: spin, then sleep, and look up now and then.
 *
 *   word : 32, waiters : 32       somewhere in a stored structure; waiters 1: somebody may sleep on word
 *
 * A waiter looks at what it waits for, naps on the word as it was, and looks again: that the word changed, or that it did not,
 * proves nothing. It first spins, for as long as it pays (a wake-up of another processor takes tens of microseconds), then sets
 * `waiters` and sleeps, a slice at a time. Whoever changes the word looks at `waiters` afterwards and wakes.
 *
 * Nothing counts the sleepers, so one that is killed leaves nothing wrong. A wake-up that is lost with a process killed, the waker
 * or the one that was woken, delays the others by a slice at most. (The waker's store may reach the others after its look at
 * `waiters`; a waiter reads the word once more inside the system call, hundreds of nanoseconds later.)
 *
 * Costs: nothing for whoever need not wait; a waker without waiters, one load.
 */
#ifndef MPS_NAP_H
#define MPS_NAP_H

#include "os.h"
#include "slots.h"

#define MPS_FOREVER UINT64_MAX

typedef struct mps_nap {
    mps_seg *seg;
    uint64_t deadline; /* MPS_FOREVER: none */
    uint64_t slice_ns; /* length of the next sleep */
    uint32_t look_up;  /* sleeps of full length until MPS_E_INTR is answered; 0: never without a signal */
    mps_door door;
    bool spin;    /* worth trying at the next nap */
    bool slept;   /* at least once: time to ask whether the other still lives */
    bool patient; /* the caller's: no spinning with the GIL held, since a thread of this process is waited for */
    bool left;    /* the GIL was given up */
    void *gil;
} mps_nap;

/* Starts a wait of at most timeout_ns. */
void mps_nap_begin(mps_nap *nap, mps_seg *seg, mps_door door, uint64_t timeout_ns);
/* Waits once while *word == seen. MPS_OK: look again; MPS_E_TIMEOUT; MPS_E_CLOSED, MPS_E_CORRUPT: of the segment; MPS_E_INTR: look
 * at your signals, then begin anew with the time that is left (one came; or, with MPS_DOOR_GIL, some time has passed, since a
 * signal that comes just before a sleep does not end it). */
mps_status mps_nap_wait(mps_nap *nap, uint32_t *word, uint32_t seen, uint32_t *waiters);
/* Ends the wait: the GIL is the caller's again. */
void mps_nap_end(mps_nap *nap);

/* mps_wake where somebody may sleep. */
void mps_wake_some(uint32_t *word, uint32_t *waiters, uint32_t n);

/* Wakes up to n sleepers of a word that has changed. */
static inline void mps_wake(uint32_t *word, uint32_t *waiters, uint32_t n)
{
    if (mps_unlikely(mps_load32(waiters) != 0)) {
        mps_wake_some(word, waiters, n);
    }
}

#endif
