/* test_userlock.c -- the lock that a program holds across its own code. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"
#include "refs.h"
#include "userlock.h"

#define MS ((uint64_t)1000000)

static const mps_door door = MPS_DOOR_FREE;

typedef struct place {
    mps_seg *seg;
    mps_off off;
    mps_userlock *lock;
} place;

static place place_make(void)
{
    place p;
    uint64_t serial;
    CHECK_OK(mps_seg_create_anonymous(0, 0, &p.seg));
    CHECK_OK(mps_object_new(p.seg, door, MPS_KIND_RLOCK, sizeof(mps_object), &p.off, &serial));
    p.lock = &((mps_object *)mps_region_at(&p.seg->region, p.off))->user;
    return p;
}

static void place_end(place *p)
{
    mps_ref_drop(p->seg, door, p->off);
    mps_seg_release(p->seg);
}

/* A child that ends without running what the parent had to run at its end. */
static pid_t child(void (*body)(place *p), place *p)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        body(p);
        _exit(0);
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
    }
    return status;
}

/* Taken again by who has it, as often as it likes; let go of as often; a free one can't be let go of. */
static void test_depth(void)
{
    place p = place_make();
    CHECK_STATUS(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true), MPS_E_NOTOWNER);
    CHECK_STATUS(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, false), MPS_E_NOTOWNER);
    CHECK(!mps_userlock_held(p.seg, p.lock));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, true, 0));
    }
    CHECK(mps_userlock_held(p.seg, p.lock) && mps_userlock_mine(p.seg, p.lock));
    CHECK_STATUS(mps_userlock_acquire(p.seg, door, p.lock, false, 0), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_userlock_acquire(p.seg, door, p.lock, false, 3 * MS), MPS_E_TIMEOUT);
    CHECK_OK(mps_userlock_wait(p.seg, door, p.lock, 0));
    for (int i = 0; i < 5; i++) {
        CHECK(mps_userlock_held(p.seg, p.lock));
        CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true));
    }
    CHECK(!mps_userlock_held(p.seg, p.lock) && !mps_userlock_mine(p.seg, p.lock));
    CHECK_STATUS(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true), MPS_E_NOTOWNER);
    place_end(&p);
}

static void *other_thread(void *arg)
{
    place *p = arg;
    CHECK(!mps_userlock_mine(p->seg, p->lock) && mps_userlock_held(p->seg, p->lock));
    CHECK_STATUS(mps_userlock_acquire(p->seg, door, p->lock, true, 0), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_userlock_wait(p->seg, door, p->lock, 2 * MS), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_userlock_release(p->seg, MPS_DOOR_FREE, p->lock, true), MPS_E_NOTOWNER);
    CHECK_STATUS(mps_userlock_pass(p->seg, p->lock), MPS_E_BUSY);
    CHECK_OK(mps_userlock_release(p->seg, MPS_DOOR_FREE, p->lock, false));
    return NULL;
}

/* Another thread is another owner; a plain lock it may let go of all the same. */
static void test_threads(void)
{
    place p = place_make();
    pthread_t thread;
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, true, MPS_FOREVER));
    CHECK_OK(mps_userlock_pass(p.seg, p.lock));
    CHECK(pthread_create(&thread, NULL, other_thread, &p) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(!mps_userlock_held(p.seg, p.lock));
    place_end(&p);
}

typedef struct counter {
    place *p;
    uint64_t *value;
} counter;

static void *count(void *arg)
{
    counter *c = arg;
    for (int i = 0; i < 3000; i++) {
        CHECK_OK(mps_userlock_acquire(c->p->seg, door, c->p->lock, true, MPS_FOREVER));
        *c->value += 1; /* guarded by nothing else */
        CHECK_OK(mps_userlock_release(c->p->seg, MPS_DOOR_FREE, c->p->lock, true));
        if (i % 64 == 0) {
            CHECK_OK(mps_userlock_wait(c->p->seg, door, c->p->lock, MPS_FOREVER));
        }
    }
    return NULL;
}

/* One at a time, whoever they are, and nobody waits for ever. */
static void test_exclusion(void)
{
    place p = place_make();
    uint64_t value = 0;
    counter c = {&p, &value};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, count, &c) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(value == 12000);
    CHECK(mps_load32(&p.lock->word) == 0);
    place_end(&p);
}

static void hold_and_die(place *p)
{
    CHECK_OK(mps_userlock_acquire(p->seg, door, p->lock, true, MPS_FOREVER));
    CHECK_OK(mps_userlock_acquire(p->seg, door, p->lock, true, MPS_FOREVER));
    kill(getpid(), SIGKILL);
}

/* Who dies with the lock is succeeded within 100 ms, and the next owner knows; the one after that is told nothing. */
static void test_death(void)
{
    place p = place_make();
    for (int round = 0; round < 3; round++) {
        CHECK(wait_for(child(hold_and_die, &p)) == SIGKILL);
        CHECK(mps_load32(&p.lock->word) != 0 && !mps_userlock_held(p.seg, p.lock));
        uint64_t start = mps_os_now();
        CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, round == 1, round == 2 ? 0 : MPS_FOREVER));
        CHECK(mps_os_now() - start < 100 * MS);
        CHECK(p.lock->died == 1 && p.lock->depth == 1 && mps_userlock_mine(p.seg, p.lock));
        CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true));
        CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, false, 0));
        CHECK(p.lock->died == 0);
        CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, false));
    }
    place_end(&p);
}

