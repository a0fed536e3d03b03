#include "object.h"

#include "racy.h"

/* ---- finding ---- */

mps_object *mps_object_at(mps_seg *seg, mps_off off, uint32_t kind)
{
    if ((off & 15) != 0 || off < seg->arena || !mps_region_holds(&seg->region, off, sizeof(mps_object))) {
        return NULL;
    }
    mps_object *obj = mps_region_at(&seg->region, off);
    uint32_t found = mps_load32(&obj->mortal.kind);
    if (kind != 0 && found != kind) {
        return NULL;
    }
    const mps_kind *k = mps_kind_find(found);
    if (k == NULL || k->size < sizeof(mps_object) || !mps_region_holds(&seg->region, off, k->size)) {
        return NULL;
    }
    return obj;
}

/* ---- counting ---- */

mps_status mps_refs_enter(mps_tx *tx)
{
    mps_guard *guard = &mps_seg_root(tx->seg)->refs_guard;
    for (uint32_t i = 0; i < tx->n_held; i++) {
        if (tx->guards[i] == guard) {
            return MPS_OK;
        }
    }
    return mps_tx_lock(tx, guard);
}

mps_status mps_object_incref(mps_tx *tx, mps_off off)
{
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK) {
        return st;
    }
    mps_object *obj = mps_object_at(tx->seg, off, 0);
    if (obj == NULL || mps_load64(&obj->refs) == 0) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, &obj->refs, mps_load64(&obj->refs) + 1);
    return MPS_OK;
}

mps_status mps_object_decref(mps_tx *tx, mps_off off)
{
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK) {
        return st;
    }
    mps_object *obj = mps_object_at(tx->seg, off, 0);
    if (obj == NULL || mps_load64(&obj->refs) == 0) {
        return MPS_E_CORRUPT;
    }
    uint64_t refs = mps_load64(&obj->refs) - 1;
    mps_tx_set(tx, &obj->refs, refs);
    if (refs > 0) {
        return MPS_OK;
    }
    mps_root *root = mps_seg_root(tx->seg);
    mps_tx_set(tx, &root->objects, mps_load64(&root->objects) - 1);
    return mps_mortal_drop(tx, off);
}

/* ---- making ---- */

mps_status mps_object_make(mps_tx *tx, uint32_t kind, uint64_t nbytes, mps_off *off)
{
    mps_root *root = mps_seg_root(tx->seg);
    mps_status st = mps_alloc(tx, nbytes, off);
    if (st != MPS_OK) {
        return st;
    }
    mps_object *obj = mps_region_at(&tx->seg->region, *off);
    /* whoever still reads what the block was before, without a lock, finds out later that it was another's */
    mps_fresh_zero((uint64_t *)(void *)obj, mps_round_up(mps_min64(nbytes, MPS_PAGE), 8) / 8);
    uint64_t serial = mps_load64(&root->next_serial);
    mps_fresh64(&obj->serial, serial);
    mps_fresh64(&obj->refs, 1);
    mps_store32(&obj->mortal.kind, kind);
    mps_tx_set(tx, &root->next_serial, serial + 1);
    mps_tx_set(tx, &root->objects, mps_load64(&root->objects) + 1);
    return MPS_OK;
}

/* ---- dying ---- */

mps_status mps_mortal_drop(mps_tx *tx, mps_off off)
{
    if ((off & 15) != 0 || off < tx->seg->arena || !mps_region_holds(&tx->seg->region, off, sizeof(mps_mortal))) {
        return MPS_E_CORRUPT;
    }
    mps_mortal *m = mps_region_at(&tx->seg->region, off);
    mps_tx_set(tx, &m->next, mps_load64(&tx->lane->limbo));
    mps_tx_set(tx, &m->cursor, 0);
    mps_tx_set(tx, &tx->lane->limbo, off);
    return MPS_OK;
}

