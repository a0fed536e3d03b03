/* check.h -- what the unit tests of the core share: assertions, seeded random numbers, segments to work on.
 *
 * A test is a plain program: it exits with 0, or prints file, line and what did not hold, and exits with 1. Random
 * numbers come from a seed that is printed first; MPS_TEST_SEED in the environment sets it, to see a failure again.
 */
#ifndef MPS_TESTS_CHECK_H
#define MPS_TESTS_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../mpshm/_core/check.h"
#include "segment.h"

#define CHECK(x) ((x) ? (void)0 : check_failed(__FILE__, __LINE__, #x))
#define CHECK_STATUS(expression, status) check_status(__FILE__, __LINE__, #expression, (expression), (status))
#define CHECK_OK(expression) CHECK_STATUS(expression, MPS_OK)
#define CHECK_SOUND(seg) check_sound(__FILE__, __LINE__, (seg))

_Noreturn static inline void check_failed(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    exit(1);
}

static inline void check_status(const char *file, int line, const char *what, int found, int expected)
{
    if (found != expected) {
        fprintf(stderr, "%s:%d: %s answered %d (%s), not %d (%s)\n", file, line, what, found, mps_status_text(found),
                expected, mps_status_text(expected));
        exit(1);
    }
}

/* The whole segment, everything reachable. */
static inline void check_sound(const char *file, int line, mps_seg *seg)
{
    char why[200] = "";
    mps_status st = mps_seg_check(seg, why, sizeof(why));
    if (st != MPS_OK) {
        fprintf(stderr, "%s:%d: the segment is not sound: %s (%s)\n", file, line, why, mps_status_text(st));
        exit(1);
    }
}

/* ---- random numbers: xorshift64* ---- */

typedef struct check_rng {
    uint64_t state;
} check_rng;

static inline uint64_t check_random(check_rng *rng)
{
    uint64_t x = rng->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* 0 <= number < n */
static inline uint64_t check_below(check_rng *rng, uint64_t n)
{
    return (uint64_t)(((__uint128_t)check_random(rng) * n) >> 64);
}

static inline check_rng check_seed(uint64_t usual)
{
    const char *wish = getenv("MPS_TEST_SEED");
    uint64_t seed = wish != NULL ? strtoull(wish, NULL, 0) : usual;
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    return (check_rng){seed != 0 ? seed : 1};
}

/* ---- segments ---- */

/* How new segments find room: a program that is to be run for both is included in another one that says so. */
#ifndef CHECK_ALLOCATOR
#define CHECK_ALLOCATOR MPS_BEST_FIT
#endif

/* Memory for a segment to be adopted in; nbytes in all, of which the header and the slots take about 260 KiB. */
static inline void *check_buffer(uint64_t nbytes)
{
    void *buffer = aligned_alloc(MPS_PAGE, mps_round_up(nbytes, MPS_PAGE));
    CHECK(buffer != NULL);
    memset(buffer, 0xa5, nbytes); /* nothing may rely on zeroes */
    return buffer;
}

static inline mps_seg *check_adopt(void *buffer, uint64_t nbytes, bool format)
{
    mps_seg *seg = NULL;
    CHECK_OK(mps_seg_adopt_with(buffer, nbytes, format, CHECK_ALLOCATOR, &seg));
    return seg;
}

static inline mps_seg *check_create(uint64_t size, uint64_t max_size)
{
    mps_seg *seg = NULL;
    CHECK_OK(mps_seg_create_with(size, max_size, CHECK_ALLOCATOR, &seg));
    return seg;
}

/* An operation that holds a guard, as all that allocate. */
static inline void check_begin(mps_seg *seg, mps_tx *tx)
{
    CHECK_OK(mps_tx_begin(seg, tx, MPS_DOOR_FREE));
    CHECK_OK(mps_refs_enter(tx));
}

static inline void check_commit(mps_tx *tx)
{
    CHECK_OK(mps_tx_commit(tx));
    mps_tx_end(tx);
}

static inline void check_abort(mps_tx *tx)
{
    CHECK_OK(mps_tx_abort(tx));
    mps_tx_end(tx);
}

#endif
