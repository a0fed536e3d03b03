"""A manager's life: states and errors are the stdlib's, the objects are ours."""

import multiprocessing
import os
import pickle
from multiprocessing.managers import SyncManager as StdlibManager

import pytest

import mpshm
from mpshm.managers import BaseManager, SyncManager

MAKERS = {
    "dict": lambda m: m.dict(a=1),
    "list": lambda m: m.list([1]),
    "Value": lambda m: m.Value("i", 1),
    "Namespace": lambda m: m.Namespace(a=1),
    "Lock": lambda m: m.Lock(),
    "RLock": lambda m: m.RLock(),
}


@pytest.fixture(params=["stdlib", "mpshm"])
def manager_class(request):
    """The reference, then ours."""
    return StdlibManager if request.param == "stdlib" else SyncManager


def test_manager_is_started(manager):
    """Manager() gives a SyncManager that is ready."""
    assert type(manager) is SyncManager and isinstance(manager, BaseManager)
    assert mpshm.managers.SyncManager is SyncManager


@pytest.mark.parametrize("name", MAKERS)
def test_use_before_start(manager_class, name):
    """AssertionError, from each method that makes something."""
    with pytest.raises(AssertionError, match="server not yet started"):
        MAKERS[name](manager_class())


def test_shutdown_before_start(manager_class):
    """AttributeError: the stdlib has no such attribute yet."""
    with pytest.raises(AttributeError, match="shutdown"):
        manager_class().shutdown()


def test_start_twice(manager_class):
    """ProcessError for a started one, and for one that has ended."""
    manager = manager_class()
    manager.start()
    with pytest.raises(multiprocessing.ProcessError, match="Already started server"):
        manager.start()
    manager.shutdown()
    with pytest.raises(multiprocessing.ProcessError, match="Manager has shut down"):
        manager.start()
    with pytest.raises(multiprocessing.ProcessError, match="Manager has shut down"):
        manager.__enter__()


def test_with_starts(manager_class):
    """`with` starts one that is not started, takes one that is, and ends it; join() returns."""
    with manager_class() as manager:
        assert manager.dict(a=1)["a"] == 1
    manager.join()
    manager = manager_class()
    manager.start()
    with manager as same:
        assert same is manager
    with pytest.raises(AssertionError):
        manager.dict()
    manager.shutdown()


@pytest.mark.parametrize("bad", [3, "name", ()])
def test_initializer_must_be_callable(manager_class, bad):
    """TypeError, and it can still be started."""
    manager = manager_class()
    with pytest.raises(TypeError, match="initializer must be a callable"):
        manager.start(bad)
    manager.start()
    manager.shutdown()


def test_initializer_runs_here():
    """The initializer runs in the caller, with its arguments; if it raises, nothing was started."""
    calls = []
    manager = SyncManager()
    manager.start(lambda *args: calls.append((os.getpid(), args)), (1, 2))
    assert calls == [(os.getpid(), (1, 2))]
    manager.shutdown()
    manager = SyncManager()
    with pytest.raises(ZeroDivisionError):
        manager.start(lambda: 1 / 0)
    manager.start()
    manager.shutdown()


def test_the_stdlibs_arguments():
    """A program that passes what BaseManager takes goes on working."""
    manager = SyncManager(None, b"key", "pickle", multiprocessing.get_context("spawn"), shutdown_timeout=2)
    with manager:
        assert manager.list([1]) == [1]


def test_an_address_to_serve_is_refused():
    """There is no server: start() with an address says so instead of listening to nobody."""
    with pytest.raises(ValueError, match="serves no address"):
        SyncManager(("127.0.0.1", 0), authkey=b"x").start()


@pytest.mark.parametrize("address", [None, ("127.0.0.1", 1), "a-socket", "mpshm-xyz"])
def test_connect_to_what_is_no_address(address):
    """ValueError that says what an address is."""
    with pytest.raises(ValueError, match="cannot connect to"):
        SyncManager(address).connect()


def test_connect_to_nobody():
    """SegmentNotFoundError, which is a FileNotFoundError, with the way out."""
    with pytest.raises(mpshm.SegmentNotFoundError, match="alive"):
        SyncManager("mpshm-" + "00" * 16).connect()


def test_connect(manager):
    """A second manager at the same address makes objects in the same segment, and does not end it."""
    other = SyncManager(address=manager.address)
    with pytest.raises(AssertionError):
        other.dict()
    other.connect()
    assert other.address == manager.address
    assert other.segment is manager.segment
    d = manager.dict()
    d["from the other"] = other.list([1])
    other.shutdown()
    assert d["from the other"] == [1]
    with pytest.raises(AssertionError):
        other.dict()


@pytest.mark.parametrize("name", MAKERS)
def test_after_shutdown(name):
    """Every handle raises SegmentClosedError; making another raises the stdlib's AssertionError, and ours."""
    manager = mpshm.Manager()
    obj = MAKERS[name](manager)
    inner = manager.list()
    manager.shutdown()
    manager.shutdown()
    uses = {
        "dict": [lambda: obj["a"], lambda: obj.update(b=1), lambda: len(obj), lambda: list(obj), lambda: obj.clear()],
        "list": [lambda: obj[0], lambda: obj.append(1), lambda: len(obj), lambda: list(obj), lambda: obj.clear()],
        "Value": [lambda: obj.value, lambda: obj.set(1), lambda: obj.get()],
        "Namespace": [lambda: obj.a, lambda: setattr(obj, "a", 1)],
        "Lock": [lambda: obj.acquire(), lambda: obj.acquire(False)],
        "RLock": [lambda: obj.acquire(), lambda: obj.acquire(False)],
    }
    for use in [*uses[name], lambda: pickle.dumps(obj), lambda: inner.append(obj)]:
        with pytest.raises(mpshm.SegmentClosedError, match="manager"):
            use()
    for error in (AssertionError, mpshm.SegmentClosedError):
        with pytest.raises(error, match="shut down"):
            MAKERS[name](manager)
    assert manager.segment.closed
    with pytest.raises(mpshm.SegmentClosedError):
        manager.segment.stats()


