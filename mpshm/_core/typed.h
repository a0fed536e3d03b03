/* typed.h -- items of one fixed size side by side, in an array that grows: Vector.
 *
 *   object:  | mps_object | data : 64 | length : 64 | capacity : 64 | limit : 64 | itemsize : 32 | code : 32 | form : 128 |
 *             data      offset of a raw object (raw.h) whose bytes the items are; 0: none yet
 *             length    items there are
 *             capacity  items that there is room for in data
 *             limit     maxlen + 1; 0: none
 *             itemsize  bytes of an item; 0: the vector was not given its form yet
 *             code      what a binding decodes items by; 0: by the form alone
 *             form      what the items are, in the binding's words: a value
 *
 * Invariants: length <= capacity < limit, where there is one; capacity * itemsize <= the raw object's nbytes, which is
 * MPS_CACHE_LINE at least. Itemsize, code, form and limit are set once, before the first item.
 *
 * The data is an object of its own, which the vector counts as one reference: so that others may hold it (a view on it is a
 * handle on the raw object) for as long as they like. It grows in place at any time; it moves to another place only while nobody but the vector
 * refers to it. Who writes through a view takes no lock, and no journal knows of it.
 *
 * Locking: as table.h; reads take no lock. Appending writes the items where nobody sees them, then `length`: one word, no journal.
 * An item of 1, 2, 4 or 8 bytes is set with one store. Other changes in place are journaled, up to MPS_SPAN_LOGGED bytes of them; more is built
 * aside and swung in, or, while others refer to the data, journaled all the same.
 *
 * Costs: get, set, push, pop at the end, cutting off O(1) (push amortised); insert and delete O(n). A pen (mps_typed_open) pushes
 * item after item under one guard: two stores each.
 */
#ifndef MPS_TYPED_H
#define MPS_TYPED_H

#include "raw.h"
#include "value.h"
#include "vector.h" /* mps_slice */

typedef struct mps_typed {
    mps_object object;
    uint64_t data;     /* offset of the raw object; 0 none */
    uint64_t length;   /* items */
    uint64_t capacity; /* items */
    uint64_t limit;    /* items, plus 1; 0 none */
    uint32_t itemsize; /* bytes, at most MPS_TYPED_ITEM; 0 not set up */
    uint32_t code;     /* the binding's own */
    mps_value form;
} mps_typed;

_Static_assert(sizeof(mps_typed) == 136, "stored");
_Static_assert(offsetof(mps_typed, data) == 80, "stored");
_Static_assert(offsetof(mps_typed, length) == 88, "stored");
_Static_assert(offsetof(mps_typed, capacity) == 96, "stored");
_Static_assert(offsetof(mps_typed, limit) == 104, "stored");
_Static_assert(offsetof(mps_typed, itemsize) == 112, "stored");
_Static_assert(offsetof(mps_typed, form) == 120, "stored");

#define MPS_TYPED_ITEM 0x7fffffffu /* bytes of the largest item */
#define MPS_TYPED_NO_LIMIT UINT64_MAX

/* What is the same for all of a vector's life. */
typedef struct mps_typed_form {
    uint32_t itemsize;
    uint32_t code;
    uint64_t maxlen; /* MPS_TYPED_NO_LIMIT: none */
} mps_typed_form;

/* All of these are whole operations, off the vector's, statuses as in table.h; besides:
 * MPS_E_TYPE    the vector has no form yet
 * MPS_E_CORRUPT items are not of the itemsize that the caller goes by, which was the form's before
 * MPS_E_EXISTS  the data would have to move, but others refer to it
 * MPS_E_INVAL   longer than maxlen
 * MPS_E_RANGE   no such item */

