#include "dict.h"

#include "step.h"

/* ---- one key ---- */

int mpy_dict_find(mpy_handle *h, PyObject *key, PyObject **value)
{
    mps_enc enc;
    mpy_hold hold = {0};
    *value = NULL;
    if (mps_unlikely(mpy_encode_key(h, key, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_table_get(h->seg, MPS_DOOR_GIL, h->off, &enc, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_likely(st == MPS_OK)) {
        *value = mpy_decode(h, &copy);
        return *value == NULL ? -1 : 1;
    }
    mps_copy_done(&copy);
    if (st == MPS_E_NOTFOUND) {
        return 0;
    }
    mpy_fail(h, st, "get a value of a");
    return -1;
}

/* Sets while this process iterates over the dict: in two steps, to learn whether the key is new. */
static mps_status set_watched(mpy_handle *h, mps_enc *key, mps_enc *value)
{
    mps_status st = mps_table_setdefault(h->seg, MPS_DOOR_GIL, h->off, key, value, NULL);
    if (st == MPS_OK) {
        mpy_dict_resized(h, 1);
    }
    return st == MPS_E_EXISTS ? mps_table_set(h->seg, MPS_DOOR_GIL, h->off, key, value) : st;
}

int mpy_dict_put(mpy_handle *h, PyObject *key, PyObject *value)
{
    mps_enc enc[2];
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_key(h, key, &enc[0], &hold) < 0 || mpy_encode_value(h, value, &enc[1], &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mpy_dict_watched(h) ? set_watched(h, &enc[0], &enc[1])
                                 : mps_table_set(h->seg, MPS_DOOR_GIL, h->off, &enc[0], &enc[1]);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_unlikely(st != MPS_OK)) {
        mpy_fail(h, st, "set a key of a");
        return -1;
    }
    return 0;
}

/* Takes a key out: 1, and the value if asked for; 0 if it is not there; -1. */
static int take(mpy_handle *h, PyObject *key, PyObject **value)
{
    mps_enc enc;
    mpy_hold hold = {0};
    if (mpy_encode_key(h, key, &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_table_pop(h->seg, MPS_DOOR_GIL, h->off, &enc, value == NULL ? NULL : &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st == MPS_OK) {
        mpy_dict_resized(h, -1);
        if (value == NULL) {
            return 1;
        }
        *value = mpy_decode(h, &copy);
        return *value == NULL ? -1 : 1;
    }
    mps_copy_done(&copy);
    if (st == MPS_E_NOTFOUND) {
        return 0;
    }
    mpy_fail(h, st, "remove a key of a");
    return -1;
}

int mpy_dict_remove(mpy_handle *h, PyObject *key)
{
    return take(h, key, NULL);
}

static PyObject *dict_subscript(PyObject *self, PyObject *key)
{
    PyObject *value = NULL;
    if (mps_unlikely(mpy_dict_find(mpy_handle_of(self), key, &value) == 0)) {
        mpy_key_error(key);
    }
    return value;
}

static int dict_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    if (mps_likely(value != NULL)) {
        return mpy_dict_put(mpy_handle_of(self), key, value);
    }
    int found = mpy_dict_remove(mpy_handle_of(self), key);
    if (found == 0) {
        mpy_key_error(key);
    }
    return found > 0 ? 0 : -1;
}

static int dict_contains(PyObject *self, PyObject *key)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_key(h, key, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_table_has(h->seg, MPS_DOOR_GIL, h->off, &enc);
    } while (mps_unlikely(st != MPS_OK && st != MPS_E_NOTFOUND) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_likely(st == MPS_OK || st == MPS_E_NOTFOUND)) {
        return st == MPS_OK;
    }
    mpy_fail(h, st, "look for a key of a");
    return -1;
}

static PyObject *dict_get(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("get", n, 1, 2)) {
        return NULL;
    }
    PyObject *value = NULL;
    if (mpy_dict_find(mpy_handle_of(self), args[0], &value) != 0) {
        return value;
    }
    return Py_NewRef(n > 1 ? args[1] : Py_None);
}

static PyObject *dict_pop(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("pop", n, 1, 2)) {
        return NULL;
    }
    PyObject *value = NULL;
    int found = take(mpy_handle_of(self), args[0], &value);
    if (found != 0) {
        return value;
    }
    if (n > 1) {
        return Py_NewRef(args[1]);
    }
    mpy_key_error(args[0]);
    return NULL;
}

static PyObject *dict_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("setdefault", n, 1, 2)) {
        return NULL;
    }
    mpy_handle *h = mpy_handle_of(self);
    PyObject *value = n > 1 ? args[1] : Py_None;
    mps_enc enc[2];
    mpy_hold hold = {0};
    if (mpy_encode_key(h, args[0], &enc[0], &hold) < 0 || mpy_encode_value(h, value, &enc[1], &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_table_setdefault(h->seg, MPS_DOOR_GIL, h->off, &enc[0], &enc[1], &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st == MPS_E_EXISTS) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "set a key of a");
    }
    mpy_dict_resized(h, 1);
    return Py_NewRef(value);
}

