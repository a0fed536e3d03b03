/* test_names.c -- objects by name. */
#include "content.h"

#include "cell.h"
#include "names.h"

static const mps_door door = MPS_DOOR_FREE;

#define MODEL 64

static const char *name_text(char text[64], unsigned i)
{
    snprintf(text, 64,
             i % 3 == 0   ? "%u"
             : i % 3 == 1 ? "name %u"
                          : "a name that is longer than fourteen characters %u",
             i);
    return text;
}

static void key_of(const world *w, unsigned i, mps_enc *key, char text[64])
{
    name_text(text, i);
    mps_names_key(w->seg, text, strlen(text), key);
}

static void end(world *w, mps_off names)
{
    if (names != 0) {
        mps_ref_drop(w->seg, door, names);
    }
    for (uint32_t i = 0; i < THING_OBJECTS; i++) {
        mps_ref_drop(w->seg, door, w->objects[i]);
    }
    CHECK_SOUND(w->seg);
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w->seg, &stats));
    CHECK(stats.objects == 0);
    mps_seg_release(w->seg);
    free(w->buffer);
}

static uint64_t objects(const world *w)
{
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w->seg, &stats));
    return stats.objects;
}

/* There is no table until the first wants one; then it is there for good, and counts as nobody's object. */
static void test_the_table(void)
{
    world w = world_make(4u << 20);
    mps_off names = 0, again = 0;
    uint64_t before = objects(&w);
    CHECK_STATUS(mps_names_open(w.seg, door, false, &names), MPS_E_NOTFOUND);
    CHECK_OK(mps_names_open(w.seg, door, true, &names));
    CHECK_OK(mps_names_open(w.seg, door, false, &again));
    CHECK(names == again && names != 0);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, again);
    mps_ref_drop(w.seg, door, names);
    CHECK_SOUND(w.seg);
    CHECK_OK(mps_names_open(w.seg, door, false, &names));
    CHECK(names == again && objects(&w) == before);
    end(&w, names);
}

/* Whatever is entered and removed, names lead to what they must, and nothing is left behind. */
static void test_model(check_rng *rng)
{
    world w = world_make(16u << 20);
    mps_off names = 0, model[MODEL] = {0};
    uint64_t before = objects(&w), alive = 0;
    char text[64];
    mps_enc key;
    CHECK_OK(mps_names_open(w.seg, door, true, &names));
    for (int step = 0; step < 20000; step++) {
        unsigned i = (unsigned)check_below(rng, MODEL);
        key_of(&w, i, &key, text);
        mps_off found = 0;
        switch (check_below(rng, 6)) {
        case 0: {
            mps_status st = mps_names_construct(w.seg, door, names, &key, MPS_KIND_VALUE, sizeof(mps_cell), &found);
            CHECK_STATUS(st, model[i] != 0 ? MPS_E_EXISTS : MPS_OK);
            alive += model[i] == 0;
            model[i] = model[i] != 0 ? model[i] : found;
            break;
        }
        case 1: {
            mps_off mine = world_object(&w, MPS_KIND_VALUE, sizeof(mps_cell));
            CHECK_STATUS(mps_names_enter(w.seg, door, names, &key, mine), model[i] != 0 ? MPS_E_EXISTS : MPS_OK);
            alive += model[i] == 0;
            model[i] = model[i] != 0 ? model[i] : mine;
            mps_ref_drop(w.seg, door, mine);
            break;
        }
        case 2:
            CHECK_STATUS(mps_names_remove(w.seg, door, names, &key), model[i] != 0 ? MPS_OK : MPS_E_NOTFOUND);
            alive -= model[i] != 0;
            model[i] = 0;
            break;
        case 3: {
            bool right = check_below(rng, 2) == 0;
            mps_off expected = right ? model[i] : w.objects[0];
            bool there = right && model[i] != 0;
            if (expected != 0) {
                CHECK_STATUS(mps_names_remove_of(w.seg, door, names, &key, expected), there ? MPS_OK : MPS_E_NOTFOUND);
                alive -= there;
                model[i] = there ? 0 : model[i];
            }
            break;
        }
        default: {
            bool refer = check_below(rng, 2) == 0;
            CHECK_STATUS(mps_names_find(w.seg, door, names, &key, refer, &found),
                         model[i] != 0 ? MPS_OK : MPS_E_NOTFOUND);
            CHECK(model[i] == 0 || found == model[i]);
            if (model[i] != 0 && refer) {
                mps_ref_drop(w.seg, door, found);
            }
        }
        }
        CHECK(objects(&w) == before + alive);
        if (step % 1000 == 0) {
            CHECK_SOUND(w.seg);
        }
    }
    for (unsigned i = 0; i < MODEL; i++) {
        key_of(&w, i, &key, text);
        CHECK_STATUS(mps_names_remove(w.seg, door, names, &key), model[i] != 0 ? MPS_OK : MPS_E_NOTFOUND);
    }
    end(&w, names);
}

