#include "buffer.h"

#include "os.h"
#include "racy.h"
#include "twin.h"

#define MUCH ((uint64_t)1 << 20) /* bytes from which on copying lets go of the GIL */
#define PAGE_LOG2 12u

_Static_assert(MPS_PAGE == 1u << PAGE_LOG2, "alignment of large data");

mps_status mps_buffer_new(mps_seg *seg, mps_door door, uint64_t nbytes, const void *note, uint64_t note_bytes,
                          mps_off *off, uint64_t *serial)
{
    unsigned log2 = nbytes >= MPS_BUFFER_LARGE ? PAGE_LOG2 : 0;
    return mps_raw_new_blank(seg, door, MPS_KIND_BUFFER, nbytes, log2, note, note_bytes, off, serial);
}

mps_status mps_buffer_fill(mps_seg *seg, mps_door door, mps_off off, const void *from)
{
    mps_off data = 0;
    uint64_t nbytes = 0;
    mps_status st = mps_raw_data(seg, off, &data, &nbytes);
    if (st != MPS_OK || nbytes == 0) {
        return st;
    }
    void *gil = nbytes >= MUCH ? mps_door_leave(door) : NULL;
    mps_fresh_copy(mps_region_at(&seg->region, data), from, nbytes);
    if (nbytes >= MUCH) {
        mps_door_enter(door, gil);
    }
    return MPS_OK;
}

mps_status mps_buffer_read(mps_seg *seg, mps_door door, mps_off off, void *to, uint64_t nbytes)
{
    mps_off data = 0;
    uint64_t there = 0;
    mps_status st = mps_raw_data(seg, off, &data, &there);
    if (st != MPS_OK || there < nbytes) {
        return st != MPS_OK ? st : MPS_E_CORRUPT;
    }
    void *gil = nbytes >= MUCH ? mps_door_leave(door) : NULL;
    mps_racy_copy(to, mps_region_at(&seg->region, data), nbytes);
    if (nbytes >= MUCH) {
        mps_door_enter(door, gil);
    }
    return MPS_OK;
}

/* Where the pages of a large buffer are, and how many bytes they have; false: it has none, or its segment has no file. */
static bool pages_at(mps_seg *seg, mps_off off, mps_off *data, uint64_t *length)
{
    uint64_t nbytes = 0;
    if (seg->region.fd < 0 || seg->region.readonly || mps_raw_data(seg, off, data, &nbytes) != MPS_OK || nbytes == 0 ||
        *data % MPS_PAGE != 0) {
        return false;
    }
    *length = mps_round_up(nbytes, MPS_PAGE);
    return true;
}

void *mps_buffer_lend(mps_seg *seg, mps_off off, uint64_t *length)
{
    mps_off data = 0;
    return pages_at(seg, off, &data, length) ? mps_twin_take(&seg->region, data, *length) : NULL;
}

void mps_buffer_give(mps_seg *seg, void *base, uint64_t length)
{
    mps_twin_give(&seg->region, (mps_off)((uint8_t *)base - seg->region.twin), length);
}

void *mps_buffer_map(mps_seg *seg, mps_off off, uint64_t *length)
{
    mps_off data = 0;
    void *base = NULL;
    if (!pages_at(seg, off, &data, length) || !mps_region_fd_is_ours(&seg->region)) {
        return NULL;
    }
    return mps_os_map_copy(seg->region.fd, data, *length, &base) == MPS_OK ? base : NULL;
}

bool mps_buffer_same(mps_seg *seg, mps_off a, mps_off b)
{
    if (a == b) {
        return true;
    }
    mps_off at[2] = {a, b}, note[2], data[2];
    uint64_t note_bytes[2], nbytes[2];
    for (int i = 0; i < 2; i++) {
        if (mps_object_at(seg, at[i], MPS_KIND_BUFFER) == NULL ||
            mps_raw_note(seg, at[i], &note[i], &note_bytes[i]) != MPS_OK ||
            mps_raw_data(seg, at[i], &data[i], &nbytes[i]) != MPS_OK) {
            return false;
        }
    }
    const mps_region *r = &seg->region;
    return note_bytes[0] == note_bytes[1] && nbytes[0] == nbytes[1] &&
           memcmp(mps_region_at(r, note[0]), mps_region_at(r, note[1]), note_bytes[0]) == 0 &&
           memcmp(mps_region_at(r, data[0]), mps_region_at(r, data[1]), nbytes[0]) == 0;
}
