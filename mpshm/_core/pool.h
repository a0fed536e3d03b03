/* pool.h -- pools: nodes of one size, cut from chunks, for the containers that ask for them.
 *
 *   root->pools --> pool <--> pool <--> ...                   every pool of the segment, shared or private
 *   pool:    | mps_object | what it is | next prev | free | fresh | lists of chunks | counts |
 *   chunk:   | self | stamp, n | next | prev | node | node | ...                                       a node pool's
 *   chunk:   | self | stamp, n | next | prev | pool free fresh used next prev | node | ... | self | 0 | node | ...   adaptive
 *            '-- on a multiple of span --------------------------------------------'     '-- on the next one
 *
 *   node pool:      one free list. Chunks stay until mps_pool_trim_chunks.
 *   adaptive pool:  a free list in each chunk. A chunk is aligned to span, and begins each multiple of span with its own offset: so it is
 *                   found from any of its nodes in one step. Those with a free node are in a list of their own. A chunk of which
 *                   no node is in use goes back to the segment, if there are more than max_free_chunks, with the node that
 *                   made it free.
 *   cached pool:    a front. Its nodes are those of the shared pool behind it, to which it refers; it owns none. They pass through the
 *                   lane (slots.h): an entry there names the pool behind, by serial, and lists nodes that are out of
 *                   that pool and in no container. With the process these go back (recover.h). The entry of a pool that has died means
 *                   nothing, since serials are not used again.
 *
 * A shared pool is found by what it was asked for, so all containers that ask alike have one; a private pool is nobody else's.
 * Either lives as long as a container (or a handle) refers to it.
 *
 * Why a freed node is not used again before the commit. What is new may be written without a journal (journal.h, rule 2), what a
 * container still had when the operation began may not be. So a freed node goes to a list of its own, `fresh`, whose nodes are
 * taken in later operations only: a node pool moves fresh to free when an operation takes the guard, if free is empty;
 * a chunk's stamp says which hold of the guard (epoch) freed into it last, and while that one lasts its fresh list is left
 * alone; a lane's entry is touched first in an operation with its bit of tx->pools clear. The guard is held to the end of the
 * operation, so nobody sees a half of it; and all words, links in nodes too, change in the outer journal: undone, they are as before.
 * epoch alone is not journaled: it only ever rises, and what it said is over with the operation.
 *
 * Invariants: every node is in use by one container, in one free or fresh list, or in one lane's. Adaptive: used == n - length of
 * free and fresh; the chunk is in the list OPEN if and only if used < n.
 *
 * Locking: under the guard of the pool's object, after a container's and the references', before the allocator's; to the
 * operation's end. Registry, making and dying: under the references' guard. A lane's entries: by its owner, without.
 * Two pools with nodes in one operation: mps_pool_enter in the order of their offsets.
 *
 * Costs: alloc and free 2 entries of the journal each (node pool); 3 and 4, and 2 to 4 where a chunk becomes full or is full no more (adaptive); 3 each,
 * and no lock, through the lane. (One of alloc's is for the node's own link: undone, the node is on its list again, and links on as
 * before, whatever was written there meanwhile.) A chunk of n nodes costs one allocation and n stores. All O(1) but
 * mps_pool_trim_chunks of a node pool: O(n log n).
 */
#ifndef MPS_POOL_H
#define MPS_POOL_H

#include "node.h"

/* Types; the low bits say how nodes are kept. */
#define MPS_POOL_ADAPTIVE 1u
#define MPS_POOL_PRIVATE 2u
#define MPS_POOL_CACHED 4u
#define MPS_POOL_TYPES 7u

#define MPS_POOL_NODE_MAX 8192u   /* bytes of a node */
#define MPS_POOL_CHUNK_MAX 65535u /* nodes of a chunk */
#define MPS_POOL_CACHED_MAX 65535u

