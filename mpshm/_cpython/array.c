/* array.c -- Array: numbers of one type, as many as there were in the beginning.
 *
 * Ints and floats are converted here. What is rare (other types, numbers out of range, slices) goes through an array.array,
 * so that it means what it means there, and raises what is raised there.
 */
#include "encode.h"
#include "numbers.h"

/* ---- array.array ---- */

static PyObject *array_type(mpy_state *state)
{
    if (state->array_type == NULL) {
        PyObject *module = PyImport_ImportModule("array");
        state->array_type = module == NULL ? NULL : PyObject_GetAttrString(module, "array");
        Py_XDECREF(module);
    }
    return state->array_type;
}

/* An array.array of a content: an iterable of items, or their bytes. */
static PyObject *array_of(const mpy_handle *h, uint32_t typecode, PyObject *content)
{
    PyObject *type = array_type(h->state);
    return type == NULL ? NULL : PyObject_CallFunction(type, "CO", (int)typecode, content);
}

/* Whether an array.array has that typecode: 1, 0 or -1. */
static int has_typecode(PyObject *array, uint32_t typecode)
{
    PyObject *found = PyObject_GetAttrString(array, "typecode");
    if (found == NULL) {
        return -1;
    }
    int same = PyUnicode_GET_LENGTH(found) == 1 && PyUnicode_READ_CHAR(found, 0) == typecode;
    Py_DECREF(found);
    return same;
}

/* ---- items ---- */

/* Bytes that an item of that type takes; 0: there is no such type. */
static uint32_t size_of(uint32_t typecode)
{
    switch (typecode) {
    case 'b':
    case 'B': return 1;
    case 'h':
    case 'H': return sizeof(short);
    case 'i':
    case 'I': return sizeof(int);
    case 'l':
    case 'L': return sizeof(long);
    case 'q':
    case 'Q': return sizeof(long long);
    case 'f': return sizeof(float);
    case 'd': return sizeof(double);
    case 'u': return sizeof(wchar_t);
    case 'w': return sizeof(Py_UCS4);
    default: return 0;
    }
}

/* The form, with a type that makes sense: or an exception and -1. */
static int form_of(mpy_handle *h, mps_numbers_form *form)
{
    mps_status st = mps_numbers_form_get(h->seg, h->off, form);
    if (mps_likely(st == MPS_OK && size_of(form->typecode) == form->itemsize)) {
        return 0;
    }
    mpy_fail(h, st == MPS_OK ? MPS_E_CORRUPT : st, "look into an");
    return -1;
}

static PyObject *decode_real(uint32_t typecode, uint64_t item)
{
    if (typecode == 'd') {
        double real = 0;
        memcpy(&real, &item, sizeof(real));
        return PyFloat_FromDouble(real);
    }
    float real = 0;
    memcpy(&real, &item, sizeof(real));
    return PyFloat_FromDouble((double)real);
}

static PyObject *decode_character(uint32_t typecode, uint64_t item)
{
    wchar_t wide = 0;
    memcpy(&wide, &item, sizeof(wide));
    return typecode == 'u' ? PyUnicode_FromWideChar(&wide, 1)
                           : PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, &item, 1);
}

static PyObject *decode(const mps_numbers_form *form, uint64_t item)
{
    switch (form->typecode) {
    case 'b': return PyLong_FromLong((int8_t)item);
    case 'h': return PyLong_FromLong((int16_t)item);
    case 'i': return PyLong_FromLong((int32_t)item);
    case 'l':
    case 'q': return PyLong_FromLong((long)item);
    case 'B': return PyLong_FromLong((uint8_t)item);
    case 'H': return PyLong_FromLong((uint16_t)item);
    case 'I': return PyLong_FromLong((uint32_t)item);
    case 'L':
    case 'Q': return PyLong_FromUnsignedLongLong(item);
    case 'f':
    case 'd': return decode_real(form->typecode, item);
    default: return decode_character(form->typecode, item);
    }
}

