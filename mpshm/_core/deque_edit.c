/* deque_edit.c -- changes of a deque that are more than one value at an end: many at once, the middle, the whole. */
#include "deque_body.h"

static mps_deque *deque_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* Begins a change: guard, user's lock, reach; readers turn away. */
static mps_status enter(mps_tx *tx, mps_deque *d, mps_ring *r)
{
    mps_status st = mps_deque_enter(tx, d);
    if (st == MPS_OK) {
        st = mps_deque_reach(tx->seg, d, r);
    }
    if (st == MPS_OK) {
        mps_tx_write_begin(tx, &d->object.guard);
    }
    return st;
}

/* Stores a value where nobody reaches it yet. */
static mps_status fill(mps_tx *tx, mps_value *place, const mps_enc *value)
{
    mps_value now;
    mps_status st = mps_enc_store(tx, value, &now);
    if (st == MPS_OK) {
        mps_place_store(place, now);
    }
    return st;
}

/* Releases values [start, start + n). */
static mps_status release(mps_tx *tx, const mps_ring *r, uint64_t start, uint64_t n)
{
    mps_status st = MPS_OK;
    for (uint64_t i = start; i < start + n && st == MPS_OK; i++) {
        st = mps_value_release(tx, mps_value_load(mps_ring_place(r, i)));
    }
    return st;
}

/* ---- many at an end ---- */

/* What an extension comes to: the last of the new values and as many of the old as there is room for. */
typedef struct plan {
    uint64_t skip; /* new values that are not kept, the first of them */
    uint64_t add;  /* new values that are */
    uint64_t keep; /* old values that stay */
} plan;

static plan plan_extension(const mps_deque *d, const mps_ring *r, uint64_t n)
{
    uint64_t maxlen = mps_deque_maxlen(d), add = mps_min64(n, maxlen);
    return (plan){n - add, add, mps_min64(r->length, maxlen - add)};
}

static mps_status extend_in_place(mps_tx *tx, mps_deque *d, const mps_ring *r, mps_end end, const mps_enc *values,
                                  const plan *p)
{
    mps_status st = MPS_OK;
    uint64_t gone = r->length - p->keep;
    for (uint64_t i = 0; i < p->add && st == MPS_OK; i++) {
        mps_value *place =
            end == MPS_FRONT ? &r->array->values[mps_ring_before(r, i + 1)] : mps_ring_place(r, r->length + i);
        st = fill(tx, place, &values[p->skip + i]);
    }
    if (st == MPS_OK) {
        st = release(tx, r, end == MPS_FRONT ? p->keep : 0, gone);
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    }
    if (st == MPS_OK) {
        uint64_t first = end == MPS_FRONT ? mps_ring_before(r, p->add) : mps_ring_after(r, gone);
        mps_deque_publish(tx, d, first, p->keep + p->add);
    }
    return st;
}

static mps_status extend_aside(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end, const mps_enc *values, const plan *p)
{
    mps_array *array;
    uint64_t total = p->keep + p->add;
    mps_status st = mps_ring_make(tx, mps_deque_capacity(d, total), false, &array);
    st = st == MPS_E_FULL ? mps_ring_make(tx, total, false, &array) : st;
    if (st != MPS_OK) {
        return st;
    }
    mps_ring_move(r, end == MPS_FRONT ? 0 : r->length - p->keep, p->keep,
                  array->values + (end == MPS_FRONT ? p->add : 0));
    for (uint64_t i = 0; i < p->add && st == MPS_OK; i++) {
        uint64_t place = end == MPS_FRONT ? p->add - 1 - i : p->keep + i;
        st = fill(tx, &array->values[place], &values[p->skip + i]);
    }
    if (st == MPS_OK) {
        st = release(tx, r, end == MPS_FRONT ? p->keep : 0, r->length - p->keep);
    }
    return st == MPS_OK ? mps_deque_swing(tx, d, r, array, total) : st;
}

