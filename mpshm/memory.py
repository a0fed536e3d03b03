"""Files of shared memory: how they get a name, are found, marked, reserved and given up.

There are two kinds. A *named* one is a file in /dev/shm, there until somebody removes it. A *nameless* one (a memfd) is
there as long as a process has it open; what is called its name is found by looking at what processes have open.

Marks, and the locks of `file_locks`, tell every process what it has to know:

- A file that is to go with its maker carries the mode bits `_MARK`: marked and not live, it is as good as removed, and
  whoever meets it removes it; a guard does if nobody else comes (`guards`).
- A nameless file that was unlinked carries them as well: nobody finds it any more. When nobody uses it either, it gives
  its memory back, whoever still has a descriptor of it.
"""

# Descriptors, and thousands of files below /proc: no pathlib.
# ruff: noqa: PTH108, PTH115, PTH116, PTH123, PTH208

from __future__ import annotations

import atexit
import errno
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator

from . import _binding, guards
from .errors import (
    MpshmError,
    SegmentExistsError,
    SegmentFullError,
    SegmentNotFoundError,
    SegmentPermissionError,
    SegmentSystemError,
)
from .file_locks import again, be_live, is_live, settled, users

__all__ = [
    "Pin",
    "check_name",
    "check_permissions",
    "check_room",
    "check_size",
    "create_named",
    "create_nameless",
    "discard",
    "file_of",
    "folder",
    "is_marked",
    "last_use",
    "let_go",
    "mappers",
    "new_name",
    "open_file",
    "refused",
    "remove_all",
    "reserve",
    "sweep",
    "unlink_named",
    "unlink_nameless",
]

File = tuple[int, int]  # device, inode

_MARK = stat.S_ISVTX | stat.S_ISGID  # no other program gives both to a file that nobody executes
_RIGHTS = 0o666
_OTHERS = 0o066  # rights of other users
_NO_EXEC = 8  # MFD_NOEXEC_SEAL

_NO_MEMORY_THERE = (errno.EISDIR, errno.ELOOP, errno.ENXIO)  # a folder, a link, a socket

_LABEL = "mpshm-shm-"
_FOUND_AFAR = re.compile(r"psm_([0-9a-f]{1,8})_[0-9a-f]{16}")  # what new_name() makes: the maker's pid is in it
_LONGEST = 255  # bytes of a name: the system's limit
_LARGEST = 1 << 60
_LOOKED_UP_FROM = 16 << 20  # bytes; for less nobody asks how much memory there is


def folder() -> str:
    """Where named memory is."""
    return os.environ.get("MPSHM_DIR") or "/dev/shm"


# ---- arguments ----


def check_name(name: object, what: str) -> str:
    """The name without the slash that POSIX puts before it. Raises: TypeError, ValueError for what can't be one."""
    if not isinstance(name, str):
        raise TypeError(f"the name of {what} is a str, not {type(name).__name__}")
    bare = name.removeprefix("/")
    if "\0" in bare:
        raise ValueError(f"embedded null character in {name!r}: give {what} a name without one")
    if not bare or "/" in bare or bare in (".", ".."):
        raise ValueError(f"{name!r} cannot name {what}: use letters, digits, '_', '-' and '.', and no '/'")
    try:
        nbytes = len(os.fsencode(bare))
    except UnicodeEncodeError:
        raise ValueError(f"{name!r} cannot name {what}: the file system has no such characters") from None
    if nbytes > _LONGEST:
        raise ValueError(f"{name!r} cannot name {what}: it has more than {_LONGEST} bytes, use a shorter one")
    return bare


def check_size(size: object, what: str) -> int:
    """A size in bytes. Raises: TypeError, ValueError."""
    if not hasattr(size, "__index__"):
        raise TypeError(f"the size of {what} is an int, a number of bytes, not {type(size).__name__}")
    nbytes: int = size.__index__()
    if nbytes < 0:
        raise ValueError(f"'size' must be a positive integer, not {nbytes}, for {what}")
    if nbytes > _LARGEST:
        raise ValueError(f"'size' must be at most {_LARGEST} bytes, not {nbytes}, for {what}")
    return nbytes


