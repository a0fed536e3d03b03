/* test_fuzz.c -- random bytes written anywhere into a segment: statuses or right answers, no fault, no hang.
 *
 * In each trial some bytes of a furnished segment are changed, before or after it is adopted; then all kinds of operations are tried
 * on everything in it, and it is checked, recovered and left. The sanitizers see the faults, an alarm the hangs.
 * The environment says how many, and from which one on: trials.h.
 */
#include "content.h"

#include "deque.h"
#include "linked.h"
#include "ring.h"
#include "table_body.h"
#include "text.h"
#include "trials.h"
#include "typed.h"

#define BUFFER ((uint64_t)640 << 10)
#define TRIALS 1500u
#define STEPS 40u
#define OBJECTS 13u

static const mps_door door = MPS_DOOR_FREE;

static struct {
    world w;
    uint8_t *pristine;
    mps_off
        offs[OBJECTS]; /* dict, dict, list, list, value, lock, set, deque, queue, queue, vector, linked list, string */
    uint64_t serials[OBJECTS];
    uint32_t kinds[OBJECTS];
    check_rng rng;
} t;

static uint64_t below(uint64_t n)
{
    return check_below(&t.rng, n);
}

/* ---- the segment ---- */

static void furnish(void)
{
    static const uint32_t kinds[OBJECTS] = {
        MPS_KIND_DICT,   MPS_KIND_DICT,        MPS_KIND_LIST,  MPS_KIND_LIST,  MPS_KIND_VALUE,
        MPS_KIND_RLOCK,  MPS_KIND_SET,         MPS_KIND_DEQUE, MPS_KIND_QUEUE, MPS_KIND_JOINABLE_QUEUE,
        MPS_KIND_VECTOR, MPS_KIND_LINKED_LIST, MPS_KIND_STRING};
    static const uint64_t sizes[OBJECTS] = {
        sizeof(mps_table),  sizeof(mps_table),  sizeof(mps_vector), sizeof(mps_vector), sizeof(mps_cell),
        sizeof(mps_object), sizeof(mps_table),  sizeof(mps_deque),  sizeof(mps_ring),   sizeof(mps_ring),
        sizeof(mps_typed),  sizeof(mps_linked), sizeof(mps_text)};
    static thing k, v;
    t.w = world_make(BUFFER);
    mps_seg *seg = t.w.seg;
    uint64_t token;
    int64_t grown;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        t.kinds[i] = kinds[i];
        CHECK_OK(mps_object_new(seg, door, kinds[i], sizes[i], &t.offs[i], &t.serials[i]));
        CHECK_OK(mps_token_leave(seg, door, t.offs[i], &token));
    }
    for (uint32_t i = 0; i < THING_OBJECTS; i++) {
        CHECK_OK(mps_token_leave(seg, door, t.w.objects[i], &token));
    }
    mps_enc words = {.value = mps_value_int(8)};
    CHECK_OK(mps_typed_setup(seg, door, t.offs[10], (mps_typed_form){8, 0, MPS_TYPED_NO_LIMIT}, &words));
    for (uint64_t i = 0; i < 60; i++) {
        mps_chars chars = {.data = "some text", .n = 9, .width = 1};
        thing_value(&t.w, &v, i);
        CHECK_OK(mps_typed_push(seg, door, t.offs[10], 8, &i, 1));
        CHECK_OK(mps_linked_insert(seg, door, t.offs[11], (mps_spot){.index = 0}, false, &v.enc, 1, NULL));
        CHECK_OK(mps_text_append(seg, door, t.offs[12], &chars));
        thing_key(&t.w, &k, i);
        thing_value(&t.w, &v, i);
        CHECK_OK(mps_table_set(seg, door, t.offs[i % 2], &k.enc, &v.enc));
        CHECK_OK(mps_vector_append(seg, door, t.offs[2 + i % 2], &v.enc));
        CHECK_OK(mps_table_combine(seg, door, t.offs[6], MPS_COMBINE_ADD, &k.enc, 1, &grown));
        CHECK_OK(mps_deque_push(seg, door, t.offs[7], i % 3 == 0 ? MPS_FRONT : MPS_BACK, &v.enc));
        CHECK_OK(mps_ring_put(seg, door, t.offs[8 + i % 2], &v.enc, 0));
    }
    for (uint32_t i = 0; i < OBJECTS; i++) {
        mps_ref_drop(seg, door, t.offs[i]);
    }
    for (uint32_t i = 0; i < THING_OBJECTS; i++) {
        mps_ref_drop(seg, door, t.w.objects[i]);
    }
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    t.pristine = malloc(BUFFER);
    CHECK(t.pristine != NULL);
    memcpy(t.pristine, t.w.buffer, BUFFER);
}

