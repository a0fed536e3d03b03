"""A sorted map of a hundred thousand int or 8-character str keys, beside sortedcontainers' SortedDict."""

from __future__ import annotations

import functools
import importlib.util
import random
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benchmarks import table

SIZE = 100_000


def sorted_dict(content: Any = ()) -> Any:
    from sortedcontainers import SortedDict

    return SortedDict(content)


MAPS: dict[str, Callable[..., Any]] = {"mpshm": lambda content=(): table.our_manager().map(content)}
if importlib.util.find_spec("sortedcontainers"):
    MAPS["sortedcontainers"] = sorted_dict


def get(d: Any, keys: list[Any]) -> None:
    for key in keys:
        d[key]


def replace(d: Any, keys: list[Any]) -> None:
    for key in keys:
        d[key] = 5


def contains(d: Any, keys: list[Any]) -> None:
    for key in keys:
        key in d  # noqa: B015


def bisect(d: Any, keys: list[Any]) -> None:
    for key in keys:
        d.bisect_left(key)


def peek(d: Any, keys: list[Any]) -> None:
    for place in range(len(keys)):
        d.peekitem(place)


def walk(d: Any, keys: list[Any]) -> None:
    for _ in d.irange():
        pass


def insert_and_delete(d: Any, keys: list[Any]) -> None:
    for key in keys:
        del d[key]
    for key in keys:
        d[key] = 1


OPERATIONS = {
    "get": get,
    "set": replace,
    "in": contains,
    "bisect_left": bisect,
    "peekitem": peek,
    "irange, an item": walk,
    "del and set of a new key": insert_and_delete,
}


@functools.cache
def prepare(kind: str, name: str) -> tuple[Any, list[Any]]:
    """The map and its keys, in random order."""
    rng = random.Random(1)
    numbers = rng.sample(range(1 << 32), SIZE)
    keys: list[Any] = numbers if kind == "int" else [f"{number:08x}" for number in numbers]
    made = MAPS[name](dict.fromkeys(keys, 1))
    rng.shuffle(keys)
    return made, keys


def run(loops: int, operation: str, kind: str, name: str) -> float:
    made, keys = prepare(kind, name)
    act = OPERATIONS[operation]
    begun = perf_counter()
    for _ in range(loops):
        act(made, keys)
    return perf_counter() - begun


def main() -> None:
    import pyperf

    runner = pyperf.Runner(program_args=("-m", "benchmarks.compare.sorted"))
    for kind in ("int", "str"):
        for operation in OPERATIONS:
            for name in MAPS:
                what = f"map {operation}, {kind} / {name}"
                runner.bench_time_func(what, run, operation, kind, name, inner_loops=SIZE)


def rows(fast: bool) -> list[table.Row]:
    measured = table.run_pyperf("benchmarks.compare.sorted", fast)
    return table.rows_of(measured, of_peers=lambda what: {"sortedcontainers": 3.0})  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