def check_permissions(permissions: object, what: str) -> int:
    """Bits of who may read and write. Raises: TypeError, ValueError."""
    if not isinstance(permissions, int):
        raise TypeError(f"the permissions of {what} are an int such as 0o600, not {type(permissions).__name__}")
    if permissions & ~_RIGHTS:
        raise ValueError(
            f"permissions {permissions:#o} of {what}: only bits of 0o666, to read and to write, can be given"
        )
    return permissions


def refused(error: OSError, tried: str, what: str, *, advice: str | None = None) -> MpshmError:
    """The error to raise for a system call's: what was tried, on what."""
    kinds: dict[type[OSError], type[MpshmError]] = {
        FileNotFoundError: SegmentNotFoundError,
        FileExistsError: SegmentExistsError,
        PermissionError: SegmentPermissionError,
    }
    cls = kinds.get(type(error), SegmentSystemError)
    return cls.because(f"cannot {tried} {what}", advice=advice, errno=error.errno)


# ---- others ----


def mappers(fd: int) -> tuple[list[int], bool]:
    """Processes that have the file mapped, those included that know nothing of locks; and whether there may be others
    that this user cannot look into."""
    status = os.fstat(fd)
    where = f" {os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x} {status.st_ino} "
    found, hidden = [], False
    for pid in filter(str.isdigit, _names("/proc")):
        try:
            with open(f"/proc/{pid}/maps") as maps:
                if where in maps.read():
                    found.append(int(pid))
        except PermissionError:
            hidden = True
        except OSError:
            continue
    return found, (hidden or os.geteuid() != 0) and status.st_mode & _OTHERS != 0


# ---- memory ----


def reserve(fd: int, offset: int, nbytes: int, tried: str, what: str) -> None:
    """Give a range memory now, growing the file where it is shorter, so that no use of it can fail later.

    Raises: SegmentFullError.
    """
    check_room(nbytes, tried, what)
    _binding.reserve(fd, offset, nbytes, tried, what)


def check_room(nbytes: int, tried: str, what: str) -> None:
    """See that there is memory for so many bytes: where there is none, the kernel kills. Raises: SegmentFullError."""
    if nbytes >= _LOOKED_UP_FROM and nbytes > (most := _memory_left()):
        raise SegmentFullError.because(
            f"cannot {tried} {what}: it takes {nbytes} bytes of memory, and there are {most} left",
            advice="Ask for fewer, or free some",
        )


def _memory_left() -> int:
    """Bytes that the machine could give now."""
    left = 0
    try:
        with open("/proc/meminfo") as info:
            for line in info:
                if line.startswith(("MemAvailable:", "SwapFree:")):
                    left += int(line.split()[1]) << 10
    except OSError:
        pass
    limit = _binding.memory_limit()
    return min(left, limit) if left else limit


# ---- what this process keeps ----


class Pin:
    """What a process keeps of a file that it made, so that others find it until it is unlinked or the process ends."""

    __slots__ = ("fd", "file", "path")

    def __init__(self, fd: int, path: str | None) -> None:
        self.fd = fd
        self.file = file_of(fd)
        self.path = path  # of a named one


_pins: dict[str, Pin] = {}
_once: dict[str, int] = {}  # what was done once, in which process


def _pin(name: str, fd: int, path: str | None) -> None:
    for key in list(_pins)[:8]:  # a few each time, in turn: what others have unlinked meanwhile
        pin = _pins.pop(key, None)
        if pin is not None and _is_gone(pin):
            _close(pin)
        elif pin is not None:
            _pins[key] = pin
    before = _pins.get(name)
    _pins[name] = Pin(fd, path)
    if before is not None:
        _close(before)
    if _once.get("finalizer") != os.getpid():
        _once["finalizer"] = os.getpid()
        process = sys.modules.get("multiprocessing.process")
        if process is not None and process.parent_process() is not None:  # which runs no functions of atexit
            from multiprocessing import util

            util.Finalize(None, _unlink_all, exitpriority=-100)  # after those of the program


