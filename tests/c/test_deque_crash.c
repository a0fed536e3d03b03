/* test_deque_crash.c -- a process that dies with a deque's pen in its hand: what it had put in and taken out is so, and nothing else. */
#include "content.h"

#include <setjmp.h>

#include "crash.h"
#include "deque.h"

#define BUFFER ((uint64_t)1 << 20)
#define STEPS 170u

static const mps_door door = MPS_DOOR_FREE;
static jmp_buf grave;
static uint64_t done; /* steps that were taken before the death */

static void die(void)
{
    longjmp(grave, 1);
}

/* Numbers come in at the back and go out at the front; of a hundred and twenty steps each third takes out, then all do. */
static bool takes_out(uint64_t step)
{
    return step >= 120 || step % 3 == 2;
}

static void work(mps_seg *seg, mps_off off)
{
    mps_deque_pen pen;
    mps_value value;
    CHECK_OK(mps_deque_open(seg, door, off, &pen));
    for (done = 0; done < STEPS; done++) {
        mps_value next = mps_value_int((int64_t)done);
        mps_status st =
            takes_out(done) ? mps_deque_pen_pop(&pen, MPS_FRONT, &value) : mps_deque_pen_push(&pen, MPS_BACK, next);
        CHECK(st == MPS_OK || (st == MPS_E_RANGE && takes_out(done)));
    }
    CHECK_OK(mps_deque_close(&pen));
}

/* What so many steps leave; the length. */
static uint64_t expected(uint64_t steps, uint64_t maxlen, uint64_t *values)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < steps; i++) {
        bool out = takes_out(i);
        if (!out) {
            values[n++] = i;
        }
        if (n > 0 && (out || n > maxlen)) {
            memmove(values, values + 1, --n * sizeof *values);
        }
    }
    return n;
}

static bool is_after(mps_seg *seg, mps_off off, uint64_t steps, uint64_t maxlen)
{
    uint64_t values[STEPS + 1], length, n = expected(steps, maxlen, values);
    CHECK_OK(mps_deque_len(seg, door, off, &length));
    bool same = length == n;
    for (uint64_t i = 0; i < n && same; i++) {
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK_OK(mps_deque_get(seg, door, off, (int64_t)i, &copy));
        same = copy.value.w1 == values[i];
        mps_copy_done(&copy);
    }
    return same;
}

/* Whether the worker died at its n-th point. */
static bool trial(uint64_t n, uint64_t maxlen)
{
    world w = world_make(BUFFER);
    mps_off off = world_object(&w, MPS_KIND_DEQUE, sizeof(mps_deque));
    CHECK_OK(mps_deque_reset(w.seg, door, off, maxlen, NULL, 0));
    mps_seg *volatile worker = check_adopt(w.buffer, BUFFER, false);
    volatile bool died = false;
    mps_crash_set_jump(die);
    if (setjmp(grave) == 0) {
        CHECK_OK(mps_crash_arm(n));
        work(worker, off);
    } else {
        died = true;
    }
    CHECK_OK(mps_crash_arm(0));
    mps_crash_set_jump(NULL);
    mps_seg_abandon(worker);
    CHECK(mps_seg_recover(w.seg) == 1);
    CHECK_SOUND(w.seg);
    /* (the last step may have been taken before its call returns) */
    CHECK(is_after(w.seg, off, done, maxlen) || (died && is_after(w.seg, off, done + 1, maxlen)));
    mps_enc one = {.value = mps_value_int(1)};
    CHECK_OK(mps_deque_push(w.seg, door, off, MPS_FRONT, &one));
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
    return died;
}

static uint64_t all_trials(uint64_t maxlen)
{
    uint64_t n = 1;
    while (trial(n, maxlen)) {
        n++;
    }
    CHECK(n > STEPS * 2);
    return n - 1;
}

int main(void)
{
    uint64_t endless = all_trials(MPS_NO_LIMIT);
    printf("died at %" PRIu64 " points, with a maxlen at %" PRIu64 "\n", endless, all_trials(20));
    return 0;
}
