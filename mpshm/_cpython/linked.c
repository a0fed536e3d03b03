/* linked.c -- LinkedList: a list of items that stay where they are while others come and go. */
#include "linked.h"

#include "cursor.h"
#include "items.h"
#include "nodes.h"
#include "snap.h"

#include <stdlib.h>

static PyObject *out_of_range(mpy_handle *h, mps_status st, const char *message, const char *tried)
{
    if (st != MPS_E_RANGE) {
        return mpy_fail(h, st, tried);
    }
    PyErr_SetString(PyExc_IndexError, message);
    return NULL;
}

static int as_index(PyObject *key, int64_t *index)
{
    if (mps_likely(PyLong_CheckExact(key)) && mps_likely(mpy_small_int(key, index))) {
        return 0;
    }
    *index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    return *index == -1 && PyErr_Occurred() ? -1 : 0;
}

/* ---- one item ---- */

static PyObject *get(mpy_handle *h, int64_t index)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_linked_get(h->seg, MPS_DOOR_GIL, h->off, (mps_spot){.index = index}, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return out_of_range(h, st, "list index out of range", "get an item of a");
}

static PyObject *pop(mpy_handle *h, int64_t index, const char *message)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_linked_erase(h->seg, MPS_DOOR_GIL, h->off, (mps_spot){.index = index}, NULL, &copy, NULL);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return out_of_range(h, st, message, "pop from a");
}

