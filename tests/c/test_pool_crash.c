/* test_pool_crash.c -- a process that dies at any store of what it does with a pool leaves all its nodes in one place each.
 *
 * In each trial one attachment carries out an operation and dies at a point; a second one recovers it, and in some trials dies at
 * a point of that too; a third one finishes. Then the directory of nodes must be as before or as after, what is in them as it was
 * written, and every other node in a free list (nothing in a cache: the dead have none).
 */
#include <setjmp.h>

#include "bag.h"
#include "crash.h"

#define KIB ((uint64_t)1 << 10)
#define BUFFER (420 * KIB)
#define ENTRIES 40u
#define RECOVERY_STEP 9u /* of each operation's points, every so many-th is one at which recovery is killed too */

typedef struct directory {
    mps_off nodes[ENTRIES]; /* 0: none */
    mps_off pool;
    mps_off block; /* of the directory */
} directory;

static directory before, after; /* of the trial */
static mps_off place;

static directory *directory_of(const mps_seg *seg)
{
    return mps_region_at(&seg->region, place);
}

static uint64_t mark_of(uint32_t i, uint32_t k)
{
    return (uint64_t)(i + 1) << 32 | k;
}

/* ---- operations ---- */

static mps_pool_spec spec; /* of the pool that is tested */

static void add(mps_tx *tx, uint32_t i)
{
    directory *d = directory_of(tx->seg);
    mps_off node;
    CHECK_OK(mps_node_alloc(tx, d->pool, spec.node_bytes, &node));
    uint64_t *words = mps_region_at(&tx->seg->region, node);
    for (uint32_t k = 0; k < spec.node_bytes / 8; k++) {
        words[k] = mark_of(i, k);
    }
    mps_tx_set(tx, &d->nodes[i], node);
}

static void take_away(mps_tx *tx, uint32_t i)
{
    directory *d = directory_of(tx->seg);
    CHECK_OK(mps_node_free(tx, d->pool, mps_load64(&d->nodes[i])));
    mps_tx_set(tx, &d->nodes[i], 0);
}

static void op_add(mps_tx *tx)
{
    add(tx, 30);
    add(tx, 31);
}

static void op_add_many(mps_tx *tx) /* more than a chunk has free */
{
    for (uint32_t i = 24; i < 36; i++) {
        add(tx, i);
    }
}

static void op_remove(mps_tx *tx)
{
    take_away(tx, 3);
    take_away(tx, 17);
}

static void op_remove_many(mps_tx *tx)
{
    for (uint32_t i = 0; i < 20; i++) {
        take_away(tx, i);
    }
}

static void op_replace(mps_tx *tx)
{
    take_away(tx, 5);
    add(tx, 25);
    take_away(tx, 6);
    take_away(tx, 7);
    add(tx, 5);
    add(tx, 26);
    take_away(tx, 26);
}

typedef struct operation {
    const char *name;
    void (*body)(mps_tx *tx);
    enum { COMMIT, ABORT, CACHES, CHUNKS, GET, LET_GO, LEAVE } end;
} operation;

static const operation operations[] = {
    {"add", op_add, COMMIT},
    {"add, taken back", op_add, ABORT},
    {"add many", op_add_many, COMMIT},
    {"add many, taken back", op_add_many, ABORT},
    {"remove", op_remove, COMMIT},
    {"remove, taken back", op_remove, ABORT},
    {"remove many", op_remove_many, COMMIT},
    {"remove many, taken back", op_remove_many, ABORT},
    {"replace", op_replace, COMMIT},
    {"replace, taken back", op_replace, ABORT},
    {"give caches back", NULL, CACHES},
    {"give chunks back", NULL, CHUNKS},
    {"make another", NULL, GET},
    {"let the last user go", NULL, LET_GO},
    {"leave", NULL, LEAVE},
};

static void change(mps_seg *seg, void (*body)(mps_tx *tx), bool commit)
{
    mps_tx tx;
    check_begin(seg, &tx);
    body(&tx);
    if (commit) {
        check_commit(&tx);
    } else {
        check_abort(&tx);
    }
}

