/* value.h -- a stored value: sixteen bytes, tagged; longer ones own a block or count a reference.
 *
 *   byte  0        tag
 *   byte  1        text, bytes inline: length 0..14    numbers as keys: form of the original
 *   bytes 2..15    text, bytes inline: the bytes, zero padded
 *   bytes 2..7     numbers: 0
 *   bytes 4..7     out of line: hash, 32 bits (keys; 0 for values)
 *   bytes 8..15    numbers: payload (int64, or the bits of a double)     out of line: offset of a block or an object
 *
 *   block (out of line):  | length : 32 | aux : 32 | refs x 8 bytes | data ... |
 *          at most MPS_VALUE_BLOCK bytes of references and data, at most MPS_BLOCK_REFS references
 *   blob  (all others): an object of MPS_KIND_BLOB, immutable, shared by reference count:
 *          | object : 80 | length : 64 | aux : 64 | refs x 8 bytes | data ... |
 *
 * aux is the number of references (offsets of shared objects inside of a pickle) in the upper half and the tag's own in the
 * lower half of its 32 or 64 bits: for MPS_TAG_KEY and MPS_TAG_ALIAS the length of the canonical form with which data begins.
 *
 * Keys are canonical: equal keys have equal tag, hash and bytes, in every process. Whole numbers are INT (2**63 and beyond:
 * BIGINT), other floats FLOAT, and form says what the original was. Text is tagged by its width, the narrowest that fits.
 * Compound keys are KEY: canonical bytes, behind them a pickle of the original.
 *
 * Locking: a stored value belongs to its container and is read and changed under that one's rules. A blob's bytes never change, so
 * whoever counts a reference on it (a lane's hold) reads them without a guard.
 *
 * Costs: inline values O(1), no call; others one allocation, or one reference counted, and one copy.
 */
#ifndef MPS_VALUE_H
#define MPS_VALUE_H

#include "object.h"
#include "racy.h"

typedef struct mps_value {
    uint64_t w0;
    uint64_t w1;
} mps_value;

_Static_assert(sizeof(mps_value) == 16, "stored");

enum {
    MPS_TAG_EMPTY = 0, /* no value: a hole */
    MPS_TAG_NONE = 1,
    MPS_TAG_BOOL = 2, /* values only: as keys they are INT */
    MPS_TAG_INT = 3,
    MPS_TAG_FLOAT = 4,
    MPS_TAG_ASCII = 5, /* text whose characters are all below 128 */
    MPS_TAG_LATIN = 6, /* ... 256, one byte each */
    MPS_TAG_UCS2 = 7,  /* two bytes each */
    MPS_TAG_UCS4 = 8,
    MPS_TAG_BYTES = 9,
    MPS_TAG_BIGINT = 10, /* two's complement, little-endian; always out of line or inline like bytes */
    MPS_TAG_PACK = 11,   /* values only: a small container of plain values; inline like bytes */
    MPS_TAG_PICKLE = 12, /* out of line only */
    MPS_TAG_KEY = 13,    /* keys only, out of line only */
    MPS_TAG_REF = 14,    /* w1: offset of a shared object, counted */
    MPS_TAG_ALIAS = 15,  /* keys only, out of line only */
    MPS_TAG_KIND = 0x3f,
    MPS_TAG_BLOCK = 0x40, /* flag: w1 is a block of its own */
    MPS_TAG_BLOB = 0x80,  /* flag: w1 is a blob, counted */
};

#define MPS_TAG_FAR ((uint64_t)(MPS_TAG_BLOCK | MPS_TAG_BLOB))

/* What a key was before it became canonical (byte 1 of numbers). */
enum { MPS_FORM_PLAIN = 0, MPS_FORM_FLOAT = 1, MPS_FORM_TRUE_BOOL = 2, MPS_FORM_NEGATIVE_ZERO = 3 };

#define MPS_INLINE_MAX 14u
#define MPS_VALUE_BLOCK 4096u            /* bytes of data and references; more becomes a blob */
#define MPS_BLOCK_REFS 8u                /* references; more becomes a blob */
#define MPS_SPAN_MAX ((uint64_t)1 << 46) /* bytes of data in a blob */

