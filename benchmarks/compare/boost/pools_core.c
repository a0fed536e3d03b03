#define _POSIX_C_SOURCE 200809L
#include "pools.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "lock.h"
#include "pool.h"
#include "segment.h"

typedef struct bench {
    mps_seg *seg;
    mps_object *container;
    int needs_container; /* its guard is what an operation takes first */
    mps_off pool;
    mps_off nodes[MPS_BENCH_NODES];
    uint64_t random;
} bench;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void ok(mps_status st)
{
    if (st != MPS_OK) {
        fprintf(stderr, "%s\n", mps_status_text(st));
        exit(1);
    }
}

static mps_off open_pool(mps_seg *seg, enum mps_bench_pool which)
{
    static const uint32_t types[] = {0,
                                     0,
                                     MPS_POOL_PRIVATE,
                                     MPS_POOL_CACHED,
                                     MPS_POOL_ADAPTIVE,
                                     MPS_POOL_ADAPTIVE | MPS_POOL_PRIVATE,
                                     MPS_POOL_ADAPTIVE | MPS_POOL_CACHED};
    const mps_pool_spec spec = {types[which], 32, 64, 2, 5, 64};
    mps_off off = 0;
    uint64_t serial;
    if (which != MPS_BENCH_PLAIN) {
        ok(mps_pool_get(seg, MPS_DOOR_GIL, &spec, &off, &serial));
    }
    return off;
}

static uint32_t next_random(bench *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return (uint32_t)((b->random >> 32) * MPS_BENCH_NODES >> 32);
}

static void enter(bench *b, mps_tx *tx)
{
    ok(mps_tx_begin(b->seg, tx, MPS_DOOR_GIL));
    if (b->needs_container) {
        ok(mps_tx_lock(tx, &b->container->guard));
    }
}

static void leave(mps_tx *tx)
{
    ok(mps_tx_commit(tx));
    mps_tx_end(tx);
}

static void pair(bench *b, uint32_t i)
{
    mps_tx tx;
    enter(b, &tx);
    ok(mps_node_free(&tx, b->pool, b->nodes[i]));
    ok(mps_node_alloc(&tx, b->pool, 32, &b->nodes[i]));
    leave(&tx);
}

static void take(bench *b, uint32_t from, uint32_t to)
{
    mps_tx tx;
    enter(b, &tx);
    for (uint32_t i = from; i < to; i++) {
        ok(mps_node_alloc(&tx, b->pool, 32, &b->nodes[i]));
    }
    leave(&tx);
}

static void give(bench *b, uint32_t from, uint32_t to)
{
    mps_tx tx;
    enter(b, &tx);
    for (uint32_t i = from; i < to; i++) {
        ok(mps_node_free(&tx, b->pool, b->nodes[i]));
    }
    leave(&tx);
}

static void open_bench(bench *b, enum mps_bench_pool which)
{
    mps_off off;
    uint64_t serial;
    b->random = 88172645463325252u;
    ok(mps_seg_create_anonymous(4u << 20, 64u << 20, &b->seg));
    ok(mps_object_new(b->seg, MPS_DOOR_GIL, MPS_KIND_LOCK, sizeof(mps_object), &off, &serial));
    b->container = mps_region_at(&b->seg->region, off);
    b->pool = open_pool(b->seg, which);
    b->needs_container =
        which == MPS_BENCH_PLAIN || which == MPS_BENCH_CACHED_NODE || which == MPS_BENCH_CACHED_ADAPTIVE;
}

double mps_bench_pool_core(enum mps_bench_pool which, uint64_t pairs)
{
    static bench b;
    open_bench(&b, which);
    for (uint32_t i = 0; i < MPS_BENCH_NODES; i++) {
        take(&b, i, i + 1);
    }
    double start = now_ns();
    for (uint64_t i = 0; i < pairs; i++) {
        pair(&b, next_random(&b));
    }
    double each = (now_ns() - start) / (double)pairs;
    mps_seg_release(b.seg);
    return each;
}

double mps_bench_pool_core_fill(enum mps_bench_pool which, uint64_t pairs, uint32_t calls)
{
    static bench b;
    open_bench(&b, which);
    uint64_t rounds = pairs / MPS_BENCH_NODES;
    double start = now_ns();
    for (uint64_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < MPS_BENCH_NODES; i += calls) {
            take(&b, i, i + calls);
        }
        for (uint32_t i = 0; i < MPS_BENCH_NODES; i += calls) {
            give(&b, i, i + calls);
        }
    }
    double each = (now_ns() - start) / (double)(rounds * MPS_BENCH_NODES);
    mps_seg_release(b.seg);
    return each;
}