/* One step of taking the first dying block apart; the block goes when nothing is left of what it owned. */
static mps_status limbo_step(mps_tx *tx, mps_off off)
{
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK) {
        return st;
    }
    if ((off & 15) != 0 || off < tx->seg->arena || !mps_region_holds(&tx->seg->region, off, sizeof(mps_mortal))) {
        return MPS_E_CORRUPT;
    }
    mps_mortal *m = mps_region_at(&tx->seg->region, off);
    const mps_kind *kind = mps_kind_find(mps_load32(&m->kind));
    if (kind == NULL || !mps_region_holds(&tx->seg->region, off, kind->size)) {
        return MPS_E_CORRUPT;
    }
    bool done = false;
    st = kind->drop(tx, m, off, &done);
    if (st != MPS_OK) {
        return st;
    }
    /* What this step dropped in its turn lies before m in the list, and goes first. */
    if (done && mps_load64(&tx->lane->limbo) == off) {
        mps_tx_set(tx, &tx->lane->limbo, mps_load64(&m->next));
        return mps_free(tx, off);
    }
    return MPS_OK;
}

mps_status mps_limbo_drain(mps_tx *tx)
{
    mps_off off;
    while ((off = mps_load64(&tx->lane->limbo)) != 0) {
        mps_status st = limbo_step(tx, off);
        if (st != MPS_OK) {
            mps_tx_abort(tx);
            if (st == MPS_E_CORRUPT) {
                mps_store32(&tx->seg->control->state, MPS_STATE_BROKEN);
            }
            return st;
        }
        st = mps_tx_commit(tx);
        if (st != MPS_OK) {
            return st;
        }
    }
    return MPS_OK;
}

void mps_object_drain(mps_tx *tx)
{
    if (mps_limbo_drain(tx) == MPS_OK) {
        mps_alloc_trim(tx);
    }
}

mps_status mps_object_settle(mps_seg *seg, mps_door door, mps_object *obj)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, &obj->guard);
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

/* ---- holding ---- */

static uint64_t *free_hold(mps_tx *tx)
{
    for (uint32_t i = 0; i < MPS_HOLDS; i++) {
        if (mps_load64(&tx->lane->hold[i]) == 0) {
            return &tx->lane->hold[i];
        }
    }
    return NULL;
}

mps_status mps_hold_new(mps_tx *tx, uint32_t kind, uint64_t nbytes, mps_off *off)
{
    uint64_t *hold = free_hold(tx);
    if (hold == NULL) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = mps_object_make(tx, kind, nbytes, off);
    }
    if (st != MPS_OK) {
        mps_tx_abort(tx);
        return st;
    }
    mps_tx_set(tx, hold, *off);
    return mps_tx_commit(tx);
}

mps_status mps_hold_take(mps_tx *tx, mps_off off)
{
    uint64_t *hold = free_hold(tx);
    if (hold == NULL) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_object_incref(tx, off);
    if (st == MPS_OK) {
        mps_tx_set(tx, hold, off);
    }
    return st;
}

mps_status mps_hold_give(mps_tx *tx, mps_off off)
{
    for (uint32_t i = 0; i < MPS_HOLDS; i++) {
        if (mps_load64(&tx->lane->hold[i]) == off) {
            mps_tx_set(tx, &tx->lane->hold[i], 0);
            return MPS_OK;
        }
    }
    return MPS_E_INVAL;
}

mps_status mps_hold_drop(mps_tx *tx)
{
    for (uint32_t i = 0; i < MPS_HOLDS; i++) {
        mps_off off = mps_load64(&tx->lane->hold[i]);
        if (off == 0) {
            continue;
        }
        mps_status st = mps_refs_enter(tx);
        if (st == MPS_OK) {
            mps_tx_set(tx, &tx->lane->hold[i], 0);
            st = mps_object_decref(tx, off);
        }
        if (st != MPS_OK) {
            mps_tx_abort(tx);
            return st;
        }
    }
    return mps_tx_commit(tx);
}
