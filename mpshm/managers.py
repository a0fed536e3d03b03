"""Managers: SyncManager's interface over a segment, without a process behind it.

A manager owns a segment and makes objects in it. `shutdown()` in the process that started it ends the segment for
all; a manager that is merely forgotten ends nothing: the objects live on with their handles.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from multiprocessing import ProcessError
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, overload
from weakref import WeakSet

from . import (
    _types,
    arrays,
    containers,
    deques,
    linked,
    proxies,
    queues,
    sets,
    sharing,
    singletons,
    strings,
    sync,
    vectors,
)
from . import sorted as ordered
from .allocators import Spec
from .errors import SegmentClosedError, SegmentNotFoundError
from .handles import find_segment
from .pools import PoolProxy
from .proxies import (
    AcquirerProxy,
    ArrayProxy,
    AutoProxy,
    BarrierProxy,
    BaseListProxy,
    BaseProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    IteratorProxy,
    ListProxy,
    MakeProxyType,
    NamespaceProxy,
    RebuildProxy,
    Token,
    ValueProxy,
    all_methods,
    public_methods,
)
from .registry import Registry
from .segment_kinds import ManagedSharedMemory
from .segments import AnonymousSegment, Segment

if TYPE_CHECKING:
    from multiprocessing.managers import RemoteError

    from numpy.typing import DTypeLike
    from typing_extensions import Self

    from .memory_manager import SharedMemoryManager
    from .ndarrays import SharedArray

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BaseManager",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "NamespaceProxy",
    "PoolProxy",
    "RebuildProxy",
    "RemoteError",
    "SharedMemoryManager",
    "SyncManager",
    "Token",
    "ValueProxy",
    "all_methods",
    "public_methods",
]

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")
_H = TypeVar("_H", bound=_types.Handle)

_ADDRESS = "mpshm-"


class State:
    """Where a manager is in its life. Source: `multiprocessing.managers.State`."""

    __slots__ = ("value",)

    INITIAL = 0
    STARTED = 1
    SHUTDOWN = 2

    def __init__(self) -> None:
        self.value = State.INITIAL


class ManagerShutDownError(SegmentClosedError, AssertionError):
    """What is raised for use after `shutdown()`: ours, and the stdlib's at once."""


