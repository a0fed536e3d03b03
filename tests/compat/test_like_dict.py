"""Manager().dict() is the builtin dict: every method and operator of Python 3.14's, the same body on both."""

# ruff: noqa: RUF015

import collections
import collections.abc
import types
from operator import eq, ne

import pytest
from outcomes import assert_same, outcome

START = {"a": 1, "b": 2, "c": 3}


class OnlyKeys:
    """The least that dict.update takes for a mapping."""

    def keys(self):
        return ["x", "y"]

    def __getitem__(self, key):
        return key * 2


def delete(d, key):
    del d[key]


def put(d, key, value):
    d[key] = value


# (what it shows, action, whether the text of the exception must be the same)
ACTIONS = [
    ("get item", lambda d: d["a"], True),
    ("get missing item", lambda d: d["zz"], True),
    ("missing tuple key is the KeyError's only argument", lambda d: d[(1, 2)], True),
    ("set", lambda d: put(d, "d", 4), True),
    ("overwrite keeps the place", lambda d: put(d, "a", 9), True),
    ("delete", lambda d: delete(d, "b"), True),
    ("delete missing", lambda d: delete(d, "zz"), True),
    ("in", lambda d: ("a" in d, "zz" in d, "zz" not in d), True),
    ("len", len, True),
    ("bool", bool, True),
    ("get", lambda d: (d.get("a"), d.get("zz"), d.get("zz", 5), d.get("a", 5)), True),
    ("get without arguments", lambda d: d.get(), False),
    ("get with too many", lambda d: d.get(1, 2, 3), False),
    ("get by keyword", lambda d: d.get("zz", default=1), False),
    ("setdefault", lambda d: (d.setdefault("a", 9), d.setdefault("x", 9), d.setdefault("y")), True),
    ("setdefault without arguments", lambda d: d.setdefault(), False),
    ("pop", lambda d: (d.pop("a"), d.pop("zz", 7), d.pop("zz", None)), True),
    ("pop missing", lambda d: d.pop("zz"), True),
    ("pop without arguments", lambda d: d.pop(), False),
    ("pop with too many", lambda d: d.pop(1, 2, 3), False),
    ("popitem takes the last", lambda d: [d.popitem() for _ in range(3)], True),
    ("popitem of an empty one", lambda d: (d.clear(), d.popitem()), True),
    ("clear", lambda d: d.clear(), True),
    ("clear twice", lambda d: (d.clear(), d.clear()), True),
    ("keys", lambda d: list(d.keys()), True),
    ("values", lambda d: list(d.values()), True),
    ("items", lambda d: list(d.items()), True),
    ("iter", list, True),
    ("reversed", lambda d: list(reversed(d)), True),
    ("copy", lambda d: d.copy(), True),
    ("dict()", dict, True),
    ("unpacking", lambda d: {**d}, True),
    ("keyword arguments", lambda d: (lambda **kw: kw)(**d), True),
    ("sorted, min, max", lambda d: (sorted(d), min(d), max(d)), True),
    ("update by mapping", lambda d: d.update({"b": 5, "x": 6}), True),
    ("update by pairs", lambda d: d.update([("b", 5), ["x", 6], "yz"]), True),
    ("update by keywords", lambda d: d.update(b=5, x=6), True),
    ("update by both", lambda d: d.update({"b": 5}, b=6, self=7, other=8), True),
    ("update by nothing", lambda d: d.update(), True),
    ("update by what has keys()", lambda d: d.update(OnlyKeys()), True),
    ("update by a generator", lambda d: d.update((c, ord(c)) for c in "cba"), True),
    ("update by an empty string", lambda d: d.update(""), True),
    ("update by itself", lambda d: d.update(d), True),
    ("update by an int", lambda d: d.update(1), False),
    ("update by None", lambda d: d.update(None), False),
    ("update by ints", lambda d: d.update([1]), False),
    ("update by a pair of three", lambda d: d.update([(1, 2, 3)]), False),
    ("update by a pair of one", lambda d: d.update(["a"]), False),
    ("update by two", lambda d: d.update({}, {}), False),
    ("|", lambda d: d | {"b": 5, "x": 6}, True),
    ("reflected |", lambda d: {"b": 5, "x": 6} | d, True),
    ("| with itself", lambda d: d | d, True),
    ("| with pairs", lambda d: d | [("x", 1)], False),
    ("| with None", lambda d: d | None, False),
    ("reflected | with a list", lambda d: [] | d, False),
    ("== ", lambda d: (d == START, d == {}, d == {"a": 1}, d == {**START, "a": 2}), True),
    ("== is by value", lambda d: [op(d, {"c": 3.0, "b": 2, "a": True}) for op in (eq, ne)], True),
    ("== from the left", lambda d: (START == d, {} == d, {} != d), True),
    ("!=", lambda d: (d != START, d != {}), True),
    ("== with others", lambda d: (d == 1, d == None, d == [("a", 1)], d != "abc"), True),  # noqa: E711
    ("<", lambda d: d < {}, False),
    (">=", lambda d: d >= d, False),
    ("hash", hash, False),
    ("+", lambda d: d + d, False),
    ("-", lambda d: d - d, False),
    ("fromkeys", lambda d: dict(d.fromkeys("ab")), True),
    ("fromkeys with a value", lambda d: dict(d.fromkeys(["x", "y", "x"], 0)), True),
    ("fromkeys of an int", lambda d: d.fromkeys(1), False),
    ("iter is its own", lambda d: [next(iter(d)), next(iter(d))], True),
    ("exhausted iterator", lambda d: next(iter(d.fromkeys(""))), True),
    ("a missing attribute", lambda d: d.no_such_name, False),
]


