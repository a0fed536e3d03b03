"""What is read of a stored array is the reader's own, outlives everything, and leaves no memory behind."""

import gc
import itertools
import mmap
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import mpshm
from mpshm import AnonymousSegment, ManagedExternalBuffer, ManagedHeapMemory, ManagedSharedMemory, _types

pytestmark = pytest.mark.once

MIB = 1 << 20
SMALL = np.arange(500.0)
LARGE = np.arange(20_000.0)
BYTES = bytes(range(256)) * 400
VALUES = {"small": SMALL, "large": LARGE, "blob": BYTES, "array": bytearray(BYTES), "nested": [SMALL, {"x": LARGE}]}


def plain(value):
    """What was read, as bytes."""
    if isinstance(value, (list, tuple)):
        return b"".join(map(plain, value))
    return plain(value["x"]) if isinstance(value, dict) else bytes(value)


EXPECTED = {key: plain(value) for key, value in VALUES.items()}


def held(value):
    """Something writable of what was read."""
    return value[1]["x"] if isinstance(value, list) else value


def scribble(segment, rounds=1):
    """Puts other bytes wherever there is room."""
    for i in range(1, rounds + 1):
        d, n = mpshm.Dict._in(segment), 0
        for nbytes in (4 * MIB, 256 << 10, 64 << 10, 2048):
            try:
                while n < 200:
                    d[n] = np.full(nbytes, i, "u1")
                    n += 1
            except mpshm.SegmentFullError:
                pass
        del d


def used(segment):
    gc.collect()
    segment.check()  # takes back what dead processes had
    return segment.stats().used


@pytest.fixture
def segment():
    """A segment in which nothing is left in the end."""
    made = AnonymousSegment(max_size=16 * MIB)
    yield made
    gc.collect()
    assert made.check() is None
    assert made.stats().objects == 0


def child(act, *, wait=True):
    """Runs it in a forked child: its exit status, or its process id."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if wait else pid


# ---- the reader's own ----


@pytest.mark.parametrize("key", VALUES)
def test_writes_are_nobody_elses_business(segment, key):
    """Neither a second read, nor a view, nor another process, nor the array that was stored sees them."""
    d = mpshm.Dict._in(segment)
    d["k"] = VALUES[key]
    if key != "blob":
        first, view = d["k"], d.view("k")
        held(first)[:100] = held(first)[100:200]
        assert plain(d["k"]) == plain(view) == EXPECTED[key] == plain(VALUES[key]) != plain(first)

        def look():
            assert plain(d["k"]) == EXPECTED[key] == plain(view) != plain(first)
            held(first)[:] = bytes(len(held(first))) if key == "array" else 0

        before = plain(first)
        assert child(look) == 0
        assert plain(first) == before and plain(d["k"]) == EXPECTED[key]
        del first, view
    d.clear()


def test_code_that_works_in_place(segment):
    """Whatever is done to one's own array is done to what is read."""
    d = mpshm.Dict._in(segment)
    for given in (SMALL, LARGE):
        d["k"] = given
        found = d["k"]
        found += 1
        found *= 2
        np.negative(found, out=found)
        found.sort()
        found[::2] = 0
        found[found < -100] = 1
        found = found.reshape(2, -1)
        found.fill(3)
        np.random.default_rng(0).shuffle(found)
        found.byteswap(inplace=True)
        found.setflags(write=False)
        found.setflags(write=True)
        d["k"] = found
        assert (d["k"] == found).all()
    del found
    d.clear()


KEPT = {"read": lambda d, key: d[key], "view": lambda d, key: d.view(key)}


@pytest.mark.parametrize("way", KEPT)
@pytest.mark.parametrize("end", ["overwrite", "delete", "clear", "drop", "move"])
def test_it_stays_whatever_becomes_of_the_entry(segment, way, end):
    """Overwritten, deleted, cleared, the container and the segment's object gone, and all free memory written over."""
    start = used(segment)
    d = mpshm.Dict._in(segment)
    for key, value in VALUES.items():
        d[key] = value
    kept = {key: KEPT[way](d, key) for key in VALUES}
    parts = [held(value)[3:-3] for value in kept.values()]
    if end == "overwrite":
        for key in VALUES:
            d[key] = VALUES["large"][::-1]
    elif end == "delete":
        for key in VALUES:
            del d[key]
    elif end == "clear":
        d.clear()
    elif end == "move":
        taken = [d.pop(key) for key in VALUES]
        del taken
    del d
    gc.collect()
    scribble(segment, 2)
    assert {key: plain(value) for key, value in kept.items()} == EXPECTED
    assert [bytes(part) for part in parts] == [bytes(held(value)[3:-3]) for value in VALUES.values()]
    del kept, parts
    assert used(segment) == start


