/* alloc_fit.h -- the allocator behind the caches: best fit, or sequential fit, neighbours joined at once.
 *
 *   arena:   | 8 bytes | chunk | chunk | ... | chunk | fence 8 |                    up to `end`
 *   chunk:   | head : 8 | payload ... |                          head: size (a multiple of 16) + the flags below
 *   free:    | head : 8 | links (alloc_order.h) ... | size : 8 |
 *
 * Invariants: sizes add up to the fence. No two free chunks are neighbours. PINUSE of a chunk == CINUSE of the one
 * before it. The last 8 bytes of a free chunk repeat its size, so that the chunk behind it finds its beginning. The
 * fence is a head of size 0, in use. used == sum of the sizes of chunks in use, blocks == their number.
 *
 * Holes. A free chunk with PUNCHED has whole pages [hole, hole_end) inside of it, behind its links and before its
 * last word, that may have no memory: they must be asked for (mps_region_commit) before they are touched. All else in
 * the arena has memory. So growth costs only the pages that are used, and large free chunks give theirs back: once
 * more than max(16 MiB, used / 2) bytes lie free with memory, a chunk that has just become free, 256 KiB of it or
 * more, is emptied. A chunk has one hole at most; where two meet, what lies between them is given back too.
 *
 * Locking: guard, the last in the order of locks. Every change of an arena is an inner transaction (journal.h) of at
 * most MPS_FIT_TAKE + MPS_FIT_GIVE + MPS_FIT_EXTRA words; the functions here leave its commit to the caller, except
 * where said.
 *
 * Limits: an arena ends below 2^46. A chunk wastes at most 8 + 15 bytes by its head and by rounding, and 16 by what is
 * too small to split off. By fragmentation, no allocator that does not move blocks can promise less than M log2(n) / 2
 * bytes for M bytes in blocks of 1 to n units; first fit keeps to about M log2(n), best fit has contrived sequences of
 * nearly M n (Robson 1974, 1977). On programs' real sequences best fit is the better of the two (Wilson et al. 1995).
 *
 * Costs: take and give O(1) up to 16 KiB, O(log size) above, see alloc_bins.h (sequential fit: alloc_seq.h); grow, and what asks the system for
 * memory, a system call.
 */
#ifndef MPS_ALLOC_FIT_H
#define MPS_ALLOC_FIT_H

#include "alloc.h"
#include "lock.h"

#define MPS_CINUSE 1u  /* this chunk is in use */
#define MPS_PINUSE 2u  /* the one before it is */
#define MPS_PUNCHED 4u /* free, and hole / hole_end say where its memory may be missing */
#define MPS_CHUNK_FLAGS 15u

#define MPS_FIT_LIMIT ((uint64_t)1 << 46)
#define MPS_FIT_SMALL 16384u /* largest chunk size with a list of its own */
#define MPS_FIT_LISTS 1024u  /* (the last one is never used) */
#define MPS_FIT_TRIES 64u

typedef struct mps_fit {
    mps_guard guard;
    uint64_t end;    /* offset behind the fence */
    uint64_t used;   /* bytes of chunks in use, those in lane caches included */
    uint64_t blocks; /* chunks in use, those in lane caches included */
    uint64_t holes;  /* bytes of all holes */
    union {
        uint64_t large_map; /* best fit, as all that follows: bit i: large[i] is not 0 */
        uint64_t seq_first; /* sequential fit: offset of the first free chunk; 0 none */
    };
    uint64_t small_top;                     /* bit i: small_map[i] is not 0 */
    uint64_t small_map[MPS_FIT_LISTS / 64]; /* bit i: small[i] is not 0 */
    uint64_t large[MPS_FIT_TRIES];          /* offset of a trie's root; 0 none */
    uint64_t small[MPS_FIT_LISTS];          /* offset of a list's first chunk; 0 none */
} mps_fit;

_Static_assert(sizeof(mps_fit) == 8896, "stored");
_Static_assert(offsetof(mps_fit, large_map) == 48, "stored");
_Static_assert(offsetof(mps_fit, small_map) == 64, "stored");
_Static_assert(offsetof(mps_fit, large) == 192, "stored");
_Static_assert(offsetof(mps_fit, small) == 704, "stored");

/* A free chunk. One up to MPS_FIT_SMALL bytes ends after prev. */
typedef struct mps_chunk {
    uint64_t head; /* size | flags */
    uint64_t next; /* offset of the next chunk in the list; 0 last */
    uint64_t prev; /* offset of the one before; 0: first of a small list, or standing in the trie itself */
    uint64_t
        child[2];    /* offsets; 0 none. These two and parent mean something only in a chunk that stands in the trie. */
    uint64_t parent; /* offset; 0: the root */
    uint64_t hole;   /* with PUNCHED: offset of the first page that may have no memory */
    uint64_t hole_end; /* offset behind the last one */
} mps_chunk;

#define MPS_CHUNK_LIST 24u /* bytes of a free chunk that one in a list makes use of, beside its last 8 */

_Static_assert(sizeof(mps_chunk) == 64, "stored");
_Static_assert(offsetof(mps_chunk, child) == 24, "stored");
_Static_assert(offsetof(mps_chunk, hole) == 48, "stored");

/* What giving a chunk back leaves to be done after the inner commit. */
typedef struct mps_freed {
    mps_off chunk; /* the free chunk that it is part of now */
    mps_off gap;   /* pages between two holes: [gap, gap_end) */
    mps_off gap_end;
} mps_freed;

