/* state.h -- what one copy of the module `mpshm._types` knows: its types, the face's classes, what Python lends it.
 *
 * There is one per module object, and the module works in the main interpreter only: what the core keeps per process
 * (attachments, the door to the GIL) can't belong to two. Every handle points to its module's state, so that
 * no operation has to look for it; the handle's type keeps the module alive.
 */
#ifndef MPY_STATE_H
#define MPY_STATE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "object.h"
#include "table.h"

/* Shared objects that Python has a type for: index kind - MPS_KIND_MAGIC. */
#define MPY_KINDS 40u

#define MPY_SPARE_BOUND 4u
#define MPY_DTYPES 8 /* whose texts are at hand */

/* What is called of NumPy: dtypes.py. */
enum {
    MPY_NUMPY_NDARRAY,
    MPY_NUMPY_EMPTY,
    MPY_NUMPY_COPYTO,
    MPY_NUMPY_TEXT_OF,
    MPY_NUMPY_DTYPE_OF,
    MPY_N_NUMPY,
};

struct mpy_snap_iter;
struct mpy_pickling;

typedef struct mpy_state {
    /* lent by configure() */
    PyObject *status_error;    /* (status, errno, tried, object) -> exception */
    PyObject *default_segment; /* () -> segment object */
    PyObject *reduce_handle;   /* (handle) -> tuple for pickle */
    PyObject *queue_errors[3]; /* Empty, Full, ShutDown: lent by the module queues */

    PyTypeObject *handle_type;
    PyTypeObject *object_lock_type;
    PyTypeObject *snap_iter_type;
    PyTypeObject *list_iter_type;
    PyTypeObject *sink_type;
    PyTypeObject *cursor_type;
    PyTypeObject *method_type; /* bound.h */
    PyTypeObject *bound_type;
    PyObject *spare_bound[MPY_SPARE_BOUND]; /* dead ones to be used again */
    unsigned n_spare_bound;
    PyTypeObject *pages_type;
    uint32_t n_alone;              /* of its objects that have a mapping each */
    PyTypeObject *pickler_type;    /* made when first needed */
    PyTypeObject *base[MPY_KINDS]; /* Dict, List, ... as C has them */
    PyTypeObject *face[MPY_KINDS]; /* and the subclasses that handles made by C are instances of */

    PyObject *loads;          /* pickle.loads; got when first needed, as what follows */
    PyObject *array_type;     /* array.array */
    PyObject *dispatch_table; /* copyreg.dispatch_table */
    PyObject *enum_type;      /* enum.Enum */
    PyObject *inner;          /* _types._inner: what a handle inside of a pickled value is rebuilt by */
    PyObject *inner_mark;     /* a bytearray: its buffers stand for handles in pickles */
    PyObject *spare_pickler;  /* kept for the next value, with its sink */
    PyObject *spare_sink;
    PyObject *numpy[MPY_N_NUMPY]; /* got when the first array is met */
    struct {
        PyObject *dtype, *text;
    } dtypes[MPY_DTYPES];
    unsigned next_dtype;
    PyObject *dtypes_by_text;

    PyObject *str_address, *str_buffers, *str_dump, *str_clear_memo, *str_keys, *str_reduce_ex, *str_qualname,
        *str_module, *str_name, *str_value, *str_take, *str_array_struct, *str_dtype, *str_itemsize, *str_c, *str_f;

    struct mpy_snap_iter *iterators; /* iterators over snapshots that are under way in this process */
    struct mpy_pickling *pickling;   /* values that are being pickled just now */
} mpy_state;

/* The state behind a type of ours or a subclass of one; never NULL for those. */
mpy_state *mpy_state_of_type(PyTypeObject *type);
mpy_state *mpy_state_of_module(PyObject *module);

/* One type of the module from its spec; also put into the module under its name when public. Steals nothing. */
PyTypeObject *mpy_type_add(PyObject *module, PyType_Spec *spec, PyTypeObject *base, bool public);

/* Each file makes its own types: 0, or -1 with an exception. Handle first. */
int mpy_bound_ready(PyObject *module, mpy_state *state);
void mpy_bound_clear(mpy_state *state);
int mpy_handle_ready(PyObject *module, mpy_state *state);
int mpy_dict_ready(PyObject *module, mpy_state *state);
int mpy_snap_ready(PyObject *module, mpy_state *state);
int mpy_list_ready(PyObject *module, mpy_state *state);
int mpy_list_iter_ready(PyObject *module, mpy_state *state);
int mpy_set_ready(PyObject *module, mpy_state *state);
int mpy_deque_ready(PyObject *module, mpy_state *state);
int mpy_map_ready(PyObject *module, mpy_state *state);
int mpy_sorted_set_ready(PyObject *module, mpy_state *state);
int mpy_value_ready(PyObject *module, mpy_state *state);
int mpy_namespace_ready(PyObject *module, mpy_state *state);
int mpy_lock_ready(PyObject *module, mpy_state *state);
int mpy_raw_ready(PyObject *module, mpy_state *state);
int mpy_raw_alloc_ready(PyObject *module, mpy_state *state);
int mpy_names_ready(PyObject *module, mpy_state *state);
int mpy_pool_ready(PyObject *module, mpy_state *state);
int mpy_adder_ready(PyObject *module, mpy_state *state);
int mpy_array_ready(PyObject *module, mpy_state *state);
int mpy_typed_ready(PyObject *module, mpy_state *state);
int mpy_linked_ready(PyObject *module, mpy_state *state);
int mpy_cursor_ready(PyObject *module, mpy_state *state);
int mpy_text_ready(PyObject *module, mpy_state *state);
int mpy_queue_ready(PyObject *module, mpy_state *state);
int mpy_event_ready(PyObject *module, mpy_state *state);
int mpy_sem_ready(PyObject *module, mpy_state *state);
int mpy_cond_ready(PyObject *module, mpy_state *state);
int mpy_barrier_ready(PyObject *module, mpy_state *state);
int mpy_window_ready(PyObject *module, mpy_state *state);
int mpy_buffer_ready(PyObject *module, mpy_state *state);
void mpy_numpy_clear(mpy_state *state);
int mpy_pickling_ready(PyObject *module, mpy_state *state);

static inline unsigned mpy_kind_index(uint32_t kind)
{
    return kind - MPS_KIND_MAGIC;
}

/* A function with keywords or fast arguments as the method tables want it. */
#define MPY_FUNCTION(f) ((PyCFunction)(void (*)(void))(f))

#endif
