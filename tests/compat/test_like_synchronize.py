"""Semaphores, Condition, Event and Barrier do what threading's and multiprocessing's do: the same body on each."""

import multiprocessing
import threading
import time
from types import SimpleNamespace

import pytest

import mpshm
from mpshm import sync

pytestmark = pytest.mark.timeout(60)

LIMIT_S = 20


@pytest.fixture(params=["threading", "multiprocessing", "managed", "mpshm"])
def makers(request, manager):
    """What has the classes; `kind` says which."""
    if request.param == "managed":
        return manager
    return {"threading": threading, "multiprocessing": multiprocessing, "mpshm": sync}[request.param]


def start(*actions):
    """Threads, each of which does its part; a function that waits for all of them and gives what they gave."""
    results = [None] * len(actions)

    def part(i):
        try:
            results[i] = actions[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=part, args=(i,), daemon=True) for i in range(len(actions))]
    for thread in threads:
        thread.start()

    def join():
        for thread in threads:
            thread.join(LIMIT_S)
            assert not thread.is_alive(), "a thread hangs"
        return results

    return join


def until(holds):
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


# Event


def test_event(makers):
    """set, clear, is_set and wait."""
    event = makers.Event()
    assert event.is_set() is False
    assert not event.wait(0) and not event.wait(0.01) and not event.wait(-1)
    event.set()
    assert event.is_set() is True and event.wait() is True and event.wait(timeout=5) is True
    event.set()
    event.clear()
    event.clear()
    assert not event.is_set() and not event.wait(0.01)


def test_event_wakes_all(makers):
    """All who wait go on."""
    event = makers.Event()
    join = start(*[lambda: event.wait(LIMIT_S)] * 4)
    time.sleep(0.05)
    event.set()
    assert join() == [True] * 4


@pytest.mark.parametrize("timeout", ["1", [], object()])
def test_event_bad_timeout(makers, timeout):
    """TypeError."""
    with pytest.raises(TypeError):
        makers.Event().wait(timeout)


# Semaphores


@pytest.fixture(params=["Semaphore", "BoundedSemaphore"])
def semaphore(request, makers):
    return lambda *args, **kwds: getattr(makers, request.param)(*args, **kwds)


def test_semaphore(semaphore):
    """So many times, and no more."""
    s = semaphore(2)
    assert s.acquire() is True
    assert s.acquire(True, 1) is True
    assert s.acquire(False) is False
    assert s.acquire(timeout=0.01) is False
    assert s.acquire(True, -1) is False
    s.release()
    assert s.acquire(False) is True
    s.release()
    s.release()
    with s, s:
        assert s.acquire(False) is False
    assert s.acquire(False) and s.acquire(False)


def test_semaphore_default_value(semaphore):
    """One."""
    s = semaphore()
    assert s.acquire(False) and not s.acquire(False)


def test_semaphore_negative(semaphore):
    """ValueError."""
    with pytest.raises((ValueError, OSError)):
        semaphore(-1)


def test_semaphore_as_a_signal(makers):
    """What one thread gives another takes."""
    s = makers.Semaphore(0)
    join = start(*[lambda: s.acquire(timeout=LIMIT_S)] * 3)
    time.sleep(0.02)
    for _ in range(3):
        s.release()
    assert join() == [True] * 3
    assert s.acquire(False) is False


def test_bounded_semaphore_past_its_value(makers):
    """ValueError, and nothing has changed."""
    s = makers.BoundedSemaphore(1)
    with pytest.raises(ValueError):
        s.release()
    assert s.acquire(False) and not s.acquire(False)
    s.release()
    with pytest.raises(ValueError):
        s.release()
    assert makers.BoundedSemaphore(0).acquire(False) is False


def test_semaphore_excludes(semaphore):
    """At no time more than its value are inside."""
    s, inside, most = semaphore(2), [], []

    def visit():
        for _ in range(50):
            with s:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    start(*[visit] * 5)()
    assert max(most) <= 2


@pytest.fixture(params=["threading", "managed"])
def strict(request, manager):
    """threading, and what a manager makes, which follows it."""
    return threading if request.param == "threading" else manager


def test_semaphore_as_threadings(strict):
    """release(n), and the refusals of threading's."""
    s = strict.Semaphore(0)
    s.release(3)
    assert [s.acquire(False) for _ in range(4)] == [True] * 3 + [False]
    for n in (0, -1):
        with pytest.raises(ValueError, match="n must be one or more"):
            s.release(n)
    with pytest.raises(ValueError, match="can't specify timeout for non-blocking acquire"):
        s.acquire(False, 1)
    with pytest.raises(ValueError, match="semaphore initial value must be >= 0"):
        strict.Semaphore(-1)
    bounded = strict.BoundedSemaphore(2)
    bounded.acquire()
    with pytest.raises(ValueError, match="Semaphore released too many times"):
        bounded.release(2)
    bounded.release()


