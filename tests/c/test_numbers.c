/* test_numbers.c -- numbers of one type against a model: the same bytes in private memory. */
#include "content.h"

#include "numbers.h"

#define MOST 700u

static const mps_door door = MPS_DOOR_FREE;

static mps_off make(const world *w, uint32_t itemsize, uint64_t length, const void *items)
{
    mps_off off;
    uint64_t serial;
    CHECK_OK(mps_numbers_new(w->seg, door, (mps_numbers_form){length, 'i', itemsize}, items, &off, &serial));
    return off;
}

static void check_all(const world *w, mps_off off, const uint8_t *model, uint32_t itemsize, uint64_t length)
{
    static uint8_t found[MOST * 8];
    mps_numbers_form form;
    CHECK_OK(mps_numbers_form_get(w->seg, off, &form));
    CHECK(form.length == length && form.itemsize == itemsize && form.typecode == 'i');
    CHECK_OK(mps_numbers_read(w->seg, door, off, (mps_numbers_part){0, 1, length}, found));
    CHECK(memcmp(found, model, length * itemsize) == 0);
}

/* A part that lies inside, of any step. */
static mps_numbers_part random_part(check_rng *rng, uint64_t length)
{
    mps_numbers_part part = {.start = check_below(rng, length), .step = (int64_t)check_below(rng, 9) - 4};
    part.step = part.step == 0 ? 1 : part.step;
    uint64_t most =
        part.step > 0 ? (length - 1 - part.start) / (uint64_t)part.step + 1 : part.start / (uint64_t)-part.step + 1;
    part.n = check_below(rng, most + 1);
    return part;
}

/* Every item size, every step: what was written is what is read, and nothing else changes. */
static void test_model(check_rng *rng)
{
    static uint8_t model[MOST * 8], items[MOST * 8];
    world w = world_make(8u << 20);
    for (uint32_t itemsize = 1; itemsize <= 8; itemsize *= 2) {
        for (int round = 0; round < 12; round++) {
            uint64_t length = 1 + check_below(rng, MOST);
            for (uint64_t i = 0; i < length * itemsize; i++) {
                model[i] = (uint8_t)check_random(rng);
            }
            mps_off off = make(&w, itemsize, length, model);
            for (int step = 0; step < 60; step++) {
                mps_numbers_part part = random_part(rng, length);
                uint64_t item = check_random(rng), found = 0;
                uint64_t at = check_below(rng, length);
                CHECK_OK(mps_numbers_set(w.seg, door, off, at, item));
                memcpy(model + at * itemsize, &item, itemsize);
                CHECK_OK(mps_numbers_get(w.seg, door, off, at, &found));
                CHECK(memcmp(&found, &item, itemsize) == 0);
                for (uint64_t i = 0; i < part.n * itemsize; i++) {
                    items[i] = (uint8_t)check_random(rng);
                }
                CHECK_OK(mps_numbers_write(w.seg, door, off, part, items));
                for (uint64_t i = 0; i < part.n; i++) {
                    memcpy(model + (part.start + (uint64_t)part.step * i) * itemsize, items + i * itemsize, itemsize);
                }
                memset(items, 0, sizeof(items));
                part = random_part(rng, length);
                CHECK_OK(mps_numbers_read(w.seg, door, off, part, items));
                for (uint64_t i = 0; i < part.n; i++) {
                    CHECK(memcmp(model + (part.start + (uint64_t)part.step * i) * itemsize, items + i * itemsize,
                                 itemsize) == 0);
                }
                check_all(&w, off, model, itemsize, length);
            }
            CHECK_SOUND(w.seg);
            mps_ref_drop(w.seg, door, off);
        }
    }
    world_end(&w);
}