static void use(mps_seg *seg, mps_off pool)
{
    mps_tx tx;
    mps_off nodes[7];
    check_begin(seg, &tx);
    for (uint32_t i = 0; i < 7; i++) {
        CHECK_OK(mps_node_alloc(&tx, pool, spec.node_bytes, &nodes[i]));
    }
    for (uint32_t i = 0; i < 7; i++) {
        CHECK_OK(mps_node_free(&tx, pool, nodes[i]));
    }
    check_commit(&tx);
}

static void carry_out(mps_seg *seg, const operation *op)
{
    mps_pool_spec other = spec;
    uint64_t n;
    mps_off off;
    switch (op->end) {
    case COMMIT: change(seg, op->body, true); break;
    case ABORT: change(seg, op->body, false); break;
    case CACHES: CHECK_OK(mps_pool_flush_caches(seg, MPS_DOOR_FREE)); break;
    case CHUNKS: CHECK_OK(mps_pool_trim_chunks(seg, MPS_DOOR_FREE, directory_of(seg)->pool, &n)); break;
    case GET:
        other.nodes_per_chunk = 5;
        CHECK_OK(mps_pool_get(seg, MPS_DOOR_FREE, &other, &off, &n));
        break;
    case LET_GO: /* another pool, with chunks and cached nodes, of which this process is the only user */
        other.nodes_per_chunk = 5;
        CHECK_OK(mps_pool_get(seg, MPS_DOOR_FREE, &other, &off, &n));
        use(seg, off);
        mps_ref_drop(seg, MPS_DOOR_FREE, off);
        break;
    default: mps_seg_release(seg);
    }
}

/* ---- the segment before and after ---- */

static void fill_directory(mps_tx *tx)
{
    for (uint32_t i = 0; i < 30; i++) {
        add(tx, i);
    }
}

static void leave_holes(mps_tx *tx)
{
    for (uint32_t i = 20; i < 30; i++) { /* a whole chunk among them */
        take_away(tx, i);
    }
}

static void warm_up(mps_tx *tx)
{
    add(tx, 38);
    add(tx, 39);
}

static void cool_down(mps_tx *tx)
{
    take_away(tx, 38);
    take_away(tx, 39);
}

/* Every node is the directory's, with its content, or free. */
static void verify(mps_seg *seg, const char *name, uint64_t n)
{
    const directory *d = directory_of(seg);
    bool as_before = memcmp(d, &before, sizeof(*d)) == 0, as_after = memcmp(d, &after, sizeof(*d)) == 0;
    if (!as_before && !as_after) {
        /* (which node is given out depends on what a cache holds) */
        for (uint32_t i = 0; i < ENTRIES; i++) {
            as_before = i == 0 ? (d->nodes[i] != 0) == (before.nodes[i] != 0)
                               : as_before && (d->nodes[i] != 0) == (before.nodes[i] != 0);
            as_after = i == 0 ? (d->nodes[i] != 0) == (after.nodes[i] != 0)
                              : as_after && (d->nodes[i] != 0) == (after.nodes[i] != 0);
        }
    }
    if (!as_before && !as_after) {
        fprintf(stderr, "%s, died at point %" PRIu64 ": the directory is neither as before nor as after\n", name, n);
        exit(1);
    }
    static bag b;
    b = (bag){.seg = seg, .pool = d->pool, .node_bytes = 0};
    for (uint32_t i = 0; i < ENTRIES; i++) {
        if (d->nodes[i] != 0) {
            b.now.nodes[b.now.n++] = d->nodes[i];
            const uint64_t *words = mps_region_at(&seg->region, d->nodes[i]);
            for (uint32_t k = 0; k < spec.node_bytes / 8; k++) {
                CHECK(words[k] == mark_of(i, k));
            }
        }
    }
    bag_check(&b, NULL);
}

/* When the directory is emptied, the whole segment is as it should be. */
static void finish(mps_seg *seg)
{
    mps_tx tx;
    mps_off pool = directory_of(seg)->pool;
    check_begin(seg, &tx);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        if (directory_of(seg)->nodes[i] != 0) {
            CHECK_OK(mps_tx_room(&tx, 40));
            take_away(&tx, i);
        }
    }
    CHECK_OK(mps_tx_room(&tx, 40));
    CHECK_OK(mps_object_decref(&tx, pool)); /* the directory's */
    CHECK_OK(mps_free(&tx, place));
    check_commit(&tx);
    CHECK(mps_seg_root(seg)->objects == 0 && mps_seg_root(seg)->pools == 0);
    CHECK_SOUND(seg);
}

