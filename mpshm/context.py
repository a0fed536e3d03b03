"""multiprocessing's contexts, with our objects in the place of the stdlib's.

There is one context for each start method, and the default one, which follows whatever start method multiprocessing
has been set to, by us or by others. All else is inherited.

The stdlib's own machinery takes a context and calls its `Lock()`, `SimpleQueue()` and so on for itself, and then uses
what only its own objects have (`_reader`, `_writer`, `_semlock`). A pool and an executor wait for their queues' pipes
together with their workers' ends, for example. So calls that come from those modules get the stdlib's objects.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterable
from multiprocessing import context as stdlib
from typing import TYPE_CHECKING, Any

from . import queues, sync
from .managers import SyncManager

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

    from .sharedctypes import Acquirable, CType

__all__ = ["BaseContext", "DefaultContext", "ForkContext", "ForkServerContext", "SpawnContext", "get_context"]


# Modules that make objects for their own use by the context that they are given.
_MACHINERY = frozenset(
    {
        "concurrent.futures.process",
        "multiprocessing.heap",
        "multiprocessing.managers",
        "multiprocessing.pool",
        "multiprocessing.queues",
        "multiprocessing.sharedctypes",
        "multiprocessing.synchronize",
    }
)


def _for_machinery() -> bool:
    """Whether the caller of the context's method is one of those modules."""
    return sys._getframe(2).f_globals.get("__name__") in _MACHINERY


class BaseContext(stdlib.BaseContext):
    """A context whose objects are ours. Source: `multiprocessing.context.BaseContext`."""

    def Pool(  # noqa: N802
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        *,
        share_arrays: bool = False,
    ) -> Pool:
        """A pool of processes: the stdlib's own, with its own queues.

        Args: as `multiprocessing.Pool`'s; `share_arrays`, whether to call `mpshm.share_arrays()` first, which holds for
        all that this process sends from then on.
        """
        if share_arrays:
            from . import transfer  # only here: it brings NumPy in

            transfer.share_arrays()
        return self._stdlib().Pool(processes, initializer, initargs, maxtasksperchild)

    def _stdlib(self) -> stdlib.BaseContext:
        """The stdlib's context for the same start method."""
        return multiprocessing.get_context(self.get_start_method())

    def Manager(  # type: ignore[override]  # noqa: N802
        self,
        *,
        size: int | None = None,
        max_size: int | None = None,
        name: str | None = None,
        mode: str | None = None,
        ctx: stdlib.BaseContext | None = None,
    ) -> SyncManager:
        """A started manager: shared objects without a server process.

        Args: `size`, bytes backed by memory at once; `max_size`, bytes it may grow to by itself; `name` of its
        segment in shared memory, None for one without; `mode`, "a" (and None) to open that or else make it, "x" to
        make it, "r+" to use another manager's, and as ManagedSharedMemory's; `ctx`, where its `Pool` comes from
        (default: this context).
        Returns: a SyncManager; the caller shuts it down, or uses it in a `with` statement. What has a name ends, and
        loses it, when the manager that made it is shut down; a process that ends without that leaves it.
        Raises: TypeError, ValueError for bad sizes or names, or a mode without a name; SegmentFullError if the system
        refuses the memory; SegmentExistsError, SegmentNotFoundError and all that ManagedSharedMemory raises.
        """
        made = SyncManager(ctx=ctx or self.get_context(), size=size, max_size=max_size, name=name, mode=mode)
        made.start()
        return made

    def Lock(self) -> sync.Lock:  # type: ignore[override]  # noqa: N802
        """A lock; one whose holder died goes to the next that asks."""
        return self._stdlib().Lock() if _for_machinery() else sync.Lock()  # type: ignore[return-value]

    def RLock(self) -> sync.RLock:  # type: ignore[override]  # noqa: N802
        """A lock that its holder may take again."""
        return self._stdlib().RLock() if _for_machinery() else sync.RLock()  # type: ignore[return-value]

    def Condition(self, lock: sync.Lock | sync.RLock | None = None) -> sync.Condition:  # type: ignore[override]  # noqa: N802
        """A condition variable. Args: `lock`, one of ours in the default segment; None: a new RLock."""
        if _for_machinery():
            return self._stdlib().Condition(lock)  # type: ignore[arg-type, return-value]
        return sync.Condition(lock)

    def Semaphore(self, value: int = 1) -> sync.Semaphore:  # type: ignore[override]  # noqa: N802
        """A semaphore. Args: `value`, permits that it begins with."""
        return self._stdlib().Semaphore(value) if _for_machinery() else sync.Semaphore(value)  # type: ignore[return-value]

    def BoundedSemaphore(self, value: int = 1) -> sync.BoundedSemaphore:  # type: ignore[override]  # noqa: N802
        """A semaphore that never has more permits than it began with."""
        if _for_machinery():
            return self._stdlib().BoundedSemaphore(value)  # type: ignore[return-value]
        return sync.BoundedSemaphore(value)

    def Event(self) -> sync.Event:  # type: ignore[override]  # noqa: N802
        """An event, not set."""
        return self._stdlib().Event() if _for_machinery() else sync.Event()  # type: ignore[return-value]

    def Barrier(  # type: ignore[override]  # noqa: N802
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> sync.Barrier:
        """A barrier. Args: as `multiprocessing.Barrier`'s."""
        if _for_machinery():
            return self._stdlib().Barrier(parties, action, timeout)  # type: ignore[return-value]
        return sync.Barrier(parties, action, timeout)

    def Queue(self, maxsize: int = 0) -> queues.Queue[Any]:  # type: ignore[override]  # noqa: N802
        """A queue. Args: `maxsize`, items that fit; 0 or less: as many as there is memory for."""
        return self._stdlib().Queue(maxsize) if _for_machinery() else queues.Queue(maxsize)  # type: ignore[return-value]

    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]:  # type: ignore[override]  # noqa: N802
        """A queue whose items can be waited for to be done with. Args: as Queue's."""
        if _for_machinery():
            return self._stdlib().JoinableQueue(maxsize)  # type: ignore[return-value]
        return queues.JoinableQueue(maxsize)

    def SimpleQueue(self) -> queues.SimpleQueue[Any]:  # type: ignore[override]  # noqa: N802
        """A queue that has little more than put() and get()."""
        return self._stdlib().SimpleQueue() if _for_machinery() else queues.SimpleQueue()  # type: ignore[return-value]

    def RawValue(self, typecode_or_type: CType, *args: Any) -> CType:  # noqa: N802
        """A ctypes object in shared memory, without a lock. Args: as `mpshm.sharedctypes.RawValue`'s."""
        from . import sharedctypes  # only here, and below: it brings ctypes in

        return sharedctypes.RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: CType, size_or_initializer: Any) -> CType:  # noqa: N802
        """A ctypes array in shared memory, without a lock. Args: as `mpshm.sharedctypes.RawArray`'s."""
        from . import sharedctypes

        return sharedctypes.RawArray(typecode_or_type, size_or_initializer)

    def Value(  # noqa: N802
        self, typecode_or_type: CType, *args: Any, lock: Acquirable | bool = True
    ) -> Any:
        """A ctypes object in shared memory, with a lock. Args: as `mpshm.sharedctypes.Value`'s."""
        from . import sharedctypes

        return sharedctypes.Value(typecode_or_type, *args, lock=lock)

    def Array(  # noqa: N802
        self, typecode_or_type: CType, size_or_initializer: Any, *, lock: Acquirable | bool = True
    ) -> Any:
        """A ctypes array in shared memory, with a lock. Args: as `mpshm.sharedctypes.Array`'s."""
        from . import sharedctypes

        return sharedctypes.Array(typecode_or_type, size_or_initializer, lock=lock)

    def get_context(self, method: str | None = None) -> BaseContext:  # type: ignore[override]
        """The context for a start method; without one, this one."""
        return self if method is None else _of(super().get_context(method))


