#include "table.h"

#include "reader.h"
#include "table_body.h"

static mps_table *table_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* ---- reading without a lock ---- */

static inline bool readable(const mps_seg *seg)
{
    return mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY);
}

/* One look at any key without a lock: MPS_OK and its value, MPS_E_NOTFOUND, MPS_E_NOMEM, or MPS_E_RETRY. out may be NULL. */
static mps_status look(mps_seg *seg, const mps_table *t, const mps_enc *key, mps_copy *out)
{
    mps_shape s;
    mps_found f;
    mps_status st = mps_table_find(seg, t, key, &s, &f);
    return st == MPS_OK && out != NULL ? mps_copy_racy(seg, mps_value_load(&f.entry->value), out) : st;
}

static mps_status get_once(mps_seg *seg, mps_door door, mps_table *t, const mps_enc *key, mps_copy *out)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    if (st == MPS_OK) {
        mps_shape s;
        mps_found f;
        st = mps_table_lookup(seg, t, key, &s, &f);
        if (st == MPS_OK && out != NULL) {
            st = mps_copy_locked(&tx, mps_value_load(&f.entry->value), out);
        }
    }
    return mps_copy_end(&tx, st, out, NULL);
}

static mps_status get_locked(mps_seg *seg, mps_door door, mps_table *t, const mps_enc *key, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = get_once(seg, door, t, key, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* All that the first look could not do: keys out of line, a writer at work, what can't be read without the guard. */
__attribute__((noinline)) static mps_status get_slow(mps_seg *seg, mps_door door, mps_table *t, const mps_enc *key,
                                                     mps_copy *out)
{
    mps_glance glance = mps_glance_at(seg, &t->object.guard);
    while (mps_glance_next(&glance)) {
        mps_status st = look(seg, t, key, out);
        bool valid = mps_glance_valid(&glance);
        if (valid && st != MPS_E_RETRY) {
            return st;
        }
        if (out != NULL) {
            mps_copy_drop_refs(seg, door, out);
        }
        if (valid) {
            break;
        }
    }
    return get_locked(seg, door, t, key, out);
}

mps_status mps_table_get(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out)
{
    mps_table *t = table_at(seg, off);
    uint32_t seq = mps_read_begin(&t->object.guard);
    if (mps_likely((seq & 1u) == 0 && readable(seg))) {
        mps_status st;
        const mps_entry *e = mps_table_hit(seg, t, key, &st);
        if (mps_likely(e != NULL)) {
            st = mps_copy_racy(seg, mps_value_load(&e->value), out);
        }
        if (mps_likely(mps_read_valid(&t->object.guard, seq) && st != MPS_E_RETRY)) {
            return st;
        }
        mps_copy_drop_refs(seg, door, out);
    }
    return get_slow(seg, door, t, key, out);
}

mps_status mps_table_has(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key)
{
    mps_table *t = table_at(seg, off);
    uint32_t seq = mps_read_begin(&t->object.guard);
    if (mps_likely((seq & 1u) == 0 && readable(seg))) {
        mps_status st;
        (void)mps_table_hit(seg, t, key, &st);
        if (mps_likely(mps_read_valid(&t->object.guard, seq) && st != MPS_E_RETRY)) {
            return st;
        }
    }
    return get_slow(seg, door, t, key, NULL);
}

mps_status mps_table_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_table *t = table_at(seg, off);
    uint64_t counts = 0;
    mps_status st = mps_reader_word(seg, door, &t->object, &t->counts, &counts);
    *n = mps_table_alive(counts);
    return st;
}

/* ---- changing ---- */

/* The same for a change with a key and a value (NULL: none). */
static inline mps_status enter_with(mps_tx *tx, mps_table *t, mps_enc *key, mps_enc *value)
{
    mps_status st = mps_enc_prepare(tx, key);
    if (mps_likely(st == MPS_OK) && value != NULL) {
        st = mps_enc_prepare(tx, value);
    }
    return mps_likely(st == MPS_OK) ? mps_table_enter(tx, t) : st;
}

static inline mps_status finish(mps_tx *tx, mps_status st, mps_enc *key, mps_enc *value)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    if (mps_unlikely((key->blob | (value != NULL ? value->blob : 0)) != 0)) {
        mps_enc_forget(tx, key);
        if (value != NULL) {
            mps_enc_forget(tx, value);
        }
    }
    mps_tx_end(tx);
    return st;
}

/* Puts a value where the first look did not find the key. */
__attribute__((noinline)) static mps_status put_slow(mps_tx *tx, mps_table *t, const mps_enc *key, const mps_enc *value)
{
    mps_shape s;
    mps_found f;
    mps_status st = mps_table_lookup(tx->seg, t, key, &s, &f);
    if (st == MPS_OK) {
        return mps_table_replace(tx, t, false, f.entry, value);
    }
    if (st != MPS_E_NOTFOUND) {
        return st;
    }
    mps_tx_write_begin(tx, &t->object.guard);
    return mps_table_insert(tx, t, &s, &f, key, value);
}