@pytest.mark.parametrize(("action", "text"), [c[1:] for c in ACTIONS], ids=[c[0] for c in ACTIONS])
@pytest.mark.parametrize("start", [START, {}], ids=["filled", "empty"])
def test_same_as_builtin(manager, start, action, text):
    """The result or the exception, and the content afterwards, are the builtin's."""
    assert_same(action, dict(start), manager.dict(start), text=text)
    manager.segment.check()


@pytest.mark.parametrize("start", [START, {}], ids=["filled", "empty"])
def test_key_error_carries_the_key(impl, start):
    """KeyError.args is the key itself, not its text."""
    d = impl.dict(start)
    for key in (7, "nope", (1, (2,)), None, 2**70, b"x"):
        for action in (d.__getitem__, d.__delitem__, d.pop):
            with pytest.raises(KeyError) as caught:
                action(key)
            assert caught.value.args == (key,)


@pytest.mark.parametrize(
    "make",
    [
        lambda dict_: dict_(),
        lambda dict_: dict_({"a": 1}),
        lambda dict_: dict_([("a", 1), ("b", 2), ("a", 3)]),
        lambda dict_: dict_(a=1, b=2),
        lambda dict_: dict_({"a": 1}, a=2, b=3),
        lambda dict_: dict_(((i, str(i)) for i in range(3)), x=1),
        lambda dict_: dict_(OnlyKeys()),
        lambda dict_: dict_(types.MappingProxyType({"a": 1})),
        lambda dict_: dict_(collections.OrderedDict(b=1, a=2)),
        lambda dict_: dict_(1),
        lambda dict_: dict_([1]),
        lambda dict_: dict_([(1, 2, 3)]),
        lambda dict_: dict_({}, {}),
        lambda dict_: dict_([([], 1)]),
        lambda dict_: dict_(None),
    ],
)
def test_constructor(manager, make):
    """Every form that dict() takes, and every one that it refuses."""
    want, got = outcome(make, dict), outcome(make, manager.dict)
    assert got[0] == want[0]
    assert isinstance(got[1], type(want[1]))
    assert want[0] == "raised" or repr(got[1]) == repr(want[1])


def test_constructor_from_a_shared_one_is_a_copy(impl):
    """dict(other) has the content, not the identity."""
    first = impl.dict(START)
    second = impl.dict(first)
    second["x"] = 1
    assert first == START and len(second) == 4


def test_insertion_order(impl):
    """Order is that of first insertion: overwriting keeps it, a deleted key comes back at the end."""
    d = impl.dict()
    for key in "hello world":
        d[key] = key
    assert list(d) == list(dict.fromkeys("hello world"))
    d["h"] = 1
    assert list(d)[0] == "h"
    del d["h"]
    d["h"] = 2
    assert list(d)[-1] == "h" and list(reversed(d))[0] == "h"
    d.update(e=1, new=2)
    assert list(d)[0] == "e" and list(d)[-1] == "new"


def test_order_survives_growth_and_holes(impl):
    """Growing, deleting every third and filling again keep the order, at any size."""
    d, model = impl.dict(), {}
    for i in range(1000):
        for each in (d, model):
            each[i * 7919 % 1009] = i
            if i % 3 == 0:
                each.pop(i * 31 % 1009, None)
    assert list(d.items()) == list(model.items())
    assert list(reversed(d)) == list(reversed(model))
    while model:
        assert d.popitem() == model.popitem()
    assert not d
    d["again"] = 1
    assert list(d.items()) == [("again", 1)]


