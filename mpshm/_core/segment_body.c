#include "segment_body.h"

#include <stdlib.h>

#include "lock.h"
#include "os.h"
#include "recover.h"

#define GIB ((uint64_t)1 << 30)
#define FREEZE_TRIES 100
#define TRY_AGAIN_NS 1000000u
#define TIDY_NS 100000000u /* how long a process that leaves waits for others at the gate */

static const mps_hooks hooks = {
    .recover_locks = mps_recover_locks,
    .recover = mps_recover_token,
    .recover_all = mps_recover_all,
    .undo_block = mps_alloc_undo,
    .free_block = mps_alloc_free_entry,
    .drain = mps_object_drain,
    .fork_copy = mps_refs_fork_copy,
    .refs_version = mps_refs_version,
    .rejoin = mps_refs_rejoin,
};

/* ---- the header ---- */

uint64_t mps_header_checksum(const mps_header *h)
{
    return mps_hash_bytes(h, offsetof(mps_header, checksum), 0x6d707368);
}

/* Where everything lies, for a number of slots. */
mps_header mps_header_plan(uint32_t n_slots, uint64_t max_arena)
{
    mps_header h = {.magic = MPS_MAGIC, .version = MPS_VERSION, .header_bytes = MPS_HEADER_BYTES, .n_slots = n_slots};
    h.slots = MPS_HEADER_BYTES;
    h.bodies = mps_round_up(h.slots + n_slots * sizeof(mps_slot_head), MPS_PAGE);
    h.body_stride = mps_round_up(sizeof(mps_slot_body), MPS_PAGE);
    h.arena = mps_round_up(h.bodies + n_slots * h.body_stride, MPS_PAGE);
    h.max_file = h.arena + max_arena;
    h.owner_uid = mps_os_user();
    return h;
}

/* Whether a header makes sense; after this its constants can be relied on. */
mps_status mps_header_validate(const mps_header *h, const uint8_t *id)
{
    if (h->magic != MPS_MAGIC) {
        return MPS_E_FOREIGN;
    }
    if (h->version != MPS_VERSION || h->header_bytes != MPS_HEADER_BYTES) {
        return MPS_E_VERSION;
    }
    uint64_t heads = (uint64_t)h->n_slots * sizeof(mps_slot_head);
    bool sane = h->allocator <= MPS_SEQUENTIAL_FIT && h->checksum == mps_header_checksum(h) && h->n_slots >= 1 &&
                h->n_slots <= MPS_MAX_SLOTS && h->slots == MPS_HEADER_BYTES && h->bodies >= h->slots + heads &&
                h->bodies < (uint64_t)1 << 40 && h->body_stride >= sizeof(mps_slot_body) &&
                h->body_stride < (uint64_t)1 << 24 && (h->bodies & 63) == 0 && (h->body_stride & 63) == 0 &&
                (h->arena & 63) == 0 && h->arena >= h->bodies + h->n_slots * h->body_stride && h->max_file > h->arena &&
                h->max_file <= (uint64_t)1 << 46;
    if (!sane) {
        return MPS_E_CORRUPT;
    }
    return id == NULL || memcmp(id, h->id, sizeof(h->id)) == 0 ? MPS_OK : MPS_E_FOREIGN;
}

/* What this process keeps of the header. */
void mps_seg_bind(mps_seg *seg, const mps_header *constants)
{
    mps_header *h = (mps_header *)seg->region.base;
    seg->hooks = &hooks;
    seg->control = &h->control;
    seg->root = &h->root;
    seg->fit = h->fit;
    seg->n_slots = constants->n_slots;
    seg->slots = constants->slots;
    seg->bodies = constants->bodies;
    seg->body_stride = constants->body_stride;
    seg->arena = constants->arena;
    seg->max_end = constants->max_file;
    seg->sequential = constants->allocator == MPS_SEQUENTIAL_FIT;
    seg->seed = constants->seed;
    memcpy(seg->id, constants->id, sizeof(seg->id));
    seg->users = 1;
    seg->live_fd = seg->child_fd = -1;
}

