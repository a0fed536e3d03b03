/* region.h -- a range of memory that holds a segment, and how offsets become addresses.
 *
 *   base                     limit                          reserve
 *   |------- the file's bytes ---|---- address space, no file yet ----|
 *
 * A region maps a file over a range of address space far larger than the file, once. Growing the file
 * makes more of the range usable in every process at once; nothing is ever mapped again, nothing moves.
 * A region can also be private memory of this process (a heap), which grows in its address space, or an adopted
 * buffer: then nothing grows, and every floor above can be tested and fuzzed on plain memory. Both have no file.
 * A region that is read-only is never written to, whatever it is made of.
 *
 * limit is private to the process: bytes [0, limit) were seen to belong to the file, which can't
 * shrink, so they are safe to touch whatever the bytes of the segment say.
 *
 * Locking: limit only rises; it is read and written with relaxed atomics. Costs: mps_region_at O(1), no call.
 */
#ifndef MPS_REGION_H
#define MPS_REGION_H

#include "base.h"

typedef struct mps_region {
    uint8_t *base;
    uint64_t limit;   /* bytes known to be backed by the file */
    uint64_t reserve; /* bytes of address space mapped; limit never passes it */
    int fd;           /* the file, or -1 for a heap or an adopted buffer */
    bool heap;        /* private memory of ours */
    bool readonly;    /* must not be written to */
    uint64_t dev, ino;
    uint8_t *twin; /* twin.h; both NULL until they are needed */
    uint64_t *taken;
} mps_region;

/* A new memory file of size bytes (sparse: mps_region_commit gives it memory), mapped with room to reserve. */
mps_status mps_region_create(const char *label, uint64_t size, uint64_t reserve, mps_region *out);
/* Maps a file that another process made; takes fd over on success. */
mps_status mps_region_open(int fd, uint64_t reserve, mps_region *out);
/* The same, read-only, or at an address (0: anywhere; MPS_E_BUSY when something is there). */
mps_status mps_region_open_at(int fd, uint64_t reserve, bool readonly, uint64_t address, mps_region *out);
/* Private memory of size zero bytes that can grow to reserve. */
mps_status mps_region_heap(uint64_t size, uint64_t reserve, uint64_t address, mps_region *out);
/* Uses memory that the caller keeps: aligned to 64 bytes. */
mps_status mps_region_adopt(void *buffer, uint64_t size, mps_region *out);
void mps_region_close(mps_region *r);

/* Makes sure that [off, off+len) has memory, growing the file: MPS_E_FULL past reserve or when the system refuses. */
mps_status mps_region_commit(mps_region *r, uint64_t off, uint64_t len);
/* Gives whole pages inside [off, off+len) back to the system; they read as zero afterwards. */
mps_status mps_region_punch(mps_region *r, uint64_t off, uint64_t len);
/* Looks at the file again: limit rises to what others have added. */
void mps_region_refresh(mps_region *r);
/* Whether fd still is the file that was mapped (a program may have closed it and got its number again). */
bool mps_region_fd_is_ours(const mps_region *r);

/* The address of an offset that was checked before, or that we wrote ourselves under its lock. */
static inline void *mps_region_at(const mps_region *r, mps_off off)
{
    return r->base + off;
}

static inline mps_off mps_region_off(const mps_region *r, const void *p)
{
    return (mps_off)((const uint8_t *)p - r->base);
}

bool mps_region_holds_slow(mps_region *r, mps_off off, uint64_t len);

/* Whether [off, off+len) lies inside the segment: to be asked of every offset and length read from it. */
static inline bool mps_region_holds(mps_region *r, mps_off off, uint64_t len)
{
    uint64_t limit = mps_load64(&r->limit);
    if (mps_likely(off <= limit && len <= limit - off)) {
        return true;
    }
    return mps_region_holds_slow(r, off, len);
}

#endif
