/* test_value.c -- stored values: in, out, compared, cloned, given up. */
#include "content.h"

static const mps_door door = MPS_DOOR_FREE;

/* Stored bytes mean the same for ever: format version 1. */
static void test_layout(void)
{
    mps_value v = mps_value_short(MPS_TAG_ASCII, "hello, segment", 14);
    static const uint8_t golden[16] = {5, 14, 'h', 'e', 'l', 'l', 'o', ',', ' ', 's', 'e', 'g', 'm', 'e', 'n', 't'};
    CHECK(memcmp(&v, golden, sizeof(golden)) == 0);
    v = mps_value_short(MPS_TAG_BYTES, "", 0);
    CHECK(v.w0 == MPS_TAG_BYTES && v.w1 == 0);
    v = mps_value_int(-2);
    CHECK(v.w0 == 3 && v.w1 == UINT64_MAX - 1);
    CHECK(sizeof(mps_block) == 8 && offsetof(mps_block, aux) == 4);
    CHECK(sizeof(mps_blob) == 96 && offsetof(mps_blob, aux) == 88);
    CHECK(mps_value_hash(mps_value_int(1), 7) == mps_value_hash((mps_value){MPS_TAG_INT | MPS_FORM_FLOAT << 8, 1}, 7));
    CHECK(mps_value_hash(mps_value_int(1), 7) != mps_value_hash(mps_value_int(2), 7));
}

static mps_value store(const world *w, mps_enc *enc)
{
    mps_tx tx;
    mps_value v;
    CHECK_OK(mps_tx_begin(w->seg, &tx, door));
    CHECK_OK(mps_enc_prepare(&tx, enc));
    CHECK_OK(mps_refs_enter(&tx));
    CHECK_OK(mps_enc_store(&tx, enc, &v));
    CHECK_OK(mps_tx_commit(&tx));
    mps_enc_forget(&tx, enc);
    mps_tx_end(&tx);
    return v;
}

static void release(const world *w, mps_value v)
{
    mps_tx tx;
    check_begin(w->seg, &tx);
    CHECK_OK(mps_value_release(&tx, v));
    check_commit(&tx);
}

static mps_value clone(const world *w, mps_value v)
{
    mps_tx tx;
    mps_value out;
    check_begin(w->seg, &tx);
    CHECK_OK(mps_value_clone(&tx, v, &out));
    check_commit(&tx);
    return out;
}

static void expect(const world *w, mps_value v, uint64_t id)
{
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = mps_copy_racy(w->seg, v, &copy);
    if (st == MPS_OK) {
        check_copy(w, &copy, id, false);
        mps_copy_init(&copy);
    } else {
        CHECK_STATUS(st, MPS_E_RETRY);
        CHECK((v.w0 & MPS_TAG_BLOB) != 0);
    }
    mps_tx tx;
    check_begin(w->seg, &tx);
    CHECK_OK(mps_copy_end(&tx, mps_copy_locked(&tx, v, &copy), &copy, NULL));
    check_copy(w, &copy, id, false);
}

static uint64_t used(const world *w)
{
    mps_stats stats;
    CHECK_OK(mps_seg_stats(w->seg, &stats));
    return stats.used;
}

/* A value comes out as it went in; its clone too, and lives on when the first one is given up; then all memory is back. */
static void test_round(check_rng *rng)
{
    static thing t, other;
    world w = world_make(8u << 20);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t id = check_random(rng) >> 20;
        thing_value(&w, &t, id);
        thing_value(&w, &other, id + 1 + check_below(rng, 200));
        mps_value v = store(&w, &t.enc);
        expect(&w, v, id);
        CHECK(mps_value_same(w.seg, v, &t.enc));
        CHECK(!mps_value_same(w.seg, v, &other.enc) || t.enc.value.w0 <= MPS_TAG_BOOL || t.enc.value.w0 == MPS_TAG_REF);
        mps_value copy = clone(&w, v);
        CHECK(mps_value_same(w.seg, copy, &t.enc));
        release(&w, v);
        expect(&w, copy, id);
        release(&w, copy);
    }
    world_end(&w);
}

