#include "ordered.h"

#include "key.h"
#include "tree.h"

static bool is_nan(PyObject *obj)
{
    return PyFloat_Check(obj) && PyFloat_AS_DOUBLE(obj) != PyFloat_AS_DOUBLE(obj);
}

/* Numbers, text and bytes of exactly these types: 1, 0 for all others, -1. */
static int encode_exact(PyObject *key, mps_enc *enc, mpy_hold *hold)
{
    int done = 0;
    if (PyLong_CheckExact(key)) {
        done = mpy_encode_int(key, enc, hold);
    } else if (PyUnicode_CheckExact(key)) {
        done = mpy_encode_text(key, enc);
    } else if (PyFloat_CheckExact(key)) {
        mps_value value = {MPS_TAG_FLOAT, 0};
        double x = PyFloat_AS_DOUBLE(key);
        memcpy(&value.w1, &x, sizeof x);
        mpy_enc_set(enc, value);
    } else if (PyBytes_CheckExact(key)) {
        done = mpy_encode_bytes(key, enc);
    } else if (PyBool_Check(key)) {
        mpy_enc_set(enc, (mps_value){MPS_TAG_BOOL, key == Py_True});
    } else {
        return 0;
    }
    return done < 0 ? -1 : 1;
}

static mpy_orderly encode_tuple(mpy_handle *h, PyObject *key, PyObject *plain, mps_enc *enc, mpy_hold *hold, bool store)
{
    if (mpy_encode_compound(h, key, plain, enc, hold, store) < 0) {
        return MPY_ORDER_FAILED;
    }
    switch (mps_order_check_form(enc->data, enc->aux)) {
    case MPS_OK: return MPY_ORDERLY;
    case MPS_E_INVAL: return MPY_NOT_A_NUMBER;
    default: return MPY_UNORDERLY;
    }
}

/* What a key of another type equals, if that is one of these. */
static mpy_orderly encode_like(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold, bool store)
{
    Py_hash_t hash = PyObject_Hash(key);
    PyObject *plain = NULL;
    if (hash == -1 || mpy_key_plain(h, key, hash, &plain) < 0) {
        return MPY_ORDER_FAILED;
    }
    if (plain == NULL) {
        return MPY_UNORDERLY;
    }
    if (mpy_hold_add(hold, plain) < 0) { /* enc may point into it */
        return MPY_ORDER_FAILED;
    }
    if (PyTuple_CheckExact(plain) && PyTuple_Check(key)) {
        return encode_tuple(h, key, plain, enc, hold, store);
    }
    int done = encode_exact(plain, enc, hold);
    if (done > 0 && store) {
        done = mpy_encode_alias(h, key, enc, hold) < 0 ? -1 : 1;
    }
    return done < 0 ? MPY_ORDER_FAILED : done > 0 ? MPY_ORDERLY : MPY_UNORDERLY;
}

mpy_orderly mpy_encode_orderly_slow(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold, bool store)
{
    if (is_nan(key)) {
        return MPY_NOT_A_NUMBER;
    }
    int done = encode_exact(key, enc, hold);
    if (done != 0) {
        return done < 0 ? MPY_ORDER_FAILED : MPY_ORDERLY;
    }
    if (key == Py_None) {
        return MPY_UNORDERLY;
    }
    return PyTuple_CheckExact(key) ? encode_tuple(h, key, key, enc, hold, store)
                                   : encode_like(h, key, enc, hold, store);
}

/* ---- what can't be ---- */

/* The first key that is there, or NULL without an exception. */
static PyObject *first_key(mpy_handle *h)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        st = mps_tree_item(h->seg, MPS_DOOR_GIL, h->off, 0, &copy, NULL);
    } while (st != MPS_OK && mpy_again(h, &st));
    PyObject *key = NULL;
    if (st == MPS_OK) {
        key = mpy_decode(h, &copy);
    } else {
        mps_copy_done(&copy);
    }
    if (key == NULL) {
        PyErr_Clear();
    }
    return key;
}

/* Whether it is a tuple, or what is inside of one, and what inside of that can't be put in order: a borrowed reference, or NULL. */
static PyObject *culprit(PyObject *key, int depth)
{
    if (PyTuple_Check(key) && depth < MPY_KEY_DEPTH) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); i++) {
            PyObject *found = culprit(PyTuple_GET_ITEM(key, i), depth + 1);
            if (found != NULL) {
                return found;
            }
        }
        return NULL;
    }
    bool may = PyLong_Check(key) || PyFloat_Check(key) || PyUnicode_Check(key) || PyBytes_Check(key);
    return may ? NULL : key;
}

static int refuse(mpy_handle *h, PyObject *key)
{
    PyObject *first = first_key(h);
    const char *name = first == NULL ? Py_TYPE(key)->tp_name : Py_TYPE(first)->tp_name;
    PyErr_Format(PyExc_TypeError, "'<' not supported between instances of '%s' and '%s'", Py_TYPE(key)->tp_name, name);
    Py_XDECREF(first);
    return -1;
}

int mpy_refuse_key(mpy_handle *h, PyObject *key, mpy_orderly why)
{
    if (why == MPY_ORDER_FAILED) {
        return -1;
    }
    if (why == MPY_NOT_A_NUMBER) {
        PyErr_SetString(PyExc_ValueError, "nan cannot be put in order with other keys");
        return -1;
    }
    PyObject *found = culprit(key, 0);
    return refuse(h, found == NULL ? key : found);
}

PyObject *mpy_fail_order(mpy_handle *h, PyObject *key)
{
    PyObject *first = first_key(h);
    if (first != NULL && PyTuple_Check(first) && PyTuple_Check(key)) {
        PyErr_SetString(PyExc_TypeError, "'<' not supported between the items of this tuple and those of other keys");
    } else {
        refuse(h, key);
    }
    Py_XDECREF(first);
    return NULL;
}
