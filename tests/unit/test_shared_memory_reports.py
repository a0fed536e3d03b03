"""What users report of multiprocessing.shared_memory does not happen here. Each test is named after what must hold."""

import ctypes
import faulthandler
import gc
import mmap
import os
import pickle
import sys
import threading
import time
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np
import pytest

import mpshm
from mpshm import ShareableList, SharedMemory, memory

SHM = Path("/dev/shm")


@pytest.fixture
def shm():
    """Ten thousand bytes."""
    made = SharedMemory(create=True, size=10_000)
    yield made
    gc.collect()
    made.close()
    SharedMemory.remove(made.name)


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


# ---- names and sizes ----


@pytest.mark.parametrize("name", [".hidden", "é\U0001f600", "a b", "-rf", "a\nb", "%s", "x", "\udc80"])
def test_any_name_that_a_file_may_have(name, unique_name):
    """With a leading slash or without it, up to 255 bytes, it leads to the memory; one more byte is refused."""
    name += unique_name()
    for given in (name, f"/{name}", name + "y" * (255 - len(os.fsencode(name)))):
        with SharedMemory(given, create=True, size=7) as made:
            assert made.name == given.removeprefix("/")
            with SharedMemory(made.name) as one, pickle.loads(pickle.dumps(made)) as other:
                assert one.size == other.size == 7
            made.unlink()
    with pytest.raises(ValueError, match="255 bytes"):
        SharedMemory(name + "y" * (256 - len(os.fsencode(name))), create=True, size=7)
    with pytest.raises(ValueError, match="cannot name"):
        SharedMemory("\ud800", create=True, size=7)


def test_size_is_not_rounded_to_pages(unique_name):
    """An array of all bytes of an attached buffer is as long as the one that was shared. (Rounded on macOS there.)"""
    data = np.arange(1001, dtype="i2")
    with SharedMemory(unique_name(), create=True, size=data.nbytes) as made:
        np.frombuffer(made.buf, "i2")[:] = data
        with SharedMemory(made.name) as attached:
            assert np.array_equal(np.frombuffer(attached.buf, "i2"), data)
        made.unlink()


def test_a_program_that_cuts_the_file_is_noticed(unique_name):
    """size and the next buf show it; without any bytes left that is an error that says why, and nothing else breaks."""
    shm = SharedMemory(unique_name(), create=True, size=10_000)
    os.truncate(SHM / shm.name, 5)
    assert shm.size == len(shm.buf) == 5
    os.truncate(SHM / shm.name, 0)
    assert shm.size == 0
    with pytest.raises(ValueError, match="no bytes any more"):
        shm.buf
    shm.resize(100)
    assert bytes(shm.buf) == bytes(100)
    shm.close()
    shm.unlink()


def test_the_standard_librarys_memory_is_reserved_by_attaching_for_reading(unique_name):
    """Reading memory that was made without being reserved cannot fail either."""
    theirs = shared_memory.SharedMemory(unique_name(), create=True, size=1 << 20)
    with SharedMemory(theirs.name, mode="r") as shm:
        assert os.fstat(shm.fileno()).st_blocks * 512 >= 1 << 20
        assert shm.buf[-1] == 0
    theirs.close()
    theirs.unlink()


# ---- reading only ----


def test_reading_only_memory_cannot_be_written_by_anything(shm):
    """Neither by a memoryview, an array, ctypes, mmap nor a file: the pages themselves are protected."""
    with SharedMemory(shm.name, mode="r") as reader:
        array = np.frombuffer(reader.buf, "u1")
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        with pytest.raises(ValueError):
            array.flags.writeable = True
        with pytest.raises(TypeError):
            (ctypes.c_char * 10).from_buffer(reader.buf)
        with pytest.raises(PermissionError):
            mmap.mmap(reader.fileno(), 10)
        with pytest.raises(OSError):
            os.pwrite(reader.fileno(), b"x", 0)
        pid = os.fork()
        if pid == 0:
            faulthandler.disable()
            ctypes.memset(array.ctypes.data, 1, 1)  # which the kernel ends
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -11
        assert shm.buf[0] == 0
        del array


# ---- the end ----


def test_what_went_wrong_in_a_block_is_what_is_raised(shm):
    """An array in the traceback keeps it from being closed, and that does not hide the error; else it is said."""
    with pytest.raises(KeyError, match="primary"):
        with SharedMemory(shm.name) as other:
            array = np.frombuffer(other.buf, "u1")
            raise KeyError("primary")
    assert len(array) == 10_000
    with pytest.raises(BufferError, match="Release or delete it first"):
        with SharedMemory(shm.name) as other:
            array = np.frombuffer(other.buf, "u1")
    del array
    other.close()


def test_buf_and_arrays_outlive_the_object(shm):
    """Whoever keeps buf, or an array, keeps the memory: it neither dangles nor is it released under him."""
    before = descriptors()
    buf = SharedMemory(shm.name).buf
    array = np.frombuffer(SharedMemory(shm.name).buf, "u1")
    slices = [SharedMemory(shm.name).buf[number : number + 5] for number in range(3)]
    gc.collect()
    shm.buf[2] = 9
    assert (buf[2], array[2], slices[2][0]) == (9, 9, 9)
    del buf, array, slices
    gc.collect()
    assert descriptors() == before


