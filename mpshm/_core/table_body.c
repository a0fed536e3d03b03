#include "table_body.h"

#define BATCH 16u /* entries whose index slots are fetched together */
#define SWEEP 8u  /* deleted slots that one deletion may make empty */
#define ROOM_INSERT 16u
#define ROOM_ERASE (SWEEP + 8u)
#define SHRINK_LOG2 6u /* bodies up to this size are kept */

/* ---- finding ---- */

/* Whether a stored key is the one given, the hash being the same. */
static bool equals(mps_seg *seg, mps_value stored, const mps_enc *key)
{
    if (key->data != NULL) {
        return mps_value_equals_far(seg, stored, key);
    }
    const uint64_t bits = mps_value_key_bits(key->value.w0);
    return (((stored.w0 ^ key->value.w0) & bits) == 0 && stored.w1 == key->value.w1) ||
           (mps_value_tag(stored) == MPS_TAG_ALIAS && mps_alias_equals_near(seg, stored, key->value));
}

static mps_status seek(mps_seg *seg, const mps_shape *s, const mps_enc *key, uint64_t hash, mps_found *f)
{
    const uint32_t mask = s->mask, fragment = mps_table_fragment(s, hash);
    uint32_t i = (uint32_t)hash & mask;
    f->hash = hash;
    f->vacant = true;
    for (uint64_t left = (uint64_t)mask + 1; left > 0; left--, i = (i + 1) & mask) {
        uint32_t slot = mps_load32(&s->body->index[i]);
        uint32_t number = (slot & mask) - MPS_INDEX_FIRST;
        if (slot == MPS_INDEX_EMPTY) {
            f->slot = f->vacant ? i : f->slot;
            return MPS_E_NOTFOUND;
        }
        if ((slot & ~mask) == fragment && number < s->capacity) {
            mps_entry *e = &s->entries[number];
            if (equals(seg, mps_value_load(&e->key), key)) {
                f->entry = e;
                f->number = number;
                f->slot = i;
                return MPS_OK;
            }
        }
        if (slot == MPS_INDEX_DELETED && f->vacant) {
            f->vacant = false;
            f->slot = i;
        }
    }
    return MPS_E_RETRY;
}

mps_status mps_table_seek(mps_seg *seg, const mps_shape *s, const mps_enc *key, mps_found *f)
{
    mps_enc stands_for;
    if (mps_unlikely(key->data != NULL && mps_value_tag(key->value) == MPS_TAG_ALIAS)) {
        mps_alias_key(key, &stands_for);
        key = &stands_for;
    }
    uint64_t hash = mps_likely(key->data == NULL) ? mps_value_hash(key->value, seg->seed)
                                                  : mps_value_hash_far(key->value.w0, seg->seed);
    return seek(seg, s, key, hash, f);
}

mps_status mps_table_find(mps_seg *seg, const mps_table *t, const mps_enc *key, mps_shape *s, mps_found *f)
{
    uint64_t word = mps_load64(&t->body);
    if (word == 0) {
        s->body = NULL;
        s->fresh = false;
        return MPS_E_NOTFOUND;
    }
    return mps_likely(mps_table_shape(seg, word, s)) ? mps_table_seek(seg, s, key, f) : MPS_E_RETRY;
}

__attribute__((flatten)) mps_status mps_table_lookup(mps_seg *seg, const mps_table *t, const mps_enc *key, mps_shape *s,
                                                     mps_found *f)
{
    mps_status st = mps_table_find(seg, t, key, s, f);
    return mps_likely(st != MPS_E_RETRY) ? st : MPS_E_CORRUPT;
}

/* ---- index ---- */

static void index_set(mps_tx *tx, const mps_shape *s, uint32_t slot, uint32_t value)
{
    uint32_t *p = &s->body->index[slot];
    if (!s->fresh) {
        mps_tx_log(tx, (const uint64_t *)(const void *)&s->body->index[slot & ~1u]);
    }
    mps_store32(p, value);
}

static void deleted_set(mps_tx *tx, const mps_shape *s, uint64_t n)
{
    if (s->fresh) {
        mps_store64(&s->body->deleted, n);
    } else {
        mps_tx_set(tx, &s->body->deleted, n);
    }
}

