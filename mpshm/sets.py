"""The shared set: the C type, and what the builtin can do beyond what that has.

What stands here runs in the caller, on a copy taken in one step, as in `containers`.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSet
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from . import _types
from .containers import Shared, mark

__all__ = ["Set"]

_K = TypeVar("_K")
_L = TypeVar("_L")


class Set(Shared, _types.Set[_K]):
    """A set in shared memory, with the methods and operators of the builtin.

    Args: as set's. Made without a manager it lives in the process's default segment. Keys are copied in and out.
    Every call is atomic: `update`, `difference_update`, `intersection_update`, `symmetric_difference_update` and
    the operators `|= -= &= ^=` are one change each, whatever the others are.
    Source: `set` of Python 3.14; `repr` and `str` as those of `multiprocessing.managers`' proxies.
    """

    __slots__ = ("__weakref__",)
    __hash__ = None  # type: ignore[assignment]

    _typeid = "set"

    def copy(self) -> set[_K]:
        """The contents as a plain set."""
        return self._snapshot()

    def _getvalue(self) -> set[_K]:
        return self._snapshot()

    def __deepcopy__(self, memo: dict[object, object]) -> set[_K]:
        from copy import deepcopy

        me = mark(self)
        if me in memo:
            return memo[me]  # type: ignore[return-value]
        made = {deepcopy(key, memo) for key in self._snapshot()}  # type: ignore[arg-type]
        memo[me] = made
        return made

    def _text(self) -> str:
        return repr(self._snapshot())

    def union(self, *others: Iterable[_L]) -> set[_K | _L]:
        """The keys of this and all others, as a plain set."""
        return self._snapshot().union(*others)

    def intersection(self, *others: Iterable[object]) -> set[_K]:
        """The keys that all others have too, as a plain set."""
        return self._snapshot().intersection(*others)

    def difference(self, *others: Iterable[object]) -> set[_K]:
        """The keys that none of the others has, as a plain set."""
        return self._snapshot().difference(*others)

    def symmetric_difference(self, other: Iterable[_L], /) -> set[_K | _L]:
        """The keys that either this or the other has, as a plain set."""
        return self._snapshot().symmetric_difference(other)

    def isdisjoint(self, other: Iterable[object], /) -> bool:
        """Whether no key is in both."""
        return self._snapshot().isdisjoint(other)

    def issubset(self, other: Iterable[object], /) -> bool:
        """Whether the other has all keys of this."""
        return self._snapshot().issubset(other)

    def issuperset(self, other: Iterable[object], /) -> bool:
        """Whether this has all keys of the other."""
        return self._snapshot().issuperset(other)

    def __or__(self, other: AbstractSet[_L]) -> set[_K | _L]:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() | keys

    def __and__(self, other: AbstractSet[object]) -> set[_K]:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() & keys

    def __sub__(self, other: AbstractSet[object]) -> set[_K]:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() - keys

    def __xor__(self, other: AbstractSet[_L]) -> set[_K | _L]:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() ^ keys

    def __ror__(self, other: AbstractSet[_L]) -> AbstractSet[_K | _L]:
        keys = _plain(other)
        return NotImplemented if keys is None else keys | self._snapshot()

    def __rand__(self, other: AbstractSet[_L]) -> AbstractSet[_L]:
        keys = _plain(other)
        return NotImplemented if keys is None else keys & self._snapshot()

    def __rsub__(self, other: AbstractSet[_L]) -> AbstractSet[_L]:
        keys = _plain(other)
        return NotImplemented if keys is None else keys - self._snapshot()

    def __rxor__(self, other: AbstractSet[_L]) -> AbstractSet[_K | _L]:
        keys = _plain(other)
        return NotImplemented if keys is None else keys ^ self._snapshot()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Set) and _types.same(self, other):
            return True
        keys = _plain(other)
        return NotImplemented if keys is None else bool(self._snapshot() == keys)

    def __ne__(self, other: object) -> bool:
        same = self.__eq__(other)
        return NotImplemented if same is NotImplemented else not same

    def __lt__(self, other: AbstractSet[object]) -> bool:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() < keys

    def __le__(self, other: AbstractSet[object]) -> bool:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() <= keys

    def __gt__(self, other: AbstractSet[object]) -> bool:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() > keys

    def __ge__(self, other: AbstractSet[object]) -> bool:
        keys = _plain(other)
        return NotImplemented if keys is None else self._snapshot() >= keys


def _plain(other: object) -> set[Any] | frozenset[Any] | None:
    """The other operand as a builtin, or None where it is no set."""
    if isinstance(other, Set):
        return other._snapshot()
    return other if isinstance(other, (set, frozenset)) else None


MutableSet.register(Set)
_types.register(_types.Set, Set)
