"""Workers that are killed at random moments inside locks, signals, queues and the other shared objects.

Each worker does random operations of all kinds on objects that all share, and reports what it did in memory of its
own that outlives it. One worker after the other is killed, every 20 ms on average. Afterwards nothing is lost or
doubled but what the killed had in their hands, everything can still be used, no wait was longer than asked for, and in
the end nothing is left behind.

MPSHM_SOAK_SECONDS sets how long (3), MPSHM_SOAK_SEED which operations (random, and printed).
"""

import array
import collections
import faulthandler
import gc
import itertools
import os
import queue
import random
import threading
import time

import pytest
from soaking import (
    PATIENCE_S,
    SECONDS,
    SEED,
    SLOTS,
    WIDTH,
    WORKERS,
    Worker,
    limited,
    report_type,
    run_alone,
    verify_items,
)

import mpshm

PERMITS = 3

# What a worker counts, besides items in queues.
Report = report_type("add", "tick", "append")


class Ticker:
    """A user's class, whose two numbers change together."""

    def __init__(self):
        self.first = self.second = 0

    def tick(self):
        self.first += 1
        self.second += 1
        return self.second

    def both(self):
        return self.first, self.second


class Manager(mpshm.managers.SyncManager):
    """A manager with a class of the user's."""


Manager.register("Ticker", Ticker)


class Shared:
    """What all workers use."""

    def __init__(self, m):
        self.m = m
        self.lock, self.rlock = m.Lock(), m.RLock()
        self.inside = m.Value("i", 0)
        self.semaphore = m.BoundedSemaphore(PERMITS)
        self.signal = m.Semaphore(0)
        self.condition = m.Condition()
        self.turns = m.Value("i", 0)
        self.event = m.Event()
        self.barrier = m.Barrier(2)
        self.queue = m.Queue(50)
        self.endless = m.JoinableQueue()
        self.numbers = m.set()
        self.deque = m.deque(maxlen=WIDTH * 20)
        self.tail = m.deque()
        self.array = m.Array("q", [0] * WIDTH)
        self.counter = mpshm.Value("q", 0)
        self.guarded = mpshm.Value("q", 0)
        self.ticker = m.Ticker()


def use_lock(s, rng, report):
    lock = rng.choice([s.lock, s.rlock])
    if limited(lambda t: lock.acquire(timeout=t), rng.choice([0.001, 0.05, 30])):
        if lock is s.lock:
            s.inside.value = os.getpid()
            if rng.random() < 0.1:
                time.sleep(0.001)
            assert s.inside.value == os.getpid(), "two processes had the lock"
        lock.release()


def use_semaphore(s, rng, report):
    if limited(lambda t: s.semaphore.acquire(timeout=t), rng.choice([0.01, 30])):
        if rng.random() < 0.1:
            time.sleep(0.001)
        s.semaphore.release()


def use_signal(s, rng, report):
    if rng.random() < 0.5:
        s.signal.release(rng.choice([1, 2]))
    else:
        limited(lambda t: s.signal.acquire(timeout=t), 0.01)


def use_condition(s, rng, report):
    if not s.condition.acquire(timeout=30):
        raise AssertionError("the condition's lock was not to be had")
    with_lock = s.turns.value
    if rng.random() < 0.5:
        limited(s.condition.wait, rng.choice([0.001, 0.02]))
    else:
        s.turns.value = with_lock + 1
        s.condition.notify(rng.choice([1, 2, 5]))
    s.condition.release()


def use_event(s, rng, report):
    kind = rng.randrange(3)
    if kind == 0:
        s.event.set()
    elif kind == 1:
        s.event.clear()
    else:
        limited(s.event.wait, 0.01)


def use_barrier(s, rng, report):
    try:
        limited(s.barrier.wait, rng.choice([0.001, 0.02]))
    except threading.BrokenBarrierError:
        s.barrier.reset()


