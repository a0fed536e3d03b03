/* typed.c -- Vector: items of one fixed size side by side.
 *
 * Numbers in the machine's own form are made and read here; whatever else an item may be (and everything with many items) is the
 * face's business, which knows NumPy. It is called as _get, _set, _del and _append.
 */
#include "list.h"

#include "typed.h"

/* ---- errors ---- */

/* As mpy_again; of processes that have died, views do not count. */
static bool again(mpy_handle *h, mps_status *st)
{
    if (*st != MPS_E_EXISTS) {
        return mpy_again(h, st);
    }
    if (!mpy_recover(h)) {
        return false;
    }
    *st = MPS_OK;
    return true;
}

static PyObject *fail(mpy_handle *h, mps_status st, const char *tried)
{
    switch (st) {
    case MPS_E_EXISTS:
        PyErr_SetString(PyExc_BufferError,
                        "Existing exports of data: object cannot be re-sized. Drop the arrays and memoryviews that are "
                        "views on this Vector, in every process, or reserve() room before they are made");
        return NULL;
    case MPS_E_INVAL: PyErr_SetString(PyExc_IndexError, "vector already at its maximum size"); return NULL;
    case MPS_E_RANGE: PyErr_SetString(PyExc_IndexError, "vector index out of range"); return NULL;
    case MPS_E_TYPE: PyErr_SetString(PyExc_TypeError, "a Vector is made with a dtype, which stays"); return NULL;
    default: return mpy_fail(h, st, tried);
    }
}

static PyObject *none_or(mpy_handle *h, mps_status st, const char *tried)
{
    if (mps_unlikely(st != MPS_OK)) {
        return fail(h, st, tried);
    }
    Py_RETURN_NONE;
}

static int form_of(mpy_handle *h, mps_typed_form *form)
{
    mps_status st = mps_typed_form_get(h->seg, h->off, form);
    return mps_likely(st == MPS_OK) ? 0 : (fail(h, st, "look into a"), -1);
}

/* ---- numbers ---- */

static inline PyObject *decode(uint32_t code, uint64_t item)
{
    switch (code) {
    case '?': return PyBool_FromLong((item & 0xff) != 0);
    case 'b': return PyLong_FromLong((int8_t)item);
    case 'h': return PyLong_FromLong((int16_t)item);
    case 'i': return PyLong_FromLong((int32_t)item);
    case 'q': return PyLong_FromLong((long)item);
    case 'B': return PyLong_FromLong((uint8_t)item);
    case 'H': return PyLong_FromLong((uint16_t)item);
    case 'I': return PyLong_FromLong((uint32_t)item);
    case 'Q': return PyLong_FromUnsignedLongLong(item);
    case 'f': {
        float real = 0;
        memcpy(&real, &item, sizeof real);
        return PyFloat_FromDouble((double)real);
    }
    default: {
        double real = 0;
        memcpy(&real, &item, sizeof real);
        return PyFloat_FromDouble(real);
    }
    }
}

static inline bool fits(uint32_t code, int64_t n)
{
    switch (code) {
    case 'b': return n == (int8_t)n;
    case 'h': return n == (int16_t)n;
    case 'i': return n == (int32_t)n;
    case 'q': return true;
    case 'B': return n == (uint8_t)n;
    case 'H': return n == (uint16_t)n;
    case 'I': return n == (uint32_t)n;
    case 'Q': return n >= 0;
    default: return false;
    }
}

