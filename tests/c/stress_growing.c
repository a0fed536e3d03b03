/* stress_growing.c -- vectors, strings and linked lists under threads: what is read is of one piece, nothing is lost, no data race.
 *
 * An item of the vector has two equal halves; the text is a word over and over; the values in both linked lists are those of their
 * cursors. MPS_TEST_SECONDS in the environment: how long.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "content.h"

#include <pthread.h>
#include <time.h>

#include "linked.h"
#include "os.h"
#include "text.h"
#include "typed.h"

#define THREADS 3u
#define NODES 12u

static const mps_door door = MPS_DOOR_FREE;
static const char word[] = "abcdefgh";

static struct {
    world w;
    mps_off vector, text, lists[2];
    mps_cursor cursors[NODES];
    uint32_t enough;
    uint64_t rounds[THREADS];
} t;

static void on_vector(check_rng *rng)
{
    uint64_t items[64][2], n = 64, found;
    uint32_t version;
    mps_seg *seg = t.w.seg;
    mps_status st;
    for (uint64_t i = 0; i < 64; i++) {
        items[i][0] = items[i][1] = check_random(rng);
    }
    switch (check_below(rng, 10)) {
    case 0: CHECK_OK(mps_typed_push(seg, door, t.vector, 16, items, 1 + check_below(rng, 64))); break;
    case 1: CHECK_OK(mps_typed_insert(seg, door, t.vector, 16, (int64_t)check_below(rng, 50), items, 3)); break;
    case 2: (void)mps_typed_set(seg, door, t.vector, 16, (int64_t)check_below(rng, 50), items); break;
    case 3:
        st = mps_typed_pop(seg, door, t.vector, 16, (int64_t)check_below(rng, 50), items);
        CHECK(st == MPS_E_RANGE || items[0][0] == items[0][1]);
        break;
    case 4: CHECK_OK(mps_typed_resize(seg, door, t.vector, check_below(rng, 300))); break;
    case 5: CHECK_OK(mps_typed_trim(seg, door, t.vector)); break;
    case 6:
        CHECK_OK(mps_typed_assign(seg, door, t.vector, 16, (mps_slice){.start = 5, .stop = 80, .step = 1}, items, 64,
                                  &found));
        break;
    case 7:
        st = mps_typed_read(seg, door, t.vector, 16, (mps_slice){.start = 3, .stop = 67, .step = 1}, items, &n,
                            &version);
        CHECK_OK(st);
        for (uint64_t i = 0; i < n; i++) {
            CHECK(items[i][0] == items[i][1]);
        }
        break;
    default:
        st = mps_typed_get(seg, door, t.vector, 16, (int64_t)check_below(rng, 100), items);
        CHECK(st == MPS_E_RANGE || (st == MPS_OK && items[0][0] == items[0][1]));
    }
}

static void on_text(check_rng *rng)
{
    mps_seg *seg = t.w.seg;
    mps_chars words = {.data = word, .n = 8, .width = 1}, none = {.data = word, .n = 0, .width = 1}, all;
    mps_slice front = {.start = 0, .stop = 8 * (int64_t)check_below(rng, 20), .step = 1};
    switch (check_below(rng, 8)) {
    case 0:
    case 1:
    case 2: CHECK_OK(mps_text_append(seg, door, t.text, &words)); break;
    case 3: CHECK_OK(mps_text_assign(seg, door, t.text, front, &words)); break;
    case 4: CHECK_OK(mps_text_assign(seg, door, t.text, front, &none)); break;
    case 5: CHECK_OK(mps_text_trim(seg, door, t.text)); break;
    default:
        CHECK_OK(mps_text_read(seg, door, t.text, (mps_slice){.no_start = true, .no_stop = true}, &all));
        CHECK(all.n % 8 == 0);
        for (uint64_t i = 0; i < all.n; i++) {
            CHECK(((const char *)all.data)[i] == word[i % 8]);
        }
        mps_chars_done(&all);
    }
}

/* Whose list a cursor's item is in just now. */
static mps_off list_of(mps_cursor *cursor)
{
    for (;;) {
        mps_off off;
        CHECK_OK(mps_linked_owner(t.w.seg, door, cursor, &off));
        mps_status st = mps_linked_seek(t.w.seg, door, off, cursor);
        mps_ref_drop(t.w.seg, door, off);
        if (st == MPS_OK) {
            return off;
        }
        CHECK(st == MPS_E_TYPE); /* it went on */
    }
}

