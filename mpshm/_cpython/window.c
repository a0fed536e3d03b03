/* window.c -- Window: a window on memory as a buffer, and what System V shared memory needs besides.
 *
 * The window stays up as long as a buffer of it is out: close() and shrink() refuse meanwhile. What fails in the system is
 * raised as the OSError of its errno; the Python that calls says on which object, and what to do.
 */
#include "state.h"

#include <errno.h>
#include <limits.h>

#include "os.h"
#include "os_view.h"

typedef struct window {
    PyObject_HEAD mps_view view; /* base NULL: nothing mapped */
    Py_ssize_t exports;
} window;

static window *window_of(PyObject *self)
{
    return (window *)self;
}

static PyObject *raise(mps_status st)
{
    if (st == MPS_E_INVAL) {
        PyErr_SetString(PyExc_ValueError, mps_status_text(st));
        return NULL;
    }
    errno = mps_last_errno();
    return PyErr_SetFromErrno(PyExc_OSError);
}

static int int_of(PyObject *arg)
{
    long value = PyLong_AsLong(arg);
    if (value < INT_MIN || value > INT_MAX) {
        PyErr_SetString(PyExc_OverflowError, "the number does not fit an int of C");
        return -1;
    }
    return (int)value;
}

static PyObject *done(mps_status st)
{
    return st == MPS_OK ? Py_NewRef(Py_None) : raise(st);
}

/* ---- up and down ---- */

static PyObject *window_new(PyTypeObject *type, PyObject *args, PyObject *kwds)
{
    (void)args;
    (void)kwds;
    PyObject *self = type->tp_alloc(type, 0);
    if (self != NULL) {
        window_of(self)->view = (mps_view){.fd = -1};
    }
    return self;
}

static void window_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    mps_view_unmap(&window_of(self)->view);
    type->tp_free(self);
    Py_DECREF(type);
}

static int window_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static bool is_new(window *m)
{
    if (m->view.base != NULL || m->view.fd >= 0) {
        PyErr_SetString(PyExc_ValueError, "it is mapped already");
        return false;
    }
    return true;
}

static bool is_up(window *m)
{
    if (m->view.base == NULL) {
        PyErr_SetString(PyExc_ValueError, "it is closed");
        return false;
    }
    return true;
}

/* _map(fd, offset, size, access, address, huge) */
static PyObject *window_map(PyObject *self, PyObject *args)
{
    window *m = window_of(self);
    int fd, access, huge;
    unsigned long long offset, size, address;
    if (!PyArg_ParseTuple(args, "iKKiKp:_map", &fd, &offset, &size, &access, &address, &huge) || !is_new(m)) {
        return NULL;
    }
    mps_status st;
    mps_view made;
    Py_BEGIN_ALLOW_THREADS st = mps_view_map(fd, offset, size, (mps_access)access, address, huge != 0, &made);
    Py_END_ALLOW_THREADS if (st == MPS_OK)
    {
        m->view = made;
    }
    return done(st);
}

/* _attach(shmid, access, address) */
static PyObject *window_attach(PyObject *self, PyObject *args)
{
    window *m = window_of(self);
    int shmid, access;
    unsigned long long address;
    if (!PyArg_ParseTuple(args, "iiK:_attach", &shmid, &access, &address) || !is_new(m)) {
        return NULL;
    }
    return done(mps_view_attach(shmid, (mps_access)access, address, &m->view));
}

static bool is_free(window *m)
{
    if (m->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "buffers of it are in use");
        return false;
    }
    return true;
}

static PyObject *window_unmap(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    window *m = window_of(self);
    if (!is_free(m)) {
        return NULL;
    }
    mps_view_unmap(&m->view);
    Py_RETURN_NONE;
}

/* ---- while it is up ---- */

static int window_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    window *m = window_of(self);
    view->obj = NULL;
    if (!is_up(m) || PyBuffer_FillInfo(view, self, m->view.data, (Py_ssize_t)m->view.size,
                                       m->view.access == MPS_ACCESS_READ, flags) < 0) {
        return -1;
    }
    m->exports++;
    return 0;
}

static void window_releasebuffer(PyObject *self, Py_buffer *view)
{
    (void)view;
    window_of(self)->exports--;
}

static Py_ssize_t window_length(PyObject *self)
{
    return (Py_ssize_t)window_of(self)->view.size;
}

/* _file_size() -> int, asked with the GIL held: another thread cannot close the descriptor meanwhile */
static PyObject *window_file_size(PyObject *self, PyObject *ignored)
{
    (void)ignored;
    uint64_t size;
    if (!is_up(window_of(self))) {
        return NULL;
    }
    mps_status st = mps_view_file_size(&window_of(self)->view, &size);
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(size) : raise(st);
}

/* _flush(offset, n, wait) */
static PyObject *window_flush(PyObject *self, PyObject *args)
{
    window *m = window_of(self);
    unsigned long long offset, n;
    int wait;
    if (!PyArg_ParseTuple(args, "KKp:_flush", &offset, &n, &wait) || !is_up(m)) {
        return NULL;
    }
    mps_status st;
    m->exports++; /* so that it stays up */
    Py_BEGIN_ALLOW_THREADS st = mps_view_flush(&m->view, offset, n, wait != 0);
    Py_END_ALLOW_THREADS m->exports--;
    return done(st);
}

