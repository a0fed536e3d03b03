/* test_table.c -- the hash table against a model: arrays of numbers in order of insertion. */
#include "content.h"

#define KEYS 600u

static const mps_door door = MPS_DOOR_FREE;

/* What the table must hold: value numbers by key number, keys in order. */
typedef struct model {
    uint64_t keys[KEYS], values[KEYS];
    uint64_t n;
} model;

static uint64_t find(const model *m, uint64_t key)
{
    for (uint64_t i = 0; i < m->n; i++) {
        if (m->keys[i] == key) {
            return i;
        }
    }
    return m->n;
}

static void model_set(model *m, uint64_t key, uint64_t value)
{
    uint64_t i = find(m, key);
    m->keys[i] = key;
    m->values[i] = value;
    m->n += i == m->n;
}

static void model_erase(model *m, uint64_t i)
{
    memmove(&m->keys[i], &m->keys[i + 1], (m->n - i - 1) * sizeof(uint64_t));
    memmove(&m->values[i], &m->values[i + 1], (m->n - i - 1) * sizeof(uint64_t));
    m->n--;
}

static void check_all(const world *w, mps_off table, const model *m)
{
    uint64_t n;
    CHECK_OK(mps_table_len(w->seg, door, table, &n));
    CHECK(n == m->n);
    mps_snap snap;
    mps_snap_init(&snap);
    CHECK_OK(mps_table_snapshot(w->seg, door, table, MPS_SNAP_BOTH, &snap));
    CHECK(snap.n_items == 2 * m->n);
    for (uint64_t i = 0; i < m->n; i++) {
        static thing t;
        mps_copy copy;
        mps_snap_item(&snap, 2 * i, &copy);
        thing_key(w, &t, m->keys[i]);
        CHECK(thing_is(&t, &copy));
        mps_snap_item(&snap, 2 * i + 1, &copy);
        thing_value(w, &t, m->values[i]);
        CHECK(thing_is(&t, &copy));
    }
    mps_snap_drop_refs(w->seg, door, &snap, 0);
    mps_snap_done(&snap);
}

static void set_one(const world *w, mps_off table, model *m, uint64_t key, uint64_t value)
{
    static thing k, v;
    thing_key(w, &k, key);
    thing_value(w, &v, value);
    CHECK_OK(mps_table_set(w->seg, door, table, &k.enc, &v.enc));
    model_set(m, key, value);
}

static void get_one(const world *w, mps_off table, const model *m, uint64_t key)
{
    static thing k;
    mps_copy copy;
    mps_copy_init(&copy);
    thing_key(w, &k, key);
    uint64_t i = find(m, key);
    mps_status expected = i < m->n ? MPS_OK : MPS_E_NOTFOUND;
    CHECK_STATUS(mps_table_has(w->seg, door, table, &k.enc), expected);
    CHECK_STATUS(mps_table_get(w->seg, door, table, &k.enc, &copy), expected);
    if (i < m->n) {
        check_copy(w, &copy, m->values[i], false);
    }
}

static void pop_one(const world *w, mps_off table, model *m, uint64_t key, bool copied)
{
    static thing k;
    mps_copy copy;
    mps_copy_init(&copy);
    thing_key(w, &k, key);
    uint64_t i = find(m, key);
    CHECK_STATUS(mps_table_pop(w->seg, door, table, &k.enc, copied ? &copy : NULL), i < m->n ? MPS_OK : MPS_E_NOTFOUND);
    if (i < m->n) {
        if (copied) {
            check_copy(w, &copy, m->values[i], false);
        }
        model_erase(m, i);
    }
}

static void pop_last(const world *w, mps_off table, model *m)
{
    mps_copy key, value;
    mps_copy_init(&key);
    mps_copy_init(&value);
    CHECK_STATUS(mps_table_pop_last(w->seg, door, table, &key, &value), m->n > 0 ? MPS_OK : MPS_E_NOTFOUND);
    if (m->n > 0) {
        check_copy(w, &key, m->keys[m->n - 1], true);
        check_copy(w, &value, m->values[m->n - 1], false);
        m->n--;
    }
}