/* Indices and parts that are not inside are refused; what does not fit is refused and leaves nothing. */
static void test_range(void)
{
    static const uint8_t items[40];
    world w = world_make(4u << 20);
    mps_off off = make(&w, 4, 10, items), none;
    uint8_t out[64];
    uint64_t item, serial;
    CHECK_STATUS(mps_numbers_get(w.seg, door, off, 10, &item), MPS_E_RANGE);
    CHECK_STATUS(mps_numbers_set(w.seg, door, off, UINT64_MAX, 1), MPS_E_RANGE);
    static const mps_numbers_part bad[] = {{10, 1, 1},        {0, 1, 11},         {9, 1, 2},  {0, -1, 2},
                                           {5, INT64_MAX, 2}, {5, INT64_MIN, 2},  {0, 3, 5},  {UINT64_MAX, 1, 1},
                                           {0, 0, 11},        {0, 1, UINT64_MAX}, {9, -1, 11}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_STATUS(mps_numbers_read(w.seg, door, off, bad[i], out), MPS_E_RANGE);
        CHECK_STATUS(mps_numbers_write(w.seg, door, off, bad[i], items), MPS_E_RANGE);
    }
    CHECK_OK(mps_numbers_write(w.seg, door, off, (mps_numbers_part){99, 7, 0}, items));
    CHECK_STATUS(mps_numbers_new(w.seg, door, (mps_numbers_form){1, 'i', 3}, items, &none, &serial), MPS_E_INVAL);
    CHECK_STATUS(mps_numbers_new(w.seg, door, (mps_numbers_form){1, 0, 4}, items, &none, &serial), MPS_E_INVAL);
    CHECK_STATUS(mps_numbers_new(w.seg, door, (mps_numbers_form){UINT64_MAX, 'i', 4}, items, &none, &serial),
                 MPS_E_TOOLARGE);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

/* What was begun is undone wholly: the journal has no room, and the array is as it was. */
static void test_full(void)
{
    static uint8_t items[3000000], found[3000000], other[3000000];
    world w = world_make(4u << 20);
    memset(other, 0xff, sizeof(other));
    mps_off off = make(&w, 1, sizeof(items), items);
    mps_status st = mps_numbers_write(w.seg, door, off, (mps_numbers_part){1, 1, sizeof(items) - 1}, other);
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK_OK(mps_numbers_read(w.seg, door, off, (mps_numbers_part){0, 1, sizeof(items)}, found));
    CHECK(memcmp(found, items, sizeof(items)) == 0);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

/* Another's lock keeps changes off, not reads; the end of the segment ends all. */
static void test_locked_and_closed(void)
{
    static const uint8_t items[40];
    world w = world_make(4u << 20);
    mps_off off = make(&w, 4, 10, items);
    mps_object *object = mps_region_at(&w.seg->region, off);
    uint64_t item;
    uint8_t out[40];
    object->user.word = w.seg->token ^ 1u;
    CHECK_STATUS(mps_numbers_set(w.seg, door, off, 0, 1), MPS_E_BUSY);
    CHECK_STATUS(mps_numbers_write(w.seg, door, off, (mps_numbers_part){0, 1, 2}, items), MPS_E_BUSY);
    CHECK_OK(mps_numbers_get(w.seg, door, off, 0, &item));
    object->user.word = 0;
    object->guard.seq |= 1; /* as a killed writer leaves it: the lock mends it */
    CHECK_OK(mps_numbers_get(w.seg, door, off, 0, &item));
    object->guard.seq += object->guard.seq & 1u;
    CHECK_OK(mps_seg_shutdown(w.seg));
    CHECK_STATUS(mps_numbers_set(w.seg, door, off, 0, 1), MPS_E_CLOSED);
    CHECK_STATUS(mps_numbers_get(w.seg, door, off, 0, &item), MPS_E_CLOSED);
    CHECK_STATUS(mps_numbers_read(w.seg, door, off, (mps_numbers_part){0, 1, 10}, out), MPS_E_CLOSED);
    CHECK_STATUS(mps_numbers_write(w.seg, door, off, (mps_numbers_part){0, 1, 2}, items), MPS_E_CLOSED);
    mps_seg_release(w.seg);
    free(w.buffer);
}

/* Whatever the head says, there is an answer, and nothing outside of the segment is touched. */
static void test_nonsense(check_rng *rng)
{
    static const uint8_t items[800];
    static uint8_t out[1u << 20];
    world w = world_make(4u << 20);
    mps_off off = make(&w, 8, 100, items);
    mps_numbers *a = mps_region_at(&w.seg->region, off);
    char why[200];
    for (int i = 0; i < 4000; i++) {
        a->length = check_random(rng) >> check_below(rng, 64);
        a->typecode = (uint32_t)(check_random(rng) >> check_below(rng, 64));
        a->itemsize = check_below(rng, 2) == 0 ? 1u << check_below(rng, 5) : (uint32_t)check_random(rng);
        mps_numbers_form form;
        uint64_t item;
        mps_status st = mps_numbers_form_get(w.seg, off, &form);
        CHECK(st == MPS_OK || st == MPS_E_CORRUPT);
        CHECK(st != MPS_OK || form.length <= w.nbytes);
        (void)mps_numbers_get(w.seg, door, off, check_random(rng) >> check_below(rng, 64), &item);
        if (st == MPS_OK) {
            mps_numbers_part part = {check_below(rng, 1000), (int64_t)check_below(rng, 5), check_below(rng, 1000)};
            (void)mps_numbers_read(w.seg, door, off, part, out);
        }
        (void)mps_seg_check(w.seg, why, sizeof(why));
    }
    a->length = 100;
    a->typecode = 'i';
    a->itemsize = 8;
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240613);
    test_model(&rng);
    test_range();
    test_full();
    test_locked_and_closed();
    test_nonsense(&rng);
    return 0;
}
