/* test_tree_fuzz.c -- random bytes written into trees: statuses or right answers, no fault, no hang.
 *
 * In each trial some words of a map's, a multimap's or a sorted set's object, body or nodes are changed, heads, links, counts and keys
 * above all; then all kinds of operations are tried, and the segment is checked and left. The sanitizers see the faults, an alarm the hangs.
 * The environment says how many, and from which one on: trials.h.
 */
#include "content.h"

#include "trials.h"
#include "tree_body.h"

#define BUFFER ((uint64_t)1 << 20)
#define TRIALS 1200u
#define STEPS 30u
#define TREES 3u
#define NODES 400u

static const mps_door door = MPS_DOOR_FREE;

static struct {
    world w;
    uint8_t *pristine;
    mps_off offs[TREES], nodes[NODES];
    uint64_t serials[TREES], n_nodes;
    check_rng rng;
} t;

static uint64_t below(uint64_t n)
{
    return check_below(&t.rng, n);
}

typedef struct key {
    mps_enc enc;
    char data[64];
} key;

/* Keys of one kind each: numbers, long texts, tuples. */
static void key_make(key *k, uint64_t tree, uint64_t id)
{
    k->enc = (mps_enc){.value = mps_value_int((int64_t)id)};
    if (tree == 1) {
        snprintf(k->data, sizeof k->data, "a text that is long enough %06" PRIu64, id);
        k->enc = (mps_enc){.value = {MPS_TAG_ASCII, 0}, .data = k->data, .nbytes = strlen(k->data)};
    } else if (tree == 2) {
        memcpy(k->data, "t\2t\1i", 5);
        memcpy(k->data + 5, &id, 8);
        memcpy(k->data + 13, "a\3abc", 5);
        k->enc = (mps_enc){.value = {MPS_TAG_KEY, 0}, .data = k->data, .nbytes = 18, .aux = 18};
    }
}

static void collect(const mps_view *v, mps_off off, uint32_t level)
{
    uint32_t n;
    mps_tree_node *node = mps_tree_node_at(v, off, level, &n);
    CHECK(node != NULL && t.n_nodes < NODES);
    t.nodes[t.n_nodes++] = off;
    for (uint32_t i = 0; level > 0 && i < n; i++) {
        collect(v, mps_load64(&mps_tree_slots(node)[i].w0), level - 1);
    }
}

static void furnish(void)
{
    static const uint32_t kinds[TREES] = {MPS_KIND_MAP, MPS_KIND_MULTI_MAP, MPS_KIND_SORTED_SET};
    static thing v;
    t.w = world_make(BUFFER);
    mps_seg *seg = t.w.seg;
    uint64_t token;
    for (uint64_t tree = 0; tree < TREES; tree++) {
        CHECK_OK(mps_object_new(seg, door, kinds[tree], sizeof(mps_tree), &t.offs[tree], &t.serials[tree]));
        CHECK_OK(mps_token_leave(seg, door, t.offs[tree], &token));
        for (uint64_t i = 0; i < (tree == 0 ? 5000 : 600); i++) {
            key k;
            bool added;
            key_make(&k, tree, tree == 1 ? i / 3 : i * 2);
            thing_value(&t.w, &v, i % 50 == 3 ? 5 : 11);
            CHECK_OK(mps_tree_set(seg, door, t.offs[tree], &k.enc, tree == 2 ? NULL : &v.enc, &added));
        }
        mps_view view;
        CHECK_OK(mps_tree_view(seg, mps_region_at(&seg->region, t.offs[tree]), &view));
        collect(&view, view.root, view.height - 1);
    }
    for (uint32_t i = 0; i < THING_OBJECTS; i++) {
        CHECK_OK(mps_token_leave(seg, door, t.w.objects[i], &token));
        mps_ref_drop(seg, door, t.w.objects[i]);
    }
    for (uint32_t i = 0; i < TREES; i++) {
        mps_ref_drop(seg, door, t.offs[i]);
    }
    CHECK_SOUND(seg);
    mps_seg_release(seg);
    t.pristine = malloc(BUFFER);
    CHECK(t.pristine != NULL);
    memcpy(t.pristine, t.w.buffer, BUFFER);
}

/* The offset of a word that matters. */
static uint64_t target(void)
{
    mps_off tree = t.offs[below(TREES)], node = t.nodes[below(t.n_nodes)];
    uint64_t body;
    memcpy(&body, (uint8_t *)t.w.buffer + tree + offsetof(mps_tree, body), 8);
    switch (below(6)) {
    case 0: return tree + 8 * below(sizeof(mps_tree) / 8);
    case 1: return body < BUFFER - 64 ? body + 8 * below(8) : tree;
    case 2: return node + 8 * below(3);
    default: return node + 8 * below(sizeof(mps_tree_node) / 8);
    }
}

