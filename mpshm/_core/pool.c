#include "pool.h"

#include <stdlib.h>

#include "lock.h"
#include "refs.h"
#include "value.h"

#define OVERHEAD_MAX 20u
#define DROP_CHUNKS 8u /* that leave a dying pool, or an adaptive one, in one operation */
#define DROP_ROOM 9u   /* entries of the journal for each */

_Static_assert(DROP_CHUNKS *DROP_ROOM + 16 <= MPS_OUTER, "a step fits into the journal");

/* ---- what is asked for ---- */

/* The spec with nothing in it that does not matter: false when there is no such pool. */
static bool normal(const mps_pool_spec *asked, mps_pool_spec *spec)
{
    *spec = *asked;
    bool adaptive = (spec->type & MPS_POOL_ADAPTIVE) != 0, cached = (spec->type & MPS_POOL_CACHED) != 0;
    spec->max_free_chunks = adaptive ? spec->max_free_chunks : 0;
    spec->overhead_percent = adaptive ? spec->overhead_percent : 0;
    spec->max_cached_nodes = cached ? spec->max_cached_nodes : 0;
    return (spec->type & ~MPS_POOL_TYPES) == 0 && !(cached && (spec->type & MPS_POOL_PRIVATE) != 0) &&
           spec->node_bytes >= 1 && spec->node_bytes <= MPS_POOL_NODE_MAX && spec->nodes_per_chunk >= 1 &&
           spec->nodes_per_chunk <= MPS_POOL_CHUNK_MAX &&
           (!adaptive || (spec->overhead_percent >= 1 && spec->overhead_percent <= OVERHEAD_MAX)) &&
           (!cached || (spec->max_cached_nodes >= 1 && spec->max_cached_nodes <= MPS_POOL_CACHED_MAX));
}

/* How a new pool's chunks are cut. An adaptive one has as many nodes in a chunk as it takes for the heads to keep within
 * overhead_percent, and of the spans that do, the smallest. */
static void measure(mps_pool *p)
{
    uint64_t n = p->spec.nodes_per_chunk, percent = p->spec.overhead_percent;
    p->stride = (uint32_t)mps_round_up(p->spec.node_bytes, 16);
    p->span = 0;
    p->per_chunk = (uint32_t)n;
    if ((p->spec.type & MPS_POOL_ADAPTIVE) == 0) {
        return;
    }
    uint64_t per_cent = percent * p->stride;
    n = mps_max64(n, (MPS_POOL_ADAPTIVE_HEAD * (100 - percent) + per_cent - 1) / per_cent);
    p->per_chunk = (uint32_t)n;
    for (p->span = 256; p->span < MPS_ALIGN_MAX; p->span *= 2) {
        if (p->span < MPS_POOL_ADAPTIVE_HEAD + p->stride) {
            continue;
        }
        uint64_t size = mps_pool_chunk_size(p, p->per_chunk);
        if ((size - n * p->stride) * 100 <= size * percent) {
            break;
        }
    }
}

static bool same(const mps_pool *p, const mps_pool_spec *spec)
{
    return memcmp(&p->spec, spec, sizeof(*spec)) == 0 && mps_load64(&p->object.refs) > 0;
}

/* ---- the registry ---- */

/* The shared pool for a spec; 0 none. */
static mps_status look_up(mps_seg *seg, const mps_pool_spec *spec, mps_off *off)
{
    uint64_t left = mps_load64(&seg->region.limit) / sizeof(mps_pool);
    for (*off = mps_load64(&mps_seg_root(seg)->pools); *off != 0;) {
        const mps_pool *p = mps_pool_at(seg, *off);
        if (p == NULL || left-- == 0) {
            return MPS_E_CORRUPT;
        }
        if (same(p, spec)) {
            return MPS_OK;
        }
        *off = mps_load64(&p->next);
    }
    return MPS_OK;
}

