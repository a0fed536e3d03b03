#include "refs.h"

#include <stdlib.h>

#include "os.h"

/* ---- private: what this process refers to ---- */

typedef struct ref {
    mps_off off; /* 0: empty */
    uint64_t serial;
    uint32_t count; /* handles */
    uint32_t index; /* in the slot's table; NO_INDEX: the object died while we had no slot */
} ref;

#define NO_INDEX UINT32_MAX

/* Open addressing, linear probing, at most half full. */
struct mps_refmap {
    ref *refs;
    uint64_t capacity; /* power of two */
    uint64_t n;
    uint32_t *spare; /* indices that are free again */
    uint64_t n_spare, spare_capacity;
    uint32_t next;    /* the index after all that were ever given out */
    uint64_t version; /* counts entries that came or went */
};

static uint64_t place(const struct mps_refmap *map, mps_off off)
{
    return mps_mix(off, 0x9e3779b97f4a7c15u) & (map->capacity - 1);
}

static ref *find(const struct mps_refmap *map, mps_off off)
{
    for (uint64_t i = place(map, off);; i = (i + 1) & (map->capacity - 1)) {
        if (map->refs[i].off == off) {
            return &map->refs[i];
        }
        if (map->refs[i].off == 0) {
            return NULL;
        }
    }
}

static void insert(struct mps_refmap *map, ref r)
{
    uint64_t i = place(map, r.off);
    while (map->refs[i].off != 0) {
        i = (i + 1) & (map->capacity - 1);
    }
    map->refs[i] = r;
    map->n++;
    map->version++;
}

/* Removes by shifting back what would not be found any more. */
static void erase(struct mps_refmap *map, ref *r)
{
    uint64_t mask = map->capacity - 1;
    uint64_t hole = (uint64_t)(r - map->refs);
    for (uint64_t i = (hole + 1) & mask; map->refs[i].off != 0; i = (i + 1) & mask) {
        uint64_t home = place(map, map->refs[i].off);
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            map->refs[hole] = map->refs[i];
            hole = i;
        }
    }
    map->refs[hole] = (ref){0};
    map->n--;
    map->version++;
}

/* Room for one more entry, and for its index to become spare, so that neither can fail later. */
static mps_status make_room(struct mps_refmap *map)
{
    if ((map->n + 1) * 2 > map->capacity) {
        struct mps_refmap bigger = *map;
        bigger.capacity = map->capacity * 2;
        bigger.n = 0;
        bigger.refs = calloc(bigger.capacity, sizeof(ref));
        if (bigger.refs == NULL) {
            return MPS_E_NOMEM;
        }
        for (uint64_t i = 0; i < map->capacity; i++) {
            if (map->refs[i].off != 0) {
                insert(&bigger, map->refs[i]);
            }
        }
        free(map->refs);
        bigger.version = map->version;
        *map = bigger;
    }
    if (map->next + 1u > map->spare_capacity) {
        uint64_t capacity = map->spare_capacity * 2 + 64;
        uint32_t *spare = realloc(map->spare, capacity * sizeof(uint32_t));
        if (spare == NULL) {
            return MPS_E_NOMEM;
        }
        map->spare = spare;
        map->spare_capacity = capacity;
    }
    return MPS_OK;
}

mps_status mps_refs_open(mps_seg *seg)
{
    struct mps_refmap *map = calloc(1, sizeof(*map));
    if (map != NULL) {
        map->capacity = 64;
        map->refs = calloc(map->capacity, sizeof(ref));
        if (map->refs == NULL) {
            free(map);
            map = NULL;
        }
    }
    seg->refs = map;
    return map != NULL ? MPS_OK : MPS_E_NOMEM;
}

void mps_refs_close(mps_seg *seg)
{
    if (seg->refs != NULL) {
        free(seg->refs->refs);
        free(seg->refs->spare);
        free(seg->refs);
        seg->refs = NULL;
    }
}

uint64_t mps_refs_version(mps_seg *seg)
{
    return seg->refs->version;
}

/* ---- shared: the slot's table ---- */

static uint64_t *ref_at(mps_seg *seg, mps_slot_body *body, uint64_t index)
{
    if (index < MPS_SLOT_REFS) {
        return &body->refs[index];
    }
    mps_off block = mps_load64(&body->refs_block);
    uint64_t off = block + (index - MPS_SLOT_REFS) * 8;
    if (block < seg->arena || (block & 7) != 0 || index >= mps_load64(&body->refs_capacity) || index > UINT32_MAX ||
        !mps_region_holds(&seg->region, off, 8)) {
        return NULL;
    }
    return mps_region_at(&seg->region, off);
}

