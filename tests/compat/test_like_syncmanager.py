"""Namespace, Value, Lock and RLock do what SyncManager's, and threading's, do: the same body on each."""

import multiprocessing
import threading
import time
from multiprocessing.managers import RemoteError

import pytest

pytestmark = pytest.mark.timeout(60)

# How a TypeError comes back from the making of an object: ours, and from SyncManager's server.
REFUSED = (TypeError, RemoteError)


@pytest.fixture(scope="module")
def sync_manager():
    with multiprocessing.get_context("spawn").Manager() as made:
        yield made


@pytest.fixture(params=["SyncManager", "mpshm"])
def either(request):
    """SyncManager, then ours."""
    return request.getfixturevalue({"SyncManager": "sync_manager", "mpshm": "manager"}[request.param])


@pytest.fixture(params=["threading", "SyncManager", "mpshm"])
def makers(request):
    """What has Lock and RLock."""
    if request.param == "threading":
        return threading
    return request.getfixturevalue({"SyncManager": "sync_manager", "mpshm": "manager"}[request.param])


def in_thread(action):
    """What the action gives in another thread."""
    done = []
    thread = threading.Thread(target=lambda: done.append(action()), daemon=True)
    thread.start()
    thread.join(20)
    assert done, "the other thread hangs"
    return done[0]


# Namespace


def test_namespace(either):
    """Attributes are set, read, overwritten and deleted, for all who have it."""
    ns = either.Namespace(a=1, b="two")
    ns.c = [3]
    assert (ns.a, ns.b, ns.c) == (1, "two", [3])
    ns.a = None
    assert ns.a is None
    del ns.b
    with pytest.raises(AttributeError):
        ns.b
    assert hasattr(ns, "a") and not hasattr(ns, "b")
    assert getattr(ns, "zz", 5) == 5


def test_namespace_missing(either):
    """AttributeError names what is missing."""
    ns = either.Namespace()
    with pytest.raises(AttributeError, match="nothing_here"):
        ns.nothing_here
    with pytest.raises(AttributeError):
        del ns.nothing_here


def test_namespace_values_are_copied(either):
    """Changing what came out changes nothing."""
    ns = either.Namespace(a=[1])
    ns.a.append(2)
    assert ns.a == [1]


def test_namespace_private_names(either):
    """Names that begin with an underscore belong to the handle."""
    ns = either.Namespace()
    ns._mine = 5
    assert ns._mine == 5
    assert "_mine" not in str(ns)


def test_namespace_text(either):
    """str shows the attributes by name, repr the object."""
    ns = either.Namespace(b=2, a="x")
    assert str(ns) == "Namespace(a='x', b=2)"
    assert repr(ns) != str(ns) and repr(ns).startswith("<")


def test_namespace_names_of_all_kinds(either):
    """Any identifier, and any string through setattr."""
    ns = either.Namespace()
    for name in ("x", "a" * 50, "\xe4\xf6", "with space", "get", "value", "keys", "copy", "update"):
        setattr(ns, name, name)
        assert getattr(ns, name) == name


def test_namespace_only_keywords(either):
    """Positional arguments are refused."""
    with pytest.raises(REFUSED):
        either.Namespace(1)


def test_namespace_in_another_process(manager, other):
    """What one process sets the other reads."""
    ns = manager.Namespace(a=1)
    other.call(ns, setattr, "b", [2])
    assert ns.b == [2]
    ns.a = 5
    assert other.call(ns, getattr, "a") == 5


# Value


@pytest.mark.parametrize("value", [0, 2.5, "text", None, [1, 2], "x" * 10000, 2**100], ids=lambda v: str(v)[:10])
def test_value(either, value):
    """The typecode is ignored; .value, get and set are one."""
    v = either.Value("i", value)
    assert v.value == value == v.get()
    v.value = [value]
    assert v.get() == [value]
    v.set(value)
    assert v.value == value


def test_value_text(either):
    """str shows the content, repr the object."""
    v = either.Value("i", 5)
    assert "5" in str(v) and repr(v).startswith("<")


def test_value_missing_arguments(either):
    """Both arguments are needed."""
    with pytest.raises(REFUSED):
        either.Value()
    with pytest.raises(REFUSED):
        either.Value("i")


def test_value_one_step_changes(manager):
    """add gives the new value; compare_exchange replaces only what it expects."""
    v = manager.Value("i", 5)
    assert v.add() == 6
    assert v.add(10) == 16
    assert v.add(-0.5) == 15.5
    v.value = 2**63 - 1
    assert v.add(1) == 2**63 == v.value
    assert v.compare_exchange(1, "no") is False
    assert v.compare_exchange(2**63, "yes") is True
    assert v.value == "yes"
    with pytest.raises(TypeError):
        v.add(1)
    assert v.value == "yes"


