"""Value, Array, RawValue and RawArray do what multiprocessing.sharedctypes' do: the same body on each."""

import ctypes
import multiprocessing.sharedctypes
import pickle
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpshm.sharedctypes

pytestmark = pytest.mark.timeout(60)

INTS = "bBhHiIlLqQ"
FLOATS = "fd"
TYPECODES = "cu" + INTS + FLOATS


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


class Inner(ctypes.Structure):
    _fields_ = [("point", Point), ("tags", ctypes.c_char * 8), ("numbers", ctypes.c_short * 3)]


class Either(ctypes.Union):
    _fields_ = [("whole", ctypes.c_uint32), ("parts", ctypes.c_uint8 * 4)]


class Linked(ctypes.Structure):
    pass


Linked._fields_ = [("value", ctypes.c_int), ("next", ctypes.POINTER(Linked))]


class Named(ctypes.c_int):
    """A type of a user's own."""

    def double(self):
        return self.value * 2


@pytest.fixture(params=[multiprocessing.sharedctypes, mpshm.sharedctypes], ids=["multiprocessing", "mpshm"])
def mod(request):
    """The stdlib's module, then ours."""
    return request.param


def raised(action):
    with pytest.raises(Exception) as caught:
        action()
    return type(caught.value), str(caught.value)


def same_error(action):
    """What it raises with the stdlib's module is what it raises with ours."""
    want = raised(lambda: action(multiprocessing.sharedctypes))
    got = raised(lambda: action(mpshm.sharedctypes))
    assert got == want


@pytest.mark.parametrize("typecode", TYPECODES)
def test_typecodes(mod, typecode):
    """Each typecode makes the ctypes type that it stands for, zero at first."""
    type_ = multiprocessing.sharedctypes.typecode_to_type[typecode]
    for kind in (typecode, type_):
        raw, value = mod.RawValue(kind), mod.Value(kind)
        assert isinstance(raw, type_) and isinstance(value.get_obj(), type_)
        assert raw.value == value.value == type_().value
        assert type(raw).__name__ == type_.__name__
        assert repr(raw) == repr(type_())
        array = mod.RawArray(kind, 3)
        assert isinstance(array, type_ * 3) and len(array) == 3
        assert list(array) == list((type_ * 3)())


@pytest.mark.parametrize("typecode", INTS)
def test_ints_are_cut_off(mod, typecode):
    """What does not fit is cut off, as in C."""
    value, array = mod.Value(typecode, -1), mod.Array(typecode, [1, -1, 2**63 - 1])
    type_ = type(value.get_obj())
    for number in (0, 1, -1, 127, 128, 255, 256, -129, 2**31, -(2**31), 2**40, 2**64 + 5, -(2**70)):
        value.value = number
        array[1] = number
        assert value.value == array[1] == type_(number).value
    assert mod.RawValue(typecode, 2**64 + 3).value == 3


@pytest.mark.parametrize("typecode", FLOATS)
def test_floats(mod, typecode):
    """Floats of both sizes."""
    value = mod.Value(typecode, 0.5)
    for number in (1, -0.0, 1e300, float("inf"), 0.1):
        value.value = number
        want = ctypes.c_float(number).value if typecode == "f" else float(number)
        assert value.value == want
    value.value = float("nan")
    assert value.value != value.value


def test_array_items_and_slices(mod):
    """Items, slices, iteration and length."""
    for array in (mod.Array("i", range(10)), mod.RawArray("i", range(10)), mod.Array("i", list(range(10)), lock=False)):
        assert len(array) == 10 and list(array) == list(range(10))
        assert array[3] == 3 and array[-1] == 9
        assert array[2:5] == [2, 3, 4] and array[::-3] == [9, 6, 3, 0] and array[20:] == []
        array[0] = 100
        array[1:3] = [7, 8]
        array[4:6] = (5, 6)
        assert array[:] == [100, 7, 8, 3, 5, 6, 6, 7, 8, 9]
        assert 100 in array and 1 not in array
        for index in (10, -11):
            with pytest.raises(IndexError):
                array[index]
            with pytest.raises(IndexError):
                array[index] = 1
        with pytest.raises(ValueError):
            array[0:3] = [1]
        with pytest.raises(TypeError):
            array[0] = "x"
        assert array[:] == [100, 7, 8, 3, 5, 6, 6, 7, 8, 9]


def test_strings(mod):
    """Arrays of characters have value and raw; those of wide characters value."""
    text = mod.Array("c", b"hello")
    assert text.value == b"hello" and text.raw == b"hello" and len(text) == 5
    text.value = b"ab"
    assert text.value == b"ab" and text.raw == b"ab\0lo"
    text[0:2] = b"xy"
    assert text[:] == b"xy\0lo" and text[1] == b"y"
    text.raw = b"12345"
    assert text.value == b"12345"
    for bad in (b"too long to fit", "text"):
        with pytest.raises((ValueError, TypeError)):
            text.value = bad
    raw = mod.RawArray("c", 20)
    assert raw.value == b"" and raw.raw == b"\0" * 20
    raw.value = b"z"
    assert raw.value == b"z"
    wide = mod.RawArray("u", 5)
    wide.value = "a\u20ac\U0001f40d"
    assert wide.value == "a\u20ac\U0001f40d" and wide[2] == "\U0001f40d"
    assert mod.Value("c", b"x").value == b"x" and mod.RawValue("u", "\u20ac").value == "\u20ac"


