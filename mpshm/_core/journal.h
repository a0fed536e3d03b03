/* journal.h -- an operation on shared memory that happens wholly or not at all.
 *
 * An operation is an mps_tx on the caller's stack, bound to a lane of this process's slot. Before a
 * word of the segment changes, its offset and old value go into the lane's outer journal; the count
 * in lane->ctl is published after the entry, the store comes after the count. Whoever finds the owner
 * dead undoes the entries backwards. Against the death of a process compiler barriers suffice: the
 * memory stays coherent, only the instruction stream ends.
 *
 *   ctl:  | outer count : 48 | inner count : 14 | phase : 2 |          one 8-byte store changes all three
 *
 *   phase 0, counts 0   idle
 *   phase 0, counts > 0 running: undo on death
 *   phase 1             committed: FREE entries still to be carried out, from the last to the first
 *
 * An allocation inside an operation is a transaction of its own (the inner journal, under the
 * allocator's guard). Its commit is the same store that adds an ALLOC entry to the outer journal, so a
 * block is either free or known to the operation. Undoing an ALLOC entry, and carrying out a FREE entry,
 * are such inner transactions too; their commit is the store that takes the entry off.
 *
 * Rules for callers:
 *  1. The first lock is taken before anything is changed (so that a frozen segment is at rest).
 *  2. What is newly allocated, or lies beyond a published length, may be written without a log.
 *  3. mps_tx_free takes effect with the commit: the block's bytes stay as they are until then.
 *  4. At most MPS_OUTER entries, unless mps_tx_room (alloc.h) has made more room.
 *  5. After begin comes exactly one commit or abort for each set of changes, and in the end mps_tx_end.
 *
 * Costs: a logged store is three stores and two compiler barriers.
 */
#ifndef MPS_JOURNAL_H
#define MPS_JOURNAL_H

#include "slots.h"

enum {
    MPS_UNDO_WORD = 0,   /* old: the word that stood at where */
    MPS_UNDO_ALLOC = 1,  /* where: a chunk taken from the allocator; old: its size in bytes */
    MPS_UNDO_FREE = 2,   /* where: a block to free once committed; old: 0, or bytes of a run of them, not for a cache */
    MPS_UNDO_EXTEND = 3, /* where: a chunk that was made longer in place; old: its size before */
    MPS_UNDO_CACHED = 4, /* where: a block taken from the lane's cache; old: its class */
    MPS_UNDO_SHIFT = 5,  /* where: an array of 16-byte elements being shifted; old: the index reached */
    MPS_UNDO_PART = 6,   /* second half of SHIFT, below it: where: bound << 3; old: distance, signed */
    MPS_UNDO_FIT =
        7, /* where: a block to give to the allocator, not the cache, once committed; old not 0: all but so many bytes */
};

/* The build that measures what crash safety costs (-DMPS_NO_JOURNAL) has neither journal nor lists of guards held. */
#ifdef MPS_NO_JOURNAL
#define MPS_LIVENESS 0
#else
#define MPS_LIVENESS 1
#endif

#define MPS_UNDO_KIND 7u
#define MPS_PHASE_COMMITTED 1u
#define MPS_CTL_INNER ((uint64_t)1 << 2)
#define MPS_CTL_OUTER ((uint64_t)1 << 16)

struct mps_tx {
    mps_seg *seg;
    mps_lane *lane;
    uint64_t ctl; /* mirror of lane->ctl */
    uint32_t lane_index;
    uint32_t token; /* in whose name locks are taken: ours, or a dead process's while we recover it */
    uint32_t n_held;
    uint16_t pools; /* what this operation has done with the lane's caches of nodes (pool_cache.c) */
    mps_door door;
    bool has_frees; /* the outer journal has FREE or FIT entries */
    bool foreign;   /* the lane is a dead process's, or we are leaving: its caches are nobody's guess */
    bool urgent; /* what is allocated now, the journal's spill or a smaller array, may pass max_size until the commit */
    bool trim;   /* a cache of the lane has grown too long */
    bool left;   /* the GIL was given up for a wait, and not yet taken back */
    bool reading;                       /* of a segment that may not be written to (reader.h) */
    uint32_t read_seq;                  /* then: the sequence of guards[0] */
    void *gil;                          /* what mps_door_leave returned */
    struct mps_guard *guards[MPS_HELD]; /* what lane->held says, as addresses we can trust */
};

