#include "ring.h"

#include <stdlib.h>

#include "ring_body.h"

#define CHUNK_FIRST 1024u        /* bytes of the first chunk */
#define CHUNK_STEADY (16u << 10) /* up to here each chunk is twice as long as the one before */
#define CHUNK_MOST \
    (64u << 10) /* up to here while consumers lag behind: the allocator gives larger ones back to the system */
#define MESSAGES_A_CHUNK 4u /* of the largest kind, at least, in a chunk that was made for one */
#define ROOM_CHUNK 16u      /* journal entries of a new chunk that is linked in */
#define ROOM_CROSS 4u       /* of a chunk that is left behind */
#define CROSSINGS 16u       /* chunks without a message in a row: more were never made */
#define LOOKS 100u          /* at a word that is tentative, before its maker is waited for */

mps_status mps_ring_limit(mps_seg *seg, mps_off off, int64_t maxsize)
{
    mps_ring *r = mps_ring_at(seg, off);
    if (seg->region.readonly) {
        return MPS_E_READONLY;
    }
    mps_store64((uint64_t *)&r->maxsize, (uint64_t)maxsize);
    mps_store32(&r->limit, maxsize <= 0 ? 0 : (uint32_t)mps_min64((uint64_t)maxsize, MPS_RING_MOST));
    return MPS_OK;
}

/* ---- producers ---- */

mps_status mps_ring_enter_put(mps_tx *tx, mps_ring *r, uint64_t *word)
{
    mps_status st = mps_tx_lock(tx, &r->put_guard);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    *word = mps_load64(&r->put);
    if (mps_unlikely((*word & MPS_RING_TENTATIVE) != 0)) { /* its maker died after the commit */
        *word &= ~MPS_RING_TENTATIVE;
        mps_store64_release(&r->put, *word);
    }
    return MPS_OK;
}

/* Whether one more may be put; *seen: what to wait for a change of. */
static inline mps_status may_put(mps_ring *r, uint64_t word, uint32_t *seen)
{
    if (mps_unlikely(mps_load64(&r->shut) != 0)) {
        return MPS_E_CHANGED;
    }
    uint32_t limit = mps_load32(&r->limit);
    uint32_t most = limit != 0 ? limit : MPS_RING_MOST;
    if (mps_likely(mps_ring_items(word) - mps_load32(&r->room) < most)) {
        return MPS_OK;
    }
    *seen = mps_ring_items(mps_load64_acquire(&r->got));
    mps_store32(&r->room, *seen);
    if (mps_ring_items(word) - *seen < most) {
        return MPS_OK;
    }
    return limit != 0 ? MPS_E_TIMEOUT : MPS_E_TOOLARGE;
}

/* Bytes of the chunk after `old`. */
static uint64_t next_bytes(const mps_ring *r, const mps_chunk *old)
{
    if (old == NULL) {
        return CHUNK_FIRST;
    }
    uint64_t bytes = sizeof(mps_chunk) + (uint64_t)mps_load32(&old->capacity) * MPS_RING_UNIT;
    bool behind = mps_load64(&r->first) != mps_load64(&r->last); /* (a guess is enough) */
    if (bytes < CHUNK_STEADY) {
        return mps_min64(mps_max64(bytes * 2, CHUNK_FIRST), CHUNK_STEADY);
    }
    return behind ? mps_min64(bytes * 2, CHUNK_MOST) : CHUNK_STEADY;
}

