/* list.h -- what the parts of List share. */
#ifndef MPY_LIST_H
#define MPY_LIST_H

#include "encode.h"
#include "vector.h"

#define MPY_WHOLE ((mps_slice){.step = 1, .no_start = true, .no_stop = true})

/* ---- list_edit.c: many items at once ---- */

/* A part of the list as a builtin list. */
PyObject *mpy_list_slice(mpy_handle *h, mps_slice slice);
/* Sets (or, value NULL, deletes) the items that a slice object says. */
int mpy_list_assign(mpy_handle *h, PyObject *slice, PyObject *value);
/* A slice object as the core wants it; runs __index__ of its parts. */
int mpy_list_slice_of(PyObject *slice, mps_slice *out);
/* As list.extend; 0 or -1. */
int mpy_list_extend(mpy_handle *h, PyObject *items);
/* Makes items (NULL: none) the whole content. */
int mpy_list_fill(mpy_handle *h, PyObject *items);

/* Methods. */
PyObject *mpy_list_version(PyObject *self, PyObject *unused);
PyObject *mpy_list_replace(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *mpy_list_remove_at(PyObject *self, PyObject *const *args, Py_ssize_t n);

/* ---- list_iter.c ---- */

PyObject *mpy_list_iter(PyObject *self);

#endif
