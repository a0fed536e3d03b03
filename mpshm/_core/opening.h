/* opening.h -- segments that a path leads to: making and opening them, whoever else does, and whatever died meanwhile.
 *
 * Who makes or opens one holds the gate (a lock on one byte of the file, dropped by the kernel when he dies), and looks again whether
 * the path still leads to the file once he has it. So at most one process at a time decides what a file is:
 *
 *   empty, or begun and not READY    nobody made it, or its maker died: whoever may make it begins anew
 *   READY                            a segment: join it
 *   anything else                    is left alone
 *
 * A file that is being made holds the beginning of a header from its first byte on (one write into an empty file), and READY comes
 * last; so no file of somebody else's is ever taken for one that was begun.
 *
 * A mapped file outlives the machine's run. While its memory is coherent, nothing is lost by any death of processes: who comes next
 * recovers (recover.h). When the machine goes down, the disk has pages of different moments. So the first to come marks the file
 * `dirty` with the id of this run of the machine, and the last to leave writes all to the disk, then takes the mark off. A file
 * that was dirty in another run is checked as a whole when it is opened, and refused if it is not sound.
 *
 * Reading only: no gate but a shared one while looking, no slot, a shared lock on MPS_BYTE_READERS so that nobody makes the file shorter.
 * A private copy: a heap (segment.h) with the bytes of a moment at which nobody changed anything.
 *
 * Costs: some ten system calls, no waiting but for others at the gate; mapped files also two writes of the header to the disk.
 */
#ifndef MPS_OPENING_H
#define MPS_OPENING_H

#include "segment.h"

#define MPS_OPEN_OLD 1u         /* one that is there */
#define MPS_OPEN_NEW 2u         /* one that is not */
#define MPS_OPEN_READ 4u        /* for reading only */
#define MPS_OPEN_COPY 8u        /* a private copy */
#define MPS_OPEN_SEQUENTIAL 32u /* a new one has MPS_SEQUENTIAL_FIT */
#define MPS_OPEN_FILE 16u       /* on a disk; else in shared memory, where no symbolic link is followed */

#define MPS_WHY_BYTES 256u

typedef struct mps_opening {
    const char *path;
    const uint8_t *id;       /* what the segment must be; NULL: any */
    uint64_t size;           /* of a new one: bytes of the arena at once, 0 for the default */
    uint64_t max_size;       /* and at most */
    uint64_t address;        /* where to map it; 0 anywhere */
    uint64_t timeout_ns;     /* how long to wait at the gate */
    uint32_t permissions;    /* of a new one; who else may write to an old one */
    uint32_t how;            /* MPS_OPEN_* */
    uint32_t version;        /* out, with MPS_E_VERSION: the one found; 0: the other byte order */
    uint32_t made;           /* out: 1: there was none before */
    char why[MPS_WHY_BYTES]; /* out, with MPS_E_CORRUPT: what is wrong; "" if there is no more to say */
} mps_opening;

/* MPS_E_NOTFOUND; MPS_E_EXISTS; MPS_E_FOREIGN: no segment, or not the one asked for; MPS_E_VERSION; MPS_E_CORRUPT; MPS_E_CLOSED;
 * MPS_E_PERM: of another user, or others may write to it; MPS_E_FULL; MPS_E_TIMEOUT; MPS_E_BUSY: something is at the address. */
mps_status mps_seg_open(mps_opening *o, mps_seg **out);
/* Takes the path away; whoever has the segment open keeps it. */
mps_status mps_seg_unlink(const char *path);
/* All that was changed is on the disk afterwards (of a mapped file). */
mps_status mps_seg_flush(mps_seg *seg);

#endif
