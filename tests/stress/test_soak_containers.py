"""Workers that are killed at random moments inside maps, lists, vectors, texts, names, allocations and pools.

Each worker does random operations of all kinds in two segments that all share, an anonymous one and one in a file, and
reports what it did in memory of its own that outlives it. One worker after the other is killed, every few
milliseconds. Afterwards nothing is lost or doubled but what the killed had in their hands, what is written as one is
there as one, everything can still be used, also by who opens the file anew, and in the end nothing is left behind.

MPSHM_SOAK_SECONDS sets how long (3), MPSHM_SOAK_SEED which operations (random, and printed).
"""

import collections
import faulthandler
import gc
import itertools
import random
import tempfile
import time
from pathlib import Path

import container_uses
import numpy
import pytest
from container_uses import ROWS, UNIT, Report, Shared
from soaking import PATIENCE_S, SECONDS, SEED, SLOTS, WIDTH, WORKERS, Known, Worker, run_alone, verify_items

import mpshm
from mpshm import AnonymousSegment, ManagedMappedFile
from mpshm.allocators import Pool


def work(seed, shared, progress):
    """Random uses; now and then by who found everything by name first."""
    rng = random.Random(seed)
    if rng.random() < 0.2:
        shared = [Shared(shared[0].segment), Shared(ManagedMappedFile(shared[1].segment.name, "r+"))]
    while progress.got < SLOTS - 1:
        use, segment = rng.choice(container_uses.USES), rng.choice(shared)
        begun = time.monotonic()
        use(segment, rng, progress)
        assert time.monotonic() - begun < 30 + PATIENCE_S, f"{use.__name__} took long"


def drain(s):
    """All items that are in a segment; there are none afterwards."""
    found = []
    for made in s.numbers:
        found += [container_uses.unpacked(made.popitem()[0]) for _ in range(len(made))]
    while s.texts:
        found.append(tuple(map(int, s.texts.popitem()[0].split(" a key that is long "))))
    for made in s.multi:
        found += [made.popitem()[1][:2] for _ in range(len(made))]
    for made in s.sets:
        found += [made.pop() for _ in range(len(made))]
    found += [container_uses.unpacked(s.vector.pop()) for _ in range(len(s.vector))]
    found += [tuple(s.records.pop().tolist()) for _ in range(len(s.records))]
    for made in s.lists:
        found += [made.pop()[:2] for _ in range(len(made))]
    for made in (s.string, s.bytes):
        assert len(made) % UNIT == 0, "half an item"
        units = [made[i : i + UNIT] for i in range(0, len(made), UNIT)]
        found += [(int(unit[:8], 16), int(unit[8:], 16)) for unit in units]
        made.clear()
    for name in s.segment.names():
        if name.startswith("only "):
            found.append(s.segment[name].value[:2])
        elif name[1].isdigit():
            found.append(tuple(map(int, name[1:].split())))
        else:
            continue
        assert s.segment.destroy(name)
    return found


def verify_counts(shared, killed, totals):
    """What was reported is there, and at most one more for each that was killed."""
    found = collections.Counter()
    for s in shared:
        for name in s.segment.names():
            if name.startswith("race "):
                found["add"] += s.segment[name].value
        unique = s.segment.find(mpshm.unique, mpshm.Dict)
        found["unique"] += sum(unique.values()) if unique is not None else 0
    for kind in ("add", "unique"):
        totals[kind, "done"] += sum(getattr(w.progress, f"{kind}_done") for w in killed)
        totals[kind, "begun"] += sum(getattr(w.progress, f"{kind}_begun") for w in killed)
        assert totals[kind, "done"] <= found[kind] <= totals[kind, "begun"], kind


def verify_rows(shared, killed):
    """Each row says what its last worker wrote, or was just writing."""
    for row in range(ROWS):
        last = max((w.name << 32 | w.progress.row_begun for w in killed if w.name % ROWS == row), default=1 << 62)
        for s in shared:
            content = numpy.asarray(s.rows[row])
            assert (content[:-1] >= content[1:]).all(), "a row is not as it was written"
            assert content[0] <= last


