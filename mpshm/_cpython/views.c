/* views.c -- the method view() of containers: a stored value as the shared memory that it is in, read-only. */
#include "buffers.h"
#include "cell.h"
#include "deque.h"
#include "ordered.h"
#include "tree.h"
#include "vector.h"

/* Where a value is: under a key, at an index, or the only one. */
typedef struct place {
    mps_enc key;
    int64_t index;
} place;

typedef mps_status look(mpy_handle *h, place *at, mps_copy *copy);

static PyObject *view_once(mpy_handle *h, look *get, place *at, mps_status *st)
{
    mps_copy copy;
    mps_copy_init(&copy);
    copy.pin = true;
    do {
        *st = get(h, at, &copy);
    } while (*st != MPS_OK && mpy_again(h, st));
    if (*st == MPS_OK) {
        return mpy_decode_view(h, &copy);
    }
    mps_copy_done(&copy);
    return NULL;
}

/* NULL with *st, or with an exception and MPS_OK. */
static PyObject *view_at(mpy_handle *h, look *get, place *at, mps_status *st)
{
    unsigned tries = 0;
    PyObject *view = NULL;
    do {
        view = view_once(h, get, at, st);
    } while (view == NULL && *st == MPS_OK && mpy_read_again(h, &tries));
    return view;
}

/* A key of a tree that can be in no order is not there, as everywhere. */
static mps_status encode(mpy_handle *h, PyObject *key, bool ordered, mps_enc *enc, mpy_hold *hold)
{
    if (!ordered) {
        return mpy_encode_key(h, key, enc, hold) < 0 ? MPY_RAISED : MPS_OK;
    }
    mpy_orderly how = mpy_encode_wanted(h, key, enc, hold);
    return how == MPY_ORDER_FAILED ? MPY_RAISED : how == MPY_ORDERLY ? MPS_OK : MPS_E_NOTFOUND;
}

static PyObject *view_under(PyObject *self, PyObject *key, look *get, bool ordered)
{
    mpy_handle *h = mpy_handle_of(self);
    place at = {.index = 0};
    mpy_hold hold = {0};
    mps_status st = encode(h, key, ordered, &at.key, &hold);
    PyObject *view = st == MPS_OK ? view_at(h, get, &at, &st) : NULL;
    mpy_hold_done(&hold);
    if (st == MPS_E_NOTFOUND || (ordered && st == MPS_E_TYPE)) {
        mpy_key_error(key);
    } else if (st != MPS_OK) {
        mpy_fail(h, st, "look at a value of a");
    }
    return view;
}

static PyObject *view_of_index(PyObject *self, PyObject *index, look *get, const char *what)
{
    mpy_handle *h = mpy_handle_of(self);
    place at = {.index = PyNumber_AsSsize_t(index, PyExc_IndexError)};
    if (at.index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    mps_status st = MPS_OK;
    PyObject *view = view_at(h, get, &at, &st);
    if (st == MPS_E_RANGE) {
        PyErr_Format(PyExc_IndexError, "%s index out of range", what);
    } else if (st != MPS_OK) {
        mpy_fail(h, st, "look at an item of a");
    }
    return view;
}

static mps_status get_of_table(mpy_handle *h, place *at, mps_copy *copy)
{
    return mps_table_get(h->seg, MPS_DOOR_GIL, h->off, &at->key, copy);
}

static mps_status get_of_tree(mpy_handle *h, place *at, mps_copy *copy)
{
    return mps_tree_get(h->seg, MPS_DOOR_GIL, h->off, &at->key, copy);
}

static mps_status get_of_vector(mpy_handle *h, place *at, mps_copy *copy)
{
    return mps_vector_get(h->seg, MPS_DOOR_GIL, h->off, at->index, copy);
}

static mps_status get_of_deque(mpy_handle *h, place *at, mps_copy *copy)
{
    return mps_deque_get(h->seg, MPS_DOOR_GIL, h->off, at->index, copy);
}

static mps_status get_of_cell(mpy_handle *h, place *at, mps_copy *copy)
{
    (void)at;
    return mps_cell_get(h->seg, MPS_DOOR_GIL, h->off, copy);
}

PyObject *mpy_dict_view(PyObject *self, PyObject *key)
{
    return view_under(self, key, get_of_table, false);
}

PyObject *mpy_map_view(PyObject *self, PyObject *key)
{
    return view_under(self, key, get_of_tree, true);
}

PyObject *mpy_list_view(PyObject *self, PyObject *index)
{
    return view_of_index(self, index, get_of_vector, "list");
}

PyObject *mpy_deque_view(PyObject *self, PyObject *index)
{
    return view_of_index(self, index, get_of_deque, "deque");
}

PyObject *mpy_value_view(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    place at = {.index = 0};
    mps_status st = MPS_OK;
    PyObject *view = view_at(h, get_of_cell, &at, &st);
    return st == MPS_OK ? view : mpy_fail(h, st, "look at the value of a");
}
