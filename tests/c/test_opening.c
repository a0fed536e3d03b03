/* test_opening.c -- segments by a path, on a heap, from bytes, for reading only; and giving their free memory back. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "opening.h"
#include "os.h"
#include "reader.h"
#include "table.h"
#include "value.h"

static const mps_door door = MPS_DOOR_FREE;
static char path[64];

static mps_opening wish(uint32_t how)
{
    return (mps_opening){.path = path, .how = how, .permissions = 0600, .size = 1 << 20, .timeout_ns = 5000000000u};
}

static mps_seg *open_it(uint32_t how)
{
    mps_opening o = wish(how);
    mps_seg *seg = NULL;
    mps_status st = mps_seg_open(&o, &seg);
    if (st != MPS_OK) {
        fprintf(stderr, "open %u: %s %s\n", how, mps_status_text(st), o.why);
    }
    CHECK_OK(st);
    return seg;
}

static mps_status try_open(uint32_t how)
{
    mps_opening o = wish(how);
    mps_seg *seg = NULL;
    mps_status st = mps_seg_open(&o, &seg);
    if (st == MPS_OK) {
        mps_seg_release(seg);
    }
    return st;
}

static mps_enc number(int64_t n)
{
    return (mps_enc){.value = mps_value_int(n)};
}

static mps_status set(mps_seg *seg, mps_off off, int64_t k, int64_t v)
{
    mps_enc key = number(k), value = number(v);
    return mps_table_set(seg, door, off, &key, &value);
}

static void expect(mps_seg *seg, mps_off off, int64_t k, int64_t v)
{
    mps_enc key = number(k);
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_table_get(seg, door, off, &key, &copy));
    CHECK((int64_t)copy.value.w1 == v);
    mps_copy_done(&copy);
}

/* A table with a few entries that outlives this process's attachment. */
static mps_off a_table(mps_seg *seg, uint64_t *serial)
{
    mps_off off = 0;
    uint64_t token = 0;
    CHECK_OK(mps_object_new(seg, door, MPS_KIND_DICT, sizeof(mps_table), &off, serial));
    for (int i = 0; i < 100; i++) {
        CHECK_OK(set(seg, off, i, i * i));
    }
    CHECK_OK(mps_token_leave(seg, door, off, &token));
    return off;
}

static void test_modes(void)
{
    CHECK_STATUS(try_open(MPS_OPEN_OLD), MPS_E_NOTFOUND);
    CHECK_STATUS(try_open(MPS_OPEN_OLD | MPS_OPEN_READ), MPS_E_NOTFOUND);
    CHECK_STATUS(try_open(MPS_OPEN_OLD | MPS_OPEN_COPY), MPS_E_NOTFOUND);
    mps_seg *seg = open_it(MPS_OPEN_NEW | MPS_OPEN_FILE);
    CHECK_STATUS(try_open(MPS_OPEN_NEW), MPS_E_EXISTS);
    CHECK(open_it(MPS_OPEN_OLD | MPS_OPEN_NEW) == seg);
    mps_seg_release(seg);
    uint64_t serial = 0;
    mps_off off = a_table(seg, &serial);
    mps_seg *copy = open_it(MPS_OPEN_OLD | MPS_OPEN_COPY);
    mps_seg *reader = open_it(MPS_OPEN_OLD | MPS_OPEN_READ);
    CHECK(copy != seg && reader != seg && memcmp(copy->id, seg->id, 16) != 0);
    CHECK_OK(mps_ref_attach(reader, door, off, serial, 0));
    CHECK_OK(mps_ref_attach(copy, door, off, serial, 0));
    CHECK_OK(set(seg, off, 5, 1));
    CHECK_OK(set(copy, off, 5, 2));
    CHECK_STATUS(set(reader, off, 5, 3), MPS_E_READONLY);
    expect(seg, off, 5, 1);
    expect(reader, off, 5, 1);
    expect(copy, off, 5, 2);
    mps_tx tx;
    CHECK_STATUS(mps_tx_begin(reader, &tx, door), MPS_E_READONLY);
    CHECK_STATUS(mps_seg_grow(reader, 1), MPS_E_READONLY);
    CHECK_STATUS(mps_seg_shutdown(reader), MPS_E_READONLY);
    CHECK_STATUS(mps_seg_shrink(reader), MPS_E_READONLY);
    CHECK_STATUS(mps_region_commit(&reader->region, 0, 1), MPS_E_READONLY);
    mps_ref_drop(reader, door, off);
    CHECK_SOUND(copy);
    CHECK_SOUND(seg);
    mps_seg_release(reader);
    mps_seg_release(copy);
    mps_ref_drop(seg, door, off);
    mps_seg_release(seg);
    seg = open_it(MPS_OPEN_OLD | MPS_OPEN_FILE);
    CHECK_OK(mps_ref_attach(seg, door, off, serial, 0));
    expect(seg, off, 99, 99 * 99);
    expect(seg, off, 5, 1);
    CHECK_SOUND(seg);
    mps_ref_drop(seg, door, off);
    mps_seg_release(seg);
    CHECK_OK(mps_seg_unlink(path));
    CHECK_STATUS(mps_seg_unlink(path), MPS_E_NOTFOUND);
}

