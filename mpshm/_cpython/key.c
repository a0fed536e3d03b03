#include "key.h"

/* ---- writing ---- */

int mpy_canon_bytes(mpy_canon *c, const void *data, size_t nbytes)
{
    if (nbytes > c->capacity - c->nbytes) {
        size_t capacity = (c->nbytes + nbytes) * 2;
        uint8_t *grown = PyMem_Malloc(capacity);
        if (grown == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        memcpy(grown, c->data, c->nbytes);
        if (c->data != c->small) {
            PyMem_Free(c->data);
        }
        c->data = grown;
        c->capacity = capacity;
    }
    memcpy(c->data + c->nbytes, data, nbytes);
    c->nbytes += nbytes;
    return 0;
}

int mpy_canon_tag(mpy_canon *c, char tag, size_t count)
{
    uint8_t bytes[12] = {(uint8_t)tag};
    size_t n = 1;
    for (; count >= 0x80; count >>= 7) {
        bytes[n++] = (uint8_t)(count | 0x80);
    }
    bytes[n++] = (uint8_t)count;
    return mpy_canon_bytes(c, bytes, n);
}

static int put_run(mpy_canon *c, char tag, const void *data, size_t nbytes)
{
    return mpy_canon_tag(c, tag, nbytes) < 0 ? -1 : mpy_canon_bytes(c, data, nbytes);
}

static int put_word(mpy_canon *c, char tag, uint64_t word)
{
    return mpy_canon_bytes(c, &tag, 1) < 0 ? -1 : mpy_canon_bytes(c, &word, sizeof word);
}

static int put_text(mpy_canon *c, PyObject *text)
{
    mps_enc enc;
    if (mpy_encode_text(text, &enc) < 0) {
        return -1;
    }
    static const char tags[] = {'a', 'l', 'u', 'U'};
    size_t nbytes = (size_t)PyUnicode_GET_LENGTH(text) * (size_t)PyUnicode_KIND(text);
    return put_run(c, tags[mps_value_tag(enc.value) - MPS_TAG_ASCII], PyUnicode_DATA(text), nbytes);
}

static int put_int(mpy_canon *c, PyObject *number)
{
    int overflow = 0;
    long long n = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (!overflow) {
        return n == -1 && PyErr_Occurred() ? -1 : put_word(c, 'i', (uint64_t)n);
    }
    PyObject *digits = mpy_int_bytes(number);
    if (digits == NULL) {
        return -1;
    }
    int done = put_run(c, 'I', PyBytes_AS_STRING(digits), (size_t)PyBytes_GET_SIZE(digits));
    Py_DECREF(digits);
    return done;
}

/* The whole number that a float is: a new reference, or NULL without an exception. */
static PyObject *whole(double x)
{
    if (!(x == x) || x - x != 0 || __builtin_floor(x) != x) {
        return NULL;
    }
    PyObject *made = PyLong_FromDouble(x);
    if (made == NULL) {
        PyErr_Clear();
    }
    return made;
}

static int put_float(mpy_canon *c, double x)
{
    PyObject *number = whole(x);
    if (number != NULL) {
        c->plain = false;
        int done = put_int(c, number);
        Py_DECREF(number);
        return done;
    }
    uint64_t bits = 0;
    memcpy(&bits, &x, sizeof bits);
    return put_word(c, 'f', bits);
}

static int put_complex(mpy_canon *c, Py_complex z)
{
    c->plain = false;
    if (z.imag == 0) {
        return put_float(c, z.real);
    }
    return mpy_canon_bytes(c, "c", 1) < 0 || put_float(c, z.real) < 0 ? -1 : put_float(c, z.imag);
}

static int put_items(mpy_canon *c, char tag, PyObject *items)
{
    Py_ssize_t n = PyTuple_GET_SIZE(items);
    int done = mpy_canon_tag(c, tag, (size_t)n);
    for (Py_ssize_t i = 0; i < n && done == 0; i++) {
        done = mpy_canon_put(c, PyTuple_GET_ITEM(items, i));
    }
    return done;
}

/* Sorts the pieces that were written from `from` on and end at ends[]. */
static int sort_pieces(mpy_canon *c, size_t from, const size_t *ends, Py_ssize_t n)
{
    PyObject *pieces = PyList_New(n);
    size_t start = from;
    for (Py_ssize_t i = 0; pieces != NULL && i < n; i++) {
        PyObject *piece = PyBytes_FromStringAndSize((const char *)c->data + start, (Py_ssize_t)(ends[i] - start));
        if (piece == NULL) {
            Py_CLEAR(pieces);
            break;
        }
        PyList_SET_ITEM(pieces, i, piece);
        start = ends[i];
    }
    if (pieces == NULL || PyList_Sort(pieces) < 0) {
        Py_XDECREF(pieces);
        return -1;
    }
    uint8_t *to = c->data + from;
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *piece = PyList_GET_ITEM(pieces, i);
        memcpy(to, PyBytes_AS_STRING(piece), (size_t)PyBytes_GET_SIZE(piece));
        to += PyBytes_GET_SIZE(piece);
    }
    Py_DECREF(pieces);
    return 0;
}

