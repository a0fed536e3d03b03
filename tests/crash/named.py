"""Operations by name, raw allocations and references, to be killed in: see scenarios.py."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import Any

import mpshm

Things = dict[str, Any]

LONG = "a text that does not fit into sixteen bytes " * 2
NAME = "a name that does not fit into sixteen bytes"


class Point(ctypes.Structure):
    """A structure of a user's."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


def shown(obj: Any) -> Any:
    """What a named object holds, as plain values."""
    if isinstance(obj, mpshm.Dict):
        return {key: shown(value) for key, value in obj.items()}
    if isinstance(obj, mpshm.List):
        return [shown(item) for item in obj]
    if isinstance(obj, (str, int)):
        return obj
    if hasattr(obj, "tolist"):
        return obj.tolist()
    if hasattr(obj, "nbytes"):
        return bytes(obj)
    return getattr(obj, "value", type(obj).__name__)


def start(*names: str, **more: Any) -> Callable[[Any], Things]:
    """Lists of these names; then allocations, `sizes`, whose bytes are all 7."""

    def setup(m: Any) -> Things:
        things = {"m": m, "d": m.dict(a=1)}
        for name in names:
            m.segment.construct(mpshm.List, name, [LONG, 1])
        things["handles"] = [m.segment.allocate(nbytes) for nbytes in more.get("sizes", ())]
        for handle in things["handles"]:
            view = m.segment.view(handle)
            view[:] = b"\7" * len(view)
        things["tokens"] = 1000 if "sizes" in more else 0
        return things

    return setup


def start_empty(tokens: int) -> Callable[[Any], Things]:
    return lambda m: {"m": m, "d": m.dict(a=1), "tokens": tokens}


def content(segment: Any, handle: int) -> tuple[int, set[int]] | None:
    try:
        view = segment.view(handle)
    except ReferenceError:
        return None
    return len(view), set(view)


def look(things: Things) -> object:
    """All names and what they lead to, all allocations, and how many objects there are: one more is a leak."""
    segment = things["m"].segment
    segment.recover()
    named = {name: shown(obj) for name, obj in segment.items()}
    allocations = [content(segment, handle) for handle in things.get("handles", ())]
    return named, segment.unique_types(), allocations, segment.stats().objects, dict(things["d"])


def nothing(result: object) -> None:
    """Drop a result."""


def construct(*args: Any, **kwds: Any) -> Callable[[Things], object]:
    return lambda t: nothing(t["m"].segment.construct(*args, **kwds))


def on_segment(method: str, *args: Any) -> Callable[[Things], object]:
    return lambda t: nothing(getattr(t["m"].segment, method)(*args))


def on_first(method: str, *args: Any) -> Callable[[Things], object]:
    return lambda t: nothing(getattr(t["m"].segment, method)(t["handles"][0], *args))


def in_vain(t: Things) -> None:
    """The name is free when the object is made, and another's when it is entered."""
    made = t["m"].segment.construct(mpshm.Dict, None, [(LONG, LONG)])
    with contextlib.suppress(mpshm.SegmentExistsError):
        t["m"].segment._enter(mpshm.Dict, "one", made)


def tree(m: Any) -> Things:
    inner = m.segment.construct(mpshm.List, None, [LONG, m.list([LONG])])
    m.segment.construct(mpshm.Dict, "tree", inner=inner, other=m.dict(x=LONG))
    return {"m": m, "d": m.dict(a=1)}


def full_table(m: Any) -> Things:
    """As many names as the table has room for."""
    return start(*(f"{NAME}{i}" for i in range(5)))(m)


def atomic(t: Things) -> None:
    with t["m"].segment.atomic():
        t["m"].segment.construct(mpshm.List, "new", [1])


def scoped(t: Things) -> None:
    with t["m"].segment.scoped(mpshm.List, [LONG]) as made:
        made.append(1)


def kept(t: Things) -> None:
    scope = t["m"].segment.scoped(mpshm.List, [LONG])
    with scope:
        scope.keep("new")


