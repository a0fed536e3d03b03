#include "alloc.h"

#include "alloc_fit.h"
#include "racy.h"

#define RUN_BYTES 2048u    /* blocks are taken from the allocator behind the caches in runs of about this many bytes */
#define RUN_MIN 4u         /* blocks in a run, at least */
#define CACHE_BYTES 16384u /* a class of a lane's cache is trimmed, to a half, when it holds more than this ... */
#define CACHE_MIN 16u      /* ... but so many blocks may always stay */
#define BATCH 96u          /* blocks that leave a cache in one operation */
#define SPILL_MIN 240u     /* entries of the smallest spill */

#ifndef MPS_LARGE_ARENA                       /* (tests have it smaller) */
#define MPS_LARGE_ARENA ((uint64_t)256 << 20) /* bytes that an arena may reach for blocks of middle size to be cached */
#endif

_Static_assert(BATCH + 1 <= MPS_OUTER, "a batch fits into the journal");
_Static_assert(MPS_SMALL + MPS_CHUNK_HEAD == 528 && MPS_CLASSES == MPS_SMALL_CLASSES + 25, "the classes of alloc.h");

/* Words of a free chunk after its head. In a chunk that was just taken they are restored if the inner transaction is
 * undone: so until its commit they change in the journal only. What lies behind them may be written without. */
#define LINK_WORDS ((sizeof(mps_chunk) - MPS_CHUNK_HEAD) / 8)
_Static_assert(MPS_FIT_TAKE - MPS_FIT_GAP + 2 + MPS_FIT_GIVE + LINK_WORDS <= MPS_INNER,
               "a spill is replaced in one transaction");

static mps_guard *guard_of(const mps_tx *tx)
{
    return &mps_fit_of(tx->seg)->guard;
}

/* The first word of a block whose offset was read from a cache or a journal; NULL when there can't be a block. */
static inline uint64_t *first_word(mps_seg *seg, mps_off block)
{
    if (mps_unlikely((block & 15) != 0 || block <= seg->arena ||
                     !mps_region_holds(&seg->region, block, MPS_CHUNK_MIN - MPS_CHUNK_HEAD))) {
        return NULL;
    }
    return mps_region_at(&seg->region, block);
}

static mps_off block_of(const mps_undo *entry)
{
    return entry->where & ~(uint64_t)MPS_UNDO_KIND;
}

/* Whether that many blocks of a class are too many for a cache. */
static inline bool is_too_long(uint32_t class, uint64_t n)
{
    return n > CACHE_MIN && n * mps_class_size(class) > CACHE_BYTES;
}

/* Keeps the private guess of a cache's length. */
static inline void count_cached(mps_tx *tx, uint32_t class, uint32_t n)
{
    uint16_t *cached = &tx->seg->cached[tx->lane_index][class];
    if (mps_likely(!tx->foreign && *cached < UINT16_MAX - n)) {
        *cached = (uint16_t)(*cached + n);
        tx->trim |= is_too_long(class, *cached);
    }
}

static inline void count_taken(mps_tx *tx, uint32_t class)
{
    uint16_t *cached = &tx->seg->cached[tx->lane_index][class];
    *cached = (uint16_t)(*cached - (!tx->foreign && *cached > 0));
}

/* ---- from and to the allocator behind ---- */

static mps_status give_up(mps_tx *tx, mps_status st)
{
    if (mps_ctl_inner(tx->ctl) > 0) {
        mps_tx_abort_inner(tx);
    }
    mps_tx_unlock_last(tx);
    return st;
}

/* Takes a chunk, after growing the segment if need be. Under the guard; the caller commits. */
static mps_status take(mps_tx *tx, uint64_t size, uint64_t align, mps_off *chunk, uint64_t *taken)
{
    uint64_t used = mps_load64(&mps_fit_of(tx->seg)->used), most = tx->seg->max_end - tx->seg->arena;
    if (!tx->urgent && (used > most || size > most - used)) {
        return MPS_E_FULL; /* there may be free chunks that a journal has left behind max_size */
    }
    mps_status st = mps_fit_take(tx, size, align, chunk, taken);
    if (st != MPS_E_NOTFOUND) {
        return st;
    }
    st = mps_fit_grow(tx, align > MPS_CHUNK_ALIGN ? size + align + MPS_CHUNK_ALIGN : size, false);
    if (st == MPS_OK) {
        st = mps_fit_take(tx, size, align, chunk, taken);
    }
    return st == MPS_E_NOTFOUND ? MPS_E_FULL : st;
}