/* Items in whatever order, or (pairs) keys with their values: sorted by their bytes. Takes the tuple over. */
static int put_sorted(mpy_canon *c, char tag, PyObject *items, bool pairs)
{
    if (items == NULL) {
        return -1;
    }
    Py_ssize_t n = PyTuple_GET_SIZE(items);
    size_t *ends = PyMem_Malloc(((size_t)n + 1) * sizeof *ends);
    int done = ends == NULL ? (PyErr_NoMemory(), -1) : mpy_canon_tag(c, tag, (size_t)n);
    size_t from = c->nbytes;
    for (Py_ssize_t i = 0; i < n && done == 0; i++) {
        PyObject *item = PyTuple_GET_ITEM(items, i);
        if (!pairs) {
            done = mpy_canon_put(c, item);
        } else if (PyTuple_Check(item) && PyTuple_GET_SIZE(item) == 2) {
            done = mpy_canon_put(c, PyTuple_GET_ITEM(item, 0)) < 0 ? -1 : mpy_canon_put(c, PyTuple_GET_ITEM(item, 1));
        } else {
            PyErr_SetString(PyExc_TypeError, "the dict items of a key's __reduce_ex__() must be pairs");
            done = -1;
        }
        ends[i] = c->nbytes;
    }
    if (done == 0) {
        done = sort_pieces(c, from, ends, n);
    }
    PyMem_Free(ends);
    Py_DECREF(items);
    return done;
}

static int put_list(mpy_canon *c, PyObject *list)
{
    PyObject *items = PyList_AsTuple(list);
    int done = items == NULL ? -1 : put_items(c, 'L', items);
    Py_XDECREF(items);
    return done;
}

/* The items of a dict, as pairs. */
static int put_dict(mpy_canon *c, PyObject *dict)
{
    PyObject *items = PyDict_Items(dict);
    PyObject *pairs = items == NULL ? NULL : PyList_AsTuple(items);
    Py_XDECREF(items);
    return put_sorted(c, 'D', pairs, true);
}

/* Instances of exactly these types: 1, with *done; 0 for all others. */
static int put_builtin(mpy_canon *c, PyObject *obj, int *done)
{
    if (obj == Py_None) {
        *done = mpy_canon_bytes(c, "n", 1);
    } else if (PyUnicode_CheckExact(obj)) {
        *done = put_text(c, obj);
    } else if (PyLong_CheckExact(obj)) {
        *done = put_int(c, obj);
    } else if (PyBool_Check(obj)) {
        c->plain = false;
        *done = put_word(c, 'i', obj == Py_True);
    } else if (PyTuple_CheckExact(obj)) {
        *done = put_items(c, 't', obj);
    } else if (PyBytes_CheckExact(obj)) {
        *done = put_run(c, 'b', PyBytes_AS_STRING(obj), (size_t)PyBytes_GET_SIZE(obj));
    } else if (PyFloat_CheckExact(obj)) {
        *done = put_float(c, PyFloat_AS_DOUBLE(obj));
    } else if (PyFrozenSet_CheckExact(obj) || PySet_CheckExact(obj)) {
        c->plain = c->plain && PyFrozenSet_CheckExact(obj);
        *done = put_sorted(c, 's', PySequence_Tuple(obj), false);
    } else if (PyList_CheckExact(obj)) {
        c->plain = false;
        *done = put_list(c, obj);
    } else if (PyDict_CheckExact(obj)) {
        c->plain = false;
        *done = put_dict(c, obj);
    } else if (PyComplex_CheckExact(obj)) {
        *done = put_complex(c, PyComplex_AsCComplex(obj));
    } else {
        return 0;
    }
    return 1;
}

