/* alloc_seq.h -- the free chunks of a segment in one list, by address: sequential fit.
 *
 *   fit:          | ... | seq_first | ...                     offset of the free chunk at the lowest address; 0 none
 *   free chunk:   | head | next | prev | ... | size |         next > the chunk's own offset > prev
 *
 * The first chunk that is large enough is taken, so what is in use gathers at the arena's beginning and its end stays free. One word
 * of state, two words in each free chunk. All else, heads, joined neighbours and holes, is alloc_fit's.
 *
 * Invariant: offsets rise along the list. So no walk is endless, whatever the bytes say: a step that does not rise is
 * MPS_E_CORRUPT.
 *
 * Locking: under the allocator's guard; changes in the inner journal.
 *
 * Costs: find and add O(free chunks), remove O(1). Add changes 4 words, remove 2.
 */
#ifndef MPS_ALLOC_SEQ_H
#define MPS_ALLOC_SEQ_H

#include "alloc_fit.h"

mps_status mps_seq_add(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, bool fresh);
mps_status mps_seq_remove(mps_tx *tx, mps_fit *fit, const mps_chunk *c, mps_off chunk);
/* The first chunk of at least that size: MPS_E_NOTFOUND when there is none. */
mps_status mps_seq_find(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk);
/* Bytes of the largest chunk; what is known of it when the list makes no sense. */
uint64_t mps_seq_largest(mps_seg *seg, const mps_fit *fit);
/* As mps_bins_walk. */
mps_status mps_seq_walk(mps_seg *seg, const mps_fit *fit, uint64_t n,
                        void (*visit)(void *ctx, mps_off chunk, uint64_t size), void *ctx, const char **why);

#endif
