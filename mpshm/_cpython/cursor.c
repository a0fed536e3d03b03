/* cursor.c -- Cursor: a place in a LinkedList, which knows its node, whatever comes before or after it.
 *
 * A cursor of the end belongs to its list. Any other follows its node: when that is found to be in another list of the segment, the
 * cursor gets a handle on that one.
 */
#include "cursor.h"

#include "refs.h"

#define FOLLOW_TRIES 64u /* how often a node that moves from list to list is followed */

static mpy_cursor *cursor_of(PyObject *self)
{
    return (mpy_cursor *)self;
}

static mpy_handle *list_of(const mpy_cursor *cursor)
{
    return mpy_handle_of(cursor->list);
}

PyObject *mpy_cursor_new(mpy_handle *list, const mps_cursor *place)
{
    PyTypeObject *type = list->state->cursor_type;
    mpy_cursor *made = (mpy_cursor *)type->tp_alloc(type, 0);
    if (made != NULL) {
        made->list = Py_NewRef((PyObject *)list);
        made->place = *place;
    }
    return (PyObject *)made;
}

PyObject *mpy_cursor_fail(mpy_handle *list, mps_status st, const char *tried)
{
    switch (st) {
    case MPS_E_STALE:
    case MPS_E_TYPE: PyErr_SetString(PyExc_ReferenceError, "the cursor's item was taken out of its list"); return NULL;
    case MPS_E_RANGE: PyErr_SetString(PyExc_IndexError, "the end of the list: there is no item"); return NULL;
    case MPS_E_INVAL:
        PyErr_SetString(PyExc_ValueError, "the cursor is of another list, or in no order with the others");
        return NULL;
    default: return mpy_fail(list, st, tried);
    }
}

/* The node is in another list: gets to that one. true: try again. */
static bool follow(mpy_cursor *cursor, mps_status *st)
{
    mpy_handle *h = list_of(cursor);
    for (unsigned i = 0; i < FOLLOW_TRIES && *st == MPS_E_TYPE; i++) {
        mps_off off = 0;
        *st = mps_linked_owner(h->seg, MPS_DOOR_GIL, &cursor->place, &off);
        if (*st != MPS_OK) {
            return *st == MPS_E_INTR && mpy_again(h, st);
        }
        PyObject *list = mpy_handle_wrap(h->state, h->seg, h->segment, off);
        if (list == NULL) {
            *st = MPY_RAISED;
            return false;
        }
        if (!mpy_is_kind(h->state, list, MPS_KIND_LINKED_LIST)) {
            Py_DECREF(list);
            *st = MPS_E_CORRUPT;
            return false;
        }
        *st = mps_linked_seek(h->seg, MPS_DOOR_GIL, off, &cursor->place);
        if (*st == MPS_OK) {
            Py_SETREF(cursor->list, list);
            return true;
        }
        Py_DECREF(list);
    }
    return false;
}

static inline bool again(mpy_cursor *cursor, mps_status *st)
{
    return *st == MPS_E_TYPE ? follow(cursor, st) : mpy_again(list_of(cursor), st);
}

static inline mps_spot spot_of(const mpy_cursor *cursor)
{
    return (mps_spot){.cursor = &cursor->place};
}

/* ---- the value ---- */

static PyObject *cursor_get_value(PyObject *self, void *closure)
{
    (void)closure;
    mpy_cursor *cursor = cursor_of(self);
    mps_copy copy;
    mps_copy_init(&copy);
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        st = mps_linked_get(h->seg, MPS_DOOR_GIL, h->off, spot_of(cursor), &copy);
    } while (mps_unlikely(st != MPS_OK) && again(cursor, &st));
    if (mps_likely(st == MPS_OK)) {
        return mpy_decode(list_of(cursor), &copy);
    }
    mps_copy_done(&copy);
    return mpy_cursor_fail(list_of(cursor), st, "get an item of a");
}

static int cursor_set_value(PyObject *self, PyObject *obj, void *closure)
{
    (void)closure;
    mpy_cursor *cursor = cursor_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    if (obj == NULL) {
        PyErr_SetString(PyExc_AttributeError, "the value at a Cursor cannot be deleted: erase() takes the item out");
        return -1;
    }
    if (mpy_encode_value(list_of(cursor), obj, &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return -1;
    }
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        st = mps_linked_set(h->seg, MPS_DOOR_GIL, h->off, spot_of(cursor), &enc);
    } while (mps_unlikely(st != MPS_OK) && again(cursor, &st));
    mpy_hold_done(&hold);
    return st == MPS_OK ? 0 : (mpy_cursor_fail(list_of(cursor), st, "set an item of a"), -1);
}

/* ---- moving ---- */

static PyObject *step(PyObject *self, bool back)
{
    mpy_cursor *cursor = cursor_of(self);
    mps_cursor place;
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        place = cursor->place;
        st = mps_linked_step(h->seg, MPS_DOOR_GIL, h->off, &place, back);
    } while (mps_unlikely(st != MPS_OK) && again(cursor, &st));
    if (st == MPS_OK) {
        return mpy_cursor_new(list_of(cursor), &place);
    }
    return mpy_cursor_fail(list_of(cursor), st, "walk a");
}

