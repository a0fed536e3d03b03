/* test_segment.c -- getting in: what is a segment of ours, what is not, and what is said about it. */
#define _GNU_SOURCE
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "crash.h"
#include "os.h"
#include "segment.h"

static mps_header *header_of(mps_seg *seg)
{
    return (mps_header *)(void *)seg->region.base;
}

/* A copy of a segment's file: same bytes, another inode, so that this process is not attached to it yet. */
static int copy_of(mps_seg *seg)
{
    int fd = -1;
    uint64_t size = 0;
    CHECK_OK(mps_os_file_size(seg->region.fd, &size));
    CHECK_OK(mps_os_memfd("mpshm-test", &fd));
    CHECK_OK(mps_os_extend(fd, size));
    CHECK(pwrite(fd, seg->region.base, seg->bodies, 0) == (ssize_t)seg->bodies);
    uint64_t arena = size - seg->arena;
    CHECK(pwrite(fd, seg->region.base + seg->arena, (size_t)arena, (off_t)seg->arena) == (ssize_t)arena);
    return fd;
}

/* What attaching answers in another process, once change has been made to the copy's header. */
static mps_status attach_changed(mps_seg *seg, void (*change)(mps_header *), const uint8_t *id)
{
    int fd = copy_of(seg);
    void *base = NULL;
    CHECK_OK(mps_os_map(fd, MPS_HEADER_BYTES, &base));
    mps_header *h = base;
    h->id[0] ^= 1; /* not the one that we are attached to */
    h->checksum = mps_hash_bytes(h, offsetof(mps_header, checksum), 0x6d707368);
    if (change != NULL) {
        change(h);
    }
    mps_os_unmap(base, MPS_HEADER_BYTES);
    mps_seg *other = NULL;
    mps_status st = mps_seg_attach_fd(fd, id, &other);
    if (st == MPS_OK) {
        mps_seg_release(other);
    }
    mps_os_close(fd);
    return st;
}

static void another_magic(mps_header *h)
{
    h->magic++;
}

static void another_version(mps_header *h)
{
    h->version++;
}

static void damaged(mps_header *h)
{
    h->arena += MPS_PAGE;
}

static void not_ready(mps_header *h)
{
    h->control.state = MPS_STATE_NEW;
}

static void closed(mps_header *h)
{
    h->control.state = MPS_STATE_CLOSED;
}

static void broken(mps_header *h)
{
    h->control.state = MPS_STATE_BROKEN;
}

static void absurd(mps_header *h)
{
    h->n_slots = UINT32_MAX;
    h->checksum = mps_hash_bytes(h, offsetof(mps_header, checksum), 0x6d707368);
}

static void longer(mps_header *h)
{
    h->arena += (uint64_t)1 << 30; /* behind the end of the file */
    h->max_file += (uint64_t)1 << 31;
    h->checksum = mps_hash_bytes(h, offsetof(mps_header, checksum), 0x6d707368);
}

static void test_refusals(void)
{
    mps_seg *seg = NULL;
    CHECK_OK(mps_seg_create_anonymous(0, (uint64_t)1 << 20, &seg));
    CHECK_OK(attach_changed(seg, NULL, NULL));
    CHECK_STATUS(attach_changed(seg, another_magic, NULL), MPS_E_FOREIGN);
    CHECK_STATUS(attach_changed(seg, another_version, NULL), MPS_E_VERSION);
    CHECK_STATUS(attach_changed(seg, damaged, NULL), MPS_E_CORRUPT);
    CHECK_STATUS(attach_changed(seg, absurd, NULL), MPS_E_CORRUPT);
    CHECK_STATUS(attach_changed(seg, longer, NULL), MPS_E_CORRUPT);
    CHECK_STATUS(attach_changed(seg, not_ready, NULL), MPS_E_FOREIGN);
    CHECK_STATUS(attach_changed(seg, closed, NULL), MPS_E_CLOSED);
    CHECK_STATUS(attach_changed(seg, broken, NULL), MPS_E_CORRUPT);
    CHECK_STATUS(attach_changed(seg, NULL, header_of(seg)->id), MPS_E_FOREIGN);
    mps_seg_release(seg);
}

