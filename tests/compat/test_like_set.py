"""Manager().set() is the builtin set: every method and operator of Python 3.14's, the same body on both."""

import collections.abc
import copy
import operator

import pytest
from outcomes import outcome

import mpshm

START = (1, 2, "three", (4, 5))


class Thing:
    """Instances differ here, but mean the same as keys, as they do in other processes."""


class Unhashable:
    __hash__ = None


def left(name, other):
    """`x op other`."""
    return lambda x: getattr(operator, name)(x, other)


def right(name, other):
    """`other op x`."""
    return lambda x: getattr(operator, name)(other, x)


def in_place(name, other):
    """`x op= other`: whether that leaves x the same object. None: x itself is the other."""
    return lambda x: getattr(operator, name)(x, x if other is None else other) is x


def assert_same(action, *, text=True, start=START):
    """The action does to ours what it does to the builtin: same result or exception, same content after it."""
    with mpshm.Manager() as manager:
        builtin, ours = set(start), manager.set(start)
        want, got = outcome(action, builtin), outcome(action, ours)
        assert got[0] == want[0], f"builtin {want}, ours {got}"
        if want[0] == "raised":
            assert isinstance(got[1], type(want[1])), f"builtin {want[1]!r}, ours {got[1]!r}"
            assert not text or str(got[1]) == str(want[1])
        else:
            assert type(got[1]) is type(want[1]) and got[1] == want[1], f"builtin {want[1]!r}, ours {got[1]!r}"
        assert ours._getvalue() == builtin
        manager.segment.check()


