"""How a handle gets from one process to another.

A pickled handle says which segment, where in it, and how to find the segment's memory; it also leaves a counted token
with the segment, so that the object lives until the pickle is loaded. Whoever loads it uses the first of these that
leads to the segment with the right inode and id:

1. this process is attached to it already;
2. the descriptor was passed on to this process when it was started (spawn, forkserver);
3. `/proc/<pid>/fd/<n>` of the sender;
4. the same of any other process of this user that has it open.

To a segment with a name or in a file its name or path leads, also when no process has it any more. To one in private
memory nothing leads but being this process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from multiprocessing.context import get_spawning_popen
from typing import Protocol
from weakref import WeakKeyDictionary

from . import _binding, _types, segments
from .errors import SegmentNotFoundError, status_error
from .segments import AnonymousSegment, Segment

__all__ = ["find_segment", "rebuild_handle", "rebuild_reached", "rebuild_segment", "reduce_handle", "reduce_segment"]


class PassedFd(Protocol):
    """A descriptor that `multiprocessing` passes on to a child."""

    def detach(self) -> int: ...


Ticket = tuple[bytes, int, int, int, int]  # id, sender's pid and descriptor, device, inode

# What each child that is being started has been given: address of the segment -> the descriptor passed on.
_passed: WeakKeyDictionary[object, dict[int, PassedFd]] = WeakKeyDictionary()

# Objects that something in another segment refers to, each of which has been left a token that nobody takes over.
_stored: set[tuple[bytes, int, int]] = set()

# Descriptors that this process was given and has closed since: their numbers mean something else now.
_received: set[int] = set()


def reduce_handle(handle: _types.Handle, stored: bool = False) -> tuple[object, ...]:
    """What pickle needs for a handle. Called by the C types' `__reduce_ex__`.

    Args: `stored`, whether the pickle goes into a shared object of another segment, from where it may be loaded any
    number of times, or never: then the object stays alive as long as its own segment.

    Raises: SegmentClosedError after the manager's `shutdown()`; ReferenceError if the object is gone.
    """
    segment = handle._segment
    way = segment._way()
    if way is not None:
        _refuse_private(segment)
        token = 0 if segment.mode == "r" else _types.make_token(handle)
        return rebuild_reached, (*way, handle._offset, handle._serial, token)
    ticket, passed = _send(segment)
    token = 0
    if not stored:
        token = _types.make_token(handle)
    elif (place := (segment.id, handle._offset, handle._serial)) not in _stored:
        _types.make_token(handle)
        _stored.add(place)
    return rebuild_handle, (*ticket, handle._offset, handle._serial, token, passed)


def rebuild_handle(
    segment_id: bytes,
    pid: int,
    fd: int,
    dev: int,
    ino: int,
    offset: int,
    serial: int,
    token: int,
    passed: PassedFd | None = None,
) -> _types.Handle:
    """Load a pickled handle: attach to the segment if need be, and take over the token.

    Raises: SegmentNotFoundError if nobody has the segment any more; ReferenceError if the object is gone.
    """
    segment = _enter((segment_id, pid, fd, dev, ino), passed)
    return _types.attach(segment, offset, serial, token)


def rebuild_reached(
    reach: Callable[..., Segment], where: tuple[object, ...], offset: int, serial: int, token: int
) -> _types.Handle:
    """The same where a name, a path or nothing but this process leads to the segment."""
    return _types.attach(reach(*where), offset, serial, token)


def _refuse_private(segment: Segment) -> None:
    """Raise what says that a process that is being started cannot have something in this one's private memory."""
    if segment._identity.heap and get_spawning_popen() is not None:
        raise SegmentNotFoundError.because(
            f"cannot pass on {segment._name}: it is in the private memory of this process",
            advice="Send to_bytes(), or use a segment that processes can share",
        )


def reduce_segment(segment: Segment) -> tuple[object, ...]:
    """What pickle needs for a segment."""
    way = segment._way()
    if way is not None:
        _refuse_private(segment)
        assert segment._address
        return way
    ticket, passed = _send(segment)
    return rebuild_segment, (*ticket, passed)


def rebuild_segment(
    segment_id: bytes, pid: int, fd: int, dev: int, ino: int, passed: PassedFd | None = None
) -> AnonymousSegment:
    """Load a pickled segment. Raises: SegmentNotFoundError if nobody has it any more."""
    segment = _enter((segment_id, pid, fd, dev, ino), passed)
    assert isinstance(segment, AnonymousSegment)
    return segment


