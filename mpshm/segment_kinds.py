"""The kinds of managed segments that are not anonymous: by name, in a file, on the heap, in somebody's buffer.

Each knows how it was opened, so that a handle of something in it can tell another process the way (`handles`).
"""

from __future__ import annotations

import os
from operator import index
from typing import ClassVar

from . import _binding, _opening, _types, segments
from .allocators import Allocator, BestFit, segment_allocator
from .errors import SegmentNotFoundError
from .segments import Segment

__all__ = ["ManagedExternalBuffer", "ManagedHeapMemory", "ManagedMappedFile", "ManagedSharedMemory"]

_FLAGS = {
    "x": _opening.NEW,
    "r+": _opening.OLD,
    "a": _opening.OLD | _opening.NEW,
    "r": _opening.OLD | _opening.READ,
    "c": _opening.OLD | _opening.COPY,
}
_PAGE = 4096
_TIMEOUT = 60.0  # seconds: what None stands for
_LONGEST_NAME = 240  # bytes; the file systems' own limit is 255


def _mode_of(mode: object) -> str:
    if not isinstance(mode, str):
        raise TypeError(f"mode is a str, not {type(mode).__name__}")
    if mode not in _FLAGS:
        raise ValueError(f"mode must be one of {', '.join(map(repr, _FLAGS))}, not {mode!r}")
    return mode


def _permissions_of(permissions: object) -> int:
    bits = index(permissions)  # type: ignore[arg-type]
    if not 0 <= bits <= 0o777:
        raise ValueError(f"permissions must be between 0 and 0o777, not {bits:#o}")
    return bits


def _address_of(address: object) -> int:
    if address is None:
        return 0
    where = index(address)  # type: ignore[arg-type]
    if where <= 0 or where % _PAGE or where >= 1 << 63:
        raise ValueError(f"address must be a positive multiple of {_PAGE}, not {where:#x}")
    return where


def _timeout_of(timeout: float | None) -> float:
    if timeout is None:
        return _TIMEOUT
    if not timeout >= 0:
        raise ValueError(f"timeout must be 0 seconds at least, not {timeout!r}")
    return min(float(timeout), 1e9)


def _shared_memory_folder() -> str:
    """Where names of shared memory are: the system's own place, or where `MPSHM_DIR` says."""
    return os.environ.get("MPSHM_DIR") or "/dev/shm"


def _shared_memory_path(name: object) -> str:
    """The path of a name. Raises TypeError, ValueError for what is no portable name."""
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {type(name).__name__}")
    plain = name.removeprefix("/")
    if "/" in plain:
        raise ValueError(
            f"the name {name!r} has a slash inside: shared memory has no folders, and a slash may only lead"
        )
    if "\0" in plain:
        raise ValueError("embedded null byte")
    if plain in ("", ".", ".."):
        raise ValueError(f"{name!r} is no name: it needs a letter, digit or other character besides dots and the slash")
    encoded = os.fsencode(plain)
    if len(encoded) > _LONGEST_NAME:
        from hashlib import sha256

        plain = f"{os.fsdecode(encoded[:150]).encode('ascii', 'replace').decode().replace('?', '_')}"
        plain += "-" + sha256(encoded).hexdigest()
    return f"{_shared_memory_folder()}/{plain}"


