#include "opening.h"

#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "lock.h"
#include "os.h"
#include "segment_body.h"

#define SHARED_SLOTS 1024u
#define FILE_SLOTS 256u
#define FILE_MAX ((uint64_t)1 << 40) /* bytes that a file may grow to, by default */
#define TRIES 1000
#define READERS_NAP_NS 1000000u

static bool has(const mps_opening *o, uint32_t flag)
{
    return (o->how & flag) != 0;
}

static bool is_for_writing(const mps_opening *o)
{
    return !has(o, MPS_OPEN_READ) && !has(o, MPS_OPEN_COPY);
}

/* ---- looking ---- */

/* What a file is. */
typedef struct look {
    mps_header header; /* as far as the file reaches */
    uint64_t size;
    bool begun; /* empty, or its maker died */
} look;

static uint64_t swapped(uint64_t word)
{
    return __builtin_bswap64(word);
}

static mps_status look_at(mps_opening *o, int fd, look *l)
{
    *l = (look){.size = 0};
    bool trusted = false;
    mps_status st = mps_os_file_is_trusted(fd, o->permissions, &trusted);
    if (st == MPS_OK) {
        st = trusted ? mps_os_file_size(fd, &l->size) : MPS_E_PERM;
    }
    if (!trusted && st == MPS_E_PERM) {
        (void)snprintf(o->why, sizeof(o->why), "it belongs to another user, or other users may write to it");
    }
    if (st == MPS_OK && l->size > 0) {
        st = mps_os_read(fd, 0, &l->header, mps_min64(l->size, sizeof(l->header)));
    }
    const mps_header *h = &l->header;
    bool stub = l->size >= sizeof(*h) && h->magic == MPS_MAGIC && h->version == MPS_VERSION &&
                h->control.state == MPS_STATE_NEW && h->control.top_slot == 0 && h->control.recoveries == 0 &&
                h->dirty == 0;
    l->begun = l->size == 0 || stub;
    return st;
}

/* Whether an old one may be joined. */
static mps_status judge(mps_opening *o, const look *l)
{
    const mps_header *h = &l->header;
    if (l->begun) {
        return MPS_E_NOTFOUND;
    }
    if (l->size < MPS_HEADER_BYTES) {
        (void)snprintf(o->why, sizeof(o->why), "it ends within its header");
        return h->magic == MPS_MAGIC ? MPS_E_CORRUPT : MPS_E_FOREIGN;
    }
    mps_status st = mps_header_validate(h, o->id);
    if (st == MPS_E_FOREIGN && h->magic == swapped(MPS_MAGIC)) {
        o->version = 0;
        return MPS_E_VERSION;
    }
    if (st == MPS_E_VERSION) {
        o->version = h->version;
    } else if (st == MPS_E_CORRUPT) {
        (void)snprintf(o->why, sizeof(o->why), "its header's checksum is wrong");
    }
    if (st != MPS_OK) {
        return st;
    }
    st = mps_header_usable(h->control.state);
    if (st == MPS_E_CORRUPT) {
        (void)snprintf(o->why, sizeof(o->why), "an operation met damaged bytes before");
    }
    if (st == MPS_OK && h->arena + MPS_PAGE > l->size) {
        (void)snprintf(o->why, sizeof(o->why), "the file is shorter than the segment in it");
        st = MPS_E_CORRUPT;
    }
    return st;
}

/* After binding: the blocks must lie inside the file. */
static mps_status reaches(mps_opening *o, const mps_seg *seg)
{
    if (mps_seg_end(seg) != 0) {
        return MPS_OK;
    }
    (void)snprintf(o->why, sizeof(o->why), "the file is shorter than the segment in it, or its end is damaged");
    return MPS_E_CORRUPT;
}

static bool is_there(const mps_opening *o, int fd)
{
    uint64_t dev = 0, ino = 0, path_dev = 1, path_ino = 1;
    return mps_os_file_id(fd, &dev, &ino) == MPS_OK && mps_os_path_id(o->path, &path_dev, &path_ino) == MPS_OK &&
           dev == path_dev && ino == path_ino;
}

/* ---- marks ---- */

