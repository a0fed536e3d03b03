"""Arrays on their way to other processes: by reference, through shared memory, and not through a pipe.

What multiprocessing sends is pickled by its ForkingPickler, and that asks the reducers that are registered with it.
Ours copies a large array once into the *transfer segment*, leaves a handle in the pickle, and the receiver gets an
array of its own on those pages. Where that is not possible, or not safe, the array is pickled as ever, so nothing fails
that worked before:

- The handle in a pickle is good for one loading (handles.py). So only what multiprocessing itself sends, once, into a
  pipe or a pair of sockets between processes of one family goes by reference; what a program pickles for itself does
  not, nor what goes through a socket with an address: nobody knows who is at its other end.
- The segment is one for a whole family of processes, made by the process that began, and attached to by the workers
  when they start: an array that a worker has sent outlives the worker. A worker that begins by itself sends by
  reference to workers of its own only, until it has received something so and goes on to use that segment.

What is sent and never received keeps its memory. A pool or executor that has ended receives no more: what its tasks had
with them is taken back then.
"""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections import deque
from collections.abc import Callable
from importlib import import_module
from multiprocessing import connection, parent_process, process, util
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, finalize

from . import _binding, _types
from .handles import reduce_handle
from .segments import AnonymousSegment, Segment

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["ArraySharing", "share_arrays"]

_THRESHOLD = 64 << 10  # bytes from which on a stored array is mapped and not copied
# The transfer segment takes one in so many bytes of the machine's memory at most, and half of those stay with it for
# the next arrays when it is free: memory that is given back and had again costs several times what the copy does.
_SHARE_OF_MEMORY = 4
_KEPT = 2
_REMEMBERED = 4096  # of what was sent last: more than the messages that fit into a pipe can refer to

_Reducer = Callable[[Any], tuple[Any, ...]]
_Way = tuple[Any, ...]  # a function that rebuilds a handle, and its arguments

# Through which a pickle is made, and which then send it, once.
_PICKLING = frozenset({__name__, "multiprocessing.reduction", "pickle"})
_STARTING = frozenset({"multiprocessing.popen_forkserver", "multiprocessing.popen_spawn_posix"})
_SENDING = _STARTING | {"multiprocessing.queues"}
_INHERITED = "mpshm.transfer"  # where a process keeps what those that it starts are to know

_replaced: dict[type, _Reducer | None] = {}  # types whose reducer is ours now -> the one that was there

# What tasks of this process's pools and executors go into -> what went in there last.
_tasks: WeakKeyDictionary[object, deque[tuple[Segment, _Way]]] = WeakKeyDictionary()


class _Setting:
    """Whether and how arrays go by reference."""

    __slots__ = ("keep", "maker", "on", "segment", "threshold")

    def __init__(
        self, on: bool, threshold: int = _THRESHOLD, segment: Segment | None = None, keep: int = 0, maker: int = 0
    ) -> None:
        self.on = on
        self.maker = maker  # a process that may end before those that it sends to: they might not find the segment then
        self.threshold = threshold
        self.segment = segment
        self.keep = keep
        if segment is not None and keep:
            _binding.keep(segment._address, keep)


_OFF = _Setting(False)
_current = _OFF


class ArraySharing:
    """What `share_arrays` has set. As a context manager it puts things back at the end of the `with` statement."""

    __slots__ = ("_now", "_then")

    def __init__(self, now: _Setting, then: _Setting) -> None:
        self._now = now
        self._then = then

    @property
    def on(self) -> bool:
        """Whether arrays go by reference."""
        return self._now.on

    @property
    def threshold(self) -> int:
        """Bytes from which on they do."""
        return self._now.threshold

    @property
    def segment(self) -> Segment | None:
        """What they go through. None: it is off."""
        return self._now.segment

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        _set(self._then)

    def __repr__(self) -> str:
        return f"<mpshm.ArraySharing, {f'from {self.threshold} bytes on' if self.on else 'off'}>"


