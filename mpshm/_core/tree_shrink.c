/* tree_shrink.c -- taking items out of a tree, and the tree apart.
 *
 * From the leaf upwards: where a node has become too empty, it takes some entries from a neighbour below the same parent, which ends it,
 * or the right one of both goes into the left one and its entry out of the parent, which may be too empty then. A root with one child
 * gives way to it. None of this needs memory: taking out works in a full segment. Nothing is taken out of a tree that is fresh.
 */
#include "tree_body.h"

/* Moves items [first, n) of a row to the left by k places, of which what is overwritten is saved. */
static void close_gap(mps_tx *tx, mps_value *row, uint32_t first, uint32_t n, uint32_t k)
{
    for (uint32_t i = first - k; i < first; i++) {
        mps_tx_log(tx, &row[i].w0);
        mps_tx_log(tx, &row[i].w1);
    }
    mps_tx_shift(tx, mps_region_off(&tx->seg->region, row), first, n, -(int64_t)k);
}

/* Takes k entries from at on out of a node. */
static void take_out(mps_tx *tx, const mps_view *t, mps_spot *s, uint32_t level, uint32_t at, uint32_t k)
{
    close_gap(tx, s->node->keys, at + k, s->n, k);
    if (mps_tree_has_slots(t, level)) {
        close_gap(tx, mps_tree_slots(s->node), at + k, s->n, k);
    }
    mps_tree_put_n(tx, t, s, level, s->n - k);
}

/* Copies entries [first, first + k) behind those in use of another node. */
static void append(const mps_view *t, mps_spot *to, const mps_spot *from, uint32_t level, uint32_t first, uint32_t k)
{
    for (uint32_t i = 0; i < k; i++) {
        mps_tree_write(&to->node->keys[to->n + i], mps_value_load(&from->node->keys[first + i]));
        if (mps_tree_has_slots(t, level)) {
            mps_tree_write(&mps_tree_slots(to->node)[to->n + i],
                           mps_value_load(&mps_tree_slots(from->node)[first + i]));
        }
    }
}

/* Items below k entries from first on. */
static uint64_t below(const mps_spot *s, uint32_t level, uint32_t first, uint32_t k)
{
    uint64_t sum = level == 0 ? k : 0;
    for (uint32_t i = first; level > 0 && i < first + k; i++) {
        sum += mps_load64(&mps_tree_slots(s->node)[i].w1);
    }
    return sum;
}

/* Two neighbours below one parent, of which the right one is child `at` there. */
typedef struct pair {
    mps_spot left, right, *parent;
    uint32_t at, level;
} pair;

/* Moves the items that are counted below both neighbours: k from right to left, or, negative, from left to right. */
static void count_moved(mps_tx *tx, const mps_view *t, const pair *both, int64_t moved)
{
    mps_value *slots = mps_tree_slots(both->parent->node);
    uint64_t *left = &slots[both->at - 1].w1, *right = &slots[both->at].w1;
    mps_tree_put(tx, t, left, mps_load64(left) + (uint64_t)moved);
    mps_tree_put(tx, t, right, mps_load64(right) - (uint64_t)moved);
}

/* The key of the parent's entry for the right one; as that one's first key, and of entries that move. */
static mps_value separator(const pair *both)
{
    return mps_value_load(&both->parent->node->keys[both->at]);
}

/* Saves k entries from first on, which this operation may write over later: a removal that follows this one. */
static void save(mps_tx *tx, const mps_view *t, const mps_spot *s, uint32_t level, uint32_t first, uint32_t k)
{
    mps_value *rows[2] = {s->node->keys, mps_tree_slots(s->node)};
    for (unsigned row = 0; row < (mps_tree_has_slots(t, level) ? 2 : 1); row++) {
        for (uint32_t i = first; i < first + k; i++) {
            mps_tx_log(tx, &rows[row][i].w0);
            mps_tx_log(tx, &rows[row][i].w1);
        }
    }
}

