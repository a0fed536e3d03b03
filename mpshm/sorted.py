"""The shared containers that are sorted by key: the C types, and what sortedcontainers' can do beyond what those have.

What stands here runs in the caller, on copies taken in one step, as in `containers`. Long ranges are copied piece by
piece: each piece is as it is at one moment, and the next goes on behind the last key of the one before, whatever
others have changed meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSet
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import Any, SupportsIndex, TypeVar, overload

from . import _types
from .allocators import Pooled, Spec
from .containers import Copied, Dict, DictLike
from .sets import SetLike

__all__ = ["Map", "MultiMap", "SortedSet"]

_K = TypeVar("_K")
_V = TypeVar("_V")
_L = TypeVar("_L")

_KEYS, _VALUES, _BOTH = 1, 2, 3
# Items in a piece of a range that is walked over.
_PIECE = 1024


class Ordered:
    """What the sorted containers have in common: places of keys, and ranges."""

    __slots__ = ()

    def lower_bound(self: Any, key: Any, /) -> int:
        """The place of the first item whose key is not less than `key`; the length if there is none.

        Raises: TypeError for a key that does not compare with those that are there; ValueError for nan.
        """
        return int(self._rank(key, False))

    def upper_bound(self: Any, key: Any, /) -> int:
        """The place of the first item whose key is greater than `key`; the length if there is none.

        Raises: as `lower_bound`.
        """
        return int(self._rank(key, True))

    def bisect_left(self: Any, key: Any, /) -> int:
        """As `lower_bound`, by sortedcontainers' name."""
        return int(self._rank(key, False))

    def bisect_right(self: Any, key: Any, /) -> int:
        """As `upper_bound`, by sortedcontainers' name."""
        return int(self._rank(key, True))

    bisect = bisect_right

    def index(self: Any, key: Any, start: SupportsIndex | None = None, stop: SupportsIndex | None = None, /) -> int:
        """The place of (the first item of) `key`, if it is in [start, stop).

        Raises: ValueError if it is not there; else as `lower_bound`.
        """
        whole = start is None and stop is None
        first, last, _ = (0, 0, 1) if whole else slice(start, stop).indices(len(self))
        _, n, _, place = self._range(_KEYS, key, True, key, True, None, None, False, 0, 0)
        if n and (whole or first <= place < last):
            return int(place)
        raise ValueError(f"{key!r} is not in list")

    def irange(
        self: Any,
        minimum: Any = None,
        maximum: Any = None,
        inclusive: tuple[bool, bool] = (True, True),
        reverse: bool = False,
    ) -> Iterator[Any]:
        """An iterator over the keys from `minimum` to `maximum`, in order.

        Args: None is no bound; `inclusive`, whether each bound belongs to the range itself; `reverse`, the greatest
        key first.
        Returns: an iterator. The keys are copied in pieces of at most 1024, each as it is at one moment; a change by
        others shows where the iterator has not been yet.
        Raises: TypeError for bounds that do not compare with the keys. Source: `sortedcontainers.SortedDict.irange`.
        """
        low = None if minimum is None else bool(inclusive[0])
        high = None if maximum is None else bool(inclusive[1])
        piece = self._range(_KEYS, minimum, low, maximum, high, None, None, reverse, 0, _PIECE)
        return chain.from_iterable(_pieces(self, piece, (minimum, low), (maximum, high), reverse, None))

    def islice(
        self: Any, start: SupportsIndex | None = None, stop: SupportsIndex | None = None, reverse: bool = False
    ) -> Iterator[Any]:
        """An iterator over the keys at the places from `start` to `stop`, as a slice counts them.

        Returns: an iterator that copies as `irange`'s. Source: `sortedcontainers.SortedDict.islice`.
        """
        piece = self._range(_KEYS, None, None, None, None, start, stop, reverse, 0, _PIECE)
        seen = 0
        if isinstance(self, MultiMap) and piece[0]:
            items, left, _, first = piece
            end = first + len(items) + left
            seen = max(0, self.upper_bound(items[0]) - end if reverse else first - self.lower_bound(items[0]))
        return chain.from_iterable(_pieces(self, piece, (None, None), (None, None), reverse, piece[1], seen))


def _pieces(
    made: Any,
    piece: tuple[list[Any], int, int, int],
    low: tuple[Any, bool | None],
    high: tuple[Any, bool | None],
    reverse: bool,
    most: int | None,
    seen: int = 0,
) -> Iterator[list[Any]]:
    """The keys of a piece, then those behind it, piece by piece: `most` of these, if that is a number.

    `seen`: items of the first key that were left out before the piece. The next piece leaves those of the last key out.
    """
    while True:
        items, left, _, _ = piece
        yield items
        if not items or not left or (most is not None and most <= 0):
            return
        last = items[-1]
        same = next((n for n, key in enumerate(reversed(items)) if key != last), len(items))
        seen = same + (seen if same == len(items) else 0)
        if reverse:
            high = last, True
        else:
            low = last, True
        limit = _PIECE if most is None else min(_PIECE, most)
        piece = made._range(_KEYS, *low, *high, None, None, reverse, seen, limit)
        if most is not None:
            most -= len(piece[0])


