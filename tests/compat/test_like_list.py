"""Manager().list() is the builtin list: every method and operator of Python 3.14's, the same body on both."""

import collections
import collections.abc
import copy
import functools
import operator
import random
import sys

import pytest
from outcomes import assert_same, outcome
from samples import BadIndex, Index, delete, put

START = [3, 1, 2, 1]
BIG = 2**100


def add_in_place(x, other):
    x += other


def times_in_place(x, other):
    x *= other


# (what it shows, action, whether the text of the exception must be the same)
ACTIONS = [
    ("get", lambda x: [x[i] for i in range(-len(x), len(x))], True),
    ("get beyond", lambda x: x[4], True),
    ("get before", lambda x: x[-5], True),
    ("get by bool", lambda x: x[True], True),
    ("get by __index__", lambda x: x[Index(-1)], True),
    ("get by an __index__ that fails", lambda x: x[BadIndex()], True),
    ("get by float", lambda x: x[1.0], True),
    ("get by str", lambda x: x["a"], True),
    ("get by None", lambda x: x[None], True),
    ("get by tuple", lambda x: x[1, 2], True),
    ("get by a big int", lambda x: x[BIG], True),
    ("get by maxsize", lambda x: x[sys.maxsize], True),
    ("get by -maxsize", lambda x: x[-sys.maxsize - 1], True),
    ("set", lambda x: (put(x, 0, "a"), put(x, -1, "z")), True),
    ("set beyond", lambda x: put(x, 4, 1), True),
    ("set before", lambda x: put(x, -5, 1), True),
    ("set by str", lambda x: put(x, "a", 1), True),
    ("set by a big int", lambda x: put(x, BIG, 1), True),
    ("delete", lambda x: (delete(x, 0), delete(x, -1)), True),
    ("delete beyond", lambda x: delete(x, 4), True),
    ("delete before", lambda x: delete(x, -5), True),
    ("delete by str", lambda x: delete(x, "a"), True),
    ("append", lambda x: x.append("new"), True),
    ("append nothing", lambda x: x.append(), False),
    ("append two", lambda x: x.append(1, 2), False),
    ("extend by list", lambda x: x.extend([7, 8]), True),
    ("extend by generator", lambda x: x.extend(i * i for i in range(3)), True),
    ("extend by str", lambda x: x.extend("ab"), True),
    ("extend by dict", lambda x: x.extend({"k": 1}), True),
    ("extend by itself", lambda x: x.extend(x), True),
    ("extend by its iterator's slice", lambda x: x.extend(reversed(x[:])), True),
    ("extend by nothing", lambda x: x.extend([]), True),
    ("extend by an int", lambda x: x.extend(1), True),
    ("extend by None", lambda x: x.extend(None), True),
    ("insert at all places", lambda x: [x.insert(i, i) for i in (0, 1, -1, 3, -2, len(x))], True),
    ("insert out of range", lambda x: (x.insert(100, "end"), x.insert(-100, "start")), True),
    ("insert at maxsize", lambda x: (x.insert(sys.maxsize, 1), x.insert(-sys.maxsize - 1, 2)), True),
    ("insert at a big int", lambda x: x.insert(BIG, 1), True),
    ("insert by __index__", lambda x: x.insert(Index(1), "i"), True),
    ("insert by str", lambda x: x.insert("a", 1), False),
    ("insert one argument", lambda x: x.insert(1), False),
    ("pop", lambda x: x.pop(), True),
    ("pop first and second to last", lambda x: (x.pop(0), x.pop(-2)), True),
    ("pop by __index__", lambda x: x.pop(Index(1)), True),
    ("pop beyond", lambda x: x.pop(4), True),
    ("pop before", lambda x: x.pop(-5), True),
    ("pop a big int", lambda x: x.pop(BIG), True),
    ("pop by str", lambda x: x.pop("a"), False),
    ("pop by None", lambda x: x.pop(None), False),
    ("pop two arguments", lambda x: x.pop(1, 2), False),
    ("pop until empty", lambda x: [x.pop() for _ in range(5)], True),
    ("remove", lambda x: x.remove(1), True),
    ("remove by equal", lambda x: x.remove(1.0), True),
    ("remove missing", lambda x: x.remove(9), True),
    ("clear", lambda x: x.clear(), True),
    ("index", lambda x: (x.index(1), x.index(3), x.index(True), x.index(1.0)), True),
    ("index missing", lambda x: x.index(9), False),
    ("index from", lambda x: x.index(1, 2), True),
    ("index from to", lambda x: x.index(1, 2, 3), False),
    ("index negative from to", lambda x: (x.index(1, -3), x.index(1, -1), x.index(2, -4, -1)), True),
    ("index far out", lambda x: (x.index(3, -100), x.index(1, 0, 100)), True),
    ("index beyond", lambda x: x.index(3, 100), False),
    ("index with big ints", lambda x: x.index(1, -BIG, BIG), True),
    ("index with __index__", lambda x: x.index(1, Index(2), Index(4)), True),
    ("index from None", lambda x: x.index(1, None), False),
    ("index nothing", lambda x: x.index(), False),
    ("count", lambda x: (x.count(1), x.count(9), x.count(True), x.count("1")), True),
    ("reverse", lambda x: x.reverse(), True),
    ("reversed", lambda x: list(reversed(x)), True),
    ("sort", lambda x: x.sort(), True),
    ("sort backwards", lambda x: x.sort(reverse=True), True),
    ("sort by key", lambda x: x.sort(key=lambda v: -v), True),
    ("sort by no key", lambda x: x.sort(key=None, reverse=0), True),
    ("sort by cmp_to_key", lambda x: x.sort(key=functools.cmp_to_key(lambda a, b: b - a)), True),
    ("sort by position", lambda x: x.sort(lambda v: v), False),
    ("sort by unknown keyword", lambda x: x.sort(cmp=None), False),
    ("sort by a key that is not callable", lambda x: x.sort(key=1), False),
    ("sorted, min, max, sum", lambda x: (sorted(x), min(x), max(x), sum(x)), True),
    ("copy", lambda x: x.copy(), True),
    ("list()", list, True),
    ("tuple()", tuple, True),
    ("set()", set, True),
    ("unpacking", lambda x: [*x, *x], True),
    ("len", len, True),
    ("bool", bool, True),
    ("in", lambda x: (1 in x, 1.0 in x, True in x, 9 in x, "1" in x, None not in x), True),
    ("+", lambda x: x + [9], True),
    ("+ itself", lambda x: x + x, True),
    ("+ tuple", lambda x: x + (9,), False),
    ("+ None", lambda x: x + None, False),
    ("reflected +", lambda x: [9] + x, True),
    ("*", lambda x: (x * 2, x * 1, x * 0, x * -1, 3 * x, x * True), True),
    ("* __index__", lambda x: x * Index(2), True),
    ("* float", lambda x: x * 1.0, False),
    ("* str", lambda x: x * "a", False),
    ("* list", lambda x: x * x, False),
    ("* big int", lambda x: (x.append(1), x * BIG), False),
    ("* maxsize", lambda x: (x.append(1), x.append(1), x * sys.maxsize), False),
    ("+= list", lambda x: add_in_place(x, [9]), True),
    ("+= str", lambda x: add_in_place(x, "ab"), True),
    ("+= tuple", lambda x: add_in_place(x, (8, 9)), True),
    ("+= dict", lambda x: add_in_place(x, {"k": 1}), True),
    ("+= generator", lambda x: add_in_place(x, (i for i in range(3))), True),
    ("+= itself", lambda x: add_in_place(x, x), True),
    ("+= int", lambda x: add_in_place(x, 1), True),
    ("*= 3", lambda x: times_in_place(x, 3), True),
    ("*= 1", lambda x: times_in_place(x, 1), True),
    ("*= 0", lambda x: times_in_place(x, 0), True),
    ("*= -5", lambda x: times_in_place(x, -5), True),
    ("*= __index__", lambda x: times_in_place(x, Index(2)), True),
    ("*= str", lambda x: times_in_place(x, "a"), False),
    ("*= float", lambda x: times_in_place(x, 1.0), False),
    ("*= big int", lambda x: (x.append(1), times_in_place(x, BIG)), False),
    ("*= 2**62", lambda x: (x.append(1), times_in_place(x, 2**62)), False),
    ("==", lambda x: (x == START, x == [], x == [3, 1, 2, 2], x == START[:-1], x == START + [1]), True),
    ("== is by value", lambda x: (x == [3.0, True, 2, 1.0], x != [3.0, True, 2, 1.0]), True),
    ("== from the left", lambda x: (START == x, START != x, [] == x), True),
    ("== with others", lambda x: (x == tuple(START), x != tuple(START), x == 1, x == None, x == "a"), True),  # noqa: E711
    ("<", lambda x: (x < [3, 1, 3], x < START, x < [], x < [3], [2] < x, [4] < x), True),
    ("<=", lambda x: (x <= [3, 1, 3], x <= START, x <= [], START <= x), True),
    (">", lambda x: (x > [3, 1, 3], x > START, x > [], x > [3], [2] > x), True),
    (">=", lambda x: (x >= [3, 1, 3], x >= START, x >= [], START >= x), True),
    ("< of what does not compare", lambda x: (x.insert(0, 1), x < ["a"]), True),
    ("< with others", lambda x: x < (1, 2), False),
    ("> with others", lambda x: x > 1, False),
    ("hash", hash, False),
    ("-", lambda x: x - x, False),
    ("|", lambda x: x | x, False),
    ("a missing attribute", lambda x: x.no_such_name, False),
    ("length hint", lambda x: len(list(iter(x))) == operator.length_hint(iter(x)), True),
]


