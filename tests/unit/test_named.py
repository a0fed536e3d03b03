"""Objects by name: construct, find, destroy, and what segments tell of them."""

import ctypes
import gc
import pickle
import sys
import threading

import numpy as np
import pytest

import mpshm
from mpshm import _types, arrays, containers, sync

pytestmark = pytest.mark.once


@pytest.fixture
def segment():
    """A segment of one's own, in which nothing may be left when all names and handles are gone."""
    made = mpshm.AnonymousSegment(max_size=32 << 20)
    yield made
    if not made.closed:
        for name in made.names():
            made.destroy(name)
        gc.collect()
        assert made.check() is None


class Point(ctypes.Structure):
    """A structure of a user's."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


CLASSES = [
    (mpshm.Dict, ({"a": 1},), {"b": 2}, lambda d: d == {"a": 1, "b": 2}),
    (mpshm.List, ([1, 2],), {}, lambda x: x == [1, 2]),
    (mpshm.Set, ([1, 2],), {}, lambda s: s == {1, 2}),
    (mpshm.Deque, ([1, 2, 3], 2), {}, lambda d: list(d) == [2, 3] and d.maxlen == 2),
    (mpshm.Namespace, (), {"x": 1}, lambda n: n.x == 1),
    (containers.Value, (7,), {}, lambda v: v.value == 7),
    (arrays.Array, ("i", [1, 2]), {}, lambda a: list(a) == [1, 2]),
    (mpshm.Queue, (3,), {}, lambda q: q.empty() and not q.full()),
    (mpshm.JoinableQueue, (), {}, lambda q: q.empty()),
    (mpshm.SimpleQueue, (), {}, lambda q: q.empty()),
    (mpshm.Lock, (), {}, lambda lock: not lock.locked()),
    (mpshm.RLock, (), {}, lambda lock: lock.acquire() and lock.release() is None),
    (mpshm.Semaphore, (3,), {}, lambda s: s.get_value() == 3),
    (mpshm.BoundedSemaphore, (2,), {}, lambda s: s.get_value() == 2),
    (mpshm.Event, (), {}, lambda e: not e.is_set()),
    (mpshm.Condition, (), {}, lambda c: c.acquire() and c.release() is None),
    (mpshm.Barrier, (2,), {}, lambda b: b.parties == 2),
    (object, ({"any": [1]},), {}, lambda v: v.value == {"any": [1]}),
    (Point, (1, 2.5), {}, lambda p: (p.x, p.y) == (1, 2.5)),
    (Point, (), {"y": 1.5}, lambda p: (p.x, p.y) == (0, 1.5)),
    (ctypes.c_int, (5,), {}, lambda i: i.value == 5),
    (ctypes.c_int * 3, (1, 2, 3), {}, lambda a: list(a) == [1, 2, 3]),
    ("f8", (), {"shape": (2, 3)}, lambda a: a.shape == (2, 3) and not a.any()),
    (np.int32, ([1, 2],), {}, lambda a: a.tolist() == [1, 2]),
    (float, (2.5,), {}, lambda a: a[()] == 2.5),
]


@pytest.mark.parametrize(("type_", "args", "kwds", "holds"), CLASSES, ids=lambda v: getattr(v, "__name__", None))
def test_every_type(segment, type_, args, kwds, holds):
    """What construct makes is what find finds, in the same segment, by name and by type, when no handle is left."""
    made = segment.construct(type_, "it", *args, **kwds)
    assert holds(made)
    assert segment.kind_of(made) == "named" and segment.name_of(made) == "it"
    del made
    found = segment.find("it", type_)
    assert holds(found)
    again = segment.find_or_construct(type_, "it", *args, **kwds)
    assert segment.handle_of(again) == segment.handle_of(found)
    assert segment.info("it").kind == "named"
    segment.check()
    del found, again
    assert segment.destroy("it") is True
    assert segment.destroy("it") is False
    assert segment.find("it", type_) is None
    gc.collect()
    assert segment.stats().objects == 0


def test_unnamed(segment):
    """Without a name an object lives as long as its handle."""
    made = segment.construct(mpshm.List, None, [1])
    assert made == [1] and made._segment is segment
    assert segment.kind_of(made) == "anonymous" and segment.name_of(made) is None
    assert segment.stats().objects == 1 and len(segment) == 0
    del made
    assert segment.stats().objects == 0


def test_taken_name(segment):
    """SegmentExistsError says which name, and nothing of the second object is left; the first is as it was."""
    segment.construct(mpshm.List, "name", [1])
    before = segment.stats().objects
    with pytest.raises(mpshm.SegmentExistsError, match=r"Dict named 'name'.*the name is taken.*Find the object"):
        segment.construct(mpshm.Dict, "name")
    with pytest.raises(FileExistsError):
        segment.construct(mpshm.List, "name")
    assert segment["name"] == [1]
    assert segment.stats().objects == before


def test_taken_at_the_last_moment(segment):
    """A name that is taken while the object is being made is taken; the object is gone."""

    class Late:
        def __iter__(self):
            segment.construct(mpshm.List, "name", ["first"])
            return iter([1])

    with pytest.raises(mpshm.SegmentExistsError):
        segment.construct(mpshm.Deque, "name", Late())
    assert segment["name"] == ["first"]
    segment.destroy("name")
    assert segment.find_or_construct(mpshm.List, "name", Late()) == ["first"]
    segment.destroy("name")
    gc.collect()
    assert segment.stats().objects == 0


def test_maker_raises(segment):
    """What __init__ raises comes out, and there is neither name nor object."""
    for type_, args in ((mpshm.Dict, (1,)), (mpshm.Deque, ([], -1)), (Point, ("x",)), ("f8", ("text",))):
        with pytest.raises((TypeError, ValueError)):
            segment.construct(type_, "name", *args)
        with pytest.raises((TypeError, ValueError)):
            segment.find_or_construct(type_, "name", *args)
    gc.collect()
    assert "name" not in segment and segment.stats().objects == 0


def test_another_type(segment):
    """TypeError names both types."""
    segment.construct(mpshm.Dict, "dict")
    segment.construct("f8", "array", shape=2)
    segment.construct(Point, "point")
    cases = [
        ("dict", mpshm.List, "'dict': the object is a Dict, not a List"),
        ("dict", "f8", "'dict': the object is a Dict, not an array of float64"),
        ("dict", Point, "'dict': the object is a Dict, not a .*Point"),
        ("dict", object, "'dict': the object is a Dict, not a Value"),
        ("array", "f4", "'array': the object is an array of float64, not of float32"),
        ("array", mpshm.Dict, "'array': the object is a float64, not a Dict"),
        ("array", ctypes.c_double * 2, "'array': the object is a float64, not a .*c_double_Array_2"),
        ("point", mpshm.Dict, "'point': the object is a bytes, not a Dict"),
        ("point", ctypes.c_int, "'point': the object is 16 bytes, not a ctypes.c_int, which has 4"),
        ("point", None, "'point' is 16 bytes of a ctypes type: say which"),
    ]
    for name, type_, message in cases:
        with pytest.raises(TypeError, match=message):
            segment.find(name, type_)
        if type_ is not None:
            with pytest.raises(TypeError, match=message):
                segment.find_or_construct(type_, name)


@pytest.mark.parametrize("type_", [None, 1, int, print, dict, "O", [("a", "O")], threading.Lock, mpshm.MpshmError])
def test_types_that_cannot_be_shared(segment, type_):
    """TypeError, before anything is made. `int` is a dtype, and so shared."""
    if type_ is int:
        assert segment.construct(int, "n", 3)[()] == 3
        return
    with pytest.raises(TypeError):
        segment.construct(type_, "name")
    assert "name" not in segment and segment.stats().objects == 0


@pytest.mark.parametrize(
    ("name", "error"), [("", ValueError), (1, TypeError), (b"x", TypeError), (("a",), TypeError), (1.5, TypeError)]
)
def test_bad_names(segment, name, error):
    """A name is text of at least one character."""
    for use in (
        lambda: segment.construct(mpshm.Dict, name),
        lambda: segment.find(name),
        lambda: segment.find_or_construct(mpshm.Dict, name),
        lambda: segment.destroy(name),
        lambda: segment.info(name),
        lambda: segment[name],
    ):
        with pytest.raises(error, match="name"):
            use()
    assert name not in segment
    assert segment.stats().objects == 0


@pytest.mark.parametrize(
    "name", ["a", "fourteen chars", "fifteen letters", "ä", "日本", "\udc80", "x" * 10000, "a/b\0c"]
)
def test_names_of_all_lengths(segment, name):
    """Any text is a name."""
    made = segment.construct(mpshm.Dict, name, here=1)
    assert segment[name]["here"] == 1 and name in segment and segment.names() == [name]
    assert segment.name_of(made) == name
    del segment[name]
    assert name not in segment
    with pytest.raises(KeyError):
        segment[name]
    with pytest.raises(KeyError):
        del segment[name]


def test_names_that_are_subclasses_of_str(segment):
    """They are the name that they equal."""

    class Name(str):
        __slots__ = ()

    segment.construct(mpshm.Dict, Name("name"))
    assert "name" in segment and Name("name") in segment and type(segment.names()[0]) is str


def test_as_a_mapping(segment):
    """The segment's length, iteration and items are those of its names, the oldest first."""
    assert segment and len(segment) == 0 and list(segment) == [] and segment.items() == []
    segment.construct(mpshm.List, "one", [1])
    segment.construct(mpshm.Dict, "two")
    segment.construct("u1", "three", shape=3)
    segment.construct(mpshm.Dict, mpshm.unique)
    assert len(segment) == 3 and list(segment) == segment.names() == ["one", "two", "three"]
    assert [(name, type(obj)) for name, obj in segment.items()] == [
        ("one", mpshm.List),
        ("two", mpshm.Dict),
        ("three", mpshm.SharedArray),
    ]
    assert segment.items()[0][1] == [1]
    segment.destroy("one")
    assert segment.names() == ["two", "three"]
    segment.destroy(mpshm.unique, mpshm.Dict)


