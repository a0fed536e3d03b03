/* tree_bulk.c -- many items in one change, and ranges of them copied.
 *
 * Few items among many go in one by one, journaled. Where there are more than an eighth of what is there, a new tree is made aside: what is
 * there moves to it, what comes is put in without the journal, nobody seeing it, and one word swings it in.
 */
#include "reader.h"
#include "tree_body.h"

#define ASIDE_LEAST 64u /* items from which on a tree made aside pays */

/* ---- putting in ---- */

/* Puts one item in, or its value in the place of that which is there. */
static mps_status put_one(mps_tx *tx, mps_view *t, const mps_enc *key, const mps_enc *value)
{
    mps_sought sought;
    mps_path p;
    bool equal;
    mps_sought_make(&sought, key);
    mps_status st = mps_tree_locate(t, &sought, &p, &equal);
    if (st != MPS_OK) {
        return st;
    }
    if (!equal) {
        return mps_tree_store(tx, t, &p, key, value);
    }
    return value != NULL ? mps_tree_exchange_value(tx, t, &p, value) : MPS_OK;
}

static mps_status put_all(mps_tx *tx, mps_view *t, const mps_enc *keys, const mps_enc *values, uint64_t n)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        st = put_one(tx, t, &keys[i], values != NULL ? &values[i] : NULL);
        t->again = true;
    }
    return st;
}

/* The leftmost leaf. */
static mps_status first_leaf(const mps_view *t, mps_path *p)
{
    return mps_tree_sure(mps_path_select(t, 0, p));
}

/* From a leaf to the next: NULL behind the last, or (*st) where there is none. */
static mps_tree_node *next_leaf(const mps_view *t, const mps_tree_node *leaf, uint32_t *n, mps_status *st)
{
    mps_off next = mps_load64(&leaf->next);
    mps_tree_node *node = next != 0 ? mps_tree_node_at(t, next, 0, n) : NULL;
    *st = next != 0 && node == NULL ? MPS_E_CORRUPT : MPS_OK;
    return node;
}

/* Moves all items of one tree to the end of a fresh one, in their order. */
static mps_status move_items(mps_tx *tx, const mps_view *from, mps_view *to)
{
    mps_path p;
    uint64_t left = from->count;
    mps_status st = first_leaf(from, &p);
    uint32_t n = st == MPS_OK ? p.spots[0].n : 0;
    for (mps_tree_node *leaf = p.spots[0].node; st == MPS_OK && leaf != NULL; leaf = next_leaf(from, leaf, &n, &st)) {
        for (uint32_t i = 0; i < n && st == MPS_OK; i++) {
            mps_path end;
            mps_value value =
                mps_tree_has_slots(from, 0) ? mps_value_load(&mps_tree_slots(leaf)[i]) : (mps_value){0, 0};
            st = left-- > 0 ? mps_tx_reserve(tx, mps_tree_room(to)) : MPS_E_CORRUPT;
            st = st == MPS_OK ? mps_tree_sure(mps_path_select(to, to->count, &end)) : st;
            st = st == MPS_OK ? mps_tree_insert(tx, to, &end, mps_value_load(&leaf->keys[i]), value) : st;
        }
        if (st != MPS_OK) {
            return st;
        }
    }
    return st == MPS_OK && left != 0 ? MPS_E_CORRUPT : st;
}

/* Frees the nodes at and below one; what was in them has moved. budget: nodes that there can be at most. */
static mps_status free_nodes(mps_tx *tx, const mps_view *t, mps_off off, uint32_t level, uint64_t *budget)
{
    uint32_t n;
    mps_tree_node *node = mps_tree_node_at(t, off, level, &n);
    mps_status st = node != NULL && *budget > 0 ? MPS_OK : MPS_E_CORRUPT;
    --*budget;
    for (uint32_t i = 0; level > 0 && st == MPS_OK && i < n; i++) {
        st = free_nodes(tx, t, mps_load64(&mps_tree_slots(node)[i].w0), level - 1, budget);
    }
    st = st == MPS_OK ? mps_tx_reserve(tx, MPS_ROOM_NODE) : st;
    return st == MPS_OK ? mps_node_free(tx, mps_load64(&t->tree->pool), off) : st;
}

