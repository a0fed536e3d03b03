#include "handle.h"

#include "reader.h"
#include "recover.h"
#include "segment.h"
#include "sem.h"

/* ---- errors ---- */

void mpy_key_error(PyObject *key)
{
    PyObject *error = PyObject_CallOneArg(PyExc_KeyError, key);
    if (error != NULL) {
        PyErr_SetObject(PyExc_KeyError, error);
        Py_DECREF(error);
    }
}

bool mpy_count_args(const char *name, Py_ssize_t n, Py_ssize_t min, Py_ssize_t max)
{
    if (n >= min && n <= max) {
        return true;
    }
    const char *much = min == max ? "exactly" : n < min ? "at least" : "at most";
    Py_ssize_t wanted = n < min ? min : max;
    PyErr_Format(PyExc_TypeError, "%s() takes %s %zd argument%s (%zd given)", name, much, wanted,
                 wanted == 1 ? "" : "s", n);
    return false;
}

/* "a Dict of segment 3f2a9c10". */
static PyObject *object_text(mps_seg *seg, const char *what)
{
    char id[9] = "";
    for (unsigned i = 0; i < 4; i++) {
        PyOS_snprintf(id + (size_t)2 * i, 3, "%02x", seg->id[i]);
    }
    return PyUnicode_FromFormat("%s of segment %s", what, id);
}

PyObject *mpy_fail_at(mpy_state *state, mps_seg *seg, const char *what, mps_status st, const char *tried)
{
    if (st == MPY_RAISED) {
        return NULL;
    }
    int os_error = mps_last_errno();
    if (state->status_error == NULL) {
        PyErr_Format(PyExc_RuntimeError, "cannot %s %s: %s", tried, what, mps_status_text(st));
        return NULL;
    }
    PyObject *object = object_text(seg, what);
    PyObject *error =
        object == NULL ? NULL : PyObject_CallFunction(state->status_error, "iisN", (int)st, os_error, tried, object);
    if (error == NULL) {
        return NULL;
    }
    if (PyExceptionInstance_Check(error)) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    } else {
        PyErr_SetString(PyExc_TypeError, "status_error() must return an exception");
    }
    Py_DECREF(error);
    return NULL;
}

PyObject *mpy_fail(mpy_handle *h, mps_status st, const char *tried)
{
    const char *name = strrchr(Py_TYPE(h)->tp_name, '.');
    return mpy_fail_at(h->state, h->seg, name == NULL ? Py_TYPE(h)->tp_name : name + 1, st, tried);
}

bool mpy_recover(mpy_handle *h)
{
    uint32_t count = 0;
    mps_status st;
    Py_BEGIN_ALLOW_THREADS /* it waits for guards */
        st = mps_recover_all(h->seg, &count);
    Py_END_ALLOW_THREADS return st == MPS_OK && count > 0;
}

bool mpy_again(mpy_handle *h, mps_status *st)
{
    if (*st == MPS_E_FULL && mpy_recover(h)) {
        *st = MPS_OK;
    }
    if (*st == MPS_E_BUSY) {
        *st = mps_userlock_wait(h->seg, MPS_DOOR_GIL, &mpy_object(h)->user, MPS_FOREVER);
    }
    if (*st == MPS_E_INTR) {
        *st = PyErr_CheckSignals() < 0 ? MPY_RAISED : MPS_OK;
    }
    return *st == MPS_OK;
}

#define READ_TRIES 1000u

bool mpy_read_again(const mpy_handle *h, unsigned *tries)
{
    if (!h->seg->region.readonly || ++*tries > READ_TRIES || !PyErr_ExceptionMatches(PyExc_ReferenceError)) {
        return false;
    }
    PyErr_Clear();
    return true;
}

PyObject *mpy_read_whole(mpy_handle *h, mpy_read *read, const void *what)
{
    unsigned tries = 0;
    PyObject *made = NULL;
    do {
        made = read(h, what);
    } while (mps_unlikely(made == NULL) && mpy_read_again(h, &tries));
    return made;
}

/* ---- making ---- */

mps_seg *mpy_seg_of(mpy_state *state, PyObject *segment)
{
    PyObject *address = PyObject_GetAttr(segment, state->str_address);
    if (address == NULL) {
        return NULL;
    }
    mps_seg *seg = PyLong_AsVoidPtr(address);
    Py_DECREF(address);
    if (seg == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the segment has no memory: it was made without __init__()");
    }
    return seg;
}

/* The kind of object that instances of a type stand for, its nearest base's; 0 and TypeError for Handle itself. */
static uint32_t kind_of_type(mpy_state *state, PyTypeObject *cls)
{
    unsigned found = MPY_KINDS;
    for (unsigned i = 0; i < MPY_KINDS; i++) {
        if (state->base[i] != NULL && PyType_IsSubtype(cls, state->base[i]) &&
            (found == MPY_KINDS || PyType_IsSubtype(state->base[i], state->base[found]))) {
            found = i;
        }
    }
    if (found < MPY_KINDS) {
        return MPS_KIND_MAGIC | found;
    }
    PyErr_Format(PyExc_TypeError, "cannot create '%s' instances", cls->tp_name);
    return 0;
}

