#include "segment.h"

#include <stdio.h>
#include <stdlib.h>

#include "lock.h"
#include "os.h"
#include "recover.h"

#define DEFAULT_SLOTS 1024u
#define ADOPTED_SLOTS 4u
#define DEFAULT_SIZE (256u * 1024)
#define MIN_SIZE (16u * 1024)
#define GIB ((uint64_t)1 << 30)

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

static uint64_t checksum(const mps_header *h)
{
    return mps_hash_bytes(h, offsetof(mps_header, checksum), 0x6d707368 + h->allocator);
}

/* Where everything lies, for a number of slots. */
static mps_header plan(uint32_t n_slots, uint64_t max_arena, uint32_t allocator)
{
    mps_header h = {.magic = MPS_MAGIC, .version = MPS_VERSION, .header_bytes = MPS_HEADER_BYTES, .n_slots = n_slots};
    h.slots = MPS_HEADER_BYTES;
    h.bodies = mps_round_up(h.slots + n_slots * sizeof(mps_slot_head), MPS_PAGE);
    h.body_stride = mps_round_up(sizeof(mps_slot_body), MPS_PAGE);
    h.arena = mps_round_up(h.bodies + n_slots * h.body_stride, MPS_PAGE);
    h.max_file = h.arena + max_arena;
    h.allocator = allocator;
    h.owner_uid = mps_os_user();
    return h;
}

