#include "barrier.h"

#include "reader.h"

#define OPEN 0u
#define RUNNING 1u
#define BROKEN 2u
#define PHASE 3u
#define RUN_SHIFT 2u
#define RUNS 0x3fffffffu

static inline mps_barrier_object *barrier_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static inline uint32_t phase_of(const mps_barrier_object *b)
{
    return (uint32_t)mps_load64(&b->phase) & PHASE;
}

static inline uint32_t run_of(const mps_barrier_object *b)
{
    return (uint32_t)mps_load64(&b->phase) >> RUN_SHIFT;
}

static inline uint32_t runner_of(const mps_barrier_object *b)
{
    return (uint32_t)(mps_load64(&b->phase) >> 32);
}

static inline uint32_t *phase_word(mps_barrier_object *b)
{
    return (uint32_t *)(void *)&b->phase;
}

static inline bool has_action(const mps_barrier_object *b)
{
    unsigned tag = (unsigned)(mps_load64(&b->action.w0) & 0xff);
    return (tag != MPS_TAG_EMPTY && tag != MPS_TAG_NONE) || (mps_load64(&b->parties) & MPS_BARRIER_LOCAL) != 0;
}

/* ---- an operation ---- */

typedef struct operation {
    mps_tx tx;
    mps_barrier_object *b;
    mps_wakes wakes;
    bool wake_phase; /* phase has changed */
} operation;

static mps_status begin(mps_seg *seg, mps_door door, mps_off off, operation *op)
{
    op->b = barrier_at(seg, off);
    op->wake_phase = false;
    mps_status st = mps_tx_begin(seg, &op->tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    mps_wakes_begin(&op->wakes);
    st = mps_tx_lock_write(&op->tx, &op->b->object.guard);
    if (mps_unlikely(st != MPS_OK)) {
        mps_tx_abort(&op->tx);
        mps_tx_end(&op->tx);
    }
    return st;
}

static mps_status end(operation *op, mps_status st)
{
    mps_wakes_look(&op->wakes);
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&op->tx);
    } else {
        mps_tx_abort(&op->tx);
    }
    mps_tx_end(&op->tx);
    mps_wakes_end(&op->wakes, st == MPS_OK);
    if (st == MPS_OK && op->wake_phase) {
        mps_wake(phase_word(op->b), &op->b->waiters, INT32_MAX);
    }
    return st;
}

static mps_status set_phase(operation *op, uint32_t phase, uint32_t run, uint32_t runner)
{
    mps_status st = mps_tx_reserve(&op->tx, 1);
    if (st == MPS_OK) {
        mps_tx_set(&op->tx, &op->b->phase, (uint64_t)runner << 32 | (uint64_t)(run & RUNS) << RUN_SHIFT | phase);
        op->wake_phase = true;
    }
    return st;
}

/* Who waits is told that it won't come. */
static mps_status break_up(operation *op, uint32_t phase)
{
    uint64_t told;
    mps_status st = mps_waitq_tell(&op->tx, &op->b->queue, UINT64_MAX, MPS_WAITER_BROKEN, &op->wakes, &told);
    return st == MPS_OK ? set_phase(op, phase, run_of(op->b) + 1, 0) : st;
}

/* Who waits is let go. */
static mps_status let_go(operation *op, mps_arrival *a)
{
    uint64_t told;
    mps_status st = mps_waitq_tell(&op->tx, &op->b->queue, UINT64_MAX, MPS_WAITER_TOLD, &op->wakes, &told);
    a->outcome = MPS_BARRIER_PASSED;
    a->index = (uint32_t)mps_load64(&op->b->parties) - 1;
    return st;
}

static bool runner_is_dead(mps_seg *seg, const mps_barrier_object *b)
{
    return phase_of(b) == RUNNING && mps_token_alive(seg, runner_of(b)) <= 0;
}

/* Breaks the barrier if the process that runs the action is dead. */
static mps_status look_at_runner(operation *op)
{
    return runner_is_dead(op->tx.seg, op->b) ? break_up(op, BROKEN) : MPS_OK;
}

/* ---- coming ---- */

/* All are there but the caller: he opens it, or runs the action. */
static mps_status complete(operation *op, mps_arrival *a)
{
    if (!has_action(op->b)) {
        return let_go(op, a);
    }
    a->outcome = MPS_BARRIER_RUNS;
    a->run = (run_of(op->b) + 1) & RUNS;
    return set_phase(op, RUNNING, a->run, op->tx.token);
}

static mps_status come(operation *op, mps_arrival *a)
{
    uint64_t n, others = (uint32_t)mps_load64(&op->b->parties) - (uint64_t)1;
    mps_status st = mps_waitq_count(&op->tx, &op->b->queue, false, &n);
    if (st == MPS_OK && n >= others && n > 0) {
        st = mps_waitq_count(&op->tx, &op->b->queue, true, &n);
    }
    if (st != MPS_OK) {
        return st;
    }
    if (n >= others) {
        return complete(op, a);
    }
    a->outcome = MPS_BARRIER_WAITS;
    return mps_waitq_add(&op->tx, &op->b->queue, &a->turn);
}

