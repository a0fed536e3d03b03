"""The sorted containers: what they are, what they refuse, and what they do that neither dict nor set does."""

import collections
import copy
import enum
import pickle
import random
from collections.abc import Mapping, MutableMapping, MutableSet

import pytest

import mpshm
from mpshm import sorted as ordered


@pytest.fixture(scope="module")
def manager():
    with mpshm.Manager() as made:
        yield made
        assert made.segment.check() is None


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


Point = collections.namedtuple("Point", "x y")


def test_made_as_a_dict():
    """A Map takes what dict takes, and shows itself as one in order."""
    assert mpshm.Map() == {}
    assert mpshm.Map([(2, "b"), (1, "a")]).items() == [(1, "a"), (2, "b")]
    assert str(mpshm.Map({"b": 1}, a=2)) == "{'a': 2, 'b': 1}"
    assert repr(mpshm.Map()).startswith("<mpshm.Map object, typeid 'map' at 0x")
    assert mpshm.Map(mpshm.Map(a=1)) == mpshm.Dict(a=1)
    assert mpshm.Map.fromkeys("ba", 0) == {"a": 0, "b": 0}
    assert mpshm.Map({1: 2}, flat=True, allocator=None).copy() == {1: 2}
    with pytest.raises(TypeError, match="at most 1 argument"):
        mpshm.Map({}, {})
    with pytest.raises(TypeError, match="allocator is a class"):
        mpshm.Map({}, allocator=7)
    with pytest.raises(TypeError, match="allocator is a class"):
        mpshm.Map({}, allocator=mpshm.List())


def test_abstract_classes():
    """They are what the standard library calls mappings and sets, and can't be keys."""
    assert isinstance(mpshm.Map(), (MutableMapping, Mapping))
    assert isinstance(mpshm.SortedSet(), MutableSet)
    for made in (mpshm.Map(), mpshm.MultiMap(), mpshm.SortedSet()):
        with pytest.raises(TypeError, match="unhashable"):
            hash(made)


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        ([1], "a", "'<' not supported between instances of 'str' and 'int'"),
        (["a"], 1.5, "'<' not supported between instances of 'float' and 'str'"),
        ([b"a"], "a", "'<' not supported between instances of 'str' and 'bytes'"),
        ([(1, 2)], 1, "'<' not supported between instances of 'int' and 'tuple'"),
        ([(1, 2)], (1, "a"), "items of this tuple"),
        ([1], None, "'<' not supported between instances of 'NoneType' and 'int'"),
        ([], None, "'<' not supported between instances of 'NoneType' and 'NoneType'"),
        ([(1,)], (1, None), "'<' not supported between instances of 'NoneType' and 'tuple'"),
        ([1], 1j, "'<' not supported between instances of 'complex' and 'int'"),
        ([1], frozenset(), "'<' not supported between instances of 'frozenset' and 'int'"),
    ],
)
def test_keys_of_one_kind(content, key, message):
    """A key that does not compare with those that are there is refused as `<` refuses it, and nothing changes."""
    made = mpshm.Map.fromkeys(content, 0)
    actions = [
        lambda: made.__setitem__(key, 1),
        lambda: made.setdefault(key, 1),
        lambda: made.update({key: 1}),
        lambda: made.incr(key),
        lambda: made.compute(key, lambda value: 1),
        lambda: made.lower_bound(key),
        lambda: mpshm.SortedSet(content).add(key),
        lambda: mpshm.MultiMap(made).add(key, 1),
    ]
    for action in actions:
        with pytest.raises(TypeError, match=message):
            action()
    if key is not None:
        with pytest.raises(TypeError, match=message):
            made.irange(key)
    assert made.keys() == content
    assert key not in made
    assert made.get(key, 5) == 5
    assert made.pop(key, 5) == 5
    with pytest.raises(KeyError):
        made[key]


def test_the_kind_is_free_again():
    """An empty container takes keys of any kind."""
    made = mpshm.Map({1: 1})
    del made[1]
    made["a"] = 1
    made.clear()
    made[b"a"] = 1
    assert made.popitem() == (b"a", 1)
    made[(1, "x")] = 1
    assert made == {(1, "x"): 1}


