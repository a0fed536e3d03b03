"""A user's code that runs inside an operation may fail, or use the same container: no lock is held.

The user's code asks another process and another thread to change the container, and waits for them: under a
lock they would not come back.
"""

import threading

import pytest

pytestmark = pytest.mark.timeout(60)

# What the user code does when an operation runs it; set by each test.
HOOK = [None]


def run_hook():
    """Call the hook of the test, once."""
    hook, HOOK[0] = HOOK[0], None
    if hook is not None:
        hook()


@pytest.fixture(autouse=True)
def no_hook():
    yield
    HOOK[0] = None


def remake(state):
    """What unpickling calls."""
    if state == "hook when read":
        run_hook()
    elif state == "fails when read":
        raise ArithmeticError("not readable")
    return Value(state)


class Value:
    """A value whose pickling and unpickling run the hook, or fail."""

    def __init__(self, state):
        self.state = state

    def __reduce__(self):
        if self.state == "hook when written":
            run_hook()
        elif self.state == "fails when written":
            raise ArithmeticError("not writable")
        return remake, (self.state,)

    def __eq__(self, other):
        return isinstance(other, Value) and self.state == other.state

    __hash__ = None


class Key:
    """A key whose hash and comparison run the hook, or fail."""

    def __init__(self, name, hash_hook=False, eq_hook=False, eq_fails=False):
        self.name, self.hash_hook, self.eq_hook, self.eq_fails = name, hash_hook, eq_hook, eq_fails

    def __hash__(self):
        if self.hash_hook:
            run_hook()
        return hash(self.name)

    def __eq__(self, other):
        if self.eq_hook:
            run_hook()
        if self.eq_fails:
            raise ArithmeticError("not comparable")
        return isinstance(other, Key) and self.name == other.name

    def __reduce__(self):
        return Key, (self.name,)


class Comparing:
    """An item whose comparisons run the hook, or fail."""

    def __init__(self, number, fails=False):
        self.number, self.fails = number, fails

    def _compare(self):
        run_hook()
        if self.fails:
            raise ArithmeticError("not comparable")

    def __eq__(self, other):
        self._compare()
        return self.number == other

    def __lt__(self, other):
        self._compare()
        return self.number < other.number

    __hash__ = None


class Indexing:
    """An index that runs the hook."""

    def __init__(self, number):
        self.number = number

    def __index__(self):
        run_hook()
        return self.number


def by_thread(action):
    """Let another thread do it, and insist that it can."""
    done = []
    thread = threading.Thread(target=lambda: done.append(action()), daemon=True)
    thread.start()
    thread.join(20)
    assert done, "another thread could not use the container: a lock is held"


def everybody_changes(container, other, change):
    """This thread, another one, and another process change the container."""
    method, *args = change
    getattr(container, method)(*args)
    by_thread(lambda: getattr(container, method)(*args))
    other.call(container, method, *args)


DICT_OPERATIONS = {
    "set": lambda d: d.__setitem__("k", Value("hook when written")),
    "set a key that hooks": lambda d: d.__setitem__(Key("n", hash_hook=True), 1),
    "get a key that hooks": lambda d: d.get(Key("n", hash_hook=True)),
    "in": lambda d: Key("n", hash_hook=True) in d,
    "pop a key that hooks": lambda d: d.pop(Key("n", hash_hook=True), None),
    "get": lambda d: d["hooked"],
    "get with default": lambda d: d.get("hooked", 1),
    "pop": lambda d: d.pop("hooked"),
    "popitem": lambda d: d.popitem(),
    "setdefault": lambda d: d.setdefault("new", Value("hook when written")),
    "setdefault of one there": lambda d: d.setdefault("hooked", 1),
    "values": lambda d: d.values(),
    "items": lambda d: d.items(),
    "copy": lambda d: d.copy(),
    "str": str,
    "==": lambda d: d == {"count": 0, "hooked": Value("other")},
    "update by values that hook": lambda d: d.update({"k": Value("hook when written"), "l": 1}),
    "update by a generator": lambda d: d.update((run_hook(), ("x", 1))[1] for _ in range(2)),
    "|=": lambda d: d.__ior__({"k": Value("hook when written")}),
    "compute": lambda d: d.compute("count", lambda old: (run_hook(), old)[1], 0),
    "compare_exchange": lambda d: d.compare_exchange("count", 0, Value("hook when written")),
    "compare_exchange expecting": lambda d: d.compare_exchange("hooked", Value("hook when written"), 1),
}


@pytest.mark.parametrize("operation", DICT_OPERATIONS.values(), ids=DICT_OPERATIONS)
def test_dict_runs_user_code_without_a_lock(manager, other, operation):
    """The container can be changed by this thread, another thread and another process from within."""
    d = manager.dict({"count": 0, "hooked": Value("hook when read")})
    ran = []

    def hook():
        ran.append(1)
        everybody_changes(d, other, ("incr", "count"))

    HOOK[0] = hook
    operation(d)
    assert ran and d["count"] == 3
    manager.segment.check()


