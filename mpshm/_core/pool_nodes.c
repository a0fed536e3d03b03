#include "lock.h"
#include "pool.h"
#include "racy.h"
#include "value.h"

#define LOOK 6u /* chunks looked at for a node that may be taken in this operation, before another one is begun */
#define STAMP_SHIFT 16u

/* Entries of the outer journal, at most: a free links the node (1), changes fresh, stamp and used (3), opens the chunk (4) and counts it
 * (1), takes it out of two lists (4), counts that (3) and frees it (1). */
_Static_assert(1 + 3 + 4 + 1 + 4 + 3 + 1 <= MPS_ROOM_NODE, "a free");
/* A new chunk (2), its places (4) and counts (3); the node's link, free, fresh, the batch's end, used (5); the chunk is full (2), or
 * free no more (1). What a lane notes besides (8) is in MPS_ROOM_NODE_AFTER. */
_Static_assert(2 + 4 + 3 + 5 + 2 + 1 <= MPS_ROOM_NODE, "an allocation");

/* ---- chunks ---- */

static bool is_adaptive(const mps_pool *p)
{
    return (mps_load32(&p->spec.type) & MPS_POOL_ADAPTIVE) != 0;
}

/* Nodes before the second span, and in each span from then on. */
static void shape(const mps_pool *p, uint32_t *first, uint32_t *each)
{
    uint32_t span = mps_load32(&p->span), stride = mps_load32(&p->stride);
    *first = (span - MPS_POOL_ADAPTIVE_HEAD) / stride;
    *each = (span - MPS_POOL_SPAN_HEAD) / stride;
}

mps_off mps_pool_node(const mps_pool *p, mps_off chunk, uint32_t i)
{
    uint64_t stride = mps_load32(&p->stride);
    if (!is_adaptive(p)) {
        return chunk + MPS_POOL_HEAD + i * stride;
    }
    uint32_t first, each;
    shape(p, &first, &each);
    if (i < first) {
        return chunk + MPS_POOL_ADAPTIVE_HEAD + i * stride;
    }
    uint64_t span = 1 + (i - first) / each;
    return chunk + span * mps_load32(&p->span) + MPS_POOL_SPAN_HEAD + (i - first) % each * stride;
}

uint64_t mps_pool_chunk_size(const mps_pool *p, uint32_t n)
{
    return mps_pool_node(p, 0, n - 1) + mps_load32(&p->stride);
}

/* Whether the words that describe a pool's chunks can be relied on for arithmetic. */
bool mps_pool_sane(const mps_pool *p)
{
    uint32_t stride = mps_load32(&p->stride), span = mps_load32(&p->span), n = mps_load32(&p->per_chunk);
    bool good = stride >= 16 && (stride & 15) == 0 && stride <= MPS_POOL_NODE_MAX && n >= 1 && n <= MPS_POOL_CHUNK_MAX;
    return good && (!is_adaptive(p) ||
                    (span >= MPS_POOL_ADAPTIVE_HEAD + stride && span <= MPS_ALIGN_MAX && (span & (span - 1)) == 0));
}

mps_pool_chunk *mps_pool_chunk_at(mps_seg *seg, const mps_pool *p, mps_off off, uint32_t *n)
{
    bool adaptive = is_adaptive(p);
    if (mps_unlikely((off & 15) != 0 || off < seg->arena ||
                     !mps_region_holds(&seg->region, off, adaptive ? MPS_POOL_ADAPTIVE_HEAD : MPS_POOL_HEAD))) {
        return NULL;
    }
    mps_pool_chunk *c = mps_region_at(&seg->region, off);
    *n = (uint32_t)(mps_load64(&c->stamp) & ((1u << STAMP_SHIFT) - 1));
    bool good = mps_load64(&c->self) == off && *n >= 1 &&
                (!adaptive || mps_load64(&c->pool) == mps_region_off(&seg->region, p));
    return mps_likely(good) ? c : NULL;
}

/* A chunk's links in a list: next, prev. */
static uint64_t *links_of(mps_pool_chunk *c, unsigned list)
{
    return list == MPS_POOL_ALL ? &c->next : &c->open_next;
}

_Static_assert(offsetof(mps_pool_chunk, prev) == offsetof(mps_pool_chunk, next) + 8, "a pair");
_Static_assert(offsetof(mps_pool_chunk, open_prev) == offsetof(mps_pool_chunk, open_next) + 8, "a pair");

