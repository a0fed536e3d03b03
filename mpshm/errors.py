"""What can go wrong, each with its cause, its object and the way out in the message.

`MpshmError` is the root. Each class names the status codes of the core that it stands for, and one sentence of advice
that ends every message; each also inherits the builtin exception that code written for `multiprocessing` expects.
Statuses that are a builtin exception and nothing more (a missing key, an index out of range) become just that.
"""

from __future__ import annotations

import os

__all__ = [
    "MpshmError",
    "OwnerDiedError",
    "SegmentClosedError",
    "SegmentCorruptedError",
    "SegmentExistsError",
    "SegmentFullError",
    "SegmentNotFoundError",
    "SegmentPermissionError",
    "SegmentSystemError",
    "SegmentVersionError",
    "status_error",
]


class MpshmError(Exception):
    """The root of all errors of this library.

    Attributes: `status`, the code of the core (negative; 0 where the error arose above it); `errno`, that of
    the system call behind it, or None.
    """

    statuses: tuple[int, ...] = ()
    advice = "Please report it with the program that led to it"
    status: int = 0
    errno: int | None = None

    @classmethod
    def because(cls, what: str, *, advice: str | None = None, status: int = 0, errno: int | None = None) -> MpshmError:
        """Make the error whose message is `what`, the system's reason if there is one, and the advice."""
        reason = f" ({os.strerror(errno)})" if errno else ""
        error = cls(f"{what}{reason}. {advice or cls.advice}.")
        error.status = status
        error.errno = errno
        return error

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.status, self.errno)


def _rebuild(cls: type[MpshmError], args: tuple[str, ...], status: int, errno: int | None) -> MpshmError:
    error = cls(*args)
    error.status = status
    error.errno = errno
    return error


class SegmentNotFoundError(MpshmError, FileNotFoundError):
    """The segment that was asked for is not to be had."""

    statuses = (-22,)
    advice = "Keep its manager, or one object of it, alive in some process until it has been received"


class SegmentExistsError(MpshmError, FileExistsError):
    """The name is taken."""

    statuses = (-7,)
    advice = "Open it, remove it, or choose another name"


class SegmentFullError(MpshmError, MemoryError):
    """The segment is at its largest size, or the system refused it more memory; nothing was changed."""

    statuses = (-2, -14, -23)
    advice = "Give it a larger max_size when it is made, or delete what is no longer needed"


class SegmentCorruptedError(MpshmError):
    """The bytes of the segment contradict themselves; nothing was changed."""

    statuses = (-3,)
    advice = "Something outside this library wrote over it: end the processes that use it and make it anew"


class SegmentVersionError(MpshmError):
    """The segment was made by a version of this library with another layout."""

    statuses = (-8,)
    advice = "Use one version of the library in all processes that share it"


class SegmentPermissionError(MpshmError, PermissionError):
    """The system, or the way the segment was opened, does not allow it."""

    statuses = (-9, -19)
    advice = "Only processes of one user may share it, and only a segment opened for writing can be changed"


class SegmentClosedError(MpshmError, ValueError):
    """The segment was shut down, or closed in this process."""

    statuses = (-4,)
    advice = "Its objects are gone: shut the manager down only after the last use, or make a new one"


class OwnerDiedError(MpshmError):
    """A lock's holder died, and what it protected may be half changed."""

    advice = "Check what the lock protects, and put it right"


class SegmentSystemError(MpshmError, OSError):
    """A system call failed for a reason that no other class names."""

    statuses = (-10,)
    advice = "See the system's limits on open files, mapped memory and processes"


_ERRORS: tuple[type[MpshmError], ...] = (
    SegmentNotFoundError,
    SegmentExistsError,
    SegmentFullError,
    SegmentCorruptedError,
    SegmentVersionError,
    SegmentPermissionError,
    SegmentClosedError,
    SegmentSystemError,
)

# What a status means, and, where the class's own advice does not fit, what to do.
_REASONS: dict[int, tuple[str, str | None]] = {
    -2: ("the segment is full", None),
    -3: ("the segment is corrupted", None),
    -4: ("the segment was shut down", None),
    -7: ("the name is taken", None),
    -8: ("the segment has another format version", None),
    -9: ("the system does not allow it", None),
    -10: ("the system refused", None),
    -14: ("too many processes are attached to the segment", "End some of them, or use a second manager"),
    -19: ("the segment is read-only", None),
    -22: ("there is no such segment any more, or another one is in its place", None),
    -23: ("it would grow beyond what such an object can hold", "Spread it over several objects"),
}

_WITH_ERRNO = (-9, -10)

# Statuses that stand for a builtin exception.
_BUILTINS: dict[int, tuple[type[Exception], str]] = {
    -1: (
        MemoryError,
        "the process has no memory, or no addresses, left (see ulimit -v); a smaller max_size needs fewer",
    ),
    -5: (ReferenceError, "the shared object is gone: its last reference was dropped before this one was used"),
    -6: (KeyError, "it is not there"),
    -11: (TimeoutError, "the time given has passed"),
    -13: (IndexError, "index out of range"),
    -15: (InterruptedError, "a signal came"),
    -16: (RuntimeError, "it is not held by the caller"),
    -17: (ValueError, "an argument is out of its range"),
    -18: (RuntimeError, "the object was changed meanwhile"),
    -20: (TypeError, "the object is of another type"),
    -21: (TimeoutError, "another process holds the object's lock"),
    -24: (OverflowError, "the number is out of range"),
}


def status_error(status: int, errno: int, tried: str, object: str) -> Exception:
    """Turn a status of the core into the exception to raise.

    Args: `status` negative, as in `_core/status.h`; `errno` of the system call behind it, or 0; `tried`, what
    was being done, as a verb ("grow"); `object`, what it was done to ("segment 3f2a..."), may be empty.
    Returns: a new exception, for the caller to raise.
    """
    what = f"cannot {tried} {object}".rstrip() if tried else object
    if status in _BUILTINS:
        builtin, reason = _BUILTINS[status]
        return builtin(f"{what}: {reason}" if what else reason)
    reason, advice = _REASONS.get(status, (f"unexpected status {status}", None))
    cls = next((cls for cls in _ERRORS if status in cls.statuses), MpshmError)
    said = f"{what}: {reason}" if what else reason
    return cls.because(said, advice=advice, status=status, errno=errno if status in _WITH_ERRNO and errno else None)
