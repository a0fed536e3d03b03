/* encode.h -- Python objects to the core's values and back.
 *
 * In: an mps_enc, made before the operation. What it points to is kept by an mpy_hold until the operation is over:
 * pickles, canonical forms, digits of big ints, and handles that a pickle refers to. Text and bytes are not copied:
 * the caller has a reference to the object until then. Everything that may run Python code (hash, pickle, int()) happens here.
 *
 * Out: decoding takes over the counts of references that a copy holds, making handles of them.
 *
 * Keys become canonical, so that what compares equal here is equal in every process, whatever its hash there: see key.c.
 */
#ifndef MPY_ENCODE_H
#define MPY_ENCODE_H

#include "handle.h"
#include "value.h"

#if PY_VERSION_HEX < 0x030B0000
#include <longintrepr.h>
#endif

/* What encoded values need until the operation is over. */
typedef struct mpy_hold {
    PyObject *first; /* one object, or NULL */
    PyObject *more;  /* a list of further ones, or NULL */
} mpy_hold;

/* Keeps obj, whose reference it takes over, also when it fails. */
int mpy_hold_add(mpy_hold *hold, PyObject *obj);

static inline void mpy_hold_done(mpy_hold *hold)
{
    if (mps_unlikely(hold->first != NULL)) {
        Py_CLEAR(hold->first);
        Py_CLEAR(hold->more);
    }
}

/* The slow parts of the two below. */
int mpy_encode_value_slow(mpy_handle *h, PyObject *obj, mps_enc *enc, mpy_hold *hold);
int mpy_encode_key_slow(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold, bool store);

/* Shared by both: text, bytes and ints of exactly those types. */
int mpy_encode_text(PyObject *text, mps_enc *enc);
int mpy_encode_bytes(PyObject *bytes, mps_enc *enc);
int mpy_encode_int(PyObject *number, mps_enc *enc, mpy_hold *hold);
/* Two's complement, little-endian, no longer than the number needs: a new bytes object. */
PyObject *mpy_int_bytes(PyObject *number);
/* The stored value as a value to compare with; the copy is to outlive it. */
void mpy_encode_copy(const mps_copy *copy, mps_enc *enc);

/* A small container of plain values as bytes, kept by hold: 1, 0 when obj is none or has to be pickled, or -1. */
int mpy_pack(PyObject *obj, mps_enc *enc, mpy_hold *hold);
PyObject *mpy_unpack(mpy_handle *h, const uint8_t *data, uint64_t nbytes);

/* The pickle of obj: a new bytes object, kept by hold as well as the handles inside; enc gets data and references. */
int mpy_pickle(mpy_handle *h, PyObject *obj, PyObject **pickle, mps_enc *enc, mpy_hold *hold);
/* The same with other bytes before it, in two pieces: a new bytes object, not kept. */
PyObject *mpy_pickle_behind(mpy_handle *h, PyObject *obj, const void *head, size_t head_bytes, const void *body,
                            size_t body_bytes, mps_enc *enc, mpy_hold *hold);
/* The object behind a pickle; handles: a sequence in the order of the references, or NULL. */
PyObject *mpy_unpickle(mpy_state *state, const void *data, uint64_t nbytes, PyObject *handles);

/* The object that a copy holds, for a copy that is needed for longer: mps_copy_done is the caller's. *handles: a new reference to
 * the handles that were made, which keep what the copy refers to alive; NULL where there are none. */
PyObject *mpy_decode_keep(mpy_handle *h, mps_copy *copy, PyObject **handles);
/* The object that a copy holds (made with pin), as a read-only view on the shared memory, where it has such memory; TypeError where
 * it has none. The copy is done with then. */
PyObject *mpy_decode_view(mpy_handle *h, mps_copy *copy);
/* The slow parts of mpy_decode and mpy_decode_item. */
PyObject *mpy_decode_slow(mpy_handle *h, mps_copy *copy);
PyObject *mpy_decode_item_slow(mpy_handle *h, const mps_snap *snap, uint64_t i);
/* A value that is all in its sixteen bytes (mps_value_is_plain). */
PyObject *mpy_decode_plain(mpy_handle *h, mps_value value);
/* A key that is all canonical form (key.c). */
PyObject *mpy_decode_canonical(mpy_handle *h, const uint8_t *data, uint64_t nbytes);
PyObject *mpy_decode_text(unsigned tag, const uint8_t *data, uint64_t nbytes);

