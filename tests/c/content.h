/* content.h -- things to put into containers, made from a number, for the tests of what is stored.
 *
 * The same number gives the same thing, so a model of a container is an array of numbers. All ways of storing a value occur:
 * inline, in a block, in a blob, a reference, a pickle with references inside.
 */
#ifndef MPS_TESTS_CONTENT_H
#define MPS_TESTS_CONTENT_H

#include "check.h"

#include "cell.h"
#include "refs.h"
#include "vector.h"

#define THING_BYTES 9000u
#define THING_REFS 24u
#define THING_OBJECTS 4u

typedef struct thing {
    mps_enc enc;
    mps_off refs[THING_REFS];
    uint8_t data[THING_BYTES];
} thing;

/* A segment with a few objects that things may refer to. */
typedef struct world {
    void *buffer;
    uint64_t nbytes;
    mps_seg *seg;
    mps_off objects[THING_OBJECTS];
} world;

static inline void thing_far(thing *t, const mps_seg *seg, uint64_t id, unsigned tag, uint64_t nbytes, bool key)
{
    check_rng rng = {id * 2 + 1};
    for (uint64_t i = 0; i < nbytes; i++) {
        t->data[i] = (uint8_t)(check_random(&rng) >> 33 & 0x7f);
    }
    memcpy(t->data, &id, 8);
    t->enc.value.w0 = tag;
    t->enc.data = t->data;
    t->enc.nbytes = nbytes;
    if (tag == MPS_TAG_KEY) {
        t->enc.aux = (uint32_t)(nbytes / 2);
    }
    if (key) {
        t->enc.value.w0 |= mps_hash_bytes(t->data, tag == MPS_TAG_KEY ? nbytes / 2 : nbytes, seg->seed) >> 32 << 32;
    }
}

static inline void thing_short(thing *t, uint64_t id, unsigned tag)
{
    uint8_t text[MPS_INLINE_MAX] = "text";
    uint64_t nbytes = 8 + id % 7;
    memcpy(text, &id, 8);
    t->enc.value = mps_value_short(tag, text, nbytes);
}

static inline void thing_value(const world *w, thing *t, uint64_t id)
{
    check_rng rng = {id + 77};
    uint64_t r = check_random(&rng);
    t->enc = (mps_enc){0};
    switch (id % 16) {
    case 0: t->enc.value = (mps_value){MPS_TAG_NONE, 0}; break;
    case 1: t->enc.value = (mps_value){MPS_TAG_FLOAT, r}; break;
    case 2: t->enc.value = (mps_value){MPS_TAG_BOOL, r & 1}; break;
    case 3: thing_short(t, id, MPS_TAG_ASCII); break;
    case 4: thing_short(t, id, MPS_TAG_BIGINT); break;
    case 5: thing_far(t, w->seg, id, MPS_TAG_BYTES, 15 + r % 250, false); break;
    case 6: thing_far(t, w->seg, id, MPS_TAG_UCS2, 16 + r % 3000, false); break;
    case 7: thing_far(t, w->seg, id, MPS_TAG_BYTES, 4097 + r % 4800, false); break;
    case 8:
    case 9:
        thing_far(t, w->seg, id, MPS_TAG_PICKLE, 8 + r % 200, false);
        t->enc.refs = t->refs;
        t->enc.n_refs = (uint32_t)(id % 16 == 8 ? 1 + r % MPS_BLOCK_REFS : MPS_BLOCK_REFS + 1 + r % 16);
        for (uint32_t i = 0; i < t->enc.n_refs; i++) {
            t->refs[i] = w->objects[(r >> i) % THING_OBJECTS];
        }
        break;
    case 10: t->enc.value = (mps_value){MPS_TAG_REF, w->objects[r % THING_OBJECTS]}; break;
    default: t->enc.value = mps_value_int((int64_t)id); break;
    }
}

/* A key that equals another one, but is not the same: what it equals goes before the rest. */
static inline void thing_alias(thing *t, const mps_enc *equal, uint64_t more)
{
    mps_value head = equal->value;
    uint64_t nbytes = equal->data != NULL ? equal->nbytes : 0;
    head.w1 = equal->data != NULL ? nbytes : head.w1;
    memmove(t->data + sizeof head, t->data, nbytes);
    memcpy(t->data, &head, sizeof head);
    memset(t->data + sizeof head + nbytes, 0x2a, more);
    t->enc = (mps_enc){.value = {MPS_TAG_ALIAS, 0}, .data = t->data};
    t->enc.nbytes = sizeof head + nbytes + more;
    t->enc.aux = (uint32_t)(sizeof head + nbytes);
}

