/* nodes.h -- containers that consist of nodes: the pool that these come from. */
#ifndef MPY_NODES_H
#define MPY_NODES_H

#include "handle.h"

/* Of the core, as mps_tree_use_pool. */
typedef mps_status mpy_pool_user(mps_seg *seg, mps_door door, mps_off off, mps_off pool);
/* _use_pool(pool): TypeError, ValueError. */
PyObject *mpy_nodes_use(PyObject *self, PyObject *pool, mpy_pool_user *use);
/* The attributes `_pool`, a handle or None, and `_node_bytes`. closure: where in the object the pool's offset is; bytes of a node. */
PyObject *mpy_nodes_pool(PyObject *self, void *closure);
PyObject *mpy_nodes_bytes(PyObject *self, void *closure);

#define MPY_NODES_ATTRIBUTES(where, nbytes)                                                                 \
    {"_pool", mpy_nodes_pool, NULL, "The pool that nodes come from, or None.", (void *)(uintptr_t)(where)}, \
    {                                                                                                       \
        "_node_bytes", mpy_nodes_bytes, NULL, "Bytes of a node.", (void *)(uintptr_t)(nbytes)               \
    }

#endif
