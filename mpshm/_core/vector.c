#include "vector_body.h"

#include "reader.h"

#define SHRINK_CAPACITY 64u /* arrays up to this capacity are kept */
#define ROOM_ARRAY 16u      /* journal entries of a new array that is swung in */

static mps_vector *vector_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* The place of an index, which may be negative; false: out of range. */
static inline bool clip(int64_t index, uint64_t length, uint64_t *i)
{
    *i = (uint64_t)(index < 0 ? index + (int64_t)length : index);
    return *i < length;
}

/* ---- reading ---- */

static inline mps_status get_racy(mps_seg *seg, const mps_vector *v, int64_t index, mps_copy *out)
{
    mps_off off = mps_load64(&v->body);
    uint64_t length = mps_load64(&v->length), i;
    if (mps_unlikely(length > MPS_VECTOR_MAX)) {
        return MPS_E_RETRY;
    }
    if (mps_unlikely(!clip(index, length, &i))) {
        return MPS_E_RANGE;
    }
    const mps_array *array = mps_array_at(seg, off, i + 1);
    return mps_likely(array != NULL) ? mps_copy_racy(seg, mps_value_load(&array->values[i]), out) : MPS_E_RETRY;
}

static mps_status get_once(mps_seg *seg, mps_door door, mps_vector *v, int64_t index, mps_copy *out)
{
    mps_tx tx;
    mps_reach r;
    uint64_t i;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &v->object);
    if (st == MPS_OK) {
        st = mps_vector_reach(seg, v, &r);
    }
    if (st == MPS_OK) {
        st = clip(index, r.length, &i) ? mps_copy_locked(&tx, mps_value_load(&r.array->values[i]), out) : MPS_E_RANGE;
    }
    return mps_copy_end(&tx, st, out, NULL);
}

static mps_status get_locked(mps_seg *seg, mps_door door, mps_vector *v, int64_t index, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = get_once(seg, door, v, index, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_vector_get(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out)
{
    mps_vector *v = vector_at(seg, off);
    mps_glance glance = mps_glance_at(seg, &v->object.guard);
    while (mps_glance_next(&glance)) {
        mps_status st = get_racy(seg, v, index, out);
        bool valid = mps_glance_valid(&glance);
        if (mps_likely(valid && st != MPS_E_RETRY)) {
            return st;
        }
        if (st != MPS_E_RANGE) {
            mps_copy_drop_refs(seg, door, out);
        }
        if (valid) {
            break;
        }
    }
    return get_locked(seg, door, v, index, out);
}

mps_status mps_vector_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_vector *v = vector_at(seg, off);
    mps_status st = mps_reader_word(seg, door, &v->object, &v->length, n);
    return mps_likely(st == MPS_OK) && mps_unlikely(*n > MPS_VECTOR_MAX) ? MPS_E_CORRUPT : st;
}

mps_status mps_vector_window(mps_seg *seg, mps_off off, mps_window *out)
{
    const mps_vector *v = vector_at(seg, off);
    if (mps_load32(&seg->control->state) != MPS_STATE_READY) {
        return MPS_E_RETRY;
    }
    out->seq = mps_read_begin(&v->object.guard);
    out->length = mps_load64(&v->length);
    const mps_array *array = mps_array_at(seg, mps_load64(&v->body), out->length);
    out->values = array != NULL ? array->values : NULL;
    if ((out->seq & 1u) != 0 || !mps_read_valid(&v->object.guard, out->seq) || (array == NULL && out->length > 0)) {
        return MPS_E_RETRY;
    }
    return MPS_OK;
}

static mps_status copy_slice(mps_tx *tx, const mps_vector *v, const mps_slice *slice, mps_snap *out)
{
    mps_reach r;
    int64_t start, stop, step;
    mps_status st = mps_vector_reach(tx->seg, v, &r);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t n = mps_slice_adjust(slice, r.length, &start, &stop, &step);
    st = mps_snap_room(out, n);
    int64_t at = start;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        st = mps_snap_add(tx, out, mps_value_load(&r.array->values[at]));
        at = (int64_t)((uint64_t)at + (uint64_t)step); /* past the last one: not used */
    }
    return st;
}

static mps_status snapshot_once(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_snap *out)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    if (slice.step == 0) {
        return MPS_E_INVAL;
    }
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t from = out->n_items;
    st = mps_reader_lock(&tx, &v->object);
    if (st == MPS_OK) {
        out->seq = mps_load32(&v->object.guard.seq);
        st = copy_slice(&tx, v, &slice, out);
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK) {
        mps_snap_drop_refs(seg, door, out, from);
    }
    return st;
}

