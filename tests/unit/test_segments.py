"""The kinds of managed segments: making, opening, removing, keeping house, and what they hold over all that."""

import array
import gc
import mmap
import os
import pickle
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

import mpshm
from mpshm import ManagedExternalBuffer, ManagedHeapMemory, ManagedSharedMemory, _types

pytestmark = pytest.mark.once

MIB = 1 << 20


def twin(handle, segment):
    """A handle on the object of the same place in another segment, a copy."""
    return _types.attach(segment, handle._offset, handle._serial, 0)


# ---- making and opening ----


def test_each_mode_does_what_it_says(kind):
    """x only makes, r+, r and c only open, a does either."""
    for mode in ("r+", "r", "c"):
        with pytest.raises(mpshm.SegmentNotFoundError) as caught:
            kind(mode)
        assert isinstance(caught.value, FileNotFoundError) and kind.name in str(caught.value)
    assert not kind.path.exists()
    made = kind("x", MIB)
    assert made.mode == "x" and made.size >= MIB - 64 and made.backing == kind.backing and made.name == kind.name
    with pytest.raises(mpshm.SegmentExistsError) as caught:
        kind("x")
    assert isinstance(caught.value, FileExistsError) and kind.name in str(caught.value)
    d = mpshm.Dict._in(made)
    d["k"] = "v"
    sent = pickle.dumps(d)  # so that it is more than this process's
    for mode in ("a", "r+", "r", "c"):
        seen = kind(mode)
        assert twin(d, seen)["k"] == "v" and seen.mode == mode and (seen.id == made.id) == (mode != "c")
        assert repr(seen) and kind.name in repr(seen)
    assert kind("a", 64 * MIB).size == made.size  # the size of one that is there stays
    assert pickle.loads(sent) == d
    assert kind.remove() is True and kind.remove() is False
    assert d["k"] == "v"  # who has it keeps it
    other = kind("a")
    assert other.id != made.id and other.used == 0


def test_bad_arguments(kind):
    """Wrong types and values raise TypeError and ValueError, and nothing is made."""
    for args, kwds in (
        (("q",), {}),
        (("a", 0), {}),
        (("a", -1), {}),
        (("r+", MIB), {}),
        (("a", MIB), {"max_size": MIB - 1}),
        (("a",), {"max_size": 1}),
        (("a",), {"permissions": 0o1000}),
        (("a",), {"permissions": -1}),
        (("a",), {"address": 123}),
        (("a",), {"address": -4096}),
        (("a",), {"timeout": -1}),
        (("a",), {"timeout": float("nan")}),
    ):
        with pytest.raises(ValueError):
            kind(*args, **kwds)
    for args, kwds in (
        ((1,), {}),
        (("a", "big"), {}),
        (("a", 1.5), {}),
        (("a",), {"permissions": "rw"}),
        (("a",), {"address": "here"}),
        (("a",), {"timeout": "long"}),
    ):
        with pytest.raises(TypeError):
            kind(*args, **kwds)
    assert not kind.path.exists()
    made = kind()
    with pytest.raises(ValueError):
        made.__init__(kind.name)


@pytest.mark.parametrize("name", ["a/b", "/a/b", "//a", "", "/", ".", "..", "/..", "nul\0byte"])
def test_names_that_are_none(name):
    """A slash inside, nothing at all and dots are refused with the reason."""
    with pytest.raises(ValueError) as caught:
        ManagedSharedMemory(name)
    assert "slash" in str(caught.value) or "\0" in name
    with pytest.raises(ValueError):
        ManagedSharedMemory.remove(name)
    with pytest.raises(TypeError):
        ManagedSharedMemory(b"bytes")


def test_a_leading_slash_and_long_names(unique_name):
    """A leading slash makes no difference; long names that differ at the end only are different segments."""
    name = unique_name()
    with ManagedSharedMemory("/" + name, "x") as made:
        assert ManagedSharedMemory(name, "r+").id == made.id and made.name == "/" + name
    assert ManagedSharedMemory.remove(name)
    one, other = name + "ä" * 400 + "1", name + "ä" * 400 + "2"
    first, second = ManagedSharedMemory(one, "x"), ManagedSharedMemory(other, "x")
    assert first.id != second.id and ManagedSharedMemory(one).id == first.id
    assert ManagedSharedMemory.remove(one) and ManagedSharedMemory.remove(other)


