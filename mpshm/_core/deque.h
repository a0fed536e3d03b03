/* deque.h -- the circular array of values behind Deque: puts in and takes out at both ends.
 *
 *   object:  | mps_object | body : 64 | ends : 64 | limit : 64 |
 *             body    offset of the body; 0: none yet
 *             ends    place of the first value : 32 | length : 32            one word, so one store publishes both
 *             limit   maxlen + 1; 0: none
 *   body:    | mortal | capacity : 64 | values : 16 bytes x capacity |
 *             value i of the deque stands at place (first + i) mod capacity
 *
 * Invariants: length <= capacity; first < capacity, or no body and ends == 0; length < limit, where there is one. What stands
 * at the capacity - length other places is not reachable and may hold anything.
 *
 * Locking: as table.h. Putting in writes the value where nobody can reach it, then `ends`; taking out writes `ends`. Neither
 * is journaled as long as the value owns nothing. At a deque of its greatest length the same store drops the value at the other end.
 * In the middle, the part before or the part after is shifted in place, journaled by progress (mps_tx_shift): one of them is in one
 * piece. Growth by a half, and all else, build a new body aside and swing it in. Readers bound everything by the region.
 *
 * Costs: get, set, push and pop at both ends O(1) (push amortised), with a pen (mps_deque_open) one to three stores each; rotation by k
 * O(min(k, n - k)), of a full body O(1); insert, delete and reverse O(n).
 */
#ifndef MPS_DEQUE_H
#define MPS_DEQUE_H

#include "table.h" /* mps_snap */

typedef struct mps_deque {
    mps_object object;
    uint64_t body;  /* offset of the body; 0 none */
    uint64_t ends;  /* first << 32 | length, in values */
    uint64_t limit; /* maxlen + 1; 0 none */
} mps_deque;

_Static_assert(sizeof(mps_deque) == 104, "stored");
_Static_assert(offsetof(mps_deque, body) == 80, "stored");
_Static_assert(offsetof(mps_deque, ends) == 88, "stored");
_Static_assert(offsetof(mps_deque, limit) == 96, "stored");

#define MPS_DEQUE_MAX ((uint64_t)0x7fffffff) /* values that a deque can hold */
#define MPS_NO_LIMIT UINT64_MAX              /* a maxlen: none */

typedef enum mps_end { MPS_BACK = 0, MPS_FRONT = 1 } mps_end;

/* Whole operations, statuses as in table.h. A negative index counts from the end; MPS_E_RANGE where there is no such value. */
mps_status mps_deque_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
mps_status mps_deque_limit(mps_seg *seg, mps_off off, uint64_t *maxlen);
mps_status mps_deque_get(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out);
mps_status mps_deque_set(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value);
/* Puts a value in at an end; at the greatest length, the value at the other end goes. */
mps_status mps_deque_push(mps_seg *seg, mps_door door, mps_off off, mps_end end, mps_enc *value);
/* Takes the value at an end out and (out not NULL) copies it: MPS_E_RANGE when there is none. */
mps_status mps_deque_pop(mps_seg *seg, mps_door door, mps_off off, mps_end end, mps_copy *out);
/* Puts n values in, one after the other, in one change. */
mps_status mps_deque_extend(mps_seg *seg, mps_door door, mps_off off, mps_end end, const mps_enc *values, uint64_t n);
/* As deque.insert: the index is clipped; MPS_E_RANGE at the greatest length. */
mps_status mps_deque_insert(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_enc *value);
mps_status mps_deque_delete(mps_seg *seg, mps_door door, mps_off off, int64_t index);
/* Takes the value at index out if it is the same as expected: else MPS_E_CHANGED. */
mps_status mps_deque_remove_at(mps_seg *seg, mps_door door, mps_off off, uint64_t index, const mps_enc *expected);
/* Moves all values by k places towards the end, what leaves there coming in at the front; k < 0: the other way. */
mps_status mps_deque_rotate(mps_seg *seg, mps_door door, mps_off off, int64_t k);
mps_status mps_deque_reverse(mps_seg *seg, mps_door door, mps_off off);
/* Repeats the content to n times itself (n <= 0: clears), of which the last maxlen values stay. */
mps_status mps_deque_repeat(mps_seg *seg, mps_door door, mps_off off, int64_t n);
mps_status mps_deque_clear(mps_seg *seg, mps_door door, mps_off off);
/* Sets maxlen and makes the last maxlen of n values the whole content. */
mps_status mps_deque_reset(mps_seg *seg, mps_door door, mps_off off, uint64_t maxlen, const mps_enc *values,
                           uint64_t n);
