/* core_nodes.h -- blocks and nodes taken and given back, one a time, each in an operation of its own that notes where it is. */
#ifndef BENCH_CORE_NODES_H
#define BENCH_CORE_NODES_H

#include "core.h"
#include "node.h"
#include "raw.h"

/* A container of offsets, the simplest there can be. */
typedef struct holder {
    mps_seg *seg;
    mps_object *object;
    uint64_t *slots; /* BENCH_LIVE offsets; 0 none */
    mps_off off;
} holder;

static inline holder holder_new(mps_seg *seg)
{
    mps_off off, data;
    uint64_t serial, nbytes;
    sure(mps_raw_new(seg, BENCH_DOOR, BENCH_LIVE * 8, &off, &serial));
    sure(mps_raw_data(seg, off, &data, &nbytes));
    return (holder){seg, mps_region_at(&seg->region, off), mps_region_at(&seg->region, data), off};
}

static inline void holder_put(const holder *h, uint64_t slot, mps_off pool, uint64_t nbytes)
{
    mps_tx tx;
    mps_off node;
    sure(mps_tx_begin(h->seg, &tx, BENCH_DOOR));
    sure(mps_tx_lock(&tx, &h->object->guard));
    sure(mps_node_alloc(&tx, pool, nbytes, &node));
    mps_tx_set(&tx, &h->slots[slot], node);
    sure(mps_tx_commit(&tx));
    mps_tx_end(&tx);
}

static inline void holder_take(const holder *h, uint64_t slot, mps_off pool)
{
    mps_tx tx;
    sure(mps_tx_begin(h->seg, &tx, BENCH_DOOR));
    sure(mps_tx_lock(&tx, &h->object->guard));
    sure(mps_node_free(&tx, pool, h->slots[slot]));
    mps_tx_set(&tx, &h->slots[slot], 0);
    sure(mps_tx_commit(&tx));
    mps_tx_end(&tx);
}

/* Fills the slots, then frees and takes `pairs` at random; ns a pair. nbytes 0: random sizes. */
static inline double holder_churn(const holder *h, mps_off pool, uint64_t nbytes, uint64_t pairs, double (*now)(void))
{
    uint64_t state = BENCH_SEED;
    for (uint64_t i = 0; i < BENCH_LIVE; i++) {
        if (h->slots[i] == 0) {
            holder_put(h, i, pool, nbytes != 0 ? nbytes : bench_size(&state));
        }
    }
    double begun = now();
    for (uint64_t i = 0; i < pairs; i++) {
        uint64_t slot = bench_next(&state) % BENCH_LIVE;
        holder_take(h, slot, pool);
        holder_put(h, slot, pool, nbytes != 0 ? nbytes : bench_size(&state));
    }
    return (now() - begun) / (double)pairs;
}

static inline double holder_best(const holder *h, mps_off pool, uint64_t nbytes)
{
    double best = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        best = bench_least(best, holder_churn(h, pool, nbytes, BENCH_PAIRS, bench_now));
    }
    for (uint64_t i = 0; i < BENCH_LIVE; i++) {
        holder_take(h, i, pool);
    }
    return best;
}

#endif
