"""Queues between processes: every item once, in its producer's order, whoever dies."""

import os
import queue
import signal
import time

import pytest
import queue_workers as workers

import mpshm
from mpshm import queues

pytestmark = pytest.mark.timeout(120)

LIMIT_S = 60


@pytest.fixture
def start(request):
    """Start processes that a failing test does not leave behind."""
    started = []

    def begin(ctx, target, *args):
        process = ctx.Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.is_alive():
            process.kill()
        process.join(LIMIT_S)


def finished(*processes):
    for process in processes:
        process.join(LIMIT_S)
        assert process.exitcode == 0


@pytest.mark.parametrize(("producers", "consumers", "maxsize"), [(1, 1, 0), (3, 2, 0), (2, 3, 4), (1, 2, 1)])
def test_every_item_once(ctx, manager, start, producers, consumers, maxsize):
    """Each item comes out once, at one consumer; what one producer put comes in its order."""
    q, out = manager.Queue(maxsize), manager.Queue()
    takers = [start(ctx, workers.consume, q, out, i) for i in range(consumers)]
    makers = [start(ctx, workers.produce_and_exit, q, i, 700) for i in range(producers)]
    finished(*makers)
    for _ in takers:
        q.put(workers.STOP)
    seen = dict(out.get(timeout=LIMIT_S) for _ in takers)
    finished(*takers)
    everything = [item for items in seen.values() for item in items]
    assert len(everything) == producers * 700
    assert set(everything) == {(i, n) for i in range(producers) for n in range(700)}
    for items in seen.values():
        for i in range(producers):
            own = [n for producer, n in items if producer == i]
            assert own == sorted(own)
    assert q.empty()


def test_default_segment(ctx, start):
    """Queues that no manager made go to other processes as well."""
    q, out, simple = queues.Queue(), queues.JoinableQueue(), queues.SimpleQueue()
    taker = start(ctx, workers.consume, q, out, "here")
    workers.produce(q, 1, 10)
    q.put(workers.STOP)
    assert out.get(timeout=LIMIT_S) == ("here", [(1, n) for n in range(10)])
    finished(taker, start(ctx, workers.produce, simple, 2, 3))
    assert [simple.get(timeout=LIMIT_S) for _ in range(3)] == [workers.value_of(2, n) for n in range(3)]


def test_a_close_is_the_handles_own(ctx, manager, start):
    """One handle is closed, the others go on."""
    q = manager.Queue()
    finished(start(ctx, workers.produce, q, 0, 5))
    d = manager.dict(q=q)
    q.close()
    assert [d["q"].get(timeout=LIMIT_S) for _ in range(5)] == [workers.value_of(0, n) for n in range(5)]


def test_nothing_is_lost_with_a_producer(manager, start):
    """What was put is there, though the producer is killed at any moment after; nothing else is stuck."""
    ctx = mpshm.get_context("fork")
    for turn in range(8):
        q, ready = manager.Queue(), manager.Queue()
        makers = [start(ctx, workers.put_for_ever, q, ready, i) for i in range(2)]
        for _ in makers:
            ready.get(timeout=LIMIT_S)
        time.sleep(0.003 * turn + 0.001)
        for maker in makers:
            maker.kill()
            maker.join(LIMIT_S)
        expected = [0, 0]
        try:
            while True:
                producer, n, rest = q.get(timeout=0.1)
                assert n == expected[producer]
                assert (producer, n, rest) == workers.value_of(producer, n)
                expected[producer] += 1
        except queue.Empty:
            pass
        q.put("after")
        assert q.get(timeout=LIMIT_S) == "after"
        manager.segment.recover()
        manager.segment.check()


def test_killed_consumers(manager, start):
    """A consumer that is killed takes one item with it at most; the others go on at once."""
    ctx = mpshm.get_context("fork")
    for turn in range(8):
        q, ready = manager.Queue(), manager.Queue()
        takers = [start(ctx, workers.get_for_ever, q, ready) for _ in range(2)]
        for _ in takers:
            ready.get(timeout=LIMIT_S)
        for n in range(200 + 50 * turn):
            q.put(workers.value_of(0, n))
        takers[0].kill()
        takers[1].kill()
        for taker in takers:
            taker.join(LIMIT_S)
        q.put("after")
        found = []
        while not found or found[-1] != "after":
            found.append(q.get(timeout=LIMIT_S))
        numbers = [item[1] for item in found[:-1]]
        assert numbers == list(range(200 + 50 * turn))[len(range(200 + 50 * turn)) - len(numbers) :]
        manager.segment.recover()
        manager.segment.check()


