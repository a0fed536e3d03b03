#include "tree.h"

#include "reader.h"
#include "tree_body.h"

static mps_tree *tree_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static inline bool readable(const mps_seg *seg)
{
    return mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY);
}

/* ---- reading, with a lock or without ---- */

/* What a reader wants, and what it gets. */
typedef struct question {
    const mps_sought *sought; /* NULL: by place */
    mps_bound bound;
    int64_t index;
    uint64_t place; /* out: of what was found */
    mps_copy *key, *value;
    mps_status (*ask)(const mps_view *t, struct question *q, mps_path *p); /* finds it: the path leads to an item */
} question;

static mps_status ask_key(const mps_view *t, question *q, mps_path *p)
{
    if (t->body == NULL) {
        return MPS_E_NOTFOUND;
    }
    mps_status st = mps_path_seek(t, q->sought, t->multi ? MPS_SIDE_LOWER : MPS_SIDE_EXACT, p);
    if (mps_unlikely(st == MPS_OK && t->multi)) {
        st = mps_path_settle(t, p);
    }
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    return mps_path_equal(t, p, q->sought) ? MPS_OK : MPS_E_NOTFOUND;
}

static mps_status ask_rank(const mps_view *t, question *q, mps_path *p)
{
    (void)p;
    return mps_path_bound(t, q->sought, q->bound, &q->place);
}

static mps_status ask_place(const mps_view *t, question *q, mps_path *p)
{
    uint64_t place = (uint64_t)(q->index < 0 ? q->index + (int64_t)t->count : q->index);
    if (t->body == NULL || place >= t->count) {
        return MPS_E_RANGE;
    }
    mps_status st = mps_path_select(t, place, p);
    return st == MPS_OK && p->spots[0].at >= p->spots[0].n ? MPS_E_RETRY : st;
}

static const mps_value *key_of(const mps_path *p)
{
    return &p->spots[0].node->keys[p->spots[0].at];
}

static mps_value *value_of(const mps_path *p)
{
    return &mps_tree_slots(p->spots[0].node)[p->spots[0].at];
}

/* One look without a lock: MPS_E_RETRY where it takes one, or where the bytes make no sense. */
static inline mps_status look(mps_seg *seg, mps_tree *tree, question *q)
{
    mps_view t;
    mps_path p;
    mps_status st = mps_tree_view(seg, tree, &t);
    if (mps_likely(st == MPS_OK)) {
        st = q->ask(&t, q, &p);
    }
    if (st == MPS_OK && q->key != NULL) {
        st = mps_copy_racy(seg, mps_value_load(key_of(&p)), q->key);
    }
    if (st == MPS_OK && q->value != NULL) {
        st = mps_copy_racy(seg, mps_value_load(value_of(&p)), q->value);
    }
    return st;
}

static mps_status copy_item(mps_tx *tx, const mps_path *p, mps_copy *key, mps_copy *value)
{
    mps_status st = key == NULL ? MPS_OK : mps_copy_locked(tx, mps_value_load(key_of(p)), key);
    return st == MPS_OK && value != NULL ? mps_copy_locked(tx, mps_value_load(value_of(p)), value) : st;
}

static mps_status look_once(mps_seg *seg, mps_door door, mps_tree *tree, question *q)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &tree->object);
    mps_view t;
    mps_path p;
    if (st == MPS_OK) {
        st = mps_tree_open(&tx, tree, &t);
    }
    if (st == MPS_OK) {
        st = mps_tree_sure(q->ask(&t, q, &p));
    }
    if (st == MPS_OK) {
        st = copy_item(&tx, &p, q->key, q->value);
    }
    return mps_copy_end(&tx, st, q->key, q->value);
}

static mps_status look_locked(mps_seg *seg, mps_door door, mps_tree *tree, question *q)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = look_once(seg, door, tree, q);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

