/* base.h -- words that every floor uses: offsets, shared loads and stores, assertions, mixing.
 *
 * Shared memory is read and written through mps_load*() and mps_store*(): relaxed atomics, one
 * machine instruction each. Ordering is stated where it matters, with mps_barrier() (against the
 * compiler only: enough when the other party is this process's own death) or with the acquire and
 * release forms (when it is another processor).
 */
#ifndef MPS_BASE_H
#define MPS_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "status.h"

/* A position in a segment: bytes from its base. 0 is the header's, so it stands for "none". */
typedef uint64_t mps_off;

#define MPS_PAGE 4096u
#define MPS_CACHE_LINE 64u

#define mps_likely(x) __builtin_expect(!!(x), 1)
#define mps_unlikely(x) __builtin_expect(!!(x), 0)

#ifdef MPS_DEBUG
#include <assert.h>
#define mps_assert(x) assert(x)
#else
#define mps_assert(x) ((void)0)
#endif

/* A point at which the crash build dies when its number comes up; nothing in any other build. */
#ifdef MPS_CRASH
void mps_crash_point(void); /* crash.h */
#else
static inline void mps_crash_point(void)
{
}
#endif

static inline void mps_barrier(void)
{
    __asm__ volatile("" ::: "memory");
}

static inline void mps_pause(void)
{
    __builtin_ia32_pause();
}

static inline uint64_t mps_load64(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint64_t mps_load64_acquire(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline uint32_t mps_load32(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline uint32_t mps_load32_acquire(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void mps_store64(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
    mps_crash_point();
}

static inline void mps_store64_release(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
    mps_crash_point();
}

static inline void mps_store32(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
    mps_crash_point();
}

static inline void mps_store32_release(uint32_t *p, uint32_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
    mps_crash_point();
}

static inline bool mps_cas32(uint32_t *p, uint32_t *expected, uint32_t desired)
{
    bool done = __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    mps_crash_point();
    return done;
}

static inline bool mps_cas64(uint64_t *p, uint64_t *expected, uint64_t desired)
{
    bool done = __atomic_compare_exchange_n(p, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    mps_crash_point();
    return done;
}

static inline uint32_t mps_swap32(uint32_t *p, uint32_t v)
{
    uint32_t old = __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL);
    mps_crash_point();
    return old;
}

/* Rounds up to a multiple of a power of two; the caller has ruled out overflow. */
static inline uint64_t mps_round_up(uint64_t n, uint64_t power_of_two)
{
    return (n + power_of_two - 1) & ~(power_of_two - 1);
}

static inline uint64_t mps_min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t mps_max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Index of the highest set bit; x is not 0. */
static inline uint32_t mps_log2(uint64_t x)
{
    return 63u - (uint32_t)__builtin_clzll(x);
}

/* One round of a 64 x 64 -> 128 bit multiplication, folded: the mixer of all our hashes. */
static inline uint64_t mps_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Hash of n bytes under a seed; same bytes, same hash in every process. */
uint64_t mps_hash_bytes(const void *data, uint64_t n, uint64_t seed);

#endif
