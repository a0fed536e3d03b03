/* dict_iter.c -- walking a snapshot of a dict's keys.
 *
 * The keys are those of the moment of iter(), still encoded; each is decoded when its turn comes. Every iterator that is
 * under way is in the module's list, so that whoever changes a dict's size in this process can tell the iterators over it:
 * they compare net sizes as the builtin does. What other processes change is neither noticed nor harmful.
 */
#include "dict.h"

typedef struct mpy_dict_iter {
    PyObject_HEAD mpy_handle *dict; /* NULL once it has ended */
    mps_snap snap;
    uint64_t left; /* keys to come: the first or, reversed, the last of them are done */
    bool reverse;
    unsigned busy;   /* keys being decoded: code that this runs may come back here */
    int64_t resized; /* by how much this process has changed the dict's size since */
    struct mpy_dict_iter *next;
    struct mpy_dict_iter **link; /* what points to this one */
} dict_iter;

bool mpy_dict_watched_slow(const mpy_handle *h)
{
    for (const dict_iter *it = h->state->iterators; it != NULL; it = it->next) {
        if (it->dict->seg == h->seg && it->dict->off == h->off) {
            return true;
        }
    }
    return false;
}

void mpy_dict_resized_slow(const mpy_handle *h, int64_t by)
{
    for (dict_iter *it = h->state->iterators; it != NULL; it = it->next) {
        if (it->dict->seg == h->seg && it->dict->off == h->off) {
            it->resized += by;
        }
    }
}

PyObject *mpy_dict_iter_new(mpy_handle *h, bool reverse)
{
    mps_snap snap;
    mps_snap_init(&snap);
    mps_status st = MPS_OK;
    do {
        st = mps_table_snapshot(h->seg, MPS_DOOR_GIL, h->off, MPS_SNAP_KEYS, &snap);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        mps_snap_done(&snap);
        return mpy_fail(h, st, "iterate over a");
    }
    dict_iter *it = PyObject_GC_New(dict_iter, h->state->dict_iter_type);
    if (it == NULL) {
        mpy_snap_abandon(h, &snap, 0);
        return NULL;
    }
    it->dict = (mpy_handle *)Py_NewRef((PyObject *)h);
    it->snap = snap;
    it->left = snap.n_items;
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

static uint64_t turn(const dict_iter *it)
{
    return it->reverse ? it->left - 1 : it->snap.n_items - it->left;
}

/* Lets go of everything. */
static void iter_end(dict_iter *it)
{
    mpy_handle *dict = it->dict;
    if (dict == NULL) {
        return;
    }
    it->dict = NULL;
    *it->link = it->next;
    if (it->next != NULL) {
        it->next->link = it->link;
    }
    for (; it->left > 0; it->left--) {
        mps_copy copy;
        mps_snap_item(&it->snap, turn(it), &copy);
        mps_copy_drop_refs(dict->seg, MPS_DOOR_GIL, &copy);
    }
    mps_snap_done(&it->snap);
    Py_DECREF(dict);
}

static PyObject *iter_next(PyObject *self)
{
    dict_iter *it = (dict_iter *)self;
    if (it->dict == NULL) {
        return NULL;
    }
    if (mps_unlikely(it->resized != 0)) {
        PyErr_SetString(PyExc_RuntimeError, "dictionary changed size during iteration");
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
    PyObject *key = mpy_decode_item(it->dict, &it->snap, i);
    it->busy--;
    return key;
}

static PyObject *iter_length_hint(PyObject *self, PyObject *unused)
{
    (void)unused;
    const dict_iter *it = (dict_iter *)self;
    return PyLong_FromUnsignedLongLong(it->dict == NULL || it->resized != 0 ? 0 : it->left);
}

static int iter_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((dict_iter *)self)->dict);
    return 0;
}

static int iter_clear(PyObject *self)
{
    iter_end((dict_iter *)self);
    return 0;
}

static void iter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    iter_end((dict_iter *)self);
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
    .name = "mpshm._types._DictIterator",
    .basicsize = sizeof(dict_iter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = iter_slots,
};

int mpy_dict_iter_ready(PyObject *module, mpy_state *state)
{
    state->dict_iter_type = mpy_type_add(module, &iter_spec, NULL, false);
    return state->dict_iter_type == NULL ? -1 : 0;
}