/* The item that an object is: 1, 0 when the face has to say, or -1. */
static inline int encode(uint32_t code, PyObject *obj, uint64_t *item)
{
    int64_t n = 0;
    if (code == 'd' && PyFloat_Check(obj)) {
        double real = PyFloat_AS_DOUBLE(obj);
        memcpy(item, &real, sizeof real);
        return 1;
    }
    if (code == 'f' && PyFloat_Check(obj)) {
        float real = (float)PyFloat_AS_DOUBLE(obj);
        memcpy(item, &real, sizeof real);
        return 1;
    }
    if (code == '?' && PyBool_Check(obj)) {
        *item = obj == Py_True;
        return 1;
    }
    if (mps_likely(PyLong_CheckExact(obj) && mpy_small_int(obj, &n))) {
        *item = (uint64_t)n;
        if (mps_likely(fits(code, n))) {
            return 1;
        }
    } else if (!PyIndex_Check(obj) || code == 0) {
        return 0;
    }
    if (code == 0 || code == 'd' || code == 'f' || code == '?') {
        return 0;
    }
    PyObject *number = PyNumber_Index(obj);
    if (number == NULL) {
        return -1;
    }
    int overflow = 0;
    n = PyLong_AsLongLongAndOverflow(number, &overflow);
    bool good = overflow == 0 && fits(code, n);
    *item = (uint64_t)n;
    if (!good && code == 'Q' && overflow > 0) {
        *item = PyLong_AsUnsignedLongLong(number);
        good = !PyErr_Occurred();
        PyErr_Clear();
    }
    if (!good) {
        PyErr_Format(PyExc_OverflowError, "Python integer %R out of bounds for the dtype of the Vector", number);
    }
    Py_DECREF(number);
    return good ? 1 : -1;
}

/* Whether a key is one place; arrays, some of which have an __index__, are many. */
static inline bool is_one(PyObject *key)
{
    const PyMappingMethods *mapping = Py_TYPE(key)->tp_as_mapping;
    return PyLong_CheckExact(key) || (PyIndex_Check(key) && (mapping == NULL || mapping->mp_length == NULL));
}

static int as_index(PyObject *key, int64_t *index)
{
    if (mps_likely(PyLong_CheckExact(key)) && mps_likely(mpy_small_int(key, index))) {
        return 0;
    }
    *index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    return *index == -1 && PyErr_Occurred() ? -1 : 0;
}

/* ---- one item ---- */

/* The bytes of an item, as a new bytearray. */
static PyObject *get_bytes(mpy_handle *h, int64_t index, uint32_t itemsize)
{
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)itemsize);
    mps_status st = MPS_OK;
    if (bytes == NULL) {
        return NULL;
    }
    do {
        st = mps_typed_get(h->seg, MPS_DOOR_GIL, h->off, itemsize, index, PyByteArray_AS_STRING(bytes));
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        Py_DECREF(bytes);
        return fail(h, st, "get an item of a");
    }
    return bytes;
}

static PyObject *get(mpy_handle *h, int64_t index)
{
    mps_typed_form form;
    uint64_t item = 0;
    if (mps_unlikely(form_of(h, &form) < 0)) {
        return NULL;
    }
    if (mps_unlikely(form.code == 0)) {
        return PyObject_CallMethod((PyObject *)h, "_get", "L", (long long)index);
    }
    if (form.itemsize > sizeof item) {
        return mpy_fail(h, MPS_E_CORRUPT, "get an item of a");
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_get(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, index, &item);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    return mps_likely(st == MPS_OK) ? decode(form.code, item) : fail(h, st, "get an item of a");
}

static PyObject *vector_subscript(PyObject *self, PyObject *key)
{
    int64_t index = 0;
    if (mps_unlikely(!is_one(key))) {
        return PyObject_CallMethod(self, "_get", "(O)", key);
    }
    return as_index(key, &index) < 0 ? NULL : get(mpy_handle_of(self), index);
}

static PyObject *vector_item(PyObject *self, Py_ssize_t index)
{
    mpy_handle *h = mpy_handle_of(self);
    return index < 0 ? fail(h, MPS_E_RANGE, "") : get(h, index); /* the length has been added already */
}

static int discard(PyObject *done)
{
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

static int vector_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    int64_t index = 0;
    uint64_t item = 0;
    if (value == NULL) {
        return discard(PyObject_CallMethod(self, "_del", "(O)", key));
    }
    if (mps_unlikely(form_of(h, &form) < 0)) {
        return -1;
    }
    bool one = is_one(key);
    int done = one && form.itemsize <= sizeof item ? encode(form.code, value, &item) : 0;
    if (done <= 0) {
        return done < 0 ? -1 : discard(PyObject_CallMethod(self, "_set", "OO", key, value));
    }
    if (as_index(key, &index) < 0) {
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_set(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, index, &item);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    return mps_likely(st == MPS_OK) ? 0 : (fail(h, st, "set an item of a"), -1);
}

static PyObject *vector_append(PyObject *self, PyObject *value)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    uint64_t item = 0;
    if (mps_unlikely(form_of(h, &form) < 0)) {
        return NULL;
    }
    int done = form.itemsize <= sizeof item ? encode(form.code, value, &item) : 0;
    if (done <= 0) {
        return done < 0 ? NULL : PyObject_CallMethod(self, "_append", "(O)", value);
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_push(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, &item, 1);
    } while (mps_unlikely(st != MPS_OK) && again(h, &st));
    return none_or(h, st, "append to a");
}

static PyObject *vector_get_bytes(PyObject *self, PyObject *key)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    int64_t index = 0;
    return as_index(key, &index) < 0 || form_of(h, &form) < 0 ? NULL : get_bytes(h, index, form.itemsize);
}

