/* cond.c -- Condition: waiting with a lock let go of.
 *
 * The lock is another object, which the condition refers to: its methods here work on it directly, so that a handle on the condition is
 * enough. wait() gives the lock back to its caller whatever happens, exceptions included, and signals wait until then.
 */
#include "cond.h"

#include "locks.h"
#include "refs.h"
#include "step.h"

/* The lock; NULL with an exception. */
static mps_object *lock_of(mpy_handle *h, bool *reentrant)
{
    mps_object *lock = mps_cond_lock(h->seg, h->off);
    if (mps_unlikely(lock == NULL)) {
        mpy_fail(h, MPS_E_CORRUPT, "find the lock of a");
        return NULL;
    }
    *reentrant = mps_load32(&lock->mortal.kind) == MPS_KIND_RLOCK;
    return lock;
}

/* ---- the lock's methods ---- */

static PyObject *cond_acquire(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t timeout_ns = MPS_FOREVER;
    bool reentrant;
    if ((n > 0 || names != NULL) && mpy_acquire_args(h, args, n, names, &timeout_ns) < 0) {
        return NULL;
    }
    mps_object *lock = lock_of(h, &reentrant);
    int got = lock == NULL ? -1 : mpy_lock_acquire(h, lock, reentrant, timeout_ns);
    return got < 0 ? NULL : PyBool_FromLong(got);
}

static PyObject *cond_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    bool reentrant;
    mps_object *lock = lock_of(h, &reentrant);
    return lock == NULL ? NULL : mpy_lock_release(h, lock, reentrant);
}

static PyObject *cond_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return cond_acquire(self, NULL, 0, NULL);
}

static PyObject *cond_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return cond_release(self, NULL);
}

static PyObject *cond_is_owned(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    bool reentrant;
    mps_object *lock = lock_of(h, &reentrant);
    return lock == NULL ? NULL : PyBool_FromLong(mpy_lock_is_owned(h, lock, reentrant));
}

/* The lock, if it is held as it must be; else NULL with the error that threading, or multiprocessing, has for it. */
static mps_object *owned_lock(mpy_handle *h, bool *reentrant, const char *threading, const char *multiprocessing)
{
    if (!mpy_is_open(h) || h->seg->region.readonly) {
        mpy_fail(h, mpy_is_open(h) ? MPS_E_READONLY : MPS_E_CLOSED, "use a");
        return NULL;
    }
    mps_object *lock = lock_of(h, reentrant);
    if (lock != NULL && mps_unlikely(!mpy_lock_is_owned(h, lock, *reentrant))) {
        mpy_raise("mpshm.sync", "NotHeldError", mpy_is_managed(h) ? threading : multiprocessing);
        return NULL;
    }
    return lock;
}

/* ---- waiting ---- */

/* Sleeps, with the lock let go of: MPS_OK, MPS_E_TIMEOUT, or a failure after which the turn is over as well. */
static mps_status sleep_on(mpy_handle *h, const mps_turn *turn, uint64_t timeout_ns)
{
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    mps_status st;
    do {
        st = mps_cond_wait(h->seg, MPS_DOOR_GIL, h->off, turn, w.left_ns);
    } while (st != MPS_OK && mpy_wait_again(&w, &st));
    if (st != MPS_OK && st != MPS_E_TIMEOUT) {
        (void)mps_cond_quit(h->seg, MPS_DOOR_GIL, h->off,
                            turn); /* in a segment that has ended nobody is left to notify */
    }
    return st;
}

static PyObject *cond_wait(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t timeout_ns = MPS_FOREVER;
    bool reentrant;
    if ((n > 0 || names != NULL) && mpy_wait_args(args, n, names, &timeout_ns) < 0) {
        return NULL;
    }
    mps_object *lock =
        owned_lock(h, &reentrant, "cannot wait on un-acquired lock", "must acquire() condition before using wait()");
    if (lock == NULL) {
        return NULL;
    }
    mps_turn turn;
    uint32_t depth = 1;
    mps_status st = mps_cond_enter(h->seg, MPS_DOOR_GIL, h->off, &turn);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "wait for a");
    }
    st = mps_userlock_release_all(h->seg, MPS_DOOR_GIL, &lock->user, reentrant, &depth);
    if (mps_unlikely(st != MPS_OK)) { /* another thread was faster to release a Lock */
        (void)mps_cond_quit(h->seg, MPS_DOOR_GIL, h->off, &turn);
        return mpy_raise("mpshm.sync", "NotHeldError", "cannot wait on un-acquired lock");
    }
    st = sleep_on(h, &turn, timeout_ns);
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    mps_status back = mpy_lock_take_back(h, lock, reentrant, depth);
    PyErr_Restore(type, error, trace);
    if (st == MPY_RAISED) {
        return NULL;
    }
    if (st == MPS_OK || st == MPS_E_TIMEOUT) {
        return back == MPS_OK ? PyBool_FromLong(st == MPS_OK) : mpy_fail(h, back, "acquire the lock of a");
    }
    return mpy_fail(h, st, "wait for a");
}

/* ---- notifying ---- */

static PyObject *notify(mpy_handle *h, uint64_t n)
{
    bool reentrant;
    if (owned_lock(h, &reentrant, "cannot notify on un-acquired lock", "lock is not owned") == NULL) {
        return NULL;
    }
    mps_status st = mps_cond_notify(h->seg, MPS_DOOR_GIL, h->off, n);
    if (mps_unlikely(st != MPS_OK)) {
        return mpy_fail(h, st, "notify a");
    }
    Py_RETURN_NONE;
}