static PyObject *dict_popitem(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_copy key;
    mps_copy value;
    mps_copy_init(&key);
    mps_copy_init(&value);
    mps_status st = MPS_OK;
    do {
        st = mps_table_pop_last(h->seg, MPS_DOOR_GIL, h->off, &key, &value);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        mps_copy_done(&key);
        mps_copy_done(&value);
        if (st != MPS_E_NOTFOUND) {
            return mpy_fail(h, st, "remove a key of a");
        }
        PyErr_SetString(PyExc_KeyError, "popitem(): dictionary is empty");
        return NULL;
    }
    mpy_dict_resized(h, -1);
    PyObject *first = mpy_decode(h, &key);
    PyObject *second = mpy_decode(h, &value);
    if (first == NULL || second == NULL) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        return NULL;
    }
    return Py_BuildValue("(NN)", first, second);
}

/* ---- all of it ---- */

void mpy_snap_abandon(mpy_handle *h, mps_snap *snap, uint64_t from)
{
    if (from < snap->n_items) {
        mps_snap_drop_refs(h->seg, MPS_DOOR_GIL, snap, from);
    }
    mps_snap_done(snap);
}

static int table_snapshot(mpy_handle *h, unsigned what, mps_snap *snap)
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

PyObject *mpy_dict_snapshot(mpy_handle *h)
{
    mps_snap snap;
    if (table_snapshot(h, MPS_SNAP_BOTH, &snap) < 0) {
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

static PyObject *dict_snapshot(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_dict_snapshot(mpy_handle_of(self));
}

/* Keys or values as a list. */
static PyObject *as_list(mpy_handle *h, unsigned what)
{
    mps_snap snap;
    if (table_snapshot(h, what, &snap) < 0) {
        return NULL;
    }
    PyObject *made = PyList_New((Py_ssize_t)snap.n_items);
    uint64_t i = 0;
    for (; made != NULL && i < snap.n_items; i++) {
        PyObject *item = mpy_decode_item(h, &snap, i);
        if (item == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, (Py_ssize_t)i, item);
        }
    }
    mpy_snap_abandon(h, &snap, i);
    return made;
}

static PyObject *dict_keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    return as_list(mpy_handle_of(self), MPS_SNAP_KEYS);
}

static PyObject *dict_values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return as_list(mpy_handle_of(self), MPS_SNAP_VALUES);
}

static PyObject *dict_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_snap snap;
    if (table_snapshot(h, MPS_SNAP_BOTH, &snap) < 0) {
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

static PyObject *dict_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    if (mpy_dict_watched(h) && mps_table_len(h->seg, MPS_DOOR_GIL, h->off, &n) != MPS_OK) {
        n = 0;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_table_clear(h->seg, MPS_DOOR_GIL, h->off);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "clear a");
    }
    mpy_dict_resized(h, -(int64_t)n);
    Py_RETURN_NONE;
}

