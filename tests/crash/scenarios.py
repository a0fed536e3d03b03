"""Operations to be killed in, each with what they start from and how to look at the result.

A scenario's `setup` makes its things in a fresh manager and returns them; `op` is the one operation that is killed;
`look` shows all that the operation may have changed, as plain values. Whatever point the operation dies at, `look` must
give what it gave before, or what it gives after an undisturbed run.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
from array import array
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import large
import named
import synchronize

from mpshm import AdaptivePool, CachedNodePool, LinkedList, NodePool, _binding, queues, sharedctypes
from mpshm import sorted as ordered
from mpshm.allocators import pool_for
from mpshm.managers import SyncManager, _rebuild_manager
from mpshm.ndarrays import asarray

Things = dict[str, Any]


class Scenario(NamedTuple):
    setup: Callable[[Any], Things]
    op: Callable[[Things], object]
    look: Callable[[Things], object]


LONG = "a text that does not fit into sixteen bytes " * 2
BLOB = b"0123456789" * 1000
TEXTS = {f"key number {i} is long enough": f"value number {i} is long too" for i in range(40)}


def plain(value: Any) -> Any:
    """A shared object's content as builtins, nested ones too."""
    if hasattr(value, "_getvalue"):
        value = value._getvalue()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return {str(v) for v in value}
    if isinstance(value, (list, tuple, deque)):
        return [plain(v) for v in value]
    return value


def a_dict(*args: Any, **kwargs: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.dict(*args, **kwargs)}


def a_list(*args: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.list(*args)}


def a_set(*args: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.set(*args)}


def a_deque(*args: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.deque(*args)}


def look(things: Things) -> object:
    return plain(things["d"])


def nested(m: Any) -> Things:
    inner = m.list([1, LONG])
    d = m.dict(inner=inner, other=m.dict(TEXTS))
    return {"m": m, "d": d}


def two(m: Any) -> Things:
    return {"m": m, "d": m.dict(a=1), "inner": m.list([1, LONG])}


def on_its_way(m: Any) -> Things:
    """A dict that may stay alive: a handle pickled by a process that died counts until the manager ends."""
    return {"m": m, "d": m.dict(a=1), "tokens": 1}


def fork(things: Things, act: Callable[[Things], object]) -> None:
    """Fork a child that does something. It inherits the number it is to die at; its death counts as ours."""
    pid = os.fork()
    if pid == 0:
        act(things)
        os._exit(0)
    _, how = os.waitpid(pid, 0)
    if os.WIFSIGNALED(how):
        os.kill(os.getpid(), signal.SIGKILL)


def leave(things: Things) -> None:
    """Drop every handle, and the manager: this process leaves the segment as a living one does."""
    segment_id = things["m"].segment.id
    things.clear()
    gc.collect()
    assert _binding.find(segment_id) is None, "something still refers to the segment"


def travel(things: Things) -> None:
    things["copies"] = pickle.loads(pickle.dumps([things["d"]] * 2))


def replace(d: Any, key: Any, value: Any) -> None:
    d[key] = value


def remove(d: Any, key: Any) -> None:
    del d[key]


def add_in_place(d: Any, values: list[Any]) -> None:
    d += values


def multiply_in_place(d: Any, n: int) -> None:
    d *= n


def on(method: str, *args: Any, **kwargs: Any) -> Callable[[Things], object]:
    return lambda t: getattr(t["d"], method)(*args, **kwargs)


def put(key: Any, value: Any) -> Callable[[Things], object]:
    return lambda t: replace(t["d"], key, value)


def cut(key: Any) -> Callable[[Things], object]:
    return lambda t: remove(t["d"], key)


def full_dict(m: Any) -> Things:
    """A dict whose table has no room for one more key."""
    d = m.dict()
    for i in range(5):
        d[i] = LONG
    return {"m": m, "d": d}


def full_list(m: Any) -> Things:
    """A list whose array is full, and can't be made longer in place."""
    d = m.list()
    for i in range(8):
        d.append(i)
    return {"m": m, "d": d, "behind": m.list([LONG])}


def full_set(m: Any) -> Things:
    """A set whose table has no room for one more key."""
    d = m.set()
    for i in range(5):
        d.add(f"{LONG}{i}")
    return {"m": m, "d": d}


def round_deque(items: list[Any], taken: int, put: int, maxlen: int | None = None) -> Callable[[Any], Things]:
    """A deque from whose left end items were taken, and at whose right end others were put in: it goes round the end
    of its array when enough were."""

    def make(m: Any) -> Things:
        d = m.deque(items, maxlen)
        for i in range(max(taken, put)):
            if i < taken:
                d.popleft()
            if i < put:
                d.append(LONG if i % 3 == 0 else i)
        return {"m": m, "d": d}

    return make


def a_full_deque(m: Any) -> Things:
    """A deque whose array is full."""

    def make(n: int) -> Any:
        d = m.deque([LONG])
        for i in range(n):
            d.append(i)
        return d

    probe = make(0)
    used, fits = m.segment.stats().used, 0
    while m.segment.stats().used == used:
        probe.append(fits)
        fits += 1
    del probe
    gc.collect()
    return {"m": m, "d": make(fits - 1)}


class Account:
    """A class of a user's."""

    def __init__(self, notes: Any = ()) -> None:
        self.notes = list(notes)

    def note(self, value: Any) -> None:
        self.notes.append(value)

    def forget(self) -> None:
        self.notes.clear()

    def read(self) -> list[Any]:
        return self.notes

    def note_and_fail(self, value: Any) -> None:
        self.notes.append(value)
        raise LookupError


class Users(SyncManager):
    pass


Users.register("Account", Account)


def an_account(*notes: Any) -> Callable[[Any], Things]:
    def make(m: Any) -> Things:
        users = _rebuild_manager(Users, m.segment, m.address)
        return {"m": m, "users": users, "inner": m.list([LONG]), "d": users.Account(notes)}  # type: ignore[attr-defined]

    return make


