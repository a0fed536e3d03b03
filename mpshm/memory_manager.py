"""SharedMemoryManager: memory that goes when its manager goes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from multiprocessing import util
from typing import Any

from . import guards, memory, shared_memory
from .containers import List
from .errors import MpshmError
from .managers import BaseManager, State, _rebuild_manager
from .segments import AnonymousSegment
from .shareable_list import Item

__all__ = ["SharedMemoryManager"]


class NotStartedError(AssertionError, ValueError):
    """What is raised for use before `start()`: a manager's error, and the one of the standard library's class."""


class SharedMemoryManager(BaseManager):
    """Makes SharedMemory and ShareableLists that are unlinked when it is shut down, or forgotten, where it was started.

    Other processes attach to them by their names, or are handed the objects, or the manager, to make more. What they
    make outlives them, and goes with the manager. If the process that started it is killed, nothing is left.

    Args: as BaseManager's. Source: `multiprocessing.managers.SharedMemoryManager`.
    """

    _names: List[str] | list[str] | None = None  # a shared list, but where it was connected to by its address
    _guard: guards.Address | None = None  # of the process that started it

    def start(self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()) -> None:
        """As BaseManager's."""
        super().start(initializer, initargs)
        names: List[str] = List._in(self.segment)
        self._names = names
        self._guard = guards.address(memory.folder())
        util.Finalize(self, _unlink, args=(names,), exitpriority=0)

    def SharedMemory(self, size: int) -> shared_memory.SharedMemory:  # noqa: N802
        """Memory of this many bytes.

        Raises: what SharedMemory raises; AssertionError before `start()`; SegmentClosedError after `shutdown()`.
        """
        self._ready()
        keeper = self._keeper()
        cls = shared_memory.SharedMemory
        made = cls(create=True, size=size) if keeper is None else cls._kept(size, keeper)
        self._note(made)
        return made

    def ShareableList(self, sequence: Iterable[Item] | None = None) -> shared_memory.ShareableList:  # noqa: N802
        """A list of these items. Raises: what ShareableList raises, and as SharedMemory() above."""
        self._ready()
        keeper = self._keeper()
        cls = shared_memory.ShareableList
        made = cls(sequence) if keeper is None else cls._kept(sequence, keeper)
        self._note(made.shm)
        return made

    def shutdown(self) -> None:
        """End it: where it was started, nobody can attach any more to what it made. As BaseManager's otherwise."""
        if self._state.value == State.STARTED and self._owner == os.getpid() and self._names is not None:
            _unlink(self._names)
        super().shutdown()
        self._names = None

    def _ready(self) -> None:
        if self._state.value == State.INITIAL:
            raise NotStartedError(
                f"cannot make shared memory: the {type(self).__name__} was not started. Call start() first"
            )
        self._usable()

    def _keeper(self) -> guards.Address | None:
        """What has to remove memory that is made now when it is too late for `shutdown()`: None where this process's
        end is the manager's."""
        return None if self._guard is None or self._guard[0] == os.getpid() else self._guard

    def _note(self, made: shared_memory.SharedMemory) -> None:
        """Remember what is to be unlinked at the end."""
        if self._names is None:  # it was connected to by its address
            self._names = []
            util.Finalize(self, _unlink, args=(self._names,), exitpriority=0)
        self._names.append(made.name)

    def __reduce__(self) -> tuple[object, ...]:
        super().__reduce__()  # which says what is wrong, if anything is
        return _rebuild, (type(self), self.segment, self.address, self._names, self._guard)


def _rebuild(
    cls: type[SharedMemoryManager],
    segment: AnonymousSegment,
    address: str,
    names: List[str] | list[str] | None,
    guard: guards.Address | None,
) -> SharedMemoryManager:
    """A manager in another process, whose memory the first one's shutdown unlinks."""
    made = _rebuild_manager(cls, segment, address)
    assert isinstance(made, SharedMemoryManager)
    made._names = names
    made._guard = guard
    return made


def _unlink(names: List[str] | list[str], remove: Callable[[Iterable[str]], None] = memory.remove_all) -> None:
    """Unlink all that is still there."""
    found = []
    try:
        while names:
            found.append(names.pop())
    except (MpshmError, ReferenceError, IndexError):
        pass  # the manager was shut down before
    remove(found)
