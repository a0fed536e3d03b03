/* alloc.h -- blocks of a segment: what every floor above calls.
 *
 * Small blocks (up to MPS_SMALL bytes) come from the lane's caches of size classes: one entry in the journal and
 * one store, no lock. An empty cache takes a run of blocks from the allocator behind it (alloc_fit.h), a full
 * one gives blocks back. Those of middle size (up to MPS_MIDDLE bytes) come from there, too, where the segment may become
 * large: but into these caches only what was freed goes. Larger blocks go to the allocator directly.
 *
 *   class:             0, 1, ... 31       32 ... 39           40 ... 47            48 ... 55            56
 *   bytes of a chunk:  32, 48, ... 528    576, 640, ... 1024  1152, 1280, ... 2048  2304, 2560, ... 4096  4608
 *   A chunk belongs to the last class whose size it has; from class 31 on it may be longer.
 *
 * A block's payload is aligned to 16 bytes. A chunk is its payload and 8 bytes of head before it.
 * An allocation adds at most two entries to the outer journal, a free, an extension or a cut one.
 * All of these are called inside an operation that holds a guard already (journal.h, rule 1), except where said.
 */
#ifndef MPS_ALLOC_H
#define MPS_ALLOC_H

#include "journal.h"

#define MPS_CHUNK_HEAD 8u
#define MPS_CHUNK_ALIGN 16u
#define MPS_CHUNK_MIN 32u
#define MPS_ALIGN_MAX 65536u
#define MPS_SMALL_CLASSES 32u
#define MPS_SMALL (MPS_CHUNK_MIN + (MPS_SMALL_CLASSES - 1) * MPS_CHUNK_ALIGN - MPS_CHUNK_HEAD) /* 520 */
#define MPS_MIDDLE (4608u - MPS_CHUNK_HEAD)
#define MPS_MIDDLE_END 5120u /* bytes from which on a chunk is in no class */

/* Bytes of the chunks of a class, at least. */
static inline uint64_t mps_class_size(uint32_t class)
{
    if (mps_likely(class < MPS_SMALL_CLASSES)) {
        return MPS_CHUNK_MIN + (uint64_t)class * MPS_CHUNK_ALIGN;
    }
    uint32_t middle = class - MPS_SMALL_CLASSES; /* eight for each doubling */
    return (uint64_t)(9 + middle % 8) << (6 + middle / 8);
}

/* The last class whose size is at most `size`, which is MPS_CHUNK_MIN to MPS_MIDDLE_END - 1. */
static inline uint32_t mps_class_of(uint64_t size)
{
    if (mps_likely(size < 576)) {
        return (uint32_t)(mps_min64(size, 528) - MPS_CHUNK_MIN) / MPS_CHUNK_ALIGN;
    }
    uint32_t doubling = 54u - (uint32_t)__builtin_clzll(size - 1); /* 0: 513 to 1024 */
    return MPS_SMALL_CLASSES - 1 + 8 * doubling + (uint32_t)((size - ((uint64_t)512 << doubling)) >> (6 + doubling));
}

typedef struct mps_alloc_stats {
    uint64_t used;         /* bytes of chunks in use, caches not counted */
    uint64_t free;         /* bytes of free chunks that have memory */
    uint64_t holes;        /* bytes of free chunks that have none: never used yet, or given back to the system */
    uint64_t cached;       /* bytes of chunks in lane caches */
    uint64_t largest_free; /* bytes of the largest free chunk, but no more than free */
    uint64_t blocks;       /* chunks in use, caches not counted */
} mps_alloc_stats;

/* A block of at least nbytes, taken back with the operation. MPS_E_FULL: no room, and the segment can't grow. */
mps_status mps_alloc(mps_tx *tx, uint64_t nbytes, mps_off *block);
/* The same, aligned to a power of two of 16 to 4096; never from a cache. */
mps_status mps_alloc_aligned(mps_tx *tx, uint64_t nbytes, uint64_t align, mps_off *block);
/* The same for a power of two up to MPS_ALIGN_MAX. */
mps_status mps_alloc_span(mps_tx *tx, uint64_t nbytes, uint64_t align, mps_off *block);
/* Frees a block when the operation commits. MPS_E_CORRUPT when it can't be one. */
mps_status mps_free(mps_tx *tx, mps_off block);
/* Makes a block longer in place, to at least nbytes, at best to wanted bytes: MPS_E_NOTFOUND when the neighbour is
 * taken. */
