"""A segment opened for reading only: every reading method works, every changing one raises, nothing is ever written."""

import hashlib
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import numpy
import pytest

import mpshm
from mpshm import _types, arrays, sync

pytestmark = pytest.mark.once

READING = {"get": 1, "keys": 0, "values": 0, "items": 0, "copy": 0, "index": 1, "count": 1, "union": 0, "issubset": 1}


def twin(handle, segment):
    """A handle on the same object through another segment object."""
    return _types.attach(segment, handle._offset, handle._serial, 0)


def fill(segment):
    """One object of each kind with something in it."""
    made = {}
    made["dict"] = d = mpshm.Dict._in(segment)
    d.update(a=1, b="x" * 1000, c=b"y" * 200_000, big=2**100, f=1.5, none=None, nested=[1, (2, 3)])
    made["list"] = items = mpshm.List._in(segment)
    items.extend([3, 1, 2, "z" * 50, b"q" * 100_000])
    d["list"] = items
    d["array"] = numpy.arange(100_000)
    made["set"] = s = mpshm.Set._in(segment)
    s.update([1, 2, "three" * 10])
    made["deque"] = q = mpshm.Deque._in(segment)
    q.extend([1, 2, "three" * 10])
    made["value"] = v = _types.Value._in(segment)
    v.value = 7
    made["namespace"] = n = mpshm.Namespace._in(segment)
    n.x = 5
    for name in ("Queue", "JoinableQueue", "SimpleQueue"):
        made[name] = queue = getattr(_types, name)._in(segment)
        queue.put("message" * 20)
    made["lock"] = sync.Lock._in(segment)
    made["rlock"] = sync.RLock._in(segment)
    made["held"] = sync.Lock._in(segment)
    made["held"].acquire()
    made["array"] = arrays.Array._filled(segment, "i", range(100))
    made["raw"] = _types.Raw._sized(segment, 100)
    return made


@pytest.fixture
def pair(unique_name):
    """Objects of a segment, and the same through it opened for reading only."""
    name = unique_name()
    writer = mpshm.ManagedSharedMemory(name, "x")
    try:
        made = fill(writer)
        reader = mpshm.ManagedSharedMemory(name, "r")
        yield made, {key: twin(handle, reader) for key, handle in made.items()}, reader
        made["held"].release()
        assert writer.check() is None
    finally:
        writer.unlink()


def bytes_of(made):
    """A digest of all that the segment's file holds, but for what the writer's own looks change."""
    fd = made["dict"]._segment._identity.fd
    return hashlib.sha256(os.pread(fd, os.fstat(fd).st_size, 0)).hexdigest()


def test_all_that_was_stored_is_read(pair):
    """Values inline, in blocks, large, nested and shared are the same through the reader."""
    made, seen, reader = pair
    d, e = made["dict"], seen["dict"]
    assert {k: v for k, v in e.items() if k not in ("list", "array")} == {
        k: v for k, v in d.items() if k not in ("list", "array")
    }
    assert list(e) == list(d) and len(e) == len(d) and "a" in e and "zz" not in e and e.get("zz") is None
    assert numpy.array_equal(e["array"], numpy.arange(100_000))
    assert e["list"][3] == "z" * 50 and e["list"]._segment is reader and list(e["list"]) == list(made["list"])
    assert seen["list"][-1] == b"q" * 100_000 and seen["list"][1:3] == [1, 2] and seen["list"].index(2) == 2
    assert [x for x in reversed(seen["list"])] == [x for x in reversed(made["list"])]
    assert seen["set"] == {1, 2, "three" * 10} and 1 in seen["set"] and seen["set"] | {9} == {1, 2, 9, "three" * 10}
    assert list(seen["deque"]) == [1, 2, "three" * 10] and seen["deque"][2] == "three" * 10
    assert seen["value"].value == 7 and seen["namespace"].x == 5
    assert seen["Queue"].qsize() == 1 and not seen["Queue"].empty()
    assert bytes(memoryview(seen["raw"])) == bytes(100)
    assert seen["array"][7] == 7 and list(seen["array"][::-10]) == list(range(99, -1, -10)) and 50 in seen["array"]
    with pytest.raises(KeyError):
        e["zz"]
    with pytest.raises(IndexError):
        seen["list"][99]


def test_changes_are_seen(pair):
    """What a writer changes is seen by the reader at once."""
    made, seen, _ = pair
    made["dict"]["a"] = 2
    made["list"].append("new")
    made["set"].add(17)
    made["value"].value += 1
    assert seen["dict"]["a"] == 2 and seen["list"][-1] == "new" and 17 in seen["set"] and seen["value"].value == 8


