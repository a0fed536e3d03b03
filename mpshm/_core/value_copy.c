#include "value.h"

#include <stdlib.h>

#include "reader.h"

#define ROOM_ADOPT 10u  /* entries of referring to one object */
#define MUCH (1u << 20) /* bytes from which on copying lets go of the GIL */

void mps_copy_free(mps_copy *copy)
{
    free(copy->heap);
    copy->heap = NULL;
    copy->capacity = 0;
    if (copy->object != NULL) {
        mps_door_drop(copy->object);
        copy->object = NULL;
    }
}

void mps_copy_drop_refs(mps_seg *seg, mps_door door, mps_copy *copy)
{
    if (mps_value_tag(copy->value) == MPS_TAG_REF) {
        mps_ref_drop(seg, door, copy->value.w1);
    }
    for (uint32_t i = 0; i < copy->n_refs; i++) {
        mps_ref_drop(seg, door, copy->refs[i]);
    }
    copy->n_refs = 0;
    copy->value = (mps_value){0, 0};
}

/* Private memory for n bytes; NULL when there is none. */
static uint8_t *room(mps_copy *copy, uint64_t n)
{
    if (n <= sizeof(copy->small)) {
        return (uint8_t *)copy->small;
    }
    if (n > copy->capacity) {
        free(copy->heap);
        copy->heap = malloc(n);
        copy->capacity = copy->heap != NULL ? n : 0;
    }
    return copy->heap;
}

/* The parts of the copy, as a span says, the data only if there is to be room for them now; the references are not counted yet. */
static mps_status lay_out(mps_copy *copy, const mps_span *span, bool data)
{
    uint8_t *p = room(copy, (uint64_t)span->n_refs * 8 + (data ? span->nbytes : 0));
    if (p == NULL) {
        return MPS_E_NOMEM;
    }
    copy->refs = (const mps_off *)(const void *)p;
    copy->n_refs = 0;
    copy->data = p + (uint64_t)span->n_refs * 8;
    copy->nbytes = span->nbytes;
    copy->aux = span->aux;
    mps_racy_copy(p, span->refs, (uint64_t)span->n_refs * 8);
    return MPS_OK;
}

/* Nothing was copied: no reference is counted either. */
static mps_status give_up(mps_copy *copy, mps_status st)
{
    copy->value = (mps_value){0, 0};
    return st;
}

/* ---- without a lock ---- */

mps_status mps_copy_racy_far(mps_seg *seg, mps_value v, mps_copy *copy)
{
    if (mps_value_tag(v) == MPS_TAG_REF && mps_value_is_inline(v)) {
        return mps_ref_again(seg, v.w1) ? MPS_OK : give_up(copy, MPS_E_RETRY);
    }
    mps_span span;
    if ((v.w0 & MPS_TAG_BLOB) != 0 || !mps_value_span(seg, v, &span)) {
        return give_up(copy, MPS_E_RETRY);
    }
    mps_status st = lay_out(copy, &span, true);
    if (st != MPS_OK) {
        return give_up(copy, st);
    }
    mps_racy_copy((uint8_t *)copy->refs + (uint64_t)span.n_refs * 8, span.data, span.nbytes);
    while (copy->n_refs < span.n_refs) {
        if (!mps_ref_again(seg, copy->refs[copy->n_refs])) {
            copy->value = (mps_value){0, 0};
            return MPS_E_RETRY; /* some are counted: for mps_copy_drop_refs */
        }
        copy->n_refs++;
    }
    return MPS_OK;
}

/* ---- under the guard ---- */

mps_status mps_refs_adopt(mps_tx *tx, const mps_off *refs, uint32_t n, uint32_t *counted)
{
    for (*counted = 0; *counted < n; ++*counted) {
        if (mps_unlikely(tx->reading)) {
            mps_status st = mps_ref_look(tx->seg, refs[*counted]);
            if (st != MPS_OK) {
                return st;
            }
            continue;
        }
        if (mps_ref_again(tx->seg, refs[*counted])) {
            continue;
        }
        mps_status st = mps_refs_enter(tx);
        if (st == MPS_OK) {
            st = mps_tx_reserve(tx, ROOM_ADOPT);
        }
        if (st == MPS_OK) {
            st = mps_ref_adopt(tx, refs[*counted]);
        }
        if (st != MPS_OK) {
            return st;
        }
    }
    return MPS_OK;
}

