/* pools.h -- what a pair of allocation and deallocation of a 32-byte node costs, in the core and in Boost.Interprocess.
 *
 * Two ways: a working set of MPS_BENCH_NODES nodes, of which each step gives a random one back and takes another; and so many nodes
 * taken one after the other, then given back in the order in which they were taken. Costs in ns a pair.
 *
 * Boost's allocators lock a mutex in each call (but for the private ones). The core's calls are part of an operation, which can be
 * taken back and survives a kill at any point; it takes the pool's guard as its first lock, or, where the pool needs none (the
 * segment's allocator, cached pools), that of a container.
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

/* A working set; of the core, one operation for each pair. */
double mps_bench_pool_core(enum mps_bench_pool which, uint64_t pairs);
double mps_bench_pool_boost(enum mps_bench_pool which, uint64_t pairs);
/* All taken, all given back; of the core, one operation for so many calls, as a container's that adds several items at once. */
double mps_bench_pool_core_fill(enum mps_bench_pool which, uint64_t pairs, uint32_t calls);
double mps_bench_pool_boost_fill(enum mps_bench_pool which, uint64_t pairs);

#ifdef __cplusplus
}
#endif

#endif