/* An offset at which a byte matters: header, slots, what is in use of the arena. */
static uint64_t target(const mps_seg *seg)
{
    uint64_t arena = seg != NULL ? seg->arena : 0;
    switch (below(8)) {
    case 0: return below(MPS_HEADER_BYTES);
    case 1: return MPS_HEADER_BYTES + below(4 * sizeof(mps_slot_head));
    case 2:
        if (seg != NULL) { /* our own lanes: the first words of one, or its journal */
            const mps_slot_body *body = seg->body;
            return mps_region_off(&seg->region, &body->lanes[below(MPS_LANES)]) + below(below(2) == 0 ? 512 : 4096);
        }
        return below(BUFFER);
    case 3: return seg != NULL ? mps_region_off(&seg->region, seg->body) + below(sizeof(mps_slot_body)) : below(BUFFER);
    case 4: {
        uint64_t i = below(OBJECTS);
        return t.offs[i] + below(i < 8 ? 104 : sizeof(mps_ring));
    }
    case 5: {
        uint64_t i = below(OBJECTS);
        mps_off off = t.offs[i];
        uint64_t body;
        memcpy(&body, (uint8_t *)t.w.buffer + off + (i < 8 ? sizeof(mps_object) : offsetof(mps_ring, first)), 8);
        body = body > BUFFER ? body >> 8 : body;
        return body < BUFFER - 400 ? body + below(400) : below(BUFFER);
    }
    default: return arena + below(mps_min64(BUFFER - arena, 100000));
    }
}

static void damage(const mps_seg *seg)
{
    uint8_t *bytes = t.w.buffer;
    for (uint64_t n = 1 + below(below(4) == 0 ? 40 : 4); n > 0; n--) {
        uint64_t at = target(seg);
        switch (below(4)) {
        case 0: bytes[at] ^= (uint8_t)(1u << below(8)); break;
        case 1: bytes[at] = (uint8_t)check_random(&t.rng); break;
        case 2: {
            uint64_t word = below(2) == 0 ? check_random(&t.rng) : below(BUFFER);
            memcpy(&bytes[at & ~(uint64_t)7], &word, 8);
            break;
        }
        default: {
            uint64_t from = target(seg);
            memcpy(&bytes[at & ~(uint64_t)7], &bytes[from & ~(uint64_t)7], 8);
        }
        }
    }
}

/* ---- operations ---- */

static void forget(mps_seg *seg, mps_copy *copy)
{
    mps_copy_drop_refs(seg, door, copy);
    mps_copy_done(copy);
}

