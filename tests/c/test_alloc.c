/* test_alloc.c -- blocks: a random model, the ends of the segment, memory given back, long journals. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fit.h"
#include "os.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define MOST 4000u /* blocks of a model */

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS 4000u
#else
#define ROUNDS 40000u
#endif

/* ---- what there should be ---- */

typedef struct item {
    mps_off off;
    uint64_t size; /* bytes that were filled */
    uint64_t pattern;
} item;

typedef struct model {
    mps_seg *seg;
    check_rng rng;
    item items[MOST];
    uint32_t n;
    uint64_t patterns; /* given out so far */
    uint64_t largest;  /* bytes of a block, at most */
} model;

static uint8_t *bytes_at(const model *m, mps_off off)
{
    return mps_region_at(&m->seg->region, off);
}

static void fill(const model *m, const item *it, uint64_t from)
{
    uint8_t *p = bytes_at(m, it->off);
    for (uint64_t i = from; i < it->size; i += i < 64 || i + 64 > it->size ? 1 : 61) {
        p[i] = (uint8_t)(it->pattern * 167 + i);
    }
}

static void verify(const model *m, const item *it)
{
    const uint8_t *p = bytes_at(m, it->off);
    CHECK(mps_alloc_usable(m->seg, it->off) >= it->size);
    for (uint64_t i = 0; i < it->size; i += i < 64 || i + 64 > it->size ? 1 : 61) {
        CHECK(p[i] == (uint8_t)(it->pattern * 167 + i));
    }
}

static mps_status count_block(void *ctx, mps_off off, uint64_t usable)
{
    (void)off;
    (void)usable;
    ++*(uint64_t *)ctx;
    return MPS_OK;
}

static mps_status count_cached(void *ctx, mps_off off)
{
    (void)off;
    ++*(uint64_t *)ctx;
    return MPS_OK;
}

static uint64_t cached_blocks(mps_seg *seg)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < MPS_LANES; i++) {
        CHECK_OK(mps_alloc_walk_cache(seg, &seg->body->lanes[i], count_cached, &n));
    }
    return n;
}

/* Heads, bins and counts agree; blocks in use beside the caches: so many. */
static void check_walk(mps_seg *seg, uint64_t expected)
{
    char why[200] = "";
    uint64_t n = 0;
    mps_status st = mps_alloc_walk(seg, count_block, &n, why, sizeof(why));
    if (st != MPS_OK) {
        fprintf(stderr, "%s\n", why);
    }
    CHECK_OK(st);
    CHECK(n == expected + cached_blocks(seg));
    mps_alloc_stats stats;
    CHECK_OK(mps_alloc_stats_get(seg, &stats));
    CHECK(stats.blocks == expected && stats.largest_free <= stats.free);
    const mps_fit *fit = mps_fit_of(seg);
    CHECK(stats.used + stats.free + stats.cached + stats.holes == fit->end - MPS_CHUNK_HEAD - mps_fit_first(seg));
}

/* What lies in holes must not matter: here it is destroyed. */
static void scribble_over_holes(mps_seg *seg)
{
    mps_off fence = mps_fit_of(seg)->end - MPS_CHUNK_HEAD;
    for (mps_off at = mps_fit_first(seg); at < fence;) {
        const mps_chunk *c = mps_region_at(&seg->region, at);
        if ((c->head & MPS_PUNCHED) != 0) {
            memset(mps_region_at(&seg->region, c->hole), 0xee, c->hole_end - c->hole);
        }
        at += mps_chunk_size(c->head);
    }
}

static void flush_all(mps_seg *seg)
{
    for (uint32_t i = 0; i < MPS_LANES; i++) {
        mps_tx tx;
        CHECK_OK(mps_tx_begin(seg, &tx, MPS_DOOR_FREE));
        CHECK_OK(mps_alloc_flush(&tx, 0));
        mps_tx_end(&tx);
    }
}

/* Nothing is in use, and all that is free is one piece. */
static void check_empty(mps_seg *seg)
{
    flush_all(seg);
    check_walk(seg, 0);
    const mps_fit *fit = mps_fit_of(seg);
    CHECK(fit->used == 0 && fit->blocks == 0);
    const mps_chunk *c = mps_region_at(&seg->region, mps_fit_first(seg));
    CHECK(mps_chunk_size(c->head) == fit->end - MPS_CHUNK_HEAD - mps_fit_first(seg));
    CHECK_SOUND(seg);
}