/* Everything else: what it is as a key among the builtins, or an object with a form of its own. */
static int put_other(mpy_canon *c, PyObject *obj)
{
    c->plain = false;
    PyObject *plain = NULL;
    Py_hash_t hash = PyObject_Hash(obj);
    if (hash == -1 ? mpy_key_forgive() : mpy_key_plain(c->h, obj, hash, &plain)) {
        return -1;
    }
    if (plain == NULL) {
        return mpy_canon_object(c, obj);
    }
    int done = -1;
    put_builtin(c, plain, &done);
    Py_DECREF(plain);
    return done;
}

int mpy_canon_put(mpy_canon *c, PyObject *obj)
{
    if (++c->depth > MPY_KEY_DEPTH) {
        PyErr_Format(PyExc_RecursionError, "a key nested more than %d levels deep cannot be stored", MPY_KEY_DEPTH);
        return -1;
    }
    int done = 0;
    if (!put_builtin(c, obj, &done)) {
        done = put_other(c, obj);
    }
    c->depth--;
    return done;
}

/* ---- keys ---- */

/* Keys out of line carry their hash. */
static int with_hash(mpy_handle *h, mps_enc *enc, const void *data, uint64_t nbytes)
{
    enc->value.w0 |= mps_hash_bytes(data, nbytes, h->seg->seed) << 32;
    return 0;
}

static int encode_number(mpy_handle *h, PyObject *number, mps_enc *enc, mpy_hold *hold)
{
    int done = mpy_encode_int(number, enc, hold);
    return done < 0 || enc->data == NULL ? done : with_hash(h, enc, enc->data, enc->nbytes);
}

static int encode_float(mpy_handle *h, double x, mps_enc *enc, mpy_hold *hold)
{
    PyObject *number = whole(x);
    if (number == NULL) {
        mps_value value = {MPS_TAG_FLOAT, 0};
        memcpy(&value.w1, &x, sizeof value.w1);
        mpy_enc_set(enc, value);
        return 0;
    }
    int done = encode_number(h, number, enc, hold);
    Py_DECREF(number);
    if (done == 0 && mps_value_tag(enc->value) == MPS_TAG_INT) {
        enc->value.w0 |= (uint64_t)(x == 0 && __builtin_signbit(x) ? MPS_FORM_NEGATIVE_ZERO : MPS_FORM_FLOAT) << 8;
    }
    return done;
}

/* The canonical form; behind it, for a key that is to be stored and unless the form says everything, a pickle of the
 * original. */
static int encode_form(mpy_canon *c, PyObject *key, mps_enc *enc, mpy_hold *hold, bool store)
{
    mpy_handle *h = c->h;
    *enc = (mps_enc){.value = {MPS_TAG_KEY, 0}, .aux = (uint32_t)c->nbytes};
    PyObject *data = NULL;
    if (store && !c->plain) {
        data = mpy_pickle_behind(h, key, c->data, c->nbytes, NULL, 0, enc, hold);
    } else {
        data = PyBytes_FromStringAndSize((const char *)c->data, (Py_ssize_t)c->nbytes);
    }
    if (data == NULL) {
        return -1;
    }
    enc->data = PyBytes_AS_STRING(data);
    enc->nbytes = (uint64_t)PyBytes_GET_SIZE(data);
    with_hash(h, enc, c->data, c->nbytes);
    return mpy_hold_add(hold, data);
}

