/* test_pool.c -- pools: who shares one, when chunks go back, what is cached, what a killed process leaves; and hostile bytes. */
#include "bag.h"

#define KIB ((uint64_t)1 << 10)
#define BUFFER (2048 * KIB)

static mps_pool_spec spec(uint32_t type, uint32_t node_bytes, uint32_t nodes_per_chunk)
{
    return (mps_pool_spec){type, node_bytes, nodes_per_chunk, 2, 5, 64};
}

static mps_pool_stats stats_of(mps_seg *seg, mps_off pool)
{
    mps_pool_stats stats;
    CHECK_OK(mps_pool_stats_get(seg, MPS_DOOR_FREE, pool, &stats));
    return stats;
}

static mps_off get(mps_seg *seg, const mps_pool_spec *s)
{
    mps_off off;
    uint64_t serial;
    CHECK_OK(mps_pool_get(seg, MPS_DOOR_FREE, s, &off, &serial));
    return off;
}

static void let_go(mps_seg *seg, mps_off pool)
{
    mps_ref_drop(seg, MPS_DOOR_FREE, pool);
}

static uint64_t used(mps_seg *seg)
{
    mps_alloc_stats stats;
    CHECK_OK(mps_alloc_stats_get(seg, &stats));
    return stats.used;
}

static uint64_t objects(const mps_seg *seg)
{
    return mps_seg_root(seg)->objects;
}

/* ---- who shares ---- */

/* Who asks alike gets the same pool, another size or option another one, a private pool nobody else; a cached one is a front of the
 * shared pool. With its last user a pool is gone, with all its chunks. */
static void test_sharing(void)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    uint64_t before = used(seg);
    mps_pool_spec s = spec(0, 32, 64);
    mps_off a = get(seg, &s), b = get(seg, &s);
    CHECK(a == b);
    s.max_cached_nodes = 9; /* means nothing here */
    CHECK(get(seg, &s) == a);
    for (int i = 0; i < 2; i++) {
        let_go(seg, a);
    }
    s.node_bytes = 33;
    mps_off c = get(seg, &s);
    s = spec(MPS_POOL_ADAPTIVE, 32, 64);
    mps_off d = get(seg, &s);
    s = spec(0, 32, 32);
    mps_off e = get(seg, &s);
    CHECK(a != c && a != d && a != e && c != d && d != e);
    s = spec(MPS_POOL_PRIVATE, 32, 64);
    mps_off f = get(seg, &s), g = get(seg, &s);
    CHECK(f != g && f != a);
    s = spec(MPS_POOL_CACHED, 32, 64);
    mps_off h = get(seg, &s);
    CHECK(h != a && objects(seg) == 7);
    CHECK(mps_pool_at(seg, h)->shared == a);
    bag one = bag_new(seg, a, 32), two = bag_new(seg, h, 32);
    bag_fill(&one, 10);
    bag_fill(&two, 10);
    CHECK(stats_of(seg, a).chunks == 1 && stats_of(seg, h).chunks == 1);
    bag_check(&one, &two);
    bag_empty(&one);
    bag_empty(&two);
    bag_drop(&one);
    bag_drop(&two);
    CHECK_SOUND(seg);
    const mps_off all[] = {a, c, d, e, f, g};
    for (int i = 0; i < 6; i++) {
        let_go(seg, all[i]);
    }
    CHECK(objects(seg) == 2); /* the front still refers to a */
    let_go(seg, h);
    CHECK(objects(seg) == 0 && mps_seg_root(seg)->pools == 0);
    CHECK(used(seg) == before);
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* What can't be a pool is refused. */
static void test_bad_specs(void)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    const mps_pool_spec bad[] = {
        {0, 0, 64, 2, 5, 64},
        {0, MPS_POOL_NODE_MAX + 1, 64, 2, 5, 64},
        {0, 32, 0, 2, 5, 64},
        {0, 32, MPS_POOL_CHUNK_MAX + 1, 2, 5, 64},
        {MPS_POOL_ADAPTIVE, 32, 64, 2, 0, 64},
        {MPS_POOL_ADAPTIVE, 32, 64, 2, 21, 64},
        {MPS_POOL_CACHED, 32, 64, 2, 5, 0},
        {MPS_POOL_CACHED | MPS_POOL_PRIVATE, 32, 64, 2, 5, 64},
        {8, 32, 64, 2, 5, 64},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        mps_off off;
        uint64_t serial;
        CHECK_STATUS(mps_pool_get(seg, MPS_DOOR_FREE, &bad[i], &off, &serial), MPS_E_INVAL);
    }
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* ---- when chunks go back ---- */

