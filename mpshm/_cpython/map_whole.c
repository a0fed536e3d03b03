/* map_whole.c -- Map, MultiMap and SortedSet as a whole: ranges and snapshots of them, and many items in one change. */
#include "map.h"

/* ---- in ---- */

/* Keys and values, encoded. */
typedef struct pairs {
    mpy_batch keys, values;
    bool has_values;
} pairs;

static void pairs_done(pairs *p)
{
    mpy_batch_done(&p->keys);
    if (p->has_values) {
        mpy_batch_done(&p->values);
    }
}

/* From two lists of one length, or a list and None. On failure, -1, there is nothing left to be done. */
static int pairs_make(pairs *p, mpy_handle *h, PyObject *keys, PyObject *values)
{
    p->has_values = values != Py_None;
    bool set = mps_load32(&mpy_object(h)->mortal.kind) == MPS_KIND_SORTED_SET;
    if (set == p->has_values) {
        PyErr_SetString(PyExc_TypeError, "keys have values, but for those of a SortedSet");
        return -1;
    }
    if (mpy_batch_make(&p->keys, h, mpy_own_items(keys, NULL), MPY_AS_ORDERED) < 0) {
        return -1;
    }
    if (!p->has_values) {
        return 0;
    }
    if (mpy_batch_make(&p->values, h, mpy_own_items(values, NULL), MPY_AS_VALUES) < 0) {
        mpy_batch_done(&p->keys);
        return -1;
    }
    if (p->keys.n == p->values.n) {
        return 0;
    }
    pairs_done(p);
    PyErr_SetString(PyExc_ValueError, "there must be as many values as keys");
    return -1;
}

/* Why the core refused the keys: the first that has no order among the others, or those that are there. */
static PyObject *fail_keys(mpy_handle *h, const pairs *p, mps_status st, const char *tried)
{
    if (st != MPS_E_TYPE || p->keys.n == 0) {
        return mpy_fail(h, st, tried);
    }
    PyObject **each = PySequence_Fast_ITEMS(p->keys.items);
    for (uint64_t i = 0; i < p->keys.n; i++) {
        uint64_t at = 0;
        if (mps_tree_rank(h->seg, MPS_DOOR_GIL, h->off, &p->keys.encs[i], MPS_BOUND_LOWER, &at) == MPS_E_TYPE) {
            return mpy_fail_order(h, each[i]);
        }
    }
    for (uint64_t i = 1; i < p->keys.n; i++) { /* they compare with those that are there, so not with each other */
        PyObject *less = PyObject_RichCompare(each[i], each[0], Py_LT);
        if (less == NULL) {
            return NULL;
        }
        Py_DECREF(less);
    }
    PyErr_SetString(PyExc_TypeError, "'<' not supported between the items of these keys");
    return NULL;
}

PyObject *mpy_map_update(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    pairs p;
    int64_t grown = 0;
    if (!mpy_count_args("_update", n, 2, 2) || pairs_make(&p, h, args[0], args[1]) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_tree_update(h->seg, MPS_DOOR_GIL, h->off, p.keys.encs, p.has_values ? p.values.encs : NULL, p.keys.n,
                             &grown);
    } while (st != MPS_OK && mpy_again(h, &st));
    PyObject *made = NULL;
    if (st == MPS_OK) {
        mpy_resized(h, grown);
        made = Py_NewRef(Py_None);
    } else {
        fail_keys(h, &p, st, "update a");
    }
    pairs_done(&p);
    return made;
}

PyObject *mpy_map_replace(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    pairs p;
    int64_t grown = 0;
    if (!mpy_count_args("_replace", n, 3, 3)) {
        return NULL;
    }
    unsigned long version = PyLong_AsUnsignedLong(args[2]);
    if ((version == (unsigned long)-1 && PyErr_Occurred()) || pairs_make(&p, h, args[0], args[1]) < 0) {
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = mps_tree_replace(h->seg, MPS_DOOR_GIL, h->off, p.keys.encs, p.has_values ? p.values.encs : NULL, p.keys.n,
                              (uint32_t)version, &grown);
    } while (st != MPS_OK && mpy_again(h, &st));
    PyObject *made = NULL;
    if (st == MPS_OK || st == MPS_E_CHANGED) {
        mpy_resized(h, st == MPS_OK ? grown : 0);
        made = PyBool_FromLong(st == MPS_OK);
    } else {
        fail_keys(h, &p, st, "change a");
    }
    pairs_done(&p);
    return made;
}

