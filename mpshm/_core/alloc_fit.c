#include "alloc_fit.h"

#include "alloc_order.h"

#define BATCH_MIN ((uint64_t)64 << 10) /* memory asked for at a time, at least */
#define BATCH_MAX ((uint64_t)2 << 20)
#define HOLE_MIN ((uint64_t)64 << 10) /* a smaller rest of a hole is filled at once */
#define GROW_MIN ((uint64_t)256 << 10)
#define GROW_MAX ((uint64_t)64 << 20)
#define PUNCH_MIN ((uint64_t)256 << 10)     /* bytes that must have become free in one piece */
#define PUNCH_OVER (3 * (uint64_t)MPS_PAGE) /* ... and when the arena has passed max_size */
/* Bytes that may lie free with memory, however little is used: an eighth of max_size within these bounds. (Memory that
 * is given back and had again costs more than what is stored there: 0.2 against 0.04 ms for a MiB.) */
#define KEEP_MIN ((uint64_t)16 << 20)
#define KEEP_MAX ((uint64_t)128 << 20)

/* The words that one transaction changes, at most:
 *   a free chunk made   head, size at its end, hole, hole_end, bins                    4 + 7
 *   take                bins, a gap in front (which has no hole), the chunk's head,    7 + (2 + 7) + 1
 *                       the rest behind it, used, blocks, holes                        + 11 + 3
 *   give                bins twice, the joined chunk, the next chunk's head,           7 + 7 + 11 + 1
 *                       used, blocks, holes                                            + 3
 *   extend              bins, the chunk's head, the rest, used, holes: less than take
 *   cut                 two heads and a give: MPS_FIT_EXTRA covers the heads
 *   grow                end, and a give that counts nothing as used before */
#define FREE_STORES (4u + MPS_BINS_STORES)
_Static_assert(MPS_FIT_GAP == 2 + MPS_BINS_STORES, "a gap");
_Static_assert(MPS_FIT_TAKE == MPS_BINS_STORES + MPS_FIT_GAP + 1 + FREE_STORES + 3, "take");
_Static_assert(MPS_FIT_GIVE == 2 * MPS_BINS_STORES + FREE_STORES + 1 + 3, "give");

/* A free chunk, as read and checked. hole == hole_end: none. */
typedef struct piece {
    mps_off at;
    uint64_t size;
    mps_off hole;
    mps_off hole_end;
} piece;

static uint64_t *word_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* Bytes that free and used chunks have together. */
static uint64_t capacity(const mps_seg *seg, const mps_fit *fit)
{
    return mps_load64(&fit->end) - MPS_CHUNK_HEAD - mps_fit_first(seg);
}

/* Reads a free chunk; false when there is none at this offset. */
static bool read_free(mps_seg *seg, mps_off at, piece *f)
{
    const mps_chunk *c = mps_chunk_at(seg, at, MPS_CHUNK_MIN);
    if (mps_unlikely(c == NULL)) {
        return false;
    }
    uint64_t head = mps_load64(&c->head);
    *f = (piece){.at = at, .size = mps_chunk_size(head)};
    if (mps_unlikely((head & (MPS_CINUSE | MPS_PINUSE | 8u)) != MPS_PINUSE || f->size < MPS_CHUNK_MIN ||
                     f->size >= MPS_FIT_LIMIT || !mps_region_holds(&seg->region, at, f->size + MPS_CHUNK_HEAD))) {
        return false;
    }
    return mps_chunk_hole(c, at, f->size, &f->hole, &f->hole_end);
}

/* What of a new free chunk is fresh (alloc_bins.h). */
enum { FRESH_HEAD = 1, FRESH_LINKS = 2, FRESH_LAST = 4 };

