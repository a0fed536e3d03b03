#include <stdio.h>

#include "pools.h"

#define PAIRS 1000000u
#define ROUNDS 3u

static double least(double (*measure)(enum mps_bench_pool, uint64_t), enum mps_bench_pool which)
{
    double best = measure(which, PAIRS);
    for (unsigned i = 1; i < ROUNDS; i++) {
        double now = measure(which, PAIRS);
        best = now < best ? now : best;
    }
    return best;
}

static double fill_1(enum mps_bench_pool which, uint64_t pairs)
{
    return mps_bench_pool_core_fill(which, pairs, 1);
}

static double fill_8(enum mps_bench_pool which, uint64_t pairs)
{
    return mps_bench_pool_core_fill(which, pairs, 8);
}

int main(void)
{
    static const char *const names[] = {"the segment's allocator", "NodePool",     "PrivateNodePool",
                                        "CachedNodePool",          "AdaptivePool", "PrivateAdaptivePool",
                                        "CachedAdaptivePool"};
    printf("32-byte nodes, ns a pair, best of %u\n%-26s%24s%36s\n%-26s%12s%12s%12s%12s%12s\n", ROUNDS, "",
           "one back, one taken", "all taken, all back", "", "Boost", "mpshm", "Boost", "mpshm", "mpshm, by 8");
    for (int i = 0; i < MPS_BENCH_POOLS; i++) {
        enum mps_bench_pool which = (enum mps_bench_pool)i;
        printf("%-26s%12.1f%12.1f%12.1f%12.1f%12.1f\n", names[i], least(mps_bench_pool_boost, which),
               least(mps_bench_pool_core, which), least(mps_bench_pool_boost_fill, which), least(fill_1, which),
               least(fill_8, which));
        fflush(stdout);
    }
    return 0;
}
