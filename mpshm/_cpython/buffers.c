#include "buffers.h"

#include "buffer.h"
#include "os.h"
#include "reader.h"

/* Pages of this process's own, with the bytes of a buffer that has to stay as long as they do. */
typedef struct pages {
    PyObject_HEAD PyObject *source;
    mpy_state *state;
    void *base;
    uint64_t length;
    Py_ssize_t nbytes;
    bool alone; /* in a mapping of their own */
} pages;

typedef struct made {
    uint64_t nbytes;
    const void *note;
    size_t note_bytes;
} made;

static mps_status make_buffer(mps_seg *seg, void *what, mps_off *off, uint64_t *serial)
{
    const made *m = what;
    return mps_buffer_new(seg, MPS_DOOR_GIL, m->nbytes, m->note, m->note_bytes, off, serial);
}

PyObject *mpy_buffer_new(mpy_handle *h, uint64_t nbytes, const void *note, size_t note_bytes, void **data)
{
    made what = {nbytes, note, note_bytes};
    PyTypeObject *type = h->state->face[mpy_kind_index(MPS_KIND_BUFFER)];
    PyObject *buffer = mpy_handle_make_near(h, type, make_buffer, &what);
    if (buffer == NULL || data == NULL) {
        return buffer;
    }
    mps_off at = 0;
    mps_status st = mps_raw_data(h->seg, mpy_handle_of(buffer)->off, &at, &nbytes);
    if (st != MPS_OK) {
        Py_DECREF(buffer);
        return mpy_fail(h, st, "store a value in a");
    }
    *data = mps_region_at(&h->seg->region, at);
    return buffer;
}

PyObject *mpy_buffer_of(mpy_handle *h, const void *from, uint64_t nbytes, const void *note, size_t note_bytes)
{
    PyObject *buffer = mpy_buffer_new(h, nbytes, note, note_bytes, NULL);
    mps_status st = buffer == NULL ? MPS_OK : mps_buffer_fill(h->seg, MPS_DOOR_GIL, mpy_handle_of(buffer)->off, from);
    if (st != MPS_OK) {
        Py_CLEAR(buffer);
        mpy_fail(h, st, "store a value in a");
    }
    return buffer;
}

/* Where the bytes of a Buffer or a Blob are. */
static mps_status find_bytes(mpy_handle *h, const uint8_t **data, uint64_t *nbytes)
{
    if (mps_load32(&mpy_object(h)->mortal.kind) == MPS_KIND_BLOB) {
        mps_span span;
        if (!mps_value_span(h->seg, (mps_value){MPS_TAG_BYTES | MPS_TAG_BLOB, h->off}, &span)) {
            return MPS_E_CORRUPT;
        }
        *data = span.data;
        *nbytes = span.nbytes;
        return MPS_OK;
    }
    mps_off at = 0;
    mps_status st = mps_raw_data(h->seg, h->off, &at, nbytes);
    *data = st == MPS_OK ? mps_region_at(&h->seg->region, at) : NULL;
    return st == MPS_OK && *nbytes > (uint64_t)PY_SSIZE_T_MAX ? MPS_E_CORRUPT : st;
}

PyObject *mpy_buffer_fail(mpy_handle *h, mps_status st)
{
    return mpy_fail(h, st == MPS_E_CORRUPT ? mps_reader_blame(h->seg, h->off, st) : st, "read a");
}

/* A copy that a reader made is good if the object still was there at its end. */
static bool still_there(mpy_handle *h)
{
    mps_status st = h->seg->region.readonly ? mps_reader_look(h->seg, h->off) : MPS_OK;
    if (st != MPS_OK) {
        mpy_buffer_fail(h, st);
    }
    return st == MPS_OK;
}

/* As many bytes of memory as that, not cleared. (Without memory PyByteArray_FromStringAndSize frees what it has not made.) */
static PyObject *blank(uint64_t nbytes)
{
    PyObject *made = PyByteArray_FromStringAndSize(NULL, 0);
    if (made != NULL && PyByteArray_Resize(made, (Py_ssize_t)nbytes) < 0) {
        Py_CLEAR(made);
    }
    return made;
}

/* The pages of a long Buffer; NULL where there is no room for them, or with an exception. */
static pages *pages_of(mpy_handle *h, uint64_t nbytes)
{
    uint64_t length = 0;
    void *base = mps_buffer_lend(h->seg, h->off, &length);
    bool alone = base == NULL;
    if (alone && h->state->n_alone < MPY_ALONE_MAX) {
        base = mps_buffer_map(h->seg, h->off, &length);
    }
    PyTypeObject *type = h->state->pages_type;
    pages *p = base == NULL ? NULL : (pages *)type->tp_alloc(type, 0);
    if (p != NULL) {
        p->source = Py_NewRef((PyObject *)h);
        p->state = h->state;
        p->state->n_alone += alone;
        p->alone = alone;
        p->base = base;
        p->length = length;
        p->nbytes = (Py_ssize_t)nbytes;
    } else if (base != NULL && alone) {
        mps_os_unmap(base, length);
    } else if (base != NULL) {
        mps_buffer_give(h->seg, base, length);
    }
    return p;
}

