#include "waiting.h"

#include "step.h"

bool mpy_wait_again(mpy_wait *w, mps_status *st)
{
    if (*st != MPS_E_INTR) {
        return false;
    }
    if (PyErr_CheckSignals() < 0) {
        *st = MPY_RAISED;
        return false;
    }
    if (w->began != 0) {
        uint64_t passed = mps_os_now() - w->began;
        w->left_ns = passed < w->timeout_ns ? w->timeout_ns - passed : 0;
    }
    return true;
}

int mpy_timeout(const mpy_handle *h, PyObject *timeout, bool blocking, uint64_t *timeout_ns)
{
    *timeout_ns = blocking ? MPS_FOREVER : 0;
    if (timeout == NULL || timeout == Py_None) {
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) {
        return -1;
    }
    bool strict = mpy_is_managed(h);
    if (!blocking && (!strict || seconds == -1)) {
        return 0;
    }
    if (!blocking) {
        PyErr_SetString(PyExc_ValueError, "can't specify a timeout for a non-blocking call");
        return -1;
    }
    if (strict && seconds == -1) {
        return 0;
    }
    if (seconds != seconds || (strict && seconds < 0)) {
        PyErr_SetString(PyExc_ValueError, "timeout value must be a non-negative number");
        return -1;
    }
    if (seconds > (double)(INT64_MAX / 1000000000)) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -1;
    }
    *timeout_ns = seconds <= 0 ? 0 : (uint64_t)__builtin_ceil(seconds * 1e9);
    return 0;
}

int mpy_blocking_args(PyObject *const *args, Py_ssize_t n, PyObject *names, PyObject **timeout)
{
    static const char *const known[] = {"blocking", "timeout", "block", NULL};
    PyObject *all[3] = {NULL};
    if (!mpy_count_args("acquire", n, 0, 2) || !mpy_step_args("acquire", args, n, names, known, 0, all)) {
        return -1;
    }
    if (all[0] != NULL && all[2] != NULL) {
        PyErr_SetString(PyExc_TypeError, "acquire() got both 'blocking' and 'block'");
        return -1;
    }
    PyObject *given = all[0] != NULL ? all[0] : all[2];
    *timeout = all[1];
    return given == NULL ? 1 : PyObject_IsTrue(given);
}

int mpy_acquire_args(const mpy_handle *h, PyObject *const *args, Py_ssize_t n, PyObject *names, uint64_t *timeout_ns)
{
    PyObject *timeout = NULL;
    int blocking = mpy_blocking_args(args, n, names, &timeout);
    return blocking < 0 ? -1 : mpy_timeout(h, timeout, blocking != 0, timeout_ns);
}

int mpy_wait_timeout(PyObject *timeout, uint64_t *timeout_ns)
{
    *timeout_ns = MPS_FOREVER;
    if (timeout == NULL || timeout == Py_None) {
        return 0;
    }
    double seconds = PyFloat_AsDouble(timeout);
    if (seconds == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (seconds > (double)(INT64_MAX / 1000000000)) {
        PyErr_SetString(PyExc_OverflowError, "timeout value is too large");
        return -1;
    }
    *timeout_ns = seconds > 0 ? (uint64_t)__builtin_ceil(seconds * 1e9) : 0;
    return 0;
}

int mpy_wait_args(PyObject *const *args, Py_ssize_t n, PyObject *names, uint64_t *timeout_ns)
{
    static const char *const known[] = {"timeout", NULL};
    PyObject *all[1] = {NULL};
    if (!mpy_step_args("wait", args, n, names, known, 0, all)) {
        return -1;
    }
    return mpy_wait_timeout(all[0], timeout_ns);
}

PyObject *mpy_raise(const char *module, const char *name, const char *text)
{
    PyObject *found = PyImport_ImportModule(module);
    PyObject *error = found == NULL ? NULL : PyObject_GetAttrString(found, name);
    if (error != NULL) {
        PyErr_SetString(error, text);
    }
    Py_XDECREF(error);
    Py_XDECREF(found);
    return NULL;
}
