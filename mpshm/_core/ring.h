/* ring.h -- messages in the order in which they were put: Queue, JoinableQueue, SimpleQueue.
 *
 *   object:  | mps_object | ... | consumers : 128 | producers : 128 | joiners : 64 |
 *     consumers   | get_guard | got : 64 | first : 64 | seen : 32 | waiters : 32 |
 *     producers   | put_guard | put : 64 | last : 64 | limit : 32 | room : 32 | waiters : 32 | maxsize : 64 | shut : 64 |
 *     joiners     | done : 32 | waiters : 32 |
 *   word (got, put):  | tentative : 1 | place : 31 | items : 32 |          one 8-byte store changes all three
 *   chunk:   | mortal : 24 | next : 64 | capacity : 32 | messages ... |    at `first`, linked by next, the newest at `last`
 *   message: | form : 8 | tag : 16 | 0 : 8 | length : 32 | bytes |         whole units of 16 bytes; `place` counts units
 *
 * items counts, modulo 2^32, what was ever put and what was ever taken: put.items - got.items are in the queue. place is where the
 * next message of the last chunk goes, and where the next one of the first chunk is.
 *
 * Invariants: got.items <= put.items (modulo 2^32, by less than 2^31); done between them counts finished tasks; every chunk but the last
 * ends in an END mark; what lies at and beyond put.place is not reachable and may hold anything.
 *
 * Locking: producers work under put_guard at the last chunk, consumers under get_guard at the first one: one of each never meet.
 * Order: object.guard (task_done), get_guard, put_guard, then as ever. A message without references is written beyond put.place
 * and published with one store of the word, without a journal. One that owns a block or counts references takes an operation, whose
 * commit must come before anybody takes it: its word is `tentative` until then. Who needs what is tentative takes put_guard, and so
 * waits for the commit, or for the recovery that undoes it; a word that still is tentative with the guard free was committed.
 * A consumer at the end of its chunk frees it; taking an owned message, or leaving a chunk, is an operation.
 *
 * A consumer that is killed while it takes an owned message puts it back; producers may have seen its place free, and then there is
 * one more than `limit`.
 *
 * `seen` and `room` are what consumers knew of put.items and producers of got.items when they last looked: most operations do not
 * touch the other side's cache lines.
 *
 * Sleepers: consumers on put.items, producers on got.items (both the low half of the word, a futex), joiners on done.
 *
 * Costs: put and get O(1) and one copy; one in many allocates or frees a chunk. A chunk has about 1 KiB at first, then doubles, from
 * 16 KiB on only while consumers lag behind, up to 64 KiB.
 */
#ifndef MPS_RING_H
#define MPS_RING_H

#include "nap.h"
#include "value.h"

#define MPS_RING_INLINE 4096u /* bytes of data that go into the message; more become a blob */

typedef struct mps_ring {
    mps_object object; /* guard: of done */
    uint64_t reserved[6];
    /* consumers */
    mps_guard get_guard;
    uint64_t got;
    uint64_t first;       /* offset of the chunk with the next message; 0 none */
    uint32_t seen;        /* put.items when a consumer last looked */
    uint32_t got_waiters; /* 1: producers may sleep on got */
    uint64_t reserved2[11];
    /* producers */
    mps_guard put_guard;
    uint64_t put;
    uint64_t last;  /* offset of the chunk that is being filled; 0 none */
    uint32_t limit; /* items at most; 0: none asked for */
    uint32_t room;  /* got.items when a producer last looked */
    uint32_t reserved3;
    uint32_t put_waiters; /* 1: consumers may sleep on put */
    uint64_t shut;        /* 1: nothing may be put any more */
    int64_t maxsize;      /* as the program gave it */
    uint64_t reserved4[8];
    /* joiners */
    uint64_t done; /* items finished, modulo 2^32; upper half 0 */
    uint32_t done_waiters;
    uint32_t reserved5;
} mps_ring;

_Static_assert(sizeof(mps_ring) == 400, "stored");
_Static_assert(offsetof(mps_ring, get_guard) == 128, "stored");
_Static_assert(offsetof(mps_ring, put_guard) == 256, "stored");
_Static_assert(offsetof(mps_ring, put) == 272, "stored");
_Static_assert(offsetof(mps_ring, done) == 384, "stored");

/* Whole operations, statuses as in table.h; besides: MPS_E_TIMEOUT: it stayed full, or empty; MPS_E_CHANGED: it was shut down;
 * MPS_E_INTR as mps_nap_wait. timeout_ns 0: do not wait; MPS_FOREVER. */

/* Says how many items fit, before the first is put: 0 or less: as many as there is memory for. */
mps_status mps_ring_limit(mps_seg *seg, mps_off off, int64_t maxsize);
mps_status mps_ring_put(mps_seg *seg, mps_door door, mps_off off, mps_enc *value, uint64_t timeout_ns);
/* MPS_E_CHANGED: shut down, and empty. */
mps_status mps_ring_get(mps_seg *seg, mps_door door, mps_off off, mps_copy *out, uint64_t timeout_ns);
/* Items that are there to be taken. No guard, as a rule. */
mps_status mps_ring_count(mps_seg *seg, mps_door door, mps_off off, uint32_t *n);
/* One task is finished: MPS_E_RANGE when all that were put are. */
mps_status mps_ring_task_done(mps_seg *seg, mps_door door, mps_off off);
/* Tasks that were put and are not finished. No guard, as a rule. */
mps_status mps_ring_unfinished(mps_seg *seg, mps_door door, mps_off off, uint32_t *n);
/* Waits until every task that was put is finished. */
mps_status mps_ring_join(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns);
/* Nothing may be put any more; at_once: and what is there is thrown away, as finished. Wakes everybody. */
mps_status mps_ring_shut(mps_seg *seg, mps_door door, mps_off off, bool at_once);
/* Waits until a get (put: a put) need not wait, and takes nothing. */
mps_status mps_ring_ready(mps_seg *seg, mps_door door, mps_off off, bool put, uint64_t timeout_ns);
/* Passes a wake-up on that was not made use of. */
void mps_ring_nudge(mps_seg *seg, mps_off off, bool put);

/* Kind hooks. */
mps_status mps_ring_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_ring_chunk_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
mps_status mps_ring_visit(mps_seg *seg, mps_off off, mps_visit *v);
mps_status mps_ring_chunk_visit(mps_seg *seg, mps_off off, mps_visit *v);

#endif