static mps_status make(mps_tx *tx, const mps_pool_spec *spec, mps_off shared, mps_off *off)
{
    mps_root *root = mps_seg_root(tx->seg);
    mps_off next = mps_load64(&root->pools);
    mps_pool *after = next != 0 ? mps_pool_at(tx->seg, next) : NULL;
    mps_status st =
        next != 0 && after == NULL ? MPS_E_CORRUPT : mps_object_make(tx, MPS_KIND_POOL, sizeof(mps_pool), off);
    if (st != MPS_OK) {
        return st;
    }
    mps_pool *p = mps_region_at(&tx->seg->region, *off);
    p->spec = *spec;
    measure(p);
    p->shared = shared;
    p->next = next;
    mps_crash_point();
    mps_tx_set(tx, &root->pools, *off);
    if (after != NULL) {
        mps_tx_set(tx, &after->prev, *off);
    }
    return MPS_OK;
}

static mps_status leave_registry(mps_tx *tx, const mps_pool *p, mps_off off)
{
    mps_off next = mps_load64(&p->next), prev = mps_load64(&p->prev);
    mps_pool *after = next != 0 ? mps_pool_at(tx->seg, next) : NULL;
    mps_pool *before = prev != 0 ? mps_pool_at(tx->seg, prev) : NULL;
    uint64_t *link = before != NULL ? &before->next : &mps_seg_root(tx->seg)->pools;
    if ((next != 0 && (after == NULL || mps_load64(&after->prev) != off)) || (prev != 0 && before == NULL) ||
        mps_load64(link) != off) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, link, next);
    if (after != NULL) {
        mps_tx_set(tx, &after->prev, prev);
    }
    return MPS_OK;
}

/* The pool for a spec, found or made; made: its one reference is still to be given to somebody. */
static mps_status find_or_make(mps_tx *tx, const mps_pool_spec *spec, mps_off *off, bool *made)
{
    mps_status st = (spec->type & MPS_POOL_PRIVATE) == 0 ? look_up(tx->seg, spec, off) : MPS_OK;
    *made = st == MPS_OK && ((spec->type & MPS_POOL_PRIVATE) != 0 || *off == 0);
    if (st != MPS_OK || !*made) {
        return st;
    }
    if ((spec->type & MPS_POOL_CACHED) == 0) {
        return make(tx, spec, 0, off);
    }
    mps_pool_spec plain = *spec;
    plain.type &= ~MPS_POOL_CACHED;
    plain.max_cached_nodes = 0;
    mps_off shared = 0;
    bool fresh = false;
    st = look_up(tx->seg, &plain, &shared);
    if (st == MPS_OK && shared != 0) {
        st = mps_object_incref(tx, shared);
    } else if (st == MPS_OK) {
        st = find_or_make(tx, &plain, &shared, &fresh);
    }
    return st == MPS_OK ? make(tx, spec, shared, off) : st;
}

static mps_status get(mps_tx *tx, const mps_pool_spec *spec, mps_off *off, uint64_t *serial)
{
    bool made = false;
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = find_or_make(tx, spec, off, &made);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_object *obj = mps_region_at(&tx->seg->region, *off);
    *serial = mps_load64(&obj->serial);
    st = mps_ref_adopt(tx, *off);
    if (st == MPS_OK && made) {
        mps_tx_set(tx, &obj->refs, mps_load64(&obj->refs) - 1); /* its maker's, who is this process */
    }
    return st;
}

