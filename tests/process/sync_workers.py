"""What other processes do in the tests of synchronization; importable by spawned ones, and without pytest."""

import gc
import os
import pickle
import signal
import threading

LIMIT_S = 40


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def say(ready):
    """A semaphore used as a signal: one more of us has got so far."""
    if ready is not None:
        ready.release()


def acquire_and_die(obj, ready=None):
    assert obj.acquire(timeout=LIMIT_S)
    say(ready)
    die()


def acquire_and_leave(obj):
    """End in good order, without giving back."""
    assert obj.acquire(timeout=LIMIT_S)


def acquire_and_forget(pickled, ready, event):
    """Keep a permit, but no handle of its segment."""
    semaphore = pickle.loads(pickled)
    assert semaphore.acquire(timeout=LIMIT_S)
    del semaphore
    gc.collect()
    say(ready)
    assert event.wait(LIMIT_S)


def acquire_twice(obj, ready):
    assert obj.acquire(timeout=LIMIT_S)
    say(ready)
    assert obj.acquire(timeout=LIMIT_S)
    died = obj.owner_died
    obj.release()
    obj.release()
    assert died and not obj.owner_died
    say(ready)


def hold_until(obj, ready, event):
    assert obj.acquire(timeout=LIMIT_S)
    say(ready)
    assert event.wait(LIMIT_S)
    obj.release()


def wait_event(event, ready, done):
    say(ready)
    if event.wait(LIMIT_S):
        say(done)


def wait_condition(condition, ready, done):
    with condition:
        say(ready)
        if condition.wait(LIMIT_S):
            say(done)


def wait_barrier(barrier, done):
    barrier.wait(LIMIT_S)
    say(done)


def wait_broken(barrier, done):
    try:
        barrier.wait(LIMIT_S)
    except threading.BrokenBarrierError:
        say(done)


def act_and_die():
    die()


def act_well():
    pass


def rounds(barrier, values, number, n):
    """In each round, write into one's own place, and find the others' in the same round."""
    for i in range(n):
        values[number] = i
        barrier.wait(LIMIT_S)
        assert all(value == i for value in list(values)), (number, i, list(values))
        barrier.wait(LIMIT_S)


def use_inside(semaphore, value, n):
    for _ in range(n):
        with semaphore:
            value.add(1)


def ping(here, there, n):
    for _ in range(n):
        assert here.wait(LIMIT_S)
        here.clear()
        there.set()


def swap(condition, turn, mine, n):
    """Take turns."""
    for _ in range(n):
        with condition:
            assert condition.wait_for(lambda: turn.value == mine, LIMIT_S)
            turn.value = 1 - mine
            condition.notify()


def consume(condition, items, eaten):
    """Take items until there is a None."""
    while True:
        with condition:
            assert condition.wait_for(lambda: len(items) > 0, LIMIT_S)
            item = items.pop(0)
        if item is None:
            return
        eaten.append(item)


def wait_for_ctrl_c(obj, ready, result):
    """Wait until a signal ends it, and say how."""
    if hasattr(obj, "notify"):
        obj.acquire()
    say(ready)
    try:
        (obj.wait if hasattr(obj, "wait") else obj.acquire)()
    except KeyboardInterrupt:
        owned = obj._is_owned() if hasattr(obj, "notify") else None
        result.append(["interrupted", owned])
        if owned:
            obj.release()


def check_classes(objects):
    """Whatever way they came, they are what they were."""
    semaphore, bounded, event, condition, barrier = objects
    assert [type(obj).__name__ for obj in objects] == ["Semaphore", "BoundedSemaphore", "Event", "Condition", "Barrier"]
    assert semaphore.acquire(False) and bounded.acquire(False)
    bounded.release()
    event.set()
    with condition:
        condition.notify_all()
        assert type(condition._lock).__name__ == "RLock"
    assert barrier.parties == 2


def suffer(condition, ready, tickets, eaten):
    """Wait again and again for something to eat; killed at some moment."""
    say(ready)
    while True:
        with condition:
            while tickets.value == 0:
                condition.wait(LIMIT_S)
            tickets.value -= 1
        eaten.add(1)
