#include "region.h"

#include "twin.h"
#include "os.h"

mps_status mps_region_create(const char *label, uint64_t size, uint64_t reserve, mps_region *out)
{
    int fd = -1;
    mps_status st = mps_os_memfd(label, &fd);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_os_extend(fd, size);
    if (st == MPS_OK) {
        st = mps_region_open(fd, reserve, out);
    }
    if (st != MPS_OK) {
        mps_os_close(fd);
    }
    return st;
}

mps_status mps_region_open(int fd, uint64_t reserve, mps_region *out)
{
    return mps_region_open_at(fd, reserve, false, 0, out);
}

mps_status mps_region_open_at(int fd, uint64_t reserve, bool readonly, uint64_t address, mps_region *out)
{
    mps_region r = {.fd = fd, .reserve = mps_round_up(reserve, MPS_PAGE), .readonly = readonly};
    mps_status st = mps_os_file_id(fd, &r.dev, &r.ino);
    if (st != MPS_OK) {
        return st;
    }
    void *base = NULL;
    st = mps_os_map_at(fd, r.reserve, readonly ? MPS_MAP_READ : MPS_MAP_SHARED, address, &base);
    if (st != MPS_OK) {
        return st;
    }
    r.base = base;
    mps_region_refresh(&r);
    *out = r;
    return MPS_OK;
}

mps_status mps_region_heap(uint64_t size, uint64_t reserve, uint64_t address, mps_region *out)
{
    mps_region r = {.fd = -1, .heap = true, .limit = size, .reserve = mps_round_up(reserve, MPS_PAGE)};
    void *base = NULL;
    mps_status st = mps_os_map_at(-1, r.reserve, MPS_MAP_PRIVATE, address, &base);
    if (st == MPS_OK) {
        r.base = base;
        *out = r;
    }
    return st;
}

mps_status mps_region_adopt(void *buffer, uint64_t size, mps_region *out)
{
    if (((uintptr_t)buffer & (MPS_CACHE_LINE - 1)) != 0) {
        return MPS_E_INVAL;
    }
    *out = (mps_region){.base = buffer, .limit = size, .reserve = size, .fd = -1};
    return MPS_OK;
}

void mps_region_close(mps_region *r)
{
    if (r->fd >= 0 || r->heap) {
        mps_os_unmap(r->base, r->reserve);
    }
    mps_twin_close(r);
    if (r->fd >= 0 && mps_region_fd_is_ours(r)) {
        mps_os_close(r->fd);
    }
    *r = (mps_region){.fd = -1};
}

bool mps_region_fd_is_ours(const mps_region *r)
{
    uint64_t dev = 0, ino = 0;
    return mps_os_file_id(r->fd, &dev, &ino) == MPS_OK && dev == r->dev && ino == r->ino;
}

void mps_region_refresh(mps_region *r)
{
    uint64_t size = 0;
    if (r->fd < 0 || !mps_region_fd_is_ours(r) || mps_os_file_size(r->fd, &size) != MPS_OK) {
        return;
    }
    size = mps_min64(size, r->reserve);
    if (size > mps_load64(&r->limit)) {
        __atomic_store_n(&r->limit, size, __ATOMIC_RELAXED);
    }
}

/* The heap reaches to `end` at least. */
static void raise_limit(mps_region *r, uint64_t end)
{
    uint64_t limit = mps_load64(&r->limit);
    while (limit < end &&
           !__atomic_compare_exchange_n(&r->limit, &limit, end, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

mps_status mps_region_commit(mps_region *r, uint64_t off, uint64_t len)
{
    if (off > r->reserve || len > r->reserve - off) {
        return MPS_E_FULL;
    }
    if (r->readonly) {
        return MPS_E_READONLY;
    }
    if (r->fd < 0) {
        if (r->heap) {
            raise_limit(r, off + len);
        }
        return MPS_OK;
    }
    if (!mps_region_fd_is_ours(r)) {
        return MPS_E_FULL;
    }
    mps_status st = mps_os_reserve(r->fd, off, len);
    if (st == MPS_OK) {
        mps_region_refresh(r);
    }
    return st;
}

mps_status mps_region_punch(mps_region *r, uint64_t off, uint64_t len)
{
    uint64_t begin = mps_round_up(off, MPS_PAGE);
    uint64_t end = (off + len) & ~(uint64_t)(MPS_PAGE - 1);
    if (begin >= end || r->readonly) {
        return MPS_OK;
    }
    if (r->heap) {
        return mps_os_discard(r->base + begin, end - begin);
    }
    if (r->fd < 0 || !mps_region_fd_is_ours(r)) {
        return MPS_OK;
    }
    return mps_os_punch(r->fd, begin, end - begin);
}

bool mps_region_holds_slow(mps_region *r, mps_off off, uint64_t len)
{
    mps_region_refresh(r);
    uint64_t limit = mps_load64(&r->limit);
    return off <= limit && len <= limit - off;
}
