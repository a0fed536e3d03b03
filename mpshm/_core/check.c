#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lock.h"
#include "names.h"
#include "os.h"
#include "pool.h"
#include "raw.h"
#include "recover.h"

#define TRIES 100
#define TRY_AGAIN_NS 1000000u

/* An object that was reached, how often, and how often it says it is referred to. */
typedef struct seen {
    mps_off off; /* 0: empty */
    uint64_t found;
} seen;

typedef struct checker {
    mps_visit visit; /* first: the callbacks get a pointer to it */
    mps_seg *seg;
    uint8_t *in_use;  /* one bit for 16 bytes of arena: a block begins here */
    uint8_t *reached; /* the same: and was visited */
    uint64_t bits;
    seen *objects; /* open addressing, at most half full */
    uint64_t capacity, n_objects;
    mps_off *todo; /* objects whose content is still to be visited */
    uint64_t n_todo, todo_capacity;
    uint64_t blocks, visited;
    char *why;
    size_t why_size;
} checker;

static mps_status bad(mps_visit *v, const char *why)
{
    checker *c = (checker *)v;
    if (c->why_size > 0) {
        snprintf(c->why, c->why_size, "%s", why);
    }
    return MPS_E_CORRUPT;
}

static mps_status bad_at(checker *c, const char *why, mps_off off)
{
    char text[160];
    snprintf(text, sizeof(text), "%s (offset %llu)", why, (unsigned long long)off);
    return bad(&c->visit, text);
}

static bool test(const uint8_t *bits, uint64_t i)
{
    return (bits[i / 8] >> (i % 8) & 1) != 0;
}

static void set(uint8_t *bits, uint64_t i)
{
    bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
}

/* ---- what the walks report ---- */

static mps_status on_chunk(void *ctx, mps_off off, uint64_t usable)
{
    (void)usable;
    checker *c = ctx;
    uint64_t i = (off - c->seg->arena) / 16;
    if (off < c->seg->arena || i >= c->bits) {
        return bad_at(c, "a block lies outside of the arena", off);
    }
    set(c->in_use, i);
    c->blocks++;
    return MPS_OK;
}

static mps_status on_block(mps_visit *v, mps_off off)
{
    checker *c = (checker *)v;
    uint64_t i = (off - c->seg->arena) / 16;
    if (off < c->seg->arena || (off & 15) != 0 || i >= c->bits || !test(c->in_use, i)) {
        return bad_at(c, "something refers to a block that is not in use", off);
    }
    if (test(c->reached, i)) {
        return bad_at(c, "a block belongs to two owners", off);
    }
    set(c->reached, i);
    c->visited++;
    return MPS_OK;
}

static mps_status on_cached(void *ctx, mps_off off)
{
    return on_block(&((checker *)ctx)->visit, off);
}

static seen *place_of(const checker *c, mps_off off)
{
    uint64_t i = mps_mix(off, 0x9e3779b97f4a7c15u) & (c->capacity - 1);
    while (c->objects[i].off != 0 && c->objects[i].off != off) {
        i = (i + 1) & (c->capacity - 1);
    }
    return &c->objects[i];
}

static mps_status grow_objects(checker *c)
{
    checker bigger = *c;
    bigger.capacity = c->capacity * 2;
    bigger.objects = calloc(bigger.capacity, sizeof(seen));
    if (bigger.objects == NULL) {
        return MPS_E_NOMEM;
    }
    for (uint64_t i = 0; i < c->capacity; i++) {
        if (c->objects[i].off != 0) {
            *place_of(&bigger, c->objects[i].off) = c->objects[i];
        }
    }
    free(c->objects);
    *c = bigger;
    return MPS_OK;
}

static mps_status push_todo(checker *c, mps_off off)
{
    if (c->n_todo == c->todo_capacity) {
        uint64_t capacity = c->todo_capacity * 2 + 64;
        mps_off *todo = realloc(c->todo, capacity * sizeof(mps_off));
        if (todo == NULL) {
            return MPS_E_NOMEM;
        }
        c->todo = todo;
        c->todo_capacity = capacity;
    }
    c->todo[c->n_todo++] = off;
    return MPS_OK;
}

