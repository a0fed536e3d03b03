/* stress_alloc.c -- threads of one process allocate, free and look at numbers, all at once. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <pthread.h>

#include "alloc_fit.h"
#include "racy.h"

#define THREADS 4u
#define KEPT 200u
#define ROUNDS 6000u

typedef struct worker {
    mps_seg *seg;
    check_rng rng;
    uint64_t mark;
    uint32_t refused;
} worker;

/* (atomically, as all that somebody may look at who counts cached blocks meanwhile) */
static void fill(uint64_t *words, uint64_t n, uint64_t mark)
{
    for (uint64_t i = 0; i < n; i++) {
        mps_fresh64(&words[i], mark);
    }
}

/* Blocks that this thread has are nobody else's: what was written stays. */
static void *work(void *arg)
{
    worker *w = arg;
    mps_off blocks[KEPT] = {0};
    uint64_t sizes[KEPT] = {0};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        mps_tx tx;
        check_begin(w->seg, &tx);
        for (uint64_t n = check_below(&w->rng, 4) + 1; n > 0; n--) {
            uint32_t i = (uint32_t)check_below(&w->rng, KEPT);
            if (blocks[i] == 0) {
                sizes[i] = check_below(&w->rng, 4) == 0 ? check_below(&w->rng, 30000) : check_below(&w->rng, 600);
                mps_status st = mps_alloc(&tx, sizes[i], &blocks[i]);
                if (st == MPS_E_FULL) {
                    w->refused++;
                    blocks[i] = 0;
                    continue;
                }
                CHECK_OK(st);
                fill(mps_region_at(&w->seg->region, blocks[i]), sizes[i] / 8, w->mark);
            } else {
                const uint64_t *words = mps_region_at(&w->seg->region, blocks[i]);
                for (uint64_t k = 0; k < sizes[i] / 8; k++) {
                    CHECK(mps_load64(&words[k]) == w->mark);
                }
                CHECK_OK(mps_free(&tx, blocks[i]));
                blocks[i] = 0;
            }
        }
        check_commit(&tx);
        if (round % 64 == 0) {
            mps_alloc_stats stats;
            CHECK_OK(mps_alloc_stats_get(w->seg, &stats));
        }
    }
    mps_tx tx;
    check_begin(w->seg, &tx);
    CHECK_OK(mps_tx_room(&tx, KEPT));
    for (uint32_t i = 0; i < KEPT; i++) {
        if (blocks[i] != 0) {
            CHECK_OK(mps_free(&tx, blocks[i]));
        }
    }
    check_commit(&tx);
    return NULL;
}

static void run(mps_seg *seg, check_rng *rng)
{
    worker workers[THREADS];
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (worker){.seg = seg, .rng = {check_random(rng) | 1}, .mark = i + 1};
        CHECK(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    for (uint32_t i = 0; i < MPS_LANES; i++) {
        mps_tx tx;
        CHECK_OK(mps_tx_begin(seg, &tx, MPS_DOOR_FREE));
        CHECK_OK(mps_alloc_flush(&tx, 0));
        mps_tx_end(&tx);
    }
    CHECK_SOUND(seg);
}

int main(void)
{
    check_rng rng = check_seed(5);
    mps_seg *seg = NULL;
    CHECK_OK(mps_seg_create_anonymous(64 << 10, 64 << 20, &seg)); /* grows meanwhile */
    run(seg, &rng);
    mps_seg_release(seg);
    void *buffer = check_buffer(2 << 20); /* is full most of the time */
    seg = check_adopt(buffer, 2 << 20, true);
    run(seg, &rng);
    mps_seg_release(seg);
    free(buffer);
    return 0;
}
