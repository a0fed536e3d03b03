/* step.h -- reading a value, making another of it, and storing that, as one step: for Dict and Value alike.
 *
 * Python code runs between reading and storing, without any lock; the value is stored only if the stored bytes are still
 * those that were read, and else all of it is done again.
 */
#ifndef MPY_STEP_H
#define MPY_STEP_H

#include "encode.h"

/* Where the value is: under a key of a Dict, or in a Value. */
typedef struct mpy_place {
    mpy_handle *h;
    mps_enc *key; /* NULL: a Value's */
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
