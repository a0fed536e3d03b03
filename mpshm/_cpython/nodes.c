/* nodes.c -- which pool a container of nodes has. */
#include "nodes.h"

#include "pool.h"

PyObject *mpy_nodes_use(PyObject *self, PyObject *pool, mpy_pool_user *use)
{
    mpy_handle *h = mpy_handle_of(self);
    if (!mpy_is_kind(h->state, pool, MPS_KIND_POOL)) {
        return PyErr_Format(PyExc_TypeError, "a Pool, not %.200s", Py_TYPE(pool)->tp_name);
    }
    if (mpy_handle_of(pool)->seg != h->seg) {
        PyErr_SetString(PyExc_ValueError, "the pool belongs to another segment");
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        st = use(h->seg, MPS_DOOR_GIL, h->off, mpy_handle_of(pool)->off);
    } while (st != MPS_OK && mpy_again(h, &st));
    switch (st) {
    case MPS_OK: Py_RETURN_NONE;
    case MPS_E_EXISTS:
        PyErr_SetString(PyExc_ValueError, "the container has items or an allocator already");
        return NULL;
    case MPS_E_INVAL: PyErr_SetString(PyExc_ValueError, "the pool's nodes are too small"); return NULL;
    default: return mpy_fail(h, st, "set the allocator of a");
    }
}

PyObject *mpy_nodes_pool(PyObject *self, void *closure)
{
    mpy_handle *h = mpy_handle_of(self);
    const uint64_t *word = mps_region_at(&h->seg->region, h->off + (uintptr_t)closure);
    mps_off pool = 0;
    mps_status st = MPS_OK;
    do {
        st = mps_node_pool(h->seg, MPS_DOOR_GIL, mpy_object(h), word, &pool);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "look for the allocator of a");
    }
    return pool == 0 ? Py_NewRef(Py_None) : mpy_handle_wrap(h->state, h->seg, h->segment, pool);
}

PyObject *mpy_nodes_bytes(PyObject *self, void *closure)
{
    (void)self;
    return PyLong_FromSize_t((uintptr_t)closure);
}