ACTIONS = [
    ("add", lambda x: x.add(9)),
    ("add what is there", lambda x: x.add(1.0)),
    ("add a list", lambda x: x.add([1])),
    ("add a set", lambda x: x.add({1})),
    ("add a frozenset", lambda x: x.add(frozenset({1}))),
    ("discard", lambda x: x.discard(True)),
    ("discard missing", lambda x: x.discard(9)),
    ("discard a list", lambda x: x.discard([])),
    ("discard a set", lambda x: (x.add(frozenset({1, 2})), x.discard({2, 1}))),
    ("remove", lambda x: x.remove("three")),
    ("remove missing", lambda x: x.remove("four")),
    ("remove a missing tuple", lambda x: x.remove((1, 2))),
    ("remove a set", lambda x: (x.add(frozenset({1, 2})), x.remove({2, 1}))),
    ("remove a missing set", lambda x: x.remove({2, 1})),
    ("remove a dict", lambda x: x.remove({})),
    ("pop until empty", lambda x: {x.pop() for _ in range(4)}),
    ("pop from empty", lambda x: (x.clear(), x.pop())),
    ("clear", lambda x: x.clear()),
    ("len", len),
    ("bool", bool),
    ("in", lambda x: (1 in x, True in x, 1.0 in x, "three" in x, (4, 5) in x, 9 in x, "1" in x)),
    ("a list in", lambda x: [1] in x),
    ("a set in", lambda x: (x.add(frozenset()), set() in x, {1} in x, frozenset() in x)[1:]),
    ("iter", lambda x: set(iter(x))),
    ("list()", lambda x: sorted(map(str, list(x)))),
    ("update by nothing", lambda x: x.update()),
    ("update", lambda x: x.update([7, 8], {9}, "ab", {"k": 1}, (i for i in range(3)))),
    ("update by itself", lambda x: x.update(x, x)),
    ("update by an int", lambda x: x.update(5)),
    ("update by a list of lists", lambda x: x.update([[1]])),
    ("difference_update", lambda x: x.difference_update([1, 9], {2: 0})),
    ("difference_update by nothing", lambda x: x.difference_update()),
    ("difference_update by itself", lambda x: x.difference_update(x)),
    ("difference_update by a list of lists", lambda x: x.difference_update([[1]])),
    ("difference_update by None", lambda x: x.difference_update(None)),
    ("intersection_update", lambda x: x.intersection_update([1, 2, 9], {2: 0})),
    ("intersection_update by one", lambda x: x.intersection_update([1, 1, (4, 5)])),
    ("intersection_update by nothing", lambda x: x.intersection_update()),
    ("intersection_update by an empty one", lambda x: x.intersection_update([])),
    ("intersection_update by itself", lambda x: x.intersection_update(x)),
    ("intersection_update by a list of lists", lambda x: x.intersection_update([[1]])),
    ("intersection_update by an int", lambda x: x.intersection_update([1], 5)),
    ("symmetric_difference_update", lambda x: x.symmetric_difference_update([1, 9, 9, 1])),
    ("symmetric_difference_update by a dict", lambda x: x.symmetric_difference_update({1: 2, 3: 4})),
    ("symmetric_difference_update by itself", lambda x: x.symmetric_difference_update(x)),
    ("symmetric_difference_update by an int", lambda x: x.symmetric_difference_update(1)),
    ("union", lambda x: x.union([7], "ab", {9: 0})),
    ("union of nothing", lambda x: x.union()),
    ("union by an int", lambda x: x.union(1)),
    ("intersection", lambda x: x.intersection([1, 2], (2, 3))),
    ("difference", lambda x: x.difference([1], (2,))),
    ("symmetric_difference", lambda x: x.symmetric_difference([1, 1, 7])),
    ("isdisjoint", lambda x: (x.isdisjoint([7]), x.isdisjoint("three"), x.isdisjoint([1]), x.isdisjoint(x))),
    ("issubset", lambda x: (x.issubset(x), x.issubset([1]), x.issubset([*START, 9]))),
    ("issuperset", lambda x: (x.issuperset(x), x.issuperset([1]), x.issuperset([9]))),
    ("copy", lambda x: x.copy()),
    ("== !=", lambda x: (x == set(START), x == frozenset(START), x == x, x == list(START), x != {1}, x == None)),  # noqa: E711
    ("< <=", lambda x: (x < {*START, 9}, x < set(START), x <= set(START), x <= {1}, x <= frozenset(START))),
    ("> >=", lambda x: (x > {1}, x > set(START), x >= set(START), x >= {9}, x >= x)),
    ("< a list", lambda x: x < [1]),
    (">= None", lambda x: x >= None),
]
BINARY = ("or_", "and_", "sub", "xor")
IN_PLACE = ("ior", "iand", "isub", "ixor")
SETS = (("a set", {1, 9}), ("a frozenset", frozenset({2, "three", 7})), ("an empty one", set()))
OTHERS = (("a list", [1]), ("a str", "ab"), ("an int", 5))
ACTIONS += [(f"{name} {kind}", left(name, other)) for name in BINARY for kind, other in SETS + OTHERS]
ACTIONS += [(f"{name} keys", left(name, {1: 0, 7: 0}.keys())) for name in BINARY]
ACTIONS += [(f"right {name} {kind}", right(name, other)) for name in BINARY for kind, other in SETS + OTHERS]
ACTIONS += [(f"{name} {kind}", in_place(name, other)) for name in IN_PLACE for kind, other in SETS + OTHERS]
ACTIONS += [(f"{name} itself", in_place(name, None)) for name in IN_PLACE]
NAMES_THE_TYPE = ("or_", "and_", "sub", "xor", "ior", "iand", "isub", "ixor", "right", "<", ">=")


@pytest.mark.parametrize(("what", "action"), ACTIONS, ids=[each[0] for each in ACTIONS])
def test_every_method(what, action):
    """Each call gives, raises and leaves what the builtin's does."""
    assert_same(action, text=not what.startswith(NAMES_THE_TYPE))


@pytest.mark.parametrize(
    "args",
    [(), ([],), ("abca",), ({1: 2},), ({1, 2},), (range(5),), (iter("xy"),), (1,), (None,), ([1], [2]), ([[]],)],
    ids=lambda args: repr(args)[:20],
)
def test_construction(manager, args):
    """set(...) and m.set(...) take the same."""
    keep = [list(arg) if isinstance(arg, collections.abc.Iterator) else arg for arg in args]
    want = outcome(lambda make: make(*keep), set)
    for make in (manager.set, mpshm.Set):
        got = outcome(lambda make: make(*keep), make)
        assert got[0] == want[0]
        assert got[1] == want[1] if got[0] == "returned" else isinstance(got[1], type(want[1]))


