#include "raw.h"

#include "value.h"

#define ROOM_EACH 12u            /* entries of the journal for one object made, or one dropped */
#define MUCH ((uint64_t)1 << 20) /* bytes whose copying is worth letting go of the GIL */

/* ---- what both ends of an allocation's life share ---- */

static mps_raw *raw_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* Where the data of an allocation is; its alignment is not 0. */
static mps_off data_of(const mps_raw *raw, mps_off off)
{
    return mps_round_up(off + sizeof(mps_raw), (uint64_t)1 << (mps_load64(&raw->layout) & 63));
}

/* The allocation at off, or NULL; under the references' guard. */
static mps_raw *allocation(mps_seg *seg, mps_off off, uint64_t serial)
{
    mps_object *obj = mps_object_at(seg, off, MPS_KIND_RAW);
    bool ours = obj != NULL && mps_load64(&obj->serial) == serial && mps_load64(&obj->refs) != 0 &&
                mps_raw_is_owned(obj) && (mps_load64(&((mps_raw *)obj)->layout) - 4) <= 8;
    return ours ? (mps_raw *)obj : NULL;
}

/* Kind and flags are one word to the journal. */
static void set_flags(mps_tx *tx, mps_object *obj, uint32_t flags)
{
    uint64_t *word = (uint64_t *)(void *)&obj->mortal;
    mps_tx_set(tx, word, (uint64_t)flags << 32 | (uint32_t)mps_load64(word));
}

static uint64_t bytes_for(uint64_t nbytes, uint64_t align)
{
    return sizeof(mps_raw) + (align - 16) + mps_round_up(nbytes, 8);
}

/* Fills in what makes a new object an allocation of nbytes of data; nobody can reach it yet. */
static void describe(mps_raw *raw, uint64_t nbytes, uint64_t align)
{
    mps_fresh64(&raw->layout, mps_log2(align));
    mps_fresh64(&raw->nbytes, nbytes);
}

/* Bytes [from, to) of data, and what fills the last word. */
static void zero_from(uint8_t *data, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[8] = {0};
    uint64_t word = mps_round_up(from, 8);
    mps_fresh_copy(data + from, zeros, word - from);
    if (to > word) {
        mps_fresh_zero((uint64_t *)(void *)(data + word), mps_round_up(to - word, 8) / 8);
    }
}

static mps_status finish(mps_tx *tx, mps_status st)
{
    if (st == MPS_OK) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    mps_tx_end(tx);
    return st;
}

/* ---- allocating, deallocating ---- */

static mps_status make_one(mps_tx *tx, uint64_t nbytes, uint64_t align, mps_off *off, uint64_t *serial)
{
    mps_status st = mps_tx_reserve(tx, ROOM_EACH);
    if (st == MPS_OK) {
        st = mps_object_make(tx, MPS_KIND_RAW, bytes_for(nbytes, align), off);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_raw *raw = raw_at(tx->seg, *off);
    *serial = raw->object.serial;
    describe(raw, nbytes, align);
    mps_store32(&raw->object.mortal.flags, MPS_RAW_OWNED);
    mps_fresh_zero(mps_region_at(&tx->seg->region, data_of(raw, *off)), mps_round_up(nbytes, 8) / 8);
    return MPS_OK;
}

static bool is_alignment(uint64_t align)
{
    return align >= 16 && align <= MPS_RAW_ALIGN_MAX && (align & (align - 1)) == 0;
}

mps_status mps_raw_allocate(mps_seg *seg, mps_door door, const uint64_t *sizes, uint64_t n, uint64_t align,
                            mps_off *offs, uint64_t *serials)
{
    if (!is_alignment(align)) {
        return MPS_E_INVAL;
    }
    for (uint64_t i = 0; i < n; i++) {
        if (sizes[i] > MPS_RAW_MAX) {
            return MPS_E_TOOLARGE;
        }
    }
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_refs_enter(&tx);
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        st = make_one(&tx, sizes[i], align, &offs[i], &serials[i]);
    }
    return finish(&tx, st);
}

mps_status mps_raw_deallocate(mps_seg *seg, mps_door door, const mps_off *offs, const uint64_t *serials, uint64_t n)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_refs_enter(&tx);
    for (uint64_t i = 0; i < n && st == MPS_OK; i++) {
        mps_raw *raw = allocation(seg, offs[i], serials[i]); /* given twice: the second time it is none */
        st = raw != NULL ? mps_tx_reserve(&tx, ROOM_EACH) : MPS_E_STALE;
        if (st == MPS_OK) {
            set_flags(&tx, &raw->object, mps_load32(&raw->object.mortal.flags) & ~MPS_RAW_OWNED);
            st = mps_object_decref(&tx, offs[i]);
        }
    }
    return finish(&tx, st);
}

/* ---- other sizes ---- */

/* Room for nbytes in the allocation's own block. */
static mps_status make_longer(mps_tx *tx, mps_raw *raw, mps_off off, uint64_t nbytes)
{
    uint64_t before = mps_load64(&raw->nbytes), data = data_of(raw, off);
    uint64_t needed = data - off + mps_round_up(nbytes, 8);
    if (before > MPS_RAW_MAX || mps_alloc_usable(tx->seg, off) < data - off + before) {
        return MPS_E_CORRUPT;
    }
    mps_status st = MPS_OK;
    if (mps_alloc_usable(tx->seg, off) < needed) {
        st = mps_alloc_extend(tx, off, needed, needed);
    }
    if (st == MPS_OK && nbytes > before) {
        zero_from(mps_region_at(&tx->seg->region, data), before, nbytes);
    }
    return st;
}