mps_status mps_pool_get(mps_seg *seg, mps_door door, const mps_pool_spec *asked, mps_off *off, uint64_t *serial)
{
    mps_pool_spec spec;
    mps_tx tx;
    mps_status st = normal(asked, &spec) ? mps_tx_begin(seg, &tx, door) : MPS_E_INVAL;
    if (st != MPS_OK) {
        return st;
    }
    st = get(&tx, &spec, off, serial);
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

/* ---- giving free chunks back ---- */

/* A node pool's chunk, in private memory. */
typedef struct piece {
    mps_off off;
    uint64_t end;
    uint32_t n;
    uint32_t free;
} piece;

typedef struct pieces {
    piece *all; /* by offset */
    uint64_t n;
} pieces;

static int by_offset(const void *a, const void *b)
{
    mps_off x = ((const piece *)a)->off, y = ((const piece *)b)->off;
    return x < y ? -1 : x > y;
}

static piece *piece_of(const pieces *ps, mps_off node)
{
    uint64_t low = 0, high = ps->n;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (ps->all[middle].end <= node) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ps->n && ps->all[low].off < node ? &ps->all[low] : NULL;
}

static mps_status collect(mps_seg *seg, const mps_pool *p, pieces *ps)
{
    uint64_t chunks = mps_load64(&p->chunks);
    if (chunks > mps_load64(&seg->region.limit) / MPS_POOL_HEAD || !mps_pool_sane(p)) {
        return MPS_E_CORRUPT;
    }
    ps->all = calloc(chunks + 1, sizeof(piece));
    if (ps->all == NULL) {
        return MPS_E_NOMEM;
    }
    for (mps_off at = mps_load64(&p->lists[MPS_POOL_ALL]); at != 0;) {
        uint32_t n;
        const mps_pool_chunk *c = mps_pool_chunk_at(seg, p, at, &n);
        if (c == NULL || ps->n == chunks) {
            return MPS_E_CORRUPT;
        }
        ps->all[ps->n++] = (piece){at, at + mps_pool_chunk_size(p, n), n, 0};
        at = mps_load64(&c->next);
    }
    qsort(ps->all, ps->n, sizeof(piece), by_offset);
    return MPS_OK;
}

/* Counts the free nodes of each chunk. */
static mps_status count_free(mps_seg *seg, const mps_pool *p, const pieces *ps)
{
    uint64_t left = mps_load64(&p->nodes);
    for (int fresh = 0; fresh < 2; fresh++) {
        mps_off at = mps_load64(fresh != 0 ? &p->fresh : &p->free);
        for (; at != 0; left--) {
            const uint64_t *word = mps_pool_word(seg, p, at);
            piece *c = piece_of(ps, at);
            if (word == NULL || c == NULL || left == 0) {
                return MPS_E_CORRUPT;
            }
            c->free++;
            at = mps_load64(word);
        }
    }
    return MPS_OK;
}

static mps_status set_link(mps_tx *tx, uint64_t *link, mps_off to)
{
    if (mps_load64(link) == to) {
        return MPS_OK;
    }
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_NODE);
    if (st == MPS_OK) {
        mps_tx_set(tx, link, to);
    }
    return st;
}

/* One free list of those nodes, free or fresh, whose chunks stay. */
static mps_status thread(mps_tx *tx, mps_pool *p, const pieces *ps)
{
    mps_off fresh = mps_load64(&p->fresh);
    uint64_t *link = &p->free;
    mps_status st = MPS_OK;
    mps_off at = mps_load64(&p->free);
    bool second = false;
    while (st == MPS_OK && (at != 0 || !second)) {
        if (at == 0) {
            second = true;
            at = fresh;
            continue;
        }
        uint64_t *word = mps_pool_word(tx->seg, p, at);
        const piece *c = piece_of(ps, at);
        mps_off next = mps_load64(word);
        if (c->free < c->n) {
            st = set_link(tx, link, at);
            link = word;
        }
        at = next;
    }
    if (st == MPS_OK) {
        st = set_link(tx, link, 0);
    }
    return st == MPS_OK ? set_link(tx, &p->fresh, 0) : st;
}

static mps_status trim_node_pool(mps_tx *tx, mps_pool *p, uint64_t *n)
{
    pieces ps = {0};
    mps_status st = collect(tx->seg, p, &ps);
    if (st == MPS_OK) {
        st = count_free(tx->seg, p, &ps);
    }
    if (st == MPS_OK) {
        st = thread(tx, p, &ps);
    }
    for (uint64_t i = 0; i < ps.n && st == MPS_OK; i++) {
        if (ps.all[i].free >= ps.all[i].n) {
            st = mps_tx_reserve(tx, MPS_ROOM_NODE);
            if (st == MPS_OK) {
                st = mps_pool_drop_chunk(tx, p, ps.all[i].off);
                ++*n;
            }
        }
    }
    free(ps.all);
    return st;
}