/* A node pool keeps all it ever had, until it is asked; then exactly the chunks go of which no node is in use. */
static void test_node_pool_keeps(void)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    mps_pool_spec s = spec(0, 48, 16);
    mps_off pool = get(seg, &s);
    bag one = bag_new(seg, pool, 48);
    bag_fill(&one, 160);
    CHECK(stats_of(seg, pool).chunks == 10 && stats_of(seg, pool).free == 0);
    uint64_t most = used(seg), n;
    bag_thin(&one, 3); /* every chunk has some left */
    CHECK(stats_of(seg, pool).chunks == 10 && used(seg) == most);
    CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pool, &n));
    CHECK(n == 0 && used(seg) == most);
    bag_check(&one, NULL);
    bag_shrink(&one, 1);
    CHECK(stats_of(seg, pool).chunks == 10 && used(seg) == most);
    CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pool, &n));
    CHECK(n == 9 && stats_of(seg, pool).chunks == 1 && stats_of(seg, pool).free == 15 && used(seg) < most);
    bag_check(&one, NULL);
    bag_fill(&one, 40);
    CHECK(stats_of(seg, pool).chunks == 3);
    bag_check(&one, NULL);
    bag_empty(&one);
    CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pool, &n));
    CHECK(n == 3 && stats_of(seg, pool).chunks == 0 && stats_of(seg, pool).free == 0);
    bag_drop(&one);
    let_go(seg, pool);
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* An adaptive pool gives free chunks beyond max_free_chunks back by itself, and the rest when asked; its heads keep within their share. */
static void test_adaptive_pool_gives_back(void)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    mps_pool_spec s = spec(MPS_POOL_ADAPTIVE, 48, 64);
    mps_off pool = get(seg, &s);
    bag one = bag_new(seg, pool, 48);
    bag_fill(&one, 640);
    CHECK(stats_of(seg, pool).chunks == 10 && stats_of(seg, pool).free == 0);
    uint64_t most = used(seg), n;
    bag_thin(&one, 2);
    CHECK(stats_of(seg, pool).chunks == 10 && stats_of(seg, pool).free_chunks == 0);
    bag_check(&one, NULL);
    bag_empty(&one);
    mps_pool_stats stats = stats_of(seg, pool);
    CHECK(stats.chunks == 2 && stats.free_chunks == 2 && stats.free == 128 && used(seg) < most);
    CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pool, &n));
    CHECK(n == 2 && stats_of(seg, pool).chunks == 0);
    bag_drop(&one);
    let_go(seg, pool);
    CHECK_SOUND(seg);
    for (uint32_t bytes = 1; bytes <= MPS_POOL_NODE_MAX; bytes += bytes / 7 + 5) {
        for (uint32_t per_chunk = 1; per_chunk < 300; per_chunk = per_chunk * 3 + 1) {
            s = spec(MPS_POOL_ADAPTIVE, bytes, per_chunk);
            pool = get(seg, &s);
            const mps_pool *p = mps_pool_at(seg, pool);
            uint64_t size = mps_pool_chunk_size(p, p->per_chunk), net = (uint64_t)p->per_chunk * p->stride;
            CHECK(p->per_chunk >= per_chunk && net <= size);
            CHECK((size - net) * 100 <= size * (bytes > 1000 ? 20 : 5));
            let_go(seg, pool);
        }
    }
    mps_seg_release(seg);
    free(buffer);
}

/* A random model: nodes come and go in operations of which some are taken back, in all types; none is given out twice, what was in a
 * node stays, and nothing is lost. */
static void test_model(check_rng rng, uint32_t type, uint32_t node_bytes, uint32_t per_chunk)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    mps_pool_spec s = spec(type, node_bytes, per_chunk);
    s.max_cached_nodes = 10;
    mps_off pool = get(seg, &s);
    bag one = bag_new(seg, pool, node_bytes), two = bag_new(seg, pool, node_bytes);
    for (uint32_t round = 0; round < 1500; round++) {
        bag *b = check_below(&rng, 2) != 0 ? &one : &two;
        bag_begin(b);
        for (uint64_t n = check_below(&rng, 12); n > 0; n--) {
            if (check_below(&rng, round / 300 % 2 == 0 ? 5 : 9) < 3 || b->now.n == 0) {
                bag_add(b);
            } else {
                bag_remove(b, (uint32_t)check_below(&rng, b->now.n));
            }
        }
        bag_end(b, check_below(&rng, 4) != 0);
        if (round % 100 == 0) {
            bag_check(&one, &two);
            uint64_t n;
            CHECK_OK(mps_pool_flush_caches(seg, MPS_DOOR_FREE));
            CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pool, &n));
            bag_check(&one, &two);
        }
    }
    bag_empty(&one);
    bag_empty(&two);
    bag_drop(&one);
    bag_drop(&two);
    CHECK_OK(mps_pool_flush_caches(seg, MPS_DOOR_FREE));
    CHECK(stats_of(seg, pool).free == stats_of(seg, pool).nodes && stats_of(seg, pool).cached == 0);
    let_go(seg, pool);
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* ---- what is cached ---- */

