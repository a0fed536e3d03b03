"""Pool.map over 100 arrays of 10 MB: as arguments, and as results."""

from __future__ import annotations

import functools
import multiprocessing
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import mpshm
from benchmarks import stores, table

N, BYTES = 100, 10_000_000
PROCESSES = 2
LIMIT_S = 120

Taken = dict[str, list[float]]

# Made before any measured process is forked, so that both sides have them.
ARRAYS: list[np.ndarray] = []


def switch_on() -> bool:
    """Have arrays passed to and from processes by reference; for all of this process. Returns: whether that can be."""
    share_arrays = getattr(mpshm, "share_arrays", None)
    if share_arrays is not None:
        share_arrays()
    return share_arrays is not None


def ends(array: np.ndarray) -> float:
    return float(array[0] + array[-1])


def total(array: np.ndarray) -> float:
    return float(array.sum())


def made_before(number: int) -> np.ndarray:
    return ARRAYS[number]


def check(results: list[Any]) -> None:
    """The results are those of `ends`, of `total` or of `made_before`."""
    for number, result in enumerate(results):
        array = ARRAYS[number]
        if isinstance(result, np.ndarray):
            right = result.size == array.size and result[0] == array[0] and result[-1] == array[-1]
        else:
            right = result in (2.0 * number, float(number) * array.size)
        if not right:
            raise AssertionError("not what was sent")


def numbers() -> list[int]:
    return list(range(N))


def new_arrays() -> list[np.ndarray]:
    """Objects that nobody has seen before: joblib keeps a file for each array it knows, while it lives."""
    return [array.view() for array in ARRAYS]


def timed(
    way: Callable[..., list[Any]], act: Callable[[Any], Any], make: Callable[[], list[Any]], rounds: int, warm: int = 1
) -> list[float]:
    """Seconds of each round."""
    taken = []
    for number in range(warm + rounds):
        items = make()
        begun = perf_counter()
        results = way(act, items)
        ended = perf_counter()
        check(results)
        del results, items
        if number >= warm:
            taken.append(ended - begun)
    return taken


def in_stdlib_pool(rounds: int) -> dict[str, list[float]]:
    with multiprocessing.Pool(PROCESSES) as pool:
        return {
            "in": timed(pool.map, ends, new_arrays, rounds, 0),
            "sum": timed(pool.map, total, new_arrays, max(1, rounds // 2), 0),
            "out": timed(pool.map, made_before, numbers, rounds, 0),
        }


def in_our_pool(rounds: int) -> dict[str, list[float]]:
    """In a process of its own: what is switched on stays on."""
    if not switch_on():
        return {}
    with mpshm.Pool(PROCESSES) as pool:
        return {
            "in": timed(pool.map, ends, new_arrays, rounds),
            "sum": timed(pool.map, total, new_arrays, rounds),
            "out": timed(pool.map, made_before, numbers, rounds),
        }


def in_joblib(folder: str, rounds: int) -> dict[str, list[float]]:
    """joblib maps large arguments from files in memory; it pickles results, and has workers of its own."""
    from joblib import Parallel, delayed

    def run(act: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        # Its workers are kept from call to call; the files would be kept as long as a Parallel.
        return Parallel(PROCESSES, temp_folder=folder)(delayed(act)(item) for item in items)

    return {"in": timed(run, ends, new_arrays, rounds), "sum": timed(run, total, new_arrays, rounds)}


def serially(rounds: int) -> dict[str, list[float]]:
    def run(act: Callable[[Any], Any], items: list[Any]) -> list[Any]:
        return list(map(act, items))

    return {"sum": timed(run, total, new_arrays, rounds)}


def rows(fast: bool) -> list[table.Row]:
    rounds = 3 if fast else 9
    folder = stores.scratch()
    ARRAYS.extend(np.full(BYTES // 8, float(number)) for number in range(N))
    try:
        ways: dict[str, Callable[..., dict[str, list[float]]]] = {
            "builtin": functools.partial(serially, rounds),
            "mpshm": functools.partial(in_our_pool, rounds),
            "Pool": functools.partial(in_stdlib_pool, 2 if fast else 3),
        }
        if stores.installed(["joblib"]):
            ways["joblib"] = functools.partial(in_joblib, folder, 1 if fast else 3)
        taken: dict[str, Taken] = {}
        for name, way in ways.items():
            for what, times in stores.in_fork(way, limit_s=LIMIT_S).items():
                taken.setdefault(what, {})[name] = times
    finally:
        ARRAYS.clear()
        stores.remove_folder(folder)
    if "mpshm" not in taken["in"]:
        stores.note("Pool.map of ours, which cannot pass arrays by reference")
    what = f"Pool.map, {N} arrays of 10 MB"
    return [
        stores.row(f"{what} in: their ends", taken["in"], of_peers={"Pool": 1 / 5}),
        stores.row(f"{what} in: their sums (builtin: map)", taken["sum"]),
        stores.row(f"{what} out", taken["out"], of_peers={"Pool": 1 / 5}),
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