def _pairs(args: tuple[Any, ...], kwds: dict[str, Any], name: str) -> dict[Any, Any]:
    """What dict() makes of the same arguments."""
    if len(args) > 1:
        raise TypeError(f"{name} expected at most 1 argument, got {len(args)}")
    first = args[0] if args else ()
    if isinstance(first, (Dict, Map)):
        first = first._snapshot()
    if type(first) is dict and not kwds:
        return first
    return dict(first, **kwds)


class Map(Ordered, Pooled, DictLike, _types.Map[_K, _V]):
    """A mapping in shared memory that is sorted by key.

    Args: as dict's; `allocator`, where the nodes come from: a pool's class such as NodePool, an instance with options,
    a `Pool` of the same segment, or None for the segment itself; `flat` is accepted for Boost's `flat_map`, and changes
    nothing: the nodes of the tree are sorted arrays already, of 62 items each.
    Keys: numbers (int, float and bool together), str, bytes, or tuples of these, all of one kind; the first key says
    which. Values are copied in and out. Every call is atomic; finding, setting, removing, and the place of a key take
    O(log n).
    Raises: TypeError for a key that does not compare with those that are there, or is None; ValueError for nan. A key
    that is only looked for is not there then.
    Source: `sortedcontainers.SortedDict`, and `multiprocessing.managers.DictProxy` for `keys`, `values`, `items`
    (lists), `repr` and `str`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "map"

    def __init__(self, /, *args: Any, allocator: Spec = None, flat: bool = False, **kwds: Any) -> None:
        self._allocate_by(allocator)
        pairs = _pairs(args, kwds, "map")
        if pairs:
            self._update(list(pairs), list(pairs.values()))

    @classmethod
    def fromkeys(cls, iterable: Iterable[_K], value: _V | None = None, /) -> Map[_K, _V | None]:
        """A new one in the default segment, with each key of `iterable` set to `value`."""
        return cls(dict.fromkeys(iterable, value))  # type: ignore[return-value]

    def update(self, /, *args: Any, **kwds: Any) -> None:
        """Set all these keys, in one step. Args: as dict.update's."""
        pairs = _pairs(args, kwds, "update")
        self._update(list(pairs), list(pairs.values()))

    def _snapshot(self) -> dict[_K, _V]:
        return dict(self.items())

    def copy(self) -> dict[_K, _V]:
        """The contents as a plain dict, in order."""
        return self._snapshot()


class MultiMap(Ordered, Pooled, Copied, _types.MultiMap[_K, _V]):
    """A mapping in shared memory, sorted by key, with any number of values for each: in the order in which they came.

    Args: `items`, a mapping or pairs; `allocator`, as Map's. Keys as Map's. `len` counts items, not keys.
    Source: Boost.Interprocess's `multimap`; names as `Map`'s.
    """

    __slots__ = ("__weakref__",)

    _typeid = "multi_map"

    def __init__(
        self, items: Mapping[_K, _V] | Iterable[tuple[_K, _V]] = (), /, *, allocator: Spec = None, flat: bool = False
    ) -> None:
        self._allocate_by(allocator)
        self.update(items)

    def update(self, items: Mapping[_K, _V] | Iterable[tuple[_K, _V]] = (), /) -> None:
        """Add all these items, in one step. Args: `items`, a mapping or pairs."""
        if isinstance(items, (Dict, Map, MultiMap)) or hasattr(items, "items"):
            items = items.items()
        keys, values = [], []
        for key, value in items:
            keys.append(key)
            values.append(value)
        if keys:
            self._update(keys, values)

    def getall(self, key: _K, /) -> list[_V]:
        """The values of `key`, in the order in which they came; none is an empty list."""
        return _range_of(self, _VALUES, key)

    def count(self, key: _K, /) -> int:
        """How many items `key` has."""
        try:
            return self._range(_KEYS, key, True, key, True, None, None, False, 0, 0)[1]
        except (TypeError, ValueError):
            hash(key)
            return 0

    def equal_range(self, key: _K, /) -> tuple[int, int]:
        """`lower_bound` and `upper_bound` of `key`, at one moment."""
        _, n, _, first = self._range(_KEYS, key, True, key, True, None, None, False, 0, 0)
        return first, first + n

    def remove(self, key: _K, value: _V, /) -> None:
        """Take the first item of this key and value out. Raises: ValueError if there is none."""
        if not self._remove(key, value):
            raise ValueError(f"({key!r}, {value!r}) is not in the map")

    def _snapshot(self) -> list[tuple[_K, _V]]:
        return self.items()

    def copy(self) -> list[tuple[_K, _V]]:
        """The contents as a plain list of pairs, in order."""
        return self.items()

    def _text(self) -> str:
        return f"MultiMap({self.items()!r})"

    def _plain(self, other: object, /) -> list[tuple[Any, Any]] | None:
        return other.items() if isinstance(other, MultiMap) else None


