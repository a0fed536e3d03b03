#include "alloc_bins.h"

#define STEPS 48u       /* more than any trie is deep: whoever goes further walks in a circle */
#define LARGE_BYTES 64u /* of a chunk in a trie that are looked at */
#define FIRST_LOG2 14u  /* the first trie: sizes from 2^14 */

_Static_assert(MPS_FIT_SMALL == 1u << FIRST_LOG2, "the tries begin where the lists end");
_Static_assert(MPS_FIT_LIMIT == (uint64_t)1 << (FIRST_LOG2 + MPS_FIT_TRIES / 2), "every size has a trie");
_Static_assert((MPS_FIT_SMALL - MPS_CHUNK_MIN) / MPS_CHUNK_ALIGN < MPS_FIT_LISTS, "every size has a list");

static uint32_t large_index(uint64_t size)
{
    uint32_t k = mps_log2(size);
    return (k - FIRST_LOG2) * 2 + (uint32_t)(size >> (k - 1) & 1);
}

/* The bits of a size that its trie branches on, the first of them highest. */
static uint64_t path_of(uint64_t size)
{
    return size << (65 - mps_log2(size));
}

static mps_chunk *small_at(mps_seg *seg, mps_off off)
{
    return mps_chunk_at(seg, off, MPS_CHUNK_LIST);
}

/* A chunk in a trie, with a size that can stand in one. */
static mps_chunk *large_at(mps_seg *seg, mps_off off, uint64_t *size)
{
    mps_chunk *c = mps_chunk_at(seg, off, LARGE_BYTES);
    if (mps_unlikely(c == NULL)) {
        return NULL;
    }
    uint64_t head = mps_load64(&c->head);
    *size = mps_chunk_size(head);
    bool good = (head & MPS_CINUSE) == 0 && *size > MPS_FIT_SMALL && *size < MPS_FIT_LIMIT;
    return mps_likely(good) ? c : NULL;
}

/* ---- lists ---- */

void mps_bins_mark(mps_tx *tx, mps_fit *fit, uint32_t i, bool filled)
{
    uint64_t *word = &fit->small_map[i / 64];
    uint64_t map = mps_load64(word);
    uint64_t bit = (uint64_t)1 << i % 64;
    uint64_t then = filled ? map | bit : map & ~bit;
    mps_tx_set_inner(tx, word, then);
    if ((map == 0) != (then == 0)) {
        uint64_t top = mps_load64(&fit->small_top);
        bit = (uint64_t)1 << i / 64;
        mps_tx_set_inner(tx, &fit->small_top, filled ? top | bit : top & ~bit);
    }
}

/* ---- tries ---- */

/* Hangs a chunk into the list behind one of its size. */
static mps_status add_equal(mps_tx *tx, mps_chunk *stands, mps_off stands_off, mps_chunk *c, mps_off off)
{
    mps_off next = mps_load64(&stands->next);
    mps_chunk *after = next != 0 ? small_at(tx->seg, next) : NULL;
    if (next != 0 && after == NULL) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set_inner(tx, &c->next, next);
    mps_tx_set_inner(tx, &c->prev, stands_off);
    mps_tx_set_inner(tx, &stands->next, off);
    if (after != NULL) {
        mps_tx_set_inner(tx, &after->prev, off);
    }
    return MPS_OK;
}

/* Makes a chunk a leaf at the link given. */
static void add_leaf(mps_tx *tx, uint64_t *link, mps_off parent, mps_chunk *c, mps_off off)
{
    mps_tx_set_inner(tx, &c->next, 0);
    mps_tx_set_inner(tx, &c->prev, 0);
    mps_tx_set_inner(tx, &c->child[0], 0);
    mps_tx_set_inner(tx, &c->child[1], 0);
    mps_tx_set_inner(tx, &c->parent, parent);
    mps_tx_set_inner(tx, link, off);
}

