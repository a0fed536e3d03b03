/* test_raw.c -- bytes that programs change as they like. */
#include "content.h"

#include "raw.h"

static const mps_door door = MPS_DOOR_FREE;

static mps_off make(const world *w, uint64_t nbytes, uint8_t **data)
{
    mps_off off, at;
    uint64_t serial, found;
    CHECK_OK(mps_raw_new(w->seg, door, nbytes, &off, &serial));
    CHECK_OK(mps_raw_data(w->seg, off, &at, &found));
    CHECK(found == nbytes && serial != 0);
    CHECK(at % (nbytes >= 64 ? 64 : 16) == 0);
    *data = mps_region_at(&w->seg->region, at);
    return off;
}

/* New bytes are zero, whatever was there before, and are nobody else's. */
static void test_sizes(check_rng *rng)
{
    static const uint64_t sizes[] = {0, 1, 4, 8, 63, 64, 65, 520, 4000, 4096, 5000, 100000, 3u << 20};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    world w = world_make(24u << 20);
    for (int round = 0; round < 20; round++) {
        mps_off offs[N];
        uint8_t *data[N];
        for (int i = 0; i < N; i++) {
            offs[i] = make(&w, sizes[i], &data[i]);
            for (uint64_t k = 0; k < sizes[i]; k++) {
                CHECK(data[i][k] == 0);
            }
            memset(data[i], i + 1, sizes[i]);
        }
        CHECK_SOUND(w.seg);
        for (int i = 0; i < N; i++) {
            for (uint64_t k = 0; k < sizes[i]; k++) {
                CHECK(data[i][k] == i + 1);
            }
        }
        int first = (int)check_below(rng, N);
        for (int i = 0; i < N; i++) {
            mps_ref_drop(w.seg, door, offs[(first + i) % N]);
        }
    }
    world_end(&w);
}

/* An array's data begins at a cache line, and a large one's at a page, whatever its note is; it is cleared if that is wished. */
static void test_arrays(check_rng *rng)
{
    static const uint64_t sizes[] = {0,       1, 8, 64, 100, 4096, MPS_RAW_PAGED - 1, MPS_RAW_PAGED, MPS_RAW_PAGED + 9,
                                     2u << 20};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    world w = world_make(24u << 20);
    char note[300];
    for (int round = 0; round < 100; round++) {
        uint64_t nbytes = sizes[check_below(rng, N)], length = check_below(rng, sizeof(note)), serial, found;
        memset(note, 'a' + round % 26, sizeof(note));
        bool zero = round % 3 != 0;
        mps_off off, at, text;
        CHECK_OK(mps_raw_new_array(w.seg, door, nbytes, zero, note, length, &off, &serial));
        CHECK_OK(mps_raw_data(w.seg, off, &at, &found));
        CHECK(found == nbytes && at % (nbytes >= MPS_RAW_PAGED ? MPS_PAGE : MPS_CACHE_LINE) == 0);
        uint8_t *data = mps_region_at(&w.seg->region, at);
        for (uint64_t k = 0; zero && k < nbytes; k++) {
            CHECK(data[k] == 0);
        }
        memset(data, 255, nbytes);
        CHECK_OK(mps_raw_note(w.seg, off, &text, &found));
        CHECK(found == length && memcmp(mps_region_at(&w.seg->region, text), note, length) == 0 && text + length <= at);
        CHECK_OK(mps_raw_flush(w.seg, door, off)); /* nothing to do: there is no file */
        CHECK_SOUND(w.seg);
        mps_ref_drop(w.seg, door, off);
    }
    world_end(&w);
}

/* More than there can be is refused, and leaves nothing. */
static void test_too_much(void)
{
    world w = world_make(4u << 20);
    mps_off off;
    uint64_t serial;
    CHECK_STATUS(mps_raw_new(w.seg, door, MPS_RAW_MAX + 1, &off, &serial), MPS_E_TOOLARGE);
    CHECK_STATUS(mps_raw_new(w.seg, door, UINT64_MAX, &off, &serial), MPS_E_TOOLARGE);
    CHECK_STATUS(mps_raw_new(w.seg, door, MPS_RAW_MAX, &off, &serial), MPS_E_FULL);
    CHECK_STATUS(mps_raw_new(w.seg, door, 64u << 20, &off, &serial), MPS_E_FULL);
    CHECK_OK(mps_seg_shutdown(w.seg));
    CHECK_STATUS(mps_raw_new(w.seg, door, 8, &off, &serial), MPS_E_CLOSED);
    mps_seg_release(w.seg);
    free(w.buffer);
}

/* A length that was tampered with leads nowhere outside of the segment, and check() sees what lies outside of the block. */
static void test_hostile_length(check_rng *rng)
{
    world w = world_make(4u << 20);
    uint8_t *data;
    mps_off off = make(&w, 100, &data), at;
    mps_raw *raw = mps_region_at(&w.seg->region, off);
    char why[200];
    for (int i = 0; i < 5000; i++) {
        uint64_t nbytes = check_random(rng) >> check_below(rng, 64), found;
        raw->nbytes = nbytes;
        mps_status st = mps_raw_data(w.seg, off, &at, &found);
        CHECK(st == MPS_OK || st == MPS_E_CORRUPT);
        CHECK(st != MPS_OK || (at > off && found <= w.nbytes && at <= w.nbytes - found));
        if (i % 100 == 0) {
            st = mps_seg_check(w.seg, why, sizeof(why));
            CHECK(nbytes > 300 ? st == MPS_E_CORRUPT : st == MPS_OK || st == MPS_E_CORRUPT);
        }
    }
    raw->nbytes = 100;
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240610);
    test_sizes(&rng);
    test_arrays(&rng);
    test_too_much();
    test_hostile_length(&rng);
    return 0;
}
