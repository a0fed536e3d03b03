"""From Manager() to the first operation, from a handle's arrival in a worker to its first use, and the import."""

from __future__ import annotations

import pickle
import statistics
from time import perf_counter
from typing import Any

import mpshm
from benchmarks import table

FIRST_OPERATION = """
from time import perf_counter
from {module} import Manager
if __name__ == "__main__":
    begun = perf_counter()
    manager = Manager()
    d = manager.dict()
    d["a"] = 1
    print(perf_counter() - begun)
    del d
    manager.shutdown()
"""

IMPORT = """
from time import perf_counter
begun = perf_counter()
import {module}
{module}.Manager, {module}.Process
print(perf_counter() - begun)
"""


def attach(pickled: bytes, answer: Any) -> None:
    """Load a handle and use it; what the worker needs is imported already."""
    begun = perf_counter()
    d = pickle.loads(pickled)
    if d["a"] != 1:
        raise AssertionError("not what was put in")
    answer.send(perf_counter() - begun)


def attach_in_spawned_worker(rounds: int) -> list[float]:
    context = mpshm.get_context("spawn")
    d = table.our_manager().dict(a=1)
    taken = []
    for _ in range(rounds):
        results, answer = context.Pipe(duplex=False)
        process = context.Process(target=attach, args=(pickle.dumps(d), answer))
        process.start()
        taken.append(results.recv())
        process.join()
    return taken


def repeated(code: str, rounds: int) -> dict[str, list[float]]:
    """What fresh interpreters measured, in turns."""
    modules = {"Manager": "multiprocessing", "mpshm": "mpshm"}
    taken: dict[str, list[float]] = {name: [] for name in modules}
    for _ in range(rounds):
        for name, module in modules.items():
            taken[name].append(float(table.fresh(code.format(module=module))))
    return taken


def rows(fast: bool) -> list[table.Row]:
    rounds = 5 if fast else 20
    first, imports = repeated(FIRST_OPERATION, rounds), repeated(IMPORT, rounds)
    attaching = attach_in_spawned_worker(rounds)
    extra = [ours - theirs for ours, theirs in zip(imports["mpshm"], imports["Manager"], strict=True)]

    def medians(taken: dict[str, list[float]]) -> dict[str, float]:
        return {name: statistics.median(values) for name, values in taken.items()}

    return [
        table.Row("Manager() to the first set", medians(first), spread=table.spread(first["mpshm"]), at_most=1e-3),
        table.Row(
            "handle loaded and used in a spawned worker",
            {"mpshm": statistics.median(attaching)},
            spread=table.spread(attaching),
            at_most=1e-3,
        ),
        table.Row("import", medians(imports), spread=table.spread(imports["mpshm"])),
        table.Row("import, beyond multiprocessing's", {"mpshm": max(statistics.median(extra), 1e-9)}, at_most=15e-3),
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
