"""The bytes of a ShareableList: items of any length, replaced in one step, in memory that grows.

    0       magic : 64 | count : 64 | version : 64 | root : 64 | reserved : 4 x 64
    root    end : 64 | limit : 64 | offset of the cell : 64, for each item | cells ...
    cell    code + 256 * capacity : 64 | nbytes : 64 | data, in whole words

What begins at `root` is the space in use, up to `limit`; `end` is where its next cell goes. `capacity` is the most
bytes that the item ever had, rounded as the standard library does: it shows in `format` alone.

Invariants: a cell that an item refers to never changes, but for the data of a number, which is one word. A new item is
a new cell, written whole before its offset is; when the space is full, all cells are copied to another one, outside of
the first, and then `root` changes. So whoever is killed leaves the items before or after, each of them whole.

Locking: a change is made under a lock of the memory file, which the kernel takes from the dead, and of this object, for
its threads. `version` is odd meanwhile. A reader takes no lock: it reads again when the version has changed, and takes
the lock if that goes on, or if it stays odd.

Costs: reading O(length of the item); a change the same, amortised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812
from typing import Protocol, TypeVar, Union

from . import file_locks
from .errors import SegmentClosedError, SegmentCorruptedError

__all__ = ["Item", "Items"]

Item = Union[None, bool, int, float, str, bytes]  # noqa: UP007 -- evaluated by Python 3.10 too
_R = TypeVar("_R")

_MAGIC = int.from_bytes(b"mpshmSL\1", "little")
_COUNT, _VERSION, _ROOT, _FIRST = 8, 16, 24, 64
_TABLE = 16  # from the root
_CELL = 16
_TRIES = 200
_WORD = (1 << 64) - 1
_WAIT_NS = 200_000_000

# Native sizes: each word is read and written by one instruction.
_word = Struct("@Q")
_signed = Struct("@q")
_real = Struct("@d")

_NONE, _BOOL, _INT, _FLOAT, _STR, _BYTES, _LONG = range(7)
_FORMATS = {_NONE: "xxxxxx?x", _BOOL: "xxxxxxx?", _INT: "q", _FLOAT: "d"}
_BAD = (IndexError, OverflowError, StructError)  # what comes of offsets that lead nowhere
_NUMBERS = (_BOOL, _INT, _FLOAT)


class _ItemTypeError(TypeError, KeyError):
    """An item of a type that no list holds: the standard library's raises KeyError."""

    __str__ = Exception.__str__


class Memory(Protocol):
    """What the items lie in: a SharedMemory."""

    @property
    def buf(self) -> memoryview | None: ...
    @property
    def size(self) -> int: ...
    @property
    def name(self) -> str: ...
    def fileno(self) -> int: ...
    def resize(self, size: int) -> None: ...


def _encode(value: object) -> tuple[int, bytes]:
    """Code and data of a value."""
    kind = type(value)
    if value is None:
        return _NONE, b""
    if kind is bool:
        return _BOOL, _word.pack(value)
    if kind is int:
        assert isinstance(value, int)
        if -(1 << 63) <= value < 1 << 63:
            return _INT, _signed.pack(value)
        return _LONG, value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    if kind is float:
        return _FLOAT, _real.pack(value)
    if kind is str:
        assert isinstance(value, str)
        return _STR, value.encode("utf-8", "surrogatepass")
    if kind is bytes:
        assert isinstance(value, bytes)
        return _BYTES, value
    raise _ItemTypeError(
        f"a ShareableList cannot hold an item of type {kind.__name__}: it holds None, bool, int, float, str and bytes. "
        "Convert it, or use mpshm.List, which holds anything"
    )


def _decode(code: int, data: bytes) -> Item:
    if code == _NONE:
        return None
    if code == _BOOL:
        return bool(_word.unpack(data)[0])
    if code == _INT:
        return int(_signed.unpack(data)[0])
    if code == _FLOAT:
        return float(_real.unpack(data)[0])
    if code == _STR:
        return data.decode("utf-8", "surrogatepass")
    if code == _BYTES:
        return data
    if code == _LONG:
        return int.from_bytes(data, "little", signed=True)
    raise ValueError(f"no item has code {code}")


