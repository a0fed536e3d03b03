#include "deque_body.h"

#include "reader.h"

#define SHRINK_CAPACITY 64u /* bodies up to this capacity are kept */

static mps_deque *deque_at(const mps_seg *seg, mps_off off)
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

static inline mps_status get_racy(mps_seg *seg, const mps_deque *d, int64_t index, mps_copy *out)
{
    mps_ring r;
    uint64_t i;
    if (mps_unlikely(mps_deque_reach(seg, d, &r) != MPS_OK)) {
        return MPS_E_RETRY;
    }
    return mps_likely(clip(index, r.length, &i)) ? mps_copy_racy(seg, mps_value_load(mps_ring_place(&r, i)), out)
                                                 : MPS_E_RANGE;
}

static mps_status get_once(mps_seg *seg, mps_door door, mps_deque *d, int64_t index, mps_copy *out)
{
    mps_tx tx;
    mps_ring r;
    uint64_t i;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &d->object);
    if (st == MPS_OK) {
        st = mps_deque_reach(seg, d, &r);
    }
    if (st == MPS_OK) {
        st = clip(index, r.length, &i) ? mps_copy_locked(&tx, mps_value_load(mps_ring_place(&r, i)), out) : MPS_E_RANGE;
    }
    return mps_copy_end(&tx, st, out, NULL);
}

static mps_status get_locked(mps_seg *seg, mps_door door, mps_deque *d, int64_t index, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = get_once(seg, door, d, index, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_deque_get(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out)
{
    mps_deque *d = deque_at(seg, off);
    for (unsigned n = 0; n < MPS_READ_TRIES && mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY); n++) {
        uint32_t seq = mps_read_begin(&d->object.guard);
        if (mps_unlikely(seq & 1u)) {
            mps_pause();
            continue;
        }
        mps_status st = get_racy(seg, d, index, out);
        bool valid = mps_read_valid(&d->object.guard, seq);
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
    return get_locked(seg, door, d, index, out);
}

static mps_status len_once(mps_seg *seg, mps_door door, mps_deque *d, uint64_t *n)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st == MPS_OK) {
        st = mps_reader_lock(&tx, &d->object);
        *n = (uint32_t)mps_load64(&d->ends);
        st = mps_copy_end(&tx, st, NULL, NULL);
    }
    return st;
}

mps_status mps_deque_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_deque *d = deque_at(seg, off);
    for (unsigned i = 0; i < MPS_READ_TRIES && mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY); i++) {
        uint32_t seq = mps_read_begin(&d->object.guard);
        *n = (uint32_t)mps_load64(&d->ends);
        if (mps_likely((seq & 1u) == 0 && mps_read_valid(&d->object.guard, seq))) {
            return *n <= MPS_DEQUE_MAX ? MPS_OK : MPS_E_CORRUPT;
        }
        mps_pause();
    }
    uint64_t since = 0;
    mps_status st;
    do {
        st = len_once(seg, door, d, n);
    } while (mps_reader_again(seg, door, &st, &since));
    return st == MPS_OK && *n > MPS_DEQUE_MAX ? MPS_E_CORRUPT : st;
}

mps_status mps_deque_limit(mps_seg *seg, mps_off off, uint64_t *maxlen)
{
    *maxlen = mps_deque_maxlen(deque_at(seg, off));
    return mps_reader_look(seg, off);
}

static mps_status copy_all(mps_tx *tx, const mps_deque *d, mps_snap *out)
{
    mps_ring r;
    mps_status st = mps_deque_reach(tx->seg, d, &r);
    if (st == MPS_OK) {
        st = mps_snap_room(out, r.length);
    }
    for (uint64_t i = 0; st == MPS_OK && i < r.length; i++) {
        st = mps_snap_add(tx, out, mps_value_load(mps_ring_place(&r, i)));
    }
    return st;
}

static mps_status snapshot_once(mps_seg *seg, mps_door door, mps_off off, mps_snap *out)
{
    mps_deque *d = deque_at(seg, off);
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t from = out->n_items;
    st = mps_reader_lock(&tx, &d->object);
    if (st == MPS_OK) {
        out->seq = mps_load32(&d->object.guard.seq);
        st = copy_all(&tx, d, out);
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK) {
        mps_snap_drop_refs(seg, door, out, from);
    }
    return st;
}