/* Writes a new segment's header and lays out its memory; [0, bodies) and [arena, end) have memory. */
mps_status mps_seg_format(mps_seg *seg, const mps_header *constants, uint64_t end)
{
    _Static_assert(offsetof(mps_header, fit) < MPS_HEADER_BYTES, "the allocator's state follows");
    if (offsetof(mps_header, fit) + mps_alloc_state_size() > MPS_HEADER_BYTES) {
        return MPS_E_INVAL;
    }
    mps_header *h = (mps_header *)seg->region.base;
    mps_store32(&h->control.state, MPS_STATE_NEW);
    memcpy(h, constants, offsetof(mps_header, checksum)); /* (never without its magic: opening.c) */
    mps_crash_point();
    h->checksum = mps_header_checksum(h);
    mps_crash_point();
    memset(&h->dirty, 0, MPS_HEADER_BYTES - offsetof(mps_header, dirty));
    h->root.next_serial = 1;
    for (uint32_t i = 0; i < seg->n_slots; i++) {
        memset(mps_slot_head_at(seg, i), 0, sizeof(mps_slot_head));
        mps_slot_head_at(seg, i)->word = (uint64_t)1 << 8 | MPS_SLOT_FREE;
    }
    mps_crash_point();
    mps_status st = mps_alloc_format(seg, constants->arena, end);
    mps_crash_point();
    if (st == MPS_OK) {
        mps_store32_release(&h->control.state, MPS_STATE_READY);
    }
    return st;
}

mps_status mps_header_name(mps_header *h)
{
    mps_status st = mps_os_random(h->id, sizeof(h->id));
    return st == MPS_OK ? mps_os_random(&h->seed, sizeof(h->seed)) : st;
}

mps_status mps_header_usable(uint32_t state)
{
    switch (state) {
    case MPS_STATE_READY: return MPS_OK;
    case MPS_STATE_CLOSED: return MPS_E_CLOSED;
    case MPS_STATE_NEW: return MPS_E_FOREIGN;
    default: return MPS_E_CORRUPT;
    }
}

/* ---- sizes ---- */

uint64_t mps_default_max(void)
{
    uint64_t most = mps_os_memory_limit() / 4 * 3;
    uint64_t addresses = mps_os_address_limit();
    if (addresses != UINT64_MAX) {
        most = mps_min64(most, addresses / 16); /* a program may have several, and each maps more than its size */
    }
    return mps_round_up(mps_max64(most, MPS_SIZE_MIN), MPS_PAGE);
}

/* Address space to map: beyond max_file, room for the journal of a change of very many values (alloc.h). */
uint64_t mps_header_reserve(const mps_header *h)
{
    return h->max_file + mps_min64((h->max_file - h->arena) * 2, GIB);
}

mps_status mps_sizes(uint64_t *size, uint64_t *max_size, uint64_t default_max)
{
    uint64_t most = *max_size != 0 ? mps_round_up(mps_min64(*max_size, MPS_SIZE_LIMIT), MPS_PAGE) : default_max;
    uint64_t first =
        *size != 0 ? mps_max64(mps_min64(*size, MPS_SIZE_LIMIT), MPS_SIZE_MIN) : mps_min64(MPS_SIZE_DEFAULT, most);
    first = mps_round_up(first, MPS_PAGE);
    if (*max_size == 0) {
        most = mps_max64(most, mps_min64(first * 2, MPS_SIZE_LIMIT));
    }
    if (first > most || most < MPS_SIZE_MIN) {
        return MPS_E_INVAL;
    }
    *size = first;
    *max_size = most;
    return MPS_OK;
}

/* ---- the attachment ---- */

