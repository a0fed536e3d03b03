"""The shared deque: the C type, and what `collections.deque` can do beyond what that has.

What stands here runs in the caller, on a copy taken in one step, as in `containers`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, MutableSequence
from sys import maxsize
from typing import SupportsIndex, TypeVar

from . import _types
from .containers import Shared, mark

__all__ = ["Deque"]

_T = TypeVar("_T")

# How often remove() looks again for its item before it compares versions of the whole deque instead.
_REMOVE_TRIES = 4


class Deque(Shared, _types.Deque[_T]):
    """A deque in shared memory, with the methods and operators of `collections.deque`.

    Args: `iterable`, its first items; `maxlen`, the greatest length, 0 or more, or None: at that length, what is
    put in at one end drops what is at the other. Made without a manager it lives in the process's default segment.
    Items are copied in and out; a shared container as an item is kept by reference. Every call is atomic.
    Raises: ValueError for a negative `maxlen`; TypeError for one that is no int.
    Source: `collections.deque` of Python 3.14; `repr` and `str` as those of `multiprocessing.managers`' proxies.
    """

    __slots__ = ("__weakref__",)
    __hash__ = None  # type: ignore[assignment]

    _typeid = "deque"

    def _snapshot(self) -> deque[_T]:
        return deque(self._items()[0], self.maxlen)

    def copy(self) -> deque[_T]:
        """The contents as a plain deque of the same maxlen."""
        return self._snapshot()

    def _getvalue(self) -> deque[_T]:
        return self._snapshot()

    def __deepcopy__(self, memo: dict[object, object]) -> deque[_T]:
        from copy import deepcopy

        me = mark(self)
        if me in memo:
            return memo[me]  # type: ignore[return-value]
        made: deque[_T] = deque(maxlen=self.maxlen)
        memo[me] = made
        made.extend(deepcopy(item, memo) for item in self._items()[0])  # type: ignore[arg-type]
        return made

    def _text(self) -> str:
        return repr(self._snapshot())

    def index(self, value: _T, start: SupportsIndex = 0, stop: SupportsIndex = maxsize, /) -> int:
        """The first place of `value`. Raises: ValueError if it is not there."""
        return self._snapshot().index(value, start, stop)  # type: ignore[arg-type]

    def count(self, value: _T, /) -> int:
        """How often `value` is there."""
        return self._items()[0].count(value)

    def remove(self, value: _T, /) -> None:
        """Take the first `value` out.

        Raises: ValueError if it is not there. Comparisons run in the caller, and again if the deque was changed
        meanwhile.
        """
        tries = 0
        while True:
            items, version = self._items()
            rest = deque(items)
            rest.remove(value)
            tries += 1
            if tries > _REMOVE_TRIES:
                if self._replace(list(rest), version):
                    return
                continue
            # The first item that differs in identity was removed; in a row of one object any will do.
            place = next((i for i, item in enumerate(rest) if items[i] is not item), len(rest))
            if self._remove_at(place, items[place]):
                return

    def __contains__(self, value: object) -> bool:
        return value in self._items()[0]

    def __add__(self, other: deque[_T] | Deque[_T]) -> deque[_T]:
        return self._snapshot() + (other._snapshot() if isinstance(other, Deque) else other)

    def __radd__(self, other: deque[_T]) -> deque[_T]:
        return other + self._snapshot() if isinstance(other, deque) else NotImplemented

    def __mul__(self, n: SupportsIndex) -> deque[_T]:
        return self._snapshot() * n  # type: ignore[operator]

    def __rmul__(self, n: SupportsIndex) -> deque[_T]:
        return n * self._snapshot()  # type: ignore[operator]

    # Both are inherited slots of sequences; __add__ and __mul__ here would come before them, and make plain deques.
    def __iadd__(self, other: Iterable[_T]) -> Deque[_T]:
        self.extend(other)
        return self

    def __imul__(self, n: SupportsIndex) -> Deque[_T]:
        return super().__imul__(n) if hasattr(n, "__index__") else NotImplemented

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Deque):
            return _types.same(self, other) or self._snapshot() == other._snapshot()
        if isinstance(other, deque):
            return bool(self._snapshot() == other)
        return NotImplemented

    def __ne__(self, other: object) -> bool:
        same = self.__eq__(other)
        return NotImplemented if same is NotImplemented else not same

    def __lt__(self, other: deque[_T] | Deque[_T]) -> bool:
        items = _plain(other)
        return NotImplemented if items is None else self._snapshot() < items

    def __le__(self, other: deque[_T] | Deque[_T]) -> bool:
        items = _plain(other)
        return NotImplemented if items is None else self._snapshot() <= items

    def __gt__(self, other: deque[_T] | Deque[_T]) -> bool:
        items = _plain(other)
        return NotImplemented if items is None else self._snapshot() > items

    def __ge__(self, other: deque[_T] | Deque[_T]) -> bool:
        items = _plain(other)
        return NotImplemented if items is None else self._snapshot() >= items


def _plain(other: deque[_T] | Deque[_T]) -> deque[_T] | None:
    """What a deque is compared with, or None where that is no deque."""
    if isinstance(other, Deque):
        return other._snapshot()
    return other if isinstance(other, deque) else None


MutableSequence.register(Deque)
_types.register(_types.Deque, Deque)
