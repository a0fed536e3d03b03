/* os_view.h -- a window on memory that lives elsewhere: a part of a file, anonymous memory, a System V segment.
 *
 *   base               data                       data + size        base + length
 *   | up to a page ... | what was asked for ..... | up to a page ... |
 *
 * Invariants: base is a multiple of the page's size, and so is length; base <= data; data + size <= base + length;
 * base == NULL when nothing is mapped. fd is the window's own descriptor, -1 for memory that has none.
 *
 * Locking: none; one thread at a time changes a window. Reading and writing through it is the user's affair.
 *
 * Costs: one system call each, and one more for the descriptor.
 */
#ifndef MPS_OS_VIEW_H
#define MPS_OS_VIEW_H

#include "base.h"

typedef enum mps_access {
    MPS_ACCESS_READ = 0,    /* a write through it kills: callers hand out read-only buffers */
    MPS_ACCESS_WRITE = 1,   /* everybody sees what is written */
    MPS_ACCESS_PRIVATE = 2, /* what is written stays in this process */
} mps_access;

typedef enum mps_advice {
    MPS_ADVICE_NORMAL = 0,
    MPS_ADVICE_SEQUENTIAL = 1,
    MPS_ADVICE_RANDOM = 2,
    MPS_ADVICE_WILLNEED = 3,
    MPS_ADVICE_DONTNEED = 4,
    MPS_N_ADVICE = 5,
} mps_advice;

typedef struct mps_view {
    void *base;
    uint64_t length;
    uint8_t *data;
    uint64_t size;
    int fd;
    mps_access access;
    bool xsi; /* taken down by shmdt() */
} mps_view;

uint64_t mps_os_page(void);

/* Maps size bytes of fd from offset on; fd -1: anonymous memory that forked relatives share. data lies at address unless
 * that is 0; huge asks for huge pages, and does without where there are none. MPS_E_INVAL for a size or an address that
 * can't be; MPS_E_EXISTS when something is at the address. The file has to be long enough, now and later. */
mps_status mps_view_map(int fd, uint64_t offset, uint64_t size, mps_access access, uint64_t address, bool huge,
                        mps_view *out);
/* The same with a System V segment, whole. */
mps_status mps_view_attach(int shmid, mps_access access, uint64_t address, mps_view *out);
void mps_view_unmap(mps_view *view);

/* How long the file is now: asked by lseek(), which is the cheapest, and moves the descriptor's position. */
mps_status mps_view_file_size(const mps_view *view, uint64_t *size);

/* Writes a range's changes to where the memory lives; wait: until they are there. */
mps_status mps_view_flush(const mps_view *view, uint64_t offset, uint64_t n, bool wait);
/* Lets go of n bytes at one end, n < size; the pages that are needed no more are unmapped. */
mps_status mps_view_shrink(mps_view *view, uint64_t n, bool from_back);
mps_status mps_view_advise(const mps_view *view, mps_advice advice);

/* System V shared memory. create: make it (exclusive: only if there is none). key 0 is always a new one. */
mps_status mps_xsi_get(int32_t key, uint64_t size, bool create, bool exclusive, uint32_t permissions, int *shmid);
mps_status mps_xsi_size(int shmid, uint64_t *size);
mps_status mps_xsi_remove(int shmid);
mps_status mps_xsi_key(const char *path, int id, int32_t *key);

#endif