mps_status mps_bins_add_large(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off off, uint64_t size)
{
    uint32_t i = large_index(size);
    mps_off at = mps_load64(&fit->large[i]);
    if (at == 0) {
        add_leaf(tx, &fit->large[i], 0, c, off);
        mps_tx_set_inner(tx, &fit->large_map, mps_load64(&fit->large_map) | (uint64_t)1 << i);
        return MPS_OK;
    }
    uint64_t path = path_of(size);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t here;
        mps_chunk *t = large_at(tx->seg, at, &here);
        if (t == NULL || at == off) {
            return MPS_E_CORRUPT;
        }
        if (here == size) {
            return add_equal(tx, t, at, c, off);
        }
        uint64_t *link = &t->child[path >> 63];
        mps_off next = mps_load64(link);
        if (next == 0) {
            add_leaf(tx, link, at, c, off);
            return MPS_OK;
        }
        at = next;
        path <<= 1;
    }
    return MPS_E_CORRUPT;
}

/* Takes any leaf below c out of the trie: *leaf is 0 when c is one itself. */
static mps_status pluck_leaf(mps_tx *tx, mps_chunk *c, mps_off *leaf)
{
    *leaf = 0;
    uint64_t *link = NULL;
    mps_chunk *t = c;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t *right = &t->child[1];
        uint64_t *down = mps_load64(right) != 0 ? right : &t->child[0];
        mps_off next = mps_load64(down);
        if (next == 0) {
            if (link != NULL) {
                mps_tx_set_inner(tx, link, 0);
            }
            return MPS_OK;
        }
        uint64_t size;
        t = large_at(tx->seg, next, &size);
        if (t == NULL) {
            return MPS_E_CORRUPT;
        }
        link = down;
        *leaf = next;
    }
    return MPS_E_CORRUPT;
}

/* The word that leads to a chunk which stands in trie i; NULL when none does. */
static uint64_t *link_to(mps_tx *tx, mps_fit *fit, uint32_t i, const mps_chunk *c, mps_off off)
{
    mps_off parent = mps_load64(&c->parent);
    if (parent == 0) {
        return mps_load64(&fit->large[i]) == off ? &fit->large[i] : NULL;
    }
    mps_chunk *p = mps_chunk_at(tx->seg, parent, LARGE_BYTES);
    if (p == NULL) {
        return NULL;
    }
    for (int side = 0; side < 2; side++) {
        if (mps_load64(&p->child[side]) == off) {
            return &p->child[side];
        }
    }
    return NULL;
}

/* Lets heir stand where c stands; link leads there. */
static mps_status succeed(mps_tx *tx, uint64_t *link, const mps_chunk *c, mps_off heir)
{
    mps_chunk *h = mps_chunk_at(tx->seg, heir, LARGE_BYTES);
    if (h == NULL) {
        return MPS_E_CORRUPT;
    }
    for (int side = 0; side < 2; side++) {
        mps_off child = mps_load64(&c->child[side]);
        mps_chunk *below = child != 0 ? mps_chunk_at(tx->seg, child, LARGE_BYTES) : NULL;
        if (child != 0 && below == NULL) {
            return MPS_E_CORRUPT;
        }
        mps_tx_set_inner(tx, &h->child[side], child);
        if (below != NULL) {
            mps_tx_set_inner(tx, &below->parent, heir);
        }
    }
    mps_tx_set_inner(tx, &h->parent, mps_load64(&c->parent));
    mps_tx_set_inner(tx, link, heir);
    return MPS_OK;
}

static mps_status remove_equal(mps_tx *tx, mps_off off, mps_off prev, mps_off next)
{
    mps_chunk *before = small_at(tx->seg, prev);
    mps_chunk *after = next != 0 ? small_at(tx->seg, next) : NULL;
    if (before == NULL || mps_load64(&before->next) != off || (next != 0 && after == NULL) ||
        (after != NULL && mps_load64(&after->prev) != off)) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set_inner(tx, &before->next, next);
    if (after != NULL) {
        mps_tx_set_inner(tx, &after->prev, prev);
    }
    return MPS_OK;
}

