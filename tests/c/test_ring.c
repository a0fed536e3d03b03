/* test_ring.c -- queues: order, sizes, ends of chunks, tasks, shutting down, what is left behind. */
#include "content.h"

#include "ring_body.h"

#define MOST 4096u

static const mps_door door = MPS_DOOR_FREE;

static mps_off queue_make(const world *w, int64_t maxsize)
{
    mps_off off = world_object(w, MPS_KIND_QUEUE, sizeof(mps_ring));
    CHECK_OK(mps_ring_limit(w->seg, off, maxsize));
    return off;
}

static void put(const world *w, mps_off q, uint64_t id)
{
    static thing t;
    thing_value(w, &t, id);
    CHECK_OK(mps_ring_put(w->seg, door, q, &t.enc, 0));
}

static void expect(const world *w, mps_off q, uint64_t id)
{
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_ring_get(w->seg, door, q, &copy, 0));
    check_copy(w, &copy, id, false);
}

static void expect_status(const world *w, mps_off q, mps_status status)
{
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_STATUS(mps_ring_get(w->seg, door, q, &copy, 0), status);
    mps_copy_done(&copy);
}

static uint32_t count(const world *w, mps_off q)
{
    uint32_t n;
    CHECK_OK(mps_ring_count(w->seg, door, q, &n));
    return n;
}

