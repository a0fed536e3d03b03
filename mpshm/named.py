"""Objects by name: how programs that know nothing else of each other get at the same object.

What stands here is mixed into every segment. An object is made whole, without a name, before it is entered under one in
a single step; so whoever finds it finds it complete, and a maker that dies leaves nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import _types
from .errors import SegmentExistsError

if TYPE_CHECKING:
    from .references import Scope
    from .segments import Segment

__all__ = ["Atomic", "Info", "Named", "Recipe", "handle_behind", "present", "recipe_for", "unique"]

Type = Any  # a class of mpshm, a dtype or what NumPy takes for one, a ctypes type, or `object`


class _Unique(Enum):
    UNIQUE = "unique"

    def __repr__(self) -> str:
        return "mpshm.unique"


unique: Final = _Unique.UNIQUE
"""Stands for the name of the only instance of a type."""

Name = str | _Unique


class Info(NamedTuple):
    """What is known of a named object.

    `kind`, "named" or "unique"; `type`, what it was made as, as text; `length`, its items (1 for what has none);
    `nbytes`, of its data, or, for a container, of its own block without what it refers to.
    """

    kind: str
    type: str
    length: int
    nbytes: int


class Recipe(NamedTuple):
    """How objects of one type are made in a segment, and shown when they are found."""

    text: str
    make: Callable[..., object]
    show: Callable[[_types.Handle], object]


# ---- types ----


def handle_behind(obj: object) -> _types.Handle:
    """The handle of a shared object, which an array or a ctypes object has inside. Raises: TypeError."""
    if isinstance(obj, _types.Handle):
        return obj
    for place in ("_raw", "_memory"):
        handle = getattr(obj, place, None)
        if isinstance(handle, _types.Handle):
            return handle
    raise TypeError(f"a shared object is needed, not {type(obj).__name__}")


def type_text(handle: _types.Handle) -> str:
    """What an object is, as text for people."""
    if isinstance(handle, _types.NDArray):
        from .ndarrays import description

        return str(description(handle)[0])
    return "bytes" if isinstance(handle, _types.Raw) else type(handle).__name__


def present(handle: _types.Handle) -> object:
    """The object behind a handle as programs see it: an array for an array's memory, else the handle."""
    if isinstance(handle, _types.NDArray):
        from .ndarrays import array_of

        return array_of(handle)
    return handle


def recipe_for(type_: Type) -> Recipe:
    """How to make and to show objects of a type. Raises: TypeError for what no type is that can be shared."""
    if type_ is object:
        return _recipe_of_values()
    if isinstance(type_, type) and issubclass(type_, _types.Handle):
        return _recipe_of_class(type_)
    if "ctypes" in sys.modules and _is_ctype(type_):
        return _recipe_of_ctype(type_)
    from .ndarrays import recipe_of_dtype

    return recipe_of_dtype(type_)


def _recipe_of_class(cls: Any) -> Recipe:
    if not hasattr(cls, "_make"):
        raise TypeError(f"{cls.__name__} objects cannot be constructed in a segment")

    def show(handle: _types.Handle) -> object:
        if not isinstance(handle, cls):
            raise TypeError(f"the object is a {type_text(handle)}, not a {cls.__name__}")
        return handle

    return Recipe(cls.__name__, cls._make, show)


def _recipe_of_values() -> Recipe:
    from .containers import Value

    return _recipe_of_class(Value)._replace(text="object")


def _is_ctype(type_: Type) -> bool:
    import ctypes

    kinds = ctypes.Structure, ctypes.Union, ctypes.Array, ctypes._SimpleCData
    return isinstance(type_, type) and issubclass(type_, kinds)


def _recipe_of_ctype(type_: Type) -> Recipe:
    from ctypes import sizeof

    from .sharedctypes import RawValue, _attach, _resolve

    real = _resolve(type_)
    text = f"{real.__module__}.{real.__qualname__}"

    def make(segment: Segment, *args: Any, **kwds: Any) -> object:
        made = RawValue(real, *args, segment=segment)
        for field, value in kwds.items():
            setattr(made, field, value)
        return made

    def show(handle: _types.Handle) -> object:
        if not isinstance(handle, _types.Raw) or isinstance(handle, _types.NDArray):
            raise TypeError(f"the object is a {type_text(handle)}, not a {text}")
        if handle.nbytes != sizeof(real):
            raise TypeError(f"the object is {handle.nbytes} bytes, not a {text}, which has {sizeof(real)}")
        return _attach(real, handle)

    return Recipe(text, make, show)


def _show(handle: _types.Handle, recipe: Recipe | None, name: object) -> object:
    """A found object as the type that was asked for. Raises: TypeError naming both types."""
    if recipe is not None:
        try:
            return recipe.show(handle)
        except TypeError as error:
            raise TypeError(f"{name!r}: {error}") from None
    if type(handle) is _types.Raw:
        raise TypeError(f"{name!r} is {handle.nbytes} bytes of a ctypes type: say which, as in find(name, type)")
    return present(handle)