def message(rng, item):
    """An item in a message of some kind: small, long, larger than what goes inline, with a shared object inside."""
    kind = rng.randrange(8)
    if kind < 3:
        return (*item, None)
    if kind < 6:
        return (*item, b"x" * rng.choice([20, 100, 1000]))
    return (*item, b"x" * rng.choice([5000, 70_000])) if kind == 6 else (*item, {"long": ["x" * 40] * 5, 1: 2.5})


def use_queue(s, rng, report):
    q = s.queue if rng.random() < 0.5 else s.endless
    if rng.random() < 0.5:
        number = report.put_begun
        report.put_begun = number + 1
        try:
            limited(lambda t: q.put(message(rng, (report.put_name, number)), timeout=t), 0.02)
        except queue.Full:
            report.put_begun = number
        else:
            report.put_done = number + 1
    else:
        report.getting = 1
        try:
            name, number, _ = limited(lambda t: q.get(timeout=t), 0.005)
        except queue.Empty:
            report.getting = 0
            return
        report.note(name, number)
        report.getting = 0
        if q is s.endless:
            q.task_done()


def use_set(s, rng, report):
    base = rng.randrange(4) * 100
    group = {base + i for i in range(WIDTH)}
    change = rng.choice([s.numbers.update, s.numbers.difference_update])
    change(group)
    seen = s.numbers.copy()
    for start in range(0, 400, 100):
        assert len({n for n in seen if start <= n < start + 100}) in (0, WIDTH), "half a change of a set"


def use_deque(s, rng, report):
    mark = rng.randrange(1 << 30)
    kind = rng.randrange(4)
    if kind == 0:
        s.deque.extend([mark] * WIDTH)
    elif kind == 1:
        s.deque.rotate(WIDTH * rng.randrange(-3, 4))
    elif kind == 2:
        report.append_begun = report.append_begun + 1
        s.tail.append((report.put_name, report.append_done))
        report.append_done = report.append_begun
    else:
        seen = list(s.deque)
        assert len(seen) % WIDTH == 0 and all(len(set(seen[i : i + WIDTH])) == 1 for i in range(0, len(seen), WIDTH)), (
            "half a change of a deque"
        )


def use_array(s, rng, report):
    s.array[:] = array.array("q", [rng.randrange(1 << 60)] * WIDTH)
    assert len(set(s.array[:])) == 1, "half a slice"


def use_counters(s, rng, report):
    report.add_begun = report.add_begun + 1
    if rng.random() < 0.7:
        s.counter.add(1)
    else:
        with s.counter.get_lock():
            s.counter.value += 1
    report.add_done = report.add_begun


def use_ticker(s, rng, report):
    report.tick_begun = report.tick_begun + 1
    s.ticker.tick()
    report.tick_done = report.tick_begun
    first, second = s.ticker.both()
    assert first == second, "half a call"


def make_and_drop(s, rng, report):
    """Objects that nobody else ever sees: the killed one's go with it."""
    made = rng.choice(
        [
            lambda: s.m.Queue(3),
            lambda: s.m.Condition(s.lock),
            lambda: s.m.Barrier(2),
            lambda: s.m.set(range(50)),
            lambda: s.m.deque(range(50)),
            lambda: s.m.Array("d", [0.5] * 100),
            lambda: s.m.Semaphore(2),
            lambda: mpshm.RawArray("i", 100),
            lambda: s.m.Ticker(),
        ]
    )()
    if hasattr(made, "put"):
        for item in (1, b"x" * 200, b"x" * 9000):
            made.put(item)
        made.get()


USES = [
    use_lock,
    use_semaphore,
    use_signal,
    use_condition,
    use_event,
    use_barrier,
    use_queue,
    use_queue,
    use_queue,
    use_set,
    use_deque,
    use_array,
    use_counters,
    use_ticker,
    make_and_drop,
]