int mpy_encode_compound(mpy_handle *h, PyObject *key, PyObject *plain, mps_enc *enc, mpy_hold *hold, bool store)
{
    mpy_canon c = {.h = h, .plain = plain == key};
    c.data = c.small;
    c.capacity = sizeof c.small;
    int done = plain != NULL ? mpy_canon_put(&c, plain) : mpy_canon_object(&c, key);
    if (done == 0 && c.nbytes > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a compound key is larger than 4 GiB");
        done = -1;
    }
    if (done == 0) {
        done = encode_form(&c, key, enc, hold, store);
    }
    if (c.data != c.small) {
        PyMem_Free(c.data);
    }
    return done;
}

int mpy_encode_alias(mpy_handle *h, PyObject *original, mps_enc *enc, mpy_hold *hold)
{
    if (enc->nbytes > UINT32_MAX - sizeof(mps_value)) {
        return 0;
    }
    mps_value head = {enc->value.w0, enc->data == NULL ? enc->value.w1 : enc->nbytes};
    mps_enc alias = {.value = {MPS_TAG_ALIAS, 0}, .aux = (uint32_t)(sizeof head + enc->nbytes)};
    PyObject *data = mpy_pickle_behind(h, original, &head, sizeof head, enc->data, enc->nbytes, &alias, hold);
    if (data == NULL) {
        return -1;
    }
    alias.data = PyBytes_AS_STRING(data);
    alias.nbytes = (uint64_t)PyBytes_GET_SIZE(data);
    *enc = alias;
    return mpy_hold_add(hold, data);
}

/* A key that is exactly of a simple builtin type; *lost: storing it so forgets what it was. */
static int encode_simple(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold, bool *lost)
{
    if (PyUnicode_CheckExact(key) || PyBytes_CheckExact(key)) {
        int done = PyUnicode_CheckExact(key) ? mpy_encode_text(key, enc) : mpy_encode_bytes(key, enc);
        return done < 0 || enc->data == NULL ? done : with_hash(h, enc, enc->data, enc->nbytes);
    }
    if (PyLong_CheckExact(key)) {
        return encode_number(h, key, enc, hold);
    }
    if (PyFloat_CheckExact(key)) {
        int done = encode_float(h, PyFloat_AS_DOUBLE(key), enc, hold);
        *lost = *lost || (done == 0 && mps_value_tag(enc->value) == MPS_TAG_BIGINT);
        return done;
    }
    if (PyBool_Check(key)) {
        mpy_enc_set(enc, (mps_value){MPS_TAG_INT | MPS_FORM_TRUE_BOOL << 8, key == Py_True});
        return 0;
    }
    mpy_enc_set(enc, (mps_value){MPS_TAG_NONE, 0});
    return 0;
}

static bool is_simple(PyObject *key)
{
    return PyUnicode_CheckExact(key) || PyLong_CheckExact(key) || PyFloat_CheckExact(key) || key == Py_None ||
           PyBool_Check(key) || PyBytes_CheckExact(key);
}

/* `key` is of a builtin type, `original` what was given, and has to be given back if it is stored. */
static int encode_plain(mpy_handle *h, PyObject *key, PyObject *original, mps_enc *enc, mpy_hold *hold, bool store)
{
    if (!is_simple(key)) {
        return mpy_encode_compound(h, original, key, enc, hold, store);
    }
    bool lost = key != original;
    int done = encode_simple(h, key, enc, hold, &lost);
    if (done < 0 || !lost || !store) {
        return done;
    }
    /* What is in the table already stays. */
    bool new = mps_table_has(h->seg, MPS_DOOR_GIL, h->off, enc) == MPS_E_NOTFOUND;
    return new ? mpy_encode_alias(h, original, enc, hold) : 0;
}

