"""Vector: items of one NumPy dtype, side by side in shared memory, in an array that grows.

The C type keeps bytes and knows the numbers of the machine; what other items are, NumPy says here. Everything that
NumPy does runs in the caller, on a copy or on a live view, never under a lock of the segment.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableSequence
from functools import cache
from operator import index as as_index
from sys import byteorder, maxsize
from typing import TYPE_CHECKING, Any, SupportsIndex

from . import _types
from .containers import Shared, place_of
from .files import ByteFile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import DTypeLike, NDArray
    from typing_extensions import Self

__all__ = ["Vector"]

# Numbers that the C type reads and writes by itself, by NumPy's kind and size.
_CODES = {
    "b1": "?",
    **dict(zip(("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"), "bhiqBHIQfd", strict=True)),
}
# Kinds whose items are given out as plain Python objects; NumPy's scalars say more than those of other kinds.
_PLAIN = frozenset("biufcSU")
_ALL = slice(None)


@cache
def _numpy() -> Any:
    """NumPy, which is loaded when first needed."""
    import numpy

    return numpy


class Vector(Shared, _types.Vector):
    """An array in shared memory that grows, of items of one NumPy dtype.

    Args: `dtype`, any of a fixed size but `object`; `iterable_or_size`, the first items, or how many zeros;
    `maxlen`, the greatest length, for which there is room from the beginning, or None. Made without a manager it
    lives in the process's default segment.

    Numbers come out as Python's, dates and records as NumPy's scalars; slices and index arrays as new arrays. Each
    call is one step. An item is assigned as NumPy assigns it; a whole number that does not fit is an
    OverflowError. `==` compares the whole, as List does; compare `.array` for NumPy's.
    Raises: TypeError for a dtype that cannot be shared; IndexError for more than `maxlen` items; BufferError
    when more room is needed than is to be had in place while arrays or memoryviews are views on the items.
    Source: `array.array` for methods and slices; Boost's `vector` for capacity, `static_vector` for maxlen.
    """

    __slots__ = ("__weakref__", "_known")
    __hash__ = None  # type: ignore[assignment]

    _typeid = "vector"
    _known: np.dtype[Any]

    def __init__(
        self, dtype: DTypeLike, iterable_or_size: Iterable[Any] | SupportsIndex = (), *, maxlen: int | None = None
    ) -> None:
        form = _shareable(dtype)
        plain = form.fields is None and _numpy().dtype(form.str) == form
        code = _CODES.get(f"{form.kind}{form.itemsize}", "") if form.byteorder in _native() else ""
        self._setup(form.str if plain else form, form.itemsize, code, maxlen)
        self.clear()
        if hasattr(iterable_or_size, "__index__") and not hasattr(iterable_or_size, "__len__"):
            size = as_index(iterable_or_size)  # type: ignore[arg-type]
            if size < 0:
                raise ValueError(f"a number of items, not {size}")
            self.resize(size)
        else:
            self.extend(iterable_or_size)  # type: ignore[arg-type]

    @property
    def dtype(self) -> np.dtype[Any]:
        """What each item is."""
        try:
            return self._known
        except AttributeError:
            self._known = _numpy().dtype(self._form())
            return self._known

    @property
    def nbytes(self) -> int:
        """Bytes that the items take."""
        return len(self) * self.itemsize

    @property
    def array(self) -> NDArray[Any]:
        """A live, writable view on the items that there are now, without a copy.

        It stays good for as long as anybody holds it, whatever becomes of the vector; the vector in its turn can grow
        only where there is room behind it while there are views in any process (those of dead ones do not count).
        Changes through a view are neither steps nor undone when their maker dies: hold `lock` where that matters.
        """
        raw, length = self._data()
        if raw is None:
            return _numpy().empty(0, self.dtype)  # type: ignore[no-any-return]
        return _numpy().ndarray(length, self.dtype, raw)  # type: ignore[no-any-return]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.copy() if copy else self.array
        return array if dtype is None or dtype == array.dtype else array.astype(dtype)

    def copy(self) -> NDArray[Any]:
        """The items at one moment, as an array of the caller's own."""
        return self._owned(self._read(_ALL)[0])

    def _getvalue(self) -> NDArray[Any]:
        return self.copy()

    def _text(self) -> str:
        return repr(self.copy())

    def __deepcopy__(self, memo: dict[int, object]) -> NDArray[Any]:
        return self.copy()

    def tolist(self) -> list[Any]:
        """The items as a list, as `ndarray.tolist`."""
        return self.copy().tolist()  # type: ignore[no-any-return]

    def tobytes(self) -> bytes:
        """The items' bytes."""
        return bytes(self._read(_ALL)[0])

    def extend(self, items: Iterable[Any], /) -> None:
        """Put all these items at the end, in one step. An array of the same dtype is copied once."""
        self._push(self._bytes(self._items(items)))

    def insert(self, index: SupportsIndex, item: object, /) -> None:
        """Put an item before index, which is clipped."""
        self._insert(index, self._bytes(self._one(item)))

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        """Take the item at index out and return it. Raises: IndexError if there is none."""
        return self._scalar(self._pop(place_of(index)))

    def index(self, value: object, start: SupportsIndex = 0, stop: SupportsIndex = maxsize, /) -> int:
        """The first place of `value`, from `start` on and before `stop`. Raises: ValueError if it is not there."""
        array = self.copy()
        first, last, _ = slice(as_index(start), as_index(stop)).indices(len(array))
        places = self._places(array[first:last], value)
        if len(places) == 0:
            raise ValueError(f"{value!r} is not in vector")
        return first + int(places[0])

    def count(self, value: object, /) -> int:
        """How often `value` is there."""
        return len(self._places(self.copy(), value))

    def remove(self, value: object, /) -> None:
        """Take the first `value` out. Raises: ValueError if it is not there."""
        with self.lock:
            del self[self.index(value)]

    def sort(self, *, reverse: bool = False) -> None:
        """Sort as `ndarray.sort` does, in one step; others' changes wait meanwhile."""
        with self.lock:
            array = self.copy()
            array.sort()
            self[:] = array[::-1] if reverse else array

    def reverse(self) -> None:
        """Turn the order round, in one step."""
        with self.lock:
            self[:] = self.copy()[::-1]

    def open(self, mode: str = "r+b") -> ByteFile:
        """The items as a file of bytes, which grows. For items of one byte.

        Args: `mode`, as the builtin open's, without `x`. Raises: TypeError for larger items.
        """
        if self.itemsize != 1:
            raise TypeError(f"a Vector of {self.dtype} is no file: its items are larger than one byte")
        return ByteFile(_VectorBytes(self), mode)

    def __contains__(self, value: object) -> bool:
        return len(self._places(self.copy(), value)) > 0

    def __iadd__(self, items: Iterable[Any]) -> Self:
        self.extend(items)
        return self

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Vector):
            if _types.same(self, other):
                return True
            other = other.copy()
        if not hasattr(other, "__len__") or not hasattr(other, "__getitem__") or isinstance(other, (str, bytes, dict)):
            return NotImplemented
        try:
            return bool(_numpy().array_equal(self.copy(), other))
        except (TypeError, ValueError):
            return False

    # What the C type leaves to us.

    def _get(self, key: Any) -> Any:
        if isinstance(key, int):
            return self._scalar(self._item(key))
        if isinstance(key, slice):
            return self._owned(self._read(key)[0])
        return self.copy()[key]

    def _set(self, key: Any, value: Any) -> None:
        if hasattr(key, "__index__") and not hasattr(key, "__len__"):
            self._put(as_index(key), self._bytes(self._one(value)))
            return
        if not isinstance(key, slice):
            self._edit(lambda array: _put_items(array, key, value))
            return
        items = self._items(value, 0)
        if items.ndim == 0:
            self._fill(key, self._bytes(items))
        elif len(items) == 0:
            del self[key]
        else:
            self._assign(key, self._bytes(items))

    def _del(self, key: Any) -> None:
        if hasattr(key, "__index__") and not hasattr(key, "__len__"):
            self._pop(as_index(key))
        elif isinstance(key, slice) and key.step in (None, 1):
            self._assign(key, b"")
        else:
            self._edit(lambda array: _numpy().delete(array, key))

    def _append(self, value: object) -> None:
        self._push(self._bytes(self._one(value)))

    def _edit(self, change: Any) -> None:
        """Make what `change` makes of the items the items, in one step; again if somebody else was faster."""
        while True:
            items, version = self._read(_ALL)
            if self._replace(self._bytes(change(self._owned(items))), version):
                return

    def _owned(self, items: bytearray) -> NDArray[Any]:
        dtype = self.dtype
        return _numpy().ndarray(len(items) // dtype.itemsize, dtype, items)  # type: ignore[no-any-return]

    def _scalar(self, item: bytearray) -> Any:
        found = _numpy().ndarray((), self.dtype, item)
        return found.item() if self.dtype.kind in _PLAIN else found[()]

    def _one(self, value: object) -> NDArray[Any]:
        """One item, as NumPy assigns it."""
        item = _numpy().zeros((), self.dtype)
        item[()] = value
        return item  # type: ignore[no-any-return]

    def _items(self, source: Any, least: int = 1) -> NDArray[Any]:
        """Items as an array of our dtype: of one dimension, or (least 0) none."""
        if isinstance(source, Vector):
            source = source.copy()
        elif hasattr(source, "__iter__") and not hasattr(source, "__len__"):
            source = list(source)
        elif isinstance(source, (_types.Handle, set, frozenset, dict)):
            source = list(source)  # type: ignore[arg-type]
        elif isinstance(source, tuple) and (least or not source):
            source = list(source)  # else it would be one record
        items = _numpy().asarray(source, self.dtype)
        if not least <= items.ndim <= 1:
            kind = "a sequence of items" if items.ndim == 0 else "one-dimensional"
            raise (TypeError if items.ndim == 0 else ValueError)(f"what is put into a Vector must be {kind}")
        return items  # type: ignore[no-any-return]

    def _bytes(self, items: NDArray[Any]) -> memoryview:
        """The bytes of an array, also where NumPy lends no buffer."""
        numpy = _numpy()
        return memoryview(numpy.ascontiguousarray(items, self.dtype).reshape(-1).view(numpy.uint8))

    def _places(self, array: NDArray[Any], value: object) -> NDArray[Any]:
        """Where in an array of our dtype a value is."""
        numpy = _numpy()
        try:
            item = self._one(value)
            same = item[()] == value if isinstance(value, numpy.generic) else item.item() == value
            if not bool(same):
                return numpy.empty(0, numpy.intp)  # type: ignore[no-any-return]
        except (TypeError, ValueError, OverflowError):
            return numpy.empty(0, numpy.intp)  # type: ignore[no-any-return]
        return numpy.flatnonzero(array == item)  # type: ignore[no-any-return]


class _VectorBytes:
    """What a file does with a Vector of bytes."""

    def __init__(self, vector: Vector) -> None:
        self.vector = vector
        self.lock = vector.lock

    def size(self) -> int:
        return len(self.vector)

    def read(self, start: int, stop: int) -> bytes:
        return bytes(self.vector._read(slice(start, stop))[0])

    def write(self, start: int, data: bytes) -> None:
        self.vector._assign(slice(start, start + len(data)), data)

    def append(self, data: bytes) -> None:
        self.vector._push(data)

    def resize(self, size: int) -> None:
        self.vector.resize(size)


def _native() -> str:
    """NumPy's signs for the byte order of this machine."""
    return "=|" + ("<" if byteorder == "little" else ">")


def _put_items(array: NDArray[Any], key: Any, value: Any) -> NDArray[Any]:
    array[key] = value
    return array


def _shareable(dtype: DTypeLike) -> np.dtype[Any]:
    """A dtype that a Vector can have. Raises: TypeError with the reason why it cannot have that one."""
    form: np.dtype[Any] = _numpy().dtype(dtype)
    if form.hasobject or form.kind == "T":
        raise TypeError(
            f"a Vector cannot hold {form}: its items are pointers into one process, which mean nothing in another. "
            "Use List"
        )
    if form.itemsize == 0:
        raise TypeError(f"a Vector needs a dtype of a fixed size above 0, as 'S5' or 'U3', not {form}")
    if form.subdtype is not None:
        raise TypeError(f"a Vector cannot hold {form}, whose items are arrays: make it the field of a record")
    return form


MutableSequence.register(Vector)
_types.register(_types.Vector, Vector)
