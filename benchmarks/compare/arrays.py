"""An array of 100 MB put into a dict and got out again, beside a copy and what others offer; and many small ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import mpshm
from benchmarks import stores, table
from benchmarks.stores import Store

BYTES = 100_000_000
SMALL_N, SMALL_LENGTH = 100_000, 100
FEW = 1000  # small arrays for those that take longer
QUICK_WITH_SMALL = ["mpshm", "lmdb"]
WITH_GET = ["Manager", "mpshm", "lmdb", "SharedArray", "shared_memory", "joblib"]
MAPPED_OWN = ["mpshm", "joblib"]  # whose gets may be written to, and are private only from then on
SLOW = ["Manager", "joblib"]
TO_SUM = ["mpshm", "lmdb", "SharedArray", "shared_memory"]

Taken = dict[str, list[float]]


def first_of(get: Callable[[Any], Any]) -> Any:
    array = get("x")
    array[0]
    return array


def gets(opened: dict[str, Store], rounds: int) -> Taken:
    """Seconds to get the array and its first element."""
    acts = {name: functools.partial(first_of, opened[name].get) for name in opened}
    return stores.in_turns(acts, rounds, 2, opened)


def only(opened: dict[str, Store], names: list[str]) -> dict[str, Store]:
    return {name: store for name, store in opened.items() if name in names}


def all_gets(opened: dict[str, Store], fast: bool) -> Taken:
    """The same; fewer for those that copy, or read a file."""
    quick = [name for name in opened if name not in SLOW]
    return gets(only(opened, quick), 20 if fast else 100) | gets(only(opened, SLOW), 3 if fast else 7)


def views(ours: Store, rounds: int) -> Taken:
    view = stores.viewer(ours)
    return stores.in_turns({"mpshm": functools.partial(first_of, view)}, rounds, 2) if view else {}


def sums(opened: dict[str, Store], private: np.ndarray, rounds: int) -> tuple[Taken, Taken]:
    """Seconds of the first sum over an array after its get, page faults included, and of the second."""
    first: Taken = {name: [] for name in ["builtin", *opened]}
    second: Taken = {name: [] for name in first}
    right = private.sum()
    for _ in range(rounds):
        for name in first:
            array = opened[name].get("x") if name in opened else private
            for taken in (first, second):
                begun = perf_counter()
                total = array.sum()
                taken[name].append(perf_counter() - begun)
                if total != right:
                    raise AssertionError(f"{name}: not what was put in")
            del array
            if name in opened:
                opened[name].forget()
    return first, second


def writes(opened: dict[str, Store], rounds: int) -> Taken:
    """Seconds to write to all of an array that was just got; the builtin's was written to before."""
    taken: Taken = {name: [] for name in ["builtin", *opened]}
    warm = np.zeros(BYTES // 8)
    for _ in range(rounds):
        for name in taken:
            array = opened[name].get("x") if name in opened else warm
            begun = perf_counter()
            array.fill(2.5)
            taken[name].append(perf_counter() - begun)
            del array
            if name in opened:
                opened[name].forget()
            if name in opened and opened[name].get("x")[-1] == 2.5:
                raise AssertionError(f"{name}: a write to what was got is seen by others")
    return taken


def read(opened: dict[str, Store], private: np.ndarray, fast: bool) -> tuple[Taken, Taken, Taken]:
    """In a process that did not put: gets, views and the first sums."""
    first, _ = sums(only(opened, TO_SUM), private, 5 if fast else 15)
    return all_gets(opened, fast), views(opened["mpshm"], 20 if fast else 100), first


def cold(private: np.ndarray, rounds: int) -> Taken:
    """Seconds of the first put into a manager; the builtin's copy gets new pages as well."""
    taken: Taken = {"builtin": [], "mpshm": []}
    for _ in range(rounds):
        begun = perf_counter()
        copied = private.copy()
        taken["builtin"].append(perf_counter() - begun)
        del copied
        with mpshm.Manager() as manager:
            d = manager.dict()
            begun = perf_counter()
            d["x"] = private
            taken["mpshm"].append(perf_counter() - begun)
    return taken


def large(private: np.ndarray, ray: dict[str, list[float]], fast: bool) -> list[table.Row]:
    with stores.opened(stores.installed(["memcpy", *WITH_GET])) as opened:
        acts = {name: functools.partial(store.put, "x", private) for name, store in opened.items()}
        slow_acts = {name: acts.pop(name) for name in SLOW if name in acts}
        put = stores.in_turns(acts, 9 if fast else 25, 3) | stores.in_turns(slow_acts, 3 if fast else 7)
        opened.pop("memcpy").close()
        got = all_gets(opened, fast)
        for store in opened.values():
            store.detach()
        there, viewed_there, first_there = stores.in_fork(read, opened, private, fast)
        viewed = views(opened["mpshm"], 20 if fast else 100)
        first, second = sums(only(opened, TO_SUM), private, 7 if fast else 15)
        written = writes(only(opened, MAPPED_OWN), 3 if fast else 7)
    fresh = cold(private, 3 if fast else 7)
    if ray:
        put["Ray"], got["Ray"] = ray["large put"], ray["large get"]
    made = [
        stores.row("100 MB: put, warm", put, of_peers={"memcpy": stores.COPY_TIMES}),
        stores.row("100 MB: put, the manager's first (builtin: a copy)", fresh),
        stores.row("100 MB: get and first element", got, at_most=30e-6),
        stores.row("100 MB: the same in another process", there, at_most=30e-6),
    ]
    if viewed:
        made.append(stores.row("100 MB: view and first element", viewed, at_most=10e-6))
        made.append(stores.row("100 MB: the same view in another process", viewed_there, at_most=10e-6))
    else:
        stores.note("views, which this mpshm does not have")
    return [
        *made,
        stores.row("100 MB: first sum after a get (builtin: private)", first, builtin_at_most=1.3),
        stores.row("100 MB: the same in another process", first_there, builtin_at_most=1.3),
        stores.row("100 MB: second sum", second, builtin_at_most=1.3),
        stores.row("100 MB: write to all of what was got (builtin: private)", written),
    ]


def put_small(put: Callable[[Any, Any], Any], arrays: list[np.ndarray]) -> None:
    for number, array in enumerate(arrays):
        put(number, array)


def get_small(get: Callable[[Any], Any], n: int) -> None:
    for number in range(n):
        get(number)


def get_and_forget(store: Store, n: int) -> None:
    for number in range(n):
        store.get(number)
        store.forget()


class Copies(Store):
    """The builtin dict, of arrays that nobody else has."""

    def __init__(self) -> None:
        self.values: dict[Any, np.ndarray] = {}
        self.get = self.values.__getitem__

    def put(self, key: Any, value: np.ndarray) -> None:
        self.values[key] = value.copy()


def small_of(arrays: list[np.ndarray], rounds: int, store: Store) -> Taken:
    """Seconds for one array: of a put under a new key, of one under a known key, and of a get."""
    n = len(arrays)
    if type(store).forget is Store.forget:
        get = functools.partial(get_small, store.get, n)
    else:
        get = functools.partial(get_and_forget, store, n)
    taken = stores.in_turns({"put": functools.partial(put_small, store.put, arrays), "get": get}, 1 + rounds, 0)
    if not np.array_equal(store.get(n // 2), arrays[n // 2]):
        raise AssertionError("not what was put in")
    store.forget()
    found = {"new": taken["put"][:1], "put": taken["put"][1:], "get": taken["get"][1:]}
    return {what: [seconds / n for seconds in times] for what, times in found.items()}


def small(arrays: list[np.ndarray], ray: dict[str, list[float]], fast: bool) -> list[table.Row]:
    rounds = 3 if fast else 7
    taken: dict[str, Taken] = {"new": {}, "put": {}, "get": {}}

    def keep(name: str, found: Taken) -> None:
        for what, times in found.items():
            taken[what].setdefault(name, []).extend(times)

    names = stores.installed(WITH_GET)
    for _ in range(rounds):
        keep("builtin", small_of(arrays, 2, Copies()))
        for name in names:
            with stores.opened([name]) as opened:
                keep(name, small_of(arrays if name in QUICK_WITH_SMALL else arrays[:FEW], 2, opened[name]))
    keep("Ray", {what: ray[what] for what in taken if what in ray})
    what = f"{SMALL_N:,} arrays of {SMALL_LENGTH} numbers"
    return [
        stores.row(f"{what}: put of one, new memory", taken["new"]),
        stores.row(f"{what}: put of one, warm", taken["put"], at_most=3e-6),
        stores.row(f"{what}: get of one", taken["get"], at_most=3e-6),
    ]


def with_ray(private: np.ndarray, arrays: list[np.ndarray], fast: bool, store: Store) -> Taken:
    found = small_of(arrays[:FEW], 3 if fast else 7, store)
    put = functools.partial(store.put, "x", private)
    found["large put"] = stores.in_turns({"Ray": put}, 5 if fast else 15, 3)["Ray"]
    found["large get"] = gets({"Ray": store}, 20 if fast else 100)["Ray"]
    return found


def rows(fast: bool) -> list[table.Row]:
    private = np.random.default_rng(1).random(BYTES // 8)
    arrays = [values.copy() for values in np.random.default_rng(2).random((SMALL_N, SMALL_LENGTH))]
    ray = stores.in_ray(functools.partial(with_ray, private, arrays, fast)) or {}
    return large(private, ray, fast) + small(arrays, ray, fast)


if __name__ == "__main__":
    table.print_table(rows(fast=False))