def _close(pin: Pin) -> None:
    """Keep it no longer; it was removed."""
    os.close(pin.fd)
    if pin.path is not None:
        guards.forget(os.path.dirname(pin.path), pin.file[1])  # noqa: PTH120


def _is_gone(pin: Pin) -> bool:
    status = os.fstat(pin.fd)
    return status.st_nlink == 0 if pin.path is not None else _is_marked(status)


def let_go(name: str, file: File) -> None:
    """Keep this file no longer; nothing happens if this process did not make it."""
    pin = _pins.get(name)
    if pin is not None and pin.file == file:
        del _pins[name]
        _close(pin)


def _unlink_all(
    pins: dict[str, Pin] = _pins,
    unlink: Callable[[str], None] = os.unlink,
    look: Callable[[str], os.stat_result] = os.stat,
    close: Callable[[Pin], None] = _close,
) -> None:
    """At the end of the process: what it made, and was to go with it, goes."""
    for name in list(pins):
        pin = pins.pop(name)
        try:
            if pin.path is not None:
                status = look(pin.path)
                if (status.st_dev, status.st_ino) == pin.file:
                    unlink(pin.path)
        except OSError:
            pass
        close(pin)


def _at_exit() -> None:
    """Registered when this module is imported, and so run after what the program registers: that may still unlink."""
    util, process = (sys.modules.get(f"multiprocessing.{name}") for name in ("util", "process"))
    children = list(getattr(process, "_children", ()))
    try:
        if util is not None and all(
            child._parent_pid == os.getpid() for child in children
        ):  # not a forked one's parent's
            util._exit_function()  # waits for the children, who may need the memory; a second time it does nothing
    finally:
        _unlink_all()


atexit.register(_at_exit)


def _forget_in_child() -> None:
    """What the parent made is the parent's to keep."""
    for name in list(_pins):
        os.close(_pins.pop(name).fd)


os.register_at_fork(after_in_child=_forget_in_child)


# ---- making ----


def new_name() -> str:
    """A name that nobody has."""
    return f"psm_{os.getpid():x}_{os.urandom(8).hex()}"


def create_nameless(name: str, size: int, permissions: int, what: str) -> int:
    """Make memory that ends with the last process that has it. Returns a descriptor.

    Raises: SegmentExistsError if this process has one of the name; SegmentFullError.
    """
    if name in _pins or os.path.lexists(f"{folder()}/{name}"):
        raise SegmentExistsError.because(f"cannot create {what}: the name is taken")
    try:
        fd = os.memfd_create(_LABEL + name, os.MFD_CLOEXEC | _NO_EXEC)
    except OSError:  # before Linux 6.3
        fd = os.memfd_create(_LABEL + name, os.MFD_CLOEXEC)
    try:
        reserve(fd, 0, size, "create", what)
        own = again(fd, os.O_RDWR)
        os.fchmod(fd, permissions)
        _pin(name, own, None)
    except OSError as error:
        os.close(fd)
        raise (error if isinstance(error, MpshmError) else refused(error, "create", what)) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def create_named(
    name: str, size: int, permissions: int, tracked: bool, what: str, keeper: guards.Address | None = None
) -> int:
    """Make memory that appears under its name whole, at its full size. Returns a descriptor.

    Args: `tracked`, whether it is to go with this process; `keeper`, the guard of another process that it is to go with
    (with this one if that has died).
    Raises: SegmentExistsError if the name is taken; SegmentFullError; SegmentPermissionError.
    """
    if "sweep" not in _once:
        _once["sweep"] = os.getpid()
        sweep()
    path = f"{folder()}/{name}"
    place = fd = -1
    try:
        place = os.open(folder(), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fd = os.open(folder(), os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        reserve(fd, 0, size, "create", what)
        own = -1
        if keeper is not None:
            os.fchmod(fd, stat.S_ISVTX)
            tracked = not guards.tell(keeper, os.fstat(fd).st_ino)
            permissions |= 0 if tracked else stat.S_ISVTX
        if tracked:
            own = again(fd, os.O_RDWR)
            be_live(own)
        try:
            os.fchmod(fd, permissions | (_MARK if tracked else 0))
            if tracked:
                guards.watch(folder(), os.fstat(fd).st_ino)
            _link(fd, name, place)
            if tracked:
                _pin(name, own, path)
        except BaseException:
            if own >= 0:
                os.close(own)
                guards.forget(folder(), os.fstat(fd).st_ino)
            raise
    except BaseException as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, OSError) and not isinstance(error, MpshmError):
            raise refused(error, "create", what) from None
        raise
    finally:
        if place >= 0:
            os.close(place)
    return fd


def _link(fd: int, name: str, place: int) -> None:
    """Give a file its name, in one step; what a dead process left under it makes room."""
    for _ in range(8):
        try:
            os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=place, dst_dir_fd=place)
            return
        except FileExistsError:
            if not _remove_if_dead(f"{folder()}/{name}"):
                raise
    raise FileExistsError(17, os.strerror(17))


