/* event.h -- a flag that processes wait for: Event.
 *
 *   object:  | mps_object | word : 32 | waiters : 32 |
 *   word:    | generation : 31 | set : 1 |          all zero: not set
 *
 * set() counts the generation up and sets the bit, clear() takes the bit off: one store each, so there is nothing to journal, and
 * a process killed anywhere leaves an event that is set or not. Who waits began when the bit was not set; any other
 * word than the one he saw means that set() happened, even if clear() came right after it. (Not noticed: 2^31 of each, between
 * two looks.)
 *
 * No guard, no owner: whoever waits need ask nobody. Costs: O(1), a system call only where somebody sleeps.
 */
#ifndef MPS_EVENT_H
#define MPS_EVENT_H

#include "object.h"

typedef struct mps_event {
    mps_object object;
    uint32_t word;    /* generation << 1 | set */
    uint32_t waiters; /* 1: somebody may sleep on word */
} mps_event;

_Static_assert(sizeof(mps_event) == 88, "stored");
_Static_assert(offsetof(mps_event, word) == 80, "stored");

/* MPS_E_CLOSED, MPS_E_CORRUPT: of the segment. */
mps_status mps_event_is_set(mps_seg *seg, mps_off off, bool *set);
mps_status mps_event_set(mps_seg *seg, mps_off off);
mps_status mps_event_clear(mps_seg *seg, mps_off off);
/* Waits until it is set, or was meanwhile: MPS_OK, MPS_E_TIMEOUT, MPS_E_INTR as mps_nap_wait, MPS_E_CLOSED. */
mps_status mps_event_wait(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns);

mps_status mps_event_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_event_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
