#include "names.h"

#include "reader.h"
#include "table_body.h"

static mps_table *table_at(const mps_seg *seg, mps_off off)
{
    return mps_region_at(&seg->region, off);
}

/* ---- the table ---- */

/* Makes the table if there is none, and refers to it twice; in the operation, under the references' guard. */
static mps_status open_table(mps_tx *tx, bool create, mps_off *names, uint32_t *counted)
{
    mps_root *root = mps_seg_root(tx->seg);
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK) {
        return st;
    }
    *names = mps_load64(&root->names);
    if (*names == 0) {
        st = create ? mps_object_make(tx, MPS_KIND_NAMES, sizeof(mps_table), names) : MPS_E_NOTFOUND;
        if (st == MPS_OK) {
            mps_tx_set(tx, &root->names, *names);
        }
    } else if (mps_object_at(tx->seg, *names, MPS_KIND_NAMES) == NULL) {
        st = MPS_E_CORRUPT;
    }
    for (; *counted < 2 && st == MPS_OK; *counted += st == MPS_OK) {
        st = mps_ref_adopt(tx, *names);
    }
    return st;
}

/* The same where this process may not write. */
static mps_status open_to_read(mps_seg *seg, bool create, mps_off *names)
{
    *names = mps_load64_acquire(&mps_seg_root(seg)->names);
    if (*names == 0) {
        return create ? MPS_E_READONLY : MPS_E_NOTFOUND;
    }
    return mps_object_at(seg, *names, MPS_KIND_NAMES) != NULL ? mps_ref_look(seg, *names) : MPS_E_CORRUPT;
}

mps_status mps_names_open(mps_seg *seg, mps_door door, bool create, mps_off *names)
{
    if (mps_unlikely(seg->region.readonly)) {
        return open_to_read(seg, create, names);
    }
    *names = mps_load64_acquire(&mps_seg_root(seg)->names);
    if (mps_likely(mps_load32(&seg->control->state) == MPS_STATE_READY && mps_ref_again(seg, *names))) {
        if (mps_likely(mps_object_at(seg, *names, MPS_KIND_NAMES) != NULL)) {
            return MPS_OK;
        }
        mps_ref_drop(seg, door, *names);
        return MPS_E_CORRUPT;
    }
    mps_tx tx;
    uint32_t counted = 0;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = open_table(&tx, create, names, &counted);
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    while (st != MPS_OK && counted-- > 0) {
        mps_ref_drop(seg, door, *names);
    }
    return st;
}

void mps_names_key(const mps_seg *seg, const char *text, uint64_t n, mps_enc *key)
{
    if (n <= MPS_INLINE_MAX) {
        *key = (mps_enc){.value = mps_value_short(MPS_TAG_ASCII, text, n)};
        return;
    }
    *key = (mps_enc){.value = {MPS_TAG_ASCII | mps_hash_bytes(text, n, seg->seed) << 32, 0}, .data = text, .nbytes = n};
}

static mps_enc reference(mps_off object)
{
    return (mps_enc){.value = {MPS_TAG_REF, object}};
}

/* ---- entering ---- */

mps_status mps_names_enter(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, mps_off object)
{
    mps_enc value = reference(object);
    mps_status st = mps_table_exchange(seg, door, names, key, NULL, &value);
    return st == MPS_E_CHANGED ? MPS_E_EXISTS : st;
}

/* Under the table's guard, its key not there: an object that the new entry alone refers to. */
static mps_status make_entered(mps_tx *tx, mps_table *t, mps_shape *s, mps_found *f, const mps_enc *key, uint32_t kind,
                               uint64_t nbytes, mps_off *object)
{
    mps_status st = mps_refs_enter(tx);
    if (st == MPS_OK) {
        st = mps_object_make(tx, kind, nbytes, object);
    }
    if (st != MPS_OK) {
        return st;
    }
    mps_enc value = reference(*object);
    mps_tx_write_begin(tx, &t->object.guard);
    st = mps_table_insert(tx, t, s, f, key, &value);
    mps_object *obj = mps_region_at(&tx->seg->region, *object);
    mps_store64(&obj->refs, 1); /* the maker's was the entry's all along */
    return st;
}

