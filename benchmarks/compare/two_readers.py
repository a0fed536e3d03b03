"""Two processes that read one dict, against one; and the longest read beside a writer at full speed."""

from __future__ import annotations

import multiprocessing
import statistics
from time import perf_counter, perf_counter_ns, sleep
from typing import Any

from benchmarks import table

CONTEXT = multiprocessing.get_context("fork")
KEYS = list(range(1000))
# Nothing here takes longer, but when something is wrong.
LIMIT_S = 60


def read_for(seconds: float, d: Any, gate: Any, answer: Any) -> None:
    """Get keys for so long once the gate opens, and send back how many per second."""
    gate.wait(LIMIT_S)
    count, begun = 0, perf_counter()
    while perf_counter() - begun < seconds:
        for _ in range(10):
            for key in KEYS:
                d[key]
        count += 10 * len(KEYS)
    answer.send(count / (perf_counter() - begun))


def rate(readers: int, d: Any, seconds: float) -> float:
    """Gets per second of so many processes at once, all together."""
    gate = CONTEXT.Barrier(readers)
    results, answer = CONTEXT.Pipe(duplex=False)
    processes = [CONTEXT.Process(target=read_for, args=(seconds, d, gate, answer)) for _ in range(readers)]
    for process in processes:
        process.start()
    total = 0.0
    for _ in processes:
        if not results.poll(LIMIT_S):
            raise TimeoutError("a reader does not answer")
        total += results.recv()
    for process in processes:
        process.join()
    return total


def write_for_ever(d: Any) -> None:
    """Overwrite, insert and delete without a pause."""
    n = 0
    while True:
        n += 1
        for key in KEYS[:50]:
            d[key] = n
        d["text"] = "x" * (n % 5000)
        d["new", n] = n
        del d["new", n]


def latencies(target: Any, d: Any, seconds: float) -> list[int]:
    """Nanoseconds of each get here while another process runs `target`."""
    process = CONTEXT.Process(target=write_for_ever, args=(target,), daemon=True)
    process.start()
    sleep(0.1)
    taken, end = [], perf_counter() + seconds
    while perf_counter() < end:
        for key in KEYS[:50]:
            begun = perf_counter_ns()
            d[key]
            taken.append(perf_counter_ns() - begun)
    process.kill()
    process.join()
    return sorted(taken)


def rows(fast: bool) -> list[table.Row]:
    seconds, rounds = (0.3, 3) if fast else (1.0, 5)
    d = table.IMPLEMENTATIONS["mpshm"].make_dict(dict.fromkeys(KEYS, 1))
    builtin = dict.fromkeys(KEYS, 1)
    rates: dict[Any, list[float]] = {}
    for _ in range(rounds):
        for name, each in (("builtin", builtin), ("mpshm", d)):
            for readers in (1, 2):
                rates.setdefault((name, readers), []).append(rate(readers, each, seconds))
    medians = {key: statistics.median(values) for key, values in rates.items()}
    # The builtin's writer changes a dict of its own process: what the machine alone does to the longest read.
    beside = {"builtin": latencies({}, builtin, seconds * 3), "mpshm": latencies(d, d, seconds * 3)}
    names = ("builtin", "mpshm")
    return [
        table.Row(
            f"gets of {n} process{'es' * (n - 1)}",
            {k: medians[k, n] for k in names},
            "/s",
            table.spread(rates["mpshm", n]),
        )
        for n in (1, 2)
    ] + [
        table.Row("two readers against one", {k: medians[k, 2] / medians[k, 1] for k in names}, "", at_least=1.8),
        table.Row("get beside a writer, median", {k: beside[k][len(beside[k]) // 2] * 1e-9 for k in names}),
        table.Row("get beside a writer, 99.9 %", {k: beside[k][len(beside[k]) * 999 // 1000] * 1e-9 for k in names}),
        table.Row("get beside a writer, longest", {k: beside[k][-1] * 1e-9 for k in names}, at_most=0.1),
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
