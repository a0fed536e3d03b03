"""What the C types do beyond the builtins: handles inside values, keys found by what they equal, waits, errors."""

import gc
import pickle
import signal
import threading
import time
import weakref

import pytest

import mpshm
from mpshm import _types


class Holder:
    """A value with something inside."""

    def __init__(self, *parts):
        self.parts = parts

    def __eq__(self, other):
        return type(other) is Holder and self.parts == other.parts

    __hash__ = None


class Sealed:
    """A value that pickles what it holds by itself."""

    def __init__(self, handle):
        self.handle = handle

    def __reduce__(self):
        return unseal, (pickle.dumps(self.handle),)


def unseal(sealed):
    return Sealed(pickle.loads(sealed))


HOOK = []


class Hooked:
    """A value or a key that runs a hook when it is loaded."""

    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return type(other) is Hooked and self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def __reduce__(self):
        return load_hooked, (self.name,)


def load_hooked(name):
    if HOOK:
        HOOK[-1]()
    return Hooked(name)


@pytest.fixture(autouse=True)
def no_hook():
    yield
    HOOK.clear()


# Handles inside values


def test_handles_inside_a_value_are_references(manager):
    """They come back as handles of the same objects, one for one, and keep these alive."""
    d, inner, lock = manager.dict(), manager.list([1]), manager.Lock()
    d["k"] = Holder(inner, {"again": inner, "lock": lock}, b"x" * 5000)
    mark = weakref.ref(inner)
    del inner, lock
    gc.collect()
    assert mark() is None
    back = d["k"].parts
    assert back[0] is back[1]["again"] and type(back[0]) is mpshm.List and back[0] == [1]
    assert back[1]["lock"].acquire(False)
    back[1]["lock"].release()
    back[0].append(2)
    assert d["k"].parts[0] == [1, 2]
    objects = manager.segment.stats().objects
    del back, d["k"]
    gc.collect()
    assert manager.segment.stats().objects == objects - 3  # the list, the lock, and the large value itself


@pytest.mark.parametrize("count", [1, 8, 9, 300])
def test_many_handles_inside_a_value(manager, count):
    """Any number of references in one value, which go with it."""
    d = manager.dict()
    objects = manager.segment.stats().objects
    d["k"] = [manager.list([i]) for i in range(count)]
    assert [each[0] for each in d["k"]] == list(range(count))
    manager.segment.check()
    d["k"] = 1
    gc.collect()
    assert manager.segment.stats().objects == objects


def test_handle_of_another_segment_inside_a_value(manager):
    """It is kept as it would be pickled, and leads to the other segment."""
    with mpshm.Manager() as other:
        far = other.list(["far"])
        d = manager.dict(direct=far, inside=[far])
        assert d["direct"] == ["far"] and _types.same(d["inside"][0], far)
        assert not _types.same(d["direct"], manager.list())


def test_values_that_pickle_by_themselves(manager):
    """A handle pickled by user code inside of a value's pickle is not taken for a part of the value."""
    d, inner = manager.dict(), manager.list([5])
    d["k"] = [Sealed(inner), inner]
    sealed, direct = d["k"]
    assert _types.same(sealed.handle, inner) and _types.same(direct, inner)


def test_arrays_beside_handles(manager):
    """Buffers of arrays and handles in one value do not get mixed up."""
    numpy = pytest.importorskip("numpy")
    d, inner = manager.dict(), manager.list([7])
    d["k"] = [numpy.arange(10), inner, numpy.ones(50_000), {"x": inner}]
    first, handle, second, nested = d["k"]
    assert first.sum() == 45 and second.sum() == 50_000 and handle == [7] and nested["x"] is handle


def test_handles_as_keys(manager):
    """A lock as a key is found by any handle of that lock."""
    d, lock = manager.dict(), manager.Lock()
    d[lock] = "held"
    d[lock, 1] = "in a tuple"
    again = pickle.loads(pickle.dumps(lock))
    assert d[again] == "held" and d[again, 1] == "in a tuple"
    assert manager.Lock() not in d
    assert all(_types.same(key if isinstance(key, _types.Handle) else key[0], lock) for key in d)


# Keys


class Label(str):
    __slots__ = ()