static mps_status extend(mps_tx *tx, mps_deque *d, mps_end end, const mps_enc *values, uint64_t n)
{
    mps_ring r;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK) {
        return st;
    }
    plan p = plan_extension(d, &r, n);
    if (p.add == 0) {
        return MPS_OK;
    }
    if (p.add > MPS_DEQUE_MAX || p.keep + p.add > MPS_DEQUE_MAX) {
        return MPS_E_TOOLARGE;
    }
    return r.length + p.add <= r.capacity ? extend_in_place(tx, d, &r, end, values, &p)
                                          : extend_aside(tx, d, &r, end, values, &p);
}

mps_status mps_deque_extend(mps_seg *seg, mps_door door, mps_off off, mps_end end, const mps_enc *values, uint64_t n)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, extend(&tx, deque_at(seg, off), end, values, n), NULL, NULL);
}

/* ---- a pen ---- */

static void pen_see(mps_deque_pen *pen, const mps_ring *r)
{
    pen->values = r->array == NULL ? NULL : r->array->values;
    pen->first = r->first;
    pen->length = r->length;
    pen->capacity = r->capacity;
    pen->room = mps_min64(r->capacity, mps_deque_maxlen(pen->deque));
    pen->held = true;
}

/* Takes the guard, for the first time or again. */
static mps_status pen_enter(mps_deque_pen *pen)
{
    mps_ring r;
    pen->values = NULL;
    pen->first = pen->length = pen->capacity = pen->room = 0;
    pen->held = false;
    mps_status st = enter(&pen->tx, pen->deque, &r);
    if (st != MPS_OK) {
        (void)mps_tx_abort(&pen->tx);
        return st;
    }
    pen_see(pen, &r);
    return MPS_OK;
}

