/* lock.c -- Lock, RLock, and the lock that every container has as its attribute `lock`.
 *
 * All are the same word in the object's head. Lock: anybody may release it. RLock and a container's: the thread that has
 * it may take it again, and no other may release it.
 */
#include "locks.h"

#include "adding.h"
#include "bound.h"
#include "reader.h"

/* A container's lock. */
typedef struct object_lock {
    PyObject_HEAD mpy_handle *handle; /* NULL only once the garbage collector has cut it off */
} object_lock;

/* ---- what all have in common ---- */

/* The lock is ours: what others had begun to change before is done, too. 1 or -1. */
static int taken(mpy_handle *h, mps_object *obj)
{
    uint32_t kind = mps_load32(&obj->mortal.kind);
    if (kind == MPS_KIND_LOCK || kind == MPS_KIND_RLOCK) {
        return mpy_adders_settle(h, obj); /* guards nothing of ours */
    }
    mps_status st = mps_object_settle(h->seg, MPS_DOOR_GIL, obj);
    if (mps_likely(st == MPS_OK)) {
        return 1;
    }
    (void)mps_userlock_release(h->seg, MPS_DOOR_GIL, &obj->user, true);
    mpy_fail(h, st, "acquire the lock of a");
    return -1;
}

int mpy_lock_acquire(mpy_handle *h, mps_object *obj, bool reentrant, uint64_t timeout_ns)
{
    mpy_wait w;
    mpy_wait_begin(&w, timeout_ns);
    mps_status st;
    do {
        st = mps_userlock_acquire(h->seg, MPS_DOOR_GIL, &obj->user, reentrant, w.left_ns);
    } while (mps_unlikely(st != MPS_OK) && mpy_wait_again(&w, &st));
    if (mps_likely(st == MPS_OK)) {
        return taken(h, obj);
    }
    if (st == MPS_E_TIMEOUT) {
        return 0;
    }
    mpy_fail(h, st, "acquire a");
    return -1;
}

static PyObject *acquire_method(mpy_handle *h, bool reentrant, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    uint64_t timeout_ns = MPS_FOREVER;
    if ((n > 0 || names != NULL) && mpy_acquire_args(h, args, n, names, &timeout_ns) < 0) {
        return NULL;
    }
    int got = mpy_lock_acquire(h, mpy_object(h), reentrant, timeout_ns);
    return got < 0 ? NULL : PyBool_FromLong(got);
}

static PyObject *enter(mpy_handle *h, bool reentrant, Py_ssize_t n)
{
    return mps_likely(n == 0) ? acquire_method(h, reentrant, NULL, 0, NULL)
                              : PyErr_Format(PyExc_TypeError, "__enter__() takes no arguments (%zd given)", n);
}

/* What threading says of a lock that a manager made, and multiprocessing of all others; the classes are both's. */
static PyObject *fail_release(mpy_handle *h, mps_status st, bool owner_only)
{
    if (st != MPS_E_NOTOWNER || !mpy_is_open(h)) {
        return mpy_fail(h, st != MPS_E_NOTOWNER ? st : MPS_E_CLOSED, "release a");
    }
    bool managed = mpy_is_managed(h);
    if (owner_only) {
        return mpy_raise("mpshm.sync", "NotHeldError",
                         managed ? "cannot release un-acquired lock"
                                 : "attempt to release recursive lock not owned by thread");
    }
    return mpy_raise("mpshm.sync", "ReleaseError",
                     managed ? "release unlocked lock" : "semaphore or lock released too many times");
}

PyObject *mpy_lock_release(mpy_handle *h, mps_object *obj, bool owner_only)
{
    mps_status st = mps_userlock_release(h->seg, MPS_DOOR_GIL, &obj->user, owner_only);
    if (mps_likely(st == MPS_OK)) {
        Py_RETURN_NONE;
    }
    return fail_release(h, st, owner_only);
}

static PyObject *release_method(mpy_handle *h, bool owner_only)
{
    return mpy_lock_release(h, mpy_object(h), owner_only);
}