def test_another_folder_for_names(unique_name, tmp_path, monkeypatch):
    """MPSHM_DIR says where names are, for systems without /dev/shm."""
    monkeypatch.setenv("MPSHM_DIR", str(tmp_path))
    name = unique_name()
    made = ManagedSharedMemory(name, "x")
    assert (tmp_path / name).exists() and not Path("/dev/shm", name).exists()
    assert made.unlink()


def test_permissions_are_those_asked_for(kind):
    """The file has them whatever the umask; 0o600 by default."""
    kind()
    assert stat.S_IMODE(kind.path.stat().st_mode) == 0o600
    kind.remove()
    kind("x", permissions=0o660)
    assert stat.S_IMODE(kind.path.stat().st_mode) == 0o660


def test_loose_permissions_are_refused(kind):
    """A file that others may write to is refused, unless its permissions are asked for."""
    with kind("x"):
        kind.path.chmod(0o666)
    for mode in ("a", "r+", "r", "c"):
        with pytest.raises(mpshm.SegmentPermissionError) as caught:
            kind(mode)
        assert "others may write" in str(caught.value).replace("other users may write", "others may write")
        assert kind.name in str(caught.value)
    with kind("r+", permissions=0o666) as made:
        assert made.check() is None


def test_another_users_file_is_refused(kind):
    """So is a file of another user (which only root can make)."""
    if os.geteuid() != 0:
        return
    with kind("x"):
        os.chown(kind.path, 12345, 12345)
    with pytest.raises(mpshm.SegmentPermissionError):
        kind("r+")
    with kind("r+", permissions=0o606) as made:
        assert made.check() is None


def test_mapping_at_an_address(kind):
    """address= is where it is mapped; taken addresses are an error, and leave the segment as it is."""
    where = 0x2000_0000_0000
    made = kind("x", max_size=16 * MIB, address=where)
    assert made.address == where
    d = mpshm.Dict._in(made)
    d["a"] = 1
    with pytest.raises(mpshm.SegmentSystemError):
        kind("r+", address=where + (1 << 40))  # a process has it once
    with pytest.raises(mpshm.SegmentSystemError):
        ManagedHeapMemory(MIB, address=where)
    heap = ManagedHeapMemory(MIB, max_size=16 * MIB, address=where + (1 << 40))
    assert heap.address == where + (1 << 40) and heap.check() is None
    assert d["a"] == 1


def test_a_closed_segment_is_left(kind):
    """close() leaves the segment if there are no handles, and can be called twice; handles keep it open."""
    first = kind("x")
    d = mpshm.Dict._in(first)
    second = kind("r+")
    assert second.stats().processes == 1
    second.close()
    second.close()
    assert second.closed and not first.closed
    for act in (
        second.check,
        second.stats,
        lambda: second.size,
        lambda: second.grow(1),
        lambda: mpshm.Dict._in(second),
    ):
        with pytest.raises(mpshm.SegmentClosedError):
            act()
    d["a"] = 1
    first.close()
    d["b"] = 2
    assert d == {"a": 1, "b": 2}
    with kind("r") as seen:
        assert seen.stats().processes == 1
        del d
        gc.collect()
        assert seen.stats().processes == 0


# ---- keeping ----


def test_what_was_sent_lives_on_without_any_process(kind):
    """A pickled handle leads to its object after every process has closed the segment, through the name alone."""
    made = kind("x")
    d = mpshm.Dict._in(made)
    d["list"] = mpshm.List._in(made)
    d["list"].append("x" * 10_000)
    sent = pickle.dumps(d)
    used = made.used
    del d
    made.close()
    gc.collect()
    again = pickle.loads(sent)
    assert again["list"][0] == "x" * 10_000 and type(again._segment) is kind.cls
    assert again._segment.check() is None and again._segment.used <= used
    again.clear()
    del again
    gc.collect()
    assert kind("r+").all_deallocated()


def test_a_handle_does_not_lead_to_another_segment(kind):
    """Removed, or made anew under the same name: the handle says so."""
    with kind("x") as made:
        sent = pickle.dumps(mpshm.Dict._in(made))
        whole = pickle.dumps(made)
    gc.collect()
    kind.remove()
    with pytest.raises(mpshm.SegmentNotFoundError):
        pickle.loads(sent)
    other = kind("x")
    for data in (sent, whole):
        with pytest.raises(mpshm.SegmentNotFoundError) as caught:
            pickle.loads(data)
        assert "another segment" in str(caught.value)
    assert other.check() is None
    assert pickle.loads(pickle.dumps(other)) is other