@pytest.fixture(params=["multiprocessing", "mpshm"])
def loose(request):
    """multiprocessing, and ours without a manager, which follows it."""
    return multiprocessing if request.param == "multiprocessing" else sync


def test_semaphore_as_multiprocessings(loose):
    """block=, get_value, and what is inside."""
    s = loose.Semaphore(2)
    assert s.acquire(block=True) and s.get_value() == 1
    assert s._semlock._get_value() == 1 and s._semlock._count() == 1 and s._semlock._is_zero() is False
    assert s.acquire(block=False, timeout=1) and s._semlock._is_zero() is True
    assert s.acquire(block=False, timeout=1) is False
    assert s._semlock.maxvalue == 2**31 - 1 and s._semlock._is_mine()
    s.release()
    s.release()
    bounded = loose.BoundedSemaphore(3)
    assert bounded._semlock.maxvalue == 3
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        bounded.release()


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_lock_as_multiprocessings(loose, name):
    """What is inside, and the refusals."""
    lock = getattr(loose, name)()
    inside = lock._semlock
    assert (inside._get_value(), inside._is_zero(), inside._count(), inside._is_mine(), inside.maxvalue) == (
        1,
        False,
        0,
        False,
        1,
    )
    lock.acquire()
    assert (inside._get_value(), inside._is_zero(), inside._count(), inside._is_mine()) == (0, True, 1, True)
    lock.release()
    with pytest.raises(ValueError if name == "Lock" else AssertionError) as error:
        lock.release()
    assert str(error.value) in (
        "semaphore or lock released too many times",
        "attempt to release recursive lock not owned by thread",
    )


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_threadings_condition_over_our_lock(manager, name):
    """threading.Condition works with it."""
    condition = threading.Condition(getattr(manager, name)())
    went = []

    def wait():
        with condition:
            went.append(condition.wait(LIMIT_S))

    join = start(wait, wait)
    until(lambda: len(condition._waiters) == 2)
    with condition:
        condition.notify_all()
    join()
    assert went == [True, True]
    with condition:
        assert condition.wait(0.01) is False


def test_rlock_release_save(manager):
    """An RLock taken several times is let go of wholly, and taken as often again."""
    lock = manager.RLock()
    for _ in range(3):
        lock.acquire()
    assert lock._recursion_count() == 3 and lock._is_owned()
    saved = lock._release_save()
    assert lock._recursion_count() == 0 and not lock._is_owned() and not lock.locked()
    lock._acquire_restore(saved)
    assert lock._recursion_count() == 3
    for _ in range(3):
        lock.release()
    with pytest.raises(RuntimeError):
        lock._release_save()
    with pytest.raises(ValueError):
        lock._acquire_restore(0)


# Condition


def waiter(condition, results, **kwds):
    def wait():
        with condition:
            results.append(condition.wait(**kwds))

    return wait


def waiting(condition):
    """How many wait, whoever's condition it is."""
    if isinstance(condition, threading.Condition):
        return len(condition._waiters)
    if isinstance(condition, mpshm.sync.Condition):
        return condition._waiting()
    return condition._sleeping_count._semlock._get_value()


@pytest.fixture(params=[None, "Lock", "RLock"])
def condition(request, makers):
    """A condition with each kind of lock."""
    if request.param is None:
        return makers.Condition()
    return makers.Condition(getattr(makers, request.param)())


def test_condition(condition):
    """As many as are notified go on."""
    results = []
    join = start(*[waiter(condition, results, timeout=LIMIT_S)] * 4)
    until(lambda: waiting(condition) == 4)
    with condition:
        condition.notify()
    until(lambda: len(results) == 1)
    with condition:
        condition.notify(2)
    until(lambda: len(results) == 3)
    time.sleep(0.02)
    assert len(results) == 3
    with condition:
        condition.notify_all()
    join()
    assert results == [True] * 4


def test_condition_timeout(condition):
    """False after the time given; the lock is held again."""
    with condition:
        for timeout in (0.02, 0, -1):
            begin = time.monotonic()
            assert condition.wait(timeout) is False
            assert time.monotonic() - begin < LIMIT_S
        assert condition.acquire(False) in (True, False)  # (an RLock may be taken again)
    condition.notify if condition else None


def test_condition_notify_nobody(condition):
    """Nothing happens, and nothing is kept for later."""
    with condition:
        condition.notify()
        condition.notify(5)
        condition.notify_all()
        assert condition.wait(0.01) is False