bool mpy_lock_is_owned(const mpy_handle *h, mps_object *obj, bool reentrant)
{
    return reentrant ? mps_userlock_mine(h->seg, &obj->user) : mps_userlock_held(h->seg, &obj->user);
}

mps_status mpy_lock_take_back(mpy_handle *h, mps_object *obj, bool reentrant, uint32_t depth)
{
    mps_status st;
    do {
        st = mps_userlock_acquire(h->seg, MPS_DOOR_GIL, &obj->user, reentrant, MPS_FOREVER);
    } while (st == MPS_E_INTR);
    while (st == MPS_OK &&
           mps_adders_settle(h->seg, MPS_DOOR_GIL, obj, mps_region_off(&h->seg->region, obj)) == MPS_E_INTR) {
    }
    if (st == MPS_OK && depth > 1) {
        mps_userlock_deepen(&obj->user, depth);
    }
    return st;
}

/* For threading.Condition(lock): lets go of it wholly; returns how often it was taken. */
static PyObject *release_save(mpy_handle *h, bool reentrant)
{
    uint32_t depth = 0;
    mps_status st = mps_userlock_release_all(h->seg, MPS_DOOR_GIL, &mpy_object(h)->user, reentrant, &depth);
    return st == MPS_OK ? PyLong_FromUnsignedLong(depth) : fail_release(h, st, reentrant);
}

static PyObject *acquire_restore(mpy_handle *h, bool reentrant, PyObject *saved)
{
    unsigned long depth = PyLong_AsUnsignedLong(saved);
    if (depth == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (depth < 1 || depth > UINT32_MAX) {
        return PyErr_Format(PyExc_ValueError, "_acquire_restore() takes what _release_save() returned");
    }
    mps_status st = mpy_lock_take_back(h, mpy_object(h), reentrant, reentrant ? (uint32_t)depth : 1);
    if (st != MPS_OK) {
        return mpy_fail(h, st, "acquire a");
    }
    Py_RETURN_NONE;
}

static PyObject *locked(mpy_handle *h)
{
    bool held = mps_userlock_held(h->seg, &mpy_object(h)->user);
    mps_status st = mps_reader_look(h->seg, h->off);
    return st == MPS_OK ? PyBool_FromLong(held) : mpy_fail(h, st, "look at a");
}

static PyObject *owner_died(mpy_handle *h)
{
    bool died = mps_load32(&mpy_object(h)->user.died) == 1;
    mps_status st = mps_reader_look(h->seg, h->off);
    return st == MPS_OK ? PyBool_FromLong(died) : mpy_fail(h, st, "look at a");
}

/* ---- Lock and RLock ---- */

static PyObject *lock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    return acquire_method(mpy_handle_of(self), false, args, n, names);
}

static PyObject *rlock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    return acquire_method(mpy_handle_of(self), true, args, n, names);
}

static PyObject *lock_enter(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    return enter(mpy_handle_of(self), false, n);
}

static PyObject *rlock_enter(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    return enter(mpy_handle_of(self), true, n);
}

static PyObject *lock_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    return release_method(mpy_handle_of(self), false);
}

static PyObject *rlock_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    return release_method(mpy_handle_of(self), true);
}

static PyObject *lock_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return release_method(mpy_handle_of(self), false);
}

static PyObject *rlock_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return release_method(mpy_handle_of(self), true);
}

static PyObject *lock_locked(PyObject *self, PyObject *unused)
{
    (void)unused;
    return locked(mpy_handle_of(self));
}

static PyObject *lock_owner_died(PyObject *self, void *closure)
{
    (void)closure;
    return owner_died(mpy_handle_of(self));
}

static PyObject *lock_is_owned(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    return PyBool_FromLong(mpy_lock_is_owned(h, mpy_object(h), false));
}

static PyObject *rlock_is_owned(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    return PyBool_FromLong(mpy_lock_is_owned(h, mpy_object(h), true));
}

static PyObject *lock_release_save(PyObject *self, PyObject *unused)
{
    (void)unused;
    return release_save(mpy_handle_of(self), false);
}

static PyObject *rlock_release_save(PyObject *self, PyObject *unused)
{
    (void)unused;
    return release_save(mpy_handle_of(self), true);
}

