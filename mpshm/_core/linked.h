/* linked.h -- a doubly linked list of values, and cursors into it: LinkedList.
 *
 *   object:  | mps_object | prev | next | zero | count | moves | pool | id | last_id |      8 bytes each
 *   node:    | prev : 64 | next : 64 | id : 64 | value : 128 |                              40 bytes
 *   chain:   | mortal | first : 64 | pool : 64 |                                            40 bytes; nodes that are dying
 *
 * The list is a ring: prev, next and zero of the object lie as a node's prev, next and id do, so they are the end of the list, a node
 * like any other but for its id, which is 0. Links are offsets of nodes, or of the end (off + 80); 0 in the end itself: the list is empty.
 *   prev     the last node               next   the first one
 *   count    nodes                       moves  how often nodes have left this list alive, or all at once
 *   pool     where nodes come from: node.h
 *   id       the next node's; ids up to last_id are this list's to give out, reserved from the segment's serials, MPS_LINKED_IDS at a time
 *
 * Invariants: node->next->prev == node == node->prev->next; count nodes lie between the end and itself; ids are unique in the segment
 * and never 0.
 *
 * A cursor is (node, id, moves). It is stale once the node's id is another: an erased node's is zeroed before the node is given up. As
 * long as the list's moves are the cursor's, a node with the right id is in this list; else one walks to the end to see whose it is.
 *
 * Locking: as table.h; two lists' guards in the order of their offsets. A cursor's value is read without a lock. All changes are journaled.
 *
 * Costs: insert, erase, read and step at a cursor, push, pop, and moving a whole list O(1); moving a part O(its nodes); index O(n).
 * A cursor whose node was moved to another list costs O(n) once.
 */
#ifndef MPS_LINKED_H
#define MPS_LINKED_H

#include "node.h"
#include "table.h" /* mps_snap */

typedef struct mps_link {
    uint64_t prev;   /* offset of the node before, or of the end */
    uint64_t next;   /* offset of the node after, or of the end */
    uint64_t id;     /* 0: the end, or no node any more */
    mps_value value; /* not in the end */
} mps_link;

typedef struct mps_linked {
    mps_object object;
    uint64_t prev, next, zero; /* the end: as the beginning of an mps_link */
    uint64_t count;            /* nodes */
    uint64_t moves;
    uint64_t pool;    /* offset of a pool, counted; 0 none */
    uint64_t id;      /* of the next node */
    uint64_t last_id; /* one more than the last that may be given out */
} mps_linked;

_Static_assert(sizeof(mps_link) == 40, "stored");
_Static_assert(offsetof(mps_link, id) == 16, "stored");
_Static_assert(offsetof(mps_link, value) == 24, "stored");
_Static_assert(sizeof(mps_linked) == 144, "stored");
_Static_assert(offsetof(mps_linked, prev) == 80, "stored");
_Static_assert(offsetof(mps_linked, zero) == 96, "stored");
_Static_assert(offsetof(mps_linked, count) == 104, "stored");

#define MPS_LINKED_IDS 65536u

/* A place in a list, private memory. id 0: its end. */
typedef struct mps_cursor {
    mps_off node;
    uint64_t id;
    uint64_t moves;
} mps_cursor;

/* What an operation is done at: a cursor, or an index, which may be negative. */
typedef struct mps_spot {
    const mps_cursor *cursor; /* NULL: the index counts */
    int64_t index;
} mps_spot;

/* All of these are whole operations, off the list's, statuses as in table.h; besides:
 * MPS_E_STALE  the cursor's node was erased
 * MPS_E_TYPE   the cursor's node is in another list by now: mps_linked_owner
 * MPS_E_RANGE  no such index, or the end, which has no value; nothing to pop */
mps_status mps_linked_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* A cursor to an index; one to the length, or behind it: to the end. Negative ones count from the end, down to the first. */
mps_status mps_linked_at(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_cursor *out);
/* Moves a cursor: forth, or back. From the end back to the last, from the last forth to the end; MPS_E_RANGE beyond. */
mps_status mps_linked_step(mps_seg *seg, mps_door door, mps_off off, mps_cursor *cursor, bool back);
/* MPS_OK if the cursor is good in this list; it knows it from then on (cursor->moves). */
mps_status mps_linked_seek(mps_seg *seg, mps_door door, mps_off off, mps_cursor *cursor);
/* The list that a cursor's node is in now, to which this process refers from now on, one local count. */
mps_status mps_linked_owner(mps_seg *seg, mps_door door, const mps_cursor *cursor, mps_off *list);
mps_status mps_linked_get(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, mps_copy *out);
mps_status mps_linked_set(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, mps_enc *value);
/* Puts n values in before (or, after: behind) a spot, whose index is clipped as list.insert's; *made: a cursor to the first of them. */
mps_status mps_linked_insert(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, bool after, mps_enc *values,
                             uint64_t n, mps_cursor *made);
/* Takes a node out; out (not NULL) gets its value, next (not NULL) a cursor to what came after it. expected (not NULL): only if the
 * value is the same, else MPS_E_CHANGED. */
mps_status mps_linked_erase(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, const mps_enc *expected,
                            mps_copy *out, mps_cursor *next);
mps_status mps_linked_reverse(mps_seg *seg, mps_door door, mps_off off);
mps_status mps_linked_clear(mps_seg *seg, mps_door door, mps_off off);
/* Makes n values the whole content if the guard's sequence still is `version` (a snapshot's seq): else MPS_E_CHANGED. */
mps_status mps_linked_replace(mps_seg *seg, mps_door door, mps_off off, const mps_enc *values, uint64_t n,
                              uint32_t version);
/* Moves nodes from one list to another (or the same) of the same pool, before `to`: all (first NULL), or from first up to but without
 * last. MPS_E_INVAL: last does not come after first, `to` lies between them, or the pools differ. */
mps_status mps_linked_splice(mps_seg *seg, mps_door door, mps_off off, const mps_cursor *to, mps_off from,
                             const mps_cursor *first, const mps_cursor *last);
/* Lets an empty list take its nodes from a pool from now on: MPS_E_EXISTS when it has nodes or a pool; else as mps_node_use_pool. */
mps_status mps_linked_use_pool(mps_seg *seg, mps_door door, mps_off off, mps_off pool);
/* Copies all values as they are at one moment; cursors (not NULL): *cursors gets an array to be freed, one for each. */
mps_status mps_linked_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_snap *out, mps_cursor **cursors);

/* Kind hooks. */
mps_status mps_linked_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_linked_chain_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_linked_visit(mps_seg *seg, mps_off off, mps_visit *v);
mps_status mps_linked_chain_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
