"""Sets and deques that several processes change at once: each change is one, and nothing is lost or torn."""

import os
import signal
import time

import pytest
from test_concurrent import LIMIT_S, METHODS, WORKERS, run, run_workers

import mpshm

pytestmark = pytest.mark.timeout(120)

EVEN = frozenset(range(0, 400, 2))
ODD = frozenset(range(1, 400, 2))
LONG = "a text that does not fit into sixteen bytes, number "


@pytest.fixture(params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def manager():
    with mpshm.Manager() as made:
        yield made
        assert made.segment.check() is None


# Sets


def add_own(number, s, rounds):
    for i in range(rounds):
        s.add((number, i))
        s.add(f"{LONG}{i}")
        s.discard((number, i - 5))


def test_adding(manager, method):
    """What each process adds and takes out is what is there in the end."""
    s = manager.set()
    run_workers(method, add_own, s, 500)
    assert s == {(n, i) for n in range(WORKERS) for i in range(495, 500)} | {f"{LONG}{i}" for i in range(500)}


def swap(number, s, rounds):
    for _ in range(rounds):
        s ^= EVEN | ODD
        s.symmetric_difference_update([*EVEN, *ODD])
        s ^= EVEN | ODD


def test_bulk_changes_are_seen_whole(manager):
    """A reader finds the even numbers or the odd ones, never a mixture, while others toggle all of them."""
    s = manager.set(EVEN)

    def watch(going_on):
        while going_on():
            found = s.copy()
            assert found in (EVEN, ODD), "half of a change was seen"
            assert len(s) == 200

    run("fork", swap, (0, s, 60), (1, s, 60), meanwhile=watch)
    assert s == EVEN


def fill_and_empty(number, s, rounds):
    for _ in range(rounds):
        s.update(EVEN, ODD)
        s.intersection_update(EVEN, range(400))
        s |= ODD
        s -= ODD


def test_filling_and_emptying(manager):
    """Of update, intersection and difference a reader sees the whole as well."""
    s = manager.set(EVEN)

    def watch(going_on):
        while going_on():
            assert s.copy() in (EVEN, EVEN | ODD)

    run("fork", fill_and_empty, (0, s, 60), (1, s, 60), meanwhile=watch)
    assert s == EVEN


def take_all(number, s, out):
    while True:
        try:
            out.append(s.pop())
        except KeyError:
            return


def test_pop_gives_each_key_once(manager, method):
    """No key is had twice."""
    s, out = manager.set(range(3000)), manager.list()
    run_workers(method, take_all, s, out)
    assert sorted(out) == list(range(3000)) and not s


# Deques


def produce_and_consume(number, d, out, rounds):
    for i in range(rounds):
        d.append((number, i))
        out.append(d.popleft())


def test_first_in_first_out(manager, method):
    """Each item put in at one end comes out at the other once, and one process's in their order."""
    d, out = manager.deque(), [manager.list() for _ in range(WORKERS)]
    context = mpshm.get_context(method)
    processes = [
        context.Process(target=produce_and_consume, args=(number, d, out[number], 800)) for number in range(WORKERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(LIMIT_S)
        assert process.exitcode == 0
    everything = [tuple(item) for each in out for item in each]
    assert sorted(everything) == [(n, i) for n in range(WORKERS) for i in range(800)] and not d
    for each in out:
        for n in range(WORKERS):
            mine = [item[1] for item in each if item[0] == n]
            assert mine == sorted(mine)


def roll(number, d, rounds):
    for i in range(rounds):
        d.rotate(number * 7 + i % 5 - 2)
        d.rotate(-(number * 7 + i % 5 - 2))
        d.extend([0] * 10)
        d.extendleft([0] * 10)


def test_at_the_greatest_length(manager):
    """A full deque never is longer, nor shorter, whatever two processes put in; a reader sees no half change."""
    d = manager.deque([0] * 50, 50)

    def watch(going_on):
        while going_on():
            assert len(d) == 50
            assert d.copy().count(0) == 50 and d[-1] == 0 == d[0]

    run("fork", roll, (1, d, 400), (2, d, 400), meanwhile=watch)
    assert list(d) == [0] * 50


def turn(number, d, rounds):
    for i in range(rounds):
        d.rotate(1 + i % 30)
        d.reverse()
        d.insert(9, d[0])
        del d[9]


def test_rotation_keeps_every_item(manager):
    """A reader finds the same items, turned; long ones are never torn."""
    texts = [f"{LONG}{i}" for i in range(40)]
    d = manager.deque(texts)

    def watch(going_on):
        while going_on():
            found = d.copy()
            assert len(found) in (40, 41, 42) and set(found) <= set(texts)
            assert d[0] in texts and d[-1] in texts

    run("fork", turn, (0, d, 300), meanwhile=watch)
    assert sorted(d) == sorted(texts)


def churn(d, s):
    i = 0
    while True:
        i += 1
        d.append(f"{LONG}{i}")
        d.rotate(i % 7)
        s ^= {i % 50, f"{LONG}{i % 20}"}
        if i % 3 == 0:
            d.popleft()


def test_killed_at_work(manager):
    """After SIGKILL at any moment both are sound, and at hand at once."""
    d, s = manager.deque(maxlen=100), manager.set()
    for _ in range(12):
        process = mpshm.get_context("fork").Process(target=churn, args=(d, s))
        process.start()
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.join(LIMIT_S)
        assert process.exitcode == -signal.SIGKILL
        d.append("after")
        assert d.pop() == "after"
        s.add("after")
        s.remove("after")
        manager.segment.recover()
        assert manager.segment.check() is None
