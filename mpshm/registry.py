"""`register()`: types of users' own, for managers.

Each class of managers has a table of its own, a copy of its base's from when it first registers something. What a
registered function makes is put into shared memory as it is (proxies.py); what multiprocessing's own managers register,
such as queues, becomes an object of ours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, NamedTuple

from . import _types, proxies
from .proxies import AutoProxy, BaseProxy, IteratorProxy, Token
from .segments import Segment
from .singletons import Singletons, call, gives_variable

__all__ = ["Registered", "Registry"]


class Registered(NamedTuple):
    """What `register()` was told of a type."""

    callable: Callable[..., Any] | None
    exposed: Sequence[str] | None
    method_to_typeid: Mapping[str, str] | None
    proxytype: Callable[..., Any]


_ITERATOR = Registered(None, IteratorProxy._exposed_, None, IteratorProxy)

# Proxies that promise nothing that our own objects do not have.
_PLAIN_PROXIES = frozenset(
    {
        proxies.AcquirerProxy,
        proxies.ArrayProxy,
        AutoProxy,
        proxies.BarrierProxy,
        proxies.ConditionProxy,
        proxies.DictProxy,
        proxies.EventProxy,
        proxies.ListProxy,
        proxies.ValueProxy,
    }
)


@cache
def _ours() -> dict[Callable[..., Any], str]:
    """What has a counterpart here, of the types that are registered as they are; those that wait for another
    process's call could not do it inside of a call."""
    import queue
    import threading
    from collections import deque

    names = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]
    found: dict[Callable[..., Any], str] = {getattr(threading, name): name for name in names}
    return found | {deque: "deque", dict: "dict", list: "list", queue.Queue: "Queue", set: "set"}


def _counterpart(entry: Registered, made_by: Callable[..., Any]) -> str | None:
    """The typeid of ours for what is made, if the program asked for nothing that ours has not."""
    if entry.proxytype not in _PLAIN_PROXIES or not isinstance(made_by, Hashable):
        return None
    return _ours().get(made_by)


