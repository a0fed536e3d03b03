/* names.c -- Names: the names that a segment's objects have, as the segment's methods need them.
 *
 * Text is the name of an object; bytes, that of a type, are the name of its only instance. What a name leads to is a handle.
 */
#include "names.h"

#include "dict.h"

static PyObject *names_of(PyObject *cls, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    if (!mpy_count_args("_of", n, 2, 2)) {
        return NULL;
    }
    int create = PyObject_IsTrue(args[1]);
    mps_seg *seg = create < 0 ? NULL : mpy_seg_of(state, args[0]);
    if (seg == NULL) {
        return NULL;
    }
    mps_off off = 0;
    mps_status st;
    do {
        st = mps_names_open(seg, MPS_DOOR_GIL, create > 0, &off);
    } while (st == MPS_E_INTR && PyErr_CheckSignals() == 0);
    if (st == MPS_E_NOTFOUND) {
        Py_RETURN_NONE;
    }
    if (st != MPS_OK) {
        return mpy_fail_at(state, seg, "the names", st == MPS_E_INTR ? MPY_RAISED : st, "read");
    }
    return mpy_handle_wrap(state, seg, args[0], off);
}

/* The name as a key. */
static int encode(mpy_handle *h, PyObject *name, mps_enc *key, mpy_hold *hold, bool store)
{
    if (!PyUnicode_CheckExact(name) && !PyBytes_CheckExact(name)) {
        PyErr_Format(PyExc_TypeError, "a name is a str, not %s", Py_TYPE(name)->tp_name);
        return -1;
    }
    int done = store ? mpy_encode_new_key(h, name, key, hold) : mpy_encode_key(h, name, key, hold);
    if (done < 0) {
        mpy_hold_done(hold);
    }
    return done;
}

/* Checks that a handle is of the same segment. */
static mpy_handle *member(mpy_handle *h, PyObject *obj)
{
    if (!mpy_is_handle(h->state, obj)) {
        PyErr_Format(PyExc_TypeError, "a shared object is needed, not %s", Py_TYPE(obj)->tp_name);
        return NULL;
    }
    if (mpy_handle_of(obj)->seg != h->seg) {
        PyErr_SetString(PyExc_ValueError, "the object is in another segment");
        return NULL;
    }
    return mpy_handle_of(obj);
}

typedef mps_status change(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, mps_off object);

/* True; False when the core answers `no`. */
static PyObject *changed(mpy_handle *h, PyObject *name, mpy_handle *object, change *what, mps_status no)
{
    mps_enc key;
    mpy_hold hold = {0};
    if (encode(h, name, &key, &hold, no == MPS_E_EXISTS) < 0) {
        return NULL;
    }
    mps_status st;
    do {
        st = what(h->seg, MPS_DOOR_GIL, h->off, &key, object == NULL ? 0 : object->off);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    return st == MPS_OK || st == no ? PyBool_FromLong(st == MPS_OK)
                                    : mpy_fail_at(h->state, h->seg, "the names", st, "change");
}

static PyObject *names_enter(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mpy_handle *object = mpy_count_args("enter", n, 2, 2) ? member(h, args[1]) : NULL;
    return object == NULL ? NULL : changed(h, args[0], object, mps_names_enter, MPS_E_EXISTS);
}

static PyObject *names_remove_of(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mpy_handle *object = mpy_count_args("remove_of", n, 2, 2) ? member(h, args[1]) : NULL;
    return object == NULL ? NULL : changed(h, args[0], object, mps_names_remove_of, MPS_E_NOTFOUND);
}

static mps_status remove_any(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, mps_off object)
{
    (void)object;
    return mps_names_remove(seg, door, names, key);
}

static PyObject *names_remove(PyObject *self, PyObject *name)
{
    return changed(mpy_handle_of(self), name, NULL, remove_any, MPS_E_NOTFOUND);
}

/* 1 found, 0 not, -1. */
static int find(mpy_handle *h, PyObject *name, bool refer, mps_off *object)
{
    mps_enc key;
    mpy_hold hold = {0};
    if (encode(h, name, &key, &hold, false) < 0) {
        return -1;
    }
    mps_status st;
    do {
        st = mps_names_find(h->seg, MPS_DOOR_GIL, h->off, &key, refer, object);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st != MPS_OK && st != MPS_E_NOTFOUND) {
        mpy_fail_at(h->state, h->seg, "a name", st, "find");
        return -1;
    }
    return st == MPS_OK;
}

static PyObject *names_find(PyObject *self, PyObject *name)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_off object = 0;
    int found = find(h, name, true, &object);
    if (found > 0) {
        return mpy_handle_wrap(h->state, h->seg, h->segment, object);
    }
    return found < 0 ? NULL : Py_NewRef(Py_None);
}

