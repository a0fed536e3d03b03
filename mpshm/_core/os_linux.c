#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000u
#define PATH_BYTES 512

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static mps_status fail(void)
{
    bool refused = errno == EACCES || errno == EPERM;
    return mps_fail_errno(refused ? MPS_E_PERM : MPS_E_OS);
}

/* ---- descriptors ---- */

/* Numbers 0 to 2 belong to the standard streams even while they are closed. */
static mps_status keep_clear_of_streams(int *fd)
{
    if (*fd > STDERR_FILENO) {
        return MPS_OK;
    }
    int low = *fd;
    mps_status st = mps_os_dup(low, fd);
    mps_os_close(low);
    return st;
}

/* Others of the same user can reach it through /proc; nobody else. It may grow, never shrink, and nobody may change
 * that. */
static mps_status make_private(int fd)
{
    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
        return fail();
    }
    return MPS_OK;
}

mps_status mps_os_memfd(const char *label, int *out)
{
    int fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) { /* before Linux 6.3 */
        fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    if (fd < 0) {
        return fail();
    }
    mps_status st = keep_clear_of_streams(&fd);
    if (st != MPS_OK) {
        return st;
    }
    st = make_private(fd);
    if (st != MPS_OK) {
        mps_os_close(fd);
        return st;
    }
    *out = fd;
    return MPS_OK;
}

mps_status mps_os_reopen(int fd, int *out)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int copy;
    do {
        copy = open(path, O_RDWR | O_CLOEXEC);
    } while (copy < 0 && errno == EINTR);
    if (copy < 0) {
        return fail();
    }
    mps_status st = keep_clear_of_streams(&copy);
    if (st == MPS_OK) {
        *out = copy;
    }
    return st;
}

/* ---- memory of the file ---- */

static bool no_more_memory(int error)
{
    return error == ENOSPC || error == ENOMEM || error == EFBIG || error == EDQUOT;
}

/* An interrupted allocation is taken back by the kernel. A timer that fires often would keep a large one from ever
 * ending: so the second attempt is made with all signals held back. */
static int allocate(int fd, int mode, off_t off, off_t len)
{
    if (fallocate(fd, mode, off, len) == 0) {
        return 0;
    }
    if (errno != EINTR) {
        return -1;
    }
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) {
        return -1;
    }
    int answer;
    do {
        answer = fallocate(fd, mode, off, len);
    } while (answer != 0 && errno == EINTR);
    int error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return answer;
}

/* Asked before, because the kernel sends SIGXFSZ, which ends a process that does not ignore it. */
static bool exceeds_file_limit(int fd, uint64_t end)
{
    struct rlimit limit;
    struct stat status;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur &&
           fstat(fd, &status) == 0 && end > (uint64_t)status.st_size;
}

mps_status mps_os_reserve(int fd, uint64_t off, uint64_t len)
{
    if (off > INT64_MAX || len > INT64_MAX - off) {
        return MPS_E_FULL;
    }
    if (exceeds_file_limit(fd, off + len)) {
        errno = EFBIG;
        return mps_fail_errno(MPS_E_FULL);
    }
    if (len == 0 || allocate(fd, 0, (off_t)off, (off_t)len) == 0) {
        return MPS_OK;
    }
    return no_more_memory(errno) ? mps_fail_errno(MPS_E_FULL) : fail();
}

/* What the ioctl PAGEMAP_SCAN (Linux 6.7) takes and gives, from <linux/fs.h>, which may be older than the kernel. */
typedef struct page_scan {
    uint64_t size, flags, start, end, walk_end, found, n_found, most;
    uint64_t inverted, all_of, any_of, tell;
} page_scan;

#define PAGE_SCAN _IOWR('f', 16, page_scan)
enum { SCAN_FILE = 4, SCAN_THERE = 8, SCAN_SWAPPED = 16 };

