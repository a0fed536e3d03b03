#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0
#endif
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

#define NS_PER_S 1000000000u
#define FIRST_FD 3 /* a segment never gets the number of a closed standard stream: others write to those unasked */

static mps_status fail(void)
{
    bool refused = errno == EACCES || errno == EPERM;
    return mps_fail_errno(refused ? MPS_E_PERM : MPS_E_OS);
}

/* ---- descriptors ---- */

mps_status mps_os_dup(int fd, int *out)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
    if (copy < 0) {
        return fail();
    }
    *out = copy;
    return MPS_OK;
}

void mps_os_close(int fd)
{
    close(fd); /* EINTR: it is closed all the same */
}

/* ---- the file ---- */

mps_status mps_os_file_size(int fd, uint64_t *size)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return fail();
    }
    *size = (uint64_t)status.st_size;
    return MPS_OK;
}

mps_status mps_os_file_id(int fd, uint64_t *dev, uint64_t *ino)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return fail();
    }
    *dev = (uint64_t)status.st_dev;
    *ino = (uint64_t)status.st_ino;
    return MPS_OK;
}

mps_status mps_os_file_is_ours(int fd, bool *ours)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return fail();
    }
    *ours = status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    return MPS_OK;
}

mps_status mps_os_file_is_trusted(int fd, uint32_t permissions, bool *trusted)
{
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return fail();
    }
    uint32_t loose = (uint32_t)status.st_mode & (S_IWGRP | S_IWOTH) & ~permissions;
    bool ours = status.st_uid == geteuid() || (permissions & (S_IRWXG | S_IRWXO)) != 0;
    *trusted = ours && loose == 0;
    return MPS_OK;
}

/* What a failure to get at a path means. */
static mps_status path_failure(void)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR: return MPS_E_NOTFOUND;
    case EEXIST: return MPS_E_EXISTS;
    case EISDIR:
    case ELOOP:
    case ENXIO: return MPS_E_FOREIGN;
    case EROFS: return mps_fail_errno(MPS_E_PERM);
    case ENOSPC:
    case EDQUOT: return mps_fail_errno(MPS_E_FULL);
    default: return fail();
    }
}

mps_status mps_os_open(const char *path, unsigned how, uint32_t permissions, int *out)
{
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY | ((how & MPS_OS_WRITE) != 0 ? O_RDWR : O_RDONLY);
    flags |= (how & MPS_OS_MAKE) != 0 ? O_CREAT | O_EXCL : 0;
    flags |= (how & MPS_OS_NO_LINKS) != 0 ? O_NOFOLLOW : 0;
    int fd;
    do {
        fd = open(path, flags, (mode_t)permissions);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return path_failure();
    }
    struct stat status;
    mps_status st = fstat(fd, &status) != 0 ? fail() : S_ISREG(status.st_mode) ? MPS_OK : MPS_E_FOREIGN;
    if (st == MPS_OK && fd < FIRST_FD) {
        int low = fd;
        st = mps_os_dup(low, &fd);
        close(low);
        if (st != MPS_OK) {
            return st;
        }
    }
    if (st != MPS_OK) {
        close(fd);
        return st;
    }
    *out = fd;
    return MPS_OK;
}

mps_status mps_os_path_id(const char *path, uint64_t *dev, uint64_t *ino)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return path_failure();
    }
    *dev = (uint64_t)status.st_dev;
    *ino = (uint64_t)status.st_ino;
    return MPS_OK;
}

mps_status mps_os_unlink(const char *path)
{
    return unlink(path) == 0 ? MPS_OK : path_failure();
}

mps_status mps_os_chmod(int fd, uint32_t permissions)
{
    return fchmod(fd, (mode_t)permissions) == 0 ? MPS_OK : fail();
}

mps_status mps_os_read(int fd, uint64_t off, void *to, uint64_t len)
{
    uint8_t *p = to;
    while (len > 0) {
        ssize_t got = pread(fd, p, len < ((size_t)1 << 30) ? (size_t)len : (size_t)1 << 30, (off_t)off);
        if (got < 0 && errno != EINTR) {
            return fail();
        }
        if (got == 0) {
            return MPS_E_CORRUPT; /* shorter than it said */
        }
        if (got > 0) {
            p += got;
            off += (uint64_t)got;
            len -= (uint64_t)got;
        }
    }
    return MPS_OK;
}

mps_status mps_os_write(int fd, uint64_t off, const void *from, uint64_t len)
{
    const uint8_t *p = from;
    while (len > 0) {
        ssize_t put = pwrite(fd, p, (size_t)len, (off_t)off);
        if (put < 0 && errno != EINTR) {
            bool full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
            return full ? mps_fail_errno(MPS_E_FULL) : fail();
        }
        if (put > 0) {
            p += put;
            off += (uint64_t)put;
            len -= (uint64_t)put;
        }
    }
    return MPS_OK;
}

mps_status mps_os_truncate(int fd, uint64_t size)
{
    while (ftruncate(fd, (off_t)size) != 0) {
        if (errno != EINTR) {
            return fail();
        }
    }
    return MPS_OK;
}

