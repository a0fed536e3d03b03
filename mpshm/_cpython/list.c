#include "list.h"

#include "buffers.h"
#include "items.h"

/* ---- one item ---- */

/* 1 and a new reference; 0 when out of range; -1. */
static inline int find_once(mpy_handle *h, int64_t index, PyObject **item)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_vector_get(h->seg, MPS_DOOR_GIL, h->off, index, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        *item = mpy_decode(h, &copy);
        return mps_likely(*item != NULL) ? 1 : -1;
    }
    mps_copy_done(&copy);
    *item = NULL;
    if (st == MPS_E_RANGE) {
        return 0;
    }
    mpy_fail(h, st, "get an item of a");
    return -1;
}

static inline int find(mpy_handle *h, int64_t index, PyObject **item)
{
    unsigned tries = 0;
    int found = 0;
    do {
        found = find_once(h, index, item);
    } while (mps_unlikely(found < 0) && mpy_read_again(h, &tries));
    return found;
}

static inline PyObject *get(PyObject *self, int64_t index)
{
    PyObject *item = NULL;
    if (mps_unlikely(find(mpy_handle_of(self), index, &item) == 0)) {
        PyErr_SetString(PyExc_IndexError, "list index out of range");
    }
    return item;
}

static int out_of_range(mpy_handle *h, mps_status st, const char *tried)
{
    if (st == MPS_E_RANGE) {
        PyErr_SetString(PyExc_IndexError, "list assignment index out of range");
    } else {
        mpy_fail(h, st, tried);
    }
    return -1;
}

static int delete(mpy_handle *h, int64_t index)
{
    mps_status st = MPS_OK;
    do {
        st = mps_vector_pop(h->seg, MPS_DOOR_GIL, h->off, index, NULL);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? 0 : out_of_range(h, st, "delete an item of a");
}

static int set(mpy_handle *h, int64_t index, PyObject *value)
{
    if (value == NULL) {
        return delete(h, index);
    }
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_value(h, value, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_set(h->seg, MPS_DOOR_GIL, h->off, index, &enc);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    return mps_likely(st == MPS_OK) ? 0 : out_of_range(h, st, "set an item of a");
}

/* An int or something with __index__, that is no slice. */
static int as_index(PyObject *key, int64_t *index)
{
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError, "list indices must be integers or slices, not %.200s", Py_TYPE(key)->tp_name);
        return -1;
    }
    *index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    return *index == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *list_subscript(PyObject *self, PyObject *key)
{
    int64_t index = 0;
    if (mps_likely(PyLong_CheckExact(key)) && mps_likely(mpy_small_int(key, &index))) {
        return get(self, index);
    }
    if (mps_unlikely(PySlice_Check(key))) {
        mps_slice slice;
        return mpy_list_slice_of(key, &slice) < 0 ? NULL : mpy_list_slice(mpy_handle_of(self), slice);
    }
    return mps_unlikely(as_index(key, &index) < 0) ? NULL : get(self, index);
}

static int list_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    int64_t index = 0;
    if (mps_likely(PyLong_CheckExact(key)) && mps_likely(mpy_small_int(key, &index))) {
        return set(mpy_handle_of(self), index, value);
    }
    if (mps_unlikely(PySlice_Check(key))) {
        return mpy_list_assign(mpy_handle_of(self), key, value);
    }
    return mps_unlikely(as_index(key, &index) < 0) ? -1 : set(mpy_handle_of(self), index, value);
}

static PyObject *list_item(PyObject *self, Py_ssize_t index)
{
    if (index < 0) { /* the length has been added already */
        PyErr_SetString(PyExc_IndexError, "list index out of range");
        return NULL;
    }
    return get(self, index);
}

static PyObject *list_append(PyObject *self, PyObject *value)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_value(h, value, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_append(h->seg, MPS_DOOR_GIL, h->off, &enc);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_unlikely(st != MPS_OK)) {
        return mpy_fail(h, st, "append to a");
    }
    Py_RETURN_NONE;
}

static PyObject *list_insert(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t index = 0;
    if (!mpy_count_args("insert", n, 2, 2) || mpy_as_ssize(args[0], &index) < 0) {
        return NULL;
    }
    mps_enc enc;
    mpy_hold hold = {0};
    if (mpy_encode_value(h, args[1], &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_insert(h->seg, MPS_DOOR_GIL, h->off, index, &enc);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "insert into a");
    }
    Py_RETURN_NONE;
}

