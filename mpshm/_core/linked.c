#include "linked_body.h"

#include <stdlib.h>

#include "reader.h"

#define OWNER_TRIES 1000u /* walks to the end of a list that others change meanwhile */

/* ---- finding ---- */

/* Whether the nodes from this one on lead to the end of l: MPS_OK, MPS_E_TYPE when to that of another, MPS_E_STALE when to none. *end: where
 * they lead. */
static mps_status walk_to_end(mps_seg *seg, const mps_linked *l, mps_link *link, mps_off *end)
{
    uint64_t most = mps_linked_most(seg);
    for (uint64_t i = 0; i < most; i++) {
        mps_off next = mps_load64(&link->next);
        if (l != NULL && next == mps_linked_end(seg, l)) {
            return MPS_OK;
        }
        link = mps_link_at(seg, next);
        if (link == NULL) {
            return MPS_E_STALE;
        }
        if (mps_load64(&link->id) == 0) {
            *end = next;
            return MPS_E_TYPE;
        }
    }
    return MPS_E_CORRUPT; /* round in a circle */
}

mps_status mps_linked_find(mps_seg *seg, mps_linked *l, const mps_cursor *cursor, mps_link **link)
{
    mps_off end = 0;
    if (cursor->id == 0) {
        *link = mps_link_end(l);
        return cursor->node == mps_linked_end(seg, l) ? MPS_OK : MPS_E_INVAL;
    }
    *link = mps_link_at(seg, cursor->node);
    if (mps_unlikely(*link == NULL || mps_load64(&(*link)->id) != cursor->id)) {
        return MPS_E_STALE;
    }
    return mps_likely(mps_load64(&l->moves) == cursor->moves) ? MPS_OK : walk_to_end(seg, l, *link, &end);
}

mps_status mps_linked_walk(mps_seg *seg, mps_linked *l, uint64_t index, mps_link **link)
{
    uint64_t count = mps_load64(&l->count);
    bool back = index > count / 2;
    *link = mps_link_end(l);
    if (count > mps_linked_most(seg)) {
        return MPS_E_CORRUPT;
    }
    for (uint64_t i = back ? count - index : index + 1; i > 0; i--) {
        *link = back ? mps_link_prev(seg, l, *link) : mps_link_next(seg, l, *link);
        if (*link == NULL || mps_link_is_end(l, *link)) {
            return *link != NULL && index == count && i == 1 ? MPS_OK : MPS_E_CORRUPT;
        }
    }
    return MPS_OK;
}

mps_status mps_linked_spot(mps_seg *seg, mps_linked *l, mps_spot spot, bool clip, mps_link **link)
{
    if (mps_likely(spot.cursor != NULL)) {
        return mps_linked_find(seg, l, spot.cursor, link);
    }
    int64_t count = (int64_t)mps_load64(&l->count), index = spot.index;
    if (index < 0) {
        index = index < -count ? (clip ? 0 : -1) : index + count;
    }
    if (index < 0 || (index >= count && !clip)) {
        return MPS_E_RANGE;
    }
    return mps_linked_walk(seg, l, (uint64_t)(index > count ? count : index), link);
}

/* ---- reading ---- */

static inline mps_status finish(mps_tx *tx, mps_status st)
{
    return mps_copy_end(tx, st, NULL, NULL);
}

static mps_status len_once(mps_seg *seg, mps_door door, mps_linked *l, uint64_t *n)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &l->object);
    *n = mps_load64(&l->count);
    return finish(&tx, st);
}

mps_status mps_linked_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_linked *l = mps_linked_of(seg, off);
    for (unsigned i = 0; i < MPS_READ_TRIES && mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY); i++) {
        uint32_t seq = mps_read_begin(&l->object.guard);
        *n = mps_load64(&l->count);
        if (mps_likely((seq & 1u) == 0 && mps_read_valid(&l->object.guard, seq))) {
            return *n <= mps_linked_most(seg) ? MPS_OK : MPS_E_CORRUPT;
        }
        mps_pause();
    }
    uint64_t since = 0;
    mps_status st;
    do {
        st = len_once(seg, door, l, n);
    } while (mps_reader_again(seg, door, &st, &since));
    return st == MPS_OK && *n > mps_linked_most(seg) ? MPS_E_CORRUPT : st;
}

static mps_status at_once(mps_seg *seg, mps_door door, mps_linked *l, int64_t index, mps_cursor *out)
{
    mps_tx tx;
    mps_link *link;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &l->object);
    if (st == MPS_OK) {
        st = mps_linked_spot(seg, l, (mps_spot){.index = index}, true, &link);
    }
    if (st == MPS_OK) {
        mps_cursor_make(seg, l, link, out);
    }
    return finish(&tx, st);
}

