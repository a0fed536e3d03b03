/* module.c -- the module `mpshm._types`: its state, and the functions that are no type's. */
#include "handle.h"
#include "segment.h"

static int module_exec(PyObject *module);

static PyModuleDef types_module;

mpy_state *mpy_state_of_module(PyObject *module)
{
    return PyModule_GetState(module);
}

mpy_state *mpy_state_of_type(PyTypeObject *type)
{
    for (; type != NULL; type = type->tp_base) {
        if ((type->tp_flags & Py_TPFLAGS_HEAPTYPE) == 0) {
            continue;
        }
        PyObject *module = ((PyHeapTypeObject *)type)->ht_module;
        if (module != NULL && PyModule_GetDef(module) == &types_module) {
            return PyModule_GetState(module);
        }
    }
    return NULL;
}

PyTypeObject *mpy_type_add(PyObject *module, PyType_Spec *spec, PyTypeObject *base, bool public)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, (PyObject *)base);
    if (type != NULL && public && PyModule_AddType(module, type) < 0) {
        Py_CLEAR(type);
    }
    return type;
}

/* ---- functions ---- */

PyDoc_STRVAR(
    configure_doc,
    "configure($module, *, status_error, default_segment, reduce_handle)\n--\n\n"
    "What the Python side lends: what a status of the core means, where objects made without a manager live, and\n"
    "how a handle is pickled.");

static PyObject *types_configure(PyObject *module, PyObject *args, PyObject *kwds)
{
    static char *names[] = {"status_error", "default_segment", "reduce_handle", NULL};
    mpy_state *state = mpy_state_of_module(module);
    PyObject *given[3];
    if (!PyArg_ParseTupleAndKeywords(args, kwds, "$OOO:configure", names, &given[0], &given[1], &given[2])) {
        return NULL;
    }
    Py_XSETREF(state->status_error, Py_NewRef(given[0]));
    Py_XSETREF(state->default_segment, Py_NewRef(given[1]));
    Py_XSETREF(state->reduce_handle, Py_NewRef(given[2]));
    Py_RETURN_NONE;
}

PyDoc_STRVAR(register_doc, "register($module, base, cls, /)\n--\n\n"
                           "Handles that are made by this module itself are instances of cls, a subclass of base.");

static PyObject *types_register(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("register", n, 2, 2)) {
        return NULL;
    }
    for (unsigned i = 0; i < MPY_KINDS; i++) {
        if (state->base[i] == NULL || args[0] != (PyObject *)state->base[i]) {
            continue;
        }
        if (!PyType_Check(args[1]) || !PyType_IsSubtype((PyTypeObject *)args[1], state->base[i])) {
            PyErr_Format(PyExc_TypeError, "register() takes a subclass of %s", state->base[i]->tp_name);
            return NULL;
        }
        Py_XSETREF(state->face[i], (PyTypeObject *)Py_NewRef(args[1]));
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_TypeError, "register() takes one of this module's types and a subclass of it");
    return NULL;
}

PyDoc_STRVAR(attach_doc,
             "attach($module, segment, offset, serial, token, /)\n--\n\n"
             "A handle on an object; takes over the token unless that is 0. ReferenceError if the object is gone.");

static PyObject *types_attach(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("attach", n, 4, 4)) {
        return NULL;
    }
    uint64_t numbers[3];
    for (int i = 0; i < 3; i++) {
        numbers[i] = PyLong_AsUnsignedLongLong(args[i + 1]);
        if (numbers[i] == (uint64_t)-1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    PyObject *address = PyObject_GetAttr(args[0], state->str_address);
    mps_seg *seg = address == NULL ? NULL : PyLong_AsVoidPtr(address);
    Py_XDECREF(address);
    if (seg == NULL) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "the segment has no memory");
    }
    mps_status st = MPS_OK;
    do {
        st = mps_ref_attach(seg, MPS_DOOR_GIL, numbers[0], numbers[1], numbers[2]);
    } while (st == MPS_E_INTR && PyErr_CheckSignals() == 0);
    if (st != MPS_OK) {
        return mpy_fail_at(state, seg, "an object", st == MPS_E_INTR ? MPY_RAISED : st, "attach to");
    }
    return mpy_handle_wrap(state, seg, args[0], numbers[0]);
}

