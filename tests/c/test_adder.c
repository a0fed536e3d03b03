/* test_adder.c -- adding in one instruction, beside those who hold a lock while they read and write. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adder.h"
#include "os.h"
#include "raw.h"
#include "refs.h"

#define MS ((uint64_t)1000000)
#define ROUNDS 100000

static const mps_door door = MPS_DOOR_FREE;

/* A number and its lock. */
typedef struct place {
    mps_seg *seg;
    mps_off lock_off, raw_off;
    mps_object *lock;
    uint64_t *number;
    uint64_t *words; /* shared by the processes of a test: who is where */
} place;

static place place_make(void)
{
    place p;
    uint64_t serial, nbytes;
    mps_off data;
    CHECK_OK(mps_seg_create_anonymous(0, 0, &p.seg));
    CHECK_OK(mps_object_new(p.seg, door, MPS_KIND_RLOCK, sizeof(mps_object), &p.lock_off, &serial));
    CHECK_OK(mps_raw_new(p.seg, door, 256, &p.raw_off, &serial));
    CHECK_OK(mps_raw_data(p.seg, p.raw_off, &data, &nbytes));
    p.lock = mps_region_at(&p.seg->region, p.lock_off);
    p.number = mps_region_at(&p.seg->region, data);
    p.words = p.number + 8;
    return p;
}

static void place_end(place *p)
{
    CHECK_SOUND(p->seg);
    mps_ref_drop(p->seg, door, p->raw_off);
    mps_ref_drop(p->seg, door, p->lock_off);
    mps_seg_release(p->seg);
}

static pid_t child(void (*body)(place *p), place *p)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        alarm(60);
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

static void wait_until(const uint64_t *word, uint64_t value)
{
    while (mps_load64_acquire(word) != value) {
        mps_os_sleep(MS / 10);
    }
}

static void take(place *p)
{
    CHECK_OK(mps_userlock_acquire(p->seg, door, &p->lock->user, true, MPS_FOREVER));
    mps_status st;
    do {
        st = mps_adders_settle(p->seg, door, p->lock, p->lock_off);
    } while (st == MPS_E_INTR);
    CHECK_OK(st);
}

static void let_go(place *p)
{
    CHECK_OK(mps_userlock_release(p->seg, MPS_DOOR_FREE, &p->lock->user, true));
}

static void add(place *p)
{
    if (mps_adder_enter(p->seg, p->lock, p->lock_off)) {
        (void)mps_number_add(p->number, MPS_NUMBER_INT64, 1);
        mps_adder_leave(p->seg);
        return;
    }
    take(p);
    (void)mps_number_add(p->number, MPS_NUMBER_INT64, 1);
    let_go(p);
}

/* Every type counts modulo its size, and answers its sum as its type has it. */
static void test_numbers(void)
{
    uint64_t at = 0;
    CHECK(mps_number_add(&at, MPS_NUMBER_INT8, 127) == 127);
    CHECK(mps_number_add(&at, MPS_NUMBER_INT8, 1) == (uint64_t)-128);
    CHECK(at == 0x80);
    CHECK(mps_number_add(&at, MPS_NUMBER_UINT8, 0x180) == 0 && at == 0);
    CHECK(mps_number_add(&at, MPS_NUMBER_INT16, (uint64_t)-1) == (uint64_t)-1 && at == 0xffff);
    CHECK(mps_number_add(&at, MPS_NUMBER_UINT16, 2) == 1 && at == 1);
    CHECK(mps_number_add(&at, MPS_NUMBER_INT32, 0x7fffffff) == (uint64_t)INT32_MIN);
    CHECK(mps_number_add(&at, MPS_NUMBER_UINT32, 0x180000001u) == 1 && at == 1);
    at = UINT64_MAX;
    CHECK(mps_number_add(&at, MPS_NUMBER_UINT64, 3) == 2 && at == 2);
    CHECK(mps_number_add(&at, MPS_NUMBER_INT64, (uint64_t)-3) == UINT64_MAX);
    double real = 1.5;
    CHECK(mps_number_add_float(&real, MPS_NUMBER_DOUBLE, 0.25) == 1.75 && real == 1.75);
    float single = 0.5f;
    CHECK(mps_number_add_float(&single, MPS_NUMBER_FLOAT, 1e30) == (double)1e30f && single == 1e30f);
}