static void move_left(mps_tx *tx, const mps_view *t, pair *both, uint32_t k)
{
    mps_spot *left = &both->left, *right = &both->right;
    append(t, left, right, both->level, 0, k);
    mps_tree_write(&left->node->keys[left->n], separator(both));
    count_moved(tx, t, both, (int64_t)below(right, both->level, 0, k));
    mps_tree_put_value(tx, t, &both->parent->node->keys[both->at], mps_value_load(&right->node->keys[k]));
    mps_tree_put_n(tx, t, left, both->level, left->n + k);
    take_out(tx, t, right, both->level, 0, k);
}

static void move_right(mps_tx *tx, const mps_view *t, pair *both, uint32_t k)
{
    mps_spot *left = &both->left, *right = &both->right;
    mps_spot front = *right;
    uint32_t first = left->n - k;
    mps_tx_shift(tx, mps_region_off(&tx->seg->region, right->node->keys), 0, right->n, k);
    if (mps_tree_has_slots(t, both->level)) {
        mps_tx_shift(tx, mps_region_off(&tx->seg->region, mps_tree_slots(right->node)), 0, right->n, k);
    }
    front.n = 0;
    append(t, &front, left, both->level, first, k);
    mps_tree_write(&right->node->keys[k], separator(both));
    count_moved(tx, t, both, -(int64_t)below(left, both->level, first, k));
    mps_tree_put_value(tx, t, &both->parent->node->keys[both->at], mps_value_load(&left->node->keys[first]));
    save(tx, t, left, both->level, first, k);
    mps_tree_put_n(tx, t, right, both->level, right->n + k);
    mps_tree_put_n(tx, t, left, both->level, first);
}

static mps_status unlink_leaf(mps_tx *tx, const mps_view *t, const pair *both)
{
    mps_off next = mps_load64(&both->right.node->next);
    mps_tree_put(tx, t, &both->left.node->next, next);
    if (next != 0) {
        uint32_t n;
        mps_tree_node *behind = mps_tree_node_at(t, next, 0, &n);
        if (behind == NULL) {
            return MPS_E_CORRUPT;
        }
        mps_tree_put(tx, t, &behind->prev, both->left.off);
    }
    return MPS_OK;
}

/* The right one goes into the left one. */
static mps_status merge(mps_tx *tx, const mps_view *t, pair *both)
{
    mps_spot *left = &both->left, *right = &both->right, *parent = both->parent;
    mps_value *slots = mps_tree_slots(parent->node);
    append(t, left, right, both->level, 0, right->n);
    if (right->n > 0) {
        mps_tree_write(&left->node->keys[left->n], separator(both));
    }
    mps_tree_put_n(tx, t, left, both->level, left->n + right->n);
    mps_tree_put(tx, t, &slots[both->at - 1].w1, mps_load64(&slots[both->at - 1].w1) + mps_load64(&slots[both->at].w1));
    mps_status st = both->level == 0 ? unlink_leaf(tx, t, both) : MPS_OK;
    take_out(tx, t, parent, both->level + 1, both->at, 1);
    return st == MPS_OK ? mps_node_free(tx, mps_load64(&t->tree->pool), right->off) : st;
}

/* The node of the path at a level is too empty: *go_on, its parent may be, too. */
static mps_status refill(mps_tx *tx, const mps_view *t, mps_path *p, uint32_t level, bool *go_on)
{
    mps_spot *parent = &p->spots[level + 1], other = {.off = 0}, *self = &p->spots[level];
    *go_on = false;
    if (parent->n < 2) {
        return MPS_E_CORRUPT;
    }
    pair both = {.parent = parent, .at = parent->at > 0 ? parent->at : 1, .level = level};
    other.off = mps_load64(&mps_tree_slots(parent->node)[parent->at > 0 ? both.at - 1 : both.at].w0);
    other.node = mps_tree_node_at(t, other.off, level, &other.n);
    if (other.node == NULL || other.off == self->off) {
        return MPS_E_CORRUPT;
    }
    both.left = parent->at > 0 ? other : *self;
    both.right = parent->at > 0 ? *self : other;
    uint32_t sum = self->n + other.n;
    if (sum <= mps_tree_cap(t, level)) {
        *go_on = true;
        return merge(tx, t, &both);
    }
    uint32_t k = (uint32_t)mps_min64(sum / 2 - self->n, MPS_TREE_MOVE);
    if (parent->at > 0) {
        move_right(tx, t, &both, k);
    } else {
        move_left(tx, t, &both, k);
    }
    return MPS_OK;
}