static Py_ssize_t dict_length(PyObject *self)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_table_len(h->seg, MPS_DOOR_GIL, h->off, &n);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_unlikely(st != MPS_OK)) {
        mpy_fail(h, st, "take the length of a");
        return -1;
    }
    return (Py_ssize_t)n;
}

static PyObject *dict_iter(PyObject *self)
{
    return mpy_dict_iter_new(mpy_handle_of(self), false);
}

static PyObject *dict_reversed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_dict_iter_new(mpy_handle_of(self), true);
}

/* ---- update ---- */

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
    if (mpy_dict_watched(h)) {
        for (uint64_t i = 0; i < n; i++) {
            new += mps_table_has(h->seg, MPS_DOOR_GIL, h->off, &keys[i]) == MPS_E_NOTFOUND;
        }
    }
    mps_status st = mps_table_update(h->seg, MPS_DOOR_GIL, h->off, keys, values, n);
    if (st == MPS_OK) {
        mpy_dict_resized(h, new);
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
        done = mpy_encode_key(h, PyTuple_GET_ITEM(flat, (Py_ssize_t)(2 * i)), &keys[i], &hold);
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

/* update() and __init__() take the same. */
static int update_args(PyObject *self, const char *name, PyObject *args, PyObject *kwds)
{
    Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (n > 1) {
        PyErr_Format(PyExc_TypeError, "%s expected at most 1 argument, got %zd", name, n);
        return -1;
    }
    return mpy_dict_update(mpy_handle_of(self), n == 1 ? PyTuple_GET_ITEM(args, 0) : NULL, kwds);
}

static PyObject *dict_update(PyObject *self, PyObject *args, PyObject *kwds)
{
    if (update_args(self, "update", args, kwds) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static int dict_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    if (PyTuple_GET_SIZE(args) == 0 && (kwds == NULL || PyDict_GET_SIZE(kwds) == 0)) {
        return 0;
    }
    return update_args(self, "dict", args, kwds);
}

/* ---- read, modify, write ---- */

typedef PyObject *step_function(mpy_place *place, PyObject *const *args, Py_ssize_t n);

/* Encodes the key, args[0], and runs the step on it. */
static PyObject *with_key(PyObject *self, PyObject *const *args, Py_ssize_t n, step_function *run)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc key;
    mpy_hold hold = {0};
    PyObject *made = NULL;
    if (mps_likely(mpy_encode_key(h, args[0], &key, &hold) == 0)) {
        mpy_place place = {.h = h, .key = &key};
        made = run(&place, args, n);
    }
    mpy_hold_done(&hold);
    return made;
}

static PyObject *run_incr(mpy_place *place, PyObject *const *args, Py_ssize_t n)
{
    return mpy_step_add(place, n > 1 ? args[1] : NULL, n > 2 ? args[2] : NULL);
}

static PyObject *run_compute(mpy_place *place, PyObject *const *args, Py_ssize_t n)
{
    return mpy_step_compute(place, args[1], n > 2 ? args[2] : Py_None);
}

static PyObject *run_compare_exchange(mpy_place *place, PyObject *const *args, Py_ssize_t n)
{
    (void)n;
    return mpy_step_compare_exchange(place, args[1], args[2]);
}

static PyObject *dict_incr(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"key", "n", "default", NULL};
    PyObject *all[3] = {NULL};
    if (mps_likely(names == NULL && n >= 1 && n <= 3)) {
        return with_key(self, args, n, run_incr);
    }
    if (!mpy_step_args("incr", args, n, names, known, 1, all)) {
        return NULL;
    }
    return with_key(self, all, 3, run_incr);
}

static PyObject *dict_compute(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"key", "fn", "default", NULL};
    PyObject *all[3] = {NULL};
    if (!mpy_step_args("compute", args, n, names, known, 2, all)) {
        return NULL;
    }
    return with_key(self, all, all[2] == NULL ? 2 : 3, run_compute);
}