/* Whether a header makes sense; after this its constants can be relied on. */
static mps_status validate(const mps_header *h, const uint8_t *id)
{
    if (h->magic != MPS_MAGIC) {
        return MPS_E_FOREIGN;
    }
    if (h->version != MPS_VERSION || h->header_bytes != MPS_HEADER_BYTES) {
        return MPS_E_VERSION;
    }
    uint64_t heads = (uint64_t)h->n_slots * sizeof(mps_slot_head);
    bool sane = h->allocator <= MPS_SEQUENTIAL_FIT && h->checksum == checksum(h) && h->n_slots >= 1 &&
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
static void bind(mps_seg *seg, const mps_header *constants)
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
static mps_status format(mps_seg *seg, const mps_header *constants, uint64_t end)
{
    _Static_assert(offsetof(mps_header, fit) < MPS_HEADER_BYTES, "the allocator's state follows");
    if (offsetof(mps_header, fit) + mps_alloc_state_size() > MPS_HEADER_BYTES) {
        return MPS_E_INVAL;
    }
    mps_header *h = (mps_header *)seg->region.base;
    memset(h, 0, MPS_HEADER_BYTES);
    memcpy(h, constants, offsetof(mps_header, checksum));
    h->allocator = constants->allocator;
    h->checksum = checksum(h);
    h->root.next_serial = 1;
    for (uint32_t i = 0; i < seg->n_slots; i++) {
        memset(mps_slot_head_at(seg, i), 0, sizeof(mps_slot_head));
        mps_slot_head_at(seg, i)->word = (uint64_t)1 << 8 | MPS_SLOT_FREE;
    }
    mps_status st = mps_alloc_format(seg, constants->arena, end);
    if (st == MPS_OK) {
        mps_store32_release(&h->control.state, MPS_STATE_READY);
    }
    return st;
}

/* Takes part in the segment that seg is bound to: private memory, a slot, and the things of the dead. */
static mps_status join(mps_seg *seg)
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

static void discard(mps_seg *seg)
{
    mps_refs_close(seg);
    mps_region_close(&seg->region);
    free(seg);
}

/* ---- anonymous segments ---- */

static void label_of(const uint8_t id[16], char label[48])
{
    int n = snprintf(label, 48, "mpshm-");
    for (int i = 0; i < 16; i++) {
        n += snprintf(label + n, 48 - (size_t)n, "%02x", id[i]);
    }
}

static uint64_t default_max_size(void)
{
    uint64_t most = mps_os_memory_limit() / 4 * 3;
    uint64_t addresses = mps_os_address_limit();
    if (addresses != UINT64_MAX) {
        most = mps_min64(most, addresses / 16); /* a program may have several, and each maps more than its size */
    }
    return mps_round_up(mps_max64(most, MIN_SIZE), MPS_PAGE);
}

/* Address space to map: beyond max_file, room for the journal of a change of very many values (alloc.h). */
static uint64_t reserve_for(const mps_header *h)
{
    return h->max_file + mps_min64((h->max_file - h->arena) * 2, GIB);
}

/* Maps the new segment's file; without a wish for max_size, as much address space as the system gives. */
static mps_status map_new(mps_seg *seg, mps_header *h, uint64_t size, bool may_shrink)
{
    char label[48];
    label_of(h->id, label);
    static const uint64_t smaller[] = {64 * GIB, 4 * GIB, GIB, GIB / 4, 0};
    mps_status st = mps_region_create(label, h->arena + size, reserve_for(h), &seg->region);
    for (int i = 0; st == MPS_E_NOMEM && may_shrink && smaller[i] != 0; i++) {
        if (smaller[i] < h->max_file && smaller[i] > h->arena + size) {
            h->max_file = smaller[i];
            st = mps_region_create(label, h->arena + size, reserve_for(h), &seg->region);
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
    uint64_t most = max_size != 0 ? mps_round_up(mps_min64(max_size, (uint64_t)1 << 45), MPS_PAGE) : default_max_size();
    size = size != 0 ? mps_max64(mps_min64(size, (uint64_t)1 << 45), MIN_SIZE) : mps_min64(DEFAULT_SIZE, most);
    size = mps_round_up(size, MPS_PAGE);
    if (size > most || most < MIN_SIZE || allocator > MPS_SEQUENTIAL_FIT) {
        return MPS_E_INVAL;
    }
    mps_seg *seg = calloc(1, sizeof(*seg));
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    seg->region.fd = -1;
    mps_header h = plan(DEFAULT_SLOTS, most, allocator);
    mps_status st = mps_os_random(h.id, sizeof(h.id));
    if (st == MPS_OK) {
        st = mps_os_random(&h.seed, sizeof(h.seed));
    }
    if (st == MPS_OK) {
        st = map_new(seg, &h, size, max_size == 0);
    }
    if (st == MPS_OK) {
        st = mps_region_commit(&seg->region, 0, h.bodies);
    }
    if (st == MPS_OK) {
        st = mps_region_commit(&seg->region, h.arena, size);
    }
    if (st == MPS_OK) {
        bind(seg, &h);
        st = format(seg, &h, h.arena + size);
    }
    if (st == MPS_OK) {
        st = join(seg);
    }
    if (st != MPS_OK) {
        discard(seg);
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
    st = validate(out, id);
    if (st == MPS_OK && state != MPS_STATE_READY) {
        st = state == MPS_STATE_CLOSED ? MPS_E_CLOSED : state == MPS_STATE_NEW ? MPS_E_FOREIGN : MPS_E_CORRUPT;
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
    *out = mps_slots_find(h.id);
    if (*out != NULL) {
        return MPS_OK;
    }
    mps_seg *seg = calloc(1, sizeof(*seg));
    int own = -1;
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    seg->region.fd = -1;
    st = mps_os_dup(fd, &own);
    if (st == MPS_OK) {
        st = mps_region_open(own, reserve_for(&h), &seg->region);
        if (st != MPS_OK) {
            mps_os_close(own);
        }
    }
    if (st == MPS_OK) {
        bind(seg, &h);
        st = join(seg);
    }
    if (st != MPS_OK) {
        discard(seg);
        return st;
    }
    *out = seg;
    return MPS_OK;
}

/* ---- adopted memory ---- */

mps_status mps_seg_adopt(void *buffer, uint64_t size, bool format_it, mps_seg **out)
{
    return mps_seg_adopt_with(buffer, size, format_it, MPS_BEST_FIT, out);
}

mps_status mps_seg_adopt_with(void *buffer, uint64_t size, bool format_it, uint32_t allocator, mps_seg **out)
{
    mps_header h = plan(ADOPTED_SLOTS, 0, allocator);
    if (size < h.arena + MIN_SIZE || allocator > MPS_SEQUENTIAL_FIT) {
        return MPS_E_INVAL;
    }
    mps_seg *seg = calloc(1, sizeof(*seg));
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    mps_status st = mps_region_adopt(buffer, size, &seg->region);
    h.max_file = size;
    if (st == MPS_OK && format_it) {
        st = mps_os_random(h.id, sizeof(h.id));
        bind(seg, &h);
        if (st == MPS_OK) {
            st = format(seg, &h, size & ~(uint64_t)15);
        }
    } else if (st == MPS_OK) {
        memcpy(&h, buffer, offsetof(mps_header, control));
        st = validate(&h, NULL);
        if (st == MPS_OK && h.arena > size) {
            st = MPS_E_CORRUPT;
        }
        bind(seg, &h);
    }
    if (st == MPS_OK) {
        st = join(seg);
    }
    if (st != MPS_OK) {
        discard(seg);
        return st;
    }
    *out = seg;
    return MPS_OK;
}

/* ---- using and leaving ---- */

mps_seg *mps_seg_find(const uint8_t *id)
{
    return mps_slots_find(id);
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
    bool present = seg->token != 0 && mps_load64(&seg->head->word) == seg->slot_word;
    if (present && mps_load32(&seg->control->state) == MPS_STATE_READY && mps_recover_leave(seg) != MPS_OK) {
        mps_slots_abandon(seg); /* it is left to others, as after a death */
    } else {
        mps_slots_detach(seg);
    }
    discard(seg);
}

void mps_seg_abandon(mps_seg *seg)
{
    mps_slots_abandon(seg);
    discard(seg);
}

mps_status mps_seg_shutdown(mps_seg *seg)
{
    uint32_t ready = MPS_STATE_READY;
    mps_cas32(&seg->control->state, &ready, MPS_STATE_CLOSED);
    return MPS_OK;
}

int mps_seg_is_sequential(mps_seg *seg)
{
    return seg->sequential;
}

int mps_seg_is_closed(mps_seg *seg)
{
    return mps_load32(&seg->control->state) == MPS_STATE_CLOSED;
}

void mps_seg_identity(mps_seg *seg, mps_identity *out)
{
    *out = (mps_identity){.dev = seg->region.dev, .ino = seg->region.ino, .fd = seg->region.fd, .slot = seg->slot};
    memcpy(out->id, seg->id, sizeof(out->id));
    out->max_size = seg->max_end - seg->arena;
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
    out->objects = mps_load64(&mps_seg_root(seg)->objects);
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
        return MPS_E_CLOSED;
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
