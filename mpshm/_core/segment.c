#include "segment_body.h"

#include <stdio.h>
#include <stdlib.h>

#include "lock.h"
#include "os.h"
#include "recover.h"

#define DEFAULT_SLOTS 1024u
#define GIB ((uint64_t)1 << 30)

/* ---- anonymous segments ---- */

static void label_of(const uint8_t id[16], char label[48])
{
    int n = snprintf(label, 48, "mpshm-");
    for (int i = 0; i < 16; i++) {
        n += snprintf(label + n, 48 - (size_t)n, "%02x", id[i]);
    }
}

/* Maps the new segment's file; without a wish for max_size, as much address space as the system gives. */
static mps_status map_new(mps_seg *seg, mps_header *h, uint64_t size, bool may_shrink)
{
    char label[48];
    label_of(h->id, label);
    static const uint64_t smaller[] = {64 * GIB, 4 * GIB, GIB, GIB / 4, 0};
    mps_status st = mps_region_create(label, h->arena + size, mps_header_reserve(h), &seg->region);
    for (int i = 0; st == MPS_E_NOMEM && may_shrink && smaller[i] != 0; i++) {
        if (smaller[i] < h->max_file && smaller[i] > h->arena + size) {
            h->max_file = smaller[i];
            st = mps_region_create(label, h->arena + size, mps_header_reserve(h), &seg->region);
        }
    }
    return st;
}

mps_status mps_seg_create_anonymous(uint64_t size, uint64_t max_size, mps_seg **out)
{
    return mps_seg_create_with(size, max_size, MPS_BEST_FIT, out);
}

mps_status mps_seg_create_with(uint64_t size, uint64_t max_size, uint32_t allocator, mps_seg **out)
{
    bool may_shrink = max_size == 0;
    mps_status st = mps_sizes(&size, &max_size, mps_default_max());
    st = st == MPS_OK && allocator > MPS_SEQUENTIAL_FIT ? MPS_E_INVAL : st;
    if (st != MPS_OK) {
        return st;
    }
    mps_seg *seg = mps_seg_new();
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    mps_header h = mps_header_plan(DEFAULT_SLOTS, max_size);
    h.allocator = allocator;
    st = mps_header_name(&h);
    if (st == MPS_OK) {
        st = map_new(seg, &h, size, may_shrink);
    }
    if (st == MPS_OK) {
        st = mps_seg_fill(seg, &h, size);
    }
    if (st == MPS_OK) {
        st = mps_seg_join(seg);
    }
    if (st != MPS_OK) {
        mps_seg_discard(seg);
        return st;
    }
    *out = seg;
    return MPS_OK;
}

/* Reads the constants of the segment in a file. */
static mps_status read_header(int fd, const uint8_t *id, mps_header *out)
{
    uint64_t size = 0;
    mps_status st = mps_os_file_size(fd, &size);
    if (st != MPS_OK) {
        return st;
    }
    if (size < MPS_HEADER_BYTES) {
        return MPS_E_FOREIGN;
    }
    void *base = NULL;
    st = mps_os_map(fd, MPS_HEADER_BYTES, &base);
    if (st != MPS_OK) {
        return st;
    }
    const mps_header *h = base;
    uint32_t state = mps_load32_acquire(&h->control.state);
    memcpy(out, h, offsetof(mps_header, control));
    mps_os_unmap(base, MPS_HEADER_BYTES);
    st = mps_header_validate(out, id);
    if (st == MPS_OK) {
        st = mps_header_usable(state);
    }
    return st == MPS_OK && out->arena > size ? MPS_E_CORRUPT : st;
}

mps_status mps_seg_attach_fd(int fd, const uint8_t *id, mps_seg **out)
{
    mps_header h;
    bool ours = false;
    mps_status st = mps_os_file_is_ours(fd, &ours);
    if (st == MPS_OK && !ours) {
        st = MPS_E_PERM;
    }
    if (st == MPS_OK) {
        st = read_header(fd, id, &h);
    }
    if (st != MPS_OK) {
        return st;
    }
    *out = mps_slots_find(h.id, false);
    if (*out != NULL) {
        return MPS_OK;
    }
    mps_seg *seg = mps_seg_new();
    int own = -1;
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    st = mps_os_dup(fd, &own);
    if (st == MPS_OK) {
        st = mps_region_open(own, mps_header_reserve(&h), &seg->region);
        if (st != MPS_OK) {
            mps_os_close(own);
        }
    }
    if (st == MPS_OK) {
        mps_seg_bind(seg, &h);
        st = mps_seg_join(seg);
    }
    if (st != MPS_OK) {
        mps_seg_discard(seg);
        return st;
    }
    *out = seg;
    return MPS_OK;
}

/* ---- using and leaving ---- */

mps_seg *mps_seg_find(const uint8_t *id, bool readonly)
{
    return mps_slots_find(id, readonly);
}

