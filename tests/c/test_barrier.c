/* test_barrier.c -- a place where processes wait for each other. */
#include "sync_place.h"

#include "barrier.h"

#define PARTIES 3u
#define ROUNDS 2000u

static place make(bool adopt, uint64_t parties)
{
    place p = adopt ? place_adopt(MPS_KIND_BARRIER) : place_make(MPS_KIND_BARRIER);
    mps_enc none = {.value = {MPS_TAG_NONE, 0}};
    CHECK_OK(mps_barrier_init(p.seg, door, p.off, parties, UINT64_MAX, &none));
    return p;
}

static uint64_t waiting(const place *p)
{
    uint64_t n;
    CHECK_OK(mps_barrier_waiting(p->seg, door, p->off, &n));
    return n;
}

static bool broken(const place *p)
{
    bool is;
    CHECK_OK(mps_barrier_is_broken(p->seg, door, p->off, &is));
    return is;
}

static uint32_t arrive(mps_seg *seg, mps_off off, mps_arrival *a)
{
    *a = (mps_arrival){0};
    CHECK_OK(mps_barrier_arrive(seg, door, off, a));
    return a->outcome;
}

static uint32_t meet(const place *p, mps_arrival *a, uint64_t timeout_ns)
{
    if (arrive(p->seg, p->off, a) == MPS_BARRIER_WAITS) {
        CHECK_OK(mps_barrier_wait(p->seg, door, p->off, a, timeout_ns));
    }
    return a->outcome;
}

static struct {
    place p;
    uint32_t numbers[ROUNDS]; /* of each round, a bit for each number */
    uint32_t at[PARTIES];     /* the round that each is in */
} t;

static void *go_round(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg;
    mps_arrival a;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        __atomic_store_n(&t.at[me], i, __ATOMIC_SEQ_CST);
        CHECK(meet(&t.p, &a, LONG_NS) == MPS_BARRIER_PASSED && a.index < PARTIES);
        CHECK((__atomic_fetch_or(&t.numbers[i], 1u << a.index, __ATOMIC_SEQ_CST) & 1u << a.index) == 0);
        for (uint32_t k = 0; k < PARTIES; k++) {
            CHECK(__atomic_load_n(&t.at[k], __ATOMIC_SEQ_CST) - i <= 1); /* none is behind */
        }
    }
    return NULL;
}

/* Round after round, each with a number of its own, nobody ahead by more than one. */
static void test_rounds(void)
{
    t.p = make(false, PARTIES);
    pthread_t threads[PARTIES];
    for (uintptr_t i = 0; i < PARTIES; i++) {
        threads[i] = in_thread(go_round, (void *)i);
    }
    for (uint32_t i = 0; i < PARTIES; i++) {
        join(threads[i]);
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        CHECK(t.numbers[i] == (1u << PARTIES) - 1);
    }
    place_end(&t.p);
}

/* Who waits too long breaks it, for all, until it is reset. */
static void test_timeout(void)
{
    place p = make(true, 3);
    mps_arrival a, b;
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS && waiting(&p) == 1);
    CHECK(meet(&p, &b, 3 * MS) == MPS_BARRIER_BROKE);
    CHECK(broken(&p) && waiting(&p) == 0);
    CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, LONG_NS));
    CHECK(a.outcome == MPS_BARRIER_BROKE);
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_BROKE);
    CHECK_OK(mps_barrier_break(p.seg, door, p.off, false));
    CHECK(!broken(&p));
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS);
    CHECK_OK(mps_barrier_quit(p.seg, door, p.off, &a)); /* breaks nothing */
    CHECK(!broken(&p) && waiting(&p) == 0);
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS);
    CHECK_OK(mps_barrier_break(p.seg, door, p.off, false));
    CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, LONG_NS));
    CHECK(a.outcome == MPS_BARRIER_BROKE && !broken(&p));
    place_end(&p);
}

/* A dead one does not count; a dead one that was let go neither. */
static void test_death(void)
{
    place p = make(true, 2);
    mps_arrival theirs, a, b;
    for (int i = 0; i < 3; i++) {
        mps_seg *other = check_adopt(p.buffer, BUFFER, false);
        CHECK(arrive(other, p.off, &theirs) == MPS_BARRIER_WAITS);
        if (i == 1) {
            CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_PASSED && a.index == 1);
        }
        mps_seg_abandon(other);
        CHECK(waiting(&p) == 0);
        CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS && waiting(&p) == 1);
        CHECK(arrive(p.seg, p.off, &b) == MPS_BARRIER_PASSED && b.index == 1);
        CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, LONG_NS));
        CHECK(a.outcome == MPS_BARRIER_PASSED && a.index == 0);
        CHECK_SOUND(p.seg);
    }
    place_end(&p);
}