int mpy_encode_key_slow(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold, bool store)
{
    if (is_simple(key)) {
        return encode_plain(h, key, key, enc, hold, store);
    }
    Py_hash_t hash = PyObject_Hash(key);
    PyObject *plain = NULL;
    if (hash == -1 || mpy_key_plain(h, key, hash, &plain) < 0) {
        return -1;
    }
    if (plain == NULL) {
        return mpy_encode_compound(h, key, NULL, enc, hold, store);
    }
    int done = encode_plain(h, plain, key, enc, hold, store);
    if (plain == key || done < 0) {
        Py_DECREF(plain);
        return done;
    }
    return mpy_hold_add(hold, plain); /* enc may point into it */
}

/* ---- reading ---- */

typedef struct reader {
    mpy_handle *h;
    const uint8_t *at, *end;
    int depth;
} reader;

static PyObject *read_form(reader *r);

static PyObject *torn(reader *r)
{
    return mpy_fail(r->h, MPS_E_CORRUPT, "read a key of");
}

/* A length or count; bounded by the bytes left, since every item has one at least. */
static bool read_count(reader *r, size_t *count)
{
    *count = 0;
    for (unsigned shift = 0; r->at < r->end && shift < 63; shift += 7) {
        uint8_t byte = *r->at++;
        *count |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            return *count <= (size_t)(r->end - r->at);
        }
    }
    return false;
}

static PyObject *read_word(reader *r, uint8_t tag)
{
    uint64_t word = 0;
    if ((size_t)(r->end - r->at) < sizeof word) {
        return torn(r);
    }
    memcpy(&word, r->at, sizeof word);
    r->at += sizeof word;
    if (tag == 'i') {
        return PyLong_FromLongLong((int64_t)word);
    }
    double x = 0;
    memcpy(&x, &word, sizeof x);
    return PyFloat_FromDouble(x);
}

static PyObject *read_run(reader *r, uint8_t tag)
{
    size_t n = 0;
    if (!read_count(r, &n)) {
        return torn(r);
    }
    const uint8_t *data = r->at;
    r->at += n;
    switch (tag) {
    case 'a': return mpy_decode_text(MPS_TAG_ASCII, data, n);
    case 'l': return mpy_decode_text(MPS_TAG_LATIN, data, n);
    case 'u': return mpy_decode_text(MPS_TAG_UCS2, data, n);
    case 'U': return mpy_decode_text(MPS_TAG_UCS4, data, n);
    case 'b': return PyBytes_FromStringAndSize((const char *)data, (Py_ssize_t)n);
    default: return _PyLong_FromByteArray(data, n, 1, 1);
    }
}

static PyObject *read_items(reader *r, uint8_t tag)
{
    size_t n = 0;
    if (!read_count(r, &n) || r->depth >= MPY_KEY_DEPTH) {
        return torn(r);
    }
    PyObject *items = PyTuple_New((Py_ssize_t)n);
    r->depth++;
    for (size_t i = 0; items != NULL && i < n; i++) {
        PyObject *item = read_form(r);
        if (item == NULL) {
            Py_CLEAR(items);
            break;
        }
        PyTuple_SET_ITEM(items, (Py_ssize_t)i, item);
    }
    r->depth--;
    if (items == NULL || tag == 't') {
        return items;
    }
    PyObject *made = PyFrozenSet_New(items);
    Py_DECREF(items);
    return made;
}

static PyObject *read_form(reader *r)
{
    if (r->at >= r->end) {
        return torn(r);
    }
    uint8_t tag = *r->at++;
    switch (tag) {
    case 'n': Py_RETURN_NONE;
    case 'i':
    case 'f': return read_word(r, tag);
    case 'I':
    case 'a':
    case 'l':
    case 'u':
    case 'U':
    case 'b': return read_run(r, tag);
    case 't':
    case 's': return read_items(r, tag);
    default: return torn(r);
    }
}

PyObject *mpy_decode_canonical(mpy_handle *h, const uint8_t *data, uint64_t nbytes)
{
    reader r = {.h = h, .at = data, .end = data + nbytes};
    PyObject *made = read_form(&r);
    if (made != NULL && r.at != r.end) {
        Py_DECREF(made);
        return torn(&r);
    }
    return made;
}
