"""Manager().deque() is collections.deque: every method and operator of Python 3.14's, the same body on both."""

import collections
import collections.abc
import copy
import operator
import sys

import pytest
from outcomes import assert_same, outcome
from samples import BadIndex, Index, delete, put

import mpshm

START = [3, 1, 2, 1]
BIG = 2**100


# (what it shows, action, whether the text of the exception must be the same)
ACTIONS = [
    ("get", lambda x: [x[i] for i in range(-len(x), len(x))], True),
    ("get beyond", lambda x: x[100], True),
    ("get before", lambda x: x[-100], True),
    ("get by bool", lambda x: x[True], True),
    ("get by __index__", lambda x: x[Index(-1)], True),
    ("get by an __index__ that fails", lambda x: x[BadIndex()], True),
    ("get by float", lambda x: x[1.0], True),
    ("get by str", lambda x: x["a"], True),
    ("get a slice", lambda x: x[0:1], True),
    ("get by a big int", lambda x: x[BIG], True),
    ("get by maxsize", lambda x: x[sys.maxsize], True),
    ("get by -maxsize", lambda x: x[-sys.maxsize - 1], True),
    ("set", lambda x: (put(x, 0, "a"), put(x, -1, "z" * 50)), True),
    ("set beyond", lambda x: put(x, 100, 1), True),
    ("set before", lambda x: put(x, -100, 1), True),
    ("set a slice", lambda x: put(x, slice(0, 1), []), False),
    ("delete", lambda x: (delete(x, 0), delete(x, -1), delete(x, 0)), True),
    ("delete beyond", lambda x: delete(x, 100), True),
    ("delete before", lambda x: delete(x, -100), True),
    ("delete a slice", lambda x: delete(x, slice(0, 1)), False),
    ("append", lambda x: x.append("new"), True),
    ("appendleft", lambda x: x.appendleft("new"), True),
    ("append nothing", lambda x: x.append(), False),
    ("append two", lambda x: x.append(1, 2), False),
    ("pop", lambda x: (x.pop(), x.pop()), True),
    ("popleft", lambda x: (x.popleft(), x.popleft()), True),
    ("pop with an argument", lambda x: x.pop(0), False),
    ("pop until empty", lambda x: [x.pop() for _ in range(5)], True),
    ("popleft until empty", lambda x: [x.popleft() for _ in range(5)], True),
    ("extend by list", lambda x: x.extend([7, 8]), True),
    ("extend by generator", lambda x: x.extend(i * i for i in range(3)), True),
    ("extend by str", lambda x: x.extend("abcdefg"), True),
    ("extend by itself", lambda x: x.extend(x), True),
    ("extend by nothing", lambda x: x.extend([]), True),
    ("extend by an int", lambda x: x.extend(1), True),
    ("extend by None", lambda x: x.extend(None), True),
    ("extendleft by list", lambda x: x.extendleft([7, 8]), True),
    ("extendleft by a long str", lambda x: x.extendleft("abcdefghijklm"), True),
    ("extendleft by itself", lambda x: x.extendleft(x), True),
    ("extendleft by an int", lambda x: x.extendleft(1), True),
    ("insert at all places", lambda x: [x.insert(i, i) for i in (0, 1, -1, 3, -2, len(x))], True),
    ("insert out of range", lambda x: (x.insert(100, "end"), x.insert(-100, "start")), True),
    ("insert at maxsize", lambda x: (x.insert(sys.maxsize, 1), x.insert(-sys.maxsize - 1, 2)), True),
    ("insert at a big int", lambda x: x.insert(BIG, 1), True),
    ("insert by str", lambda x: x.insert("a", 1), False),
    ("insert one argument", lambda x: x.insert(1), False),
    ("remove", lambda x: x.remove(1), True),
    ("remove by equal", lambda x: x.remove(1.0), True),
    ("remove missing", lambda x: x.remove(9), True),
    ("rotate", lambda x: x.rotate(), True),
    ("rotate by several", lambda x: [x.rotate(n) or list(x) for n in (0, 2, -1, 7, -9, BIG // BIG)], True),
    ("rotate by maxsize", lambda x: (x.rotate(sys.maxsize), x.rotate(-sys.maxsize - 1)), True),
    ("rotate by __index__", lambda x: x.rotate(Index(1)), True),
    ("rotate by str", lambda x: x.rotate("a"), False),
    ("rotate by a big int", lambda x: x.rotate(BIG), False),
    ("rotate by float", lambda x: x.rotate(1.0), False),
    ("rotate two arguments", lambda x: x.rotate(1, 2), False),
    ("reverse", lambda x: x.reverse(), True),
    ("clear", lambda x: x.clear(), True),
    ("index", lambda x: (x.index(x[0]), x.index(x[-1]), x.index(True)), True),
    ("index missing", lambda x: x.index(9), True),
    ("index from to", lambda x: x.index(1, 2, 3), False),
    ("index negative from to", lambda x: (x.index(1, -3), x.index(1, -1)), True),
    ("index far out", lambda x: (x.index(1, -100), x.index(1, 0, 100)), True),
    ("index with big ints", lambda x: x.index(1, -BIG, BIG), True),
    ("index nothing", lambda x: x.index(), False),
    ("count", lambda x: (x.count(1), x.count(9), x.count(True), x.count("1")), True),
    ("in", lambda x: (1 in x, 1.0 in x, True in x, 9 in x, "1" in x), True),
    ("copy", lambda x: x.copy(), True),
    ("list()", list, True),
    ("reversed", lambda x: list(reversed(x)), True),
    ("sorted, min, max, sum", lambda x: (sorted(x), min(x), max(x), sum(x)), True),
    ("deque()", collections.deque, True),
    ("unpacking", lambda x: [*x, *x], True),
    ("len", len, True),
    ("bool", bool, True),
    ("maxlen", lambda x: x.maxlen, True),
    ("set maxlen", lambda x: setattr(x, "maxlen", 3), False),
    ("+", lambda x: x + collections.deque([9]), True),
    ("+ itself", lambda x: x + x, True),
    ("+ list", lambda x: x + [9], True),
    ("+ None", lambda x: x + None, True),
    ("+ from the right", lambda x: collections.deque([9], 7) + x, True),
    ("list +", lambda x: [9] + x, False),
    ("*", lambda x: (x * 2, 2 * x, x * 0, x * -1, x * True), True),
    ("* float", lambda x: x * 1.5, False),
    ("* itself", lambda x: x * x, False),
    ("+=", lambda x: operator.iadd(x, [7, 8]) is x, True),
    ("+= itself", lambda x: operator.iadd(x, x) is x, True),
    ("+= int", lambda x: operator.iadd(x, 5), True),
    ("*=", lambda x: operator.imul(x, 3) is x, True),
    ("*= 0", lambda x: operator.imul(x, 0) is x, True),
    ("*= -1", lambda x: operator.imul(x, -1) is x, True),
    ("*= 1", lambda x: operator.imul(x, 1) is x, True),
    ("*= str", lambda x: operator.imul(x, "a"), False),
    ("*= float", lambda x: operator.imul(x, 1.0), False),
    ("== !=", lambda x: (x == collections.deque(START), x == START, x != [], x == None, x == x), True),  # noqa: E711
    ("<", lambda x: (x < collections.deque([3, 2]), x <= x.copy(), x > collections.deque(), x >= x), True),
    ("< list", lambda x: x < [1], False),
    (">= None", lambda x: x >= None, False),
]


@pytest.mark.parametrize("maxlen", [None, 4, 6, 2], ids="maxlen {}".format)
@pytest.mark.parametrize(("what", "action", "text"), ACTIONS, ids=[each[0] for each in ACTIONS])
def test_every_method(manager, what, action, text, maxlen):
    """Each call gives, raises and leaves what collections.deque's does, whatever the greatest length."""
    assert_same(action, collections.deque(START, maxlen), manager.deque(START, maxlen), text=text)


@pytest.mark.parametrize(
    "arguments",
    [
        ((), {}),
        (([],), {}),
        (("abc",), {}),
        (("abc", 2), {}),
        (("abc", 0), {}),
        (("abc", None), {}),
        (([1, 2, 3],), {"maxlen": 2}),
        ((), {"iterable": "abc", "maxlen": 2}),
        (([1], -1), {}),
        (([1], "a"), {}),
        (([1], 1.5), {}),
        (([1], BIG), {}),
        ((1,), {}),
        ((None,), {}),
        (([1], 2, 3), {}),
        ((), {"size": 1}),
    ],
    ids=str,
)
def test_construction(manager, arguments):
    """deque(...), m.deque(...) and mpshm.Deque(...) take the same."""
    args, kwds = arguments
    want = outcome(lambda make: make(*args, **kwds), collections.deque)
    for make in (manager.deque, mpshm.Deque):
        got = outcome(lambda make: make(*args, **kwds), make)
        assert got[0] == want[0]
        if want[0] == "raised":
            assert isinstance(got[1], type(want[1]))
        else:
            assert repr(got[1]) == repr(want[1])


def test_initializing_again(impl):
    """A second __init__ sets content and maxlen anew."""
    x = impl.deque("abcdef", 4)
    x.__init__(range(5), 3)
    assert list(x) == [2, 3, 4] and x.maxlen == 3
    x.__init__("abcdef")
    assert list(x) == list("abcdef") and x.maxlen is None


def test_greatest_length(impl):
    """What comes in at one end drops what is at the other; nothing stays where maxlen is 0."""
    x = impl.deque(maxlen=3)
    for i in range(10):
        x.append(str(i) * 30)
    assert list(x) == [c * 30 for c in "789"]
    for i in range(10):
        x.appendleft(i)
    assert list(x) == [9, 8, 7]
    with pytest.raises(IndexError, match="deque already at its maximum size"):
        x.insert(1, "no room")
    x.extend(range(100))
    assert list(x) == [97, 98, 99]
    x.extendleft(range(5))
    assert list(x) == [4, 3, 2]
    x *= 5
    assert list(x) == [4, 3, 2]
    none = impl.deque("abc", maxlen=0)
    none.append(1)
    none.appendleft(1)
    none.extend("xyz")
    none += "x"
    none.rotate(2)
    assert len(none) == 0 and none.maxlen == 0
    with pytest.raises(IndexError):
        none.insert(0, 1)


def test_results_are_plain(impl):
    """What an operator or copy() makes is a plain deque with the left one's maxlen."""
    x = impl.deque([1, 2], 5)
    for made in (x + collections.deque([3]), x * 2, 2 * x, x.copy()):
        assert type(made) is collections.deque and made.maxlen == 5
        made.append("mine")
    assert list(x) == [1, 2]
    assert (collections.deque([0]) + x).maxlen is None


def test_two_of_a_kind(impl):
    """All comparisons, +, extend and += with another one of the same kind."""
    x, y = impl.deque([1, 2]), impl.deque([1, 3], 9)
    assert x < y and x <= y and not x > y and not x >= y and x != y and not x == y
    assert x == impl.deque([1, 2.0], 2) and x <= impl.deque([1, 2]) and x == x
    assert list(x + y) == [1, 2, 1, 3]
    x.extend(y)
    x.extendleft(y)
    x += y
    assert list(x) == [3, 1, 1, 2, 1, 3, 1, 3]


def test_iterating_while_it_is_changed(impl):
    """RuntimeError when the next item is asked for, forwards and backwards; setting an item does not matter."""
    for change in (
        lambda x: x.append(9),
        lambda x: x.appendleft(9),
        lambda x: x.pop(),
        lambda x: x.popleft(),
        lambda x: x.rotate(1),
        lambda x: x.insert(1, 9),
        lambda x: x.remove(2),
        lambda x: x.__delitem__(1),
        lambda x: x.clear(),
        lambda x: x.extend([9]),
        lambda x: x.extendleft([9]),
        lambda x: (x.append(9), x.pop()),
        lambda x: x.__imul__(2),
    ):
        for walk in (iter, reversed):
            x = impl.deque([1, 2, 3])
            steps = walk(x)
            next(steps)
            change(x)
            with pytest.raises(RuntimeError, match="deque mutated during iteration"):
                next(steps)
    x = impl.deque([1, 2, 3])
    for i, item in enumerate(x):
        x[i] = item + 10
        x.extend([])
    assert list(x) == [11, 12, 13]


def test_iterator(impl):
    """It is its own iterator, tells how much is to come, and stays at its end."""
    x = impl.deque([1, 2])
    steps = iter(x)
    assert iter(steps) is steps and steps.__length_hint__() == 2
    assert list(steps) == [1, 2] and list(steps) == []
    assert list(reversed(x)) == [2, 1]


def test_other_processes_do_not_disturb(manager, other):
    """What another process does meanwhile neither shows in an iterator nor raises."""
    x = manager.deque([1, 2], 3)
    steps = iter(x)
    other.call(x, "append", "three")
    other.call(x, "extend", [4, 5])
    assert list(steps) == [1, 2]
    assert list(x) == ["three", 4, 5]
    assert other.call(x, "popleft") == "three" and other.call(x, "__len__") == 2
    assert other.call(x, getattr, "maxlen") == 3
    with pytest.raises(IndexError):
        other.call(x, "__getitem__", 2)


def test_values_are_copied(manager):
    """Changing what was put in or came out does not change the deque."""
    inner = [1]
    x = manager.deque([inner])
    inner.append(2)
    x[0].append(3)
    next(iter(x)).append(5)
    assert list(x) == [[1]]


def test_shared_containers_are_kept_by_reference(manager):
    """A shared object in a deque is that object, and the deque is itself in another container."""
    outer, inner = manager.deque(maxlen=2), manager.list([1])
    outer.append(inner)
    outer.appendleft(inner)
    outer[0].append(2)
    assert inner == [1, 2] and list(outer) == [[1, 2], [1, 2]] and inner in outer and outer.count(inner) == 2
    del inner
    outer.append("pushes one out")
    assert outer[0] == [1, 2]
    d = manager.dict(q=outer)
    d["q"].append(3)
    assert list(outer) == ["pushes one out", 3]
    outer.append(outer)
    assert len(str(outer)) < 1000
    outer.clear()


def test_errors_keep_the_content(impl):
    """What fails changes nothing."""
    x = impl.deque(START)
    for action in (
        lambda: put(x, 10, 1),
        lambda: x.remove("z"),
        lambda: x.extend(5),
        lambda: x.insert("a", 1),
        lambda: x.rotate(None),
    ):
        with pytest.raises((ValueError, IndexError, TypeError)):
            action()
        assert list(x) == START
    with pytest.raises(AttributeError):
        x.maxlen = 3


def test_a_value_that_cannot_be_pickled(manager):
    """It raises what pickle raises, at the end of many as well, and nothing has changed."""
    x = manager.deque([1])
    for action in (lambda: x.append(lambda: 0), lambda: x.extend([2, lambda: 0]), lambda: put(x, 0, lambda: 0)):
        with pytest.raises(Exception, match=r"pickle|local"):
            action()
        assert list(x) == [1]


def test_remove_of_what_compares_only_equal(impl):
    """remove() finds by ==, and takes out the first."""
    x = impl.deque([{"a": 1}, [1.0], {"a": 1}, "end"])
    x.remove({"a": 1})
    x.remove([1])
    assert list(x) == [{"a": 1}, "end"]


def test_text(manager):
    """str shows the content as the builtin's, repr names the object."""
    x = manager.deque([1, "a"], 3)
    assert str(x) == "deque([1, 'a'], maxlen=3)" == f"{x}"
    assert str(manager.deque()) == "deque([])"
    assert repr(x).startswith("<mpshm.Deque object, typeid 'deque'")
    assert x._getvalue() == collections.deque([1, "a"]) and x._getvalue().maxlen == 3


def test_unhashable(impl):
    """It can't be hashed."""
    assert type(impl.deque()).__hash__ is None
    with pytest.raises(TypeError, match="unhashable"):
        hash(impl.deque())


def test_abstract_classes(impl):
    """It is a MutableSequence, also to the match statement, and has every public name of deque."""
    x = impl.deque(START)
    assert isinstance(x, collections.abc.MutableSequence) and isinstance(x, collections.abc.Reversible)
    match x:
        case [3, *rest]:
            assert rest == [1, 2, 1]
        case _:
            raise AssertionError("not a sequence to match")
    inherited = {*dir(object), "__copy__", "__annotations__"}
    inherited.add("__bool__")  # (in Python 3.10 only; truth goes by the length)
    assert bool(x) and not impl.deque()
    assert [name for name in dir(collections.deque) if name not in inherited and not hasattr(x, name)] == []
    assert type(x)[int].__origin__ is type(x)


def test_deepcopy(impl):
    """A deep copy is a plain deque of its own, once for every mention."""
    x = impl.deque([1, [2]], 4)
    one, two = copy.deepcopy([x, x])
    assert type(one) is collections.deque and one is two and one.maxlen == 4
    one[1].append(3)
    assert list(x) == [1, [2]]


def test_lock(manager, other):
    """While its lock is held here, another process's change waits."""
    x = manager.deque()
    with x.lock:
        x.append(1)
        with pytest.raises(TimeoutError):
            other.call(x, "append", 2, timeout=0.3)
        assert list(x) == [1]
    assert other.pipe.recv() == (True, None)
    assert list(x) == [1, 2]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 20, 21, 100, 10000])
def test_many_items(impl, count):
    """Both ends, at sizes around the steps of growth, round the end of the array."""
    x, model = impl.deque(), collections.deque()
    for i in range(count):
        for each in (x, model):
            each.append(i)
            each.append(str(i) * 3)
            each.appendleft(-i)
    assert list(x) == list(model)
    for i in range(count):
        assert (x.popleft(), x.pop()) == (model.popleft(), model.pop())
        x.append(x.popleft())
        model.append(model.popleft())
        if i % 7 == 0:
            x.rotate(i)
            model.rotate(i)
    assert x == model
    x.clear()
    assert len(x) == 0
