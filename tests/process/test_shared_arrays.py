"""Writable shared arrays between processes: every view stays shared, and the memory lives as long as it has to."""

import gc
import os
import signal
from concurrent.futures import ProcessPoolExecutor

import array_workers as workers
import numpy as np
import pytest

import mpshm

SECONDS = 60

pytestmark = pytest.mark.timeout(90)


def objects(manager):
    gc.collect()
    manager.segment.recover()
    return manager.segment.stats().objects


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.join(SECONDS)
    assert process.exitcode == -signal.SIGKILL


def test_views_stay_shared(ctx, manager):
    """A worker, however it was started, writes through every kind of view; what was computed is its own."""
    array, records = manager.ndarray((4, 6)), manager.ndarray(3, workers.RECORDS)
    given, private, results = workers.views(array, records), array + 1, manager.Queue()
    process = ctx.Process(target=workers.fill, args=(given, private, results))
    process.start()
    seen = results.get(timeout=SECONDS)
    process.join(SECONDS)
    assert process.exitcode == 0
    for number, (name, view) in enumerate(given.items()):
        assert seen[name] == (view.dtype, view.shape)
        assert ((view["a"] if view.dtype.names else view) == number).all(), name
    assert (private == 1).all()


def test_through_pools(manager):
    """Arrays go to and come from the workers of a pool as the same memory, also those that a worker made."""
    array = manager.ndarray((4, 1000), "i4")
    with mpshm.get_context("spawn").Pool(2) as pool, ProcessPoolExecutor(1, mpshm.get_context("fork")) as other:
        parts = pool.starmap(workers.part_of, [(array, number) for number in range(3)])
        parts.append(other.submit(workers.part_of, array, 3).result(SECONDS))
        made = [
            pool.apply(workers.made_here, (manager, 5)),
            other.submit(workers.made_here, manager, 6).result(SECONDS),
        ]
    for number, part in enumerate(parts):
        assert np.shares_memory(part, array) and (part == number).all() and part.shape == (500,)
    assert [(part.shape, part[0, 0]) for part in made] == [((100, 95), 5), ((100, 94), 6)]
    made[0] += 1
    assert (made[0] == 6).all()
    assert objects(manager) == 3
    del made, array, parts, part
    assert objects(manager) == 0


def test_made_before_a_fork():
    """An array in the default segment is the children's, too, without being handed on; the last one keeps it."""
    array = mpshm.ndarray((2, 5), "i4")
    moved = mpshm.asarray(np.arange(3))
    segment = array.segment
    begin, end = os.pipe()
    children = []
    for number in range(2):
        child = os.fork()
        if child == 0:
            try:
                array[number] = moved.sum() + number
                late = mpshm.ndarray(10, fill=number)
                os.read(begin, 1)  # the parent has let go
                ok = (array[number] == 3 + number).all() and late.sum() == 10 * number
                os._exit(0 if ok else 1)
            finally:
                os._exit(2)
        children.append(child)
    before = segment.stats().objects
    del array, moved
    gc.collect()
    assert segment.stats().objects >= before
    os.write(end, b"..")
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    os.close(begin), os.close(end)
    segment.recover()
    assert segment.check() is None


def test_the_reader_is_killed(manager):
    """A killed holder's hold is taken back: the memory is used again, and everything is sound."""
    array, ready = manager.ndarray(100_000, "u1", fill=1), manager.Queue()
    process = mpshm.get_context("fork").Process(target=workers.hold, args=(array, ready))
    process.start()
    assert ready.get(timeout=SECONDS) == 99_999
    used = manager.segment.used
    del array
    gc.collect()
    assert manager.segment.used > used - 50_000  # the other has it
    kill(process)
    assert objects(manager) == 1 and manager.segment.used < used - 99_000
    assert manager.segment.check() is None


def test_the_maker_is_killed(manager):
    """What somebody else has of a dead maker's arrays stays; the others go."""
    ready = manager.Queue()
    process = mpshm.get_context("fork").Process(target=workers.make_and_send, args=(manager, ready))
    process.start()
    part = ready.get(timeout=SECONDS)
    kill(process)
    assert objects(manager) == 2
    part[:5] += 1
    assert part.shape == (199_000,) and part[:6].tolist() == [3, 3, 3, 3, 3, 2]
    assert manager.segment.check() is None
    del part
    assert objects(manager) == 1


def test_killed_while_they_make_arrays(manager):
    """Workers killed at any moment leave nothing, and no damage."""
    array, ready, used = manager.ndarray(1000), manager.Queue(), 0
    for _ in range(5):
        processes = [
            mpshm.get_context("fork").Process(target=workers.churn, args=(manager, array, ready)) for _ in range(2)
        ]
        for process in processes:
            process.start()
        for _ in processes:
            ready.get(timeout=SECONDS)
        processes[0].join(0.05)
        for process in processes:
            kill(process)
        assert objects(manager) == 2
        assert manager.segment.check() is None
        used = used or manager.segment.used
        assert manager.segment.used < used + 50_000
    array[:] = 1
    assert array.sum() == 1000
