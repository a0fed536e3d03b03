/* adding.c -- Adder and ArrayAdder: what Synchronized and SynchronizedArray add by.
 *
 * An adder is bound to a buffer (a ctypes object's) and to the lock that goes with it. Where the lock is one of ours and free, a sum
 * is one addition of the processor's (adder.h of the core); where it is not free, or a foreign one, the lock is taken around it.
 */
#include "adding.h"

#include <structmember.h>

#include "encode.h"
#include "step.h"

typedef struct adder {
    PyObject_HEAD Py_buffer view; /* view.obj is NULL until it is bound */
    mpy_handle *lock;             /* the lock if it is a Lock or RLock of ours; else NULL */
    mpy_handle *quick;            /* the same, borrowed, if the numbers are whole ones; else NULL */
    mps_number type;              /* NONE: can't be added to */
    /* What multiprocessing's wrappers keep in themselves; here they need no dict for it, which makes each access faster. */
    PyObject *obj, *its_lock, *acquire, *release;
} adder;

/* ---- what is bound ---- */

static mps_number number_of(const char *format, Py_ssize_t itemsize)
{
    static const mps_number whole[2][4] = {
        {MPS_NUMBER_INT8, MPS_NUMBER_INT16, MPS_NUMBER_INT32, MPS_NUMBER_INT64},
        {MPS_NUMBER_UINT8, MPS_NUMBER_UINT16, MPS_NUMBER_UINT32, MPS_NUMBER_UINT64},
    };
    const char native = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>';
    if (format == NULL || (format[0] != native && format[0] != '@' && format[0] != '=') || format[1] == 0 ||
        format[2] != 0) {
        return MPS_NUMBER_NONE;
    }
    if (format[1] == 'f' && itemsize == sizeof(float)) {
        return MPS_NUMBER_FLOAT;
    }
    if (format[1] == 'd' && itemsize == sizeof(double)) {
        return MPS_NUMBER_DOUBLE;
    }
    unsigned size = itemsize == 1 ? 0 : itemsize == 2 ? 1 : itemsize == 4 ? 2 : itemsize == 8 ? 3 : 4;
    bool is_signed = strchr("bhilq", format[1]) != NULL;
    bool is_unsigned = strchr("BHILQ", format[1]) != NULL;
    return size < 4 && (is_signed || is_unsigned) ? whole[is_unsigned][size] : MPS_NUMBER_NONE;
}

/* Whether it is a lock that adders and holders agree on. */
static bool is_ours(mpy_state *state, PyObject *lock)
{
    return mpy_is_handle(state, lock) &&
           (mpy_is_kind(state, lock, MPS_KIND_LOCK) || mpy_is_kind(state, lock, MPS_KIND_RLOCK));
}

static PyObject *adder_bind(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    adder *a = (adder *)self;
    if (!mpy_count_args("_bind", n, 2, 2)) {
        return NULL;
    }
    if (a->view.obj != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "it has its memory already");
        return NULL;
    }
    if (PyObject_GetBuffer(args[0], &a->view, PyBUF_WRITABLE | PyBUF_FORMAT | PyBUF_ND) < 0) {
        return NULL;
    }
    a->type = a->view.ndim <= 1 ? number_of(a->view.format, a->view.itemsize) : MPS_NUMBER_NONE;
    if (a->type != MPS_NUMBER_NONE && (uintptr_t)a->view.buf % (uintptr_t)a->view.itemsize != 0) {
        a->type = MPS_NUMBER_NONE;
    }
    if (is_ours(mpy_state_of_type(Py_TYPE(self)), args[1])) {
        a->lock = (mpy_handle *)Py_NewRef(args[1]);
        a->quick = a->type != MPS_NUMBER_NONE && !mps_number_is_float(a->type) ? a->lock : NULL;
    }
    Py_RETURN_NONE;
}

/* ---- adding ---- */

typedef union sum {
    uint64_t whole;
    double real;
} sum;

