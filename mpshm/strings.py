"""String: text or bytes in shared memory that change in place.

What only looks (find, split, and the like) is done by str or bytes, on a copy taken in one step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import index as as_index
from typing import TYPE_CHECKING, Any, SupportsIndex

from . import _types
from .containers import Shared, place_of
from .files import ByteFile, TextFile

if TYPE_CHECKING:
    from typing_extensions import Self

    Text = str | bytes | bytearray | memoryview

__all__ = ["String"]

# Methods of str and bytes that only look; each is done on a copy and gives what that one's gives.
_LOOKING = (
    "capitalize center count endswith expandtabs find index isalnum isalpha isascii isdigit islower isspace istitle "
    "isupper join ljust lower lstrip partition removeprefix removesuffix rfind rindex rjust rpartition rsplit rstrip "
    "split splitlines startswith strip swapcase title translate upper zfill"
)
_LOOKING_TEXT = "casefold encode format format_map isdecimal isidentifier isnumeric isprintable"
_LOOKING_BYTES = "decode hex"


class String(Shared, _types.String):
    """Text or bytes in shared memory, which change in place.

    Args: `initial`, a str, for a text, or a bytes-like object, for bytes: which of both it is, it stays; `capacity`,
    characters to make room for at once, or None. Made without a manager it lives in the process's default segment.

    All methods of str or bytes that only look are there, too, and give plain str or bytes. Every call is one
    step. `==` and `<` compare with str or bytes and other Strings; so it is not hashable. `replace` changes the
    String itself, and gives nothing.
    Source: `str`, `bytearray`; Boost's `string` for capacity, `vectorstream` for `open`.
    """

    __slots__ = ("__weakref__",)
    __hash__ = None  # type: ignore[assignment]

    _typeid = "string"

    def __init__(self, initial: Text | String = "", capacity: int | None = None) -> None:
        self._reset(initial._whole()[0] if isinstance(initial, String) else initial)
        if capacity is not None:
            self.reserve(capacity)

    def _getvalue(self) -> str | bytes:
        return self._whole()[0]  # type: ignore[no-any-return]

    def copy(self) -> str | bytes:
        """The content as a plain str or bytes."""
        return self._whole()[0]  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, object]) -> str | bytes:
        return self._whole()[0]  # type: ignore[no-any-return]

    def _text(self) -> str:
        value = self._whole()[0]
        return value if isinstance(value, str) else repr(value)

    def __bytes__(self) -> bytes:
        value: str | bytes = self._whole()[0]
        if isinstance(value, str):
            raise TypeError("a String of text has no bytes without an encoding: use encode()")
        return value

    def __format__(self, spec: str) -> str:
        return format(self._whole()[0], spec)

    def __contains__(self, part: object) -> bool:
        return _plain(part) in self._whole()[0]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._whole()[0])

    def __reversed__(self) -> Iterator[Any]:
        return reversed(self._whole()[0])  # type: ignore[no-any-return]

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        if isinstance(key, slice):
            if key.step in (None, 1):
                return self._read(key)
            return self._whole()[0][key]
        place = as_index(key)
        found = self._read(slice(place, place + 1 or None))
        if not found:
            raise IndexError("string index out of range")
        return found if isinstance(found, str) else found[0]

    def __setitem__(self, key: SupportsIndex | slice, value: Any) -> None:
        content = _plain(value)
        if isinstance(key, slice):
            if key.step in (None, 1):
                self._assign(key, content if isinstance(content, str) else _bytes_of(content))
            else:
                self._edit(lambda all_: _set_stepped(all_, key, content))
            return
        if isinstance(content, str) == self.is_bytes or (isinstance(content, str) and len(content) != 1):
            wanted = "the number of a byte" if self.is_bytes else "a str of one character"
            raise TypeError(f"an item of this String is {wanted}")
        self._put(as_index(key), as_index(content) if self.is_bytes else content)

    def __delitem__(self, key: SupportsIndex | slice) -> None:
        empty = b"" if self.is_bytes else ""
        if not isinstance(key, slice):
            self._put(as_index(key), empty)
        elif key.step in (None, 1):
            self._assign(key, empty)
        else:
            self._edit(lambda all_: _without(all_, key))

    def extend(self, value: Any, /) -> None:
        """Put text, bytes, or the numbers of bytes, at the end."""
        content = _plain(value)
        self.append(content if isinstance(content, str) or not self.is_bytes else _bytes_of(content))

    def insert(self, index: SupportsIndex, value: Any, /) -> None:
        """Put text, or bytes (or the number of one), before index, which is clipped."""
        place = place_of(index)
        self._assign(slice(place, place), _plain(value))

    def pop(self, index: SupportsIndex = -1, /) -> Any:
        """Take the character at index out and return it. Raises: IndexError if there is none."""
        place = place_of(index)
        found: list[Any] = []

        def without(all_: Any) -> Any:
            if not -len(all_) <= place < len(all_):
                raise IndexError("pop index out of range" if all_ else "pop from empty string")
            found[:] = [all_[place]]
            return _without(all_, place)

        self._edit(without)
        return found[0]

    def replace(self, old: Any, new: Any, count: SupportsIndex = -1, /) -> None:
        """Put `new` in the place of `old`, everywhere or `count` times, in one step."""
        before, after = _plain(old), _plain(new)
        self._edit(lambda all_: all_.replace(before, after, count))

    def clear(self) -> None:
        """Take everything out; the room stays."""
        self._assign(slice(None), b"" if self.is_bytes else "")

    def open(self, mode: str | None = None) -> ByteFile | TextFile:
        """The content as a file, which grows: a raw one of bytes, or one of text.

        Args: `mode`, as the builtin open's, without `x`; None: to read and write, from the beginning.
        Raises: ValueError for a mode that is no such, or is of the other kind.
        """
        if self.is_bytes:
            return ByteFile(_StringBytes(self), "r+b" if mode is None else mode)
        return TextFile(_StringText(self), "r+" if mode is None else mode)

    def _edit(self, change: Any) -> None:
        """Make what `change` makes of the content the content, in one step; again if somebody else was faster."""
        while True:
            content, version = self._whole()
            if self._replace(change(content), version):
                return

    def __getattr__(self, name: str) -> Any:
        """What str and bytes have each for themselves."""
        if name in (_LOOKING_BYTES if self.is_bytes else _LOOKING_TEXT).split():
            return _looking(name).__get__(self)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __add__(self, other: Any) -> Any:
        return self._whole()[0] + _plain(other)

    def __radd__(self, other: Any) -> Any:
        return other + self._whole()[0]

    def __mul__(self, n: SupportsIndex) -> Any:
        return self._whole()[0] * n

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> Any:
        return self._whole()[0] % values

    def __iadd__(self, other: Any) -> Self:
        content = _plain(other)
        if hasattr(content, "__index__"):
            raise TypeError(f"can't concat {type(content).__name__} to a String")
        self.append(content)
        return self

    def __imul__(self, n: SupportsIndex) -> Self:
        self._edit(lambda all_: all_ * n)
        return self

    def __eq__(self, other: object) -> bool:
        return _compare(self, other, "__eq__")  # type: ignore[no-any-return]

    def __ne__(self, other: object) -> bool:
        return _compare(self, other, "__ne__")  # type: ignore[no-any-return]

    def __lt__(self, other: Any) -> bool:
        return _compare(self, other, "__lt__")  # type: ignore[no-any-return]

    def __le__(self, other: Any) -> bool:
        return _compare(self, other, "__le__")  # type: ignore[no-any-return]

    def __gt__(self, other: Any) -> bool:
        return _compare(self, other, "__gt__")  # type: ignore[no-any-return]

    def __ge__(self, other: Any) -> bool:
        return _compare(self, other, "__ge__")  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """A String's content; anything else as it is."""
    return value._whole()[0] if isinstance(value, String) else value