typedef struct mps_block {
    uint32_t length; /* bytes of data */
    uint32_t aux;    /* references << 16 | the tag's own */
    uint64_t refs[]; /* offsets of objects, each counted; then data */
} mps_block;

typedef struct mps_blob {
    mps_object object;
    uint64_t length; /* bytes of data */
    uint64_t aux;    /* references << 32 | the tag's own */
    uint64_t refs[]; /* offsets of objects, each counted; then data */
} mps_blob;

_Static_assert(sizeof(mps_block) == 8, "stored");
_Static_assert(sizeof(mps_blob) == 96, "stored");
_Static_assert(offsetof(mps_blob, length) == 80, "stored");

/* A value on its way in: made by the binding in private memory, before any lock. */
typedef struct mps_enc {
    mps_value
        value; /* complete when inline or REF; else tag (without flags), form, and in keys the hash in bytes 4..7 */
    const void *data;    /* NULL: value is complete; else what goes out of line, valid until the operation ends */
    uint64_t nbytes;     /* of data */
    uint64_t hash;       /* the binding's own; tables hash value: its words when inline, else bytes 4..7 of w0 */
    const mps_off *refs; /* objects of the same segment that this process refers to; for REF: none, w1 is it */
    uint32_t n_refs;
    uint32_t aux; /* KEY, ALIAS: length of the canonical form */
    mps_off blob; /* prepared by mps_enc_prepare; 0 none */
} mps_enc;

/* A value on its way out: a copy in private memory, or a hold on a blob. mps_copy_init before, mps_copy_done after. */
typedef struct mps_copy {
    mps_value value;
    const uint8_t *data; /* of text, bytes, ...: inline ones too */
    uint64_t nbytes;
    const mps_off *refs; /* inside data's buffer: objects that this process refers to now, one local count each */
    uint32_t n_refs;
    uint32_t aux;
    uint8_t *heap; /* freed by done; NULL when small was enough */
    void *object;  /* what a large value was copied into at once (mps_door_make); dropped by done unless it is taken */
    uint64_t capacity;
    bool pin; /* of a large bytes object no copy is wanted, but a reference to its blob: value is a REF then */
    uint64_t small[34]; /* 272 bytes */
} mps_copy;

static inline unsigned mps_value_tag(mps_value v)
{
    return (unsigned)(v.w0 & MPS_TAG_KIND);
}

static inline bool mps_value_is_inline(mps_value v)
{
    return (v.w0 & MPS_TAG_FAR) == 0;
}

/* Whether the sixteen bytes are all there is to it: nothing to copy, to count or to free. */
static inline bool mps_value_is_plain(mps_value v)
{
    return (v.w0 & 0xff) <= MPS_TAG_PACK;
}

static inline mps_value mps_value_load(const mps_value *p)
{
    return (mps_value){mps_load64(&p->w0), mps_load64(&p->w1)};
}

static inline mps_value mps_value_int(int64_t n)
{
    return (mps_value){MPS_TAG_INT, (uint64_t)n};
}

/* Text or bytes of at most MPS_INLINE_MAX bytes. */
mps_value mps_value_short(unsigned tag, const void *data, uint64_t nbytes);

/* Hash of an inline key; of a number form does not count. */
static inline uint64_t mps_value_hash(mps_value v, uint64_t seed)
{
    unsigned tag = mps_value_tag(v);
    uint64_t w0 = tag <= MPS_TAG_FLOAT ? tag : v.w0;
    return mps_mix(v.w1 ^ 0x9e3779b97f4a7c15u ^ seed, w0 ^ 0xd1b54a32d192ed03u ^ (seed << 1));
}

/* Hash of a key out of line, from bytes 4..7 of its w0. */
static inline uint64_t mps_value_hash_far(uint64_t w0, uint64_t seed)
{
    return mps_mix((w0 >> 32) ^ 0x9e3779b97f4a7c15u ^ seed, 0xd1b54a32d192ed03u ^ (seed << 1));
}

/* ---- room ---- */

#define MPS_ROOM_LINK 4u /* entries for putting a value in its place */

/* Room in the journal for that many more entries: no call as long as the lane's own are enough. Whoever adds entries asks just
 * before; what stores, releases or copies a value asks for itself, and may have used up what was asked for before it. */
