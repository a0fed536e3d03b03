/* core_containers.c -- maps, hash tables, vectors, deques and lists of the core. */
#include "core.h"
#include "deque.h"
#include "linked.h"
#include "table.h"
#include "tree.h"
#include "typed.h"

static mps_seg *seg;

static mps_enc number(int64_t n)
{
    return (mps_enc){.value = mps_value_int(n)};
}

static void say(const char *what, double begun, uint64_t n)
{
    bench_row(what, (bench_now() - begun) / (double)n);
}

static uint64_t map_find(mps_off tree, const int64_t *keys)
{
    uint64_t found = 0;
    mps_copy copy;
    mps_copy_init(&copy);
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc key = number(keys[i]);
        sure(mps_tree_get(seg, BENCH_DOOR, tree, &key, &copy));
        found += copy.value.w1;
    }
    return found;
}

static uint64_t map_rank(mps_off tree, const int64_t *keys)
{
    uint64_t found = 0, at;
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc key = number(keys[i]);
        sure(mps_tree_rank(seg, BENCH_DOOR, tree, &key, MPS_BOUND_LOWER, &at));
        found += at;
    }
    return found;
}

static uint64_t map_rows(void)
{
    uint64_t state = BENCH_SEED, found;
    int64_t *keys = bench_keys(&state);
    bool added;
    mps_off tree = bench_object(seg, MPS_KIND_MAP, sizeof(mps_tree));
    double begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc key = number(keys[i]), value = number((int64_t)i);
        sure(mps_tree_set(seg, BENCH_DOOR, tree, &key, &value, &added));
    }
    say("map insert, 1M random", begun, BENCH_KEYS);
    bench_shuffle(keys, &state);
    begun = bench_now();
    found = map_find(tree, keys);
    say("map find, 1M random", begun, BENCH_KEYS);
    begun = bench_now();
    found += map_rank(tree, keys);
    say("map: place of a key, 1M random", begun, BENCH_KEYS);
    mps_tree_range all = {.limit = UINT64_MAX};
    mps_snap snap;
    mps_snap_init(&snap);
    begun = bench_now();
    sure(mps_tree_snapshot(seg, BENCH_DOOR, tree, &all, MPS_SNAP_BOTH, &snap));
    say("map walk, 1M", begun, BENCH_KEYS);
    found += snap.n_items;
    mps_snap_done(&snap);
    begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc key = number(keys[i]);
        sure(mps_tree_pop(seg, BENCH_DOOR, tree, &key, NULL));
    }
    say("map erase, 1M random", begun, BENCH_KEYS);
    mps_ref_drop(seg, BENCH_DOOR, tree);
    free(keys);
    return found;
}

static uint64_t hash_rows(void)
{
    uint64_t state = BENCH_SEED, found = 0;
    int64_t *keys = bench_keys(&state);
    mps_copy copy;
    mps_off table = bench_object(seg, MPS_KIND_DICT, sizeof(mps_table));
    double begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc key = number(keys[i]), value = number((int64_t)i);
        sure(mps_table_set(seg, BENCH_DOOR, table, &key, &value));
    }
    say("hash map insert, 1M random", begun, BENCH_KEYS);
    bench_shuffle(keys, &state);
    mps_copy_init(&copy);
    begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc key = number(keys[i]);
        sure(mps_table_get(seg, BENCH_DOOR, table, &key, &copy));
        found += copy.value.w1;
    }
    say("hash map find, 1M random", begun, BENCH_KEYS);
    mps_ref_drop(seg, BENCH_DOOR, table);
    free(keys);
    return found;
}

static mps_off vector_new(void)
{
    mps_enc words = number(0);
    mps_off vector = bench_object(seg, MPS_KIND_VECTOR, sizeof(mps_typed));
    sure(mps_typed_setup(seg, BENCH_DOOR, vector, (mps_typed_form){8, 0, MPS_TYPED_NO_LIMIT}, &words));
    return vector;
}

typedef enum how { EACH, PEN, PIECE } how;

/* ns an item to fill an empty vector. */
static double vector_fill(mps_off vector, how way, const uint64_t *items)
{
    mps_pen pen;
    double begun = bench_now();
    if (way == EACH) {
        for (uint64_t i = 0; i < BENCH_ITEMS; i++) {
            sure(mps_typed_push(seg, BENCH_DOOR, vector, 8, &items[i], 1));
        }
    } else if (way == PEN) {
        sure(mps_typed_open(seg, BENCH_DOOR, vector, 8, &pen));
        for (uint64_t i = 0; i < BENCH_ITEMS; i++) {
            sure(mps_pen_push64(&pen, items[i]));
        }
        mps_typed_close(&pen);
    } else {
        sure(mps_typed_push(seg, BENCH_DOOR, vector, 8, items, BENCH_ITEMS));
    }
    return (bench_now() - begun) / BENCH_ITEMS;
}

/* In memory that the vector has had before. */
static void vector_row(const char *what, how way, const uint64_t *items)
{
    mps_off vector = vector_new();
    double best = 1e9;
    vector_fill(vector, PIECE, items);
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        sure(mps_typed_resize(seg, BENCH_DOOR, vector, 0));
        best = bench_least(best, vector_fill(vector, way, items));
    }
    bench_row(what, best);
    mps_ref_drop(seg, BENCH_DOOR, vector);
}

