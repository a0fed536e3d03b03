"""A queue from one process to another: how much goes through it, and how long a question and its answer take."""

from __future__ import annotations

import importlib.util
import itertools
import multiprocessing
import multiprocessing.queues
import os
import queue
import statistics
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

from benchmarks import table

CONTEXT = multiprocessing.get_context("fork")
LIMIT_S = 60
NUMBERS = itertools.count()


class FasterFifo:
    """faster-fifo: pickles into a ring of fixed size."""

    def __init__(self) -> None:
        import faster_fifo

        self.queue = faster_fifo.Queue(max_size_bytes=64 << 20)
        self.put, self.get = self.queue.put, self.queue.get


class Subetha:
    """subetha-ipc: a ring of bytes that is polled."""

    def __init__(self) -> None:
        import subetha

        folder = tempfile.mkdtemp(prefix="benchmark-")
        self.ring = subetha.Ring(str(Path(folder) / str(next(NUMBERS))), 1024, 1, 1)
        self.producer, self.consumer = self.ring.register_producer(), self.ring.register_consumer()

    def put(self, item: bytes) -> None:
        while not self.ring.send_frame(self.producer, item):
            os.sched_yield()

    def get(self) -> bytes:
        while (item := self.ring.recv_frame(self.consumer)) is None:
            pass
        return item


# Each makes a queue that a process forked afterwards shares; "builtin" goes to a thread instead. The size bounds the
# memory of large items, where a queue has one.
QUEUES: dict[str, Callable[[int], Any]] = {
    "builtin": queue.Queue,
    "Manager": lambda size: table.stdlib_manager().Queue(size),
    "mpshm": lambda size: table.our_manager().Queue(size),
    "multiprocessing": lambda size: multiprocessing.Queue(size),
    "SimpleQueue": lambda size: multiprocessing.SimpleQueue(),
    "faster-fifo": lambda size: FasterFifo(),
    "subetha": lambda size: Subetha(),
}
MODULES = {"faster-fifo": "faster_fifo", "subetha": "subetha"}

# What is sent: the item, how many of it, how many through a slow queue, the size of the queue.
ITEMS: dict[str, tuple[Any, int, int, int]] = {
    "100 bytes": (b"x" * 100, 300_000, 3000, 0),
    "small tuples": ((1, "abc", 2.5), 200_000, 3000, 0),
    "1 MiB": (b"x" * (1 << 20), 600, 100, 4),
}
FAST = ("mpshm", "subetha")


def available(what: str) -> list[str]:
    return [
        name
        for name in QUEUES
        if (name not in MODULES or importlib.util.find_spec(MODULES[name]))
        and not (name == "subetha" and what != "100 bytes" and what != "round trip")
    ]


def beside(name: str, target: Callable[..., None], *args: Any) -> Any:
    """The other side: a process, or for the builtin a thread; started."""
    made = (threading.Thread if name == "builtin" else CONTEXT.Process)(target=target, args=args, daemon=True)
    made.start()
    return made


def send(way: Any, item: Any, n: int, go: Any) -> None:
    go.wait(LIMIT_S)
    for _ in range(n):
        way.put(item)
    if isinstance(way, multiprocessing.queues.Queue):
        way.close()
        way.join_thread()


def one_way(name: str, item: Any, n: int, size: int) -> float:
    """Items per second."""
    way, go = QUEUES[name](size), CONTEXT.Event()
    sender = beside(name, send, way, item, n, go)
    get = way.get
    go.set()
    get()
    begun = perf_counter()
    for _ in range(n - 1):
        get()
    taken = perf_counter() - begun
    sender.join()
    return (n - 1) / taken


def answer(there: Any, back: Any, n: int) -> None:
    for _ in range(n):
        back.put(there.get())


def round_trips(name: str, n: int) -> list[float]:
    """Seconds of each round trip of 16 bytes, in order of length."""
    there, back = QUEUES[name](0), QUEUES[name](0)
    other = beside(name, answer, there, back, n)
    times = []
    for _ in range(n):
        begun = perf_counter_ns()
        there.put(b"0123456789abcdef")
        back.get()
        times.append((perf_counter_ns() - begun) * 1e-9)
    other.join()
    return sorted(times[n // 10 :])


def one_way_row(what: str, rounds: int, **targets: Any) -> table.Row:
    item, n, few, size = ITEMS[what]
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name in available(what):
            count = n if name in FAST or (what == "1 MiB" and name == "builtin") else few
            found.setdefault(name, []).append(one_way(name, item, count, size))
    figures = {name: statistics.median(rates) for name, rates in found.items()}
    return table.Row(f"queue, {what} one way", figures, "/s", table.spread(found["mpshm"]), **targets)


def rows(fast: bool) -> list[table.Row]:
    rounds = 5 if fast else 11
    made = [
        one_way_row("100 bytes", rounds, at_least=4e6, manager_at_least=50),
        one_way_row("small tuples", rounds, at_least=2e6, manager_at_least=50),
        one_way_row("1 MiB", rounds, at_least=5.9e9 / (1 << 20)),
    ]
    trips: dict[str, list[list[float]]] = {}
    for _ in range(rounds):
        for name in available("round trip"):
            trips.setdefault(name, []).append(round_trips(name, 5000 if name in FAST else 500))
    for what, part, limit in (("median", 0.5, 4e-6), ("99 %", 0.99, 10e-6)):
        each = {name: [times[int(len(times) * part)] for times in lists] for name, lists in trips.items()}
        figures = {name: statistics.median(values) for name, values in each.items()}
        spread = table.spread(each["mpshm"])
        made.append(table.Row(f"queue, round trip, {what}", figures, spread=spread, at_most=limit))
    return made


if __name__ == "__main__":
    table.print_table(rows(fast=False))
