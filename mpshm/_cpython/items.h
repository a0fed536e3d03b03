/* items.h -- many items at once on their way in, and an item taken out if it still is what it was: for List, Set and Deque. */
#ifndef MPY_ITEMS_H
#define MPY_ITEMS_H

#include "encode.h"

/* An index as list.insert and list.pop take it: 0 or -1. */
int mpy_as_ssize(PyObject *obj, Py_ssize_t *out);

/* Items as a tuple or list that nobody else changes: a new reference. message: of the TypeError for what can't be iterated over, or
 * NULL for Python's own. */
PyObject *mpy_own_items(PyObject *source, const char *message);

/* Encoded items. */
typedef struct mpy_batch {
    PyObject *items; /* as mpy_own_items makes them */
    mps_enc *encs;
    uint64_t n;
    mpy_hold hold;
} mpy_batch;

typedef enum mpy_as {
    MPY_AS_VALUES,
    MPY_AS_KEYS,     /* to look for */
    MPY_AS_NEW_KEYS, /* to store */
    MPY_AS_ORDERED,  /* keys that have an order, to store */
} mpy_as;

/* Takes the items over (NULL: an exception is set). On failure, -1, there is nothing left to be done with it. */
int mpy_batch_make(mpy_batch *b, mpy_handle *h, PyObject *items, mpy_as as);
void mpy_batch_done(mpy_batch *b);

/* What the core can do with a row of values. */
typedef struct mpy_row {
    mps_status (*get)(mps_seg *seg, mps_door door, mps_off off, int64_t index, mps_copy *out);
    mps_status (*remove_at)(mps_seg *seg, mps_door door, mps_off off, uint64_t index, const mps_enc *expected);
} mpy_row;

/* The method _remove_at(index, expected): takes the item at index out if it is the one expected; whether it was. */
PyObject *mpy_row_remove_at(mpy_handle *h, const mpy_row *row, PyObject *const *args, Py_ssize_t n);

#endif