def test_unlink_removes_only_this_segment(kind):
    """A name that leads to another segment by now is left alone."""
    first = kind("x")
    assert first.unlink() is True and first.unlink() is False
    second = kind("x")
    assert first.unlink() is False and kind.path.exists()
    assert second.unlink() is True and not kind.path.exists()


def test_a_copy_is_this_process_s_own(kind):
    """Mode c: the segment as it was, whatever is done there or here afterwards."""
    made = kind("x")
    d = mpshm.Dict._in(made)
    d.update(a=1, big=b"x" * 300_000)
    sent = pickle.dumps(d)  # a copy has what is more than some process's
    copy = kind("c")
    e = twin(d, copy)
    d["a"] = 2
    e["a"] = 3
    e["b"] = "new" * 1000
    assert d == {"a": 2, "big": b"x" * 300_000} and e == {"a": 3, "big": b"x" * 300_000, "b": "new" * 1000}
    assert made.check() is None and copy.check() is None
    more = mpshm.List._in(copy)
    more.extend(range(10_000))
    assert pickle.loads(sent) is not d
    del e, more, d
    gc.collect()
    assert copy.unlink() is False and made.all_deallocated()
    made.close()
    alone = kind("c")
    assert alone.check() is None and alone.stats().processes == 1 and alone.used == 0


def test_a_copy_is_of_one_moment(kind):
    """While others change it, a copy holds all of a change or nothing."""
    made = kind("x")
    d = mpshm.Dict._in(made)
    d.update(x=0, y=0)
    sent = pickle.dumps(d)
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            d.update(x=n, y=n, text="t" * (n % 5000))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(5):
            copy = kind("c")
            e = twin(d, copy)
            assert e["x"] == e["y"] and copy.check() is None
    finally:
        stop.set()
        thread.join(30)
    assert pickle.loads(sent) == d


# ---- private memory ----


def test_heap_memory_travels_as_bytes():
    """to_bytes() holds what was sent; from_bytes() makes a segment of its own of it, also twice."""
    heap = ManagedHeapMemory(MIB)
    d = mpshm.Dict._in(heap)
    d.update(a=1, nested=mpshm.List._in(heap), big="x" * 50_000)
    d["nested"].append(2)
    token = pickle.dumps(d)
    data = heap.to_bytes()
    first, second = ManagedHeapMemory.from_bytes(data), ManagedHeapMemory.from_bytes(bytearray(data))
    assert len({heap.id, first.id, second.id}) == 3
    for copy in (first, second):
        e = twin(d, copy)
        e["a"] += 1
        e["nested"].append(3)
        assert e["a"] == 2 and list(e["nested"]) == [2, 3] and copy.check() is None
        assert ManagedHeapMemory.from_bytes(copy.to_bytes()).check() is None
    assert d["a"] == 1 and pickle.loads(token) == d
    code = """
        import sys, mpshm
        from mpshm import _types
        data = sys.stdin.buffer.read()
        heap = mpshm.ManagedHeapMemory.from_bytes(data)
        d = _types.attach(heap, int(sys.argv[1]), int(sys.argv[2]), 0)
        assert d["a"] == 1 and list(d["nested"]) == [2] and heap.check() is None
    """
    args = [sys.executable, "-c", textwrap.dedent(code), str(d._offset), str(d._serial)]
    subprocess.run(args, input=data, check=True, timeout=60)


def test_heap_memory_grows_and_never_moves():
    """grow() adds memory; what is there stays where it is."""
    heap = ManagedHeapMemory(64 << 10, max_size=64 * MIB, lock=False)
    d = mpshm.Dict._in(heap)
    where, size = heap.address, heap.size
    heap.grow(8 * MIB)
    assert heap.size >= size + 8 * MIB and heap.address == where
    d["big"] = b"x" * (16 * MIB)
    assert heap.address == where and heap.size > 16 * MIB and heap.check() is None
    with pytest.raises(mpshm.SegmentFullError):
        d["more"] = b"x" * (64 * MIB)
    with pytest.raises(mpshm.SegmentFullError):
        heap.grow(64 * MIB)
    assert len(d) == 1 and heap.check() is None


def test_private_memory_stays_in_its_process(any_segment):
    """What is in private memory can be pickled for this process only, and another is told why."""
    d = mpshm.Dict._in(any_segment)
    d["a"] = 1
    sent = pickle.dumps(d)
    assert pickle.loads(sent) == d and pickle.loads(pickle.dumps(any_segment)) is any_segment
    private = any_segment.backing in ("heap", "buffer") or any_segment.mode == "c"
    code = "import pickle, sys; print(pickle.loads(sys.stdin.buffer.read())['a'])"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(d), capture_output=True, timeout=60)
    if private:
        assert done.returncode != 0 and b"SegmentNotFoundError" in done.stderr and b"private memory" in done.stderr
        context = mpshm.get_context("spawn")
        with pytest.raises(mpshm.SegmentNotFoundError):
            context.Process(target=print, args=(d,)).start()
    else:
        assert done.stdout == b"1\n", done.stderr


