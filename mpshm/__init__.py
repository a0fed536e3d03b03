"""mpshm: multiprocessing's managers in shared memory.

`import mpshm as mp` works wherever `import multiprocessing as mp` did. `Manager()` makes the same objects without a
server process, and a call on them takes a fraction of a microsecond.
"""

from __future__ import annotations

import multiprocessing
from importlib import import_module
from multiprocessing import (
    AuthenticationError,
    BufferTooShort,
    Pipe,
    Pool,
    Process,
    ProcessError,
    TimeoutError,
    active_children,
    allow_connection_pickling,
    cpu_count,
    current_process,
    freeze_support,
    get_all_start_methods,
    get_logger,
    get_start_method,
    log_to_stderr,
    parent_process,
    reducer,
    set_executable,
    set_forkserver_preload,
    set_start_method,
)

from . import _binding as _binding  # first: it loads _types
from . import context, managers
from ._version import __version__
from .containers import Dict, List, Namespace
from .deques import Deque
from .errors import (
    MpshmError,
    OwnerDiedError,
    SegmentClosedError,
    SegmentCorruptedError,
    SegmentExistsError,
    SegmentFullError,
    SegmentNotFoundError,
    SegmentPermissionError,
    SegmentSystemError,
    SegmentVersionError,
)
from .queues import JoinableQueue, Queue, SimpleQueue
from .regions import PAGESIZE, MappedRegion, anonymous_shared_memory
from .segments import AnonymousSegment
from .sets import Set
from .shared_memory import ShareableList, SharedMemory
from .sharing import share
from .sync import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore
from .xsi import XSISharedMemory, xsi_key

Array = context.default.Array
Manager = context.default.Manager
RawArray = context.default.RawArray
RawValue = context.default.RawValue
Value = context.default.Value
get_context = context.default.get_context

__all__ = [
    "PAGESIZE",
    "AnonymousSegment",
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Deque",
    "Dict",
    "Event",
    "JoinableQueue",
    "List",
    "Lock",
    "Manager",
    "MappedRegion",
    "MpshmError",
    "Namespace",
    "OwnerDiedError",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "SegmentClosedError",
    "SegmentCorruptedError",
    "SegmentExistsError",
    "SegmentFullError",
    "SegmentNotFoundError",
    "SegmentPermissionError",
    "SegmentSystemError",
    "SegmentVersionError",
    "Semaphore",
    "Set",
    "ShareableList",
    "SharedMemory",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "XSISharedMemory",
    "__version__",
    "active_children",
    "allow_connection_pickling",
    "anonymous_shared_memory",
    "context",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "managers",
    "parent_process",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "share",
    "xsi_key",
]

# Modules of multiprocessing that are used as `mp.pool.ThreadPool` and the like; loaded when asked for.
_MODULES = frozenset(
    {
        "connection",
        "dummy",
        "forkserver",
        "pool",
        "process",
        "queues",
        "reduction",
        "resource_sharer",
        "resource_tracker",
        "spawn",
        "synchronize",
        "util",
    }
)

# The same of our own.
_OWN_MODULES = frozenset({"shared_memory", "sharedctypes"})


def __getattr__(name: str) -> object:
    """What a newer multiprocessing has beyond the names above, and its modules."""
    if name in _OWN_MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _MODULES:
        return import_module(f"multiprocessing.{name}")
    if name in multiprocessing.__all__:
        return getattr(multiprocessing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *multiprocessing.__all__, *_MODULES, *_OWN_MODULES})
