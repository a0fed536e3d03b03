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
from collections.abc import Callable
from typing import Any, NamedTuple

from mpshm import _binding
from mpshm import sorted as ordered

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
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def a_dict(*args: Any, **kwargs: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.dict(*args, **kwargs)}


def a_list(*args: Any) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.list(*args)}


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


NUMBERS = list(range(40))


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
    "map_clear": Scenario(a_map(FANOUT + 9, value=LONG), on("clear"), look),
    "map_incr": Scenario(a_map(FANOUT), on("incr", 33, 5), look),
    "map_setdefault": Scenario(a_map(5), on("setdefault", 3, LONG), look),
    "map_of_containers": Scenario(lambda m: {"m": m, "d": m.map(a=m.list([LONG]))}, cut("a"), look),
    "multimap_add": Scenario(a_sorted("MultiMap", [(1, i) for i in range(FANOUT)]), on("add", 1, LONG), look),
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
    "lock_held": Scenario(lambda m: {"m": m, "d": m.Lock()}, on("acquire"), lambda t: None),
    "rlock_pair": Scenario(
        lambda m: {"m": m, "d": m.RLock()}, lambda t: (t["d"].acquire(), t["d"].release()), lambda t: None
    ),
    "dict_locked": Scenario(a_dict(a=1), lambda t: t["d"].lock.acquire() and replace(t["d"], "a", 2), look),
    "token": Scenario(on_its_way, travel, look),
    "token_unread": Scenario(on_its_way, lambda t: pickle.dumps(t["d"]), look),
    "grow": Scenario(a_dict(a=1), lambda t: t["m"].segment.grow(1 << 20), look),
    "grow_by_blob": Scenario(a_dict(a=1), put("b", bytes(1 << 20)), lambda t: len(t["d"].get("b", b""))),
    "check": Scenario(a_dict(a=LONG), lambda t: t["m"].segment.check(), look),
    "fork": Scenario(nested, lambda t: fork(t, len), look),
    "fork_and_use": Scenario(a_dict(a=1), lambda t: fork(t, put("child", 1)), look),
    "leave": Scenario(nested, leave, look),
}
