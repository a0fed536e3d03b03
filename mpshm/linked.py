"""The shared linked list: the C types, and what a list can do beyond what those have.

What stands here runs in the caller, on a copy taken in one step, as in `containers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSequence
from sys import maxsize
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar

from . import _types
from ._types import Cursor
from .allocators import Pooled, Spec
from .containers import ListLike, Source

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Cursor", "LinkedList"]

_T = TypeVar("_T")

# How often remove() looks again for its item before it holds the list's lock meanwhile.
_REMOVE_TRIES = 4


class LinkedList(Pooled, ListLike, _types.LinkedList[_T]):
    """A doubly linked list in shared memory, with cursors that stay at their items, whatever comes and goes around.

    Args: `iterable`, its first items; `allocator`, where the nodes come from: a pool's class such as NodePool, an
    instance with options, a `Pool` of the same segment, or None for the segment itself. Made without a manager it
    lives in the process's default segment. It has the methods and operators of the builtin list; an index takes as
    many steps as there are items before or after it, a cursor one. Items are copied in and out; a shared container as
    an item is kept by reference. Every call is one step. Iterating walks a snapshot.
    Raises: TypeError for what is no allocator; ValueError for a pool of another segment, or with smaller nodes.
    Source: `list` of Python 3.14 for what that has; Boost's `list` for cursors and splice.
    """

    __slots__ = ("__weakref__",)

    _typeid = "linked_list"

    def __init__(self, iterable: Iterable[_T] = (), /, *, allocator: Spec = None) -> None:
        items = list(iterable)
        self._allocate_by(allocator)
        if len(self):
            self.clear()
        if items:
            self.extend(items)

    def begin(self) -> Cursor[_T]:
        """A cursor to the first item; to the end of an empty list."""
        return self.cursor(0)

    def end(self) -> Cursor[_T]:
        """A cursor to the end, behind the last item: insert_before() there appends."""
        return self.cursor(maxsize)

    def find(self, value: _T, /) -> Cursor[_T]:
        """A cursor to the first `value`, or to the end if it is not there."""
        items, places = self._places()
        return self._place(places, items.index(value)) if value in items else self.end()

    def _snapshot(self) -> list[_T]:
        return self._items()[0]

    def copy(self) -> list[_T]:
        """The contents as a plain list."""
        return self._snapshot()

    def __iter__(self) -> Iterator[_T]:
        return iter(self._snapshot())

    def __reversed__(self) -> Iterator[_T]:
        return reversed(self._snapshot())

    def remove(self, value: _T, /) -> None:
        """Take the first `value` out. Raises: ValueError if it is not there."""
        for _ in range(_REMOVE_TRIES):
            items, places = self._places()
            place = items.index(value)
            if self._place(places, place)._erase_if(items[place]):
                return
        with self.lock:
            del self[self._snapshot().index(value)]

    def sort(self, *, key: Callable[[_T], Any] | None = None, reverse: bool = False) -> None:
        """Sort, as list.sort does. Keys and comparisons run in the caller, again if the list was changed meanwhile."""
        while True:
            items, version = self._items()
            items.sort(key=key, reverse=reverse)
            if self._replace(items, version):
                return

    # Slices, which the C type leaves to us.

    def _get(self, key: slice) -> list[_T]:
        return self._snapshot()[key]

    def _set(self, key: Any, value: Iterable[_T]) -> None:
        content = value._snapshot() if isinstance(value, LinkedList) else list(value)
        while True:
            items, version = self._items()
            items[key] = content
            if self._replace(items, version):
                return

    def _del(self, key: Any) -> None:
        while True:
            items, version = self._items()
            del items[key]
            if self._replace(items, version):
                return

    def __add__(self, other: list[_T] | Source[list[_T]]) -> list[_T]:
        items = self._plain(other)
        return NotImplemented if items is None else self._snapshot() + items

    def __mul__(self, n: SupportsIndex) -> list[_T]:
        return self._snapshot() * n if hasattr(n, "__index__") else NotImplemented

    def __rmul__(self, n: SupportsIndex) -> list[_T]:
        return self._snapshot() * n if hasattr(n, "__index__") else NotImplemented

    def __imul__(self, n: SupportsIndex) -> Self:  # type: ignore[override]
        if not hasattr(n, "__index__"):
            return NotImplemented
        while True:
            items, version = self._items()
            if self._replace(items * n, version):
                return self

    def _plain(self, other: object, /) -> list[Any] | None:
        if isinstance(other, LinkedList):
            return other._snapshot()
        return other if isinstance(other, list) else None


MutableSequence.register(LinkedList)
_types.register(_types.LinkedList, LinkedList)
