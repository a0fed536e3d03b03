/* numbers.h -- numbers of one type, side by side: Array.
 *
 *   | mps_object : 80 | length : 64 | typecode : 32 | itemsize : 32 | item 0 | item 1 | ... |
 *
 * The items are as array.array has them: native, itemsize bytes each. The core moves their bytes and never asks what they mean.
 *
 * Invariants: itemsize is 1, 2, 4 or 8; length, typecode and itemsize are set once, when the items are there and before anybody else
 * can know of the object. Until then all three are 0.
 *
 * Locking: as table.h; reads take no lock. One item changes in one store, under the guard and without a journal; several are
 * journaled word by word, so that they change all or not at all.
 *
 * Costs: one item O(1); a slice O(its bytes), and while it is written twice as much again for the journal.
 */
#ifndef MPS_NUMBERS_H
#define MPS_NUMBERS_H

#include "object.h"

#define MPS_NUMBERS_MAX ((uint64_t)1 << 46) /* bytes of items */

typedef struct mps_numbers {
    mps_object object;
    uint64_t length;   /* items */
    uint32_t typecode; /* a character, array.array's; 0: not filled yet */
    uint32_t itemsize; /* bytes: 1, 2, 4 or 8 */
} mps_numbers;

_Static_assert(sizeof(mps_numbers) == 96, "stored");
_Static_assert(offsetof(mps_numbers, length) == 80, "stored");
_Static_assert(offsetof(mps_numbers, typecode) == 88, "stored");

/* What is fixed about one. */
typedef struct mps_numbers_form {
    uint64_t length;
    uint32_t typecode;
    uint32_t itemsize;
} mps_numbers_form;

/* A part: n items from start on, step apart; all of them inside. */
typedef struct mps_numbers_part {
    uint64_t start;
    int64_t step;
    uint64_t n;
} mps_numbers_part;

/* A new object of this process with these items. MPS_E_TOOLARGE, MPS_E_INVAL for an itemsize that is none. */
mps_status mps_numbers_new(mps_seg *seg, mps_door door, mps_numbers_form form, const void *items, mps_off *off,
                           uint64_t *serial);
/* MPS_E_CORRUPT when the items can't lie inside the segment. */
mps_status mps_numbers_form_get(mps_seg *seg, mps_off off, mps_numbers_form *form);
/* One item, in the low bytes. MPS_E_RANGE unless index < length. */
mps_status mps_numbers_get(mps_seg *seg, mps_door door, mps_off off, uint64_t index, uint64_t *item);
/* MPS_E_BUSY while another thread holds the lock, and so below. */
mps_status mps_numbers_set(mps_seg *seg, mps_door door, mps_off off, uint64_t index, uint64_t item);
/* Copies a part as it is at one moment, packed, to n * itemsize bytes at out. MPS_E_RANGE. */
mps_status mps_numbers_read(mps_seg *seg, mps_door door, mps_off off, mps_numbers_part part, void *out);
/* Sets a part from packed items, in one step. MPS_E_RANGE. */
mps_status mps_numbers_write(mps_seg *seg, mps_door door, mps_off off, mps_numbers_part part, const void *items);

mps_status mps_numbers_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
