/* trials.h -- many trials, each with a number and random numbers of its own, none of which may take long.
 *
 * MPS_TEST_TRIALS in the environment says how many; MPS_TEST_FIRST, from which one on.
 */
#ifndef MPS_TESTS_TRIALS_H
#define MPS_TESTS_TRIALS_H

#include <signal.h>
#include <unistd.h>

#include "check.h"
#include "os.h"

#define TRIAL_LIMIT_S 30u /* a lock word that names nobody costs some tens of milliseconds each time */

static inline void trial_too_long(int number)
{
    (void)number;
    static const char text[] = "a trial took too long: see the log for its number\n";
    if (write(2, text, sizeof(text) - 1) < 0) {
        _exit(3);
    }
    abort();
}

static inline uint64_t trials_wish(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : usual;
}

/* `usual` trials if nothing else is wished for; *own: the random numbers of the trial that is going on. */
static inline void trials_run(check_rng rng, uint64_t usual, check_rng *own, void (*trial)(void))
{
    uint64_t trials = trials_wish("MPS_TEST_TRIALS", usual), first = trials_wish("MPS_TEST_FIRST", 0), slowest = 0;
    signal(SIGALRM, trial_too_long);
    for (uint64_t i = 0; i < first + trials; i++) {
        own->state = check_random(&rng) | 1;
        if (i >= first) {
            printf("trial %" PRIu64 "\n", i);
            fflush(stdout);
            alarm(TRIAL_LIMIT_S);
            uint64_t start = mps_os_now();
            trial();
            uint64_t took = mps_os_now() - start;
            if (took > (uint64_t)1000000000) {
                printf("took %" PRIu64 " ms\n", took / 1000000);
            }
            slowest = mps_max64(slowest, took);
        }
    }
    printf("the slowest took %" PRIu64 " ms\n", slowest / 1000000);
}

#endif
