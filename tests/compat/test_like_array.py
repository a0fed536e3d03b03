"""A manager's Array does what SyncManager's does, and what array.array does as far as a length can be fixed."""

import array
import copy
import math
import multiprocessing
import operator
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpshm
from mpshm.arrays import Array

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore:The 'u' type code is deprecated:DeprecationWarning"),
]

CHARACTERS = [code for code in "uw" if code in array.typecodes]
INTS = "bBhHiIlLqQ"
TYPECODES = [*CHARACTERS, *INTS, "f", "d"]


@pytest.fixture(scope="module")
def sync_manager():
    with multiprocessing.get_context("spawn").Manager() as made:
        yield made


@pytest.fixture(params=["SyncManager", "mpshm"])
def either(request):
    """SyncManager, then ours."""
    return request.getfixturevalue({"SyncManager": "sync_manager", "mpshm": "manager"}[request.param])


@pytest.fixture(params=["array", "mpshm"])
def make(request):
    """array.array, then a maker of ours."""
    return array.array if request.param == "array" else request.getfixturevalue("manager").Array


def items_for(typecode):
    if typecode in CHARACTERS:
        return list("a\u20acz\U0001f40d")
    if typecode in "fd":
        return [0.5, -1.25, 1e10, 0.0]
    size = array.array(typecode).itemsize * 8
    return [0, 1, 2 ** (size - 1) - 1, 2**size - 1 if typecode.isupper() else -(2 ** (size - 1))]


@pytest.mark.parametrize("typecode", TYPECODES)
def test_items(either, typecode):
    """Each typecode: length, items, slices, setting both; text and name."""
    items = items_for(typecode)
    shared = either.Array(typecode, items)
    want = array.array(typecode, items)
    assert len(shared) == 4 and [shared[i] for i in range(-4, 4)] == [want[i] for i in range(-4, 4)]
    for part in (slice(None), slice(1, 3), slice(None, None, -1), slice(0, 4, 2), slice(10, 20)):
        assert shared[part] == want[part] and type(shared[part]) is array.array
        assert shared[part].typecode == typecode
    for i in range(4):
        shared[i] = items[-i]
        want[i] = items[-i]
    shared[1:3] = want[0:2]
    want[1:3] = want[0:2]
    shared[::2] = want[2:]
    want[::2] = want[2:]
    assert shared[:] == want and str(shared) == str(want) and shared._getvalue() == want
    assert "Array" in repr(shared) and "object, typeid 'Array' at 0x" in repr(shared)
    assert list(shared) == want.tolist() and items[0] in shared
    assert len(either.Array(typecode, [])) == 0


def test_other_ways_to_make(either):
    """From a range, bytes, text, another array; the lock argument has no effect."""
    assert list(either.Array("i", range(3))) == [0, 1, 2]
    assert list(either.Array("h", b"\1\0\2\0")) == [1, 2]
    assert either.Array("u", "text")[:] == array.array("u", "text")
    assert list(either.Array("d", array.array("i", [1, 2]))) == [1.0, 2.0]
    assert list(either.Array("i", [1], lock=False)) == [1]


def raised(action, target):
    with pytest.raises(Exception) as caught:
        action(target)
    return caught.value


