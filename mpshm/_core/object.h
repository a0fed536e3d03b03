/* object.h -- what every shared object begins with, who refers to it, and how it dies.
 *
 *   mortal:  | kind : 32 | flags : 32 | next : 64 | cursor : 64 |                         24 bytes
 *   object:  | mortal | serial | refs | guard | userlock | ... the kind's own   80 bytes
 *
 * refs counts the containers' values, names, processes (one each, however many handles they have), tokens and lane
 * holds that refer to the object; it changes under the references' guard (root->refs_guard), in the journal. At 0 the
 * object goes into the limbo of the lane: a list of dying blocks, taken apart step by step, each step an operation of
 * its own, after the operation that dropped the last reference; a dead process's limbo is finished by whoever recovers it.
 * Nothing recurses: what a dying object referred to goes into the same list.
 *
 * A body of a container (its table, its array) is mortal too: clear() swings a new one in and lets the old one die.
 *
 * The serial is unique in the segment. A handle that carries (offset, serial) can't reach another object.
 */
#ifndef MPS_OBJECT_H
#define MPS_OBJECT_H

#include "alloc.h"
#include "userlock.h"

#define MPS_KIND_MAGIC 0x6d700000u
enum {
    MPS_KIND_DICT = MPS_KIND_MAGIC | 1,
    MPS_KIND_LIST = MPS_KIND_MAGIC | 2,
    MPS_KIND_VALUE = MPS_KIND_MAGIC | 3,
    MPS_KIND_NAMESPACE = MPS_KIND_MAGIC | 4,
    MPS_KIND_LOCK = MPS_KIND_MAGIC | 5,
    MPS_KIND_RLOCK = MPS_KIND_MAGIC | 6,
    MPS_KIND_BLOB = MPS_KIND_MAGIC | 7, /* an immutable large value: value.h */
    MPS_KIND_SET = MPS_KIND_MAGIC | 8,
    MPS_KIND_DEQUE = MPS_KIND_MAGIC | 9,
    MPS_KIND_QUEUE = MPS_KIND_MAGIC | 10,
    MPS_KIND_JOINABLE_QUEUE = MPS_KIND_MAGIC | 11,
    MPS_KIND_SIMPLE_QUEUE = MPS_KIND_MAGIC | 12,
    MPS_KIND_SEMAPHORE = MPS_KIND_MAGIC | 13,
    MPS_KIND_BOUNDED_SEMAPHORE = MPS_KIND_MAGIC | 14,
    MPS_KIND_CONDITION = MPS_KIND_MAGIC | 15,
    MPS_KIND_EVENT = MPS_KIND_MAGIC | 16,
    MPS_KIND_BARRIER = MPS_KIND_MAGIC | 17,
    MPS_KIND_RAW = MPS_KIND_MAGIC | 18,      /* bytes that programs change as they like */
    MPS_KIND_ARRAY = MPS_KIND_MAGIC | 19,    /* numbers of one type */
    MPS_KIND_INSTANCE = MPS_KIND_MAGIC | 20, /* the state of an object of a user's class */
    MPS_KIND_MAP = MPS_KIND_MAGIC | 21,      /* sorted by key */
    MPS_KIND_MULTI_MAP = MPS_KIND_MAGIC | 22,
    MPS_KIND_SORTED_SET = MPS_KIND_MAGIC | 23,
    MPS_KIND_VECTOR = MPS_KIND_MAGIC | 24, /* numbers of one type, which grows */
    MPS_KIND_LINKED_LIST = MPS_KIND_MAGIC | 25,
    MPS_KIND_STRING = MPS_KIND_MAGIC | 26, /* text or bytes that change in place */
    MPS_KIND_POOL = MPS_KIND_MAGIC | 27,   /* nodes of one size */
    MPS_KIND_NDARRAY = MPS_KIND_MAGIC | 28,
    MPS_KIND_NAMES = MPS_KIND_MAGIC | 29,      /* the segment's own: names.h */
    MPS_KIND_BUFFER = MPS_KIND_MAGIC | 30,     /* bytes that never change, of an array for instance: buffer.h */
    MPS_KIND_TABLE_BODY = MPS_KIND_MAGIC | 64, /* not objects: mortal blocks only */
    MPS_KIND_ARRAY_BODY = MPS_KIND_MAGIC | 65,
    MPS_KIND_DEQUE_BODY = MPS_KIND_MAGIC | 66,
    MPS_KIND_RING_CHUNK = MPS_KIND_MAGIC | 67,
    MPS_KIND_TREE_NODE = MPS_KIND_MAGIC | 68,
    MPS_KIND_LINKED_CHAIN = MPS_KIND_MAGIC | 69,
};

/* Bits of an object's flags; the rest is the kind's own. */
#define MPS_FLAG_MANAGED \
    1u /* made by a manager: where threading's and multiprocessing's behaviour differ, as threading's */
#define MPS_FLAG_ADDERS \
    2u /* of a lock: others may add to what it protects without taking it (adder.h); never taken back */

