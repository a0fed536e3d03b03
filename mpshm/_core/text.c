#include "text.h"

#include <stdlib.h>

#include "reader.h"
#include "span.h"

#define ROOM 16u /* journal entries of a block that is swung in */

/* A text as one operation sees it. */
typedef struct reach {
    uint8_t *data;
    mps_off body; /* 0: in the object */
    uint64_t length;
    uint64_t width;
    uint64_t room; /* bytes */
    uint64_t flags;
} reach;

static mps_text *text_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static inline uint64_t shape_of(uint64_t length, uint64_t width, uint64_t flags)
{
    return length << 8 | flags | width;
}

/* Where the characters are: MPS_OK, or MPS_E_CORRUPT. Says nothing of the room, so that it can be asked without the guard. */
static inline mps_status look(mps_seg *seg, const mps_text *t, reach *r)
{
    uint64_t shape = mps_load64(&t->shape);
    r->body = mps_load64(&t->body);
    r->length = shape >> 8;
    r->width = shape & MPS_TEXT_WIDTH;
    r->width += r->width == 0;
    r->flags = shape & MPS_TEXT_BYTES;
    r->data = (uint8_t *)(uintptr_t)t->small;
    r->room = MPS_TEXT_SMALL;
    if (mps_unlikely((r->width != 1 && r->width != 2 && r->width != 4) || r->length > MPS_TEXT_MAX)) {
        return MPS_E_CORRUPT;
    }
    if (r->body == 0) {
        return r->length * r->width <= MPS_TEXT_SMALL ? MPS_OK : MPS_E_CORRUPT;
    }
    if (mps_unlikely((r->body & 15) != 0 || r->body < seg->arena ||
                     !mps_region_holds(&seg->region, r->body, r->length * r->width))) {
        return MPS_E_CORRUPT;
    }
    r->data = mps_region_at(&seg->region, r->body);
    return MPS_OK;
}

/* The same under the guard. */
static inline mps_status reach_get(mps_seg *seg, const mps_text *t, reach *r)
{
    mps_status st = look(seg, t, r);
    if (st == MPS_OK && r->body != 0) {
        r->room = mps_alloc_usable(seg, r->body);
        st = r->length * r->width <= r->room ? MPS_OK : MPS_E_CORRUPT;
    }
    return st;
}

static inline mps_status enter(mps_tx *tx, mps_text *t, reach *r)
{
    mps_status st = mps_tx_lock(tx, &t->object.guard);
    if (mps_likely(st == MPS_OK)) {
        st = mps_userlock_pass(tx->seg, &t->object.user);
    }
    return mps_likely(st == MPS_OK) ? reach_get(tx->seg, t, r) : st;
}

static inline mps_status finish(mps_tx *tx, mps_status st)
{
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(tx);
    } else {
        mps_tx_abort(tx);
    }
    mps_tx_end(tx);
    return st;
}

/* ---- reading ---- */

void mps_chars_done(mps_chars *chars)
{
    free(chars->heap);
    chars->heap = NULL;
}

