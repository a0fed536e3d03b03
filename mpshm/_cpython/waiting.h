/* waiting.h -- waits on behalf of Python: how long they last, and what a signal does to them.
 *
 * The objects that a manager makes take timeouts as threading's and queue's do: -1 and None are for ever, other negative numbers and
 * a timeout for a call that does not wait are errors. All others take them as multiprocessing's: what is negative has passed, and a
 * timeout for a call that does not wait means nothing.
 */
#ifndef MPY_WAITING_H
#define MPY_WAITING_H

#include "handle.h"
#include "os.h"

/* A wait of the core that is called again after each signal, with the time that is left. */
typedef struct mpy_wait {
    uint64_t timeout_ns; /* MPS_FOREVER; 0: do not wait */
    uint64_t left_ns;    /* what to give the core */
    uint64_t began;
} mpy_wait;

static inline void mpy_wait_begin(mpy_wait *w, uint64_t timeout_ns)
{
    *w = (mpy_wait){timeout_ns, timeout_ns, 0};
    if (timeout_ns != 0 && timeout_ns != MPS_FOREVER) {
        w->began = mps_os_now();
    }
}

/* After a status other than MPS_OK: true: signals were looked at, call again with left_ns. False: *st is final, MPY_RAISED if a
 * signal's handler raised. */
bool mpy_wait_again(mpy_wait *w, mps_status *st);

/* A timeout in seconds (NULL or None: for ever) as nanoseconds: 0, or -1 with an exception. */
int mpy_timeout(const mpy_handle *h, PyObject *timeout, bool blocking, uint64_t *timeout_ns);
/* (blocking=True, timeout=None), as acquire() takes them; multiprocessing's locks call the first one block. Returns
 * whether to block, or -1 with an exception; the timeout is NULL if none is given. */
int mpy_blocking_args(PyObject *const *args, Py_ssize_t n, PyObject *names, PyObject **timeout);
/* The same, and the timeout in nanoseconds: 0, or -1 with an exception. */
int mpy_acquire_args(const mpy_handle *h, PyObject *const *args, Py_ssize_t n, PyObject *names, uint64_t *timeout_ns);

/* (timeout=None) of wait(): as above, but what is negative has passed, whoever made the object, and no number at all is too. */
int mpy_wait_args(PyObject *const *args, Py_ssize_t n, PyObject *names, uint64_t *timeout_ns);
int mpy_wait_timeout(PyObject *timeout, uint64_t *timeout_ns);

/* Raises module.name(text), a class that Python code defines: always NULL. */
PyObject *mpy_raise(const char *module, const char *name, const char *text);

#endif
