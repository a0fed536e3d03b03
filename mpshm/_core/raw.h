/* raw.h -- bytes that programs change as they like: what ctypes objects, Value and Array of sharedctypes, live in.
 *
 *   | mps_object : 80 | nbytes : 64 | reserved : 64 | (gap) | data : nbytes |
 *
 * data begins at the first multiple of its alignment behind the head: of MPS_CACHE_LINE where there are that many bytes of it, else
 * of 16. Where that is follows from the object's offset and nbytes, so nothing else is stored.
 *
 * Invariant: nbytes is set when the bytes are zero and before anybody else can know of the object; until then it is 0. It stays, but
 * for data that a container grows in place (mps_raw_extend): then it rises.
 *
 * Locking: none. Several processes write the data at once, and no journal knows what; what a killed one had written stays.
 *
 * Costs: making one O(nbytes); finding the data O(1), no lock.
 */
#ifndef MPS_RAW_H
#define MPS_RAW_H

#include "object.h"

#define MPS_RAW_MAX ((uint64_t)1 << 46) /* bytes of data */

typedef struct mps_raw {
    mps_object object;
    uint64_t nbytes; /* of data, at most MPS_RAW_MAX */
    uint64_t reserved;
} mps_raw;

_Static_assert(sizeof(mps_raw) == 96, "stored");
_Static_assert(offsetof(mps_raw, nbytes) == 80, "stored");

/* A new object of this process with nbytes of data, all zero; lets go of the GIL while it clears much. MPS_E_TOOLARGE. */
mps_status mps_raw_new(mps_seg *seg, mps_door door, uint64_t nbytes, mps_off *off, uint64_t *serial);
/* The same inside an operation, refs 1 counted by the caller (a container whose data it is), its bytes undefined: nbytes of at least
 * MPS_CACHE_LINE, and as many more as the block has room for. Takes the references' guard. */
mps_status mps_raw_make(mps_tx *tx, uint64_t nbytes, mps_off *off);
/* Makes the data of one with MPS_CACHE_LINE bytes or more longer where it is: MPS_E_NOTFOUND when the neighbour is taken. */
mps_status mps_raw_extend(mps_tx *tx, mps_off off, uint64_t nbytes, uint64_t wanted);
/* Where the data of an object of MPS_KIND_RAW is, and how long: MPS_E_CORRUPT when it can't lie inside the segment. */
mps_status mps_raw_data(mps_seg *seg, mps_off off, mps_off *data, uint64_t *nbytes);

mps_status mps_raw_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
