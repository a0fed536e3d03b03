/* test_typed.c -- vectors of items of one size, against an array. */
#include "content.h"

#include "raw.h"
#include "typed.h"

#define MOST 3000u
#define WHOLE ((mps_slice){.step = 1, .no_start = true, .no_stop = true})

static const mps_door door = MPS_DOOR_FREE;

static uint64_t size_of(mps_seg *seg, mps_off off)
{
    mps_typed_form form;
    (void)mps_typed_form_get(seg, off, &form);
    return form.itemsize;
}

typedef struct model {
    uint32_t size;
    uint64_t n;
    uint8_t bytes[(MOST + 600) * 24];
} model;

static mps_off make(const world *w, uint32_t itemsize, uint64_t maxlen)
{
    mps_off off = world_object(w, MPS_KIND_VECTOR, sizeof(mps_typed));
    mps_enc words = {.value = mps_value_int(itemsize)}, other = {.value = mps_value_int(99)};
    mps_typed_form form = {itemsize, 0, maxlen}, found;
    uint64_t item;
    CHECK_STATUS(mps_typed_get(w->seg, door, off, 8, 0, &item), MPS_E_TYPE);
    CHECK_STATUS(mps_typed_push(w->seg, door, off, size_of(w->seg, off), "", 1), MPS_E_TYPE);
    CHECK_OK(mps_typed_setup(w->seg, door, off, form, &words));
    CHECK_OK(mps_typed_setup(w->seg, door, off, form, &words));
    CHECK_STATUS(mps_typed_setup(w->seg, door, off, form, &other), MPS_E_TYPE);
    CHECK_OK(mps_typed_form_get(w->seg, off, &found));
    CHECK(found.itemsize == itemsize && found.maxlen == maxlen);
    return off;
}

static void splice(model *m, uint64_t start, uint64_t stop, const uint8_t *items, uint64_t n)
{
    uint64_t s = m->size;
    memmove(m->bytes + (start + n) * s, m->bytes + stop * s, (m->n - stop) * s);
    memcpy(m->bytes + start * s, items, n * s);
    m->n += n - (stop - start);
}

static void check_all(const world *w, mps_off off, const model *m)
{
    static uint8_t out[sizeof(m->bytes)];
    uint64_t n = MOST + 600, len;
    uint32_t version;
    CHECK_OK(mps_typed_len(w->seg, door, off, &len));
    CHECK_OK(mps_typed_read(w->seg, door, off, size_of(w->seg, off), WHOLE, out, &n, &version));
    CHECK(len == m->n && n == m->n && memcmp(out, m->bytes, n * m->size) == 0);
}

