"""MappedRegion and anonymous_shared_memory by themselves."""

import gc
import mmap
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest

import mpshm
from mpshm import PAGESIZE, MappedRegion, anonymous_shared_memory

CONTENT = bytes(range(256)) * 64  # four pages


@pytest.fixture
def path(tmp_path):
    """A file of some pages."""
    made = tmp_path / "file"
    made.write_bytes(CONTENT)
    return made


def test_pagesize():
    """The system's."""
    assert PAGESIZE == mmap.PAGESIZE


@pytest.mark.parametrize("offset", [0, 1, 4095, 4096, 5000])
@pytest.mark.parametrize("length", [1, 4096, 4097, None])
@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_any_part_of_a_file(path, offset, length, mode):
    """Offset and length need not be multiples of anything, and are not rounded."""
    with path.open("r+b") as file:
        region = MappedRegion(file, mode, offset, length)
    wanted = CONTENT[offset:] if length is None else CONTENT[offset : offset + length]
    assert bytes(region) == wanted
    assert region.size == len(region) == len(wanted)
    assert region.address % PAGESIZE == offset % PAGESIZE
    assert region.mode == mode
    assert memoryview(region).readonly == (mode == "r")
    assert np.frombuffer(region, dtype="u1").ctypes.data == region.address
    region.close()
    assert region.closed
    region.close()


def test_what_each_mode_writes(path):
    """'r+' changes the file, 'c' only the object, 'r' nothing."""
    with path.open("r+b") as file, MappedRegion(file) as shared, MappedRegion(file, "c") as private:
        memoryview(private)[0] = 99
        assert shared.mode == "r+"
        assert memoryview(shared)[0] == 0
        memoryview(shared)[1] = 77
        shared.flush()
        shared.flush(1, 1, wait=False)
        private.flush()
        with MappedRegion(file, "r") as reader, pytest.raises(TypeError):
            memoryview(reader)[0] = 1
    assert path.read_bytes()[:2] == bytes([0, 77])


def test_copy_on_write_of_a_file_opened_for_reading(path):
    """'c' and 'r' need no right to write; 'r+' does, and says so."""
    with path.open("rb") as file:
        with MappedRegion(file, "c") as region:
            memoryview(region)[0] = 5
        with pytest.raises(mpshm.SegmentPermissionError, match=r"cannot map BufferedReader .*mode 'r' or 'c'"):
            MappedRegion(file, "r+")
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(("offset", "length"), [(0, 16385), (16384, 1), (16384, None), (20000, None), (1, 16384)])
def test_beyond_the_end_is_refused(path, offset, length):
    """What would be read beyond the file's end later is an error now."""
    with path.open("r+b") as file, pytest.raises(ValueError, match=r"16384 bytes|0 bytes"):
        MappedRegion(file, "r+", offset, length)


def test_wrong_arguments(path, tmp_path):
    """Each says what is wrong, with what, and what would do."""
    with path.open("r+b") as file:
        for wrong in ({"offset": -1}, {"length": -5}, {"mode": "w"}, {"length": 0}):
            with pytest.raises(ValueError, match=r"BufferedRandom '.*file'"):
                MappedRegion(file, **wrong)
        for wrong in ({"offset": "1"}, {"length": 1.5}, {"address": "x"}):
            with pytest.raises(TypeError):
                MappedRegion(file, **wrong)
    empty = tmp_path / "empty"
    empty.touch()
    with empty.open("r+b") as file, pytest.raises(ValueError, match="flush it"):
        MappedRegion(file)
    for wrong in (None, "path", b"x", 1.5):
        with pytest.raises(TypeError, match=f"cannot map {type(wrong).__name__}.*fileno"):
            MappedRegion(wrong)
    with pytest.raises(mpshm.SegmentSystemError):
        MappedRegion(99_999)
    with pytest.raises(ValueError):
        MappedRegion(-1)
    with socket.socket() as sock, pytest.raises(ValueError, match="no pipe, socket or folder"):
        MappedRegion(sock)
    read, write = os.pipe()
    with pytest.raises(ValueError, match="no pipe"):
        MappedRegion(read)
    os.close(read)
    os.close(write)


def test_a_device():
    """/dev/zero has no end: it needs a length, and is then memory of one's own."""
    with Path("/dev/zero").open("r+b") as file:
        with pytest.raises(ValueError, match="Say which length"):
            MappedRegion(file)
        with MappedRegion(file, "c", length=100) as region:
            assert bytes(region) == bytes(100)


def test_address(path):
    """It is mapped there, or not at all."""
    with path.open("r+b") as file:
        with MappedRegion(file) as region:
            free = region.address
            with pytest.raises(mpshm.SegmentExistsError, match="at this address"):
                MappedRegion(file, address=free)
        with MappedRegion(file, address=free) as region:
            assert region.address == free
        with MappedRegion(file, "r", 10, 5, address=free + 10) as region:
            assert region.address == free + 10
            assert bytes(region) == CONTENT[10:15]
        with pytest.raises(ValueError, match="PAGESIZE"):
            MappedRegion(file, address=free + 1)
        with pytest.raises(ValueError, match="no address"):
            MappedRegion(file, address=-4096)


