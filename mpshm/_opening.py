"""Getting at segments that are not anonymous: calls of the core, and what it means when they fail.

A part of `_binding`; the rules of that module hold here. An *address* is an `mps_seg *` as an int, with a reference
that the caller owns.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import Final

from ._binding import _address, _ok, _pointer, ffi, lib
from .errors import (
    SegmentCorruptedError,
    SegmentExistsError,
    SegmentFullError,
    SegmentNotFoundError,
    SegmentPermissionError,
    SegmentSystemError,
    SegmentVersionError,
    status_error,
)

__all__ = [
    "COPY",
    "FILE",
    "NEW",
    "OLD",
    "READ",
    "adopt",
    "create_heap",
    "flush",
    "load",
    "open_path",
    "save",
    "shrink",
    "unlink",
    "zero_free",
]

# MPS_OPEN_*
OLD: Final = 1
NEW: Final = 2
READ: Final = 4
COPY: Final = 8
FILE: Final = 16
SEQUENTIAL: Final = 32

_SLICE = 0.1  # seconds

_FULL, _CORRUPT, _NOTFOUND, _EXISTS, _VERSION, _PERM = -2, -3, -6, -7, -8, -9
_TIMEOUT, _RANGE, _INVAL, _BUSY, _FOREIGN = -11, -13, -17, -21, -22


def open_path(
    path: str,
    what: str,
    how: int,
    *,
    segment_id: bytes | None = None,
    size: int = 0,
    max_size: int = 0,
    permissions: int = 0o600,
    address: int = 0,
    timeout: float = 60.0,
) -> tuple[int, bool]:
    """Make or open the segment that `path` leads to. Returns its address, and whether it was made.

    Args: `what` names it in messages; `how`, the flags above; `segment_id`, what it must be; `timeout` in seconds, how
    long to wait for others that are opening it.
    """
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    kept = ffi.new("char[]", encoded)
    kept_id = ffi.NULL if segment_id is None else ffi.new("uint8_t[16]", segment_id)
    opening = ffi.new(
        "mps_opening *",
        {
            "path": kept,
            "id": kept_id,
            "size": size,
            "max_size": max_size,
            "permissions": permissions,
            "address": address,
            "how": how,
        },
    )
    out = ffi.new("mps_seg **")
    deadline = monotonic() + timeout
    while True:  # in slices, so that signals are served
        left = deadline - monotonic()
        opening.timeout_ns = int(max(min(left, _SLICE), 0) * 1e9)
        status = lib.mps_seg_open(opening, out)
        if status != _TIMEOUT or left <= _SLICE:
            break
    if status < 0:
        why = ffi.string(opening.why).decode("utf-8", "replace")
        raise _open_error(status, lib.mps_last_errno(), what, why, opening.version, address, segment_id, timeout)
    return _address(out[0]), bool(opening.made)


def _open_error(
    status: int,
    errno: int,
    what: str,
    why: str,
    version: int,
    address: int,
    segment_id: bytes | None,
    timeout: float,
) -> Exception:
    """The exception for a segment that could not be opened."""
    made: Exception | None = None
    if status == _NOTFOUND:
        made = SegmentNotFoundError.because(
            f"there is no {what}, or nobody has made a segment of it yet",
            advice="Make it with mode 'a' or 'x', or see whether the name is right",
            status=status,
        )
    elif status == _EXISTS:
        made = SegmentExistsError.because(
            f"cannot create {what}: it exists",
            advice="Open it with mode 'r+' or 'a', remove it, or choose another name",
            status=status,
        )
    elif status == _FOREIGN and segment_id is not None:
        made = SegmentNotFoundError.because(
            f"cannot open {what}: another segment is in the place of the one that was meant",
            advice="Send the object again",
            status=status,
        )
    elif status == _FOREIGN:
        made = SegmentCorruptedError.because(
            f"cannot open {what}: it is no segment of this library; it was left as it is",
            advice="Give another name, or remove it if nobody needs it",
            status=status,
        )
    elif status == _VERSION:
        has = f"format version {version}" if version else "the byte order of another kind of machine"
        made = SegmentVersionError.because(
            f"cannot open {what}: it has {has}, and this library reads version {lib.MPS_VERSION} of this machine's",
            advice="Use the library that made it, or remove it and make it anew",
            status=status,
        )
    elif status == _CORRUPT and why:
        made = SegmentCorruptedError.because(
            f"cannot open {what}: {why}",
            advice="Restore it from a copy, or remove it and make it anew",
            status=status,
        )
    elif status == _PERM and why:
        made = SegmentPermissionError.because(
            f"cannot open {what}: {why}",
            advice="Make it this user's alone (chmod 600), or pass the permissions that you trust",
            status=status,
        )
    elif status == _FULL:
        made = SegmentFullError.because(
            f"cannot create {what}: the system refused the memory",
            advice="Ask for a smaller size, or make room there (df), or see the limit of a file's size (ulimit -f)",
            status=status,
            errno=errno,
        )
    elif status == _TIMEOUT:
        made = TimeoutError(f"cannot open {what}: another process has been making or opening it for {timeout:g} s")
    elif status == _BUSY:
        made = SegmentSystemError.because(
            f"cannot map {what} at {address:#x}: something else is there, or it is mapped elsewhere already",
            advice="Choose another address, or none",
            status=status,
        )
    return made or status_error(status, errno, "open", what)


def unlink(path: str, what: str) -> bool:
    """Remove the path; whether it was there."""
    status = lib.mps_seg_unlink(os.fsencode(path))
    if status == _NOTFOUND:
        return False
    _ok(status, "remove", what)
    return True


def create_heap(size: int, max_size: int, allocator: int, address: int) -> int:
    """Make a segment in private memory."""
    out = ffi.new("mps_seg **")
    status = lib.mps_seg_create_heap(size, max_size, allocator, address, out)
    if status == _BUSY:
        raise _open_error(status, 0, "a segment in private memory", "", 0, address, None, 0)
    _ok(status, "create", "a segment in private memory")
    return _address(out[0])


def _bytes_error(status: int, what: str, nbytes: int) -> Exception:
    """The exception for bytes that cannot be used as a segment."""
    if status == _INVAL:
        return ValueError(f"{what} of {nbytes} bytes is too small for a segment, which takes about 100 KB at least")
    if status == _CORRUPT:
        return SegmentCorruptedError.because(
            f"cannot use {what}: its bytes contradict themselves, or its end is missing", status=status
        )
    if status == _FOREIGN:
        return SegmentCorruptedError.because(
            f"cannot use {what}: it holds no segment of this library",
            advice="Pass mode='x' to make one in it",
            status=status,
        )
    return status_error(status, lib.mps_last_errno(), "use", what)


def load(data: object, max_size: int, readonly: bool, what: str) -> int:
    """Copy the segment in some bytes to private memory."""
    source = ffi.from_buffer("uint8_t[]", data)
    nbytes = len(ffi.buffer(source))
    out = ffi.new("mps_seg **")
    status = lib.mps_seg_load(source, nbytes, max_size, readonly, out)
    if status < 0:
        raise _bytes_error(status, what, nbytes)
    return _address(out[0])


def adopt(buffer: object, mode: str, what: str) -> tuple[int, object]:
    """Use a buffer as a segment's memory: `mode` "x", "r+", "a" or "r".

    Returns: the address, and what has to live as long as the segment is used.
    """
    readonly = mode == "r"
    source = ffi.from_buffer("uint8_t[]", buffer, require_writable=not readonly)
    data = ffi.buffer(source)
    nbytes = len(data)
    found = lib.mps_slots_find_at(source) if nbytes else ffi.NULL
    if found and mode != "x":
        return _address(found), source
    if found:
        lib.mps_seg_release(found)
        raise SegmentExistsError.because(f"cannot create a segment in {what}: one is in use there")
    if int(ffi.cast("uintptr_t", source)) % 64:
        if readonly:
            return load(buffer, 0, True, what), None
        raise ValueError(f"{what} does not begin at a multiple of 64 bytes: take a slice of it that does, or an mmap")
    out = ffi.new("mps_seg **")
    make = mode == "x" or (mode == "a" and not any(data[:4096]))
    status = (
        lib.mps_seg_adopt_readonly(source, nbytes, out) if readonly else lib.mps_seg_adopt(source, nbytes, make, out)
    )
    if status < 0:
        raise _bytes_error(status, what, nbytes)
    return _address(out[0]), source


def save(address: int, name: str) -> bytes:
    """All bytes of a segment, while its changes wait."""
    extent = ffi.new("uint64_t *")
    while True:
        _ok(lib.mps_seg_extent(_pointer(address), extent), "copy", name)
        nbytes = int(extent[0])
        to = ffi.new("uint8_t[]", nbytes)
        status = lib.mps_seg_save(_pointer(address), to, nbytes)
        if status != _RANGE:  # it has not grown meanwhile
            _ok(status, "copy", name)
            return bytes(ffi.buffer(to))


def flush(address: int, name: str) -> None:
    """See to it that all is on the disk."""
    _ok(lib.mps_seg_flush(_pointer(address)), "flush", name)


def shrink(address: int, name: str) -> None:
    """Give free memory back to the system."""
    _ok(lib.mps_seg_shrink(_pointer(address)), "shrink", name)


def zero_free(address: int, name: str) -> None:
    """Overwrite free memory."""
    _ok(lib.mps_seg_zero_free(_pointer(address)), "clear the free memory of", name)
