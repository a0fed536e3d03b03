/* test_cell.c -- one value behind a guard. */
#include "content.h"

static const mps_door door = MPS_DOOR_FREE;

static void expect(const world *w, mps_off cell, uint64_t id)
{
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_cell_get(w->seg, door, cell, &copy));
    check_copy(w, &copy, id, false);
}

/* What was set is what is read, whatever way it is stored; an exchange happens if what is there is as expected;
 * and what is there can be told from all else. */
static void test_model(check_rng *rng)
{
    static thing t, other;
    world w = world_make(8u << 20);
    mps_off cell = world_object(&w, MPS_KIND_VALUE, sizeof(mps_cell));
    uint64_t now = 0; /* None, as all bytes zero are */
    expect(&w, cell, now);
    for (int i = 0; i < 4000; i++) {
        uint64_t id = check_random(rng) >> 20;
        bool right = check_below(rng, 2) == 0;
        thing_value(&w, &t, id);
        thing_value(&w, &other, right ? now : now + 11);
        if (check_below(rng, 2) == 0) {
            CHECK_OK(mps_cell_set(w.seg, door, cell, &t.enc));
            now = id;
        } else {
            CHECK_STATUS(mps_cell_exchange(w.seg, door, cell, &other.enc, &t.enc), right ? MPS_OK : MPS_E_CHANGED);
            now = right ? id : now;
        }
        expect(&w, cell, now);
        thing_value(&w, &other, now);
        bool same = false;
        CHECK_OK(mps_cell_same(w.seg, door, cell, &other.enc, &same));
        CHECK(same);
        thing_value(&w, &other, now + 11);
        CHECK_OK(mps_cell_same(w.seg, door, cell, &other.enc, &same));
        CHECK(!same);
        if (i % 100 == 0) {
            CHECK_SOUND(w.seg);
        }
    }
    mps_ref_drop(w.seg, door, cell);
    world_end(&w);
}

/* Only whole numbers are added to, and only within 64 bits. */
static void test_add(void)
{
    world w = world_make(4u << 20);
    mps_off cell = world_object(&w, MPS_KIND_VALUE, sizeof(mps_cell));
    mps_enc most = {.value = mps_value_int(INT64_MAX - 1)};
    int64_t sum;
    CHECK_STATUS(mps_cell_add(w.seg, door, cell, 1, &sum), MPS_E_TYPE);
    CHECK_OK(mps_cell_set(w.seg, door, cell, &most));
    CHECK_OK(mps_cell_add(w.seg, door, cell, 1, &sum));
    CHECK(sum == INT64_MAX);
    CHECK_STATUS(mps_cell_add(w.seg, door, cell, 1, &sum), MPS_E_OVERFLOW);
    CHECK_OK(mps_cell_add(w.seg, door, cell, INT64_MIN, &sum));
    CHECK(sum == -1);
    mps_ref_drop(w.seg, door, cell);
    world_end(&w);
}

/* After the end of the segment, every operation says so. */
static void test_closed(void)
{
    world w = world_make(4u << 20);
    mps_off cell = world_object(&w, MPS_KIND_VALUE, sizeof(mps_cell));
    mps_enc value = {.value = mps_value_int(1)};
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_seg_shutdown(w.seg));
    CHECK_STATUS(mps_cell_set(w.seg, door, cell, &value), MPS_E_CLOSED);
    CHECK_STATUS(mps_cell_get(w.seg, door, cell, &copy), MPS_E_CLOSED);
    mps_seg_release(w.seg);
    free(w.buffer);
}

int main(void)
{
    check_rng rng = check_seed(20240503);
    test_model(&rng);
    test_add();
    test_closed();
    return 0;
}
