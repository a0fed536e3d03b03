"""Managers whose memory has a name: who makes it ends it, and who comes by the name does not."""

import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import mpshm
from mpshm import ManagedSharedMemory
from mpshm.managers import BaseManager, SyncManager


@pytest.fixture
def name(unique_name):
    """A name that is removed afterwards."""
    made = unique_name()
    yield made
    ManagedSharedMemory.remove(made)


def is_there(name):
    return Path("/dev/shm", name).exists()


def test_it_is_a_segment_of_that_name(name):
    """The manager's segment is shared memory under that name, and all of the manager works in it."""
    with mpshm.Manager(name=name, size=2 << 20, max_size=64 << 20) as manager:
        assert isinstance(manager.segment, ManagedSharedMemory) and manager.segment.name == name
        assert manager.segment.max_size == 64 << 20 and is_there(name)
        d = manager.dict(a=1)
        d["nested"] = manager.list([1, 2])
        made = [manager.Queue(), manager.Lock(), manager.Event(), manager.Namespace(x=1), manager.Value("i", 1)]
        assert d["nested"] == [1, 2] and d.incr("a") == 2 and len(made) == 5
        assert manager.segment.check() is None
    assert not is_there(name)
    with pytest.raises(mpshm.SegmentClosedError):
        d["a"]


def test_another_manager_by_the_name(name):
    """A second one makes objects in the same memory, and its shutdown ends nothing but itself."""
    with mpshm.Manager(name=name) as manager:
        d = manager.dict()
        other = mpshm.Manager(name=name, mode="r+")
        assert other.segment.id == manager.segment.id
        d["from the other"] = other.list([1])
        other.shutdown()
        with pytest.raises(mpshm.SegmentClosedError, match="has shut down"):
            other.dict()
        assert is_there(name) and d["from the other"] == [1]
        with mpshm.Manager(name=name) as third:
            third.dict()
        assert is_there(name) and d["from the other"] == [1]


@pytest.mark.parametrize("cls", [SyncManager, BaseManager])
def test_the_classes_take_a_name(name, cls):
    """SyncManager and BaseManager take the same arguments, and have the segment once they are started."""
    manager = cls(name=name, mode="x", size=1 << 20)
    assert not is_there(name)
    with manager:
        assert manager.segment.name == name
        other = cls(name=name)
        other.connect()
        assert other.segment.id == manager.segment.id and other.address == manager.address
        by_address = cls(address=manager.address)
        by_address.connect()
        assert by_address.segment.id == manager.segment.id
        by_address.shutdown()
    assert not is_there(name)
    with pytest.raises(mpshm.SegmentNotFoundError):
        cls(name=name).connect()
    with pytest.raises(mpshm.SegmentNotFoundError):
        cls(address=manager.address).connect()


def test_modes(name):
    """Those of ManagedSharedMemory, with its errors."""
    with pytest.raises(mpshm.SegmentNotFoundError):
        mpshm.Manager(name=name, mode="r+")
    with mpshm.Manager(name=name, mode="x") as manager:
        d = manager.dict(a=1)
        with pytest.raises(mpshm.SegmentExistsError):
            mpshm.Manager(name=name, mode="x")
        with pytest.raises(ValueError, match="size is for a new segment"):
            mpshm.Manager(name=name, mode="r+", size=1 << 20)
        with mpshm.Manager(name=name, mode="r") as reader, pytest.raises(mpshm.SegmentPermissionError):
            reader.dict()
        with mpshm.Manager(name=name, mode="c") as copy:
            assert copy.dict(b=1) == {"b": 1}
        assert d == {"a": 1}
    assert not is_there(name)


@pytest.mark.parametrize(
    ("kwds", "error"),
    [
        ({"mode": "a"}, ValueError),
        ({"name": "a/b"}, ValueError),
        ({"name": ""}, ValueError),
        ({"name": 5}, TypeError),
        ({"name": "x", "mode": "w"}, ValueError),
    ],
)
def test_bad_arguments(kwds, error):
    """A mode without a name, and what is no name or mode, are refused."""
    with pytest.raises(error):
        mpshm.Manager(**kwds)


def test_an_initializer_that_fails_leaves_no_name(name):
    """What start() made goes when start() fails."""

    def fail():
        raise KeyError("no")

    with pytest.raises(KeyError):
        SyncManager(name=name).start(fail)
    assert not is_there(name)


def test_a_manager_on_its_way(name):
    """A pickled manager is one of the same memory, which it can't end."""
    with mpshm.Manager(name=name) as manager:
        other = pickle.loads(pickle.dumps(manager))
        assert other.segment is manager.segment and other.address == manager.address
        d = manager.dict(a=other.list([1]))
        other.shutdown()
        assert d["a"] == [1]


class Counter:
    """A class of a program's own."""

    def __init__(self):
        self.n = 0

    def incr(self):
        self.n += 1
        return self.n


KEPT = []


class Registering(SyncManager):
    """A manager that knows a class, and an object that all share."""


Registering.register("Counter", Counter)
Registering.register("kept", callable=lambda: KEPT)


def test_registered_classes(name):
    """They work by name; what registered functions give out is had by the address."""
    with Registering(name=name) as manager:
        assert name in manager.address
        assert manager.Counter().incr() == 1
        manager.kept().append(1)
        by_address = Registering(address=manager.address)
        by_address.connect()
        by_address.kept().append(2)
        assert manager.kept()._getvalue() == [1, 2]
        by_name = Registering(name=name, mode="r+")
        by_name.start()
        assert by_name.Counter().incr() == 1


WORKER = """
    import pickle, sys, mpshm
    manager = mpshm.Manager(name=sys.argv[1], mode="r+")
    made = manager.dict(here="another process")
    sys.stdout.buffer.write(pickle.dumps(made))
    sys.stdout.buffer.flush()
    if sys.argv[2] == "with":
        manager.shutdown()
"""


@pytest.mark.parametrize("end", ["with", "without"])
def test_from_another_process(name, interpreter_env, end):
    """A process that was never given anything comes by the name; what it leaves is there after it has gone."""
    with mpshm.Manager(name=name) as manager:
        args = [sys.executable, "-c", textwrap.dedent(WORKER), name, end]
        done = subprocess.run(args, env=interpreter_env, stdout=subprocess.PIPE, timeout=60, check=True)
        assert pickle.loads(done.stdout) == {"here": "another process"}
        assert is_there(name) and manager.segment.check() is None


def test_a_name_outlives_a_maker_that_was_killed(name, interpreter_env):
    """Nobody shuts down for it: the memory is there under its name, sound, until the name is removed."""
    code = f"import mpshm, os; m = mpshm.Manager(name={name!r}); d = m.dict(a=1); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], env=interpreter_env, timeout=60)
    assert is_there(name)
    with mpshm.Manager(name=name) as manager:
        assert manager.dict(b=1) == {"b": 1} and manager.segment.check() is None
    assert is_there(name)
    assert ManagedSharedMemory.remove(name) and not is_there(name)
