"""Arrays of NumPy whose memory is shared. Imported when the first one is made or found, since it brings NumPy in."""

from __future__ import annotations

from ast import literal_eval
from math import prod
from operator import index
from sys import maxsize
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from . import _types, segments
from .errors import SegmentCorruptedError, SegmentFullError
from .named import Recipe, type_text
from .ndarrays_dtypes import read, shareable, written

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, DTypeLike

    from .managers import BaseManager
    from .segments import Segment

    _ShapeLike = SupportsIndex | Sequence[SupportsIndex]
    _Plain = np.ndarray[Any, Any]

__all__ = ["SharedArray", "array_of", "asarray", "description", "ndarray", "recipe_of_dtype"]

_Shape = tuple[int, ...]
_BUILTINS = (bool, int, float, complex)
_SCALARS = int(np.__version__.partition(".")[0]) < 2  # whether __array_wrap__ has to see for itself to scalars

# Kinds of dtypes of which every byte is written when an item is; but the long ones have bytes that say nothing.
_DENSE = "biufcmMSU"
_LOOSE = "gG"

# What is wrong with a note that was not written by us.
_WRONG = ValueError, TypeError, SyntaxError, MemoryError, RecursionError, KeyError, OverflowError, Warning


def _on_plain(name: str) -> Callable[..., Any]:
    """A method whose result never is in the shared memory, and so is an ordinary array."""
    plain = getattr(np.ndarray, name)

    def method(self: SharedArray, *args: Any, **kwds: Any) -> Any:
        return plain(self.view(np.ndarray), *args, **kwds)

    method.__name__, method.__qualname__, method.__doc__ = name, f"SharedArray.{name}", plain.__doc__
    return method


class SharedArray(np.ndarray[Any, Any]):
    """An array of NumPy in shared memory.

    Args: as `mpshm.ndarray`'s; it lives in the process's default segment.
    Slices, reshapes, transposes and other views are such arrays, too, and pickling one gives the same memory. What is
    computed from one is an ordinary array, and so are copies. The memory lives as long as an array on it in any
    process does, or a container that holds one, or its name. Nothing guards single items.
    Source: `numpy.memmap`.
    """

    # Less than an ordinary array's: what is made of several arrays is one of those.
    __array_priority__ = -100.0

    def __new__(cls, shape: _ShapeLike, dtype: DTypeLike = float, order: str = "C", fill: object = None) -> SharedArray:
        made = _make(segments.default_segment(), dtype, shape, order, fill)
        return made if cls is SharedArray else made.view(cls)

    @property
    def _memory(self) -> _types.NDArray | None:
        """What it is a view on; None for an array in memory of its own."""
        return _memory_under(self)

    @property
    def segment(self) -> Segment | None:
        """The segment that it is in; None for an array in memory of its own, as `a[[0, 2]]` is."""
        memory = _memory_under(self)
        return None if memory is None else memory._segment

    def flush(self) -> None:
        """See to it that what was written to the memory that this is a view on is on the disk, if it is in a file; all
        of it, and nothing else of the segment.

        Raises: SegmentSystemError, SegmentFullError if the disk does not take it.
        Source: `numpy.memmap.flush`.
        """
        memory = _memory_under(self)
        if memory is not None:
            memory._flush()

    def __repr__(self) -> str:
        return np.array_repr(self if _memory_under(self) is not None else self.view(np.ndarray))

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = _SCALARS) -> Any:
        if array is self:
            return array
        if array.base is not None and _memory_under(array) is not None:  # a view, as squeeze() makes one
            return array.view(type(self))
        plain = array.view(np.ndarray)
        return plain[()] if return_scalar and plain.ndim == 0 else plain

    copy = _on_plain("copy")
    flatten = _on_plain("flatten")
    take = _on_plain("take")
    repeat = _on_plain("repeat")
    compress = _on_plain("compress")
    choose = _on_plain("choose")
    dot = _on_plain("dot")
    __copy__ = _on_plain("__copy__")
    __deepcopy__ = _on_plain("__deepcopy__")

    def astype(self, *args: Any, **kwds: Any) -> Any:
        """As `ndarray.astype`: an ordinary array, or this one where no copy is needed nor wanted."""
        plain = self.view(np.ndarray)
        made = plain.astype(*args, **kwds)
        return self if made is plain else made

    def __reduce_ex__(self, protocol: Any) -> Any:
        memory = _memory_under(self)
        if memory is None:
            return self.view(np.ndarray).__reduce_ex__(protocol)
        offset = _address_of(self) - _address_of(np.frombuffer(memoryview(memory), np.uint8)) if self.size else 0
        dtype = self.dtype
        short = dtype.names is None and dtype.subdtype is None and np.dtype(dtype.str) == dtype
        form = dtype.str if short else dtype
        return _rebuild, (memory, form, self.shape, self.strides, offset, self.flags.writeable)

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)


