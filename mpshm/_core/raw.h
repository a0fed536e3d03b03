/* raw.h -- bytes that programs change as they like: what ctypes objects, arrays of NumPy and raw allocations live in.
 *
 *   | mps_object : 80 | nbytes : 64 | layout : 64 | note | (gap) | data : nbytes |
 *   layout:  | bytes of note : 56 | log2 of alignment : 8 |
 *
 * data begins at the first multiple of its alignment behind the note. Alignment 0: of MPS_CACHE_LINE where there are that many bytes of
 * data, else of 16. The note is what the maker wants to say of the data, such as an array's type and shape; it never changes. The data of an
 * array (MPS_KIND_NDARRAY) is aligned to MPS_CACHE_LINE, and from MPS_RAW_PAGED bytes on to MPS_PAGE.
 *
 * Invariant: nbytes is set before anybody else can know of the object; until then it is 0. Of an allocation it changes when that is
 * made longer or shorter in place; its alignment is never 0.
 *
 * An allocation is an object of MPS_KIND_RAW with MPS_RAW_OWNED in its flags: the segment itself counts one reference on it, from
 * mps_raw_allocate to mps_raw_deallocate, so that it outlives its maker.
 *
 * Locking: none for the data. Several processes write it at once, and no journal knows what; what a killed one had written stays. Flags and
 * nbytes of allocations change under the references' guard.
 *
 * Costs: making one O(nbytes); finding the data O(1), no lock.
 */
#ifndef MPS_RAW_H
#define MPS_RAW_H

#include "object.h"

#define MPS_RAW_MAX ((uint64_t)1 << 46)      /* bytes of data */
#define MPS_RAW_NOTE_MAX ((uint64_t)1 << 16) /* bytes of note */
#define MPS_RAW_ALIGN_MAX MPS_PAGE
#define MPS_RAW_PAGED ((uint64_t)64 << 10) /* bytes of an array that begins at a page */

#define MPS_RAW_OWNED 4u /* flag: the segment counts a reference */

typedef struct mps_raw {
    mps_object object;
    uint64_t nbytes; /* of data, at most MPS_RAW_MAX */
    uint64_t layout; /* bytes of the note << 8 | log2 of the alignment, 4 to 12, or 0 */
} mps_raw;

_Static_assert(sizeof(mps_raw) == 96, "stored");
_Static_assert(offsetof(mps_raw, nbytes) == 80, "stored");

/* Whether the segment counts a reference on the object. */
static inline bool mps_raw_is_owned(const mps_object *obj)
{
    return mps_load32(&obj->mortal.kind) == MPS_KIND_RAW && (mps_load32(&obj->mortal.flags) & MPS_RAW_OWNED) != 0;
}

/* A new object of this process with nbytes of data, all zero; lets go of the GIL while it clears much. MPS_E_TOOLARGE. */
mps_status mps_raw_new(mps_seg *seg, mps_door door, uint64_t nbytes, mps_off *off, uint64_t *serial);
/* The same inside an operation, refs 1 counted by the caller (a container whose data it is), its bytes undefined: nbytes of at least
 * MPS_CACHE_LINE, and as many more as the block has room for. Takes the references' guard. */
mps_status mps_raw_make(mps_tx *tx, uint64_t nbytes, mps_off *off);
/* Makes the data of one with MPS_CACHE_LINE bytes or more longer where it is: MPS_E_NOTFOUND when the neighbour is taken. */
mps_status mps_raw_extend(mps_tx *tx, mps_off off, uint64_t nbytes, uint64_t wanted);
/* The same with a note, of MPS_KIND_RAW or MPS_KIND_NDARRAY. */
mps_status mps_raw_new_noted(mps_seg *seg, mps_door door, uint32_t kind, uint64_t nbytes, const void *note,
                             uint64_t note_bytes, mps_off *off, uint64_t *serial);
/* The same of any kind that begins with an mps_raw, its data not cleared, and aligned to 1 << log2 bytes (0: as the others'). */
mps_status mps_raw_new_blank(mps_seg *seg, mps_door door, uint32_t kind, uint64_t nbytes, unsigned log2,
                             const void *note, uint64_t note_bytes, mps_off *off, uint64_t *serial);
/* Where the data of such an object is, and how long: MPS_E_CORRUPT when it can't lie inside the segment. */
mps_status mps_raw_data(mps_seg *seg, mps_off off, mps_off *data, uint64_t *nbytes);
/* The data is on the disk afterwards, where the segment is in a file of which this process writes. Lets go of the GIL. */
mps_status mps_raw_flush(mps_seg *seg, mps_door door, mps_off off);
/* Where the note is, and how long: MPS_E_CORRUPT. */
mps_status mps_raw_note(mps_seg *seg, mps_off off, mps_off *note, uint64_t *nbytes);

/* A new array of this process. zero: whether its bytes are zero; else they are undefined, and the caller's to fill. */
mps_status mps_raw_new_array(mps_seg *seg, mps_door door, uint64_t nbytes, bool zero, const void *note,
                             uint64_t note_bytes, mps_off *off, uint64_t *serial);

mps_status mps_raw_visit(mps_seg *seg, mps_off off, mps_visit *v);

/* ---- allocations: raw_alloc.c. Whole operations; align: a power of two from 16 to MPS_RAW_ALIGN_MAX, else MPS_E_INVAL ---- */

/* n allocations of those sizes, zeroed: all of them or none. No process refers to them. */
mps_status mps_raw_allocate(mps_seg *seg, mps_door door, const uint64_t *sizes, uint64_t n, uint64_t align,
                            mps_off *offs, uint64_t *serials);
/* Gives n of them back, all or none: MPS_E_STALE when one is none (any more). What a process still refers to lives until then. */
mps_status mps_raw_deallocate(mps_seg *seg, mps_door door, const mps_off *offs, const uint64_t *serials, uint64_t n);
/* Makes one longer, the new bytes zero, or shorter where it lies: MPS_E_STALE; MPS_E_NOTFOUND when the memory behind is taken. */
mps_status mps_raw_resize(mps_seg *seg, mps_door door, mps_off off, uint64_t serial, uint64_t nbytes);
/* Puts one of another size, with the bytes of the old, in its place. */
mps_status mps_raw_move(mps_seg *seg, mps_door door, mps_off off, uint64_t serial, uint64_t nbytes, mps_off *new_off,
                        uint64_t *new_serial);

/* ---- numbers that stand for objects, the same in every process: positive, below 2^63 ---- */

/* offset / 16 in the low 42 bits, 21 bits of a hash of the serial under the segment's seed above: copies of a segment know its numbers. */
uint64_t mps_number_of(const mps_seg *seg, mps_off off, uint64_t serial);
/* The object that a number stands for: MPS_E_STALE when it is gone, or another segment's. Nobody keeps it there. */
mps_status mps_number_find(mps_seg *seg, uint64_t number, mps_off *off, uint64_t *serial);

#endif