def test_unique(segment):
    """There is one unique instance of a type, beside any names; without the type nobody knows which is meant."""
    made = segment.construct(mpshm.Dict, mpshm.unique, a=1)
    with pytest.raises(mpshm.SegmentExistsError, match=r"mpshm\.unique"):
        segment.construct(mpshm.Dict, mpshm.unique)
    segment.construct(mpshm.List, mpshm.unique, [1])
    segment.construct(mpshm.Dict, "Dict", b=1)
    assert segment.find(mpshm.unique, mpshm.Dict) == {"a": 1}
    assert segment.find_or_construct(mpshm.List, mpshm.unique) == [1]
    assert segment.find(mpshm.unique, mpshm.Set) is None
    assert segment.unique_types() == ["Dict", "List"] and segment.names() == ["Dict"]
    assert segment.name_of(made) is mpshm.unique and segment.kind_of(made) == "unique"
    assert segment.info(mpshm.unique, mpshm.Dict).kind == "unique"
    for use in (segment.find, segment.destroy, segment.info):
        with pytest.raises(TypeError, match="by its type"):
            use(mpshm.unique)
    assert pickle.loads(pickle.dumps(mpshm.unique)) is mpshm.unique and repr(mpshm.unique) == "mpshm.unique"
    assert segment.destroy(mpshm.unique, mpshm.Dict) and segment.destroy(mpshm.unique, mpshm.List)
    assert not segment.destroy(mpshm.unique, mpshm.Dict)
    assert segment.unique_types() == []