/* Things of every kind come out as they went in, in their order, through chunks of every size. */
static void test_model(check_rng *rng)
{
    static uint64_t ids[MOST];
    world w = world_make(64u << 20);
    mps_off q = queue_make(&w, 0);
    uint64_t begin = 0, end = 0;
    for (int i = 0; i < 30000; i++) {
        bool filling = (i / 1500) % 2 == 0;
        if (check_below(rng, 10) < (filling ? 7u : 3u) && end - begin < MOST) {
            ids[end % MOST] = check_random(rng) >> 20;
            put(&w, q, ids[end++ % MOST]);
        } else if (end > begin) {
            expect(&w, q, ids[begin++ % MOST]);
        } else {
            expect_status(&w, q, MPS_E_TIMEOUT);
        }
        CHECK(count(&w, q) == end - begin);
        if (i % 1000 == 0) {
            CHECK_SOUND(w.seg);
        }
    }
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

/* The counters may pass 2^32: nothing notices. */
static void test_wrap(void)
{
    world w = world_make(8u << 20);
    mps_off q = queue_make(&w, 100);
    mps_ring *r = mps_ring_at(w.seg, q);
    r->put = r->got = mps_ring_word(UINT32_MAX - 70, 0);
    r->done = r->seen = r->room = UINT32_MAX - 70;
    for (uint64_t i = 0; i < 100; i++) {
        put(&w, q, i);
    }
    mps_enc one = {.value = mps_value_int(1)};
    CHECK_STATUS(mps_ring_put(w.seg, door, q, &one, 1000000), MPS_E_TIMEOUT);
    CHECK(count(&w, q) == 100);
    CHECK_SOUND(w.seg);
    for (uint64_t i = 0; i < 100; i++) {
        expect(&w, q, i);
        CHECK_OK(mps_ring_task_done(w.seg, door, q));
    }
    CHECK_STATUS(mps_ring_task_done(w.seg, door, q), MPS_E_RANGE);
    CHECK_OK(mps_ring_join(w.seg, door, q, 0));
    expect_status(&w, q, MPS_E_TIMEOUT);
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

/* maxsize is exact; a full queue and an empty one answer in time. */
static void test_limits(void)
{
    world w = world_make(8u << 20);
    mps_off q = queue_make(&w, 3);
    mps_enc one = {.value = mps_value_int(1)};
    static thing blob;
    thing_value(&w, &blob, 7);
    for (int round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < 3; i++) {
            CHECK_OK(mps_ring_ready(w.seg, door, q, true, 0));
            put(&w, q, i + 5);
        }
        CHECK_STATUS(mps_ring_put(w.seg, door, q, &one, 0), MPS_E_TIMEOUT);
        CHECK_STATUS(mps_ring_put(w.seg, door, q, &blob.enc, 0), MPS_E_TIMEOUT);
        CHECK_STATUS(mps_ring_ready(w.seg, door, q, true, 1000), MPS_E_TIMEOUT);
        for (uint64_t i = 0; i < 3; i++) {
            expect(&w, q, i + 5);
        }
        CHECK_STATUS(mps_ring_ready(w.seg, door, q, false, 1000), MPS_E_TIMEOUT);
    }
    CHECK_STATUS(mps_ring_join(w.seg, door, q, 1000), MPS_E_TIMEOUT);
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

/* After shutdown nothing goes in; what is there comes out, or is thrown away as finished. */
static void test_shut(bool at_once)
{
    world w = world_make(32u << 20);
    mps_off q = queue_make(&w, 0);
    mps_enc one = {.value = mps_value_int(1)};
    for (uint64_t i = 0; i < 500; i++) {
        put(&w, q, i);
    }
    for (uint64_t i = 0; i < 7; i++) {
        expect(&w, q, i);
    }
    CHECK_OK(mps_ring_shut(w.seg, door, q, at_once));
    CHECK_SOUND(w.seg);
    CHECK_STATUS(mps_ring_put(w.seg, door, q, &one, MPS_FOREVER), MPS_E_CHANGED);
    CHECK(count(&w, q) == (at_once ? 0 : 493));
    for (uint64_t i = 7; i < 500 && !at_once; i++) {
        expect(&w, q, i);
        CHECK_OK(mps_ring_task_done(w.seg, door, q));
    }
    expect_status(&w, q, MPS_E_CHANGED);
    for (uint64_t i = 0; i < 7; i++) {
        CHECK_STATUS(mps_ring_join(w.seg, door, q, 0), MPS_E_TIMEOUT);
        CHECK_OK(mps_ring_task_done(w.seg, door, q));
    }
    CHECK_OK(mps_ring_join(w.seg, door, q, 0));
    CHECK_OK(mps_ring_shut(w.seg, door, q, true));
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

/* A queue that dies takes with it what is in it, however much, and the queues in it too. */
static void test_drop(void)
{
    world w = world_make(64u << 20);
    mps_off q = queue_make(&w, 0), inner = queue_make(&w, 0);
    for (uint64_t i = 0; i < 3000; i++) {
        put(&w, q, i);
        put(&w, inner, i * 3);
    }
    mps_enc ref = {.value = {MPS_TAG_REF, inner}};
    CHECK_OK(mps_ring_put(w.seg, door, q, &ref, 0));
    mps_ref_drop(w.seg, door, inner);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

/* A segment that is full refuses, and loses nothing. */
static void test_full_segment(void)
{
    world w = world_make(1u << 20);
    mps_off q = queue_make(&w, 0);
    static thing t;
    uint64_t n = 0;
    mps_status st = MPS_OK;
    while (st == MPS_OK) {
        thing_value(&w, &t, n);
        st = mps_ring_put(w.seg, door, q, &t.enc, 0);
        n += st == MPS_OK;
    }
    CHECK(st == MPS_E_FULL && n > 50);
    CHECK_SOUND(w.seg);
    for (uint64_t i = 0; i < n; i++) {
        expect(&w, q, i);
    }
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

/* A put whose maker died between its commit and the last store is taken by the next consumer, and counted. */
static void test_tentative(void)
{
    world w = world_make(8u << 20);
    mps_off q = queue_make(&w, 0);
    mps_ring *r = mps_ring_at(w.seg, q);
    put(&w, q, 7);
    put(&w, q, 10);
    r->put |= MPS_RING_TENTATIVE;
    CHECK_SOUND(w.seg);
    expect(&w, q, 7);
    CHECK((r->put & MPS_RING_TENTATIVE) != 0);
    CHECK(count(&w, q) == 1);
    r->put |= MPS_RING_TENTATIVE;
    expect(&w, q, 10);
    CHECK((r->put & MPS_RING_TENTATIVE) == 0);
    mps_ref_drop(w.seg, door, q);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20260711);
    test_model(&rng);
    test_wrap();
    test_limits();
    test_shut(false);
    test_shut(true);
    test_drop();
    test_full_segment();
    test_tentative();
    return 0;
}