/* A cached pool's freed nodes stay with the process, up to max_cached_nodes; another process does not get at them; mps_pool_flush_caches
 * gives them back; so does leaving; and when a process dies they come back too. */
static void test_cache(void)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    mps_seg *other = check_adopt(buffer, BUFFER, false);
    mps_pool_spec s = spec(MPS_POOL_CACHED, 32, 64);
    s.max_cached_nodes = 20;
    mps_off pool = get(seg, &s);
    CHECK(get(other, &s) == pool);
    bag one = bag_new(seg, pool, 32), two = bag_new(other, pool, 32);
    bag_fill(&one, 64);
    CHECK(stats_of(seg, pool).chunks <= 2);
    bag_empty(&one);
    CHECK(stats_of(seg, pool).cached > 5 && stats_of(seg, pool).cached <= 20);
    uint64_t cached = stats_of(seg, pool).cached;
    bag_fill(&two, 20); /* of what is in the pool */
    CHECK(stats_of(seg, pool).cached >= cached);
    bag_check(&one, &two);
    CHECK_OK(mps_pool_flush_caches(seg, MPS_DOOR_FREE));
    CHECK_OK(mps_pool_flush_caches(other, MPS_DOOR_FREE));
    CHECK(stats_of(seg, pool).cached == 0);
    bag_fill(&two, 20);
    bag_shrink(&two, 0);
    CHECK(stats_of(seg, pool).cached > 0);
    bag_drop(&two);
    mps_seg_abandon(other);
    CHECK(mps_seg_recover(seg) == 1);
    mps_pool_stats stats = stats_of(seg, pool);
    CHECK(stats.cached == 0 && stats.free == stats.nodes);
    CHECK_SOUND(seg);
    other = check_adopt(buffer, BUFFER, false);
    CHECK(get(other, &s) == pool);
    two = bag_new(other, pool, 32);
    bag_fill(&two, 20);
    bag_empty(&two);
    bag_drop(&two);
    let_go(other, pool);
    CHECK(stats_of(seg, pool).cached > 0);
    mps_seg_release(other);
    CHECK(stats_of(seg, pool).cached == 0);
    bag_fill(&one, 5);
    bag_empty(&one);
    bag_drop(&one);
    let_go(seg, pool); /* what is cached of a dead pool is nobody's any more */
    CHECK_SOUND(seg);
    pool = get(seg, &s);
    one = bag_new(seg, pool, 32);
    bag_fill(&one, 5);
    bag_check(&one, NULL);
    bag_empty(&one);
    bag_drop(&one);
    let_go(seg, pool);
    mps_seg_release(seg);
    free(buffer);
}