/* Makes f a free chunk behind one in use. */
static mps_status put_free(mps_tx *tx, mps_fit *fit, const piece *f, unsigned fresh)
{
    mps_chunk *c = mps_region_at(&tx->seg->region, f->at);
    bool punched = f->hole < f->hole_end;
    mps_bins_put(tx, &c->head, f->size | MPS_PINUSE | (punched ? MPS_PUNCHED : 0), (fresh & FRESH_HEAD) != 0);
    mps_bins_put(tx, word_at(tx->seg, f->at + f->size - 8), f->size, (fresh & FRESH_LAST) != 0);
    if (mps_unlikely(punched)) {
        mps_tx_set_inner(tx, &c->hole, f->hole);
        mps_tx_set_inner(tx, &c->hole_end, f->hole_end);
    }
    return mps_order_add(tx, fit, c, f->at, f->size, (fresh & FRESH_LINKS) != 0);
}

static mps_status take_out(mps_tx *tx, mps_fit *fit, const piece *f)
{
    return mps_order_remove(tx, fit, mps_region_at(&tx->seg->region, f->at), f->at, f->size);
}

/* What is fresh of the rest of a free chunk, split off behind its first n bytes. */
static unsigned fresh_rest(const piece *f, uint64_t n)
{
    return n >= (f->size > MPS_FIT_SMALL ? sizeof(mps_chunk) : MPS_CHUNK_LIST) ? FRESH_HEAD | FRESH_LINKS : 0;
}

static void count_word(mps_tx *tx, uint64_t *word, uint64_t plus, uint64_t minus)
{
    if (plus != minus) {
        mps_tx_set_inner(tx, word, mps_load64(word) + plus - minus);
    }
}

/* Sets or clears PINUSE in the head behind a chunk; that one must be in use, or the fence. */
static mps_status tell_next(mps_tx *tx, mps_off next, bool in_use)
{
    uint64_t *head = word_at(tx->seg, next);
    uint64_t now = mps_load64(head);
    if ((now & MPS_CINUSE) == 0) {
        return MPS_E_CORRUPT;
    }
    uint64_t then = in_use ? now | MPS_PINUSE : now & ~(uint64_t)MPS_PINUSE;
    if (then != now) {
        mps_tx_set_inner(tx, head, then);
    }
    return MPS_OK;
}

/* How much memory is asked for at a time: grows with what is in use, so that small segments stay small. */
static uint64_t batch_of(const mps_fit *fit)
{
    return mps_min64(mps_max64(mps_load64(&fit->used) / 4 & ~(uint64_t)(MPS_PAGE - 1), BATCH_MIN), BATCH_MAX);
}

/* Gets memory for the beginning of a free chunk's hole, so that all before `end` has some; f->hole moves on.
 * MPS_E_FULL: refused. */
static mps_status fill_hole(mps_seg *seg, const mps_fit *fit, piece *f, mps_off end)
{
    if (f->hole == f->hole_end || f->hole >= end) {
        return MPS_OK;
    }
    mps_off least = mps_min64(mps_round_up(end, MPS_PAGE), f->hole_end);
    mps_off best = mps_min64(mps_max64(least, f->hole + batch_of(fit)), f->hole_end);
    if (f->hole_end - best < HOLE_MIN) {
        best = f->hole_end;
    }
    mps_status st = mps_region_commit(&seg->region, f->hole, best - f->hole);
    if (st == MPS_E_FULL && best > least) {
        best = least;
        st = mps_region_commit(&seg->region, f->hole, best - f->hole);
    }
    if (st == MPS_OK) {
        f->hole = best;
    }
    return st;
}

/* Up to where a free chunk needs memory when all but its last `rest` bytes are taken: those have a hole only if they are too many for a
 * list, and none where the links are. */
static mps_off needed(const piece *f, uint64_t rest)
{
    return f->at + f->size - (rest > MPS_FIT_SMALL ? rest - sizeof(mps_chunk) : 0);
}

/* ---- take ---- */

/* Where in a free chunk an aligned one begins: at its beginning, or so far behind it that the gap is a chunk. */
static mps_off aligned_place(mps_off chunk, uint64_t align)
{
    mps_off at = mps_round_up(chunk + MPS_CHUNK_HEAD, align) - MPS_CHUNK_HEAD;
    return at != chunk && at - chunk < MPS_CHUNK_MIN ? at + align : at;
}

