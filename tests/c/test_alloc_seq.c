/* test_alloc_seq.c -- blocks, in a segment that keeps its free chunks by address: all of test_alloc.c. */
#define CHECK_ALLOCATOR MPS_SEQUENTIAL_FIT
#include "test_alloc.c"
