"""The shared containers: the C types, and what the builtins can do beyond what those have.

What stands here runs in the caller, on a copy taken in one step: comparisons, `repr`, sort keys and whatever else may
call a user's code never run while something is locked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from operator import index as as_index
from sys import maxsize
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, SupportsIndex, TypeVar

from . import _types

if TYPE_CHECKING:
    from typing_extensions import Self

    from .segments import Segment

__all__ = [
    "Comparable",
    "Copied",
    "Dict",
    "DictLike",
    "List",
    "ListLike",
    "Namespace",
    "Shared",
    "Source",
    "Value",
    "mark",
    "place_of",
]

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")
_C = TypeVar("_C")
_C_co = TypeVar("_C_co", covariant=True)

# How many times its own length sort() sorts, starting anew because the list was changed meanwhile, before it
# gives up.
_SORT_TRIES = 64
# Types whose comparison calls no code of a user's, so that it may run while a lock is held.
_PLAIN = frozenset({int, float, bool, str, bytes})
# How often remove() looks again for its item before it compares versions of the whole list instead.
_REMOVE_TRIES = 4


class Shared:
    """What all shared objects have in common: how they are shown."""

    __slots__ = ()

    _typeid = ""

    @classmethod
    def _make(cls, segment: Segment, *args: Any, **kwds: Any) -> Self:
        """A new one in a segment, made as by its own call."""
        made = cls._in(segment)  # type: ignore[attr-defined]
        made.__init__(*args, **kwds)
        return made  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<mpshm.{type(self).__name__} object, typeid {self._typeid!r} at {id(self):#x}>"

    def __str__(self) -> str:
        """The contents as the builtin shows them, or, where they cannot be had, the name.

        Source: `multiprocessing.managers.BaseProxy`. A shared object inside is shown by its name, so a
        container that holds itself has a text too.
        """
        try:
            return self._text()
        except Exception:
            return repr(self)[:-1] + "; '__str__()' failed>"

    def _text(self) -> str:
        return repr(self)


def place_of(index: SupportsIndex) -> int:
    """An index as list.pop() and insert() take it. Raises: TypeError; OverflowError beyond the machine's numbers."""
    place = as_index(index)
    if not -maxsize - 1 <= place <= maxsize:
        raise OverflowError("Python int too large to convert to C ssize_t")
    return place


def mark(handle: _types.Handle) -> tuple[int, int, int]:
    """The same for every handle of one object, in this process."""
    return handle._segment._pointer, handle._offset, handle._serial


class Source(Protocol[_C_co]):
    """What the methods below take from their classes: the contents, and what these are compared with, as builtins."""

    def _snapshot(self) -> _C_co: ...
    def _plain(self, other: object, /) -> Any: ...


