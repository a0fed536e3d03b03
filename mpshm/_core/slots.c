#include "slots.h"

#include <stdlib.h>

#include "journal.h"
#include "os.h"

/* The one piece of mutable data outside of segments and attachments: what this process is attached to. */
static struct {
    uint32_t mutex;
    uint32_t gate;          /* taken before mutex: while a thread of ours is inside a gate, no fork */
    uint32_t fork_handlers; /* 1 once installed */
    mps_seg *first;
    void *(*leave)(void);
    void (*enter)(void *state);
    void *(*make)(unsigned kind, uint64_t n, void **object);
    void (*drop)(void *object);
} process;

/* ---- small things ---- */

void mps_mutex_lock(uint32_t *word)
{
    uint32_t v = 0;
    if (__atomic_compare_exchange_n(word, &v, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        return;
    }
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0) {
        mps_os_wait(word, 2, 10000000);
    }
}

void mps_mutex_unlock(uint32_t *word)
{
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2) {
        mps_os_wake(word, 1);
    }
}

void mps_door_install(void *(*leave)(void), void (*enter)(void *state))
{
    process.leave = leave;
    process.enter = enter;
}

void *mps_door_leave(mps_door door)
{
    return door == MPS_DOOR_GIL && process.leave != NULL ? process.leave() : NULL;
}

void mps_door_enter(mps_door door, void *state)
{
    if (door == MPS_DOOR_GIL && process.enter != NULL) {
        process.enter(state);
    }
}

void mps_door_install_objects(void *(*make)(unsigned kind, uint64_t n, void **object), void (*drop)(void *object))
{
    process.make = make;
    process.drop = drop;
}

void *mps_door_make(mps_door door, unsigned kind, uint64_t n, void **object)
{
    return door == MPS_DOOR_GIL && process.make != NULL ? process.make(kind, n, object) : NULL;
}

void mps_door_drop(void *object)
{
    process.drop(object);
}

mps_slot_head *mps_slot_head_at(const mps_seg *seg, uint32_t slot)
{
    return (mps_slot_head *)mps_region_at(&seg->region, seg->slots) + slot;
}

mps_slot_body *mps_slot_body_at(const mps_seg *seg, uint32_t slot)
{
    return mps_region_at(&seg->region, seg->bodies + slot * seg->body_stride);
}

/* Closes a descriptor unless the program has closed it already and its number now is another file's. */
static void close_ours(const mps_seg *seg, int fd)
{
    uint64_t dev = 0, ino = 0;
    if (fd >= 0 && mps_os_file_id(fd, &dev, &ino) == MPS_OK && dev == seg->region.dev && ino == seg->region.ino) {
        mps_os_close(fd);
    }
}

/* ---- liveness ---- */

/* An adopted buffer belongs to this process alone: who is in its table lives. Under process.mutex or from tests of one thread. */
static int alive_in_process(const mps_seg *seg, uint32_t slot)
{
    for (const mps_seg *s = process.first; s != NULL; s = s->next) {
        if (s->region.base == seg->region.base && s->slot == slot && s->token != 0) {
            return 1;
        }
    }
    return 0;
}

static int alive(mps_seg *seg, uint32_t slot)
{
    if (slot == seg->slot && seg->token != 0) {
        return 1;
    }
    if (seg->region.fd < 0) {
        return alive_in_process(seg, slot);
    }
    int held = mps_os_live_held(seg->live_fd, slot);
    return held < 0 ? 1 : held; /* who can't be asked is left alone */
}

bool mps_slot_is_cleaned(mps_seg *seg, uint32_t slot)
{
    uint32_t cleaner = (uint32_t)mps_load64(&mps_slot_head_at(seg, slot)->cleaner);
    uint32_t its_slot = mps_token_slot(cleaner);
    if (cleaner == 0 || its_slot >= seg->n_slots || its_slot == slot) {
        return false;
    }
    uint64_t word = mps_load64(&mps_slot_head_at(seg, its_slot)->word);
    return (word & 0xff) == MPS_SLOT_USED && mps_token_make(word, its_slot) == cleaner && alive(seg, its_slot) == 1;
}

