/* test_buffer.c -- bytes that never change: made, filled, read, mapped and compared; a full segment, and bytes that lie. */
#include "content.h"

#include "buffer.h"
#include "os.h"

static const mps_door door = MPS_DOOR_FREE;

#define MOST ((uint64_t)3 << 20)

static uint8_t *some_bytes(uint64_t seed)
{
    check_rng rng = {seed * 2 + 1};
    uint8_t *bytes = malloc(MOST);
    CHECK(bytes != NULL);
    for (uint64_t i = 0; i < MOST; i++) {
        bytes[i] = (uint8_t)(check_random(&rng) >> 40);
    }
    return bytes;
}

static mps_off make(mps_seg *seg, uint64_t nbytes, const void *from, const char *note)
{
    mps_off off, data, at;
    uint64_t serial, found;
    CHECK_OK(mps_buffer_new(seg, door, nbytes, note, strlen(note), &off, &serial));
    CHECK_OK(mps_raw_data(seg, off, &data, &found));
    CHECK(found == nbytes && serial != 0);
    CHECK(data % (nbytes >= MPS_BUFFER_LARGE ? MPS_PAGE : nbytes >= 64 ? 64 : 16) == 0);
    CHECK_OK(mps_buffer_fill(seg, door, off, from));
    CHECK_OK(mps_raw_note(seg, off, &at, &found));
    CHECK(found == strlen(note) && memcmp(mps_region_at(&seg->region, at), note, found) == 0);
    return off;
}

/* What was filled in is read, whole or its beginning, by copy and by pages; what is written to pages is nobody else's. */
static void test_in_and_out(void)
{
    static const uint64_t sizes[] = {0, 1, 63, 64, 100, 4096, 65535, 65536, 65537, 100000, MOST};
    uint8_t *from = some_bytes(1), *to = malloc(MOST);
    mps_seg *seg;
    CHECK(to != NULL);
    CHECK_OK(mps_seg_create_anonymous(64 << 10, 64 << 20, &seg));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint64_t nbytes = sizes[i], length = 0;
        mps_off off = make(seg, nbytes, from, "what it is");
        CHECK_OK(mps_buffer_read(seg, door, off, to, nbytes));
        CHECK(memcmp(to, from, nbytes) == 0);
        CHECK_OK(mps_buffer_read(seg, door, off, to, nbytes / 2));
        CHECK_STATUS(mps_buffer_read(seg, door, off, to, nbytes + 1), MPS_E_CORRUPT);
        uint8_t *pages = mps_buffer_map(seg, off, &length);
        CHECK(pages != NULL || nbytes < MPS_BUFFER_LARGE);
        if (pages != NULL) {
            CHECK(length >= nbytes && length < nbytes + MPS_PAGE && memcmp(pages, from, nbytes) == 0);
            memset(pages, 0x5a, length);
            CHECK_OK(mps_buffer_read(seg, door, off, to, nbytes));
            CHECK(memcmp(to, from, nbytes) == 0);
            mps_os_unmap(pages, length);
        }
        CHECK_SOUND(seg);
        mps_ref_drop(seg, door, off);
    }
    mps_stats stats;
    CHECK_OK(mps_seg_stats(seg, &stats));
    CHECK(stats.objects == 0 && stats.blocks == 0);
    mps_seg_release(seg);
    free(from);
    free(to);
}

/* Equal are those of the same note and bytes, and nothing else. */
static void test_same(void)
{
    uint8_t *from = some_bytes(2);
    world w = world_make(4u << 20);
    for (uint64_t nbytes = 0; nbytes <= 200000; nbytes = nbytes * 3 + 50) {
        mps_off a = make(w.seg, nbytes, from, "note"), b = make(w.seg, nbytes, from, "note");
        mps_off other = make(w.seg, nbytes, from, "nose"), longer = make(w.seg, nbytes + 1, from, "note");
        CHECK(mps_buffer_same(w.seg, a, a) && mps_buffer_same(w.seg, a, b));
        CHECK(!mps_buffer_same(w.seg, a, other) && !mps_buffer_same(w.seg, a, longer));
        CHECK(!mps_buffer_same(w.seg, a, w.objects[0]) && !mps_buffer_same(w.seg, w.objects[0], a));
        CHECK(!mps_buffer_same(w.seg, a, 0) && !mps_buffer_same(w.seg, a, UINT64_MAX) &&
              !mps_buffer_same(w.seg, a + 8, b));
        if (nbytes > 0) {
            from[nbytes - 1] ^= 1;
            mps_off changed = make(w.seg, nbytes, from, "note");
            from[nbytes - 1] ^= 1;
            CHECK(!mps_buffer_same(w.seg, a, changed));
            mps_ref_drop(w.seg, door, changed);
        }
        CHECK_SOUND(w.seg);
        mps_off all[] = {a, b, other, longer};
        for (int i = 0; i < 4; i++) {
            mps_ref_drop(w.seg, door, all[i]);
        }
    }
    world_end(&w);
    free(from);
}

