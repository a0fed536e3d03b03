"""ctypes objects and arrays between processes: one memory, one lock, and sums in which nothing is lost."""

import array
import ctypes
import gc
import importlib.util
import pickle
import signal
import threading
import time

import pytest
import sharedctypes_workers as workers

import mpshm
from mpshm import segments, sharedctypes

pytestmark = pytest.mark.timeout(120)

TIMES = 200_000


@pytest.fixture(params=workers.KINDS)
def obj(request):
    """An object of each kind."""
    return workers.KINDS[request.param]()


@pytest.fixture
def fork():
    return mpshm.get_context("fork")


def start(ctx, target, *args):
    process = ctx.Process(target=target, args=args, daemon=True)
    process.start()
    return process


def join(*processes):
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def kill(process):
    process.kill()
    process.join(60)


def test_arguments(ctx, obj):
    """As a process's argument: the same memory."""
    workers.put(obj, "p")
    join(start(ctx, workers.put, obj, "a"))
    assert workers.take(obj) == "a"


def test_pool(ctx):
    """Through a pool, there and back: what comes back is the same memory, and of the same type."""
    with ctx.Pool(1) as pool:
        for name in workers.KINDS:
            obj = workers.KINDS[name]()
            back = pool.apply(workers.put_and_return, (obj, "t"))
            assert workers.take(obj) == "t" and type(back) is type(obj)
            workers.put(back, "b")
            assert workers.take(obj) == "b"


def test_queue(ctx):
    """Through a queue, both ways."""
    there, back = ctx.Queue(), ctx.Queue()
    process = start(ctx, workers.serve, there, back)
    for name in workers.KINDS:
        obj = workers.KINDS[name]()
        there.put(obj)
        got = back.get(timeout=60)
        assert workers.take(got) == workers.take(obj) == "s"
    there.put(None)
    join(process)
    for queue in (there, back):
        queue.close()
        queue.join_thread()


def test_made_by_a_process_that_is_gone(ctx):
    """What a worker made and returned lives on after it."""
    with ctx.Pool(1) as pool:
        made = [pool.apply(workers.make, (name,)) for name in workers.KINDS]
    assert [workers.take(obj) for obj in made] == ["m"] * len(made)


def test_plain_pickle(obj):
    """pickle itself, every protocol: the same memory, the same lock."""
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        back = pickle.loads(pickle.dumps(obj, protocol))
        workers.put(obj, "o")
        assert workers.take(back) == "o" and type(back) is type(obj)
        if hasattr(obj, "get_lock"):
            with obj.get_lock():
                assert back.get_lock().locked()


def test_in_shared_containers(ctx, manager, obj):
    """In a shared dict or list, for whoever takes it out."""
    d, items = manager.dict(inner=obj), manager.list([1, (obj,)])
    workers.put(obj, "c")
    assert workers.take(d["inner"]) == workers.take(items[1][0]) == "c"
    workers.put(d["inner"], "d")
    assert workers.take(obj) == "d"


@pytest.mark.parametrize("lock", [mpshm.sync.RLock, mpshm.sync.Lock])
def test_add_and_hold_lose_nothing(fork, lock):
    """One adds, one reads and writes under the lock: the sum is right."""
    value = sharedctypes.Value("i", 0, lock=lock())
    join(*(start(fork, target, value, TIMES) for target in (workers.add_many, _hold_any)))
    assert value.value == 2 * TIMES
    array_ = sharedctypes.Array("l", 3)
    targets = (workers.add_many_to_items, workers.hold_items_many)
    join(*(start(fork, target, array_, TIMES) for target in targets))
    assert sum(array_) == 2 * TIMES


def _hold_any(value, times):
    """The same for a Lock, too, which its holder can't take again for `value`."""
    for _ in range(times):
        with value.get_lock():
            value.get_obj().value += 1


@pytest.mark.parametrize("typecode", ["b", "H", "I", "q", "f", "d"])
def test_adders_lose_nothing(fork, typecode):
    """Several add at once, to numbers of every size; sums are cut off as C does."""
    value = sharedctypes.Value(typecode, 0)
    join(*(start(fork, workers.add_many, value, 5000) for _ in range(3)))
    assert value.value == type(value.get_obj())(15000).value