static PyObject *cursor_next(PyObject *self, PyObject *unused)
{
    (void)unused;
    return step(self, false);
}

static PyObject *cursor_prev(PyObject *self, PyObject *unused)
{
    (void)unused;
    return step(self, true);
}

/* ---- changing the list ---- */

static PyObject *insert(PyObject *self, PyObject *value, bool after)
{
    mpy_cursor *cursor = cursor_of(self);
    mps_enc enc;
    mps_cursor made = {0};
    mpy_hold hold = {0};
    if (mpy_encode_value(list_of(cursor), value, &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        st = mps_linked_insert(h->seg, MPS_DOOR_GIL, h->off, spot_of(cursor), after, &enc, 1, &made);
    } while (mps_unlikely(st != MPS_OK) && again(cursor, &st));
    mpy_hold_done(&hold);
    return st == MPS_OK ? mpy_cursor_new(list_of(cursor), &made)
                        : mpy_cursor_fail(list_of(cursor), st, "insert into a");
}

static PyObject *cursor_insert_before(PyObject *self, PyObject *value)
{
    return insert(self, value, false);
}

static PyObject *cursor_insert_after(PyObject *self, PyObject *value)
{
    return insert(self, value, true);
}

static PyObject *cursor_erase(PyObject *self, PyObject *unused)
{
    (void)unused;
    mpy_cursor *cursor = cursor_of(self);
    mps_cursor next = {0};
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        st = mps_linked_erase(h->seg, MPS_DOOR_GIL, h->off, spot_of(cursor), NULL, NULL, &next);
    } while (mps_unlikely(st != MPS_OK) && again(cursor, &st));
    return st == MPS_OK ? mpy_cursor_new(list_of(cursor), &next)
                        : mpy_cursor_fail(list_of(cursor), st, "take an item out of a");
}

/* Takes the item out if it is the one expected: whether it was. */
static PyObject *cursor_erase_if(PyObject *self, PyObject *expected)
{
    mpy_cursor *cursor = cursor_of(self);
    mps_enc enc;
    mpy_hold hold = {0};
    if (mpy_encode_value(list_of(cursor), expected, &enc, &hold) < 0) {
        mpy_hold_done(&hold);
        return NULL;
    }
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        st = mps_linked_erase(h->seg, MPS_DOOR_GIL, h->off, spot_of(cursor), &enc, NULL, NULL);
    } while (st != MPS_OK && st != MPS_E_TYPE && again(cursor, &st));
    mpy_hold_done(&hold);
    if (st == MPS_OK || st == MPS_E_CHANGED || st == MPS_E_STALE || st == MPS_E_TYPE) {
        return PyBool_FromLong(st == MPS_OK);
    }
    return mpy_cursor_fail(list_of(cursor), st, "take an item out of a");
}

/* A cursor among the arguments, or None: NULL in *out; of which list it may be, is the core's question. false: TypeError. */
static bool cursor_arg(mpy_state *state, PyObject *obj, bool needed, mpy_cursor **out)
{
    *out = NULL;
    if (obj == NULL || (!needed && obj == Py_None)) {
        return true;
    }
    if (!Py_IS_TYPE(obj, state->cursor_type)) {
        PyErr_Format(PyExc_TypeError, "a Cursor, not %.200s", Py_TYPE(obj)->tp_name);
        return false;
    }
    *out = cursor_of(obj);
    return true;
}

/* What a cursor means in a list: it must be of this one by now. */
static mps_status place_in(mpy_cursor *cursor, const mpy_handle *list)
{
    mps_status st = MPS_OK;
    do {
        const mpy_handle *h = list_of(cursor);
        st = mps_linked_seek(h->seg, MPS_DOOR_GIL, h->off, &cursor->place);
    } while (st != MPS_OK && again(cursor, &st));
    const mpy_handle *h = list_of(cursor);
    return st == MPS_OK && (h->seg != list->seg || h->off != list->off) ? MPS_E_INVAL : st;
}