static mps_status on_ref(mps_visit *v, mps_off off)
{
    checker *c = (checker *)v;
    if (mps_object_at(c->seg, off, 0) == NULL) {
        return bad_at(c, "something refers to an object that is none", off);
    }
    seen *s = place_of(c, off);
    if (s->off != 0) {
        s->found++;
        return MPS_OK;
    }
    *s = (seen){off, 1};
    c->n_objects++;
    mps_status st = c->n_objects * 2 > c->capacity ? grow_objects(c) : MPS_OK;
    if (st == MPS_OK) {
        st = on_block(v, off);
    }
    return st == MPS_OK ? push_todo(c, off) : st;
}

/* ---- the walk ---- */

/* Another process's, or our own, slot: everything at rest, so only what outlives operations. */
static mps_status visit_slot(checker *c, uint32_t slot)
{
    mps_seg *seg = c->seg;
    if ((mps_load64(&mps_slot_head_at(seg, slot)->word) & 0xff) != MPS_SLOT_USED) {
        return MPS_OK;
    }
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    mps_status st = mps_refs_visit(seg, body, &c->visit);
    for (uint32_t i = 0; i < MPS_LANES && st == MPS_OK; i++) {
        const mps_lane *lane = &body->lanes[i];
        if (mps_journal_check(seg, lane) != MPS_OK) {
            return bad(&c->visit, "a journal's counts are out of range");
        }
        st = lane->spill != 0 ? on_block(&c->visit, lane->spill) : MPS_OK;
        if (st == MPS_OK) {
            st = mps_alloc_walk_cache(seg, lane, on_cached, c);
        }
        if (st == MPS_OK) {
            st = mps_pools_visit_lane(seg, lane, &c->visit);
        }
    }
    return st;
}

static mps_status visit_todo(checker *c)
{
    while (c->n_todo > 0) {
        mps_off off = c->todo[--c->n_todo];
        const mps_object *obj = mps_object_at(c->seg, off, 0);
        const mps_kind *kind = obj != NULL ? mps_kind_find(obj->mortal.kind) : NULL;
        if (kind == NULL) {
            return bad_at(c, "an object has lost its kind", off);
        }
        if (mps_load32(&obj->guard.lock) != 0 || (mps_load32(&obj->guard.seq) & 1) != 0) {
            return bad_at(c, "an object's guard is held, or its sequence odd, while nobody works", off);
        }
        mps_status st = kind->visit(c->seg, off, &c->visit);
        if (st != MPS_OK) {
            return st == MPS_E_CORRUPT && c->why[0] == 0 ? bad_at(c, "an object's content is damaged", off) : st;
        }
    }
    return MPS_OK;
}

/* Objects that only refer to each other live on, though no handle leads to them: a program may do that; and so do those that the
 * segment owns. Their counts must be right as anybody's. */
static mps_status visit_islands(checker *c)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < c->bits && c->visited < c->blocks && st == MPS_OK; i++) {
        mps_off off = c->seg->arena + i * 16;
        if (!test(c->in_use, i) || test(c->reached, i) || mps_object_at(c->seg, off, 0) == NULL) {
            continue;
        }
        st = on_ref(&c->visit, off);
        if (st == MPS_OK) {
            place_of(c, off)->found--; /* nobody has referred to it yet */
            st = visit_todo(c);
        }
    }
    return st;
}

