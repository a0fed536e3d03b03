/* alloc_order.h -- which free chunk a request gets: what alloc_fit asks of the two ways to keep free chunks.
 *
 *   best fit        alloc_bins.h   by size: lists and tries
 *   sequential fit  alloc_seq.h    by address: one list
 *
 * A segment keeps to the one it was made with, a constant of its header. Each way has six functions: add and remove a free chunk,
 * find one for a request, the largest, begin with the first, walk over all. What both must do: change the segment in the inner
 * journal only, at most MPS_BINS_STORES words for one add or remove; believe nothing that they read; end.
 *
 * Costs: best fit pays one branch, always the same, for there being another.
 */
#ifndef MPS_ALLOC_ORDER_H
#define MPS_ALLOC_ORDER_H

#include "alloc_bins.h"
#include "alloc_seq.h"

static inline mps_status mps_order_add(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size, bool fresh)
{
    return mps_likely(!tx->seg->sequential) ? mps_bins_add(tx, fit, c, chunk, size, fresh)
                                            : mps_seq_add(tx, fit, c, chunk, fresh);
}

static inline mps_status mps_order_remove(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size)
{
    return mps_likely(!tx->seg->sequential) ? mps_bins_remove(tx, fit, c, chunk, size)
                                            : mps_seq_remove(tx, fit, c, chunk);
}

static inline mps_status mps_order_find(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk)
{
    return mps_likely(!seg->sequential) ? mps_bins_best(seg, fit, size, chunk) : mps_seq_find(seg, fit, size, chunk);
}

static inline uint64_t mps_order_largest(mps_seg *seg, const mps_fit *fit)
{
    return seg->sequential ? mps_seq_largest(seg, fit) : mps_bins_largest(seg, fit);
}

/* The very first chunk of a new segment: no journal. */
static inline void mps_order_begin(const mps_seg *seg, mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size)
{
    if (seg->sequential) {
        c->next = c->prev = 0;
        fit->seq_first = chunk;
    } else {
        mps_bins_begin(fit, c, chunk, size);
    }
}

static inline mps_status mps_order_walk(mps_seg *seg, const mps_fit *fit, uint64_t n,
                                        void (*visit)(void *ctx, mps_off chunk, uint64_t size), void *ctx,
                                        const char **why)
{
    return seg->sequential ? mps_seq_walk(seg, fit, n, visit, ctx, why) : mps_bins_walk(seg, fit, n, visit, ctx, why);
}

#endif
