#include "encode.h"

#include "buffers.h"

int mpy_hold_add(mpy_hold *hold, PyObject *obj)
{
    if (hold->first == NULL) {
        hold->first = obj;
        return 0;
    }
    if (hold->more == NULL) {
        hold->more = PyList_New(0);
    }
    int done = hold->more == NULL ? -1 : PyList_Append(hold->more, obj);
    Py_DECREF(obj);
    return done;
}

/* What goes inline if it is short, and out of line where it lies if it isn't. */
static void encode_bytes(unsigned tag, const void *data, size_t nbytes, mps_enc *enc)
{
    if (nbytes <= MPS_INLINE_MAX) {
        mpy_enc_set(enc, mpy_short(tag, data, nbytes));
    } else {
        *enc = (mps_enc){.value = {tag, 0}, .data = data, .nbytes = nbytes};
    }
}

int mpy_encode_text(PyObject *text, mps_enc *enc)
{
#if PY_VERSION_HEX < 0x030C0000
    if (PyUnicode_READY(text) < 0) {
        return -1;
    }
#endif
    unsigned tag = MPS_TAG_ASCII;
    if (!PyUnicode_IS_ASCII(text)) {
        int kind = (int)PyUnicode_KIND(text);
        tag = kind == 1 ? MPS_TAG_LATIN : kind == 2 ? MPS_TAG_UCS2 : MPS_TAG_UCS4;
    }
    size_t width = (size_t)PyUnicode_KIND(text);
    encode_bytes(tag, PyUnicode_DATA(text), (size_t)PyUnicode_GET_LENGTH(text) * width, enc);
    return 0;
}

int mpy_encode_bytes(PyObject *bytes, mps_enc *enc)
{
    encode_bytes(MPS_TAG_BYTES, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes), enc);
    return 0;
}

PyObject *mpy_int_bytes(PyObject *number)
{
    size_t bits = (size_t)_PyLong_NumBits(number);
    if (bits == (size_t)-1 && PyErr_Occurred()) {
        return NULL;
    }
    size_t nbytes = bits / 8 + 1; /* with room for the sign */
    PyObject *made = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)nbytes);
    if (made == NULL) {
        return NULL;
    }
    unsigned char *to = (unsigned char *)PyBytes_AS_STRING(made);
#if PY_VERSION_HEX >= 0x030D0000
    int failed = _PyLong_AsByteArray((PyLongObject *)number, to, nbytes, 1, 1, 1);
#else
    int failed = _PyLong_AsByteArray((PyLongObject *)number, to, nbytes, 1, 1);
#endif
    if (failed < 0) {
        Py_CLEAR(made);
    }
    return made;
}

int mpy_encode_int(PyObject *number, mps_enc *enc, mpy_hold *hold)
{
    int overflow = 0;
    long long n = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (n == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (!overflow) {
        mpy_enc_set(enc, mps_value_int(n));
        return 0;
    }
    PyObject *digits = mpy_int_bytes(number);
    if (digits == NULL) {
        return -1;
    }
    encode_bytes(MPS_TAG_BIGINT, PyBytes_AS_STRING(digits), (size_t)PyBytes_GET_SIZE(digits), enc);
    return mpy_hold_add(hold, digits);
}

static void encode_float(double x, mps_enc *enc)
{
    mps_value value = {MPS_TAG_FLOAT, 0};
    memcpy(&value.w1, &x, sizeof value.w1);
    mpy_enc_set(enc, value);
}

int mpy_encode_value_slow(mpy_handle *h, PyObject *obj, mps_enc *enc, mpy_hold *hold)
{
    if (PyFloat_CheckExact(obj)) {
        encode_float(PyFloat_AS_DOUBLE(obj), enc);
        return 0;
    }
    if (obj == Py_None) {
        mpy_enc_set(enc, (mps_value){MPS_TAG_NONE, 0});
        return 0;
    }
    if (PyBool_Check(obj)) {
        mpy_enc_set(enc, (mps_value){MPS_TAG_BOOL, obj == Py_True});
        return 0;
    }
    if (PyUnicode_CheckExact(obj)) {
        return mpy_encode_text(obj, enc);
    }
    if (PyLong_CheckExact(obj)) {
        return mpy_encode_int(obj, enc, hold);
    }
    if (PyBytes_CheckExact(obj)) {
        return mpy_encode_bytes(obj, enc);
    }
    if (mpy_is_handle(h->state, obj) && mpy_handle_of(obj)->seg == h->seg) {
        mpy_enc_set(enc, (mps_value){MPS_TAG_REF, mpy_handle_of(obj)->off});
        return 0;
    }
    int packed = mpy_pack(obj, enc, hold);
    if (packed == 0) {
        packed = mpy_encode_buffer(h, obj, enc, hold);
    }
    if (packed != 0) {
        return packed < 0 ? -1 : 0;
    }
    *enc = (mps_enc){.value = {MPS_TAG_PICKLE, 0}};
    PyObject *pickle = NULL;
    if (mpy_pickle(h, obj, &pickle, enc, hold) < 0) {
        return -1;
    }
    enc->data = PyBytes_AS_STRING(pickle);
    enc->nbytes = (uint64_t)PyBytes_GET_SIZE(pickle);
    return 0;
}

void mpy_encode_copy(const mps_copy *copy, mps_enc *enc)
{
    *enc = (mps_enc){.value = copy->value};
    if (mps_value_is_inline(copy->value)) {
        return;
    }
    enc->value = (mps_value){mps_value_tag(copy->value), 0};
    enc->data = copy->data;
    enc->nbytes = copy->nbytes;
    enc->refs = copy->refs;
    enc->n_refs = copy->n_refs;
    enc->aux = copy->aux;
}