mps_status mps_names_construct(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, uint32_t kind, uint64_t nbytes,
                               mps_off *object)
{
    const mps_kind *k = mps_kind_find(kind);
    if (k == NULL || nbytes < k->size || k->size < sizeof(mps_object)) {
        return MPS_E_INVAL;
    }
    mps_table *t = table_at(seg, names);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_enc_prepare(&tx, key);
    if (st == MPS_OK) {
        st = mps_table_enter(&tx, t);
    }
    if (st == MPS_OK) {
        mps_shape s;
        mps_found f;
        st = mps_table_lookup(seg, t, key, &s, &f);
        if (st == MPS_E_NOTFOUND) {
            st = make_entered(&tx, t, &s, &f, key, kind, nbytes, object);
        } else if (st == MPS_OK) {
            st = MPS_E_EXISTS;
        }
    }
    if (mps_likely(st == MPS_OK)) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_enc_forget(&tx, key);
    mps_tx_end(&tx);
    return st;
}

/* ---- finding ---- */

/* The object that an entry's value refers to. */
static mps_status object_of(const mps_entry *e, mps_off *object)
{
    mps_value v = mps_value_load(&e->value);
    *object = v.w1;
    return mps_value_tag(v) == MPS_TAG_REF && mps_value_is_inline(v) ? MPS_OK : MPS_E_CORRUPT;
}

/* Takes the guard to read, unless another thread has the user's lock; who may not write can't wait for that. */
static mps_status enter_to_read(mps_tx *tx, mps_table *t)
{
    mps_status st = mps_reader_lock(tx, &t->object);
    return st == MPS_OK && !tx->reading ? mps_userlock_pass(tx->seg, &t->object.user) : st;
}

static mps_status find_once(mps_seg *seg, mps_door door, mps_table *t, const mps_enc *key, bool refer, mps_off *object)
{
    mps_tx tx;
    uint32_t counted = 0;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter_to_read(&tx, t);
    if (st == MPS_OK) {
        mps_shape s;
        mps_found f;
        st = mps_table_lookup(seg, t, key, &s, &f);
        if (st == MPS_OK) {
            st = object_of(f.entry, object);
        }
        if (st == MPS_OK && refer) {
            st = mps_refs_adopt(&tx, object, 1, &counted);
        }
    }
    st = mps_copy_end(&tx, st, NULL, NULL);
    if (st != MPS_OK && counted > 0) {
        mps_ref_drop(seg, door, *object);
    }
    return st;
}

static mps_status find_locked(mps_seg *seg, mps_door door, mps_table *t, const mps_enc *key, bool refer,
                              mps_off *object)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = find_once(seg, door, t, key, refer, object);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

/* The first look, without a guard: MPS_E_RETRY when it takes the guard to know. */
static inline mps_status look(mps_seg *seg, mps_table *t, const mps_enc *key, mps_off *object)
{
    mps_status st;
    const mps_entry *e = mps_table_hit(seg, t, key, &st);
    if (e == NULL && key->data != NULL) {
        mps_shape s;
        mps_found f;
        st = mps_table_find(seg, t, key, &s, &f);
        e = st == MPS_OK ? f.entry : NULL;
    }
    if (e != NULL) {
        st = object_of(e, object) == MPS_OK ? MPS_OK : MPS_E_RETRY;
    }
    return st;
}

