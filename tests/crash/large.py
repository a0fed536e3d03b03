"""Operations on arrays and other values that are stored as buffers, to be killed in: see scenarios.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Things = dict[str, Any]

SMALL = np.arange(100.0)
LARGE = np.arange(20_000, dtype="i4").reshape(100, 200)  # has pages of its own
TIMES = np.array(["2020-01-01", "2021-02-03"], "M8[D]")
TABLE = {"small": SMALL.repeat(2), "large": LARGE, "list": [SMALL.repeat(3), 1], "text": "x"}
BYTES = bytearray(b"0123456789" * 1000)
BLOB = b"0123456789" * 1000


def shown(value: Any) -> Any:
    """What was stored, as values that can be compared."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return value


def start(**values: Any) -> Callable[[Any], Things]:
    def make(m: Any) -> Things:
        return {"m": m, "d": m.dict(values), "l": m.list([1]), "q": m.Queue(), "v": m.Value("O", None), "s": m.map()}

    return make


def look(t: Things) -> object:
    whole = [shown(dict(t["d"].items())), shown(list(t["l"])), shown(t["v"].value), shown(dict(t["s"].items()))]
    return [*whole, t["q"].qsize()]


def put(key: str, value: Any) -> Callable[[Things], object]:
    return lambda t: t["d"].__setitem__(key, value)


def write(t: Things) -> None:
    """Reading gives an array of the process's own."""
    t["d"]["a"][0] = 7
    t["d"].view("a")


SCENARIOS: dict[str, tuple[Callable[[Any], Things], Callable[[Things], object], Callable[[Things], object]]] = {
    "array_set": (start(a=1), put("b", SMALL), look),
    "array_set_large": (start(a=1), put("b", LARGE), look),
    "array_set_scattered": (start(a=1), put("b", LARGE[::2, ::3]), look),
    "array_set_times": (start(a=1), put("b", TIMES), look),
    "array_replaced": (start(a=LARGE), put("a", SMALL), look),
    "array_replaced_by_short": (start(a=SMALL), put("a", 1), look),
    "array_of_table_set": (start(a=1), put("b", TABLE), look),
    "array_of_table_replaced": (start(a=TABLE), put("a", TABLE["list"]), look),
    "array_read": (start(a=LARGE), write, look),
    "array_read_of_table": (start(a=TABLE), lambda t: shown(t["d"]["a"]) and None, look),
    "array_viewed": (start(a=LARGE), lambda t: t.update(seen=t["d"].view("a")), look),
    "array_viewed_and_gone": (start(a=LARGE), lambda t: (t.update(seen=t["d"].view("a")), t["d"].clear()), look),
    "array_bytes_viewed": (start(a=BLOB), lambda t: t.update(seen=t["d"].view("a")), look),
    "array_popped": (start(a=LARGE, b=TABLE), lambda t: t["d"].pop("b") and None, look),
    "array_cleared": (start(a=LARGE, b=TABLE, c=BYTES), lambda t: t["d"].clear(), look),
    "array_updated": (start(a=1), lambda t: t["d"].update(x=LARGE, y=TABLE, z=BYTES), look),
    "array_exchanged": (start(a=BYTES), lambda t: t["d"].compare_exchange("a", BYTES[:], LARGE) and None, look),
    "array_appended": (start(), lambda t: t["l"].append(LARGE), look),
    "array_put": (start(), lambda t: t["q"].put(LARGE), look),
    "array_table_put": (start(), lambda t: t["q"].put(TABLE), look),
    "array_value_set": (start(), lambda t: t["v"].set(LARGE), look),
    "array_in_map": (start(), lambda t: t["s"].__setitem__("k", LARGE), look),
    "bytearray_set": (start(a=1), put("b", BYTES), look),
}