/* ---- a random life ---- */

static uint64_t random_size(model *m)
{
    switch (check_below(&m->rng, 8)) {
    case 0: return check_below(&m->rng, m->largest) + 1;
    case 1: return check_below(&m->rng, mps_min64(m->largest, 16 * KIB)) + 1;
    case 2: return check_below(&m->rng, 1100) + 480; /* around the last class and the last list */
    default: return check_below(&m->rng, 160);
    }
}

static void do_alloc(model *m, mps_tx *tx)
{
    if (m->n == MOST) {
        return;
    }
    item it = {.size = random_size(m), .pattern = ++m->patterns};
    uint64_t align = check_below(&m->rng, 8) == 0 ? (uint64_t)16 << check_below(&m->rng, 9) : 0;
    mps_status st = align != 0 ? mps_alloc_aligned(tx, it.size, align, &it.off) : mps_alloc(tx, it.size, &it.off);
    if (st == MPS_E_FULL) {
        return;
    }
    CHECK_OK(st);
    CHECK((it.off & (mps_max64(align, 16) - 1)) == 0);
    CHECK(mps_alloc_usable(m->seg, it.off) >= it.size);
    fill(m, &it, 0);
    m->items[m->n++] = it;
}

/* *mine: which blocks this operation may still touch (what it has freed is gone only with the commit). */
static void do_free(model *m, mps_tx *tx)
{
    if (m->n == 0) {
        return;
    }
    uint32_t i = (uint32_t)check_below(&m->rng, m->n);
    verify(m, &m->items[i]);
    CHECK_OK(mps_free(tx, m->items[i].off));
    m->items[i] = m->items[--m->n];
}

static void do_extend(model *m, mps_tx *tx)
{
    if (m->n == 0) {
        return;
    }
    item *it = &m->items[check_below(&m->rng, m->n)];
    verify(m, it);
    uint64_t least = it->size + check_below(&m->rng, 300);
    uint64_t wanted = least + check_below(&m->rng, 2000);
    mps_status st = mps_alloc_extend(tx, it->off, least, wanted);
    if (st == MPS_E_NOTFOUND || st == MPS_E_FULL) {
        return;
    }
    CHECK_OK(st);
    CHECK(mps_alloc_usable(m->seg, it->off) >= least);
    uint64_t before = it->size;
    it->size = mps_min64(mps_alloc_usable(m->seg, it->off), wanted);
    fill(m, it, before < 128 ? 0 : before - 128);
    item whole = *it;
    fill(m, &whole, 0);
}

/* One operation of a few steps, committed or taken back. An aborted extension leaves the content up to the old size
 * alone. */
static void one_round(model *m)
{
    static item saved[MOST];
    uint32_t saved_n = m->n;
    memcpy(saved, m->items, m->n * sizeof(item));
    mps_tx tx;
    check_begin(m->seg, &tx);
    bool frees_more = m->n > MOST / 2 ? check_below(&m->rng, 3) != 0 : check_below(&m->rng, 3) == 0;
    for (uint64_t steps = check_below(&m->rng, 12) + 1; steps > 0; steps--) {
        switch (check_below(&m->rng, 10)) {
        case 0: do_extend(m, &tx); break;
        case 1:
        case 2:
        case 3: do_alloc(m, &tx); break;
        case 4:
        case 5:
        case 6: do_free(m, &tx); break;
        default: frees_more ? do_free(m, &tx) : do_alloc(m, &tx);
        }
    }
    if (check_below(&m->rng, 4) != 0) {
        check_commit(&tx);
        return;
    }
    check_abort(&tx);
    memcpy(m->items, saved, saved_n * sizeof(item));
    m->n = saved_n;
    for (uint32_t i = 0; i < m->n; i++) {
        fill(m, &m->items[i], 0); /* an extension may have filled with another stride */
    }
}

static void free_everything(model *m)
{
    while (m->n > 0) {
        mps_tx tx;
        check_begin(m->seg, &tx);
        for (int i = 0; i < 100; i++) {
            do_free(m, &tx);
        }
        check_commit(&tx);
    }
}

