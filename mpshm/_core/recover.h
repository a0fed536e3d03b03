/* recover.h -- taking back what a dead process left.
 *
 * One process at a time (control->recovery, itself a lock that a dead owner loses) goes on in the dead one's stead: it binds
 * itself to the dead lanes, takes and gives locks in the dead one's name, and writes in its journals. So being killed
 * while recovering is nothing new: the next one finds the same dead process, a little further on.
 *
 *   1. every lane: undo the inner journal, let go of the allocator's guard       (needs no lock)
 *   2. every lane: undo, or if committed finish, the outer journal               (needs the allocator's guard)
 *   3. every lane: mend the sequences of the guards it held, let go of them
 *   4. drop holds and references, empty limbo and caches, free spills            (operations in the dead one's name)
 *   5. count the generation up, free the slot
 *
 * Steps 1 to 3 alone are done when a recovery meets a lock of another dead process: they free its locks, and the rest waits.
 */
#ifndef MPS_RECOVER_H
#define MPS_RECOVER_H

#include "object.h"

/* The hook: recovers the process behind token if it is dead. */
mps_status mps_recover_token(mps_seg *seg, uint32_t token);
/* Recovers every dead process; *count of them. */
mps_status mps_recover_all(mps_seg *seg, uint32_t *count);

/* For a process that leaves by itself: empties its own slot; none of its threads is inside an operation. */
mps_status mps_recover_leave(mps_seg *seg);

/* control->recovery for this thread, and back (token: ours when it was taken). */
mps_status mps_recovery_begin(mps_seg *seg);
void mps_recovery_end(mps_seg *seg, uint32_t token);

#endif