mps_status mps_barrier_arrive(mps_seg *seg, mps_door door, mps_off off, mps_arrival *a)
{
    operation op;
    mps_status st = begin(seg, door, off, &op);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    bool busy = false;
    if (mps_unlikely(phase_of(op.b) == RUNNING)) {
        st = look_at_runner(&op);
        busy = phase_of(op.b) == RUNNING;
    }
    if (mps_likely(st == MPS_OK && phase_of(op.b) == OPEN)) {
        st = come(&op, a);
    } else {
        a->outcome = MPS_BARRIER_BROKE;
    }
    st = end(&op, st);
    return busy && st == MPS_OK ? MPS_E_BUSY : st;
}

mps_status mps_barrier_settle(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns)
{
    mps_barrier_object *b = barrier_at(seg, off);
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    mps_status st = MPS_OK;
    for (;;) {
        uint64_t seen = mps_load64(&b->phase);
        if (st != MPS_OK || ((uint32_t)seen & PHASE) != RUNNING ||
            (nap.slept && mps_token_alive(seg, (uint32_t)(seen >> 32)) <= 0)) {
            break;
        }
        st = mps_nap_wait(&nap, phase_word(b), (uint32_t)seen, &b->waiters);
    }
    mps_nap_end(&nap);
    return st;
}

/* ---- waiting ---- */

/* After a sleep without news: the process that runs the action may have died; so may have others. */
static mps_status care(mps_seg *seg, mps_off off, const mps_turn *turn)
{
    mps_barrier_object *b = barrier_at(seg, off);
    if (phase_of(b) != RUNNING && mps_load64(&b->queue.first) == turn->node) {
        return MPS_OK;
    }
    operation op;
    uint64_t unheard;
    mps_status st = begin(seg, MPS_DOOR_FREE, off, &op);
    if (st != MPS_OK) {
        return st;
    }
    st = look_at_runner(&op);
    return end(&op, st == MPS_OK ? mps_waitq_sweep(&op.tx, &b->queue, &unheard) : st);
}

/* Under the guard: what has come of a turn, out of the queue then. late: the time is over, which breaks the barrier unless the
 * others wait for the action only. */
static mps_status conclude(operation *op, mps_arrival *a, bool late)
{
    const mps_waiter *w = mps_waitq_mine(&op->tx, &a->turn);
    if (w == NULL) {
        a->outcome = MPS_BARRIER_BROKE;
        return MPS_OK;
    }
    mps_status st = look_at_runner(op);
    if (st == MPS_OK && (uint32_t)mps_load64(&w->word) == MPS_WAITER_WAITING) {
        if (!late || phase_of(op->b) == RUNNING) {
            return MPS_OK;
        }
        st = break_up(op, BROKEN);
    }
    uint64_t word = mps_load64(&w->word);
    a->outcome = (uint32_t)word == MPS_WAITER_TOLD ? MPS_BARRIER_PASSED : MPS_BARRIER_BROKE;
    a->index = (uint32_t)(word >> 32);
    return st == MPS_OK ? mps_waitq_remove(&op->tx, &op->b->queue, a->turn.node) : st;
}

mps_status mps_barrier_wait(mps_seg *seg, mps_door door, mps_off off, mps_arrival *a, uint64_t timeout_ns)
{
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    bool late = timeout_ns == 0;
    for (;;) {
        mps_status slept = late ? MPS_E_TIMEOUT : mps_waitq_sleep(&nap, &a->turn, care, off);
        mps_nap_end(&nap);
        if (slept != MPS_OK && slept != MPS_E_TIMEOUT) {
            return slept;
        }
        operation op;
        mps_status st = begin(seg, door, off, &op);
        if (st == MPS_OK) {
            st = end(&op, conclude(&op, a, slept == MPS_E_TIMEOUT));
        }
        if (st != MPS_OK || a->outcome != MPS_BARRIER_WAITS) {
            return st;
        }
        if (slept == MPS_E_TIMEOUT) { /* all have come, and the action is being run */
            late = false;
            nap.deadline = MPS_FOREVER;
        }
    }
}

mps_status mps_barrier_quit(mps_seg *seg, mps_door door, mps_off off, const mps_arrival *a)
{
    operation op;
    mps_status st = begin(seg, door, off, &op);
    if (st != MPS_OK) {
        return st;
    }
    bool ours = mps_waitq_mine(&op.tx, &a->turn) != NULL;
    return end(&op, ours ? mps_waitq_remove(&op.tx, &op.b->queue, a->turn.node) : MPS_OK);
}

/* ---- the action, breaking ---- */