/* Every free chunk is full of zeros, but for its links, its last word, and its hole. */
static void check_zeros(mps_seg *seg)
{
    mps_off fence = mps_fit_of(seg)->end - MPS_CHUNK_HEAD;
    uint64_t size = 0;
    for (mps_off at = mps_fit_first(seg); at < fence; at += size) {
        const mps_chunk *c = mps_region_at(&seg->region, at);
        mps_off hole, hole_end;
        size = mps_chunk_size(c->head);
        if ((c->head & MPS_CINUSE) != 0) {
            continue;
        }
        CHECK(mps_chunk_hole(c, at, size, &hole, &hole_end));
        for (mps_off p = at + sizeof(*c); p + 16 <= at + size; p += 8) {
            p = p == hole && hole < hole_end ? hole_end : p; /* (which may be where the last word is) */
            CHECK(p + 16 > at + size || *(uint64_t *)mps_region_at(&seg->region, p) == 0);
        }
    }
}

/* What a program may ask for at any time: memory given back, free memory filled with zeros, more memory. */
static void tend(model *m)
{
    const mps_fit *fit = mps_fit_of(m->seg);
    uint64_t end = fit->end;
    mps_status st;
    switch (check_below(&m->rng, 3)) {
    case 0:
        CHECK_OK(mps_seg_shrink(m->seg));
        CHECK(fit->end <= end);
        break;
    case 1:
        CHECK_OK(mps_seg_zero_free(m->seg));
        check_zeros(m->seg);
        break;
    default:
        st = mps_seg_grow(m->seg, check_below(&m->rng, 40 * KIB));
        CHECK(st == MPS_OK ? fit->end > end : st == MPS_E_FULL && fit->end == end);
    }
    check_walk(m->seg, m->n);
}

static void live(model *m, uint32_t rounds, bool scribble)
{
    for (uint32_t i = 0; i < rounds; i++) {
        one_round(m);
        if (i % 64 == 0) {
            check_walk(m->seg, m->n);
        }
        if (scribble && i % 64 == 32) {
            scribble_over_holes(m->seg);
        }
        if (i % 32 == 16) {
            tend(m);
        }
        if (i % 1024 == 1023) {
            free_everything(m);
            tend(m);
        }
    }
    for (uint32_t i = 0; i < m->n; i++) {
        verify(m, &m->items[i]);
    }
    free_everything(m);
    check_empty(m->seg);
}

static void test_random(check_rng rng, uint64_t nbytes, uint64_t largest, uint32_t rounds)
{
    void *buffer = check_buffer(nbytes);
    model *m = calloc(1, sizeof(*m));
    CHECK(m != NULL);
    *m = (model){.seg = check_adopt(buffer, nbytes, true), .rng = rng, .largest = largest};
    live(m, rounds, true);
    mps_seg_release(m->seg);
    free(m);
    free(buffer);
}

/* ---- the ends ---- */

