"""A counter that two processes bump, each 100 000 times: with one atomic step, and under the value's own lock."""

from __future__ import annotations

import importlib.util
import mmap
import multiprocessing
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import mpshm
from benchmarks import table

CONTEXT = multiprocessing.get_context("fork")
LIMIT_S = 120
N = 100_000


def add(value: Any, n: int) -> None:
    for _ in range(n):
        value.add(1)


def fetch_add(value: Any, n: int) -> None:
    for _ in range(n):
        value.fetch_add(1)


def under_lock(value: Any, n: int) -> None:
    for _ in range(n):
        with value.get_lock():
            value.value += 1


def under_manager_lock(both: Any, n: int) -> None:
    value, lock = both
    for _ in range(n):
        with lock:
            value.value += 1


def atomicshm_counter() -> Any:
    import atomicshm

    return atomicshm.AtomicView(mmap.mmap(-1, 4096)).cell_u64(0)


class Counter:
    """Something that counts: how to make it, to bump it n times, and to read it."""

    def __init__(
        self, make: Callable[[], Any], bump: Callable[[Any, int], None], read: Callable[[Any], int], loops: int = N
    ) -> None:
        self.make, self.bump, self.read, self.loops = make, bump, read, loops


COUNTERS = {
    "multiprocessing": Counter(lambda: multiprocessing.Value("q", 0), under_lock, lambda value: value.value),
    "Manager": Counter(
        lambda: (table.stdlib_manager().Value("q", 0), table.stdlib_manager().Lock()),
        under_manager_lock,
        lambda both: both[0].value,
        200,
    ),
    "mpshm": Counter(lambda: mpshm.Value("q", 0), add, lambda value: value.value),
    "mpshm, under its lock": Counter(lambda: mpshm.Value("q", 0), under_lock, lambda value: value.value),
    "mpshm, Manager().Value": Counter(lambda: table.our_manager().Value("q", 0), add, lambda value: value.value),
}
if importlib.util.find_spec("atomicshm"):
    COUNTERS["atomicshm"] = Counter(atomicshm_counter, fetch_add, lambda value: value.load())


def bump(counter: Counter, value: Any, gate: Any, answer: Any) -> None:
    gate.wait(LIMIT_S)
    begun = perf_counter()
    counter.bump(value, counter.loops)
    answer.send((begun, perf_counter()))


def measure(counter: Counter, processes: int) -> float:
    """Seconds per bump, of all processes together."""
    value = counter.make()
    gate = CONTEXT.Barrier(processes)
    results, answer = CONTEXT.Pipe(duplex=False)
    workers = [CONTEXT.Process(target=bump, args=(counter, value, gate, answer)) for _ in range(processes)]
    for worker in workers:
        worker.start()
    spans = []
    for _ in workers:
        if not results.poll(LIMIT_S):
            raise TimeoutError("a process does not end")
        spans.append(results.recv())
    for worker in workers:
        worker.join()
    assert counter.read(value) == processes * counter.loops, "bumps were lost"
    return (max(end for _, end in spans) - min(begin for begin, _ in spans)) / (processes * counter.loops)


def rows(fast: bool) -> list[table.Row]:
    found: dict[tuple[int, str], list[float]] = {}
    for _ in range(5 if fast else 15):
        for name, counter in COUNTERS.items():
            for processes in (1, 2):
                found.setdefault((processes, name), []).append(measure(counter, processes))
    return [
        table.Row(
            f"bump of a counter, {processes} process{'es' * (processes - 1)}",
            {name: statistics.median(found[processes, name]) for name in COUNTERS},
            spread=table.spread(found[processes, "mpshm"]),
            of_peers={"atomicshm": 1.2, "multiprocessing": 0.1} if processes == 2 else {},
        )
        for processes in (1, 2)
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
