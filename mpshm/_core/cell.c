#include "cell.h"

#include "reader.h"

static mps_cell *cell_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* What stands in the cell; None in a new one, whose bytes are zero. */
static inline mps_value load(const mps_cell *c)
{
    mps_value v = mps_value_load(&c->value);
    return mps_likely(v.w0 != 0) ? v : (mps_value){MPS_TAG_NONE, 0};
}

/* ---- reading ---- */

static mps_status get_once(mps_seg *seg, mps_door door, mps_cell *c, mps_copy *out)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &c->object);
    if (st == MPS_OK) {
        st = mps_copy_locked(&tx, load(c), out);
    }
    return mps_copy_end(&tx, st, out, NULL);
}

static mps_status get_locked(mps_seg *seg, mps_door door, mps_cell *c, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = get_once(seg, door, c, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_cell_get(mps_seg *seg, mps_door door, mps_off off, mps_copy *out)
{
    mps_cell *c = cell_at(seg, off);
    mps_glance glance = mps_glance_at(seg, &c->object.guard);
    while (mps_glance_next(&glance)) {
        mps_status st = mps_copy_racy(seg, load(c), out);
        bool valid = mps_glance_valid(&glance);
        if (mps_likely(valid && st != MPS_E_RETRY)) {
            return st;
        }
        mps_copy_drop_refs(seg, door, out);
        if (valid) {
            break;
        }
    }
    return get_locked(seg, door, c, out);
}

static mps_status same_once(mps_seg *seg, mps_door door, mps_cell *c, const mps_enc *value, bool *same)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &c->object);
    if (st == MPS_OK) {
        *same = mps_value_same(seg, load(c), value);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

mps_status mps_cell_same(mps_seg *seg, mps_door door, mps_off off, const mps_enc *value, bool *same)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = same_once(seg, door, cell_at(seg, off), value, same);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* ---- changing ---- */

static inline mps_status enter(mps_tx *tx, mps_cell *c)
{
    mps_status st = mps_tx_lock(tx, &c->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &c->object.user) : st;
}

static inline mps_status put(mps_tx *tx, mps_cell *c, const mps_enc *value)
{
    mps_value now, old = mps_value_load(&c->value);
    mps_status st = mps_enc_store(tx, value, &now);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_tx_write_begin(tx, &c->object.guard);
    if (old.w0 != now.w0) {
        mps_tx_set(tx, &c->value.w0, now.w0);
    }
    mps_tx_set(tx, &c->value.w1, now.w1);
    return mps_value_release(tx, old);
}

/* Sets the value; expected not NULL: if it is that. */
static mps_status change(mps_seg *seg, mps_door door, mps_cell *c, const mps_enc *expected, mps_enc *value)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_enc_prepare(&tx, value);
    if (mps_likely(st == MPS_OK)) {
        st = enter(&tx, c);
    }
    if (st == MPS_OK && expected != NULL && !mps_value_same(seg, load(c), expected)) {
        st = MPS_E_CHANGED;
    }
    if (mps_likely(st == MPS_OK)) {
        st = put(&tx, c, value);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_enc_forget(&tx, value);
    mps_tx_end(&tx);
    return st;
}

mps_status mps_cell_set(mps_seg *seg, mps_door door, mps_off off, mps_enc *value)
{
    return change(seg, door, cell_at(seg, off), NULL, value);
}

mps_status mps_cell_exchange(mps_seg *seg, mps_door door, mps_off off, const mps_enc *expected, mps_enc *value)
{
    return change(seg, door, cell_at(seg, off), expected, value);
}

mps_status mps_cell_add(mps_seg *seg, mps_door door, mps_off off, int64_t n, int64_t *sum)
{
    mps_cell *c = cell_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = enter(&tx, c);
    if (mps_likely(st == MPS_OK)) {
        mps_value v = mps_value_load(&c->value);
        unsigned tag = (unsigned)(v.w0 & 0xff);
        if (tag != MPS_TAG_INT && tag != MPS_TAG_BOOL) {
            st = MPS_E_TYPE;
        } else if (__builtin_add_overflow((int64_t)v.w1, n, sum)) {
            st = MPS_E_OVERFLOW;
        } else {
            mps_enc value = {.value = mps_value_int(*sum)};
            st = put(&tx, c, &value);
        }
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* ---- dying, check ---- */

mps_status mps_cell_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_cell *c = (mps_cell *)m;
    mps_value v = mps_value_load(&c->value);
    *done = true;
    if (mps_value_is_plain(v)) {
        return MPS_OK;
    }
    mps_tx_set(tx, &c->value.w0, MPS_TAG_NONE);
    return mps_value_release(tx, v);
}

mps_status mps_cell_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    return mps_value_visit(seg, load(cell_at(seg, off)), v);
}