/* Aborting the very first allocations of every class takes whole runs back. */
static void test_aborted_runs(void)
{
    void *buffer = check_buffer(MIB);
    mps_seg *seg = check_adopt(buffer, MIB, true);
    for (uint64_t nbytes = 0; nbytes < 700; nbytes += 5) {
        mps_tx tx;
        mps_off a, b, c;
        check_begin(seg, &tx);
        CHECK_OK(mps_alloc(&tx, nbytes, &a));
        CHECK_OK(mps_alloc(&tx, nbytes, &b));
        CHECK_OK(mps_alloc_extend(&tx, a, mps_alloc_usable(seg, a), 0));
        CHECK_OK(mps_alloc(&tx, nbytes + 64, &c));
        CHECK_OK(mps_free(&tx, a));
        CHECK(a != b && b != c);
        check_abort(&tx);
        CHECK(mps_fit_of(seg)->used == 0 && mps_fit_of(seg)->blocks == 0);
        check_walk(seg, 0);
    }
    check_empty(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* A block is cut when the operation commits, not before, and what is left of it stays; what is too little to give back stays too. */
static void test_shrinking(void)
{
    void *buffer = check_buffer(MIB);
    mps_seg *seg = check_adopt(buffer, MIB, true);
    mps_tx tx;
    mps_off block, other;
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, 10000, &block));
    CHECK_OK(mps_alloc(&tx, 1000, &other));
    check_commit(&tx);
    uint8_t *bytes = mps_region_at(&seg->region, block);
    memset(bytes, 0x5a, 10000);
    uint64_t whole = mps_alloc_usable(seg, block);
    for (int commit = 0; commit < 2; commit++) {
        check_begin(seg, &tx);
        CHECK_OK(mps_alloc_shrink(&tx, block, 3000));
        CHECK(mps_alloc_usable(seg, block) == whole);
        mps_off inside;
        CHECK_OK(mps_alloc(&tx, 5000, &inside));
        CHECK(inside < block || inside >= block + whole);
        CHECK_OK(mps_free(&tx, inside));
        if (commit != 0) {
            check_commit(&tx);
        } else {
            check_abort(&tx);
        }
    }
    uint64_t cut = mps_alloc_usable(seg, block);
    CHECK(cut >= 3000 && cut < 3000 + 16 && bytes[0] == 0x5a && bytes[2999] == 0x5a);
    check_walk(seg, 2);
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc_shrink(&tx, block, cut - 16));
    CHECK_STATUS(mps_alloc_shrink(&tx, block, cut + 1), MPS_E_CORRUPT);
    CHECK_STATUS(mps_alloc_shrink(&tx, block + 16, 16), MPS_E_CORRUPT);
    check_commit(&tx);
    CHECK(mps_alloc_usable(seg, block) == cut);
    check_begin(seg, &tx);
    CHECK_OK(mps_free(&tx, block));
    CHECK_OK(mps_free(&tx, other));
    check_commit(&tx);
    check_empty(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* Several blocks at once: all of them, or none and the segment as before. */
static void test_many(void)
{
    void *buffer = check_buffer(MIB);
    mps_seg *seg = check_adopt(buffer, MIB, true);
    mps_tx tx;
    uint64_t sizes[400];
    mps_off blocks[400];
    for (uint32_t i = 0; i < 400; i++) {
        sizes[i] = 1 + i * 7 % 1500;
    }
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc_many(&tx, sizes, 400, blocks));
    check_commit(&tx);
    for (uint32_t i = 0; i < 400; i++) {
        CHECK(mps_alloc_usable(seg, blocks[i]) >= sizes[i]);
    }
    check_walk(seg, 400);
    sizes[300] = MIB;
    mps_off more[400];
    check_begin(seg, &tx);
    CHECK_STATUS(mps_alloc_many(&tx, sizes, 400, more), MPS_E_FULL);
    check_abort(&tx);
    check_walk(seg, 400);
    for (uint32_t i = 0; i < 400; i++) {
        check_begin(seg, &tx);
        CHECK_OK(mps_free(&tx, blocks[i]));
        check_commit(&tx);
    }
    check_empty(seg);
    mps_seg_release(seg);
    free(buffer);
}