static void try_beside_holder(place *p)
{
    CHECK(!mps_adder_enter(p->seg, p->lock, p->lock_off));
    CHECK(mps_load64(&p->seg->head->adding) == 0);
}

/* A free lock and one's own let an adder in, another's does not; the first one leaves its mark on the lock. */
static void test_enter(void)
{
    place p = place_make();
    CHECK((p.lock->mortal.flags & MPS_FLAG_ADDERS) == 0);
    CHECK(mps_adder_enter(p.seg, p.lock, p.lock_off));
    CHECK(p.seg->head->adding == p.lock_off);
    mps_adder_leave(p.seg);
    CHECK(p.seg->head->adding == 0 && (p.lock->mortal.flags & MPS_FLAG_ADDERS) != 0);
    take(&p);
    CHECK(mps_adder_enter(p.seg, p.lock, p.lock_off));
    mps_adder_leave(p.seg);
    CHECK(wait_for(child(try_beside_holder, &p)) == 0);
    let_go(&p);
    CHECK_OK(mps_seg_shutdown(p.seg));
    CHECK(!mps_adder_enter(p.seg, p.lock, p.lock_off));
    mps_ref_drop(p.seg, door, p.raw_off);
    mps_ref_drop(p.seg, door, p.lock_off);
    mps_seg_release(p.seg);
}

static void stay_inside(place *p)
{
    CHECK(mps_adder_enter(p->seg, p->lock, p->lock_off));
    mps_store64_release(&p->words[0], 1);
    wait_until(&p->words[1], 1);
    mps_adder_leave(p->seg);
    mps_store64_release(&p->words[0], 2);
    wait_until(&p->words[1], 2);
}

/* The holder waits for an adder that began before, as long as that takes; not for one that adds under another lock. */
static void test_settle(void)
{
    place p = place_make();
    uint64_t serial;
    mps_off other_off;
    CHECK_OK(mps_object_new(p.seg, door, MPS_KIND_LOCK, sizeof(mps_object), &other_off, &serial));
    mps_object *other = mps_region_at(&p.seg->region, other_off);
    mps_adder_announce(other);
    pid_t pid = child(stay_inside, &p);
    wait_until(&p.words[0], 1);
    CHECK_OK(mps_userlock_acquire(p.seg, door, &p.lock->user, true, 0));
    CHECK_STATUS(mps_adders_settle(p.seg, door, p.lock, p.lock_off), MPS_E_INTR);
    CHECK_OK(mps_adders_settle(p.seg, door, other, other_off));
    mps_store64_release(&p.words[1], 1);
    wait_until(&p.words[0], 2);
    CHECK_OK(mps_adders_settle(p.seg, door, p.lock, p.lock_off));
    mps_store64_release(&p.words[1], 2);
    CHECK(wait_for(pid) == 0);
    let_go(&p);
    mps_ref_drop(p.seg, door, other_off);
    place_end(&p);
}

static void die_inside(place *p)
{
    CHECK(mps_adder_enter(p->seg, p->lock, p->lock_off));
    mps_store64_release(&p->words[0], 1);
    raise(SIGKILL);
}

static void live_in_its_place(place *p)
{
    mps_stats stats;
    CHECK_OK(mps_seg_stats(p->seg, &stats));
    mps_store64_release(&p->words[2], 1 + p->seg->slot);
    wait_until(&p->words[1], 1);
}