static inline uint64_t mps_ctl_inner(uint64_t ctl)
{
    return (ctl >> 2) & 0x3fff;
}

static inline uint64_t mps_ctl_outer(uint64_t ctl)
{
    return ctl >> 16;
}

/* Starts an operation that changes something: MPS_E_CLOSED, MPS_E_CORRUPT (broken), MPS_E_READONLY, or the status of claiming a
 * slot anew. (One that only reads: mps_reader_begin.) */
mps_status mps_tx_begin_slow(mps_seg *seg);

static inline mps_status mps_tx_begin(mps_seg *seg, mps_tx *tx, mps_door door)
{
    if (mps_unlikely(mps_load32(&seg->control->state) != MPS_STATE_READY || seg->token == 0 ||
                     (MPS_LIVENESS && mps_load64(&seg->head->word) != seg->slot_word))) {
        mps_status st = mps_tx_begin_slow(seg);
        if (st != MPS_OK) {
            return st;
        }
    }
    uint32_t lane = mps_lane_claim(seg, door);
    tx->seg = seg;
    tx->lane = &seg->body->lanes[lane];
    tx->ctl = 0;
    tx->lane_index = lane;
    tx->token = seg->token;
    tx->n_held = 0;
    tx->pools = 0;
    tx->door = door;
    tx->has_frees = tx->foreign = tx->left = tx->trim = tx->urgent = tx->reading = false;
    return MPS_OK;
}

mps_undo *mps_tx_entry_spilled(const mps_tx *tx, uint64_t index);

static inline mps_undo *mps_tx_entry(const mps_tx *tx, uint64_t index)
{
    if (mps_likely(index < MPS_OUTER)) {
        return &tx->lane->outer[index];
    }
    return mps_tx_entry_spilled(tx, index);
}

/* Adds an entry to the outer journal. */
static inline void mps_tx_note(mps_tx *tx, unsigned kind, uint64_t off, uint64_t old)
{
#ifndef MPS_NO_JOURNAL
    mps_undo *e = mps_tx_entry(tx, mps_ctl_outer(tx->ctl));
    mps_store64(&e->where, off | kind);
    mps_store64(&e->old, old);
    mps_barrier();
    tx->ctl += MPS_CTL_OUTER;
    mps_store64(&tx->lane->ctl, tx->ctl);
    mps_barrier();
#else
    if (kind == MPS_UNDO_FREE || kind == MPS_UNDO_FIT) {
        mps_undo *e = mps_tx_entry(tx, mps_ctl_outer(tx->ctl));
        e->where = off | kind;
        e->old = old;
        tx->ctl += MPS_CTL_OUTER;
    }
#endif
}

/* Remembers a word of the segment (8-byte aligned) before it changes. */
static inline void mps_tx_log(mps_tx *tx, const uint64_t *word)
{
    mps_tx_note(tx, MPS_UNDO_WORD, mps_region_off(&tx->seg->region, word), mps_load64(word));
}

/* Remembers n words, four at most, before they change: cheaper than one after the other, since the count is published once. */
static inline __attribute__((always_inline)) void mps_tx_log_all(mps_tx *tx, uint64_t *const *words, unsigned n)
{
#ifndef MPS_NO_JOURNAL
    mps_lane *lane = tx->lane; /* (kept in registers, as all that does not change here) */
    const uint8_t *base = tx->seg->region.base;
    uint64_t ctl = tx->ctl, at = mps_ctl_outer(ctl);
    bool near = at + n <= MPS_OUTER;
    mps_assert(n <= 4);
#pragma GCC unroll 4
    for (unsigned i = 0; i < n; i++) {
        mps_undo *e = mps_likely(near) ? &lane->outer[at + i] : mps_tx_entry(tx, at + i);
        mps_store64(&e->where, (uint64_t)((const uint8_t *)words[i] - base));
        mps_store64(&e->old, mps_load64(words[i]));
    }
    mps_barrier();
    tx->ctl = ctl + n * MPS_CTL_OUTER;
    mps_store64(&lane->ctl, ctl + n * MPS_CTL_OUTER);
    mps_barrier();
#else
    (void)tx;
    (void)words;
    (void)n;
#endif
}

