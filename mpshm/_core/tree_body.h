/* tree_body.h -- inside a tree: its nodes, and the way from the root to an item. For tree*.c only.
 *
 * A path names a node and a place in it for each level, the leaf's first. In a leaf the place is an item's, or where one would go (n: behind
 * the last); in others that of the child that the path goes through.
 *
 * A tree that this operation makes is `fresh`: nobody sees its nodes, so they change without the journal.
 *
 * Where a node gives its last items away (a split, a neighbour's borrowing), they stay behind those in use until the operation ends: to
 * undo it, only the number of those in use is set back. So whoever in the same operation writes there later, saves them first.
 */
#ifndef MPS_TREE_BODY_H
#define MPS_TREE_BODY_H

#include "tree.h"

#ifndef MPS_TREE_FANOUT
#define MPS_TREE_FANOUT \
    62u /* keys of a node that has slots; measured: see benchmarks/compare/boost/core_containers.c */
#endif
#define MPS_TREE_KEYS (2u * MPS_TREE_FANOUT) /* keys of a leaf that has none */
#define MPS_TREE_DEPTH 16u
#define MPS_TREE_MOVE 8u /* items that move at once between neighbours */

typedef struct mps_tree_node {
    uint64_t head; /* level << 32 | n: keys in use */
    uint64_t next; /* leaves: offset of the next; 0 last. Others: 0 */
    uint64_t prev; /* leaves: offset of the one before; 0 first. Others: 0 */
    uint64_t reserved;
    mps_value keys[MPS_TREE_KEYS]; /* with slots: cap keys, then cap slots */
} mps_tree_node;

typedef struct mps_tree_body {
    mps_mortal mortal; /* flags: 1 leaves have keys only */
    uint64_t pool;     /* as the tree's; counted once more */
    uint64_t root;     /* offset of the root; 0 only in limbo, or while it is being made */
    uint64_t height;   /* levels, 1 at least */
    uint64_t count;    /* items */
    uint64_t reserved;
} mps_tree_body;

_Static_assert(sizeof(mps_tree_node) == 32 + 32 * MPS_TREE_FANOUT, "stored");
_Static_assert(sizeof(mps_tree_node) == MPS_TREE_NODE_BYTES, "what a pool is asked for");
_Static_assert(offsetof(mps_tree_node, keys) == 32, "stored");
_Static_assert(sizeof(mps_tree_body) == 64, "stored");
_Static_assert(offsetof(mps_tree_body, root) == 32, "stored");
_Static_assert(offsetof(mps_tree_body, count) == 48, "stored");

/* A tree as one operation sees it. */
typedef struct mps_view {
    mps_seg *seg;
    mps_tree *tree;
    mps_tree_body *body; /* NULL: none yet */
    mps_off root;
    uint64_t count;
    uint32_t height;
    uint32_t leaf_cap; /* keys that fit into a leaf */
    bool fresh;
    bool again; /* this operation has put items in before: what stands behind those in use may be needed to undo that */
    bool multi; /* several items of one key */
} mps_view;

typedef struct mps_spot {
    mps_tree_node *node;
    mps_off off;
    uint32_t n;  /* keys in use */
    uint32_t at; /* place in it */
} mps_spot;

typedef struct mps_path {
    mps_spot spots[MPS_TREE_DEPTH]; /* [0] the leaf, [height - 1] the root */
} mps_path;

/* Where a search goes when it meets equal keys. */
typedef enum mps_side {
    MPS_SIDE_LOWER, /* to the first item that is not less, which may be the first of the next leaf */
    MPS_SIDE_UPPER, /* to the first that is greater */
    MPS_SIDE_EXACT, /* where keys differ: to the item, or where it goes, in that leaf */
} mps_side;

/* ---- nodes ---- */

static inline uint32_t mps_tree_n(const mps_tree_node *node)
{
    return (uint32_t)mps_load64(&node->head);
}

static inline uint32_t mps_tree_cap(const mps_view *t, uint32_t level)
{
    return level == 0 ? t->leaf_cap : MPS_TREE_FANOUT;
}

static inline bool mps_tree_has_slots(const mps_view *t, uint32_t level)
{
    return level != 0 || t->leaf_cap == MPS_TREE_FANOUT;
}

/* How few keys a node may have that is neither the root nor at the right edge. */
static inline uint32_t mps_tree_least(const mps_view *t, uint32_t level)
{
    return mps_tree_cap(t, level) / 2 - 2;
}

/* Values of a leaf; {child, count} of others. */
static inline mps_value *mps_tree_slots(mps_tree_node *node)
{
    return node->keys + MPS_TREE_FANOUT;
}

/* The node at an offset of which nothing is known; NULL when it can't be one of that level. */
static inline mps_tree_node *mps_tree_node_at(const mps_view *t, mps_off off, uint32_t level, uint32_t *n)
{
    if (mps_unlikely((off & 15) != 0 || off < t->seg->arena ||
                     !mps_region_holds(&t->seg->region, off, sizeof(mps_tree_node)))) {
        return NULL;
    }
    mps_tree_node *node = mps_region_at(&t->seg->region, off);
    uint64_t head = mps_load64(&node->head);
    *n = (uint32_t)head;
    bool sane = head >> 32 == level && *n <= mps_tree_cap(t, level) && (level == 0 || *n > 0);
    return mps_likely(sane) ? node : NULL;
}

