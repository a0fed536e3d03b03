/* racy.h -- moving bytes in and out of memory that another processor may read or write meanwhile.
 *
 * Readers without a lock copy first and ask the sequence afterwards (lock.h), so what they copy may be torn; it is thrown away
 * then. Offsets are multiples of 8. Under ThreadSanitizer every access is an atomic one, so that what it reports is never this
 * race, which is intended; all other builds use the library's copies.
 */
#ifndef MPS_RACY_H
#define MPS_RACY_H

#include "base.h"

#ifdef __SANITIZE_THREAD__
#define MPS_RACY_ATOMIC 1
#else
#define MPS_RACY_ATOMIC 0
#endif

/* A word of a block that nobody can reach yet: no crash point, since nothing depends on it. */
static inline void mps_fresh64(uint64_t *p, uint64_t v)
{
    __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

/* From private memory to a fresh block. */
static inline void mps_fresh_copy(void *to, const void *from, uint64_t nbytes)
{
    if (!MPS_RACY_ATOMIC) {
        memcpy(to, from, nbytes);
        return;
    }
    for (uint64_t i = 0; i < nbytes; i++) {
        __atomic_store_n((uint8_t *)to + i, ((const uint8_t *)from)[i], __ATOMIC_RELAXED);
    }
}

/* From one place of the segment to a fresh block: whole words. */
static inline void mps_fresh_move(uint64_t *to, const uint64_t *from, uint64_t words)
{
    if (!MPS_RACY_ATOMIC) {
        memcpy(to, from, words * 8);
        return;
    }
    for (uint64_t i = 0; i < words; i++) {
        mps_fresh64(to + i, mps_load64(from + i));
    }
}

static inline void mps_fresh_zero(uint64_t *to, uint64_t words)
{
    if (!MPS_RACY_ATOMIC) {
        memset(to, 0, words * 8);
        return;
    }
    for (uint64_t i = 0; i < words; i++) {
        mps_fresh64(to + i, 0);
    }
}

/* From the segment to private memory. */
static inline void mps_racy_copy(void *to, const void *from, uint64_t nbytes)
{
    if (!MPS_RACY_ATOMIC) {
        memcpy(to, from, nbytes);
        return;
    }
    for (uint64_t i = 0; i < nbytes; i++) {
        ((uint8_t *)to)[i] = __atomic_load_n((const uint8_t *)from + i, __ATOMIC_RELAXED);
    }
}

/* Whether bytes of the segment are those given. */
static inline bool mps_racy_equal(const void *shared, const void *own, uint64_t nbytes)
{
    if (!MPS_RACY_ATOMIC) {
        return memcmp(shared, own, nbytes) == 0;
    }
    for (uint64_t i = 0; i < nbytes; i++) {
        if (__atomic_load_n((const uint8_t *)shared + i, __ATOMIC_RELAXED) != ((const uint8_t *)own)[i]) {
            return false;
        }
    }
    return true;
}

#endif