/* ---- dying ---- */

/* What a process has in its own memory goes with it; here it does not, as it dies by a jump. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

static jmp_buf grave;

static void jump(void)
{
    longjmp(grave, 1);
}

static struct {
    uint8_t *pristine, *buffer;
    mps_seg *worker, *helper, *witness;
    uint64_t points;
} t;

static void furnish(void)
{
    mps_seg *seg = check_adopt(t.pristine, BUFFER, true);
    mps_tx tx;
    mps_off pool;
    uint64_t serial;
    CHECK_OK(mps_pool_get(seg, MPS_DOOR_FREE, &spec, &pool, &serial));
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, sizeof(directory), &place));
    memset(directory_of(seg), 0, sizeof(directory));
    directory_of(seg)->pool = pool;
    directory_of(seg)->block = place;
    CHECK_OK(mps_object_incref(&tx, pool));
    check_commit(&tx);
    mps_ref_drop(seg, MPS_DOOR_FREE, pool);
    change(seg, fill_directory, true);
    change(seg, leave_holes, true);
    mps_seg_release(seg);
}

static void set_up(void)
{
    memcpy(t.buffer, t.pristine, BUFFER);
    t.witness = check_adopt(t.buffer, BUFFER, false);
    t.helper = check_adopt(t.buffer, BUFFER, false);
    t.worker = check_adopt(t.buffer, BUFFER, false);
    change(t.worker, warm_up, true);
    change(t.worker, cool_down, true);
    before = *directory_of(t.witness);
}

static bool try_operation(const operation *op, uint64_t n)
{
    if (setjmp(grave) != 0) {
        mps_seg_abandon(t.worker);
        return false;
    }
    CHECK_OK(mps_crash_arm(n));
    carry_out(t.worker, op);
    t.points = mps_crash_count();
    CHECK_OK(mps_crash_arm(0));
    return true;
}

static bool try_recovery(uint64_t n, bool may_have_left)
{
    if (setjmp(grave) != 0) {
        mps_seg_abandon(t.helper);
        return false;
    }
    CHECK_OK(mps_crash_arm(n));
    int found = mps_seg_recover(t.helper);
    CHECK(found == 1 || (found == 0 && may_have_left)); /* (at the last point of leaving it is gone) */
    t.points = mps_crash_count();
    CHECK_OK(mps_crash_arm(0));
    return true;
}

static uint64_t rehearse(const operation *op)
{
    set_up();
    CHECK(try_operation(op, 0));
    uint64_t points = t.points;
    after = op->end == ABORT ? before : *directory_of(t.witness);
    if (op->end != LEAVE) {
        mps_seg_release(t.worker);
    }
    verify(t.witness, op->name, 0);
    finish(t.witness);
    mps_seg_release(t.helper);
    mps_seg_release(t.witness);
    return points;
}

static void bury(const operation *op, uint64_t n, uint64_t recovery_point)
{
    set_up();
    CHECK(!try_operation(op, n));
    if (try_recovery(recovery_point, op->end == LEAVE)) {
        mps_seg_release(t.helper);
    } else {
        CHECK(mps_seg_recover(t.witness) >= 1);
        t.points = 0;
    }
    verify(t.witness, op->name, n);
    finish(t.witness);
    mps_seg_release(t.witness);
}

static void test_operation(const operation *op)
{
    uint64_t points = rehearse(op);
    printf("%u: %s: %" PRIu64 " points\n", spec.type, op->name, points);
    for (uint64_t n = 1; n <= points; n++) {
        bury(op, n, 0);
        if (n % RECOVERY_STEP == 0 && t.points > 0) {
            bury(op, n, 1 + n * 37 % t.points);
        }
    }
}

int main(void)
{
    t.pristine = check_buffer(BUFFER);
    t.buffer = check_buffer(BUFFER);
    mps_crash_set_jump(jump);
    static const uint32_t types[] = {0, MPS_POOL_CACHED, 1, 1 | MPS_POOL_PRIVATE, 1 | MPS_POOL_CACHED};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        spec = (mps_pool_spec){types[i], 160, 8, 1, 20, 6};
        furnish();
        for (size_t k = 0; k < sizeof(operations) / sizeof(operations[0]); k++) {
            test_operation(&operations[k]);
        }
    }
    free(t.pristine);
    free(t.buffer);
    return 0;
}