def test_mixed_kinds_at_once():
    """Keys that come together are refused together."""
    with pytest.raises(TypeError, match="'<' not supported"):
        mpshm.Map({1: 1, "a": 2})
    made = mpshm.SortedSet([1, 2])
    with pytest.raises(TypeError, match="'<' not supported"):
        made |= {3, "a"}
    assert made == {1, 2}


@pytest.mark.parametrize("nan", [float("nan"), (1, float("nan"))])
def test_nan(nan):
    """nan has no place."""
    for made in (mpshm.Map(), mpshm.Map({1: 1})):
        with pytest.raises(ValueError, match="nan"):
            made[nan] = 1
        assert nan not in made
    with pytest.raises(TypeError, match="unhashable"):
        [] in mpshm.Map()


def test_equal_keys_are_one():
    """1, 1.0 and True are one key: the first one stays, as in a dict."""
    made = mpshm.Map({1.0: "a"})
    made[True] = "b"
    made[1] = "c"
    assert repr(made.keys()) == "[1.0]"
    assert made[Level.LOW] == "c"
    made = mpshm.Map({Level.HIGH: 1, Level.LOW: 2})
    made[1] = 3
    assert repr(made.keys()) == repr([Level.LOW, Level.HIGH])
    made = mpshm.Map({Point(1, 2): 1})
    made[(1, 2)] = 2
    made[(0, 9)] = 0
    assert made.keys() == [(0, 9), Point(1, 2)]
    assert type(made.keys()[1]) is Point


def test_numpy_numbers():
    """Numbers of NumPy's are in order among Python's, and come back as they were."""
    numpy = pytest.importorskip("numpy")
    made = mpshm.SortedSet([3, numpy.int64(2), numpy.float64(2.5), 10])
    assert list(made) == [2, 2.5, 3, 10]
    assert [type(key) for key in made] == [numpy.int64, numpy.float64, int, int]
    assert 2 in made


def test_size_changes_while_iterating():
    """A size change by the same process is noticed, as a dict's; a change of a value is not one."""
    made = mpshm.Map.fromkeys(range(5), 0)
    with pytest.raises(RuntimeError, match="dictionary changed size"):
        for key in made:
            made[key + 100] = 0
    for key in made:
        made[key] = 1
    numbers = mpshm.SortedSet(range(5))
    with pytest.raises(RuntimeError, match="Set changed size"):
        for key in numbers:
            numbers.discard(key)
    assert [key for key in made.irange() if made.pop(key) is None] == []


@pytest.mark.parametrize("reverse", [False, True])
def test_long_ranges(reverse):
    """A long range is walked over in pieces: changes behind it do not disturb it, those before it show."""
    made = mpshm.Map.fromkeys(range(5000), 0)
    walk = made.irange(reverse=reverse)
    order = range(4999, -1, -1) if reverse else range(5000)
    seen = [next(walk) for _ in range(10)]
    for key in seen:
        del made[key]
    del made[order[-1]]
    made[order[-2] + 0.5] = 1
    seen += walk
    expected = [*order[:-1], order[-2] + 0.5]
    assert seen == sorted(expected, reverse=reverse)
    assert list(made.islice(100, 4000, reverse)) == made.keys()[100:4000][:: -1 if reverse else 1]