mps_status mps_alloc_extend(mps_tx *tx, mps_off block, uint64_t nbytes, uint64_t wanted);
/* Makes a block shorter in place, to nbytes at least, when the operation commits; it is neither freed nor made longer in the same
 * operation any more. What is too little to be of use stays. */
mps_status mps_alloc_shrink(mps_tx *tx, mps_off block, uint64_t nbytes);
/* n blocks of the sizes given, all or none: MPS_E_FULL, and the caller aborts. Asks for room in the journal itself. */
mps_status mps_alloc_many(mps_tx *tx, const uint64_t *sizes, uint64_t n, mps_off *blocks);
/* Bytes that the block's owner may use; 0 when it can't be a block in use. */
uint64_t mps_alloc_usable(mps_seg *seg, mps_off block);
/* Room for that many more entries in the outer journal, even beyond max_size for the operation's length: MPS_E_FULL when there is
 * none to be had. */
mps_status mps_tx_room(mps_tx *tx, uint64_t entries);

/* Lays the allocator's state out over [arena, end) of a new segment, which has memory; arena == seg->arena. */
mps_status mps_alloc_format(mps_seg *seg, mps_off arena, uint64_t end);
/* Bytes of the state that mps_alloc_format puts at seg->fit. */
uint64_t mps_alloc_state_size(void);

/* Gives the blocks cached in a lane, all but `keep` of each class, to the allocator behind. An operation of its own. */
mps_status mps_alloc_flush(mps_tx *tx, uint32_t keep);
/* After an operation, outside of any guard: trims caches that grew too long, frees the spill of the journal. */
void mps_alloc_trim(mps_tx *tx);

/* Where blocks end; 0 when the bytes there don't say so. */
uint64_t mps_alloc_end(const mps_seg *seg);
/* Gives the memory of free chunks back to the system, and takes free chunks off the arena's end. An operation of its own. */
mps_status mps_alloc_give_back(mps_tx *tx);
/* Overwrites what free chunks have held with zeros. An operation of its own, which lets go of the guard now and then. */
mps_status mps_alloc_zero_free(mps_tx *tx);

/* Adds nbytes to the end of the arena. An operation of its own (under the allocator's guard). */
mps_status mps_alloc_grow(mps_tx *tx, uint64_t nbytes);

/* The hooks of slots.h. */
mps_status mps_alloc_undo(mps_tx *tx, const mps_undo *entry);
mps_status mps_alloc_free_entry(mps_tx *tx, const mps_undo *entry);
/* Lets go of the allocator's guard in the name of a dead process after its inner journal was undone. */
void mps_alloc_release_for(mps_seg *seg, uint32_t token);

/* ---- on a frozen segment ---- */

/* Walks all chunks: block(ctx, payload offset, usable bytes) for each one in use, cached ones included. MPS_E_CORRUPT
 * and a reason in why when heads, tags, bins or counts contradict each other. */
mps_status mps_alloc_walk(mps_seg *seg, mps_status (*block)(void *ctx, mps_off off, uint64_t usable), void *ctx,
                          char *why, size_t why_size);
/* Calls cached(ctx, offset) for each block in the lane's caches; MPS_E_CORRUPT on a loop or a bad offset. */
mps_status mps_alloc_walk_cache(mps_seg *seg, const mps_lane *lane, mps_status (*cached)(void *ctx, mps_off off),
                                void *ctx);
/* Not only on a frozen segment; on one that is not, the numbers are of slightly different moments. */
mps_status mps_alloc_stats_get(mps_seg *seg, mps_alloc_stats *out);

#endif
