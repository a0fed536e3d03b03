#include "linked_body.h"

#define DROP_NODES 24u              /* nodes that one step takes apart */
#define DROP_FILL (MPS_OUTER - 80u) /* entries of the journal from which on a step ends: one node needs less than 80 */

static inline mps_status end_with(mps_tx *tx, mps_status st, mps_enc *value)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    if (mps_unlikely(value != NULL && value->blob != 0)) {
        mps_enc_forget(tx, value);
    }
    mps_tx_end(tx);
    return st;
}

/* ---- putting in ---- */

/* n ids that nobody else has; those that are left over when the operation fails are never used. */
static inline mps_status take_ids(mps_tx *tx, mps_linked *l, uint64_t n, uint64_t *first)
{
    uint64_t id = mps_load64(&l->id);
    if (mps_unlikely(id == 0 || mps_load64(&l->last_id) - id < n || mps_load64(&l->last_id) < id)) {
        mps_status st = mps_refs_enter(tx);
        if (st == MPS_OK) {
            st = mps_tx_reserve(tx, 4);
        }
        if (st != MPS_OK) {
            return st;
        }
        mps_root *root = mps_seg_root(tx->seg);
        id = mps_load64(&root->next_serial);
        uint64_t many = mps_max64(n, MPS_LINKED_IDS);
        mps_tx_set(tx, &root->next_serial, id + many);
        mps_tx_set(tx, &l->last_id, id + many);
        mps_tx_set(tx, &l->id, id);
    }
    *first = id;
    mps_store64(&l->id, id + n);
    return MPS_OK;
}

/* One more node behind `last`, which nobody but this operation can reach; last is not linked to it yet. */
static inline mps_status make(mps_tx *tx, mps_linked *l, const mps_enc *value, mps_off prev, uint64_t id, mps_off *node)
{
    mps_value now;
    mps_status st = mps_enc_store(tx, value, &now);
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_reserve(tx, MPS_ROOM_NODE);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_node_alloc(tx, mps_load64(&l->pool), sizeof(mps_link), node);
    }
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_link *link = mps_link_at(tx->seg, *node);
    if (mps_unlikely(link == NULL)) {
        return MPS_E_CORRUPT;
    }
    mps_fresh64(&link->prev, prev);
    mps_fresh64(&link->id, id);
    mps_fresh64(&link->value.w0, now.w0);
    mps_fresh64(&link->value.w1, now.w1);
    mps_crash_point();
    return MPS_OK;
}

/* Links nodes first..last in before `to`, so that there are `count`. */
static inline mps_status link_in(mps_tx *tx, mps_linked *l, mps_link *to, mps_link *prev, mps_off first, mps_off last,
                                 uint64_t count)
{
    mps_status st = mps_tx_reserve(tx, 8);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_log_all(tx, (uint64_t *[]){&prev->next, &to->prev, &l->count}, 3);
    mps_store64(&prev->next, first);
    mps_store64(&to->prev, last);
    mps_store64(&l->count, count);
    return MPS_OK;
}

static mps_status insert(mps_tx *tx, mps_linked *l, mps_link *to, const mps_enc *values, uint64_t n, mps_cursor *made)
{
    uint64_t id = 0;
    mps_off first = 0, last = 0, node = 0;
    mps_link *prev = mps_link_prev(tx->seg, l, to);
    uint64_t count = mps_load64(&l->count);
    if (prev == NULL || count > mps_linked_most(tx->seg)) {
        return MPS_E_CORRUPT;
    }
    bool plain = n == 1 && mps_enc_is_plain(values);
    mps_status st = plain ? MPS_OK : mps_refs_enter(tx); /* before the first node: node.h */
    if (mps_likely(st == MPS_OK)) {
        st = take_ids(tx, l, n, &id);
    }
    last = mps_region_off(&tx->seg->region, prev);
    for (uint64_t i = 0; i < n && mps_likely(st == MPS_OK); i++) {
        st = make(tx, l, &values[i], last, id + i, &node);
        if (st == MPS_OK && i > 0) {
            mps_fresh64(&mps_link_at(tx->seg, last)->next, node);
        }
        first = i == 0 ? node : first;
        last = node;
    }
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_write_begin(tx, &l->object.guard);
    mps_fresh64(&mps_link_at(tx->seg, last)->next, mps_region_off(&tx->seg->region, to));
    st = link_in(tx, l, to, prev, first, last, count + n);
    if (made != NULL) {
        *made = (mps_cursor){first, id, mps_load64(&l->moves)};
    }
    return st;
}

