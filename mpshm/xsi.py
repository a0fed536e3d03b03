"""System V shared memory (XSI): what older programs share by a number."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import _types
from .errors import MpshmError, SegmentFullError
from .memory import check_room, check_size, refused
from .regions import Region, check_address

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["XSISharedMemory", "xsi_key"]

_PRIVATE = 0  # IPC_PRIVATE
_INTS = range(-(1 << 31), 1 << 31)
_MODES = ("x", "r+", "a", "r")
_GONE = "Create it first, with mode 'a' or 'x' and a size"


def xsi_key(path: str | os.PathLike[str], id: int = 1) -> int:
    """The number that all programs get from the same existing file and the same `id`.

    Args: `id`, 1 to 255.
    Raises: ValueError for another id; FileNotFoundError if there is no such file.
    Source: `ftok`, Boost.Interprocess `xsi_key`.
    """
    if not isinstance(id, int):
        raise TypeError(f"the id of a key is an int, not {type(id).__name__}")
    if not 0 < id < 256:
        raise ValueError(f"the id of a key is between 1 and 255, not {id}")
    try:
        return _types.Window._xsi_key(path, id)
    except OSError as error:
        raise refused(
            error, "make a key of", os.fspath(path), advice="Give a file that exists, the same in all programs"
        ) from None


class XSISharedMemory(Region):
    """System V shared memory, whole, as a buffer.

    Args: `key`, of `xsi_key()` or agreed on otherwise; None makes memory that only its `shmid` leads to. `size` in
    bytes, needed to make it. `mode`: `'x'` make it, `'a'` make it unless it is there, `'r+'` or `'r'` attach; by
    default `'a'` with a size, `'r+'` without. `permissions` of what is made. `address`: map there, a
    multiple of `PAGESIZE`, or fail.
    Raises: TypeError, ValueError for bad arguments, and if it is there and smaller than `size`; SegmentNotFoundError;
    SegmentExistsError; SegmentFullError; SegmentPermissionError.

    It stays until `remove()`, or until the machine is restarted: no process's end removes it. (SharedMemory does better
    wherever both sides can use it.)
    Source: `shmget`, Boost.Interprocess `xsi_shared_memory`.
    """

    __slots__ = ("_key", "_shmid")

    _key: int
    _shmid: int

    def __init__(
        self,
        key: int | None,
        size: int | None = None,
        mode: str | None = None,
        *,
        permissions: int = 0o600,
        address: int | None = None,
    ) -> None:
        if key is not None and not isinstance(key, int):
            raise TypeError(f"the key of XSI shared memory is an int or None, not {type(key).__name__}")
        number = _PRIVATE if key is None else key
        if number not in _INTS:
            raise ValueError(f"{number} is no key of XSI shared memory: it has 32 bits")
        what = f"XSI shared memory of key {number:#x}" if number else "private XSI shared memory"
        how = mode if mode is not None else "a" if size is not None else "r+"
        if how not in _MODES:
            raise ValueError(f"mode {how!r} for {what}: use 'x' (make), 'a' (make unless there), 'r+' or 'r' (attach)")
        nbytes = 0 if size is None else check_size(size, what)
        create = how in ("x", "a")
        if create and nbytes == 0:
            raise ValueError(f"'size' must be a positive number different from zero, to create {what}")
        if number == _PRIVATE and not create:
            raise ValueError(f"cannot attach to {what}: it has no key. Use XSISharedMemory.from_shmid()")
        self._start(what, number, _get(what, number, nbytes, how, permissions), how, address)

    @classmethod
    def from_shmid(cls, shmid: int, mode: str = "r+", *, address: int | None = None) -> Self:
        """Attach to the memory of this identifier. Args: `mode`, `'r+'` or `'r'`. Raises: as the class."""
        if not isinstance(shmid, int):
            raise TypeError(f"a shmid is an int, not {type(shmid).__name__}")
        what = f"XSI shared memory {shmid}"
        if mode not in ("r", "r+"):
            raise ValueError(f"mode {mode!r} for {what}: use 'r+' or 'r'")
        self = cls.__new__(cls)
        self._start(what, _PRIVATE, shmid, mode, address)
        return self

    def _start(self, what: str, key: int, shmid: int, mode: str, address: int | None) -> None:
        if not self.closed:
            raise ValueError(f"{self._what} is mapped already")
        self._what = what
        self._key = key
        self._shmid = shmid
        self._mode = "r" if mode == "r" else "r+"
        try:
            self._attach(shmid, int(self._mode != "r"), check_address(address, what))
        except ValueError:
            raise ValueError(f"cannot map {what} at {address:#x}: use a multiple of PAGESIZE, or none") from None
        except OSError as error:
            if error.errno in (22, 43):  # EINVAL, EIDRM
                raise refused(FileNotFoundError(2, os.strerror(2)), "attach to", what, advice=_GONE) from None
            self._refused(error, "attach to")

    @property
    def key(self) -> int:
        """The number that it was asked for by; 0 if none."""
        return self._key

    @property
    def shmid(self) -> int:
        """The system's identifier of it, the same in all processes."""
        return self._shmid

    @property
    def buf(self) -> memoryview:
        """The memory, as a new memoryview."""
        return memoryview(self)

    def remove(self: XSISharedMemory | int) -> None:
        """Remove it: nobody can attach any more, and it ends with the last that is.

        `XSISharedMemory.remove(shmid)` does it without attaching.

        Raises: SegmentNotFoundError if it was removed; SegmentPermissionError.
        """
        shmid = self if isinstance(self, int) else self._shmid
        what = f"XSI shared memory {shmid}"
        try:
            _types.Window._xsi_remove(shmid)
        except OSError as error:
            gone = error.errno in (22, 43)
            if gone:
                error = FileNotFoundError(2, os.strerror(2))
            raise refused(
                error, "remove", what, advice="It was removed before" if gone else "Its owner may remove it"
            ) from None

    def __reduce__(self) -> tuple[object, ...]:  # type: ignore[override]
        return type(self).from_shmid, (self._shmid, self._mode)


def _get(what: str, key: int, size: int, mode: str, permissions: int) -> int:
    """The identifier of the memory, made if need be."""
    create = mode in ("x", "a")
    if create:
        check_room(size, "create", what)
    rights = permissions & 0o666 if create else 0
    try:
        return _types.Window._xsi_get(key, size, create, mode == "x", rights)
    except OSError as error:
        raise _why(error, what, size, create) from None


def _why(error: OSError, what: str, size: int, create: bool) -> MpshmError | ValueError:
    if error.errno in (12, 28):
        return SegmentFullError.because(
            f"cannot create {what}: the system refuses {size} bytes",
            advice="Ask for fewer, remove what is not needed (ipcs -m), or raise the limits (kernel.shmmax, shmall)",
            errno=error.errno,
        )
    if error.errno == 22:
        return ValueError(
            f"cannot get {what} with {size} bytes: the one that is there is smaller, or it is more than the system "
            "allows. Leave the size out, or remove it first"
        )
    tried = "create" if create else "open"
    return refused(error, tried, what, advice=_GONE if error.errno == 2 else None)