static void test_no_segment(void)
{
    int fd = -1;
    mps_seg *seg = NULL;
    CHECK_OK(mps_os_memfd("mpshm-test", &fd));
    CHECK_STATUS(mps_seg_attach_fd(fd, NULL, &seg), MPS_E_FOREIGN);
    CHECK_OK(mps_os_extend(fd, (uint64_t)1 << 20));
    CHECK_STATUS(mps_seg_attach_fd(fd, NULL, &seg), MPS_E_FOREIGN);
    mps_os_close(fd);
    CHECK_STATUS(mps_seg_attach_fd(fd, NULL, &seg), MPS_E_OS);
}

static void test_other_users(void)
{
    mps_seg *seg = NULL;
    CHECK_OK(mps_seg_create_anonymous(0, 0, &seg));
    int fd = copy_of(seg);
    mps_seg *other = NULL;
    if (fchown(fd, 65534, 65534) == 0) { /* only root can give a file away */
        CHECK_STATUS(mps_seg_attach_fd(fd, NULL, &other), MPS_E_PERM);
    }
    CHECK(fchown(fd, geteuid(), getegid()) == 0);
    CHECK(fchmod(fd, 0666) == 0);
    CHECK_STATUS(mps_seg_attach_fd(fd, NULL, &other), MPS_E_PERM);
    mps_os_close(fd);
    mps_seg_release(seg);
}

static void test_once_a_process(void)
{
    mps_seg *seg = NULL, *again = NULL;
    CHECK_OK(mps_seg_create_anonymous(0, 0, &seg));
    CHECK_OK(mps_seg_attach_fd(seg->region.fd, header_of(seg)->id, &again));
    CHECK(again == seg && seg->users == 2);
    mps_seg_release(again);
    CHECK(mps_seg_find(header_of(seg)->id, false) == seg);
    mps_seg_release(seg);
    mps_seg_release(seg);
}

static void test_sizes(void)
{
    mps_seg *seg = NULL;
    mps_stats stats;
    CHECK_STATUS(mps_seg_create_anonymous(0, 1, &seg), MPS_E_INVAL);
    CHECK_STATUS(mps_seg_create_anonymous((uint64_t)2 << 20, (uint64_t)1 << 20, &seg), MPS_E_INVAL);
    CHECK_OK(mps_seg_create_anonymous((uint64_t)1 << 20, (uint64_t)1 << 20, &seg));
    CHECK_OK(mps_seg_stats(seg, &stats));
    CHECK(stats.max_size == (uint64_t)1 << 20 && stats.size <= stats.max_size && stats.processes == 1);
    CHECK_STATUS(mps_seg_grow(seg, (uint64_t)1 << 20), MPS_E_FULL);
    mps_seg_release(seg);
}

/* Every slot taken by a child that lives; then there is none left; a dead one's is found again. */
static void test_slots_run_out(void)
{
    enum { BUFFER = 640 << 10 };
    static _Alignas(4096) uint8_t buffer[BUFFER];
    mps_seg *segs[8];
    uint32_t n = 0;
    CHECK_OK(mps_seg_adopt(buffer, BUFFER, true, &segs[n++]));
    mps_status st = MPS_OK;
    while (n < 8 && (st = mps_seg_adopt(buffer, BUFFER, false, &segs[n])) == MPS_OK) {
        n++;
    }
    CHECK_STATUS(st, MPS_E_SLOTS);
    mps_seg_abandon(segs[--n]);
    CHECK_OK(mps_seg_adopt(buffer, BUFFER, false, &segs[n]));
    n++;
    while (n > 0) {
        mps_seg_release(segs[--n]);
    }
}

int main(void)
{
    test_no_segment();
    test_refusals();
    test_other_users();
    test_once_a_process();
    test_sizes();
    test_slots_run_out();
    return 0;
}
