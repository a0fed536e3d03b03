/* adding.h -- what locks and adders have to do with each other: see adder.h of the core. */
#ifndef MPY_ADDING_H
#define MPY_ADDING_H

#include "adder.h"
#include "handle.h"

/* The slow part of the one below. */
int mpy_adders_wait(mpy_handle *h, mps_object *lock);

/* To be called by whoever has just taken a Lock or RLock on behalf of h, with the GIL: waits until nobody adds any more who began before. 1, or -1
 * with an exception, and the lock is let go of. */
static inline int mpy_adders_settle(mpy_handle *h, mps_object *lock)
{
    return mps_likely((mps_load32(&lock->mortal.flags) & MPS_FLAG_ADDERS) == 0) ? 1 : mpy_adders_wait(h, lock);
}

#endif