static void change(const world *w, mps_off off, model *m, check_rng *rng)
{
    uint8_t items[500 * 24];
    uint64_t many = m->size * 500, found, n = check_below(rng, check_below(rng, 4) == 0 ? 500 : 5);
    for (uint64_t i = 0; i < many; i++) {
        items[i] = (uint8_t)check_random(rng);
    }
    uint64_t start = check_below(rng, m->n + 1), stop = start + check_below(rng, m->n - start + 1);
    mps_slice slice = {.start = (int64_t)start, .stop = (int64_t)stop, .step = 1};
    switch (check_below(rng, 12)) {
    case 0:
        CHECK_OK(mps_typed_push(w->seg, door, off, size_of(w->seg, off), items, n));
        splice(m, m->n, m->n, items, n);
        break;
    case 1:
        CHECK_OK(mps_typed_assign(w->seg, door, off, size_of(w->seg, off), slice, items, n, &found));
        CHECK(found == stop - start);
        splice(m, start, stop, items, n);
        break;
    case 2:
        CHECK_OK(mps_typed_assign(w->seg, door, off, size_of(w->seg, off), slice, NULL, 0, &found));
        splice(m, start, stop, items, 0);
        break;
    case 3:
        CHECK_OK(mps_typed_insert(w->seg, door, off, size_of(w->seg, off), (int64_t)start, items, n));
        splice(m, start, start, items, n);
        break;
    case 4:
        CHECK_OK(mps_typed_fill(w->seg, door, off, size_of(w->seg, off), slice, items));
        for (uint64_t i = start; i < stop; i++) {
            memcpy(m->bytes + i * m->size, items, m->size);
        }
        break;
    case 5:
        n = check_below(rng, 4) == 0 ? m->n + n : start;
        CHECK_OK(mps_typed_resize(w->seg, door, off, n));
        if (n > m->n) {
            memset(m->bytes + m->n * m->size, 0, (n - m->n) * m->size);
        }
        m->n = n;
        break;
    case 6:
        if (start < m->n) {
            CHECK_OK(mps_typed_pop(w->seg, door, off, size_of(w->seg, off), (int64_t)start, items));
            CHECK(memcmp(items, m->bytes + start * m->size, m->size) == 0);
            splice(m, start, start + 1, items, 0);
        }
        break;
    case 7:
        if (start < m->n) {
            CHECK_OK(mps_typed_set(w->seg, door, off, size_of(w->seg, off), (int64_t)(start - m->n), items));
            memcpy(m->bytes + start * m->size, items, m->size);
            CHECK_OK(mps_typed_get(w->seg, door, off, size_of(w->seg, off), (int64_t)start, items + m->size));
            CHECK(memcmp(items, items + m->size, m->size) == 0);
        }
        break;
    case 8: {
        slice.step = 3;
        uint64_t count = stop > start ? (stop - start + 2) / 3 : 0;
        count = count > 500 ? 500 : count;
        slice.stop = (int64_t)(start + count * 3);
        mps_status st = mps_typed_assign(w->seg, door, off, size_of(w->seg, off), slice, items, count, &found);
        CHECK(st == MPS_OK ? found == count : st == MPS_E_CHANGED);
        for (uint64_t i = 0; st == MPS_OK && i < count; i++) {
            memcpy(m->bytes + (start + 3 * i) * m->size, items + i * m->size, m->size);
        }
        break;
    }
    case 9: CHECK_OK(mps_typed_reserve(w->seg, door, off, m->n + n)); break;
    case 10: CHECK_OK(mps_typed_trim(w->seg, door, off)); break;
    default: {
        uint64_t room = 0;
        uint32_t version;
        mps_status st = mps_typed_read(w->seg, door, off, size_of(w->seg, off), WHOLE, NULL, &room, &version);
        CHECK(st == (m->n > 0 ? MPS_E_RETRY : MPS_OK) && room == m->n);
        CHECK_STATUS(mps_typed_replace(w->seg, door, off, size_of(w->seg, off), items, n, version + 2), MPS_E_CHANGED);
        CHECK_OK(mps_typed_replace(w->seg, door, off, size_of(w->seg, off), items, n, version));
        splice(m, 0, m->n, items, n);
    }
    }
}

