#include "node.h"

#include "pool.h"
#include "reader.h"
#include "value.h"

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

mps_status mps_node_use_pool(mps_tx *tx, uint64_t *word, mps_off pool, uint64_t nbytes)
{
    if (mps_load64(word) != 0) {
        return MPS_E_EXISTS;
    }
    const mps_pool *p = mps_pool_at(tx->seg, pool);
    if (p == NULL || mps_load32(&p->spec.node_bytes) < nbytes) {
        return p == NULL ? MPS_E_TYPE : MPS_E_INVAL;
    }
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, MPS_ROOM_NODE_AFTER);
    }
    if (st == MPS_OK) {
        st = mps_object_incref(tx, pool);
    }
    if (st == MPS_OK) {
        mps_tx_set(tx, word, pool);
    }
    return st;
}

mps_status mps_node_pool(mps_seg *seg, mps_door door, mps_object *container, const uint64_t *word, mps_off *pool)
{
    mps_tx tx;
    uint32_t counted = 0;
    *pool = 0;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, container);
    mps_off found = st == MPS_OK ? mps_load64(word) : 0;
    if (found != 0) {
        st = mps_pool_at(seg, found) != NULL ? mps_refs_adopt(&tx, &found, 1, &counted) : MPS_E_CORRUPT;
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK && counted > 0) {
        mps_ref_drop(seg, door, found);
    }
    *pool = st == MPS_OK ? found : 0;
    return st;
}
