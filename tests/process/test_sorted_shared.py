"""Sorted containers that several processes change: nothing is lost, the order holds, a killed one harms nobody."""

import os
import random
import signal
import time

import pytest

import mpshm
from mpshm import sorted as ordered

pytestmark = pytest.mark.timeout(120)

WORKERS = 3
N = 1500
LIMIT_S = 60


def count(made, seed):
    rng = random.Random(seed)
    for _ in range(N):
        made.incr(rng.randrange(300))


def put_and_take(made, first):
    for i in range(N):
        made[first + i * WORKERS] = i
    for i in range(0, N, 2):
        del made[first + i * WORKERS]


def churn(made):
    rng = random.Random(os.getpid())
    while True:
        key = f"a key that is long enough: {rng.randrange(4000)}"
        if rng.random() < 0.5:
            made[key] = "a value that is long enough"
        else:
            made.pop(key, None)


def run(method, target, *argument_lists):
    context = mpshm.get_context(method)
    processes = [context.Process(target=target, args=arguments) for arguments in argument_lists]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
    assert [process.exitcode for process in processes] == [0] * len(processes)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_counters(method):
    """Every increment counts."""
    with mpshm.Manager() as manager:
        made = manager.map()
        run(method, count, *[(made, seed) for seed in range(WORKERS)])
        assert sum(made.values()) == WORKERS * N
        assert made.keys() == sorted(made.keys())
        manager.segment.check()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_neighbours(method):
    """Keys that lie between each other's come and go without a loss, while another walks over them."""
    with mpshm.Manager() as manager:
        made = manager.map()
        run(method, put_and_take, *[(made, first) for first in range(WORKERS)])
        assert made.keys() == [first + i * WORKERS for i in range(1, N, 2) for first in range(WORKERS)]
        manager.segment.check()


def test_readers_beside_writers():
    """A reader without a lock sees keys in order, whatever others do."""
    with mpshm.Manager() as manager:
        made = manager.map()
        made.update({f"a key that is long enough: {i}": 0 for i in range(0, 4000, 3)})
        worker = mpshm.get_context("fork").Process(target=churn, args=(made,))
        worker.start()
        end = time.monotonic() + 2
        try:
            while time.monotonic() < end:
                keys = list(made.irange())
                assert keys == sorted(keys)
                place = made.lower_bound("a key that is long enough: 2")
                assert 0 <= place <= 4000
                first, _ = made.peekitem(0)
                assert first.startswith("a key")
        finally:
            worker.kill()
            worker.join(LIMIT_S)
        manager.segment.check()


def test_killed_writers():
    """However often a process is killed in the middle of its changes, the next one goes on."""
    with mpshm.Manager() as manager:
        made = ordered.Map._make(manager.segment)
        rng = random.Random(7)
        for _ in range(12):
            worker = mpshm.get_context("fork").Process(target=churn, args=(made,))
            worker.start()
            time.sleep(0.05 + rng.random() * 0.1)
            os.kill(worker.pid, signal.SIGKILL)
            worker.join(LIMIT_S)
            made["a key of ours"] = 1
            assert made.pop("a key of ours") == 1
            keys = made.keys()
            assert keys == sorted(keys)
        manager.segment.check()
        del made
