"""What Set and Deque are beyond what the builtins are: their end, their memory, their inner methods."""

import collections
import gc

import pytest

import mpshm
from mpshm import _types

SET_CALLS = [
    lambda s: len(s),
    lambda s: 1 in s,
    lambda s: list(s),
    lambda s: s.add(1),
    lambda s: s.add(99),
    lambda s: s.discard(1),
    lambda s: s.pop(),
    lambda s: s.clear(),
    lambda s: s.update([5]),
    lambda s: s.intersection_update([1]),
    lambda s: s.difference_update([1]),
    lambda s: s.symmetric_difference_update([1]),
    lambda s: s | {1},
    lambda s: s == {1},
    lambda s: s.copy(),
]
DEQUE_CALLS = [
    lambda d: len(d),
    lambda d: d[0],
    lambda d: d[9],
    lambda d: d.maxlen,
    lambda d: 1 in d,
    lambda d: list(d),
    lambda d: list(reversed(d)),
    lambda d: d.append(1),
    lambda d: d.appendleft(1),
    lambda d: d.pop(),
    lambda d: d.popleft(),
    lambda d: d.extend([5]),
    lambda d: d.extendleft([5]),
    lambda d: d.insert(1, 5),
    lambda d: d.rotate(1),
    lambda d: d.reverse(),
    lambda d: d.remove(1),
    lambda d: d.clear(),
    lambda d: d.__imul__(2),
    lambda d: d.__delitem__(0),
    lambda d: d.__setitem__(0, 1),
    lambda d: d == collections.deque(),
]


def test_after_shutdown():
    """Every call raises SegmentClosedError, whichever it is; str still gives a name."""
    manager = mpshm.Manager()
    s, d, empty = manager.set([1, 2]), manager.deque([1, 2], 5), manager.set()
    manager.shutdown()
    for call in SET_CALLS:
        for each in (s, empty):
            with pytest.raises(mpshm.SegmentClosedError):
                call(each)
    for call in DEQUE_CALLS:
        with pytest.raises(mpshm.SegmentClosedError):
            call(d)
    assert "Deque" in str(d) and "Set" in str(s)
    with pytest.raises(mpshm.SegmentClosedError):
        manager.deque()


def test_without_a_manager():
    """Made by themselves they live in the default segment, and nothing stays of them."""
    s, d = mpshm.Set("abc"), mpshm.Deque("abc", maxlen=2)
    assert s == {"a", "b", "c"} and list(d) == ["b", "c"]
    segment = s._segment
    assert d._segment is segment
    gc.collect()
    before = segment.stats().objects
    del s, d
    gc.collect()
    assert segment.stats().objects == before - 2
    assert segment.check() is None


def test_what_fails_when_made_leaves_nothing():
    """A set or deque whose first items raise is not there afterwards."""
    with mpshm.Manager() as manager:
        before = manager.segment.stats().objects
        for make in (
            lambda: manager.set([[1]]),
            lambda: manager.set(5),
            lambda: manager.deque([lambda: 0]),
            lambda: manager.deque([], -1),
        ):
            with pytest.raises(Exception, match=r".") as caught:
                make()
            del caught
        gc.collect()
        assert manager.segment.stats().objects == before
        assert manager.segment.check() is None


def test_full_memory():
    """Where there is no room, SegmentFullError, and nothing has changed; taking out and turning round go on."""
    manager = mpshm.Manager(max_size=1 << 21)
    with manager:
        s, d = manager.set(range(100)), manager.deque(range(100))
        with pytest.raises(mpshm.SegmentFullError):
            s.update(f"{i:200}" for i in range(20000))
        with pytest.raises(mpshm.SegmentFullError):
            s ^= {f"{i:200}" for i in range(20000)}
        with pytest.raises(mpshm.SegmentFullError):
            d.extend(f"{i:200}" for i in range(20000))
        with pytest.raises(mpshm.SegmentFullError):
            d *= 100000
        assert s == set(range(100)) and list(d) == list(range(100))
        with pytest.raises(mpshm.SegmentFullError):
            while True:
                d.append("x" * 1000)
                s.add(f"{len(d):500}")
        length = len(d)
        d.rotate(3)
        d.reverse()
        del d[length // 2]
        s.intersection_update(range(50))
        s -= {1, 2}
        assert len(d) == length - 1 and len(s) == 48
        assert manager.segment.check() is None


def test_replacing_only_what_was_read():
    """_replace() and _remove_at() do nothing once somebody has changed the deque."""
    d = mpshm.Deque([1, [2], 3])
    items, version = d._items()
    assert items == [1, [2], 3]
    assert d._remove_at(1, [2]) is True and d._remove_at(0, 5) is False and d._remove_at(7, 1) is False
    assert d._replace([9], version) is False
    assert d._replace([9, 8], d._items()[1]) is True and list(d) == [9, 8]
    for bad in (lambda: d._replace([1]), lambda: d._replace([1], "x"), lambda: d._remove_at("a", 1)):
        with pytest.raises(TypeError):
            bad()
    with pytest.raises(ValueError):
        d._remove_at(-1, 1)


def test_the_c_types_alone():
    """The base classes can be made too, and are of the kind that the faces are."""
    s, d = _types.Set([1]), _types.Deque([1], 3)
    assert type(s) is _types.Set and len(s) == 1 and s._snapshot() == {1}
    assert type(d) is _types.Deque and d.maxlen == 3 and d._items()[0] == [1]
    holder = mpshm.List([s, d])
    assert type(holder[0]) is mpshm.Set and type(holder[1]) is mpshm.Deque