def test_keyword_arguments_are_refused():
    """As set's."""
    with pytest.raises(TypeError):
        mpshm.Set(iterable=[1])


def test_initializing_again(impl):
    """A second __init__ makes its argument the content."""
    x = impl.set([1, 2])
    x.__init__("ab")
    assert x == {"a", "b"}
    x.__init__()
    assert x == set()


def test_results_are_builtins(impl):
    """What an operator or method makes is a plain set of its own, or of the left one's type."""
    x = impl.set([1, 2])
    for made in (x | {3}, x & {1}, x - {1}, x ^ {1}, {3} | x, {1} & x, {1} - x, {1} ^ x, x.union(), x.copy()):
        assert type(made) is set
        made.add("mine")
    assert x == {1, 2}
    assert type(frozenset({3}) | x) is frozenset


def test_two_of_a_kind(impl):
    """All operators with another one of the same kind."""
    x, y = impl.set([1, 2]), impl.set([2, 3])
    assert (x | y, x & y, x - y, x ^ y) == ({1, 2, 3}, {2}, {1}, {1, 3})
    assert not x < y and not x >= y and x != y and x == impl.set([2, 1.0]) and x <= impl.set([1, 2, 3])
    assert not x.isdisjoint(y) and x.issubset(x) and x.union(y) == {1, 2, 3}
    x |= y
    assert x == {1, 2, 3}
    x -= y
    assert x == {1}
    x ^= y
    assert x == {1, 2, 3}
    x &= y
    assert x == {2, 3} and y == {2, 3}
    x.update(y, [4])
    x.intersection_update(y, [2, 9])
    x.symmetric_difference_update(y)
    assert x == {3}
    x.difference_update(y)
    assert x == set()


def test_a_shared_set_as_a_key_to_look_for(manager):
    """It stands for the frozenset that equals it, as a set does."""
    x, key = manager.set([frozenset({1, 2})]), manager.set([2, 1])
    assert key in x and {1, 2} in x
    x.discard(key)
    assert len(x) == 0
    with pytest.raises(KeyError) as error:
        x.remove(key)
    assert error.value.args == (key,)
    with pytest.raises(TypeError, match="unhashable"):
        x.add(key)


def test_keys_that_mean_the_same(manager):
    """Two objects here that are one key everywhere count once."""
    x = manager.set([1])
    x ^= {Thing(), Thing()}
    assert len(x) == 2
    x ^= {Thing(), Thing(), 1}
    assert len(x) == 0
    x.update([Thing()], [Thing()])
    assert len(x) == 1 and Thing() in x


