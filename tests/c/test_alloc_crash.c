/* test_alloc_crash.c -- a process that dies at any store of an allocation leaves no byte behind and none missing.
 *
 * In each trial one attachment of a segment carries out an operation and dies at a point; a second one recovers it,
 * and dies at a point of that too; a third one finishes. Then every block in use must be one that the directory
 * names, the directory must be as before or as after, and the words that change together must agree.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc_fit.h"
#include "crash.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define BUFFER (420 * KIB)
#define ENTRIES 24u
#define WORDS 700u

#ifdef __SANITIZE_ADDRESS__
#define RECOVERIES 60u /* of each operation that are killed too: who comes next waits 2 ms */
#define GROW_STEP 3u
#else
#define RECOVERIES 500u
#define GROW_STEP 1u
#endif

typedef struct directory {
    mps_off blocks[ENTRIES]; /* 0: none */
    mps_off data;            /* a block of WORDS words, all the same */
} directory;

static directory *directory_of(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* ---- operations ---- */

static mps_off place; /* of the directory: the same in all trials of an operation */

static void put(mps_tx *tx, uint32_t i, uint64_t nbytes, uint64_t align)
{
    directory *d = directory_of(tx->seg, place);
    mps_off block;
    CHECK_OK(align != 0 ? mps_alloc_aligned(tx, nbytes, align, &block) : mps_alloc(tx, nbytes, &block));
    memset(mps_region_at(&tx->seg->region, block), 0x3c, nbytes);
    mps_tx_set(tx, &d->blocks[i], block);
}

static void take_away(mps_tx *tx, uint32_t i)
{
    directory *d = directory_of(tx->seg, place);
    CHECK_OK(mps_free(tx, mps_load64(&d->blocks[i])));
    mps_tx_set(tx, &d->blocks[i], 0);
}

static void op_small(mps_tx *tx)
{
    put(tx, 1, 40, 0);
    put(tx, 2, 41, 0);
    put(tx, 3, 400, 0);
}

static void op_large(mps_tx *tx)
{
    put(tx, 1, 5000, 0);
    put(tx, 2, 700, 0);
    put(tx, 3, 20000, 0);
}

static void op_aligned(mps_tx *tx)
{
    put(tx, 1, 600, 4096);
    put(tx, 2, 30, 64);
    put(tx, 3, 18000, 1024);
}

static void op_free_small(mps_tx *tx)
{
    take_away(tx, 10);
    put(tx, 1, 100, 0);
    take_away(tx, 12);
}

/* Large chunks in a row, of which every other one is free already: each is joined with both neighbours. */
static void op_free_large(mps_tx *tx)
{
    take_away(tx, 15);
    take_away(tx, 17);
    put(tx, 1, 3000, 0);
    take_away(tx, 19);
}

static void op_extend(mps_tx *tx)
{
    directory *d = directory_of(tx->seg, place);
    CHECK_OK(mps_alloc_extend(tx, d->blocks[15], mps_alloc_usable(tx->seg, d->blocks[15]) + 16, 0));
    CHECK_OK(mps_alloc_extend(tx, d->blocks[17], mps_alloc_usable(tx->seg, d->blocks[17]) + 1000, UINT64_MAX));
    mps_tx_set(tx, &d->blocks[0], 0);
}

static void op_shrink(mps_tx *tx)
{
    directory *d = directory_of(tx->seg, place);
    CHECK_OK(mps_alloc_shrink(tx, d->blocks[15], 1000));
    put(tx, 1, 1500, 0);
    CHECK_OK(mps_alloc_shrink(tx, d->blocks[17], 16000));
    CHECK_OK(mps_alloc_shrink(tx, d->blocks[8], 40));
    mps_tx_set(tx, &d->blocks[0], 0);
}

static void op_many(mps_tx *tx)
{
    static const uint64_t sizes[] = {40, 700, 40, 100, 5000, 16};
    directory *d = directory_of(tx->seg, place);
    mps_off blocks[6];
    CHECK_OK(mps_alloc_many(tx, sizes, 6, blocks));
    for (uint32_t i = 0; i < 6; i++) {
        mps_tx_set(tx, &d->blocks[i], blocks[i]);
    }
}

static void op_long(mps_tx *tx)
{
    directory *d = directory_of(tx->seg, place);
    uint64_t *words = mps_region_at(&tx->seg->region, d->data);
    uint64_t value = words[0] + 1;
    for (uint32_t i = 0; i < WORDS; i++) {
        if (i % 230 == 0) {
            CHECK_OK(mps_tx_room(tx, 240));
        }
        mps_tx_set(tx, &words[i], value);
    }
    put(tx, 1, 2000, 0);
}

static void op_much(mps_tx *tx)
{
    op_small(tx);
    take_away(tx, 15);
    put(tx, 4, 600, 4096);
    take_away(tx, 10);
    take_away(tx, 3); /* new in the same operation */
    take_away(tx, 17);
    put(tx, 5, 3000, 0);
}

/* The cache is as long as it may be: now it is trimmed. */
static void op_trim(mps_tx *tx)
{
    for (uint32_t i = 8; i < 14; i++) {
        take_away(tx, i);
    }
}

/* The same where what lies side by side does not follow upon each other. */
static void op_scattered(mps_tx *tx)
{
    op_trim(tx);
}

typedef struct operation {
    const char *name;
    void (*body)(mps_tx *tx);
    enum { COMMIT, ABORT, FLUSH, LEAVE, GIVE_BACK, ZERO } end;
} operation;

static const operation operations[] = {
    {"small", op_small, COMMIT},
    {"small, taken back", op_small, ABORT},
    {"large", op_large, COMMIT},
    {"large, taken back", op_large, ABORT},
    {"aligned", op_aligned, COMMIT},
    {"aligned, taken back", op_aligned, ABORT},
    {"free small", op_free_small, COMMIT},
    {"free small, taken back", op_free_small, ABORT},
    {"free large", op_free_large, COMMIT},
    {"free large, taken back", op_free_large, ABORT},
    {"extend", op_extend, COMMIT},
    {"extend, taken back", op_extend, ABORT},
    {"shrink", op_shrink, COMMIT},
    {"shrink, taken back", op_shrink, ABORT},
    {"many", op_many, COMMIT},
    {"many, taken back", op_many, ABORT},
    {"long", op_long, COMMIT},
    {"long, taken back", op_long, ABORT},
    {"much", op_much, COMMIT},
    {"much, taken back", op_much, ABORT},
    {"flush", NULL, FLUSH},
    {"trim", op_trim, COMMIT},
    {"trim, scattered", op_scattered, COMMIT},
    {"leave", NULL, LEAVE},
    {"give back", NULL, GIVE_BACK},
    {"zero", NULL, ZERO},
};

static void carry_out(mps_seg *seg, const operation *op)
{
    mps_tx tx;
    if (op->end == LEAVE) {
        mps_seg_release(seg);
        return;
    }
    if (op->end == GIVE_BACK || op->end == ZERO) {
        CHECK_OK(op->end == ZERO ? mps_seg_zero_free(seg) : mps_seg_shrink(seg));
        return;
    }
    if (op->body != NULL) {
        check_begin(seg, &tx);
        op->body(&tx);
    } else {
        CHECK_OK(mps_tx_begin(seg, &tx, MPS_DOOR_FREE));
    }
    switch (op->end) {
    case COMMIT: check_commit(&tx); break;
    case ABORT: check_abort(&tx); break;
    default: CHECK_OK(mps_alloc_flush(&tx, 3)); mps_tx_end(&tx);
    }
}

/* ---- the segment before ---- */

static mps_off new_block(mps_seg *seg, uint64_t nbytes)
{
    mps_tx tx;
    mps_off block;
    check_begin(seg, &tx);
    CHECK_OK(mps_alloc(&tx, nbytes, &block));
    check_commit(&tx);
    memset(mps_region_at(&seg->region, block), 0, nbytes);
    return block;
}

static void drop_block(mps_seg *seg, mps_off block)
{
    mps_tx tx;
    check_begin(seg, &tx);
    CHECK_OK(mps_free(&tx, block));
    check_commit(&tx);
}

static void furnish(mps_seg *seg)
{
    place = new_block(seg, sizeof(directory));
    directory *d = directory_of(seg, place);
    for (uint32_t i = 8; i < 14; i++) {
        d->blocks[i] = new_block(seg, 100);
    }
    mps_off early = new_block(seg, 40 * KIB); /* for what first fit takes besides: the holes below stay as they are */
    d->data = new_block(seg, WORDS * 8);
    static const uint64_t sizes[ENTRIES] = {[14] = 900,   [15] = 3000, [16] = 1500, [17] = 18000,
                                            [18] = 17000, [19] = 600,  [20] = 3000};
    for (uint32_t i = 14; i <= 20; i++) {
        d->blocks[i] = new_block(seg, sizes[i]);
    }
    mps_off last = new_block(seg, 900);
    for (uint32_t i = 14; i <= 20; i += 2) {
        drop_block(seg, d->blocks[i]);
        d->blocks[i] = 0;
    }
    d->blocks[20] = last;
    if (CHECK_ALLOCATOR == MPS_SEQUENTIAL_FIT) {
        drop_block(seg, early);
    } else {
        d->blocks[21] = early;
    }
}

/* Some blocks in the caches of the attachment that is going to die. */
static void warm(mps_seg *seg, uint32_t n, uint32_t stride)
{
    mps_off blocks[144];
    for (uint32_t i = 0; i < n; i++) {
        blocks[i] = new_block(seg, 100);
    }
    for (uint32_t i = 0; i < n; i++) {
        drop_block(seg, blocks[i * stride % n]); /* (stride has no factor in common with n) */
    }
}

/* ---- the segment after ---- */

static mps_status collect(void *ctx, mps_off off, uint64_t usable)
{
    (void)usable;
    const directory *d = ctx;
    bool known = off == place || off == d->data;
    for (uint32_t i = 0; i < ENTRIES && !known; i++) {
        known = off == d->blocks[i];
    }
    return known ? MPS_OK : MPS_E_NOTFOUND;
}

static mps_status count(void *ctx, mps_off off, uint64_t usable)
{
    (void)off;
    (void)usable;
    ++*(uint64_t *)ctx;
    return MPS_OK;
}

/* All blocks are the directory's (the caches of who is left are empty), and all words of its data agree. */
static void verify(mps_seg *seg, const directory *before, const directory *after, const char *name, uint64_t n)
{
    directory *d = directory_of(seg, place);
    char why[200] = "";
    uint64_t blocks = 0, expected = 2;
    mps_status st = mps_alloc_walk(seg, collect, d, why, sizeof(why));
    bool as_before = memcmp(d, before, sizeof(*d)) == 0, as_after = memcmp(d, after, sizeof(*d)) == 0;
    const uint64_t *words = mps_region_at(&seg->region, d->data);
    bool agree = words[0] <= 1;
    for (uint32_t i = 1; i < WORDS; i++) {
        agree = agree && words[i] == words[0];
    }
    CHECK_OK(mps_alloc_walk(seg, count, &blocks, why, sizeof(why)));
    for (uint32_t i = 0; i < ENTRIES; i++) {
        expected += d->blocks[i] != 0;
    }
    if (st != MPS_OK || !(as_before || as_after) || !agree || blocks != expected) {
        fprintf(stderr,
                "%s, died at point %" PRIu64 ": %s (%s), directory %s, words %s, %" PRIu64 " blocks of %" PRIu64 "\n",
                name, n, mps_status_text(st), why,
                as_before  ? "as before"
                : as_after ? "as after"
                           : "neither",
                agree ? "agree" : "differ", blocks, expected);
        exit(1);
    }
}

/* ---- dying ---- */

static jmp_buf grave;

static void jump(void)
{
    longjmp(grave, 1);
}

static struct {
    uint8_t *pristine, *buffer;
    mps_seg *worker, *helper, *witness;
    directory before, after;
    uint64_t points;
    uint32_t slot; /* the worker's */
} t;

static void set_up(const operation *op)
{
    memcpy(t.buffer, t.pristine, BUFFER);
    t.witness = check_adopt(t.buffer, BUFFER, false);
    t.helper = check_adopt(t.buffer, BUFFER, false);
    t.worker = check_adopt(t.buffer, BUFFER, false);
    bool trims = op->body == op_trim || op->body == op_scattered;
    warm(t.worker, trims ? 144 : op->body == NULL ? 40 : 3, op->body == op_scattered ? 35 : op->end == LEAVE ? 7 : 1);
    t.slot = t.worker->slot;
    t.before = *directory_of(t.witness, place);
}

/* The operation, up to the n-th point; true: it was finished. */
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

static bool try_recovery(uint64_t n)
{
    if (setjmp(grave) != 0) {
        mps_seg_abandon(t.helper);
        return false;
    }
    /* (who leaves may have died when there was nothing left to do) */
    int left = (mps_load64(&mps_slot_head_at(t.witness, t.slot)->word) & 0xff) == MPS_SLOT_FREE ? 1 : 0;
    CHECK_OK(mps_crash_arm(n));
    CHECK(mps_seg_recover(t.helper) == 1 - left);
    t.points = mps_crash_count();
    CHECK_OK(mps_crash_arm(0));
    return true;
}

/* What the operation leads to, and how many points it has. */
static uint64_t rehearse(const operation *op)
{
    set_up(op);
    CHECK(try_operation(op, 0));
    uint64_t points = t.points;
    t.after = op->end == ABORT ? t.before : *directory_of(t.witness, place);
    if (op->end != LEAVE) {
        mps_seg_release(t.worker);
    }
    verify(t.witness, &t.after, &t.after, op->name, 0);
    mps_seg_release(t.helper);
    mps_seg_release(t.witness);
    return points;
}

static void bury(const operation *op, uint64_t n, uint64_t recovery_point)
{
    set_up(op);
    CHECK(!try_operation(op, n));
    if (try_recovery(recovery_point)) {
        verify(t.witness, &t.before, &t.after, op->name, n);
        CHECK(mps_seg_recover(t.witness) == 0);
        mps_seg_release(t.helper);
    } else {
        CHECK(mps_seg_recover(t.witness) >= 1);
        t.points = 0;
        verify(t.witness, &t.before, &t.after, op->name, n);
    }
    mps_seg_release(t.witness);
}

static void test_operation(const operation *op)
{
    uint64_t points = rehearse(op);
    CHECK(points > (op->end == ZERO ? 5 : 30)); /* (zeros are filled in without a journal) */
    uint64_t step = points > 1500 ? 13 : 1;
    for (uint64_t n = 1; n <= points; n += step) {
        bury(op, n, 0);
        if (n % (points / RECOVERIES + 1) == 0 && t.points > 0) {
            bury(op, n, 1 + n * 37 % t.points);
        }
    }
    printf("%s: %" PRIu64 " points\n", op->name, points);
}

/* ---- growing, and giving memory back: in another process, which is killed ---- */

static void grow_and_shrink(mps_seg *seg)
{
    mps_tx tx;
    check_begin(seg, &tx);
    put(&tx, 1, 20 * MIB, 0);
    put(&tx, 2, 3 * MIB, 0);
    check_commit(&tx);
    check_begin(seg, &tx);
    take_away(&tx, 1); /* leaves a hole */
    check_commit(&tx);
    check_begin(seg, &tx);
    put(&tx, 3, 700, 0); /* fills a part of it */
    check_commit(&tx);
    check_begin(seg, &tx);
    take_away(&tx, 2); /* joins with it */
    put(&tx, 4, 50 * KIB, 0);
    check_abort(&tx);
    CHECK_OK(mps_seg_grow(seg, 200 * KIB));
    CHECK_OK(mps_seg_zero_free(seg));
    CHECK_OK(mps_seg_shrink(seg)); /* holes in the free chunks, and an earlier end */
    check_begin(seg, &tx);
    put(&tx, 5, 3 * MIB, 0);
    check_commit(&tx);
    check_begin(seg, &tx);
    take_away(&tx, 5);
    check_commit(&tx);
    CHECK_OK(mps_seg_shrink(seg));
}

static uint64_t memory_of(const mps_seg *seg)
{
    struct stat status;
    CHECK(fstat(seg->region.fd, &status) == 0);
    return (uint64_t)status.st_blocks * 512;
}

/* Dies at point n; false: it got to the end. */
static bool kill_child(mps_seg *seg, uint64_t n)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        mps_crash_set_jump(NULL);
        mps_crash_arm(n);
        grow_and_shrink(seg);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
    return WIFSIGNALED(status);
}