static PyObject *lock_acquire_restore(PyObject *self, PyObject *saved)
{
    return acquire_restore(mpy_handle_of(self), false, saved);
}

static PyObject *rlock_acquire_restore(PyObject *self, PyObject *saved)
{
    return acquire_restore(mpy_handle_of(self), true, saved);
}

/* How often this thread has it. */
static PyObject *lock_recursion_count(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    const mps_userlock *user = &mpy_object(h)->user;
    return PyLong_FromUnsignedLong(mps_userlock_mine(h->seg, user) ? mps_load32(&user->depth) : 0);
}

static int lock_init(PyObject *self, PyObject *args, PyObject *kwds)
{
    if (PyTuple_GET_SIZE(args) == 0 && (kwds == NULL || PyDict_GET_SIZE(kwds) == 0)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() takes no arguments", Py_TYPE(self)->tp_name);
    return -1;
}

PyDoc_STRVAR(acquire_doc, "acquire($self, blocking=True, timeout=None)\n--\n\n"
                          "Take the lock; wait for it, at most timeout seconds. Return whether it was taken.");
PyDoc_STRVAR(release_doc, "release($self, /)\n--\n\nLet go of the lock. RuntimeError if it is not held.");
PyDoc_STRVAR(locked_doc, "locked($self, /)\n--\n\nWhether anybody holds the lock.");
PyDoc_STRVAR(enter_doc, "__enter__($self, /)\n--\n\nTake the lock.");
PyDoc_STRVAR(exit_doc, "__exit__($self, kind, error, trace, /)\n--\n\nLet go of the lock.");
PyDoc_STRVAR(died_doc, "Whether the lock came to its present holder from one that died.");

PyDoc_STRVAR(owned_doc, "_is_owned($self, /)\n--\n\nWhether threading.Condition may use the lock now.");
PyDoc_STRVAR(save_doc, "_release_save($self, /)\n--\n\nLet go of the lock, however often it was taken; return that.");
PyDoc_STRVAR(restore_doc, "_acquire_restore($self, saved, /)\n--\n\nTake the lock as often as _release_save() said.");
PyDoc_STRVAR(count_doc, "_recursion_count($self, /)\n--\n\nHow often this thread has taken the lock.");

static PyMethodDef lock_methods[] = {
    {"acquire", MPY_FUNCTION(lock_acquire), METH_FASTCALL | METH_KEYWORDS, acquire_doc},
    {"release", lock_release, METH_NOARGS, release_doc},
    {"locked", lock_locked, METH_NOARGS, locked_doc},
    {"_is_owned", lock_is_owned, METH_NOARGS, owned_doc},
    {"_release_save", lock_release_save, METH_NOARGS, save_doc},
    {"_acquire_restore", lock_acquire_restore, METH_O, restore_doc},
    {"_recursion_count", lock_recursion_count, METH_NOARGS, count_doc},
    {0},
};

static PyMethodDef rlock_methods[] = {
    {"acquire", MPY_FUNCTION(rlock_acquire), METH_FASTCALL | METH_KEYWORDS, acquire_doc},
    {"release", rlock_release, METH_NOARGS, release_doc},
    {"locked", lock_locked, METH_NOARGS, locked_doc},
    {"_is_owned", rlock_is_owned, METH_NOARGS, owned_doc},
    {"_release_save", rlock_release_save, METH_NOARGS, save_doc},
    {"_acquire_restore", rlock_acquire_restore, METH_O, restore_doc},
    {"_recursion_count", lock_recursion_count, METH_NOARGS, count_doc},
    {0},
};

static PyGetSetDef lock_getset[] = {
    {"owner_died", lock_owner_died, NULL, died_doc, NULL},
    {0},
};

PyDoc_STRVAR(lock_doc, "Lock()\n--\n\nA lock in shared memory. One whose holder died goes to the next that asks.");
PyDoc_STRVAR(rlock_doc, "RLock()\n--\n\nA lock in shared memory that the thread which holds it may take again.");

static PyType_Slot lock_slots[] = {
    {Py_tp_doc, (void *)lock_doc}, {Py_tp_new, (void *)mpy_handle_new}, {Py_tp_init, (void *)lock_init},
    {Py_tp_methods, lock_methods}, {Py_tp_getset, lock_getset},         {0},
};

static PyType_Slot rlock_slots[] = {
    {Py_tp_doc, (void *)rlock_doc}, {Py_tp_new, (void *)mpy_handle_new}, {Py_tp_init, (void *)lock_init},
    {Py_tp_methods, rlock_methods}, {Py_tp_getset, lock_getset},         {0},
};

/* ---- a container's lock ---- */

PyObject *mpy_handle_lock(PyObject *self, void *closure)
{
    (void)closure;
    PyTypeObject *type = mpy_handle_of(self)->state->object_lock_type;
    object_lock *made = PyObject_GC_New(object_lock, type);
    if (made != NULL) {
        made->handle = (mpy_handle *)Py_NewRef(self);
        PyObject_GC_Track(made);
    }
    return (PyObject *)made;
}

static mpy_handle *container(PyObject *self)
{
    return ((object_lock *)self)->handle;
}

static PyObject *object_acquire(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    return acquire_method(container(self), true, args, n, names);
}

static PyObject *object_enter(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    return enter(container(self), true, n);
}

static PyObject *object_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    return release_method(container(self), true);
}