def test_add_with_a_foreign_lock(ctx):
    """Under a lock of multiprocessing's, too, and under every start method."""
    import multiprocessing

    value = sharedctypes.Value("i", 0, lock=multiprocessing.get_context(ctx.get_start_method()).RLock())
    join(*(start(ctx, target, value, 2000) for target in (workers.add_many, workers.hold_many)))
    assert value.value == 4000


def test_add_under_ones_own_lock():
    """Who holds the lock may add; who else adds, in another thread, waits."""
    value = sharedctypes.Value("i", 0)
    done = []
    with value.get_lock():
        assert value.add(5) == 5
        thread = threading.Thread(target=lambda: done.append(value.add(1)), daemon=True)
        thread.start()
        thread.join(0.1)
        assert not done and value.value == 5
    thread.join(20)
    assert done == [6]


def test_threads_lose_nothing():
    """Threads that add beside threads that hold the lock."""
    value = sharedctypes.Value("i", 0)
    targets = [workers.add_many, workers.hold_many] * 2
    threads = [threading.Thread(target=target, args=(value, 3000), daemon=True) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert value.value == 12000


def test_killed_adders(fork):
    """Adders killed anywhere: nobody waits for them, and no addition but the last is uncounted."""
    value, counted = sharedctypes.Value("q", 0), sharedctypes.RawValue("q", 0)
    held = 0
    for round_ in range(15):
        process = start(fork, workers.add_for_ever, value, counted)
        while counted.value < (round_ + 1) * 100:
            with value.get_lock():
                value.value += 1
            held += 1
        kill(process)
        begin = time.monotonic()
        value.add(1)
        with value.get_lock():
            value.value += 1
        held += 2
        assert time.monotonic() - begin < 5
        assert 0 <= value.value - held - counted.value <= round_ + 1


def test_killed_holder(ctx):
    """The lock of one that died holding it goes to the next; an addition gets by, too."""
    value = sharedctypes.Value("i", 10)
    for acts in (lambda: value.value, lambda: value.add(0)):
        here, there = ctx.Pipe()
        process = start(ctx, workers.hold_for_ever, value, there)
        assert here.poll(60) and here.recv() == process.pid
        before = value.get_obj().value
        kill(process)
        assert acts() == before
        here.close()
        there.close()
    assert value.value == 12 and not value.get_lock().locked()


def test_waiting_to_add_can_be_interrupted(fork):
    """A signal's exception comes out of add() that waits for a lock, and nothing was added."""

    class InterruptedHereError(Exception):
        pass

    def on_signal(number, frame):
        raise InterruptedHereError

    value = sharedctypes.Value("i", 0)
    here, there = fork.Pipe()
    process = start(fork, workers.hold_until_told, value, there)
    assert here.recv() == "held"
    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedHereError):
            value.add(1)
    finally:
        signal.signal(signal.SIGALRM, before)
    here.send("go on")
    join(process)
    assert value.value == 0 and value.add(1) == 1


def adding_of(process, value):
    """The word that says under which lock a process adds just now, where its slot has it (slots.h)."""
    raw = value.get_obj()
    base = ctypes.addressof(raw) - (raw._raw._offset + 96)
    for slot in range(64):
        head = base + 12288 + slot * 64
        if ctypes.c_uint32.from_address(head + 8).value == process.pid:
            return ctypes.c_uint64.from_address(head + 32)
    raise AssertionError("the process has no slot")


@pytest.fixture
def inside(fork):
    """A Value, a process that seems to be just adding to it, and the word that says so."""
    value = sharedctypes.Value("i", 0)
    here, there = fork.Pipe()
    process = start(fork, workers.add_when_told, value, there)
    assert here.recv() == "there"
    word = adding_of(process, value)
    word.value = value.get_lock()._offset
    yield value, process, word
    kill(process)


