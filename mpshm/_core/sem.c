#include "sem.h"

#include "reader.h"

#define WIDE ((uint64_t)1 << 63)
#define SIGNAL ((uint64_t)1 << 62)
#define ONE_LEFT ((uint64_t)1 << 32)
#define LEFT 0x3fffffffu
#define COUNT 0x7fffffffu
#define TOLD 0x80000000u

#define NARROW_VALUE 0xfffffu /* permits that a narrow state can hold */
#define NARROW_SHIFT 20u
#define NARROW_ONE ((uint64_t)1 << NARROW_SHIFT)
#define NARROW_COUNT 0x3ffu

static inline mps_sem *sem_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static inline bool is_signal(uint64_t state)
{
    return (state & (WIDE | SIGNAL)) == (WIDE | SIGNAL);
}

static inline bool is_narrow(uint64_t state)
{
    return (state & WIDE) == 0;
}

static inline uint32_t value_of(uint64_t state)
{
    return is_narrow(state) ? (uint32_t)state & NARROW_VALUE : (uint32_t)state;
}

static inline uint32_t left_of(uint64_t state)
{
    return (uint32_t)(state >> 32) & LEFT;
}

/* Of a narrow state. */
static inline uint32_t narrow_token(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

static inline uint32_t narrow_count(uint64_t state)
{
    return (uint32_t)(state >> NARROW_SHIFT) & NARROW_COUNT;
}

/* The lower half of state, which waiters sleep on. */
static inline uint32_t *value_word(mps_sem *s)
{
    return (uint32_t *)(void *)&s->state;
}

static inline uint32_t token_of(uint64_t place)
{
    return (uint32_t)(place >> 32);
}

static inline uint32_t count_of(uint64_t place)
{
    return (uint32_t)place & COUNT;
}

/* ---- places ---- */

/* Twice as many as there can be processes; at least what the first block has. */
static inline uint64_t most_places(const mps_seg *seg)
{
    return mps_max64(seg->n_slots * (uint64_t)2, MPS_SEM_PLACES * 2);
}

/* The places behind the first four; NULL with *n 0 where there are none, or what stands there can't be any. */
static uint64_t *further(mps_seg *seg, const mps_sem *s, uint64_t *n)
{
    mps_off off = mps_load64(&s->more);
    *n = mps_load32(&s->n_more);
    if (off == 0 || (off & 15) != 0 || off < seg->arena || *n > most_places(seg) ||
        !mps_region_holds(&seg->region, off, *n * sizeof(uint64_t))) {
        *n = 0;
        return NULL;
    }
    return mps_region_at(&seg->region, off);
}

/* The place of a process; NULL where it has none. *free: one that nobody needs, else NULL. */
static uint64_t *find_in(uint64_t *places, uint64_t n, uint32_t token, uint64_t **free)
{
    for (uint64_t i = 0; i < n; i++) {
        uint64_t place = mps_load64(&places[i]);
        if (token_of(place) == token) {
            return &places[i];
        }
        if (count_of(place) == 0 && *free == NULL) {
            *free = &places[i];
        }
    }
    return NULL;
}

static inline uint64_t *find(mps_seg *seg, mps_sem *s, uint32_t token, uint64_t **free)
{
    *free = NULL;
    uint64_t *mine = find_in(s->place, MPS_SEM_PLACES, token, free);
    if (mps_likely(mine != NULL || mps_load64(&s->more) == 0)) {
        return mine;
    }
    uint64_t n;
    uint64_t *places = further(seg, s, &n);
    return find_in(places, n, token, free);
}

/* The permits of a process that is gone come back. */
static mps_status settle_one(mps_tx *tx, mps_sem *s, uint64_t *place)
{
    uint64_t state = mps_load64(&s->state);
    uint32_t count = count_of(mps_load64(place));
    if (count > s->bound - mps_min64(value_of(state), s->bound)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_tx_reserve(tx, 2);
    if (st == MPS_OK) {
        uint64_t left = mps_min64((uint64_t)left_of(state) + count, LEFT);
        mps_tx_set(tx, &s->state, WIDE | left << 32 | (value_of(state) + count));
        mps_tx_set(tx, place, 0);
    }
    return st;
}

static bool is_gone(mps_seg *seg, uint64_t place)
{
    return count_of(place) != 0 && mps_token_alive(seg, token_of(place)) <= 0;
}

static mps_status settle(mps_tx *tx, mps_sem *s)
{
    uint64_t n;
    uint64_t *places = further(tx->seg, s, &n);
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < MPS_SEM_PLACES + n && st == MPS_OK; i++) {
        uint64_t *place = i < MPS_SEM_PLACES ? &s->place[i] : &places[i - MPS_SEM_PLACES];
        if (is_gone(tx->seg, mps_load64(place))) {
            st = settle_one(tx, s, place);
        }
    }
    return st;
}

/* Twice as many further places. */
static mps_status grow(mps_tx *tx, mps_sem *s, uint64_t **free)
{
    uint64_t n;
    const uint64_t *old = further(tx->seg, s, &n);
    if (old == NULL && mps_load64(&s->more) != 0) {
        return MPS_E_CORRUPT;
    }
    uint64_t wanted = mps_max64(n * 2, 2 * MPS_SEM_PLACES);
    mps_off off;
    mps_status st = mps_alloc(tx, wanted * sizeof(uint64_t), &off);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t *places = mps_region_at(&tx->seg->region, off);
    for (uint64_t i = 0; i < wanted; i++) {
        mps_store64(&places[i], i < n ? mps_load64(&old[i]) : 0);
    }
    mps_off before = mps_load64(&s->more);
    st = mps_tx_reserve(tx, 8);
    if (st == MPS_OK) {
        uint64_t *pair = (uint64_t *)(void *)&s->n_more;
        mps_tx_set(tx, &s->more, off);
        mps_tx_set(tx, pair, (uint64_t)mps_load32(&s->total) << 32 | wanted);
        *free = &places[n];
        st = before != 0 ? mps_free(tx, before) : MPS_OK;
    }
    return st;
}

/* The place of this process, a new one if it has none yet. */
static mps_status own_place(mps_tx *tx, mps_sem *s, uint64_t **place)
{
    uint64_t *free;
    *place = find(tx->seg, s, tx->token, &free);
    if (mps_likely(*place != NULL)) {
        return MPS_OK;
    }
    mps_status st = MPS_OK;
    if (free == NULL) {
        st = settle(tx, s);
        (void)find(tx->seg, s, tx->token, &free);
    }
    if (st == MPS_OK && free == NULL) {
        st = grow(tx, s, &free);
    }
    *place = free;
    return st;
}

/* ---- narrow and wide ---- */

/* Under the guard: a narrow state becomes wide, with an account in the first place. What the places held meant nothing. */
static void widen(mps_seg *seg, mps_sem *s)
{
    uint64_t n, state = mps_load64(&s->state);
    while (is_narrow(state)) {
        uint64_t *places = further(seg, s, &n);
        for (uint64_t i = 1; i < MPS_SEM_PLACES + n; i++) {
            mps_store64(i < MPS_SEM_PLACES ? &s->place[i] : &places[i - MPS_SEM_PLACES], 0);
        }
        uint32_t count = narrow_count(state);
        mps_store64(&s->place[0], count > 0 ? (uint64_t)narrow_token(state) << 32 | count : 0);
        if (mps_cas64(&s->state, &state, WIDE | value_of(state))) {
            return;
        }
    }
}

/* ---- taking ---- */

/* One permit of those at hand, under the guard. MPS_E_BUSY: there is none. */
static mps_status take_owned(mps_tx *tx, mps_sem *s)
{
    if (value_of(mps_load64(&s->state)) == 0) {
        return MPS_E_BUSY;
    }
    uint64_t *place;
    mps_status st = own_place(tx, s, &place);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_tx_reserve(tx, 2);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    uint64_t state = mps_load64(&s->state);
    uint64_t held = mps_load64(place);
    uint64_t mine = token_of(held) == tx->token ? held : (uint64_t)tx->token << 32;
    if (mps_unlikely(left_of(state) != 0)) {
        state -= ONE_LEFT;
        mine |= TOLD;
    } else if (mps_unlikely(count_of(mine) == 0)) {
        mine &= ~(uint64_t)TOLD;
    }
    mps_tx_set(tx, place, mine + 1);
    mps_tx_set(tx, &s->state, state - 1);
    return MPS_OK;
}

/* Without the guard: MPS_OK; MPS_E_BUSY: there is none at hand; MPS_E_RETRY: it takes the guard. */
static inline mps_status take_free(const mps_seg *seg, mps_sem *s)
{
    uint64_t state = mps_load64(&s->state);
    for (;;) {
        uint64_t next;
        if (value_of(state) == 0) {
            return MPS_E_BUSY;
        }
        if (mps_likely(is_narrow(state))) {
            uint32_t count = narrow_count(state);
            if ((count != 0 && narrow_token(state) != seg->token) || count == NARROW_COUNT) {
                return MPS_E_RETRY;
            }
            next = (uint64_t)seg->token << 32 | ((uint32_t)state + NARROW_ONE - 1);
        } else if (is_signal(state)) {
            next = state - 1;
        } else {
            return MPS_E_RETRY;
        }
        if (mps_likely(mps_cas64(&s->state, &state, next))) {
            return MPS_OK;
        }
    }
}

/* Under the guard, where there is nothing at hand, or accounts are many. */
static mps_status take_guarded(mps_seg *seg, mps_door door, mps_sem *s, bool ask)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_tx_lock(&tx, &s->object.guard);
    bool signal = false, more = false;
    if (mps_likely(st == MPS_OK)) {
        widen(seg, s);
        signal = is_signal(mps_load64(&s->state));
    }
    if (mps_likely(st == MPS_OK && !signal)) {
        st = ask ? settle(&tx, s) : MPS_OK;
        bool none = st == MPS_OK && value_of(mps_load64(&s->state)) == 0;
        st = none ? MPS_E_BUSY : st == MPS_OK ? take_owned(&tx, s) : st;
        more = ask && st == MPS_OK && value_of(mps_load64(&s->state)) > 0;
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    if (mps_unlikely(more)) {
        mps_wake(value_word(s), &s->waiters, INT32_MAX); /* of several that came back, others may have theirs */
    }
    return mps_unlikely(signal && st == MPS_OK) ? MPS_E_RETRY : st;
}

/* MPS_OK, MPS_E_BUSY: there is none. ask: look for the permits of those that are gone, too. */
static mps_status take(mps_seg *seg, mps_door door, mps_sem *s, bool ask)
{
    mps_status st;
    do {
        st = mps_tx_take_slot(seg, door);
        if (mps_likely(st == MPS_OK)) {
            st = take_free(seg, s);
        }
        bool signal = is_signal(mps_load64(&s->state));
        if (st == MPS_E_RETRY || (st == MPS_E_BUSY && ask && !signal)) {
            st = take_guarded(seg, door, s, ask);
        }
    } while (st == MPS_E_RETRY);
    return st;
}

mps_status mps_sem_acquire(mps_seg *seg, mps_door door, mps_off off, uint64_t timeout_ns)
{
    mps_sem *s = sem_at(seg, off);
    mps_status st = take(seg, door, s, timeout_ns == 0);
    if (mps_likely(st != MPS_E_BUSY)) {
        return st;
    }
    if (timeout_ns == 0) {
        return MPS_E_TIMEOUT;
    }
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    while (st == MPS_E_BUSY) {
        uint64_t seen = mps_load64(&s->state);
        mps_status slept =
            value_of(seen) == 0 ? mps_nap_wait(&nap, value_word(s), (uint32_t)seen, &s->waiters) : MPS_OK;
        if (slept != MPS_OK && slept != MPS_E_TIMEOUT) {
            st = slept;
            break;
        }
        bool ask = slept == MPS_E_TIMEOUT || (nap.slept && value_of(mps_load64(&s->state)) == 0);
        st = take(seg, nap.left ? MPS_DOOR_FREE : door, s, ask);
        if (st == MPS_E_BUSY && slept == MPS_E_TIMEOUT) {
            st = slept;
        }
    }
    mps_nap_end(&nap);
    return st;
}

/* ---- giving ---- */

/* Without the guard: MPS_OK, MPS_E_OVERFLOW; MPS_E_RETRY: it takes the guard. */
static inline mps_status give_free(const mps_seg *seg, mps_sem *s, uint32_t n)
{
    uint64_t state = mps_load64(&s->state);
    for (;;) {
        uint64_t next;
        if (mps_likely(is_narrow(state))) {
            if (narrow_token(state) != seg->token || narrow_count(state) < n) {
                return MPS_E_RETRY;
            }
            next = state - n * (NARROW_ONE - 1);
        } else if (is_signal(state)) {
            if (n > s->bound - mps_min64(value_of(state), s->bound)) {
                return MPS_E_OVERFLOW;
            }
            next = state + n;
        } else {
            return MPS_E_RETRY;
        }
        if (mps_likely(mps_cas64(&s->state, &state, next))) {
            return MPS_OK;
        }
    }
}

/* Under the guard: of what this process has, or, if it has not got so much, as a signal from now on. */
static mps_status give_owned(mps_tx *tx, mps_sem *s, uint32_t n)
{
    uint64_t state = mps_load64(&s->state);
    if (n > s->bound - mps_min64(value_of(state), s->bound)) {
        return MPS_E_OVERFLOW;
    }
    uint64_t *free;
    uint64_t *place = find(tx->seg, s, tx->token, &free);
    uint64_t mine = place != NULL ? mps_load64(place) : 0;
    if (mps_unlikely(count_of(mine) < n)) {
        mps_store64(&s->state, WIDE | SIGNAL | (value_of(state) + n));
        return MPS_OK;
    }
    uint32_t value = value_of(state) + n;
    if (value == s->total && value <= NARROW_VALUE && left_of(state) == 0) {
        mps_store64(&s->state, value); /* all are back */
        return MPS_OK;
    }
    mine -= n;
    mps_tx_set(tx, place, count_of(mine) == 0 ? mine & ~(uint64_t)TOLD : mine);
    mps_tx_set(tx, &s->state, state + n);
    return MPS_OK;
}

static mps_status give_guarded(mps_seg *seg, mps_door door, mps_sem *s, uint32_t n)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_tx_lock(&tx, &s->object.guard);
    bool signal = false;
    if (mps_likely(st == MPS_OK)) {
        widen(seg, s);
        signal = is_signal(mps_load64(&s->state));
        st = signal ? MPS_OK : give_owned(&tx, s, n);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return mps_unlikely(signal && st == MPS_OK) ? MPS_E_RETRY : st;
}

mps_status mps_sem_release(mps_seg *seg, mps_door door, mps_off off, uint32_t n)
{
    mps_sem *s = sem_at(seg, off);
    mps_status st;
    do {
        st = mps_tx_take_slot(seg, door);
        if (mps_likely(st == MPS_OK)) {
            st = give_free(seg, s, n);
        }
        if (st == MPS_E_RETRY) {
            st = give_guarded(seg, door, s, n);
        }
    } while (st == MPS_E_RETRY);
    if (mps_likely(st == MPS_OK)) {
        mps_wake(value_word(s), &s->waiters, n);
    }
    return st;
}

/* ---- looking, making ---- */

/* Permits of those that are gone. */
static uint64_t lost(mps_seg *seg, mps_sem *s)
{
    uint64_t n, permits = 0, state = mps_load64(&s->state);
    if (is_narrow(state)) {
        bool dead = narrow_count(state) != 0 && mps_token_alive(seg, narrow_token(state)) <= 0;
        return dead ? narrow_count(state) : 0;
    }
    const uint64_t *places = further(seg, s, &n);
    for (uint64_t i = 0; i < MPS_SEM_PLACES + n && !is_signal(state); i++) {
        uint64_t place = mps_load64(i < MPS_SEM_PLACES ? &s->place[i] : &places[i - MPS_SEM_PLACES]);
        permits += is_gone(seg, place) ? count_of(place) : 0;
    }
    return permits;
}

/* The value, where nobody is changing it, or it changes in one step. */
static bool read_value(mps_sem *s, uint32_t *value)
{
    const uint32_t *lock = &s->object.guard.lock;
    bool free = mps_load32_acquire(lock) == 0;
    uint64_t state = mps_load64_acquire(&s->state);
    *value = value_of(state);
    return is_narrow(state) || is_signal(state) || (free && mps_load32_acquire(lock) == 0);
}

/* Where the segment may not be written to: permits that would come back count, and stay where they are. */
static mps_status look(mps_seg *seg, mps_off off, uint32_t *value)
{
    mps_sem *s = sem_at(seg, off);
    uint64_t state = mps_load64_acquire(&s->state);
    uint64_t more = lost(seg, s);
    bool settled = read_value(s, value) && mps_load64_acquire(&s->state) == state;
    *value += (uint32_t)mps_min64(more, s->bound - mps_min64(*value, s->bound));
    mps_status st = mps_reader_look(seg, off);
    return st == MPS_OK && !settled ? MPS_E_RETRY : st;
}

static mps_status read_only_value(mps_seg *seg, mps_door door, mps_off off, uint32_t *value)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = look(seg, off, value);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_sem_value(mps_seg *seg, mps_door door, mps_off off, uint32_t *value)
{
    mps_sem *s = sem_at(seg, off);
    if (mps_unlikely(seg->region.readonly)) {
        return read_only_value(seg, door, off, value);
    }
    mps_status st = mps_tx_take_slot(seg, door);
    if (st != MPS_OK || (lost(seg, s) == 0 && read_value(s, value))) {
        return st;
    }
    mps_tx tx;
    st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, &s->object.guard);
    if (st == MPS_OK) {
        widen(seg, s);
        st = is_signal(mps_load64(&s->state)) ? MPS_OK : settle(&tx, s);
        *value = value_of(mps_load64(&s->state));
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    mps_wake(value_word(s), &s->waiters, INT32_MAX);
    return st;
}

void mps_sem_mine(mps_seg *seg, mps_off off, uint32_t *count, bool *told)
{
    mps_sem *s = sem_at(seg, off);
    uint64_t state = mps_load64(&s->state);
    *count = 0;
    *told = false;
    if (seg->token == 0 || is_signal(state)) {
        return;
    }
    if (is_narrow(state)) {
        *count = narrow_token(state) == seg->token ? narrow_count(state) : 0;
        return;
    }
    uint64_t *free;
    const uint64_t *place = find(seg, s, seg->token, &free);
    uint64_t mine = place != NULL ? mps_load64(place) : 0;
    *count = count_of(mine);
    *told = *count > 0 && (mine & TOLD) != 0;
}

uint32_t mps_sem_bound(const mps_seg *seg, mps_off off)
{
    return mps_load32(&sem_at(seg, off)->bound);
}

mps_status mps_sem_init(mps_seg *seg, mps_door door, mps_off off, uint32_t value, uint32_t bound)
{
    mps_sem *s = sem_at(seg, off);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_tx_lock(&tx, &s->object.guard);
    if (st == MPS_OK) {
        mps_store32(&s->bound, bound);
        mps_store32(&s->total, value);
        uint64_t n;
        uint64_t *places = further(seg, s, &n);
        for (uint64_t i = 0; i < MPS_SEM_PLACES + n; i++) {
            mps_store64(i < MPS_SEM_PLACES ? &s->place[i] : &places[i - MPS_SEM_PLACES], 0);
        }
        mps_store64(&s->state, value <= NARROW_VALUE ? value : WIDE | value);
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

/* ---- dying, check ---- */

mps_status mps_sem_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_sem *s = (mps_sem *)m;
    mps_off more = mps_load64(&s->more);
    *done = true;
    if (more == 0) {
        return MPS_OK;
    }
    mps_tx_set(tx, &s->more, 0);
    return mps_free(tx, more);
}

mps_status mps_sem_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    const mps_sem *s = sem_at(seg, off);
    uint64_t state = mps_load64(&s->state);
    uint64_t n;
    const uint64_t *places = further(seg, s, &n);
    if (places == NULL && mps_load64(&s->more) != 0) {
        return v->bad(v, "a semaphore's accounts are out of range");
    }
    uint64_t permits = value_of(state) + (is_narrow(state) ? narrow_count(state) : 0);
    for (uint64_t i = 0; i < MPS_SEM_PLACES + n && !is_narrow(state) && !is_signal(state); i++) {
        permits += count_of(mps_load64(i < MPS_SEM_PLACES ? &s->place[i] : &places[i - MPS_SEM_PLACES]));
    }
    if (permits > s->bound || (!is_narrow(state) && left_of(state) > value_of(state))) {
        return v->bad(v, "a semaphore has more permits than it may have");
    }
    return places != NULL ? v->block(v, mps_load64(&s->more)) : MPS_OK;
}