/* A handle that refers to nothing yet. */
static mpy_handle *handle_alloc(mpy_state *state, PyTypeObject *cls, mps_seg *seg, PyObject *segment)
{
    mpy_handle *h = (mpy_handle *)cls->tp_alloc(cls, 0);
    if (h != NULL) {
        mps_seg_retain(seg);
        h->seg = seg;
        h->state = state;
        h->segment = Py_NewRef(segment);
    }
    return h;
}

static PyObject *make_in(mpy_state *state, PyTypeObject *cls, mps_seg *seg, PyObject *segment, mpy_maker *make,
                         void *what)
{
    mpy_handle *h = handle_alloc(state, cls, seg, segment);
    if (h == NULL) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = make(seg, what, &h->off, &h->serial);
    } while ((st == MPS_E_INTR || st == MPS_E_FULL) && mpy_again(h, &st));
    if (st != MPS_OK) {
        h->off = 0;
        mpy_fail(h, st, "make a");
        Py_DECREF(h);
        return NULL;
    }
    return (PyObject *)h;
}

PyObject *mpy_handle_make_by(mpy_state *state, PyTypeObject *cls, PyObject *segment, mpy_maker *make, void *what)
{
    mps_seg *seg = mpy_seg_of(state, segment);
    return seg == NULL ? NULL : make_in(state, cls, seg, segment, make, what);
}

PyObject *mpy_handle_blank(mpy_state *state, PyTypeObject *cls, PyObject *segment)
{
    mps_seg *seg = mpy_seg_of(state, segment);
    return seg == NULL ? NULL : (PyObject *)handle_alloc(state, cls, seg, segment);
}

PyObject *mpy_handle_make_near(mpy_handle *near, PyTypeObject *cls, mpy_maker *make, void *what)
{
    return make_in(near->state, cls, near->seg, near->segment == NULL ? Py_None : near->segment, make, what);
}

static mps_status make_empty(mps_seg *seg, void *what, mps_off *off, uint64_t *serial)
{
    const mps_kind *kind = what;
    return mps_object_new(seg, MPS_DOOR_GIL, kind->kind, kind->size, off, serial);
}

PyObject *mpy_handle_make(mpy_state *state, PyTypeObject *cls, PyObject *segment, uint32_t kind)
{
    return mpy_handle_make_by(state, cls, segment, make_empty, (void *)mps_kind_find(kind));
}

PyObject *mpy_handle_wrap(mpy_state *state, mps_seg *seg, PyObject *segment, mps_off off)
{
    mps_object *object = mps_object_at(seg, off, 0);
    unsigned index = object == NULL ? MPY_KINDS : mpy_kind_index(mps_load32(&object->mortal.kind));
    PyTypeObject *cls = index < MPY_KINDS ? state->face[index] : NULL;
    if (cls == NULL) {
        mps_status st = mps_reader_blame(seg, off, MPS_E_CORRUPT);
        mps_ref_drop(seg, MPS_DOOR_GIL, off);
        return mpy_fail_at(state, seg, "an object", st, "refer to");
    }
    mpy_handle *h = handle_alloc(state, cls, seg, segment == NULL ? Py_None : segment);
    if (h == NULL) {
        mps_ref_drop(seg, MPS_DOOR_GIL, off);
        return NULL;
    }
    h->off = off;
    h->serial = mps_load64(&object->serial);
    return (PyObject *)h;
}

PyObject *mpy_default_segment(mpy_state *state)
{
    if (state->default_segment == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "configure() was not called: there is no default segment");
        return NULL;
    }
    return PyObject_CallNoArgs(state->default_segment);
}

PyObject *mpy_handle_new(PyTypeObject *cls, PyObject *args, PyObject *kwds)
{
    (void)args;
    (void)kwds;
    mpy_state *state = mpy_state_of_type(cls);
    uint32_t kind = kind_of_type(state, cls);
    if (kind == 0) {
        return NULL;
    }
    PyObject *segment = mpy_default_segment(state);
    PyObject *made = segment == NULL ? NULL : mpy_handle_make(state, cls, segment, kind);
    Py_XDECREF(segment);
    return made;
}

static PyObject *handle_in(PyObject *cls, PyObject *segment)
{
    PyTypeObject *type = (PyTypeObject *)cls;
    mpy_state *state = mpy_state_of_type(type);
    uint32_t kind = kind_of_type(state, type);
    return kind == 0 ? NULL : mpy_handle_make(state, type, segment, kind);
}

/* ---- the type ---- */

