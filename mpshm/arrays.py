"""Array: numbers of one type in shared memory, as SyncManager gives them out."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from sys import maxsize
from typing import Any

from . import _types
from .containers import Shared
from .segments import Segment

__all__ = ["Array"]


class Array(Shared, _types.Array):
    """Numbers of one type, as many as there were in the beginning.

    Args: as `array.array`'s: `typecode`, one of its characters; `sequence`, the items, or their bytes. Made without a
    manager it lives in the process's default segment. Setting a slice is one step, as is every other call.
    Source: `array.array`, and `multiprocessing.managers.ArrayProxy` for `repr` (names the object) and `str` (shows the
    contents). The length is fixed, as that proxy has nothing to change it.
    """

    __slots__ = ("__weakref__",)
    __hash__ = None  # type: ignore[assignment]

    _typeid = "Array"

    def __new__(cls, typecode: str, sequence: Iterable[Any] = ()) -> Array:
        return cls._of(None, _content(typecode, sequence))

    @classmethod
    def _filled(cls, segment: Segment, typecode: str, sequence: Iterable[Any]) -> Array:
        """A new one in a segment. Raises: what `array.array` raises."""
        return cls._of(segment, _content(typecode, sequence))

    @classmethod
    def _make(cls, segment: Segment, typecode: str, sequence: Iterable[Any] = ()) -> Array:
        return cls._filled(segment, typecode, sequence)

    def _getvalue(self) -> array[Any]:
        return self[:]

    def _text(self) -> str:
        return repr(self[:])

    def tolist(self) -> list[Any]:
        """The items as a list."""
        return self[:].tolist()

    def index(self, value: object, start: int = 0, stop: int = maxsize, /) -> int:
        """The first place of `value`, from `start` on and before `stop`. Raises: ValueError if it is not there."""
        return self[:].index(value, start, stop)

    def count(self, value: object, /) -> int:
        """How often `value` is there."""
        return self[:].count(value)

    def __contains__(self, value: object) -> bool:
        return value in self[:]

    def __iter__(self) -> Iterator[Any]:
        for place in range(len(self)):
            yield self[place]

    def __reversed__(self) -> Iterator[Any]:
        for place in range(len(self) - 1, -1, -1):
            yield self[place]

    def __deepcopy__(self, memo: dict[int, object]) -> array[Any]:
        return self[:]

    def __eq__(self, other: object) -> bool:
        items = _items(other)
        return NotImplemented if items is None else bool(self[:] == items)

    def __ne__(self, other: object) -> bool:
        items = _items(other)
        return NotImplemented if items is None else bool(self[:] != items)

    def __lt__(self, other: object) -> bool:
        items = _items(other)
        return NotImplemented if items is None else bool(self[:] < items)

    def __le__(self, other: object) -> bool:
        items = _items(other)
        return NotImplemented if items is None else bool(self[:] <= items)

    def __gt__(self, other: object) -> bool:
        items = _items(other)
        return NotImplemented if items is None else bool(self[:] > items)

    def __ge__(self, other: object) -> bool:
        items = _items(other)
        return NotImplemented if items is None else bool(self[:] >= items)


def _content(typecode: str, sequence: Iterable[Any]) -> array[Any]:
    """What `array.array` makes of its arguments."""
    return array(typecode, sequence[:] if isinstance(sequence, Array) else sequence)


def _items(other: object) -> array[Any] | None:
    """What an Array is compared with, or None where that is no array."""
    if isinstance(other, Array):
        return other[:]
    return other if isinstance(other, array) else None


Sequence.register(Array)
_types.register(_types.Array, Array)