mps_seg *mps_seg_new(void)
{
    mps_seg *seg = calloc(1, sizeof(*seg));
    if (seg != NULL) {
        seg->region.fd = seg->live_fd = seg->child_fd = -1;
    }
    return seg;
}

mps_status mps_seg_fill(mps_seg *seg, const mps_header *h, uint64_t size)
{
    mps_status st = mps_region_commit(&seg->region, 0, h->bodies);
    if (st == MPS_OK) {
        st = mps_region_commit(&seg->region, h->arena, size);
    }
    if (st == MPS_OK) {
        mps_seg_bind(seg, h);
        st = mps_seg_format(seg, h, h->arena + size);
    }
    return st;
}

/* Takes part in the segment that seg is bound to: private memory, a slot, and the things of the dead. */
mps_status mps_seg_join(mps_seg *seg)
{
    mps_status st = mps_refs_open(seg);
    if (st == MPS_OK) {
        st = mps_slots_attach(seg);
    }
    if (st == MPS_OK) {
        uint32_t count;
        st = mps_recover_all(seg, &count);
        if (st != MPS_OK) {
            mps_slots_detach(seg);
        }
    }
    return st;
}

void mps_seg_discard(mps_seg *seg)
{
    mps_refs_close(seg);
    mps_region_close(&seg->region);
    if (seg->done != NULL) {
        seg->done(seg->keeper);
    }
    free(seg);
}

mps_status mps_seg_join_reader(mps_seg *seg)
{
    mps_status st = mps_refs_open(seg);
    return st == MPS_OK ? mps_slots_attach_reader(seg) : st;
}

uint64_t mps_seg_end(const mps_seg *seg)
{
    uint64_t end = mps_alloc_end(seg);
    return end > seg->arena && end <= MPS_SIZE_LIMIT * 2 ? end : 0;
}

/* Nobody uses it, and nobody comes in: the caller has the gate. */
static void tidy_alone(const mps_seg *seg)
{
    mps_header *h = (mps_header *)seg->region.base;
    uint64_t size = 0, end = mps_round_up(mps_seg_end(seg), MPS_PAGE);
    if (mps_load32(&h->control.state) != MPS_STATE_READY || end == 0) {
        return;
    }
    if (mps_os_file_size(seg->region.fd, &size) == MPS_OK && size > end) {
        (void)mps_os_truncate(seg->region.fd, end);
        mps_crash_point();
    }
    if (seg->persistent && mps_os_sync(seg->region.fd) == MPS_OK) {
        mps_store32(&h->dirty, 0); /* (should this be lost, the file is looked at more closely: no more) */
        (void)mps_os_sync(seg->region.fd);
    }
}

void mps_seg_tidy(mps_seg *seg)
{
    int fd = -1;
    if (!seg->named || seg->region.readonly || !mps_region_fd_is_ours(&seg->region) ||
        mps_os_reopen(seg->region.fd, &fd) != MPS_OK) {
        return;
    }
    void *gil = mps_door_leave(MPS_DOOR_GIL); /* (if we have it: a disk is slow) */
    if (mps_gate_enter(fd, true, mps_os_now() + TIDY_NS) == MPS_OK) {
        if (mps_os_bytes_held(fd, 0, seg->n_slots) == 0 && mps_os_bytes_held(fd, MPS_BYTE_READERS, 1) == 0) {
            tidy_alone(seg);
        }
        mps_gate_leave(fd);
    }
    mps_door_enter(MPS_DOOR_GIL, gil);
    mps_os_close(fd);
}

mps_status mps_seg_freeze(mps_seg *seg)
{
    mps_status st = MPS_E_RETRY;
    for (int i = 0; st == MPS_E_RETRY && i < FREEZE_TRIES; i++) {
        if (i > 0) {
            mps_os_sleep(TRY_AGAIN_NS);
        }
        uint32_t count;
        st = mps_recover_all(seg, &count);
        st = st == MPS_OK ? mps_freeze(seg) : st;
    }
    return st;
}
