/* cell.h -- one value behind a guard: Value, and the state of an object of a user's class.
 *
 *   object:  | mps_object | value : 16 |        all zero: None
 *
 * Locking as table.h; reads take no lock. Costs: O(1).
 */
#ifndef MPS_CELL_H
#define MPS_CELL_H

#include "value.h"

typedef struct mps_cell {
    mps_object object;
    mps_value value;
} mps_cell;

_Static_assert(sizeof(mps_cell) == 96, "stored");

mps_status mps_cell_get(mps_seg *seg, mps_door door, mps_off off, mps_copy *out);
mps_status mps_cell_set(mps_seg *seg, mps_door door, mps_off off, mps_enc *value);
/* Adds to a whole number: MPS_E_TYPE when it is none, MPS_E_OVERFLOW past 64 bits. */
mps_status mps_cell_add(mps_seg *seg, mps_door door, mps_off off, int64_t n, int64_t *sum);
/* Sets if the value is the same as expected: else MPS_E_CHANGED. */
mps_status mps_cell_exchange(mps_seg *seg, mps_door door, mps_off off, const mps_enc *expected, mps_enc *value);

/* Whether the value is the same as that. */
mps_status mps_cell_same(mps_seg *seg, mps_door door, mps_off off, const mps_enc *value, bool *same);

mps_status mps_cell_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_cell_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
