/* map.h -- what Map, MultiMap and SortedSet share. */
#ifndef MPY_MAP_H
#define MPY_MAP_H

#include "items.h"
#include "nodes.h"
#include "ordered.h"
#include "snap.h"
#include "tree.h"

/* ---- one key ---- */

/* 1 and a new reference; 0 if the key is not there; -1. */
int mpy_map_find(mpy_handle *h, PyObject *key, PyObject **value);
/* value NULL: of a SortedSet. 1 if the key is new, 0, -1. */
int mpy_map_put(mpy_handle *h, PyObject *key, PyObject *value);
/* Takes a key out: 1, and the value if asked for; 0 if it is not there; -1. */
int mpy_map_take(mpy_handle *h, PyObject *key, PyObject **value);
int mpy_map_contains(PyObject *self, PyObject *key);
Py_ssize_t mpy_map_length(PyObject *self);
PyObject *mpy_map_clear(PyObject *self, PyObject *unused);
/* get(key[, default]), pop(key[, default]), _rank(key, upper): the items before a bound of it. */
PyObject *mpy_map_get(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *mpy_map_pop(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *mpy_map_rank(PyObject *self, PyObject *const *args, Py_ssize_t n);

/* ---- one place ---- */

/* The item at an index (NULL: -1) as a pair, or the key of a SortedSet; taken out if asked for. IndexError. */
PyObject *mpy_map_item(mpy_handle *h, PyObject *index, bool take, const char *message);
/* peekitem(index=-1), popitem(index=-1). */
PyObject *mpy_map_peekitem(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names);
PyObject *mpy_map_popitem(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names);

/* ---- map_whole.c ---- */

/* _update(keys, values): sets all; values None for a SortedSet. */
PyObject *mpy_map_update(PyObject *self, PyObject *const *args, Py_ssize_t n);
/* _replace(keys, values, version): makes these the content if nothing has changed since; whether it did. */
PyObject *mpy_map_replace(PyObject *self, PyObject *const *args, Py_ssize_t n);
/* _take(keys): takes them out. */
PyObject *mpy_map_take_all(PyObject *self, PyObject *keys);
/* _range(what, minimum, inclusive, maximum, inclusive, start, stop, reverse, skip, limit): (items, items left, version,
 * place of the first). */
PyObject *mpy_map_range(PyObject *self, PyObject *const *args, Py_ssize_t n);
PyObject *mpy_map_keys(PyObject *self, PyObject *unused);
PyObject *mpy_map_values(PyObject *self, PyObject *unused);
PyObject *mpy_map_items(PyObject *self, PyObject *unused);
PyObject *mpy_map_iter(PyObject *self);
PyObject *mpy_map_reversed(PyObject *self, PyObject *unused);
PyObject *mpy_map_use_pool(PyObject *self, PyObject *pool);

#define MPY_MAP_ATTRIBUTES MPY_LOCK_ATTRIBUTE, MPY_NODES_ATTRIBUTES(offsetof(mps_tree, pool), MPS_TREE_NODE_BYTES)

#define MPY_MAP_SHARED                                                                                               \
    {"_rank", MPY_FUNCTION(mpy_map_rank), METH_FASTCALL,                                                             \
     "_rank($self, key, upper, /)\n--\n\nHow many items come before key, or (upper) before or with it."},            \
        {"_range", MPY_FUNCTION(mpy_map_range), METH_FASTCALL,                                                       \
         "_range($self, what, minimum, with_minimum, maximum, with_maximum, start, stop, reverse, skip, limit, /)\n" \
         "--\n\nItems of a range, how many more there are, a version of it all, and the place of the first."},       \
        {"_update", MPY_FUNCTION(mpy_map_update), METH_FASTCALL,                                                     \
         "_update($self, keys, values, /)\n--\n\nSet all of these, in one step."},                                   \
        {"_replace", MPY_FUNCTION(mpy_map_replace), METH_FASTCALL,                                                   \
         "_replace($self, keys, values, version, /)\n--\n\nMake these the content unless it has changed since; "     \
         "whether it was done."},                                                                                    \
        {"_take", mpy_map_take_all, METH_O, "_take($self, keys, /)\n--\n\nTake these keys out, in one step."},       \
        {"_use_pool", mpy_map_use_pool, METH_O,                                                                      \
         "_use_pool($self, pool, /)\n--\n\nTake nodes from a pool from now on."},                                    \
        {"clear", mpy_map_clear, METH_NOARGS, "clear($self, /)\n--\n\nTake everything out."},                        \
        {"__reversed__", mpy_map_reversed, METH_NOARGS,                                                              \
         "__reversed__($self, /)\n--\n\nAn iterator over the keys, the last first."}

#endif
