"""References beyond handles: ones that keep nothing alive, ones that only one can have, and some for a while only."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import _types
from .errors import SegmentClosedError
from .named import Name, handle_behind, present

if TYPE_CHECKING:
    from .segments import Segment

__all__ = ["Scope", "UniqueRef", "WeakRef"]

_T = TypeVar("_T")

# What is needed to show a ctypes object again: what an array is made of, and its lengths.
_CType = tuple[Any, tuple[int, ...]]


class WeakRef(Generic[_T]):
    """A reference that does not keep the object alive. It can be sent to other processes and stored in containers.

    Args: `obj`, a shared object, an array or a ctypes object in a segment.
    Raises: TypeError for what is not shared.
    Source: `weakref.ref`; Boost.Interprocess `weak_ptr`.
    """

    __slots__ = ("_ctype", "_offset", "_segment", "_serial")

    _segment: Segment
    _offset: int
    _serial: int
    _ctype: _CType | None

    def __init__(self, obj: _T) -> None:
        handle = handle_behind(obj)
        self._segment, self._offset, self._serial = handle._segment, handle._offset, handle._serial
        self._ctype = None
        if obj is not handle and type(handle) is _types.Raw:
            from .sharedctypes import _resolve, _type_parts

            self._ctype = _type_parts(_resolve(type(obj)))

    def __call__(self) -> _T | None:
        """The object, or None once it is gone.

        Raises: SegmentClosedError.
        """
        try:
            handle = _types.attach(self._segment, self._offset, self._serial, 0)
        except ReferenceError:
            return None
        if self._ctype is not None:
            from .sharedctypes import _rebuild

            return _rebuild(*self._ctype, handle)  # type: ignore[no-any-return, arg-type]
        return present(handle)  # type: ignore[return-value]

    @property
    def alive(self) -> bool:
        """Whether the object is there still; another process may drop it at the next moment."""
        try:
            return self() is not None
        except SegmentClosedError:
            return False

    def _place(self) -> tuple[bytes, int, int]:
        return self._segment.id, self._offset, self._serial

    def __eq__(self, other: object) -> bool:
        return self._place() == other._place() if isinstance(other, WeakRef) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._place())

    def __repr__(self) -> str:
        return f"<mpshm.WeakRef of an object of {self._segment._name}, {'alive' if self.alive else 'gone'}>"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_weak, (self._segment, self._offset, self._serial, self._ctype)


def _rebuild_weak(segment: Segment, offset: int, serial: int, ctype: _CType | None) -> WeakRef[Any]:
    made: WeakRef[Any] = WeakRef.__new__(WeakRef)
    made._segment, made._offset, made._serial, made._ctype = segment, offset, serial, ctype
    return made


class UniqueRef(Generic[_T]):
    """The only owner of an object: it can be moved, not copied. When it goes, so does the object, if nobody else was
    given it.

    Args: `obj`, a shared object.
    Source: Boost.Interprocess `unique_ptr`.
    """

    __slots__ = ("_held",)

    def __init__(self, obj: _T) -> None:
        handle_behind(obj)
        self._held = [obj]

    def __call__(self) -> _T:
        """The object. Raises: ReferenceError if it was moved away."""
        if not self._held:
            raise ReferenceError("the object was moved away from this UniqueRef")
        return self._held[0]

    def __bool__(self) -> bool:
        return bool(self._held)

    def release(self) -> _T:
        """Give the object up to the caller. Raises: ReferenceError if it was moved away before."""
        obj = self()
        self._held.clear()
        return obj

    def reset(self) -> None:
        """Destroy the object, its names included."""
        if self._held:
            obj = self.release()
            handle_behind(obj)._segment.destroy_object(obj)

    def move_to(self, target: Any, key: Any = None) -> None:
        """Move the object into a shared container: under `key`, or by its `put`, `append` or `add`; into another empty
        UniqueRef, too. It stays here if that fails.

        Raises: ReferenceError if it was moved away before; TypeError for a target that takes nothing; what the target
        raises.
        """
        obj = self()
        if isinstance(target, UniqueRef):
            if target:
                raise ValueError("the target UniqueRef has an object already")
            target._held.append(obj)
        elif key is not None:
            target[key] = obj
        else:
            put = next((found for name in ("put", "append", "add") if (found := getattr(target, name, None))), None)
            if put is None:
                raise TypeError(f"a {type(target).__name__} takes an object under a key only")
            put(obj)
        self._held.clear()

    def __copy__(self) -> UniqueRef[_T]:
        raise TypeError("a UniqueRef cannot be copied: use move_to()")

    def __deepcopy__(self, memo: dict[int, object]) -> UniqueRef[_T]:
        raise TypeError("a UniqueRef cannot be copied: use move_to()")

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a UniqueRef cannot be sent as a copy: use move_to(), as into a queue")


class Scope:
    """`Segment.scoped()`: an object for the length of a with block.

    Entered, it gives the object. On leaving, also by an exception, the object is destroyed, unless `keep()` was called.
    """

    __slots__ = ("_args", "_kept", "_kwds", "_made", "_segment", "_type")

    def __init__(self, segment: Segment, type: Any, args: tuple[Any, ...], kwds: dict[str, Any]) -> None:
        self._segment = segment
        self._type = type
        self._args = args
        self._kwds = kwds
        self._made: list[Any] = []
        self._kept = False

    def __enter__(self) -> Any:
        if self._made:
            raise RuntimeError("this scope is entered already")
        self._made.append(self._segment.construct(self._type, None, *self._args, **self._kwds))
        self._kept = False
        return self._made[0]

    def keep(self, name: Name | None = None) -> None:
        """Do not destroy the object on leaving; give it a name, if one is given.

        Raises: SegmentExistsError if the name is taken: the object is not kept then; RuntimeError outside of the block.
        """
        if not self._made:
            raise RuntimeError("there is nothing to keep outside of the with block")
        if name is not None:
            self._segment._enter(self._type, name, self._made[0])
        self._kept = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        made = self._made.pop()
        if not self._kept:
            self._segment.destroy_object(made)
