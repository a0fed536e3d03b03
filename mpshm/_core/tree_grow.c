/* tree_grow.c -- putting an item into a tree.
 *
 * From the leaf upwards: where a node has room, what comes is put in its place and the way up counts one more; where it has none, the upper
 * half moves to a new node, with what comes on either side, and the new node is what comes into the level above. A node at the right edge
 * that something comes behind the end of keeps all it has, so that keys in order fill nodes wholly.
 */
#include "tree_body.h"

static mps_status new_node(mps_tx *tx, const mps_view *t, uint32_t level, mps_spot *out)
{
    mps_status st = mps_node_alloc(tx, mps_load64(&t->tree->pool), sizeof(mps_tree_node), &out->off);
    if (st != MPS_OK) {
        return st;
    }
    out->node = mps_region_at(&tx->seg->region, out->off);
    out->n = 0;
    out->at = 0;
    mps_fresh64(&out->node->head, (uint64_t)level << 32);
    mps_fresh64(&out->node->next, 0);
    mps_fresh64(&out->node->prev, 0);
    mps_fresh64(&out->node->reserved, 0);
    return MPS_OK;
}

mps_status mps_tree_found(mps_tx *tx, mps_view *t)
{
    mps_off pool = mps_load64(&t->tree->pool), off = 0;
    mps_spot root;
    mps_status st = pool != 0 ? mps_refs_enter(tx) : MPS_OK;
    if (st == MPS_OK && pool != 0) {
        st = mps_object_incref(tx, pool);
    }
    if (st == MPS_OK) {
        st = mps_alloc(tx, sizeof(mps_tree_body), &off);
    }
    if (st == MPS_OK) {
        st = new_node(tx, t, 0, &root);
    }
    if (st != MPS_OK) {
        return st;
    }
    t->body = mps_region_at(&tx->seg->region, off);
    mps_fresh_zero((uint64_t *)t->body, sizeof *t->body / 8);
    mps_store32(&t->body->mortal.kind, MPS_KIND_TREE_NODE);
    mps_store32(&t->body->mortal.flags, t->leaf_cap == MPS_TREE_KEYS);
    t->root = root.off;
    t->height = 1;
    t->count = 0;
    mps_fresh64(&t->body->pool, pool);
    mps_fresh64(&t->body->root, t->root);
    mps_fresh64(&t->body->height, t->height);
    if (!t->fresh) {
        mps_tx_set(tx, &t->tree->body, off);
    }
    return MPS_OK;
}

/* (Somebody who reads what has long been freed may still look at it: see racy.h.) */
static void fresh_shift(mps_value *row, uint32_t first, uint32_t n)
{
    if (!MPS_RACY_ATOMIC) {
        memmove(&row[first + 1], &row[first], (n - first) * sizeof *row);
        return;
    }
    for (uint32_t i = n; i > first; i--) {
        mps_fresh_move(&row[i].w0, &row[i - 1].w0, 2);
    }
}

/* Moves items [first, n) of a row one place to the right. */
static void shift(mps_tx *tx, const mps_view *t, mps_value *row, uint32_t first, uint32_t n)
{
    if (mps_unlikely(t->fresh)) {
        fresh_shift(row, first, n);
    } else {
        mps_tx_shift(tx, mps_region_off(&tx->seg->region, row), first, n, 1);
    }
}

/* Puts an entry in at s->at; there is room. spare: the first place behind those in use holds something that has to be saved. */
static void put(mps_tx *tx, const mps_view *t, mps_spot *s, uint32_t level, mps_value key, mps_value slot, bool spare)
{
    mps_value *rows[2] = {s->node->keys, mps_tree_slots(s->node)};
    mps_value what[2] = {key, slot};
    for (unsigned i = 0; i < (mps_tree_has_slots(t, level) ? 2 : 1); i++) {
        if (spare && !t->fresh) {
            mps_tx_log(tx, &rows[i][s->n].w0);
            mps_tx_log(tx, &rows[i][s->n].w1);
        }
        shift(tx, t, rows[i], s->at, s->n);
        mps_tree_write(&rows[i][s->at], what[i]);
    }
    mps_tree_put_n(tx, t, s, level, s->n + 1);
}