mps_status mps_linked_insert(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, bool after, mps_enc *values,
                             uint64_t n, mps_cursor *made)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_link *link;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (n == 1) {
        st = mps_enc_prepare(&tx, values);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_linked_enter(&tx, l);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_linked_spot(seg, l, spot, true, &link);
    }
    if (st == MPS_OK && after) {
        st = mps_link_is_end(l, link) ? MPS_E_RANGE : MPS_OK;
        link = st == MPS_OK ? mps_link_next(seg, l, link) : link;
        st = link == NULL ? MPS_E_CORRUPT : st;
    }
    if (mps_likely(st == MPS_OK && n > 0)) {
        st = insert(&tx, l, link, values, n, made);
    }
    return end_with(&tx, st, n == 1 ? values : NULL);
}

/* ---- changing, taking out ---- */

mps_status mps_linked_set(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, mps_enc *value)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_link *link;
    mps_value now;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (mps_likely(st == MPS_OK)) {
        st = mps_linked_enter(&tx, l);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_linked_spot(seg, l, spot, false, &link);
    }
    if (st == MPS_OK && mps_link_is_end(l, link)) {
        st = MPS_E_RANGE;
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_enc_store(&tx, value, &now);
    }
    if (mps_likely(st == MPS_OK)) {
        mps_value old = mps_value_load(&link->value);
        mps_tx_write_begin(&tx, &l->object.guard);
        mps_tx_set(&tx, &link->value.w0, now.w0);
        mps_tx_set(&tx, &link->value.w1, now.w1);
        st = mps_value_release(&tx, old);
    }
    return end_with(&tx, st, value);
}

/* Takes a node out that is not the end. */
static inline mps_status take_out(mps_tx *tx, mps_linked *l, mps_link *link)
{
    mps_link *prev = mps_link_prev(tx->seg, l, link), *next = mps_link_next(tx->seg, l, link);
    uint64_t count = mps_load64(&l->count);
    if (mps_unlikely(prev == NULL || next == NULL || count == 0)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_value_release(tx, mps_value_load(&link->value));
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_reserve(tx, MPS_ROOM_LINKED);
    }
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_log_all(tx, (uint64_t *[]){&prev->next, &next->prev, &l->count, &link->id}, 4);
    mps_store64(&prev->next, mps_region_off(&tx->seg->region, next));
    mps_store64(&next->prev, mps_region_off(&tx->seg->region, prev));
    mps_store64(&l->count, count - 1);
    mps_store64(&link->id, 0);
    return mps_node_free(tx, mps_load64(&l->pool), mps_region_off(&tx->seg->region, link));
}

mps_status mps_linked_erase(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, const mps_enc *expected,
                            mps_copy *out, mps_cursor *next)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_link *link = NULL;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_linked_enter(&tx, l);
    if (mps_likely(st == MPS_OK)) {
        st = mps_linked_spot(seg, l, spot, false, &link);
    }
    if (st == MPS_OK && mps_link_is_end(l, link)) {
        st = MPS_E_RANGE;
    }
    if (st == MPS_OK && expected != NULL && !mps_value_same(seg, mps_value_load(&link->value), expected)) {
        st = MPS_E_CHANGED;
    }
    if (mps_likely(st == MPS_OK && out != NULL)) {
        st = mps_copy_locked(&tx, mps_value_load(&link->value), out);
    }
    if (mps_likely(st == MPS_OK && next != NULL)) {
        const mps_link *after = mps_link_next(seg, l, link);
        st = after == NULL ? MPS_E_CORRUPT : MPS_OK;
        if (after != NULL) {
            mps_cursor_make(seg, l, after, next);
        }
    }
    if (mps_likely(st == MPS_OK)) {
        mps_tx_write_begin(&tx, &l->object.guard);
        st = take_out(&tx, l, link);
    }
    return out == NULL ? end_with(&tx, st, NULL) : mps_copy_end(&tx, st, out, NULL);
}

/* ---- the whole ---- */

