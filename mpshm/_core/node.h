/* node.h -- where containers that consist of nodes get them: the segment's own allocator, or a pool (pool.h).
 *
 * A container keeps the offset of its pool, which it counts as a reference, or 0 for the segment's own allocator. All its nodes
 * come from there and go back there.
 *
 * Locking: inside an operation that holds the container's guard. Order: container, references, pool, allocator; so whatever
 * takes the references' guard in the same operation (values that own something) comes before. A node that is given up is not
 * reused before the commit.
 *
 * Costs: O(1); from the segment's own allocator, for small nodes, one journal entry and no lock (alloc.h).
 */
#ifndef MPS_NODE_H
#define MPS_NODE_H

#include "object.h"

#define MPS_ROOM_NODE \
    20u /* journal entries that one of these may add; each asks for so many itself, and MPS_ROOM_NODE_AFTER more */
#define MPS_ROOM_NODE_AFTER 8u

/* A node of nbytes, its content undefined. Every node of one container has the same size. */
mps_status mps_node_alloc(mps_tx *tx, mps_off pool, uint64_t nbytes, mps_off *node);
mps_status mps_node_free(mps_tx *tx, mps_off pool, mps_off node);
/* One reference of a container's to its pool (0: nothing to do). Its nodes it reports by v->block, whatever pool they are from. */
mps_status mps_node_visit_pool(mps_off pool, mps_visit *v);

/* Lets a container take its nodes of nbytes from a pool from now on: sets its word, counts a reference. Under the container's guard, while it
 * has no nodes. MPS_E_EXISTS: it has a pool; MPS_E_TYPE: none at that offset; MPS_E_INVAL: its nodes are too small. */
mps_status mps_node_use_pool(mps_tx *tx, uint64_t *word, mps_off pool, uint64_t nbytes);
/* The pool of a container this process refers to, 0 for none; it refers to the pool too from now on, one local count. An operation of its
 * own. */
mps_status mps_node_pool(mps_seg *seg, mps_door door, mps_object *container, const uint64_t *word, mps_off *pool);

#endif
