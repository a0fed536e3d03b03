/* pools.h -- what a pair of allocation and deallocation of a 32-byte node costs, in the core and in Boost.Interprocess.
 *
 * A working set of MPS_BENCH_NODES nodes; each step gives a random one back and takes another. Costs in ns a pair.
 */
#ifndef MPS_BENCH_POOLS_H
#define MPS_BENCH_POOLS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MPS_BENCH_NODES 1000u

enum mps_bench_pool {
    MPS_BENCH_PLAIN = 0, /* the segment's own allocator */
    MPS_BENCH_NODE,
    MPS_BENCH_PRIVATE_NODE,
    MPS_BENCH_CACHED_NODE,
    MPS_BENCH_ADAPTIVE,
    MPS_BENCH_PRIVATE_ADAPTIVE,
    MPS_BENCH_CACHED_ADAPTIVE,
    MPS_BENCH_POOLS
};

/* The core's: one operation, with its locks, journal and commit, for each pair. */
double mps_bench_pool_core(enum mps_bench_pool which, uint64_t pairs);
/* The same with an operation of its own for each allocation and each deallocation. */
double mps_bench_pool_core_apart(enum mps_bench_pool which, uint64_t pairs);
double mps_bench_pool_boost(enum mps_bench_pool which, uint64_t pairs);

#ifdef __cplusplus
}
#endif

#endif