class _Named(Segment):
    """What segments that a path leads to have in common."""

    __slots__ = ("_made", "_path")

    _path: str
    _made: bool  # by this very object
    _extra: ClassVar[int] = 0  # flags
    _what: ClassVar[str] = ""

    @classmethod
    def _path_of(cls, name: object) -> tuple[str, str]:
        """The name as it is kept, and the path."""
        raise TypeError("not a kind of segment")

    def _open_it(
        self,
        name: object,
        mode: object,
        size: object,
        max_size: object,
        permissions: object,
        address: object,
        timeout: float | None,
        allocator: Allocator | type[Allocator] = BestFit,
        segment_id: bytes | None = None,
    ) -> None:
        given, path = self._path_of(name)
        how = _FLAGS[_mode_of(mode)] | self._extra
        if segment_allocator(allocator):
            how |= _opening.SEQUENTIAL
        if not how & _opening.NEW and size is not None:
            raise ValueError(f"size is for a new segment; mode {mode!r} opens one that is there")
        first, limit = segments._sizes(size, max_size)
        bits, where, wait = _permissions_of(permissions), _address_of(address), _timeout_of(timeout)
        self._begin()
        pointer, made = _opening.open_path(
            path,
            f"{self._what} {given!r}",
            how,
            segment_id=segment_id,
            size=first,
            max_size=limit,
            permissions=bits,
            address=where,
            timeout=wait,
        )
        self._given, self._path, self._mode, self._permissions = given, path, str(mode), bits
        self._made = made
        self._hold(pointer)

    def _again(self, address: int) -> Segment:
        other = super()._again(address)
        assert isinstance(other, _Named)
        other._path, other._made = self._path, False
        return other

    @classmethod
    def _reach(cls, path: str, mode: str, permissions: int, segment_id: bytes) -> Segment:
        """The segment that a handle from elsewhere speaks of."""
        found = segments.find(segment_id, mode == "r")
        if found is not None:
            return found
        segment = cls.__new__(cls)
        segment._open_it(path, mode, None, None, permissions, None, None, segment_id=segment_id)
        return segment

    def _way(self) -> tuple[object, ...] | None:
        if self._mode == "c":
            return _private, (os.getpid(), self.id)
        return self._reach, (self._given_whole(), "r" if self._mode == "r" else "r+", self._permissions, self.id)

    def _given_whole(self) -> str:
        """What leads to it from any folder."""
        assert self._given is not None
        return self._given

    @classmethod
    def remove(cls, name: str | os.PathLike[str]) -> bool:
        """Remove the name, and with it the segment once nobody has it open any more.

        Returns: whether there was one.
        Raises: SegmentPermissionError if the system does not allow it.
        """
        given, path = cls._path_of(name)
        return _opening.unlink(path, f"{cls._what} {given!r}")

    def unlink(self) -> bool:
        """The same for this segment; it can be used until it is closed.

        Returns: whether the name led to this segment still.
        """
        identity = None if self._mode == "c" else self._identity
        try:
            there = os.stat(self._path)  # noqa: PTH116 -- kept as str
        except FileNotFoundError:
            return False
        if identity is None or (there.st_dev, there.st_ino) != (identity.dev, identity.ino):
            return False
        return _opening.unlink(self._path, self._name)

    def close(self) -> None:
        """Let go of the segment in this process. Twice is as good as once; nothing is removed.

        Nothing more can be made or looked up in it through this object. Handles of objects in it can be used on, and
        keep it open; without any, the process has left it when this returns.
        """
        _close(self)


def _close(self: Segment) -> None:
    self._closed = True
    pointer, self._pointer = self._pointer, 0
    if pointer:
        _binding.release(pointer)


class ManagedSharedMemory(_Named):
    """A segment in shared memory that programs find by its name; it lasts until it is removed or the machine goes down.

    Args: `name`, a str without slashes inside (one may lead, as POSIX has it); portable are a letter and then
    letters, digits and underscores; too long ones are shortened by a hash. `mode`: "a" to open it or else create it,
    "x" to create it, "r+" to open it, "r" for reading only, "c" for a copy of this process's own. `size`, bytes of a
    new one that are backed by memory at once; `max_size`, bytes that it may grow to by itself; both are ignored if it
    is there. `permissions` of a new one; one of another user, or that other users may write to, is refused unless the
    permissions given have bits for them. `address`: where to map it, or fail. `timeout`, seconds to wait for another
    process that is making or opening it just then; None: 60.
    Raises: SegmentExistsError, SegmentNotFoundError, SegmentPermissionError, SegmentVersionError,
    SegmentCorruptedError, SegmentFullError, SegmentSystemError if the address is taken, TimeoutError; TypeError,
    ValueError for bad arguments.
    Source: Boost.Interprocess `managed_shared_memory`.
    """

    __slots__ = ()

    backing = "shm"
    _what = "shared memory"

    def __init__(
        self,
        name: str,
        mode: str = "a",
        size: int | None = None,
        *,
        max_size: int | None = None,
        permissions: int = 0o600,
        address: int | None = None,
        timeout: float | None = None,
        allocator: Allocator | type[Allocator] = BestFit,
    ) -> None:
        self._open_it(name, mode, size, max_size, permissions, address, timeout, allocator)

    @classmethod
    def _path_of(cls, name: object) -> tuple[str, str]:
        path = _shared_memory_path(name)
        assert isinstance(name, str)
        return name, path


class ManagedMappedFile(_Named):
    """A segment in a file: it outlives its processes and the machine's run.

    After any death of processes whoever opens it next puts it right. If the machine itself went down while it was in
    use, all of it is checked when it is opened, and it is refused if it is not sound; `flush()`, and the last process's
    leaving, write all to the disk.

    Args: `path` of the file, which may be there and empty; all others as those of `ManagedSharedMemory`.
    Raises: as `ManagedSharedMemory`.
    Source: Boost.Interprocess `managed_mapped_file`.
    """

    __slots__ = ()

    backing = "file"
    _extra = _opening.FILE
    _what = "file"

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "a",
        size: int | None = None,
        *,
        max_size: int | None = None,
        permissions: int = 0o600,
        address: int | None = None,
        timeout: float | None = None,
        allocator: Allocator | type[Allocator] = BestFit,
    ) -> None:
        self._open_it(path, mode, size, max_size, permissions, address, timeout, allocator)

    @classmethod
    def _path_of(cls, name: object) -> tuple[str, str]:
        if isinstance(name, bytes):
            raise TypeError("a path is a str or a path object, not bytes")
        path = os.fspath(name)  # type: ignore[call-overload]
        assert isinstance(path, str)
        if not path:
            raise ValueError("the path is empty")
        return path, os.path.abspath(path)  # noqa: PTH100 -- links are not followed yet

    def _given_whole(self) -> str:
        return self._path