class Registry:
    """The part of a manager that knows users' types."""

    _registry: ClassVar[dict[str, Registered]] = {}
    # Typeids that need no registration, and SyncManager's methods for them, whatever a program registers later.
    _built_in: ClassVar[Mapping[str, Callable[..., Any]]] = {}

    _serializer: str
    _address: object
    _owner: int
    _segment: Segment | None
    _singletons: Singletons | None
    # What the program keeps, and what it was shared as: by id, and so with a reference to each.
    _given_out: dict[int, tuple[object, Token | BaseProxy | _types.Handle]]

    def _usable(self) -> Segment:
        raise AssertionError("a part of a manager is no manager")

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., Any] | None = None,
        proxytype: Callable[..., Any] | None = None,
        exposed: Sequence[str] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        create_method: bool = True,
    ) -> None:
        """Make shared objects of a type of yours: each call on one is one step for all others.

        Args: `typeid`, the type's name, and that of the method that makes one; `callable`, what makes the
        object, called in the process that calls the method; `proxytype`, a subclass of BaseProxy, None for
        one made of what the object has; `exposed`, the names of the methods that may be called, None for those
        of the proxy, or all that do not begin with an underscore; `method_to_typeid`, the methods whose results
        become shared objects themselves, and their typeids; `create_method=False` leaves the method out.
        Source: `multiprocessing.managers.BaseManager.register`.
        """
        if "_registry" not in cls.__dict__:
            cls._registry = cls._registry.copy()
        if proxytype is None:
            proxytype = AutoProxy
        exposed = exposed or getattr(proxytype, "_exposed_", None)
        method_to_typeid = method_to_typeid or getattr(proxytype, "_method_to_typeid_", None)
        for key, value in (method_to_typeid or {}).items():
            assert type(key) is str, f"{key!r} is not a string"
            assert type(value) is str, f"{value!r} is not a string"
        cls._registry[typeid] = Registered(callable, exposed, method_to_typeid, proxytype)
        if create_method:

            def make(self: Registry, /, *args: Any, **kwds: Any) -> Any:
                return self._share(typeid, *args, **kwds)

            make.__name__ = typeid
            make.__qualname__ = f"{cls.__qualname__}.{typeid}"
            setattr(cls, typeid, make)

    def _share(self, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        """A new shared object of a type, or the one of its name that all share."""
        segment = self._usable()
        entry = self._registry.get(typeid)
        if entry is None:
            return self._share_built_in(typeid, *args, **kwds)
        mine = self._owner == os.getpid()
        if not (mine or args or kwds or self._singletons is None):
            single = self._singletons.find(typeid)
            if single is not None:
                return self._proxy(entry, single)
        if entry.callable is None:
            if kwds or len(args) != 1:
                raise ValueError(
                    "Without callable, must have one non-keyword argument"
                    + (f"; and the manager's process has given out no {typeid!r}" if not mine else "")
                )
            return self._proxy(entry, self._token(segment, typeid, entry, args[0]))
        ours = _counterpart(entry, entry.callable)
        if ours is not None:
            return self._share_built_in(ours, *args, **kwds)
        obj, kept = call(entry.callable, args, kwds)
        if not kept:
            return self._proxy(entry, self._token(segment, typeid, entry, obj))
        token = self._token_again(segment, typeid, entry, obj)
        if mine and self._singletons is not None and not (args or kwds):
            self._singletons.publish(typeid, token)
        return self._proxy(entry, token)

    def _share_built_in(self, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        """A new shared object of a type that every SyncManager has."""
        if typeid == "Iterator":
            return self._proxy(_ITERATOR, self._token(self._usable(), typeid, _ITERATOR, *args))
        from .managers import SyncManager, manager_at

        method = SyncManager._built_in.get(typeid)
        if method is None:
            raise proxies.refused(f"KeyError: {typeid!r} is not a registered typeid")
        maker = self if isinstance(self, SyncManager) else manager_at(self._usable(), None)
        return method(maker, *args, **kwds)

    def _publish_all(self) -> None:
        """Let all processes have, by name, what registered functions give out and go on keeping."""
        functions = {typeid: entry.callable for typeid, entry in self._registry.items() if entry.callable is not None}
        if not functions:
            return
        segment = self._usable()
        self._singletons = Singletons(segment)
        first, at, name = str(self._address).partition("@")
        self._address = f"{first}{self._singletons.place}{at}{name}"
        for typeid, function in functions.items():
            if gives_variable(function):
                try:
                    obj = function()
                except (AttributeError, NameError):
                    continue  # there is no such variable yet
                self._singletons.publish(typeid, self._token_again(segment, typeid, self._registry[typeid], obj))

    def _token_again(self, segment: Segment, typeid: str, entry: Registered, obj: object) -> Any:
        """The same, for an object that the program keeps: what it gives out again is the same shared object."""
        before = self._given_out.get(id(obj))
        token = self._token(segment, typeid, entry, obj, before and before[1])
        self._given_out[id(obj)] = obj, token
        return token

    def _token(
        self,
        segment: Segment,
        typeid: str,
        entry: Registered,
        obj: object,
        before: Token | BaseProxy | _types.Handle | None = None,
    ) -> Token | BaseProxy | _types.Handle:
        """What a proxy of `obj` refers to; `obj` itself if it is shared already.

        Args: `before`, what this gave for the same object the last time.
        """
        if isinstance(obj, (_types.Handle, BaseProxy)):
            return obj
        if before is not None and not isinstance(before, Token):
            return before
        if _counterpart(entry, type(obj)) == "Queue":
            queue: _types.Handle = self._queue(obj)
            return queue
        methods = entry.method_to_typeid
        home = proxies.importable(type(self)) if methods else None
        handle, keeper = proxies.share_object(segment, obj) if before is None else (before._handle, before._keeper)
        exposed = proxies.exposed_names(obj, entry.exposed, methods)
        return Token(typeid, self._address, handle, exposed, methods, home, keeper)

    def _proxy(self, entry: Registered, token: Token | BaseProxy | _types.Handle) -> Any:
        if not isinstance(token, Token):
            return token
        exposed = tuple(sorted(token._exposed))
        return entry.proxytype(token, self._serializer, manager=self, authkey=None, exposed=exposed)

    def _queue(self, old: Any) -> Any:
        """A shared queue with the items of a `queue.Queue`."""
        made = self._share_built_in("Queue", old.maxsize)
        for item in list(old.queue):
            made.put(item)
        return made
