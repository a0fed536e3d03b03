"""Objects of users' classes between processes: each call is one step, and proxies go wherever handles go."""

import os
import pickle
import signal
import threading
import time

import pytest
import register_workers as workers

import mpshm
from mpshm.managers import RemoteError, SyncManager

pytestmark = pytest.mark.timeout(100)


@pytest.fixture
def manager():
    with workers.Manager() as made:
        yield made
        assert made.segment.check() is None


@pytest.fixture(params=workers.KINDS)
def counter(request, manager):
    """A counter behind each kind of proxy."""
    return getattr(manager, request.param)()


def run(ctx, target, *args, exitcode=0):
    process = ctx.Process(target=target, args=args)
    process.start()
    process.join(60)
    assert process.exitcode == exitcode


def value(counter):
    return counter._getvalue().n


def test_no_call_is_lost(ctx, counter):
    """Processes call at once: every call counts."""
    processes = [ctx.Process(target=workers.bump_many, args=(counter, 200)) for _ in range(3)]
    for process in processes:
        process.start()
    workers.bump_many(counter, 200)
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert value(counter) == 800


def test_threads(manager):
    """Threads call at once: every call counts."""
    counter = manager.Counter()
    threads = [threading.Thread(target=workers.bump_many, args=(counter, 200)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counter.get() == 800


def test_pool_there_and_back(ctx, counter):
    """What comes back from a pool is a proxy of the same object, of the same class."""
    with ctx.Pool(2) as pool:
        back = pool.apply(workers.bump_many, (counter, 3))
    assert type(back) is type(counter) and back._id == counter._id and repr(back).split(" at ")[0] in repr(counter)
    assert back.bump() == 4 and value(counter) == 4


@pytest.mark.parametrize("kind", workers.KINDS)
def test_in_shared_containers(manager, kind):
    """A proxy in a container refers to the object, and keeps it alive."""
    counter = getattr(manager, kind)()
    shared = mpshm.managers.manager_at(manager.segment, None).list([counter])
    shared[0].bump()
    assert value(counter) == 1
    del counter
    assert value(shared[0]) == 1
    before = manager._number_of_objects()
    shared.clear()
    assert manager._number_of_objects() == before - 1


def test_a_dying_caller_has_done_nothing(ctx, manager):
    """A process killed inside of a call: nothing of the call has happened, and the next caller goes on."""
    counter = manager.Counter(5)
    run(ctx, workers.bump_and_die, counter, exitcode=-signal.SIGKILL)
    assert counter.get() == 5
    assert counter.bump() == 6


def test_calls_from_inside(manager):
    """A method that calls its own object by a proxy works on one state."""
    counter, other = manager.Counter(), manager.Counter()
    assert counter.bump_by(counter, 10) == 30 == counter.get()
    copy = pickle.loads(pickle.dumps(counter))
    assert counter.bump_by(copy, 1) == 33 == copy.get()
    assert counter.bump_other(other) == 34 == other.get()
    assert str(counter._getvalue().n) == "34"


def test_interrupted_calls(manager):
    """An exception keeps what was changed before it; what ends the program, such as Ctrl-C, undoes the call."""
    counter = manager.Counter()
    with pytest.raises(KeyError):
        counter.bump_and_raise(KeyError("x"))
    assert counter.get() == 1
    for error in (KeyboardInterrupt, SystemExit):
        with pytest.raises(error):
            counter.bump_and_raise(error())
        assert counter.get() == 1
    assert counter.bump() == 2


def test_others_wait_for_a_call(ctx, manager):
    """Nobody sees the middle of a call; reading the whole value does not wait."""
    counter, started = manager.Counter(), SyncManager.Value(mpshm.Manager(), "i", False)
    process = ctx.Process(target=workers.use, args=(counter, "bump_slowly", started, 1.0))
    process.start()
    until = time.monotonic() + 60
    while not started.value and time.monotonic() < until:
        time.sleep(0.01)
    assert counter._getvalue().n == 0
    assert counter.get() == 2
    process.join(60)


def test_lock_for_several_calls(ctx, manager):
    """`with proxy.lock:` makes several calls one step."""
    counter = manager.Counter()
    with counter.lock:
        process = ctx.Process(target=workers.bump_many, args=(counter, 1))
        process.start()
        before = counter.get()
        time.sleep(0.3)
        assert counter.bump() == before + 1
    process.join(60)
    assert process.exitcode == 0 and counter.get() == 2


def test_reading_calls_write_nothing(manager):
    """A call that changes nothing stores nothing."""
    counter = manager.Counter()
    counter.keep("blob", bytes(100_000))
    used = manager.segment.used
    for _ in range(50):
        counter.get()
    assert manager.segment.used == used


def test_what_ceases_to_pickle(manager):
    """The call raises what pickle raises, and the object is as before."""
    counter = manager.Counter(3)
    with pytest.raises(TypeError, match="pickle"):
        counter.spoil()
    assert counter.get() == 3


def test_shared_objects_as_attributes(manager):
    """A shared object that is kept in an attribute stays shared, and goes with the object."""
    counter = manager.Counter()
    before = manager._number_of_objects()
    counter.keep("inner", mpshm.managers.manager_at(manager.segment, None).list())
    counter.give("inner").append(1)
    assert counter.give("inner") == [1]
    assert manager._number_of_objects() > before
    del counter
    assert manager._number_of_objects() == before - 1


def test_results_become_shared_elsewhere(ctx, manager):
    """Typeids of results work in a process that was given the proxy alone, the program's own types too."""
    counter = manager.Typed()
    counter.bump()
    with ctx.Pool(1) as pool:
        name, seen, typeid = pool.apply(workers.typed, (counter,))
        assert (name, typeid) == ("List", "Typed") and seen == [os.getpid()]
        counter.keep("inner", workers.Counter(4))
        inner = pool.apply(workers.use, (counter, "give", "inner"))
    assert inner._token.typeid == "Inner" and inner.bump() == 5


def test_what_does_not_pickle(ctx, manager):
    """It can be used in the process that made it; others are told what it is, where it is, and what to do."""
    bound = manager.Bound()
    assert bound.get() == os.getpid()
    answers = mpshm.List()
    run(ctx, workers.try_to_use, bound, "get", answers)
    assert f"Bound object is in process {os.getpid()}" in answers[0] and "__getstate__" in answers[0]
    copy = pickle.loads(pickle.dumps(bound))
    assert copy.get() == os.getpid()
    pickled = pickle.dumps(bound)
    del bound, copy
    with pytest.raises(RuntimeError, match="while a proxy is left there"):
        pickle.loads(pickled).get()


def test_found_by_the_address(ctx):
    """What a function gives out and keeps is found by its name, by a process that has only the address."""
    workers.shared.clear()
    with workers.Serving() as manager:
        only, again = manager.get_only(), manager.get_lambda()
        assert only.get() == again.get() == 5
        assert only._id == manager.get_only()._id == again._id
        assert manager.get_dict() == {"made_in": os.getpid()}
        assert manager.get_new()._id != manager.get_new()._id
        answers = mpshm.List()
        run(ctx, workers.ask, manager.address, answers)
        assert answers[0] == (6, 6, os.getpid())
        assert "has given out no 'get_new'" in answers[1] and "has given out no 'nothing'" in answers[2]
        assert only.get() == 6
        assert manager.get_dict()["asked by"] != os.getpid()
        assert manager.segment.check() is None
    workers.shared.clear()


def test_registered_with_the_base(manager):
    """Types registered with SyncManager itself, as programs do, replace ours there, and can be undone."""

    class Mine(SyncManager):
        pass

    Mine.register("dict", dict)
    Mine.register("list", list, mpshm.managers.ListProxy)
    Mine.register("Counter", workers.Counter)
    with Mine() as made:
        assert type(made.dict(a=1)) is mpshm.Dict and made.dict(a=1) == {"a": 1}
        assert type(made.list([1])) is mpshm.List
        assert made.Counter(3).bump() == 4


def test_proxies_for_subclasses_of_builtins():
    """DictProxy, ListProxy: for subclasses of dict and list."""
    from collections import OrderedDict

    class Mine(SyncManager):
        pass

    Mine.register("Ordered", OrderedDict, mpshm.managers.DictProxy)
    with Mine() as made:
        d = made.Ordered(a=1)
        d["b"] = 2
        d |= {"c": 3}
        d["d"] = made.list()
        d["d"].append(1)
        assert list(d) == ["a", "b", "c", "d"] == d.keys() and d["d"] == [1] and "a" in d and len(d) == 4
        assert type(d._getvalue()) is OrderedDict


@pytest.mark.parametrize("kind", ["Counter", "Bound"])
def test_after_shutdown(kind):
    """Every proxy raises SegmentClosedError."""
    manager = workers.Manager()
    manager.start()
    proxy = getattr(manager, kind)()
    manager.shutdown()
    for use in (lambda: proxy._callmethod("get"), lambda: pickle.dumps(proxy), lambda: proxy._getvalue()):
        with pytest.raises(mpshm.SegmentClosedError):
            use()
    with pytest.raises(AssertionError):
        getattr(manager, kind)()
    assert "failed>" in str(proxy)


def test_refused_in_other_processes_too(ctx, manager):
    """RemoteError for a method that is not exposed, wherever the proxy is."""
    with ctx.Pool(1) as pool, pytest.raises(RemoteError):
        pool.apply(workers.use, (manager.Custom(), "_callmethod", "seen"))


def test_no_server_to_get():
    """get_server() says what to do instead."""
    with pytest.raises(ValueError, match="has no server"):
        workers.Manager().get_server()
