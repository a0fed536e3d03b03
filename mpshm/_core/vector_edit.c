#include "vector_body.h"

#define LOGGED 16u    /* values that a change takes out in place; more, and it builds aside */
#define ROOM_VALUE 8u /* journal entries of one value replaced or removed in place, its release not counted */

static mps_vector *vector_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* ---- slices ---- */

static int64_t clip_bound(int64_t i, int64_t length, bool backwards)
{
    if (i < 0) {
        i += length;
        return i < 0 ? (backwards ? -1 : 0) : i;
    }
    return i >= length ? (backwards ? length - 1 : length) : i;
}

uint64_t mps_slice_adjust(const mps_slice *slice, uint64_t length, int64_t *start, int64_t *stop, int64_t *step)
{
    int64_t n = (int64_t)length;
    bool backwards = slice->step < 0;
    *step = slice->step == INT64_MIN ? -INT64_MAX : slice->step;
    *start = slice->no_start ? (backwards ? n - 1 : 0) : clip_bound(slice->start, n, backwards);
    *stop = slice->no_stop ? (backwards ? -1 : n) : clip_bound(slice->stop, n, backwards);
    if (backwards) {
        return *stop < *start ? (uint64_t)((*start - *stop - 1) / -*step + 1) : 0;
    }
    return *start < *stop ? (uint64_t)((*stop - *start - 1) / *step + 1) : 0;
}

/* ---- replacing a part by another ---- */

static bool all_plain(const mps_array *array, uint64_t start, uint64_t stop)
{
    bool plain = true;
    for (uint64_t i = start; i < stop && plain; i++) {
        plain = mps_value_is_plain(mps_value_load(&array->values[i]));
    }
    return plain;
}

/* Stores values where nobody can see them yet: in a new array, or beyond the length. */
static mps_status fill(mps_tx *tx, mps_value *to, const mps_enc *values, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        mps_value now;
        mps_status st = mps_enc_store(tx, &values[i], &now);
        if (st != MPS_OK) {
            return st;
        }
        mps_store64(&to[i].w0, now.w0);
        mps_store64(&to[i].w1, now.w1);
    }
    return MPS_OK;
}

static mps_status put_all(mps_tx *tx, mps_value *to, const mps_enc *values, uint64_t n)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        st = mps_tx_reserve(tx, ROOM_VALUE);
        if (st == MPS_OK) {
            st = mps_vector_put(tx, &to[i], &values[i]);
        }
    }
    return st;
}

/* Opens a gap of n places at `at` and fills it. What the gap overwrites has moved: to undo that restores it. */
static mps_status widen(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t at, const mps_enc *values, uint64_t n)
{
    mps_status st = r->length + n > r->capacity ? mps_vector_grow(tx, v, r, r->length + n) : MPS_OK;
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, ROOM_VALUE);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_shift(tx, mps_region_off(&tx->seg->region, r->array->values), at, r->length, (int64_t)n);
    st = fill(tx, &r->array->values[at], values, n);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, ROOM_VALUE);
    }
    if (st == MPS_OK) {
        mps_tx_set(tx, &v->length, r->length + n);
        r->length += n;
    }
    return st;
}

/* Takes values [start, stop) out in place. */
static mps_status narrow(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t start, uint64_t stop)
{
    mps_status st = MPS_OK;
    for (uint64_t i = start; i < stop && st == MPS_OK; i++) {
        mps_value *value = &r->array->values[i];
        st = mps_value_release(tx, mps_value_load(value));
        if (st == MPS_OK) {
            st = mps_tx_reserve(tx, ROOM_VALUE);
        }
        if (st == MPS_OK && stop < r->length) {
            mps_tx_log(tx, &value->w0);
            mps_tx_log(tx, &value->w1);
        }
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, ROOM_VALUE);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_shift(tx, mps_region_off(&tx->seg->region, r->array->values), stop, r->length, -(int64_t)(stop - start));
    r->length -= stop - start;
    mps_tx_set(tx, &v->length, r->length);
    return MPS_OK;
}

/* A new array for a list that does not become longer. It takes the old one's place, so it may pass max_size until that is free:
 * deleting must work in a full segment. */