/* The first to come says that the disk may be behind from now on. */
static mps_status mark_dirty(mps_seg *seg)
{
    mps_header *h = (mps_header *)seg->region.base;
    uint8_t boot[16];
    mps_os_boot_id(boot);
    if (!seg->persistent || (mps_load32(&h->dirty) == 1 && memcmp(h->boot, boot, sizeof(boot)) == 0)) {
        return MPS_OK;
    }
    memcpy(h->boot, boot, sizeof(boot));
    mps_barrier();
    mps_store32(&h->dirty, 1);
    return mps_os_sync(seg->region.fd);
}

static bool is_from_another_run(const mps_header *h)
{
    uint8_t boot[16];
    mps_os_boot_id(boot);
    return h->dirty != 0 && memcmp(h->boot, boot, sizeof(boot)) != 0;
}

static mps_status check_all(mps_opening *o, mps_seg *seg)
{
    char why[MPS_WHY_BYTES / 2] = "";
    mps_status st = mps_seg_check(seg, why, sizeof(why));
    if (st == MPS_E_CORRUPT) {
        (void)snprintf(o->why, sizeof(o->why), "the machine went down while it was in use, and it is not sound: %s",
                       why);
    }
    return st;
}

/* ---- making ---- */

/* Maps the file; without a wish for max_size, as much address space as the system gives. */
static mps_status map_file(mps_opening *o, mps_seg *seg, mps_header *h, int fd, bool may_shrink, uint64_t least)
{
    for (;;) {
        mps_status st = mps_region_open_at(fd, mps_header_reserve(h), has(o, MPS_OPEN_READ), o->address, &seg->region);
        uint64_t less = h->arena + (h->max_file - h->arena) / 8 / MPS_PAGE * MPS_PAGE;
        if (st != MPS_E_NOMEM || !may_shrink || less < least) {
            return st;
        }
        h->max_file = less;
    }
}

static mps_status make_in(mps_opening *o, mps_seg *seg, int fd)
{
    bool file = has(o, MPS_OPEN_FILE), may_shrink = o->max_size == 0;
    uint64_t size = o->size, most = o->max_size;
    mps_status st = mps_sizes(&size, &most, file ? mps_max64(FILE_MAX, mps_default_max()) : mps_default_max());
    mps_header h = mps_header_plan(file ? FILE_SLOTS : SHARED_SLOTS, st == MPS_OK ? most : MPS_PAGE);
    h.allocator = has(o, MPS_OPEN_SEQUENTIAL) ? MPS_SEQUENTIAL_FIT : MPS_BEST_FIT;
    if (st == MPS_OK) {
        st = mps_header_name(&h);
    }
    if (st == MPS_OK) {
        st = mps_os_truncate(fd, 0);
        mps_crash_point();
    }
    if (st == MPS_OK) {
        st = mps_os_write(fd, 0, &h, sizeof(h)); /* its state is NEW */
        mps_crash_point();
    }
    if (st == MPS_OK) {
        st = mps_os_extend(fd, h.arena + size);
        mps_crash_point();
    }
    if (st == MPS_OK) {
        st = map_file(o, seg, &h, fd, may_shrink, h.arena + size);
    }
    if (st == MPS_OK) {
        st = mps_seg_fill(seg, &h, size);
    }
    return st == MPS_OK ? mps_os_chmod(fd, o->permissions) : st;
}

/* fd becomes the segment's, unless it fails. */
static mps_status make(mps_opening *o, int fd, bool ours, mps_seg **out)
{
    mps_seg *seg = mps_seg_new();
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    mps_status st = make_in(o, seg, fd);
    seg->named = true;
    seg->persistent = has(o, MPS_OPEN_FILE);
    if (st == MPS_OK) {
        st = mps_seg_join(seg);
    }
    if (st == MPS_OK) {
        st = mark_dirty(seg);
        if (st != MPS_OK) {
            mps_slots_abandon(seg);
        }
    }
    if (st == MPS_OK) {
        *out = seg;
        return MPS_OK;
    }
    seg->region.fd = -1; /* the caller's still */
    seg->region.heap = seg->region.base != NULL;
    mps_seg_discard(seg);
    if (ours) {
        (void)mps_os_unlink(o->path);
    }
    (void)mps_os_truncate(fd, 0);
    return st;
}

/* ---- joining ---- */

