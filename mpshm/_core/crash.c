#include "crash.h"

#ifdef MPS_CRASH

#include <signal.h>

/* The crash build's own state: this is a test instrument, not part of any other build. */
static struct {
    uint64_t left;
    uint64_t count;
    void (*jump)(void);
} crash;

void mps_crash_point(void)
{
    crash.count++;
    if (crash.left == 0 || --crash.left > 0) {
        return;
    }
    if (crash.jump != NULL) {
        crash.jump();
    }
    raise(SIGKILL);
}

mps_status mps_crash_arm(uint64_t n)
{
    crash.left = n;
    crash.count = 0;
    return MPS_OK;
}

uint64_t mps_crash_count(void)
{
    return crash.count;
}

void mps_crash_set_jump(void (*jump)(void))
{
    crash.jump = jump;
}

#else

mps_status mps_crash_arm(uint64_t n)
{
    (void)n;
    return MPS_E_INVAL;
}

uint64_t mps_crash_count(void)
{
    return 0;
}

void mps_crash_set_jump(void (*jump)(void))
{
    (void)jump;
}

#endif
