#include "lock.h"
#include "pool.h"
#include "value.h"

/* tx->pools: bit i: this operation has used entry i; bit 4 + i: it holds too many nodes; bit 8: an entry was wanted. */
#define BIT_USED(i) ((uint16_t)(1u << (i)))
#define BIT_LONG(i) ((uint16_t)(16u << (i)))
#define BIT_WANTED ((uint16_t)256u)

#define COUNT_SHIFT 48u
#define OFF_MASK (((uint64_t)1 << COUNT_SHIFT) - 1)
#define BATCH 32u /* nodes that an empty cache takes at once */
#define GIVE 64u  /* nodes that go back in one operation */

_Static_assert(MPS_POOL_CACHED_MAX < 1u << (64 - COUNT_SHIFT), "a count fits");

static uint64_t count_of(uint64_t where)
{
    return where >> COUNT_SHIFT;
}

/* ---- inside an operation ---- */

/* The lane's entry for a pool; -1 when there is none and none is free. Its fresh nodes are of operations before this one when it is
 * used for the first time in it. */
static int find_entry(mps_tx *tx, mps_off behind, const mps_pool *shared)
{
    uint64_t serial = mps_load64(&shared->object.serial);
    int empty = -1;
    for (int i = 0; i < (int)MPS_LANE_POOLS; i++) {
        mps_lane_pool *e = &tx->lane->pools[i];
        uint64_t now = mps_load64(&e->serial);
        if (now == serial) {
            if ((tx->pools & BIT_USED(i)) == 0) {
                tx->pools |= BIT_USED(i);
                mps_off fresh = mps_load64(&e->fresh);
                if (fresh != 0 && mps_load64(&e->free) == 0) {
                    mps_tx_set(tx, &e->free, fresh);
                    mps_tx_set(tx, &e->fresh, 0);
                }
            }
            return i;
        }
        empty = now == 0 && empty < 0 ? i : empty;
    }
    if (empty < 0) {
        tx->pools |= BIT_WANTED;
        tx->trim = true;
        return -1;
    }
    mps_lane_pool *e = &tx->lane->pools[empty];
    mps_tx_set(tx, &e->where, behind);
    mps_tx_set(tx, &e->free, 0);
    mps_tx_set(tx, &e->fresh, 0);
    mps_tx_set(tx, &e->serial, serial);
    tx->pools |= BIT_USED(empty);
    return empty;
}

/* One node for the caller, and some for the lane (e may be NULL). */
static mps_status refill(mps_tx *tx, const mps_pool *p, mps_off behind, mps_pool *shared, mps_lane_pool *e,
                         mps_off *node)
{
    mps_status st = mps_pool_enter(tx, shared);
    uint32_t n = e == NULL ? 1 : (uint32_t)mps_min64(mps_max64(mps_load32(&p->spec.max_cached_nodes) / 2, 1), BATCH);
    uint32_t got = 0;
    if (st == MPS_OK) {
        st = mps_pool_take(tx, behind, shared, n, node, &got);
    }
    if (st != MPS_OK || got < 2) {
        return st;
    }
    mps_tx_set(tx, &e->free, mps_load64(mps_region_at(&tx->seg->region, *node)));
    mps_tx_set(tx, &e->where, mps_load64(&e->where) + ((uint64_t)(got - 1) << COUNT_SHIFT));
    return MPS_OK;
}

mps_status mps_pool_alloc_cached(mps_tx *tx, const mps_pool *p, mps_off behind, mps_pool *shared, mps_off *node)
{
    int i = find_entry(tx, behind, shared);
    mps_lane_pool *e = i >= 0 ? &tx->lane->pools[i] : NULL;
    mps_off first = e != NULL ? mps_load64(&e->free) : 0;
    if (mps_unlikely(first == 0)) {
        mps_status st = mps_tx_reserve(tx, MPS_ROOM_NODE + MPS_ROOM_NODE_AFTER);
        return st == MPS_OK ? refill(tx, p, behind, shared, e, node) : st;
    }
    uint64_t *word = mps_pool_word(tx->seg, shared, first);
    uint64_t where = mps_load64(&e->where);
    if (mps_unlikely(word == NULL || count_of(where) == 0)) {
        return MPS_E_CORRUPT;
    }
    /* (the node's own link too: whoever gets it writes over it, without a journal) */
    mps_tx_log_all(tx, (uint64_t *[]){word, &e->free, &e->where}, 3);
    mps_store64(&e->free, mps_load64(word));
    mps_store64(&e->where, where - ((uint64_t)1 << COUNT_SHIFT));
    *node = first;
    return MPS_OK;
}