def _address_of(array: _Plain) -> int:
    address: int = array.__array_interface__["data"][0]
    return address


def _memory_under(obj: object) -> _types.NDArray | None:
    """The shared memory that an array is a view on, through however many other views; None if it is on none."""
    while obj is not None and not isinstance(obj, _types.NDArray):
        obj = obj.obj if isinstance(obj, memoryview) else getattr(obj, "base", None)
    return obj


def _on(memory: _types.NDArray, shape: _Shape, dtype: np.dtype[Any], **where: Any) -> SharedArray:
    return np.ndarray.__new__(SharedArray, shape, dtype, memoryview(memory), **where)


def _rebuild(
    memory: _types.NDArray, form: DTypeLike, shape: _Shape, strides: _Shape, offset: int, writeable: bool
) -> SharedArray:
    made = _on(memory, shape, np.dtype(form), offset=offset, strides=strides if prod(shape) else None)
    if not writeable:
        made.flags.writeable = False
    return made


# ---- what a segment says of an array ----


def _note(dtype: np.dtype[Any], shape: _Shape, order: str) -> bytes:
    return repr((written(dtype), shape, order)).encode("ascii", "backslashreplace")


def _described(memory: _types.NDArray) -> tuple[np.dtype[Any], _Shape, Literal["C", "F"]]:
    text, shape, order = literal_eval(memory._note.decode("ascii"))
    dtype = shareable(read(text))
    shape = tuple(map(index, shape))
    if order not in ("C", "F") or min(shape, default=0) < 0 or prod(shape) * dtype.itemsize > memory.nbytes:
        raise ValueError
    return dtype, shape, order


def _senseless(memory: _types.NDArray) -> Exception:
    return SegmentCorruptedError.because(f"the note of an array of {memory._segment._name} makes no sense")


def description(memory: _types.NDArray) -> tuple[np.dtype[Any], _Shape, Literal["C", "F"]]:
    """Type, shape and order of the array that was made there. Raises: SegmentCorruptedError."""
    try:
        return _described(memory)
    except _WRONG:
        raise _senseless(memory) from None


def array_of(memory: _types.NDArray) -> SharedArray:
    """The array that was made there. Raises: SegmentCorruptedError."""
    try:
        dtype, shape, order = _described(memory)
        return _on(memory, shape, dtype, order=order)
    except _WRONG:
        raise _senseless(memory) from None


# ---- making ----


def _order(order: object, *others: str) -> str:
    """C or F, or one of `others`, in either case. Raises: TypeError, ValueError."""
    if not isinstance(order, str):
        raise TypeError(f"order must be str, not {type(order).__name__}")
    known = ("C", "F", *others)
    if order.upper() not in known:
        raise ValueError(f"order must be one of {', '.join(map(repr, known))} (got {order!r})")
    return order.upper()


