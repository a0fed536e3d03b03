/* queue.c -- Queue, JoinableQueue, SimpleQueue: one ring of messages, three kinds, whose methods are the same.
 *
 * What is put is encoded before the queue's guard is taken, and what was taken is decoded after it was let go of. A queue that was
 * closed here is closed for this handle alone.
 */
#include "encode.h"
#include "ring.h"
#include "step.h"
#include "waiting.h"

typedef struct queue {
    mpy_handle h;
    bool closed; /* close() was called on this handle */
} queue;

static queue *queue_of(PyObject *self)
{
    return (queue *)self;
}

/* ---- errors ---- */

enum { RAISE_EMPTY = 0, RAISE_FULL = 1, RAISE_SHUT = 2 };

static PyObject *raise_queue(mpy_handle *h, int which)
{
    PyObject *error = h->state->queue_errors[which];
    PyErr_SetNone(error != NULL ? error : PyExc_RuntimeError);
    return NULL;
}

static PyObject *fail(mpy_handle *h, mps_status st, int in_time, const char *tried)
{
    if (st == MPS_E_TIMEOUT) {
        return raise_queue(h, in_time);
    }
    return st == MPS_E_CHANGED ? raise_queue(h, RAISE_SHUT) : mpy_fail(h, st, tried);
}

static bool is_open(PyObject *self)
{
    if (mps_likely(!queue_of(self)->closed)) {
        return true;
    }
    PyErr_Format(PyExc_ValueError, "Queue %R is closed", self);
    return false;
}

/* ---- put and get ---- */

/* How long a call waits: 0, or -1 with an exception. strict: a negative timeout is an error, as queue.Queue's. */
static int timeout_of(bool strict, int blocking, PyObject *timeout, uint64_t *timeout_ns)
{
    *timeout_ns = blocking ? MPS_FOREVER : 0;
    if (!blocking || timeout == NULL || timeout == Py_None) {
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (seconds != seconds || (strict && seconds < 0)) {
        PyErr_SetString(PyExc_ValueError, "'timeout' must be a non-negative number");
        return -1;
    }
    if (seconds > (double)(INT64_MAX / 1000000000)) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -1;
    }
    *timeout_ns = seconds <= 0 ? 0 : (uint64_t)__builtin_ceil(seconds * 1e9);
    return 0;
}

static PyObject *put(PyObject *self, PyObject *item, uint64_t timeout_ns)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    mps_status st = MPS_OK;
    if (mps_unlikely(!is_open(self))) {
        return NULL;
    }
    if (mps_unlikely(mpy_encode_value(h, item, &enc, &hold) < 0)) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    do {
        st = mps_ring_put(h->seg, MPS_DOOR_GIL, h->off, &enc, w.left_ns);
    } while (mps_unlikely(st != MPS_OK) && mpy_wait_again(&w, &st));
    mpy_hold_done(&hold);
    if (mps_unlikely(st != MPS_OK)) {
        return fail(h, st, RAISE_FULL, "put into a");
    }
    Py_RETURN_NONE;
}