/* Fills a new node with entries [first, n) of a full one, and with one more if that goes among them: at < 0 otherwise. */
static void fill(const mps_view *t, mps_spot *to, const mps_spot *from, uint32_t level, uint32_t first, int64_t at,
                 mps_value key, mps_value slot)
{
    uint32_t before = at < 0 ? from->n - first : (uint32_t)at - first, after = from->n - first - before;
    mps_value *in[2] = {to->node->keys, mps_tree_slots(to->node)};
    mps_value *out[2] = {from->node->keys, mps_tree_slots(from->node)};
    mps_value what[2] = {key, slot};
    for (unsigned i = 0; i < (mps_tree_has_slots(t, level) ? 2 : 1); i++) {
        mps_fresh_move(&in[i]->w0, &out[i][first].w0, before * 2);
        if (at >= 0) {
            mps_tree_write(&in[i][before], what[i]);
            mps_fresh_move(&in[i][before + 1].w0, &out[i][first + before].w0, after * 2);
        }
    }
    to->n = from->n - first + (at >= 0);
    mps_store64(&to->node->head, (uint64_t)level << 32 | to->n);
}

/* How many entries of cap + 1 stay in a node that is split, the one that comes to s->at counted. */
static uint32_t share(const mps_view *t, const mps_path *p, uint32_t level)
{
    const mps_spot *s = &p->spots[level];
    bool edge = s->at == s->n;
    for (uint32_t above = level + 1; edge && above < t->height; above++) {
        edge = p->spots[above].at == p->spots[above].n - 1;
    }
    return edge ? (level == 0 ? s->n : s->n - 1) : (s->n + 1) / 2;
}

/* Splits a full node with an entry that comes to s->at. */
static mps_status split(mps_tx *tx, const mps_view *t, const mps_path *p, mps_spot *s, uint32_t level, mps_value key,
                        mps_value slot, mps_spot *right)
{
    mps_status st = new_node(tx, t, level, right);
    if (st != MPS_OK) {
        return st;
    }
    uint32_t stay = share(t, p, level);
    if (s->at < stay) {
        fill(t, right, s, level, stay - 1, -1, key, slot);
    } else {
        fill(t, right, s, level, stay, s->at, key, slot);
    }
    if (level == 0) {
        mps_off next = mps_load64(&s->node->next);
        mps_fresh64(&right->node->next, next);
        mps_fresh64(&right->node->prev, s->off);
        if (next != 0) {
            uint32_t n;
            mps_tree_node *behind = mps_tree_node_at(t, next, 0, &n);
            if (behind == NULL) {
                return MPS_E_CORRUPT;
            }
            mps_tree_put(tx, t, &behind->prev, right->off);
        }
        mps_tree_put(tx, t, &s->node->next, right->off);
    }
    if (s->at < stay) {
        mps_tree_put_n(tx, t, s, level, stay - 1);
        put(tx, t, s, level, key, slot, true);
    } else {
        mps_tree_put_n(tx, t, s, level, stay);
    }
    return MPS_OK;
}

/* Items below a node. */
static uint64_t total(const mps_spot *s, uint32_t level)
{
    uint64_t sum = level == 0 ? s->n : 0;
    const mps_value *slots = mps_tree_slots(s->node);
    for (uint32_t i = 0; level > 0 && i < s->n; i++) {
        sum += mps_load64(&slots[i].w1);
    }
    return sum;
}

