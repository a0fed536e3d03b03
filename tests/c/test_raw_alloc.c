/* test_raw_alloc.c -- allocations that belong to the segment, and numbers that stand for objects. */
#include "content.h"

#include "raw.h"

static const mps_door door = MPS_DOOR_FREE;

#define MODEL 40

typedef struct piece {
    mps_off off;
    uint64_t serial, nbytes, align;
    uint8_t mark;
} piece;

static uint8_t *data_of(const world *w, const piece *p)
{
    mps_off at;
    uint64_t nbytes;
    CHECK_OK(mps_raw_data(w->seg, p->off, &at, &nbytes));
    CHECK(nbytes == p->nbytes && at % p->align == 0);
    return mps_region_at(&w->seg->region, at);
}

static void same(const world *w, const piece *p, uint64_t from, uint64_t to, uint8_t what)
{
    const uint8_t *data = data_of(w, p);
    for (uint64_t i = from; i < to; i++) {
        CHECK(data[i] == what);
    }
}

static uint64_t some_size(check_rng *rng)
{
    return check_below(rng, 4) == 0 ? check_below(rng, 40000) : check_below(rng, 300);
}

static void fresh(const world *w, check_rng *rng, piece *p)
{
    p->nbytes = some_size(rng);
    p->align = (uint64_t)16 << check_below(rng, 9);
    p->mark = (uint8_t)(1 + check_below(rng, 255));
    CHECK_OK(mps_raw_allocate(w->seg, door, &p->nbytes, 1, p->align, &p->off, &p->serial));
    same(w, p, 0, p->nbytes, 0);
    memset(data_of(w, p), p->mark, p->nbytes);
}

static void other_size(const world *w, check_rng *rng, piece *p)
{
    uint64_t nbytes = some_size(rng), before = p->nbytes;
    piece moved = *p;
    mps_status st = check_below(rng, 2) == 0 ? mps_raw_resize(w->seg, door, p->off, p->serial, nbytes) : MPS_E_NOTFOUND;
    if (st == MPS_E_NOTFOUND) {
        CHECK_OK(mps_raw_move(w->seg, door, p->off, p->serial, nbytes, &moved.off, &moved.serial));
        CHECK_STATUS(mps_raw_deallocate(w->seg, door, &p->off, &p->serial, 1), MPS_E_STALE);
    } else {
        CHECK_OK(st);
    }
    moved.nbytes = nbytes;
    *p = moved;
    same(w, p, 0, mps_min64(before, nbytes), p->mark);
    same(w, p, mps_min64(before, nbytes), nbytes, 0);
    memset(data_of(w, p), p->mark, nbytes);
}

/* Allocations keep their bytes, whatever becomes of others; new bytes are zero; nothing is lost. */
static void test_model(check_rng *rng)
{
    world w = world_make(16u << 20);
    piece model[MODEL] = {0};
    for (int step = 0; step < 6000; step++) {
        piece *p = &model[check_below(rng, MODEL)];
        if (p->off == 0) {
            fresh(&w, rng, p);
        } else if (check_below(rng, 2) == 0) {
            same(&w, p, 0, p->nbytes, p->mark);
            CHECK_OK(mps_raw_deallocate(w.seg, door, &p->off, &p->serial, 1));
            CHECK_STATUS(mps_raw_deallocate(w.seg, door, &p->off, &p->serial, 1), MPS_E_STALE);
            p->off = 0;
        } else {
            other_size(&w, rng, p);
        }
        if (step % 500 == 0) {
            CHECK_SOUND(w.seg);
        }
    }
    for (int i = 0; i < MODEL; i++) {
        if (model[i].off != 0) {
            CHECK_OK(mps_raw_deallocate(w.seg, door, &model[i].off, &model[i].serial, 1));
        }
    }
    world_end(&w);
}

/* Many at once: all or none, allocated and deallocated. */
static void test_many(void)
{
    enum { N = 700 };
    static uint64_t sizes[N], serials[N];
    static mps_off offs[N];
    world w = world_make(8u << 20);
    for (uint64_t i = 0; i < N; i++) {
        sizes[i] = i * 7;
    }
    CHECK_OK(mps_raw_allocate(w.seg, door, sizes, N, 16, offs, serials));
    CHECK_SOUND(w.seg);
    uint64_t right = serials[N - 1];
    serials[N - 1] = right + 1;
    CHECK_STATUS(mps_raw_deallocate(w.seg, door, offs, serials, N), MPS_E_STALE);
    serials[N - 1] = right;
    mps_off last = offs[N - 1];
    offs[N - 1] = offs[0]; /* one of them twice */
    serials[N - 1] = serials[0];
    CHECK_STATUS(mps_raw_deallocate(w.seg, door, offs, serials, N), MPS_E_STALE);
    offs[N - 1] = last;
    serials[N - 1] = right;
    CHECK_OK(mps_raw_deallocate(w.seg, door, offs, serials, N));
    sizes[N - 1] = 64u << 20;
    CHECK_STATUS(mps_raw_allocate(w.seg, door, sizes, N, 16, offs, serials), MPS_E_FULL);
    sizes[N - 1] = UINT64_MAX;
    CHECK_STATUS(mps_raw_allocate(w.seg, door, sizes, N, 16, offs, serials), MPS_E_TOOLARGE);
    for (uint64_t align = 0; align < 20000; align += align < 100 ? 1 : 997) {
        bool good = align == 16 || align == 32 || align == 64;
        sizes[0] = 1;
        mps_status st = mps_raw_allocate(w.seg, door, sizes, 1, align, offs, serials);
        CHECK_STATUS(st, good ? MPS_OK : MPS_E_INVAL);
        if (st == MPS_OK) {
            CHECK_OK(mps_raw_deallocate(w.seg, door, offs, serials, 1));
        }
    }
    world_end(&w);
}

