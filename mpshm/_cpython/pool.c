/* pool.c -- Pool: nodes of one size, for the containers that ask for them. Containers take nodes in the core; here it is made, looked at,
 * and asked to give back.
 */
#include "pool.h"

#include "handle.h"

static mps_status get_pool(mps_seg *seg, void *what, mps_off *off, uint64_t *serial)
{
    return mps_pool_get(seg, MPS_DOOR_GIL, what, off, serial);
}

static PyObject *pool_new(PyTypeObject *cls, PyObject *args, PyObject *kwds)
{
    (void)args;
    (void)kwds;
    return PyErr_Format(PyExc_TypeError, "cannot create '%s' instances; name it as a container's allocator",
                        cls->tp_name);
}

static PyObject *pool_for(PyObject *cls, PyObject *args)
{
    PyObject *segment;
    mps_pool_spec spec = {0};
    if (!PyArg_ParseTuple(args, "OIIIIII:_for", &segment, &spec.type, &spec.node_bytes, &spec.nodes_per_chunk,
                          &spec.max_free_chunks, &spec.overhead_percent, &spec.max_cached_nodes)) {
        return NULL;
    }
    mpy_state *state = mpy_state_of_type((PyTypeObject *)cls);
    return mpy_handle_make_by(state, (PyTypeObject *)cls, segment, get_pool, &spec);
}

/* The handle keeps the pool alive, and what it was asked for never changes. */
static PyObject *pool_spec(PyObject *self, void *closure)
{
    (void)closure;
    mpy_handle *h = mpy_handle_of(self);
    const mps_pool *p = mps_pool_at(h->seg, h->off);
    if (p == NULL) {
        return mpy_fail(h, MPS_E_CORRUPT, "look into a");
    }
    const mps_pool_spec *s = &p->spec;
    return Py_BuildValue("(IIIIII)", s->type, s->node_bytes, mps_load32(&p->per_chunk), s->max_free_chunks,
                         s->overhead_percent, s->max_cached_nodes);
}

static PyObject *pool_count(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_pool_stats s;
    mps_status st = MPS_OK;
    do {
        st = mps_pool_stats_get(h->seg, MPS_DOOR_GIL, h->off, &s);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "look into a");
    }
    return Py_BuildValue("(KKKKK)", (unsigned long long)s.chunks, (unsigned long long)s.nodes,
                         (unsigned long long)s.free, (unsigned long long)s.cached, (unsigned long long)s.free_chunks);
}

static PyObject *pool_free_chunks(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    unsigned long long all = 0;
    mps_status st = MPS_OK;
    do {
        uint64_t n = 0;
        st = mps_pool_trim_chunks(h->seg, MPS_DOOR_GIL, h->off, &n);
        all += n;
    } while (st != MPS_OK && mpy_again(h, &st));
    return st == MPS_OK ? PyLong_FromUnsignedLongLong(all) : mpy_fail(h, st, "give back the free chunks of a");
}

static PyObject *pool_cache(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_handle *h = mpy_handle_of(self);
    mps_status st = MPS_OK;
    do {
        st = mps_pool_flush_caches(h->seg, MPS_DOOR_GIL);
    } while (st != MPS_OK && mpy_again(h, &st));
    if (st != MPS_OK) {
        return mpy_fail(h, st, "give back the cache of a");
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(for_doc, "_for($type, segment, type, node_bytes, nodes_per_chunk, max_free_chunks, overhead_percent, "
                      "max_cached_nodes, /)\n--\n\nThe pool of a segment that is asked for, made if need be.");
PyDoc_STRVAR(pool_doc, "Nodes of one size in shared memory, for the containers that ask for them.");

static PyMethodDef pool_methods[] = {
    {"_for", pool_for, METH_VARARGS | METH_CLASS, for_doc},
    {"_count", pool_count, METH_NOARGS, "_count($self, /)\n--\n\nChunks, nodes, free and cached ones, free chunks."},
    {"deallocate_free_chunks", pool_free_chunks, METH_NOARGS,
     "deallocate_free_chunks($self, /)\n--\n\nGive chunks of which all nodes are free back to the segment; return how "
     "many."},
    {"deallocate_cache", pool_cache, METH_NOARGS,
     "deallocate_cache($self, /)\n--\n\nGive the nodes that this process has cached back to their pools."},
    {0},
};

static PyGetSetDef pool_getset[] = {
    {"_spec", pool_spec, NULL, "What was asked for.", NULL},
    {0},
};

static PyType_Slot pool_slots[] = {
    {Py_tp_doc, (void *)pool_doc},
    {Py_tp_new, (void *)pool_new},
    {Py_tp_methods, pool_methods},
    {Py_tp_getset, pool_getset},
    {0},
};

int mpy_pool_ready(PyObject *module, mpy_state *state)
{
    return mpy_handle_add(module, state, MPS_KIND_POOL, "mpshm._types.Pool", 0, pool_slots);
}