PyObject *mpy_cursor_splice(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    mpy_handle *h = mpy_handle_of(self);
    mpy_cursor *to = NULL;
    mpy_cursor *first = NULL;
    mpy_cursor *last = NULL;
    if (!mpy_count_args("splice", n, 2, 4) || !cursor_arg(h->state, args[0], true, &to) ||
        !cursor_arg(h->state, n > 2 ? args[2] : NULL, false, &first) ||
        !cursor_arg(h->state, n > 3 ? args[3] : NULL, false, &last)) {
        return NULL;
    }
    if (!mpy_is_kind(h->state, args[1], MPS_KIND_LINKED_LIST)) {
        return PyErr_Format(PyExc_TypeError, "a LinkedList, not %.200s", Py_TYPE(args[1])->tp_name);
    }
    mpy_handle *other = mpy_handle_of(args[1]);
    if (other->seg != h->seg) {
        return PyErr_Format(PyExc_ValueError, "items move between lists of one segment only");
    }
    const mps_linked *mine = (const mps_linked *)mpy_object(h), *theirs = (const mps_linked *)mpy_object(other);
    if (mps_load64(&mine->pool) != mps_load64(&theirs->pool)) {
        return PyErr_Format(PyExc_ValueError, "items move between lists of one pool only");
    }
    if (first == NULL && last != NULL) {
        return PyErr_Format(PyExc_ValueError, "splice() with a last takes a first");
    }
    mps_status st = MPS_OK;
    for (;;) {
        st = place_in(to, h);
        st = st == MPS_OK && first != NULL ? place_in(first, other) : st;
        st = st == MPS_OK && last != NULL ? place_in(last, other) : st;
        if (st == MPS_OK) {
            st = mps_linked_splice(h->seg, MPS_DOOR_GIL, h->off, &to->place, other->off,
                                   first == NULL ? NULL : &first->place, last == NULL ? NULL : &last->place);
        }
        bool busy = st == MPS_E_BUSY;
        if (st == MPS_OK || (st != MPS_E_TYPE && !mpy_again(h, &st))) {
            break;
        }
        if (busy) { /* the lock of either may be held */
            st = MPS_E_BUSY;
            if (!mpy_again(other, &st)) {
                break;
            }
        }
    }
    if (st != MPS_OK) {
        return mpy_cursor_fail(h, st, "move items to a");
    }
    Py_RETURN_NONE;
}

/* ---- the type ---- */

static PyObject *cursor_list(PyObject *self, void *closure)
{
    (void)closure;
    return Py_NewRef(cursor_of(self)->list);
}

static PyObject *cursor_at_end(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(cursor_of(self)->place.id == 0);
}

static PyObject *cursor_compare(PyObject *self, PyObject *other, int how)
{
    if ((how != Py_EQ && how != Py_NE) || !Py_IS_TYPE(other, Py_TYPE(self))) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    const mpy_cursor *a = cursor_of(self);
    const mpy_cursor *b = cursor_of(other);
    bool same = list_of(a)->seg == list_of(b)->seg && a->place.node == b->place.node && a->place.id == b->place.id;
    return PyBool_FromLong(same == (how == Py_EQ));
}

static Py_hash_t cursor_hash(PyObject *self)
{
    const mpy_cursor *cursor = cursor_of(self);
    Py_hash_t hash = (Py_hash_t)(mps_mix(cursor->place.node, cursor->place.id | 1) >> 1);
    return hash;
}

static int cursor_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(cursor_of(self)->list);
    return 0;
}

static void cursor_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_CLEAR(cursor_of(self)->list);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef cursor_methods[] = {
    {"next", cursor_next, METH_NOARGS,
     "next($self, /)\n--\n\nA cursor to the next item, or to the end after the last."},
    {"prev", cursor_prev, METH_NOARGS, "prev($self, /)\n--\n\nA cursor to the item before."},
    {"insert_before", cursor_insert_before, METH_O,
     "insert_before($self, value, /)\n--\n\nPut an item in before this one, or at the end; a cursor to it."},
    {"insert_after", cursor_insert_after, METH_O,
     "insert_after($self, value, /)\n--\n\nPut an item in behind this one; a cursor to it."},
    {"erase", cursor_erase, METH_NOARGS, "erase($self, /)\n--\n\nTake the item out; a cursor to the next."},
    {"_erase_if", cursor_erase_if, METH_O,
     "_erase_if($self, expected, /)\n--\n\nTake the item out if it is the one expected; whether it was."},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, "For annotations: Cursor[item type]."},
    {0},
};

static PyGetSetDef cursor_getset[] = {
    {"value", cursor_get_value, cursor_set_value, "The item.", NULL},
    {"list", cursor_list, NULL, "The list that the item was in when it was last looked for.", NULL},
    {"at_end", cursor_at_end, NULL, "Whether it is the end of a list, where there is no item.", NULL},
    {0},
};

PyDoc_STRVAR(cursor_doc, "A place in a LinkedList: one of its items, or its end.");

static PyType_Slot cursor_slots[] = {
    {Py_tp_doc, (void *)cursor_doc},
    {Py_tp_dealloc, (void *)cursor_dealloc},
    {Py_tp_traverse, (void *)cursor_traverse},
    {Py_tp_richcompare, (void *)cursor_compare},
    {Py_tp_hash, (void *)cursor_hash},
    {Py_tp_methods, cursor_methods},
    {Py_tp_getset, cursor_getset},
    {0},
};

static PyType_Spec cursor_spec = {
    .name = "mpshm._types.Cursor",
    .basicsize = sizeof(mpy_cursor),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = cursor_slots,
};

int mpy_cursor_ready(PyObject *module, mpy_state *state)
{
    state->cursor_type = mpy_type_add(module, &cursor_spec, NULL, true);
    return state->cursor_type == NULL ? -1 : 0;
}