static void damage(void)
{
    for (uint64_t n = 1 + below(4); n > 0; n--) {
        uint8_t *at = (uint8_t *)t.w.buffer + (target() & ~(uint64_t)7);
        uint64_t word;
        memcpy(&word, at, 8);
        switch (below(6)) {
        case 0: word = t.nodes[below(t.n_nodes)]; break;
        case 1: word = check_random(&t.rng); break;
        case 2: word ^= (uint64_t)1 << below(64); break;
        case 3: word += below(9) - 4; break;
        case 4: word = below(1000); break;
        default: memcpy(&word, (uint8_t *)t.w.buffer + (target() & ~(uint64_t)7), 8);
        }
        memcpy(at, &word, 8);
    }
}

static void on_range(mps_seg *seg, mps_off off, const mps_enc *low, const mps_enc *high)
{
    mps_snap snap;
    mps_tree_range r = {.limit = below(3) == 0 ? UINT64_MAX : below(400), .skip = below(3)};
    r.reverse = below(2) == 0;
    r.from = below(2) == 0 ? low : NULL;
    r.to = below(2) == 0 ? high : NULL;
    mps_snap_init(&snap);
    if (mps_tree_snapshot(seg, door, off, &r, 1 + (unsigned)below(3), &snap) == MPS_OK) {
        mps_snap_drop_refs(seg, door, &snap, 0);
    }
    mps_snap_done(&snap);
}

static void step(mps_seg *seg, uint64_t tree)
{
    static thing v;
    static key keys[100];
    static mps_enc encs[100], values[100];
    mps_off off = t.offs[tree];
    mps_copy copy, other;
    bool added, set = mps_load32(&((mps_object *)mps_region_at(&seg->region, off))->mortal.kind) == MPS_KIND_SORTED_SET;
    uint64_t n;
    int64_t grown;
    mps_copy_init(&copy);
    mps_copy_init(&other);
    thing_value(&t.w, &v, 11);
    for (uint64_t i = 0; i < 100; i++) {
        key_make(&keys[i], tree, below(12000));
        encs[i] = keys[i].enc;
        values[i] = v.enc;
    }
    mps_enc *k = &encs[0];
    int64_t index = (int64_t)below(6000) - 3000;
    switch (below(14)) {
    case 0: (void)mps_tree_len(seg, door, off, &n); break;
    case 1: (void)mps_tree_has(seg, door, off, k); break;
    case 2: (void)mps_tree_rank(seg, door, off, k, MPS_BOUND_UPPER, &n); break;
    case 3: (void)mps_tree_item(seg, door, off, index, &copy, set ? NULL : &other); break;
    case 4: (void)mps_tree_pop(seg, door, off, k, set ? NULL : &copy); break;
    case 5: (void)mps_tree_pop_item(seg, door, off, index, &copy, NULL); break;
    case 6: (void)mps_tree_update(seg, door, off, encs, set ? NULL : values, below(100), &grown); break;
    case 7: (void)mps_tree_take(seg, door, off, encs, 100, &grown); break;
    case 8: on_range(seg, off, k, &encs[1]); break;
    case 9: (void)(below(6) == 0 ? mps_tree_clear(seg, door, off) : MPS_OK); break;
    case 10: (void)(set ? MPS_OK : mps_tree_remove(seg, door, off, k, 0, &v.enc)); break;
    case 11: (void)(set ? MPS_OK : mps_tree_add(seg, door, off, k, 1, 1, &grown)); break;
    default: (void)mps_tree_set(seg, door, off, k, set ? NULL : &v.enc, &added);
    }
    mps_copy_drop_refs(seg, door, &copy);
    mps_copy_done(&copy);
    mps_copy_drop_refs(seg, door, &other);
    mps_copy_done(&other);
}

static void trial(void)
{
    mps_seg *seg = NULL;
    bool have[TREES];
    memcpy(t.w.buffer, t.pristine, BUFFER);
    CHECK_OK(mps_seg_adopt(t.w.buffer, BUFFER, false, &seg));
    for (uint32_t i = 0; i < TREES; i++) {
        have[i] = mps_ref_attach(seg, door, t.offs[i], t.serials[i], 0) == MPS_OK;
    }
    t.w.seg = seg;
    damage();
    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t tree = below(TREES);
        if (have[tree]) {
            step(seg, tree);
        }
    }
    char why[200];
    (void)mps_seg_check(seg, why, sizeof(why));
    for (uint32_t i = 0; i < TREES; i++) {
        if (have[i] && below(2) == 0) {
            mps_ref_drop(seg, door, t.offs[i]);
        }
    }
    if (below(2) == 0) {
        mps_seg_release(seg);
    } else {
        mps_seg_abandon(seg);
    }
}

int main(void)
{
    check_rng rng = check_seed(20250712);
    t.rng.state = check_random(&rng) | 1;
    furnish();
    trials_run(rng, TRIALS, &t.rng, trial);
    free(t.pristine);
    free(t.w.buffer);
    return 0;
}
