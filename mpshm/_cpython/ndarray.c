/* ndarray.c -- arrays of NumPy that are stored by value: their bytes, and beside them a note of what they are.
 *
 *   note:  | 'A' | order: 'C', 'F' | ndim : 8 | 0 | bytes of dtype : 32 | shape : ndim x 64 | dtype |
 *   dtype: its text, as "<f8", where that says all of it; else a description: dtypes.py
 *
 * What an array is made of comes through the array interface (its attribute __array_struct__), which every release of NumPy has, and
 * new arrays are made by calling numpy.ndarray and numpy.empty. dtypes are looked up once, both ways.
 */
#include "buffer.h"
#include "buffers.h"

/* What __array_struct__ leads to: laid down in NumPy's manual. */
typedef struct array_interface {
    int two;
    int ndim;
    char kind;
    int itemsize;
    int flags;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    void *data;
    PyObject *descr;
} array_interface;

enum { C_CONTIGUOUS = 1, F_CONTIGUOUS = 2 };

#define MAX_NDIM 64
#define MAX_DTYPES 256 /* remembered by their text */
#define MAX_TEXT 32768 /* bytes of a dtype's text: of more the array is pickled, since a note is not made for that */

typedef struct note_head {
    uint8_t kind;
    uint8_t order;
    uint8_t ndim;
    uint8_t zero;
    uint32_t dtype_bytes;
} note_head;

_Static_assert(sizeof(note_head) == 8, "stored");

/* ---- what NumPy lends ---- */

static int get_numpy(mpy_state *state)
{
    static const char *const names[] = {"ndarray", "empty", "copyto", "text_of_dtype", "dtype_of_text"};
    _Static_assert(sizeof names / sizeof names[0] == MPY_N_NUMPY, "all of them");
    if (mps_likely(state->numpy[MPY_N_NUMPY - 1] != NULL)) {
        return 0;
    }
    PyObject *module = PyImport_ImportModule("mpshm.dtypes");
    for (int i = 0; module != NULL && i < MPY_N_NUMPY; i++) {
        PyObject *found = PyObject_GetAttrString(module, names[i]);
        if (found == NULL) {
            Py_CLEAR(module);
            break;
        }
        Py_XSETREF(state->numpy[i], found);
    }
    Py_XDECREF(module);
    return module == NULL ? -1 : 0;
}

bool mpy_is_array(mpy_state *state, PyObject *obj)
{
    if (mps_likely(state->numpy[MPY_NUMPY_NDARRAY] != NULL)) {
        return (PyObject *)Py_TYPE(obj) == state->numpy[MPY_NUMPY_NDARRAY];
    }
    if (strcmp(Py_TYPE(obj)->tp_name, "numpy.ndarray") != 0) {
        return false;
    }
    if (get_numpy(state) < 0) {
        PyErr_Clear(); /* what is called so, and is no array: pickled */
        return false;
    }
    return (PyObject *)Py_TYPE(obj) == state->numpy[MPY_NUMPY_NDARRAY];
}

/* The array interface of an array; *capsule keeps it. */
static const array_interface *interface_of(mpy_state *state, PyObject *array, PyObject **capsule)
{
    *capsule = PyObject_GetAttr(array, state->str_array_struct);
    const array_interface *found = *capsule == NULL ? NULL : PyCapsule_GetPointer(*capsule, NULL);
    if (found != NULL && (found->two != 2 || found->ndim < 0 || found->ndim > MAX_NDIM || found->itemsize < 0)) {
        PyErr_SetString(PyExc_ValueError, "__array_struct__ of an array makes no sense");
        found = NULL;
    }
    if (found == NULL) {
        Py_CLEAR(*capsule);
    }
    return found;
}

/* Whether a text always means one dtype, which never changes: one with fields can be given other names of them. */
static bool is_plain(const void *text, uint64_t nbytes)
{
    return nbytes > 0 && memchr("<>|=", *(const char *)text, 4) != NULL;
}

