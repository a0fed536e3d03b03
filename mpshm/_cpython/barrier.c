/* barrier.c -- Barrier: a place where processes wait for each other.
 *
 * The last to come runs the action here, with nothing locked; whether it returns or raises, the others are told, and no signal can
 * come between the arrival and that.
 */
#include "barrier.h"

#include "encode.h"
#include "step.h"
#include "waiting.h"

#define NO_TIMEOUT UINT64_MAX /* the bits of no number that float() makes */

static mps_barrier_object *barrier_of(const mpy_handle *h)
{
    return (mps_barrier_object *)mpy_object(h);
}

/* ---- waiting ---- */

/* Comes to the barrier, when no action is being run. */
static mps_status arrive(mpy_handle *h, mps_arrival *a)
{
    mps_status st = mps_barrier_arrive(h->seg, MPS_DOOR_GIL, h->off, a);
    while (st == MPS_E_BUSY) {
        mpy_wait w;
        mpy_wait_begin(&w, MPS_FOREVER);
        do {
            st = mps_barrier_settle(h->seg, MPS_DOOR_GIL, h->off, w.left_ns);
        } while (st != MPS_OK && mpy_wait_again(&w, &st));
        if (st == MPS_OK) {
            st = mps_barrier_arrive(h->seg, MPS_DOOR_GIL, h->off, a);
        }
    }
    return st;
}

/* Waits for the others; goes away from them when that fails. */
static mps_status wait_for_others(mpy_handle *h, mps_arrival *a, uint64_t timeout_ns)
{
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    mps_status st;
    do {
        st = mps_barrier_wait(h->seg, MPS_DOOR_GIL, h->off, a, w.left_ns);
    } while (st != MPS_OK && mpy_wait_again(&w, &st));
    if (st != MPS_OK) {
        (void)mps_barrier_quit(h->seg, MPS_DOOR_GIL, h->off, a); /* in a segment that has ended nobody is left */
    }
    return st;
}

/* Runs the action and tells the others. */
static mps_status run_action(mpy_handle *h, mps_arrival *a)
{
    PyObject *done = PyObject_CallMethod((PyObject *)h, "_act", NULL);
    bool well = done != NULL;
    PyObject *type, *error, *trace;
    Py_XDECREF(done);
    PyErr_Fetch(&type, &error, &trace);
    mps_status st = mps_barrier_finish(h->seg, MPS_DOOR_GIL, h->off, well, a);
    PyErr_Restore(type, error, trace);
    return well ? st : MPY_RAISED;
}

/* What a call's timeout means; without one, the barrier's own. */
static int timeout_of(const mpy_handle *h, PyObject *timeout, uint64_t *timeout_ns)
{
    uint64_t bits = mps_load64(&barrier_of(h)->timeout);
    if ((timeout != NULL && timeout != Py_None) || bits == NO_TIMEOUT) {
        return mpy_wait_timeout(timeout, timeout_ns);
    }
    double seconds;
    memcpy(&seconds, &bits, sizeof seconds);
    PyObject *number = PyFloat_FromDouble(seconds);
    int done = number == NULL ? -1 : mpy_wait_timeout(number, timeout_ns);
    Py_XDECREF(number);
    return done;
}

static PyObject *barrier_wait(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"timeout", NULL};
    mpy_handle *h = mpy_handle_of(self);
    PyObject *all[1] = {NULL};
    uint64_t timeout_ns;
    if (((n > 0 || names != NULL) && !mpy_step_args("wait", args, n, names, known, 0, all)) ||
        timeout_of(h, all[0], &timeout_ns) < 0) {
        return NULL;
    }
    mps_arrival a = {0};
    mps_status st = arrive(h, &a);
    if (st == MPS_OK && a.outcome == MPS_BARRIER_WAITS) {
        st = wait_for_others(h, &a, timeout_ns);
    } else if (st == MPS_OK && a.outcome == MPS_BARRIER_RUNS) {
        st = run_action(h, &a);
    }
    if (st != MPS_OK) {
        return mpy_fail(h, st, "wait at a");
    }
    if (a.outcome != MPS_BARRIER_PASSED) {
        return mpy_raise("threading", "BrokenBarrierError", "the barrier is broken, or was reset");
    }
    return PyLong_FromUnsignedLong(a.index);
}

/* ---- breaking, looking ---- */

static PyObject *break_up(PyObject *self, bool lasting)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = mps_barrier_break(h->seg, MPS_DOOR_GIL, h->off, lasting);
    if (st != MPS_OK) {
        return mpy_fail(h, st, lasting ? "abort a" : "reset a");
    }
    Py_RETURN_NONE;
}

