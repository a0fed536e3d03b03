"""What is no segment, or a damaged one, or has no room: an error that names it, and nothing else happens."""

import gc
import os
import pickle
import random
import struct
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mpshm
from mpshm import ManagedMappedFile, ManagedSharedMemory, _types

pytestmark = pytest.mark.once

MIB = 1 << 20

# ---- what is no segment ----


def test_an_empty_file_is_one_that_nobody_has_made_yet(kind):
    """a and x make a segment in it; the others find none."""
    kind.path.write_bytes(b"")
    kind.path.chmod(0o600)
    for mode in ("r+", "r", "c"):
        with pytest.raises(mpshm.SegmentNotFoundError):
            kind(mode)
    with kind("x") as made:
        assert made.check() is None


@pytest.mark.parametrize("content", [b"x", b"some text\n" * 1000, bytes(8192), bytes(1 << 20), os.urandom(5000)])
def test_foreign_files_are_left_alone(kind, content):
    """A file of something else is an error that names it, and stays as it is, whatever the mode."""
    kind.path.write_bytes(content)
    kind.path.chmod(0o600)
    for mode in ("a", "r+", "r", "c"):
        with pytest.raises(mpshm.SegmentCorruptedError) as caught:
            kind(mode)
        assert kind.name in str(caught.value) and "no segment" in str(caught.value)
    with pytest.raises(mpshm.SegmentExistsError):
        kind("x")
    assert kind.path.read_bytes() == content