static mps_status make_shorter(mps_tx *tx, uint64_t length, mps_array **array)
{
    tx->urgent = true;
    mps_status st = mps_array_make(tx, MPS_KIND_ARRAY_BODY, length + length / 8 + 8, array);
    tx->urgent = false;
    return st;
}

/* Builds a new array: what stands before and after the part, with other values between. The part dies in the old array. */
static mps_status splice_aside(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t start, uint64_t stop,
                               const mps_enc *values, uint64_t n)
{
    mps_array *array, *old = r->array;
    uint64_t length = r->length - (stop - start) + n;
    mps_status st = length <= r->length ? make_shorter(tx, length, &array)
                                        : mps_array_make(tx, MPS_KIND_ARRAY_BODY, length + length / 8 + 8, &array);
    if (st != MPS_OK) {
        return st;
    }
    mps_fresh_move((uint64_t *)array->values, (const uint64_t *)old->values, start * 2);
    mps_fresh_move((uint64_t *)(array->values + start + n), (const uint64_t *)(old->values + stop),
                   (r->length - stop) * 2);
    st = fill(tx, array->values + start, values, n);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, 2 * ROOM_VALUE);
    }
    if (st != MPS_OK) {
        return st;
    }
    if (all_plain(old, start, stop)) {
        return mps_vector_swing(tx, v, r, array, length);
    }
    r->array = NULL; /* dies by itself */
    st = mps_vector_swing(tx, v, r, array, length);
    return st == MPS_OK ? mps_array_drop(tx, old, start, stop) : st;
}

mps_status mps_vector_splice(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t start, uint64_t stop,
                             const mps_enc *values, uint64_t n)
{
    uint64_t out = stop - start;
    if (n > MPS_VECTOR_MAX) {
        return MPS_E_TOOLARGE;
    }
    if (n == out) {
        return n > 0 ? put_all(tx, &r->array->values[start], values, n) : MPS_OK;
    }
    if (n == 0 && stop == r->length && all_plain(r->array, start, stop)) {
        mps_tx_set(tx, &v->length, start);
        r->length = start;
        return mps_vector_fit(tx, v, r);
    }
    if (out > LOGGED) {
        return splice_aside(tx, v, r, start, stop, values, n);
    }
    uint64_t common = mps_min64(out, n);
    mps_status st = common > 0 ? put_all(tx, &r->array->values[start], values, common) : MPS_OK;
    if (st != MPS_OK) {
        return st;
    }
    if (n > out) {
        return widen(tx, v, r, start + common, values + common, n - common);
    }
    st = narrow(tx, v, r, start + common, stop);
    return st == MPS_OK ? mps_vector_fit(tx, v, r) : st;
}

/* ---- slices with a step ---- */

static mps_status assign_stepped(mps_tx *tx, const mps_reach *r, int64_t start, int64_t step, const mps_enc *values,
                                 uint64_t n)
{
    mps_status st = MPS_OK;
    uint64_t at = (uint64_t)start;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++, at += (uint64_t)step) {
        st = mps_tx_reserve(tx, ROOM_VALUE);
        if (st == MPS_OK) {
            st = mps_vector_put(tx, &r->array->values[at], &values[i]);
        }
    }
    return st;
}

/* Takes n values from start on out, step > 1 apart; the rest moves to a new array. */
static mps_status delete_stepped(mps_tx *tx, mps_vector *v, mps_reach *r, uint64_t start, uint64_t step, uint64_t n)
{
    mps_array *array;
    uint64_t length = r->length - n, to = start, from = start;
    mps_status st = make_shorter(tx, length, &array);
    if (st != MPS_OK) {
        return st;
    }
    const mps_value *values = r->array->values;
    mps_fresh_move((uint64_t *)array->values, (const uint64_t *)values, start * 2);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t next = i + 1 < n ? from + step : r->length;
        mps_fresh_move((uint64_t *)(array->values + to), (const uint64_t *)(values + from + 1), (next - from - 1) * 2);
        to += next - from - 1;
        st = mps_value_release(tx, mps_value_load(&values[from]));
        if (st != MPS_OK) {
            return st;
        }
        from = next;
    }
    st = mps_tx_reserve(tx, ROOM_VALUE);
    return st == MPS_OK ? mps_vector_swing(tx, v, r, array, length) : st;
}