static PyObject *get(PyObject *self, uint64_t timeout_ns)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_copy copy;
    mps_status st = MPS_OK;
    if (mps_unlikely(!is_open(self))) {
        return NULL;
    }
    mps_copy_init(&copy);
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    do {
        st = mps_ring_get(h->seg, MPS_DOOR_GIL, h->off, &copy, w.left_ns);
    } while (mps_unlikely(st != MPS_OK) && mpy_wait_again(&w, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return fail(h, st, RAISE_EMPTY, "get from a");
}

/* Whether queue.Queue would look at the sign of a timeout for put(): it does where the queue has a size. */
static bool is_strict(const mpy_handle *h, bool putting)
{
    const mps_ring *r = mps_region_at(&h->seg->region, h->off);
    return mpy_is_managed(h) && (!putting || (int64_t)mps_load64((const uint64_t *)&r->maxsize) > 0);
}

/* (block=True, timeout=None). */
static int wait_args(const mpy_handle *h, bool putting, PyObject *block, PyObject *timeout, uint64_t *timeout_ns)
{
    int blocking = block == NULL ? 1 : PyObject_IsTrue(block);
    return blocking < 0 ? -1 : timeout_of(is_strict(h, putting), blocking, timeout, timeout_ns);
}

static PyObject *queue_put(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"item", "block", "timeout", "obj", NULL};
    if (mps_likely(n == 1 && names == NULL)) {
        return put(self, args[0], MPS_FOREVER);
    }
    PyObject *all[4] = {NULL};
    uint64_t timeout_ns;
    if (!mpy_count_args("put", n, 0, 3) || !mpy_step_args("put", args, n, names, known, 0, all)) {
        return NULL;
    }
    PyObject *item = all[0] != NULL ? all[0] : all[3];
    if (item == NULL || (all[0] != NULL && all[3] != NULL)) {
        PyErr_SetString(PyExc_TypeError, item == NULL ? "put() missing required argument 'item' (pos 1)"
                                                      : "put() got both 'item' and 'obj'");
        return NULL;
    }
    if (wait_args(mpy_handle_of(self), true, all[1], all[2], &timeout_ns) < 0) {
        return NULL;
    }
    return put(self, item, timeout_ns);
}

static PyObject *queue_put_nowait(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"item", "obj", NULL};
    PyObject *all[2] = {NULL};
    if (!mpy_count_args("put_nowait", n, 0, 1) || !mpy_step_args("put_nowait", args, n, names, known, 0, all)) {
        return NULL;
    }
    PyObject *item = all[0] != NULL ? all[0] : all[1];
    if (item == NULL) {
        PyErr_SetString(PyExc_TypeError, "put_nowait() missing required argument 'item' (pos 1)");
        return NULL;
    }
    return put(self, item, 0);
}

static PyObject *queue_get(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"block", "timeout", NULL};
    if (mps_likely(n == 0 && names == NULL)) {
        return get(self, MPS_FOREVER);
    }
    PyObject *all[2] = {NULL};
    uint64_t timeout_ns;
    if (!mpy_step_args("get", args, n, names, known, 0, all) ||
        wait_args(mpy_handle_of(self), false, all[0], all[1], &timeout_ns) < 0) {
        return NULL;
    }
    return get(self, timeout_ns);
}

static PyObject *queue_get_nowait(PyObject *self, PyObject *unused)
{
    (void)unused;
    return get(self, 0);
}

/* ---- looking ---- */

static int count(PyObject *self, uint32_t *n)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = mps_ring_count(h->seg, MPS_DOOR_GIL, h->off, n);
    if (mps_likely(st == MPS_OK)) {
        return 0;
    }
    mpy_fail(h, st, "look at a");
    return -1;
}

static PyObject *queue_qsize(PyObject *self, PyObject *unused)
{
    (void)unused;
    uint32_t n;
    return count(self, &n) < 0 ? NULL : PyLong_FromUnsignedLong(n);
}

static PyObject *queue_empty(PyObject *self, PyObject *unused)
{
    (void)unused;
    uint32_t n;
    return count(self, &n) < 0 ? NULL : PyBool_FromLong(n == 0);
}

static PyObject *queue_full(PyObject *self, PyObject *unused)
{
    (void)unused;
    uint32_t n;
    const mpy_handle *h = mpy_handle_of(self);
    const mps_ring *r = mps_region_at(&h->seg->region, h->off);
    uint32_t limit = mps_load32(&r->limit);
    return count(self, &n) < 0 ? NULL : PyBool_FromLong(limit != 0 && n >= limit);
}

static PyObject *queue_maxsize(PyObject *self, void *closure)
{
    (void)closure;
    const mpy_handle *h = mpy_handle_of(self);
    const mps_ring *r = mps_region_at(&h->seg->region, h->off);
    return PyLong_FromLongLong((int64_t)mps_load64((const uint64_t *)&r->maxsize));
}