/* A root with one child gives way to it. */
static mps_status lower_root(mps_tx *tx, mps_view *t, const mps_path *p)
{
    const mps_spot *root = &p->spots[t->height - 1];
    if (t->height == 1 || root->n > 1) {
        return MPS_OK;
    }
    t->root = mps_load64(&mps_tree_slots(root->node)[0].w0);
    t->height--;
    mps_tree_put(tx, t, &t->body->root, t->root);
    mps_tree_put(tx, t, &t->body->height, t->height);
    return mps_node_free(tx, mps_load64(&t->tree->pool), root->off);
}

mps_status mps_tree_cut(mps_tx *tx, mps_view *t, mps_path *p)
{
    mps_spot *leaf = &p->spots[0];
    if (leaf->at >= leaf->n || t->count == 0) {
        return MPS_E_CORRUPT;
    }
    take_out(tx, t, leaf, 0, leaf->at, 1);
    bool first = leaf->at == 0 && leaf->n > 0; /* of its leaf: somewhere above, it is the key of an entry */
    for (uint32_t level = 1; level < t->height; level++) {
        mps_spot *s = &p->spots[level];
        uint64_t *n = &mps_tree_slots(s->node)[s->at].w1;
        mps_tree_put(tx, t, n, mps_load64(n) - 1);
        if (first && s->at > 0) {
            mps_tree_put_value(tx, t, &s->node->keys[s->at], mps_value_load(&leaf->node->keys[0]));
            first = false;
        }
    }
    t->count--;
    mps_tree_put(tx, t, &t->body->count, t->count);
    mps_status st = MPS_OK;
    bool go_on = true;
    for (uint32_t level = 0; level + 1 < t->height && go_on && st == MPS_OK; level++) {
        if (p->spots[level].n >= mps_tree_least(t, level)) {
            return MPS_OK;
        }
        st = refill(tx, t, p, level, &go_on);
    }
    return st == MPS_OK ? lower_root(tx, t, p) : st;
}

mps_status mps_tree_erase(mps_tx *tx, mps_view *t, mps_path *p)
{
    const mps_spot *leaf = &p->spots[0];
    mps_status st = mps_value_release(tx, mps_value_load(&leaf->node->keys[leaf->at]));
    if (st == MPS_OK && mps_tree_has_slots(t, 0)) {
        st = mps_value_release(tx, mps_value_load(&mps_tree_slots(leaf->node)[leaf->at]));
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, mps_tree_room(t));
    }
    return st == MPS_OK ? mps_tree_cut(tx, t, p) : st;
}

/* ---- dying ---- */

mps_status mps_tree_empty(mps_tx *tx, mps_view *t)
{
    mps_off off = mps_load64(&t->tree->body);
    mps_tx_set(tx, &t->tree->body, 0);
    return mps_mortal_drop(tx, off);
}

mps_status mps_tree_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    mps_tree *tree = (mps_tree *)m;
    mps_view t;
    (void)off;
    *done = false;
    if (mps_tree_view(tx->seg, tree, &t) != MPS_OK) {
        return MPS_E_CORRUPT;
    }
    if (t.body != NULL) {
        return mps_tree_empty(tx, &t);
    }
    mps_off pool = mps_load64(&tree->pool);
    *done = pool == 0;
    if (pool == 0) {
        return MPS_OK;
    }
    mps_tx_set(tx, &tree->pool, 0);
    return mps_object_decref(tx, pool);
}

#define DROP_FILL (MPS_OUTER - 96u) /* entries of the journal from which on a step ends: one item needs less than 90 */
#define DROP_SCAN 64u               /* nodes that one step looks at */

