#include "cond.h"

#include "reader.h"

static inline mps_cond *cond_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static mps_status begin(mps_seg *seg, mps_door door, mps_tx *tx, mps_cond *c)
{
    mps_status st = mps_tx_begin(seg, tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_tx_lock_write(tx, &c->object.guard);
    if (mps_unlikely(st != MPS_OK)) {
        mps_tx_abort(tx);
        mps_tx_end(tx);
    }
    return st;
}

static mps_status end(mps_tx *tx, mps_status st)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    mps_tx_end(tx);
    return st;
}

/* The same, waking those who were told something; or, if the lock is held (NULL: it is not), as soon as it is let go of. */
static mps_status end_and_wake(mps_tx *tx, mps_status st, mps_wakes *wakes, mps_object *lock)
{
    mps_wakes_look(wakes);
    st = end(tx, st);
    if (st == MPS_OK && lock != NULL) {
        mps_wakes_move(wakes, &lock->user);
    }
    mps_wakes_end(wakes, st == MPS_OK);
    return st;
}

/* ---- the lock ---- */

static bool is_lock(const mps_object *obj)
{
    uint32_t kind = obj != NULL ? mps_load32(&obj->mortal.kind) : 0;
    return kind == MPS_KIND_LOCK || kind == MPS_KIND_RLOCK;
}

mps_object *mps_cond_lock(mps_seg *seg, mps_off off)
{
    mps_off lock = mps_load64(&cond_at(seg, off)->lock);
    if (mps_unlikely((lock & 15) != 0 || lock < seg->arena ||
                     !mps_region_holds(&seg->region, lock, sizeof(mps_object)))) {
        return NULL;
    }
    mps_object *obj = mps_region_at(&seg->region, lock);
    return mps_likely(is_lock(obj)) ? obj : NULL;
}

mps_status mps_cond_init(mps_seg *seg, mps_door door, mps_off off, mps_off lock)
{
    mps_cond *c = cond_at(seg, off);
    mps_tx tx;
    if (!is_lock(mps_object_at(seg, lock, 0))) {
        return MPS_E_TYPE;
    }
    mps_status st = begin(seg, door, &tx, c);
    if (st != MPS_OK) {
        return st;
    }
    mps_off before = mps_load64(&c->lock);
    st = mps_object_incref(&tx, lock);
    if (st == MPS_OK && before != 0) {
        st = mps_object_decref(&tx, before);
    }
    if (st == MPS_OK) {
        mps_tx_set(&tx, &c->lock, lock);
    }
    return end(&tx, st);
}

/* ---- waiting ---- */

mps_status mps_cond_enter(mps_seg *seg, mps_door door, mps_off off, mps_turn *turn)
{
    mps_cond *c = cond_at(seg, off);
    mps_tx tx;
    mps_status st = begin(seg, door, &tx, c);
    return mps_likely(st == MPS_OK) ? end(&tx, mps_waitq_add(&tx, &c->queue, turn)) : st;
}

/* After a sleep without news: if somebody before us died with a notification, it is the next one's. */
static mps_status care(mps_seg *seg, mps_off off, const mps_turn *turn)
{
    mps_cond *c = cond_at(seg, off);
    if (mps_load64(&c->queue.first) == turn->node) {
        return MPS_OK;
    }
    mps_tx tx;
    mps_status st = begin(seg, MPS_DOOR_FREE, &tx, c);
    if (st != MPS_OK) {
        return st;
    }
    mps_wakes wakes;
    uint64_t unheard, told;
    mps_wakes_begin(&wakes);
    st = mps_waitq_sweep(&tx, &c->queue, &unheard);
    if (st == MPS_OK && unheard > 0) {
        st = mps_waitq_tell(&tx, &c->queue, unheard, MPS_WAITER_TOLD, &wakes, &told);
    }
    return end_and_wake(&tx, st, &wakes, NULL);
}

/* Under the guard: whether the turn is over; then it is out of the queue. late: over in any case. *told: with a notification. */
static mps_status conclude(mps_tx *tx, mps_cond *c, const mps_turn *turn, bool late, bool *over, bool *told)
{
    const mps_waiter *w = mps_waitq_mine(tx, turn);
    *told = w == NULL || (uint32_t)mps_load64(&w->word) != MPS_WAITER_WAITING;
    *over = late || *told;
    return w != NULL && *over ? mps_waitq_remove(tx, &c->queue, turn->node) : MPS_OK;
}

