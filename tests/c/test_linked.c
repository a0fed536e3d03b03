/* test_linked.c -- linked lists and cursors, against arrays of numbers. */
#include "content.h"

#include "linked.h"

#define MOST 300u
#define LISTS 2u

static const mps_door door = MPS_DOOR_FREE;

/* What a list holds: the number of each value, and a cursor to its node. */
typedef struct model {
    uint64_t n;
    uint64_t ids[MOST + 64];
    mps_cursor cursors[MOST + 64];
} model;

static mps_spot at_index(int64_t index)
{
    return (mps_spot){.index = index};
}

static mps_spot at_cursor(const mps_cursor *cursor)
{
    return (mps_spot){.cursor = cursor};
}

static void put(model *m, uint64_t at, uint64_t id, const mps_cursor *cursor)
{
    memmove(&m->ids[at + 1], &m->ids[at], (m->n - at) * 8);
    memmove(&m->cursors[at + 1], &m->cursors[at], (m->n - at) * sizeof m->cursors[0]);
    m->ids[at] = id;
    m->cursors[at] = *cursor;
    m->n++;
}

static void take(model *m, uint64_t at)
{
    m->n--;
    memmove(&m->ids[at], &m->ids[at + 1], (m->n - at) * 8);
    memmove(&m->cursors[at], &m->cursors[at + 1], (m->n - at) * sizeof m->cursors[0]);
}

static void check_all(const world *w, mps_off list, model *m)
{
    mps_snap snap;
    mps_cursor *cursors, it;
    uint64_t n;
    mps_snap_init(&snap);
    CHECK_OK(mps_linked_len(w->seg, door, list, &n));
    CHECK_OK(mps_linked_snapshot(w->seg, door, list, &snap, &cursors));
    CHECK(n == m->n && snap.n_items == n);
    CHECK_OK(mps_linked_at(w->seg, door, list, 0, &it));
    for (uint64_t i = 0; i < n; i++) {
        mps_copy copy;
        mps_copy_init(&copy);
        CHECK(cursors[i].node == m->cursors[i].node && cursors[i].id == m->cursors[i].id && it.id == cursors[i].id);
        m->cursors[i] = cursors[i]; /* knows its list */
        CHECK_OK(mps_linked_get(w->seg, door, list, at_cursor(&it), &copy));
        check_copy(w, &copy, m->ids[i], false);
        CHECK_OK(mps_linked_step(w->seg, door, list, &it, false));
    }
    CHECK(it.id == 0);
    CHECK_STATUS(mps_linked_step(w->seg, door, list, &it, false), MPS_E_RANGE);
    if (n > 0) {
        CHECK_OK(mps_linked_step(w->seg, door, list, &it, true));
        CHECK(it.id == m->cursors[n - 1].id);
    }
    free(cursors);
    mps_snap_drop_refs(w->seg, door, &snap, 0);
    mps_snap_done(&snap);
}

/* Every cursor is good in its own list, and known to be elsewhere in the other. */
static void check_owner(const world *w, const mps_off *lists, const model *m, check_rng *rng)
{
    uint64_t l = check_below(rng, LISTS);
    if (m[l].n == 0) {
        return;
    }
    mps_cursor cursor = m[l].cursors[check_below(rng, m[l].n)];
    mps_off owner;
    mps_status st = mps_linked_seek(w->seg, door, lists[l], &cursor);
    CHECK_OK(st);
    CHECK_OK(mps_linked_owner(w->seg, door, &cursor, &owner));
    CHECK(owner == lists[l]);
    mps_ref_drop(w->seg, door, owner);
}

static void one_list(const world *w, mps_off list, model *m, check_rng *rng)
{
    static thing t;
    uint64_t id = check_random(rng) >> 20, at = check_below(rng, m->n + 1);
    bool by_cursor = check_below(rng, 2) == 0, after = by_cursor && at < m->n && check_below(rng, 2) == 0;
    mps_cursor made, place, next;
    mps_copy copy;
    mps_copy_init(&copy);
    CHECK_OK(mps_linked_at(w->seg, door, list, (int64_t)at, &place));
    mps_spot spot = by_cursor ? at_cursor(&place) : at_index((int64_t)at);
    thing_value(w, &t, id);
    switch (check_below(rng, 6)) {
    case 0:
    case 1:
    case 2:
        CHECK_OK(mps_linked_insert(w->seg, door, list, spot, after, &t.enc, 1, &made));
        put(m, at + after, id, &made);
        break;
    case 3:
        if (at == m->n) {
            CHECK_STATUS(mps_linked_erase(w->seg, door, list, spot, NULL, NULL, NULL), MPS_E_RANGE);
            CHECK_STATUS(mps_linked_set(w->seg, door, list, spot, &t.enc), MPS_E_RANGE);
            break;
        }
        CHECK_OK(mps_linked_erase(w->seg, door, list, spot, NULL, &copy, &next));
        check_copy(w, &copy, m->ids[at], false);
        place = m->cursors[at];
        take(m, at);
        CHECK(next.id == (at < m->n ? m->cursors[at].id : 0));
        CHECK_STATUS(mps_linked_get(w->seg, door, list, at_cursor(&place), &copy), MPS_E_STALE);
        CHECK_STATUS(mps_linked_erase(w->seg, door, list, at_cursor(&place), NULL, NULL, NULL), MPS_E_STALE);
        CHECK_STATUS(mps_linked_step(w->seg, door, list, &place, true), MPS_E_STALE);
        break;
    case 4:
        if (at < m->n) {
            CHECK_OK(mps_linked_set(w->seg, door, list, spot, &t.enc));
            m->ids[at] = id;
        }
        break;
    default:
        if (at < m->n) {
            CHECK_OK(mps_linked_get(w->seg, door, list, spot, &copy));
            check_copy(w, &copy, m->ids[at], false);
        }
    }
}