mps_status mps_deque_open(mps_seg *seg, mps_door door, mps_off off, mps_deque_pen *pen)
{
    pen->deque = deque_at(seg, off);
    mps_status st = mps_tx_begin(seg, &pen->tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = pen_enter(pen);
    return st == MPS_OK ? MPS_OK : mps_copy_end(&pen->tx, st, NULL, NULL);
}

/* What the pen has done so far is in no journal; this is an operation of its own, committed before the next. */
static mps_status pen_put(mps_deque_pen *pen, mps_end end, mps_value value)
{
    mps_ring r;
    mps_status st = mps_deque_reach(pen->tx.seg, pen->deque, &r);
    if (st == MPS_OK) {
        st = mps_deque_put(&pen->tx, pen->deque, &r, end, value);
    }
    mps_status ended = st == MPS_OK ? mps_tx_commit(&pen->tx) : mps_tx_abort(&pen->tx);
    (void)pen_enter(pen); /* (without the guard, the next call asks for it again) */
    return st == MPS_OK ? ended : st;
}

mps_status mps_deque_pen_push_slow(mps_deque_pen *pen, mps_end end, mps_value value)
{
    if (!mps_value_is_plain(value)) {
        return MPS_E_INVAL;
    }
    mps_status st = pen->held ? MPS_OK : pen_enter(pen);
    if (st != MPS_OK || mps_deque_maxlen(pen->deque) == 0) { /* nothing ever stays in it */
        return st;
    }
    return pen->length < pen->room ? mps_deque_pen_push(pen, end, value) : pen_put(pen, end, value);
}

mps_status mps_deque_pen_pop_slow(mps_deque_pen *pen, mps_end end, mps_value *value)
{
    mps_status st = pen->held ? MPS_OK : pen_enter(pen);
    if (st != MPS_OK) {
        return st;
    }
    return pen->length > 0 ? mps_deque_pen_pop(pen, end, value) : MPS_E_RANGE;
}

mps_status mps_deque_close(mps_deque_pen *pen)
{
    mps_ring r;
    mps_status st = pen->held ? mps_deque_reach(pen->tx.seg, pen->deque, &r) : MPS_OK;
    if (pen->held && st == MPS_OK) {
        st = mps_deque_fit(&pen->tx, pen->deque, &r);
    }
    return mps_copy_end(&pen->tx, st, NULL, NULL);
}

/* ---- in the middle ---- */

/* What stands before value i, or what stands from there on, is in one piece in the array: that part is shifted by one place. */

/* Whether values [start, stop) are in one piece. */
static bool is_straight(const mps_ring *r, uint64_t start, uint64_t stop)
{
    return start >= stop || mps_ring_after(r, start) + (stop - start) <= r->capacity;
}

static void shift(mps_tx *tx, const mps_ring *r, uint64_t place, uint64_t n, int64_t distance)
{
    mps_tx_shift(tx, mps_region_off(&tx->seg->region, r->array->values), place, place + n, distance);
}

/* Opens a gap before value i, 0 < i < length, and writes a value there: true; false where a part would have to go round. */
static bool insert_in_place(mps_tx *tx, mps_deque *d, const mps_ring *r, uint64_t i, mps_value now)
{
    uint64_t place = mps_ring_after(r, i), after = r->length - i;
    bool front = r->first > 0 && is_straight(r, 0, i), back = place + after < r->capacity;
    if (r->length == r->capacity || (!front && !back)) {
        return false;
    }
    front = front && (!back || i <= after);
    if (front) {
        shift(tx, r, r->first, i, -1);
        mps_place_store(&r->array->values[r->first + i - 1], now);
    } else {
        shift(tx, r, place, after, 1);
        mps_place_store(&r->array->values[place], now);
    }
    mps_tx_set(tx, &d->ends, mps_ends(front ? r->first - 1 : r->first, r->length + 1));
    return true;
}

static mps_status insert_aside(mps_tx *tx, mps_deque *d, mps_ring *r, uint64_t i, mps_value now)
{
    mps_array *array;
    uint64_t length = r->length + 1;
    mps_status st = mps_ring_make(tx, mps_deque_capacity(d, length), false, &array);
    st = st == MPS_E_FULL ? mps_ring_make(tx, length, false, &array) : st;
    if (st != MPS_OK) {
        return st;
    }
    mps_place_store(&array->values[i], now);
    mps_ring_move(r, 0, i, array->values);
    mps_ring_move(r, i, r->length - i, array->values + i + 1);
    return mps_deque_swing(tx, d, r, array, length);
}

static mps_status insert(mps_tx *tx, mps_deque *d, int64_t index, const mps_enc *value)
{
    mps_ring r;
    mps_value now;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK) {
        return st;
    }
    if (r.length >= mps_deque_maxlen(d)) {
        return MPS_E_RANGE;
    }
    int64_t length = (int64_t)r.length;
    int64_t at = index < 0 ? (index < -length ? 0 : index + length) : (index > length ? length : index);
    st = mps_enc_store(tx, value, &now);
    if (st != MPS_OK) {
        return st;
    }
    if (at == 0 || at == length) {
        return mps_deque_put(tx, d, &r, at == 0 ? MPS_FRONT : MPS_BACK, now);
    }
    st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st != MPS_OK || insert_in_place(tx, d, &r, (uint64_t)at, now)) {
        return st;
    }
    return insert_aside(tx, d, &r, (uint64_t)at, now);
}

mps_status mps_deque_insert(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (st == MPS_OK) {
        st = insert(&tx, deque_at(seg, off), index, value);
    }
    return mps_vector_finish(&tx, st, value);
}

/* Takes value i out, i < length: in place, so that it needs no memory. */
static mps_status erase(mps_tx *tx, mps_deque *d, mps_ring *r, uint64_t i)
{
    if (i == 0 || i == r->length - 1) {
        return mps_deque_cut(tx, d, r, i == 0 ? MPS_FRONT : MPS_BACK);
    }
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t place = mps_ring_after(r, i), after = r->length - i - 1;
    mps_value old = mps_value_load(&r->array->values[place]);
    mps_tx_log(tx, &r->array->values[place].w0);
    mps_tx_log(tx, &r->array->values[place].w1);
    bool front = is_straight(r, 0, i + 1), back = is_straight(r, i, r->length);
    if (front && (!back || i <= after)) {
        shift(tx, r, r->first, i, 1);
        r->first = mps_ring_after(r, 1);
    } else {
        shift(tx, r, place + 1, after, -1);
    }
    r->length--;
    mps_tx_set(tx, &d->ends, mps_ends(r->first, r->length));
    st = mps_value_release(tx, old);
    return st == MPS_OK ? mps_deque_fit(tx, d, r) : st;
}

