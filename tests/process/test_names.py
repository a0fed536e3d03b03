"""Names between processes: one of many makes an object, whoever dies meanwhile, and everybody finds it whole."""

import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import named_workers as workers
import pytest

import mpshm

pytestmark = pytest.mark.timeout(120)

LIMIT_S = 40
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def segment():
    """A segment in which nothing may be left when its names are gone."""
    made = mpshm.AnonymousSegment(max_size=64 << 20)
    yield made
    for name in made.names():
        made.destroy(name)
    gc.collect()
    made.recover()
    assert made.check() is None


def join(*processes):
    for process in processes:
        process.join(LIMIT_S)
        assert process.exitcode == 0


def start(ctx, target, *args):
    process = ctx.Process(target=target, args=args, daemon=True)
    process.start()
    return process


@pytest.mark.parametrize("how", ["construct", "find_or_construct"])
def test_race_with_deaths(segment, how):
    """Of processes that construct one name at once, some of them killed on the way, at most one makes it, all others
    find that one, and it is whole; what the dead had begun is gone."""
    ctx, rng = mpshm.get_context("fork"), random.Random(3)
    for i in range(12):
        name, (go, start_all), (results, report) = f"name {i}", os.pipe(), os.pipe()
        racers = [start(ctx, workers.race, segment, name, how, go, report) for _ in range(8)]
        os.close(report)
        os.write(start_all, b"x" * 8)
        for victim in rng.sample(racers, 3):
            time.sleep(rng.random() * 0.002)
            os.kill(victim.pid, signal.SIGKILL)
        for racer in racers:
            racer.join(LIMIT_S)
            assert racer.exitcode in (0, -signal.SIGKILL)
        with os.fdopen(results) as file:
            said = [tuple(map(int, line.split())) for line in file]
        os.close(go)
        os.close(start_all)
        assert len(said) >= 5
        assert len({handle for _, _, handle, *_ in said}) == 1
        assert all(length == workers.LENGTH and makers == 1 for *_, length, _, makers in said)
        assert sum(won for _, won, *_ in said) <= 1
        segment.recover()
        assert segment.stats().objects == 1 and segment.names() == [name]
        assert segment[name] == [said[0][4]] * workers.LENGTH
        segment.destroy(name)
        assert segment.stats().objects == 0
        assert segment.check() is None


def test_making_and_destroying(segment, ctx):
    """Processes that make and destroy the same names all the time find nothing half made, and leave nothing."""
    names = ["a", "b", "a name that does not fit into sixteen bytes"]
    join(*(start(ctx, workers.construct_and_destroy, segment, names, 300) for _ in range(3)))
    assert segment.names() == []
    segment.recover()
    assert segment.stats().objects == 0


def test_found_by_others(segment, ctx):
    """A process that got the segment finds everything by name, and what it makes is found here."""
    segment.construct(mpshm.Dict, "dict")
    array = segment.construct("i8", "array", range(5))
    point = segment.construct(workers.Point, "point", 1, 2)
    segment.construct(object, "value", None)
    segment.construct(mpshm.Lock, "lock")
    segment.construct(mpshm.Lock, "gone")
    process = start(ctx, workers.use_all, segment)
    join(process)
    assert segment["dict"]["child"] == process.pid
    assert array.tolist() == [0, 11, 12, 13, 14] and (point.x, point.y) == (1, 5)
    assert segment["value"].value == "seen" and segment["from child"] == [process.pid]
    assert "gone" not in segment
    handle = segment["dict"]["handle"]
    assert bytes(segment.view(handle)[:5]) == b"child"
    segment.deallocate(handle)


def test_handed_over(segment, ctx):
    """Arrays, weak references to structures and handles reach other processes, and mean the same memory there."""
    array = segment.construct("i4", None, [1, 2, 3])
    point = segment.construct(workers.Point)
    handle = segment.allocate(10)
    join(start(ctx, workers.use_objects, array[1:], mpshm.WeakRef(point), handle))
    assert array.tolist() == [1, 77, 3] and point.x == 78 and bytes(segment.view(handle)[:3]) == b"abc"
    segment.deallocate(handle)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_linked_list_at_another_address(segment, method):
    """A list of structures is walked and changed by a process that has the segment at another address."""
    nodes = [segment.construct(workers.Node, "first" if i == 0 else f"node {i}", i) for i in range(50)]
    for one, next_one in pairwise(nodes):
        one.next.set(next_one)
    box = segment.construct(mpshm.Dict)
    join(start(mpshm.get_context(method), workers.walk, pickle.dumps(segment), box))
    assert box["seen"] == list(range(50))
    assert box["base"] != workers.base_of(segment)
    assert [node.value for node in nodes] == list(range(100, 150))


def test_death_in_atomic(segment, ctx):
    """Whoever dies in atomic() holds nobody up, and what it had done whole is there."""
    ready = mpshm.Event()
    process = start(ctx, workers.die_in_atomic, segment, ready)
    assert ready.wait(LIMIT_S)
    begin = time.monotonic()
    assert segment.find_or_construct(mpshm.Lock, "x") is not None
    with segment.atomic(timeout=LIMIT_S):
        assert "made in atomic" in segment
    process.join(LIMIT_S)
    assert process.exitcode == -signal.SIGKILL
    assert time.monotonic() - begin < LIMIT_S / 2


def test_a_view_in_another_process(segment, ctx):
    """Memory that was given back stays as long as another process has a view of it, and no longer than that lives."""
    handle = segment.allocate(1000)
    ready = mpshm.Event()
    process = start(ctx, workers.hold_view, segment, handle, ready)
    assert ready.wait(LIMIT_S)
    assert bytes(segment.view(handle)[:4]) == b"held"
    segment.deallocate(handle)
    assert segment.stats().objects == 1
    process.kill()
    process.join(LIMIT_S)
    segment.recover()
    assert segment.stats().objects == 0


def test_what_outlives_its_maker(segment, ctx):
    """Names and allocations of a process that was killed stay; what it alone referred to goes."""
    d = segment.construct(mpshm.Dict)
    process = start(ctx, workers.allocate_and_die, segment, d)
    process.join(LIMIT_S)
    segment.recover()
    assert segment.names() == ["left"] and segment["left"] == [1]
    assert segment.stats().objects == 52
    segment.deallocate_many(d["handles"])
    assert segment.stats().objects == 2


def test_weak_references_of_others(segment, ctx):
    """A weak reference tells another process whether the object is there."""
    d, made = segment.construct(mpshm.Dict), segment.construct(mpshm.List, None, [1])
    weak = mpshm.WeakRef(made)
    join(start(ctx, workers.ask_weak, weak, d))
    assert d["there"] is True
    del made
    join(start(ctx, workers.ask_weak, weak, d))
    assert d["there"] is False and not weak.alive


def test_moved_through_a_queue(segment, ctx):
    """An object moved into a queue is the receiver's."""
    queue, d = segment.construct(mpshm.Queue), segment.construct(mpshm.Dict)
    ref = mpshm.UniqueRef(segment.construct(mpshm.List, None, [1]))
    ref.move_to(queue)
    assert not ref
    join(start(ctx, workers.take, queue, d))
    assert d["taken"] == [1]


def test_example_of_a_linked_list(interpreter_env):
    """The example's list is printed by a process that did not make it."""
    command = [sys.executable, str(EXAMPLES / "linked_list.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=interpreter_env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["5", "items", "16.0", "9.0", "4.0", "1.0", "0.0"]