mps_status mps_deque_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_snap *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = snapshot_once(seg, door, off, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* ---- bodies ---- */

mps_status mps_ring_make(mps_tx *tx, uint64_t capacity, bool shorter, mps_array **out)
{
    if (capacity > MPS_DEQUE_MAX) {
        return MPS_E_TOOLARGE;
    }
    tx->urgent = shorter;
    mps_status st = mps_array_make(tx, MPS_KIND_DEQUE_BODY, capacity, out);
    tx->urgent = false;
    return st;
}

void mps_ring_move(const mps_ring *r, uint64_t start, uint64_t n, mps_value *to)
{
    if (n == 0) {
        return;
    }
    uint64_t place = mps_ring_after(r, start);
    uint64_t straight = mps_min64(n, r->capacity - place);
    mps_fresh_move((uint64_t *)to, (const uint64_t *)(r->array->values + place), straight * 2);
    if (n > straight) {
        mps_fresh_move((uint64_t *)(to + straight), (const uint64_t *)r->array->values, (n - straight) * 2);
    }
}

mps_status mps_deque_swing(mps_tx *tx, mps_deque *d, mps_ring *r, mps_array *array, uint64_t length)
{
    mps_array *old = r->array;
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t capacity = mps_load64(&array->capacity);
    if (capacity > MPS_DEQUE_MAX) {
        capacity = MPS_DEQUE_MAX;
        mps_fresh64(&array->capacity, capacity);
    }
    mps_tx_set(tx, &d->body, mps_region_off(&tx->seg->region, array));
    mps_tx_set(tx, &d->ends, mps_ends(0, length));
    *r = (mps_ring){array, 0, length, capacity};
    return old != NULL ? mps_free(tx, mps_region_off(&tx->seg->region, old)) : MPS_OK;
}

uint64_t mps_deque_capacity(const mps_deque *d, uint64_t n)
{
    uint64_t maxlen = mps_deque_maxlen(d), wanted = mps_min64(n + n / 2 + 8, MPS_DEQUE_MAX);
    return maxlen >= wanted ? wanted : mps_max64(n, maxlen + 1); /* one more: see mps_deque_put */
}

static mps_status move_all(mps_tx *tx, mps_deque *d, mps_ring *r, uint64_t capacity, bool shorter)
{
    mps_array *array;
    mps_status st = mps_ring_make(tx, capacity, shorter, &array);
    if (st != MPS_OK) {
        return st;
    }
    mps_ring_move(r, 0, r->length, array->values);
    return mps_deque_swing(tx, d, r, array, r->length);
}

mps_status mps_deque_grow(mps_tx *tx, mps_deque *d, mps_ring *r, uint64_t need)
{
    if (need > MPS_DEQUE_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = move_all(tx, d, r, mps_deque_capacity(d, need), false);
    return st == MPS_E_FULL ? move_all(tx, d, r, need, false) : st;
}

static inline bool is_spacious(uint64_t length, uint64_t capacity)
{
    return mps_unlikely(capacity > SHRINK_CAPACITY && length < capacity / 4);
}

mps_status mps_deque_fit(mps_tx *tx, mps_deque *d, mps_ring *r)
{
    if (!is_spacious(r->length, r->capacity)) {
        return MPS_OK;
    }
    mps_status st = move_all(tx, d, r, mps_deque_capacity(d, r->length), false);
    return st == MPS_E_FULL ? MPS_OK : st;
}

mps_status mps_deque_empty(mps_tx *tx, mps_deque *d, mps_ring *r)
{
    if (r->array == NULL) {
        return MPS_OK;
    }
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &d->body, 0);
    mps_tx_set(tx, &d->ends, 0);
    st = mps_mortal_drop(tx, mps_region_off(&tx->seg->region, r->array));
    if (st == MPS_OK) {
        mps_tx_set(tx, &r->array->mortal.cursor, mps_ends(r->first, r->length));
        *r = (mps_ring){0};
    }
    return st;
}

/* ---- the ends ---- */

/* Publishes ends by which a value leaves, and releases that. */
static mps_status let_go(mps_tx *tx, mps_deque *d, uint64_t first, uint64_t length, mps_value old)
{
    if (mps_likely(mps_value_is_plain(old))) {
        mps_deque_publish(tx, d, first, length);
        return MPS_OK;
    }
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &d->ends, mps_ends(first, length));
    return mps_value_release(tx, old);
}

