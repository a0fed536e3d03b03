/* map.c -- Map and MultiMap, and what SortedSet shares with them: the core's tree with a mapping's interface.
 *
 * Keys to look for that can't be put in order, or not among those that are there, are not there; where an order is asked for, or a key is
 * to be stored, that is a TypeError.
 */
#include "map.h"

#include "buffers.h"
#include "step.h"

/* ---- one key ---- */

/* An operation that looks for a key: its status, MPS_E_NOTFOUND also for what can't be there, MPY_RAISED. */
typedef mps_status look_function(mpy_handle *h, mps_enc *key, mps_copy *copy);

static mps_status look_for(mpy_handle *h, PyObject *key, look_function *look, mps_copy *copy)
{
    mps_enc enc;
    mpy_hold hold = {0};
    mps_status st = MPS_E_NOTFOUND;
    mpy_orderly how = mpy_encode_wanted(h, key, &enc, &hold);
    if (mps_likely(how == MPY_ORDERLY)) {
        do {
            st = look(h, &enc, copy);
        } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    }
    mpy_hold_done(&hold);
    return how == MPY_ORDER_FAILED ? MPY_RAISED : st == MPS_E_TYPE ? MPS_E_NOTFOUND : st;
}

static mps_status look_get(mpy_handle *h, mps_enc *key, mps_copy *copy)
{
    return mps_tree_get(h->seg, MPS_DOOR_GIL, h->off, key, copy);
}

static mps_status look_pop(mpy_handle *h, mps_enc *key, mps_copy *copy)
{
    return mps_tree_pop(h->seg, MPS_DOOR_GIL, h->off, key, copy);
}

static int fetch_once(mpy_handle *h, PyObject *key, look_function *look, PyObject **value, const char *tried)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = look_for(h, key, look, value == NULL ? NULL : &copy);
    if (mps_likely(st == MPS_OK)) {
        if (look == look_pop) {
            mpy_resized(h, -1);
        }
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
    mpy_fail(h, st, tried);
    return -1;
}

/* 1 and what was found if it is asked for; 0; -1. */
static int fetch(mpy_handle *h, PyObject *key, look_function *look, PyObject **value, const char *tried)
{
    unsigned tries = 0;
    int found = 0;
    do {
        found = fetch_once(h, key, look, value, tried);
    } while (mps_unlikely(found < 0) && mpy_read_again(h, &tries));
    return found;
}

int mpy_map_find(mpy_handle *h, PyObject *key, PyObject **value)
{
    *value = NULL;
    return fetch(h, key, look_get, value, "get a value of a");
}

int mpy_map_take(mpy_handle *h, PyObject *key, PyObject **value)
{
    return fetch(h, key, look_pop, value, "remove a key of a");
}

int mpy_map_contains(PyObject *self, PyObject *key)
{
    return fetch(mpy_handle_of(self), key, look_get, NULL, "look for a key of a");
}

int mpy_map_put(mpy_handle *h, PyObject *key, PyObject *value)
{
    mps_enc enc[2];
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_ordered(h, key, &enc[0], &hold) < 0 ||
                     (value != NULL && mpy_encode_value(h, value, &enc[1], &hold) < 0))) {
        mpy_hold_done(&hold);
        return -1;
    }
    bool added = false;
    mps_status st = MPS_OK;
    do {
        st = mps_tree_set(h->seg, MPS_DOOR_GIL, h->off, &enc[0], value == NULL ? NULL : &enc[1], &added);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_likely(st == MPS_OK)) {
        mpy_resized(h, added);
        return added;
    }
    if (st == MPS_E_TYPE) {
        mpy_fail_order(h, key);
    } else {
        mpy_fail(h, st, "set a key of a");
    }
    return -1;
}

static PyObject *map_subscript(PyObject *self, PyObject *key)
{
    PyObject *value = NULL;
    if (mps_unlikely(mpy_map_find(mpy_handle_of(self), key, &value) == 0)) {
        mpy_key_error(key);
    }
    return value;
}

