/* span.h -- runs of bytes that change in place, wholly or not at all: for what keeps bytes of any length (typed, string).
 *
 * The words that cover what changes go into the journal first; then the bytes are moved and copied as the library does it. A word
 * may hold bytes of a neighbour that does not change: undoing the operation of a dead process writes them back too.
 *
 * Locking: the caller's guard. Costs: one journal entry a word of what stood there, 16 bytes each; up to MPS_SPAN_LOGGED bytes there
 * is room for them in the lane itself. More is better built aside, where nobody has a view on what is there.
 */
#ifndef MPS_SPAN_H
#define MPS_SPAN_H

#include "value.h"

#define MPS_SPAN_LOGGED 960u /* bytes that are cheap to log */

/* Remembers the words that cover [at, at + nbytes); makes room in the journal for them and for `more` entries after them. */
mps_status mps_span_log(mps_tx *tx, void *at, uint64_t nbytes, uint64_t more);

/* Of `length` bytes at base, replaces [start, stop) by nbytes others, the rest moving up; there is room for what comes. Remembers what is
 * overwritten below length. `more`: journal entries that the caller adds afterwards, at least one for the new length. */
mps_status mps_span_splice(mps_tx *tx, uint8_t *base, uint64_t length, uint64_t start, uint64_t stop, const void *from,
                           uint64_t nbytes, uint64_t more);

/* How many bytes mps_span_splice has to log. */
static inline uint64_t mps_span_cost(uint64_t length, uint64_t start, uint64_t stop, uint64_t nbytes)
{
    uint64_t after = length - (stop - start) + nbytes;
    return stop - start == nbytes ? nbytes : mps_min64(length, after) - start;
}

/* The same, built in a fresh block that has room. */
static inline void mps_span_build(uint8_t *to, const uint8_t *base, uint64_t length, uint64_t start, uint64_t stop,
                                  const void *from, uint64_t nbytes)
{
    if (length > 0) {
        mps_fresh_copy(to, base, start);
        mps_fresh_copy(to + start + nbytes, base + stop, length - stop);
    }
    if (nbytes > 0) {
        mps_fresh_copy(to + start, from, nbytes);
    }
}

#endif