def test_popitem_is_lifo_after_deletes(impl):
    """popitem takes the last one still there."""
    d = impl.dict((i, i) for i in range(10))
    for i in (9, 8, 5):
        del d[i]
    d[8] = "new"
    assert [d.popitem() for _ in range(4)] == [(8, "new"), (7, 7), (6, 6), (4, 4)]


def test_delete_from_the_front(impl):
    """A dict used as a queue stays right, and next(iter()) finds the oldest."""
    d = impl.dict()
    for i in range(2000):
        d[i] = i
        if i >= 10:
            oldest = next(iter(d))
            assert oldest == i - 10
            del d[oldest]
    assert list(d) == list(range(1990, 2000))


@pytest.mark.parametrize("change", [lambda d: d.update(new=1), lambda d: d.pop("a"), lambda d: d.clear()])
@pytest.mark.parametrize("walk", [iter, reversed])
def test_size_change_during_iteration(impl, walk, change):
    """RuntimeError, as the builtin's, with its text."""
    d = impl.dict(START)
    steps = walk(d)
    next(steps)
    change(d)
    with pytest.raises(RuntimeError, match="dictionary changed size during iteration"):
        next(steps)


def test_overwriting_during_iteration(impl):
    """Overwriting values is allowed while iterating."""
    d = impl.dict(START)
    for key in d:
        d[key] = d[key] * 10
    assert d == {"a": 10, "b": 20, "c": 30}


def test_iterator_remembers_that_it_ended(impl):
    """An exhausted iterator stays exhausted."""
    d = impl.dict(a=1)
    steps = iter(d)
    assert list(steps) == ["a"]
    d["b"] = 2
    assert list(steps) == []
    assert iter(steps) is steps


def test_iterating_a_copy_of_the_keys_allows_changes(impl):
    """list(d) first, then any change."""
    d = impl.dict((i, i) for i in range(100))
    for key in list(d):
        if key % 2:
            del d[key]
    assert list(d) == list(range(0, 100, 2))


def test_snapshots_do_not_follow(manager):
    """keys, values and items are lists of that moment, as SyncManager's."""
    d = manager.dict(START)
    keys, values, items = d.keys(), d.values(), d.items()
    d["x"] = 9
    assert (keys, values) == (["a", "b", "c"], [1, 2, 3])
    assert items == [("a", 1), ("b", 2), ("c", 3)]
    assert type(keys) is type(values) is type(items) is list


def test_in_place_or(impl):
    """|= takes mappings and pairs, gives the same object, and refuses the rest without a change."""
    d = same = impl.dict(START)
    d |= {"b": 5, "x": 6}
    d |= [("y", 7)]
    d |= ((key, 8) for key in "z")
    assert d is same
    assert list(d.items()) == [("a", 1), ("b", 5), ("c", 3), ("x", 6), ("y", 7), ("z", 8)]
    with pytest.raises(TypeError):
        d |= None
    with pytest.raises(TypeError):
        d |= 3
    assert len(d) == 6


def test_or_gives_a_builtin(impl):
    """d | other, other | d and copy() are plain dicts, independent of d."""
    d = impl.dict(START)
    for made in (d | {}, {} | d, d | d, d.copy()):
        assert type(made) is dict
        made["x"] = 1
    assert "x" not in d


def test_or_takes_two_of_its_kind(impl):
    """| and |= and update take another one."""
    d, e = impl.dict(a=1, b=2), impl.dict(b=3, c=4)
    assert list((d | e).items()) == [("a", 1), ("b", 3), ("c", 4)]
    d.update(e)
    e |= d
    assert d == {"a": 1, "b": 3, "c": 4}
    assert list(e.items()) == [("b", 3), ("c", 4), ("a", 1)]


def test_equality_of_two(impl):
    """Two with the same items are equal in whatever order; and to themselves."""
    d, e = impl.dict([("a", 1), ("b", [2])]), impl.dict([("b", [2]), ("a", 1.0)])
    assert d == e and not d != e and d == d
    e["b"] = [3]
    assert d != e and not d == e


def test_unhashable(impl):
    """It can't be hashed, be a key, or be in a set."""
    d = impl.dict()
    assert type(d).__hash__ is None
    with pytest.raises(TypeError, match="unhashable"):
        hash(d)
    with pytest.raises(TypeError, match="unhashable"):
        d[d] = 1
    assert isinstance(d, collections.abc.Hashable) is False


