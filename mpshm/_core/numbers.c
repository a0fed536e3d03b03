#include "numbers.h"

#include "reader.h"
#include "racy.h"
#include "refs.h"

#define ROOM 4096u /* journal entries that are asked for at a time */

static mps_numbers *numbers_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

static uint8_t *items_of(mps_numbers *a)
{
    return (uint8_t *)(a + 1);
}

static bool is_itemsize(uint32_t itemsize)
{
    return itemsize == 1 || itemsize == 2 || itemsize == 4 || itemsize == 8;
}

mps_status mps_numbers_form_get(mps_seg *seg, mps_off off, mps_numbers_form *form)
{
    const mps_numbers *a = numbers_at(seg, off);
    form->length = mps_load64(&a->length);
    form->typecode = mps_load32(&a->typecode);
    form->itemsize = mps_load32(&a->itemsize);
    if (mps_unlikely(form->typecode == 0 && form->length == 0)) {
        form->typecode = 'b'; /* not filled yet: no items, of whatever type */
        form->itemsize = 1;
        return MPS_OK;
    }
    bool sane = is_itemsize(form->itemsize) && form->typecode < 128 &&
                form->length <= MPS_NUMBERS_MAX / form->itemsize &&
                mps_region_holds(&seg->region, off, sizeof(mps_numbers) + form->length * form->itemsize);
    return mps_likely(sane) ? MPS_OK : MPS_E_CORRUPT;
}

mps_status mps_numbers_new(mps_seg *seg, mps_door door, mps_numbers_form form, const void *items, mps_off *off,
                           uint64_t *serial)
{
    if (!is_itemsize(form.itemsize) || form.typecode == 0 || form.typecode >= 128) {
        return MPS_E_INVAL;
    }
    if (form.length > MPS_NUMBERS_MAX / form.itemsize) {
        return MPS_E_TOOLARGE;
    }
    uint64_t nbytes = form.length * form.itemsize;
    uint64_t all = sizeof(mps_numbers) + mps_round_up(nbytes, 8); /* the journal takes whole words */
    mps_status st = mps_object_new(seg, door, MPS_KIND_ARRAY, all, off, serial);
    if (st != MPS_OK) {
        return st;
    }
    mps_numbers *a = numbers_at(seg, *off);
    mps_fresh_copy(items_of(a), items, nbytes);
    mps_store32(&a->itemsize, form.itemsize);
    mps_store32(&a->typecode, form.typecode);
    mps_store64_release(&a->length, form.length);
    return MPS_OK;
}

/* ---- items and parts ---- */

static inline uint64_t load_item(const uint8_t *at, uint32_t itemsize)
{
    switch (itemsize) {
    case 1: return __atomic_load_n(at, __ATOMIC_RELAXED);
    case 2: return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
    case 4: return mps_load32((const uint32_t *)(const void *)at);
    default: return mps_load64((const uint64_t *)(const void *)at);
    }
}

static inline void store_item(uint8_t *at, uint32_t itemsize, uint64_t item)
{
    switch (itemsize) {
    case 1: __atomic_store_n(at, (uint8_t)item, __ATOMIC_RELAXED); break;
    case 2: __atomic_store_n((uint16_t *)(void *)at, (uint16_t)item, __ATOMIC_RELAXED); break;
    case 4: __atomic_store_n((uint32_t *)(void *)at, (uint32_t)item, __ATOMIC_RELAXED); break;
    default: __atomic_store_n((uint64_t *)(void *)at, item, __ATOMIC_RELAXED); break;
    }
    mps_crash_point();
}

/* Where item i of a part is among all items. */
static inline uint64_t place(const mps_numbers_part *part, uint64_t i)
{
    return part->start + (uint64_t)part->step * i;
}

static bool is_inside(const mps_numbers_part *part, uint64_t length)
{
    if (part->n == 0) {
        return true;
    }
    if (part->start >= length || part->n > length) {
        return false;
    }
    __int128 last = (__int128)part->start + (__int128)part->step * (__int128)(part->n - 1);
    return last >= 0 && last < (__int128)length;
}

static void copy_out(mps_numbers *a, uint32_t itemsize, const mps_numbers_part *part, uint8_t *out)
{
    if (part->step == 1) {
        mps_racy_copy(out, items_of(a) + part->start * itemsize, part->n * itemsize);
        return;
    }
    for (uint64_t i = 0; i < part->n; i++) {
        uint64_t item = load_item(items_of(a) + place(part, i) * itemsize, itemsize);
        memcpy(out + i * itemsize, &item, itemsize);
    }
}

/* ---- reading ---- */

mps_status mps_numbers_get(mps_seg *seg, mps_door door, mps_off off, uint64_t index, uint64_t *item)
{
    mps_numbers *a = numbers_at(seg, off);
    mps_numbers_form form;
    mps_status st = mps_numbers_form_get(seg, off, &form);
    if (mps_unlikely(st != MPS_OK || index >= form.length)) {
        return st != MPS_OK ? st : MPS_E_RANGE;
    }
    uint8_t raw[8] = {0};
    mps_glance glance = mps_glance_at(seg, &a->object.guard);
    while (mps_glance_next(&glance)) {
        *item = load_item(items_of(a) + index * form.itemsize, form.itemsize);
        if (mps_likely(mps_glance_valid(&glance))) {
            return MPS_OK;
        }
    }
    st = mps_numbers_read(seg, door, off, (mps_numbers_part){index, 1, 1}, raw);
    memcpy(item, raw, sizeof(*item));
    return st;
}