static void forget(mps_seg *seg, mps_door door, question *q)
{
    if (q->key != NULL) {
        mps_copy_drop_refs(seg, door, q->key);
    }
    if (q->value != NULL) {
        mps_copy_drop_refs(seg, door, q->value);
    }
}

static mps_status answer(mps_seg *seg, mps_door door, mps_off off, question *q)
{
    mps_tree *tree = tree_at(seg, off);
    for (unsigned n = 0; n < MPS_READ_TRIES && readable(seg); n++) {
        uint32_t seq = mps_read_begin(&tree->object.guard);
        if (mps_unlikely((seq & 1u) != 0)) {
            mps_pause();
            continue;
        }
        mps_status st = look(seg, tree, q);
        bool valid = mps_read_valid(&tree->object.guard, seq);
        if (mps_likely(valid && st != MPS_E_RETRY)) {
            return st;
        }
        forget(seg, door, q);
        if (valid) {
            break;
        }
    }
    return look_locked(seg, door, tree, q);
}

static mps_status len_once(mps_seg *seg, mps_door door, mps_tree *tree, uint64_t *n)
{
    mps_tx tx;
    mps_view t;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st == MPS_OK) {
        st = mps_reader_lock(&tx, &tree->object);
        st = st == MPS_OK ? mps_tree_open(&tx, tree, &t) : st;
        *n = st == MPS_OK ? t.count : 0;
        st = mps_copy_end(&tx, st, NULL, NULL);
    }
    return st;
}

mps_status mps_tree_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_tree *tree = tree_at(seg, off);
    mps_view t;
    for (unsigned i = 0; i < MPS_READ_TRIES && readable(seg); i++) {
        uint32_t seq = mps_read_begin(&tree->object.guard);
        mps_status st = mps_tree_view(seg, tree, &t);
        *n = t.count;
        if (mps_likely(st == MPS_OK && (seq & 1u) == 0 && mps_read_valid(&tree->object.guard, seq))) {
            return MPS_OK;
        }
        mps_pause();
    }
    uint64_t since = 0;
    mps_status st;
    do {
        st = len_once(seg, door, tree, n);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* The calls below make the question; its parts stay where they are until the answer. */

mps_status mps_tree_get(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out)
{
    mps_sought sought;
    mps_sought_make(&sought, key);
    question q = {.sought = &sought, .value = out, .ask = ask_key};
    return answer(seg, door, off, &q);
}

mps_status mps_tree_has(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key)
{
    return mps_tree_get(seg, door, off, key, NULL);
}

mps_status mps_tree_rank(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_bound bound, uint64_t *at)
{
    mps_sought sought;
    mps_sought_make(&sought, key);
    question q = {.sought = &sought, .bound = bound, .ask = ask_rank};
    mps_status st = answer(seg, door, off, &q);
    *at = q.place;
    return st;
}

mps_status mps_tree_item(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *key, mps_copy *value)
{
    question q = {.index = index, .key = key, .value = value, .ask = ask_place};
    return answer(seg, door, off, &q);
}

/* ---- changing ---- */

/* An operation on one key of a tree whose guard is taken: where the key is, or goes. */
typedef struct change {
    mps_tx tx;
    mps_tree *tree;
    mps_view view;
    mps_sought sought;
    mps_path path;
    bool equal;
} change;

/* Begins it; readers still may go on. Whatever it answers, change_end follows unless *open is false. */
static mps_status change_begin(change *c, mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value,
                               bool *open)
{
    c->tree = tree_at(seg, off);
    mps_status st = mps_tx_begin(seg, &c->tx, door);
    *open = st == MPS_OK;
    if (st == MPS_OK && key != NULL) {
        st = mps_enc_prepare(&c->tx, key);
    }
    if (st == MPS_OK && value != NULL) {
        st = mps_enc_prepare(&c->tx, value);
    }
    if (st == MPS_OK) {
        st = mps_tree_enter(&c->tx, c->tree);
    }
    return st == MPS_OK ? mps_tree_open(&c->tx, c->tree, &c->view) : st;
}

static mps_status change_find(change *c, const mps_enc *key)
{
    mps_sought_make(&c->sought, key);
    return mps_tree_locate(&c->view, &c->sought, &c->path, &c->equal);
}

static mps_status change_end(change *c, mps_status st, mps_enc *key, mps_enc *value)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&c->tx);
    } else {
        mps_tx_abort(&c->tx);
    }
    if (mps_unlikely(key->blob != 0)) {
        mps_enc_forget(&c->tx, key);
    }
    if (mps_unlikely(value != NULL && value->blob != 0)) {
        mps_enc_forget(&c->tx, value);
    }
    mps_tx_end(&c->tx);
    return st;
}

