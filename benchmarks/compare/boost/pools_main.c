#include <stdio.h>

#include "pools.h"

#define PAIRS 2000000u
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

int main(void)
{
    static const char *const names[] = {"the segment's allocator", "NodePool",     "PrivateNodePool",
                                        "CachedNodePool",          "AdaptivePool", "PrivateAdaptivePool",
                                        "CachedAdaptivePool"};
    printf("a 32-byte node given back and another taken, ns (best of %u)\n", ROUNDS);
    printf("%-26s%12s%12s%12s\n", "", "Boost", "mpshm", "in two");
    for (int i = 0; i < MPS_BENCH_POOLS; i++) {
        enum mps_bench_pool which = (enum mps_bench_pool)i;
        printf("%-26s%12.1f%12.1f%12.1f\n", names[i], least(mps_bench_pool_boost, which),
               least(mps_bench_pool_core, which), least(mps_bench_pool_core_apart, which));
        fflush(stdout);
    }
    return 0;
}
