/* stress_pool.c -- threads that take nodes of the same pools and give each other's back: no node has two owners, none is lost. */
#include <pthread.h>
#include <stdatomic.h>

#include "bag.h"

#define KIB ((uint64_t)1 << 10)
#define BUFFER (4096 * KIB)
#define THREADS 3u
#define ROUNDS 20000u
#define SHELF 64u

static mps_seg *seg;
static mps_off pools[4];
static _Atomic(uint64_t) shelf[4][SHELF]; /* nodes that whoever comes next gives back; 0 empty */

static mps_off change(mps_off container, uint32_t pool, mps_off given, bool take)
{
    mps_tx tx;
    mps_off node = 0;
    CHECK_OK(mps_tx_begin(seg, &tx, MPS_DOOR_FREE));
    CHECK_OK(mps_tx_lock(&tx, &((mps_object *)mps_region_at(&seg->region, container))->guard));
    if (given != 0) {
        CHECK_OK(mps_node_free(&tx, pools[pool], given));
    }
    if (take) {
        CHECK_OK(mps_node_alloc(&tx, pools[pool], 48, &node));
    }
    CHECK_OK(mps_tx_commit(&tx));
    mps_tx_end(&tx);
    return node;
}

static void *work(void *arg)
{
    check_rng rng = {(uint64_t)(uintptr_t)arg * 7919 + 1};
    mps_off container; /* of each thread its own */
    uint64_t serial;
    CHECK_OK(mps_object_new(seg, MPS_DOOR_FREE, MPS_KIND_LOCK, sizeof(mps_object), &container, &serial));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t pool = (uint32_t)check_below(&rng, 4);
        mps_off node = change(container, pool, 0, true);
        uint64_t *words = mps_region_at(&seg->region, node);
        for (uint32_t i = 1; i < 6; i++) {
            mps_store64(&words[i], node + i);
        }
        mps_off other = atomic_exchange(&shelf[pool][check_below(&rng, SHELF)], node);
        if (other != 0) {
            words = mps_region_at(&seg->region, other);
            for (uint32_t i = 1; i < 6; i++) {
                CHECK(mps_load64(&words[i]) == other + i);
            }
            change(container, pool, other, false);
        }
        uint64_t n;
        if (round % 500 == 0) {
            CHECK_OK(mps_pool_flush_caches(seg, MPS_DOOR_FREE));
            CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, pools[pool], &n));
        }
    }
    mps_ref_drop(seg, MPS_DOOR_FREE, container);
    return NULL;
}

int main(void)
{
    void *buffer = check_buffer(BUFFER);
    seg = check_adopt(buffer, BUFFER, true);
    static const uint32_t types[] = {0, MPS_POOL_CACHED, MPS_POOL_ADAPTIVE, MPS_POOL_ADAPTIVE | MPS_POOL_CACHED};
    for (uint32_t i = 0; i < 4; i++) {
        const mps_pool_spec spec = {types[i], 48, 16, 1, 20, 8};
        uint64_t serial;
        CHECK_OK(mps_pool_get(seg, MPS_DOOR_FREE, &spec, &pools[i], &serial));
    }
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(i + 1)) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    mps_off container;
    uint64_t serial;
    CHECK_OK(mps_object_new(seg, MPS_DOOR_FREE, MPS_KIND_LOCK, sizeof(mps_object), &container, &serial));
    static bag all;
    all.seg = seg;
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t k = 0; k < SHELF; k++) {
            if (shelf[i][k] != 0) {
                all.now.nodes[all.now.n++] = shelf[i][k];
            }
        }
    }
    bag_check(&all, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t k = 0; k < SHELF; k++) {
            if (shelf[i][k] != 0) {
                change(container, i, shelf[i][k], false);
            }
        }
        mps_ref_drop(seg, MPS_DOOR_FREE, pools[i]);
    }
    mps_ref_drop(seg, MPS_DOOR_FREE, container);
    CHECK(mps_seg_root(seg)->pools == 0);
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    free(buffer);
    return 0;
}