static void whole(const world *w, mps_off list, model *m, check_rng *rng)
{
    static thing things[30];
    static mps_enc encs[30];
    uint64_t n = check_below(rng, 30), from = m->n;
    mps_snap snap;
    mps_cursor gone = {0};
    for (uint64_t i = 0; i < n; i++) {
        m->ids[from + i] = check_random(rng) >> 20;
        thing_value(w, &things[i], m->ids[from + i]);
        encs[i] = things[i].enc;
    }
    switch (check_below(rng, 4)) {
    case 0: CHECK_OK(mps_linked_insert(w->seg, door, list, at_index(INT64_MAX), false, encs, n, &gone)); break;
    case 1:
        gone = m->n > 0 ? m->cursors[0] : gone;
        CHECK_OK(mps_linked_clear(w->seg, door, list));
        if (m->n > 0) {
            mps_status st = mps_linked_seek(w->seg, door, list, &gone);
            CHECK_STATUS(st, MPS_E_STALE);
        }
        m->n = n = 0;
        break;
    case 2:
        mps_snap_init(&snap);
        CHECK_OK(mps_linked_snapshot(w->seg, door, list, &snap, NULL));
        mps_snap_drop_refs(w->seg, door, &snap, 0);
        CHECK_STATUS(mps_linked_replace(w->seg, door, list, encs, n, snap.seq + 2), MPS_E_CHANGED);
        CHECK_OK(mps_linked_replace(w->seg, door, list, encs, n, snap.seq));
        memmove(m->ids, m->ids + from, n * 8);
        m->n = 0;
        mps_snap_done(&snap);
        break;
    default:
        CHECK_OK(mps_linked_reverse(w->seg, door, list));
        n = 0;
        for (uint64_t i = 0; i < m->n / 2; i++) {
            uint64_t id = m->ids[i];
            mps_cursor cursor = m->cursors[i];
            m->ids[i] = m->ids[m->n - 1 - i];
            m->cursors[i] = m->cursors[m->n - 1 - i];
            m->ids[m->n - 1 - i] = id;
            m->cursors[m->n - 1 - i] = cursor;
        }
    }
    for (uint64_t i = 0; i < n; i++) {
        CHECK_OK(mps_linked_at(w->seg, door, list, (int64_t)(m->n + i), &m->cursors[m->n + i]));
    }
    m->n += n;
}

/* Moves a part of a list to another or the same. */
static void splice(const world *w, const mps_off *lists, model *m, check_rng *rng)
{
    uint64_t to = check_below(rng, LISTS), from = check_below(rng, LISTS), n = m[from].n;
    bool all = check_below(rng, 3) == 0;
    uint64_t first = all ? 0 : check_below(rng, n + 1), last = all ? n : first + check_below(rng, n - first + 1);
    uint64_t at = check_below(rng, m[to].n + 1);
    mps_cursor c_at, c_first, c_last;
    for (uint64_t i = 0; i < n; i++) { /* cursors of one list are told to another by its moves */
        CHECK_OK(mps_linked_seek(w->seg, door, lists[from], &m[from].cursors[i]));
    }
    CHECK_OK(mps_linked_at(w->seg, door, lists[to], (int64_t)at, &c_at));
    CHECK_OK(mps_linked_at(w->seg, door, lists[from], (int64_t)first, &c_first));
    CHECK_OK(mps_linked_at(w->seg, door, lists[from], (int64_t)last, &c_last));
    mps_status st =
        mps_linked_splice(w->seg, door, lists[to], &c_at, lists[from], all ? NULL : &c_first, all ? NULL : &c_last);
    if (to == from && !all && at > first && at < last) {
        CHECK_STATUS(st, MPS_E_INVAL);
        return;
    }
    CHECK_OK(st);
    if (to == from && (all || at == first || at == last)) {
        return;
    }
    for (uint64_t i = first; i < last; i++) {
        uint64_t id = m[from].ids[first];
        mps_cursor cursor = m[from].cursors[first], stray = cursor;
        if (to == from && at > first) { /* each goes behind those that went before it */
            take(&m[from], first);
            put(&m[to], at - 1, id, &cursor);
            continue;
        }
        uint64_t source = to == from ? i : first;
        id = m[from].ids[source];
        cursor = stray = m[from].cursors[source];
        take(&m[from], source);
        put(&m[to], at + (i - first), id, &cursor);
        if (to != from) {
            CHECK_STATUS(mps_linked_seek(w->seg, door, lists[from], &stray), MPS_E_TYPE);
        }
    }
}