def work(seed, shared, progress):
    rng = random.Random(seed)
    while progress.got < SLOTS - 1:
        rng.choice(USES)(shared, rng, progress)


def drain(q):
    found = []
    while True:
        try:
            name, number, _ = q.get_nowait()
        except queue.Empty:
            return found
        found.append((name, number))


def verify_queues(shared, killed):
    """Each item that was put is got once, but for those in the hands of the killed."""
    left = drain(shared.queue) + drain(shared.endless)
    assert shared.queue.qsize() == shared.endless.qsize() == 0
    verify_items(killed, left)


def verify_counts(shared, killed, totals):
    """What was reported is there, and at most one more for each that was killed."""
    for kind, value in (("add", shared.counter.value), ("tick", shared.ticker.both()[1])):
        totals[kind, "done"] += sum(getattr(w.progress, f"{kind}_done") for w in killed)
        totals[kind, "begun"] += sum(getattr(w.progress, f"{kind}_begun") for w in killed)
        # (`+= 1` under the lock may be done without having been reported, too)
        assert totals[kind, "done"] <= value <= totals[kind, "begun"], kind
    found = collections.Counter(name for name, _ in shared.tail)
    for w in killed:
        assert w.progress.append_done <= found.pop(w.name, 0) <= w.progress.append_begun
    assert not found
    shared.tail.clear()


def verify_usable(shared):
    """Everything can be had at once, now that all workers are dead."""
    for lock in (shared.lock, shared.rlock, shared.condition):
        assert lock.acquire(timeout=PATIENCE_S)
        lock.release()
    for _ in range(PERMITS):
        assert shared.semaphore.acquire(timeout=PATIENCE_S), "a permit was lost"
    assert not shared.semaphore.acquire(timeout=0.01), "a permit too many"
    for _ in range(PERMITS):
        shared.semaphore.release()
    with shared.condition:
        shared.condition.notify_all()
    shared.barrier.reset()
    assert shared.barrier.n_waiting == 0
    helper = threading.Thread(target=shared.barrier.wait, args=(PATIENCE_S,))
    helper.start()
    shared.barrier.wait(PATIENCE_S)
    helper.join()
    shared.event.set()
    assert shared.event.wait(0)
    shared.event.clear()
    with shared.guarded.get_lock():
        shared.guarded.value += 1


def soak():
    """Start workers, kill them, and verify, for so long. Run in an interpreter of its own."""
    faulthandler.dump_traceback_later(SECONDS * 3 + 60, exit=True)
    rng = random.Random(SEED)
    names = itertools.count(1)
    manager = Manager()
    manager.start()
    with manager:
        before = manager.segment.stats()
        shared = Shared(manager)
        totals = collections.Counter()
        workers, killed, rounds, end = [], [], 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            while len(workers) < WORKERS:
                workers.append(Worker(next(names), work, shared, Report))
            time.sleep(rng.random() * 0.04)
            worker = workers.pop(rng.randrange(len(workers)))
            worker.kill()
            killed.append(worker)
            rounds += 1
            if rounds % 10 == 0:
                assert manager.segment.check() is None
            if rounds % 40 == 0 or time.monotonic() >= end:
                for worker in workers:
                    worker.kill()
                killed += workers
                workers.clear()
                verify_queues(shared, killed)
                verify_counts(shared, killed, totals)
                verify_usable(shared)
                killed.clear()
                assert manager.segment.check() is None
        assert rounds > SECONDS
        del worker, shared
        gc.collect()
        manager.segment.recover()
        assert manager.segment.check() is None
        after = manager.segment.stats()
        assert (after.objects, after.blocks) == (before.objects, before.blocks)
        print(f"{rounds} kills, {after.recoveries} recoveries")


@pytest.mark.timeout(SECONDS * 3 + 120)
def test_soak_everything():
    """After every kill: nothing lost or doubled, everything usable, no wait past its timeout, nothing left."""
    run_alone(__file__)


if __name__ == "__main__":
    soak()