static void on_table(mps_seg *seg, mps_off off)
{
    static thing k, v, e;
    static mps_enc keys[30], values[30];
    mps_copy copy, other;
    mps_snap snap;
    uint64_t n;
    int64_t sum;
    mps_copy_init(&copy);
    mps_copy_init(&other);
    thing_key(&t.w, &k, below(70));
    thing_value(&t.w, &v, below(1000));
    thing_value(&t.w, &e, below(70));
    switch (below(15)) {
    case 0: (void)mps_table_has(seg, door, off, &k.enc); break;
    case 1: (void)mps_table_len(seg, door, off, &n); break;
    case 2: (void)mps_table_setdefault(seg, door, off, &k.enc, &v.enc, &copy); break;
    case 3: (void)mps_table_pop(seg, door, off, &k.enc, &copy); break;
    case 4: (void)mps_table_pop_last(seg, door, off, &copy, &other); break;
    case 5: (void)mps_table_exchange(seg, door, off, &k.enc, &e.enc, &v.enc); break;
    case 6: (void)mps_table_add(seg, door, off, &k.enc, 1, 1, &sum); break;
    case 7:
        for (uint64_t i = 0; i < 30; i++) {
            keys[i] = (mps_enc){.value = mps_value_int((int64_t)i * 37)};
            values[i] = v.enc;
        }
        (void)mps_table_update(seg, door, off, keys, values, 30);
        break;
    case 14:
        for (uint64_t i = 0; i < 30; i++) {
            keys[i] = (mps_enc){.value = mps_value_int((int64_t)(i * 37 + below(30)))};
        }
        (void)mps_table_combine(seg, door, off, (mps_combine)below(5), keys, below(30), &sum);
        break;
    case 8:
        mps_snap_init(&snap);
        if (mps_table_snapshot(seg, door, off, MPS_SNAP_BOTH, &snap) == MPS_OK) {
            mps_snap_drop_refs(seg, door, &snap, 0);
        }
        mps_snap_done(&snap);
        break;
    case 9:
        if (below(8) == 0) {
            (void)mps_table_clear(seg, door, off);
        }
        break;
    case 10:
    case 11: (void)mps_table_set(seg, door, off, &k.enc, &v.enc); break;
    default: (void)mps_table_get(seg, door, off, &k.enc, &copy);
    }
    forget(seg, &copy);
    forget(seg, &other);
}

static void on_list(mps_seg *seg, mps_off off)
{
    static thing v;
    static mps_enc values[30];
    mps_copy copy;
    mps_snap snap;
    uint64_t n;
    mps_slice slice = {(int64_t)below(90) - 45, (int64_t)below(90) - 45, (int64_t)below(7) - 3, below(4) == 0,
                       below(4) == 0};
    slice.step = slice.step == 0 || below(2) == 0 ? 1 : slice.step;
    int64_t index = (int64_t)below(90) - 45;
    mps_copy_init(&copy);
    thing_value(&t.w, &v, below(1000));
    for (uint64_t i = 0; i < 30; i++) {
        values[i] = v.enc;
    }
    switch (below(16)) {
    case 0: (void)mps_vector_len(seg, door, off, &n); break;
    case 1: (void)mps_vector_set(seg, door, off, index, &v.enc); break;
    case 2: (void)mps_vector_append(seg, door, off, &v.enc); break;
    case 3: (void)mps_vector_insert(seg, door, off, index, &v.enc); break;
    case 4: (void)mps_vector_pop(seg, door, off, index, &copy); break;
    case 5: (void)mps_vector_remove_at(seg, door, off, below(40), &v.enc); break;
    case 6: (void)mps_vector_extend(seg, door, off, values, below(30)); break;
    case 7: (void)mps_vector_assign(seg, door, off, slice, values, below(30), &n); break;
    case 8: (void)mps_vector_delete(seg, door, off, slice); break;
    case 9: (void)mps_vector_reverse(seg, door, off); break;
    case 10: (void)mps_vector_repeat(seg, door, off, (int64_t)below(4)); break;
    case 11:
        mps_snap_init(&snap);
        if (mps_vector_snapshot(seg, door, off, slice, &snap) == MPS_OK) {
            (void)mps_vector_replace(seg, door, off, values, below(30), snap.seq);
            mps_snap_drop_refs(seg, door, &snap, 0);
        }
        mps_snap_done(&snap);
        break;
    case 12: {
        mps_window window;
        mps_value value;
        if (mps_vector_window(seg, off, &window) == MPS_OK) {
            for (uint64_t i = 0; i < window.length; i++) {
                (void)mps_window_read(&window, &((mps_object *)mps_region_at(&seg->region, off))->guard, i, &value);
            }
        }
        break;
    }
    default: (void)mps_vector_get(seg, door, off, index, &copy);
    }
    forget(seg, &copy);
}