def _capacity(code: int, nbytes: int) -> int:
    return 8 * (nbytes // 8 + 1) if code >= _STR else 8


def _cell_size(nbytes: int) -> int:
    return _CELL + (nbytes + 7) // 8 * 8


def _space_size(count: int, cells: int) -> int:
    """Of a new space: with room for items to grow."""
    return _TABLE + 8 * count + cells + max(cells // 2, 64) // 8 * 8


class Items:
    """The items of a list in a memory."""

    def __init__(self, shm: Memory) -> None:
        self._shm = shm
        self._alone = file_locks.Alone()
        self.length = 0

    @staticmethod
    def size_for(values: Sequence[Item]) -> int:
        """Bytes of memory for a new list. Raises: TypeError for an item that none holds."""
        return _FIRST + _space_size(len(values), sum(_cell_size(len(_encode(value)[1])) for value in values))

    # ---- the whole ----

    def fill(self, values: Sequence[Item]) -> None:
        """Make a list of these in new memory."""
        buf = self._buf("fill")
        self.length = len(values)
        _word.pack_into(buf, _COUNT, len(values))
        encoded = [_encode(value) for value in values]
        self._lay_out(buf, _FIRST, len(buf), [(code, _capacity(code, len(data)), data) for code, data in encoded])
        _word.pack_into(buf, _ROOT, _FIRST)
        _word.pack_into(buf, 0, _MAGIC)

    def look(self) -> None:
        """See that there is a list. Raises: ValueError."""
        buf, until = self._buf("attach to"), time.monotonic_ns() + _WAIT_NS
        while len(buf) >= _FIRST and _at(buf, 0) == 0 and time.monotonic_ns() < until:
            time.sleep(0.001)  # its maker is about to fill it
        if len(buf) < _FIRST or _at(buf, 0) != _MAGIC:
            raise ValueError(
                f"cannot attach to the ShareableList {self._shm.name!r}: the memory of that name holds none of "
                "mpshm's. Make it with mpshm.ShareableList"
            )
        self.length = _at(buf, _COUNT)
        if self.length > len(buf) // 8:
            raise self._corrupted("its length is more than fits")

    @property
    def count(self) -> int:
        """How many items there are."""
        self._buf("count")  # which says if it was closed
        return self.length

    def _buf(self, tried: str) -> memoryview:
        buf = self._shm.buf
        if buf is None:
            raise SegmentClosedError.because(
                f"cannot {tried} items of the ShareableList {self._shm.name!r}: its memory was closed",
                advice="Use it before shm.close(), or attach to it again",
            )
        return buf

    def _whole(self, tried: str) -> memoryview:
        """The memory, where a list may be. Raises: SegmentCorruptedError if somebody has cut it off."""
        buf = self._buf(tried)
        if len(buf) < _FIRST:
            raise self._corrupted(f"{len(buf)} bytes are left of it")
        return buf

    def _corrupted(self, why: str) -> SegmentCorruptedError:
        error = SegmentCorruptedError.because(f"the ShareableList {self._shm.name!r} is corrupted: {why}")
        assert isinstance(error, SegmentCorruptedError)
        return error

    def _lay_out(self, buf: memoryview, root: int, limit: int, cells: list[tuple[int, int, bytes]]) -> None:
        """Write a whole space; nothing refers to it yet."""
        end = root + _TABLE + 8 * len(cells)
        for number, cell in enumerate(cells):
            _word.pack_into(buf, root + _TABLE + 8 * number, end)
            end = _write(buf, end, *cell)
        _word.pack_into(buf, root, end)
        _word.pack_into(buf, root + 8, limit)

    # ---- reading ----

    def get(self, place: int) -> Item:
        """The item at a place from 0 to below `count`."""
        code, _, data = self._read(lambda buf: _cell(buf, _find(buf, place)))
        try:
            return _decode(code, data)
        except (ValueError, StructError) as error:
            raise self._corrupted(str(error)) from None

    def format_of(self, place: int) -> str:
        """What the item is stored as, in the words of `struct`."""
        code, capacity, _ = self._read(lambda buf: _cell(buf, _find(buf, place)))
        return _FORMATS.get(code) or f"{capacity}s"

    def _read(self, what: Callable[[memoryview], _R]) -> _R:
        """Read what no change falls into."""
        for _ in range(_TRIES):
            buf = self._whole("get")
            version = _at(buf, _VERSION)
            if version & 1:
                time.sleep(0)
                continue
            try:
                found = what(buf)
            except _BAD:
                if _at(buf, _VERSION) == version and len(buf) == self._shm.size:
                    break
                continue
            if _at(buf, _VERSION) == version:
                return found
        self._acquire()
        try:
            buf = self._begin()
            self._end()  # which puts right what a killed one has left
            return what(buf)
        except _BAD:
            raise self._corrupted("an item lies outside of it") from None
        finally:
            self._alone.release()

    # ---- changing ----

    def _acquire(self) -> None:
        """Keep all others from changing anything."""
        try:
            fd = self._shm.fileno()
        except SegmentClosedError:
            self._buf("set")  # which says it of the list
            raise
        self._alone.acquire(fd)

    def _begin(self) -> memoryview:
        """Begin a change, alone."""
        buf = self._whole("set")
        _word.pack_into(buf, _VERSION, _at(buf, _VERSION) | 1)  # odd already if somebody was killed
        return buf

    def _end(self) -> None:
        """End it."""
        buf = self._buf("set")
        _word.pack_into(buf, _VERSION, _at(buf, _VERSION) + 1 & _WORD)

    def set(self, place: int, value: Item) -> None:
        """Replace the item at a place. Raises: TypeError; SegmentFullError, and then nothing has changed."""
        code, data = _encode(value)
        self._acquire()
        try:
            buf = self._begin()
            try:
                self._replace(buf, place, code, data)
            except _BAD:
                raise self._corrupted("an item lies outside of it") from None
            finally:
                self._end()
        finally:
            self._alone.release()

    def _replace(self, buf: memoryview, place: int, code: int, data: bytes) -> None:
        old = _find(buf, place)
        head, nbytes = _at(buf, old), _at(buf, old + 8)
        if code in _NUMBERS and head & 0xFF == code and nbytes == len(data) == 8:
            _word.pack_into(buf, old + _CELL, _word.unpack(data)[0])
            return
        was = head >> 8 if head & 0xFF >= _STR else 8
        capacity = max(_capacity(code, len(data)), was) if code >= _STR else 8
        root = _at(buf, _ROOT)
        end, limit = _at(buf, root), _at(buf, root + 8)
        if end + _cell_size(len(data)) > limit:
            self._move(buf, place, (code, capacity, data))
            return
        _word.pack_into(buf, root, _write(buf, end, code, capacity, data))
        _word.pack_into(buf, root + _TABLE + 8 * place, end)

    def _move(self, buf: memoryview, place: int, new: tuple[int, int, bytes]) -> None:
        """Copy all items, one of them replaced, to another space."""
        cells = [_cell(buf, _find(buf, number)) for number in range(self.length)]
        cells[place] = new
        need = _space_size(len(cells), sum(_cell_size(len(data)) for _, _, data in cells))
        root = _at(buf, _ROOT)
        start, limit = _FIRST, root
        if need > limit - start:
            start = _at(buf, root + 8)
            if start > len(buf):
                raise IndexError(start)
            limit = max(start + need, len(buf) // 8 * 8)
            if limit > len(buf):
                self._shm.resize(limit)
                buf = self._buf("set")
        self._lay_out(buf, start, limit, cells)
        _word.pack_into(buf, _ROOT, start)


def _at(buf: memoryview, offset: int) -> int:
    word: int = _word.unpack_from(buf, offset)[0]
    return word


def _find(buf: memoryview, place: int) -> int:
    """Where the cell of an item is."""
    return _at(buf, _at(buf, _ROOT) + _TABLE + 8 * place)


def _cell(buf: memoryview, offset: int) -> tuple[int, int, bytes]:
    """Code, capacity and data of a cell. Raises: IndexError, struct.error if it is not within."""
    head, nbytes = _at(buf, offset), _at(buf, offset + 8)
    if nbytes > len(buf) - offset - _CELL:
        raise IndexError(offset)
    return head & 0xFF, head >> 8, bytes(buf[offset + _CELL : offset + _CELL + nbytes])


def _write(buf: memoryview, offset: int, code: int, capacity: int, data: bytes) -> int:
    """Write a cell; where the next one goes. Raises: IndexError if it is not within."""
    if offset + _cell_size(len(data)) > len(buf):
        raise IndexError(offset)
    _word.pack_into(buf, offset, code | capacity << 8)
    _word.pack_into(buf, offset + 8, len(data))
    buf[offset + _CELL : offset + _CELL + len(data)] = data
    return offset + _cell_size(len(data))
