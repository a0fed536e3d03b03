/* test_cond.c -- waiting until notified: in order, exactly as many, and never for the dead. */
#include "sync_place.h"

#include "cond.h"

static uint64_t waiting(const place *p)
{
    uint64_t n;
    CHECK_OK(mps_cond_waiting(p->seg, door, p->off, &n));
    return n;
}

typedef struct waiter {
    const place *p;
    uint32_t *turn; /* counts those who go on */
    uint32_t place;
    pthread_t thread;
} waiter;

static void *wait_long(void *arg)
{
    waiter *w = arg;
    mps_turn turn;
    CHECK_OK(mps_cond_enter(w->p->seg, door, w->p->off, &turn));
    CHECK_OK(mps_cond_wait(w->p->seg, door, w->p->off, &turn, LONG_NS));
    w->place = __atomic_fetch_add(w->turn, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* One after the other, in the order in which they came. */
static void test_order(void)
{
    place p = place_make(MPS_KIND_CONDITION);
    uint32_t turn = 0;
    waiter w[4];
    for (uint32_t i = 0; i < 4; i++) {
        w[i] = (waiter){.p = &p, .turn = &turn};
        w[i].thread = in_thread(wait_long, &w[i]);
        while (waiting(&p) != i + 1) {
            mps_os_sleep(MS);
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        CHECK_OK(mps_cond_notify(p.seg, door, p.off, 1));
        join(w[i].thread);
        CHECK(w[i].place == i);
        CHECK(waiting(&p) == 3 - i);
        CHECK_SOUND(p.seg);
    }
    place_end(&p);
}

/* Who comes too late gets nothing, and who has waited long enough goes. */
static void test_timeout(void)
{
    place p = place_adopt(MPS_KIND_CONDITION);
    mps_turn turn;
    CHECK_OK(mps_cond_notify(p.seg, door, p.off, UINT64_MAX));
    for (uint64_t timeout_ns = 0; timeout_ns < 9 * MS; timeout_ns += 4 * MS) {
        CHECK_OK(mps_cond_enter(p.seg, door, p.off, &turn));
        CHECK_STATUS(mps_cond_wait(p.seg, door, p.off, &turn, timeout_ns), MPS_E_TIMEOUT);
        CHECK(waiting(&p) == 0);
    }
    CHECK_OK(mps_cond_enter(p.seg, door, p.off, &turn));
    CHECK_OK(mps_cond_notify(p.seg, door, p.off, 1));
    CHECK_OK(mps_cond_wait(p.seg, door, p.off, &turn, 0)); /* notified in time all the same */
    place_end(&p);
}

/* A notification that its waiter does not use is the next one's. */
static void test_quit(void)
{
    place p = place_adopt(MPS_KIND_CONDITION);
    mps_turn one, two, three;
    CHECK_OK(mps_cond_enter(p.seg, door, p.off, &one));
    CHECK_OK(mps_cond_enter(p.seg, door, p.off, &two));
    CHECK_OK(mps_cond_enter(p.seg, door, p.off, &three));
    CHECK_OK(mps_cond_notify(p.seg, door, p.off, 1));
    CHECK_OK(mps_cond_quit(p.seg, door, p.off, &three)); /* had none */
    CHECK(waiting(&p) == 1);
    CHECK_OK(mps_cond_quit(p.seg, door, p.off, &one));
    CHECK(waiting(&p) == 0);
    CHECK_OK(mps_cond_wait(p.seg, door, p.off, &two, LONG_NS));
    place_end(&p);
}

/* The dead are passed over; what they were notified of goes on. */
static void test_death(void)
{
    place p = place_adopt(MPS_KIND_CONDITION);
    mps_turn theirs, ours, again;
    for (int told = 0; told < 2; told++) {
        mps_seg *other = check_adopt(p.buffer, BUFFER, false);
        CHECK_OK(mps_cond_enter(other, door, p.off, &theirs));
        CHECK_OK(mps_cond_enter(p.seg, door, p.off, &ours));
        CHECK_OK(mps_cond_enter(p.seg, door, p.off, &again));
        CHECK(waiting(&p) == 3);
        if (told) {
            CHECK_OK(mps_cond_notify(p.seg, door, p.off, 1));
            mps_seg_abandon(other);
        } else {
            mps_seg_abandon(other);
            CHECK_OK(mps_cond_notify(p.seg, door, p.off, 1));
        }
        CHECK_OK(mps_cond_wait(p.seg, door, p.off, &ours, LONG_NS));
        CHECK(waiting(&p) == 1);
        CHECK_STATUS(mps_cond_wait(p.seg, door, p.off, &again, 10 * MS), MPS_E_TIMEOUT);
        CHECK_SOUND(p.seg);
    }
    place_end(&p);
}

/* More than a lane's journal holds, and more than fit on the stack. */
static void test_many(void)
{
    enum { N = 600 };
    place p = place_adopt(MPS_KIND_CONDITION);
    static mps_turn turns[N];
    for (int i = 0; i < N; i++) {
        CHECK_OK(mps_cond_enter(p.seg, door, p.off, &turns[i]));
    }
    CHECK_OK(mps_cond_notify(p.seg, door, p.off, UINT64_MAX));
    CHECK(waiting(&p) == 0);
    for (int i = 0; i < N; i++) {
        CHECK_OK(mps_cond_wait(p.seg, door, p.off, &turns[(i * 7) % N], LONG_NS));
    }
    for (int i = 0; i < N; i++) {
        CHECK_OK(mps_cond_enter(p.seg, door, p.off, &turns[i]));
    }
    place_end(&p); /* with all of them */
}

/* The lock is counted, and is a lock. */
static void test_lock(void)
{
    place p = place_adopt(MPS_KIND_CONDITION);
    mps_off lock, other;
    uint64_t serial;
    CHECK(mps_cond_lock(p.seg, p.off) == NULL);
    CHECK_OK(mps_object_new(p.seg, door, MPS_KIND_LOCK, sizeof(mps_object), &lock, &serial));
    CHECK_OK(mps_object_new(p.seg, door, MPS_KIND_RLOCK, sizeof(mps_object), &other, &serial));
    CHECK_STATUS(mps_cond_init(p.seg, door, p.off, p.off), MPS_E_TYPE);
    CHECK_STATUS(mps_cond_init(p.seg, door, p.off, 12345), MPS_E_TYPE);
    CHECK_OK(mps_cond_init(p.seg, door, p.off, lock));
    CHECK_OK(mps_cond_init(p.seg, door, p.off, other));
    mps_ref_drop(p.seg, door, lock);
    mps_ref_drop(p.seg, door, other);
    CHECK(mps_load64(&mps_seg_root(p.seg)->objects) == 2);
    CHECK(mps_cond_lock(p.seg, p.off) == mps_object_at(p.seg, other, MPS_KIND_RLOCK));
    place_end(&p);
}

int main(void)
{
    test_order();
    test_timeout();
    test_quit();
    test_death();
    test_many();
    test_lock();
    return 0;
}