static PyObject *queue_unfinished(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    uint32_t n;
    mps_status st = mps_ring_unfinished(h->seg, MPS_DOOR_GIL, h->off, &n);
    return st == MPS_OK ? PyLong_FromUnsignedLong(n) : mpy_fail(h, st, "look at a");
}

static PyObject *queue_is_shutdown(PyObject *self, void *closure)
{
    (void)closure;
    const mpy_handle *h = mpy_handle_of(self);
    const mps_ring *r = mps_region_at(&h->seg->region, h->off);
    return PyBool_FromLong(mps_load64(&r->shut) != 0);
}

/* ---- tasks ---- */

static PyObject *queue_task_done(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = mps_ring_task_done(h->seg, MPS_DOOR_GIL, h->off);
    if (mps_likely(st == MPS_OK)) {
        Py_RETURN_NONE;
    }
    if (st != MPS_E_RANGE) {
        return mpy_fail(h, st, "finish a task of a");
    }
    PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
    return NULL;
}

static PyObject *queue_join(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = MPS_OK;
    mpy_wait w;
    mpy_wait_begin(&w, MPS_FOREVER);
    do {
        st = mps_ring_join(h->seg, MPS_DOOR_GIL, h->off, w.left_ns);
    } while (st != MPS_OK && mpy_wait_again(&w, &st));
    if (st == MPS_OK) {
        Py_RETURN_NONE;
    }
    return mpy_fail(h, st, "join a");
}

static PyObject *queue_shutdown(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"immediate", NULL};
    PyObject *all[1] = {NULL};
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_step_args("shutdown", args, n, names, known, 0, all)) {
        return NULL;
    }
    int at_once = all[0] == NULL ? 0 : PyObject_IsTrue(all[0]);
    if (at_once < 0) {
        return NULL;
    }
    mps_status st = mps_ring_shut(h->seg, MPS_DOOR_GIL, h->off, at_once != 0);
    if (st == MPS_OK) {
        Py_RETURN_NONE;
    }
    return mpy_fail(h, st, "shut down a");
}

/* ---- this handle ---- */

static PyObject *queue_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    queue_of(self)->closed = true;
    Py_RETURN_NONE;
}

static PyObject *queue_closed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(queue_of(self)->closed);
}

/* Waits until a get (put: a put) has something to do, at most so many seconds; the caller asks again. */
static PyObject *queue_ready(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t timeout_ns;
    if (!mpy_count_args("_ready", n, 2, 2) || timeout_of(false, 1, args[1], &timeout_ns) < 0) {
        return NULL;
    }
    mps_status st = mps_ring_ready(h->seg, MPS_DOOR_GIL, h->off, args[0] == Py_True, timeout_ns);
    if (st == MPS_E_INTR && PyErr_CheckSignals() < 0) {
        return NULL;
    }
    if (st != MPS_OK && st != MPS_E_INTR && st != MPS_E_TIMEOUT) {
        return mpy_fail(h, st, "wait for a");
    }
    return PyBool_FromLong(st == MPS_OK);
}

static PyObject *queue_nudge(PyObject *self, PyObject *putting)
{
    const mpy_handle *h = mpy_handle_of(self);
    mps_ring_nudge(h->seg, h->off, putting == Py_True);
    Py_RETURN_NONE;
}

/* The exceptions to raise where a queue is empty, full, or shut down. */
static PyObject *queue_errors(PyObject *cls, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    if (!mpy_count_args("_errors", n, 3, 3)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < 3; i++) {
        Py_XSETREF(state->queue_errors[i], Py_NewRef(args[i]));
    }
    Py_RETURN_NONE;
}

