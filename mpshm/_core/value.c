#include "value.h"

#include "buffer.h"

#define BLOB_STEP 16u   /* references of a blob that one operation counts or drops */
#define ROOM_ALLOC 12u  /* entries of one allocation, and of a new object */
#define ROOM_DECREF 5u  /* entries of one reference dropped, its object's death counted */
#define MUCH (1u << 20) /* bytes from which on copying lets go of the GIL */

mps_value mps_value_short(unsigned tag, const void *data, uint64_t nbytes)
{
    mps_assert(nbytes <= MPS_INLINE_MAX);
    mps_value v = {tag | nbytes << 8, 0};
    memcpy((uint8_t *)&v + 2, data, nbytes);
    return v;
}

/* ---- where the parts are ---- */

static bool block_span(mps_seg *seg, mps_off off, mps_span *span)
{
    const mps_block *block = mps_region_at(&seg->region, off);
    uint64_t head = mps_load64((const uint64_t *)block);
    uint32_t aux = (uint32_t)(head >> 32);
    span->nbytes = (uint32_t)head;
    span->n_refs = aux >> 16;
    span->aux = aux & 0xffff;
    span->refs = block->refs;
    span->data = (const uint8_t *)(block->refs + span->n_refs);
    uint64_t total = span->nbytes + (uint64_t)span->n_refs * 8;
    return total <= MPS_VALUE_BLOCK && mps_region_holds(&seg->region, off, sizeof(mps_block) + total);
}

static bool blob_span(mps_seg *seg, mps_off off, mps_span *span)
{
    if (!mps_region_holds(&seg->region, off, sizeof(mps_blob))) {
        return false;
    }
    const mps_blob *blob = mps_region_at(&seg->region, off);
    uint64_t aux = mps_load64(&blob->aux);
    span->nbytes = mps_load64(&blob->length);
    span->n_refs = (uint32_t)(aux >> 32);
    span->aux = (uint32_t)aux;
    span->refs = blob->refs;
    span->data = (const uint8_t *)(blob->refs + span->n_refs);
    return mps_load32(&blob->object.mortal.kind) == MPS_KIND_BLOB && span->nbytes <= MPS_SPAN_MAX &&
           mps_region_holds(&seg->region, off, sizeof(mps_blob) + (uint64_t)span->n_refs * 8 + span->nbytes);
}

bool mps_value_span(mps_seg *seg, mps_value v, mps_span *span)
{
    if ((v.w1 & 15) != 0 || v.w1 < seg->arena || !mps_region_holds(&seg->region, v.w1, sizeof(mps_block)) ||
        mps_value_tag(v) - MPS_TAG_ASCII > MPS_TAG_ALIAS - MPS_TAG_ASCII) {
        return false;
    }
    switch (v.w0 & MPS_TAG_FAR) {
    case MPS_TAG_BLOCK: return block_span(seg, v.w1, span);
    case MPS_TAG_BLOB: return blob_span(seg, v.w1, span);
    default: return false;
    }
}

/* ---- in ---- */

/* Fills the references and the data of a fresh block or blob. */
static void fill(uint64_t *refs, const mps_enc *enc)
{
    for (uint32_t i = 0; i < enc->n_refs; i++) {
        mps_fresh64(&refs[i], enc->refs[i]);
    }
    mps_fresh_copy(refs + enc->n_refs, enc->data, enc->nbytes);
}

static mps_status count_refs(mps_tx *tx, const mps_off *refs, uint32_t n)
{
    mps_status st = mps_tx_reserve(tx, n);
    for (uint32_t i = 0; i < n && st == MPS_OK; i++) {
        st = mps_object_incref(tx, refs[i]);
    }
    return st;
}

