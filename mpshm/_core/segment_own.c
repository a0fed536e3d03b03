/* segment_own.c -- segments without a file: on a heap of this process, and in memory that the caller has. */
#include <stdlib.h>

#include "lock.h"
#include "os.h"
#include "recover.h"
#include "segment_body.h"

#define ADOPTED_SLOTS 4u /* of large buffers: so that tests can play several processes */
#define ADOPTED_LARGE ((uint64_t)384 << 10)
#define HEAP_SLOTS 1u

static mps_status give_up(mps_seg *seg, mps_status st)
{
    mps_seg_discard(seg);
    return st;
}

static mps_status done(mps_seg *seg, mps_status st, mps_seg **out)
{
    if (st != MPS_OK) {
        return give_up(seg, st);
    }
    *out = seg;
    return MPS_OK;
}

/* ---- heaps ---- */

/* Address space for a heap; without a wish for max_size, as much as the system gives. */
static mps_status map_heap(mps_seg *seg, mps_header *h, uint64_t size, bool may_shrink, uint64_t address)
{
    mps_status st;
    for (;;) {
        st = mps_region_heap(size, mps_header_reserve(h), address, &seg->region);
        uint64_t less = h->arena + (h->max_file - h->arena) / 8 / MPS_PAGE * MPS_PAGE;
        if (st != MPS_E_NOMEM || !may_shrink || less < size || less < h->arena + MPS_SIZE_MIN) {
            return st;
        }
        h->max_file = less;
    }
}

mps_status mps_seg_create_heap(uint64_t size, uint64_t max_size, uint32_t allocator, uint64_t address, mps_seg **out)
{
    bool may_shrink = max_size == 0;
    mps_status st = mps_sizes(&size, &max_size, mps_default_max());
    mps_seg *seg = st == MPS_OK ? mps_seg_new() : NULL;
    if (seg == NULL) {
        return st != MPS_OK ? st : MPS_E_NOMEM;
    }
    mps_header h = mps_header_plan(HEAP_SLOTS, max_size);
    h.allocator = allocator;
    st = mps_header_name(&h);
    if (st == MPS_OK) {
        st = map_heap(seg, &h, h.arena + size, may_shrink, address);
    }
    if (st == MPS_OK) {
        st = mps_seg_fill(seg, &h, size);
    }
    if (st == MPS_OK) {
        st = mps_seg_join(seg);
    }
    return done(seg, st, out);
}

/* ---- bytes that hold a segment ---- */

/* The header of a segment in memory that is to be used. */
static mps_status header_in(const void *bytes, uint64_t size, mps_header *h)
{
    if (size < MPS_HEADER_BYTES) {
        return MPS_E_FOREIGN;
    }
    memcpy(h, bytes, sizeof(*h));
    mps_status st = mps_header_validate(h, NULL);
    if (st == MPS_OK) {
        st = mps_header_usable(h->control.state);
    }
    return st == MPS_OK && h->arena >= size ? MPS_E_CORRUPT : st;
}

/* Binds to it; the blocks must lie inside. */
static mps_status bind_to(mps_seg *seg, const mps_header *h)
{
    mps_seg_bind(seg, h);
    uint64_t end = mps_seg_end(seg);
    if (end == 0 || end > mps_load64(&seg->region.limit)) {
        return MPS_E_CORRUPT;
    }
    seg->max_end = mps_min64(seg->max_end, seg->region.reserve);
    return MPS_OK;
}

/* It is another segment from now on than the one that the bytes were copied from. */
static mps_status rename_it(mps_seg *seg, mps_header *h)
{
    mps_header *there = (mps_header *)seg->region.base;
    mps_status st = mps_os_random(h->id, sizeof(h->id));
    if (st == MPS_OK) {
        memcpy(there, h, offsetof(mps_header, checksum));
        there->checksum = mps_header_checksum(there);
    }
    return st;
}

/* The first size bytes of a file into zeros; what has no memory is not touched. */
static mps_status read_file(int fd, uint8_t *to, uint64_t size)
{
    mps_status st = MPS_OK;
    for (uint64_t begin = 0, end = 0; st == MPS_OK;) {
        st = mps_os_next_data(fd, end, &begin, &end);
        end = mps_min64(end, size);
        if (st != MPS_OK || begin >= end) {
            break;
        }
        st = mps_os_read(fd, begin, to + begin, end - begin);
    }
    return st;
}

/* Where the bytes of a segment come from. */
typedef struct source {
    const void *bytes; /* NULL: a file */
    int fd;
    uint64_t size;
    uint64_t max_size; /* 0: as it was */
} source;

static mps_status fill_heap(mps_seg *seg, mps_header *h, const source *from)
{
    uint64_t arena = mps_round_up(from->size, MPS_PAGE) - h->arena;
    uint64_t wanted = mps_round_up(mps_min64(from->max_size, MPS_SIZE_LIMIT), MPS_PAGE);
    h->max_file = mps_max64(from->max_size != 0 ? h->arena + wanted : h->max_file, h->arena + arena);
    mps_status st = map_heap(seg, h, h->arena + arena, from->max_size == 0, 0);
    if (st == MPS_OK && from->bytes != NULL) {
        memcpy(seg->region.base, from->bytes, from->size);
    } else if (st == MPS_OK) {
        st = read_file(from->fd, seg->region.base, from->size);
    }
    if (st == MPS_OK) {
        ((mps_header *)(void *)seg->region.base)->control.freeze = 0; /* that was for the copy */
        st = rename_it(seg, h);
    }
    if (st == MPS_OK) {
        st = bind_to(seg, h);
    }
    return st == MPS_OK && mps_seg_end(seg) > from->size ? MPS_E_CORRUPT : st;
}

