"""The shared deque: the C type, and what `collections.deque` can do beyond what that has.

What stands here runs in the caller, on a copy taken in one step, as in `containers`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import MutableSequence
from typing import Any, TypeVar

from . import _types
from .containers import ListLike

__all__ = ["Deque"]

_T = TypeVar("_T")

# How often remove() looks again for its item before it compares versions of the whole deque instead.
_REMOVE_TRIES = 4


class Deque(ListLike, _types.Deque[_T]):
    """A deque in shared memory, with the methods and operators of `collections.deque`.

    Args: `iterable`, its first items; `maxlen`, the greatest length, 0 or more, or None: at that length, what is
    put in at one end drops what is at the other. Made without a manager it lives in the process's default segment.
    Items are copied in and out; a shared container as an item is kept by reference. Every call is atomic.
    Raises: ValueError for a negative `maxlen`; TypeError for one that is no int.
    Source: `collections.deque` of Python 3.14; `repr` and `str` as those of `multiprocessing.managers`' proxies.
    """

    __slots__ = ("__weakref__",)

    _typeid = "deque"

    def _snapshot(self) -> deque[_T]:
        return deque(self._items()[0], self.maxlen)

    def copy(self) -> deque[_T]:
        """The contents as a plain deque of the same maxlen."""
        return self._snapshot()

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

    def _plain(self, other: object, /) -> deque[Any] | None:
        if isinstance(other, Deque):
            return other._snapshot()
        return other if isinstance(other, deque) else None


MutableSequence.register(Deque)
_types.register(_types.Deque, Deque)