/* The text of a dtype, bytes, or None where it has none: a new reference. */
static PyObject *text_of_dtype(mpy_state *state, PyObject *dtype)
{
    for (int i = 0; i < MPY_DTYPES; i++) {
        if (state->dtypes[i].dtype == dtype) {
            return Py_NewRef(state->dtypes[i].text);
        }
    }
    PyObject *text = PyObject_CallOneArg(state->numpy[MPY_NUMPY_TEXT_OF], dtype);
    if (text != NULL && PyBytes_CheckExact(text) &&
        is_plain(PyBytes_AS_STRING(text), (uint64_t)PyBytes_GET_SIZE(text))) {
        unsigned place = state->next_dtype++ % MPY_DTYPES;
        Py_XSETREF(state->dtypes[place].dtype, Py_NewRef(dtype));
        Py_XSETREF(state->dtypes[place].text, Py_NewRef(text));
    }
    return text;
}

/* The dtype of a text: a new reference. */
static PyObject *dtype_of_text(mpy_state *state, const uint8_t *data, uint32_t nbytes)
{
    if (state->dtypes_by_text == NULL && (state->dtypes_by_text = PyDict_New()) == NULL) {
        return NULL;
    }
    PyObject *text = PyBytes_FromStringAndSize((const char *)data, nbytes);
    PyObject *dtype = text == NULL ? NULL : PyDict_GetItemWithError(state->dtypes_by_text, text);
    if (dtype != NULL || text == NULL || PyErr_Occurred()) {
        Py_XINCREF(dtype);
        Py_XDECREF(text);
        return dtype;
    }
    dtype = PyObject_CallOneArg(state->numpy[MPY_NUMPY_DTYPE_OF], text);
    if (dtype != NULL && is_plain(data, nbytes)) {
        if (PyDict_GET_SIZE(state->dtypes_by_text) >= MAX_DTYPES) {
            PyDict_Clear(state->dtypes_by_text);
        }
        if (PyDict_SetItem(state->dtypes_by_text, text, dtype) < 0) {
            Py_CLEAR(dtype);
        }
    }
    Py_DECREF(text);
    return dtype;
}

/* numpy.ndarray(shape, dtype, memory, 0, None, order), or numpy.empty(shape, dtype, order) where there is no memory. */
static PyObject *new_array(mpy_state *state, PyObject *shape, PyObject *dtype, PyObject *memory, char order)
{
    PyObject *text = order == 'F' ? state->str_f : state->str_c;
    if (memory == NULL) { /* (and items: empty() gives items of no bytes some) */
        PyObject *args[] = {shape, dtype, text};
        return PyObject_Vectorcall(state->numpy[MPY_NUMPY_EMPTY], args, 3, NULL);
    }
    PyObject *zero = PyLong_FromLong(0);
    PyObject *args[] = {shape, dtype, memory, zero, Py_None, text};
    PyObject *made = zero == NULL ? NULL : PyObject_Vectorcall(state->numpy[MPY_NUMPY_NDARRAY], args, 6, NULL);
    Py_XDECREF(zero);
    return made;
}

static PyObject *shape_tuple(const uint64_t *shape, unsigned ndim)
{
    PyObject *made = PyTuple_New((Py_ssize_t)ndim);
    for (unsigned i = 0; made != NULL && i < ndim; i++) {
        uint64_t n = 0;
        memcpy(&n, shape + i, sizeof n);
        PyObject *number = PyLong_FromUnsignedLongLong(n);
        if (number == NULL) {
            Py_CLEAR(made);
            break;
        }
        PyTuple_SET_ITEM(made, (Py_ssize_t)i, number);
    }
    return made;
}

/* ---- in ---- */

