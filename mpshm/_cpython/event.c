/* event.c -- Event: a flag to wait for. */
#include "event.h"

#include "waiting.h"

static PyObject *event_is_set(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    bool set = false;
    mps_status st = mps_event_is_set(h->seg, h->off, &set);
    return mps_likely(st == MPS_OK) ? PyBool_FromLong(set) : mpy_fail(h, st, "look at an");
}

static PyObject *event_set(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = mps_event_set(h->seg, h->off);
    if (mps_unlikely(st != MPS_OK)) {
        return mpy_fail(h, st, "set an");
    }
    Py_RETURN_NONE;
}

static PyObject *event_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = mps_event_clear(h->seg, h->off);
    if (mps_unlikely(st != MPS_OK)) {
        return mpy_fail(h, st, "clear an");
    }
    Py_RETURN_NONE;
}

static PyObject *event_wait(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t timeout_ns = MPS_FOREVER;
    if ((n > 0 || names != NULL) && mpy_wait_args(args, n, names, &timeout_ns) < 0) {
        return NULL;
    }
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    mps_status st;
    do {
        st = mps_event_wait(h->seg, MPS_DOOR_GIL, h->off, w.left_ns);
    } while (st != MPS_OK && mpy_wait_again(&w, &st));
    return st == MPS_OK || st == MPS_E_TIMEOUT ? PyBool_FromLong(st == MPS_OK) : mpy_fail(h, st, "wait for an");
}

static PyObject *event_setup(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    Py_RETURN_NONE;
}

PyDoc_STRVAR(wait_doc, "wait($self, timeout=None)\n--\n\n"
                       "Wait until it is set, at most timeout seconds. Return whether it was.");

static PyMethodDef event_methods[] = {
    {"is_set", event_is_set, METH_NOARGS, "is_set($self, /)\n--\n\nWhether it is set."},
    {"set", event_set, METH_NOARGS, "set($self, /)\n--\n\nSet it; all who wait for it go on."},
    {"clear", event_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake it back: who waits from now on waits."},
    {"wait", MPY_FUNCTION(event_wait), METH_FASTCALL | METH_KEYWORDS, wait_doc},
    {"_setup", event_setup, METH_NOARGS, "_setup($self, /)\n--\n\nWhat a new one needs."},
    {0},
};

PyDoc_STRVAR(event_doc, "A flag in shared memory that processes wait for.");

static PyType_Slot event_slots[] = {
    {Py_tp_doc, (void *)event_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_methods, event_methods},
    {0},
};

int mpy_event_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_EVENT, "mpshm._types.Event", 0, event_slots);
}
