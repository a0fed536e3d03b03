"""What is ours of sharedctypes: add, where things lie, what is kept and what is not."""

import copy
import ctypes
import gc
import importlib
import threading
import weakref

import pytest

import mpshm
from mpshm import _types, segments, sharedctypes, sync
from mpshm.errors import SegmentClosedError, SegmentFullError

pytestmark = pytest.mark.timeout(60)


class Pair(ctypes.Structure):
    _fields_ = [("first", ctypes.c_int), ("second", ctypes.c_int)]


@pytest.fixture
def segment():
    """A segment, in which nothing may be left."""
    made = segments.AnonymousSegment()
    yield made
    gc.collect()
    assert made.check() is None and made.stats().objects == 0


def test_the_module_is_ours():
    """mpshm.sharedctypes, found as an attribute or imported, is one module."""
    assert mpshm.sharedctypes is sharedctypes is importlib.import_module("mpshm.sharedctypes")
    assert "sharedctypes" in dir(mpshm)


@pytest.mark.parametrize("typecode", "bBhHiIlLqQ")
def test_add_to_ints(typecode):
    """The sum comes back, cut off as an assignment to value would be."""
    value, plain = sharedctypes.Value(typecode), sharedctypes.RawValue(typecode)
    for n in (1, 0, -1, 100, 127, -300, 2**15, 2**31 - 1, -(2**31), 2**63 - 1, 2**64, -(2**64) - 7, 2**100 + 3, True):
        plain.value += n
        assert value.add(n) == plain.value == value.value
    assert value.add() == type(plain)(plain.value + 1).value == value.add(n=0)


@pytest.mark.parametrize("typecode", "fd")
def test_add_to_floats(typecode):
    """As `value += n` does it."""
    value, plain = sharedctypes.Value(typecode, 0.5), sharedctypes.RawValue(typecode, 0.5)
    for n in (1, 0.1, -2.75, 1e30, -1e30, 2**70, float("inf"), True):
        plain.value += n
        assert value.add(n) == plain.value == value.value
    assert sharedctypes.Value(typecode, 0.5).add() == 1.5


def test_add_to_items():
    """By index, from either end; the others stay."""
    items = sharedctypes.Array("h", [1, 2, 3])
    assert items.add(0) == 2 and items.add(-1, 5) == 8 and items.add(index=1, n=-2) == 0
    assert items[:] == [2, 0, 8]
    assert sharedctypes.Array("d", 2).add(1, 0.5) == 0.5
    for index in (3, -4, 2**70):
        with pytest.raises(IndexError):
            items.add(index)
    with pytest.raises(TypeError):
        items.add("0")
    with pytest.raises(TypeError):
        items.add()


@pytest.mark.parametrize(
    "value",
    [
        sharedctypes.Value("c", b"x"),
        sharedctypes.Value("u", "x"),
        sharedctypes.Value(ctypes.c_bool),
        sharedctypes.Value(ctypes.c_void_p),
        sharedctypes.Value(ctypes.c_longdouble),
        sharedctypes.Value(ctypes.c_int.__ctype_be__),
    ],
    ids=repr,
)
def test_nothing_to_add_to(value):
    """TypeError for what is no int or float of the machine's."""
    with pytest.raises(TypeError, match="ints or floats only"):
        value.add(1)


def test_no_items_to_add_to():
    """The same for arrays."""
    for items in (sharedctypes.Array("c", 3), sharedctypes.Array(Pair, 2), sharedctypes.Array(ctypes.c_int * 2, 2)):
        with pytest.raises(TypeError, match="ints or floats only"):
            items.add(0)


