"""Pools that several processes use at once: what is shared, what each has cached, what a killed one leaves."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any

import pooled_workers as workers
import pytest

import mpshm
from mpshm import (
    AdaptivePool,
    CachedAdaptivePool,
    CachedNodePool,
    LinkedList,
    Map,
    NodePool,
    PrivateAdaptivePool,
    PrivateNodePool,
)

pytestmark = pytest.mark.timeout(120)

POOLS: list[type[Any]] = [
    NodePool,
    PrivateNodePool,
    CachedNodePool,
    AdaptivePool,
    PrivateAdaptivePool,
    CachedAdaptivePool,
]
LIMIT_S = 60
N = 600


def run(context: Any, *calls: tuple[Any, ...]) -> None:
    processes = [context.Process(target=target, args=args) for target, *args in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def reap(process: Any) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.join(LIMIT_S)


@pytest.mark.parametrize("kind", POOLS)
def test_two_processes_share_a_pool(ctx: Any, kind: type[Any]) -> None:
    """Each changes its own container and a common one; no node is had twice, none is lost, all know the pool."""
    segment = mpshm.AnonymousSegment(1 << 20, 64 << 20)
    common = LinkedList._make(segment, allocator=kind(nodes_per_chunk=8))
    lists = [LinkedList._make(segment, allocator=common.allocator) for _ in range(2)]
    maps = [Map._make(segment, allocator=kind(nodes_per_chunk=8)) for _ in range(2)]
    seen = mpshm.Dict._in(segment)
    run(
        ctx,
        (workers.fill, lists[0], 0, N),
        (workers.fill, lists[1], 10_000, N),
        (workers.fill, common, 20_000, N),
        (workers.fill_map, maps[0], 0, N),
        (workers.fill_map, maps[1], 10_000, N),
    )
    for made, first in ((lists[0], 0), (lists[1], 10_000), (common, 20_000)):
        assert list(made) == list(range(first + N // 2, first + N))
    for made, first in ((maps[0], 0), (maps[1], 10_000)):
        assert made == {i: i for i in range(first + 1, first + N, 2)}
    segment.recover()
    segment.check()
    common.allocator.deallocate_cache()
    stats = common.allocator.stats()
    assert (stats.used, stats.cached) == (3 * N // 2, 0)
    run(ctx, (workers.look, common, seen))
    assert seen["allocator"] == (kind.__name__, 40, 3 * N // 2)


@pytest.mark.parametrize("kind", [CachedNodePool, CachedAdaptivePool])
def test_a_killed_process_leaves_no_cache(ctx: Any, kind: type[Any]) -> None:
    """Nodes that it had freed and kept at hand come back to the pool; what it had put in stays."""
    segment = mpshm.AnonymousSegment(1 << 20, 64 << 20)
    options = {"max_free_chunks": 0} if kind is CachedAdaptivePool else {}
    made = LinkedList._make(segment, allocator=kind(nodes_per_chunk=10, **options))
    ready = ctx.Event()
    process = ctx.Process(target=workers.cache_and_wait, args=(made, ready))
    process.start()
    assert ready.wait(LIMIT_S)
    assert made.allocator.stats().cached > 0
    reap(process)
    segment.recover()
    stats = made.allocator.stats()
    assert (stats.used, stats.cached) == (50, 0)
    if kind is CachedAdaptivePool:
        assert stats.chunks == -(-50 // made.allocator.nodes_per_chunk)
    assert list(made) == list(range(50))
    segment.check()
    other = LinkedList._make(segment, range(stats.free), allocator=made.allocator)
    assert (len(other), made.allocator.stats().used) == (stats.free, 50 + stats.free)
    segment.check()


@pytest.mark.parametrize("kind", POOLS)
def test_killed_anywhere(kind: type[Any]) -> None:
    """Processes that change containers of one pool are killed at any moment: all is sound and usable."""
    context = mpshm.get_context("fork")
    segment = mpshm.AnonymousSegment(1 << 20, 64 << 20)
    one, two = (LinkedList._make(segment, allocator=kind(nodes_per_chunk=8)) for _ in range(2))
    maps = Map._make(segment, allocator=kind(nodes_per_chunk=3))
    rng = random.Random(7)
    for _ in range(8):
        processes = [context.Process(target=workers.churn, args=(made, maps)) for made in (one, two)]
        for process in processes:
            process.start()
        time.sleep(0.02 + rng.random() / 10)
        for process in processes:
            reap(process)
        segment.recover()
        segment.check()
        one.append("still there")
        assert one.pop() == "still there"
        maps[1] = 1
    one.clear()
    two.clear()
    maps.clear()
    segment.recover()
    for made in (one, two, maps):
        made.allocator.deallocate_cache()
        assert made.allocator.stats().used == 0
    segment.check()