PyDoc_STRVAR(make_token_doc,
             "make_token($module, handle, /)\n--\n\n"
             "Leaves a token with the segment, which counts as a reference until attach() takes it over.");

static PyObject *types_make_token(PyObject *module, PyObject *obj)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_is_handle(state, obj)) {
        return PyErr_Format(PyExc_TypeError, "make_token() takes a handle, not %s", Py_TYPE(obj)->tp_name);
    }
    mpy_handle *h = mpy_handle_of(obj);
    uint64_t token = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_token_leave(h->seg, MPS_DOOR_GIL, h->off, &token);
    } while (st == MPS_E_INTR && mpy_again(h, &st));
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(token) : mpy_fail(h, st, "send a");
}

/* The last user of adopted memory is gone; with the GIL or without. */
static void let_go_of(void *keeper)
{
    if (Py_IsInitialized()) {
        PyGILState_STATE gil = PyGILState_Ensure();
        Py_DECREF((PyObject *)keeper);
        PyGILState_Release(gil);
    }
}

PyDoc_STRVAR(keep_doc, "_keep($module, segment, keeper, /)\n--\n\n"
                       "Lets an object live until this process has left the segment, whatever is collected before.");

static PyObject *types_keep(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("_keep", n, 2, 2)) {
        return NULL;
    }
    PyObject *address = PyObject_GetAttr(args[0], state->str_address);
    mps_seg *seg = address == NULL ? NULL : PyLong_AsVoidPtr(address);
    Py_XDECREF(address);
    if (seg == NULL) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "the segment has no memory");
    }
    if (seg->done == NULL) { /* (else it is kept already) */
        seg->keeper = Py_NewRef(args[1]);
        seg->done = let_go_of;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(flush_caches_doc, "_flush_caches($module, segment, /)\n--\n\n"
                               "Gives back the blocks that this process's threads keep at hand.");

static PyObject *types_flush_caches(PyObject *module, PyObject *segment)
{
    mpy_state *state = mpy_state_of_module(module);
    PyObject *address = PyObject_GetAttr(segment, state->str_address);
    mps_seg *seg = address == NULL ? NULL : PyLong_AsVoidPtr(address);
    Py_XDECREF(address);
    if (seg == NULL) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_ValueError, "the segment has no memory");
    }
    mps_status st = mps_seg_flush_caches(seg, MPS_DOOR_GIL);
    if (st == MPS_OK) {
        st = mps_seg_flush_caches(seg, MPS_DOOR_FREE);
    }
    return st == MPS_OK ? Py_NewRef(Py_None) : mpy_fail_at(state, seg, "the caches", st, "empty");
}

PyDoc_STRVAR(same_doc, "same($module, one, other, /)\n--\n\nWhether two handles are of one shared object.");

static PyObject *types_same(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    mpy_state *state = mpy_state_of_module(module);
    if (!mpy_count_args("same", n, 2, 2)) {
        return NULL;
    }
    if (!mpy_is_handle(state, args[0]) || !mpy_is_handle(state, args[1])) {
        Py_RETURN_FALSE;
    }
    const mpy_handle *one = mpy_handle_of(args[0]);
    const mpy_handle *other = mpy_handle_of(args[1]);
    return PyBool_FromLong(one->seg == other->seg && one->off == other->off && one->serial == other->serial);
}

PyDoc_STRVAR(inner_doc,
             "_inner($module, handle, /)\n--\n\nWhat a handle inside of a stored value is rebuilt by: gives it back.");

static PyObject *types_inner(PyObject *module, PyObject *handle)
{
    (void)module;
    return Py_NewRef(handle);
}

static PyMethodDef types_methods[] = {
    {"configure", MPY_FUNCTION(types_configure), METH_VARARGS | METH_KEYWORDS, configure_doc},
    {"register", MPY_FUNCTION(types_register), METH_FASTCALL, register_doc},
    {"attach", MPY_FUNCTION(types_attach), METH_FASTCALL, attach_doc},
    {"make_token", types_make_token, METH_O, make_token_doc},
    {"_keep", MPY_FUNCTION(types_keep), METH_FASTCALL, keep_doc},
    {"_flush_caches", types_flush_caches, METH_O, flush_caches_doc},
    {"same", MPY_FUNCTION(types_same), METH_FASTCALL, same_doc},
    {"_inner", types_inner, METH_O, inner_doc},
    {0},
};