static mps_status unlink_chunk(mps_tx *tx, mps_pool *p, mps_pool_chunk *c, mps_off off, unsigned list)
{
    const uint64_t *own = links_of(c, list);
    mps_off next = mps_load64(&own[0]), prev = mps_load64(&own[1]);
    uint32_t n;
    mps_pool_chunk *after = next != 0 ? mps_pool_chunk_at(tx->seg, p, next, &n) : NULL;
    mps_pool_chunk *before = prev != 0 ? mps_pool_chunk_at(tx->seg, p, prev, &n) : NULL;
    uint64_t *link = before != NULL ? links_of(before, list) : &p->lists[list];
    if (mps_unlikely((next != 0 && (after == NULL || mps_load64(&links_of(after, list)[1]) != off)) ||
                     (prev != 0 && before == NULL) || mps_load64(link) != off)) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, link, next);
    if (after != NULL) {
        mps_tx_set(tx, &links_of(after, list)[1], prev);
    }
    return MPS_OK;
}

/* Makes a chunk the first of a list. fresh: nobody knows it yet. */
static mps_status link_chunk(mps_tx *tx, mps_pool *p, mps_pool_chunk *c, mps_off off, unsigned list, bool fresh)
{
    mps_off next = mps_load64(&p->lists[list]);
    uint32_t n;
    mps_pool_chunk *after = next != 0 ? mps_pool_chunk_at(tx->seg, p, next, &n) : NULL;
    uint64_t *own = links_of(c, list);
    if (mps_unlikely(next == off || (next != 0 && (after == NULL || mps_load64(&links_of(after, list)[1]) != 0)))) {
        return MPS_E_CORRUPT;
    }
    if (fresh) {
        mps_fresh64(&own[0], next);
        mps_fresh64(&own[1], 0);
    } else {
        mps_tx_set(tx, &own[0], next);
        mps_tx_set(tx, &own[1], 0);
    }
    mps_tx_set(tx, &p->lists[list], off);
    if (after != NULL) {
        mps_tx_set(tx, &links_of(after, list)[1], off);
    }
    return MPS_OK;
}

static void count_free_chunks(mps_tx *tx, mps_pool *p, uint64_t plus)
{
    mps_tx_set(tx, &p->n_free_chunks, mps_load64(&p->n_free_chunks) + plus);
}

mps_status mps_pool_drop_chunk(mps_tx *tx, mps_pool *p, mps_off off)
{
    uint32_t n;
    mps_pool_chunk *c = mps_pool_chunk_at(tx->seg, p, off, &n);
    mps_status st = c != NULL ? unlink_chunk(tx, p, c, off, MPS_POOL_ALL) : MPS_E_CORRUPT;
    if (st == MPS_OK && is_adaptive(p) && mps_load64(&c->used) < n) {
        st = unlink_chunk(tx, p, c, off, MPS_POOL_OPEN);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &p->chunks, mps_load64(&p->chunks) - 1);
    mps_tx_set(tx, &p->nodes, mps_load64(&p->nodes) - n);
    if (is_adaptive(p) && mps_load64(&c->used) == 0) {
        count_free_chunks(tx, p, UINT64_MAX);
    }
    return mps_free(tx, off);
}

/* Nobody knows the chunk yet: no journal. All its nodes are linked, in the order of their addresses. */
static void lay_out(mps_seg *seg, mps_pool *p, mps_off off, uint32_t n)
{
    mps_pool_chunk *c = mps_region_at(&seg->region, off);
    uint64_t size = mps_pool_chunk_size(p, n);
    mps_fresh64(&c->self, off);
    mps_fresh64(&c->stamp, n);
    if (is_adaptive(p)) {
        mps_fresh64(&c->pool, mps_region_off(&seg->region, p));
        mps_fresh64(&c->free, mps_pool_node(p, off, 0));
        mps_fresh64(&c->fresh, 0);
        mps_fresh64(&c->used, 0);
        for (mps_off at = off + mps_load32(&p->span); at < off + size; at += mps_load32(&p->span)) {
            mps_fresh64(mps_region_at(&seg->region, at), off);
        }
    }
    mps_off node = mps_pool_node(p, off, 0);
    for (uint32_t i = 0; i < n; i++) {
        mps_off next = i + 1 < n ? mps_pool_node(p, off, i + 1) : 0;
        mps_fresh64(mps_region_at(&seg->region, node), next);
        node = next;
    }
    mps_crash_point();
}

/* A new chunk; where there is no room for a whole one, one of a single node. */
static mps_status add_chunk(mps_tx *tx, mps_pool *p, mps_off *off)
{
    if (mps_unlikely(!mps_pool_sane(p))) {
        return MPS_E_CORRUPT;
    }
    uint32_t n = mps_load32(&p->per_chunk);
    mps_status st = MPS_OK;
    for (;; n = 1) {
        uint64_t size = mps_pool_chunk_size(p, n);
        st = is_adaptive(p) ? mps_alloc_span(tx, size, mps_load32(&p->span), off) : mps_alloc(tx, size, off);
        if (st != MPS_E_FULL || n == 1) {
            break;
        }
    }
    if (st != MPS_OK) {
        return st;
    }
    lay_out(tx->seg, p, *off, n);
    mps_tx_set(tx, &p->chunks, mps_load64(&p->chunks) + 1);
    mps_tx_set(tx, &p->nodes, mps_load64(&p->nodes) + n);
    mps_pool_chunk *c = mps_region_at(&tx->seg->region, *off);
    st = link_chunk(tx, p, c, *off, MPS_POOL_ALL, true);
    if (st == MPS_OK && is_adaptive(p)) {
        count_free_chunks(tx, p, 1);
        st = link_chunk(tx, p, c, *off, MPS_POOL_OPEN, true);
    }
    return st;
}