def test_key_of_another_type_is_found_by_what_it_equals(manager):
    """It is given back as it was, also after the table was built anew, and is removed by what it equals."""
    d = manager.dict({Label(f"k{i}"): i for i in range(200)})
    d.update({Label(f"long key number {i}"): i for i in range(200)})
    for i in range(0, 200, 2):
        del d[f"k{i}"], d[f"long key number {i}"]
    for i in range(1000):
        d[i] = i
    labels = [key for key in d if type(key) is Label]
    assert len(labels) == 200 and all(d[str(key)] == d[key] for key in labels)
    d["k1"] = "new"
    assert d[Label("k1")] == "new" and type(next(iter(d))) is Label
    manager.segment.check()


def test_looking_for_a_key_does_not_pickle_it(manager):
    """As in the builtin, what can't be stored can be looked for."""
    d = manager.dict(a=1)
    local = lambda: None  # noqa: E731
    assert local not in d and d.get((local, 1)) is None and d.pop((1, local), 2) == 2
    with pytest.raises(Exception, match=r"(?i)pickle|lambda"):
        d[local, 1] = 1


def nested(depth):
    key = ("innermost",)
    for _ in range(depth):
        key = (key,)
    return key


def test_deep_keys(manager):
    """Keys are compared to a certain depth; beyond it an error says so."""
    d = manager.dict()
    d[nested(150)] = 1
    assert d[nested(150)] == 1 and next(iter(d)) == nested(150)
    with pytest.raises(RecursionError, match="levels deep"):
        d[nested(300)] = 1
    assert len(d) == 1


# Iterators


def test_iterators_used_by_what_they_load(manager):
    """Loading a key or an item may use the same iterator, or use it up."""
    d = manager.dict([(Hooked(i), i) for i in range(6)])
    steps, seen = iter(d), []
    HOOK.append(lambda: (HOOK.clear(), seen.extend(steps)))
    first = next(steps)
    assert [first.name, *(key.name for key in seen)] == list(range(6)) and list(steps) == []
    items = manager.list([Hooked(i) for i in range(6)])
    steps, seen = iter(items), []
    HOOK.append(lambda: (HOOK.clear(), seen.extend(steps)))
    first = next(steps)
    assert first.name == 0 and [item.name for item in seen] == [1, 2, 3, 4, 5]


def test_numbers_given_out_stay_what_they_are(manager):
    """An int that a loop keeps is not touched by what the loop goes on to."""
    numbers = [0, 1, 256, 257, 1000, -5, -6, -1000, 2**30 - 1, 2**30, -(2**30), 2**62, 10**30] * 50
    shared = manager.list(numbers)
    assert list(shared) == numbers
    kept = []
    for index, number in enumerate(shared):
        if index % 3 == 0:
            kept.append(number)
    assert kept == numbers[::3]
    assert max(shared) == 10**30 and min(shared) == -(2**30) and sum(shared) == sum(numbers)
    assert len(set(map(id, [*shared]))) >= 100


def test_iterators_keep_what_they_need(manager):
    """An iterator outlives every other handle of its container."""
    keys, items = iter(manager.dict(a=1, b=2)), iter(manager.list([1, "x" * 100]))
    gc.collect()
    assert list(keys) == ["a", "b"] and list(items) == [1, "x" * 100]


# Making and finding


def test_handle_is_no_type_to_make(manager):
    """Only its subclasses can be made."""
    with pytest.raises(TypeError, match="cannot create"):
        _types.Handle()
    with pytest.raises(TypeError, match="cannot create"):
        _types.Handle._in(manager.segment)


def test_subclasses(manager):
    """A user's subclass is made by its constructor and by _in, without __init__ there."""

    class Mine(mpshm.Dict):
        def __init__(self, mark):
            super().__init__(mark=mark)

    assert Mine(3) == {"mark": 3}
    made = Mine._in(manager.segment)
    assert type(made) is Mine and made == {} and made._segment is manager.segment


