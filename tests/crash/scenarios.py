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

from mpshm import _binding, queues

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
    "token": Scenario(on_its_way, travel, look),
    "token_unread": Scenario(on_its_way, lambda t: pickle.dumps(t["d"]), look),
    "grow": Scenario(a_dict(a=1), lambda t: t["m"].segment.grow(1 << 20), look),
    "grow_by_blob": Scenario(a_dict(a=1), put("b", bytes(1 << 20)), lambda t: len(t["d"].get("b", b""))),
    "check": Scenario(a_dict(a=LONG), lambda t: t["m"].segment.check(), look),
    "fork": Scenario(nested, lambda t: fork(t, len), look),
    "fork_and_use": Scenario(a_dict(a=1), lambda t: fork(t, put("child", 1)), look),
    "leave": Scenario(nested, leave, look),
}