static mps_status store_block(mps_tx *tx, const mps_enc *enc, mps_value *out)
{
    mps_off off = 0;
    mps_status st = mps_tx_reserve(tx, ROOM_ALLOC);
    if (st == MPS_OK) {
        st = mps_alloc(tx, sizeof(mps_block) + (uint64_t)enc->n_refs * 8 + enc->nbytes, &off);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_block *block = mps_region_at(&tx->seg->region, off);
    uint64_t aux = (uint64_t)enc->n_refs << 16 | enc->aux;
    mps_fresh64((uint64_t *)block, aux << 32 | enc->nbytes);
    fill(block->refs, enc);
    *out = (mps_value){enc->value.w0 | MPS_TAG_BLOCK, off};
    return enc->n_refs == 0 ? MPS_OK : count_refs(tx, enc->refs, enc->n_refs);
}

/* A blob of an operation on many values: made and filled inside of it. */
static mps_status store_blob(mps_tx *tx, const mps_enc *enc, mps_off *off)
{
    if (enc->nbytes > MPS_SPAN_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, ROOM_ALLOC);
    }
    if (st == MPS_OK) {
        st = mps_object_make(tx, MPS_KIND_BLOB, sizeof(mps_blob) + (uint64_t)enc->n_refs * 8 + enc->nbytes, off);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_blob *blob = mps_region_at(&tx->seg->region, *off);
    mps_fresh64(&blob->length, enc->nbytes);
    mps_fresh64(&blob->aux, (uint64_t)enc->n_refs << 32 | enc->aux);
    fill(blob->refs, enc);
    return count_refs(tx, enc->refs, enc->n_refs);
}

mps_status mps_enc_store_far(mps_tx *tx, const mps_enc *enc, mps_value *out)
{
    if (enc->data == NULL) {
        if (mps_value_tag(enc->value) != MPS_TAG_REF || !mps_value_is_inline(enc->value)) {
            return MPS_E_INVAL;
        }
        *out = enc->value;
        return count_refs(tx, &enc->value.w1, 1);
    }
    if (!mps_enc_is_large(enc)) {
        return store_block(tx, enc, out);
    }
    mps_off off = enc->blob;
    mps_status st = off != 0 ? mps_hold_give(tx, off) : store_blob(tx, enc, &off);
    *out = (mps_value){enc->value.w0 | MPS_TAG_BLOB, off};
    return st;
}

/* Counts the references of a blob that the lane holds, a few at a time: each operation leaves as many as aux says. */
static mps_status prepare_refs(mps_tx *tx, mps_blob *blob, const mps_enc *enc)
{
    for (uint32_t done = 0; done < enc->n_refs;) {
        uint32_t n = (uint32_t)mps_min64(BLOB_STEP, enc->n_refs - done);
        mps_status st = count_refs(tx, enc->refs + done, n);
        if (st != MPS_OK) {
            mps_tx_abort(tx);
            return st;
        }
        done += n;
        mps_tx_set(tx, &blob->aux, (uint64_t)done << 32 | enc->aux);
        st = mps_tx_commit(tx);
        if (st != MPS_OK) {
            return st;
        }
    }
    return MPS_OK;
}

mps_status mps_enc_prepare_blob(mps_tx *tx, mps_enc *enc)
{
    if (enc->nbytes > MPS_SPAN_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_off off = 0;
    mps_status st = mps_hold_new(tx, MPS_KIND_BLOB, sizeof(mps_blob) + (uint64_t)enc->n_refs * 8 + enc->nbytes, &off);
    if (st != MPS_OK) {
        return st;
    }
    enc->blob = off;
    mps_blob *blob = mps_region_at(&tx->seg->region, off);
    mps_store64(&blob->length, enc->nbytes);
    mps_store64(&blob->aux, enc->aux);
    if (enc->nbytes >= MUCH) {
        mps_tx_leave(tx);
    }
    fill(blob->refs, enc);
    mps_tx_enter(tx);
    return prepare_refs(tx, blob, enc);
}

void mps_enc_forget(mps_tx *tx, mps_enc *enc)
{
    if (enc->blob != 0) {
        enc->blob = 0;
        mps_hold_drop(tx);
    }
}

/* ---- owning and giving up ---- */

mps_status mps_value_clone(mps_tx *tx, mps_value v, mps_value *out)
{
    *out = v;
    if (mps_value_is_plain(v)) {
        return MPS_OK;
    }
    if ((v.w0 & MPS_TAG_FAR) == MPS_TAG_BLOB || (mps_value_tag(v) == MPS_TAG_REF && mps_value_is_inline(v))) {
        return count_refs(tx, &v.w1, 1);
    }
    mps_span span;
    if (!mps_value_span(tx->seg, v, &span)) {
        return MPS_E_CORRUPT;
    }
    uint64_t words = 1 + span.n_refs + (span.nbytes + 7) / 8;
    mps_status st = mps_tx_reserve(tx, ROOM_ALLOC);
    if (st == MPS_OK) {
        st = mps_alloc(tx, words * 8, &out->w1);
    }
    if (st != MPS_OK || !mps_region_holds(&tx->seg->region, v.w1, words * 8)) {
        return st != MPS_OK ? st : MPS_E_CORRUPT;
    }
    mps_block *block = mps_region_at(&tx->seg->region, out->w1);
    mps_fresh_move((uint64_t *)block, mps_region_at(&tx->seg->region, v.w1), words);
    return span.n_refs == 0 ? MPS_OK : count_refs(tx, span.refs, span.n_refs);
}

mps_status mps_value_release_far(mps_tx *tx, mps_value v)
{
    bool ref = mps_value_tag(v) == MPS_TAG_REF && mps_value_is_inline(v);
    if (ref || (v.w0 & MPS_TAG_FAR) == MPS_TAG_BLOB) {
        mps_status st = mps_tx_reserve(tx, ROOM_DECREF);
        return st == MPS_OK ? mps_object_decref(tx, v.w1) : st;
    }
    mps_span span;
    if (!mps_value_span(tx->seg, v, &span)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_tx_reserve(tx, span.n_refs * ROOM_DECREF + 1);
    for (uint32_t i = 0; i < span.n_refs && st == MPS_OK; i++) {
        st = mps_object_decref(tx, mps_load64(&span.refs[i]));
    }
    return st == MPS_OK ? mps_free(tx, v.w1) : st;
}

mps_status mps_blob_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_blob *blob = (mps_blob *)m;
    uint64_t aux = mps_load64(&blob->aux);
    uint32_t n_refs = (uint32_t)(aux >> 32);
    if (n_refs > 0 && !mps_region_holds(&tx->seg->region, off, sizeof(mps_blob) + (uint64_t)n_refs * 8)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < BLOB_STEP && n_refs > 0 && st == MPS_OK; i++) {
        st = mps_object_decref(tx, mps_load64(&blob->refs[--n_refs]));
    }
    if (n_refs != (uint32_t)(aux >> 32)) {
        mps_tx_set(tx, &blob->aux, (uint64_t)n_refs << 32 | (uint32_t)aux);
    }
    *done = n_refs == 0;
    return st;
}

/* ---- comparing ---- */

/* Tag and hash: what values out of line have to have in common. */
#define FAR_BITS (0xffffffff00000000u | MPS_TAG_KIND)

/* The parts of an ALIAS, and the value before the bytes of its canonical form. */
static bool alias_span(mps_seg *seg, mps_value stored, mps_span *span, mps_value *v)
{
    if (!mps_value_span(seg, stored, span) || span->aux < sizeof *v || span->aux > span->nbytes) {
        return false;
    }
    mps_racy_copy(v, span->data, sizeof *v);
    return true;
}

bool mps_alias_equals_near(mps_seg *seg, mps_value stored, mps_value key)
{
    mps_span span;
    mps_value v;
    return alias_span(seg, stored, &span, &v) && ((v.w0 ^ key.w0) & mps_value_key_bits(key.w0)) == 0 && v.w1 == key.w1;
}

/* The same for a key given out of line. */
static bool alias_equals_far(mps_seg *seg, mps_value stored, const mps_enc *key)
{
    mps_span span;
    mps_value v;
    return alias_span(seg, stored, &span, &v) && ((v.w0 ^ key->value.w0) & FAR_BITS) == 0 && v.w1 == key->nbytes &&
           span.aux == sizeof v + key->nbytes && mps_racy_equal(span.data + sizeof v, key->data, key->nbytes);
}

uint64_t mps_alias_hash(mps_seg *seg, mps_value stored)
{
    mps_span span;
    mps_value v;
    if (!alias_span(seg, stored, &span, &v)) {
        return 0;
    }
    return span.aux == sizeof v ? mps_value_hash(v, seg->seed) : mps_value_hash_far(v.w0, seg->seed);
}

void mps_alias_key(const mps_enc *alias, mps_enc *key)
{
    *key = (mps_enc){0};
    memcpy(&key->value, alias->data, sizeof key->value);
    if (alias->aux > sizeof key->value) {
        key->data = (const uint8_t *)alias->data + sizeof key->value;
        key->nbytes = key->value.w1;
        key->value.w1 = 0;
    }
}

bool mps_value_equals_far(mps_seg *seg, mps_value stored, const mps_enc *key)
{
    mps_span span;
    if (mps_unlikely(mps_value_tag(stored) == MPS_TAG_ALIAS)) {
        return alias_equals_far(seg, stored, key);
    }
    if (((stored.w0 ^ key->value.w0) & FAR_BITS) != 0 || mps_value_is_inline(stored) ||
        !mps_value_span(seg, stored, &span)) {
        return false;
    }
    if (mps_value_tag(stored) == MPS_TAG_KEY) {
        return span.aux == key->aux && span.aux <= span.nbytes && mps_racy_equal(span.data, key->data, key->aux);
    }
    return span.nbytes == key->nbytes && mps_racy_equal(span.data, key->data, key->nbytes);
}

bool mps_value_same(mps_seg *seg, mps_value stored, const mps_enc *enc)
{
    if (enc->data == NULL) {
        bool ref = stored.w0 == MPS_TAG_REF && enc->value.w0 == MPS_TAG_REF;
        return (stored.w0 == enc->value.w0 && stored.w1 == enc->value.w1) ||
               (ref && mps_buffer_same(seg, stored.w1, enc->value.w1));
    }
    mps_span span;
    if (((stored.w0 ^ enc->value.w0) & ~MPS_TAG_FAR) != 0 || mps_value_is_inline(stored) ||
        !mps_value_span(seg, stored, &span) || span.nbytes != enc->nbytes || span.n_refs != enc->n_refs ||
        span.aux != enc->aux) {
        return false;
    }
    for (uint32_t i = 0; i < enc->n_refs; i++) {
        mps_off off = mps_load64(&span.refs[i]);
        if (off != enc->refs[i] && !mps_buffer_same(seg, off, enc->refs[i])) {
            return false;
        }
    }
    return mps_racy_equal(span.data, enc->data, enc->nbytes);
}

/* ---- check ---- */

static mps_status visit_refs(const mps_span *span, mps_visit *v)
{
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < span->n_refs && st == MPS_OK; i++) {
        st = v->ref(v, mps_load64(&span->refs[i]));
    }
    return st;
}

mps_status mps_value_visit(mps_seg *seg, mps_value v, mps_visit *visit)
{
    unsigned tag = mps_value_tag(v);
    if (tag == MPS_TAG_EMPTY || tag > MPS_TAG_ALIAS) {
        return visit->bad(visit, "a value has no known tag");
    }
    if (mps_value_is_plain(v)) {
        bool fits = tag <= MPS_TAG_FLOAT || ((v.w0 >> 8) & 0xff) <= MPS_INLINE_MAX;
        return fits ? MPS_OK : visit->bad(visit, "an inline value is too long");
    }
    if (tag == MPS_TAG_REF && mps_value_is_inline(v)) {
        return visit->ref(visit, v.w1);
    }
    mps_span span;
    if (!mps_value_span(seg, v, &span)) {
        return visit->bad(visit, "a value out of line leads nowhere");
    }
    if ((v.w0 & MPS_TAG_FAR) == MPS_TAG_BLOB) {
        return visit->ref(visit, v.w1);
    }
    mps_status st = visit->block(visit, v.w1);
    if (st == MPS_OK && mps_alloc_usable(seg, v.w1) < sizeof(mps_block) + (uint64_t)span.n_refs * 8 + span.nbytes) {
        st = visit->bad(visit, "a value is longer than its block");
    }
    return st == MPS_OK ? visit_refs(&span, visit) : st;
}

mps_status mps_blob_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_span span;
    if (!mps_value_span(seg, (mps_value){MPS_TAG_PICKLE | MPS_TAG_BLOB, off}, &span) ||
        mps_alloc_usable(seg, off) < sizeof(mps_blob) + (uint64_t)span.n_refs * 8 + span.nbytes) {
        return v->bad(v, "a large value is longer than its block");
    }
    return visit_refs(&span, v);
}
