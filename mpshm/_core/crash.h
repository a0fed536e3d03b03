/* crash.h -- dying at a numbered point, in the crash build (-DMPS_CRASH).
 *
 * Every store to shared memory is a point (base.h). Armed with n, the process kills itself at the n-th point from then on, or,
 * for tests within one process, jumps. In other builds arming answers MPS_E_INVAL.
 */
#ifndef MPS_CRASH_H
#define MPS_CRASH_H

#include "base.h"

/* Die at the n-th point from now; 0 disarms. */
mps_status mps_crash_arm(uint64_t n);
/* Points passed since the last arming. */
uint64_t mps_crash_count(void);
/* Called instead of dying; does not return (longjmp). NULL: die. */
void mps_crash_set_jump(void (*jump)(void));

#endif