/* Makes n values the whole content if the guard's sequence still is `version` (a snapshot's seq): else MPS_E_CHANGED. */
mps_status mps_deque_replace(mps_seg *seg, mps_door door, mps_off off, const mps_enc *values, uint64_t n,
                             uint32_t version);
/* Copies everything as it is at one moment. */
mps_status mps_deque_snapshot(mps_seg *seg, mps_door door, mps_off off, mps_snap *out);

/* ---- a pen: many values, one after the other, in and out at both ends under one guard ---- */

/* Between open and close everybody else's change waits, and nothing else may be done by this thread that takes a guard. The values are plain
 * (mps_value_is_plain). Each is in, or out, once the call has returned, whatever becomes of the process. */
typedef struct mps_deque_pen {
    mps_tx tx;
    mps_deque *deque;
    mps_value *values;
    uint64_t first, length, capacity;
    uint64_t room; /* up to that length a value is put in by stores alone; 0: the guard was lost, or there is no body */
    bool held;
} mps_deque_pen;

mps_status mps_deque_open(mps_seg *seg, mps_door door, mps_off off, mps_deque_pen *pen);
/* What is not done by stores alone: the body grows, the value at the other end goes, the guard was lost. It lets go of the guard for a
 * moment. After a failure the pen may be tried again, and is to be closed. */
mps_status mps_deque_pen_push_slow(mps_deque_pen *pen, mps_end end, mps_value value);
mps_status mps_deque_pen_pop_slow(mps_deque_pen *pen, mps_end end, mps_value *value);
/* Gives memory back as a pop does. */
mps_status mps_deque_close(mps_deque_pen *pen);

static inline void mps_deque_pen_publish(mps_deque_pen *pen)
{
    mps_barrier();
    mps_store64(&pen->deque->ends, pen->first << 32 | pen->length);
}

/* MPS_E_INVAL: the value is not plain. Else as mps_deque_push. */
static inline mps_status mps_deque_pen_push(mps_deque_pen *pen, mps_end end, mps_value value)
{
    if (mps_unlikely(pen->length >= pen->room || !mps_value_is_plain(value))) {
        return mps_deque_pen_push_slow(pen, end, value);
    }
    uint64_t place = pen->first + (end == MPS_FRONT ? pen->capacity - 1 : pen->length);
    place = place < pen->capacity ? place : place - pen->capacity;
    mps_store64(&pen->values[place].w0, value.w0);
    mps_store64(&pen->values[place].w1, value.w1);
    pen->first = end == MPS_FRONT ? place : pen->first;
    pen->length++;
    mps_deque_pen_publish(pen);
    return MPS_OK;
}

/* MPS_E_RANGE: there is none. MPS_E_INVAL: it is not plain, and stays; take it out with mps_deque_pop. */
static inline mps_status mps_deque_pen_pop(mps_deque_pen *pen, mps_end end, mps_value *value)
{
    if (mps_unlikely(pen->length == 0)) {
        return mps_deque_pen_pop_slow(pen, end, value);
    }
    uint64_t place = pen->first + (end == MPS_FRONT ? 0 : pen->length - 1);
    place = place < pen->capacity ? place : place - pen->capacity;
    *value = (mps_value){mps_load64(&pen->values[place].w0), mps_load64(&pen->values[place].w1)};
    if (mps_unlikely(!mps_value_is_plain(*value))) {
        return MPS_E_INVAL;
    }
    if (end == MPS_FRONT) {
        pen->first = place + 1 < pen->capacity ? place + 1 : 0;
    }
    pen->length--;
    mps_deque_pen_publish(pen);
    return MPS_OK;
}

/* Kind hooks. */
mps_status mps_deque_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_deque_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_deque_visit(mps_seg *seg, mps_off off, mps_visit *v);
mps_status mps_deque_body_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
