#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os_view.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#include "os.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static mps_status fail(void)
{
    switch (errno) {
    case EACCES:
    case EPERM: return mps_fail_errno(MPS_E_PERM);
    case EEXIST: return mps_fail_errno(MPS_E_EXISTS);
    case ENOMEM: return mps_fail_errno(MPS_E_NOMEM);
    default: return mps_fail_errno(MPS_E_OS);
    }
}

uint64_t mps_os_page(void)
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 0 ? (uint64_t)page : MPS_PAGE;
}

static uint64_t whole_pages(uint64_t n)
{
    uint64_t page = mps_os_page();
    return (n + page - 1) / page * page;
}

/* ---- up and down ---- */

static int flags_of(int fd, mps_access access, uint64_t address)
{
    int flags = access == MPS_ACCESS_PRIVATE ? MAP_PRIVATE : MAP_SHARED;
    flags |= fd < 0 ? MAP_ANONYMOUS : 0;
    return flags | (address != 0 ? MAP_FIXED_NOREPLACE : 0);
}

mps_status mps_view_map(int fd, uint64_t offset, uint64_t size, mps_access access, uint64_t address, bool huge,
                        mps_view *out)
{
    uint64_t page = mps_os_page();
    uint64_t before = offset % page;
    if (size == 0 || size > INT64_MAX / 2 || offset > INT64_MAX / 2 || (address != 0 && address < before) ||
        (address != 0 && (address - before) % page != 0)) {
        return MPS_E_INVAL;
    }
    mps_view made = {.fd = -1, .access = access, .size = size, .length = whole_pages(before + size)};
    if (fd >= 0) {
        mps_status st = mps_os_dup(fd, &made.fd);
        if (st != MPS_OK) {
            return st;
        }
    }
    int protection = access == MPS_ACCESS_READ ? PROT_READ : PROT_READ | PROT_WRITE;
    void *wanted = (void *)(uintptr_t)(address - (address != 0 ? before : 0)); /* NOLINT: a number is what we have */
    void *at =
        mmap(wanted, (size_t)made.length, protection, flags_of(fd, access, address), made.fd, (off_t)(offset - before));
    if (at != MAP_FAILED && address != 0 && at != wanted) { /* a kernel before 4.17 takes the address for a hint */
        (void)munmap(at, (size_t)made.length);
        at = MAP_FAILED;
        errno = EEXIST;
    }
    if (at == MAP_FAILED) {
        mps_status st = fail();
        if (made.fd >= 0) {
            mps_os_close(made.fd);
        }
        return st;
    }
    if (huge) {
        (void)madvise(at, (size_t)made.length, MADV_HUGEPAGE);
    }
    made.base = at;
    made.data = (uint8_t *)at + before;
    *out = made;
    return MPS_OK;
}

mps_status mps_view_attach(int shmid, mps_access access, uint64_t address, mps_view *out)
{
    mps_view made = {.fd = -1, .access = access, .xsi = true};
    mps_status st = mps_xsi_size(shmid, &made.size);
    if (st != MPS_OK) {
        return st;
    }
    if (address % mps_os_page() != 0) {
        return MPS_E_INVAL;
    }
    void *at = shmat(shmid, (void *)(uintptr_t)address, access == MPS_ACCESS_READ ? SHM_RDONLY : 0);
    if ((uintptr_t)at == UINTPTR_MAX) {
        if (errno == EINVAL && address != 0) {
            errno = EEXIST;
        }
        return fail();
    }
    made.base = at;
    made.data = at;
    made.length = whole_pages(made.size);
    *out = made;
    return MPS_OK;
}

void mps_view_unmap(mps_view *view)
{
    if (view->base != NULL) {
        if (view->xsi) {
            (void)shmdt(view->base);
        } else {
            (void)munmap(view->base, (size_t)view->length);
        }
        view->base = NULL;
        view->data = NULL;
    }
    if (view->fd >= 0) {
        mps_os_close(view->fd);
        view->fd = -1;
    }
}

/* ---- while it is mapped ---- */

mps_status mps_view_file_size(const mps_view *view, uint64_t *size)
{
    off_t end = lseek(view->fd, 0, SEEK_END);
    *size = end < 0 ? 0 : (uint64_t)end;
    return end < 0 ? fail() : MPS_OK;
}

mps_status mps_view_flush(const mps_view *view, uint64_t offset, uint64_t n, bool wait)
{
    if (offset > view->size || n > view->size - offset) {
        return MPS_E_INVAL;
    }
    if (n == 0) {
        return MPS_OK;
    }
    uint8_t *from = view->data + offset;
    size_t before = (size_t)((uintptr_t)from % mps_os_page());
    return msync(from - before, (size_t)n + before, wait ? MS_SYNC : MS_ASYNC) == 0 ? MPS_OK : fail();
}

mps_status mps_view_shrink(mps_view *view, uint64_t n, bool from_back)
{
    if (n >= view->size || view->xsi) {
        return MPS_E_INVAL;
    }
    uint8_t *base = view->base;
    uint8_t *data = from_back ? view->data : view->data + n;
    uint64_t before = (uint64_t)(data - base);
    uint64_t front = from_back ? 0 : before / mps_os_page() * mps_os_page();
    uint64_t end = whole_pages(before + view->size - n);
    if (front > 0 && munmap(base, (size_t)front) != 0) {
        return fail();
    }
    view->base = base + front;
    view->length -= front;
    view->data = data;
    view->size -= n;
    if (end < front + view->length) {
        if (munmap(base + end, (size_t)(front + view->length - end)) != 0) {
            return fail();
        }
        view->length = end - front;
    }
    return MPS_OK;
}

mps_status mps_view_advise(const mps_view *view, mps_advice advice)
{
    static const int theirs[MPS_N_ADVICE] = {MADV_NORMAL, MADV_SEQUENTIAL, MADV_RANDOM, MADV_WILLNEED, MADV_DONTNEED};
    if ((unsigned)advice >= MPS_N_ADVICE) {
        return MPS_E_INVAL;
    }
    return madvise(view->base, (size_t)view->length, theirs[advice]) == 0 ? MPS_OK : fail();
}

/* ---- System V ---- */

mps_status mps_xsi_get(int32_t key, uint64_t size, bool create, bool exclusive, uint32_t permissions, int *shmid)
{
    int flags = (int)(permissions & 0777u) | (create ? IPC_CREAT : 0) | (exclusive ? IPC_EXCL : 0);
    int found = shmget((key_t)key, (size_t)size, flags);
    if (found < 0) {
        return errno == ENOMEM || errno == ENOSPC ? mps_fail_errno(MPS_E_FULL) : fail();
    }
    *shmid = found;
    return MPS_OK;
}

mps_status mps_xsi_size(int shmid, uint64_t *size)
{
    struct shmid_ds status;
    if (shmctl(shmid, IPC_STAT, &status) != 0) {
        return fail();
    }
    *size = (uint64_t)status.shm_segsz;
    return MPS_OK;
}

mps_status mps_xsi_remove(int shmid)
{
    return shmctl(shmid, IPC_RMID, NULL) == 0 ? MPS_OK : fail();
}

mps_status mps_xsi_key(const char *path, int id, int32_t *key)
{
    key_t made = ftok(path, id);
    if (made == (key_t)-1) {
        return fail();
    }
    *key = (int32_t)made;
    return MPS_OK;
}