int mps_slot_alive(mps_seg *seg, uint32_t slot)
{
    if (slot >= seg->n_slots || (mps_load64(&mps_slot_head_at(seg, slot)->word) & 0xff) != MPS_SLOT_USED) {
        return MPS_E_NOTFOUND;
    }
    return alive(seg, slot) == 1 || mps_slot_is_cleaned(seg, slot);
}

int mps_token_alive(mps_seg *seg, uint32_t token)
{
    uint32_t slot = mps_token_slot(token);
    if (slot >= seg->n_slots) {
        return MPS_E_NOTFOUND;
    }
    const mps_slot_head *head = mps_slot_head_at(seg, slot);
    uint64_t word = mps_load64(&head->word);
    if ((word & 0xff) != MPS_SLOT_USED || mps_token_make(word, slot) != token) {
        return MPS_E_NOTFOUND;
    }
    if (token == seg->token) {
        return 1;
    }
    int answer = alive(seg, slot) == 1 || mps_slot_is_cleaned(seg, slot);
    /* The slot may have changed hands between the two looks. */
    return mps_load64(&head->word) == word ? answer : MPS_E_NOTFOUND;
}

/* ---- claiming ---- */

static uint64_t next_generation(uint64_t word)
{
    uint64_t generation = (word >> 8) + 1;
    return generation % MPS_GENERATIONS == 0 ? generation + 1 : generation; /* a token is never 0 */
}

void mps_slot_retire(mps_seg *seg, uint32_t slot)
{
    mps_slot_head *head = mps_slot_head_at(seg, slot);
    mps_store64_release(&head->word, next_generation(mps_load64(&head->word)) << 8 | MPS_SLOT_FREE);
}

/* Makes a free slot's body what a new owner expects. Nobody else looks at it while the slot is free. */
static mps_status clean_body(mps_seg *seg, uint32_t slot)
{
    uint64_t off = seg->bodies + slot * seg->body_stride;
    mps_status st = mps_region_commit(&seg->region, off, sizeof(mps_slot_body));
    if (st != MPS_OK) {
        return st;
    }
    mps_slot_body *body = mps_slot_body_at(seg, slot);
    for (uint32_t i = 0; i < MPS_LANES; i++) {
        memset(&body->lanes[i], 0, offsetof(mps_lane, inner));
    }
    memset(&body->refs_block, 0, sizeof(mps_slot_body) - offsetof(mps_slot_body, refs_block));
    return MPS_OK;
}

static mps_status live_lock(mps_seg *seg, int fd, uint32_t slot)
{
    if (fd < 0) {
        return alive_in_process(seg, slot) ? MPS_E_BUSY : MPS_OK;
    }
    return mps_os_live_lock(fd, slot);
}

static void live_unlock(int fd, uint32_t slot)
{
    if (fd >= 0) {
        mps_os_live_unlock(fd, slot);
    }
}

/* Says that slots up to this one have been in use. */
static void raise_top(mps_seg *seg, uint32_t slot)
{
    uint32_t top = mps_load32(&seg->control->top_slot);
    while (top <= slot && !mps_cas32(&seg->control->top_slot, &top, slot + 1)) {
    }
}

/* Makes a slot ours whose liveness lock fd has: a free one directly, a dead process's after recovering it in its own name. */
static mps_status take_slot(mps_seg *seg, uint32_t slot, uint64_t *word_out)
{
    mps_slot_head *head = mps_slot_head_at(seg, slot);
    uint64_t word = mps_load64_acquire(&head->word);
    if ((word & 0xff) == MPS_SLOT_USED) {
        uint32_t our_token = seg->token, our_slot = seg->slot;
        seg->token = mps_token_make(word, slot);
        seg->slot = slot;
        mps_status st = seg->hooks->recover(seg, seg->token);
        seg->token = our_token;
        seg->slot = our_slot;
        word = mps_load64_acquire(&head->word);
        if (st != MPS_OK || (word & 0xff) == MPS_SLOT_USED) {
            return st != MPS_OK ? st : MPS_E_BUSY;
        }
    }
    mps_status st = clean_body(seg, slot);
    if (st != MPS_OK) {
        return st;
    }
    mps_store32(&head->pid, mps_os_pid());
    mps_store32((uint32_t *)&head->fd, (uint32_t)seg->region.fd);
    mps_store64(&head->since, mps_os_now());
    mps_store64(&head->cleaner, 0);
    mps_store64(&head->adding, 0);
    raise_top(seg, slot);
    word = (word & ~(uint64_t)0xff) | MPS_SLOT_USED;
    if (mps_token_make(word, slot) == 0) {
        word = next_generation(word) << 8 | MPS_SLOT_USED;
    }
    mps_store64_release(&head->word, word);
    *word_out = word;
    return MPS_OK;
}

