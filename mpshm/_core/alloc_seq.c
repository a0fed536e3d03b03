#include "alloc_seq.h"

#include "alloc_bins.h"

/* The chunk behind `at` (0: the first) in the list; NULL at the end, and *st says whether that is the end. */
static mps_chunk *step(mps_seg *seg, const uint64_t *link, mps_off at, mps_off *next, mps_status *st)
{
    *next = mps_load64(link);
    if (*next == 0) {
        return NULL;
    }
    mps_chunk *c = *next > at ? mps_chunk_at(seg, *next, MPS_CHUNK_LIST) : NULL;
    if (mps_unlikely(c == NULL)) {
        *st = MPS_E_CORRUPT;
    }
    return c;
}

mps_status mps_seq_add(mps_tx *tx, mps_fit *fit, mps_chunk *c, mps_off chunk, bool fresh)
{
    mps_status st = MPS_OK;
    mps_off prev = 0, next;
    uint64_t *link = &fit->seq_first;
    mps_chunk *after = step(tx->seg, link, prev, &next, &st);
    while (after != NULL && next < chunk) {
        link = &after->next;
        prev = next;
        after = step(tx->seg, link, prev, &next, &st);
    }
    if (mps_unlikely(st != MPS_OK || next == chunk || (after != NULL && mps_load64(&after->prev) != prev))) {
        return MPS_E_CORRUPT;
    }
    mps_bins_put(tx, &c->next, next, fresh);
    mps_bins_put(tx, &c->prev, prev, fresh);
    mps_tx_set_inner(tx, link, chunk);
    if (after != NULL) {
        mps_tx_set_inner(tx, &after->prev, chunk);
    }
    return MPS_OK;
}

mps_status mps_seq_remove(mps_tx *tx, mps_fit *fit, const mps_chunk *c, mps_off chunk)
{
    mps_off next = mps_load64(&c->next);
    mps_off prev = mps_load64(&c->prev);
    mps_chunk *after = next != 0 ? mps_chunk_at(tx->seg, next, MPS_CHUNK_LIST) : NULL;
    mps_chunk *before = prev != 0 ? mps_chunk_at(tx->seg, prev, MPS_CHUNK_LIST) : NULL;
    uint64_t *link = before != NULL ? &before->next : &fit->seq_first;
    if (mps_unlikely((next != 0 && (after == NULL || next <= chunk)) ||
                     (prev != 0 && (before == NULL || prev >= chunk)) || mps_load64(link) != chunk ||
                     (after != NULL && mps_load64(&after->prev) != chunk))) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set_inner(tx, link, next);
    if (after != NULL) {
        mps_tx_set_inner(tx, &after->prev, prev);
    }
    return MPS_OK;
}

mps_status mps_seq_find(mps_seg *seg, const mps_fit *fit, uint64_t size, mps_off *chunk)
{
    mps_status st = MPS_OK;
    mps_off at;
    const mps_chunk *c = step(seg, &fit->seq_first, 0, &at, &st);
    while (c != NULL && mps_chunk_size(mps_load64(&c->head)) < size) {
        c = step(seg, &c->next, at, &at, &st);
    }
    if (c == NULL) {
        return st != MPS_OK ? st : MPS_E_NOTFOUND;
    }
    *chunk = at;
    return MPS_OK;
}

uint64_t mps_seq_largest(mps_seg *seg, const mps_fit *fit)
{
    mps_status st = MPS_OK;
    mps_off at;
    uint64_t largest = 0;
    for (const mps_chunk *c = step(seg, &fit->seq_first, 0, &at, &st); c != NULL;
         c = step(seg, &c->next, at, &at, &st)) {
        largest = mps_max64(largest, mps_chunk_size(mps_load64(&c->head)));
    }
    return largest;
}

mps_status mps_seq_walk(mps_seg *seg, const mps_fit *fit, uint64_t n,
                        void (*visit)(void *ctx, mps_off chunk, uint64_t size), void *ctx, const char **why)
{
    mps_status st = MPS_OK;
    mps_off at, prev = 0;
    for (const mps_chunk *c = step(seg, &fit->seq_first, 0, &at, &st); c != NULL;
         c = step(seg, &c->next, prev, &at, &st)) {
        uint64_t head = mps_load64(&c->head);
        *why = (head & MPS_CINUSE) != 0       ? "the list of free chunks holds one in use"
               : mps_load64(&c->prev) != prev ? "the list of free chunks is linked wrongly"
               : n-- == 0                     ? "the list holds more chunks than are free"
                                              : "";
        if (**why != 0) {
            return MPS_E_CORRUPT;
        }
        visit(ctx, at, mps_chunk_size(head));
        prev = at;
    }
    *why = st != MPS_OK ? "the list of free chunks leads out of the arena, or backwards" : "";
    return st;
}