@pytest.mark.parametrize("typecode", TYPECODES)
def test_errors(manager, typecode):
    """What is wrong raises what array.array raises, in its words, and changes nothing."""
    items = items_for(typecode)
    want, shared = array.array(typecode, items), manager.Array(typecode, items)
    other = array.array("d" if typecode != "d" else "i", [1, 2])
    actions = [
        lambda a: a[4],
        lambda a: a[-5],
        lambda a: a["x"],
        lambda a: a[1.0],
        lambda a: a[2**80],
        lambda a: operator.setitem(a, 4, items[0]),
        lambda a: operator.setitem(a, -5, items[0]),
        lambda a: operator.setitem(a, 4, object()),
        lambda a: operator.setitem(a, "x", items[0]),
        lambda a: operator.setitem(a, slice(0, 2), items[:2]),
        lambda a: operator.setitem(a, slice(0, 2), 5),
        lambda a: operator.setitem(a, slice(0, 2), other),
        lambda a: operator.setitem(a, slice(0, 4, 2), want[:1]),
        lambda a: operator.setitem(a, slice(0, 4, 0), want[:1]),
        lambda a: a[slice(0, 4, 0)],
        lambda a: a["a":2],
        lambda a: a.index(object()),
    ]
    wrong = [None, "ab", b"a", [], object(), 1j, 2**70, -(2**70)]
    wrong += ["a", "1"] if typecode not in CHARACTERS else [1, 1.5]
    wrong += [1.5] if typecode in INTS else []
    if typecode in "fd":
        wrong = [value for value in wrong if not isinstance(value, int)]
    actions += [lambda a, value=value: operator.setitem(a, 0, value) for value in wrong]
    for action in actions:
        expected, got = raised(action, want), raised(action, shared)
        assert type(got) is type(expected) and str(got) == str(expected), (expected, got)
        assert shared[:] == want


def test_bounds_of_ints(manager):
    """The last number that fits goes in, the next one raises OverflowError."""
    for typecode in INTS:
        size = array.array(typecode).itemsize * 8
        low, high = (0, 2**size - 1) if typecode.isupper() else (-(2 ** (size - 1)), 2 ** (size - 1) - 1)
        shared = manager.Array(typecode, [0])
        for number in (low, high, low + 1, high - 1):
            shared[0] = number
            assert shared[0] == number
        for number in (low - 1, high + 1):
            with pytest.raises(OverflowError):
                shared[0] = number


def test_what_converts(make):
    """Whatever array.array converts: bool, __index__, ints as floats, numbers too large for a float of 32 bits."""

    class Index:
        def __index__(self):
            return 7

    ints = make("i", [0, 0])
    ints[0], ints[1] = True, Index()
    assert list(ints) == [1, 7] and type(ints[0]) is int
    floats = make("f", [0, 0, 0])
    floats[0], floats[1], floats[2] = 3, 0.1, 1e300
    assert floats[0] == 3.0 and abs(floats[1] - 0.1) < 1e-8 and floats[2] == math.inf
    assert make("d", [0.1])[True - 1] == 0.1


def test_fixed_length(manager):
    """Nothing changes the length: slices of another length and deletions are refused."""
    shared = manager.Array("i", range(5))
    for part, n in ((slice(0, 2), 3), (slice(0, 2), 1), (slice(5, 5), 1), (slice(None), 0)):
        with pytest.raises(ValueError, match="the length of an Array is fixed"):
            shared[part] = array.array("i", range(n))
    for key in (0, slice(0, 2)):
        with pytest.raises(TypeError, match="cannot be deleted"):
            del shared[key]
    assert not hasattr(shared, "append")
    assert list(shared) == list(range(5))


def test_beyond_the_proxy(make):
    """What array.array has and does not change the length."""
    a = make("i", [3, 1, 3, 2])
    assert a.typecode == "i" and a.itemsize == 4
    assert a.tolist() == [3, 1, 3, 2] and a.tobytes() == array.array("i", [3, 1, 3, 2]).tobytes()
    assert a.index(3) == 0 and a.index(3, 1) == 2 and a.index(3, -2, 4) == 2 and a.count(3) == 2
    for bounds in ((1, 2), (3,), (-1,), (2, 2)):
        with pytest.raises(ValueError):
            a.index(3, *bounds)
    assert 2 in a and 5 not in a and "x" not in a
    assert list(reversed(a)) == [2, 3, 1, 3]
    assert type(copy.deepcopy(a)) is array.array and copy.deepcopy(a) == a
    with pytest.raises(TypeError):
        hash(a)


