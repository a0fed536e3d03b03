/* sem.c -- Semaphore and BoundedSemaphore: permits to take and to give back. */
#include "sem.h"

#include "step.h"
#include "waiting.h"

/* (blocking=True, timeout=None). Of a manager's: as threading's; else as multiprocessing's, whose first is called block. */
static int acquire_args(const mpy_handle *h, PyObject *const *args, Py_ssize_t n, PyObject *names, uint64_t *timeout_ns)
{
    PyObject *timeout = NULL;
    int blocking = mpy_blocking_args(args, n, names, &timeout);
    if (blocking < 0) {
        return -1;
    }
    if (!blocking && mpy_is_managed(h) && timeout != NULL && timeout != Py_None) {
        PyErr_SetString(PyExc_ValueError, "can't specify timeout for non-blocking acquire");
        return -1;
    }
    *timeout_ns = 0;
    return blocking ? mpy_wait_timeout(timeout, timeout_ns) : 0;
}

static PyObject *sem_acquire(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t timeout_ns = MPS_FOREVER;
    if ((n > 0 || names != NULL) && acquire_args(h, args, n, names, &timeout_ns) < 0) {
        return NULL;
    }
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    mps_status st;
    do {
        st = mps_sem_acquire(h->seg, MPS_DOOR_GIL, h->off, w.left_ns);
    } while (mps_unlikely(st != MPS_OK) && mpy_wait_again(&w, &st));
    if (mps_likely(st == MPS_OK)) {
        Py_RETURN_TRUE;
    }
    if (st == MPS_E_TIMEOUT) {
        Py_RETURN_FALSE;
    }
    return mpy_fail(h, st, "acquire a");
}

static PyObject *sem_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return sem_acquire(self, NULL, 0, NULL);
}

static PyObject *release(mpy_handle *h, uint32_t n)
{
    mps_status st = mps_sem_release(h->seg, MPS_DOOR_GIL, h->off, n);
    if (mps_likely(st == MPS_OK)) {
        Py_RETURN_NONE;
    }
    if (st != MPS_E_OVERFLOW) {
        return mpy_fail(h, st, "release a");
    }
    PyErr_SetString(PyExc_ValueError, mpy_is_managed(h) ? "Semaphore released too many times"
                                                        : "semaphore or lock released too many times");
    return NULL;
}

static PyObject *sem_release(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"n", NULL};
    PyObject *all[1] = {NULL};
    if (mps_likely(n == 0 && names == NULL)) {
        return release(mpy_handle_of(self), 1);
    }
    if (!mpy_step_args("release", args, n, names, known, 1, all)) {
        return NULL;
    }
    Py_ssize_t count = PyNumber_AsSsize_t(all[0], NULL);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (count < 1) {
        PyErr_SetString(PyExc_ValueError, "n must be one or more");
        return NULL;
    }
    return release(mpy_handle_of(self), count > (Py_ssize_t)UINT32_MAX ? UINT32_MAX : (uint32_t)count);
}

static PyObject *sem_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return release(mpy_handle_of(self), 1);
}

/* Permits at hand: 0, or -1 with an exception. */
static int value(mpy_handle *h, uint32_t *n)
{
    mps_status st = mps_sem_value(h->seg, MPS_DOOR_GIL, h->off, n);
    if (st != MPS_OK) {
        mpy_fail(h, st, "look at a");
        return -1;
    }
    return 0;
}

static PyObject *sem_get_value(PyObject *self, PyObject *unused)
{
    (void)unused;
    uint32_t n = 0;
    return value(mpy_handle_of(self), &n) < 0 ? NULL : PyLong_FromUnsignedLong(n);
}

static PyObject *sem_locked(PyObject *self, PyObject *unused)
{
    (void)unused;
    uint32_t n = 0;
    return value(mpy_handle_of(self), &n) < 0 ? NULL : PyBool_FromLong(n == 0);
}

static PyObject *sem_count(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    uint32_t count;
    bool told;
    mps_sem_mine(h->seg, h->off, &count, &told);
    return PyLong_FromUnsignedLong(count);
}

static PyObject *sem_owner_died(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_is_open(h)) {
        return mpy_fail(h, MPS_E_CLOSED, "look at a");
    }
    uint32_t count;
    bool told;
    mps_sem_mine(h->seg, h->off, &count, &told);
    return PyBool_FromLong(told);
}