static void test_wrong_arguments(void)
{
    void *buffer = check_buffer(MIB);
    mps_seg *seg = check_adopt(buffer, MIB, true);
    mps_tx tx;
    mps_off block;
    check_begin(seg, &tx);
    CHECK_STATUS(mps_alloc(&tx, UINT64_MAX, &block), MPS_E_FULL);
    CHECK_STATUS(mps_alloc(&tx, MPS_FIT_LIMIT - 8, &block), MPS_E_FULL);
    CHECK_STATUS(mps_alloc(&tx, 2 * MIB, &block), MPS_E_FULL);
    CHECK_STATUS(mps_alloc_aligned(&tx, 8, 8, &block), MPS_E_INVAL);
    CHECK_STATUS(mps_alloc_aligned(&tx, 8, 48, &block), MPS_E_INVAL);
    CHECK_STATUS(mps_alloc_aligned(&tx, 8, 8192, &block), MPS_E_INVAL);
    CHECK_STATUS(mps_tx_room(&tx, UINT64_MAX), MPS_E_FULL);
    CHECK_STATUS(mps_tx_room(&tx, MIB), MPS_E_FULL);
    CHECK_STATUS(mps_free(&tx, 0), MPS_E_CORRUPT);
    CHECK_STATUS(mps_free(&tx, 64), MPS_E_CORRUPT);
    CHECK_STATUS(mps_free(&tx, seg->arena + 16), MPS_E_CORRUPT); /* free */
    CHECK_STATUS(mps_free(&tx, UINT64_MAX & ~(uint64_t)15), MPS_E_CORRUPT);
    CHECK(mps_alloc_usable(seg, 0) == 0 && mps_alloc_usable(seg, MIB) == 0 &&
          mps_alloc_usable(seg, seg->arena + 24) == 0);
    CHECK_OK(mps_alloc(&tx, 5000, &block));
    CHECK(mps_alloc_usable(seg, block) == 5000);
    CHECK_STATUS(mps_alloc_extend(&tx, block, UINT64_MAX, UINT64_MAX), MPS_E_NOTFOUND);
    CHECK_OK(mps_alloc_extend(&tx, block, 5001, 5001));
    CHECK(mps_alloc_usable(seg, block) == 5032);
    CHECK_OK(mps_alloc_extend(&tx, block, 6000, UINT64_MAX));
    CHECK(mps_alloc_usable(seg, block) == mps_fit_of(seg)->end - 8 - block);
    check_abort(&tx);
    CHECK_STATUS(mps_seg_grow(seg, 4096), MPS_E_FULL);
    check_empty(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* A full segment says so, stays whole, and every byte of it can be used again. */
static void test_full(uint64_t nbytes)
{
    void *buffer = check_buffer(MIB);
    mps_seg *seg = check_adopt(buffer, MIB, true);
    uint64_t counts[2] = {0, 0};
    static mps_off blocks[64 * 1024];
    for (int turn = 0; turn < 2; turn++) {
        uint32_t n = 0;
        mps_status st = MPS_OK;
        while (st == MPS_OK) {
            mps_tx tx;
            check_begin(seg, &tx);
            for (int i = 0; i < 8 && st == MPS_OK; i++) {
                st = mps_alloc(&tx, nbytes, &blocks[n]);
                n += st == MPS_OK;
            }
            check_commit(&tx);
        }
        CHECK_STATUS(st, MPS_E_FULL);
        counts[turn] = n;
        check_walk(seg, n);
        uint64_t capacity = mps_fit_of(seg)->end - seg->arena;
        CHECK(n * mps_round_up(nbytes + 8, 16) + mps_round_up(nbytes + 8, 16) + 64 >= capacity);
        while (n > 0) {
            mps_tx tx;
            check_begin(seg, &tx);
            for (int i = 0; i < 50 && n > 0; i++) {
                CHECK_OK(mps_free(&tx, blocks[--n]));
            }
            check_commit(&tx);
        }
        check_empty(seg);
    }
    CHECK(counts[0] == counts[1]);
    mps_seg_release(seg);
    free(buffer);
}

/* ---- memory of the system ---- */

static uint64_t memory_of(const mps_seg *seg)
{
    struct stat status;
    CHECK(fstat(seg->region.fd, &status) == 0);
    return (uint64_t)status.st_blocks * 512;
}

/* Bytes of the arena that ought to have memory. */
static uint64_t backed(const mps_seg *seg)
{
    return mps_fit_of(seg)->end - seg->arena - mps_fit_of(seg)->holes;
}

/* Growing costs what is used; what is freed goes back; and at each moment exactly what is outside of holes has
 * memory. */
static void test_memory_returns(check_rng rng)
{
    mps_seg *seg = check_create(256 * KIB, 128 * MIB);
    uint64_t around = memory_of(seg) - backed(seg);
    uint32_t n = 0;
    static mps_off blocks[4096];
    for (uint32_t turn = 0; turn < 3; turn++) {
        for (;;) {
            mps_tx tx;
            check_begin(seg, &tx);
            uint64_t nbytes = check_below(&rng, 4) == 0 ? check_below(&rng, 3 * MIB) : check_below(&rng, 200 * KIB);
            mps_status st = mps_alloc(&tx, nbytes, &blocks[n]);
            check_commit(&tx);
            if (st != MPS_OK) {
                CHECK_STATUS(st, MPS_E_FULL);
                break;
            }
            memset(mps_region_at(&seg->region, blocks[n++]), 0x77, nbytes);
            CHECK(memory_of(seg) == around + backed(seg));
        }
        CHECK(mps_fit_of(seg)->end - seg->arena == 128 * MIB && mps_fit_of(seg)->used > 112 * MIB);
        check_walk(seg, n);
        while (n > (turn < 2 ? 40 : 0)) {
            uint32_t i = (uint32_t)check_below(&rng, n);
            mps_tx tx;
            check_begin(seg, &tx);
            CHECK_OK(mps_free(&tx, blocks[i]));
            blocks[i] = blocks[--n];
            check_commit(&tx);
            CHECK(memory_of(seg) == around + backed(seg));
        }
        check_walk(seg, n);
        const mps_fit *fit = mps_fit_of(seg);
        CHECK(backed(seg) - fit->used < 16 * MIB + fit->used + 8 * MIB);
    }
    check_empty(seg);
    CHECK(memory_of(seg) < 20 * MIB);
    mps_seg_release(seg);
}

static void test_growing(void)
{
    mps_seg *seg = check_create(64 * KIB, 16 * MIB);
    uint64_t around = memory_of(seg) - backed(seg);
    uint64_t before = mps_fit_of(seg)->end;
    CHECK_OK(mps_seg_grow(seg, MIB));
    CHECK(mps_fit_of(seg)->end == before + MIB && mps_fit_of(seg)->holes == 0);
    CHECK(memory_of(seg) == around + backed(seg));
    CHECK_STATUS(mps_seg_grow(seg, 16 * MIB), MPS_E_FULL);
    CHECK_STATUS(mps_seg_grow(seg, UINT64_MAX), MPS_E_FULL);
    CHECK(mps_fit_of(seg)->end == before + MIB);
    mps_tx tx;
    mps_off block, rest;
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, 10 * MIB, &block));
    CHECK(memory_of(seg) == around + backed(seg));
    CHECK_STATUS(mps_alloc(&tx, 10 * MIB, &rest), MPS_E_FULL);
    check_abort(&tx);
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, 16 * MIB - 32, &block)); /* to the last byte */
    CHECK_STATUS(mps_alloc(&tx, 0, &rest), MPS_E_FULL);
    CHECK_OK(mps_free(&tx, block));
    check_commit(&tx);
    check_empty(seg);
    mps_seg_release(seg);
}

