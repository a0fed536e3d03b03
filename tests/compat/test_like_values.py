"""What is put in comes out equal and of the same type, from a dict and from a list, here and elsewhere."""

import importlib.util
import math
import pickle
import threading
import types

import pytest
from samples import BYTES, FLOATS, HASHABLE, INTS, UNHASHABLE, CustomError, Record, strings

VALUES = [*INTS, *FLOATS, *HASHABLE, *UNHASHABLE, *BYTES, *strings(range(41)), *strings([4096, 20000])]
NUMPY = importlib.util.find_spec("numpy") is not None
needs_numpy = pytest.mark.skipif(not NUMPY, reason="numpy is not installed")


def through_dict(impl, value):
    d = impl.dict()
    d["k"] = value
    return d["k"]


def through_list(impl, value):
    items = impl.list()
    items.append(value)
    return items[0]


def through_snapshot(impl, value):
    return impl.dict(k=value).copy()["k"]


WAYS = [through_dict, through_list, through_snapshot]


@pytest.mark.parametrize("way", WAYS)
def test_values_come_back(impl, way):
    """Equal, of the same type, and of the same sign where it is zero."""
    for value in VALUES:
        back = way(impl, value)
        assert type(back) is type(value), repr(value)
        assert back == value, repr(value)
        assert not isinstance(value, float) or math.copysign(1, back) == math.copysign(1, value)


def test_all_values_in_one_container(impl):
    """All of them beside each other, and overwritten by each other."""
    d, items = impl.dict(), impl.list(VALUES)
    for index, value in enumerate(VALUES):
        d[index] = value
    assert list(d.values()) == VALUES and items == VALUES
    for shift in (1, 17):
        for index in range(len(VALUES)):
            d[index] = items[index] = VALUES[(index + shift) % len(VALUES)]
    want = [VALUES[(index + 17) % len(VALUES)] for index in range(len(VALUES))]
    assert list(d.values()) == want and items == want


@pytest.mark.parametrize("value", [None, True, False, Ellipsis, NotImplemented, int, len], ids=repr)
@pytest.mark.parametrize("way", WAYS)
def test_singletons(impl, way, value):
    """`is` holds for what there is only one of."""
    assert way(impl, value) is value


@pytest.mark.parametrize("way", WAYS)
def test_not_a_number(impl, way):
    """nan comes back as nan, with its sign."""
    for nan in (math.nan, -math.nan):
        back = way(impl, nan)
        assert math.isnan(back) and math.copysign(1, back) == math.copysign(1, nan)


@pytest.mark.parametrize("way", WAYS)
def test_exceptions(impl, way):
    """An exception keeps its type and arguments."""
    for error in (ValueError("a", 1), KeyError((1, 2)), OSError(2, "no", "file"), CustomError(5, "five")):
        back = way(impl, error)
        assert type(back) is type(error) and back.args == error.args and str(back) == str(error)
    assert way(impl, CustomError(5, "five")).code == 5


@pytest.mark.parametrize("way", WAYS)
def test_object_graphs(impl, way):
    """Sharing and cycles inside one value are kept."""
    inner = [1]
    record = Record(first=inner, second=inner, text="x" * 100)
    record.me = record
    back = way(impl, record)
    assert back.first is back.second and back.me is back
    assert back.first == [1] and back.text == "x" * 100