/* At most: heir's prev, or the link to the leaf; heir's children, parent; the children's parents; the link to c: 7
 * words. */
mps_status mps_bins_remove_large(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off off, uint64_t size)
{
    uint32_t i = large_index(size);
    mps_off next = mps_load64(&c->next);
    mps_off prev = mps_load64(&c->prev);
    if (prev != 0) {
        return remove_equal(tx, off, prev, next);
    }
    uint64_t *link = link_to(tx, fit, i, c, off);
    if (link == NULL) {
        return MPS_E_CORRUPT;
    }
    if (next != 0) {
        mps_chunk *heir = small_at(tx->seg, next);
        if (heir == NULL || mps_load64(&heir->prev) != off) {
            return MPS_E_CORRUPT;
        }
        mps_tx_set_inner(tx, &heir->prev, 0);
        return succeed(tx, link, c, next);
    }
    mps_off leaf;
    mps_status st = pluck_leaf(tx, c, &leaf);
    if (st != MPS_OK) {
        return st;
    }
    if (leaf != 0) {
        return succeed(tx, link, c, leaf);
    }
    mps_tx_set_inner(tx, link, 0);
    if (link == &fit->large[i]) {
        mps_tx_set_inner(tx, &fit->large_map, mps_load64(&fit->large_map) & ~((uint64_t)1 << i));
    }
    return MPS_OK;
}

void mps_bins_begin(mps_fit *fit, mps_chunk *c, mps_off chunk, uint64_t size)
{
    c->next = c->prev = 0;
    if (size <= MPS_FIT_SMALL) {
        uint32_t i = mps_bins_list(size);
        fit->small[i] = chunk;
        fit->small_map[i / 64] = (uint64_t)1 << i % 64;
        fit->small_top = (uint64_t)1 << i / 64;
        return;
    }
    c->child[0] = c->child[1] = c->parent = 0;
    fit->large[large_index(size)] = chunk;
    fit->large_map = (uint64_t)1 << large_index(size);
}

/* ---- best fit ---- */

typedef struct search {
    mps_off best;  /* 0: none yet */
    uint64_t size; /* of best */
    mps_off list;  /* the first chunk of best's list, which is easier to take; 0 none */
} search;

static void look(search *s, const mps_chunk *c, mps_off at, uint64_t size, uint64_t least)
{
    if (size >= least && size < s->size) {
        *s = (search){.best = at, .size = size, .list = mps_load64(&c->next)};
    }
}

/* The least chunk of a subtree. */
static mps_status look_leftmost(mps_seg *seg, search *s, mps_off at, uint64_t least)
{
    for (uint32_t step = 0; at != 0; step++) {
        uint64_t size;
        const mps_chunk *c = large_at(seg, at, &size);
        if (c == NULL || step == STEPS) {
            return MPS_E_CORRUPT;
        }
        look(s, c, at, size, least);
        mps_off left = mps_load64(&c->child[0]);
        at = left != 0 ? left : mps_load64(&c->child[1]);
    }
    return MPS_OK;
}

/* The least sufficient chunk of the trie that the request's own size belongs to. */
static mps_status look_along(mps_seg *seg, search *s, mps_off at, uint64_t least)
{
    uint64_t path = path_of(least);
    mps_off right = 0;
    for (uint32_t step = 0; at != 0; step++) {
        uint64_t size;
        const mps_chunk *c = large_at(seg, at, &size);
        if (c == NULL || step == STEPS) {
            return MPS_E_CORRUPT;
        }
        look(s, c, at, size, least);
        if (size == least) {
            return MPS_OK;
        }
        mps_off other = mps_load64(&c->child[1]);
        if ((path >> 63) == 0) {
            right = other != 0 ? other : right;
            at = mps_load64(&c->child[0]);
        } else {
            at = other;
        }
        path <<= 1;
    }
    return look_leftmost(seg, s, right, least);
}