static mps_status fail_to_sync(void)
{
    bool full = errno == ENOSPC || errno == EDQUOT;
    return full ? mps_fail_errno(MPS_E_FULL) : mps_fail_errno(MPS_E_OS);
}

mps_status mps_os_sync(int fd)
{
    while (fsync(fd) != 0) {
        if (errno != EINTR) {
            return fail_to_sync();
        }
    }
    return MPS_OK;
}

mps_status mps_os_sync_memory(void *from, uint64_t len)
{
    uint64_t before = (uint64_t)(uintptr_t)from % (uint64_t)sysconf(_SC_PAGESIZE);
    while (msync((uint8_t *)from - before, (size_t)(len + before), MS_SYNC) != 0) {
        if (errno != EINTR) {
            return fail_to_sync();
        }
    }
    return MPS_OK;
}

mps_status mps_os_extend(int fd, uint64_t size)
{
    if (size > INT64_MAX) {
        return MPS_E_FULL;
    }
    for (;;) {
        uint64_t now = 0;
        mps_status st = mps_os_file_size(fd, &now);
        if (st != MPS_OK || now >= size) {
            return st;
        }
        if (ftruncate(fd, (off_t)size) == 0) {
            return MPS_OK;
        }
        if (errno == EFBIG || errno == ENOSPC || errno == ENOMEM || errno == EDQUOT) {
            return mps_fail_errno(MPS_E_FULL);
        }
        int error = errno;
        /* Another process may have made the file longer than this between the two calls: then the seal refuses, and
         * we look again. */
        if (error != EINTR && (mps_os_file_size(fd, &now) != MPS_OK || now < size)) {
            errno = error;
            return fail();
        }
    }
}

/* ---- address space ---- */

mps_status mps_os_map_at(int fd, uint64_t length, unsigned how, uint64_t address, void **base)
{
    if (length == 0 || length > SIZE_MAX / 2 || address % MPS_PAGE != 0) {
        return MPS_E_INVAL;
    }
    int prot = how == MPS_MAP_READ ? PROT_READ : PROT_READ | PROT_WRITE;
    int flags = (how == MPS_MAP_PRIVATE ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED) | MAP_NORESERVE;
    void *wanted = (void *)(uintptr_t)address;
    void *at = mmap(wanted, (size_t)length, prot, flags | (address != 0 ? MAP_FIXED_NOREPLACE : 0), fd, 0);
    if (at == MAP_FAILED) {
        return errno == ENOMEM ? mps_fail_errno(MPS_E_NOMEM) : errno == EEXIST ? MPS_E_BUSY : fail();
    }
    if (address != 0 && at != wanted) { /* a system that takes the address for a hint */
        (void)munmap(at, (size_t)length);
        return MPS_E_BUSY;
    }
#ifdef MADV_DONTDUMP
    (void)madvise(at, (size_t)length, MADV_DONTDUMP); /* a core dump of every worker would hold the whole segment */
#endif
    *base = at;
    return MPS_OK;
}

mps_status mps_os_map(int fd, uint64_t length, void **base)
{
    return mps_os_map_at(fd, length, MPS_MAP_SHARED, 0, base);
}

mps_status mps_os_map_copy(int fd, uint64_t offset, uint64_t length, void **base)
{
    void *at = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, (off_t)offset);
    if (at == MAP_FAILED) {
        return errno == ENOMEM || errno == EAGAIN ? mps_fail_errno(MPS_E_NOMEM) : fail();
    }
    *base = at;
    return MPS_OK;
}

mps_status mps_os_discard(void *base, uint64_t length)
{
    return length == 0 || madvise(base, (size_t)length, MADV_DONTNEED) == 0 ? MPS_OK : fail();
}

void mps_os_unmap(void *base, uint64_t length)
{
    (void)munmap(base, (size_t)length);
}

uint64_t mps_os_address_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
        return UINT64_MAX;
    }
    return (uint64_t)limit.rlim_cur;
}

/* ---- time ---- */

uint64_t mps_os_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* A signal ends the sleep early: who polls looks again, who has Python's signals to serve serves them. */
void mps_os_sleep(uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    (void)nanosleep(&time, NULL);
}

/* ---- who we are ---- */

/* The address of a thread's own variable tells it from all other living threads, in a forked child too; the time of
 * the first call tells it from those that had the address before. */
uint64_t mps_os_thread_id(void)
{
    static _Thread_local uint64_t id __attribute__((tls_model("initial-exec")));
    if (mps_unlikely(id == 0)) {
        uint64_t milliseconds = mps_os_now() / 1000000u;
        id = milliseconds << 44 | ((uint64_t)(uintptr_t)&id >> 3 & (((uint64_t)1 << 44) - 1));
    }
    return id;
}

uint32_t mps_os_pid(void)
{
    return (uint32_t)getpid();
}

uint32_t mps_os_user(void)
{
    return (uint32_t)geteuid();
}

mps_status mps_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    int error = pthread_atfork(prepare, parent, child);
    if (error != 0) {
        errno = error;
        return mps_fail_errno(error == ENOMEM ? MPS_E_NOMEM : MPS_E_OS);
    }
    return MPS_OK;
}
