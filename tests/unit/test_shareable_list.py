"""ShareableList: what the standard library's loses or refuses, and what it says."""

import pickle
import struct
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mpshm
from mpshm import ShareableList, SharedMemory

pytestmark = pytest.mark.once

ITEMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(1 << 70), max_value=1 << 70),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.binary(max_size=8).map(lambda data: data + b"\0\0"),
)


@pytest.fixture
def make():
    """A function that makes lists, which are unlinked at the end."""
    made = []

    def make_list(*args, **kwds):
        made.append(ShareableList(*args, **kwds))
        return made[-1]

    yield make_list
    for one in made:
        one.shm.close()
        SharedMemory.remove(one.shm.name)


def same(one, other):
    return one == other and type(one) is type(other)


AWKWARD = [
    *("", "a\0", "\0", "\0" * 9, "\ud800 lone", "encodés", "x" * 100_000, "\U0001f600" * 9),
    *(b"", b"a\0", b"\0" * 8, b"\0" * 16, bytes(range(256))),
    *(0, -1, (1 << 63) - 1, -(1 << 63), 1 << 63, -(1 << 63) - 1, 1 << 5000, -(1 << 5000)),
    *(0.0, -0.0, float("inf"), 1e-320, True, False, None),
]


@pytest.mark.parametrize("item", AWKWARD, ids=lambda item: repr(item)[:20])
def test_what_is_stored_comes_back(make, item):
    """Equal and of the same type, from the start or set later, here and attached."""
    items = make([item, 1, item])
    other = ShareableList(name=items.shm.name)
    assert same(items[0], item)
    assert same(other[2], item)
    other[1] = item
    assert same(items[1], item)
    assert repr(items[0]) == repr(item)
    other.shm.close()


def test_items_grow_and_change_their_type(make):
    """Anything may follow anything, and the neighbours stay as they are."""
    items = make(["a", 1, b"c"])
    other = ShareableList(name=items.shm.name)
    for number in range(1, 2000, 7):
        items[1] = "é" * number
        other[0] = number
        assert list(other) == list(items) == [number, "é" * number, b"c"]
    items[1] = None
    assert list(other) == [1996, None, b"c"]
    other.shm.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.lists(ITEMS, max_size=8), data=st.data())
def test_it_is_a_list_of_fixed_length(start, data):
    """Any assignments, through two objects, leave what a list would have."""
    ours, model = ShareableList(start), list(start)
    other = ShareableList(name=ours.shm.name)
    try:
        for _ in range(data.draw(st.integers(0, 12)) if start else 0):
            place = data.draw(st.integers(-len(model), len(model) - 1))
            model[place] = value = data.draw(ITEMS)
            data.draw(st.sampled_from([ours, other]))[place] = value
            assert list(ours) == list(other) == model
        assert [type(item) for item in ours] == [type(item) for item in model]
        assert len(ours) == len(model)
        for value in (*model, "none of them"):
            assert ours.count(value) == model.count(value)
    finally:
        other.shm.close()
        ours.shm.close()
        ours.shm.unlink()


def test_memory_is_used_again(make):
    """Replacing items for ever does not take memory for ever."""
    items = make(["x"] * 10)
    for number in range(20_000):
        items[number % 10] = "y" * (number % 100)
    assert items.shm.size < 10_000


@pytest.mark.parametrize("item", [[], {}, (), object(), 1j, bytearray(b"x"), type("S", (str,), {})("s")])
def test_other_types_are_refused(make, item):
    """The error names the type and the way out; nothing has changed. It is a KeyError too, as the stdlib's."""
    items = make([1])
    with pytest.raises(TypeError, match=f"item of type {type(item).__name__}.*mpshm.List") as caught:
        items[0] = item
    assert isinstance(caught.value, KeyError)
    assert items[0] == 1
    with pytest.raises(TypeError):
        ShareableList([1, item])


