"""The same test on queue.Queue and a manager's queue, on multiprocessing's queues and ours."""

import multiprocessing
import pickle
import queue
import threading
import time

import pytest

from mpshm import _types, queues

SHUT = {queues.ShutDown}


class Managed:
    """queue.Queue, and what a manager makes in its place."""

    name = "managed"

    def __init__(self, ours, manager):
        self.ours = ours
        self.queue = manager.Queue if ours else queue.Queue
        self.joinable = manager.JoinableQueue if ours else queue.Queue
        self.simple = queue.SimpleQueue if not ours else lambda: queues.SimpleQueue._in(manager.segment)._managed()
        self.item = "item"


class Plain:
    """multiprocessing's queues, and ours."""

    name = "plain"

    def __init__(self, ours, manager):
        self.ours = ours
        self.queue = queues.Queue if ours else multiprocessing.Queue
        self.joinable = queues.JoinableQueue if ours else multiprocessing.JoinableQueue
        self.simple = queues.SimpleQueue if ours else multiprocessing.SimpleQueue
        self.item = "obj"


@pytest.fixture(params=[(Managed, False), (Managed, True), (Plain, False), (Plain, True)], ids=lambda p: str(p))
def kit(request, manager):
    family, ours = request.param
    made = family(ours, manager)
    yield made
    assert manager.segment.check() is None


VALUES = [None, True, 7, -(2**200), 2.5, "text", "é" * 50, b"x" * 100, b"y" * 5000, b"z" * 100_000, (1, "a"), [{}], {1}]


def settle(q):
    """multiprocessing's feeder thread takes a moment."""
    end = time.monotonic() + 10
    while q.empty() and time.monotonic() < end:
        time.sleep(0.001)


def test_first_in_first_out(kit):
    """Items of every type come out as they went in."""
    q = kit.queue()
    for value in VALUES:
        q.put(value)
    assert [q.get(timeout=10) for _ in VALUES] == VALUES
    assert q.empty()


def test_simple_queue(kit):
    """put, get and empty of the simple one."""
    q = kit.simple()
    assert q.empty()
    for value in VALUES[:8]:
        q.put(value)
    assert not q.empty()
    assert [q.get() for _ in VALUES[:8]] == VALUES[:8]
    assert q.empty()
    with pytest.raises(TypeError):
        kit.simple(3)


def test_keywords(kit):
    """The names of the arguments are the stdlib's."""
    q = kit.queue(maxsize=2)
    q.put(**{kit.item: 1}, block=True, timeout=1)
    q.put_nowait(**{kit.item: 2})
    settle(q)
    assert q.get(block=True, timeout=10) == 1
    assert q.get(True, 10) == 2


def test_wrong_arguments(kit):
    """Calls that the stdlib's refuses."""
    q = kit.queue()
    for call in (
        lambda: q.put(),
        lambda: q.put(1, True, 1, 1),
        lambda: q.put(1, nonsense=2),
        lambda: q.get(True, 1, 1),
        lambda: q.get(nonsense=2),
        lambda: q.get_nowait(1),
        lambda: q.put_nowait(),
        lambda: q.put_nowait(1, 2),
        lambda: q.get(timeout="soon"),
    ):
        with pytest.raises(TypeError):
            call()


def test_empty(kit):
    """An empty queue: at once, or after the time given."""
    q = kit.queue()
    for call in (q.get_nowait, lambda: q.get(False), lambda: q.get(block=False, timeout=5)):
        with pytest.raises(queue.Empty):
            call()
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        q.get(timeout=0.2)
    assert 0.19 < time.monotonic() - begin < 10
    with pytest.raises(queue.Empty):
        q.get(timeout=0)


def test_full(kit):
    """A full queue: at once, or after the time given; a get makes room."""
    q = kit.queue(2)
    assert not q.full()
    q.put(1)
    q.put(2)
    assert q.full()
    for call in (lambda: q.put_nowait(3), lambda: q.put(3, False), lambda: q.put(3, block=False, timeout=5)):
        with pytest.raises(queue.Full):
            call()
    begin = time.monotonic()
    with pytest.raises(queue.Full):
        q.put(3, timeout=0.2)
    assert 0.19 < time.monotonic() - begin < 10
    assert q.get(timeout=10) == 1
    q.put(3)
    assert [q.get(timeout=10), q.get(timeout=10)] == [2, 3]


def test_qsize(kit):
    """qsize counts exactly; a queue without a size is never full."""
    q = kit.queue()
    for n in range(50):
        assert q.qsize() == n
        q.put(n)
    assert not q.full()
    assert [q.get(timeout=10) for _ in range(50)] == list(range(50))
    assert q.qsize() == 0


@pytest.mark.parametrize("maxsize", [0, -1, -5])
def test_no_size(kit, maxsize):
    """0 and less: no limit."""
    q = kit.queue(maxsize)
    for n in range(100):
        q.put(n, block=False)
    assert not q.full()
    assert [q.get(timeout=10) for _ in range(100)] == list(range(100))