static mps_status best_large(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk)
{
    search s = {.size = UINT64_MAX};
    uint64_t map = mps_load64(&fit->large_map);
    if (size > MPS_FIT_SMALL) {
        uint32_t i = large_index(size);
        mps_status st = look_along(seg, &s, mps_load64(&fit->large[i]), size);
        if (st != MPS_OK) {
            return st;
        }
        map &= ~(uint64_t)0 << i << 1;
    }
    if (s.best == 0) {
        if (map == 0) {
            return MPS_E_NOTFOUND;
        }
        mps_status st = look_leftmost(seg, &s, mps_load64(&fit->large[__builtin_ctzll(map)]), size);
        if (st != MPS_OK || s.best == 0) {
            return MPS_E_CORRUPT;
        }
    }
    *chunk = s.list != 0 ? s.list : s.best;
    return MPS_OK;
}

/* The first list from i on that is not empty; MPS_FIT_LISTS when all are. */
static uint32_t next_list(const mps_fit *fit, uint32_t i)
{
    uint32_t word = i / 64;
    uint64_t map = mps_load64(&fit->small_map[word]) & ~(uint64_t)0 << i % 64;
    if (map == 0) {
        uint64_t top = mps_load64(&fit->small_top) & ~(uint64_t)1 << word & (((uint64_t)1 << MPS_FIT_LISTS / 64) - 1);
        if (top == 0) {
            return MPS_FIT_LISTS;
        }
        word = (uint32_t)__builtin_ctzll(top);
        map = mps_load64(&fit->small_map[word]);
    }
    return map != 0 ? word * 64 + (uint32_t)__builtin_ctzll(map) : MPS_FIT_LISTS;
}

mps_status mps_bins_best(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk)
{
    if (size <= MPS_FIT_SMALL) {
        uint32_t i = next_list(fit, mps_bins_list(size));
        if (i < MPS_FIT_LISTS) {
            *chunk = mps_load64(&fit->small[i]);
            return MPS_OK;
        }
    }
    return size < MPS_FIT_LIMIT ? best_large(seg, fit, size, chunk) : MPS_E_NOTFOUND;
}

uint64_t mps_bins_largest(mps_seg *seg, const mps_fit *fit)
{
    uint64_t map = mps_load64(&fit->large_map);
    if (map == 0) {
        uint64_t top = mps_load64(&fit->small_top) & (((uint64_t)1 << MPS_FIT_LISTS / 64) - 1);
        map = top != 0 ? mps_load64(&fit->small_map[mps_log2(top)]) : 0;
        return map != 0 ? MPS_CHUNK_MIN + (mps_log2(top) * 64 + mps_log2(map)) * MPS_CHUNK_ALIGN : 0;
    }
    uint64_t largest = 0;
    mps_off at = mps_load64(&fit->large[mps_log2(map)]);
    for (uint32_t step = 0; at != 0 && step < STEPS; step++) {
        uint64_t size;
        const mps_chunk *c = large_at(seg, at, &size);
        if (c == NULL) {
            return largest;
        }
        largest = mps_max64(largest, size);
        mps_off right = mps_load64(&c->child[1]);
        at = right != 0 ? right : mps_load64(&c->child[0]);
    }
    return largest;
}

/* ---- checking ---- */

typedef struct walk {
    mps_seg *seg;
    uint64_t left; /* chunks that may still be found */
    void (*visit)(void *ctx, mps_off chunk, uint64_t size);
    void *ctx;
    const char **why;
} walk;

static mps_status bad(const walk *w, const char *why)
{
    *w->why = why;
    return MPS_E_CORRUPT;
}