def notes(things: Things) -> object:
    return [plain(value) for value in things["d"]._getvalue().notes]


def note_and_fail(things: Things) -> None:
    try:
        things["d"].note_and_fail(LONG)
    except LookupError:
        pass


NUMBERS = list(range(40))
TEXT_KEYS = [f"key number {i} is long enough" for i in range(40)]


def an_array(n: int, typecode: str = "i") -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.Array(typecode, [1] * n)}


def two_arrays(m: Any) -> Things:
    return {"m": m, "d": m.Array("i", [1, 2]), "d2": m.Array("i", range(1000))}


def a_raw(m: Any) -> Things:
    return {"m": m, "d": m.dict(a=1), "raw": sharedctypes.RawArray("B", b"raw", segment=m.segment)}


def new_raw(things: Things, n: int) -> object:
    return sharedctypes.RawArray("B", n, segment=things["m"].segment)


def two_raws(m: Any) -> Things:
    return a_raw(m) | {"raw2": sharedctypes.RawArray("d", 1000, segment=m.segment)}


def look_raw(things: Things) -> object:
    """The raw object, and the one in the dict, if it is there."""
    inner = things["d"].get("raw")
    return bytes(things["raw"]), inner if inner is None else bytes(inner)


def an_ndarray(m: Any) -> Things:
    return {"m": m, "d": m.dict(a=1), "whole": m.ndarray((2, 3), "i4", fill=7), "large": m.ndarray(10_000)}


def look_ndarray(things: Things) -> object:
    """The array, and the part of it in the dict, if it is there."""
    inner = things["d"].get("part")
    return things["whole"].tolist(), inner if inner is None else inner.tolist()


def a_number(m: Any) -> Things:
    """A Value that was added to, so that its lock has adders; and one that was not."""
    number, fresh = (sharedctypes.Value("i", 0, segment=m.segment) for _ in range(2))
    number.add(1)
    return {"m": m, "d": number.get_lock(), "number": number, "fresh": fresh}


def a_real(m: Any) -> Things:
    number = sharedctypes.Value("d", 1.25, segment=m.segment)
    number.add(1)
    return {"m": m, "d": number.get_lock(), "number": number}


def look_number(things: Things) -> object:
    return things["number"].value


TEXT = b"a message of a hundred bytes" * 4
LARGE = TEXT * 30  # more than the first part of a queue has room for, but no blob


def a_queue(*items: Any, taken: int = 0, maxsize: int = 0) -> Callable[[Any], Things]:
    """A queue into which `items` were put, and from which so many were taken."""

    def make(m: Any) -> Things:
        q = m.JoinableQueue(maxsize)
        for item in items:
            q.put(item)
        for _ in range(taken):
            q.get()
        return {"m": m, "d": q, "inner": m.list([LONG])}

    return make


def a_queue_of(make_item: Callable[[Things], Any]) -> Callable[[Any], Things]:
    """A queue with one item that refers to a shared list, to which nothing else refers."""

    def make(m: Any) -> Things:
        things = a_queue(1, 2, taken=2)(m)
        things["d"].put(make_item(things))
        del things["inner"]
        return things

    return make


def queue_in_dict(m: Any) -> Things:
    q = m.Queue()
    for i in range(60):
        q.put((i, LONG))
        q.put(BLOB if i % 20 == 0 else m.list([i]) if i % 20 == 10 else TEXT)
    return {"m": m, "d": m.dict(q=q, other=1)}


def look_at_keys(things: Things) -> object:
    return sorted(things["d"].keys())


def look_at_queue(things: Things) -> object:
    """The items, which are put back, and the number of unfinished tasks."""
    q, items = things["d"], []
    unfinished = q.unfinished_tasks
    try:
        while True:
            items.append(q.get_nowait())
    except (queues.Empty, queues.ShutDown):
        pass
    if not q.is_shutdown:
        for item in items:
            q.put_nowait(item)
            q.task_done()
    return plain(items), unfinished, q.is_shutdown


def put_in_vain(things: Things) -> None:
    try:
        things["d"].put(BLOB, timeout=0.001)
    except queues.Full:
        pass


def a_map(n: int = 0, key: Callable[[int], Any] = int, value: object = 1) -> Callable[[Any], Things]:
    """A sorted map of n items, every other number a key; made in one step, so that all its nodes are full."""
    return lambda m: {"m": m, "d": m.map({key(2 * i): value for i in range(n)})}


def thin_map(*keep: int, value: object = 1) -> Callable[[Any], Things]:
    """A sorted map of numbers whose leaves have these numbers of items, all nodes above them being full."""

    def make(m: Any) -> Things:
        d = m.map({i: value for i in range(len(keep) * FANOUT)})
        d._take([leaf * FANOUT + i for leaf, n in enumerate(keep) for i in range(n, FANOUT)])
        return {"m": m, "d": d}

    return make


def a_sorted(kind: str, *args: Any) -> Callable[[Any], Things]:
    def make(m: Any) -> Things:
        return {"m": m, "d": getattr(ordered, kind)._make(m.segment, *args)}

    return make


FANOUT = 62  # items of a full leaf, children of a full node
LEAST = FANOUT // 2 - 2  # items that a leaf has at least


def a_vector(*args: Any, **kwargs: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.vector(*args, **kwargs)}


def full_vector(m: Any) -> Things:
    """A vector that has no room for one more item, and can't be made longer where it is."""
    d = m.vector("i8", range(100))
    wall = m.list(range(500))
    d.resize(d.capacity)
    return {"m": m, "d": d, "wall": wall}


def a_viewed_vector(m: Any) -> Things:
    d = m.vector("i8", range(300))
    return {"m": m, "d": d, "view": d.array}