static int names_contains(PyObject *self, PyObject *name)
{
    mps_off object = 0;
    return find(mpy_handle_of(self), name, false, &object);
}

static PyObject *names_of_object(PyObject *self, PyObject *obj)
{
    mpy_handle *h = mpy_handle_of(self);
    const mpy_handle *object = member(h, obj);
    if (object == NULL) {
        return NULL;
    }
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st;
    do {
        st = mps_names_of(h->seg, MPS_DOOR_GIL, h->off, object->off, &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return st == MPS_E_NOTFOUND ? Py_NewRef(Py_None)
                                : mpy_fail_at(h->state, h->seg, "the name of an object", st, "find");
}

static PyObject *names_reserve(PyObject *self, PyObject *number)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = PyLong_AsUnsignedLongLong(number);
    if (n == (uint64_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    mps_status st;
    do {
        st = mps_names_reserve(h->seg, MPS_DOOR_GIL, h->off, n);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail_at(h->state, h->seg, "room for names", st, "make");
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(of_doc,
             "_of($type, segment, create, /)\n--\n\nThe names of a segment; None where there are none yet and none are "
             "to be made.");
PyDoc_STRVAR(enter_doc, "enter($self, name, object, /)\n--\n\nGive an object a name; return whether it was free.");
PyDoc_STRVAR(find_doc, "find($self, name, /)\n--\n\nA handle on the object of that name, or None.");
PyDoc_STRVAR(remove_doc, "remove($self, name, /)\n--\n\nTake a name away; return whether it was there.");
PyDoc_STRVAR(remove_of_doc,
             "remove_of($self, name, object, /)\n--\n\nThe same if it is that object's; return whether it was.");
PyDoc_STRVAR(name_of_doc, "name_of($self, object, /)\n--\n\nThe name of an object, or None.");
PyDoc_STRVAR(reserve_doc, "reserve($self, n, /)\n--\n\nMake room for n names in all.");

static PyMethodDef names_methods[] = {
    {"_of", MPY_FUNCTION(names_of), METH_FASTCALL | METH_CLASS, of_doc},
    {"enter", MPY_FUNCTION(names_enter), METH_FASTCALL, enter_doc},
    {"find", names_find, METH_O, find_doc},
    {"remove", names_remove, METH_O, remove_doc},
    {"remove_of", MPY_FUNCTION(names_remove_of), METH_FASTCALL, remove_of_doc},
    {"name_of", names_of_object, METH_O, name_of_doc},
    {"reserve", names_reserve, METH_O, reserve_doc},
    {"keys", mpy_dict_keys, METH_NOARGS, "keys($self, /)\n--\n\nAll names at one moment, as a list."},
    {"items", mpy_dict_items, METH_NOARGS,
     "items($self, /)\n--\n\nAll names and handles on their objects at one moment, as a list of pairs."},
    {0},
};

static PyGetSetDef names_getset[] = {
    {"lock", mpy_handle_lock, NULL, "A lock for several steps: while it is held, the others' wait.", NULL},
    {0},
};

PyDoc_STRVAR(names_doc, "The names that a segment's objects have.");

static PyType_Slot names_slots[] = {
    {Py_tp_doc, (void *)names_doc},          {Py_tp_methods, names_methods},           {Py_tp_getset, names_getset},
    {Py_sq_length, (void *)mpy_dict_length}, {Py_sq_contains, (void *)names_contains}, {0},
};

static PyType_Spec names_spec = {
    .name = "mpshm._types.Names",
    .basicsize = sizeof(mpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = names_slots,
};

int mpy_names_ready(PyObject *module, mpy_state *state)
{
    PyTypeObject *type = mpy_type_add(module, &names_spec, state->handle_type, true);
    state->base[mpy_kind_index(MPS_KIND_NAMES)] = type;
    return type == NULL ? -1 : 0;
}