/* A new chunk behind the last one, with room for a message of so many units; all in the journal. */
static mps_status add_chunk(mps_tx *tx, mps_ring *r, uint64_t *word, uint64_t units)
{
    mps_off last = mps_load64(&r->last), off = 0;
    mps_chunk *old = last == 0 ? NULL : mps_chunk_at(tx->seg, last, mps_ring_place(*word) + 1);
    if (last != 0 && old == NULL) {
        return MPS_E_CORRUPT;
    }
    uint64_t least = sizeof(mps_chunk) + (units + 1) * MPS_RING_UNIT;
    uint64_t wanted = mps_max64(next_bytes(r, old), units > 8 ? least * MESSAGES_A_CHUNK : least);
    mps_status st = mps_tx_reserve(tx, ROOM_CHUNK);
    if (st == MPS_OK) {
        st = mps_alloc(tx, wanted, &off);
    }
    if (st == MPS_E_FULL) {
        st = mps_alloc(tx, least, &off);
    }
    if (st != MPS_OK) {
        return st;
    }
    uint64_t usable = mps_alloc_usable(tx->seg, off);
    mps_chunk *chunk = mps_chunk_at(tx->seg, off, units + 1);
    if (chunk == NULL || usable < least) {
        return MPS_E_CORRUPT;
    }
    mps_fresh64((uint64_t *)&chunk->mortal, MPS_KIND_RING_CHUNK);
    mps_fresh64(&chunk->mortal.next, 0);
    mps_fresh64(&chunk->mortal.cursor, 0);
    mps_fresh64(&chunk->next, 0);
    mps_fresh64((uint64_t *)(void *)&chunk->capacity,
                mps_min64((usable - sizeof *chunk) / MPS_RING_UNIT, MPS_RING_MOST));
    if (old != NULL) {
        mps_store64(mps_chunk_message(old, mps_ring_place(*word)), mps_message_head(MPS_FORM_END, 0, 0));
        mps_tx_set(tx, &old->next, off);
    } else {
        mps_tx_set(tx, &r->first, off); /* the queue is empty: no consumer looks */
    }
    *word = mps_ring_word(mps_ring_items(*word), 0);
    mps_tx_set(tx, &r->put, *word);
    mps_tx_set(tx, &r->last, off);
    return MPS_OK;
}

/* Where a message of so many units goes; in a new chunk, if it must be. */
static inline mps_status find_place(mps_tx *tx, mps_ring *r, uint64_t *word, uint64_t units, uint64_t **message)
{
    uint64_t place = mps_ring_place(*word);
    mps_chunk *chunk = mps_chunk_at(tx->seg, mps_load64(&r->last), place + units + 1);
    if (mps_unlikely(chunk == NULL || place + units + 1 > mps_load32(&chunk->capacity))) {
        mps_status st = add_chunk(tx, r, word, units);
        if (st != MPS_OK) {
            return st;
        }
        place = 0;
        chunk = mps_region_at(&tx->seg->region, mps_load64(&r->last));
    }
    *message = mps_chunk_message(chunk, place);
    return MPS_OK;
}

/* Beyond what is published, so without a log. Answers the units it takes. */
static inline void write_message(uint64_t *message, const mps_enc *enc)
{
    if (enc->data != NULL) {
        mps_fresh_copy(message + 1, enc->data, enc->nbytes);
        mps_store64(message, mps_message_head(MPS_FORM_DATA, enc->value.w0, enc->nbytes));
    } else if (mps_value_tag(enc->value) <= MPS_TAG_FLOAT) {
        mps_store64(message + 1, enc->value.w1);
        mps_store64(message, mps_message_head(MPS_FORM_WORD, enc->value.w0, 8));
    } else {
        mps_store64(message + 1, enc->value.w0);
        mps_store64(message + 2, enc->value.w1);
        mps_store64(message, mps_message_head(MPS_FORM_VALUE, 0, sizeof(mps_value)));
    }
}

static inline uint64_t units_of(const mps_enc *enc)
{
    if (enc->data != NULL) {
        return mps_message_units(enc->nbytes);
    }
    return mps_value_tag(enc->value) <= MPS_TAG_FLOAT ? 1 : mps_message_units(sizeof(mps_value));
}

static inline mps_status put_inline(mps_tx *tx, mps_ring *r, uint64_t word, const mps_enc *enc)
{
    uint64_t units = units_of(enc);
    uint64_t *message;
    mps_status st = find_place(tx, r, &word, units, &message);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    write_message(message, enc);
    if (mps_unlikely(tx->ctl != 0)) {
        mps_tx_checkpoint(tx); /* the new chunk is there to stay, before anybody is told of what is in it */
    }
    mps_store64_release(&r->put, mps_ring_word(mps_ring_items(word) + 1, mps_ring_place(word) + units));
    return MPS_OK;
}