/* ---- taking ---- */

/* Takes up to n nodes off the list at *head, the last one's link being cut if it is of several. */
static mps_status cut_list(mps_tx *tx, const mps_pool *p, uint64_t *head, mps_off from, uint32_t n, mps_off *first,
                           uint32_t *got)
{
    mps_off at = from, next = 0;
    uint64_t *word = NULL;
    for (*got = 0; (*got < n && at != 0) || *got == 0; ++*got) {
        word = mps_pool_word(tx->seg, p, at);
        if (mps_unlikely(word == NULL)) {
            return MPS_E_CORRUPT;
        }
        next = mps_load64(word);
        at = next;
    }
    *first = from;
    /* (the node's own link too: whoever gets it writes over it, without a journal) */
    mps_tx_log_all(tx, (uint64_t *[]){mps_region_at(&tx->seg->region, from), head}, 2);
    mps_store64(head, next);
    if (*got > 1 && next != 0) {
        mps_tx_set(tx, word, 0);
    }
    return MPS_OK;
}

/* A chunk with nodes that may be taken now: 0 none. */
static mps_status find_chunk(mps_tx *tx, mps_pool *p, mps_off *found)
{
    uint64_t epoch = mps_load64(&p->epoch) << STAMP_SHIFT;
    *found = 0;
    mps_off at = mps_load64(&p->lists[MPS_POOL_OPEN]);
    for (uint32_t i = 0; at != 0 && i < LOOK; i++) {
        uint32_t n;
        const mps_pool_chunk *c = mps_pool_chunk_at(tx->seg, p, at, &n);
        if (c == NULL) {
            return MPS_E_CORRUPT;
        }
        if (mps_load64(&c->free) != 0 || (mps_load64(&c->fresh) != 0 && mps_load64(&c->stamp) - n != epoch)) {
            *found = at;
            return MPS_OK;
        }
        at = mps_load64(&c->open_next);
    }
    return MPS_OK;
}

static mps_status take_adaptive(mps_tx *tx, mps_pool *p, uint32_t want, mps_off *first, uint32_t *got)
{
    mps_off off;
    mps_status st = find_chunk(tx, p, &off);
    if (st == MPS_OK && off == 0) {
        st = add_chunk(tx, p, &off);
    }
    if (st != MPS_OK) {
        return st;
    }
    uint32_t n;
    mps_pool_chunk *c = mps_pool_chunk_at(tx->seg, p, off, &n);
    mps_off from = mps_load64(&c->free);
    if (from == 0) {
        from = mps_load64(&c->fresh);
        mps_tx_set(tx, &c->fresh, 0);
    }
    uint64_t used = mps_load64(&c->used);
    st = used < n ? cut_list(tx, p, &c->free, from, want, first, got) : MPS_E_CORRUPT;
    if (st != MPS_OK || *got > n - used) {
        return st != MPS_OK ? st : MPS_E_CORRUPT;
    }
    mps_tx_set(tx, &c->used, used + *got);
    if (used == 0) {
        count_free_chunks(tx, p, UINT64_MAX);
    }
    return used + *got == n ? unlink_chunk(tx, p, c, off, MPS_POOL_OPEN) : MPS_OK;
}

mps_status mps_pool_enter(mps_tx *tx, mps_pool *p)
{
    for (uint32_t i = 0; i < tx->n_held; i++) {
        if (tx->guards[i] == &p->object.guard) {
            return MPS_OK;
        }
    }
    mps_status st = mps_tx_lock(tx, &p->object.guard);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_store64(&p->epoch, mps_load64(&p->epoch) + 1);
    mps_off fresh = mps_load64(&p->fresh);
    if (fresh != 0 && mps_load64(&p->free) == 0) {
        mps_tx_set(tx, &p->free, fresh);
        mps_tx_set(tx, &p->fresh, 0);
    }
    return MPS_OK;
}

mps_status mps_pool_take(mps_tx *tx, mps_off off, mps_pool *p, uint32_t want, mps_off *first, uint32_t *got)
{
    (void)off;
    if (is_adaptive(p)) {
        return take_adaptive(tx, p, want, first, got);
    }
    mps_off from = mps_load64(&p->free);
    if (mps_unlikely(from == 0)) {
        mps_off chunk;
        mps_status st = add_chunk(tx, p, &chunk);
        if (st != MPS_OK) {
            return st;
        }
        from = mps_pool_node(p, chunk, 0);
    }
    return cut_list(tx, p, &p->free, from, want, first, got);
}

