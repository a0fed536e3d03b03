/* pack.c -- small containers of plain values as bytes: a form that is read and written five times as fast as a pickle.
 *
 *   item:   | code : 8 | what the code says |                       nothing is aligned; numbers are little-endian
 *
 *   none false true                     nothing more
 *   int1 int2 int4 int8                 1, 2, 4, 8 bytes, signed
 *   float                               8 bytes
 *   ascii latin bytes + 1 or 4          length, 1 or 4 bytes; that many bytes
 *   ucs2 ucs4                           length in bytes, 4 bytes; that many bytes
 *   tuple list set dict + 1 or 4        number of items, 1 or 4 bytes; the items, of a dict key and value in turn
 *
 * Packed is what consists of these alone, of exactly these types, and would come back from a pickle just the same. A pickle also
 * keeps what is in it twice as one object. So a list, dict or set inside another is packed only if nobody but that one refers to
 * it, which rules out rings as well; everything else becomes a pickle.
 *
 * Costs: O(bytes). No Python code runs, neither way: hashes are those of exact builtin types.
 */
#include "encode.h"

#define DEPTH_MAX 12     /* containers inside of each other; deeper ones are pickled */
#define SMALL 512        /* bytes that need no memory of their own while they are made */
#define BYTES_MAX 65536u /* longer ones are pickled: the time goes elsewhere then */

enum {
    AT_NONE,
    AT_FALSE,
    AT_TRUE,
    AT_INT1,
    AT_INT2,
    AT_INT4,
    AT_INT8,
    AT_FLOAT,
    AT_ASCII1,
    AT_ASCII4,
    AT_LATIN1,
    AT_LATIN4,
    AT_BYTES1,
    AT_BYTES4,
    AT_UCS2,
    AT_UCS4,
    AT_TUPLE1,
    AT_TUPLE4,
    AT_LIST1,
    AT_LIST4,
    AT_SET1,
    AT_SET4,
    AT_DICT1,
    AT_DICT4,
};

/* ---- writing ---- */

typedef struct packer {
    uint8_t *to; /* where the next byte goes */
    const uint8_t *end;
    uint8_t *bytes; /* the first one: small, or heap */
    uint8_t *heap;
    uint8_t small[SMALL];
} packer;

/* What cannot be packed, or no memory for it: a pickle is tried then. */
static bool grow(packer *p, size_t more)
{
    size_t used = (size_t)(p->to - p->bytes);
    size_t size = 4 * (size_t)(p->end - p->bytes) + more;
    if (used + more > BYTES_MAX) {
        return false;
    }
    uint8_t *heap = PyMem_Realloc(p->heap, size);
    if (heap == NULL) {
        return false;
    }
    if (p->heap == NULL) {
        memcpy(heap, p->small, used);
    }
    p->heap = p->bytes = heap;
    p->to = heap + used;
    p->end = heap + size;
    return true;
}

static inline bool room(packer *p, size_t more)
{
    return mps_likely((size_t)(p->end - p->to) >= more) || grow(p, more);
}

static bool put_number(packer *p, int64_t n)
{
    if (!room(p, 9)) {
        return false;
    }
    unsigned log2 = n == (int8_t)n ? 0 : n == (int16_t)n ? 1 : n == (int32_t)n ? 2 : 3;
    p->to[0] = (uint8_t)(AT_INT1 + log2);
    memcpy(p->to + 1, &n, 8);
    p->to += 1 + ((size_t)1 << log2);
    return true;
}

/* A code in two forms, and the length that it needs. */
static bool put_head(packer *p, unsigned code, size_t n, size_t behind)
{
    if (n > BYTES_MAX || !room(p, 5 + behind)) {
        return false;
    }
    if (n < 256) {
        p->to[0] = (uint8_t)code;
        p->to[1] = (uint8_t)n;
        p->to += 2;
        return true;
    }
    uint32_t length = (uint32_t)n;
    p->to[0] = (uint8_t)(code + 1);
    memcpy(p->to + 1, &length, 4);
    p->to += 5;
    return true;
}

