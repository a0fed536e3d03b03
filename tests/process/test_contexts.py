"""Our contexts give our objects, and the stdlib's pools and executors that are started by them work as ever."""

import ctypes
import multiprocessing
import multiprocessing.pool
import queue
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import queues as stdlib_queues

import context_workers as workers
import pytest

import mpshm
from mpshm import sync

pytestmark = pytest.mark.timeout(100)

OURS = {
    "Lock": sync.Lock,
    "RLock": sync.RLock,
    "Semaphore": sync.Semaphore,
    "BoundedSemaphore": sync.BoundedSemaphore,
    "Condition": sync.Condition,
    "Event": sync.Event,
    "Queue": mpshm.queues.Queue,
    "JoinableQueue": mpshm.queues.JoinableQueue,
    "SimpleQueue": mpshm.queues.SimpleQueue,
}


@pytest.mark.parametrize("name", OURS)
def test_they_are_ours(ctx, name):
    """Each of a context's objects is of our class, which is the module's name for it too."""
    assert type(getattr(ctx, name)()) is OURS[name]
    assert getattr(mpshm, name) is OURS[name]
    assert type(getattr(mpshm.context.default, name)()) is OURS[name]


def test_arguments(ctx):
    """Arguments are the stdlib's."""
    assert ctx.Semaphore(2).get_value() == ctx.BoundedSemaphore(value=2).get_value() == 2
    lock = ctx.Lock()
    with ctx.Condition(lock):
        assert not lock.acquire(False)
    assert ctx.Barrier(2, timeout=0.01).parties == 2
    for made in (ctx.Queue(1), ctx.JoinableQueue(maxsize=1)):
        made.put(1)
        with pytest.raises(queue.Full):
            made.put_nowait(2)
    assert ctx.Value("i", 3).value == 3 and ctx.Value(ctypes.c_double, 2.5, lock=False).value == 2.5
    assert list(ctx.Array("i", [1, 2])) == [1, 2] and len(ctx.Array("d", 4, lock=ctx.RLock())) == 4
    assert ctx.RawValue("i", 3).value == 3 and list(ctx.RawArray("i", 2)) == [0, 0]
    with pytest.raises(TypeError):
        ctx.Array("i", 2, True)


def test_names_of_modules():
    """Modules of multiprocessing are reachable by their names: ours where there is one."""
    for name in ("context", "managers", "queues", "shared_memory", "sharedctypes"):
        assert getattr(mpshm, name).__name__ == f"mpshm.{name}"
    for name in ("synchronize", "pool", "connection", "dummy"):
        assert getattr(mpshm, name).__name__ == f"multiprocessing.{name}"
    from mpshm.queues import Empty, Full

    assert Empty is queue.Empty and Full is queue.Full


def test_process(ctx):
    """All of a context's objects, as arguments of a process."""
    lock, event, answers, value = ctx.Lock(), ctx.Event(), ctx.Queue(), ctx.Value("i", 1)
    process = ctx.Process(target=workers.use, args=(lock, event, answers, value))
    process.start()
    assert event.wait(60)
    assert answers.get(timeout=60) == "done"
    process.join(60)
    assert process.exitcode == 0 and value.value == 2 and lock.acquire(False)


@pytest.mark.parametrize("maxtasksperchild", [None, 2])
def test_pool(ctx, maxtasksperchild):
    """A pool keeps its own pipes and locks, and hands our objects to its workers."""
    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    with ctx.Pool(2, workers.begin, (lock, value), maxtasksperchild) as pool:
        assert isinstance(pool, multiprocessing.pool.Pool)
        assert type(pool._inqueue) is stdlib_queues.SimpleQueue
        assert pool.map(workers.add, range(20), chunksize=1) == list(range(20))
        assert sorted(pool.imap_unordered(workers.add, range(5))) == list(range(5))
        pool.close()
        pool.join()
    assert value.value == sum(range(20)) + sum(range(5))


def test_a_pool_that_is_given_the_context(ctx):
    """multiprocessing.pool.Pool(context=...): it asks the context for its own kind of objects."""
    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    with multiprocessing.pool.Pool(2, workers.begin, (lock, value), context=ctx) as pool:
        assert type(pool._inqueue) is stdlib_queues.SimpleQueue
        assert pool.map(workers.add, range(20)) == list(range(20))
    assert value.value == sum(range(20))


def test_thread_pool(ctx):
    """A pool of threads, with our objects."""
    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    with mpshm.pool.ThreadPool(3, workers.begin, (lock, value)) as pool:
        assert pool.map(workers.add, range(20)) == list(range(20))
    assert value.value == sum(range(20))


def test_executor(ctx):
    """concurrent.futures keeps its own queues."""
    lock, value = ctx.Lock(), ctx.Value("i", 0, lock=False)
    with ProcessPoolExecutor(2, mp_context=ctx, initializer=workers.begin, initargs=(lock, value)) as executor:
        assert list(executor.map(workers.add, range(12))) == list(range(12))
        assert isinstance(executor._call_queue, stdlib_queues.Queue)
    assert value.value == sum(range(12))


def test_executor_whose_worker_dies(ctx):
    """A worker that is killed breaks the executor, as ever, and nobody waits for ever."""
    from concurrent.futures.process import BrokenProcessPool

    with ProcessPoolExecutor(1, mp_context=ctx) as executor, pytest.raises(BrokenProcessPool):
        executor.submit(workers.die).result(60)


def test_stdlib_queues_of_our_context(ctx):
    """The classes of multiprocessing.queues and .synchronize, made by hand with our context."""
    made = stdlib_queues.JoinableQueue(2, ctx=ctx)
    made.put(1)
    assert made.get(timeout=60) == 1
    made.task_done()
    made.join()
    made.close()
    made.join_thread()
    barrier = multiprocessing.synchronize.Barrier(1, ctx=ctx)
    assert barrier.wait(60) == 0
    simple = stdlib_queues.SimpleQueue(ctx=ctx)
    simple.put(1)
    assert simple.get() == 1
    simple.close()


def test_the_stdlibs_managers_of_our_context(ctx):
    """A stdlib manager may be started by our context."""
    from multiprocessing.managers import SyncManager

    manager = SyncManager(ctx=ctx)
    manager.start()
    assert manager.list([1])[0] == 1
    manager.shutdown()


def test_start_method_is_everybodys():
    """What multiprocessing is set to, ours is."""
    assert mpshm.get_context().get_start_method() == multiprocessing.get_context().get_start_method()
    assert mpshm.get_context("spawn") is mpshm.get_context("spawn").get_context()
    assert mpshm.get_start_method() == mpshm.context.default.get_start_method()


def test_idle_workers_cost_nothing(ctx):
    """A process that waits for an event of ours ends when it is set."""
    event = ctx.Event()
    process = ctx.Process(target=event.wait, args=(60,))
    process.start()
    time.sleep(0.2)
    event.set()
    process.join(60)
    assert process.exitcode == 0