static int map_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    if (mps_likely(value != NULL)) {
        return mpy_map_put(mpy_handle_of(self), key, value) < 0 ? -1 : 0;
    }
    int found = mpy_map_take(mpy_handle_of(self), key, NULL);
    if (found == 0) {
        mpy_key_error(key);
    }
    return found > 0 ? 0 : -1;
}

PyObject *mpy_map_get(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("get", n, 1, 2)) {
        return NULL;
    }
    PyObject *value = NULL;
    if (mpy_map_find(mpy_handle_of(self), args[0], &value) != 0) {
        return value;
    }
    return Py_NewRef(n > 1 ? args[1] : Py_None);
}

PyObject *mpy_map_pop(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("pop", n, 1, 2)) {
        return NULL;
    }
    PyObject *value = NULL;
    if (mpy_map_take(mpy_handle_of(self), args[0], &value) != 0) {
        return value;
    }
    if (n > 1) {
        return Py_NewRef(args[1]);
    }
    mpy_key_error(args[0]);
    return NULL;
}

static PyObject *map_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("setdefault", n, 1, 2)) {
        return NULL;
    }
    mpy_handle *h = mpy_handle_of(self);
    PyObject *value = n > 1 ? args[1] : Py_None;
    mps_enc enc[2];
    mpy_hold hold = {0};
    if (mpy_encode_ordered(h, args[0], &enc[0], &hold) < 0 || mpy_encode_value(h, value, &enc[1], &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_tree_setdefault(h->seg, MPS_DOOR_GIL, h->off, &enc[0], &enc[1], &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st == MPS_E_EXISTS) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    if (st != MPS_OK) {
        return st == MPS_E_TYPE ? mpy_fail_order(h, args[0]) : mpy_fail(h, st, "set a key of a");
    }
    mpy_resized(h, 1);
    return Py_NewRef(value);
}

PyObject *mpy_map_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    if (mpy_watched(h) && mps_tree_len(h->seg, MPS_DOOR_GIL, h->off, &n) != MPS_OK) {
        n = 0;
    }
    PyObject *done = mpy_change(h, mps_tree_clear, "clear a");
    if (done != NULL) {
        mpy_resized(h, -(int64_t)n);
    }
    return done;
}

Py_ssize_t mpy_map_length(PyObject *self)
{
    return mpy_length(mpy_handle_of(self), mps_tree_len);
}