/* The view of a body in limbo, whose last node is taken apart first: nothing else changes in it. */
static mps_status dying_view(mps_seg *seg, mps_tree_body *body, mps_view *t)
{
    uint64_t height = mps_load64(&body->height);
    *t = (mps_view){.seg = seg, .body = body, .root = mps_load64(&body->root), .height = (uint32_t)height};
    t->leaf_cap = (mps_load32(&body->mortal.flags) & 1) != 0 ? MPS_TREE_KEYS : MPS_TREE_FANOUT;
    return height - 1 < MPS_TREE_DEPTH ? MPS_OK : MPS_E_CORRUPT;
}

/* A node of a dying tree may have no entry left. */
static mps_tree_node *dying_node(const mps_view *t, mps_off off, uint32_t level, uint32_t *n)
{
    if ((off & 15) != 0 || off < t->seg->arena || !mps_region_holds(&t->seg->region, off, sizeof(mps_tree_node))) {
        return NULL;
    }
    mps_tree_node *node = mps_region_at(&t->seg->region, off);
    uint64_t head = mps_load64(&node->head);
    *n = (uint32_t)head;
    return head >> 32 == level && *n <= mps_tree_cap(t, level) ? node : NULL;
}

/* Releases items of a leaf, the last first, as long as the journal has room; *left: how many are not. */
static mps_status release_items(mps_tx *tx, const mps_view *t, mps_tree_node *leaf, uint32_t n, uint32_t *left)
{
    mps_status st = MPS_OK;
    for (*left = n; *left > 0 && st == MPS_OK && mps_ctl_outer(tx->ctl) <= DROP_FILL; --*left) {
        st = mps_value_release(tx, mps_value_load(&leaf->keys[*left - 1]));
        if (st == MPS_OK && mps_tree_has_slots(t, 0)) {
            st = mps_value_release(tx, mps_value_load(&mps_tree_slots(leaf)[*left - 1]));
        }
    }
    return st;
}

/* Goes down the right edge and takes its last node apart, or off its parent when it is empty; *gone: the root was that. */
static mps_status drop_last(mps_tx *tx, const mps_view *t, mps_off pool, bool *gone)
{
    mps_tree_node *node = NULL, *parent = NULL;
    mps_off off = t->root;
    uint32_t n = 0, n_parent = 0, level = t->height, left = 0;
    *gone = false;
    do {
        parent = node;
        n_parent = n;
        node = dying_node(t, off, --level, &n);
        if (node == NULL) {
            return MPS_E_CORRUPT;
        }
        if (level > 0 && n > 0) {
            off = mps_load64(&mps_tree_slots(node)[n - 1].w0);
        }
    } while (level > 0 && n > 0);
    mps_status st = level == 0 ? release_items(tx, t, node, n, &left) : MPS_OK;
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, 8);
    }
    if (st != MPS_OK) {
        return st;
    }
    if (left > 0) {
        mps_tx_set(tx, &node->head, left);
        return MPS_OK;
    }
    if (parent == NULL) {
        mps_tx_set(tx, &t->body->root, 0);
        *gone = true;
    } else {
        mps_tx_set(tx, &parent->head, (uint64_t)(level + 1) << 32 | (n_parent - 1));
    }
    return mps_node_free(tx, pool, off);
}

mps_status mps_tree_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    mps_tree_body *body = (mps_tree_body *)m;
    mps_off pool = mps_load64(&body->pool);
    mps_view t = {0};
    (void)off;
    *done = false;
    bool gone = mps_load64(&body->root) == 0;
    mps_status st = gone ? MPS_OK : dying_view(tx->seg, body, &t);
    for (uint32_t i = 0; i < DROP_SCAN && !gone && st == MPS_OK && mps_ctl_outer(tx->ctl) <= DROP_FILL; i++) {
        st = drop_last(tx, &t, pool, &gone);
    }
    if (st != MPS_OK || !gone) {
        return st;
    }
    *done = true;
    if (pool != 0) {
        mps_tx_set(tx, &body->pool, 0);
        st = mps_object_decref(tx, pool);
    }
    return st;
}
