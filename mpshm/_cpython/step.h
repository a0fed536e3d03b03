/* step.h -- reading a value, making another of it, and storing that, as one step: for Dict, Map and Value alike.
 *
 * Python code runs between reading and storing, without any lock; the value is stored only if the stored bytes are still
 * those that were read, and else all of it is done again.
 */
#ifndef MPY_STEP_H
#define MPY_STEP_H

#include "encode.h"

/* What the core can do with the value of a key. */
typedef struct mpy_keyed {
    mps_status (*get)(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out);
    mps_status (*has)(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key);
    mps_status (*exchange)(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, const mps_enc *expected,
                           mps_enc *value);
    /* MPS_E_TYPE, MPS_E_EXISTS: it is no whole number. */
    mps_status (*add)(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, int64_t n, int64_t start, int64_t *sum);
} mpy_keyed;

/* Where the value is: under a key of a Dict or a Map, or in a Value. */
typedef struct mpy_place {
    mpy_handle *h;
    mps_enc *key;        /* NULL: a Value's */
    const mpy_keyed *in; /* of a key */
} mpy_place;

/* Adds n (NULL: 1) to the value, start (NULL: 0) where there is none; returns the sum. */
PyObject *mpy_step_add(mpy_place *place, PyObject *n, PyObject *start);
/* Sets the value to fn(value), absent where there is none; returns what it set. */
PyObject *mpy_step_compute(mpy_place *place, PyObject *fn, PyObject *absent);
/* Sets the value to replacement if it equals expected; returns whether it did. False where there is none. */
PyObject *mpy_step_compare_exchange(mpy_place *place, PyObject *expected, PyObject *replacement);

/* Arguments by position or by name, the first `required` of which must be there: into all[], in the order of the names. */
bool mpy_step_args(const char *function, PyObject *const *args, Py_ssize_t n, PyObject *names, const char *const *known,
                   Py_ssize_t required, PyObject **all);

#endif