def _bytes_of(content: Any) -> bytes:
    """The bytes of a bytes-like object, or of numbers. Raises: TypeError for one number: bytes() would make zeros."""
    if hasattr(content, "__index__") or isinstance(content, str):
        raise TypeError(
            f"a String of bytes takes bytes-like objects, or numbers of bytes, not {type(content).__name__}"
        )
    return bytes(content)


def _compare(string: String, other: object, how: str) -> Any:
    own, content = string._whole()[0], _plain(other)
    if isinstance(own, bytes) and isinstance(content, (bytearray, memoryview)):
        content = bytes(content)
    if type(own) is not type(content) and not isinstance(content, type(own)):
        return NotImplemented
    return getattr(own, how)(content)


def _set_stepped(all_: Any, key: slice, value: Any) -> Any:
    if len(value) == 0:
        return _without(all_, key)
    items: Any = list(all_)
    items[key] = value
    return "".join(items) if isinstance(all_, str) else bytes(items)


def _without(all_: Any, key: Any) -> Any:
    items = list(all_)
    del items[key]
    return "".join(items) if isinstance(all_, str) else bytes(items)


class _StringBytes:
    """What a file does with a String of bytes."""

    def __init__(self, string: String) -> None:
        self.string = string
        self.lock = string.lock

    def size(self) -> int:
        return len(self.string)

    def read(self, start: int, stop: int) -> Any:
        return self.string._read(slice(start, stop))

    def write(self, start: int, data: Any) -> None:
        self.string._assign(slice(start, start + len(data)), data)

    def append(self, data: Any) -> None:
        self.string.append(data)

    def resize(self, size: int) -> None:
        empty, zero = (b"", b"\0") if self.string.is_bytes else ("", "\0")
        with self.string.lock:
            more = size - len(self.string)
            if more > 0:
                self.string.append(zero * more)
            else:
                self.string._assign(slice(size, None), empty)


class _StringText(_StringBytes):
    """What a file does with a String of text."""


def _looking(name: str) -> Any:
    """A method that str or bytes does, on a copy."""

    def method(self: String, *args: Any, **kwds: Any) -> Any:
        own = self._whole()[0]
        return getattr(own, name)(*map(_plain, args), **kwds)

    method.__name__ = name
    method.__qualname__ = f"String.{name}"
    method.__doc__ = f"As `{name}` of str and bytes, on the content of one moment."
    return method


for _name in _LOOKING.split():
    setattr(String, _name, _looking(_name))

Sequence.register(String)
_types.register(_types.String, String)