static mps_status delete(mps_tx *tx, mps_deque *d, int64_t index)
{
    mps_ring r;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t i = (uint64_t)(index < 0 ? index + (int64_t)r.length : index);
    return i < r.length ? erase(tx, d, &r, i) : MPS_E_RANGE;
}

mps_status mps_deque_delete(mps_seg *seg, mps_door door, mps_off off, int64_t index)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, delete(&tx, deque_at(seg, off), index), NULL, NULL);
}

static mps_status remove_at(mps_tx *tx, mps_deque *d, uint64_t index, const mps_enc *expected)
{
    mps_ring r;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK) {
        return st;
    }
    if (index >= r.length || !mps_value_same(tx->seg, mps_value_load(mps_ring_place(&r, index)), expected)) {
        return MPS_E_CHANGED;
    }
    return erase(tx, d, &r, index);
}

mps_status mps_deque_remove_at(mps_seg *seg, mps_door door, mps_off off, uint64_t index, const mps_enc *expected)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, remove_at(&tx, deque_at(seg, off), index, expected), NULL, NULL);
}

/* ---- the order ---- */

/* Moves n values from the end to the front, or back: true; false where there are too few free places. */
static bool rotate_in_place(mps_tx *tx, mps_deque *d, const mps_ring *r, uint64_t n, bool forward)
{
    uint64_t first = forward ? mps_ring_before(r, n) : mps_ring_after(r, n);
    if (r->length == r->capacity) { /* all the way round: nothing moves */
        mps_deque_publish(tx, d, first, r->length);
        return true;
    }
    if (r->capacity - r->length < n) {
        return false;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t from = forward ? r->length - 1 - i : i;
        uint64_t to = forward ? mps_ring_before(r, i + 1) : mps_ring_after(r, r->length + i);
        mps_place_store(&r->array->values[to], mps_value_load(mps_ring_place(r, from)));
    }
    mps_deque_publish(tx, d, first, r->length);
    return true;
}

static mps_status rotate(mps_tx *tx, mps_deque *d, int64_t k)
{
    mps_ring r;
    mps_array *array;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK || r.length < 2) {
        return st;
    }
    int64_t length = (int64_t)r.length;
    uint64_t n = (uint64_t)((k % length + length) % length); /* places towards the end */
    bool forward = n <= r.length - n;
    if (n == 0 || rotate_in_place(tx, d, &r, forward ? n : r.length - n, forward)) {
        return MPS_OK;
    }
    st = mps_ring_make(tx, r.capacity, true, &array);
    if (st != MPS_OK) {
        return st;
    }
    mps_ring_move(&r, r.length - n, n, array->values);
    mps_ring_move(&r, 0, r.length - n, array->values + n);
    return mps_deque_swing(tx, d, &r, array, r.length);
}

mps_status mps_deque_rotate(mps_seg *seg, mps_door door, mps_off off, int64_t k)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, rotate(&tx, deque_at(seg, off), k), NULL, NULL);
}

static mps_status reverse(mps_tx *tx, mps_deque *d)
{
    mps_ring r;
    mps_array *array;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK || r.length < 2) {
        return st;
    }
    st = mps_ring_make(tx, r.capacity, true, &array);
    if (st != MPS_OK) {
        return st;
    }
    for (uint64_t i = 0; i < r.length; i++) {
        mps_fresh_move((uint64_t *)&array->values[i], (const uint64_t *)mps_ring_place(&r, r.length - 1 - i), 2);
    }
    return mps_deque_swing(tx, d, &r, array, r.length);
}

mps_status mps_deque_reverse(mps_seg *seg, mps_door door, mps_off off)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, reverse(&tx, deque_at(seg, off)), NULL, NULL);
}

