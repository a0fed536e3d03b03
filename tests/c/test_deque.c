/* test_deque.c -- the circular array against a model: an array of numbers. */
#include "content.h"

#include "deque_body.h"

#define MOST 1500u

static const mps_door door = MPS_DOOR_FREE;

typedef struct model {
    uint64_t values[MOST];
    uint64_t n, maxlen;
} model;

static void model_splice(model *m, uint64_t start, uint64_t stop, const uint64_t *values, uint64_t n)
{
    CHECK(m->n - (stop - start) + n < MOST);
    memmove(&m->values[start + n], &m->values[stop], (m->n - stop) * sizeof(uint64_t));
    if (n > 0) {
        memcpy(&m->values[start], values, n * sizeof(uint64_t));
    }
    m->n = m->n - (stop - start) + n;
}

static void model_push(model *m, mps_end end, uint64_t id)
{
    if (m->maxlen == 0) {
        return;
    }
    model_splice(m, end == MPS_FRONT ? 0 : m->n, end == MPS_FRONT ? 0 : m->n, &id, 1);
    if (m->n > m->maxlen) {
        uint64_t gone = end == MPS_FRONT ? m->n - 1 : 0;
        model_splice(m, gone, gone + 1, NULL, 0);
    }
}

static void model_rotate(model *m, int64_t k)
{
    static uint64_t old[MOST];
    memcpy(old, m->values, m->n * sizeof(uint64_t));
    for (uint64_t i = 0; i < m->n; i++) {
        int64_t n = (int64_t)m->n;
        m->values[(uint64_t)((((int64_t)i + k % n) % n + n) % n)] = old[i];
    }
}

