#include "table_body.h"

#include <stdlib.h>

#include "reader.h"

void mps_snap_init(mps_snap *snap)
{
    *snap = (mps_snap){0};
}

void mps_snap_done(mps_snap *snap)
{
    free(snap->items);
    free(snap->bytes);
    *snap = (mps_snap){0};
}

static const mps_off *refs_of(const mps_snap *snap, const mps_item *item)
{
    return (const mps_off *)(const void *)(snap->bytes + item->data);
}

void mps_snap_drop_refs(mps_seg *seg, mps_door door, mps_snap *snap, uint64_t from)
{
    for (uint64_t i = from; i < snap->n_items; i++) {
        mps_item *item = &snap->items[i];
        if (mps_value_tag(item->value) == MPS_TAG_REF) {
            mps_ref_drop(seg, door, item->value.w1);
        }
        for (uint32_t n = 0; n < item->n_refs; n++) {
            mps_ref_drop(seg, door, refs_of(snap, item)[n]);
        }
    }
    snap->n_items = mps_min64(snap->n_items, from);
}

mps_status mps_snap_room(mps_snap *snap, uint64_t more)
{
    uint64_t n = snap->n_items + more;
    if (mps_likely(n <= snap->item_capacity)) {
        return MPS_OK;
    }
    uint64_t capacity = mps_max64(n, snap->item_capacity * 2);
    mps_item *items =
        capacity <= SIZE_MAX / sizeof(mps_item) ? realloc(snap->items, capacity * sizeof(mps_item)) : NULL;
    if (items == NULL) {
        return MPS_E_NOMEM;
    }
    snap->items = items;
    snap->item_capacity = capacity;
    return MPS_OK;
}

static mps_status byte_room(mps_snap *snap, uint64_t more)
{
    uint64_t n = snap->n_bytes + more;
    if (n <= snap->byte_capacity) {
        return MPS_OK;
    }
    uint64_t capacity = mps_max64(n, snap->byte_capacity * 2 + 256);
    uint8_t *bytes = realloc(snap->bytes, capacity);
    if (bytes == NULL) {
        return MPS_E_NOMEM;
    }
    snap->bytes = bytes;
    snap->byte_capacity = capacity;
    return MPS_OK;
}

/* What is not plain: the item is there already, with nothing counted. */
static mps_status add_far(mps_tx *tx, mps_snap *snap, mps_item *item, mps_value v)
{
    uint32_t counted = 0;
    if (mps_value_tag(v) == MPS_TAG_REF && mps_value_is_inline(v)) {
        mps_status st = mps_refs_adopt(tx, &v.w1, 1, &counted);
        item->value = st == MPS_OK ? v : (mps_value){0, 0};
        return st;
    }
    mps_span span;
    if (!mps_value_span(tx->seg, v, &span)) {
        return MPS_E_CORRUPT;
    }
    uint64_t nbytes = (uint64_t)span.n_refs * 8 + span.nbytes;
    mps_status st = byte_room(snap, mps_round_up(nbytes, 8) + 8);
    if (st != MPS_OK) {
        return st;
    }
    *item = (mps_item){.value = v, .data = snap->n_bytes, .nbytes = span.nbytes, .aux = span.aux};
    mps_racy_copy(snap->bytes + item->data, span.refs, nbytes);
    snap->n_bytes += mps_round_up(nbytes, 8);
    if (span.n_refs > 0) {
        st = mps_refs_adopt(tx, refs_of(snap, item), span.n_refs, &item->n_refs);
    }
    return st;
}

mps_status mps_snap_add(mps_tx *tx, mps_snap *snap, mps_value v)
{
    mps_status st = mps_snap_room(snap, 1);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_item *item = &snap->items[snap->n_items++];
    if (mps_likely(mps_value_is_plain(v))) {
        *item = (mps_item){.value = v, .nbytes = (v.w0 >> 8) & 0xff};
        bool sane = mps_value_tag(v) <= MPS_TAG_FLOAT || item->nbytes <= MPS_INLINE_MAX;
        return sane && mps_value_tag(v) != MPS_TAG_EMPTY ? MPS_OK : MPS_E_CORRUPT;
    }
    *item = (mps_item){0};
    return add_far(tx, snap, item, v);
}