def _range_of(made: Any, what: int, key: object) -> list[Any]:
    """All items of one key."""
    try:
        found: list[Any] = made._range(what, key, True, key, True, None, None, False, 0, None)[0]
    except (TypeError, ValueError):
        hash(key)
        return []
    return found


class SortedSet(Ordered, Pooled, SetLike, _types.SortedSet[_K]):
    """A set in shared memory that is sorted: keys are had by their places, too.

    Args: `iterable`, its first keys; `allocator`, as Map's. Keys as Map's. Every call is atomic: the operators
    `|= -= &= ^=` and the methods they stand for are one change each. Operators give plain sets, slices plain lists.
    Source: `sortedcontainers.SortedSet`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "sorted_set"

    def __init__(self, iterable: Iterable[_K] = (), /, *, allocator: Spec = None, flat: bool = False) -> None:
        self._allocate_by(allocator)
        self.update(iterable)

    def _keys(self) -> tuple[list[_K], int]:
        """All keys, and the version they are of."""
        keys, _, version, _ = self._range(_KEYS, None, None, None, None, None, None, False, 0, None)
        return keys, version

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> _K: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[_K]: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> _K | list[_K]:
        if not isinstance(index, slice):
            return self._item(index)
        if index.step is None:
            keys: list[_K] = self._range(_KEYS, None, None, None, None, index.start, index.stop, False, 0, None)[0]
            return keys
        return self._keys()[0][index]

    def __delitem__(self, index: SupportsIndex | slice, /) -> None:
        if not isinstance(index, slice):
            self.pop(index)
            return
        while True:
            keys, version = self._keys()
            del keys[index]
            if self._replace(keys, None, version):
                return

    def update(self, /, *others: Iterable[_K]) -> None:
        """Put all keys of the others in, in one step."""
        keys = [key for other in others for key in other]
        if keys:
            self._update(keys, None)

    def difference_update(self, /, *others: Iterable[object]) -> None:
        """Take all keys of the others out, in one step."""
        self._take([key for other in others for key in other])

    def intersection_update(self, /, *others: Iterable[object]) -> None:
        """Take all keys out that not all of the others have, in one step."""
        kept = [set(other) for other in others]
        self._change(lambda keys: set(keys).intersection(*kept))

    def symmetric_difference_update(self, other: Iterable[_K], /) -> None:
        """Take out the keys that other has too and put its others in, in one step."""
        toggled = set(other)
        self._change(lambda keys: set(keys) ^ toggled)

    def _change(self, make: Callable[[list[_K]], Iterable[_K]]) -> None:
        """Set the content to what `make` makes of it; again, if another changed it meanwhile."""
        while True:
            keys, version = self._keys()
            if self._replace(list(make(keys)), None, version):
                return

    def count(self, key: object, /) -> int:
        """1 if the key is there, 0 if not."""
        return int(key in self)

    def copy(self) -> set[_K]:
        """The contents as a plain set; `self[:]` is a sorted list of them."""
        return set(self._keys()[0])

    def _snapshot(self) -> set[_K]:
        return set(self._keys()[0])

    def __deepcopy__(self, memo: dict[object, object]) -> set[_K]:
        return set(self._keys()[0])

    def _text(self) -> str:
        return f"SortedSet({self._keys()[0]!r})"

    # Whatever the other operand is, a plain set comes of it.
    __ror__, __rand__, __rxor__ = SetLike.__or__, SetLike.__and__, SetLike.__xor__  # type: ignore[assignment]

    def __rsub__(self, other: AbstractSet[_L]) -> set[_L]:
        keys = self._plain(other)
        return NotImplemented if keys is None else set(keys) - self._snapshot()

    def __ior__(self, other: AbstractSet[_K]) -> SortedSet[_K]:  # type: ignore[override, misc]
        keys = self._plain(other)
        if keys is None:
            return NotImplemented
        self.update(keys)
        return self

    def __isub__(self, other: AbstractSet[object]) -> SortedSet[_K]:  # type: ignore[override]
        keys = self._plain(other)
        if keys is None:
            return NotImplemented
        self.difference_update(keys)
        return self

    def __iand__(self, other: AbstractSet[object]) -> SortedSet[_K]:  # type: ignore[override]
        keys = self._plain(other)
        if keys is None:
            return NotImplemented
        self.intersection_update(keys)
        return self

    def __ixor__(self, other: AbstractSet[_K]) -> SortedSet[_K]:  # type: ignore[override, misc]
        keys = self._plain(other)
        if keys is None:
            return NotImplemented
        self.symmetric_difference_update(keys)
        return self


MutableMapping.register(Map)
MutableSet.register(SortedSet)
_types.register(_types.Map, Map)
_types.register(_types.MultiMap, MultiMap)
_types.register(_types.SortedSet, SortedSet)
