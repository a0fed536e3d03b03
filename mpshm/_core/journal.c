#include "journal.h"

#include "lock.h"

mps_status mps_tx_begin_slow(mps_seg *seg)
{
    switch (mps_load32(&seg->control->state)) {
    case MPS_STATE_READY: break;
    case MPS_STATE_CLOSED: return MPS_E_CLOSED;
    case MPS_STATE_READING: return MPS_E_READONLY;
    default: return MPS_E_CORRUPT;
    }
    return mps_slots_reclaim(seg);
}

mps_undo *mps_tx_entry_spilled(const mps_tx *tx, uint64_t index)
{
    return (mps_undo *)mps_region_at(&tx->seg->region, tx->lane->spill) + (index - MPS_OUTER);
}

static void publish(mps_tx *tx)
{
    mps_barrier();
#ifdef MPS_NO_JOURNAL
    (void)tx;
#else
    mps_store64(&tx->lane->ctl, tx->ctl);
#endif
    mps_barrier();
}

static void pop(mps_tx *tx)
{
    tx->ctl -= MPS_CTL_OUTER;
    publish(tx);
}

static uint64_t without_inner(uint64_t ctl)
{
    return ctl & ~(MPS_CTL_OUTER - MPS_CTL_INNER);
}

void mps_tx_commit_inner(mps_tx *tx, int kind, uint64_t off, uint64_t old)
{
    uint64_t ctl = without_inner(tx->ctl);
#ifdef MPS_NO_JOURNAL
    kind = -1;
#endif
    if (kind >= 0) {
        mps_undo *e = mps_tx_entry(tx, mps_ctl_outer(ctl));
        mps_store64(&e->where, off | (unsigned)kind);
        mps_store64(&e->old, old);
        ctl += MPS_CTL_OUTER;
    }
    tx->ctl = ctl;
    publish(tx);
}

void mps_tx_commit_inner_pop(mps_tx *tx)
{
    tx->ctl = without_inner(tx->ctl) - MPS_CTL_OUTER;
    publish(tx);
}

/* A word of the segment that an entry names, or NULL: the lane may be a dead process's, and the bytes anything. */
static uint64_t *word_at(mps_tx *tx, uint64_t off)
{
    if ((off & 7) != 0 || off < MPS_PAGE / 16 || !mps_region_holds(&tx->seg->region, off, 8)) {
        return NULL;
    }
    return mps_region_at(&tx->seg->region, off);
}

void mps_tx_abort_inner(mps_tx *tx)
{
    for (uint64_t n = mps_ctl_inner(tx->ctl); n > 0; n--) {
        const mps_undo *e = &tx->lane->inner[n - 1];
        uint64_t *word = word_at(tx, mps_load64(&e->where));
        if (word != NULL) {
            mps_store64(word, mps_load64(&e->old));
        }
    }
    tx->ctl = without_inner(tx->ctl);
    publish(tx);
}

/* ---- shifting ---- */

typedef struct element {
    uint64_t w0, w1;
} element;

static void move_element(element *to, const element *from)
{
    mps_store64(&to->w0, mps_load64(&from->w0));
    mps_store64(&to->w1, mps_load64(&from->w1));
}

#ifndef MPS_NO_JOURNAL
/* To the right: elements [reached, bound) stand distance places further on. To the left: elements [bound, reached) stand
 * that many places before. The element at the frontier is intact in its old place until `reached` has passed it, so doing
 * one step twice does no harm, in either direction of time. */
static void shift_on(element *a, mps_undo *e, uint64_t end, int64_t distance)
{
    uint64_t reached = mps_load64(&e->old);
    if (distance > 0) {
        while (reached > end) {
            move_element(&a[(int64_t)(reached - 1) + distance], &a[reached - 1]);
            mps_barrier();
            mps_store64(&e->old, --reached);
            mps_barrier();
        }
    } else {
        while (reached < end) {
            move_element(&a[(int64_t)reached + distance], &a[reached]);
            mps_barrier();
            mps_store64(&e->old, ++reached);
            mps_barrier();
        }
    }
}
#endif

