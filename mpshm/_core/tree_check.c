#include "tree_body.h"

/* A walk over all nodes, from the left to the right. */
typedef struct walk {
    mps_view t;
    mps_visit *v;
    mps_off pool;
    bool dying;          /* nodes may be empty, counts are of earlier days */
    mps_value last;      /* the key before; tag EMPTY at the beginning */
    mps_value first_key; /* of the leaf seen last */
    mps_off leaf;        /* the leaf seen last */
    mps_off promised;    /* what that says is next */
    uint64_t budget;     /* nodes that there can be */
} walk;

static mps_status visit_key(walk *w, mps_value key)
{
    mps_sought sought;
    int order = -1;
    if (!mps_sought_stored(w->t.seg, &sought, key)) {
        return w->v->bad(w->v, "a key of a map has no order");
    }
    if (mps_order_mark(w->t.seg, key).w0 != key.w0) {
        return w->v->bad(w->v, "a key of a map has another's head");
    }
    if (mps_value_tag(w->last) != MPS_TAG_EMPTY) {
        mps_status st = mps_order_compare(w->t.seg, w->last, &sought, &order);
        if (st != MPS_OK || order > 0 || (order == 0 && !w->t.multi)) {
            return w->v->bad(w->v, "the keys of a map are not in order");
        }
    }
    w->last = key;
    return mps_value_visit(w->t.seg, key, w->v);
}

static mps_status visit_leaf(walk *w, mps_tree_node *leaf, mps_off off, uint32_t n)
{
    mps_status st = MPS_OK;
    if (!w->dying && (mps_load64(&leaf->prev) != w->leaf || (w->leaf != 0 && w->promised != off))) {
        return w->v->bad(w->v, "the leaves of a map are not linked in order");
    }
    w->leaf = off;
    w->promised = mps_load64(&leaf->next);
    w->first_key = n > 0 ? mps_value_load(&leaf->keys[0]) : (mps_value){0, 0};
    for (uint32_t i = 0; i < n && st == MPS_OK; i++) {
        st = visit_key(w, mps_value_load(&leaf->keys[i]));
        if (st == MPS_OK && mps_tree_has_slots(&w->t, 0)) {
            st = mps_value_visit(w->t.seg, mps_value_load(&mps_tree_slots(leaf)[i]), w->v);
        }
    }
    return st;
}

static mps_status visit_node(walk *w, mps_off off, uint32_t level, bool edge, uint64_t *items, mps_value *first);

static mps_status visit_children(walk *w, mps_tree_node *node, uint32_t level, uint32_t n, bool edge, uint64_t *items,
                                 mps_value *first)
{
    for (uint32_t i = 0; i < n; i++) {
        mps_value slot = mps_value_load(&mps_tree_slots(node)[i]), key = mps_value_load(&node->keys[i]), least;
        uint64_t below = 0;
        mps_status st = visit_node(w, slot.w0, level - 1, edge && i == n - 1, &below, &least);
        if (st != MPS_OK) {
            return st;
        }
        if (!w->dying && below != slot.w1) {
            return w->v->bad(w->v, "a map counts another number of items below a node than there are");
        }
        if (!w->dying && i > 0 && (key.w0 != least.w0 || key.w1 != least.w1)) {
            return w->v->bad(w->v, "a map separates two nodes by another key than the first of the second");
        }
        *first = i == 0 ? least : *first;
        *items += below;
    }
    return MPS_OK;
}

/* edge: at the right edge of its level. items, first: what is below it. */
static mps_status visit_node(walk *w, mps_off off, uint32_t level, bool edge, uint64_t *items, mps_value *first)
{
    if ((off & 15) != 0 || off < w->t.seg->arena || !mps_region_holds(&w->t.seg->region, off, sizeof(mps_tree_node)) ||
        w->budget-- == 0) {
        return w->v->bad(w->v, "a map leads out of the segment");
    }
    mps_status st = w->v->block(w->v, off);
    if (st != MPS_OK) {
        return st;
    }
    mps_tree_node *node = mps_region_at(&w->t.seg->region, off);
    uint64_t head = mps_load64(&node->head);
    uint32_t n = (uint32_t)head;
    bool root = level + 1 == w->t.height;
    uint32_t least = w->dying || (root && level == 0) ? 0
                     : root || edge                   ? 1 + (level > 0)
                                                      : mps_tree_least(&w->t, level);
    if (head >> 32 != level || n > mps_tree_cap(&w->t, level) || n < least ||
        (w->pool == 0 && mps_alloc_usable(w->t.seg, off) < sizeof(mps_tree_node))) {
        return w->v->bad(w->v, "a node of a map is out of shape");
    }
    *items = level == 0 ? n : 0;
    if (level > 0) {
        return visit_children(w, node, level, n, edge, items, first);
    }
    st = visit_leaf(w, node, off, n);
    *first = w->first_key;
    return st;
}

static mps_status walk_all(walk *w, uint64_t *items)
{
    mps_value first;
    *items = 0;
    w->budget = mps_load64(&w->t.seg->region.limit) / sizeof(mps_tree_node) + 1;
    mps_status st = mps_node_visit_pool(w->pool, w->v);
    if (st == MPS_OK) {
        st = visit_node(w, w->t.root, w->t.height - 1, true, items, &first);
    }
    return st == MPS_OK && !w->dying && w->promised != 0 ? w->v->bad(w->v, "a map's last leaf has another behind it")
                                                         : st;
}

mps_status mps_tree_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    walk w = {.v = v, .pool = mps_load64(&tree->pool)};
    uint64_t items;
    mps_status st = mps_tree_view(seg, tree, &w.t);
    if (st != MPS_OK) {
        return v->bad(v, "a map's body lies outside of the segment, or is too high");
    }
    st = mps_node_visit_pool(w.pool, v);
    if (st != MPS_OK || w.t.body == NULL) {
        return st;
    }
    mps_off body = mps_load64(&tree->body);
    st = v->block(v, body);
    if (st != MPS_OK) {
        return st;
    }
    bool keys_only = w.t.leaf_cap == MPS_TREE_KEYS;
    if (mps_alloc_usable(seg, body) < sizeof(mps_tree_body) ||
        mps_load32(&w.t.body->mortal.kind) != MPS_KIND_TREE_NODE || mps_load32(&w.t.body->mortal.flags) != keys_only ||
        mps_load64(&w.t.body->pool) != w.pool) {
        return v->bad(v, "a map and its body contradict each other");
    }
    st = walk_all(&w, &items);
    return st == MPS_OK && items != w.t.count ? v->bad(v, "a map counts another number of items than it has") : st;
}

mps_status mps_tree_body_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_tree_body *body = mps_region_at(&seg->region, off);
    uint64_t height = mps_load64(&body->height), items;
    walk w = {.v = v, .pool = mps_load64(&body->pool), .dying = true};
    bool keys_only = (mps_load32(&body->mortal.flags) & 1) != 0;
    w.t = (mps_view){.seg = seg, .body = body, .root = mps_load64(&body->root), .height = (uint32_t)height};
    w.t.leaf_cap = keys_only ? MPS_TREE_KEYS : MPS_TREE_FANOUT;
    w.t.multi = true;
    if (w.t.root == 0) {
        return mps_node_visit_pool(w.pool, v);
    }
    return height - 1 < MPS_TREE_DEPTH ? walk_all(&w, &items) : v->bad(v, "a dying map is out of shape");
}
