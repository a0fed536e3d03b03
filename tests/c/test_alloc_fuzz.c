/* test_alloc_fuzz.c -- whatever bytes the allocator finds in its state, it answers: with a status or a block inside
 * of the segment.
 *
 * Each round damages a few words of a well furnished segment: bins, maps, counters, heads, links, sizes, holes,
 * caches, journals. Then everything the allocator offers is tried. The sanitizers see accesses outside of the buffer;
 * a time limit sees loops.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <unistd.h>

#include "alloc_bins.h"

#define KIB ((uint64_t)1 << 10)
#define BUFFER (640 * KIB)
#define BLOCKS 120u
#define ROUND_S 20u /* nothing takes that long */

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS 15000u
#else
#define ROUNDS 60000u
#endif

static struct {
    uint8_t *pristine, *buffer;
    mps_off blocks[BLOCKS];
    mps_off interesting[2000]; /* words whose damage hurts */
    uint32_t n;
    check_rng rng;
} t;

static uint64_t below(uint64_t n)
{
    return check_below(&t.rng, n);
}

/* ---- before ---- */

static uint64_t some_size(void)
{
    switch (below(6)) {
    case 0: return below(60 * KIB);
    case 1: return below(9 * KIB);
    default: return below(900);
    }
}

static void furnish(mps_seg *seg)
{
    for (uint32_t i = 0; i < 3 * BLOCKS; i++) {
        mps_tx tx;
        uint32_t k = (uint32_t)below(BLOCKS);
        check_begin(seg, &tx);
        if (t.blocks[k] != 0) {
            CHECK_OK(mps_free(&tx, t.blocks[k]));
            t.blocks[k] = 0;
        } else if (mps_alloc(&tx, some_size(), &t.blocks[k]) != MPS_OK) {
            t.blocks[k] = 0;
        }
        check_commit(&tx);
    }
}

static void note(const mps_seg *seg, const void *word)
{
    if (t.n < sizeof(t.interesting) / sizeof(t.interesting[0])) {
        t.interesting[t.n++] = mps_region_off(&seg->region, word);
    }
}

/* Every word that the allocator may look at. The guard's words are not among them: they name processes. */
static void find_words(mps_seg *seg)
{
    const mps_fit *fit = mps_fit_of(seg);
    const uint64_t *words = &fit->end;
    for (uint32_t i = 0; i < 6 + MPS_FIT_LISTS / 64; i++) {
        note(seg, words + i);
    }
    for (uint32_t i = 0; i < MPS_FIT_TRIES; i++) {
        if (fit->large[i] != 0 || below(20) == 0) {
            note(seg, &fit->large[i]);
        }
    }
    for (uint32_t i = 0; i < MPS_FIT_LISTS; i++) {
        if (fit->small[i] != 0 || below(100) == 0) {
            note(seg, &fit->small[i]);
        }
    }
    for (mps_off at = mps_fit_first(seg); at < fit->end - MPS_CHUNK_HEAD;) {
        const mps_chunk *c = mps_region_at(&seg->region, at);
        uint64_t size = mps_chunk_size(c->head);
        for (uint32_t i = 0; i < (c->head & MPS_CINUSE ? 1 : size > MPS_FIT_SMALL ? 8 : 3); i++) {
            note(seg, &c->head + i);
        }
        note(seg, mps_region_at(&seg->region, at + size - 8));
        at += size;
    }
    note(seg, mps_region_at(&seg->region, fit->end - MPS_CHUNK_HEAD));
}

/* ---- damage ---- */

static uint64_t some_word(const mps_seg *seg, uint64_t now)
{
    switch (below(9)) {
    case 0: return 0;
    case 1: return UINT64_MAX - below(64);
    case 2: return now ^ (uint64_t)1 << below(64);
    case 3: return now + 16 * below(64);
    case 4: return now - 16 * below(64);
    case 5: return seg->arena + 8 + 16 * below((BUFFER - seg->arena) / 16 + 4);
    case 6: return t.interesting[below(t.n)];
    case 7: return *(const uint64_t *)mps_region_at(&seg->region, t.interesting[below(t.n)]);
    default: return check_random(&t.rng);
    }
}

static void damage(mps_seg *seg)
{
    for (uint64_t n = below(4) + 1; n > 0; n--) {
        uint64_t *word;
        if (below(4) == 0) {
            mps_lane *lane = &seg->body->lanes[below(2) * MPS_GIL_LANES];
            word = below(3) == 0 ? &lane->spill + below(2) : &lane->cache[below(MPS_CLASSES)];
        } else {
            word = mps_region_at(&seg->region, t.interesting[below(t.n)]);
        }
        *word = some_word(seg, *word);
    }
}

/* ---- use ---- */