def find_segment(segment_id: bytes) -> AnonymousSegment | None:
    """The segment with this id, if this process or any other of this user has it."""
    segment = segments.find(segment_id)
    if segment is not None:
        return segment if isinstance(segment, AnonymousSegment) else None
    for path in _holders(segment_id):
        opened = _open(path, None)
        if opened is not None:
            try:
                adopted = segments.adopt(_binding.attach(opened, segment_id))
                assert isinstance(adopted, AnonymousSegment)
                return adopted
            finally:
                os.close(opened)
    return None


def _send(segment: Segment) -> tuple[Ticket, PassedFd | None]:
    """Say how to find a segment, and see to it that it can be found."""
    identity = segment._identity
    ticket = identity.id, os.getpid(), identity.fd, identity.dev, identity.ino
    popen = get_spawning_popen()
    if popen is None:
        segment._sender = ticket[1]  # so that it stays findable here until nothing is on its way
        return ticket, None
    return ticket, _pass_on(popen, segment._address, identity.fd)


def _pass_on(popen: object, address: int, fd: int) -> PassedFd:
    """Pass a segment's descriptor on to the child that is being started; each child gets it once."""
    from multiprocessing.reduction import DupFd

    given = _passed.setdefault(popen, {})
    if address not in given:
        given[address] = DupFd(fd)
    return given[address]


def _enter(ticket: Ticket, passed: PassedFd | None) -> Segment:
    """Get to the segment that a ticket speaks of."""
    own = None if passed is None else _receive(passed)
    try:
        segment = segments.find(ticket[0])
        if segment is not None:
            return segment
        for fd in _ways_in(ticket, own):
            try:
                return segments.adopt(_binding.attach(fd, ticket[0]))
            finally:
                if fd != own:
                    os.close(fd)
        raise SegmentNotFoundError.because(f"cannot find segment {ticket[0].hex()[:8]}: {_cause(ticket[1])}")
    finally:
        if own is not None:
            os.close(own)


def _receive(passed: PassedFd) -> int | None:
    """The descriptor that came with this process's start, or None if it was used up before."""
    fd = passed.detach()
    if fd in _received:
        return None
    _received.add(fd)
    return fd


def _ways_in(ticket: Ticket, own: int | None) -> Iterator[int]:
    """Open descriptors of the segment's memory, the nearest first; the caller closes each but `own`."""
    segment_id, pid, fd, dev, ino = ticket
    file = dev, ino
    if own is not None and _file(own) == file:
        yield own
    for path in chain((f"/proc/{pid}/fd/{fd}",), _holders(segment_id)):
        opened = _open(path, file)
        if opened is not None:
            yield opened


def _file(where: int | str) -> tuple[int, int] | None:
    """Device and inode of what a descriptor or path leads to."""
    try:
        found = os.stat(where)  # noqa: PTH116 -- also takes a descriptor
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _open(path: str, file: tuple[int, int] | None) -> int | None:
    """Open what a process has open, if it is the file asked for: looked at before, since opening can have
    effects."""
    if file is not None and _file(path) != file:
        return None
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    if file is None or _file(fd) == file:
        return fd
    os.close(fd)
    return None


def _holders(segment_id: bytes) -> Iterator[str]:
    """Each `/proc/<pid>/fd/<n>` of this user's processes that is the segment's memory file, by its name."""
    start = f"/memfd:mpshm-{segment_id.hex()}"
    for pid in filter(str.isdigit, _names("/proc")):
        folder = f"/proc/{pid}/fd"
        for name in _names(folder):
            path = f"{folder}/{name}"
            try:
                if os.readlink(path).startswith(start):  # noqa: PTH115 -- thousands of them
                    yield path
            except OSError:
                continue


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 -- thousands of them
    except OSError:
        return []


def _cause(pid: int) -> str:
    """Why a sender's segment cannot be found."""
    if not _names("/proc"):
        return "/proc is not mounted, and this process was not started by one that has the segment"
    if not os.path.exists(f"/proc/{pid}"):  # noqa: PTH110 -- no pathlib for one question
        return f"process {pid}, which sent the object, has ended, and no other process has the segment"
    if not _names(f"/proc/{pid}/fd"):
        return f"process {pid}, which sent the object, belongs to another user or is shielded by the system"
    return f"process {pid}, which sent the object, has let go of the segment, and no other process has it"


_types.configure(status_error=status_error, default_segment=segments.default_segment, reduce_handle=reduce_handle)