/* Any sequence of operations leaves what the same operations leave in arrays; every cursor follows its node; nothing leaks. */
static void test_model(check_rng *rng)
{
    static model m[LISTS];
    world w = world_make(8u << 20);
    mps_off lists[LISTS];
    for (uint64_t l = 0; l < LISTS; l++) {
        lists[l] = world_object(&w, MPS_KIND_LINKED_LIST, sizeof(mps_linked));
        m[l].n = 0;
    }
    for (int i = 0; i < 6000; i++) {
        uint64_t l = check_below(rng, LISTS), what = check_below(rng, 20);
        if (m[0].n + m[1].n > MOST) {
            CHECK_OK(mps_linked_clear(w.seg, door, lists[l]));
            m[l].n = 0;
        } else if (what == 0) {
            whole(&w, lists[l], &m[l], rng);
        } else if (what == 1) {
            splice(&w, lists, m, rng);
        } else {
            one_list(&w, lists[l], &m[l], rng);
        }
        check_owner(&w, lists, m, rng);
        if (i % 32 == 0) {
            check_all(&w, lists[0], &m[0]);
            check_all(&w, lists[1], &m[1]);
            CHECK_SOUND(w.seg);
        }
    }
    mps_ref_drop(w.seg, door, lists[0]);
    mps_ref_drop(w.seg, door, lists[1]);
    world_end(&w);
}

/* Links that were tampered with end in a status, never in a fault or an endless walk; check() sees them. */
static void test_hostile(check_rng *rng)
{
    enum { N = 20 };
    world w = world_make(2u << 20);
    mps_off list = world_object(&w, MPS_KIND_LINKED_LIST, sizeof(mps_linked));
    mps_cursor cursors[N], next;
    char why[200];
    for (int i = 0; i < N; i++) {
        mps_enc value = {.value = mps_value_int(i)};
        CHECK_OK(mps_linked_insert(w.seg, door, list, at_index(INT64_MAX), false, &value, 1, &cursors[i]));
    }
    uint8_t *saved = malloc(w.nbytes);
    CHECK(saved != NULL);
    memcpy(saved, w.buffer, w.nbytes);
    for (int i = 0; i < 400; i++) {
        uint64_t *link = mps_region_at(&w.seg->region, cursors[check_below(rng, N)].node);
        uint64_t other = cursors[check_below(rng, N)].node, which = check_below(rng, 2);
        uint64_t now = check_below(rng, 3) == 0 ? check_random(rng) >> check_below(rng, 60) : other;
        if (link[which] == now) {
            continue;
        }
        link[which] = now;
        CHECK_STATUS(mps_seg_check(w.seg, why, sizeof(why)), MPS_E_CORRUPT);
        mps_copy copy;
        mps_copy_init(&copy);
        (void)mps_linked_get(w.seg, door, list, at_index((int64_t)check_below(rng, N)), &copy);
        mps_linked *l = mps_region_at(&w.seg->region, list);
        l->moves++;
        (void)mps_linked_step(w.seg, door, list, &cursors[3], check_below(rng, 2) == 0);
        (void)mps_linked_erase(w.seg, door, list, at_cursor(&cursors[check_below(rng, N)]), NULL, NULL, &next);
        (void)mps_linked_reverse(w.seg, door, list);
        mps_off owner;
        if (mps_linked_owner(w.seg, door, &cursors[check_below(rng, N)], &owner) == MPS_OK) {
            mps_ref_drop(w.seg, door, owner);
        }
        memcpy(w.buffer, saved, w.nbytes);
        CHECK_OK(mps_linked_at(w.seg, door, list, 3, &cursors[3]));
    }
    free(saved);
    CHECK_SOUND(w.seg);
    mps_ref_drop(w.seg, door, list);
    world_end(&w);
}

int main(void)
{
    check_rng rng = check_seed(20240703);
    test_model(&rng);
    test_hostile(&rng);
    return 0;
}
