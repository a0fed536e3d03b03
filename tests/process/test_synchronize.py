"""Semaphores, Condition, Event and Barrier between processes: a killed one leaves no ghost behind."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
import sync_workers as workers

import mpshm
from mpshm import sync

pytestmark = pytest.mark.timeout(120)

LIMIT_S = workers.LIMIT_S


@pytest.fixture
def start(ctx):
    """Start a process; those that are left are killed in the end."""
    started = []

    def start(target, *args):
        process = ctx.Process(target=target, args=args, daemon=True)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()


def join(*processes):
    for process in processes:
        process.join(LIMIT_S)
        assert process.exitcode == 0


def kill(process):
    process.kill()
    process.join(LIMIT_S)
    assert process.exitcode == -signal.SIGKILL


def until(holds):
    end = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


def take(semaphore, n=1):
    for _ in range(n):
        assert semaphore.acquire(timeout=LIMIT_S)


def test_all_kinds_travel(manager, start):
    """As arguments of a process; what it does is seen here."""
    objects = (
        manager.Semaphore(2),
        manager.BoundedSemaphore(1),
        manager.Event(),
        manager.Condition(),
        manager.Barrier(2),
    )
    join(start(workers.check_classes, objects))
    assert objects[2].is_set()
    until(lambda: objects[0].get_value() == 2)  # it left without giving back


def test_without_a_manager(start):
    """In the default segment, with the classes of `mpshm.sync`."""
    objects = sync.Semaphore(2), sync.BoundedSemaphore(1), sync.Event(), sync.Condition(), sync.Barrier(2)
    join(start(workers.check_classes, objects))
    assert objects[2].is_set()


# Killed


@pytest.mark.parametrize("name", ["Semaphore", "BoundedSemaphore"])
def test_permits_of_a_killed_process_come_back(manager, start, name):
    """Whoever waits gets them, and is told; nobody else is."""
    s = getattr(manager, name)(2)
    victim = start(workers.acquire_and_die, s)
    victim.join(LIMIT_S)
    assert victim.exitcode == -signal.SIGKILL
    take(s, 2)
    assert s.owner_died and not s.acquire(False)
    s.release(2)
    assert not s.owner_died and s.get_value() == 2
    with s:
        assert not s.owner_died


def test_waiter_gets_a_killed_holders_permit(manager, start):
    """Also one who waits already."""
    s, ready, event = manager.Semaphore(2), manager.Semaphore(0), manager.Event()
    holder = start(workers.hold_until, s, ready, event)
    take(ready)
    waiter = start(workers.acquire_twice, s, ready)
    take(ready)
    assert not ready.acquire(timeout=0.2)
    kill(holder)
    take(ready)
    join(waiter)
    assert s.get_value() == 2


def test_permits_of_a_process_that_left_come_back(manager, start):
    """As if it had died."""
    s = manager.Semaphore(1)
    join(start(workers.acquire_and_leave, s))
    assert s.acquire(timeout=LIMIT_S)
    s.release()


def test_permit_of_a_process_without_a_handle(manager, start):
    """It stays that process's as long as that lives."""
    with mpshm.Manager() as other:
        s, ready, event = other.Semaphore(1), manager.Semaphore(0), manager.Event()
        process = start(workers.acquire_and_forget, pickle.dumps(s), ready, event)
        take(ready)
        assert s.get_value() == 0 and not s.acquire(timeout=0.1)
        event.set()
        join(process)
        assert s.acquire(timeout=LIMIT_S)


def test_signals_are_not_given_back(manager, start):
    """Who consumed what others produced owns nothing."""
    s = manager.Semaphore(0)
    s.release(3)
    victim = start(workers.acquire_and_die, s)
    victim.join(LIMIT_S)
    assert s.get_value() == 2 and s._count() == 0
    take(s, 2)
    assert not s.owner_died and not s.acquire(timeout=0.1)


