/* recover.h -- taking back what a dead process left.
 *
 * Somebody goes on in the dead one's stead: binds itself to the dead lanes, takes and gives locks in the dead one's name, and
 * writes in its journals. So being killed while recovering is nothing new: the next one finds the same dead process, a little
 * further on.
 *
 *   1. every lane: undo the inner journal, let go of the allocator's guard       (needs no lock)
 *   2. every lane: undo, or if committed finish, the outer journal               (needs the allocator's guard)
 *   3. every lane: mend the sequences of the guards it held, let go of them; end the standstill it may have ordered
 *   4. drop holds and references, empty limbo and caches, free spills            (operations in the dead one's name)
 *   5. count the generation up, free the slot
 *
 * Steps 1 to 3 are done under control->recovery, by whoever waits for one of the dead one's guards, whatever guards he holds
 * himself. Steps 4 and 5 take guards as any operation does, so only who holds none may do them: who attaches, checks, forks,
 * or has just ended an operation in which he met the dead. He says so in the slot's `cleaner`; as long as he lives, the dead one
 * counts as alive, for its guards are his now.
 */
#ifndef MPS_RECOVER_H
#define MPS_RECOVER_H

#include "object.h"

/* Steps 1 to 3, if the process behind token is dead. The hook for those who wait for its guard. */
mps_status mps_recover_locks(mps_seg *seg, uint32_t token);
/* All steps, if it is dead and nobody else is at it. The caller holds no guard. */
mps_status mps_recover_token(mps_seg *seg, uint32_t token);
/* Recovers every dead process; *count of them. */
mps_status mps_recover_all(mps_seg *seg, uint32_t *count);

/* For a process that leaves by itself: empties its own slot; none of its threads is inside an operation. */
mps_status mps_recover_leave(mps_seg *seg);

#endif