static PyObject *barrier_reset(PyObject *self, PyObject *unused)
{
    (void)unused;
    return break_up(self, false);
}

static PyObject *barrier_abort(PyObject *self, PyObject *unused)
{
    (void)unused;
    return break_up(self, true);
}

static PyObject *barrier_parties(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLong((uint32_t)mps_load64(&barrier_of(mpy_handle_of(self))->parties));
}

static PyObject *barrier_n_waiting(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    mps_status st = mps_barrier_waiting(h->seg, MPS_DOOR_GIL, h->off, &n);
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(n) : mpy_fail(h, st, "look at a");
}

static PyObject *barrier_broken(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    bool broken = false;
    mps_status st = mps_barrier_is_broken(h->seg, MPS_DOOR_GIL, h->off, &broken);
    return st == MPS_OK ? PyBool_FromLong(broken) : mpy_fail(h, st, "look at a");
}

/* ---- the action, making ---- */

static PyObject *barrier_action(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = mps_barrier_action(h->seg, MPS_DOOR_GIL, h->off, &copy);
    if (st == MPS_OK) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return mpy_fail(h, st, "find the action of a");
}

static PyObject *barrier_is_local(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong((mps_load64(&barrier_of(mpy_handle_of(self))->parties) & MPS_BARRIER_LOCAL) != 0);
}

/* (parties, action, timeout, local), all checked but for whether the action can be pickled. */
static PyObject *barrier_store(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_count_args("_store", n, 4, 4)) {
        return NULL;
    }
    Py_ssize_t parties = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
    if (parties == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (parties < 1 || parties > (Py_ssize_t)INT32_MAX) {
        return PyErr_Format(PyExc_ValueError, parties < 1 ? "parties must be >= 1" : "there can't be so many parties");
    }
    uint64_t bits = NO_TIMEOUT;
    if (args[2] != Py_None) {
        double seconds = PyFloat_AsDouble(args[2]);
        if (seconds == -1 && PyErr_Occurred()) {
            return NULL;
        }
        memcpy(&bits, &seconds, sizeof bits);
    }
    int local = PyObject_IsTrue(args[3]);
    mps_enc enc;
    mpy_hold hold = {0};
    if (local < 0 || mpy_encode_value(h, args[1], &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    uint64_t word = (uint64_t)parties | (local ? MPS_BARRIER_LOCAL : 0);
    mps_status st = mps_barrier_init(h->seg, MPS_DOOR_GIL, h->off, word, bits, &enc);
    mpy_hold_done(&hold);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "make a");
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(wait_doc,
             "wait($self, timeout=None)\n--\n\nWait until all parties wait, at most timeout seconds. Return this "
             "one's number, from 0 to parties - 1.");
PyDoc_STRVAR(reset_doc, "reset($self, /)\n--\n\nMake it as new; who waits gets BrokenBarrierError.");
PyDoc_STRVAR(abort_doc, "abort($self, /)\n--\n\nBreak it; who waits, or comes later, gets BrokenBarrierError.");
PyDoc_STRVAR(action_doc, "_stored_action($self, /)\n--\n\nThe action as every process gets it.");
PyDoc_STRVAR(local_doc,
             "_is_local($self, /)\n--\n\nWhether the action can't be pickled, and so is some handles' alone.");
PyDoc_STRVAR(store_doc, "_store($self, parties, action, timeout, local, /)\n--\n\nWhat a new one needs.");

static PyMethodDef barrier_methods[] = {
    {"wait", MPY_FUNCTION(barrier_wait), METH_FASTCALL | METH_KEYWORDS, wait_doc},
    {"reset", barrier_reset, METH_NOARGS, reset_doc},
    {"abort", barrier_abort, METH_NOARGS, abort_doc},
    {"_stored_action", barrier_action, METH_NOARGS, action_doc},
    {"_is_local", barrier_is_local, METH_NOARGS, local_doc},
    {"_store", MPY_FUNCTION(barrier_store), METH_FASTCALL, store_doc},
    {0},
};

static PyGetSetDef barrier_getset[] = {
    {"parties", barrier_parties, NULL, "How many wait for each other.", NULL},
    {"n_waiting", barrier_n_waiting, NULL, "How many wait now.", NULL},
    {"broken", barrier_broken, NULL, "Whether it is broken.", NULL},
    {0},
};

PyDoc_STRVAR(barrier_doc, "A place in shared memory where processes wait for each other.");

static PyType_Slot barrier_slots[] = {
    {Py_tp_doc, (void *)barrier_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_methods, barrier_methods},
    {Py_tp_getset, barrier_getset},
    {0},
};

int mpy_barrier_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_BARRIER, "mpshm._types.Barrier", 0, barrier_slots);
}