static mps_status carve(mps_tx *tx, mps_fit *fit, const piece *f, mps_off at, uint64_t size)
{
    uint64_t gap = at - f->at;
    piece rest = {.at = at + size, .size = f->size - gap - size, .hole = f->hole, .hole_end = f->hole_end};
    mps_status st = take_out(tx, fit, f);
    if (st == MPS_OK && gap > 0) {
        st = put_free(tx, fit, &(piece){.at = f->at, .size = gap}, 0);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set_inner(tx, word_at(tx->seg, at), size | MPS_CINUSE | (gap == 0 ? MPS_PINUSE : 0));
    return rest.size > 0 ? put_free(tx, fit, &rest, fresh_rest(f, rest.at - f->at)) : tell_next(tx, rest.at, true);
}

mps_status mps_fit_take(mps_tx *tx, uint64_t size, uint64_t align, mps_off *chunk, uint64_t *taken)
{
    mps_seg *seg = tx->seg;
    mps_fit *fit = mps_fit_of(seg);
    uint64_t enough = align > MPS_CHUNK_ALIGN ? size + align + MPS_CHUNK_ALIGN : size;
    mps_off found = 0;
    mps_status st = mps_order_find(seg, fit, enough, &found);
    if (st != MPS_OK) {
        return st;
    }
    piece f;
    if (!read_free(seg, found, &f) || f.size < enough) {
        return MPS_E_CORRUPT;
    }
    mps_off at = aligned_place(found, align);
    uint64_t rest = f.at + f.size - at - size;
    if (rest < MPS_CHUNK_MIN) {
        size += rest;
        rest = 0;
    }
    mps_off hole = f.hole;
    st = fill_hole(seg, fit, &f, needed(&f, rest));
    if (st == MPS_OK) {
        st = carve(tx, fit, &f, at, size);
    }
    if (st != MPS_OK) {
        return st;
    }
    count_word(tx, &fit->used, size, 0);
    count_word(tx, &fit->blocks, 1, 0);
    count_word(tx, &fit->holes, 0, f.hole - hole);
    *chunk = at;
    *taken = size;
    return MPS_OK;
}

/* ---- give ---- */

/* Adds a neighbour to a piece. Where both have holes, what lies between is in the hole too, and noted to be emptied. */
static void join(piece *f, const piece *other, mps_freed *freed)
{
    f->size += other->size;
    f->at = mps_min64(f->at, other->at);
    if (other->hole == other->hole_end) {
        return;
    }
    if (f->hole == f->hole_end) {
        f->hole = other->hole;
        f->hole_end = other->hole_end;
        return;
    }
    bool before = other->hole < f->hole;
    freed->gap = before ? other->hole_end : f->hole_end;
    freed->gap_end = before ? f->hole : other->hole;
    f->hole = mps_min64(f->hole, other->hole);
    f->hole_end = mps_max64(f->hole_end, other->hole_end);
}

static uint64_t hole_size(const piece *f)
{
    return f->hole_end - f->hole;
}

/* Makes f, up to now in use and behind what `pinuse` says, free, together with its free neighbours. fresh: of f
 * alone. */
static mps_status put_joined(mps_tx *tx, mps_fit *fit, piece f, bool pinuse, unsigned fresh, mps_freed *freed)
{
    mps_seg *seg = tx->seg;
    *freed = (mps_freed){0};
    uint64_t holes = 0; /* of the neighbours */
    mps_status st = MPS_OK;
    if (!pinuse) {
        uint64_t size = mps_load64(word_at(seg, f.at - 8));
        piece before;
        if (size > f.at - mps_fit_first(seg) || !read_free(seg, f.at - size, &before) || before.size != size) {
            return MPS_E_CORRUPT;
        }
        fresh &= FRESH_LAST;
        st = take_out(tx, fit, &before);
        holes += hole_size(&before);
        join(&f, &before, freed);
    }
    mps_off next = f.at + f.size;
    if (st == MPS_OK && (mps_load64(word_at(seg, next)) & MPS_CINUSE) == 0) {
        piece after;
        if (!read_free(seg, next, &after)) {
            return MPS_E_CORRUPT;
        }
        fresh &= ~(unsigned)FRESH_LAST;
        st = take_out(tx, fit, &after);
        holes += hole_size(&after);
        join(&f, &after, freed);
    } else if (st == MPS_OK) {
        st = tell_next(tx, next, false);
    }
    if (st == MPS_OK) {
        st = put_free(tx, fit, &f, fresh);
    }
    count_word(tx, &fit->holes, hole_size(&f), holes);
    freed->chunk = f.at;
    return st;
}

mps_status mps_fit_give(mps_tx *tx, mps_off chunk, uint64_t size, uint64_t count, bool intact, mps_freed *freed)
{
    mps_fit *fit = mps_fit_of(tx->seg);
    uint64_t head = mps_load64(word_at(tx->seg, chunk));
    if (mps_unlikely((head & MPS_CINUSE) == 0 || chunk < mps_fit_first(tx->seg))) {
        return MPS_E_CORRUPT;
    }
    unsigned fresh = intact ? 0 : FRESH_LINKS | FRESH_LAST;
    mps_status st = put_joined(tx, fit, (piece){.at = chunk, .size = size}, (head & MPS_PINUSE) != 0, fresh, freed);
    count_word(tx, &fit->used, 0, size);
    count_word(tx, &fit->blocks, 0, count);
    return st;
}

/* ---- longer and shorter in place ---- */

mps_status mps_fit_extend(mps_tx *tx, mps_off chunk, uint64_t size, uint64_t least, uint64_t most)
{
    mps_seg *seg = tx->seg;
    mps_fit *fit = mps_fit_of(seg);
    uint64_t found;
    mps_chunk *c = mps_chunk_used(seg, chunk, &found);
    if (c == NULL || found != size) {
        return MPS_E_CORRUPT;
    }
    mps_off next = chunk + size;
    piece f;
    if ((mps_load64(word_at(seg, next)) & MPS_CINUSE) != 0) {
        return MPS_E_NOTFOUND;
    }
    if (!read_free(seg, next, &f)) {
        return MPS_E_CORRUPT;
    }
    if (f.size < least) {
        return MPS_E_NOTFOUND;
    }
    /* What is added can be cut off again, whatever becomes of what lies behind it: so it is a chunk's size at least. */
    uint64_t plus = mps_min64(mps_max64(most, MPS_CHUNK_MIN), f.size);
    if (f.size - plus < MPS_CHUNK_MIN) {
        plus = f.size;
    }
    mps_off hole = f.hole;
    mps_status st = fill_hole(seg, fit, &f, needed(&f, f.size - plus));
    if (st == MPS_OK) {
        st = take_out(tx, fit, &f);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set_inner(tx, &c->head, mps_load64(&c->head) + plus);
    count_word(tx, &fit->used, plus, 0);
    count_word(tx, &fit->holes, 0, f.hole - hole);
    if (plus == f.size) {
        return tell_next(tx, next + plus, true);
    }
    piece rest = {.at = next + plus, .size = f.size - plus, .hole = f.hole, .hole_end = f.hole_end};
    return put_free(tx, fit, &rest, fresh_rest(&f, plus));
}

mps_status mps_fit_cut(mps_tx *tx, mps_off chunk, uint64_t size, mps_freed *freed)
{
    uint64_t now;
    mps_chunk *c = mps_chunk_used(tx->seg, chunk, &now);
    if (c == NULL || (size & MPS_CHUNK_FLAGS) != 0 || size < MPS_CHUNK_MIN || now < size ||
        now - size < MPS_CHUNK_MIN) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set_inner(tx, word_at(tx->seg, chunk + size), (now - size) | MPS_CINUSE | MPS_PINUSE);
    mps_tx_set_inner(tx, &c->head, size | (mps_load64(&c->head) & MPS_CHUNK_FLAGS));
    return mps_fit_give(tx, chunk + size, now - size, 0, false, freed);
}

/* ---- memory of the system ---- */

/* Gives all whole pages of a free chunk, behind its links, back to the system. */
static void punch(mps_tx *tx, mps_fit *fit, piece *f)
{
    mps_seg *seg = tx->seg;
    uint64_t before = hole_size(f);
    f->hole = mps_round_up(f->at + sizeof(mps_chunk), MPS_PAGE);
    f->hole_end = (f->at + f->size - 8) & ~(uint64_t)(MPS_PAGE - 1);
    mps_chunk *c = mps_region_at(&seg->region, f->at);
    mps_tx_set_inner(tx, &c->hole, f->hole);
    mps_tx_set_inner(tx, &c->hole_end, f->hole_end);
    mps_tx_set_inner(tx, &c->head, mps_load64(&c->head) | MPS_PUNCHED);
    count_word(tx, &fit->holes, hole_size(f), before);
    mps_tx_commit_inner(tx, -1, 0, 0);
    (void)mps_region_punch(&seg->region, f->hole, hole_size(f));
}

void mps_fit_settle(mps_tx *tx, const mps_freed *freed)
{
    mps_seg *seg = tx->seg;
    mps_fit *fit = mps_fit_of(seg);
    if (freed->gap < freed->gap_end) {
        (void)mps_region_punch(&seg->region, freed->gap, freed->gap_end - freed->gap);
    }
    uint64_t used = mps_load64(&fit->used);
    uint64_t backed = capacity(seg, fit) - used - mps_load64(&fit->holes);
    /* What a journal took beyond max_size goes back at once, as much as the segment then is too large. */
    bool over = mps_unlikely(mps_load64(&fit->end) > seg->max_end) && used + backed > seg->max_end - seg->arena;
    uint64_t keep = mps_max64(KEEP_MIN, mps_min64((seg->max_end - seg->arena) / 8, KEEP_MAX));
    piece f;
    if (mps_likely(!over && backed <= keep + used) || !read_free(seg, freed->chunk, &f) || f.size <= MPS_FIT_SMALL ||
        f.size - hole_size(&f) < (over ? PUNCH_OVER : PUNCH_MIN)) {
        return;
    }
    punch(tx, fit, &f);
}

#define TEND_WORK \
    ((uint64_t)8 << 20) /* bytes filled or given back, and 64 for each chunk passed, under the guard at once */

/* Fills a free chunk between its links and its last word, but for its hole. Nobody reads these bytes: no journal. */
static uint64_t fill(mps_seg *seg, const piece *f)
{
    mps_off from = f->at + (f->size > MPS_FIT_SMALL ? sizeof(mps_chunk) : MPS_CHUNK_LIST), to = f->at + f->size - 8;
    mps_off stop = f->hole < f->hole_end ? f->hole : to;
    memset(word_at(seg, from), 0, stop - from);
    if (stop == to) {
        return to - from;
    }
    memset(word_at(seg, f->hole_end), 0, to - f->hole_end);
    return stop - from + to - f->hole_end;
}

mps_status mps_fit_tend(mps_tx *tx, mps_off from, bool give_back, mps_off *next)
{
    mps_seg *seg = tx->seg;
    mps_fit *fit = mps_fit_of(seg);
    mps_off end = mps_load64(&fit->end);
    uint64_t work = 0, size = 0;
    mps_off at = mps_fit_first(seg);
    /* (the chunk that was to be next may be part of another by now: so from the beginning, every time) */
    for (; at < end - MPS_CHUNK_HEAD && work < TEND_WORK; at += size) {
        const mps_chunk *c = mps_chunk_at(seg, at, MPS_CHUNK_MIN);
        size = c != NULL ? mps_chunk_size(mps_load64(&c->head)) : 0;
        if (size < MPS_CHUNK_MIN || size > end - MPS_CHUNK_HEAD - at) {
            return MPS_E_CORRUPT;
        }
        piece f;
        if (at < from || (mps_load64(&c->head) & MPS_CINUSE) != 0) {
            work += at < from ? 0 : 64;
        } else if (!read_free(seg, at, &f)) {
            return MPS_E_CORRUPT;
        } else if (!give_back) {
            work += fill(seg, &f);
        } else if (f.size > MPS_FIT_SMALL && f.size - hole_size(&f) >= PUNCH_OVER) {
            work += f.size;
            punch(tx, fit, &f);
        }
    }
    *next = at < end - MPS_CHUNK_HEAD ? at : 0;
    return MPS_OK;
}

/* The last chunk, if it is free and so long that the arena can end at least a page earlier; *new_end: where. */
static bool read_last(mps_seg *seg, const mps_fit *fit, piece *last, mps_off *new_end)
{
    mps_off end = mps_load64(&fit->end), first = mps_fit_first(seg);
    if (end < first + 2 * MPS_PAGE || (mps_load64(word_at(seg, end - MPS_CHUNK_HEAD)) & MPS_PINUSE) != 0) {
        return false;
    }
    uint64_t size = mps_load64(word_at(seg, end - 2 * MPS_CHUNK_HEAD));
    if (size > end - MPS_CHUNK_HEAD - first || !read_free(seg, end - MPS_CHUNK_HEAD - size, last) ||
        last->size != size) {
        return false;
    }
    *new_end = mps_round_up(mps_max64(last->at + sizeof(mps_chunk), first) + 4 * MPS_CHUNK_MIN, MPS_PAGE);
    return *new_end + MPS_PAGE <= end;
}

mps_status mps_fit_cut_end(mps_tx *tx)
{
    mps_seg *seg = tx->seg;
    mps_fit *fit = mps_fit_of(seg);
    piece last;
    mps_off new_end = 0, end = mps_load64(&fit->end);
    if (!read_last(seg, fit, &last, &new_end)) {
        return MPS_OK;
    }
    /* All that is left of the chunk has memory: less than two pages. */
    mps_status st = mps_region_commit(&seg->region, last.at & ~(uint64_t)(MPS_PAGE - 1),
                                      new_end - (last.at & ~(uint64_t)(MPS_PAGE - 1)));
    if (st != MPS_OK) {
        return st;
    }
    st = take_out(tx, fit, &last);
    piece rest = {.at = last.at, .size = new_end - MPS_CHUNK_HEAD - last.at};
    mps_tx_set_inner(tx, word_at(seg, new_end - MPS_CHUNK_HEAD), MPS_CINUSE);
    mps_tx_set_inner(tx, &fit->end, new_end);
    count_word(tx, &fit->holes, 0, hole_size(&last));
    st = st == MPS_OK ? put_free(tx, fit, &rest, 0) : st;
    if (st != MPS_OK) {
        mps_tx_abort_inner(tx);
        return st;
    }
    mps_tx_commit_inner(tx, -1, 0, 0);
    (void)mps_region_punch(&seg->region, new_end, end - new_end);
    return MPS_OK;
}

/* The hole of a free chunk that is to reach from `at` to the arena's end; memory for all around it. */
static mps_status back_around(mps_seg *seg, piece *f, mps_off begin, mps_off end, uint64_t batch)
{
    f->hole = mps_round_up(f->at + sizeof(mps_chunk) + batch, MPS_PAGE);
    f->hole_end = (end - 2 * MPS_CHUNK_HEAD) & ~(uint64_t)(MPS_PAGE - 1);
    if (f->hole_end < f->hole + HOLE_MIN) {
        f->hole = f->hole_end = 0;
        return mps_region_commit(&seg->region, begin, end - begin);
    }
    mps_status st = mps_region_commit(&seg->region, begin, f->hole - begin);
    return st == MPS_OK ? mps_region_commit(&seg->region, f->hole_end, end - f->hole_end) : st;
}

static mps_status move_end(mps_tx *tx, mps_fit *fit, mps_off end, mps_off new_end, bool backed)
{
    mps_seg *seg = tx->seg;
    piece f = {.at = end - MPS_CHUNK_HEAD, .size = new_end - end};
    mps_status st = back_around(seg, &f, end, new_end, backed ? f.size : batch_of(fit));
    if (st != MPS_OK) {
        return st;
    }
    mps_freed freed;
    bool pinuse = (mps_load64(word_at(seg, f.at)) & MPS_PINUSE) != 0;
    mps_store64(word_at(seg, new_end - MPS_CHUNK_HEAD), MPS_CINUSE);
    mps_tx_set_inner(tx, &fit->end, new_end);
    st = put_joined(tx, fit, f, pinuse, FRESH_LINKS | FRESH_LAST, &freed);
    if (st != MPS_OK) {
        mps_tx_abort_inner(tx);
        return st;
    }
    mps_tx_commit_inner(tx, -1, 0, 0);
    mps_fit_settle(tx, &freed);
    return MPS_OK;
}

mps_status mps_fit_grow(mps_tx *tx, uint64_t size, bool backed)
{
    mps_seg *seg = tx->seg;
    mps_fit *fit = mps_fit_of(seg);
    mps_off first = mps_fit_first(seg);
    mps_off end = mps_load64(&fit->end);
    if ((end & 15) != 0 || end < first + MPS_CHUNK_MIN || !mps_region_holds(&seg->region, 0, end)) {
        return MPS_E_CORRUPT;
    }
    uint64_t fence = mps_load64(word_at(seg, end - MPS_CHUNK_HEAD));
    uint64_t tail = (fence & MPS_PINUSE) != 0 || backed ? 0 : mps_load64(word_at(seg, end - 2 * MPS_CHUNK_HEAD));
    if ((fence & ~(uint64_t)MPS_PINUSE) != MPS_CINUSE || tail > end - first) {
        return MPS_E_CORRUPT;
    }
    mps_off limit = tx->urgent ? seg->region.reserve : seg->max_end;
    mps_off highest = mps_min64(limit, MPS_FIT_LIMIT - MPS_PAGE) & ~(uint64_t)15;
    uint64_t room = highest > end ? highest - end : 0;
    uint64_t least = mps_max64(size > tail ? size - tail : 0, MPS_CHUNK_MIN);
    if (least > room) {
        return MPS_E_FULL;
    }
    uint64_t best = tx->urgent ? least : mps_min64(mps_max64((end - first) / 2, GROW_MIN), GROW_MAX);
    mps_off least_end = mps_min64(mps_round_up(end + least, MPS_PAGE), highest);
    mps_off best_end = backed ? least_end : mps_min64(mps_round_up(end + mps_max64(least, best), MPS_PAGE), highest);
    mps_status st = move_end(tx, fit, end, best_end, backed);
    if (st == MPS_E_FULL && best_end > least_end) {
        st = move_end(tx, fit, end, least_end, backed);
    }
    return st;
}

mps_status mps_fit_format(mps_seg *seg, mps_off end)
{
    mps_fit *fit = mps_fit_of(seg);
    end = mps_min64(end, MPS_FIT_LIMIT - MPS_PAGE) & ~(uint64_t)15;
    mps_off first = mps_fit_first(seg);
    if (end < first + MPS_CHUNK_HEAD + MPS_CHUNK_MIN) {
        return MPS_E_INVAL;
    }
    uint64_t size = end - MPS_CHUNK_HEAD - first;
    memset(fit, 0, sizeof(*fit));
    fit->end = end;
    mps_chunk *c = mps_region_at(&seg->region, first);
    c->head = size | MPS_PINUSE;
    *word_at(seg, first + size - 8) = size;
    *word_at(seg, end - MPS_CHUNK_HEAD) = MPS_CINUSE;
    mps_order_begin(seg, fit, c, first, size);
    return MPS_OK;
}
