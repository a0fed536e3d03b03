"""What is dropped is reused: constant memory however much is made."""

import gc
import os

import pytest
from memory_use import leaves_nothing

pytestmark = pytest.mark.once

# The size of the long test; 10**6 in the stress runs.
MANY = int(os.environ.get("MPSHM_TEST_MANY", "100000"))


@pytest.mark.timeout(600)
def test_dicts_made_and_dropped(manager):
    """Any number of dicts made and dropped, with something in them, takes no more memory than a few."""
    for i in range(200):
        manager.dict({i: str(i) * 20})
    with leaves_nothing(manager) as before:
        for i in range(MANY):
            d = manager.dict()
            d[i] = i
            d["text"] = "a text that does not fit into the entry"
            if i % 10_000 == 0:
                assert manager.segment.stats().used < before.used + (1 << 20)
        del d
    assert manager.segment.stats().size <= before.size + (1 << 20)


MAKERS = {
    "dict": lambda m: m.dict(a=1, b="x" * 100, c=[1, 2]),
    "list": lambda m: m.list([1, "x" * 100, [2, 3]]),
    "Value": lambda m: m.Value("i", "x" * 100),
    "Namespace": lambda m: m.Namespace(a=1, b="x" * 100),
    "Lock": lambda m: m.Lock(),
    "RLock": lambda m: m.RLock(),
    "nested dict": lambda m: m.dict(a=m.dict(b=m.list([m.dict(), m.Lock()]))),
    "nested list": lambda m: m.list([m.list([m.list()]), m.Value("i", m.list())]),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_every_kind_made_and_dropped(manager, make):
    """No kind of object, nested or not, leaves anything."""
    make(manager)
    with leaves_nothing(manager):
        for _ in range(2000):
            make(manager)


CHURN = {
    "set and delete": lambda d, x, i: (d.__setitem__(i, "v" * 200), d.pop(i)),
    "overwrite": lambda d, x, i: d.__setitem__("k", "v" * (i % 5000)),
    "update and clear": lambda d, x, i: (d.update({j: str(j) * 10 for j in range(10)}), d.clear()),
    "setdefault and popitem": lambda d, x, i: (d.setdefault(("long key", i) * 5, i), d.popitem()),
    "failing": lambda d, x, i: d.pop("nothing", None),
    "incr": lambda d, x, i: (d.incr("n" * 100), d.incr("big", 2**70)),
    "compute": lambda d, x, i: d.compute("k", lambda old: [i]),
    "compare_exchange": lambda d, x, i: (d.compare_exchange("k", 1, [1]), d.compare_exchange("k", [1], [1])),
    "append and pop": lambda d, x, i: (x.append("v" * 200), x.pop()),
    "front": lambda d, x, i: (x.insert(0, [i]), x.pop(0)),
    "slices": lambda d, x, i: (x.__setitem__(slice(0, 0), ["v" * 50] * 5), x.__delitem__(slice(0, 5))),
    "reading": lambda d, x, i: (d.copy(), x[:], list(d), list(x), d.items(), str(d), x == x),
    "sort": lambda d, x, i: (x.extend(["b" * 30, "a" * 30]), x.sort(key=str), x.clear()),
    "multiply": lambda d, x, i: (x.append("m" * 50), x.__imul__(5), x.clear()),
    "nested": lambda d, x, i: (d.__setitem__("in", x), d["in"].append(1), d.pop("in").clear()),
    "locks": lambda d, x, i: (d.lock.acquire(), d.lock.release()),
}


@pytest.mark.parametrize("churn", CHURN.values(), ids=CHURN)
def test_every_operation_leaves_nothing(manager, churn):
    """An operation done again and again takes no memory for ever."""
    d, x = manager.dict(), manager.list()
    for i in range(5100):
        churn(d, x, i % 5000)
    d.clear(), x.clear()
    with leaves_nothing(manager):
        for i in range(3000):
            churn(d, x, i)
        d.clear(), x.clear()


def test_kept_by_a_container_only(manager):
    """A container lives while another refers to it, and goes with it."""
    outer = manager.dict({"in": 1})
    del outer["in"]
    with leaves_nothing(manager):
        for _ in range(500):
            inner = manager.list(["x" * 100] * 10)
            outer["in"] = inner
            del inner
            gc.collect(0)
            assert outer["in"][9] == "x" * 100
            del outer["in"]


def test_deep_nesting_is_freed_without_recursion(manager):
    """A chain of a hundred thousand containers is freed, and the stack stays small."""
    with leaves_nothing(manager):
        head = manager.list()
        for _ in range(MANY):
            head = manager.list([head])
        del head


def test_many_entries_come_back(manager):
    """A large dict and a large list give their memory back when cleared, and when dropped."""
    d, x = manager.dict(), manager.list()
    with leaves_nothing(manager):
        for _ in range(3):
            d.update((i, i) for i in range(50_000))
            x.extend(range(50_000))
            d.clear(), x.clear()
    with leaves_nothing(manager):
        for _ in range(3):
            manager.dict((i, str(i)) for i in range(50_000))
            manager.list(str(i) * 10 for i in range(50_000))
