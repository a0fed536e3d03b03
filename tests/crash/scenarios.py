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