def test_condition_unacquired(makers):
    """RuntimeError of threading's, AssertionError of multiprocessing's, and both of ours."""
    condition = makers.Condition()
    expected = AssertionError if makers is multiprocessing else RuntimeError
    for call in (condition.wait, condition.notify, condition.notify_all):
        with pytest.raises(expected) as error:
            call()
        if makers not in (threading, multiprocessing):
            assert isinstance(error.value, AssertionError) and isinstance(error.value, RuntimeError)
    with pytest.raises((RuntimeError, AssertionError)):
        condition.release()


def test_condition_lets_go_wholly(makers):
    """A lock taken several times is free meanwhile, and as often taken afterwards."""
    condition = makers.Condition()

    def wait():
        with condition, condition, condition:
            return condition.wait(LIMIT_S)

    join = start(wait)
    until(lambda: waiting(condition) == 1)
    assert condition.acquire(timeout=LIMIT_S)
    condition.notify()
    condition.release()
    assert join() == [True]
    assert condition.acquire(True, LIMIT_S)
    condition.release()


def test_condition_wait_for(makers):
    """Waits until the predicate holds, and gives what that gave."""
    condition, state = makers.Condition(), SimpleNamespace(n=0)

    def wait():
        with condition:
            return condition.wait_for(lambda: state.n >= 3 and "enough", LIMIT_S)

    join = start(wait)
    for _ in range(3):
        until(lambda: waiting(condition) == 1)
        with condition:
            state.n += 1
            condition.notify()
        time.sleep(0.01)
    assert join() == ["enough"]
    with condition:
        assert condition.wait_for(lambda: 0, 0.02) == 0
        assert condition.wait_for(lambda: "at once", 0) == "at once"


# Barrier


def test_barrier(makers):
    """All go on together, each with its own number."""
    barrier = makers.Barrier(4)
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (4, 0, False)
    for _ in range(20):
        assert sorted(start(*[barrier.wait] * 4)()) == [0, 1, 2, 3]
    assert barrier.n_waiting == 0


def test_barrier_of_one(makers):
    """Nobody waits."""
    barrier = makers.Barrier(1)
    assert [barrier.wait() for _ in range(3)] == [0] * 3


def test_barrier_action(makers):
    """It runs once a round, before anybody goes on."""
    ran, seen = [], []
    barrier = makers.Barrier(3, lambda: ran.append(1))

    def rounds():
        for i in range(1, 6):
            barrier.wait(LIMIT_S)
            seen.append(len(ran) >= i)
            barrier.wait(LIMIT_S)

    barrier2 = makers.Barrier(3, action=lambda: ran.append(1), timeout=LIMIT_S)
    start(*[rounds] * 3)()
    assert all(seen) and len(seen) == 15 and len(ran) == 10
    start(*[barrier2.wait] * 3)()
    assert len(ran) == 11


def test_barrier_failing_action(makers):
    """It breaks the barrier, and the exception is its caller's."""

    def fail():
        raise ZeroDivisionError

    barrier = makers.Barrier(3, fail)
    results = start(*[barrier.wait] * 3)()
    assert sorted(type(r).__name__ for r in results) == [
        "BrokenBarrierError",
        "BrokenBarrierError",
        "ZeroDivisionError",
    ]
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken


def test_barrier_timeout(makers):
    """It breaks the barrier for all, and reset() mends it."""
    for barrier, args in ((makers.Barrier(3), (0.05,)), (makers.Barrier(3, timeout=0.05), ())):
        other = start(lambda barrier=barrier: barrier.wait(LIMIT_S))
        until(lambda barrier=barrier: barrier.n_waiting == 1)
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(*args)
        assert isinstance(other()[0], threading.BrokenBarrierError) and barrier.broken
        barrier.reset()
        assert not barrier.broken
        assert sorted(start(*[lambda barrier=barrier: barrier.wait(LIMIT_S)] * 3)()) == [0, 1, 2]


@pytest.mark.parametrize("how", ["reset", "abort"])
def test_barrier_reset_and_abort(makers, how):
    """Who waits gets BrokenBarrierError; afterwards it is as new, or broken."""
    barrier = makers.Barrier(3)
    join = start(*[barrier.wait] * 2)
    until(lambda: barrier.n_waiting == 2)
    getattr(barrier, how)()
    assert [type(r) for r in join()] == [threading.BrokenBarrierError] * 2
    assert barrier.broken is (how == "abort") and barrier.n_waiting == 0
    if how == "abort":
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(1)
        barrier.reset()
    assert sorted(start(*[barrier.wait] * 3)()) == [0, 1, 2]


def test_barrier_of_nobody(manager):
    """ValueError, as the newest Python's."""
    for made in (manager.Barrier, sync.Barrier):
        for parties in (0, -1):
            with pytest.raises(ValueError, match="parties"):
                made(parties)
        with pytest.raises(TypeError):
            made("two")
        with pytest.raises(TypeError):
            made(2, None, "soon")
