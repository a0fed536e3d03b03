/* list_iter.c -- walking a list by index, as it is at each step.
 *
 * The iterator remembers where the values are, and reads there without a lock for as long as the guard's sequence says that
 * nothing has changed; else it looks anew. What is not all in its sixteen bytes goes the way of list[index].
 *
 * Making an int and letting go of it costs twice what a step costs otherwise. So the iterator keeps the two that it gave out
 * last, and gives one out again, as another number, when nobody else refers to it any more.
 */
#include "list.h"

typedef struct list_iter {
    PyObject_HEAD mpy_handle *list; /* NULL once it has ended */
    uint64_t index;                 /* of the next item */
    mps_window window;
    PyObject *spare[2]; /* ints of one digit that were given out, or NULL */
    unsigned turn;      /* which of them was the last */
} list_iter;

#ifdef Py_GIL_DISABLED
#define REUSE_INTS 0 /* a count of one does not say there that nobody else has it */
#else
#define REUSE_INTS 1
#endif

static inline void set_digit(PyObject *number, int64_t n)
{
    PyLongObject *p = (PyLongObject *)number;
    digit d = (digit)(n < 0 ? -n : n);
#if PY_VERSION_HEX >= 0x030C0000
    p->long_value.lv_tag = (uintptr_t)1 << _PyLong_NON_SIZE_BITS | (n < 0 ? 2u : 0u);
    p->long_value.ob_digit[0] = d;
#else
    Py_SET_SIZE(p, n < 0 ? -1 : 1);
    p->ob_digit[0] = d;
#endif
}

static inline PyObject *give_int(list_iter *it, int64_t n)
{
    const int64_t most = ((int64_t)1 << PyLong_SHIFT) - 1;
    if (!REUSE_INTS || (uint64_t)(n + 5) < 262 || n > most || n < -most) { /* -5 to 256 are there already, for all */
        return PyLong_FromLong((long)n);
    }
    PyObject **place = &it->spare[it->turn ^= 1u];
    if (mps_likely(*place != NULL && Py_REFCNT(*place) == 1)) {
        set_digit(*place, n);
        return Py_NewRef(*place);
    }
    PyObject *made = PyLong_FromLong((long)n);
    Py_XSETREF(*place, Py_XNewRef(made));
    return made;
}

static inline PyObject *give(list_iter *it, mps_value value)
{
    it->index++;
    if (mps_likely(mpy_is_int(value))) {
        return give_int(it, (int64_t)value.w1);
    }
    return mpy_decode_plain(it->list, value);
}

PyObject *mpy_list_iter(PyObject *self)
{
    mpy_handle *h = mpy_handle_of(self);
    list_iter *it = PyObject_GC_New(list_iter, h->state->list_iter_type);
    if (it == NULL) {
        return NULL;
    }
    it->list = (mpy_handle *)Py_NewRef(self);
    it->index = 0;
    it->window = (mps_window){0};
    it->spare[0] = it->spare[1] = NULL;
    it->turn = 0;
    PyObject_GC_Track(it);
    return (PyObject *)it;
}

static PyObject *get_once(list_iter *it, uint64_t index)
{
    mpy_handle *h = it->list;
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_vector_get(h->seg, MPS_DOOR_GIL, h->off, (int64_t)index, &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        it->index = index + 1;
        Py_INCREF(h); /* what decoding runs may end this iterator */
        PyObject *item = mpy_decode(h, &copy);
        Py_DECREF(h);
        return item;
    }
    mps_copy_done(&copy);
    if (st == MPS_E_RANGE) {
        Py_CLEAR(it->list);
        return NULL;
    }
    return mpy_fail(h, st, "iterate over a");
}

/* The item as list[index] reads it; NULL without an exception at the end. */
static PyObject *get(list_iter *it)
{
    uint64_t index = it->index;
    unsigned tries = 0;
    PyObject *item = NULL;
    do {
        item = it->list == NULL ? NULL : get_once(it, index);
    } while (mps_unlikely(item == NULL) && it->list != NULL && mpy_read_again(it->list, &tries));
    return item;
}

/* Looks where the values are now, and reads on. */
static PyObject *look_anew(list_iter *it)
{
    mpy_handle *h = it->list;
    mps_value value;
    if (mps_vector_window(h->seg, h->off, &it->window) != MPS_OK) {
        it->window.length = 0;
        return get(it);
    }
    if (it->index >= it->window.length || !mps_window_read(&it->window, &mpy_object(h)->guard, it->index, &value) ||
        !mps_value_is_plain(value)) {
        return get(it);
    }
    return give(it, value);
}

static PyObject *iter_next(PyObject *self)
{
    list_iter *it = (list_iter *)self;
    mpy_handle *h = it->list;
    mps_value value;
    if (mps_unlikely(h == NULL)) {
        return NULL;
    }
    if (mps_unlikely(it->index >= it->window.length ||
                     !mps_window_read(&it->window, &mpy_object(h)->guard, it->index, &value) || !mpy_is_open(h))) {
        return look_anew(it);
    }
    if (mps_unlikely(!mps_value_is_plain(value))) {
        return get(it);
    }
    return give(it, value);
}

static PyObject *iter_length_hint(PyObject *self, PyObject *unused)
{
    (void)unused;
    const list_iter *it = (list_iter *)self;
    if (it->list == NULL) {
        return PyLong_FromLong(0);
    }
    Py_ssize_t n = PyObject_Size((PyObject *)it->list);
    if (n < 0) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong((uint64_t)n > it->index ? (uint64_t)n - it->index : 0);
}

static int iter_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((list_iter *)self)->list);
    return 0;
}

static int iter_clear(PyObject *self)
{
    Py_CLEAR(((list_iter *)self)->list);
    return 0;
}

static void iter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    list_iter *it = (list_iter *)self;
    Py_XDECREF(it->list);
    Py_XDECREF(it->spare[0]);
    Py_XDECREF(it->spare[1]);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef iter_methods[] = {
    {"__length_hint__", iter_length_hint, METH_NOARGS, NULL},
    {0},
};

static PyType_Slot iter_slots[] = {
    {Py_tp_dealloc, (void *)iter_dealloc},
    {Py_tp_traverse, (void *)iter_traverse},
    {Py_tp_clear, (void *)iter_clear},
    {Py_tp_iter, (void *)PyObject_SelfIter},
    {Py_tp_iternext, (void *)iter_next},
    {Py_tp_methods, iter_methods},
    {0},
};

static PyType_Spec iter_spec = {
    .name = "mpshm._types._ListIterator",
    .basicsize = sizeof(list_iter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = iter_slots,
};

int mpy_list_iter_ready(PyObject *module, mpy_state *state)
{
    state->list_iter_type = mpy_type_add(module, &iter_spec, NULL, false);
    return state->list_iter_type == NULL ? -1 : 0;
}
