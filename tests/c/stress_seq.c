/* stress_seq.c -- threads that read without locks beside one that writes: no torn value, no lost one, no data race.
 *
 * Every value says to which key or place it belongs, and its two halves agree; so a reader sees at once what was never
 * written. MPS_TEST_SECONDS in the environment: how long.
 */
#include "content.h"

#include <pthread.h>

#include "deque.h"
#include "os.h"

#define KEYS 64u
#define ITEMS 100u
#define READERS 2u
#define ROW 9u        /* the key to which all values of the deque belong */
#define ROW_LEAST 30u /* its length */
#define ROW_MOST 60u

static struct {
    world w;
    mps_off table, list, cell, deque;
    uint32_t enough;
    uint64_t reads[READERS];
} t;

static const mps_door door = MPS_DOOR_FREE;

/* Text of the key's number over and over, longer and shorter: what is read must be of one piece. */
static mps_enc text_of(uint8_t *buffer, uint64_t key, uint64_t version)
{
    uint64_t nbytes = 16 + version % 40 * 8;
    for (uint64_t i = 0; i < nbytes; i += 8) {
        uint64_t word = key << 32 | (uint32_t)version;
        memcpy(buffer + i, &word, 8);
    }
    return (mps_enc){.value = {MPS_TAG_BYTES, 0}, .data = buffer, .nbytes = nbytes};
}

static mps_enc value_of(uint8_t *buffer, uint64_t key, uint64_t version)
{
    if (version % 3 != 0) {
        return text_of(buffer, key, version);
    }
    return (mps_enc){.value = mps_value_int((int64_t)(key << 32 | (uint32_t)version))};
}

static void check_value(const mps_copy *copy, uint64_t key)
{
    if (mps_value_tag(copy->value) == MPS_TAG_INT) {
        CHECK(copy->value.w1 >> 32 == key);
        return;
    }
    uint64_t first, word;
    CHECK(mps_value_tag(copy->value) == MPS_TAG_BYTES && copy->nbytes >= 16 && copy->nbytes % 8 == 0);
    memcpy(&first, copy->data, 8);
    CHECK(first >> 32 == key && copy->nbytes == 16 + (uint32_t)first % 40 * 8);
    for (uint64_t i = 8; i < copy->nbytes; i += 8) {
        memcpy(&word, copy->data + i, 8);
        CHECK(word == first);
    }
}

static void read_table(check_rng *rng)
{
    uint64_t key = check_below(rng, KEYS), n;
    mps_enc k = {.value = mps_value_int((int64_t)key)};
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = mps_table_get(t.w.seg, door, t.table, &k, &copy);
    CHECK(st == MPS_OK || (st == MPS_E_NOTFOUND && key % 2 == 1)); /* even keys are always there */
    if (st == MPS_OK) {
        check_value(&copy, key);
    }
    mps_copy_done(&copy);
    CHECK_OK(mps_table_len(t.w.seg, door, t.table, &n));
    CHECK(n >= KEYS / 2 && n <= KEYS + 4 * KEYS);
}

static void read_list(check_rng *rng)
{
    uint64_t i = check_below(rng, ITEMS), n;
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = mps_vector_get(t.w.seg, door, t.list, (int64_t)i, &copy);
    CHECK(st == MPS_OK || (st == MPS_E_RANGE && i >= ITEMS / 2)); /* the first half always is there */
    if (st == MPS_OK) {
        check_value(&copy, i);
    }
    mps_copy_done(&copy);
    CHECK_OK(mps_vector_len(t.w.seg, door, t.list, &n));
    CHECK(n >= ITEMS / 2 && n <= ITEMS);
}

static void read_deque(check_rng *rng)
{
    int64_t i = (int64_t)check_below(rng, 2 * ROW_MOST) - (int64_t)ROW_MOST;
    uint64_t n;
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = mps_deque_get(t.w.seg, door, t.deque, i, &copy);
    CHECK(st == MPS_OK || (st == MPS_E_RANGE && (i >= (int64_t)ROW_LEAST || i < -(int64_t)ROW_LEAST)));
    if (st == MPS_OK) {
        check_value(&copy, ROW);
    }
    mps_copy_done(&copy);
    CHECK_OK(mps_deque_len(t.w.seg, door, t.deque, &n));
    CHECK(n >= ROW_LEAST && n <= ROW_MOST);
}

static void *reader(void *arg)
{
    uint64_t *count = arg;
    check_rng rng = {(uint64_t)(uintptr_t)arg | 1};
    mps_copy copy;
    while (__atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0) {
        read_table(&rng);
        read_list(&rng);
        read_deque(&rng);
        mps_copy_init(&copy);
        CHECK_OK(mps_cell_get(t.w.seg, door, t.cell, &copy));
        check_value(&copy, 7);
        mps_copy_done(&copy);
        ++*count;
    }
    return NULL;
}

static void set(uint64_t key, uint64_t version)
{
    uint8_t buffer[400];
    mps_enc k = {.value = mps_value_int((int64_t)key)}, v = value_of(buffer, key, version);
    CHECK_OK(mps_table_set(t.w.seg, door, t.table, &k, &v));
}