static int insert(mpy_handle *h, int64_t index, PyObject *value, const char *tried)
{
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_value(h, value, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_linked_insert(h->seg, MPS_DOOR_GIL, h->off, (mps_spot){.index = index}, false, &enc, 1, NULL);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    return mps_likely(st == MPS_OK) ? 0 : (mpy_fail(h, st, tried), -1);
}

static PyObject *none_or_null(int done)
{
    if (mps_unlikely(done < 0)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *linked_append(PyObject *self, PyObject *value)
{
    return none_or_null(insert(mpy_handle_of(self), INT64_MAX, value, "append to a"));
}

static PyObject *linked_appendleft(PyObject *self, PyObject *value)
{
    return none_or_null(insert(mpy_handle_of(self), 0, value, "append to a"));
}

static PyObject *linked_insert(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Py_ssize_t index = 0;
    if (!mpy_count_args("insert", n, 2, 2)) {
        return NULL;
    }
    index = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return none_or_null(insert(mpy_handle_of(self), index, args[1], "insert into a"));
}

static PyObject *linked_pop(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t index = -1;
    uint64_t length = 0;
    if (!mpy_count_args("pop", n, 0, 1) || (n == 1 && mpy_as_ssize(args[0], &index) < 0)) {
        return NULL;
    }
    bool empty = mps_linked_len(h->seg, MPS_DOOR_GIL, h->off, &length) == MPS_OK && length == 0;
    return pop(h, index, empty ? "pop from empty list" : "pop index out of range");
}

static PyObject *linked_popleft(PyObject *self, PyObject *unused)
{
    (void)unused;
    return pop(mpy_handle_of(self), 0, "pop from empty list");
}

static PyObject *linked_subscript(PyObject *self, PyObject *key)
{
    int64_t index = 0;
    if (!PyIndex_Check(key)) {
        return PyObject_CallMethod(self, "_get", "(O)", key);
    }
    return as_index(key, &index) < 0 ? NULL : get(mpy_handle_of(self), index);
}

static int linked_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    mpy_handle *h = mpy_handle_of(self);
    int64_t index = 0;
    if (!PyIndex_Check(key)) {
        PyObject *done = value == NULL ? PyObject_CallMethod(self, "_del", "(O)", key)
                                       : PyObject_CallMethod(self, "_set", "OO", key, value);
        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    mps_enc enc;
    mpy_hold hold = {0};
    if (as_index(key, &index) < 0 || (value != NULL && mpy_encode_value(h, value, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_spot spot = {.index = index};
    mps_status st = MPS_OK;
    do {
        st = value == NULL ? mps_linked_erase(h->seg, MPS_DOOR_GIL, h->off, spot, NULL, NULL, NULL)
                           : mps_linked_set(h->seg, MPS_DOOR_GIL, h->off, spot, &enc);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st != MPS_OK) {
        out_of_range(h, st, "list assignment index out of range", "set an item of a");
        return -1;
    }
    return 0;
}

static PyObject *linked_item(PyObject *self, Py_ssize_t index)
{
    mpy_handle *h = mpy_handle_of(self);
    return index < 0 ? out_of_range(h, MPS_E_RANGE, "list index out of range", "") : get(h, index);
}

static Py_ssize_t linked_length(PyObject *self)
{
    return mpy_length(mpy_handle_of(self), mps_linked_len);
}

/* ---- all of it ---- */

static int take_snapshot(mpy_handle *h, mps_snap *snap, mps_cursor **cursors)
{
    mps_snap_init(snap);
    mps_status st = MPS_OK;
    do {
        st = mps_linked_snapshot(h->seg, MPS_DOOR_GIL, h->off, snap, cursors);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 0;
    }
    mps_snap_done(snap);
    mpy_fail(h, st, "read a");
    return -1;
}

static PyObject *read_items(mpy_handle *h, const void *unused)
{
    (void)unused;
    mps_snap snap;
    if (take_snapshot(h, &snap, NULL) < 0) {
        return NULL;
    }
    unsigned long version = snap.seq;
    PyObject *items = mpy_snap_list(h, &snap);
    return items == NULL ? NULL : Py_BuildValue("(Nk)", items, version);
}

static PyObject *linked_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_read_whole(mpy_handle_of(self), read_items, NULL);
}

static PyObject *read_places(mpy_handle *h, const void *unused)
{
    (void)unused;
    mps_snap snap;
    mps_cursor *cursors = NULL;
    if (take_snapshot(h, &snap, &cursors) < 0) {
        return NULL;
    }
    PyObject *places = PyBytes_FromStringAndSize((const char *)cursors, (Py_ssize_t)(snap.n_items * sizeof *cursors));
    free(cursors);
    PyObject *items = mpy_snap_list(h, &snap);
    if (items == NULL || places == NULL) {
        Py_XDECREF(items);
        Py_XDECREF(places);
        return NULL;
    }
    return Py_BuildValue("(NN)", items, places);
}

static PyObject *linked_places(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_read_whole(mpy_handle_of(self), read_places, NULL);
}

static PyObject *linked_place(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    Py_ssize_t index = 0;
    mps_cursor cursor;
    if (!mpy_count_args("_place", n, 2, 2) || mpy_as_ssize(args[1], &index) < 0) {
        return NULL;
    }
    if (!PyBytes_CheckExact(args[0]) || index < 0 || index >= PyBytes_GET_SIZE(args[0]) / (Py_ssize_t)sizeof cursor) {
        return PyErr_Format(PyExc_ValueError, "_place() takes what _places() gave, and an index");
    }
    memcpy(&cursor, PyBytes_AS_STRING(args[0]) + (size_t)index * sizeof cursor, sizeof cursor);
    return mpy_cursor_new(mpy_handle_of(self), &cursor);
}

static PyObject *linked_cursor(PyObject *self, PyObject *key)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t index = PyNumber_AsSsize_t(key, NULL);
    mps_cursor cursor;
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_linked_at(h->seg, MPS_DOOR_GIL, h->off, index, &cursor);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? mpy_cursor_new(h, &cursor) : mpy_fail(h, st, "walk a");
}

/* Items as a tuple or list of our own. */
static PyObject *own_items(mpy_handle *h, PyObject *source)
{
    mps_snap snap;
    if (!mpy_is_kind(h->state, source, MPS_KIND_LINKED_LIST)) {
        return mpy_own_items(source, NULL);
    }
    mpy_handle *other = mpy_handle_of(source);
    return take_snapshot(other, &snap, NULL) < 0 ? NULL : mpy_snap_list(other, &snap);
}

static PyObject *linked_extend(PyObject *self, PyObject *items)
{
    mpy_handle *h = mpy_handle_of(self);
    mpy_batch b;
    if (mpy_batch_make(&b, h, own_items(h, items), MPY_AS_VALUES) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_linked_insert(h->seg, MPS_DOOR_GIL, h->off, (mps_spot){.index = INT64_MAX}, false, b.encs, b.n, NULL);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "extend a");
    }
    Py_RETURN_NONE;
}

static PyObject *linked_replace(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_count_args("_replace", n, 2, 2)) {
        return NULL;
    }
    unsigned long version = PyLong_AsUnsignedLong(args[1]);
    mpy_batch b;
    if ((version == (unsigned long)-1 && PyErr_Occurred()) ||
        mpy_batch_make(&b, h, own_items(h, args[0]), MPY_AS_VALUES) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_linked_replace(h->seg, MPS_DOOR_GIL, h->off, b.encs, b.n, (uint32_t)version);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK && st != MPS_E_CHANGED) {
        return mpy_fail(h, st, "replace the items of a");
    }
    return PyBool_FromLong(st == MPS_OK);
}

static PyObject *linked_reverse(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_change(mpy_handle_of(self), mps_linked_reverse, "reverse a");
}

static PyObject *linked_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_change(mpy_handle_of(self), mps_linked_clear, "clear a");
}

/* ---- the type ---- */

static PyObject *linked_use_pool(PyObject *self, PyObject *pool)
{
    return mpy_nodes_use(self, pool, mps_linked_use_pool);
}

static PyMethodDef linked_methods[] = {
    {"_use_pool", linked_use_pool, METH_O, "_use_pool($self, pool, /)\n--\n\nTake nodes from a pool from now on."},
    {"append", linked_append, METH_O, "append($self, item, /)\n--\n\nPut an item at the end."},
    {"appendleft", linked_appendleft, METH_O, "appendleft($self, item, /)\n--\n\nPut an item at the beginning."},
    {"extend", linked_extend, METH_O, "extend($self, iterable, /)\n--\n\nPut all these items at the end, in one step."},
    {"insert", MPY_FUNCTION(linked_insert), METH_FASTCALL,
     "insert($self, index, item, /)\n--\n\nPut an item before index."},
    {"pop", MPY_FUNCTION(linked_pop), METH_FASTCALL,
     "pop($self, index=-1, /)\n--\n\nTake the item at index out and return it, or raise IndexError."},
    {"popleft", linked_popleft, METH_NOARGS,
     "popleft($self, /)\n--\n\nTake the first item out and return it, or raise IndexError."},
    {"reverse", linked_reverse, METH_NOARGS, "reverse($self, /)\n--\n\nTurn the order round, in one step."},
    {"clear", linked_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out."},
    {"cursor", linked_cursor, METH_O,
     "cursor($self, index, /)\n--\n\nA cursor to the item at index, or to the end if there are not as many."},
    {"splice", MPY_FUNCTION(mpy_cursor_splice), METH_FASTCALL,
     "splice($self, cursor, other, first=None, last=None, /)\n--\n\nMove all items of other, or those from first up to "
     "but without last, in before cursor, in one step. Cursors to them stay good."},
    {"_items", linked_items, METH_NOARGS,
     "_items($self, /)\n--\n\nThe content at one moment, as a list, and a number that is another after every change."},
    {"_replace", MPY_FUNCTION(linked_replace), METH_FASTCALL,
     "_replace($self, items, version, /)\n--\n\nMake items the whole content unless the version is another by now; "
     "whether it did."},
    {"_places", linked_places, METH_NOARGS,
     "_places($self, /)\n--\n\nThe content at one moment, as a list, and where each item is."},
    {"_place", MPY_FUNCTION(linked_place), METH_FASTCALL,
     "_place($self, places, index, /)\n--\n\nA cursor to one of the items of _places()."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: LinkedList[item type]."},
    {0},
};

static PyGetSetDef linked_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    MPY_NODES_ATTRIBUTES(offsetof(mps_linked, pool), sizeof(mps_link)),
    {0},
};

PyDoc_STRVAR(linked_doc, "A doubly linked list in shared memory.");

static PyType_Slot linked_slots[] = {
    {Py_tp_doc, (void *)linked_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_methods, linked_methods},
    {Py_tp_getset, linked_getset},
    {Py_mp_length, (void *)linked_length},
    {Py_mp_subscript, (void *)linked_subscript},
    {Py_mp_ass_subscript, (void *)linked_ass_subscript},
    {Py_sq_length, (void *)linked_length},
    {Py_sq_item, (void *)linked_item},
    {0},
};

int mpy_linked_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_LINKED_LIST, "mpshm._types.LinkedList", Py_TPFLAGS_SEQUENCE,
                          linked_slots);
}
