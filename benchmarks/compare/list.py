"""getitem, setitem, append, and iterating, on a list of a hundred thousand ints."""

from __future__ import annotations

import functools
import random
from time import perf_counter
from typing import Any

from benchmarks import table

SIZE = 100_000


@functools.cache
def prepare(name: str) -> tuple[Any, list[int]]:
    """The list, and places in it in random order. A slow one is shorter."""
    slow = table.IMPLEMENTATIONS[name].slow
    size = 1000 if slow else SIZE
    places = random.Random(1).choices(range(size), k=100 if slow else 10_000)
    return table.IMPLEMENTATIONS[name].make_list(range(size)), places


def getitem(loops: int, name: str) -> float:
    items, places = prepare(name)
    begun = perf_counter()
    for _ in range(loops):
        for place in places:
            items[place]
    return perf_counter() - begun


def setitem(loops: int, name: str) -> float:
    items, places = prepare(name)
    begun = perf_counter()
    for _ in range(loops):
        for place in places:
            items[place] = place
    return perf_counter() - begun


def append(loops: int, name: str) -> float:
    make, spent = table.IMPLEMENTATIONS[name].make_list, 0.0
    numbers = range(100 if table.IMPLEMENTATIONS[name].slow else SIZE)
    for _ in range(loops):
        items = make()
        begun = perf_counter()
        for number in numbers:
            items.append(number)
        spent += perf_counter() - begun
    return spent


def iterate(loops: int, name: str) -> float:
    items, _ = prepare(name)
    begun = perf_counter()
    for _ in range(loops):
        for _item in items:
            pass
    return perf_counter() - begun


# Each operation, how many of it one loop does, and how many with a slow implementation.
OPERATIONS = {getitem: (10_000, 100), setitem: (10_000, 100), append: (SIZE, 100), iterate: (SIZE, 1000)}


def main() -> None:
    import pyperf

    runner = pyperf.Runner(program_args=("-m", "benchmarks.compare.list"))
    for operation, (count, slow_count) in OPERATIONS.items():
        for name, implementation in table.IMPLEMENTATIONS.items():
            if implementation.make_list is not None:
                inner = slow_count if implementation.slow else count
                runner.bench_time_func(f"list {operation.__name__} / {name}", operation, name, inner_loops=inner)


def rows(fast: bool) -> list[table.Row]:
    return table.rows_of(
        table.run_pyperf("benchmarks.compare.list", fast),
        builtin_at_most=lambda what: 2 if "iterate" in what else 3,
        manager_at_least=lambda what: 500,
    )


if __name__ == "__main__":
    main()