@pytest.mark.parametrize("way", KEPT)
@pytest.mark.parametrize("end", ["shutdown", "close", "forget"])
def test_it_stays_when_the_manager_ends(way, end, no_new_segments):
    """Also after shutdown() and close(), and it may be written to."""
    m = mpshm.Manager()
    d = m.dict(VALUES)
    kept = {key: KEPT[way](d, key) for key in VALUES}
    if end == "shutdown":
        m.shutdown()
        with pytest.raises(mpshm.SegmentClosedError):
            d["large"]
        with pytest.raises(mpshm.SegmentClosedError):
            d["large"] = LARGE
        with pytest.raises(mpshm.SegmentClosedError):
            d.view("large")
    elif end == "close":
        m.segment.close()
    del m, d
    gc.collect()
    assert {key: plain(value) for key, value in kept.items()} == EXPECTED
    if way == "read":
        kept["large"][:] = 1
        kept["nested"][1]["x"] += 1
    del kept


def test_it_stays_when_a_named_segment_is_closed_and_removed(unique_name):
    """What one process read stays as it was though it closed the segment and another goes on with it."""
    name = unique_name()
    writer = ManagedSharedMemory(name, "x", max_size=8 * MIB)
    try:
        d = writer.construct(mpshm.Dict, "d")
        for key, value in VALUES.items():
            d[key] = value

        def read_and_close():
            reader = ManagedSharedMemory(name, "r+")
            found = reader["d"]
            kept = [{key: keep(found, key) for key in VALUES} for keep in KEPT.values()]
            del found
            reader.close()
            del reader
            gc.collect()
            assert child(overwrite) == 0
            for values in kept:
                assert {key: plain(value) for key, value in values.items()} == EXPECTED

        def overwrite():
            d.clear()
            scribble(writer, 2)
            ManagedSharedMemory.remove(name)

        assert child(read_and_close) == 0
        assert d.get("large") is None and writer.check() is None
    finally:
        ManagedSharedMemory.remove(name)


@pytest.mark.parametrize("fate", ["ends", "killed"])
def test_it_stays_in_a_forked_child(segment, fate):
    """Parent and child hold what the parent had read before the fork, each for itself, whoever ends first."""
    start = used(segment)
    d = mpshm.Dict._in(segment)
    for key, value in VALUES.items():
        d[key] = value
    kept = [{key: keep(d, key) for key in VALUES} for keep in KEPT.values()]

    def check():
        for values in kept:
            assert {key: plain(value) for key, value in values.items()} == EXPECTED

    # The parent lets go of everything, and the child reads on.
    read, write = os.pipe()

    def go_on():
        os.close(write)
        os.read(read, 1)
        check()
        held(kept[0]["nested"])[:] = 0
        scribble(segment)
        os.kill(os.getpid(), signal.SIGKILL if fate == "killed" else 0)

    pid = child(go_on, wait=False)
    os.close(read)
    own = kept
    kept = []
    d.clear()
    scribble(segment)
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == (-signal.SIGKILL if fate == "killed" else 0)
    # The child is gone, and the parent reads on.
    kept = own
    scribble(segment)
    check()
    del own, d
    kept = []
    assert used(segment) == start


# ---- memory ----


def test_memory_comes_back_in_any_order(segment):
    """Whatever goes first: entry, read array, part of it, view, part of the view."""
    start = used(segment)
    for order in itertools.permutations(["entry", "read", "part", "view", "slice"]):
        d = mpshm.Dict._in(segment)
        d["k"] = LARGE
        things = {"entry": d, "read": d["k"], "view": d.view("k")}
        things["part"], things["slice"] = things["read"][5:50], things["view"].reshape(2, -1)[1]
        for name in order:
            if name == "entry":
                d.clear()
                del d
            del things[name]
            for key, first in (("read", 0), ("part", 5), ("view", 0), ("slice", 10_000)):
                if key in things:
                    assert things[key][0] == first
    assert used(segment) == start


