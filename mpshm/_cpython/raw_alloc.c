/* raw_alloc.c -- functions for raw allocations, and for the numbers that stand for objects. */
#include "handle.h"
#include "raw.h"

static int as_sizes(PyObject *sequence, uint64_t *out, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        out[i] = PyLong_AsUnsignedLongLong(PyTuple_GET_ITEM(sequence, i));
        if (out[i] == (uint64_t)-1 && PyErr_Occurred()) {
            return -1;
        }
    }
    return 0;
}

/* Three arrays of n numbers, freed through the first; NULL. */
static uint64_t *make_room(PyObject *tuple, Py_ssize_t *n)
{
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a tuple of ints is needed");
        return NULL;
    }
    *n = PyTuple_GET_SIZE(tuple);
    uint64_t *numbers = PyMem_Calloc((size_t)*n * 3 + 1, sizeof *numbers);
    if (numbers == NULL) {
        PyErr_NoMemory();
    } else if (as_sizes(tuple, numbers, *n) < 0) {
        PyMem_Free(numbers);
        return NULL;
    }
    return numbers;
}

static bool again(mps_status *st)
{
    if (*st == MPS_E_INTR && PyErr_CheckSignals() < 0) {
        *st = MPY_RAISED;
    }
    return *st == MPS_E_INTR;
}

static PyObject *types_allocate(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("allocate", n_args, 3, 3)) {
        return NULL;
    }
    mps_seg *seg = mpy_seg_of(state, args[0]);
    uint64_t align = seg == NULL ? 0 : PyLong_AsUnsignedLongLong(args[2]);
    Py_ssize_t n = 0;
    uint64_t *numbers = seg == NULL || PyErr_Occurred() ? NULL : make_room(args[1], &n);
    if (numbers == NULL) {
        return NULL;
    }
    uint64_t *offs = numbers + n;
    uint64_t *serials = offs + n;
    mps_status st;
    do {
        st = mps_raw_allocate(seg, MPS_DOOR_GIL, numbers, (uint64_t)n, align, offs, serials);
    } while (again(&st));
    PyObject *made = NULL;
    if (st == MPS_OK) {
        made = PyList_New(n);
    } else {
        mpy_fail_at(state, seg, n == 1 ? "an allocation" : "allocations", st, "make");
    }
    for (Py_ssize_t i = 0; made != NULL && i < n; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(mps_number_of(seg, offs[i], serials[i]));
        if (number == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, i, number);
        }
    }
    if (st == MPS_OK && made == NULL) {
        (void)mps_raw_deallocate(seg, MPS_DOOR_GIL, offs, serials, (uint64_t)n);
    }
    PyMem_Free(numbers);
    return made;
}

static PyObject *types_deallocate(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("deallocate", n_args, 2, 2)) {
        return NULL;
    }
    mps_seg *seg = mpy_seg_of(state, args[0]);
    Py_ssize_t n = 0;
    uint64_t *numbers = seg == NULL ? NULL : make_room(args[1], &n);
    if (numbers == NULL) {
        return NULL;
    }
    uint64_t *offs = numbers + n;
    uint64_t *serials = offs + n;
    mps_status st = MPS_OK;
    for (Py_ssize_t i = 0; i < n && st == MPS_OK; i++) {
        st = mps_number_find(seg, numbers[i], &offs[i], &serials[i]);
    }
    if (st == MPS_OK) {
        do {
            st = mps_raw_deallocate(seg, MPS_DOOR_GIL, offs, serials, (uint64_t)n);
        } while (again(&st));
    }
    PyMem_Free(numbers);
    if (st != MPS_OK) {
        return mpy_fail_at(state, seg, "an allocation", st, "give back");
    }
    Py_RETURN_NONE;
}

static mps_status move(mps_seg *seg, uint64_t nbytes, mps_off *off, uint64_t *serial)
{
    mps_off new_off = 0;
    uint64_t new_serial = 0;
    mps_status st;
    do {
        st = mps_raw_move(seg, MPS_DOOR_GIL, *off, *serial, nbytes, &new_off, &new_serial);
    } while (again(&st));
    if (st == MPS_OK) {
        *off = new_off;
        *serial = new_serial;
    }
    return st;
}

