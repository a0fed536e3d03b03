#include "buffers.h"

/* Whether every byte is below 128. */
static bool is_ascii(const uint8_t *data, uint64_t nbytes)
{
    uint64_t seen = 0;
    uint64_t i = 0;
    for (; i + 8 <= nbytes; i += 8) {
        uint64_t word = 0;
        memcpy(&word, data + i, 8);
        seen |= word;
    }
    for (; i < nbytes; i++) {
        seen |= data[i];
    }
    return (seen & 0x8080808080808080u) == 0;
}

/* Characters of two or four bytes, which Python wants aligned. */
static PyObject *decode_wide(int width, const uint8_t *data, uint64_t nbytes)
{
    Py_ssize_t length = (Py_ssize_t)(nbytes / (uint64_t)width);
    if (((uintptr_t)data & (uintptr_t)(width - 1)) == 0) {
        return PyUnicode_FromKindAndData(width, data, length);
    }
    uint8_t *aligned = PyMem_Malloc(nbytes + 1);
    if (aligned == NULL) {
        return PyErr_NoMemory();
    }
    memcpy(aligned, data, nbytes);
    PyObject *made = PyUnicode_FromKindAndData(width, aligned, length);
    PyMem_Free(aligned);
    return made;
}

PyObject *mpy_decode_text(unsigned tag, const uint8_t *data, uint64_t nbytes)
{
    if (nbytes > (uint64_t)PY_SSIZE_T_MAX) {
        return PyErr_NoMemory();
    }
    if (tag == MPS_TAG_UCS2 || tag == MPS_TAG_UCS4) {
        return decode_wide(tag == MPS_TAG_UCS2 ? 2 : 4, data, nbytes);
    }
    if (tag != MPS_TAG_ASCII || !is_ascii(data, nbytes)) {
        return PyUnicode_FromKindAndData(PyUnicode_1BYTE_KIND, data, (Py_ssize_t)nbytes);
    }
    PyObject *made = PyUnicode_New((Py_ssize_t)nbytes, 127);
    if (mps_likely(made != NULL)) {
        memcpy(PyUnicode_1BYTE_DATA(made), data, nbytes);
    }
    return made;
}

static PyObject *decode_int(mps_value value)
{
    int64_t n = (int64_t)value.w1;
    switch ((value.w0 >> 8) & 0xff) {
    case MPS_FORM_FLOAT: return PyFloat_FromDouble((double)n);
    case MPS_FORM_TRUE_BOOL: return PyBool_FromLong(n != 0);
    case MPS_FORM_NEGATIVE_ZERO: return PyFloat_FromDouble(-0.0);
    default: return PyLong_FromLong(n);
    }
}

/* Takes over the counts of all references: a tuple of handles, or NULL, and then none is counted any more. */
static PyObject *wrap_refs(mpy_handle *h, const mps_off *refs, uint32_t n)
{
    PyObject *made = PyTuple_New((Py_ssize_t)n);
    uint32_t i = 0;
    for (; made != NULL && i < n; i++) {
        PyObject *handle = mpy_handle_wrap(h->state, h->seg, h->segment, refs[i]);
        if (handle == NULL) {
            i++; /* its count is gone */
            Py_CLEAR(made);
            break;
        }
        PyTuple_SET_ITEM(made, (Py_ssize_t)i, handle);
    }
    if (made == NULL) {
        for (; i < n; i++) {
            mps_ref_drop(h->seg, MPS_DOOR_GIL, refs[i]);
        }
    }
    return made;
}

/* The bytes of a Buffer, of the caller's own: a bytearray, or a memoryview of pages, which has what programs look for in one. */
static PyObject *own_bytes(mpy_handle *buffer)
{
    PyObject *own = mpy_buffer_own(buffer);
    if (own == NULL || PyByteArray_CheckExact(own)) {
        return own;
    }
    PyObject *view = PyMemoryView_FromObject(own);
    Py_DECREF(own);
    return view;
}