static inline sum add_now(const adder *a, void *at, sum n)
{
    if (mps_number_is_float(a->type)) {
        return (sum){.real = mps_number_add_float(at, a->type, n.real)};
    }
    return (sum){.whole = mps_number_add(at, a->type, n.whole)};
}

/* Under the lock, taken as everybody takes it. */
static int add_locked(const adder *a, void *at, sum n, sum *out)
{
    PyObject *acquire = Py_XNewRef(a->acquire);
    PyObject *release = Py_XNewRef(a->release);
    PyObject *done = NULL;
    if (acquire == NULL || release == NULL) {
        PyErr_SetString(PyExc_AttributeError, "its acquire or release was deleted");
    } else if ((done = PyObject_CallNoArgs(acquire)) != NULL) {
        *out = add_now(a, at, n);
        Py_SETREF(done, PyObject_CallNoArgs(release));
    }
    int failed = done == NULL ? -1 : 0;
    Py_XDECREF(acquire);
    Py_XDECREF(release);
    Py_XDECREF(done);
    return failed;
}

/* What is added: 1 where nothing was given. */
static int addend(const adder *a, PyObject *given, sum *n)
{
    int64_t small = 1;
    if (given == NULL || mps_likely(PyLong_CheckExact(given) && mpy_small_int(given, &small))) {
        if (mps_number_is_float(a->type)) {
            n->real = (double)small;
        } else {
            n->whole = (uint64_t)small;
        }
        return 0;
    }
    if (mps_number_is_float(a->type)) {
        n->real = PyFloat_AsDouble(given);
        return n->real == -1.0 && PyErr_Occurred() ? -1 : 0;
    }
    PyObject *index = PyNumber_Index(given);
    if (index == NULL) {
        return -1;
    }
    n->whole = PyLong_AsUnsignedLongLongMask(index); /* what is too large is cut off, as ctypes does */
    Py_DECREF(index);
    return n->whole == (uint64_t)-1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *refuse(const adder *a)
{
    PyErr_SetString(PyExc_TypeError, a->view.obj == NULL ? "add() before __init__()"
                                                         : "add() takes a Value or an Array of ints or floats only");
    return NULL;
}

/* Any number, whatever the lock. */
__attribute__((noinline)) static PyObject *add_slowly(const adder *a, void *at, PyObject *given)
{
    if (a->type == MPS_NUMBER_NONE) {
        return refuse(a);
    }
    sum n;
    sum made;
    if (mps_unlikely(addend(a, given, &n) < 0)) {
        return NULL;
    }
    mpy_handle *lock = a->lock;
    if (mps_likely(lock != NULL && mps_adder_enter(lock->seg, mpy_object(lock), lock->off))) {
        made = add_now(a, at, n);
        mps_adder_leave(lock->seg);
    } else if (add_locked(a, at, n, &made) < 0) {
        return NULL;
    }
    if (mps_number_is_float(a->type)) {
        return PyFloat_FromDouble(made.real);
    }
    return a->type == MPS_NUMBER_UINT64 ? PyLong_FromUnsignedLongLong(made.whole) : PyLong_FromLong((long)made.whole);
}

/* The commonest by itself: an int of one digit, to an int, beside a free lock. */
static inline PyObject *add_at(const adder *a, void *at, PyObject *given)
{
    int64_t n = 1;
    mpy_handle *lock = a->quick;
    if (mps_likely(lock != NULL && (given == NULL || (PyLong_CheckExact(given) && mpy_small_int(given, &n))) &&
                   mps_adder_enter_free(lock->seg, mpy_object(lock), lock->off))) {
        mps_number type = a->type;
        mps_seg *seg = lock->seg;
        uint64_t made = mps_number_add(at, type, (uint64_t)n);
        mps_adder_leave(seg);
        return mps_likely(type != MPS_NUMBER_UINT64) ? PyLong_FromLong((long)made) : PyLong_FromUnsignedLongLong(made);
    }
    return add_slowly(a, at, given);
}

/* add(n=1), the argument with its name. */
__attribute__((noinline)) static PyObject *add_named(const adder *a, PyObject *const *args, Py_ssize_t n,
                                                     PyObject *names)
{
    static const char *const known[] = {"n", NULL};
    PyObject *all[1] = {NULL};
    return mpy_step_args("add", args, n, names, known, 0, all) ? add_at(a, a->view.buf, all[0]) : NULL;
}

static PyObject *adder_add(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    const adder *a = (const adder *)self;
    if (mps_unlikely(n > 1 || names != NULL)) {
        return add_named(a, args, n, names);
    }
    return add_at(a, a->view.buf, n == 1 ? args[0] : NULL);
}

static PyObject *array_adder_add(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    static const char *const known[] = {"index", "n", NULL};
    adder *a = (adder *)self;
    PyObject *all[2] = {NULL};
    if (!mpy_step_args("add", args, n, names, known, 1, all)) {
        return NULL;
    }
    if (a->type == MPS_NUMBER_NONE) {
        return refuse(a);
    }
    Py_ssize_t index = PyNumber_AsSsize_t(all[0], PyExc_IndexError);
    if (index == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_ssize_t length = a->view.len / a->view.itemsize;
    index += index < 0 ? length : 0;
    if (index < 0 || index >= length) {
        PyErr_SetString(PyExc_IndexError, "invalid index");
        return NULL;
    }
    return add_at(a, (char *)a->view.buf + index * a->view.itemsize, all[1]);
}

/* ---- the lock's side ---- */

int mpy_adders_wait(mpy_handle *h, mps_object *lock)
{
    mps_off off = mps_region_off(&h->seg->region, lock);
    mps_status st = MPS_OK;
    do {
        st = mps_adders_wait(h->seg, MPS_DOOR_GIL, off);
    } while (mps_unlikely(st == MPS_E_INTR) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return 1;
    }
    (void)mps_userlock_release(h->seg, MPS_DOOR_GIL, &lock->user, true);
    mpy_fail(h, st, "acquire a");
    return -1;
}

/* ---- the types ---- */

static int adder_traverse(PyObject *self, visitproc visit, void *arg)
{
    adder *a = (adder *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(a->view.obj);
    Py_VISIT(a->lock);
    Py_VISIT(a->obj);
    Py_VISIT(a->its_lock);
    Py_VISIT(a->acquire);
    Py_VISIT(a->release);
    return 0;
}

static int adder_clear(PyObject *self)
{
    adder *a = (adder *)self;
    a->type = MPS_NUMBER_NONE;
    a->quick = NULL;
    PyBuffer_Release(&a->view);
    Py_CLEAR(a->lock);
    Py_CLEAR(a->obj);
    Py_CLEAR(a->its_lock);
    Py_CLEAR(a->acquire);
    Py_CLEAR(a->release);
    return 0;
}

static void adder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    adder_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *adder_new(PyTypeObject *cls, PyObject *args, PyObject *kwds)
{
    (void)args;
    (void)kwds;
    return cls->tp_alloc(cls, 0);
}

PyDoc_STRVAR(bind_doc,
             "_bind($self, buffer, lock, /)\n--\n\nAdd to the numbers in a buffer, beside those who hold lock.");
PyDoc_STRVAR(adder_add_doc,
             "add($self, n=1)\n--\n\nAdd n in one step; return the new value. What does not fit is cut off, as an "
             "assignment to value does.");
PyDoc_STRVAR(
    array_adder_add_doc,
    "add($self, index, n=1)\n--\n\nAdd n to the item at index in one step; return its new value. What does not "
    "fit is cut off, as an assignment to the item does.");

static PyMethodDef adder_add_method = {"add", MPY_FUNCTION(adder_add), METH_FASTCALL | METH_KEYWORDS, adder_add_doc};
static PyMethodDef array_adder_add_method = {"add", MPY_FUNCTION(array_adder_add), METH_FASTCALL | METH_KEYWORDS,
                                             array_adder_add_doc};

/* The interpreter calls a method fastest on objects of the very type that it was made for. */
static PyObject *own_add(PyObject *cls, PyMethodDef *method)
{
    PyObject *own = PyDescr_NewMethod((PyTypeObject *)cls, method);
    int done = own == NULL ? -1 : PyObject_SetAttrString(cls, method->ml_name, own);
    Py_XDECREF(own);
    return done < 0 ? NULL : Py_NewRef(cls);
}

static PyObject *adder_own(PyObject *cls, PyObject *unused)
{
    (void)unused;
    return own_add(cls, &adder_add_method);
}

static PyObject *array_adder_own(PyObject *cls, PyObject *unused)
{
    (void)unused;
    return own_add(cls, &array_adder_add_method);
}

PyDoc_STRVAR(own_doc, "_own($type, /)\n--\n\nGive a subclass an `add` of its own, which is faster; return it.");

static PyMethodDef adder_methods[] = {
    {"_bind", MPY_FUNCTION(adder_bind), METH_FASTCALL, bind_doc},
    {"_own", adder_own, METH_NOARGS | METH_CLASS, own_doc},
    {"add", MPY_FUNCTION(adder_add), METH_FASTCALL | METH_KEYWORDS, adder_add_doc},
    {0},
};

static PyMethodDef array_adder_methods[] = {
    {"_bind", MPY_FUNCTION(adder_bind), METH_FASTCALL, bind_doc},
    {"_own", array_adder_own, METH_NOARGS | METH_CLASS, own_doc},
    {"add", MPY_FUNCTION(array_adder_add), METH_FASTCALL | METH_KEYWORDS, array_adder_add_doc},
    {0},
};

static PyMemberDef adder_members[] = {
    {"_obj", T_OBJECT_EX, offsetof(adder, obj), 0, "The ctypes object."},
    {"_lock", T_OBJECT_EX, offsetof(adder, its_lock), 0, "The lock."},
    {"acquire", T_OBJECT_EX, offsetof(adder, acquire), 0, "The lock's acquire."},
    {"release", T_OBJECT_EX, offsetof(adder, release), 0, "The lock's release."},
    {0},
};

static PyType_Slot adder_slots[] = {
    {Py_tp_doc, (void *)"What adds to the one number in a buffer."},
    {Py_tp_new, (void *)adder_new},
    {Py_tp_dealloc, (void *)adder_dealloc},
    {Py_tp_traverse, (void *)adder_traverse},
    {Py_tp_clear, (void *)adder_clear},
    {Py_tp_members, adder_members},
    {Py_tp_methods, adder_methods},
    {0},
};

static PyType_Slot array_adder_slots[] = {
    {Py_tp_doc, (void *)"What adds to the numbers in a buffer."},
    {Py_tp_new, (void *)adder_new},
    {Py_tp_dealloc, (void *)adder_dealloc},
    {Py_tp_traverse, (void *)adder_traverse},
    {Py_tp_clear, (void *)adder_clear},
    {Py_tp_members, adder_members},
    {Py_tp_methods, array_adder_methods},
    {0},
};

static PyType_Spec adder_spec = {
    .name = "mpshm._types.Adder",
    .basicsize = sizeof(adder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = adder_slots,
};

static PyType_Spec array_adder_spec = {
    .name = "mpshm._types.ArrayAdder",
    .basicsize = sizeof(adder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = array_adder_slots,
};

int mpy_adder_ready(PyObject *module, mpy_state *state)
{
    (void)state;
    PyTypeObject *one = mpy_type_add(module, &adder_spec, NULL, true);
    PyTypeObject *many = mpy_type_add(module, &array_adder_spec, NULL, true);
    int done = one == NULL || many == NULL ? -1 : 0;
    Py_XDECREF(one); /* the module has them */
    Py_XDECREF(many);
    return done;
}
