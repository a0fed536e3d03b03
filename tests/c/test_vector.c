/* test_vector.c -- the list's array against a model: an array of numbers. */
#include "content.h"

#define MOST 1500u

static const mps_door door = MPS_DOOR_FREE;

typedef struct model {
    uint64_t values[MOST];
    uint64_t n;
} model;

static void model_splice(model *m, uint64_t start, uint64_t stop, const uint64_t *values, uint64_t n)
{
    memmove(&m->values[start + n], &m->values[stop], (m->n - stop) * sizeof(uint64_t));
    if (n > 0) {
        memcpy(&m->values[start], values, n * sizeof(uint64_t));
    }
    m->n = m->n - (stop - start) + n;
}

static void check_all(const world *w, mps_off list, const model *m)
{
    uint64_t n;
    CHECK_OK(mps_vector_len(w->seg, door, list, &n));
    CHECK(n == m->n);
    mps_snap snap;
    mps_snap_init(&snap);
    CHECK_OK(mps_vector_snapshot(w->seg, door, list, (mps_slice){.step = 1, .no_start = true, .no_stop = true}, &snap));
    CHECK(snap.n_items == m->n);
    for (uint64_t i = 0; i < m->n; i++) {
        static thing t;
        mps_copy copy;
        mps_snap_item(&snap, i, &copy);
        thing_value(w, &t, m->values[i]);
        CHECK(thing_is(&t, &copy));
    }
    mps_snap_drop_refs(w->seg, door, &snap, 0);
    mps_snap_done(&snap);
}

static mps_slice random_slice(check_rng *rng, uint64_t n)
{
    mps_slice s = {.step = 1};
    uint64_t span = n + 6;
    s.start = (int64_t)check_below(rng, 2 * span) - (int64_t)span;
    s.stop = (int64_t)check_below(rng, 2 * span) - (int64_t)span;
    s.no_start = check_below(rng, 6) == 0;
    s.no_stop = check_below(rng, 6) == 0;
    if (check_below(rng, 2) == 0) {
        s.step = (int64_t)check_below(rng, 9) - 4;
        s.step = s.step == 0 ? -7 : s.step;
    }
    if (check_below(rng, 30) == 0) {
        s.step = check_below(rng, 2) == 0 ? INT64_MIN : INT64_MAX;
    }
    if (check_below(rng, 30) == 0) {
        s.start = check_below(rng, 2) == 0 ? INT64_MIN : INT64_MAX;
    }
    return s;
}

/* The indices of a slice, from its definition: those i = start + k * step that lie before stop. */
static uint64_t slice_indices(mps_slice s, uint64_t length, uint64_t *indices)
{
    __int128 n = (__int128)length, start, stop, step = s.step;
    if (step > 0) {
        start = s.no_start ? 0 : s.start < 0 ? s.start + n : s.start;
        stop = s.no_stop ? n : s.stop < 0 ? s.stop + n : s.stop;
        start = start < 0 ? 0 : start;
        stop = stop > n ? n : stop;
    } else {
        start = s.no_start ? n - 1 : s.start < 0 ? s.start + n : s.start;
        stop = s.no_stop ? -1 : s.stop < 0 ? s.stop + n : s.stop;
        start = start > n - 1 ? n - 1 : start;
        stop = stop < -1 ? -1 : stop;
    }
    uint64_t count = 0;
    for (__int128 i = start; step > 0 ? i < stop : i > stop; i += step) {
        if (i >= 0 && i < n) {
            indices[count++] = (uint64_t)i;
        }
    }
    return count;
}

/* Where an empty slice of step 1 lies. */
static uint64_t clipped(mps_slice s, uint64_t length)
{
    __int128 n = (__int128)length, start = s.no_start ? 0 : s.start < 0 ? s.start + n : s.start;
    return (uint64_t)(start < 0 ? 0 : start > n ? n : start);
}

static void assign_slice(const world *w, mps_off list, model *m, check_rng *rng)
{
    static uint64_t indices[MOST];
    mps_slice s = random_slice(rng, m->n);
    uint64_t count = slice_indices(s, m->n, indices), found = 0;
    bool fits = check_below(rng, 3) != 0 && count <= 64;
    row r = row_make(w, rng, fits ? count : check_below(rng, 40));
    mps_status st = mps_vector_assign(w->seg, door, list, s, r.encs, r.n, &found);
    CHECK(found == count);
    if (s.step == 1) {
        CHECK_OK(st);
        uint64_t start = count > 0 ? indices[0] : clipped(s, m->n);
        model_splice(m, start, start + count, r.ids, r.n);
    } else {
        CHECK_STATUS(st, r.n == count ? MPS_OK : MPS_E_INVAL);
        for (uint64_t i = 0; i < count && r.n == count; i++) {
            m->values[indices[i]] = r.ids[i];
        }
    }
    row_done(&r);
}

static void delete_slice(const world *w, mps_off list, model *m, check_rng *rng)
{
    static uint64_t indices[MOST];
    mps_slice s = random_slice(rng, m->n);
    uint64_t count = slice_indices(s, m->n, indices);
    CHECK_OK(mps_vector_delete(w->seg, door, list, s));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t at = s.step > 0 ? indices[count - 1 - i] : indices[i];
        model_splice(m, at, at + 1, NULL, 0);
    }
}

