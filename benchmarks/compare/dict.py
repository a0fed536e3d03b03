"""get, set and `in` of int and of 8-character str keys: a thousand hot ones, and a million random ones."""

from __future__ import annotations

import functools
import random
from time import perf_counter
from typing import Any

from benchmarks import table

SIZES = {1000: "hot", 1_000_000: "random"}
# What is done per loop: so many of the keys, in random order.
SAMPLE = 100_000


def get(d: Any, keys: list[Any]) -> None:
    for key in keys:
        d[key]


def put(d: Any, keys: list[Any]) -> None:
    for key in keys:
        d[key] = 5


def contains(d: Any, keys: list[Any]) -> None:
    for key in keys:
        key in d  # noqa: B015


OPERATIONS = {"get": get, "set": put, "in": contains}


def sample(size: int, name: str) -> int:
    return 100 if table.IMPLEMENTATIONS[name].slow else min(size, SAMPLE)


@functools.cache
def prepare(kind: str, size: int, name: str) -> tuple[Any, list[Any]]:
    """The dict and the keys to use, in random order; the same objects as in the dict."""
    rng = random.Random(1)
    numbers = range(size) if size <= 1000 else rng.sample(range(1 << 32), size)
    keys: list[Any] = list(numbers) if kind == "int" else [f"{number:08x}" for number in numbers]
    d = table.IMPLEMENTATIONS[name].make_dict(dict.fromkeys(keys, 1))
    rng.shuffle(keys)
    return d, keys[: sample(size, name)]


def run(loops: int, operation: str, kind: str, size: int, name: str) -> float:
    d, keys = prepare(kind, size, name)
    act = OPERATIONS[operation]
    begun = perf_counter()
    for _ in range(loops):
        act(d, keys)
    return perf_counter() - begun


def main() -> None:
    import pyperf

    runner = pyperf.Runner(program_args=("-m", "benchmarks.compare.dict"))
    for size, order in SIZES.items():
        for kind in ("int", "str"):
            for operation in OPERATIONS:
                for name, implementation in table.IMPLEMENTATIONS.items():
                    if size > 1000 and (implementation.slow or name in table.PEERS):
                        continue
                    what = f"dict {operation}, {kind}, {size:,} {order}"
                    arguments = operation, kind, size, name
                    runner.bench_time_func(f"{what} / {name}", run, *arguments, inner_loops=sample(size, name))


def rows(fast: bool) -> list[table.Row]:
    return table.rows_of(
        table.run_pyperf("benchmarks.compare.dict", fast),
        builtin_at_most=lambda what: 1.5 if "random" in what else 2.5,
        manager_at_least=lambda what: None if "random" in what else 400,
    )


if __name__ == "__main__":
    main()