/* The segment can't have the memory it asks for: it says so, and is as before. Its descriptor is lost for a while,
 * which is answered like a refusal by the system. */
static void test_refused_memory(void)
{
    mps_seg *seg = check_create(64 * KIB, 128 * MIB);
    mps_tx tx;
    mps_off large, small, block;
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, 1000, &small));
    CHECK_OK(mps_alloc(&tx, 30 * MIB, &large));
    CHECK_OK(mps_alloc(&tx, 1000, &block));
    check_commit(&tx);
    check_begin(seg, &tx);
    CHECK_OK(mps_free(&tx, large));
    check_commit(&tx);
    CHECK(mps_fit_of(seg)->holes > 29 * MIB);

    int fd = seg->region.fd, saved = -1;
    CHECK_OK(mps_os_dup(fd, &saved));
    close(fd);
    mps_fit before = *mps_fit_of(seg);
    check_begin(seg, &tx);
    CHECK_STATUS(mps_alloc(&tx, 20 * MIB, &block), MPS_E_FULL);
    CHECK_STATUS(mps_alloc(&tx, 90 * MIB, &block), MPS_E_FULL);
    CHECK_STATUS(mps_alloc_aligned(&tx, MIB, 4096, &block), MPS_E_FULL);
    CHECK_STATUS(mps_alloc_extend(&tx, small, MIB, MIB), MPS_E_FULL);
    check_commit(&tx);
    before.guard = mps_fit_of(seg)->guard;
    CHECK(memcmp(&before, mps_fit_of(seg), sizeof(before)) == 0);
    check_walk(seg, 2);
    CHECK(dup2(saved, fd) == fd);
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, 20 * MIB, &block));
    check_abort(&tx);
    check_walk(seg, 2);
    close(saved);
    mps_seg_release(seg);
}