/* What maxsize says of a new queue. */
static PyObject *queue_limit(PyObject *self, PyObject *maxsize)
{
    mpy_handle *h = mpy_handle_of(self);
    int overflow = 0;
    PyObject *index = PyNumber_Index(maxsize);
    long long n = index == NULL ? -1 : PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_XDECREF(index);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    mps_status st = mps_ring_limit(h->seg, h->off, overflow > 0 ? INT64_MAX : overflow < 0 ? INT64_MIN : n);
    return st == MPS_OK ? Py_NewRef(self) : mpy_fail(h, st, "limit a");
}

static int queue_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"maxsize", NULL};
    PyObject *maxsize = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwds, "|O:Queue", names, &maxsize)) {
        return -1;
    }
    PyObject *done = maxsize == NULL ? Py_NewRef(self) : queue_limit(self, maxsize);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int simple_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    (void)self;
    static char *names[] = {NULL};
    return PyArg_ParseTupleAndKeywords(args, kwds, ":SimpleQueue", names) ? 0 : -1;
}

/* ---- the types ---- */

PyDoc_STRVAR(put_doc, "put($self, item, block=True, timeout=None, *, obj=<unset>)\n--\n\n"
                      "Put an item into the queue; wait for room, at most timeout seconds.");
PyDoc_STRVAR(put_nowait_doc, "put_nowait($self, item=<unset>, *, obj=<unset>)\n--\n\nput(item, block=False).");
PyDoc_STRVAR(get_doc, "get($self, block=True, timeout=None)\n--\n\n"
                      "Take the oldest item; wait for one, at most timeout seconds.");
PyDoc_STRVAR(get_nowait_doc, "get_nowait($self, /)\n--\n\nget(block=False).");
PyDoc_STRVAR(qsize_doc, "qsize($self, /)\n--\n\nHow many items are in the queue at this moment.");
PyDoc_STRVAR(empty_doc, "empty($self, /)\n--\n\nWhether no item is in the queue at this moment.");
PyDoc_STRVAR(full_doc, "full($self, /)\n--\n\nWhether maxsize items are in the queue at this moment.");
PyDoc_STRVAR(close_doc, "close($self, /)\n--\n\nPut and get nothing more by this handle.");
PyDoc_STRVAR(task_done_doc, "task_done($self, /)\n--\n\nSay that an item that was taken is done with.");
PyDoc_STRVAR(join_doc, "join($self, /)\n--\n\nWait until every item that was put is done with.");
PyDoc_STRVAR(shutdown_doc, "shutdown($self, immediate=False)\n--\n\n"
                           "Let nothing more be put, in any process; immediate: throw away what is there.");
PyDoc_STRVAR(ready_doc, "_ready($self, put, timeout, /)\n--\n\nWait until put() or get() need not wait perhaps.");
PyDoc_STRVAR(nudge_doc, "_nudge($self, put, /)\n--\n\nPass a wake-up on that was not made use of.");
PyDoc_STRVAR(limit_doc, "_limit($self, maxsize, /)\n--\n\nSay of a new queue how many items fit; return it.");

PyDoc_STRVAR(errors_doc, "_errors($type, empty, full, shut, /)\n--\n\nThe exceptions that all queues raise.");

#define IN_ALL                                                                                                         \
    {"put", MPY_FUNCTION(queue_put), METH_FASTCALL | METH_KEYWORDS, put_doc},                                          \
        {"get", MPY_FUNCTION(queue_get), METH_FASTCALL | METH_KEYWORDS, get_doc},                                      \
        {"put_nowait", MPY_FUNCTION(queue_put_nowait), METH_FASTCALL | METH_KEYWORDS, put_nowait_doc},                 \
        {"get_nowait", queue_get_nowait, METH_NOARGS, get_nowait_doc}, {"qsize", queue_qsize, METH_NOARGS, qsize_doc}, \
        {"empty", queue_empty, METH_NOARGS, empty_doc}, {"close", queue_close, METH_NOARGS, close_doc},                \
        {"_ready", MPY_FUNCTION(queue_ready), METH_FASTCALL, ready_doc},                                               \
    {                                                                                                                  \
        "_nudge", queue_nudge, METH_O, nudge_doc                                                                       \
    }

