/* bench.h -- what the programs in this folder share, in C and in C++: the clock, random numbers, the object that they print.
 *
 * Times are processor time where one process works, since it does not count what others do on the machine; between processes they are
 * the wall clock's. What takes less than a tenth of a second is done several times, and the best time counts.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BENCH_LIVE 1000u      /* blocks and nodes alive at a time */
#define BENCH_PAIRS 200000u   /* of an allocation and a deallocation, timed at once */
#define BENCH_REPEATS 3u      /* of which the best counts */
#define BENCH_KEYS 1000000u   /* random keys of a map */
#define BENCH_ITEMS 10000000u /* of a vector */
#define BENCH_NAMES 10000u    /* objects with a name */
#define BENCH_NODE 32u        /* bytes of a node */
#define BENCH_BATCH 8u        /* nodes given back, and as many taken, in one operation */
#define BENCH_SEED 88172645463325252u

static inline double bench_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static inline double bench_now(void)
{
    return bench_clock(CLOCK_PROCESS_CPUTIME_ID);
}

static inline double bench_wall(void)
{
    return bench_clock(CLOCK_MONOTONIC);
}

static inline double bench_least(double a, double b)
{
    return a < b ? a : b;
}

static inline uint64_t bench_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Bytes of a block, 16 to 4096. */
static inline uint64_t bench_size(uint64_t *state)
{
    return 16 + bench_next(state) % 4081;
}

/* The keys, in the order in which they are put in. */
static inline int64_t *bench_keys(uint64_t *state)
{
    int64_t *keys = (int64_t *)malloc(BENCH_KEYS * sizeof *keys);
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        keys[i] = (int64_t)(bench_next(state) >> 1);
    }
    return keys;
}

/* Another order, in which they are looked for. */
static inline void bench_shuffle(int64_t *keys, uint64_t *state)
{
    for (uint64_t i = BENCH_KEYS - 1; i > 0; i--) {
        uint64_t j = bench_next(state) % (i + 1);
        int64_t key = keys[i];
        keys[i] = keys[j];
        keys[j] = key;
    }
}

/* The next member of the object that is printed. */
static inline void bench_row(const char *what, double ns)
{
    static bool begun = false;
    printf("%s\"%s\": %.2f", begun ? ", " : "{", what, ns);
    begun = true;
}

static inline void bench_end(void)
{
    printf("}\n");
}

/* The name of object number i, at most 14 characters. */
static inline void bench_name(char *name, unsigned i)
{
    snprintf(name, 16, "object-%u", i);
}

#endif