/* 1: there are pages that are not the file's any more; 0; -1: the kernel has no such call. */
static int scan_pages(int fd, uint64_t start, uint64_t end)
{
    uint64_t region[3];
    page_scan scan = {
        .size = sizeof scan,
        .start = start,
        .end = end,
        .found = (uint64_t)(uintptr_t)region,
        .n_found = 1,
        .most = 1,
        .inverted = SCAN_FILE,
        .all_of = SCAN_FILE,
        .any_of = SCAN_THERE | SCAN_SWAPPED,
        .tell = SCAN_THERE,
    };
    return ioctl(fd, PAGE_SCAN, &scan);
}

#define PAGE_THERE ((uint64_t)1 << 63)
#define PAGE_SWAPPED ((uint64_t)1 << 62)
#define PAGE_OF_FILE ((uint64_t)1 << 61)

/* The same from the kernel's table, which has eight bytes for each page; 1 when it can't be read. */
static int read_pages(int fd, uint64_t start, uint64_t end)
{
    uint64_t entries[512], left = (end - start) / MPS_PAGE, page = start / MPS_PAGE;
    while (left > 0) {
        uint64_t n = mps_min64(left, sizeof entries / sizeof entries[0]);
        if (pread(fd, entries, (size_t)n * 8, (off_t)(page * 8)) != (ssize_t)(n * 8)) {
            return 1;
        }
        for (uint64_t i = 0; i < n; i++) {
            if ((entries[i] & PAGE_SWAPPED) != 0 || (entries[i] & (PAGE_THERE | PAGE_OF_FILE)) == PAGE_THERE) {
                return 1;
            }
        }
        page += n;
        left -= n;
    }
    return 0;
}

bool mps_os_written(const void *base, uint64_t length)
{
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return true;
    }
    uint64_t start = (uint64_t)(uintptr_t)base;
    int written = scan_pages(fd, start, start + length);
    written = written < 0 ? read_pages(fd, start, start + length) : written;
    (void)close(fd);
    return written != 0;
}

mps_status mps_os_punch(int fd, uint64_t off, uint64_t len)
{
    if (off > INT64_MAX || len > INT64_MAX - off) {
        return MPS_E_INVAL;
    }
    if (len == 0 || allocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) == 0) {
        return MPS_OK;
    }
    return fail();
}

mps_status mps_os_next_data(int fd, uint64_t off, uint64_t *begin, uint64_t *end)
{
    off_t data = lseek(fd, (off_t)off, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
        *begin = *end = off;
        return MPS_OK;
    }
    off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
    if (hole < 0) {
        return fail();
    }
    *begin = (uint64_t)data;
    *end = (uint64_t)hole;
    return MPS_OK;
}

/* ---- locks of bytes, and liveness ---- */

static struct flock bytes(short type, uint64_t index, uint64_t count)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)index, .l_len = (off_t)count};
}

mps_status mps_os_byte_lock(int fd, uint64_t index, bool exclusive)
{
    struct flock lock = bytes(exclusive ? F_WRLCK : F_RDLCK, index, 1);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0) {
        return MPS_OK;
    }
    return errno == EAGAIN || errno == EACCES ? MPS_E_BUSY : mps_fail_errno(MPS_E_OS);
}

void mps_os_byte_unlock(int fd, uint64_t index)
{
    struct flock lock = bytes(F_UNLCK, index, 1);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

int mps_os_bytes_held(int fd, uint64_t index, uint64_t count)
{
    struct flock lock = bytes(F_WRLCK, index, count);
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) {
        return fail();
    }
    return lock.l_type != F_UNLCK;
}

mps_status mps_os_live_lock(int fd, uint64_t index)
{
    return mps_os_byte_lock(fd, index, true);
}

void mps_os_live_unlock(int fd, uint64_t index)
{
    mps_os_byte_unlock(fd, index);
}

int mps_os_live_held(int fd, uint64_t index)
{
    return mps_os_bytes_held(fd, index, 1);
}

/* ---- waiting ---- */

