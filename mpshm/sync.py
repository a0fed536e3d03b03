"""What processes and threads wait for, in shared memory, and whole after the death of any of them.

Each can be made without a manager, in the process's default segment, or by a manager in its own. Where threading's and
multiprocessing's objects differ in a corner (a message, an odd timeout), a manager's behave as threading's, all others
as multiprocessing's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pickle import PicklingError
from typing import Any, SupportsIndex, TypeVar

from . import _types
from .containers import Shared

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Lock",
    "NotHeldError",
    "RLock",
    "ReleaseError",
    "Semaphore",
]

_T = TypeVar("_T")


class ReleaseError(ValueError, RuntimeError):
    """A lock was released that nobody holds: multiprocessing's error, and threading's at once."""


class NotHeldError(AssertionError, RuntimeError):
    """It takes the lock to do that: multiprocessing's error, and threading's at once."""


class SemLock:
    """What programs reach for inside of multiprocessing's locks: the attribute `_semlock`.

    Source: `_multiprocessing.SemLock`.
    """

    __slots__ = ("_count", "_get_value", "_is_mine", "_is_zero", "acquire", "maxvalue", "release")

    def __init__(self, of: Lock | RLock | Semaphore | BoundedSemaphore) -> None:
        self.acquire = of.acquire
        self.release = of.release
        self._is_zero: Callable[[], bool] = of.locked
        if isinstance(of, _types.Semaphore | _types.BoundedSemaphore):
            self.maxvalue = of._bound
            self._get_value: Callable[[], int] = of.get_value
            self._count: Callable[[], int] = of._count
        else:
            self.maxvalue = 1
            self._get_value = lambda: int(not of.locked())
            self._count = of._recursion_count
        self._is_mine: Callable[[], bool] = lambda: self._count() > 0


class _Acquired(Shared):
    """What locks and semaphores have in common."""

    __slots__ = ()

    @property
    def _semlock(self: Any) -> SemLock:
        return SemLock(self)

    def _text(self: Any) -> str:
        return f"<{'locked' if self.locked() else 'unlocked'} mpshm.{type(self).__name__}>"


class Lock(_Acquired, _types.Lock):
    """A lock between processes and threads; any of them may release it.

    One whose holder died goes to the next that asks, and `owner_died` tells that one.
    Source: `threading.Lock`, as SyncManager gives it out; `multiprocessing.Lock`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "Lock"


class RLock(_Acquired, _types.RLock):
    """A lock that its holder, one thread of one process, may take again.

    One whose holder died goes to the next that asks, and `owner_died` tells that one.
    Source: `threading.RLock`, as SyncManager gives it out; `multiprocessing.RLock`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "RLock"


class Semaphore(_Acquired, _types.Semaphore):
    """Permits to take and to give back.

    A permit belongs to the process that took it, until that process gives it back; its threads share theirs. When it
    dies, the permit comes back, and `owner_died` is true for the process that gets it, until it gives back its last.
    Once a process gives a permit that it has not got, as a producer does that signals to a consumer, nobody owns
    permits any more, and deaths give nothing back.

    Args: `value`, permits at first, 0 to 2**31 - 1.
    Raises: ValueError for a negative value; OverflowError for one too large; SegmentFullError.
    Source: `threading.Semaphore`, `multiprocessing.Semaphore`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "Semaphore"

    def __init__(self, value: int = 1) -> None:
        self._setup(value)

    def _text(self) -> str:
        return f"<mpshm.{type(self).__name__} value={self.get_value()}>"


class BoundedSemaphore(_Acquired, _types.BoundedSemaphore):
    """A Semaphore that never has more permits at hand than at first.

    Args: `value`, permits at first, 0 to 2**31 - 1. `release` beyond them raises ValueError.
    Raises: ValueError for a negative value; OverflowError for one too large; SegmentFullError.
    Source: `threading.BoundedSemaphore`, `multiprocessing.BoundedSemaphore`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "BoundedSemaphore"

    def __init__(self, value: int = 1) -> None:
        self._setup(value)

    def _text(self) -> str:
        return f"<mpshm.{type(self).__name__} value={self.get_value()}/{self._bound}>"


class Event(Shared, _types.Event):
    """A flag that processes and threads wait for.

    Whoever waits when `set()` is called goes on, also if `clear()` follows at once.
    Source: `threading.Event`, `multiprocessing.Event`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "Event"

    def __init__(self) -> None:
        self._setup()

    def _text(self) -> str:
        return f"<mpshm.{type(self).__name__}: {'set' if self.is_set() else 'unset'}>"