/* Puts a value in at one end of a deque of its greatest length, so that the value at the other end goes. */
static mps_status put_full(mps_tx *tx, mps_deque *d, const mps_ring *r, mps_end end, mps_value now)
{
    uint64_t first = end == MPS_FRONT ? mps_ring_before(r, 1) : mps_ring_after(r, 1);
    mps_value old = mps_value_load(mps_ring_place(r, end == MPS_FRONT ? r->length - 1 : 0));
    mps_value *place = end == MPS_FRONT ? &r->array->values[first] : mps_ring_place(r, r->length);
    if (mps_likely(r->length < r->capacity)) {
        mps_place_store(place, now);
        return let_go(tx, d, first, r->length, old);
    }
    /* There is no free place: it takes that of the one that goes. */
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &place->w0, now.w0);
    mps_tx_set(tx, &place->w1, now.w1);
    mps_tx_set(tx, &d->ends, mps_ends(first, r->length));
    return mps_value_release(tx, old);
}

/* Inlined where `end` is known. */
__attribute__((always_inline)) static inline mps_status put(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end,
                                                            mps_value now)
{
    if (mps_unlikely(r->length >= mps_deque_maxlen(d) && r->length > 0)) {
        return put_full(tx, d, r, end, now);
    }
    if (mps_unlikely(r->length >= r->capacity)) {
        mps_status st = mps_deque_grow(tx, d, r, r->length + 1);
        if (st != MPS_OK) {
            return st;
        }
    }
    uint64_t first = end == MPS_FRONT ? mps_ring_before(r, 1) : r->first;
    mps_place_store(end == MPS_FRONT ? &r->array->values[first] : mps_ring_place(r, r->length), now);
    mps_deque_publish(tx, d, first, r->length + 1);
    return MPS_OK;
}

mps_status mps_deque_put(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end, mps_value now)
{
    return end == MPS_FRONT ? put(tx, d, r, MPS_FRONT, now) : put(tx, d, r, MPS_BACK, now);
}

__attribute__((always_inline)) static inline mps_status push(mps_seg *seg, mps_door door, mps_deque *d, mps_end end,
                                                             mps_enc *value)
{
    mps_tx tx;
    mps_ring r;
    mps_value now;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (mps_likely(st == MPS_OK)) {
        st = mps_deque_enter(&tx, d);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_deque_reach(seg, d, &r);
    }
    if (mps_likely(st == MPS_OK) && mps_likely(mps_load64(&d->limit) != 1)) { /* else nothing ever stays in it */
        st = mps_enc_store(&tx, value, &now);
        if (mps_likely(st == MPS_OK)) {
            mps_tx_write_begin(&tx, &d->object.guard);
            st = put(&tx, d, &r, end, now);
        }
    }
    return mps_vector_finish(&tx, st, value);
}

mps_status mps_deque_push(mps_seg *seg, mps_door door, mps_off off, mps_end end, mps_enc *value)
{
    mps_deque *d = deque_at(seg, off);
    return end == MPS_FRONT ? push(seg, door, d, MPS_FRONT, value) : push(seg, door, d, MPS_BACK, value);
}

/* Inlined where `end` is known. */
__attribute__((always_inline)) static inline mps_status cut(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end,
                                                            mps_value old)
{
    uint64_t first = end == MPS_FRONT ? mps_ring_after(r, 1) : r->first;
    if (mps_likely(!is_spacious(r->length - 1, r->capacity))) {
        return let_go(tx, d, first, r->length - 1, old);
    }
    mps_status st = mps_tx_reserve(tx, MPS_ROOM_SWING);
    if (st == MPS_OK) {
        mps_tx_set(tx, &d->ends, mps_ends(first, r->length - 1));
        st = mps_value_release(tx, old);
    }
    r->first = first;
    r->length--;
    return st == MPS_OK ? mps_deque_fit(tx, d, r) : st;
}

mps_status mps_deque_cut(mps_tx *tx, mps_deque *d, mps_ring *r, mps_end end)
{
    return cut(tx, d, r, end, mps_value_load(mps_ring_place(r, end == MPS_FRONT ? 0 : r->length - 1)));
}

