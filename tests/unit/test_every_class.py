"""Every class in every kind of segment: where nothing may be written to, what only looks works, and nothing else."""

import ctypes
import gc
import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import every_class
import pytest
from every_class import CHANGES, INNER, MAKE, READS

import mpshm
from mpshm import ManagedMappedFile, _types, sharedctypes

pytestmark = pytest.mark.once

HERE = Path(__file__).parent


@pytest.fixture
def segment(tmp_path):
    """A segment in a file."""
    with ManagedMappedFile(tmp_path / "segment", "x", 1 << 20) as made:
        yield made


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def place_of(made):
    return str(made._offset), str(made._serial)


def in_another_process(env, path, mode, name, place, wanted):
    """All calls, in a process of their own: a fault is its end, and not ours."""
    return subprocess.run(
        [sys.executable, HERE / "every_class.py", path, mode, name, *place],
        input=json.dumps(wanted),
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_no_class_is_left_out():
    """Whatever lies in a segment has a row here, under its own name."""
    classes = {
        cls.__name__ for cls in vars(_types).values() if isinstance(cls, type) and issubclass(cls, _types.Handle)
    }
    # (a Buffer is what a large value is in: no user is given one)
    assert classes - {"Handle", "Buffer"} <= set(MAKE)
    assert set(MAKE) == set(READS) == set(CHANGES)


@pytest.mark.parametrize("name", MAKE)
def test_no_method_is_left_out(segment, name):
    """Whatever a class has that a user may call is among the calls that look, or among those that change."""
    made = MAKE[name](segment)
    obj = INNER.get(name, lambda obj: obj)(made)
    known = set(READS[name]) | set(CHANGES[name])
    assert every_class.public_names(obj) <= known | every_class.NEITHER.get(name, set())
    assert not set(READS[name]) & set(CHANGES[name])


@pytest.mark.parametrize("name", MAKE)
def test_every_method_where_nothing_may_be_written(segment, tmp_path, interpreter_env, name):
    """Opened for reading only: what looks answers, what changes is refused, no byte of the file is another."""
    made = MAKE[name](segment)
    wanted = every_class.answers(name, made)
    gc.collect()
    before = digest(tmp_path / "segment")
    done = in_another_process(interpreter_env, tmp_path / "segment", "r", name, place_of(made), wanted)
    assert done.returncode == 0, f"{name}: ended with {done.returncode}\n{done.stderr}"
    assert digest(tmp_path / "segment") == before
    assert every_class.answers(name, made) == wanted
    assert segment.check() is None


@pytest.mark.parametrize("name", MAKE)
def test_every_method_in_a_copy(segment, tmp_path, interpreter_env, name):
    """Opened as a copy of what nobody uses: all works, changes stay there, no byte of the file is another."""
    made = MAKE[name](segment)
    kept, place = pickle.dumps(made), place_of(made)
    wanted = every_class.answers(name, made)
    del made
    segment.close()
    gc.collect()
    before = digest(tmp_path / "segment")
    done = in_another_process(interpreter_env, tmp_path / "segment", "c", name, place, wanted)
    assert done.returncode == 0, f"{name}: ended with {done.returncode}\n{done.stderr}"
    assert digest(tmp_path / "segment") == before
    again = ManagedMappedFile(tmp_path / "segment", "r+")
    assert every_class.answers(name, pickle.loads(kept)) == wanted
    assert again.check() is None


class Point(ctypes.Structure):
    """A structure of a user's."""

    _fields_ = (("x", ctypes.c_int), ("to", mpshm.OffsetPtr))


def test_ctypes_where_nothing_may_be_written(segment, tmp_path):
    """A ctypes object would let itself be written to: it is refused, and its bytes can be read. In a copy it works."""
    segment.construct(Point, "point", 5)
    number = sharedctypes.Value("i", 7, segment=segment)
    segment.construct(mpshm.List, "number", [number.get_obj()._raw])
    place = number.get_obj()._raw._offset, number.get_obj()._raw._serial
    reader = ManagedMappedFile(tmp_path / "segment", "r")
    with pytest.raises(mpshm.SegmentPermissionError, match=r"cannot show .*Point .*read-only"):
        reader.find("point", Point)
    raw = _types.attach(reader, *place, 0)
    with pytest.raises(mpshm.SegmentPermissionError):
        sharedctypes._attach(ctypes.c_int, raw)
    assert bytes(raw) == bytes(number.get_obj()) and bytes(dict(reader.items())["point"])[:1] == b"\5"
    before = digest(tmp_path / "segment")
    copy = ManagedMappedFile(tmp_path / "segment", "c")
    point = copy.find("point", Point)
    point.x += 1
    point.to.set(point)
    with_lock = sharedctypes.synchronized(
        sharedctypes._attach(ctypes.c_int, _types.attach(copy, *place, 0)), mpshm.sync.RLock._in(copy)
    )
    assert with_lock.add(1) == 8 and with_lock.value == 8
    assert copy.find("point", Point).x == 6
    assert digest(tmp_path / "segment") == before
    assert segment.find("point", Point).x == 5 and number.value == 7


def test_waiting_is_refused_unless_there_is_an_answer(segment, tmp_path):
    """An event that is set, and a wait of no time at all, are answered; all else would have to be written down."""
    reader = ManagedMappedFile(tmp_path / "segment", "r")
    event = mpshm.sync.Event._make(segment)
    queue = mpshm.JoinableQueue._make(segment)
    looked, joined = (_types.attach(reader, made._offset, made._serial, 0) for made in (event, queue))
    assert looked.wait(0) is False
    with pytest.raises(mpshm.SegmentPermissionError):
        looked.wait(5)
    event.set()
    assert looked.wait() is True and looked.is_set()
    assert joined.join() is None
    queue.put(1)
    with pytest.raises(mpshm.SegmentPermissionError):
        joined.join()
    queue.get()
    queue.task_done()


def test_a_semaphore_that_is_only_looked_at(segment, tmp_path):
    """Permits that are out are counted as in the segment itself."""
    semaphore = mpshm.sync.Semaphore._make(segment, 3)
    reader = ManagedMappedFile(tmp_path / "segment", "r")
    looked = _types.attach(reader, semaphore._offset, semaphore._serial, 0)
    for left in (2, 1, 0):
        semaphore.acquire()
        assert looked.get_value() == left and looked.locked() is (left == 0)
    semaphore.release(3)
    assert looked.get_value() == 3


@pytest.mark.parametrize("name", [name for name in MAKE if name not in INNER])
def test_every_class_in_every_kind(any_segment, name):
    """Each class works in each kind of segment."""
    made = MAKE[name](any_segment)
    assert made._segment is any_segment
    assert every_class.answers(name, made) == every_class.answers(name, MAKE[name](mpshm.AnonymousSegment()))
    for method, args in CHANGES[name].items():
        other = MAKE[name](any_segment)
        every_class.FIRST.get((name, method), lambda obj: None)(other)
        before = every_class.seen(other)
        every_class.call(other, method, args)
        assert method in every_class.UNSEEN or every_class.seen(other) != before, method
    other = None
    gc.collect()
    assert any_segment.check() is None


@pytest.mark.parametrize("name", [name for name in MAKE if name not in INNER])
def test_every_class_is_there_again(kind, name):
    """What was in a segment with a name is there when it is closed and opened again."""
    made = MAKE[name](segment := kind("x", 1 << 20))
    wanted = every_class.answers(name, made)
    kept = pickle.dumps(made)
    del made
    segment.close()
    del segment
    gc.collect()
    again = kind("r+")
    made = pickle.loads(kept)
    assert made._segment is again and every_class.answers(name, made) == wanted
    for method, args in CHANGES[name].items():
        if method in ("append", "add", "put", "__setitem__", "set"):
            every_class.call(made, method, args)
    assert again.check() is None


@pytest.mark.parametrize("name", [name for name in MAKE if name not in INNER])
def test_every_class_goes_with_its_bytes(name):
    """What was in a private segment is in one that is made of its bytes."""
    segment = mpshm.ManagedHeapMemory(1 << 20)
    made = MAKE[name](segment)
    kept = _types.attach(segment, made._offset, made._serial, 0)
    wanted = every_class.answers(name, made)
    holder = mpshm.List._make(segment, [made])
    assert holder is not None and kept is not None
    other = mpshm.ManagedHeapMemory.from_bytes(segment.to_bytes())
    assert other.check() is None and other.id != segment.id
    assert every_class.answers(name, made) == wanted
