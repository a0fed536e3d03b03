/* deque.c -- Deque: collections.deque's interface over the core's circular array.
 *
 * Iterators notice every change that moves items, whatever the size is afterwards, as deque's do: so they are told of a growth by
 * one each time.
 */
#include "deque.h"

#include "buffers.h"
#include "items.h"
#include "snap.h"

static const char changed_text[] = "deque mutated during iteration";

/* Items have moved. */
static inline void moved(const mpy_handle *h)
{
    mpy_resized(h, 1);
}

/* ---- one item ---- */

static PyObject *out_of_range(mpy_handle *h, mps_status st, const char *tried)
{
    if (st != MPS_E_RANGE) {
        return mpy_fail(h, st, tried);
    }
    PyErr_SetString(PyExc_IndexError, "deque index out of range");
    return NULL;
}

static PyObject *get_once(mpy_handle *h, int64_t index)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_deque_get(h->seg, MPS_DOOR_GIL, h->off, index, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return out_of_range(h, st, "get an item of a");
}

static PyObject *get(mpy_handle *h, int64_t index)
{
    unsigned tries = 0;
    PyObject *item = NULL;
    do {
        item = get_once(h, index);
    } while (mps_unlikely(item == NULL) && mpy_read_again(h, &tries));
    return item;
}

static int set(mpy_handle *h, int64_t index, PyObject *value)
{
    mps_enc enc;
    mpy_hold hold = {0};
    if (mps_unlikely(mpy_encode_value(h, value, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_deque_set(h->seg, MPS_DOOR_GIL, h->off, index, &enc);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_unlikely(st != MPS_OK)) {
        out_of_range(h, st, "set an item of a");
        return -1;
    }
    return 0;
}

static int delete(mpy_handle *h, int64_t index)
{
    mps_status st = MPS_OK;
    do {
        st = mps_deque_delete(h->seg, MPS_DOOR_GIL, h->off, index);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        out_of_range(h, st, "delete an item of a");
        return -1;
    }
    moved(h);
    return 0;
}

static int as_index(PyObject *key, int64_t *index)
{
    if (mps_likely(PyLong_CheckExact(key)) && mps_likely(mpy_small_int(key, index))) {
        return 0;
    }
    if (!PyIndex_Check(key)) {
        PyErr_Format(PyExc_TypeError, "sequence index must be integer, not '%.200s'", Py_TYPE(key)->tp_name);
        return -1;
    }
    *index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    return *index == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *deque_subscript(PyObject *self, PyObject *key)
{
    int64_t index = 0;
    return mps_unlikely(as_index(key, &index) < 0) ? NULL : get(mpy_handle_of(self), index);
}

static int deque_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    int64_t index = 0;
    if (mps_unlikely(as_index(key, &index) < 0)) {
        return -1;
    }
    mpy_handle *h = mpy_handle_of(self);
    return value == NULL ? delete(h, index) : set(h, index, value);
}

static PyObject *deque_item(PyObject *self, Py_ssize_t index)
{
    mpy_handle *h = mpy_handle_of(self);
    return index < 0 ? out_of_range(h, MPS_E_RANGE, "") : get(h, index); /* the length has been added already */
}

/* ---- the ends ---- */

static inline PyObject *push(PyObject *self, mps_end end, PyObject *value)
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
        st = mps_deque_push(h->seg, MPS_DOOR_GIL, h->off, end, &enc);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (mps_unlikely(st != MPS_OK)) {
        return mpy_fail(h, st, "append to a");
    }
    moved(h);
    Py_RETURN_NONE;
}

static PyObject *deque_append(PyObject *self, PyObject *value)
{
    return push(self, MPS_BACK, value);
}

static PyObject *deque_appendleft(PyObject *self, PyObject *value)
{
    return push(self, MPS_FRONT, value);
}

static inline PyObject *pop(PyObject *self, mps_end end)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_deque_pop(h->seg, MPS_DOOR_GIL, h->off, end, &copy);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        moved(h);
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    if (st != MPS_E_RANGE) {
        return mpy_fail(h, st, "pop from a");
    }
    PyErr_SetString(PyExc_IndexError, "pop from an empty deque");
    return NULL;
}