@pytest.mark.parametrize(("action", "text"), [c[1:] for c in ACTIONS], ids=[c[0] for c in ACTIONS])
@pytest.mark.parametrize("start", [START, []], ids=["filled", "empty"])
def test_same_as_builtin(manager, start, action, text):
    """The result or the exception, and the content afterwards, are the builtin's."""
    assert_same(action, list(start), manager.list(start), text=text)
    manager.segment.check()


@pytest.mark.parametrize(
    "make",
    [
        lambda list_: list_(),
        lambda list_: list_([]),
        lambda list_: list_("abc"),
        lambda list_: list_((1, [2])),
        lambda list_: list_(range(1000)),
        lambda list_: list_({"a": 1}),
        lambda list_: list_(i for i in range(5)),
        lambda list_: list_(collections.deque([1, 2])),
        lambda list_: list_(1),
        lambda list_: list_(None),
        lambda list_: list_([], []),
        lambda list_: list_(iterable=[1]),
    ],
)
def test_constructor(manager, make):
    """Every form that list() takes, and every one that it refuses."""
    want, got = outcome(make, list), outcome(make, manager.list)
    assert got[0] == want[0]
    assert isinstance(got[1], type(want[1]))
    assert want[0] == "raised" or repr(got[1]) == repr(want[1])


