#include "bound.h"

#include <structmember.h>

/* What stands in the type. */
typedef struct method {
    PyObject_HEAD vectorcallfunc call; /* as a function, the object first */
    PyTypeObject *type;                /* borrowed: of the objects it is a method of, which has it in its dict */
    mpy_state *state;
    mpy_bound_fn fn;
    const char *name;
    const char *doc;
} method;

/* What binding it to an object gives. */
typedef struct bound {
    PyObject_HEAD vectorcallfunc call;
    PyObject *self;
    method *of;
} bound;

static PyObject *call_with(const method *m, PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    if (mps_unlikely(names != NULL && PyTuple_GET_SIZE(names) > 0)) {
        return PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments", m->name);
    }
    return m->fn(self, args, n);
}

static PyObject *bound_call(PyObject *self, PyObject *const *args, size_t n, PyObject *names)
{
    const bound *b = (const bound *)self;
    return call_with(b->of, b->self, args, PyVectorcall_NARGS(n), names);
}

static PyObject *method_call(PyObject *self, PyObject *const *args, size_t n, PyObject *names)
{
    const method *m = (const method *)self;
    Py_ssize_t given = PyVectorcall_NARGS(n);
    if (given < 1 || !PyObject_TypeCheck(args[0], m->type)) {
        return PyErr_Format(PyExc_TypeError, "%s() needs an object of type '%s' as its first argument", m->name,
                            m->type->tp_name);
    }
    return call_with(m, args[0], args + 1, given - 1, names);
}

static PyObject *method_bind(PyObject *self, PyObject *obj, PyObject *type)
{
    (void)type;
    method *m = (method *)self;
    if (mps_unlikely(obj == NULL)) {
        return Py_NewRef(self);
    }
    mpy_state *state = m->state;
    bound *b = NULL;
    if (mps_likely(state->n_spare_bound > 0)) {
        b = (bound *)state->spare_bound[--state->n_spare_bound];
        _Py_NewReference((PyObject *)b);
    } else {
        b = PyObject_New(bound, state->bound_type);
        if (b == NULL) {
            return NULL;
        }
        b->call = bound_call;
    }
    b->self = Py_NewRef(obj);
    b->of = (method *)Py_NewRef(self);
    return (PyObject *)b;
}

static void bound_dealloc(PyObject *self)
{
    bound *b = (bound *)self;
    mpy_state *state = b->of->state;
    PyTypeObject *type = Py_TYPE(self);
    PyObject *obj = b->self;
    method *of = b->of;
    if (mps_likely(state->n_spare_bound < MPY_SPARE_BOUND && state->bound_type == type)) {
        state->spare_bound[state->n_spare_bound++] = self; /* (and keeps its reference to the type) */
    } else {
        PyObject_Free(self);
        Py_DECREF(type);
    }
    Py_DECREF(of);
    Py_DECREF(obj);
}

static PyObject *bound_repr(PyObject *self)
{
    const bound *b = (const bound *)self;
    return PyUnicode_FromFormat("<bound method %s of %R>", b->of->name, b->self);
}

static PyObject *bound_self(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef(((bound *)self)->self);
}

static PyObject *bound_func(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef((PyObject *)((bound *)self)->of);
}

static const method *method_of(PyObject *self, void *closure)
{
    return closure == NULL ? (const method *)self : ((bound *)self)->of;
}

static PyObject *get_name(PyObject *self, void *closure)
{
    return PyUnicode_FromString(method_of(self, closure)->name);
}

/* Behind "name(signature)\n--\n\n". */
static PyObject *get_doc(PyObject *self, void *closure)
{
    const char *doc = method_of(self, closure)->doc;
    const char *text = strstr(doc, "\n--\n\n");
    return PyUnicode_FromString(text == NULL ? doc : text + 5);
}

static PyObject *get_signature(PyObject *self, void *closure)
{
    const char *doc = method_of(self, closure)->doc;
    const char *begin = strchr(doc, '(');
    const char *end = strstr(doc, "\n--\n\n");
    if (begin == NULL || end == NULL) {
        Py_RETURN_NONE;
    }
    return PyUnicode_FromStringAndSize(begin, end - begin);
}

static void method_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

static PyMemberDef method_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(method, call), READONLY, NULL},
    {0},
};

static PyMemberDef bound_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(bound, call), READONLY, NULL},
    {0},
};

static PyGetSetDef method_getset[] = {
    {"__name__", get_name, NULL, NULL, NULL},
    {"__doc__", get_doc, NULL, NULL, NULL},
    {"__text_signature__", get_signature, NULL, NULL, NULL},
    {0},
};

static PyGetSetDef bound_getset[] = {
    {"__self__", bound_self, NULL, NULL, NULL},
    {"__func__", bound_func, NULL, NULL, NULL},
    {"__name__", get_name, NULL, NULL, (void *)method_members},
    {"__doc__", get_doc, NULL, NULL, (void *)method_members},
    {"__text_signature__", get_signature, NULL, NULL, (void *)method_members},
    {0},
};

static PyType_Slot method_slots[] = {
    {Py_tp_dealloc, (void *)method_dealloc}, {Py_tp_descr_get, (void *)method_bind},
    {Py_tp_call, (void *)PyVectorcall_Call}, {Py_tp_members, method_members},
    {Py_tp_getset, method_getset},           {0},
};

static PyType_Slot bound_slots[] = {
    {Py_tp_dealloc, (void *)bound_dealloc}, {Py_tp_repr, (void *)bound_repr}, {Py_tp_call, (void *)PyVectorcall_Call},
    {Py_tp_members, bound_members},         {Py_tp_getset, bound_getset},     {0},
};

#define FLAGS (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_VECTORCALL)

static PyType_Spec method_spec = {
    .name = "mpshm._types.Method", .basicsize = sizeof(method), .flags = FLAGS, .slots = method_slots};
static PyType_Spec bound_spec = {
    .name = "mpshm._types.BoundMethod", .basicsize = sizeof(bound), .flags = FLAGS, .slots = bound_slots};

int mpy_bound_ready(PyObject *module, mpy_state *state)
{
    state->method_type = mpy_type_add(module, &method_spec, NULL, false);
    state->bound_type = mpy_type_add(module, &bound_spec, NULL, false);
    return state->method_type == NULL || state->bound_type == NULL ? -1 : 0;
}

void mpy_bound_clear(mpy_state *state)
{
    PyTypeObject *type = state->bound_type;
    state->bound_type = NULL;
    while (state->n_spare_bound > 0) {
        PyObject_Free(state->spare_bound[--state->n_spare_bound]);
        Py_DECREF(type);
    }
    Py_XDECREF(type);
    Py_CLEAR(state->method_type);
}

int mpy_bound_add(mpy_state *state, PyTypeObject *type, const char *name, mpy_bound_fn fn, const char *doc)
{
    method *m = PyObject_New(method, state->method_type);
    if (m == NULL) {
        return -1;
    }
    m->call = method_call;
    m->type = type;
    m->state = state;
    m->fn = fn;
    m->name = name;
    m->doc = doc;
    int done = PyDict_SetItemString(type->tp_dict, name, (PyObject *)m);
    PyType_Modified(type);
    Py_DECREF(m);
    return done;
}
