/* test_waitq.c -- the queue of those who wait, against a model of it. */
#include "sync_place.h"

#include "cond.h"

#define MOST 40u
#define ATTACHMENTS 3u

typedef struct one {
    mps_turn turn;
    uint32_t who; /* index of its attachment */
    bool told;
} one;

static struct {
    place p;
    mps_seg *seg[ATTACHMENTS];
    one model[MOST];
    uint32_t n;
} t;

static mps_waitq *queue(void)
{
    return &((mps_cond *)mps_region_at(&t.p.seg->region, t.p.off))->queue;
}

static void begin(mps_tx *tx, uint32_t who)
{
    CHECK_OK(mps_tx_begin(t.seg[who], tx, door));
    CHECK_OK(mps_tx_lock(tx, &((mps_object *)mps_region_at(&t.p.seg->region, t.p.off))->guard));
}

static void forget(uint32_t i)
{
    memmove(&t.model[i], &t.model[i + 1], (--t.n - i) * sizeof(one));
}

static bool dead(uint32_t who)
{
    return t.seg[who] == NULL;
}

static void add(uint32_t who)
{
    mps_tx tx;
    one made = {.who = who};
    begin(&tx, who);
    CHECK_OK(mps_waitq_add(&tx, queue(), &made.turn));
    CHECK(mps_waitq_mine(&tx, &made.turn) != NULL);
    check_commit(&tx);
    t.model[t.n++] = made;
}

static void go(uint32_t i)
{
    mps_tx tx;
    begin(&tx, t.model[i].who);
    CHECK_OK(mps_waitq_remove(&tx, queue(), t.model[i].turn.node));
    check_commit(&tx);
    forget(i);
}

/* Tells n; with `undone` it never happened. */
static void tell(uint64_t n, bool undone)
{
    mps_tx tx;
    mps_wakes wakes;
    uint64_t told, expected = 0;
    begin(&tx, 0);
    mps_wakes_begin(&wakes);
    CHECK_OK(mps_waitq_tell(&tx, queue(), n, MPS_WAITER_TOLD, &wakes, &told));
    mps_wakes_look(&wakes);
    if (undone) {
        check_abort(&tx);
    } else {
        check_commit(&tx);
    }
    mps_wakes_end(&wakes, !undone);
    for (uint32_t i = 0; !undone && i < t.n && expected < n;) {
        if (!t.model[i].told && dead(t.model[i].who)) {
            forget(i);
            continue;
        }
        if (!t.model[i].told) {
            const mps_waiter *w = mps_region_at(&t.p.seg->region, t.model[i].turn.node);
            CHECK(w->word == (expected << 32 | MPS_WAITER_TOLD));
            t.model[i].told = true;
            expected++;
        }
        i++;
    }
    CHECK(undone || told == expected);
}

static void sweep(void)
{
    mps_tx tx;
    uint64_t unheard, expected = 0;
    begin(&tx, 0);
    CHECK_OK(mps_waitq_sweep(&tx, queue(), &unheard));
    check_commit(&tx);
    for (uint32_t i = 0; i < t.n;) {
        if (dead(t.model[i].who)) {
            expected += t.model[i].told;
            forget(i);
        } else if (!t.model[i].told) {
            break;
        } else {
            i++;
        }
    }
    CHECK(unheard == expected);
}

static void count(bool living)
{
    mps_tx tx;
    uint64_t n, expected = 0;
    begin(&tx, 0);
    CHECK_OK(mps_waitq_count(&tx, queue(), living, &n));
    check_commit(&tx);
    for (uint32_t i = 0; i < t.n;) {
        if (living && !t.model[i].told && dead(t.model[i].who)) {
            forget(i);
            continue;
        }
        expected += !t.model[i].told;
        i++;
    }
    CHECK(n == expected);
}