static void check_all(const world *w, mps_off deque, const model *m)
{
    uint64_t n;
    CHECK_OK(mps_deque_len(w->seg, door, deque, &n));
    CHECK(n == m->n);
    mps_snap snap;
    mps_snap_init(&snap);
    CHECK_OK(mps_deque_snapshot(w->seg, door, deque, &snap));
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

static void push(const world *w, mps_off deque, model *m, mps_end end, uint64_t id)
{
    static thing t;
    thing_value(w, &t, id);
    CHECK_OK(mps_deque_push(w->seg, door, deque, end, &t.enc));
    model_push(m, end, id);
}

static void pop(const world *w, mps_off deque, model *m, mps_end end, bool copied)
{
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_STATUS(mps_deque_pop(w->seg, door, deque, end, copied ? &copy : NULL), m->n > 0 ? MPS_OK : MPS_E_RANGE);
    if (m->n > 0) {
        uint64_t at = end == MPS_FRONT ? 0 : m->n - 1;
        if (copied) {
            check_copy(w, &copy, m->values[at], false);
        }
        model_splice(m, at, at + 1, NULL, 0);
    }
}

static void one_value(const world *w, mps_off deque, model *m, check_rng *rng, unsigned what)
{
    static thing t, other;
    mps_copy copy;
    mps_copy_init(&copy);
    uint64_t id = check_random(rng) >> 20;
    int64_t index = (int64_t)check_below(rng, m->n + 4) - 2;
    index -= check_below(rng, 2) == 0 ? (int64_t)m->n : 0;
    uint64_t at = (uint64_t)(index < 0 ? index + (int64_t)m->n : index);
    bool in = at < m->n;
    thing_value(w, &t, id);
    switch (what) {
    case 0:
        CHECK_STATUS(mps_deque_get(w->seg, door, deque, index, &copy), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            check_copy(w, &copy, m->values[at], false);
        }
        break;
    case 1:
        CHECK_STATUS(mps_deque_set(w->seg, door, deque, index, &t.enc), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            m->values[at] = id;
        }
        break;
    case 2:
        CHECK_STATUS(mps_deque_delete(w->seg, door, deque, index), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            model_splice(m, at, at + 1, NULL, 0);
        }
        break;
    case 3:
        in = m->n < m->maxlen;
        CHECK_STATUS(mps_deque_insert(w->seg, door, deque, index, &t.enc), in ? MPS_OK : MPS_E_RANGE);
        if (in) {
            at = index < 0 ? (index + (int64_t)m->n < 0 ? 0 : at) : mps_min64((uint64_t)index, m->n);
            model_splice(m, at, at, &id, 1);
        }
        break;
    default:
        at = check_below(rng, m->n + 2);
        in = at < m->n && id % 3 != 0;
        thing_value(w, &other, in ? m->values[at] : (id << 4) + 13);
        CHECK_STATUS(mps_deque_remove_at(w->seg, door, deque, at, &other.enc), in ? MPS_OK : MPS_E_CHANGED);
        if (in) {
            model_splice(m, at, at + 1, NULL, 0);
        }
    }
}

static void extend(const world *w, mps_off deque, model *m, check_rng *rng, mps_end end)
{
    row r = row_make(w, rng, check_below(rng, 64));
    CHECK_OK(mps_deque_extend(w->seg, door, deque, end, r.encs, r.n));
    for (uint64_t i = 0; i < r.n; i++) {
        model_push(m, end, r.ids[i]);
    }
    row_done(&r);
}

static void repeat(const world *w, mps_off deque, model *m, int64_t n)
{
    uint64_t once = m->n;
    if (once * (uint64_t)(n > 0 ? n : 0) > 400) {
        return;
    }
    CHECK_OK(mps_deque_repeat(w->seg, door, deque, n));
    for (int64_t k = 1; k < n; k++) {
        memcpy(&m->values[m->n], m->values, once * sizeof(uint64_t));
        m->n += once;
    }
    m->n = n <= 0 ? 0 : m->n;
    if (m->n > m->maxlen) {
        model_splice(m, 0, m->n - m->maxlen, NULL, 0);
    }
}

static void replace(const world *w, mps_off deque, model *m, check_rng *rng)
{
    mps_snap snap;
    mps_snap_init(&snap);
    CHECK_OK(mps_deque_snapshot(w->seg, door, deque, &snap));
    mps_snap_drop_refs(w->seg, door, &snap, 0);
    row r = row_make(w, rng, check_below(rng, 50));
    CHECK_STATUS(mps_deque_replace(w->seg, door, deque, r.encs, r.n, snap.seq + 2), MPS_E_CHANGED);
    CHECK_OK(mps_deque_replace(w->seg, door, deque, r.encs, r.n, snap.seq));
    m->n = 0;
    for (uint64_t i = 0; i < r.n; i++) {
        model_push(m, MPS_BACK, r.ids[i]);
    }
    row_done(&r);
    mps_snap_done(&snap);
}

static void whole(const world *w, mps_off deque, model *m, check_rng *rng, unsigned what)
{
    switch (what) {
    case 0:
        CHECK_OK(mps_deque_reverse(w->seg, door, deque));
        for (uint64_t i = 0; i < m->n / 2; i++) {
            uint64_t x = m->values[i];
            m->values[i] = m->values[m->n - 1 - i];
            m->values[m->n - 1 - i] = x;
        }
        break;
    case 1: repeat(w, deque, m, (int64_t)check_below(rng, 5) - (check_below(rng, 8) == 0)); break;
    case 2: replace(w, deque, m, rng); break;
    case 3:
        if (check_below(rng, 4) == 0) {
            CHECK_OK(mps_deque_clear(w->seg, door, deque));
            m->n = 0;
        }
        break;
    default: {
        int64_t k = (int64_t)check_below(rng, 2 * m->n + 5) - (int64_t)m->n;
        k = check_below(rng, 40) == 0 ? (check_below(rng, 2) == 0 ? INT64_MIN : INT64_MAX) : k;
        CHECK_OK(mps_deque_rotate(w->seg, door, deque, k));
        model_rotate(m, k);
    }
    }
}

/* Some values in and out at both ends under one guard. */
static void with_pen(const world *w, mps_off deque, model *m, check_rng *rng)
{
    static thing t;
    mps_deque_pen pen;
    CHECK_OK(mps_deque_open(w->seg, door, deque, &pen));
    for (uint64_t left = check_below(rng, 90); left > 0 && m->n < MOST - 2; left--) {
        mps_end end = check_below(rng, 2) == 0 ? MPS_BACK : MPS_FRONT;
        uint64_t id = check_random(rng) >> 20, at = end == MPS_FRONT ? 0 : m->n - 1;
        if (check_below(rng, 9) < 5) {
            thing_value(w, &t, id);
            if (mps_enc_is_plain(&t.enc)) {
                CHECK_OK(mps_deque_pen_push(&pen, end, t.enc.value));
                model_push(m, end, id);
            } else {
                mps_value far = {MPS_TAG_BYTES | MPS_TAG_BLOCK, 64};
                CHECK_STATUS(mps_deque_pen_push(&pen, end, far), MPS_E_INVAL);
            }
            continue;
        }
        mps_value value;
        mps_status st = mps_deque_pen_pop(&pen, end, &value);
        if (m->n == 0) {
            CHECK_STATUS(st, MPS_E_RANGE);
            continue;
        }
        thing_value(w, &t, m->values[at]);
        CHECK_STATUS(st, mps_enc_is_plain(&t.enc) ? MPS_OK : MPS_E_INVAL);
        if (st == MPS_OK) {
            CHECK(value.w0 == t.enc.value.w0 && value.w1 == t.enc.value.w1);
            model_splice(m, at, at + 1, NULL, 0);
        }
    }
    CHECK_OK(mps_deque_close(&pen));
}

/* Any sequence of operations leaves what the same operations leave in the model; nothing leaks. */
static void test_model(uint64_t seed, uint64_t maxlen, uint64_t most, uint64_t steps)
{
    check_rng rng = {seed};
    world w = world_make(48u << 20);
    mps_off deque = world_object(&w, MPS_KIND_DEQUE, sizeof(mps_deque));
    static model m;
    m.n = 0;
    m.maxlen = maxlen;
    uint64_t found;
    CHECK_OK(mps_deque_reset(w.seg, door, deque, maxlen, NULL, 0));
    CHECK_OK(mps_deque_limit(w.seg, deque, &found));
    CHECK(found == maxlen);
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t what = check_below(&rng, 40), way = check_below(&rng, 1000) < 200 ? step / 700 % 2 : step;
        mps_end end = (way & 1) == 0 ? MPS_BACK : MPS_FRONT;
        if (m.n > most) {
            while (m.n > 20) {
                pop(&w, deque, &m, m.n % 3 == 0 ? MPS_FRONT : MPS_BACK, m.n % 2 == 0);
            }
        } else if (what < 12) {
            push(&w, deque, &m, end, check_random(&rng) >> 20);
        } else if (what < 22) {
            pop(&w, deque, &m, check_below(&rng, 2) == 0 ? MPS_FRONT : MPS_BACK, check_below(&rng, 3) > 0);
        } else if (what < 26) {
            extend(&w, deque, &m, &rng, end);
        } else if (what < 31) {
            whole(&w, deque, &m, &rng, (unsigned)check_below(&rng, 8));
        } else if (what < 33) {
            with_pen(&w, deque, &m, &rng);
        } else {
            one_value(&w, deque, &m, &rng, (unsigned)check_below(&rng, 5));
        }
        if (step % 64 == 0) {
            check_all(&w, deque, &m);
            CHECK_SOUND(w.seg);
        }
    }
    check_all(&w, deque, &m);
    mps_ref_drop(w.seg, door, deque);
    world_end(&w);
}

