/* test_alloc_crash_seq.c -- a process that dies while it allocates, in a segment that keeps its free chunks by address: all of test_alloc_crash.c. */
#define CHECK_ALLOCATOR MPS_SEQUENTIAL_FIT
#include "test_alloc_crash.c"
