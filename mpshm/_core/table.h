/* table.h -- the hash table behind Dict, Set and Namespace: insertion-ordered, read without locks.
 *
 *   object:  | mps_object | body : 64 | counts : 64 |
 *             body     offset of the body << 8 | log2 of its index slots;  0: no body yet (empty)
 *             counts   entries used << 32 | entries alive
 *   body:    | mortal | deleted : 64 | index : 4 bytes x 2^log2 | entries : 32 bytes x capacity |
 *             capacity = 2^log2 * 2 / 3
 *   index:   0 empty, 1 deleted, else (entry number + 2) in the low log2 bits, high bits of the hash above
 *   entry:   | key : 16 | value : 16 |        a hole has key tag EMPTY
 *
 * Invariants: alive <= used <= capacity; every entry alive is found from its hash by linear probing before an empty index
 * slot; entries [used, capacity) are not reachable and may hold anything.
 *
 * Locking: changes under object.guard, in one operation; a body is never changed in its shape: growth and compaction build
 * a new one aside and swing `body` with one store, the old one dies in limbo. Readers follow nothing that they have not
 * bounded: body, log2 and entry numbers are checked against the region, and the sequence tells whether to believe.
 *
 * Costs: get and set O(1) expected, at most one probe sequence; insertion amortised O(1), one in n copies the table.
 */
#ifndef MPS_TABLE_H
#define MPS_TABLE_H

#include "value.h"

typedef struct mps_table {
    mps_object object;
    uint64_t body;   /* offset << 8 | log2 of index slots; 0 none */
    uint64_t counts; /* used << 32 | alive */
} mps_table;

_Static_assert(sizeof(mps_table) == 96, "stored");

/* One copied item of a snapshot: key and value (what was asked for), data in the snapshot's own buffer. */
typedef struct mps_item {
    mps_value value;
    uint64_t data; /* offset of its bytes in snap->bytes; meaningful when out of line */
    uint64_t nbytes;
    uint32_t n_refs; /* offsets of objects at data, 8 bytes each, before the bytes; this process refers to them now */
    uint32_t aux;
} mps_item;

typedef struct mps_snap {
    mps_item *items;
    uint64_t n_items, item_capacity;
    uint8_t *bytes;
    uint64_t n_bytes, byte_capacity;
    uint32_t seq; /* of the guard: the version that was copied */
} mps_snap;

void mps_snap_init(mps_snap *snap);
void mps_snap_done(mps_snap *snap);
/* Drops the local counts of references in items [from, n_items) (of which no handle was made). */
void mps_snap_drop_refs(mps_seg *seg, mps_door door, mps_snap *snap, uint64_t from);
/* For one who reads without the guard and has copied the same twice, n items from `from` on each time: the second ones go; MPS_E_RETRY
 * where st is MPS_OK and they were not what the first are. */
mps_status mps_snap_halve(mps_tx *tx, mps_status st, mps_snap *snap, uint64_t from, uint64_t n);
/* Room for that many more items; their number is bounded by what is in the segment. */
mps_status mps_snap_room(mps_snap *snap, uint64_t more);
/* Appends a copy of a stored value, under the guard. */
mps_status mps_snap_add(mps_tx *tx, mps_snap *snap, mps_value v);
/* The item as a copy that borrows the snapshot's memory. */
void mps_snap_item(const mps_snap *snap, uint64_t i, mps_copy *out);

enum { MPS_SNAP_KEYS = 1, MPS_SNAP_VALUES = 2, MPS_SNAP_BOTH = 3 }; /* BOTH: key, value, key, value, ... */

/* All of these are whole operations. off: the table's offset (this process refers to it). Any of them: MPS_E_CLOSED,
 * MPS_E_CORRUPT, MPS_E_NOMEM; changes: MPS_E_FULL, and MPS_E_BUSY when another holds object.user (mps_userlock_wait, then again). */
mps_status mps_table_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* A copy of the value, without a lock where possible: MPS_E_NOTFOUND. */
mps_status mps_table_get(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out);
/* MPS_OK or MPS_E_NOTFOUND. */
mps_status mps_table_has(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key);
mps_status mps_table_set(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value);
/* Sets unless the key is there: MPS_OK it was set; MPS_E_EXISTS and *out the value there is (out may be NULL). */
mps_status mps_table_setdefault(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, mps_enc *value, mps_copy *out);
/* Removes the key; out (may be NULL) gets the value: MPS_E_NOTFOUND. */
mps_status mps_table_pop(mps_seg *seg, mps_door door, mps_off off, const mps_enc *key, mps_copy *out);
/* Removes the entry inserted last: MPS_E_NOTFOUND when empty. */
mps_status mps_table_pop_last(mps_seg *seg, mps_door door, mps_off off, mps_copy *key, mps_copy *value);
/* If the value of key is the same as expected (NULL: there is none), sets it to value (NULL: removes it); else MPS_E_CHANGED. */
mps_status mps_table_exchange(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, const mps_enc *expected,
                              mps_enc *value);
/* Adds n to a whole number, or sets start + n: MPS_E_TYPE when it is none, MPS_E_OVERFLOW past 64 bits; nothing done then. */
mps_status mps_table_add(mps_seg *seg, mps_door door, mps_off off, mps_enc *key, int64_t n, int64_t start,
                         int64_t *sum);
/* Sets n pairs, all or none. */
mps_status mps_table_update(mps_seg *seg, mps_door door, mps_off off, mps_enc *keys, mps_enc *values, uint64_t n);
/* A Set, which is a table whose values are None, and n keys: in one change. A key given twice counts once. *grown: by how much its size
 * changed. */
typedef enum mps_combine {
    MPS_COMBINE_ASSIGN, /* only the keys given */
    MPS_COMBINE_ADD,    /* all keys of both */
    MPS_COMBINE_TAKE,   /* only those that are not given */
    MPS_COMBINE_KEEP,   /* only those that are given */
    MPS_COMBINE_TOGGLE, /* those that are in one of both */
} mps_combine;
mps_status mps_table_combine(mps_seg *seg, mps_door door, mps_off off, mps_combine how, mps_enc *keys, uint64_t n,
                             int64_t *grown);
mps_status mps_table_clear(mps_seg *seg, mps_door door, mps_off off);
/* Copies everything as it is at one moment. */
mps_status mps_table_snapshot(mps_seg *seg, mps_door door, mps_off off, unsigned what, mps_snap *out);

/* Kind hooks. */
mps_status mps_table_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_table_body_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_table_visit(mps_seg *seg, mps_off off, mps_visit *v);
mps_status mps_table_body_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
