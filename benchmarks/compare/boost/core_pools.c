/* core_pools.c -- nodes from each kind of pool. */
#include "core_nodes.h"
#include "pool.h"

/* (what Boost takes if it is not told) */
static mps_off pool_new(mps_seg *seg, uint32_t type)
{
    mps_pool_spec spec = {type, BENCH_NODE, 64, 2, 5, 64};
    mps_off off;
    uint64_t serial;
    sure(mps_pool_get(seg, BENCH_DOOR, &spec, &off, &serial));
    return off;
}

int main(void)
{
    static const struct {
        const char *what;
        uint32_t type;
    } kinds[] = {
        {"node_allocator", 0},
        {"private_node_allocator", MPS_POOL_PRIVATE},
        {"cached_node_allocator", MPS_POOL_CACHED},
        {"adaptive_pool", MPS_POOL_ADAPTIVE},
        {"private_adaptive_pool", MPS_POOL_ADAPTIVE | MPS_POOL_PRIVATE},
        {"cached_adaptive_pool", MPS_POOL_ADAPTIVE | MPS_POOL_CACHED},
    };
    mps_seg *seg = bench_segment();
    holder h = holder_new(seg);
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        mps_off pool = pool_new(seg, kinds[i].type);
        holder_rows(&h, pool, kinds[i].what);
        mps_ref_drop(seg, BENCH_DOOR, pool);
    }
    bench_end();
    mps_seg_release(seg);
    return 0;
}