mps_status mps_barrier_finish(mps_seg *seg, mps_door door, mps_off off, bool well, mps_arrival *a)
{
    operation op;
    mps_status st = begin(seg, door, off, &op);
    if (st != MPS_OK) {
        return st;
    }
    a->outcome = MPS_BARRIER_BROKE;
    if (phase_of(op.b) == RUNNING && run_of(op.b) == a->run && runner_of(op.b) == op.tx.token) {
        st = well ? let_go(&op, a) : break_up(&op, BROKEN);
        if (st == MPS_OK && well) {
            st = set_phase(&op, OPEN, a->run, 0);
        }
    }
    return end(&op, st);
}

mps_status mps_barrier_break(mps_seg *seg, mps_door door, mps_off off, bool lasting)
{
    operation op;
    mps_status st = begin(seg, door, off, &op);
    return st == MPS_OK ? end(&op, break_up(&op, lasting ? BROKEN : OPEN)) : st;
}

/* ---- looking, making ---- */

/* Where the segment may not be written to: what is to be said of it, without making it so. */
static mps_status look_once(mps_seg *seg, mps_door door, mps_barrier_object *b, uint64_t *n, bool *broken)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &b->object);
    if (st == MPS_OK) {
        st = mps_waitq_look(seg, &b->queue, n);
        *broken = phase_of(b) == BROKEN || runner_is_dead(seg, b);
        *n = *broken ? 0 : *n + (phase_of(b) == RUNNING ? 1 : 0);
    }
    return mps_reader_end(&tx, st);
}

static mps_status look(mps_seg *seg, mps_door door, mps_off off, uint64_t *n, bool *broken)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = look_once(seg, door, barrier_at(seg, off), n, broken);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_barrier_waiting(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    operation op;
    bool unused;
    *n = 0;
    if (mps_unlikely(seg->region.readonly)) {
        return look(seg, door, off, n, &unused);
    }
    mps_status st = begin(seg, door, off, &op);
    if (st != MPS_OK) {
        return st;
    }
    st = look_at_runner(&op);
    if (st == MPS_OK) {
        st = mps_waitq_count(&op.tx, &op.b->queue, true, n);
        *n += phase_of(op.b) == RUNNING ? 1 : 0;
    }
    return end(&op, st);
}

mps_status mps_barrier_is_broken(mps_seg *seg, mps_door door, mps_off off, bool *broken)
{
    operation op;
    uint64_t unused;
    *broken = false;
    if (mps_unlikely(seg->region.readonly)) {
        return look(seg, door, off, &unused, broken);
    }
    mps_status st = begin(seg, door, off, &op);
    if (st != MPS_OK) {
        return st;
    }
    st = look_at_runner(&op);
    *broken = phase_of(op.b) == BROKEN;
    return end(&op, st);
}

static mps_status action_once(mps_seg *seg, mps_door door, mps_barrier_object *b, mps_copy *out)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &b->object);
    if (st == MPS_OK) {
        mps_value v = mps_value_load(&b->action);
        st = mps_copy_locked(&tx, v.w0 != 0 ? v : (mps_value){MPS_TAG_NONE, 0}, out);
    }
    return mps_copy_end(&tx, st, out, NULL);
}

mps_status mps_barrier_action(mps_seg *seg, mps_door door, mps_off off, mps_copy *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = action_once(seg, door, barrier_at(seg, off), out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_barrier_init(mps_seg *seg, mps_door door, mps_off off, uint64_t parties, uint64_t timeout,
                            mps_enc *action)
{
    mps_barrier_object *b = barrier_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    mps_value made, before = mps_value_load(&b->action);
    st = mps_enc_prepare(&tx, action);
    if (st == MPS_OK) {
        st = mps_tx_lock(&tx, &b->object.guard);
    }
    if (st == MPS_OK) {
        st = mps_enc_store(&tx, action, &made);
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(&tx, 4);
    }
    if (st == MPS_OK) {
        mps_tx_set(&tx, &b->parties, parties);
        mps_tx_set(&tx, &b->timeout, timeout);
        mps_tx_set(&tx, &b->action.w0, made.w0);
        mps_tx_set(&tx, &b->action.w1, made.w1);
        st = mps_value_release(&tx, before);
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_enc_forget(&tx, action);
    mps_tx_end(&tx);
    return st;
}

/* ---- dying, check ---- */

mps_status mps_barrier_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_barrier_object *b = (mps_barrier_object *)m;
    mps_status st = mps_waitq_drop(tx, &b->queue, done);
    mps_value v = mps_value_load(&b->action);
    if (st != MPS_OK || !*done || mps_value_is_plain(v)) {
        return st;
    }
    mps_tx_set(tx, &b->action.w0, MPS_TAG_NONE);
    return mps_value_release(tx, v);
}

mps_status mps_barrier_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_barrier_object *b = barrier_at(seg, off);
    if (phase_of(b) > BROKEN) {
        return v->bad(v, "a barrier is in no phase there is");
    }
    mps_status st = mps_waitq_visit(seg, &b->queue, v);
    mps_value action = mps_value_load(&b->action);
    return st == MPS_OK && action.w0 != 0 ? mps_value_visit(seg, action, v) : st;
}