# ---- names ----


def _key(name: Name, recipe: Recipe | None) -> str | bytes:
    """What the name is in the segment's table. Raises: TypeError, ValueError for what can't be one."""
    if name is unique:
        if recipe is None:
            raise TypeError("a unique instance is found by its type: give that, too")
        return recipe.text.encode()
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, or mpshm.unique, not {type(name).__name__}")
    if not name:
        raise ValueError("a name has at least one character")
    return str(name)


class Atomic:
    """`Segment.atomic()`: nobody else constructs, finds or destroys by name meanwhile."""

    __slots__ = ("_blocking", "_lock", "_segment", "_timeout")

    def __init__(self, segment: Segment, blocking: bool, timeout: float | None) -> None:
        self._segment = segment
        self._blocking = blocking
        self._timeout = timeout
        self._lock: list[_types.ObjectLock] = []

    def __enter__(self) -> Segment:
        lock = _names(self._segment).lock
        if not lock.acquire(self._blocking, self._timeout if self._blocking else None):
            raise TimeoutError(f"the names of {self._segment._name} are another's just now")
        self._lock.append(lock)
        return self._segment

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.pop().release()


def _names(segment: Segment) -> _types.Names:
    """The table of names, made if there is none yet."""
    names = _types.Names._of(segment, True)
    assert names is not None
    return names


def _taken(segment: Segment, recipe: Recipe, name: Name) -> SegmentExistsError:
    error = SegmentExistsError.because(
        f"cannot construct a {recipe.text} named {name!r} in {segment._name}: the name is taken",
        advice="Find the object of that name, destroy it, or choose another name",
    )
    assert isinstance(error, SegmentExistsError)
    return error


def _keys(names: _types.Names) -> list[str | bytes]:
    return names.keys()