/* The commonest: ints of one digit that fit, doubles. */
static inline bool encode_fast(const mps_numbers_form *form, PyObject *obj, uint64_t *item)
{
    int64_t n = 0;
    if (form->typecode == 'd' && PyFloat_CheckExact(obj)) {
        double real = PyFloat_AS_DOUBLE(obj);
        memcpy(item, &real, sizeof(real));
        return true;
    }
    if (!PyLong_CheckExact(obj) || !mpy_small_int(obj, &n)) {
        return false;
    }
    *item = (uint64_t)n;
    switch (form->typecode) {
    case 'b': return n == (int8_t)n;
    case 'h': return n == (int16_t)n;
    case 'i': return n == (int32_t)n;
    case 'l':
    case 'q': return true;
    case 'B': return n == (uint8_t)n;
    case 'H': return n == (uint16_t)n;
    case 'I': return n == (uint32_t)n;
    case 'L':
    case 'Q': return n >= 0;
    default: return false;
    }
}

/* What array.array makes of it. */
static int encode_slow(mpy_handle *h, const mps_numbers_form *form, PyObject *obj, uint64_t *item)
{
    PyObject *items = PyTuple_Pack(1, obj);
    PyObject *array = items == NULL ? NULL : array_of(h, form->typecode, items);
    Py_XDECREF(items);
    Py_buffer view;
    if (array == NULL || PyObject_GetBuffer(array, &view, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(array);
        return -1;
    }
    bool right = view.len == (Py_ssize_t)form->itemsize;
    if (right) {
        memcpy(item, view.buf, form->itemsize);
    } else {
        PyErr_SetString(PyExc_TypeError, "an item of an Array");
    }
    PyBuffer_Release(&view);
    Py_DECREF(array);
    return right ? 0 : -1;
}

/* The place of an index, which may be negative: or -1 and IndexError. */
static Py_ssize_t place_of(const mps_numbers_form *form, Py_ssize_t index, const char *message)
{
    Py_ssize_t length = (Py_ssize_t)form->length;
    index += index < 0 ? length : 0;
    if (mps_likely(index >= 0 && index < length)) {
        return index;
    }
    PyErr_SetString(PyExc_IndexError, message);
    return -1;
}

static PyObject *get_item(mpy_handle *h, Py_ssize_t index)
{
    mps_numbers_form form;
    if (form_of(h, &form) < 0 || (index = place_of(&form, index, "array index out of range")) < 0) {
        return NULL;
    }
    uint64_t item = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_numbers_get(h->seg, MPS_DOOR_GIL, h->off, (uint64_t)index, &item);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    return mps_likely(st == MPS_OK) ? decode(&form, item) : mpy_fail(h, st, "get an item of an");
}

static int set_item(mpy_handle *h, Py_ssize_t index, PyObject *obj)
{
    mps_numbers_form form;
    uint64_t item = 0;
    if (form_of(h, &form) < 0 || (index = place_of(&form, index, "array assignment index out of range")) < 0 ||
        (!encode_fast(&form, obj, &item) && encode_slow(h, &form, obj, &item) < 0)) {
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_numbers_set(h->seg, MPS_DOOR_GIL, h->off, (uint64_t)index, item);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_likely(st == MPS_OK)) {
        return 0;
    }
    mpy_fail(h, st, "set an item of an");
    return -1;
}

/* ---- slices ---- */

static int part_of(const mps_numbers_form *form, PyObject *slice, mps_numbers_part *part)
{
    Py_ssize_t start = 0;
    Py_ssize_t stop = 0;
    Py_ssize_t step = 0;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0) {
        return -1;
    }
    Py_ssize_t n = PySlice_AdjustIndices((Py_ssize_t)form->length, &start, &stop, step);
    *part = (mps_numbers_part){.start = (uint64_t)start, .step = step, .n = (uint64_t)n};
    return 0;
}

/* The items of a part at one moment, packed: a new bytes object. */
static PyObject *read_part(mpy_handle *h, const mps_numbers_form *form, mps_numbers_part part)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(part.n * form->itemsize));
    if (bytes == NULL) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_numbers_read(h->seg, MPS_DOOR_GIL, h->off, part, PyBytes_AS_STRING(bytes));
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (mps_unlikely(st != MPS_OK)) {
        Py_DECREF(bytes);
        return mpy_fail(h, st, "get the items of an");
    }
    return bytes;
}

static PyObject *get_slice(mpy_handle *h, PyObject *slice)
{
    mps_numbers_form form;
    mps_numbers_part part;
    if (form_of(h, &form) < 0 || part_of(&form, slice, &part) < 0) {
        return NULL;
    }
    PyObject *bytes = read_part(h, &form, part);
    PyObject *array = bytes == NULL ? NULL : array_of(h, form.typecode, bytes);
    Py_XDECREF(bytes);
    return array;
}

