#include <stdio.h>

#include "alloc_order.h"

typedef struct walk {
    mps_seg *seg;
    mps_status (*block)(void *ctx, mps_off off, uint64_t usable);
    void *ctx;
    uint64_t used, blocks;  /* found in chunks in use */
    uint64_t n_free, holes; /* found in free chunks */
    uint64_t mark;          /* sum of a hash of all free chunks: the same set, the same sum */
    uint64_t n_bins, bins_mark;
    bool in_use; /* the chunk before */
    const char *why;
    mps_off where;
} walk;

static mps_status bad(walk *w, const char *why, mps_off where)
{
    w->why = why;
    w->where = where;
    return MPS_E_CORRUPT;
}

static uint64_t mark_of(const walk *w, mps_off chunk, uint64_t size)
{
    return mps_mix(chunk ^ w->seg->seed, size ^ 0x9e3779b97f4a7c15u);
}

static mps_status walk_free(walk *w, const mps_chunk *c, mps_off at, uint64_t size)
{
    mps_off hole, hole_end;
    if (!w->in_use) {
        return bad(w, "two free chunks are neighbours", at);
    }
    if (mps_load64(mps_region_at(&w->seg->region, at + size - 8)) != size) {
        return bad(w, "a free chunk's two sizes differ", at);
    }
    if (!mps_chunk_hole(c, at, size, &hole, &hole_end)) {
        return bad(w, "a free chunk's hole lies outside of it", at);
    }
    w->n_free++;
    w->holes += hole_end - hole;
    w->mark += mark_of(w, at, size);
    return MPS_OK;
}

/* One chunk of at most `most` bytes; *size of it. */
static mps_status walk_chunk(walk *w, mps_off at, uint64_t most, uint64_t *size)
{
    const mps_chunk *c = mps_region_at(&w->seg->region, at);
    uint64_t head = mps_load64(&c->head);
    *size = mps_chunk_size(head);
    if (*size < MPS_CHUNK_MIN || *size > most || (head & 8u) != 0) {
        return bad(w, "a chunk's head makes no sense", at);
    }
    if (((head & MPS_PINUSE) != 0) != w->in_use) {
        return bad(w, "a chunk is wrong about the one before it", at);
    }
    if ((head & MPS_CINUSE) == 0) {
        mps_status st = walk_free(w, c, at, *size);
        w->in_use = false;
        return st;
    }
    if ((head & MPS_PUNCHED) != 0) {
        return bad(w, "a chunk in use has a hole", at);
    }
    w->in_use = true;
    w->used += *size;
    w->blocks++;
    return w->block != NULL ? w->block(w->ctx, at + MPS_CHUNK_HEAD, *size - MPS_CHUNK_HEAD) : MPS_OK;
}

static mps_status walk_chunks(walk *w, const mps_fit *fit)
{
    mps_off first = mps_fit_first(w->seg);
    mps_off end = mps_load64(&fit->end);
    if ((end & 15) != 0 || end < first + MPS_CHUNK_HEAD || !mps_region_holds(&w->seg->region, 0, end)) {
        return bad(w, "the arena's end is out of range", end);
    }
    mps_off fence = end - MPS_CHUNK_HEAD;
    w->in_use = true;
    uint64_t size;
    for (mps_off at = first; at < fence; at += size) {
        mps_status st = walk_chunk(w, at, fence - at, &size);
        if (st != MPS_OK) {
            return st;
        }
    }
    uint64_t head = mps_load64(mps_region_at(&w->seg->region, fence));
    if (head != (MPS_CINUSE | (w->in_use ? MPS_PINUSE : 0))) {
        return bad(w, "the fence at the arena's end is broken", fence);
    }
    return MPS_OK;
}

static void in_bins(void *ctx, mps_off chunk, uint64_t size)
{
    walk *w = ctx;
    w->n_bins++;
    w->bins_mark += mark_of(w, chunk, size);
}

