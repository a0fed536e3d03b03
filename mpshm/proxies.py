"""Proxies: how programs use objects of their own classes that lie in shared memory.

The object is kept as a pickle in an Instance. A call runs in the caller, under the object's lock: the object is loaded,
its method is called, and it is stored again if its pickle is another now. So each call is one step for all others, and
what a process was doing when it died has not happened.

What does not pickle (a generator, an open file) stays in the process that made it, and can be used there alone.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from threading import get_ident
from types import GenericAlias, ModuleType
from typing import Any
from weakref import WeakValueDictionary

from . import _types
from .containers import Shared
from .errors import MpshmError
from .segments import Segment

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "Instance",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "NamespaceProxy",
    "RebuildProxy",
    "Token",
    "ValueProxy",
    "all_methods",
    "exposed_names",
    "importable",
    "public_methods",
    "refused",
    "share_object",
]

Key = tuple[int, int, int]


class Instance(Shared, _types.Instance):
    """An object of a user's class in shared memory. Programs have proxies of it."""

    __slots__ = ("__weakref__",)

    _typeid = "Instance"


_types.register(_types.Instance, Instance)


class Elsewhere:
    """What is stored in the place of an object that does not pickle: where it is, what it is, and why."""

    __slots__ = ("kind", "pid", "why")

    def __init__(self, pid: int, kind: str, why: str) -> None:
        self.pid, self.kind, self.why = pid, kind, why

    def __reduce__(self) -> tuple[object, ...]:
        return Elsewhere, (self.pid, self.kind, self.why)


class _ByName:
    """Pickles as the module of this name."""

    __slots__ = ("name",)

    def __init__(self, module: ModuleType) -> None:
        self.name = module.__name__

    def __reduce__(self) -> tuple[object, ...]:
        return import_module, (self.name,)


class _Kept:
    """An object that is called where it is: in the process `pid`, or, if that is 0, in any."""

    __slots__ = ("__weakref__", "obj", "pid")

    def __init__(self, obj: object, pid: int) -> None:
        self.obj, self.pid = obj, pid


# Objects that do not pickle, as long as this process has a proxy of them.
_kept: WeakValueDictionary[Key, _Kept] = WeakValueDictionary()

# Objects that are being called, and by which thread of this process, which holds their locks.
_called: dict[Key, tuple[object, int]] = {}

# In a forked child nobody is calling: the parent holds the locks.
os.register_at_fork(after_in_child=_called.clear)


def refused(why: str) -> Exception:
    """The stdlib's RemoteError. That class is the stdlib's own, so that programs that catch it do."""
    from multiprocessing.managers import RemoteError

    return RemoteError(why + "\n")


class Token:
    """What a proxy refers to.

    `typeid` is the name under which the type was registered, `address` the manager's, `id` the same for all proxies of
    one object. Source: `multiprocessing.managers.Token`.
    """

    __slots__ = ("_exposed", "_handle", "_home", "_keeper", "_key", "_methods", "address", "id", "typeid")

    def __init__(
        self,
        typeid: str,
        address: object,
        handle: Instance,
        exposed: Iterable[str],
        methods: Mapping[str, str] | None,
        home: tuple[str, str] | None,
        keeper: _Kept | None = None,
    ) -> None:
        self.typeid = typeid
        self.address = address
        self.id = f"{handle._offset:x}-{handle._serial:x}"
        self._handle = handle
        self._exposed = frozenset(exposed)
        self._methods = methods
        self._home = home  # where the manager's class is, for methods whose results become shared objects
        self._key = handle._segment._pointer, handle._offset, handle._serial
        self._keeper = _kept.get(self._key) if keeper is None else keeper
        if keeper is not None and keeper.pid:
            _kept[self._key] = keeper

    def __reduce__(self) -> tuple[object, ...]:
        exposed = tuple(sorted(self._exposed))
        return Token, (self.typeid, self.address, self._handle, exposed, self._methods, self._home)

    def __repr__(self) -> str:
        return f"Token(typeid={self.typeid!r}, address={self.address!r}, id={self.id!r})"