def test_attach(manager):
    """Offset and serial lead to the object as long as it is there, and never to another."""
    first = manager.list([1])
    place = first._offset, first._serial
    assert _types.same(_types.attach(manager.segment, *place, 0), first)
    token = _types.make_token(first)
    del first
    again = _types.attach(manager.segment, *place, token)
    assert again == [1]
    del again
    with pytest.raises(ReferenceError):
        _types.attach(manager.segment, *place, 0)
    for offset in (0, 1, 8, 1 << 20, 1 << 40, (1 << 64) - 16):
        with pytest.raises((ReferenceError, mpshm.MpshmError)):
            _types.attach(manager.segment, offset, 1, 0)


def test_register_takes_subclasses_only():
    """TypeError for anything else."""
    for args in ((_types.Dict, dict), (dict, mpshm.Dict), (_types.Dict, _types.List), (1, 2), (_types.Dict,)):
        with pytest.raises(TypeError):
            _types.register(*args)


def test_namespace_names_come_before_ours(manager):
    """A program may call an attribute whatever it likes; names with an underscore are the handle's own."""
    ns = manager.Namespace(a=1)
    assert ns.lock.acquire() and not ns.lock.release()
    ns.lock = "mine"
    ns._hidden = 1
    assert ns.lock == "mine" and ns._hidden == 1 and "_hidden" not in ns._snapshot()
    del ns.lock
    assert ns.lock.locked() is False
    with pytest.raises(AttributeError, match="has no attribute 'b'"):
        ns.b
    with pytest.raises(AttributeError, match="has no attribute 'b'"):
        del ns.b


# Locks


@pytest.mark.parametrize("name", ["Lock", "RLock"])
def test_lock_arguments_are_threadings(manager, name):
    """What threading's lock refuses is refused with the same exception."""
    ours, theirs = getattr(manager, name)(), getattr(threading, name)()
    calls = [(), (True,), (False,), (True, -1), (True, 0.001), (False, 1), (True, -2), (True, 1e100), (True, "x")]
    for args in calls:
        outcomes = []
        for lock in (ours, theirs):
            try:
                outcomes.append(lock.acquire(*args))
                lock.release()
            except Exception as error:
                outcomes.append(type(error))
        assert outcomes[0] == outcomes[1], args
    assert ours.acquire(blocking=True, timeout=None) and (ours.release(), ours.acquire(block=False))[1]
    ours.release()
    with pytest.raises(RuntimeError):
        ours.release()
    for bad in ({"nonsense": 1}, {"blocking": True, "block": True}):
        with pytest.raises(TypeError):
            ours.acquire(**bad)


def test_timeout_is_kept_while_signals_come(manager):
    """Handlers run while we wait, and the deadline stays what it was."""
    lock, rang = manager.Lock(), []
    lock.acquire()
    before = signal.signal(signal.SIGALRM, lambda *_: rang.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    try:
        began = time.monotonic()
        assert lock.acquire(timeout=0.3) is False
        assert 0.3 <= time.monotonic() - began < 60 and rang
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


CHANGES = {
    "set": lambda d, x, v: d.__setitem__("a", 2),
    "delete": lambda d, x, v: d.pop("a"),
    "update": lambda d, x, v: d.update(a=2),
    "incr": lambda d, x, v: d.incr("a"),
    "compute": lambda d, x, v: d.compute("a", lambda old: old),
    "compare_exchange": lambda d, x, v: d.compare_exchange("a", 1, 2),
    "append": lambda d, x, v: x.append(1),
    "slice": lambda d, x, v: x.__setitem__(slice(0, 1), [5]),
    "sort": lambda d, x, v: x.sort(),
    "value": lambda d, x, v: v.set(2),
    "add": lambda d, x, v: v.add(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_waiting_for_an_objects_lock_can_be_interrupted(manager, change):
    """A signal's exception ends the wait, nothing has changed, and reading goes on."""

    class Rang(Exception):  # noqa: N818
        pass

    def ring(*_):
        raise Rang

    d, x, v = manager.dict(a=1), manager.list([1, 0]), manager.Value("i", 1)
    held, done = threading.Event(), threading.Event()

    def hold():
        with d.lock, x.lock, v.lock:
            held.set()
            done.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(20)
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(Rang):
            change(d, x, v)
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert d == {"a": 1} and x == [1, 0] and v.value == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        done.set()
        holder.join()
    change(d, x, v)