static void on_queue(mps_seg *seg, mps_off off)
{
    static thing v;
    mps_copy copy;
    uint32_t n;
    mps_copy_init(&copy);
    thing_value(&t.w, &v, below(1000));
    switch (below(12)) {
    case 0:
    case 1:
    case 2: (void)mps_ring_put(seg, door, off, &v.enc, below(2) * 1000); break;
    case 3: (void)mps_ring_count(seg, door, off, &n); break;
    case 4: (void)mps_ring_task_done(seg, door, off); break;
    case 5: (void)mps_ring_join(seg, door, off, 1000); break;
    case 6: (void)mps_ring_ready(seg, door, off, below(2) == 0, 1000); break;
    case 7:
        if (below(8) == 0) {
            (void)mps_ring_shut(seg, door, off, below(2) == 0);
        }
        break;
    default: (void)mps_ring_get(seg, door, off, &copy, below(2) * 1000);
    }
    forget(seg, &copy);
}

static void on_deque(mps_seg *seg, mps_off off)
{
    static thing v;
    static mps_enc values[30];
    mps_copy copy;
    mps_snap snap;
    mps_deque_pen pen;
    uint64_t n;
    mps_end end = below(2) == 0 ? MPS_BACK : MPS_FRONT;
    int64_t index = (int64_t)below(150) - 75;
    mps_copy_init(&copy);
    thing_value(&t.w, &v, below(1000));
    for (uint64_t i = 0; i < 30; i++) {
        values[i] = v.enc;
    }
    switch (below(17)) {
    case 0: (void)mps_deque_len(seg, door, off, &n); break;
    case 1: (void)mps_deque_set(seg, door, off, index, &v.enc); break;
    case 2:
    case 3: (void)mps_deque_push(seg, door, off, end, &v.enc); break;
    case 4:
    case 5: (void)mps_deque_pop(seg, door, off, end, &copy); break;
    case 6: (void)mps_deque_extend(seg, door, off, end, values, below(30)); break;
    case 7: (void)mps_deque_insert(seg, door, off, index, &v.enc); break;
    case 8: (void)mps_deque_delete(seg, door, off, index); break;
    case 9: (void)mps_deque_remove_at(seg, door, off, below(60), &v.enc); break;
    case 10: (void)mps_deque_rotate(seg, door, off, index); break;
    case 11: (void)mps_deque_reverse(seg, door, off); break;
    case 12: (void)mps_deque_repeat(seg, door, off, (int64_t)below(4)); break;
    case 13: (void)mps_deque_reset(seg, door, off, below(2) == 0 ? MPS_NO_LIMIT : below(40), values, below(30)); break;
    case 14:
        mps_snap_init(&snap);
        if (mps_deque_snapshot(seg, door, off, &snap) == MPS_OK) {
            (void)mps_deque_replace(seg, door, off, values, below(30), snap.seq);
            mps_snap_drop_refs(seg, door, &snap, 0);
        }
        mps_snap_done(&snap);
        break;
    case 15:
        if (mps_deque_open(seg, door, off, &pen) == MPS_OK) {
            for (n = below(60); n > 0; n--) {
                mps_end there = below(2) == 0 ? MPS_BACK : MPS_FRONT;
                mps_value value = mps_value_int(5);
                (void)(below(2) == 0 ? mps_deque_pen_push(&pen, there, value) : mps_deque_pen_pop(&pen, there, &value));
            }
            (void)mps_deque_close(&pen);
        }
        break;
    default: (void)mps_deque_get(seg, door, off, index, &copy);
    }
    forget(seg, &copy);
}

