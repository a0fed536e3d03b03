/* test_crash.c -- a process that dies at any store of any operation on contents leaves it done or not done.
 *
 * In each trial a worker, one attachment of a segment, carries out an operation and dies at a point; the owner, another one,
 * recovers it. Then every byte must be accounted for, the containers must hold what they held before or what the operation makes
 * of them, and they must work. In some trials a helper recovers first, and dies at a point of that.
 */
#include "content.h"

#include <setjmp.h>

#include "crash.h"

#define BUFFER ((uint64_t)1 << 20)
#define POINTS 400u    /* of one operation that are died at, spread over all; the first and the last hundred always */
#define RECOVERIES 12u /* of one operation that are killed while they recover */
#define FULL 21u       /* entries of a table that has no room for one more */

static const mps_door door = MPS_DOOR_FREE;
static jmp_buf grave;

/* What all trials begin with. */
static struct {
    world w;
    uint8_t *pristine;
    mps_off dict, thin, list, shorts, cell, lock;
    mps_seg *worker, *helper;
    uint64_t token, serial;
    uint64_t before, after, objects_before, objects_after, points;
    mps_copy copy, other;
    mps_snap snap;
} t;

/* ---- what is there ---- */

static uint64_t hash_copy(uint64_t h, const mps_copy *copy)
{
    h = mps_mix(h ^ mps_value_tag(copy->value), 0x9e3779b97f4a7c15u);
    if (mps_value_tag(copy->value) <= MPS_TAG_FLOAT || mps_value_tag(copy->value) == MPS_TAG_REF) {
        return mps_mix(h ^ copy->value.w1, 0xd1b54a32d192ed03u);
    }
    h = mps_hash_bytes(copy->data, copy->nbytes, h);
    return copy->n_refs > 0 ? mps_hash_bytes(copy->refs, copy->n_refs * sizeof(mps_off), h) : h;
}

static uint64_t hash_snap(uint64_t h, mps_snap *snap)
{
    h = mps_mix(h ^ snap->n_items, 0x8cb92ba72f3d8dd7u);
    for (uint64_t i = 0; i < snap->n_items; i++) {
        mps_copy copy;
        mps_snap_item(snap, i, &copy);
        h = hash_copy(h, &copy);
    }
    mps_snap_drop_refs(t.w.seg, door, snap, 0);
    mps_snap_done(snap);
    return h;
}

/* One number for the contents of everything, as the owner sees it. */
static uint64_t contents(void)
{
    const mps_slice all = {.step = 1, .no_start = true, .no_stop = true};
    const mps_off tables[] = {t.dict, t.thin}, lists[] = {t.list, t.shorts};
    uint64_t h = 1;
    mps_snap snap;
    for (int i = 0; i < 2; i++) {
        mps_snap_init(&snap);
        CHECK_OK(mps_table_snapshot(t.w.seg, door, tables[i], MPS_SNAP_BOTH, &snap));
        h = hash_snap(h, &snap);
        mps_snap_init(&snap);
        CHECK_OK(mps_vector_snapshot(t.w.seg, door, lists[i], all, &snap));
        h = hash_snap(h, &snap);
    }
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_cell_get(t.w.seg, door, t.cell, &copy));
    h = hash_copy(h, &copy);
    mps_copy_drop_refs(t.w.seg, door, &copy);
    mps_copy_done(&copy);
    return h;
}

static uint64_t objects(void)
{
    return mps_load64(&mps_seg_root(t.w.seg)->objects);
}

/* ---- operations ---- */

static thing k, v, things[64];
static mps_enc encs[64];

static void key_value(uint64_t key, uint64_t value)
{
    thing_key(&t.w, &k, key);
    thing_value(&t.w, &v, value);
}

static void numbers_from(uint64_t first, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        thing_value(&t.w, &things[i], first + i);
        encs[i] = things[i].enc;
    }
}

static void set(mps_seg *seg, mps_off table, uint64_t key, uint64_t value)
{
    key_value(key, value);
    CHECK_OK(mps_table_set(seg, door, table, &k.enc, &v.enc));
}

static void pop(mps_seg *seg, mps_off table, uint64_t key, bool copied)
{
    thing_key(&t.w, &k, key);
    CHECK_OK(mps_table_pop(seg, door, table, &k.enc, copied ? &t.copy : NULL));
}

