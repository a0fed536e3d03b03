/* handle.h -- a Python object that stands for a shared object: the base of Dict, List, Value, Namespace, Lock and RLock.
 *
 * A handle counts as one in this process's references to the object (refs.h) from when it is made to when it is
 * deallocated; it also keeps the attachment to the segment and the Python object of the segment alive. It holds no
 * reference to any content, so the segment is all that the garbage collector has to visit.
 *
 * Errors: a function below that returns NULL, -1 or false because of a failure has set an exception.
 */
#ifndef MPY_HANDLE_H
#define MPY_HANDLE_H

#include "state.h"

#include "refs.h"

typedef struct mpy_handle {
    PyObject_HEAD mps_seg *seg;
    mps_off off;
    uint64_t serial;
    mpy_state *state;
    PyObject *segment; /* the Python object; NULL only once the garbage collector has cut it off */
} mpy_handle;

/* A status that stands for "an exception is set". */
#define MPY_RAISED ((mps_status)1)

/* A new, empty shared object of `kind` in `segment`, as an instance of `cls`. */
PyObject *mpy_handle_make(mpy_state *state, PyTypeObject *cls, PyObject *segment, uint32_t kind);
/* The same with an object that `make` makes: one of mps_object_new's kind. */
typedef mps_status mpy_maker(mps_seg *seg, void *what, mps_off *off, uint64_t *serial);
PyObject *mpy_handle_make_by(mpy_state *state, PyTypeObject *cls, PyObject *segment, mpy_maker *make, void *what);
/* The same in the segment of a handle that is there already. */
PyObject *mpy_handle_make_near(mpy_handle *near, PyTypeObject *cls, mpy_maker *make, void *what);
/* A handle that refers to nothing, for what takes one to know its segment. */
PyObject *mpy_handle_blank(mpy_state *state, PyTypeObject *cls, PyObject *segment);
/* The core's segment behind a segment object; NULL. */
mps_seg *mpy_seg_of(mpy_state *state, PyObject *segment);
/* The segment of objects that are made without a manager: a new reference. */
PyObject *mpy_default_segment(mpy_state *state);
/* A handle on an object that this process refers to: takes over one count, and drops it when it fails. */
PyObject *mpy_handle_wrap(mpy_state *state, mps_seg *seg, PyObject *segment, mps_off off);
/* tp_new of the types: a new object in the default segment, whatever the arguments. */
PyObject *mpy_handle_new(PyTypeObject *cls, PyObject *args, PyObject *kwds);
/* The attribute `lock`. */
PyObject *mpy_handle_lock(PyObject *self, void *closure);

#define MPY_LOCK_ATTRIBUTE \
    {"lock", mpy_handle_lock, NULL, "A lock for several steps: while it is held, the others' changes wait.", NULL}

/* Makes the type of the handles on objects of one kind, which Python classes may inherit from, and puts it into the
 * module; `flags` beside those that all have. 0, or -1 with an exception. */
int mpy_handle_add(PyObject *module, mpy_state *state, uint32_t kind, const char *name, unsigned flags,
                   PyType_Slot *slots);

/* Takes back what dead processes left; whether there were any. */
bool mpy_recover(mpy_handle *h);
/* What to do about a status that is not MPS_OK: waits while another holds the object's lock, looks at signals, and takes back what the
 * dead left when there is no room.
 * true: call again; false: *st is final, MPY_RAISED if a signal's handler raised. */
bool mpy_again(mpy_handle *h, mps_status *st);
/* Whether to read once more what could not be read because its bytes were gone by then: from a segment that may only be read nobody
 * keeps them (reader.h). *tries: 0 before the first. Clears the error. */
bool mpy_read_again(const mpy_handle *h, unsigned *tries);
/* A read of a whole container, made again for as long as mpy_read_again says so. */
typedef PyObject *mpy_read(mpy_handle *h, const void *what);
PyObject *mpy_read_whole(mpy_handle *h, mpy_read *read, const void *what);
/* Raises what a status means, `tried` being a verb: always NULL. */
PyObject *mpy_fail(mpy_handle *h, mps_status st, const char *tried);
PyObject *mpy_fail_at(mpy_state *state, mps_seg *seg, const char *what, mps_status st, const char *tried);
/* KeyError(key), also for tuples. */
void mpy_key_error(PyObject *key);
/* TypeError unless `n` is in [min, max]. */
bool mpy_count_args(const char *name, Py_ssize_t n, Py_ssize_t min, Py_ssize_t max);

static inline mpy_handle *mpy_handle_of(PyObject *self)
{
    return (mpy_handle *)self;
}

static inline bool mpy_is_handle(const mpy_state *state, PyObject *obj)
{
    return PyObject_TypeCheck(obj, state->handle_type);
}

static inline bool mpy_is_kind(const mpy_state *state, PyObject *obj, uint32_t kind)
{
    return PyObject_TypeCheck(obj, state->base[mpy_kind_index(kind)]);
}

/* The object's guard and lock, in the segment; the handle keeps them there. */
static inline mps_object *mpy_object(const mpy_handle *h)
{
    return mps_region_at(&h->seg->region, h->off);
}

/* Whether a manager made it: then it behaves as threading's, and else as multiprocessing's. */
static inline bool mpy_is_managed(const mpy_handle *h)
{
    return (mps_load32(&mpy_object(h)->mortal.flags) & MPS_FLAG_MANAGED) != 0;
}

/* Whether every process may still use the segment. */
static inline bool mpy_is_open(const mpy_handle *h)
{
    uint32_t state = mps_load32(&h->seg->control->state);
    return state == MPS_STATE_READY || state == MPS_STATE_READING;
}

/* What the core can do to a whole container, or count of it. */
typedef mps_status mpy_changer(mps_seg *seg, mps_door door, mps_off off);
typedef mps_status mpy_counter(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);

/* None, or NULL with an exception that says what was tried. */
static inline PyObject *mpy_change(mpy_handle *h, mpy_changer *change, const char *tried)
{
    mps_status st = MPS_OK;
    do {
        st = change(h->seg, MPS_DOOR_GIL, h->off);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? Py_NewRef(Py_None) : mpy_fail(h, st, tried);
}

/* The length, or -1 with an exception. */
static inline Py_ssize_t mpy_length(mpy_handle *h, mpy_counter *count)
{
    uint64_t n = 0;
    mps_status st = MPS_OK;
    do {
        st = count(h->seg, MPS_DOOR_GIL, h->off, &n);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_unlikely(st != MPS_OK)) {
        mpy_fail(h, st, "take the length of a");
        return -1;
    }
    return (Py_ssize_t)n;
}

#endif