static PyObject *vector_put_bytes(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    int64_t index = 0;
    Py_buffer view;
    if (!mpy_count_args("_put", n_args, 2, 2) || as_index(args[0], &index) < 0 || form_of(h, &form) < 0 ||
        PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = view.len != (Py_ssize_t)form.itemsize
                 ? MPS_E_TYPE
                 : mps_typed_set(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, index, view.buf);
    } while (st != MPS_OK && mpy_again(h, &st));
    PyBuffer_Release(&view);
    return none_or(h, st, "set an item of a");
}

static PyObject *vector_pop_bytes(PyObject *self, PyObject *key)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    int64_t index = 0;
    if (as_index(key, &index) < 0 || form_of(h, &form) < 0) {
        return NULL;
    }
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)form.itemsize);
    mps_status st = MPS_OK;
    if (bytes == NULL) {
        return NULL;
    }
    do {
        st = mps_typed_pop(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, index, PyByteArray_AS_STRING(bytes));
    } while (st != MPS_OK && again(h, &st));
    if (st == MPS_OK) {
        return bytes;
    }
    Py_DECREF(bytes);
    return fail(h, st, "pop from a");
}

/* ---- many ---- */

/* The buffer of a whole number of items: 0 or -1. */
static int items_of(mpy_handle *h, PyObject *obj, mps_typed_form *form, Py_buffer *view, uint64_t *n)
{
    if (form_of(h, form) < 0 || PyObject_GetBuffer(obj, view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    *n = (uint64_t)view->len / form->itemsize;
    if (*n * form->itemsize == (uint64_t)view->len) {
        return 0;
    }
    PyBuffer_Release(view);
    PyErr_SetString(PyExc_ValueError, "not a whole number of items");
    return -1;
}

static PyObject *vector_push(PyObject *self, PyObject *items)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    Py_buffer view;
    uint64_t n = 0;
    if (items_of(h, items, &form, &view, &n) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_push(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, view.buf, n);
    } while (st != MPS_OK && again(h, &st));
    PyBuffer_Release(&view);
    return none_or(h, st, "extend a");
}

static PyObject *vector_insert(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t index = 0;
    mps_typed_form form;
    Py_buffer view;
    uint64_t n = 0;
    if (!mpy_count_args("_insert", n_args, 2, 2)) {
        return NULL;
    }
    index = PyNumber_AsSsize_t(args[0], PyExc_OverflowError);
    if ((index == -1 && PyErr_Occurred()) || items_of(h, args[1], &form, &view, &n) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_insert(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, index, view.buf, n);
    } while (st != MPS_OK && again(h, &st));
    PyBuffer_Release(&view);
    return none_or(h, st, "insert into a");
}

static PyObject *vector_assign(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_slice slice;
    mps_typed_form form;
    Py_buffer view;
    uint64_t n = 0;
    uint64_t found = 0;
    if (!mpy_count_args("_assign", n_args, 2, 2) || mpy_list_slice_of(args[0], &slice) < 0 ||
        items_of(h, args[1], &form, &view, &n) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_assign(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, slice, view.buf, n, &found);
    } while (st != MPS_OK && again(h, &st));
    PyBuffer_Release(&view);
    if (st == MPS_E_CHANGED) {
        return PyErr_Format(PyExc_ValueError, "attempt to assign sequence of size %zd to extended slice of size %zd",
                            (Py_ssize_t)n, (Py_ssize_t)found);
    }
    return none_or(h, st, "set items of a");
}

static PyObject *vector_fill(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_slice slice;
    mps_typed_form form;
    Py_buffer view;
    uint64_t n = 0;
    if (!mpy_count_args("_fill", n_args, 2, 2) || mpy_list_slice_of(args[0], &slice) < 0 ||
        items_of(h, args[1], &form, &view, &n) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = n != 1 ? MPS_E_TYPE : mps_typed_fill(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, slice, view.buf);
    } while (st != MPS_OK && again(h, &st));
    PyBuffer_Release(&view);
    return none_or(h, st, "fill a");
}

static PyObject *vector_read(PyObject *self, PyObject *key)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    mps_slice slice;
    uint64_t n = 0;
    uint32_t version = 0;
    if (form_of(h, &form) < 0 || mpy_list_slice_of(key, &slice) < 0) {
        return NULL;
    }
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, 0);
    mps_status st = MPS_E_RETRY;
    while (bytes != NULL && st != MPS_OK) {
        uint64_t room = (uint64_t)PyByteArray_GET_SIZE(bytes) / form.itemsize;
        n = room;
        st = mps_typed_read(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, slice, PyByteArray_AS_STRING(bytes), &n,
                            &version);
        if (st == MPS_E_RETRY || (st == MPS_OK && n < room)) {
            if (n > PY_SSIZE_T_MAX / form.itemsize || PyByteArray_Resize(bytes, (Py_ssize_t)(n * form.itemsize)) < 0) {
                Py_CLEAR(bytes);
                PyErr_NoMemory();
            }
        } else if (st != MPS_OK && !mpy_again(h, &st)) {
            Py_DECREF(bytes);
            return fail(h, st, "read a");
        } else if (st == MPS_OK) {
            break;
        }
    }
    return bytes == NULL ? NULL : Py_BuildValue("(Nk)", bytes, (unsigned long)version);
}