static void on_cell(mps_seg *seg, mps_off off)
{
    static thing v;
    mps_copy copy;
    int64_t sum;
    bool same;
    mps_copy_init(&copy);
    thing_value(&t.w, &v, below(1000));
    switch (below(4)) {
    case 0: (void)mps_cell_set(seg, door, off, &v.enc); break;
    case 2: (void)mps_cell_same(seg, door, off, &v.enc, &same); break;
    case 1: (void)mps_cell_add(seg, door, off, 1, &sum); break;
    default: (void)mps_cell_get(seg, door, off, &copy);
    }
    forget(seg, &copy);
}

static void on_typed(mps_seg *seg, mps_off off)
{
    uint64_t items[64] = {0}, n = below(64), raw, found;
    uint32_t version;
    int64_t index = (int64_t)below(140) - 70;
    mps_typed_form form;
    mps_slice slice = {(int64_t)below(90) - 45, (int64_t)below(90) - 45, below(2) == 0 ? 1 : 2, below(4) == 0, false};
    mps_copy copy;
    mps_pen pen;
    mps_copy_init(&copy);
    if (mps_typed_form_get(seg, off, &form) != MPS_OK || form.itemsize > 8) {
        return;
    }
    switch (below(14)) {
    case 0: (void)mps_typed_len(seg, door, off, &found); break;
    case 1: (void)mps_typed_words(seg, door, off, &copy); break;
    case 2: (void)mps_typed_set(seg, door, off, form.itemsize, index, items); break;
    case 3: (void)mps_typed_push(seg, door, off, form.itemsize, items, n); break;
    case 4: (void)mps_typed_pop(seg, door, off, form.itemsize, index, items); break;
    case 5: (void)mps_typed_read(seg, door, off, form.itemsize, slice, items, &n, &version); break;
    case 6: (void)mps_typed_assign(seg, door, off, form.itemsize, slice, items, n, &found); break;
    case 7: (void)mps_typed_fill(seg, door, off, form.itemsize, slice, items); break;
    case 8: (void)mps_typed_insert(seg, door, off, form.itemsize, index, items, n); break;
    case 9: (void)mps_typed_resize(seg, door, off, below(4) == 0 ? below(100000) : below(100)); break;
    case 10: (void)mps_typed_trim(seg, door, off); break;
    case 11:
        if (mps_typed_data(seg, door, off, &raw, &n) == MPS_OK && raw != 0) {
            mps_ref_drop(seg, door, raw);
        }
        break;
    case 12:
        if (mps_typed_open(seg, door, off, form.itemsize, &pen) == MPS_OK) {
            for (n = below(100); n > 0 && mps_pen_push(&pen, items) == MPS_OK; n--) {
            }
            mps_typed_close(&pen);
        }
        break;
    default: (void)mps_typed_get(seg, door, off, form.itemsize, index, items);
    }
    forget(seg, &copy);
}

