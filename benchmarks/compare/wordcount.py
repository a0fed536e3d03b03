"""The main job: the words of the standard library's sources counted into one dict, one by one."""

from __future__ import annotations

import collections
import re
import statistics
import sysconfig
from pathlib import Path
from time import perf_counter
from typing import Any

import mpshm
from benchmarks import table

CONTEXT = mpshm.get_context("fork")
# How many words Manager gets: all would take it most of a minute.
SAMPLE = 3000


def words_of_the_library(limit: int) -> list[str]:
    found: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        found += re.findall(r"\w+", path.read_text(encoding="utf-8", errors="replace"))
        if len(found) >= limit:
            break
    return found[:limit]


def count_by_two(d: Any, words: list[str]) -> None:
    for word in words:
        d[word] = d.get(word, 0) + 1


def count_by_incr(d: Any, words: list[str]) -> None:
    for word in words:
        d.incr(word)


def timed(act: Any, d: Any, words: list[str]) -> float:
    """Seconds per word; the counts must be right."""
    begun = perf_counter()
    act(d, words)
    spent = perf_counter() - begun
    if dict(d.items()) != collections.Counter(words):
        raise AssertionError("the counts are wrong")
    return spent / len(words)


def count_by_processes(d: Any, words: list[str], workers: int) -> None:
    size = -(-len(words) // workers)
    parts = [words[start : start + size] for start in range(0, len(words), size)]
    processes = [CONTEXT.Process(target=count_by_incr, args=(d, part)) for part in parts]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def rows(fast: bool) -> list[table.Row]:
    words = words_of_the_library(100_000 if fast else 300_000)
    taken: dict[tuple[str, str], list[float]] = {}
    steps, incr, two = "word count, get and set", "word count, incr", "word count, incr, 2 processes"
    make = {name: implementation.make_dict for name, implementation in table.IMPLEMENTATIONS.items()}
    for _ in range(3 if fast else 7):
        builtin = timed(count_by_two, make["builtin"](), words)
        manager = timed(count_by_two, make["Manager"](), words[:SAMPLE])
        for what in (steps, incr, two):
            taken.setdefault((what, "builtin"), []).append(builtin)
            taken.setdefault((what, "Manager"), []).append(manager)
        taken.setdefault((steps, "mpshm"), []).append(timed(count_by_two, make["mpshm"](), words))
        taken.setdefault((incr, "mpshm"), []).append(timed(count_by_incr, make["mpshm"](), words))
        by_two = timed(lambda d, words: count_by_processes(d, words, 2), make["mpshm"](), words)
        taken.setdefault((two, "mpshm"), []).append(by_two)
    return [
        table.Row(
            what,
            {name: statistics.median(taken[what, name]) for name in ("builtin", "Manager", "mpshm")},
            spread=table.spread(taken[what, "mpshm"]),
            builtin_at_most=3 if what == incr else None,
        )
        for what in (steps, incr, two)
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