/* More cached pools in use at once than a lane has room for. */
static void test_many_caches(void)
{
    void *buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(buffer, BUFFER, true);
    enum { POOLS = 7 };
    mps_off pools[POOLS];
    bag bags[POOLS];
    for (uint32_t i = 0; i < POOLS; i++) {
        mps_pool_spec s = spec(MPS_POOL_CACHED | (i % 2 != 0 ? MPS_POOL_ADAPTIVE : 0), 32 + 16 * i, 16);
        pools[i] = get(seg, &s);
        bags[i] = bag_new(seg, pools[i], 32 + 16 * i);
    }
    for (uint32_t round = 0; round < 50; round++) {
        bag_fill(&bags[round % POOLS], 9);
        bag_shrink(&bags[round * 3 % POOLS], 4);
    }
    CHECK_OK(mps_pool_flush_caches(seg, MPS_DOOR_FREE));
    for (uint32_t i = 0; i < POOLS; i++) {
        mps_pool_stats stats = stats_of(seg, pools[i]);
        CHECK(stats.cached == 0 && stats.free + bags[i].now.n == stats.nodes);
        bag_empty(&bags[i]);
        bag_drop(&bags[i]);
        let_go(seg, pools[i]);
    }
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* ---- no room ---- */

/* Where there is no room for a chunk, a pool gives out single nodes; then it says so, and nothing has changed. */
static void test_full(uint32_t type)
{
    uint64_t small = 600 * KIB;
    void *buffer = check_buffer(small);
    mps_seg *seg = check_adopt(buffer, small, true);
    mps_pool_spec s = spec(type, 1500, 64);
    mps_off pool = get(seg, &s);
    bag one = bag_new(seg, pool, 1500);
    uint32_t n = 0;
    for (;; n++) {
        bag_begin(&one);
        mps_off node;
        mps_status st = mps_node_alloc(&one.tx, pool, 1500, &node);
        if (st != MPS_OK) {
            CHECK_STATUS(st, MPS_E_FULL);
            bag_end(&one, false);
            break;
        }
        bag_put(&one, node);
        bag_end(&one, true);
    }
    CHECK(n > 65 && stats_of(seg, pool).free == 0);
    bag_check(&one, NULL);
    bag_empty(&one);
    bag_drop(&one);
    let_go(seg, pool);
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
}

/* ---- hostile bytes ---- */

typedef struct target {
    uint64_t *words;
    uint64_t n;
} target;

/* Whatever the words of a pool, its chunks and caches say: an answer, and no fault and no endless loop. */
static void test_fuzz(check_rng rng)
{
    void *buffer = check_buffer(BUFFER);
    for (uint32_t round = 0; round < 3000; round++) {
        mps_seg *seg = check_adopt(buffer, BUFFER, true);
        uint32_t type = (uint32_t)check_below(&rng, 2) | (check_below(&rng, 2) != 0 ? MPS_POOL_CACHED : 0);
        mps_pool_spec s = spec(type, 48, 8);
        mps_off pool = get(seg, &s);
        bag one = bag_new(seg, pool, 48);
        bag_fill(&one, 40);
        bag_shrink(&one, 20);
        mps_pool *p = mps_pool_at(seg, pool);
        mps_pool *shared = p->shared != 0 ? mps_region_at(&seg->region, p->shared) : p;
        uint64_t fields = (sizeof(mps_pool) - offsetof(mps_pool, spec)) / 8; /* not the guard: it names processes */
        const target targets[] = {{(uint64_t *)(void *)&p->spec, fields},
                                  {(uint64_t *)(void *)&shared->spec, fields},
                                  {mps_region_at(&seg->region, shared->lists[MPS_POOL_ALL]), 30},
                                  {(uint64_t *)(void *)seg->body->lanes[MPS_GIL_LANES].pools, 16}};
        for (uint64_t hits = 1 + check_below(&rng, 3); hits > 0; hits--) {
            const target *at = &targets[check_below(&rng, 4)];
            uint64_t *word = at->words + check_below(&rng, at->n);
            const uint64_t values[] = {0,    16,         *word + 16, *word - 16, *word ^ 64, check_random(&rng),
                                       pool, UINT64_MAX, 1};
            *word = values[check_below(&rng, sizeof(values) / sizeof(values[0]))];
        }
        for (uint32_t i = 0; i < 60; i++) {
            mps_tx tx;
            if (mps_tx_begin(seg, &tx, MPS_DOOR_FREE) != MPS_OK) {
                break;
            }
            mps_status st = mps_refs_enter(&tx);
            mps_off node = one.now.n > 0 ? one.now.nodes[--one.now.n] : 0;
            if (st == MPS_OK) {
                st = i % 3 != 0 || node == 0 ? mps_node_alloc(&tx, pool, 48, &node) : mps_node_free(&tx, pool, node);
            }
            if (st == MPS_OK) {
                (void)mps_tx_commit(&tx);
            } else {
                mps_tx_abort(&tx);
            }
            mps_tx_end(&tx);
        }
        uint64_t n;
        mps_pool_stats stats;
        char why[200];
        (void)mps_seg_check(seg, why, sizeof(why));
        (void)mps_pool_stats_get(seg, MPS_DOOR_FREE, pool, &stats);
        (void)mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pool, &n);
        (void)mps_pool_flush_caches(seg, MPS_DOOR_FREE);
        let_go(seg, pool);
        mps_seg_abandon(seg);
    }
    free(buffer);
}

int main(void)
{
    check_rng rng = check_seed(20);
    test_sharing();
    test_bad_specs();
    test_node_pool_keeps();
    test_adaptive_pool_gives_back();
    test_cache();
    test_many_caches();
    static const uint32_t types[] = {0, MPS_POOL_PRIVATE,     MPS_POOL_CACHED,
                                     1, 1 | MPS_POOL_PRIVATE, 1 | MPS_POOL_CACHED};
    for (int i = 0; i < 6; i++) {
        test_model(rng, types[i], 40, 16);
        test_model(rng, types[i], 2016, 3);
        test_full(types[i]);
    }
    test_fuzz(rng);
    return 0;
}