/* Nobody waits for a dead adder, nor for the process that gets its slot. */
static void test_death(void)
{
    place p = place_make();
    wait_for(child(die_inside, &p));
    CHECK(p.words[0] == 1);
    take(&p);
    let_go(&p);
    CHECK_OK(mps_seg_recover(p.seg) < 0 ? MPS_E_INVAL : MPS_OK);
    pid_t pid = child(live_in_its_place, &p);
    while (mps_load64_acquire(&p.words[2]) == 0) {
        mps_os_sleep(MS / 10);
    }
    CHECK(mps_load64(&mps_slot_head_at(p.seg, (uint32_t)p.words[2] - 1)->adding) == 0);
    CHECK(p.words[2] <= p.seg->control->top_slot);
    CHECK_OK(mps_adders_wait(p.seg, door, p.lock_off));
    mps_store64_release(&p.words[1], 1);
    CHECK(wait_for(pid) == 0);
    place_end(&p);
}

static void add_many(place *p)
{
    for (int i = 0; i < ROUNDS; i++) {
        add(p);
    }
}

static void hold_many(place *p)
{
    for (int i = 0; i < ROUNDS; i++) {
        take(p);
        uint64_t n = mps_load64(p->number);
        mps_store64(p->number, n + 1);
        let_go(p);
    }
}

/* Between a holder's reading and writing nobody adds. */
static void test_nothing_lost(void)
{
    place p = place_make();
    pid_t adder = child(add_many, &p);
    pid_t holder = child(hold_many, &p);
    CHECK(wait_for(adder) == 0 && wait_for(holder) == 0);
    CHECK(*p.number == 2 * ROUNDS);
    place_end(&p);
}

static void add_for_ever(place *p)
{
    for (;;) {
        add(p);
        mps_store64(&p->words[0], mps_load64(&p->words[0]) + 1);
    }
}

/* Adders killed anywhere: at most the one addition is missing in their own count, and no holder waits for ever. */
static void test_killed_adders(void)
{
    place p = place_make();
    check_rng rng = check_seed(20240611);
    for (int i = 0; i < 30; i++) {
        mps_store64(p.number, 0);
        mps_store64(&p.words[0], 0);
        pid_t pid = child(add_for_ever, &p);
        while (mps_load64_acquire(&p.words[0]) == 0) {
            mps_os_sleep(MS / 10);
        }
        uint64_t held = 0;
        for (uint64_t n = check_below(&rng, 300); n > 0; n--) {
            take(&p);
            mps_store64(p.number, mps_load64(p.number) + 1);
            held++;
            let_go(&p);
        }
        CHECK(kill(pid, SIGKILL) == 0);
        wait_for(pid);
        take(&p);
        uint64_t missing = *p.number - held - p.words[0];
        let_go(&p);
        CHECK(missing <= 1);
    }
    place_end(&p);
}

/* Whatever the slots' heads say, there is an answer. */
static void test_nonsense(void)
{
    place p = place_make();
    check_rng rng = check_seed(20240612);
    uint32_t n = p.seg->n_slots;
    for (int i = 0; i < 300; i++) {
        p.seg->control->top_slot = check_below(&rng, 2) == 0 ? (uint32_t)check_random(&rng) : n;
        for (int k = 0; k < 20; k++) {
            uint32_t slot = (uint32_t)check_below(&rng, n);
            if (slot != p.seg->slot) {
                mps_slot_head *head = mps_slot_head_at(p.seg, slot);
                head->adding = check_below(&rng, 2) == 0 ? p.lock_off : check_random(&rng);
            }
        }
        CHECK_OK(mps_adders_wait(p.seg, door, p.lock_off));
    }
    p.seg->control->top_slot = n;
    p.seg->head->adding = p.lock_off; /* as if a thread of ours that has no GIL were inside */
    CHECK_STATUS(mps_adders_wait(p.seg, door, p.lock_off), MPS_E_INTR);
    CHECK_OK(mps_adders_wait(p.seg, MPS_DOOR_GIL, p.lock_off));
    p.seg->head->adding = 0;
    place_end(&p);
}

int main(void)
{
    test_numbers();
    test_enter();
    test_settle();
    test_death();
    test_nothing_lost();
    test_killed_adders();
    test_nonsense();
    return 0;
}
