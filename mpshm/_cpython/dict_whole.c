/* dict_whole.c -- a Dict as a whole: snapshots of it, and update(). */
#include "dict.h"

/* ---- out ---- */

int mpy_table_snapshot(mpy_handle *h, unsigned what, mps_snap *snap)
{
    mps_snap_init(snap);
    mps_status st = MPS_OK;
    do {
        st = mps_table_snapshot(h->seg, MPS_DOOR_GIL, h->off, what, snap);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 0;
    }
    mps_snap_done(snap);
    mpy_fail(h, st, "read a");
    return -1;
}

/* Items i and i + 1. */
static int decode_pair(mpy_handle *h, const mps_snap *snap, uint64_t i, PyObject **key, PyObject **value)
{
    *key = mpy_decode_item(h, snap, i);
    *value = mpy_decode_item(h, snap, i + 1);
    if (*key != NULL && *value != NULL) {
        return 0;
    }
    Py_XDECREF(*key);
    Py_XDECREF(*value);
    return -1;
}

static PyObject *read_dict(mpy_handle *h, const void *unused)
{
    (void)unused;
    mps_snap snap;
    if (mpy_table_snapshot(h, MPS_SNAP_BOTH, &snap) < 0) {
        return NULL;
    }
    PyObject *made = PyDict_New();
    uint64_t i = 0;
    for (; made != NULL && i + 1 < snap.n_items; i += 2) {
        PyObject *key = NULL;
        PyObject *value = NULL;
        if (decode_pair(h, &snap, i, &key, &value) < 0) {
            Py_CLEAR(made);
            continue;
        }
        int done = PyDict_SetItem(made, key, value);
        Py_DECREF(key);
        Py_DECREF(value);
        if (done < 0) {
            Py_CLEAR(made);
        }
    }
    mpy_snap_abandon(h, &snap, i);
    return made;
}

PyObject *mpy_dict_snapshot(mpy_handle *h)
{
    return mpy_read_whole(h, read_dict, NULL);
}

PyObject *mpy_dict_snapshot_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_dict_snapshot(mpy_handle_of(self));
}

/* Keys or values as a list. */
static PyObject *read_list(mpy_handle *h, const void *what)
{
    mps_snap snap;
    return mpy_table_snapshot(h, *(const unsigned *)what, &snap) < 0 ? NULL : mpy_snap_list(h, &snap);
}

static PyObject *as_list(mpy_handle *h, unsigned what)
{
    return mpy_read_whole(h, read_list, &what);
}

PyObject *mpy_dict_keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    return as_list(mpy_handle_of(self), MPS_SNAP_KEYS);
}

PyObject *mpy_dict_values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return as_list(mpy_handle_of(self), MPS_SNAP_VALUES);
}

static PyObject *read_items(mpy_handle *h, const void *unused)
{
    (void)unused;
    mps_snap snap;
    if (mpy_table_snapshot(h, MPS_SNAP_BOTH, &snap) < 0) {
        return NULL;
    }
    PyObject *made = PyList_New((Py_ssize_t)(snap.n_items / 2));
    uint64_t i = 0;
    for (; made != NULL && i + 1 < snap.n_items; i += 2) {
        PyObject *key = NULL;
        PyObject *value = NULL;
        PyObject *pair = decode_pair(h, &snap, i, &key, &value) < 0 ? NULL : Py_BuildValue("(NN)", key, value);
        if (pair == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, (Py_ssize_t)(i / 2), pair);
        }
    }
    mpy_snap_abandon(h, &snap, i);
    return made;
}

PyObject *mpy_dict_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_read_whole(mpy_handle_of(self), read_items, NULL);
}

/* ---- in ---- */

/* A builtin dict of what update() was given; a new reference. */
static PyObject *source_of(mpy_handle *h, PyObject *arg, PyObject *kwds)
{
    bool more = kwds != NULL && PyDict_GET_SIZE(kwds) > 0;
    if (arg == NULL) {
        return more ? Py_NewRef(kwds) : PyDict_New();
    }
    if (PyDict_CheckExact(arg) && !more) {
        return Py_NewRef(arg);
    }
    if (mpy_is_kind(h->state, arg, MPS_KIND_DICT)) {
        PyObject *made = mpy_dict_snapshot(mpy_handle_of(arg));
        if (made != NULL && more && PyDict_Update(made, kwds) < 0) {
            Py_CLEAR(made);
        }
        return made;
    }
    PyObject *made = PyDict_New();
    if (made == NULL) {
        return NULL;
    }
    int done = 0;
    if (PyDict_Check(arg) || PyObject_HasAttr(arg, h->state->str_keys)) {
        done = PyDict_Merge(made, arg, 1);
    } else {
        done = PyDict_MergeFromSeq2(made, arg, 1);
    }
    if (done == 0 && more) {
        done = PyDict_Update(made, kwds);
    }
    if (done < 0) {
        Py_CLEAR(made);
    }
    return made;
}

/* Keys and values, one after the other, so that nobody changes them while they are encoded. */
static PyObject *flatten(PyObject *source)
{
    PyObject *made = PyTuple_New(2 * PyDict_GET_SIZE(source));
    PyObject *key = NULL;
    PyObject *value = NULL;
    Py_ssize_t position = 0;
    for (Py_ssize_t i = 0; made != NULL && PyDict_Next(source, &position, &key, &value); i += 2) {
        PyTuple_SET_ITEM(made, i, Py_NewRef(key));
        PyTuple_SET_ITEM(made, i + 1, Py_NewRef(value));
    }
    return made;
}

static mps_status table_update(mpy_handle *h, mps_enc *keys, mps_enc *values, uint64_t n)
{
    int64_t new = 0;
    if (mpy_watched(h)) {
        for (uint64_t i = 0; i < n; i++) {
            new += mps_table_has(h->seg, MPS_DOOR_GIL, h->off, &keys[i]) == MPS_E_NOTFOUND;
        }
    }
    mps_status st = mps_table_update(h->seg, MPS_DOOR_GIL, h->off, keys, values, n);
    if (st == MPS_OK) {
        mpy_resized(h, new);
    }
    return st;
}

static int update_flat(mpy_handle *h, PyObject *flat)
{
    size_t n = (size_t)PyTuple_GET_SIZE(flat) / 2;
    mps_enc *keys = PyMem_Malloc((2 * n + 1) * sizeof *keys);
    if (keys == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    mps_enc *values = keys + n;
    mpy_hold hold = {0};
    int done = 0;
    for (size_t i = 0; i < n && done == 0; i++) {
        done = mpy_encode_new_key(h, PyTuple_GET_ITEM(flat, (Py_ssize_t)(2 * i)), &keys[i], &hold);
        if (done == 0) {
            done = mpy_encode_value(h, PyTuple_GET_ITEM(flat, (Py_ssize_t)(2 * i + 1)), &values[i], &hold);
        }
    }
    if (done == 0) {
        mps_status st = MPS_OK;
        do {
            st = table_update(h, keys, values, n);
        } while (st != MPS_OK && mpy_again(h, &st));
        if (st != MPS_OK) {
            mpy_fail(h, st, "update a");
            done = -1;
        }
    }
    mpy_hold_done(&hold);
    PyMem_Free(keys);
    return done;
}

int mpy_dict_update(mpy_handle *h, PyObject *arg, PyObject *kwds)
{
    PyObject *source = source_of(h, arg, kwds);
    PyObject *flat = source == NULL ? NULL : flatten(source);
    Py_XDECREF(source);
    int done = flat == NULL ? -1 : update_flat(h, flat);
    Py_XDECREF(flat);
    return done;
}
