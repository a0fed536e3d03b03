/* segment_body.h -- what all ways to make a segment, and to get into one, have in common.
 *
 * A segment is planned (mps_header_plan: where everything lies), gets its memory (region.h), is bound (what this process keeps of the
 * constants), formatted if it is new, and joined: a slot, and the things of the dead.
 */
#ifndef MPS_SEGMENT_BODY_H
#define MPS_SEGMENT_BODY_H

#include "segment.h"

#define MPS_SIZE_MIN (16u * 1024)      /* of an arena, and of max_size */
#define MPS_SIZE_DEFAULT (256u * 1024) /* of an arena */
#define MPS_SIZE_LIMIT ((uint64_t)1 << 45)

uint64_t mps_header_checksum(const mps_header *h);
/* Where everything lies, for a number of slots. */
mps_header mps_header_plan(uint32_t n_slots, uint64_t max_arena);
/* A new id and seed. */
mps_status mps_header_name(mps_header *h);
/* Whether a header makes sense; after this its constants can be relied on. id: what it must be, or NULL. */
mps_status mps_header_validate(const mps_header *h, const uint8_t *id);
/* Address space to map. */
uint64_t mps_header_reserve(const mps_header *h);
/* What control.state says of one that is to be opened: MPS_OK, MPS_E_CLOSED, MPS_E_FOREIGN (not made to the end), MPS_E_CORRUPT. */
mps_status mps_header_usable(uint32_t state);

/* The sizes asked for (0: defaults), made sensible: MPS_E_INVAL. */
mps_status mps_sizes(uint64_t *size, uint64_t *max_size, uint64_t default_max);
/* Most of the memory that this process may hope for. */
uint64_t mps_default_max(void);

/* Private memory for an attachment; NULL when there is none. */
mps_seg *mps_seg_new(void);
/* What this process keeps of the header. */
void mps_seg_bind(mps_seg *seg, const mps_header *constants);
/* Writes a new segment's header and lays out its memory; [0, bodies) and [arena, end) have memory. */
mps_status mps_seg_format(mps_seg *seg, const mps_header *constants, uint64_t end);
/* Gets memory for a new segment in a file, binds and formats it. */
mps_status mps_seg_fill(mps_seg *seg, const mps_header *constants, uint64_t size);
/* Takes part in the segment that seg is bound to: private memory, a slot, and the things of the dead. */
mps_status mps_seg_join(mps_seg *seg);
/* The same for reading only. */
mps_status mps_seg_join_reader(mps_seg *seg);
/* Undoes what was done of the above. */
void mps_seg_discard(mps_seg *seg);
/* Once the slot is given back: a file that nobody uses any more is made as short as it can be, and marked as whole. */
void mps_seg_tidy(mps_seg *seg);
/* Where the blocks of a segment end, as its own bytes say: 0 when that can't be. */
uint64_t mps_seg_end(const mps_seg *seg);

/* mps_seg_load of the bytes of a file at rest. */
mps_status mps_seg_load_file(int fd, uint64_t size, uint64_t max_size, mps_seg **out);
/* Stops all changes until mps_unfreeze, with nobody dead inside. */
mps_status mps_seg_freeze(mps_seg *seg);

#endif