def share_arrays(on: bool = True, *, threshold: int = _THRESHOLD, segment: Segment | None = None) -> ArraySharing:
    """Let large arrays go to other processes through shared memory, or through pipes again.

    It holds for NumPy's arrays wherever multiprocessing sends one by itself: arguments and results of a `Pool` or a
    `ProcessPoolExecutor`, items of `multiprocessing.Queue`, `Pipe`, arguments of a `Process`; also inside of other
    objects, such as a DataFrame. Buffers of pyarrow too, if that was imported before. It holds for this process and for
    those that it starts from now on, by any start method. What is received is the receiver's own, as before, and
    writable.

    Args: `on`, False ends it for this process: what it sends from now on goes through the pipe. `threshold`, bytes from
    which on an array goes by reference. `segment`, the memory to use (an AnonymousSegment with the `max_size` that it
    may take, for example); None: one that takes up to a quarter of the machine's memory, or the one that is in use.
    What finds no room in it goes through the pipe.
    Returns: an ArraySharing, which is also a context manager.
    Raises: ImportError without NumPy; ValueError for a negative threshold, or a segment in private memory or open for
    reading only; TypeError for what is none.
    Source: `multiprocessing.reduction.ForkingPickler.register`.
    """
    if threshold < 0:
        raise ValueError(f"threshold must not be negative: {threshold}")
    before = _current
    _set(_setting(threshold, segment) if on else _OFF)
    return ArraySharing(_current, before)