def test_huge_pages_are_a_wish(path):
    """Where there are none, ordinary ones serve."""
    with path.open("r+b") as file, MappedRegion(file, huge_pages=True) as region:
        assert bytes(region) == CONTENT


def test_close_with_a_buffer_in_use(path):
    """It refuses, stays usable, and can be closed later; forgetting it keeps the buffer good."""
    with path.open("r+b") as file:
        region = MappedRegion(file)
    array = np.frombuffer(region, dtype="u1")
    with pytest.raises(BufferError, match=r"cannot close BufferedRandom .*Release or delete it first"):
        region.close()
    with pytest.raises(BufferError, match="cannot shrink"):
        region.shrink(1)
    assert region.size == len(CONTENT)
    del region
    gc.collect()
    assert array[255] == 255
    region = MappedRegion(fd := os.open(path, os.O_RDWR))
    os.close(fd)
    view = memoryview(region)
    view.release()
    region.close()


def test_closed_regions_refuse(path):
    """Nothing works after close(), and it says why."""
    with path.open("r+b") as file:
        region = MappedRegion(file)
    region.close()
    for use in (region.flush, lambda: region.shrink(1), lambda: region.advise("normal"), region.fileno):
        with pytest.raises(ValueError, match="closed"):
            use()
    with pytest.raises(ValueError, match="closed"):
        memoryview(region)
    assert "closed" in repr(region)


@pytest.mark.parametrize("offset", [0, 10])
def test_shrink(path, offset):
    """Bytes go at either end, whole pages of them are unmapped, and the file stays."""

    def pages():
        return sum(
            int(line.split()[0].split("-")[1], 16) - int(line.split()[0].split("-")[0], 16)
            for line in Path("/proc/self/maps").read_text().splitlines()
            if str(path) in line
        )

    with path.open("r+b") as file, MappedRegion(file, "r+", offset) as region:
        start = region.address
        region.shrink(0)
        region.shrink(5000)
        assert bytes(region) == CONTENT[offset:-5000]
        assert pages() == 3 * PAGESIZE
        region.shrink(6000, from_back=False)
        assert region.address == start + 6000
        assert bytes(region) == CONTENT[offset + 6000 : -5000]
        assert pages() == 2 * PAGESIZE
        region.flush()
        for wrong in (region.size, 1 << 40, -1):
            with pytest.raises(ValueError):
                region.shrink(wrong)
    assert pages() == 0
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_advice_changes_nothing(path, mode):
    """Every hint leaves the content alone; an unknown one is refused."""
    with path.open("r+b") as file, MappedRegion(file, mode, 100) as region:
        for word in ("normal", "sequential", "random", "willneed"):
            region.advise(word)
        if mode == "c":
            with pytest.raises(ValueError, match="would be lost"):
                region.advise("dontneed")
        else:
            region.advise("dontneed")
        assert bytes(region) == CONTENT[100:]
        with pytest.raises(ValueError, match="'willneed'"):
            region.advise("maybe")


def test_flush_of_a_range(path):
    """Only ranges within are taken."""
    with path.open("r+b") as file, MappedRegion(file, "r+", 3, 100) as region:
        region.flush(99, 1)
        region.flush(100)
        for wrong in ((101,), (0, 101), (50, 51), (-1,)):
            with pytest.raises(ValueError):
                region.flush(*wrong)


def test_regions_are_not_pickled(path):
    """The error says what to hand over instead."""
    with path.open("r+b") as file, MappedRegion(file) as region:
        with pytest.raises(TypeError, match="hand over what it maps"):
            pickle.dumps(region)
    with anonymous_shared_memory(10) as region:
        with pytest.raises(TypeError, match=r"before the fork.*SharedMemory\(create=True"):
            pickle.dumps(region)


def test_anonymous_memory():
    """Zeros, as many as asked for, writable, without a descriptor."""
    with anonymous_shared_memory(5000) as region:
        assert isinstance(region, MappedRegion)
        assert bytes(region) == bytes(5000)
        memoryview(region)[4999] = 1
        region.shrink(10)
        assert region.size == 4990
        with pytest.raises(ValueError, match="no descriptor"):
            region.fileno()
        assert "4990" in repr(region) or "5000" in repr(region)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="'size' must be"):
            anonymous_shared_memory(wrong)
    with pytest.raises(TypeError):
        anonymous_shared_memory("5")
    with pytest.raises(mpshm.SegmentFullError, match="Ask for fewer"):
        anonymous_shared_memory(1 << 45)


def test_anonymous_memory_after_a_fork():
    """A child forked later shares it, both ways."""
    with anonymous_shared_memory(100) as region:
        view = memoryview(region)
        view[0] = 5
        pid = os.fork()
        if pid == 0:
            view[1] = view[0] + 1
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert view[1] == 6
        view.release()