mps_status mps_vector_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_snap *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = snapshot_once(seg, door, off, slice, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* ---- arrays ---- */

mps_status mps_array_make(mps_tx *tx, uint32_t kind, uint64_t capacity, mps_array **out)
{
    mps_off off = 0;
    if (capacity > MPS_VECTOR_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_tx_reserve(tx, ROOM_ARRAY);
    if (st == MPS_OK) {
        st = mps_alloc(tx, mps_array_bytes(capacity), &off);
    }
    if (st != MPS_OK) {
        return st;
    }
    uint64_t usable = mps_alloc_usable(tx->seg, off);
    mps_array *array = mps_array_at(tx->seg, off, capacity);
    if (array == NULL || usable < mps_array_bytes(capacity)) {
        return MPS_E_CORRUPT;
    }
    mps_fresh64((uint64_t *)&array->mortal, kind);
    mps_fresh64(&array->mortal.next, 0);
    mps_fresh64(&array->mortal.cursor, 0);
    mps_fresh64(&array->capacity, mps_min64((usable - sizeof(mps_array)) / sizeof(mps_value), MPS_VECTOR_MAX));
    *out = array;
    return MPS_OK;
}

mps_status mps_vector_swing(mps_tx *tx, mps_vector *v, mps_reach *r, mps_array *array, uint64_t length)
{
    mps_array *old = r->array;
    mps_tx_set(tx, &v->body, mps_region_off(&tx->seg->region, array));
    if (length != r->length) {
        mps_tx_set(tx, &v->length, length);
    }
    *r = (mps_reach){array, length, mps_load64(&array->capacity)};
    return old != NULL ? mps_free(tx, mps_region_off(&tx->seg->region, old)) : MPS_OK;
}

/* Moves all values to a new array. */
static mps_status move_all(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t capacity)
{
    mps_array *array;
    mps_status st = mps_array_make(tx, MPS_KIND_ARRAY_BODY, capacity, &array);
    if (st != MPS_OK) {
        return st;
    }
    if (r->length > 0) {
        mps_fresh_move((uint64_t *)array->values, (const uint64_t *)r->array->values, r->length * 2);
    }
    return mps_vector_swing(tx, v, r, array, r->length);
}

mps_status mps_vector_grow(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t need)
{
    if (need > MPS_VECTOR_MAX) {
        return MPS_E_TOOLARGE;
    }
    uint64_t wanted = mps_min64(need + need / 4 + 8, MPS_VECTOR_MAX);
    mps_status st = mps_tx_reserve(tx, ROOM_ARRAY);
    if (st == MPS_OK && r->array != NULL) {
        mps_off off = mps_region_off(&tx->seg->region, r->array);
        st = mps_alloc_extend(tx, off, mps_array_bytes(need), mps_array_bytes(wanted));
        if (st == MPS_OK) {
            uint64_t usable = mps_alloc_usable(tx->seg, off);
            if (usable < mps_array_bytes(need)) {
                return MPS_E_CORRUPT;
            }
            r->capacity = mps_min64((usable - sizeof(mps_array)) / sizeof(mps_value), MPS_VECTOR_MAX);
            mps_tx_set(tx, &r->array->capacity, r->capacity);
            return MPS_OK;
        }
        st = st == MPS_E_NOTFOUND ? MPS_OK : st;
    }
    if (st == MPS_OK) {
        st = move_all(tx, v, r, wanted);
        st = st == MPS_E_FULL ? move_all(tx, v, r, need) : st;
    }
    return st;
}

mps_status mps_vector_fit(mps_tx *tx, mps_vector *v, mps_reach *r)
{
    if (mps_likely(r->capacity <= SHRINK_CAPACITY || r->length >= r->capacity / 4)) {
        return MPS_OK;
    }
    mps_status st = move_all(tx, v, r, r->length + r->length / 8 + 8);
    return st == MPS_E_FULL ? MPS_OK : st;
}

/* ---- one value ---- */

mps_status mps_vector_set(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    mps_reach r;
    uint64_t i;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (mps_likely(st == MPS_OK)) {
        st = mps_vector_enter(&tx, v);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_vector_reach(seg, v, &r);
    }
    if (mps_likely(st == MPS_OK)) {
        if (mps_likely(clip(index, r.length, &i))) {
            mps_tx_write_begin(&tx, &v->object.guard); /* a new version, at least */
            if (mps_likely(mps_enc_fits_word(value, mps_value_load(&r.array->values[i])))) {
                mps_store64(&r.array->values[i].w1, value->value.w1);
            } else {
                st = mps_vector_put(&tx, &r.array->values[i], value);
            }
        } else {
            st = MPS_E_RANGE;
        }
    }
    return mps_vector_finish(&tx, st, value);
}

static inline mps_status append(mps_tx *tx, mps_vector *v, const mps_enc *value)
{
    mps_reach r;
    mps_value now;
    mps_status st = mps_vector_reach(tx->seg, v, &r);
    if (mps_likely(st == MPS_OK)) {
        st = mps_enc_store(tx, value, &now);
    }
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    if (mps_unlikely(r.length >= r.capacity)) {
        st = mps_vector_grow(tx, v, &r, r.length + 1);
        if (st != MPS_OK) {
            return st;
        }
    }
    mps_value *place = &r.array->values[r.length];
    mps_store64(&place->w0, now.w0);
    mps_store64(&place->w1, now.w1);
    if (mps_likely(tx->ctl == 0)) {
        mps_barrier();
        mps_store64(&v->length, r.length + 1); /* all there is to undo */
    } else {
        mps_tx_set(tx, &v->length, r.length + 1);
    }
    return MPS_OK;
}

mps_status mps_vector_append(mps_seg *seg, mps_door door, mps_off off, mps_enc *value)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (mps_likely(st == MPS_OK)) {
        st = mps_vector_enter(&tx, v);
    }
    if (mps_likely(st == MPS_OK)) {
        st = append(&tx, v, value);
    }
    return mps_vector_finish(&tx, st, value);
}

mps_status mps_vector_pop(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    mps_reach r;
    uint64_t i = 0;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_vector_enter(&tx, v);
    if (mps_likely(st == MPS_OK)) {
        st = mps_vector_reach(seg, v, &r);
    }
    if (mps_likely(st == MPS_OK)) {
        st = clip(index, r.length, &i) ? MPS_OK : MPS_E_RANGE;
    }
    if (mps_likely(st == MPS_OK && out != NULL)) {
        st = mps_copy_locked(&tx, mps_value_load(&r.array->values[i]), out);
    }
    if (mps_likely(st == MPS_OK)) {
        mps_tx_write_begin(&tx, &v->object.guard);
        st = mps_vector_splice(&tx, v, &r, i, i + 1, NULL, 0);
    }
    return mps_copy_end(&tx, st, out, NULL);
}

/* ---- dying, check ---- */

#define DROP_SCAN 4096u             /* values that one step looks at */
#define DROP_FILL (MPS_OUTER - 64u) /* entries of the journal from which on a step ends: one value needs less than 64 */

mps_status mps_array_drop(mps_tx *tx, mps_array *array, uint64_t first, uint64_t stop)
{
    mps_status st = mps_mortal_drop(tx, mps_region_off(&tx->seg->region, array));
    if (st == MPS_OK) {
        mps_tx_set(tx, &array->capacity, first);
        mps_tx_set(tx, &array->mortal.cursor, stop);
    }
    return st;
}

mps_status mps_vector_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_vector *v = (mps_vector *)m;
    mps_reach r;
    mps_status st = mps_vector_reach(tx->seg, v, &r);
    *done = r.array == NULL;
    if (st != MPS_OK || *done) {
        return st;
    }
    mps_tx_set(tx, &v->body, 0);
    mps_tx_set(tx, &v->length, 0);
    return mps_array_drop(tx, r.array, 0, r.length);
}