__attribute__((noinline)) static mps_status alloc_large(mps_tx *tx, uint64_t nbytes, uint64_t align, mps_off *block)
{
    if (nbytes >= MPS_FIT_LIMIT) {
        return MPS_E_FULL;
    }
    uint64_t size = mps_max64(mps_round_up(nbytes + MPS_CHUNK_HEAD, MPS_CHUNK_ALIGN), MPS_CHUNK_MIN);
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    mps_off chunk;
    uint64_t taken;
    st = take(tx, size, align, &chunk, &taken);
    if (st != MPS_OK) {
        return give_up(tx, st);
    }
    *block = chunk + MPS_CHUNK_HEAD;
    mps_tx_commit_inner(tx, MPS_UNDO_ALLOC, *block, taken);
    mps_tx_unlock_last(tx);
    return MPS_OK;
}

/* Gives the bytes behind a journal's last entry back, count chunks, and takes the entry off. */
__attribute__((noinline)) static mps_status give_entry(mps_tx *tx, mps_off chunk, uint64_t size, uint64_t count)
{
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    mps_freed freed;
    /* (the heads of several must still be there when it is done again) */
    st = mps_fit_give(tx, chunk, size, count, count > 1, &freed);
    if (st != MPS_OK) {
        return give_up(tx, st);
    }
    mps_tx_commit_inner_pop(tx);
    mps_fit_settle(tx, &freed);
    mps_tx_unlock_last(tx);
    return MPS_OK;
}

/* ---- caches ---- */

/* Cuts a chunk just taken into n of a class, the last of which may be 16 bytes longer. Inside the inner transaction. */
static void cut_run(mps_tx *tx, mps_off chunk, uint64_t taken, uint64_t size, uint64_t n)
{
    uint8_t *at = mps_region_at(&tx->seg->region, chunk);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t *head = (uint64_t *)(void *)(at + i * size);
        uint64_t flags = i == 0 ? mps_load64(head) & MPS_CHUNK_FLAGS : MPS_CINUSE | MPS_PINUSE;
        uint64_t value = (i + 1 < n ? size : taken - i * size) | flags;
        if (i * size < sizeof(mps_chunk)) {
            mps_tx_set_inner(tx, head, value);
        } else {
            mps_store64(head, value);
        }
    }
    uint64_t *blocks = &mps_fit_of(tx->seg)->blocks;
    mps_tx_set_inner(tx, blocks, mps_load64(blocks) + n - 1);
}
/* (heads within the links' 64 bytes: two at most; and blocks) */
_Static_assert((sizeof(mps_chunk) + MPS_CHUNK_MIN - 1) / MPS_CHUNK_MIN + 1 <= MPS_FIT_EXTRA,
               "a run is cut within the transaction");

/* Takes a run of n blocks: the first (or the last, if that is longer) is the caller's, the others go to the empty
 * cache. */
static mps_status take_run(mps_tx *tx, uint32_t class, uint64_t n, mps_off *block)
{
    uint64_t size = mps_class_size(class);
    mps_off chunk;
    uint64_t taken;
    mps_status st = take(tx, size * n, MPS_CHUNK_ALIGN, &chunk, &taken);
    if (st != MPS_OK) {
        if (mps_ctl_inner(tx->ctl) > 0) {
            mps_tx_abort_inner(tx);
        }
        return st;
    }
    if (n > 1) {
        cut_run(tx, chunk, taken, size, n);
    }
    mps_off first = chunk + MPS_CHUNK_HEAD;
    mps_tx_commit_inner(tx, MPS_UNDO_ALLOC, first, taken);
    if (n == 1) {
        *block = first;
        return MPS_OK;
    }
    mps_off last = first + (n - 1) * size;
    bool longer = taken != n * size;
    *block = longer ? last : first;
    first = longer ? first : first + size;
    last = longer ? last - size : last;
    for (mps_off at = first; at <= last; at += size) {
        mps_store64(mps_region_at(&tx->seg->region, at), at < last ? at + size : 0);
    }
    mps_tx_set(tx, &tx->lane->cache[class], first);
    count_cached(tx, class, (uint32_t)n - 1);
    return MPS_OK;
}

