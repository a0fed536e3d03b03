/* table_body.h -- inside a table: where the parts of its body are, and how a key is found. For table*.c only.
 *
 *   index slot:  | fragment : 32 - log2 | number : log2 |      number: 0 empty, 1 deleted, else entry number + 2
 *
 * A search begins at slot (hash mod 2^log2) and goes on to the next until it meets an empty one; the fragment, high bits of the
 * hash, spares most looks at entries. `deleted` in the body counts the index slots that are neither empty nor lead to an entry.
 * There always is an empty slot, since alive + deleted <= capacity < 2^log2; a search ends after 2^log2 steps whatever the bytes say.
 *
 * Expected probes at load a = 2/3: (1 + 1/(1-a))/2 = 2 for a key that is there, (1 + 1/(1-a)^2)/2 = 5 for one that is not
 * (Knuth, linear probing).
 */
#ifndef MPS_TABLE_BODY_H
#define MPS_TABLE_BODY_H

#include "table.h"

#define MPS_TABLE_LOG2_MIN 3u
#define MPS_TABLE_LOG2_MAX 31u
#define MPS_INDEX_EMPTY 0u
#define MPS_INDEX_DELETED 1u
#define MPS_INDEX_FIRST 2u /* entry 0 */

typedef struct mps_entry {
    mps_value key; /* tag EMPTY: a hole */
    mps_value value;
} mps_entry;

typedef struct mps_table_body {
    mps_mortal mortal; /* flags: log2, as in mps_table.body; cursor: entries [0, cursor) are still to be released */
    uint64_t deleted;  /* index slots marked deleted */
    uint32_t index[];
} mps_table_body;

_Static_assert(sizeof(mps_entry) == 32, "stored");
_Static_assert(sizeof(mps_table_body) == 32, "stored");

/* A body as one operation sees it. */
typedef struct mps_shape {
    mps_table_body *body; /* NULL: none yet */
    mps_entry *entries;
    uint64_t capacity; /* entries */
    uint32_t mask;     /* index slots - 1 */
    uint32_t log2;
    bool fresh; /* made by this operation: nobody sees it, so nothing in it is journaled */
} mps_shape;

/* Where a key is, or would go. */
typedef struct mps_found {
    mps_entry *entry;
    uint32_t number; /* of the entry */
    uint32_t slot;   /* of the index: that of the entry, or the one for a new entry */
    bool vacant;     /* not found: the slot is empty (else: deleted) */
    uint64_t hash;
} mps_found;

static inline uint64_t mps_table_capacity(uint32_t log2)
{
    return ((uint64_t)2 << log2) / 3;
}

static inline uint64_t mps_table_bytes(uint32_t log2)
{
    return sizeof(mps_table_body) + ((uint64_t)4 << log2) + mps_table_capacity(log2) * sizeof(mps_entry);
}

/* The parts of the body that mps_table.body names; false when it can't be one. */
static inline bool mps_table_shape(mps_seg *seg, uint64_t word, mps_shape *s)
{
    uint32_t log2 = (uint32_t)(word & 0xff);
    mps_off off = word >> 8;
    if (mps_unlikely(log2 - MPS_TABLE_LOG2_MIN > MPS_TABLE_LOG2_MAX - MPS_TABLE_LOG2_MIN || (off & 15) != 0 ||
                     off < seg->arena || !mps_region_holds(&seg->region, off, mps_table_bytes(log2)))) {
        return false;
    }
    s->body = mps_region_at(&seg->region, off);
    s->entries = (mps_entry *)(void *)(s->body->index + ((size_t)1 << log2));
    s->capacity = mps_table_capacity(log2);
    s->mask = (uint32_t)(((uint64_t)1 << log2) - 1);
    s->log2 = log2;
    s->fresh = false;
    return true;
}

static inline uint32_t mps_table_fragment(const mps_shape *s, uint64_t hash)
{
    return (uint32_t)(hash >> 32) & ~s->mask;
}

static inline uint64_t mps_table_hash(mps_seg *seg, mps_value key)
{
    if (mps_likely(mps_value_is_inline(key))) {
        return mps_value_hash(key, seg->seed);
    }
    return mps_value_tag(key) == MPS_TAG_ALIAS ? mps_alias_hash(seg, key) : mps_value_hash_far(key.w0, seg->seed);
}

#define MPS_HIT_STEPS 64u /* index slots that mps_table_hit looks at */

/* The entry of an inline key. This is the path that all the speed depends on: in the caller's own code, all in registers. NULL: *st is
 * MPS_E_NOTFOUND, or MPS_E_RETRY when it takes mps_table_lookup to know. */