@pytest.mark.parametrize("reverse", [False, True])
def test_long_ranges_of_equal_keys(reverse):
    """However many items a key has, each is seen once."""
    made = mpshm.MultiMap((i // 2500, i) for i in range(10000))
    keys = [i // 2500 for i in range(10000)][:: -1 if reverse else 1]
    assert list(made.irange(reverse=reverse)) == keys
    assert list(made.irange(1, 2, reverse=reverse)) == [key for key in keys if key in (1, 2)]
    assert list(made.islice(10, 9000, reverse)) == sorted(keys)[10:9000][:: -1 if reverse else 1]


def test_places():
    """Index errors are sortedcontainers'; an empty map's popitem is dict's."""
    made = mpshm.Map({"a": 1, "b": 2})
    assert (made.peekitem(), made.peekitem(0), made.peekitem(index=-2)) == (("b", 2), ("a", 1), ("a", 1))
    for action in (made.peekitem, made.popitem):
        with pytest.raises(IndexError, match="list index out of range"):
            action(2)
    assert made.index("b") == 1
    with pytest.raises(ValueError, match="is not in list"):
        made.index("c")
    with pytest.raises(ValueError, match="is not in list"):
        made.index("b", 0, 1)
    made.clear()
    with pytest.raises(KeyError, match="dictionary is empty"):
        made.popitem()
    with pytest.raises(IndexError):
        made.peekitem()
    with pytest.raises(IndexError, match="pop index out of range"):
        mpshm.SortedSet().pop()


def test_multimap():
    """A key has any number of values."""
    made = mpshm.MultiMap({"b": 1})
    made.add("a", 1)
    made.add("b", 0)
    made.add("b", 1)
    assert made.items() == [("a", 1), ("b", 1), ("b", 0), ("b", 1)]
    assert (len(made), made["b"], made.getall("b"), made.getall("x"), made.count("b"), made.count(5)) == (
        4, 1, [1, 0, 1], [], 3, 0
    )  # fmt: skip
    assert (made.equal_range("b"), made.equal_range("aa")) == ((1, 4), (1, 1))
    made.remove("b", 1)
    assert made.getall("b") == [0, 1]
    with pytest.raises(ValueError, match="is not in the map"):
        made.remove("b", 7)
    assert made.pop("b") == 0
    assert made.popitem(0) == ("a", 1)
    with pytest.raises(KeyError):
        made["a"]
    assert made.pop("a", None) is None
    assert made == mpshm.MultiMap([("b", 1)])
    assert str(made) == "MultiMap([('b', 1)])"
    with pytest.raises(TypeError):
        made["b"] = 1


def test_sorted_set():
    """Operators give sets, slices lists; the methods that change it do so in one step."""
    made = mpshm.SortedSet("cab")
    assert (made[0], made[-1], made[:2], made[::-1]) == ("a", "c", ["a", "b"], ["c", "b", "a"])
    assert str(made) == "SortedSet(['a', 'b', 'c'])"
    assert made | {"d"} == {*"abcd"}
    assert mpshm.Set("ab") <= made.copy()
    assert made & mpshm.Set("bx") == {"b"}
    del made[0]
    del made[5:]
    assert list(made) == ["b", "c"]
    made.intersection_update("cd", "c")
    made.symmetric_difference_update("cz")
    made.difference_update([None, 5, "q"])
    assert list(made) == ["z"]
    assert made.pop(0) == "z"
    with pytest.raises(KeyError):
        made.remove("z")
    with pytest.raises(TypeError):
        made | [1]
    with pytest.raises(IndexError):
        made[0]


def test_steps():
    """incr, compute and compare_exchange are as Dict's."""
    made = mpshm.Map(a=1)
    assert (made.incr("a"), made.incr("b", 5, default=10), made.incr("a", 0.5)) == (2, 15, 2.5)
    assert made.compute("c", lambda value: (value, 1)) == (None, 1)
    assert made.compare_exchange("b", 15.0, "x")
    assert not made.compare_exchange("b", 15, "y")
    assert made == {"a": 2.5, "b": "x", "c": (None, 1)}


def test_large_and_nested(manager):
    """Keys and values of any length, containers inside of it, and it inside of others."""
    made = manager.map({"k" * 5000: "v" * 9000, "k" * 5001: manager.list([1])})
    made["k" * 5000 + "a"] = made
    assert made.keys() == ["k" * 5000, "k" * 5000 + "a", "k" * 5001]
    assert made["k" * 5001] == [1]
    assert made["k" * 5000 + "a"]["k" * 5000] == "v" * 9000
    del made["k" * 5000 + "a"]
    held = manager.dict(inner=made)
    assert held["inner"] == made
    assert copy.deepcopy(mpshm.Map({1: [2]})) == {1: [2]}
    travelled = pickle.loads(pickle.dumps(made))
    travelled["k"] = 1
    assert made["k"] == 1
    del travelled["k"], held, made


def test_memory_comes_back(manager):
    """What is taken out or cleared gives its memory back."""
    segment = manager.segment
    before = None
    for _ in range(3):
        made = manager.map({f"a key that is long {i}": f"a value that is long {i}" for i in range(3000)})
        for key in made.keys()[::2]:
            del made[key]
        made.clear()
        made[1] = 1
        del made
        used = segment.stats().used
        assert before is None or used <= before
        before = used


def test_the_lock():
    """While the lock is held by another thread, changes wait; here they go on."""
    made = mpshm.Map()
    with made.lock:
        made[1] = 1
    assert made[1] == 1


def test_in_a_segment(manager):
    """Each can be made in a given segment, with its arguments."""
    assert ordered.Map._make(manager.segment, {1: 2}, flat=True) == {1: 2}
    assert ordered.MultiMap._make(manager.segment, [(1, 2)]).items() == [(1, 2)]
    assert ordered.SortedSet._make(manager.segment, [2, 1])[:] == [1, 2]


@pytest.mark.parametrize(
    "keys",
    [
        [text + "\0" * n for text in ("", "a", "ab", "abcdefgh", "abcdefghi", "\x7f") for n in range(6)],
        [text + b"\0" * n for text in (b"", b"a", b"\xff", b"abcdefgh") for n in range(6)],
        [text + "\0" * n for text in ("\xe9", "\xe9a", "\xff" * 8, "a") for n in range(6)],
        [sign * ((1 << 63) - n) - (sign < 0) for n in range(1, 40) for sign in (1, -1)],
        [float(n) for n in range(-40, 40)] + [float("inf"), -float("inf")],
        [*range(-40, 40), (1 << 63) - 1, 1 << 63, 2.5, -(1 << 63), -(1 << 63) - 1],
    ],
    ids=["ascii", "bytes", "latin", "ends of int64", "float", "mixed"],
)
def test_near_neighbours(keys):
    """Keys that differ in zeros at their end alone, or stand at the ends of int64, are in order and found."""
    rng = random.Random(1)
    pairs = [(key, i) for i, key in enumerate(keys)] * 4
    rng.shuffle(pairs)
    made, several = mpshm.Map(), mpshm.MultiMap()
    for key, i in pairs:
        made[key] = i
        several.add(key, i)
    assert made.items() == sorted(dict(pairs).items())
    assert [key for key, _ in several.items()] == sorted(key for key, _ in pairs)
    for place, key in enumerate(sorted(keys)):
        assert made[key] == keys.index(key)
        assert key in made
        assert (made.bisect_left(key), made.bisect_right(key)) == (place, place + 1)
        assert (several.bisect_left(key), several.bisect_right(key)) == (4 * place, 4 * place + 4)
    for key in keys:
        del made[key]
        assert key not in made
    assert len(made) == 0
    assert mpshm.SortedSet(pair[0] for pair in pairs) == set(keys)


@pytest.mark.parametrize("count", [2, 3, 9, 40])
@pytest.mark.parametrize("place", [0, 31, 61, 200])
def test_many_items_all_or_none(place, count):
    """An update that cannot be ended leaves all as it was, also where nodes were split in it, more than once each."""
    keys = [place + i / (count + 1) for i in range(1, count + 1)]
    for cls, content, bad in (
        (mpshm.Map, dict.fromkeys(range(248), 1), dict.fromkeys([*keys, "no number"], 2)),
        (mpshm.MultiMap, [(i, i) for i in range(248)], [*((place, key) for key in keys), ("no number", 1)]),
        (mpshm.SortedSet, range(248), [*keys, "no number"]),
    ):
        made = cls(content)
        before = made.copy()
        with pytest.raises(TypeError):
            made.update(bad)
        assert made.copy() == before
        assert made._segment.check() is None


def test_taking_many_out_is_all_or_none():
    """The same for many keys that go, and nodes that borrow from others and merge with them meanwhile."""
    rng = random.Random(7)
    made = mpshm.SortedSet(range(2000))
    model = set(range(2000))
    for _ in range(30):
        keys = set(rng.sample(range(2000), 60))
        made.difference_update(keys)
        model -= keys
        assert made[:] == sorted(model)
        made.update(more := rng.sample(range(2000), 50))
        model.update(more)
        assert made[:] == sorted(model)
    assert made._segment.check() is None
