"""Arrays of NumPy whose memory is shared. Imported when the first one is made or found, since it brings NumPy in."""

from __future__ import annotations

from ast import literal_eval
from math import prod
from operator import index
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _types
from .errors import SegmentCorruptedError
from .named import Recipe, type_text

if TYPE_CHECKING:
    from .segments import Segment

__all__ = ["SharedArray", "array_of", "description", "recipe_of_dtype"]

_Shape = tuple[int, ...]
_BUILTINS = (bool, int, float, complex)


class SharedArray(np.ndarray[Any, Any]):
    """An array in shared memory. It is made by `Segment.construct(dtype, ...)`, and found by name.

    Pickling gives the same memory, of a slice too; what is computed from one is an ordinary array. The memory lives as
    long as an array on it in any process does, or its name.
    """

    _memory: _types.NDArray | None

    def __array_finalize__(self, obj: object) -> None:
        self._memory = getattr(obj, "_memory", None)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        if array is self:
            return array
        plain = array.view(np.ndarray)
        return plain[()] if return_scalar else plain

    def _offset(self) -> int | None:
        """Where in the shared memory the first item is, in bytes; None for an array in memory of its own."""
        if self._memory is None:
            return None
        begin = (
            np.frombuffer(memoryview(self._memory), np.uint8).__array_interface__["data"][0]
            if self._memory.nbytes
            else 0
        )
        offset: int = self.__array_interface__["data"][0] - begin
        return offset if 0 <= offset < self._memory.nbytes or self.size == 0 else None

    def __reduce_ex__(self, protocol: Any) -> Any:
        offset = self._offset()
        if offset is None or self._memory is None:
            return self.view(np.ndarray).__reduce_ex__(protocol)
        if self.size == 0:
            offset = 0
        return _rebuild, (self._memory, np.lib.format.dtype_to_descr(self.dtype), self.shape, self.strides, offset)

    def __reduce__(self) -> Any:
        return self.__reduce_ex__(2)


def _rebuild(memory: _types.NDArray, descr: Any, shape: _Shape, strides: _Shape, offset: int) -> SharedArray:
    dtype = np.lib.format.descr_to_dtype(descr)
    made = SharedArray(shape, dtype, memoryview(memory), offset, strides if prod(shape) else None)
    made._memory = memory
    return made


def description(memory: _types.NDArray) -> tuple[np.dtype[Any], _Shape, Literal["C", "F"]]:
    """Type, shape and order of the array that was made there. Raises: SegmentCorruptedError."""
    try:
        descr, shape, order = literal_eval(memory._note.decode("ascii"))
        dtype = np.lib.format.descr_to_dtype(descr)
        shape = tuple(map(index, shape))
        whole = order in ("C", "F") and not dtype.hasobject and min(shape, default=0) >= 0
        if whole and prod(shape) * dtype.itemsize <= memory.nbytes:
            return dtype, shape, order
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError, KeyError):
        pass
    raise SegmentCorruptedError.because(f"the note of an array of {memory._segment._name} makes no sense")


def array_of(memory: _types.NDArray) -> SharedArray:
    """The array that was made there."""
    dtype, shape, order = description(memory)
    made = SharedArray(shape, dtype, memoryview(memory), order=order)
    made._memory = memory
    return made


def _dtype(wanted: Any) -> np.dtype[Any]:
    """What NumPy takes for a dtype. Raises: TypeError for what is none, and for one of Python objects."""
    known = isinstance(wanted, (np.dtype, str, list, tuple, dict)) or (
        isinstance(wanted, type) and (issubclass(wanted, np.generic) or wanted in _BUILTINS)
    )
    if not known:
        raise TypeError(f"objects of the type {wanted!r} cannot be constructed in a segment")
    dtype: np.dtype[Any] = np.dtype(wanted)
    if dtype.hasobject:
        raise TypeError(f"an array of {dtype} holds Python objects, which cannot be shared")
    return dtype


def _make(segment: Segment, dtype: np.dtype[Any], content: Any, shape: Any, order: str) -> SharedArray:
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}")
    if shape is None:
        shape = () if content is None else np.shape(content)
    sizes = tuple(map(index, shape)) if isinstance(shape, (tuple, list)) else (index(shape),)
    if min(sizes, default=0) < 0:
        raise ValueError(f"negative dimensions are not allowed: {sizes}")
    note = repr((np.lib.format.dtype_to_descr(dtype), sizes, order)).encode("ascii", "backslashreplace")
    made = array_of(_types.NDArray._noted(segment, prod(sizes) * dtype.itemsize, note))
    if content is not None:
        made[...] = content
    return made


def recipe_of_dtype(wanted: Any) -> Recipe:
    """How arrays of a dtype are made and shown. Raises: TypeError for what is no dtype that can be shared."""
    dtype = _dtype(wanted)

    def make(segment: Segment, content: Any = None, *, shape: Any = None, order: str = "C") -> object:
        return _make(segment, dtype, content, shape, order)

    def show(handle: _types.Handle) -> object:
        if not isinstance(handle, _types.NDArray):
            raise TypeError(f"the object is a {type_text(handle)}, not an array of {dtype}")
        found = array_of(handle)
        if found.dtype != dtype:
            raise TypeError(f"the object is an array of {found.dtype}, not of {dtype}")
        return found

    return Recipe(str(dtype), make, show)