def verify_marks(s):
    """What is written as one is there as one."""
    values = dict(s.marks.items())
    for start in {key - key % 1000 for key in values}:
        assert len({values[start + i] for i in range(WIDTH)}) == 1
    for key in range(10):
        assert container_uses.in_order(s.multi_marks.getall(key))
    assert container_uses.whole([key // 100 for key in s.set_marks])
    assert container_uses.whole(s.vector_marks.copy())
    for made in s.list_marks:
        items = list(made)
        assert container_uses.whole(items) and list(reversed(made)) == items[::-1]
    assert container_uses.in_order(s.string_marks.copy())
    for mark, data in s.cells:
        assert set(data) <= {mark}


def verify_allocations(s, killed):
    """All that were registered are whole; those that the killed had in their hands are given back, too."""
    handles = s.handles[:]
    assert all(container_uses.whole_allocation(s.segment, handle) for handle in handles)
    s.segment.deallocate_many(handles)
    s.handles.clear()
    given_back = 0
    for w in killed:
        for handle in filter(None, w.progress.held):
            try:
                s.segment.deallocate(handle)
            except (ReferenceError, ValueError):
                continue  # it was given back, or is another segment's
            given_back += 1
    return given_back


def verify_pools(s):
    """What pools say is in use, is."""
    s.segment.recover()
    for made in (*s.numbers[1:], *s.lists[2:], s.texts, *s.multi[1:], *s.sets):
        made.allocator.deallocate_cache()
        stats = made.allocator.stats()
        assert stats.used + stats.free + stats.cached == stats.nodes
    users = collections.defaultdict(int)
    for made in (*s.lists, *s.list_marks, s.cells):
        if isinstance(made.allocator, Pool):
            users[made.allocator._offset] += len(made)
    for made in s.lists[2:]:
        pool = made.allocator
        assert pool.stats().used == users[pool._offset], "nodes that no list has"


def verify_usable(shared, name):
    """Everything can be had at once, now that all workers are dead."""
    me, rng = Known(name, Report), random.Random(SEED + name)
    for use in container_uses.USES:
        begun = time.monotonic()
        for s in shared:
            use(s, rng, me.progress)
        assert time.monotonic() - begun < PATIENCE_S, use.__name__
    return me


def reopen(shared):
    """Close the file, and go on with it opened anew."""
    path = shared[1].segment.name
    shared.pop().segment.close()
    gc.collect()
    again = ManagedMappedFile(path, "r+")
    assert again.check() is None
    shared.append(Shared(again))


def verify(shared, killed, totals):
    for s in shared:
        s.segment.recover()
        assert s.segment.check() is None
        verify_marks(s)
    verify_rows(shared, killed)
    verify_counts(shared, killed, totals)
    verify_items(killed, [item for s in shared for item in drain(s)])
    in_hand = sum(w.progress.raw_begun - w.progress.raw_done for w in killed)
    given_back = sum(verify_allocations(s, killed) for s in shared)
    totals["lost"] += max(0, in_hand - given_back)
    for s in shared:
        verify_pools(s)
        assert s.segment.check() is None


def verify_empty(segments, before, lost):
    """Nothing is left once the names are gone, but allocations that the killed did not come to report."""
    gc.collect()
    left = 0
    for segment, at_first in zip(segments, before, strict=True):
        for name in segment.names():
            segment.destroy(name)
        segment.destroy(mpshm.unique, mpshm.Dict)
        gc.collect()
        segment.recover()
        assert segment.check() is None
        left += segment.stats().objects - at_first.objects
    assert left <= lost, f"{left} objects are left, of which {lost} may be"
    return left


def kill_and_verify(shared):
    """The length of a soak; how many were killed, and what could not be accounted for."""
    rng, names, totals = random.Random(SEED), itertools.count(1), collections.Counter()
    workers, killed, end = [], [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        while len(workers) < WORKERS:
            workers.append(Worker(next(names), work, shared, Report))
        time.sleep(rng.random() * rng.choice([0.002, 0.02, 0.04]))
        killed.append(workers.pop(rng.randrange(WORKERS)))
        killed[-1].kill()
        totals["kills"] += 1
        if totals["kills"] % 20 == 0:
            assert all(s.segment.check() is None for s in shared)
        if totals["kills"] % 60 == 0 or time.monotonic() >= end:
            for worker in workers:
                worker.kill()
            totals["kills"] += len(workers)
            killed += workers
            workers.clear()
            if rng.random() < 0.5:
                reopen(shared)
            verify(shared, killed, totals)
            killed[:] = [verify_usable(shared, next(names))]
    verify(shared, killed, totals)
    return totals


def soak(folder):
    """Start workers, kill them, and verify, for so long. Run in an interpreter of its own."""
    faulthandler.dump_traceback_later(SECONDS * 3 + 60, exit=True)
    path = folder / "segment"
    fit = mpshm.SequentialFit if SEED % 2 else mpshm.BestFit
    segments = [AnonymousSegment(1 << 20, allocator=fit), ManagedMappedFile(path, "x", 1 << 20)]
    for segment in segments:
        segment.reserve_names(2000)
    before = [segment.stats() for segment in segments]
    totals = kill_and_verify([Shared(segment) for segment in segments])
    assert totals["kills"] > SECONDS
    segments[1] = ManagedMappedFile(path, "r+")
    left = verify_empty(segments, before, totals["lost"])
    recoveries = [segment.stats().recoveries for segment in segments]
    print(
        f"{totals['kills']} kills, {recoveries} recoveries, {left} of {totals['lost']} allocations in dead hands left"
    )


@pytest.mark.timeout(SECONDS * 3 + 120)
def test_soak_containers():
    """After every kill: nothing lost or doubled, nothing by half, everything usable, nothing left."""
    run_alone(__file__)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        soak(Path(place))
