/* list_edit.c -- many items of a List at once: slices, extend, and what replaces the whole content. */
#include "list.h"

#include "dict.h" /* mpy_snap_list */

/* ---- out ---- */

int mpy_list_slice_of(PyObject *slice, mps_slice *out)
{
    Py_ssize_t start = 0;
    Py_ssize_t stop = 0;
    Py_ssize_t step = 0;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0) {
        return -1;
    }
    const PySliceObject *given = (const PySliceObject *)slice;
    *out = (mps_slice){.start = start,
                       .stop = stop,
                       .step = step,
                       .no_start = given->start == Py_None,
                       .no_stop = given->stop == Py_None};
    return 0;
}

static int take_snapshot(mpy_handle *h, mps_slice slice, mps_snap *snap)
{
    mps_snap_init(snap);
    mps_status st = MPS_OK;
    do {
        st = mps_vector_snapshot(h->seg, MPS_DOOR_GIL, h->off, slice, snap);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 0;
    }
    mps_snap_done(snap);
    mpy_fail(h, st, "read a");
    return -1;
}

PyObject *mpy_list_slice(mpy_handle *h, mps_slice slice)
{
    mps_snap snap;
    if (take_snapshot(h, slice, &snap) < 0) {
        return NULL;
    }
    return mpy_snap_list(h, &snap);
}

PyObject *mpy_list_version(PyObject *self, PyObject *unused)
{
    (void)unused;
    mps_snap snap;
    if (take_snapshot(mpy_handle_of(self), (mps_slice){.step = 1}, &snap) < 0) {
        return NULL;
    }
    PyObject *version = PyLong_FromUnsignedLong(snap.seq);
    mps_snap_done(&snap);
    return version;
}

/* ---- in ---- */

/* Encoded items. */
typedef struct batch {
    PyObject *items; /* a tuple or list that nobody else changes */
    mps_enc *values;
    uint64_t n;
    mpy_hold hold;
} batch;

static void batch_done(batch *b)
{
    mpy_hold_done(&b->hold);
    PyMem_Free(b->values);
    Py_XDECREF(b->items);
}

/* Items as a tuple or list of our own; message: of the TypeError for what can't be iterated over. */
static PyObject *own_items(mpy_handle *h, PyObject *source, const char *message)
{
    if (mpy_is_kind(h->state, source, MPS_KIND_LIST)) {
        return mpy_list_slice(mpy_handle_of(source), MPY_WHOLE);
    }
    if (PyList_CheckExact(source)) {
        return PyList_AsTuple(source);
    }
    if (PyTuple_CheckExact(source)) {
        return Py_NewRef(source);
    }
    return message == NULL ? PySequence_List(source) : PySequence_Fast(source, message);
}

/* On failure there is nothing left to be done with it. */
static int batch_make(batch *b, mpy_handle *h, PyObject *source, const char *message)
{
    *b = (batch){.items = own_items(h, source, message)};
    if (b->items == NULL) {
        return -1;
    }
    b->n = (uint64_t)PySequence_Fast_GET_SIZE(b->items);
    b->values = PyMem_Malloc((b->n + 1) * sizeof *b->values);
    if (b->values == NULL) {
        PyErr_NoMemory();
        batch_done(b);
        return -1;
    }
    PyObject **items = PySequence_Fast_ITEMS(b->items);
    for (uint64_t i = 0; i < b->n; i++) {
        if (mpy_encode_value(h, items[i], &b->values[i], &b->hold) < 0) {
            batch_done(b);
            return -1;
        }
    }
    return 0;
}

int mpy_list_extend(mpy_handle *h, PyObject *items)
{
    batch b;
    if (batch_make(&b, h, items, NULL) < 0) {
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_extend(h->seg, MPS_DOOR_GIL, h->off, b.values, b.n);
    } while (st != MPS_OK && mpy_again(h, &st));
    batch_done(&b);
    if (st != MPS_OK) {
        mpy_fail(h, st, "extend a");
        return -1;
    }
    return 0;
}

/* Puts a batch in the place of a slice. */
static int assign(mpy_handle *h, mps_slice slice, batch *b)
{
    uint64_t found = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_vector_assign(h->seg, MPS_DOOR_GIL, h->off, slice, b->values, b->n, &found);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 0;
    }
    if (st == MPS_E_INVAL) {
        PyErr_Format(PyExc_ValueError, "attempt to assign sequence of size %zd to extended slice of size %zd",
                     (Py_ssize_t)b->n, (Py_ssize_t)found);
    } else {
        mpy_fail(h, st, "set items of a");
    }
    return -1;
}