/* Frees a body whose items have moved, and its nodes. */
static mps_status free_body(mps_tx *tx, const mps_view *t, mps_off body)
{
    mps_off pool = mps_load64(&t->tree->pool);
    uint64_t budget = mps_load64(&t->seg->region.limit) / sizeof(mps_tree_node) + 1;
    mps_status st = pool != 0 ? mps_object_decref(tx, pool) : MPS_OK;
    st = st == MPS_OK ? free_nodes(tx, t, t->root, t->height - 1, &budget) : st;
    st = st == MPS_OK ? mps_tx_reserve(tx, MPS_ROOM_LINK) : st;
    return st == MPS_OK ? mps_free(tx, body) : st;
}

/* A fresh tree of these items, of those that `old` has as well if that is to be kept. */
static mps_status build(mps_tx *tx, mps_view *t, const mps_view *keep, const mps_enc *keys, const mps_enc *values,
                        uint64_t n)
{
    t->body = NULL;
    t->fresh = true;
    mps_status st = mps_tree_found(tx, t);
    if (st == MPS_OK && keep != NULL) {
        st = move_items(tx, keep, t);
    }
    return st == MPS_OK ? put_all(tx, t, keys, values, n) : st;
}

static void swing(mps_tx *tx, mps_view *t)
{
    mps_tx_set(tx, &t->tree->body, mps_region_off(&tx->seg->region, t->body));
}

static mps_status put_aside(mps_tx *tx, mps_view *t, const mps_enc *keys, const mps_enc *values, uint64_t n)
{
    mps_view old = *t;
    mps_off body = mps_load64(&t->tree->body);
    mps_status st = build(tx, t, old.body != NULL ? &old : NULL, keys, values, n);
    if (st == MPS_OK && old.body != NULL) {
        st = free_body(tx, &old, body);
    }
    st = st == MPS_OK ? mps_tx_reserve(tx, MPS_ROOM_LINK) : st;
    if (st == MPS_OK) {
        swing(tx, t);
    }
    return st;
}

/* Begins a change of many items. */
static mps_status enter(mps_tx *tx, mps_tree *tree, mps_view *t)
{
    mps_status st = mps_tree_enter(tx, tree);
    if (st == MPS_OK) {
        st = mps_tree_open(tx, tree, t);
    }
    if (st == MPS_OK && mps_load64(&tree->pool) != 0) {
        st = mps_refs_enter(tx);
    }
    return st;
}

mps_status mps_tree_update(mps_seg *seg, mps_door door, mps_off off, mps_enc *keys, mps_enc *values, uint64_t n,
                           int64_t *grown)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    mps_view t;
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    *grown = 0;
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, tree, &t);
    if (st == MPS_OK && n > 0) {
        uint64_t before = t.count;
        bool aside = t.body == NULL || (n >= ASIDE_LEAST && n >= t.count / 8);
        mps_tx_write_begin(&tx, &tree->object.guard);
        st = aside ? put_aside(&tx, &t, keys, values, n) : put_all(&tx, &t, keys, values, n);
        *grown = (int64_t)t.count - (int64_t)before;
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* ---- taking out ---- */

static mps_status take_one(mps_tx *tx, mps_view *t, const mps_enc *key)
{
    mps_sought sought;
    mps_path p;
    mps_sought_make(&sought, key);
    if (t->body == NULL || sought.rank.kind == MPS_ORDER_NONE) {
        return MPS_OK;
    }
    mps_status st = mps_path_seek(t, &sought, MPS_SIDE_EXACT, &p);
    if (st == MPS_OK && mps_path_equal(t, &p, &sought)) {
        return mps_tree_erase(tx, t, &p);
    }
    return st == MPS_E_TYPE ? MPS_OK : mps_tree_sure(st);
}

mps_status mps_tree_take(mps_seg *seg, mps_door door, mps_off off, const mps_enc *keys, uint64_t n, int64_t *grown)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    mps_view t;
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    *grown = 0;
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, tree, &t);
    if (st == MPS_OK) {
        uint64_t before = t.count;
        mps_tx_write_begin(&tx, &tree->object.guard);
        for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
            st = take_one(&tx, &t, &keys[i]);
        }
        *grown = (int64_t)t.count - (int64_t)before;
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