def _private(pid: int, segment_id: bytes) -> Segment:
    """The segment in this process's private memory that a handle speaks of."""
    found = None
    if pid == os.getpid():
        found = segments.find(segment_id) or segments.find(segment_id, True)
    if found is None:
        raise SegmentNotFoundError.because(
            f"cannot find segment {segment_id.hex()[:8]}: it is in the private memory of process {pid}",
            advice="Send to_bytes(), or use a segment that processes can share",
        )
    return found


class _Private(Segment):
    """What segments that no other process can have in common."""

    __slots__ = ()

    def _way(self) -> tuple[object, ...] | None:
        return _private, (os.getpid(), self.id)

    def close(self) -> None:
        """Let go of the segment: its memory goes with the last handle of an object in it."""
        _close(self)

    def to_bytes(self) -> bytes:
        """All of the segment as bytes: what is named, or was sent and not yet received, is there when they are loaded.

        Other threads' changes wait meanwhile.
        Raises: SegmentClosedError.
        """
        return _opening.save(self._open, self._name)


class ManagedHeapMemory(_Private):
    """A segment in this process's private memory: the same objects, for one process, to be sent as bytes.

    Args: `size`, bytes backed by memory at once; None for the default. `max_size`, bytes it may grow to by itself, or
    by `grow()`; it never has to move. `lock`: False says that only one thread will use it; it is as safe either way,
    and as fast. `address`: where to have it, or fail.
    A forked child has a copy of its own.
    Raises: TypeError, ValueError for bad sizes; MemoryError; SegmentSystemError if the address is taken.
    Source: Boost.Interprocess `managed_heap_memory`.
    """

    __slots__ = ()

    backing = "heap"

    def __init__(
        self,
        size: int | None = None,
        lock: bool = True,
        *,
        max_size: int | None = None,
        address: int | None = None,
        allocator: Allocator | type[Allocator] = BestFit,
    ) -> None:
        first, limit = segments._sizes(size, max_size)
        where, fit = _address_of(address), segment_allocator(allocator)
        self._begin()
        self._mode = "x"
        self._hold(_opening.create_heap(first, limit, fit, where))

    @classmethod
    def from_bytes(cls, data: object, *, max_size: int | None = None) -> ManagedHeapMemory:
        """Make a segment of its own from what `to_bytes()` gave, in this or another process.

        Args: `data`, any contiguous buffer, which is copied.
        Raises: SegmentCorruptedError, SegmentVersionError.
        """
        _, limit = segments._sizes(None, max_size)
        made = cls.__new__(cls)
        made._begin()
        made._hold(_opening.load(data, limit, False, f"{type(data).__name__} object"))
        return made


class ManagedExternalBuffer(_Private):
    """A segment in memory that the caller has: a `bytearray`, an `mmap`, bytes received from elsewhere.

    Args: `buffer`, contiguous; it is kept, and must not be changed by others, as long as the segment or anything in it
    is used. `mode`: "x" to make a segment in it, "r+" to use the one that is there, "a" to make one if the buffer
    begins with zeros, "r" for reading only, "c" for a copy of one's own; None: "a" if the buffer can be written to,
    else "r".
    A segment in a buffer does not grow beyond it. One that is written to must begin at a multiple of 64 bytes; one
    that is only read is copied if it does not.
    Raises: ValueError for a buffer that is too small, or begins elsewhere; BufferError, TypeError for what is no
    buffer; SegmentExistsError; SegmentCorruptedError, SegmentVersionError for what holds no segment that can be used.
    Source: Boost.Interprocess `managed_external_buffer`.
    """

    __slots__ = ()

    backing = "buffer"

    def __init__(self, buffer: object, mode: str | None = None) -> None:
        with memoryview(buffer) as view:  # type: ignore[arg-type]
            readonly, nbytes = view.readonly, view.nbytes
        how = _mode_of(mode if mode is not None else "r" if readonly else "a")
        what = f"a {type(buffer).__name__}"
        if readonly and how in ("x", "r+", "a"):
            raise BufferError(f"{what} of {nbytes} bytes is read-only: mode {how!r} needs to write to it")
        self._begin()
        if how == "c":
            address, keeper = _opening.load(buffer, 0, False, what), None
        else:
            address, keeper = _opening.adopt(buffer, how, what)
        self._mode = how
        self._hold(address)
        if keeper is not None:
            _types._keep(self, keeper)
