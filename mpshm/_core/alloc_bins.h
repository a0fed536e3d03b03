/* alloc_bins.h -- the free chunks of a segment, found by size.
 *
 *   up to 16 KiB:  one list for each size                        small[i]: size 32 + 16 i
 *   above:         one trie for each half of a power of two      large[i]: sizes that agree in their two highest bits
 *
 *   free chunk:   | head | next | prev | child 0 | child 1 | parent | hole | hole end | ....... | size |
 *                                      '-- in a trie only --------------------------'
 *
 * A trie branches on the bits of the size below the two highest, from the top; a chunk stands at any place of the
 * path that its own bits name. Chunks of equal size hang in a list behind the one that stands in the trie. So a trie
 * of sizes below 2^(k+1) is never deeper than k - 3 levels, whatever comes and goes: no rotations, and at most
 * MPS_BINS_STORES words change.
 *
 * Best fit is exact: the smallest chunk that is large enough. (In the request's own trie: on the way down along the
 * request's bits the least sufficient size is remembered, and the last right branch not taken, under which all sizes
 * are larger; whatever lies left of the way is too small. If neither has one, any trie of larger sizes: there
 * leftmost first. The least of a subtree lies on its leftmost path, since all that branch off to the right are larger
 * than those on the left.)
 *
 * Locking: all under the allocator's guard; changes in the inner journal. Nothing read here is believed: links are
 * bounded, checked against each other before they are followed, and MPS_E_CORRUPT ends the operation.
 *
 * Costs: add, remove and best fit O(1) up to 16 KiB (a map of bits tells which lists are not empty), above O(log
 * size): at most 41 steps. What counts is how many chunks are looked at, each a miss of the processor's caches: with
 * lists two at most.
 */
#ifndef MPS_ALLOC_BINS_H
#define MPS_ALLOC_BINS_H

#include "alloc_fit.h"

#define MPS_BINS_STORES 7u /* words that one add or remove changes, at most */

/* A chunk's links are `fresh` when they may stay as they come out if the transaction is undone: nothing of the
 * segment's state stood there before. Then they are written without the journal. */
static inline void mps_bins_put(mps_tx *tx, uint64_t *word, uint64_t value, bool fresh)
{
    if (fresh) {
        mps_store64(word, value);
    } else {
        mps_tx_set_inner(tx, word, value);
    }
}

static inline uint32_t mps_bins_list(uint64_t size)
{
    return (uint32_t)((size - MPS_CHUNK_MIN) / MPS_CHUNK_ALIGN);
}

mps_status mps_bins_add_large(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size);
mps_status mps_bins_remove_large(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size);
/* Notes that list i is no longer, or again, empty. */
void mps_bins_mark(mps_tx *tx, mps_fit *fit, uint32_t i, bool filled);

/* Adds a chunk of that size, all of which lies inside of the segment. */
static inline mps_status mps_bins_add(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size, bool fresh)
{
    if (size > MPS_FIT_SMALL) {
        return mps_bins_add_large(tx, fit, c, chunk, size);
    }
    uint32_t i = mps_bins_list(size);
    mps_off first = mps_load64(&fit->small[i]);
    mps_chunk *second = first != 0 ? mps_chunk_at(tx->seg, first, MPS_CHUNK_LIST) : NULL;
    if (mps_unlikely(first != 0 && second == NULL)) {
        return MPS_E_CORRUPT;
    }
    mps_bins_put(tx, &c->next, first, fresh);
    mps_bins_put(tx, &c->prev, 0, fresh);
    mps_tx_set_inner(tx, &fit->small[i], chunk);
    if (second != NULL) {
        mps_tx_set_inner(tx, &second->prev, chunk);
    } else {
        mps_bins_mark(tx, fit, i, true);
    }
    return MPS_OK;
}

/* Removes a chunk of that size, all of which lies inside of the segment. */
static inline mps_status mps_bins_remove(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size)
{
    if (size > MPS_FIT_SMALL) {
        return mps_bins_remove_large(tx, fit, c, chunk, size);
    }
    uint32_t i = mps_bins_list(size);
    mps_off next = mps_load64(&c->next);
    mps_off prev = mps_load64(&c->prev);
    mps_chunk *after = next != 0 ? mps_chunk_at(tx->seg, next, MPS_CHUNK_LIST) : NULL;
    mps_chunk *before = prev != 0 ? mps_chunk_at(tx->seg, prev, MPS_CHUNK_LIST) : NULL;
    uint64_t *link = before != NULL ? &before->next : &fit->small[i];
    if (mps_unlikely((next != 0 && after == NULL) || (prev != 0 && before == NULL) || mps_load64(link) != chunk ||
                     (after != NULL && mps_load64(&after->prev) != chunk))) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set_inner(tx, link, next);
    if (after != NULL) {
        mps_tx_set_inner(tx, &after->prev, prev);
    } else if (before == NULL) {
        mps_bins_mark(tx, fit, i, false);
    }
    return MPS_OK;
}

/* The very first chunk of a new segment: no journal. */
void mps_bins_begin(mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size);
/* The smallest chunk of at least that size: MPS_E_NOTFOUND when there is none. */
mps_status mps_bins_best(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk);
/* Bytes of the largest chunk; 0 when there is none, or the links make no sense. */
uint64_t mps_bins_largest(mps_seg *seg, const mps_fit *fit);
/* Visits every chunk in the bins of a frozen segment; MPS_E_CORRUPT and *why when a chunk stands where it does not
 * belong, or more than n are found. */
mps_status mps_bins_walk(mps_seg *seg, const mps_fit *fit, uint64_t n,
                         void (*visit)(void *ctx, mps_off chunk, uint64_t size), void *ctx, const char **why);

#endif