class Named:
    """What a segment does with names."""

    __slots__ = ()

    def construct(self: Segment, type: Type, name: Name | None = None, *args: Any, **kwds: Any) -> Any:  # type: ignore[misc]
        """Make an object, and give it a name.

        Args: `type`, a container or synchronization class of mpshm, a NumPy dtype (with `shape=` and `order=`), a
        ctypes type, or `object` for any value that pickles; `name`, None for none, `mpshm.unique` for the only
        instance of the type; the rest as the type's own.
        Returns: the object. One with a name lives until it is destroyed; one without as long as anything refers to it.
        Raises: SegmentExistsError if the name is taken, also if that was so at the last moment; TypeError for another
        type; what the type raises; SegmentFullError; SegmentClosedError. Nothing is left of the object then.
        Source: Boost.Interprocess `segment_manager::construct`.
        """
        recipe = recipe_for(type)
        if name is None:
            return recipe.make(self, *args, **kwds)
        key, names = _key(name, recipe), _names(self)
        if key in names:
            raise _taken(self, recipe, name)
        made = recipe.make(self, *args, **kwds)
        if not names.enter(key, handle_behind(made)):
            raise _taken(self, recipe, name)
        return made

    def _enter(self: Segment, type: Type, name: Name, obj: object) -> None:  # type: ignore[misc]
        """Give an object, made as that type, a name. Raises: SegmentExistsError."""
        recipe = recipe_for(type)
        if not _names(self).enter(_key(name, recipe), handle_behind(obj)):
            raise _taken(self, recipe, name)

    def find(self: Segment, name: Name, type: Type = None) -> Any:  # type: ignore[misc]
        """The object of that name, or None.

        Args: `type`, what it is to be; needed for ctypes types and for `mpshm.unique`.
        Raises: TypeError naming both types if it is another.
        """
        recipe = None if type is None else recipe_for(type)
        key = _key(name, recipe)
        names = _types.Names._of(self, False)
        handle = None if names is None else names.find(key)
        return None if handle is None else _show(handle, recipe, name)

    def find_or_construct(self: Segment, type: Type, name: Name, *args: Any, **kwds: Any) -> Any:  # type: ignore[misc]
        """The object of that name, made if there is none. Of several that try at once, one makes it, and the others
        get that one.

        Raises: as construct and find, but never SegmentExistsError.
        """
        recipe = recipe_for(type)
        key, names = _key(name, recipe), _names(self)
        made = None
        while (handle := names.find(key)) is None:
            if made is None:
                made = recipe.make(self, *args, **kwds)
            if names.enter(key, handle_behind(made)):
                return made
        return _show(handle, recipe, name)

    def destroy(self: Segment, name: Name, type: Type = None) -> bool:  # type: ignore[misc]
        """Take a name away; the object goes with it, unless a handle in some process or a container still refers to it:
        then it lives until none does.

        Args: `type`, needed for `mpshm.unique`.
        Returns: whether there was such a name.
        """
        key = _key(name, None if type is None else recipe_for(type))
        names = _types.Names._of(self, False)
        return names is not None and names.remove(key)

    def destroy_object(self: Segment, obj: object) -> None:  # type: ignore[misc]
        """Take all names of an object away, and what the segment itself counts of it; the object goes with its last
        handle.

        Raises: TypeError for what is not shared; ValueError for an object of another segment.
        """
        handle = handle_behind(obj)
        names = _types.Names._of(self, False)
        while names is not None and (key := names.name_of(handle)) is not None:
            names.remove_of(key, handle)
        if _types.is_allocation(handle):
            _types.deallocate(self, (_types.number_of(handle),))

    def scoped(self: Segment, type: Type, *args: Any, **kwds: Any) -> Scope:  # type: ignore[misc]
        """A context manager that makes an object on entering and destroys it on leaving, unless its `keep()` was
        called.

        Source: Boost.Interprocess `scoped_ptr`.
        """
        from .references import Scope

        return Scope(self, type, args, kwds)

    def __getitem__(self: Segment, name: str) -> Any:  # type: ignore[misc]
        found = self.find(name)
        if found is None:
            raise KeyError(name)
        return found

    def __delitem__(self: Segment, name: str) -> None:  # type: ignore[misc]
        if not self.destroy(name):
            raise KeyError(name)

    def __contains__(self: Segment, name: object) -> bool:  # type: ignore[misc]
        if not isinstance(name, str) or not name:
            return False
        names = _types.Names._of(self, False)
        return names is not None and str(name) in names

    def __len__(self: Segment) -> int:  # type: ignore[misc]
        return len(self.names())

    def __bool__(self) -> bool:
        return True

    def __iter__(self: Segment) -> Iterator[str]:  # type: ignore[misc]
        return iter(self.names())

    def names(self: Segment) -> list[str]:  # type: ignore[misc]
        """All names at this moment, the oldest first; not those of unique instances."""
        names = _types.Names._of(self, False)
        return [] if names is None else [key for key in _keys(names) if isinstance(key, str)]

    def unique_types(self: Segment) -> list[str]:  # type: ignore[misc]
        """The types that have a unique instance at this moment, as text."""
        names = _types.Names._of(self, False)
        return [] if names is None else [key.decode() for key in _keys(names) if isinstance(key, bytes)]

    def items(self: Segment) -> list[tuple[str, Any]]:  # type: ignore[misc]
        """All names and their objects at this moment; of a ctypes object its bytes, as a buffer."""
        names = _types.Names._of(self, False)
        pairs = [] if names is None else names.items()
        return [(key, present(handle)) for key, handle in pairs if isinstance(key, str)]

    def name_of(self: Segment, obj: object) -> Name | None:  # type: ignore[misc]
        """The name of an object, the oldest if it has several; None if it has none."""
        handle = handle_behind(obj)
        names = _types.Names._of(self, False)
        key = None if names is None else names.name_of(handle)
        return unique if isinstance(key, bytes) else key

    def kind_of(self: Segment, obj: object) -> str:  # type: ignore[misc]
        """How an object was made: "named", "unique" or "anonymous"."""
        name = self.name_of(obj)
        return "anonymous" if name is None else "unique" if name is unique else "named"

    def info(self: Segment, name: Name, type: Type = None) -> Info:  # type: ignore[misc]
        """What is known of the object of that name.

        Args: as find's.
        Raises: KeyError if there is none.
        """
        key = _key(name, None if type is None else recipe_for(type))
        names = _types.Names._of(self, False)
        handle = None if names is None else names.find(key)
        if handle is None:
            raise KeyError(name)
        shown = present(handle)
        if isinstance(handle, _types.Raw):
            nbytes, length = handle.nbytes, int(getattr(shown, "size", handle.nbytes))
        else:
            nbytes, length = _types.block_size(handle), len(shown) if hasattr(shown, "__len__") else 1
        return Info("unique" if isinstance(key, bytes) else "named", type_text(handle), length, nbytes)

    def reserve_names(self: Segment, n: int) -> None:  # type: ignore[misc]
        """Make room for `n` names in all, so that none of them takes more memory for the table of names.

        Raises: ValueError for a negative number; SegmentFullError.
        """
        if n < 0:
            raise ValueError(f"a number of names is at least 0, not {n}")
        _names(self).reserve(n)

    def atomic(self: Segment, blocking: bool = True, timeout: float | None = None) -> Atomic:  # type: ignore[misc]
        """A context manager: while it is entered, no other thread or process constructs, finds or destroys by name;
        they wait; `names()`, `items()` and `len()` do not. The same thread may enter it again. When its holder dies,
        the next one goes on.

        Args: `blocking`, whether to wait; `timeout`, in seconds, None for ever.
        Raises: on entering, TimeoutError if it is another's.
        """
        return Atomic(self, blocking, timeout)