def move_unique(t: Things) -> None:
    ref = mpshm.UniqueRef(t["m"].segment.construct(mpshm.List, None, [LONG]))
    ref.move_to(t["d"], "moved")


def has_moved(things: Things) -> object:
    return "moved" in things["d"], things["m"].segment.recover() and 0


def deallocate_viewed(t: Things) -> None:
    view = t["m"].segment.view(t["handles"][0])
    t["m"].segment.deallocate(t["handles"][0])
    view[:1] = b"x"


SIZES = [0, 1, 100, 600, 5000] * 8

SCENARIOS: dict[str, tuple[Any, Any, Any]] = {
    "construct_first": (start_empty(0), construct(mpshm.Dict, "new", [(LONG, LONG), (1, 2)]), look),
    "construct": (start("one"), construct(mpshm.Dict, "new", [(LONG, LONG), (1, 2)]), look),
    "construct_long_name": (start("one"), construct(mpshm.List, NAME, [1]), look),
    "construct_very_long_name": (start("one"), construct(mpshm.Lock, NAME * 200), look),
    "construct_grow": (full_table, construct(mpshm.List, "new", [1]), look),
    "construct_array": (start("one"), construct("i4", "new", [1, 2, 3], shape=(200, 3)), look),
    "construct_structure": (start("one"), construct(Point, "new"), look),
    "construct_value": (start("one"), construct(object, "new", (1, LONG)), look),
    "construct_unique": (start_empty(1), construct(mpshm.List, mpshm.unique, [LONG]), look),
    "construct_in_vain": (start("one"), in_vain, look),
    "construct_atomic": (start("one"), atomic, look),
    "find_or_construct": (start("one"), on_segment("find_or_construct", mpshm.List, "new", [LONG]), look),
    "find_or_construct_first": (start_empty(0), on_segment("find_or_construct", mpshm.List, "new", [LONG]), look),
    "find_or_construct_found": (start("one"), on_segment("find_or_construct", mpshm.List, "one", [2]), look),
    "find": (start("one", NAME), on_segment("find", NAME), look),
    "destroy": (start("one", "two"), on_segment("destroy", "one"), look),
    "destroy_long_name": (start(NAME, "two"), on_segment("destroy", NAME), look),
    "destroy_tree": (tree, on_segment("destroy", "tree"), look),
    "destroy_object": (start("one", "two"), lambda t: t["m"].segment.destroy_object(t["m"].segment["one"]), look),
    "reserve_names": (start("one", NAME), on_segment("reserve_names", 500), look),
    "scoped": (start("one"), scoped, look),
    "scoped_and_kept": (start("one"), kept, look),
    "unique_ref_moved": (start("one"), move_unique, has_moved),
    "allocate": (start(sizes=[100]), on_segment("allocate", 600, 64), look),
    "allocate_much": (start(sizes=[100]), on_segment("allocate", 1 << 20), look),
    "allocate_many": (start(sizes=[100]), on_segment("allocate_many", SIZES), look),
    "deallocate": (start(sizes=[600, 600]), on_first("deallocate"), look),
    "deallocate_viewed": (start(sizes=[600, 600]), deallocate_viewed, look),
    "deallocate_many": (start(sizes=SIZES), lambda t: t["m"].segment.deallocate_many(t["handles"]), look),
    "reallocate_in_place": (start(sizes=[5000]), on_first("reallocate", 9000, True), look),
    "reallocate_shorter": (start(sizes=[5000]), on_first("reallocate", 4000), look),
    "reallocate_much_shorter": (start(sizes=[50000, 100]), on_first("reallocate", 40), look),
    "reallocate_moved": (start(sizes=[100, 100]), on_first("reallocate", 30000), look),
    # Those who stop all others meanwhile, and are recovered by somebody who did not wait for them.
    "frozen_check": (start("one", sizes=[100]), on_segment("check"), look),
    "frozen_shrink": (start("one", sizes=[100]), on_segment("shrink_to_fit"), look),
    "frozen_zero": (start("one", sizes=[100]), on_segment("zero_free_memory"), look),
    "view": (start(sizes=[100]), lambda t: bytes(t["m"].segment.view(t["handles"][0])) and None, look),
}
