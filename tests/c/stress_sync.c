/* stress_sync.c -- semaphore, condition, event and barrier under two processes' threads, some of which give up: nobody waits for
 * ever, nothing is lost, no data race.
 *
 * Two attachments of one segment are two processes to the core.
 * MPS_TEST_SECONDS in the environment: how long.
 */
#include "sync_place.h"

#include "barrier.h"
#include "cond.h"
#include "event.h"
#include "sem.h"

#define WORKERS 4u
#define PERMITS 2u

static struct {
    void *buffer;
    mps_seg *seg[2];
    mps_off sem, cond, lock, event, barrier;
    uint64_t items, eaten, given; /* items and eaten: guarded by the lock */
    uint32_t inside, enough;
} t;

static mps_off make(uint32_t kind)
{
    mps_off off;
    uint64_t serial;
    CHECK_OK(mps_object_new(t.seg[0], door, kind, place_size(kind), &off, &serial));
    return off;
}

static bool over(void)
{
    return __atomic_load_n(&t.enough, __ATOMIC_ACQUIRE) != 0;
}

static mps_userlock *the_lock(void)
{
    return &((mps_object *)mps_region_at(&t.seg[0]->region, t.lock))->user;
}

static void enter(mps_seg *seg)
{
    CHECK_OK(mps_userlock_acquire(seg, door, the_lock(), false, LONG_NS));
}

static void leave(mps_seg *seg)
{
    CHECK_OK(mps_userlock_release(seg, door, the_lock(), false));
}

/* Never more than PERMITS are inside. */
static void visit(mps_seg *seg, check_rng *rng)
{
    mps_status st = mps_sem_acquire(seg, door, t.sem, check_below(rng, 3) * MS);
    if (st == MPS_E_TIMEOUT) {
        return;
    }
    CHECK_OK(st);
    CHECK(__atomic_add_fetch(&t.inside, 1, __ATOMIC_ACQ_REL) <= PERMITS);
    __atomic_sub_fetch(&t.inside, 1, __ATOMIC_ACQ_REL);
    CHECK_OK(mps_sem_release(seg, door, t.sem, 1));
}

/* Takes what there is, or waits for it a while. */
static void eat(mps_seg *seg, check_rng *rng)
{
    enter(seg);
    if (t.items == 0) {
        mps_turn turn;
        CHECK_OK(mps_cond_enter(seg, door, t.cond, &turn));
        leave(seg);
        if (check_below(rng, 8) == 0) {
            CHECK_OK(mps_cond_quit(seg, door, t.cond, &turn));
        } else {
            mps_status st = mps_cond_wait(seg, door, t.cond, &turn, check_below(rng, 4) * MS);
            CHECK(st == MPS_OK || st == MPS_E_TIMEOUT);
        }
        enter(seg);
    }
    if (t.items > 0) {
        t.items--;
        t.eaten++;
    }
    leave(seg);
}

static void give(mps_seg *seg)
{
    enter(seg);
    t.items++;
    t.given++;
    CHECK_OK(mps_cond_notify(seg, door, t.cond, t.given % 16 == 0 ? UINT64_MAX : 1));
    leave(seg);
}

static void meet(mps_seg *seg)
{
    mps_arrival a = {0};
    CHECK_OK(mps_barrier_arrive(seg, door, t.barrier, &a));
    if (a.outcome == MPS_BARRIER_WAITS) {
        CHECK_OK(mps_barrier_wait(seg, door, t.barrier, &a, 2 * MS));
    }
    if (a.outcome == MPS_BARRIER_BROKE) {
        CHECK_OK(mps_barrier_break(seg, door, t.barrier, false));
    } else {
        CHECK(a.index < 2);
    }
}

static void *work(void *arg)
{
    uint64_t me = (uintptr_t)arg;
    mps_seg *seg = t.seg[me & 1];
    check_rng rng = {me + 11};
    while (!over()) {
        switch (check_below(&rng, 6)) {
        case 0: visit(seg, &rng); break;
        case 1:
        case 2: eat(seg, &rng); break;
        case 3: give(seg); break;
        case 4: meet(seg); break;
        default:
            if (check_below(&rng, 2) == 0) {
                CHECK_OK(mps_event_set(seg, t.event));
                CHECK_OK(mps_event_clear(seg, t.event));
            } else {
                (void)mps_event_wait(seg, door, t.event, MS);
            }
        }
    }
    return NULL;
}

int main(void)
{
    const char *wish = getenv("MPS_TEST_SECONDS");
    uint64_t until = mps_os_now() + (wish != NULL ? strtoull(wish, NULL, 0) : 4) * 1000 * MS;
    t.buffer = check_buffer(BUFFER);
    t.seg[0] = check_adopt(t.buffer, BUFFER, true);
    t.seg[1] = check_adopt(t.buffer, BUFFER, false);
    t.sem = make(MPS_KIND_SEMAPHORE);
    t.cond = make(MPS_KIND_CONDITION);
    t.lock = make(MPS_KIND_LOCK);
    t.event = make(MPS_KIND_EVENT);
    t.barrier = make(MPS_KIND_BARRIER);
    mps_enc none = {.value = {MPS_TAG_NONE, 0}};
    CHECK_OK(mps_sem_init(t.seg[0], door, t.sem, PERMITS, PERMITS));
    CHECK_OK(mps_cond_init(t.seg[0], door, t.cond, t.lock));
    CHECK_OK(mps_barrier_init(t.seg[0], door, t.barrier, 2, 0, &none));
    pthread_t threads[WORKERS];
    for (uintptr_t i = 0; i < WORKERS; i++) {
        threads[i] = in_thread(work, (void *)i);
    }
    while (mps_os_now() < until) {
        mps_os_sleep(MS);
    }
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < WORKERS; i++) {
        join(threads[i]);
    }
    uint32_t value;
    uint64_t n;
    CHECK_OK(mps_sem_value(t.seg[0], door, t.sem, &value));
    CHECK_OK(mps_cond_waiting(t.seg[0], door, t.cond, &n));
    printf("given %" PRIu64 ", eaten %" PRIu64 "\n", t.given, t.eaten);
    CHECK(value == PERMITS && n == 0 && t.given == t.eaten + t.items);
    CHECK_SOUND(t.seg[0]);
    mps_seg_release(t.seg[1]);
    mps_seg_release(t.seg[0]);
    free(t.buffer);
    return 0;
}