static mps_status measure_once(mps_seg *seg, mps_door door, mps_text *t, reach *r)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    if (st == MPS_OK) {
        st = reach_get(seg, t, r);
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* Both numbers of one moment. */
static mps_status measure(mps_seg *seg, mps_door door, mps_off off, reach *r)
{
    uint64_t since = 0;
    mps_status st;
    *r = (reach){.width = 1};
    do {
        st = measure_once(seg, door, text_at(seg, off), r);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_text_len(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    mps_text *t = text_at(seg, off);
    uint64_t shape = 0;
    mps_status st = mps_reader_word(seg, door, &t->object, &t->shape, &shape);
    *n = shape >> 8;
    return mps_likely(st == MPS_OK) && mps_unlikely(*n > MPS_TEXT_MAX) ? MPS_E_CORRUPT : st;
}

mps_status mps_text_capacity(mps_seg *seg, mps_door door, mps_off off, uint64_t *n)
{
    reach r;
    mps_status st = measure(seg, door, off, &r);
    *n = st == MPS_OK ? r.room / r.width : 0;
    return st;
}

bool mps_text_is_bytes(mps_seg *seg, mps_off off)
{
    return (mps_load64(&text_at(seg, off)->shape) & MPS_TEXT_BYTES) != 0;
}

static mps_status copy_out(const reach *r, const mps_slice *slice, mps_chars *out)
{
    int64_t start, stop, step;
    out->n = mps_slice_adjust(slice, r->length, &start, &stop, &step);
    out->width = (uint32_t)r->width;
    out->bytes = r->flags != 0;
    uint64_t nbytes = out->n * r->width;
    mps_chars_done(out);
    out->data = out->near;
    if (nbytes > sizeof out->near) {
        out->data = out->heap = malloc(nbytes);
        if (out->heap == NULL) {
            return MPS_E_NOMEM;
        }
    }
    if (nbytes > 0) {
        mps_racy_copy((void *)(uintptr_t)out->data, r->data + (uint64_t)start * r->width, nbytes);
    }
    return MPS_OK;
}

static mps_status read_once(mps_seg *seg, mps_door door, mps_text *t, const mps_slice *slice, mps_chars *out)
{
    mps_tx tx;
    reach r;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &t->object);
    out->version = mps_load32(&t->object.guard.seq);
    st = st == MPS_OK ? reach_get(seg, t, &r) : st;
    st = st == MPS_OK ? copy_out(&r, slice, out) : st;
    return mps_copy_end(&tx, st, NULL, NULL);
}

mps_status mps_text_read(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, mps_chars *out)
{
    mps_text *t = text_at(seg, off);
    reach r;
    out->heap = NULL;
    slice.step = 1;
    mps_glance glance = mps_glance_at(seg, &t->object.guard);
    while (mps_glance_next(&glance)) {
        out->version = glance.seq;
        mps_status st = look(seg, t, &r);
        st = st == MPS_OK ? copy_out(&r, &slice, out) : st;
        if (mps_likely(mps_glance_valid(&glance))) {
            return st;
        }
    }
    uint64_t since = 0;
    mps_status st;
    do {
        st = read_once(seg, door, t, &slice, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* ---- widths ---- */

/* Characters of one width as wider ones. */
static void widen(uint8_t *to, uint64_t width, const uint8_t *from, uint64_t narrow, uint64_t n)
{
    if (width == narrow) {
        mps_fresh_copy(to, from, n * width);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint64_t c = 0; /* (little-endian) */
        mps_racy_copy(&c, from + i * narrow, narrow);
        mps_fresh_copy(to + i * width, &c, width);
    }
}

/* ---- changing ---- */

static mps_status block_of(mps_tx *tx, uint64_t nbytes, mps_off *block)
{
    mps_status st = mps_tx_reserve(tx, ROOM);
    return st == MPS_OK ? mps_alloc(tx, mps_max64(nbytes, 2 * MPS_TEXT_SMALL), block) : st;
}

/* Swings a block in that holds the characters. */
static mps_status swing(mps_tx *tx, mps_text *t, const reach *r, mps_off block, uint64_t shape)
{
    mps_status st = mps_tx_reserve(tx, ROOM);
    if (st != MPS_OK) {
        return st;
    }
    mps_tx_set(tx, &t->body, block);
    mps_tx_set(tx, &t->shape, shape);
    return r->body != 0 ? mps_free(tx, r->body) : MPS_OK;
}

/* Builds all anew, in a width that both the old and the new characters fit in. */
static mps_status splice_aside(mps_tx *tx, mps_text *t, const reach *r, uint64_t start, uint64_t stop,
                               const mps_chars *chars, uint64_t width)
{
    uint64_t length = r->length - (stop - start) + chars->n, nbytes = length * width;
    bool grows = nbytes > r->room;
    mps_off block = 0;
    tx->urgent = nbytes <= r->length * r->width;
    mps_status st = block_of(tx, nbytes + (grows && start > 0 ? nbytes / 2 : 0), &block);
    st = st == MPS_E_FULL ? block_of(tx, nbytes, &block) : st;
    tx->urgent = false;
    if (st != MPS_OK) {
        return st;
    }
    uint8_t *to = mps_region_at(&tx->seg->region, block);
    widen(to, width, r->data, r->width, start);
    widen(to + start * width, width, chars->data, chars->width, chars->n);
    widen(to + (start + chars->n) * width, width, r->data + stop * r->width, r->width, r->length - stop);
    return swing(tx, t, r, block, shape_of(length, width, r->flags));
}

/* Puts characters of the right width in where the text is; start and stop in bytes. */
static mps_status splice_in_place(mps_tx *tx, mps_text *t, const reach *r, uint64_t start, uint64_t stop,
                                  uint64_t width, const void *from, uint64_t nbytes)
{
    uint64_t before = r->length * r->width;
    uint64_t shape = shape_of((before - (stop - start) + nbytes) / width, width, r->flags);
    mps_status st = MPS_OK;
    if (start < before && (nbytes > 0 || stop < before)) {
        st = mps_span_splice(tx, r->data, before, start, stop, from, nbytes, 1);
    } else if (nbytes > 0) {
        mps_fresh_copy(r->data + start, from, nbytes);
        mps_crash_point();
    }
    if (st != MPS_OK) {
        return st;
    }
    if (mps_likely(tx->ctl == 0)) {
        mps_barrier();
        mps_store64(&t->shape, shape);
    } else {
        mps_tx_set(tx, &t->shape, shape);
    }
    return MPS_OK;
}

/* Makes the block longer where it is: MPS_E_NOTFOUND if that can't be. */
static mps_status extend(mps_tx *tx, reach *r, uint64_t nbytes, uint64_t wanted)
{
    if (r->body == 0) {
        return MPS_E_NOTFOUND;
    }
    mps_status st = mps_tx_reserve(tx, ROOM);
    if (st == MPS_OK) {
        st = mps_alloc_extend(tx, r->body, nbytes, wanted);
    }
    if (st == MPS_OK) {
        r->room = mps_alloc_usable(tx->seg, r->body);
        st = r->room >= nbytes ? MPS_OK : MPS_E_CORRUPT;
    }
    return st;
}

/* As wide as the text: private memory to be freed in *heap, if it takes any. */
static mps_status fit_width(const mps_chars *chars, uint64_t width, const void **from, void **heap)
{
    *from = chars->data;
    if (chars->width == width || chars->n == 0) {
        return MPS_OK;
    }
    *from = *heap = malloc(chars->n * width);
    if (*heap == NULL) {
        return MPS_E_NOMEM;
    }
    widen(*heap, width, chars->data, chars->width, chars->n);
    return MPS_OK;
}

/* Replaces characters [start, stop). */
static mps_status splice(mps_tx *tx, mps_text *t, reach *r, uint64_t start, uint64_t stop, const mps_chars *chars)
{
    bool whole = start == 0 && stop == r->length;
    uint64_t length = r->length - (stop - start) + chars->n;
    uint64_t width = whole ? chars->width : mps_max64(r->width, chars->width);
    if (chars->n > MPS_TEXT_MAX || length > MPS_TEXT_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_tx_write_begin(tx, &t->object.guard);
    if (!whole && chars->n == 0) {
        width = r->width;
    }
    uint64_t nbytes = length * width;
    if (width != r->width && !whole) {
        return splice_aside(tx, t, r, start, stop, chars, width);
    }
    mps_status st = MPS_OK;
    if (nbytes > r->room) {
        st = extend(tx, r, nbytes, nbytes + nbytes / 2);
        if (st != MPS_OK) {
            return st == MPS_E_NOTFOUND ? splice_aside(tx, t, r, start, stop, chars, width) : st;
        }
    }
    uint64_t cost = mps_span_cost(r->length * r->width, start * r->width, stop * r->width, chars->n * width);
    if (start < r->length && cost > MPS_SPAN_LOGGED) {
        st = splice_aside(tx, t, r, start, stop, chars, width);
        if (st != MPS_E_FULL) {
            return st;
        }
    }
    void *heap = NULL;
    const void *from;
    st = fit_width(chars, width, &from, &heap);
    if (st == MPS_OK) {
        st = splice_in_place(tx, t, r, start * r->width, stop * r->width, width, from, chars->n * width);
    }
    free(heap);
    return st;
}

mps_status mps_text_assign(mps_seg *seg, mps_door door, mps_off off, mps_slice slice, const mps_chars *chars)
{
    mps_text *t = text_at(seg, off);
    mps_tx tx;
    reach r;
    int64_t start, stop, step;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, t, &r);
    if (st == MPS_OK) {
        slice.step = 1;
        uint64_t n = mps_slice_adjust(&slice, r.length, &start, &stop, &step);
        st = splice(&tx, t, &r, (uint64_t)start, (uint64_t)start + n, chars);
    }
    return finish(&tx, st);
}

mps_status mps_text_set(mps_seg *seg, mps_door door, mps_off off, int64_t index, const mps_chars *chars)
{
    mps_text *t = text_at(seg, off);
    mps_tx tx;
    reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, t, &r);
    if (st == MPS_OK) {
        uint64_t i = (uint64_t)(index < 0 ? index + (int64_t)r.length : index);
        st = i < r.length ? splice(&tx, t, &r, i, i + 1, chars) : MPS_E_RANGE;
    }
    return finish(&tx, st);
}

mps_status mps_text_append(mps_seg *seg, mps_door door, mps_off off, const mps_chars *chars)
{
    mps_text *t = text_at(seg, off);
    mps_tx tx;
    reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = enter(&tx, t, &r);
    if (mps_likely(st == MPS_OK && chars->n > 0)) {
        st = splice(&tx, t, &r, r.length, r.length, chars);
    }
    return finish(&tx, st);
}

static mps_status replace(mps_tx *tx, mps_text *t, const mps_chars *chars, const uint32_t *version)
{
    reach r;
    mps_status st = enter(tx, t, &r);
    if (st != MPS_OK) {
        return st;
    }
    if (version != NULL && mps_load32(&t->object.guard.seq) != *version) {
        return MPS_E_CHANGED;
    }
    r.flags = version == NULL ? (chars->bytes ? MPS_TEXT_BYTES : 0) : r.flags;
    return splice(tx, t, &r, 0, r.length, chars);
}

mps_status mps_text_replace(mps_seg *seg, mps_door door, mps_off off, const mps_chars *chars, uint32_t version)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    return st == MPS_OK ? finish(&tx, replace(&tx, text_at(seg, off), chars, &version)) : st;
}

mps_status mps_text_reset(mps_seg *seg, mps_door door, mps_off off, const mps_chars *chars)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    return st == MPS_OK ? finish(&tx, replace(&tx, text_at(seg, off), chars, NULL)) : st;
}

/* ---- room ---- */

static mps_status reserve(mps_tx *tx, mps_text *t, reach *r, uint64_t n)
{
    if (n > MPS_TEXT_MAX) {
        return MPS_E_TOOLARGE;
    }
    uint64_t nbytes = n * r->width;
    if (nbytes <= r->room) {
        return MPS_OK;
    }
    mps_tx_write_begin(tx, &t->object.guard);
    mps_status st = extend(tx, r, nbytes, nbytes);
    if (st != MPS_E_NOTFOUND) {
        return st;
    }
    mps_off block = 0;
    st = block_of(tx, nbytes, &block);
    if (st != MPS_OK) {
        return st;
    }
    mps_fresh_copy(mps_region_at(&tx->seg->region, block), r->data, r->length * r->width);
    return swing(tx, t, r, block, mps_load64(&t->shape));
}

mps_status mps_text_reserve(mps_seg *seg, mps_door door, mps_off off, uint64_t n)
{
    mps_text *t = text_at(seg, off);
    mps_tx tx;
    reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, t, &r);
    return finish(&tx, st == MPS_OK ? reserve(&tx, t, &r, n) : st);
}

static mps_status trim(mps_tx *tx, mps_text *t, const reach *r)
{
    uint64_t nbytes = r->length * r->width;
    if (r->body == 0 || (nbytes > MPS_TEXT_SMALL && r->room - nbytes <= mps_max64(nbytes / 8, 2 * MPS_TEXT_SMALL))) {
        return MPS_OK;
    }
    mps_off block = 0;
    mps_tx_write_begin(tx, &t->object.guard);
    mps_status st = mps_tx_reserve(tx, ROOM);
    if (st == MPS_OK && nbytes > MPS_TEXT_SMALL) {
        tx->urgent = true; /* it takes the place of a longer one */
        st = mps_alloc(tx, nbytes, &block);
        tx->urgent = false;
    }
    if (st != MPS_OK) {
        return st == MPS_E_FULL ? MPS_OK : st;
    }
    mps_fresh_copy(block != 0 ? mps_region_at(&tx->seg->region, block) : t->small, r->data, nbytes);
    mps_crash_point();
    mps_tx_set(tx, &t->body, block);
    return mps_free(tx, r->body);
}

mps_status mps_text_trim(mps_seg *seg, mps_door door, mps_off off)
{
    mps_text *t = text_at(seg, off);
    mps_tx tx;
    reach r;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, t, &r);
    return finish(&tx, st == MPS_OK ? trim(&tx, t, &r) : st);
}

/* ---- dying, check ---- */

mps_status mps_text_drop(mps_tx *tx, mps_mortal *m, mps_off off, bool *done)
{
    (void)off;
    mps_text *t = (mps_text *)m;
    mps_off body = mps_load64(&t->body);
    *done = true;
    if (body == 0) {
        return MPS_OK;
    }
    mps_tx_set(tx, &t->body, 0);
    mps_tx_set(tx, &t->shape, 0);
    return mps_free(tx, body);
}

mps_status mps_text_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    reach r;
    if (reach_get(seg, text_at(seg, off), &r) != MPS_OK) {
        return v->bad(v, "a string is longer than its block");
    }
    return r.body != 0 ? v->block(v, r.body) : MPS_OK;
}
