"""Managed segments: pieces of shared memory that hold objects, as Python sees them.

A segment object holds one reference to the core's segment for as long as it lives; every handle keeps its segment
object alive. In one process there is one segment object for a segment, however many handles lead to it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from operator import index
from typing import TypeVar
from weakref import WeakValueDictionary

from . import _binding, _opening, _types
from ._binding import Identity, Stats
from .allocations import Allocations
from .allocators import Allocator, BestFit, SequentialFit, segment_allocator
from .errors import SegmentClosedError
from .named import Named

__all__ = ["AnonymousSegment", "Segment", "Stats", "adopt", "default_segment", "find", "known", "let_go"]

_S = TypeVar("_S", bound="Segment")

_SMALLEST = 16 << 10  # of max_size: the core's own minimum
_LARGEST = 1 << 62

# By address. Entered and left without a lock: two threads that meet here make two objects at worst, each with
# a reference of its own.
_known: WeakValueDictionary[int, Segment] = WeakValueDictionary()

# Addresses of segments that this process has dropped, with a reference to each, because something in them is
# on its way to another process, which has to find the segment here.
_lingering: dict[int, bool] = {}


def _size(value: object, what: str) -> int:
    """Check a size in bytes. Raises TypeError for what is no int, ValueError for what no size can be."""
    if not hasattr(value, "__index__"):
        raise TypeError(f"{what} is a number of bytes, an int, not {type(value).__name__}")
    nbytes = index(value)
    if nbytes <= 0:
        raise ValueError(f"{what} must be at least 1 byte, not {nbytes}")
    if nbytes > _LARGEST:
        raise ValueError(f"{what} must be at most {_LARGEST} bytes, not {nbytes}")
    return nbytes


def _sizes(size: object, max_size: object) -> tuple[int, int]:
    """Check both sizes; 0 where there was no wish."""
    first = 0 if size is None else _size(size, "size")
    limit = 0 if max_size is None else _size(max_size, "max_size")
    if 0 < limit < _SMALLEST:
        raise ValueError(f"max_size must be at least {_SMALLEST} bytes, not {limit}")
    if limit and first > limit:
        raise ValueError(f"size ({first}) is larger than max_size ({limit})")
    return first, limit


def _stays(
    segment: Segment,
    lingering: dict[int, bool] = _lingering,
    getpid: Callable[[], int] = os.getpid,
    in_use: Callable[[int], bool] = _binding.in_use,
) -> bool:
    """Whether a segment that nobody here uses any more must stay findable; its reference is kept then."""
    if segment._sender == 0 or segment._sender != getpid() or not in_use(segment._pointer):
        return False
    lingering[segment._pointer] = True
    return True


def let_go() -> None:
    """Drop those lingering segments in which nothing is left."""
    for address in list(_lingering):
        if not _binding.in_use(address) and _lingering.pop(address, False):
            _binding.release(address)


def _let_go_in_child() -> None:
    """What lingers is for the parent's partners to find; the child is none of them."""
    for address in list(_lingering):
        _lingering.pop(address)
        _binding.release(address)


os.register_at_fork(after_in_child=_let_go_in_child)


