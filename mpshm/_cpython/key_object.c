/* key_object.c -- keys that are no builtins: which builtin they equal, or what they are made of. */
#include "key.h"

int mpy_key_forgive(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError)) {
        return -1;
    }
    PyErr_Clear();
    return 0;
}

/* ---- which builtin it equals ---- */

/* Keeps *candidate (which it takes over) if its hash is obj's and, asked for, it equals obj: 1; 0 if not. */
static int same_key(PyObject *obj, Py_hash_t hash, PyObject *candidate, bool compare, PyObject **plain)
{
    if (candidate == NULL) {
        return mpy_key_forgive();
    }
    Py_hash_t other = PyObject_Hash(candidate);
    int same = other == hash;
    if (same && compare) {
        same = PyObject_RichCompareBool(candidate, obj, Py_EQ);
    }
    if (same > 0) {
        *plain = candidate;
        return 1;
    }
    Py_DECREF(candidate);
    return same < 0 || other == -1 ? mpy_key_forgive() : 0;
}

/* The instance of the builtin itself that an instance of a subclass has inside; NULL without an exception for others. */
static PyObject *base_instance(PyObject *obj)
{
    if (PyUnicode_Check(obj)) {
        return PyUnicode_FromObject(obj);
    }
    if (PyLong_Check(obj)) {
        return PyLong_Type.tp_as_number->nb_int(obj);
    }
    if (PyFloat_Check(obj)) {
        return PyFloat_FromDouble(PyFloat_AS_DOUBLE(obj));
    }
    if (PyBytes_Check(obj)) {
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(obj), PyBytes_GET_SIZE(obj));
    }
    if (PyTuple_Check(obj)) {
        return PyTuple_GetSlice(obj, 0, PyTuple_GET_SIZE(obj));
    }
    if (PyFrozenSet_Check(obj)) {
        return PyFrozenSet_New(obj);
    }
    if (PyComplex_Check(obj)) {
        Py_complex z = ((PyComplexObject *)obj)->cval;
        return z.imag == 0 ? PyFloat_FromDouble(z.real) : PyComplex_FromCComplex(z);
    }
    return NULL;
}

/* Whether it is its own base instance. */
static bool is_exact(PyObject *obj)
{
    return PyTuple_CheckExact(obj) || PyFrozenSet_CheckExact(obj) || PyUnicode_CheckExact(obj) ||
           PyLong_CheckExact(obj) || PyFloat_CheckExact(obj) || PyBytes_CheckExact(obj) ||
           (PyComplex_CheckExact(obj) && ((PyComplexObject *)obj)->cval.imag != 0);
}

/* Whether obj is an instance of module.name: 1 or 0. Modules that nobody has imported have no instances. */
static int is_instance_of(PyObject *obj, const char *module_name, const char *name)
{
    PyObject *key = PyUnicode_FromString(module_name);
    PyObject *module = key == NULL ? NULL : PyImport_GetModule(key);
    Py_XDECREF(key);
    if (module == NULL) {
        return PyErr_Occurred() ? mpy_key_forgive() : 0;
    }
    PyObject *type = PyObject_GetAttrString(module, name);
    Py_DECREF(module);
    int is = type == NULL ? -1 : PyObject_IsInstance(obj, type);
    Py_XDECREF(type);
    return is < 0 ? mpy_key_forgive() : is;
}

static bool like_a_number(PyObject *obj)
{
    const PyNumberMethods *number = Py_TYPE(obj)->tp_as_number;
    return number != NULL && (number->nb_float != NULL || number->nb_int != NULL || number->nb_index != NULL);
}

/* The complex number that is obj; its real part where that is all. */
static int plain_complex(PyObject *obj, Py_hash_t hash, PyObject **plain)
{
    PyObject *z = PyObject_CallOneArg((PyObject *)&PyComplex_Type, obj);
    if (z != NULL && ((PyComplexObject *)z)->cval.imag == 0) {
        PyObject *real = PyFloat_FromDouble(((PyComplexObject *)z)->cval.real);
        Py_DECREF(z);
        z = real;
    }
    return same_key(obj, hash, z, true, plain) < 0 ? -1 : 0;
}

