"""Shared memory that looks like a file and grows as one: what `open()` of String and Vector gives."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, AnyStr, Protocol

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ._types import ObjectLock

__all__ = ["ByteFile", "TextFile"]


class _Target(Protocol[AnyStr]):
    """What a file does with what it stands for; positions and sizes in bytes, or in characters."""

    lock: ObjectLock

    def size(self) -> int: ...
    def read(self, start: int, stop: int) -> AnyStr: ...
    def write(self, start: int, data: AnyStr) -> None: ...
    def append(self, data: AnyStr) -> None: ...
    def resize(self, size: int) -> None: ...


def _parts(mode: str, other: str, own: str) -> tuple[str, bool, bool]:
    """The letter of a mode, and whether it reads and writes. Raises: ValueError."""
    if not isinstance(mode, str):
        raise TypeError(f"open() argument 'mode' must be str, not {type(mode).__name__}")
    letters = mode.replace(own, "", 1)
    if other in letters or letters.replace("+", "", 1) not in ("r", "w", "a"):
        raise ValueError(f"invalid mode: {mode!r}")
    letter = letters.replace("+", "", 1)
    return letter, letter == "r" or "+" in letters, letter != "r" or "+" in letters


def _seek(position: int, size: int, offset: int, whence: int) -> int:
    """Where seek() leads to. Raises: ValueError."""
    base = {io.SEEK_SET: 0, io.SEEK_CUR: position, io.SEEK_END: size}.get(whence)
    if base is None:
        raise ValueError(f"invalid whence ({whence}, should be 0, 1 or 2)")
    if base + offset < 0:
        raise ValueError(f"negative seek value {base + offset}")
    return base + offset


class _File(io.IOBase):
    """What files of bytes and of text have in common: a position of their own."""

    def __init__(self, target: Any, mode: str, other: str, own: str) -> None:
        letter, self._reads, self._writes = _parts(mode, other, own)
        self._target = target
        self._appends = letter == "a"
        self._position = 0
        self.mode = mode
        if letter == "w":
            target.resize(0)

    def readable(self) -> bool:
        return self._reads

    def writable(self) -> bool:
        return self._writes

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._check(True, "")
        self._position = _seek(self._position, self._target.size(), offset, whence)
        return self._position

    def tell(self) -> int:
        self._check(True, "")
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        self._check(self._writes, "not writable")
        size = self._position if size is None else size
        if size < 0:
            raise ValueError(f"negative size value {size}")
        self._target.resize(size)
        return size

    def _put(self, content: AnyStr, filler: AnyStr) -> int:
        """Write at the position, or at the end; what is left out before it is filled."""
        target: _Target[AnyStr] = self._target
        if self._appends:
            target.append(content)
            self._position = target.size()
            return len(content)
        if self._position > target.size() and content:
            with target.lock:
                gap = max(self._position - target.size(), 0)
                target.append(filler * gap + content) if gap else target.write(self._position, content)
        else:
            target.write(self._position, content)
        self._position += len(content)
        return len(content)

    def _check(self, allowed: bool, why: str) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        if not allowed:
            raise io.UnsupportedOperation(why)


class ByteFile(_File, io.RawIOBase):
    """Bytes in shared memory as a raw file. Each read and write is one step; the position is this object's own.

    Args: `target`, what it stands for; `mode`: `r`, `w` (empties it first) or `a` (writes at the end only), with `+` to
    read and write, and `b` or not. Raises: ValueError for another mode.
    """

    def __init__(self, target: _Target[bytes], mode: str = "r+b") -> None:
        super().__init__(target, mode, "t", "b")

    def readinto(self, buffer: Buffer, /) -> int:
        self._check(self._reads, "not readable")
        with memoryview(buffer) as view, view.cast("B") as into:
            found = self._target.read(self._position, self._position + len(into))
            into[: len(found)] = found
        self._position += len(found)
        return len(found)

    def write(self, data: Buffer, /) -> int:
        self._check(self._writes, "not writable")
        return self._put(bytes(data), b"\0")


class TextFile(_File, io.TextIOBase):
    """Text in shared memory as a file; positions are in characters, line ends are as they were written.

    Args: as ByteFile's, with `t` or not.
    """

    def __init__(self, target: _Target[str], mode: str = "r+") -> None:
        super().__init__(target, mode, "b", "t")

    def read(self, size: int | None = -1, /) -> str:
        self._check(self._reads, "not readable")
        stop = self._target.size() if size is None or size < 0 else self._position + size
        found: str = self._target.read(self._position, stop)
        self._position += len(found)
        return found

    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        self._check(self._reads, "not readable")
        stop = self._target.size() if size < 0 else self._position + size
        rest: str = self._target.read(self._position, stop)
        line = rest[: rest.find("\n") + 1] or rest
        self._position += len(line)
        return line

    def write(self, text: str, /) -> int:
        self._check(self._writes, "not writable")
        if not isinstance(text, str):
            raise TypeError(f"string argument expected, got {type(text).__name__!r}")
        return self._put(text, "\0")
