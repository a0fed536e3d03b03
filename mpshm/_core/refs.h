/* refs.h -- what this process refers to, and handles on their way between processes.
 *
 * A process counts one reference on each object it has handles on, however many. In the segment: an entry of its slot's table
 * (so that a dead process's references can be taken back). In private memory: a hash map from offset to the number of
 * handles and the entry's index, under seg->mutex; 0 <-> 1 happens under the references' guard as well.
 *
 * A pickled handle leaves a token: a small block in a list at root->tokens that counts one reference, until the first
 * unpickling takes it over or the segment ends.
 *
 *   token:  | id : 64 | object : 64 | serial : 64 | next : 64 | prev : 64 |      id: unique 24 bits << 40 | offset / 16
 */
#ifndef MPS_REFS_H
#define MPS_REFS_H

#include "object.h"

typedef struct mps_token {
    uint64_t id;     /* what the handle carries; never 0 */
    uint64_t object; /* offset */
    uint64_t serial; /* the object's */
    uint64_t next;   /* offset of the next token; 0 last */
    uint64_t prev;   /* offset of the one before; 0 first */
} mps_token;

_Static_assert(sizeof(mps_token) == 40, "stored");

/* A new object of this process: content zero, refs 1. An operation of its own. */
mps_status mps_object_new(mps_seg *seg, mps_door door, uint32_t kind, uint64_t nbytes, mps_off *off, uint64_t *serial);
/* Takes a reference for a handle that came as (off, serial, token): MPS_E_STALE when the object is gone. An operation of its own. */
mps_status mps_ref_attach(mps_seg *seg, mps_door door, mps_off off, uint64_t serial, uint64_t token);
/* One more handle on an object this process refers to already: false when it does not. No operation, no wait. */
bool mps_ref_again(mps_seg *seg, mps_off off);
/* Inside an operation that knows the object is alive (it holds the guard of a container that refers to it). Counts even if the
 * operation is aborted afterwards; the caller then calls mps_ref_drop after its end. */
mps_status mps_ref_adopt(mps_tx *tx, mps_off off);
/* Where the segment may not be written to: a handle on an object that looks like one now, which nothing keeps alive. */
mps_status mps_ref_look(mps_seg *seg, mps_off off);
/* There too: whether the object that this process has handles on at off is still the same. */
bool mps_ref_is_same(mps_seg *seg, mps_off off);
/* A handle is gone. An operation of its own when it was the last. */
void mps_ref_drop(mps_seg *seg, mps_door door, mps_off off);
/* A token for a handle on its way. An operation of its own. */
mps_status mps_token_leave(mps_seg *seg, mps_door door, mps_off off, uint64_t *token);

/* The hooks of slots.h: the child's table at a fork; all over again in a new slot. */
mps_status mps_refs_fork_copy(mps_seg *seg, uint32_t child);
void mps_refs_rejoin(mps_seg *seg);
/* Private memory. */
mps_status mps_refs_open(mps_seg *seg);
void mps_refs_close(mps_seg *seg);
/* Changes of what this process refers to so far. */
uint64_t mps_refs_version(mps_seg *seg);

/* For recovery and for leaving: drops the references of the slot bound to tx, a bounded number at a time; *done when none is left. */
mps_status mps_refs_drop_some(mps_tx *tx, mps_slot_body *body, bool *done);

/* ---- on a frozen segment ---- */
mps_status mps_refs_visit(mps_seg *seg, mps_slot_body *body, mps_visit *v);
mps_status mps_tokens_visit(mps_seg *seg, mps_visit *v);

#endif