void mps_tx_shift(mps_tx *tx, mps_off array, uint64_t first, uint64_t count, int64_t distance)
{
    element *a = mps_region_at(&tx->seg->region, array);
    if (first >= count || distance == 0) {
        return;
    }
    uint64_t bound = distance > 0 ? count : first;
#ifdef MPS_NO_JOURNAL
    (void)bound;
    memmove(&a[(int64_t)first + distance], &a[first], (count - first) * sizeof(element));
#else
    uint64_t n = mps_ctl_outer(tx->ctl);
    mps_undo *part = mps_tx_entry(tx, n);
    mps_undo *shift = mps_tx_entry(tx, n + 1);
    mps_store64(&part->where, bound << 3 | MPS_UNDO_PART);
    mps_store64(&part->old, (uint64_t)distance);
    mps_store64(&shift->where, array | MPS_UNDO_SHIFT);
    mps_store64(&shift->old, bound);
    tx->ctl += 2 * MPS_CTL_OUTER;
    publish(tx);
    shift_on(a, shift, distance > 0 ? first : count, distance);
#endif
}

/* Takes a shift back, from where it has got to. */
static mps_status undo_shift(mps_tx *tx, mps_undo *shift)
{
    uint64_t n = mps_ctl_outer(tx->ctl);
    if (n < 2) {
        return MPS_E_CORRUPT;
    }
    const mps_undo *part = mps_tx_entry(tx, n - 2);
    mps_off array = mps_load64(&shift->where) & ~(uint64_t)MPS_UNDO_KIND;
    uint64_t bound = mps_load64(&part->where) >> 3;
    uint64_t reached = mps_load64(&shift->old);
    int64_t distance = (int64_t)mps_load64(&part->old);
    uint64_t span = (uint64_t)(distance < 0 ? -distance : distance);
    uint64_t low = mps_min64(bound, reached);
    uint64_t high = mps_max64(bound, reached);
    bool sane = (mps_load64(&part->where) & MPS_UNDO_KIND) == MPS_UNDO_PART && span != 0 && span < UINT32_MAX &&
                high < (uint64_t)1 << 40 && (distance > 0 ? reached <= bound : reached >= bound && low >= span) &&
                (array & 7) == 0 && mps_region_holds(&tx->seg->region, array, (high + span) * sizeof(element));
    if (!sane) {
        return MPS_E_CORRUPT;
    }
    element *a = mps_region_at(&tx->seg->region, array);
    while (reached != bound) {
        uint64_t i = distance > 0 ? reached : reached - 1;
        move_element(&a[i], &a[(int64_t)i + distance]);
        mps_barrier();
        reached = distance > 0 ? reached + 1 : reached - 1;
        mps_store64(&shift->old, reached);
        mps_barrier();
    }
    tx->ctl -= 2 * MPS_CTL_OUTER;
    publish(tx);
    return MPS_OK;
}

/* ---- settling ---- */

static mps_status undo_last(mps_tx *tx)
{
    mps_undo *e = mps_tx_entry(tx, mps_ctl_outer(tx->ctl) - 1);
    mps_undo entry = {mps_load64(&e->where), mps_load64(&e->old)};
    switch (entry.where & MPS_UNDO_KIND) {
    case MPS_UNDO_WORD: {
        uint64_t *word = word_at(tx, entry.where);
        if (word == NULL) {
            return MPS_E_CORRUPT;
        }
        mps_store64(word, entry.old);
        pop(tx);
        return MPS_OK;
    }
    case MPS_UNDO_FREE:
    case MPS_UNDO_FIT: pop(tx); return MPS_OK;
    case MPS_UNDO_SHIFT: return undo_shift(tx, e);
    case MPS_UNDO_PART: return MPS_E_CORRUPT;
    default: return tx->seg->hooks->undo_block(tx, &entry);
    }
}

static mps_status finish_last(mps_tx *tx)
{
    const mps_undo *e = mps_tx_entry(tx, mps_ctl_outer(tx->ctl) - 1);
    mps_undo entry = {mps_load64(&e->where), mps_load64(&e->old)};
    unsigned kind = (unsigned)(entry.where & MPS_UNDO_KIND);
    if (kind == MPS_UNDO_FREE || kind == MPS_UNDO_FIT) {
        return tx->seg->hooks->free_block(tx, &entry);
    }
    tx->ctl -= MPS_CTL_OUTER; /* doing this again does no harm: published with the next free */
    return MPS_OK;
}