static void test_growing(void)
{
    bool died = true;
    for (uint64_t n = 1; died; n += GROW_STEP) {
        mps_seg *seg = check_create(64 * KIB, 64 * MIB);
        furnish(seg);
        uint64_t around = memory_of(seg) + mps_fit_of(seg)->holes - mps_fit_of(seg)->end;
        died = kill_child(seg, n);
        CHECK(mps_seg_recover(seg) == (died ? 1 : 0) || !died);
        mps_tx tx;
        CHECK_OK(mps_tx_begin(seg, &tx, MPS_DOOR_FREE));
        CHECK_OK(mps_alloc_flush(&tx, 0));
        mps_tx_end(&tx);
        const directory *d = directory_of(seg, place);
        verify(seg, d, d, "growing", n);
        CHECK(memory_of(seg) >= around + mps_fit_of(seg)->end - mps_fit_of(seg)->holes);
        mps_seg_release(seg);
    }
}

int main(void)
{
    if (mps_crash_arm(0) != MPS_OK) {
        printf("not the crash build: nothing to do\n");
        return 0;
    }
    t.pristine = check_buffer(BUFFER);
    t.buffer = check_buffer(BUFFER);
    mps_seg *seg = check_adopt(t.pristine, BUFFER, true);
    furnish(seg);
    mps_seg_release(seg);
    mps_crash_set_jump(jump);
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        test_operation(&operations[i]);
    }
    free(t.pristine);
    free(t.buffer);
    test_growing();
    return 0;
}