def test_killed_while_it_waits_for_a_permit(manager, start):
    """It takes nothing with it."""
    s, ready, done = manager.Semaphore(1), manager.Semaphore(0), manager.Event()
    take(s)
    victims = [start(workers.hold_until, s, ready, done) for _ in range(2)]
    time.sleep(0.3)
    kill(victims[0])
    s.release()
    take(ready)
    done.set()
    join(victims[1])
    assert s.get_value() == 1


def test_event_after_a_kill(manager, start):
    """A killed waiter is nobody's concern."""
    event, ready, done = manager.Event(), manager.Semaphore(0), manager.Semaphore(0)
    waiters = [start(workers.wait_event, event, ready, done) for _ in range(3)]
    take(ready, 3)
    time.sleep(0.05)
    kill(waiters[1])
    event.set()
    event.clear()
    take(done, 2)
    join(waiters[0], waiters[2])


def test_notify_reaches_the_living(manager, start):
    """The first was killed: the notification is for the next; and exactly one goes on."""
    condition, ready, done = manager.Condition(), manager.Semaphore(0), manager.Semaphore(0)
    waiters = []
    for i in range(3):
        waiters.append(start(workers.wait_condition, condition, ready, done))
        take(ready)
        until(lambda i=i: condition._waiting() == i + 1)
    kill(waiters[0])
    assert condition._waiting() == 2
    with condition:
        condition.notify()
    take(done)
    join(waiters[1])
    assert not done.acquire(timeout=0.1)
    with condition:
        condition.notify(7)
    take(done)
    join(waiters[2])


def test_notification_of_a_killed_process_is_passed_on(manager, start):
    """It was notified and stopped before it noticed: when it is killed, the next one goes on."""
    condition, ready, done = manager.Condition(), manager.Semaphore(0), manager.Semaphore(0)
    first = start(workers.wait_condition, condition, ready, done)
    take(ready)
    until(lambda: condition._waiting() == 1)
    second = start(workers.wait_condition, condition, ready, done)
    take(ready)
    until(lambda: condition._waiting() == 2)
    os.kill(first.pid, signal.SIGSTOP)
    with condition:
        condition.notify()
    assert not done.acquire(timeout=0.2)
    kill(first)
    take(done)
    join(second)
    assert condition._waiting() == 0


def test_killed_with_the_conditions_lock(manager, start):
    """The next one gets it, and is told."""
    condition = manager.Condition()
    victim = start(workers.acquire_and_die, condition)
    victim.join(LIMIT_S)
    with condition:
        assert condition._lock.owner_died
        assert condition.wait(0.01) is False


def test_barrier_waits_for_another(manager, start):
    """A killed waiter does not count."""
    barrier, done = manager.Barrier(3), manager.Semaphore(0)
    waiters = [start(workers.wait_barrier, barrier, done) for _ in range(2)]
    until(lambda: barrier.n_waiting == 2)
    kill(waiters[0])
    assert barrier.n_waiting == 1
    third = start(workers.wait_barrier, barrier, done)
    until(lambda: barrier.n_waiting == 2)
    assert not done.acquire(timeout=0.05)
    assert barrier.wait(LIMIT_S) == 2
    take(done, 2)
    join(waiters[1], third)
    assert not barrier.broken


def test_killed_while_it_runs_the_action(manager, start):
    """The others get BrokenBarrierError; reset() mends it."""
    barrier, done = manager.Barrier(3, workers.act_and_die), manager.Semaphore(0)
    waiters = [start(workers.wait_broken, barrier, done) for _ in range(3)]
    take(done, 2)
    for waiter in waiters:
        waiter.join(LIMIT_S)
    assert sorted(waiter.exitcode for waiter in waiters) == [-signal.SIGKILL, 0, 0]
    assert barrier.broken
    barrier.reset()
    assert not barrier.broken