def shrinkable_vector(m: Any) -> Things:
    d = m.vector("i8", range(900))
    d.resize(50)
    return {"m": m, "d": d}


def look_items(things: Things) -> object:
    return things["d"].tolist()


def a_linked(*args: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.linked_list(*args)}


def two_linked(m: Any) -> Things:
    return {"m": m, "d": m.linked_list([1, LONG, 3]), "other": m.linked_list(["a", "b", LONG, "d"])}


def splice_part(things: Things) -> None:
    other = things["other"]
    things["d"].splice(things["d"].cursor(1), other, other.cursor(1), other.cursor(3))


def splice_within(things: Things) -> None:
    other = things["other"]
    other.splice(other.begin(), other, other.cursor(2))


def followed_linked(m: Any) -> Things:
    """A cursor whose item was moved to another list since."""
    things = two_linked(m)
    things["cursor"] = things["other"].cursor(2)
    things["d"].splice(things["d"].begin(), things["other"])
    return things


def pooled(cls: type[Any], content: Any, kind: type[Any], **options: int) -> Callable[[Any], Things]:
    """A container of nodes from a pool of small chunks, of which another one has nodes too."""

    def make(m: Any) -> Things:
        allocator = kind(nodes_per_chunk=2, **options)
        d = cls._make(m.segment, content, allocator=allocator)
        return {"m": m, "d": d, "other": cls._make(m.segment, content, allocator=d.allocator)}

    return make


def pooled_map(kind: type[Any], n: int, **options: int) -> Callable[[Any], Things]:
    return pooled(ordered.Map, {i: LONG if i % 9 == 0 else 1 for i in range(n)}, kind, **options)


def pooled_thin_map(kind: type[Any], *keep: int, **options: int) -> Callable[[Any], Things]:
    """As thin_map, in a pool."""
    full = pooled(ordered.Map, {i: LONG for i in range(len(keep) * FANOUT)}, kind, **options)

    def make(m: Any) -> Things:
        things = full(m)
        things["d"]._take([leaf * FANOUT + i for leaf, n in enumerate(keep) for i in range(n, FANOUT)])
        return things

    return make


def look_pooled(things: Things) -> object:
    """Both containers, and, where nothing is cached, how many nodes of the pool they have."""
    seen, pool = (plain(things["d"]), plain(things["other"])), things["d"].allocator
    things["m"].segment.recover()  # (what a dead process was still taking apart)
    return *seen, pool.stats().used if pool.max_cached_nodes == 0 else None


def new_pooled(things: Things, kind: type[Any]) -> None:
    ordered.Map._make(things["m"].segment, {1: LONG}, allocator=kind)


def look_both(things: Things) -> object:
    return plain(things["d"]), plain(things["other"])


def a_string(*args: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.string(*args)}


def shrinkable_string(m: Any) -> Things:
    d = m.string("abc" * 500)
    del d[30:]
    return {"m": m, "d": d}