@pytest.mark.parametrize("key", VALUES)
def test_memory_of_every_kind_comes_back(segment, key):
    """From each container, by each way of taking something out."""
    value = VALUES[key]
    start = used(segment)
    d, items, q = mpshm.Dict._in(segment), mpshm.List._in(segment), mpshm.Deque._in(segment)
    queue, v, s = _types.Queue._in(segment), _types.Value._in(segment), mpshm.Map._in(segment)
    for _ in range(3):
        d["k"], s["k"], v.value = value, value, value
        items.append(value)
        q.append(value)
        queue.put(value)
        got = [d["k"], s["k"], v.value, items[0], q[0], queue.get(), d.view("k"), items.view(0), q.view(0), v.view()]
        d["k"], v.value = 1, 1
        del s["k"], items[0]
        got += [q.pop()]
        assert all(plain(one) == EXPECTED[key] for one in got)
        del got
    queue.put(value)
    items.extend([value] * 3)
    items[1:] = [1, 2]
    items *= 3
    del d, items, q, queue, v, s
    assert used(segment) == start


def test_a_killed_holder_leaves_nothing(segment):
    """What a killed process had read or looked at is free again when the next one looks, or needs the room."""
    d = mpshm.Dict._in(segment)
    d["k"] = 1
    start = used(segment)

    def hold():
        kept = [d["k"], d.view("k")]
        os.write(write, b"x")
        signal.pause()
        del kept

    for needs_room in (False, True):
        d["k"] = np.zeros(9 * MIB, "u1")
        read, write = os.pipe()
        pid = child(hold, wait=False)
        assert os.read(read, 1) == b"x"
        os.close(read)
        os.close(write)
        d["k"] = 1
        assert segment.stats().used > start
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        if needs_room:
            d["k"] = np.ones(9 * MIB, "u1")
            d["k"] = 1
        assert used(segment) == start


@pytest.mark.parametrize("layout", ["one", "strided", "times", "nested", "bytearray", "pickled buffers"])
def test_a_full_segment(layout):
    """SegmentFullError, max_size is kept to, and nothing of the value is stored."""
    segment = AnonymousSegment(max_size=4 * MIB)
    d, items, v = mpshm.Dict._in(segment), mpshm.List._in(segment), _types.Value._in(segment)
    big = np.zeros(1 * MIB, "u1")
    value = {
        "one": np.zeros(5 * MIB, "u1"),
        "strided": np.zeros((5 * MIB, 2), "u1")[:, 0],
        "times": np.zeros(5 * MIB // 8, "M8[s]"),
        "nested": [big[:500], *[big[i:] for i in range(7)]],
        "bytearray": bytearray(5 * MIB),
        "pickled buffers": np.zeros(5 * MIB, "u1").view(np.recarray),
    }[layout]
    d["a"], v.value = SMALL, LARGE
    items.append(1)
    start = used(segment)
    for act in (
        lambda: d.__setitem__("a", value),
        lambda: d.__setitem__("b", value),
        lambda: d.update(c=1, b=value),
        lambda: d.setdefault("b", value),
        lambda: d.compute("a", lambda _: value, None),
        lambda: items.append(value),
        lambda: items.extend([1, value]),
        lambda: v.set(value),
    ):
        with pytest.raises(mpshm.SegmentFullError):
            act()
        assert used(segment) == start
    assert (d["a"] == SMALL).all() and len(d) == 1 and list(items) == [1] and (v.value == LARGE).all()
    assert segment.size <= segment.max_size


def test_an_error_while_pickling_leaves_nothing(segment):
    """An object that cannot be pickled behind large arrays: what was stored of them goes again."""
    d = mpshm.Dict._in(segment)
    d["a"] = 1
    start = used(segment)
    for _ in range(5):
        with pytest.raises(Exception, match=r"pickle|local"):
            d["a"] = [LARGE, LARGE * 2, lambda: 1]
    assert used(segment) == start and d["a"] == 1


def test_without_address_space(segment):
    """Where nothing more can be mapped, a copy is as good, and a view needs nothing."""
    d = mpshm.Dict._in(segment)
    d["k"] = np.arange(9_000.0)

    def read():
        spare = [np.ones(9_000) for _ in range(50)]
        d["k"]
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * 4096, pages * 4096))
        del spare
        kept = [d["k"] for _ in range(20)]
        views = [d.view("k") for _ in range(20)]
        assert [type(one.base) is bytearray for one in kept] == [False] + [True] * 19  # (the first was mapped before)
        assert all(one[-1] == 8_999 for one in kept + views)

    assert child(read) == 0