/* Where the system gives no more than is needed, that is enough. */
static void test_growing_by_little(void)
{
    mps_seg *seg = check_create(2 * MIB, 128 * MIB);
    struct rlimit usual, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &usual) == 0);
    small = usual;
    small.rlim_cur = mps_fit_of(seg)->end + 300 * KIB;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    mps_tx tx;
    mps_off block;
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, 2 * MIB - 100, &block));
    CHECK_OK(mps_alloc(&tx, 200 * KIB, &block));
    CHECK_STATUS(mps_alloc(&tx, 200 * KIB, &block), MPS_E_FULL);
    check_abort(&tx);
    CHECK(setrlimit(RLIMIT_FSIZE, &usual) == 0);
    signal(SIGXFSZ, handler);
    check_empty(seg);
    mps_seg_release(seg);
}

/* ---- long operations ---- */

/* Thousands of words change in one operation, whose journal moves to ever larger blocks: all of them, or none. */
static void test_spill(check_rng rng)
{
    void *buffer = check_buffer(4 * MIB);
    mps_seg *seg = check_adopt(buffer, 4 * MIB, true);
    enum { WORDS = 20000 };
    mps_tx tx;
    mps_off block, other;
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, WORDS * 8, &block));
    uint64_t *words = mps_region_at(&seg->region, block);
    for (uint64_t i = 0; i < WORDS; i++) {
        words[i] = i;
    }
    check_commit(&tx);
    for (int turn = 0; turn < 6; turn++) {
        bool commit = turn % 2 == 1;
        check_begin(seg, &tx);
        uint64_t room = 0;
        for (uint64_t i = 0; i < WORDS; i++) {
            if (room == 0) {
                room = check_below(&rng, 1500) + 1;
                CHECK_OK(mps_tx_room(&tx, room + 4));
                CHECK_OK(mps_alloc(&tx, 64, &other));
                CHECK_OK(mps_free(&tx, other));
            }
            mps_tx_set(&tx, &words[i], i + (uint64_t)turn * 1000000);
            room--;
        }
        CHECK(seg->region.fd == -1 && tx.lane->spill != 0);
        if (commit) {
            check_commit(&tx);
        } else {
            check_abort(&tx);
        }
        CHECK(tx.lane->spill == 0 && tx.lane->spill_entries == 0);
        uint64_t stands = (uint64_t)(commit ? turn : turn - turn % 2 - 1) * 1000000;
        for (uint64_t i = 0; i < WORDS; i++) {
            CHECK(words[i] == i + (turn == 0 ? 0 : stands));
        }
        check_walk(seg, 1);
    }
    check_begin(seg, &tx);
    CHECK_OK(mps_free(&tx, block));
    check_commit(&tx);
    check_empty(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* A cache keeps a bounded number of blocks. */
static void test_trimming(void)
{
    void *buffer = check_buffer(4 * MIB);
    mps_seg *seg = check_adopt(buffer, 4 * MIB, true);
    static mps_off blocks[20000];
    uint32_t n = 0;
    while (n < 20000) {
        mps_tx tx;
        check_begin(seg, &tx);
        for (int i = 0; i < 50; i++) {
            CHECK_OK(mps_alloc(&tx, 24, &blocks[n++]));
        }
        check_commit(&tx);
    }
    while (n > 0) {
        mps_tx tx;
        check_begin(seg, &tx);
        for (int i = 0; i < 50; i++) {
            CHECK_OK(mps_free(&tx, blocks[--n]));
        }
        check_commit(&tx);
        CHECK(cached_blocks(seg) <= 600);
    }
    mps_alloc_stats stats;
    CHECK_OK(mps_alloc_stats_get(seg, &stats));
    CHECK(stats.used == 0 && stats.blocks == 0 && stats.cached > 0);
    check_empty(seg);
    mps_seg_release(seg);
    free(buffer);
}

int main(void)
{
    check_rng rng = check_seed(20261120);
    test_wrong_arguments();
    test_shrinking();
    test_many();
    test_aborted_runs();
    test_full(24);
    test_full(100);
    test_full(760); /* (all of a class) */
    test_full(5000);
    test_growing();
    test_refused_memory();
    test_growing_by_little();
    test_trimming();
    test_spill(rng);
    test_memory_returns(rng);
    test_random(rng, 512 * KIB, 40 * KIB, ROUNDS); /* always full */
    test_random(rng, 4 * MIB, 200 * KIB, ROUNDS);
    test_random(rng, 80 * MIB, 4 * MIB, ROUNDS / 4); /* with holes */
    return 0;
}
