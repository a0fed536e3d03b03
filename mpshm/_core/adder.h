/* adder.h -- adding to a word in one instruction, beside others who hold a lock while they read and write it.
 *
 * Who adds takes no lock: it says in its slot's head which lock the word belongs to, sees that the lock is free, adds, and
 * takes its word back. Who takes the lock sees to it that nobody is between these steps. Both write first and look afterwards, so
 * one of them sees the other:
 *
 *   adder                                       holder
 *     flags |= MPS_FLAG_ADDERS  (once)            word = token      (compare and swap)
 *     adding = lock             (exchange)        flags & MPS_FLAG_ADDERS, and then, for each slot:
 *     word is 0, or ours?                           wait while adding == lock and its process lives
 *     yes: add; adding = 0                        read, write
 *     no:  adding = 0; take the lock, add         word = 0
 *
 * Invariant: while one thread holds a lock whose object has MPS_FLAG_ADDERS, no other adds to what it protects.
 *
 * An adder holds the GIL from the first step to the last, so one word for a process is enough, and none of the holder's own
 * threads is between them. A dead adder has added or has not; its word is ignored, and cleared when the slot is given out again.
 *
 * Locking: as above. Costs: adding, one exchange and one locked addition; taking a lock that has adders, a look at every slot that
 * was ever in use; taking one that has none, one load.
 */
#ifndef MPS_ADDER_H
#define MPS_ADDER_H

#include "object.h"

/* The numbers that can be added to. */
typedef enum mps_number {
    MPS_NUMBER_NONE = 0,
    MPS_NUMBER_INT8,
    MPS_NUMBER_UINT8,
    MPS_NUMBER_INT16,
    MPS_NUMBER_UINT16,
    MPS_NUMBER_INT32,
    MPS_NUMBER_UINT32,
    MPS_NUMBER_INT64,
    MPS_NUMBER_UINT64,
    MPS_NUMBER_FLOAT,
    MPS_NUMBER_DOUBLE,
} mps_number;

static inline bool mps_number_is_float(mps_number type)
{
    return type >= MPS_NUMBER_FLOAT;
}

/* Adds to an aligned whole number; the sum as 64 bits, cut off and extended as its type says. */
static inline uint64_t mps_number_add(void *at, mps_number type, uint64_t n)
{
    uint64_t sum = 0;
    switch (type) {
    case MPS_NUMBER_INT8:
        sum = (uint64_t)(int8_t)__atomic_add_fetch((uint8_t *)at, (uint8_t)n, __ATOMIC_ACQ_REL);
        break;
    case MPS_NUMBER_UINT8: sum = __atomic_add_fetch((uint8_t *)at, (uint8_t)n, __ATOMIC_ACQ_REL); break;
    case MPS_NUMBER_INT16:
        sum = (uint64_t)(int16_t)__atomic_add_fetch((uint16_t *)at, (uint16_t)n, __ATOMIC_ACQ_REL);
        break;
    case MPS_NUMBER_UINT16: sum = __atomic_add_fetch((uint16_t *)at, (uint16_t)n, __ATOMIC_ACQ_REL); break;
    case MPS_NUMBER_INT32:
        sum = (uint64_t)(int32_t)__atomic_add_fetch((uint32_t *)at, (uint32_t)n, __ATOMIC_ACQ_REL);
        break;
    case MPS_NUMBER_UINT32: sum = __atomic_add_fetch((uint32_t *)at, (uint32_t)n, __ATOMIC_ACQ_REL); break;
    default: sum = __atomic_add_fetch((uint64_t *)at, n, __ATOMIC_ACQ_REL); break;
    }
    mps_crash_point();
    return sum;
}

/* The same of a floating-point number. */
double mps_number_add_float(void *at, mps_number type, double n);

/* Says of a lock's object that there may be adders. Before each mps_adder_enter; a store the first time only. */
static inline void mps_adder_announce(mps_object *lock)
{
    if (mps_unlikely((mps_load32(&lock->mortal.flags) & MPS_FLAG_ADDERS) == 0)) {
        __atomic_fetch_or(&lock->mortal.flags, MPS_FLAG_ADDERS, __ATOMIC_SEQ_CST);
        mps_crash_point();
    }
}

/* Says that we add under that lock: false when this process can't say so just now. */
static inline bool mps_adder_say(mps_seg *seg, mps_object *lock, mps_off off)
{
    if (mps_unlikely(mps_load32(&seg->control->state) != MPS_STATE_READY || seg->token == 0 ||
                     mps_load64(&seg->head->word) != seg->slot_word)) {
        return false;
    }
    mps_adder_announce(lock);
    (void)__atomic_exchange_n(&seg->head->adding, off, __ATOMIC_SEQ_CST); /* all of it before the look at the lock */
    mps_crash_point();
    return true;
}

/* With the GIL held, until mps_adder_leave: whether this thread may add now. If not, it has to take the lock. */
static inline bool mps_adder_enter(mps_seg *seg, mps_object *lock, mps_off off)
{
    if (mps_unlikely(!mps_adder_say(seg, lock, off))) {
        return false;
    }
    if (mps_likely(mps_userlock_pass(seg, &lock->user) == MPS_OK)) {
        return true;
    }
    mps_store64_release(&seg->head->adding, 0);
    return false;
}

/* The same for a lock that is free, without a call: false where it is this thread's, too. */
static inline bool mps_adder_enter_free(mps_seg *seg, mps_object *lock, mps_off off)
{
    if (mps_unlikely(!mps_adder_say(seg, lock, off))) {
        return false;
    }
    if (mps_likely(mps_load32(&lock->user.word) == 0)) {
        return true;
    }
    mps_store64_release(&seg->head->adding, 0);
    return false;
}

static inline void mps_adder_leave(mps_seg *seg)
{
    mps_store64_release(&seg->head->adding, 0);
}

/* mps_adders_settle for a lock that has adders. */
mps_status mps_adders_wait(mps_seg *seg, mps_door door, mps_off off);

/* To be called by whoever has just taken the lock of a MPS_KIND_LOCK or MPS_KIND_RLOCK: waits for those who had begun to add
 * before. MPS_OK, or MPS_E_INTR: look at your signals, then call again. The lock is the caller's all the time. */
static inline mps_status mps_adders_settle(mps_seg *seg, mps_door door, const mps_object *lock, mps_off off)
{
    return mps_likely((mps_load32(&lock->mortal.flags) & MPS_FLAG_ADDERS) == 0) ? MPS_OK
                                                                                : mps_adders_wait(seg, door, off);
}

#endif