def test_without_mappings(segment):
    """Very many arrays at once leave the process room for other mappings: the later ones are copies."""
    d = mpshm.Dict._in(segment)
    d["k"] = np.arange(8192.0)

    def read():
        kept = [d["k"] for _ in range(17_000)]
        assert len({type(one.base) for one in kept}) == 2 and all(one[-1] == 8191 for one in kept[::100])
        first = kept.pop(0)
        del kept
        assert type(d["k"].base) is type(first.base)

    assert child(read) == 0


def test_without_descriptors(segment):
    """A program that has closed all descriptors, and got their numbers again for something else, reads and stores."""
    d = mpshm.Dict._in(segment)
    d["room"] = np.zeros(2 * MIB, "u1")
    del d["room"]  # which stays with the segment: it cannot grow without a descriptor
    d["k"], d["b"] = LARGE, BYTES

    def read():
        os.closerange(3, 4096)
        for _ in range(2):
            found, view = d["k"], d.view("k")
            assert (found == LARGE).all() and (view == LARGE).all() and bytes(d.view("b")) == BYTES
            found[0] = 9
            d["n"] = [found, LARGE]
            assert d["n"][0][0] == 9 and d["n"][1][0] == 0
            opened = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(30)]
        assert opened and segment.check() is None

    assert child(read) == 0


# ---- other kinds of segments ----


@pytest.mark.parametrize("kind", ["heap", "buffer", "copy"])
def test_segments_without_a_file_of_their_own(kind, unique_name):
    """On a heap, in a buffer and copy-on-write, what is read is a copy, and a view the memory itself."""
    if kind == "heap":
        segment = ManagedHeapMemory(4 * MIB)
    elif kind == "buffer":
        segment = ManagedExternalBuffer(mmap.mmap(-1, 4 * MIB))
    else:
        name = unique_name()
        with ManagedSharedMemory(name, "x", max_size=4 * MIB) as made:
            made.construct(mpshm.Dict, "d")["old"] = LARGE
        del made
        segment = ManagedSharedMemory(name, "c")
        ManagedSharedMemory.remove(name)
        found = segment["d"]["old"]
        assert (found == LARGE).all() and (segment["d"].view("old") == LARGE).all()
        segment["d"]["old"] = LARGE * 2
        assert (segment["d"]["old"] == LARGE * 2).all() and (found == LARGE).all()
        del found
        segment["d"].clear()
    start = used(segment)
    d = mpshm.Dict._in(segment)
    for key, value in VALUES.items():
        d[key] = value
    kept = [{key: keep(d, key) for key in VALUES} for keep in KEPT.values()]
    d["large"], d["nested"] = LARGE * 3, 1
    for values in kept:
        assert {key: plain(value) for key, value in values.items()} == EXPECTED
    kept[0]["large"][:] = 0
    assert (d["large"] == LARGE * 3).all() and (kept[1]["large"] == LARGE).all()
    del d, values
    gc.collect()
    scribble(segment)
    assert {key: plain(value) for key, value in kept[1].items()} == EXPECTED
    del kept
    assert used(segment) == start and segment.check() is None