/* A few free chunks of an adaptive pool. */
static mps_status trim_adaptive(mps_tx *tx, mps_pool *p, uint64_t *n, bool *more)
{
    mps_status st = MPS_OK;
    uint64_t left = mps_load64(&p->chunks);
    mps_off at = mps_load64(&p->lists[MPS_POOL_OPEN]);
    while (at != 0 && *n < DROP_CHUNKS && mps_load64(&p->n_free_chunks) > 0 && st == MPS_OK) {
        uint32_t nodes;
        const mps_pool_chunk *c = mps_pool_chunk_at(tx->seg, p, at, &nodes);
        if (c == NULL || left-- == 0) {
            return MPS_E_CORRUPT;
        }
        mps_off next = mps_load64(&c->open_next);
        if (mps_load64(&c->used) == 0) {
            st = mps_pool_drop_chunk(tx, p, at);
            ++*n;
        }
        at = next;
    }
    *more = *n == DROP_CHUNKS;
    return st;
}

/* The pool whose nodes are given out: p, or the one behind it. */
static mps_status behind(mps_seg *seg, mps_off off, mps_pool **p)
{
    *p = mps_pool_at(seg, off);
    if (*p != NULL && (mps_load32(&(*p)->spec.type) & MPS_POOL_CACHED) != 0) {
        *p = mps_pool_at(seg, mps_load64(&(*p)->shared));
    }
    return *p != NULL ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_pool_trim_chunks(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_pool *p;
    mps_tx tx;
    mps_status st = behind(seg, off, &p);
    *n = 0;
    for (bool more = true; more && st == MPS_OK;) {
        st = mps_tx_begin(seg, &tx, door);
        if (st != MPS_OK) {
            return st;
        }
        more = false;
        uint64_t now = 0;
        st = mps_pool_enter(&tx, p);
        if (st == MPS_OK) {
            bool adaptive = (mps_load32(&p->spec.type) & MPS_POOL_ADAPTIVE) != 0;
            st = adaptive ? trim_adaptive(&tx, p, &now, &more) : trim_node_pool(&tx, p, &now);
        }
        if (st == MPS_OK) {
            st = mps_tx_commit(&tx);
            *n += now;
        } else {
            mps_tx_abort(&tx);
        }
        mps_tx_end(&tx);
    }
    return st;
}

/* ---- numbers ---- */

static mps_status list_length(mps_seg *seg, const mps_pool *p, mps_off at, uint64_t most, uint64_t *n)
{
    for (; at != 0; ++*n) {
        const uint64_t *word = mps_pool_word(seg, p, at);
        if (word == NULL || *n >= most) {
            return MPS_E_CORRUPT;
        }
        at = mps_load64(word);
    }
    return MPS_OK;
}

/* Calls visit for each chunk; MPS_E_CORRUPT when they are not as many as the pool says. */
static mps_status each_chunk(mps_seg *seg, const mps_pool *p, void *ctx,
                             mps_status (*visit)(void *ctx, const mps_pool *p, mps_pool_chunk *c, mps_off off,
                                                 uint32_t n))
{
    uint64_t chunks = 0, nodes = 0, most = mps_load64(&p->chunks);
    if (most > 0 && !mps_pool_sane(p)) {
        return MPS_E_CORRUPT;
    }
    for (mps_off at = mps_load64(&p->lists[MPS_POOL_ALL]); at != 0; chunks++) {
        uint32_t n;
        mps_pool_chunk *c = mps_pool_chunk_at(seg, p, at, &n);
        if (c == NULL || chunks == most) {
            return MPS_E_CORRUPT;
        }
        nodes += n;
        mps_status st = visit(ctx, p, c, at, n);
        if (st != MPS_OK) {
            return st;
        }
        at = mps_load64(&c->next);
    }
    return chunks == most && nodes == mps_load64(&p->nodes) ? MPS_OK : MPS_E_CORRUPT;
}

static mps_status add_free(void *ctx, const mps_pool *p, mps_pool_chunk *c, mps_off off, uint32_t n)
{
    (void)p;
    (void)off;
    *(uint64_t *)ctx += n - mps_min64(mps_load64(&c->used), n);
    return MPS_OK;
}

static uint64_t cached_nodes(mps_seg *seg, uint64_t serial)
{
    uint64_t n = 0;
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        if ((mps_load64(&mps_slot_head_at(seg, slot)->word) & 0xff) != MPS_SLOT_USED) {
            continue;
        }
        const mps_slot_body *body = mps_slot_body_at(seg, slot);
        for (uint32_t i = 0; i < MPS_LANES * MPS_LANE_POOLS; i++) {
            const mps_lane_pool *e = &body->lanes[i / MPS_LANE_POOLS].pools[i % MPS_LANE_POOLS];
            n += mps_load64(&e->serial) == serial ? mps_load64(&e->where) >> 48 : 0;
        }
    }
    return n;
}