mps_status mps_vector_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    uint64_t left = mps_load64(&m->cursor);
    const mps_array *array = mps_array_at(tx->seg, off, left);
    if (array == NULL) {
        return MPS_E_CORRUPT;
    }
    uint64_t first = mps_load64(&array->capacity);
    mps_status st = MPS_OK;
    for (uint32_t n = 0; left > first && n < DROP_SCAN && mps_ctl_outer(tx->ctl) <= DROP_FILL && st == MPS_OK; n++) {
        st = mps_value_release(tx, mps_value_load(&array->values[--left]));
    }
    mps_tx_set(tx, &m->cursor, left);
    *done = left <= first;
    return st;
}

static mps_status visit_values(mps_seg *seg, const mps_array *array, uint64_t first, uint64_t stop, mps_visit *v)
{
    mps_status st = MPS_OK;
    for (uint64_t i = first; i < stop && st == MPS_OK; i++) {
        st = mps_value_visit(seg, mps_value_load(&array->values[i]), v);
    }
    return st;
}

mps_status mps_vector_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_vector *vector = vector_at(seg, off);
    mps_reach r;
    if (mps_vector_reach(seg, vector, &r) != MPS_OK) {
        return v->bad(v, "a list's array and length contradict each other");
    }
    if (r.array == NULL) {
        return MPS_OK;
    }
    mps_off body = mps_load64(&vector->body);
    mps_status st = v->block(v, body);
    if (st == MPS_OK && (mps_alloc_usable(seg, body) < mps_array_bytes(r.capacity) ||
                         mps_load32(&r.array->mortal.kind) != MPS_KIND_ARRAY_BODY)) {
        st = v->bad(v, "a list's array is longer than its block");
    }
    return st == MPS_OK ? visit_values(seg, r.array, 0, r.length, v) : st;
}

mps_status mps_vector_body_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_mortal *m = mps_region_at(&seg->region, off);
    uint64_t stop = mps_load64(&m->cursor);
    const mps_array *array = mps_array_at(seg, off, stop);
    if (array == NULL || mps_alloc_usable(seg, off) < mps_array_bytes(stop)) {
        return v->bad(v, "a dying array is out of shape");
    }
    return visit_values(seg, array, mps_load64(&array->capacity), stop, v);
}