static PyObject *cond_notify(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"n", NULL};
    PyObject *all[1] = {NULL};
    if (!mpy_step_args("notify", args, n, names, known, 0, all)) {
        return NULL;
    }
    Py_ssize_t count = all[0] == NULL ? 1 : PyNumber_AsSsize_t(all[0], NULL);
    if (count == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return notify(mpy_handle_of(self), count > 0 ? (uint64_t)count : 0);
}

static PyObject *cond_notify_all(PyObject *self, PyObject *unused)
{
    (void)unused;
    return notify(mpy_handle_of(self), UINT64_MAX);
}

static PyObject *cond_waiting(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    mps_status st = mps_cond_waiting(h->seg, MPS_DOOR_GIL, h->off, &n);
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(n) : mpy_fail(h, st, "look at a");
}

/* ---- making ---- */

static PyObject *cond_setup(PyObject *self, PyObject *lock)
{
    mpy_handle *h = mpy_handle_of(self);
    mpy_state *state = h->state;
    if (!mpy_is_handle(state, lock) ||
        !(mpy_is_kind(state, lock, MPS_KIND_LOCK) || mpy_is_kind(state, lock, MPS_KIND_RLOCK))) {
        PyErr_Format(
            PyExc_TypeError,
            "a Condition in shared memory needs a Lock or an RLock of the same segment, not %s: leave it out, or make "
            "one beside the condition",
            Py_TYPE(lock)->tp_name);
        return NULL;
    }
    if (mpy_handle_of(lock)->seg != h->seg) {
        PyErr_SetString(PyExc_ValueError,
                        "the lock is in another segment than the Condition: make both with the same manager, or "
                        "both without one");
        return NULL;
    }
    mps_status st = mps_cond_init(h->seg, MPS_DOOR_GIL, h->off, mpy_handle_of(lock)->off);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "make a");
    }
    Py_RETURN_NONE;
}

static PyObject *cond_lock_handle(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    bool reentrant;
    mps_object *lock = lock_of(h, &reentrant);
    if (lock == NULL) {
        return NULL;
    }
    mps_off off = mps_region_off(&h->seg->region, lock);
    mps_status st = mps_ref_attach(h->seg, MPS_DOOR_GIL, off, mps_load64(&lock->serial), 0);
    return st == MPS_OK ? mpy_handle_wrap(h->state, h->seg, h->segment, off) : mpy_fail(h, st, "find the lock of a");
}

PyDoc_STRVAR(acquire_doc, "acquire($self, blocking=True, timeout=None)\n--\n\n"
                          "Take the lock; wait for it, at most timeout seconds. Return whether it was taken.");
PyDoc_STRVAR(release_doc, "release($self, /)\n--\n\nLet go of the lock.");
PyDoc_STRVAR(enter_doc, "__enter__($self, /)\n--\n\nTake the lock.");
PyDoc_STRVAR(exit_doc, "__exit__($self, kind, error, trace, /)\n--\n\nLet go of the lock.");
PyDoc_STRVAR(wait_doc,
             "wait($self, timeout=None)\n--\n\nLet go of the lock, wait until notified, at most timeout seconds, "
             "and take the lock again. Return whether it was notified.");
PyDoc_STRVAR(notify_doc, "notify($self, n=1)\n--\n\nLet n of those who wait go on, the ones that came first.");
PyDoc_STRVAR(all_doc, "notify_all($self, /)\n--\n\nLet all who wait go on.");
PyDoc_STRVAR(owned_doc, "_is_owned($self, /)\n--\n\nWhether the lock is held as wait() and notify() need it.");
PyDoc_STRVAR(waiting_doc, "_waiting($self, /)\n--\n\nHow many wait.");
PyDoc_STRVAR(setup_doc, "_setup($self, lock, /)\n--\n\nThe lock of a new one.");
PyDoc_STRVAR(handle_doc, "_lock_handle($self, /)\n--\n\nA new handle on the lock.");

static PyMethodDef cond_methods[] = {
    {"acquire", MPY_FUNCTION(cond_acquire), METH_FASTCALL | METH_KEYWORDS, acquire_doc},
    {"release", cond_release, METH_NOARGS, release_doc},
    {"__enter__", cond_enter, METH_NOARGS, enter_doc},
    {"__exit__", MPY_FUNCTION(cond_exit), METH_FASTCALL, exit_doc},
    {"wait", MPY_FUNCTION(cond_wait), METH_FASTCALL | METH_KEYWORDS, wait_doc},
    {"notify", MPY_FUNCTION(cond_notify), METH_FASTCALL | METH_KEYWORDS, notify_doc},
    {"notify_all", cond_notify_all, METH_NOARGS, all_doc},
    {"_is_owned", cond_is_owned, METH_NOARGS, owned_doc},
    {"_waiting", cond_waiting, METH_NOARGS, waiting_doc},
    {"_setup", cond_setup, METH_O, setup_doc},
    {"_lock_handle", cond_lock_handle, METH_NOARGS, handle_doc},
    {0},
};

PyDoc_STRVAR(cond_doc, "A condition variable in shared memory.");

static PyType_Slot cond_slots[] = {
    {Py_tp_doc, (void *)cond_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_methods, cond_methods},
    {0},
};

int mpy_cond_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_CONDITION, "mpshm._types.Condition", 0, cond_slots);
}
