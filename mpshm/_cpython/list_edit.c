/* list_edit.c -- many items of a List at once: slices, extend, and what replaces the whole content. */
#include "list.h"

#include "items.h"
#include "snap.h"

/* ---- out ---- */

int mpy_list_slice_of(PyObject *slice, mps_slice *out)
{
    Py_ssize_t start = 0;
    Py_ssize_t stop = 0;
    Py_ssize_t step = 0;
    if (!PySlice_Check(slice)) {
        PyErr_Format(PyExc_TypeError, "a slice, not %.200s", Py_TYPE(slice)->tp_name);
        return -1;
    }
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

static PyObject *read_slice(mpy_handle *h, const void *slice)
{
    mps_snap snap;
    return take_snapshot(h, *(const mps_slice *)slice, &snap) < 0 ? NULL : mpy_snap_list(h, &snap);
}

PyObject *mpy_list_slice(mpy_handle *h, mps_slice slice)
{
    return mpy_read_whole(h, read_slice, &slice);
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

/* Items as a tuple or list of our own; message: of the TypeError for what can't be iterated over. */
static PyObject *own_items(mpy_handle *h, PyObject *source, const char *message)
{
    if (mpy_is_kind(h->state, source, MPS_KIND_LIST)) {
        return mpy_list_slice(mpy_handle_of(source), MPY_WHOLE);
    }
    return mpy_own_items(source, message);
}

static int make(mpy_batch *b, mpy_handle *h, PyObject *source, const char *message)
{
    return mpy_batch_make(b, h, own_items(h, source, message), MPY_AS_VALUES);
}

int mpy_list_extend(mpy_handle *h, PyObject *items)
{
    mpy_batch b;
    if (make(&b, h, items, NULL) < 0) {
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_extend(h->seg, MPS_DOOR_GIL, h->off, b.encs, b.n);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK) {
        mpy_fail(h, st, "extend a");
        return -1;
    }
    return 0;
}

/* Puts a batch in the place of a slice. */
static int assign(mpy_handle *h, mps_slice slice, mpy_batch *b)
{
    uint64_t found = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_vector_assign(h->seg, MPS_DOOR_GIL, h->off, slice, b->encs, b->n, &found);
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
    mpy_batch b;
    const char *message = slice.step == 1 ? "can only assign an iterable" : "must assign iterable to extended slice";
    if (make(&b, h, value, message) < 0) {
        return -1;
    }
    int done = assign(h, slice, &b);
    mpy_batch_done(&b);
    return done;
}

int mpy_list_fill(mpy_handle *h, PyObject *items)
{
    if (items == NULL) {
        return delete(h, MPY_WHOLE);
    }
    mpy_batch b;
    if (make(&b, h, items, NULL) < 0) {
        return -1;
    }
    int done = assign(h, MPY_WHOLE, &b);
    mpy_batch_done(&b);
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
    mpy_batch b;
    if (make(&b, h, args[0], NULL) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_vector_replace(h->seg, MPS_DOOR_GIL, h->off, b.encs, b.n, (uint32_t)version);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK && st != MPS_E_CHANGED) {
        return mpy_fail(h, st, "replace the items of a");
    }
    return PyBool_FromLong(st == MPS_OK);
}

/* ---- an item, if it still is there ---- */

PyObject *mpy_list_remove_at(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    static const mpy_row row = {mps_vector_get, mps_vector_remove_at};
    return mpy_row_remove_at(mpy_handle_of(self), &row, args, n);
}