/* Any sequence of operations leaves what the same operations leave in an array; nothing leaks. */
static void test_model(check_rng *rng, uint32_t itemsize)
{
    static model m;
    world w = world_make(8u << 20);
    mps_off off = make(&w, itemsize, MPS_TYPED_NO_LIMIT);
    m.size = itemsize;
    m.n = 0;
    for (int i = 0; i < 3000; i++) {
        change(&w, off, &m, rng);
        if (m.n > MOST) {
            CHECK_OK(mps_typed_resize(w.seg, door, off, 30));
            m.n = 30;
        }
        if (i % 16 == 0) {
            check_all(&w, off, &m);
        }
        if (i % 128 == 0) {
            CHECK_SOUND(w.seg);
        }
    }
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

/* While somebody refers to the data, it grows in place or not at all, and every other change is seen there. */
static void test_views(void)
{
    world w = world_make(8u << 20);
    mps_off off = make(&w, 8, MPS_TYPED_NO_LIMIT), raw, wall, at, again;
    uint64_t items[400], n, serial, nbytes, capacity, found;
    CHECK_OK(mps_typed_data(w.seg, door, off, &raw, &n));
    CHECK(raw == 0 && n == 0);
    for (uint64_t i = 0; i < 400; i++) {
        items[i] = i;
    }
    CHECK_OK(mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 400));
    CHECK_OK(mps_typed_data(w.seg, door, off, &raw, &n));
    CHECK(raw != 0 && n == 400);
    CHECK_OK(mps_raw_data(w.seg, raw, &at, &nbytes));
    uint64_t *view = mps_region_at(&w.seg->region, at);
    CHECK(nbytes >= 3200 && at % 64 == 0 && view[399] == 399);
    CHECK_OK(mps_typed_reserve(w.seg, door, off, 100000)); /* in place: nothing lies behind it */
    CHECK_OK(mps_typed_data(w.seg, door, off, &again, &n));
    CHECK(again == raw);
    mps_ref_drop(w.seg, door, again);
    CHECK_OK(mps_object_new(w.seg, door, MPS_KIND_LOCK, 1000, &wall, &serial));
    CHECK_OK(mps_typed_capacity(w.seg, door, off, &capacity));
    CHECK_OK(mps_typed_resize(w.seg, door, off, capacity));
    CHECK_STATUS(mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 1), MPS_E_EXISTS);
    CHECK_STATUS(mps_typed_reserve(w.seg, door, off, capacity + 1), MPS_E_EXISTS);
    CHECK_STATUS(mps_typed_trim(w.seg, door, off), MPS_OK);
    CHECK_OK(mps_typed_set(w.seg, door, off, size_of(w.seg, off), 5, &items[77]));
    CHECK(view[5] == 77);
    view[6] = 88;
    CHECK_OK(mps_typed_get(w.seg, door, off, size_of(w.seg, off), 6, &found));
    CHECK(found == 88);
    mps_slice front = {.start = 0, .stop = 300, .step = 1};
    CHECK_OK(mps_typed_assign(w.seg, door, off, size_of(w.seg, off), front, items + 1, 300,
                              &found)); /* much, and in place all the same */
    CHECK(view[0] == 1 && view[299] == 300 && view[300] == 300);
    CHECK_OK(mps_typed_assign(w.seg, door, off, size_of(w.seg, off), front, NULL, 0, &found));
    CHECK(view[0] == 300 && view[99] == 399);
    CHECK_STATUS(mps_typed_trim(w.seg, door, off), MPS_OK);
    CHECK_OK(mps_typed_resize(w.seg, door, off, 100));
    CHECK_STATUS(mps_typed_trim(w.seg, door, off), MPS_E_EXISTS);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    CHECK(view[99] == 399); /* outlives the vector */
    mps_ref_drop(w.seg, door, raw);
    mps_ref_drop(w.seg, door, wall);
    world_end(&w);
}

/* A vector with maxlen has its room from the beginning, and never more. */
static void test_limit(void)
{
    world w = world_make(2u << 20);
    mps_off off = make(&w, 8, 10);
    uint64_t items[11] = {0}, n;
    CHECK_OK(mps_typed_capacity(w.seg, door, off, &n));
    CHECK(n == 10);
    CHECK_STATUS(mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 11), MPS_E_INVAL);
    CHECK_OK(mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 10));
    CHECK_STATUS(mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 1), MPS_E_INVAL);
    CHECK_STATUS(mps_typed_insert(w.seg, door, off, size_of(w.seg, off), 0, items, 1), MPS_E_INVAL);
    CHECK_STATUS(mps_typed_resize(w.seg, door, off, 11), MPS_E_INVAL);
    CHECK_OK(mps_typed_pop(w.seg, door, off, size_of(w.seg, off), 0, NULL));
    CHECK_OK(mps_typed_insert(w.seg, door, off, size_of(w.seg, off), 0, items, 1));
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