static void op_set_new(mps_seg *seg)
{
    set(seg, t.thin, 1000 * 16 + 9, 11);
}
static void op_set_far(mps_seg *seg)
{
    set(seg, t.thin, 1000 * 16, 16 * 7 + 5);
}
static void op_set_refs(mps_seg *seg)
{
    set(seg, t.thin, 1000 * 16 + 1, 16 * 7 + 8);
}
static void op_set_blob(mps_seg *seg)
{
    set(seg, t.thin, 1000 * 16 + 2, 16 * 7 + 7);
}
static void op_set_grow(mps_seg *seg)
{
    set(seg, t.dict, 1000 * 16, 16 * 7 + 6);
}
static void op_replace(mps_seg *seg)
{
    set(seg, t.dict, 11, 11);
}
static void op_replace_none(mps_seg *seg)
{
    set(seg, t.dict, 11, 0);
}
static void op_replace_far(mps_seg *seg)
{
    set(seg, t.dict, 5, 16 * 9 + 5);
}
static void op_replace_refs(mps_seg *seg)
{
    set(seg, t.dict, 8, 16 * 9 + 9);
}
static void op_replace_blob(mps_seg *seg)
{
    set(seg, t.dict, 7, 16 * 9 + 7);
}
static void op_pop(mps_seg *seg)
{
    pop(seg, t.dict, 12, true);
}
static void op_pop_far(mps_seg *seg)
{
    pop(seg, t.dict, 16, true);
}
static void op_pop_ref(mps_seg *seg)
{
    pop(seg, t.dict, 10, true);
}
static void op_pop_refs(mps_seg *seg)
{
    pop(seg, t.dict, 9, true);
}
static void op_pop_blob(mps_seg *seg)
{
    pop(seg, t.dict, 7, true);
}
static void op_pop_shrink(mps_seg *seg)
{
    pop(seg, t.thin, 500, false);
}

static void op_pop_last(mps_seg *seg)
{
    CHECK_OK(mps_table_pop_last(seg, door, t.dict, &t.copy, &t.other));
}

static void op_setdefault(mps_seg *seg)
{
    key_value(16 * 1000 + 2, 16 * 7 + 7);
    CHECK_OK(mps_table_setdefault(seg, door, t.thin, &k.enc, &v.enc, &t.copy));
}

static void exchange(mps_seg *seg, uint64_t key, const uint64_t *expected, const uint64_t *value)
{
    key_value(key, value != NULL ? *value : 0);
    if (expected != NULL) {
        thing_value(&t.w, &things[0], *expected);
    }
    CHECK_OK(mps_table_exchange(seg, door, t.dict, &k.enc, expected != NULL ? &things[0].enc : NULL,
                                value != NULL ? &v.enc : NULL));
}

static void op_exchange(mps_seg *seg)
{
    exchange(seg, 5, &(uint64_t){5}, &(uint64_t){16 * 3 + 7});
}
static void op_exchange_out(mps_seg *seg)
{
    exchange(seg, 7, &(uint64_t){7}, NULL);
}
static void op_exchange_in(mps_seg *seg)
{
    exchange(seg, 16 * 1000 + 1, NULL, &(uint64_t){16 * 3 + 8});
}

static void op_add(mps_seg *seg)
{
    int64_t sum;
    thing_key(&t.w, &k, 11);
    CHECK_OK(mps_table_add(seg, door, t.dict, &k.enc, 5, 0, &sum));
}

static void op_add_new(mps_seg *seg)
{
    int64_t sum;
    thing_key(&t.w, &k, 16 * 1000);
    CHECK_OK(mps_table_add(seg, door, t.thin, &k.enc, 5, 0, &sum));
}

/* Old and new keys, more than the lane's own journal remembers. */
static void op_update(mps_seg *seg)
{
    static thing keys[48];
    static mps_enc key_encs[48];
    numbers_from(16 * 40, 48);
    for (uint64_t i = 0; i < 48; i++) {
        thing_key(&t.w, &keys[i], i % 2 == 0 ? i / 2 % FULL : 16 * 2000 + i);
        key_encs[i] = keys[i].enc;
    }
    CHECK_OK(mps_table_update(seg, door, t.dict, key_encs, encs, 48));
}