static inline mps_status mps_tx_reserve(mps_tx *tx, uint64_t entries)
{
    return mps_likely(mps_ctl_outer(tx->ctl) + entries <= MPS_OUTER) ? MPS_OK : mps_tx_room(tx, entries);
}

/* ---- in ---- */

/* Whether the sixteen bytes of enc.value can be stored as they are. */
static inline bool mps_enc_is_plain(const mps_enc *enc)
{
    return enc->data == NULL && mps_value_is_plain(enc->value);
}

/* Whether putting enc in stored's place changes the second word alone: one store, which needs no journal if it is all that an
 * operation changes, and which readers see wholly or not at all. */
static inline bool mps_enc_fits_word(const mps_enc *enc, mps_value stored)
{
    return enc->data == NULL && enc->value.w0 == stored.w0 && mps_value_is_plain(stored);
}

static inline bool mps_enc_is_large(const mps_enc *enc)
{
    return enc->data != NULL &&
           (enc->n_refs > MPS_BLOCK_REFS || enc->nbytes > MPS_VALUE_BLOCK - (uint64_t)enc->n_refs * 8);
}

/* Makes the blob of a large value: mps_enc_prepare. */
mps_status mps_enc_prepare_blob(mps_tx *tx, mps_enc *enc);

/* Before the operation's first lock: makes the blob of a large value and fills it outside of all guards (letting go of the
 * GIL while it copies much); the lane holds it. Does nothing for smaller values. A blob that was not prepared, as in
 * operations on many values, is made and filled by mps_enc_store. At most MPS_HOLDS an operation. */
static inline mps_status mps_enc_prepare(mps_tx *tx, mps_enc *enc)
{
    return mps_likely(!mps_enc_is_large(enc)) ? MPS_OK : mps_enc_prepare_blob(tx, enc);
}

/* After commit or abort: lets go of what mps_enc_prepare made and nobody stored. */
void mps_enc_forget(mps_tx *tx, mps_enc *enc);

/* mps_enc_store for what is not plain. */
mps_status mps_enc_store_far(mps_tx *tx, const mps_enc *enc, mps_value *out);

/* Inside the operation: the sixteen bytes to store, owning what they need; with room in the journal for MPS_ROOM_LINK entries more, if
 * there was before. */
static inline mps_status mps_enc_store(mps_tx *tx, const mps_enc *enc, mps_value *out)
{
    if (mps_likely(mps_enc_is_plain(enc))) {
        *out = enc->value;
        return MPS_OK;
    }
    mps_status st = mps_enc_store_far(tx, enc, out);
    return mps_likely(st == MPS_OK) ? mps_tx_reserve(tx, MPS_ROOM_LINK) : st;
}

/* Another value of the same content, owning what it needs. */
mps_status mps_value_clone(mps_tx *tx, mps_value v, mps_value *out);

/* mps_value_release for what is not plain. */
mps_status mps_value_release_far(mps_tx *tx, mps_value v);

/* Gives up what a stored value owns (frees its block, drops its reference) when the operation commits. */
static inline mps_status mps_value_release(mps_tx *tx, mps_value v)
{
    return mps_likely(mps_value_is_plain(v)) ? MPS_OK : mps_value_release_far(tx, v);
}

/* ---- out ---- */

static inline void mps_copy_init(mps_copy *copy)
{
    copy->value = (mps_value){0, 0};
    copy->data = NULL;
    copy->nbytes = 0;
    copy->refs = NULL;
    copy->n_refs = 0;
    copy->aux = 0;
    copy->heap = NULL;
    copy->object = NULL;
    copy->capacity = 0;
    copy->pin = false;
}

/* Frees the private memory of a copy. */
void mps_copy_free(mps_copy *copy);

static inline void mps_copy_done(mps_copy *copy)
{
    if (mps_unlikely(copy->heap != NULL || copy->object != NULL)) {
        mps_copy_free(copy);
    }
}

/* Drops the local counts that the copy holds (of a REF, and of refs) before done, where no handle was made of them. */
void mps_copy_drop_refs(mps_seg *seg, mps_door door, mps_copy *copy);

