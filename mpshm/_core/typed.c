#include "typed_body.h"

#include "reader.h"

/* ---- reading ---- */

static inline void load_item(void *to, const uint8_t *from, uint64_t itemsize)
{
    switch (itemsize) {
    case 1: *(uint8_t *)to = __atomic_load_n(from, __ATOMIC_RELAXED); break;
    case 2: {
        uint16_t item = __atomic_load_n((const uint16_t *)(const void *)from, __ATOMIC_RELAXED);
        memcpy(to, &item, sizeof item);
        break;
    }
    case 4: {
        uint32_t item = mps_load32((const uint32_t *)(const void *)from);
        memcpy(to, &item, sizeof item);
        break;
    }
    case 8: {
        uint64_t item = mps_load64((const uint64_t *)(const void *)from);
        memcpy(to, &item, sizeof item);
        break;
    }
    default: mps_racy_copy(to, from, itemsize);
    }
}

mps_status mps_typed_form_get(mps_seg *seg, mps_off off, mps_typed_form *form)
{
    const mps_typed *t = mps_typed_at(seg, off);
    form->itemsize = mps_load32_acquire(&t->itemsize);
    form->code = mps_load32(&t->code);
    form->maxlen = mps_typed_maxlen(t);
    mps_status st = mps_reader_look(seg, off); /* (afterwards only: a form that is set stays) */
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (mps_unlikely(form->itemsize - 1u >= MPS_TYPED_ITEM)) {
        return form->itemsize == 0 ? MPS_E_TYPE : MPS_E_CORRUPT;
    }
    return MPS_OK;
}

static mps_status words_once(mps_seg *seg, mps_door door, mps_typed *t, mps_copy *out)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    if (st == MPS_OK) {
        st = mps_load32(&t->itemsize) == 0 ? MPS_E_TYPE : mps_copy_locked(&tx, mps_value_load(&t->form), out);
    }
    return mps_copy_end(&tx, st, out, NULL);
}

