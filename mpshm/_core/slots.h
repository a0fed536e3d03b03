/* slots.h -- who is attached to a segment, and who died.
 *
 *   control  (in the header)          one line of words that all attached processes share
 *   heads    n_slots x 64 bytes       generation and state of each slot
 *   bodies   n_slots x body_stride    lanes and references of each slot; given memory when first claimed
 *
 *   body:  | lane 0 | lane 1 | ... | lane 11 | table of references |
 *   lane:  | ctl held hold limbo spill | cache heads | inner journal | outer journal |   (4096 bytes)
 *
 * A process owns one slot in each segment it is attached to. It is alive as long as the kernel says that an
 * open file description holds the lock on byte number `slot` of the segment's file; no pid is trusted.
 * A token names a process: slot and generation, in the 31 bits of a lock word's owner. Generations count up
 * each time a slot is given back, so a token is never alive again once its process is gone.
 *
 * Invariants: a slot's lanes are written by its owner only, or, once the owner is dead, by the one process that recovers it
 * (recover.h). A lane is used by one thread at a time.
 * A slot with state FREE has an idle, empty body.
 *
 * Threads that hold Python's GIL take their lanes from lanes [0, MPS_GIL_LANES) without atomics; all others
 * from the rest, without atomics too as long as their process has one thread. Costs: alive() one system call; claiming a lane a few
 * instructions.
 */
#ifndef MPS_SLOTS_H
#define MPS_SLOTS_H

#include "os.h"
#include "region.h"

#define MPS_SLOT_BITS 11u /* a token: generation << 11 | slot */
#define MPS_MAX_SLOTS (1u << MPS_SLOT_BITS)
#define MPS_GENERATIONS (1u << 20)
#define MPS_WAITERS 0x80000000u /* the highest bit of a lock word: somebody sleeps on it */

#define MPS_GIL_LANES 8u
#define MPS_LANES 12u
#define MPS_HELD 6u     /* guards that one operation may hold */
#define MPS_HOLDS 2u    /* objects that one operation may keep alive */
#define MPS_CLASSES 57u /* size classes of cached blocks: alloc.h */
#define MPS_INNER 64u
#define MPS_OUTER 144u
#define MPS_SLOT_REFS 1024u /* references in the body itself; more live in a block */

/* One step that can be undone: see journal.h. */
typedef struct mps_undo {
    uint64_t where; /* offset of the thing | MPS_UNDO_* in the low three bits */
    uint64_t old;   /* what stood there, or what the kind says */
} mps_undo;

/* Nodes of a pool that a lane keeps at hand: pool.h. */
typedef struct mps_lane_pool {
    uint64_t serial; /* the pool's; 0: empty */
    uint64_t where;  /* number of nodes << 48 | offset of the pool */
    uint64_t free;   /* offset of the first node; its first word links on */
    uint64_t fresh;  /* of those freed lately */
} mps_lane_pool;

#define MPS_LANE_POOLS 4u

typedef struct mps_lane {
    uint64_t ctl;             /* phase, count of inner and of outer entries: journal.h */
    uint64_t held[MPS_HELD];  /* offsets of the guards being taken, held or released; 0 none */
    uint64_t hold[MPS_HOLDS]; /* offsets of objects on each of which this lane counts one reference */
    uint64_t limbo;           /* offset of the first block that is dying, linked by mps_mortal.next */
    uint64_t spill;           /* offset of the block with the outer entries from MPS_OUTER on; 0 none */
    uint64_t spill_entries;   /* capacity of that block, in entries */
    uint64_t reserved[4];
    uint64_t cache[MPS_CLASSES]; /* offset of the first cached block of each class; its first word links on */
    uint64_t reserved_too[7];
    mps_lane_pool pools[MPS_LANE_POOLS];
    mps_undo inner[MPS_INNER]; /* the allocation that is going on */
    mps_undo outer[MPS_OUTER]; /* the operation that is going on */
} mps_lane;

typedef struct mps_slot_head {
    uint64_t word;    /* generation << 8 | MPS_SLOT_FREE or MPS_SLOT_USED */
    uint32_t pid;     /* a hint for people, never trusted */
    int32_t fd;       /* the owner's descriptor of the segment: a hint for those who look for it */
    uint64_t since;   /* monotonic ns when it was claimed: a hint for people */
    uint64_t cleaner; /* token of the process that takes a dead owner's things back (recover.h); 0 nobody */
    uint64_t adding;  /* offset of the lock under which the owner adds to a number just now (adder.h); 0 none */
    uint64_t reserved[3];
} mps_slot_head;