def test_info(segment):
    """Kind, type, length and bytes of each."""
    segment.construct(mpshm.List, "list", [1, 2, 3])
    segment.construct("<f4", "array", shape=(2, 5))
    segment.construct(Point, "point")
    segment.construct(mpshm.Lock, "lock")
    assert segment.info("list")[:3] == ("named", "List", 3) and segment.info("list").nbytes > 80
    assert segment.info("array") == ("named", "float32", 10, 40)
    assert segment.info("point") == ("named", "bytes", 16, 16)
    assert segment.info("lock")[:3] == ("named", "Lock", 1)
    with pytest.raises(KeyError):
        segment.info("nothing")


def test_destroyed_while_in_use(segment):
    """Without its name an object goes on for those who have it, and the name is free for another."""
    made = segment.construct(mpshm.List, "name", [1])
    assert segment.destroy("name")
    made.append(2)
    assert made == [1, 2] and segment.kind_of(made) == "anonymous"
    segment.construct(mpshm.List, "name", ["new"])
    assert segment["name"] == ["new"]
    del made
    assert segment.stats().objects == 1


def test_destroy_object(segment):
    """All names of the object go, and no other's; what is not in this segment is refused."""
    one = segment.construct(mpshm.List, "one")
    other = segment.construct(mpshm.List, "other")
    names = _types.Names._of(segment, True)
    assert names.enter("second name", one) and not names.enter("other", one)
    assert segment.name_of(one) == "one"
    segment.destroy_object(one)
    assert segment.names() == ["other"]
    segment.destroy_object(one)
    unnamed = segment.construct(mpshm.List)
    segment.destroy_object(unnamed)
    handle = segment.allocate(10)
    segment.destroy_object(segment.from_handle(handle))
    with pytest.raises(ReferenceError):
        segment.view(handle)
    elsewhere = mpshm.List()
    segment.construct(mpshm.List, "it")
    with pytest.raises(ValueError, match="another segment"):
        segment.destroy_object(elsewhere)
    with pytest.raises(TypeError, match="shared object"):
        segment.destroy_object([])
    del names, one, other, unnamed


