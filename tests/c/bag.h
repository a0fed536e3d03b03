/* bag.h -- what tests of pools use for a container: nodes that somebody has, known to the segment's check.
 *
 * What is in a bag, the test knows, and no object of the segment. So while a bag has nodes, mps_seg_check would say that they belong to
 * nobody; bag_check does as much for pools: every node is in one place, and only there.
 */
#ifndef MPS_TESTS_BAG_H
#define MPS_TESTS_BAG_H

#include "check.h"
#include "lock.h"
#include "pool.h"

#define BAG_MOST 1024u

typedef struct bag_nodes {
    mps_off nodes[BAG_MOST];
    uint64_t marks[BAG_MOST];
    uint32_t n;
} bag_nodes;

typedef struct bag {
    mps_seg *seg;
    mps_off pool;
    uint32_t node_bytes;
    uint64_t mark;
    bag_nodes now, before;
    mps_off lock; /* an object whose guard is the container's */
    mps_tx tx;
} bag;

static inline bag bag_new(mps_seg *seg, mps_off pool, uint32_t node_bytes)
{
    bag b = {.seg = seg, .pool = pool, .node_bytes = node_bytes, .mark = (uint64_t)pool << 20};
    uint64_t serial;
    CHECK_OK(mps_object_new(seg, MPS_DOOR_FREE, MPS_KIND_LOCK, sizeof(mps_object), &b.lock, &serial));
    return b;
}

static inline void bag_drop(bag *b)
{
    mps_ref_drop(b->seg, MPS_DOOR_FREE, b->lock);
}

static inline void bag_begin(bag *b)
{
    mps_object *obj = mps_region_at(&b->seg->region, b->lock);
    CHECK_OK(mps_tx_begin(b->seg, &b->tx, MPS_DOOR_FREE));
    CHECK_OK(mps_tx_lock(&b->tx, &obj->guard));
    b->before = b->now;
}

static inline void bag_put(bag *b, mps_off node)
{
    CHECK((node & 15) == 0 && b->now.n < BAG_MOST);
    for (uint32_t i = 0; i < b->before.n; i++) {
        CHECK(b->before.nodes[i] != node); /* not even what was freed in this operation */
    }
    uint64_t *words = mps_region_at(&b->seg->region, node);
    for (uint32_t i = 0; i < b->node_bytes / 8; i++) {
        words[i] = b->mark + i; /* what is new is written without a journal */
    }
    b->now.nodes[b->now.n] = node;
    b->now.marks[b->now.n++] = b->mark;
    b->mark += 1000;
}

static inline void bag_add(bag *b)
{
    mps_off node;
    CHECK_OK(mps_node_alloc(&b->tx, b->pool, b->node_bytes, &node));
    bag_put(b, node);
}

static inline void bag_remove(bag *b, uint32_t i)
{
    CHECK_OK(mps_node_free(&b->tx, b->pool, b->now.nodes[i]));
    b->now.n--;
    b->now.nodes[i] = b->now.nodes[b->now.n];
    b->now.marks[i] = b->now.marks[b->now.n];
}

static inline void bag_end(bag *b, bool commit)
{
    if (commit) {
        CHECK_OK(mps_tx_commit(&b->tx));
    } else {
        CHECK_OK(mps_tx_abort(&b->tx));
        b->now = b->before;
    }
    mps_tx_end(&b->tx);
}

static inline void bag_fill(bag *b, uint32_t n)
{
    for (; n > 0; n--) {
        bag_begin(b);
        bag_add(b);
        bag_end(b, true);
    }
}

/* Down to n nodes. */
static inline void bag_shrink(bag *b, uint32_t n)
{
    while (b->now.n > n) {
        bag_begin(b);
        bag_remove(b, b->now.n - 1);
        bag_end(b, true);
    }
}

static inline void bag_empty(bag *b)
{
    bag_shrink(b, 0);
}

/* Every n-th node stays. */
static inline void bag_thin(bag *b, uint32_t n)
{
    for (uint32_t i = b->now.n; i-- > 0;) {
        if (i % n != 0) {
            bag_begin(b);
            CHECK_OK(mps_node_free(&b->tx, b->pool, b->now.nodes[i]));
            memmove(&b->now.nodes[i], &b->now.nodes[i + 1], (b->now.n - i - 1) * sizeof(mps_off));
            memmove(&b->now.marks[i], &b->now.marks[i + 1], (b->now.n - i - 1) * sizeof(uint64_t));
            b->now.n--;
            bag_end(b, true);
        }
    }
}

/* ---- the check ---- */

typedef struct bag_walk {
    mps_visit visit;
    mps_seg *seg;
    uint8_t *state; /* for 16 bytes of the segment: 1 a node, 2 and it was found */
    uint64_t nodes, found;
} bag_walk;

static inline mps_status bag_on_node(void *ctx, mps_off off, uint64_t usable)
{
    bag_walk *w = ctx;
    (void)usable;
    CHECK(w->state[off / 16] == 0);
    w->state[off / 16] = 1;
    w->nodes++;
    return MPS_OK;
}

static inline void bag_find(bag_walk *w, mps_off off)
{
    CHECK(w->state[off / 16] == 1);
    w->state[off / 16] = 2;
    w->found++;
}

static inline mps_status bag_on_block(mps_visit *v, mps_off off)
{
    bag_walk *w = (bag_walk *)v;
    if (w->state[off / 16] != 0) {
        bag_find(w, off);
    }
    return MPS_OK;
}

static inline mps_status bag_on_ref(mps_visit *v, mps_off off)
{
    (void)v;
    (void)off;
    return MPS_OK;
}

static inline mps_status bag_bad(mps_visit *v, const char *why)
{
    (void)v;
    fprintf(stderr, "%s\n", why);
    return MPS_E_CORRUPT;
}

static inline void bag_names(bag_walk *w, const bag *b)
{
    for (uint32_t i = 0; b != NULL && i < b->now.n; i++) {
        bag_find(w, b->now.nodes[i]);
        const uint64_t *words = mps_region_at(&b->seg->region, b->now.nodes[i]);
        for (uint32_t k = 0; k < b->node_bytes / 8; k++) {
            CHECK(words[k] == b->now.marks[i] + k);
        }
    }
}

/* Every node of every pool is in exactly one place: a free list, a lane's cache, one of two bags (NULL: none), which have all other nodes;
 * and their content is what was written. */
static inline void bag_check(const bag *one, const bag *two)
{
    mps_seg *seg = one->seg;
    bag_walk w = {.visit = {bag_on_block, bag_on_ref, bag_bad}, .seg = seg};
    w.state = calloc(mps_load64(&seg->region.limit) / 16 + 1, 1);
    CHECK(w.state != NULL);
    CHECK_OK(mps_pools_walk(seg, bag_on_node, &w));
    for (mps_off at = mps_seg_root(seg)->pools; at != 0; at = mps_pool_at(seg, at)->next) {
        CHECK_OK(mps_pool_visit(seg, at, &w.visit));
    }
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        if ((mps_slot_head_at(seg, slot)->word & 0xff) == MPS_SLOT_USED) {
            for (uint32_t i = 0; i < MPS_LANES; i++) {
                CHECK_OK(mps_pools_visit_lane(seg, &mps_slot_body_at(seg, slot)->lanes[i], &w.visit));
            }
        }
    }
    bag_names(&w, one);
    bag_names(&w, two);
    CHECK(w.found == w.nodes);
    free(w.state);
}

#endif