@pytest.mark.parametrize("key", [[], {}, set(), bytearray(b"x"), (1, []), ((1, {}),)], ids=repr)
def test_unhashable_keys(impl, key):
    """TypeError from everything that takes a key, and nothing changed."""
    d = impl.dict(START)
    actions = [
        lambda: d[key],
        lambda: put(d, key, 1),
        lambda: delete(d, key),
        lambda: key in d,
        lambda: d.get(key),
        lambda: d.setdefault(key, 1),
        lambda: d.pop(key),
        lambda: d.pop(key, 1),
        lambda: d.update([(key, 1)]),
        lambda: d.update([("new", 1), (key, 1)]) if impl.ours else d.update([(key, 1)]),
    ]
    for action in actions:
        with pytest.raises(TypeError, match="unhashable"):
            action()
    assert list(d.items()) == list(START.items())


def test_abstract_classes(impl):
    """It is a MutableMapping, also to the match statement."""
    d = impl.dict(START)
    for kind in (collections.abc.MutableMapping, collections.abc.Mapping, collections.abc.Reversible):
        assert isinstance(d, kind)
    match d:
        case {"a": 1, **rest}:
            assert rest == {"b": 2, "c": 3}
        case _:
            raise AssertionError("not a mapping to match")


def test_values_are_copied(manager):
    """Changing what was put in or what came out does not change the dict, as with SyncManager's."""
    inner = [1]
    d = manager.dict(k=inner)
    inner.append(2)
    d["k"].append(3)
    d.get("k").append(4)
    d.setdefault("k", []).append(5)
    d.values()[0].append(6)
    assert d["k"] == [1]
    assert d["k"] is not d["k"]


def test_shared_containers_are_kept_by_reference(manager):
    """A shared container in a dict is that container, not a copy."""
    d, inner, numbers = manager.dict(), manager.dict(), manager.list()
    d["inner"], d["numbers"] = inner, numbers
    d["inner"]["x"] = 1
    d["numbers"].append(2)
    assert inner["x"] == 1 and numbers[0] == 2
    assert type(d["inner"]) is type(inner)
    del inner, numbers
    assert d["inner"]["x"] == 1 and d["numbers"] == [2]
    assert d == {"inner": {"x": 1}, "numbers": [2]}


def test_text(manager):
    """str shows the content as the builtin's, repr names the object."""
    d = manager.dict({"a": 1, 2: [None]})
    assert str(d) == "{'a': 1, 2: [None]}" == f"{d}"
    assert repr(d).startswith("<") and "Dict" in repr(d)
    assert d._getvalue() == {"a": 1, 2: [None]} and type(d._getvalue()) is dict


def test_text_of_one_that_holds_itself(manager):
    """A cycle has a text, and comes apart again."""
    d = manager.dict()
    d["me"] = d
    assert len(str(d)) < 1000
    assert d["me"]["me"]["me"]._getvalue().keys() == {"me"}
    d.clear()


def test_has_every_method_of_dict(manager):
    """No public name of dict, and no operator, is missing."""
    d = manager.dict()
    inherited = set(dir(object))
    missing = [name for name in dir(dict) if name not in inherited and not hasattr(d, name)]
    assert missing == []


def test_generic_alias(manager):
    """type(d)[str, int] is an annotation."""
    alias = type(manager.dict())[str, int]
    assert alias.__origin__ is type(manager.dict())


def test_fromkeys_on_the_class(manager):
    """The class method makes one with these keys."""
    made = type(manager.dict()).fromkeys("ab", 1)
    assert made == {"a": 1, "b": 1}


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 5000])
def test_many_entries(impl, count):
    """Filling, reading back, and emptying at sizes around the steps of growth."""
    d = impl.dict()
    for i in range(count):
        d[i] = str(i)
        d[str(i)] = i
    assert len(d) == 2 * count
    assert all(d[i] == str(i) and d[str(i)] == i for i in range(count))
    assert -1 not in d and count not in d
    for i in range(count):
        assert d.pop(i) == str(i)
    assert list(d) == [str(i) for i in range(count)]
    d.clear()
    assert len(d) == 0 and list(d) == []


def test_colliding_keys(impl):
    """Keys with equal hashes are still different keys."""
    keys = [i * (2**61 - 1) for i in range(50)] + [i << 32 for i in range(50)] + [-1, -2]
    d = impl.dict((key, index) for index, key in enumerate(keys))
    model = {key: index for index, key in enumerate(keys)}
    assert list(d.items()) == list(model.items())
    for key in list(model)[::2]:
        assert d.pop(key) == model.pop(key)
    assert d == model