mps_status mps_pool_free_cached(mps_tx *tx, const mps_pool *p, mps_off behind, mps_pool *shared, mps_off node)
{
    int i = find_entry(tx, behind, shared);
    uint64_t where = i >= 0 ? mps_load64(&tx->lane->pools[i].where) : 0;
    uint64_t most = mps_load32(&p->spec.max_cached_nodes);
    /* (one operation may free many: they are trimmed at its end only) */
    if (mps_unlikely(i < 0 || count_of(where) >= mps_min64(2 * most, MPS_POOL_CACHED_MAX))) {
        mps_status st = mps_tx_reserve(tx, MPS_ROOM_NODE + MPS_ROOM_NODE_AFTER);
        if (st == MPS_OK) {
            st = mps_pool_enter(tx, shared);
        }
        return st == MPS_OK ? mps_pool_give(tx, shared, node) : st;
    }
    mps_lane_pool *e = &tx->lane->pools[i];
    uint64_t *word = mps_pool_word(tx->seg, shared, node);
    if (mps_unlikely(word == NULL)) {
        return MPS_E_CORRUPT;
    }
    mps_tx_log_all(tx, (uint64_t *[]){word, &e->fresh, &e->where}, 3);
    mps_store64(word, mps_load64(&e->fresh));
    mps_store64(&e->fresh, node);
    mps_store64(&e->where, where + ((uint64_t)1 << COUNT_SHIFT));
    if (count_of(where) >= most) {
        tx->pools |= BIT_LONG(i);
        tx->trim = true;
    }
    return MPS_OK;
}

/* ---- giving back ---- */

/* The pool that an entry is of, if it lives; under the references' guard, or on a frozen segment. */
static mps_pool *pool_of(mps_seg *seg, const mps_lane_pool *e)
{
    mps_pool *p = mps_pool_at(seg, mps_load64(&e->where) & OFF_MASK);
    bool lives =
        p != NULL && mps_load64(&p->object.serial) == mps_load64(&e->serial) && mps_load64(&p->object.refs) > 0;
    return lives ? p : NULL;
}

/* Nodes of an entry that are on their way back: those in free first. */
typedef struct parcel {
    mps_off free, fresh;
    uint64_t where;
} parcel;

/* The first of the two lists' nodes, *word its link, off its list; NULL when that makes no sense. */
static uint64_t *take_off(mps_seg *seg, const mps_pool *p, parcel *from, mps_off *node)
{
    mps_off *head = from->free != 0 ? &from->free : &from->fresh;
    *node = *head;
    uint64_t *word = mps_pool_word(seg, p, *node);
    if (word != NULL && count_of(from->where) > 0) {
        *head = mps_load64(word);
        from->where -= (uint64_t)1 << COUNT_SHIFT;
        return word;
    }
    return NULL;
}

/* Back to a node pool: up to n nodes of one of the lists, as they are linked. */
static mps_status give_chain(mps_tx *tx, mps_pool *p, parcel *from, uint64_t n)
{
    const mps_off *head = from->free != 0 ? &from->free : &from->fresh;
    mps_off first = *head, node;
    uint64_t *word = NULL;
    bool free = from->free != 0;
    while (n > 0 && *head != 0 && free == (from->free != 0)) {
        word = take_off(tx->seg, p, from, &node);
        if (word == NULL) {
            return MPS_E_CORRUPT;
        }
        n--;
    }
    mps_tx_log_all(tx, (uint64_t *[]){word, &p->fresh}, 2);
    mps_store64(word, mps_load64(&p->fresh));
    mps_store64(&p->fresh, first);
    return MPS_OK;
}

/* Back to an adaptive pool: up to n nodes, each to its chunk, as many as the lane's own journal holds. */
static mps_status give_each(mps_tx *tx, mps_pool *p, parcel *from, uint64_t n)
{
    mps_status st = MPS_OK;
    while (st == MPS_OK && n > 0 && (from->free | from->fresh) != 0 &&
           mps_ctl_outer(tx->ctl) + MPS_ROOM_NODE + MPS_ROOM_NODE_AFTER <= MPS_OUTER) {
        mps_off node;
        if (take_off(tx->seg, p, from, &node) == NULL) {
            return MPS_E_CORRUPT;
        }
        st = mps_pool_give(tx, p, node);
        n--;
    }
    return st;
}