static mps_status join_in(mps_opening *o, mps_seg *seg, const look *l, int fd)
{
    mps_header h = l->header;
    mps_status st = map_file(o, seg, &h, fd, false, 0);
    if (st != MPS_OK) {
        return st;
    }
    mps_seg_bind(seg, &h);
    seg->named = true;
    seg->persistent = has(o, MPS_OPEN_FILE);
    st = reaches(o, seg);
    if (st != MPS_OK) {
        return st;
    }
    bool alone = mps_os_bytes_held(fd, 0, seg->n_slots) == 0;
    st = mps_seg_join(seg);
    if (st == MPS_OK && alone) {
        st = seg->persistent && is_from_another_run(&h) ? check_all(o, seg) : MPS_OK;
        st = st == MPS_OK ? mark_dirty(seg) : st;
        if (st != MPS_OK) {
            mps_slots_abandon(seg);
        }
    }
    return st;
}

/* fd becomes the segment's, unless it fails or we had it. MPS_E_BUSY with *out: that is where we have it, and the caller lets go of it again, not
 * inside the gate. */
static mps_status join(mps_opening *o, const look *l, int fd, mps_seg **out)
{
    mps_seg *seg = mps_slots_find(l->header.id, false);
    if (seg != NULL) {
        *out = seg;
        if (o->address != 0 && o->address != (uint64_t)(uintptr_t)seg->region.base) {
            return MPS_E_BUSY;
        }
        return MPS_OK;
    }
    seg = mps_seg_new();
    if (seg == NULL) {
        return MPS_E_NOMEM;
    }
    mps_status st = join_in(o, seg, l, fd);
    if (st == MPS_OK) {
        *out = seg;
        return MPS_OK;
    }
    seg->region.fd = -1;
    seg->region.heap = seg->region.base != NULL;
    mps_seg_discard(seg);
    return st;
}

/* ---- reading ---- */

static mps_status join_reader(mps_opening *o, const look *l, int fd, mps_seg **out)
{
    mps_seg *seg = mps_slots_find(l->header.id, true);
    if (seg != NULL) {
        *out = seg;
        if (o->address != 0 && o->address != (uint64_t)(uintptr_t)seg->region.base) {
            return MPS_E_BUSY;
        }
        return MPS_OK;
    }
    seg = mps_seg_new();
    mps_header h = l->header;
    mps_status st = seg != NULL ? mps_os_byte_lock(fd, MPS_BYTE_READERS, false) : MPS_E_NOMEM;
    if (st == MPS_OK) {
        st = map_file(o, seg, &h, fd, false, 0);
    }
    if (st == MPS_OK) {
        mps_seg_bind(seg, &h);
        seg->named = true;
        st = reaches(o, seg);
    }
    if (st == MPS_OK) {
        st = mps_seg_join_reader(seg);
    }
    if (st == MPS_OK) {
        *out = seg;
    } else if (seg != NULL) {
        seg->region.fd = -1;
        seg->region.heap = seg->region.base != NULL;
        mps_seg_discard(seg);
    }
    return st;
}

/* Others are in it: they wait while it is copied. */
static mps_status copy_in_use(mps_opening *o, mps_seg **out)
{
    mps_opening other = *o;
    other.how = (o->how & MPS_OPEN_FILE) | MPS_OPEN_OLD;
    other.address = 0;
    mps_seg *seg = NULL;
    mps_status st = mps_seg_open(&other, &seg);
    if (st != MPS_OK) {
        memcpy(o->why, other.why, sizeof(o->why));
        o->version = other.version;
        return st;
    }
    st = mps_seg_freeze(seg);
    if (st == MPS_OK) {
        uint64_t size = 0;
        st = mps_seg_extent(seg, &size);
        st = st == MPS_OK ? mps_seg_load_file(seg->region.fd, size, o->max_size, out) : st;
        mps_unfreeze(seg);
    }
    mps_seg_release(seg);
    return st;
}

/* A copy of what is at rest; sound, if the machine went down while it was in use. */
static mps_status copy_at_rest(mps_opening *o, const look *l, int fd, mps_seg **out)
{
    mps_status st = mps_seg_load_file(fd, l->size, o->max_size, out);
    if (st == MPS_OK && has(o, MPS_OPEN_FILE) && is_from_another_run(&l->header)) {
        st = check_all(o, *out);
        if (st != MPS_OK) {
            mps_seg_release(*out); /* (private memory: it has no gate) */
            *out = NULL;
        }
    }
    return st;
}