static void give_action(const place *p, uint64_t parties)
{
    mps_enc action = {.value = mps_value_int(7)};
    CHECK_OK(mps_barrier_init(p->seg, door, p->off, parties, 5, &action));
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_barrier_action(p->seg, door, p->off, &copy));
    CHECK(copy.value.w1 == 7);
    mps_copy_done(&copy);
}

/* The last to come runs the action; who waits goes on after it, and does not mind the time; who comes meanwhile waits. */
static void test_action(void)
{
    place p = make(true, 2);
    mps_arrival a, b, c;
    give_action(&p, 2);
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS);
    CHECK(arrive(p.seg, p.off, &b) == MPS_BARRIER_RUNS && waiting(&p) == 2);
    CHECK_STATUS(mps_barrier_arrive(p.seg, door, p.off, &c), MPS_E_BUSY);
    CHECK_STATUS(mps_barrier_settle(p.seg, door, p.off, 5 * MS), MPS_E_TIMEOUT);
    CHECK_OK(mps_barrier_finish(p.seg, door, p.off, true, &b));
    CHECK(b.outcome == MPS_BARRIER_PASSED && b.index == 1);
    CHECK_OK(mps_barrier_settle(p.seg, door, p.off, 0));
    CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, 0));
    CHECK(a.outcome == MPS_BARRIER_PASSED && a.index == 0);
    /* one that fails */
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS && arrive(p.seg, p.off, &b) == MPS_BARRIER_RUNS);
    CHECK_OK(mps_barrier_finish(p.seg, door, p.off, false, &b));
    CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, LONG_NS));
    CHECK(a.outcome == MPS_BARRIER_BROKE && b.outcome == MPS_BARRIER_BROKE && broken(&p));
    /* one that a reset overtakes */
    CHECK_OK(mps_barrier_break(p.seg, door, p.off, false));
    CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS && arrive(p.seg, p.off, &b) == MPS_BARRIER_RUNS);
    CHECK_OK(mps_barrier_break(p.seg, door, p.off, false));
    CHECK(arrive(p.seg, p.off, &c) == MPS_BARRIER_WAITS);
    CHECK_OK(mps_barrier_finish(p.seg, door, p.off, true, &b));
    CHECK(b.outcome == MPS_BARRIER_BROKE && waiting(&p) == 1);
    CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, LONG_NS));
    CHECK(a.outcome == MPS_BARRIER_BROKE);
    CHECK_OK(mps_barrier_quit(p.seg, door, p.off, &c));
    place_end(&p);
}

/* If the process that runs the action dies, the others find it broken. */
static void test_runner_dies(void)
{
    place p = make(true, 2);
    mps_arrival theirs, a;
    give_action(&p, 2);
    for (int i = 0; i < 3; i++) {
        mps_seg *other = check_adopt(p.buffer, BUFFER, false);
        CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS);
        CHECK(arrive(other, p.off, &theirs) == MPS_BARRIER_RUNS);
        mps_seg_abandon(other);
        if (i == 1) {
            CHECK(broken(&p));
        } else if (i == 2) {
            CHECK_OK(mps_barrier_settle(p.seg, door, p.off, LONG_NS));
            CHECK(arrive(p.seg, p.off, &theirs) == MPS_BARRIER_BROKE);
        }
        CHECK_OK(mps_barrier_wait(p.seg, door, p.off, &a, LONG_NS));
        CHECK(a.outcome == MPS_BARRIER_BROKE && broken(&p));
        CHECK_OK(mps_barrier_break(p.seg, door, p.off, false));
    }
    place_end(&p);
}

/* Whatever the bytes are, there is an answer. */
static void test_nonsense(void)
{
    check_rng rng = check_seed(9);
    for (int i = 0; i < 300; i++) {
        place p = make(true, 4);
        mps_arrival a, b;
        CHECK(arrive(p.seg, p.off, &a) == MPS_BARRIER_WAITS && arrive(p.seg, p.off, &b) == MPS_BARRIER_WAITS);
        uint64_t *words = (uint64_t *)mps_region_at(&p.seg->region, p.off) + sizeof(mps_object) / 8;
        for (int k = 0; k < 3; k++) {
            words[check_below(&rng, (sizeof(mps_barrier_object) - sizeof(mps_object)) / 8)] =
                check_random(&rng) >> check_below(&rng, 64);
        }
        uint64_t n;
        bool is;
        char why[100];
        (void)mps_seg_check(p.seg, why, sizeof(why));
        (void)mps_barrier_arrive(p.seg, door, p.off, &b);
        (void)mps_barrier_waiting(p.seg, door, p.off, &n);
        (void)mps_barrier_is_broken(p.seg, door, p.off, &is);
        (void)mps_barrier_wait(p.seg, door, p.off, &a, MS);
        (void)mps_barrier_break(p.seg, door, p.off, i % 2 == 0);
        mps_seg_abandon(p.seg);
        free(p.buffer);
    }
}

int main(void)
{
    test_rounds();
    test_timeout();
    test_death();
    test_action();
    test_runner_dies();
    test_nonsense();
    return 0;
}