static mps_status count(mps_seg *seg, const mps_pool *p, mps_pool_stats *out)
{
    *out = (mps_pool_stats){.chunks = mps_load64(&p->chunks), .nodes = mps_load64(&p->nodes)};
    out->free_chunks = mps_load64(&p->n_free_chunks);
    out->cached = cached_nodes(seg, mps_load64(&p->object.serial));
    if ((mps_load32(&p->spec.type) & MPS_POOL_ADAPTIVE) != 0) {
        return each_chunk(seg, p, &out->free, add_free);
    }
    mps_status st = list_length(seg, p, mps_load64(&p->free), out->nodes, &out->free);
    return st == MPS_OK ? list_length(seg, p, mps_load64(&p->fresh), out->nodes, &out->free) : st;
}

mps_status mps_pool_stats_get(mps_seg *seg, mps_door door, mps_off off, mps_pool_stats *out)
{
    mps_pool *p;
    mps_tx tx;
    mps_status st = behind(seg, off, &p);
    if (st == MPS_OK) {
        st = mps_tx_begin(seg, &tx, door);
    }
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, &p->object.guard);
    if (st == MPS_OK) {
        st = count(seg, p, out);
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

/* ---- dying, check ---- */

mps_status mps_pool_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    mps_pool *p = (mps_pool *)m;
    mps_off shared = mps_load64(&p->shared);
    if (mps_load32(&p->spec.node_bytes) == 0) {
        *done = true; /* an empty object: nobody has asked for such a pool */
        return MPS_OK;
    }
    if (shared != 0) {
        mps_tx_set(tx, &p->shared, 0);
        return mps_object_decref(tx, shared);
    }
    for (uint32_t i = 0; i < DROP_CHUNKS; i++) {
        mps_off chunk = mps_load64(&p->lists[MPS_POOL_ALL]);
        if (chunk == 0) {
            *done = true;
            return leave_registry(tx, p, off);
        }
        mps_status st = mps_pool_drop_chunk(tx, p, chunk);
        if (st != MPS_OK) {
            return st;
        }
    }
    return MPS_OK;
}

static mps_status visit_list(mps_seg *seg, const mps_pool *p, mps_off at, uint64_t *n, mps_visit *v)
{
    for (; at != 0; ++*n) {
        const uint64_t *word = mps_pool_word(seg, p, at);
        mps_status st = word != NULL ? v->block(v, at) : v->bad(v, "a pool's free list leads out of the segment");
        if (st != MPS_OK) {
            return st;
        }
        at = mps_load64(word);
    }
    return MPS_OK;
}

typedef struct visiting {
    mps_seg *seg;
    mps_visit *v;
    uint64_t open, empty; /* chunks with a free node, and with no other */
} visiting;