static PyObject *deque_pop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return pop(self, MPS_BACK);
}

static PyObject *deque_popleft(PyObject *self, PyObject *unused)
{
    (void)unused;
    return pop(self, MPS_FRONT);
}

static int take_snapshot(mpy_handle *h, mps_snap *snap)
{
    mps_snap_init(snap);
    mps_status st = MPS_OK;
    do {
        st = mps_deque_snapshot(h->seg, MPS_DOOR_GIL, h->off, snap);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return 0;
    }
    mps_snap_done(snap);
    mpy_fail(h, st, "read a");
    return -1;
}

/* Items as a tuple or list of our own. */
static PyObject *own_items(mpy_handle *h, PyObject *source)
{
    mps_snap snap;
    if (!mpy_is_kind(h->state, source, MPS_KIND_DEQUE)) {
        return mpy_own_items(source, NULL);
    }
    mpy_handle *other = mpy_handle_of(source);
    return take_snapshot(other, &snap) < 0 ? NULL : mpy_snap_list(other, &snap);
}

static int extend(mpy_handle *h, mps_end end, PyObject *items)
{
    mpy_batch b;
    if (mpy_batch_make(&b, h, own_items(h, items), MPY_AS_VALUES) < 0) {
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_deque_extend(h->seg, MPS_DOOR_GIL, h->off, end, b.encs, b.n);
    } while (st != MPS_OK && mpy_again(h, &st));
    bool any = b.n > 0;
    mpy_batch_done(&b);
    if (st != MPS_OK) {
        mpy_fail(h, st, "extend a");
        return -1;
    }
    if (any) {
        moved(h);
    }
    return 0;
}

static PyObject *deque_extend(PyObject *self, PyObject *items)
{
    if (extend(mpy_handle_of(self), MPS_BACK, items) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *deque_extendleft(PyObject *self, PyObject *items)
{
    if (extend(mpy_handle_of(self), MPS_FRONT, items) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

/* ---- all of it ---- */

static PyObject *deque_insert(PyObject *self, PyObject *const *args, Py_ssize_t n)
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
        st = mps_deque_insert(h->seg, MPS_DOOR_GIL, h->off, index, &enc);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    if (st == MPS_E_RANGE) {
        PyErr_SetString(PyExc_IndexError, "deque already at its maximum size");
        return NULL;
    }
    if (st != MPS_OK) {
        return mpy_fail(h, st, "insert into a");
    }
    moved(h);
    Py_RETURN_NONE;
}

/* Whether iterators have to be told of what moves `least` items at least. */
static bool tells(mpy_handle *h, uint64_t least)
{
    uint64_t n = 0;
    return mpy_watched(h) && mps_deque_len(h->seg, MPS_DOOR_GIL, h->off, &n) == MPS_OK && n >= least;
}

static PyObject *deque_rotate(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t by = 1;
    if (!mpy_count_args("rotate", n, 0, 1) || (n == 1 && mpy_as_ssize(args[0], &by) < 0)) {
        return NULL;
    }
    bool tell = tells(h, 2);
    mps_status st = MPS_OK;
    do {
        st = mps_deque_rotate(h->seg, MPS_DOOR_GIL, h->off, by);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "rotate a");
    }
    if (tell) {
        moved(h);
    }
    Py_RETURN_NONE;
}

static PyObject *deque_reverse(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_change(mpy_handle_of(self), mps_deque_reverse, "reverse a");
}

static PyObject *deque_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    bool tell = tells(h, 1);
    mps_status st = MPS_OK;
    do {
        st = mps_deque_clear(h->seg, MPS_DOOR_GIL, h->off);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "clear a");
    }
    if (tell) {
        moved(h);
    }
    Py_RETURN_NONE;
}

/* In-place operators are those of numbers: of a sequence's, a subclass's __mul__ would be asked first. */
static PyObject *deque_inplace_add(PyObject *self, PyObject *items)
{
    return extend(mpy_handle_of(self), MPS_BACK, items) < 0 ? NULL : Py_NewRef(self);
}

