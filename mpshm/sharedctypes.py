"""ctypes objects in shared memory: `Value`, `Array`, `RawValue`, `RawArray`.

A raw object is an instance of a ctypes type whose memory is a Raw (a handle on bytes in a segment). Its class is a
subclass made here, one for each type, that looks like it and differs in one thing: pickling gives the same memory
instead of a copy, under every start method, through queues, in shared containers, and with plain `pickle`.

`Value` and `Array` put a lock beside it, and add to numbers in one step.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from multiprocessing import sharedctypes as stdlib
from sys import byteorder
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakKeyDictionary, ref

from . import _types, sync
from .errors import SegmentPermissionError
from .segments import Segment

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

__all__ = [
    "Array",
    "RawArray",
    "RawValue",
    "Synchronized",
    "SynchronizedArray",
    "SynchronizedBase",
    "SynchronizedString",
    "Value",
    "copy",
    "synchronized",
]

CType = Any  # a ctypes type, or what is made of one: typeshed has no public name for either

make_property = stdlib.make_property  # type: ignore[attr-defined]
typecode_to_type: dict[str, CType] = dict(stdlib.typecode_to_type)  # type: ignore[attr-defined]

# Under this name a ctypes type has the one of the other byte order.
_SWAPPED = "__ctype_be__" if byteorder == "little" else "__ctype_le__"
# What a raw object's class has of _InSharedMemory, besides names of one underscore.
_PICKLED_BY = frozenset({"__reduce_ex__", "__reduce__", "__copy__", "__deepcopy__"})

# A type -> the class of its raw objects, which is kept by those; the classes of the typecodes are kept for good.
_classes: WeakKeyDictionary[CType, ref[CType]] = WeakKeyDictionary()
_kept: list[CType] = []

# A Structure or Union -> the class that wraps it.
_wrappers: WeakKeyDictionary[CType, type[SynchronizedBase]] = WeakKeyDictionary()


class Acquirable(Protocol):
    """Whatever can be the lock of a Value."""

    def acquire(self) -> Any: ...
    def release(self) -> Any: ...
    def __enter__(self) -> Any: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> Any: ...


# ---- raw objects ----


class _InSharedMemory:
    """What the classes of raw objects have beyond the ctypes type."""

    _ctype: CType
    _raw: _types.Raw

    def __reduce_ex__(self, protocol: object = 4) -> tuple[object, ...]:
        return _rebuild, (*_type_parts(self._ctype), self._raw)

    def __reduce__(self) -> tuple[object, ...]:
        return self.__reduce_ex__()

    def __copy__(self) -> CType:
        return self._ctype.from_buffer_copy(self)

    def __deepcopy__(self, memo: dict[int, object]) -> CType:
        return self.__copy__()


def _show_simple(self: CType) -> str:
    return f"{type(self).__name__}({self.value!r})"


def _class_of(type_: CType) -> CType:
    """The class of the raw objects of a ctypes type."""
    known = _classes.get(type_)
    found = None if known is None else known()
    if found is not None:
        return found
    content: dict[str, object] = {
        name: value for name, value in vars(_InSharedMemory).items() if name[:2] != "__" or name in _PICKLED_BY
    }
    content |= {"_ctype": type_, "__module__": type_.__module__, "__qualname__": type_.__qualname__}
    content["__doc__"] = type_.__doc__
    if type_.__base__ is ctypes._SimpleCData:
        content["__repr__"] = _show_simple
    made: CType = type(type_)(type_.__name__, (type_,), content)
    other: CType = getattr(type_, _SWAPPED, None)
    swapped: CType = getattr(made, _SWAPPED, None)
    if other is type_ and swapped is not type_:  # (of one byte, each order is the other)
        made = swapped  # a subclass of it is native again, but ctypes makes one of its byte order beside that
        made.__name__ = type_.__name__
    _classes[type_] = ref(made)
    return made


def _resolve(typecode_or_type: CType) -> CType:
    """The ctypes type that a caller means."""
    type_ = typecode_to_type.get(typecode_or_type, typecode_or_type)
    return vars(type_).get("_ctype", type_) if isinstance(type_, type) else type_


def _attach(type_: CType, raw: _types.Raw) -> CType:
    """The object of that type in that memory. Raises: SegmentPermissionError where nothing may be written."""
    try:
        made = _class_of(type_).from_buffer(raw)
    except TypeError:
        if not memoryview(raw).readonly:
            raise
        raise SegmentPermissionError.because(
            f"cannot show a {type_.__name__} of {raw._segment._name}: ctypes objects can be written to, and the "
            "segment is read-only",
            advice="Read its bytes, as bytes(dict(segment.items())[name]), or open the segment with mode 'r+' or 'c'",
        ) from None
    made._raw = raw
    return made


def _new(type_: CType, segment: Segment | None) -> CType:
    """A new object, all zero."""
    return _attach(type_, _types.Raw._sized(segment, ctypes.sizeof(type_)))


def _type_parts(type_: CType) -> tuple[CType, tuple[int, ...]]:
    """A type as pickle can take it: what an array is made of, and its lengths, the innermost first."""
    lengths: list[int] = []
    while getattr(type_, "__base__", None) is ctypes.Array:
        lengths.append(type_._length_)
        type_ = type_._type_
    return type_, tuple(reversed(lengths))


def _rebuild(type_: CType, lengths: tuple[int, ...], raw: _types.Raw) -> CType:
    for length in lengths:
        type_ = type_ * length
    return _attach(type_, raw)


def RawValue(typecode_or_type: CType, *args: Any, segment: Segment | None = None) -> CType:  # noqa: N802
    """A ctypes object in shared memory, without a lock.

    Args: `typecode_or_type`, a ctypes type or one of the characters ``c u b B h H i I l L q Q f d``; `args`, as
    that type's own; `segment`, where it is made (default: the process's default segment).
    Returns: an instance of the type. Every process that it is handed to sees the same memory, which lives as long
    as any of them has it.
    Raises: TypeError for what is no ctypes type; what the type raises; SegmentFullError.
    Source: `multiprocessing.sharedctypes.RawValue`.
    """
    made = _new(_resolve(typecode_or_type), segment)
    made.__init__(*args)
    return made


def RawArray(  # noqa: N802
    typecode_or_type: CType, size_or_initializer: int | Sequence[Any], *, segment: Segment | None = None
) -> CType:
    """A ctypes array in shared memory, without a lock.

    Args: as RawValue's, of its items; `size_or_initializer`, how many, all zero, or the items themselves.
    Returns, Raises: as RawValue; ValueError for a negative number.
    Source: `multiprocessing.sharedctypes.RawArray`.
    """
    type_ = _resolve(typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new(type_ * size_or_initializer, segment)
    made = _new(type_ * len(size_or_initializer), segment)
    made.__init__(*size_or_initializer)
    return made


def copy(obj: CType) -> CType:
    """A new raw object, in the default segment, of the type and with the content of a ctypes object.

    Source: `multiprocessing.sharedctypes.copy`.
    """
    made = _new(_resolve(type(obj)), None)
    ctypes.memmove(ctypes.addressof(made), ctypes.addressof(obj), ctypes.sizeof(obj))
    return made


# ---- with a lock ----


class SynchronizedBase(stdlib.SynchronizedBase):  # type: ignore[type-arg]
    """A ctypes object and its lock. Pickling gives the same memory and the same lock.

    Source: `multiprocessing.sharedctypes.SynchronizedBase`.
    """

    def __init__(self, obj: CType, lock: Acquirable | None = None, ctx: BaseContext | None = None) -> None:
        super().__init__(obj, lock or _new_lock(ctx, None), ctx)  # type: ignore[arg-type]

    def __reduce__(self) -> tuple[Any, ...]:
        return synchronized, (self.get_obj(), self.get_lock())


class Synchronized(_types.Adder, SynchronizedBase, stdlib.Synchronized):  # type: ignore[type-arg]
    """One value: `value` reads and writes it under the lock, `add` adds to it in one step."""

    def __init__(self, obj: CType, lock: Acquirable | None = None, ctx: BaseContext | None = None) -> None:
        super().__init__(obj, lock, ctx)
        self._bind(obj, self.get_lock())


class SynchronizedArray(_types.ArrayAdder, SynchronizedBase, stdlib.SynchronizedArray):  # type: ignore[type-arg]
    """Items: each is read and written under the lock, as is a slice; `add` adds to one in one step."""

    def __init__(self, obj: CType, lock: Acquirable | None = None, ctx: BaseContext | None = None) -> None:
        super().__init__(obj, lock, ctx)
        self._bind(obj, self.get_lock())


class SynchronizedString(SynchronizedArray, stdlib.SynchronizedString):
    """Characters, also as `value` (up to the first zero) and as `raw`."""


def _new_lock(ctx: BaseContext | None, segment: Segment | None) -> Acquirable:
    if ctx is not None:
        return ctx.RLock()
    return sync.RLock() if segment is None else sync.RLock._in(segment)


def _lock_for(lock: Acquirable | bool | None, ctx: BaseContext | None, segment: Segment | None) -> Acquirable:
    """The lock that a caller means. Raises: AttributeError for what is none."""
    if lock in (True, None):
        return _new_lock(ctx, segment)
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return lock  # type: ignore[return-value]


def Value(  # noqa: N802
    typecode_or_type: CType,
    *args: Any,
    lock: Acquirable | bool | None = True,
    ctx: BaseContext | None = None,
    segment: Segment | None = None,
) -> CType:
    """A ctypes object in shared memory, with a lock.

    Args: as RawValue's; `lock`, True for a new RLock, False for none, or a lock; `ctx`, where a new lock comes from
    (default: mpshm's own).
    Returns: a Synchronized, or what wraps a structure in the same way; with `lock=False` a raw object.
    Raises: as RawValue; AttributeError for a lock that can't be acquired.
    Source: `multiprocessing.sharedctypes.Value`.
    """
    obj = RawValue(typecode_or_type, *args, segment=segment)
    return obj if lock is False else synchronized(obj, _lock_for(lock, ctx, segment))


def Array(  # noqa: N802
    typecode_or_type: CType,
    size_or_initializer: int | Sequence[Any],
    *,
    lock: Acquirable | bool | None = True,
    ctx: BaseContext | None = None,
    segment: Segment | None = None,
) -> CType:
    """A ctypes array in shared memory, with a lock.

    Args: as RawArray's and Value's.
    Returns: a SynchronizedArray, or for ``'c'`` a SynchronizedString; with `lock=False` a raw array.
    Raises: as RawArray; AttributeError for a lock that can't be acquired.
    Source: `multiprocessing.sharedctypes.Array`.
    """
    obj = RawArray(typecode_or_type, size_or_initializer, segment=segment)
    return obj if lock is False else synchronized(obj, _lock_for(lock, ctx, segment))


def synchronized(obj: CType, lock: Acquirable | None = None, ctx: BaseContext | None = None) -> SynchronizedBase:
    """What puts a lock (default: a new RLock) before a ctypes object.

    Raises: AssertionError if it has one already. Source: `multiprocessing.sharedctypes.synchronized`.
    """
    assert not isinstance(obj, stdlib.SynchronizedBase), "object already synchronized"
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock, ctx)
    if isinstance(obj, ctypes.Array):
        wrapper = SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray
        return wrapper(obj, lock, ctx)
    return _wrapper_of(_resolve(type(obj)))(obj, lock, ctx)


def _wrapper_of(type_: CType) -> type[SynchronizedBase]:
    """The class whose properties are a structure's fields, each read and written under the lock."""
    made = _wrappers.get(type_)
    if made is None:
        fields = {field[0]: make_property(field[0]) for field in type_._fields_}
        made = _wrappers[type_] = type("Synchronized" + type_.__name__, (SynchronizedBase,), fields)
    return made


Synchronized._own()
SynchronizedArray._own()
SynchronizedString._own()
_kept.extend(map(_class_of, dict.fromkeys(typecode_to_type.values())))