static void op_clear(mps_seg *seg)
{
    CHECK_OK(mps_table_clear(seg, door, t.dict));
}

/* References and blobs that the worker does not have yet are taken under the guard. */
static void get(mps_seg *seg, uint64_t key)
{
    thing_key(&t.w, &k, key);
    CHECK_OK(mps_table_get(seg, door, t.dict, &k.enc, &t.copy));
}

static void op_get_ref(mps_seg *seg)
{
    get(seg, 10);
}
static void op_get_refs(mps_seg *seg)
{
    get(seg, 9);
}
static void op_get_blob(mps_seg *seg)
{
    get(seg, 7);
}

static void op_snapshot(mps_seg *seg)
{
    CHECK_OK(mps_table_snapshot(seg, door, t.dict, MPS_SNAP_BOTH, &t.snap));
}

static void append(mps_seg *seg, mps_off list, uint64_t value)
{
    thing_value(&t.w, &v, value);
    CHECK_OK(mps_vector_append(seg, door, list, &v.enc));
}

static void op_append(mps_seg *seg)
{
    append(seg, t.shorts, 11);
}
static void op_append_far(mps_seg *seg)
{
    append(seg, t.shorts, 16 * 7 + 8);
}
static void op_append_blob(mps_seg *seg)
{
    append(seg, t.shorts, 16 * 7 + 7);
}

static void put_item(mps_seg *seg, int64_t index, uint64_t value)
{
    thing_value(&t.w, &v, value);
    CHECK_OK(mps_vector_set(seg, door, t.list, index, &v.enc));
}

static void op_item(mps_seg *seg)
{
    put_item(seg, 11, 12);
}
static void op_item_far(mps_seg *seg)
{
    put_item(seg, 5, 16 * 7 + 6);
}
static void op_item_blob(mps_seg *seg)
{
    put_item(seg, 7, 16 * 7 + 7);
}

static void op_insert(mps_seg *seg)
{
    thing_value(&t.w, &v, 16 * 7 + 5);
    CHECK_OK(mps_vector_insert(seg, door, t.shorts, 1, &v.enc));
}

static void op_pop_first(mps_seg *seg)
{
    CHECK_OK(mps_vector_pop(seg, door, t.list, 5, &t.copy));
}
static void op_pop_end(mps_seg *seg)
{
    CHECK_OK(mps_vector_pop(seg, door, t.list, -1, &t.copy));
}

static void op_remove(mps_seg *seg)
{
    thing_value(&t.w, &v, 9);
    CHECK_OK(mps_vector_remove_at(seg, door, t.list, 9, &v.enc));
}

static void assign(mps_seg *seg, mps_slice slice, uint64_t n)
{
    uint64_t found;
    numbers_from(16 * 50 + 4, n);
    CHECK_OK(mps_vector_assign(seg, door, t.list, slice, encs, n, &found));
}

static void op_extend(mps_seg *seg)
{
    numbers_from(16 * 50, 50);
    CHECK_OK(mps_vector_extend(seg, door, t.list, encs, 50));
}

static void op_assign_more(mps_seg *seg)
{
    assign(seg, (mps_slice){.start = 2, .stop = 12, .step = 1}, 14);
}
static void op_assign_less(mps_seg *seg)
{
    assign(seg, (mps_slice){.start = 2, .stop = 12, .step = 1}, 3);
}
static void op_assign_same(mps_seg *seg)
{
    assign(seg, (mps_slice){.start = 2, .stop = 14, .step = 1}, 12);
}
static void op_assign_aside(mps_seg *seg)
{
    assign(seg, (mps_slice){.start = 2, .stop = 30, .step = 1}, 9);
}
static void op_assign_stepped(mps_seg *seg)
{
    assign(seg, (mps_slice){.start = 30, .stop = 2, .step = -3}, 10);
}
static void delete(mps_seg *seg, mps_slice slice)
{
    CHECK_OK(mps_vector_delete(seg, door, t.list, slice));
}
static void op_delete(mps_seg *seg)
{
    delete(seg, (mps_slice){.start = 3, .stop = 12, .step = 1});
}
static void op_delete_many(mps_seg *seg)
{
    delete(seg, (mps_slice){.start = 3, .stop = 35, .step = 1});
}
static void op_delete_end(mps_seg *seg)
{
    delete(seg, (mps_slice){.start = 11, .step = 1, .no_stop = true});
}
static void op_delete_stepped(mps_seg *seg)
{
    delete(seg, (mps_slice){.start = 1, .stop = 38, .step = 2});
}
static void op_reverse(mps_seg *seg)
{
    CHECK_OK(mps_vector_reverse(seg, door, t.list));
}
static void op_reverse_short(mps_seg *seg)
{
    CHECK_OK(mps_vector_reverse(seg, door, t.shorts));
}
static void op_repeat(mps_seg *seg)
{
    CHECK_OK(mps_vector_repeat(seg, door, t.list, 2));
}
static void op_clear_list(mps_seg *seg)
{
    CHECK_OK(mps_vector_clear(seg, door, t.list));
}