/* What a pool is asked for. */
typedef struct mps_pool_spec {
    uint32_t type;             /* bits above */
    uint32_t node_bytes;       /* 1 to MPS_POOL_NODE_MAX */
    uint32_t nodes_per_chunk;  /* 1 to MPS_POOL_CHUNK_MAX */
    uint32_t max_free_chunks;  /* adaptive: free chunks that stay */
    uint32_t overhead_percent; /* adaptive: 1 to 20: of a chunk's bytes that its heads may take */
    uint32_t max_cached_nodes; /* cached: 1 to MPS_POOL_CACHED_MAX; of one thread at a time */
} mps_pool_spec;

enum { MPS_POOL_ALL = 0, MPS_POOL_OPEN = 1, MPS_POOL_LISTS = 2 };

typedef struct mps_pool {
    mps_object object;
    mps_pool_spec spec;
    uint32_t stride;    /* bytes from node to node, a multiple of 16 */
    uint32_t span;      /* adaptive: a power of two, 256 to 65536 */
    uint32_t per_chunk; /* nodes of a new chunk */
    uint32_t reserved;
    uint64_t next, prev;            /* offsets in root->pools; 0 none */
    uint64_t shared;                /* cached: offset of the pool behind */
    uint64_t free;                  /* node pool: offset of the first free node; its first word links on */
    uint64_t fresh;                 /* node pool: of those freed lately */
    uint64_t lists[MPS_POOL_LISTS]; /* offset of the first chunk of all; adaptive: of those with a free node */
    uint64_t n_free_chunks;         /* adaptive: chunks with no node in use */
    uint64_t chunks;                /* all of them */
    uint64_t nodes;                 /* nodes in them */
    uint64_t epoch;                 /* how often the guard was taken for nodes */
} mps_pool;

_Static_assert(sizeof(mps_pool_spec) == 24, "stored");
_Static_assert(sizeof(mps_pool) == 208, "stored");
_Static_assert(offsetof(mps_pool, spec) == 80, "stored");
_Static_assert(offsetof(mps_pool, next) == 120, "stored");
_Static_assert(offsetof(mps_pool, lists) == 160, "stored");

typedef struct mps_pool_chunk {
    uint64_t self;  /* its own offset; again at each multiple of span in it */
    uint64_t stamp; /* epoch of the last free << 16 | number of nodes */
    uint64_t next;  /* offset of the next chunk of all; 0 last */
    uint64_t prev;  /* offset of the one before; 0 first */
    /* adaptive only */
    uint64_t pool; /* offset of the pool */
    uint64_t free;
    uint64_t fresh;
    uint64_t used;      /* nodes in use, or in lanes */
    uint64_t open_next; /* next and prev of the chunks with a free node */
    uint64_t open_prev;
} mps_pool_chunk;

#define MPS_POOL_HEAD 32u          /* bytes of a node pool's chunk before its nodes */
#define MPS_POOL_ADAPTIVE_HEAD 80u /* of an adaptive one's */
#define MPS_POOL_SPAN_HEAD 16u     /* and before those of each further span */

_Static_assert(sizeof(mps_pool_chunk) == MPS_POOL_ADAPTIVE_HEAD, "stored");
_Static_assert(offsetof(mps_pool_chunk, pool) == MPS_POOL_HEAD, "stored");

typedef struct mps_pool_stats {
    uint64_t chunks, nodes; /* nodes: of all chunks */
    uint64_t free;          /* nodes in free lists */
    uint64_t cached;        /* nodes in lanes; of different moments */
    uint64_t free_chunks;   /* adaptive: chunks of which all nodes are free */
} mps_pool_stats;

/* The pool at off: NULL when there can't be one. */
static inline mps_pool *mps_pool_at(mps_seg *seg, mps_off off)
{
    if (mps_unlikely((off & 15) != 0 || off < seg->arena || !mps_region_holds(&seg->region, off, sizeof(mps_pool)))) {
        return NULL;
    }
    mps_pool *p = mps_region_at(&seg->region, off);
    return mps_likely(mps_load32(&p->object.mortal.kind) == MPS_KIND_POOL) ? p : NULL;
}