def test_a_forked_child_has_private_memory_of_its_own(any_segment):
    """A child's changes are its own where the memory is private, and everybody's else."""
    d = mpshm.Dict._in(any_segment)
    d["a"] = 1
    sent = pickle.dumps(d)
    private = any_segment.backing in ("heap", "buffer") or any_segment.mode == "c"
    shares = not private or any_segment.backing == "buffer"  # the mmap of the fixture is shared with children
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if any_segment.backing != "buffer":
                d["a"] = 2
            assert d["a"] == (2 if any_segment.backing != "buffer" else 1)
            if private:
                with pytest.raises(mpshm.SegmentNotFoundError):
                    pickle.loads(sent)
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert d["a"] == (2 if shares and any_segment.backing != "buffer" else 1)
    assert pickle.loads(sent) == d  # nothing stays on its way


def test_external_buffers():
    """A segment in a caller's buffer: made, used, found again, for reading only, as a copy."""
    buffer = mmap.mmap(-1, MIB)
    segment = ManagedExternalBuffer(buffer)
    d = mpshm.Dict._in(segment)
    d["a"] = 1
    token = pickle.dumps(d)
    assert ManagedExternalBuffer(buffer, "r+").id == segment.id
    with pytest.raises(mpshm.SegmentExistsError):
        ManagedExternalBuffer(buffer, "x")
    with pytest.raises(BufferError):
        buffer.close()  # it is in use
    copy = ManagedExternalBuffer(buffer, "c")
    twin(d, copy)["a"] = 2
    data = segment.to_bytes()
    for received in (data, memoryview(data), bytearray(data)):
        seen = ManagedExternalBuffer(received, "r")
        assert twin(d, seen)["a"] == 1
        with pytest.raises(mpshm.SegmentPermissionError):
            twin(d, seen)["a"] = 5
    assert ManagedExternalBuffer(data).mode == "r"
    with pytest.raises(BufferError):
        ManagedExternalBuffer(data, "r+")
    with pytest.raises(mpshm.SegmentFullError):
        d["big"] = b"x" * MIB
    assert d == {"a": 1} and pickle.loads(token) == d and segment.check() is None
    moved = mmap.mmap(-1, MIB)
    moved[: len(data)] = data
    other = ManagedExternalBuffer(moved)
    e = twin(d, other)
    e["a"] = 7
    assert other.id != segment.id and pickle.loads(pickle.dumps(e))._segment is other
    assert d["a"] == 1 and other.check() is None


def test_a_buffer_outlives_what_is_in_it_however_it_is_collected():
    """Garbage that holds handles, their segment and its buffer is collected in any order; the buffer goes last."""
    for _ in range(20):
        buffer = mmap.mmap(-1, MIB)
        segment = ManagedExternalBuffer(buffer)

        class Node:
            pass

        nodes = [Node() for _ in range(6)]
        for i, node in enumerate(nodes):
            node.next = nodes[i - 1]
            node.handle = mpshm.Dict._in(segment)
            node.segment = segment
            node.handle["a"] = "x" * 1000
        del buffer, segment, node, nodes, Node
        gc.collect()


def test_external_buffers_that_will_not_do():
    """Too small, not aligned, no buffer, no segment: each has its error."""
    with pytest.raises(ValueError, match="too small"):
        ManagedExternalBuffer(mmap.mmap(-1, 4096))
    with pytest.raises(ValueError, match="multiple of 64"):
        ManagedExternalBuffer(memoryview(mmap.mmap(-1, MIB))[8:])
    with pytest.raises(TypeError):
        ManagedExternalBuffer("text")
    with pytest.raises(ValueError):
        ManagedExternalBuffer(bytearray(MIB), "w")
    for data in (b"", b"x", bytes(MIB), os.urandom(100_000)):
        with pytest.raises(mpshm.SegmentCorruptedError):
            ManagedExternalBuffer(data, "r")
        with pytest.raises(mpshm.SegmentCorruptedError):
            ManagedHeapMemory.from_bytes(data)
    noise = mmap.mmap(-1, MIB)
    noise[:] = os.urandom(MIB)
    before = bytes(noise)
    with pytest.raises(mpshm.SegmentCorruptedError):
        ManagedExternalBuffer(noise)
    assert bytes(noise) == before
    assert ManagedExternalBuffer(noise, "x").check() is None
    shorter = ManagedHeapMemory(MIB).to_bytes()[:-4096]
    with pytest.raises(mpshm.SegmentCorruptedError):
        ManagedHeapMemory.from_bytes(shorter)