mps_status mps_tree_replace(mps_seg *seg, mps_door door, mps_off off, mps_enc *keys, mps_enc *values, uint64_t n,
                            uint32_t version, int64_t *grown)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    mps_view t;
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    *grown = 0;
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, tree, &t);
    if (st == MPS_OK && mps_load32(&tree->object.guard.seq) != version) {
        st = MPS_E_CHANGED;
    }
    if (st == MPS_OK) {
        mps_view old = t;
        mps_tx_write_begin(&tx, &tree->object.guard);
        if (n > 0) {
            st = build(&tx, &t, NULL, keys, values, n);
        }
        st = st == MPS_OK ? mps_tx_reserve(&tx, 2 * MPS_ROOM_LINK) : st;
        if (st == MPS_OK && old.body != NULL) {
            st = mps_tree_empty(&tx, &old);
        }
        if (st == MPS_OK && n > 0) {
            swing(&tx, &t);
        }
        *grown = (int64_t)(n > 0 ? t.count : 0) - (int64_t)old.count;
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

mps_status mps_tree_clear(mps_seg *seg, mps_door door, mps_off off)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    mps_view t;
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, tree, &t);
    if (st == MPS_OK && t.body != NULL) {
        mps_tx_write_begin(&tx, &tree->object.guard);
        st = mps_tree_empty(&tx, &t);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

mps_status mps_tree_use_pool(mps_seg *seg, mps_door door, mps_off off, mps_off pool)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tree_enter(&tx, tree);
    if (st == MPS_OK) {
        st = mps_load64(&tree->body) != 0 ? MPS_E_EXISTS
                                          : mps_node_use_pool(&tx, &tree->pool, pool, MPS_TREE_NODE_BYTES);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* ---- ranges ---- */

/* A place as a slice counts it. */
static uint64_t clip(int64_t place, uint64_t count)
{
    if (place < 0) {
        place += (int64_t)count;
    }
    return place < 0 ? 0 : mps_min64((uint64_t)place, count);
}

/* The places [*first, *end) of a range. */
static mps_status places(const mps_view *t, const mps_tree_range *r, uint64_t *first, uint64_t *end)
{
    mps_sought sought;
    mps_status st = MPS_OK;
    *first = r->by_index ? clip(r->start, t->count) : 0;
    *end = r->by_index ? clip(r->stop, t->count) : t->count;
    if (r->from != NULL) {
        mps_sought_make(&sought, r->from);
        st = sought.rank.kind != MPS_ORDER_NONE ? mps_path_bound(t, &sought, r->from_bound, first) : MPS_E_TYPE;
    }
    if (st == MPS_OK && r->to != NULL) {
        mps_sought_make(&sought, r->to);
        st = sought.rank.kind != MPS_ORDER_NONE ? mps_path_bound(t, &sought, r->to_bound, end) : MPS_E_TYPE;
    }
    if (st == MPS_OK && (*first > t->count || *end > t->count)) {
        st = MPS_E_CORRUPT;
    }
    *end = mps_max64(*first, *end);
    uint64_t skip = mps_min64(r->skip, *end - *first);
    *first += r->reverse ? 0 : skip;
    *end -= r->reverse ? skip : 0;
    return mps_tree_sure(st);
}

static mps_status copy_at(mps_tx *tx, const mps_view *t, mps_tree_node *leaf, uint32_t i, unsigned what, mps_snap *out)
{
    mps_status st = (what & MPS_SNAP_KEYS) != 0 ? mps_snap_add(tx, out, mps_value_load(&leaf->keys[i])) : MPS_OK;
    if (st == MPS_OK && (what & MPS_SNAP_VALUES) != 0 && mps_tree_has_slots(t, 0)) {
        st = mps_snap_add(tx, out, mps_value_load(&mps_tree_slots(leaf)[i]));
    }
    return st;
}

/* Copies n items from a place on, in either direction. */
static mps_status copy_items(mps_tx *tx, const mps_view *t, uint64_t first, uint64_t n, bool reverse, unsigned what,
                             mps_snap *out)
{
    mps_path p;
    mps_status st = mps_snap_room(out, n * (what == MPS_SNAP_BOTH ? 2 : 1));
    st = st == MPS_OK ? mps_tree_sure(mps_path_select(t, first, &p)) : st;
    if (st != MPS_OK) {
        return st;
    }
    mps_tree_node *leaf = p.spots[0].node;
    uint32_t used = p.spots[0].n, i = p.spots[0].at;
    while (n > 0 && st == MPS_OK) {
        if (i >= used) {
            mps_off beside = mps_load64(reverse ? &leaf->prev : &leaf->next);
            leaf = beside != 0 ? mps_tree_node_at(t, beside, 0, &used) : NULL;
            i = reverse ? used - 1 : 0;
            if (leaf == NULL || used == 0) {
                return MPS_E_CORRUPT;
            }
        }
        st = copy_at(tx, t, leaf, i, what, out);
        i = reverse ? i - 1 : i + 1; /* below 0: as large as can be, and so beyond what is used */
        n--;
    }
    return st;
}

static mps_status snapshot(mps_tx *tx, mps_tree *tree, mps_tree_range *r, unsigned what, mps_snap *out)
{
    mps_view t;
    uint64_t first, end;
    mps_status st = mps_tree_open(tx, tree, &t);
    r->left = r->first = 0;
    if (st != MPS_OK) {
        return st;
    }
    st = places(&t, r, &first, &end);
    r->first = first;
    if (st != MPS_OK || first == end) {
        return st;
    }
    uint64_t n = mps_min64(end - first, r->limit);
    r->left = end - first - n;
    if (n > t.seg->region.limit / 16) {
        return MPS_E_CORRUPT;
    }
    return n == 0 ? MPS_OK : copy_items(tx, &t, r->reverse ? end - 1 : first, n, r->reverse, what, out);
}

/* A number is changed in place without a word to readers (tree.c): as a table's. */
static mps_status snapshot_twice(mps_tx *tx, mps_tree *tree, mps_tree_range *r, unsigned what, mps_snap *out)
{
    uint64_t from = out->n_items;
    mps_status st = snapshot(tx, tree, r, what, out);
    uint64_t n = out->n_items - from;
    if (st == MPS_OK) {
        st = snapshot(tx, tree, r, what, out);
    }
    return mps_snap_halve(tx, st, out, from, n);
}

static mps_status snapshot_once(mps_seg *seg, mps_door door, mps_off off, mps_tree_range *range, unsigned what,
                                mps_snap *out)
{
    mps_tree *tree = mps_region_at(&seg->region, off);
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t from = out->n_items;
    st = mps_reader_lock(&tx, &tree->object);
    if (st == MPS_OK) {
        out->seq = mps_load32(&tree->object.guard.seq);
        st = tx.reading ? snapshot_twice(&tx, tree, range, what, out) : snapshot(&tx, tree, range, what, out);
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK) {
        mps_snap_drop_refs(seg, door, out, from);
    }
    return st;
}

mps_status mps_tree_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_tree_range *range, unsigned what,
                             mps_snap *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = snapshot_once(seg, door, off, range, what, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}
