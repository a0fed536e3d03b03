"""What was made before os.fork() just works in the children: regions, segments, containers, arrays, raw memory."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from children import forked

import mpshm
from mpshm import AnonymousSegment, ShareableList, SharedMemory, anonymous_shared_memory

SECONDS = 60


def in_child(run, *args):
    assert os.waitpid(forked(run, *args), 0)[1] == 0


def in_grandchild(run, *args):
    in_child(in_child, run, *args)


def in_orphan(run, *args):
    """In a process whose parent has been killed before it begins."""
    read, write = os.pipe()

    def orphan(parent):
        while os.getppid() == parent:
            time.sleep(0.002)
        run(*args)
        os.write(write, b"x")

    def parent():
        forked(orphan, os.getpid())
        os.kill(os.getpid(), signal.SIGKILL)

    assert os.waitpid(forked(parent), 0)[1] == signal.SIGKILL
    os.close(write)
    assert os.read(read, 1) == b"x", "it failed"
    os.close(read)


anywhere = pytest.mark.parametrize("where", [in_child, in_grandchild, in_orphan], ids=lambda where: where.__name__)


@anywhere
def test_anonymous_memory_and_arrays_on_it(where):
    """Bytes and arrays, of before the fork and made after it on the memory of before, are the same for all."""
    region = anonymous_shared_memory(8000)
    arrays = [np.frombuffer(region, "f8").reshape(10, 100)]

    def run():
        arrays[0][3, 4] = 2.5
        memoryview(region)[0] = 7
        np.frombuffer(region, "f8")[999] = 4.0

    where(run)
    assert (arrays[0][3, 4], arrays[0][9, 99], bytes(region)[0]) == (2.5, 4.0, 7)
    with pytest.raises(BufferError, match="still in use"):
        region.close()
    arrays.clear()
    region.close()


@anywhere
def test_a_segment_and_what_is_in_it(where):
    """Containers, locks and arrays of an anonymous segment, and names that are made in the child."""
    segment = AnonymousSegment(1 << 20)
    squares = segment.construct("i8", "squares", shape=5)
    table, items = segment.construct(mpshm.Dict, "table"), segment.construct(mpshm.List, "items", [1])
    lock = segment.construct(mpshm.Lock)

    def run():
        squares[:] = [number**2 for number in range(5)]
        with lock:
            table["child"] = os.getpid()
            items.append("x" * 10_000)
        segment.construct(mpshm.Deque, "late", [1, 2])

    where(run)
    assert squares.tolist() == [0, 1, 4, 9, 16]
    assert table["child"] != os.getpid()
    assert items[1] == "x" * 10_000
    assert list(segment["late"]) == [1, 2]
    assert segment.check() is None


@anywhere
def test_a_managers_objects(where, manager):
    """A manager's containers, and those that the child puts into them."""
    table, queue = manager.dict(), manager.Queue()

    def run():
        table["list"] = manager.list(["made", "there"])
        queue.put("done")

    where(run)
    assert list(table["list"]) == ["made", "there"]
    assert queue.get(timeout=SECONDS) == "done"


@anywhere
def test_raw_memory_and_lists(where, unique_name):
    """SharedMemory and ShareableList, changed and resized in the child; and what the child makes to stay."""
    shm, named = SharedMemory(create=True, size=10), SharedMemory(unique_name(), create=True, size=10)
    items = ShareableList(["a", 1])
    late = unique_name()

    def run():
        for one in (shm, named):
            one.buf[0] = 5
            one.resize(5000)
            one.buf[4999] = 6
        items[0] = "b" * 5000
        SharedMemory(late, create=True, size=3, track=False).buf[0] = 9

    where(run)
    for one in (shm, named):
        assert (one.size, one.buf[0], one.buf[4999]) == (5000, 5, 6)
        one.close()
        one.unlink()
    assert list(items) == ["b" * 5000, 1]
    items.shm.close()
    items.shm.unlink()
    with SharedMemory(late) as found:
        assert found.buf[0] == 9
        found.unlink()


def test_the_memory_ends_with_the_last_process():
    """Children that outlive the parent keep anonymous memory, and the kernel has it back when they are killed."""
    before = set(Path("/dev/shm").iterdir())
    region = anonymous_shared_memory(100)
    pid = forked(time.sleep, SECONDS)
    memoryview(region)[0] = 1
    region.close()
    maps = Path(f"/proc/{pid}/maps").read_text()
    assert "/dev/zero (deleted)" in maps
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert {path.name for path in set(Path("/dev/shm").iterdir()) - before if "mpshm" not in path.name} == set()


def test_a_fork_while_threads_use_a_list():
    """A child that is forked while another thread of its parent is setting an item can set items itself."""
    import threading

    items = ShareableList(["a", "b"])
    stop = threading.Event()

    def use():
        while not stop.is_set():
            items[0] = "x" * (os.urandom(1)[0] + 1)

    thread = threading.Thread(target=use)
    thread.start()
    try:
        for number in range(25):
            in_child(items.__setitem__, 1, number)
            assert items[1] == number
    finally:
        stop.set()
        thread.join(SECONDS)
    items.shm.close()
    items.shm.unlink()