def test_unlinked_memory_goes_with_its_last_view():
    """Also if the object that it is a view of was forgotten, and another process made it."""
    made = SharedMemory(create=True, size=1 << 20)
    name, fd = made.name, os.open(f"/proc/self/fd/{made.fileno()}", os.O_RDONLY)
    array = np.frombuffer(SharedMemory(name).buf, "u1")
    made.close()
    pid = os.fork()
    if pid == 0:
        del array
        os._exit(not SharedMemory.remove(name))
    assert os.waitpid(pid, 0)[1] == 0
    assert os.fstat(fd).st_size == 1 << 20
    assert array[-1] == 0
    del array
    gc.collect()
    assert os.fstat(fd).st_size == 0
    os.close(fd)


def test_nothing_piles_up_in_a_loop_that_forgets_everything(unique_name):
    """Objects that are only forgotten, with views and without, take no descriptor or mapping for longer."""
    made = SharedMemory(unique_name(), create=True, size=10_000)
    before = descriptors(), Path("/proc/self/maps").read_text().count(made.name)
    for number in range(300):
        other = SharedMemory(made.name)
        view = np.frombuffer(other.buf, "u1") if number % 2 else other.buf[1:]
        if number % 3 == 0:
            made.resize(10_000 + number)
            assert len(other.buf) == 10_000 + number
        del other, view
    gc.collect()
    assert (descriptors(), Path("/proc/self/maps").read_text().count(made.name)) == before
    made.close()
    made.unlink()


def test_use_after_close_says_so(shm):
    """Every use, but for name, size, mode and repr."""
    other = SharedMemory(shm.name)
    other.close()
    assert other.buf is None
    assert (other.name, other.size, other.mode) == (shm.name, 10_000, "r+")
    assert repr(other) == f"SharedMemory({shm.name!r}, size=10000)"
    for use in (other.fileno, lambda: other.resize(5), lambda: mpshm.MappedRegion(other)):
        with pytest.raises(mpshm.SegmentClosedError, match="was closed"):
            use()
    with pytest.raises(TypeError):
        other.buf[0]
    with pickle.loads(pickle.dumps(other)) as again:
        assert again.size == 10_000


def test_threads_may_close_what_others_ask(shm):
    """While threads use size, buf and resize, one that closes does no harm: they see memory or None."""
    wrong, until = [], time.monotonic() + 0.5
    current = [SharedMemory(shm.name)]

    def use():
        while time.monotonic() < until:
            other = current[0]
            try:
                buf = other.buf
                assert buf is None or len(buf) >= 10_000
                assert other.size >= 10_000
                del buf
            except ValueError:
                pass  # closed between the two lines: a released memoryview
            except Exception as error:
                wrong.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=use) for _ in range(3)]
    try:
        for thread in threads:
            thread.start()
        number = 10_000
        while time.monotonic() < until:
            shm.resize(number := number + 1)
            try:
                current[0].close()
            except BufferError:
                continue
            current[0] = SharedMemory(shm.name)
    finally:
        sys.setswitchinterval(before)
        for thread in threads:
            thread.join(30)
    assert not wrong
    del threads
    gc.collect()
    current[0].close()


def test_what_fails_while_it_is_made_leaves_nothing(monkeypatch, unique_name):
    """A constructor that raises, at whatever, has removed what it made: no file, no descriptor, a free name."""
    name = unique_name()

    def fail(*args):
        raise MemoryError("mapping")

    for target, method in ((mpshm.shared_memory._View, "__init__"), (mpshm.shared_memory.Items, "fill")):
        before = descriptors()
        with monkeypatch.context() as patch:
            patch.setattr(target, method, fail)
            for given in (name, None):
                with pytest.raises(MemoryError, match="mapping"):
                    ShareableList(["a"], name=given)
        gc.collect()
        assert not (SHM / name).exists()
        assert name not in memory._pins
        assert descriptors() <= before + 2  # the guard's pipe
    ShareableList(["a"], name=name).shm.unlink()


# ---- lists ----


def test_a_list_keeps_zeros_and_text_of_any_width(unique_name):
    """Zeros at the ends, characters of several bytes (which do not fit there), lone surrogates, long integers."""
    values = ["\0\1\0", b"\0\1\0", "0\U00010000\U00010000", "\udc80\ud800", "\0" * 100, b"", 1 << 64, -(1 << 200), None]
    items = ShareableList(values, name=unique_name())
    pid = os.fork()
    if pid == 0:
        other = ShareableList(name=items.shm.name)
        same = list(other) == values
        for place, value in enumerate(reversed(values)):
            other[place] = value
        os._exit(not same)
    assert os.waitpid(pid, 0)[1] == 0
    assert list(items) == values[::-1]
    items.shm.close()
    items.shm.unlink()


def test_a_list_whose_memory_was_cut_is_an_error():
    """Whoever makes the memory of a list shorter gets SegmentCorruptedError from it, and no other error."""
    for size in (1, 10, 24, 63, 64, 80, 100):
        items = ShareableList(["a", 1, b"c"])
        items.shm.resize(size)
        for use in (lambda i=items: i[2], lambda i=items: i.__setitem__(2, "x" * 99), lambda i=items: i.format):
            with pytest.raises(mpshm.SegmentCorruptedError):
                use()
        items.shm.close()
        items.shm.unlink()


def test_a_list_in_memory_that_lies_takes_no_memory():
    """A limit that leads far beyond the end is an error, and not a reason to grow as far."""
    items = ShareableList(["a" * 100])
    buf = items.shm.buf
    root = int.from_bytes(buf[24:32], "little")
    buf[root + 8 : root + 16] = (1 << 30).to_bytes(8, "little")
    buf[root : root + 8] = (1 << 30).to_bytes(8, "little")
    with pytest.raises(mpshm.SegmentCorruptedError):
        items[0] = "x" * 10_000
    assert items.shm.size < 10_000
    items.shm.close()
    items.shm.unlink()