/* A new root above the old one and what was split off it. */
static mps_status raise_root(mps_tx *tx, mps_view *t, uint32_t level, const mps_spot *left, const mps_spot *right)
{
    mps_spot root;
    if (t->height == MPS_TREE_DEPTH) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = new_node(tx, t, level + 1, &root);
    if (st != MPS_OK) {
        return st;
    }
    mps_value *slots = mps_tree_slots(root.node);
    mps_tree_write(&root.node->keys[0], mps_value_load(&left->node->keys[0]));
    mps_tree_write(&root.node->keys[1], mps_value_load(&right->node->keys[0]));
    mps_tree_write(&slots[0], (mps_value){left->off, total(left, level)});
    mps_tree_write(&slots[1], (mps_value){right->off, total(right, level)});
    mps_store64(&root.node->head, (uint64_t)(level + 1) << 32 | 2);
    t->root = root.off;
    t->height++;
    mps_tree_put(tx, t, &t->body->root, t->root);
    mps_tree_put(tx, t, &t->body->height, t->height);
    return MPS_OK;
}

/* One item more below each node above a level; and in all. */
static void count_up(mps_tx *tx, mps_view *t, const mps_path *p, uint32_t level)
{
    while (++level < t->height) {
        const mps_spot *s = &p->spots[level];
        uint64_t *below = &mps_tree_slots(s->node)[s->at].w1;
        mps_tree_put(tx, t, below, mps_load64(below) + 1);
    }
    t->count++;
    mps_tree_put(tx, t, &t->body->count, t->count);
}

mps_status mps_tree_insert(mps_tx *tx, mps_view *t, mps_path *p, mps_value key, mps_value value)
{
    uint32_t level = 0;
    while (p->spots[level].n == mps_tree_cap(t, level)) {
        mps_spot right, *s = &p->spots[level];
        mps_status st = split(tx, t, p, s, level, key, value, &right);
        if (st != MPS_OK) {
            return st;
        }
        if (level + 1 == t->height) {
            st = raise_root(tx, t, level, s, &right);
            count_up(tx, t, p, t->height);
            return st;
        }
        mps_spot *above = &p->spots[++level];
        mps_tree_put(tx, t, &mps_tree_slots(above->node)[above->at].w1, total(s, level - 1));
        key = mps_value_load(&right.node->keys[0]);
        value = (mps_value){right.off, total(&right, level - 1)};
        above->at++;
    }
    put(tx, t, &p->spots[level], level, key, value, t->again);
    count_up(tx, t, p, level);
    return MPS_OK;
}

mps_status mps_tree_exchange_value(mps_tx *tx, const mps_view *t, const mps_path *p, const mps_enc *value)
{
    const mps_spot *leaf = &p->spots[0];
    mps_value now, *at = &mps_tree_slots(leaf->node)[leaf->at], old = mps_value_load(at);
    mps_status st = mps_enc_store(tx, value, &now);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, MPS_ROOM_LINK);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tree_put_value(tx, t, at, now);
    return mps_value_release(tx, old);
}

mps_status mps_tree_locate(const mps_view *t, const mps_sought *sought, mps_path *p, bool *equal)
{
    *equal = false;
    if (t->body == NULL || sought->rank.kind == MPS_ORDER_NONE) {
        return sought->rank.kind == MPS_ORDER_NONE ? MPS_E_TYPE : MPS_OK;
    }
    mps_status st = mps_path_seek(t, sought, t->multi ? MPS_SIDE_UPPER : MPS_SIDE_EXACT, p);
    *equal = st == MPS_OK && !t->multi && mps_path_equal(t, p, sought);
    return mps_tree_sure(st);
}

mps_status mps_tree_store(mps_tx *tx, mps_view *t, mps_path *p, const mps_enc *key, const mps_enc *value)
{
    mps_value k, v = {0, 0};
    mps_status st = mps_enc_store(tx, key, &k);
    if (st == MPS_OK) {
        k = mps_order_mark(tx->seg, k);
    }
    if (st == MPS_OK && value != NULL) {
        st = mps_enc_store(tx, value, &v);
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, mps_tree_room(t));
    }
    if (st == MPS_OK && t->body == NULL) {
        st = mps_tree_found(tx, t);
        if (st == MPS_OK) {
            p->spots[0] = (mps_spot){mps_region_at(&tx->seg->region, t->root), t->root, 0, 0};
        }
    }
    return st == MPS_OK ? mps_tree_insert(tx, t, p, k, v) : st;
}
