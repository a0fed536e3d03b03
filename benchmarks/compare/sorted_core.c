/* sorted_core.c -- the core's tree, without Python: a million random whole numbers put in, found, walked over, taken out.
 *
 * Prints "operation nanoseconds" lines, as sorted_boost.cpp does; `python -m benchmarks.compare.sorted_core` builds and runs both.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "refs.h"
#include "segment.h"
#include "tree.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void sure(mps_status st)
{
    if (st != MPS_OK) {
        fprintf(stderr, "%s\n", mps_status_text(st));
        exit(1);
    }
}

static void say(const char *what, double begun, uint64_t n)
{
    printf("%s %.1f\n", what, (now() - begun) / (double)n);
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

int main(int argc, char **argv)
{
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 0) : 1000000, serial, state = 88172645463325252u, at, found = 0;
    int64_t *keys = malloc(n * sizeof *keys);
    mps_seg *seg;
    mps_off tree;
    mps_copy copy;
    bool added;
    for (uint64_t i = 0; i < n; i++) {
        keys[i] = (int64_t)(next(&state) >> 1);
    }
    sure(mps_seg_create_anonymous(0, (uint64_t)2 << 30, &seg));
    sure(mps_object_new(seg, MPS_DOOR_GIL, MPS_KIND_MAP, sizeof(mps_tree), &tree, &serial));
    double begun = now();
    for (uint64_t i = 0; i < n; i++) {
        mps_enc key = {.value = mps_value_int(keys[i])}, value = {.value = mps_value_int((int64_t)i)};
        sure(mps_tree_set(seg, MPS_DOOR_GIL, tree, &key, &value, &added));
    }
    say("insert", begun, n);
    for (uint64_t i = n - 1; i > 0; i--) { /* found and taken out in another order */
        uint64_t j = next(&state) % (i + 1);
        int64_t key = keys[i];
        keys[i] = keys[j];
        keys[j] = key;
    }
    mps_copy_init(&copy);
    begun = now();
    for (uint64_t i = 0; i < n; i++) {
        mps_enc key = {.value = mps_value_int(keys[i])};
        sure(mps_tree_get(seg, MPS_DOOR_GIL, tree, &key, &copy));
        found += copy.value.w1;
    }
    say("find", begun, n);
    begun = now();
    for (uint64_t i = 0; i < n; i++) {
        mps_enc key = {.value = mps_value_int(keys[i])};
        sure(mps_tree_rank(seg, MPS_DOOR_GIL, tree, &key, MPS_BOUND_LOWER, &at));
        found += at;
    }
    say("rank", begun, n);
    mps_tree_range all = {.limit = UINT64_MAX};
    mps_snap snap;
    mps_snap_init(&snap);
    begun = now();
    sure(mps_tree_snapshot(seg, MPS_DOOR_GIL, tree, &all, MPS_SNAP_BOTH, &snap));
    say("walk", begun, n);
    mps_snap_done(&snap);
    begun = now();
    for (uint64_t i = 0; i < n; i++) {
        mps_enc key = {.value = mps_value_int(keys[i])};
        sure(mps_tree_pop(seg, MPS_DOOR_GIL, tree, &key, NULL));
    }
    say("erase", begun, n);
    mps_ref_drop(seg, MPS_DOOR_GIL, tree);
    mps_seg_release(seg);
    free(keys);
    return found == 0;
}