static bool put_text(packer *p, PyObject *text)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) {
        PyErr_Clear();
        return false;
    }
#endif
    int kind = (int)PyUnicode_KIND(text);
    size_t n = (size_t)PyUnicode_GET_LENGTH(text) * (size_t)kind;
    if (kind == 1) {
        if (!put_head(p, PyUnicode_IS_ASCII(text) ? AT_ASCII1 : AT_LATIN1, n, n)) {
            return false;
        }
    } else {
        uint32_t length = (uint32_t)n;
        if (n > BYTES_MAX || !room(p, 5 + n)) {
            return false;
        }
        *p->to = kind == 2 ? AT_UCS2 : AT_UCS4;
        memcpy(p->to + 1, &length, 4);
        p->to += 5;
    }
    memcpy(p->to, PyUnicode_DATA(text), n);
    p->to += n;
    return true;
}

static bool put(packer *p, PyObject *obj, unsigned depth, bool shared);

static bool put_items(packer *p, PyObject *const *items, Py_ssize_t n, unsigned depth, bool shared)
{
    for (Py_ssize_t i = 0; i < n; i++) {
        if (!put(p, items[i], depth, shared)) {
            return false;
        }
    }
    return true;
}

static bool put_dict(packer *p, PyObject *dict, unsigned depth)
{
    PyObject *key = NULL;
    PyObject *value = NULL;
    Py_ssize_t place = 0;
    if (!put_head(p, AT_DICT1, (size_t)PyDict_GET_SIZE(dict), 0)) {
        return false;
    }
    while (PyDict_Next(dict, &place, &key, &value)) {
        if (!put(p, key, depth, true) || !put(p, value, depth, false)) {
            return false;
        }
    }
    return true;
}

static bool put_set(packer *p, PyObject *set, unsigned depth)
{
    if (!put_head(p, AT_SET1, (size_t)PySet_GET_SIZE(set), 0)) {
        return false;
    }
    PyObject *items = PySequence_List(set);
    if (items == NULL) {
        PyErr_Clear();
        return false;
    }
    bool done = put_items(p, &PyList_GET_ITEM(items, 0), PyList_GET_SIZE(items), depth, true);
    Py_DECREF(items);
    return done;
}

/* A container; shared: it is part of something that may be in the whole more than once. */
static bool put_container(packer *p, PyObject *obj, unsigned depth, bool shared)
{
    if (depth == DEPTH_MAX) {
        return false;
    }
    bool once = depth == 0 || (!shared && Py_REFCNT(obj) == 1);
    if (PyTuple_CheckExact(obj)) {
        return put_head(p, AT_TUPLE1, (size_t)PyTuple_GET_SIZE(obj), 0) &&
               put_items(p, &PyTuple_GET_ITEM(obj, 0), PyTuple_GET_SIZE(obj), depth + 1, !once);
    }
    if (!once) {
        return false;
    }
    if (PyList_CheckExact(obj)) {
        return put_head(p, AT_LIST1, (size_t)PyList_GET_SIZE(obj), 0) &&
               put_items(p, ((PyListObject *)obj)->ob_item, PyList_GET_SIZE(obj), depth + 1, false);
    }
    return PyDict_CheckExact(obj) ? put_dict(p, obj, depth + 1) : put_set(p, obj, depth + 1);
}

