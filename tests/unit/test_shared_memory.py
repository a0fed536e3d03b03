"""SharedMemory by itself: sizes, names, ends, and what it says when something is wrong."""

import gc
import mmap
import os
import pickle
import re
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

import mpshm
from mpshm import SharedMemory, memory

SHM = Path("/dev/shm")


@pytest.fixture
def shm():
    """A thousand bytes."""
    made = SharedMemory(create=True, size=1000)
    yield made
    made.close()
    try:
        made.unlink()
    except FileNotFoundError:
        pass


def descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def mapped():
    return Path("/proc/self/maps").read_text().count("mpshm-shm-")


# ---- sizes ----


@pytest.mark.parametrize("size", [1, 2, 4095, 4096, 4097, 1_000_003])
@pytest.mark.parametrize("named", [True, False])
def test_size_is_exact_on_both_sides(size, named, unique_name):
    """Whoever attaches finds as many bytes as were asked for, all zero."""
    made = SharedMemory(unique_name() if named else None, create=True, size=size)
    with SharedMemory(made.name) as attached:
        assert attached.size == made.size == len(attached.buf) == len(made.buf) == size
        assert bytes(attached.buf) == bytes(size)
        attached.buf[size - 1] = 9
        assert made.buf[size - 1] == 9
    made.close()
    made.unlink()


def test_the_memory_is_there_from_the_start(shm, unique_name):
    """Every page is backed when the object is made, so no use can fail for want of memory."""
    named = SharedMemory(unique_name(), create=True, size=100_000)
    for one in (shm, named):
        status = os.fstat(one.fileno())
        assert status.st_blocks * 512 >= status.st_size
    named.close()
    named.unlink()


@pytest.mark.parametrize("named", [True, False])
def test_too_much_is_refused_at_once(named, unique_name):
    """What there is no memory for is an error that tells the size and the way out, and leaves nothing."""
    name = unique_name() if named else None
    before = descriptors()
    with pytest.raises(mpshm.SegmentFullError, match=r"takes 35184372088832 bytes.*Ask for fewer") as caught:
        SharedMemory(name, create=True, size=1 << 45)
    assert isinstance(caught.value, MemoryError)
    assert descriptors() == before
    assert name is None or not (SHM / name).exists()


def test_a_full_file_system_is_an_error(monkeypatch, unique_name):
    """ENOSPC becomes SegmentFullError, not a signal, and the name stays free."""
    import errno

    def full(fd, offset, nbytes, tried, name):
        raise mpshm.SegmentFullError.because(f"cannot {tried} {name}", errno=errno.ENOSPC)

    name = unique_name()
    monkeypatch.setattr(memory._binding, "reserve", full)
    with pytest.raises(mpshm.SegmentFullError, match="No space left"):
        SharedMemory(name, create=True, size=10)
    assert not (SHM / name).exists()


def test_a_limit_on_files_is_an_error(interpreter_env):
    """Neither SIGXFSZ nor SIGBUS when the limit of a file's size is in the way."""
    import subprocess

    code = (
        "import resource, mpshm, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: mpshm.SharedMemory(create=True, size=2 << 20)\n"
        "except mpshm.SegmentFullError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=interpreter_env, capture_output=True, text=True, timeout=60)
    assert "there is no memory for so many bytes (File too large)" in done.stdout
    assert done.stderr == ""


# ---- resize ----


def test_longer_is_seen_by_all(shm):
    """Others have the new size at once, and views taken before stay as they were."""
    other = SharedMemory(shm.name)
    before = other.buf
    before[0] = 1
    array = np.frombuffer(before, dtype="u1")
    shm.resize(100_000)
    assert shm.size == other.size == len(shm.buf) == len(other.buf) == 100_000
    assert bytes(shm.buf[1000:]) == bytes(99_000)
    other.buf[99_999] = 5
    array[1] = 2
    assert shm.buf[99_999] == 5
    assert shm.buf[:2].tolist() == [1, 2]
    assert len(array) == 1000
    with pytest.raises(BufferError, match="still in use"):
        other.close()
    del array, before
    other.close()


def test_shorter_only_alone(shm):
    """It gets shorter when nobody else has it mapped, whether they know of mpshm or not; nothing changes otherwise."""
    other = SharedMemory(shm.name)
    with pytest.raises(BufferError, match=rf"cannot make .*{shm.name}.* shorter than its 1000 bytes: .*{os.getpid()}"):
        shm.resize(10)
    assert shm.size == len(shm.buf) == len(other.buf) == 1000
    other.close()
    with mmap.mmap(shm.fileno(), 1000):
        with pytest.raises(BufferError, match="Close it there first"):
            shm.resize(10)
    view = shm.buf[5:]
    with pytest.raises(BufferError, match="a view of it in this process"):
        shm.resize(10)
    view.release()
    shm.buf[5] = 5
    shm.resize(10)
    assert shm.size == len(shm.buf) == 10
    shm.resize(20)
    assert bytes(shm.buf) == bytes([0] * 5 + [5] + [0] * 14)


def test_resize_refuses_what_cannot_be(shm):
    """Wrong sizes and wrong states change nothing."""
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="'size' must be"):
            shm.resize(wrong)
    with pytest.raises(TypeError, match="not str"):
        shm.resize("10")
    with pytest.raises(mpshm.SegmentFullError, match=r"cannot resize .* to 35184372088832 bytes"):
        shm.resize(1 << 45)
    with SharedMemory(shm.name, mode="r") as reader, pytest.raises(PermissionError, match="mode 'r'"):
        reader.resize(2000)
    assert shm.size == len(shm.buf) == 1000
    shm.resize(1000)
    shm.close()
    with pytest.raises(mpshm.SegmentClosedError, match="cannot resize"):
        shm.resize(2000)