/* The float or int that a number of another type equals. */
static int plain_number(PyObject *obj, Py_hash_t hash, PyObject **plain)
{
    if (is_instance_of(obj, "numbers", "Complex") > 0 && !is_instance_of(obj, "numbers", "Real")) {
        return plain_complex(obj, hash, plain);
    }
    PyObject *number = PyNumber_Float(obj);
    double x = number == NULL ? 0 : PyFloat_AS_DOUBLE(number);
    bool is_float = number != NULL;
    int same = same_key(obj, hash, number, true, plain);
    if (same != 0) {
        return same < 0 ? -1 : 0;
    }
    /* A whole number that no float is; what overflowed to infinity may be too large to be written out. */
    if (is_float && !(x - x == 0 && (x >= 0x1p53 || x <= -0x1p53))) {
        return 0;
    }
    return same_key(obj, hash, PyNumber_Long(obj), true, plain) < 0 ? -1 : 0;
}

int mpy_key_plain(mpy_handle *h, PyObject *obj, Py_hash_t hash, PyObject **plain)
{
    *plain = NULL;
    if (is_exact(obj)) {
        *plain = Py_NewRef(obj);
        return 0;
    }
    if (mpy_is_handle(h->state, obj)) {
        return 0;
    }
    PyObject *base = base_instance(obj);
    if (base != NULL && PyFloat_CheckExact(base) && Py_IS_NAN(PyFloat_AS_DOUBLE(base))) {
        *plain = base; /* its hash is that of the object */
        return 0;
    }
    if (base != NULL) {
        return same_key(obj, hash, base, false, plain) < 0 ? -1 : 0;
    }
    if (PyErr_Occurred()) {
        return mpy_key_forgive();
    }
    return like_a_number(obj) ? plain_number(obj, hash, plain) : 0;
}

/* ---- what it is made of ---- */

/* Attributes of a class or function that say where it is: both text, or an error. */
static int put_global(mpy_canon *c, PyObject *obj, PyObject *name)
{
    PyObject *module = PyObject_GetAttr(obj, c->h->state->str_module);
    if (module == NULL) {
        if (mpy_key_forgive() < 0) {
            return -1;
        }
        module = Py_NewRef(Py_None);
    }
    int done = mpy_canon_bytes(c, "G", 1) < 0 || mpy_canon_put(c, module) < 0 ? -1 : mpy_canon_put(c, name);
    Py_DECREF(module);
    return done;
}

static int put_named(mpy_canon *c, PyObject *obj)
{
    PyObject *name = PyObject_GetAttr(obj, c->h->state->str_qualname);
    int done = name == NULL ? -1 : put_global(c, obj, name);
    Py_XDECREF(name);
    return done;
}

/* start or step of a range. */
static int put_part(mpy_canon *c, PyObject *range, const char *name)
{
    PyObject *part = PyObject_GetAttrString(range, name);
    int done = part == NULL ? -1 : mpy_canon_put(c, part);
    Py_XDECREF(part);
    return done;
}

/* Ranges are equal if they go through the same numbers. */
static int put_range(mpy_canon *c, PyObject *range)
{
    Py_ssize_t length = PyObject_Size(range);
    if (length < 0) {
        return -1;
    }
    int done = mpy_canon_tag(c, 'r', (size_t)length);
    if (done == 0 && length > 0) {
        done = put_part(c, range, "start");
    }
    return done == 0 && length > 1 ? put_part(c, range, "step") : done;
}

static int put_enum(mpy_canon *c, PyObject *member)
{
    mpy_state *state = c->h->state;
    PyObject *name = PyObject_GetAttr(member, state->str_name);
    if (name == Py_None) { /* a combination of flags */
        Py_SETREF(name, PyObject_GetAttr(member, state->str_value));
    }
    int done = name == NULL || mpy_canon_bytes(c, "E", 1) < 0 ? -1 : put_named(c, (PyObject *)Py_TYPE(member));
    if (done == 0) {
        done = mpy_canon_put(c, name);
    }
    Py_XDECREF(name);
    return done;
}

/* Decimal("0.1") and Fraction(1, 10) are one key: 1 if obj is of these and was put. */
static int put_ratio(mpy_canon *c, PyObject *obj)
{
    if (!like_a_number(obj) ||
        (!is_instance_of(obj, "decimal", "Decimal") && !is_instance_of(obj, "numbers", "Rational"))) {
        return 0;
    }
    double x = PyFloat_AsDouble(obj);
    if (x == -1 && PyErr_Occurred()) {
        return mpy_key_forgive();
    }
    if (x == 0 || x - x != 0) { /* its ratio may be too large to be written out */
        return 0;
    }
    PyObject *ratio = PyObject_CallMethod(obj, "as_integer_ratio", NULL);
    if (ratio == NULL || !PyTuple_CheckExact(ratio)) {
        Py_XDECREF(ratio);
        return ratio == NULL ? mpy_key_forgive() : 0;
    }
    int done = mpy_canon_bytes(c, "q", 1) < 0 ? -1 : mpy_canon_put(c, ratio);
    Py_DECREF(ratio);
    return done < 0 ? -1 : 1;
}