void mps_snap_item(const mps_snap *snap, uint64_t i, mps_copy *out)
{
    const mps_item *item = &snap->items[i];
    out->value = item->value;
    out->nbytes = item->nbytes;
    out->aux = item->aux;
    out->n_refs = item->n_refs;
    out->heap = NULL;
    out->object = NULL;
    out->capacity = 0;
    if (mps_value_is_inline(item->value)) {
        out->data = (const uint8_t *)&out->value + 2;
        out->refs = NULL;
    } else {
        out->refs = refs_of(snap, item);
        out->data = snap->bytes + item->data + (uint64_t)item->n_refs * 8;
    }
}

/* ---- a whole table ---- */

static mps_status copy_entries(mps_tx *tx, const mps_shape *s, uint64_t used, unsigned what, mps_snap *out)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < used && st == MPS_OK; i++) {
        const mps_entry *e = &s->entries[i];
        mps_value key = mps_value_load(&e->key);
        if (mps_value_tag(key) == MPS_TAG_EMPTY) {
            continue;
        }
        if (what & MPS_SNAP_KEYS) {
            st = mps_snap_add(tx, out, key);
        }
        if (st == MPS_OK && (what & MPS_SNAP_VALUES)) {
            st = mps_snap_add(tx, out, mps_value_load(&e->value));
        }
    }
    return st;
}

static mps_status snapshot(mps_tx *tx, const mps_table *t, unsigned what, mps_snap *out)
{
    mps_shape s;
    uint64_t word = mps_load64(&t->body), counts = mps_load64(&t->counts);
    if (word == 0) {
        return MPS_OK;
    }
    if (!mps_table_shape(tx->seg, word, &s) || mps_table_used(counts) > s.capacity ||
        mps_table_alive(counts) > mps_table_used(counts)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_snap_room(out, mps_table_alive(counts) * (what == MPS_SNAP_BOTH ? 2 : 1));
    return st == MPS_OK ? copy_entries(tx, &s, mps_table_used(counts), what, out) : st;
}

mps_status mps_snap_halve(mps_tx *tx, mps_status st, mps_snap *out, uint64_t from, uint64_t n)
{
    bool same = st == MPS_OK && out->n_items - from == 2 * n;
    for (uint64_t i = from; same && i < from + n; i++) {
        same = out->items[i].value.w0 == out->items[i + n].value.w0 &&
               out->items[i].value.w1 == out->items[i + n].value.w1;
    }
    mps_snap_drop_refs(tx->seg, tx->door, out, from + n);
    return st == MPS_OK && !same ? MPS_E_RETRY : st;
}

/* A number is changed in place without a word to readers (table.c): what a reader without the guard has seen of several is of one
 * moment if it is the same a second time. */
static mps_status snapshot_twice(mps_tx *tx, const mps_table *t, unsigned what, mps_snap *out)
{
    uint64_t from = out->n_items;
    mps_status st = snapshot(tx, t, what, out);
    uint64_t n = out->n_items - from;
    if (st == MPS_OK) {
        st = snapshot(tx, t, what, out);
    }
    return mps_snap_halve(tx, st, out, from, n);
}

static mps_status snapshot_once(mps_seg *seg, mps_door door, mps_off off, unsigned what, mps_snap *out)
{
    mps_table *t = mps_region_at(&seg->region, off);
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t from = out->n_items;
    st = mps_reader_lock(&tx, &t->object);
    if (st == MPS_OK) {
        out->seq = mps_load32(&t->object.guard.seq);
        st = tx.reading ? snapshot_twice(&tx, t, what, out) : snapshot(&tx, t, what, out);
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK) {
        mps_snap_drop_refs(seg, door, out, from);
    }
    return st;
}

mps_status mps_table_snapshot(mps_seg *seg, mps_door door, mps_off off, unsigned what, mps_snap *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = snapshot_once(seg, door, off, what, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}