#define MPS_FIT_TAKE 31u /* words that mps_fit_take changes, at most; proof in alloc_fit.c */
#define MPS_FIT_GAP 9u   /* so many of them only for an alignment beyond MPS_CHUNK_ALIGN */
#define MPS_FIT_GIVE 29u /* ... mps_fit_give */
#define MPS_FIT_EXTRA 4u /* more that a caller may change in the same inner transaction */
_Static_assert(MPS_FIT_TAKE + MPS_FIT_GIVE + MPS_FIT_EXTRA <= MPS_INNER,
               "the inner journal holds the longest transaction");

static inline mps_fit *mps_fit_of(const mps_seg *seg)
{
    return seg->fit;
}

static inline uint64_t mps_chunk_size(uint64_t head)
{
    return head & ~(uint64_t)MPS_CHUNK_FLAGS;
}

/* Offset of the first chunk. */
static inline mps_off mps_fit_first(const mps_seg *seg)
{
    return mps_round_up(seg->arena, MPS_CHUNK_ALIGN) + MPS_CHUNK_HEAD;
}

/* The chunk at an offset read from the segment, of which nbytes are to be looked at: NULL when there can't be one. */
static inline mps_chunk *mps_chunk_at(mps_seg *seg, mps_off chunk, uint64_t nbytes)
{
    if (mps_unlikely((chunk & 15) != 8 || chunk < seg->arena || !mps_region_holds(&seg->region, chunk, nbytes))) {
        return NULL;
    }
    return mps_region_at(&seg->region, chunk);
}

/* The chunk in use at an offset and its size, if it looks like one from all sides: else NULL. */
static inline mps_chunk *mps_chunk_used(mps_seg *seg, mps_off chunk, uint64_t *size)
{
    mps_chunk *c = mps_chunk_at(seg, chunk, MPS_CHUNK_MIN);
    if (mps_unlikely(c == NULL)) {
        return NULL;
    }
    uint64_t head = mps_load64(&c->head);
    *size = mps_chunk_size(head);
    bool good = (head & ~((uint64_t)MPS_FIT_LIMIT - 1)) == 0 && (head & (MPS_CINUSE | 12u)) == MPS_CINUSE &&
                *size >= MPS_CHUNK_MIN && mps_region_holds(&seg->region, chunk, *size + MPS_CHUNK_HEAD);
    return mps_likely(good) ? c : NULL;
}

/* The hole of a free chunk of that size, *hole == *hole_end for none: false when what the chunk says of it can't be. */
static inline bool mps_chunk_hole(const mps_chunk *c, mps_off chunk, uint64_t size, mps_off *hole, mps_off *hole_end)
{
    *hole = *hole_end = 0;
    if (mps_likely((mps_load64(&c->head) & MPS_PUNCHED) == 0)) {
        return true;
    }
    if (size <= MPS_FIT_SMALL) {
        return false;
    }
    *hole = mps_load64(&c->hole);
    *hole_end = mps_load64(&c->hole_end);
    return ((*hole | *hole_end) & (MPS_PAGE - 1)) == 0 && *hole < *hole_end && *hole >= chunk + sizeof(mps_chunk) &&
           *hole_end <= chunk + size - 8;
}

/* ---- under the guard; in the inner journal, for the caller to commit, or to abort when the answer is not MPS_OK
 * ---- */

/* Takes a chunk of at least size bytes whose payload is aligned: MPS_E_NOTFOUND when there is none (grow, then try
 * again), MPS_E_FULL when the system refuses the memory. */
mps_status mps_fit_take(mps_tx *tx, uint64_t size, uint64_t align, mps_off *chunk, uint64_t *taken);
/* Gives the bytes of a chunk in use (or of several) back, which are known to lie inside of the segment: count blocks
 * in the statistics. intact: if the transaction is undone, their content must still be there. */
mps_status mps_fit_give(mps_tx *tx, mps_off chunk, uint64_t size, uint64_t count, bool intact, mps_freed *freed);
/* Makes a chunk in use longer, by least bytes at least and most at best: MPS_E_NOTFOUND when its neighbour is taken
 * or too small. */
mps_status mps_fit_extend(mps_tx *tx, mps_off chunk, uint64_t size, uint64_t least, uint64_t most);
/* Cuts a chunk in use down to size bytes; the rest is given back. */
mps_status mps_fit_cut(mps_tx *tx, mps_off chunk, uint64_t size, mps_freed *freed);

/* ---- under the guard, with nothing in the inner journal: transactions of their own ---- */

/* After the commit of a give: gives memory back to the system where there is too much. */
void mps_fit_settle(mps_tx *tx, const mps_freed *freed);
/* Makes the arena longer, so that a chunk of size bytes fits. backed: with memory for all of it. MPS_E_FULL: there is
 * no more. */
mps_status mps_fit_grow(mps_tx *tx, uint64_t size, bool backed);

/* Visits the free chunks from `from` on, and looks after each: punch, its memory goes back to the system; else it is filled with
 * zeros. Ends after much work; *next: where to go on, 0 when done. */
mps_status mps_fit_tend(mps_tx *tx, mps_off from, bool punch, mps_off *next);
/* Makes the arena shorter where its end is free. */
mps_status mps_fit_cut_end(mps_tx *tx);

/* A new state over [arena, end), which has memory. No journal: nobody knows the segment yet. */
mps_status mps_fit_format(mps_seg *seg, mps_off end);

#endif