/* Gives a new vector its form, and room for maxlen items if that is set. One that has a form: MPS_OK if it is this one, else MPS_E_TYPE. */
mps_status mps_typed_setup(mps_seg *seg, mps_door door, mps_off off, mps_typed_form form, mps_enc *words);
/* No lock. */
mps_status mps_typed_form_get(mps_seg *seg, mps_off off, mps_typed_form *form);
mps_status mps_typed_words(mps_seg *seg, mps_door door, mps_off off, mps_copy *out);
mps_status mps_typed_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
mps_status mps_typed_capacity(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* item: itemsize bytes. index may be negative. */
mps_status mps_typed_get(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index, void *item);
mps_status mps_typed_set(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index, const void *item);
/* n items at the end, in one change. */
mps_status mps_typed_push(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, const void *items, uint64_t n);
/* Takes an item out, and copies it if item is not NULL. */
mps_status mps_typed_pop(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index, void *item);
/* A slice's items at one moment, as many as *n says there is room for: MPS_E_RETRY and how many there are if that is too few. */
mps_status mps_typed_read(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_slice slice, void *items,
                          uint64_t *n, uint32_t *version);
/* Replaces a slice: any n for step 1; otherwise n must be the slice's length, else MPS_E_CHANGED and *found that length. */
mps_status mps_typed_assign(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_slice slice,
                            const void *items, uint64_t n, uint64_t *found);
/* Sets every item of a slice to one. */
mps_status mps_typed_fill(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_slice slice,
                          const void *item);
/* Puts items in before index, which is clipped. */
mps_status mps_typed_insert(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, int64_t index,
                            const void *items, uint64_t n);
/* Makes n items the whole content if the guard's sequence still is `version`: else MPS_E_CHANGED. */
mps_status mps_typed_replace(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, const void *items, uint64_t n,
                             uint32_t version);
/* Cuts off, or adds items of zero bytes. */
mps_status mps_typed_resize(mps_seg *seg, mps_door door, mps_off off, uint64_t n);
/* Room for n items in all. */
mps_status mps_typed_reserve(mps_seg *seg, mps_door door, mps_off off, uint64_t n);
/* Gives back what memory is not in use, if there is room to move to. */
mps_status mps_typed_trim(mps_seg *seg, mps_door door, mps_off off);
/* The raw object (0: none yet), to which this process refers from now on, one local count, and the length. */
mps_status mps_typed_data(mps_seg *seg, mps_door door, mps_off off, mps_off *raw, uint64_t *length);

/* ---- a pen: many items, one after the other, under one guard ---- */

/* Between open and close everybody else's change waits, and nothing else may be done by this thread that takes a guard. */
typedef struct mps_pen {
    mps_tx tx;
    mps_typed *typed;
    uint8_t *items;
    uint64_t length, capacity;
    uint64_t itemsize; /* 0: the guard was lost */
    uint64_t expected; /* what itemsize has to be */
} mps_pen;

mps_status mps_typed_open(mps_seg *seg, mps_door door, mps_off off, uint64_t itemsize, mps_pen *pen);
/* Room for one more item, which lets go of the guard for a moment. After a failure the pen may be tried again, and is to be closed. */
mps_status mps_pen_grow(mps_pen *pen);
void mps_typed_close(mps_pen *pen);

static inline mps_status mps_pen_push(mps_pen *pen, const void *item)
{
    if (mps_unlikely(pen->length >= pen->capacity)) {
        mps_status st = mps_pen_grow(pen);
        if (st != MPS_OK) {
            return st;
        }
    }
    memcpy(pen->items + pen->length * pen->itemsize, item, pen->itemsize);
    mps_barrier();
    mps_store64(&pen->typed->length, ++pen->length);
    return MPS_OK;
}

/* The same for items of eight bytes. */
static inline mps_status mps_pen_push64(mps_pen *pen, uint64_t item)
{
    if (mps_unlikely(pen->length >= pen->capacity)) {
        mps_status st = mps_pen_grow(pen);
        if (st != MPS_OK) {
            return st;
        }
    }
    mps_store64((uint64_t *)(void *)pen->items + pen->length, item);
    mps_barrier();
    mps_store64(&pen->typed->length, ++pen->length);
    return MPS_OK;
}

/* Kind hooks. */
mps_status mps_typed_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_typed_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