static void setdefault(const world *w, mps_off table, model *m, uint64_t key, uint64_t value)
{
    static thing k, v;
    mps_copy copy;
    mps_copy_init(&copy);
    thing_key(w, &k, key);
    thing_value(w, &v, value);
    uint64_t i = find(m, key);
    CHECK_STATUS(mps_table_setdefault(w->seg, door, table, &k.enc, &v.enc, &copy), i < m->n ? MPS_E_EXISTS : MPS_OK);
    if (i < m->n) {
        check_copy(w, &copy, m->values[i], false);
    } else {
        model_set(m, key, value);
    }
}

static void exchange(const world *w, mps_off table, model *m, check_rng *rng, uint64_t key, uint64_t value)
{
    static thing k, v, e;
    thing_key(w, &k, key);
    thing_value(w, &v, value);
    uint64_t i = find(m, key);
    bool wrong = check_below(rng, 3) == 0, removes = check_below(rng, 3) == 0;
    if (i < m->n) {
        thing_value(w, &e, wrong ? m->values[i] + 11 : m->values[i]);
    } else {
        thing_value(w, &e, value);
    }
    bool none = i == m->n && !wrong;
    mps_status st = mps_table_exchange(w->seg, door, table, &k.enc, none ? NULL : &e.enc, removes ? NULL : &v.enc);
    CHECK_STATUS(st, wrong ? MPS_E_CHANGED : MPS_OK);
    if (!wrong && removes && i < m->n) {
        model_erase(m, i);
    } else if (!wrong && !removes) {
        model_set(m, key, value);
    }
}

static void update(const world *w, mps_off table, model *m, check_rng *rng, uint64_t keys)
{
    uint64_t n = check_below(rng, 40);
    thing *things = malloc((2 * n + 1) * sizeof(thing));
    mps_enc *encs = malloc((2 * n + 1) * sizeof(mps_enc));
    CHECK(things != NULL && encs != NULL);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t key = check_below(rng, keys), value = check_random(rng) >> 20;
        thing_key(w, &things[i], key);
        thing_value(w, &things[n + i], value);
        encs[i] = things[i].enc;
        encs[n + i] = things[n + i].enc;
        model_set(m, key, value);
    }
    CHECK_OK(mps_table_update(w->seg, door, table, encs, encs + n, n));
    free(encs);
    free(things);
}

