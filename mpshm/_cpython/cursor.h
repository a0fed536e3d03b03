/* cursor.h -- places in a LinkedList. */
#ifndef MPY_CURSOR_H
#define MPY_CURSOR_H

#include "encode.h"
#include "linked.h"

typedef struct mpy_cursor {
    PyObject_HEAD PyObject *list; /* a handle; changes when the node is found in another list */
    mps_cursor place;
} mpy_cursor;

/* A cursor into a list. */
PyObject *mpy_cursor_new(mpy_handle *list, const mps_cursor *place);
/* Raises what a status of an operation at a cursor means: NULL. */
PyObject *mpy_cursor_fail(mpy_handle *list, mps_status st, const char *tried);
/* Moves nodes: the method splice of LinkedList. */
PyObject *mpy_cursor_splice(PyObject *self, PyObject *const *args, Py_ssize_t n);

#endif