static inline void change_write(change *c)
{
    mps_tx_write_begin(&c->tx, &c->tree->object.guard);
}

static mps_status replace_value(change *c, const mps_enc *value)
{
    mps_value *at = value_of(&c->path);
    if (mps_enc_fits_word(value, mps_value_load(at))) {
        mps_store64(&at->w1, value->value.w1);
        return MPS_OK;
    }
    change_write(c);
    return mps_tree_exchange_value(&c->tx, &c->view, &c->path, value);
}

static mps_status insert_new(change *c, const mps_enc *key, const mps_enc *value)
{
    change_write(c);
    return mps_tree_store(&c->tx, &c->view, &c->path, key, value);
}

mps_status mps_tree_set(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value, bool *added)
{
    change c;
    bool open;
    mps_status st = change_begin(&c, seg, door, off, key, value, &open);
    *added = false;
    if (!open) {
        return st;
    }
    if (st == MPS_OK) {
        st = change_find(&c, key);
    }
    if (st == MPS_OK && !c.equal) {
        *added = true;
        st = insert_new(&c, key, value);
    } else if (st == MPS_OK && value != NULL) {
        st = replace_value(&c, value);
    }
    return change_end(&c, st, key, value);
}

/* Inserts the key if it is not there: else MPS_E_EXISTS. */
static mps_status insert_unless(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value)
{
    change c;
    bool open;
    mps_status st = change_begin(&c, seg, door, off, key, value, &open);
    if (!open) {
        return st;
    }
    if (st == MPS_OK) {
        st = change_find(&c, key);
    }
    if (st == MPS_OK) {
        st = c.equal ? MPS_E_EXISTS : insert_new(&c, key, value);
    }
    return change_end(&c, st, key, value);
}

mps_status mps_tree_setdefault(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value, mps_copy *out)
{
    for (;;) {
        mps_status st = mps_tree_get(seg, door, off, key, out);
        if (st != MPS_E_NOTFOUND) {
            return st == MPS_OK ? MPS_E_EXISTS : st;
        }
        st = insert_unless(seg, door, off, key, value);
        if (st != MPS_E_EXISTS || out == NULL) {
            return st;
        }
    }
}

/* Takes the item out that is asked for. */
static mps_status take(mps_seg *seg, mps_door door, mps_off off, question *q)
{
    change c;
    bool open;
    mps_status st = change_begin(&c, seg, door, off, NULL, NULL, &open);
    if (!open) {
        return st;
    }
    if (st == MPS_OK) {
        st = mps_tree_sure(q->ask(&c.view, q, &c.path));
    }
    if (st == MPS_OK) {
        st = copy_item(&c.tx, &c.path, q->key, q->value);
    }
    if (st == MPS_OK) {
        change_write(&c);
        st = mps_tree_erase(&c.tx, &c.view, &c.path);
    }
    return mps_copy_end(&c.tx, st, q->key, q->value);
}

mps_status mps_tree_pop(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out)
{
    mps_sought sought;
    mps_sought_make(&sought, key);
    question q = {.sought = &sought, .value = out, .ask = ask_key};
    return take(seg, door, off, &q);
}

mps_status mps_tree_pop_item(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *key, mps_copy *value)
{
    question q = {.index = index, .key = key, .value = value, .ask = ask_place};
    return take(seg, door, off, &q);
}