def test_killed_while_waiting(manager, start):
    """Consumers that are killed asleep leave nothing: the next item wakes one that lives."""
    ctx = mpshm.get_context("fork")
    q, ready, out = manager.Queue(), manager.Queue(), manager.Queue()
    victims = [start(ctx, workers.get_for_ever, q, ready) for _ in range(3)]
    for _ in victims:
        ready.get(timeout=LIMIT_S)
    taker = start(ctx, workers.consume, q, out, 0)
    time.sleep(0.2)
    for victim in victims:
        victim.kill()
        victim.join(LIMIT_S)
    q.put(workers.value_of(0, 0))
    q.put(workers.STOP)
    assert out.get(timeout=LIMIT_S) == (0, [(0, 0)])
    finished(taker)


def test_full_with_dead_consumers(manager, start):
    """A put into a full queue waits as long as it was asked to, and room is room, whoever makes it."""
    ctx = mpshm.get_context("fork")
    q, ready = manager.Queue(2), manager.Queue()
    victim = start(ctx, workers.die_in_get, q, ready)
    ready.get(timeout=LIMIT_S)
    q.put(0)
    victim.join(LIMIT_S)
    assert victim.exitcode == -signal.SIGKILL
    q.put(1)
    q.put(2)
    begin = time.monotonic()
    with pytest.raises(queue.Full):
        q.put(3, timeout=0.3)
    assert 0.29 < time.monotonic() - begin < 20
    maker = start(ctx, workers.produce, q, 7, 1)
    time.sleep(0.1)
    assert maker.is_alive()
    assert [q.get(timeout=LIMIT_S) for _ in range(3)] == [1, 2, workers.value_of(7, 0)]
    finished(maker)


def test_signals_reach_a_waiter(manager):
    """A blocked get runs signal handlers, and their exceptions end it."""
    q = manager.Queue()

    class AlarmError(Exception):
        pass

    def on_alarm(number, frame):
        raise AlarmError

    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(AlarmError):
            q.get(timeout=LIMIT_S)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_handles_in_messages(ctx, manager, start):
    """Queues, dicts and locks are sent by reference; they live while they are under way."""
    requests = manager.Queue()
    hand = start(ctx, workers.answer, requests)
    notes = manager.dict()
    for number in range(20):
        back = manager.Queue()
        requests.put((number, back, notes, manager.Lock()))
        assert back.get(timeout=LIMIT_S) == number * 2
    requests.put(workers.STOP)
    finished(hand)
    assert dict(notes) == dict.fromkeys(range(20), hand.pid)


def test_a_queue_outlives_its_maker(ctx, manager):
    """A worker returns the queue that it made, and is gone."""
    with ctx.Pool(1) as pool:
        q = pool.apply(workers.make_and_return, (manager, 500))
    assert [q.get(timeout=LIMIT_S) for _ in range(500)] == list(range(500))


def test_join_between_processes(ctx, manager, start):
    """join waits for tasks that other processes finish."""
    tasks = manager.JoinableQueue()
    hands = [start(ctx, workers.work, tasks) for _ in range(2)]
    for number in range(100):
        tasks.put(number)
    tasks.join()
    assert tasks.empty()
    for _ in hands:
        tasks.put(None)
    tasks.join()
    finished(*hands)


@pytest.mark.parametrize("how", ["get", "put"])
def test_shutdown_reaches_waiters(ctx, manager, start, how):
    """Whoever waits in another process is told, of the queue's end as of the manager's."""
    q, out = manager.Queue(1), queues.Queue()
    if how == "put":
        q.put(0)
    waiter = start(ctx, workers.wait_and_tell, q, out, how)
    assert out.get(timeout=LIMIT_S) == "ready"
    time.sleep(0.1)
    q.shutdown(immediate=True)
    assert out.get(timeout=LIMIT_S) == "ShutDown"
    finished(waiter)
    with mpshm.Manager() as other:
        waiter = start(ctx, workers.wait_and_tell, other.Queue(), out, "get")
        assert out.get(timeout=LIMIT_S) == "ready"
        time.sleep(0.1)
    assert out.get(timeout=LIMIT_S) == "SegmentClosedError"
    finished(waiter)


def test_a_blocked_get_uses_no_processor(manager):
    """Waiting costs next to nothing."""
    q = manager.Queue()
    before = time.process_time()
    with pytest.raises(queue.Empty):
        q.get(timeout=1)
    assert time.process_time() - before < 0.2


def test_used_by_parent_and_child_of_a_fork(manager):
    """A fork in the middle of work with a queue disturbs neither side."""
    q, out = manager.Queue(), manager.Queue()
    for turn in range(5):
        q.put(turn)
        pid = os.fork()
        if pid == 0:
            out.put(q.get() * 10)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    assert [out.get(timeout=LIMIT_S) for _ in range(5)] == [0, 10, 20, 30, 40]