mps_status mps_tx_settle(mps_tx *tx)
{
    mps_status st = MPS_OK;
    while (mps_ctl_outer(tx->ctl) > 0 && st == MPS_OK) {
        uint64_t before = mps_ctl_outer(tx->ctl);
        st = (tx->ctl & MPS_PHASE_COMMITTED) ? finish_last(tx) : undo_last(tx);
        if (st == MPS_OK && mps_ctl_outer(tx->ctl) >= before) {
            st = MPS_E_CORRUPT;
        }
    }
    if (st != MPS_OK) {
        mps_store32(&tx->seg->control->state, MPS_STATE_BROKEN);
    }
    tx->ctl = 0;
    publish(tx);
    tx->has_frees = false;
    return st;
}

mps_status mps_tx_commit(mps_tx *tx)
{
    mps_assert(mps_ctl_inner(tx->ctl) == 0);
    if (mps_likely(!tx->has_frees)) {
        if (tx->ctl != 0) {
            tx->ctl = 0;
            publish(tx);
        }
        mps_tx_unlock_all(tx);
        return MPS_OK;
    }
    tx->ctl |= MPS_PHASE_COMMITTED;
    publish(tx);
    mps_tx_unlock_all(tx);
    mps_status st = mps_tx_settle(tx);
    mps_tx_enter(tx);
    return st;
}

void mps_tx_checkpoint(mps_tx *tx)
{
    mps_assert(mps_ctl_inner(tx->ctl) == 0 && !tx->has_frees);
    tx->ctl = 0;
    publish(tx);
}

mps_status mps_tx_abort(mps_tx *tx)
{
    if (mps_ctl_inner(tx->ctl) > 0) {
        mps_tx_abort_inner(tx);
    }
    mps_status st = mps_tx_settle(tx);
    mps_tx_unlock_all(tx);
    return st;
}

void mps_tx_leave(mps_tx *tx)
{
    if (tx->door == MPS_DOOR_GIL && !tx->left) {
        tx->gil = mps_door_leave(tx->door);
        tx->left = true;
    }
}

void mps_tx_enter(mps_tx *tx)
{
    if (mps_unlikely(tx->left)) {
        tx->left = false;
        mps_door_enter(tx->door, tx->gil);
    }
}

/* Takes back what the dead process left that an operation met. */
static void recover_rest(mps_seg *seg, mps_door door)
{
    uint32_t count;
    __atomic_store_n(&seg->dead_seen, 0, __ATOMIC_RELAXED);
    void *state = mps_door_leave(door);
    (void)seg->hooks->recover_all(seg, &count); /* what is damaged is said to the next operation */
    mps_door_enter(door, state);
}

void mps_tx_end(mps_tx *tx)
{
    mps_assert(tx->ctl == 0 && tx->n_held == 0);
    if (mps_unlikely(tx->trim || (mps_load64(&tx->lane->limbo) | mps_load64(&tx->lane->spill)) != 0)) {
        tx->seg->hooks->drain(tx);
    }
    mps_tx_enter(tx);
    mps_seg *seg = tx->seg;
    mps_lane_release(seg, tx->lane_index);
    if (mps_unlikely(mps_load32(&seg->dead_seen) != 0)) {
        recover_rest(seg, tx->door);
    }
}

/* ---- recovery ---- */

mps_status mps_tx_adopt_lane(mps_seg *seg, mps_tx *tx, uint32_t slot, uint32_t lane, uint32_t token)
{
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    *tx = (mps_tx){.seg = seg, .lane = &body->lanes[lane], .lane_index = lane, .token = token, .door = MPS_DOOR_FREE};
    tx->foreign = true;
    tx->ctl = mps_load64(&tx->lane->ctl);
    return mps_journal_check(seg, tx->lane);
}

mps_status mps_journal_check(mps_seg *seg, const mps_lane *lane)
{
    uint64_t ctl = mps_load64(&lane->ctl);
    uint64_t outer = mps_ctl_outer(ctl);
    uint64_t spill = mps_load64(&lane->spill);
    uint64_t room = mps_load64(&lane->spill_entries);
    if (mps_ctl_inner(ctl) > MPS_INNER) {
        return MPS_E_CORRUPT;
    }
    if (spill != 0 && ((spill & 7) != 0 || spill < seg->arena || room > (uint64_t)1 << 40 ||
                       !mps_region_holds(&seg->region, spill, room * sizeof(mps_undo)))) {
        return MPS_E_CORRUPT;
    }
    return outer <= MPS_OUTER + (spill != 0 ? room : 0) ? MPS_OK : MPS_E_CORRUPT;
}
