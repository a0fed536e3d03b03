/* raw.c -- Raw: bytes that programs change as they like, as a writable buffer; NDArray: the same with a note of what they are.
 *
 * The handle lives as long as a buffer of it does, and with it the object and the mapping of its segment.
 */
#include "raw.h"

#include "handle.h"
#include "reader.h"

static mps_status make_raw(mps_seg *seg, void *what, mps_off *off, uint64_t *serial)
{
    return mps_raw_new(seg, MPS_DOOR_GIL, *(const uint64_t *)what, off, serial);
}

static PyObject *raw_sized(PyObject *cls, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    if (!mpy_count_args("_sized", n, 2, 2)) {
        return NULL;
    }
    Py_ssize_t wanted = PyNumber_AsSsize_t(args[1], PyExc_OverflowError);
    if (wanted < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "a size in bytes, not %zd", wanted);
    }
    uint64_t nbytes = (uint64_t)wanted;
    PyObject *segment = args[0] == Py_None ? mpy_default_segment(state) : Py_NewRef(args[0]);
    PyObject *made =
        segment == NULL ? NULL : mpy_handle_make_by(state, (PyTypeObject *)cls, segment, make_raw, &nbytes);
    Py_XDECREF(segment);
    return made;
}

static mps_status find_data(mpy_handle *h, mps_off *data, uint64_t *nbytes)
{
    mps_status st = mps_raw_data(h->seg, h->off, data, nbytes);
    return mps_unlikely(h->seg->region.readonly) && st == MPS_OK ? mps_reader_look(h->seg, h->off) : st;
}

static int raw_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_off data = 0;
    uint64_t nbytes = 0;
    mps_status st = find_data(h, &data, &nbytes);
    if (st != MPS_OK) {
        view->obj = NULL;
        mpy_fail(h, st, "look into a");
        return -1;
    }
    return PyBuffer_FillInfo(view, self, mps_region_at(&h->seg->region, data), (Py_ssize_t)nbytes,
                             h->seg->region.readonly, flags);
}

static PyObject *raw_nbytes(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    mps_off data = 0;
    uint64_t nbytes = 0;
    mps_status st = find_data(h, &data, &nbytes);
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(nbytes) : mpy_fail(h, st, "look into a");
}

/* ---- NDArray ---- */

typedef struct noted {
    uint64_t nbytes;
    bool zero;
    const void *note;
    uint64_t note_bytes;
} noted;

static mps_status make_noted(mps_seg *seg, void *what, mps_off *off, uint64_t *serial)
{
    const noted *n = what;
    return mps_raw_new_array(seg, MPS_DOOR_GIL, n->nbytes, n->zero, n->note, n->note_bytes, off, serial);
}

static PyObject *ndarray_noted(PyObject *cls, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    if (!mpy_count_args("_noted", n, 4, 4)) {
        return NULL;
    }
    Py_ssize_t wanted = PyNumber_AsSsize_t(args[1], PyExc_OverflowError);
    if (wanted < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "a size in bytes, not %zd", wanted);
    }
    if (!PyBytes_Check(args[2])) {
        return PyErr_Format(PyExc_TypeError, "a note is bytes, not %s", Py_TYPE(args[2])->tp_name);
    }
    int zero = PyObject_IsTrue(args[3]);
    if (zero < 0) {
        return NULL;
    }
    noted what = {(uint64_t)wanted, zero != 0, PyBytes_AS_STRING(args[2]), (uint64_t)PyBytes_GET_SIZE(args[2])};
    PyObject *segment = args[0] == Py_None ? mpy_default_segment(state) : Py_NewRef(args[0]);
    PyObject *made =
        segment == NULL ? NULL : mpy_handle_make_by(state, (PyTypeObject *)cls, segment, make_noted, &what);
    Py_XDECREF(segment);
    return made;
}

static PyObject *ndarray_note(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    mps_off note = 0;
    uint64_t nbytes = 0;
    mps_status st = mps_raw_note(h->seg, h->off, &note, &nbytes);
    return st != MPS_OK ? mpy_fail(h, st, "look into a")
                        : PyBytes_FromStringAndSize(mps_region_at(&h->seg->region, note), (Py_ssize_t)nbytes);
}

static PyObject *ndarray_flush(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = mps_raw_flush(h->seg, MPS_DOOR_GIL, h->off);
    return st == MPS_OK ? Py_NewRef(Py_None) : mpy_fail(h, st, "flush a");
}

PyDoc_STRVAR(noted_doc,
             "_noted($type, segment, nbytes, note, zero, /)\n--\n\nSo many bytes in a segment (None: the process's "
             "default segment), and a note, bytes, of what they are; all zero, or not yet anything.");
PyDoc_STRVAR(flush_doc, "_flush($self, /)\n--\n\nSee to it that the bytes are on the disk, where there is one.");
PyDoc_STRVAR(ndarray_doc, "The memory of an array of NumPy: a writable buffer.");

static PyMethodDef ndarray_methods[] = {
    {"_noted", MPY_FUNCTION(ndarray_noted), METH_FASTCALL | METH_CLASS, noted_doc},
    {"_flush", ndarray_flush, METH_NOARGS, flush_doc},
    {0},
};

static PyGetSetDef ndarray_getset[] = {
    {"_note", ndarray_note, NULL, "What the maker said of the bytes.", NULL},
    {0},
};

static PyType_Slot ndarray_slots[] = {
    {Py_tp_doc, (void *)ndarray_doc},
    {Py_tp_methods, ndarray_methods},
    {Py_tp_getset, ndarray_getset},
    {0},
};

static PyType_Spec ndarray_spec = {
    .name = "mpshm._types.NDArray",
    .basicsize = sizeof(mpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = ndarray_slots,
};

/* ---- Raw ---- */

PyDoc_STRVAR(sized_doc, "_sized($type, segment, nbytes, /)\n--\n\nSo many bytes, all zero, in a segment; None: the "
                        "process's default segment.");
PyDoc_STRVAR(raw_doc, "Bytes in shared memory that every process may change as it likes: a writable buffer.");

static PyMethodDef raw_methods[] = {
    {"_sized", MPY_FUNCTION(raw_sized), METH_FASTCALL | METH_CLASS, sized_doc},
    {0},
};

static PyGetSetDef raw_getset[] = {
    {"nbytes", raw_nbytes, NULL, "How many bytes there are.", NULL},
    {0},
};

static PyType_Slot raw_slots[] = {
    {Py_tp_doc, (void *)raw_doc}, {Py_tp_new, (void *)mpy_handle_new},      {Py_tp_methods, raw_methods},
    {Py_tp_getset, raw_getset},   {Py_bf_getbuffer, (void *)raw_getbuffer}, {0},
};

int mpy_raw_ready(PyObject *module, mpy_state *state)
{
    if (mpy_handle_add(module, state, MPS_KIND_RAW, "mpshm._types.Raw", 0, raw_slots) < 0) {
        return -1;
    }
    PyTypeObject *array = mpy_type_add(module, &ndarray_spec, state->base[mpy_kind_index(MPS_KIND_RAW)], true);
    state->base[mpy_kind_index(MPS_KIND_NDARRAY)] = array;
    return array == NULL ? -1 : 0;
}