mps_status mps_linked_at(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_cursor *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = at_once(seg, door, mps_linked_of(seg, off), index, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

static mps_status step_once(mps_seg *seg, mps_door door, mps_linked *l, bool back, mps_cursor *cursor)
{
    mps_tx tx;
    mps_link *link;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &l->object);
    if (st == MPS_OK) {
        st = mps_linked_find(seg, l, cursor, &link);
    }
    if (st == MPS_OK && !back && mps_link_is_end(l, link)) {
        st = MPS_E_RANGE;
    }
    if (st == MPS_OK) {
        link = back ? mps_link_prev(seg, l, link) : mps_link_next(seg, l, link);
        st = link == NULL ? MPS_E_CORRUPT : back && mps_link_is_end(l, link) ? MPS_E_RANGE : MPS_OK;
    }
    if (st == MPS_OK) {
        mps_cursor_make(seg, l, link, cursor);
    }
    return finish(&tx, st);
}

mps_status mps_linked_step(mps_seg *seg, mps_door door, mps_off off, mps_cursor *cursor, bool back)
{
    mps_cursor before = *cursor;
    uint64_t since = 0;
    mps_status st;
    do {
        *cursor = before;
        st = step_once(seg, door, mps_linked_of(seg, off), back, cursor);
    } while (mps_reader_again(seg, door, &st, &since));
    if (mps_unlikely(st != MPS_OK)) {
        *cursor = before;
    }
    return st;
}

static mps_status seek_once(mps_seg *seg, mps_door door, mps_linked *l, const mps_cursor *cursor, uint64_t *moves)
{
    mps_tx tx;
    mps_link *link;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &l->object);
    if (st == MPS_OK) {
        st = mps_linked_find(seg, l, cursor, &link);
    }
    *moves = mps_load64(&l->moves);
    return finish(&tx, st);
}

mps_status mps_linked_seek(mps_seg *seg, mps_door door, mps_off off, mps_cursor *cursor)
{
    uint64_t since = 0, moves = 0;
    mps_status st;
    do {
        st = seek_once(seg, door, mps_linked_of(seg, off), cursor, &moves);
    } while (mps_reader_again(seg, door, &st, &since));
    if (st == MPS_OK) {
        cursor->moves = moves;
    }
    return st;
}

/* The walk holds no list's guard, since it is not known whose it would be; so it may go astray while others change the list, and is then
 * done again. What it ends at is a list that is alive, for objects die under the references' guard only; where the segment may not be
 * written to, and there is no guard to have, it looks like one, and whoever seeks the cursor in it next finds out. */
static mps_status owner(mps_tx *tx, const mps_cursor *cursor, mps_off *list)
{
    mps_off end = 0;
    mps_link *link = mps_link_at(tx->seg, cursor->node);
    if (link == NULL || mps_load64(&link->id) != cursor->id) {
        return MPS_E_STALE;
    }
    mps_status st = walk_to_end(tx->seg, NULL, link, &end);
    if (mps_load64(&link->id) != cursor->id) {
        return MPS_E_STALE;
    }
    if (st == MPS_E_CORRUPT) {
        return st;
    }
    if (st != MPS_E_TYPE || end < offsetof(mps_linked, prev)) {
        return MPS_E_RETRY;
    }
    const mps_object *object = mps_object_at(tx->seg, end - offsetof(mps_linked, prev), MPS_KIND_LINKED_LIST);
    if (object == NULL || mps_load64(&object->refs) == 0) {
        return MPS_E_RETRY;
    }
    *list = end - offsetof(mps_linked, prev);
    if (mps_unlikely(tx->reading)) {
        return mps_ref_look(tx->seg, *list) == MPS_OK ? MPS_OK : MPS_E_RETRY;
    }
    return mps_ref_adopt(tx, *list);
}

mps_status mps_linked_owner(mps_seg *seg, mps_door door, const mps_cursor *cursor, mps_off *list)
{
    mps_status st = MPS_E_RETRY;
    for (unsigned n = 0; n < OWNER_TRIES && st == MPS_E_RETRY; n++) {
        mps_tx tx;
        st = mps_reader_begin(seg, &tx, door);
        if (st != MPS_OK) {
            return st;
        }
        st = tx.reading ? MPS_OK : mps_refs_enter(&tx);
        bool adopted = false;
        if (st == MPS_OK) {
            st = owner(&tx, cursor, list);
            adopted = st == MPS_OK;
        }
        st = finish(&tx, st);
        if (adopted && st != MPS_OK) {
            mps_ref_drop(seg, door, *list);
        }
    }
    return st == MPS_E_RETRY ? MPS_E_STALE : st;
}

/* Without a lock, if the cursor is known to be good; MPS_E_RETRY otherwise. */
static inline mps_status get_racy(mps_seg *seg, const mps_linked *l, const mps_cursor *cursor, mps_copy *out)
{
    const mps_link *link = mps_link_at(seg, cursor->node);
    if (cursor->id == 0 || link == NULL || mps_load64(&link->id) != cursor->id ||
        mps_load64(&l->moves) != cursor->moves) {
        return MPS_E_RETRY;
    }
    return mps_copy_racy(seg, mps_value_load(&link->value), out);
}

static mps_status get_once(mps_seg *seg, mps_door door, mps_linked *l, mps_spot spot, mps_copy *out)
{
    mps_tx tx;
    mps_link *link;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &l->object);
    if (st == MPS_OK) {
        st = mps_linked_spot(seg, l, spot, false, &link);
    }
    if (st == MPS_OK) {
        st = mps_link_is_end(l, link) ? MPS_E_RANGE : mps_copy_locked(&tx, mps_value_load(&link->value), out);
    }
    return mps_copy_end(&tx, st, out, NULL);
}