static PyObject *vector_replace(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_typed_form form;
    Py_buffer view;
    uint64_t n = 0;
    if (!mpy_count_args("_replace", n_args, 2, 2)) {
        return NULL;
    }
    unsigned long version = PyLong_AsUnsignedLong(args[1]);
    if ((version == (unsigned long)-1 && PyErr_Occurred()) || items_of(h, args[0], &form, &view, &n) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_typed_replace(h->seg, MPS_DOOR_GIL, h->off, form.itemsize, view.buf, n, (uint32_t)version);
    } while (st != MPS_OK && again(h, &st));
    PyBuffer_Release(&view);
    if (st != MPS_OK && st != MPS_E_CHANGED) {
        return fail(h, st, "replace the items of a");
    }
    return PyBool_FromLong(st == MPS_OK);
}

/* ---- room ---- */

/* An operation with a number of items. */
typedef mps_status sized(mps_seg *seg, mps_door door, mps_off off, uint64_t n);

static PyObject *with_size(PyObject *self, PyObject *size, sized *operation, const char *tried)
{
    mpy_handle *h = mpy_handle_of(self);
    Py_ssize_t n = PyNumber_AsSsize_t(size, PyExc_OverflowError);
    if (n < 0) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "a number of items, not %zd", n);
    }
    mps_status st = MPS_OK;
    do {
        st = operation(h->seg, MPS_DOOR_GIL, h->off, (uint64_t)n);
    } while (st != MPS_OK && again(h, &st));
    return none_or(h, st, tried);
}