def test_comparison(manager):
    """By value, with array.array and with each other; not with lists."""
    plain = [array.array("i", items) for items in ([1, 2], [1, 3], [1], [1, 2, 3])]
    plain.append(array.array("d", [1, 2]))
    for one in plain:
        for other in plain:
            ours = manager.Array(one.typecode, one)
            for against in (other, manager.Array(other.typecode, other)):
                for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
                    assert compare(ours, against) == compare(one, other)
                    assert compare(against, ours) == compare(other, one)
    shared = manager.Array("i", [1, 2])
    assert shared != [1, 2] and (shared == None) is False  # noqa: E711
    with pytest.raises(TypeError):
        shared < [1, 2]


def test_without_a_manager():
    """Array(typecode, sequence) lives in the default segment."""
    made = Array("i", [1, 2, 3])
    assert list(made) == [1, 2, 3] and len(Array("d")) == 0
    assert Array("i", made) == made and Array("i", made) is not made
    for bad in (("x", []), ("i", 5), ("i", ["a"]), (5, []), ("ii", [])):
        with pytest.raises(Exception) as want:
            array.array(*bad)
        with pytest.raises(type(want.value)):
            Array(*bad)


def test_slices_of_each_other(manager):
    """An Array can be assigned to a slice of another, and of itself."""
    one, other = manager.Array("i", range(6)), manager.Array("i", [7, 8, 9])
    one[1:4] = other
    assert list(one) == [0, 7, 8, 9, 4, 5]
    one[:] = one
    one[::-1] = one
    assert list(one) == [5, 4, 9, 8, 7, 0]
    with pytest.raises(TypeError):
        one[0:3] = manager.Array("d", [1, 2, 3])


def test_lock(manager, other):
    """While one holds the lock, the others' changes wait, and reads go on."""
    shared = manager.Array("i", [1, 2])
    with shared.lock, shared.lock:
        shared[0] = 5
        shared[:] = array.array("i", [6, 7])
        assert other.call(shared, "__getitem__", 1) == 7
    assert shared.lock.acquire(timeout=1) and shared.lock.locked()
    shared.lock.release()


def test_seen_by_another_process(manager, other):
    """Changes there are seen here."""
    shared = manager.Array("d", [0.0] * 5)
    other.call(shared, "__setitem__", 2, 1.5)
    other.call(shared, "__setitem__", slice(3, 5), array.array("d", [8, 9]))
    assert list(shared) == [0, 0, 1.5, 8, 9]
    assert other.call(shared, "tolist") == shared.tolist()


def test_damaged_characters(manager):
    """A number that is no character raises, as in array.array."""
    shared = manager.Array("u", "abc")
    large = array.array("u")
    large.frombytes((0x110000).to_bytes(4, sys.byteorder) * 3)
    shared[:] = large
    with pytest.raises(ValueError):
        shared[0]


SLICES = st.builds(
    slice,
    st.one_of(st.none(), st.integers(-12, 12)),
    st.one_of(st.none(), st.integers(-12, 12)),
    st.one_of(st.none(), st.integers(-4, 4).filter(bool)),
)


@settings(max_examples=80, deadline=None)
@given(data=st.data(), typecode=st.sampled_from(list(INTS + "fd")), n=st.integers(0, 10))
def test_model(data, typecode, n):
    """A run of changes leaves what it leaves in array.array."""
    want = array.array(typecode, [i % 100 for i in range(n)])
    with mpshm.Manager() as manager:
        shared = manager.Array(typecode, want)
        for _ in range(8):
            part = data.draw(SLICES)
            picked = want[part]
            assert shared[part] == picked
            fresh = array.array(typecode, [data.draw(st.integers(0, 127)) for _ in picked])
            want[part] = fresh
            shared[part] = fresh
            if n:
                place, value = data.draw(st.integers(-n, n - 1)), data.draw(st.integers(0, 127))
                want[place] = shared[place] = value
            assert shared[:] == want and shared.tobytes() == want.tobytes()
        manager.segment.check()