/* What pickle.loads() takes for those handles: the same tuple, or one with the bytes of its Buffers. */
static PyObject *contents(mpy_handle *h, PyObject *handles, bool view)
{
    Py_ssize_t n = handles == NULL ? 0 : PyTuple_GET_SIZE(handles), i = 0;
    while (i < n && !mpy_is_buffer(h->state, PyTuple_GET_ITEM(handles, i))) {
        i++;
    }
    if (i == n) {
        return Py_XNewRef(handles);
    }
    PyObject *made = PyTuple_New(n);
    for (i = 0; made != NULL && i < n; i++) {
        PyObject *item = PyTuple_GET_ITEM(handles, i);
        if (!mpy_is_buffer(h->state, item)) {
            Py_INCREF(item);
        } else {
            item = view ? mpy_buffer_view(item) : own_bytes(mpy_handle_of(item));
        }
        if (item == NULL) {
            Py_CLEAR(made);
            break;
        }
        PyTuple_SET_ITEM(made, i, item);
    }
    return made;
}

/* Pickles and compound keys: canonical form first (aux bytes), then the pickle; all canonical if there is no pickle. */
static PyObject *decode_pickled(mpy_handle *h, mps_copy *copy, uint64_t skip, PyObject **handles, bool view)
{
    PyObject *inside = NULL;
    if (mps_unlikely(copy->n_refs > 0)) {
        inside = wrap_refs(h, copy->refs, copy->n_refs);
        if (inside == NULL) {
            return NULL;
        }
    }
    PyObject *made = NULL;
    if (skip > copy->nbytes) {
        mpy_fail(h, MPS_E_CORRUPT, "read");
    } else if (skip == copy->nbytes && skip > 0) {
        made = mpy_decode_canonical(h, copy->data, copy->nbytes);
    } else {
        PyObject *buffers = contents(h, inside, view);
        if (buffers != NULL || inside == NULL) {
            made = mpy_unpickle(h->state, copy->data + skip, copy->nbytes - skip, buffers);
            Py_XDECREF(buffers);
        }
    }
    if (made != NULL && handles != NULL) {
        *handles = inside;
    } else {
        Py_XDECREF(inside);
    }
    return made;
}

static PyObject *decode(mpy_handle *h, mps_copy *copy, PyObject **handles)
{
    unsigned tag = mps_value_tag(copy->value);
    if (mps_unlikely(copy->object != NULL) && (tag == MPS_TAG_BYTES || is_ascii(copy->data, copy->nbytes))) {
        PyObject *made = copy->object;
        copy->object = NULL;
        return made;
    }
    switch (tag) {
    case MPS_TAG_NONE: Py_RETURN_NONE;
    case MPS_TAG_BOOL: return PyBool_FromLong(copy->value.w1 != 0);
    case MPS_TAG_INT: return decode_int(copy->value);
    case MPS_TAG_FLOAT: {
        double x = 0;
        memcpy(&x, &copy->value.w1, sizeof x);
        return PyFloat_FromDouble(x);
    }
    case MPS_TAG_ASCII:
    case MPS_TAG_LATIN:
    case MPS_TAG_UCS2:
    case MPS_TAG_UCS4: return mpy_decode_text(tag, copy->data, copy->nbytes);
    case MPS_TAG_BYTES: return PyBytes_FromStringAndSize((const char *)copy->data, (Py_ssize_t)copy->nbytes);
    case MPS_TAG_BIGINT: return _PyLong_FromByteArray(copy->data, copy->nbytes, 1, 1);
    case MPS_TAG_PACK: return mpy_unpack(h, copy->data, copy->nbytes);
    case MPS_TAG_PICKLE: return decode_pickled(h, copy, 0, handles, false);
    case MPS_TAG_KEY:
    case MPS_TAG_ALIAS: return decode_pickled(h, copy, copy->aux, handles, false);
    case MPS_TAG_REF: {
        PyObject *made = mpy_handle_wrap(h->state, h->seg, h->segment, copy->value.w1);
        if (made != NULL && mpy_is_kind(h->state, made, MPS_KIND_BUFFER)) {
            PyObject *value = mpy_buffer_value(mpy_handle_of(made), false);
            if (value != NULL && handles != NULL) {
                *handles = Py_NewRef(made);
            }
            Py_DECREF(made);
            return value;
        }
        if (made != NULL && handles != NULL) {
            *handles = Py_NewRef(made);
        }
        return made;
    }
    default: return mpy_fail(h, MPS_E_CORRUPT, "read");
    }
}