def test_negative_timeout(kit):
    """queue.Queue's refuses it, where it would wait; multiprocessing's has passed."""
    q = kit.queue(1)
    if kit.name == "managed":
        with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
            q.get(timeout=-1)
        with pytest.raises(ValueError, match="'timeout' must be a non-negative number"):
            q.put(1, timeout=-1)
        kit.queue().put(1, timeout=-1)  # nothing to wait for
    else:
        with pytest.raises(queue.Empty):
            q.get(timeout=-1)
        q.put(1, timeout=-1)
        with pytest.raises(queue.Full):
            q.put(1, timeout=-1)
        settle(q)
        assert q.get(timeout=10) == 1


def test_blocked_get_and_put(kit):
    """A get waits for a put, a put for a get."""
    q, found = kit.queue(1), []
    getter = threading.Thread(target=lambda: found.append(q.get()))
    getter.start()
    time.sleep(0.05)
    q.put("late")
    getter.join(20)
    assert found == ["late"]
    q.put(1)
    putter = threading.Thread(target=q.put, args=(2,))
    putter.start()
    time.sleep(0.05)
    assert putter.is_alive()
    assert q.get(timeout=10) == 1
    putter.join(20)
    assert q.get(timeout=10) == 2


def test_join(kit):
    """join returns when each item was done with, and not before; one task too many is an error."""
    q = kit.joinable()
    q.join()
    for n in range(3):
        q.put(n)
    joined = threading.Event()
    joiner = threading.Thread(target=lambda: (q.join(), joined.set()))
    joiner.start()
    for _ in range(3):
        assert not joined.wait(0.02)
        q.get(timeout=10)
        q.task_done()
    assert joined.wait(20)
    joiner.join()
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()


def test_closed(kit):
    """After close() this process puts and gets no more; multiprocessing's alone can be closed."""
    if kit.name == "managed":
        return
    q = kit.queue()
    q.put(1)
    settle(q)
    q.close()
    q.join_thread()
    q.cancel_join_thread()
    with pytest.raises(ValueError, match="is closed"):
        q.put(2)
    with pytest.raises(ValueError, match="is closed"):
        q.get()
    s = kit.simple()
    s.close()


def test_annotations(kit):
    """Queue[int] is for annotations, where the stdlib's is."""
    cls = type(kit.queue())
    if hasattr(cls, "__class_getitem__"):
        assert cls[int].__origin__ is cls


@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown(kit, immediate):
    """As Python 3.13's: nothing goes in, what is there comes out or is thrown away as done."""
    q = kit.joinable()
    if not hasattr(q, "shutdown"):
        return
    for n in range(4):
        q.put(n)
    assert q.get() == 0
    q.shutdown(immediate=immediate)
    assert q.is_shutdown
    with pytest.raises(queues.ShutDown):
        q.put(9)
    with pytest.raises(queues.ShutDown):
        q.put_nowait(9)
    rest = [] if immediate else [1, 2, 3]
    assert q.qsize() == len(rest)
    assert [q.get() for _ in rest] == rest
    for call in (q.get, q.get_nowait, lambda: q.get(timeout=1)):
        with pytest.raises(queues.ShutDown):
            call()
    for _ in range(len(rest) + 1):
        assert q.unfinished_tasks > 0
        q.task_done()
    q.join()
    q.shutdown()


def test_shutdown_wakes_all(kit):
    """Everybody who waits is told."""
    if not hasattr(kit.queue(), "shutdown"):
        return
    empty, full, tasks = kit.queue(), kit.queue(1), kit.joinable()
    full.put(0)
    tasks.put(0)
    told = []

    def wait(call):
        try:
            call()
            told.append("done")
        except queues.ShutDown:
            told.append("shut")

    calls = [empty.get, empty.get, lambda: full.put(1), lambda: full.put(2), tasks.join]
    threads = [threading.Thread(target=wait, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    assert told == []
    empty.shutdown()
    full.shutdown()
    tasks.shutdown(immediate=True)
    for thread in threads:
        thread.join(20)
    assert sorted(told) == ["done"] + ["shut"] * 4


def test_what_does_not_pickle(kit):
    """It is refused where it was put, and the queue is as it was; multiprocessing's loses it silently."""
    if not kit.ours:
        return
    q = kit.queue(1)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        q.put(lambda: 1)
    assert q.empty()
    q.put(1)
    assert q.get() == 1


def test_kinds_are_classes():
    """A joinable queue is a queue; the exceptions are the stdlib's."""
    assert issubclass(queues.JoinableQueue, queues.Queue)
    assert not issubclass(queues.SimpleQueue, queues.Queue)
    assert queues.Empty is queue.Empty
    assert queues.Full is queue.Full
    assert queues.ShutDown is getattr(queue, "ShutDown", queues.ShutDown)


def test_kinds_stay_what_they_are(manager):
    """Through a pickle, and in another container, each kind comes back as itself."""
    for q in (manager.Queue(2), manager.JoinableQueue(), queues.SimpleQueue._in(manager.segment)):
        q.put("inside")
        copy = pickle.loads(pickle.dumps(q))
        assert type(copy) is type(q)
        assert _types.same(copy, q)
        d = manager.dict(q=q)
        assert type(d["q"]) is type(q)
        assert d["q"].get() == "inside"