/* A message that owns something: what it owns and that it is there become final together. */
static mps_status put_owned(mps_tx *tx, mps_ring *r, uint64_t word, const mps_enc *enc)
{
    mps_value value;
    uint64_t *message, units = mps_message_units(sizeof value);
    mps_status st = mps_enc_store(tx, enc, &value);
    if (st == MPS_OK) {
        st = find_place(tx, r, &word, units, &message);
    }
    if (st == MPS_OK) {
        st = mps_tx_reserve(tx, 1);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_store64(message + 1, value.w0);
    mps_store64(message + 2, value.w1);
    mps_store64(message, mps_message_head(MPS_FORM_OWNED, 0, sizeof value));
    word = mps_ring_word(mps_ring_items(word) + 1, mps_ring_place(word) + units);
    mps_tx_set(tx, &r->put, word | MPS_RING_TENTATIVE);
    mps_tx_checkpoint(tx);
    mps_store64_release(&r->put, word);
    return MPS_OK;
}

static mps_status put_once(mps_seg *seg, mps_door door, mps_ring *r, mps_enc *enc, uint32_t *seen)
{
    mps_tx tx;
    uint64_t word = 0;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    bool in_message = mps_enc_in_message(enc);
    if (mps_unlikely(!in_message)) {
        st = mps_enc_prepare(&tx, enc);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_ring_enter_put(&tx, r, &word);
    }
    if (mps_likely(st == MPS_OK)) {
        st = may_put(r, word, seen);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_likely(in_message) ? put_inline(&tx, r, word, enc) : put_owned(&tx, r, word, enc);
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    if (mps_unlikely(enc->blob != 0)) {
        mps_enc_forget(&tx, enc);
    }
    mps_tx_end(&tx);
    if (mps_likely(st == MPS_OK)) {
        mps_wake(mps_ring_futex(&r->put), &r->put_waiters, 1);
    }
    return st;
}

/* Whether a put would have to wait; without a guard. */
static bool looks_full(mps_ring *r, uint32_t *seen)
{
    uint32_t limit = mps_load32(&r->limit);
    *seen = mps_ring_items(mps_load64_acquire(&r->got));
    uint32_t n = mps_ring_certain(mps_load64_acquire(&r->put)) - *seen;
    return limit != 0 && n >= limit && n <= MPS_RING_MOST && mps_load64(&r->shut) == 0;
}

mps_status mps_ring_put(mps_seg *seg, mps_door door, mps_off off, mps_enc *value, uint64_t timeout_ns)
{
    mps_ring *r = mps_ring_at(seg, off);
    uint32_t seen = 0;
    bool large = !mps_enc_in_message(value) && looks_full(r, &seen); /* then it is not copied in vain */
    mps_status st = large ? MPS_E_TIMEOUT : put_once(seg, door, r, value, &seen);
    if (mps_likely(st != MPS_E_TIMEOUT) || (timeout_ns == 0 && mps_load32(&seg->control->state) == MPS_STATE_READY)) {
        return st;
    }
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    do {
        st = mps_nap_wait(&nap, mps_ring_futex(&r->got), seen, &r->got_waiters);
        if (st == MPS_OK && !looks_full(r, &seen)) {
            mps_nap_end(&nap);
            st = put_once(seg, door, r, value, &seen);
            if (st != MPS_E_TIMEOUT) {
                return st;
            }
            st = MPS_OK;
        }
    } while (st == MPS_OK);
    mps_nap_end(&nap);
    return st;
}

/* ---- consumers ---- */

/* What is known to be there, put.items; the caller has get_guard. *shut: nothing will come any more. */
static mps_status look_at_put(mps_tx *tx, mps_ring *r, uint32_t got, uint32_t *items, uint32_t *futex, bool *shut)
{
    *shut = mps_load64(&r->shut) != 0; /* (before put: what was put before is seen then) */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    uint64_t word = mps_load64_acquire(&r->put);
    for (uint32_t i = 0; i < LOOKS && (word & MPS_RING_TENTATIVE) != 0 && mps_ring_certain(word) == got; i++) {
        mps_pause();
        word = mps_load64_acquire(&r->put);
    }
    if (mps_unlikely((word & MPS_RING_TENTATIVE) != 0 && mps_ring_certain(word) == got)) {
        mps_status st = mps_ring_enter_put(tx, r, &word);
        if (st != MPS_OK) {
            return st;
        }
        mps_tx_unlock_last(tx);
    }
    *items = mps_ring_certain(word);
    *futex = mps_ring_items(word);
    mps_store32(&r->seen, *items);
    return MPS_OK;
}

/* Private memory for n bytes. */
static void *room_in(mps_copy *copy, uint64_t n)
{
    if (n <= sizeof copy->small) {
        return copy->small;
    }
    if (n > copy->capacity) {
        free(copy->heap);
        copy->heap = malloc(n);
        copy->capacity = copy->heap != NULL ? n : 0;
    }
    return copy->heap;
}

/* Nothing was copied: nothing that a reference could be taken for is left either. */
static mps_status senseless(mps_copy *copy)
{
    copy->value = (mps_value){0, 0};
    return MPS_E_CORRUPT;
}

/* Copies what is in the message itself. */
static inline mps_status read_message(const uint64_t *message, uint64_t head, mps_copy *out)
{
    mps_value value = {mps_message_tag(head), mps_load64(message + 1)};
    switch (mps_message_form(head)) {
    case MPS_FORM_WORD: break;
    case MPS_FORM_VALUE: value = (mps_value){value.w1, mps_load64(message + 2)}; break;
    default: {
        uint64_t nbytes = mps_message_bytes(head);
        uint8_t *p = room_in(out, nbytes);
        if (p == NULL) {
            return MPS_E_NOMEM;
        }
        mps_racy_copy(p, message + 1, nbytes);
        out->value = (mps_value){value.w0, 0};
        out->data = p;
        out->nbytes = nbytes;
        bool known = value.w0 - MPS_TAG_ASCII <= MPS_TAG_PICKLE - MPS_TAG_ASCII;
        return mps_likely(known) ? MPS_OK : senseless(out);
    }
    }
    return mps_likely(mps_copy_plain(value, out)) ? MPS_OK : senseless(out);
}

/* Takes over what an owned message has. */
static mps_status take_owned(mps_tx *tx, const uint64_t *message, mps_copy *out)
{
    mps_value value = {mps_load64(message + 1), mps_load64(message + 2)};
    if (mps_value_is_plain(value)) {
        return MPS_E_CORRUPT;
    }
    mps_status st = mps_copy_locked(tx, value, out);
    return st == MPS_OK ? mps_value_release(tx, value) : st;
}

/* The next message, which is there; past the ends of chunks, which die with the commit. *got: the word that points to it. */
static inline mps_status find_message(mps_tx *tx, mps_ring *r, uint64_t *got, uint64_t **message, uint64_t *head)
{
    mps_off off = mps_load64(&r->first);
    for (uint32_t n = 0; n < CROSSINGS; n++) {
        uint64_t place = mps_ring_place(*got);
        mps_chunk *chunk = mps_chunk_at(tx->seg, off, place + 1);
        if (mps_unlikely(chunk == NULL)) {
            return MPS_E_CORRUPT;
        }
        *message = mps_chunk_message(chunk, place);
        *head = mps_load64(*message);
        if (mps_likely(mps_message_form(*head) != MPS_FORM_END)) {
            uint64_t units = mps_message_units(mps_message_bytes(*head));
            bool sane = mps_message_sane(*head) && mps_chunk_at(tx->seg, off, place + units) != NULL;
            return mps_likely(sane) ? MPS_OK : MPS_E_CORRUPT;
        }
        mps_off next = mps_load64(&chunk->next);
        mps_chunk *after = mps_chunk_at(tx->seg, next, 1);
        if (after == NULL || mps_load32(&after->mortal.kind) != MPS_KIND_RING_CHUNK) {
            return MPS_E_CORRUPT;
        }
        mps_status st = mps_tx_reserve(tx, ROOM_CROSS);
        if (st == MPS_OK) {
            mps_tx_set(tx, &r->first, next);
            st = mps_free(tx, off);
        }
        if (st != MPS_OK) {
            return st;
        }
        *got = mps_ring_word(mps_ring_items(*got), 0);
        off = next;
    }
    return MPS_E_CORRUPT;
}

static inline mps_status take(mps_tx *tx, mps_ring *r, mps_copy *out, uint32_t *futex)
{
    uint64_t got = mps_load64(&r->got);
    uint64_t *message, head;
    uint32_t items = mps_load32(&r->seen);
    if ((int32_t)(items - mps_ring_items(got)) <= 0) {
        bool shut;
        mps_status st = look_at_put(tx, r, mps_ring_items(got), &items, futex, &shut);
        if (st != MPS_OK || items == mps_ring_items(got)) {
            return st != MPS_OK ? st : shut ? MPS_E_CHANGED : MPS_E_TIMEOUT;
        }
    }
    mps_status st = find_message(tx, r, &got, &message, &head);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    bool owned = mps_message_form(head) == MPS_FORM_OWNED;
    st = mps_unlikely(owned) ? take_owned(tx, message, out) : read_message(message, head, out);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    uint64_t after = mps_ring_place(got) + mps_message_units(mps_message_bytes(head));
    got = mps_ring_word(mps_ring_items(got) + 1, after);
    if (mps_likely(tx->ctl == 0)) {
        mps_store64_release(&r->got, got); /* all there is to undo */
        return MPS_OK;
    }
    st = mps_tx_reserve(tx, 1);
    if (st == MPS_OK) {
        mps_tx_write_begin(tx, &r->get_guard); /* who counts without a guard is to wait for the commit */
        mps_tx_set(tx, &r->got, got);
    }
    return st;
}

static mps_status get_once(mps_seg *seg, mps_door door, mps_ring *r, mps_copy *out, uint32_t *futex)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = mps_tx_lock(&tx, &r->get_guard);
    if (mps_likely(st == MPS_OK)) {
        st = take(&tx, r, out, futex);
    }
    st = mps_copy_end(&tx, st, out, NULL);
    if (mps_likely(st == MPS_OK)) {
        mps_wake(mps_ring_futex(&r->got), &r->got_waiters, 1);
    }
    return st;
}

/* Whether a get would have to wait; without a guard. */
static bool looks_empty(mps_ring *r, uint32_t *futex)
{
    bool shut = mps_load64(&r->shut) != 0;
    uint64_t word = mps_load64_acquire(&r->put);
    *futex = mps_ring_items(word);
    return *futex == mps_ring_items(mps_load64_acquire(&r->got)) && !shut;
}

mps_status mps_ring_get(mps_seg *seg, mps_door door, mps_off off, mps_copy *out, uint64_t timeout_ns)
{
    mps_ring *r = mps_ring_at(seg, off);
    uint32_t seen = 0;
    mps_status st = get_once(seg, door, r, out, &seen);
    if (mps_likely(st != MPS_E_TIMEOUT) || timeout_ns == 0) {
        return st;
    }
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    do {
        st = mps_nap_wait(&nap, mps_ring_futex(&r->put), seen, &r->put_waiters);
        if (st == MPS_OK && !looks_empty(r, &seen)) {
            mps_nap_end(&nap);
            st = get_once(seg, door, r, out, &seen);
            if (st != MPS_E_TIMEOUT) {
                return st;
            }
            st = MPS_OK;
        }
    } while (st == MPS_OK);
    mps_nap_end(&nap);
    return st;
}

/* ---- looking on ---- */

mps_status mps_ring_ready(mps_seg *seg, mps_door door, mps_off off, bool put, uint64_t timeout_ns)
{
    mps_ring *r = mps_ring_at(seg, off);
    uint32_t seen = 0;
    mps_status st = MPS_OK;
    mps_nap nap;
    mps_nap_begin(&nap, seg, door, timeout_ns);
    while (st == MPS_OK && (put ? looks_full(r, &seen) : looks_empty(r, &seen))) {
        st = put ? mps_nap_wait(&nap, mps_ring_futex(&r->got), seen, &r->got_waiters)
                 : mps_nap_wait(&nap, mps_ring_futex(&r->put), seen, &r->put_waiters);
    }
    mps_nap_end(&nap);
    return st;
}

void mps_ring_nudge(mps_seg *seg, mps_off off, bool put)
{
    mps_ring *r = mps_ring_at(seg, off);
    if (seg->region.readonly) {
        return;
    }
    if (put) {
        mps_wake(mps_ring_futex(&r->got), &r->got_waiters, 1);
    } else {
        mps_wake(mps_ring_futex(&r->put), &r->put_waiters, 1);
    }
}
