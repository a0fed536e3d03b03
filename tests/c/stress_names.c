/* stress_names.c -- threads that construct, find and destroy the same names: one object a name, found whole, no data race.
 *
 * Each object is a value that says which name it was made for, set before it is entered. MPS_TEST_SECONDS in the environment: how long.
 */
#include "content.h"

#include <pthread.h>

#include "names.h"
#include "os.h"
#include "raw.h"

#define NAMES 16u
#define THREADS 3u

static struct {
    world w;
    mps_off names;
    uint32_t enough;
    uint64_t rounds[THREADS];
} t;

static const mps_door door = MPS_DOOR_FREE;

static void key_of(uint64_t i, mps_enc *key, char text[64])
{
    snprintf(text, 64, i % 2 == 0 ? "name %u" : "a name that does not fit into an entry %u", (unsigned)i);
    mps_names_key(t.w.seg, text, strlen(text), key);
}

static void construct(uint64_t i)
{
    char text[64];
    mps_enc key, value = {.value = mps_value_int((int64_t)i)};
    mps_off made = world_object(&t.w, MPS_KIND_VALUE, sizeof(mps_cell));
    CHECK_OK(mps_cell_set(t.w.seg, door, made, &value));
    key_of(i, &key, text);
    mps_status st = mps_names_enter(t.w.seg, door, t.names, &key, made);
    CHECK(st == MPS_OK || st == MPS_E_EXISTS);
    mps_ref_drop(t.w.seg, door, made);
}

static void find(uint64_t i)
{
    char text[64];
    mps_enc key;
    mps_off found;
    mps_copy copy;
    key_of(i, &key, text);
    mps_status st = mps_names_find(t.w.seg, door, t.names, &key, true, &found);
    CHECK(st == MPS_OK || st == MPS_E_NOTFOUND);
    if (st == MPS_OK) {
        mps_copy_init(&copy);
        CHECK_OK(mps_cell_get(t.w.seg, door, found, &copy));
        CHECK(copy.value.w1 == i);
        mps_copy_done(&copy);
        mps_ref_drop(t.w.seg, door, found);
    }
}

static void destroy(uint64_t i)
{
    char text[64];
    mps_enc key;
    key_of(i, &key, text);
    mps_status st = mps_names_remove(t.w.seg, door, t.names, &key);
    CHECK(st == MPS_OK || st == MPS_E_NOTFOUND);
}

static void allocate(check_rng *rng)
{
    uint64_t sizes[4], serials[4];
    mps_off offs[4];
    for (int i = 0; i < 4; i++) {
        sizes[i] = check_below(rng, 600);
    }
    CHECK_OK(mps_raw_allocate(t.w.seg, door, sizes, 4, 32, offs, serials));
    CHECK_OK(mps_raw_move(t.w.seg, door, offs[1], serials[1], 700, &offs[1], &serials[1]));
    CHECK_OK(mps_raw_deallocate(t.w.seg, door, offs, serials, 4));
}

static void *work(void *arg)
{
    uint64_t *rounds = arg;
    check_rng rng = {(uint64_t)(uintptr_t)arg | 1};
    while (__atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0) {
        uint64_t i = check_below(&rng, NAMES);
        switch (check_below(&rng, 8)) {
        case 0: construct(i); break;
        case 1: destroy(i); break;
        case 2: allocate(&rng); break;
        default: find(i);
        }
        ++*rounds;
    }
    return NULL;
}

int main(void)
{
    const char *wish = getenv("MPS_TEST_SECONDS");
    uint64_t end = mps_os_now() + (wish != NULL ? strtoull(wish, NULL, 0) : 5) * 1000000000u;
    pthread_t threads[THREADS];
    t.w = world_make(8u << 20);
    CHECK_OK(mps_names_open(t.w.seg, door, true, &t.names));
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, &t.rounds[i]) == 0);
    }
    while (mps_os_now() < end) {
        mps_os_sleep(50000000);
    }
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        printf("thread %u: %" PRIu64 " rounds\n", i, t.rounds[i]);
    }
    CHECK_SOUND(t.w.seg);
    for (uint64_t i = 0; i < NAMES; i++) {
        destroy(i);
    }
    mps_stats stats;
    CHECK_OK(mps_seg_stats(t.w.seg, &stats));
    CHECK(stats.objects == THING_OBJECTS);
    CHECK_SOUND(t.w.seg);
    mps_seg_release(t.w.seg);
    free(t.w.buffer);
    return 0;
}