/* Makes the table's block large enough for index; in the operation, under the references' guard. */
static mps_status grow_table(mps_tx *tx, mps_slot_body *body, uint64_t index)
{
    uint64_t capacity = mps_max64(mps_load64(&body->refs_capacity), MPS_SLOT_REFS);
    if (index < capacity) {
        return MPS_OK;
    }
    uint64_t wanted = mps_max64(capacity * 2, index + 1);
    mps_off block = 0;
    mps_status st = mps_alloc(tx, (wanted - MPS_SLOT_REFS) * 8, &block);
    if (st != MPS_OK) {
        return st;
    }
    uint64_t *words = mps_region_at(&tx->seg->region, block);
    memset(words, 0, (wanted - MPS_SLOT_REFS) * 8);
    for (uint64_t i = MPS_SLOT_REFS; i < capacity; i++) {
        const uint64_t *old = ref_at(tx->seg, body, i);
        if (old == NULL) {
            return MPS_E_CORRUPT;
        }
        words[i - MPS_SLOT_REFS] = mps_load64(old);
    }
    mps_off old_block = mps_load64(&body->refs_block);
    mps_tx_set(tx, &body->refs_block, block);
    mps_tx_set(tx, &body->refs_capacity, wanted);
    return old_block != 0 ? mps_free(tx, old_block) : MPS_OK;
}

static mps_status set_table(mps_tx *tx, mps_slot_body *body, uint64_t index, mps_off off)
{
    mps_status st = grow_table(tx, body, index);
    uint64_t *word = st == MPS_OK ? ref_at(tx->seg, body, index) : NULL;
    if (word == NULL) {
        return st != MPS_OK ? st : MPS_E_CORRUPT;
    }
    mps_tx_set(tx, word, off);
    if (index >= mps_load64(&body->refs_used)) {
        mps_tx_set(tx, &body->refs_used, index + 1);
    }
    return MPS_OK;
}

/* A free index of our table; under seg->mutex. */
static uint32_t take_index(mps_seg *seg)
{
    struct mps_refmap *map = seg->refs;
    if (map->n_spare > 0) {
        return map->spare[--map->n_spare];
    }
    return map->next++;
}

/* Adds the object to our table and map with one handle, counting a reference: what counted it (the maker's 1, or the incref
 * before) was seen to by the caller. In the operation, under the references' guard. */
static mps_status enter(mps_tx *tx, mps_off off, uint64_t serial)
{
    mps_seg *seg = tx->seg;
    mps_mutex_lock(&seg->mutex);
    mps_status st = make_room(seg->refs);
    uint32_t index = st == MPS_OK ? take_index(seg) : 0;
    if (st == MPS_OK) {
        insert(seg->refs, (ref){off, serial, 1, index});
    }
    mps_mutex_unlock(&seg->mutex);
    if (st != MPS_OK) {
        return st;
    }
    st = set_table(tx, seg->body, index, off);
    if (st != MPS_OK) {
        mps_mutex_lock(&seg->mutex);
        erase(seg->refs, find(seg->refs, off));
        seg->refs->spare[seg->refs->n_spare++] = index;
        mps_mutex_unlock(&seg->mutex);
    }
    return st;
}

static bool again_locked(mps_seg *seg, mps_off off, uint64_t serial)
{
    ref *r = find(seg->refs, off);
    if (r == NULL || r->index == NO_INDEX || (serial != 0 && r->serial != serial)) {
        return false;
    }
    r->count++;
    return true;
}

bool mps_ref_again(mps_seg *seg, mps_off off)
{
    if (off == 0) {
        return false;
    }
    mps_mutex_lock(&seg->mutex);
    bool known = again_locked(seg, off, 0);
    mps_mutex_unlock(&seg->mutex);
    return known;
}

static mps_status abort_end(mps_tx *tx, mps_status st)
{
    mps_tx_abort(tx);
    mps_tx_end(tx);
    return st;
}

mps_status mps_object_new(mps_seg *seg, mps_door door, uint32_t kind, uint64_t nbytes, mps_off *off, uint64_t *serial)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_refs_enter(&tx);
    if (st == MPS_OK) {
        st = mps_object_make(&tx, kind, nbytes, off);
    }
    if (st == MPS_OK) {
        mps_object *obj = mps_region_at(&seg->region, *off);
        *serial = obj->serial;
        st = enter(&tx, *off, *serial);
    }
    if (st != MPS_OK) {
        return abort_end(&tx, st);
    }
    st = mps_tx_commit(&tx);
    mps_tx_end(&tx);
    return st;
}