mps_status mps_typed_words(mps_seg *seg, mps_door door, mps_off off, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = words_once(seg, door, mps_typed_at(seg, off), out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* A word of the vector that is a number of items. */
static mps_status number(mps_seg *seg, mps_door door, mps_off off, const uint64_t *word, uint64_t *n)
{
    mps_status st = mps_reader_word(seg, door, &mps_typed_at(seg, off)->object, word, n);
    return mps_likely(st == MPS_OK) && mps_unlikely(*n > MPS_RAW_MAX) ? MPS_E_CORRUPT : st;
}

mps_status mps_typed_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    return number(seg, door, off, &mps_typed_at(seg, off)->length, n);
}

mps_status mps_typed_capacity(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    return number(seg, door, off, &mps_typed_at(seg, off)->capacity, n);
}

/* MPS_E_RETRY: the bytes make no sense, or somebody is writing. */
static inline mps_status get_racy(mps_seg *seg, const mps_typed *t, uint64_t itemsize, int64_t index, void *item)
{
    uint64_t length = mps_load64(&t->length), i, end;
    if (mps_unlikely(mps_load32(&t->itemsize) != itemsize || length > MPS_RAW_MAX)) {
        return MPS_E_RETRY;
    }
    if (mps_unlikely(!mps_typed_clip(index, length, &i))) {
        return MPS_E_RANGE;
    }
    if (mps_unlikely(__builtin_mul_overflow(i + 1, itemsize, &end))) {
        return MPS_E_RETRY;
    }
    const uint8_t *items = mps_typed_items(seg, mps_load64(&t->data), end);
    if (mps_unlikely(items == NULL)) {
        return MPS_E_RETRY;
    }
    load_item(item, items + i * itemsize, itemsize);
    return MPS_OK;
}

static mps_status get_once(mps_seg *seg, mps_door door, mps_typed *t, uint64_t itemsize, int64_t index, void *item)
{
    mps_tx tx;
    mps_typed_reach r;
    uint64_t i;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    if (st == MPS_OK) {
        st = mps_typed_reach_sized(seg, t, itemsize, &r);
    }
    if (st == MPS_OK && !mps_typed_clip(index, r.length, &i)) {
        st = MPS_E_RANGE;
    }
    if (st == MPS_OK) {
        load_item(item, r.items + i * r.itemsize, r.itemsize);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

static mps_status get_locked(mps_seg *seg, mps_door door, mps_typed *t, uint64_t itemsize, int64_t index, void *item)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = get_once(seg, door, t, itemsize, index, item);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_typed_get(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index, void *item)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_glance glance = mps_glance_at(seg, &t->object.guard);
    while (mps_glance_next(&glance)) {
        mps_status st = get_racy(seg, t, itemsize, index, item);
        bool valid = mps_glance_valid(&glance);
        if (mps_likely(valid && st != MPS_E_RETRY)) {
            return st;
        }
        if (valid) {
            break;
        }
    }
    return get_locked(seg, door, t, itemsize, index, item);
}

mps_status mps_typed_turn_away(mps_tx *tx, mps_status st)
{
    mps_tx_abort(tx);
    mps_tx_end(tx);
    return st;
}

/* ---- room ---- */

/* Whether others than the vector refer to its data. */
static mps_status is_alone(mps_tx *tx, const mps_typed *t)
{
    mps_off data = mps_load64(&t->data);
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK || data == 0) {
        return st;
    }
    const mps_object *raw = mps_object_at(tx->seg, data, MPS_KIND_RAW);
    if (raw == NULL || mps_load64(&raw->refs) == 0) {
        return MPS_E_CORRUPT;
    }
    return mps_load64(&raw->refs) == 1 ? MPS_OK : MPS_E_EXISTS;
}

/* Items that nbytes have room for, within the limit. */
static uint64_t items_in(const mps_typed *t, uint64_t nbytes, uint64_t itemsize)
{
    return mps_min64(nbytes / itemsize, mps_typed_maxlen(t));
}

static uint64_t bytes_of(mps_seg *seg, mps_off data)
{
    return mps_load64(&((const mps_raw *)mps_region_at(&seg->region, data))->nbytes);
}

mps_status mps_typed_swing(mps_tx *tx, mps_typed *t, uint64_t itemsize, uint64_t capacity, uint8_t **items)
{
    mps_off old = mps_load64(&t->data), data = 0;
    uint64_t nbytes;
    if (__builtin_mul_overflow(capacity, itemsize, &nbytes)) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = is_alone(tx, t);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, MPS_ROOM_TYPED);
    }
    if (st == MPS_OK) {
        st = mps_raw_make(tx, nbytes, &data);
    }
    if (st != MPS_OK) {
        return st;
    }
    *items = mps_typed_items(tx->seg, data, nbytes);
    if (*items == NULL) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, &t->data, data);
    mps_tx_set(tx, &t->capacity, items_in(t, bytes_of(tx->seg, data), itemsize));
    return old != 0 ? mps_object_decref(tx, old) : MPS_OK;
}

/* Moves all items to another place. */
static mps_status move_all(mps_tx *tx, mps_typed *t, mps_typed_reach *r, uint64_t capacity)
{
    uint8_t *items;
    mps_status st = mps_typed_swing(tx, t, r->itemsize, capacity, &items);
    if (st != MPS_OK) {
        return st;
    }
    if (r->length > 0) {
        mps_fresh_copy(items, r->items, r->length * r->itemsize);
    }
    r->items = items;
    r->capacity = mps_load64(&t->capacity);
    return MPS_OK;
}

mps_status mps_typed_provide(mps_tx *tx, mps_typed *t, mps_typed_reach *r, uint64_t need, bool exact)
{
    if (mps_likely(need <= r->capacity)) {
        return MPS_OK;
    }
    if (need > mps_typed_maxlen(t)) {
        return MPS_E_INVAL;
    }
    uint64_t nbytes, much = mps_min64(need + need / 2 + 128 / r->itemsize, mps_typed_maxlen(t));
    if (need > MPS_RAW_MAX || __builtin_mul_overflow(need, r->itemsize, &nbytes) || nbytes > MPS_RAW_MAX) {
        return MPS_E_TOOLARGE;
    }
    uint64_t wanted = exact ? need : mps_min64(much, MPS_RAW_MAX / r->itemsize);
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_TYPED);
    if (st == MPS_OK && r->items != NULL) {
        mps_off data = mps_load64(&t->data);
        st = mps_raw_extend(tx, data, nbytes, wanted * r->itemsize);
        if (st == MPS_OK) {
            r->capacity = items_in(t, bytes_of(tx->seg, data), r->itemsize);
            mps_tx_set(tx, &t->capacity, r->capacity);
            return r->capacity >= need ? MPS_OK : MPS_E_CORRUPT;
        }
        st = st == MPS_E_NOTFOUND ? MPS_OK : st;
    }
    if (st == MPS_OK) {
        st = move_all(tx, t, r, wanted);
        st = st == MPS_E_FULL && wanted > need ? move_all(tx, t, r, need) : st;
    }
    return st;
}

