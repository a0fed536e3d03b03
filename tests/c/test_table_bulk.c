/* test_table_bulk.c -- sets of keys: adding, taking, keeping and toggling many in one change, against an array of flags. */
#include "content.h"

#define KEYS 400u

static const mps_door door = MPS_DOOR_FREE;

/* Which keys are in it. */
typedef struct model {
    bool in[KEYS];
    int64_t n;
} model;

static mps_off set_make(const world *w)
{
    return world_object(w, MPS_KIND_SET, sizeof(mps_table));
}

static void check_all(const world *w, mps_off set, const model *m)
{
    static thing t;
    uint64_t n;
    CHECK_OK(mps_table_len(w->seg, door, set, &n));
    CHECK((int64_t)n == m->n);
    for (uint64_t i = 0; i < KEYS; i++) {
        thing_key(w, &t, i);
        CHECK_STATUS(mps_table_has(w->seg, door, set, &t.enc), m->in[i] ? MPS_OK : MPS_E_NOTFOUND);
    }
}

/* Some keys, a few of them twice. */
static uint64_t pick(const world *w, check_rng *rng, thing *things, mps_enc *encs, bool *chosen)
{
    uint64_t n = 0, part = check_below(rng, 4) == 0 ? KEYS : check_below(rng, 40);
    memset(chosen, 0, KEYS * sizeof(bool));
    for (uint64_t i = 0; i < part; i++) {
        uint64_t key = check_below(rng, KEYS);
        if (!chosen[key] || (key % 5 == 0 && n < KEYS - 1)) {
            chosen[key] = true;
            thing_key(w, &things[n], key);
            encs[n] = things[n].enc;
            n++;
        }
    }
    return n;
}

static bool outcome(mps_combine how, bool in, bool given)
{
    switch (how) {
    case MPS_COMBINE_ASSIGN: return given;
    case MPS_COMBINE_ADD: return in || given;
    case MPS_COMBINE_TAKE: return in && !given;
    case MPS_COMBINE_KEEP: return in && given;
    default: return in != given;
    }
}

/* Any sequence of changes leaves what the same changes leave in the model, and says by how much the size changed. */
static void test_model(uint64_t seed, uint64_t steps)
{
    check_rng rng = {seed};
    world w = world_make(32u << 20);
    mps_off set = set_make(&w);
    thing *things = malloc(KEYS * sizeof(thing));
    static mps_enc encs[KEYS];
    static bool chosen[KEYS];
    static model m;
    CHECK(things != NULL);
    memset(&m, 0, sizeof m);
    for (uint64_t step = 0; step < steps; step++) {
        uint64_t n = pick(&w, &rng, things, encs, chosen), which = check_below(&rng, 12);
        mps_combine how = which < 5    ? MPS_COMBINE_ADD
                          : which < 8  ? MPS_COMBINE_TOGGLE
                          : which < 10 ? MPS_COMBINE_TAKE
                          : which < 11 ? MPS_COMBINE_KEEP
                                       : MPS_COMBINE_ASSIGN;
        int64_t grown, before = m.n;
        CHECK_OK(mps_table_combine(w.seg, door, set, how, encs, n, &grown));
        m.n = 0;
        for (uint64_t i = 0; i < KEYS; i++) {
            m.in[i] = outcome(how, m.in[i], chosen[i]);
            m.n += m.in[i];
        }
        CHECK(grown == m.n - before);
        if (step % 8 == 0) {
            check_all(&w, set, &m);
            CHECK_SOUND(w.seg);
        }
    }
    check_all(&w, set, &m);
    free(things);
    mps_ref_drop(w.seg, door, set);
    world_end(&w);
}

/* Adding to a full segment does nothing at all; taking out and keeping work. */
static void test_full(void)
{
    enum { N = 3000 };
    world w = world_make(1u << 20);
    mps_off set = set_make(&w);
    static uint8_t bytes[N][400];
    static mps_enc keys[N];
    uint64_t n = 0, len;
    int64_t grown;
    for (uint64_t i = 0; i < N; i++) {
        memcpy(bytes[i], &i, sizeof i);
        keys[i] = (mps_enc){.value = {MPS_TAG_BYTES, 0}, .data = bytes[i], .nbytes = sizeof bytes[i]};
        keys[i].value.w0 |= mps_hash_bytes(bytes[i], sizeof bytes[i], w.seg->seed) >> 32 << 32;
    }
    while (n < N && mps_table_combine(w.seg, door, set, MPS_COMBINE_ADD, &keys[n], 1, &grown) == MPS_OK) {
        n++;
    }
    CHECK(n > 200 && n < N);
    static mps_enc more[N];
    for (uint64_t i = 0; i < N; i++) {
        more[i] = (mps_enc){.value = mps_value_int((int64_t)i)};
    }
    CHECK_STATUS(mps_table_combine(w.seg, door, set, MPS_COMBINE_ADD, more, N, &grown), MPS_E_FULL);
    CHECK_STATUS(mps_table_combine(w.seg, door, set, MPS_COMBINE_TOGGLE, more, N, &grown), MPS_E_FULL);
    CHECK_OK(mps_table_len(w.seg, door, set, &len));
    CHECK(len == n);
    CHECK_SOUND(w.seg);
    for (uint64_t i = 0; i + 10 <= n / 2; i += 10) {
        CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_TAKE, &keys[i], 10, &grown));
        CHECK(grown == -10);
    }
    CHECK_SOUND(w.seg);
    CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_KEEP, keys, n - 5, &grown));
    CHECK(grown == -5);
    CHECK_SOUND(w.seg);
    CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_KEEP, NULL, 0, &grown));
    CHECK_OK(mps_table_len(w.seg, door, set, &len));
    CHECK(len == 0);
    mps_ref_drop(w.seg, door, set);
    world_end(&w);
}

/* A large set shrinks when most of it is taken out at once. */
static void test_large(void)
{
    enum { N = 50000 };
    static mps_enc keys[N];
    world w = world_make(16u << 20);
    mps_off set = set_make(&w);
    int64_t grown;
    for (uint64_t i = 0; i < N; i++) {
        keys[i] = (mps_enc){.value = mps_value_int((int64_t)i)};
    }
    CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_ADD, keys, N, &grown));
    CHECK(grown == N);
    CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_TAKE, keys, N / 100, &grown));
    CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_TAKE, keys, N - 10, &grown));
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w.seg, &stats));
    CHECK(stats.used < 8000);
    CHECK_OK(mps_table_combine(w.seg, door, set, MPS_COMBINE_TOGGLE, keys, N, &grown));
    CHECK(grown == N - 20);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, set);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240508);
    test_model(check_random(&rng), 700);
    test_full();
    test_large();
    return 0;
}