/* A number leads to its object as long as that is there, and to no other. */
static void test_numbers(check_rng *rng)
{
    world w = world_make(8u << 20);
    mps_off off, found;
    uint64_t serial, found_serial, size = 100;
    CHECK_OK(mps_raw_allocate(w.seg, door, &size, 1, 16, &off, &serial));
    uint64_t number = mps_number_of(w.seg, off, serial);
    CHECK(number > 0 && number < (uint64_t)1 << 63);
    CHECK_OK(mps_number_find(w.seg, number, &found, &found_serial));
    CHECK(found == off && found_serial == serial);
    CHECK_OK(mps_ref_attach(w.seg, door, off, serial, 0));
    CHECK_OK(mps_raw_deallocate(w.seg, door, &off, &serial, 1));
    CHECK_STATUS(mps_number_find(w.seg, number, &found, &found_serial), MPS_E_STALE); /* though we still see it */
    mps_ref_drop(w.seg, door, off);
    CHECK_STATUS(mps_number_find(w.seg, number, &found, &found_serial), MPS_E_STALE);
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(mps_raw_allocate(w.seg, door, &size, 1, 16, &off, &serial));
        CHECK_STATUS(mps_number_find(w.seg, number, &found, &found_serial), MPS_E_STALE);
        CHECK_OK(mps_raw_deallocate(w.seg, door, &off, &serial, 1));
    }
    for (int i = 0; i < 20000; i++) {
        uint64_t any = check_random(rng) >> check_below(rng, 40);
        mps_status st = mps_number_find(w.seg, any, &found, &found_serial);
        CHECK(st == MPS_E_STALE || found_serial < 5000);
    }
    world other = world_make(8u << 20);
    number = mps_number_of(w.seg, w.objects[0], 1);
    CHECK_OK(mps_number_find(w.seg, number, &found, &found_serial));
    CHECK_STATUS(mps_number_find(other.seg, number, &found, &found_serial), MPS_E_STALE); /* its seed is another */
    world_end(&other);
    world_end(&w);
}

/* Damaged heads are refused. */
static void test_hostile(check_rng *rng)
{
    world w = world_make(4u << 20);
    mps_off off, moved;
    uint64_t serial, moved_serial, size = 100;
    char why[200];
    CHECK_OK(mps_raw_allocate(w.seg, door, &size, 1, 16, &off, &serial));
    mps_raw *raw = mps_region_at(&w.seg->region, off);
    mps_raw good = *raw;
    for (int i = 0; i < 3000; i++) {
        uint64_t bad = check_random(rng) >> check_below(rng, 64);
        if (i % 2 == 0) {
            raw->nbytes = bad + 200;
        } else {
            raw->layout = bad <= 12 ? 77 : bad;
        }
        (void)mps_raw_resize(w.seg, door, off, serial, 1000);
        mps_status st = mps_raw_move(w.seg, door, off, serial, 10, &moved, &moved_serial);
        w.seg->control->state = MPS_STATE_READY;
        if (st == MPS_OK) { /* nbytes was damaged, but inside the segment: what was read are other bytes of it */
            CHECK_OK(mps_raw_deallocate(w.seg, door, &moved, &moved_serial, 1));
            CHECK_OK(mps_raw_allocate(w.seg, door, &size, 1, 16, &off, &serial));
            raw = mps_region_at(&w.seg->region, off);
            good = *raw;
            continue;
        }
        CHECK_STATUS(mps_seg_check(w.seg, why, sizeof(why)), MPS_E_CORRUPT);
        w.seg->control->state = MPS_STATE_READY;
        *raw = good;
    }
    CHECK_OK(mps_raw_deallocate(w.seg, door, &off, &serial, 1));
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(43);
    test_model(&rng);
    test_many();
    test_numbers(&rng);
    test_hostile(&rng);
    return 0;
}