def test_action_runs_in_every_process(manager, start):
    """It is stored in the barrier."""
    barrier, done = manager.Barrier(2, workers.act_well), manager.Semaphore(0)
    waiters = [start(workers.wait_barrier, barrier, done) for _ in range(2)]
    join(*waiters)
    take(done, 2)


def test_action_that_cannot_be_pickled(manager):
    """It stays with the process and its forked children: elsewhere the handle can't go."""
    ran = []
    barrier = manager.Barrier(1, lambda: ran.append(1))
    assert barrier.wait() == 0 and ran == [1]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(barrier)
    holder = manager.list([barrier])
    with pytest.raises(RuntimeError, match="cannot be pickled"):
        holder[0].wait()
    assert barrier.broken


# Working together


def test_barrier_rounds(manager, start):
    """Nobody is ever in another round than the others."""
    barrier, values = manager.Barrier(3), manager.list([-1] * 3)
    join(*[start(workers.rounds, barrier, values, i, 200) for i in range(3)])


def test_ping_pong(manager, start):
    """Two events, back and forth; nothing is lost."""
    here, there = manager.Event(), manager.Event()
    process = start(workers.ping, here, there, 500)
    for _ in range(500):
        here.set()
        assert there.wait(LIMIT_S)
        there.clear()
    join(process)


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_taking_turns(manager, start, kind):
    """With a condition over each kind of lock."""
    condition, turn = manager.Condition(getattr(manager, kind)()), manager.Value("i", 0)
    join(*[start(workers.swap, condition, turn, mine, 300) for mine in (0, 1)])
    assert turn.value == 0


def test_consumers(manager, start):
    """Every item is eaten once."""
    condition, items, eaten = manager.Condition(), manager.list(), manager.list()
    consumers = [start(workers.consume, condition, items, eaten) for _ in range(3)]
    for i in [*range(200), None, None, None]:
        with condition:
            items.append(i)
            condition.notify()
    join(*consumers)
    assert sorted(eaten) == list(range(200))


def test_semaphore_between_processes(manager, start):
    """All permits are there in the end."""
    s, value = manager.BoundedSemaphore(2), manager.Value("i", 0)
    join(*[start(workers.use_inside, s, value, 500) for _ in range(4)])
    assert value.value == 2000 and s.get_value() == 2


def test_many_holders(manager):
    """More holders than there are places at first; all give back, or die."""
    s, ready, event = manager.Semaphore(30), manager.Semaphore(0), manager.Event()
    context = mpshm.get_context("fork")
    holders = [context.Process(target=workers.hold_until, args=(s, ready, event), daemon=True) for _ in range(30)]
    for process in holders:
        process.start()
    take(ready, 30)
    assert s.get_value() == 0 and not s.acquire(False)
    manager.segment.check()
    for process in holders[::3]:
        kill(process)
    assert s.get_value() == 10
    event.set()
    for process in holders:
        process.join(LIMIT_S)
    assert s.get_value() == 30


# Signals


KINDS = {
    "Lock": lambda m: m.Lock(),
    "RLock": lambda m: m.RLock(),
    "Semaphore": lambda m: m.Semaphore(1),
    "Event": lambda m: m.Event(),
    "Condition": lambda m: m.Condition(),
    "Barrier": lambda m: m.Barrier(2),
}


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c(manager, start, kind):
    """It ends each wait with KeyboardInterrupt; a condition's lock is held then; nobody waits any more."""
    obj, ready, result = KINDS[kind](manager), manager.Semaphore(0), manager.list()
    if kind in ("Lock", "RLock", "Semaphore"):
        obj.acquire()
    process = start(workers.wait_for_ctrl_c, obj, ready, result)
    take(ready)
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    join(process)
    assert list(result) == [["interrupted", True if kind == "Condition" else None]]
    if kind == "Condition":
        assert obj._waiting() == 0
    if kind == "Barrier":
        assert obj.n_waiting == 0 and not obj.broken