BOUNDS = [None, 0, 1, 2, 4, 5, 100, -1, -2, -5, -6, -100]
STEPS = [None, 1, 2, 3, 7, -1, -2, -3, -7]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", [0, 1, 5])
def test_slices_read_and_deleted(manager, size, step):
    """Reading and deleting a slice of any bounds and step."""
    for start in BOUNDS:
        for stop in BOUNDS:
            part = slice(start, stop, step)
            assert_same(lambda x, part=part: x[part], list(range(size)), manager.list(range(size)))
            assert_same(lambda x, part=part: delete(x, part), list(range(size)), manager.list(range(size)))


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("new", [[], ["a"], ["a", "b"], list("abc"), list("abcdefgh")], ids=len)
def test_slices_assigned(manager, new, step):
    """Assigning any number of items to a slice of any bounds and step: the result, or ValueError's text."""
    for start in BOUNDS:
        for stop in (None, 0, 2, 5, -1, -6, 100):
            part = slice(start, stop, step)
            action = lambda x, part=part: put(x, part, new)  # noqa: E731
            assert_same(action, list(range(5)), manager.list(range(5)), text=True)


@pytest.mark.parametrize(
    "action",
    [
        lambda x: x[::0],
        lambda x: put(x, slice(None, None, 0), [1]),
        lambda x: delete(x, slice(None, None, 0)),
        lambda x: x["a":],
        lambda x: x[:1.5],
        lambda x: put(x, slice(0, 1), 5),
        lambda x: put(x, slice(0, 1), None),
        lambda x: put(x, slice(0, 3, 2), 5),
        lambda x: put(x, slice(0, 1), "xyz"),
        lambda x: put(x, slice(0, 1), (c for c in "xyz")),
        lambda x: put(x, slice(0, 1), {"k": 1}),
        lambda x: put(x, slice(1, 2), x),
        lambda x: put(x, slice(None), x),
        lambda x: put(x, slice(None, None, -1), x),
        lambda x: put(x, slice(None, None, 2), x),
        lambda x: put(x, slice(2, 0), ["in", "between"]),
        lambda x: put(x, slice(Index(1), Index(3)), [0]),
        lambda x: x[Index(1) : Index(3)],
        lambda x: x[BadIndex() :],
        lambda x: x[-BIG:BIG],
        lambda x: x[BIG:-BIG:-1],
        lambda x: x[:: sys.maxsize],
        lambda x: x[:: -sys.maxsize - 1],
        lambda x: delete(x, slice(None, None, BIG)),
        lambda x: put(x, slice(BIG, BIG), [7]),
    ],
)
def test_unusual_slices(manager, action):
    """What is not an ordinary slice gives what the builtin gives."""
    assert_same(action, list(START), manager.list(START))


