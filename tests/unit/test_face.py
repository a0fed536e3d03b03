"""The module as a multiprocessing, and what Python adds to the shared containers."""

import copy
import gc
import math
import multiprocessing
import pickle
import subprocess
import sys
import threading

import pytest

import mpshm
from mpshm import segments


@pytest.fixture
def run(interpreter_env):
    """Run code in an interpreter of its own, which must end quietly; what it printed."""
    env = {name: value for name, value in interpreter_env.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def run(code):
        line = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, env=env)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


# The module


@pytest.mark.parametrize("name", multiprocessing.__all__)
def test_has_every_name_of_multiprocessing(name):
    """Each public name of multiprocessing is there, and listed."""
    assert hasattr(mpshm, name)
    assert name in dir(mpshm)


@pytest.mark.parametrize("name", mpshm.__all__)
def test_public_names_exist(name):
    """`__all__` promises nothing that is not there, and is sorted as ruff sorts it."""
    assert hasattr(mpshm, name)


def test_modules_of_multiprocessing():
    """`mp.pool.ThreadPool` and the like work; what is nowhere is an AttributeError that names it."""
    assert mpshm.pool is sys.modules["multiprocessing.pool"]
    assert mpshm.shared_memory.SharedMemory
    with pytest.raises(AttributeError, match="module 'mpshm' has no attribute 'nothing'"):
        _ = mpshm.nothing


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_contexts(method):
    """A context of ours is one of the stdlib's, and its managers are ours."""
    ctx = mpshm.get_context(method)
    assert ctx.get_start_method() == method
    assert isinstance(ctx, type(multiprocessing.get_context(method)))
    assert ctx.Process is multiprocessing.get_context(method).Process
    assert ctx.get_context() is ctx is mpshm.get_context(method)
    assert ctx.get_context("fork") is mpshm.get_context("fork")
    with ctx.Manager() as manager:
        assert isinstance(manager, mpshm.managers.SyncManager)


def test_unknown_context():
    """The stdlib's ValueError."""
    with pytest.raises(ValueError, match="cannot find context for 'nope'"):
        mpshm.get_context("nope")


def test_start_method_is_multiprocessings(run):
    """There is one start method in a process, whoever sets it."""
    out = run(
        "import mpshm, multiprocessing\n"
        "mpshm.set_start_method('spawn')\n"
        "print(multiprocessing.get_start_method(), mpshm.get_context().get_start_method())\n"
        "multiprocessing.set_start_method('forkserver', force=True)\n"
        "print(mpshm.get_start_method(), mpshm.get_context().get_start_method())\n"
    )
    assert out.split() == ["spawn", "spawn", "forkserver", "forkserver"]


def test_import_costs_little(run):
    """Importing brings few modules beyond multiprocessing's own; the time it takes is in the benchmarks."""
    code = (
        "import sys, multiprocessing; before = set(sys.modules); import mpshm; "
        "print(*(name for name in set(sys.modules) - before if not name.startswith('mpshm')))"
    )
    assert len(run(code).split()) <= 25


def test_leaving_with_everything_in_use(run):
    """A process that ends without tidying up ends quietly."""
    run(
        "import mpshm\n"
        "m = mpshm.Manager(); d = m.dict(a=[1]); l = mpshm.List([d]); lock = m.Lock(); lock.acquire()\n"
        "mpshm.kept = (m, d, l, lock)\n"
    )


# Segments


def test_stats_of_a_segment():
    """The numbers are ints that fit together."""
    segment = mpshm.AnonymousSegment(size=1 << 20, max_size=1 << 24)
    stats = segment.stats()
    assert all(type(value) is int for value in stats)
    assert (1 << 20) - 64 <= stats.size <= stats.max_size == segment.max_size
    assert stats.used + stats.free + stats.cached == stats.size
    assert stats.largest_free <= stats.free
    assert stats.processes == 1 <= stats.slots
    assert (segment.size, segment.used, segment.free) == (stats.size, stats.used, stats.free)
    assert segment.recover() == 0
    assert segment.check() is None


@pytest.mark.parametrize("size", [0, -1, 1 << 63, 1 << 70])
@pytest.mark.parametrize("name", ["size", "max_size"])
def test_bad_sizes(name, size):
    """ValueError that names the argument and what was given."""
    with pytest.raises(ValueError, match=f"{name} must be .*{size}"):
        mpshm.AnonymousSegment(**{name: size})
    with pytest.raises(ValueError, match=name):
        mpshm.Manager(**{name: size})


@pytest.mark.parametrize("size", ["1", 1.0, b"1", [1]])
def test_sizes_of_other_types(size):
    """TypeError."""
    with pytest.raises(TypeError, match="number of bytes"):
        mpshm.AnonymousSegment(size)


def test_size_beyond_max_size():
    """ValueError that says so."""
    with pytest.raises(ValueError, match=r"size \(8388608\) is larger than max_size \(4194304\)"):
        mpshm.AnonymousSegment(8 << 20, 4 << 20)