class Condition(Shared, _types.Condition):
    """Waiting, with a lock let go of, until somebody notifies.

    `notify(n)` wakes exactly n of those who wait, or all if they are fewer, in the order in which they came; a process
    that was killed does not count, and what it was notified of and did not notice goes to the next.

    Args: `lock`, a Lock or an RLock of the same segment; None makes an RLock. A handle on the condition is enough to
    use both.
    Raises: TypeError for another kind of lock; ValueError for one of another segment; SegmentFullError.
    Source: `threading.Condition`, `multiprocessing.Condition`.
    """

    __slots__ = ("__weakref__", "_kept_lock")

    _typeid = "Condition"
    _kept_lock: Lock | RLock

    def __init__(self, lock: Lock | RLock | None = None) -> None:
        self._setup(RLock._in(self._segment) if lock is None else lock)

    @property
    def _lock(self) -> Lock | RLock:
        """The lock."""
        try:
            return self._kept_lock
        except AttributeError:
            lock = self._lock_handle()
            assert isinstance(lock, Lock | RLock)
            self._kept_lock = lock
            return lock

    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T:
        """Wait until `predicate()` is true, at most `timeout` seconds; None waits for as long as it takes.

        Returns: what it returned last. Raises: RuntimeError unless the lock is held.
        """
        result = predicate()
        end = None if timeout is None else time.monotonic() + timeout
        left = timeout
        while not result:
            if end is not None:
                left = end - time.monotonic()
                if left <= 0:
                    break
            self.wait(left)
            result = predicate()
        return result

    def _text(self) -> str:
        return f"<mpshm.{type(self).__name__}({self._lock}, {self._waiting()})>"


class Barrier(Shared, _types.Barrier):
    """A place where processes and threads wait for each other.

    A process that is killed while it waits does not count: the others wait for another. One that is killed while it
    runs the action breaks the barrier.

    Args: `parties`, how many wait for each other, 1 at least; `action`, what the last to come calls before all go on.
    It is stored in the barrier, so that every process can call it; one that can't be pickled stays with the process
    that made the barrier and its forked children. `timeout`, seconds that `wait` waits if nothing else is said.
    Raises: ValueError for fewer than one party; TypeError for a timeout that is no number; SegmentFullError.
    Source: `threading.Barrier`, `multiprocessing.Barrier`.
    """

    __slots__ = ("__weakref__", "_action")

    _typeid = "Barrier"
    _action: Callable[[], object]

    def __init__(self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None) -> None:
        self._setup(parties, action, timeout)

    def _setup(self, parties: int, action: Callable[[], object] | None, timeout: float | None) -> None:
        if timeout is not None:
            timeout = 0.0 if math.isnan(timeout) else float(timeout)
        self._store(parties, None, timeout, False)
        if action is None:
            return
        self._action = action
        try:
            self._store(parties, action, timeout, False)
        except (PicklingError, AttributeError, TypeError):
            self._store(parties, None, timeout, True)

    def _act(self) -> None:
        """Run the action: the handle's own, else the one that is stored."""
        try:
            action = self._action
        except AttributeError:
            if self._is_local():
                raise RuntimeError(
                    "the action of this barrier cannot be pickled, so only the process that made the barrier, and its "
                    "forked children, can run it: use a function of a module"
                ) from None
            action = self._action = self._stored_action()
        action()

    def __reduce_ex__(self, protocol: SupportsIndex = 4, /) -> str | tuple[Any, ...]:
        action = getattr(self, "_action", None)
        if action is None or not self._is_local():
            return super().__reduce_ex__(protocol)
        # What pickles only while a process is being started (multiprocessing's own values) goes beside the handle.
        return _with_action, (*super().__reduce_ex__(protocol), action)

    def _text(self) -> str:
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<mpshm.{type(self).__name__}: {state}>"


def _with_action(rebuild: Callable[..., Barrier], args: tuple[Any, ...], action: Callable[[], object]) -> Barrier:
    """Load a barrier whose action came with the handle."""
    made = rebuild(*args)
    made._action = action
    return made


_types.register(_types.Lock, Lock)
_types.register(_types.RLock, RLock)
_types.register(_types.Semaphore, Semaphore)
_types.register(_types.BoundedSemaphore, BoundedSemaphore)
_types.register(_types.Event, Event)
_types.register(_types.Condition, Condition)
_types.register(_types.Barrier, Barrier)