static PyObject *deque_inplace_multiply(PyObject *self, PyObject *times)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!PyIndex_Check(times)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    Py_ssize_t n = PyNumber_AsSsize_t(times, PyExc_OverflowError);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    bool tell = n != 1 && tells(h, 1);
    mps_status st = MPS_OK;
    do {
        st = mps_deque_repeat(h->seg, MPS_DOOR_GIL, h->off, n);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "repeat a");
    }
    if (tell) {
        moved(h);
    }
    return Py_NewRef(self);
}

static Py_ssize_t deque_length(PyObject *self)
{
    return mpy_length(mpy_handle_of(self), mps_deque_len);
}

static PyObject *read_list(mpy_handle *h, const void *unused)
{
    (void)unused;
    mps_snap snap;
    return take_snapshot(h, &snap) < 0 ? NULL : mpy_snap_list(h, &snap);
}

/* For a reader, who cannot keep what the items refer to: all of them at once. */
static PyObject *iterate_read(mpy_handle *h, bool reverse)
{
    PyObject *items = mpy_read_whole(h, read_list, NULL);
    PyObject *made = items == NULL || (reverse && PyList_Reverse(items) < 0) ? NULL : PyObject_GetIter(items);
    Py_XDECREF(items);
    return made;
}

static PyObject *iterate(PyObject *self, bool reverse)
{
    mps_snap snap;
    mpy_handle *h = mpy_handle_of(self);
    if (mps_unlikely(h->seg->region.readonly)) {
        return iterate_read(h, reverse);
    }
    return take_snapshot(h, &snap) < 0 ? NULL : mpy_snap_iter_new(h, &snap, reverse, changed_text);
}

static PyObject *deque_iter(PyObject *self)
{
    return iterate(self, false);
}

static PyObject *deque_reversed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return iterate(self, true);
}

static PyObject *read_items(mpy_handle *h, const void *unused)
{
    (void)unused;
    mps_snap snap;
    if (take_snapshot(h, &snap) < 0) {
        return NULL;
    }
    unsigned long version = snap.seq;
    PyObject *items = mpy_snap_list(h, &snap);
    return items == NULL ? NULL : Py_BuildValue("(Nk)", items, version);
}

static PyObject *deque_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_read_whole(mpy_handle_of(self), read_items, NULL);
}

static PyObject *deque_replace(PyObject *self, PyObject *const *args, Py_ssize_t n)
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
        st = mps_deque_replace(h->seg, MPS_DOOR_GIL, h->off, b.encs, b.n, (uint32_t)version);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK && st != MPS_E_CHANGED) {
        return mpy_fail(h, st, "replace the items of a");
    }
    if (st == MPS_OK) {
        moved(h);
    }
    return PyBool_FromLong(st == MPS_OK);
}

static PyObject *deque_remove_at(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    static const mpy_row row = {mps_deque_get, mps_deque_remove_at};
    mpy_handle *h = mpy_handle_of(self);
    PyObject *done = mpy_row_remove_at(h, &row, args, n);
    if (done == Py_True) {
        moved(h);
    }
    return done;
}

/* ---- maxlen ---- */

static PyObject *deque_maxlen(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t maxlen = 0;
    mps_status st = mps_deque_limit(h->seg, h->off, &maxlen);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "ask for the maxlen of a");
    }
    return maxlen == MPS_NO_LIMIT ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(maxlen);
}

static int maxlen_of(PyObject *obj, uint64_t *maxlen)
{
    *maxlen = MPS_NO_LIMIT;
    if (obj == NULL || obj == Py_None) {
        return 0;
    }
    Py_ssize_t n = PyLong_AsSsize_t(obj);
    if (n < 0) {
        if (!PyErr_Occurred()) {
            PyErr_SetString(PyExc_ValueError, "maxlen must be non-negative");
        }
        return -1;
    }
    *maxlen = (uint64_t)n;
    return 0;
}