/* Up to n nodes of an entry that was not used in this set of changes yet go back; *gone: nothing is left. */
static mps_status give_some(mps_tx *tx, mps_lane_pool *e, uint64_t n, bool *gone)
{
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK) {
        return st;
    }
    mps_pool *p = pool_of(tx->seg, e);
    parcel from = {mps_load64(&e->free), mps_load64(&e->fresh), mps_load64(&e->where)};
    *gone = p == NULL || (from.free | from.fresh) == 0;
    if (*gone) {
        mps_tx_set(tx, &e->serial, 0);
        return MPS_OK;
    }
    st = mps_pool_enter(tx, p);
    if (st == MPS_OK) {
        bool adaptive = (mps_load32(&p->spec.type) & MPS_POOL_ADAPTIVE) != 0;
        st = adaptive ? give_each(tx, p, &from, n) : give_chain(tx, p, &from, n);
    }
    if (st == MPS_OK) {
        mps_tx_set(tx, &e->free, from.free);
        mps_tx_set(tx, &e->fresh, from.fresh);
        mps_tx_set(tx, &e->where, from.where);
    }
    return st;
}

/* Gives all but `keep` nodes of an entry back, by operations of their own; keep 0: and the entry is free then. */
static mps_status give_back(mps_tx *tx, uint32_t i, uint64_t keep)
{
    mps_lane_pool *e = &tx->lane->pools[i];
    bool gone = false;
    while (!gone && mps_load64(&e->serial) != 0) {
        uint64_t count = count_of(mps_load64(&e->where));
        if (keep > 0 && count <= keep) {
            break;
        }
        mps_status st = give_some(tx, e, mps_min64(GIVE, mps_max64(count - keep, 1)), &gone);
        if (st != MPS_OK) {
            (void)mps_tx_abort(tx);
            return st;
        }
        st = mps_tx_commit(tx);
        if (st != MPS_OK) {
            return st;
        }
    }
    return MPS_OK;
}

mps_status mps_pools_flush(mps_tx *tx)
{
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < MPS_LANE_POOLS && st == MPS_OK; i++) {
        st = give_back(tx, i, 0);
    }
    return st;
}

void mps_pools_trim(mps_tx *tx)
{
    mps_status st = MPS_OK;
    for (uint32_t i = 0; i < MPS_LANE_POOLS && st == MPS_OK; i++) {
        bool many = (tx->pools & BIT_LONG(i)) != 0;
        st = many ? give_back(tx, i, count_of(mps_load64(&tx->lane->pools[i].where)) / 2) : MPS_OK;
    }
    if (st == MPS_OK && (tx->pools & BIT_WANTED) != 0) {
        st = mps_pools_flush(tx); /* who uses more pools at once than a lane has entries begins anew with all */
    }
    if (st == MPS_E_CORRUPT) {
        mps_store32(&tx->seg->control->state, MPS_STATE_BROKEN);
    }
    tx->pools = 0;
}

mps_status mps_pool_flush_caches(mps_seg *seg, mps_door door)
{
    mps_tx tx[MPS_LANES];
    uint32_t n = 0, most = door == MPS_DOOR_GIL ? MPS_GIL_LANES : MPS_LANES - MPS_GIL_LANES;
    mps_status st = MPS_OK;
    /* A lane that was seen to stays claimed, so that the next one is another; one that nobody can be waited for is left out. */
    while (n < most && st == MPS_OK &&
           (door == MPS_DOOR_GIL ? seg->gil_lanes : __atomic_load_n(&seg->free_lanes, __ATOMIC_RELAXED)) != 0) {
        st = mps_tx_begin(seg, &tx[n], door);
        if (st == MPS_OK) {
            st = mps_pools_flush(&tx[n++]);
        }
    }
    while (n > 0) {
        mps_tx_end(&tx[--n]);
    }
    return st;
}

/* ---- on a frozen segment ---- */

mps_status mps_pools_visit_lane(mps_seg *seg, const mps_lane *lane, mps_visit *v)
{
    for (uint32_t i = 0; i < MPS_LANE_POOLS; i++) {
        const mps_lane_pool *e = &lane->pools[i];
        const mps_pool *p = mps_load64(&e->serial) != 0 ? pool_of(seg, e) : NULL;
        uint64_t found = 0;
        for (int fresh = 0; p != NULL && fresh < 2; fresh++) {
            mps_off at = mps_load64(fresh != 0 ? &e->fresh : &e->free);
            while (at != 0) {
                const uint64_t *word = mps_pool_word(seg, p, at);
                mps_status st = word != NULL ? v->block(v, at) : v->bad(v, "a cache of nodes leads out of the segment");
                if (st != MPS_OK) {
                    return st;
                }
                found++;
                at = mps_load64(word);
            }
        }
        if (p != NULL && found != count_of(mps_load64(&e->where))) {
            return v->bad(v, "a cache of nodes is wrong about how many there are");
        }
    }
    return MPS_OK;
}
