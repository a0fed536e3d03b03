/* twin.h -- a second mapping of a region's file, private to this process: what is written there is nobody else's.
 *
 *   region:  base |----- everybody's bytes ------------------|     shared
 *   twin:    twin |----- the same, until we write to them ---|     copy-on-write
 *
 * A range of pages that never change is lent to one user at a time, who reads what the file holds and writes to pages of his own. Given
 * back, the range is what the file holds again. The mapping itself stays: pages that were read once are there at the next time, which a
 * mapping for each use would have to be told of anew, page by page (0.3 us each, as long as it takes to read them).
 *
 * Invariants: the bit of a range's first page is set in `taken` while it is lent. Whoever is lent a range keeps the bytes behind it
 * from being changed or given back to the system.
 *
 * Locking: none; bits are taken and given back with atomics. Costs: taking O(1); giving back one look at each page that was written
 * or read, in the kernel's table, and one system call if any was written to.
 */
#ifndef MPS_TWIN_H
#define MPS_TWIN_H

#include "region.h"

/* length bytes at off, whole pages of the file, for the caller to write to; NULL: they are lent already, the region has no file, or the
 * system has no room for it. */
void *mps_twin_take(mps_region *r, mps_off off, uint64_t length);
/* Gives them back, with whatever was written. */
void mps_twin_give(mps_region *r, mps_off off, uint64_t length);
/* Takes the mapping down, for mps_region_close. */
void mps_twin_close(mps_region *r);

#endif