# ---- reading only, permissions ----


def test_reading_only(shm):
    """In mode 'r' the buffer is read-only and sees every change."""
    with SharedMemory(shm.name, mode="r") as reader:
        assert reader.mode == "r"
        assert reader.buf.readonly
        with pytest.raises(TypeError):
            reader.buf[0] = 1
        shm.buf[0] = 3
        assert reader.buf[0] == 3
        assert pickle.loads(pickle.dumps(reader)).buf.readonly
        with pytest.raises(PermissionError):
            os.ftruncate(reader.fileno(), 1) if os.geteuid() else (_ for _ in ()).throw(PermissionError())
    with pytest.raises(ValueError, match="nobody could fill it"):
        SharedMemory(create=True, size=1, mode="r")
    with pytest.raises(ValueError, match="'w'"):
        SharedMemory(shm.name, mode="w")


@pytest.mark.parametrize("named", [True, False])
def test_permissions(named, unique_name):
    """They are those of the file, exactly, whatever the umask."""
    before = os.umask(0o077)
    try:
        made = SharedMemory(unique_name() if named else None, create=True, size=1, permissions=0o644)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.fstat(made.fileno()).st_mode) & 0o777 == 0o644
    made.close()
    made.unlink()
    for wrong in (0o700, 0o4600, -1):
        with pytest.raises(ValueError, match="only bits of 0o666"):
            SharedMemory(create=True, size=1, permissions=wrong)
    with pytest.raises(TypeError):
        SharedMemory(create=True, size=1, permissions="rw")


# ---- names ----


@pytest.mark.parametrize("name", ["", "/", ".", "..", "a/b", "/a/b", "x" * 300, "a\0b"])
def test_names_that_cannot_be(name):
    """They are refused with the name in the message."""
    for create in (True, False):
        with pytest.raises(ValueError, match=re.escape(repr(name)[1:8])):
            SharedMemory(name, create=create, size=1)
    with pytest.raises(ValueError):
        SharedMemory.remove(name)
    with pytest.raises(TypeError, match="not bytes"):
        SharedMemory(b"name")


def test_errors_name_the_object(unique_name):
    """Missing, there already: both say what, and what to do."""
    name = unique_name()
    with pytest.raises(mpshm.SegmentNotFoundError, match=rf"cannot open shared memory '{name}'.*create it first"):
        SharedMemory(name)
    made = SharedMemory(name, create=True, size=1)
    with pytest.raises(mpshm.SegmentExistsError, match=rf"cannot create shared memory '{name}'.*Open it"):
        SharedMemory(name, create=True, size=1)
    made.close()
    made.unlink()
    with pytest.raises(mpshm.SegmentNotFoundError, match="cannot unlink"):
        made.unlink()


def test_a_failed_attach_removes_nothing(unique_name):
    """Whatever goes wrong in attaching, the memory of the name stays."""
    name = unique_name()
    (SHM / name).write_bytes(b"")
    before = descriptors()
    with pytest.raises(ValueError, match="it is empty"):
        SharedMemory(name)
    assert (SHM / name).exists()
    assert descriptors() == before
    assert SharedMemory.remove(name)


def test_sparse_memory_of_others_is_filled(unique_name):
    """What another program made without reserving it is reserved by attaching."""
    name = unique_name()
    with (SHM / name).open("wb") as file:
        file.truncate(1 << 20)
    with SharedMemory(name) as shm:
        assert shm.size == 1 << 20
        assert os.fstat(shm.fileno()).st_blocks * 512 >= 1 << 20
        shm.unlink()


def test_names_of_the_standard_library(unique_name):
    """Memory with a name is the same to multiprocessing.shared_memory."""
    from multiprocessing import shared_memory

    name = unique_name()
    ours = SharedMemory(name, create=True, size=5000)
    theirs = shared_memory.SharedMemory(name)
    theirs.buf[4999] = 7
    assert ours.buf[4999] == 7
    theirs.close()
    theirs.unlink()  # which takes it out of the tracker as well
    with pytest.raises(FileNotFoundError):
        ours.unlink()
    ours.close()


def test_remove(unique_name):
    """It tells whether there was one, and leaves those who have it alone."""
    for name in (unique_name(), None):
        made = SharedMemory(name, create=True, size=3)
        made.buf[0] = 1
        assert SharedMemory.remove(made.name) is True
        assert SharedMemory.remove(made.name) is False
        assert made.buf[0] == 1
        with pytest.raises(FileNotFoundError):
            SharedMemory(made.name)
        made.close()


