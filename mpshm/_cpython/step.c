#include "step.h"

#include "cell.h"
#include "dict.h"

/* ---- the core's operations on either place ---- */

static mps_status place_read(mpy_place *place, mps_copy *copy)
{
    mpy_handle *h = place->h;
    mps_status st = MPS_OK;
    do {
        st = place->key == NULL ? mps_cell_get(h->seg, MPS_DOOR_GIL, h->off, copy)
                                : place->in->get(h->seg, MPS_DOOR_GIL, h->off, place->key, copy);
    } while (st != MPS_OK && mpy_again(h, &st));
    return st;
}

static mps_status place_exchange(mpy_place *place, const mps_enc *expected, mps_enc *value)
{
    mpy_handle *h = place->h;
    mps_status st = MPS_OK;
    do {
        st = place->key == NULL ? mps_cell_exchange(h->seg, MPS_DOOR_GIL, h->off, expected, value)
                                : place->in->exchange(h->seg, MPS_DOOR_GIL, h->off, place->key, expected, value);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK && expected == NULL) {
        mpy_resized(h, 1);
    }
    return st;
}

static mps_status place_add(mpy_place *place, int64_t n, int64_t start, int64_t *sum)
{
    mpy_handle *h = place->h;
    bool new = false;
    if (place->key != NULL && mpy_watched(h)) {
        new = place->in->has(h->seg, MPS_DOOR_GIL, h->off, place->key) == MPS_E_NOTFOUND;
    }
    mps_status st = MPS_OK;
    do {
        st = place->key == NULL ? mps_cell_add(h->seg, MPS_DOOR_GIL, h->off, n, sum)
                                : place->in->add(h->seg, MPS_DOOR_GIL, h->off, place->key, n, start, sum);
    } while (mps_unlikely(st != MPS_OK) && mpy_again(h, &st));
    if (st == MPS_OK && mps_unlikely(new)) {
        mpy_resized(h, 1);
    }
    return st;
}

/* ---- one round: what was read, and what is expected to be there still ---- */

typedef struct round {
    mps_copy copy;
    mps_enc expected;
    bool found;
    PyObject *old;     /* the value, or what stands for it where there is none */
    PyObject *handles; /* keep what the copy refers to alive, so that no other object gets its place meanwhile */
} round_t;

static void round_done(round_t *r)
{
    mps_copy_done(&r->copy);
    Py_CLEAR(r->old);
    Py_CLEAR(r->handles);
}

/* Reads. absent: what stands for a value that is not there. 0, or -1 with an exception and nothing left to be done. */
static int round_read(round_t *r, mpy_place *place, PyObject *absent)
{
    r->old = r->handles = NULL;
    mps_copy_init(&r->copy);
    mps_status st = place_read(place, &r->copy);
    r->found = st == MPS_OK;
    if (r->found) {
        r->old = mpy_decode_keep(place->h, &r->copy, &r->handles);
        mpy_encode_copy(&r->copy, &r->expected);
    } else if (st == MPS_E_NOTFOUND) {
        r->old = Py_NewRef(absent);
    } else {
        mpy_fail(place->h, st, "read a value of a");
    }
    if (r->old == NULL) {
        round_done(r);
        return -1;
    }
    return 0;
}

/* Stores if nothing changed: 1; 0 to begin anew; -1. */
static int round_store(round_t *r, mpy_place *place, mps_enc *value)
{
    mps_status st = place_exchange(place, r->found ? &r->expected : NULL, value);
    if (st == MPS_OK) {
        return 1;
    }
    if (st == MPS_E_CHANGED || st == MPS_E_NOTFOUND) {
        return PyErr_CheckSignals() < 0 ? -1 : 0;
    }
    mpy_fail(place->h, st, "set a value of a");
    return -1;
}

typedef PyObject *change_function(PyObject *arg, PyObject *old);

/* Sets the value to change(arg, value): what it was set to. */
static PyObject *modify(mpy_place *place, change_function *change, PyObject *arg, PyObject *absent)
{
    for (;;) {
        round_t r;
        if (round_read(&r, place, absent) < 0) {
            return NULL;
        }
        mps_enc value;
        mpy_hold hold = {0};
        PyObject *new = change(arg, r.old);
        int done = new == NULL ? -1 : mpy_encode_value(place->h, new, &value, &hold);
        if (done == 0) {
            done = round_store(&r, place, &value);
        }
        mpy_hold_done(&hold);
        round_done(&r);
        if (done > 0) {
            return new;
        }
        Py_XDECREF(new);
        if (done < 0) {
            return NULL;
        }
    }
}

/* ---- steps ---- */

static PyObject *change_add(PyObject *n, PyObject *old)
{
    return PyNumber_Add(old, n);
}

static PyObject *change_call(PyObject *fn, PyObject *old)
{
    return PyObject_CallOneArg(fn, old);
}

