/* test_os.c -- the system calls behind os.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"

#define MIB ((uint64_t)1 << 20)

static uint64_t memory_of(int fd)
{
    struct stat status;
    CHECK(fstat(fd, &status) == 0);
    return (uint64_t)status.st_blocks * 512;
}

static uint64_t size_of(int fd)
{
    uint64_t size = 0;
    CHECK_OK(mps_os_file_size(fd, &size));
    return size;
}

/* It grows, never shrinks, is found under its label, belongs to us alone, and is closed by exec. */
static void test_memfd(void)
{
    int fd = -1;
    CHECK_OK(mps_os_memfd("mpshm-test-label", &fd));
    CHECK(fd > 2);
    CHECK(size_of(fd) == 0);
    CHECK_OK(mps_os_extend(fd, 3 * MIB));
    CHECK(size_of(fd) == 3 * MIB && memory_of(fd) == 0);
    CHECK_OK(mps_os_extend(fd, MIB));
    CHECK(size_of(fd) == 3 * MIB);
    CHECK(ftruncate(fd, 0) == -1 && errno == EPERM);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == -1);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    char path[64], name[128] = "";
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    CHECK(readlink(path, name, sizeof(name) - 1) > 0);
    CHECK(strstr(name, "mpshm-test-label") != NULL);
    bool ours = false;
    CHECK_OK(mps_os_file_is_ours(fd, &ours));
    CHECK(ours);
    CHECK(fchmod(fd, 0622) == 0);
    CHECK_OK(mps_os_file_is_ours(fd, &ours));
    CHECK(!ours);
    mps_os_close(fd);
    CHECK_STATUS(mps_os_file_size(fd, &(uint64_t){0}), MPS_E_OS);
    CHECK(mps_last_errno() == EBADF);
}

/* A program that has closed its standard streams does not get segments in their place. */
static void test_streams_stay_free(void)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int fd = -1, again = -1, copy = -1;
        close(0);
        close(1);
        bool good = mps_os_memfd("mpshm-test", &fd) == MPS_OK && fd > 2 && mps_os_reopen(fd, &again) == MPS_OK &&
                    again > 2 && mps_os_dup(fd, &copy) == MPS_OK && copy > 2 && fcntl(0, F_GETFD) == -1 &&
                    fcntl(1, F_GETFD) == -1;
        _exit(good ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

static void test_memory(void)
{
    int fd = -1;
    CHECK_OK(mps_os_memfd("mpshm-test", &fd));
    CHECK_OK(mps_os_reserve(fd, MIB, MIB));
    CHECK(size_of(fd) == 2 * MIB && memory_of(fd) == MIB);
    CHECK_OK(mps_os_reserve(fd, MIB / 2, MIB));
    CHECK(size_of(fd) == 2 * MIB && memory_of(fd) == MIB * 3 / 2);
    void *at = NULL;
    CHECK_OK(mps_os_map(fd, 8 * MIB, &at));
    uint8_t *p = at;
    memset(p, 1, 2 * MIB);
    CHECK(memory_of(fd) == 2 * MIB);
    CHECK_OK(mps_os_punch(fd, MIB, MIB / 2));
    CHECK(size_of(fd) == 2 * MIB && memory_of(fd) == MIB * 3 / 2);
    CHECK(p[MIB - 1] == 1 && p[MIB] == 0 && p[MIB * 3 / 2 - 1] == 0 && p[MIB * 3 / 2] == 1);
    CHECK_OK(mps_os_reserve(fd, 4 * MIB, MIB)); /* grows under the mapping */
    p[5 * MIB - 1] = 7;
    CHECK_STATUS(mps_os_reserve(fd, UINT64_MAX - 4096, 8192), MPS_E_FULL);
    CHECK_STATUS(mps_os_map(fd, 0, &at), MPS_E_INVAL);
    mps_os_unmap(p, 8 * MIB);
    mps_os_close(fd);
}

/* A limit of the system is MPS_E_FULL, and leaves the file as it is. */
static void test_refused(void)
{
    int fd = -1;
    CHECK_OK(mps_os_memfd("mpshm-test", &fd));
    CHECK_OK(mps_os_reserve(fd, 0, MIB));
    struct rlimit before, small;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    small = before;
    small.rlim_cur = 2 * MIB;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_STATUS(mps_os_reserve(fd, MIB, 2 * MIB), MPS_E_FULL);
    CHECK_STATUS(mps_os_extend(fd, 3 * MIB), MPS_E_FULL);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, handler);
    CHECK(size_of(fd) == MIB && memory_of(fd) == MIB);
    mps_os_close(fd);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int signal_number)
{
    (void)signal_number;
    alarms++;
}

/* A timer that fires all the time can't keep memory from being given, and is not lost. */
static void test_interrupted(void)
{
    struct sigaction action = {.sa_handler = on_alarm}, before;
    CHECK(sigaction(SIGALRM, &action, &before) == 0);
    int fd = -1;
    CHECK_OK(mps_os_memfd("mpshm-test", &fd));
    struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    CHECK_OK(mps_os_reserve(fd, 0, 48 * MIB));
    CHECK_OK(mps_os_punch(fd, 0, 48 * MIB));
    uint32_t word = 5;
    mps_status st = mps_os_wait(&word, 5, UINT64_MAX);
    CHECK(st == MPS_E_INTR);
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    CHECK(alarms > 0);
    CHECK(sigaction(SIGALRM, &before, NULL) == 0);
    mps_os_close(fd);
}