SCENARIOS: dict[str, Scenario] = {
    "dict_first_key": Scenario(a_dict(), put("k", 1), look),
    "dict_new_key": Scenario(a_dict(a=1), put("b", 2), look),
    "dict_new_long": Scenario(a_dict(a=1), put(LONG, LONG), look),
    "dict_replace": Scenario(a_dict(a=1), put("a", 2), look),
    "dict_replace_long": Scenario(a_dict(a=LONG), put("a", LONG + "!"), look),
    "dict_replace_by_short": Scenario(a_dict(a=LONG), put("a", None), look),
    "dict_blob": Scenario(a_dict(a=1), put("b", BLOB), look),
    "dict_blob_replaced": Scenario(a_dict(b=BLOB), put("b", BLOB + b"!"), look),
    "dict_pickle": Scenario(a_dict(a=1), put("p", {"x": [1, 2, (3,)]}), look),
    "dict_compound_key": Scenario(a_dict(a=1), put((1, "x", None), 5), look),
    "dict_grow": Scenario(full_dict, put("six", 6), look),
    "dict_grow_long": Scenario(a_dict(TEXTS), on("update", {f"new {i} and long enough": i for i in range(20)}), look),
    "dict_delete": Scenario(a_dict(TEXTS), cut("key number 7 is long enough"), look),
    "dict_pop": Scenario(a_dict(a=1, b=LONG), on("pop", "b"), look),
    "dict_popitem": Scenario(a_dict(a=1, b=LONG), on("popitem"), look),
    "dict_setdefault": Scenario(a_dict(a=1), on("setdefault", "b", LONG), look),
    "dict_incr": Scenario(a_dict(a=1), on("incr", "a", 5), look),
    "dict_incr_new": Scenario(a_dict(a=1), on("incr", "b", 5), look),
    "dict_incr_float": Scenario(a_dict(a=1.5), on("incr", "a", 5), look),
    "dict_exchange": Scenario(a_dict(a=LONG), on("compare_exchange", "a", LONG, 7), look),
    "dict_compute": Scenario(a_dict(a=3), on("compute", "a", lambda v: v + 1), look),
    "dict_update": Scenario(a_dict(a=1), on("update", a=2, b=LONG, c=BLOB), look),
    "dict_clear": Scenario(a_dict(TEXTS), on("clear"), look),
    "dict_store_ref": Scenario(two, lambda t: replace(t["d"], "r", t["inner"]), look),
    "dict_store_ref_in_pickle": Scenario(two, lambda t: replace(t["d"], "r", (1, t["inner"])), look),
    "dict_drop_ref": Scenario(nested, cut("inner"), look),
    "dict_drop_tree": Scenario(nested, on("clear"), look),
    "dict_load_ref": Scenario(nested, lambda t: t["d"]["inner"][0], look),
    "dict_items": Scenario(nested, on("items"), look),
    "dict_made": Scenario(a_dict(a=1), lambda t: t["m"].dict(TEXTS), look),
    "dict_made_and_kept": Scenario(a_dict(a=1), lambda t: t.update(new=t["m"].list([LONG])), look),
    "list_append": Scenario(a_list([1]), on("append", LONG), look),
    "list_append_first": Scenario(a_list(), on("append", 1), look),
    "list_append_grow": Scenario(full_list, on("append", 1), look),
    "list_extend_grow": Scenario(full_list, on("extend", list(range(200))), look),
    "list_set": Scenario(a_list([1, LONG, 3]), put(1, 2), look),
    "list_insert": Scenario(a_list(NUMBERS), on("insert", 3, LONG), look),
    "list_insert_front": Scenario(a_list(NUMBERS), on("insert", 0, 1), look),
    "list_pop": Scenario(a_list([1, LONG]), on("pop"), look),
    "list_pop_front": Scenario(a_list(NUMBERS), on("pop", 0), look),
    "list_delete_slice": Scenario(a_list([LONG, *NUMBERS]), cut(slice(0, 10)), look),
    "list_delete_steps": Scenario(a_list([LONG, *NUMBERS]), cut(slice(0, 30, 3)), look),
    "list_assign_slice": Scenario(a_list(NUMBERS), put(slice(5, 9), [LONG] * 9), look),
    "list_assign_steps": Scenario(a_list([LONG] * 10), put(slice(0, 10, 2), [1, 2, 3, 4, 5]), look),
    "list_extend": Scenario(a_list([1]), on("extend", [LONG, BLOB, None, 2.5]), look),
    "list_iadd": Scenario(a_list([1]), lambda t: add_in_place(t["d"], [2, LONG]), look),
    "list_imul": Scenario(a_list([1, LONG]), lambda t: multiply_in_place(t["d"], 3), look),
    "list_reverse": Scenario(a_list(NUMBERS), on("reverse"), look),
    "list_sort": Scenario(a_list(NUMBERS[::-1]), on("sort"), look),
    "list_remove": Scenario(a_list([1, LONG, 2]), on("remove", LONG), look),
    "list_clear": Scenario(a_list([LONG] * 50), on("clear"), look),
    "set_add": Scenario(a_set([1]), on("add", 2), look),
    "set_add_first": Scenario(a_set(), on("add", LONG), look),
    "set_add_compound": Scenario(a_set([1]), on("add", (1, "x", frozenset({2}))), look),
    "set_add_grow": Scenario(full_set, on("add", LONG), look),
    "set_discard": Scenario(a_set(TEXT_KEYS), on("discard", TEXT_KEYS[7]), look),
    "set_pop": Scenario(a_set([1, LONG]), on("pop"), look),
    "set_clear": Scenario(a_set(TEXT_KEYS), on("clear"), look),
    "set_update": Scenario(a_set([1]), on("update", [LONG, 2, (3, 4)], [BLOB]), look),
    "set_update_grow": Scenario(full_set, on("update", TEXT_KEYS), look),
    "set_difference_few": Scenario(a_set(TEXT_KEYS), on("difference_update", TEXT_KEYS[:3]), look),
    "set_difference_most": Scenario(a_set(TEXT_KEYS), on("difference_update", TEXT_KEYS[3:]), look),
    "set_difference_all": Scenario(a_set(TEXT_KEYS), on("difference_update", TEXT_KEYS), look),
    "set_intersection": Scenario(a_set([*TEXT_KEYS, 1]), on("intersection_update", TEXT_KEYS[:3], TEXT_KEYS[1:]), look),
    "set_toggle": Scenario(a_set(TEXT_KEYS[:9]), on("symmetric_difference_update", TEXT_KEYS[5:13]), look),
    "set_toggle_grow": Scenario(full_set, on("symmetric_difference_update", [LONG + "1", *TEXT_KEYS]), look),
    "set_made_again": Scenario(a_set(TEXT_KEYS), on("__init__", [1, LONG]), look),
    "set_made": Scenario(a_set([1]), lambda t: t["m"].set(TEXT_KEYS), look),
    "deque_append": Scenario(a_deque([1]), on("append", 2), look),
    "deque_append_first": Scenario(a_deque(), on("append", LONG), look),
    "deque_append_long": Scenario(a_deque([1]), on("append", LONG), look),
    "deque_append_blob": Scenario(a_deque([1]), on("append", BLOB), look),
    "deque_append_grow": Scenario(a_full_deque, on("append", LONG), look),
    "deque_appendleft_grow": Scenario(a_full_deque, on("appendleft", 1), look),
    "deque_appendleft_round": Scenario(a_deque([1, LONG]), on("appendleft", LONG), look),
    "deque_append_round": Scenario(round_deque(NUMBERS, 30, 29), on("append", LONG), look),
    "deque_append_at_maxlen": Scenario(a_deque([LONG, 1, 2], 3), on("append", 3), look),
    "deque_append_long_at_maxlen": Scenario(a_deque([LONG, 1, 2], 3), on("append", LONG + "!"), look),
    "deque_appendleft_at_maxlen": Scenario(a_deque([1, 2, BLOB], 3), on("appendleft", LONG), look),
    "deque_pop": Scenario(a_deque([1, LONG]), on("pop"), look),
    "deque_popleft": Scenario(round_deque(NUMBERS, 38, 37), on("popleft"), look),
    "deque_popleft_shrinks": Scenario(round_deque([LONG] * 90, 55, 0), on("popleft"), look),
    "deque_pop_ref": Scenario(lambda m: {"m": m, "d": m.deque([m.list([LONG])])}, on("pop"), look),
    "deque_extend": Scenario(a_deque([1]), on("extend", [LONG, BLOB, None, 2.5]), look),
    "deque_extend_grow": Scenario(a_deque([1, LONG]), on("extend", list(range(200))), look),
    "deque_extend_at_maxlen": Scenario(a_deque([LONG, 1, LONG], 4), on("extend", [2, LONG + "!"]), look),
    "deque_extend_beyond_maxlen": Scenario(a_deque([LONG, 1], 3), on("extend", [*NUMBERS, LONG]), look),
    "deque_extendleft": Scenario(a_deque([1, LONG]), on("extendleft", [2, LONG, 3]), look),
    "deque_extendleft_at_maxlen": Scenario(a_deque([LONG, 1, LONG], 4), on("extendleft", [2, LONG + "!"]), look),
    "deque_set": Scenario(a_deque([1, LONG, 3]), put(1, 2), look),
    "deque_insert_near_the_front": Scenario(a_deque(NUMBERS), on("insert", 3, LONG), look),
    "deque_insert_near_the_end": Scenario(a_deque(NUMBERS), on("insert", -3, LONG), look),
    "deque_insert_round": Scenario(round_deque(NUMBERS, 30, 35), on("insert", 12, LONG), look),
    "deque_insert_full": Scenario(a_full_deque, on("insert", 3, LONG), look),
    "deque_delete": Scenario(a_deque([*NUMBERS, LONG, 1, 2]), cut(-3), look),
    "deque_delete_front": Scenario(a_deque([1, 2, LONG, *NUMBERS]), cut(2), look),
    "deque_delete_round": Scenario(round_deque(NUMBERS, 30, 35), cut(10), look),
    "deque_remove": Scenario(a_deque([1, 2, LONG, 3]), on("remove", LONG), look),
    "deque_rotate": Scenario(round_deque([LONG, *NUMBERS], 4, 0), on("rotate", 3), look),
    "deque_rotate_left": Scenario(a_deque([LONG, *NUMBERS]), on("rotate", -3), look),
    "deque_rotate_without_room": Scenario(round_deque([LONG, *NUMBERS], 0, 20), on("rotate", 25), look),
    "deque_rotate_full": Scenario(a_full_deque, on("rotate", 3), look),
    "deque_reverse": Scenario(round_deque(NUMBERS, 30, 35), on("reverse"), look),
    "deque_iadd": Scenario(a_deque([1]), lambda t: add_in_place(t["d"], [2, LONG]), look),
    "deque_imul": Scenario(a_deque([1, LONG]), lambda t: multiply_in_place(t["d"], 3), look),
    "deque_imul_at_maxlen": Scenario(a_deque([1, LONG, BLOB], 5), lambda t: multiply_in_place(t["d"], 3), look),
    "deque_made_again": Scenario(a_deque([LONG] * 30), on("__init__", [1, LONG], 5), look),
    "deque_clear": Scenario(round_deque([LONG] * 50, 40, 39), on("clear"), look),
    "deque_dropped": Scenario(
        lambda m: {"m": m, "d": m.dict(q=m.deque([m.list([LONG]), LONG]), s=m.set([LONG]))}, on("clear"), look
    ),
    "map_first_key": Scenario(a_map(), put(1, LONG), look),
    "map_new_key": Scenario(a_map(30), put(21, LONG), look),
    "map_replace": Scenario(a_map(30), put(20, LONG), look),
    "map_split_leaf": Scenario(a_map(FANOUT), put(21, LONG), look),
    "map_split_leaf_below_root": Scenario(a_map(3 * FANOUT), put(201, 2), look),
    "map_split_at_end": Scenario(a_map(2 * FANOUT), put(999, 2), look),
    "map_split_root": Scenario(a_map(FANOUT * FANOUT), put(3001, 2), look),
    "map_long_keys": Scenario(a_map(FANOUT, "a key that is long enough {:04}".format, LONG), put(LONG, LONG), look),
    "map_tuple_keys": Scenario(a_map(FANOUT, lambda i: (i // 5, str(i % 5))), put((7, "x"), BLOB), look),
    "map_delete": Scenario(a_map(30, value=LONG), cut(20), look),
    "map_delete_first_of_leaf": Scenario(
        a_map(3 * FANOUT, "a key that is long enough {:04}".format), cut("a key that is long enough 0124"), look
    ),
    "map_merge": Scenario(thin_map(LEAST, LEAST, LEAST, value=LONG), cut(FANOUT), look),
    "map_merge_to_root": Scenario(thin_map(LEAST, LEAST), cut(0), look),
    "map_merge_inner": Scenario(thin_map(*[FANOUT] * 61, LEAST, LEAST), cut(61 * FANOUT), look),
    "map_borrow_from_right": Scenario(thin_map(LEAST, FANOUT), cut(0), look),
    "map_borrow_from_left": Scenario(thin_map(FANOUT, LEAST), cut(FANOUT), look),
    "map_borrow_inner": Scenario(thin_map(*[FANOUT] * 61, LEAST, LEAST, FANOUT), cut(61 * FANOUT + 5), look),
    "map_popitem": Scenario(a_map(FANOUT + 1, value=LONG), on("popitem"), look),
    "map_popitem_first": Scenario(a_map(FANOUT + 1, value=BLOB), on("popitem", 0), look),
    "map_update": Scenario(a_map(70, value=LONG), on("update", {i: 5 for i in range(0, 200, 3)}), look),
    "map_update_few": Scenario(a_map(FANOUT * 10), on("update", {301: 5, 302: LONG, 999: 7}), look),
    # More than one step in the same nodes: what the first left behind those in use is needed to undo it.
    "map_update_after_a_split": Scenario(a_map(FANOUT), on("update", {1: LONG, 3: 5, 5: 6}), look),
    "map_take_after_a_borrowing": Scenario(
        thin_map(FANOUT, LEAST), on("_take", [FANOUT, FANOUT + 1, FANOUT + 2, *range(26)]), look
    ),
    "map_clear": Scenario(a_map(FANOUT + 9, value=LONG), on("clear"), look),
    "map_incr": Scenario(a_map(FANOUT), on("incr", 33, 5), look),
    "map_setdefault": Scenario(a_map(5), on("setdefault", 3, LONG), look),
    "map_of_containers": Scenario(lambda m: {"m": m, "d": m.map(a=m.list([LONG]))}, cut("a"), look),
    "multimap_add": Scenario(a_sorted("MultiMap", [(1, i) for i in range(FANOUT)]), on("add", 1, LONG), look),
    "multimap_update": Scenario(
        a_sorted("MultiMap", [(i // 9, i) for i in range(FANOUT)]), on("update", [(1, LONG), (1, 2), (1, 3)]), look
    ),
    "multimap_remove": Scenario(a_sorted("MultiMap", [(1, LONG), (1, 2), (2, 3)]), on("remove", 1, 2), look),
    "sorted_set_add": Scenario(a_sorted("SortedSet", range(2 * FANOUT)), on("add", 20.5), look),
    "sorted_set_keep": Scenario(a_sorted("SortedSet", TEXTS), on("intersection_update", list(TEXTS)[::3]), look),
    "value_set": Scenario(lambda m: {"m": m, "d": m.Value("i", 1)}, lambda t: t["d"].set(LONG), lambda t: t["d"].value),
    "value_add": Scenario(lambda m: {"m": m, "d": m.Value("i", 1)}, on("add", 3), lambda t: t["d"].value),
    "namespace_set": Scenario(
        lambda m: {"m": m, "d": m.Namespace(x=1)},
        lambda t: setattr(t["d"], "x", LONG),
        lambda t: t["d"].x,
    ),
    "instance_call": Scenario(an_account(1), on("note", 2), notes),
    "instance_call_blob": Scenario(an_account(1), on("note", BLOB), notes),
    "instance_call_blob_replaced": Scenario(an_account(BLOB), on("note", LONG), notes),
    "instance_call_ref": Scenario(an_account(1), lambda t: t["d"].note(t["inner"]), notes),
    "instance_call_drop": Scenario(an_account(LONG, BLOB), on("forget"), notes),
    "instance_call_reads": Scenario(an_account(LONG), on("read"), notes),
    "instance_call_raises": Scenario(an_account(1), note_and_fail, notes),
    "instance_made": Scenario(an_account(1), lambda t: t["users"].Account([LONG]), notes),
    "instance_made_and_kept": Scenario(an_account(1), lambda t: t.update(new=t["users"].Account([BLOB])), notes),
    "lock_held": Scenario(lambda m: {"m": m, "d": m.Lock()}, on("acquire"), lambda t: None),
    "rlock_pair": Scenario(
        lambda m: {"m": m, "d": m.RLock()}, lambda t: (t["d"].acquire(), t["d"].release()), lambda t: None
    ),
    "dict_locked": Scenario(a_dict(a=1), lambda t: t["d"].lock.acquire() and replace(t["d"], "a", 2), look),
    "array_set": Scenario(an_array(10), put(3, 77), look),
    "array_slice": Scenario(an_array(50), put(slice(5, 45), array("i", range(40))), look),
    "array_slice_of_bytes": Scenario(an_array(50, "b"), put(slice(3, 42), array("b", range(39))), look),
    "array_steps": Scenario(an_array(50, "h"), put(slice(40, 2, -3), array("h", range(13))), look),
    "array_long_slice": Scenario(an_array(400, "q"), put(slice(0, 300), array("q", range(300))), look),
    "array_made": Scenario(an_array(10), lambda t: t["m"].Array("i", range(2000)), look),
    "array_made_and_kept": Scenario(an_array(10), lambda t: t.update(new=t["m"].Array("d", [1.5])), look),
    "array_dropped": Scenario(two_arrays, lambda t: t.pop("d2") and None, look),
    "raw_made": Scenario(a_raw, lambda t: new_raw(t, 5000), look_raw),
    "raw_made_and_kept": Scenario(a_raw, lambda t: t.update(new=new_raw(t, 100)), look_raw),
    "raw_dropped": Scenario(two_raws, lambda t: t.pop("raw2") and None, look_raw),
    "raw_in_dict": Scenario(a_raw, lambda t: replace(t["d"], "raw", t["raw"]), look_raw),
    "ndarray_made": Scenario(an_ndarray, lambda t: t["m"].ndarray((50, 30), "f4", fill=1), look_ndarray),
    "ndarray_made_large": Scenario(an_ndarray, lambda t: t.update(new=t["m"].ndarray(20_000)), look_ndarray),
    "ndarray_moved_in": Scenario(an_ndarray, lambda t: asarray([b"one", b"two"], manager=t["m"]), look_ndarray),
    "ndarray_dropped": Scenario(an_ndarray, lambda t: t.pop("large") is None, look_ndarray),
    "ndarray_part_in_dict": Scenario(an_ndarray, lambda t: replace(t["d"], "part", t["whole"][1:].T), look_ndarray),
    "value_made": Scenario(a_raw, lambda t: sharedctypes.Value("i", 5, segment=t["m"].segment), look_raw),
    "number_add": Scenario(a_number, lambda t: t["number"].add(5), look_number),
    "number_add_float": Scenario(a_real, lambda t: t["number"].add(0.5), look_number),
    "number_add_first": Scenario(a_number, lambda t: t["fresh"].add(5), lambda t: t["fresh"].value),
    "number_set": Scenario(a_number, lambda t: setattr(t["number"], "value", 6), look_number),
    "number_held": Scenario(a_number, lambda t: t["number"].acquire(), look_number),
    "queue_put_first": Scenario(a_queue(), on("put", TEXT), look_at_queue),
    "queue_put": Scenario(a_queue(1), on("put", TEXT), look_at_queue),
    "queue_put_number": Scenario(a_queue(1), on("put", 7), look_at_queue),
    "queue_put_tuple": Scenario(a_queue(1), on("put", (1, "x", 2.5)), look_at_queue),
    "queue_put_new_part": Scenario(a_queue(1), on("put", LARGE), look_at_queue),
    "queue_put_blob": Scenario(a_queue(1), on("put", BLOB), look_at_queue),
    "queue_put_blob_first": Scenario(a_queue(), on("put", BLOB), look_at_queue),
    "queue_put_ref": Scenario(a_queue(1), lambda t: t["d"].put(t["inner"]), look_at_queue),
    "queue_put_ref_in_pickle": Scenario(a_queue(1), lambda t: t["d"].put([1, t["inner"]]), look_at_queue),
    "queue_put_full": Scenario(a_queue(1, 2, maxsize=2), put_in_vain, look_at_queue),
    "queue_get": Scenario(a_queue(TEXT, 2), on("get"), look_at_queue),
    "queue_get_last": Scenario(a_queue(TEXT), on("get"), look_at_queue),
    "queue_get_next_part": Scenario(a_queue(1, LARGE, 2, taken=1), on("get"), look_at_queue),
    "queue_get_blob": Scenario(a_queue(BLOB, 2), on("get"), look_at_queue),
    "queue_get_ref": Scenario(a_queue_of(lambda t: t["inner"]), on("get"), look_at_queue),
    "queue_get_ref_in_pickle": Scenario(a_queue_of(lambda t: (1, t["inner"])), on("get"), look_at_queue),
    "queue_task_done": Scenario(a_queue(1, 2, taken=2), on("task_done"), look_at_queue),
    "queue_shutdown": Scenario(a_queue(1, BLOB), on("shutdown"), look_at_queue),
    "queue_shutdown_now": Scenario(a_queue(1, BLOB, LARGE, 2, LONG, taken=1), on("shutdown", True), look_at_queue),
    "queue_dropped": Scenario(queue_in_dict, cut("q"), look_at_keys),
    "queue_made": Scenario(a_dict(a=1), lambda t: t["m"].Queue(3).put(LONG), look),
    "pool_made": Scenario(a_dict(a=1), lambda t: t.update(p=pool_for(t["m"].segment, AdaptivePool, 48)), look),
    "pool_made_and_dropped": Scenario(a_dict(a=1), lambda t: pool_for(t["m"].segment, CachedNodePool, 48), look),
    "token": Scenario(on_its_way, travel, look),
    "token_unread": Scenario(on_its_way, lambda t: pickle.dumps(t["d"]), look),
    "grow": Scenario(a_dict(a=1), lambda t: t["m"].segment.grow(1 << 20), look),
    "grow_by_blob": Scenario(a_dict(a=1), put("b", bytes(1 << 20)), lambda t: len(t["d"].get("b", b""))),
    "check": Scenario(a_dict(a=LONG), lambda t: t["m"].segment.check(), look),
    "fork": Scenario(nested, lambda t: fork(t, len), look),
    "fork_and_use": Scenario(a_dict(a=1), lambda t: fork(t, put("child", 1)), look),
    "leave": Scenario(nested, leave, look),
    "vector_append_first": Scenario(a_vector("i8"), on("append", 1), look_items),
    "vector_append": Scenario(a_vector("i8", [1, 2]), on("append", 3), look_items),
    "vector_append_grow": Scenario(full_vector, on("append", 3), look_items),
    "vector_append_long": Scenario(a_vector("S20", [b"x" * 20]), on("append", b"y" * 20), look_items),
    "vector_extend": Scenario(a_vector("i4", [1]), on("extend", range(500)), look_items),
    "vector_set": Scenario(a_vector("i2", range(9)), put(3, -7), look_items),
    "vector_set_long": Scenario(a_vector("S20", [b"x" * 20, b"z"]), put(0, b"y" * 20), look_items),
    "vector_set_slice": Scenario(a_vector("i8", range(90)), put(slice(2, 50), list(range(48))), look_items),
    "vector_set_much": Scenario(a_vector("i8", range(900)), put(slice(2, 800), list(range(700))), look_items),
    "vector_set_much_in_view": Scenario(
        a_viewed_vector, lambda t: replace(t["d"], slice(2, 200), list(range(150))), look_items
    ),
    "vector_set_steps": Scenario(a_vector("i4", range(20)), put(slice(0, 20, 2), 5), look_items),
    "vector_set_places": Scenario(a_vector("i4", range(20)), put([1, 5, 7], 9), look_items),
    "vector_insert": Scenario(a_vector("i4", range(20)), on("insert", 3, 77), look_items),
    "vector_delete": Scenario(a_vector("i4", range(20)), cut(slice(3, 9)), look_items),
    "vector_pop": Scenario(a_vector("i4", range(20)), on("pop"), look_items),
    "vector_pop_front": Scenario(a_vector("S20", [b"a", b"b", b"c"]), on("pop", 0), look_items),
    "vector_resize": Scenario(a_vector("i4", range(20)), on("resize", 3000), look_items),
    "vector_reserve": Scenario(full_vector, on("reserve", 3000), look_items),
    "vector_shrink": Scenario(shrinkable_vector, on("shrink_to_fit"), look_items),
    "vector_shrink_all": Scenario(a_vector("i8"), on("shrink_to_fit"), look_items),
    "vector_clear": Scenario(a_vector("i8", range(50)), on("clear"), look_items),
    "vector_sort": Scenario(a_vector("i8", [5, 1, 3]), on("sort"), look_items),
    "vector_array": Scenario(a_vector("i8", [5, 1, 3]), lambda t: t["d"].array[0], look_items),
    "vector_made": Scenario(a_dict(a=1), lambda t: t["m"].vector("i8", [1, 2]), look),
    "vector_made_record": Scenario(a_dict(a=1), lambda t: t["m"].vector([("a", "i4"), ("b", "f8")], [(1, 2)]), look),
    "vector_made_fixed": Scenario(a_dict(a=1), lambda t: t["m"].vector("i8", [1, 2], maxlen=9), look),
    "linked_append_first": Scenario(a_linked(), on("append", 1), look),
    "linked_append": Scenario(a_linked([1, 2]), on("append", 3), look),
    "linked_append_long": Scenario(a_linked([1, 2]), on("append", LONG), look),
    "linked_append_blob": Scenario(a_linked([1, 2]), on("append", BLOB), look),
    "linked_appendleft": Scenario(a_linked([1, 2]), on("appendleft", 3), look),
    "linked_extend": Scenario(a_linked([1]), on("extend", [LONG, BLOB, None, 2.5]), look),
    "linked_insert": Scenario(a_linked([1, 2, 3]), on("insert", 1, LONG), look),
    "linked_cursor_insert": Scenario(a_linked([1, 2, 3]), lambda t: t["d"].find(2).insert_after(LONG), look),
    "linked_set": Scenario(a_linked([1, LONG, 3]), put(1, LONG + "!"), look),
    "linked_cursor_set": Scenario(a_linked([1, 2, 3]), lambda t: setattr(t["d"].find(2), "value", 7), look),
    "linked_erase": Scenario(a_linked([1, LONG, 3]), lambda t: t["d"].find(LONG).erase(), look),
    "linked_pop": Scenario(a_linked([1, LONG]), on("pop"), look),
    "linked_popleft": Scenario(a_linked([BLOB, LONG]), on("popleft"), look),
    "linked_remove": Scenario(a_linked([1, LONG, 3]), on("remove", LONG), look),
    "linked_reverse": Scenario(a_linked(range(100)), on("reverse"), look),
    "linked_sort": Scenario(a_linked([3, 1, 2]), on("sort"), look),
    "linked_set_slice": Scenario(a_linked([3, LONG, 2]), put(slice(0, 2), [7]), look),
    "linked_clear": Scenario(a_linked([LONG] * 60), on("clear"), look),
    "linked_splice": Scenario(two_linked, lambda t: t["d"].splice(t["d"].cursor(1), t["other"]), look_both),
    "linked_splice_part": Scenario(two_linked, splice_part, look_both),
    "linked_splice_within": Scenario(two_linked, splice_within, look_both),
    **{
        f"{name}_{kind.__name__}": scenario
        for kind, options in (
            (NodePool, {}),
            (CachedNodePool, {"max_cached_nodes": 2}),
            (AdaptivePool, {"max_free_chunks": 0}),
        )
        for name, scenario in {
            "pooled_split_root": Scenario(
                pooled(ordered.Map, {2 * i: 1 for i in range(FANOUT * FANOUT)}, kind, **options),
                put(3001, 2),
                look_pooled,
            ),
            "pooled_merge": Scenario(pooled_thin_map(kind, LEAST, LEAST, LEAST, **options), cut(FANOUT), look_pooled),
            "pooled_map_clear": Scenario(pooled_map(kind, FANOUT + 9, **options), on("clear"), look_pooled),
            "pooled_insert": Scenario(
                pooled(LinkedList, [1, LONG, 3], kind, **options), on("insert", 1, LONG), look_pooled
            ),
            "pooled_extend": Scenario(
                pooled(LinkedList, [1], kind, **options), on("extend", [1, LONG, 3, BLOB]), look_pooled
            ),
            "pooled_erase": Scenario(pooled(LinkedList, [1, LONG, 3], kind, **options), on("pop", 1), look_pooled),
            "pooled_clear": Scenario(pooled(LinkedList, [1, LONG, 3, 4], kind, **options), on("clear"), look_pooled),
            "pooled_splice": Scenario(
                pooled(LinkedList, [1, LONG, 3], kind, **options),
                lambda t: t["d"].splice(t["d"].cursor(1), t["other"]),
                look_pooled,
            ),
            "pooled_make": Scenario(a_map(), lambda t, kind=kind: new_pooled(t, kind), look),
        }.items()
    },
    "linked_follow": Scenario(followed_linked, lambda t: t["cursor"].erase(), look_both),
    "string_append": Scenario(a_string("abc"), on("append", "d"), look),
    "string_append_out": Scenario(a_string("x" * 40), on("append", "y" * 40), look),
    "string_append_grow": Scenario(a_string("x" * 90), on("append", "y" * 400), look),
    "string_widen": Scenario(a_string("x" * 90), on("append", "\u20ac"), look),
    "string_set": Scenario(a_string("x" * 90), put(5, "y"), look),
    "string_insert": Scenario(a_string("abc" * 200), on("insert", 5, "inserted"), look),
    "string_insert_far": Scenario(a_string("abc" * 2000), on("insert", 5, "inserted"), look),
    "string_delete": Scenario(a_string("abc" * 200), cut(slice(3, 50)), look),
    "string_replace": Scenario(a_string("abc" * 20), on("replace", "b", "BBBB"), look),
    "string_clear": Scenario(a_string("abc" * 200), on("clear"), look),
    "string_reserve": Scenario(a_string("abc"), on("reserve", 2000), look),
    "string_shrink": Scenario(shrinkable_string, on("shrink_to_fit"), look),
    "string_file": Scenario(a_string(b"abc"), lambda t: t["d"].open("a").write(b"defg" * 20), look),
    "string_made": Scenario(a_dict(a=1), lambda t: t["m"].string(LONG), look),
}

SCENARIOS.update({name: Scenario(*parts) for name, parts in synchronize.SCENARIOS.items()})
SCENARIOS.update({name: Scenario(*parts) for name, parts in named.SCENARIOS.items()})
SCENARIOS.update({name: Scenario(*parts) for name, parts in large.SCENARIOS.items()})