mps_status mps_linked_empty(mps_tx *tx, mps_linked *l)
{
    mps_off off = 0, pool = mps_load64(&l->pool);
    if (mps_load64(&l->count) == 0) {
        return MPS_OK;
    }
    mps_link *last = mps_link_prev(tx->seg, l, mps_link_end(l));
    if (last == NULL || mps_link_is_end(l, last)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, MPS_ROOM_LINKED);
    }
    if (st == MPS_OK && pool != 0) {
        st = mps_object_incref(tx, pool);
    }
    if (st == MPS_OK) {
        tx->urgent = true; /* it gives more back than it takes */
        st = mps_alloc(tx, sizeof(mps_chain), &off);
        tx->urgent = false;
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_chain *chain = mps_region_at(&tx->seg->region, off);
    mps_fresh64((uint64_t *)(void *)&chain->mortal, MPS_KIND_LINKED_CHAIN);
    mps_fresh64(&chain->mortal.next, 0);
    mps_fresh64(&chain->mortal.cursor, 0);
    mps_fresh64(&chain->first, mps_load64(&l->next));
    mps_fresh64(&chain->pool, pool);
    mps_tx_set(tx, &last->next, 0);
    mps_tx_set(tx, &l->next, 0);
    mps_tx_set(tx, &l->prev, 0);
    mps_tx_set(tx, &l->count, 0);
    mps_tx_set(tx, &l->moves, mps_load64(&l->moves) + 1);
    return mps_mortal_drop(tx, off);
}

mps_status mps_linked_clear(mps_seg *seg, mps_door door, mps_off off)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_linked_enter(&tx, l);
    if (st == MPS_OK) {
        mps_tx_write_begin(&tx, &l->object.guard);
        st = mps_linked_empty(&tx, l);
    }
    return end_with(&tx, st, NULL);
}

mps_status mps_linked_replace(mps_seg *seg, mps_door door, mps_off off, const mps_enc *values, uint64_t n,
                              uint32_t version)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_linked_enter(&tx, l);
    if (st == MPS_OK && mps_load32(&l->object.guard.seq) != version) {
        st = MPS_E_CHANGED;
    }
    if (st == MPS_OK) {
        mps_tx_write_begin(&tx, &l->object.guard);
        st = mps_linked_empty(&tx, l);
    }
    if (st == MPS_OK && n > 0) {
        st = insert(&tx, l, mps_link_end(l), values, n, NULL);
    }
    return end_with(&tx, st, NULL);
}

static mps_status reverse(mps_tx *tx, mps_linked *l)
{
    mps_link *link = mps_link_end(l);
    for (uint64_t n = mps_load64(&l->count) + 1; n > 0; n--) {
        uint64_t prev = mps_load64(&link->prev), next = mps_load64(&link->next);
        mps_link *after = mps_link_next(tx->seg, l, link);
        mps_status st = after == NULL ? MPS_E_CORRUPT : mps_tx_reserve(tx, 2);
        if (st != MPS_OK) {
            return st;
        }
        mps_tx_set(tx, &link->prev, next);
        mps_tx_set(tx, &link->next, prev);
        link = after;
    }
    return MPS_OK;
}

mps_status mps_linked_reverse(mps_seg *seg, mps_door door, mps_off off)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_linked_enter(&tx, l);
    if (st == MPS_OK) {
        mps_tx_write_begin(&tx, &l->object.guard);
        st = reverse(&tx, l);
    }
    return end_with(&tx, st, NULL);
}

/* ---- from one list to another ---- */

/* What is to be moved: nodes first..last, n of them. */
typedef struct part {
    mps_link *first, *last;
    uint64_t n;
} part;

/* MPS_E_INVAL as mps_linked_splice. */
static mps_status part_of(mps_seg *seg, mps_linked *from, const mps_cursor *first, const mps_cursor *last,
                          const mps_link *to, part *p)
{
    uint64_t count = mps_load64(&from->count);
    if (first == NULL) {
        *p = (part){mps_link_next(seg, from, mps_link_end(from)), mps_link_prev(seg, from, mps_link_end(from)), count};
        return p->first == NULL || p->last == NULL || (count > 0 && mps_link_is_end(from, p->last)) ? MPS_E_CORRUPT
                                                                                                    : MPS_OK;
    }
    mps_link *stop = mps_link_end(from);
    mps_status st = mps_linked_find(seg, from, first, &p->first);
    if (st == MPS_OK && last != NULL) {
        st = mps_linked_find(seg, from, last, &stop);
    }
    if (st != MPS_OK) {
        return st;
    }
    p->last = NULL;
    p->n = 0;
    for (mps_link *link = p->first; link != stop; link = mps_link_next(seg, from, link)) {
        if (link == NULL || p->n > count) {
            return MPS_E_CORRUPT;
        }
        if (mps_link_is_end(from, link) || (link == to && link != p->first)) {
            return MPS_E_INVAL;
        }
        p->last = link;
        p->n++;
    }
    return MPS_OK;
}

