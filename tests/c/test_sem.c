/* test_sem.c -- permits: who has them, who had them and died, and when nobody owns them. */
#include "sync_place.h"

#include "crash.h"
#include "sem.h"

#define HOLDERS 14u

static place make(bool adopt, uint32_t value, uint32_t bound)
{
    place p = adopt ? place_adopt(MPS_KIND_SEMAPHORE) : place_make(MPS_KIND_SEMAPHORE);
    CHECK_OK(mps_sem_init(p.seg, door, p.off, value, bound));
    return p;
}

static uint32_t value(const place *p)
{
    uint32_t n;
    CHECK_OK(mps_sem_value(p->seg, door, p->off, &n));
    return n;
}

static uint32_t mine(mps_seg *seg, mps_off off, bool expected_told)
{
    uint32_t n;
    bool told;
    mps_sem_mine(seg, off, &n, &told);
    CHECK(told == expected_told);
    return n;
}

/* Taken as often as there are permits; what was not taken is not given back where there is a bound. */
static void test_counting(void)
{
    place p = make(true, 3, 3);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK_OK(mps_sem_acquire(p.seg, door, p.off, 0));
        CHECK(value(&p) == 2 - i && mine(p.seg, p.off, false) == i + 1);
        CHECK_SOUND(p.seg);
    }
    CHECK_STATUS(mps_sem_acquire(p.seg, door, p.off, 0), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_sem_acquire(p.seg, door, p.off, 4 * MS), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_sem_release(p.seg, door, p.off, 4), MPS_E_OVERFLOW);
    CHECK_OK(mps_sem_release(p.seg, door, p.off, 3));
    CHECK(value(&p) == 3 && mine(p.seg, p.off, false) == 0);
    CHECK_STATUS(mps_sem_release(p.seg, door, p.off, 1), MPS_E_OVERFLOW);
    CHECK_STATUS(mps_sem_release(p.seg, door, p.off, UINT32_MAX), MPS_E_OVERFLOW);
    CHECK(mps_sem_bound(p.seg, p.off) == 3);
    place_end(&p);
}

/* The first permit from one who has none makes a signal of it: then nobody owns anything. */
static void test_signal(void)
{
    place p = make(true, 1, MPS_SEM_MAX);
    mps_seg *other = check_adopt(p.buffer, BUFFER, false);
    CHECK_OK(mps_sem_acquire(p.seg, door, p.off, 0));
    CHECK_OK(mps_sem_release(other, door, p.off, 2));
    CHECK(value(&p) == 2 && mine(p.seg, p.off, false) == 0);
    CHECK_OK(mps_sem_acquire(other, door, p.off, 0));
    CHECK_SOUND(p.seg);
    mps_seg_abandon(other);
    CHECK_OK(mps_sem_acquire(p.seg, door, p.off, 0));
    CHECK_STATUS(mps_sem_acquire(p.seg, door, p.off, 3 * MS), MPS_E_TIMEOUT);
    CHECK(value(&p) == 0 && mine(p.seg, p.off, false) == 0);
    CHECK_STATUS(mps_sem_release(p.seg, door, p.off, UINT32_MAX), MPS_E_OVERFLOW);
    CHECK_OK(mps_sem_release(p.seg, door, p.off, MPS_SEM_MAX));
    CHECK_STATUS(mps_sem_release(p.seg, door, p.off, 1), MPS_E_OVERFLOW);
    place_end(&p);
}

/* What a dead process had comes back, and who gets it is told, until it has given back all. */
static void test_death(void)
{
    place p = make(true, 3, 3);
    mps_seg *other = check_adopt(p.buffer, BUFFER, false);
    CHECK_OK(mps_sem_acquire(p.seg, door, p.off, 0));
    CHECK_OK(mps_sem_acquire(other, door, p.off, 0));
    CHECK_OK(mps_sem_acquire(other, door, p.off, 0));
    CHECK_STATUS(mps_sem_acquire(p.seg, door, p.off, 0), MPS_E_TIMEOUT);
    mps_seg_abandon(other);
    CHECK_OK(mps_sem_acquire(p.seg, door, p.off, 50 * MS));
    CHECK(mine(p.seg, p.off, true) == 2 && value(&p) == 1);
    CHECK_SOUND(p.seg);
    CHECK_OK(mps_sem_release(p.seg, door, p.off, 1));
    CHECK(mine(p.seg, p.off, true) == 1);
    CHECK_OK(mps_sem_release(p.seg, door, p.off, 1));
    CHECK(mine(p.seg, p.off, false) == 0 && value(&p) == 3);
    place_end(&p);
}