/* Whether the number is one of the core's; NULL stands for `missing`. */
static bool as_int64(PyObject *number, int64_t missing, int64_t *n)
{
    if (number == NULL) {
        *n = missing;
        return true;
    }
    if (!PyLong_CheckExact(number)) {
        return false;
    }
    int overflow = 0;
    *n = PyLong_AsLongLongAndOverflow(number, &overflow);
    return overflow == 0;
}

/* With any numbers, or whatever else can be added. */
static PyObject *add_objects(mpy_place *place, PyObject *n, PyObject *start)
{
    PyObject *by = n == NULL ? PyLong_FromLong(1) : Py_NewRef(n);
    PyObject *absent = start == NULL ? PyLong_FromLong(0) : Py_NewRef(start);
    PyObject *made = by == NULL || absent == NULL ? NULL : modify(place, change_add, by, absent);
    Py_XDECREF(by);
    Py_XDECREF(absent);
    return made;
}

PyObject *mpy_step_add(mpy_place *place, PyObject *n, PyObject *start)
{
    int64_t by = 0;
    int64_t absent = 0;
    if (!as_int64(n, 1, &by) || !as_int64(start, 0, &absent)) {
        return add_objects(place, n, start);
    }
    int64_t sum = 0;
    mps_status st = place_add(place, by, absent, &sum);
    if (mps_likely(st == MPS_OK)) {
        return PyLong_FromLong(sum);
    }
    if (st == MPS_E_TYPE || st == MPS_E_EXISTS || st == MPS_E_OVERFLOW) {
        return add_objects(place, n, start);
    }
    return mpy_fail(place->h, st, "add to a value of a");
}

PyObject *mpy_step_compute(mpy_place *place, PyObject *fn, PyObject *absent)
{
    return modify(place, change_call, fn, absent);
}

/* Values whose bytes tell most often whether they are equal. */
static bool is_simple(PyObject *obj)
{
    return PyLong_CheckExact(obj) || PyUnicode_CheckExact(obj) || PyBytes_CheckExact(obj) || obj == Py_None ||
           PyBool_Check(obj);
}

/* 1 if the value was equal by its bytes and is set; 0 if it may still be equal; -1. */
static int exchange_bytes(mpy_place *place, PyObject *expected, mps_enc *value, mpy_hold *hold)
{
    mps_enc enc;
    if (!is_simple(expected)) {
        return 0;
    }
    if (mpy_encode_value(place->h, expected, &enc, hold) < 0) {
        return -1;
    }
    mps_status st = place_exchange(place, &enc, value);
    if (st == MPS_OK) {
        return 1;
    }
    if (st == MPS_E_CHANGED || st == MPS_E_NOTFOUND) {
        return 0;
    }
    mpy_fail(place->h, st, "set a value of a");
    return -1;
}

/* Compares as Python does, and sets what was compared: 1 done, 0 not equal, -1. */
static int exchange_equal(mpy_place *place, PyObject *expected, mps_enc *value)
{
    for (;;) {
        round_t r;
        if (round_read(&r, place, Py_None) < 0) {
            return -1;
        }
        int equal = r.found ? PyObject_RichCompareBool(r.old, expected, Py_EQ) : 0;
        int done = equal > 0 ? round_store(&r, place, value) : equal;
        round_done(&r);
        if (equal <= 0 || done != 0) {
            return done;
        }
    }
}

PyObject *mpy_step_compare_exchange(mpy_place *place, PyObject *expected, PyObject *replacement)
{
    mps_enc value;
    mpy_hold hold = {0};
    int done = mpy_encode_value(place->h, replacement, &value, &hold);
    if (done == 0) {
        done = exchange_bytes(place, expected, &value, &hold);
        if (done == 0) {
            done = exchange_equal(place, expected, &value);
        }
    }
    mpy_hold_done(&hold);
    return done < 0 ? NULL : PyBool_FromLong(done);
}

/* ---- arguments ---- */

static Py_ssize_t find_name(PyObject *name, const char *const *known)
{
    for (Py_ssize_t i = 0; known[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, known[i]) == 0) {
            return i;
        }
    }
    return -1;
}

bool mpy_step_args(const char *function, PyObject *const *args, Py_ssize_t n, PyObject *names, const char *const *known,
                   Py_ssize_t required, PyObject **all)
{
    Py_ssize_t most = 0;
    while (known[most] != NULL) {
        most++;
    }
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (n > most) {
        return mpy_count_args(function, n, required, most);
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        all[i] = args[i];
    }
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        Py_ssize_t place = find_name(name, known);
        if (place < 0 || all[place] != NULL) {
            PyErr_Format(PyExc_TypeError,
                         place < 0 ? "%s() got an unexpected keyword argument '%U'"
                                   : "%s() got multiple values for argument '%U'",
                         function, name);
            return false;
        }
        all[place] = args[n + i];
    }
    for (Py_ssize_t i = 0; i < required; i++) {
        if (all[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", function, known[i]);
            return false;
        }
    }
    return true;
}
