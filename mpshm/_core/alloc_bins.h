/* alloc_bins.h -- the free chunks of a segment, found by size.
 *
 *   up to 1 KiB:  one list for each size                         small[i]: size 32 + 16 i
 *   above:        one trie for each half of a power of two       large[i]: sizes that agree in their two highest bits
 *
 *   free chunk:   | head | next | prev | child 0 | child 1 | parent | hole | hole end | ....... | size |
 *                                      '-- in a trie only --------------------------'
 *
 * A trie branches on the bits of the size below the two highest, from the top; a chunk stands at any place of the path that its
 * own bits name. Chunks of equal size hang in a list behind the one that stands in the trie. So a trie of sizes below 2^(k+1) is
 * never deeper than k - 4 levels, whatever comes and goes: no rotations, and at most MPS_BINS_STORES words change.
 *
 * Best fit is exact: the smallest chunk that is large enough. (In the request's own trie: on the way down along the request's
 * bits the least sufficient size is remembered, and the last right branch not taken, under which all sizes are larger; whatever
 * lies left of the way is too small. If neither has one, any trie of larger sizes: there leftmost first. The least of a
 * subtree lies on its leftmost path, since all that branch off to the right are larger than those on the left.)
 *
 * Locking: all under the allocator's guard; changes in the inner journal. Nothing read here is believed: links are bounded,
 * checked against each other before they are followed, and MPS_E_CORRUPT ends the operation.
 *
 * Costs: add, remove O(1) up to 1 KiB, above O(log size), at most 37 steps; best fit the same, with one look at a map of bits.
 */
#ifndef MPS_ALLOC_BINS_H
#define MPS_ALLOC_BINS_H

#include "alloc_fit.h"

#define MPS_BINS_STORES 7u /* words that one add or remove changes, at most */

/* The very first chunk of a new segment: no journal. */
void mps_bins_begin(mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size);
mps_status mps_bins_add(mps_tx *tx, mps_fit *fit, mps_off chunk, uint64_t size);
mps_status mps_bins_remove(mps_tx *tx, mps_fit *fit, mps_off chunk, uint64_t size);
/* The smallest chunk of at least that size: MPS_E_NOTFOUND when there is none. */
mps_status mps_bins_best(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk);
/* Bytes of the largest chunk; 0 when there is none, or the links make no sense. */
uint64_t mps_bins_largest(mps_seg *seg, const mps_fit *fit);
/* Visits every chunk in the bins of a frozen segment; MPS_E_CORRUPT and *why when a chunk stands where it does not belong, or more
 * than n are found. */
mps_status mps_bins_walk(mps_seg *seg, const mps_fit *fit, uint64_t n, void (*visit)(void *ctx, mps_off chunk, uint64_t size),
                         void *ctx, const char **why);

#endif