def test_what_is_no_file(tmp_path, unique_name):
    """Folders, pipes, devices and links that lead nowhere are errors, without a wait."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "nothing" / "there")
    for path in (
        tmp_path,
        tmp_path / "pipe",
        "/dev/null",
        "/dev/zero",
        tmp_path / "nowhere",
        tmp_path / "no" / "folder",
    ):
        for mode in ("a", "r+", "r", "c", "x"):
            with pytest.raises((mpshm.MpshmError, OSError)):
                ManagedMappedFile(path, mode)
    with pytest.raises(ValueError):
        ManagedMappedFile("")
    name = unique_name()
    target = tmp_path / "target"
    Path("/dev/shm", name).symlink_to(target)
    try:
        with pytest.raises(mpshm.MpshmError):
            ManagedSharedMemory(name)
        assert not target.exists()
    finally:
        Path("/dev/shm", name).unlink()


@pytest.mark.parametrize("size", [1, 8, 100, 383, 384, 4096, 12287, 12288, 65536, -4096, -1])
def test_truncated_files_are_refused(kind, size):
    """A file that ends too early is refused with the reason, not opened, not made anew, not mapped beyond its end."""
    with kind("x", MIB) as made:
        sent = pickle.dumps(mpshm.Dict._in(made))
    gc.collect()
    whole = kind.path.stat().st_size
    os.truncate(kind.path, size if size > 0 else whole + size)
    for mode in ("a", "r+", "r", "c"):
        with pytest.raises(mpshm.SegmentCorruptedError) as caught:
            kind(mode)
        assert kind.name in str(caught.value)
    with pytest.raises((mpshm.SegmentCorruptedError, mpshm.SegmentNotFoundError)):
        pickle.loads(sent)


def test_other_versions_are_named(kind):
    """A segment of another format, or another byte order, is refused; both versions are in the message."""
    with kind("x"):
        pass
    gc.collect()
    data = bytearray(kind.path.read_bytes())
    ours = struct.unpack_from("<I", data, 8)[0]
    for found in (1, ours + 1, 4_000_000_000):
        struct.pack_into("<I", data, 8, found)
        kind.path.write_bytes(data)
        for mode in ("a", "r+", "r", "c"):
            with pytest.raises(mpshm.SegmentVersionError) as caught:
                kind(mode)
            assert f"version {found}" in str(caught.value) and f"version {ours}" in str(caught.value)
    data[:8] = data[:8][::-1]
    kind.path.write_bytes(data)
    with pytest.raises(mpshm.SegmentVersionError, match="byte order"):
        kind("r+")
    assert kind.path.read_bytes() == data


def test_a_half_made_file_is_made_anew(kind):
    """What a maker left that died: the next one who may make it does, and nobody else takes it for a segment."""
    with kind("x") as made:
        old = made.id
    gc.collect()
    data = bytearray(kind.path.read_bytes())
    data[256:260] = bytes(4)  # its state: new
    data[268:280] = bytes(12)  # nobody was ever in it
    data[104:108] = bytes(4)
    for end in (len(data), 4096, 384):
        kind.path.write_bytes(data[:end])
        for mode in ("r+", "r", "c"):
            with pytest.raises(mpshm.SegmentNotFoundError):
                kind(mode)
        with kind("x") as made:
            assert made.id != old and made.check() is None
        gc.collect()


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 12287), st.integers(0, 255)), min_size=1, max_size=6), st.sampled_from("arc"))
def test_any_bytes_in_the_header(tmp_path_factory, changes, mode):
    """Whatever the header says: an error or a segment that can be looked at, never a fault or a wait without end."""
    folder = tmp_path_factory.getbasetemp()
    model = folder / "model"
    if not model.exists():
        with ManagedMappedFile(model, "x", 64 << 10) as made:
            d = mpshm.Dict._in(made)
            d["a"] = "x" * 100
            (folder / "token").write_bytes(pickle.dumps((d._offset, d._serial)))
            pickle.dumps(d)
            del d
        gc.collect()
    data = bytearray(model.read_bytes())
    for where, byte in changes:
        data[where] = byte
    # In another process: it may be attached to nothing of the same id.
    path = folder / "changed"
    path.write_bytes(data)
    path.chmod(0o600)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            try:
                segment = ManagedMappedFile(path, mode if mode != "a" else "r+", timeout=20)
                try:
                    if mode != "r":
                        segment.check()
                    e = _types.attach(segment, *pickle.loads((folder / "token").read_bytes()), 0)
                    assert "a" in e or True
                    if mode != "r":
                        e["b"] = 1
                finally:
                    segment.close()
            except (mpshm.MpshmError, ReferenceError, TimeoutError, MemoryError, LookupError, TypeError):
                pass
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    how = os.waitpid(pid, 0)[1]
    assert os.waitstatus_to_exitcode(how) == 0, changes


@pytest.mark.parametrize("mode", ["r", "c", "r+"])
@pytest.mark.parametrize("seed", range(25))
def test_random_bytes_anywhere(tmp_path, mode, seed):
    """Bytes changed anywhere in a file with objects of many kinds: errors or answers, no fault, no endless wait."""
    rng = random.Random(seed)
    path = tmp_path / "segment"
    with ManagedMappedFile(path, "x", 256 << 10) as made:
        d = mpshm.Dict._in(made)
        d.update({str(i) * (i % 30 + 1): [i] * i for i in range(60)})
        d["list"], d["set"], d["deque"] = (cls._in(made) for cls in (mpshm.List, mpshm.Set, mpshm.Deque))
        for i in range(200):
            d["list"].append("x" * i)
            d["set"].add(i)
            d["deque"].append(str(i))
        place = d._offset, d._serial
        assert pickle.dumps(d)
        del d
    gc.collect()
    data = bytearray(path.read_bytes())
    arena = data.rfind(bytes(4096), 0, len(data) - (256 << 10))
    for _ in range(rng.choice((1, 10, 300))):
        at = rng.randrange(arena, len(data)) if rng.random() < 0.8 else rng.randrange(256, 12288)
        data[at : at + 8] = rng.choice(
            (rng.randbytes(8), bytes(8), b"\xff" * 8, rng.randrange(len(data)).to_bytes(8, "little"))
        )
    path.write_bytes(data)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with_errors(lambda: work_on(ManagedMappedFile(path, mode), place))
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, seed


HARMLESS = (mpshm.MpshmError, ReferenceError, TimeoutError, MemoryError, LookupError, TypeError, ValueError)


def with_errors(act):
    """Call it; what damaged bytes may raise is fine, and whatever unpickling them does."""
    try:
        act()
    except HARMLESS + (pickle.UnpicklingError, EOFError, AttributeError, ImportError, OverflowError, SystemError):
        pass


def work_on(segment, place):
    """Look at everything, and change something."""
    if segment.mode != "r":
        with_errors(segment.check)
    d = _types.attach(segment, *place, 0)
    for act in (
        lambda: dict(d),
        lambda: list(d),
        lambda: len(d),
        lambda: d.get("list"),
        lambda: "1" in d,
        lambda: str(d),
    ):
        with_errors(act)
    for name in ("list", "set", "deque"):
        with_errors(lambda name=name: [list(d[name]), len(d[name]), str(d[name]), 5 in d[name]])
        with_errors(lambda name=name: d[name][7])
    if segment.mode != "r":
        with_errors(lambda: d.__setitem__("new", "x" * 1000))
        with_errors(d.clear)
        with_errors(segment.shrink_to_fit)
        with_errors(segment.zero_free_memory)
    with_errors(segment.close)


# ---- no room ----


@pytest.mark.parametrize("limit", [0, 100, 4096, 100_000, 15 * MIB, 16 * MIB, 62 * MIB])
def test_no_room_leaves_nothing_half_made(kind, limit):
    """Where files cannot grow further, creation fails with SegmentFullError, and no file is left."""
    code = """
        import resource, sys, mpshm
        cls = getattr(mpshm, sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
        for mode in ("a", "x", "a"):
            try:
                cls(sys.argv[2], mode, 64 << 20)
            except mpshm.SegmentFullError as error:
                assert sys.argv[2] in str(error), error
            else:
                sys.exit("made")
    """
    args = [sys.executable, "-c", textwrap.dedent(code), kind.cls.__name__, kind.name, str(limit)]
    subprocess.run(args, check=True, timeout=60)
    assert not kind.path.exists()
    kind.path.write_bytes(b"")
    kind.path.chmod(0o600)
    subprocess.run(args, check=True, timeout=60)
    assert kind.path.stat().st_size == 0  # it was not ours


def test_no_room_to_grow(kind):
    """Where it cannot grow further, a change fails as a whole, and the segment stays sound."""
    code = """
        import resource, sys, mpshm
        segment = getattr(mpshm, sys.argv[1])(sys.argv[2], "x", 1 << 20)
        d = mpshm.Dict._in(segment)
        d["a"] = 1
        import os
        limit = os.fstat(segment._identity.fd).st_size + 4096
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        for act in (lambda: d.__setitem__("big", b"x" * (4 << 20)), lambda: segment.grow(4 << 20)):
            try:
                act()
            except mpshm.SegmentFullError:
                pass
            else:
                sys.exit("grown")
        assert d == {"a": 1}
        segment.check()
    """
    args = [sys.executable, "-c", textwrap.dedent(code), kind.cls.__name__, kind.name]
    subprocess.run(args, check=True, timeout=60)
    assert kind("r+").check() is None


def test_a_name_in_a_folder_that_may_not_be_written(tmp_path):
    """Permission denied is SegmentPermissionError with the system's reason."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o500)
    code = "import os, sys, mpshm; os.geteuid() or os.setuid(65534); mpshm.ManagedMappedFile(sys.argv[1], 'x')"
    tmp_path.chmod(0o755)
    args = [sys.executable, "-c", code, str(folder / "segment")]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert "SegmentPermissionError" in done.stderr and "Permission denied" in done.stderr
