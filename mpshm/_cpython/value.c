/* value.c -- what is one value behind a guard: Value, and Instance, the state of an object of a user's class. */
#include "buffers.h"
#include "cell.h"
#include "step.h"

static PyObject *read_once(mpy_handle *h)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_cell_get(h->seg, MPS_DOOR_GIL, h->off, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return mpy_fail(h, st, "get the value of a");
}

static PyObject *read_value(mpy_handle *h)
{
    unsigned tries = 0;
    PyObject *value = NULL;
    do {
        value = read_once(h);
    } while (mps_unlikely(value == NULL) && mpy_read_again(h, &tries));
    return value;
}

/* Stores obj; changed_only: unless what it is stored as is there already. */
static int write_value(mpy_handle *h, PyObject *obj, bool changed_only)
{
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_value(h, obj, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    bool same = false;
    mps_status st = MPS_OK;
    do {
        st = changed_only ? mps_cell_same(h->seg, MPS_DOOR_GIL, h->off, &enc, &same) : MPS_OK;
        if (mps_likely(st == MPS_OK) && !same) {
            st = mps_cell_set(h->seg, MPS_DOOR_GIL, h->off, &enc);
        }
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_unlikely(st != MPS_OK)) {
        mpy_fail(h, st, "set the value of a");
        return -1;
    }
    return 0;
}

static PyObject *value_get_value(PyObject *self, void *closure)
{
    (void)closure;
    return read_value(mpy_handle_of(self));
}

static int value_set_value(PyObject *self, PyObject *obj, void *closure)
{
    (void)closure;
    if (obj == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the value of a Value cannot be deleted");
        return -1;
    }
    return write_value(mpy_handle_of(self), obj, false);
}

static PyObject *value_get(PyObject *self, PyObject *unused)
{
    (void)unused;
    return read_value(mpy_handle_of(self));
}

static PyObject *value_set(PyObject *self, PyObject *obj)
{
    if (write_value(mpy_handle_of(self), obj, false) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *value_add(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"n", NULL};
    PyObject *all[1] = {NULL};
    if (!mpy_step_args("add", args, n, names, known, 0, all)) {
        return NULL;
    }
    mpy_place place = {.h = mpy_handle_of(self)};
    return mpy_step_add(&place, all[0], NULL);
}

static PyObject *value_compare_exchange(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"expected", "new", NULL};
    PyObject *all[2] = {NULL};
    if (!mpy_step_args("compare_exchange", args, n, names, known, 2, all)) {
        return NULL;
    }
    mpy_place place = {.h = mpy_handle_of(self)};
    return mpy_step_compare_exchange(&place, all[0], all[1]);
}

static int value_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"", NULL};
    PyObject *obj = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwds, "|O:Value", names, &obj)) {
        return -1;
    }
    return obj == NULL ? 0 : write_value(mpy_handle_of(self), obj, false);
}

static PyMethodDef value_methods[] = {
    {"get", value_get, METH_NOARGS, "get($self, /)\n--\n\nThe value."},
    {"set", value_set, METH_O, "set($self, value, /)\n--\n\nSet the value."},
    {"add", MPY_FUNCTION(value_add), METH_FASTCALL | METH_KEYWORDS,
     "add($self, n=1)\n--\n\nAdd n to the value in one step; return the sum."},
    {"compare_exchange", MPY_FUNCTION(value_compare_exchange), METH_FASTCALL | METH_KEYWORDS,
     "compare_exchange($self, expected, new)\n--\n\nIf the value equals expected, set it to new, in one step; return "
     "whether it did."},
    {"view", mpy_value_view, METH_NOARGS, "view($self, /)" MPY_VIEW_TEXT},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Value[type]."},
    {0},
};

static PyGetSetDef value_getset[] = {
    {"value", value_get_value, value_set_value, "The value.", NULL},
    MPY_LOCK_ATTRIBUTE,
    {0},
};

PyDoc_STRVAR(value_doc, "Value(value=None, /)\n--\n\nOne value in shared memory.");

static PyType_Slot value_slots[] = {
    {Py_tp_doc, (void *)value_doc}, {Py_tp_new, (void *)mpy_handle_new}, {Py_tp_init, (void *)value_init},
    {Py_tp_methods, value_methods}, {Py_tp_getset, value_getset},        {0},
};

/* ---- Instance ---- */

static PyObject *instance_store(PyObject *self, PyObject *obj)
{
    if (write_value(mpy_handle_of(self), obj, true) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef instance_methods[] = {
    {"_load", value_get, METH_NOARGS, "_load($self, /)\n--\n\nA copy of the object."},
    {"_store", instance_store, METH_O,
     "_store($self, obj, /)\n--\n\nMake this the object; nothing is written if it is stored like that already."},
    {0},
};

static PyGetSetDef instance_getset[] = {
    {"lock", mpy_handle_lock, NULL, "A lock for several steps: while it is held, the others' calls wait.", NULL},
    {0},
};

PyDoc_STRVAR(instance_doc,
             "Instance()\n--\n\nAn object of a user's class in shared memory, pickled: what a proxy refers to.");

static PyType_Slot instance_slots[] = {
    {Py_tp_doc, (void *)instance_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_methods, instance_methods},
    {Py_tp_getset, instance_getset},
    {0},
};

int mpy_value_ready(PyObject *module, mpy_state *state)
{
    if (mpy_handle_add(module, state, MPS_KIND_INSTANCE, "mpshm._types.Instance", 0, instance_slots) < 0) {
        return -1;
    }
    return mpy_handle_add(module, state, MPS_KIND_VALUE, "mpshm._types.Value", 0, value_slots);
}
