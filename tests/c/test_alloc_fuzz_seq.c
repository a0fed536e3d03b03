/* test_alloc_fuzz_seq.c -- damaged heads and lists, in a segment that keeps its free chunks by address: all of test_alloc_fuzz.c. */
#define CHECK_ALLOCATOR MPS_SEQUENTIAL_FIT
#include "test_alloc_fuzz.c"