/* A pen's items are there one by one, and all of them after growth. */
static void test_pen(void)
{
    world w = world_make(8u << 20);
    mps_off off = make(&w, 8, MPS_TYPED_NO_LIMIT), small = make(&w, 3, MPS_TYPED_NO_LIMIT);
    mps_pen pen;
    uint64_t n, item;
    CHECK_OK(mps_typed_open(w.seg, door, off, size_of(w.seg, off), &pen));
    for (uint64_t i = 0; i < 50000; i++) {
        CHECK_OK(mps_pen_push64(&pen, i * 3));
    }
    mps_typed_close(&pen);
    CHECK_OK(mps_typed_len(w.seg, door, off, &n));
    CHECK(n == 50000);
    for (uint64_t i = 0; i < n; i += 77) {
        CHECK_OK(mps_typed_get(w.seg, door, off, size_of(w.seg, off), (int64_t)i, &item));
        CHECK(item == i * 3);
    }
    CHECK_OK(mps_typed_open(w.seg, door, small, size_of(w.seg, small), &pen));
    for (uint64_t i = 0; i < 100; i++) {
        CHECK_OK(mps_pen_push(&pen, "abc"));
    }
    mps_typed_close(&pen);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    mps_ref_drop(w.seg, door, small);
    world_end(&w);
}

/* One who goes by another size than the items have is told so, before anything is copied. */
static void test_sizes(void)
{
    world w = world_make(2u << 20);
    mps_off off = make(&w, 8, MPS_TYPED_NO_LIMIT);
    uint64_t items[2] = {1, 2}, n = 2, found;
    uint32_t version;
    mps_pen pen;
    mps_slice all = WHOLE;
    CHECK_OK(mps_typed_push(w.seg, door, off, 8, items, 2));
    CHECK_STATUS(mps_typed_push(w.seg, door, off, 4, items, 2), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_get(w.seg, door, off, 4, 0, items), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_set(w.seg, door, off, 4, 0, items), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_pop(w.seg, door, off, 4, 0, items), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_read(w.seg, door, off, 4, all, items, &n, &version), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_assign(w.seg, door, off, 4, all, items, 2, &found), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_fill(w.seg, door, off, 4, all, items), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_insert(w.seg, door, off, 4, 0, items, 2), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_replace(w.seg, door, off, 4, items, 2, version), MPS_E_CORRUPT);
    CHECK_STATUS(mps_typed_open(w.seg, door, off, 4, &pen), MPS_E_CORRUPT);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

/* A full segment refuses, changes nothing, and cutting off works. */
static void test_full(void)
{
    static uint64_t items[2000];
    world w = world_make(1u << 20);
    mps_off off = make(&w, 8, MPS_TYPED_NO_LIMIT);
    uint64_t n, found;
    mps_status st;
    while ((st = mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 2000)) == MPS_OK) {
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK_STATUS(mps_typed_reserve(w.seg, door, off, (uint64_t)1 << 40), MPS_E_FULL);
    CHECK_STATUS(mps_typed_reserve(w.seg, door, off, UINT64_MAX), MPS_E_TOOLARGE);
    CHECK_OK(mps_typed_len(w.seg, door, off, &n));
    CHECK(n >= 2000);
    CHECK_OK(mps_typed_assign(w.seg, door, off, size_of(w.seg, off),
                              (mps_slice){.start = 1000, .step = 1, .no_stop = true}, NULL, 0, &found));
    CHECK_OK(mps_typed_trim(w.seg, door, off));
    CHECK_OK(mps_typed_push(w.seg, door, off, size_of(w.seg, off), items, 2000));
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

int main(void)
{
    static const uint32_t sizes[] = {1, 2, 4, 8, 3, 12, 24};
    check_rng rng = check_seed(20240701);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        test_model(&rng, sizes[i]);
    }
    test_views();
    test_limit();
    test_pen();
    test_sizes();
    test_full();
    return 0;
}