def exposed_names(obj: object, exposed: Iterable[str] | None, methods: Mapping[str, str] | None) -> list[str]:
    """What may be called. Raises: TypeError if `methods` is no dict."""
    names = list(public_methods(obj) if exposed is None else exposed)
    if methods is not None:
        if not isinstance(methods, dict):
            raise TypeError(f"Method_to_typeid {methods!r}: type {type(methods)!s}, not dict")
        names += methods
    return names


def share_object(segment: Segment, obj: object) -> tuple[Instance, _Kept | None]:
    """Put an object into shared memory, or, if it does not pickle, say there that it is here, and keep it.

    Raises: SegmentFullError.
    """
    handle = Instance._in(segment)
    if isinstance(obj, ModuleType):
        handle._store(_ByName(obj))
        return handle, None
    try:
        handle._store(obj)
    except (MpshmError, MemoryError):
        raise
    except Exception as error:  # whatever a __reduce__ may raise
        keeper = _Kept(obj, os.getpid())
        handle._store(Elsewhere(keeper.pid, type(obj).__qualname__, str(error)))
        return handle, keeper
    return handle, None


def all_methods(obj: object) -> list[str]:
    """The names of what can be called of `obj`."""
    return [name for name in dir(obj) if callable(getattr(obj, name))]


def public_methods(obj: object) -> list[str]:
    """Those that do not begin with an underscore."""
    return [name for name in all_methods(obj) if name[0] != "_"]


# ---- calling ----


def _stays(token: Token, obj: object) -> _Kept | None:
    """How to call what was loaded, if that is nothing to be stored again."""
    if isinstance(obj, (ModuleType, type)):
        return _Kept(obj, 0)
    if not isinstance(obj, Elsewhere):
        return None
    keeper = _kept.get(token._key)
    if keeper is None or obj.pid != os.getpid():
        raise RuntimeError(
            f"cannot use {token.typeid!r} here: its {obj.kind} object is in process {obj.pid}, because it does not "
            f"pickle ({obj.why}). Use it there while a proxy is left there, or make its class picklable, by "
            "__getstate__() for example."
        )
    return keeper


def _invoke(token: Token, obj: object, name: str, args: Iterable[Any], kwds: Mapping[str, Any]) -> Any:
    """Call one method, if it is exposed."""
    if name not in token._exposed:
        if name == "__repr__":
            return repr(obj)
        if name == "__str__":
            return str(obj)
        raise refused(f"method {name!r} of {type(obj)!r} object is not in exposed={sorted(token._exposed)!r}")
    try:
        method = getattr(obj, name)
    except AttributeError as error:
        raise refused(f"AttributeError: {error}") from error
    return method(*args, **kwds)


def _copied(value: Any) -> Any:
    """A copy, as it would have come from another process; what does not pickle itself."""
    try:
        return pickle.loads(pickle.dumps(value))
    except Exception:
        return value


def _call_kept(token: Token, keeper: _Kept, name: str, args: Iterable[Any], kwds: Mapping[str, Any]) -> Any:
    """Call an object that stays where it is; without the lock, since it may wait for another's call."""
    if keeper.pid not in (0, os.getpid()):
        _stays(token, token._handle._load())  # raises, and says why
    token._handle._segment._open  # noqa: B018 -- raises after the manager's shutdown()
    if keeper.pid == 0:
        return _invoke(token, keeper.obj, name, args, kwds)
    args = tuple(_copied(arg) for arg in args)
    kwds = {key: _copied(arg) for key, arg in kwds.items()}
    return _copied(_invoke(token, keeper.obj, name, args, kwds))


