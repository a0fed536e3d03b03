"""Pointers between ctypes structures in one segment, which hold wherever the segment is mapped."""

from __future__ import annotations

import ctypes
from typing import Any, TypeVar

from . import _types, segments

__all__ = ["OffsetPtr"]

_T = TypeVar("_T")


def _segment_at(address: int) -> segments.Segment | None:
    """The segment of this process that an address belongs to."""
    for segment in segments.known():
        if not segment._pointer:
            continue  # closed
        begin, end = _types.range_of(segment._pointer)
        if begin <= address < end:
            return segment
    return None


class OffsetPtr(ctypes.Structure):
    """A field of a ctypes Structure in a segment that points to another object of the same segment.

    Stored are 64 bits: bytes from the segment's beginning, so that a copy of the field points to the same object, and 0
    for null, which is what new memory says. It does not keep its target alive.
    Source: Boost.Interprocess `offset_ptr`.
    """

    _fields_ = (("_offset", ctypes.c_uint64),)

    def _home(self) -> segments.Segment:
        segment = _segment_at(ctypes.addressof(self))
        if segment is None:
            raise ValueError("this OffsetPtr is not in a segment, where alone it can point to something")
        return segment

    def set(self, target: Any) -> None:
        """Point to `target`, a ctypes object of the same segment; None for null.

        Raises: ValueError if it is elsewhere; TypeError for what is no ctypes object.
        """
        if target is None:
            self._offset = 0
            return
        address = ctypes.addressof(target)
        segment = self._home()
        if _segment_at(address) is not segment:
            raise ValueError(f"the target is not in {segment._name}, as the pointer is")
        begin, _ = _types.range_of(segment._pointer)
        self._offset = address - begin

    def get(self, type_: type[_T]) -> _T | None:
        """What it points to, as a ctypes type; None for null. The memory stays mapped as long as the result.

        Raises: ValueError if there cannot be such an object at that place.
        """
        if not self._offset:
            return None
        segment = self._home()
        address = _types.place_of(segment._pointer, self._offset, ctypes.sizeof(type_))  # type: ignore[arg-type]
        if address is None:
            raise ValueError(f"the pointer leads out of {segment._name}")
        made = type_.from_address(address)  # type: ignore[attr-defined]
        made._segment = segment
        return made  # type: ignore[no-any-return]

    def __bool__(self) -> bool:
        return bool(self._offset)

    def __repr__(self) -> str:
        return f"<mpshm.OffsetPtr {f'to {self._offset:#x}' if self._offset else 'null'}>"