PyObject *mpy_buffer_own(mpy_handle *h)
{
    const uint8_t *data = NULL;
    uint64_t nbytes = 0;
    mps_status st = find_bytes(h, &data, &nbytes);
    if (st != MPS_OK) {
        return mpy_buffer_fail(h, st);
    }
    pages *p = nbytes >= MPS_BUFFER_LARGE ? pages_of(h, nbytes) : NULL;
    if (p != NULL || PyErr_Occurred()) {
        return (PyObject *)p;
    }
    PyObject *copy = blank(nbytes);
    if (copy == NULL) {
        return NULL;
    }
    st = mps_buffer_read(h->seg, MPS_DOOR_GIL, h->off, PyByteArray_AS_STRING(copy), nbytes);
    if (st != MPS_OK) {
        Py_DECREF(copy);
        return mpy_buffer_fail(h, st);
    }
    if (!still_there(h)) {
        Py_CLEAR(copy);
    }
    return copy;
}

PyObject *mpy_buffer_view(PyObject *buffer)
{
    mpy_handle *h = mpy_handle_of(buffer);
    if (mps_likely(!h->seg->region.readonly)) {
        return PyMemoryView_FromObject(buffer);
    }
    /* Nobody keeps it for a reader: it gets bytes of its own, which can be no more changed. */
    PyObject *own = mpy_buffer_own(h);
    PyObject *bytes = own == NULL ? NULL : PyBytes_FromObject(own);
    PyObject *view = bytes == NULL ? NULL : PyMemoryView_FromObject(bytes);
    Py_XDECREF(own);
    Py_XDECREF(bytes);
    return view;
}

/* The value of a Buffer whose note was copied. */
static PyObject *value_of(mpy_handle *h, const uint8_t *note, uint64_t nbytes, bool view)
{
    if (nbytes > 0 && note[0] == MPY_NOTE_ARRAY) {
        return mpy_array_load(h, note, nbytes, view);
    }
    if (nbytes != 1 || note[0] != MPY_NOTE_BYTEARRAY) {
        return mpy_buffer_fail(h, MPS_E_CORRUPT);
    }
    if (view) {
        return mpy_buffer_view((PyObject *)h);
    }
    PyObject *own = mpy_buffer_own(h);
    if (own == NULL || PyByteArray_CheckExact(own)) {
        return own;
    }
    PyObject *copy = PyByteArray_FromObject(own);
    Py_DECREF(own);
    return copy;
}

PyObject *mpy_buffer_value(mpy_handle *h, bool view)
{
    mps_off at = 0;
    uint64_t nbytes = 0, near[64];
    mps_status st = mps_raw_note(h->seg, h->off, &at, &nbytes);
    if (st != MPS_OK) {
        return mpy_buffer_fail(h, st);
    }
    uint8_t *note = nbytes <= sizeof near ? (uint8_t *)near : PyMem_Malloc(nbytes);
    if (note == NULL) {
        return PyErr_NoMemory();
    }
    mps_racy_copy(note, mps_region_at(&h->seg->region, at), nbytes);
    PyObject *value = still_there(h) ? value_of(h, note, nbytes, view) : NULL;
    if (note != (uint8_t *)near) {
        PyMem_Free(note);
    }
    return value;
}

bool mpy_is_buffer(const mpy_state *state, PyObject *obj)
{
    return mpy_is_kind(state, obj, MPS_KIND_BUFFER) || mpy_is_kind(state, obj, MPS_KIND_BLOB);
}

int mpy_encode_buffer(mpy_handle *h, PyObject *obj, mps_enc *enc, mpy_hold *hold)
{
    PyObject *buffer = NULL;
    if (PyByteArray_CheckExact(obj)) {
        if (PyByteArray_GET_SIZE(obj) < MPY_BUFFER_MIN) {
            return 0;
        }
        Py_buffer view; /* so that nobody makes it shorter while it is copied */
        if (PyObject_GetBuffer(obj, &view, PyBUF_SIMPLE) < 0) {
            return -1;
        }
        buffer = mpy_buffer_of(h, view.buf, (uint64_t)view.len, "B", 1);
        PyBuffer_Release(&view);
    } else if (mpy_is_array(h->state, obj)) {
        int stored = mpy_array_store(h, obj, &buffer);
        if (stored <= 0) {
            return stored;
        }
    } else {
        return 0;
    }
    if (buffer == NULL) {
        return -1;
    }
    mpy_enc_set(enc, (mps_value){MPS_TAG_REF, mpy_handle_of(buffer)->off});
    return mpy_hold_add(hold, buffer) < 0 ? -1 : 1;
}