CHANGES = {
    "dict": [
        lambda d: d.__setitem__("a", 1),
        lambda d: d.__setitem__("new", "x" * 100_000),
        lambda d: d.__delitem__("a"),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
        lambda d: d.update(a=1),
        lambda d: d.update({"new": 1}, z=2),
        lambda d: d.setdefault("new", 1),
        lambda d: d.incr("a"),
        lambda d: d.incr("new"),
        lambda d: d.compute("a", lambda old: 1, None),
        lambda d: d.compare_exchange("a", 1, 2),
        lambda d: d.__ior__({"a": 1}),
        lambda d: d.lock.acquire(),
        lambda d: d.lock.__enter__(),
        lambda d: d.__init__({"a": 1}),
        lambda d: d._managed(),
    ],
    "list": [
        lambda x: x.append(1),
        lambda x: x.extend([1, 2]),
        lambda x: x.insert(0, 1),
        lambda x: x.pop(),
        lambda x: x.remove(1),
        lambda x: x.__delitem__(0),
        lambda x: x.__setitem__(0, 1),
        lambda x: x.__setitem__(slice(0, 2), [1]),
        lambda x: x.__delitem__(slice(0, 2)),
        lambda x: x.clear(),
        lambda x: x.reverse(),
        lambda x: x.__iadd__([1]),
        lambda x: x.__imul__(2),
        lambda x: x.sort(key=str),
        lambda x: x.lock.acquire(timeout=0.1),
    ],
    "set": [
        lambda s: s.add(99),
        lambda s: s.remove(1),
        lambda s: s.discard(1),
        lambda s: s.pop(),
        lambda s: s.clear(),
        lambda s: s.update([99]),
        lambda s: s.difference_update([1]),
        lambda s: s.intersection_update([1]),
        lambda s: s.symmetric_difference_update([1]),
        lambda s: s.__ior__({99}),
    ],
    "deque": [
        lambda q: q.append(1),
        lambda q: q.appendleft(1),
        lambda q: q.extend([1]),
        lambda q: q.extendleft([1]),
        lambda q: q.insert(0, 1),
        lambda q: q.pop(),
        lambda q: q.popleft(),
        lambda q: q.remove(1),
        lambda q: q.rotate(1),
        lambda q: q.reverse(),
        lambda q: q.clear(),
        lambda q: q.__setitem__(0, 1),
        lambda q: q.__delitem__(0),
        lambda q: q.__iadd__([1]),
        lambda q: q.__imul__(2),
    ],
    "value": [
        lambda v: setattr(v, "value", 1),
        lambda v: v.set(1),
        lambda v: v.add(1),
        lambda v: v.lock.acquire(),
    ],
    "array": [
        lambda a: a.__setitem__(0, 1),
        lambda a: a.__setitem__(slice(0, 2), a[2:4]),
        lambda a: a.lock.acquire(),
    ],
    "namespace": [lambda n: setattr(n, "x", 1), lambda n: setattr(n, "new", 1), lambda n: delattr(n, "x")],
    "Queue": [lambda q: q.put(1), lambda q: q.put(1, timeout=0.1), lambda q: q.get(), lambda q: q.get(timeout=0.1)],
    "JoinableQueue": [lambda q: q.put(1), lambda q: q.get(), lambda q: q.task_done()],
    "SimpleQueue": [lambda q: q.put(1), lambda q: q.get()],
    "lock": [lambda x: x.acquire(), lambda x: x.acquire(timeout=0.1), lambda x: x.release()],
    "rlock": [lambda x: x.acquire(), lambda x: x.release()],
    "held": [lambda x: x.acquire(timeout=0.1), lambda x: x.release()],
}


@pytest.mark.parametrize("kind", CHANGES)
def test_changes_are_refused(pair, kind):
    """Each method that changes something raises PermissionError, and not a byte of the segment is another."""
    made, seen, _ = pair
    before = bytes_of(made)
    for number, change in enumerate(CHANGES[kind]):
        with pytest.raises(mpshm.SegmentPermissionError) as caught:
            change(seen[kind])
            pytest.fail(f"change {number} of {kind} was accepted")
        assert isinstance(caught.value, PermissionError) and "read-only" in str(caught.value)
    assert bytes_of(made) == before


def test_nothing_can_be_made(pair):
    """No object can be made in it, and no handle on its way can be counted there."""
    _, seen, reader = pair
    for cls in (mpshm.Dict, mpshm.List, mpshm.Set, mpshm.Deque):
        with pytest.raises(mpshm.SegmentPermissionError):
            cls._in(reader)
    for act in (reader.check, reader.shrink_to_fit, reader.zero_free_memory, reader.flush, reader.recover):
        with pytest.raises(mpshm.SegmentPermissionError):
            act()
    with pytest.raises(mpshm.SegmentPermissionError):
        reader.grow(1)
    again = pickle.loads(pickle.dumps(seen["dict"]))
    assert again["a"] == 1 and again._segment is reader
    assert reader.size > 0 and reader.used > 0 and reader.free > 0 and reader.stats().processes == 1