/* ---- giving ---- */

static mps_status give_adaptive(mps_tx *tx, mps_pool *p, mps_off node, uint64_t *word)
{
    uint64_t span = mps_load32(&p->span);
    mps_off base = node & ~(span - 1);
    if (mps_unlikely(base < tx->seg->arena || (span & (span - 1)) != 0 ||
                     !mps_region_holds(&tx->seg->region, base, 8))) {
        return MPS_E_CORRUPT;
    }
    mps_off off = mps_load64(mps_region_at(&tx->seg->region, base));
    uint32_t n;
    mps_pool_chunk *c = mps_pool_chunk_at(tx->seg, p, off, &n);
    uint64_t used = c != NULL ? mps_load64(&c->used) : 0;
    if (mps_unlikely(used == 0 || used > n || node < off + MPS_POOL_ADAPTIVE_HEAD)) {
        return MPS_E_CORRUPT;
    }
    uint64_t stamp = mps_load64(&p->epoch) << STAMP_SHIFT | n;
    mps_tx_log_all(tx, (uint64_t *[]){word, &c->fresh, &c->stamp, &c->used}, 4);
    mps_store64(word, mps_load64(&c->fresh));
    mps_store64(&c->fresh, node);
    mps_store64(&c->stamp, stamp);
    mps_store64(&c->used, used - 1);
    mps_status st = used == n ? link_chunk(tx, p, c, off, MPS_POOL_OPEN, false) : MPS_OK;
    if (mps_likely(used > 1 || st != MPS_OK)) {
        return st;
    }
    count_free_chunks(tx, p, 1);
    bool many = mps_load64(&p->n_free_chunks) > mps_load32(&p->spec.max_free_chunks);
    return many ? mps_pool_drop_chunk(tx, p, off) : MPS_OK;
}

mps_status mps_pool_give(mps_tx *tx, mps_pool *p, mps_off node)
{
    uint64_t *word = mps_pool_word(tx->seg, p, node);
    if (mps_unlikely(word == NULL)) {
        return MPS_E_CORRUPT;
    }
    if (is_adaptive(p)) {
        return give_adaptive(tx, p, node, word);
    }
    mps_tx_log_all(tx, (uint64_t *[]){word, &p->fresh}, 2);
    mps_store64(word, mps_load64(&p->fresh));
    mps_store64(&p->fresh, node);
    return MPS_OK;
}

/* ---- behind node.h ---- */

/* The pool at off; behind: the one whose nodes it gives out, which may be itself. With room in the journal. */
static mps_status find_pool(mps_tx *tx, mps_off off, mps_pool **p, mps_off *behind, mps_pool **shared)
{
    *p = *shared = mps_pool_at(tx->seg, off);
    *behind = off;
    if (mps_unlikely(*p == NULL)) {
        return MPS_E_CORRUPT;
    }
    if ((mps_load32(&(*p)->spec.type) & MPS_POOL_CACHED) != 0) {
        *behind = mps_load64(&(*p)->shared);
        *shared = mps_pool_at(tx->seg, *behind);
        if (mps_unlikely(*shared == NULL || (mps_load32(&(*shared)->spec.type) & MPS_POOL_CACHED) != 0)) {
            return MPS_E_CORRUPT;
        }
    }
    return mps_tx_reserve(tx, MPS_ROOM_NODE + MPS_ROOM_NODE_AFTER);
}

mps_status mps_pool_alloc(mps_tx *tx, mps_off off, uint64_t nbytes, mps_off *node)
{
    mps_pool *p, *shared;
    mps_off behind;
    mps_status st = find_pool(tx, off, &p, &behind, &shared);
    if (mps_unlikely(st != MPS_OK || nbytes > mps_load32(&shared->stride))) {
        return st != MPS_OK ? st : MPS_E_CORRUPT;
    }
    if (p != shared && !tx->foreign) {
        return mps_pool_alloc_cached(tx, p, behind, shared, node);
    }
    st = mps_pool_enter(tx, shared);
    uint32_t got;
    return mps_likely(st == MPS_OK) ? mps_pool_take(tx, behind, shared, 1, node, &got) : st;
}

mps_status mps_pool_free(mps_tx *tx, mps_off off, mps_off node)
{
    mps_pool *p, *shared;
    mps_off behind;
    mps_status st = find_pool(tx, off, &p, &behind, &shared);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (p != shared && !tx->foreign) {
        return mps_pool_free_cached(tx, p, behind, shared, node);
    }
    st = mps_pool_enter(tx, shared);
    return mps_likely(st == MPS_OK) ? mps_pool_give(tx, shared, node) : st;
}