/* ---- operations ---- */

/* Begins a change of the whole: guard, user's lock, reach. */
static mps_status enter(mps_tx *tx, mps_vector *v, mps_reach *r)
{
    mps_status st = mps_vector_enter(tx, v);
    return st == MPS_OK ? mps_vector_reach(tx->seg, v, r) : st;
}

static mps_status assign(mps_tx *tx, mps_vector *v, const mps_slice *slice, const mps_enc *values, uint64_t n,
                         uint64_t *found)
{
    mps_reach r;
    int64_t start, stop, step;
    mps_status st = enter(tx, v, &r);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t count = mps_slice_adjust(slice, r.length, &start, &stop, &step);
    *found = count;
    if (step != 1 && count != n) {
        return MPS_E_INVAL;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    if (step != 1) {
        return assign_stepped(tx, &r, start, step, values, n);
    }
    return mps_vector_splice(tx, v, &r, (uint64_t)start, (uint64_t)start + count, values, n);
}

mps_status mps_vector_assign(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_enc *values, uint64_t n,
                             uint64_t *found)
{
    mps_tx tx;
    if (slice.step == 0) {
        return MPS_E_INVAL;
    }
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, assign(&tx, vector_at(seg, off), &slice, values, n, found), NULL, NULL);
}

mps_status mps_vector_extend(mps_seg *seg, mps_door door, mps_off off, mps_enc *values, uint64_t n)
{
    uint64_t found;
    return mps_vector_assign(seg, door, off, (mps_slice){.start = INT64_MAX, .step = 1, .no_stop = true}, values, n,
                             &found);
}

static mps_status delete(mps_tx *tx, mps_vector *v, const mps_slice *slice)
{
    mps_reach r;
    int64_t start, stop, step;
    mps_status st = enter(tx, v, &r);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t n = mps_slice_adjust(slice, r.length, &start, &stop, &step);
    if (n == 0) {
        return MPS_OK;
    }
    if (step < 0) {
        start += (int64_t)(n - 1) * step;
        step = -step;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    if (step == 1 || n == 1) {
        return mps_vector_splice(tx, v, &r, (uint64_t)start, (uint64_t)start + n, NULL, 0);
    }
    return delete_stepped(tx, v, &r, (uint64_t)start, (uint64_t)step, n);
}

mps_status mps_vector_delete(mps_seg *seg, mps_door door, mps_off off, mps_slice slice)
{
    mps_tx tx;
    if (slice.step == 0) {
        return MPS_E_INVAL;
    }
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, delete(&tx, vector_at(seg, off), &slice), NULL, NULL);
}

mps_status mps_vector_insert(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    mps_reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (st == MPS_OK) {
        st = enter(&tx, v, &r);
    }
    if (st == MPS_OK) {
        uint64_t i = (uint64_t)clip_bound(index, (int64_t)r.length, false);
        mps_tx_write_begin(&tx, &v->object.guard);
        st = mps_vector_splice(&tx, v, &r, i, i, value, 1);
    }
    return mps_vector_finish(&tx, st, value);
}

