"""A lock that nobody else wants, and one that two processes want all the time."""

from __future__ import annotations

import functools
import importlib.util
import multiprocessing
import os
import statistics
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from benchmarks import table

CONTEXT = multiprocessing.get_context("fork")
LIMIT_S = 120


def posix_ipc_semaphore() -> Any:
    import posix_ipc

    made = posix_ipc.Semaphore(f"/benchmark-{os.getpid()}", posix_ipc.O_CREX, initial_value=1)
    made.unlink()
    return made


# Each makes a lock that processes forked afterwards share.
LOCKS: dict[str, Callable[[], Any]] = {
    "builtin": threading.Lock,
    "Manager": lambda: table.stdlib_manager().Lock(),
    "multiprocessing": multiprocessing.Lock,
    "mpshm": lambda: table.our_manager().Lock(),
    "posix_ipc": posix_ipc_semaphore,
}
SLOW = {"Manager"}


def available() -> list[str]:
    return [name for name in LOCKS if name != "posix_ipc" or importlib.util.find_spec(name)]


def pairs(lock: Any, n: int) -> float:
    """Seconds that each of n pairs takes."""
    begun = perf_counter()
    for _ in range(n):
        with lock:
            pass
    return (perf_counter() - begun) / n


def calls(lock: Any, n: int) -> float:
    """The same with the two methods called by name."""
    begun = perf_counter()
    for _ in range(n):
        lock.acquire()
        lock.release()
    return (perf_counter() - begun) / n


def contend(lock: Any, n: int, gate: Any, answer: Any) -> None:
    gate.wait(LIMIT_S)
    begun = perf_counter()
    pairs(lock, n)
    answer.send((begun, perf_counter()))


def contended(lock: Any, n: int) -> tuple[float, float]:
    """Seconds per pair of two processes together, and the slower one's time by the faster one's."""
    gate = CONTEXT.Barrier(2)
    results, answer = CONTEXT.Pipe(duplex=False)
    processes = [CONTEXT.Process(target=contend, args=(lock, n, gate, answer)) for _ in range(2)]
    for process in processes:
        process.start()
    spans = []
    for _ in processes:
        if not results.poll(LIMIT_S):
            raise TimeoutError("a process does not get the lock")
        spans.append(results.recv())
    for process in processes:
        process.join()
    (a, b), (c, d) = spans
    return (max(b, d) - min(a, c)) / (2 * n), max(b - a, d - c) / min(b - a, d - c)


@functools.cache
def made(name: str) -> Any:
    return LOCKS[name]()


def rows(fast: bool) -> list[table.Row]:
    rounds = 5 if fast else 15
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name in available():
            n = 300 if name in SLOW else 100_000
            found.setdefault(("with", name), []).append(pairs(made(name), n))
            found.setdefault(("calls", name), []).append(calls(made(name), n))
            if name != "builtin":
                each, ratio = contended(made(name), n)
                found.setdefault(("contended", name), []).append(each)
                found.setdefault(("ratio", name), []).append(ratio)

    def row(kind: str, what: str, **targets: Any) -> table.Row:
        figures = {name: statistics.median(found[kind, name]) for name in available() if (kind, name) in found}
        return table.Row(what, figures, spread=table.spread(found[kind, "mpshm"]), **targets)

    return [
        row("with", "with lock: pass", of_peers={"multiprocessing": 0.5, "posix_ipc": 1.0}),
        row("calls", "lock.acquire(); lock.release()", of_peers={"multiprocessing": 1.0}),
        row("contended", "with lock, two processes at once", of_peers={"multiprocessing": 1.0}),
        row("ratio", "the slower one of them by the faster", unit="", at_most=4),
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