/* First word of a node whose offset was read from the segment: NULL when there can't be one. */
static inline uint64_t *mps_pool_word(mps_seg *seg, const mps_pool *p, mps_off node)
{
    if (mps_unlikely((node & 15) != 0 || node < seg->arena ||
                     !mps_region_holds(&seg->region, node, mps_load32(&p->stride)))) {
        return NULL;
    }
    return mps_region_at(&seg->region, node);
}

/* ---- making and asking: operations of their own ---- */

/* The pool that was asked for, made if need be, with one handle of this process on it (refs.h). MPS_E_INVAL: no such pool. */
mps_status mps_pool_get(mps_seg *seg, mps_door door, const mps_pool_spec *spec, mps_off *off, uint64_t *serial);
/* Gives chunks of which all nodes are free back to the segment; *n of them. */
mps_status mps_pool_trim_chunks(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* Gives what this process has cached back to its pools: of threads that hold the GIL (door GIL), else of the others; not of
 * those that are inside of an operation. */
mps_status mps_pool_flush_caches(mps_seg *seg, mps_door door);
mps_status mps_pool_stats_get(mps_seg *seg, mps_door door, mps_off off, mps_pool_stats *out);

/* ---- inside operations ---- */

/* The pool's guard, once an operation. */
mps_status mps_pool_enter(mps_tx *tx, mps_pool *p);
/* Up to n nodes, linked by their first words (the last one's is 0 if n > 1); *got of them, 1 at least. */
mps_status mps_pool_take(mps_tx *tx, mps_off off, mps_pool *p, uint32_t n, mps_off *first, uint32_t *got);
mps_status mps_pool_give(mps_tx *tx, mps_pool *p, mps_off node);
/* What is behind node.h. */
mps_status mps_pool_alloc(mps_tx *tx, mps_off pool, uint64_t nbytes, mps_off *node);
mps_status mps_pool_free(mps_tx *tx, mps_off pool, mps_off node);
/* The same of a cached pool p, `behind` being the shared one. */
mps_status mps_pool_alloc_cached(mps_tx *tx, const mps_pool *p, mps_off behind, mps_pool *shared, mps_off *node);
mps_status mps_pool_free_cached(mps_tx *tx, const mps_pool *p, mps_off behind, mps_pool *shared, mps_off node);
/* A chunk of which nobody has a node any more leaves the pool. */
mps_status mps_pool_drop_chunk(mps_tx *tx, mps_pool *p, mps_off chunk);

/* The chunk at an offset read from the segment, of which the head may be looked at: NULL when there can't be one; *n: its nodes, or so it
 * says. */
mps_pool_chunk *mps_pool_chunk_at(mps_seg *seg, const mps_pool *p, mps_off off, uint32_t *n);
/* Whether what the pool says of its chunks can be relied on for the two below. */
bool mps_pool_sane(const mps_pool *p);
/* Offset of node i of a chunk. */
mps_off mps_pool_node(const mps_pool *p, mps_off chunk, uint32_t i);
/* Bytes of a chunk of n nodes. */
uint64_t mps_pool_chunk_size(const mps_pool *p, uint32_t n);

/* ---- of the kind (kinds.c), and for check.c ---- */

mps_status mps_pool_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_pool_visit(mps_seg *seg, mps_off off, mps_visit *v);
/* On a frozen segment: every node of every pool counts as a block; calls block(ctx, offset, bytes) for each. */
mps_status mps_pools_walk(mps_seg *seg, mps_status (*block)(void *ctx, mps_off off, uint64_t usable), void *ctx);
/* The nodes in a lane's caches. */
mps_status mps_pools_visit_lane(mps_seg *seg, const mps_lane *lane, mps_visit *v);

#endif
