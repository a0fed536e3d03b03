"""Locks on files of memory, by which every process knows what others do with them; the kernel drops those of the dead.

- The maker of a file that is to go with it holds byte `LIVE`.
- Whoever has a file open for use shares byte `USE`.
- Whoever changes a file's size holds byte `SIZE`; whoever maps it shares that between asking for the size and mapping.
- Whoever changes what is in a ShareableList holds byte `CONTENT`.

The bytes lie far beyond any file's end, so the locks are in nobody's way. They are of open file descriptions; those
that must exclude forked relatives, which share their parent's, are taken on a fresh one.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakSet

__all__ = ["LIVE", "Alone", "again", "be_live", "hold", "is_live", "settled", "users"]

LIVE = 1 << 62
USE = LIVE + 1
SIZE = LIVE + 2
CONTENT = LIVE + 3
_FLOCK = "hhxxxxqqixxxx"  # struct flock of Linux on 64 bits


_CONTENT_LOCK = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, CONTENT, 1, 0)
_CONTENT_UNLOCK = struct.pack(_FLOCK, fcntl.F_UNLCK, os.SEEK_SET, CONTENT, 1, 0)


def _lock(fd: int, kind: int, byte: int, command: int = fcntl.F_OFD_SETLK) -> int:
    """Ask for, or about, a lock; the kind that is in the way is returned."""
    answer = fcntl.fcntl(fd, command, struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0))
    found: int = struct.unpack(_FLOCK, answer)[0]
    return found


def _held(fd: int, byte: int) -> bool:
    """Whether another open file description has a lock on it."""
    return _lock(fd, fcntl.F_WRLCK, byte, fcntl.F_OFD_GETLK) != fcntl.F_UNLCK


def again(fd: int, flags: int) -> int:
    """A fresh open file description of the same file."""
    return os.open(f"/proc/self/fd/{fd}", flags | os.O_CLOEXEC)


@contextmanager
def settled(fd: int, *, change: bool = False) -> Iterator[int]:
    """While nobody changes the file's size; with `change`, while the caller alone may. Yields a descriptor that has a
    description of its own.

    A child that another thread forks meanwhile has that description too. So it is not its closing that ends the lock,
    and the child closes it, for should the parent be killed the lock would be the child's.
    """
    with _forking:
        fresh = again(fd, os.O_RDWR if change else os.O_RDONLY)
        _fresh.add(fresh)
    try:
        _lock(fresh, fcntl.F_WRLCK if change else fcntl.F_RDLCK, SIZE, fcntl.F_OFD_SETLKW)
        try:
            yield fresh
        finally:
            _lock(fresh, fcntl.F_UNLCK, SIZE)
    finally:
        with _forking:
            _fresh.discard(fresh)
            os.close(fresh)


_forking = threading.RLock()  # held by who opens or closes one of these, and by who forks
_fresh: set[int] = set()


class Alone:
    """A lock on the content of a file, by a description of this object's own: it keeps threads and forked relatives
    apart as well."""

    __slots__ = ("__weakref__", "_fd", "_threads")

    def __init__(self) -> None:
        self._fd = -1
        self._threads = threading.Lock()
        _all.add(self)

    def _after_fork(self) -> None:
        self._threads = threading.Lock()  # a thread that held it is not in the child
        if self._fd >= 0:
            os.close(self._fd)  # the parent's
            self._fd = -1

    def acquire(self, fd: int) -> None:
        """Be alone with the file behind this descriptor."""
        self._threads.acquire()
        try:
            if self._fd < 0:
                with _forking:
                    self._fd = again(fd, os.O_RDWR)
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, _CONTENT_LOCK)
        except BaseException:
            self._threads.release()
            raise

    def release(self) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _CONTENT_UNLOCK)
        self._threads.release()

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._fd >= 0:
            close(self._fd)


_all: WeakSet[Alone] = WeakSet()


def _after_fork() -> None:
    _forking.release()
    for fd in _fresh:
        os.close(fd)
    _fresh.clear()
    for one in _all:
        one._after_fork()


os.register_at_fork(before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_after_fork)


def hold(fd: int) -> None:
    """Say that the file is in use, for as long as the description is open."""
    _lock(fd, fcntl.F_RDLCK, USE)


def users(fd: int) -> bool:
    """Whether another description of the file is in use."""
    return _held(fd, USE)


def be_live(fd: int) -> None:
    """Say that the file's maker lives, for as long as the description is open."""
    _lock(fd, fcntl.F_WRLCK, LIVE)


def is_live(fd: int) -> bool:
    """Whether the file's maker lives."""
    return _held(fd, LIVE)
