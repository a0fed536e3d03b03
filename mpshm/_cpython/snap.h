/* snap.h -- snapshots of a container's content: as a list, and to walk over. */
#ifndef MPY_SNAP_H
#define MPY_SNAP_H

#include "encode.h"

/* Gives up a snapshot of which items [from, n) were not decoded. */
void mpy_snap_abandon(mpy_handle *h, mps_snap *snap, uint64_t from);
/* All items as a list; the snapshot is done with. */
PyObject *mpy_snap_list(mpy_handle *h, mps_snap *snap);

/* ---- iterators ---- */

/* An iterator over the items, which takes the snapshot over. changed: what the RuntimeError says once this process has changed the
 * container's size; a string that stays. */
PyObject *mpy_snap_iter_new(mpy_handle *h, mps_snap *snap, bool reverse, const char *changed);
/* Whether this process is iterating over this very container: changes of its size have to be told to the iterators then. */
bool mpy_watched_slow(const mpy_handle *h);
/* This process changed the size. */
void mpy_resized_slow(const mpy_handle *h, int64_t by);

static inline bool mpy_watched(const mpy_handle *h)
{
    return mps_unlikely(h->state->iterators != NULL) && mpy_watched_slow(h);
}

static inline void mpy_resized(const mpy_handle *h, int64_t by)
{
    if (mps_unlikely(h->state->iterators != NULL)) {
        mpy_resized_slow(h, by);
    }
}

#endif