static int deque_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"iterable", "maxlen", NULL};
    mpy_handle *h = mpy_handle_of(self);
    PyObject *items = NULL;
    PyObject *limit = NULL;
    uint64_t maxlen = 0;
    mpy_batch b;
    if (!PyArg_ParseTupleAndKeywords(args, kwds, "|OO:deque", names, &items, &limit) || maxlen_of(limit, &maxlen) < 0 ||
        mpy_batch_make(&b, h, items == NULL ? PyTuple_New(0) : own_items(h, items), MPY_AS_VALUES) < 0) {
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_deque_reset(h->seg, MPS_DOOR_GIL, h->off, maxlen, b.encs, b.n);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_batch_done(&b);
    if (st != MPS_OK) {
        mpy_fail(h, st, "fill a");
        return -1;
    }
    moved(h);
    return 0;
}

/* ---- the type ---- */

static PyMethodDef deque_methods[] = {
    {"append", deque_append, METH_O, "append($self, item, /)\n--\n\nPut an item at the right end."},
    {"appendleft", deque_appendleft, METH_O, "appendleft($self, item, /)\n--\n\nPut an item at the left end."},
    {"pop", deque_pop, METH_NOARGS,
     "pop($self, /)\n--\n\nTake the item at the right end out and return it, or raise IndexError."},
    {"popleft", deque_popleft, METH_NOARGS,
     "popleft($self, /)\n--\n\nTake the item at the left end out and return it, or raise IndexError."},
    {"extend", deque_extend, METH_O,
     "extend($self, iterable, /)\n--\n\nPut all these items at the right end, in one step."},
    {"extendleft", deque_extendleft, METH_O,
     "extendleft($self, iterable, /)\n--\n\nPut these items, one after the other, at the left end, in one step."},
    {"insert", MPY_FUNCTION(deque_insert), METH_FASTCALL,
     "insert($self, index, item, /)\n--\n\nPut an item before index; IndexError where maxlen leaves no room."},
    {"rotate", MPY_FUNCTION(deque_rotate), METH_FASTCALL,
     "rotate($self, n=1, /)\n--\n\nMove all items n places to the right, or to the left if n is negative, in one "
     "step."},
    {"reverse", deque_reverse, METH_NOARGS, "reverse($self, /)\n--\n\nTurn the order round, in one step."},
    {"clear", deque_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out."},
    {"_items", deque_items, METH_NOARGS,
     "_items($self, /)\n--\n\nThe content at one moment, as a list, and a number that is another after every change."},
    {"_replace", MPY_FUNCTION(deque_replace), METH_FASTCALL,
     "_replace($self, items, version, /)\n--\n\nMake items the whole content unless the version is another by now; "
     "whether it did."},
    {"_remove_at", MPY_FUNCTION(deque_remove_at), METH_FASTCALL,
     "_remove_at($self, index, expected, /)\n--\n\nTake the item at index out if it is the one expected; whether it "
     "was."},
    {"view", mpy_deque_view, METH_O, "view($self, index, /)" MPY_VIEW_TEXT},
    {"__reversed__", deque_reversed, METH_NOARGS,
     "__reversed__($self, /)\n--\n\nAn iterator over the items, the last first."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Deque[item type]."},
    {0},
};

static PyGetSetDef deque_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {"maxlen", deque_maxlen, NULL, "The greatest length, or None.", NULL},
    {0},
};

PyDoc_STRVAR(deque_doc, "Deque(iterable=(), maxlen=None)\n--\n\nA deque in shared memory.");

static PyType_Slot deque_slots[] = {
    {Py_tp_doc, (void *)deque_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_init, (void *)deque_init},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_iter, (void *)deque_iter},
    {Py_tp_methods, deque_methods},
    {Py_tp_getset, deque_getset},
    {Py_mp_length, (void *)deque_length},
    {Py_mp_subscript, (void *)deque_subscript},
    {Py_mp_ass_subscript, (void *)deque_ass_subscript},
    {Py_sq_length, (void *)deque_length},
    {Py_sq_item, (void *)deque_item},
    {Py_nb_inplace_add, (void *)deque_inplace_add},
    {Py_nb_inplace_multiply, (void *)deque_inplace_multiply},
    {0},
};

int mpy_deque_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_DEQUE, "mpshm._types.Deque", Py_TPFLAGS_SEQUENCE, deque_slots);
}
