/* names.h -- objects by name: what programs that know nothing else of each other agree upon.
 *
 *   root->names  ->  mps_table of MPS_KIND_NAMES:  text -> reference on an object      (named instances)
 *                                                  bytes -> reference on an object     (the unique instance of a type)
 *
 * The table is made by the first who asks for it, and stays as long as the segment; root->names counts one reference on it, and
 * each process that has opened it another one until it leaves. It is none of the objects that mps_seg_stats counts.
 *
 * Invariants: a name refers to one object; an object is entered complete, so who finds it finds it whole. An object that a name refers to
 * lives on without any process.
 *
 * Locking: table.h's. While a thread holds the table's user lock (object.user), all others' changes and searches answer MPS_E_BUSY:
 * wait with mps_userlock_wait, then again. A process that may only read can't wait for that, and looks all the same (reader.h).
 *
 * Costs: enter, find, remove O(1) expected, of an inline name (up to 14 bytes) without an allocation; mps_names_of O(names).
 */
#ifndef MPS_NAMES_H
#define MPS_NAMES_H

#include "table.h"

/* The table, which this process refers to from now on: one count for the caller (mps_ref_drop), one that stays until the process
 * leaves the segment, so that opening it again costs next to nothing. MPS_E_NOTFOUND: there is none, and create is false. */
mps_status mps_names_open(mps_seg *seg, mps_door door, bool create, mps_off *names);
/* A name as a key: n ASCII characters, which stay the caller's until the operation is over. */
void mps_names_key(const mps_seg *seg, const char *text, uint64_t n, mps_enc *key);

/* Whole operations; names: what mps_names_open gave. */

/* Gives an object, which this process refers to, a name: MPS_E_EXISTS. */
mps_status mps_names_enter(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, mps_off object);
/* A new object, zero but for its head, and its name, in one step: MPS_E_EXISTS. Only the name refers to it. */
mps_status mps_names_construct(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, uint32_t kind, uint64_t nbytes,
                               mps_off *object);
/* The object of that name: MPS_E_NOTFOUND. refer: this process refers to it then; else it is there as long as its name. */
mps_status mps_names_find(mps_seg *seg, mps_door door, mps_off names, const mps_enc *key, bool refer, mps_off *object);
/* Takes the name away, and the object with it if nothing else refers to it: MPS_E_NOTFOUND. */
mps_status mps_names_remove(mps_seg *seg, mps_door door, mps_off names, const mps_enc *key);
/* The same if it is the name of that object: MPS_E_NOTFOUND otherwise. */
mps_status mps_names_remove_of(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, mps_off object);
/* The name of an object, the oldest if it has several: MPS_E_NOTFOUND. */
mps_status mps_names_of(mps_seg *seg, mps_door door, mps_off names, mps_off object, mps_copy *key);
/* Room for n names in all without another allocation of the table's. */
mps_status mps_names_reserve(mps_seg *seg, mps_door door, mps_off names, uint64_t n);

/* For check.h: the reference that the header counts. */
mps_status mps_names_visit(mps_seg *seg, mps_visit *v);

#endif
