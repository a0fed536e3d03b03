/* buffer.h -- bytes that never change once they are there: a stored array's, or a buffer's that was left out of a pickle.
 *
 *   | mps_raw : 96 | note | (gap) | data : nbytes |
 *
 * Laid out as a raw object (raw.h), data at a multiple of MPS_CACHE_LINE; from MPS_BUFFER_LARGE bytes on at a multiple of MPS_PAGE, so
 * that a reader can map the pages copy-on-write: then what it gets is its own, to be written to, and nothing was copied.
 * The note says what the bytes are, in the binding's words.
 *
 * Invariant: the maker fills it before it tells anybody of the object. After that neither note nor data change, so whoever refers to
 * the object reads them without a guard, and two that are equal byte by byte stay so.
 *
 * Locking: none. Costs: making one is an allocation and one copy, without the GIL when it is long; mapping is one system call.
 */
#ifndef MPS_BUFFER_H
#define MPS_BUFFER_H

#include "raw.h"

#define MPS_BUFFER_LARGE ((uint64_t)64 << 10) /* bytes from which on data has pages */

/* A new object of this process: its data is undefined, *data where it goes. */
mps_status mps_buffer_new(mps_seg *seg, mps_door door, uint64_t nbytes, const void *note, uint64_t note_bytes,
                          mps_off *off, uint64_t *serial);
/* Copies all data of such a new object from private memory, or all data of one to private memory; lets go of the GIL while it copies
 * much. */
mps_status mps_buffer_fill(mps_seg *seg, mps_door door, mps_off off, const void *from);
mps_status mps_buffer_read(mps_seg *seg, mps_door door, mps_off off, void *to, uint64_t nbytes);
/* Private pages with the data's bytes, length bytes of them with the rest of the last: changes are this process's own. The object has
 * to outlive them. NULL: they are lent already (twin.h), there is no file behind the segment, or the system has no room. */
void *mps_buffer_lend(mps_seg *seg, mps_off off, uint64_t *length);
void mps_buffer_give(mps_seg *seg, void *base, uint64_t length);
/* The same in a mapping of their own, of which the system allows some ten thousands; mps_os_unmap() takes it down. */
void *mps_buffer_map(mps_seg *seg, mps_off off, uint64_t *length);
/* Whether two offsets lead to buffers of the same note and bytes. */
bool mps_buffer_same(mps_seg *seg, mps_off a, mps_off b);

#endif
