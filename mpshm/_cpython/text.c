/* text.c -- String: text or bytes that change in place. What needs no place of its own is the face's, on a copy. */
#include "list.h"

#include "text.h"

/* What of Python's is given, as characters; buf: of bytes, to be released. */
typedef struct given {
    mps_chars chars;
    Py_buffer buf;
    bool held;
    uint8_t byte;
} given;

static void given_done(given *g)
{
    if (g->held) {
        PyBuffer_Release(&g->buf);
    }
}

/* str for a text; bytes-like, or the number of one byte, for bytes: 0 or -1. */
static int take(PyObject *obj, bool bytes, given *g)
{
    *g = (given){.chars = {.width = 1, .bytes = bytes}};
    if (!bytes) {
        if (!PyUnicode_Check(obj)) {
            PyErr_Format(PyExc_TypeError, "a String of text takes str, not %.200s", Py_TYPE(obj)->tp_name);
            return -1;
        }
        g->chars.data = PyUnicode_DATA(obj);
        g->chars.n = (uint64_t)PyUnicode_GET_LENGTH(obj);
        g->chars.width = (uint32_t)PyUnicode_KIND(obj);
        return 0;
    }
    if (PyIndex_Check(obj)) {
        Py_ssize_t number = PyNumber_AsSsize_t(obj, PyExc_ValueError);
        if (number == -1 && PyErr_Occurred()) {
            return -1;
        }
        if (number < 0 || number > 255) {
            PyErr_SetString(PyExc_ValueError, "byte must be in range(0, 256)");
            return -1;
        }
        g->byte = (uint8_t)number;
        g->chars.data = &g->byte;
        g->chars.n = 1;
        return 0;
    }
    if (!PyObject_CheckBuffer(obj)) {
        PyErr_Format(PyExc_TypeError, "a String of bytes takes bytes-like objects, not %.200s", Py_TYPE(obj)->tp_name);
        return -1;
    }
    if (PyObject_GetBuffer(obj, &g->buf, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    g->held = true;
    g->chars.data = g->buf.buf;
    g->chars.n = (uint64_t)g->buf.len;
    return 0;
}

static PyObject *made_of(const mps_chars *chars)
{
    if (chars->n > (uint64_t)PY_SSIZE_T_MAX) {
        return PyErr_NoMemory();
    }
    if (chars->bytes) {
        return PyBytes_FromStringAndSize(chars->data, (Py_ssize_t)chars->n);
    }
    return mpy_decode_text(chars->width == 1   ? MPS_TAG_ASCII
                           : chars->width == 2 ? MPS_TAG_UCS2
                                               : MPS_TAG_UCS4,
                           chars->data, chars->n * chars->width);
}

static bool is_bytes(const mpy_handle *h)
{
    return mps_text_is_bytes(h->seg, h->off);
}

static PyObject *none_or(mpy_handle *h, mps_status st, const char *tried)
{
    if (mps_unlikely(st != MPS_OK)) {
        return mpy_fail(h, st, tried);
    }
    Py_RETURN_NONE;
}

/* ---- reading ---- */

static PyObject *read_slice(mpy_handle *h, mps_slice slice, unsigned long *version)
{
    mps_chars chars;
    mps_status st = MPS_OK;
    do {
        st = mps_text_read(h->seg, MPS_DOOR_GIL, h->off, slice, &chars);
        if (st != MPS_OK) {
            mps_chars_done(&chars);
        }
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "read a");
    }
    if (version != NULL) {
        *version = chars.version;
    }
    PyObject *made = made_of(&chars);
    mps_chars_done(&chars);
    return made;
}

static PyObject *string_read(PyObject *self, PyObject *key)
{
    mps_slice slice;
    return mpy_list_slice_of(key, &slice) < 0 ? NULL : read_slice(mpy_handle_of(self), slice, NULL);
}

static PyObject *string_whole(PyObject *self, PyObject *unused)
{
    (void)unused;
    unsigned long version = 0;
    PyObject *made = read_slice(mpy_handle_of(self), MPY_WHOLE, &version);
    return made == NULL ? NULL : Py_BuildValue("(Nk)", made, version);
}

static Py_ssize_t string_length(PyObject *self)
{
    return mpy_length(mpy_handle_of(self), mps_text_len);
}

/* ---- changing ---- */

static PyObject *string_append(PyObject *self, PyObject *value)
{
    mpy_handle *h = mpy_handle_of(self);
    given g;
    if (take(value, is_bytes(h), &g) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_text_append(h->seg, MPS_DOOR_GIL, h->off, &g.chars);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    given_done(&g);
    return none_or(h, st, "append to a");
}

static PyObject *string_assign(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_slice slice;
    given g;
    if (!mpy_count_args("_assign", n, 2, 2) || mpy_list_slice_of(args[0], &slice) < 0 ||
        take(args[1], is_bytes(h), &g) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_text_assign(h->seg, MPS_DOOR_GIL, h->off, slice, &g.chars);
    } while (st != MPS_OK && mpy_again(h, &st));
    given_done(&g);
    return none_or(h, st, "change a");
}

static PyObject *string_put(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t index = 0;
    given g;
    if (!mpy_count_args("_put", n, 2, 2)) {
        return NULL;
    }
    index = PyNumber_AsSsize_t(args[0], PyExc_IndexError);
    if ((index == -1 && PyErr_Occurred()) || take(args[1], is_bytes(h), &g) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_text_set(h->seg, MPS_DOOR_GIL, h->off, index, &g.chars);
    } while (st != MPS_OK && mpy_again(h, &st));
    given_done(&g);
    if (st == MPS_E_RANGE) {
        PyErr_SetString(PyExc_IndexError, "string index out of range");
        return NULL;
    }
    return none_or(h, st, "change a");
}

static PyObject *string_replace(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    given g;
    if (!mpy_count_args("_replace", n, 2, 2)) {
        return NULL;
    }
    unsigned long version = PyLong_AsUnsignedLong(args[1]);
    if ((version == (unsigned long)-1 && PyErr_Occurred()) || take(args[0], is_bytes(h), &g) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_text_replace(h->seg, MPS_DOOR_GIL, h->off, &g.chars, (uint32_t)version);
    } while (st != MPS_OK && mpy_again(h, &st));
    given_done(&g);
    if (st != MPS_OK && st != MPS_E_CHANGED) {
        return mpy_fail(h, st, "change a");
    }
    return PyBool_FromLong(st == MPS_OK);
}

static PyObject *string_reset(PyObject *self, PyObject *value)
{
    mpy_handle *h = mpy_handle_of(self);
    given g;
    if (PyIndex_Check(value)) {
        return PyErr_Format(PyExc_TypeError, "a String is made of str or of a bytes-like object, not %.200s",
                            Py_TYPE(value)->tp_name);
    }
    if (take(value, !PyUnicode_Check(value), &g) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_text_reset(h->seg, MPS_DOOR_GIL, h->off, &g.chars);
    } while (st != MPS_OK && mpy_again(h, &st));
    given_done(&g);
    return none_or(h, st, "fill a");
}

/* ---- room ---- */

static PyObject *string_reserve(PyObject *self, PyObject *size)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t n = PyNumber_AsSsize_t(size, PyExc_OverflowError);
    if (n < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "a number of characters, not %zd", n);
    }
    mps_status st = MPS_OK;
    do {
        st = mps_text_reserve(h->seg, MPS_DOOR_GIL, h->off, (uint64_t)n);
    } while (st != MPS_OK && mpy_again(h, &st));
    return none_or(h, st, "reserve room in a");
}

