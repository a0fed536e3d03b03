/* tree.h -- the B+tree behind Map, MultiMap and SortedSet: items sorted by key, with a place each, read without locks.
 *
 *   object:  | mps_object | body : 64 | pool : 64 |
 *   body:    | mortal | pool | root | height | count |                      64 bytes
 *   node:    | level : 32 | n : 32 | next | prev | reserved | keys : 16 x cap | slots : 16 x cap |
 *             leaf (level 0)    a key and its value each; a SortedSet's has keys only, twice as many
 *             others            the first key of each child but the first, and { child's offset : 64 | items below it : 64 }
 *
 * Every node has the same size and comes from the container's pool (node.h). Keys of inner nodes own nothing: they are the bytes of the
 * first key of the leftmost leaf below, which owns what they refer to; key 0 of an inner node means nothing.
 *
 * Invariants: all leaves are at level 0, body.height levels below the root inclusive; keys ascend strictly (MultiMap: equal keys stand in
 * the order in which they came); an inner node's count of a child is the number of items below it, body.count that of all; leaves are
 * linked in order. A node that is neither the root nor at the right edge of its level is half full, but for two keys, at least; the right
 * edge may have fewer, so that keys that come in order fill nodes wholly. Inner nodes have two children at least.
 *
 * Height: with at least 16 children a node, 2^48 items need 12 levels; MPS_TREE_DEPTH is what anybody believes.
 *
 * Locking: changes under object.guard, in one operation, journaled word by word; what moves inside of a node moves as mps_tx_shift does; new
 * nodes are filled before they are linked. Readers follow nothing that they have not bounded: offsets, levels, counts of keys; the
 * sequence tells whether to believe.
 *
 * Costs, h = height: finding h binary searches, each in lines of memory that were asked for together; inserting and removing the same,
 * one shift of half a node on the average, one count a level; one insertion in 30 or so splits a node. The place of a key, the key at a
 * place: the same.
 */
#ifndef MPS_TREE_H
#define MPS_TREE_H

#include "node.h"
#include "order.h"
#include "table.h"

typedef struct mps_tree {
    mps_object object;
    uint64_t body; /* offset; 0: none yet (empty) */
    uint64_t pool; /* offset of where nodes come from, counted; 0 the segment's allocator */
} mps_tree;

_Static_assert(sizeof(mps_tree) == 96, "stored");
_Static_assert(offsetof(mps_tree, body) == 80, "stored");

#define MPS_TREE_NODE_BYTES 2016u /* every node's */

/* Which of equal keys: the first that is not less, or the first that is greater. */
typedef enum mps_bound { MPS_BOUND_LOWER, MPS_BOUND_UPPER } mps_bound;

/* A range of items. By keys (from, to: NULL none) or, both NULL and `by_index`, by places as a Python slice counts them. */
typedef struct mps_tree_range {
    const mps_enc *from, *to;
    mps_bound from_bound, to_bound; /* LOWER of from: with it; UPPER of to: with it */
    int64_t start, stop;            /* by_index; may be negative or too large */
    bool by_index;
    bool reverse;   /* the last item first */
    uint64_t skip;  /* items left out where the walk begins */
    uint64_t limit; /* items at most */
    uint64_t left;  /* out: items of the range beyond those that were copied */
    uint64_t first; /* out: place of its first item, after what was left out */
} mps_tree_range;

/* All of these are whole operations. off: the tree's offset (this process refers to it). Any of them: MPS_E_CLOSED, MPS_E_CORRUPT,
 * MPS_E_NOMEM, MPS_E_TYPE for a key that has no order among those there; changes: MPS_E_FULL, and MPS_E_BUSY when another holds
 * object.user. "key" of a MultiMap: the first item of that key. */
mps_status mps_tree_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* A copy of the value, without a lock where possible: MPS_E_NOTFOUND. */
mps_status mps_tree_get(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out);
/* MPS_OK or MPS_E_NOTFOUND. */
mps_status mps_tree_has(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key);
/* How many items come before the bound of a key. */
mps_status mps_tree_rank(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_bound bound, uint64_t *at);
/* Sets the value of a key; *added: it was not there. A MultiMap adds an item behind those of the same key. A SortedSet has no values
 * (NULL). */
mps_status mps_tree_set(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value, bool *added);
/* Sets unless the key is there: MPS_OK it was set; MPS_E_EXISTS and *out the value there is (out may be NULL). */
mps_status mps_tree_setdefault(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value, mps_copy *out);
/* Removes the key; out (may be NULL) gets the value: MPS_E_NOTFOUND. */
mps_status mps_tree_pop(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out);
/* The item at a place, which may be negative: MPS_E_RANGE. value is NULL for a SortedSet. */
mps_status mps_tree_item(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *key, mps_copy *value);
/* The same, and removes it. key and value may be NULL. */
mps_status mps_tree_pop_item(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *key, mps_copy *value);
/* Removes item number nth of those that equal key if its value is the same as expected: MPS_E_CHANGED. */
mps_status mps_tree_remove(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, uint64_t nth,
                           const mps_enc *expected);
/* As mps_table_exchange and mps_table_add; adding to what is no whole number is MPS_E_EXISTS. */
mps_status mps_tree_exchange(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, const mps_enc *expected,
                             mps_enc *value);
mps_status mps_tree_add(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, int64_t n, int64_t start, int64_t *sum);

/* ---- many at once ---- */

/* Sets n pairs (of a SortedSet: keys, values NULL), all or none. *grown: by how much its size changed. */
mps_status mps_tree_update(mps_seg *seg, mps_door door, mps_off off, mps_enc *keys, mps_enc *values, uint64_t n,
                           int64_t *grown);
/* Removes n keys, those that are there; all or none. */
mps_status mps_tree_take(mps_seg *seg, mps_door door, mps_off off, const mps_enc *keys, uint64_t n, int64_t *grown);
/* Makes n pairs the whole content if the guard's sequence still is version: MPS_E_CHANGED. */
mps_status mps_tree_replace(mps_seg *seg, mps_door door, mps_off off, mps_enc *keys, mps_enc *values, uint64_t n,
                            uint32_t version, int64_t *grown);
mps_status mps_tree_clear(mps_seg *seg, mps_door door, mps_off off);
/* Copies the items of a range, as they are at one moment: MPS_SNAP_KEYS, VALUES or BOTH. */
mps_status mps_tree_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_tree_range *range, unsigned what,
                             mps_snap *out);
/* Lets an empty tree take its nodes from a pool from now on, counting a reference: MPS_E_EXISTS when it has nodes or a pool;
 * else as mps_node_use_pool. */
mps_status mps_tree_use_pool(mps_seg *seg, mps_door door, mps_off off, mps_off pool);

/* Kind hooks. */
mps_status mps_tree_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_tree_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_tree_visit(mps_seg *seg, mps_off off, mps_visit *v);
mps_status mps_tree_body_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