/* Free slots first; if there is none, slots of the dead. */
static mps_status claim(mps_seg *seg, int fd, uint32_t *slot_out, uint64_t *word_out)
{
    int rounds = seg->token == 0 ? 2 : 1; /* (who has a slot recovers the dead first, under its own name) */
    for (int dead = 0; dead < rounds; dead++) {
        for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
            bool used = (mps_load64(&mps_slot_head_at(seg, slot)->word) & 0xff) == MPS_SLOT_USED;
            if (used != (dead == 1) || (seg->token != 0 && slot == seg->slot)) {
                continue;
            }
            mps_status st = live_lock(seg, fd, slot);
            if (st == MPS_E_BUSY) {
                continue;
            }
            if (st == MPS_OK) {
                st = take_slot(seg, slot, word_out);
            }
            if (st == MPS_OK) {
                *slot_out = slot;
                return MPS_OK;
            }
            live_unlock(fd, slot);
            if (st != MPS_E_BUSY) {
                return st;
            }
        }
    }
    return MPS_E_SLOTS;
}

static void settle_in(mps_seg *seg, uint32_t slot, uint64_t word)
{
    seg->slot = slot;
    seg->slot_word = word;
    seg->token = mps_token_make(word, slot);
    seg->head = mps_slot_head_at(seg, slot);
    seg->body = mps_slot_body_at(seg, slot);
    seg->locks = seg->gil_locks = 0; /* another owner's from now on */
    seg->gil_lanes = (1u << MPS_GIL_LANES) - 1;
    __atomic_store_n(&seg->free_lanes, (1u << MPS_LANES) - (1u << MPS_GIL_LANES), __ATOMIC_RELEASE);
    memset(seg->cached, 0, sizeof(seg->cached));
}

static mps_status open_live(mps_seg *seg, int *fd)
{
    *fd = -1;
    return seg->region.fd < 0 ? MPS_OK : mps_os_reopen(seg->region.fd, fd);
}

/* ---- forking ---- */

/* Takes dead processes' slots back up to the first free one, so that children who die don't fill the table. */
static void recover_first(mps_seg *seg)
{
    for (uint32_t slot = 0; slot < seg->n_slots; slot++) {
        uint64_t word = mps_load64(&mps_slot_head_at(seg, slot)->word);
        if ((word & 0xff) != MPS_SLOT_USED) {
            return;
        }
        uint32_t token = mps_token_make(word, slot);
        if (mps_token_alive(seg, token) == 0 && seg->hooks->recover(seg, token) != MPS_OK) {
            return;
        }
    }
}

static void before_fork(void)
{
    mps_mutex_lock(&process.gate);
    mps_mutex_lock(&process.mutex);
    for (mps_seg *seg = process.first; seg != NULL; seg = seg->next) {
        seg->child_fd = -1;
        seg->child_token = 0;
        if (seg->region.fd < 0 || seg->token == 0 || mps_load32(&seg->control->state) != MPS_STATE_READY) {
            continue;
        }
        recover_first(seg);
        int fd = -1;
        if (open_live(seg, &fd) != MPS_OK) {
            continue;
        }
        if (claim(seg, fd, &seg->child_slot, &seg->child_word) != MPS_OK) {
            close_ours(seg, fd);
            continue;
        }
        seg->child_fd = fd;
        seg->child_token = mps_token_make(seg->child_word, seg->child_slot);
        seg->child_refs = UINT64_MAX;
        mps_status st = seg->hooks->fork_copy(seg, seg->child_slot);
        seg->child_refs = st == MPS_OK ? seg->hooks->refs_version(seg) : UINT64_MAX;
    }
    for (mps_seg *seg = process.first; seg != NULL; seg = seg->next) {
        mps_mutex_lock(&seg->mutex);
        if (seg->child_token != 0 && seg->child_refs != seg->hooks->refs_version(seg)) {
            seg->child_token = 0; /* the child lets this slot go, and starts anew in another */
        }
    }
}

