"""Raw allocations: pieces of a segment's memory that belong to the segment until they are given back.

A handle is an int that means the same in every process. The use of one that was given back, or of another segment's, is
refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex

from . import _types
from .named import handle_behind, present

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from .segments import Segment

__all__ = ["AllocationIO", "Allocations"]

_HANDLES = 1 << 63


def _handle(handle: SupportsIndex) -> int:
    number = index(handle)
    if not 0 < number < _HANDLES:
        raise ValueError(f"{number} is no handle of an allocation")
    return number


def _nbytes(nbytes: SupportsIndex) -> int:
    number = index(nbytes)
    if not 0 <= number < _HANDLES:
        raise ValueError(f"a size is a number of bytes from 0 on, not {number}")
    return number


def _raw(segment: Segment, handle: SupportsIndex) -> _types.Raw:
    """The allocation. Raises: ReferenceError if it was given back, TypeError for another object's handle."""
    found = _types.by_number(segment, _handle(handle))
    if not isinstance(found, _types.Raw) or not _types.is_allocation(found):
        raise TypeError(f"{index(handle)} is the handle of a {type(found).__name__}, not of an allocation")
    return found


class Allocations:
    """What a segment does with raw memory."""

    __slots__ = ()

    def allocate(self: Segment, nbytes: int, align: int = 16) -> int:  # type: ignore[misc]
        """Allocate memory, all zero, which is there until it is deallocated, whoever dies.

        Args: `nbytes`, 0 or more; `align`, a power of two from 16 to 4096.
        Returns: its handle, an int from 1 to 2**63 - 1, the same in every process.
        Raises: ValueError for a bad size or alignment; SegmentFullError.
        Source: Boost.Interprocess `allocate`, `allocate_aligned`.
        """
        return _types.allocate(self, (_nbytes(nbytes),), index(align))[0]

    def allocate_many(self: Segment, sizes: Iterable[int], align: int = 16) -> list[int]:  # type: ignore[misc]
        """The same many times in one step: all of them are allocated, or none.

        Returns: their handles, each to be deallocated by itself or with others.
        """
        return _types.allocate(self, tuple(map(_nbytes, sizes)), index(align))

    def reallocate(self: Segment, handle: int, nbytes: int, in_place: bool = False) -> int:  # type: ignore[misc]
        """Make an allocation longer, with zeros behind, or shorter.

        Args: `in_place`, whether it must stay where it is.
        Returns: its handle from now on; the same as before if it could stay where it is. Views of one that moved see
        the old memory, which lives as long as they do.
        Raises: SegmentFullError if there is no room, with `in_place` none right behind it: then nothing has changed;
        ReferenceError if it was deallocated.
        """
        _raw(self, handle)
        return _types.reallocate(self, _handle(handle), _nbytes(nbytes), in_place)

    def deallocate(self: Segment, handle: int) -> None:  # type: ignore[misc]
        """Give an allocation back. The memory stays as long as a view of it in any process does.

        Raises: ReferenceError if that was done before; ValueError for what no handle is.
        """
        _types.deallocate(self, (_handle(handle),))

    def deallocate_many(self: Segment, handles: Iterable[int]) -> None:  # type: ignore[misc]
        """The same many times in one step: all of them, or, with an error, none."""
        _types.deallocate(self, tuple(map(_handle, handles)))

    def view(self: Segment, handle: int) -> memoryview:  # type: ignore[misc]
        """The memory of an allocation, writable; it stays there as long as the view.

        Raises: ReferenceError if it was deallocated; TypeError for the handle of another object.
        """
        return memoryview(_raw(self, handle))

    def open(self: Segment, handle: int) -> AllocationIO:  # type: ignore[misc]
        """The memory of an allocation as a file of fixed size, open for reading and writing.

        Source: Boost.Interprocess `bufferstream`.
        """
        return AllocationIO(memoryview(_raw(self, handle)))

    def handle_of(self: Segment, obj: object) -> int:  # type: ignore[misc]
        """The handle of any shared object, such as a container, an array or a ctypes object. It does not keep it alive.

        Raises: TypeError for what is not shared; ValueError for an object of another segment.
        """
        found = handle_behind(obj)
        if found._segment._pointer != self._pointer:
            raise ValueError(f"the object is not in {self._name}")
        return _types.number_of(found)

    def from_handle(self: Segment, handle: int) -> Any:  # type: ignore[misc]
        """The object with that handle; of a ctypes object or an allocation its bytes, as a buffer.

        Raises: ReferenceError if it is gone; ValueError for what no handle is.
        """
        return present(_types.by_number(self, _handle(handle)))


class AllocationIO(io.RawIOBase):
    """A file whose content is a piece of shared memory. It cannot grow: at its end writes are short, and beyond it
    ValueError.

    Source: `io.RawIOBase`; Boost.Interprocess `bufferstream`.
    """

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def _usable(self) -> memoryview:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._view

    def readable(self) -> bool:
        self._usable()
        return True

    def writable(self) -> bool:
        return not self._usable().readonly

    def seekable(self) -> bool:
        self._usable()
        return True

    def tell(self) -> int:
        self._usable()
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        size = len(self._usable())
        if whence not in (io.SEEK_SET, io.SEEK_CUR, io.SEEK_END):
            raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
        at = index(offset) + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: size}[whence]
        if at < 0:
            raise ValueError(f"negative seek position {at}")
        self._at = at
        return at

    def readinto(self, buffer: Buffer, /) -> int:
        source = self._usable()[self._at :]
        with memoryview(buffer).cast("B") as target:
            n = min(len(source), len(target))
            target[:n] = source[:n]
        self._at += n
        return n

    def write(self, data: Buffer, /) -> int:
        target = self._usable()[self._at :]
        with memoryview(data).cast("B") as source:
            n = min(len(source), len(target))
            if n == 0 and len(source) > 0:
                raise ValueError(f"no room at position {self._at} of {len(self._view)} bytes")
            target[:n] = source[:n]
        self._at += n
        return n

    def truncate(self, size: int | None = None, /) -> int:
        raise io.UnsupportedOperation("its size is fixed: see Segment.reallocate()")

    def close(self) -> None:
        super().close()
        self._view = memoryview(b"")