mps_status mps_typed_reserve(mps_seg *seg, mps_door door, mps_off off, uint64_t n)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_typed_start(seg, door, t, 0, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_write_begin(&tx, &t->object.guard);
    st = mps_typed_provide(&tx, t, &r, n, true);
    return mps_typed_finish(&tx, st);
}

/* All memory is given back where there are no items; else what is more than an eighth of them. */
static mps_status trim(mps_tx *tx, mps_typed *t, mps_typed_reach *r)
{
    mps_off data = mps_load64(&t->data);
    if (data == 0 || mps_load64(&t->limit) != 0 || (r->length > 0 && r->capacity - r->length <= r->length / 8)) {
        return MPS_OK;
    }
    if (r->length > 0 && r->length * r->itemsize <= MPS_CACHE_LINE && bytes_of(tx->seg, data) <= 2 * MPS_CACHE_LINE) {
        return MPS_OK;
    }
    if (r->length > 0) {
        mps_status st = move_all(tx, t, r, r->length);
        return st == MPS_E_FULL ? MPS_OK : st;
    }
    mps_status st = is_alone(tx, t);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &t->data, 0);
    mps_tx_set(tx, &t->capacity, 0);
    return mps_object_decref(tx, data);
}

mps_status mps_typed_trim(mps_seg *seg, mps_door door, mps_off off)
{
    mps_typed *t = mps_typed_at(seg, off);
    mps_tx tx;
    mps_typed_reach r;
    mps_status st = mps_typed_start(seg, door, t, 0, &tx, &r);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_write_begin(&tx, &t->object.guard);
    tx.urgent = true; /* what it makes takes the place of more */
    st = trim(&tx, t, &r);
    tx.urgent = false;
    return mps_typed_finish(&tx, st);
}

/* ---- setting up ---- */

static mps_status setup(mps_tx *tx, mps_typed *t, mps_typed_form form, mps_enc *words)
{
    mps_value now;
    mps_typed_reach r = {.itemsize = form.itemsize};
    mps_status st = mps_tx_lock(tx, &t->object.guard);
    if (st != MPS_OK) {
        return st;
    }
    if (mps_load32(&t->itemsize) != 0) {
        bool same = mps_load32(&t->itemsize) == form.itemsize && mps_typed_maxlen(t) == form.maxlen &&
                    mps_value_same(tx->seg, mps_value_load(&t->form), words);
        return same ? MPS_OK : MPS_E_TYPE;
    }
    st = mps_enc_store(tx, words, &now);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, MPS_ROOM_TYPED);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_write_begin(tx, &t->object.guard);
    mps_tx_set(tx, &t->form.w0, now.w0);
    mps_tx_set(tx, &t->form.w1, now.w1);
    mps_tx_set(tx, &t->limit, form.maxlen + 1);
    uint64_t both;
    uint32_t parts[2] = {form.itemsize, form.code};
    memcpy(&both, parts, sizeof both);
    mps_tx_set(tx, (uint64_t *)(void *)&t->itemsize, both);
    return form.maxlen == MPS_TYPED_NO_LIMIT ? MPS_OK : mps_typed_provide(tx, t, &r, form.maxlen, true);
}