mps_status mps_ref_adopt(mps_tx *tx, mps_off off)
{
    mps_status st = mps_refs_enter(tx);
    if (st != MPS_OK) {
        return st;
    }
    if (mps_ref_again(tx->seg, off)) {
        return MPS_OK;
    }
    st = mps_object_incref(tx, off);
    if (st != MPS_OK) {
        return st;
    }
    mps_object *obj = mps_region_at(&tx->seg->region, off);
    return enter(tx, off, mps_load64(&obj->serial));
}

/* ---- where nothing may be written ---- */

/* The serial under which a reader knows an offset where it has had two objects: handles on both are of no use. */
#define NO_SERIAL UINT64_MAX

mps_status mps_ref_look(mps_seg *seg, mps_off off)
{
    const mps_object *obj = mps_object_at(seg, off, 0);
    if (obj == NULL || mps_load64(&obj->refs) == 0) {
        return MPS_E_CORRUPT;
    }
    uint64_t serial = mps_load64(&obj->serial);
    mps_mutex_lock(&seg->mutex);
    ref *r = find(seg->refs, off);
    mps_status st = r != NULL ? MPS_OK : make_room(seg->refs);
    if (r != NULL) {
        r->serial = r->serial == serial ? serial : NO_SERIAL;
        r->count++;
    } else if (st == MPS_OK) {
        insert(seg->refs, (ref){off, serial, 1, NO_INDEX});
    }
    mps_mutex_unlock(&seg->mutex);
    return st;
}

bool mps_ref_is_same(mps_seg *seg, mps_off off)
{
    mps_mutex_lock(&seg->mutex);
    const ref *r = find(seg->refs, off);
    uint64_t serial = r != NULL ? r->serial : NO_SERIAL;
    mps_mutex_unlock(&seg->mutex);
    const mps_object *obj = mps_region_at(&seg->region, off);
    return mps_load64(&obj->serial) == serial && mps_load64(&obj->refs) != 0;
}

static mps_status look_at(mps_seg *seg, mps_off off, uint64_t serial)
{
    const mps_object *obj = mps_object_at(seg, off, 0);
    bool there = obj != NULL && mps_load64(&obj->serial) == serial && mps_load64(&obj->refs) != 0;
    return there ? mps_ref_look(seg, off) : MPS_E_STALE;
}

/* ---- a handle is gone ---- */

/* One handle less. Answers whether it was the last: then the entry is out of the map, and *index free for others later. */
static bool one_less(mps_seg *seg, mps_off off, bool may_be_last, uint32_t *index)
{
    mps_mutex_lock(&seg->mutex);
    ref *r = find(seg->refs, off);
    bool last = r != NULL && r->count == 1;
    if (r != NULL && !last) {
        r->count--;
    } else if (last && may_be_last) {
        *index = r->index;
        erase(seg->refs, r);
    }
    mps_mutex_unlock(&seg->mutex);
    return last;
}

static void spare_index(mps_seg *seg, uint32_t index)
{
    if (index != NO_INDEX) {
        mps_mutex_lock(&seg->mutex);
        seg->refs->spare[seg->refs->n_spare++] = index;
        mps_mutex_unlock(&seg->mutex);
    }
}

