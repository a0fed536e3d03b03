"""Operations of semaphores, Condition, Event and Barrier to be killed in: as scenarios.py, which adds them to its own.

Each is (setup, op, look). Who waits beside the operation is a thread of the process that sets things up.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from mpshm import SegmentClosedError

Things = dict[str, Any]

LIMIT_S = 20
LONG = "an argument that does not fit into sixteen bytes " * 2


def a(name: str, *args: Any) -> Callable[[Any], Things]:
    """One object of a manager."""
    return lambda m: {"m": m, "d": getattr(m, name)(*args)}


def acquired(name: str, *args: Any) -> Callable[[Any], Things]:
    """One, of which this process has a permit."""

    def setup(m: Any) -> Things:
        things = a(name, *args)(m)
        assert things["d"].acquire()
        return things

    return setup


def signalled(m: Any) -> Things:
    things = a("Semaphore", 0)(m)
    things["d"].release(2)
    return things


def die_in_child(act: Callable[[], object], after_s: float = LIMIT_S) -> None:
    """Do something in a child that dies then, or after a while."""
    pid = os.fork()
    if pid == 0:
        act()
        os.kill(os.getpid(), signal.SIGKILL)
    end = time.monotonic() + after_s
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.001)


def left_behind(m: Any) -> Things:
    """A semaphore all of whose permits, and all of whose places, are dead processes'."""
    things = a("Semaphore", 6)(m)
    for _ in range(6):
        die_in_child(things["d"].acquire)
    return things


class Beside:
    """A thread that does something again and again, until nobody has this any more."""

    def __init__(self, act: Callable[[], object], end: Callable[[], object]) -> None:
        self.end = end
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(act, self.over), daemon=True)
        self.thread.start()

    @staticmethod
    def run(act: Callable[[], object], over: threading.Event) -> None:
        while True:
            try:
                act()
            except (threading.BrokenBarrierError, SegmentClosedError):
                pass
            if over.wait(0.0005):
                return

    def __del__(self) -> None:
        self.over.set()
        with contextlib.suppress(SegmentClosedError):
            self.end()
        self.thread.join(LIMIT_S)
        assert not self.thread.is_alive()


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.0005)


def wait_once(c: Any, counted: list[int]) -> None:
    """Wait until notified, the first time; afterwards do nothing."""
    if not counted:
        with c:
            c.wait(LIMIT_S)
        counted.append(1)


def notify_all(c: Any) -> None:
    with c:
        c.notify_all()


def with_a_waiter(m: Any) -> Things:
    """A condition for which a thread waits, behind a process that died waiting."""
    things = a("Condition")(m)
    c = things["d"]

    def wait() -> None:
        with c:
            c.wait(LIMIT_S)

    die_in_child(wait, 0.02)
    counted: list[int] = []
    things["beside"] = Beside(functools.partial(wait_once, c, counted), functools.partial(notify_all, c))
    until(lambda: c._waiting() == 1)
    return things


def with_a_notifier(m: Any) -> Things:
    """A condition that a thread notifies again and again."""
    things = a("Condition")(m)
    things["beside"] = Beside(functools.partial(notify_all, things["d"]), int)
    return things


def wait(*args: Any) -> Callable[[Things], object]:
    def op(things: Things) -> None:
        with things["d"]:
            things["d"].wait(*args)

    return op


def notify(things: Things) -> None:
    with things["d"]:
        things["d"].notify()


def idle(things: Things) -> object:
    """Nobody but those beside waits, and the lock can be had."""
    c = things["d"]
    assert c.acquire(timeout=LIMIT_S)
    c.release()
    return None


def at_barrier(*args: Any) -> Callable[[Any], Things]:
    """A barrier at which a thread waits, once."""

    def setup(m: Any) -> Things:
        things = a("Barrier", 2, *args)(m)
        b = things["d"]
        counted: list[int] = []

        def once() -> None:
            if not counted:
                counted.append(1)
                b.wait(LIMIT_S)

        things["beside"] = Beside(once, b.abort)
        until(lambda: b.n_waiting == 1)
        return things

    return setup


def arrive(*args: Any) -> Callable[[Things], object]:
    def op(things: Things) -> None:
        try:
            things["d"].wait(*args)
        except threading.BrokenBarrierError:
            pass

    return op


def barrier_state(things: Things) -> object:
    return things["d"].n_waiting, things["d"].broken


def mended(things: Things) -> object:
    """A barrier is as new after reset(), whatever happened to it."""
    things["d"].reset()
    return things["d"].n_waiting, things["d"].broken


def call(method: str, *args: Any) -> Callable[[Things], object]:
    return lambda t: getattr(t["d"], method)(*args)


def pair(things: Things) -> None:
    assert things["d"].acquire()
    things["d"].release()


def make(name: str, *args: Any) -> Callable[[Things], object]:
    return lambda t: getattr(t["m"], name)(*args)


VALUE = call("get_value")
SET = call("is_set")
NOTHING = call("_is_owned")

SCENARIOS: dict[str, tuple[Callable[[Any], Things], Callable[[Things], object], Callable[[Things], object]]] = {
    "semaphore_acquire": (a("Semaphore", 2), call("acquire"), VALUE),
    "semaphore_pair": (a("Semaphore", 2), pair, VALUE),
    "semaphore_pair_bounded": (a("BoundedSemaphore", 2), pair, VALUE),
    "semaphore_second": (acquired("Semaphore", 3), pair, VALUE),
    "semaphore_signal": (signalled, call("release", 2), VALUE),
    "semaphore_becomes_signal": (acquired("Semaphore", 2), call("release"), VALUE),
    "semaphore_take_signal": (signalled, call("acquire"), VALUE),
    "semaphore_settle": (left_behind, call("acquire", False), lambda t: t["d"].get_value()),
    "semaphore_value": (left_behind, VALUE, VALUE),
    "semaphore_made": (a("Semaphore", 2), make("Semaphore", 7), VALUE),
    "event_set": (a("Event"), call("set"), SET),
    "event_wait": (a("Event"), call("wait", 0.001), SET),
    "condition_wait_timeout": (a("Condition"), wait(0.001), lambda t: t["d"]._waiting()),
    "condition_wait": (with_a_notifier, wait(LIMIT_S), idle),
    "condition_notify": (with_a_waiter, notify, idle),
    "condition_notify_nobody": (a("Condition"), notify, idle),
    "condition_made": (a("Condition"), make("Condition"), NOTHING),
    "barrier_timeout": (a("Barrier", 2), arrive(0.001), barrier_state),
    "barrier_trip": (at_barrier(), arrive(LIMIT_S), barrier_state),
    "barrier_trip_one": (a("Barrier", 1), arrive(LIMIT_S), barrier_state),
    # (undisturbed, nobody waits any more: looking at what was there before has mended it)
    "barrier_action": (at_barrier(functools.partial(len, LONG)), arrive(1.0), mended),
    "barrier_reset": (at_barrier(), call("reset"), barrier_state),
    "barrier_abort": (at_barrier(), call("abort"), barrier_state),
    "barrier_made": (a("Barrier", 2), make("Barrier", 2, functools.partial(len, LONG), 1.5), barrier_state),
}
