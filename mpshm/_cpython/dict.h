/* dict.h -- what Dict, its iterator, its read-modify-write steps and Namespace share. */
#ifndef MPY_DICT_H
#define MPY_DICT_H

#include "encode.h"

/* 1 and a new reference; 0 if the key is not there; -1. */
int mpy_dict_find(mpy_handle *h, PyObject *key, PyObject **value);
int mpy_dict_put(mpy_handle *h, PyObject *key, PyObject *value);
/* 1 if it was there, 0 if not, -1. */
int mpy_dict_remove(mpy_handle *h, PyObject *key);
/* The content at one moment as a builtin dict. */
PyObject *mpy_dict_snapshot(mpy_handle *h);
/* The methods _snapshot, keys, values and items. */
PyObject *mpy_dict_snapshot_method(PyObject *self, PyObject *unused);
PyObject *mpy_dict_keys(PyObject *self, PyObject *unused);
PyObject *mpy_dict_values(PyObject *self, PyObject *unused);
PyObject *mpy_dict_items(PyObject *self, PyObject *unused);
/* As dict.update: arg and kwds may be NULL. */
int mpy_dict_update(mpy_handle *h, PyObject *arg, PyObject *kwds);
/* Gives up a snapshot of which items [from, n) were not decoded. */
void mpy_snap_abandon(mpy_handle *h, mps_snap *snap, uint64_t from);
/* All items as a list; the snapshot is done with. */
PyObject *mpy_snap_list(mpy_handle *h, mps_snap *snap);

/* ---- iterators ---- */

/* An iterator over the keys as they are now. */
PyObject *mpy_dict_iter_new(mpy_handle *h, bool reverse);
/* Whether this process is iterating over this very dict: changes of its size have to be told to the iterators then. */
bool mpy_dict_watched_slow(const mpy_handle *h);
/* This process changed the size. */
void mpy_dict_resized_slow(const mpy_handle *h, int64_t by);

static inline bool mpy_dict_watched(const mpy_handle *h)
{
    return mps_unlikely(h->state->iterators != NULL) && mpy_dict_watched_slow(h);
}

static inline void mpy_dict_resized(const mpy_handle *h, int64_t by)
{
    if (mps_unlikely(h->state->iterators != NULL)) {
        mpy_dict_resized_slow(h, by);
    }
}

#endif