/* An object tells its name, the oldest; room for names is made at once. */
static void test_names_of_and_room(void)
{
    world w = world_make(8u << 20);
    mps_off names = 0, found;
    char text[64];
    mps_enc key;
    mps_copy copy;
    CHECK_OK(mps_names_open(w.seg, door, true, &names));
    mps_copy_init(&copy);
    CHECK_STATUS(mps_names_of(w.seg, door, names, w.objects[0], &copy), MPS_E_NOTFOUND);
    CHECK_OK(mps_names_reserve(w.seg, door, names, 1000));
    mps_stats room, full;
    CHECK_OK(mps_seg_stats(w.seg, &room));
    for (unsigned i = 0; i < 999; i += 3) { /* the short ones */
        key_of(&w, i, &key, text);
        CHECK_OK(mps_names_enter(w.seg, door, names, &key, w.objects[i / 3 % THING_OBJECTS]));
    }
    CHECK_OK(mps_seg_stats(w.seg, &full));
    CHECK(room.blocks == full.blocks && room.used == full.used);
    CHECK_OK(mps_names_of(w.seg, door, names, w.objects[1], &copy));
    CHECK(copy.nbytes == 1 && copy.data[0] == '3');
    mps_copy_done(&copy);
    CHECK_STATUS(mps_names_reserve(w.seg, door, names, (uint64_t)1 << 40), MPS_E_TOOLARGE);
    CHECK_STATUS(mps_names_reserve(w.seg, door, names, 1u << 30), MPS_E_FULL);
    CHECK_SOUND(w.seg);
    for (unsigned i = 0; i < 999; i += 3) {
        key_of(&w, i, &key, text);
        CHECK_OK(mps_names_find(w.seg, door, names, &key, false, &found));
        CHECK(found == w.objects[i / 3 % THING_OBJECTS]);
        CHECK_OK(mps_names_remove(w.seg, door, names, &key));
    }
    end(&w, names);
}