def test_structures(mod):
    """Structures, nested ones, unions: raw, and behind a lock with a property for each field."""
    raw = mod.RawValue(Point, 3, 4.5)
    assert (raw.x, raw.y) == (3, 4.5) and isinstance(raw, Point)
    raw.x += 1
    assert raw.x == 4
    point = mod.Value(Point, 1, 2.5)
    assert (point.x, point.y) == (1, 2.5) and type(point).__name__ == "SynchronizedPoint"
    point.x, point.y = 10, 20
    assert (point.get_obj().x, point.get_obj().y) == (10, 20)
    assert not hasattr(point, "add") and not hasattr(point, "value")
    nested = mod.Value(Inner, Point(5, 6))
    nested.get_obj().numbers[1] = 7
    nested.get_obj().tags = b"tagged"
    nested.get_obj().point.x = 8
    assert list(nested.numbers) == [0, 7, 0] and nested.tags == b"tagged"
    assert (nested.point.x, nested.point.y) == (8, 6)
    union = mod.RawValue(Either, 0x01020304)
    assert list(union.parts) == [4, 3, 2, 1]
    array = mod.Array(Point, [(1, 2), (3, 4)])
    assert [(p.x, p.y) for p in array] == [(1, 2), (3, 4)]
    array[0].x = 9
    assert array[0].x == 9 and isinstance(array[0], Point)
    assert mod.RawValue(Linked, 5).value == 5


def test_other_types(mod):
    """Whatever ctypes has: bool, pointers as numbers, arrays of arrays, a user's own type."""
    flag = mod.Value(ctypes.c_bool, 5)
    assert flag.value is True
    assert mod.RawValue(ctypes.c_void_p, 12345).value == 12345
    grid = mod.RawArray(ctypes.c_int * 3, 4)
    grid[2][1] = 5
    assert [list(row) for row in grid] == [[0, 0, 0]] * 2 + [[0, 5, 0]] + [[0, 0, 0]]
    named = mod.RawValue(Named, 21)
    assert isinstance(named, Named) and named.double() == 42
    assert mod.RawValue(ctypes.c_int * 3, 1, 2, 3)[:] == [1, 2, 3]
    assert mod.Value(ctypes.c_longdouble, 1.5).value == 1.5
    for swapped in (ctypes.c_int.__ctype_be__, ctypes.c_double.__ctype_be__):
        raw = mod.RawValue(swapped, 5)
        assert raw.value == 5 and bytes(raw) == bytes(swapped(5)) and type(raw).__name__ == swapped.__name__
    assert len(mod.RawArray("d", 0)) == 0 and len(mod.Array("d", [])) == 0


def test_ctypes_functions_work(mod):
    """sizeof, addressof, memmove, pointer and buffers work on what is shared."""
    raw = mod.RawArray("i", [1, 2, 3])
    assert ctypes.sizeof(raw) == 12 and memoryview(raw).nbytes == 12 and memoryview(raw).format == "<i"
    other = (ctypes.c_int * 3)(7, 8, 9)
    ctypes.memmove(raw, other, 12)
    assert raw[:] == [7, 8, 9]
    pointer = ctypes.cast(raw, ctypes.POINTER(ctypes.c_int))
    pointer[1] = 80
    assert raw[1] == 80
    assert ctypes.pointer(mod.RawValue("i", 5)).contents.value == 5
    assert bytes(raw)[:4] == (7).to_bytes(4, "little")
    values = (Point * 2)()
    values[1] = mod.RawValue(Point, 1, 2)
    assert values[1].x == 1


def test_copy(mod):
    """copy() gives shared memory of its own."""
    for raw in (mod.RawValue("d", 1.5), mod.RawValue(Point, 1, 2), mod.RawArray("h", [1, 2, 3]), ctypes.c_int(5)):
        copied = mod.copy(raw)
        assert bytes(copied) == bytes(raw) and isinstance(copied, type(raw).__mro__[1])
        ctypes.memset(ctypes.addressof(raw), 0xFF, ctypes.sizeof(raw))
        assert bytes(copied) != bytes(raw)


