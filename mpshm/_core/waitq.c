#include "waitq.h"

#include <stdlib.h>

#define DROPS 16u          /* blocks freed in one step of dying */
#define REMOVAL_ENTRIES 8u /* in the journal, at most */

/* ---- blocks ---- */

static mps_waiter *waiter_at(mps_seg *seg, mps_off off)
{
    if ((off & 15) != 0 || off < seg->arena || !mps_region_holds(&seg->region, off, sizeof(mps_waiter))) {
        return NULL;
    }
    return mps_region_at(&seg->region, off);
}

/* What it sleeps on: the lower half of word. */
static inline uint32_t *state_word(mps_waiter *w)
{
    return (uint32_t *)(void *)&w->word;
}

/* The one behind w, whose offset is off; 0 at the end. A walk that begins at `start` does not come back to it. */
static mps_status next_of(mps_seg *seg, const mps_waiter *w, mps_off off, mps_off start, mps_off *next)
{
    *next = mps_load64(&w->next);
    if (*next == 0) {
        return MPS_OK;
    }
    const mps_waiter *behind = waiter_at(seg, *next);
    return behind == NULL || mps_load64(&behind->prev) != off || *next == start ? MPS_E_CORRUPT : MPS_OK;
}

static inline bool is_dead(mps_seg *seg, const mps_waiter *w)
{
    uint32_t token = mps_load32(&w->token);
    return token != seg->token && mps_token_alive(seg, token) <= 0;
}

mps_waiter *mps_waitq_mine(const mps_tx *tx, const mps_turn *turn)
{
    return tx->token == turn->token ? mps_region_at(&tx->seg->region, turn->node) : NULL;
}

/* ---- whom to wake ---- */

void mps_wakes_begin(mps_wakes *wakes)
{
    wakes->n = 0;
    wakes->capacity = sizeof(wakes->few) / sizeof(wakes->few[0]);
    wakes->who = wakes->few;
}

/* Without memory it is left to wake up by itself, at the end of its slice. */
static void add_wake(mps_wakes *wakes, mps_waiter *w)
{
    if (wakes->n == wakes->capacity) {
        mps_waiter **more = malloc(sizeof(*more) * wakes->capacity * 2);
        if (more == NULL) {
            return;
        }
        memcpy(more, wakes->who, sizeof(*more) * wakes->n);
        if (wakes->who != wakes->few) {
            free(wakes->who);
        }
        wakes->who = more;
        wakes->capacity *= 2;
    }
    wakes->who[wakes->n++] = w;
}

/* After the commit the blocks are the waiters', who may have freed them: so who is asleep is asked before. */
void mps_wakes_look(mps_wakes *wakes)
{
    uint32_t asleep = 0;
    if (wakes->n > 0) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST); /* told first, then looked: a waiter does it the other way round */
    }
    for (uint32_t i = 0; i < wakes->n; i++) {
        if (mps_load32(&wakes->who[i]->waiters) != 0) {
            wakes->who[asleep++] = wakes->who[i];
        }
    }
    wakes->n = asleep;
}

void mps_wakes_move(mps_wakes *wakes, mps_userlock *lock)
{
    if (wakes->n == 0 || mps_load32(&lock->word) == 0) {
        return;
    }
    (void)mps_swap32(&lock->waiters, 1); /* (before anybody sleeps there) */
    for (uint32_t i = 0; i < wakes->n; i++) {
        mps_os_requeue(state_word(wakes->who[i]), &lock->word);
    }
    wakes->n = 0;
    if (mps_unlikely(mps_load32(&lock->word) == 0)) {
        mps_wake(&lock->word, &lock->waiters, 1); /* let go of meanwhile, by who was not the one to notify */
    }
}

void mps_wakes_end(mps_wakes *wakes, bool wake)
{
    for (uint32_t i = 0; wake && i < wakes->n; i++) {
        mps_os_wake(state_word(wakes->who[i]), 1);
    }
    if (wakes->who != wakes->few) {
        free(wakes->who);
    }
}

/* ---- coming and going ---- */