class BaseManager(Registry):
    """What all managers have in common: a segment, and the order of start, use and shutdown.

    Args: `address`, another manager's, for `connect()`; `authkey`, `serializer` and `shutdown_timeout` are
    there for programs written for multiprocessing and have no effect, since there is no server to talk to;
    `ctx`, where `Pool` comes from; `size` and `max_size` of the segment in bytes, None for the default; `name`, of
    the segment, in shared memory, None for one without a name; `mode`, how to get it, as `ManagedSharedMemory` has
    it: "a" (and None) to open it or else make it, "x" to make it, "r+" to use another manager's.
    A segment with a name that the manager did not make is none that it can end: there `shutdown()` ends the manager.
    One that it made lasts until its `shutdown()`, or until `ManagedSharedMemory.remove(name)`, also when its process is
    gone.
    Source: `multiprocessing.managers.BaseManager`.
    """

    def __init__(
        self,
        address: object = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: BaseContext | None = None,
        *,
        shutdown_timeout: float = 1.0,
        size: int | None = None,
        max_size: int | None = None,
        name: str | None = None,
        mode: str | None = None,
    ) -> None:
        self._address = address
        self._ctx = ctx
        self._sizes = size, max_size
        self._naming = name, mode
        self._segment: Segment | None = None
        self._owner = 0
        self._state = State()
        self._serializer = serializer
        self._singletons = None
        self._given_out = {}
        self._pools: WeakSet[PoolProxy] = WeakSet()

    def start(self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()) -> None:
        """Make the segment.

        Args: `initializer` is called with `initargs` first, in this process.
        Raises: ProcessError if it was started before; ValueError for bad sizes, or if an address was given, or a mode
        without a name; TypeError if `initializer` can't be called; whatever it raises; for a name, whatever
        `ManagedSharedMemory` raises.
        """
        self._must_be_new()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if self._address is not None:
            raise ValueError(
                f"cannot start a manager at {self._address!r}: it shares memory on this machine and serves no address. "
                "Leave the address out, and hand its objects, or its own address, to the other processes."
            )
        segment, made = self._make_segment()
        try:
            if initializer is not None:
                initializer(*initargs)
            self._segment = segment
            self._address = _address_of(segment)
            self._state.value = State.STARTED
            if made:
                self._owner = os.getpid()
                self._publish_all()
        except BaseException:
            if made and isinstance(segment, ManagedSharedMemory):
                segment.unlink()
            raise

    def _make_segment(self) -> tuple[Segment, bool]:
        """The segment, and whether it is one that was not there before."""
        name, mode = self._naming
        if name is None:
            if mode is not None:
                raise ValueError(f"cannot make a manager with mode={mode!r}: that is for one with a name")
            return AnonymousSegment(*self._sizes), True
        size, max_size = self._sizes
        segment = ManagedSharedMemory(name, "a" if mode is None else mode, size, max_size=max_size)
        return segment, segment._made

    def get_server(self) -> None:
        """There is no server. Raises: ProcessError if it was started or has ended; ValueError."""
        self._must_be_new()
        raise ValueError(
            f"a {type(self).__name__} has no server: its objects are in shared memory of this machine. Call start() "
            "instead, keep this process alive for as long as objects are to be found, and give the manager's "
            "address, or the manager, to the other processes."
        )

    def connect(self) -> None:
        """Attach to the segment of the manager whose address, or name, was given.

        Raises: ValueError for what is no manager's address; SegmentNotFoundError if no process of this user
        has it, or there is none of that name.
        """
        address, name = self._address, self._naming[0]
        if address is None and name is not None:
            self._segment = ManagedSharedMemory(name, "r+")
            self._address = _address_of(self._segment)
            self._state.value = State.STARTED
            return
        if not isinstance(address, str) or not address.startswith(_ADDRESS):
            raise ValueError(f"cannot connect to {address!r}: give the address of a manager that was started")
        first, place, name = _parts(address)
        try:
            segment_id = bytes.fromhex(first)
        except ValueError:
            raise ValueError(f"cannot connect to {address!r}: it is no manager's address") from None
        segment = _find(segment_id, name)
        if segment is None:
            raise SegmentNotFoundError.because(f"cannot connect to {address}: no process of this user has it")
        if place:
            self._singletons = singletons.Singletons(segment, place)
        self._segment = segment
        self._state.value = State.STARTED

    def shutdown(self) -> None:
        """End the segment: every handle in every process raises SegmentClosedError from now on. Its name goes first.

        In a process other than the one that started it, and where the segment has a name and was there before, this
        only ends the manager there, as the stdlib's does in a child. Twice is as good as once.
        Raises: AttributeError before `start()`, as the stdlib's.
        """
        if self._state.value == State.INITIAL:
            raise AttributeError(
                f"{type(self).__name__!r} object has no attribute 'shutdown' before it is started: call start() first"
            )
        if self._state.value == State.STARTED:
            self._state.value = State.SHUTDOWN
            for pool in list(self._pools):
                pool._end()
            self._singletons = None
            self._given_out.clear()
            if self._segment is not None and self._owner == os.getpid():
                if isinstance(self._segment, ManagedSharedMemory):
                    self._segment.unlink()
                self._segment._shutdown()

    def join(self, timeout: float | None = None) -> None:
        """Return at once: there is no process to wait for."""

    @property
    def address(self) -> object:
        """What another process's manager needs for `connect()`: a str once started; before, what was
        given."""
        return self._address

    @property
    def segment(self) -> Segment:
        """The managed segment behind it. Raises: AssertionError before `start()`."""
        if self._segment is None:
            raise AssertionError("server not yet started: call start() first")
        return self._segment

    def __enter__(self) -> Self:
        if self._state.value == State.INITIAL:
            self.start()
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()

    def __reduce__(self) -> tuple[object, ...]:
        if self._state.value == State.INITIAL:
            raise TypeError(f"cannot pickle a {type(self).__name__} before it is started: call start() first")
        return _rebuild_manager, (type(self), self._usable(), self._address)

    def _must_be_new(self) -> None:
        if self._state.value == State.STARTED:
            raise ProcessError("Already started server")
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down")

    def _usable(self) -> Segment:
        """The segment, if something may be made in it now."""
        if self._state.value == State.SHUTDOWN:
            raise ManagerShutDownError.because(
                f"{type(self).__name__} has shut down", advice="Make a new manager, or shut it down after the last use"
            )
        return self.segment

    def _create(self, cls: type[_H]) -> _H:
        """Make an empty object of `cls` in the segment."""
        return cls._in(self._usable())._managed()

    def _number_of_objects(self) -> int:
        """Objects alive, blocks of large values included. Source: `BaseManager._number_of_objects`."""
        return self._usable().stats().objects - (self._singletons is not None)

    def _debug_info(self) -> str:
        """What the segment holds, in words."""
        stats = self._usable().stats()
        return f"  {self._address}:       objects={stats.objects}\n    {stats.used} bytes of {stats.size} in use"


