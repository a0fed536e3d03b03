/* test_text.c -- text that changes in place, against an array of characters. */
#include "content.h"

#include "text.h"

#define MOST 4000u
#define WHOLE ((mps_slice){.step = 1, .no_start = true, .no_stop = true})

static const mps_door door = MPS_DOOR_FREE;

typedef struct model {
    uint64_t n;
    uint32_t chars[MOST + 2000];
} model;

static void splice(model *m, uint64_t start, uint64_t stop, const uint32_t *chars, uint64_t n)
{
    memmove(m->chars + start + n, m->chars + stop, (m->n - stop) * 4);
    memcpy(m->chars + start, chars, n * 4);
    m->n += n - (stop - start);
}

static uint32_t char_at(const mps_chars *c, uint64_t i)
{
    const uint8_t *p = (const uint8_t *)c->data + i * c->width;
    uint32_t found = 0;
    memcpy(&found, p, c->width);
    return found;
}

static void check_all(const world *w, mps_off off, const model *m, bool bytes)
{
    mps_chars out;
    uint64_t n;
    CHECK_OK(mps_text_len(w->seg, door, off, &n));
    CHECK_OK(mps_text_read(w->seg, door, off, WHOLE, &out));
    CHECK(n == m->n && out.n == n && out.bytes == bytes && mps_text_is_bytes(w->seg, off) == bytes);
    for (uint64_t i = 0; i < n; i++) {
        CHECK(char_at(&out, i) == m->chars[i]);
    }
    mps_chars_done(&out);
}

/* Random characters, as narrow as can be: in `wide` for the model, in `packed` for the core. */
static mps_chars chars_make(check_rng *rng, uint64_t n, uint32_t width, uint32_t *wide, uint8_t *packed)
{
    for (uint64_t i = 0; i < n; i++) {
        wide[i] = (uint32_t)check_random(rng) >> (width == 1 ? 24 : width == 2 ? 16 : 8);
        memcpy(packed + i * width, &wide[i], width);
    }
    return (mps_chars){.data = packed, .n = n, .width = width};
}

static void change(const world *w, mps_off off, model *m, check_rng *rng, bool bytes)
{
    static uint32_t wide[1500];
    static uint8_t packed[6000];
    uint64_t kind = check_below(rng, 40);
    uint32_t width = bytes || kind > 4 ? 1 : kind > 1 ? 2 : 4;
    uint64_t n = check_below(rng, check_below(rng, 5) == 0 ? 1500 : 20);
    mps_chars c = chars_make(rng, n, width, wide, packed), out;
    uint64_t start = check_below(rng, m->n + 1), stop = start + check_below(rng, m->n - start + 1), room;
    mps_slice slice = {.start = (int64_t)start, .stop = (int64_t)stop, .step = 1};
    switch (check_below(rng, 9)) {
    case 0:
    case 1:
        CHECK_OK(mps_text_append(w->seg, door, off, &c));
        splice(m, m->n, m->n, wide, n);
        break;
    case 2:
        CHECK_OK(mps_text_assign(w->seg, door, off, slice, &c));
        splice(m, start, stop, wide, n);
        break;
    case 3:
        c.n = 0;
        CHECK_OK(mps_text_assign(w->seg, door, off, slice, &c));
        splice(m, start, stop, wide, 0);
        break;
    case 4:
        if (start < m->n && n > 0) {
            c.n = 1;
            CHECK_OK(mps_text_set(w->seg, door, off, (int64_t)start - (int64_t)m->n, &c));
            m->chars[start] = wide[0];
        }
        CHECK_STATUS(mps_text_set(w->seg, door, off, (int64_t)m->n, &c), MPS_E_RANGE);
        break;
    case 5: CHECK_OK(mps_text_reserve(w->seg, door, off, m->n + n)); break;
    case 6: CHECK_OK(mps_text_trim(w->seg, door, off)); break;
    case 7:
        CHECK_OK(mps_text_read(w->seg, door, off, slice, &out));
        CHECK(out.n == stop - start && (out.n == 0 || char_at(&out, out.n - 1) == m->chars[stop - 1]));
        CHECK_STATUS(mps_text_replace(w->seg, door, off, &c, out.version + 2), MPS_E_CHANGED);
        if (check_below(rng, 3) == 0) {
            CHECK_OK(mps_text_replace(w->seg, door, off, &c, out.version));
            splice(m, 0, m->n, wide, n);
        }
        mps_chars_done(&out);
        break;
    default: CHECK_OK(mps_text_capacity(w->seg, door, off, &room)); CHECK(room >= m->n);
    }
}

/* Any sequence of operations leaves what the same operations leave in an array; nothing leaks. */
static void test_model(check_rng *rng, bool bytes)
{
    static model m;
    world w = world_make(4u << 20);
    mps_off off = world_object(&w, MPS_KIND_STRING, sizeof(mps_text));
    mps_chars first = {.data = "", .width = 1, .bytes = bytes};
    CHECK_OK(mps_text_reset(w.seg, door, off, &first));
    m.n = 0;
    for (int i = 0; i < 6000; i++) {
        change(&w, off, &m, rng, bytes);
        if (m.n > MOST) {
            mps_chars none = {.data = "", .width = 1};
            CHECK_OK(mps_text_assign(w.seg, door, off, (mps_slice){.start = 25, .step = 1, .no_stop = true}, &none));
            m.n = 25;
        }
        if (i % 8 == 0) {
            check_all(&w, off, &m, bytes);
        }
        if (i % 256 == 0) {
            CHECK_SOUND(w.seg);
        }
    }
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

/* A full segment refuses, changes nothing, and cutting off works. */
static void test_full(void)
{
    static uint8_t bytes[10000];
    world w = world_make(1u << 20);
    mps_off off = world_object(&w, MPS_KIND_STRING, sizeof(mps_text));
    mps_chars c = {.data = bytes, .n = sizeof(bytes), .width = 1, .bytes = true}, none = {.data = "", .width = 1};
    mps_status st;
    CHECK_OK(mps_text_reset(w.seg, door, off, &c));
    while ((st = mps_text_append(w.seg, door, off, &c)) == MPS_OK) {
    }
    CHECK_STATUS(st, MPS_E_FULL);
    CHECK_STATUS(mps_text_reserve(w.seg, door, off, UINT64_MAX), MPS_E_TOOLARGE);
    CHECK_OK(mps_text_assign(w.seg, door, off, (mps_slice){.start = 500, .step = 1, .no_stop = true}, &none));
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, off);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240702);
    test_model(&rng, false);
    test_model(&rng, true);
    test_full();
    return 0;
}