static mps_status move(mps_tx *tx, mps_linked *l, mps_link *to, mps_linked *from, const part *p)
{
    mps_region *region = &tx->seg->region;
    mps_link *before = mps_link_prev(tx->seg, from, p->first), *after = mps_link_next(tx->seg, from, p->last);
    mps_status st = before == NULL || after == NULL ? MPS_E_CORRUPT : mps_tx_reserve(tx, MPS_ROOM_LINKED);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &before->next, mps_region_off(region, after));
    mps_tx_set(tx, &after->prev, mps_region_off(region, before));
    mps_link *prev = mps_link_prev(tx->seg, l, to);
    if (prev == NULL) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, &prev->next, mps_region_off(region, p->first));
    mps_tx_set(tx, &p->first->prev, mps_region_off(region, prev));
    mps_tx_set(tx, &p->last->next, mps_region_off(region, to));
    mps_tx_set(tx, &to->prev, mps_region_off(region, p->last));
    if (l != from) {
        mps_tx_set(tx, &l->count, mps_load64(&l->count) + p->n);
        mps_tx_set(tx, &from->count, mps_load64(&from->count) - p->n);
        mps_tx_set(tx, &from->moves, mps_load64(&from->moves) + 1);
    }
    return MPS_OK;
}

static mps_status splice(mps_tx *tx, mps_linked *l, const mps_cursor *to, mps_linked *from, const mps_cursor *first,
                         const mps_cursor *last)
{
    mps_linked *low = l < from ? l : from, *high = l < from ? from : l;
    mps_link *before;
    part p;
    mps_status st = mps_linked_enter(tx, low);
    if (st == MPS_OK && low != high) {
        st = mps_linked_enter(tx, high);
    }
    if (st == MPS_OK) {
        st = mps_load64(&l->pool) == mps_load64(&from->pool) ? mps_linked_find(tx->seg, l, to, &before) : MPS_E_INVAL;
    }
    if (st == MPS_OK) {
        st = part_of(tx->seg, from, first, last, before, &p);
    }
    if (st != MPS_OK || p.n == 0 || before == p.first || (l == from && first == NULL)) {
        return st;
    }
    mps_tx_write_begin(tx, &low->object.guard);
    mps_tx_write_begin(tx, &high->object.guard);
    return move(tx, l, before, from, &p);
}

mps_status mps_linked_splice(mps_seg *seg, mps_door door, mps_off off, const mps_cursor *to, mps_off from,
                             const mps_cursor *first, const mps_cursor *last)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return end_with(&tx, splice(&tx, mps_linked_of(seg, off), to, mps_linked_of(seg, from), first, last), NULL);
}

mps_status mps_linked_use_pool(mps_seg *seg, mps_door door, mps_off off, mps_off pool)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_linked_enter(&tx, l);
    if (st == MPS_OK) {
        st = mps_load64(&l->count) != 0 ? MPS_E_EXISTS : mps_node_use_pool(&tx, &l->pool, pool, sizeof(mps_link));
    }
    return end_with(&tx, st, NULL);
}

/* ---- dying ---- */

mps_status mps_linked_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_linked *l = (mps_linked *)m;
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < DROP_NODES && mps_ctl_outer(tx->ctl) <= DROP_FILL && mps_load64(&l->count) > 0; i++) {
        mps_link *first = mps_link_next(tx->seg, l, mps_link_end(l));
        st = first == NULL || mps_link_is_end(l, first) ? MPS_E_CORRUPT : take_out(tx, l, first);
        if (st != MPS_OK) {
            return st;
        }
    }
    mps_off pool = mps_load64(&l->pool);
    *done = mps_load64(&l->count) == 0;
    if (*done && pool != 0) {
        mps_tx_set(tx, &l->pool, 0);
        *done = false;
        st = mps_object_decref(tx, pool);
    }
    return st;
}

mps_status mps_linked_chain_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_chain *chain = (mps_chain *)m;
    mps_off first = mps_load64(&chain->first), pool = mps_load64(&chain->pool);
    for (uint32_t i = 0; i < DROP_NODES && mps_ctl_outer(tx->ctl) <= DROP_FILL && first != 0; i++) {
        mps_link *link = mps_link_at(tx->seg, first);
        mps_status st = link == NULL ? MPS_E_CORRUPT : mps_value_release(tx, mps_value_load(&link->value));
        if (st == MPS_OK) {
            mps_tx_set(tx, &link->id, 0);
            st = mps_node_free(tx, pool, first);
        }
        if (st != MPS_OK) {
            return st;
        }
        first = mps_load64(&link->next);
    }
    mps_tx_set(tx, &chain->first, first);
    *done = first == 0;
    if (*done && pool != 0) {
        mps_tx_set(tx, &chain->pool, 0);
        *done = false;
        return mps_object_decref(tx, pool);
    }
    return MPS_OK;
}