/* An array whose items lie in no order that a copy of bytes could keep: NumPy copies them to their place. */
static int copy_items(mpy_state *state, PyObject *array, PyObject *dtype, const array_interface *info, void *data,
                      uint64_t nbytes)
{
    uint64_t sizes[MAX_NDIM];
    for (int i = 0; i < info->ndim; i++) {
        sizes[i] = (uint64_t)info->shape[i];
    }
    PyObject *shape = shape_tuple(sizes, (unsigned)info->ndim);
    PyObject *memory = PyMemoryView_FromMemory(data, (Py_ssize_t)nbytes, PyBUF_WRITE);
    PyObject *to = shape == NULL || memory == NULL ? NULL : new_array(state, shape, dtype, memory, 'C');
    PyObject *args[] = {to, array};
    PyObject *done = to == NULL ? NULL : PyObject_Vectorcall(state->numpy[MPY_NUMPY_COPYTO], args, 2, NULL);
    Py_XDECREF(to);
    Py_XDECREF(memory);
    Py_XDECREF(shape);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* The buffer of an array whose parts are known. */
static PyObject *store(mpy_handle *h, PyObject *array, PyObject *dtype, PyObject *text, const array_interface *info)
{
    size_t shape_bytes = (size_t)info->ndim * 8, text_bytes = (size_t)PyBytes_GET_SIZE(text);
    uint8_t near[256], *note = near;
    size_t note_bytes = sizeof(note_head) + shape_bytes + text_bytes;
    if (note_bytes > sizeof near && (note = PyMem_Malloc(note_bytes)) == NULL) {
        return PyErr_NoMemory();
    }
    bool fortran = (info->flags & (C_CONTIGUOUS | F_CONTIGUOUS)) == F_CONTIGUOUS;
    bool scattered = (info->flags & (C_CONTIGUOUS | F_CONTIGUOUS)) == 0;
    note_head head = {MPY_NOTE_ARRAY, fortran ? 'F' : 'C', (uint8_t)info->ndim, 0, (uint32_t)text_bytes};
    memcpy(note, &head, sizeof head);
    uint64_t nbytes = (uint64_t)info->itemsize;
    for (int i = 0; i < info->ndim; i++) {
        uint64_t n = (uint64_t)info->shape[i];
        memcpy(note + sizeof head + (size_t)i * 8, &n, sizeof n);
        nbytes *= n;
    }
    memcpy(note + sizeof head + shape_bytes, PyBytes_AS_STRING(text), text_bytes);
    PyObject *made = NULL;
    if (scattered) {
        void *data = NULL;
        made = mpy_buffer_new(h, nbytes, note, note_bytes, &data);
        if (made != NULL && copy_items(h->state, array, dtype, info, data, nbytes) < 0) {
            Py_CLEAR(made);
        }
    } else {
        made = mpy_buffer_of(h, info->data, nbytes, note, note_bytes);
    }
    if (note != near) {
        PyMem_Free(note);
    }
    return made;
}

PyObject *mpy_array_pin(PyObject *array)
{
    return PyWeakref_NewRef(array, NULL);
}

int mpy_array_store(mpy_handle *h, PyObject *array, PyObject **made)
{
    mpy_state *state = h->state;
    PyObject *dtype = get_numpy(state) < 0 ? NULL : PyObject_GetAttr(array, state->str_dtype);
    PyObject *text = dtype == NULL ? NULL : text_of_dtype(state, dtype);
    int stored = text == NULL ? -1 : 0;
    if (text != NULL && PyBytes_CheckExact(text) && PyBytes_GET_SIZE(text) <= MAX_TEXT) {
        PyObject *capsule = NULL, *pin = mpy_array_pin(array);
        const array_interface *info = pin == NULL ? NULL : interface_of(state, array, &capsule);
        *made = info == NULL ? NULL : store(h, array, dtype, text, info);
        stored = *made == NULL ? -1 : 1;
        Py_XDECREF(capsule);
        Py_XDECREF(pin);
    }
    Py_XDECREF(text);
    Py_XDECREF(dtype);
    return stored;
}

/* ---- out ---- */

/* An array of its own with all bytes of the buffer, whose length was compared with what the note says. */
static PyObject *copied(mpy_handle *h, PyObject *shape, PyObject *dtype, char order, uint64_t nbytes)
{
    PyObject *made = new_array(h->state, shape, dtype, nbytes == 0 ? Py_None : NULL, order);
    if (made == NULL || nbytes == 0) {
        return made;
    }
    PyObject *capsule = NULL;
    const array_interface *info = interface_of(h->state, made, &capsule);
    mps_status st = info == NULL ? MPY_RAISED : mps_buffer_read(h->seg, MPS_DOOR_GIL, h->off, info->data, nbytes);
    Py_XDECREF(capsule);
    if (st != MPS_OK) {
        Py_CLEAR(made);
        mpy_buffer_fail(h, st);
    }
    return made;
}

static PyObject *load(mpy_handle *h, PyObject *shape, PyObject *dtype, char order, uint64_t nbytes, bool view)
{
    PyObject *memory = NULL;
    if (view) {
        memory = mpy_buffer_view((PyObject *)h);
    } else if (nbytes >= MPS_BUFFER_LARGE || h->seg->region.readonly) {
        memory = mpy_buffer_own(h);
    } else {
        return copied(h, shape, dtype, order, nbytes);
    }
    PyObject *made = memory == NULL ? NULL : new_array(h->state, shape, dtype, memory, order);
    Py_XDECREF(memory);
    return made;
}

/* Whether an array of that shape and dtype has that many bytes: 1, 0, or -1. */
static int fits(mpy_state *state, const uint64_t *shape, unsigned ndim, PyObject *dtype, uint64_t nbytes)
{
    PyObject *itemsize = PyObject_GetAttr(dtype, state->str_itemsize);
    uint64_t total = itemsize == NULL ? 0 : PyLong_AsUnsignedLongLong(itemsize);
    Py_XDECREF(itemsize);
    if (PyErr_Occurred()) {
        return -1;
    }
    bool much = false;
    for (unsigned i = 0; i < ndim; i++) {
        uint64_t n = 0;
        memcpy(&n, shape + i, sizeof n);
        if (n > (uint64_t)PY_SSIZE_T_MAX) {
            return 0;
        }
        much = __builtin_mul_overflow(total, n, &total) || much;
        much = much && n != 0;
    }
    return !much && total == nbytes;
}

PyObject *mpy_array_load(mpy_handle *h, const uint8_t *note, uint64_t note_bytes, bool view)
{
    mpy_state *state = h->state;
    mps_off at = 0;
    uint64_t nbytes = 0;
    mps_status st = mps_raw_data(h->seg, h->off, &at, &nbytes);
    note_head head = {0};
    if (note_bytes >= sizeof head) {
        memcpy(&head, note, sizeof head);
    }
    if (st != MPS_OK || head.ndim > MAX_NDIM ||
        note_bytes != sizeof head + (uint64_t)head.ndim * 8 + head.dtype_bytes) {
        return mpy_buffer_fail(h, MPS_E_CORRUPT);
    }
    if (get_numpy(state) < 0) {
        return NULL;
    }
    const uint64_t *sizes = (const uint64_t *)(const void *)(note + sizeof head);
    PyObject *dtype = dtype_of_text(state, note + sizeof head + (size_t)head.ndim * 8, head.dtype_bytes);
    int fit = dtype == NULL ? -1 : fits(state, sizes, head.ndim, dtype, nbytes);
    PyObject *made = NULL;
    if (fit == 0) {
        mpy_buffer_fail(h, MPS_E_CORRUPT);
    } else if (fit > 0) {
        PyObject *shape = shape_tuple(sizes, head.ndim);
        made = shape == NULL ? NULL : load(h, shape, dtype, (char)head.order, nbytes, view);
        Py_XDECREF(shape);
    }
    Py_XDECREF(dtype);
    return made;
}

void mpy_numpy_clear(mpy_state *state)
{
    for (int i = 0; i < MPY_N_NUMPY; i++) {
        Py_CLEAR(state->numpy[i]);
    }
    for (int i = 0; i < MPY_DTYPES; i++) {
        Py_CLEAR(state->dtypes[i].dtype);
        Py_CLEAR(state->dtypes[i].text);
    }
    Py_CLEAR(state->dtypes_by_text);
}