def test_slices_are_builtins(impl):
    """Slices, + and *, and copy() are plain lists of their own."""
    x = impl.list(START)
    for made in (x[:], x[1:2], x[::-1], x + [], [] + x, x * 2, 2 * x, x.copy()):
        assert type(made) is list
        made.append("mine")
    assert x == START


def test_large_slices(impl):
    """Moving large parts about keeps every item."""
    x, model, rng = impl.list(range(3000)), list(range(3000)), random.Random(5)
    for _ in range(60):
        start, stop = rng.randrange(3500), rng.randrange(3500)
        new = [rng.random() if rng.random() < 0.5 else str(rng.random()) for _ in range(rng.choice([0, 1, 50, 1000]))]
        for each in (x, model):
            each[start:stop] = new
            del each[stop : start : rng.choice([1])]
        assert len(x) == len(model)
    assert x == model


def test_operators_give_the_same_object(impl):
    """+= and *= change in place."""
    x = same = impl.list([1])
    x += [2]
    x *= 2
    assert x is same and x == [1, 2, 1, 2]


def test_two_of_a_kind(impl):
    """All comparisons, + , extend and slices with another one of the same kind."""
    x, y = impl.list([1, 2]), impl.list([1, 3])
    assert x < y and x <= y and not x > y and not x >= y and x != y and not x == y
    assert x == impl.list([1, 2.0]) and x <= impl.list([1, 2]) and x == x
    assert x + y == [1, 2, 1, 3]
    x.extend(y)
    x[1:1] = y
    x += y
    assert x == [1, 1, 3, 2, 1, 3, 1, 3]


def test_errors_keep_the_content(impl):
    """What fails changes nothing."""
    x = impl.list(START)
    for action in (
        lambda: put(x, slice(None, None, 2), [1]),
        lambda: put(x, 10, 1),
        lambda: x.pop(10),
        lambda: x.remove("z"),
        lambda: x.extend(5),
        lambda: put(x, slice(0, 2), 5),
    ):
        with pytest.raises((ValueError, IndexError, TypeError)):
            action()
        assert x == START


def test_sort_is_stable(impl):
    """Equal items keep their order, also backwards."""
    pairs = [(i * 7919 % 10, i) for i in range(500)]
    for reverse in (False, True):
        x = impl.list(pairs)
        x.sort(key=lambda pair: pair[0], reverse=reverse)
        assert x == sorted(pairs, key=lambda pair: pair[0], reverse=reverse)


@pytest.mark.parametrize("size", [0, 1, 2, 31, 64, 1000, 5000])
def test_sort_of_any_size(impl, size):
    """Numbers, strings and tuples, sorted and half sorted."""
    rng = random.Random(size)
    for make in (rng.random, lambda: str(rng.random()), lambda: (rng.randrange(5), rng.random())):
        model = [make() for _ in range(size)]
        x = impl.list(model)
        x.sort()
        model.sort()
        assert x == model
        x.append(model[0] if model else make())
        x.sort(reverse=True)
        assert x == sorted(x, reverse=True)


def test_sort_that_fails_keeps_every_item(impl):
    """After an exception in a comparison all items are still there."""
    x = impl.list([3, "a", 1, None, 2])
    with pytest.raises(TypeError):
        x.sort()
    assert len(x) == 5 and sorted(map(str, x)) == ["1", "2", "3", "None", "a"]


def test_iteration_while_growing(impl):
    """Iteration is by index, and sees what is appended meanwhile."""
    x = impl.list([1, 2])
    seen = []
    for value in x:
        seen.append(value)
        if len(x) < 6:
            x.append(value * 10)
    assert seen == [1, 2, 10, 20, 100, 200] == x


def test_iteration_while_shrinking(impl):
    """Iteration ends when the list has become shorter than where it is."""
    x = impl.list(range(10))
    seen = []
    for value in x:
        seen.append(value)
        x.pop()
    assert seen == [0, 1, 2, 3, 4]
    x = impl.list(range(5))
    backwards = reversed(x)
    assert next(backwards) == 4
    x[:] = [7]
    assert list(backwards) == []