@pytest.mark.parametrize("size", [1 << 16, 1 << 20, (1 << 20) + 1, 5 << 20])
@pytest.mark.parametrize("kind", ["bytes", "str", "wide", "int", "list"])
def test_large_values(impl, kind, size):
    """Megabytes go in and out, and are replaced by small ones and by larger ones."""
    make = {
        "bytes": lambda n: bytes(range(256)) * (n // 256) + b"x" * (n % 256),
        "str": lambda n: "abcdefgh" * (n // 8) + "x" * (n % 8),
        "wide": lambda n: "a\u20ac\U0001f40dd" * (n // 16),
        "int": lambda n: (1 << n) + 12345,
        "list": lambda n: list(range(n // 16)),
    }[kind]
    d = impl.dict(before="b", after="a")
    for number in (size, 1, size * 2, 10):
        d["k"] = make(number)
        assert d["k"] == make(number)
    assert d["before"] == "b" and d["after"] == "a"


@pytest.mark.parametrize("way", WAYS)
@needs_numpy
@pytest.mark.parametrize("shape", [(), (0,), (3,), (10, 20), (1000, 300), (2, 0, 3)], ids=repr)
@pytest.mark.parametrize("dtype", ["u1", "i4", "f8", "c16", "?", "U7", "M8[ns]", "object"])
def test_arrays(impl, way, shape, dtype):
    """NumPy arrays come back equal, and are the caller's own and writable."""
    import numpy

    array = numpy.arange(math.prod(shape)).reshape(shape).astype(dtype)
    back = way(impl, array)
    assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()
    assert back.flags.writeable
    if back.size:
        back.flat[0] = back.flat[-1]
        assert back is array or (way(impl, array) == array).all()


@needs_numpy
def test_arrays_of_unusual_layout(impl):
    """Transposed, strided and Fortran arrays, structured ones, and NumPy's numbers."""
    import numpy

    base = numpy.arange(1000.0).reshape(20, 50)
    record = numpy.array([(1, 2.5), (3, 4.5)], dtype=[("a", "i4"), ("b", "f8")])
    for array in (base.T, base[::2, ::-3], numpy.asfortranarray(base), record, base[5:5]):
        back = through_dict(impl, array)
        assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()
    for number in (numpy.int64(-5), numpy.float32(0.5), numpy.bool_(True), numpy.datetime64("2024-01-01")):
        back = through_dict(impl, number)
        assert back == number and type(back) is type(number)


@needs_numpy
def test_array_that_came_out_is_the_callers(manager):
    """Writing into it changes neither the dict nor another copy, and it outlives its entry."""
    import numpy

    d = manager.dict(a=numpy.zeros(500_000))
    first, second = d["a"], d["a"]
    first[:] = 7
    assert second.sum() == 0 and d["a"].sum() == 0
    d["a"] = numpy.ones(500_000)
    assert second.sum() == 0 and first.sum() == 7 * 500_000
    del d["a"]
    d.clear()
    for index in range(20):
        d[index] = numpy.full(500_000, index)
    assert second.sum() == 0 and first.sum() == 7 * 500_000


UNPICKLABLE = [lambda: 1, threading.Lock(), (x for x in "ab"), types.ModuleType("nowhere"), [lambda: 2]]


@pytest.mark.parametrize("value", UNPICKLABLE, ids=lambda value: type(value).__name__)
def test_unpicklable_values(manager, value):
    """Pickle's own error comes out of whatever takes a value, and nothing changed."""
    with pytest.raises(Exception) as expected:
        pickle.dumps(value)
    kind = type(expected.value)
    d, items = manager.dict(a=1), manager.list([1, 2, 3])
    actions = [
        lambda: d.__setitem__("a", value),
        lambda: d.__setitem__("new", value),
        lambda: d.setdefault("new", value),
        lambda: d.update({"b": 1, "c": value}),
        lambda: d.compare_exchange("a", 1, value),
        lambda: manager.dict(a=value),
        lambda: items.append(value),
        lambda: items.insert(0, value),
        lambda: items.extend([1, value]),
        lambda: items.__setitem__(0, value),
        lambda: items.__setitem__(slice(0, 2), [1, value]),
        lambda: items.__iadd__([value]),
        lambda: manager.list([value]),
    ]
    for action in actions:
        with pytest.raises((kind, pickle.PicklingError, TypeError, AttributeError)):
            action()
        assert d == {"a": 1} and items == [1, 2, 3]
    manager.segment.check()


def test_values_seen_by_another_process(manager, other):
    """Every kind of value means the same in another process."""
    d = manager.dict((index, value) for index, value in enumerate(VALUES))
    for index in range(0, len(VALUES), 7):
        back = other.call(d, "get", index)
        assert back == VALUES[index] and type(back) is type(VALUES[index]), repr(VALUES[index])
    for index in range(0, len(VALUES), 11):
        other.call(d, "__setitem__", "k", VALUES[index])
        assert d["k"] == VALUES[index]


def test_memory_comes_back(manager):
    """Values of every size, put in and overwritten and deleted, leave nothing behind."""
    d = manager.dict()

    def fill():
        for index, value in enumerate(VALUES):
            d[index % 7] = value
            d[value.__class__.__name__, index] = value
        d.clear()

    fill()
    before = manager.segment.stats().used
    for _ in range(5):
        fill()
    assert manager.segment.stats().used <= before