/* In a full segment nothing is entered half. */
static void test_full(void)
{
    world w = world_make(1u << 20);
    mps_off names = 0, found;
    char text[64];
    mps_enc key;
    unsigned n = 0;
    mps_status st = mps_names_open(w.seg, door, true, &names);
    for (; st == MPS_OK; n++) {
        key_of(&w, n, &key, text);
        st = mps_names_construct(w.seg, door, names, &key, MPS_KIND_VALUE, sizeof(mps_cell), &found);
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK(objects(&w) == THING_OBJECTS + n - 1);
    CHECK_SOUND(w.seg);
    for (unsigned i = 0; i < n; i++) {
        key_of(&w, i, &key, text);
        CHECK_STATUS(mps_names_remove(w.seg, door, names, &key), i + 1 < n ? MPS_OK : MPS_E_NOTFOUND);
    }
    end(&w, names);
}

/* While a thread holds the table's lock it alone uses the names; the others are told to wait. */
static void test_lock(void)
{
    world w = world_make(4u << 20);
    mps_off names = 0, found;
    char text[64];
    mps_enc key;
    CHECK_OK(mps_names_open(w.seg, door, true, &names));
    key_of(&w, 1, &key, text);
    mps_object *table = mps_region_at(&w.seg->region, names);
    CHECK_OK(mps_userlock_acquire(w.seg, door, &table->user, true, 0));
    CHECK_OK(mps_names_enter(w.seg, door, names, &key, w.objects[0]));
    CHECK_OK(mps_names_find(w.seg, door, names, &key, false, &found));
    uint64_t thread = table->user.thread;
    table->user.thread = thread + 1; /* another's now */
    CHECK_STATUS(mps_names_find(w.seg, door, names, &key, false, &found), MPS_E_BUSY);
    CHECK_STATUS(mps_names_enter(w.seg, door, names, &key, w.objects[0]), MPS_E_BUSY);
    CHECK_STATUS(mps_names_construct(w.seg, door, names, &key, MPS_KIND_LOCK, sizeof(mps_object), &found), MPS_E_BUSY);
    CHECK_STATUS(mps_names_remove(w.seg, door, names, &key), MPS_E_BUSY);
    CHECK_STATUS(mps_names_remove_of(w.seg, door, names, &key, w.objects[0]), MPS_E_BUSY);
    CHECK_STATUS(mps_names_reserve(w.seg, door, names, 1000), MPS_E_BUSY);
    table->user.thread = thread;
    CHECK_OK(mps_userlock_release(w.seg, door, &table->user, true));
    CHECK_OK(mps_names_remove(w.seg, door, names, &key));
    end(&w, names);
}

/* A word that leads nowhere, or to something else, is found by whoever uses it and by the check. */
static void test_hostile_word(check_rng *rng)
{
    world w = world_make(4u << 20);
    mps_off names = 0, opened;
    char why[200];
    mps_root *root = mps_seg_root(w.seg);
    CHECK_OK(mps_names_open(w.seg, door, true, &names));
    mps_ref_drop(w.seg, door, names);
    for (int i = 0; i < 2000; i++) {
        uint64_t bytes = check_random(rng);
        root->names = i == 0 ? w.objects[0] : i % 2 ? bytes : bytes % w.nbytes & ~(uint64_t)15;
        if (root->names == names) {
            continue;
        }
        mps_status st = root->names == 0 ? MPS_E_CORRUPT : mps_names_open(w.seg, door, true, &opened);
        CHECK_STATUS(st, MPS_E_CORRUPT);
        w.seg->control->state = MPS_STATE_READY;
        CHECK_STATUS(mps_seg_check(w.seg, why, sizeof(why)), MPS_E_CORRUPT);
        CHECK(why[0] != 0);
        w.seg->control->state = MPS_STATE_READY;
    }
    root->names = names;
    CHECK_OK(mps_names_open(w.seg, door, true, &opened));
    CHECK(opened == names);
    end(&w, names);
}

/* Names that lead to nonsense are damage, not a fault. */
static void test_hostile_values(check_rng *rng)
{
    world w = world_make(4u << 20);
    mps_off names = 0, found;
    char text[64];
    mps_enc key;
    CHECK_OK(mps_names_open(w.seg, door, true, &names));
    key_of(&w, 1, &key, text);
    for (int i = 0; i < 2000; i++) {
        mps_enc value = {.value = {check_below(rng, 16) == 0 ? MPS_TAG_REF : MPS_TAG_INT, check_random(rng)}};
        if (value.value.w0 == MPS_TAG_REF) {
            value.value.w1 = w.objects[check_below(rng, THING_OBJECTS)];
        }
        CHECK_OK(mps_table_set(w.seg, door, names, &key, &value));
        mps_status st = mps_names_find(w.seg, door, names, &key, true, &found);
        CHECK_STATUS(st, value.value.w0 == MPS_TAG_REF ? MPS_OK : MPS_E_CORRUPT);
        if (st == MPS_OK) {
            mps_ref_drop(w.seg, door, found);
        }
        w.seg->control->state = MPS_STATE_READY;
    }
    CHECK_OK(mps_names_remove(w.seg, door, names, &key));
    end(&w, names);
}

int main(void)
{
    check_rng rng = check_seed(41);
    test_the_table();
    test_model(&rng);
    test_names_of_and_room();
    test_full();
    test_lock();
    test_hostile_word(&rng);
    test_hostile_values(&rng);
    return 0;
}
