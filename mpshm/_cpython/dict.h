/* dict.h -- what Dict, its read-modify-write steps, Namespace and Set share. */
#ifndef MPY_DICT_H
#define MPY_DICT_H

#include "snap.h"

/* 1 and a new reference; 0 if the key is not there; -1. */
int mpy_dict_find(mpy_handle *h, PyObject *key, PyObject **value);
int mpy_dict_put(mpy_handle *h, PyObject *key, PyObject *value);
/* 1 if it was there, 0 if not, -1. */
int mpy_dict_remove(mpy_handle *h, PyObject *key);
/* The content at one moment as a builtin dict. */
PyObject *mpy_dict_snapshot(mpy_handle *h);
/* The methods _snapshot, keys, values and items. */
PyObject *mpy_dict_snapshot_method(PyObject *self, PyObject *unused);
PyObject *mpy_dict_keys(PyObject *self, PyObject *unused);
PyObject *mpy_dict_values(PyObject *self, PyObject *unused);
PyObject *mpy_dict_items(PyObject *self, PyObject *unused);
/* As dict.update: arg and kwds may be NULL. */
int mpy_dict_update(mpy_handle *h, PyObject *arg, PyObject *kwds);
/* A snapshot of keys, values or both; 0 or -1. */
int mpy_table_snapshot(mpy_handle *h, unsigned what, mps_snap *snap);

/* ---- what a Set does in the same way ---- */

int mpy_dict_contains(PyObject *self, PyObject *key);
Py_ssize_t mpy_dict_length(PyObject *self);
PyObject *mpy_dict_clear(PyObject *self, PyObject *unused);

#endif