void mps_ref_drop(mps_seg *seg, mps_door door, mps_off off)
{
    uint32_t index = NO_INDEX;
    if (!one_less(seg, off, false, &index)) {
        return;
    }
    mps_tx tx;
    if (mps_tx_begin(seg, &tx, door) != MPS_OK) {
        one_less(seg, off, true, &index); /* the segment is closed: nothing in it matters any more */
        spare_index(seg, index);
        return;
    }
    mps_status st = mps_refs_enter(&tx);
    if (st != MPS_OK || !one_less(seg, off, true, &index)) {
        abort_end(&tx, st);
        return;
    }
    uint64_t *word = index != NO_INDEX ? ref_at(seg, seg->body, index) : NULL;
    if (word != NULL && mps_load64(word) == off) {
        mps_tx_set(&tx, word, 0);
        st = mps_object_decref(&tx, off);
    }
    if (st == MPS_OK) {
        mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    spare_index(seg, index);
}

/* ---- tokens ---- */

#define TOKEN_OFF(id) (((id) & 0xffffffffffu) * 16)

static mps_token *token_at(mps_seg *seg, mps_off off)
{
    if (off == 0 || (off & 15) != 0 || off < seg->arena || !mps_region_holds(&seg->region, off, sizeof(mps_token))) {
        return NULL;
    }
    return mps_region_at(&seg->region, off);
}

mps_status mps_token_leave(mps_seg *seg, mps_door door, mps_off off, uint64_t *token)
{
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    mps_off block = 0;
    st = mps_object_incref(&tx, off);
    if (st == MPS_OK) {
        st = mps_alloc(&tx, sizeof(mps_token), &block);
    }
    if (st != MPS_OK) {
        return abort_end(&tx, st);
    }
    mps_root *root = mps_seg_root(seg);
    uint64_t unique = mps_load64(&root->next_serial);
    mps_off first = mps_load64(&root->tokens);
    const mps_object *obj = mps_region_at(&seg->region, off);
    mps_token *t = mps_region_at(&seg->region, block);
    *t = (mps_token){.id = (unique << 40) | block / 16, .object = off, .serial = obj->serial, .next = first};
    if (first != 0) {
        mps_token *next = token_at(seg, first);
        if (next == NULL) {
            return abort_end(&tx, MPS_E_CORRUPT);
        }
        mps_tx_set(&tx, &next->prev, block);
    }
    mps_tx_set(&tx, &root->next_serial, unique + 1);
    mps_tx_set(&tx, &root->tokens, block);
    *token = t->id;
    st = mps_tx_commit(&tx);
    mps_tx_end(&tx);
    return st;
}

/* Takes a token off the list with the reference it counted; one that is not there any more is nobody's business. */
static mps_status take_token(mps_tx *tx, uint64_t id, mps_off object)
{
    mps_seg *seg = tx->seg;
    mps_off off = TOKEN_OFF(id);
    mps_token *t = id != 0 ? token_at(seg, off) : NULL;
    if (t == NULL || mps_load64(&t->id) != id || mps_load64(&t->object) != object) {
        return MPS_OK;
    }
    mps_off next = mps_load64(&t->next), prev = mps_load64(&t->prev);
    mps_token *next_token = token_at(seg, next), *prev_token = token_at(seg, prev);
    if ((next != 0 && next_token == NULL) || (prev != 0 && prev_token == NULL)) {
        return MPS_E_CORRUPT;
    }
    if (next_token != NULL) {
        mps_tx_set(tx, &next_token->prev, prev);
    }
    mps_tx_set(tx, prev_token != NULL ? &prev_token->next : &mps_seg_root(seg)->tokens, next);
    mps_tx_set(tx, &t->id, 0);
    mps_status st = mps_free(tx, off);
    return st == MPS_OK ? mps_object_decref(tx, object) : st;
}

mps_status mps_ref_attach(mps_seg *seg, mps_door door, mps_off off, uint64_t serial, uint64_t token)
{
    if (seg->region.readonly) {
        return look_at(seg, off, serial); /* the token stays for one who may take it */
    }
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, door);
    if (st != MPS_OK) {
        return st;
    }
    st = mps_refs_enter(&tx);
    if (st != MPS_OK) {
        return abort_end(&tx, st);
    }
    const mps_object *obj = mps_object_at(seg, off, 0);
    if (obj == NULL || mps_load64(&obj->serial) != serial || mps_load64(&obj->refs) == 0) {
        return abort_end(&tx, MPS_E_STALE);
    }
    st = mps_ref_adopt(&tx, off);
    if (st == MPS_OK && token != 0) {
        st = take_token(&tx, token, off);
        if (st != MPS_OK) {
            abort_end(&tx, st);
            mps_ref_drop(seg, door, off);
            return st;
        }
    }
    if (st != MPS_OK) {
        return abort_end(&tx, st);
    }
    st = mps_tx_commit(&tx);
    mps_tx_end(&tx);
    return st;
}

/* ---- forking, and coming back ---- */

static mps_status copy_refs(mps_tx *tx, mps_slot_body *body)
{
    mps_seg *seg = tx->seg;
    const struct mps_refmap *map = seg->refs;
    for (uint64_t i = 0; i < map->capacity; i++) {
        const ref *r = &map->refs[i];
        if (r->off == 0 || r->index == NO_INDEX) {
            continue;
        }
        mps_status st = set_table(tx, body, r->index, r->off);
        if (st == MPS_OK) {
            st = mps_object_incref(tx, r->off);
        }
        if (st != MPS_OK) {
            return st;
        }
        if (!tx->has_frees) {
            mps_tx_checkpoint(tx);
        }
    }
    return MPS_OK;
}