static void on_lists(check_rng *rng)
{
    mps_seg *seg = t.w.seg;
    uint64_t i = check_below(rng, NODES);
    mps_cursor cursor = t.cursors[i], made, end, next;
    mps_off here = list_of(&cursor), there = t.lists[check_below(rng, 2)];
    mps_enc value = {.value = mps_value_int(1000)};
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st;
    switch (check_below(rng, 6)) {
    case 0: /* a node before it, and out again, wherever it may be by then */
        st = mps_linked_insert(seg, door, here, (mps_spot){.cursor = &cursor}, false, &value, 1, &made);
        while (st == MPS_OK) {
            here = list_of(&made);
            st = mps_linked_erase(seg, door, here, (mps_spot){.cursor = &made}, NULL, NULL, NULL);
            if (st == MPS_OK) {
                break;
            }
            CHECK(st == MPS_E_TYPE);
            st = MPS_OK;
        }
        CHECK(st == MPS_OK || st == MPS_E_TYPE);
        break;
    case 1:
        CHECK_OK(mps_linked_at(seg, door, there, INT64_MAX, &end));
        st = mps_linked_splice(seg, door, there, &end, here, NULL, NULL);
        CHECK_OK(st);
        break;
    case 2:
        CHECK_OK(mps_linked_at(seg, door, there, INT64_MAX, &end));
        next = cursor;
        if (mps_linked_step(seg, door, here, &next, false) == MPS_OK) {
            st = mps_linked_splice(seg, door, there, &end, here, &cursor, &next);
            CHECK(st == MPS_OK || st == MPS_E_TYPE || st == MPS_E_STALE || st == MPS_E_INVAL);
        }
        break;
    default:
        st = mps_linked_get(seg, door, here, (mps_spot){.cursor = &cursor}, &copy);
        CHECK(st == MPS_E_TYPE || (st == MPS_OK && copy.value.w1 == i));
    }
    mps_copy_done(&copy);
}

static void *work(void *arg)
{
    uint64_t *count = arg;
    check_rng rng = {(uint64_t)(uintptr_t)arg | 1};
    while (__atomic_load_n(&t.enough, __ATOMIC_RELAXED) == 0) {
        on_vector(&rng);
        on_text(&rng);
        on_lists(&rng);
        ++*count;
    }
    return NULL;
}

int main(void)
{
    const char *wish = getenv("MPS_TEST_SECONDS");
    (void)check_seed(1);
    t.w = world_make(8u << 20);
    t.vector = world_object(&t.w, MPS_KIND_VECTOR, sizeof(mps_typed));
    t.text = world_object(&t.w, MPS_KIND_STRING, sizeof(mps_text));
    mps_enc form = {.value = mps_value_int(16)};
    CHECK_OK(mps_typed_setup(t.w.seg, door, t.vector, (mps_typed_form){16, 0, MPS_TYPED_NO_LIMIT}, &form));
    t.lists[0] = world_object(&t.w, MPS_KIND_LINKED_LIST, sizeof(mps_linked));
    t.lists[1] = world_object(&t.w, MPS_KIND_LINKED_LIST, sizeof(mps_linked));
    for (uint64_t i = 0; i < NODES; i++) {
        mps_enc value = {.value = mps_value_int((int64_t)i)};
        CHECK_OK(mps_linked_insert(t.w.seg, door, t.lists[i % 2], (mps_spot){.index = INT64_MAX}, false, &value, 1,
                                   &t.cursors[i]));
    }
    pthread_t threads[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, &t.rounds[i]) == 0);
    }
    struct timespec seconds = {wish != NULL ? strtol(wish, NULL, 0) : 5, 0};
    nanosleep(&seconds, NULL);
    __atomic_store_n(&t.enough, 1, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < THREADS; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
        printf("thread %u: %" PRIu64 " rounds\n", i, t.rounds[i]);
    }
    CHECK_SOUND(t.w.seg);
    mps_ref_drop(t.w.seg, door, t.vector);
    mps_ref_drop(t.w.seg, door, t.text);
    mps_ref_drop(t.w.seg, door, t.lists[0]);
    mps_ref_drop(t.w.seg, door, t.lists[1]);
    world_end(&t.w);
    return 0;
}