static PyObject *sem_bound(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong(mps_sem_bound(mpy_handle_of(self)->seg, mpy_handle_of(self)->off));
}

static PyObject *sem_setup(PyObject *self, PyObject *number)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t n = PyNumber_AsSsize_t(number, NULL);
    if (n == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (n < 0) {
        PyErr_SetString(PyExc_ValueError, "semaphore initial value must be >= 0");
        return NULL;
    }
    if (n > (Py_ssize_t)MPS_SEM_MAX) {
        return PyErr_Format(PyExc_OverflowError, "semaphore initial value must be at most %u", MPS_SEM_MAX);
    }
    bool bounded = mps_load32(&mpy_object(h)->mortal.kind) == MPS_KIND_BOUNDED_SEMAPHORE;
    mps_status st = mps_sem_init(h->seg, MPS_DOOR_GIL, h->off, (uint32_t)n, bounded ? (uint32_t)n : MPS_SEM_MAX);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "make a");
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(acquire_doc, "acquire($self, blocking=True, timeout=None)\n--\n\n"
                          "Take a permit; wait for it, at most timeout seconds. Return whether it was taken.");
PyDoc_STRVAR(release_doc, "release($self, n=1)\n--\n\nGive n permits; who waits for one gets it.");
PyDoc_STRVAR(value_doc, "get_value($self, /)\n--\n\nHow many permits are at hand.");
PyDoc_STRVAR(locked_doc, "locked($self, /)\n--\n\nWhether there is no permit at hand.");
PyDoc_STRVAR(count_doc, "_count($self, /)\n--\n\nHow many permits this process has.");
PyDoc_STRVAR(enter_doc, "__enter__($self, /)\n--\n\nTake a permit.");
PyDoc_STRVAR(exit_doc, "__exit__($self, kind, error, trace, /)\n--\n\nGive the permit back.");
PyDoc_STRVAR(setup_doc, "_setup($self, value, /)\n--\n\nSo many permits for a new one.");
PyDoc_STRVAR(died_doc, "Whether this process has a permit that came back from one that died.");

static PyMethodDef sem_methods[] = {
    {"acquire", MPY_FUNCTION(sem_acquire), METH_FASTCALL | METH_KEYWORDS, acquire_doc},
    {"release", MPY_FUNCTION(sem_release), METH_FASTCALL | METH_KEYWORDS, release_doc},
    {"get_value", sem_get_value, METH_NOARGS, value_doc},
    {"locked", sem_locked, METH_NOARGS, locked_doc},
    {"__enter__", sem_enter, METH_NOARGS, enter_doc},
    {"__exit__", MPY_FUNCTION(sem_exit), METH_FASTCALL, exit_doc},
    {"_count", sem_count, METH_NOARGS, count_doc},
    {"_setup", sem_setup, METH_O, setup_doc},
    {0},
};

static PyGetSetDef sem_getset[] = {
    {"owner_died", sem_owner_died, NULL, died_doc, NULL},
    {"_bound", sem_bound, NULL, "How many permits there can be at hand.", NULL},
    {0},
};

PyDoc_STRVAR(sem_doc, "Permits in shared memory. Those of a process that died come back.");
PyDoc_STRVAR(bounded_doc,
             "Permits in shared memory, never more than at first. Those of a process that died come back.");

static PyType_Slot sem_slots[] = {
    {Py_tp_doc, (void *)sem_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_methods, sem_methods},
    {Py_tp_getset, sem_getset},
    {0},
};

static PyType_Slot bounded_slots[] = {
    {Py_tp_doc, (void *)bounded_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_methods, sem_methods},
    {Py_tp_getset, sem_getset},
    {0},
};

int mpy_sem_ready(PyObject *module, mpy_state *state)
{
    if (mpy_handle_add(module, state, MPS_KIND_SEMAPHORE, "mpshm._types.Semaphore", 0, sem_slots) < 0) {
        return -1;
    }
    return mpy_handle_add(module, state, MPS_KIND_BOUNDED_SEMAPHORE, "mpshm._types.BoundedSemaphore", 0, bounded_slots);
}