/* Any sequence of operations leaves what the same operations leave in the model, in the same order; nothing leaks. */
static void test_model(uint64_t seed, uint64_t keys, uint64_t steps)
{
    check_rng rng = {seed};
    world w = world_make(48u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    static model m;
    m.n = 0;
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t key = check_below(&rng, keys), value = check_random(&rng) >> 20;
        switch (check_below(&rng, 24)) {
        case 0: pop_one(&w, table, &m, key, true); break;
        case 1: pop_one(&w, table, &m, key, false); break;
        case 2: pop_last(&w, table, &m); break;
        case 3: setdefault(&w, table, &m, key, value); break;
        case 4: exchange(&w, table, &m, &rng, key, value); break;
        case 5: update(&w, table, &m, &rng, keys); break;
        case 6:
            for (uint64_t i = check_below(&rng, 1 + m.n / 4); i > 0; i--) {
                pop_one(&w, table, &m, m.keys[check_below(&rng, m.n)], true);
            }
            break;
        case 7:
            if (check_below(&rng, 20) == 0) {
                CHECK_OK(mps_table_clear(w.seg, door, table));
                m.n = 0;
            }
            break;
        case 8:
        case 9:
        case 10: get_one(&w, table, &m, key); break;
        default: set_one(&w, table, &m, key, value); break;
        }
        if (step % 64 == 0) {
            check_all(&w, table, &m);
            CHECK_SOUND(w.seg);
        }
    }
    check_all(&w, table, &m);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* Growing to many entries and shrinking again costs memory in proportion, and all of it comes back. */
static void test_large(void)
{
    enum { N = 200000 };
    world w = world_make(64u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    for (int64_t i = 0; i < N; i++) {
        mps_enc key = {.value = mps_value_int(i * 7919)}, value = {.value = mps_value_int(i)};
        CHECK_OK(mps_table_set(w.seg, door, table, &key, &value));
    }
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w.seg, &stats));
    CHECK(stats.used / N <= 70);
    for (int64_t i = 0; i < N; i++) {
        mps_enc key = {.value = mps_value_int(i * 7919)};
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK_OK(mps_table_get(w.seg, door, table, &key, &copy));
        CHECK(copy.value.w1 == (uint64_t)i);
    }
    CHECK_SOUND(w.seg);
    for (int64_t i = 0; i < N; i++) {
        mps_copy key, value;
        mps_copy_init(&key);
        mps_copy_init(&value);
        CHECK_OK(mps_table_pop_last(w.seg, door, table, &key, &value));
        CHECK(value.value.w1 == (uint64_t)(N - 1 - i));
    }
    CHECK_OK(mps_seg_stats(w.seg, &stats));
    CHECK(stats.used < 20000);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* Keys that come and go at both ends, in any number, never fill the index with deleted slots. */
static void test_turnover(void)
{
    world w = world_make(8u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    for (int64_t i = 0; i < 200000; i++) {
        mps_enc key = {.value = mps_value_int(i)}, old = {.value = mps_value_int(i - 50)};
        mps_enc value = {.value = mps_value_int(i)};
        CHECK_OK(mps_table_set(w.seg, door, table, &key, &value));
        if (i >= 50) {
            CHECK_OK(mps_table_pop(w.seg, door, table, &old, NULL));
        }
        if (i % 3 == 0) {
            mps_enc extra = {.value = mps_value_int(-1 - i)};
            mps_copy k, v;
            mps_copy_init(&k);
            mps_copy_init(&v);
            CHECK_OK(mps_table_set(w.seg, door, table, &extra, &value));
            CHECK_OK(mps_table_pop_last(w.seg, door, table, &k, &v));
            CHECK(k.value.w1 == (uint64_t)(-1 - i));
        }
    }
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w.seg, &stats));
    CHECK(stats.used < 20000);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* A whole number is added to; anything else, or too large a sum, changes nothing. */
static void test_add(void)
{
    world w = world_make(4u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    mps_enc key = {.value = mps_value_int(5)}, text = {.value = mps_value_short(MPS_TAG_ASCII, "abc", 3)};
    mps_enc yes = {.value = {MPS_TAG_BOOL, 1}};
    int64_t sum;
    CHECK_OK(mps_table_add(w.seg, door, table, &key, 3, 10, &sum));
    CHECK(sum == 13);
    CHECK_OK(mps_table_add(w.seg, door, table, &key, -20, 10, &sum));
    CHECK(sum == -7);
    CHECK_OK(mps_table_add(w.seg, door, table, &key, INT64_MIN + 7, 0, &sum));
    CHECK_STATUS(mps_table_add(w.seg, door, table, &key, -1, 0, &sum), MPS_E_OVERFLOW);
    CHECK_OK(mps_table_add(w.seg, door, table, &key, 1, 0, &sum));
    CHECK(sum == INT64_MIN + 1);
    CHECK_OK(mps_table_set(w.seg, door, table, &key, &text));
    CHECK_STATUS(mps_table_add(w.seg, door, table, &key, 1, 0, &sum), MPS_E_TYPE);
    CHECK_OK(mps_table_set(w.seg, door, table, &key, &yes));
    CHECK_OK(mps_table_add(w.seg, door, table, &key, 1, 0, &sum));
    CHECK(sum == 2);
    CHECK_STATUS(mps_table_add(w.seg, door, table, &text, INT64_MAX, 1, &sum), MPS_E_OVERFLOW);
    CHECK_STATUS(mps_table_has(w.seg, door, table, &text), MPS_E_NOTFOUND);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* Numbers are one key whatever they were written as; the first form stays. */
static void test_forms(void)
{
    world w = world_make(4u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    mps_enc whole = {.value = mps_value_int(1)}, fraction = {.value = {MPS_TAG_INT | MPS_FORM_FLOAT << 8, 1}};
    mps_enc truth = {.value = {MPS_TAG_INT | MPS_FORM_TRUE_BOOL << 8, 1}}, value = {.value = mps_value_int(1)};
    CHECK_OK(mps_table_set(w.seg, door, table, &fraction, &value));
    CHECK_OK(mps_table_has(w.seg, door, table, &whole));
    CHECK_OK(mps_table_set(w.seg, door, table, &truth, &value));
    mps_copy k, v;
    mps_copy_init(&k);
    mps_copy_init(&v);
    CHECK_OK(mps_table_pop_last(w.seg, door, table, &k, &v));
    CHECK(k.value.w0 == fraction.value.w0);
    CHECK_STATUS(mps_table_pop_last(w.seg, door, table, &k, &v), MPS_E_NOTFOUND);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* A key that stands for another is found by it, and finds it; the first one stays. */
static void test_aliases(void)
{
    static thing alias, other;
    world w = world_make(4u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    for (uint64_t id = 0; id < 1000; id++) {
        bool near = id % 2 == 0;
        thing_key(&w, &alias, id / 2 * 16 + (near ? 8 : 9));
        mps_enc key = {.value = mps_value_int((int64_t)(id / 2 * 16 + 8))},
                value = {.value = mps_value_int((int64_t)id)};
        if (!near) {
            mps_value head;
            memcpy(&head, alias.data, sizeof head);
            memcpy(other.data, alias.data + sizeof head, head.w1);
            key = (mps_enc){.value = {head.w0, 0}, .data = other.data, .nbytes = head.w1};
        }
        mps_enc *first = id % 3 == 0 ? &key : &alias.enc, *second = id % 3 == 0 ? &alias.enc : &key;
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK_STATUS(mps_table_has(w.seg, door, table, second), MPS_E_NOTFOUND);
        CHECK_OK(mps_table_set(w.seg, door, table, first, &value));
        CHECK_STATUS(mps_table_setdefault(w.seg, door, table, second, &value, NULL), MPS_E_EXISTS);
        CHECK_OK(mps_table_set(w.seg, door, table, second, &value));
        CHECK_OK(mps_table_get(w.seg, door, table, first, &copy));
        CHECK(copy.value.w1 == id);
        if (id % 5 == 0) {
            CHECK_OK(mps_table_pop(w.seg, door, table, second, NULL));
        }
    }
    uint64_t n;
    CHECK_OK(mps_table_len(w.seg, door, table, &n));
    CHECK(n == 800);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* However many entries the values of an update take in the journal, there is room for them. */
static void test_journal_room(check_rng *rng)
{
    enum { N = 40 };
    static thing keys[N], values[N];
    static mps_enc key_encs[N], value_encs[N];
    static model m;
    world w = world_make(8u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    m.n = 0;
    for (int round = 0; round < 300; round++) {
        for (uint64_t i = 0; i < N; i++) {
            uint64_t value = check_below(rng, 1 << 20) * 16 + (check_below(rng, 3) == 0 ? 5 : 8 + check_below(rng, 2)),
                     key = check_below(rng, 2 * N);
            thing_key(&w, &keys[i], key);
            thing_value(&w, &values[i], value);
            key_encs[i] = keys[i].enc;
            value_encs[i] = values[i].enc;
            model_set(&m, key, value);
        }
        CHECK_OK(mps_table_update(w.seg, door, table, key_encs, value_encs, N));
    }
    check_all(&w, table, &m);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* A full segment refuses, changes nothing, and goes on working. */
static void test_full(void)
{
    world w = world_make(1u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    static uint8_t bytes[400];
    uint64_t n = 0;
    mps_status st = MPS_OK;
    while (st == MPS_OK) {
        mps_enc key = {.value = mps_value_int((int64_t)n)};
        mps_enc value = {.value = {MPS_TAG_BYTES, 0}, .data = bytes, .nbytes = sizeof(bytes)};
        st = mps_table_set(w.seg, door, table, &key, &value);
        n += st == MPS_OK;
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK(n > 500);
    uint64_t len;
    CHECK_OK(mps_table_len(w.seg, door, table, &len));
    CHECK(len == n);
    CHECK_SOUND(w.seg);
    static mps_enc keys[2000], values[2000];
    for (uint64_t i = 0; i < 2000; i++) {
        keys[i] = (mps_enc){.value = mps_value_int(-1 - (int64_t)i)};
        values[i] = (mps_enc){.value = {MPS_TAG_BYTES, 0}, .data = bytes, .nbytes = sizeof(bytes)};
    }
    CHECK_STATUS(mps_table_update(w.seg, door, table, keys, values, 2000), MPS_E_FULL);
    CHECK_OK(mps_table_len(w.seg, door, table, &len));
    CHECK(len == n);
    CHECK_SOUND(w.seg);
    for (uint64_t i = 0; i < n; i++) {
        mps_enc key = {.value = mps_value_int((int64_t)i)};
        CHECK_OK(mps_table_pop(w.seg, door, table, &key, NULL));
    }
    CHECK_OK(mps_table_update(w.seg, door, table, keys, values, 100));
    CHECK_OK(mps_table_clear(w.seg, door, table));
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

/* While another thread holds the user's lock, changes answer that they must wait, and reads go on. */
static void test_busy(void)
{
    world w = world_make(4u << 20);
    mps_off table = world_object(&w, MPS_KIND_DICT, sizeof(mps_table));
    mps_table *t = mps_region_at(&w.seg->region, table);
    static thing k, big;
    thing_key(&w, &k, 2);
    thing_value(&w, &big, 7);
    CHECK_OK(mps_table_set(w.seg, door, table, &k.enc, &big.enc));
    CHECK_OK(mps_userlock_acquire(w.seg, door, &t->object.user, true, 0));
    CHECK_OK(mps_table_set(w.seg, door, table, &k.enc, &big.enc));
    t->object.user.thread++; /* as if another had it */
    uint32_t seq = t->object.guard.seq;
    int64_t sum;
    CHECK_STATUS(mps_table_set(w.seg, door, table, &k.enc, &big.enc), MPS_E_BUSY);
    CHECK_STATUS(mps_table_add(w.seg, door, table, &k.enc, 1, 1, &sum), MPS_E_BUSY);
    CHECK_STATUS(mps_table_pop(w.seg, door, table, &k.enc, NULL), MPS_E_BUSY);
    CHECK_STATUS(mps_table_clear(w.seg, door, table), MPS_E_BUSY);
    CHECK(t->object.guard.seq == seq);
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_table_get(w.seg, door, table, &k.enc, &copy));
    check_copy(&w, &copy, 7, false);
    t->object.user.thread--;
    CHECK_OK(mps_userlock_release(w.seg, MPS_DOOR_FREE, &t->object.user, true));
    mps_ref_drop(w.seg, door, table);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240501);
    test_forms();
    test_aliases();
    test_add();
    test_busy();
    test_model(check_random(&rng), 24, 6000);
    test_model(check_random(&rng), KEYS, 12000);
    test_journal_room(&rng);
    test_large();
    test_turnover();
    test_full();
    return 0;
}