static mps_status ignore_block(void *ctx, mps_off off, uint64_t usable)
{
    mps_seg *seg = ctx;
    CHECK(mps_region_holds(&seg->region, off, usable));
    return MPS_OK;
}

static mps_status ignore_cached(void *ctx, mps_off off)
{
    mps_seg *seg = ctx;
    CHECK(mps_region_holds(&seg->region, off, 8));
    return MPS_OK;
}

static void touch(mps_seg *seg, mps_off block, uint64_t nbytes)
{
    CHECK((block & 15) == 0 && block > seg->arena && mps_region_holds(&seg->region, block, nbytes));
    memset(mps_region_at(&seg->region, block), (int)below(256), mps_min64(nbytes, 64));
}

static mps_status fill_journal(mps_tx *tx, uint64_t n)
{
    mps_status st = mps_tx_room(tx, n + 20);
    for (; st == MPS_OK && n > 0; n--) {
        mps_tx_log(tx, mps_region_at(&tx->seg->region, tx->seg->arena));
    }
    return st == MPS_E_FULL ? MPS_OK : st;
}

static mps_status use_once(mps_tx *tx)
{
    mps_seg *seg = tx->seg;
    uint64_t nbytes = some_size();
    mps_off known = t.blocks[below(BLOCKS)], block;
    mps_status st;
    switch (below(8)) {
    case 0:
    case 1: st = mps_free(tx, below(10) == 0 ? some_word(seg, known) : known); return st;
    case 2:
        st = mps_alloc_extend(tx, known, nbytes, nbytes * 2);
        return st == MPS_E_NOTFOUND || st == MPS_E_FULL ? MPS_OK : st;
    case 3: st = mps_alloc_aligned(tx, nbytes, (uint64_t)16 << below(9), &block); break;
    case 4: return fill_journal(tx, 100 + below(400));
    case 5:
        nbytes = mps_alloc_usable(seg, known);
        CHECK(nbytes == 0 || mps_region_holds(&seg->region, known, nbytes));
        return MPS_OK;
    default: st = mps_alloc(tx, nbytes, &block);
    }
    if (st == MPS_OK) {
        touch(seg, block, nbytes);
    }
    return st == MPS_E_FULL ? MPS_OK : st;
}

/* One operation; false: the segment is known to be broken, or shut. */
static bool use(mps_seg *seg)
{
    mps_tx tx;
    if (mps_tx_begin(seg, &tx, MPS_DOOR_FREE) != MPS_OK) {
        return false;
    }
    if (below(10) == 0) {
        if (mps_alloc_flush(&tx, (uint32_t)below(10)) != MPS_OK && tx.ctl != 0) {
            (void)mps_tx_abort(&tx);
        }
        mps_tx_end(&tx);
        return true;
    }
    mps_status st = mps_refs_enter(&tx);
    for (uint64_t n = below(10) + 1; n > 0 && st == MPS_OK; n--) {
        st = use_once(&tx);
    }
    if (st == MPS_OK && below(3) != 0) {
        (void)mps_tx_commit(&tx);
    } else {
        (void)mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return true;
}

static bool one_round(void)
{
    memcpy(t.buffer, t.pristine, BUFFER);
    mps_seg *seg = check_adopt(t.buffer, BUFFER, false);
    for (uint64_t n = below(5); n > 0; n--) {
        use(seg); /* something in the caches */
    }
    damage(seg);
    alarm(ROUND_S);
    char why[200];
    mps_alloc_stats stats;
    bool seen = mps_alloc_walk(seg, ignore_block, seg, why, sizeof(why)) != MPS_OK;
    for (uint32_t i = 0; i < MPS_LANES; i++) {
        seen = mps_alloc_walk_cache(seg, &seg->body->lanes[i], ignore_cached, seg) != MPS_OK || seen;
    }
    CHECK_OK(mps_alloc_stats_get(seg, &stats));
    for (int i = 0; i < 40 && use(seg); i++) {
    }
    (void)mps_seg_grow(seg, 4096);
    (void)mps_alloc_stats_get(seg, &stats);
    (void)mps_seg_check(seg, why, sizeof(why));
    mps_seg_release(seg);
    alarm(0);
    return seen;
}

int main(void)
{
    t.rng = check_seed(77);
    t.pristine = check_buffer(BUFFER);
    t.buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(t.pristine, BUFFER, true);
    furnish(seg);
    find_words(seg);
    CHECK(t.n > 300 && t.n < 2000);
    mps_seg_release(seg);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        seen += one_round();
    }
    printf("the walks saw %u of %u\n", seen, ROUNDS);
    CHECK(seen > ROUNDS / 2);
    free(t.pristine);
    free(t.buffer);
    return 0;
}
