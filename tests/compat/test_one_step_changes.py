"""incr, compute, compare_exchange, and `with obj.lock:`."""

import threading

import pytest

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def d(manager):
    return manager.dict()


def test_incr(d):
    """It adds, gives the new number, and starts from the default."""
    assert d.incr("a") == 1
    assert d.incr("a") == 2
    assert d.incr("a", 5) == 7
    assert d.incr("a", n=-10) == -3
    assert d.incr("b", 2, 100) == 102
    assert d.incr("b", 2, default=7) == 104
    assert d.incr("c", n=0) == 0
    assert list(d.items()) == [("a", -3), ("b", 104), ("c", 0)]


@pytest.mark.parametrize("start", [2**31 - 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**200])
@pytest.mark.parametrize("sign", [1, -1])
def test_incr_of_large_numbers(d, start, sign):
    """Numbers of any size, across each border of representation, both ways."""
    d["n"] = start * sign
    for n in (1, 1, -1, -1, -1, 2**63, -(2**63), 2**64, -(2**64), start, -start):
        want = d["n"] + n
        assert d.incr("n", n) == want == d["n"]
        assert type(d["n"]) is int
    assert d.incr("new", start * sign, -start * sign) == 0


def test_incr_of_other_numbers(d):
    """What + does to floats, bools and strings is what incr does."""
    d.update(f=0.5, t=True, s="ab", i=1)
    assert d.incr("f") == 1.5 and d.incr("f", 0.25) == 1.75
    assert d.incr("t") == 2 and type(d["t"]) is int
    assert d.incr("i", 0.5) == 1.5
    assert d.incr("s", "cd") == "abcd" == d["s"]
    assert d.incr("l", [1], [0]) == [0, 1]


@pytest.mark.parametrize("value", ["text", None, b"x", [1], {}, (1,), "a long text " * 10], ids=repr)
def test_incr_of_what_is_no_number(d, value):
    """TypeError, and nothing changed."""
    d["k"] = value
    with pytest.raises(TypeError):
        d.incr("k")
    with pytest.raises(TypeError):
        d.incr("new", 1, value)
    assert d == {"k": value}


def test_incr_arguments(d):
    """An unhashable key and missing arguments are TypeErrors."""
    with pytest.raises(TypeError, match="unhashable"):
        d.incr([])
    with pytest.raises(TypeError):
        d.incr()
    with pytest.raises(TypeError):
        d.incr("a", 1, 2, 3)
    assert d == {}


def test_incr_keeps_the_place(d):
    """A counter that is there keeps its place in the order; equal keys are one counter."""
    d.update(a=1, b=1)
    d.incr("a")
    d.incr("new")
    assert list(d) == ["a", "b", "new"]
    d.incr(1)
    d.incr(1.0)
    d.incr(True)
    assert d[1] == 3


def test_compute(d):
    """The function gets the old value or the default, and what it gives is stored and returned."""
    assert d.compute("a", lambda old: old + 1, 10) == 11
    assert d.compute("a", lambda old: [old, old]) == [11, 11]
    assert d.compute("new", lambda old: old) is None
    assert d.compute("new2", lambda old: (old, 1), default="x") == ("x", 1)
    assert d == {"a": [11, 11], "new": None, "new2": ("x", 1)}
    assert d.compute("a", lambda old: [*old, "x" * 5000]) == [11, 11, "x" * 5000] == d["a"]


def test_compute_gets_a_copy(d):
    """Changing the old value in place without giving it back changes nothing."""
    d["k"] = [1]
    d.compute("k", lambda old: (old.append(2), 5)[1])
    assert d["k"] == 5


def test_compute_with_what_is_not_callable(d):
    """TypeError, and nothing changed."""
    with pytest.raises(TypeError):
        d.compute("k", 5)
    with pytest.raises(TypeError, match="unhashable"):
        d.compute([], lambda old: old)
    assert d == {}