mps_status mps_waitq_add(mps_tx *tx, mps_waitq *q, mps_turn *turn)
{
    mps_off off, last = mps_load64(&q->last);
    mps_waiter *before = last != 0 ? waiter_at(tx->seg, last) : NULL;
    if (last != 0 && (before == NULL || mps_load64(&before->next) != 0)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_alloc(tx, sizeof(mps_waiter), &off);
    if (st != MPS_OK) {
        return st;
    }
    mps_waiter *w = mps_region_at(&tx->seg->region, off);
    mps_store64(&w->word, MPS_WAITER_WAITING);
    mps_store32(&w->token, tx->token);
    mps_store32(&w->waiters, 0);
    mps_store64(&w->next, 0);
    mps_store64(&w->prev, last);
    mps_tx_set(tx, before != NULL ? &before->next : &q->first, off);
    mps_tx_set(tx, &q->last, off);
    if (mps_load64(&q->waiting) == 0) {
        mps_tx_set(tx, &q->waiting, off);
    }
    *turn = (mps_turn){off, tx->token};
    return MPS_OK;
}

mps_status mps_waitq_remove(mps_tx *tx, mps_waitq *q, mps_off off)
{
    mps_seg *seg = tx->seg;
    mps_waiter *w = waiter_at(seg, off);
    mps_off next = 0, prev = w == NULL ? 0 : mps_load64(&w->prev);
    mps_status st = w == NULL ? MPS_E_CORRUPT : next_of(seg, w, off, off, &next);
    mps_waiter *before = prev != 0 ? waiter_at(seg, prev) : NULL;
    bool sound =
        st == MPS_OK && (prev == 0 ? mps_load64(&q->first) == off : before != NULL && mps_load64(&before->next) == off);
    if (!sound || (next == 0 && mps_load64(&q->last) != off)) {
        return MPS_E_CORRUPT;
    }
    st = mps_tx_reserve(tx, REMOVAL_ENTRIES);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, before != NULL ? &before->next : &q->first, next);
    mps_tx_set(tx, next != 0 ? &waiter_at(seg, next)->prev : &q->last, prev);
    if (mps_load64(&q->waiting) == off) {
        mps_tx_set(tx, &q->waiting, next);
    }
    return mps_free(tx, off);
}

/* ---- telling ---- */

mps_status mps_waitq_tell(mps_tx *tx, mps_waitq *q, uint64_t n, uint32_t state, mps_wakes *wakes, uint64_t *told)
{
    mps_seg *seg = tx->seg;
    mps_status st = MPS_OK;
    mps_off off = mps_load64(&q->waiting), start = off, next;
    *told = 0;
    for (; off != 0 && *told < n && st == MPS_OK; off = next) {
        mps_waiter *w = waiter_at(seg, off);
        st = w == NULL ? MPS_E_CORRUPT : next_of(seg, w, off, start, &next);
        if (st != MPS_OK) {
            break;
        }
        if (is_dead(seg, w)) {
            st = mps_waitq_remove(tx, q, off);
            continue;
        }
        st = mps_tx_reserve(tx, 2);
        if (st == MPS_OK) {
            mps_tx_set(tx, &q->waiting, next);
            mps_tx_set(tx, &w->word, *told << 32 | state);
            add_wake(wakes, w);
            *told += 1;
        }
    }
    return st;
}

mps_status mps_waitq_sweep(mps_tx *tx, mps_waitq *q, uint64_t *unheard)
{
    mps_seg *seg = tx->seg;
    mps_status st = MPS_OK;
    mps_off off = mps_load64(&q->first), start = off, next;
    *unheard = 0;
    for (; off != 0 && st == MPS_OK; off = next) {
        mps_waiter *w = waiter_at(seg, off);
        st = w == NULL ? MPS_E_CORRUPT : next_of(seg, w, off, start, &next);
        if (st != MPS_OK) {
            break;
        }
        bool waits = (uint32_t)mps_load64(&w->word) == MPS_WAITER_WAITING;
        if (is_dead(seg, w)) {
            *unheard += waits ? 0 : 1;
            st = mps_waitq_remove(tx, q, off);
        } else if (waits) {
            break;
        }
    }
    return st;
}