def test_a_reader_beside_a_writer(unique_name):
    """Through mode 'r' nothing is kept for the reader: it reads whole values of one time or another."""
    name = unique_name()
    writer = ManagedSharedMemory(name, "x", max_size=32 * MIB)
    try:
        d = writer.construct(mpshm.Dict, "d")
        items = writer.construct(mpshm.List, "l")
        sizes = (10, 700, 9_000, 40_000)
        d["k"], d["n"] = np.zeros(10), [np.zeros(2000)]
        items.append(d["k"])
        q, m = writer.construct(mpshm.Deque, "q"), writer.construct(mpshm.Map, "m")
        q.append(d["k"])
        m[1] = d["k"]
        ready, steady = os.pipe()

        def write():
            os.write(steady, b"x")
            for i in itertools.count(1):
                n = sizes[i % 4]
                d["k"], d["n"], d["b"] = np.full(n, i), [np.full(n, i), i], bytearray([i % 256]) * n
                items[0] = q[0] = m[1] = np.full(n, float(i))

        pid = child(write, wait=False)
        try:
            assert os.read(ready, 1) == b"x"
            reader = ManagedSharedMemory(name, "r")
            seen, listed, queued, ordered = reader["d"], reader["l"], reader["q"], reader["m"]
            kept = []
            for i in range(200):
                for found in (seen["k"], seen.view("k"), seen["n"][0], listed[0], listed.view(0)):
                    assert found.size in (*sizes, 2000) and (found == found[0]).all()
                for found in (seen.get("b", b"x"), seen.view("b") if "b" in seen else b"x"):
                    assert bytes(found[:1]) * len(found) == found
                for found in (
                    *listed,
                    *listed[:],
                    *queued,
                    *reversed(queued),
                    *ordered.values(),
                    ordered.peekitem()[1],
                ):
                    assert (found == found[0]).all()
                for found in (dict(seen.items()), seen.copy(), dict(ordered.items())):
                    assert len(found) == len(seen) or 1 in found or len(found) == 2
                if i % 100 == 0:
                    kept.append((seen["k"], seen.view("k")))
            before = [(a.tobytes(), b.tobytes()) for a, b in kept]
            seen["k"][:] = 5
            assert [(a.tobytes(), b.tobytes()) for a, b in kept] == before
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert writer.check() is None
    finally:
        ManagedSharedMemory.remove(name)


# ---- threads ----


def run_together(*acts):
    errors = []

    def call(act):
        try:
            act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def test_threads(manager):
    """Threads that store and read at once, while the lock of Python is let go of, each see whole values."""
    d = manager.dict()

    def work(n):
        for i in range(12):
            d[n % 2] = np.full(400_000, n * 100 + i, "i4")
            d["n"] = [np.full(300_000, n * 100 + i, "i4"), np.full((300_000, 2), i, "i4")[:, 1]]
            for found in (d[0] if 0 in d else d[n % 2], d["n"][0], d.view("n")[0]):
                assert (found == found[0]).all()

    run_together(*(lambda n=n: work(n) for n in range(3)))


def test_a_source_that_is_resized_meanwhile(manager):
    """An array whose memory another thread would move is not moved while it is being copied."""
    a, d, stop = np.ones(2_000_000), manager.dict(), threading.Event()
    data = bytearray(b"x" * 8_000_000)

    def resize():
        for i in itertools.count():
            try:
                a.resize(2_000_000 + i % 2 * 500_000, refcheck=False)
            except ValueError:
                pass
            try:
                data.append(1) if i % 2 else data.pop()
            except BufferError:
                pass
            if stop.is_set():
                return

    def store():
        try:
            for _ in range(4):
                d["a"], d["n"] = a, [a]
                d["b"] = data
                assert d["a"][:1_900_000].all() and d["b"][:7_000_000].count(b"x") == 7_000_000
        finally:
            stop.set()

    run_together(resize, store)


@pytest.mark.parametrize("how", ["shutdown", "close"])
def test_a_segment_that_is_closed_meanwhile(how):
    """While another thread copies into it, or out of it: it ends with the error, or with the value."""
    for pause in (0.0, 0.005, 0.02):
        m = mpshm.Manager()
        d, big, started = m.dict(), np.ones(1_500_000), threading.Event()

        def store(d=d, big=big, started=started):
            try:
                for i in range(20):
                    d[i % 2] = big
                    started.set()
                    assert d[i % 2][-1] == 1 and d.view(i % 2)[0] == 1
            except mpshm.SegmentClosedError:
                pass

        def end(m=m, started=started, pause=pause):
            started.wait(10)
            threading.Event().wait(pause)
            m.shutdown() if how == "shutdown" else m.segment.close()

        run_together(store, end)
        del m, d, store, end