static void append(uint64_t version)
{
    uint8_t buffer[400];
    uint64_t n;
    CHECK_OK(mps_vector_len(t.w.seg, door, t.list, &n));
    if (n < ITEMS) {
        mps_enc v = value_of(buffer, n, version);
        CHECK_OK(mps_vector_append(t.w.seg, door, t.list, &v));
    } else {
        CHECK_OK(mps_vector_delete(
            t.w.seg, door, t.list,
            (mps_slice){.start = ITEMS / 2 + (int64_t)(version % (ITEMS / 2)), .step = 1, .no_stop = true}));
    }
}

static void write_deque(check_rng *rng, uint64_t version)
{
    uint8_t buffer[400];
    uint64_t n;
    mps_end end = check_below(rng, 2) == 0 ? MPS_BACK : MPS_FRONT;
    mps_enc v = value_of(buffer, ROW, version);
    mps_enc two[2] = {v, v};
    int64_t i = (int64_t)check_below(rng, ROW_LEAST);
    CHECK_OK(mps_deque_len(t.w.seg, door, t.deque, &n));
    if (n + 2 > ROW_MOST || (n > ROW_LEAST && check_below(rng, 3) == 0)) {
        CHECK_OK(check_below(rng, 4) == 0 ? mps_deque_delete(t.w.seg, door, t.deque, i)
                                          : mps_deque_pop(t.w.seg, door, t.deque, end, NULL));
        return;
    }
    switch (check_below(rng, 6)) {
    case 0: CHECK_OK(mps_deque_rotate(t.w.seg, door, t.deque, i)); break;
    case 1: CHECK_OK(mps_deque_insert(t.w.seg, door, t.deque, i, &v)); break;
    case 2: CHECK_OK(mps_deque_extend(t.w.seg, door, t.deque, end, two, 2)); break;
    case 3: CHECK_OK(mps_deque_set(t.w.seg, door, t.deque, i, &v)); break;
    default: CHECK_OK(mps_deque_push(t.w.seg, door, t.deque, end, &v));
    }
}

static void write_once(check_rng *rng, uint64_t version)
{
    uint8_t buffer[400];
    uint64_t key = check_below(rng, KEYS), i = check_below(rng, ITEMS / 2);
    mps_enc k = {.value = mps_value_int((int64_t)(key | 1))}, v;
    switch (check_below(rng, 10)) {
    case 0:
    case 1: set(key, version); break;
    case 8:
    case 9: write_deque(rng, version); break;
    case 2: (void)mps_table_pop(t.w.seg, door, t.table, &k, NULL); break;
    case 3:
        for (uint64_t n = 0; n < 4 * KEYS; n++) { /* grow, and shrink again */
            set(1000 + n, version);
        }
        for (uint64_t n = 0; n < 4 * KEYS; n++) {
            k.value = mps_value_int((int64_t)(1000 + n));
            CHECK_OK(mps_table_pop(t.w.seg, door, t.table, &k, NULL));
        }
        break;
    case 4:
    case 5: append(version); break;
    case 6:
        v = value_of(buffer, i, version);
        CHECK_OK(mps_vector_set(t.w.seg, door, t.list, (int64_t)i, &v));
        break;
    default: v = value_of(buffer, 7, version); CHECK_OK(mps_cell_set(t.w.seg, door, t.cell, &v));
    }
}

int main(void)
{
    const char *wish = getenv("MPS_TEST_SECONDS");
    uint64_t end = mps_os_now() + (wish != NULL ? strtoull(wish, NULL, 0) : 5) * 1000000000u, version = 0;
    check_rng rng = check_seed(20240507);
    t.w = world_make(8u << 20);
    t.table = world_object(&t.w, MPS_KIND_DICT, sizeof(mps_table));
    t.list = world_object(&t.w, MPS_KIND_LIST, sizeof(mps_vector));
    t.cell = world_object(&t.w, MPS_KIND_VALUE, sizeof(mps_cell));
    mps_enc seven = {.value = mps_value_int((int64_t)7 << 32)};
    CHECK_OK(mps_cell_set(t.w.seg, door, t.cell, &seven));
    t.deque = world_object(&t.w, MPS_KIND_DEQUE, sizeof(mps_deque));
    for (uint64_t i = 0; i < ROW_LEAST; i++) {
        uint8_t buffer[400];
        mps_enc v = value_of(buffer, ROW, i);
        CHECK_OK(mps_deque_push(t.w.seg, door, t.deque, MPS_BACK, &v));
    }
    for (uint64_t i = 0; i < KEYS; i++) {
        set(i, i);
    }
    for (uint64_t i = 0; i < ITEMS; i++) {
        append(i);
    }
    pthread_t threads[READERS];
    for (uint32_t i = 0; i < READERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, reader, &t.reads[i]) == 0);
    }
    while (mps_os_now() < end) {
        write_once(&rng, version++);
    }
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < READERS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        printf("reader %u: %" PRIu64 " rounds beside %" PRIu64 " changes\n", i, t.reads[i], version);
    }
    CHECK_SOUND(t.w.seg);
    mps_ref_drop(t.w.seg, door, t.table);
    mps_ref_drop(t.w.seg, door, t.list);
    mps_ref_drop(t.w.seg, door, t.cell);
    mps_ref_drop(t.w.seg, door, t.deque);
    world_end(&t.w);
    return 0;
}
