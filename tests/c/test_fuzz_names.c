/* test_fuzz_names.c -- random bytes written into a segment with names and allocations: statuses or right answers, no fault, no hang.
 *
 * As test_fuzz.c, with the damage where names and allocations are: the header's words, the table and its body, raw objects.
 * The environment says how many, and from which one on: trials.h.
 */
#include "content.h"

#include "names.h"
#include "raw.h"
#include "trials.h"

#define BUFFER ((uint64_t)640 << 10)
#define TRIALS 300u
#define STEPS 40u
#define NAMES 24u
#define PIECES 8u

static const mps_door door = MPS_DOOR_FREE;

static struct {
    void *buffer;
    uint8_t *pristine;
    mps_off names, pieces[PIECES];
    uint64_t serials[PIECES];
    check_rng rng;
} t;

static uint64_t below(uint64_t n)
{
    return check_below(&t.rng, n);
}

static void key_of(const mps_seg *seg, uint64_t i, mps_enc *key, char text[64])
{
    snprintf(text, 64, i % 2 == 0 ? "name %u" : "a name that does not fit into an entry %u", (unsigned)i);
    mps_names_key(seg, text, strlen(text), key);
}

static void furnish(void)
{
    t.buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(t.buffer, BUFFER, true);
    char text[64];
    mps_enc key;
    mps_off made;
    CHECK_OK(mps_names_open(seg, door, true, &t.names));
    for (uint64_t i = 0; i < NAMES; i++) {
        key_of(seg, i, &key, text);
        CHECK_OK(mps_names_construct(seg, door, t.names, &key, MPS_KIND_VALUE, sizeof(mps_cell), &made));
    }
    for (uint64_t i = 0; i < PIECES; i++) {
        uint64_t size = i * 300;
        CHECK_OK(mps_raw_allocate(seg, door, &size, 1, (uint64_t)16 << i % 4, &t.pieces[i], &t.serials[i]));
    }
    mps_ref_drop(seg, door, t.names);
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    t.pristine = malloc(BUFFER);
    CHECK(t.pristine != NULL);
    memcpy(t.pristine, t.buffer, BUFFER);
}

static uint64_t target(void)
{
    uint64_t body;
    memcpy(&body, (uint8_t *)t.buffer + t.names + offsetof(mps_table, body), 8);
    switch (below(6)) {
    case 0: return offsetof(mps_header, root) + below(sizeof(mps_root));
    case 1: return t.names + below(sizeof(mps_table));
    case 2: return body >> 8 < BUFFER - 2000 ? (body >> 8) + below(2000) : below(BUFFER);
    case 3:
    case 4: return t.pieces[below(PIECES)] - 8 + below(sizeof(mps_raw) + 8);
    default: return below(BUFFER);
    }
}

static void damage(void)
{
    uint8_t *bytes = t.buffer;
    for (uint64_t n = 1 + below(4); n > 0; n--) {
        uint64_t at = target() & ~(uint64_t)7, from = target() & ~(uint64_t)7;
        uint64_t word = below(2) == 0 ? check_random(&t.rng) >> below(64) : below(BUFFER) & ~(uint64_t)15;
        switch (below(3)) {
        case 0: bytes[at + below(8)] ^= (uint8_t)(1u << below(8)); break;
        case 1: memcpy(&bytes[at], &word, 8); break;
        default: memmove(&bytes[at], &bytes[from], 8);
        }
    }
}

static void on_names(mps_seg *seg)
{
    char text[64];
    mps_enc key;
    mps_off names, object;
    mps_copy copy;
    if (mps_names_open(seg, door, below(2) == 0, &names) != MPS_OK) {
        return;
    }
    key_of(seg, below(NAMES + 10), &key, text);
    mps_copy_init(&copy);
    switch (below(7)) {
    case 0: (void)mps_names_construct(seg, door, names, &key, MPS_KIND_VALUE, sizeof(mps_cell), &object); break;
    case 1:
        if (mps_names_find(seg, door, names, &key, true, &object) == MPS_OK) {
            (void)mps_names_of(seg, door, names, object, &copy);
            (void)mps_names_remove_of(seg, door, names, &key, object);
            mps_ref_drop(seg, door, object);
        }
        break;
    case 2: (void)mps_names_find(seg, door, names, &key, false, &object); break;
    case 3: (void)mps_names_remove(seg, door, names, &key); break;
    case 4: (void)mps_names_reserve(seg, door, names, below(200)); break;
    case 5: (void)mps_names_enter(seg, door, names, &key, t.pieces[below(PIECES)]); break;
    default: (void)mps_names_of(seg, door, names, t.pieces[below(PIECES)], &copy);
    }
    mps_copy_drop_refs(seg, door, &copy);
    mps_copy_done(&copy);
    mps_ref_drop(seg, door, names);
}

static void on_allocations(mps_seg *seg)
{
    uint64_t i = below(PIECES), size = below(3000), serial = 0, number, nbytes;
    mps_off off = 0, data;
    switch (below(6)) {
    case 0: (void)mps_raw_allocate(seg, door, &size, 1, 64, &off, &serial); break;
    case 1: (void)mps_raw_deallocate(seg, door, &t.pieces[i], &t.serials[i], 1); break;
    case 2: (void)mps_raw_resize(seg, door, t.pieces[i], t.serials[i], size); break;
    case 3: (void)mps_raw_move(seg, door, t.pieces[i], t.serials[i], size, &off, &serial); break;
    case 4:
        number = mps_number_of(seg, t.pieces[i], t.serials[i]);
        (void)mps_number_find(seg, below(2) == 0 ? number : check_random(&t.rng), &off, &serial);
        break;
    default:
        if (mps_ref_attach(seg, door, t.pieces[i], t.serials[i], 0) == MPS_OK) {
            if (mps_raw_data(seg, t.pieces[i], &data, &nbytes) == MPS_OK && nbytes > 0) {
                (void)*(volatile uint8_t *)mps_region_at(&seg->region, data + nbytes - 1);
            }
            (void)mps_raw_note(seg, t.pieces[i], &data, &nbytes);
            mps_ref_drop(seg, door, t.pieces[i]);
        }
    }
}

static void trial(void)
{
    mps_seg *seg = NULL;
    char why[200];
    mps_stats stats;
    bool before = below(2) == 0;
    memcpy(t.buffer, t.pristine, BUFFER);
    if (before) {
        damage();
    }
    if (mps_seg_adopt(t.buffer, BUFFER, false, &seg) != MPS_OK) {
        return;
    }
    if (!before) {
        damage();
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        if (below(30) == 0) {
            damage();
        }
        if (below(2) == 0) {
            on_names(seg);
        } else {
            on_allocations(seg);
        }
    }
    (void)mps_seg_stats(seg, &stats);
    (void)mps_seg_check(seg, why, sizeof(why));
    if (below(2) == 0) {
        mps_seg_release(seg);
    } else {
        mps_seg_abandon(seg);
    }
}

int main(void)
{
    check_rng rng = check_seed(20261120);
    furnish();
    trials_run(rng, TRIALS, &t.rng, trial);
    free(t.pristine);
    free(t.buffer);
    return 0;
}
