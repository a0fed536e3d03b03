/* stress_tree.c -- threads that read a tree without locks beside one that writes: no torn value, nothing missed, no data race.
 *
 * Even keys are always there, and values say whose they are. MPS_TEST_SECONDS in the environment: how long.
 */
#include "content.h"

#include <pthread.h>

#include "os.h"
#include "tree.h"

#define KEYS 3000u
#define READERS 2u

static struct {
    world w;
    mps_off numbers, texts;
    uint32_t enough;
    uint64_t reads[READERS];
} t;

static const mps_door door = MPS_DOOR_FREE;

typedef struct key {
    mps_enc enc;
    char text[64];
} key;

static void key_make(key *k, uint64_t id, bool text)
{
    k->enc = (mps_enc){.value = mps_value_int((int64_t)id)};
    if (text) {
        snprintf(k->text, sizeof k->text, "a text that is long enough %06" PRIu64, id);
        k->enc = (mps_enc){.value = {MPS_TAG_ASCII, 0}, .data = k->text, .nbytes = strlen(k->text)};
    }
}

static void read_once(check_rng *rng, mps_off tree, bool text)
{
    uint64_t id = check_below(rng, KEYS), at, n;
    key k;
    mps_copy copy, first;
    mps_copy_init(&copy);
    mps_copy_init(&first);
    key_make(&k, id, text);
    mps_status st = mps_tree_get(t.w.seg, door, tree, &k.enc, &copy);
    CHECK(st == MPS_OK || (st == MPS_E_NOTFOUND && id % 2 == 1));
    CHECK(st != MPS_OK || copy.value.w1 >> 32 == id);
    mps_copy_done(&copy);
    CHECK_OK(mps_tree_rank(t.w.seg, door, tree, &k.enc, MPS_BOUND_LOWER, &at));
    CHECK(at >= id / 2 && at <= id);
    CHECK_OK(mps_tree_len(t.w.seg, door, tree, &n));
    CHECK(n >= KEYS / 2 && n <= KEYS);
    mps_copy_init(&copy);
    CHECK_OK(mps_tree_item(t.w.seg, door, tree, (int64_t)(id / 2), &first, &copy));
    CHECK(text || first.value.w1 == copy.value.w1 >> 32);
    mps_copy_done(&copy);
    mps_copy_done(&first);
}

static void *reader(void *arg)
{
    uint64_t *count = arg;
    check_rng rng = {(uint64_t)(uintptr_t)arg | 1};
    while (__atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0) {
        read_once(&rng, t.numbers, false);
        read_once(&rng, t.texts, true);
        ++*count;
    }
    return NULL;
}

static void set(mps_off tree, uint64_t id, uint64_t version, bool text)
{
    key k;
    bool added;
    key_make(&k, id, text);
    mps_enc v = {.value = mps_value_int((int64_t)(id << 32 | (uint32_t)version))};
    CHECK_OK(mps_tree_set(t.w.seg, door, tree, &k.enc, &v, &added));
}

static void write_once(check_rng *rng, uint64_t version)
{
    bool text = check_below(rng, 2) == 0;
    mps_off tree = text ? t.texts : t.numbers;
    uint64_t id = check_below(rng, KEYS) | 1;
    key k;
    switch (check_below(rng, 400) == 0 ? 0 : 1 + check_below(rng, 2)) {
    case 0: /* all odd ones go, or come */
        for (uint64_t i = 1; i < KEYS; i += 2) {
            key_make(&k, i, text);
            if (version % 2 == 0) {
                (void)mps_tree_pop(t.w.seg, door, tree, &k.enc, NULL);
            } else {
                set(tree, i, version, text);
            }
        }
        break;
    case 1: set(tree, id - version % 2, version, text); break;
    default: key_make(&k, id, text); (void)mps_tree_pop(t.w.seg, door, tree, &k.enc, NULL);
    }
}

int main(void)
{
    const char *wish = getenv("MPS_TEST_SECONDS");
    uint64_t seconds = wish != NULL ? strtoull(wish, NULL, 0) : 3, version = 0;
    check_rng rng = check_seed(7);
    pthread_t readers[READERS];
    t.w = world_make((uint64_t)16 << 20);
    t.numbers = world_object(&t.w, MPS_KIND_MAP, sizeof(mps_tree));
    t.texts = world_object(&t.w, MPS_KIND_MAP, sizeof(mps_tree));
    for (uint64_t i = 0; i < KEYS; i++) {
        set(t.numbers, i, 0, false);
        set(t.texts, i, 0, true);
    }
    for (unsigned i = 0; i < READERS; i++) {
        CHECK(pthread_create(&readers[i], NULL, reader, &t.reads[i]) == 0);
    }
    uint64_t end = mps_os_now() + seconds * 1000000000u;
    while (mps_os_now() < end) {
        write_once(&rng, ++version);
    }
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < READERS; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
        printf("%" PRIu64 " reads\n", t.reads[i]);
    }
    CHECK_SOUND(t.w.seg);
    mps_ref_drop(t.w.seg, door, t.numbers);
    mps_ref_drop(t.w.seg, door, t.texts);
    world_end(&t.w);
    return 0;
}
