"""Queues in shared memory: no pipe, no feeder thread, nothing lost with the process that put it."""

from __future__ import annotations

import queue
from queue import Empty, Full
from typing import Generic, TypeVar

from . import _types
from .containers import Shared

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "ShutDown", "SimpleQueue"]

_T = TypeVar("_T")

if hasattr(queue, "ShutDown"):
    ShutDown: type[Exception] = queue.ShutDown
else:

    class ShutDown(Exception):  # type: ignore[no-redef]  # noqa: N818
        """put() or get() on a queue that was shut down, as Python 3.13 has it."""


class _Awaitable(Generic[_T]):
    """What a queue is to asyncio."""

    __slots__ = ()

    async def aget(self) -> _T:
        """Take the oldest item; other tasks of the loop run until there is one.

        A task that is cancelled while it waits takes nothing; `asyncio.wait_for` sets a limit. Tasks of one
        loop get items in the order in which they asked.
        Raises: ShutDown if the queue was shut down and is empty; ValueError after `close()`.
        """
        from . import queues_async  # only here: it brings asyncio in

        return await queues_async.get(self)  # type: ignore[arg-type]

    async def aput(self, item: _T) -> None:
        """Put an item; other tasks of the loop run until there is room.

        A task that is cancelled while it waits has put nothing.
        Raises: ShutDown if the queue was shut down; ValueError after `close()`.
        """
        from . import queues_async

        await queues_async.put(self, item)  # type: ignore[arg-type]


class Queue(Shared, _Awaitable[_T], _types.Queue[_T]):
    """A queue between processes and threads: first in, first out.

    Args: `maxsize`, items that fit; 0 or less: as many as there is memory for. Made without a manager it lives
    in the process's default segment.
    Items are copied in and out; a shared object as an item is sent by reference. An item is in the queue when
    `put` returns, whatever becomes of the process then; it is taken once, by one `get`.
    Source: `multiprocessing.Queue`; one that a manager made behaves as `queue.Queue` where the two differ.
    `shutdown` is that of Python 3.13.
    """

    __slots__ = ("__weakref__",)

    _typeid = "Queue"

    def join_thread(self) -> None:
        """Return at once: there is no thread that feeds a pipe."""

    def cancel_join_thread(self) -> None:
        """Do nothing: there is no thread to wait for, and nothing that could be lost."""

    def _text(self) -> str:
        return f"<mpshm.{type(self).__name__} of {self.qsize()} items, maxsize {self.maxsize}>"


class JoinableQueue(Queue[_T], _types.JoinableQueue[_T]):
    """A queue whose producers can wait until every item is done with.

    Source: `multiprocessing.JoinableQueue`.
    """

    __slots__ = ()

    _typeid = "JoinableQueue"


class SimpleQueue(Shared, _Awaitable[_T], _types.SimpleQueue[_T]):
    """A queue without a size.

    Source: `multiprocessing.SimpleQueue`, with what `queue.SimpleQueue` has besides.
    """

    __slots__ = ("__weakref__",)

    _typeid = "SimpleQueue"

    def _text(self) -> str:
        return f"<mpshm.{type(self).__name__} of {self.qsize()} items>"


_types.Queue._errors(Empty, Full, ShutDown)
_types.register(_types.Queue, Queue)
_types.register(_types.JoinableQueue, JoinableQueue)
_types.register(_types.SimpleQueue, SimpleQueue)
