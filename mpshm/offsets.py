"""Pointers between ctypes structures in one segment, which hold wherever the segment is mapped."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any, TypeVar, overload

from . import _binding, _types, segments

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["OffsetPtr"]

_T = TypeVar("_T")


# That of any module of cffi's does for the types of all.
_ffi: Any = _binding.ffi


class _Keeper:
    """Keeps a segment until a value of cffi's goes."""

    __slots__ = ("segment",)

    def __init__(self, segment: segments.Segment) -> None:
        self.segment = segment

    def __call__(self, cdata: object) -> None:
        del self.segment


def _pointed_to(type_: Any) -> int:
    """The size of what a pointer type of cffi points to; 0 for another type, or one of unknown size."""
    try:
        return int(_ffi.sizeof(type_.item)) if type_.kind == "pointer" else 0
    except (_ffi.error, TypeError, ValueError):
        return 0


def _size_of(type_: Any) -> int:
    """The same. Raises: TypeError where it is 0."""
    nbytes = _pointed_to(type_)
    if nbytes == 0:
        raise TypeError(f"a pointer type is needed, as ffi.typeof('struct node *'), not {type_}")
    return nbytes


def _address_of(cdata: Any) -> int:
    """Where a struct of cffi is, or what a pointer points to."""
    kind = _ffi.typeof(cdata).kind
    if kind not in ("pointer", "array", "struct", "union"):
        raise TypeError(f"a cffi pointer or struct is needed, not {cdata!r}")
    return int(_ffi.cast("uintptr_t", _ffi.addressof(cdata) if kind in ("struct", "union") else cdata))


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
    for null, which is what new memory says. It does not keep its target alive. A struct of cffi has a field of type
    `uint64_t` instead, of which `OffsetPtr.at()` makes a pointer.
    Source: Boost.Interprocess `offset_ptr`.
    """

    _fields_ = (("_offset", ctypes.c_uint64),)

    @classmethod
    def at(cls, field: Any, /) -> Self:
        """The pointer that is a field of a cffi struct in a segment.

        Args: `field`, a cffi pointer to it, as `ffi.addressof(node, "next")` gives, to 8 bytes.
        Raises: TypeError for what is no such pointer.
        """
        if not isinstance(field, _ffi.CData) or _pointed_to(_ffi.typeof(field)) != ctypes.sizeof(cls):
            raise TypeError(f"at() takes a cffi pointer to a field of 8 bytes, not {field!r}")
        made = cls.from_address(_address_of(field))
        made._field = field  # which keeps its memory
        return made

    def _home(self) -> segments.Segment:
        segment = _segment_at(ctypes.addressof(self))
        if segment is None:
            raise ValueError("this OffsetPtr is not in a segment, where alone it can point to something")
        return segment

    def set(self, target: Any) -> None:
        """Point to `target`, a ctypes object, or a cffi struct or pointer, of the same segment; None for null.

        Raises: ValueError if it is elsewhere; TypeError for what is neither.
        """
        if target is None:
            self._offset = 0
            return
        is_cffi = isinstance(target, _ffi.CData)
        address = _address_of(target) if is_cffi else ctypes.addressof(target)
        segment = self._home()
        if _segment_at(address) is not segment:
            raise ValueError(f"the target is not in {segment._name}, as the pointer is")
        begin, _ = _types.range_of(segment._pointer)
        self._offset = address - begin

    @overload
    def get(self, type_: type[_T]) -> _T | None: ...
    @overload
    def get(self, type_: Any) -> Any: ...
    def get(self, type_: Any) -> Any:
        """What it points to; None for null. The memory stays mapped as long as the result.

        Args: `type_`, a ctypes type, or a pointer type of cffi, as `ffi.typeof("struct node *")`.
        Raises: ValueError if there cannot be such an object at that place; TypeError for another cffi type.
        """
        if not self._offset:
            return None
        is_ctype = isinstance(type_, _ffi.CType)
        nbytes = _size_of(type_) if is_ctype else ctypes.sizeof(type_)
        segment = self._home()
        address = _types.place_of(segment._pointer, self._offset, nbytes)
        if address is None:
            raise ValueError(f"the pointer leads out of {segment._name}")
        if is_ctype:
            return _ffi.gc(_ffi.cast(type_, address), _Keeper(segment))
        made = type_.from_address(address)
        made._segment = segment
        return made

    def __bool__(self) -> bool:
        return bool(self._offset)

    def __repr__(self) -> str:
        return f"<mpshm.OffsetPtr {f'to {self._offset:#x}' if self._offset else 'null'}>"