def _address_of(segment: Segment) -> str:
    """What leads to a manager of that segment."""
    name = f"@{segment.name}" if isinstance(segment, ManagedSharedMemory) else ""
    return f"{_ADDRESS}{segment.id.hex()}{name}"


def _parts(address: str) -> tuple[str, str, str]:
    """A manager's address: the segment's id, where in it the registered singletons are, its name; "" for none."""
    rest, _, name = address.removeprefix(_ADDRESS).partition("@")
    first, _, place = rest.partition("-")
    return first, place, name


def _find(segment_id: bytes, name: str) -> Segment | None:
    """The segment of a manager elsewhere."""
    if not name:
        return find_segment(segment_id)
    try:
        found = ManagedSharedMemory._reach(name, "r+", 0o600, segment_id)
    except SegmentNotFoundError:
        return None
    return None if found.closed else found


def _rebuild_manager(cls: type[BaseManager], segment: Segment, address: str) -> BaseManager:
    """A manager in another process: it makes objects in the same segment, and cannot end it."""
    manager = cls(address=address)
    place = _parts(address)[1]
    if place:
        manager._singletons = singletons.Singletons(segment, place)
    manager._segment = segment
    manager._state.value = State.STARTED
    return manager


def manager_at(segment: Segment, home: tuple[str, str] | None) -> BaseManager:
    """A manager that makes objects in this segment, of the class that is found at `home`; else a SyncManager."""
    cls: Any = None
    if home is not None:
        cls = sys.modules.get(home[0]) or import_module(home[0])
        for part in home[1].split("."):
            cls = getattr(cls, part)
    return _rebuild_manager(cls or SyncManager, segment, _address_of(segment))


