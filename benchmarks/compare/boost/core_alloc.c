/* core_alloc.c -- blocks of random sizes and nodes from the segment's own allocator, by one process, and by two at once. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core_nodes.h"

/* Until both are there. */
static void meet(uint32_t *arrived)
{
    __atomic_add_fetch(arrived, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < 2) {
    }
}

/* What the other process does. */
static void other(mps_seg *seg, uint32_t *arrived, double *ns)
{
    holder h = holder_new(seg);
    holder_churn(&h, 0, 0, bench_wall);
    meet(arrived);
    *ns = holder_churn(&h, 0, 0, bench_wall);
}

/* What both together do in the time, by what one alone does; the best of some tries. */
static double gain(mps_seg *seg)
{
    struct {
        uint32_t arrived;
        double ns;
    } *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    holder h = holder_new(seg);
    double alone = 1e9, together = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        alone = bench_least(alone, holder_churn(&h, 0, 0, bench_wall));
        shared->arrived = 0;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            other(seg, &shared->arrived, &shared->ns);
            _exit(0);
        }
        meet(&shared->arrived);
        double ours = holder_churn(&h, 0, 0, bench_wall);
        waitpid(pid, NULL, 0);
        together = bench_least(together, 1 / (1 / ours + 1 / shared->ns));
    }
    return alone / together;
}

int main(void)
{
    mps_seg *seg = bench_segment();
    holder h = holder_new(seg);
    double best = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        best = bench_least(best, holder_churn(&h, 0, 0, bench_now));
    }
    bench_row("alloc + free, 16 to 4096 B, 1000 live", best);
    holder_clear(&h, 0);
    holder_rows(&h, 0, "allocator");
    bench_row("alloc + free by two processes at once, by what one does alone", gain(seg));
    bench_end();
    mps_seg_release(seg);
    return 0;
}