def test_every_other_method_does_no_harm(pair):
    """Whatever a handle has is called without arguments: an answer or an exception, never a fault, never a write."""
    made, seen, _ = pair
    before = bytes_of(made)
    for kind, handle in seen.items():
        for name in dir(handle):
            if name in ("join", "wait", "__class__", "__init_subclass__", "__subclasshook__") or kind == "raw":
                continue
            found = getattr(handle, name, None)
            if callable(found):
                try:
                    answer = found()
                    if hasattr(answer, "cr_frame"):
                        answer.close()
                except BaseException as error:
                    assert isinstance(error, Exception), (kind, name)
    assert bytes_of(made) == before


def test_a_view_of_raw_bytes_cannot_be_written(pair):
    """The buffer of raw memory is a read-only one."""
    _, seen, _ = pair
    with memoryview(seen["raw"]) as view:
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1


def test_an_object_that_is_gone_is_a_stale_one(unique_name):
    """Nothing keeps an object alive for a reader: once it is gone, or another in its place, ReferenceError."""
    name = unique_name()
    writer = mpshm.ManagedSharedMemory(name, "x")
    try:
        d = mpshm.Dict._in(writer)
        d["a"] = 1
        reader = mpshm.ManagedSharedMemory(name, "r")
        seen = twin(d, reader)
        assert seen["a"] == 1
        del d
        with pytest.raises(ReferenceError):
            seen["a"]
        others = [mpshm.Dict._in(writer) for _ in range(50)]
        for other in others:
            other["a"] = 2
        for act in (lambda: seen["a"], lambda: len(seen), lambda: list(seen), lambda: "a" in seen):
            with pytest.raises(ReferenceError):
                act()
    finally:
        writer.unlink()


def test_a_writer_that_died_inside_is_not_waited_for_for_ever(pair):
    """Where a change stays half done, a reader gets a TimeoutError after some seconds, and writes nothing."""
    made, seen, _ = pair
    sequence = made["value"]._offset + 44
    fd = made["value"]._segment._identity.fd
    old = os.pread(fd, 4, sequence)
    os.pwrite(fd, bytes([old[0] | 1]) + old[1:], sequence)
    begin = time.monotonic()
    try:
        with pytest.raises(TimeoutError):
            seen["value"].value
    finally:
        os.pwrite(fd, old, sequence)
    assert 1 < time.monotonic() - begin < 60
    assert seen["value"].value == 7


def test_reads_beside_a_busy_writer_are_never_torn(pair):
    """Each read is of one moment: pairs that change together are never seen apart."""
    made, seen, _ = pair
    d, e = made["dict"], seen["dict"]
    d.clear()
    d["x"] = d["y"] = 0
    items = made["list"]
    items.clear()
    items.extend([0] * 10)
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            d.update(x=n, y=n)
            items[:] = [n] * (n % 20 + 1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            got = e.copy()
            assert got["x"] == got["y"], got
            assert len(set(seen["list"][:])) == 1
    finally:
        stop.set()
        thread.join(30)


def test_reads_beside_another_process_are_never_torn(unique_name, interpreter_env):
    """The same with a writer in another process, large values and many of them."""
    name = unique_name()
    code = """
        import sys, time, mpshm
        from mpshm import _types
        segment = mpshm.ManagedSharedMemory(sys.argv[1], "x", max_size=64 << 20)
        d = mpshm.Dict._in(segment)
        d["all"] = ["0"] * 100
        sys.stdout.write(f"{d._offset} {d._serial}\\n")
        sys.stdout.flush()
        n = 0
        while not sys.stdin.closed:
            n += 1
            d["all"] = [str(n % 10) * (n % 7 * 1000 + 1)] * 5
            d[n % 50] = "y" * (n % 3000)
            if n % 20 == 0:
                time.sleep(0.0005)  # who may not write cannot make a writer wait
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), name],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        env=interpreter_env,
        text=True,
    )
    try:
        offset, serial = map(int, child.stdout.readline().split())
        reader = mpshm.ManagedSharedMemory(name, "r")
        seen = _types.attach(reader, offset, serial, 0)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            assert len(set(seen["all"])) == 1
            for key, value in seen.items():
                assert key == "all" or set(value) <= {"y"}
    finally:
        child.kill()
        child.communicate(timeout=30)
        mpshm.ManagedSharedMemory.remove(name)


def test_a_forked_child_reads_on(pair):
    """A child has its parent's reading handles, and neither disturbs the other."""
    _, seen, _ = pair
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert seen["dict"]["a"] == 1 and seen["list"][0] == 3
            del seen
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert seen["dict"]["a"] == 1