static int delete(mpy_handle *h, mps_slice slice)
{
    mps_status st = MPS_OK;
    do {
        st = mps_vector_delete(h->seg, MPS_DOOR_GIL, h->off, slice);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 0;
    }
    mpy_fail(h, st, "delete items of a");
    return -1;
}

int mpy_list_assign(mpy_handle *h, PyObject *slice_object, PyObject *value)
{
    mps_slice slice;
    if (mpy_list_slice_of(slice_object, &slice) < 0) {
        return -1;
    }
    if (value == NULL) {
        return delete(h, slice);
    }
    batch b;
    const char *message = slice.step == 1 ? "can only assign an iterable" : "must assign iterable to extended slice";
    if (batch_make(&b, h, value, message) < 0) {
        return -1;
    }
    int done = assign(h, slice, &b);
    batch_done(&b);
    return done;
}

int mpy_list_fill(mpy_handle *h, PyObject *items)
{
    if (items == NULL) {
        return delete(h, MPY_WHOLE);
    }
    batch b;
    if (batch_make(&b, h, items, NULL) < 0) {
        return -1;
    }
    int done = assign(h, MPY_WHOLE, &b);
    batch_done(&b);
    return done;
}

PyObject *mpy_list_replace(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_count_args("_replace", n, 2, 2)) {
        return NULL;
    }
    unsigned long version = PyLong_AsUnsignedLong(args[1]);
    if (version == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    batch b;
    if (batch_make(&b, h, args[0], NULL) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_replace(h->seg, MPS_DOOR_GIL, h->off, b.values, b.n, (uint32_t)version);
    } while (st != MPS_OK && mpy_again(h, &st));
    batch_done(&b);
    if (st != MPS_OK && st != MPS_E_CHANGED) {
        return mpy_fail(h, st, "replace the items of a");
    }
    return PyBool_FromLong(st == MPS_OK);
}

/* ---- an item, if it still is there ---- */

/* 1 removed, 0 the item is another or gone, -1. */
static int remove_encoded(mpy_handle *h, uint64_t index, const mps_enc *expected)
{
    mps_status st = MPS_OK;
    do {
        st = mps_vector_remove_at(h->seg, MPS_DOOR_GIL, h->off, index, expected);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 1;
    }
    if (st == MPS_E_CHANGED || st == MPS_E_RANGE) {
        return 0;
    }
    mpy_fail(h, st, "remove an item of a");
    return -1;
}

/* What does not pickle to the same bytes again may still be equal. */
static int remove_equal(mpy_handle *h, uint64_t index, PyObject *expected)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_vector_get(h->seg, MPS_DOOR_GIL, h->off, (int64_t)index, &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    PyObject *item = NULL;
    PyObject *handles = NULL;
    int done = -1;
    if (st == MPS_OK) {
        item = mpy_decode_keep(h, &copy, &handles);
        done = item == NULL ? -1 : PyObject_RichCompareBool(item, expected, Py_EQ);
    } else if (st == MPS_E_RANGE) {
        done = 0;
    } else {
        mpy_fail(h, st, "remove an item of a");
    }
    if (done > 0) {
        mps_enc found;
        mpy_encode_copy(&copy, &found);
        done = remove_encoded(h, index, &found);
    }
    mps_copy_done(&copy);
    Py_XDECREF(item);
    Py_XDECREF(handles);
    return done;
}

PyObject *mpy_list_remove_at(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_count_args("_remove_at", n, 2, 2)) {
        return NULL;
    }
    Py_ssize_t index = PyLong_AsSsize_t(args[0]);
    if (index < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "_remove_at() takes no negative index");
    }
    mps_enc enc;
    mpy_hold hold = {0};
    int done = mpy_encode_value(h, args[1], &enc, &hold);
    if (done == 0) {
        done = remove_encoded(h, (uint64_t)index, &enc);
    }
    mpy_hold_done(&hold);
    if (done == 0) {
        done = remove_equal(h, (uint64_t)index, args[1]);
    }
    return done < 0 ? NULL : PyBool_FromLong(done);
}