LIST_OPERATIONS = {
    "append": lambda x: x.append(Value("hook when written")),
    "insert": lambda x: x.insert(0, Value("hook when written")),
    "insert at an index that hooks": lambda x: x.insert(Indexing(0), 1),
    "extend": lambda x: x.extend([1, Value("hook when written")]),
    "extend by a generator": lambda x: x.extend((run_hook(), i)[1] for i in range(3)),
    "+=": lambda x: x.__iadd__([Value("hook when written")]),
    "get": lambda x: x[0],
    "get by an index that hooks": lambda x: x[Indexing(0)],
    "set": lambda x: x.__setitem__(0, Value("hook when written")),
    "set at an index that hooks": lambda x: x.__setitem__(Indexing(0), 1),
    "delete at an index that hooks": lambda x: x.__delitem__(Indexing(0)),
    "slice": lambda x: x[:1],
    "set slice": lambda x: x.__setitem__(slice(0, 1), [Value("hook when written")]),
    "set slice by a generator": lambda x: x.__setitem__(slice(0, 1), ((run_hook(), i)[1] for i in range(3))),
    "slice of bounds that hook": lambda x: x[Indexing(0) : 1],
    "iterate": list,
    "pop": lambda x: x.pop(0),
    "index": lambda x: x.index(Comparing(5)),
    "count": lambda x: x.count(Comparing(5)),
    "remove": lambda x: x.remove(Comparing(5)),
    "in": lambda x: Comparing(5) in x,
    "==": lambda x: x == [Value("other"), Value("other"), 5],
    "copy": lambda x: x.copy(),
    "str": str,
}


@pytest.mark.parametrize("operation", LIST_OPERATIONS.values(), ids=LIST_OPERATIONS)
def test_list_runs_user_code_without_a_lock(manager, other, operation):
    """The container can be changed by this thread, another thread and another process from within."""
    x = manager.list([Value("hook when read"), Value("y"), 5])
    ran = []

    def hook():
        ran.append(1)
        everybody_changes(x, other, ("append", "hooked"))

    HOOK[0] = hook
    try:
        operation(x)
    except ValueError as error:
        assert "modified" in str(error) or "not in list" in str(error)
    assert ran and x.count("hooked") == 3
    manager.segment.check()


def test_list_appended_to_by_its_own_sort(impl):
    """ValueError, as the builtin's; no item is lost."""
    x = impl.list([3, 1, 2])
    with pytest.raises(ValueError, match="list modified during sort"):
        x.sort(key=lambda value: (x.append(1), value)[1])
    assert {1, 2, 3} == set(x)


@pytest.mark.parametrize("change", [lambda x: x.clear(), lambda x: x.sort(), lambda x: x.reverse()])
def test_list_changed_by_its_own_sort(impl, change):
    """It ends, and what is there afterwards is whole."""
    x = impl.list([3, 1, 2])
    try:
        x.sort(key=lambda value: (change(x), value)[1])
    except ValueError as error:
        assert "modified" in str(error)
    assert sorted(x) in ([1, 2, 3], [])


def test_sort_key_may_look_at_anything_else(manager, other):
    """A key function that uses other containers of the same segment, here and elsewhere."""
    x, weights = manager.list(["a", "b", "c"]), manager.dict(a=3, b=2, c=1)
    x.sort(key=lambda name: other.call(weights, "get", name))
    assert x == ["c", "b", "a"]


def test_sort_key_that_fails(impl):
    """The exception comes out, and no item is lost."""
    x = impl.list([3, 1, 0, 2])
    with pytest.raises(ZeroDivisionError):
        x.sort(key=lambda value: 1 / value)
    assert sorted(x) == [0, 1, 2, 3]


def test_sort_comparison_that_fails(impl):
    """The exception of __lt__ comes out, and no item is lost."""
    x = impl.list([Comparing(2), Comparing(1, fails=True), Comparing(3, fails=True)])
    with pytest.raises(ArithmeticError, match="not comparable"):
        x.sort()
    assert len(x) == 3


def test_equality_that_fails(impl):
    """The exception of __eq__ comes out of whatever compares, and nothing changed."""
    x = impl.list([1, 2])
    bad = Comparing(1, fails=True)
    for action in (x.index, x.count, x.remove, x.__contains__, lambda value: x == [value, 2]):
        with pytest.raises(ArithmeticError, match="not comparable"):
            action(bad)
    assert x == [1, 2]