static void on_linked(mps_seg *seg, mps_off off)
{
    static thing v;
    static mps_enc values[20];
    mps_copy copy;
    mps_snap snap;
    mps_cursor cursor, other, *cursors = NULL;
    mps_off owner;
    uint64_t n;
    int64_t index = (int64_t)below(140) - 70;
    mps_copy_init(&copy);
    thing_value(&t.w, &v, below(1000));
    for (uint64_t i = 0; i < 20; i++) {
        values[i] = v.enc;
    }
    mps_spot spot = {.index = index};
    if (below(2) == 0 && mps_linked_at(seg, door, off, index, &cursor) == MPS_OK) {
        cursor.moves -= below(2);
        spot.cursor = &cursor;
    }
    switch (below(12)) {
    case 0: (void)mps_linked_len(seg, door, off, &n); break;
    case 1: (void)mps_linked_set(seg, door, off, spot, &v.enc); break;
    case 2: (void)mps_linked_insert(seg, door, off, spot, below(2) == 0, values, below(20), &other); break;
    case 3:
    case 4: (void)mps_linked_erase(seg, door, off, spot, NULL, &copy, &other); break;
    case 5: (void)mps_linked_reverse(seg, door, off); break;
    case 6:
        if (below(4) == 0) {
            (void)mps_linked_clear(seg, door, off);
        }
        break;
    case 7:
        if (spot.cursor != NULL && mps_linked_owner(seg, door, &cursor, &owner) == MPS_OK) {
            mps_ref_drop(seg, door, owner);
        }
        break;
    case 8:
        if (spot.cursor != NULL && mps_linked_at(seg, door, off, index + 5, &other) == MPS_OK) {
            (void)mps_linked_splice(seg, door, off, &other, off, below(2) == 0 ? &cursor : NULL, NULL);
            (void)mps_linked_step(seg, door, off, &cursor, below(2) == 0);
        }
        break;
    case 9:
        mps_snap_init(&snap);
        if (mps_linked_snapshot(seg, door, off, &snap, &cursors) == MPS_OK) {
            (void)mps_linked_replace(seg, door, off, values, below(20), snap.seq);
            mps_snap_drop_refs(seg, door, &snap, 0);
            free(cursors);
        }
        mps_snap_done(&snap);
        break;
    default: (void)mps_linked_get(seg, door, off, spot, &copy);
    }
    forget(seg, &copy);
}

static void on_text(mps_seg *seg, mps_off off)
{
    static const uint32_t wide[40] = {0x1f600, 65};
    mps_chars chars = {.data = wide, .n = below(40), .width = 1u << below(3)}, out;
    mps_slice slice = {(int64_t)below(900) - 450, (int64_t)below(900) - 450, 1, below(4) == 0, below(4) == 0};
    uint64_t n;
    switch (below(8)) {
    case 0: (void)mps_text_len(seg, door, off, &n); break;
    case 1: (void)mps_text_capacity(seg, door, off, &n); break;
    case 2: (void)mps_text_append(seg, door, off, &chars); break;
    case 3: (void)mps_text_assign(seg, door, off, slice, &chars); break;
    case 4: (void)mps_text_set(seg, door, off, (int64_t)below(900) - 450, &chars); break;
    case 5: (void)mps_text_reserve(seg, door, off, below(5000)); break;
    case 6: (void)mps_text_trim(seg, door, off); break;
    default:
        if (mps_text_read(seg, door, off, slice, &out) == MPS_OK && below(4) == 0) {
            (void)mps_text_replace(seg, door, off, &chars, out.version);
        }
        mps_chars_done(&out);
    }
}

static void on_lock(mps_seg *seg, mps_off off)
{
    mps_userlock *lock = &((mps_object *)mps_region_at(&seg->region, off))->user;
    if (mps_userlock_acquire(seg, door, lock, true, below(2) * 1000) == MPS_OK) {
        (void)mps_userlock_release(seg, MPS_DOOR_FREE, lock, true);
    }
    (void)mps_userlock_held(seg, lock);
    (void)mps_userlock_wait(seg, door, lock, 1000);
}

/* New objects, references to old ones, tokens. */
static void on_objects(mps_seg *seg)
{
    mps_off off = 0;
    uint64_t serial, token;
    uint64_t i = below(OBJECTS);
    switch (below(4)) {
    case 0:
        if (mps_object_new(seg, door, MPS_KIND_DICT, sizeof(mps_table), &off, &serial) == MPS_OK) {
            on_table(seg, off);
            mps_ref_drop(seg, door, off);
        }
        break;
    case 1:
        if (mps_ref_attach(seg, door, t.offs[i], t.serials[i], 0) == MPS_OK) {
            mps_ref_drop(seg, door, t.offs[i]);
        }
        break;
    case 2:
        if (mps_token_leave(seg, door, t.offs[i], &token) == MPS_OK &&
            mps_ref_attach(seg, door, t.offs[i], t.serials[i], token) == MPS_OK) {
            mps_ref_drop(seg, door, t.offs[i]);
        }
        break;
    default: (void)mps_ref_attach(seg, door, check_random(&t.rng) % BUFFER, 1, check_random(&t.rng));
    }
}