class SyncManager(BaseManager):
    """Makes shared objects of the kinds that multiprocessing's SyncManager makes, in shared memory.

    Args: as BaseManager's. Source: `multiprocessing.managers.SyncManager`.
    """

    @overload
    def dict(self, /, *, deep: bool = False, **kwds: _V) -> containers.Dict[str, _V]: ...
    @overload
    def dict(self, items: Mapping[_K, _V], /, *, deep: bool = False) -> containers.Dict[_K, _V]: ...
    @overload
    def dict(self, items: Iterable[tuple[_K, _V]], /, *, deep: bool = False) -> containers.Dict[_K, _V]: ...
    def dict(self, /, *args: Any, deep: bool = False, **kwds: Any) -> containers.Dict[Any, Any]:
        """A shared dict.

        Args: as dict's; `deep=True` turns the dicts and lists in it into shared ones too, as `mpshm.share`
        does.
        Raises: what dict() raises; AssertionError before `start()`; SegmentFullError.
        """
        segment = self._usable()
        content = _as_dict(args, kwds)
        if deep:
            return sharing.share_in(segment, content)  # type: ignore[return-value]
        made: containers.Dict[Any, Any] = containers.Dict._in(segment)
        if content:
            made.update(content)
        return made

    def list(self, items: Iterable[_T] = (), /, *, deep: bool = False) -> containers.List[_T]:
        """A shared list.

        Args: as list's; `deep=True` turns the dicts and lists in it into shared ones too, as `mpshm.share`
        does.
        Raises: what list() raises; AssertionError before `start()`; SegmentFullError.
        """
        segment = self._usable()
        content = items._snapshot() if isinstance(items, containers.List) else items
        if type(content) not in (list, tuple):
            content = list(content)
        if deep:
            return sharing.share_in(segment, list(content))  # type: ignore[return-value]
        made: containers.List[_T] = containers.List._in(segment)
        if content:
            made.extend(content)
        return made

    def set(self, iterable: Iterable[_T] = (), /) -> sets.Set[_T]:
        """A shared set.

        Args: as set's. Raises: what set() raises; AssertionError before `start()`; SegmentFullError.
        """
        made: sets.Set[_T] = self._create(sets.Set)
        made.update(iterable)
        return made

    def deque(self, iterable: Iterable[_T] = (), maxlen: int | None = None) -> deques.Deque[_T]:
        """A shared deque.

        Args: as `collections.deque`'s. Raises: what deque() raises; AssertionError before `start()`;
        SegmentFullError.
        """
        made: deques.Deque[_T] = self._create(deques.Deque)
        made.__init__(iterable, maxlen)  # type: ignore[misc]
        return made

    def map(
        self,
        items: Mapping[_K, _V] | Iterable[tuple[_K, _V]] = (),
        /,
        *,
        allocator: Spec = None,
        flat: bool = False,
        **kwds: Any,
    ) -> ordered.Map[_K, _V]:
        """A shared mapping that is sorted by key.

        Args: as `mpshm.Map`'s. Raises: what Map() raises; AssertionError before `start()`; SegmentFullError.
        """
        made: ordered.Map[_K, _V] = self._create(ordered.Map)
        made.__init__(items, allocator=allocator, flat=flat, **kwds)  # type: ignore[misc]
        return made

    def multi_map(
        self,
        items: Mapping[_K, _V] | Iterable[tuple[_K, _V]] = (),
        /,
        *,
        allocator: Spec = None,
        flat: bool = False,
    ) -> ordered.MultiMap[_K, _V]:
        """A shared mapping that is sorted by key, with any number of values for each.

        Args: as `mpshm.MultiMap`'s. Raises: what MultiMap() raises; AssertionError before `start()`;
        SegmentFullError.
        """
        made: ordered.MultiMap[_K, _V] = self._create(ordered.MultiMap)
        made.__init__(items, allocator=allocator, flat=flat)  # type: ignore[misc]
        return made

    def sorted_set(
        self, iterable: Iterable[_T] = (), /, *, allocator: Spec = None, flat: bool = False
    ) -> ordered.SortedSet[_T]:
        """A shared set that is sorted.

        Args: as `mpshm.SortedSet`'s. Raises: what SortedSet() raises; AssertionError before `start()`;
        SegmentFullError.
        """
        made: ordered.SortedSet[_T] = self._create(ordered.SortedSet)
        made.__init__(iterable, allocator=allocator, flat=flat)  # type: ignore[misc]
        return made

    def vector(
        self, dtype: DTypeLike, iterable_or_size: Iterable[Any] | SupportsIndex = (), *, maxlen: int | None = None
    ) -> vectors.Vector:
        """A shared array that grows. Args: as `mpshm.Vector`'s. Raises: as that; AssertionError before `start()`."""
        return vectors.Vector._make(self._usable(), dtype, iterable_or_size, maxlen=maxlen)._managed()

    def ndarray(
        self,
        shape: SupportsIndex | Sequence[SupportsIndex],
        dtype: DTypeLike = float,
        order: str = "C",
        fill: object = None,
    ) -> SharedArray:
        """A shared array of NumPy. Args: as `mpshm.ndarray`'s. Raises: as that; AssertionError before `start()`."""
        from .ndarrays import ndarray_in

        return ndarray_in(self._usable(), shape, dtype, order, fill)

    def linked_list(self, iterable: Iterable[_T] = (), /, *, allocator: Spec = None) -> linked.LinkedList[_T]:
        """A shared linked list.

        Args: as `mpshm.LinkedList`'s. Raises: what LinkedList() raises; AssertionError before `start()`;
        SegmentFullError.
        """
        made: linked.LinkedList[_T] = self._create(linked.LinkedList)
        made.__init__(iterable, allocator=allocator)  # type: ignore[misc]
        return made

    def string(self, initial: str | bytes = "", capacity: int | None = None) -> strings.String:
        """A shared, mutable text, or bytes. Args: as `mpshm.String`'s. Raises: AssertionError before `start()`."""
        return strings.String._make(self._usable(), initial, capacity)._managed()

    def Value(self, typecode: object, value: _T, lock: object = True) -> containers.Value[_T]:  # noqa: N802
        """A shared value. Args: `typecode` and `lock` are ignored, as SyncManager ignores them."""
        made: containers.Value[_T] = self._create(containers.Value)
        made.set(value)
        return made

    def Array(self, typecode: str, sequence: Iterable[Any], lock: object = True) -> arrays.Array:  # noqa: N802
        """A shared array. Args: as `array.array`'s; `lock` is ignored, as SyncManager ignores it."""
        return arrays.Array._filled(self._usable(), typecode, sequence)._managed()

    def Namespace(self, /, **kwds: object) -> containers.Namespace:  # noqa: N802
        """A shared namespace with these attributes."""
        made = self._create(containers.Namespace)
        for name, value in kwds.items():
            setattr(made, name, value)
        return made

    def Lock(self) -> sync.Lock:  # noqa: N802
        """A lock; one whose holder died goes to the next that asks."""
        return self._create(sync.Lock)

    def RLock(self) -> sync.RLock:  # noqa: N802
        """A lock that its holder may take again; one whose holder died goes to the next that asks."""
        return self._create(sync.RLock)

    def Queue(self, maxsize: int = 0) -> queues.Queue[Any]:  # noqa: N802
        """A shared queue. Args: `maxsize`, items that fit; 0 or less: as many as there is memory for."""
        return self._create(queues.Queue)._limit(maxsize)

    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue[Any]:  # noqa: N802
        """A shared queue whose items can be waited for to be done with. Args: as Queue's."""
        return self._create(queues.JoinableQueue)._limit(maxsize)

    def Semaphore(self, value: int = 1) -> sync.Semaphore:  # noqa: N802
        """Permits to take and to give back; those of a process that died come back."""
        made = self._create(sync.Semaphore)
        made._setup(value)
        return made

    def BoundedSemaphore(self, value: int = 1) -> sync.BoundedSemaphore:  # noqa: N802
        """A Semaphore that never has more permits at hand than at first."""
        made = self._create(sync.BoundedSemaphore)
        made._setup(value)
        return made

    def Condition(self, lock: sync.Lock | sync.RLock | None = None) -> sync.Condition:  # noqa: N802
        """Waiting until notified. Args: `lock`, one that this manager made; None makes an RLock."""
        made = self._create(sync.Condition)
        made._setup(self.RLock() if lock is None else lock)
        return made

    def Event(self) -> sync.Event:  # noqa: N802
        """A flag to wait for."""
        return self._create(sync.Event)

    def Barrier(  # noqa: N802
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> sync.Barrier:
        """A place where `parties` processes or threads wait for each other."""
        made = self._create(sync.Barrier)
        made._setup(parties, action, timeout)
        return made

    def Pool(  # noqa: N802
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        *,
        share_arrays: bool = False,
    ) -> PoolProxy:
        """A pool of processes, started from this one; as the context's.

        Raises: what Pool() raises, which is a RemoteError as well, as SyncManager's.
        """
        self._usable()
        from .context import get_context

        context = self._ctx or get_context()
        try:
            made = PoolProxy(
                context.get_start_method(), processes, initializer, tuple(initargs), maxtasksperchild, share_arrays
            )
        except (TypeError, ValueError) as error:
            raise type("PoolError", (type(proxies.refused("")), type(error)), {})(*error.args) from None
        self._pools.add(made)
        return made


SyncManager._built_in = {name: method for name, method in vars(SyncManager).items() if name[0] != "_"}


def _as_dict(args: Sequence[Any], kwds: Mapping[str, Any]) -> Mapping[Any, Any]:
    """What dict() makes of its arguments; not copied where that can be helped."""
    first = args[0] if len(args) == 1 else None
    if isinstance(first, containers.Dict):
        first = first._snapshot()
        args = (first,)
    if type(first) is dict and not kwds:
        return first
    return dict(*args, **kwds)


def __getattr__(name: str) -> object:
    """What takes long to import, or is built on this module."""
    if name == "RemoteError":
        import multiprocessing.managers

        return multiprocessing.managers.RemoteError
    if name == "SharedMemoryManager":
        from .memory_manager import SharedMemoryManager

        return SharedMemoryManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
