#include "dict.h"

#include "buffers.h"
#include "step.h"

/* ---- one key ---- */

static inline int find_once(mpy_handle *h, PyObject *key, PyObject **value)
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

int mpy_dict_find(mpy_handle *h, PyObject *key, PyObject **value)
{
    unsigned tries = 0;
    int found = 0;
    do {
        found = find_once(h, key, value);
    } while (mps_unlikely(found < 0) && mpy_read_again(h, &tries));
    return found;
}

/* Sets while this process iterates over the dict: in two steps, to learn whether the key is new. */
static mps_status set_watched(mpy_handle *h, mps_enc *key, mps_enc *value)
{
    mps_status st = mps_table_setdefault(h->seg, MPS_DOOR_GIL, h->off, key, value, NULL);
    if (st == MPS_OK) {
        mpy_resized(h, 1);
    }
    return st == MPS_E_EXISTS ? mps_table_set(h->seg, MPS_DOOR_GIL, h->off, key, value) : st;
}

int mpy_dict_put(mpy_handle *h, PyObject *key, PyObject *value)
{
    mps_enc enc[2];
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_new_key(h, key, &enc[0], &hold) < 0 ||
                     mpy_encode_value(h, value, &enc[1], &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mpy_watched(h) ? set_watched(h, &enc[0], &enc[1])
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
        mpy_resized(h, -1);
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

int mpy_dict_contains(PyObject *self, PyObject *key)
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
    if (mpy_encode_new_key(h, args[0], &enc[0], &hold) < 0 || mpy_encode_value(h, value, &enc[1], &hold) < 0) {
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
    mpy_resized(h, 1);
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
    mpy_resized(h, -1);
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

PyObject *mpy_dict_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    if (mpy_watched(h) && mps_table_len(h->seg, MPS_DOOR_GIL, h->off, &n) != MPS_OK) {
        n = 0;
    }
    PyObject *done = mpy_change(h, mps_table_clear, "clear a");
    if (done != NULL) {
        mpy_resized(h, -(int64_t)n);
    }
    return done;
}

Py_ssize_t mpy_dict_length(PyObject *self)
{
    return mpy_length(mpy_handle_of(self), mps_table_len);
}

static PyObject *iterate(mpy_handle *h, bool reverse)
{
    mps_snap snap;
    if (mpy_table_snapshot(h, MPS_SNAP_KEYS, &snap) < 0) {
        return NULL;
    }
    return mpy_snap_iter_new(h, &snap, reverse, "dictionary changed size during iteration");
}

static PyObject *dict_iter(PyObject *self)
{
    return iterate(mpy_handle_of(self), false);
}

static PyObject *dict_reversed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return iterate(mpy_handle_of(self), true);
}

/* ---- update ---- */

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

static const mpy_keyed in_table = {mps_table_get, mps_table_has, mps_table_exchange, mps_table_add};

/* Encodes the key, args[0], and runs the step on it. */
static PyObject *with_key(PyObject *self, PyObject *const *args, Py_ssize_t n, step_function *run)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc key;
    mpy_hold hold = {0};
    PyObject *made = NULL;
    if (mps_likely(mpy_encode_new_key(h, args[0], &key, &hold) == 0)) {
        mpy_place place = {.h = h, .key = &key, .in = &in_table};
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
    {"get", MPY_FUNCTION(dict_get), METH_FASTCALL,
     "get($self, key, default=None, /)\n--\n\nThe value of key, or default."},
    {"pop", MPY_FUNCTION(dict_pop), METH_FASTCALL,
     "pop(key[, default], /)\n\nTake a key out and return its value, or default, or raise KeyError."},
    {"setdefault", MPY_FUNCTION(dict_setdefault), METH_FASTCALL,
     "setdefault($self, key, default=None, /)\n--\n\nThe value of key, which becomes default if it was not there."},
    {"popitem", dict_popitem, METH_NOARGS,
     "popitem($self, /)\n--\n\nTake the last pair out and return it, or raise KeyError."},
    {"clear", mpy_dict_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out."},
    {"update", MPY_FUNCTION(dict_update), METH_VARARGS | METH_KEYWORDS,
     "update([mapping or pairs], /, **kwargs)\n\nSet all these keys, in one step."},
    {"keys", mpy_dict_keys, METH_NOARGS, "keys($self, /)\n--\n\nThe keys, as a list."},
    {"values", mpy_dict_values, METH_NOARGS, "values($self, /)\n--\n\nThe values, as a list."},
    {"items", mpy_dict_items, METH_NOARGS, "items($self, /)\n--\n\nThe pairs, as a list."},
    {"_snapshot", mpy_dict_snapshot_method, METH_NOARGS,
     "_snapshot($self, /)\n--\n\nThe content at one moment, as a dict."},
    {"incr", MPY_FUNCTION(dict_incr), METH_FASTCALL | METH_KEYWORDS,
     "incr($self, key, n=1, default=0)\n--\n\nAdd n to the value of key (default if there is none) in one step; return "
     "the sum."},
    {"compute", MPY_FUNCTION(dict_compute), METH_FASTCALL | METH_KEYWORDS,
     "compute($self, key, fn, default=None)\n--\n\n"
     "Set key to fn(its value, or default), and return that. fn runs without a lock, and again if the value was "
     "changed\n"
     "meanwhile."},
    {"compare_exchange", MPY_FUNCTION(dict_compare_exchange), METH_FASTCALL | METH_KEYWORDS,
     "compare_exchange($self, key, expected, new)\n--\n\n"
     "If the value of key equals expected, set it to new, in one step; return whether it did."},
    {"view", mpy_dict_view, METH_O, "view($self, key, /)" MPY_VIEW_TEXT},
    {"__reversed__", dict_reversed, METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator over the keys, the last first."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Dict[key type, value type]."},
    {0},
};

static PyGetSetDef dict_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {0},
};

PyDoc_STRVAR(dict_doc, "Dict([mapping or pairs], /, **kwargs)\n\nA dict in shared memory; arguments as dict's.");

static PyType_Slot dict_slots[] = {
    {Py_tp_doc, (void *)dict_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_init, (void *)dict_init},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)dict_iter},
    {Py_tp_methods, dict_methods},
    {Py_tp_getset, dict_getset},
    {Py_mp_length, (void *)mpy_dict_length},
    {Py_mp_subscript, (void *)dict_subscript},
    {Py_mp_ass_subscript, (void *)dict_ass_subscript},
    {Py_sq_contains, (void *)mpy_dict_contains},
    {0},
};

int mpy_dict_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_DICT, "mpshm._types.Dict", Py_TPFLAGS_MAPPING, dict_slots);
}
