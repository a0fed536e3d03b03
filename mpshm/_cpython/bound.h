/* bound.h -- __enter__ and __exit__, bound at next to no cost.
 *
 * A `with` statement binds both anew each time, and to make two of Python's own bound methods takes longer than to take a lock and to
 * let go of it. Here, what is bound comes from a few spare objects that the module keeps.
 */
#ifndef MPY_BOUND_H
#define MPY_BOUND_H

#include "state.h"

/* What is called: with as many arguments as a method of METH_FASTCALL gets. */
typedef PyObject *(*mpy_bound_fn)(PyObject *self, PyObject *const *args, Py_ssize_t n);

/* Gives a type a method of that name, with a docstring that begins with its signature: 0 or -1. */
int mpy_bound_add(mpy_state *state, PyTypeObject *type, const char *name, mpy_bound_fn fn, const char *doc);

#endif
