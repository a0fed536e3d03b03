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
from typing import TYPE_CHECKING

from . import _binding as _binding  # first: it loads _types
from . import context, managers
from ._version import __version__
from .allocators import (
    AdaptivePool,
    BestFit,
    CachedAdaptivePool,
    CachedNodePool,
    NodePool,
    PrivateAdaptivePool,
    PrivateNodePool,
    SequentialFit,
)
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
from .linked import LinkedList
from .named import unique
from .queues import JoinableQueue, Queue, SimpleQueue
from .references import UniqueRef, WeakRef
from .regions import PAGESIZE, MappedRegion, anonymous_shared_memory
from .segment_kinds import ManagedExternalBuffer, ManagedHeapMemory, ManagedMappedFile, ManagedSharedMemory
from .segments import AnonymousSegment
from .sets import Set
from .shared_memory import ShareableList, SharedMemory
from .sharing import share
from .sorted import Map, MultiMap, SortedSet
from .strings import String
from .sync import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore
from .vectors import Vector
from .xsi import XSISharedMemory, xsi_key

if TYPE_CHECKING:
    from .ndarrays import SharedArray as SharedArray
    from .ndarrays import asarray as asarray
    from .ndarrays import ndarray as ndarray
    from .offsets import OffsetPtr as OffsetPtr
    from .transfer import share_arrays as share_arrays

Array = context.default.Array
Manager = context.default.Manager
Pool = context.default.Pool
RawArray = context.default.RawArray
RawValue = context.default.RawValue
Value = context.default.Value
get_context = context.default.get_context

__all__ = [
    "PAGESIZE",
    "AdaptivePool",
    "AnonymousSegment",
    "Array",
    "AuthenticationError",
    "Barrier",
    "BestFit",
    "BoundedSemaphore",
    "BufferTooShort",
    "CachedAdaptivePool",
    "CachedNodePool",
    "Condition",
    "Deque",
    "Dict",
    "Event",
    "JoinableQueue",
    "LinkedList",
    "List",
    "Lock",
    "ManagedExternalBuffer",
    "ManagedHeapMemory",
    "ManagedMappedFile",
    "ManagedSharedMemory",
    "Manager",
    "Map",
    "MappedRegion",
    "MpshmError",
    "MultiMap",
    "Namespace",
    "NodePool",
    "OwnerDiedError",
    "Pipe",
    "Pool",
    "PrivateAdaptivePool",
    "PrivateNodePool",
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
    "SequentialFit",
    "Set",
    "ShareableList",
    "SharedMemory",
    "SimpleQueue",
    "SortedSet",
    "String",
    "TimeoutError",
    "UniqueRef",
    "Value",
    "Vector",
    "WeakRef",
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
    "unique",
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

# What brings ctypes or NumPy in -> the module that has it; loaded when asked for.
_LATER = {
    "OffsetPtr": "offsets",
    "SharedArray": "ndarrays",
    "asarray": "ndarrays",
    "ndarray": "ndarrays",
    "share_arrays": "transfer",
}


def __getattr__(name: str) -> object:
    """What a newer multiprocessing has beyond the names above, and its modules."""
    if name in _OWN_MODULES:
        return import_module(f"{__name__}.{name}")
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    if name in _MODULES:
        return import_module(f"multiprocessing.{name}")
    if name in multiprocessing.__all__:
        return getattr(multiprocessing, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    names = [*{*globals(), *multiprocessing.__all__, *_MODULES, *_OWN_MODULES, *_LATER}]
    names.sort()  # (the module `sorted` hides the builtin here)
    return names
