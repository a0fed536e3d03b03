/* check.h -- is everything in the segment as it must be?
 *
 * Recovers dead processes, freezes the segment, walks all chunks, then everything reachable: references of slots, tokens, lanes
 * (holds, limbo, spills, pending frees, caches), the objects they lead to, their bodies and values. Every chunk in use must be
 * reached exactly once, every object's count must equal the references found.
 *
 * Cost: O(size), and private memory of one bit for 16 bytes of segment plus 16 bytes for each object.
 */
#ifndef MPS_CHECK_H
#define MPS_CHECK_H

#include "segment.h"

/* MPS_OK; MPS_E_CORRUPT and the reason, as text of at most why_size bytes. */
mps_status mps_seg_check(mps_seg *seg, char *why, size_t why_size);

#endif
