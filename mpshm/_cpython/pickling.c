/* pickling.c -- pickles of values, in which handles are references and not tokens.
 *
 * A pickler of ours, and no other that may run at the same time (a user's __reduce__ may send handles elsewhere), meets
 * a handle on an object of the segment that the value goes to: the handle becomes the call of _inner(buffer), and
 * the buffer is left out of the pickle, as protocol 5 allows. What the buffers stand for is stored beside the pickle as
 * counted references, in their order; to load it, pickle.loads() gets handles for buffers.
 *
 * Large buffers of the objects themselves (arrays, tables) are left out in the same way: their bytes go into a Buffer each, with
 * one copy, and pickle.loads() gets the reader's own pages of them, or a view.
 *
 * A pickler and the sink that it writes to are kept for the next value: making them costs more than most pickles.
 */
#include "buffers.h"

/* One value that is being pickled. */
typedef struct mpy_pickling {
    PyObject *pickler;
    mpy_handle *container; /* that it goes to */
    PyObject *mark;        /* of the buffers that stand for handles */
    bool apart;            /* large buffers are stored apart: not those of keys, which are compared byte by byte */
    bool once;             /* it goes into a queue: it is loaded once, and everything else any number of times */
    PyObject *handles;     /* a list of those met so far, or NULL */
    struct mpy_pickling *next;
} pickling;

/* What takes a pickle's pieces. */
typedef struct sink {
    PyObject_HEAD PyObject *first; /* bytes */
    PyObject *more;                /* a list of further ones */
    struct mpy_pickling *now;      /* the value that is being pickled, or NULL */
} sink;