__attribute__((noinline)) static mps_status refill(mps_tx *tx, uint32_t class, mps_off *block)
{
    uint64_t n = mps_max64(RUN_BYTES / mps_class_size(class), RUN_MIN);
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    st = take_run(tx, class, n, block);
    if (st == MPS_E_FULL) {
        st = take_run(tx, class, 1, block);
    }
    mps_tx_unlock_last(tx);
    return st;
}

/* Puts a block at the head of its cache, unless it is there already: doing it again does no harm. */
static inline void push(mps_tx *tx, uint32_t class, mps_off block, uint64_t *word)
{
    uint64_t *cache = &tx->lane->cache[class];
    mps_off first = mps_load64(cache);
    if (first != block) {
        mps_store64(word, first);
        mps_barrier();
        mps_store64(cache, block);
        mps_barrier();
        count_cached(tx, class, 1);
    }
    mps_tx_commit_inner_pop(tx);
}

/* Whether blocks of middle size are cached: not where those that lie unused would be missed. */
static inline bool caches_middle(const mps_seg *seg)
{
    return seg->max_end - seg->arena >= MPS_LARGE_ARENA;
}

/* The first class whose chunks are long enough. */
static inline uint32_t class_for(uint64_t nbytes)
{
    uint64_t size = mps_max64(mps_round_up(nbytes + MPS_CHUNK_HEAD, MPS_CHUNK_ALIGN), MPS_CHUNK_MIN);
    uint32_t class = mps_class_of(size);
    return class + (mps_class_size(class) < size);
}

mps_status mps_alloc(mps_tx *tx, uint64_t nbytes, mps_off *block)
{
    if (nbytes > MPS_SMALL && (nbytes > MPS_MIDDLE || !caches_middle(tx->seg))) {
        return alloc_large(tx, nbytes, MPS_CHUNK_ALIGN, block);
    }
    uint32_t class = class_for(nbytes);
    mps_off first = mps_load64(&tx->lane->cache[class]);
    if (mps_unlikely(first == 0)) {
        return class < MPS_SMALL_CLASSES
                   ? refill(tx, class, block)
                   : alloc_large(tx, mps_class_size(class) - MPS_CHUNK_HEAD, MPS_CHUNK_ALIGN, block);
    }
    const uint64_t *word = first_word(tx->seg, first);
    if (mps_unlikely(word == NULL)) {
        return MPS_E_CORRUPT;
    }
    mps_tx_note(tx, MPS_UNDO_CACHED, first, class);
    mps_store64(&tx->lane->cache[class], mps_load64(word));
    count_taken(tx, class);
    *block = first;
    return MPS_OK;
}

mps_status mps_alloc_span(mps_tx *tx, uint64_t nbytes, uint64_t align, mps_off *block)
{
    mps_assert(align >= MPS_CHUNK_ALIGN && align <= MPS_ALIGN_MAX && (align & (align - 1)) == 0);
    return alloc_large(tx, nbytes, align, block);
}

mps_status mps_alloc_aligned(mps_tx *tx, uint64_t nbytes, uint64_t align, mps_off *block)
{
    if (align < MPS_CHUNK_ALIGN || align > MPS_PAGE || (align & (align - 1)) != 0) {
        return MPS_E_INVAL;
    }
    return alloc_large(tx, nbytes, align, block);
}

mps_status mps_free(mps_tx *tx, mps_off block)
{
    uint64_t size;
    if (mps_unlikely(mps_chunk_used(tx->seg, block - MPS_CHUNK_HEAD, &size) == NULL)) {
        return MPS_E_CORRUPT;
    }
    mps_tx_note(tx, MPS_UNDO_FREE, block, 0);
    tx->has_frees = true;
    return MPS_OK;
}

uint64_t mps_alloc_usable(mps_seg *seg, mps_off block)
{
    uint64_t size;
    return mps_chunk_used(seg, block - MPS_CHUNK_HEAD, &size) != NULL ? size - MPS_CHUNK_HEAD : 0;
}