static mps_status get_locked(mps_seg *seg, mps_door door, mps_linked *l, mps_spot spot, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = get_once(seg, door, l, spot, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_linked_get(mps_seg *seg, mps_door door, mps_off off, mps_spot spot, mps_copy *out)
{
    mps_linked *l = mps_linked_of(seg, off);
    for (unsigned n = 0;
         spot.cursor != NULL && n < MPS_READ_TRIES && mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY);
         n++) {
        uint32_t seq = mps_read_begin(&l->object.guard);
        if (mps_unlikely(seq & 1u)) {
            mps_pause();
            continue;
        }
        mps_status st = get_racy(seg, l, spot.cursor, out);
        bool valid = mps_read_valid(&l->object.guard, seq);
        if (mps_likely(valid && st != MPS_E_RETRY)) {
            return st;
        }
        mps_copy_drop_refs(seg, door, out);
        if (valid) {
            break;
        }
    }
    return get_locked(seg, door, l, spot, out);
}

static mps_status copy_all(mps_tx *tx, mps_linked *l, mps_snap *out, mps_cursor **cursors)
{
    uint64_t count = mps_load64(&l->count);
    mps_link *link = mps_link_end(l);
    mps_status st = count > mps_linked_most(tx->seg) ? MPS_E_CORRUPT : mps_snap_room(out, count);
    if (st == MPS_OK && cursors != NULL) {
        *cursors = malloc((count + 1) * sizeof **cursors);
        st = *cursors == NULL ? MPS_E_NOMEM : MPS_OK;
    }
    for (uint64_t i = 0; i < count && st == MPS_OK; i++) {
        link = mps_link_next(tx->seg, l, link);
        if (link == NULL || mps_link_is_end(l, link)) {
            return MPS_E_CORRUPT;
        }
        st = mps_snap_add(tx, out, mps_value_load(&link->value));
        if (st == MPS_OK && cursors != NULL) {
            mps_cursor_make(tx->seg, l, link, &(*cursors)[i]);
        }
    }
    return st;
}

static mps_status snapshot_once(mps_seg *seg, mps_door door, mps_linked *l, mps_snap *out, mps_cursor **cursors)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    if (cursors != NULL) {
        *cursors = NULL;
    }
    uint64_t from = out->n_items;
    st = mps_reader_lock(&tx, &l->object);
    if (st == MPS_OK) {
        out->seq = mps_load32(&l->object.guard.seq);
        st = copy_all(&tx, l, out, cursors);
    }
    st = finish(&tx, st);
    if (st != MPS_OK) {
        mps_snap_drop_refs(seg, door, out, from);
        if (cursors != NULL) {
            free(*cursors);
            *cursors = NULL;
        }
    }
    return st;
}

mps_status mps_linked_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_snap *out, mps_cursor **cursors)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = snapshot_once(seg, door, mps_linked_of(seg, off), out, cursors);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* ---- check ---- */

/* Nodes from `first` on up to `end`, each of which comes after `prev`. */
static mps_status visit_nodes(mps_seg *seg, mps_off first, mps_off end, mps_off prev, uint64_t *n, mps_visit *v)
{
    uint64_t most = mps_linked_most(seg);
    mps_off off = first;
    for (*n = 0; off != end; ++*n) {
        const mps_link *link = mps_link_at(seg, off);
        if (link == NULL || *n > most || (prev != 0 && mps_load64(&link->prev) != prev)) {
            return v->bad(v, "a linked list's nodes contradict each other");
        }
        mps_status st = v->block(v, off);
        if (st == MPS_OK) {
            st = mps_value_visit(seg, mps_value_load(&link->value), v);
        }
        if (st != MPS_OK) {
            return st;
        }
        prev = prev != 0 ? off : 0;
        off = mps_load64(&link->next);
    }
    return MPS_OK;
}

mps_status mps_linked_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_linked *l = mps_linked_of(seg, off);
    mps_off end = mps_linked_end(seg, l), first = mps_load64(&l->next), last = mps_load64(&l->prev);
    uint64_t n = 0;
    mps_status st = mps_node_visit_pool(mps_load64(&l->pool), v);
    if (st == MPS_OK && first != 0) {
        st = visit_nodes(seg, first, end, end, &n, v);
    }
    if (st == MPS_OK &&
        (n != mps_load64(&l->count) || mps_load64(&l->zero) != 0 || (n == 0) != (last == 0 || last == end))) {
        return v->bad(v, "a linked list's nodes and count contradict each other");
    }
    return st;
}

mps_status mps_linked_chain_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_chain *chain = mps_region_at(&seg->region, off);
    uint64_t n = 0;
    mps_status st = mps_node_visit_pool(mps_load64(&chain->pool), v);
    return st == MPS_OK ? visit_nodes(seg, mps_load64(&chain->first), 0, 0, &n, v) : st;
}
