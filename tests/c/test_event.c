/* test_event.c -- the flag that processes wait for. */
#include "sync_place.h"

#include "event.h"

static bool is_set(const place *p)
{
    bool set;
    CHECK_OK(mps_event_is_set(p->seg, p->off, &set));
    return set;
}

/* Set and cleared as often as one likes; each set after a clear is a generation. */
static void test_flag(void)
{
    place p = place_adopt(MPS_KIND_EVENT);
    const mps_event *e = mps_region_at(&p.seg->region, p.off);
    CHECK(!is_set(&p));
    CHECK_STATUS(mps_event_wait(p.seg, door, p.off, 0), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_event_wait(p.seg, door, p.off, 5 * MS), MPS_E_TIMEOUT);
    for (uint32_t i = 1; i <= 3; i++) {
        CHECK_OK(mps_event_set(p.seg, p.off));
        CHECK_OK(mps_event_set(p.seg, p.off));
        CHECK(is_set(&p) && e->word == (i << 1 | 1));
        CHECK_OK(mps_event_wait(p.seg, door, p.off, 0));
        CHECK_OK(mps_event_clear(p.seg, p.off));
        CHECK_OK(mps_event_clear(p.seg, p.off));
        CHECK(!is_set(&p) && e->word == i << 1);
    }
    place_end(&p);
}

static void *wait_long(void *arg)
{
    place *p = arg;
    CHECK_OK(mps_event_wait(p->seg, door, p->off, LONG_NS));
    return NULL;
}

/* All who wait go on, though it is cleared at once. */
static void test_set_and_clear(void)
{
    place p = place_make(MPS_KIND_EVENT);
    mps_event *e = mps_region_at(&p.seg->region, p.off);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = in_thread(wait_long, &p);
    }
    while (mps_load32(&e->waiters) == 0) {
        mps_os_sleep(MS);
    }
    mps_os_sleep(20 * MS);
    CHECK_OK(mps_event_set(p.seg, p.off));
    CHECK_OK(mps_event_clear(p.seg, p.off));
    for (int i = 0; i < 4; i++) {
        join(threads[i]);
    }
    place_end(&p);
}

/* A generation that has come full circle is a set event as any. */
static void test_wrap(void)
{
    place p = place_adopt(MPS_KIND_EVENT);
    mps_event *e = mps_region_at(&p.seg->region, p.off);
    mps_store32(&e->word, UINT32_MAX - 1);
    CHECK(!is_set(&p));
    CHECK_OK(mps_event_set(p.seg, p.off));
    CHECK(is_set(&p) && e->word == 1);
    place_end(&p);
}

/* The end of the segment is the end of waiting. */
static void test_closed(void)
{
    place p = place_make(MPS_KIND_EVENT);
    bool set;
    CHECK_OK(mps_seg_shutdown(p.seg));
    CHECK_STATUS(mps_event_wait(p.seg, door, p.off, LONG_NS), MPS_E_CLOSED);
    CHECK_STATUS(mps_event_set(p.seg, p.off), MPS_E_CLOSED);
    CHECK_STATUS(mps_event_clear(p.seg, p.off), MPS_E_CLOSED);
    CHECK_STATUS(mps_event_is_set(p.seg, p.off, &set), MPS_E_CLOSED);
    mps_ref_drop(p.seg, door, p.off);
    mps_seg_release(p.seg);
}

int main(void)
{
    test_flag();
    test_set_and_clear();
    test_wrap();
    test_closed();
    return 0;
}