/* Who only waits for a dead owner to let go may pass, and whoever takes the lock next still is told. */
static void test_death_while_waiting(void)
{
    place p = place_make();
    CHECK(wait_for(child(hold_and_die, &p)) == SIGKILL);
    CHECK_STATUS(mps_userlock_pass(p.seg, p.lock), MPS_E_BUSY);
    CHECK_OK(mps_userlock_wait(p.seg, door, p.lock, MPS_FOREVER));
    CHECK_OK(mps_userlock_pass(p.seg, p.lock));
    CHECK(!mps_userlock_held(p.seg, p.lock));
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, true, 0));
    CHECK(p.lock->died == 1);
    CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true));
    CHECK(p.lock->died == 0);
    place_end(&p);
}

static void wait_until_killed(place *p)
{
    mps_userlock_acquire(p->seg, door, p->lock, true, MPS_FOREVER);
}

/* A waiter that is killed takes nothing with it. */
static void test_waiter_dies(void)
{
    place p = place_make();
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, true, 0));
    pid_t pid = child(wait_until_killed, &p);
    while (mps_load32(&p.lock->waiters) == 0) {
        mps_os_sleep(MS);
    }
    kill(pid, SIGKILL);
    CHECK(wait_for(pid) == SIGKILL);
    CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true));
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, true, 0));
    CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true));
    CHECK(mps_load32(&p.lock->word) == 0);
    place_end(&p);
}

/* A forked child does not have its parent's lock. */
static void inherit(place *p)
{
    CHECK(!mps_userlock_mine(p->seg, p->lock) && mps_userlock_held(p->seg, p->lock));
    CHECK_STATUS(mps_userlock_release(p->seg, MPS_DOOR_FREE, p->lock, true), MPS_E_NOTOWNER);
    CHECK_STATUS(mps_userlock_acquire(p->seg, door, p->lock, true, 0), MPS_E_TIMEOUT);
}

static void test_fork(void)
{
    place p = place_make();
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, true, 0));
    CHECK(wait_for(child(inherit, &p)) == 0);
    CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true));
    place_end(&p);
}

static void on_signal(int number)
{
    (void)number;
}

typedef struct sender {
    pthread_t to;
    uint32_t enough;
} sender;

/* Again and again: a signal that comes just before the sleep does not end it. */
static void *interrupt(void *arg)
{
    sender *s = arg;
    while (__atomic_load_n(&s->enough, __ATOMIC_RELAXED) == 0) {
        mps_os_sleep(5 * MS);
        pthread_kill(s->to, SIGUSR1);
    }
    return NULL;
}

/* A signal ends a wait, with nothing taken. */
static void test_signal(void)
{
    place p = place_make();
    struct sigaction action = {.sa_handler = on_signal};
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, false, 0));
    sender s = {.to = pthread_self()};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, interrupt, &s) == 0);
    CHECK_STATUS(mps_userlock_acquire(p.seg, door, p.lock, false, MPS_FOREVER), MPS_E_INTR);
    __atomic_store_n(&s.enough, 1, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, false));
    place_end(&p);
}

/* Who holds the GIL is sent to look at its signals every now and then; the time given still is what it was. */
static void test_looking_up(void)
{
    place p = place_make();
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, false, 0));
    uint64_t start = mps_os_now();
    CHECK_STATUS(mps_userlock_acquire(p.seg, MPS_DOOR_GIL, p.lock, false, MPS_FOREVER), MPS_E_INTR);
    CHECK(mps_os_now() - start < 2000 * MS);
    CHECK_STATUS(mps_userlock_acquire(p.seg, MPS_DOOR_GIL, p.lock, false, 20 * MS), MPS_E_TIMEOUT);
    CHECK_STATUS(mps_userlock_acquire(p.seg, door, p.lock, false, 300 * MS), MPS_E_TIMEOUT);
    CHECK_OK(mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, false));
    place_end(&p);
}

static void *shut_down(void *arg)
{
    place *p = arg;
    mps_os_sleep(20 * MS);
    CHECK_OK(mps_seg_shutdown(p->seg));
    return NULL;
}

/* The end of the segment ends all waits. */
static void test_closed(void)
{
    place p = place_make();
    pthread_t thread;
    CHECK_OK(mps_userlock_acquire(p.seg, door, p.lock, false, 0));
    CHECK(pthread_create(&thread, NULL, shut_down, &p) == 0);
    CHECK_STATUS(mps_userlock_acquire(p.seg, door, p.lock, false, MPS_FOREVER), MPS_E_CLOSED);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(mps_userlock_acquire(p.seg, door, p.lock, true, 0), MPS_E_CLOSED);
    place_end(&p);
}

/* Whatever the bytes are, there is an answer. */
static void test_nonsense(void)
{
    check_rng rng = check_seed(20240505);
    place p = place_make();
    for (int i = 0; i < 3000; i++) {
        uint32_t *words = (uint32_t *)(void *)p.lock;
        for (uint32_t k = 0; k < sizeof(*p.lock) / 4; k++) {
            words[k] = check_below(&rng, 3) == 0 ? (uint32_t)check_random(&rng) : (uint32_t)check_below(&rng, 4);
        }
        (void)mps_userlock_held(p.seg, p.lock);
        (void)mps_userlock_pass(p.seg, p.lock);
        (void)mps_userlock_wait(p.seg, door, p.lock, 0);
        (void)mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, true);
        mps_status st = mps_userlock_acquire(p.seg, door, p.lock, true, 0);
        CHECK(st == MPS_OK || st == MPS_E_TIMEOUT || st == MPS_E_TOOLARGE);
        (void)mps_userlock_release(p.seg, MPS_DOOR_FREE, p.lock, false);
    }
    place_end(&p);
}

int main(void)
{
    test_depth();
    test_threads();
    test_exclusion();
    test_death();
    test_death_while_waiting();
    test_waiter_dies();
    test_fork();
    test_signal();
    test_looking_up();
    test_closed();
    test_nonsense();
    return 0;
}