static PyObject *list_pop(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t index = -1;
    if (!mpy_count_args("pop", n, 0, 1) || (n == 1 && mpy_as_ssize(args[0], &index) < 0)) {
        return NULL;
    }
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_vector_pop(h->seg, MPS_DOOR_GIL, h->off, index, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    if (st != MPS_E_RANGE) {
        return mpy_fail(h, st, "pop from a");
    }
    uint64_t length = 0;
    bool empty = mps_vector_len(h->seg, MPS_DOOR_GIL, h->off, &length) == MPS_OK && length == 0;
    PyErr_SetString(PyExc_IndexError, empty ? "pop from empty list" : "pop index out of range");
    return NULL;
}

/* ---- all of it ---- */

static Py_ssize_t list_length(PyObject *self)
{
    return mpy_length(mpy_handle_of(self), mps_vector_len);
}

static PyObject *list_extend(PyObject *self, PyObject *items)
{
    if (mpy_list_extend(mpy_handle_of(self), items) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* In-place operators are those of numbers: of a sequence's, a subclass's __mul__ would be asked first. */
static PyObject *list_inplace_add(PyObject *self, PyObject *items)
{
    return mpy_list_extend(mpy_handle_of(self), items) < 0 ? NULL : Py_NewRef(self);
}

static PyObject *list_inplace_multiply(PyObject *self, PyObject *times)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!PyIndex_Check(times)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    Py_ssize_t n = PyNumber_AsSsize_t(times, PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_repeat(h->seg, MPS_DOOR_GIL, h->off, n);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? Py_NewRef(self) : mpy_fail(h, st, "repeat a");
}

static PyObject *list_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_change(mpy_handle_of(self), mps_vector_clear, "clear a");
}

static PyObject *list_reverse(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_change(mpy_handle_of(self), mps_vector_reverse, "reverse a");
}

static PyObject *list_snapshot(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_list_slice(mpy_handle_of(self), MPY_WHOLE);
}

static int list_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    if (kwds != NULL && PyDict_GET_SIZE(kwds) > 0) {
        PyErr_SetString(PyExc_TypeError, "list() takes no keyword arguments");
        return -1;
    }
    PyObject *items = NULL;
    return PyArg_UnpackTuple(args, "list", 0, 1, &items) ? mpy_list_fill(mpy_handle_of(self), items) : -1;
}

/* ---- the type ---- */

static PyMethodDef list_methods[] = {
    {"append", list_append, METH_O, "append($self, object, /)\n--\n\nPut an item at the end."},
    {"extend", list_extend, METH_O, "extend($self, iterable, /)\n--\n\nPut all these items at the end, in one step."},
    {"insert", MPY_FUNCTION(list_insert), METH_FASTCALL,
     "insert($self, index, object, /)\n--\n\nPut an item before index."},
    {"pop", MPY_FUNCTION(list_pop), METH_FASTCALL,
     "pop($self, index=-1, /)\n--\n\nTake an item out and return it, or raise IndexError."},
    {"clear", list_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out."},
    {"reverse", list_reverse, METH_NOARGS, "reverse($self, /)\n--\n\nTurn the order round, in one step."},
    {"_snapshot", list_snapshot, METH_NOARGS, "_snapshot($self, /)\n--\n\nThe content at one moment, as a list."},
    {"_version", mpy_list_version, METH_NOARGS,
     "_version($self, /)\n--\n\nA number that is another after every change."},
    {"_replace", MPY_FUNCTION(mpy_list_replace), METH_FASTCALL,
     "_replace($self, items, version, /)\n--\n\nMake items the whole content unless the version is another by now; "
     "whether it did."},
    {"_remove_at", MPY_FUNCTION(mpy_list_remove_at), METH_FASTCALL,
     "_remove_at($self, index, expected, /)\n--\n\nTake the item at index out if it is the one expected; whether it "
     "was."},
    {"view", mpy_list_view, METH_O, "view($self, index, /)" MPY_VIEW_TEXT},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: List[item type]."},
    {0},
};

static PyGetSetDef list_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {0},
};

PyDoc_STRVAR(list_doc, "List(iterable=(), /)\n--\n\nA list in shared memory.");

static PyType_Slot list_slots[] = {
    {Py_tp_doc, (void *)list_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_init, (void *)list_init},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)mpy_list_iter},
    {Py_tp_methods, list_methods},
    {Py_tp_getset, list_getset},
    {Py_mp_length, (void *)list_length},
    {Py_mp_subscript, (void *)list_subscript},
    {Py_mp_ass_subscript, (void *)list_ass_subscript},
    {Py_sq_length, (void *)list_length},
    {Py_sq_item, (void *)list_item},
    {Py_nb_inplace_add, (void *)list_inplace_add},
    {Py_nb_inplace_multiply, (void *)list_inplace_multiply},
    {0},
};

int mpy_list_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_LIST, "mpshm._types.List", Py_TPFLAGS_SEQUENCE, list_slots);
}