mps_status mps_alloc_extend(mps_tx *tx, mps_off block, uint64_t nbytes, uint64_t wanted)
{
    mps_seg *seg = tx->seg;
    mps_off chunk = block - MPS_CHUNK_HEAD;
    uint64_t size;
    if (mps_chunk_used(seg, chunk, &size) == NULL) {
        return MPS_E_CORRUPT;
    }
    uint64_t have = size - MPS_CHUNK_HEAD;
    if (nbytes <= have) {
        return MPS_OK;
    }
    /* A look without the guard: mostly the neighbour is taken. */
    if (nbytes >= MPS_FIT_LIMIT || (mps_load64(mps_region_at(&seg->region, chunk + size)) & MPS_CINUSE) != 0) {
        return MPS_E_NOTFOUND;
    }
    wanted = mps_min64(mps_max64(wanted, nbytes), MPS_FIT_LIMIT);
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    st = mps_fit_extend(tx, chunk, size, mps_round_up(nbytes - have, MPS_CHUNK_ALIGN),
                        mps_round_up(wanted - have, MPS_CHUNK_ALIGN));
    if (st != MPS_OK) {
        return give_up(tx, st);
    }
    mps_tx_commit_inner(tx, MPS_UNDO_EXTEND, block, size);
    mps_tx_unlock_last(tx);
    return MPS_OK;
}

mps_status mps_alloc_shrink(mps_tx *tx, mps_off block, uint64_t nbytes)
{
    uint64_t size;
    if (mps_chunk_used(tx->seg, block - MPS_CHUNK_HEAD, &size) == NULL || nbytes > size - MPS_CHUNK_HEAD) {
        return MPS_E_CORRUPT;
    }
    uint64_t least = mps_max64(mps_round_up(nbytes + MPS_CHUNK_HEAD, MPS_CHUNK_ALIGN), MPS_CHUNK_MIN);
    if (size - least >= MPS_CHUNK_MIN) {
        mps_tx_note(tx, MPS_UNDO_FIT, block, least);
        tx->has_frees = true;
    }
    return MPS_OK;
}

mps_status mps_alloc_many(mps_tx *tx, const uint64_t *sizes, uint64_t n, mps_off *blocks)
{
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        st = mps_tx_room(tx, 2);
        if (st == MPS_OK) {
            st = mps_alloc(tx, sizes[i], &blocks[i]);
        }
    }
    return st;
}

/* ---- hooks ---- */

/* How many chunks the bytes of a run that is given back are in just now; 0 when they don't add up. */
static uint64_t count_run(mps_seg *seg, mps_off chunk, uint64_t bytes)
{
    uint64_t n = 0;
    while (bytes > 0) {
        uint64_t size;
        if (mps_chunk_used(seg, chunk, &size) == NULL || size > bytes) {
            return 0;
        }
        chunk += size;
        bytes -= size;
        n++;
    }
    return n;
}

/* Gives a run back, which may have been cut into any number of chunks, and takes the entry off. */
static mps_status undo_alloc(mps_tx *tx, mps_off chunk, uint64_t bytes)
{
    uint64_t count = count_run(tx->seg, chunk, bytes);
    return count > 0 ? give_entry(tx, chunk, bytes, count) : MPS_E_CORRUPT;
}

/* Cuts the block behind a journal's last entry, and takes the entry off. */
static mps_status cut_entry(mps_tx *tx, mps_off chunk, uint64_t size)
{
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    mps_freed freed;
    st = mps_fit_cut(tx, chunk, size, &freed);
    if (st != MPS_OK) {
        return give_up(tx, st);
    }
    mps_tx_commit_inner_pop(tx);
    mps_fit_settle(tx, &freed);
    mps_tx_unlock_last(tx);
    return MPS_OK;
}

static mps_status undo_cached(mps_tx *tx, mps_off block, uint64_t class)
{
    uint64_t *word = first_word(tx->seg, block);
    if (word == NULL || class >= MPS_CLASSES) {
        return MPS_E_CORRUPT;
    }
    push(tx, (uint32_t)class, block, word);
    return MPS_OK;
}

