#include "adder.h"

#include "os.h"

#define SPINS 200u
#define SLICE_MIN_NS 50000u    /* 50 us: an adder that the system has put aside is back soon */
#define SLICE_MAX_NS 10000000u /* 10 ms: one that was stopped may stay so for long */
#define LOOK_UP_NS 100000000u  /* of sleep, after which the caller looks at its signals */

/* ---- numbers ---- */

static float add_single(uint32_t *at, double n)
{
    uint32_t old = mps_load32(at), now = 0;
    float sum = 0;
    do {
        float before = 0;
        memcpy(&before, &old, sizeof(before));
        sum = (float)((double)before + n);
        memcpy(&now, &sum, sizeof(now));
    } while (!mps_cas32(at, &old, now));
    return sum;
}

static double add_double(uint64_t *at, double n)
{
    uint64_t old = mps_load64(at), now = 0;
    double sum = 0;
    do {
        double before = 0;
        memcpy(&before, &old, sizeof(before));
        sum = before + n;
        memcpy(&now, &sum, sizeof(now));
    } while (!mps_cas64(at, &old, now));
    return sum;
}

double mps_number_add_float(void *at, mps_number type, double n)
{
    return type == MPS_NUMBER_FLOAT ? (double)add_single(at, n) : add_double(at, n);
}

/* ---- waiting for adders ---- */

/* Whether a process may be adding under that lock. */
static bool adds(mps_seg *seg, uint32_t slot, mps_off off)
{
    return mps_load64_acquire(&mps_slot_head_at(seg, slot)->adding) == off;
}

static bool spin(mps_seg *seg, uint32_t slot, mps_off off)
{
    for (uint32_t i = 0; i < SPINS; i++) {
        if (!adds(seg, slot, off)) {
            return true;
        }
        mps_pause();
    }
    return false;
}

/* Waits, without the GIL, until the process in that slot does not add any more, or is dead. */
static mps_status wait_for(mps_seg *seg, mps_door door, uint32_t slot, mps_off off)
{
    mps_status st = MPS_OK;
    uint64_t slept_ns = 0;
    void *gil = mps_door_leave(door);
    for (uint64_t slice_ns = SLICE_MIN_NS; st == MPS_OK && adds(seg, slot, off) && mps_slot_alive(seg, slot) == 1;
         slice_ns = mps_min64(slice_ns * 2, SLICE_MAX_NS)) {
        if (mps_load32(&seg->control->state) != MPS_STATE_READY) {
            st = mps_load32(&seg->control->state) == MPS_STATE_CLOSED ? MPS_E_CLOSED : MPS_E_CORRUPT;
        } else if (slept_ns >= LOOK_UP_NS) {
            st = MPS_E_INTR;
        } else {
            mps_os_sleep(slice_ns);
            slept_ns += slice_ns;
        }
    }
    mps_door_enter(door, gil);
    return st;
}

mps_status mps_adders_wait(mps_seg *seg, mps_door door, mps_off off)
{
    uint32_t n = mps_load32_acquire(&seg->control->top_slot);
    n = n < seg->n_slots ? n : seg->n_slots;
    mps_status st = MPS_OK;
    for (uint32_t slot = 0; slot < n && st == MPS_OK; slot++) {
        bool own = door == MPS_DOOR_GIL && slot == seg->slot;
        if (mps_unlikely(!own && adds(seg, slot, off)) && !spin(seg, slot, off)) {
            st = wait_for(seg, door, slot, off);
        }
    }
    return st;
}