/* Copies inline text, bytes and numbers; false: v is none of these. */
static inline bool mps_copy_plain(mps_value v, mps_copy *copy)
{
    unsigned tag = (unsigned)(v.w0 & 0xff);
    copy->value = v;
    if (mps_likely(tag - 1u < MPS_TAG_FLOAT)) {
        return true;
    }
    copy->data = (const uint8_t *)&copy->value + 2;
    copy->nbytes = (v.w0 >> 8) & 0xff;
    return tag - MPS_TAG_ASCII <= MPS_TAG_PACK - MPS_TAG_ASCII && copy->nbytes <= MPS_INLINE_MAX;
}

/* mps_copy_racy for what is not plain. */
mps_status mps_copy_racy_far(mps_seg *seg, mps_value v, mps_copy *copy);

/* Copies without a lock: MPS_E_RETRY when the bytes make no sense (a change half done), when a reference or a blob has to be taken
 * under the lock. The caller validates its sequence afterwards; if that fails it calls mps_copy_drop_refs. */
static inline mps_status mps_copy_racy(mps_seg *seg, mps_value v, mps_copy *copy)
{
    return mps_likely(mps_copy_plain(v, copy)) ? MPS_OK : mps_copy_racy_far(seg, v, copy);
}

/* Copies under the container's guard; bytes that make no sense are MPS_E_CORRUPT. Of a blob only a hold is taken:
 * mps_copy_end does the rest. */
mps_status mps_copy_locked(mps_tx *tx, mps_value v, mps_copy *copy);

/* Ends an operation that made copies (NULL: none), with status st so far: commits or aborts, then copies the bytes of blobs, outside
 * of all guards (letting go of the GIL while it copies much). Answers st, or what failed at last; then nothing is copied. */
mps_status mps_copy_end(mps_tx *tx, mps_status st, mps_copy *copy, mps_copy *other);

/* ---- comparing ---- */

/* mps_value_equals for a key given out of line; tag and hash are compared too. */
bool mps_value_equals_far(mps_seg *seg, mps_value stored, const mps_enc *key);

/* Whether a stored ALIAS stands for the inline key given; racily. */
__attribute__((cold)) bool mps_alias_equals_near(mps_seg *seg, mps_value stored, mps_value key);
/* The hash of what a stored ALIAS stands for; anything when the bytes make no sense. */
uint64_t mps_alias_hash(mps_seg *seg, mps_value stored);
/* What an ALIAS that is given stands for: the key to look for. Points into the alias's data. */
void mps_alias_key(const mps_enc *alias, mps_enc *key);

/* What decides whether stored keys equal an inline one: these bits of w0, and w1. */
static inline uint64_t mps_value_key_bits(uint64_t w0)
{
    return (w0 & 0xff) <= MPS_TAG_FLOAT ? 0xff : UINT64_MAX;
}

/* Whether the stored key equals the key given, racily: offsets are bounded, a wrong answer is possible while somebody writes. */
static inline bool mps_value_equals(mps_seg *seg, mps_value stored, const mps_enc *key)
{
    if (key->data != NULL) {
        return mps_value_equals_far(seg, stored, key);
    }
    return ((stored.w0 ^ key->value.w0) & mps_value_key_bits(key->value.w0)) == 0 && stored.w1 == key->value.w1;
}

/* Whether a stored value is the same as the value given, byte by byte (references: the same object, or equal buffers). Under the
 * guard. */
bool mps_value_same(mps_seg *seg, mps_value stored, const mps_enc *enc);

/* ---- check ---- */

mps_status mps_value_visit(mps_seg *seg, mps_value v, mps_visit *visit);

/* ---- for value_copy.c and snapshots ---- */

/* Where the parts of a value out of line are: every offset and length bounded by the segment. */
typedef struct mps_span {
    const uint64_t *refs;
    const uint8_t *data;
    uint64_t nbytes; /* of data */
    uint32_t n_refs;
    uint32_t aux;
} mps_span;

/* False when the bytes make no sense. */
bool mps_value_span(mps_seg *seg, mps_value v, mps_span *span);
/* Refers to objects inside an operation: n offsets, *counted of them so far (also on failure). */
mps_status mps_refs_adopt(mps_tx *tx, const mps_off *refs, uint32_t n, uint32_t *counted);

/* Kind hooks of blobs. */
mps_status mps_blob_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_blob_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