typedef struct mps_slot_body {
    mps_lane lanes[MPS_LANES];
    uint64_t refs_block;    /* offset of the block with references from MPS_SLOT_REFS on; 0 none */
    uint64_t refs_capacity; /* references that fit, those in the body included */
    uint64_t refs_used;     /* references [0, refs_used) may be set */
    uint64_t reserved[5];
    uint64_t refs[MPS_SLOT_REFS]; /* offsets of objects on each of which this process counts one reference; 0 free */
} mps_slot_body;

_Static_assert(sizeof(mps_undo) == 16, "stored");
_Static_assert(sizeof(mps_lane) == 4096, "stored");
_Static_assert(offsetof(mps_lane, cache) == 128, "stored");
_Static_assert(sizeof(mps_lane_pool) == 32, "stored");
_Static_assert(offsetof(mps_lane, pools) == 640, "stored");
_Static_assert(offsetof(mps_lane, inner) == 768, "stored");
_Static_assert(offsetof(mps_lane, outer) == 1792, "stored");
_Static_assert(sizeof(mps_slot_head) == 64, "stored");
_Static_assert(offsetof(mps_slot_body, refs_block) == 49152, "stored");
_Static_assert(offsetof(mps_slot_body, refs) == 49216, "stored");
_Static_assert(sizeof(mps_slot_body) == 57408, "stored");

enum { MPS_SLOT_FREE = 0, MPS_SLOT_USED = 1 };
enum { MPS_STATE_NEW = 0, MPS_STATE_READY = 1, MPS_STATE_CLOSED = 2, MPS_STATE_BROKEN = 3 };
#define MPS_STATE_READING \
    4 /* never stored: what seg->control says where the segment may not be written to (reader.h) */

/* Bytes of a segment's file behind all slots' (no memory is there) whose locks say more: */
#define MPS_BYTE_GATE ((uint64_t)1 << 40)    /* exclusive: who makes, opens or leaves; shared: who looks */
#define MPS_BYTE_READERS (MPS_BYTE_GATE + 1) /* shared: who has it open for reading only */

/* The words all processes look at; a cache line of its own in the header. */
typedef struct mps_control {
    uint32_t state;      /* MPS_STATE_* */
    uint32_t recovery;   /* lock word: who frees a dead process's guards just now; 0 nobody */
    uint32_t freeze;     /* lock word: who has stopped all changes (check, shrink); 0 nobody */
    uint32_t top_slot;   /* one more than the highest slot that was ever claimed */
    uint64_t recoveries; /* slots taken back from dead processes since the start */
    uint64_t reserved2[5];
} mps_control;

_Static_assert(sizeof(mps_control) == 64, "stored");

typedef struct mps_seg mps_seg;
typedef struct mps_tx mps_tx;

/* What the floors above lend to this one. */
typedef struct mps_hooks {
    mps_status (*recover_locks)(mps_seg *seg, uint32_t token); /* floor 4: free a dead process's guards */
    mps_status (*recover)(mps_seg *seg, uint32_t token);       /* floor 4: take back all that it left */
    mps_status (*recover_all)(mps_seg *seg, uint32_t *count);  /* floor 4: of every dead process */
    mps_status (*undo_block)(mps_tx *tx,
                             const mps_undo *entry); /* floor 3: an ALLOC or EXTEND entry, popped as it ends */
    mps_status (*free_block)(mps_tx *tx,
                             const mps_undo *entry); /* floor 3: a FREE entry after the commit, popped as it ends */
    void (*drain)(mps_tx *tx);                       /* floor 4: end of an operation: limbo, full caches */
    mps_status (*fork_copy)(mps_seg *seg, uint32_t child); /* floor 4: the child's table of references */
    uint64_t (*refs_version)(mps_seg *seg);                /* floor 4: changes of what we refer to */
    void (*rejoin)(mps_seg *seg);                          /* floor 4: a new, empty slot: refer to our objects again */
} mps_hooks;