def test_unlink_leaves_a_successor_alone(unique_name):
    """An object whose name has been given to other memory meanwhile does not unlink that."""
    name = unique_name()
    first = SharedMemory(name, create=True, size=1)
    SharedMemory.remove(name)
    second = SharedMemory(name, create=True, size=2)
    with pytest.raises(mpshm.SegmentNotFoundError, match="other memory has its name"):
        first.unlink()
    assert SharedMemory(name).size == 2
    first.close()
    second.close()
    second.unlink()


# ---- ends ----


def test_close_with_views_loses_nothing(shm):
    """While a view is in use close() says so and leaves the object as it was; afterwards it works."""
    before = descriptors(), mapped()
    for take in (lambda buf: np.frombuffer(buf, dtype="u1"), lambda buf: buf[10:20], memoryview):
        other = SharedMemory(shm.name)
        view = take(other.buf)
        for _ in range(2):
            with pytest.raises(BufferError, match=rf"cannot close shared memory '{shm.name}'.*still in use"):
                other.close()
        assert other.size == 1000
        other.buf[10] = 4
        assert bytes(view[:1]) in (b"\0", b"\4")
        del view
        gc.collect()
        other.close()
        other.close()
        assert other.buf is None
        assert other.size == 1000
        assert (descriptors(), mapped()) == before
    with pytest.raises(mpshm.SegmentClosedError, match="was closed"):
        other.fileno()


def test_forgotten_objects_are_silent(shm, capfd):
    """An object that goes while a view is in use says nothing; the view stays good, and its memory goes with it."""
    before = descriptors(), mapped()
    other = SharedMemory(shm.name)
    array = np.frombuffer(other.buf, dtype="u1")
    array = array[1:]
    del other
    gc.collect()
    shm.buf[1] = 8
    assert array[0] == 8
    del array
    gc.collect()
    assert (descriptors(), mapped()) == before
    assert capfd.readouterr() == ("", "")


def test_a_failed_constructor_is_silent(capfd):
    """An object that was never made goes without noise."""
    for wrong in ({"name": 3}, {"name": "mpshm-none"}, {"create": True}, {"create": True, "size": -1}):
        with pytest.raises((ValueError, TypeError, FileNotFoundError)):
            SharedMemory(**wrong)
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_unlinked_memory_is_given_back_though_its_maker_lives():
    """What the maker has closed and somebody else unlinks gives its memory back with the last use."""
    made = SharedMemory(create=True, size=1 << 20)
    fd = os.dup(made.fileno())
    again = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY)  # as the maker's own descriptor, not in use
    os.close(fd)
    other = SharedMemory(made.name)
    made.close()
    assert os.fstat(again).st_size == 1 << 20
    other.unlink()
    other.buf[0] = 1
    other.close()
    assert os.fstat(again).st_size == 0
    os.close(again)


def test_descriptors_do_not_pile_up():
    """A thousand rounds leave no descriptor and no mapping, whatever the order of the ends."""
    before = descriptors(), mapped()
    for number in range(300):
        made = SharedMemory(create=True, size=100)
        other = SharedMemory(made.name)
        steps = [made.close, other.close, (made.unlink, other.unlink)[number % 2]]
        for step in (steps, steps[::-1], steps[1:] + steps[:1])[number % 3]:
            step()
    gc.collect()
    found = descriptors(), mapped()
    assert found[0] <= before[0] + 8  # those that another's unlink left are closed with the next that are made
    assert found[1] == before[1]


def test_descriptors_of_what_others_unlink_are_closed():
    """A maker that others clean up after keeps a few descriptors at most, however long-lived the rest is."""
    lasting = [SharedMemory(create=True, size=1) for _ in range(12)]
    before = descriptors()
    for _ in range(60):
        made = SharedMemory(create=True, size=1)
        made.close()
        pid = os.fork()
        if pid == 0:
            os._exit(not SharedMemory.remove(made.name))
        assert os.waitpid(pid, 0)[1] == 0
    assert descriptors() <= before + 12
    for one in lasting:
        SharedMemory(one.name).close()
        one.close()
        one.unlink()


def test_nothing_is_tracked(shm, unique_name):
    """No resource tracker learns of what is made or attached to."""
    from multiprocessing import resource_tracker

    before = resource_tracker._resource_tracker._fd
    with SharedMemory(shm.name):
        pass
    named = SharedMemory(unique_name(), create=True, size=1)
    named.close()
    named.unlink()
    assert resource_tracker._resource_tracker._fd == before


def test_nameless_memory_has_no_file(shm):
    """Nothing in /dev/shm stands for what was made without a name."""
    assert not (SHM / shm.name).exists()
    kept = SharedMemory(create=True, size=1, track=False)
    assert (SHM / kept.name).exists()
    kept.close()
    assert SharedMemory(kept.name).size == 1
    kept.unlink()


def test_a_region_of_it(shm):
    """SharedMemory can be mapped like a file."""
    with mpshm.MappedRegion(shm, "r", 10, 20) as region:
        shm.buf[10] = 6
        assert region.size == 20
        assert memoryview(region)[0] == 6
        assert shm.name in repr(region)