static void compare(void)
{
    mps_off off = queue()->first;
    for (uint32_t i = 0; i < t.n; i++) {
        CHECK(off == t.model[i].turn.node);
        const mps_waiter *w = mps_region_at(&t.p.seg->region, off);
        CHECK(((uint32_t)w->word != MPS_WAITER_WAITING) == t.model[i].told);
        off = w->next;
    }
    CHECK(off == 0);
}

static void die(uint32_t who)
{
    uint32_t n;
    mps_seg_abandon(t.seg[who]);
    t.seg[who] = NULL;
    CHECK_OK(mps_recover_all(t.p.seg, &n));
    CHECK(n == 1);
}

static void step(check_rng *rng)
{
    uint32_t who = (uint32_t)check_below(rng, ATTACHMENTS), i = (uint32_t)check_below(rng, MOST);
    switch (check_below(rng, 12)) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (t.n < MOST && !dead(who)) {
            add(who);
        }
        break;
    case 4:
    case 5:
        if (i < t.n && !dead(t.model[i].who)) {
            go(i);
        }
        break;
    case 6: tell(check_below(rng, 4), false); break;
    case 7: tell(UINT64_MAX, check_below(rng, 3) > 0); break;
    case 8: sweep(); break;
    case 9: count(check_below(rng, 2) == 0); break;
    default:
        if (who != 0 && check_below(rng, 8) == 0 && !dead(who)) {
            die(who);
        } else if (dead(who)) {
            bool left = false; /* what died still has waiters of its own: another one comes when they are gone */
            for (uint32_t k = 0; k < t.n; k++) {
                left = left || t.model[k].who == who;
            }
            t.seg[who] = left ? NULL : check_adopt(t.p.buffer, BUFFER, false);
        }
    }
}

static void test_model(void)
{
    check_rng rng = check_seed(5);
    t.p = place_adopt(MPS_KIND_CONDITION);
    t.seg[0] = t.p.seg;
    for (uint32_t i = 1; i < ATTACHMENTS; i++) {
        t.seg[i] = check_adopt(t.p.buffer, BUFFER, false);
    }
    for (int i = 0; i < 20000; i++) {
        step(&rng);
        compare();
        if (i % 16 == 0) {
            CHECK_SOUND(t.p.seg);
        }
    }
    for (uint32_t i = 1; i < ATTACHMENTS; i++) {
        if (!dead(i)) {
            mps_seg_release(t.seg[i]);
            t.seg[i] = NULL;
        }
    }
    place_end(&t.p); /* with those that are left */
}

/* Whatever the bytes are, a walk ends. */
static void test_nonsense(void)
{
    check_rng rng = check_seed(6);
    for (int i = 0; i < 300; i++) {
        place p = place_adopt(MPS_KIND_CONDITION);
        mps_waitq *q = &((mps_cond *)mps_region_at(&p.seg->region, p.off))->queue;
        mps_turn turns[6];
        uint64_t n;
        for (int k = 0; k < 6; k++) {
            CHECK_OK(mps_cond_enter(p.seg, door, p.off, &turns[k]));
        }
        for (int k = 0; k < 3; k++) {
            mps_waiter *w = mps_region_at(&p.seg->region, turns[check_below(&rng, 6)].node);
            uint64_t *words[] = {&q->first, &q->last, &q->waiting, &w->word, &w->next, &w->prev};
            uint64_t *word = words[check_below(&rng, 6)];
            *word = check_below(&rng, 3) == 0 ? check_random(&rng) >> check_below(&rng, 64)
                                              : turns[check_below(&rng, 6)].node;
        }
        char why[100];
        (void)mps_seg_check(p.seg, why, sizeof(why));
        (void)mps_cond_waiting(p.seg, door, p.off, &n);
        (void)mps_cond_notify(p.seg, door, p.off, 2);
        (void)mps_cond_wait(p.seg, door, p.off, &turns[0], 0);
        (void)mps_cond_notify(p.seg, door, p.off, UINT64_MAX);
        mps_seg_abandon(p.seg);
        free(p.buffer);
    }
}

int main(void)
{
    test_model();
    test_nonsense();
    return 0;
}