static inline mps_status put(mps_tx *tx, mps_table *t, const mps_enc *key, const mps_enc *value)
{
    mps_status st;
    mps_entry *e = mps_table_hit(tx->seg, t, key, &st);
    if (mps_unlikely(e == NULL)) {
        return put_slow(tx, t, key, value);
    }
    if (mps_likely(mps_enc_fits_word(value, mps_value_load(&e->value)))) {
        mps_store64(&e->value.w1, value->value.w1);
        return MPS_OK;
    }
    return mps_table_replace(tx, t, false, e, value);
}

mps_status mps_table_set(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value)
{
    mps_table *t = table_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = enter_with(&tx, t, key, value);
    if (mps_likely(st == MPS_OK)) {
        st = put(&tx, t, key, value);
    }
    return finish(&tx, st, key, value);
}

/* Inserts the key if it is not there: else MPS_E_EXISTS. */
static mps_status insert_new(mps_seg *seg, mps_door door, mps_table *t, mps_enc *key, mps_enc *value)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter_with(&tx, t, key, value);
    if (st == MPS_OK) {
        mps_shape s;
        mps_found f;
        st = mps_table_lookup(seg, t, key, &s, &f);
        if (st == MPS_E_NOTFOUND) {
            mps_tx_write_begin(&tx, &t->object.guard);
            st = mps_table_insert(&tx, t, &s, &f, key, value);
        } else if (st == MPS_OK) {
            st = MPS_E_EXISTS;
        }
    }
    return finish(&tx, st, key, value);
}

mps_status mps_table_setdefault(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value, mps_copy *out)
{
    for (;;) {
        mps_status st = out != NULL ? mps_table_get(seg, door, off, key, out) : mps_table_has(seg, door, off, key);
        if (st != MPS_E_NOTFOUND) {
            return st == MPS_OK ? MPS_E_EXISTS : st;
        }
        st = insert_new(seg, door, table_at(seg, off), key, value);
        if (st != MPS_E_EXISTS || out == NULL) {
            return st;
        }
    }
}

mps_status mps_table_pop(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out)
{
    mps_table *t = table_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_table_enter(&tx, t);
    if (mps_likely(st == MPS_OK)) {
        mps_shape s;
        mps_found f;
        st = mps_table_lookup(seg, t, key, &s, &f);
        if (st == MPS_OK && out != NULL) {
            st = mps_copy_locked(&tx, mps_value_load(&f.entry->value), out);
        }
        if (st == MPS_OK) {
            mps_tx_write_begin(&tx, &t->object.guard);
            st = mps_table_erase(&tx, t, &s, &f);
        }
    }
    return mps_copy_end(&tx, st, out, NULL);
}

mps_status mps_table_pop_last(mps_seg *seg, mps_door door, mps_off off, mps_copy *key, mps_copy *value)
{
    mps_table *t = table_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_table_enter(&tx, t);
    if (st == MPS_OK) {
        mps_shape s;
        mps_found f;
        st = mps_table_last(seg, t, &s, &f);
        if (st == MPS_OK) {
            st = mps_copy_locked(&tx, mps_value_load(&f.entry->key), key);
        }
        if (st == MPS_OK) {
            st = mps_copy_locked(&tx, mps_value_load(&f.entry->value), value);
        }
        if (st == MPS_OK) {
            mps_tx_write_begin(&tx, &t->object.guard);
            st = mps_table_erase(&tx, t, &s, &f);
        }
    }
    return mps_copy_end(&tx, st, key, value);
}

/* The change of mps_table_exchange, once the guard is ours. */
static mps_status exchange(mps_tx *tx, mps_table *t, const mps_enc *key, const mps_enc *expected, const mps_enc *value)
{
    mps_shape s;
    mps_found f;
    mps_status st = mps_table_lookup(tx->seg, t, key, &s, &f);
    if (st == MPS_E_NOTFOUND) {
        if (expected != NULL) {
            return MPS_E_CHANGED;
        }
        if (value == NULL) {
            return MPS_OK;
        }
        mps_tx_write_begin(tx, &t->object.guard);
        return mps_table_insert(tx, t, &s, &f, key, value);
    }
    if (st != MPS_OK) {
        return st;
    }
    if (expected == NULL || !mps_value_same(tx->seg, mps_value_load(&f.entry->value), expected)) {
        return MPS_E_CHANGED;
    }
    if (value != NULL) {
        return mps_table_replace(tx, t, false, f.entry, value);
    }
    mps_tx_write_begin(tx, &t->object.guard);
    return mps_table_erase(tx, t, &s, &f);
}

