"""A user's classes, and what other processes do with shared objects of them; importable by spawned ones."""

import os
import signal
import threading
import time

import mpshm
from mpshm.managers import BaseManager, BaseProxy, MakeProxyType, NamespaceProxy


class Counter:
    """Counts, and tells of the process that counted last."""

    def __init__(self, n=0):
        self.n = n
        self.pids = set()

    def bump(self, by=1):
        before = self.n
        self.pids.add(os.getpid())
        self.n = before + by
        return self.n

    def get(self):
        return self.n

    def seen(self):
        return self.pids

    def bump_by(self, proxy, by):
        """Change itself directly, and by a proxy of itself."""
        self.n += by
        proxy.bump(by)
        self.n += by
        return proxy.get()

    def bump_other(self, other):
        return other.bump(self.bump())

    def bump_and_die(self):
        self.n += 1000
        os.kill(os.getpid(), signal.SIGKILL)

    def bump_and_raise(self, error):
        self.n += 1
        raise error

    def bump_slowly(self, started, seconds):
        self.n += 1
        started.set(True)
        time.sleep(seconds)
        self.n += 1

    def spoil(self):
        """Make it something that does not pickle."""
        self.n = (i for i in range(3))

    def keep(self, key, value):
        setattr(self, key, value)

    def give(self, key):
        return getattr(self, key)


class CounterProxy(BaseProxy):
    _exposed_ = ("bump", "get")

    def bump(self, by=1):
        return self._callmethod("bump", (by,))

    def get(self):
        return self._callmethod("get")


class ChildCounterProxy(NamespaceProxy):
    _exposed_ = ("__getattribute__", "__setattr__", "__delattr__", "bump")

    def bump(self, by=1):
        return self._callmethod("bump", kwds={"by": by})


class Bound:
    """What does not pickle."""

    def __init__(self):
        self.mutex = threading.Lock()

    def get(self):
        with self.mutex:
            return os.getpid()


class Manager(BaseManager):
    pass


Made = MakeProxyType("Made", ("bump", "get"))
Manager.register("Counter", Counter)
Manager.register("Custom", Counter, CounterProxy)
Manager.register("Spaced", Counter, ChildCounterProxy)
Manager.register("MadeCounter", Counter, Made)
Manager.register("Typed", Counter, method_to_typeid={"seen": "list", "give": "Inner"})
Manager.register("Inner")
Manager.register("Bound", Bound)

KINDS = ("Counter", "Custom", "Spaced", "MadeCounter", "Typed")

ONLY = Counter(5)


def get_only():
    return ONLY


def get_new():
    return Counter(7)


class Serving(BaseManager):
    """The manager of the process that has the objects."""


class Asking(BaseManager):
    """That of one which has only the address."""


shared = {}


def get_dict():
    return shared.setdefault("dict", mpshm.Dict(made_in=os.getpid()))


Serving.register("get_only", get_only)
Serving.register("get_new", get_new)
Serving.register("get_lambda", lambda: ONLY)
Serving.register("get_dict", get_dict)
for name in ("get_only", "get_new", "get_lambda", "get_dict", "nothing"):
    Asking.register(name)


def ask(address, answers):
    """Connect by the address alone, and change what is found."""
    manager = Asking(address=address)
    manager.connect()
    only = manager.get_only()
    found = manager.get_dict()
    found["asked by"] = os.getpid()
    answers.append((only.bump(), manager.get_only().get(), found["made_in"]))
    for name in ("get_new", "nothing"):
        try:
            getattr(manager, name)()
        except ValueError as error:
            answers.append(str(error))


def bump_many(counter, n):
    for _ in range(n):
        counter.bump()
    return counter


def bump_and_die(counter):
    counter.bump_and_die()


def typed(counter):
    """Results that become shared, in a process that knows nothing of the manager."""
    seen = counter.seen()
    return type(seen).__name__, seen, counter._token.typeid


def use(proxy, name, *args):
    return getattr(proxy, name)(*args)


def try_to_use(proxy, name, answers):
    try:
        answers.append(getattr(proxy, name)())
    except RuntimeError as error:
        answers.append(str(error))