/* What one description locked, another sees; the kernel lets go when the process dies, and not before. */
static void test_liveness(void)
{
    int fd = -1, mine = -1, copy = -1;
    CHECK_OK(mps_os_memfd("mpshm-test", &fd));
    CHECK_OK(mps_os_reopen(fd, &mine));
    CHECK(mps_os_live_held(fd, 7) == 0);
    CHECK_OK(mps_os_live_lock(mine, 7));
    CHECK(mps_os_live_held(fd, 7) == 1 && mps_os_live_held(fd, 6) == 0 && mps_os_live_held(fd, 8) == 0);
    CHECK(mps_os_live_held(mine, 7) == 0); /* not another's */
    CHECK_STATUS(mps_os_live_lock(fd, 7), MPS_E_BUSY);
    CHECK_OK(mps_os_dup(mine, &copy)); /* the same description: closing one keeps the lock */
    mps_os_close(copy);
    CHECK(mps_os_live_held(fd, 7) == 1);
    mps_os_live_unlock(mine, 7);
    CHECK(mps_os_live_held(fd, 7) == 0);

    int ready[2];
    CHECK(pipe(ready) == 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int own = -1;
        char c = mps_os_reopen(fd, &own) == MPS_OK && mps_os_live_lock(own, 3) == MPS_OK ? 'y' : 'n';
        if (write(ready[1], &c, 1) != 1) {
            _exit(1);
        }
        pause();
        _exit(0);
    }
    char c = 0;
    CHECK(read(ready[0], &c, 1) == 1 && c == 'y');
    CHECK(mps_os_live_held(mine, 3) == 1);
    CHECK(kill(child, SIGKILL) == 0);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK(mps_os_live_held(mine, 3) == 0);
    mps_os_close(mine);
    mps_os_close(fd);
    close(ready[0]);
    close(ready[1]);
    CHECK(mps_os_live_held(fd, 3) < 0);
}

typedef struct sleeper {
    uint32_t word;
    mps_status st;
    uint64_t thread_id;
} sleeper;

static void *sleep_on(void *arg)
{
    sleeper *s = arg;
    s->thread_id = mps_os_thread_id();
    s->st = MPS_OK;
    while (__atomic_load_n(&s->word, __ATOMIC_ACQUIRE) == 1 && s->st == MPS_OK) {
        s->st = mps_os_wait(&s->word, 1, UINT64_MAX);
    }
    return NULL;
}

static void test_waiting(void)
{
    uint32_t word = 1;
    CHECK_STATUS(mps_os_wait(&word, 2, UINT64_MAX), MPS_OK);
    CHECK_STATUS(mps_os_wait(&word, 1, 0), MPS_E_TIMEOUT);
    uint64_t before = mps_os_now();
    CHECK_STATUS(mps_os_wait(&word, 1, 20000000), MPS_E_TIMEOUT);
    uint64_t took = mps_os_now() - before;
    CHECK(took >= 20000000 && took < 2000000000);
    before = mps_os_now();
    mps_os_sleep(5000000);
    CHECK(mps_os_now() - before >= 5000000);

    sleeper s = {.word = 1};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, sleep_on, &s) == 0);
    mps_os_sleep(5000000);
    __atomic_store_n(&s.word, 0, __ATOMIC_RELEASE);
    mps_os_wake(&s.word, UINT32_MAX);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(s.st);
    CHECK(s.thread_id != 0 && s.thread_id != mps_os_thread_id());
}

static int forks;

static void count_fork(void)
{
    forks++;
}

static void count_fork_in_child(void)
{
    forks += 100;
}

/* A thread keeps its number, and a forked child's thread that of the thread which forked. */
static void test_identity(void)
{
    uint64_t id = mps_os_thread_id();
    CHECK(id != 0 && id == mps_os_thread_id());
    CHECK(mps_os_pid() == (uint32_t)getpid());
    CHECK(mps_os_user() == (uint32_t)geteuid());
    CHECK_OK(mps_os_at_fork(count_fork, count_fork, count_fork_in_child));
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        _exit(mps_os_thread_id() == id && forks == 101 ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(status == 0 && forks == 2);
    uint8_t a[32] = {0}, b[32] = {0};
    CHECK_OK(mps_os_random(a, sizeof(a)));
    CHECK_OK(mps_os_random(b, sizeof(b)));
    CHECK(memcmp(a, b, sizeof(a)) != 0);
    uint64_t memory = mps_os_memory_limit();
    CHECK(memory >= 64 * MIB && memory < (uint64_t)1 << 50);
    CHECK(mps_os_address_limit() >= memory);
}

int main(void)
{
    test_memfd();
    test_streams_stay_free();
    test_memory();
    test_refused();
    test_interrupted();
    test_liveness();
    test_waiting();
    test_identity();
    return 0;
}
