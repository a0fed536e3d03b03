/* segment.h -- a segment as a whole: its header, making one, finding one's way in, numbers about it.
 *
 *   0         header: identity, constants and their checksum | control | root | allocator state       (3 pages)
 *   slots     heads of slots                                   n_slots x 64 bytes
 *   bodies    bodies of slots, sparse: memory only where claimed
 *   arena     blocks, up to `size`; grows
 *
 * The constants are written once, before the state becomes READY, and checked by everyone who attaches: magic, version,
 * sizes, checksum. Nobody believes them later: what a process needs it keeps in its own mps_seg.
 */
#ifndef MPS_SEGMENT_H
#define MPS_SEGMENT_H

#include "refs.h"

#define MPS_MAGIC 0x316d687370706du /* "mpshm1" with a marker, little-endian */
#define MPS_VERSION 4u
#define MPS_HEADER_BYTES (3u * MPS_PAGE)

/* How a segment finds room (alloc_order.h): chosen when it is made, a constant then. */
enum { MPS_BEST_FIT = 0, MPS_SEQUENTIAL_FIT = 1 };

typedef struct mps_header {
    uint64_t magic;
    uint32_t version;
    uint32_t header_bytes;
    uint8_t id[16];                             /* random */
    uint64_t seed;                              /* of hashes, random */
    uint64_t max_file;                          /* bytes that the file may reach: arena and max_size */
    uint64_t slots, bodies, body_stride, arena; /* offsets; body_stride bytes */
    uint32_t n_slots;
    uint32_t owner_uid;
    uint32_t allocator; /* MPS_BEST_FIT or MPS_SEQUENTIAL_FIT */
    uint32_t reserved_constant;
    uint64_t checksum; /* of all above */
    uint32_t dirty;    /* of a file: 1: somebody has changed it since all of it was last on the disk (opening.h) */
    uint32_t reserved32;
    uint8_t boot[16]; /* then: in which run of the machine that was */
    uint64_t reserved[16];
    mps_control control; /* at 256 */
    mps_root root;       /* at 320 */
    uint8_t fit[];       /* at 384: the allocator's state */
} mps_header;

_Static_assert(offsetof(mps_header, dirty) == 104, "stored");
_Static_assert(offsetof(mps_header, boot) == 112, "stored");
_Static_assert(offsetof(mps_header, control) == 256, "stored");
_Static_assert(offsetof(mps_header, root) == 320, "stored");
_Static_assert(offsetof(mps_header, fit) == 384, "stored");

typedef struct mps_identity {
    uint8_t id[16];
    uint64_t dev, ino;
    uint64_t max_size;
    int32_t fd; /* -1: it has no file */
    uint32_t slot;
    uint64_t address; /* where this process has it */
    uint32_t readonly;
    uint32_t heap; /* 1: it is this process's own */
} mps_identity;

typedef struct mps_stats {
    uint64_t size;         /* bytes of the arena, in use and free */
    uint64_t used;         /* bytes of blocks in use, their heads included, caches not */
    uint64_t free;         /* size - used */
    uint64_t max_size;     /* bytes that size may reach */
    uint64_t largest_free; /* bytes */
    uint64_t overhead;     /* bytes of metadata a block costs */
    uint64_t cached;       /* bytes waiting in processes' caches */
    uint64_t objects;      /* shared objects alive */
    uint64_t blocks;       /* blocks in use */
    uint32_t processes;    /* attached and alive */
    uint32_t slots;        /* that could be */
    uint64_t recoveries;   /* dead processes whose things were taken back */
} mps_stats;

/* A segment in a memory file that no name leads to. size, max_size: bytes, 0 for the defaults. */
mps_status mps_seg_create_anonymous(uint64_t size, uint64_t max_size, mps_seg **out);
/* The same with a choice of MPS_BEST_FIT or MPS_SEQUENTIAL_FIT. */
mps_status mps_seg_create_with(uint64_t size, uint64_t max_size, uint32_t allocator, mps_seg **out);
/* Attaches to the segment in a file; fd stays the caller's. id (16 bytes, or NULL) must be its id: MPS_E_FOREIGN otherwise. A process
 * attaches once: a second time gives the same mps_seg. MPS_E_VERSION, MPS_E_CORRUPT, MPS_E_PERM, MPS_E_CLOSED, MPS_E_SLOTS. */
mps_status mps_seg_attach_fd(int fd, const uint8_t *id, mps_seg **out);
/* A segment in the caller's memory (64-byte aligned, kept until after release): format it, or use what is there. */
mps_status mps_seg_adopt(void *buffer, uint64_t size, bool format, mps_seg **out);
mps_status mps_seg_adopt_with(void *buffer, uint64_t size, bool format, uint32_t allocator, mps_seg **out);
/* The same of memory that must not be written to. */
mps_status mps_seg_adopt_readonly(const void *buffer, uint64_t size, mps_seg **out);
/* A segment in private memory; address as in mps_region_open_at. */
mps_status mps_seg_create_heap(uint64_t size, uint64_t max_size, uint32_t allocator, uint64_t address, mps_seg **out);
/* A copy, in private memory, of the segment whose bytes are given: one of its own, with its own id. max_size 0: as it was. readonly:
 * of what may not be changed afterwards. */
mps_status mps_seg_load(const void *bytes, uint64_t size, uint64_t max_size, bool readonly, mps_seg **out);
/* Bytes that hold all of the segment, for mps_seg_load: how many; and these, while all changes wait. MPS_E_RANGE: they are more by now. */
mps_status mps_seg_extent(mps_seg *seg, uint64_t *size);
mps_status mps_seg_save(mps_seg *seg, void *to, uint64_t size);
mps_seg *mps_seg_find(const uint8_t *id, bool readonly);
void mps_seg_retain(mps_seg *seg);
/* At the last release the process leaves the segment. */
void mps_seg_release(mps_seg *seg);
/* For tests: leaves as a killed process does. */
void mps_seg_abandon(mps_seg *seg);
/* Every handle in every process answers MPS_E_CLOSED from now on. */
mps_status mps_seg_shutdown(mps_seg *seg);
int mps_seg_is_closed(mps_seg *seg);
int mps_seg_is_sequential(mps_seg *seg);
void mps_seg_identity(mps_seg *seg, mps_identity *out);
mps_status mps_seg_stats(mps_seg *seg, mps_stats *out);
/* Takes back what dead processes left; returns how many slots, or a negative status. */
int mps_seg_recover(mps_seg *seg);
mps_status mps_seg_grow(mps_seg *seg, uint64_t nbytes);
/* Lets up to nbytes lie free with their memory when this process frees some: what is stored next goes faster. */
void mps_seg_keep(mps_seg *seg, uint64_t nbytes);
/* Gives the memory of free blocks back to the system, and makes the arena shorter where its end is free. */
mps_status mps_seg_shrink(mps_seg *seg);
/* Overwrites what free blocks have held. */
mps_status mps_seg_zero_free(mps_seg *seg);
/* Gives back what this process keeps in its caches; door GIL: of the threads that hold the GIL, else of the others. */
mps_status mps_seg_flush_caches(mps_seg *seg, mps_door door);

#endif