static inline void thing_key(const world *w, thing *t, uint64_t id)
{
    check_rng rng = {id + 99};
    uint64_t r = check_random(&rng);
    t->enc = (mps_enc){0};
    switch (id % 16) {
    case 0: thing_far(t, w->seg, id, MPS_TAG_ASCII, 15 + r % 100, true); break;
    case 1: thing_far(t, w->seg, id, MPS_TAG_KEY, 30 + r % 500, true); break;
    case 2: thing_far(t, w->seg, id, MPS_TAG_LATIN, 4097 + r % 1000, true); break;
    case 3:
    case 4:
    case 5: thing_short(t, id, MPS_TAG_ASCII); break;
    case 6: t->enc.value = (mps_value){MPS_TAG_FLOAT, r}; break;
    case 7: t->enc.value = (mps_value){MPS_TAG_INT | MPS_FORM_FLOAT << 8, id}; break;
    case 8: thing_alias(t, &(mps_enc){.value = mps_value_int((int64_t)id)}, 5 + r % 50); break;
    case 9:
        thing_far(t, w->seg, id, MPS_TAG_ASCII, 15 + r % 100, true);
        thing_alias(t, &(mps_enc){.value = t->enc.value, .data = t->data, .nbytes = t->enc.nbytes}, 5 + r % 50);
        break;
    default: t->enc.value = mps_value_int((int64_t)id); break;
    }
}

/* Whether a copy is the thing, wholly. */
static inline bool thing_is(const thing *t, const mps_copy *copy)
{
    if (t->enc.data == NULL) {
        bool text = mps_value_tag(t->enc.value) >= MPS_TAG_ASCII && mps_value_tag(t->enc.value) != MPS_TAG_REF;
        uint64_t nbytes = (t->enc.value.w0 >> 8) & 0xff;
        return copy->value.w0 == t->enc.value.w0 && copy->value.w1 == t->enc.value.w1 &&
               (!text ||
                (copy->nbytes == nbytes && memcmp(copy->data, (const uint8_t *)&t->enc.value + 2, nbytes) == 0));
    }
    return mps_value_tag(copy->value) == mps_value_tag(t->enc.value) && copy->nbytes == t->enc.nbytes &&
           copy->aux == t->enc.aux && copy->n_refs == t->enc.n_refs &&
           memcmp(copy->data, t->enc.data, t->enc.nbytes) == 0 &&
           (copy->n_refs == 0 || memcmp(copy->refs, t->enc.refs, copy->n_refs * sizeof(mps_off)) == 0);
}

/* Checks that a copy is value number id (as stored: key or value), and lets go of it. */
static inline void check_copy(const world *w, mps_copy *copy, uint64_t id, bool key)
{
    static thing t;
    if (key) {
        thing_key(w, &t, id);
    } else {
        thing_value(w, &t, id);
    }
    CHECK(thing_is(&t, copy));
    mps_copy_drop_refs(w->seg, MPS_DOOR_FREE, copy);
    mps_copy_done(copy);
}

static inline world world_make(uint64_t nbytes)
{
    world w = {.buffer = check_buffer(nbytes), .nbytes = nbytes};
    w.seg = check_adopt(w.buffer, nbytes, true);
    for (uint32_t i = 0; i < THING_OBJECTS; i++) {
        uint64_t serial;
        CHECK_OK(mps_object_new(w.seg, MPS_DOOR_FREE, MPS_KIND_LOCK, sizeof(mps_object), &w.objects[i], &serial));
    }
    return w;
}

/* Nothing may be left in the segment when everything was let go of. */
static inline void world_end(world *w)
{
    for (uint32_t i = 0; i < THING_OBJECTS; i++) {
        mps_ref_drop(w->seg, MPS_DOOR_FREE, w->objects[i]);
    }
    CHECK_SOUND(w->seg);
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w->seg, &stats));
    CHECK(stats.objects == 0);
    CHECK(stats.blocks == (w->seg->body->refs_block != 0)); /* our own table of references, if it was large once */
    mps_seg_release(w->seg);
    free(w->buffer);
}

static inline mps_off world_object(const world *w, uint32_t kind, uint64_t nbytes)
{
    mps_off off;
    uint64_t serial;
    CHECK_OK(mps_object_new(w->seg, MPS_DOOR_FREE, kind, nbytes, &off, &serial));
    return off;
}

/* Things in a row, as a binding hands them over. */
typedef struct row {
    thing *things;
    mps_enc *encs;
    uint64_t ids[64];
    uint64_t n;
} row;

static inline row row_make(const world *w, check_rng *rng, uint64_t n)
{
    row r = {.things = malloc((n + 1) * sizeof(thing)), .encs = malloc((n + 1) * sizeof(mps_enc)), .n = n};
    CHECK(r.things != NULL && r.encs != NULL && n <= 64);
    bool simple = check_below(rng, 3) == 0;
    for (uint64_t i = 0; i < n; i++) {
        r.ids[i] = simple ? (check_random(rng) >> 20 << 4) + 12 : check_random(rng) >> 20;
        thing_value(w, &r.things[i], r.ids[i]);
        r.encs[i] = r.things[i].enc;
    }
    return r;
}

static inline void row_done(row *r)
{
    free(r->things);
    free(r->encs);
}

#endif
