"""What semaphores, Condition, Event and Barrier add to the stdlib's, and what they refuse."""

import copy
import multiprocessing
import pickle
import threading

import pytest

import mpshm
from mpshm import _types, sync

pytestmark = pytest.mark.timeout(60)

NAMES = ("Lock", "RLock", "Semaphore", "BoundedSemaphore", "Event", "Condition")


def make(where, name):
    return where.Barrier(2) if name == "Barrier" else getattr(where, name)()


@pytest.mark.parametrize("name", [*NAMES, "Barrier"])
def test_texts(manager, name):
    """repr names the object and its kind, str shows its state."""
    obj = make(manager, name)
    assert repr(obj).startswith(f"<mpshm.{name} object, typeid {name!r} at 0x")
    assert str(obj).startswith("<") and f"mpshm.{name}" in str(obj)
    manager.shutdown()
    assert "failed" in str(obj) or name in str(obj)


def test_texts_show_the_state(manager):
    """Counts, flags, waiters."""
    semaphore, bounded, event = manager.Semaphore(3), manager.BoundedSemaphore(2), manager.Event()
    bounded.acquire()
    event.set()
    barrier = manager.Barrier(3)
    assert "value=3" in str(semaphore) and "value=1/2" in str(bounded)
    assert str(event) == "<mpshm.Event: set>" and "waiters=0/3" in str(barrier)
    barrier.abort()
    assert "broken" in str(barrier)
    assert "unlocked mpshm.RLock" in str(manager.Condition())


@pytest.mark.parametrize("name", [*NAMES, "Barrier"])
def test_copies_are_the_same_object(manager, name):
    """A pickled handle, and a copied one, is another handle on the same object."""
    obj = make(manager, name)
    for again in (pickle.loads(pickle.dumps(obj)), copy.copy(obj)):
        assert type(again) is type(obj) and _types.same(again, obj)


@pytest.mark.parametrize("name", [*NAMES, "Barrier"])
def test_made_in_a_segment(manager, name):
    """One way for all that make them in a segment."""
    args = (2,) if name == "Barrier" else ()
    obj = getattr(sync, name)._make(manager.segment, *args)
    assert obj._segment is manager.segment


def test_condition_refuses_other_locks(manager):
    """TypeError, or ValueError for one of another segment; each says what to do."""
    for lock in (threading.Lock(), multiprocessing.RLock(), manager.Semaphore(), manager.dict().lock, 5):
        with pytest.raises(TypeError, match="needs a Lock or an RLock of the same segment"):
            manager.Condition(lock)
    with pytest.raises(ValueError, match="same manager"):
        manager.Condition(sync.Lock())
    with pytest.raises(ValueError, match="same manager"):
        sync.Condition(manager.RLock())


def test_condition_shares_its_lock(manager):
    """Taken through either, held for both; one handle of it for each handle of the condition."""
    lock = manager.Lock()
    one, other = manager.Condition(lock), manager.Condition(lock)
    with one:
        assert lock.locked() and not other.acquire(False)
        assert one._is_owned()
    assert one._lock is one._lock and _types.same(one._lock, lock) and _types.same(other._lock, lock)
    assert type(one._lock) is sync.Lock and type(manager.Condition()._lock) is sync.RLock
    del lock
    with other:
        assert one._lock.locked()


def test_errors_are_both():
    """Whoever expects threading's or multiprocessing's error gets it."""
    assert issubclass(sync.ReleaseError, ValueError) and issubclass(sync.ReleaseError, RuntimeError)
    assert issubclass(sync.NotHeldError, AssertionError) and issubclass(sync.NotHeldError, RuntimeError)
    with pytest.raises(sync.ReleaseError, match="semaphore or lock released too many times"):
        sync.Lock().release()
    with pytest.raises(sync.NotHeldError, match="attempt to release recursive lock not owned by thread"):
        sync.RLock().release()


def test_errors_of_a_managers(manager):
    """The text is threading's."""
    with pytest.raises(sync.ReleaseError, match="release unlocked lock"):
        manager.Lock().release()
    with pytest.raises(sync.NotHeldError, match="cannot release un-acquired lock"):
        manager.RLock().release()
    with pytest.raises(sync.NotHeldError, match="cannot notify on un-acquired lock"):
        manager.Condition().notify()


def test_wrong_arguments(manager):
    """TypeError, ValueError and OverflowError where the stdlib has them; nothing is left of what was not made."""
    before = manager.segment.stats().objects
    with pytest.raises(TypeError):
        manager.Semaphore("one")
    with pytest.raises(OverflowError):
        manager.Semaphore(2**31)
    with pytest.raises(TypeError):
        sync.Event(1)
    with pytest.raises(TypeError):
        manager.Barrier()
    with pytest.raises(TypeError):
        manager.Semaphore().acquire(nonsense=1)
    with pytest.raises(TypeError):
        manager.Event().wait(1, 2)
    with pytest.raises(OverflowError):
        manager.Event().wait(1e30)
    with pytest.raises(TypeError):
        manager.Semaphore().release("many")
    assert manager.segment.stats().objects == before


def test_semaphore_of_many(manager):
    """Up to 2**31 - 1 permits."""
    s = manager.Semaphore(2**31 - 1)
    assert s.get_value() == 2**31 - 1
    with pytest.raises(ValueError):
        s.release()
    with s, s:
        assert s._count() == 2 and s.get_value() == 2**31 - 3
    assert s._count() == 0
    few = manager.Semaphore(2000)
    assert all(few.acquire(False) for _ in range(2000)) and not few.acquire(False)
    assert few._count() == 2000
    few.release(1500)
    few.release(500)
    assert few.get_value() == 2000 and few._count() == 0


def test_values_in_containers(manager):
    """Kept by reference, and themselves keep what is theirs."""
    d = manager.dict(
        event=manager.Event(), condition=manager.Condition(manager.Lock()), barrier=manager.Barrier(1, dict)
    )
    d["event"].set()
    assert d["event"].is_set() and d["barrier"].wait() == 0
    with d["condition"]:
        d["condition"].notify_all()
    d.clear()
    assert manager.segment.check() is None and manager.segment.stats().objects == 1


def test_after_shutdown():
    """SegmentClosedError."""
    m = mpshm.Manager()
    event, s, b, c = m.Event(), m.Semaphore(), m.Barrier(1), m.Condition()
    m.shutdown()
    for call in (
        event.set,
        event.is_set,
        event.wait,
        s.acquire,
        s.release,
        s.get_value,
        b.wait,
        b.reset,
        c.wait,
        c.notify,
    ):
        with pytest.raises(mpshm.SegmentClosedError):
            call()
    with pytest.raises(mpshm.SegmentClosedError):
        _ = b.n_waiting