def _call(token: Token, name: str, args: Iterable[Any], kwds: Mapping[str, Any]) -> Any:
    """Call one method of the object, as one step for all others."""
    keeper = token._keeper
    if keeper is not None:
        return _call_kept(token, keeper, name, args, kwds)
    key, handle = token._key, token._handle
    with handle.lock:
        found = _called.get(key)
        if found is not None:  # from inside of one of its own methods
            return _invoke(token, found[0], name, args, kwds)
        obj = handle._load()
        token._keeper = keeper = _stays(token, obj)
        if keeper is None:
            _called[key] = obj, get_ident()
            try:
                result = _invoke(token, obj, name, args, kwds)
            except Exception:
                handle._store(obj)  # what it has changed before it raised, it has changed
                raise
            else:
                handle._store(obj)
                return result
            finally:
                _called.pop(key, None)
    return _call_kept(token, keeper, name, args, kwds)


def _look(token: Token) -> tuple[object, bool]:
    """The object for reading, without its lock, and whether it is a copy."""
    found = _called.get(token._key)
    if found is not None and found[1] == get_ident():
        return found[0], False
    obj = token._handle._load()
    keeper = _stays(token, obj)
    return (obj, True) if keeper is None else (keeper.obj, False)


# ---- proxies ----


class BaseProxy:
    """A proxy of an object in shared memory; to subclass.

    `_exposed_` names the methods that may be called, `_method_to_typeid_` those whose results become shared objects,
    and of which registered type. Methods call `self._callmethod(name, args, kwds)`.

    Args: all from the manager. `authkey`, `incref` and `manager_owned` have no effect.
    Source: `multiprocessing.managers.BaseProxy`.
    """

    _exposed_: tuple[str, ...]
    _method_to_typeid_: dict[str, str]

    def __init__(
        self,
        token: Token,
        serializer: str,
        manager: Any = None,
        authkey: bytes | None = None,
        exposed: Iterable[str] | None = None,
        incref: bool = True,
        manager_owned: bool = False,
    ) -> None:
        self._token = token
        self._id = token.id
        self._serializer = serializer
        self._manager = manager

    def _callmethod(self, methodname: str, args: Iterable[Any] = (), kwds: Mapping[str, Any] = {}) -> Any:
        """Call a method of the object, as one step for all others.

        Returns: what it returned, or a proxy of that if `_method_to_typeid_` says so.
        Raises: what it raised; RemoteError if it is not exposed; RuntimeError if the object does not pickle
        and was made in another process.
        """
        token = self._token
        result = _call(token, methodname, args, kwds)
        if token._methods and methodname in token._methods:
            return self._share(token._methods[methodname], result)
        return result

    def _share(self, typeid: str, result: object) -> Any:
        """A new shared object of a registered type."""
        manager = self._manager
        if manager is None:
            from .managers import manager_at

            manager = manager_at(self._token._handle._segment, self._token._home)
        return manager._share(typeid, result)

    def _getvalue(self) -> Any:
        """A copy of the object."""
        obj, copied = _look(self._token)
        return obj if copied else pickle.loads(pickle.dumps(obj))

    @property
    def lock(self) -> _types.ObjectLock:
        """A lock for several steps: while it is held, the others' calls wait."""
        return self._token._handle.lock

    def __reduce__(self) -> tuple[object, ...]:
        cls = type(self)
        if self.__dict__.get("_isauto", False):
            return RebuildProxy, (AutoProxy, self._token, self._serializer, {"exposed": self._exposed_})
        made = cls.__dict__.get("_made_")
        return RebuildProxy, (cls if made is None else made, self._token, self._serializer, {})

    def __deepcopy__(self, memo: object) -> Any:
        return self._getvalue()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object, typeid {self._token.typeid!r} at {id(self):#x}>"

    def __str__(self) -> str:
        """The object's repr, or, where that cannot be had, the name."""
        try:
            if "__repr__" in self._token._exposed:
                return str(self._callmethod("__repr__"))
            return repr(_look(self._token)[0])
        except Exception:
            return repr(self)[:-1] + "; '__str__()' failed>"


def RebuildProxy(  # noqa: N802
    func: Callable[..., Any] | tuple[str, tuple[str, ...]], token: Token, serializer: str, kwds: dict[str, Any]
) -> Any:
    """Load a pickled proxy. Source: `multiprocessing.managers.RebuildProxy`."""
    maker = MakeProxyType(*func) if isinstance(func, tuple) else func
    return maker(token, serializer, **kwds)


def _method(name: str) -> Callable[..., Any]:
    def method(self: BaseProxy, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    method.__name__ = method.__qualname__ = name
    return method


@cache
def _proxy_type(name: str, exposed: tuple[str, ...]) -> Any:
    made = type(name, (BaseProxy,), {method: _method(method) for method in exposed})
    made._exposed_ = exposed  # type: ignore[attr-defined]
    made._made_ = name, exposed  # type: ignore[attr-defined]  # how to make it anew where a proxy arrives
    return made


def MakeProxyType(name: str, exposed: Iterable[str]) -> Any:  # noqa: N802
    """A subclass of BaseProxy with these methods. Source: `multiprocessing.managers.MakeProxyType`."""
    return _proxy_type(name, tuple(exposed))


def AutoProxy(  # noqa: N802
    token: Token,
    serializer: str,
    manager: Any = None,
    authkey: bytes | None = None,
    exposed: Iterable[str] | None = None,
    incref: bool = True,
    manager_owned: bool = False,
) -> Any:
    """A proxy with the methods that the object has. Source: `multiprocessing.managers.AutoProxy`."""
    names = tuple(sorted(token._exposed)) if exposed is None else tuple(exposed)
    proxy = MakeProxyType(f"AutoProxy[{token.typeid}]", names)(token, serializer, manager=manager)
    proxy._isauto = True
    return proxy


class IteratorProxy(BaseProxy):
    """Of an iterator or a generator."""

    _exposed_ = ("__next__", "send", "throw", "close")

    def __iter__(self) -> IteratorProxy:
        return self

    def __next__(self, *args: Any) -> Any:
        return self._callmethod("__next__", args)

    def send(self, *args: Any) -> Any:
        return self._callmethod("send", args)

    def throw(self, *args: Any) -> Any:
        return self._callmethod("throw", args)

    def close(self, *args: Any) -> Any:
        return self._callmethod("close", args)


class AcquirerProxy(BaseProxy):
    """Of what is acquired and released."""

    _exposed_: tuple[str, ...] = ("acquire", "release")

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> Any:
        return self._callmethod("acquire", (blocking,) if timeout is None else (blocking, timeout))

    def release(self) -> Any:
        return self._callmethod("release")

    def __enter__(self) -> Any:
        return self._callmethod("acquire")

    def __exit__(self, *exc_info: object) -> None:
        self._callmethod("release")


class ConditionProxy(AcquirerProxy):
    """Of a condition that stays in the process that made it; a manager's own `Condition()` serves all."""

    _exposed_ = ("acquire", "release", "wait", "wait_for", "notify", "notify_all")

    def wait(self, timeout: float | None = None) -> Any:
        return self._callmethod("wait", (timeout,))

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        return self._callmethod("wait_for", (predicate, timeout))

    def notify(self, n: int = 1) -> Any:
        return self._callmethod("notify", (n,))

    def notify_all(self) -> Any:
        return self._callmethod("notify_all")


class EventProxy(BaseProxy):
    """Of an event that stays in the process that made it; a manager's own `Event()` serves all."""

    _exposed_ = ("is_set", "set", "clear", "wait")

    def is_set(self) -> Any:
        return self._callmethod("is_set")

    def set(self) -> Any:
        return self._callmethod("set")

    def clear(self) -> Any:
        return self._callmethod("clear")

    def wait(self, timeout: float | None = None) -> Any:
        return self._callmethod("wait", (timeout,))


class BarrierProxy(BaseProxy):
    """Of a barrier that stays in the process that made it; a manager's own `Barrier()` serves all."""

    _exposed_ = ("__getattribute__", "wait", "abort", "reset")

    def wait(self, timeout: float | None = None) -> Any:
        return self._callmethod("wait", (timeout,))

    def abort(self) -> Any:
        return self._callmethod("abort")

    def reset(self) -> Any:
        return self._callmethod("reset")

    @property
    def parties(self) -> Any:
        return self._callmethod("__getattribute__", ("parties",))

    @property
    def n_waiting(self) -> Any:
        return self._callmethod("__getattribute__", ("n_waiting",))

    @property
    def broken(self) -> Any:
        return self._callmethod("__getattribute__", ("broken",))


class NamespaceProxy(BaseProxy):
    """Of an object whose attributes are used. Names that begin with an underscore are the proxy's own."""

    _exposed_: tuple[str, ...] = ("__getattribute__", "__setattr__", "__delattr__")

    def __getattr__(self, key: str) -> Any:
        if key[0] == "_":
            return object.__getattribute__(self, key)
        callmethod = object.__getattribute__(self, "_callmethod")
        return callmethod("__getattribute__", (key,))

    def __setattr__(self, key: str, value: Any) -> None:
        if key[0] == "_":
            object.__setattr__(self, key, value)
        else:
            self._callmethod("__setattr__", (key, value))

    def __delattr__(self, key: str) -> None:
        if key[0] == "_":
            object.__delattr__(self, key)
        else:
            self._callmethod("__delattr__", (key,))

    @property
    def lock(self) -> Any:
        """The object's own attribute of this name, if it has one; else as every proxy's."""
        try:
            return self._callmethod("__getattribute__", ("lock",))
        except AttributeError:
            return self._token._handle.lock


class ValueProxy(BaseProxy):
    """Of what has `get` and `set`."""

    _exposed_ = ("get", "set")

    def get(self) -> Any:
        return self._callmethod("get")

    def set(self, value: Any) -> Any:
        return self._callmethod("set", (value,))

    value = property(get, set)

    def __class_getitem__(cls, item: object, /) -> GenericAlias:
        return GenericAlias(cls, item)


_LIST = """__add__ __contains__ __delitem__ __getitem__ __len__ __mul__ __reversed__ __rmul__ __setitem__ append clear
copy count extend index insert pop remove reverse sort __imul__"""
_DICT = """__contains__ __delitem__ __getitem__ __ior__ __len__ __or__ __ror__ __setitem__ clear copy get items keys pop
popitem setdefault update values"""

BaseListProxy: Any = MakeProxyType("BaseListProxy", _LIST.split())
BaseDictProxy: Any = MakeProxyType("BaseDictProxy", _DICT.split())
BaseArrayProxy: Any = MakeProxyType("BaseArrayProxy", ("__len__", "__getitem__", "__setitem__"))


class ListProxy(BaseListProxy):  # type: ignore[misc]
    """Of a subclass of list; a manager's own `list()` needs none, and is faster."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self._getvalue())

    def __iadd__(self, value: Iterable[Any]) -> ListProxy:
        self._callmethod("extend", (value,))
        return self

    def __imul__(self, value: int) -> ListProxy:
        self._callmethod("__imul__", (value,))
        return self


class DictProxy(BaseDictProxy):  # type: ignore[misc]
    """Of a subclass of dict; a manager's own `dict()` needs none, and is faster."""

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._getvalue()))

    def keys(self) -> list[Any]:
        return list(self._callmethod("keys"))

    def values(self) -> list[Any]:
        return list(self._callmethod("values"))

    def items(self) -> list[Any]:
        return list(self._callmethod("items"))

    def __ior__(self, value: Any) -> DictProxy:
        self._callmethod("__ior__", (value,))
        return self


class ArrayProxy(BaseArrayProxy):  # type: ignore[misc]
    """Of an array.array; a manager's own `Array()` needs none, and is faster."""


def importable(cls: type) -> tuple[str, str] | None:
    """Where other processes find a class, if they do."""
    found: Any = sys.modules.get(cls.__module__)
    for part in cls.__qualname__.split("."):
        found = getattr(found, part, None)
    return (cls.__module__, cls.__qualname__) if found is cls else None