/* A queue that goes round and round its array moves nothing and takes no memory; a long one gives it back. */
static void test_large(void)
{
    enum { N = 300000 };
    world w = world_make(32u << 20);
    mps_off deque = world_object(&w, MPS_KIND_DEQUE, sizeof(mps_deque));
    for (int64_t i = 0; i < N; i++) {
        mps_enc value = {.value = mps_value_int(i)};
        CHECK_OK(mps_deque_push(w.seg, door, deque, MPS_BACK, &value));
    }
    mps_stats before, after;
    CHECK_OK(mps_seg_stats(w.seg, &before));
    CHECK(before.used / N <= 28);
    for (int64_t i = 0; i < N; i++) {
        mps_enc value = {.value = mps_value_int(N + i)};
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK_OK(mps_deque_push(w.seg, door, deque, MPS_BACK, &value));
        CHECK_OK(mps_deque_pop(w.seg, door, deque, MPS_FRONT, &copy));
        CHECK(copy.value.w1 == (uint64_t)i);
    }
    CHECK_OK(mps_seg_stats(w.seg, &after));
    CHECK(after.used <= before.used + before.used / 2);
    CHECK_SOUND(w.seg);
    for (int64_t i = 0; i < N; i++) {
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK_OK(mps_deque_pop(w.seg, door, deque, MPS_FRONT, &copy));
        CHECK(copy.value.w1 == (uint64_t)(N + i));
    }
    CHECK_OK(mps_seg_stats(w.seg, &after));
    CHECK(after.used < 8000);
    mps_ref_drop(w.seg, door, deque);
    world_end(&w);
}