mps_status mps_alloc_undo(mps_tx *tx, const mps_undo *entry)
{
    mps_off block = block_of(entry);
    switch (entry->where & MPS_UNDO_KIND) {
    case MPS_UNDO_ALLOC: return undo_alloc(tx, block - MPS_CHUNK_HEAD, entry->old);
    case MPS_UNDO_EXTEND: return cut_entry(tx, block - MPS_CHUNK_HEAD, entry->old);
    case MPS_UNDO_CACHED: return undo_cached(tx, block, entry->old);
    default: return MPS_E_CORRUPT;
    }
}

mps_status mps_alloc_free_entry(mps_tx *tx, const mps_undo *entry)
{
    mps_off block = block_of(entry);
    mps_off chunk = block - MPS_CHUNK_HEAD;
    uint64_t size;
    if ((entry->where & MPS_UNDO_KIND) == MPS_UNDO_FREE && entry->old != 0) {
        return undo_alloc(tx, chunk, entry->old);
    }
    if (mps_unlikely(mps_chunk_used(tx->seg, chunk, &size) == NULL)) {
        return MPS_E_CORRUPT;
    }
    if (mps_unlikely((entry->where & MPS_UNDO_KIND) == MPS_UNDO_FIT && entry->old != 0)) {
        return cut_entry(tx, chunk, entry->old);
    }
    uint64_t end = caches_middle(tx->seg) ? MPS_MIDDLE_END : MPS_SMALL + MPS_CHUNK_HEAD + 1;
    if ((entry->where & MPS_UNDO_KIND) == MPS_UNDO_FREE && size < end) {
        push(tx, mps_class_of(size), block, mps_region_at(&tx->seg->region, block));
        return MPS_OK;
    }
    return give_entry(tx, chunk, size, 1);
}

void mps_alloc_release_for(mps_seg *seg, uint32_t token)
{
    mps_guard_release_for(&mps_fit_of(seg)->guard, token);
}

/* ---- caches that give back ---- */

/* Blocks side by side, which are given back as one: [begin, end) from a block's payload on. */
typedef struct run {
    mps_off begin, end;
} run;

/* Adds a block at one end of a run, if it lies there. */
static bool extend_run(run *r, mps_off block, uint64_t size)
{
    if (block == r->end) {
        r->end += size;
        return true;
    }
    if (block + size == r->begin) {
        r->begin = block;
        return true;
    }
    return false;
}

static void note_run(mps_tx *tx, const run *r)
{
    if (r->begin < r->end) {
        mps_tx_note(tx, MPS_UNDO_FREE, r->begin, r->end - r->begin);
    }
}

/* Gives up to n blocks of a class to the allocator behind. */
static mps_status shed(mps_tx *tx, uint32_t class, uint64_t n)
{
    uint64_t *cache = &tx->lane->cache[class];
    while (n > 0 && mps_load64(cache) != 0) {
        mps_status st = mps_tx_lock(tx, guard_of(tx));
        if (st != MPS_OK) {
            return st;
        }
        mps_tx_log(tx, cache);
        mps_off at = mps_load64(cache);
        run r = {0, 0};
        for (uint32_t i = 0; i < BATCH && n > 0 && at != 0; i++, n--) {
            const uint64_t *word = first_word(tx->seg, at);
            uint64_t size;
            if (word == NULL || mps_chunk_used(tx->seg, at - MPS_CHUNK_HEAD, &size) == NULL) {
                (void)mps_tx_abort(tx);
                return MPS_E_CORRUPT;
            }
            if (!extend_run(&r, at, size)) {
                note_run(tx, &r);
                r = (run){at, at + size};
            }
            at = mps_load64(word);
        }
        note_run(tx, &r);
        mps_store64(cache, at);
        tx->has_frees = true;
        st = mps_tx_commit(tx);
        if (st != MPS_OK) {
            return st;
        }
    }
    return MPS_OK;
}

/* Blocks in a cache; MPS_E_CORRUPT when it has no end. */
static mps_status cache_length(mps_tx *tx, uint32_t class, uint64_t *n)
{
    uint64_t most = mps_load64(&tx->seg->region.limit) / MPS_CHUNK_MIN;
    mps_off at = mps_load64(&tx->lane->cache[class]);
    for (*n = 0; at != 0; ++*n) {
        const uint64_t *word = first_word(tx->seg, at);
        if (word == NULL || *n > most) {
            return MPS_E_CORRUPT;
        }
        at = mps_load64(word);
    }
    return MPS_OK;
}

