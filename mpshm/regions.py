"""Regions: parts of files, shared memory and anonymous memory, mapped and used as buffers."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NoReturn, Protocol

from . import _types
from .errors import SegmentFullError
from .memory import check_room, check_size, refused

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["PAGESIZE", "MappedRegion", "Region", "anonymous_shared_memory"]

PAGESIZE: int = os.sysconf("SC_PAGE_SIZE")

_ACCESS = {"r": 0, "r+": 1, "c": 2}
_ADVICE = {"normal": 0, "sequential": 1, "random": 2, "willneed": 3, "dontneed": 4}


class HasFileno(Protocol):
    """What has a descriptor: a file, a SharedMemory."""

    def fileno(self) -> int: ...


def check_access(mode: object, what: str) -> int:
    """The mode as the core has it. Raises: ValueError."""
    access = _ACCESS.get(mode) if isinstance(mode, str) else None
    if access is None:
        raise ValueError(f"mode {mode!r} for {what}: use 'r' (read), 'r+' (read and write) or 'c' (copy on write)")
    return access


def check_address(address: object, what: str) -> int:
    """The address, 0 for None. Raises: TypeError, ValueError."""
    if address is None:
        return 0
    if not isinstance(address, int):
        raise TypeError(f"the address of {what} is an int or None, not {type(address).__name__}")
    if not 0 < address < 1 << 63:
        raise ValueError(f"{address:#x} is no address for {what}")
    return address


class Region(_types.Window):
    """Mapped memory as a buffer; what regions of all kinds have in common. Make one through a subclass."""

    __slots__ = ("__weakref__", "_mode", "_what")

    _mode: str
    _what: str

    def _open(self, fd: int, offset: int, size: int, mode: str, address: int = 0, huge: bool = False) -> None:
        try:
            self._map(fd, offset, size, _ACCESS[mode], address, huge)
        except ValueError:
            raise ValueError(
                f"cannot map {self._what} at address {address:#x}: with its offset {offset} it must be a multiple of "
                f"PAGESIZE ({PAGESIZE}). Use another, or none"
            ) from None
        except OSError as error:
            self._refused(error, "map")

    def _refused(self, error: OSError, tried: str) -> NoReturn:
        if isinstance(error, PermissionError):
            advice = "It was not opened for this mode: open it for reading and writing, or use mode 'r' or 'c'"
        elif isinstance(error, FileExistsError):
            advice = "Something is at this address in this process: use another, or none"
        elif error.errno == 12:
            raise SegmentFullError.because(
                f"cannot {tried} {self._what}: the process has not that many addresses, or that much memory, left",
                advice="Map less of it, or see the limits (ulimit -v)",
                errno=12,
            ) from None
        else:
            advice = "Only regular files, shared memory and devices that can be mapped will do"
        raise refused(error, tried, self._what, advice=advice) from None

    @property
    def mode(self) -> str:
        """How it is mapped: `'r'`, `'r+'` or `'c'`."""
        return self._mode

    def fileno(self) -> int:
        """Its own descriptor of the file. Raises: ValueError when it is closed, or has none."""
        if self._fd < 0:
            raise ValueError(f"{self._what} {'is closed' if self.closed else 'has no descriptor'}")
        return self._fd

    def flush(self, offset: int = 0, n: int | None = None, *, wait: bool = True) -> None:
        """Have changes written to the file.

        Args: `offset` and `n`, a range in bytes, all by default; `wait`, until they are on the disk.
        Raises: ValueError for a range that is not within, or after `close()`; OSError if writing fails.
        """
        start = check_size(offset, self._what)
        length = self.size - start if n is None else check_size(n, self._what)
        if length < 0 or start + length > self.size:
            raise ValueError(f"cannot flush {length} bytes at {start} of {self._what}: it has {self.size} bytes")
        self._must_be_open("flush")
        try:
            self._flush(start, length, wait)
        except OSError as error:
            self._refused(error, "flush")

    def shrink(self, n: int, from_back: bool = True) -> None:
        """Let go of `n` bytes at the end, or at the start, of what is mapped; the file stays as it is.

        Raises: ValueError unless 0 <= n < size; BufferError while a buffer of it is in use, and then nothing
        has changed.
        """
        nbytes = check_size(n, self._what)
        self._must_be_open("shrink")
        if nbytes >= self.size:
            raise ValueError(
                f"cannot shrink {self._what} by {nbytes} bytes: it has {self.size}, and one must be left. Use close()"
            )
        try:
            self._shrink(nbytes, from_back)
        except BufferError:
            self._in_use("shrink")
        except OSError as error:
            self._refused(error, "shrink")

    def advise(self, what: str) -> None:
        """Tell the system how the memory will be used: `'normal'`, `'sequential'`, `'random'`, `'willneed'` or
        `'dontneed'`. It never changes what is read.

        Raises: ValueError for another word, for `'dontneed'` in mode `'c'`, whose changes it would undo.
        """
        advice = _ADVICE.get(what)
        if advice is None:
            raise ValueError(f"cannot advise {what!r} for {self._what}: use one of {', '.join(map(repr, _ADVICE))}")
        if what == "dontneed" and self._mode == "c":
            raise ValueError(f"cannot advise 'dontneed' for {self._what}: the changes made in mode 'c' would be lost")
        self._must_be_open("advise for")
        try:
            self._advise(advice)
        except OSError as error:
            self._refused(error, "advise for")

    def close(self) -> None:
        """Unmap it. Twice is as good as once.

        Raises: BufferError while a buffer of it is in use (a memoryview, an array); it stays open then, and can be
        closed later.
        """
        try:
            self._unmap()
        except BufferError:
            self._in_use("close")

    def _in_use(self, tried: str) -> NoReturn:
        raise BufferError(
            f"cannot {tried} {self._what}: a memoryview, slice or array of it is still in use. "
            "Release or delete it first"
        ) from None

    def _must_be_open(self, tried: str) -> None:
        if self.closed:
            raise ValueError(f"cannot {tried} {self._what}: it is closed. Use it before close()")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"size={self.size}, mode={self._mode!r}"
        return f"<{type(self).__module__.partition('.')[0]}.{type(self).__name__} of {self._what}, {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle a mapping of {self._what}: hand over what it maps (a path, a SharedMemory) and map it there"
        )


class MappedRegion(Region):
    """A part of a file, of a SharedMemory or of anything else with a descriptor, mapped: a buffer.

    Args: `obj` has `fileno()`, or is a descriptor; it may be closed afterwards. `mode`: `'r'` read, `'r+'` read and
    write, `'c'` copy on write: changes stay in this object. `offset` and `length` in bytes, not rounded to anything;
    `length=None` is all up to the end. `address`: map there or fail; a multiple of `PAGESIZE` plus what `offset` is
    beyond one. `huge_pages` asks the system for huge pages; where it has none, ordinary ones serve.
    Raises: TypeError for what has no descriptor; ValueError for a range that is not in the file, an address that can't
    be, a pipe or a socket; SegmentPermissionError if `obj` was not opened for the mode; SegmentExistsError if something
    is at the address.

    The file must not be made shorter while it is mapped: reading beyond its end kills the process. (What SharedMemory's
    `resize` refuses, `truncate` of a file does not.)
    Source: Boost.Interprocess `mapped_region`, `file_mapping`.
    """

    __slots__ = ()

    def __init__(
        self,
        obj: HasFileno | int,
        mode: str = "r+",
        offset: int = 0,
        length: int | None = None,
        *,
        address: int | None = None,
        huge_pages: bool = False,
    ) -> None:
        if not self.closed:
            raise ValueError(f"{self._what} is mapped already")
        name = getattr(obj, "name", None)
        self._what = f"{type(obj).__name__} {name!r}" if isinstance(name, (str, bytes)) else f"{type(obj).__name__}"
        check_access(mode, self._what)
        self._mode = mode
        start = check_size(offset, self._what)
        fd = _descriptor(obj)
        end = _end_of(fd, self._what)
        if end is None and length is None:
            raise ValueError(f"cannot map {self._what}: it is a device without an end. Say which length")
        size = (end or 0) - start if length is None else check_size(length, self._what)
        if end is not None and (size < 0 or start + size > end):
            raise ValueError(
                f"cannot map {max(size, 0)} bytes at {start} of {self._what}: it has {end} bytes. Make it longer first "
                "(and flush what was written), or map less"
            )
        if size == 0:
            raise ValueError(
                f"cannot map 0 bytes of {self._what}: there must be one at least. If it has just been written, flush it"
            )
        self._open(fd, start, size, mode, check_address(address, self._what), huge_pages)


def _descriptor(obj: HasFileno | int) -> int:
    if isinstance(obj, int) and not isinstance(obj, bool):
        return obj
    try:
        fd = obj.fileno()  # type: ignore[union-attr]
    except AttributeError:
        raise TypeError(
            f"cannot map {type(obj).__name__}: give an open file, a SharedMemory, a descriptor or another object "
            "with fileno()"
        ) from None
    if not isinstance(fd, int):
        raise TypeError(f"cannot map {type(obj).__name__}: its fileno() gives {type(fd).__name__}, not int")
    return fd


def _end_of(fd: int, what: str) -> int | None:
    """Bytes of a file; None for a device."""
    if fd < 0:
        raise ValueError(f"cannot map {what}: {fd} is no descriptor")
    try:
        status = os.fstat(fd)
    except OSError as error:
        raise refused(error, "map", what, advice="Give one that is open") from None
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    if stat.S_ISBLK(status.st_mode):
        before = os.lseek(fd, 0, os.SEEK_CUR)
        end = os.lseek(fd, 0, os.SEEK_END)
        os.lseek(fd, before, os.SEEK_SET)
        return end
    if stat.S_ISCHR(status.st_mode):
        return None
    raise ValueError(f"cannot map {what}: only files, shared memory and devices have memory, no pipe, socket or folder")


class _AnonymousRegion(MappedRegion):
    """Memory without a file."""

    __slots__ = ()

    def __init__(self, size: int) -> None:
        if not self.closed:
            raise ValueError(f"{self._what} is mapped already")
        self._what = f"{size} bytes of anonymous shared memory"
        self._mode = "r+"
        check_room(size, "map", self._what)
        self._open(-1, 0, size, "r+")

    def __repr__(self) -> str:
        return f"<mpshm.MappedRegion of {self._what}{', closed' if self.closed else ''}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"cannot pickle {self._what}: only children forked after it was made share it. Make it before the fork, or "
            "use SharedMemory(create=True, size=...) or AnonymousSegment(), which can be handed to any process"
        )


def anonymous_shared_memory(size: int) -> MappedRegion:
    """Memory that this process shares with the children that it forks from now on, and they with theirs.

    Args: `size` in bytes, at least 1. All bytes are zero.
    Returns: a MappedRegion in mode `'r+'`. It cannot be pickled; it ends with the last process that has it, by any
    death.
    Raises: TypeError, ValueError; SegmentFullError.
    Source: Boost.Interprocess `anonymous_shared_memory`.
    """
    nbytes = check_size(size, "anonymous shared memory")
    if nbytes == 0:
        raise ValueError("'size' must be a positive number different from zero, for anonymous shared memory")
    return _AnonymousRegion(nbytes)
