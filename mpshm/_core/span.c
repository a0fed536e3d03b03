#include "span.h"

/* memmove, in single loads and stores under ThreadSanitizer. */
static void move(uint8_t *to, const uint8_t *from, uint64_t nbytes)
{
    if (!MPS_RACY_ATOMIC) {
        memmove(to, from, nbytes);
        return;
    }
    for (uint64_t i = 0; i < nbytes; i++) {
        uint64_t k = to > from ? nbytes - 1 - i : i;
        __atomic_store_n(to + k, __atomic_load_n(from + k, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    }
}

mps_status mps_span_log(mps_tx *tx, void *at, uint64_t nbytes, uint64_t more)
{
    uint64_t first = (uint64_t)((uintptr_t)at & 7);
    uint64_t words = nbytes == 0 ? 0 : (first + nbytes + 7) / 8;
    const uint64_t *word = (const uint64_t *)(const void *)((uint8_t *)at - first);
    mps_status st = mps_tx_reserve(tx, words + more);
    for (uint64_t i = 0; i < words && st == MPS_OK; i++) {
        mps_tx_log(tx, &word[i]);
    }
    return st;
}

mps_status mps_span_splice(mps_tx *tx, uint8_t *base, uint64_t length, uint64_t start, uint64_t stop, const void *from,
                           uint64_t nbytes, uint64_t more)
{
    mps_status st = mps_span_log(tx, base + start, mps_span_cost(length, start, stop, nbytes), more);
    if (st != MPS_OK) {
        return st;
    }
    if (stop - start != nbytes) {
        move(base + start + nbytes, base + stop, length - stop);
        mps_crash_point();
    }
    if (nbytes > 0) {
        mps_fresh_copy(base + start, from, nbytes);
    }
    mps_crash_point();
    return MPS_OK;
}