class Segment(Named, Allocations):
    """What all managed segments have in common. Make one through a subclass."""

    __slots__ = ("__weakref__", "_closed", "_given", "_mode", "_permissions", "_pointer", "_sender", "id")

    backing: str = ""  #: What its memory is: "memfd", "shm", "file", "heap" or "buffer".

    id: bytes
    _given: str | None  # the name or path that leads to it
    _mode: str
    _permissions: int
    _pointer: int
    _closed: bool
    _sender: int  # the process that sent something of it, 0 if none did

    def __new__(cls: type[_S], *args: object, **kwds: object) -> _S:
        if cls is Segment:
            raise TypeError("make a segment of one kind, such as AnonymousSegment()")
        self = super().__new__(cls)
        self._pointer = 0
        self._closed = False
        self._sender = 0
        self._given = None
        self._mode = "r+"
        self._permissions = 0o600
        return self

    def _again(self, address: int) -> Segment:
        """Another object for the same segment, after this one was closed; takes over the reference."""
        other = type(self).__new__(type(self))
        other._given, other._mode, other._permissions = self._given, self._mode, self._permissions
        other._hold(address)
        return other

    def _begin(self) -> None:
        """What every `__init__` does first."""
        if self._pointer:
            raise ValueError(f"{self._name} is made already")
        let_go()

    def _hold(self, address: int) -> None:
        """Take over the caller's reference to the core's segment."""
        self._pointer = address
        self.id = _binding.identity(address).id
        _known[address] = self

    def __del__(
        self, _release: Callable[[int], None] = _binding.release, _stays: Callable[[Segment], bool] = _stays
    ) -> None:
        # The names of the module may be gone by now, so what is needed is bound here.
        if self._pointer and not _stays(self):
            _release(self._pointer)

    @property
    def _address(self) -> int:
        """Where the core has the segment. Raises SegmentClosedError after `close()`."""
        if self._closed:
            raise SegmentClosedError.because(
                f"{self._name} was closed in this process", advice="Use it before close(), or attach to it again"
            )
        return self._pointer

    @property
    def allocator(self) -> type[Allocator]:
        """How it finds room: BestFit or SequentialFit."""
        return SequentialFit if _binding.is_sequential(self._address) else BestFit

    @property
    def _open(self) -> int:
        """The same, and the segment was not shut down either."""
        if not self._closed and _binding.is_closed(self._pointer):
            raise SegmentClosedError.because(f"{self._name} was shut down")
        return self._address

    def _way(self) -> tuple[object, ...] | None:
        """How another process gets to it: a function and its arguments; None if only a descriptor leads there."""
        return None

    @property
    def _name(self) -> str:
        return f"segment {self.id.hex()[:8]}" if self._given is None else f"segment {self._given!r}"

    @property
    def _identity(self) -> Identity:
        return _binding.identity(self._address)

    def __repr__(self) -> str:
        if not hasattr(self, "id"):
            return f"<mpshm.{type(self).__name__}, not made>"
        what = self.id.hex()[:8] if self._given is None else repr(self._given)
        return f"<mpshm.{type(self).__name__} {what}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> tuple[object, ...]:
        from .handles import reduce_segment

        return reduce_segment(self)

    @property
    def name(self) -> str | None:
        """The name or path that leads to it; None if there is none."""
        return self._given

    @property
    def mode(self) -> str:
        """How it was opened."""
        return self._mode

    @property
    def address(self) -> int:
        """Where this process has it in its memory."""
        return self._identity.address

    @property
    def size(self) -> int:
        """Bytes backed by memory now. It grows by itself, up to `max_size`."""
        return self.stats().size

    @property
    def used(self) -> int:
        """Bytes in use, those that serve the segment itself included."""
        return self.stats().used

    @property
    def free(self) -> int:
        """Bytes of `size` that are not in use."""
        return self.stats().free

    @property
    def max_size(self) -> int:
        """Bytes that `size` never exceeds."""
        return self._identity.max_size

    @property
    def closed(self) -> bool:
        """Whether it was closed in this process, or shut down for all."""
        return self._closed or _binding.is_closed(self._pointer)

    def stats(self) -> Stats:
        """Count what the segment holds.

        Returns: `Stats`, a named tuple of ints.
        Raises: SegmentClosedError after `close()` or the manager's `shutdown()`.
        """
        return _binding.stats(self._open, self._name)

    def check(self) -> None:
        """Walk the whole segment and compare everything with everything; other processes' changes wait
        meanwhile.

        Returns: None if it is sound.
        Raises: SegmentCorruptedError saying what is wrong, a block that nothing refers to included;
        SegmentClosedError.
        """
        _binding.check(self._open, self._name)

    def grow(self, nbytes: int) -> None:
        """Back the segment with more memory now, rather than when it is needed.

        Args: `nbytes`, at least so many bytes are added.
        Raises: ValueError for a bad size; SegmentFullError if `max_size` or the system does not allow it, and
        then nothing has changed; SegmentClosedError.
        """
        _binding.grow(self._open, _size(nbytes, "nbytes"), self._name)

    def recover(self) -> int:
        """Take back now what processes that died left behind; it happens by itself when their memory is
        needed.

        Returns: how many dead processes were cleaned up after.
        Raises: SegmentClosedError.
        """
        return _binding.recover(self._open, self._name)

    def shrink_to_fit(self) -> None:
        """Give the memory that is free back to the system, while others go on using the segment.

        Whole pages inside go back at once. Where the end of the segment is free, `size` becomes smaller; a file
        becomes shorter when its last user leaves.
        Raises: SegmentClosedError; SegmentPermissionError if it was opened for reading only.
        """
        _types._flush_caches(self)
        _opening.shrink(self._open, self._name)

    def zero_free_memory(self) -> None:
        """Overwrite with zeros what free memory has held; what other processes keep at hand for their next objects
        is left out.

        Raises: SegmentClosedError; SegmentPermissionError if it was opened for reading only.
        """
        _types._flush_caches(self)
        _opening.zero_free(self._open, self._name)

    def all_deallocated(self) -> bool:
        """Whether nothing is allocated in the segment, but for what the segment needs itself.

        Raises: SegmentClosedError.
        """
        return self.stats().used == 0

    def flush(self) -> None:
        """See to it that all changes are on the disk: nothing to do where there is none.

        Raises: SegmentClosedError; SegmentSystemError, SegmentFullError if the disk does not take them;
        SegmentPermissionError if it was opened for reading only.
        """
        _opening.flush(self._open, self._name)

    def close(self) -> None:
        """Let go of the segment in this process. Twice is as good as once.

        Nothing more can be made or looked up in it through this object. The memory stays mapped as long as
        this process has handles of objects in it, and other processes do not notice.
        """
        self._closed = True

    def _shutdown(self) -> None:
        """End it for every process; nothing happens if it has ended."""
        if not _binding.is_closed(self._pointer):
            _binding.shutdown(self._pointer, self._name)

    def __enter__(self) -> Segment:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class AnonymousSegment(Segment):
    """A segment in memory without a name: it lasts as long as a process has it.

    Args: `size`, bytes backed by memory at once; `max_size`, bytes it may grow to by itself. None leaves it
    to the core, which starts small and allows most of the machine's memory. `allocator`, BestFit or
    SequentialFit: how it finds room.
    Raises: TypeError, ValueError for bad sizes; SegmentFullError if the system refuses the memory.
    Source: Boost.Interprocess `managed_shared_memory` over `anonymous_shared_memory`.
    """

    __slots__ = ()

    backing = "memfd"

    def __init__(
        self,
        size: int | None = None,
        max_size: int | None = None,
        *,
        allocator: Allocator | type[Allocator] = BestFit,
    ) -> None:
        first, limit = _sizes(size, max_size)
        kind = segment_allocator(allocator)
        self._begin()
        self._hold(_binding.create_anonymous(first, limit, kind))


def adopt(address: int) -> Segment:
    """The segment object for an address of the core, whose reference it takes over."""
    segment = _known.get(address)
    if segment is not None and segment._pointer != address and segment.id != _binding.identity(address).id:
        segment = None  # one that was there before
    if segment is None:
        segment = AnonymousSegment.__new__(AnonymousSegment)
        segment._hold(address)
    elif segment._closed:
        segment = segment._again(address)
    else:
        _binding.release(address)
    return segment


def known() -> list[Segment]:
    """All segments that this process has got."""
    return list(_known.values())


def find(segment_id: bytes, readonly: bool = False) -> Segment | None:
    """The segment with this id if this process is attached to it already."""
    address = _binding.find(segment_id, readonly)
    return None if address is None else adopt(address)


_default: dict[str, AnonymousSegment] = {}


def default_segment() -> AnonymousSegment:
    """The segment of all that is made without a manager; made on first use.

    A forked child goes on with its parent's, so that what it makes there can be handed to the parent; a
    spawned one starts its own. It lives as long as the process, or as anybody who received something from it.
    """
    segment = _default.get("segment")
    if segment is None:
        # Of two threads that get here at once, one has its own taken away again.
        segment = _default.setdefault("segment", AnonymousSegment())
    return segment