static PyObject *dict_compare_exchange(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"key", "expected", "new", NULL};
    PyObject *all[3] = {NULL};
    if (!mpy_step_args("compare_exchange", args, n, names, known, 3, all)) {
        return NULL;
    }
    return with_key(self, all, 3, run_compare_exchange);
}

/* ---- the type ---- */

static PyMethodDef dict_methods[] = {
    {"get", MPY_FUNCTION(dict_get), METH_FASTCALL, "get(key, default=None, /)\n--\n\nThe value of key, or default."},
    {"pop", MPY_FUNCTION(dict_pop), METH_FASTCALL,
     "pop(key[, default], /)\n--\n\nTake a key out and return its value, or default, or raise KeyError."},
    {"setdefault", MPY_FUNCTION(dict_setdefault), METH_FASTCALL,
     "setdefault(key, default=None, /)\n--\n\nThe value of key, which becomes default if it was not there."},
    {"popitem", dict_popitem, METH_NOARGS, "popitem()\n--\n\nTake the last pair out and return it, or raise KeyError."},
    {"clear", dict_clear, METH_NOARGS, "clear()\n--\n\nTake everything out."},
    {"update", MPY_FUNCTION(dict_update), METH_VARARGS | METH_KEYWORDS,
     "update([mapping or pairs], /, **kwargs)\n--\n\nSet all these keys, in one step."},
    {"keys", dict_keys, METH_NOARGS, "keys()\n--\n\nThe keys, as a list."},
    {"values", dict_values, METH_NOARGS, "values()\n--\n\nThe values, as a list."},
    {"items", dict_items, METH_NOARGS, "items()\n--\n\nThe pairs, as a list."},
    {"_snapshot", dict_snapshot, METH_NOARGS, "_snapshot()\n--\n\nThe content at one moment, as a dict."},
    {"incr", MPY_FUNCTION(dict_incr), METH_FASTCALL | METH_KEYWORDS,
     "incr(key, n=1, default=0)\n--\n\nAdd n to the value of key (default if there is none) in one step; return the sum."},
    {"compute", MPY_FUNCTION(dict_compute), METH_FASTCALL | METH_KEYWORDS,
     "compute(key, fn, default=None)\n--\n\n"
     "Set key to fn(its value, or default), and return that. fn runs without a lock, and again if the value was changed\n"
     "meanwhile."},
    {"compare_exchange", MPY_FUNCTION(dict_compare_exchange), METH_FASTCALL | METH_KEYWORDS,
     "compare_exchange(key, expected, new)\n--\n\n"
     "If the value of key equals expected, set it to new, in one step; return whether it did."},
    {"__reversed__", dict_reversed, METH_NOARGS, "__reversed__()\n--\n\nAn iterator over the keys, the last first."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {0},
};

static PyGetSetDef dict_getset[] = {
    {"lock", mpy_handle_lock, NULL, "A lock for several steps: while it is held, the others' changes wait.", NULL},
    {0},
};

PyDoc_STRVAR(dict_doc, "Dict(...)\n--\n\nA dict in shared memory; arguments as dict's.");

static PyType_Slot dict_slots[] = {
    {Py_tp_doc, (void *)dict_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_init, (void *)dict_init},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)dict_iter},
    {Py_tp_methods, dict_methods},
    {Py_tp_getset, dict_getset},
    {Py_mp_length, (void *)dict_length},
    {Py_mp_subscript, (void *)dict_subscript},
    {Py_mp_ass_subscript, (void *)dict_ass_subscript},
    {Py_sq_contains, (void *)dict_contains},
    {0},
};

static PyType_Spec dict_spec = {
    .name = "mpshm._types.Dict",
    .basicsize = sizeof(mpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_MAPPING,
    .slots = dict_slots,
};

int mpy_dict_ready(PyObject *module, mpy_state *state)
{
    PyTypeObject *type = mpy_type_add(module, &dict_spec, state->handle_type, true);
    state->base[mpy_kind_index(MPS_KIND_DICT)] = type;
    return type == NULL ? -1 : 0;
}