PyObject *mpy_map_rank(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    int upper = mpy_count_args("_rank", n, 2, 2) ? PyObject_IsTrue(args[1]) : -1;
    if (upper < 0 || mpy_encode_ordered(h, args[0], &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    uint64_t at = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_tree_rank(h->seg, MPS_DOOR_GIL, h->off, &enc, upper ? MPS_BOUND_UPPER : MPS_BOUND_LOWER, &at);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st != MPS_OK) {
        return st == MPS_E_TYPE ? mpy_fail_order(h, args[0]) : mpy_fail(h, st, "look for a key of a");
    }
    return PyLong_FromUnsignedLongLong(at);
}

/* ---- one place ---- */

/* An item that was copied: a pair, or its key alone. */
static PyObject *decode_item(mpy_handle *h, mps_copy *key, mps_copy *value, bool pair)
{
    PyObject *first = mpy_decode(h, key);
    PyObject *second = pair ? mpy_decode(h, value) : NULL;
    if (!pair) {
        return first;
    }
    if (first == NULL || second == NULL) {
        Py_XDECREF(first);
        Py_XDECREF(second);
        return NULL;
    }
    return Py_BuildValue("(NN)", first, second);
}

static PyObject *item_once(mpy_handle *h, PyObject *index, bool take, const char *message)
{
    Py_ssize_t place = -1;
    mps_copy key;
    mps_copy value;
    if (index != NULL) {
        place = PyNumber_AsSsize_t(index, PyExc_IndexError);
        if (place == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    bool pair = mps_load32(&mpy_object(h)->mortal.kind) != MPS_KIND_SORTED_SET;
    mps_copy_init(&key);
    mps_copy_init(&value);
    mps_status st = MPS_OK;
    do {
        st =
            (take ? mps_tree_pop_item : mps_tree_item)(h->seg, MPS_DOOR_GIL, h->off, place, &key, pair ? &value : NULL);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        if (take) {
            mpy_resized(h, -1);
        }
        return decode_item(h, &key, &value, pair);
    }
    mps_copy_done(&key);
    mps_copy_done(&value);
    if (st != MPS_E_RANGE) {
        return mpy_fail(h, st, "read an item of a");
    }
    PyErr_SetString(PyExc_IndexError, message);
    return NULL;
}

PyObject *mpy_map_item(mpy_handle *h, PyObject *index, bool take, const char *message)
{
    unsigned tries = 0;
    PyObject *made = NULL;
    do {
        made = item_once(h, index, take, message);
    } while (mps_unlikely(made == NULL) && mpy_read_again(h, &tries));
    return made;
}

static const char *const item_names[] = {"index", NULL};

PyObject *mpy_map_peekitem(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *index = NULL;
    if (!mpy_step_args("peekitem", args, n, names, item_names, 0, &index)) {
        return NULL;
    }
    return mpy_map_item(mpy_handle_of(self), index, false, "list index out of range");
}

PyObject *mpy_map_popitem(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *index = NULL;
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_step_args("popitem", args, n, names, item_names, 0, &index)) {
        return NULL;
    }
    PyObject *made = mpy_map_item(h, index, true, "list index out of range");
    if (made == NULL && PyErr_ExceptionMatches(PyExc_IndexError) && mpy_map_length(self) == 0) {
        PyErr_Clear();
        PyErr_SetString(PyExc_KeyError, "popitem(): dictionary is empty");
    }
    return made;
}

/* ---- read, modify, write ---- */

static const mpy_keyed in_tree = {mps_tree_get, mps_tree_has, mps_tree_exchange, mps_tree_add};

typedef PyObject *step_function(mpy_place *place, PyObject *const *args);

static PyObject *with_key(PyObject *self, PyObject *const *args, step_function *run)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc key;
    mpy_hold hold = {0};
    PyObject *made = NULL;
    if (mps_likely(mpy_encode_ordered(h, args[0], &key, &hold) == 0)) {
        mpy_place place = {.h = h, .key = &key, .in = &in_tree};
        made = run(&place, args);
        if (made == NULL && mps_tree_has(h->seg, MPS_DOOR_GIL, h->off, &key) == MPS_E_TYPE) {
            PyErr_Clear();
            mpy_fail_order(h, args[0]);
        }
    }
    mpy_hold_done(&hold);
    return made;
}

static PyObject *run_incr(mpy_place *place, PyObject *const *args)
{
    return mpy_step_add(place, args[1], args[2]);
}

static PyObject *run_compute(mpy_place *place, PyObject *const *args)
{
    return mpy_step_compute(place, args[1], args[2] == NULL ? Py_None : args[2]);
}

static PyObject *run_compare_exchange(mpy_place *place, PyObject *const *args)
{
    return mpy_step_compare_exchange(place, args[1], args[2]);
}

static PyObject *map_incr(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"key", "n", "default", NULL};
    PyObject *all[3] = {NULL};
    return mpy_step_args("incr", args, n, names, known, 1, all) ? with_key(self, all, run_incr) : NULL;
}

static PyObject *map_compute(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"key", "fn", "default", NULL};
    PyObject *all[3] = {NULL};
    return mpy_step_args("compute", args, n, names, known, 2, all) ? with_key(self, all, run_compute) : NULL;
}

static PyObject *map_compare_exchange(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"key", "expected", "new", NULL};
    PyObject *all[3] = {NULL};
    if (!mpy_step_args("compare_exchange", args, n, names, known, 3, all)) {
        return NULL;
    }
    return with_key(self, all, run_compare_exchange);
}

/* ---- several values of a key ---- */

