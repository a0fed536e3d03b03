/* snap.c -- snapshots: as a list, and walking one of a Dict's or Set's keys or a Deque's items.
 *
 * What an iterator walks is what was there at the moment of iter(), still encoded; each item is decoded when its turn comes. Every
 * iterator that is under way is in the module's list, so that whoever changes a container's size in this process can tell the
 * iterators over it: they compare net sizes as the builtin does (a Deque's notice every change, as deque's do). What other processes
 * change is neither noticed nor harmful.
 */
#include "snap.h"

void mpy_snap_abandon(mpy_handle *h, mps_snap *snap, uint64_t from)
{
    if (from < snap->n_items) {
        mps_snap_drop_refs(h->seg, MPS_DOOR_GIL, snap, from);
    }
    mps_snap_done(snap);
}

PyObject *mpy_snap_list(mpy_handle *h, mps_snap *snap)
{
    PyObject *made = PyList_New((Py_ssize_t)snap->n_items);
    uint64_t i = 0;
    for (; made != NULL && i < snap->n_items; i++) {
        PyObject *item = mpy_decode_item(h, snap, i);
        if (item == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, (Py_ssize_t)i, item);
        }
    }
    mpy_snap_abandon(h, snap, i);
    return made;
}

/* ---- iterators ---- */

typedef struct mpy_snap_iter {
    PyObject_HEAD mpy_handle *of; /* NULL once it has ended */
    mps_snap snap;
    uint64_t left;       /* items to come: the first or, reversed, the last of them are done */
    const char *changed; /* what is raised once it is */
    bool reverse;
    unsigned busy;   /* items being decoded: code that this runs may come back here */
    int64_t resized; /* by how much this process has changed the size since */
    struct mpy_snap_iter *next;
    struct mpy_snap_iter **link; /* what points to this one */
} snap_iter;

bool mpy_watched_slow(const mpy_handle *h)
{
    for (const snap_iter *it = h->state->iterators; it != NULL; it = it->next) {
        if (it->of->seg == h->seg && it->of->off == h->off) {
            return true;
        }
    }
    return false;
}

void mpy_resized_slow(const mpy_handle *h, int64_t by)
{
    for (snap_iter *it = h->state->iterators; it != NULL; it = it->next) {
        if (it->of->seg == h->seg && it->of->off == h->off) {
            it->resized += by;
        }
    }
}

PyObject *mpy_snap_iter_new(mpy_handle *h, mps_snap *snap, bool reverse, const char *changed)
{
    snap_iter *it = PyObject_GC_New(snap_iter, h->state->snap_iter_type);
    if (it == NULL) {
        mpy_snap_abandon(h, snap, 0);
        return NULL;
    }
    it->of = (mpy_handle *)Py_NewRef((PyObject *)h);
    it->snap = *snap;
    it->left = snap->n_items;
    it->changed = changed;
    it->reverse = reverse;
    it->busy = 0;
    it->resized = 0;
    it->next = h->state->iterators;
    it->link = &h->state->iterators;
    if (it->next != NULL) {
        it->next->link = &it->next;
    }
    h->state->iterators = it;
    PyObject_GC_Track(it);
    return (PyObject *)it;
}

static uint64_t turn(const snap_iter *it)
{
    return it->reverse ? it->left - 1 : it->snap.n_items - it->left;
}

/* Lets go of everything. */
static void iter_end(snap_iter *it)
{
    mpy_handle *of = it->of;
    if (of == NULL) {
        return;
    }
    it->of = NULL;
    *it->link = it->next;
    if (it->next != NULL) {
        it->next->link = it->link;
    }
    for (; it->left > 0; it->left--) {
        mps_copy copy;
        mps_snap_item(&it->snap, turn(it), &copy);
        mps_copy_drop_refs(of->seg, MPS_DOOR_GIL, &copy);
    }
    mps_snap_done(&it->snap);
    Py_DECREF(of);
}

static PyObject *iter_next(PyObject *self)
{
    snap_iter *it = (snap_iter *)self;
    if (it->of == NULL) {
        return NULL;
    }
    if (mps_unlikely(it->resized != 0)) {
        PyErr_SetString(PyExc_RuntimeError, it->changed);
        return NULL;
    }
    if (it->left == 0) {
        if (it->busy == 0) {
            iter_end(it);
        }
        return NULL;
    }
    uint64_t i = turn(it);
    it->left--;
    it->busy++;
    PyObject *item = mpy_decode_item(it->of, &it->snap, i);
    it->busy--;
    return item;
}

static PyObject *iter_length_hint(PyObject *self, PyObject *unused)
{
    (void)unused;
    const snap_iter *it = (snap_iter *)self;
    return PyLong_FromUnsignedLongLong(it->of == NULL || it->resized != 0 ? 0 : it->left);
}

static int iter_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((snap_iter *)self)->of);
    return 0;
}

static int iter_clear(PyObject *self)
{
    iter_end((snap_iter *)self);
    return 0;
}

static void iter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    iter_end((snap_iter *)self);
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
    .name = "mpshm._types._SnapIterator",
    .basicsize = sizeof(snap_iter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = iter_slots,
};

int mpy_snap_ready(PyObject *module, mpy_state *state)
{
    state->snap_iter_type = mpy_type_add(module, &iter_spec, NULL, false);
    return state->snap_iter_type == NULL ? -1 : 0;
}