def test_iteration_while_removing_in_front(impl):
    """The well-known skipping of every other item."""
    x = impl.list(range(10))
    for value in x:
        x.remove(value)
    assert x == [1, 3, 5, 7, 9]


def test_iterator_remembers_that_it_ended(impl):
    """An exhausted iterator stays so when the list grows."""
    x = impl.list([1])
    steps = iter(x)
    assert list(steps) == [1]
    x.append(2)
    assert list(steps) == []
    assert iter(steps) is steps


def test_values_are_copied(manager):
    """Changing what was put in or came out does not change the list, as with SyncManager's."""
    inner = [1]
    x = manager.list([inner])
    inner.append(2)
    x[0].append(3)
    x[:][0].append(4)
    next(iter(x)).append(5)
    assert x == [[1]]


def test_shared_lists_are_kept_by_reference(manager):
    """A shared list in a list is that list."""
    outer, inner = manager.list(), manager.list([1])
    outer.append(inner)
    outer.append(inner)
    outer[0].append(2)
    assert inner == [1, 2] == outer[1] and outer == [[1, 2], [1, 2]]
    assert outer.index([1, 2]) == 0 and outer.count(inner) == 2 and inner in outer
    del inner
    outer[0].append(3)
    assert outer.pop() == [1, 2, 3]
    assert outer[0] == [1, 2, 3]


def test_multiplied_references(manager):
    """x *= n repeats the references, and each is let go of once."""
    outer = manager.list([manager.list()])
    outer *= 100
    outer[5].append("seen")
    assert all(each == ["seen"] for each in outer)
    del outer[1:]
    assert outer[0] == ["seen"]
    outer.clear()
    manager.segment.check()


def test_list_of_itself(manager):
    """A cycle has a text and a comparison with others, and comes apart again."""
    x = manager.list([1])
    x.append(x)
    assert len(str(x)) < 1000
    assert x[1][1][1][0] == 1 and x != [1]
    x.clear()
    assert x == []


def test_text(manager):
    """str shows the content as the builtin's, repr names the object."""
    x = manager.list([1, "a", [None]])
    assert str(x) == "[1, 'a', [None]]" == f"{x}"
    assert repr(x).startswith("<") and "List" in repr(x)
    assert x._getvalue() == [1, "a", [None]] and type(x._getvalue()) is list


def test_unhashable(impl):
    """It can't be hashed."""
    x = impl.list()
    assert type(x).__hash__ is None
    with pytest.raises(TypeError, match="unhashable"):
        hash(x)


def test_abstract_classes(impl):
    """It is a MutableSequence, also to the match statement."""
    x = impl.list(START)
    for kind in (collections.abc.MutableSequence, collections.abc.Sequence, collections.abc.Reversible):
        assert isinstance(x, kind)
    match x:
        case [3, *rest]:
            assert rest == [1, 2, 1]
        case _:
            raise AssertionError("not a sequence to match")


def test_has_every_method_of_list(manager):
    """No public name of list, and no operator, is missing."""
    x = manager.list()
    inherited = set(dir(object))
    missing = [name for name in dir(list) if name not in inherited and not hasattr(x, name)]
    assert missing == []


def test_generic_alias(manager):
    """type(x)[int] is an annotation."""
    alias = type(manager.list())[int]
    assert alias.__origin__ is type(manager.list())


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8, 9, 100, 10000])
def test_many_items(impl, count):
    """Appending and popping at sizes around the steps of growth."""
    x = impl.list()
    for i in range(count):
        x.append(i)
        x.append(str(i) * 3)
    assert len(x) == 2 * count
    assert x[::2] == list(range(count)) and x[-1] == str(count - 1) * 3
    for i in reversed(range(count)):
        assert x.pop() == str(i) * 3
        assert x.pop() == i
    assert len(x) == 0 and x == []


def test_front_and_back(impl):
    """Used as a queue and as a stack, beside the model."""
    x, model = impl.list(), collections.deque()
    for i in range(3000):
        if i % 3:
            x.append(i)
            model.append(i)
        else:
            x.insert(0, str(i))
            model.appendleft(str(i))
        if i % 5 == 4:
            assert x.pop(0) == model.popleft()
            assert x.pop() == model.pop()
    assert x == list(model)


def test_deepcopy_of_the_content(impl):
    """copy.deepcopy of a slice is the content's."""
    x = impl.list([[1], {"a": [2]}])
    made = copy.deepcopy(x[:])
    made[0].append(9)
    assert x == [[1], {"a": [2]}]