def _setting(threshold: int, segment: Segment | None) -> _Setting:
    """What is to be from now on."""
    if segment is not None:
        _check(segment)
        return _Setting(True, threshold, segment)
    if _current.on:
        return _Setting(True, threshold, _current.segment, _current.keep)
    limit = _binding.memory_limit() // _SHARE_OF_MEMORY
    maker = 0 if parent_process() is None else os.getpid()
    return _Setting(True, threshold, AnonymousSegment(max_size=limit), limit // _KEPT, maker)


def _check(segment: Segment) -> None:
    """Raise what is wrong with a segment that arrays are to go through."""
    if not isinstance(segment, Segment):
        raise TypeError(f"segment must be a Segment, not {type(segment).__name__}")
    if segment._identity.heap or segment.mode not in ("a", "r+", "x"):
        raise ValueError(f"other processes cannot get at what is put into {segment!r}")


def _set(setting: _Setting) -> None:
    """Begin, change or end it, for this process and for what it starts from now on."""
    global _current
    if setting.on:
        _register()
    _current = setting
    inherited = process.current_process()._config  # type: ignore[attr-defined] # all of which descendants get
    if setting.on:
        inherited[_INHERITED] = _Inherited(setting)
        return
    inherited.pop(_INHERITED, None)
    for kind, reducer in _replaced.items():
        if reducer is None:
            ForkingPickler._extra_reducers.pop(kind, None)  # type: ignore[attr-defined]
        else:
            ForkingPickler.register(kind, reducer)
    _replaced.clear()


def _register() -> None:
    """Put our reducers in the place of others."""
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112 -- as above. Without it nobody finds a segment
        return
    from numpy import ndarray

    reducers: dict[type, _Reducer] = {ndarray: _reduce_array}
    arrow = sys.modules.get("pyarrow.lib")
    for name in ("Buffer", "ResizableBuffer"):
        kind = getattr(arrow, name, None)
        if kind is not None:
            reducers[kind] = _reduce_arrow
    for kind, reducer in reducers.items():
        if kind not in _replaced:
            _replaced[kind] = ForkingPickler._extra_reducers.get(kind)  # type: ignore[attr-defined]
            ForkingPickler.register(kind, reducer)


# ---- what processes that are started inherit ----


class _Inherited:
    """Goes with the process object to a process that is started afresh; a forked one has everything already."""

    def __init__(self, setting: _Setting) -> None:
        self._setting = setting

    def __reduce__(self) -> tuple[object, ...]:
        segment = self._setting.segment
        usable = segment is not None and not segment.closed
        return _inherit, (self._setting.threshold, segment if usable else None, self._setting.keep)


def _inherit(threshold: int, segment: Segment | None, keep: int) -> _Inherited:
    """The first that such a process does."""
    setting = _Setting(True, threshold, segment, keep)
    try:
        _set(setting)
    except ImportError as error:
        util.info("arrays are not shared: %s", error)
    return _Inherited(setting)


# ---- sending ----


def _reduce_array(array: Any) -> tuple[Any, ...]:
    way = _send(array, array.nbytes)
    return _as_ever(array) if way is None else (_load_array, way)


def _reduce_arrow(buffer: Any) -> tuple[Any, ...]:
    way = _send(buffer, buffer.size if buffer.is_cpu else 0)
    return _as_ever(buffer) if way is None else (_load_arrow, way)


def _as_ever(obj: Any) -> Any:
    """How an object is pickled without us; by a protocol that every pickler takes."""
    before = _replaced.get(type(obj))
    return before(obj) if before is not None else obj.__reduce_ex__(4)


def _send(obj: Any, nbytes: int) -> _Way | None:
    """Put a copy of an object's bytes into the transfer segment: how to get at them, or None if they go as ever."""
    setting = _current
    if nbytes < max(setting.threshold, 1) or setting.segment is None:
        return None
    sender = _sender()
    if sender is None:
        return None
    to = _way_to_workers(sender)
    if to is None and setting.maker == os.getpid() and sender.f_globals.get("__name__") not in _STARTING:
        return None
    try:
        buffer = _types.Buffer._of(setting.segment, obj)
        if buffer is None:  # of Python objects
            return None
        way = reduce_handle(buffer)
    except Exception as error:  # no room in there, for example: that is no reason to fail
        util.info("%d bytes go through a pipe: %s", nbytes, error)
        return None
    if to is not None:
        _remember(to, setting.segment, way)
    return way


def _sender() -> FrameType | None:
    """The frame that sends what is being pickled, once and to a process of this family; None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _PICKLING:
        frame = frame.f_back
    if frame is None:
        return None
    name = frame.f_globals.get("__name__")
    if name == "multiprocessing.connection":
        return frame if _stays_here(frame.f_locals.get("self")) else None
    return frame if name in _SENDING else None


def _stays_here(sent_through: object) -> bool:
    """Whether a connection is a pipe or a pair of sockets: only processes of the family can have the other end."""
    if not isinstance(sent_through, connection.Connection):
        return False
    fd = sent_through.fileno()
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        return True
    with socket.socket(fileno=os.dup(fd)) as ends:
        return ends.family == socket.AF_UNIX and not ends.getsockname() and not ends.getpeername()


# ---- what nobody received ----


def _way_to_workers(sender: FrameType) -> object:
    """What a pool's or an executor's task is being put into, or None if it is something else: it lives as long as there
    are workers that may take anything out."""
    caller = sender.f_back
    if caller is not None and caller.f_code.co_name == "_handle_tasks":
        return sender.f_locals.get("self") if caller.f_globals.get("__name__") == "multiprocessing.pool" else None
    if sender.f_code.co_name == "_feed":
        owner = getattr(sender.f_locals.get("onerror"), "__self__", None)
        return owner if type(owner).__module__ == "concurrent.futures.process" else None
    return None


def _remember(to: object, segment: Segment, way: _Way) -> None:
    """Keep in mind what went to a pool's or an executor's workers."""
    ways = _tasks.get(to)
    if ways is None:
        ways = _tasks[to] = deque(maxlen=_REMEMBERED)
        finalize(to, _take_back, ways, os.getpid()).atexit = False
    ways.append((segment, way))


def _take_back(ways: deque[tuple[Segment, _Way]], sender: int) -> None:
    """Receive what workers that are gone have not, to let go of it: nothing happens to what they have."""
    while ways and sender == os.getpid():
        segment, (rebuild, where) = ways.pop()
        if not segment.closed:
            try:
                rebuild(*where)
            except Exception as error:  # received and let go of already, most likely
                util.sub_debug("not taken back: %s", error)


# ---- receiving ----


def _receive(rebuild: Callable[..., _types.Buffer], where: _Way) -> _types.Buffer:
    """The bytes behind a handle. A worker that began by itself goes on to use the segment of those who send to it."""
    buffer = rebuild(*where)
    setting = _current
    if setting.maker == os.getpid() and setting.segment is not buffer._segment:
        setting.segment, setting.maker = buffer._segment, 0
    return buffer


def _load_array(rebuild: Callable[..., _types.Buffer], where: _Way) -> Any:
    return _receive(rebuild, where)._value()


def _load_arrow(rebuild: Callable[..., _types.Buffer], where: _Way) -> Any:
    """Arrow's buffers never change: this one is the shared memory itself."""
    return import_module("pyarrow").py_buffer(_receive(rebuild, where))