static mps_status read_once(mps_seg *seg, mps_door door, mps_numbers *a, uint32_t itemsize,
                            const mps_numbers_part *part, uint8_t *out)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_reader_lock(&tx, &a->object);
    if (st == MPS_OK) {
        copy_out(a, itemsize, part, out);
    }
    if (tx.reading) {
        return mps_reader_end(&tx, st);
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

static mps_status read_locked(mps_seg *seg, mps_door door, mps_numbers *a, uint32_t itemsize,
                              const mps_numbers_part *part, uint8_t *out)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = read_once(seg, door, a, itemsize, part, out);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_numbers_read(mps_seg *seg, mps_door door, mps_off off, mps_numbers_part part, void *out)
{
    mps_numbers *a = numbers_at(seg, off);
    mps_numbers_form form;
    mps_status st = mps_numbers_form_get(seg, off, &form);
    if (st != MPS_OK || !is_inside(&part, form.length)) {
        return st != MPS_OK ? st : MPS_E_RANGE;
    }
    mps_glance glance = mps_glance_at(seg, &a->object.guard);
    while (mps_glance_next(&glance)) {
        copy_out(a, form.itemsize, &part, out);
        if (mps_likely(mps_glance_valid(&glance))) {
            return MPS_OK;
        }
    }
    return read_locked(seg, door, a, form.itemsize, &part, out);
}

/* ---- changing ---- */

static inline mps_status enter(mps_tx *tx, mps_numbers *a)
{
    mps_status st = mps_tx_lock(tx, &a->object.guard);
    return mps_likely(st == MPS_OK) ? mps_userlock_pass(tx->seg, &a->object.user) : st;
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

mps_status mps_numbers_set(mps_seg *seg, mps_door door, mps_off off, uint64_t index, uint64_t item)
{
    mps_numbers *a = numbers_at(seg, off);
    mps_numbers_form form;
    mps_tx tx;
    mps_status st = mps_numbers_form_get(seg, off, &form);
    if (mps_unlikely(st != MPS_OK || index >= form.length)) {
        return st != MPS_OK ? st : MPS_E_RANGE;
    }
    st = mps_tx_begin(seg, &tx, door);
    if (mps_unlikely(st != MPS_OK)) {
        return st;
    }
    st = enter(&tx, a);
    if (mps_likely(st == MPS_OK)) {
        mps_tx_write_begin(&tx, &a->object.guard);
        store_item(items_of(a) + index * form.itemsize, form.itemsize, item);
    }
    return finish(&tx, st);
}

/* Makes room for one more entry; asks for many at a time, up to what is still to come. */
static mps_status room(mps_tx *tx, uint64_t *left, uint64_t still)
{
    if (*left > 0) {
        (*left)--;
        return MPS_OK;
    }
    *left = mps_min64(ROOM, still);
    mps_status st = mps_tx_room(tx, *left);
    (*left)--;
    return st;
}

/* Items that follow each other: word by word. */
static mps_status write_run(mps_tx *tx, uint8_t *to, const uint8_t *from, uint64_t nbytes)
{
    uint64_t first = (uint64_t)((uintptr_t)to & 7), words = (first + nbytes + 7) / 8, left = 0;
    uint64_t *word = (uint64_t *)(void *)(to - first);
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < words && st == MPS_OK; i++) {
        uint64_t begin = i == 0 ? first : 0;
        uint64_t n = mps_min64(8 - begin, nbytes);
        uint64_t now = mps_load64(&word[i]);
        memcpy((uint8_t *)&now + begin, from, n);
        st = room(tx, &left, words - i);
        if (st == MPS_OK) {
            mps_tx_set(tx, &word[i], now);
        }
        from += n;
        nbytes -= n;
    }
    return st;
}

/* Items that lie apart: the word of each is remembered, then the item changes. */
static mps_status write_apart(mps_tx *tx, uint8_t *items, uint32_t itemsize, const mps_numbers_part *part,
                              const uint8_t *from)
{
    uint64_t left = 0;
    mps_status st = MPS_OK;
    for (uint64_t i = 0; i < part->n && st == MPS_OK; i++) {
        uint8_t *to = items + place(part, i) * itemsize;
        uint64_t item = 0;
        memcpy(&item, from + i * itemsize, itemsize);
        st = room(tx, &left, part->n - i);
        if (st == MPS_OK) {
            mps_tx_log(tx, (const uint64_t *)(const void *)(to - ((uintptr_t)to & 7)));
            store_item(to, itemsize, item);
        }
    }
    return st;
}

mps_status mps_numbers_write(mps_seg *seg, mps_door door, mps_off off, mps_numbers_part part, const void *items)
{
    mps_numbers *a = numbers_at(seg, off);
    mps_numbers_form form;
    mps_tx tx;
    mps_status st = mps_numbers_form_get(seg, off, &form);
    if (st != MPS_OK || !is_inside(&part, form.length)) {
        return st != MPS_OK ? st : MPS_E_RANGE;
    }
    st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter(&tx, a);
    if (st == MPS_OK && part.n > 0) {
        mps_tx_write_begin(&tx, &a->object.guard);
        st = part.step == 1 ? write_run(&tx, items_of(a) + part.start * form.itemsize, items, part.n * form.itemsize)
                            : write_apart(&tx, items_of(a), form.itemsize, &part, items);
    }
    return finish(&tx, st);
}

/* ---- check ---- */

mps_status mps_numbers_visit(mps_seg *seg, mps_off off, mps_visit *v)
{
    mps_numbers_form form;
    if (mps_numbers_form_get(seg, off, &form) != MPS_OK ||
        mps_alloc_usable(seg, off) < sizeof(mps_numbers) + form.length * form.itemsize) {
        return v->bad(v, "an array is longer than its block");
    }
    return MPS_OK;
}