mps_status mps_os_wait(uint32_t *word, uint32_t expected, uint64_t timeout_ns)
{
    if (mps_load32_acquire(word) != expected) {
        return MPS_OK;
    }
    if (timeout_ns == 0) {
        return MPS_E_TIMEOUT;
    }
    struct timespec time = {.tv_sec = (time_t)(timeout_ns / NS_PER_S), .tv_nsec = (long)(timeout_ns % NS_PER_S)};
    const struct timespec *limit = timeout_ns == UINT64_MAX ? NULL : &time;
    if (syscall(SYS_futex, word, FUTEX_WAIT, expected, limit, NULL, 0) == 0 || errno == EAGAIN) {
        return MPS_OK;
    }
    switch (errno) {
    case ETIMEDOUT: return MPS_E_TIMEOUT;
    case EINTR: return MPS_E_INTR;
    default: return fail();
    }
}

uint32_t mps_os_wake(uint32_t *word, uint32_t count)
{
    int n = count > INT_MAX ? INT_MAX : (int)count;
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
    return woken > 0 ? (uint32_t)woken : 0;
}

void mps_os_requeue(uint32_t *word, uint32_t *other)
{
    (void)syscall(SYS_futex, word, FUTEX_REQUEUE, 0, (void *)(uintptr_t)1, other, 0);
}

uint32_t mps_os_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 2;
}

/* ---- the rest ---- */

mps_status mps_os_random(void *out, size_t n)
{
    uint8_t *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR) {
            return fail();
        }
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
    return MPS_OK;
}

/* 32 hexadecimal digits with dashes between. */
void mps_os_boot_id(uint8_t id[16])
{
    memset(id, 0, 16);
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL) {
        return;
    }
    for (unsigned n = 0; n < 32;) {
        int c = fgetc(file);
        if (c == EOF || c == '\n') {
            break;
        }
        unsigned digit = c >= '0' && c <= '9' ? (unsigned)c - '0' : c >= 'a' && c <= 'f' ? (unsigned)c - 'a' + 10 : 16;
        if (digit < 16) {
            id[n / 2] = (uint8_t)(((unsigned)id[n / 2] << 4 | digit) & 0xff);
            n++;
        }
    }
    (void)fclose(file);
}

/* The number in a control group's file; UINT64_MAX when there is no file or it says "max". */
static uint64_t limit_in(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return UINT64_MAX;
    }
    unsigned long long value = 0;
    bool number = fscanf(file, "%llu", &value) == 1;
    (void)fclose(file);
    return number && value > 0 ? value : UINT64_MAX;
}

/* The smallest limit of a group and the groups around it. Inside a container the path may be one that only the host
 * knows: then the root of what is mounted is the container's own group. */
static uint64_t limit_of_group(const char *mount, const char *group, const char *name)
{
    char path[2 * PATH_BYTES];
    char parent[PATH_BYTES];
    (void)snprintf(parent, sizeof(parent), "%s", group);
    uint64_t limit = UINT64_MAX;
    for (;;) {
        (void)snprintf(path, sizeof(path), "%s%s/%s", mount, parent, name);
        limit = mps_min64(limit, limit_in(path));
        char *slash = strrchr(parent, '/');
        if (slash == NULL) {
            return limit;
        }
        *slash = '\0';
    }
}

static bool lists_memory(const char *controllers)
{
    for (const char *p = controllers; p != NULL; p = strchr(p, ',')) {
        p += *p == ',';
        if (strncmp(p, "memory", 6) == 0 && (p[6] == ',' || p[6] == '\0')) {
            return true;
        }
    }
    return false;
}

/* /proc/self/cgroup has lines "id:controllers:path"; version 2 is the one with id 0 and no controllers. */
static uint64_t control_group_limit(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) {
        return UINT64_MAX;
    }
    uint64_t limit = UINT64_MAX;
    char line[PATH_BYTES];
    while (fgets(line, sizeof(line), file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) {
            continue;
        }
        *controllers++ = '\0';
        *group++ = '\0';
        if (strcmp(line, "0") == 0 && *controllers == '\0') {
            limit = mps_min64(limit, limit_of_group("/sys/fs/cgroup", group, "memory.max"));
        } else if (lists_memory(controllers)) {
            limit = mps_min64(limit, limit_of_group("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
        }
    }
    (void)fclose(file);
    return limit;
}

uint64_t mps_os_memory_limit(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t physical = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    return mps_min64(physical, control_group_limit());
}