/* Changes a word of the segment so that it can be undone. */
static inline void mps_tx_set(mps_tx *tx, uint64_t *word, uint64_t value)
{
    mps_tx_log(tx, word);
    mps_store64(word, value);
}

/* The same in the inner journal: for allocators, under their guard. */
static inline void mps_tx_set_inner(mps_tx *tx, uint64_t *word, uint64_t value)
{
#ifndef MPS_NO_JOURNAL
    mps_lane *lane = tx->lane; /* (kept in registers: to the compiler, every store may change what tx says) */
    uint64_t ctl = tx->ctl;
    mps_assert(mps_ctl_inner(ctl) < MPS_INNER);
    mps_undo *e = &lane->inner[mps_ctl_inner(ctl)];
    mps_store64(&e->where, mps_region_off(&tx->seg->region, word));
    mps_store64(&e->old, mps_load64(word));
    mps_barrier();
    tx->ctl = ctl + MPS_CTL_INNER;
    mps_store64(&lane->ctl, ctl + MPS_CTL_INNER);
    mps_barrier();
#else
    (void)tx;
#endif
    mps_store64(word, value);
}

/* Ends an inner transaction; what it did is now part of the outer as the entry given (none: kind < 0). */
void mps_tx_commit_inner(mps_tx *tx, int kind, uint64_t off, uint64_t old);
/* Ends an inner transaction that undid or carried out the outer journal's last entry. */
void mps_tx_commit_inner_pop(mps_tx *tx);
/* Undoes the inner transaction that is going on. */
void mps_tx_abort_inner(mps_tx *tx);

/* Shifts 16-byte elements [first, count) of the array at off by distance places (to the right if positive), so that it
 * can be undone without a copy of what moves. The array has room; what is overwritten on the left was logged before. */
void mps_tx_shift(mps_tx *tx, mps_off array, uint64_t first, uint64_t count, int64_t distance);

/* Makes all changes since begin (or the last commit) final, lets go of all guards, carries out the frees. */
mps_status mps_tx_commit(mps_tx *tx);
/* Makes all changes since begin final and goes on under the same guards; nothing may be waiting to be freed. */
void mps_tx_checkpoint(mps_tx *tx);
/* Undoes all changes since begin (or the last commit) and lets go of all guards. */
mps_status mps_tx_abort(mps_tx *tx);
/* Gives the GIL up before a wait, once; it is taken back when the operation holds no guard any more. */
void mps_tx_leave(mps_tx *tx);
void mps_tx_enter(mps_tx *tx);
/* Ends the operation: takes care of what became garbage, gives the lane back. Nothing may be pending. */
void mps_tx_end(mps_tx *tx);

/* Sees to it that this process has a slot, so that it can own locks and permits. */
static inline mps_status mps_tx_take_slot(mps_seg *seg, mps_door door)
{
    if (mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY && seg->token != 0 &&
                   mps_load64(&seg->head->word) == seg->slot_word)) {
        return MPS_OK;
    }
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st == MPS_OK) {
        mps_tx_end(&tx);
    }
    return st;
}

/* ---- for recovery: a lane whose owner died ---- */

/* Binds tx to the lane of a dead process, in whose name locks are taken and given back; MPS_E_CORRUPT when its counts are out
 * of range. The caller is the one who recovers it (recover.h). */
mps_status mps_tx_adopt_lane(mps_seg *seg, mps_tx *tx, uint32_t slot, uint32_t lane, uint32_t token);
/* Undoes or finishes what the lane's outer journal holds, keeping guards. */
mps_status mps_tx_settle(mps_tx *tx);

/* Checks a lane that is at rest: counts in range, entries inside the segment. */
mps_status mps_journal_check(mps_seg *seg, const mps_lane *lane);

#endif
