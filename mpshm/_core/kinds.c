#include "barrier.h"
#include "cell.h"
#include "linked_body.h"
#include "names.h"
#include "numbers.h"
#include "raw.h"
#include "pool.h"
#include "deque.h"
#include "ring.h"
#include "cond.h"
#include "event.h"
#include "sem.h"
#include "tree.h"
#include "text.h"
#include "typed.h"
#include "vector.h"

/* A lock is its header alone; numbers and raw bytes own nothing besides their block. */
static mps_status bare_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)tx;
    (void)m;
    (void)off;
    *done = true;
    return MPS_OK;
}

static mps_status bare_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    (void)seg;
    (void)off;
    (void)v;
    return MPS_OK;
}

static const mps_kind kinds[] = {
    {MPS_KIND_DICT, "dict", sizeof(mps_table), mps_table_drop, mps_table_visit},
    {MPS_KIND_LIST, "list", sizeof(mps_vector), mps_vector_drop, mps_vector_visit},
    {MPS_KIND_VALUE, "value", sizeof(mps_cell), mps_cell_drop, mps_cell_visit},
    {MPS_KIND_NAMESPACE, "namespace", sizeof(mps_table), mps_table_drop, mps_table_visit},
    {MPS_KIND_LOCK, "lock", sizeof(mps_object), bare_drop, bare_visit},
    {MPS_KIND_RLOCK, "rlock", sizeof(mps_object), bare_drop, bare_visit},
    {MPS_KIND_RAW, "raw", sizeof(mps_raw), bare_drop, mps_raw_visit},
    {MPS_KIND_NDARRAY, "ndarray", sizeof(mps_raw), bare_drop, mps_raw_visit},
    {MPS_KIND_BUFFER, "buffer", sizeof(mps_raw), bare_drop, mps_raw_visit},
    {MPS_KIND_NAMES, "names", sizeof(mps_table), mps_table_drop, mps_table_visit},
    {MPS_KIND_ARRAY, "array", sizeof(mps_numbers), bare_drop, mps_numbers_visit},
    {MPS_KIND_INSTANCE, "instance", sizeof(mps_cell), mps_cell_drop, mps_cell_visit},
    {MPS_KIND_BLOB, "blob", sizeof(mps_blob), mps_blob_drop, mps_blob_visit},
    {MPS_KIND_SET, "set", sizeof(mps_table), mps_table_drop, mps_table_visit},
    {MPS_KIND_DEQUE, "deque", sizeof(mps_deque), mps_deque_drop, mps_deque_visit},
    {MPS_KIND_SEMAPHORE, "semaphore", sizeof(mps_sem), mps_sem_drop, mps_sem_visit},
    {MPS_KIND_BOUNDED_SEMAPHORE, "bounded semaphore", sizeof(mps_sem), mps_sem_drop, mps_sem_visit},
    {MPS_KIND_CONDITION, "condition", sizeof(mps_cond), mps_cond_drop, mps_cond_visit},
    {MPS_KIND_EVENT, "event", sizeof(mps_event), mps_event_drop, mps_event_visit},
    {MPS_KIND_BARRIER, "barrier", sizeof(mps_barrier_object), mps_barrier_drop, mps_barrier_visit},
    {MPS_KIND_TABLE_BODY, "body of a table", 32, mps_table_body_drop, mps_table_body_visit},
    {MPS_KIND_ARRAY_BODY, "body of a list", 32, mps_vector_body_drop, mps_vector_body_visit},
    {MPS_KIND_DEQUE_BODY, "body of a deque", 32, mps_deque_body_drop, mps_deque_body_visit},
    {MPS_KIND_QUEUE, "queue", sizeof(mps_ring), mps_ring_drop, mps_ring_visit},
    {MPS_KIND_JOINABLE_QUEUE, "joinable queue", sizeof(mps_ring), mps_ring_drop, mps_ring_visit},
    {MPS_KIND_SIMPLE_QUEUE, "simple queue", sizeof(mps_ring), mps_ring_drop, mps_ring_visit},
    {MPS_KIND_MAP, "map", sizeof(mps_tree), mps_tree_drop, mps_tree_visit},
    {MPS_KIND_MULTI_MAP, "multimap", sizeof(mps_tree), mps_tree_drop, mps_tree_visit},
    {MPS_KIND_SORTED_SET, "sorted set", sizeof(mps_tree), mps_tree_drop, mps_tree_visit},
    {MPS_KIND_TREE_NODE, "body of a map", 64, mps_tree_body_drop, mps_tree_body_visit},
    {MPS_KIND_POOL, "pool", sizeof(mps_pool), mps_pool_drop, mps_pool_visit},
    {MPS_KIND_RING_CHUNK, "part of a queue", 64, mps_ring_chunk_drop, mps_ring_chunk_visit},
    {MPS_KIND_VECTOR, "vector", sizeof(mps_typed), mps_typed_drop, mps_typed_visit},
    {MPS_KIND_LINKED_LIST, "linked list", sizeof(mps_linked), mps_linked_drop, mps_linked_visit},
    {MPS_KIND_LINKED_CHAIN, "part of a linked list", sizeof(mps_chain), mps_linked_chain_drop, mps_linked_chain_visit},
    {MPS_KIND_STRING, "string", sizeof(mps_text), mps_text_drop, mps_text_visit},
};

const mps_kind *mps_kind_find(uint32_t kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].kind == kind) {
            return &kinds[i];
        }
    }
    return NULL;
}
