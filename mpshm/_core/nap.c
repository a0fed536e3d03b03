#include "nap.h"

#define SPINS_HELD 100u        /* looks at the word before the GIL is given up: a few microseconds */
#define SPIN_NS 15000u         /* of looking on without the GIL: less than a sleep and a wake-up cost */
#define SPINS_A_LOOK 32u       /* looks at the word between two at the clock */
#define SLICE_MIN_NS 2000000u  /* 2 ms */
#define SLICE_MAX_NS 50000000u /* 50 ms: a dead owner is noticed within two of them */
#define LOOK_UP 2u     /* sleeps of full length after which a holder of the GIL looks at its signals, come what may */
#define CREDIT_MAX 15u /* spins that may fail in a row before spinning becomes rare */
#define CREDIT_WON 1u  /* what one success is worth: spinning goes on while it pays every other time */
#define RARELY 15u     /* without credit, one wait in sixteen spins */

/* Guesses that threads share: a lost update does no harm. */
static inline uint8_t guess(const uint8_t *p)
{
    return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static inline void guess_anew(uint8_t *p, uint32_t v)
{
    __atomic_store_n(p, (uint8_t)v, __ATOMIC_RELAXED);
}

/* Whether to spin: always with credit, now and then without. */
static bool worth_it(mps_seg *seg)
{
    if (guess(&seg->spin_credit) > 0) {
        return true;
    }
    uint32_t turn = guess(&seg->spin_turn) + 1u;
    guess_anew(&seg->spin_turn, turn);
    return (turn & RARELY) == 0;
}

void mps_nap_begin(mps_nap *nap, mps_seg *seg, mps_door door, uint64_t timeout_ns)
{
    *nap = (mps_nap){.seg = seg, .deadline = MPS_FOREVER, .slice_ns = SLICE_MIN_NS, .door = door};
    nap->look_up = door == MPS_DOOR_GIL ? LOOK_UP : 0;
    nap->spin = worth_it(seg);
    if (timeout_ns != MPS_FOREVER) {
        uint64_t now = mps_os_now();
        nap->deadline = timeout_ns < MPS_FOREVER - now ? now + timeout_ns : MPS_FOREVER;
    }
}

static void leave(mps_nap *nap)
{
    if (!nap->left) {
        nap->left = true;
        nap->gil = mps_door_leave(nap->door);
    }
}

static bool changes_soon(const uint32_t *word, uint32_t seen, uint32_t spins)
{
    for (uint32_t i = 0; i < spins; i++) {
        if (mps_load32(word) != seen) {
            return true;
        }
        mps_pause();
    }
    return false;
}

/* Looks at the word for as long as it pays. */
static bool spin(mps_nap *nap, const uint32_t *word, uint32_t seen)
{
    mps_seg *seg = nap->seg;
    nap->spin = false;
    if (!nap->patient && changes_soon(word, seen, SPINS_HELD)) {
        return true;
    }
    leave(nap);
    bool changed = false;
    uint64_t until = mps_min64(mps_os_now() + SPIN_NS, nap->deadline);
    while (!(changed = changes_soon(word, seen, SPINS_A_LOOK)) && mps_os_now() < until) {
    }
    uint32_t credit = guess(&seg->spin_credit);
    credit = changed ? (uint32_t)mps_min64(credit + CREDIT_WON, CREDIT_MAX) : credit > 0 ? credit - 1 : 0;
    guess_anew(&seg->spin_credit, credit);
    return changed;
}

mps_status mps_nap_wait(mps_nap *nap, uint32_t *word, uint32_t seen, uint32_t *waiters)
{
    mps_seg *seg = nap->seg;
    uint32_t state = mps_load32(&seg->control->state);
    if (mps_unlikely(state != MPS_STATE_READY)) {
        return state == MPS_STATE_CLOSED ? MPS_E_CLOSED : state == MPS_STATE_READING ? MPS_E_READONLY : MPS_E_CORRUPT;
    }
    if (nap->spin && seg->processors > 1 && spin(nap, word, seen)) {
        return MPS_OK;
    }
    leave(nap);
    uint64_t timeout_ns = nap->slice_ns;
    if (nap->deadline != MPS_FOREVER) {
        uint64_t now = mps_os_now();
        if (now >= nap->deadline) {
            return MPS_E_TIMEOUT;
        }
        timeout_ns = mps_min64(timeout_ns, nap->deadline - now);
    }
    nap->slept = true;
    (void)mps_swap32(waiters, 1); /* (before the word is looked at once more, in the system call) */
    mps_status st = mps_os_wait(word, seen, timeout_ns);
    if (st != MPS_E_TIMEOUT) {
        return st == MPS_E_INTR ? st : MPS_OK;
    }
    if (nap->slice_ns >= SLICE_MAX_NS && nap->look_up > 0 && --nap->look_up == 0) {
        return MPS_E_INTR;
    }
    nap->slice_ns = mps_min64(nap->slice_ns * 2, SLICE_MAX_NS);
    return MPS_OK;
}

void mps_nap_end(mps_nap *nap)
{
    if (nap->left) {
        nap->left = false;
        mps_door_enter(nap->door, nap->gil);
    }
}

void mps_wake_some(uint32_t *word, uint32_t *waiters, uint32_t n)
{
    mps_store32(waiters, 0);
    if (mps_os_wake(word, n) >= n) {
        mps_store32(waiters, 1); /* there may be more of them */
    }
}
