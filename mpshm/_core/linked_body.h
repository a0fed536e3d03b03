/* linked_body.h -- inside a linked list: nodes as an operation under the guard sees them. For linked*.c only. */
#ifndef MPS_LINKED_BODY_H
#define MPS_LINKED_BODY_H

#include "linked.h"

#define MPS_ROOM_LINKED 24u /* journal entries of a node that is linked or unlinked, besides its value */

/* Nodes that are dying, after all were taken out at once. */
typedef struct mps_chain {
    mps_mortal mortal;
    uint64_t first; /* offset of the first that is left; 0 none */
    uint64_t pool;  /* counted */
} mps_chain;

_Static_assert(sizeof(mps_chain) == 40, "stored");

static inline mps_linked *mps_linked_of(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* The offset of a list's end. */
static inline mps_off mps_linked_end(const mps_seg *seg, const mps_linked *l)
{
    return mps_region_off(&seg->region, &l->prev);
}

/* What can be a node; NULL otherwise. */
static inline mps_link *mps_link_at(mps_seg *seg, mps_off node)
{
    if (mps_unlikely((node & 15) != 0 || node < seg->arena ||
                     !mps_region_holds(&seg->region, node, sizeof(mps_link)))) {
        return NULL;
    }
    return mps_region_at(&seg->region, node);
}

/* The node after (before) one, or after the end; the end where there is none. NULL: the links make no sense. */
static inline mps_link *mps_link_next(mps_seg *seg, const mps_linked *l, const mps_link *link)
{
    mps_off next = mps_load64(&link->next);
    return next == 0 && (const void *)link == (const void *)&l->prev ? (mps_link *)(void *)(uintptr_t)&l->prev
                                                                     : mps_link_at(seg, next);
}

static inline mps_link *mps_link_prev(mps_seg *seg, const mps_linked *l, const mps_link *link)
{
    mps_off prev = mps_load64(&link->prev);
    return prev == 0 && (const void *)link == (const void *)&l->prev ? (mps_link *)(void *)(uintptr_t)&l->prev
                                                                     : mps_link_at(seg, prev);
}

/* The end, as a node; of it only prev, next and id may be touched. */
static inline mps_link *mps_link_end(mps_linked *l)
{
    return (mps_link *)(void *)&l->prev;
}

static inline bool mps_link_is_end(const mps_linked *l, const mps_link *link)
{
    return (const void *)link == (const void *)&l->prev;
}

/* Takes the guard for a change, unless somebody else holds the user's lock. */
static inline mps_status mps_linked_enter(mps_tx *tx, mps_linked *l)
{
    mps_status st = mps_tx_lock(tx, &l->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &l->object.user) : st;
}

static inline void mps_cursor_make(const mps_seg *seg, const mps_linked *l, const mps_link *link, mps_cursor *out)
{
    *out = (mps_cursor){mps_region_off(&seg->region, link), mps_link_is_end(l, link) ? 0 : mps_load64(&link->id),
                        mps_load64(&l->moves)};
}

/* Most nodes that a segment has room for: no walk is longer. */
static inline uint64_t mps_linked_most(const mps_seg *seg)
{
    return mps_load64(&seg->region.limit) / sizeof(mps_link);
}

/* ---- linked.c: under the guard ---- */

/* The node that a cursor stands for, or the end: MPS_E_STALE, MPS_E_TYPE, MPS_E_CORRUPT. */
mps_status mps_linked_find(mps_seg *seg, mps_linked *l, const mps_cursor *cursor, mps_link **link);
/* The node at index <= count, walking from the nearer side; at count: the end. */
mps_status mps_linked_walk(mps_seg *seg, mps_linked *l, uint64_t index, mps_link **link);
/* The node at a spot; clip: indices are clipped as list.insert's, else MPS_E_RANGE. */
mps_status mps_linked_spot(mps_seg *seg, mps_linked *l, mps_spot spot, bool clip, mps_link **link);

/* ---- linked_edit.c: under the guard, its sequence odd ---- */

/* Hands all nodes over to die; the list is empty then. */
mps_status mps_linked_empty(mps_tx *tx, mps_linked *l);

#endif