static mps_status load(mps_header *h, const source *from, bool readonly, mps_seg **out)
{
    mps_seg *seg = mps_seg_new();
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    mps_status st = fill_heap(seg, h, from);
    if (st == MPS_OK) {
        st = mps_seg_join(seg);
    }
    if (st == MPS_OK && readonly) { /* what the dead had begun is undone by now */
        (void)mps_recover_leave(seg);
        mps_slots_detach(seg);
        mps_refs_close(seg);
        mps_seg_bind(seg, h);
        seg->region.readonly = true;
        st = mps_seg_join_reader(seg);
    }
    return done(seg, st, out);
}

mps_status mps_seg_load(const void *bytes, uint64_t size, uint64_t max_size, bool readonly, mps_seg **out)
{
    mps_header h;
    mps_status st = header_in(bytes, size, &h);
    return st == MPS_OK ? load(&h, &(source){bytes, -1, size, max_size}, readonly, out) : st;
}

mps_status mps_seg_load_file(int fd, uint64_t size, uint64_t max_size, mps_seg **out)
{
    uint8_t first[MPS_HEADER_BYTES];
    mps_header h;
    mps_status st = size < sizeof(first) ? MPS_E_FOREIGN : mps_os_read(fd, 0, first, sizeof(first));
    if (st == MPS_OK) {
        st = header_in(first, size, &h); /* (no more of it is looked at) */
    }
    return st == MPS_OK ? load(&h, &(source){NULL, fd, size, max_size}, false, out) : st;
}

mps_status mps_seg_extent(mps_seg *seg, uint64_t *size)
{
    *size = mps_seg_end(seg);
    return *size != 0 ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_seg_save(mps_seg *seg, void *to, uint64_t size)
{
    mps_status st = seg->region.readonly ? MPS_OK : mps_seg_freeze(seg);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t end = mps_seg_end(seg);
    if (end > size || end == 0 || end > mps_load64(&seg->region.limit)) {
        st = end == 0 ? MPS_E_CORRUPT : MPS_E_RANGE;
    } else if (seg->region.fd >= 0) {
        memset(to, 0, end);
        st = read_file(seg->region.fd, to, end);
    } else {
        memcpy(to, seg->region.base, end);
    }
    if (!seg->region.readonly) {
        mps_unfreeze(seg);
        if (st == MPS_OK) {
            mps_header *copy = to;
            copy->control.freeze = 0; /* that was us */
        }
    }
    return st;
}

/* ---- adopted memory ---- */

/* Whether this process has another segment of that id: the buffer is a copy of it. */
static bool is_copy(const mps_seg *seg, const mps_header *h)
{
    mps_seg *other = mps_slots_find(h->id, false);
    bool copy = other != NULL && other->region.base != seg->region.base;
    if (other != NULL) {
        mps_seg_release(other);
    }
    return copy;
}

mps_status mps_seg_adopt(void *buffer, uint64_t size, bool format, mps_seg **out)
{
    return mps_seg_adopt_with(buffer, size, format, MPS_BEST_FIT, out);
}

mps_status mps_seg_adopt_with(void *buffer, uint64_t size, bool format, uint32_t allocator, mps_seg **out)
{
    mps_header h = mps_header_plan(size < ADOPTED_LARGE ? 1 : ADOPTED_SLOTS, 0);
    mps_status st = MPS_OK;
    h.allocator = allocator;
    if (format) {
        st = size < h.arena + MPS_SIZE_MIN ? MPS_E_INVAL : mps_header_name(&h);
        h.max_file = size;
    } else {
        st = header_in(buffer, size, &h);
    }
    mps_seg *seg = st == MPS_OK ? mps_seg_new() : NULL;
    if (seg == NULL) {
        return st != MPS_OK ? st : MPS_E_NOMEM;
    }
    st = mps_region_adopt(buffer, size, &seg->region);
    if (st == MPS_OK && format) {
        mps_seg_bind(seg, &h);
        st = mps_seg_format(seg, &h, size & ~(uint64_t)15);
    } else if (st == MPS_OK) {
        st = is_copy(seg, &h) ? rename_it(seg, &h) : MPS_OK;
        st = st == MPS_OK ? bind_to(seg, &h) : st;
    }
    if (st == MPS_OK) {
        st = mps_seg_join(seg);
    }
    return done(seg, st, out);
}

mps_status mps_seg_adopt_readonly(const void *buffer, uint64_t size, mps_seg **out)
{
    mps_header h;
    mps_status st = header_in(buffer, size, &h);
    mps_seg *seg = st == MPS_OK ? mps_seg_new() : NULL;
    if (seg == NULL) {
        return st != MPS_OK ? st : MPS_E_NOMEM;
    }
    st = mps_region_adopt((void *)(uintptr_t)buffer, size, &seg->region);
    seg->region.readonly = true;
    if (st == MPS_OK) {
        st = bind_to(seg, &h);
    }
    if (st == MPS_OK) {
        st = mps_os_random(seg->id,
                           sizeof(seg->id)); /* (of this attachment: others may have the same bytes elsewhere) */
    }
    if (st == MPS_OK) {
        st = mps_seg_join_reader(seg);
    }
    return done(seg, st, out);
}