/* A full segment refuses what needs more, changes nothing, and lets everything be taken out and turned round. */
static void test_full(void)
{
    world w = world_make(1u << 20);
    mps_off deque = world_object(&w, MPS_KIND_DEQUE, sizeof(mps_deque));
    static uint8_t bytes[600];
    mps_enc value = {.value = {MPS_TAG_BYTES, 0}, .data = bytes, .nbytes = sizeof(bytes)};
    uint64_t n = 0, len;
    mps_status st;
    while ((st = mps_deque_push(w.seg, door, deque, n % 2 == 0 ? MPS_BACK : MPS_FRONT, &value)) == MPS_OK) {
        n++;
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK(n > 200);
    CHECK_SOUND(w.seg);
    CHECK_STATUS(mps_deque_repeat(w.seg, door, deque, 20000), MPS_E_FULL);
    CHECK_STATUS(mps_deque_repeat(w.seg, door, deque, INT64_MAX), MPS_E_TOOLARGE);
    CHECK_OK(mps_deque_len(w.seg, door, deque, &len));
    CHECK(len == n);
    CHECK_SOUND(w.seg);
    while (n > 0) {
        CHECK_OK(mps_deque_delete(w.seg, door, deque, (int64_t)(n / 2)));
        n--;
    }
    CHECK_OK(mps_deque_push(w.seg, door, deque, MPS_BACK, &value));
    CHECK_OK(mps_deque_clear(w.seg, door, deque));
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, deque);
    world_end(&w);
}