/* In place where that is possible, and saves nothing; else, unless it must be, somewhere else. */
static mps_status reallocate(mps_seg *seg, uint64_t number, uint64_t nbytes, bool in_place, mps_off *off,
                             uint64_t *serial)
{
    mps_off data = 0;
    uint64_t before = 0;
    mps_status st = mps_number_find(seg, number, off, serial);
    if (st == MPS_OK) {
        st = mps_raw_data(seg, *off, &data, &before);
    }
    if (st == MPS_OK && !in_place && nbytes < before / 2 && before >= MPS_PAGE) {
        st = move(seg, nbytes, off, serial);
        if (st != MPS_E_FULL) {
            return st;
        }
        st = MPS_OK; /* no room for less: then it stays */
    }
    if (st != MPS_OK) {
        return st;
    }
    do {
        st = mps_raw_resize(seg, MPS_DOOR_GIL, *off, *serial, nbytes);
    } while (again(&st));
    if (st == MPS_E_NOTFOUND) {
        return in_place ? MPS_E_FULL : move(seg, nbytes, off, serial);
    }
    return st;
}

static PyObject *types_reallocate(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("reallocate", n_args, 4, 4)) {
        return NULL;
    }
    mps_seg *seg = mpy_seg_of(state, args[0]);
    uint64_t number = seg == NULL ? 0 : PyLong_AsUnsignedLongLong(args[1]);
    uint64_t nbytes = seg == NULL || PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLong(args[2]);
    int in_place = PyErr_Occurred() ? -1 : PyObject_IsTrue(args[3]);
    if (in_place < 0) {
        return NULL;
    }
    mps_off off = 0;
    uint64_t serial = 0;
    mps_status st = reallocate(seg, number, nbytes, in_place > 0, &off, &serial);
    if (st == MPS_OK) {
        return PyLong_FromUnsignedLongLong(mps_number_of(seg, off, serial));
    }
    return mpy_fail_at(state, seg, "an allocation", st, "change the size of");
}

static PyObject *types_number_of(PyObject *module, PyObject *obj)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_is_handle(state, obj)) {
        return PyErr_Format(PyExc_TypeError, "a shared object is needed, not %s", Py_TYPE(obj)->tp_name);
    }
    const mpy_handle *h = mpy_handle_of(obj);
    return PyLong_FromUnsignedLongLong(mps_number_of(h->seg, h->off, h->serial));
}

static PyObject *types_by_number(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("by_number", n_args, 2, 2)) {
        return NULL;
    }
    mps_seg *seg = mpy_seg_of(state, args[0]);
    uint64_t number = seg == NULL ? 0 : PyLong_AsUnsignedLongLong(args[1]);
    if (seg == NULL || PyErr_Occurred()) {
        return NULL;
    }
    mps_off off = 0;
    uint64_t serial = 0;
    mps_status st = mps_number_find(seg, number, &off, &serial);
    if (st == MPS_OK) {
        do {
            st = mps_ref_attach(seg, MPS_DOOR_GIL, off, serial, 0);
        } while (again(&st));
    }
    return st == MPS_OK ? mpy_handle_wrap(state, seg, args[0], off)
                        : mpy_fail_at(state, seg, "an object with that handle", st, "find");
}

static PyObject *types_is_allocation(PyObject *module, PyObject *obj)
{
    mpy_state *state = mpy_state_of_module(module);
    return PyBool_FromLong(mpy_is_handle(state, obj) && mps_raw_is_owned(mpy_object(mpy_handle_of(obj))));
}

/* ---- for OffsetPtr: a segment by the address that segment objects have of it ---- */

static mps_seg *by_address(PyObject *address)
{
    mps_seg *seg = PyLong_AsVoidPtr(address);
    if (seg == NULL && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "the segment has no memory");
    }
    return seg;
}