/* The tree's body and what it says: MPS_OK (also without one), or MPS_E_RETRY when it makes no sense. */
static inline mps_status mps_tree_view(mps_seg *seg, mps_tree *tree, mps_view *t)
{
    mps_off off = mps_load64(&tree->body);
    uint32_t kind = mps_load32(&tree->object.mortal.kind);
    t->seg = seg;
    t->tree = tree;
    t->body = NULL;
    t->count = 0;
    t->height = 0;
    t->root = 0;
    t->leaf_cap = kind == MPS_KIND_SORTED_SET ? MPS_TREE_KEYS : MPS_TREE_FANOUT;
    t->fresh = false;
    t->again = false;
    t->multi = kind == MPS_KIND_MULTI_MAP;
    if (mps_unlikely(off == 0)) {
        return MPS_OK;
    }
    if (mps_unlikely((off & 15) != 0 || off < seg->arena ||
                     !mps_region_holds(&seg->region, off, sizeof(mps_tree_body)))) {
        return MPS_E_RETRY;
    }
    t->body = mps_region_at(&seg->region, off);
    uint64_t height = mps_load64(&t->body->height);
    t->root = mps_load64(&t->body->root);
    t->count = mps_load64(&t->body->count);
    t->height = (uint32_t)height;
    return mps_likely(height - 1 < MPS_TREE_DEPTH) ? MPS_OK : MPS_E_RETRY;
}

/* The same under the guard, where nonsense is MPS_E_CORRUPT. */
static inline mps_status mps_tree_open(mps_tx *tx, mps_tree *tree, mps_view *t)
{
    return mps_likely(mps_tree_view(tx->seg, tree, t) == MPS_OK) ? MPS_OK : MPS_E_CORRUPT;
}

/* Takes the guard for a change, unless somebody else holds the user's lock. */
static inline mps_status mps_tree_enter(mps_tx *tx, mps_tree *tree)
{
    mps_status st = mps_tx_lock(tx, &tree->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &tree->object.user) : st;
}

static inline bool mps_path_equal(const mps_view *t, const mps_path *p, const mps_sought *key)
{
    const mps_spot *leaf = &p->spots[0];
    return leaf->at < leaf->n && mps_order_equal(t->seg, mps_value_load(&leaf->node->keys[leaf->at]), key);
}

/* Changes a word of a node, with the journal unless the tree is fresh. */
static inline void mps_tree_put(mps_tx *tx, const mps_view *t, uint64_t *word, uint64_t value)
{
    if (mps_unlikely(t->fresh)) {
        mps_store64(word, value);
    } else {
        mps_tx_set(tx, word, value);
    }
}

static inline void mps_tree_put_value(mps_tx *tx, const mps_view *t, mps_value *to, mps_value v)
{
    mps_tree_put(tx, t, &to->w0, v.w0);
    mps_tree_put(tx, t, &to->w1, v.w1);
}

/* Writes a value where nobody reaches it, or where what stands there has been saved. */
static inline void mps_tree_write(mps_value *to, mps_value v)
{
    mps_store64(&to->w0, v.w0);
    mps_store64(&to->w1, v.w1);
}

static inline void mps_tree_put_n(mps_tx *tx, const mps_view *t, mps_spot *s, uint32_t level, uint32_t n)
{
    s->n = n;
    mps_tree_put(tx, t, &s->node->head, (uint64_t)level << 32 | n);
}

/* ---- tree_path.c: without a lock or with one; of a tree that has a body. MPS_E_RETRY for nonsense, MPS_E_TYPE ---- */

mps_status mps_path_seek(const mps_view *t, const mps_sought *key, mps_side side, mps_path *p);
/* The item at a place, place <= count; count: behind the last. */
mps_status mps_path_select(const mps_view *t, uint64_t place, mps_path *p);
/* How many items come before where the path leads. */
uint64_t mps_path_rank(const mps_view *t, const mps_path *p);
/* From behind a leaf's last item to the first of the next, unless it is the tree's last leaf. */
mps_status mps_path_settle(const mps_view *t, mps_path *p);
/* The place before a bound of a key, found by that alone. */
mps_status mps_path_bound(const mps_view *t, const mps_sought *key, mps_bound bound, uint64_t *at);

/* ---- tree_grow.c, tree_shrink.c: under the guard, its sequence odd ---- */

/* A body with an empty leaf, for a tree that has none; swings it in unless fresh. */
mps_status mps_tree_found(mps_tx *tx, mps_view *t);
/* Puts an item in where the path leads; the path leads nowhere afterwards. */
mps_status mps_tree_insert(mps_tx *tx, mps_view *t, mps_path *p, mps_value key, mps_value value);
/* Takes the item out to which the path leads, without releasing it. */
mps_status mps_tree_cut(mps_tx *tx, mps_view *t, mps_path *p);
/* Where a key is (*equal), or goes; also in a tree that has no body. Nonsense is MPS_E_CORRUPT. */
mps_status mps_tree_locate(const mps_view *t, const mps_sought *sought, mps_path *p, bool *equal);
/* Stores key and value (NULL: none) as a new item where the path leads, making a body if there is none. */
mps_status mps_tree_store(mps_tx *tx, mps_view *t, mps_path *p, const mps_enc *key, const mps_enc *value);
/* Releases the item to which the path leads, and takes it out. */
mps_status mps_tree_erase(mps_tx *tx, mps_view *t, mps_path *p);
/* Puts a value in the place of that to which the path leads. */
mps_status mps_tree_exchange_value(mps_tx *tx, const mps_view *t, const mps_path *p, const mps_enc *value);
/* Hands the body over to die with what is in it. */
mps_status mps_tree_empty(mps_tx *tx, mps_view *t);
/* Journal entries that an insertion or a removal may add. */
static inline uint64_t mps_tree_room(const mps_view *t)
{
    return 18u * (t->height + 1) + 6u * MPS_TREE_MOVE;
}

/* Under the guard, nonsense is MPS_E_CORRUPT. */
static inline mps_status mps_tree_sure(mps_status st)
{
    return st == MPS_E_RETRY ? MPS_E_CORRUPT : st;
}

#endif