static void on_segment(mps_seg *seg)
{
    char why[200];
    mps_stats stats;
    mps_identity identity;
    switch (below(4)) {
    case 0: (void)mps_seg_check(seg, why, sizeof(why)); break;
    case 1: (void)mps_seg_stats(seg, &stats); break;
    case 2: (void)mps_seg_recover(seg); break;
    default: mps_seg_identity(seg, &identity);
    }
}

static void step(mps_seg *seg, const bool *have)
{
    uint64_t i = below(OBJECTS + 2);
    if (i == OBJECTS) {
        on_objects(seg);
    } else if (i == OBJECTS + 1) {
        on_segment(seg);
    } else if (have[i]) {
        switch (t.kinds[i]) {
        case MPS_KIND_DICT:
        case MPS_KIND_SET: on_table(seg, t.offs[i]); break;
        case MPS_KIND_QUEUE:
        case MPS_KIND_JOINABLE_QUEUE: on_queue(seg, t.offs[i]); break;
        case MPS_KIND_DEQUE: on_deque(seg, t.offs[i]); break;
        case MPS_KIND_LIST: on_list(seg, t.offs[i]); break;
        case MPS_KIND_VALUE: on_cell(seg, t.offs[i]); break;
        case MPS_KIND_VECTOR: on_typed(seg, t.offs[i]); break;
        case MPS_KIND_LINKED_LIST: on_linked(seg, t.offs[i]); break;
        case MPS_KIND_STRING: on_text(seg, t.offs[i]); break;
        default: on_lock(seg, t.offs[i]);
        }
    }
}

/* ---- trials ---- */

/* Somebody who died before with an operation half done: his journal is damaged as well. */
static void leave_a_dead_one(void)
{
    mps_seg *seg = check_adopt(t.w.buffer, BUFFER, false);
    mps_tx tx;
    static thing v;
    thing_value(&t.w, &v, 5);
    CHECK_OK(mps_tx_begin(seg, &tx, door));
    mps_cell *cell = mps_region_at(&seg->region, t.offs[4]);
    mps_value out;
    CHECK_OK(mps_tx_lock_write(&tx, &cell->object.guard));
    CHECK_OK(mps_enc_store(&tx, &v.enc, &out));
    mps_tx_set(&tx, &cell->value.w0, out.w0);
    mps_tx_set(&tx, &cell->value.w1, out.w1);
    mps_seg_abandon(seg);
}

static void trial(void)
{
    mps_seg *seg = NULL;
    bool have[OBJECTS] = {false};
    bool before = below(2) == 0;
    memcpy(t.w.buffer, t.pristine, BUFFER);
    if (below(3) == 0) {
        leave_a_dead_one();
    }
    if (before) {
        damage(NULL);
    }
    if (mps_seg_adopt(t.w.buffer, BUFFER, false, &seg) != MPS_OK) {
        return;
    }
    for (uint32_t i = 0; i < OBJECTS; i++) {
        have[i] = mps_ref_attach(seg, door, t.offs[i], t.serials[i], 0) == MPS_OK;
    }
    t.w.seg = seg;
    if (!before) {
        damage(seg);
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        if (below(40) == 0) {
            damage(seg);
        }
        step(seg, have);
    }
    char why[200];
    (void)mps_seg_check(seg, why, sizeof(why));
    for (uint32_t i = 0; i < OBJECTS; i++) {
        if (have[i]) {
            mps_ref_drop(seg, door, t.offs[i]);
        }
    }
    if (below(2) == 0) {
        mps_seg_release(seg);
    } else {
        mps_seg_abandon(seg);
    }
}

int main(void)
{
    check_rng rng = check_seed(20240506);
    furnish();
    trials_run(rng, TRIALS, &t.rng, trial);
    free(t.pristine);
    free(t.w.buffer);
    return 0;
}
