"""put, and get with the first element, of one array of 1 KiB to 1 GiB."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import stores, table
from benchmarks.stores import Store

NAMES = ["mpshm", "lmdb", "SharedArray", "shared_memory"]
KIB, MIB = 1 << 10, 1 << 20
SIZES = [KIB << shift for shift in range(0, 21, 2)]
LARGEST_FAST = 64 * MIB
TOGETHER = MIB  # bytes that are put and got in one go: a clock costs as much as a small array
MOST = 100  # arrays in one go, also for those that take longer with small ones

Taken = dict[str, list[float]]


def name_of(size: int) -> str:
    return f"{size // MIB:,} MiB" if size >= MIB else f"{size // KIB} KiB"


def puts(store: Store, array: np.ndarray, n: int) -> None:
    put = store.put
    for _ in range(n):
        put("x", array)


def gets(store: Store, get: Callable[[Any], Any], n: int) -> Any:
    """Every array but the last is dropped in the time that is measured."""
    if n == 1:
        array = get("x")
        array[0]
        return array
    for _ in range(n):
        get("x")[0]
        store.forget()
    return None


def measure(name: str, array: np.ndarray, rounds: int) -> tuple[Taken, Taken]:
    """Seconds of a put and of a get; a copy to private memory is made in turns with the puts."""
    n = max(1, min(MOST, TOGETHER // array.nbytes))
    with stores.opened(["memcpy", name]) as opened:
        acts = {each: functools.partial(puts, store, array, n) for each, store in opened.items()}
        put = stores.in_turns(acts, rounds, 3)
        opened["memcpy"].close()
        store = opened[name]
        ways = {name: store.get}
        if name == "mpshm" and (view := stores.viewer(store)):
            ways["view"] = view
        got = {}
        for way, get in ways.items():
            act = functools.partial(gets, store, get, n)
            got |= stores.in_turns({way: act}, 2 * rounds, 1, {way: store})
        if store.get("x")[-1] != array[-1]:
            raise AssertionError(f"{name}: not what was put in")
        store.forget()
    return tuple({each: [seconds / n for seconds in times] for each, times in taken.items()} for taken in (put, got))


def rows(fast: bool) -> list[table.Row]:
    names = stores.installed(NAMES)
    sizes = [size for size in SIZES if not fast or size <= LARGEST_FAST]
    values = np.random.default_rng(1).random(max(sizes) // 8)
    puts_of, gets_of = [], []
    for size in sizes:
        put: Taken = {"memcpy": []}
        got: Taken = {}
        for name in names:
            rounds = (3 if fast else 7) if size >= 64 * MIB else (15 if fast else 45)
            each_put, each_got = measure(name, values[: size // 8], rounds)
            put["memcpy"] += each_put.pop("memcpy")
            put |= each_put
            got |= each_got
        puts_of.append(stores.row(f"{name_of(size)}: put", put))
        gets_of.append(stores.row(f"{name_of(size)}: get and first element", got))
    return puts_of + gets_of


if __name__ == "__main__":
    table.print_table(rows(fast=False))
