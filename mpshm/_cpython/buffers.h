/* buffers.h -- large values without a copy: stored arrays, and the buffers that pickles leave out.
 *
 * In: the bytes go straight from their owner into a buffer of the segment (buffer.h of the core), outside of all locks; the
 * value refers to it. Out: up to MPS_BUFFER_LARGE bytes are copied; longer ones are pages mapped copy-on-write, the reader's own
 * to write to. A view is the shared memory itself, read-only.
 *
 * A Buffer, a Blob (a large bytes object that is looked at), and Pages are objects of the buffer protocol; each keeps what it shows
 * alive: whatever becomes of entry, container and segment, the bytes stay.
 *
 * NumPy is used as every program uses it, through its Python API and the array interface, so nothing is bound to a release of it,
 * and it is imported when the first array is met.
 */
#ifndef MPY_BUFFERS_H
#define MPY_BUFFERS_H

#include "encode.h"

/* The shortest buffer of a pickle that is stored apart, and the shortest bytearray: below it the copy costs less than an object. */
#define MPY_BUFFER_MIN 1024

/* Arrays of this process that have a mapping each at a time, further ones are copied: the system allows a process 65530 mappings, and takes it any
 * new memory when it has those. */
#define MPY_ALONE_MAX 16384u

/* A new Buffer in h's segment: *data is where its bytes go, before anybody else learns of it. */
PyObject *mpy_buffer_new(mpy_handle *h, uint64_t nbytes, const void *note, size_t note_bytes, void **data);
/* The same with a copy of those bytes. */
PyObject *mpy_buffer_of(mpy_handle *h, const void *from, uint64_t nbytes, const void *note, size_t note_bytes);
/* The bytes of a Buffer as a writable object of the caller's own. */
PyObject *mpy_buffer_own(mpy_handle *buffer);
/* The value that a Buffer stands for by its note: of the caller's own, or a view. */
PyObject *mpy_buffer_value(mpy_handle *buffer, bool view);
/* Raises what a status of reading one means: NULL. */
PyObject *mpy_buffer_fail(mpy_handle *buffer, mps_status st);
/* A memoryview of such a handle: a Buffer, or a Blob. */
PyObject *mpy_buffer_view(PyObject *buffer);
/* Whether the handle is one of these two. */
bool mpy_is_buffer(const mpy_state *state, PyObject *obj);

/* An array, or a bytearray, as a Buffer that hold keeps: 1, 0 when obj is none or has to be pickled, or -1. */
int mpy_encode_buffer(mpy_handle *h, PyObject *obj, mps_enc *enc, mpy_hold *hold);

/* ---- views.c: methods view() ---- */

PyObject *mpy_dict_view(PyObject *self, PyObject *key);
PyObject *mpy_map_view(PyObject *self, PyObject *key);
PyObject *mpy_list_view(PyObject *self, PyObject *index);
PyObject *mpy_deque_view(PyObject *self, PyObject *index);
PyObject *mpy_value_view(PyObject *self, PyObject *unused);

#define MPY_VIEW_TEXT                                                                                              \
    "\n--\n\nA read-only view on a stored array, bytes, bytearray or object with out-of-band buffers: the shared " \
    "memory\nitself, which stays as it is for as long as the view lives, whatever becomes of the entry."

/* ---- ndarray.c ---- */

#define MPY_NOTE_ARRAY 'A'
#define MPY_NOTE_BYTEARRAY 'B'

/* While there is such a reference to an array, nobody gets it to move its memory: its method resize() refuses, whatever it is told
 * about references and exported buffers. */
PyObject *mpy_array_pin(PyObject *array);
/* 1 with *made, a Buffer, 0 when the array has to be pickled, or -1. */
int mpy_array_store(mpy_handle *h, PyObject *array, PyObject **made);
/* The array behind a Buffer with a copy of its note. */
PyObject *mpy_array_load(mpy_handle *buffer, const uint8_t *note, uint64_t nbytes, bool view);
/* Whether the object is of NumPy's own type of arrays. */
bool mpy_is_array(mpy_state *state, PyObject *obj);

#endif