WRITES = {
    "dict set": lambda d, x, bad: d.__setitem__("a", bad),
    "dict set new": lambda d, x, bad: d.__setitem__("new", bad),
    "dict setdefault": lambda d, x, bad: d.setdefault("new", bad),
    "dict update": lambda d, x, bad: d.update({"b": 1, "c": bad, "d": 2}),
    "dict |=": lambda d, x, bad: d.__ior__({"b": 1, "c": bad}),
    "dict compute": lambda d, x, bad: d.compute("a", lambda old: bad),
    "dict compare_exchange": lambda d, x, bad: d.compare_exchange("a", 1, bad),
    "list append": lambda d, x, bad: x.append(bad),
    "list insert": lambda d, x, bad: x.insert(0, bad),
    "list set": lambda d, x, bad: x.__setitem__(0, bad),
    "list extend": lambda d, x, bad: x.extend([8, bad, 9]),
    "list +=": lambda d, x, bad: x.__iadd__([8, bad]),
    "list set slice": lambda d, x, bad: x.__setitem__(slice(0, 1), [8, bad]),
    "list set extended slice": lambda d, x, bad: x.__setitem__(slice(None, None, 2), [8, bad]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_pickling_that_fails(manager, write):
    """The exception of __reduce__ comes out, and nothing changed."""
    d, x = manager.dict(a=1), manager.list([1, 2, 3])
    before = manager.segment.stats().used
    for _ in range(3):
        with pytest.raises(ArithmeticError, match="not writable"):
            write(d, x, Value("fails when written"))
        assert d == {"a": 1} and x == [1, 2, 3]
    assert manager.segment.stats().used == before


@pytest.mark.parametrize("read", [lambda d: d["k"], lambda d: d.get("k"), lambda d: d.values(), lambda d: d.copy()])
def test_unpickling_that_fails(manager, read):
    """The exception comes out of the read; the entry stays, and can be overwritten."""
    d = manager.dict(k=Value("fails when read"), a=1)
    with pytest.raises(ArithmeticError, match="not readable"):
        read(d)
    assert len(d) == 2 and d["a"] == 1
    d["k"] = 2
    assert d == {"k": 2, "a": 1}


def test_unpickling_that_fails_in_a_list(manager):
    """The same of a list; deleting needs no unpickling."""
    x = manager.list([1, Value("fails when read"), 3])
    for read in (lambda: x[1], lambda: x[:], lambda: list(x), lambda: x.index(3)):
        with pytest.raises(ArithmeticError, match="not readable"):
            read()
    assert x[0] == 1 and x[-1] == 3
    del x[1]
    assert x == [1, 3]


def numbers_then_failure():
    yield ("n1", 1)
    yield ("n2", 2)
    raise ArithmeticError("no more")


def test_iterable_that_fails(manager):
    """Whatever takes an iterable is one step: nothing is there of one that failed."""
    d, x = manager.dict(a=1), manager.list([1, 2, 3])
    for action in (
        lambda: d.update(numbers_then_failure()),
        lambda: d.__ior__(numbers_then_failure()),
        lambda: x.extend(numbers_then_failure()),
        lambda: x.__iadd__(numbers_then_failure()),
        lambda: x.__setitem__(slice(0, 2), numbers_then_failure()),
        lambda: manager.list(numbers_then_failure()),
        lambda: manager.dict(numbers_then_failure()),
    ):
        with pytest.raises(ArithmeticError, match="no more"):
            action()
        assert d == {"a": 1} and x == [1, 2, 3]


def test_compute_that_fails(manager, other):
    """The exception comes out, nothing changed, and nobody waits."""
    d = manager.dict(a=1)
    with pytest.raises(ZeroDivisionError):
        d.compute("a", lambda old: old / 0)
    with pytest.raises(ZeroDivisionError):
        d.compute("new", lambda old: 1 / old, 0)
    assert other.call(d, "copy") == {"a": 1}


def test_compute_again_when_another_changed_the_key(manager, other):
    """The function is called again with the value that another process put there."""
    d, seen = manager.dict(k=1), []

    def double(old):
        seen.append(old)
        if len(seen) < 4:
            other.call(d, "__setitem__", "k", old + 10)
        return old * 2

    d.compute("k", double)
    assert seen == [1, 11, 21, 31] and d["k"] == 62


def test_compute_again_when_another_deleted_the_key(manager, other):
    """A key that went away meanwhile is the default."""
    d, seen = manager.dict(k=1), []

    def replace(old):
        seen.append(old)
        if len(seen) == 1:
            other.call(d, "pop", "k")
        return "new"

    d.compute("k", replace, "absent")
    assert seen == [1, "absent"] and d == {"k": "new"}


def test_a_key_whose_comparison_fails(manager):
    """Keys are compared by what they are made of; a failing __eq__ neither hangs nor damages."""
    d = manager.dict()
    d[Key("a")] = 1
    try:
        d[Key("a", eq_fails=True)] = 2
    except ArithmeticError:
        pass
    assert len(d) == 1
    d[Key("a")] = 3
    assert d[Key("a")] == 3


def test_deleting_values_runs_no_finalizer_inside(manager):
    """A finalizer of a value that came out of an operation may use the container."""
    d = manager.dict(count=0)

    class Last:
        def __del__(self):
            d.incr("count")

    cell = [Last()]
    d["x"] = 1
    d.compute("x", lambda old: (cell.clear(), 2)[1])
    d.update((key, cell.append(Last()) or cell.clear() or 1) for key in "abc")
    assert d["count"] == 4