__attribute__((always_inline)) static inline mps_entry *mps_table_hit(mps_seg *seg, const mps_table *t,
                                                                      const mps_enc *key, mps_status *st)
{
    mps_shape s;
    const uint64_t word = mps_load64(&t->body);
    *st = MPS_E_RETRY;
    if (mps_unlikely(key->data != NULL || !mps_table_shape(seg, word, &s))) {
        *st = word == 0 ? MPS_E_NOTFOUND : MPS_E_RETRY;
        return NULL;
    }
    const mps_value k = key->value;
    const uint64_t bits = mps_value_key_bits(k.w0), hash = mps_value_hash(k, seg->seed);
    const uint32_t mask = s.mask, fragment = mps_table_fragment(&s, hash);
    uint32_t i = (uint32_t)hash & mask;
    for (uint32_t left = MPS_HIT_STEPS; mps_likely(left > 0); left--, i = (i + 1) & mask) {
        uint32_t slot = mps_load32(&s.body->index[i]);
        uint32_t number = (slot & mask) - MPS_INDEX_FIRST;
        if (mps_likely((slot & ~mask) == fragment && number < s.capacity)) {
            mps_entry *e = &s.entries[number];
            mps_value stored = mps_value_load(&e->key);
            if (mps_likely(((stored.w0 ^ k.w0) & bits) == 0 && stored.w1 == k.w1)) {
                *st = MPS_OK;
                return e;
            }
            if (mps_unlikely(mps_value_tag(stored) == MPS_TAG_ALIAS)) {
                return NULL;
            }
        }
        if (slot == MPS_INDEX_EMPTY) {
            *st = MPS_E_NOTFOUND;
            return NULL;
        }
    }
    return NULL;
}

static inline uint64_t mps_table_used(uint64_t counts)
{
    return counts >> 32;
}

static inline uint64_t mps_table_alive(uint64_t counts)
{
    return (uint32_t)counts;
}

/* Takes the table's guard for a change, unless somebody else holds the user's lock. */
static inline mps_status mps_table_enter(mps_tx *tx, mps_table *t)
{
    mps_status st = mps_tx_lock(tx, &t->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &t->object.user) : st;
}

/* Puts a value in the place of an entry's. fresh: nobody sees the body yet. */
static inline mps_status mps_table_replace(mps_tx *tx, mps_table *t, bool fresh, mps_entry *e, const mps_enc *value)
{
    mps_value now, old = mps_value_load(&e->value);
    mps_status st = mps_enc_store(tx, value, &now);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    if (mps_unlikely(fresh)) {
        mps_store64(&e->value.w0, now.w0);
        mps_store64(&e->value.w1, now.w1);
        return mps_value_release(tx, old);
    }
    mps_tx_write_begin(tx, &t->object.guard);
    if (old.w0 != now.w0) {
        mps_tx_set(tx, &e->value.w0, now.w0);
    }
    mps_tx_set(tx, &e->value.w1, now.w1);
    return mps_value_release(tx, old);
}

/* ---- table_body.c ---- */

/* Finds any key: MPS_OK, MPS_E_NOTFOUND and the place for it, or MPS_E_RETRY when the index makes no sense. */
mps_status mps_table_seek(mps_seg *seg, const mps_shape *s, const mps_enc *key, mps_found *f);
/* The table's body, and the key in it: as mps_table_seek. */
mps_status mps_table_find(mps_seg *seg, const mps_table *t, const mps_enc *key, mps_shape *s, mps_found *f);
/* The same under the guard, where nonsense is MPS_E_CORRUPT. */
mps_status mps_table_lookup(mps_seg *seg, const mps_table *t, const mps_enc *key, mps_shape *s, mps_found *f);

/* Under the guard, its sequence odd. */

/* Builds a body for at least that many entries, those alive in it, and swings it in. */
mps_status mps_table_rebuild(mps_tx *tx, mps_table *t, mps_shape *s, uint64_t entries);
/* Adds an entry for a key that mps_table_lookup did not find. */
mps_status mps_table_insert(mps_tx *tx, mps_table *t, mps_shape *s, mps_found *f, const mps_enc *key,
                            const mps_enc *value);
/* Takes an entry out, releasing key and value. */
mps_status mps_table_take(mps_tx *tx, mps_table *t, mps_shape *s, const mps_found *f);
/* Gives memory back when little of the body is in use; that there is none to be had for the smaller one does no harm. */
mps_status mps_table_fit(mps_tx *tx, mps_table *t, mps_shape *s);
/* Both. */
mps_status mps_table_erase(mps_tx *tx, mps_table *t, mps_shape *s, const mps_found *f);
/* Takes out all entries but those wanted[number] says, n of them, building a new body: also in a full segment. */
mps_status mps_table_keep(mps_tx *tx, mps_table *t, mps_shape *s, const uint8_t *wanted, uint64_t n);
/* The place of the last entry alive: MPS_E_NOTFOUND. */
mps_status mps_table_last(mps_seg *seg, const mps_table *t, mps_shape *s, mps_found *f);

/* ---- table.c ---- */

/* Hands the body over to die: its entries [0, used) are released a few at a time, after the operation. */
mps_status mps_table_empty(mps_tx *tx, mps_table *t);

#endif