# ---- finding ----


def open_file(name: str, writable: bool, what: str) -> tuple[int, bool]:
    """Open memory by its name. Returns a descriptor, and whether the memory is nameless.

    Raises: SegmentNotFoundError, SegmentPermissionError.
    """
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC
    path = f"{folder()}/{name}"
    try:
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return _open_nameless(name, flags, what), True
    except OSError as error:
        if error.errno in _NO_MEMORY_THERE:
            raise _no_memory(path, what) from None
        raise refused(error, "open", what, advice=_advice(error, writable)) from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _no_memory(path, what)
        if not _is_marked(status) or is_live(fd):
            return fd, False
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    _remove_if_dead(path)
    raise _not_found(what)


def _no_memory(path: str, what: str) -> MpshmError:
    return refused(FileNotFoundError(2, os.strerror(2)), "open", what, advice=f"{path} is no shared memory")


def _advice(error: OSError, writable: bool) -> str | None:
    if not isinstance(error, PermissionError):
        return None
    other = " Use mode='r' to read only, or" if writable else " To let others read it,"
    return f"Its permissions do not allow it.{other} have its maker give it other ones (permissions=)"


def _open_nameless(name: str, flags: int, what: str) -> int:
    for path in _places(name):
        try:
            fd = os.open(path, flags)
        except PermissionError as error:
            raise refused(error, "open", what, advice=_advice(error, flags & os.O_RDWR != 0)) from None
        except OSError:
            continue
        try:
            if os.readlink(f"/proc/self/fd/{fd}") == _target(name) and not is_marked(fd):
                return fd
        except OSError:
            pass
        os.close(fd)
    raise _not_found(what)


def _not_found(what: str) -> MpshmError:
    return SegmentNotFoundError.because(
        f"cannot open {what}: there is none of this name",
        advice="It was unlinked or has ended with its maker: make it in a process that lives on, or create it first",
        errno=2,
    )


def _target(name: str) -> str:
    return f"/memfd:{_LABEL}{name} (deleted)"


def _places(name: str) -> Iterator[str]:
    """Paths below /proc under which nameless memory may be open, the likeliest first."""
    pin = _pins.get(name)
    if pin is not None and pin.path is None:
        yield f"/proc/self/fd/{pin.fd}"
    yield from _open_in("self", name)
    made = _FOUND_AFAR.fullmatch(name)
    if made is None:
        return
    maker = str(int(made[1], 16))
    yield from _open_in(maker, name)
    for pid in filter(str.isdigit, _names("/proc")):
        if pid != maker:
            yield from _open_in(pid, name)


def _open_in(pid: str, name: str) -> Iterator[str]:
    """What a process has open of this name."""
    target, inside = _target(name), f"/proc/{pid}/fd"
    for number in _names(inside):
        path = f"{inside}/{number}"
        try:
            if os.readlink(path) == target:
                yield path
        except OSError:
            continue


def _names(inside: str) -> list[str]:
    try:
        return os.listdir(inside)
    except OSError:
        return []


def file_of(where: int | str) -> File:
    """Device and inode of what a descriptor or a path leads to."""
    status = os.stat(where)
    return status.st_dev, status.st_ino


# ---- the end ----