/* _shrink(n, from_back) */
static PyObject *window_shrink(PyObject *self, PyObject *args)
{
    window *m = window_of(self);
    unsigned long long n;
    int from_back;
    if (!PyArg_ParseTuple(args, "Kp:_shrink", &n, &from_back) || !is_up(m) || !is_free(m)) {
        return NULL;
    }
    return done(mps_view_shrink(&m->view, n, from_back != 0));
}

static PyObject *window_advise(PyObject *self, PyObject *arg)
{
    window *m = window_of(self);
    int advice = int_of(arg);
    if ((advice == -1 && PyErr_Occurred()) || !is_up(m)) {
        return NULL;
    }
    return done(mps_view_advise(&m->view, (mps_advice)advice));
}

static PyObject *window_address(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromVoidPtr(window_of(self)->view.data);
}

static PyObject *window_size(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(window_of(self)->view.size);
}

static PyObject *window_fd(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromLong(window_of(self)->view.fd);
}

static PyObject *window_closed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(window_of(self)->view.base == NULL);
}

/* ---- System V ---- */

/* _xsi_get(key, size, create, exclusive, permissions) -> shmid */
static PyObject *window_xsi_get(PyObject *cls, PyObject *args)
{
    (void)cls;
    int key, create, exclusive;
    unsigned long long size;
    unsigned int permissions;
    if (!PyArg_ParseTuple(args, "iKppI:_xsi_get", &key, &size, &create, &exclusive, &permissions)) {
        return NULL;
    }
    int shmid = -1;
    mps_status st = mps_xsi_get(key, size, create != 0, exclusive != 0, permissions, &shmid);
    return st == MPS_OK ? PyLong_FromLong(shmid) : raise(st);
}

static PyObject *window_xsi_remove(PyObject *cls, PyObject *arg)
{
    (void)cls;
    int shmid = int_of(arg);
    if (shmid == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return done(mps_xsi_remove(shmid));
}

/* _xsi_key(path, id) -> key */
static PyObject *window_xsi_key(PyObject *cls, PyObject *args)
{
    (void)cls;
    PyObject *path = NULL;
    int id;
    if (!PyArg_ParseTuple(args, "O&i:_xsi_key", PyUnicode_FSConverter, &path, &id)) {
        return NULL;
    }
    int32_t key = 0;
    mps_status st = mps_xsi_key(PyBytes_AS_STRING(path), id, &key);
    Py_DECREF(path);
    return st == MPS_OK ? PyLong_FromLong(key) : raise(st);
}

PyDoc_STRVAR(window_doc, "A window on memory that lives elsewhere, as a buffer.");

static PyMethodDef window_methods[] = {
    {"_map", window_map, METH_VARARGS, "Map a part of a file, or anonymous memory for fd -1."},
    {"_attach", window_attach, METH_VARARGS, "Map a System V segment."},
    {"_unmap", window_unmap, METH_NOARGS, "Unmap; BufferError while a buffer is out."},
    {"_file_size", window_file_size, METH_NOARGS, "Bytes of the file now."},
    {"_flush", window_flush, METH_VARARGS, "Write a range's changes to the file."},
    {"_shrink", window_shrink, METH_VARARGS, "Let go of bytes at one end."},
    {"_advise", window_advise, METH_O, "Tell the system what is to come."},
    {"_xsi_get", window_xsi_get, METH_VARARGS | METH_CLASS, "shmget()"},
    {"_xsi_remove", window_xsi_remove, METH_O | METH_CLASS, "shmctl(IPC_RMID)"},
    {"_xsi_key", window_xsi_key, METH_VARARGS | METH_CLASS, "ftok()"},
    {0},
};

static PyGetSetDef window_getset[] = {
    {"address", window_address, NULL, "Where its first byte is in this process; 0 when closed.", NULL},
    {"size", window_size, NULL, "Bytes, as asked for: not rounded to pages.", NULL},
    {"closed", window_closed, NULL, "Whether it is not mapped.", NULL},
    {"_fd", window_fd, NULL, "Its own descriptor of the file, or -1.", NULL},
    {0},
};

static PyType_Slot window_slots[] = {
    {Py_tp_doc, (void *)window_doc},
    {Py_tp_new, (void *)window_new},
    {Py_tp_dealloc, (void *)window_dealloc},
    {Py_tp_traverse, (void *)window_traverse},
    {Py_tp_methods, window_methods},
    {Py_tp_getset, window_getset},
    {Py_sq_length, (void *)window_length},
    {Py_bf_getbuffer, (void *)window_getbuffer},
    {Py_bf_releasebuffer, (void *)window_releasebuffer},
    {0},
};

static PyType_Spec window_spec = {
    .name = "mpshm._types.Window",
    .basicsize = sizeof(window),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = window_slots,
};

int mpy_window_ready(PyObject *module, mpy_state *state)
{
    (void)state;
    return mpy_type_add(module, &window_spec, NULL, true) == NULL ? -1 : 0;
}