/* Without room nothing is made, and nothing of it is left. */
static void test_full(void)
{
    uint8_t *from = some_bytes(3);
    world w = world_make(2u << 20);
    mps_off offs[100], off;
    uint64_t serial, n = 0;
    while (n < 100 && mps_buffer_new(w.seg, door, 70000, "n", 1, &offs[n], &serial) == MPS_OK) {
        CHECK_OK(mps_buffer_fill(w.seg, door, offs[n], from));
        n++;
    }
    CHECK(n > 5 && n < 100);
    mps_stats before, after;
    CHECK_OK(mps_seg_stats(w.seg, &before));
    CHECK_STATUS(mps_buffer_new(w.seg, door, 70000, "n", 1, &off, &serial), MPS_E_FULL);
    CHECK_STATUS(mps_buffer_new(w.seg, door, MPS_RAW_MAX, "n", 1, &off, &serial), MPS_E_FULL);
    CHECK_STATUS(mps_buffer_new(w.seg, door, MPS_RAW_MAX + 1, "n", 1, &off, &serial), MPS_E_TOOLARGE);
    CHECK_STATUS(mps_buffer_new(w.seg, door, 1, from, MPS_RAW_NOTE_MAX + 1, &off, &serial), MPS_E_TOOLARGE);
    CHECK_OK(mps_seg_stats(w.seg, &after));
    CHECK(before.used == after.used && before.objects == after.objects);
    CHECK_SOUND(w.seg);
    while (n > 0) {
        mps_ref_drop(w.seg, door, offs[--n]);
    }
    world_end(&w);
    free(from);
}

/* Words that were tampered with lead nowhere outside of the segment: a status, or bytes of it. */
static void test_hostile(check_rng *rng)
{
    uint8_t *from = some_bytes(4), *to = malloc(8u << 20);
    mps_seg *seg;
    CHECK(to != NULL);
    CHECK_OK(mps_seg_create_anonymous(1 << 20, 4 << 20, &seg));
    mps_off a = make(seg, 70000, from, "note of it"), b = make(seg, 70000, from, "note of it");
    mps_raw *raw = mps_region_at(&seg->region, a);
    mps_raw good = *raw;
    for (int i = 0; i < 4000; i++) {
        uint64_t word = check_random(rng) >> check_below(rng, 64);
        if (check_below(rng, 2) == 0) {
            raw->nbytes = word;
        }
        if (check_below(rng, 2) == 0) {
            raw->layout = check_below(rng, 2) == 0 ? word : good.layout ^ (uint64_t)1 << check_below(rng, 20);
        }
        mps_off at = 0;
        uint64_t nbytes = 0, length = 0;
        mps_status st = mps_raw_data(seg, a, &at, &nbytes);
        CHECK(st == MPS_OK || st == MPS_E_CORRUPT);
        if (st == MPS_OK && nbytes <= 8u << 20) {
            CHECK_OK(mps_buffer_read(seg, door, a, to, nbytes));
        }
        (void)mps_buffer_same(seg, a, b);
        (void)mps_buffer_same(seg, b, a);
        volatile uint8_t *pages = mps_buffer_map(seg, a, &length);
        if (pages != NULL) {
            CHECK(st == MPS_OK && length >= nbytes);
            for (uint64_t k = 0; k < length; k += MPS_PAGE) {
                pages[k] ^= 1;
            }
            mps_os_unmap((void *)(uintptr_t)pages, length);
        }
        raw->nbytes = good.nbytes;
        raw->layout = good.layout;
    }
    CHECK(mps_buffer_same(seg, a, b));
    CHECK_SOUND(seg);
    mps_ref_drop(seg, door, a);
    mps_ref_drop(seg, door, b);
    mps_seg_release(seg);
    free(from);
    free(to);
}

int main(void)
{
    check_rng rng = check_seed(20261120);
    test_in_and_out();
    test_same();
    test_full();
    test_hostile(&rng);
    return 0;
}
