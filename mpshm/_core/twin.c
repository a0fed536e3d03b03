#include "twin.h"

#include "os.h"

#define BITS 64u

static uint64_t map_bytes(const mps_region *r)
{
    return mps_round_up(r->reserve / MPS_PAGE / 8 + sizeof(uint64_t), MPS_PAGE);
}

static uint64_t *word_of(mps_region *r, mps_off off, uint64_t *bit)
{
    uint64_t page = off / MPS_PAGE;
    *bit = (uint64_t)1 << (page % BITS);
    return r->taken + page / BITS;
}

/* Makes both mappings, once; false when the system does not want to. */
static bool make(mps_region *r)
{
    void *twin = NULL, *taken = NULL;
    if (r->fd < 0 || r->readonly || !mps_region_fd_is_ours(r) ||
        mps_os_map_at(-1, map_bytes(r), MPS_MAP_PRIVATE, 0, &taken) != MPS_OK) {
        return false;
    }
    if (mps_os_map_copy(r->fd, 0, r->reserve, &twin) != MPS_OK) {
        mps_os_unmap(taken, map_bytes(r));
        return false;
    }
    uint64_t *none = NULL;
    if (!__atomic_compare_exchange_n(&r->taken, &none, (uint64_t *)taken, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        mps_os_unmap(taken, map_bytes(r)); /* another thread was first, and will have set the other, too */
        mps_os_unmap(twin, r->reserve);
        return __atomic_load_n(&r->twin, __ATOMIC_ACQUIRE) != NULL;
    }
    __atomic_store_n(&r->twin, (uint8_t *)twin, __ATOMIC_RELEASE);
    return true;
}

void *mps_twin_take(mps_region *r, mps_off off, uint64_t length)
{
    if (off % MPS_PAGE != 0 || length % MPS_PAGE != 0 || length == 0 || !mps_region_holds(r, off, length) ||
        (mps_unlikely(__atomic_load_n(&r->twin, __ATOMIC_ACQUIRE) == NULL) && !make(r))) {
        return NULL;
    }
    uint64_t bit = 0, *word = word_of(r, off, &bit);
    uint64_t before = __atomic_fetch_or(word, bit, __ATOMIC_ACQUIRE);
    return (before & bit) != 0 ? NULL : r->twin + off;
}

void mps_twin_give(mps_region *r, mps_off off, uint64_t length)
{
    uint64_t bit = 0, *word = word_of(r, off, &bit);
    if (mps_os_written(r->twin + off, length)) {
        (void)mps_os_discard(r->twin + off, length);
    }
    __atomic_fetch_and(word, ~bit, __ATOMIC_RELEASE);
}

void mps_twin_close(mps_region *r)
{
    if (r->twin != NULL) {
        mps_os_unmap(r->twin, r->reserve);
        mps_os_unmap(r->taken, map_bytes(r));
    }
}