/* Encodes the keys that may be there. */
static int wanted_keys(mpy_handle *h, PyObject *keys, mps_enc *encs, uint64_t *n, mpy_hold *hold)
{
    PyObject **each = PySequence_Fast_ITEMS(keys);
    *n = 0;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(keys); i++) {
        mpy_orderly how = mpy_encode_wanted(h, each[i], &encs[*n], hold);
        if (how == MPY_ORDER_FAILED) {
            return -1;
        }
        *n += how == MPY_ORDERLY;
    }
    return 0;
}

PyObject *mpy_map_take_all(PyObject *self, PyObject *keys)
{
    mpy_handle *h = mpy_handle_of(self);
    PyObject *own = mpy_own_items(keys, NULL);
    if (own == NULL) {
        return NULL;
    }
    mpy_hold hold = {0};
    uint64_t n = 0;
    int64_t grown = 0;
    mps_enc *encs = PyMem_Malloc(((size_t)PySequence_Fast_GET_SIZE(own) + 1) * sizeof *encs);
    mps_status st = MPY_RAISED;
    if (encs == NULL) {
        PyErr_NoMemory();
    } else if (wanted_keys(h, own, encs, &n, &hold) == 0) {
        do {
            st = mps_tree_take(h->seg, MPS_DOOR_GIL, h->off, encs, n, &grown);
        } while (st != MPS_OK && mpy_again(h, &st));
    }
    mpy_hold_done(&hold);
    PyMem_Free(encs);
    Py_DECREF(own);
    if (st != MPS_OK) {
        return st == MPY_RAISED ? NULL : mpy_fail(h, st, "change a");
    }
    mpy_resized(h, grown);
    Py_RETURN_NONE;
}

PyObject *mpy_map_use_pool(PyObject *self, PyObject *pool)
{
    return mpy_nodes_use(self, pool, mps_tree_use_pool);
}

/* ---- out ---- */

/* Items i and i + 1 as a pair. */
static PyObject *decode_pair(mpy_handle *h, const mps_snap *snap, uint64_t i)
{
    PyObject *key = mpy_decode_item(h, snap, i);
    PyObject *value = mpy_decode_item(h, snap, i + 1);
    PyObject *pair = key == NULL || value == NULL ? NULL : PyTuple_New(2);
    if (pair == NULL) {
        Py_XDECREF(key);
        Py_XDECREF(value);
        return NULL;
    }
    PyTuple_SET_ITEM(pair, 0, key);
    PyTuple_SET_ITEM(pair, 1, value);
    return pair;
}

/* A snapshot as a list: of pairs if it is of both; the snapshot is done with. */
static PyObject *as_list(mpy_handle *h, unsigned what, mps_snap *snap)
{
    if (what != MPS_SNAP_BOTH) {
        return mpy_snap_list(h, snap);
    }
    PyObject *made = PyList_New((Py_ssize_t)(snap->n_items / 2));
    uint64_t i = 0;
    for (; made != NULL && i + 1 < snap->n_items; i += 2) {
        PyObject *pair = decode_pair(h, snap, i);
        if (pair == NULL) {
            Py_CLEAR(made);
        } else {
            PyList_SET_ITEM(made, (Py_ssize_t)(i / 2), pair);
        }
    }
    mpy_snap_abandon(h, snap, i);
    return made;
}

/* The items of a range: MPS_OK, or MPY_RAISED, or MPS_E_TYPE. */
static mps_status take_snapshot(mpy_handle *h, mps_tree_range *range, unsigned what, mps_snap *snap)
{
    mps_status st = MPS_OK;
    mps_snap_init(snap);
    do {
        st = mps_tree_snapshot(h->seg, MPS_DOOR_GIL, h->off, range, what, snap);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st == MPS_OK || st == MPS_E_TYPE) {
        return st;
    }
    mps_snap_done(snap);
    mpy_fail(h, st, "read a");
    return MPY_RAISED;
}

static PyObject *read_all(mpy_handle *h, const void *what)
{
    mps_tree_range all = {.limit = UINT64_MAX};
    mps_snap snap;
    unsigned of = *(const unsigned *)what;
    return take_snapshot(h, &all, of, &snap) == MPS_OK ? as_list(h, of, &snap) : NULL;
}

static PyObject *whole(PyObject *self, unsigned what)
{
    return mpy_read_whole(mpy_handle_of(self), read_all, &what);
}