def test_a_segment_without_names(segment):
    """What asks for names makes no table of them; what makes one is not counted as anybody's object."""
    used = segment.used
    assert "x" not in segment and segment.find("x") is None and segment.names() == segment.unique_types() == []
    assert segment.name_of(mpshm.List._in(segment)) is None and not segment.destroy("x")
    assert segment.used == used
    segment.construct(mpshm.Lock, "x")
    assert segment.stats().objects == 1
    segment.destroy("x")
    assert segment.stats().objects == 0 and segment.check() is None


def test_reserve_names(segment):
    """With room for them, names take no more memory for the table."""
    obj = segment.construct(mpshm.Lock, "first")
    segment.reserve_names(5000)
    names = _types.Names._of(segment, True)
    used, blocks = segment.used, segment.stats().blocks
    for i in range(4900):
        assert names.enter(f"n{i}", obj)
    assert (segment.used, segment.stats().blocks) == (used, blocks)
    assert len(segment) == 4901
    with pytest.raises(ValueError, match="at least 0"):
        segment.reserve_names(-1)
    with pytest.raises(mpshm.SegmentFullError):
        segment.reserve_names(10_000_000)
    with pytest.raises(TypeError):
        segment.reserve_names("3")
    segment.destroy_object(obj)
    assert len(segment) == 0


def test_closed(segment):
    """After close() and after the manager's shutdown() names are refused as all else."""
    with mpshm.Manager() as manager:
        shut = manager.segment
        shut.construct(mpshm.Dict, "d")
    segment.construct(mpshm.Dict, "d")
    segment.close()
    for closed in (segment, shut):
        for use in (
            lambda s: s.construct(mpshm.Dict, "e"),
            lambda s: s.find("d"),
            lambda s: s.destroy("d"),
            lambda s: s.names(),
            lambda s: s.allocate(1),
            lambda s: "d" in s,
            lambda s: s.reserve_names(1),
            lambda s: s.atomic().__enter__(),
        ):
            with pytest.raises(mpshm.SegmentClosedError):
                use(closed)


