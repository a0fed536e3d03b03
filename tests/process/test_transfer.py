"""Arrays between pools, executors and processes, by reference: also when workers end, die, or are never asked again."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np
import pytest
import transfer_workers as workers

import mpshm

pytestmark = pytest.mark.timeout(120)
ARRAY_BYTES = workers.SIZE * 8
LIMIT_S = 60


@pytest.fixture
def segment() -> Any:
    """What arrays go through while they go by reference."""
    with mpshm.share_arrays() as sharing:
        yield sharing.segment
        assert sharing.segment.check() is None


def used(segment: Any, most: int = 0) -> int:
    """Bytes in use when all that has ended is cleaned up after; waits a little for them to be few."""
    limit = time.monotonic() + LIMIT_S
    while True:
        gc.collect()
        segment.recover()
        if segment.used <= most or time.monotonic() > limit:
            return int(segment.used)
        time.sleep(0.05)


def test_pool(ctx: Any, segment: Any) -> None:
    """Arguments and results of all calls, several to a message, from workers that end after a few tasks."""
    sent = [workers.made(i) for i in range(4)]
    fast = ctx.get_start_method() == "fork"
    with ctx.Pool(2 if fast else 1, maxtasksperchild=1 if fast else 4) as pool:
        for number, (shared, array) in enumerate(pool.map(workers.change, sent, chunksize=2)):
            assert shared
            assert workers.is_shared(array)
            assert array[0] == array[-1] == number + 1
            array[:] = 0
            assert sent[number][0] == number
        results = [*pool.imap(workers.made, range(2)), pool.apply_async(workers.made, (2,)).get(LIMIT_S)]
        assert [array[5] for array in results] == [0, 1, 2]
        assert all(map(workers.is_shared, results))
        parcel = pool.apply(workers.pack, (7,))
        assert all(map(workers.is_shared, (parcel.array, *parcel.more["twice"])))
        with pytest.raises(workers.RefusalError) as refused:
            pool.apply(workers.refuse, (sent[0],))
        assert refused.value.args[0]
        assert np.array_equal(refused.value.args[1], sent[0])
    del shared, array, results, parcel, refused, pool
    assert used(segment) == 0


def test_executor(ctx: Any, segment: Any) -> None:
    """The same of a ProcessPoolExecutor; the tasks of one whose worker was killed are taken back."""
    array = workers.made(3)
    with ProcessPoolExecutor(2, mp_context=ctx) as executor:
        results = list(executor.map(workers.change, [array] * 3))
        assert all(shared and workers.is_shared(result) and result[0] == 4 for shared, result in results)
        del results
        futures = [executor.submit(workers.die, array)] + [executor.submit(workers.wait, array) for _ in range(5)]
        with pytest.raises(BrokenProcessPool):
            futures[0].result(LIMIT_S)
    del futures, executor
    # (What a worker was sending when it was terminated is all that may be left.)
    assert used(segment, 2 * ARRAY_BYTES + 8192) <= 2 * ARRAY_BYTES + 8192


def test_processes_and_queues(ctx: Any, segment: Any) -> None:
    """Arguments of a process, and items of a queue of the stdlib's."""
    queue = multiprocessing.get_context(ctx.get_start_method()).Queue()
    process = ctx.Process(target=workers.answer, args=(workers.made(1), queue))
    process.start()
    shared, array = queue.get(timeout=LIMIT_S)
    process.join(LIMIT_S)
    assert process.exitcode == 0
    assert shared == (ctx.get_start_method() != "fork")  # a forked one has its parent's own
    assert workers.is_shared(array)
    assert array[-1] == 2
    del array, process
    queue.close()
    queue.join_thread()
    assert used(segment) == 0


def test_grandchild(segment: Any) -> None:
    """What a process is started with, those that it starts are started with."""
    ctx = mpshm.get_context("spawn")
    queue = multiprocessing.get_context("spawn").Queue()
    process = ctx.Process(target=workers.relay, args=("spawn", queue))
    process.start()
    shared, array = queue.get(timeout=LIMIT_S)
    process.join(LIMIT_S)
    assert shared
    assert workers.is_shared(array)
    queue.close()
    queue.join_thread()


def test_worker_killed_in_a_task(segment: Any) -> None:
    """What a killed worker had is free again, and those after it go on by reference."""
    with mpshm.get_context("fork").Pool(1) as pool:
        pool.apply_async(workers.die, (workers.made(1),))
        shared, array = pool.apply_async(workers.change, (workers.made(2),)).get(LIMIT_S)
        assert shared
        assert array[0] == 3
    del array, pool
    assert used(segment) == 0


def test_no_room() -> None:
    """With room for a few arrays only, all arrive, some by reference."""
    with mpshm.share_arrays(segment=mpshm.AnonymousSegment(1 << 16, 1 << 20)):
        with mpshm.get_context("fork").Pool(2) as pool:
            results = pool.map(workers.change, [workers.made(i) for i in range(20)], chunksize=4)
            assert [array[3] for _, array in results] == list(range(1, 21))
            ways = {there for there, _ in results} | {workers.is_shared(array) for _, array in results}
            assert ways == {True, False}


@pytest.mark.parametrize("interrupted", [False, True])
def test_pool_that_ends_early(segment: Any, interrupted: bool) -> None:
    """Tasks that no worker has taken are taken back when the pool has ended, after Ctrl-C too."""
    sent = [workers.made(1)] * 100
    try:
        with mpshm.get_context("fork").Pool(2) as pool:
            if interrupted:
                threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
                pool.map(workers.wait, sent, chunksize=1)
            first = next(pool.imap(workers.wait, sent))
            assert workers.is_shared(first)
            del first
    except KeyboardInterrupt:
        assert interrupted
    del pool
    assert used(segment, 2 * ARRAY_BYTES + 8192) <= 2 * ARRAY_BYTES + 8192


def test_parent_that_does_not_share() -> None:
    """A worker whose initializer is share_arrays sends results as ever, until an array came to it by reference."""
    ctx = mpshm.get_context("fork")
    with ctx.Pool(1, mpshm.share_arrays) as pool:
        assert not workers.is_shared(pool.apply(workers.made, (3,)))
        with mpshm.share_arrays():
            shared, array = pool.apply(workers.change, (workers.made(1),))
            assert shared
            assert workers.is_shared(array)
        assert workers.is_shared(pool.apply(workers.made, (3,)))


def test_a_process_with_a_pool_of_its_own() -> None:
    """One whose parent does not share shares with its own workers; what it sends to the parent holds its bytes."""
    ctx = multiprocessing.get_context("fork")
    queue = ctx.Queue()
    process = ctx.Process(target=workers.ask, args=(1, queue))
    process.start()
    down, up, array = queue.get(timeout=LIMIT_S)
    process.join(LIMIT_S)
    assert (down, up) == (True, True)
    assert array[7] == 2
    assert not workers.is_shared(array)
    queue.close()
    queue.join_thread()


@pytest.mark.parametrize("make", [mpshm.Pool, mpshm.get_context("spawn").Pool])
def test_our_pools(make: Any) -> None:
    """`share_arrays=True` says the same as the function called before."""
    with mpshm.share_arrays(False), make(1, share_arrays=True) as pool:
        assert workers.is_shared(pool.apply(workers.made, (3,)))


def test_pool_of_a_manager() -> None:
    """The same of a manager's."""
    with mpshm.share_arrays(False), mpshm.Manager(ctx=mpshm.get_context("fork")) as manager:
        with manager.Pool(1, share_arrays=True) as pool:
            assert workers.is_shared(pool.apply(workers.made, (3,)))