static void counts_set(mps_tx *tx, mps_table *t, const mps_shape *s, uint64_t used, uint64_t alive)
{
    uint64_t counts = used << 32 | alive;
    if (s->fresh) {
        mps_store64(&t->counts, counts); /* in the journal since the body was made */
    } else {
        mps_tx_set(tx, &t->counts, counts);
    }
}

/* ---- rebuilding ---- */

static uint32_t log2_for(uint64_t entries)
{
    uint32_t log2 = MPS_TABLE_LOG2_MIN;
    while (log2 <= MPS_TABLE_LOG2_MAX && mps_table_capacity(log2) < entries) {
        log2++;
    }
    return log2;
}

static mps_status make_body(mps_tx *tx, uint64_t entries, mps_shape *out)
{
    uint32_t log2 = log2_for(entries);
    if (log2 > MPS_TABLE_LOG2_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_off off = 0;
    mps_status st = mps_alloc(tx, mps_table_bytes(log2), &off);
    if (st != MPS_OK) {
        return st;
    }
    if (!mps_table_shape(tx->seg, off << 8 | log2, out)) {
        return MPS_E_CORRUPT;
    }
    mps_mortal *m = &out->body->mortal;
    mps_fresh64((uint64_t *)m, MPS_KIND_TABLE_BODY | (uint64_t)log2 << 32);
    mps_fresh64(&m->next, 0);
    mps_fresh64(&m->cursor, 0);
    mps_fresh64(&out->body->deleted, 0);
    mps_fresh_zero((uint64_t *)(void *)out->body->index, ((uint64_t)1 << log2) / 2);
    out->fresh = true;
    return MPS_OK;
}

static void index_add(const mps_shape *s, uint64_t hash, uint32_t number)
{
    uint32_t i = (uint32_t)hash & s->mask;
    while (mps_load32(&s->body->index[i]) != MPS_INDEX_EMPTY) {
        i = (i + 1) & s->mask;
    }
    uint32_t slot = mps_table_fragment(s, hash) | (number + MPS_INDEX_FIRST);
    __atomic_store_n(&s->body->index[i], slot, __ATOMIC_RELAXED);
}

/* Copies the entries alive, in their order (wanted not NULL: those it says); the answer is how many, or more than fit. */
static uint64_t copy_entries(mps_seg *seg, const mps_shape *from, uint64_t used, const mps_shape *to,
                             const uint8_t *wanted)
{
    uint64_t n = 0;
    for (uint64_t e = 0; e < used;) {
        uint64_t hashes[BATCH];
        uint32_t batch = 0;
        for (; e < used && batch < BATCH; e++) {
            mps_value key = mps_value_load(&from->entries[e].key);
            if (mps_value_tag(key) == MPS_TAG_EMPTY || (wanted != NULL && !wanted[e])) {
                continue;
            }
            if (n + batch >= to->capacity) {
                return UINT64_MAX;
            }
            mps_fresh_move(&to->entries[n + batch].key.w0, &from->entries[e].key.w0, sizeof(mps_entry) / 8);
            hashes[batch] = mps_table_hash(seg, key);
            __builtin_prefetch(&to->body->index[(uint32_t)hashes[batch] & to->mask], 1);
            batch++;
        }
        for (uint32_t i = 0; i < batch; i++, n++) {
            index_add(to, hashes[i], (uint32_t)n);
        }
    }
    return n;
}

/* Builds a body for at least `entries`, in it the `expected` entries that wanted says (NULL: all), and swings it in. */
static mps_status rebuild(mps_tx *tx, mps_table *t, mps_shape *s, uint64_t entries, const uint8_t *wanted,
                          uint64_t expected)
{
    uint64_t counts = mps_load64(&t->counts), n = 0;
    mps_shape fresh;
    mps_status st = mps_tx_reserve(tx, ROOM_INSERT);
    if (st == MPS_OK) {
        st = make_body(tx, entries, &fresh);
    }
    if (st != MPS_OK) {
        return st;
    }
    if (s->body != NULL) {
        if (mps_table_used(counts) > s->capacity) {
            return MPS_E_CORRUPT;
        }
        n = copy_entries(tx->seg, s, mps_table_used(counts), &fresh, wanted);
    }
    if (n != expected) {
        return MPS_E_CORRUPT;
    }
    uint64_t off = mps_region_off(&tx->seg->region, fresh.body);
    mps_tx_set(tx, &t->body, off << 8 | fresh.log2);
    mps_tx_set(tx, &t->counts, n << 32 | n);
    mps_table_body *old = s->body;
    *s = fresh;
    return old != NULL ? mps_free(tx, mps_region_off(&tx->seg->region, old)) : MPS_OK;
}

mps_status mps_table_rebuild(mps_tx *tx, mps_table *t, mps_shape *s, uint64_t entries)
{
    return rebuild(tx, t, s, entries, NULL, mps_table_alive(mps_load64(&t->counts)));
}

mps_status mps_table_keep(mps_tx *tx, mps_table *t, mps_shape *s, const uint8_t *wanted, uint64_t n)
{
    const mps_entry *entries = s->entries; /* intact until the commit */
    uint64_t used = mps_table_used(mps_load64(&t->counts));
    tx->urgent = true;
    mps_status st = rebuild(tx, t, s, n + n / 2 + 4, wanted, n);
    tx->urgent = false;
    for (uint64_t i = 0; i < used && st == MPS_OK; i++) {
        mps_value key = mps_value_load(&entries[i].key);
        if (wanted[i] || mps_value_tag(key) == MPS_TAG_EMPTY) {
            continue;
        }
        st = mps_value_release(tx, key);
        if (st == MPS_OK) {
            st = mps_value_release(tx, mps_value_load(&entries[i].value));
        }
    }
    return st;
}

/* ---- adding ---- */

/* Makes room for one more entry where there is none. */
static mps_status grow(mps_tx *tx, mps_table *t, mps_shape *s, mps_found *f, const mps_enc *key)
{
    uint64_t alive = mps_table_alive(mps_load64(&t->counts));
    mps_status st = mps_table_rebuild(tx, t, s, alive + 1 + (alive + 1) / 2 + 4);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_table_seek(tx->seg, s, key, f);
    return st == MPS_E_NOTFOUND ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_table_insert(mps_tx *tx, mps_table *t, mps_shape *s, mps_found *f, const mps_enc *key,
                            const mps_enc *value)
{
    uint64_t counts = mps_load64(&t->counts);
    if (s->body == NULL || mps_table_used(counts) >= s->capacity ||
        (f->vacant && mps_table_alive(counts) + mps_load64(&s->body->deleted) >= s->capacity)) {
        mps_status st = grow(tx, t, s, f, key);
        if (st != MPS_OK) {
            return st;
        }
        counts = mps_load64(&t->counts);
    }
    mps_value k, v;
    mps_status st = mps_enc_store(tx, key, &k);
    if (st == MPS_OK) {
        st = mps_enc_store(tx, value, &v);
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, ROOM_INSERT);
    }
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    uint64_t number = mps_table_used(counts);
    mps_entry *e = &s->entries[number];
    mps_store64(&e->key.w0, k.w0);
    mps_store64(&e->key.w1, k.w1);
    mps_store64(&e->value.w0, v.w0);
    mps_store64(&e->value.w1, v.w1);
    if (!f->vacant) {
        deleted_set(tx, s, mps_load64(&s->body->deleted) - 1);
    }
    index_set(tx, s, f->slot, mps_table_fragment(s, f->hash) | ((uint32_t)number + MPS_INDEX_FIRST));
    counts_set(tx, t, s, number + 1, mps_table_alive(counts) + 1);
    return MPS_OK;
}

/* ---- taking out ---- */

/* Empties the index slot, with deleted ones before it, if the next one is empty: no search needs to go past it; else marks it. */
static void index_erase(mps_tx *tx, const mps_shape *s, uint32_t slot)
{
    uint64_t deleted = mps_load64(&s->body->deleted);
    if (mps_load32(&s->body->index[(slot + 1) & s->mask]) != MPS_INDEX_EMPTY) {
        index_set(tx, s, slot, MPS_INDEX_DELETED);
        deleted_set(tx, s, deleted + 1);
        return;
    }
    uint64_t before = deleted;
    index_set(tx, s, slot, MPS_INDEX_EMPTY);
    for (uint32_t i = 0; i < SWEEP && deleted > 0; i++) {
        slot = (slot - 1) & s->mask;
        if (mps_load32(&s->body->index[slot]) != MPS_INDEX_DELETED) {
            break;
        }
        index_set(tx, s, slot, MPS_INDEX_EMPTY);
        deleted--;
    }
    if (deleted != before) {
        deleted_set(tx, s, deleted);
    }
}

mps_status mps_table_take(mps_tx *tx, mps_table *t, mps_shape *s, const mps_found *f)
{
    uint64_t counts = mps_load64(&t->counts);
    uint64_t used = mps_table_used(counts), alive = mps_table_alive(counts);
    if (used > s->capacity || alive > used || f->number >= used) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_tx_reserve(tx, ROOM_ERASE);
    if (st != MPS_OK) {
        return st;
    }
    mps_value key = mps_value_load(&f->entry->key), value = mps_value_load(&f->entry->value);
    index_erase(tx, s, f->slot);
    mps_tx_set(tx, &f->entry->key.w0, MPS_TAG_EMPTY);
    if (f->number == used - 1) {
        /* Holes at the end are forgotten, so that taking the last one out again and again stays cheap. */
        while (used > 0 && mps_value_tag(mps_value_load(&s->entries[used - 1].key)) == MPS_TAG_EMPTY) {
            used--;
        }
    }
    alive--;
    counts_set(tx, t, s, used, alive);
    st = mps_value_release(tx, key);
    return st == MPS_OK ? mps_value_release(tx, value) : st;
}

mps_status mps_table_fit(mps_tx *tx, mps_table *t, mps_shape *s)
{
    uint64_t alive = mps_table_alive(mps_load64(&t->counts));
    if (mps_likely(s->log2 <= SHRINK_LOG2 || alive >= s->capacity / 8)) {
        return MPS_OK;
    }
    mps_status st = mps_table_rebuild(tx, t, s, alive + alive / 2 + 4);
    return st == MPS_E_FULL ? MPS_OK : st; /* it is a courtesy */
}

mps_status mps_table_erase(mps_tx *tx, mps_table *t, mps_shape *s, const mps_found *f)
{
    mps_status st = mps_table_take(tx, t, s, f);
    return mps_likely(st == MPS_OK) ? mps_table_fit(tx, t, s) : st;
}

/* The index slot that leads to an entry. */
static mps_status slot_of(const mps_shape *s, uint64_t hash, uint32_t number, uint32_t *slot)
{
    uint32_t wanted = mps_table_fragment(s, hash) | (number + MPS_INDEX_FIRST);
    uint32_t i = (uint32_t)hash & s->mask;
    for (uint64_t left = (uint64_t)s->mask + 1; left > 0; left--, i = (i + 1) & s->mask) {
        uint32_t found = mps_load32(&s->body->index[i]);
        if (found == wanted) {
            *slot = i;
            return MPS_OK;
        }
        if (found == MPS_INDEX_EMPTY) {
            break;
        }
    }
    return MPS_E_CORRUPT;
}

mps_status mps_table_last(mps_seg *seg, const mps_table *t, mps_shape *s, mps_found *f)
{
    uint64_t word = mps_load64(&t->body), counts = mps_load64(&t->counts);
    uint64_t used = mps_table_used(counts);
    if (word == 0 || mps_table_alive(counts) == 0) {
        return MPS_E_NOTFOUND;
    }
    if (!mps_table_shape(seg, word, s) || used > s->capacity) {
        return MPS_E_CORRUPT;
    }
    while (used > 0 && mps_value_tag(mps_value_load(&s->entries[used - 1].key)) == MPS_TAG_EMPTY) {
        used--;
    }
    if (used == 0) {
        return MPS_E_CORRUPT;
    }
    f->number = (uint32_t)(used - 1);
    f->entry = &s->entries[f->number];
    f->vacant = false;
    f->hash = mps_table_hash(seg, mps_value_load(&f->entry->key));
    return slot_of(s, f->hash, f->number, &f->slot);
}