static PyObject *multi_add(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("add", n, 2, 2) || mpy_map_put(mpy_handle_of(self), args[0], args[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* 1 removed, 0 the value is another now, -1. */
static int remove_encoded(mpy_handle *h, const mps_enc *key, uint64_t nth, const mps_enc *expected)
{
    mps_status st = MPS_OK;
    do {
        st = mps_tree_remove(h->seg, MPS_DOOR_GIL, h->off, key, nth, expected);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        mpy_resized(h, -1);
        return 1;
    }
    if (st == MPS_E_CHANGED || st == MPS_E_TYPE) {
        return 0;
    }
    mpy_fail(h, st, "remove an item of a");
    return -1;
}

/* The items of one key, as they are stored; 0 or -1. */
static int values_of(mpy_handle *h, const mps_enc *key, mps_snap *snap)
{
    mps_tree_range range = {.from = key, .to = key, .to_bound = MPS_BOUND_UPPER, .limit = UINT64_MAX};
    mps_status st = MPS_OK;
    mps_snap_init(snap);
    do {
        st = mps_tree_snapshot(h->seg, MPS_DOOR_GIL, h->off, &range, MPS_SNAP_VALUES, snap);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK || st == MPS_E_TYPE) {
        return 0;
    }
    mps_snap_done(snap);
    mpy_fail(h, st, "read a");
    return -1;
}

/* Looks for the value among those of the key and removes the first that equals it: 1; 0 it is not there; 2 begin anew; -1. */
static int remove_once(mpy_handle *h, const mps_enc *key, PyObject *value)
{
    mps_snap snap;
    if (values_of(h, key, &snap) < 0) {
        return -1;
    }
    int done = 0;
    uint64_t i = 0;
    for (; i < snap.n_items && done == 0; i++) {
        mps_copy copy;
        mps_enc expected;
        PyObject *handles = NULL;
        mps_snap_item(&snap, i, &copy);
        mpy_encode_copy(&copy, &expected);
        PyObject *item = mpy_decode_keep(h, &copy, &handles);
        int equal = item == NULL ? -1 : PyObject_RichCompareBool(item, value, Py_EQ);
        if (equal > 0) {
            done = remove_encoded(h, key, i, &expected) > 0 ? 1 : PyErr_Occurred() ? -1 : 2;
        } else if (equal < 0) {
            done = -1;
        }
        Py_XDECREF(item);
        Py_XDECREF(handles);
    }
    mpy_snap_abandon(h, &snap, i);
    return done;
}

static PyObject *multi_remove(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc key;
    mpy_hold hold = {0};
    if (!mpy_count_args("_remove", n, 2, 2)) {
        return NULL;
    }
    mpy_orderly how = mpy_encode_wanted(h, args[0], &key, &hold);
    int done = how == MPY_ORDER_FAILED ? -1 : 0;
    if (how == MPY_ORDERLY) {
        do {
            done = remove_once(h, &key, args[1]);
        } while (done == 2 && PyErr_CheckSignals() == 0);
    }
    mpy_hold_done(&hold);
    return done < 0 || done == 2 ? NULL : PyBool_FromLong(done);
}

/* ---- the types ---- */

#define SAME_METHODS                                                                                                 \
    {"get", MPY_FUNCTION(mpy_map_get), METH_FASTCALL,                                                                \
     "get($self, key, default=None, /)\n--\n\nThe (first) value of key, or default."},                               \
        {"pop", MPY_FUNCTION(mpy_map_pop), METH_FASTCALL,                                                            \
         "pop(key[, default], /)\n\nTake (the first item of) a key out and return its value, or default, or raise "  \
         "KeyError."},                                                                                               \
        {"view", mpy_map_view, METH_O, "view($self, key, /)" MPY_VIEW_TEXT},                                         \
        {"peekitem", MPY_FUNCTION(mpy_map_peekitem), METH_FASTCALL | METH_KEYWORDS,                                  \
         "peekitem($self, index=-1)\n--\n\nThe pair at a place, or raise IndexError."},                              \
        {"popitem", MPY_FUNCTION(mpy_map_popitem), METH_FASTCALL | METH_KEYWORDS,                                    \
         "popitem($self, index=-1)\n--\n\nTake the pair at a place out and return it; KeyError if there is none at " \
         "all, "                                                                                                     \
         "else IndexError."},                                                                                        \
        {"keys", mpy_map_keys, METH_NOARGS, "keys($self, /)\n--\n\nThe keys in order, as a list."},                  \
        {"values", mpy_map_values, METH_NOARGS,                                                                      \
         "values($self, /)\n--\n\nThe values in the order of their keys, as a list."},                               \
        {"items", mpy_map_items, METH_NOARGS,                                                                        \
         "items($self, /)\n--\n\nThe pairs in the order of their keys, as a list."}

static PyMethodDef map_methods[] = {
    SAME_METHODS,
    MPY_MAP_SHARED,
    {"setdefault", MPY_FUNCTION(map_setdefault), METH_FASTCALL,
     "setdefault($self, key, default=None, /)\n--\n\nThe value of key, which becomes default if it was not there."},
    {"incr", MPY_FUNCTION(map_incr), METH_FASTCALL | METH_KEYWORDS,
     "incr($self, key, n=1, default=0)\n--\n\nAdd n to the value of key (default if there is none) in one step; return "
     "the sum."},
    {"compute", MPY_FUNCTION(map_compute), METH_FASTCALL | METH_KEYWORDS,
     "compute($self, key, fn, default=None)\n--\n\n"
     "Set key to fn(its value, or default), and return that. fn runs without a lock, and again if the value was "
     "changed\n"
     "meanwhile."},
    {"compare_exchange", MPY_FUNCTION(map_compare_exchange), METH_FASTCALL | METH_KEYWORDS,
     "compare_exchange($self, key, expected, new)\n--\n\n"
     "If the value of key equals expected, set it to new, in one step; return whether it did."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Map[key type, value type]."},
    {0},
};

static PyMethodDef multi_methods[] = {
    SAME_METHODS,
    MPY_MAP_SHARED,
    {"add", MPY_FUNCTION(multi_add), METH_FASTCALL,
     "add($self, key, value, /)\n--\n\nPut an item in, behind those of the same key."},
    {"_remove", MPY_FUNCTION(multi_remove), METH_FASTCALL,
     "_remove($self, key, value, /)\n--\n\nTake the first item of key and value out; whether there was one."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: MultiMap[key type, value type]."},
    {0},
};

static PyGetSetDef map_getset[] = {
    MPY_MAP_ATTRIBUTES,
    {0},
};

PyDoc_STRVAR(map_doc, "A mapping in shared memory, sorted by key.");
PyDoc_STRVAR(multi_doc, "A mapping in shared memory, sorted by key, with any number of values for each.");

static PyType_Slot map_slots[] = {
    {Py_tp_doc, (void *)map_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)mpy_map_iter},
    {Py_tp_methods, map_methods},
    {Py_tp_getset, map_getset},
    {Py_mp_length, (void *)mpy_map_length},
    {Py_mp_subscript, (void *)map_subscript},
    {Py_mp_ass_subscript, (void *)map_ass_subscript},
    {Py_sq_contains, (void *)mpy_map_contains},
    {0},
};

static PyType_Slot multi_slots[] = {
    {Py_tp_doc, (void *)multi_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)mpy_map_iter},
    {Py_tp_methods, multi_methods},
    {Py_tp_getset, map_getset},
    {Py_mp_length, (void *)mpy_map_length},
    {Py_mp_subscript, (void *)map_subscript},
    {Py_sq_contains, (void *)mpy_map_contains},
    {0},
};

int mpy_map_ready(PyObject *module, mpy_state *state)
{
    if (mpy_handle_add(module, state, MPS_KIND_MAP, "mpshm._types.Map", Py_TPFLAGS_MAPPING, map_slots) < 0) {
        return -1;
    }
    return mpy_handle_add(module, state, MPS_KIND_MULTI_MAP, "mpshm._types.MultiMap", 0, multi_slots);
}