/* ---- the GIL ---- */

static void *leave_gil(void)
{
    return PyGILState_Check() ? PyEval_SaveThread() : NULL; /* a fork from a thread that Python knows nothing of */
}

static void enter_gil(void *thread)
{
    if (thread != NULL) {
        PyEval_RestoreThread(thread);
    }
}

/* Where a large value is copied to straight from shared memory. */
static void *make_object(unsigned tag, uint64_t n, void **object)
{
    PyObject *made = NULL;
    if (n > (uint64_t)PY_SSIZE_T_MAX / 2 || (tag != MPS_TAG_BYTES && tag != MPS_TAG_ASCII)) {
        return NULL;
    }
    made = tag == MPS_TAG_BYTES ? PyBytes_FromStringAndSize(NULL, (Py_ssize_t)n) : PyUnicode_New((Py_ssize_t)n, 127);
    if (made == NULL) {
        PyErr_Clear();
        return NULL;
    }
    *object = made;
    return tag == MPS_TAG_BYTES ? (void *)PyBytes_AS_STRING(made) : PyUnicode_DATA(made);
}

static void drop_object(void *object)
{
    Py_DECREF((PyObject *)object);
}

/* ---- the module's life ---- */

typedef struct name {
    size_t where; /* offset in mpy_state */
    const char *text;
} name;

static const name names[] = {
    {offsetof(mpy_state, str_address), "_address"},
    {offsetof(mpy_state, str_buffers), "buffers"},
    {offsetof(mpy_state, str_dump), "dump"},
    {offsetof(mpy_state, str_clear_memo), "clear_memo"},
    {offsetof(mpy_state, str_keys), "keys"},
    {offsetof(mpy_state, str_reduce_ex), "__reduce_ex__"},
    {offsetof(mpy_state, str_qualname), "__qualname__"},
    {offsetof(mpy_state, str_module), "__module__"},
    {offsetof(mpy_state, str_name), "name"},
    {offsetof(mpy_state, str_value), "value"},
    {offsetof(mpy_state, str_take), "_take"},
    {offsetof(mpy_state, str_array_struct), "__array_struct__"},
    {offsetof(mpy_state, str_dtype), "dtype"},
    {offsetof(mpy_state, str_itemsize), "itemsize"},
    {offsetof(mpy_state, str_c), "C"},
    {offsetof(mpy_state, str_f), "F"},
};

#define N_NAMES (sizeof names / sizeof names[0])

static PyObject **name_at(mpy_state *state, size_t i)
{
    return (PyObject **)(void *)((char *)state + names[i].where);
}

