/* test_typed_crash.c -- a process that dies with a pen in its hand: the items that it had put down are there, and no other. */
#include "content.h"

#include <setjmp.h>

#include "crash.h"
#include "typed.h"

#define BUFFER ((uint64_t)1 << 20)
#define ITEMS 60u

static const mps_door door = MPS_DOOR_FREE;
static jmp_buf grave;
static uint64_t done; /* items that were put down before the death */

static void die(void)
{
    longjmp(grave, 1);
}

static void put_down(mps_seg *seg, mps_off off)
{
    mps_pen pen;
    CHECK_OK(mps_typed_open(seg, door, off, 8, &pen));
    for (done = 0; done < ITEMS; done++) {
        CHECK_OK(mps_pen_push64(&pen, done * 5));
    }
    mps_typed_close(&pen);
}

/* Whether the worker died at its n-th point. */
static bool trial(uint64_t n)
{
    world w = world_make(BUFFER);
    mps_off off = world_object(&w, MPS_KIND_VECTOR, sizeof(mps_typed));
    mps_enc words = {.value = mps_value_int(8)};
    mps_typed_form form = {8, 0, MPS_TYPED_NO_LIMIT};
    uint64_t length, item;
    CHECK_OK(mps_typed_setup(w.seg, door, off, form, &words));
    mps_seg *volatile worker = check_adopt(w.buffer, BUFFER, false);
    volatile bool died = false;
    mps_crash_set_jump(die);
    if (setjmp(grave) == 0) {
        CHECK_OK(mps_crash_arm(n));
        put_down(worker, off);
    } else {
        died = true;
    }
    CHECK_OK(mps_crash_arm(0));
    mps_crash_set_jump(NULL);
    mps_seg_abandon(worker);
    CHECK(mps_seg_recover(w.seg) == 1);
    CHECK_SOUND(w.seg);
    CHECK_OK(mps_typed_len(w.seg, door, off, &length));
    CHECK(length == done || (died && length == done + 1)); /* the last one may be there before its push returns */
    for (uint64_t i = 0; i < length; i++) {
        CHECK_OK(mps_typed_get(w.seg, door, off, 8, (int64_t)i, &item));
        CHECK(item == i * 5);
    }
    item = 1;
    CHECK_OK(mps_typed_push(w.seg, door, off, 8, &item, 1));
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
    return died;
}

int main(void)
{
    uint64_t n = 1;
    while (trial(n)) {
        n++;
    }
    CHECK(n > ITEMS * 2);
    printf("died at %" PRIu64 " points\n", n - 1);
    return 0;
}
