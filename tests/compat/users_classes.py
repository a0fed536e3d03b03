"""Classes that tests register with managers, the stdlib's and ours; importable by spawned processes."""

import math
import os
from multiprocessing import managers as stdlib

from mpshm import managers as ours


class Account:
    """What users share: an object with a state."""

    def __init__(self, balance=0, *, owner="nobody"):
        self.balance = balance
        self.owner = owner
        self.entries = [balance]

    def pay_in(self, n, times=1):
        for _ in range(times):
            self.balance += n
        self.entries.append(n)
        return self.balance

    def pay_out(self, n):
        self.balance -= n
        if self.balance < 0:
            raise ValueError("overdrawn", self.balance)

    def get(self):
        return self.balance

    def history(self):
        return self.entries

    def walk(self):
        return iter(self.entries)

    def by_owner(self):
        return {self.owner: self.balance}

    def _audit(self):
        return "audited"

    def __len__(self):
        return len(self.entries)

    def __repr__(self):
        return f"Account({self.balance})"


class Person:
    def __init__(self, name):
        self.name = name
        self._secret = 1

    def greet(self, other="you"):
        return f"{self.name} greets {other}"


class Silent:
    """Whose repr raises."""

    def __repr__(self):
        raise RuntimeError("no repr")

    def go(self):
        return 1


def squares():
    for i in range(10):
        yield i * i


def get_math():
    return math


def where():
    return os.getpid()


def make(base):
    """The same program with the managers of the stdlib, and with ours."""

    class GeneratorProxy(base.BaseProxy):
        _exposed_ = ("__next__",)

        def __iter__(self):
            return self

        def __next__(self):
            return self._callmethod("__next__")

    class PersonProxy(base.NamespaceProxy):
        _exposed_ = ("__getattribute__", "__setattr__", "__delattr__", "greet")

        def greet(self, *args, **kwds):
            return self._callmethod("greet", args, kwds)

    class Manager(base.BaseManager):
        pass

    class Full(base.SyncManager):
        pass

    made = base.MakeProxyType("MadeProxy", ("pay_in", "get", "__len__"))
    for cls in (Manager, Full):
        cls.register("Account", Account)
        cls.register("Odd", Account, exposed=("get", "_audit"))
        cls.register("Made", Account, made)
        cls.register("Person", Person, PersonProxy)
        cls.register("Silent", Silent)
        cls.register("squares", squares, proxytype=GeneratorProxy)
        cls.register("math", get_math)
        cls.register("hidden", Account, create_method=False)
        cls.register("given")
    Full.register(
        "Typed", Account, method_to_typeid={"history": "list", "by_owner": "dict", "walk": "Iterator", "get": "Value1"}
    )
    Full.register("Value1", Account)
    return Manager, Full


MANAGERS = {"stdlib": make(stdlib), "mpshm": make(ours)}