mps_status mps_cond_wait(mps_seg *seg, mps_door door, mps_off off, const mps_turn *turn, uint64_t timeout_ns)
{
    mps_cond *c = cond_at(seg, off);
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    for (bool over = false, told = false;;) {
        mps_status slept = timeout_ns == 0 ? MPS_E_TIMEOUT : mps_waitq_sleep(&nap, turn, care, off);
        mps_nap_end(&nap);
        if (slept != MPS_OK && slept != MPS_E_TIMEOUT) {
            return slept;
        }
        mps_tx tx;
        mps_status st = begin(seg, door, &tx, c);
        if (st == MPS_OK) {
            st = end(&tx, conclude(&tx, c, turn, slept == MPS_E_TIMEOUT, &over, &told));
        }
        if (st != MPS_OK || over) {
            return st != MPS_OK || told ? st : MPS_E_TIMEOUT;
        }
    }
}

mps_status mps_cond_quit(mps_seg *seg, mps_door door, mps_off off, const mps_turn *turn)
{
    mps_cond *c = cond_at(seg, off);
    mps_tx tx;
    mps_status st = begin(seg, door, &tx, c);
    if (st != MPS_OK) {
        return st;
    }
    mps_wakes wakes;
    bool over, told;
    uint64_t n;
    bool ours = mps_waitq_mine(&tx, turn) != NULL;
    mps_wakes_begin(&wakes);
    st = conclude(&tx, c, turn, true, &over, &told);
    if (st == MPS_OK && ours && told) {
        st = mps_waitq_tell(&tx, &c->queue, 1, MPS_WAITER_TOLD, &wakes, &n);
    }
    return end_and_wake(&tx, st, &wakes, NULL);
}

/* ---- notifying ---- */

mps_status mps_cond_notify(mps_seg *seg, mps_door door, mps_off off, uint64_t n)
{
    mps_cond *c = cond_at(seg, off);
    mps_tx tx;
    mps_status st = begin(seg, door, &tx, c);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_wakes wakes;
    uint64_t told;
    mps_wakes_begin(&wakes);
    st = mps_waitq_tell(&tx, &c->queue, n, MPS_WAITER_TOLD, &wakes, &told);
    return end_and_wake(&tx, st, &wakes, mps_cond_lock(seg, off));
}

/* Where the segment may not be written to: who is dead does not count, and stays in the queue. */
static mps_status look(mps_seg *seg, mps_door door, mps_cond *c, uint64_t *n)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &c->object);
    if (st == MPS_OK) {
        st = mps_waitq_look(seg, &c->queue, n);
    }
    return mps_reader_end(&tx, st);
}

mps_status mps_cond_waiting(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_cond *c = cond_at(seg, off);
    if (mps_unlikely(seg->region.readonly)) {
        uint64_t since = 0;
        mps_status looked;
        do {
            looked = look(seg, door, c, n);
        } while (mps_reader_again(seg, door, &looked, &since));
        return looked;
    }
    mps_tx tx;
    mps_status st = begin(seg, door, &tx, c);
    return st == MPS_OK ? end(&tx, mps_waitq_count(&tx, &c->queue, true, n)) : st;
}

/* ---- dying, check ---- */

mps_status mps_cond_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_cond *c = (mps_cond *)m;
    mps_status st = mps_waitq_drop(tx, &c->queue, done);
    mps_off lock = mps_load64(&c->lock);
    if (st != MPS_OK || !*done || lock == 0) {
        return st;
    }
    mps_tx_set(tx, &c->lock, 0);
    return mps_object_decref(tx, lock);
}

mps_status mps_cond_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_cond *c = cond_at(seg, off);
    mps_off lock = mps_load64(&c->lock);
    mps_status st = mps_waitq_visit(seg, &c->queue, v);
    if (st == MPS_OK && lock != 0) {
        st = is_lock(mps_object_at(seg, lock, 0)) ? v->ref(v, lock) : v->bad(v, "a condition's lock is none");
    }
    return st;
}
