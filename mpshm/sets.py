"""The shared set: the C type, and what the builtin can do beyond what that has.

What stands here runs in the caller, on a copy taken in one step, as in `containers`.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSet
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from . import _types
from .containers import Comparable, Source, mark

__all__ = ["Set", "SetLike"]

_K = TypeVar("_K")
_L = TypeVar("_L")


class SetLike(Comparable):
    """What the set and the sorted one have in common: what the builtin does on a copy."""

    __slots__ = ()

    def _plain(self, other: object, /) -> Any:
        if isinstance(other, SetLike):
            return other._snapshot()  # type: ignore[attr-defined]
        return other if isinstance(other, (set, frozenset)) else None

    def union(self: Source[set[_K]], *others: Iterable[_L]) -> set[_K | _L]:
        """The keys of this and all others, as a plain set."""
        return self._snapshot().union(*others)

    def intersection(self: Source[set[_K]], *others: Iterable[object]) -> set[_K]:
        """The keys that all others have too, as a plain set."""
        return self._snapshot().intersection(*others)

    def difference(self: Source[set[_K]], *others: Iterable[object]) -> set[_K]:
        """The keys that none of the others has, as a plain set."""
        return self._snapshot().difference(*others)

    def symmetric_difference(self: Source[set[_K]], other: Iterable[_L], /) -> set[_K | _L]:
        """The keys that either this or the other has, as a plain set."""
        return self._snapshot().symmetric_difference(other)

    def isdisjoint(self: Source[set[_K]], other: Iterable[object], /) -> bool:
        """Whether no key is in both."""
        return self._snapshot().isdisjoint(other)

    def issubset(self: Source[set[_K]], other: Iterable[object], /) -> bool:
        """Whether the other has all keys of this."""
        return self._snapshot().issubset(other)

    def issuperset(self: Source[set[_K]], other: Iterable[object], /) -> bool:
        """Whether this has all keys of the other."""
        return self._snapshot().issuperset(other)

    def __or__(self: Source[set[_K]], other: AbstractSet[_L]) -> set[_K | _L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else self._snapshot() | keys

    def __and__(self: Source[set[_K]], other: AbstractSet[object]) -> set[_K]:
        keys = self._plain(other)
        return NotImplemented if keys is None else self._snapshot() & keys

    def __sub__(self: Source[set[_K]], other: AbstractSet[object]) -> set[_K]:
        keys = self._plain(other)
        return NotImplemented if keys is None else self._snapshot() - keys

    def __xor__(self: Source[set[_K]], other: AbstractSet[_L]) -> set[_K | _L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else self._snapshot() ^ keys

    def __ror__(self: Source[set[_K]], other: AbstractSet[_L]) -> AbstractSet[_K | _L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else keys | self._snapshot()

    def __rand__(self: Source[set[_K]], other: AbstractSet[_L]) -> AbstractSet[_L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else keys & self._snapshot()

    def __rsub__(self: Source[set[_K]], other: AbstractSet[_L]) -> AbstractSet[_L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else keys - self._snapshot()

    def __rxor__(self: Source[set[_K]], other: AbstractSet[_L]) -> AbstractSet[_K | _L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else keys ^ self._snapshot()


class Set(SetLike, _types.Set[_K]):
    """A set in shared memory, with the methods and operators of the builtin.

    Args: as set's. Made without a manager it lives in the process's default segment. Keys are copied in and out.
    Every call is atomic: `update`, `difference_update`, `intersection_update`, `symmetric_difference_update` and
    the operators `|= -= &= ^=` are one change each, whatever the others are.
    Source: `set` of Python 3.14; `repr` and `str` as those of `multiprocessing.managers`' proxies.
    """

    __slots__ = ("__weakref__",)

    _typeid = "set"

    def copy(self) -> set[_K]:
        """The contents as a plain set."""
        return self._snapshot()

    def __deepcopy__(self, memo: dict[object, object]) -> set[_K]:
        from copy import deepcopy

        me = mark(self)
        if me in memo:
            return memo[me]  # type: ignore[return-value]
        made = {deepcopy(key, memo) for key in self._snapshot()}  # type: ignore[arg-type]
        memo[me] = made
        return made


MutableSet.register(Set)
_types.register(_types.Set, Set)
