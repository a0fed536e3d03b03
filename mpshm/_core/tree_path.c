/* tree_path.c -- ways through a tree: to a key, to a place, from one leaf to the next. */
#include "tree_body.h"

/* Asks for the lines of a node's keys, before it is known to be one: a search looks at few of them, one after the other, and they come
 * sooner all together. (Where leaves have keys only, for every other line: the one beside it comes along.) */
static inline void expect(const mps_view *t, mps_off off)
{
    if (mps_likely(off < mps_load64(&t->seg->region.limit))) {
        const char *at = mps_region_at(&t->seg->region, off);
        uint32_t step = t->leaf_cap == MPS_TREE_FANOUT ? 64 : 128;
        for (uint32_t line = 0; line < sizeof(mps_tree_node) / 128; line++) {
            __builtin_prefetch(at + line * step);
        }
    }
}

mps_status mps_path_seek(const mps_view *t, const mps_sought *key, mps_side side, mps_path *p)
{
    mps_off off = t->root;
    for (uint32_t level = t->height; level-- > 0;) {
        mps_spot *s = &p->spots[level];
        s->off = off;
        s->node = mps_tree_node_at(t, off, level, &s->n);
        if (mps_unlikely(s->node == NULL)) {
            return MPS_E_RETRY;
        }
        if (level == 0) {
            return mps_order_find(t->seg, s->node->keys, s->n, key, side == MPS_SIDE_UPPER, &s->at);
        }
        mps_status st = mps_order_find(t->seg, s->node->keys + 1, s->n - 1, key, side != MPS_SIDE_LOWER, &s->at);
        if (mps_unlikely(st != MPS_OK)) {
            return st;
        }
        off = mps_load64(&mps_tree_slots(s->node)[s->at].w0);
        expect(t, off);
    }
    return MPS_E_RETRY;
}

/* Down from level + 1, where the path is known, to the first item or (last) behind the last. */
static mps_status descend(const mps_view *t, mps_path *p, uint32_t level, bool last)
{
    while (level-- > 0) {
        const mps_spot *above = &p->spots[level + 1];
        mps_spot *s = &p->spots[level];
        s->off = mps_load64(&mps_tree_slots(above->node)[above->at].w0);
        s->node = mps_tree_node_at(t, s->off, level, &s->n);
        if (s->node == NULL) {
            return MPS_E_RETRY;
        }
        s->at = !last ? 0 : level == 0 ? s->n : s->n - 1;
    }
    return MPS_OK;
}

mps_status mps_path_select(const mps_view *t, uint64_t place, mps_path *p)
{
    mps_off off = t->root;
    for (uint32_t level = t->height; level-- > 0;) {
        mps_spot *s = &p->spots[level];
        s->off = off;
        s->node = mps_tree_node_at(t, off, level, &s->n);
        if (s->node == NULL) {
            return MPS_E_RETRY;
        }
        if (level == 0) {
            s->at = (uint32_t)mps_min64(place, s->n);
            return place <= s->n ? MPS_OK : MPS_E_RETRY;
        }
        const mps_value *slots = mps_tree_slots(s->node);
        uint32_t i = 0;
        for (; i + 1 < s->n; i++) {
            uint64_t below = mps_load64(&slots[i].w1);
            if (place < below) {
                break;
            }
            place -= below;
        }
        s->at = i;
        off = mps_load64(&slots[i].w0);
    }
    return MPS_E_RETRY;
}

uint64_t mps_path_rank(const mps_view *t, const mps_path *p)
{
    uint64_t rank = p->spots[0].at;
    for (uint32_t level = 1; level < t->height; level++) {
        const mps_value *slots = mps_tree_slots(p->spots[level].node);
        for (uint32_t i = 0; i < p->spots[level].at; i++) {
            rank += mps_load64(&slots[i].w1);
        }
    }
    return rank;
}

mps_status mps_path_settle(const mps_view *t, mps_path *p)
{
    if (p->spots[0].at < p->spots[0].n) {
        return MPS_OK;
    }
    for (uint32_t level = 1; level < t->height; level++) {
        mps_spot *s = &p->spots[level];
        if (s->at + 1 < s->n) {
            s->at++;
            return descend(t, p, level, false);
        }
    }
    return MPS_OK;
}

mps_status mps_path_bound(const mps_view *t, const mps_sought *key, mps_bound bound, uint64_t *at)
{
    mps_path p;
    *at = 0;
    if (t->body == NULL) {
        return MPS_OK;
    }
    mps_side side = bound == MPS_BOUND_UPPER ? MPS_SIDE_UPPER : t->multi ? MPS_SIDE_LOWER : MPS_SIDE_EXACT;
    mps_status st = mps_path_seek(t, key, side, &p);
    if (st == MPS_OK) {
        *at = mps_path_rank(t, &p);
    }
    return st;
}
