/* core.h -- mpshm's core as an extension that knows nothing of Python calls it: whole operations, door FREE, journal on. */
#ifndef BENCH_CORE_H
#define BENCH_CORE_H

#include "bench.h"
#include "refs.h"
#include "segment.h"

#define BENCH_DOOR MPS_DOOR_FREE

static inline void sure(mps_status st)
{
    if (st != MPS_OK) {
        fprintf(stderr, "%s\n", mps_status_text(st));
        exit(1);
    }
}

static inline mps_seg *bench_segment(void)
{
    mps_seg *seg;
    sure(mps_seg_create_anonymous(0, (uint64_t)2 << 30, &seg));
    return seg;
}

static inline mps_off bench_object(mps_seg *seg, uint32_t kind, uint64_t nbytes)
{
    mps_off off;
    uint64_t serial;
    sure(mps_object_new(seg, BENCH_DOOR, kind, nbytes, &off, &serial));
    return off;
}

#endif
