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

static inline void put(const holder *h, mps_tx *tx, uint64_t slot, mps_off pool, uint64_t nbytes)
{
    mps_off node;
    sure(mps_node_alloc(tx, pool, nbytes, &node));
    mps_tx_set(tx, &h->slots[slot], node);
}

static inline void take(const holder *h, mps_tx *tx, uint64_t slot, mps_off pool)
{
    sure(mps_node_free(tx, pool, h->slots[slot]));
    mps_tx_set(tx, &h->slots[slot], 0);
}

static inline void begin(const holder *h, mps_tx *tx)
{
    sure(mps_tx_begin(h->seg, tx, BENCH_DOOR));
    sure(mps_tx_lock(tx, &h->object->guard));
}

static inline void end(mps_tx *tx)
{
    sure(mps_tx_commit(tx));
    mps_tx_end(tx);
}

/* Fills the slots, then frees and takes `pairs` at random; ns a pair. nbytes 0: random sizes. */
static inline double holder_churn(const holder *h, mps_off pool, uint64_t nbytes, double (*now)(void))
{
    uint64_t state = BENCH_SEED;
    mps_tx tx;
    for (uint64_t i = 0; i < BENCH_LIVE; i++) {
        if (h->slots[i] == 0) {
            begin(h, &tx);
            put(h, &tx, i, pool, nbytes != 0 ? nbytes : bench_size(&state));
            end(&tx);
        }
    }
    double begun = now();
    for (uint64_t i = 0; i < BENCH_PAIRS; i++) {
        uint64_t slot = bench_next(&state) % BENCH_LIVE;
        begin(h, &tx);
        take(h, &tx, slot, pool);
        end(&tx);
        begin(h, &tx);
        put(h, &tx, slot, pool, nbytes != 0 ? nbytes : bench_size(&state));
        end(&tx);
    }
    return (now() - begun) / BENCH_PAIRS;
}

/* The same, BENCH_BATCH pairs in an operation, of full slots. */
static inline double holder_batches(const holder *h, mps_off pool, uint64_t nbytes)
{
    uint64_t state = BENCH_SEED;
    mps_tx tx;
    double begun = bench_now();
    for (uint64_t i = 0; i < BENCH_PAIRS / BENCH_BATCH; i++) {
        uint64_t slot = bench_next(&state) % (BENCH_LIVE - BENCH_BATCH);
        begin(h, &tx);
        for (unsigned k = 0; k < BENCH_BATCH; k++) {
            take(h, &tx, slot + k, pool);
        }
        for (unsigned k = 0; k < BENCH_BATCH; k++) {
            put(h, &tx, slot + k, pool, nbytes);
        }
        end(&tx);
    }
    return (bench_now() - begun) / BENCH_PAIRS;
}

static inline void holder_clear(const holder *h, mps_off pool)
{
    mps_tx tx;
    for (uint64_t i = 0; i < BENCH_LIVE; i++) {
        begin(h, &tx);
        take(h, &tx, i, pool);
        end(&tx);
    }
}

/* Both rows of a pool's nodes. */
static inline void holder_rows(const holder *h, mps_off pool, const char *name)
{
    char what[100];
    double each = 1e9, batches = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        each = bench_least(each, holder_churn(h, pool, BENCH_NODE, bench_now));
        batches = bench_least(batches, holder_batches(h, pool, BENCH_NODE));
    }
    snprintf(what, sizeof what, "node of 32 B, %s, a lock each", name);
    bench_row(what, each);
    snprintf(what, sizeof what, "node of 32 B, %s, a lock for 8 (boost: none)", name);
    bench_row(what, batches);
    holder_clear(h, pool);
}

#endif