def test_signals_that_raise_nothing(manager):
    """The wait goes on, and ends at its time."""
    rang = []
    before = signal.signal(signal.SIGALRM, lambda *args: rang.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        condition, barrier = manager.Condition(), manager.Barrier(2)
        for wait in (manager.Event().wait, lambda t: manager.Semaphore(0).acquire(timeout=t), condition.wait):
            if wait == condition.wait:
                condition.acquire()
            begin = time.monotonic()
            assert wait(0.2) is False
            assert time.monotonic() - begin >= 0.19
        with pytest.raises(threading.BrokenBarrierError):
            barrier.wait(0.1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert rang and condition._is_owned()


def test_interrupted_wait_is_over(manager):
    """A signal's handler raises in one that waits: it is in the queue no more, and the next one is notified."""
    condition, went = manager.Condition(), []

    def wait():
        with condition:
            went.append(condition.wait(LIMIT_S))

    class StopError(Exception):
        pass

    other = threading.Thread(target=wait)

    def ring(*args):
        raise StopError

    before = signal.signal(signal.SIGALRM, ring)
    try:
        with condition:
            other.start()
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(StopError):
                condition.wait(LIMIT_S)
            assert condition._waiting() == 1
            condition.notify()
    finally:
        signal.signal(signal.SIGALRM, before)
    other.join(LIMIT_S)
    assert went == [True]


# Ends


def test_shutdown_ends_waits():
    """Who waits gets SegmentClosedError."""
    m = mpshm.Manager()
    event, s, barrier, condition = m.Event(), m.Semaphore(0), m.Barrier(2), m.Condition()
    errors = []

    def fail(wait):
        try:
            wait()
        except mpshm.SegmentClosedError as error:
            errors.append(error)

    def wait_condition():
        with condition:
            condition.wait()

    threads = [threading.Thread(target=fail, args=(w,)) for w in (event.wait, s.acquire, barrier.wait, wait_condition)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    m.shutdown()
    for thread in threads:
        thread.join(LIMIT_S)
    assert len(errors) == 4


def test_kept_in_a_container(interpreter_env):
    """They live as long as a container refers to them, with all that is theirs, and then nothing is left."""
    code = """if True:
        import gc, mpshm
        m = mpshm.Manager()
        s = m.Semaphore(1)
        c = m.Condition()
        b = m.Barrier(2, len)
        d = m.dict(s=s, c=c, b=b)
        s.acquire()
        del s, c, b
        gc.collect()
        assert d["s"].get_value() == 0 and d["b"].parties == 2
        with d["c"]:
            assert not d["c"].wait(0)
        d["s"].release()
        assert d["s"].get_value() == 1
        d.clear()
        m.segment.check()
        assert m.segment.stats().objects == 1
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=interpreter_env)
    assert (done.returncode, done.stderr) == (0, "")


def test_killed_at_random(manager):
    """Whenever consumers are killed, the others go on, and nothing is leaked."""
    rng = random.Random(7)
    condition, tickets, eaten = manager.Condition(), manager.Value("i", 0), manager.Value("i", 0)
    ready = manager.Semaphore(0)
    context = mpshm.get_context("fork")

    def consumer():
        process = context.Process(target=workers.suffer, args=(condition, ready, tickets, eaten), daemon=True)
        process.start()
        take(ready)
        return process

    consumers = [consumer() for _ in range(3)]
    given = 0
    for i in range(60):
        for _ in range(rng.randrange(1, 4)):
            with condition:
                tickets.value += 1
                condition.notify()
            given += 1
        if i % 3 == 0:
            time.sleep(rng.random() * 0.004)
            kill(consumers.pop(0))
            consumers.append(consumer())
    with condition:
        condition.notify_all()
    until(lambda: tickets.value == 0)
    time.sleep(0.05)
    assert given - 40 <= eaten.value <= given  # (one who is killed may have taken one, and not counted it)
    for process in consumers:
        kill(process)
    assert condition._waiting() == 0
