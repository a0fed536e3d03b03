"""How soon another process runs that waits for an Event, a Condition, a Barrier or a Semaphore; and idle ones."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any

import mpshm
from benchmarks import table

CONTEXT = multiprocessing.get_context("fork")
LIMIT_S = 60
# What each offers; a stdlib manager's are the same, behind its server.
MAKERS: dict[str, Any] = {"multiprocessing": CONTEXT, "Manager": None, "mpshm": mpshm.get_context("fork")}


def maker(name: str) -> Any:
    return table.stdlib_manager() if name == "Manager" else MAKERS[name]


def event_here(pair: Any, n: int) -> None:
    """Set one, wait for the other; the other process the other way round."""
    mine, theirs = pair
    for _ in range(n):
        mine.set()
        assert theirs.wait(LIMIT_S)
        theirs.clear()


def event_there(pair: Any, n: int) -> None:
    mine, theirs = pair
    for _ in range(n):
        assert mine.wait(LIMIT_S)
        mine.clear()
        theirs.set()


def condition_turns(shared: Any, n: int, turn: int) -> None:
    """Take turns: wait until it is mine, hand it on."""
    condition, whose = shared
    with condition:
        for _ in range(n):
            while whose.value != turn:
                assert condition.wait(LIMIT_S)
            whose.value = 1 - turn
            condition.notify()


def barrier(shared: Any, n: int) -> None:
    for _ in range(n):
        shared.wait(LIMIT_S)


def semaphore_here(pair: Any, n: int) -> None:
    mine, theirs = pair
    for _ in range(n):
        mine.release()
        assert theirs.acquire(True, LIMIT_S)


def semaphore_there(pair: Any, n: int) -> None:
    mine, theirs = pair
    for _ in range(n):
        assert mine.acquire(True, LIMIT_S)
        theirs.release()


class Duel:
    """A game of two processes: what they share, and what each does n times."""

    def __init__(self, what: str, make: Callable[[Any], Any], here: Any, there: Any) -> None:
        self.what, self.make, self.here, self.there = what, make, here, there


DUELS = [
    Duel("Event: there and back", lambda m: (m.Event(), m.Event()), event_here, event_there),
    Duel(
        "Condition: there and back",
        lambda m: (m.Condition(), m.Value("i", 0)),
        lambda shared, n: condition_turns(shared, n, 0),
        lambda shared, n: condition_turns(shared, n, 1),
    ),
    Duel("Barrier of 2: a round", lambda m: m.Barrier(2), barrier, barrier),
    Duel("Semaphore: there and back", lambda m: (m.Semaphore(0), m.Semaphore(0)), semaphore_here, semaphore_there),
]


def duel(game: Duel, name: str, n: int) -> float:
    """Seconds per round."""
    shared = game.make(maker(name))
    other = CONTEXT.Process(target=game.there, args=(shared, n + 50))
    other.start()
    game.here(shared, 50)
    begun = perf_counter()
    game.here(shared, n)
    taken = (perf_counter() - begun) / n
    other.join(LIMIT_S)
    assert other.exitcode == 0
    return taken


def alone(name: str, what: str, n: int) -> float:
    """Seconds per call that nobody waits for."""
    made = maker(name)
    if what == "Event":
        event = made.Event()
        begun = perf_counter()
        for _ in range(n):
            event.set()
            event.clear()
    else:
        semaphore = made.Semaphore(4)
        begun = perf_counter()
        for _ in range(n):
            semaphore.acquire()
            semaphore.release()
    return (perf_counter() - begun) / n


def rows(fast: bool) -> list[table.Row]:
    found: dict[tuple[str, str], list[float]] = {}
    for _ in range(5 if fast else 15):
        for name in MAKERS:
            slow = name == "Manager"
            for game in DUELS:
                found.setdefault((game.what, name), []).append(duel(game, name, 200 if slow else 5000))
            for what in ("Event", "Semaphore"):
                found.setdefault((f"{what}: a pair of calls", name), []).append(
                    alone(name, what, 200 if slow else 50_000)
                )
    return [
        table.Row(
            what,
            {name: statistics.median(found[what, name]) for name in MAKERS},
            spread=table.spread(found[what, "mpshm"]),
            of_peers={"multiprocessing": 1.0},
        )
        for what in dict.fromkeys(what for what, _ in found)
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=False))