static void test_address(void)
{
    mps_opening o = wish(MPS_OPEN_NEW);
    o.max_size = 8 << 20;
    o.address = (uint64_t)1 << 45;
    mps_seg *seg = NULL, *other = NULL;
    CHECK_OK(mps_seg_open(&o, &seg));
    CHECK((uint64_t)(uintptr_t)seg->region.base == o.address);
    CHECK_STATUS(mps_seg_create_heap(0, 8 << 20, MPS_BEST_FIT, o.address, &other), MPS_E_BUSY);
    o.how = MPS_OPEN_OLD;
    o.address += (uint64_t)1 << 40;
    CHECK_STATUS(mps_seg_open(&o, &other), MPS_E_BUSY);
    mps_seg_release(seg);
    CHECK_OK(mps_seg_unlink(path));
}

static void write_file(const void *bytes, size_t n)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    CHECK(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

/* What is not a segment is left as it is; what was begun is made anew. */
static void test_files_of_others(void)
{
    static uint8_t noise[40000];
    check_rng rng = check_seed(77);
    for (int i = 0; i < 200; i++) {
        size_t n = 1 + check_below(&rng, sizeof(noise));
        for (size_t k = 0; k < n; k++) {
            noise[k] = (uint8_t)check_random(&rng);
        }
        if (i % 2 == 0 && n >= 8) {
            uint64_t magic = MPS_MAGIC;
            memcpy(noise, &magic, 8);
        }
        write_file(noise, n);
        CHECK(try_open(MPS_OPEN_OLD | MPS_OPEN_NEW) != MPS_OK);
        CHECK(try_open(MPS_OPEN_OLD | MPS_OPEN_READ) != MPS_OK);
        CHECK(try_open(MPS_OPEN_OLD | MPS_OPEN_COPY) != MPS_OK);
        CHECK_STATUS(try_open(MPS_OPEN_NEW), MPS_E_EXISTS);
    }
    write_file(noise, 0);
    CHECK_STATUS(try_open(MPS_OPEN_OLD), MPS_E_NOTFOUND);
    CHECK_OK(try_open(MPS_OPEN_NEW));
    CHECK(chmod(path, 0620) == 0);
    CHECK_STATUS(try_open(MPS_OPEN_OLD), MPS_E_PERM);
    CHECK_OK(mps_seg_unlink(path));
    CHECK(mkdir(path, 0700) == 0);
    CHECK(try_open(MPS_OPEN_OLD | MPS_OPEN_NEW) != MPS_OK);
    CHECK(rmdir(path) == 0);
}

/* A heap grows in place, is saved, and loaded as another segment; the bytes serve for reading as they are. */
static void test_bytes(void)
{
    mps_seg *heap = NULL, *again = NULL, *reader = NULL;
    CHECK_OK(mps_seg_create_heap(64 << 10, 16 << 20, MPS_BEST_FIT, 0, &heap));
    const void *base = heap->region.base;
    uint64_t serial = 0, size = 0;
    mps_off off = a_table(heap, &serial);
    CHECK_OK(mps_seg_grow(heap, 4 << 20));
    CHECK(heap->region.base == base);
    CHECK_OK(mps_seg_extent(heap, &size));
    uint8_t *bytes = aligned_alloc(64, mps_round_up(size, 64));
    CHECK(bytes != NULL);
    CHECK_STATUS(mps_seg_save(heap, bytes, size - 1), MPS_E_RANGE);
    CHECK_OK(mps_seg_save(heap, bytes, size));
    CHECK_OK(mps_seg_load(bytes, size, 0, false, &again));
    CHECK_OK(mps_ref_attach(again, door, off, serial, 0));
    CHECK_OK(set(again, off, 1, 77));
    expect(heap, off, 1, 1);
    CHECK_SOUND(again);
    CHECK_SOUND(heap);
    CHECK_STATUS(mps_seg_load(bytes, size - 4096, 0, false, &reader), MPS_E_CORRUPT);
    CHECK_STATUS(mps_seg_load(bytes, 100, 0, false, &reader), MPS_E_FOREIGN);
    for (int copied = 0; copied < 2; copied++) {
        CHECK_OK(copied ? mps_seg_load(bytes, size, 0, true, &reader) : mps_seg_adopt_readonly(bytes, size, &reader));
        CHECK_OK(mps_ref_attach(reader, door, off, serial, 0));
        expect(reader, off, 50, 2500);
        CHECK_STATUS(set(reader, off, 1, 2), MPS_E_READONLY);
        mps_copy copy;
        mps_copy_init(&copy);
        mps_enc key = number(100);
        CHECK_STATUS(mps_table_get(reader, door, off, &key, &copy), MPS_E_NOTFOUND);
        CHECK_STATUS(mps_ref_attach(reader, door, off, serial + 1, 0), MPS_E_STALE);
        mps_ref_drop(reader, door, off);
        mps_seg_release(reader);
    }
    mps_ref_drop(again, door, off);
    mps_ref_drop(heap, door, off);
    mps_seg_release(again);
    mps_seg_release(heap);
    free(bytes);
}

/* Random blocks come and go; free memory is given back, overwritten and asked for again. */
static void keep_house(mps_seg *seg, check_rng *rng)
{
    mps_off blocks[64] = {0};
    for (int i = 0; i < 1500; i++) {
        mps_tx tx;
        uint64_t k = check_below(rng, 64);
        check_begin(seg, &tx);
        if (blocks[k] != 0) {
            CHECK_OK(mps_free(&tx, blocks[k]));
            blocks[k] = 0;
        } else {
            uint64_t n = check_below(rng, 8) == 0 ? check_below(rng, 200000) : check_below(rng, 3000);
            mps_status st = mps_alloc(&tx, n + 1, &blocks[k]);
            if (st == MPS_OK) {
                memset(mps_region_at(&seg->region, blocks[k]), 0x5a, n + 1);
            } else {
                CHECK_STATUS(st, MPS_E_FULL);
                blocks[k] = 0;
            }
        }
        check_commit(&tx);
        if (i % 50 == 0) {
            CHECK_OK(i % 100 == 0 ? mps_seg_shrink(seg) : mps_seg_zero_free(seg));
            char why[200] = "";
            CHECK_OK(mps_alloc_walk(seg, NULL, NULL, why, sizeof(why)));
        }
    }
    for (int k = 0; k < 64; k++) {
        mps_tx tx;
        check_begin(seg, &tx);
        if (blocks[k] != 0) {
            CHECK_OK(mps_free(&tx, blocks[k]));
        }
        check_commit(&tx);
    }
    CHECK_OK(mps_seg_flush_caches(seg, MPS_DOOR_FREE));
    CHECK_OK(mps_seg_shrink(seg));
    mps_stats stats;
    CHECK_OK(mps_seg_stats(seg, &stats));
    CHECK(stats.used == 0 && stats.size < 64 << 10);
    CHECK_SOUND(seg);
}

static void test_keeping_house(void)
{
    check_rng rng = check_seed(20260101);
    mps_seg *seg = NULL;
    CHECK_OK(mps_seg_create_heap(0, 16 << 20, MPS_SEQUENTIAL_FIT, 0, &seg));
    keep_house(seg, &rng);
    mps_seg_release(seg);
    seg = open_it(MPS_OPEN_NEW);
    keep_house(seg, &rng);
    mps_seg_release(seg);
    struct stat status;
    CHECK(stat(path, &status) == 0 && status.st_size < (80 << 20) && status.st_blocks * 512 < 400 << 10);
    CHECK_OK(mps_seg_unlink(path));
    void *buffer = check_buffer(2 << 20);
    seg = check_adopt(buffer, 2 << 20, true);
    keep_house(seg, &rng);
    mps_seg_release(seg);
    free(buffer);
}

int main(void)
{
    (void)snprintf(path, sizeof(path), "%s/mpshm-test-opening-%d", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp",
                   (int)getpid());
    test_modes();
    test_address();
    test_files_of_others();
    test_bytes();
    test_keeping_house();
    return 0;
}