def test_full():
    """In a full segment SegmentFullError comes, and what is there is whole."""
    segment = mpshm.AnonymousSegment(max_size=256 << 10)
    with pytest.raises(mpshm.SegmentFullError):
        for i in range(100_000):
            segment.construct(mpshm.List, f"a name that is long enough {i}", [i])
    names = segment.names()
    assert len(names) > 100 and all(segment[name] == [i] for i, name in enumerate(names))
    assert segment.check() is None
    for name in names:
        assert segment.destroy(name)
    assert segment.stats().objects == 0


def test_objects_refer_to_named_ones(segment):
    """A container may hold a named object and be named itself, in a ring too; destroying takes apart what it can."""
    outer = segment.construct(mpshm.Dict, "outer")
    outer["inner"] = segment.construct(mpshm.List, "inner", [1])
    segment.destroy("inner")
    assert segment["outer"]["inner"] == [1]
    del outer
    segment.destroy("outer")
    assert segment.stats().objects == 0


# atomic()


def test_atomic(segment):
    """While one thread is in atomic(), another's construct, find and destroy wait; it may enter again itself."""
    order = []
    ready = threading.Event()

    def other():
        ready.set()
        order.append(("found", segment.find("x") is not None))

    with segment.atomic() as entered:
        assert entered is segment
        thread = threading.Thread(target=other)
        thread.start()
        ready.wait(10)
        with segment.atomic():
            segment.construct(mpshm.Lock, "y")
        thread.join(0.2)
        order.append("leaving")
        segment.construct(mpshm.Lock, "x")
    thread.join(20)
    assert order == ["leaving", ("found", True)]


def test_atomic_of_others(segment):
    """Who does not wait, or not longer, is told with TimeoutError; raw allocation and objects go on."""
    shared = segment.construct(mpshm.List, "x")
    inside, leave = threading.Event(), threading.Event()

    def other():
        with segment.atomic():
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=other)
    thread.start()
    assert inside.wait(20)
    try:
        for atomic in (segment.atomic(blocking=False), segment.atomic(timeout=0.01)):
            with pytest.raises(TimeoutError, match="names of segment"), atomic:
                pass
        shared.append(1)
        segment.deallocate(segment.allocate(10))
    finally:
        leave.set()
        thread.join(20)
    with segment.atomic(blocking=False):
        assert segment.find("x") == [1]


def test_threads_race(segment):
    """Of many threads that construct one name, one succeeds; with find_or_construct all get its object."""
    for i in range(20):
        barrier = threading.Barrier(8)
        won, found = [], []

        def race(i=i, barrier=barrier, won=won, found=found):
            barrier.wait(20)
            try:
                segment.construct(mpshm.List, f"c{i}", [threading.get_ident()])
                won.append(threading.get_ident())
            except mpshm.SegmentExistsError:
                pass
            found.append(segment.find_or_construct(mpshm.List, f"f{i}", [threading.get_ident()]))

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(won) == 1 and segment[f"c{i}"] == won
        assert len(found) == 8 and len({segment.handle_of(obj) for obj in found}) == 1
        del found[:]
    gc.collect()
    assert segment.stats().objects == 40


def test_default_segment_and_manager(manager):
    """Every segment has names: a manager's, and that of what is made without one."""
    d = manager.segment.construct(mpshm.Dict, "x", a=1)
    assert manager.segment["x"] == {"a": 1} and d["a"] == 1
    default = mpshm.segments.default_segment()
    default.construct(sync.Lock, "test lock")
    assert "test lock" in default and default.destroy("test lock")


def test_numpy_and_ctypes_are_not_imported(interpreter_env):
    """Naming containers brings in neither."""
    import subprocess

    code = (
        "import sys, mpshm; s = mpshm.AnonymousSegment(); s.construct(mpshm.Dict, 'x'); s['x']; s.names(); "
        "s.view(s.allocate(3)); assert not {'numpy', 'ctypes'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=interpreter_env)
    assert (done.returncode, done.stderr) == (0, "")