/* A process that takes a permit and keeps it; 0 if it died, as it was to, while it took it. */
static pid_t holder(const place *p, uint64_t crash_at)
{
    int ready[2];
    CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        mps_crash_arm(crash_at);
        CHECK_OK(mps_sem_acquire(p->seg, door, p->off, 0));
        mps_crash_arm(0);
        CHECK(write(ready[1], "", 1) == 1);
        for (;;) {
            pause();
        }
    }
    char byte;
    close(ready[1]);
    bool lives = read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    if (!lives) {
        CHECK(reap(pid) == SIGKILL);
        return 0;
    }
    return pid;
}

/* Whoever dies making room for more holders than there were, and wherever: nothing is lost, and the next one makes it. */
static void test_growing(void)
{
    place p = make(false, HOLDERS + 2, HOLDERS + 2);
    pid_t held[HOLDERS];
    uint64_t points = 0;
    for (uint32_t i = 0; i < HOLDERS; i++) {
        bool full = i == 4 || i == 12; /* no place left in the object; in the first block */
        for (uint64_t n = 1; full && (held[i] = holder(&p, n)) == 0; n++) {
            points++;
            CHECK(value(&p) == HOLDERS + 2 - i);
            CHECK_SOUND(p.seg);
        }
        held[i] = full ? held[i] : holder(&p, 0);
        CHECK(value(&p) == HOLDERS + 2 - i - 1);
    }
    CHECK(points > 20);
    CHECK_SOUND(p.seg);
    for (uint32_t i = 0; i < HOLDERS; i++) {
        kill(held[i], SIGKILL);
        CHECK(reap(held[i]) == SIGKILL);
        CHECK(value(&p) == 2 + i + 1);
    }
    place_end(&p);
}

typedef struct visitor {
    place *p;
    uint32_t *inside;
} visitor;

static void *visit(void *arg)
{
    visitor *v = arg;
    for (int i = 0; i < 3000; i++) {
        CHECK_OK(mps_sem_acquire(v->p->seg, door, v->p->off, LONG_NS));
        CHECK(__atomic_add_fetch(v->inside, 1, __ATOMIC_SEQ_CST) <= 2);
        __atomic_sub_fetch(v->inside, 1, __ATOMIC_SEQ_CST);
        CHECK_OK(mps_sem_release(v->p->seg, door, v->p->off, 1));
    }
    return NULL;
}

/* Never more than its value are inside, and nobody waits for ever. */
static void test_threads(void)
{
    place p = make(false, 2, 2);
    uint32_t inside = 0;
    visitor v = {&p, &inside};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        threads[i] = in_thread(visit, &v);
    }
    for (int i = 0; i < 4; i++) {
        join(threads[i]);
    }
    CHECK(value(&p) == 2);
    place_end(&p);
}

/* Whatever the bytes are, there is an answer. */
static void test_nonsense(void)
{
    check_rng rng = check_seed(20250101);
    place p = make(true, 1, 9);
    mps_sem *s = mps_region_at(&p.seg->region, p.off);
    for (int i = 0; i < 5000; i++) {
        uint64_t *words = &s->state;
        for (uint64_t w = 0; w < (sizeof(mps_sem) - offsetof(mps_sem, state)) / 8; w++) {
            words[w] = check_random(&rng) >> check_below(&rng, 64);
        }
        uint32_t n;
        bool told;
        if (check_below(&rng, 2) == 0) {
            s->place[1] = (uint64_t)p.seg->token << 32 | check_below(&rng, 9);
        }
        (void)mps_sem_acquire(p.seg, door, p.off, 0);
        (void)mps_sem_value(p.seg, door, p.off, &n);
        mps_sem_mine(p.seg, p.off, &n, &told);
        (void)mps_sem_release(p.seg, door, p.off, 1 + (uint32_t)check_below(&rng, 3));
        mps_store32(&p.seg->control->state, MPS_STATE_READY);
    }
    s->more = s->state = 0;
    s->n_more = 0;
    memset(s->place, 0, sizeof(s->place));
    mps_seg_release(p.seg);
    free(p.buffer);
}

int main(void)
{
    test_counting();
    test_signal();
    test_death();
    test_growing();
    test_threads();
    test_nonsense();
    return 0;
}