/* Whether this process holds the object's lock, or permits of it. */
static bool holds_lock(const mpy_handle *h)
{
    const mps_object *obj = mpy_object(h);
    uint32_t kind = mps_load32(&obj->mortal.kind);
    if (mps_unlikely(kind == MPS_KIND_SEMAPHORE || kind == MPS_KIND_BOUNDED_SEMAPHORE)) {
        uint32_t count;
        bool told;
        mps_sem_mine(h->seg, h->off, &count, &told);
        return count > 0;
    }
    return h->seg->token != 0 && mps_load32(&obj->user.word) == h->seg->token;
}

static void handle_dealloc(PyObject *self)
{
    mpy_handle *h = mpy_handle_of(self);
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (h->off != 0) {
        if (mps_unlikely(holds_lock(h))) {
            mps_seg_retain(h->seg); /* for good: to leave the segment would free the lock, as if its holder had died */
        }
        mps_ref_drop(h->seg, MPS_DOOR_GIL, h->off);
    }
    PyObject *segment = h->segment;
    h->segment = NULL;
    if (h->seg != NULL) {
        mps_seg_release(h->seg);
    }
    type->tp_free(self);
    Py_DECREF(type);
    Py_XDECREF(segment);
}

static int handle_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(mpy_handle_of(self)->segment);
    return 0;
}

static int handle_clear(PyObject *self)
{
    Py_CLEAR(mpy_handle_of(self)->segment);
    return 0;
}

static PyObject *handle_reduce(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    if (!mpy_count_args("__reduce_ex__", n, 0, 1)) {
        return NULL;
    }
    PyObject *reduce = mpy_handle_of(self)->state->reduce_handle;
    if (reduce == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "configure() was not called: handles cannot be pickled");
        return NULL;
    }
    return PyObject_CallOneArg(reduce, self);
}

static PyObject *handle_segment(PyObject *self, void *closure)
{
    (void)closure;
    PyObject *segment = mpy_handle_of(self)->segment;
    return Py_NewRef(segment == NULL ? Py_None : segment);
}

static PyObject *handle_offset(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(mpy_handle_of(self)->off);
}

static PyObject *handle_serial(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(mpy_handle_of(self)->serial);
}

/* Says that a manager made the object. */
static PyObject *handle_managed(PyObject *self, PyObject *unused)
{
    (void)unused;
    if (mpy_handle_of(self)->seg->region.readonly) {
        return mpy_fail(mpy_handle_of(self), MPS_E_READONLY, "change a");
    }
    uint32_t *flags = &mpy_object(mpy_handle_of(self))->mortal.flags;
    mps_store32(flags, mps_load32(flags) | MPS_FLAG_MANAGED);
    return Py_NewRef(self);
}

PyDoc_STRVAR(managed_doc, "_managed($self, /)\n--\n\nSay of a new object that a manager made it, so that it behaves as "
                          "threading's does where multiprocessing's differs; return it.");
PyDoc_STRVAR(
    in_doc,
    "_in($type, segment, /)\n--\n\nA new, empty object of exactly this class in a segment; __init__ is not called.");
PyDoc_STRVAR(
    reduce_doc,
    "__reduce_ex__($self, protocol=4, /)\n--\n\nWhat pickle needs: how to get to the object from another process.");

static PyMethodDef handle_methods[] = {
    {"_in", handle_in, METH_O | METH_CLASS, in_doc},
    {"_managed", handle_managed, METH_NOARGS, managed_doc},
    {"__reduce_ex__", MPY_FUNCTION(handle_reduce), METH_FASTCALL, reduce_doc},
    {"__reduce__", MPY_FUNCTION(handle_reduce), METH_FASTCALL, reduce_doc},
    {0},
};

static PyGetSetDef handle_getset[] = {
    {"_segment", handle_segment, NULL, "The segment that the object is in.", NULL},
    {"_offset", handle_offset, NULL, "Where in the segment it is, in bytes.", NULL},
    {"_serial", handle_serial, NULL, "What tells it from any other that was or will be at its place.", NULL},
    {0},
};

PyDoc_STRVAR(handle_doc, "What all shared objects are to this process: the way to one.");

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, (void *)handle_doc},
    {Py_tp_dealloc, (void *)handle_dealloc},
    {Py_tp_traverse, (void *)handle_traverse},
    {Py_tp_clear, (void *)handle_clear},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_getset},
    {0},
};

static PyType_Spec handle_spec = {
    .name = "mpshm._types.Handle",
    .basicsize = sizeof(mpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = handle_slots,
};

int mpy_handle_ready(PyObject *module, mpy_state *state)
{
    state->handle_type = mpy_type_add(module, &handle_spec, NULL, true);
    return state->handle_type == NULL ? -1 : 0;
}

int mpy_handle_add(PyObject *module, mpy_state *state, uint32_t kind, const char *name, unsigned flags,
                   PyType_Slot *slots)
{
    PyType_Spec spec = {
        .name = name,
        .basicsize = sizeof(mpy_handle),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | flags,
        .slots = slots,
    };
    PyTypeObject *type = mpy_type_add(module, &spec, state->handle_type, true);
    state->base[mpy_kind_index(kind)] = type;
    return type == NULL ? -1 : 0;
}
