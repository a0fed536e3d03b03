/* text.h -- text or bytes that change in place: String.
 *
 *   object:  | mps_object | body : 64 | shape : 64 | small : 48 bytes |
 *             body   offset of a block with the characters; 0: they are in `small`
 *             shape  length in characters << 8 | MPS_TEXT_BYTES | width: bytes of a character, 1, 2 or 4 (0: a new, empty text)
 *
 * Text is stored in the narrowest width in which all that was put in fits; it becomes wider when something wider comes, and as narrow
 * as can be when it is replaced as a whole. The capacity is what the block has room for, MPS_TEXT_SMALL bytes without one.
 *
 * Invariant: length * width <= room. What lies behind it may be anything.
 *
 * Locking: as table.h; reads take no lock. Appending where there is room writes behind the end, then `shape`: one word, no journal. Other
 * changes in place are journaled, up to MPS_SPAN_LOGGED bytes of them; more is built aside and swung in. A block grows in place where the
 * neighbour is free.
 *
 * Costs: reading O(what is read), append O(what is appended) amortised, everything else O(n).
 */
#ifndef MPS_TEXT_H
#define MPS_TEXT_H

#include "object.h"
#include "vector.h" /* mps_slice */

#define MPS_TEXT_SMALL 48u /* bytes */
#define MPS_TEXT_BYTES 0x10u
#define MPS_TEXT_WIDTH 0x07u
#define MPS_TEXT_MAX ((uint64_t)1 << 44) /* characters */

typedef struct mps_text {
    mps_object object;
    uint64_t body;
    uint64_t shape;
    uint8_t small[MPS_TEXT_SMALL];
} mps_text;

_Static_assert(sizeof(mps_text) == 144, "stored");
_Static_assert(offsetof(mps_text, body) == 80, "stored");
_Static_assert(offsetof(mps_text, shape) == 88, "stored");
_Static_assert(offsetof(mps_text, small) == 96, "stored");

/* Characters in private memory: on their way in (heap NULL), or out. */
typedef struct mps_chars {
    const void *data;
    uint64_t n;     /* characters */
    uint32_t width; /* bytes of each: 1, 2 or 4 */
    bool bytes;
    uint32_t version; /* out: the guard's sequence */
    void *heap;       /* out: freed by mps_chars_done */
    uint64_t near[8]; /* what needs no heap */
} mps_chars;

void mps_chars_done(mps_chars *chars);

/* All of these are whole operations, off the text's, statuses as in table.h. Steps of slices are 1. */
mps_status mps_text_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* Characters that there is room for. */
mps_status mps_text_capacity(mps_seg *seg, mps_door door, mps_off off, uint64_t *n);
/* No lock. */
bool mps_text_is_bytes(mps_seg *seg, mps_off off);
/* A slice at one moment; mps_chars_done afterwards, whatever the answer. */
mps_status mps_text_read(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_chars *out);
/* Replaces a slice. */
mps_status mps_text_assign(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, const mps_chars *chars);
/* One character, its index may be negative, by others: MPS_E_RANGE where there is none. */
mps_status mps_text_set(mps_seg *seg, mps_door door, mps_off off, int64_t index, const mps_chars *chars);
/* At the end. */
mps_status mps_text_append(mps_seg *seg, mps_door door, mps_off off, const mps_chars *chars);
/* Makes this the whole content if the guard's sequence still is `version`: else MPS_E_CHANGED. */
mps_status mps_text_replace(mps_seg *seg, mps_door door, mps_off off, const mps_chars *chars, uint32_t version);
/* Makes this the whole content, and says whether it is bytes. */
mps_status mps_text_reset(mps_seg *seg, mps_door door, mps_off off, const mps_chars *chars);
/* Room for n characters of the present width. */
mps_status mps_text_reserve(mps_seg *seg, mps_door door, mps_off off, uint64_t n);
/* Gives back what memory is not in use, if there is room to move to. */
mps_status mps_text_trim(mps_seg *seg, mps_door door, mps_off off);

/* Kind hooks. */
mps_status mps_text_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_text_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