mps_status mps_table_exchange(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, const mps_enc *expected,
                              mps_enc *value)
{
    mps_table *t = table_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter_with(&tx, t, key, value);
    if (st == MPS_OK) {
        st = exchange(&tx, t, key, expected, value);
    }
    return finish(&tx, st, key, value);
}

/* Adds in place: the common case is one store, which needs no journal. */
static inline mps_status add_to(mps_tx *tx, mps_table *t, mps_entry *e, int64_t n, int64_t *sum)
{
    mps_value old = mps_value_load(&e->value);
    unsigned tag = (unsigned)(old.w0 & 0xff);
    if (mps_unlikely(tag != MPS_TAG_INT && tag != MPS_TAG_BOOL)) {
        return MPS_E_TYPE;
    }
    if (mps_unlikely(__builtin_add_overflow((int64_t)old.w1, n, sum))) {
        return MPS_E_OVERFLOW;
    }
    if (mps_unlikely(tag != MPS_TAG_INT)) {
        mps_tx_write_begin(tx, &t->object.guard);
        mps_tx_set(tx, &e->value.w0, MPS_TAG_INT);
        mps_tx_log(tx, &e->value.w1);
    }
    mps_store64(&e->value.w1, (uint64_t)*sum);
    return MPS_OK;
}

/* The same where the first look did not find the key. */
__attribute__((noinline)) static mps_status add_slow(mps_tx *tx, mps_table *t, const mps_enc *key, int64_t n,
                                                     int64_t start, int64_t *sum)
{
    mps_shape s;
    mps_found f;
    mps_status st = mps_table_lookup(tx->seg, t, key, &s, &f);
    if (st == MPS_OK) {
        return add_to(tx, t, f.entry, n, sum);
    }
    if (st != MPS_E_NOTFOUND) {
        return st;
    }
    if (__builtin_add_overflow(start, n, sum)) {
        return MPS_E_OVERFLOW;
    }
    mps_enc value = {.value = mps_value_int(*sum)};
    mps_tx_write_begin(tx, &t->object.guard);
    return mps_table_insert(tx, t, &s, &f, key, &value);
}

mps_status mps_table_add(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, int64_t n, int64_t start, int64_t *sum)
{
    mps_table *t = table_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = enter_with(&tx, t, key, NULL);
    if (mps_likely(st == MPS_OK)) {
        mps_status found;
        mps_entry *e = mps_table_hit(seg, t, key, &found);
        st = mps_likely(e != NULL) ? add_to(&tx, t, e, n, sum) : add_slow(&tx, t, key, n, start, sum);
    }
    return finish(&tx, st, key, NULL);
}

/* ---- all of it ---- */

mps_status mps_table_empty(mps_tx *tx, mps_table *t)
{
    mps_shape s;
    uint64_t word = mps_load64(&t->body), used = mps_table_used(mps_load64(&t->counts));
    if (!mps_table_shape(tx->seg, word, &s) || used > s.capacity) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, &t->body, 0);
    mps_tx_set(tx, &t->counts, 0);
    mps_status st = mps_mortal_drop(tx, word >> 8);
    if (st == MPS_OK) {
        mps_tx_set(tx, &s.body->mortal.cursor, used);
    }
    return st;
}

mps_status mps_table_clear(mps_seg *seg, mps_door door, mps_off off)
{
    mps_table *t = table_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_table_enter(&tx, t);
    if (st == MPS_OK && mps_load64(&t->body) != 0) {
        mps_tx_write_begin(&tx, &t->object.guard);
        st = mps_table_empty(&tx, t);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* ---- dying ---- */

#define DROP_SCAN 4096u /* entries that one step looks at */
#define DROP_FILL \
    (MPS_OUTER - 96u) /* entries of the journal from which on a step ends: one entry of the table needs less than 96 */

mps_status mps_table_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_table *t = (mps_table *)m;
    *done = mps_load64(&t->body) == 0;
    return *done ? MPS_OK : mps_table_empty(tx, t);
}

mps_status mps_table_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    mps_shape s;
    uint64_t left = mps_load64(&m->cursor);
    if (!mps_table_shape(tx->seg, off << 8 | (mps_load32(&m->flags) & 0xff), &s) || left > s.capacity) {
        return MPS_E_CORRUPT;
    }
    mps_status st = MPS_OK;
    for (uint32_t n = 0; left > 0 && n < DROP_SCAN && mps_ctl_outer(tx->ctl) <= DROP_FILL && st == MPS_OK; n++) {
        const mps_entry *e = &s.entries[--left];
        mps_value key = mps_value_load(&e->key), value = mps_value_load(&e->value);
        if (mps_value_tag(key) == MPS_TAG_EMPTY) {
            continue;
        }
        st = mps_value_release(tx, key);
        if (st == MPS_OK) {
            st = mps_value_release(tx, value);
        }
    }
    mps_tx_set(tx, &m->cursor, left);
    *done = left == 0;
    return st;
}
