#include "table_body.h"

/* Whether the entry is found from its hash: the chain of index slots from there on leads to it without a gap. */
static bool leads_to(const mps_shape *s, uint64_t hash, uint32_t number)
{
    uint32_t wanted = mps_table_fragment(s, hash) | (number + MPS_INDEX_FIRST);
    uint32_t i = (uint32_t)hash & s->mask;
    for (uint64_t left = (uint64_t)s->mask + 1; left > 0; left--, i = (i + 1) & s->mask) {
        uint32_t slot = mps_load32(&s->body->index[i]);
        if (slot == wanted || slot == MPS_INDEX_EMPTY) {
            return slot == wanted;
        }
    }
    return false;
}

static mps_status visit_index(const mps_shape *s, uint64_t alive, mps_visit *v)
{
    uint64_t leading = 0, deleted = 0;
    for (uint64_t i = 0; i <= s->mask; i++) {
        uint32_t slot = mps_load32(&s->body->index[i]);
        if (slot == MPS_INDEX_DELETED) {
            deleted++;
        } else if (slot != MPS_INDEX_EMPTY) {
            leading++;
        }
    }
    if (leading != alive) {
        return v->bad(v, "a table's index has another number of slots in use than the table has entries");
    }
    if (deleted != mps_load64(&s->body->deleted) || leading + deleted > s->capacity) {
        return v->bad(v, "a table's count of deleted index slots is wrong");
    }
    return MPS_OK;
}

static mps_status visit_entries(mps_seg *seg, const mps_shape *s, uint64_t used, bool indexed, mps_visit *v,
                                uint64_t *alive)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < used && st == MPS_OK; i++) {
        const mps_entry *e = &s->entries[i];
        mps_value key = mps_value_load(&e->key);
        if (mps_value_tag(key) == MPS_TAG_EMPTY) {
            continue;
        }
        ++*alive;
        if (indexed && !leads_to(s, mps_table_hash(seg, key), (uint32_t)i)) {
            return v->bad(v, "a table's entry is not found from its hash");
        }
        st = mps_value_visit(seg, key, v);
        if (st == MPS_OK) {
            st = mps_value_visit(seg, mps_value_load(&e->value), v);
        }
    }
    return st;
}

mps_status mps_table_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_table *t = mps_region_at(&seg->region, off);
    uint64_t word = mps_load64(&t->body), counts = mps_load64(&t->counts);
    if (word == 0) {
        return counts == 0 ? MPS_OK : v->bad(v, "a table without a body counts entries");
    }
    mps_shape s;
    if (!mps_table_shape(seg, word, &s)) {
        return v->bad(v, "a table's body lies outside of the segment");
    }
    mps_status st = v->block(v, word >> 8);
    if (st != MPS_OK) {
        return st;
    }
    if (mps_alloc_usable(seg, word >> 8) < mps_table_bytes(s.log2) ||
        mps_load32(&s.body->mortal.kind) != MPS_KIND_TABLE_BODY || mps_load32(&s.body->mortal.flags) != s.log2 ||
        mps_table_used(counts) > s.capacity || mps_table_alive(counts) > mps_table_used(counts)) {
        return v->bad(v, "a table's body and counts contradict each other");
    }
    uint64_t alive = 0;
    st = visit_index(&s, mps_table_alive(counts), v);
    if (st == MPS_OK) {
        st = visit_entries(seg, &s, mps_table_used(counts), true, v, &alive);
    }
    if (st == MPS_OK && alive != mps_table_alive(counts)) {
        st = v->bad(v, "a table counts another number of entries than it has");
    }
    return st;
}

mps_status mps_table_body_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_table_body *body = mps_region_at(&seg->region, off);
    mps_shape s;
    uint64_t left = mps_load64(&body->mortal.cursor), alive = 0;
    if (!mps_table_shape(seg, off << 8 | (mps_load32(&body->mortal.flags) & 0xff), &s) || left > s.capacity ||
        mps_alloc_usable(seg, off) < mps_table_bytes(s.log2)) {
        return v->bad(v, "a dying table body is out of shape");
    }
    return visit_entries(seg, &s, left, false, v, &alive);
}