void mps_seg_retain(mps_seg *seg)
{
    mps_slots_use(seg);
}

void mps_seg_release(mps_seg *seg)
{
    if (!mps_slots_unuse(seg)) {
        return;
    }
    if (seg->region.readonly) {
        mps_slots_detach(seg);
        mps_seg_discard(seg);
        return;
    }
    bool present = seg->token != 0 && mps_load64(&seg->head->word) == seg->slot_word;
    if (present && mps_load32(&seg->control->state) == MPS_STATE_READY && mps_recover_leave(seg) != MPS_OK) {
        mps_slots_abandon(seg); /* it is left to others, as after a death */
    } else {
        mps_slots_detach(seg);
        mps_seg_tidy(seg);
    }
    mps_seg_discard(seg);
}

void mps_seg_abandon(mps_seg *seg)
{
    mps_slots_abandon(seg);
    mps_seg_discard(seg);
}

mps_status mps_seg_shutdown(mps_seg *seg)
{
    if (seg->region.readonly) {
        return MPS_E_READONLY;
    }
    uint32_t ready = MPS_STATE_READY;
    mps_cas32(&seg->control->state, &ready, MPS_STATE_CLOSED);
    return MPS_OK;
}

void mps_seg_keep(mps_seg *seg, uint64_t nbytes)
{
    seg->keep = nbytes;
}

int mps_seg_is_sequential(mps_seg *seg)
{
    return seg->sequential;
}

int mps_seg_is_closed(mps_seg *seg)
{
    const mps_control *control = seg->watched != NULL ? seg->watched : seg->control;
    return mps_load32(&control->state) == MPS_STATE_CLOSED;
}

void mps_seg_identity(mps_seg *seg, mps_identity *out)
{
    *out = (mps_identity){.dev = seg->region.dev, .ino = seg->region.ino, .fd = seg->region.fd, .slot = seg->slot};
    memcpy(out->id, seg->id, sizeof(out->id));
    out->max_size = seg->max_end - seg->arena;
    out->address = (uint64_t)(uintptr_t)seg->region.base;
    out->readonly = seg->region.readonly;
    out->heap = seg->region.fd < 0;
}

mps_status mps_seg_stats(mps_seg *seg, mps_stats *out)
{
    mps_alloc_stats a;
    mps_status st = mps_alloc_stats_get(seg, &a);
    if (st != MPS_OK) {
        return st;
    }
    *out = (mps_stats){.used = a.used, .free = a.free, .largest_free = a.largest_free, .cached = a.cached};
    out->size = a.used + a.free + a.cached;
    out->max_size = seg->max_end - seg->arena;
    out->overhead = MPS_CHUNK_HEAD;
    out->blocks = a.blocks;
    const mps_root *root = mps_seg_root(seg);
    out->objects = mps_load64(&root->objects);
    out->objects -= out->objects > 0 && mps_load64(&root->names) != 0; /* the table of names is no program's */
    out->slots = seg->n_slots;
    out->recoveries = mps_load64(&seg->control->recoveries);
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        out->processes += mps_slot_alive(seg, slot) == 1;
    }
    return MPS_OK;
}

int mps_seg_recover(mps_seg *seg)
{
    if (mps_load32(&seg->control->state) != MPS_STATE_READY) {
        return seg->region.readonly ? MPS_E_READONLY : MPS_E_CLOSED;
    }
    uint32_t count = 0;
    mps_status st = mps_recover_all(seg, &count);
    return st == MPS_OK ? (int)count : st;
}

mps_status mps_seg_grow(mps_seg *seg, uint64_t nbytes)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, MPS_DOOR_FREE);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_alloc_grow(&tx, nbytes);
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

static mps_status tidy(mps_seg *seg, mps_status (*up)(mps_tx *tx))
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, MPS_DOOR_FREE);
    if (st == MPS_OK) {
        st = up(&tx);
        mps_tx_end(&tx);
    }
    return st;
}

mps_status mps_seg_shrink(mps_seg *seg)
{
    return tidy(seg, mps_alloc_give_back);
}

mps_status mps_seg_zero_free(mps_seg *seg)
{
    return tidy(seg, mps_alloc_zero_free);
}

mps_status mps_seg_flush_caches(mps_seg *seg, mps_door door)
{
    mps_tx tx[MPS_LANES];
    uint32_t n = 0, most = door == MPS_DOOR_GIL ? MPS_GIL_LANES : MPS_LANES - MPS_GIL_LANES;
    mps_status st = MPS_OK;
    /* A lane that was seen to stays claimed, so that the next one is another; one is left to other threads. */
    for (; st == MPS_OK && n < most - 1; n++) {
        st = mps_tx_begin(seg, &tx[n], door);
        if (st != MPS_OK) {
            break;
        }
        st = mps_alloc_flush(&tx[n], 0);
    }
    while (n > 0) {
        mps_tx_end(&tx[--n]);
    }
    return st;
}