static void read_slice(const world *w, mps_off list, const model *m, check_rng *rng)
{
    static uint64_t indices[MOST];
    mps_slice s = random_slice(rng, m->n);
    uint64_t count = slice_indices(s, m->n, indices);
    mps_snap snap;
    mps_snap_init(&snap);
    CHECK_OK(mps_vector_snapshot(w->seg, door, list, s, &snap));
    CHECK(snap.n_items == count);
    for (uint64_t i = 0; i < count; i++) {
        static thing t;
        mps_copy copy;
        mps_snap_item(&snap, i, &copy);
        thing_value(w, &t, m->values[indices[i]]);
        CHECK(thing_is(&t, &copy));
    }
    mps_snap_drop_refs(w->seg, door, &snap, 0);
    mps_snap_done(&snap);
}

static bool in_range(int64_t index, uint64_t n, uint64_t *at)
{
    *at = (uint64_t)(index < 0 ? index + (int64_t)n : index);
    return *at < n;
}

static void one_value(const world *w, mps_off list, model *m, check_rng *rng, unsigned what)
{
    static thing t, other;
    mps_copy copy;
    mps_copy_init(&copy);
    uint64_t id = check_random(rng) >> 20, at;
    int64_t index = (int64_t)check_below(rng, 2 * m->n + 4) - (int64_t)m->n - 2;
    bool in = in_range(index, m->n, &at);
    thing_value(w, &t, id);
    switch (what) {
    case 0:
        CHECK_STATUS(mps_vector_get(w->seg, door, list, index, &copy), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            check_copy(w, &copy, m->values[at], false);
        }
        break;
    case 1:
        CHECK_STATUS(mps_vector_set(w->seg, door, list, index, &t.enc), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            m->values[at] = id;
        }
        break;
    case 2:
        CHECK_STATUS(mps_vector_pop(w->seg, door, list, index, &copy), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            check_copy(w, &copy, m->values[at], false);
            model_splice(m, at, at + 1, NULL, 0);
        }
        break;
    case 3:
        CHECK_OK(mps_vector_insert(w->seg, door, list, index, &t.enc));
        at = index < 0 ? (index + (int64_t)m->n < 0 ? 0 : at) : mps_min64((uint64_t)index, m->n);
        model_splice(m, at, at, &id, 1);
        break;
    case 4:
        at = check_below(rng, m->n + 2);
        in = at < m->n;
        thing_value(w, &other, in && id % 3 != 0 ? m->values[at] : (id << 4) + 13);
        in = in && id % 3 != 0;
        CHECK_STATUS(mps_vector_remove_at(w->seg, door, list, at, &other.enc), in ? MPS_OK : MPS_E_CHANGED);
        if (in) {
            model_splice(m, at, at + 1, NULL, 0);
        }
        break;
    default: CHECK_OK(mps_vector_append(w->seg, door, list, &t.enc)); m->values[m->n++] = id;
    }
}

static void whole(const world *w, mps_off list, model *m, check_rng *rng, unsigned what)
{
    switch (what) {
    case 0:
        CHECK_OK(mps_vector_reverse(w->seg, door, list));
        for (uint64_t i = 0; i < m->n / 2; i++) {
            uint64_t x = m->values[i];
            m->values[i] = m->values[m->n - 1 - i];
            m->values[m->n - 1 - i] = x;
        }
        break;
    case 1: {
        int64_t n = (int64_t)check_below(rng, 5) - (check_below(rng, 8) == 0);
        if (m->n * (uint64_t)(n > 0 ? n : 0) > 400) {
            break;
        }
        CHECK_OK(mps_vector_repeat(w->seg, door, list, n));
        uint64_t once = m->n;
        for (int64_t k = 1; k < n; k++) {
            memcpy(&m->values[m->n], m->values, once * sizeof(uint64_t));
            m->n += once;
        }
        m->n = n <= 0 ? 0 : m->n;
        break;
    }
    case 2: {
        mps_snap snap;
        mps_snap_init(&snap);
        CHECK_OK(
            mps_vector_snapshot(w->seg, door, list, (mps_slice){.step = 1, .no_start = true, .no_stop = true}, &snap));
        mps_snap_drop_refs(w->seg, door, &snap, 0);
        row r = row_make(w, rng, check_below(rng, 50));
        CHECK_STATUS(mps_vector_replace(w->seg, door, list, r.encs, r.n, snap.seq + 2), MPS_E_CHANGED);
        CHECK_OK(mps_vector_replace(w->seg, door, list, r.encs, r.n, snap.seq));
        model_splice(m, 0, m->n, r.ids, r.n);
        row_done(&r);
        mps_snap_done(&snap);
        break;
    }
    case 3:
        CHECK_OK(mps_vector_clear(w->seg, door, list));
        m->n = 0;
        break;
    default: {
        row r = row_make(w, rng, check_below(rng, 64));
        CHECK_OK(mps_vector_extend(w->seg, door, list, r.encs, r.n));
        model_splice(m, m->n, m->n, r.ids, r.n);
        row_done(&r);
    }
    }
}