static PyMethodDef queue_methods[] = {
    IN_ALL,
    {"full", queue_full, METH_NOARGS, full_doc},
    {"task_done", queue_task_done, METH_NOARGS, task_done_doc},
    {"join", queue_join, METH_NOARGS, join_doc},
    {"shutdown", MPY_FUNCTION(queue_shutdown), METH_FASTCALL | METH_KEYWORDS, shutdown_doc},
    {"_limit", queue_limit, METH_O, limit_doc},
    {"_errors", MPY_FUNCTION(queue_errors), METH_FASTCALL | METH_CLASS, errors_doc},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Queue[type]."},
    {0},
};

static PyMethodDef simple_methods[] = {
    IN_ALL,
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: SimpleQueue[type]."},
    {0},
};

static PyGetSetDef queue_getset[] = {
    {"maxsize", queue_maxsize, NULL, "How many items fit; 0 or less: as many as there is memory for.", NULL},
    {"unfinished_tasks", queue_unfinished, NULL, "How many items were put that are not done with yet.", NULL},
    {"is_shutdown", queue_is_shutdown, NULL, "Whether shutdown() was called, in any process.", NULL},
    {"_closed", queue_closed, NULL, "Whether this handle was closed.", NULL},
    {0},
};

static PyGetSetDef simple_getset[] = {
    {"_closed", queue_closed, NULL, "Whether this handle was closed.", NULL},
    {0},
};

PyDoc_STRVAR(queue_doc, "Queue(maxsize=0)\n--\n\nItems in the order in which they were put, in shared memory.");
PyDoc_STRVAR(joinable_doc, "JoinableQueue(maxsize=0)\n--\n\nA queue whose items can be waited for to be done with.");
PyDoc_STRVAR(simple_doc, "SimpleQueue()\n--\n\nA queue without a size.");

static PyType_Slot queue_slots[] = {
    {Py_tp_doc, (void *)queue_doc}, {Py_tp_new, (void *)mpy_handle_new}, {Py_tp_init, (void *)queue_init},
    {Py_tp_methods, queue_methods}, {Py_tp_getset, queue_getset},        {0},
};

static PyType_Slot joinable_slots[] = {
    {Py_tp_doc, (void *)joinable_doc},
    {0},
};

static PyType_Slot simple_slots[] = {
    {Py_tp_doc, (void *)simple_doc}, {Py_tp_new, (void *)mpy_handle_new}, {Py_tp_init, (void *)simple_init},
    {Py_tp_methods, simple_methods}, {Py_tp_getset, simple_getset},       {0},
};

static PyType_Spec specs[] = {
    {.name = "mpshm._types.Queue",
     .basicsize = sizeof(queue),
     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
     .slots = queue_slots},
    {.name = "mpshm._types.JoinableQueue",
     .basicsize = sizeof(queue),
     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
     .slots = joinable_slots},
    {.name = "mpshm._types.SimpleQueue",
     .basicsize = sizeof(queue),
     .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
     .slots = simple_slots},
};

int mpy_queue_ready(PyObject *module, mpy_state *state)
{
    PyTypeObject *plain = mpy_type_add(module, &specs[0], state->handle_type, true);
    state->base[mpy_kind_index(MPS_KIND_QUEUE)] = plain;
    PyTypeObject *joinable = plain == NULL ? NULL : mpy_type_add(module, &specs[1], plain, true);
    state->base[mpy_kind_index(MPS_KIND_JOINABLE_QUEUE)] = joinable;
    PyTypeObject *simple = mpy_type_add(module, &specs[2], state->handle_type, true);
    state->base[mpy_kind_index(MPS_KIND_SIMPLE_QUEUE)] = simple;
    return plain == NULL || joinable == NULL || simple == NULL ? -1 : 0;
}