@pytest.mark.parametrize(
    ("old", "wrong"),
    [(1, 2), (None, False), ("a", "b"), ("x" * 100, "x" * 99), ([1, [2]], [1, [3]]), (2**100, 2**100 + 1)],
)
def test_compare_exchange(d, old, wrong):
    """It replaces what equals the expected, and only that."""
    d["k"] = old
    assert d.compare_exchange("k", wrong, "new") is False
    assert d["k"] == old
    assert d.compare_exchange("k", old, "new") is True
    assert d["k"] == "new"
    assert d.compare_exchange("k", old, "newer") is False
    assert d.compare_exchange("k", "new", old) is True
    assert d["k"] == old


def test_compare_exchange_of_a_missing_key(d):
    """A missing key equals nothing: False, and no entry is made."""
    assert d.compare_exchange("k", None, 1) is False
    assert d.compare_exchange("k", "x", 1) is False
    assert d == {}


def test_compare_exchange_keeps_the_place(d):
    """The order stays."""
    d.update(a=1, b=2)
    assert d.compare_exchange("a", 1, "x")
    assert list(d.items()) == [("a", "x"), ("b", 2)]


def test_lock_of_a_container_is_reentrant(manager):
    """The same thread may take it again, and must give it back as often."""
    for obj in (manager.dict(), manager.list(), manager.Value("i", 0), manager.Namespace()):
        with obj.lock:
            with obj.lock:
                assert obj.lock.acquire() is True
                obj.lock.release()
            assert obj.lock.acquire(timeout=1)
            obj.lock.release()
        with pytest.raises(RuntimeError):
            obj.lock.release()


def test_lock_allows_its_holder_everything(manager):
    """Under the lock the holder reads and writes as ever."""
    d, x = manager.dict(a=1), manager.list([1])
    with d.lock, x.lock:
        d["a"] = d["a"] + 1
        d.update(b=2, c=3)
        d.incr("a")
        del d["c"]
        x.append(2)
        x[:] = [*x, 3]
        x.sort(reverse=True)
    assert d == {"a": 3, "b": 2} and x == [3, 2, 1]


def test_lock_is_released_by_an_exception(manager, other):
    """Leaving the block by an exception gives the lock back."""
    d = manager.dict()
    with pytest.raises(ZeroDivisionError):
        with d.lock:
            d["a"] = 1
            raise ZeroDivisionError
    other.call(d, "__setitem__", "a", 2)
    assert d["a"] == 2
    assert d.lock.owner_died is False


def test_lock_keeps_other_processes_from_changing(manager, other):
    """Another process's change waits for the lock; its reads go on."""
    d = manager.dict(a=1)
    with d.lock:
        other.pipe.send((d, "__setitem__", ("a", 2)))
        assert not other.pipe.poll(0.3)
        assert d["a"] == 1
    assert other.pipe.poll(20) and other.pipe.recv() == (True, None)
    assert d["a"] == 2
    with d.lock:
        assert other.call(d, "get", "a") == 2
        assert other.call(d, "copy") == {"a": 2}
        assert other.call(d, "__len__") == 1


def test_lock_keeps_other_threads_from_changing(manager):
    """Another thread's change waits for the lock too; the list's as the dict's."""
    for obj, change in ((manager.dict(), ("__setitem__", "a", 1)), (manager.list(), ("append", 1))):
        thread = threading.Thread(target=lambda obj=obj, change=change: getattr(obj, change[0])(*change[1:]))
        with obj.lock:
            thread.start()
            thread.join(0.2)
            assert thread.is_alive() and len(obj) == 0
        thread.join(20)
        assert not thread.is_alive() and len(obj) == 1


def test_lock_with_timeout(manager, other):
    """A lock that another holds is not had within the timeout, and had as soon as it is free."""
    d = manager.dict()
    holder = threading.Event()
    leave = threading.Event()

    def hold():
        with d.lock:
            holder.set()
            leave.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holder.wait(20)
    assert d.lock.acquire(timeout=0.05) is False
    assert d.lock.acquire(blocking=False) is False
    leave.set()
    assert d.lock.acquire(timeout=20) is True
    d.lock.release()
    thread.join(20)