PyObject *mpy_decode_keep(mpy_handle *h, mps_copy *copy, PyObject **handles)
{
    *handles = NULL;
    return decode(h, copy, handles);
}

PyObject *mpy_decode_slow(mpy_handle *h, mps_copy *copy)
{
    PyObject *made = decode(h, copy, NULL);
    mps_copy_done(copy);
    return made;
}

#define FRAME 64 /* bytes that a pickle has around those of a bytearray, or fewer */

/* Of few bytes: of a copy, as they never change; NULL also where they are something else. */
static PyObject *view_of_few(mpy_handle *h, mps_copy *copy)
{
    PyObject *value = decode(h, copy, NULL);
    PyObject *bytes = value != NULL && (PyBytes_CheckExact(value) || PyByteArray_CheckExact(value))
                          ? PyBytes_FromObject(value)
                          : NULL;
    PyObject *view = bytes == NULL ? NULL : PyMemoryView_FromObject(bytes);
    Py_XDECREF(bytes);
    Py_XDECREF(value);
    return view;
}

/* The view of a value that has memory to look at; NULL without an exception: it has none. */
static PyObject *view_of(mpy_handle *h, mps_copy *copy)
{
    unsigned tag = mps_value_tag(copy->value);
    if (tag == MPS_TAG_PICKLE && copy->n_refs > 0) {
        return decode_pickled(h, copy, 0, NULL, true);
    }
    if (tag == MPS_TAG_BYTES || (tag == MPS_TAG_PICKLE && copy->nbytes < MPY_BUFFER_MIN + FRAME)) {
        return view_of_few(h, copy);
    }
    if (tag != MPS_TAG_REF) {
        return NULL;
    }
    PyObject *handle = mpy_handle_wrap(h->state, h->seg, h->segment, copy->value.w1);
    PyObject *view = NULL;
    if (handle != NULL && mpy_is_kind(h->state, handle, MPS_KIND_BUFFER)) {
        view = mpy_buffer_value(mpy_handle_of(handle), true);
    } else if (handle != NULL && mpy_is_buffer(h->state, handle)) {
        view = mpy_buffer_view(handle);
    }
    Py_XDECREF(handle);
    return view;
}

PyObject *mpy_decode_view(mpy_handle *h, mps_copy *copy)
{
    PyObject *made = view_of(h, copy);
    if (made == NULL && !PyErr_Occurred()) {
        PyErr_Format(
            PyExc_TypeError,
            "a value of this type cannot be looked at in place: only arrays, bytes, bytearrays and objects with "
            "out-of-band buffers can; read it with [] instead");
    }
    mps_copy_done(copy);
    return made;
}

PyObject *mpy_decode_item_slow(mpy_handle *h, const mps_snap *snap, uint64_t i)
{
    mps_copy copy;
    mps_snap_item(snap, i, &copy);
    return decode(h, &copy, NULL);
}

PyObject *mpy_decode_plain(mpy_handle *h, mps_value value)
{
    mps_copy copy;
    copy.object = NULL;
    if (!mps_copy_plain(value, &copy)) {
        return mpy_fail(h, MPS_E_CORRUPT, "read a");
    }
    return decode(h, &copy, NULL);
}