/* The chunks of a list from `at` on, behind prev, all of that size. */
static mps_status walk_list(walk *w, mps_off at, mps_off prev, uint64_t size)
{
    while (at != 0) {
        mps_chunk *c = small_at(w->seg, at);
        if (c == NULL) {
            return bad(w, "a list of free chunks leads out of the arena");
        }
        uint64_t head = mps_load64(&c->head);
        if ((head & MPS_CINUSE) != 0 || mps_chunk_size(head) != size) {
            return bad(w, "a list of free chunks holds one of another size, or one in use");
        }
        if (mps_load64(&c->prev) != prev) {
            return bad(w, "a list of free chunks is linked wrongly");
        }
        if (w->left-- == 0) {
            return bad(w, "the lists hold more chunks than are free");
        }
        w->visit(w->ctx, at, size);
        prev = at;
        at = mps_load64(&c->next);
    }
    return MPS_OK;
}

typedef struct branch {
    mps_off at;
    mps_off parent;
    uint64_t bits; /* of the path that leads here, the highest `depth` of them */
    uint32_t depth;
} branch;

/* A chunk that stands in trie i, and its list. */
static mps_status walk_node(walk *w, uint32_t i, const branch *b, mps_chunk **node)
{
    uint64_t size;
    mps_chunk *c = large_at(w->seg, b->at, &size);
    if (c == NULL) {
        return bad(w, "a trie of free chunks leads out of the arena, or to one in use");
    }
    uint64_t differs = b->depth > 0 ? (path_of(size) ^ b->bits) >> (64 - b->depth) : 0;
    if (large_index(size) != i || differs != 0) {
        return bad(w, "a free chunk stands in the wrong place of a trie");
    }
    if (mps_load64(&c->prev) != 0 || mps_load64(&c->parent) != b->parent) {
        return bad(w, "a trie of free chunks is linked wrongly");
    }
    if (w->left-- == 0) {
        return bad(w, "the tries hold more chunks than are free");
    }
    w->visit(w->ctx, b->at, size);
    *node = c;
    return walk_list(w, mps_load64(&c->next), b->at, size);
}

/* Left branches first; of each level at most one right branch waits. */
static mps_status walk_trie(walk *w, uint32_t i, mps_off root)
{
    branch stack[STEPS + 2];
    uint32_t n = 0;
    if (root != 0) {
        stack[n++] = (branch){.at = root};
    }
    while (n > 0) {
        branch b = stack[--n];
        mps_chunk *c = NULL;
        mps_status st = walk_node(w, i, &b, &c);
        if (st != MPS_OK) {
            return st;
        }
        if (b.depth + 1 == STEPS) {
            return bad(w, "a trie of free chunks is too deep");
        }
        for (uint64_t side = 2; side-- > 0;) {
            mps_off child = mps_load64(&c->child[side]);
            if (child != 0) {
                stack[n++] = (branch){child, b.at, b.bits | side << (63 - b.depth), b.depth + 1};
            }
        }
    }
    return MPS_OK;
}

mps_status mps_bins_walk(mps_seg *seg, const mps_fit *fit, uint64_t n,
                         void (*visit)(void *ctx, mps_off chunk, uint64_t size), void *ctx, const char **why)
{
    walk w = {.seg = seg, .left = n, .visit = visit, .ctx = ctx, .why = why};
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < MPS_FIT_LISTS && st == MPS_OK; i++) {
        mps_off first = mps_load64(&fit->small[i]);
        uint64_t map = mps_load64(&fit->small_map[i / 64]);
        if ((first != 0) != (map >> i % 64 & 1) || (map != 0) != (mps_load64(&fit->small_top) >> i / 64 & 1)) {
            return bad(&w, "the map of lists is wrong");
        }
        st = walk_list(&w, first, 0, MPS_CHUNK_MIN + (uint64_t)i * MPS_CHUNK_ALIGN);
    }
    for (uint32_t i = 0; i < MPS_FIT_TRIES && st == MPS_OK; i++) {
        mps_off root = mps_load64(&fit->large[i]);
        if ((root != 0) != (mps_load64(&fit->large_map) >> i & 1)) {
            return bad(&w, "the map of tries is wrong");
        }
        st = walk_trie(&w, i, root);
    }
    return st;
}