/* An attachment: what this process knows of one segment. Private memory. */
struct mps_seg {
    mps_region region;
    mps_control *control;
    const mps_hooks *hooks;
    mps_slot_head *head; /* ours */
    mps_slot_body *body; /* ours */
    uint64_t slot_word;  /* what head->word says while the slot is ours */
    uint32_t slot;
    uint32_t token;      /* generation << MPS_SLOT_BITS | slot; 0 while we have no slot */
    uint32_t gil_lanes;  /* bit set: lane free; touched with the GIL held only */
    uint32_t free_lanes; /* the same for lanes [MPS_GIL_LANES, MPS_LANES), atomic */
    /* constants of the segment, checked once when attaching, so that later changes of the bytes can't mislead us */
    uint32_t n_slots;
    uint64_t slots, bodies, body_stride;
    mps_off arena;   /* where blocks begin */
    mps_off max_end; /* where they end at the latest, but for journals (region.reserve) */
    bool sequential; /* a constant too: free chunks are kept by address, not by size (alloc_order.h) */
    uint64_t
        keep; /* bytes that may lie free with memory; 0: as many as alloc_fit.c thinks. Not a constant: this process's wish */
    uint64_t seed; /* of all hashes in this segment */
    uint8_t id[16];
    int live_fd;                /* the open file description that holds our liveness lock; -1 for an adopted buffer */
    bool named;                 /* a path leads to the file */
    bool persistent;            /* and it outlives the machine's run: opening.h says how that is kept track of */
    const mps_control *watched; /* read-only segments: what the segment itself says, while control is our own */
    void *fit;                  /* floor 3: allocator state in the segment */
    void *root;                 /* floor 4: the header in the segment */
    struct mps_refmap *refs;    /* floor 4: what this process refers to */
    void *keeper;               /* what keeps adopted memory there, and how to tell it that we are done; NULL: nobody */
    void (*done)(void *keeper);
    uint32_t users;     /* handles on this attachment in this process; under the process's mutex */
    uint32_t locks;     /* users' locks that this process has taken and not let go of itself, atomic */
    uint32_t gil_locks; /* the same of threads that held the GIL while they did; may be negative: only the sum counts */
    uint32_t processors; /* that this process may run on */
    uint8_t spin_credit; /* whether spinning has paid lately (nap.h); a guess */
    uint8_t spin_turn;   /* waits since */
    uint32_t mutex;      /* private futex: refs and attachment */
    uint64_t recovering; /* thread of ours that holds control->recovery; 0 none */
    uint32_t recoverers; /* threads of ours that hold it or want it, atomic */
    uint32_t freezers;   /* the same of control->freeze */
    uint32_t dead_seen;  /* 1: an operation met a dead process; the rest of its things waits to be taken back */
    uint64_t child_refs; /* version of refs that was copied for the child */
    uint32_t child_slot, child_token;
    uint64_t child_word;
    int child_fd;                            /* between prepare and parent/child of a fork; -1 otherwise */
    uint16_t cached[MPS_LANES][MPS_CLASSES]; /* blocks in lane caches (a guess is enough) */
    struct mps_seg *next;
};

/* ---- attaching ---- */

/* Adopts the segment's constants, claims a slot and puts seg into the process's table. */
mps_status mps_slots_attach(mps_seg *seg);
/* Gives the slot back (its body must be idle and empty) and takes seg out of the table. */
void mps_slots_detach(mps_seg *seg);
/* One handle more on the attachment. */
void mps_slots_use(mps_seg *seg);
/* One handle less on the attachment; true when it was the last, and no lock is left: nobody finds it any more, and it is to be
 * detached. With a lock it stays, and who attaches later finds it. */
bool mps_slots_unuse(mps_seg *seg);
/* For tests on adopted buffers: forgets the attachment as if the process had died. */
void mps_slots_abandon(mps_seg *seg);
/* An attachment of this process by segment id, retained; NULL when there is none. readonly: one for reading only. */
mps_seg *mps_slots_find(const uint8_t id[16], bool readonly);
/* The same by where it is mapped. */
mps_seg *mps_slots_find_at(const void *base);
/* Puts a read-only seg into the process's table: it has no slot, and lanes of its own memory. */
mps_status mps_slots_attach_reader(mps_seg *seg);
/* Takes a slot anew after ours was lost (fork without a slot to give, descriptors closed by the program). */
mps_status mps_slots_reclaim(mps_seg *seg);