/* Who only reads can't put anything right: he looks whether there is something to be put right, in a copy. */
static mps_status check_for_reader(mps_opening *o, const look *l, int fd)
{
    mps_seg *copy = NULL;
    if (!has(o, MPS_OPEN_FILE) || !is_from_another_run(&l->header)) {
        return MPS_OK;
    }
    mps_status st = copy_at_rest(o, l, fd, &copy);
    if (st == MPS_OK) {
        mps_seg_release(copy);
    }
    return st;
}

/* ---- the way in ---- */

static mps_status open_path(const mps_opening *o, int *fd, bool *made)
{
    unsigned links = has(o, MPS_OPEN_FILE) ? 0 : MPS_OS_NO_LINKS;
    unsigned how = is_for_writing(o) ? MPS_OS_WRITE | links : links;
    *made = false;
    for (int i = 0; i < TRIES; i++) {
        mps_status st = mps_os_open(o->path, how, 0, fd);
        if (st != MPS_E_NOTFOUND || !has(o, MPS_OPEN_NEW)) {
            return st;
        }
        st = mps_os_open(o->path, how | MPS_OS_MAKE, o->permissions, fd);
        if (st != MPS_E_EXISTS) {
            *made = st == MPS_OK;
            return st;
        }
    }
    return MPS_E_FOREIGN; /* a link that leads nowhere */
}

/* With the gate. *in_use: it is to be copied, and others have it. */
static mps_status inside(mps_opening *o, int fd, bool made, bool *in_use, mps_seg **out)
{
    look l;
    mps_status st = look_at(o, fd, &l);
    if (st != MPS_OK) {
        return st;
    }
    if (has(o, MPS_OPEN_NEW) && l.begun) {
        o->made = 1;
        return make(o, fd, made || l.size > 0, out);
    }
    if (!has(o, MPS_OPEN_OLD)) {
        return MPS_E_EXISTS;
    }
    st = judge(o, &l);
    if (st != MPS_OK) {
        return st;
    }
    if (has(o, MPS_OPEN_COPY)) {
        *in_use = mps_os_bytes_held(fd, 0, l.header.n_slots) != 0;
        /* Nobody is in it, and nobody comes while we have the gate: it is at rest, but for what the dead left. */
        return *in_use ? MPS_OK : copy_at_rest(o, &l, fd, out);
    }
    if (has(o, MPS_OPEN_READ)) {
        st = check_for_reader(o, &l, fd);
        return st == MPS_OK ? join_reader(o, &l, fd, out) : st;
    }
    return join(o, &l, fd, out);
}

mps_status mps_seg_open(mps_opening *o, mps_seg **out)
{
    uint64_t now = mps_os_now(), deadline = o->timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + o->timeout_ns;
    o->version = o->made = 0;
    o->why[0] = 0;
    for (;;) {
        int fd = -1;
        bool made = false, in_use = false;
        *out = NULL;
        mps_status st = open_path(o, &fd, &made);
        if (st == MPS_OK) {
            st = mps_gate_enter(fd, is_for_writing(o), deadline);
        }
        if (st != MPS_OK) {
            if (fd >= 0) {
                mps_os_close(fd);
            }
            return st;
        }
        bool there = is_there(o, fd);
        if (there) {
            st = inside(o, fd, made, &in_use, out);
        }
        mps_gate_leave(fd);
        if (*out == NULL || (*out)->region.fd != fd) {
            mps_os_close(fd); /* (we had it open, or have a copy) */
        }
        if (st != MPS_OK && *out != NULL) {
            mps_seg_release(*out);
        }
        if (there) {
            return in_use ? copy_in_use(o, out) : st;
        }
        if (mps_os_now() >= deadline) {
            return MPS_E_TIMEOUT; /* it was removed and made again, over and over */
        }
    }
}

mps_status mps_seg_unlink(const char *path)
{
    return mps_os_unlink(path);
}

mps_status mps_seg_flush(mps_seg *seg)
{
    if (seg->region.readonly) {
        return MPS_E_READONLY;
    }
    return seg->persistent && mps_region_fd_is_ours(&seg->region) ? mps_os_sync(seg->region.fd) : MPS_OK;
}