static PyObject *object_exit(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    return release_method(container(self), true);
}

static PyObject *object_locked(PyObject *self, PyObject *unused)
{
    (void)unused;
    return locked(container(self));
}

static PyObject *object_owner_died(PyObject *self, void *closure)
{
    (void)closure;
    return owner_died(container(self));
}

static int object_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((object_lock *)self)->handle);
    return 0;
}

static void object_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((object_lock *)self)->handle);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

static PyMethodDef object_methods[] = {
    {"acquire", MPY_FUNCTION(object_acquire), METH_FASTCALL | METH_KEYWORDS, acquire_doc},
    {"release", object_release, METH_NOARGS, release_doc},
    {"locked", object_locked, METH_NOARGS, locked_doc},
    {0},
};

static PyGetSetDef object_getset[] = {
    {"owner_died", object_owner_died, NULL, died_doc, NULL},
    {0},
};

PyDoc_STRVAR(object_doc, "The lock of a container, for several steps: while it is held, the others' changes wait.");

static PyType_Slot object_slots[] = {
    {Py_tp_doc, (void *)object_doc}, {Py_tp_dealloc, (void *)object_dealloc}, {Py_tp_traverse, (void *)object_traverse},
    {Py_tp_methods, object_methods}, {Py_tp_getset, object_getset},           {0},
};

static PyType_Spec object_spec = {
    .name = "mpshm._types.ObjectLock",
    .basicsize = sizeof(object_lock),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = object_slots,
};

int mpy_lock_ready(PyObject *module, mpy_state *state)
{
    if (mpy_handle_add(module, state, MPS_KIND_LOCK, "mpshm._types.Lock", 0, lock_slots) < 0 ||
        mpy_handle_add(module, state, MPS_KIND_RLOCK, "mpshm._types.RLock", 0, rlock_slots) < 0) {
        return -1;
    }
    PyTypeObject *lock = state->base[mpy_kind_index(MPS_KIND_LOCK)];
    PyTypeObject *rlock = state->base[mpy_kind_index(MPS_KIND_RLOCK)];
    state->object_lock_type = mpy_type_add(module, &object_spec, NULL, true);
    PyTypeObject *object = state->object_lock_type;
    if (object == NULL || mpy_bound_add(state, lock, "__enter__", lock_enter, enter_doc) < 0 ||
        mpy_bound_add(state, lock, "__exit__", lock_exit, exit_doc) < 0 ||
        mpy_bound_add(state, rlock, "__enter__", rlock_enter, enter_doc) < 0 ||
        mpy_bound_add(state, rlock, "__exit__", rlock_exit, exit_doc) < 0 ||
        mpy_bound_add(state, object, "__enter__", object_enter, enter_doc) < 0 ||
        mpy_bound_add(state, object, "__exit__", object_exit, exit_doc) < 0) {
        return -1;
    }
    return 0;
}
