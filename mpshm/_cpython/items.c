#include "items.h"

#include "ordered.h"

int mpy_as_ssize(PyObject *obj, Py_ssize_t *out)
{
    PyObject *number = PyNumber_Index(obj);
    *out = number == NULL ? -1 : PyLong_AsSsize_t(number);
    Py_XDECREF(number);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

/* ---- many items ---- */

PyObject *mpy_own_items(PyObject *source, const char *message)
{
    if (PyList_CheckExact(source)) {
        return PyList_AsTuple(source);
    }
    if (PyTuple_CheckExact(source)) {
        return Py_NewRef(source);
    }
    return message == NULL ? PySequence_List(source) : PySequence_Fast(source, message);
}

void mpy_batch_done(mpy_batch *b)
{
    mpy_hold_done(&b->hold);
    PyMem_Free(b->encs);
    Py_XDECREF(b->items);
}

static inline int encode(mpy_handle *h, PyObject *item, mps_enc *enc, mpy_hold *hold, mpy_as as)
{
    switch (as) {
    case MPY_AS_KEYS: return mpy_encode_key(h, item, enc, hold);
    case MPY_AS_NEW_KEYS: return mpy_encode_new_key(h, item, enc, hold);
    case MPY_AS_ORDERED: return mpy_encode_ordered(h, item, enc, hold);
    default: return mpy_encode_value(h, item, enc, hold);
    }
}

int mpy_batch_make(mpy_batch *b, mpy_handle *h, PyObject *items, mpy_as as)
{
    *b = (mpy_batch){.items = items};
    if (items == NULL) {
        return -1;
    }
    b->n = (uint64_t)PySequence_Fast_GET_SIZE(items);
    b->encs = PyMem_Malloc((b->n + 1) * sizeof *b->encs);
    if (b->encs == NULL) {
        PyErr_NoMemory();
        mpy_batch_done(b);
        return -1;
    }
    PyObject **each = PySequence_Fast_ITEMS(items);
    for (uint64_t i = 0; i < b->n; i++) {
        if (encode(h, each[i], &b->encs[i], &b->hold, as) < 0) {
            mpy_batch_done(b);
            return -1;
        }
    }
    return 0;
}

/* ---- an item, if it still is there ---- */

/* 1 removed, 0 the item is another or gone, -1. */
static int remove_encoded(mpy_handle *h, const mpy_row *row, uint64_t index, const mps_enc *expected)
{
    mps_status st = MPS_OK;
    do {
        st = row->remove_at(h->seg, MPS_DOOR_GIL, h->off, index, expected);
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
static int remove_equal(mpy_handle *h, const mpy_row *row, uint64_t index, PyObject *expected)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = row->get(h->seg, MPS_DOOR_GIL, h->off, (int64_t)index, &copy);
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
        done = remove_encoded(h, row, index, &found);
    }
    mps_copy_done(&copy);
    Py_XDECREF(item);
    Py_XDECREF(handles);
    return done;
}

PyObject *mpy_row_remove_at(mpy_handle *h, const mpy_row *row, PyObject *const *args, Py_ssize_t n)
{
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
        done = remove_encoded(h, row, (uint64_t)index, &enc);
    }
    mpy_hold_done(&hold);
    if (done == 0) {
        done = remove_equal(h, row, (uint64_t)index, args[1]);
    }
    return done < 0 ? NULL : PyBool_FromLong(done);
}
