/* Windows: every offset and length, every mode, shrinking at both ends, addresses, and System V memory. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"
#include "os.h"
#include "os_view.h"

enum { BYTES = 5 * 4096 };

static int file_of(void)
{
    int fd = -1;
    CHECK(mps_os_memfd("mpshm-test-view", &fd) == MPS_OK);
    CHECK(mps_os_reserve(fd, 0, BYTES) == MPS_OK);
    for (int i = 0; i < BYTES; i++) {
        uint8_t byte = (uint8_t)(i * 7 + i / 256);
        CHECK(pwrite(fd, &byte, 1, i) == 1);
    }
    return fd;
}

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static void check_bytes(const mps_view *view, uint64_t offset)
{
    for (uint64_t i = 0; i < view->size; i++) {
        CHECK(view->data[i] == byte_at(offset + i));
    }
}

static void any_part(int fd)
{
    static const uint64_t offsets[] = {0, 1, 4095, 4096, 4097, 9000};
    static const uint64_t sizes[] = {1, 2, 4096, 4097, 8000};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            for (int access = 0; access < 3; access++) {
                mps_view view;
                CHECK(mps_view_map(fd, offsets[i], sizes[j], (mps_access)access, 0, j % 2 != 0, &view) == MPS_OK);
                CHECK(view.size == sizes[j]);
                check_bytes(&view, offsets[i]);
                CHECK(mps_view_flush(&view, 0, view.size, true) == MPS_OK);
                CHECK(mps_view_flush(&view, view.size, 0, false) == MPS_OK);
                CHECK(mps_view_flush(&view, 1, view.size, false) == MPS_E_INVAL);
                CHECK(mps_view_advise(&view, MPS_ADVICE_WILLNEED) == MPS_OK);
                CHECK(mps_view_advise(&view, MPS_N_ADVICE) == MPS_E_INVAL);
                mps_view_unmap(&view);
                CHECK(view.base == NULL && view.fd == -1);
                mps_view_unmap(&view);
            }
        }
    }
}

static void shrinking(int fd)
{
    srand(7);
    for (int round = 0; round < 200; round++) {
        uint64_t offset = (uint64_t)rand() % 9000;
        mps_view view;
        CHECK(mps_view_map(fd, offset, BYTES - offset, MPS_ACCESS_READ, 0, false, &view) == MPS_OK);
        while (view.size > 1) {
            uint64_t n = (uint64_t)rand() % view.size;
            bool from_back = rand() % 2 != 0;
            CHECK(mps_view_shrink(&view, view.size, from_back) == MPS_E_INVAL);
            CHECK(mps_view_shrink(&view, n, from_back) == MPS_OK);
            offset += from_back ? 0 : n;
            check_bytes(&view, offset);
            CHECK((uint8_t *)view.base <= view.data);
            CHECK(view.data + view.size <= (uint8_t *)view.base + view.length);
            CHECK(view.length < view.size + 2 * 4096);
            if (n == 0 && rand() % 4 == 0) {
                break;
            }
        }
        mps_view_unmap(&view);
    }
}

static void addresses(int fd)
{
    mps_view one, two;
    CHECK(mps_view_map(fd, 10, 100, MPS_ACCESS_WRITE, 0, false, &one) == MPS_OK);
    uint64_t at = (uint64_t)(uintptr_t)one.data;
    CHECK(mps_view_map(fd, 10, 100, MPS_ACCESS_WRITE, at, false, &two) == MPS_E_EXISTS);
    CHECK(mps_view_map(fd, 11, 100, MPS_ACCESS_WRITE, at, false, &two) == MPS_E_INVAL);
    CHECK(mps_view_map(fd, 0, 0, MPS_ACCESS_WRITE, 0, false, &two) == MPS_E_INVAL);
    CHECK(mps_view_map(fd, 0, UINT64_MAX, MPS_ACCESS_WRITE, 0, false, &two) == MPS_E_INVAL);
    mps_view_unmap(&one);
    CHECK(mps_view_map(fd, 10, 100, MPS_ACCESS_PRIVATE, at, false, &two) == MPS_OK);
    CHECK((uint64_t)(uintptr_t)two.data == at);
    two.data[0] ^= 1;
    CHECK(mps_view_map(fd, 10, 1, MPS_ACCESS_READ, 0, false, &one) == MPS_OK);
    CHECK(one.data[0] == byte_at(10));
    mps_view_unmap(&one);
    mps_view_unmap(&two);
}

static void system_v(void)
{
    int shmid = -1;
    uint64_t size = 0;
    mps_view one, two;
    CHECK(mps_xsi_get(0, 5000, true, false, 0600, &shmid) == MPS_OK);
    CHECK(mps_xsi_size(shmid, &size) == MPS_OK && size == 5000);
    CHECK(mps_view_attach(shmid, MPS_ACCESS_WRITE, 0, &one) == MPS_OK);
    CHECK(mps_view_attach(shmid, MPS_ACCESS_READ, 0, &two) == MPS_OK);
    CHECK(mps_xsi_remove(shmid) == MPS_OK);
    one.data[4999] = 3;
    CHECK(two.data[4999] == 3 && two.size == 5000);
    CHECK(mps_view_shrink(&one, 1, true) == MPS_E_INVAL);
    mps_view_unmap(&one);
    mps_view_unmap(&two);
    CHECK(mps_xsi_remove(shmid) < 0);
    CHECK(mps_view_attach(shmid, MPS_ACCESS_READ, 0, &two) < 0);
    int32_t key = 0;
    CHECK(mps_xsi_key("/", 1, &key) == MPS_OK && key != 0);
    CHECK(mps_xsi_key("/no such file", 1, &key) == MPS_E_OS);
}

int main(void)
{
    int fd = file_of();
    any_part(fd);
    shrinking(fd);
    addresses(fd);
    mps_os_close(fd);
    mps_view view;
    CHECK(mps_view_map(-1, 0, 5000, MPS_ACCESS_WRITE, 0, false, &view) == MPS_OK);
    CHECK(view.data[4999] == 0);
    view.data[4999] = 1;
    mps_view_unmap(&view);
    system_v();
    return 0;
}