/* Equal keys are equal whatever they are, and no others. */
static void test_keys(check_rng *rng)
{
    static thing t, other;
    world w = world_make(8u << 20);
    for (uint64_t i = 0; i < 2000; i++) {
        uint64_t id = check_random(rng) >> 20;
        thing_key(&w, &t, id);
        thing_key(&w, &other, id + 1 + check_below(rng, 200));
        mps_value v = store(&w, &t.enc);
        bool alias = mps_value_tag(v) == MPS_TAG_ALIAS ||
                     mps_value_tag(other.enc.value) == MPS_TAG_ALIAS; /* the table's affair */
        CHECK(alias || mps_value_equals(w.seg, v, &t.enc));
        CHECK(alias || !mps_value_equals(w.seg, v, &other.enc));
        if (t.enc.data != NULL && t.enc.nbytes < THING_BYTES && mps_value_tag(v) != MPS_TAG_ALIAS) {
            t.data[t.enc.nbytes / 3] ^= 1;
            CHECK(!mps_value_equals(w.seg, v, &t.enc));
            t.data[t.enc.nbytes / 3] ^= 1;
            t.data[t.enc.nbytes - 1] ^= 1;
            CHECK(mps_value_equals(w.seg, v, &t.enc) == (mps_value_tag(v) == MPS_TAG_KEY));
            t.enc.nbytes--;
            CHECK(mps_value_equals(w.seg, v, &t.enc) == (mps_value_tag(v) == MPS_TAG_KEY));
        }
        release(&w, v);
    }
    world_end(&w);
}

/* What could not be done leaves nothing behind: neither the store, nor a blob that nobody took. */
static void test_abort(check_rng *rng)
{
    static thing t;
    world w = world_make(8u << 20);
    for (uint64_t i = 0; i < 1000; i++) {
        mps_tx tx;
        mps_value v;
        bool prepared = check_below(rng, 2) == 0;
        thing_value(&w, &t, check_random(rng) >> 20);
        CHECK_OK(mps_tx_begin(w.seg, &tx, door));
        if (prepared) {
            CHECK_OK(mps_enc_prepare(&tx, &t.enc));
        }
        CHECK_OK(mps_refs_enter(&tx));
        CHECK_OK(mps_enc_store(&tx, &t.enc, &v));
        CHECK_OK(mps_value_release(&tx, v));
        CHECK_OK(mps_tx_abort(&tx));
        mps_enc_forget(&tx, &t.enc);
        mps_tx_end(&tx);
    }
    world_end(&w);
}

/* Many references inside of one value: counted, adopted by who reads, dropped a few at a time. */
static void test_many_refs(void)
{
    enum { N = 3000 };
    static mps_off refs[N];
    world w = world_make(8u << 20);
    for (uint32_t i = 0; i < N; i++) {
        refs[i] = world_object(&w, MPS_KIND_RLOCK, sizeof(mps_object));
    }
    uint64_t before = used(&w);
    mps_enc enc = {.value = {MPS_TAG_PICKLE, 0}, .data = "a pickle", .nbytes = 8, .refs = refs, .n_refs = N};
    mps_value prepared = store(&w, &enc);
    mps_tx tx;
    mps_value within;
    check_begin(w.seg, &tx);
    CHECK_OK(mps_enc_store(&tx, &enc, &within));
    check_commit(&tx);
    for (uint32_t i = 0; i < N; i++) {
        mps_ref_drop(w.seg, door, refs[i]); /* now the values alone refer to them */
    }
    mps_copy copy;
    mps_copy_init(&copy);
    check_begin(w.seg, &tx);
    CHECK_OK(mps_copy_end(&tx, mps_copy_locked(&tx, within, &copy), &copy, NULL));
    CHECK(copy.n_refs == N && copy.refs[7] == refs[7] && memcmp(copy.data, "a pickle", 8) == 0);
    release(&w, prepared);
    release(&w, within);
    CHECK_SOUND(w.seg);
    CHECK(mps_ref_again(w.seg, refs[N - 1]));
    mps_ref_drop(w.seg, door, refs[N - 1]);
    mps_copy_drop_refs(w.seg, door, &copy);
    mps_copy_done(&copy);
    CHECK(!mps_ref_again(w.seg, refs[N - 1]));
    CHECK(used(&w) < before);
    world_end(&w);
}

/* Anything may stand where a value is expected: it is refused, or copied within bounds. */
static void test_nonsense(check_rng *rng)
{
    static thing t;
    world w = world_make(2u << 20);
    thing_value(&w, &t, 5);
    mps_value real = store(&w, &t.enc);
    for (uint64_t i = 0; i < 200000; i++) {
        mps_value v = {check_random(rng), check_random(rng) >> check_below(rng, 64)};
        if (check_below(rng, 3) == 0) {
            v.w1 = w.seg->arena + check_below(rng, w.nbytes - w.seg->arena) / 16 * 16;
        }
        mps_copy copy;
        mps_copy_init(&copy);
        mps_status st = mps_copy_racy(w.seg, v, &copy);
        CHECK(st == MPS_OK || st == MPS_E_RETRY);
        mps_copy_drop_refs(w.seg, door, &copy);
        mps_copy_done(&copy);
        (void)mps_value_same(w.seg, v, &t.enc);
        (void)mps_value_equals(w.seg, v, &t.enc);
    }
    release(&w, real);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240504);
    test_layout();
    test_round(&rng);
    test_keys(&rng);
    test_abort(&rng);
    test_many_refs();
    test_nonsense(&rng);
    return 0;
}