static void op_replace_list(mps_seg *seg)
{
    const mps_vector *list = mps_region_at(&seg->region, t.list);
    numbers_from(16 * 60, 20);
    CHECK_OK(mps_vector_replace(seg, door, t.list, encs, 20, list->object.guard.seq));
}

static void op_cell(mps_seg *seg)
{
    thing_value(&t.w, &v, 16 * 7 + 5);
    CHECK_OK(mps_cell_set(seg, door, t.cell, &v.enc));
}

static void op_cell_blob(mps_seg *seg)
{
    thing_value(&t.w, &things[0], 9);
    thing_value(&t.w, &v, 16 * 7 + 7);
    CHECK_OK(mps_cell_exchange(seg, door, t.cell, &things[0].enc, &v.enc));
}

/* A container of the worker's own, with things in it, that is dropped again: dying is interrupted, too. */
static void op_object(mps_seg *seg)
{
    mps_off dict, list;
    uint64_t serial;
    CHECK_OK(mps_object_new(seg, door, MPS_KIND_DICT, sizeof(mps_table), &dict, &serial));
    CHECK_OK(mps_object_new(seg, door, MPS_KIND_LIST, sizeof(mps_vector), &list, &serial));
    for (uint64_t i = 0; i < 11; i++) {
        append(seg, list, 16 + i);
    }
    for (uint64_t i = 0; i < 11; i++) {
        set(seg, dict, i, 32 + i);
    }
    key_value(300, 0);
    mps_enc ref = {.value = {MPS_TAG_REF, list}};
    CHECK_OK(mps_table_set(seg, door, dict, &k.enc, &ref));
    mps_ref_drop(seg, door, list);
    mps_ref_drop(seg, door, dict);
}

static void op_attach(mps_seg *seg)
{
    CHECK_OK(mps_ref_attach(seg, door, t.list, t.serial, 0));
    mps_ref_drop(seg, door, t.list);
}

static void op_take_token(mps_seg *seg)
{
    CHECK_OK(mps_ref_attach(seg, door, t.list, t.serial, t.token));
}

static void op_leave_token(mps_seg *seg)
{
    uint64_t token;
    CHECK_OK(mps_ref_attach(seg, door, t.list, t.serial, 0));
    CHECK_OK(mps_token_leave(seg, door, t.list, &token));
    mps_ref_drop(seg, door, t.list);
}

static void op_lock(mps_seg *seg)
{
    mps_userlock *lock = &((mps_object *)mps_region_at(&seg->region, t.lock))->user;
    CHECK_OK(mps_userlock_acquire(seg, door, lock, true, 0));
    CHECK_OK(mps_userlock_acquire(seg, door, lock, true, 0));
    CHECK_OK(mps_userlock_release(seg, MPS_DOOR_FREE, lock, true));
    CHECK_OK(mps_userlock_release(seg, MPS_DOOR_FREE, lock, true));
}

typedef struct operation {
    const char *name;
    void (*body)(mps_seg *seg);
} operation;