static mps_status compare_counts(checker *c)
{
    for (uint64_t i = 0; i < c->capacity; i++) {
        const seen *s = &c->objects[i];
        if (s->off == 0) {
            continue;
        }
        const mps_object *obj = mps_region_at(&c->seg->region, s->off);
        uint64_t found = s->found + mps_raw_is_owned(obj);
        if (obj->refs != found) {
            char text[160];
            snprintf(text, sizeof(text), "an object counts %llu references, but %llu were found (offset %llu)",
                     (unsigned long long)obj->refs, (unsigned long long)found, (unsigned long long)s->off);
            return bad(&c->visit, text);
        }
    }
    if (c->n_objects != mps_seg_root(c->seg)->objects) {
        return bad(&c->visit, "the number of objects is not what the header says");
    }
    if (c->visited == c->blocks) {
        return MPS_OK;
    }
    for (uint64_t i = 0; i < c->bits; i++) {
        if (test(c->in_use, i) && !test(c->reached, i)) {
            return bad_at(c, "nothing refers to a block that is in use", c->seg->arena + i * 16);
        }
    }
    return bad(&c->visit, "blocks were counted wrongly");
}

static mps_status run(checker *c)
{
    mps_seg *seg = c->seg;
    mps_status st = mps_alloc_walk(seg, on_chunk, c, c->why, c->why_size);
    if (st == MPS_OK) {
        st = mps_pools_walk(seg, on_chunk, c);
        st = st == MPS_E_CORRUPT ? bad(&c->visit, "a pool's chunks are damaged") : st;
    }
    for (uint32_t slot = 0; slot < seg->n_slots && st == MPS_OK; slot++) {
        st = visit_slot(c, slot);
    }
    if (st == MPS_OK) {
        st = mps_tokens_visit(seg, &c->visit);
    }
    if (st == MPS_OK) {
        st = mps_names_visit(seg, &c->visit);
    }
    if (st == MPS_OK) {
        st = visit_todo(c);
    }
    if (st == MPS_OK) {
        st = visit_islands(c);
    }
    return st == MPS_OK ? compare_counts(c) : st;
}

static mps_status run_with_memory(mps_seg *seg, char *why, size_t why_size)
{
    mps_region_refresh(&seg->region);
    checker c = {.visit = {on_block, on_ref, bad}, .seg = seg, .why = why, .why_size = why_size, .capacity = 1024};
    c.bits = (mps_load64(&seg->region.limit) - seg->arena) / 16 + 1;
    c.in_use = calloc(c.bits / 8 + 1, 1);
    c.reached = calloc(c.bits / 8 + 1, 1);
    c.objects = calloc(c.capacity, sizeof(seen));
    mps_status st = MPS_E_NOMEM;
    if (c.in_use != NULL && c.reached != NULL && c.objects != NULL) {
        st = run(&c);
    }
    free(c.in_use);
    free(c.reached);
    free(c.objects);
    free(c.todo);
    return st;
}

/* Freezes the segment with nobody dead in it: MPS_E_RETRY when somebody dies on the way. */
static mps_status freeze(mps_seg *seg)
{
    uint32_t count;
    mps_status st = mps_recover_all(seg, &count);
    return st == MPS_OK ? mps_freeze(seg) : st;
}

mps_status mps_seg_check(mps_seg *seg, char *why, size_t why_size)
{
    if (why_size == 0) {
        return MPS_E_INVAL;
    }
    why[0] = 0;
    mps_tx tx; /* makes sure that the segment is usable and that we have a slot */
    mps_status st = mps_tx_begin(seg, &tx, MPS_DOOR_FREE);
    if (st != MPS_OK) {
        if (st == MPS_E_CORRUPT) {
            snprintf(why, why_size, "an operation met damaged bytes before");
        }
        return st;
    }
    mps_tx_end(&tx);
    st = freeze(seg);
    for (int i = 0; st == MPS_E_RETRY && i < TRIES; i++) {
        mps_os_sleep(TRY_AGAIN_NS);
        st = freeze(seg);
    }
    if (st != MPS_OK) {
        return st;
    }
    st = run_with_memory(seg, why, why_size);
    mps_unfreeze(seg);
    if (st == MPS_E_CORRUPT && why[0] == 0) {
        snprintf(why, why_size, "the segment's bytes contradict themselves");
    }
    return st;
}