static PyObject *vector_resize(PyObject *self, PyObject *size)
{
    return with_size(self, size, mps_typed_resize, "resize a");
}

static PyObject *vector_reserve(PyObject *self, PyObject *size)
{
    return with_size(self, size, mps_typed_reserve, "reserve room in a");
}

static PyObject *vector_shrink(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = MPS_OK;
    do {
        st = mps_typed_trim(h->seg, MPS_DOOR_GIL, h->off);
    } while (st != MPS_OK && again(h, &st));
    return none_or(h, st, "shrink a");
}

static PyObject *vector_clear(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = MPS_OK;
    do {
        st = mps_typed_resize(h->seg, MPS_DOOR_GIL, h->off, 0);
    } while (st != MPS_OK && again(h, &st));
    return none_or(h, st, "clear a");
}

static Py_ssize_t vector_length(PyObject *self)
{
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_typed_len(h->seg, MPS_DOOR_GIL, h->off, &n);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    return mps_likely(st == MPS_OK) ? (Py_ssize_t)n : (fail(h, st, "take the length of a"), -1);
}

static PyObject *vector_capacity(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    uint64_t n = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_typed_capacity(h->seg, MPS_DOOR_GIL, h->off, &n);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(n) : fail(h, st, "take the capacity of a");
}

/* ---- what it is ---- */

static PyObject *vector_setup(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_count_args("_setup", n, 4, 4)) {
        return NULL;
    }
    unsigned long itemsize = PyLong_AsUnsignedLong(args[1]);
    if (itemsize == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_UCS4 code = PyUnicode_Check(args[2]) && PyUnicode_GET_LENGTH(args[2]) == 1 ? PyUnicode_READ_CHAR(args[2], 0) : 0;
    mps_typed_form form = {(uint32_t)Py_MIN(itemsize, UINT32_MAX), code, MPS_TYPED_NO_LIMIT};
    if (args[3] != Py_None) {
        Py_ssize_t most = PyLong_AsSsize_t(args[3]);
        if (most < 0) {
            return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "maxlen must be non-negative");
        }
        form.maxlen = (uint64_t)most;
    }
    mps_enc words;
    mpy_hold hold = {0};
    mps_status st = MPS_OK;
    if (mpy_encode_value(h, args[0], &words, &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    do {
        st = mps_typed_setup(h->seg, MPS_DOOR_GIL, h->off, form, &words);
    } while (st != MPS_OK && mpy_again(h, &st));
    mpy_hold_done(&hold);
    return none_or(h, st, "set up a");
}

static PyObject *vector_form(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_typed_words(h->seg, MPS_DOOR_GIL, h->off, &copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK) {
        return mpy_decode(h, &copy);
    }
    mps_copy_done(&copy);
    return fail(h, st, "read a");
}

static PyObject *vector_itemsize(PyObject *self, void *closure)
{
    (void)closure;
    mps_typed_form form;
    return form_of(mpy_handle_of(self), &form) < 0 ? NULL : PyLong_FromUnsignedLong(form.itemsize);
}

static PyObject *vector_maxlen(PyObject *self, void *closure)
{
    (void)closure;
    mps_typed_form form;
    if (form_of(mpy_handle_of(self), &form) < 0) {
        return NULL;
    }
    return form.maxlen == MPS_TYPED_NO_LIMIT ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(form.maxlen);
}

/* ---- the data ---- */

static PyObject *vector_data(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_off raw = 0;
    uint64_t length = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_typed_data(h->seg, MPS_DOOR_GIL, h->off, &raw, &length);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return fail(h, st, "look into a");
    }
    PyObject *data = raw == 0 ? Py_NewRef(Py_None) : mpy_handle_wrap(h->state, h->seg, h->segment, raw);
    return data == NULL ? NULL : Py_BuildValue("(NK)", data, (unsigned long long)length);
}

/* The array's own buffer, which keeps the array, which keeps the data. */
static int vector_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    PyObject *array = PyObject_GetAttrString(self, "array");
    view->obj = NULL;
    if (array == NULL) {
        return -1;
    }
    int done = PyObject_GetBuffer(array, view, flags);
    Py_DECREF(array);
    return done;
}