static int fits(const mps_numbers_part *part, const Py_buffer *view, const mps_numbers_form *form)
{
    uint64_t given = (uint64_t)view->len / form->itemsize;
    if (given == part->n) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 part->step == 1 ? "cannot assign %zd items to a slice of %zd: the length of an Array is fixed"
                                 : "attempt to assign array of size %zd to extended slice of size %zd",
                 (Py_ssize_t)given, (Py_ssize_t)part->n);
    return -1;
}

/* Sets a slice to the items of an array.array, or of another Array as they are now. */
static int set_slice(mpy_handle *h, PyObject *slice, PyObject *obj)
{
    mps_numbers_form form;
    mps_numbers_part part;
    PyObject *type = array_type(h->state);
    if (type == NULL || form_of(h, &form) < 0) {
        return -1;
    }
    bool shared = mpy_is_handle(h->state, obj) && mpy_is_kind(h->state, obj, MPS_KIND_ARRAY);
    int is_array = shared ? 1 : PyObject_IsInstance(obj, type);
    if (is_array == 0) {
        PyErr_Format(PyExc_TypeError, "can only assign array (not \"%.200s\") to array slice", Py_TYPE(obj)->tp_name);
    }
    if (is_array <= 0) {
        return -1;
    }
    PyObject *array = shared ? PySequence_GetSlice(obj, 0, PY_SSIZE_T_MAX) : Py_NewRef(obj);
    int same = array == NULL ? -1 : has_typecode(array, form.typecode);
    if (same == 0) {
        PyErr_BadArgument();
    }
    Py_buffer view;
    if (same <= 0 || part_of(&form, slice, &part) < 0 || PyObject_GetBuffer(array, &view, PyBUF_SIMPLE) < 0) {
        Py_XDECREF(array);
        return -1;
    }
    int done = fits(&part, &view, &form);
    if (done == 0) {
        mps_status st = MPS_OK;
        do {
            st = mps_numbers_write(h->seg, MPS_DOOR_GIL, h->off, part, view.buf);
        } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
        done = st == MPS_OK ? 0 : (mpy_fail(h, st, "set the items of an"), -1);
    }
    PyBuffer_Release(&view);
    Py_DECREF(array);
    return done;
}

/* ---- the protocols ---- */

static Py_ssize_t array_length(PyObject *self)
{
    mps_numbers_form form;
    return form_of(mpy_handle_of(self), &form) < 0 ? -1 : (Py_ssize_t)form.length;
}

static PyObject *array_item(PyObject *self, Py_ssize_t index)
{
    if (mps_unlikely(index < 0)) {
        PyErr_SetString(PyExc_IndexError, "array index out of range"); /* the length was added before */
        return NULL;
    }
    return get_item(mpy_handle_of(self), index);
}

static PyObject *array_subscript(PyObject *self, PyObject *key)
{
    if (mps_likely(PyIndex_Check(key))) {
        Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
        return index == -1 && PyErr_Occurred() ? NULL : get_item(mpy_handle_of(self), index);
    }
    if (PySlice_Check(key)) {
        return get_slice(mpy_handle_of(self), key);
    }
    PyErr_SetString(PyExc_TypeError, "array indices must be integers");
    return NULL;
}

static int array_ass_subscript(PyObject *self, PyObject *key, PyObject *obj)
{
    if (obj == NULL) {
        PyErr_SetString(PyExc_TypeError, "the items of an Array cannot be deleted: its length is fixed");
        return -1;
    }
    if (mps_likely(PyIndex_Check(key))) {
        Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
        return index == -1 && PyErr_Occurred() ? -1 : set_item(mpy_handle_of(self), index, obj);
    }
    if (PySlice_Check(key)) {
        return set_slice(mpy_handle_of(self), key, obj);
    }
    PyErr_SetString(PyExc_TypeError, "array indices must be integers");
    return -1;
}

static PyObject *array_tobytes(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_numbers_form form;
    return form_of(h, &form) < 0 ? NULL : read_part(h, &form, (mps_numbers_part){0, 1, form.length});
}