static PyObject *types_range_of(PyObject *module, PyObject *address)
{
    (void)module;
    const mps_seg *seg = by_address(address);
    if (seg == NULL) {
        return NULL;
    }
    unsigned long long begin = (uintptr_t)seg->region.base;
    return Py_BuildValue("KK", begin, begin + seg->region.reserve);
}

static PyObject *types_place_of(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    if (!mpy_count_args("place_of", n, 3, 3)) {
        return NULL;
    }
    mps_seg *seg = by_address(args[0]);
    uint64_t off = seg == NULL ? 0 : PyLong_AsUnsignedLongLong(args[1]);
    uint64_t nbytes = seg == NULL || PyErr_Occurred() ? 0 : PyLong_AsUnsignedLongLong(args[2]);
    if (seg == NULL || PyErr_Occurred()) {
        return NULL;
    }
    if (off < seg->arena || !mps_region_holds(&seg->region, off, nbytes)) {
        Py_RETURN_NONE;
    }
    return PyLong_FromVoidPtr(mps_region_at(&seg->region, off));
}

static PyObject *types_block_size(PyObject *module, PyObject *obj)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_is_handle(state, obj)) {
        return PyErr_Format(PyExc_TypeError, "a shared object is needed, not %s", Py_TYPE(obj)->tp_name);
    }
    const mpy_handle *h = mpy_handle_of(obj);
    return PyLong_FromUnsignedLongLong(mps_alloc_usable(h->seg, h->off));
}

PyDoc_STRVAR(range_of_doc, "range_of($module, address, /)\n--\n\nWhere a segment is mapped, and where that ends.");
PyDoc_STRVAR(place_of_doc,
             "place_of($module, address, offset, nbytes, /)\n--\n\nWhere so many bytes of a segment are in "
             "memory; None if they are not among its blocks.");
PyDoc_STRVAR(block_size_doc, "block_size($module, handle, /)\n--\n\nBytes of an object's own block.");
PyDoc_STRVAR(allocate_doc,
             "allocate($module, segment, sizes, align, /)\n--\n\nAllocations of those sizes, a tuple: a list of "
             "their numbers. All or none.");
PyDoc_STRVAR(
    deallocate_doc,
    "deallocate($module, segment, numbers, /)\n--\n\nGive allocations, a tuple of numbers, back. All or none.");
PyDoc_STRVAR(reallocate_doc,
             "reallocate($module, segment, number, nbytes, in_place, /)\n--\n\nMake an allocation longer or "
             "shorter; its number from now on.");
PyDoc_STRVAR(number_of_doc, "number_of($module, handle, /)\n--\n\nThe number of an object, the same in every process.");
PyDoc_STRVAR(by_number_doc, "by_number($module, segment, number, /)\n--\n\nA handle on the object with that number. "
                            "ReferenceError if it is gone.");
PyDoc_STRVAR(is_allocation_doc,
             "is_allocation($module, handle, /)\n--\n\nWhether it is an allocation that was not given back.");

static PyMethodDef methods[] = {
    {"allocate", MPY_FUNCTION(types_allocate), METH_FASTCALL, allocate_doc},
    {"deallocate", MPY_FUNCTION(types_deallocate), METH_FASTCALL, deallocate_doc},
    {"reallocate", MPY_FUNCTION(types_reallocate), METH_FASTCALL, reallocate_doc},
    {"number_of", types_number_of, METH_O, number_of_doc},
    {"by_number", MPY_FUNCTION(types_by_number), METH_FASTCALL, by_number_doc},
    {"range_of", types_range_of, METH_O, range_of_doc},
    {"place_of", MPY_FUNCTION(types_place_of), METH_FASTCALL, place_of_doc},
    {"block_size", types_block_size, METH_O, block_size_doc},
    {"is_allocation", types_is_allocation, METH_O, is_allocation_doc},
    {0},
};

int mpy_raw_alloc_ready(PyObject *module, mpy_state *state)
{
    (void)state;
    return PyModule_AddFunctions(module, methods);
}