static inline void mpy_enc_set(mps_enc *enc, mps_value value)
{
    *enc = (mps_enc){.value = value};
}

/* Whether it is an int of one digit, exactly int. */
static inline bool mpy_small_int(PyObject *obj, int64_t *n)
{
    const PyLongObject *number = (const PyLongObject *)obj;
#if PY_VERSION_HEX >= 0x030C0000
    if (PyUnstable_Long_IsCompact(number)) {
        *n = PyUnstable_Long_CompactValue(number);
        return true;
    }
    return false;
#else
    Py_ssize_t size = Py_SIZE(number);
    if ((size_t)(size + 1) <= 2) {
        *n = size * (int64_t)number->ob_digit[0];
        return true;
    }
    return false;
#endif
}

/* Up to 14 bytes, at p, as a value. Reads those bytes only. */
static inline mps_value mpy_short(unsigned tag, const uint8_t *p, size_t n)
{
    uint64_t low = 0;
    uint64_t high = 0;
    if (n >= 8) {
        memcpy(&low, p, 8);
        if (n > 8) {
            memcpy(&high, p + n - 8, 8);
            high >>= 8 * (16 - n);
        }
    } else if (n >= 4) {
        uint32_t a = 0;
        uint32_t b = 0;
        memcpy(&a, p, 4);
        memcpy(&b, p + n - 4, 4);
        low = a | (uint64_t)b << (8 * (n - 4));
    } else if (n > 0) {
        low = p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1));
    }
    return (mps_value){tag | (uint64_t)n << 8 | low << 16, low >> 48 | high << 16};
}

/* The commonest of all: text of up to 14 ASCII characters, an int of one digit. */
static inline bool mpy_encode_fast(PyObject *obj, mps_enc *enc)
{
    if (PyUnicode_CheckExact(obj)) {
        if (PyUnicode_IS_COMPACT_ASCII(obj) && PyUnicode_GET_LENGTH(obj) <= (Py_ssize_t)MPS_INLINE_MAX) {
            const uint8_t *p = (const uint8_t *)(((PyASCIIObject *)obj) + 1);
            mpy_enc_set(enc, mpy_short(MPS_TAG_ASCII, p, (size_t)PyUnicode_GET_LENGTH(obj)));
            return true;
        }
    } else if (PyLong_CheckExact(obj)) {
        int64_t n = 0;
        if (mpy_small_int(obj, &n)) {
            mpy_enc_set(enc, mps_value_int(n));
            return true;
        }
    }
    return false;
}

static inline int mpy_encode_value(mpy_handle *h, PyObject *obj, mps_enc *enc, mpy_hold *hold)
{
    return mps_likely(mpy_encode_fast(obj, enc)) ? 0 : mpy_encode_value_slow(h, obj, enc, hold);
}

/* A key to look for. */
static inline int mpy_encode_key(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold)
{
    return mps_likely(mpy_encode_fast(key, enc)) ? 0 : mpy_encode_key_slow(h, key, enc, hold, false);
}

/* A key that may be stored in h, with all that is needed to give it back as it was. */
static inline int mpy_encode_new_key(mpy_handle *h, PyObject *key, mps_enc *enc, mpy_hold *hold)
{
    return mps_likely(mpy_encode_fast(key, enc)) ? 0 : mpy_encode_key_slow(h, key, enc, hold, true);
}

_Static_assert(sizeof(long) == sizeof(int64_t), "PyLong_FromLong, the faster one, takes all of it");

/* Whether it is an int, and was one from its beginning. */
static inline bool mpy_is_int(mps_value value)
{
    return (value.w0 & 0xffff) == MPS_TAG_INT;
}

/* The object that a copy holds, which is done with then. */
static inline PyObject *mpy_decode(mpy_handle *h, mps_copy *copy)
{
    if (mps_likely(mpy_is_int(copy->value) && copy->heap == NULL)) {
        return PyLong_FromLong((long)copy->value.w1);
    }
    return mpy_decode_slow(h, copy);
}

/* Item i of a snapshot; each item once. */
static inline PyObject *mpy_decode_item(mpy_handle *h, const mps_snap *snap, uint64_t i)
{
    mps_value value = snap->items[i].value;
    return mps_likely(mpy_is_int(value)) ? PyLong_FromLong((long)value.w1) : mpy_decode_item_slow(h, snap, i);
}

#endif
