/* test_region.c -- a range of memory that holds a segment. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"

#define MIB ((uint64_t)1 << 20)
#define RESERVE (64 * MIB)

static uint64_t memory_of(int fd)
{
    struct stat status;
    CHECK(fstat(fd, &status) == 0);
    return (uint64_t)status.st_blocks * 512;
}

/* What one mapping adds, every other one of the file may use, at its own address, without mapping anything again. */
static void test_growing(void)
{
    mps_region a, b;
    CHECK_OK(mps_region_create("mpshm-test", MIB, RESERVE, &a));
    CHECK(a.limit == MIB && a.reserve == RESERVE && memory_of(a.fd) == 0);
    int fd = -1;
    CHECK_OK(mps_os_reopen(a.fd, &fd));
    CHECK_OK(mps_region_open(fd, RESERVE, &b));
    CHECK(b.limit == MIB && b.base != a.base && b.ino == a.ino);
    CHECK(mps_region_holds(&a, 0, MIB) && !mps_region_holds(&a, 0, MIB + 1) && !mps_region_holds(&a, MIB, 1));
    CHECK(mps_region_holds(&a, MIB, 0) && !mps_region_holds(&a, UINT64_MAX - 7, 8) &&
          !mps_region_holds(&a, 8, UINT64_MAX));

    CHECK_OK(mps_region_commit(&a, 2 * MIB, MIB));
    CHECK(a.limit == 3 * MIB && memory_of(a.fd) == MIB);
    CHECK(mps_load64(&b.limit) == MIB);
    *(uint64_t *)mps_region_at(&a, 3 * MIB - 8) = 42;
    CHECK(mps_region_holds(&b, 3 * MIB - 8, 8)); /* looks at the file again */
    CHECK(*(uint64_t *)mps_region_at(&b, 3 * MIB - 8) == 42);
    CHECK(mps_region_off(&b, mps_region_at(&b, 12345)) == 12345);

    CHECK_STATUS(mps_region_commit(&a, RESERVE - 4096, 8192), MPS_E_FULL);
    CHECK_STATUS(mps_region_commit(&a, UINT64_MAX, 8192), MPS_E_FULL);
    CHECK(a.limit == 3 * MIB);
    CHECK_OK(mps_region_commit(&b, RESERVE - 4096, 4096));
    CHECK(mps_region_holds(&a, RESERVE - 1, 1) && !mps_region_holds(&a, RESERVE, 1));
    mps_region_close(&b);
    CHECK(b.fd == -1);
    mps_region_close(&a);
}

/* Only whole pages inside the range go; what is punched reads as zero. */
static void test_punching(void)
{
    mps_region r;
    CHECK_OK(mps_region_create("mpshm-test", MIB, RESERVE, &r));
    CHECK_OK(mps_region_commit(&r, 0, MIB));
    memset(r.base, 1, MIB);
    CHECK_OK(mps_region_punch(&r, 4097, 3 * 4096));
    CHECK_OK(mps_region_punch(&r, 20481, 4096));
    CHECK_OK(mps_region_punch(&r, 20481, 10));
    CHECK(memory_of(r.fd) == MIB - 2 * 4096);
    CHECK(r.base[8191] == 1 && r.base[8192] == 0 && r.base[16383] == 0 && r.base[16384] == 1);
    mps_region_close(&r);
}

/* The program may close descriptors that are not its own, and get their numbers for other files: those are left
 * alone. */
static void test_lost_descriptor(void)
{
    mps_region r, other;
    CHECK_OK(mps_region_create("mpshm-test", MIB, RESERVE, &r));
    CHECK_OK(mps_region_commit(&r, 0, MIB));
    int fd = r.fd;
    CHECK(mps_region_fd_is_ours(&r));
    close(fd);
    CHECK(!mps_region_fd_is_ours(&r));
    CHECK_OK(mps_region_create("mpshm-other", MIB, RESERVE, &other));
    CHECK(other.fd == fd && !mps_region_fd_is_ours(&r));
    CHECK_STATUS(mps_region_commit(&r, MIB, MIB), MPS_E_FULL);
    CHECK_OK(mps_region_punch(&r, 0, MIB));
    r.base[0] = 1;
    mps_region_close(&r);
    CHECK(mps_region_fd_is_ours(&other));
    mps_region_close(&other);
}

static void test_adopting(void)
{
    void *buffer = check_buffer(MIB);
    mps_region r;
    CHECK_STATUS(mps_region_adopt((uint8_t *)buffer + 8, MIB - 64, &r), MPS_E_INVAL);
    CHECK_OK(mps_region_adopt(buffer, MIB, &r));
    CHECK(mps_region_holds(&r, 0, MIB) && !mps_region_holds(&r, 0, MIB + 1));
    CHECK_OK(mps_region_commit(&r, 0, MIB));
    CHECK_STATUS(mps_region_commit(&r, 0, MIB + 1), MPS_E_FULL);
    CHECK_OK(mps_region_punch(&r, 0, MIB));
    CHECK(*(uint8_t *)buffer == 0xa5);
    mps_region_close(&r);
    free(buffer);
}

/* Too little address space is MPS_E_NOMEM, and nothing is left behind. */
static void test_no_address_space(void)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mps_region r;
        struct rlimit limit;
        bool good = getrlimit(RLIMIT_AS, &limit) == 0;
        limit.rlim_cur = (uint64_t)1 << 20;
        good = good && setrlimit(RLIMIT_AS, &limit) == 0 && mps_os_address_limit() == (uint64_t)1 << 20 &&
               mps_region_create("mpshm-test", MIB, RESERVE, &r) == MPS_E_NOMEM;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

int main(void)
{
    test_growing();
    test_punching();
    test_lost_descriptor();
    test_adopting();
    test_no_address_space();
    return 0;
}
