/* namespace.c -- Namespace: attributes that all share.
 *
 * Names that begin with an underscore are this handle's own, as every object's. All others are keys of a table; where one
 * is not set, the class is asked, so that a program's names come before ours (lock).
 */
#include "dict.h"

static bool is_shared(PyObject *name)
{
    return PyUnicode_Check(name) && PyUnicode_GET_LENGTH(name) > 0 && PyUnicode_READ_CHAR(name, 0) != '_';
}

static PyObject *namespace_getattro(PyObject *self, PyObject *name)
{
    if (!is_shared(name)) {
        return PyObject_GenericGetAttr(self, name);
    }
    PyObject *value = NULL;
    return mpy_dict_find(mpy_handle_of(self), name, &value) == 0 ? PyObject_GenericGetAttr(self, name) : value;
}

static int namespace_setattro(PyObject *self, PyObject *name, PyObject *value)
{
    if (!is_shared(name)) {
        return PyObject_GenericSetAttr(self, name, value);
    }
    if (value != NULL) {
        return mpy_dict_put(mpy_handle_of(self), name, value);
    }
    int found = mpy_dict_remove(mpy_handle_of(self), name);
    if (found == 0) {
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '%U'", Py_TYPE(self)->tp_name, name);
    }
    return found > 0 ? 0 : -1;
}

static int namespace_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    if (PyTuple_GET_SIZE(args) > 0) {
        PyErr_SetString(PyExc_TypeError, "Namespace() takes keyword arguments only");
        return -1;
    }
    if (kwds == NULL || PyDict_GET_SIZE(kwds) == 0) {
        return 0;
    }
    PyObject *name = NULL;
    PyObject *value = NULL;
    Py_ssize_t position = 0;
    while (PyDict_Next(kwds, &position, &name, &value)) {
        if (!is_shared(name)) {
            PyErr_Format(PyExc_TypeError, "Namespace() takes no name that begins with an underscore: '%U'", name);
            return -1;
        }
    }
    return mpy_dict_update(mpy_handle_of(self), NULL, kwds);
}

static PyObject *namespace_snapshot(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_dict_snapshot(mpy_handle_of(self));
}

static PyMethodDef namespace_methods[] = {
    {"_snapshot", namespace_snapshot, METH_NOARGS,
     "_snapshot($self, /)\n--\n\nThe attributes at one moment, as a dict."},
    {0},
};

static PyGetSetDef namespace_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {0},
};

PyDoc_STRVAR(namespace_doc, "Namespace(**kwargs)\n--\n\nAttributes in shared memory.");

static PyType_Slot namespace_slots[] = {
    {Py_tp_doc, (void *)namespace_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_init, (void *)namespace_init},
    {Py_tp_getattro, (void *)namespace_getattro},
    {Py_tp_setattro, (void *)namespace_setattro},
    {Py_tp_methods, namespace_methods},
    {Py_tp_getset, namespace_getset},
    {0},
};

int mpy_namespace_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_NAMESPACE, "mpshm._types.Namespace", 0, namespace_slots);
}
