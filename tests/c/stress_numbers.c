/* stress_numbers.c -- threads that read an Array without locks beside others that write it: no torn slice, no data race.
 *
 * Every slice is written with one number all over, so a reader sees at once what was never there; every single item is written with
 * one whose halves agree. MPS_TEST_SECONDS in the environment: how long.
 */
#include "content.h"

#include <pthread.h>

#include "numbers.h"
#include "os.h"

#define ITEMS 100u
#define HALF 50u
#define READERS 2u

static struct {
    world w;
    mps_off whole, single; /* slices; items */
    uint32_t enough;
} t;

static const mps_door door = MPS_DOOR_FREE;

static void *write_slices(void *arg)
{
    uint16_t items[ITEMS];
    for (uint16_t n = *(uint16_t *)arg; __atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0; n = (uint16_t)(n + 2)) {
        for (unsigned i = 0; i < ITEMS; i++) {
            items[i] = n;
        }
        bool backwards = n % 3 == 0;
        mps_numbers_part part = {backwards ? ITEMS - 1 : 0, backwards ? -1 : 1, ITEMS};
        CHECK_OK(mps_numbers_write(t.w.seg, door, t.whole, part, items));
    }
    return NULL;
}

static void *write_items(void *arg)
{
    check_rng rng = {*(uint16_t *)arg + 5u};
    while (__atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0) {
        uint64_t n = check_random(&rng) >> 32;
        CHECK_OK(mps_numbers_set(t.w.seg, door, t.single, check_below(&rng, ITEMS), n << 32 | n));
    }
    return NULL;
}

static void *read_both(void *arg)
{
    check_rng rng = {*(uint16_t *)arg + 50u};
    uint16_t items[ITEMS];
    uint64_t item, n = 0;
    for (; __atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0; n++) {
        mps_numbers_part part = {check_below(&rng, HALF), 1 + (int64_t)check_below(&rng, 2), HALF / 2};
        CHECK_OK(mps_numbers_read(t.w.seg, door, t.whole, part, items));
        for (unsigned i = 1; i < part.n; i++) {
            CHECK(items[i] == items[0]);
        }
        CHECK_OK(mps_numbers_get(t.w.seg, door, t.single, check_below(&rng, ITEMS), &item));
        CHECK(item >> 32 == (uint32_t)item);
    }
    CHECK(n > 0);
    return NULL;
}

int main(void)
{
    static const uint64_t zero[ITEMS];
    static uint16_t numbers[] = {0, 1, 2, 3};
    const char *wish = getenv("MPS_TEST_SECONDS");
    uint64_t serial;
    t.w = world_make(4u << 20);
    CHECK_OK(mps_numbers_new(t.w.seg, door, (mps_numbers_form){ITEMS, 'H', 2}, zero, &t.whole, &serial));
    CHECK_OK(mps_numbers_new(t.w.seg, door, (mps_numbers_form){ITEMS, 'Q', 8}, zero, &t.single, &serial));
    pthread_t threads[3 + READERS];
    CHECK(pthread_create(&threads[0], NULL, write_slices, &numbers[0]) == 0);
    CHECK(pthread_create(&threads[1], NULL, write_slices, &numbers[1]) == 0);
    CHECK(pthread_create(&threads[2], NULL, write_items, &numbers[2]) == 0);
    for (unsigned i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[3 + i], NULL, read_both, &numbers[i]) == 0);
    }
    mps_os_sleep((wish != NULL ? strtoull(wish, NULL, 0) : 2) * 1000000000u);
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < 3 + READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK_SOUND(t.w.seg);
    mps_ref_drop(t.w.seg, door, t.whole);
    mps_ref_drop(t.w.seg, door, t.single);
    world_end(&t.w);
    return 0;
}