/* ---- the type ---- */

static PyMethodDef vector_methods[] = {
    {"append", vector_append, METH_O, "append($self, item, /)\n--\n\nPut an item at the end."},
    {"clear", vector_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out; the room stays."},
    {"resize", vector_resize, METH_O,
     "resize($self, n, /)\n--\n\nMake it n items long: cut off what is more, or add items whose bytes are all zero."},
    {"reserve", vector_reserve, METH_O,
     "reserve($self, n, /)\n--\n\nMake room for n items in all, so that it need not grow until there are as many."},
    {"shrink_to_fit", vector_shrink, METH_NOARGS,
     "shrink_to_fit($self, /)\n--\n\nGive back what memory is not in use."},
    {"_setup", MPY_FUNCTION(vector_setup), METH_FASTCALL,
     "_setup($self, form, itemsize, code, maxlen, /)\n--\n\nSay what the items are, once."},
    {"_form", vector_form, METH_NOARGS, "_form($self, /)\n--\n\nWhat _setup() said that the items are."},
    {"_item", vector_get_bytes, METH_O, "_item($self, index, /)\n--\n\nThe bytes of an item."},
    {"_put", MPY_FUNCTION(vector_put_bytes), METH_FASTCALL,
     "_put($self, index, item, /)\n--\n\nSet an item to these bytes."},
    {"_pop", vector_pop_bytes, METH_O, "_pop($self, index, /)\n--\n\nTake an item out; its bytes."},
    {"_push", vector_push, METH_O, "_push($self, items, /)\n--\n\nPut items, as their bytes, at the end."},
    {"_insert", MPY_FUNCTION(vector_insert), METH_FASTCALL,
     "_insert($self, index, items, /)\n--\n\nPut items, as their bytes, before index."},
    {"_assign", MPY_FUNCTION(vector_assign), METH_FASTCALL,
     "_assign($self, slice, items, /)\n--\n\nReplace a slice by items, as their bytes."},
    {"_fill", MPY_FUNCTION(vector_fill), METH_FASTCALL,
     "_fill($self, slice, item, /)\n--\n\nSet each item of a slice to one, as its bytes."},
    {"_read", vector_read, METH_O,
     "_read($self, slice, /)\n--\n\nThe items of a slice at one moment, as their bytes, and a number that is another "
     "after every change."},
    {"_replace", MPY_FUNCTION(vector_replace), METH_FASTCALL,
     "_replace($self, items, version, /)\n--\n\nMake items the whole content unless the version is another by now; "
     "whether it did."},
    {"_data", vector_data, METH_NOARGS,
     "_data($self, /)\n--\n\nThe bytes that the items are in, or None where there are none, and how many items there "
     "are."},
    {0},
};

static PyGetSetDef vector_getset[] = {
    MPY_LOCK_ATTRIBUTE,
    {"capacity", vector_capacity, NULL, "How many items there is room for.", NULL},
    {"itemsize", vector_itemsize, NULL, "Bytes that one item takes.", NULL},
    {"maxlen", vector_maxlen, NULL, "The greatest length, or None.", NULL},
    {0},
};

PyDoc_STRVAR(vector_doc, "Items of one fixed size, side by side in shared memory.");

static PyType_Slot vector_slots[] = {
    {Py_tp_doc, (void *)vector_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_methods, vector_methods},
    {Py_tp_getset, vector_getset},
    {Py_mp_length, (void *)vector_length},
    {Py_mp_subscript, (void *)vector_subscript},
    {Py_mp_ass_subscript, (void *)vector_ass_subscript},
    {Py_sq_length, (void *)vector_length},
    {Py_sq_item, (void *)vector_item},
    {Py_bf_getbuffer, (void *)vector_getbuffer},
    {0},
};

int mpy_typed_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_VECTOR, "mpshm._types.Vector", Py_TPFLAGS_SEQUENCE, vector_slots);
}