mps_status mps_raw_resize(mps_seg *seg, mps_door door, mps_off off, uint64_t serial, uint64_t nbytes)
{
    if (nbytes > MPS_RAW_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_refs_enter(&tx);
    mps_raw *raw = st == MPS_OK ? allocation(seg, off, serial) : NULL;
    if (st == MPS_OK) {
        st = raw != NULL ? make_longer(&tx, raw, off, nbytes) : MPS_E_STALE;
    }
    if (st == MPS_OK) {
        mps_tx_set(&tx, &raw->nbytes, nbytes);
    }
    return finish(&tx, st);
}

/* Keeps the old one there, whatever others do, and makes room for the new one, which the lane holds. */
static mps_status hold_both(mps_tx *tx, mps_off off, uint64_t serial, uint64_t nbytes, uint64_t *align,
                            mps_off *new_off)
{
    mps_status st = mps_refs_enter(tx);
    const mps_raw *old = st == MPS_OK ? allocation(tx->seg, off, serial) : NULL;
    if (st == MPS_OK) {
        st = old != NULL ? mps_hold_take(tx, off) : MPS_E_STALE;
    }
    if (st != MPS_OK) {
        mps_tx_abort(tx);
        return st;
    }
    *align = (uint64_t)1 << (mps_load64(&old->layout) & 63);
    st = mps_tx_commit(tx);
    return st == MPS_OK ? mps_hold_new(tx, MPS_KIND_RAW, bytes_for(nbytes, *align), new_off) : st;
}

/* Outside of guards: the bytes of the old one, then zero. */
static void fill(mps_tx *tx, mps_off off, mps_raw *made, mps_off new_off, uint64_t nbytes, uint64_t align)
{
    const mps_raw *old = raw_at(tx->seg, off);
    describe(made, nbytes, align);
    mps_off from = data_of(old, off), to = data_of(made, new_off);
    uint64_t kept = mps_min64(mps_load64(&old->nbytes), nbytes), words = mps_round_up(kept, 8) / 8;
    if (!mps_region_holds(&tx->seg->region, from, words * 8) || (from < to + words * 8 && to < from + words * 8)) {
        kept = words = 0; /* somebody damaged the old one's head meanwhile */
    }
    void *gil = nbytes >= MUCH ? mps_door_leave(tx->door) : NULL;
    if (words > 0) {
        mps_fresh_move(mps_region_at(&tx->seg->region, to), mps_region_at(&tx->seg->region, from), words);
    }
    zero_from(mps_region_at(&tx->seg->region, to), kept, nbytes);
    if (nbytes >= MUCH) {
        mps_door_enter(tx->door, gil);
    }
}

/* The new one takes the place of the old. */
static mps_status swap(mps_tx *tx, mps_off off, uint64_t serial, mps_raw *made, mps_off new_off)
{
    mps_status st = mps_refs_enter(tx);
    mps_raw *old = st == MPS_OK ? allocation(tx->seg, off, serial) : NULL;
    if (st == MPS_OK && old == NULL) {
        st = MPS_E_STALE;
    }
    if (st == MPS_OK) {
        set_flags(tx, &made->object, MPS_RAW_OWNED);
        set_flags(tx, &old->object, mps_load32(&old->object.mortal.flags) & ~MPS_RAW_OWNED);
        st = mps_hold_give(tx, new_off);
    }
    if (st == MPS_OK) {
        st = mps_object_decref(tx, off);
    }
    if (st == MPS_OK) {
        return mps_tx_commit(tx);
    }
    mps_tx_abort(tx);
    return st;
}

mps_status mps_raw_move(mps_seg *seg, mps_door door, mps_off off, uint64_t serial, uint64_t nbytes, mps_off *new_off,
                        uint64_t *new_serial)
{
    if (nbytes > MPS_RAW_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_tx tx;
    uint64_t align = 16;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = hold_both(&tx, off, serial, nbytes, &align, new_off);
    if (st == MPS_OK) {
        mps_raw *made = raw_at(seg, *new_off);
        *new_serial = made->object.serial;
        fill(&tx, off, made, *new_off, nbytes, align);
        st = swap(&tx, off, serial, made, *new_off);
    }
    mps_status dropped = mps_hold_drop(&tx);
    mps_tx_end(&tx);
    return st != MPS_OK ? st : dropped;
}

/* ---- numbers ---- */

#define PLACE_BITS 42u
#define MARK_BITS 21u

static uint64_t mark_of(const mps_seg *seg, uint64_t serial)
{
    return mps_mix(serial ^ 0x9e3779b97f4a7c15u, seg->seed | 1) >> (64 - MARK_BITS);
}

uint64_t mps_number_of(const mps_seg *seg, mps_off off, uint64_t serial)
{
    return mark_of(seg, serial) << PLACE_BITS | off / 16;
}

mps_status mps_number_find(mps_seg *seg, uint64_t number, mps_off *off, uint64_t *serial)
{
    *off = (number & (((uint64_t)1 << PLACE_BITS) - 1)) * 16;
    const mps_object *obj = mps_object_at(seg, *off, 0);
    if (obj == NULL || mps_alloc_usable(seg, *off) == 0) {
        return MPS_E_STALE;
    }
    if (mps_load32(&obj->mortal.kind) == MPS_KIND_RAW && (mps_load64(&((const mps_raw *)obj)->layout) & 0xff) != 0 &&
        !mps_raw_is_owned(obj)) {
        return MPS_E_STALE; /* given back: only views are left of it */
    }
    *serial = mps_load64(&obj->serial);
    return mark_of(seg, *serial) == number >> PLACE_BITS && mps_load64(&obj->refs) != 0 ? MPS_OK : MPS_E_STALE;
}