static int module_exec(PyObject *module)
{
    if (PyInterpreterState_Get() != PyInterpreterState_Main()) {
        PyErr_SetString(PyExc_ImportError, "mpshm works in the main interpreter only");
        return -1;
    }
    mpy_state *state = mpy_state_of_module(module);
    for (size_t i = 0; i < N_NAMES; i++) {
        PyObject *made = PyUnicode_InternFromString(names[i].text);
        if (made == NULL) {
            return -1;
        }
        *name_at(state, i) = made;
    }
    mps_door_install(leave_gil, enter_gil);
    mps_door_install_objects(make_object, drop_object);
    /* clang-format off */
    int (*const ready[])(PyObject *, mpy_state *) = {
        mpy_bound_ready,
        mpy_handle_ready,
        mpy_dict_ready,
        mpy_list_ready,
        mpy_list_iter_ready,
        mpy_value_ready,
        mpy_namespace_ready,
        mpy_lock_ready,
        mpy_raw_ready,
        mpy_raw_alloc_ready,
        mpy_names_ready,
        mpy_pool_ready,
        mpy_window_ready,
        mpy_adder_ready,
        mpy_array_ready,
        mpy_snap_ready,
        mpy_set_ready,
        mpy_deque_ready,
        mpy_map_ready,
        mpy_sorted_set_ready,
        mpy_queue_ready,
        mpy_typed_ready,
        mpy_linked_ready,
        mpy_cursor_ready,
        mpy_text_ready,
        mpy_buffer_ready,
        mpy_pickling_ready,
        mpy_event_ready,
        mpy_sem_ready,
        mpy_cond_ready,
        mpy_barrier_ready,
    };
    /* clang-format on */
    for (size_t i = 0; i < sizeof ready / sizeof ready[0]; i++) {
        if (ready[i](module, state) < 0) {
            return -1;
        }
    }
    for (unsigned i = 0; i < MPY_KINDS; i++) {
        state->face[i] = (PyTypeObject *)Py_XNewRef(state->base[i]);
    }
    state->inner = PyObject_GetAttrString(module, "_inner");
    return state->inner == NULL ? -1 : 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    mpy_state *state = mpy_state_of_module(module);
    Py_VISIT(state->status_error);
    Py_VISIT(state->default_segment);
    Py_VISIT(state->reduce_handle);
    Py_VISIT(state->handle_type);
    Py_VISIT(state->object_lock_type);
    Py_VISIT(state->snap_iter_type);
    Py_VISIT(state->list_iter_type);
    Py_VISIT(state->sink_type);
    Py_VISIT(state->cursor_type);
    Py_VISIT(state->method_type);
    Py_VISIT(state->bound_type);
    Py_VISIT(state->pickler_type);
    for (unsigned i = 0; i < 3; i++) {
        Py_VISIT(state->queue_errors[i]);
    }
    for (unsigned i = 0; i < MPY_KINDS; i++) {
        Py_VISIT(state->base[i]);
        Py_VISIT(state->face[i]);
    }
    Py_VISIT(state->loads);
    Py_VISIT(state->array_type);
    Py_VISIT(state->dispatch_table);
    Py_VISIT(state->enum_type);
    Py_VISIT(state->inner);
    for (int i = 0; i < MPY_N_NUMPY; i++) {
        Py_VISIT(state->numpy[i]);
    }
    Py_VISIT(state->pages_type);
    Py_VISIT(state->spare_pickler);
    return 0;
}

static int module_clear(PyObject *module)
{
    mpy_state *state = mpy_state_of_module(module);
    Py_CLEAR(state->status_error);
    Py_CLEAR(state->default_segment);
    Py_CLEAR(state->reduce_handle);
    Py_CLEAR(state->spare_pickler);
    Py_CLEAR(state->spare_sink);
    mpy_numpy_clear(state);
    Py_CLEAR(state->pages_type);
    Py_CLEAR(state->inner);
    Py_CLEAR(state->inner_mark);
    Py_CLEAR(state->loads);
    Py_CLEAR(state->array_type);
    Py_CLEAR(state->dispatch_table);
    Py_CLEAR(state->enum_type);
    Py_CLEAR(state->pickler_type);
    Py_CLEAR(state->sink_type);
    Py_CLEAR(state->cursor_type);
    mpy_bound_clear(state);
    Py_CLEAR(state->object_lock_type);
    Py_CLEAR(state->snap_iter_type);
    Py_CLEAR(state->list_iter_type);
    for (unsigned i = 0; i < 3; i++) {
        Py_CLEAR(state->queue_errors[i]);
    }
    for (unsigned i = 0; i < MPY_KINDS; i++) {
        Py_CLEAR(state->face[i]);
        Py_CLEAR(state->base[i]);
    }
    Py_CLEAR(state->handle_type);
    return 0;
}

static void module_free(void *module)
{
    module_clear(module);
    mpy_state *state = mpy_state_of_module(module);
    for (size_t i = 0; i < N_NAMES; i++) {
        Py_CLEAR(*name_at(state, i));
    }
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, (void *)module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_USED},
#endif
    {0, NULL},
};

PyDoc_STRVAR(types_doc, "The types behind mpshm's shared objects.");

static PyModuleDef types_module = {
    PyModuleDef_HEAD_INIT,         .m_name = "mpshm._types",   .m_doc = types_doc,
    .m_size = sizeof(mpy_state),   .m_methods = types_methods, .m_slots = module_slots,
    .m_traverse = module_traverse, .m_clear = module_clear,    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__types(void)
{
    return PyModuleDef_Init(&types_module);
}