/* Chunks in the list OPEN; n + 1 when they are more than n, linked wrongly, or one of them has no free node. */
static uint64_t count_open(mps_seg *seg, const mps_pool *p, uint64_t n)
{
    uint64_t found = 0;
    mps_off prev = 0;
    for (mps_off at = mps_load64(&p->lists[MPS_POOL_OPEN]); at != 0 && found <= n; found++) {
        uint32_t nodes;
        const mps_pool_chunk *c = mps_pool_chunk_at(seg, p, at, &nodes);
        if (c == NULL || mps_load64(&c->used) >= nodes || mps_load64(&c->open_prev) != prev) {
            return n + 1;
        }
        prev = at;
        at = mps_load64(&c->open_next);
    }
    return found;
}

static mps_status visit_chunk(void *ctx, const mps_pool *p, mps_pool_chunk *c, mps_off off, uint32_t n)
{
    visiting *w = ctx;
    mps_status st = w->v->block(w->v, off);
    if (st != MPS_OK || (mps_load32(&p->spec.type) & MPS_POOL_ADAPTIVE) == 0) {
        return st;
    }
    uint64_t free = 0, used = mps_load64(&c->used);
    st = visit_list(w->seg, p, mps_load64(&c->free), &free, w->v);
    if (st == MPS_OK) {
        st = visit_list(w->seg, p, mps_load64(&c->fresh), &free, w->v);
    }
    if (st == MPS_OK && used + free != n) {
        return w->v->bad(w->v, "a pool's chunk is wrong about how many nodes are free");
    }
    w->open += used < n;
    w->empty += used == 0;
    return st;
}

mps_status mps_pool_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_pool *p = mps_region_at(&seg->region, off);
    if ((mps_load32(&p->spec.type) & MPS_POOL_CACHED) != 0) {
        return v->ref(v, mps_load64(&p->shared));
    }
    visiting w = {.seg = seg, .v = v};
    uint64_t free = 0;
    mps_status st = each_chunk(seg, p, &w, visit_chunk);
    if (st == MPS_OK && (mps_load64(&p->n_free_chunks) != w.empty || count_open(seg, p, w.open) != w.open)) {
        return v->bad(v, "a pool is wrong about its free chunks");
    }
    if (st == MPS_OK) {
        st = visit_list(seg, p, mps_load64(&p->free), &free, v);
    }
    return st == MPS_OK ? visit_list(seg, p, mps_load64(&p->fresh), &free, v) : st;
}

typedef struct walking {
    mps_seg *seg;
    mps_status (*block)(void *ctx, mps_off off, uint64_t usable);
    void *ctx;
} walking;

static mps_status walk_chunk(void *ctx, const mps_pool *p, mps_pool_chunk *c, mps_off off, uint32_t n)
{
    (void)c;
    const walking *w = ctx;
    if (mps_alloc_usable(w->seg, off) < mps_pool_chunk_size(p, n)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < n && st == MPS_OK; i++) {
        st = w->block(w->ctx, mps_pool_node(p, off, i), mps_load32(&p->stride));
    }
    return st;
}

mps_status mps_pools_walk(mps_seg *seg, mps_status (*block)(void *ctx, mps_off off, uint64_t usable), void *ctx)
{
    walking w = {seg, block, ctx};
    uint64_t left = mps_load64(&seg->region.limit) / sizeof(mps_pool);
    mps_status st = MPS_OK;
    for (mps_off at = mps_load64(&mps_seg_root(seg)->pools), prev = 0; at != 0 && st == MPS_OK;) {
        const mps_pool *p = mps_pool_at(seg, at);
        if (p == NULL || left-- == 0 || mps_load64(&p->prev) != prev) {
            return MPS_E_CORRUPT;
        }
        st = each_chunk(seg, p, &w, walk_chunk);
        prev = at;
        at = mps_load64(&p->next);
    }
    return st;
}
