/* test_twin.c -- pages of a region's file that are one process's own while they are lent. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"
#include "twin.h"

#define MIB ((uint64_t)1 << 20)
#define RESERVE (64 * MIB)

static mps_region a_region(void)
{
    mps_region r;
    CHECK_OK(mps_region_create("mpshm-test", 4 * MIB, RESERVE, &r));
    CHECK_OK(mps_region_commit(&r, 0, 4 * MIB));
    memset(r.base, 'a', 4 * MIB);
    return r;
}

/* What the borrower writes nobody else sees, and the next borrower neither; pages that nobody wrote to stay mapped. */
static void test_lent(void)
{
    mps_region r = a_region();
    uint8_t *one = mps_twin_take(&r, MIB, MIB);
    CHECK(one != NULL && one[0] == 'a' && one[MIB - 1] == 'a');
    CHECK(!mps_os_written(one, MIB));
    one[0] = 'b';
    one[MIB - 1] = 'c';
    CHECK(mps_os_written(one, MIB) && mps_os_written(one, MPS_PAGE) && !mps_os_written(one + MPS_PAGE, MIB / 2));
    CHECK(r.base[MIB] == 'a' && r.base[2 * MIB - 1] == 'a');
    CHECK(mps_twin_take(&r, MIB, MIB) == NULL); /* lent */
    uint8_t *other = mps_twin_take(&r, 2 * MIB, MIB);
    CHECK(other == one + MIB && other[0] == 'a');
    mps_twin_give(&r, MIB, MIB);
    mps_twin_give(&r, 2 * MIB, MIB);
    CHECK(mps_twin_take(&r, MIB, MIB) == one && one[0] == 'a' && one[MIB - 1] == 'a');
    mps_twin_give(&r, MIB, MIB);
    mps_region_close(&r);
}

/* A range whose memory was given back and had again shows what it holds now, also where it was read before. */
static void test_reused(void)
{
    mps_region r = a_region();
    uint8_t *at = mps_twin_take(&r, MIB, MIB);
    CHECK(at[5] == 'a');
    at[MPS_PAGE] = 'b';
    mps_twin_give(&r, MIB, MIB);
    CHECK_OK(mps_region_punch(&r, MIB, MIB));
    CHECK_OK(mps_region_commit(&r, MIB, MIB));
    memset(r.base + MIB, 'z', MIB);
    CHECK(mps_twin_take(&r, MIB, MIB) == at && at[5] == 'z' && at[MPS_PAGE] == 'z');
    mps_twin_give(&r, MIB, MIB);
    mps_region_close(&r);
}

/* A child has the pages that its parent wrote, and from then on each has its own. */
static void test_forked(void)
{
    mps_region r = a_region();
    uint8_t *at = mps_twin_take(&r, 0, MIB);
    at[0] = 'p';
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        bool good = at[0] == 'p' && mps_twin_take(&r, 0, MIB) == NULL;
        at[0] = at[1] = 'c';
        mps_twin_give(&r, 0, MIB);
        good = good && at[0] == 'a';
        _exit(good ? 0 : 1);
    }
    int how = 0;
    CHECK(waitpid(pid, &how, 0) == pid && WIFEXITED(how) && WEXITSTATUS(how) == 0);
    CHECK(at[0] == 'p' && at[1] == 'a' && r.base[0] == 'a');
    mps_twin_give(&r, 0, MIB);
    mps_region_close(&r);
}

static void test_refused(void)
{
    mps_region r = a_region(), heap;
    CHECK(mps_twin_take(&r, 100, MPS_PAGE) == NULL && mps_twin_take(&r, 0, 100) == NULL &&
          mps_twin_take(&r, 0, 0) == NULL);
    CHECK(mps_twin_take(&r, 4 * MIB, MPS_PAGE) == NULL && mps_twin_take(&r, RESERVE, MPS_PAGE) == NULL);
    CHECK(r.twin == NULL);
    mps_region_close(&r);
    CHECK_OK(mps_region_heap(MIB, RESERVE, 0, &heap));
    CHECK(mps_twin_take(&heap, 0, MPS_PAGE) == NULL);
    mps_region_close(&heap);
}

static void *take_first(void *region)
{
    return mps_twin_take(region, 0, MPS_PAGE);
}

/* Of threads that are the first to take a range, one has it. */
static void test_threads(void)
{
    mps_region r = a_region();
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, take_first, &r) == 0);
    }
    int took = 0;
    for (int i = 0; i < 4; i++) {
        void *at = NULL;
        CHECK(pthread_join(threads[i], &at) == 0);
        took += at != NULL;
    }
    CHECK(took <= 1); /* (one that meets the making of the mapping does without) */
    mps_region_close(&r);
}

int main(void)
{
    test_lent();
    test_reused();
    test_forked();
    test_refused();
    test_threads();
    return 0;
}