# ---- keeping house ----


def test_numbers_add_up(any_segment):
    """size is free and used and what is at hand; nothing is used in a new one."""
    segment = any_segment
    assert segment.all_deallocated() and segment.used == 0
    assert segment.free > 0 and segment.size <= segment.max_size
    d = mpshm.Dict._in(segment)
    d["a"] = "x" * 100_000
    stats = segment.stats()
    assert (
        stats.used > 100_000 and stats.size == stats.used + stats.free + stats.cached and not segment.all_deallocated()
    )
    del d
    gc.collect()
    assert segment.all_deallocated() and segment.check() is None
    segment.flush()


def test_growing_and_shrinking_while_in_use(any_segment):
    """grow() and shrink_to_fit() change the size, never what is there; memory goes back to the system."""
    segment = any_segment
    d = mpshm.Dict._in(segment)
    d["kept"] = "k" * 1000
    small = segment.size
    d["big"] = b"x" * 700_000
    if segment.backing != "buffer":
        segment.grow(4 * MIB)
        assert segment.size >= small + 4 * MIB
    del d["big"]
    segment.shrink_to_fit()
    assert segment.size < 256 << 10 and segment.check() is None
    assert d["kept"] == "k" * 1000
    segment.shrink_to_fit()
    d["big"] = b"y" * 700_000
    assert d["big"] == b"y" * 700_000 and segment.check() is None
    for i in range(2000):
        d[i] = str(i) * 50
    for i in range(0, 2000, 2):
        del d[i]
    segment.shrink_to_fit()
    assert segment.check() is None and d[1999] == "1999" * 50 and len(d) == 1002


def test_a_file_is_as_short_as_it_can_be_once_it_is_left(kind):
    """After shrink_to_fit() and the last close the file holds no more than the segment."""
    with kind("x", 32 * MIB) as made:
        before = kind.path.stat()
        d = mpshm.Dict._in(made)
        d["a"] = 1
        sent = pickle.dumps(d)
        made.shrink_to_fit()
        assert kind.path.stat().st_blocks * 512 < before.st_blocks * 512 - 30 * MIB
        del d
    gc.collect()
    assert kind.path.stat().st_size < before.st_size - 30 * MIB
    again = pickle.loads(sent)
    again["big"] = b"x" * (8 * MIB)
    assert again["a"] == 1 and again._segment.check() is None


def test_free_memory_is_overwritten(any_segment):
    """Nothing of what was deleted is left after zero_free_memory()."""
    segment = any_segment
    secret = b"a secret that is not to be found"
    kept = mpshm.Dict._in(segment)
    kept["text"] = "kept"
    d = mpshm.Dict._in(segment)
    for i in range(300):
        d[i] = secret * (i % 40 + 1)
    d["large"] = secret * 10_000
    del d
    gc.collect()
    segment.zero_free_memory()
    assert segment.check() is None and kept["text"] == "kept"
    identity = segment._identity
    if identity.fd >= 0:
        with mmap.mmap(identity.fd, os.fstat(identity.fd).st_size, prot=mmap.PROT_READ) as view:
            assert view.find(secret) == -1
    else:
        assert segment.to_bytes().find(secret) == -1 if hasattr(segment, "to_bytes") else True
    for i in range(300):
        kept[i] = secret * (i % 40 + 1)
    assert segment.check() is None


def test_keeping_house_beside_others_who_work(any_segment):
    """Shrinking, clearing and checking go on while another thread changes things."""
    segment = any_segment
    d = mpshm.Dict._in(segment)
    stop, errors = threading.Event(), []

    def work():
        n = 0
        try:
            while not stop.is_set():
                n += 1
                d[n % 50] = "x" * (n * 37 % 20_000)
                d.pop((n + 25) % 50, None)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            segment.shrink_to_fit()
            segment.zero_free_memory()
            segment.check()
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not errors and segment.check() is None


def test_buffers_of_other_types(any_segment):
    """from_bytes takes any contiguous buffer."""
    if not hasattr(any_segment, "to_bytes"):
        return
    data = any_segment.to_bytes()
    items = array.array("B", data)
    assert ManagedHeapMemory.from_bytes(items).check() is None
