#include "ring_body.h"

#define DROP_SCAN 4096u             /* messages that one step looks at */
#define DROP_FILL (MPS_OUTER - 64u) /* entries of the journal from which on a step ends: one value needs less than 64 */

/* ---- dying ---- */

/* A chunk goes to limbo, with its messages from `place` on. */
static mps_status let_chunk_die(mps_tx *tx, mps_off off, uint64_t place)
{
    mps_chunk *chunk = mps_chunk_at(tx->seg, off, place + 1);
    if (chunk == NULL || mps_load64((const uint64_t *)&chunk->mortal) != MPS_KIND_RING_CHUNK) { /* or dying already */
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_mortal_drop(tx, off);
    if (st == MPS_OK) {
        mps_tx_set(tx, (uint64_t *)&chunk->mortal, MPS_KIND_RING_CHUNK | (uint64_t)MPS_RING_DYING << 32);
        mps_tx_set(tx, &chunk->mortal.cursor, place);
    }
    return st;
}

mps_status mps_ring_let_die(mps_tx *tx, mps_ring *r, uint64_t got, uint64_t put)
{
    mps_chunk *last = mps_chunk_at(tx->seg, mps_load64(&r->last), mps_ring_place(put) + 1);
    if (last == NULL) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_tx_reserve(tx, 16);
    if (st == MPS_OK) {
        mps_store64(mps_chunk_message(last, mps_ring_place(put)), mps_message_head(MPS_FORM_END, 0, 0));
        st = let_chunk_die(tx, mps_load64(&r->first), mps_ring_place(got));
    }
    if (st == MPS_OK) {
        mps_tx_set(tx, &r->first, 0);
        mps_tx_set(tx, &r->last, 0);
    }
    return st;
}

mps_status mps_ring_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_ring *r = (mps_ring *)m;
    *done = mps_load64(&r->first) == 0;
    return *done ? MPS_OK : mps_ring_let_die(tx, r, mps_load64(&r->got), mps_load64(&r->put));
}

/* The value of an owned message. */
static mps_value value_in(const uint64_t *message)
{
    return (mps_value){mps_load64(message + 1), mps_load64(message + 2)};
}

mps_status mps_ring_chunk_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    mps_chunk *chunk = (mps_chunk *)m;
    uint64_t place = mps_load64(&m->cursor);
    mps_status st = MPS_OK;
    *done = false;
    for (uint32_t n = 0; n < DROP_SCAN && mps_ctl_outer(tx->ctl) <= DROP_FILL && st == MPS_OK; n++) {
        if (place > MPS_RING_MOST || mps_chunk_at(tx->seg, off, place + 1) == NULL) {
            return MPS_E_CORRUPT;
        }
        const uint64_t *message = mps_chunk_message(chunk, place);
        uint64_t head = mps_load64(message);
        if (mps_message_form(head) == MPS_FORM_END) {
            mps_off next = mps_load64(&chunk->next);
            *done = true;
            if (next != 0) {
                mps_tx_set(tx, &chunk->next, 0);
                st = let_chunk_die(tx, next, 0);
            }
            break;
        }
        uint64_t units = mps_message_units(mps_message_bytes(head));
        if (!mps_message_sane(head) || mps_chunk_at(tx->seg, off, place + units) == NULL) {
            return MPS_E_CORRUPT;
        }
        if (mps_message_form(head) == MPS_FORM_OWNED) {
            st = mps_value_release(tx, value_in(message));
        }
        place += units;
    }
    if (place != mps_load64(&m->cursor)) {
        mps_tx_set(tx, &m->cursor, place);
    }
    return st;
}

/* ---- check ---- */

/* Visits messages of a chunk from *place on, `most` of them, up to `stop` (0: up to END); *n: how many there are. */
static mps_status visit_messages(mps_seg *seg, mps_off off, uint64_t place, uint64_t stop, uint32_t *n, mps_visit *v)
{
    uint64_t usable = mps_alloc_usable(seg, off);
    mps_status st = MPS_OK;
    while (st == MPS_OK && place != stop) {
        mps_chunk *chunk = mps_chunk_at(seg, off, place + 1);
        if (chunk == NULL || sizeof *chunk + (place + 1) * MPS_RING_UNIT > usable) {
            return v->bad(v, "a queue's chunk does not end");
        }
        const uint64_t *message = mps_chunk_message(chunk, place);
        uint64_t head = mps_load64(message);
        if (mps_message_form(head) == MPS_FORM_END && stop == UINT64_MAX) {
            return MPS_OK;
        }
        uint64_t units = mps_message_units(mps_message_bytes(head));
        if (!mps_message_sane(head) || sizeof *chunk + (place + units) * MPS_RING_UNIT > usable) {
            return v->bad(v, "a queue's message makes no sense");
        }
        if (mps_message_form(head) == MPS_FORM_OWNED) {
            st = mps_value_is_plain(value_in(message)) ? v->bad(v, "a queue's message owns nothing")
                                                       : mps_value_visit(seg, value_in(message), v);
        }
        place += units;
        ++*n;
    }
    return st;
}

mps_status mps_ring_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_ring *r = mps_ring_at(seg, off);
    uint64_t got = mps_load64(&r->got), put = mps_load64(&r->put), place = mps_ring_place(got);
    uint32_t expected = mps_ring_items(put) - mps_ring_items(got), n = 0;
    mps_off at = mps_load64(&r->first), last = mps_load64(&r->last);
    if (mps_load32(&r->get_guard.lock) != 0 || mps_load32(&r->put_guard.lock) != 0) {
        return v->bad(v, "a queue's guard is held while nobody works");
    }
    if ((at == 0) != (last == 0) || (at == 0 && expected != 0)) {
        return v->bad(v, "a queue's first and last chunk contradict each other");
    }
    while (at != 0) {
        mps_status st = v->block(v, at); /* (each block once: so this ends) */
        mps_chunk *chunk = mps_chunk_at(seg, at, 1);
        if (st != MPS_OK) {
            return st;
        }
        if (chunk == NULL || mps_load64((const uint64_t *)&chunk->mortal) != MPS_KIND_RING_CHUNK ||
            sizeof *chunk + (uint64_t)mps_load32(&chunk->capacity) * MPS_RING_UNIT > mps_alloc_usable(seg, at)) {
            return v->bad(v, "a queue's chunk is none, or longer than its block");
        }
        st = visit_messages(seg, at, place, at == last ? mps_ring_place(put) : UINT64_MAX, &n, v);
        if (st != MPS_OK || at == last) {
            return st == MPS_OK && n != expected ? v->bad(v, "a queue has not as many messages as it says") : st;
        }
        at = mps_load64(&chunk->next);
        place = 0;
    }
    return last == 0 ? MPS_OK : v->bad(v, "a queue's chunks do not lead to its last one");
}

mps_status mps_ring_chunk_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_mortal *m = mps_region_at(&seg->region, off);
    uint32_t n = 0;
    return visit_messages(seg, off, mps_load64(&m->cursor), UINT64_MAX, &n, v);
}