def acquire_in_thread(value):
    taken = []
    thread = threading.Thread(target=lambda: (taken.append(value.acquire()), value.release()), daemon=True)
    thread.start()
    thread.join(0.2)
    return thread, taken


def test_holder_waits_for_one_who_adds(inside):
    """Who takes the lock goes on when the other has added."""
    value, _, word = inside
    thread, taken = acquire_in_thread(value)
    assert not taken
    word.value = 0
    thread.join(20)
    assert taken == [True] and value.add(1) == 1


def test_holder_does_not_wait_for_the_dead(inside):
    """An adder that is killed is not waited for any more."""
    value, process, _ = inside
    thread, taken = acquire_in_thread(value)
    assert not taken
    kill(process)
    thread.join(20)
    assert taken == [True] and value.add(1) == 1


def test_waiting_for_an_adder_can_be_interrupted(inside):
    """A signal's exception ends the wait, and the lock is nobody's."""

    def on_signal(number, frame):
        raise KeyError("interrupted")

    value, _, word = inside
    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyError, match="interrupted"):
            value.acquire()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not value.get_lock().locked()
    word.value = 0
    with value:
        assert value.value == 0


def test_forked_child_adds_as_itself(fork):
    """A child adds through a slot of its own, also one that forked in its turn."""
    value = sharedctypes.Value("i", 0)
    value.add(1)

    def grow(depth):
        value.add(1)
        if depth:
            child = fork.Process(target=grow, args=(depth - 1,))
            child.start()
            join(child)
            with value.get_lock():
                value.value += 1

    process = fork.Process(target=grow, args=(2,))
    process.start()
    join(process)
    assert value.value == 1 + 3 + 2


def test_views_outlive_handles(no_new_segments):
    """A buffer keeps the memory, and with the last one it goes."""
    segment = segments.AnonymousSegment()
    before = segment.stats().objects
    raw = sharedctypes.RawArray("i", [1, 2, 3], segment=segment)
    view, item = memoryview(raw), raw[0:1]
    inner = sharedctypes.RawValue(workers.Point, 5, 6, segment=segment)
    value = sharedctypes.synchronized(inner, mpshm.sync.RLock._in(segment))
    del raw, inner
    gc.collect()
    assert view.cast("B").cast("i").tolist() == [1, 2, 3] and item == [1] and value.get_obj().x == 5
    assert segment.stats().objects == before + 3
    other = pickle.loads(pickle.dumps(value))
    del value
    other.get_obj().x = 7
    assert other.x == 7
    del other, view
    gc.collect()
    assert segment.stats().objects == before and segment.check() is None


@pytest.mark.skipif(importlib.util.find_spec("numpy") is None, reason="numpy is not installed")
def test_numpy_view_outlives_handles():
    """NumPy's array on top of a RawArray, too."""
    import numpy

    made = numpy.frombuffer(sharedctypes.RawArray("d", [1, 2, 3]), dtype="f8")
    gc.collect()
    fill = [sharedctypes.RawArray("d", [9, 9, 9]) for _ in range(50)]
    assert made.tolist() == [1, 2, 3] and fill
    made[0] = 5
    assert made.sum() == 10


def test_shared_array_slices_are_one_step(fork, manager):
    """Slices that processes set all over each other are never seen mixed, also when one is killed."""
    shared = manager.Array("q", [0] * 300)
    writers = [start(fork, workers.fill_array_for_ever, shared, number) for number in (1, 2)]
    for round_ in range(300):
        assert len(set(shared[:])) == 1
        if round_ == 150:
            kill(writers[0])
    kill(writers[1])
    assert len(set(shared[:])) == 1
    shared[:] = array.array("q", [3]) * 300
    assert set(shared) == {3}
    manager.segment.recover()
    assert manager.segment.check() is None


def test_shared_array_under_every_start_method(ctx, manager):
    """A manager's Array in a process's arguments."""
    shared = manager.Array("d", [0.0] * 10)
    join(start(ctx, workers.fill_array, shared, 2.5, 3))
    assert list(shared) == [2.5] * 10