static PyObject *array_typecode(PyObject *self, void *closure)
{
    (void)closure;
    mps_numbers_form form;
    return form_of(mpy_handle_of(self), &form) < 0 ? NULL : PyUnicode_FromOrdinal((int)form.typecode);
}

static PyObject *array_itemsize(PyObject *self, void *closure)
{
    (void)closure;
    mps_numbers_form form;
    return form_of(mpy_handle_of(self), &form) < 0 ? NULL : PyLong_FromUnsignedLong(form.itemsize);
}

/* ---- making ---- */

typedef struct content {
    mps_numbers_form form;
    const void *items;
} content;

static mps_status make_numbers(mps_seg *seg, void *what, mps_off *off, uint64_t *serial)
{
    const content *c = what;
    return mps_numbers_new(seg, MPS_DOOR_GIL, c->form, c->items, off, serial);
}

/* The form of an array.array: or an exception and -1. */
static int form_of_array(mpy_state *state, PyObject *array, mps_numbers_form *form)
{
    PyObject *type = array_type(state);
    int is_array = type == NULL ? -1 : PyObject_IsInstance(array, type);
    if (is_array == 0) {
        PyErr_Format(PyExc_TypeError, "an Array is made of an array.array, not %s", Py_TYPE(array)->tp_name);
    }
    PyObject *typecode = is_array <= 0 ? NULL : PyObject_GetAttrString(array, "typecode");
    if (typecode == NULL) {
        return -1;
    }
    Py_UCS4 code = PyUnicode_READ_CHAR(typecode, 0);
    Py_DECREF(typecode);
    Py_ssize_t length = PyObject_Size(array);
    if (length < 0 || size_of(code) == 0) {
        return PyErr_Occurred() ? -1 : (PyErr_SetString(PyExc_ValueError, "bad typecode"), -1);
    }
    *form = (mps_numbers_form){(uint64_t)length, code, size_of(code)};
    return 0;
}

static PyObject *array_of_array(PyObject *cls, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    Py_buffer view;
    content c;
    if (!mpy_count_args("_of", n, 2, 2) || form_of_array(state, args[1], &c.form) < 0 ||
        PyObject_GetBuffer(args[1], &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    PyObject *made = NULL;
    if ((uint64_t)view.len == c.form.length * c.form.itemsize) {
        c.items = view.buf;
        PyObject *segment = args[0] == Py_None ? mpy_default_segment(state) : Py_NewRef(args[0]);
        made = segment == NULL ? NULL : mpy_handle_make_by(state, (PyTypeObject *)cls, segment, make_numbers, &c);
        Py_XDECREF(segment);
    } else {
        PyErr_SetString(PyExc_BufferError, "the array.array has changed");
    }
    PyBuffer_Release(&view);
    return made;
}

/* ---- the type ---- */

PyDoc_STRVAR(of_doc, "_of($type, segment, content, /)\n--\n\nThe items of an array.array, in a segment; None: the "
                     "process's default segment.");

static PyMethodDef array_methods[] = {
    {"_of", MPY_FUNCTION(array_of_array), METH_FASTCALL | METH_CLASS, of_doc},
    {"tobytes", array_tobytes, METH_NOARGS, "tobytes($self, /)\n--\n\nThe items at one moment, as their bytes."},
    {0},
};

static PyGetSetDef array_getset[] = {
    {"typecode", array_typecode, NULL, "The character that stands for the type of the items.", NULL},
    {"itemsize", array_itemsize, NULL, "Bytes that one item takes.", NULL},
    MPY_LOCK_ATTRIBUTE,
    {0},
};

PyDoc_STRVAR(array_doc, "Numbers of one type, side by side in shared memory.");

static PyType_Slot array_slots[] = {
    {Py_tp_doc, (void *)array_doc},
    {Py_tp_new, (void *)mpy_handle_new},
    {Py_tp_hash, (void *)PyObject_HashNotImplemented},
    {Py_tp_methods, array_methods},
    {Py_tp_getset, array_getset},
    {Py_mp_length, (void *)array_length},
    {Py_mp_subscript, (void *)array_subscript},
    {Py_mp_ass_subscript, (void *)array_ass_subscript},
    {Py_sq_length, (void *)array_length},
    {Py_sq_item, (void *)array_item},
    {0},
};

int mpy_array_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_ARRAY, "mpshm._types.Array", Py_TPFLAGS_SEQUENCE, array_slots);
}