mps_status mps_vector_remove_at(mps_seg *seg, mps_door door, mps_off off, uint64_t index, const mps_enc *expected)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    mps_reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, v, &r);
    if (st == MPS_OK) {
        if (index < r.length && mps_value_same(seg, mps_value_load(&r.array->values[index]), expected)) {
            mps_tx_write_begin(&tx, &v->object.guard);
            st = mps_vector_splice(&tx, v, &r, index, index + 1, NULL, 0);
        } else {
            st = MPS_E_CHANGED;
        }
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

static mps_status clear(mps_tx *tx, mps_vector *v, mps_reach *r)
{
    if (r->array == NULL) {
        return MPS_OK;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    mps_tx_set(tx, &v->body, 0);
    mps_tx_set(tx, &v->length, 0);
    return mps_array_drop(tx, r->array, 0, r->length);
}

mps_status mps_vector_clear(mps_seg *seg, mps_door door, mps_off off)
{
    mps_vector *v = vector_at(seg, off);
    mps_tx tx;
    mps_reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, v, &r);
    return mps_copy_end(&tx, st == MPS_OK ? clear(&tx, v, &r) : st, NULL, NULL);
}

/* ---- the whole content ---- */

static void swap_in_place(mps_tx *tx, mps_reach *r)
{
    for (uint64_t i = 0, j = r->length - 1; i < j; i++, j--) {
        mps_value *a = &r->array->values[i], *b = &r->array->values[j];
        mps_value x = mps_value_load(a), y = mps_value_load(b);
        mps_tx_set(tx, &a->w0, y.w0);
        mps_tx_set(tx, &a->w1, y.w1);
        mps_tx_set(tx, &b->w0, x.w0);
        mps_tx_set(tx, &b->w1, x.w1);
    }
}

static mps_status reverse(mps_tx *tx, mps_vector *v)
{
    mps_reach r;
    mps_array *array;
    mps_status st = enter(tx, v, &r);
    if (st != MPS_OK || r.length < 2) {
        return st;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    if (r.length <= LOGGED) {
        swap_in_place(tx, &r);
        return MPS_OK;
    }
    st = mps_array_make(tx, MPS_KIND_ARRAY_BODY, r.capacity, &array);
    if (st != MPS_OK) {
        return st;
    }
    for (uint64_t i = 0; i < r.length; i++) {
        mps_fresh_move((uint64_t *)&array->values[i], (const uint64_t *)&r.array->values[r.length - 1 - i], 2);
    }
    return mps_vector_swing(tx, v, &r, array, r.length);
}

mps_status mps_vector_reverse(mps_seg *seg, mps_door door, mps_off off)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, reverse(&tx, vector_at(seg, off)), NULL, NULL);
}

static mps_status repeat(mps_tx *tx, mps_vector *v, int64_t n)
{
    mps_reach r;
    mps_status st = enter(tx, v, &r);
    if (st != MPS_OK || r.length == 0 || n == 1) {
        return st;
    }
    if (n <= 0) {
        return clear(tx, v, &r);
    }
    uint64_t once = r.length, total;
    if (__builtin_mul_overflow(once, (uint64_t)n, &total) || total > MPS_VECTOR_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    if (total > r.capacity) {
        st = mps_vector_grow(tx, v, &r, total);
    }
    for (uint64_t i = once; i < total && st == MPS_OK; i++) {
        mps_value copy;
        st = mps_value_clone(tx, mps_value_load(&r.array->values[i - once]), &copy);
        if (st == MPS_OK) {
            mps_store64(&r.array->values[i].w0, copy.w0);
            mps_store64(&r.array->values[i].w1, copy.w1);
        }
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, ROOM_VALUE);
    }
    if (st == MPS_OK) {
        mps_tx_set(tx, &v->length, total);
    }
    return st;
}

mps_status mps_vector_repeat(mps_seg *seg, mps_door door, mps_off off, int64_t n)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, repeat(&tx, vector_at(seg, off), n), NULL, NULL);
}

static mps_status replace(mps_tx *tx, mps_vector *v, const mps_enc *values, uint64_t n, uint32_t version)
{
    mps_reach r;
    mps_status st = enter(tx, v, &r);
    if (st != MPS_OK) {
        return st;
    }
    if (mps_load32(&v->object.guard.seq) != version) {
        return MPS_E_CHANGED;
    }
    mps_tx_write_begin(tx, &v->object.guard);
    if (n == 0 || r.array == NULL) {
        return n == 0 ? clear(tx, v, &r) : mps_vector_splice(tx, v, &r, 0, 0, values, n);
    }
    return splice_aside(tx, v, &r, 0, r.length, values, n);
}

mps_status mps_vector_replace(mps_seg *seg, mps_door door, mps_off off, mps_enc *values, uint64_t n, uint32_t version)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, replace(&tx, vector_at(seg, off), values, n, version), NULL, NULL);
}