def _sizes(shape: Any) -> _Shape:
    """A shape as a tuple. Raises: TypeError, ValueError as NumPy does."""
    try:
        sizes = (index(shape),) if hasattr(shape, "__index__") else tuple(map(index, shape))
    except TypeError:
        what = f"shape must be an integer or a sequence of integers, not {shape!r}"
        raise TypeError(what) from None
    if min(sizes, default=0) < 0:
        raise ValueError(f"negative dimensions are not allowed: shape is {sizes}")
    return sizes


def _fixed(dtype: np.dtype[Any], value: object) -> np.dtype[Any]:
    """The dtype with a length, where it leaves that open ('S', 'U'): that of the value, or 1, as NumPy has it."""
    if dtype.itemsize or dtype.names is not None or dtype.subdtype is not None:
        return dtype
    return np.empty(0, dtype).dtype if value is None else np.asarray(value, dtype).dtype


def _is_dense(dtype: np.dtype[Any]) -> bool:
    """Whether every byte is written when an item is."""
    return dtype.kind in _DENSE and dtype.char not in _LOOSE


def _new(segment: Segment, dtype: np.dtype[Any], shape: _Shape, order: str, zero: bool) -> SharedArray:
    """A new array. Args: `zero`: whether it is all zero; else its bytes are anything."""
    nbytes = prod(shape) * dtype.itemsize
    if nbytes > maxsize:
        raise ValueError(f"array is too big: shape {shape} and dtype {dtype} make {nbytes} bytes")
    try:
        memory = _types.NDArray._noted(segment, nbytes, _note(dtype, shape, order), zero)
    except SegmentFullError as error:
        what = f"cannot make an array of shape {shape} and dtype {dtype}, {nbytes} bytes, in {segment._name}"
        raise SegmentFullError.because(what, status=error.status, errno=error.errno) from None
    return _on(memory, shape, dtype, order=order)


def _make(segment: Segment, dtype: DTypeLike, shape: Any, order: object, fill: object) -> SharedArray:
    layout, sizes = _order(order), _sizes(shape)
    form = _fixed(shareable(np.dtype(dtype)), fill)
    while form.subdtype is not None:
        form, inner = form.subdtype
        sizes += inner
    made = _new(segment, form, sizes, layout, fill is None or not _is_dense(form))
    if fill is not None:
        made[...] = fill
    return made


def _bytes_of(array: _Plain) -> _Plain:
    """All bytes of an array that has no gaps, in their order."""
    return array.view(np.ndarray).reshape(-1, order="A").view(np.uint8)


def _share(segment: Segment, source: _Plain, dtype: np.dtype[Any], layout: str) -> SharedArray:
    """A copy of an array."""
    flags = source.flags
    if layout in ("K", "A"):
        layout = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    same = source.dtype == dtype and (flags.c_contiguous if layout == "C" else flags.f_contiguous)
    made = _new(segment, dtype, source.shape, layout, not same and not _is_dense(dtype))
    if not same:
        made[...] = source
    elif source.nbytes:
        _bytes_of(made)[:] = _bytes_of(source)  # those between the fields, too
    return made


def _plainly(content: object, dtype: np.dtype[Any] | None) -> tuple[_Plain, np.dtype[Any]]:
    """What NumPy makes of it, and the dtype that is wanted: an array is converted later, while it is copied."""
    simple = dtype is None or (dtype.subdtype is None and (dtype.itemsize > 0 or dtype.names is not None))
    source = np.asarray(content) if simple and isinstance(content, np.ndarray) else np.asarray(content, dtype)
    return source, source.dtype if dtype is None or not simple else dtype


def ndarray(shape: _ShapeLike, dtype: DTypeLike = float, order: str = "C", fill: object = None) -> SharedArray:
    """Make an array in the process's default segment.

    Args: `shape`, an int or ints; `dtype`, what NumPy takes for one, but not one of Python objects; `order`, "C" or
    "F"; `fill`, what to fill it with, anything that can be broadcast to the shape; None for zeros.
    Returns: the array, which this and all other processes that get it may write to.
    Raises: TypeError, ValueError for bad arguments; SegmentFullError.
    Source: `numpy.zeros`, `numpy.full`.
    """
    return _make(segments.default_segment(), dtype, shape, order, fill)


