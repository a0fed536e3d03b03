/* stress_ring.c -- producers, consumers and one who looks on at full speed: every item once, in its producer's order. */
#include "content.h"

#include <pthread.h>

#include "os.h"
#include "ring.h"

#define SIDES 3u
#define EACH 6000u
#define MARK ((uint64_t)1 << 40)

static const mps_door door = MPS_DOOR_FREE;

static struct {
    world w;
    mps_off queue;
    uint32_t taken[SIDES][EACH]; /* of each producer's items, how often they came out */
    uint32_t enough;
} t;

typedef struct side {
    uint64_t number;
    uint64_t last[SIDES]; /* of each producer, the item that came last, plus one */
} side;

/* Item n of a producer: mostly numbers, some that own something. */
static mps_enc item(uint64_t producer, uint64_t n, uint64_t *data, mps_off *ref)
{
    uint64_t id = producer * MARK + n;
    if (n % 5 != 0) {
        return (mps_enc){.value = mps_value_int((int64_t)id)};
    }
    uint64_t nbytes = n % 100 == 0 ? 6000 : 16 + n % 700;
    memset(data, 0x55, nbytes);
    data[0] = id;
    mps_enc enc = {.value = {MPS_TAG_PICKLE, 0}, .data = data, .nbytes = nbytes};
    if (n % 15 == 0) {
        *ref = t.w.objects[n % THING_OBJECTS];
        enc.refs = ref;
        enc.n_refs = 1;
    }
    return enc;
}

static void *produce(void *arg)
{
    static _Thread_local uint64_t data[1000];
    const side *me = arg;
    for (uint64_t n = 0; n < EACH; n++) {
        mps_off ref;
        mps_enc enc = item(me->number, n, data, &ref);
        mps_status st;
        do {
            st = mps_ring_put(t.w.seg, door, t.queue, &enc, MPS_FOREVER);
        } while (st == MPS_E_INTR);
        CHECK_OK(st);
    }
    return NULL;
}

static void *consume(void *arg)
{
    side *me = arg;
    for (;;) {
        mps_copy copy;
        mps_copy_init(&copy);
        mps_status st = mps_ring_get(t.w.seg, door, t.queue, &copy, (uint64_t)2000000000);
        if (st == MPS_E_CHANGED) {
            return NULL;
        }
        if (st == MPS_E_TIMEOUT) {
            continue;
        }
        CHECK_OK(st);
        uint64_t id = copy.value.w1;
        if (mps_value_tag(copy.value) == MPS_TAG_PICKLE) {
            memcpy(&id, copy.data, 8);
        }
        uint64_t producer = id / MARK, n = id % MARK;
        CHECK(producer < SIDES && n < EACH && n >= me->last[producer]);
        CHECK(copy.n_refs == (n % 15 == 0));
        me->last[producer] = n + 1;
        __atomic_fetch_add(&t.taken[producer][n], 1, __ATOMIC_RELAXED);
        mps_copy_drop_refs(t.w.seg, door, &copy);
        mps_copy_done(&copy);
        CHECK_OK(mps_ring_task_done(t.w.seg, door, t.queue));
    }
}

static void *look(void *arg)
{
    uint32_t n;
    (void)arg;
    while (__atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0) {
        CHECK_OK(mps_ring_count(t.w.seg, door, t.queue, &n));
        CHECK(n <= SIDES * EACH);
        CHECK_OK(mps_ring_unfinished(t.w.seg, door, t.queue, &n));
        CHECK(n <= SIDES * EACH);
    }
    return NULL;
}

static void run(int64_t maxsize)
{
    static side makers[SIDES], takers[SIDES];
    pthread_t threads[SIDES * 2 + 1];
    memset(t.taken, 0, sizeof t.taken);
    memset(takers, 0, sizeof takers);
    t.enough = 0;
    t.w = world_make(64u << 20);
    t.queue = world_object(&t.w, MPS_KIND_QUEUE, sizeof(mps_ring));
    (void)mps_ring_limit(t.w.seg, t.queue, maxsize);
    for (uint64_t i = 0; i < SIDES; i++) {
        makers[i].number = i;
        CHECK(pthread_create(&threads[i], NULL, produce, &makers[i]) == 0);
        CHECK(pthread_create(&threads[SIDES + i], NULL, consume, &takers[i]) == 0);
    }
    CHECK(pthread_create(&threads[2 * SIDES], NULL, look, NULL) == 0);
    for (uint32_t i = 0; i < SIDES; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    mps_status st = mps_ring_join(t.w.seg, door, t.queue, (uint64_t)60000000000);
    CHECK_OK(st);
    CHECK_OK(mps_ring_shut(t.w.seg, door, t.queue, false));
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELAXED);
    for (uint32_t i = SIDES; i <= 2 * SIDES; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    for (uint32_t i = 0; i < SIDES * EACH; i++) {
        CHECK(t.taken[i / EACH][i % EACH] == 1);
    }
    mps_ref_drop(t.w.seg, door, t.queue);
    world_end(&t.w);
}

int main(void)
{
    run(0);
    run(5);
    return 0;
}
