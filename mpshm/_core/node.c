#include "node.h"

#include "pool.h"

mps_status mps_node_alloc(mps_tx *tx, mps_off pool, uint64_t nbytes, mps_off *node)
{
    return mps_likely(pool == 0) ? mps_alloc(tx, nbytes, node) : mps_pool_alloc(tx, pool, nbytes, node);
}

mps_status mps_node_free(mps_tx *tx, mps_off pool, mps_off node)
{
    return mps_likely(pool == 0) ? mps_free(tx, node) : mps_pool_free(tx, pool, node);
}

mps_status mps_node_visit_pool(mps_off pool, mps_visit *v)
{
    return pool == 0 ? MPS_OK : v->ref(v, pool);
}
