/* core_names.c -- objects constructed, found and destroyed by name. */
#include <string.h>

#include "cell.h"
#include "core.h"
#include "names.h"

static mps_seg *seg;
static mps_off names;
static char texts[BENCH_NAMES][16];
static mps_enc keys[BENCH_NAMES];

/* ns for each of the three, the least so far. */
static void round_of(double *best)
{
    mps_off off;
    double begun = bench_now();
    for (unsigned i = 0; i < BENCH_NAMES; i++) {
        mps_names_key(seg, texts[i], strlen(texts[i]), &keys[i]);
        sure(mps_names_construct(seg, BENCH_DOOR, names, &keys[i], MPS_KIND_VALUE, sizeof(mps_cell), &off));
    }
    double constructed = bench_now();
    for (unsigned i = 0; i < BENCH_NAMES; i++) {
        unsigned other = i * 7919u % BENCH_NAMES;
        mps_names_key(seg, texts[other], strlen(texts[other]), &keys[other]);
        sure(mps_names_find(seg, BENCH_DOOR, names, &keys[other], false, &off));
    }
    double found = bench_now();
    for (unsigned i = 0; i < BENCH_NAMES; i++) {
        mps_names_key(seg, texts[i], strlen(texts[i]), &keys[i]);
        sure(mps_names_remove(seg, BENCH_DOOR, names, &keys[i]));
    }
    double destroyed = bench_now();
    best[0] = bench_least(best[0], (constructed - begun) / BENCH_NAMES);
    best[1] = bench_least(best[1], (found - constructed) / BENCH_NAMES);
    best[2] = bench_least(best[2], (destroyed - found) / BENCH_NAMES);
}

int main(void)
{
    double best[3] = {1e9, 1e9, 1e9};
    seg = bench_segment();
    sure(mps_names_open(seg, BENCH_DOOR, true, &names));
    for (unsigned i = 0; i < BENCH_NAMES; i++) {
        bench_name(texts[i], i);
    }
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        round_of(best);
    }
    bench_row("named construct", best[0]);
    bench_row("named find", best[1]);
    bench_row("named destroy", best[2]);
    bench_end();
    mps_seg_release(seg);
    return 0;
}