def test_forgetting_a_manager_ends_nothing():
    """Objects outlive a manager that was only forgotten."""
    d = mpshm.Manager().dict(a=1)
    assert d["a"] == 1
    d["b"] = 2
    assert d._segment.check() is None


def test_two_managers_know_nothing_of_each_other(manager):
    """A shared object is kept by reference only within its own segment; the end of one is not that of the
    other."""
    other = mpshm.Manager()
    assert other.segment is not manager.segment
    assert other.address != manager.address
    d = manager.dict(a=1)
    other.shutdown()
    assert d["a"] == 1


def test_subclass():
    """A subclass adds its own and keeps the rest."""

    class Mine(SyncManager):
        def counter(self):
            return self.dict(n=0)

    with Mine() as manager:
        assert manager.counter().incr("n") == 1


def test_manager_sizes():
    """Sizes go to the segment."""
    with mpshm.Manager(size=2 << 20, max_size=64 << 20) as manager:
        assert manager.segment.size >= (2 << 20) - 64  # what the segment itself needs
        assert manager.segment.max_size == 64 << 20


def test_content_is_checked_as_the_builtins_do(manager):
    """What dict() and list() refuse is refused in their words."""
    for args in ((1,), ([1],), ({}, {}), ([([], 1)],)):
        with pytest.raises((TypeError, ValueError)) as want:
            dict(*args)
        with pytest.raises(type(want.value)) as got:
            manager.dict(*args)
        assert str(got.value) == str(want.value)
    with pytest.raises(TypeError, match="'int' object is not iterable"):
        manager.list(1)


def test_value_ignores_the_typecode(manager):
    """As SyncManager's."""
    v = manager.Value("i", "a text", lock=False)
    assert v.value == v.get() == "a text"
    v.value = [1]
    v.set(v.value + [2])
    assert v.get() == [1, 2]


CONTAINERS = {
    "dict": (mpshm.Dict, ({1: 2},)),
    "list": (mpshm.List, ([1, 2],)),
    "set": (mpshm.Set, ([1, 2],)),
    "deque": (mpshm.Deque, ([1, 2], 5)),
    "map": (mpshm.Map, ({1: 2},)),
    "multi_map": (mpshm.MultiMap, ([(1, 2), (1, 1)],)),
    "sorted_set": (mpshm.SortedSet, ([2, 1],)),
    "vector": (mpshm.Vector, ("i4", [1, 2])),
    "linked_list": (mpshm.LinkedList, ([1, 2],)),
    "string": (mpshm.String, ("text",)),
}


def test_every_container_has_a_method():
    """Whatever container there is, a manager makes."""
    classes = {cls for cls in vars(mpshm).values() if isinstance(cls, type) and hasattr(cls, "_getvalue")}
    named = {cls for cls, _ in CONTAINERS.values()}
    assert {cls for cls in classes if cls not in named} <= {mpshm.Namespace}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_by_method(name):
    """The method has the class's arguments, and the typeid's name; what it makes is in the manager's memory."""
    cls, args = CONTAINERS[name]
    manager = SyncManager()
    with pytest.raises(AssertionError, match="server not yet started"):
        getattr(manager, name)(*args)
    with manager:
        made = getattr(manager, name)(*args)
        assert type(made) is cls and made._segment is manager.segment and f"typeid {name!r}" in repr(made)
        assert made == cls(*args)
        assert len(getattr(manager, name)(*(args[:1] if cls is mpshm.Vector else ()))) == 0
        if "allocator" in dir(cls):
            assert getattr(manager, name)(*args, allocator=mpshm.NodePool).allocator.kind is mpshm.NodePool
    with pytest.raises(mpshm.SegmentClosedError):
        getattr(manager, name)(*args)


def test_pickling_a_manager(manager):
    """A manager that arrives elsewhere makes objects in the same segment; one not started does not pickle."""
    copy = pickle.loads(pickle.dumps(manager))
    assert type(copy) is SyncManager and copy.segment is manager.segment
    d = copy.dict(a=1)
    copy.shutdown()
    assert d == {"a": 1}
    with pytest.raises(TypeError, match="before it is started"):
        pickle.dumps(SyncManager())


def test_child_does_not_end_the_parents_manager(manager):
    """A forked child's shutdown() is its own affair, as the stdlib's."""
    d = manager.dict()
    ctx = mpshm.get_context("fork")

    def child():
        d["child"] = 1
        manager.shutdown()

    process = ctx.Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert d == {"child": 1}


def test_number_of_objects(manager):
    """What a manager's tests ask for: objects alive."""
    before = manager._number_of_objects()
    d = manager.dict()
    assert manager._number_of_objects() == before + 1
    del d
    assert manager._number_of_objects() == before


def _square(n):
    return n * n


def test_pool(manager):
    """The context's pool, from the manager."""
    with mpshm.get_context("fork").Manager() as made, made.Pool(2) as pool:
        assert pool.map(_square, range(5)) == [0, 1, 4, 9, 16]