static void after_fork_in_parent(void)
{
    for (mps_seg *seg = process.first; seg != NULL; seg = seg->next) {
        mps_mutex_unlock(&seg->mutex);
        close_ours(seg, seg->child_fd);
        seg->child_fd = -1;
    }
    mps_mutex_unlock(&process.mutex);
    mps_mutex_unlock(&process.gate);
}

static void after_fork_in_child(void)
{
    for (mps_seg *seg = process.first; seg != NULL; seg = seg->next) {
        seg->mutex = 0;
        seg->recovering = 0;
        seg->recoverers = seg->freezers = seg->dead_seen = 0;
        if (seg->region.fd < 0 || seg->region.readonly) {
            continue; /* private memory: copied with its slot; or no slot */
        }
        close_ours(seg, seg->live_fd);
        seg->live_fd = seg->child_fd;
        seg->child_fd = -1;
        if (seg->live_fd >= 0 && seg->child_token != 0) {
            settle_in(seg, seg->child_slot, seg->child_word);
            mps_store32(&seg->head->pid, mps_os_pid());
        } else {
            close_ours(seg, seg->live_fd);
            seg->live_fd = -1;
            seg->token = 0; /* the next operation claims a slot */
        }
    }
    process.mutex = process.gate = 0;
}

/* ---- the gate ---- */

#define GATE_NAP_NS 500000u

mps_status mps_gate_enter(int fd, bool exclusive, uint64_t deadline)
{
    for (;;) {
        mps_mutex_lock(&process.gate);
        mps_status st = mps_os_byte_lock(fd, MPS_BYTE_GATE, exclusive);
        if (st == MPS_OK) {
            return st;
        }
        mps_mutex_unlock(&process.gate);
        if (st != MPS_E_BUSY || mps_os_now() >= deadline) {
            return st == MPS_E_BUSY ? MPS_E_TIMEOUT : st;
        }
        mps_os_sleep(GATE_NAP_NS);
    }
}

void mps_gate_leave(int fd)
{
    mps_os_byte_unlock(fd, MPS_BYTE_GATE);
    mps_mutex_unlock(&process.gate);
}

/* ---- attaching ---- */

static mps_status install_fork_handlers(void)
{
    if (process.fork_handlers) {
        return MPS_OK;
    }
    mps_status st = mps_os_at_fork(before_fork, after_fork_in_parent, after_fork_in_child);
    process.fork_handlers = st == MPS_OK;
    return st;
}

mps_status mps_slots_attach(mps_seg *seg)
{
    mps_mutex_lock(&process.mutex);
    seg->child_fd = seg->live_fd = -1;
    seg->processors = mps_os_processors();
    seg->spin_credit = 1;
    uint32_t slot = 0;
    uint64_t word = 0;
    mps_status st = install_fork_handlers();
    if (st == MPS_OK) {
        st = open_live(seg, &seg->live_fd);
    }
    if (st == MPS_OK) {
        st = claim(seg, seg->live_fd, &slot, &word);
    }
    if (st == MPS_OK) {
        settle_in(seg, slot, word);
        seg->next = process.first;
        process.first = seg;
    } else {
        close_ours(seg, seg->live_fd);
        seg->live_fd = -1;
    }
    mps_mutex_unlock(&process.mutex);
    return st;
}

static void take_out(mps_seg *seg)
{
    for (mps_seg **p = &process.first; *p != NULL; p = &(*p)->next) {
        if (*p == seg) {
            *p = seg->next;
            break;
        }
    }
}

void mps_slots_use(mps_seg *seg)
{
    mps_mutex_lock(&process.mutex);
    seg->users++;
    mps_mutex_unlock(&process.mutex);
}

bool mps_slots_unuse(mps_seg *seg)
{
    mps_mutex_lock(&process.mutex);
    bool last = --seg->users == 0 && __atomic_load_n(&seg->locks, __ATOMIC_RELAXED) + seg->gil_locks == 0;
    if (last) {
        take_out(seg);
    }
    mps_mutex_unlock(&process.mutex);
    return last;
}