def ndarray_in(segment: Segment, shape: Any, dtype: DTypeLike, order: object, fill: object) -> SharedArray:
    """The same in another segment."""
    return _make(segment, dtype, shape, order, fill)


def asarray(
    obj: ArrayLike,
    dtype: DTypeLike | None = None,
    order: str | None = None,
    *,
    segment: Segment | None = None,
    manager: BaseManager | None = None,
) -> SharedArray:
    """The array in shared memory: itself if it is there, else a copy.

    Args: `obj`, an array or what NumPy makes one of; `dtype`, None for its own; `order`, "C", "F", or "K" and "A"
    (and None) for the one that it has; `segment` or `manager`, where it is to be: None for where it is, or the
    process's default segment.
    Returns: `obj` itself if it is a SharedArray of that dtype, order and segment; a view on the same memory if it is
    an ordinary array on such memory; else a new array, into which `obj` is copied once.
    Raises: TypeError for a dtype that cannot be shared, what is no segment, or both a segment and a manager; what NumPy
    raises for `obj`; SegmentFullError.
    Source: `numpy.asarray`.
    """
    if manager is not None:
        if segment is not None:
            raise TypeError("give a segment or a manager, not both")
        segment = manager._usable()
    elif segment is not None and not isinstance(segment, segments.Segment):
        raise TypeError(f"segment must be a segment, not {type(segment).__name__}")
    layout = "K" if order is None else _order(order, "A", "K")
    source, form = _plainly(obj, None if dtype is None else shareable(np.dtype(dtype)))
    memory = _memory_under(source)
    if memory is not None and source.dtype == form:
        fits = layout in ("K", "A") or source.flags["F_CONTIGUOUS" if layout == "F" else "C_CONTIGUOUS"]
        if fits and (segment is None or memory._segment is segment):
            return obj if isinstance(obj, SharedArray) else source.view(SharedArray)
    home = segments.default_segment() if segment is None else segment
    return _share(home, source, shareable(form), layout)


# ---- by name ----


def _dtype(wanted: Any) -> np.dtype[Any]:
    """What NumPy takes for a dtype. Raises: TypeError for what is none, and for one that cannot be shared."""
    known = isinstance(wanted, (np.dtype, str, list, tuple, dict)) or (
        isinstance(wanted, type) and (issubclass(wanted, np.generic) or wanted in _BUILTINS)
    )
    if not known:
        raise TypeError(f"objects of the type {wanted!r} cannot be constructed in a segment")
    return shareable(np.dtype(wanted))


def _is_of(found: np.dtype[Any], wanted: np.dtype[Any]) -> bool:
    while wanted.subdtype is not None:
        wanted = wanted.subdtype[0]
    open_length = wanted.itemsize == 0 and wanted.names is None
    return found == wanted or (open_length and found.type is wanted.type)


def recipe_of_dtype(wanted: Any) -> Recipe:
    """How arrays of a dtype are made and shown. Raises: TypeError for what is no dtype that can be shared."""
    dtype = _dtype(wanted)

    def make(segment: Segment, content: Any = None, *, shape: Any = None, order: str = "C", fill: Any = None) -> object:
        if content is None:
            return _make(segment, dtype, () if shape is None else shape, order, fill)
        if fill is not None:
            raise TypeError("content and fill say the same: give one of them")
        source, form = _plainly(content, dtype)
        if shape is None:
            return _share(segment, source, form, _order(order))
        return _make(segment, dtype, shape, order, source)

    def show(handle: _types.Handle) -> object:
        if not isinstance(handle, _types.NDArray):
            raise TypeError(f"the object is a {type_text(handle)}, not an array of {dtype}")
        found = array_of(handle)
        if not _is_of(found.dtype, dtype):
            raise TypeError(f"the object is an array of {found.dtype}, not of {dtype}")
        return found

    return Recipe(str(dtype), make, show)