static PyObject *sink_write(PyObject *self, PyObject *piece)
{
    sink *s = (sink *)self;
    PyObject *kept = PyBytes_CheckExact(piece) ? Py_NewRef(piece) : PyBytes_FromObject(piece);
    if (kept == NULL) {
        return NULL;
    }
    if (s->first == NULL) {
        s->first = kept;
        Py_RETURN_NONE;
    }
    if (s->more == NULL) {
        s->more = PyList_New(0);
    }
    int done = s->more == NULL ? -1 : PyList_Append(s->more, kept);
    Py_DECREF(kept);
    if (done < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static void sink_clear(sink *s)
{
    Py_CLEAR(s->first);
    Py_CLEAR(s->more);
}

static void sink_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    sink_clear((sink *)self);
    type->tp_free(self);
    Py_DECREF(type);
}

/* All that was written, as one bytes object; the sink is empty then. */
static PyObject *sink_take(sink *s)
{
    PyObject *first = s->first == NULL ? PyBytes_FromStringAndSize(NULL, 0) : s->first;
    s->first = NULL;
    if (s->more == NULL || first == NULL) {
        sink_clear(s);
        return first;
    }
    Py_ssize_t total = PyBytes_GET_SIZE(first);
    Py_ssize_t pieces = PyList_GET_SIZE(s->more);
    for (Py_ssize_t i = 0; i < pieces; i++) {
        total += PyBytes_GET_SIZE(PyList_GET_ITEM(s->more, i));
    }
    PyObject *made = PyBytes_FromStringAndSize(NULL, total);
    if (made != NULL) {
        char *to = PyBytes_AS_STRING(made);
        memcpy(to, PyBytes_AS_STRING(first), (size_t)PyBytes_GET_SIZE(first));
        to += PyBytes_GET_SIZE(first);
        for (Py_ssize_t i = 0; i < pieces; i++) {
            PyObject *piece = PyList_GET_ITEM(s->more, i);
            memcpy(to, PyBytes_AS_STRING(piece), (size_t)PyBytes_GET_SIZE(piece));
            to += PyBytes_GET_SIZE(piece);
        }
    }
    Py_DECREF(first);
    sink_clear(s);
    return made;
}

/* Called by pickle for every object that has no way of its own in there. */
static PyObject *pickler_reducer_override(PyObject *self, PyObject *obj)
{
    mpy_state *state = PyType_GetModuleState(Py_TYPE(self));
    if (state == NULL || !mpy_is_handle(state, obj)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    pickling *p = state->pickling;
    while (p != NULL && p->pickler != self) {
        p = p->next;
    }
    if (p == NULL || (p->container->seg != mpy_handle_of(obj)->seg && p->once)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (p->container->seg !=
        mpy_handle_of(obj)->seg) { /* what is stored cannot count it: it stays as long as its own segment */
        return PyObject_CallFunctionObjArgs(state->reduce_handle, obj, Py_True, NULL);
    }
    if (p->handles == NULL && (p->handles = PyList_New(0)) == NULL) {
        return NULL;
    }
    PyObject *buffer = PyPickleBuffer_FromObject(state->inner_mark);
    if (buffer == NULL || PyList_Append(p->handles, obj) < 0) {
        Py_XDECREF(buffer);
        return NULL;
    }
    return Py_BuildValue("O(N)", state->inner, buffer);
}

/* Stores a buffer's bytes apart: a Buffer in place of the handle of an object. */
static int store_apart(pickling *p, const Py_buffer *view, bool array)
{
    PyObject *pin = array ? mpy_array_pin(view->obj) : NULL;
    PyObject *made = array && pin == NULL ? NULL : mpy_buffer_of(p->container, view->buf, (uint64_t)view->len, NULL, 0);
    Py_XDECREF(pin);
    int done = made == NULL || (p->handles == NULL && (p->handles = PyList_New(0)) == NULL)
                   ? -1
                   : PyList_Append(p->handles, made);
    Py_XDECREF(made);
    return done;
}

/* The buffer_callback: false for the buffers that are left out of the pickle, those that stand for handles and large ones.
 *
 * What is read is a copy, so the copy of an array that must not be written to may be, as after a pickle of protocol 4 (a manager's), and
 * as when the array is the whole value: the pickler is told so by its own note of the buffer. */
static PyObject *sink_take_buffer(PyObject *self, PyObject *buffer)
{
    sink *s = (sink *)self;
    const Py_buffer *view = PyPickleBuffer_GetBuffer(buffer);
    if (view == NULL) {
        return NULL;
    }
    if (s->now == NULL || view->obj == s->now->mark) {
        return PyBool_FromLong(s->now == NULL);
    }
    bool array = view->obj != NULL && mpy_is_array(s->now->container->state, view->obj);
    if (array) { /* (the pickler looks next) */
        ((Py_buffer *)(uintptr_t)view)->readonly = 0;
    }
    if (!s->now->apart || view->len < MPY_BUFFER_MIN || !PyBuffer_IsContiguous(view, 'A')) {
        Py_RETURN_TRUE;
    }
    return store_apart(s->now, view, array) < 0 ? NULL : Py_NewRef(Py_False);
}

static PyMethodDef sink_methods[] = {
    {"write", sink_write, METH_O, NULL},
    {"_take", sink_take_buffer, METH_O, NULL},
    {0},
};

static PyType_Slot sink_slots[] = {
    {Py_tp_dealloc, (void *)sink_dealloc},
    {Py_tp_methods, sink_methods},
    {0},
};

static PyType_Spec sink_spec = {
    .name = "mpshm._types._Sink",
    .basicsize = sizeof(sink),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = sink_slots,
};

static PyMethodDef pickler_methods[] = {
    {"reducer_override", pickler_reducer_override, METH_O, NULL},
    {0},
};

static PyType_Slot pickler_slots[] = {
    {Py_tp_methods, pickler_methods},
    {0},
};

static PyType_Spec pickler_spec = {
    .name = "mpshm._types._Pickler",
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = pickler_slots,
};

int mpy_pickling_ready(PyObject *module, mpy_state *state)
{
    state->sink_type = mpy_type_add(module, &sink_spec, NULL, false);
    state->inner_mark = PyByteArray_FromStringAndSize("", 1);
    return state->sink_type == NULL || state->inner_mark == NULL ? -1 : 0;
}

/* What needs the module pickle, which is not imported before there is something to pickle. */
static int get_pickle(mpy_state *state)
{
    if (state->loads != NULL && state->pickler_type != NULL) {
        return 0;
    }
    if (state->handle_type == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is ending");
        return -1;
    }
    PyObject *pickle = PyImport_ImportModule("pickle");
    if (pickle == NULL) {
        return -1;
    }
    if (state->loads == NULL) {
        state->loads = PyObject_GetAttrString(pickle, "loads");
    }
    PyObject *base = PyObject_GetAttrString(pickle, "Pickler");
    Py_DECREF(pickle);
    if (base == NULL || state->loads == NULL) {
        Py_XDECREF(base);
        return -1;
    }
    PyObject *module = PyType_GetModule(state->handle_type);
    if (state->pickler_type == NULL && module != NULL) {
        state->pickler_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &pickler_spec, base);
    }
    Py_DECREF(base);
    return state->pickler_type == NULL ? -1 : 0;
}

/* A pickler and its sink: the spare ones, or new ones. */
static PyObject *get_pickler(mpy_state *state, PyObject **sink_out)
{
    if (get_pickle(state) < 0) {
        return NULL;
    }
    if (state->spare_pickler != NULL) {
        PyObject *pickler = state->spare_pickler;
        *sink_out = state->spare_sink;
        state->spare_pickler = state->spare_sink = NULL;
        return pickler;
    }
    PyObject *target = state->sink_type->tp_alloc(state->sink_type, 0);
    if (target == NULL) {
        return NULL;
    }
    PyObject *take = PyObject_GetAttr(target, state->str_take);
    PyObject *pickler =
        take == NULL ? NULL : PyObject_CallFunction((PyObject *)state->pickler_type, "OiOO", target, 5, Py_False, take);
    Py_XDECREF(take);
    if (pickler == NULL) {
        Py_DECREF(target);
        return NULL;
    }
    *sink_out = target;
    return pickler;
}

/* Gives them back, with nothing in them. */
static void put_pickler(mpy_state *state, PyObject *pickler, PyObject *target)
{
    PyObject *cleared = NULL;
    if (state->spare_pickler == NULL) {
        cleared = PyObject_CallMethodNoArgs(pickler, state->str_clear_memo);
        if (cleared == NULL) {
            PyErr_Clear();
        }
    }
    /* Clearing ran finalizers perhaps, and those may have given one back themselves. */
    if (cleared != NULL && state->spare_pickler == NULL) {
        state->spare_pickler = Py_NewRef(pickler);
        state->spare_sink = Py_NewRef(target);
    }
    Py_XDECREF(cleared);
    Py_DECREF(pickler);
    Py_DECREF(target);
}

/* The list of handles as the references of enc. */
static int take_refs(PyObject *handles, mps_enc *enc, mpy_hold *hold)
{
    Py_ssize_t n = PyList_GET_SIZE(handles);
    PyObject *array = n > (Py_ssize_t)UINT32_MAX ? PyErr_NoMemory()
                                                 : PyBytes_FromStringAndSize(NULL, n * (Py_ssize_t)sizeof(mps_off));
    if (array == NULL) {
        return -1;
    }
    char *to = PyBytes_AS_STRING(array);
    for (Py_ssize_t i = 0; i < n; i++) {
        mps_off off = mpy_handle_of(PyList_GET_ITEM(handles, i))->off;
        memcpy(to + i * (Py_ssize_t)sizeof off, &off, sizeof off);
    }
    enc->refs = (const mps_off *)(const void *)to;
    enc->n_refs = (uint32_t)n;
    return mpy_hold_add(hold, array);
}

static int make_pickle(mpy_handle *h, PyObject *obj, bool apart, PyObject **pickle, mps_enc *enc, mpy_hold *hold)
{
    mpy_state *state = h->state;
    PyObject *target = NULL;
    PyObject *pickler = get_pickler(state, &target);
    if (pickler == NULL) {
        return -1;
    }
    uint32_t kind = mps_load32(&mpy_object(h)->mortal.kind);
    bool once = kind - MPS_KIND_QUEUE <= MPS_KIND_SIMPLE_QUEUE - MPS_KIND_QUEUE;
    pickling p = {.pickler = pickler,
                  .container = h,
                  .mark = state->inner_mark,
                  .apart = apart,
                  .once = once,
                  .next = state->pickling};
    state->pickling = &p;
    ((sink *)target)->now = &p;
    PyObject *done = PyObject_CallMethodOneArg(pickler, state->str_dump, obj);
    ((sink *)target)->now = NULL;
    /* Another thread's may have come before it meanwhile. */
    pickling **link = &state->pickling;
    while (*link != &p) {
        link = &(*link)->next;
    }
    *link = p.next;
    if (done == NULL) {
        Py_DECREF(pickler);
        Py_DECREF(target);
        Py_XDECREF(p.handles);
        return -1;
    }
    Py_DECREF(done);
    PyObject *bytes = sink_take((sink *)target);
    put_pickler(state, pickler, target);
    if (bytes == NULL || mpy_hold_add(hold, bytes) < 0) {
        Py_XDECREF(p.handles);
        return -1;
    }
    *pickle = bytes;
    if (p.handles == NULL) {
        return 0;
    }
    int failed = take_refs(p.handles, enc, hold);
    if (failed < 0) {
        Py_DECREF(p.handles);
        return -1;
    }
    return mpy_hold_add(hold, p.handles);
}

int mpy_pickle(mpy_handle *h, PyObject *obj, PyObject **pickle, mps_enc *enc, mpy_hold *hold)
{
    return make_pickle(h, obj, true, pickle, enc, hold);
}

PyObject *mpy_pickle_behind(mpy_handle *h, PyObject *obj, const void *head, size_t head_bytes, const void *body,
                            size_t body_bytes, mps_enc *enc, mpy_hold *hold)
{
    PyObject *pickle = NULL;
    if (make_pickle(h, obj, false, &pickle, enc, hold) < 0) {
        return NULL;
    }
    size_t nbytes = (size_t)PyBytes_GET_SIZE(pickle);
    PyObject *made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(head_bytes + body_bytes + nbytes));
    if (made == NULL) {
        return NULL;
    }
    char *to = PyBytes_AS_STRING(made);
    memcpy(to, head, head_bytes);
    if (body_bytes > 0) {
        memcpy(to + head_bytes, body, body_bytes);
    }
    memcpy(to + head_bytes + body_bytes, PyBytes_AS_STRING(pickle), nbytes);
    return made;
}

#define COPIED_BYTES 4096u /* up to here a copy costs less than a view */

/* pickle.loads(data) or pickle.loads(data, buffers=handles). */
static PyObject *call_loads(mpy_state *state, PyObject *data, PyObject *handles)
{
    if (handles == NULL) {
        return PyObject_CallOneArg(state->loads, data);
    }
    PyObject *names = PyTuple_Pack(1, state->str_buffers);
    if (names == NULL) {
        return NULL;
    }
    PyObject *args[] = {data, handles};
    PyObject *made = PyObject_Vectorcall(state->loads, args, 1, names);
    Py_DECREF(names);
    return made;
}

PyObject *mpy_unpickle(mpy_state *state, const void *data, uint64_t nbytes, PyObject *handles)
{
    if (get_pickle(state) < 0) {
        return NULL;
    }
    bool copied = nbytes <= COPIED_BYTES;
    PyObject *source = copied ? PyBytes_FromStringAndSize(data, (Py_ssize_t)nbytes)
                              : PyMemoryView_FromMemory((char *)(uintptr_t)data, (Py_ssize_t)nbytes, PyBUF_READ);
    if (source == NULL) {
        return NULL;
    }
    PyObject *made = call_loads(state, source, handles);
    Py_DECREF(source);
    return made;
}