class Copied(Shared):
    """What the containers have in common that are shown and compared as the builtin which `_snapshot()` gives.

    Theirs to add is `_plain(other)`: the other operand as a builtin, or None where it is nothing to compare with.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def _getvalue(self: Source[_C]) -> _C:
        return self._snapshot()

    def _text(self: Any) -> str:
        return repr(self._snapshot())

    def __eq__(self: Any, other: object) -> bool:
        if isinstance(other, Copied) and _types.same(self, other):
            return True
        content = self._plain(other)
        return NotImplemented if content is None else bool(self._snapshot() == content)


class Comparable(Copied):
    """Those of them that have an order, too."""

    __slots__ = ()

    def __lt__(self: Source[_C], other: _C | Source[_C]) -> bool:
        content = self._plain(other)
        return NotImplemented if content is None else self._snapshot() < content

    def __le__(self: Source[_C], other: _C | Source[_C]) -> bool:
        content = self._plain(other)
        return NotImplemented if content is None else self._snapshot() <= content

    def __gt__(self: Source[_C], other: _C | Source[_C]) -> bool:
        content = self._plain(other)
        return NotImplemented if content is None else self._snapshot() > content

    def __ge__(self: Source[_C], other: _C | Source[_C]) -> bool:
        content = self._plain(other)
        return NotImplemented if content is None else self._snapshot() >= content


class ListLike(Comparable):
    """What the list and those like it have in common: what the builtin does on a copy."""

    __slots__ = ()

    def __deepcopy__(self: Any, memo: dict[Any, Any]) -> Any:
        from copy import deepcopy

        me = mark(self)
        if me in memo:
            return memo[me]
        made = self._snapshot()
        items = list(made)
        made.clear()
        memo[me] = made
        made.extend(deepcopy(item, memo) for item in items)
        return made

    def index(
        self: Source[MutableSequence[_T]], value: _T, start: SupportsIndex = 0, stop: SupportsIndex = maxsize, /
    ) -> int:
        """The first place of `value`. Raises: ValueError if it is not there."""
        return self._snapshot().index(value, start, stop)  # type: ignore[arg-type]

    def count(self: Source[MutableSequence[_T]], value: _T, /) -> int:
        """How often `value` is there."""
        return self._snapshot().count(value)

    def __contains__(self: Any, value: object) -> bool:
        return value in self._snapshot()

    def __add__(self: Source[_C], other: _C | Source[_C]) -> _C:
        content = self._plain(other)
        return self._snapshot() + (other if content is None else content)  # type: ignore[no-any-return, operator]

    def __radd__(self: Source[_C], other: _C) -> _C:
        content = self._plain(other)
        return NotImplemented if content is None else content + self._snapshot()

    def __mul__(self: Source[_C], n: SupportsIndex) -> _C:
        return self._snapshot() * n  # type: ignore[no-any-return, operator]

    def __rmul__(self: Source[_C], n: SupportsIndex) -> _C:
        return n * self._snapshot()  # type: ignore[no-any-return, operator]

    # Both are inherited slots of sequences; __add__ and __mul__ here would come before them, and make plain copies.
    def __iadd__(self, other: Iterable[Any]) -> Self:  # type: ignore[misc]
        self.extend(other)  # type: ignore[attr-defined]
        return self

    def __imul__(self, n: SupportsIndex) -> Self:  # type: ignore[misc]
        return super().__imul__(n) if hasattr(n, "__index__") else NotImplemented  # type: ignore[misc]


class DictLike(Copied):
    """What the dict and the sorted one have in common."""

    __slots__ = ()

    def __deepcopy__(self: Any, memo: dict[Any, Any]) -> Any:
        from copy import deepcopy

        me = mark(self)
        if me in memo:
            return memo[me]
        made: dict[Any, Any] = {}
        memo[me] = made
        made.update((key, deepcopy(value, memo)) for key, value in self._snapshot().items())
        return made

    def _plain(self: Any, other: object, /) -> Any:
        if isinstance(other, DictLike):
            return other._snapshot()  # type: ignore[attr-defined]
        return other if isinstance(other, dict) else None

    def __or__(self: Source[_C], other: _C | Source[_C]) -> _C:
        content = self._plain(other)
        return NotImplemented if content is None else self._snapshot() | content

    def __ror__(self: Source[_C], other: _C | Source[_C]) -> _C:
        content = self._plain(other)
        return NotImplemented if content is None else content | self._snapshot()

    def __ior__(  # type: ignore[misc]
        self, other: Mapping[Any, Any] | Iterable[tuple[Any, Any]]
    ) -> Self:
        self.update(other)  # type: ignore[attr-defined]
        return self


class Dict(DictLike, _types.Dict[_K, _V]):
    """A dict in shared memory, with the methods and operators of the builtin.

    Args: as dict's. Made without a manager it lives in the process's default segment.
    Values are copied in and out; a shared container as a value is kept by reference. Every call is atomic.
    Source: `dict` of Python 3.14, and `multiprocessing.managers.DictProxy` for `keys`, `values`, `items`
    (lists), `repr` (names the object) and `str` (shows the contents).
    """

    __slots__ = ("__weakref__",)

    _typeid = "dict"

    @classmethod
    def fromkeys(cls, iterable: Iterable[_K], value: _V | None = None, /) -> Dict[_K, _V | None]:
        """A new one in the default segment, with each key of `iterable` set to `value`."""
        made: Dict[_K, _V | None] = cls()
        made.update(dict.fromkeys(iterable, value))
        return made

    def copy(self) -> dict[_K, _V]:
        """The contents as a plain dict."""
        return self._snapshot()


class List(ListLike, _types.List[_T]):
    """A list in shared memory, with the methods and operators of the builtin.

    Args: as list's. Made without a manager it lives in the process's default segment. Items are copied in and
    out; a shared container as an item is kept by reference. Every call is atomic; iteration goes by index, as
    the builtin's.
    Source: `list` of Python 3.14, and `multiprocessing.managers.ListProxy` for `repr` and `str`.
    """

    __slots__ = ("__weakref__",)

    _typeid = "list"

    def copy(self) -> list[_T]:
        """The contents as a plain list."""
        return self._snapshot()

    def remove(self, value: _T, /) -> None:
        """Take the first `value` out.

        Raises: ValueError if it is not there. Comparisons run in the caller, and again if the list was
        changed meanwhile.
        """
        tries = 0
        while True:
            version = self._version()
            items = self._snapshot()
            rest = items.copy()
            rest.remove(value)
            tries += 1
            if tries > _REMOVE_TRIES:
                if self._replace(rest, version):
                    return
                continue
            # The first item that differs in identity was removed; in a row of one object any will do.
            place = next((i for i, item in enumerate(rest) if items[i] is not item), len(rest))
            if self._remove_at(place, items[place]):
                return

    def sort(self, *, key: Callable[[_T], object] | None = None, reverse: bool = False) -> None:
        """Sort in place, stable, as one change for the others.

        Args: as list.sort's. `key` and comparisons run in the caller, nothing is locked meanwhile, and what
        another process changes meanwhile is kept: the sort starts anew. Where numbers, texts or bytes are
        sorted without a key and the others do not stop, they are made to wait in the end.
        Raises: ValueError if the list was changed each time, as by the key function; whatever `key` or a
        comparison raises, and then nothing has changed.
        """
        budget = _SORT_TRIES * max(1, len(self))
        while budget > 0:
            version = self._version()
            items = self._snapshot()
            budget -= max(1, len(items))
            items.sort(key=key, reverse=reverse)  # type: ignore[arg-type]
            if self._replace(items, version):
                return
        if key is None:
            with self.lock:
                version = self._version()
                items = self._snapshot()
                if _PLAIN.issuperset(map(type, items)):
                    items.sort(reverse=reverse)
                    self._replace(items, version)
                    return
        raise ValueError("list modified during sort")

    def __reversed__(self) -> Iterator[_T]:
        return self._walk(range(len(self) - 1, -1, -1))

    def _walk(self, places: range) -> Iterator[_T]:
        for place in places:
            try:
                item = self[place]
            except IndexError:
                return
            yield item

    def _plain(self, other: object, /) -> list[Any] | None:
        if isinstance(other, List):
            return other._snapshot()
        return other if isinstance(other, list) else None


class Value(Shared, _types.Value[_T]):
    """One value in shared memory, in `value`, or by `get()` and `set()`.

    Source: `multiprocessing.managers.ValueProxy`; `add` and `compare_exchange` are one step each.
    """

    __slots__ = ("__weakref__",)

    _typeid = "Value"

    def _getvalue(self) -> _T:
        return self.get()

    def _text(self) -> str:
        return f"Value({self.get()!r})"


class Namespace(Shared, _types.Namespace):
    """Attributes in shared memory. Names that begin with an underscore belong to this handle alone.

    Source: `multiprocessing.managers.NamespaceProxy`.
    """

    _typeid = "Namespace"

    def _getvalue(self) -> SimpleNamespace:
        return SimpleNamespace(**self._snapshot())

    def _text(self) -> str:
        shown = sorted(f"{name}={value!r}" for name, value in self._snapshot().items() if name[:1] != "_")
        return f"Namespace({', '.join(shown)})"


MutableMapping.register(Dict)
MutableSequence.register(List)
_types.register(_types.Dict, Dict)
_types.register(_types.List, List)
_types.register(_types.Value, Value)
_types.register(_types.Namespace, Namespace)