class ForkContext(BaseContext, stdlib.ForkContext):
    """The context that forks."""


class SpawnContext(BaseContext, stdlib.SpawnContext):
    """The context that starts fresh interpreters."""


class ForkServerContext(BaseContext, stdlib.ForkServerContext):
    """The context that forks from a server process."""


class DefaultContext(BaseContext, stdlib.DefaultContext):
    """The context of the module's own functions. The start method is multiprocessing's own: one for the whole
    process."""

    def __init__(self) -> None:
        super().__init__(stdlib._default_context)

    def get_context(self, method: str | None = None) -> BaseContext:  # type: ignore[override]
        """The context for a start method; without one, for the one that is set."""
        return _of(multiprocessing.get_context(method))

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Set the start method, for multiprocessing as well. Raises: RuntimeError if it is set, unless
        `force`."""
        multiprocessing.set_start_method(method, force)

    def get_start_method(self, allow_none: bool = False) -> str | None:  # type: ignore[override]
        """The start method that is set."""
        return multiprocessing.get_start_method(allow_none)

    def get_all_start_methods(self) -> list[str]:
        """The start methods that this system has, the default first."""
        return multiprocessing.get_all_start_methods()


_contexts: dict[str, BaseContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}


def _of(context: stdlib.BaseContext) -> BaseContext:
    """Ours for one of the stdlib's."""
    return _contexts[context.get_start_method()]


default = DefaultContext()
get_context = default.get_context
