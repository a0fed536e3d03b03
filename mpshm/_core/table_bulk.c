/* table_bulk.c -- many keys of a table in one change: update() of a Dict, and what a Set does with others. */
#include <stdlib.h>

#include "table_body.h"

/* ---- setting pairs ---- */

/* Makes the body large enough for the keys that are new, once, where they may not fit. */
static mps_status make_room(mps_tx *tx, mps_table *t, mps_shape *s, const mps_enc *keys, uint64_t n)
{
    uint64_t counts = mps_load64(&t->counts), missing = n;
    mps_found f;
    if (mps_load64(&t->body) == 0) {
        s->body = NULL;
        s->fresh = false;
    } else {
        if (!mps_table_shape(tx->seg, mps_load64(&t->body), s) || mps_table_used(counts) > s->capacity) {
            return MPS_E_CORRUPT;
        }
        if (n <= s->capacity - mps_table_used(counts)) {
            return MPS_OK;
        }
        missing = 0;
        for (uint64_t i = 0; i < n; i++) {
            mps_status st = mps_table_seek(tx->seg, s, &keys[i], &f);
            if (st == MPS_E_RETRY) {
                return MPS_E_CORRUPT;
            }
            missing += st == MPS_E_NOTFOUND;
        }
        if (missing <= s->capacity - mps_table_used(counts)) {
            return MPS_OK;
        }
    }
    uint64_t entries = mps_table_alive(counts) + missing;
    return mps_table_rebuild(tx, t, s, entries + entries / 16 + 4);
}

static mps_status put_all(mps_tx *tx, mps_table *t, const mps_enc *keys, const mps_enc *values, uint64_t n)
{
    mps_shape s;
    mps_status st = make_room(tx, t, &s, keys, n);
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        mps_found f;
        st = mps_tx_reserve(tx, 8);
        if (st != MPS_OK) {
            break;
        }
        st = mps_table_seek(tx->seg, &s, &keys[i], &f);
        if (st == MPS_OK) {
            st = mps_table_replace(tx, t, s.fresh, f.entry, &values[i]);
        } else {
            st = st == MPS_E_NOTFOUND ? mps_table_insert(tx, t, &s, &f, &keys[i], &values[i]) : MPS_E_CORRUPT;
        }
    }
    return st;
}

mps_status mps_table_update(mps_seg *seg, mps_door door, mps_off off, mps_enc *keys, mps_enc *values, uint64_t n)
{
    mps_table *t = mps_region_at(&seg->region, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_table_enter(&tx, t);
    if (st == MPS_OK && n > 0) {
        mps_tx_write_begin(&tx, &t->object.guard);
        st = put_all(&tx, t, keys, values, n);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* ---- sets of keys ---- */

/* The value of a Set's keys. */
static const mps_enc none = {.value = {MPS_TAG_NONE, 0}};

/* A table's body as it is: *s and how many of its entries are used; a table without one has s->body NULL. */
static mps_status open_shape(mps_seg *seg, const mps_table *t, mps_shape *s, uint64_t *used)
{
    uint64_t word = mps_load64(&t->body), counts = mps_load64(&t->counts);
    *used = mps_table_used(counts);
    if (word == 0) {
        *s = (mps_shape){0};
        return *used == 0 ? MPS_OK : MPS_E_CORRUPT;
    }
    return mps_table_shape(seg, word, s) && *used <= s->capacity && mps_table_alive(counts) <= *used ? MPS_OK
                                                                                                     : MPS_E_CORRUPT;
}

static mps_status seek(mps_seg *seg, const mps_shape *s, const mps_enc *key, mps_found *f)
{
    mps_status st = mps_table_seek(seg, s, key, f);
    return st == MPS_E_RETRY ? MPS_E_CORRUPT : st;
}

/* Adds the keys that are not there. */
static mps_status add_keys(mps_tx *tx, mps_table *t, mps_shape *s, const mps_enc *keys, uint64_t n)
{
    mps_status st = make_room(tx, t, s, keys, n);
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        mps_found f;
        st = seek(tx->seg, s, &keys[i], &f);
        st = st == MPS_E_NOTFOUND ? mps_table_insert(tx, t, s, &f, &keys[i], &none) : st;
    }
    return st;
}

/* Adds the keys that are not there, then takes those out that were: their entries come before those that were added. */
static mps_status toggle_keys(mps_tx *tx, mps_table *t, const mps_enc *keys, uint64_t n)
{
    mps_shape s = {0};
    uint64_t counts = mps_load64(&t->counts);
    mps_status st = add_keys(tx, t, &s, keys, n);
    uint64_t first = s.fresh ? mps_table_alive(counts) : mps_table_used(counts); /* a new body has no holes */
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        mps_found f;
        st = seek(tx->seg, &s, &keys[i], &f);
        if (st == MPS_OK && f.number < first) {
            st = mps_table_take(tx, t, &s, &f);
        }
        st = st == MPS_E_NOTFOUND ? MPS_OK : st;
    }
    return st == MPS_OK && !s.fresh ? mps_table_fit(tx, t, &s) : st;
}

static mps_status take_each(mps_tx *tx, mps_table *t, mps_shape *s, const mps_enc *keys, uint64_t n)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        mps_found f;
        st = seek(tx->seg, s, &keys[i], &f);
        st = st == MPS_OK ? mps_table_take(tx, t, s, &f) : st == MPS_E_NOTFOUND ? MPS_OK : st;
    }
    return st == MPS_OK ? mps_table_fit(tx, t, s) : st;
}

