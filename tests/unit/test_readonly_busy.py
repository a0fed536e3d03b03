"""Sorted containers, vectors, linked lists and strings, read without writing while another process changes them."""

import gc
import subprocess
import sys
import textwrap
import threading
import time

import pytest

import mpshm
from mpshm import ManagedSharedMemory, SegmentPermissionError, _types

WRITER = """
    import sys, mpshm
    segment = mpshm.ManagedSharedMemory(sys.argv[1], "x", max_size=64 << 20)
    m = mpshm.Map._make(segment, {i: 0 for i in range(200)})
    s = mpshm.SortedSet._make(segment, range(0, 1000, 2))
    items = mpshm.LinkedList._make(segment, [0] * 50)
    text = mpshm.String._make(segment, "0")
    vector = mpshm.Vector._make(segment, "i8", [0] * 10)
    for made in (m, s, items, text, vector):
        print(made._offset, made._serial, flush=True)
    n = 0
    while True:
        n += 1
        m.update({i: n for i in range(n % 7 * 40 + 200)})
        for i in range(200, len(m)):
            del m[i]
        s.symmetric_difference_update(range(1000))
        items[:] = [n] * (n % 60 + 1)
        text[:] = str(n % 10) * (n % 3000 + 1)
        vector[:] = [n] * (n % 100 + 1)
"""


@pytest.fixture
def busy(unique_name, interpreter_env):
    """Objects that another process changes all the time, seen where nothing may be written."""
    name = unique_name()
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), name], stdout=subprocess.PIPE, env=interpreter_env, text=True
    )
    try:
        places = [tuple(map(int, child.stdout.readline().split())) for _ in range(5)]
        reader = ManagedSharedMemory(name, "r")
        yield [_types.attach(reader, offset, serial, 0) for offset, serial in places]
    finally:
        child.kill()
        child.communicate(timeout=30)
        ManagedSharedMemory.remove(name)


def test_what_is_read_is_never_torn(busy):
    """Each read, of one item or of all, gives what was there at one moment."""
    m, s, items, text, vector = busy
    until = time.monotonic() + 2
    while time.monotonic() < until:
        found = m.copy()
        assert len({found[i] for i in range(200)}) == 1 and list(found) == sorted(found)
        assert isinstance(m[7], int) and len(m) >= 200 and m.lower_bound(100) == 100
        evens = list(s)
        assert evens in (list(range(0, 1000, 2)), list(range(1, 1000, 2))) and len(s) == 500
        assert len(set(items)) == 1 and isinstance(items[0], int)
        assert len(set(str(text))) == 1 and text[0].isdigit() and text.capacity > 0
        assert len(set(vector.tolist())) == 1 and isinstance(vector[0], int)
        assert vector.array.ndim == 1


@pytest.fixture
def lists(unique_name):
    """Two lists of a segment, and the same where nothing may be written."""
    name = unique_name()
    writer = ManagedSharedMemory(name, "x")
    try:
        made = [mpshm.LinkedList._make(writer, items) for items in ([1, 2, 3], [7])]
        reader = ManagedSharedMemory(name, "r")
        yield *made, *(_types.attach(reader, one._offset, one._serial, 0) for one in made)
        gc.collect()
        assert writer.check() is None
    finally:
        writer.unlink()


def test_a_cursor_follows_its_item(lists):
    """A cursor goes with the item to wherever it is moved, and is stale once that is taken out."""
    first, second, seen, other = lists
    cursor = seen.cursor(1)
    assert cursor.value == 2 and cursor.next().value == 3 and cursor.prev().value == 1
    with pytest.raises(SegmentPermissionError):
        cursor.erase()
    with pytest.raises(SegmentPermissionError):
        cursor.value = 9
    second.splice(second.end(), first, first.cursor(1), first.end())
    assert cursor.value == 2 and cursor.list == other and cursor.prev().value == 7 and cursor.next().value == 3
    assert list(seen) == [1] and list(other) == [7, 2, 3]
    second.remove(2)
    with pytest.raises(ReferenceError):
        cursor.value
    assert [c.value for c in (other.begin(), other.end().prev())] == [7, 3] and other.end().at_end


def test_a_view_of_a_vector_is_a_window(unique_name):
    """What a writer changes shows in the array of a reader, which it can't write to."""
    name = unique_name()
    writer = ManagedSharedMemory(name, "x")
    try:
        vector = mpshm.Vector._make(writer, "f8", range(100))
        seen = _types.attach(ManagedSharedMemory(name, "r"), vector._offset, vector._serial, 0)
        array = seen.array
        vector[3] = -1
        assert array[3] == -1 and not array.flags.writeable and array.base is not None
        with pytest.raises(ValueError, match="read-only"):
            array[3] = 0
        with memoryview(seen) as view:
            assert view.readonly and view[3] == -1
        empty = mpshm.Vector._make(writer, "f8")
        assert _types.attach(seen._segment, empty._offset, empty._serial, 0).array.size == 0
        stale = seen._data()[0]
        del array, vector
        gc.collect()
        with pytest.raises(ReferenceError):
            seen.array
        with pytest.raises(ReferenceError):
            memoryview(stale)
        with pytest.raises(ReferenceError):
            seen.dtype if not hasattr(seen, "_known") else seen.itemsize
    finally:
        writer.unlink()


def test_who_waits_is_counted(unique_name):
    """Those who wait for a condition or at a barrier are seen from where nothing may be written."""
    name = unique_name()
    writer = ManagedSharedMemory(name, "x")
    try:
        condition, barrier = mpshm.sync.Condition._make(writer), mpshm.sync.Barrier._make(writer, 3)
        reader = ManagedSharedMemory(name, "r")
        looked, at = (_types.attach(reader, made._offset, made._serial, 0) for made in (condition, barrier))

        def wait():
            with condition:
                condition.wait(60)
            barrier.wait(60)

        threads = [threading.Thread(target=wait) for _ in range(2)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 30
        while looked._waiting() < 2:
            assert time.monotonic() < until
        assert "2)" in str(looked) and at.n_waiting == 0
        with condition:
            condition.notify_all()
        while at.n_waiting < 2:
            assert time.monotonic() < until
        assert looked._waiting() == 0 and not at.broken
        barrier.wait(60)
        for thread in threads:
            thread.join(60)
        barrier.abort()
        assert at.broken and at.n_waiting == 0 and "broken" in str(at)
    finally:
        writer.unlink()