def _is_marked(status: os.stat_result) -> bool:
    return status.st_mode & _MARK == _MARK


def is_marked(fd: int) -> bool:
    """Whether it is nameless memory that was unlinked, or named memory that is to go with its maker."""
    return _is_marked(os.fstat(fd))


def unlink_nameless(name: str, fd: int, what: str) -> None:
    """Let nobody find it any more. Raises: SegmentNotFoundError if that is so already; SegmentPermissionError."""
    try:
        with settled(fd, change=True):
            status = os.fstat(fd)
            if _is_marked(status):
                raise _not_found(what)
            os.fchmod(fd, stat.S_IMODE(status.st_mode) | _MARK)
    except PermissionError as error:
        raise refused(error, "unlink", what) from None
    let_go(name, file_of(fd))


def remove_all(names: Iterable[str]) -> None:
    """Let nobody find any more what has these names, which `new_name` has made up. Looks through the processes once,
    however many names there are."""
    wanted = {_target(name): name for name in names}
    for target, name in list(wanted.items()):
        try:
            unlink_named(name, None, target)
            del wanted[target]
        except MpshmError:
            pass  # it is nameless, or not ours any more
    for pid in ("self", *filter(str.isdigit, _names("/proc"))):
        inside = f"/proc/{pid}/fd"
        for number in _names(inside) if wanted else ():
            path = f"{inside}/{number}"
            try:
                target = os.readlink(path)
                if target in wanted:
                    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                else:
                    continue
            except OSError:
                continue
            try:
                if os.readlink(f"/proc/self/fd/{fd}") == target:
                    unlink_nameless(wanted.pop(target), fd, target)
            except (OSError, KeyError):
                pass  # it was unlinked
            finally:
                last_use(fd)


def last_use(fd: int) -> None:
    """End a use of nameless memory. Takes over the descriptor. Memory that was unlinked and that nobody else uses is
    given back now: its maker may still have a descriptor of it."""
    fresh = -1
    try:
        fresh = again(fd, os.O_RDWR)
    except OSError:
        pass  # without the right to write it
    os.close(fd)
    if fresh < 0:
        return
    try:
        if is_marked(fresh) and not users(fresh):
            os.ftruncate(fresh, 0)
    except OSError:
        pass
    finally:
        os.close(fresh)


def unlink_named(name: str, file: File | None, what: str) -> None:
    """Remove the name; the memory lives on in those who have it open.

    Args: `file`, the one that is meant: another that has its name by now is left alone; None: whichever.
    Raises: SegmentNotFoundError if it is gone already; SegmentPermissionError.
    """
    path = f"{folder()}/{name}"
    try:
        found = file_of(path)
        if file is not None and found != file:
            raise SegmentNotFoundError.because(
                f"cannot unlink {what}: it was unlinked already, and other memory has its name", errno=2
            )
        os.unlink(path)
        guards.forget(folder(), found[1])
    except OSError as error:
        raise (
            error
            if isinstance(error, MpshmError)
            else refused(error, "unlink", what, advice="It is to be unlinked once, by its owner")
        ) from None
    let_go(name, found)


def discard(name: str, file: File) -> None:
    """Undo the making of a file that is of no use. Takes no descriptor: there may be none left."""
    path = f"{folder()}/{name}"
    try:
        if file_of(path) == file:
            os.unlink(path)
    except OSError:
        pass  # it is nameless
    let_go(name, file)


def _remove_if_dead(path: str) -> bool:
    """Remove a named file whose maker has died and took care of it no more; whether that was so."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not _is_marked(status) or is_live(fd):
            return False
        # Of two that are here at once the second finds it removed, and not a new one in its place.
        with settled(fd, change=True):
            if file_of(path) == (status.st_dev, status.st_ino):
                os.unlink(path)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


def sweep() -> int:
    """Remove what processes of this user that died have left in /dev/shm. Returns how many files there were."""
    removed = 0
    try:
        with os.scandir(folder()) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode) and _is_marked(status) and status.st_uid == os.geteuid():
                    removed += _remove_if_dead(entry.path)
    except OSError:
        pass
    return removed