static const operation operations[] = {
    {"set new", op_set_new},
    {"set new, far", op_set_far},
    {"set new, references", op_set_refs},
    {"set new, blobs", op_set_blob},
    {"set, growing", op_set_grow},
    {"replace", op_replace},
    {"replace by another kind", op_replace_none},
    {"replace, far", op_replace_far},
    {"replace, references", op_replace_refs},
    {"replace, blob", op_replace_blob},
    {"pop", op_pop},
    {"pop, far", op_pop_far},
    {"pop, reference", op_pop_ref},
    {"pop, references", op_pop_refs},
    {"pop, blob", op_pop_blob},
    {"pop, shrinking", op_pop_shrink},
    {"popitem", op_pop_last},
    {"setdefault", op_setdefault},
    {"exchange", op_exchange},
    {"exchange for nothing", op_exchange_out},
    {"exchange nothing", op_exchange_in},
    {"add", op_add},
    {"add, new", op_add_new},
    {"update", op_update},
    {"clear", op_clear},
    {"get, reference", op_get_ref},
    {"get, references", op_get_refs},
    {"get, blob", op_get_blob},
    {"snapshot", op_snapshot},
    {"append, growing", op_append},
    {"append, references", op_append_far},
    {"append, blob", op_append_blob},
    {"item", op_item},
    {"item, far", op_item_far},
    {"item, blob", op_item_blob},
    {"insert", op_insert},
    {"pop from inside", op_pop_first},
    {"pop at the end", op_pop_end},
    {"remove", op_remove},
    {"extend", op_extend},
    {"assign more", op_assign_more},
    {"assign less", op_assign_less},
    {"assign as many", op_assign_same},
    {"assign, aside", op_assign_aside},
    {"assign with a step", op_assign_stepped},
    {"delete", op_delete},
    {"delete many", op_delete_many},
    {"delete the end", op_delete_end},
    {"delete with a step", op_delete_stepped},
    {"reverse", op_reverse},
    {"reverse, short", op_reverse_short},
    {"repeat", op_repeat},
    {"clear list", op_clear_list},
    {"replace list", op_replace_list},
    {"cell", op_cell},
    {"cell, blob", op_cell_blob},
    {"object", op_object},
    {"attach", op_attach},
    {"take a token", op_take_token},
    {"leave a token", op_leave_token},
    {"lock", op_lock},
};

/* ---- trials ---- */

static void furnish(void)
{
    t.w = world_make(BUFFER);
    mps_seg *seg = t.w.seg;
    t.dict = world_object(&t.w, MPS_KIND_DICT, sizeof(mps_table));
    t.thin = world_object(&t.w, MPS_KIND_DICT, sizeof(mps_table));
    t.shorts = world_object(&t.w, MPS_KIND_LIST, sizeof(mps_vector));
    t.cell = world_object(&t.w, MPS_KIND_VALUE, sizeof(mps_cell));
    t.lock = world_object(&t.w, MPS_KIND_RLOCK, sizeof(mps_object));
    CHECK_OK(mps_object_new(seg, door, MPS_KIND_LIST, sizeof(mps_vector), &t.list, &t.serial));
    for (uint64_t i = 0; i < FULL; i++) {
        set(seg, t.dict, i, i);
    }
    for (uint64_t i = 0; i < 50; i++) {
        set(seg, t.thin, 500 + i, 11);
    }
    for (uint64_t i = 10; i < 50; i++) {
        pop(seg, t.thin, 500 + i, false);
    }
    for (uint64_t i = 0; i < 40; i++) {
        append(seg, t.list, i);
    }
    const mps_vector *shorts = mps_region_at(&seg->region, t.shorts);
    do {
        append(seg, t.shorts, shorts->length + 4);
    } while (shorts->length < ((const uint64_t *)mps_region_at(&seg->region, shorts->body))[3]);
    thing_value(&t.w, &v, 9);
    CHECK_OK(mps_cell_set(seg, door, t.cell, &v.enc));
    CHECK_OK(mps_token_leave(seg, door, t.list, &t.token));
    CHECK_SOUND(seg);
    t.pristine = malloc(BUFFER);
    CHECK(t.pristine != NULL);
    memcpy(t.pristine, t.w.buffer, BUFFER);
}

/* The owner's private memory is as it was, since whatever it counts up it counts down again. */
static void set_up(void)
{
    memcpy(t.w.buffer, t.pristine, BUFFER);
    t.helper = check_adopt(t.w.buffer, BUFFER, false);
    t.worker = check_adopt(t.w.buffer, BUFFER, false);
    mps_copy_init(&t.copy);
    mps_copy_init(&t.other);
    mps_snap_init(&t.snap);
}

static void tear_down(void)
{
    mps_copy_done(&t.copy);
    mps_copy_done(&t.other);
    mps_snap_done(&t.snap);
}

static void jump(void)
{
    longjmp(grave, 1);
}