def test_places(make):
    """Indices are those of a list; what is outside is an error."""
    items = make([1, 2, 3])
    assert [items[-1], items[-3], items[True]] == [3, 1, 2]
    for place in (3, -4, 1 << 70):
        with pytest.raises(IndexError, match=r"^index out of range$"):
            items[place]
        with pytest.raises(IndexError, match=r"^assignment index out of range$"):
            items[place] = 1
    for place in ("0", None, 1.0, slice(2)):
        with pytest.raises(TypeError):
            items[place]
    with pytest.raises(ValueError, match="'x' not in this container"):
        items.index("x")


def test_a_name(make, unique_name):
    """A list with a name is found by it, and its name is taken."""
    name = unique_name()
    items = make([1, "a"], name=name)
    assert items.shm.name == name
    other = ShareableList(name=name)
    assert list(other) == [1, "a"]
    other.shm.close()
    with pytest.raises(mpshm.SegmentExistsError):
        ShareableList([1], name=name)
    copy = pickle.loads(pickle.dumps(items))
    copy[0] = 2
    assert items[0] == 2
    copy.shm.close()
    assert make(iter("abc"))[2] == "c"
    assert make(items)[1] == "a"


def test_after_close(make):
    """Use after the end of its memory says so."""
    items = make([1])
    items.shm.close()
    for use in (lambda: items[0], lambda: items.__setitem__(0, 1), lambda: len(items), lambda: items.format):
        with pytest.raises(mpshm.SegmentClosedError, match="its memory was closed"):
            use()


def test_memory_that_holds_no_list(unique_name):
    """Attaching to anything else is refused, and removes nothing."""
    from multiprocessing import shared_memory

    for size in (1, 64, 1000):
        shm = SharedMemory(create=True, size=size)
        shm.buf[:] = b"\7" * size
        with pytest.raises(ValueError, match="holds none of mpshm's"):
            ShareableList(name=shm.name)
        shm.close()
        shm.unlink()
    theirs = shared_memory.ShareableList([1, 2], name=unique_name())
    with pytest.raises(ValueError, match="holds none of mpshm's"):
        ShareableList(name=theirs.shm.name)
    theirs.shm.close()
    theirs.shm.unlink()


def test_damaged_memory_is_no_crash(make):
    """Whatever the bytes are: a value, or SegmentCorruptedError."""
    import random

    seeded = random.Random(5)
    items = make(["text", 5, b"bytes", 2.5, 1 << 80] * 3)
    good = bytes(items.shm.buf)
    for _ in range(600):
        items.shm.buf[:] = good
        place = seeded.randrange(24, len(good) // 8 * 8, 8)
        wrong = seeded.choice([0, 1, (1 << 64) - 1, 1 << 63, len(good), len(good) - 8, seeded.getrandbits(64)])
        struct.pack_into("@Q", items.shm.buf, place, wrong)
        for number in range(15):
            for use in (
                lambda n=number: items[n],
                lambda n=number: items.__setitem__(n, "y" * 9),
                lambda: items.format,
            ):
                try:
                    use()
                except (mpshm.SegmentCorruptedError, mpshm.SegmentFullError):
                    pass
        if len(items.shm.buf) != len(good):
            items.shm.resize(len(good))


def test_full_memory_changes_nothing(make, monkeypatch):
    """When there is no memory to grow, the item stays."""
    items = make(["a", "b"])

    def full(size):
        raise mpshm.SegmentFullError.because("no")

    monkeypatch.setattr(items.shm, "resize", full)
    with pytest.raises(mpshm.SegmentFullError):
        items[0] = "x" * 100_000
    assert list(items) == ["a", "b"]
    items[0] = "c"
    assert list(items) == ["c", "b"]


def test_threads(make):
    """Threads that change and read at once see whole items only."""
    items = make(["a" * 10] * 4)
    stop, wrong = threading.Event(), []

    def write(letter):
        size = 1
        while not stop.is_set():
            size = size * 7 % 503
            items[size % 4] = letter * size

    def read():
        while not stop.is_set():
            for item in items:
                if len(set(item)) > 1:
                    wrong.append(item)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    threads = [threading.Thread(target=write, args=(letter,)) for letter in "xy"]
    threads += [threading.Thread(target=read) for _ in range(2)]
    try:
        for thread in threads:
            thread.start()
        threads[0].join(1.5)
        stop.set()
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(before)
    assert not wrong
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) < 200
