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

mps_status mps_os_map(int fd, uint64_t length, void **base)
{
    if (length == 0 || length > SIZE_MAX / 2) {
        return MPS_E_INVAL;
    }
    void *at = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (at == MAP_FAILED) {
        return errno == ENOMEM ? mps_fail_errno(MPS_E_NOMEM) : fail();
    }
#ifdef MADV_DONTDUMP
    (void)madvise(at, (size_t)length, MADV_DONTDUMP); /* a core dump of every worker would hold the whole segment */
#endif
    *base = at;
    return MPS_OK;
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