/* The operation, up to the n-th point; true: it was finished. */
static bool try_operation(const operation *op, uint64_t n)
{
    if (setjmp(grave) != 0) {
        mps_seg_abandon(t.worker);
        return false;
    }
    CHECK_OK(mps_crash_arm(n));
    op->body(t.worker);
    t.points = mps_crash_count();
    CHECK_OK(mps_crash_arm(0));
    return true;
}

static bool try_recovery(uint64_t n)
{
    if (setjmp(grave) != 0) {
        mps_seg_abandon(t.helper);
        return false;
    }
    CHECK_OK(mps_crash_arm(n));
    CHECK(mps_seg_recover(t.helper) == 1);
    t.points = mps_crash_count();
    CHECK_OK(mps_crash_arm(0));
    return true;
}

/* What the operation leads to, and how many points it has. The worker then dies without a word, so that what it refers to must be
 * taken back. */
static uint64_t rehearse(const operation *op)
{
    set_up();
    t.before = contents();
    t.objects_before = objects();
    CHECK(try_operation(op, 0));
    uint64_t points = t.points;
    mps_seg_abandon(t.worker);
    CHECK(mps_seg_recover(t.w.seg) == 1);
    CHECK_SOUND(t.w.seg);
    t.after = contents();
    t.objects_after = objects();
    mps_seg_release(t.helper);
    tear_down();
    return points;
}

/* Everything still works, and all can be dropped without a trace. */
static void use(void)
{
    mps_seg *seg = t.w.seg;
    mps_userlock *lock = &((mps_object *)mps_region_at(&seg->region, t.lock))->user;
    uint64_t before = contents();
    CHECK_OK(mps_userlock_acquire(seg, door, lock, false, 0));
    CHECK_OK(mps_userlock_release(seg, MPS_DOOR_FREE, lock, false));
    set(seg, t.dict, 16 * 5000, 16 * 5000 + 7);
    pop(seg, t.dict, 16 * 5000, false);
    append(seg, t.list, 16 * 5000 + 8);
    CHECK_OK(mps_vector_pop(seg, door, t.list, -1, NULL));
    CHECK(contents() == before);
}

static void verify(const operation *op, uint64_t n)
{
    char why[200] = "";
    mps_status st = mps_seg_check(t.w.seg, why, sizeof(why));
    uint64_t now = contents(), count = objects();
    bool right = (now == t.before && count == t.objects_before) || (now == t.after && count == t.objects_after);
    if (st != MPS_OK || !right) {
        fprintf(stderr, "%s, died at point %" PRIu64 ": %s (%s), contents %s, %" PRIu64 " objects\n", op->name, n,
                mps_status_text(st), why,
                now == t.before  ? "as before"
                : now == t.after ? "as after"
                                 : "neither",
                count);
        exit(1);
    }
}

static void bury(const operation *op, uint64_t n, uint64_t recovery_point)
{
    set_up();
    CHECK(!try_operation(op, n));
    if (try_recovery(recovery_point)) {
        verify(op, n);
        mps_seg_release(t.helper);
    } else {
        CHECK(mps_seg_recover(t.w.seg) >= 1);
        t.points = 0;
        verify(op, n);
    }
    use();
    verify(op, n);
    tear_down();
}

static void test_operation(const operation *op)
{
    uint64_t points = rehearse(op);
    uint64_t step = points > POINTS ? points / (POINTS - 200) : 1;
    for (uint64_t n = 1, trials = 0; n <= points; n += n < 100 || n + 100 > points ? 1 : step, trials++) {
        bury(op, n, 0);
        if (n % (points / RECOVERIES + 1) == 0) {
            bury(op, n, 1 + n * 37 % t.points);
        }
    }
    printf("%s: %" PRIu64 " points\n", op->name, points);
}

int main(int argc, char **argv)
{
    if (mps_crash_arm(0) != MPS_OK) {
        printf("not the crash build\n");
        return 0;
    }
    mps_crash_set_jump(jump);
    furnish();
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (argc < 2 || strcmp(argv[1], operations[i].name) == 0) {
            test_operation(&operations[i]);
        }
    }
    memcpy(t.w.buffer, t.pristine, BUFFER);
    mps_seg_release(t.w.seg);
    free(t.w.buffer);
    free(t.pristine);
    return 0;
}
