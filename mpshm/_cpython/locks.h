/* locks.h -- what a Condition does with the lock that it shares with others: as the lock's own methods.
 *
 * h is the handle on whose behalf it is done (errors name it), obj the object whose lock it is. reentrant: an RLock's or a container's,
 * which only the thread that has it may let go of.
 */
#ifndef MPY_LOCKS_H
#define MPY_LOCKS_H

#include "waiting.h"

/* 1 it is ours, 0 the time has passed, -1. Signals are looked at, and the deadline is kept. */
int mpy_lock_acquire(mpy_handle *h, mps_object *obj, bool reentrant, uint64_t timeout_ns);
PyObject *mpy_lock_release(mpy_handle *h, mps_object *obj, bool reentrant);
/* Whether a Condition may be used now: threading's rule, by which a Lock may be anybody's. */
bool mpy_lock_is_owned(const mpy_handle *h, mps_object *obj, bool reentrant);
/* Takes it, as often as it was taken before; signals wait until it is had. */
mps_status mpy_lock_take_back(mpy_handle *h, mps_object *obj, bool reentrant, uint32_t depth);

#endif
