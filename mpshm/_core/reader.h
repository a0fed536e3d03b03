/* reader.h -- reading from a segment that this process may not write to.
 *
 * Such a segment is mapped read-only (a file, or somebody's bytes). The process has no slot in it, takes no lock, counts no
 * reference, and is seen by nobody. seg->control is private and says MPS_STATE_READING, so every operation that is begun with
 * mps_tx_begin() is turned away with MPS_E_READONLY before its first store, and every look without a lock leads to the one with
 * the lock; that one begins with mps_reader_begin() instead, and its lane is private memory.
 *
 * Instead of taking a guard, the reader waits until no writer is inside, and remembers the sequence. What it reads meanwhile may
 * be torn: it is bounded as all that is read, and thrown away when the sequence is another at the end (MPS_E_RETRY). A large
 * value is copied before that end, since nothing keeps it alive.
 *
 * Nobody keeps an object alive for a reader. What it has a handle on it remembers with its serial (refs.h), and compares that at
 * the beginning and at the end: MPS_E_STALE when the object is gone.
 *
 * Where the segment may be written to, all of this is what it was: an operation, and a guard.
 *
 * Costs: two looks at the sequence and at the serial, one search in a private hash map.
 */
#ifndef MPS_READER_H
#define MPS_READER_H

#include "refs.h"

mps_status mps_reader_begin_slow(mps_seg *seg, mps_tx *tx, mps_door door);
mps_status mps_reader_lock_slow(mps_tx *tx, mps_object *obj);

/* Starts an operation that only reads. */
static inline mps_status mps_reader_begin(mps_seg *seg, mps_tx *tx, mps_door door)
{
    return mps_likely(!seg->region.readonly) ? mps_tx_begin(seg, tx, door) : mps_reader_begin_slow(seg, tx, door);
}

/* Takes the guard of the one object that is read. MPS_E_TIMEOUT: a writer is inside, and stays. */
static inline mps_status mps_reader_lock(mps_tx *tx, mps_object *obj)
{
    return mps_likely(!tx->reading) ? mps_tx_lock(tx, &obj->guard) : mps_reader_lock_slow(tx, obj);
}

/* Ends such an operation where tx->reading: the status it had so far, or MPS_E_RETRY, or MPS_E_STALE. */
mps_status mps_reader_end(mps_tx *tx, mps_status st);

/* The same of a look at a few words that stay what they are, or are of one moment each: MPS_OK, MPS_E_CLOSED, MPS_E_CORRUPT,
 * MPS_E_STALE. Before the look, and where the segment may not be written to after it, too. */
mps_status mps_reader_look_slow(mps_seg *seg, mps_off off);

static inline mps_status mps_reader_look(mps_seg *seg, mps_off off)
{
    bool ready = mps_load32(&seg->control->state) == MPS_STATE_READY;
    return mps_likely(ready) ? MPS_OK : mps_reader_look_slow(seg, off);
}

/* Looks without a lock, of which there may be several until one was of a moment in which nobody wrote:
 *
 *     mps_glance glance = mps_glance_at(seg, guard);
 *     while (mps_glance_next(&glance)) { look; if (mps_glance_valid(&glance)) return; }
 *     take the lock
 *
 * There are none in a segment that may only be read. */
typedef struct mps_glance {
    const mps_seg *seg;
    const mps_guard *guard;
    uint32_t seq; /* the guard's when the look began: even */
    uint32_t begun;
} mps_glance;

static inline mps_glance mps_glance_at(const mps_seg *seg, const mps_guard *guard)
{
    return (mps_glance){.seg = seg, .guard = guard};
}

/* Begins the next look. false: it has been tried often enough. */
static inline bool mps_glance_next(mps_glance *glance)
{
    while (glance->begun < MPS_READ_TRIES && mps_likely(mps_load32(&glance->seg->control->state) == MPS_STATE_READY)) {
        glance->begun++;
        glance->seq = mps_read_begin(glance->guard);
        if (mps_likely((glance->seq & 1u) == 0)) {
            return true;
        }
        mps_pause();
    }
    return false;
}

/* Whether nobody has begun to write since. */
static inline bool mps_glance_valid(const mps_glance *glance)
{
    return mps_read_valid(glance->guard, glance->seq);
}

mps_status mps_reader_word_slow(mps_seg *seg, mps_door door, mps_object *obj, const uint64_t *word, uint64_t *n);

/* One word of an object as no unfinished operation left it. */
static inline mps_status mps_reader_word(mps_seg *seg, mps_door door, mps_object *obj, const uint64_t *word,
                                         uint64_t *n)
{
    mps_glance glance = mps_glance_at(seg, &obj->guard);
    while (mps_glance_next(&glance)) {
        *n = mps_load64(word);
        if (mps_likely(mps_glance_valid(&glance))) {
            return MPS_OK;
        }
    }
    return mps_reader_word_slow(seg, door, obj, word, n);
}

/* What it means that bytes of the object at off made no sense: st, or for a reader MPS_E_STALE if the object has gone. */
static inline mps_status mps_reader_blame(mps_seg *seg, mps_off off, mps_status st)
{
    return seg->region.readonly && mps_reader_look(seg, off) == MPS_E_STALE ? MPS_E_STALE : st;
}

/* For loops around a whole read: whether to read once more after MPS_E_RETRY. *since: 0 before the first. */
bool mps_reader_again(mps_seg *seg, mps_door door, mps_status *st, uint64_t *since);

#endif