mps_status mps_waitq_count(mps_tx *tx, mps_waitq *q, bool living, uint64_t *n)
{
    mps_seg *seg = tx->seg;
    mps_status st = MPS_OK;
    mps_off off = mps_load64(&q->waiting), start = off, next;
    *n = 0;
    for (; off != 0 && st == MPS_OK; off = next) {
        mps_waiter *w = waiter_at(seg, off);
        st = w == NULL ? MPS_E_CORRUPT : next_of(seg, w, off, start, &next);
        if (st == MPS_OK && living && is_dead(seg, w)) {
            st = mps_waitq_remove(tx, q, off);
        } else if (st == MPS_OK) {
            *n += 1;
        }
    }
    return st;
}

mps_status mps_waitq_look(mps_seg *seg, const mps_waitq *q, uint64_t *n)
{
    uint64_t most = mps_load64(&seg->region.limit) / sizeof(mps_waiter);
    mps_off off = mps_load64(&q->waiting);
    *n = 0;
    for (uint64_t i = 0; off != 0; i++) {
        const mps_waiter *w = waiter_at(seg, off);
        if (w == NULL || i > most) {
            return MPS_E_CORRUPT;
        }
        *n += is_dead(seg, w) ? 0 : 1;
        off = mps_load64(&w->next);
    }
    return MPS_OK;
}

/* ---- sleeping ---- */

mps_status mps_waitq_sleep(mps_nap *nap, const mps_turn *turn,
                           mps_status (*care)(mps_seg *seg, mps_off off, const mps_turn *turn), mps_off off)
{
    mps_seg *seg = nap->seg;
    mps_waiter *w = mps_region_at(&seg->region, turn->node);
    mps_status st = MPS_OK;
    while (st == MPS_OK && mps_load32_acquire(state_word(w)) == MPS_WAITER_WAITING && seg->token == turn->token) {
        st = mps_nap_wait(nap, state_word(w), MPS_WAITER_WAITING, &w->waiters);
        if (st == MPS_OK && nap->slept && mps_load32_acquire(state_word(w)) == MPS_WAITER_WAITING) {
            st = care(seg, off, turn);
        }
    }
    return st;
}

/* ---- dying, check ---- */

mps_status mps_waitq_drop(mps_tx *tx, mps_waitq *q, bool *done)
{
    mps_status st = MPS_OK;
    mps_off off = mps_load64(&q->first);
    for (uint32_t i = 0; i < DROPS && off != 0 && st == MPS_OK; i++) {
        const mps_waiter *w = waiter_at(tx->seg, off);
        if (w == NULL) {
            return MPS_E_CORRUPT;
        }
        mps_off next = mps_load64(&w->next);
        mps_tx_set(tx, &q->first, next);
        st = mps_free(tx, off);
        off = next;
    }
    *done = off == 0;
    return st;
}

mps_status mps_waitq_visit(mps_seg *seg, const mps_waitq *q, mps_visit *v)
{
    mps_off prev = 0, off = mps_load64(&q->first), waiting = mps_load64(&q->waiting);
    bool found = waiting == 0;
    mps_status st = MPS_OK;
    while (off != 0 && st == MPS_OK) {
        const mps_waiter *w = waiter_at(seg, off);
        if (w == NULL || mps_load64(&w->prev) != prev) {
            return v->bad(v, "those who wait are not linked as they should be");
        }
        found = found || off == waiting;
        if (found != ((uint32_t)mps_load64(&w->word) == MPS_WAITER_WAITING || waiting == 0)) {
            return v->bad(v, "one who waits was told out of turn");
        }
        if (waiting == 0 && (uint32_t)mps_load64(&w->word) == MPS_WAITER_WAITING) {
            return v->bad(v, "one who waits is forgotten");
        }
        st = v->block(v, off);
        prev = off;
        off = mps_load64(&w->next);
    }
    if (st == MPS_OK && (!found || mps_load64(&q->last) != prev)) {
        return v->bad(v, "those who wait do not end where they should");
    }
    return st;
}