mps_status mps_copy_locked(mps_tx *tx, mps_value v, mps_copy *copy)
{
    if (mps_likely(mps_copy_plain(v, copy))) {
        return MPS_OK;
    }
    uint32_t counted = 0;
    if (mps_value_tag(v) == MPS_TAG_REF && mps_value_is_inline(v)) {
        mps_status st = mps_refs_adopt(tx, &v.w1, 1, &counted);
        return st == MPS_OK ? MPS_OK : give_up(copy, st);
    }
    mps_span span;
    if (!mps_value_span(tx->seg, v, &span)) {
        return give_up(copy, MPS_E_CORRUPT);
    }
    bool blob = (v.w0 & MPS_TAG_BLOB) != 0;
    if (blob && copy->pin && mps_value_tag(v) == MPS_TAG_BYTES && span.n_refs == 0 && !tx->reading) {
        mps_status st = mps_refs_adopt(tx, &v.w1, 1, &counted);
        copy->value = (mps_value){MPS_TAG_REF, v.w1};
        return st == MPS_OK ? MPS_OK : give_up(copy, st);
    }
    mps_status st = lay_out(copy, &span, !blob || span.n_refs > 0 || tx->reading);
    if (st != MPS_OK) {
        return give_up(copy, st);
    }
    if (span.n_refs > 0) {
        st = mps_refs_adopt(tx, copy->refs, span.n_refs, &counted);
        copy->n_refs = counted;
    }
    if (st == MPS_OK && blob && !tx->reading) {
        st = mps_tx_reserve(tx, 4);
        st = st == MPS_OK ? mps_hold_take(tx, v.w1) : st;
    } else if (st == MPS_OK) {
        mps_racy_copy((uint8_t *)copy->refs + (uint64_t)span.n_refs * 8, span.data, span.nbytes);
        copy->value.w0 ^= (v.w0 & MPS_TAG_BLOB) != 0 ? MPS_TAG_FAR : 0; /* (a reader's: it is all there already) */
    }
    return st == MPS_OK ? MPS_OK : give_up(copy, st);
}

/* Copies the bytes of a blob that the lane holds, outside of all guards. */
static mps_status fetch(mps_tx *tx, mps_copy *copy)
{
    if ((copy->value.w0 & MPS_TAG_BLOB) == 0) {
        return MPS_OK;
    }
    mps_span span;
    if (!mps_value_span(tx->seg, copy->value, &span) || span.nbytes != copy->nbytes) {
        return MPS_E_CORRUPT;
    }
    uint8_t *to = (uint8_t *)copy->refs + (uint64_t)copy->n_refs * 8;
    if (copy->n_refs == 0) {
        mps_tx_enter(tx);
        to = mps_door_make(tx->door, mps_value_tag(copy->value), span.nbytes, &copy->object);
        to = to != NULL ? to : room(copy, span.nbytes);
        if (to == NULL) {
            return MPS_E_NOMEM;
        }
        copy->data = to;
    }
    if (span.nbytes >= MUCH) {
        mps_tx_leave(tx);
    }
    mps_racy_copy(to, span.data, span.nbytes);
    mps_tx_enter(tx);
    copy->value.w0 ^= MPS_TAG_FAR;
    return MPS_OK;
}

static void drop_both(mps_seg *seg, mps_door door, mps_copy *copy, mps_copy *other)
{
    if (copy != NULL) {
        mps_copy_drop_refs(seg, door, copy);
    }
    if (other != NULL) {
        mps_copy_drop_refs(seg, door, other);
    }
}

mps_status mps_copy_end(mps_tx *tx, mps_status st, mps_copy *copy, mps_copy *other)
{
    mps_seg *seg = tx->seg;
    mps_door door = tx->door;
    if (mps_unlikely(tx->reading)) {
        st = mps_reader_end(tx, st);
        if (st != MPS_OK) {
            drop_both(seg, door, copy, other);
        }
        return st;
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    if (mps_unlikely((mps_load64(&tx->lane->hold[0]) | mps_load64(&tx->lane->hold[1])) != 0)) {
        if (st == MPS_OK && copy != NULL) {
            st = fetch(tx, copy);
        }
        if (st == MPS_OK && other != NULL) {
            st = fetch(tx, other);
        }
        mps_status dropped = mps_hold_drop(tx);
        st = st == MPS_OK ? dropped : st;
    }
    mps_tx_end(tx);
    if (mps_unlikely(st != MPS_OK)) {
        drop_both(seg, door, copy, other);
    }
    return st;
}