static mps_status compare(walk *w, const mps_fit *fit)
{
    const char *why = "";
    mps_status st = mps_order_walk(w->seg, fit, w->n_free, in_bins, w, &why);
    if (st != MPS_OK) {
        return bad(w, why, 0);
    }
    if (w->n_bins != w->n_free || w->bins_mark != w->mark) {
        return bad(w, "the bins hold other chunks than are free", 0);
    }
    if (w->used != mps_load64(&fit->used) || w->blocks != mps_load64(&fit->blocks)) {
        return bad(w, "the number or the bytes of chunks in use are wrong", 0);
    }
    if (w->holes != mps_load64(&fit->holes)) {
        return bad(w, "the bytes of holes are wrong", 0);
    }
    return MPS_OK;
}

mps_status mps_alloc_walk(mps_seg *seg, mps_status (*block)(void *ctx, mps_off off, uint64_t usable), void *ctx,
                          char *why, size_t why_size)
{
    walk w = {.seg = seg, .block = block, .ctx = ctx};
    const mps_fit *fit = mps_fit_of(seg);
    mps_status st = walk_chunks(&w, fit);
    if (st == MPS_OK) {
        st = compare(&w, fit);
    }
    if (st != MPS_OK && w.why != NULL && why_size > 0) {
        (void)snprintf(why, why_size, "%s (offset %llu)", w.why, (unsigned long long)w.where);
    }
    return st;
}

/* ---- caches ---- */

mps_status mps_alloc_walk_cache(mps_seg *seg, const mps_lane *lane, mps_status (*cached)(void *ctx, mps_off off),
                                void *ctx)
{
    uint64_t left = mps_load64(&seg->region.limit) / MPS_CHUNK_MIN; /* more blocks than that there can't be */
    for (uint32_t class = 0; class < MPS_CLASSES; class++) {
        mps_off at = mps_load64(&lane->cache[class]);
        while (at != 0) {
            uint64_t usable = mps_alloc_usable(seg, at);
            uint64_t size = usable + MPS_CHUNK_HEAD;
            if (usable == 0 || size >= MPS_MIDDLE_END || mps_class_of(size) != class || left-- == 0) {
                return MPS_E_CORRUPT;
            }
            mps_status st = cached(ctx, at);
            if (st != MPS_OK) {
                return st;
            }
            at = mps_load64(mps_region_at(&seg->region, at));
        }
    }
    return MPS_OK;
}

/* ---- numbers ---- */

typedef struct sums {
    mps_seg *seg;
    uint64_t bytes, blocks;
    uint64_t left;
} sums;

/* Ends a walk that goes on for too long: the owner may be changing the list meanwhile. */
static mps_status add_cached(void *ctx, mps_off off)
{
    sums *s = ctx;
    s->bytes += mps_alloc_usable(s->seg, off) + MPS_CHUNK_HEAD;
    s->blocks++;
    return s->left-- > 0 ? MPS_OK : MPS_E_RETRY;
}

mps_status mps_alloc_stats_get(mps_seg *seg, mps_alloc_stats *out)
{
    const mps_fit *fit = mps_fit_of(seg);
    uint64_t capacity = mps_load64(&fit->end) - MPS_CHUNK_HEAD - mps_fit_first(seg);
    uint64_t used = mps_load64(&fit->used);
    uint64_t most = mps_load64(&seg->region.limit) / MPS_CHUNK_MIN;
    sums s = {.seg = seg, .left = mps_min64(mps_load64(&fit->blocks), most)};
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        if ((mps_load64(&mps_slot_head_at(seg, slot)->word) & 0xff) != MPS_SLOT_USED) {
            continue;
        }
        const mps_slot_body *body = mps_slot_body_at(seg, slot);
        for (uint32_t lane = 0; lane < MPS_LANES && s.left > 0; lane++) {
            (void)mps_alloc_walk_cache(seg, &body->lanes[lane], add_cached, &s);
        }
    }
    uint64_t cached = mps_min64(s.bytes, used);
    uint64_t free = used < capacity ? capacity - used : 0;
    uint64_t holes = mps_min64(mps_load64(&fit->holes), free);
    *out = (mps_alloc_stats){.used = used - cached, .free = free - holes, .holes = holes, .cached = cached};
    out->largest_free = mps_min64(mps_order_largest(seg, fit), out->free);
    uint64_t blocks = mps_load64(&fit->blocks);
    out->blocks = blocks - mps_min64(s.blocks, blocks);
    return MPS_OK;
}