mps_status mps_typed_setup(mps_seg *seg, mps_door door, mps_off off, mps_typed_form form, mps_enc *words)
{
    mps_tx tx;
    if (form.itemsize - 1u >= MPS_TYPED_ITEM) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_enc_prepare(&tx, words);
    if (st == MPS_OK) {
        st = setup(&tx, mps_typed_at(seg, off), form, words);
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_enc_forget(&tx, words);
    mps_tx_end(&tx);
    return st;
}

/* ---- the data ---- */

static mps_status adopt(mps_tx *tx, mps_off raw)
{
    if (mps_likely(!tx->reading)) {
        return mps_ref_adopt(tx, raw);
    }
    return mps_object_at(tx->seg, raw, MPS_KIND_RAW) != NULL ? mps_ref_look(tx->seg, raw) : MPS_E_CORRUPT;
}

static mps_status data_once(mps_seg *seg, mps_door door, mps_typed *t, mps_off *raw, uint64_t *length)
{
    mps_tx tx;
    mps_typed_reach r;
    bool adopted = false;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    if (st == MPS_OK) {
        st = mps_typed_reach_get(seg, t, &r);
    }
    *raw = st == MPS_OK && r.length > 0 ? mps_load64(&t->data) : 0;
    *length = st == MPS_OK ? r.length : 0;
    if (*raw != 0) {
        st = adopt(&tx, *raw);
        adopted = st == MPS_OK;
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK && adopted) {
        mps_ref_drop(seg, door, *raw);
    }
    return st;
}

mps_status mps_typed_data(mps_seg *seg, mps_door door, mps_off off, mps_off *raw, uint64_t *length)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = data_once(seg, door, mps_typed_at(seg, off), raw, length);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* ---- a pen ---- */

static mps_status pen_reach(mps_pen *pen)
{
    mps_typed_reach r;
    mps_status st = mps_typed_enter(&pen->tx, pen->typed, pen->expected, &r);
    if (st != MPS_OK) {
        (void)mps_tx_abort(&pen->tx);
        return st;
    }
    mps_tx_write_begin(&pen->tx, &pen->typed->object.guard);
    pen->items = r.items;
    pen->length = r.length;
    pen->capacity = r.capacity;
    pen->itemsize = r.itemsize;
    return MPS_OK;
}

mps_status mps_typed_open(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_pen *pen)
{
    pen->typed = mps_typed_at(seg, off);
    pen->expected = itemsize;
    mps_status st = mps_tx_begin(seg, &pen->tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = pen_reach(pen);
    return st == MPS_OK ? MPS_OK : mps_typed_finish(&pen->tx, st);
}

/* Growth is a change of its own, committed before the next item: what a pen stores is in no journal. A pen without itemsize has lost
 * its guard: others may have changed the vector since. */
mps_status mps_pen_grow(mps_pen *pen)
{
    mps_status st = MPS_OK;
    if (pen->itemsize == 0) {
        (void)mps_tx_abort(&pen->tx);
        st = pen_reach(pen);
    }
    if (st != MPS_OK || pen->length < pen->capacity) {
        return st;
    }
    mps_typed_reach r = {pen->items, pen->itemsize, pen->length, pen->capacity};
    pen->itemsize = pen->length = pen->capacity = 0;
    st = mps_typed_provide(&pen->tx, pen->typed, &r, r.length + 1, false);
    mps_status end = st == MPS_OK ? mps_tx_commit(&pen->tx) : mps_tx_abort(&pen->tx);
    if (end == MPS_OK) {
        end = pen_reach(pen);
    }
    if (st == MPS_OK && end == MPS_OK && pen->length >= pen->capacity) {
        end = MPS_E_RETRY; /* another was faster */
    }
    return st == MPS_OK ? end : st;
}

void mps_typed_close(mps_pen *pen)
{
    (void)mps_typed_finish(&pen->tx, MPS_OK);
}

/* ---- dying, check ---- */

mps_status mps_typed_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_typed *t = (mps_typed *)m;
    mps_off data = mps_load64(&t->data);
    mps_value form = mps_value_load(&t->form);
    mps_status st = MPS_OK;
    *done = true;
    if (data != 0) {
        mps_tx_set(tx, &t->length, 0);
        mps_tx_set(tx, &t->capacity, 0);
        mps_tx_set(tx, &t->data, 0);
        st = mps_object_decref(tx, data);
        *done = false; /* what was dropped goes first */
    }
    if (st == MPS_OK && !mps_value_is_plain(form) && form.w0 != 0) {
        mps_tx_set(tx, &t->form.w0, MPS_TAG_NONE);
        st = mps_value_release(tx, form);
    }
    return st;
}

mps_status mps_typed_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_typed *t = mps_typed_at(seg, off);
    mps_typed_reach r;
    mps_value form = mps_value_load(&t->form);
    mps_status st = mps_typed_reach_get(seg, t, &r);
    if (st != MPS_OK && st != MPS_E_TYPE) {
        return v->bad(v, "a vector's data and length contradict each other");
    }
    mps_off data = mps_load64(&t->data);
    st = data != 0 ? v->ref(v, data) : MPS_OK;
    return st == MPS_OK && form.w0 != 0 ? mps_value_visit(seg, form, v) : st;
}
