"""A table of 10^6 x 10 numbers put into a dict and got out again: pandas' and Arrow's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks import stores, table
from benchmarks.stores import Store

SHAPE = 1_000_000, 10
ANY_VALUE = ["Manager", "mpshm", "joblib"]  # and Ray
SLOW = ["Manager", "joblib"]

Taken = dict[str, list[float]]


class ArrowFile(Store):
    """Arrow's own file format in memory, mapped."""

    def __init__(self) -> None:
        import pyarrow

        self.arrow = pyarrow
        self.folder = stores.scratch()

    def put(self, key: Any, value: Any) -> None:
        with self.arrow.OSFile(f"{self.folder}/{key}", "wb") as sink:
            with self.arrow.ipc.new_file(sink, value.schema) as writer:
                writer.write_table(value)

    def get(self, key: Any) -> Any:
        return self.arrow.ipc.open_file(self.arrow.memory_map(f"{self.folder}/{key}")).read_all()

    def close(self) -> None:
        stores.remove_folder(self.folder)


def got_and_read(store: Store, first: Callable[[Any], float]) -> Any:
    value = store.get("x")
    first(value)
    return value


def put_and_get(
    value: Any, first: Callable[[Any], float], fast: bool, opened: dict[str, Store], array: np.ndarray | None
) -> tuple[Taken, Taken]:
    """Seconds of each; a copy of the array, which has as many bytes, in turns with the puts."""
    acts = {name: functools.partial(store.put, "x", value) for name, store in opened.items()}
    slow = {name: acts.pop(name) for name in SLOW if name in acts}
    if array is not None:
        acts["memcpy"] = functools.partial(stores.Memcpy().put, "x", array)
    put = stores.in_turns(acts, 7 if fast else 21, 3) | stores.in_turns(slow, 2 if fast else 5)
    reads = {name: functools.partial(got_and_read, store, first) for name, store in opened.items()}
    slow = {name: reads.pop(name) for name in SLOW if name in reads}
    got = stores.in_turns(reads, 20 if fast else 100, 2, opened) | stores.in_turns(slow, 2 if fast else 5, 1, opened)
    for name, store in opened.items():
        if first(store.get("x")) != first(value):
            raise AssertionError(f"{name}: not what was put in")
        store.forget()
    return put, got


def first_of_frame(frame: Any) -> float:
    return float(frame.iat[0, 0])


def first_of_table(arrow: Any) -> float:
    return float(arrow.column(0)[0].as_py())


def tables(array: np.ndarray) -> dict[str, tuple[Any, Callable[[Any], float]]]:
    """The array as each kind of table, and what reads the first number of that."""
    names = [f"column {number}" for number in range(SHAPE[1])]
    made: dict[str, tuple[Any, Callable[[Any], float]]] = {}
    if stores.installed(["pandas"]):
        import pandas

        made["DataFrame"] = pandas.DataFrame(array.copy(), columns=names), first_of_frame
    if stores.installed(["pyarrow"]):
        import pyarrow

        columns = [pyarrow.array(column.copy()) for column in array.T]
        made["Arrow table"] = pyarrow.table(columns, names=names), first_of_table
    return made


def with_ray(
    values: dict[str, tuple[Any, Callable[[Any], float]]], fast: bool, store: Store
) -> dict[str, tuple[Taken, Taken]]:
    return {kind: put_and_get(*value, fast, {"Ray": store}, None) for kind, value in values.items()}


def rows(fast: bool) -> list[table.Row]:
    array = np.random.default_rng(1).random(SHAPE)
    values = tables(array)
    if not values:
        return []
    ray = stores.in_ray(functools.partial(with_ray, values, fast)) or {}
    names = stores.installed(ANY_VALUE)
    made = []
    for kind, (value, first) in values.items():
        arrow = kind == "Arrow table"
        with stores.opened(names, {"Arrow file": ArrowFile} if arrow else {}) as opened:
            put, got = put_and_get(value, first, fast, opened, array)
        ray_put, ray_got = ray.get(kind, ({}, {}))
        what = f"{kind} of 10^6 x 10"
        peers, limit = (None, None) if arrow else ({"memcpy": stores.COPY_TIMES}, 200e-6)
        made.append(stores.row(f"{what}: put", put | ray_put, of_peers=peers))
        made.append(stores.row(f"{what}: get and first element", got | ray_got, at_most=limit))
    return made


if __name__ == "__main__":
    table.print_table(rows(fast=False))
