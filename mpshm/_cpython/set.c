/* set.c -- Set: a table whose values are None, with set's interface.
 *
 * What changes much of it is one change for all others: the keys are gathered and encoded first, and then added, taken out, kept or
 * toggled under the guard (mps_table_combine).
 */
#include "dict.h"
#include "items.h"

/* ---- one key ---- */

static PyObject *set_add(PyObject *self, PyObject *key)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_new_key(h, key, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_enc none = {.value = {MPS_TAG_NONE, 0}};
    mps_status st = MPS_OK;
    do {
        st = mps_table_setdefault(h->seg, MPS_DOOR_GIL, h->off, &enc, &none, NULL);
    } while (mps_unlikely(st != MPS_OK && st != MPS_E_EXISTS) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_likely(st == MPS_OK)) {
        mpy_resized(h, 1);
        Py_RETURN_NONE;
    }
    if (st == MPS_E_EXISTS) {
        Py_RETURN_NONE;
    }
    return mpy_fail(h, st, "add a key to a");
}

/* The content at one moment as a builtin set. */
static PyObject *snapshot(mpy_handle *h)
{
    mps_snap snap;
    if (mpy_table_snapshot(h, MPS_SNAP_KEYS, &snap) < 0) {
        return NULL;
    }
    PyObject *made = PySet_New(NULL);
    uint64_t i = 0;
    for (; made != NULL && i < snap.n_items; i++) {
        PyObject *key = mpy_decode_item(h, &snap, i);
        if (key == NULL || PySet_Add(made, key) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(key);
    }
    mpy_snap_abandon(h, &snap, i);
    return made;
}

static bool is_set(const mpy_handle *h, PyObject *obj)
{
    return mpy_is_kind(h->state, obj, MPS_KIND_SET);
}

/* What is looked for when key is given: a set, which can't be a key, stands for the frozenset that equals it. A new reference. */
static PyObject *sought(const mpy_handle *h, PyObject *key)
{
    if (mps_unlikely(is_set(h, key))) {
        PyObject *made = snapshot(mpy_handle_of(key));
        PyObject *frozen = made == NULL ? NULL : PyFrozenSet_New(made);
        Py_XDECREF(made);
        return frozen;
    }
    if (mps_unlikely(PySet_Check(key) && Py_TYPE(key)->tp_hash == PyObject_HashNotImplemented)) {
        return PyFrozenSet_New(key);
    }
    return Py_NewRef(key);
}

static int set_contains(PyObject *self, PyObject *key)
{
    PyObject *wanted = sought(mpy_handle_of(self), key);
    int found = wanted == NULL ? -1 : mpy_dict_contains(self, wanted);
    Py_XDECREF(wanted);
    return found;
}

static int take(PyObject *self, PyObject *key)
{
    PyObject *wanted = sought(mpy_handle_of(self), key);
    int found = wanted == NULL ? -1 : mpy_dict_remove(mpy_handle_of(self), wanted);
    Py_XDECREF(wanted);
    return found;
}

static PyObject *set_discard(PyObject *self, PyObject *key)
{
    if (take(self, key) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *set_remove(PyObject *self, PyObject *key)
{
    int found = take(self, key);
    if (found > 0) {
        Py_RETURN_NONE;
    }
    if (found == 0) {
        mpy_key_error(key);
    }
    return NULL;
}

static PyObject *set_pop(PyObject *self, PyObject *unused)
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
    mps_copy_done(&value);
    if (st == MPS_OK) {
        mpy_resized(h, -1);
        return mpy_decode(h, &key);
    }
    mps_copy_done(&key);
    if (st != MPS_E_NOTFOUND) {
        return mpy_fail(h, st, "pop from a");
    }
    PyErr_SetString(PyExc_KeyError, "pop from an empty set");
    return NULL;
}

/* ---- with others ---- */

/* The keys of one other, as a list that nobody else has. */
static PyObject *keys_of(const mpy_handle *h, PyObject *other)
{
    if (is_set(h, other)) {
        return mpy_dict_keys(other, NULL);
    }
    return PySequence_List(other);
}

/* The keys of all others. */
static PyObject *keys_of_all(const mpy_handle *h, PyObject *const *others, Py_ssize_t n)
{
    PyObject *made = n > 0 ? keys_of(h, others[0]) : PyList_New(0);
    for (Py_ssize_t i = 1; i < n && made != NULL; i++) {
        PyObject *more = keys_of(h, others[i]);
        Py_ssize_t end = PyList_GET_SIZE(made);
        if (more == NULL || PyList_SetSlice(made, end, end, more) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(more);
    }
    return made;
}

/* The keys that all others have, n > 0. */
static PyObject *keys_of_each(const mpy_handle *h, PyObject *const *others, Py_ssize_t n)
{
    PyObject *made = keys_of(h, others[0]);
    for (Py_ssize_t i = 1; i < n && made != NULL; i++) {
        PyObject *first = PySet_New(made);
        Py_SETREF(made, first == NULL ? NULL : PyObject_CallMethod(first, "intersection", "O", others[i]));
        Py_XDECREF(first);
    }
    if (made != NULL && n > 1) {
        Py_SETREF(made, PySequence_List(made));
    }
    return made;
}

/* Takes the list of keys over (NULL: an exception is set). */
static int combine(mpy_handle *h, mps_combine how, PyObject *keys)
{
    mpy_batch b;
    bool looks = how == MPS_COMBINE_TAKE || how == MPS_COMBINE_KEEP;
    if (mpy_batch_make(&b, h, keys, looks ? MPY_AS_KEYS : MPY_AS_NEW_KEYS) < 0) {
        return -1;
    }
    int64_t grown = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_table_combine(h->seg, MPS_DOOR_GIL, h->off, how, b.encs, b.n, &grown);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK) {
        mpy_fail(h, st, "change a");
        return -1;
    }
    mpy_resized(h, grown);
    return 0;
}

static bool same_object(const mpy_handle *h, PyObject *other)
{
    return is_set(h, other) && mpy_handle_of(other)->seg == h->seg && mpy_handle_of(other)->off == h->off;
}

static int toggle(mpy_handle *h, PyObject *other)
{
    if (same_object(h, other)) {
        return combine(h, MPS_COMBINE_KEEP, PyList_New(0));
    }
    return combine(h, MPS_COMBINE_TOGGLE, keys_of(h, other));
}

static PyObject *none_or_raise(int done)
{
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *set_update(PyObject *self, PyObject *const *others, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    return none_or_raise(combine(h, MPS_COMBINE_ADD, keys_of_all(h, others, n)));
}

static PyObject *set_difference_update(PyObject *self, PyObject *const *others, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    return none_or_raise(combine(h, MPS_COMBINE_TAKE, keys_of_all(h, others, n)));
}

static PyObject *set_intersection_update(PyObject *self, PyObject *const *others, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    return none_or_raise(n == 0 ? 0 : combine(h, MPS_COMBINE_KEEP, keys_of_each(h, others, n)));
}

static PyObject *set_symmetric_difference_update(PyObject *self, PyObject *other)
{
    return none_or_raise(toggle(mpy_handle_of(self), other));
}

/* The operators take sets only. */
static bool is_operand(const mpy_handle *h, PyObject *other)
{
    return PyAnySet_Check(other) || is_set(h, other);
}

static PyObject *in_place(PyObject *self, mps_combine how, PyObject *other)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!is_operand(h, other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    int done = 0;
    if (how == MPS_COMBINE_TOGGLE) {
        done = toggle(h, other);
    } else if (same_object(h, other)) {
        done = how == MPS_COMBINE_TAKE ? combine(h, MPS_COMBINE_KEEP, PyList_New(0)) : 0;
    } else {
        done = combine(h, how, keys_of(h, other));
    }
    return done < 0 ? NULL : Py_NewRef(self);
}

static PyObject *set_inplace_or(PyObject *self, PyObject *other)
{
    return in_place(self, MPS_COMBINE_ADD, other);
}

static PyObject *set_inplace_and(PyObject *self, PyObject *other)
{
    return in_place(self, MPS_COMBINE_KEEP, other);
}

static PyObject *set_inplace_subtract(PyObject *self, PyObject *other)
{
    return in_place(self, MPS_COMBINE_TAKE, other);
}

static PyObject *set_inplace_xor(PyObject *self, PyObject *other)
{
    return in_place(self, MPS_COMBINE_TOGGLE, other);
}

/* ---- all of it ---- */

static PyObject *set_snapshot(PyObject *self, PyObject *unused)
{
    (void)unused;
    return snapshot(mpy_handle_of(self));
}

static PyObject *set_iter(PyObject *self)
{
    mps_snap snap;
    mpy_handle *h = mpy_handle_of(self);
    if (mpy_table_snapshot(h, MPS_SNAP_KEYS, &snap) < 0) {
        return NULL;
    }
    return mpy_snap_iter_new(h, &snap, false, "Set changed size during iteration");
}

static int set_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    if (kwds != NULL && PyDict_GET_SIZE(kwds) > 0) {
        PyErr_SetString(PyExc_TypeError, "set() takes no keyword arguments");
        return -1;
    }
    PyObject *items = NULL;
    mpy_handle *h = mpy_handle_of(self);
    if (!PyArg_UnpackTuple(args, "set", 0, 1, &items)) {
        return -1;
    }
    return combine(h, MPS_COMBINE_ASSIGN, items == NULL ? PyList_New(0) : keys_of(h, items));
}

/* ---- the type ---- */

static PyMethodDef set_methods[] = {
    {"add", set_add, METH_O, "add($self, key, /)\n--\n\nPut a key in, if it is not there."},
    {"discard", set_discard, METH_O, "discard($self, key, /)\n--\n\nTake a key out, if it is there."},
    {"remove", set_remove, METH_O, "remove($self, key, /)\n--\n\nTake a key out, or raise KeyError."},
    {"pop", set_pop, METH_NOARGS, "pop($self, /)\n--\n\nTake any key out and return it, or raise KeyError."},
    {"clear", mpy_dict_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out."},
    {"update", MPY_FUNCTION(set_update), METH_FASTCALL,
     "update($self, /, *others)\n--\n\nPut all keys of the others in, in one step."},
    {"difference_update", MPY_FUNCTION(set_difference_update), METH_FASTCALL,
     "difference_update($self, /, *others)\n--\n\nTake all keys of the others out, in one step."},
    {"intersection_update", MPY_FUNCTION(set_intersection_update), METH_FASTCALL,
     "intersection_update($self, /, *others)\n--\n\nTake all keys out that not all of the others have, in one step."},
    {"symmetric_difference_update", set_symmetric_difference_update, METH_O,
     "symmetric_difference_update($self, other, /)\n--\n\nTake out the keys that other has too and put its others in, "
     "in one step."},
    {"_snapshot", set_snapshot, METH_NOARGS, "_snapshot($self, /)\n--\n\nThe content at one moment, as a set."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Set[key type]."},
    {0},
};

static PyGetSetDef set_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {0},
};

PyDoc_STRVAR(set_doc, "Set(iterable=(), /)\n--\n\nA set in shared memory.");

static PyType_Slot set_slots[] = {
    {Py_tp_doc, (void *)set_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_init, (void *)set_init},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)set_iter},
    {Py_tp_methods, set_methods},
    {Py_tp_getset, set_getset},
    {Py_sq_length, (void *)mpy_dict_length},
    {Py_sq_contains, (void *)set_contains},
    {Py_nb_inplace_or, (void *)set_inplace_or},
    {Py_nb_inplace_and, (void *)set_inplace_and},
    {Py_nb_inplace_subtract, (void *)set_inplace_subtract},
    {Py_nb_inplace_xor, (void *)set_inplace_xor},
    {0},
};

int mpy_set_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_SET, "mpshm._types.Set", 0, set_slots);
}