/* The item number nth of those that equal the key, if its value is what is expected. */
static mps_status find_nth(change *c, const mps_enc *key, uint64_t nth, const mps_enc *expected)
{
    uint64_t first, end;
    mps_sought_make(&c->sought, key);
    mps_status st = mps_path_bound(&c->view, &c->sought, MPS_BOUND_LOWER, &first);
    if (st == MPS_OK) {
        st = mps_path_bound(&c->view, &c->sought, MPS_BOUND_UPPER, &end);
    }
    if (st != MPS_OK) {
        return mps_tree_sure(st);
    }
    if (first > end || nth >= end - first) {
        return MPS_E_CHANGED;
    }
    st = mps_tree_sure(mps_path_select(&c->view, first + nth, &c->path));
    if (st != MPS_OK || c->path.spots[0].at >= c->path.spots[0].n) {
        return st != MPS_OK ? st : MPS_E_CORRUPT;
    }
    return mps_value_same(c->tx.seg, mps_value_load(value_of(&c->path)), expected) ? MPS_OK : MPS_E_CHANGED;
}

mps_status mps_tree_remove(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, uint64_t nth,
                           const mps_enc *expected)
{
    change c;
    bool open;
    mps_status st = change_begin(&c, seg, door, off, NULL, NULL, &open);
    if (!open) {
        return st;
    }
    if (st == MPS_OK) {
        st = find_nth(&c, key, nth, expected);
    }
    if (st == MPS_OK) {
        change_write(&c);
        st = mps_tree_erase(&c.tx, &c.view, &c.path);
    }
    return mps_copy_end(&c.tx, st, NULL, NULL);
}

static mps_status exchange(change *c, const mps_enc *key, const mps_enc *expected, const mps_enc *value)
{
    mps_status st = change_find(c, key);
    if (st != MPS_OK) {
        return st;
    }
    if (!c->equal) {
        return expected != NULL ? MPS_E_CHANGED : value == NULL ? MPS_OK : insert_new(c, key, value);
    }
    if (expected == NULL || !mps_value_same(c->tx.seg, mps_value_load(value_of(&c->path)), expected)) {
        return MPS_E_CHANGED;
    }
    if (value != NULL) {
        return replace_value(c, value);
    }
    change_write(c);
    return mps_tree_erase(&c->tx, &c->view, &c->path);
}

mps_status mps_tree_exchange(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, const mps_enc *expected,
                             mps_enc *value)
{
    change c;
    bool open;
    mps_status st = change_begin(&c, seg, door, off, key, value, &open);
    if (!open) {
        return st;
    }
    if (st == MPS_OK) {
        st = exchange(&c, key, expected, value);
    }
    return change_end(&c, st, key, value);
}

static mps_status add(change *c, const mps_enc *key, int64_t n, int64_t start, int64_t *sum)
{
    mps_status st = change_find(c, key);
    if (st != MPS_OK) {
        return st;
    }
    mps_value old = c->equal ? mps_value_load(value_of(&c->path)) : mps_value_int(start);
    unsigned tag = (unsigned)(old.w0 & 0xff);
    if (tag != MPS_TAG_INT && tag != MPS_TAG_BOOL) {
        return MPS_E_EXISTS;
    }
    if (__builtin_add_overflow((int64_t)old.w1, n, sum)) {
        return MPS_E_OVERFLOW;
    }
    mps_enc value = {.value = mps_value_int(*sum)};
    return c->equal ? replace_value(c, &value) : insert_new(c, key, &value);
}

mps_status mps_tree_add(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, int64_t n, int64_t start, int64_t *sum)
{
    change c;
    bool open;
    mps_status st = change_begin(&c, seg, door, off, key, NULL, &open);
    if (!open) {
        return st;
    }
    if (st == MPS_OK) {
        st = add(&c, key, n, start, sum);
    }
    return change_end(&c, st, key, NULL);
}