/* ---- the whole ---- */

static mps_status repeat(mps_tx *tx, mps_deque *d, int64_t n)
{
    mps_ring r;
    mps_array *array;
    uint64_t total;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK || r.length == 0 || n == 1) {
        return st;
    }
    if (n <= 0) {
        return mps_deque_empty(tx, d, &r);
    }
    uint64_t maxlen = mps_deque_maxlen(d);
    if (__builtin_mul_overflow(r.length, (uint64_t)n, &total)) {
        total = UINT64_MAX - UINT64_MAX % r.length;
    }
    uint64_t kept = mps_max64(mps_min64(total, maxlen), r.length);
    st = mps_ring_make(tx, kept, false, &array);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t clones = kept - r.length; /* the rest moves: the last of the repetitions */
    for (uint64_t i = 0; i < clones && st == MPS_OK; i++) {
        mps_value now;
        uint64_t from = (i + r.length - clones % r.length) % r.length;
        st = mps_value_clone(tx, mps_value_load(mps_ring_place(&r, from)), &now);
        if (st == MPS_OK) {
            mps_place_store(&array->values[i], now);
        }
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_ring_move(&r, 0, r.length, array->values + clones);
    return mps_deque_swing(tx, d, &r, array, kept);
}

mps_status mps_deque_repeat(mps_seg *seg, mps_door door, mps_off off, int64_t n)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, repeat(&tx, deque_at(seg, off), n), NULL, NULL);
}

mps_status mps_deque_clear(mps_seg *seg, mps_door door, mps_off off)
{
    mps_deque *d = deque_at(seg, off);
    mps_tx tx;
    mps_ring r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, d, &r);
    return mps_copy_end(&tx, st == MPS_OK ? mps_deque_empty(&tx, d, &r) : st, NULL, NULL);
}

/* Makes n values the whole content, n <= maxlen. */
static mps_status put_all(mps_tx *tx, mps_deque *d, mps_ring *r, const mps_enc *values, uint64_t n)
{
    mps_array *array;
    if (n == 0) {
        return mps_deque_empty(tx, d, r);
    }
    mps_status st = mps_ring_make(tx, mps_deque_capacity(d, n), n <= r->length, &array);
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        st = fill(tx, &array->values[i], &values[i]);
    }
    if (st == MPS_OK) {
        st = mps_deque_empty(tx, d, r);
    }
    return st == MPS_OK ? mps_deque_swing(tx, d, r, array, n) : st;
}

static mps_status reset(mps_tx *tx, mps_deque *d, uint64_t maxlen, const mps_enc *values, uint64_t n)
{
    mps_ring r;
    mps_status st = enter(tx, d, &r);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t kept = mps_min64(n, maxlen);
    mps_tx_set(tx, &d->limit, maxlen + 1);
    return put_all(tx, d, &r, values + (n - kept), kept);
}

mps_status mps_deque_reset(mps_seg *seg, mps_door door, mps_off off, uint64_t maxlen, const mps_enc *values, uint64_t n)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, reset(&tx, deque_at(seg, off), maxlen, values, n), NULL, NULL);
}

static mps_status replace(mps_tx *tx, mps_deque *d, const mps_enc *values, uint64_t n, uint32_t version)
{
    mps_ring r;
    mps_status st = mps_deque_enter(tx, d);
    if (st == MPS_OK && mps_load32(&d->object.guard.seq) != version) {
        st = MPS_E_CHANGED;
    }
    if (st == MPS_OK) {
        st = mps_deque_reach(tx->seg, d, &r);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_write_begin(tx, &d->object.guard);
    uint64_t kept = mps_min64(n, mps_deque_maxlen(d));
    return put_all(tx, d, &r, values + (n - kept), kept);
}

mps_status mps_deque_replace(mps_seg *seg, mps_door door, mps_off off, const mps_enc *values, uint64_t n,
                             uint32_t version)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    return mps_copy_end(&tx, replace(&tx, deque_at(seg, off), values, n, version), NULL, NULL);
}