def test_grow():
    """Growing adds memory, and refuses to go beyond max_size with nothing changed."""
    segment = mpshm.AnonymousSegment(max_size=32 << 20)
    before = segment.size
    segment.grow(4 << 20)
    after = segment.size
    assert after >= before + (4 << 20)
    with pytest.raises(mpshm.SegmentFullError, match="max_size"):
        segment.grow(64 << 20)
    assert segment.size == after
    for size in (0, -5):
        with pytest.raises(ValueError, match="nbytes"):
            segment.grow(size)
    assert segment.check() is None


def test_full():
    """At max_size SegmentFullError comes, nothing is changed, and what is there stays usable."""
    with mpshm.Manager(max_size=16 << 20) as manager:
        d = manager.dict(a=1)
        big = b"x" * (1 << 20)
        with pytest.raises(mpshm.SegmentFullError, match="max_size"):
            for i in range(64):
                d[i] = big
        n = len(d)
        assert n > 1 and d["a"] == 1
        assert manager.segment.check() is None
        d.clear()
        d["b"] = big
        assert d["b"] == big


def test_closing_a_segment():
    """After close() nothing new comes out of it; what was made goes on; twice is as good as once."""
    segment = mpshm.AnonymousSegment()
    d = mpshm.Dict._in(segment)
    with segment:
        pass
    segment.close()
    assert segment.closed
    for use in (segment.stats, segment.check, segment.recover, lambda: segment.grow(1), lambda: segment.size):
        with pytest.raises(mpshm.SegmentClosedError, match="closed in this process"):
            use()
    with pytest.raises(mpshm.SegmentClosedError):
        mpshm.Dict._in(segment)
    d["a"] = 1
    assert d == {"a": 1}


def test_one_object_for_a_segment(manager):
    """However a segment is reached, it is the same object in one process."""
    d = manager.dict()
    d["inner"] = manager.list()
    assert d["inner"]._segment is d._segment is manager.segment
    assert pickle.loads(pickle.dumps(manager.segment)) is manager.segment


def test_segments_go(no_new_segments):
    """A segment goes with the last thing that refers to it: nothing else keeps it."""
    for _ in range(20):
        manager = mpshm.Manager()
        d = manager.dict(a=manager.list([1, 2]))
        d["again"] = d["a"]
    del manager, d


def test_the_default_segment(run):
    """What is made without a manager lives in one segment per process, made on first use, by one thread or
    many."""
    out = run(
        "import mpshm, threading\n"
        "from mpshm import segments\n"
        "assert not segments._default\n"
        "gate, made = threading.Barrier(8), []\n"
        "def make():\n"
        "    gate.wait(10)\n"
        "    made.append(mpshm.Dict())\n"
        "threads = [threading.Thread(target=make) for _ in range(8)]\n"
        "for t in threads: t.start()\n"
        "for t in threads: t.join()\n"
        "print(len({d._segment.id for d in made}), len(made))\n"
    )
    assert out.split() == ["1", "8"]
    assert mpshm.List()._segment is mpshm.Namespace()._segment is segments.default_segment()


def test_segment_base_is_not_made():
    """The common base has no memory of its own."""
    with pytest.raises(TypeError, match="AnonymousSegment"):
        segments.Segment()


# How objects are shown and compared


def test_names_and_texts(manager):
    """repr names the object, str shows the contents, as SyncManager's proxies do."""
    shown = {
        "dict": (manager.dict(a=[1]), "Dict", "{'a': [1]}"),
        "list": (manager.list("ab"), "List", "['a', 'b']"),
        "Value": (manager.Value("i", 5), "Value", "Value(5)"),
        "Namespace": (manager.Namespace(b="x", a=1), "Namespace", "Namespace(a=1, b='x')"),
        "Lock": (manager.Lock(), "Lock", "<unlocked mpshm.Lock>"),
        "RLock": (manager.RLock(), "RLock", "<unlocked mpshm.RLock>"),
    }
    for typeid, (obj, name, text) in shown.items():
        assert repr(obj) == f"<mpshm.{name} object, typeid {typeid!r} at {id(obj):#x}>"
        assert str(obj) == text


def test_text_after_shutdown():
    """str never raises: it falls back to the name, as the stdlib's."""
    manager = mpshm.Manager()
    d = manager.dict()
    manager.shutdown()
    assert str(d) == repr(d)[:-1] + "; '__str__()' failed>"


def test_nested_are_shown_by_name(manager):
    """A shared object inside another is shown by its name."""
    inner = manager.list([1])
    text = str(manager.dict(k=inner, t=(inner,)))
    assert text.count("<mpshm.List object, typeid 'list' at 0x") == 2


def test_an_object_equals_itself(manager):
    """Even one that holds a NaN, as the builtin's; another one with the same NaN is compared by value."""
    for obj in (manager.list([math.nan]), manager.dict(a=math.nan)):
        again = pickle.loads(pickle.dumps(obj))
        assert obj == again and not obj != again