def test_failing_changes_nothing(manager):
    """A key that can't be stored, at the end of many, leaves all as it was."""
    x = manager.set([1, 2])
    for change in (x.update, x.symmetric_difference_update, x.intersection_update, x.difference_update):
        with pytest.raises(TypeError):
            change([1, 5, Unhashable()])
        assert x == {1, 2}
    with pytest.raises(ZeroDivisionError):
        x.update(1 // (3 - i) for i in range(5))
    assert x == {1, 2}


def test_iterating_while_the_size_changes(impl):
    """RuntimeError, as soon as the next key is asked for; a change that leaves the size does not matter."""
    for change in (
        lambda x: x.add(9),
        lambda x: x.remove(1),
        lambda x: x.pop(),
        lambda x: x.clear(),
        lambda x: x.update([9, 10]),
        lambda x: x.difference_update([1]),
        lambda x: x.intersection_update([1]),
        lambda x: x.symmetric_difference_update([9]),
    ):
        x = impl.set([1, 2, 3])
        steps = iter(x)
        next(steps)
        change(x)
        with pytest.raises(RuntimeError, match="Set changed size during iteration"):
            next(steps)
        assert steps.__length_hint__() == 0
    x = impl.set([1, 2, 3])
    seen = set()
    for key in x:
        seen.add(key)
        x.discard(7)
        x.add(1)
    assert seen == {1, 2, 3}


def test_iterator(impl):
    """It is its own iterator, tells how much is to come, and stays at its end."""
    x = impl.set([1])
    steps = iter(x)
    assert iter(steps) is steps and steps.__length_hint__() == 1
    assert list(steps) == [1] == list(x) and list(steps) == []


def test_other_processes_do_not_disturb(manager, other):
    """What another process puts in meanwhile neither shows nor raises."""
    x = manager.set([1, 2])
    steps = iter(x)
    other.call(x, "add", 3)
    other.call(x, "update", [4, (5, "six")])
    assert set(steps) == {1, 2}
    assert x == {1, 2, 3, 4, (5, "six")}
    assert other.call(x, "__contains__", (5, "six")) is True
    assert other.call(x, "issuperset", [1, 3]) is True


def test_values_of_all_kinds(impl):
    """Keys come back as they were put in."""
    keys = [None, 2.5, 1 << 80, -(1 << 70), "\udcff", "ä", "x" * 5000, b"bytes", (1, (2, None)), frozenset({1}), 1j]
    x = impl.set(keys)
    assert len(x) == len(keys)
    assert sorted(map(repr, x)) == sorted(map(repr, keys))
    for key in keys:
        assert key in x
        x.remove(key)
    assert not x


def test_shared_containers_keep_it_by_reference(manager):
    """A shared set in a shared container is that set; it lives as long as the container."""
    d, x = manager.dict(), manager.set([1])
    d["s"] = x
    d["s"].add(2)
    assert x == {1, 2}
    del x
    assert d["s"] == {1, 2}
    d["s"] |= {3}
    assert d == {"s": {1, 2, 3}}
    assert d.pop("s") == {1, 2, 3}


def test_text(manager):
    """str shows the content as the builtin's, repr names the object."""
    x = manager.set(["a"])
    assert str(x) == "{'a'}" == f"{x}"
    assert str(manager.set()) == "set()"
    assert repr(x).startswith("<mpshm.Set object, typeid 'set'")
    assert x._getvalue() == {"a"} and type(x._getvalue()) is set


def test_unhashable(impl):
    """It can't be hashed."""
    assert type(impl.set()).__hash__ is None
    with pytest.raises(TypeError, match="unhashable"):
        hash(impl.set())


def test_abstract_classes(impl):
    """It is a MutableSet; it has every public name of set."""
    x = impl.set()
    assert isinstance(x, collections.abc.MutableSet) and isinstance(x, collections.abc.Set)
    inherited = set(dir(object))
    assert [name for name in dir(set) if name not in inherited and not hasattr(x, name)] == []
    assert type(x)[int].__origin__ is type(x)


def test_deepcopy(impl):
    """A deep copy is a plain set of its own, once for every mention."""
    x = impl.set([1, (2, 3)])
    one, two = copy.deepcopy([x, x])
    assert type(one) is set and one == {1, (2, 3)} and one is two
    one.add(9)
    assert 9 not in x


def test_lock(manager, other):
    """While its lock is held here, another process's change waits."""
    x = manager.set()
    with x.lock:
        x.add(1)
        with pytest.raises(TimeoutError):
            other.call(x, "add", 2, timeout=0.3)
        assert x == {1}
    assert other.pipe.recv() == (True, None)
    assert x == {1, 2}


@pytest.mark.parametrize("count", [1, 4, 5, 6, 21, 22, 100, 10000])
def test_many_keys(impl, count):
    """Sizes around the steps of growth; what was taken out leaves no trace."""
    x = impl.set(range(count))
    x.update(str(i) * 3 for i in range(count))
    assert len(x) == 2 * count
    x &= {*range(count), "not there"}
    assert x == set(range(count))
    x ^= set(range(count // 2, 2 * count))
    assert x == set(range(count // 2)) | set(range(count, 2 * count))
    x -= set(range(count, 2 * count))
    for i in range(count // 2):
        x.remove(i)
    assert len(x) == 0 and x == set()
