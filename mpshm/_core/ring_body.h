/* ring_body.h -- inside a ring: words, chunks, messages. For ring*.c only.
 *
 *   head of a message:  | form : 8 | tag : 16 | 0 : 8 | length : 32 |
 *     WORD    length 8:  the second word of a number whose first is the tag
 *     VALUE   length 16: a plain value                     (value.h)
 *     DATA    length n:  what other values keep out of line, of the type that the tag says
 *     OWNED   length 16: a value that owns a block, or counts a reference
 *     END     length 0:  go on in the next chunk
 *
 * A dying chunk's cursor is the place of the first message still to be released; END is written behind the last one before.
 */
#ifndef MPS_RING_BODY_H
#define MPS_RING_BODY_H

#include "ring.h"

#define MPS_RING_UNIT 16u
#define MPS_RING_TENTATIVE ((uint64_t)1 << 63)
#define MPS_RING_MOST 0x7fffffffu /* items, and places */
#define MPS_RING_DYING 1u         /* flag of a chunk that was handed over to die */

enum {
    MPS_FORM_WORD = 1,
    MPS_FORM_VALUE = 2,
    MPS_FORM_DATA = 3,
    MPS_FORM_OWNED = 4,
    MPS_FORM_END = 5,
};

typedef struct mps_chunk {
    mps_mortal mortal; /* flags: MPS_RING_DYING */
    uint64_t next;     /* offset of the chunk after it; 0 none */
    uint32_t capacity; /* units; a message leaves room for an END behind it */
    uint32_t reserved;
    uint64_t reserved2;
    uint64_t messages[];
} mps_chunk;

_Static_assert(sizeof(mps_chunk) == 48, "stored");
_Static_assert(offsetof(mps_chunk, next) == 24, "stored");

static inline mps_ring *mps_ring_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static inline uint32_t mps_ring_items(uint64_t word)
{
    return (uint32_t)word;
}

static inline uint64_t mps_ring_place(uint64_t word)
{
    return (word >> 32) & MPS_RING_MOST;
}

static inline uint64_t mps_ring_word(uint32_t items, uint64_t place)
{
    return place << 32 | items;
}

/* Items put, but for one that may yet be undone. */
static inline uint32_t mps_ring_certain(uint64_t put)
{
    return mps_ring_items(put) - (uint32_t)(put >> 63);
}

/* The half of a word that is slept on. */
static inline uint32_t *mps_ring_futex(uint64_t *word)
{
    return (uint32_t *)(void *)word;
}

/* The chunk at off, when its first n units lie inside of the segment; else NULL. */
static inline mps_chunk *mps_chunk_at(mps_seg *seg, mps_off off, uint64_t n)
{
    if (mps_unlikely((off & 15) != 0 || off < seg->arena ||
                     !mps_region_holds(&seg->region, off, sizeof(mps_chunk) + n * MPS_RING_UNIT))) {
        return NULL;
    }
    return mps_region_at(&seg->region, off);
}

static inline uint64_t *mps_chunk_message(mps_chunk *chunk, uint64_t place)
{
    return &chunk->messages[place * 2];
}

static inline uint64_t mps_message_head(unsigned form, uint64_t tag, uint64_t nbytes)
{
    return nbytes << 32 | (tag & 0xffff) << 8 | form;
}

static inline unsigned mps_message_form(uint64_t head)
{
    return (unsigned)(head & 0xff);
}

static inline uint64_t mps_message_tag(uint64_t head)
{
    return (head >> 8) & 0xffff;
}

static inline uint64_t mps_message_bytes(uint64_t head)
{
    return head >> 32;
}

static inline uint64_t mps_message_units(uint64_t nbytes)
{
    return (8 + nbytes + MPS_RING_UNIT - 1) / MPS_RING_UNIT;
}

/* Whether a head can be a message's (END: no). */
static inline bool mps_message_sane(uint64_t head)
{
    uint64_t nbytes = mps_message_bytes(head);
    switch (mps_message_form(head)) {
    case MPS_FORM_WORD: return nbytes == 8;
    case MPS_FORM_VALUE:
    case MPS_FORM_OWNED: return nbytes == sizeof(mps_value);
    case MPS_FORM_DATA: return nbytes <= MPS_RING_INLINE;
    default: return false;
    }
}

/* Whether a value goes into the message with all that belongs to it. */
static inline bool mps_enc_in_message(const mps_enc *enc)
{
    return mps_likely(enc->data != NULL) ? enc->nbytes <= MPS_RING_INLINE && (enc->n_refs | enc->aux) == 0
                                         : mps_value_is_plain(enc->value);
}

/* ---- ring.c ---- */

/* Takes put_guard; *word: put, with nothing tentative about it. */
mps_status mps_ring_enter_put(mps_tx *tx, mps_ring *r, uint64_t *word);

/* ---- ring_check.c ---- */

/* All chunks go to limbo, with the messages between the two words; the ring refers to them no more. */
mps_status mps_ring_let_die(mps_tx *tx, mps_ring *r, uint64_t got, uint64_t put);

#endif