typedef struct mps_mortal {
    uint32_t kind;   /* MPS_KIND_* */
    uint32_t flags;  /* kind's own */
    uint64_t next;   /* in limbo: offset of the next dying block; 0 last */
    uint64_t cursor; /* in limbo: how far it has been taken apart, in the kind's own unit */
} mps_mortal;

typedef struct mps_object {
    mps_mortal mortal;
    uint64_t serial;   /* unique, never 0 */
    uint64_t refs;     /* references; 0 only in limbo */
    mps_guard guard;   /* of the content */
    mps_userlock user; /* obj.lock */
} mps_object;

_Static_assert(sizeof(mps_mortal) == 24, "stored");
_Static_assert(sizeof(mps_object) == 80, "stored");
_Static_assert(offsetof(mps_object, guard) == 40, "stored");
_Static_assert(offsetof(mps_object, user) == 56, "stored");

/* Words of floor 4; in the header. */
typedef struct mps_root {
    mps_guard refs_guard; /* of all reference counts, tokens, tables of references */
    uint64_t next_serial; /* the next object's */
    uint64_t objects;     /* objects alive (blobs included) */
    uint64_t tokens;      /* offset of the first token; 0 none */
    uint64_t names;       /* offset of the table of names, one reference; 0 none yet, never 0 again */
    uint64_t reserved;
    uint64_t pools; /* offset of the first pool (pool.h); 0 none */
} mps_root;

_Static_assert(sizeof(mps_root) == 64, "stored");
_Static_assert(offsetof(mps_root, pools) == 56, "stored");

static inline mps_root *mps_seg_root(const mps_seg *seg)
{
    return seg->root;
}

/* What a walk over a frozen segment collects (check.h). */
typedef struct mps_visit {
    mps_status (*block)(struct mps_visit *v, mps_off block); /* this block belongs to what is being visited */
    mps_status (*ref)(struct mps_visit *v, mps_off object);  /* one reference to this object */
    mps_status (*bad)(struct mps_visit *v, const char *why); /* notes why, returns MPS_E_CORRUPT */
} mps_visit;

/* What the floors above tell of a kind. */
typedef struct mps_kind {
    uint32_t kind;
    const char *name;
    uint64_t size; /* bytes of the block, at least */
    /* One bounded step of taking a dying block apart: releases some of what it owns, moves cursor on (all in tx; the caller
     * commits). *done: nothing is left but the block itself. */
    mps_status (*drop)(mps_tx *tx, mps_mortal *m, mps_off off, bool *done);
    /* Checks the content of a frozen segment's object or body, and visits every block and reference it owns, bodies included. */
    mps_status (*visit)(mps_seg *seg, mps_off off, mps_visit *v);
} mps_kind;

/* The kind's description, NULL for none (kinds.c, floor 6). */
const mps_kind *mps_kind_find(uint32_t kind);

/* A new object inside an operation, under the references' guard: zero but for kind, serial and refs 1 (the caller says whose). */
mps_status mps_object_make(mps_tx *tx, uint32_t kind, uint64_t nbytes, mps_off *off);
/* The object at off if it is one of that kind (0: any), inside of the segment: else NULL. */
mps_object *mps_object_at(mps_seg *seg, mps_off off, uint32_t kind);

/* ---- inside operations ---- */

/* The references' guard, once an operation. */
mps_status mps_refs_enter(mps_tx *tx);
mps_status mps_object_incref(mps_tx *tx, mps_off off);
/* At the last reference the object goes to limbo. */
mps_status mps_object_decref(mps_tx *tx, mps_off off);
/* A body goes to limbo. */
mps_status mps_mortal_drop(mps_tx *tx, mps_off off);

/* An object of a kind without handles (a blob), refs 1 counted by the lane's hold; nbytes of content behind it. The caller
 * fills it, outside of guards, and hands the hold on with mps_hold_give inside the operation that stores it. */
mps_status mps_hold_new(mps_tx *tx, uint32_t kind, uint64_t nbytes, mps_off *off);
/* Keeps an object alive beyond the guard under which it was found. */
mps_status mps_hold_take(mps_tx *tx, mps_off off);
/* The reference is the caller's now (the value just stored counts it). */
mps_status mps_hold_give(mps_tx *tx, mps_off off);
/* Lets go of all that the lane holds. An operation of its own. */
mps_status mps_hold_drop(mps_tx *tx);

/* What the lane keeps of pools' nodes (pool_cache.c, floor 6): after an operation, too many of them; all of them, when the lane's owner
 * leaves or is dead. Operations of their own. */
void mps_pools_trim(mps_tx *tx);
mps_status mps_pools_flush(mps_tx *tx);

/* Takes dying blocks of the lane apart until none is left. Operations of their own. */
mps_status mps_limbo_drain(mps_tx *tx);
/* Waits for the change of the object that is going on, if there is one. Who has just taken obj.lock calls it: a change that had the
 * guard before knows nothing of the lock, and what is read now would be overtaken by it. An operation of its own. */
mps_status mps_object_settle(mps_seg *seg, mps_door door, mps_object *obj);
/* The hook of slots.h at the end of an operation. */
void mps_object_drain(mps_tx *tx);

#endif