/* The outer journal is empty: so is the spill. */
static mps_status drop_spill(mps_tx *tx)
{
    mps_off block = mps_load64(&tx->lane->spill);
    if (block == 0 || mps_ctl_outer(tx->ctl) > 0) {
        return MPS_OK;
    }
    mps_off chunk = block - MPS_CHUNK_HEAD;
    uint64_t size;
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    if (mps_chunk_used(tx->seg, chunk, &size) == NULL) {
        return give_up(tx, MPS_E_CORRUPT);
    }
    mps_freed freed;
    mps_tx_set_inner(tx, &tx->lane->spill, 0);
    mps_tx_set_inner(tx, &tx->lane->spill_entries, 0);
    st = mps_fit_give(tx, chunk, size, 1, false, &freed);
    if (st != MPS_OK) {
        return give_up(tx, st);
    }
    mps_tx_commit_inner(tx, -1, 0, 0);
    mps_fit_settle(tx, &freed);
    mps_tx_unlock_last(tx);
    return MPS_OK;
}

mps_status mps_alloc_flush(mps_tx *tx, uint32_t keep)
{
    for (uint32_t class = 0; class < MPS_CLASSES; class++) {
        uint64_t n;
        mps_status st = cache_length(tx, class, &n);
        if (st == MPS_OK && n > keep) {
            st = shed(tx, class, n - keep);
            n = keep;
        }
        if (st != MPS_OK) {
            return st;
        }
        if (!tx->foreign) {
            tx->seg->cached[tx->lane_index][class] = (uint16_t)mps_min64(n, UINT16_MAX);
        }
    }
    return drop_spill(tx);
}

void mps_alloc_trim(mps_tx *tx)
{
    if (tx->trim && !tx->foreign) {
        uint16_t *cached = tx->seg->cached[tx->lane_index];
        for (uint32_t class = 0; class < MPS_CLASSES; class++) {
            if (is_too_long(class, cached[class]) && shed(tx, class, cached[class] / 2) == MPS_OK) {
                cached[class] = (uint16_t)(cached[class] - cached[class] / 2);
            }
        }
    }
    tx->trim = false;
    (void)drop_spill(tx);
}

/* ---- the journal's spill ---- */

/* Copies entries into the payload of a chunk that is being taken: its first words in the journal. */
static void copy_entries(mps_tx *tx, uint64_t *to, const uint64_t *from, uint64_t words)
{
    uint64_t links = mps_min64(words, LINK_WORDS);
    for (uint64_t i = 0; i < links; i++) {
        mps_tx_set_inner(tx, to + i, mps_load64(from + i));
    }
    if (words > links) {
        mps_fresh_move(to + links, from + links, words - links);
    }
}

/* Lets a larger block take the spill's place. Under the guard; the caller commits. */
static mps_status replace_spill(mps_tx *tx, uint64_t entries, mps_freed *freed)
{
    mps_lane *lane = tx->lane;
    mps_off old = mps_load64(&lane->spill);
    uint64_t outer = mps_ctl_outer(tx->ctl);
    uint64_t filled = outer > MPS_OUTER ? outer - MPS_OUTER : 0;
    uint64_t size = mps_round_up(entries * sizeof(mps_undo) + MPS_CHUNK_HEAD, MPS_CHUNK_ALIGN);
    mps_off chunk;
    uint64_t taken, old_size = 0;
    mps_status st = take(tx, size, MPS_CHUNK_ALIGN, &chunk, &taken);
    if (st != MPS_OK) {
        return st;
    }
    mps_off block = chunk + MPS_CHUNK_HEAD;
    if (filled > 0) {
        copy_entries(tx, mps_region_at(&tx->seg->region, block), mps_region_at(&tx->seg->region, old), filled * 2);
    }
    mps_tx_set_inner(tx, &lane->spill, block);
    mps_tx_set_inner(tx, &lane->spill_entries, (taken - MPS_CHUNK_HEAD) / sizeof(mps_undo));
    if (old == 0) {
        return MPS_OK;
    }
    bool there = mps_chunk_used(tx->seg, old - MPS_CHUNK_HEAD, &old_size) != NULL;
    return there ? mps_fit_give(tx, old - MPS_CHUNK_HEAD, old_size, 1, true, freed) : MPS_E_CORRUPT;
}