static int put_handle(mpy_canon *c, mpy_handle *other)
{
    return mpy_canon_bytes(c, "H", 1) < 0 || mpy_canon_bytes(c, other->seg->id, sizeof other->seg->id) < 0 ||
                   mpy_canon_bytes(c, &other->off, sizeof other->off) < 0
               ? -1
               : mpy_canon_bytes(c, &other->serial, sizeof other->serial);
}

/* What pickle would ask: a tuple, or the name of a global. */
static PyObject *reduce(mpy_canon *c, PyObject *obj)
{
    mpy_state *state = c->h->state;
    if (state->dispatch_table == NULL) {
        PyObject *copyreg = PyImport_ImportModule("copyreg");
        state->dispatch_table = copyreg == NULL ? NULL : PyObject_GetAttrString(copyreg, "dispatch_table");
        Py_XDECREF(copyreg);
        if (state->dispatch_table == NULL) {
            return NULL;
        }
    }
    PyObject *own = PyObject_GetItem(state->dispatch_table, (PyObject *)Py_TYPE(obj));
    if (own != NULL) {
        PyObject *made = PyObject_CallOneArg(own, obj);
        Py_DECREF(own);
        return made;
    }
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
        return NULL;
    }
    PyErr_Clear();
    PyObject *four = PyLong_FromLong(4);
    PyObject *made = four == NULL ? NULL : PyObject_CallMethodOneArg(obj, state->str_reduce_ex, four);
    Py_XDECREF(four);
    return made;
}

/* One part of a reduction; the last two are iterators. */
static int put_part_of(mpy_canon *c, PyObject *part, Py_ssize_t index)
{
    if (index < 3 || part == Py_None) {
        return mpy_canon_put(c, part);
    }
    PyObject *items = index == 3 ? PySequence_List(part) : PyDict_New();
    if (items != NULL && index == 4 && PyDict_MergeFromSeq2(items, part, 1) < 0) {
        Py_CLEAR(items);
    }
    int done = items == NULL ? -1 : mpy_canon_put(c, items);
    Py_XDECREF(items);
    return done;
}

static int put_reduced(mpy_canon *c, PyObject *obj)
{
    PyObject *parts = reduce(c, obj);
    if (parts == NULL) {
        return -1;
    }
    int done = -1;
    if (PyUnicode_Check(parts)) {
        done = put_global(c, obj, parts);
    } else if (!PyTuple_Check(parts)) {
        PyErr_Format(PyExc_TypeError, "__reduce_ex__() of %s must return a string or a tuple", Py_TYPE(obj)->tp_name);
    } else {
        Py_ssize_t n = Py_MIN(PyTuple_GET_SIZE(parts), 5);
        done = mpy_canon_tag(c, 'O', (size_t)n);
        for (Py_ssize_t i = 0; i < n && done == 0; i++) {
            done = put_part_of(c, PyTuple_GET_ITEM(parts, i), i);
        }
    }
    Py_DECREF(parts);
    return done;
}

static int is_enum(mpy_state *state, PyObject *obj)
{
    if (state->enum_type == NULL) {
        PyObject *module = PyImport_ImportModule("enum");
        state->enum_type = module == NULL ? NULL : PyObject_GetAttrString(module, "Enum");
        Py_XDECREF(module);
        if (state->enum_type == NULL) {
            return -1;
        }
    }
    return PyObject_TypeCheck(obj, (PyTypeObject *)state->enum_type);
}

int mpy_canon_object(mpy_canon *c, PyObject *obj)
{
    if (mpy_is_handle(c->h->state, obj)) {
        return put_handle(c, mpy_handle_of(obj));
    }
    if (PyType_Check(obj) || PyFunction_Check(obj)) {
        return put_named(c, obj);
    }
    if (PyRange_Check(obj)) {
        return put_range(c, obj);
    }
    int done = put_ratio(c, obj);
    if (done != 0) {
        return done < 0 ? -1 : 0;
    }
    int member = is_enum(c->h->state, obj);
    if (member != 0) {
        return member < 0 ? -1 : put_enum(c, obj);
    }
    return put_reduced(c, obj);
}