static PyObject *string_shrink(PyObject *self, PyObject *unused)
{
    (void)unused;
    return mpy_change(mpy_handle_of(self), mps_text_trim, "shrink a");
}

static PyObject *string_capacity(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_text_capacity(h->seg, MPS_DOOR_GIL, h->off, &n);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(n) : mpy_fail(h, st, "take the capacity of a");
}

static PyObject *string_is_bytes(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(is_bytes(mpy_handle_of(self)));
}

/* ---- the type ---- */

static PyMethodDef string_methods[] = {
    {"append", string_append, METH_O,
     "append($self, value, /)\n--\n\nPut text, or bytes (or the number of one), at the end."},
    {"reserve", string_reserve, METH_O,
     "reserve($self, n, /)\n--\n\nMake room for n characters in all, so that it need not move until there are as "
     "many."},
    {"shrink_to_fit", string_shrink, METH_NOARGS,
     "shrink_to_fit($self, /)\n--\n\nGive back what memory is not in use."},
    {"_read", string_read, METH_O, "_read($self, slice, /)\n--\n\nA slice, without its step, at one moment."},
    {"_whole", string_whole, METH_NOARGS,
     "_whole($self, /)\n--\n\nAll of it at one moment, and a number that is another after every change."},
    {"_assign", MPY_FUNCTION(string_assign), METH_FASTCALL,
     "_assign($self, slice, value, /)\n--\n\nReplace a slice, whose step does not count."},
    {"_put", MPY_FUNCTION(string_put), METH_FASTCALL, "_put($self, index, value, /)\n--\n\nReplace one character."},
    {"_replace", MPY_FUNCTION(string_replace), METH_FASTCALL,
     "_replace($self, value, version, /)\n--\n\nMake value the whole content unless the version is another by now; "
     "whether it did."},
    {"_reset", string_reset, METH_O, "_reset($self, value, /)\n--\n\nMake value, str or bytes, the whole content."},
    {0},
};

static PyGetSetDef string_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {"capacity", string_capacity, NULL, "How many characters of the present width there is room for.", NULL},
    {"is_bytes", string_is_bytes, NULL, "Whether it is bytes, and not text.", NULL},
    {0},
};

PyDoc_STRVAR(string_doc, "Text or bytes in shared memory that change in place.");

static PyType_Slot string_slots[] = {
    {Py_tp_doc, (void *)string_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_methods, string_methods},
    {Py_tp_getset, string_getset},
    {Py_mp_length, (void *)string_length},
    {Py_sq_length, (void *)string_length},
    {0},
};

int mpy_text_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_STRING, "mpshm._types.String", 0, string_slots);
}