/* How many entries the spill has room for; MPS_E_CORRUPT when it is not the block that the lane says it is. */
static mps_status spill_room(const mps_tx *tx, uint64_t *entries)
{
    mps_off spill = mps_load64(&tx->lane->spill);
    *entries = 0;
    if (spill == 0) {
        return MPS_OK;
    }
    *entries = mps_load64(&tx->lane->spill_entries);
    return mps_alloc_usable(tx->seg, spill) / sizeof(mps_undo) >= *entries ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_tx_room(mps_tx *tx, uint64_t entries)
{
    uint64_t outer = mps_ctl_outer(tx->ctl);
    if (mps_likely(entries <= MPS_OUTER - mps_min64(outer, MPS_OUTER))) {
        return MPS_OK;
    }
    uint64_t wanted = outer + entries - MPS_OUTER, room;
    mps_status st = entries < MPS_FIT_LIMIT / sizeof(mps_undo) / 2 ? spill_room(tx, &room) : MPS_E_FULL;
    if (st != MPS_OK || wanted <= room) {
        return st;
    }
    if (outer > MPS_OUTER + room) {
        return MPS_E_CORRUPT;
    }
    st = mps_tx_lock(tx, guard_of(tx));
    if (st != MPS_OK) {
        return st;
    }
    mps_freed freed = {0};
    tx->urgent = true; /* a change that makes room must not fail for want of a journal */
    st = replace_spill(tx, mps_max64(mps_max64(wanted, room + room / 2), SPILL_MIN), &freed);
    tx->urgent = false;
    if (st != MPS_OK) {
        return give_up(tx, st);
    }
    mps_tx_commit_inner(tx, -1, 0, 0);
    if (freed.chunk != 0) {
        mps_fit_settle(tx, &freed);
    }
    mps_tx_unlock_last(tx);
    return MPS_OK;
}

/* ---- the arena ---- */

mps_status mps_alloc_format(mps_seg *seg, mps_off arena, uint64_t end)
{
    return arena == seg->arena ? mps_fit_format(seg, end) : MPS_E_INVAL;
}

uint64_t mps_alloc_state_size(void)
{
    return sizeof(mps_fit);
}

uint64_t mps_alloc_end(const mps_seg *seg)
{
    mps_off end = mps_load64(&mps_fit_of(seg)->end);
    bool sane = (end & 15) == 0 && end >= mps_fit_first(seg) + MPS_CHUNK_MIN && end <= mps_load64(&seg->region.limit) &&
                (mps_load64(mps_region_at(&seg->region, end - MPS_CHUNK_HEAD)) & ~(uint64_t)MPS_PINUSE) == MPS_CINUSE;
    return sane ? end : 0;
}

/* All free chunks, the guard being given to others between. */
static mps_status tend(mps_tx *tx, bool punch)
{
    mps_status st = mps_alloc_flush(tx, 0);
    for (mps_off next = mps_fit_first(tx->seg); st == MPS_OK && next != 0;) {
        st = mps_tx_lock(tx, guard_of(tx));
        if (st == MPS_OK) {
            st = mps_fit_tend(tx, next, punch, &next);
            mps_tx_unlock_last(tx);
        }
    }
    return st;
}

mps_status mps_alloc_zero_free(mps_tx *tx)
{
    return tend(tx, false);
}

mps_status mps_alloc_give_back(mps_tx *tx)
{
    mps_status st = tend(tx, true);
    if (st == MPS_OK) {
        st = mps_tx_lock(tx, guard_of(tx));
    }
    if (st == MPS_OK) {
        st = mps_fit_cut_end(tx);
        mps_tx_unlock_last(tx);
    }
    return st;
}

mps_status mps_alloc_grow(mps_tx *tx, uint64_t nbytes)
{
    if (nbytes >= MPS_FIT_LIMIT) {
        return MPS_E_FULL;
    }
    mps_status st = mps_tx_lock(tx, guard_of(tx));
    if (st == MPS_OK) {
        st = mps_fit_grow(tx, mps_round_up(nbytes, MPS_CHUNK_ALIGN), true);
        mps_tx_unlock_last(tx);
    }
    return st;
}
