/* sorted_set.c -- SortedSet: a tree whose leaves have keys only, with a set's interface and places. */
#include "map.h"

static PyObject *set_add(PyObject *self, PyObject *key)
{
    if (mpy_map_put(mpy_handle_of(self), key, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *set_discard(PyObject *self, PyObject *key)
{
    if (mpy_map_take(mpy_handle_of(self), key, NULL) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *set_remove(PyObject *self, PyObject *key)
{
    int found = mpy_map_take(mpy_handle_of(self), key, NULL);
    if (found > 0) {
        Py_RETURN_NONE;
    }
    if (found == 0) {
        mpy_key_error(key);
    }
    return NULL;
}

static PyObject *set_pop(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    if (!mpy_count_args("pop", n, 0, 1)) {
        return NULL;
    }
    return mpy_map_item(mpy_handle_of(self), n > 0 ? args[0] : NULL, true, "pop index out of range");
}

static PyObject *set_item(PyObject *self, PyObject *index)
{
    return mpy_map_item(mpy_handle_of(self), index, false, "list index out of range");
}

static PyMethodDef set_methods[] = {
    MPY_MAP_SHARED,
    {"add", set_add, METH_O, "add($self, key, /)\n--\n\nPut a key in, if it is not there."},
    {"discard", set_discard, METH_O, "discard($self, key, /)\n--\n\nTake a key out, if it is there."},
    {"remove", set_remove, METH_O, "remove($self, key, /)\n--\n\nTake a key out, or raise KeyError."},
    {"pop", MPY_FUNCTION(set_pop), METH_FASTCALL,
     "pop($self, index=-1, /)\n--\n\nTake the key at a place out and return it, or raise IndexError."},
    {"_item", set_item, METH_O, "_item($self, index, /)\n--\n\nThe key at a place, or raise IndexError."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: SortedSet[key type]."},
    {0},
};

static PyGetSetDef set_getset[] = {
    MPY_MAP_ATTRIBUTES,
    {0},
};

PyDoc_STRVAR(set_doc, "A set in shared memory, sorted.");

static PyType_Slot set_slots[] = {
    {Py_tp_doc, (void *)set_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)mpy_map_iter},
    {Py_tp_methods, set_methods},
    {Py_tp_getset, set_getset},
    {Py_sq_length, (void *)mpy_map_length},
    {Py_sq_contains, (void *)mpy_map_contains},
    {0},
};

int mpy_sorted_set_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_SORTED_SET, "mpshm._types.SortedSet", 0, set_slots);
}