__attribute__((always_inline)) static inline mps_status pop(mps_seg *seg, mps_door door, mps_deque *d, mps_end end,
                                                            mps_copy *out)
{
    mps_tx tx;
    mps_ring r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_deque_enter(&tx, d);
    if (mps_likely(st == MPS_OK)) {
        st = mps_deque_reach(seg, d, &r);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_likely(r.length > 0) ? MPS_OK : MPS_E_RANGE;
    }
    if (mps_likely(st == MPS_OK)) {
        mps_value old = mps_value_load(mps_ring_place(&r, end == MPS_FRONT ? 0 : r.length - 1));
        if (mps_unlikely(out != NULL && !mps_copy_plain(old, out))) {
            st = mps_copy_locked(&tx, old, out);
        }
        if (mps_likely(st == MPS_OK)) {
            mps_tx_write_begin(&tx, &d->object.guard);
            st = cut(&tx, d, &r, end, old);
        }
    }
    return mps_copy_end(&tx, st, out, NULL);
}

mps_status mps_deque_pop(mps_seg *seg, mps_door door, mps_off off, mps_end end, mps_copy *out)
{
    mps_deque *d = deque_at(seg, off);
    return end == MPS_FRONT ? pop(seg, door, d, MPS_FRONT, out) : pop(seg, door, d, MPS_BACK, out);
}

mps_status mps_deque_set(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value)
{
    mps_deque *d = deque_at(seg, off);
    mps_tx tx;
    mps_ring r;
    uint64_t i;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (mps_likely(st == MPS_OK)) {
        st = mps_deque_enter(&tx, d);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_deque_reach(seg, d, &r);
    }
    if (mps_likely(st == MPS_OK)) {
        st = clip(index, r.length, &i) ? MPS_OK : MPS_E_RANGE;
    }
    if (mps_likely(st == MPS_OK)) {
        mps_value *place = mps_ring_place(&r, i);
        mps_tx_write_begin(&tx, &d->object.guard); /* a new version, at least */
        if (mps_likely(mps_enc_fits_word(value, mps_value_load(place)))) {
            mps_store64(&place->w1, value->value.w1);
        } else {
            st = mps_vector_put(&tx, place, value);
        }
    }
    return mps_vector_finish(&tx, st, value);
}

/* ---- dying, check ---- */

#define DROP_SCAN 4096u             /* values that one step looks at */
#define DROP_FILL (MPS_OUTER - 64u) /* entries of the journal from which on a step ends: one value needs less than 64 */

mps_status mps_deque_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_deque *d = (mps_deque *)m;
    mps_ring r;
    mps_status st = mps_deque_reach(tx->seg, d, &r);
    *done = r.array == NULL;
    return st == MPS_OK ? mps_deque_empty(tx, d, &r) : st;
}

mps_status mps_deque_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    mps_ring r;
    if (!mps_ring_shape(tx->seg, off, mps_load64(&m->cursor), &r)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = MPS_OK;
    for (uint32_t n = 0; r.length > 0 && n < DROP_SCAN && mps_ctl_outer(tx->ctl) <= DROP_FILL && st == MPS_OK; n++) {
        st = mps_value_release(tx, mps_value_load(mps_ring_place(&r, --r.length)));
    }
    mps_tx_set(tx, &m->cursor, mps_ends(r.first, r.length));
    *done = r.length == 0;
    return st;
}

static mps_status visit_values(mps_seg *seg, const mps_ring *r, mps_visit *v)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < r->length && st == MPS_OK; i++) {
        st = mps_value_visit(seg, mps_value_load(mps_ring_place(r, i)), v);
    }
    return st;
}

mps_status mps_deque_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_deque *d = deque_at(seg, off);
    mps_ring r;
    if (mps_deque_reach(seg, d, &r) != MPS_OK || r.length > mps_deque_maxlen(d)) {
        return v->bad(v, "a deque's body, ends and limit contradict each other");
    }
    if (r.array == NULL) {
        return MPS_OK;
    }
    mps_off body = mps_load64(&d->body);
    mps_status st = v->block(v, body);
    if (st == MPS_OK && (mps_alloc_usable(seg, body) < mps_array_bytes(r.capacity) ||
                         mps_load32(&r.array->mortal.kind) != MPS_KIND_DEQUE_BODY)) {
        st = v->bad(v, "a deque's body is longer than its block");
    }
    return st == MPS_OK ? visit_values(seg, &r, v) : st;
}

mps_status mps_deque_body_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_mortal *m = mps_region_at(&seg->region, off);
    mps_ring r;
    if (!mps_ring_shape(seg, off, mps_load64(&m->cursor), &r) ||
        mps_alloc_usable(seg, off) < mps_array_bytes(r.capacity)) {
        return v->bad(v, "a dying body of a deque is out of shape");
    }
    return visit_values(seg, &r, v);
}