mps_status mps_refs_fork_copy(mps_seg *seg, uint32_t child)
{
    if (seg->refs->n == 0) {
        return MPS_OK;
    }
    mps_tx tx;
    mps_status st = mps_tx_begin(seg, &tx, MPS_DOOR_FREE);
    if (st != MPS_OK) {
        return st;
    }
    tx.door = MPS_DOOR_GIL; /* whoever forks may have the GIL: it is given up while we wait, as everywhere */
    mps_slot_body *body = mps_slot_body_at(seg, child);
    uint64_t most = 0;
    st = mps_refs_enter(&tx);
    if (st == MPS_OK) {
        for (uint64_t i = 0; i < seg->refs->capacity; i++) {
            const ref *r = &seg->refs->refs[i];
            most = r->off != 0 && r->index != NO_INDEX ? mps_max64(most, r->index) : most;
        }
        st = grow_table(&tx, body, most); /* at once, so that no older block is to be freed on the way */
    }
    if (st == MPS_OK) {
        st = copy_refs(&tx, body);
    }
    if (st == MPS_OK) {
        st = mps_tx_commit(&tx);
    } else {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
    return st;
}

/* Refers again to one object of the map, if it is still the same; else marks the entry. */
static void rejoin_one(mps_seg *seg, ref *r, uint32_t index)
{
    mps_tx tx;
    r->index = NO_INDEX;
    if (mps_tx_begin(seg, &tx, MPS_DOOR_FREE) != MPS_OK) {
        return;
    }
    mps_status st = mps_refs_enter(&tx);
    const mps_object *obj = st == MPS_OK ? mps_object_at(seg, r->off, 0) : NULL;
    if (obj != NULL && mps_load64(&obj->serial) == r->serial && mps_load64(&obj->refs) != 0) {
        st = mps_object_incref(&tx, r->off);
        if (st == MPS_OK) {
            st = set_table(&tx, seg->body, index, r->off);
        }
        if (st == MPS_OK && mps_tx_commit(&tx) == MPS_OK) {
            r->index = index;
        }
    }
    if (r->index == NO_INDEX) {
        mps_tx_abort(&tx);
    }
    mps_tx_end(&tx);
}

void mps_refs_rejoin(mps_seg *seg)
{
    struct mps_refmap *map = seg->refs;
    uint32_t index = 0;
    for (uint64_t i = 0; i < map->capacity; i++) {
        if (map->refs[i].off != 0) {
            rejoin_one(seg, &map->refs[i], index++);
        }
    }
    map->n_spare = 0;
    map->next = index;
}

/* ---- recovery, check ---- */

#define SOME 16u

mps_status mps_refs_drop_some(mps_tx *tx, mps_slot_body *body, bool *done)
{
    mps_status st = mps_refs_enter(tx);
    uint64_t used = mps_load64(&body->refs_used);
    for (uint32_t n = 0; n < SOME && used > 0 && st == MPS_OK; n++) {
        uint64_t *word = ref_at(tx->seg, body, used - 1);
        if (word == NULL) {
            st = MPS_E_CORRUPT;
            break;
        }
        mps_off off = mps_load64(word);
        if (off != 0) {
            mps_tx_set(tx, word, 0);
            st = mps_object_decref(tx, off);
        }
        mps_tx_set(tx, &body->refs_used, --used);
    }
    mps_off block = mps_load64(&body->refs_block);
    if (st == MPS_OK && used == 0 && block != 0) {
        mps_tx_set(tx, &body->refs_block, 0);
        mps_tx_set(tx, &body->refs_capacity, 0);
        st = mps_free(tx, block);
    }
    *done = used == 0;
    return st;
}

mps_status mps_refs_visit(mps_seg *seg, mps_slot_body *body, mps_visit *v)
{
    mps_off block = mps_load64(&body->refs_block);
    mps_status st = block != 0 ? v->block(v, block) : MPS_OK;
    uint64_t used = mps_load64(&body->refs_used);
    for (uint64_t i = 0; i < used && st == MPS_OK; i++) {
        const uint64_t *word = ref_at(seg, body, i);
        if (word == NULL) {
            return v->bad(v, "a slot's table of references leads outside of the segment");
        }
        if (mps_load64(word) != 0) {
            st = v->ref(v, mps_load64(word));
        }
    }
    return st;
}

mps_status mps_tokens_visit(mps_seg *seg, mps_visit *v)
{
    mps_off prev = 0;
    for (mps_off off = mps_load64(&mps_seg_root(seg)->tokens); off != 0;) {
        const mps_token *t = token_at(seg, off);
        if (t == NULL || t->prev != prev || TOKEN_OFF(t->id) != off) {
            return v->bad(v, "the list of tokens is broken");
        }
        mps_status st = v->block(v, off); /* finds a loop, too */
        if (st == MPS_OK) {
            st = v->ref(v, t->object);
        }
        if (st != MPS_OK) {
            return st;
        }
        prev = off;
        off = t->next;
    }
    return MPS_OK;
}
