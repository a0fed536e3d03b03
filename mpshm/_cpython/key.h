/* key.h -- the canonical form of compound keys: what compares equal has equal bytes, in every process.
 *
 *   n                           None
 *   i int64 | I varint bytes    a whole number, also of a float, a bool, a Decimal, ... (two's complement, little-endian)
 *   f double                    any other float
 *   q tuple                     a Decimal or a Fraction that is no float: numerator and denominator
 *   c real imaginary            a complex number that is not real
 *   a l u U varint bytes        text: ASCII, Latin-1, two bytes, four bytes a character
 *   b varint bytes              bytes
 *   t varint items              a tuple          s varint items (sorted by their bytes)   a set or frozenset
 *   L varint items              a list           D varint key value ... (sorted)         a dict; both inside of states
 *   r varint start step         a range: its length, and what of start and step matters
 *   E type name                 a member of an Enum
 *   G module name               a class, a function, anything pickle knows by its name
 *   H id offset serial          a handle
 *   O varint parts              anything else, as its __reduce_ex__(4): callable, arguments, state, list items, dict items
 *
 * varint: seven bits a byte, the lowest first. Every form ends where it says, so none is the beginning of another. Instances of
 * subclasses of str, bytes, int, float, tuple and frozenset, whose hash is the base's, are what the base would be.
 *
 * Stored keys are followed by a pickle of the original, which is what reading them gives; keys to look for need none.
 *
 * A key all of whose parts are exactly of the types in n, i, I, f, text, b, t and s (whole floats and bools excepted) is
 * read back from the canonical form, and has no pickle.
 */
#ifndef MPY_KEY_H
#define MPY_KEY_H

#include "encode.h"

#define MPY_KEY_DEPTH 200 /* levels of nesting */

typedef struct mpy_canon {
    mpy_handle *h;
    uint8_t *data;
    size_t nbytes, capacity;
    int depth;
    bool plain; /* the form says everything */
    uint8_t small[256];
} mpy_canon;

/* Appends the form of an object. */
int mpy_canon_put(mpy_canon *c, PyObject *obj);
/* Raw bytes and lengths. */
int mpy_canon_bytes(mpy_canon *c, const void *data, size_t nbytes);
int mpy_canon_tag(mpy_canon *c, char tag, size_t count);
/* What has no form of its own among the builtins: key_object.c. */
int mpy_canon_object(mpy_canon *c, PyObject *obj);

/* A key that is to be compared by its canonical form: `plain`, of a builtin type, equals `key`, which is given back; NULL: there is none. */
int mpy_encode_compound(mpy_handle *h, PyObject *key, PyObject *plain, mps_enc *enc, mpy_hold *hold, bool store);
/* Makes enc, which stands for what `original` equals, an alias that gives original back. */
int mpy_encode_alias(mpy_handle *h, PyObject *original, mps_enc *enc, mpy_hold *hold);

/* The object of a builtin type, exactly, that obj is as a key: *plain, a new reference, or NULL if there is none.
 * hash: obj's. For exact builtins: themselves. */
int mpy_key_plain(mpy_handle *h, PyObject *obj, Py_hash_t hash, PyObject **plain);
/* 0 if the exception that is set is one of a foreign object's methods, which is forgotten; -1 if it has to be raised. */
int mpy_key_forgive(void);

#endif