mps_status mps_names_find(mps_seg *seg, mps_door door, mps_off names, const mps_enc *key, bool refer, mps_off *object)
{
    mps_table *t = table_at(seg, names);
    uint32_t seq = mps_read_begin(&t->object.guard);
    bool quiet = (seq & 1u) == 0 && mps_load32(&seg->control->state) == MPS_STATE_READY &&
                 mps_userlock_pass(seg, &t->object.user) == MPS_OK;
    if (mps_likely(quiet)) {
        mps_status st = look(seg, t, key, object);
        if (st == MPS_OK && refer && !mps_ref_again(seg, *object)) {
            st = MPS_E_RETRY;
        }
        /* Nothing was entered or removed from when nobody had the lock on: so this is no half-way state of its holder. */
        bool valid = mps_read_valid(&t->object.guard, seq);
        if (mps_likely(valid && st != MPS_E_RETRY)) {
            return st;
        }
        if (st == MPS_OK && refer) {
            mps_ref_drop(seg, door, *object);
        }
    }
    return find_locked(seg, door, t, key, refer, object);
}

/* ---- removing ---- */

mps_status mps_names_remove(mps_seg *seg, mps_door door, mps_off names, const mps_enc *key)
{
    return mps_table_pop(seg, door, names, key, NULL);
}

mps_status mps_names_remove_of(mps_seg *seg, mps_door door, mps_off names, mps_enc *key, mps_off object)
{
    mps_enc expected = reference(object);
    mps_status st = mps_table_exchange(seg, door, names, key, &expected, NULL);
    return st == MPS_E_CHANGED ? MPS_E_NOTFOUND : st;
}

/* ---- all of them ---- */

static mps_status name_of(mps_tx *tx, const mps_table *t, mps_off object, mps_copy *key)
{
    mps_shape s;
    uint64_t word = mps_load64(&t->body), used = mps_table_used(mps_load64(&t->counts));
    if (word == 0) {
        return MPS_E_NOTFOUND;
    }
    if (!mps_table_shape(tx->seg, word, &s) || used > s.capacity) {
        return MPS_E_CORRUPT;
    }
    for (uint64_t i = 0; i < used; i++) {
        mps_value k = mps_value_load(&s.entries[i].key);
        mps_off found;
        if (mps_value_tag(k) != MPS_TAG_EMPTY && object_of(&s.entries[i], &found) == MPS_OK && found == object) {
            return mps_copy_locked(tx, k, key);
        }
    }
    return MPS_E_NOTFOUND;
}

static mps_status name_of_once(mps_seg *seg, mps_door door, mps_table *t, mps_off object, mps_copy *key)
{
    mps_tx tx;
    mps_status st = mps_reader_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = enter_to_read(&tx, t);
    if (st == MPS_OK) {
        st = name_of(&tx, t, object, key);
    }
    return mps_copy_end(&tx, st, key, NULL);
}

mps_status mps_names_of(mps_seg *seg, mps_door door, mps_off names, mps_off object, mps_copy *key)
{
    uint64_t since = 0;
    mps_status st;
    do {
        st = name_of_once(seg, door, table_at(seg, names), object, key);
    } while (mps_reader_again(seg, door, &st, &since));
    return st;
}

mps_status mps_names_reserve(mps_seg *seg, mps_door door, mps_off names, uint64_t n)
{
    if (n > UINT32_MAX) {
        return MPS_E_TOOLARGE;
    }
    mps_table *t = table_at(seg, names);
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_table_enter(&tx, t);
    if (st == MPS_OK) {
        mps_shape s = {0};
        uint64_t word = mps_load64(&t->body);
        if (word != 0 && !mps_table_shape(seg, word, &s)) {
            st = MPS_E_CORRUPT;
        } else if (s.capacity < n) {
            mps_tx_write_begin(&tx, &t->object.guard);
            st = mps_table_rebuild(&tx, t, &s, n);
        }
    }
    return mps_copy_end(&tx, st, NULL, NULL);
}

/* ---- check ---- */

mps_status mps_names_visit(mps_seg *seg, mps_visit *v)
{
    mps_off names = mps_load64(&mps_seg_root(seg)->names);
    if (names == 0) {
        return MPS_OK;
    }
    if (mps_object_at(seg, names, MPS_KIND_NAMES) == NULL) {
        return v->bad(v, "the word of the table of names leads to something else");
    }
    return v->ref(v, names);
}