def test_locks(mod):
    """lock=True, a lock of one's own, none; get_lock, acquire, release, with."""
    value = mod.Value("i", 5)
    with value:
        assert value.acquire() and value.acquire(True)
        value.release()
        value.release()
        value.value += 1
    with value.get_lock():
        value.value += 1
    assert value.value == 7
    with pytest.raises((AssertionError, RuntimeError)):
        value.release()
    for maker in (lambda lock: mod.Value("i", 1, lock=lock), lambda lock: mod.Array("i", 3, lock=lock)):
        for lock in (threading.Lock(), threading.RLock(), multiprocessing.Lock(), mpshm.sync.Lock()):
            assert maker(lock).get_lock() is lock
        assert maker(True).get_lock() is not maker(None).get_lock()
        assert not hasattr(maker(False), "get_lock") and isinstance(maker(False), (ctypes.c_int, ctypes.Array))
        for bad in ("no lock", 5, object()):
            with pytest.raises(AttributeError, match="has no method 'acquire'"):
                maker(bad)


def test_a_lock_that_is_held_is_waited_for(mod):
    """value and items are read and written under the lock."""
    lock = mpshm.sync.Lock() if mod is mpshm.sharedctypes else multiprocessing.Lock()
    value, array = mod.Value("i", 1, lock=lock), mod.Array("i", [1, 2], lock=lock)
    actions = [lambda: value.value, lambda: setattr(value, "value", 2), lambda: array[0], lambda: array[0:1]]
    actions.append(lambda: array.__setitem__(0, 5))
    for action in actions:
        done = []
        lock.acquire()
        thread = threading.Thread(target=lambda action=action, done=done: done.append(action()), daemon=True)
        thread.start()
        thread.join(0.05)
        assert not done
        lock.release()
        thread.join(20)
        assert done


def test_synchronized(mod):
    """synchronized() wraps any ctypes object, once, in the class that fits."""
    plain = ctypes.c_int(5)
    wrapped = mod.synchronized(plain)
    assert wrapped.get_obj() is plain and wrapped.value == 5
    wrapped.value = 6
    assert plain.value == 6
    lock = threading.RLock()
    assert mod.synchronized(mod.RawValue("i"), lock).get_lock() is lock
    with pytest.raises(AssertionError, match="already synchronized"):
        mod.synchronized(wrapped)
    for obj, cls in (
        (mod.RawValue("d"), mod.Synchronized),
        (mod.RawArray("d", 2), mod.SynchronizedArray),
        (mod.RawArray("c", 2), mod.SynchronizedString),
        (mod.RawValue(Point), mod.SynchronizedBase),
    ):
        made = mod.synchronized(obj)
        assert isinstance(made, cls)
        assert isinstance(made, getattr(multiprocessing.sharedctypes, cls.__name__))
    assert repr(mod.Value("i", 5)) == "<Synchronized wrapper for c_int(5)>"
    assert type(mod.synchronized(mod.RawValue(Point))) is type(mod.synchronized(mod.RawValue(Point)))


@pytest.mark.parametrize(
    "action",
    [
        lambda m: m.RawValue("x"),
        lambda m: m.RawValue(5),
        lambda m: m.RawValue(int),
        lambda m: m.RawValue("i", "text"),
        lambda m: m.RawValue("i", 1.5),
        lambda m: m.RawValue("i", 1, 2),
        lambda m: m.RawValue("d", "1"),
        lambda m: m.RawValue("c", b"two"),
        lambda m: m.RawArray("i", -1),
        lambda m: m.RawArray("x", 1),
        lambda m: m.RawArray("i", 1.5),
        lambda m: m.RawArray("i", ["a"]),
        lambda m: m.RawArray("i", iter([1])),
        lambda m: m.RawValue(Point, 1, 2, 3),
        lambda m: m.RawValue(Point, "x"),
        lambda m: m.Value(),
        lambda m: m.Array("i"),
        lambda m: m.Array("i", 3, True),
        lambda m: m.Value("i").undefined,
        lambda m: m.copy(5),
        lambda m: m.synchronized(5),
    ],
)
def test_errors(action):
    """What is wrong raises what it raises there, in the same words."""
    same_error(action)


VALUES = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.text(max_size=2), st.none())


@settings(max_examples=60, deadline=None)
@given(typecode=st.sampled_from(TYPECODES), values=st.lists(VALUES, max_size=5))
def test_model(typecode, values):
    """Any value assigned to any type: the same value, or the same error."""
    both = [m.RawArray(typecode, 3) for m in (multiprocessing.sharedctypes, mpshm.sharedctypes)]
    for place, value in enumerate(values):
        seen = []
        for array in both:
            try:
                array[place] = value
                seen.append(bytes(array))
            except Exception as error:
                seen.append((type(error), str(error)))
        assert seen[0] == seen[1]


@pytest.mark.parametrize("typecode", list(mpshm.sharedctypes.typecode_to_type))
def test_pickled_it_is_the_same_memory(typecode):
    """A value and an array of each typecode come out of a pickle as the same memory."""
    for made in (
        mpshm.sharedctypes.RawValue(typecode),
        mpshm.sharedctypes.RawArray(typecode, 3),
        mpshm.sharedctypes.Value(typecode).get_obj(),
    ):
        again = pickle.loads(pickle.dumps(made))
        assert ctypes.addressof(again) == ctypes.addressof(made)
        assert type(again) is type(made)