/* Keeps the entries whose keys are among those given, or, keep false, the others: one at a time if few go, else in a new body. */
static mps_status select_keys(mps_tx *tx, mps_table *t, const mps_enc *keys, uint64_t n, bool keep)
{
    mps_shape s;
    uint64_t used, found = 0;
    mps_status st = open_shape(tx->seg, t, &s, &used);
    if (st != MPS_OK || s.body == NULL) {
        return st;
    }
    uint8_t *wanted = malloc(used + 1);
    if (wanted == NULL) {
        return MPS_E_NOMEM;
    }
    memset(wanted, keep ? 0 : 1, used + 1);
    for (uint64_t i = 0; i < n && (st == MPS_OK || st == MPS_E_NOTFOUND); i++) {
        mps_found f;
        st = seek(tx->seg, &s, &keys[i], &f);
        if (st == MPS_OK && f.number < used && wanted[f.number] != keep) {
            wanted[f.number] = keep;
            found++;
        }
    }
    st = st == MPS_E_NOTFOUND ? MPS_OK : st;
    uint64_t alive = mps_table_alive(mps_load64(&t->counts));
    uint64_t left = keep ? found : alive - found;
    if (st == MPS_OK && found > alive) {
        st = MPS_E_CORRUPT;
    } else if (st == MPS_OK && left == 0) {
        st = mps_table_empty(tx, t);
    } else if (st == MPS_OK && left < alive) {
        bool few = !keep && found <= alive / 8;
        st = few ? MPS_E_FULL : mps_table_keep(tx, t, &s, wanted, left);
        st = !keep && st == MPS_E_FULL ? take_each(tx, t, &s, keys, n) : st;
    }
    free(wanted);
    return st;
}

static mps_status combine(mps_tx *tx, mps_table *t, mps_combine how, const mps_enc *keys, uint64_t n)
{
    mps_shape s;
    mps_status st = MPS_OK;
    if (how == MPS_COMBINE_ASSIGN && mps_load64(&t->body) != 0) {
        st = mps_table_empty(tx, t);
    }
    if (st != MPS_OK || (n == 0 && how != MPS_COMBINE_KEEP)) {
        return st;
    }
    switch (how) {
    case MPS_COMBINE_ASSIGN:
    case MPS_COMBINE_ADD: return add_keys(tx, t, &s, keys, n);
    case MPS_COMBINE_TOGGLE: return toggle_keys(tx, t, keys, n);
    default: return select_keys(tx, t, keys, n, how == MPS_COMBINE_KEEP);
    }
}

mps_status mps_table_combine(mps_seg *seg, mps_door door, mps_off off, mps_combine how, mps_enc *keys, uint64_t n,
                             int64_t *grown)
{
    mps_table *t = mps_region_at(&seg->region, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    *grown = 0;
    st = mps_table_enter(&tx, t);
    if (st == MPS_OK) {
        uint64_t before = mps_table_alive(mps_load64(&t->counts));
        mps_tx_write_begin(&tx, &t->object.guard);
        st = combine(&tx, t, how, keys, n);
        *grown = (int64_t)mps_table_alive(mps_load64(&t->counts)) - (int64_t)before;
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}