PyObject *mpy_map_keys(PyObject *self, PyObject *unused)
{
    (void)unused;
    return whole(self, MPS_SNAP_KEYS);
}

PyObject *mpy_map_values(PyObject *self, PyObject *unused)
{
    (void)unused;
    return whole(self, MPS_SNAP_VALUES);
}

PyObject *mpy_map_items(PyObject *self, PyObject *unused)
{
    (void)unused;
    return whole(self, MPS_SNAP_BOTH);
}

static PyObject *iterate(PyObject *self, bool reverse)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_tree_range all = {.limit = UINT64_MAX};
    mps_snap snap;
    if (take_snapshot(h, &all, MPS_SNAP_KEYS, &snap) != MPS_OK) {
        return NULL;
    }
    bool set = mps_load32(&mpy_object(h)->mortal.kind) == MPS_KIND_SORTED_SET;
    return mpy_snap_iter_new(h, &snap, reverse,
                             set ? "Set changed size during iteration" : "dictionary changed size during iteration");
}

PyObject *mpy_map_iter(PyObject *self)
{
    return iterate(self, false);
}

PyObject *mpy_map_reversed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return iterate(self, true);
}

/* The bounds of _range: a key, unless `with` is None, and whether it belongs to the range. */
static int bound_of(mpy_handle *h, PyObject *key, PyObject *with, bool lower, mps_enc *enc, mps_bound *bound,
                    mpy_hold *hold)
{
    if (with == Py_None) {
        return 0;
    }
    int inside = PyObject_IsTrue(with);
    *bound = (inside != 0) == lower ? MPS_BOUND_LOWER : MPS_BOUND_UPPER;
    return inside < 0 || mpy_encode_ordered(h, key, enc, hold) < 0 ? -1 : 1;
}

/* A number, or `missing` for None; beyond 64 bits the nearest. */
static int number_of(PyObject *obj, int64_t missing, int64_t *out)
{
    *out = missing;
    if (obj == Py_None) {
        return 0;
    }
    *out = PyNumber_AsSsize_t(obj, NULL);
    return *out == -1 && PyErr_Occurred() ? -1 : 0;
}

static PyObject *range_once(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mps_enc from;
    mps_enc to;
    mpy_hold hold = {0};
    int64_t what = 0;
    int64_t skip = 0;
    int64_t limit = 0;
    mps_tree_range r = {.by_index = true};
    mps_snap snap;
    if (!mpy_count_args("_range", n, 10, 10) || number_of(args[0], 1, &what) < 0 ||
        number_of(args[5], 0, &r.start) < 0 || number_of(args[6], INT64_MAX, &r.stop) < 0 ||
        number_of(args[8], 0, &skip) < 0 || number_of(args[9], INT64_MAX, &limit) < 0) {
        return NULL;
    }
    int reverse = PyObject_IsTrue(args[7]);
    int low = bound_of(h, args[1], args[2], true, &from, &r.from_bound, &hold);
    int high = low < 0 ? -1 : bound_of(h, args[3], args[4], false, &to, &r.to_bound, &hold);
    mps_status st = MPY_RAISED;
    if (reverse >= 0 && low >= 0 && high >= 0) {
        r.from = low > 0 ? &from : NULL;
        r.to = high > 0 ? &to : NULL;
        r.reverse = reverse != 0;
        r.skip = skip < 0 ? 0 : (uint64_t)skip;
        r.limit = limit < 0 ? 0 : (uint64_t)limit;
        st = take_snapshot(h, &r, (unsigned)what & MPS_SNAP_BOTH, &snap);
    }
    mpy_hold_done(&hold);
    if (st == MPS_E_TYPE) {
        mps_snap_done(&snap);
        return mpy_fail_order(h, low > 0 ? args[1] : args[3]);
    }
    uint32_t version = st == MPS_OK ? snap.seq : 0;
    PyObject *items = st == MPS_OK ? as_list(h, (unsigned)what & MPS_SNAP_BOTH, &snap) : NULL;
    return items == NULL ? NULL
                         : Py_BuildValue("(NKkK)", items, (unsigned long long)r.left, (unsigned long)version,
                                         (unsigned long long)r.first);
}

PyObject *mpy_map_range(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    unsigned tries = 0;
    PyObject *made = NULL;
    do {
        made = range_once(self, args, n);
    } while (mps_unlikely(made == NULL) && mpy_read_again(mpy_handle_of(self), &tries));
    return made;
}