static void vector_rows(void)
{
    uint64_t *items = malloc(BENCH_ITEMS * 8);
    for (uint64_t i = 0; i < BENCH_ITEMS; i++) {
        items[i] = i;
    }
    vector_row("vector push, 10M, a lock each", EACH, items);
    vector_row("vector push, 10M, one lock for all (boost: none)", PEN, items);
    vector_row("vector append, 10M in one piece", PIECE, items);
    double best = 1e9;
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        mps_off vector = vector_new(); /* what the one before had was given back to the system */
        best = bench_least(best, vector_fill(vector, PEN, items));
        mps_ref_drop(seg, BENCH_DOOR, vector);
    }
    bench_row("vector push, 10M, in fresh memory, one lock for all (boost: none)", best);
    free(items);
}

/* ns for a push and a pop. */
static double deque_churn(mps_off deque, mps_end in, mps_end out)
{
    mps_copy copy;
    mps_copy_init(&copy);
    double begun = bench_now();
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        mps_enc value = number((int64_t)i);
        sure(mps_deque_push(seg, BENCH_DOOR, deque, in, &value));
        sure(mps_deque_pop(seg, BENCH_DOOR, deque, out, &copy));
    }
    return (bench_now() - begun) / BENCH_KEYS;
}

/* The same under one guard. */
static double deque_pen_churn(mps_off deque, mps_end in, mps_end out)
{
    mps_deque_pen pen;
    mps_value value;
    uint64_t sum = 0;
    double begun = bench_now();
    sure(mps_deque_open(seg, BENCH_DOOR, deque, &pen));
    for (uint64_t i = 0; i < BENCH_KEYS; i++) {
        sure(mps_deque_pen_push(&pen, in, mps_value_int((int64_t)i)));
        sure(mps_deque_pen_pop(&pen, out, &value));
        sum += value.w1;
    }
    sure(mps_deque_close(&pen));
    return sum == 1 ? 0 : (bench_now() - begun) / BENCH_KEYS;
}

static void deque_rows(void)
{
    mps_off deque = bench_object(seg, MPS_KIND_DEQUE, sizeof(mps_deque));
    double through = 1e9, pen = 1e9;
    for (uint64_t i = 0; i < BENCH_LIVE; i++) {
        mps_enc value = number((int64_t)i);
        sure(mps_deque_push(seg, BENCH_DOOR, deque, MPS_BACK, &value));
    }
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        through = bench_least(through, deque_churn(deque, MPS_BACK, MPS_FRONT));
    }
    bench_row("deque push + pop, a lock each", through);
    for (unsigned i = 0; i < BENCH_REPEATS; i++) {
        pen = bench_least(pen, deque_pen_churn(deque, MPS_BACK, MPS_FRONT));
    }
    bench_row("deque push + pop, a lock each (boost: none)", through);
    bench_row("deque push + pop, one lock for all (boost: none)", pen);
    mps_ref_drop(seg, BENCH_DOOR, deque);
}

/* The same figure beside each of Boost's ways to have a list. */
static void list_row(const char *what, double ns)
{
    static const char *const ways[] = {"", " (boost: none)", " (boost: cached nodes too)",
                                       " (boost: cached nodes, no lock)"};
    char row[100];
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        snprintf(row, sizeof row, "%s, 1M, a lock each%s", what, ways[i]);
        bench_row(row, ns);
    }
}

/* One million values into a list before its last, one after the other, and out again: some times, as the list keeps no memory. */
static void list_rows(void)
{
    mps_off list = bench_object(seg, MPS_KIND_LINKED_LIST, sizeof(mps_linked));
    mps_enc ends[2] = {number(0), number(1)};
    mps_cursor at, next;
    mps_spot spot = {.index = 0};
    double in = 1e9, out = 1e9;
    sure(mps_linked_insert(seg, BENCH_DOOR, list, spot, false, ends, 2, NULL));
    spot.cursor = &at;
    for (unsigned r = 0; r < BENCH_REPEATS; r++) {
        sure(mps_linked_at(seg, BENCH_DOOR, list, 1, &at));
        double begun = bench_now();
        for (uint64_t i = 0; i < BENCH_KEYS; i++) {
            mps_enc value = number((int64_t)i);
            sure(mps_linked_insert(seg, BENCH_DOOR, list, spot, false, &value, 1, NULL));
        }
        in = bench_least(in, (bench_now() - begun) / BENCH_KEYS);
        sure(mps_linked_at(seg, BENCH_DOOR, list, 1, &at));
        begun = bench_now();
        for (uint64_t i = 0; i < BENCH_KEYS; i++) {
            sure(mps_linked_erase(seg, BENCH_DOOR, list, spot, NULL, NULL, &next));
            at = next;
        }
        out = bench_least(out, (bench_now() - begun) / BENCH_KEYS);
    }
    list_row("list insert", in);
    list_row("list erase", out);
    mps_ref_drop(seg, BENCH_DOOR, list);
}

int main(void)
{
    seg = bench_segment();
    uint64_t found = map_rows() + hash_rows();
    vector_rows();
    deque_rows();
    list_rows();
    bench_end();
    mps_seg_release(seg);
    return found == 0;
}
