/* vector.h -- the growing array of values behind List.
 *
 *   object:  | mps_object | body : 64 | length : 64 |      body: offset of the body; 0: none yet
 *   body:    | mortal | capacity : 64 | values : 16 bytes x capacity |
 *
 * Invariants: length <= capacity; values [length, capacity) are not reachable and may hold anything.
 *
 * Locking: as table.h. Inserting and deleting inside shift values in place, journaled by progress (mps_tx_shift), so no
 * copy of what moves is needed. Growth extends the block in place where its neighbour is free, else builds aside.
 * Readers bound body, capacity and index against the region.
 *
 * Costs: get, set, append, pop at the end O(1) (append amortised); insert and delete O(n - i).
 * Growth by a quarter and at least 8: list's eighth would copy twice as often where the block can't grow in place.
 */
#ifndef MPS_VECTOR_H
#define MPS_VECTOR_H

#include "table.h" /* mps_snap */

typedef struct mps_vector {
    mps_object object;
    uint64_t body;   /* offset of the body; 0 none */
    uint64_t length; /* values in it */
} mps_vector;

_Static_assert(sizeof(mps_vector) == 96, "stored");

/* Whole operations, statuses as in table.h. A negative index counts from the end where it says so; MPS_E_RANGE otherwise. */
mps_status mps_vector_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* index may be negative. */
mps_status mps_vector_get(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out);

/* Where the values are, for one who reads many of them: good for as long as the guard's sequence is seq. */
typedef struct mps_window {
    const mps_value *values;
    uint64_t length;
    uint32_t seq;
} mps_window;

/* MPS_OK; MPS_E_RETRY while somebody writes, or when the bytes make no sense: use mps_vector_get. */
mps_status mps_vector_window(mps_seg *seg, mps_off off, mps_window *out);

/* Value i, i < length; false: the list has changed since, and what was read is nothing. */
static inline bool mps_window_read(const mps_window *w, const mps_guard *guard, uint64_t i, mps_value *out)
{
    *out = mps_value_load(&w->values[i]);
    return mps_read_valid(guard, w->seq);
}

mps_status mps_vector_set(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value);
mps_status mps_vector_append(mps_seg *seg, mps_door door, mps_off off, mps_enc *value);
mps_status mps_vector_extend(mps_seg *seg, mps_door door, mps_off off, mps_enc *values, uint64_t n);
/* As list.insert: the index is clipped. */
mps_status mps_vector_insert(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value);
/* Removes and (out not NULL) copies; index may be negative. */
mps_status mps_vector_pop(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out);
/* Removes the value at index if it is the same as expected: else MPS_E_CHANGED. */
mps_status mps_vector_remove_at(mps_seg *seg, mps_door door, mps_off off, uint64_t index, const mps_enc *expected);
/* A Python slice as the caller wrote it: absent bounds are flagged; clipped against the length under the guard. */
typedef struct mps_slice {
    int64_t start, stop, step;
    bool no_start, no_stop;
} mps_slice;
/* PySlice_AdjustIndices: bounds clipped to the length; how many indices there are. Step is not 0. */
uint64_t mps_slice_adjust(const mps_slice *slice, uint64_t length, int64_t *start, int64_t *stop, int64_t *step);
/* Replaces a slice: any n for step 1; otherwise n must equal the slice's length, else MPS_E_INVAL and *found that length. */
mps_status mps_vector_assign(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_enc *values, uint64_t n,
                             uint64_t *found);
mps_status mps_vector_delete(mps_seg *seg, mps_door door, mps_off off, mps_slice slice);
mps_status mps_vector_clear(mps_seg *seg, mps_door door, mps_off off);
mps_status mps_vector_reverse(mps_seg *seg, mps_door door, mps_off off);
/* Repeats the content to n times itself (n <= 0: clears). */
mps_status mps_vector_repeat(mps_seg *seg, mps_door door, mps_off off, int64_t n);
/* Swaps a whole new content in if the guard's sequence still is `version` (from a snapshot's seq): else MPS_E_CHANGED. */
mps_status mps_vector_replace(mps_seg *seg, mps_door door, mps_off off, mps_enc *values, uint64_t n, uint32_t version);
/* Copies a slice as it is at one moment. */
mps_status mps_vector_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_snap *out);

/* Kind hooks. */
mps_status mps_vector_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_vector_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_vector_visit(mps_seg *seg, mps_off off, mps_visit *v);
mps_status mps_vector_body_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