static bool put(packer *p, PyObject *obj, unsigned depth, bool shared)
{
    if (PyLong_CheckExact(obj)) {
        int64_t n = 0;
        if (mpy_small_int(obj, &n)) {
            return put_number(p, n);
        }
        int overflow = 0;
        n = PyLong_AsLongLongAndOverflow(obj, &overflow);
        return overflow == 0 && put_number(p, n);
    }
    if (PyUnicode_CheckExact(obj)) {
        return put_text(p, obj);
    }
    if (PyFloat_CheckExact(obj)) {
        double x = PyFloat_AS_DOUBLE(obj);
        if (!room(p, 9)) {
            return false;
        }
        *p->to = AT_FLOAT;
        memcpy(p->to + 1, &x, 8);
        p->to += 9;
        return true;
    }
    if (obj == Py_None || obj == Py_True || obj == Py_False) {
        if (!room(p, 1)) {
            return false;
        }
        *p->to++ = obj == Py_None ? AT_NONE : obj == Py_True ? AT_TRUE : AT_FALSE;
        return true;
    }
    if (PyBytes_CheckExact(obj)) {
        size_t n = (size_t)PyBytes_GET_SIZE(obj);
        if (!put_head(p, AT_BYTES1, n, n)) {
            return false;
        }
        memcpy(p->to, PyBytes_AS_STRING(obj), n);
        p->to += n;
        return true;
    }
    return (PyTuple_CheckExact(obj) || PyList_CheckExact(obj) || PyDict_CheckExact(obj) || PySet_CheckExact(obj)) &&
           put_container(p, obj, depth, shared);
}

int mpy_pack(PyObject *obj, mps_enc *enc, mpy_hold *hold)
{
    if (!(PyTuple_CheckExact(obj) || PyList_CheckExact(obj) || PyDict_CheckExact(obj) || PySet_CheckExact(obj))) {
        return 0;
    }
    packer p;
    p.heap = NULL;
    p.to = p.bytes = p.small;
    p.end = p.small + SMALL;
    int done = put(&p, obj, 0, false);
    if (done == 1) {
        size_t n = (size_t)(p.to - p.bytes);
        if (n <= MPS_INLINE_MAX) {
            mpy_enc_set(enc, mpy_short(MPS_TAG_PACK, p.bytes, n));
        } else {
            PyObject *bytes = PyBytes_FromStringAndSize((const char *)p.bytes, (Py_ssize_t)n);
            done = bytes == NULL || mpy_hold_add(hold, bytes) < 0 ? -1 : 1;
            if (done == 1) {
                *enc = (mps_enc){.value = {MPS_TAG_PACK, 0}, .data = PyBytes_AS_STRING(bytes), .nbytes = (uint64_t)n};
            }
        }
    }
    PyMem_Free(p.heap);
    return done;
}

/* ---- reading ---- */

typedef struct unpacker {
    const uint8_t *at;
    const uint8_t *end;
    unsigned depth;
} unpacker;

static inline bool holds(const unpacker *u, size_t n)
{
    return (size_t)(u->end - u->at) >= n;
}

/* A length of 1 or 4 bytes; false: the bytes end here. */
static bool get_length(unpacker *u, bool wide, size_t *n)
{
    uint32_t length = 0;
    size_t width = wide ? 4 : 1;
    if (!holds(u, width)) {
        return false;
    }
    memcpy(&length, u->at, width);
    u->at += width;
    *n = length;
    return true;
}

static PyObject *get_bytes(unpacker *u, unsigned code)
{
    bool wide = code == AT_UCS2 || code == AT_UCS4 || ((code - AT_ASCII1) & 1) != 0;
    size_t n = 0;
    if (!get_length(u, wide, &n) || !holds(u, n)) {
        return NULL;
    }
    const uint8_t *data = u->at;
    u->at += n;
    switch (code) {
    case AT_ASCII1:
    case AT_ASCII4: return mpy_decode_text(MPS_TAG_ASCII, data, n);
    case AT_LATIN1:
    case AT_LATIN4: return mpy_decode_text(MPS_TAG_LATIN, data, n);
    case AT_UCS2: return n % 2 != 0 ? NULL : mpy_decode_text(MPS_TAG_UCS2, data, n);
    case AT_UCS4: return n % 4 != 0 ? NULL : mpy_decode_text(MPS_TAG_UCS4, data, n);
    default: return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)n);
    }
}

