#include "raw.h"

#include "racy.h"
#include "refs.h"

#define MUCH ((uint64_t)1 << 20) /* bytes whose clearing is worth letting go of the GIL */

static uint64_t alignment(uint64_t nbytes, uint64_t layout)
{
    uint64_t log2 = layout & 0xff;
    return log2 != 0 ? (uint64_t)1 << (log2 & 63) : nbytes >= MPS_CACHE_LINE ? MPS_CACHE_LINE : 16u;
}

static mps_off data_at(mps_off off, uint64_t nbytes, uint64_t layout)
{
    return mps_round_up(off + sizeof(mps_raw) + (layout >> 8), alignment(nbytes, layout));
}

/* Clears the data, all of it: the block may have been another's. Nobody else knows of it yet. */
static void clear(mps_seg *seg, mps_door door, mps_off data, uint64_t nbytes)
{
    void *gil = nbytes >= MUCH ? mps_door_leave(door) : NULL;
    mps_fresh_zero(mps_region_at(&seg->region, data), mps_round_up(nbytes, 8) / 8);
    if (nbytes >= MUCH) {
        mps_door_enter(door, gil);
    }
}

mps_status mps_raw_new_blank(mps_seg *seg, mps_door door, uint32_t kind, uint64_t nbytes, unsigned log2,
                             const void *note, uint64_t note_bytes, mps_off *off, uint64_t *serial)
{
    if (nbytes > MPS_RAW_MAX || note_bytes > MPS_RAW_NOTE_MAX) {
        return MPS_E_TOOLARGE;
    }
    uint64_t layout = note_bytes << 8 | log2;
    uint64_t gap = alignment(nbytes, layout) - 16;
    uint64_t all = sizeof(mps_raw) + mps_round_up(note_bytes, 16) + gap + mps_round_up(nbytes, 8);
    mps_status st = mps_object_new(seg, door, kind, all, off, serial);
    if (st != MPS_OK) {
        return st;
    }
    mps_raw *raw = mps_region_at(&seg->region, *off);
    mps_store64(&raw->layout, layout);
    if (note_bytes > 0) {
        mps_fresh_copy(raw + 1, note, note_bytes);
    }
    mps_store64_release(&raw->nbytes, nbytes);
    return MPS_OK;
}

mps_status mps_raw_new_noted(mps_seg *seg, mps_door door, uint32_t kind, uint64_t nbytes, const void *note,
                             uint64_t note_bytes, mps_off *off, uint64_t *serial)
{
    mps_status st = mps_raw_new_blank(seg, door, kind, nbytes, 0, note, note_bytes, off, serial);
    if (st == MPS_OK) {
        clear(seg, door, data_at(*off, nbytes, note_bytes << 8), nbytes);
    }
    return st;
}

/* What of a block may be data, for data that is aligned to a cache line. */
static uint64_t fits(mps_seg *seg, mps_off off)
{
    uint64_t usable = mps_alloc_usable(seg, off), head = data_at(off, MPS_CACHE_LINE, 0) - off;
    return usable < head + MPS_CACHE_LINE ? 0 : mps_min64((usable - head) & ~(uint64_t)7, MPS_RAW_MAX);
}

mps_status mps_raw_make(mps_tx *tx, uint64_t nbytes, mps_off *off)
{
    nbytes = mps_round_up(mps_max64(nbytes, MPS_CACHE_LINE), 8);
    if (nbytes > MPS_RAW_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = mps_object_make(tx, MPS_KIND_RAW, sizeof(mps_raw) + MPS_CACHE_LINE - 16 + nbytes, off);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_raw *raw = mps_region_at(&tx->seg->region, *off);
    mps_store64(&raw->nbytes, fits(tx->seg, *off));
    return MPS_OK;
}

mps_status mps_raw_extend(mps_tx *tx, mps_off off, uint64_t nbytes, uint64_t wanted)
{
    uint64_t head = data_at(off, MPS_CACHE_LINE, 0) - off;
    if (nbytes > MPS_RAW_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_status st = mps_alloc_extend(tx, off, head + mps_round_up(nbytes, 8),
                                     head + mps_round_up(mps_min64(wanted, MPS_RAW_MAX), 8));
    if (st != MPS_OK) {
        return st;
    }
    mps_raw *raw = mps_region_at(&tx->seg->region, off);
    uint64_t now = fits(tx->seg, off);
    if (now < nbytes) {
        return MPS_E_CORRUPT;
    }
    mps_tx_set(tx, &raw->nbytes, now);
    return MPS_OK;
}

mps_status mps_raw_new(mps_seg *seg, mps_door door, uint64_t nbytes, mps_off *off, uint64_t *serial)
{
    return mps_raw_new_noted(seg, door, MPS_KIND_RAW, nbytes, NULL, 0, off, serial);
}

mps_status mps_raw_note(mps_seg *seg, mps_off off, mps_off *note, uint64_t *nbytes)
{
    const mps_raw *raw = mps_region_at(&seg->region, off);
    *nbytes = mps_load64(&raw->layout) >> 8;
    *note = off + sizeof(mps_raw);
    return *nbytes <= MPS_RAW_NOTE_MAX && mps_region_holds(&seg->region, *note, *nbytes) ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_raw_data(mps_seg *seg, mps_off off, mps_off *data, uint64_t *nbytes)
{
    const mps_raw *raw = mps_region_at(&seg->region, off);
    uint64_t layout = mps_load64(&raw->layout);
    *nbytes = mps_load64_acquire(&raw->nbytes);
    if ((layout & 0xff) > 12 || layout >> 8 > MPS_RAW_NOTE_MAX || *nbytes > MPS_RAW_MAX) {
        return MPS_E_CORRUPT;
    }
    *data = data_at(off, *nbytes, layout);
    return mps_region_holds(&seg->region, *data, *nbytes) ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_raw_new_array(mps_seg *seg, mps_door door, uint64_t nbytes, bool zero, const void *note,
                             uint64_t note_bytes, mps_off *off, uint64_t *serial)
{
    unsigned log2 = mps_log2(nbytes >= MPS_RAW_PAGED ? MPS_PAGE : MPS_CACHE_LINE);
    mps_status st = mps_raw_new_blank(seg, door, MPS_KIND_NDARRAY, nbytes, log2, note, note_bytes, off, serial);
    if (st == MPS_OK && zero) {
        clear(seg, door, data_at(*off, nbytes, note_bytes << 8 | log2), nbytes);
    }
    return st;
}

mps_status mps_raw_flush(mps_seg *seg, mps_door door, mps_off off)
{
    mps_off data = 0;
    uint64_t nbytes = 0;
    mps_status st = mps_raw_data(seg, off, &data, &nbytes);
    if (st != MPS_OK || !seg->persistent || seg->region.readonly || seg->region.fd < 0 || nbytes == 0) {
        return st;
    }
    void *gil = mps_door_leave(door);
    st = mps_os_sync_memory(mps_region_at(&seg->region, data), nbytes);
    mps_door_enter(door, gil);
    return st;
}

mps_status mps_raw_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_off data = 0;
    uint64_t nbytes = 0;
    if (mps_raw_data(seg, off, &data, &nbytes) != MPS_OK || mps_alloc_usable(seg, off) < data - off + nbytes) {
        return v->bad(v, "a raw object is longer than its block");
    }
    return MPS_OK;
}