/* ---- the gate ---- */

/* Takes the gate of a file through a description that nobody else has; this process does not fork until it has left it.
 * MPS_E_TIMEOUT at the deadline (monotonic ns). */
mps_status mps_gate_enter(int fd, bool exclusive, uint64_t deadline);
void mps_gate_leave(int fd);

/* ---- liveness ---- */

static inline uint32_t mps_token_slot(uint32_t token)
{
    return token & (MPS_MAX_SLOTS - 1);
}

static inline uint32_t mps_token_make(uint64_t slot_word, uint32_t slot)
{
    return (uint32_t)((slot_word >> 8) % MPS_GENERATIONS) << MPS_SLOT_BITS | slot;
}

mps_slot_head *mps_slot_head_at(const mps_seg *seg, uint32_t slot);
mps_slot_body *mps_slot_body_at(const mps_seg *seg, uint32_t slot);
/* 1 the process behind the token lives; 0 it is dead, its slot not yet recovered; negative MPS_E_NOTFOUND: no such
 * process (any more). */
int mps_token_alive(mps_seg *seg, uint32_t token);
/* The same for whoever has the slot now; MPS_E_NOTFOUND when it is free. */
int mps_slot_alive(mps_seg *seg, uint32_t slot);
/* Whether a living process is taking the slot's things back. */
bool mps_slot_is_cleaned(mps_seg *seg, uint32_t slot);
/* Marks a slot, recovered and empty, as free for the next process. */
void mps_slot_retire(mps_seg *seg, uint32_t slot);

/* ---- lanes ---- */

typedef enum mps_door {
    MPS_DOOR_GIL = 0,  /* the caller holds the GIL, and lets go of it while it waits */
    MPS_DOOR_FREE = 1, /* the caller has nothing to do with Python */
} mps_door;

/* Takes a free lane, waiting for one when all are in use. */
uint32_t mps_lane_claim_slow(mps_seg *seg, mps_door door);

static inline uint32_t mps_lane_claim(mps_seg *seg, mps_door door)
{
    if (mps_likely(door == MPS_DOOR_GIL && seg->gil_lanes != 0)) {
        uint32_t lane = (uint32_t)__builtin_ctz(seg->gil_lanes);
        seg->gil_lanes &= seg->gil_lanes - 1;
        return lane;
    }
    uint32_t lanes = mps_load32(&seg->free_lanes);
    if (mps_likely(lanes != 0 && mps_os_is_alone())) { /* nobody to be quicker than: no atomic operation */
        __atomic_store_n(&seg->free_lanes, lanes & (lanes - 1), __ATOMIC_RELAXED);
        return (uint32_t)__builtin_ctz(lanes);
    }
    return mps_lane_claim_slow(seg, door);
}

static inline void mps_lane_release(mps_seg *seg, uint32_t lane)
{
    if (lane < MPS_GIL_LANES) {
        seg->gil_lanes |= 1u << lane;
    } else if (mps_os_is_alone()) {
        __atomic_store_n(&seg->free_lanes, mps_load32(&seg->free_lanes) | 1u << lane, __ATOMIC_RELEASE);
    } else {
        __atomic_fetch_or(&seg->free_lanes, 1u << lane, __ATOMIC_RELEASE);
    }
}

/* ---- waiting ---- */

/* Lets go of the GIL (door GIL) around a wait, and takes it again. */
void *mps_door_leave(mps_door door);
void mps_door_enter(mps_door door, void *state);
/* How: set once by the Python binding. */
void mps_door_install(void *(*leave)(void), void (*enter)(void *state));

/* An object of the language behind the door for n bytes of a kind that both sides know: *object, and where its bytes go; NULL where
 * there is none for that kind. With the GIL held. */
void *mps_door_make(mps_door door, unsigned kind, uint64_t n, void **object);
void mps_door_drop(void *object);
void mps_door_install_objects(void *(*make)(unsigned kind, uint64_t n, void **object), void (*drop)(void *object));

/* A lock inside this process's own memory (no robustness needed: it dies with us). */
void mps_mutex_lock(uint32_t *word);
void mps_mutex_unlock(uint32_t *word);

#endif
