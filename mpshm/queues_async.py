"""Queues and asyncio: a task waits for a queue without polling it, and takes nothing before it runs.

For each queue, loop and direction there is at most one thread, and only while a task waits. It waits in C for the queue
to have something (or room), takes nothing, and tells the loop; the task that has waited longest then takes with
`get_nowait`, and waits on if another process was faster. So a task that is cancelled has taken nothing. The threads are
daemons, and end within a tenth of a second when nobody waits any more.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from queue import Empty, Full
from typing import Any, TypeVar

from . import _types

__all__ = ["get", "put"]

_T = TypeVar("_T")
_Key = tuple[asyncio.AbstractEventLoop, int, int, int, bool]

# How long a thread waits before it looks whether it is still wanted, in seconds.
_LOOK_UP = 0.1

_watches: dict[_Key, _Watch] = {}
_lock = threading.Lock()  # of _watches, and of whether a watch has a thread


class _Watch:
    """The tasks of one loop that wait for one direction of one queue, and the thread that waits for them."""

    def __init__(self, queue: _types.Queue[Any] | _types.SimpleQueue[Any], key: _Key) -> None:
        self.queue, self.key, self.loop, self.putting = queue, key, key[0], key[-1]
        self.waiting: deque[asyncio.Future[None]] = deque()  # changed by the loop's thread alone
        self.wanted = threading.Event()  # set: wait for the queue once more
        self.has_thread = False

    async def turn(self, first: bool) -> None:
        """Return when the queue may have what this task wants; `first`: it had its turn, and goes before others."""
        turn: asyncio.Future[None] = self.loop.create_future()
        (self.waiting.appendleft if first else self.waiting.append)(turn)
        self.go_on()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.next_turn()  # ours was in vain
            raise
        finally:
            if turn in self.waiting:
                self.waiting.remove(turn)

    def next_turn(self) -> None:
        """It is the turn of the task that has waited longest."""
        while self.waiting:
            turn = self.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def go_on(self) -> None:
        """Wait for the queue, if somebody waits."""
        if not self.waiting:
            return
        with _lock:
            _watches[self.key] = self
            self.wanted.set()
            if not self.has_thread:
                self.has_thread = True
                threading.Thread(target=self.run, name="mpshm-queue", daemon=True).start()

    def run(self) -> None:
        """The thread."""
        while self.is_wanted():
            self.wanted.clear()
            while self.waiting:
                try:
                    ready = self.queue._ready(self.putting, _LOOK_UP)
                except Exception:
                    ready = True  # the task whose turn it is is told the same
                if ready:
                    self.tell()
                    break
            else:
                self.queue._nudge(self.putting)  # whoever was not woken because we were

    def tell(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self.next_turn)
        except RuntimeError:  # the loop was closed
            self.waiting.clear()

    def is_wanted(self) -> bool:
        if self.wanted.wait(_LOOK_UP):
            return True
        with _lock:
            if self.wanted.is_set():
                return True
            self.has_thread = False
            if _watches.get(self.key) is self and not self.waiting:
                del _watches[self.key]
            return False


def _watch(queue: Any, putting: bool) -> _Watch:
    key = (asyncio.get_running_loop(), queue._segment._pointer, queue._offset, queue._serial, putting)
    with _lock:
        found = _watches.get(key)
    return _Watch(queue, key) if found is None else found


async def get(queue: _types.Queue[_T] | _types.SimpleQueue[_T]) -> _T:
    """Take the oldest item as soon as there is one."""
    watch = _watch(queue, False)
    waited = False
    while True:
        if waited or not watch.waiting:
            try:
                item = queue.get_nowait()
            except Empty:
                pass
            except BaseException:
                watch.go_on()
                raise
            else:
                watch.go_on()
                return item
        await watch.turn(waited)
        waited = True


async def put(queue: _types.Queue[_T] | _types.SimpleQueue[_T], item: _T) -> None:
    """Put an item as soon as there is room."""
    watch = _watch(queue, True)
    waited = False
    while True:
        if waited or not watch.waiting:
            try:
                queue.put_nowait(item)
            except Full:
                pass
            except BaseException:
                watch.go_on()
                raise
            else:
                watch.go_on()
                return
        await watch.turn(waited)
        waited = True


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _watches.clear()


os.register_at_fork(after_in_child=_after_fork)