static void forget(mps_seg *seg)
{
    mps_mutex_lock(&process.mutex);
    take_out(seg);
    mps_mutex_unlock(&process.mutex);
    if (seg->watched != NULL) {
        free(seg->control); /* all that is a reader's own */
        return;
    }
    close_ours(seg, seg->live_fd);
    seg->live_fd = -1;
    seg->token = 0;
}

void mps_slots_detach(mps_seg *seg)
{
    if (seg->token != 0 && mps_load64(&seg->head->word) == seg->slot_word) {
        mps_slot_retire(seg, seg->slot);
    }
    forget(seg);
}

void mps_slots_abandon(mps_seg *seg)
{
    forget(seg);
}

static mps_seg *use_of(mps_seg *seg)
{
    if (seg != NULL) {
        seg->users++;
    }
    mps_mutex_unlock(&process.mutex);
    return seg;
}

mps_seg *mps_slots_find(const uint8_t id[16], bool readonly)
{
    mps_mutex_lock(&process.mutex);
    mps_seg *seg = process.first;
    while (seg != NULL && (memcmp(seg->id, id, sizeof(seg->id)) != 0 || seg->region.readonly != readonly)) {
        seg = seg->next;
    }
    return use_of(seg);
}

mps_seg *mps_slots_find_at(const void *base)
{
    mps_mutex_lock(&process.mutex);
    mps_seg *seg = process.first;
    while (seg != NULL && seg->region.base != base) {
        seg = seg->next;
    }
    return use_of(seg);
}

mps_status mps_slots_attach_reader(mps_seg *seg)
{
    struct own {
        mps_control control;
        mps_slot_head head;
        mps_slot_body body;
    } *own = calloc(1, sizeof(*own)); /* (freed with body, by forget) */
    if (own == NULL) {
        return MPS_E_NOMEM;
    }
    mps_mutex_lock(&process.mutex);
    mps_status st = install_fork_handlers();
    if (st == MPS_OK) {
        seg->watched = seg->control;
        own->control.state = MPS_STATE_READING;
        seg->control = &own->control;
        settle_in(seg, 0, 0);
        seg->token = 0;                /* what is not a reader's (reader.h) asks for a slot, and is told */
        seg->live_fd = seg->region.fd; /* (to ask about others) */
        seg->head = &own->head;
        seg->body = &own->body;
        seg->processors = mps_os_processors();
        seg->child_fd = -1;
        seg->next = process.first;
        process.first = seg;
    } else {
        free(own);
    }
    mps_mutex_unlock(&process.mutex);
    return st;
}

mps_status mps_slots_reclaim(mps_seg *seg)
{
    mps_mutex_lock(&process.mutex);
    if (seg->token != 0 && mps_load64(&seg->head->word) == seg->slot_word) {
        mps_mutex_unlock(&process.mutex);
        return MPS_OK; /* another thread was faster */
    }
    seg->token = 0;
    close_ours(seg, seg->live_fd);
    uint32_t slot = 0;
    uint64_t word = 0;
    mps_status st = open_live(seg, &seg->live_fd);
    if (st == MPS_OK) {
        st = claim(seg, seg->live_fd, &slot, &word);
    }
    if (st == MPS_OK) {
        settle_in(seg, slot, word);
    }
    mps_mutex_unlock(&process.mutex);
    if (st == MPS_OK) {
        seg->hooks->rejoin(seg);
    }
    return st;
}

/* ---- lanes ---- */

uint32_t mps_lane_claim_slow(mps_seg *seg, mps_door door)
{
    for (;;) {
        if (door == MPS_DOOR_GIL && seg->gil_lanes != 0) {
            uint32_t lane = (uint32_t)__builtin_ctz(seg->gil_lanes);
            seg->gil_lanes &= seg->gil_lanes - 1;
            return lane;
        }
        uint32_t lanes = __atomic_load_n(&seg->free_lanes, __ATOMIC_RELAXED);
        while (lanes != 0) {
            uint32_t rest = lanes & (lanes - 1);
            if (__atomic_compare_exchange_n(&seg->free_lanes, &lanes, rest, false, __ATOMIC_ACQUIRE,
                                            __ATOMIC_RELAXED)) {
                return (uint32_t)__builtin_ctz(lanes);
            }
        }
        void *state = mps_door_leave(door);
        mps_os_sleep(50000);
        mps_door_enter(door, state);
    }
}