/* Any sequence of operations leaves what the same operations leave in the model; nothing leaks. */
static void test_model(uint64_t seed, uint64_t most, uint64_t steps)
{
    check_rng rng = {seed};
    world w = world_make(48u << 20);
    mps_off list = world_object(&w, MPS_KIND_LIST, sizeof(mps_vector));
    static model m;
    m.n = 0;
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t what = check_below(&rng, 40);
        if (m.n > most) {
            CHECK_OK(mps_vector_delete(w.seg, door, list, (mps_slice){.start = 20, .step = 1, .no_stop = true}));
            m.n = 20;
        } else if (what < 3) {
            assign_slice(&w, list, &m, &rng);
        } else if (what < 5) {
            delete_slice(&w, list, &m, &rng);
        } else if (what < 7) {
            read_slice(&w, list, &m, &rng);
        } else if (what == 7) {
            whole(&w, list, &m, &rng, (unsigned)check_below(&rng, 8));
        } else {
            one_value(&w, list, &m, &rng, (unsigned)check_below(&rng, 9));
        }
        if (step % 64 == 0) {
            check_all(&w, list, &m);
            CHECK_SOUND(w.seg);
        }
    }
    check_all(&w, list, &m);
    mps_ref_drop(w.seg, door, list);
    world_end(&w);
}

/* A long list takes memory in proportion, and gives it back. */
static void test_large(void)
{
    enum { N = 300000 };
    world w = world_make(32u << 20);
    mps_off list = world_object(&w, MPS_KIND_LIST, sizeof(mps_vector));
    for (int64_t i = 0; i < N; i++) {
        mps_enc value = {.value = mps_value_int(i)};
        CHECK_OK(mps_vector_append(w.seg, door, list, &value));
    }
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w.seg, &stats));
    CHECK(stats.used / N <= 19);
    CHECK_SOUND(w.seg);
    for (int64_t i = N; i-- > 0;) {
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK_OK(mps_vector_pop(w.seg, door, list, -1, &copy));
        CHECK(copy.value.w1 == (uint64_t)i);
    }
    CHECK_OK(mps_seg_stats(w.seg, &stats));
    CHECK(stats.used < 8000);
    mps_ref_drop(w.seg, door, list);
    world_end(&w);
}

/* However many entries the values of an assignment take in the journal, there is room for them. */
static void test_journal_room(check_rng *rng)
{
    enum { N = 60 };
    static thing things[N];
    static mps_enc encs[N];
    world w = world_make(8u << 20);
    mps_off list = world_object(&w, MPS_KIND_LIST, sizeof(mps_vector));
    for (int round = 0; round < 600; round++) {
        uint64_t n = check_below(rng, N), found;
        for (uint64_t i = 0; i < n; i++) {
            thing_value(&w, &things[i],
                        check_below(rng, 1 << 20) * 16 + (check_below(rng, 3) == 0 ? 5 : 8 + check_below(rng, 2)));
            encs[i] = things[i].enc;
        }
        int64_t start = (int64_t)check_below(rng, 40), out = (int64_t)check_below(rng, 24);
        out = check_below(rng, 2) == 0 ? (int64_t)n : out;
        CHECK_OK(mps_vector_assign(w.seg, door, list, (mps_slice){.start = start, .stop = start + out, .step = 1}, encs,
                                   n, &found));
        if (round % 16 == 0) {
            CHECK_SOUND(w.seg);
            CHECK_OK(mps_vector_delete(w.seg, door, list, (mps_slice){.start = 50, .step = 1, .no_stop = true}));
        }
    }
    mps_ref_drop(w.seg, door, list);
    world_end(&w);
}

/* A full segment refuses, changes nothing, and goes on working. */
static void test_full(void)
{
    world w = world_make(1u << 20);
    mps_off list = world_object(&w, MPS_KIND_LIST, sizeof(mps_vector));
    static uint8_t bytes[6000];
    mps_enc value = {.value = {MPS_TAG_BYTES, 0}, .data = bytes, .nbytes = sizeof(bytes)};
    uint64_t n = 0, len;
    mps_status st;
    while ((st = mps_vector_append(w.seg, door, list, &value)) == MPS_OK) {
        CHECK(value.blob == 0);
        n++;
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK(n > 20);
    CHECK_SOUND(w.seg);
    CHECK_STATUS(mps_vector_repeat(w.seg, door, list, 20000), MPS_E_FULL);
    CHECK_STATUS(mps_vector_repeat(w.seg, door, list, INT64_MAX), MPS_E_TOOLARGE);
    CHECK_OK(mps_vector_len(w.seg, door, list, &len));
    CHECK(len == n);
    CHECK_SOUND(w.seg);
    CHECK_OK(mps_vector_clear(w.seg, door, list));
    CHECK_OK(mps_vector_append(w.seg, door, list, &value));
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, list);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240502);
    test_model(check_random(&rng), 40, 8000);
    test_model(check_random(&rng), MOST - 400, 12000);
    test_journal_room(&rng);
    test_large();
    test_full();
    return 0;
}