# Lock and RLock


def test_lock(makers):
    """acquire and release, as a call and as a block."""
    lock = makers.Lock()
    assert lock.acquire() is True
    assert lock.acquire(False) is False
    assert in_thread(lambda: lock.acquire(False)) is False
    lock.release()
    assert lock.acquire(True) is True
    lock.release()
    with lock:
        assert in_thread(lambda: lock.acquire(False)) is False
    assert in_thread(lambda: lock.acquire(False)) is True
    lock.release()


def test_lock_has_a_timeout(makers):
    """acquire(timeout) waits that long, and then says no."""
    lock = makers.Lock()
    lock.acquire()
    for arguments in ({"timeout": 0.1}, {"blocking": True, "timeout": 0.1}):
        begun = time.monotonic()
        assert lock.acquire(**arguments) is False
        assert 0.09 <= time.monotonic() - begun < 10
    assert lock.acquire(timeout=0) is False
    assert lock.acquire(True, 0.01) is False
    lock.release()
    assert lock.acquire(timeout=5) is True
    lock.release()


def test_release_of_a_free_lock(makers):
    """RuntimeError."""
    with pytest.raises(RuntimeError):
        makers.Lock().release()
    with pytest.raises(RuntimeError):
        makers.RLock().release()


def test_lock_may_be_released_by_another_thread(makers):
    """A Lock has no owner."""
    lock = makers.Lock()
    lock.acquire()
    in_thread(lock.release)
    assert lock.acquire(False) is True
    lock.release()


def test_rlock(makers):
    """The owner may take it again; another thread may not, until it was given back as often."""
    lock = makers.RLock()
    assert lock.acquire() and lock.acquire() and lock.acquire(timeout=1)
    for _ in range(3):
        assert in_thread(lambda: lock.acquire(False)) is False
        lock.release()
    with lock, lock:
        assert in_thread(lambda: lock.acquire(True, 0.05)) is False
    assert in_thread(lambda: (lock.acquire(False), lock.release())[0]) is True
    with pytest.raises(RuntimeError):
        lock.release()


def test_rlock_is_released_by_its_owner_only(makers):
    """RuntimeError in another thread, and the owner still has it."""
    lock = makers.RLock()
    lock.acquire()

    def release():
        try:
            lock.release()
        except RuntimeError:
            return "refused"
        return "released"

    assert in_thread(release) == "refused"
    assert in_thread(lambda: lock.acquire(False)) is False
    lock.release()


def test_waiting_thread_gets_the_lock(makers):
    """Who waits without a timeout gets it when it is free."""
    for lock in (makers.Lock(), makers.RLock()):
        lock.acquire()
        got = []
        thread = threading.Thread(target=lambda lock=lock, got=got: (lock.acquire(), got.append(1), lock.release()))
        thread.start()
        thread.join(0.1)
        assert not got
        lock.release()
        thread.join(20)
        assert got == [1]


def test_block_does_not_swallow_exceptions(makers):
    """The exception comes out, and the lock is free."""
    for lock in (makers.Lock(), makers.RLock()):
        with pytest.raises(ZeroDivisionError):
            with lock:
                raise ZeroDivisionError
        assert in_thread(lambda lock=lock: (lock.acquire(False), lock.release())[0]) is True


def test_locked(manager):
    """locked() says whether somebody has it; and nobody died."""
    for lock in (manager.Lock(), manager.RLock()):
        assert lock.locked() is False
        with lock:
            assert lock.locked() is True
            assert lock.owner_died is False
        assert lock.locked() is False


def test_lock_between_processes(manager, other):
    """One process's lock keeps the other out; a Lock may be released by the other."""
    lock = manager.Lock()
    assert lock.acquire()
    assert other.call(lock, "acquire", False) is False
    other.call(lock, "release")
    assert lock.acquire(False) is True
    lock.release()
    assert other.call(lock, "acquire", False) is True
    assert lock.acquire(timeout=0.05) is False
    assert lock.locked()
    lock.release()


def test_rlock_between_processes(manager, other):
    """An RLock belongs to the thread of the process that took it."""
    lock = manager.RLock()
    with lock:
        assert other.call(lock, "acquire", False) is False
        with pytest.raises(RuntimeError):
            other.call(lock, "release")
    assert other.call(lock, "acquire", False) is True
    assert lock.acquire(timeout=0.05) is False
    with pytest.raises(RuntimeError):
        lock.release()
    other.call(lock, "release")
    with lock:
        pass