/* What is none of NumPy's arrays, and has bytes in one piece. */
static PyObject *store_bytes(mpy_handle *h, PyObject *obj)
{
    Py_buffer view;
    if (PyObject_GetBuffer(obj, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *made = mpy_buffer_of(h, view.buf, (uint64_t)view.len, NULL, 0);
    PyBuffer_Release(&view);
    return made;
}

/* ---- the types ---- */

static PyObject *buffer_of(PyObject *cls, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    PyObject *near = mpy_count_args("_of", n, 2, 2) ? mpy_handle_blank(state, (PyTypeObject *)cls, args[0]) : NULL;
    if (near == NULL) {
        return NULL;
    }
    PyObject *made = NULL;
    if (!mpy_is_array(state, args[1])) {
        made = store_bytes(mpy_handle_of(near), args[1]);
    } else if (mpy_array_store(mpy_handle_of(near), args[1], &made) == 0) {
        made = Py_NewRef(Py_None);
    }
    Py_DECREF(near);
    return made;
}

static PyObject *buffer_value(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_buffer_value(mpy_handle_of(self), false);
}

static int buffer_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    mpy_handle *h = mpy_handle_of(self);
    const uint8_t *data = NULL;
    uint64_t nbytes = 0;
    mps_status st = find_bytes(h, &data, &nbytes);
    if (st != MPS_OK) {
        view->obj = NULL;
        mpy_fail(h, st, "look into a");
        return -1;
    }
    return PyBuffer_FillInfo(view, self, (void *)(uintptr_t)data, (Py_ssize_t)nbytes, 1, flags);
}

PyDoc_STRVAR(buffer_doc, "Bytes in shared memory that never change: a read-only buffer.");
PyDoc_STRVAR(of_doc, "_of($type, segment, obj, /)\n--\n\n"
                     "A copy of an array, or of another object's bytes, in a segment; None of an array that has to be "
                     "pickled.");
PyDoc_STRVAR(value_doc, "_value($self, /)\n--\n\nThe array that was stored, as one of the caller's own.");

static PyMethodDef buffer_methods[] = {
    {"_of", MPY_FUNCTION(buffer_of), METH_FASTCALL | METH_CLASS, of_doc},
    {"_value", buffer_value, METH_NOARGS, value_doc},
    {0},
};

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, (void *)buffer_doc},
    {Py_tp_methods, buffer_methods},
    {Py_bf_getbuffer, (void *)buffer_getbuffer},
    {0},
};

static PyType_Slot blob_slots[] = {
    {Py_tp_doc, (void *)buffer_doc},
    {Py_bf_getbuffer, (void *)buffer_getbuffer},
    {0},
};

static PyType_Spec buffer_spec = {
    .name = "mpshm._types.Buffer",
    .basicsize = sizeof(mpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = buffer_slots,
};

static PyType_Spec blob_spec = {
    .name = "mpshm._types.Blob",
    .basicsize = sizeof(mpy_handle),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = blob_slots,
};

static int pages_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    pages *p = (pages *)self;
    return PyBuffer_FillInfo(view, self, p->base, p->nbytes, 0, flags);
}

static void pages_dealloc(PyObject *self)
{
    pages *p = (pages *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (p->base != NULL) {
        if (p->alone) {
            mps_os_unmap(p->base, p->length);
            p->state->n_alone--;
        } else {
            mps_buffer_give(mpy_handle_of(p->source)->seg, p->base, p->length);
        }
    }
    Py_XDECREF(p->source);
    type->tp_free(self);
    Py_DECREF(type);
}

PyDoc_STRVAR(pages_doc,
             "Pages of this process's own with bytes out of shared memory, copied when they are written to: a "
             "writable buffer.");

static PyType_Slot pages_slots[] = {
    {Py_tp_doc, (void *)pages_doc},
    {Py_tp_dealloc, (void *)pages_dealloc},
    {Py_bf_getbuffer, (void *)pages_getbuffer},
    {0},
};

static PyType_Spec pages_spec = {
    .name = "mpshm._types.Pages",
    .basicsize = sizeof(pages),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = pages_slots,
};

int mpy_buffer_ready(PyObject *module, mpy_state *state)
{
    PyTypeObject *buffer = mpy_type_add(module, &buffer_spec, state->handle_type, true);
    state->base[mpy_kind_index(MPS_KIND_BUFFER)] = buffer;
    PyTypeObject *blob = buffer == NULL ? NULL : mpy_type_add(module, &blob_spec, state->handle_type, false);
    state->base[mpy_kind_index(MPS_KIND_BLOB)] = blob;
    state->pages_type = blob == NULL ? NULL : mpy_type_add(module, &pages_spec, NULL, false);
    return state->pages_type == NULL ? -1 : 0;
}