/* What stands in ends, limit or the body is bounded before it is followed. */
static void test_nonsense(void)
{
    world w = world_make(4u << 20);
    mps_off deque = world_object(&w, MPS_KIND_DEQUE, sizeof(mps_deque));
    mps_deque *d = mps_region_at(&w.seg->region, deque);
    mps_enc value = {.value = mps_value_int(1)};
    for (int i = 0; i < 9; i++) {
        CHECK_OK(mps_deque_push(w.seg, door, deque, MPS_BACK, &value));
    }
    uint64_t body = d->body, ends = d->ends;
    mps_array *array = mps_region_at(&w.seg->region, body);
    uint64_t capacity = array->capacity;
    const uint64_t bad_ends[] = {UINT64_MAX, capacity << 32, capacity + 1, 9 | UINT64_C(1) << 63};
    mps_copy copy;
    mps_copy_init(&copy);
    for (size_t i = 0; i < sizeof bad_ends / sizeof bad_ends[0]; i++) {
        d->ends = bad_ends[i];
        CHECK_STATUS(mps_deque_get(w.seg, door, deque, 0, &copy), MPS_E_CORRUPT);
        CHECK_STATUS(mps_deque_pop(w.seg, door, deque, MPS_FRONT, &copy), MPS_E_CORRUPT);
        CHECK_STATUS(mps_deque_push(w.seg, door, deque, MPS_BACK, &value), MPS_E_CORRUPT);
        CHECK_STATUS(mps_deque_rotate(w.seg, door, deque, 1), MPS_E_CORRUPT);
    }
    d->ends = ends;
    const uint64_t bad_bodies[] = {UINT64_MAX, body + 8, 64, w.nbytes - 16};
    for (size_t i = 0; i < sizeof bad_bodies / sizeof bad_bodies[0]; i++) {
        d->body = bad_bodies[i];
        CHECK_STATUS(mps_deque_get(w.seg, door, deque, 0, &copy), MPS_E_CORRUPT);
        CHECK_STATUS(mps_deque_pop(w.seg, door, deque, MPS_BACK, &copy), MPS_E_CORRUPT);
    }
    d->body = body;
    const uint64_t bad_capacities[] = {UINT64_MAX, 0, UINT32_MAX, UINT64_C(1) << 40};
    for (size_t i = 0; i < sizeof bad_capacities / sizeof bad_capacities[0]; i++) {
        array->capacity = bad_capacities[i];
        CHECK_STATUS(mps_deque_get(w.seg, door, deque, 0, &copy), MPS_E_CORRUPT);
        CHECK_STATUS(mps_deque_push(w.seg, door, deque, MPS_FRONT, &value), MPS_E_CORRUPT);
    }
    array->capacity = capacity;
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, deque);
    world_end(&w);
}

/* While another thread holds the user's lock, changes answer that they must wait, and reads go on. */
static void test_busy(void)
{
    world w = world_make(4u << 20);
    mps_off deque = world_object(&w, MPS_KIND_DEQUE, sizeof(mps_deque));
    mps_deque *d = mps_region_at(&w.seg->region, deque);
    mps_enc value = {.value = mps_value_int(1)};
    CHECK_OK(mps_deque_push(w.seg, door, deque, MPS_BACK, &value));
    CHECK_OK(mps_userlock_acquire(w.seg, door, &d->object.user, true, 0));
    CHECK_OK(mps_deque_push(w.seg, door, deque, MPS_BACK, &value));
    d->object.user.thread++; /* as if another had it */
    uint32_t seq = d->object.guard.seq;
    CHECK_STATUS(mps_deque_push(w.seg, door, deque, MPS_BACK, &value), MPS_E_BUSY);
    CHECK_STATUS(mps_deque_pop(w.seg, door, deque, MPS_BACK, NULL), MPS_E_BUSY);
    CHECK_STATUS(mps_deque_rotate(w.seg, door, deque, 1), MPS_E_BUSY);
    CHECK_STATUS(mps_deque_extend(w.seg, door, deque, MPS_FRONT, &value, 1), MPS_E_BUSY);
    CHECK_STATUS(mps_deque_clear(w.seg, door, deque), MPS_E_BUSY);
    CHECK(d->object.guard.seq == seq);
    uint64_t n;
    CHECK_OK(mps_deque_len(w.seg, door, deque, &n));
    CHECK(n == 2);
    d->object.user.thread--;
    CHECK_OK(mps_userlock_release(w.seg, MPS_DOOR_FREE, &d->object.user, true));
    mps_ref_drop(w.seg, door, deque);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240507);
    test_model(check_random(&rng), MPS_NO_LIMIT, 40, 6000);
    test_model(check_random(&rng), MPS_NO_LIMIT, MOST - 600, 8000);
    test_model(check_random(&rng), 0, 40, 300);
    test_model(check_random(&rng), 1, 40, 800);
    test_model(check_random(&rng), 17, 40, 6000);
    test_model(check_random(&rng), 130, 200, 6000);
    test_large();
    test_full();
    test_nonsense();
    test_busy();
    return 0;
}