static PyObject *get(unpacker *u);

static PyObject *get_sequence(unpacker *u, size_t n, bool list)
{
    PyObject *made = list ? PyList_New((Py_ssize_t)n) : PyTuple_New((Py_ssize_t)n);
    for (size_t i = 0; made != NULL && i < n; i++) {
        PyObject *item = get(u);
        if (item == NULL) {
            Py_CLEAR(made);
        } else if (list) {
            PyList_SET_ITEM(made, (Py_ssize_t)i, item);
        } else {
            PyTuple_SET_ITEM(made, (Py_ssize_t)i, item);
        }
    }
    return made;
}

static PyObject *get_set(unpacker *u, size_t n)
{
    PyObject *made = PySet_New(NULL);
    for (size_t i = 0; made != NULL && i < n; i++) {
        PyObject *item = get(u);
        if (item == NULL || PySet_Add(made, item) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(item);
    }
    return made;
}

static PyObject *get_dict(unpacker *u, size_t n)
{
    PyObject *made = PyDict_New();
    for (size_t i = 0; made != NULL && i < n; i++) {
        PyObject *key = get(u);
        PyObject *value = key == NULL ? NULL : get(u);
        if (value == NULL || PyDict_SetItem(made, key, value) < 0) {
            Py_CLEAR(made);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return made;
}

static PyObject *get_container(unpacker *u, unsigned code)
{
    size_t n = 0;
    if (!get_length(u, ((code - AT_TUPLE1) & 1) != 0, &n) || !holds(u, n) || u->depth == DEPTH_MAX) {
        return NULL; /* (an item has a byte at least) */
    }
    u->depth++;
    PyObject *made = NULL;
    switch (code) {
    case AT_TUPLE1:
    case AT_TUPLE4: made = get_sequence(u, n, false); break;
    case AT_LIST1:
    case AT_LIST4: made = get_sequence(u, n, true); break;
    case AT_SET1:
    case AT_SET4: made = get_set(u, n); break;
    default: made = get_dict(u, n); break;
    }
    u->depth--;
    return made;
}

/* NULL without an exception: the bytes make no sense. */
static PyObject *get(unpacker *u)
{
    if (!holds(u, 1)) {
        return NULL;
    }
    unsigned code = *u->at++;
    switch (code) {
    case AT_NONE: Py_RETURN_NONE;
    case AT_FALSE: Py_RETURN_FALSE;
    case AT_TRUE: Py_RETURN_TRUE;
    case AT_INT1:
    case AT_INT2:
    case AT_INT4:
    case AT_INT8: {
        size_t width = (size_t)1 << (code - AT_INT1);
        if (!holds(u, width)) {
            return NULL;
        }
        uint64_t n = 0;
        memcpy(&n, u->at, width);
        u->at += width;
        unsigned shift = 64 - 8 * (unsigned)width;
        return PyLong_FromLong((long)((int64_t)(n << shift) >> shift));
    }
    case AT_FLOAT: {
        double x = 0;
        if (!holds(u, 8)) {
            return NULL;
        }
        memcpy(&x, u->at, 8);
        u->at += 8;
        return PyFloat_FromDouble(x);
    }
    default: return code <= AT_UCS4 ? get_bytes(u, code) : code <= AT_DICT4 ? get_container(u, code) : NULL;
    }
}

PyObject *mpy_unpack(mpy_handle *h, const uint8_t *data, uint64_t nbytes)
{
    unpacker u = {data, data + nbytes, 0};
    PyObject *made = get(&u);
    if (mps_unlikely(made == NULL || u.at != u.end)) {
        Py_CLEAR(made);
        if (!PyErr_Occurred()) {
            mpy_fail(h, MPS_E_CORRUPT, "read");
        }
    }
    return made;
}