def test_wrong_addends():
    """An int takes ints, a float takes numbers; nothing changes."""
    whole, real = sharedctypes.Value("i", 5), sharedctypes.Value("d", 5)
    for wrong in (1.5, "1", None, b"1", [1]):
        with pytest.raises(TypeError):
            whole.add(wrong)
    for wrong in ("1", None, 1j):
        with pytest.raises(TypeError):
            real.add(wrong)
    for call in (lambda: whole.add(1, 2), lambda: whole.add(m=1), lambda: whole.add(1, n=1)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(OverflowError):
        real.add(10**400)
    assert whole.value == 5 and real.value == 5


def test_add_before_init():
    """A wrapper that was never initialized, or is initialized twice, says so."""
    empty = sharedctypes.Synchronized.__new__(sharedctypes.Synchronized)
    with pytest.raises(TypeError, match="before __init__"):
        empty.add(1)
    value = sharedctypes.Value("i", 5)
    with pytest.raises(RuntimeError):
        value.__init__(sharedctypes.RawValue("i"), sync.RLock())
    assert value.add(1) == 6


def test_any_lock_works():
    """Locks that only have acquire and release, and what happens when they fail."""

    class Odd:
        taken = 0

        def acquire(self):
            if self.taken < 0:
                raise KeyError("no")
            self.taken += 1

        def release(self):
            self.taken -= 1

    lock = Odd()
    value = sharedctypes.Value("i", 0, lock=lock)
    assert value.add(2) == 2 and lock.taken == 0
    lock.taken = -1
    with pytest.raises(KeyError):
        value.add(1)
    assert value.get_obj().value == 2
    for lock in (threading.Lock(), sync.Lock(), mpshm.Dict().lock):
        assert sharedctypes.Value("i", 1, lock=lock).add(1) == 2


def test_subclasses_add():
    """A user's subclass of Synchronized adds, too."""

    class Counter(sharedctypes.Synchronized):
        def twice(self):
            self.add(1)
            return self.add(1)

    assert Counter(sharedctypes.RawValue("i", 5)).twice() == 7


def test_alignment(segment):
    """On a cache line's beginning where it is large enough, on a multiple of 16 always."""
    made = [sharedctypes.RawArray("B", n, segment=segment) for n in (0, 1, 5, 16, 63, 64, 100, 5000, 100_000)]
    for raw in made:
        assert ctypes.addressof(raw) % (64 if len(raw) >= 64 else 16) == 0
        assert raw._raw.nbytes == len(raw)


def test_new_memory_is_zero(segment):
    """Also where something else was before."""
    for n in (1, 100, 5000, 300_000):
        raw = sharedctypes.RawArray("B", n, segment=segment)
        assert bytes(raw) == bytes(n)
        ctypes.memset(raw, 0xFF, n)
        del raw
        again = sharedctypes.RawArray("B", n, segment=segment)
        assert bytes(again) == bytes(n)
        del again


def test_segment(segment):
    """segment= says where the object and its lock are made."""
    value = sharedctypes.Value("i", 5, segment=segment)
    items = sharedctypes.Array("i", 5, segment=segment)
    raw = sharedctypes.RawValue("i", segment=segment)
    assert raw._raw._segment is segment
    assert all(obj.get_lock()._segment is segment for obj in (value, items))
    assert segment.stats().objects == 5


def test_too_large(segment):
    """What does not fit says so, and leaves nothing."""
    small = segments.AnonymousSegment(max_size=1 << 20)
    with pytest.raises(SegmentFullError):
        sharedctypes.RawArray("d", 1 << 20, segment=small)
    assert small.stats().objects == 0 and small.check() is None
    with pytest.raises((MemoryError, OverflowError, ValueError)):
        _types.Raw._sized(segment, 1 << 60)
    for wrong in (-1, "1", 1.5, 2**80):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            _types.Raw._sized(segment, wrong)


def test_copies_are_private():
    """copy.copy and copy.deepcopy give ctypes objects of the caller's own."""
    for raw in (sharedctypes.RawValue("i", 5), sharedctypes.RawArray("i", [5, 6]), sharedctypes.RawValue(Pair, 5, 6)):
        for how in (copy.copy, copy.deepcopy):
            mine = how(raw)
            assert bytes(mine) == bytes(raw) and type(raw).__mro__[1] is type(mine)
            ctypes.memset(ctypes.addressof(raw), 1, 4)
            assert bytes(mine) != bytes(raw)
            ctypes.memmove(ctypes.addressof(raw), ctypes.addressof(mine), ctypes.sizeof(mine))


def test_types_of_shared_objects_are_one():
    """One class for a type; a raw object's own class stands for that type, too."""
    one, other = sharedctypes.RawValue(Pair), sharedctypes.RawValue(Pair)
    assert type(one) is type(other) is type(sharedctypes.RawValue(type(one)))
    assert isinstance(one, Pair) and type(one).__name__ == "Pair" and type(one).__module__ == Pair.__module__
    items = sharedctypes.RawArray(type(sharedctypes.RawValue("i")), 2)
    assert items[0] == 0 and isinstance(items, ctypes.c_int * 2)


def test_types_are_not_kept():
    """A Structure whose objects are gone is garbage like any other."""

    def use():
        class Local(ctypes.Structure):
            _fields_ = [("x", ctypes.c_int)]

        raw, value = sharedctypes.RawValue(Local, 1), sharedctypes.Value(Local, 2)
        assert raw.x == 1 and value.x == 2
        return weakref.ref(Local)

    seen = [use() for _ in range(3)]
    gc.collect()
    assert [one() for one in seen] == [None] * 3


def test_nothing_is_left(segment):
    """Cycles through a wrapper are collected, and the memory with them."""
    for _ in range(3):
        value = sharedctypes.Value("i", 1, segment=segment)
        value.myself = value
        items = sharedctypes.Array("i", 3, segment=segment)
        items.others = [value, items]
    del value, items
    gc.collect()
    assert segment.stats().objects == 0


def test_after_shutdown():
    """After the manager's end its lock and what needs it raise; the memory itself stays readable."""
    manager = mpshm.Manager()
    value = sharedctypes.Value("i", 5, segment=manager.segment)
    value.add(1)
    manager.shutdown()
    with pytest.raises(SegmentClosedError):
        value.add(1)
    with pytest.raises(SegmentClosedError):
        value.value
    with pytest.raises(SegmentClosedError):
        sharedctypes.RawValue("i", segment=manager.segment)
    assert value.get_obj().value == 6


def test_array_after_shutdown():
    """A manager's Array raises after its end, whatever is asked."""
    manager = mpshm.Manager()
    shared = manager.Array("i", [1, 2, 3])
    manager.shutdown()
    for action in (lambda: shared[0], lambda: shared[:], lambda: shared.__setitem__(0, 1), shared.tobytes):
        with pytest.raises(SegmentClosedError):
            action()
    assert "failed" in str(shared) and "Array" in repr(shared)


def test_empty_array_of_the_type_alone(segment):
    """Made without items, as a class method of all handles makes it, it is an array of none."""
    from mpshm.arrays import Array

    made = Array._in(segment)
    assert len(made) == 0 and list(made) == [] and made.typecode == "b" and made.tobytes() == b""
    with pytest.raises(IndexError):
        made[0]
    with pytest.raises(TypeError):
        Array._of(segment, b"no array")
