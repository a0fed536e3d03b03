#include "node.h"

mps_status mps_node_alloc(mps_tx *tx, mps_off pool, uint64_t nbytes, mps_off *node)
{
    return pool == 0 ? mps_alloc(tx, nbytes, node) : MPS_E_CORRUPT;
}

mps_status mps_node_free(mps_tx *tx, mps_off pool, mps_off node)
{
    return pool == 0 ? mps_free(tx, node) : MPS_E_CORRUPT;
}

mps_status mps_node_visit_pool(mps_off pool, mps_visit *v)
{
    return pool == 0 ? MPS_OK : v->ref(v, pool);
}