def test_deepcopy_gives_builtins(manager):
    """copy.deepcopy gives plain builtins, deep, with what is shared and what is cyclic as it was."""
    inner = manager.list([1])
    d = manager.dict(a=inner, b=inner, c=(inner, 2), n=[inner])
    d["me"] = d
    plain = copy.deepcopy(d)
    assert type(plain) is dict and type(plain["a"]) is list
    assert plain["a"] is plain["b"] is plain["c"][0] is plain["n"][0]
    assert plain["me"] is plain
    plain["a"].append(2)
    assert inner == [1]
    d.clear()


def test_copy_copy_is_another_handle(manager):
    """copy.copy of a handle refers to the same object, as a proxy's."""
    d = manager.dict()
    copy.copy(d)["a"] = 1
    assert d == {"a": 1}


def test_no_new_attributes(manager):
    """A misspelled attribute is an error; a namespace takes any, underscored ones for this handle alone."""
    for obj in (manager.dict(), manager.list(), manager.Value("i", 0), manager.Lock()):
        with pytest.raises(AttributeError):
            obj.vlaue = 1
    names = manager.Namespace()
    names._mine = 1
    assert names._mine == 1
    with pytest.raises(AttributeError):
        _ = pickle.loads(pickle.dumps(names))._mine
    assert str(names) == "Namespace()"


# What runs in the caller


def test_sort_that_changes_the_list(manager):
    """A key function that changes the list is found out, as the builtin's is; nothing is lost."""
    items = manager.list([3, 1, 2])

    def key(item):
        items.append(item)
        return item

    with pytest.raises(ValueError, match="list modified during sort"):
        items.sort(key=key)
    assert sorted(set(items)) == [1, 2, 3]


def test_sort_that_raises(manager):
    """An error in a comparison or key function leaves the list as it was, and nothing locked."""
    items = manager.list([3, "a", 2])
    with pytest.raises(TypeError):
        items.sort()
    with pytest.raises(ZeroDivisionError):
        items.sort(key=lambda item: 1 / 0)
    assert items == [3, "a", 2]
    with items.lock:
        items.append(1)


def test_sort_beside_a_busy_writer(manager):
    """Sorting numbers comes to an end though another thread changes the list all the time, and loses
    nothing."""
    items = manager.list(range(500, 0, -1))
    stop = threading.Event()

    def write():
        n = 1000
        while not stop.is_set():
            items.append(n)
            n += 1
            if n % 2000 == 0:
                del items[500:]

    writer = threading.Thread(target=write)
    writer.start()
    try:
        items.sort()
    finally:
        stop.set()
        writer.join()
    assert set(range(1, 501)) <= set(items)


class Odd:
    """Equal to what it was told; its pickle differs each time."""

    made = 0

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, Odd) and self.value == other.value

    def __reduce__(self):
        Odd.made += 1
        return Odd._again, (self.value, Odd.made)

    @staticmethod
    def _again(value, _):
        return Odd(value)

    __hash__ = None


def test_remove_what_never_pickles_alike(manager):
    """remove() finds by equality in the caller, whatever the item's stored bytes are."""
    items = manager.list([Odd(1), Odd(2), Odd(1), Odd(3)])
    items.remove(Odd(1))
    assert [item.value for item in items] == [2, 1, 3]
    items.remove(Odd(3))
    assert [item.value for item in items] == [2, 1]
    with pytest.raises(ValueError, match=r"list.remove\(x\): x not in list"):
        items.remove(Odd(9))


def test_remove_takes_the_first(manager):
    """Of equal items the first goes."""
    items = manager.list([1, True, 1.0, 2, 1])
    items.remove(1)
    assert [repr(item) for item in items] == ["True", "1.0", "2", "1"]
    items.remove(2)
    items.remove(1)
    assert [repr(item) for item in items] == ["1.0", "1"]


def test_in_place_operators_keep_the_object(manager):
    """+=, *= and |= change the shared object; +, * and | give plain builtins."""
    items = same = manager.list([1])
    items += [2]
    items *= 2
    assert items is same and items == [1, 2, 1, 2]
    assert type(items + [3]) is type([3] + items) is type(items * 2) is type(2 * items) is list
    d = same = manager.dict(a=1)
    d |= {"b": 2}
    assert d is same and d == {"a": 1, "b": 2}


def test_many_objects_leave_nothing(manager):
    """Objects made and dropped leave the segment as it was."""
    manager.dict(a=[1, 2], b=manager.list([1]))
    gc.collect()
    before = manager.segment.stats()
    for i in range(300):
        d = manager.dict(a=[i] * 50, b=manager.list(range(100)))
        d["c"] = manager.dict(x=d["b"])
        pickle.loads(pickle.dumps(d))
    del d
    after = manager.segment.stats()
    assert after.objects == before.objects
    assert after.blocks == before.blocks
