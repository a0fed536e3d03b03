"""The one module that talks to the core: it turns addresses into Python values and statuses into exceptions.

The compiled file holds two modules. `mpshm._ffi` is found by Python's import system; `mpshm._types` is loaded here
out of the same file, before anything else asks for it.

An *address* below is an `mps_seg *` as an int. Whoever gets one from `create_anonymous`, `attach` or `find` owns one
reference to it and gives it back with `release`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from types import ModuleType
from typing import NamedTuple

from . import _ffi
from .errors import SegmentCorruptedError, SegmentFullError, status_error

__all__ = [
    "Identity",
    "Stats",
    "attach",
    "check",
    "create_anonymous",
    "find",
    "grow",
    "identity",
    "in_use",
    "is_closed",
    "is_sequential",
    "keep",
    "memory_limit",
    "recover",
    "release",
    "reserve",
    "shutdown",
    "stats",
    "types",
]

ffi = _ffi.ffi
lib = _ffi.lib

_WHY_BYTES = 512


def _load_types() -> ModuleType:
    """Load `mpshm._types` out of the file that holds `mpshm._ffi`; once per process."""
    name = __package__ + "._types"
    if name in sys.modules:
        return sys.modules[name]
    loader = ExtensionFileLoader(name, _ffi.__file__)
    module = loader.create_module(spec := ModuleSpec(name, loader, origin=_ffi.__file__))
    module.__spec__ = spec
    module.__loader__ = loader
    module.__package__ = __package__
    module.__file__ = _ffi.__file__
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


types = _load_types()


class Stats(NamedTuple):
    """What a segment holds at one moment.

    In bytes: `size` is backed by memory now, of at most `max_size`; `used` is in blocks, `free` the rest of
    `size`, `largest_free` the largest single piece of it; `overhead` is what each block costs besides;
    `cached` is what processes keep at hand for their next objects. Counts: `objects` and `blocks` alive,
    `processes` attached now, of at most `slots`; `recoveries`, the dead processes that were cleaned up after.
    """

    size: int
    used: int
    free: int
    max_size: int
    largest_free: int
    overhead: int
    cached: int
    objects: int
    blocks: int
    processes: int
    slots: int
    recoveries: int


class Identity(NamedTuple):
    """What tells a segment from every other, and how this process holds it.

    `id` is 16 random bytes; `dev` and `ino` are the memory file's; `fd` is this process's descriptor of it,
    which the core owns, -1 if there is no file; `address` is where this process has it mapped; `readonly` and `heap`
    are 1 where it may not be written to, and where nobody else can have it.
    """

    id: bytes
    dev: int
    ino: int
    max_size: int
    fd: int
    slot: int
    address: int
    readonly: int
    heap: int


def _pointer(address: int) -> _ffi.Segment:
    return ffi.cast("mps_seg *", address)


def _address(pointer: _ffi.Segment) -> int:
    return int(ffi.cast("uintptr_t", pointer))


def _ok(status: int, tried: str, object: str) -> int:
    """Hand a good status back, and raise what a bad one means."""
    if status < 0:
        raise status_error(status, lib.mps_last_errno(), tried, object)
    return status


def create_anonymous(size: int, max_size: int, allocator: int = 0) -> int:
    """Make a segment in memory without a name; 0 asks for a default, `allocator` 1 for sequential fit.

    Returns its address.
    """
    out = ffi.new("mps_seg **")
    try:
        _ok(lib.mps_seg_create_with(size, max_size, allocator, out), "create", "a segment in anonymous memory")
    except SegmentFullError as full:
        raise SegmentFullError.because(
            "cannot create a segment in anonymous memory: the system refused the memory",
            advice="Ask for a smaller size, or see the system's limits of memory and of a file's size (ulimit -f)",
            status=full.status,
        ) from None
    return _address(out[0])


def attach(fd: int, segment_id: bytes) -> int:
    """Attach to the segment behind `fd`, which stays the caller's, if its id is `segment_id`. Returns its
    address."""
    out = ffi.new("mps_seg **")
    _ok(lib.mps_seg_attach_fd(fd, segment_id, out), "attach to", f"segment {segment_id.hex()[:8]}")
    return _address(out[0])


def find(segment_id: bytes, readonly: bool = False) -> int | None:
    """The address of a segment that this process is attached to already (for reading only, if so asked), or None."""
    pointer = lib.mps_seg_find(segment_id, readonly)
    return _address(pointer) if pointer else None


def release(
    address: int,
    # Bound here, since this runs up to the very end of the process, when the module's names are gone.
    _cast: Callable[[str, int], _ffi.Segment] = ffi.cast,
    _release: Callable[[_ffi.Segment], None] = lib.mps_seg_release,
) -> None:
    """Give one reference back; with the last one the process lets go of the segment."""
    _release(_cast("mps_seg *", address))


def in_use(
    address: int,
    # Bound here, since this too runs up to the end of the process.
    _cast: Callable[[str, int], _ffi.Segment] = ffi.cast,
    _new: Callable[[str], _ffi.Cdata] = ffi.new,
    _stats: Callable[[_ffi.Segment, _ffi.Cdata], int] = lib.mps_seg_stats,
    _is_closed: Callable[[_ffi.Segment], int] = lib.mps_seg_is_closed,
) -> bool:
    """Whether the segment holds any object. False for one that was shut down."""
    segment, out = _cast("mps_seg *", address), _new("mps_stats *")
    return not _is_closed(segment) and _stats(segment, out) == 0 and out.objects > 0


def shutdown(address: int, name: str) -> None:
    """End the segment for every process: whatever is asked of it from now on is refused."""
    _ok(lib.mps_seg_shutdown(_pointer(address)), "shut down", name)


def is_sequential(address: int) -> bool:
    """Whether the segment was made with sequential fit."""
    return bool(lib.mps_seg_is_sequential(_pointer(address)))


def keep(address: int, nbytes: int) -> None:
    """Let so many bytes lie free with their memory when this process frees some."""
    lib.mps_seg_keep(_pointer(address), nbytes)


def is_closed(address: int) -> bool:
    """Whether the segment was shut down, by any process."""
    return bool(lib.mps_seg_is_closed(_pointer(address)))


def identity(address: int) -> Identity:
    """Who the segment is."""
    out = ffi.new("mps_identity *")
    lib.mps_seg_identity(_pointer(address), out)
    return Identity(bytes(ffi.buffer(out.id)), *(getattr(out, field) for field in Identity._fields[1:]))


def stats(address: int, name: str) -> Stats:
    """Count what the segment holds."""
    out = ffi.new("mps_stats *")
    _ok(lib.mps_seg_stats(_pointer(address), out), "take the statistics of", name)
    return Stats(*(getattr(out, field) for field in Stats._fields))


def check(address: int, name: str) -> None:
    """Walk the whole segment. Raises SegmentCorruptedError saying what is wrong."""
    why = ffi.new("char[]", _WHY_BYTES)
    status = lib.mps_seg_check(_pointer(address), why, _WHY_BYTES)
    said = ffi.string(why).decode("utf-8", "replace")
    if said and status in SegmentCorruptedError.statuses:
        raise SegmentCorruptedError.because(f"{name} is corrupted: {said}", status=status)
    _ok(status, "check", name)


def grow(address: int, nbytes: int, name: str) -> None:
    """Back the segment with `nbytes` more."""
    _ok(lib.mps_seg_grow(_pointer(address), nbytes), f"add {nbytes} bytes to", name)


def recover(address: int, name: str) -> int:
    """Clean up after dead processes now. Returns how many there were."""
    return _ok(lib.mps_seg_recover(_pointer(address)), "recover", name)


def reserve(fd: int, offset: int, nbytes: int, tried: str, name: str) -> None:
    """Give a range of a file memory, growing the file where it is shorter.

    Raises: SegmentFullError if the system refuses, and then nothing has changed.
    """
    status = lib.mps_os_reserve(fd, offset, nbytes)
    if status in SegmentFullError.statuses:
        raise SegmentFullError.because(
            f"cannot {tried} {name}: there is no memory for so many bytes",
            advice="Ask for fewer, or free some: see the room that is left in /dev/shm (df) and in memory (free)",
            status=status,
            errno=lib.mps_last_errno() or None,
        )
    _ok(status, tried, name)


def memory_limit() -> int:
    """Bytes of memory that this process may hope for: the machine's, or its control group's limit."""
    return int(lib.mps_os_memory_limit())
