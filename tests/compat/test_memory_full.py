"""A segment at its largest size: SegmentFullError, nothing changed, everything still usable."""

import pytest

import mpshm

pytestmark = pytest.mark.once

MAX_SIZE = 4 << 20


@pytest.fixture
def small():
    """A manager that is soon full; sound at the end."""
    with mpshm.Manager(max_size=MAX_SIZE) as made:
        yield made
        assert made.segment.check() is None
        assert made.segment.stats().size <= MAX_SIZE


def fill(manager):
    """Use up the memory of a manager, down to the last bytes; the lists that hold it."""
    hoard = []
    for size in (256 << 10, 16 << 10, 1 << 10, 100, 16):
        try:
            while True:
                part = manager.list()
                hoard.append(part)
                while True:
                    part.append(b"x" * size)
        except mpshm.SegmentFullError:
            continue
    return hoard


def test_dict_until_full(small):
    """What fits is there, what does not is not, and nothing is half there."""
    d = small.dict()
    count = 0
    with pytest.raises(mpshm.SegmentFullError) as caught:
        while True:
            d[count] = bytes([count % 256]) * 1000
            count += 1
    assert isinstance(caught.value, MemoryError) and isinstance(caught.value, mpshm.MpshmError)
    assert "max_size" in str(caught.value)
    assert count > 1000 and len(d) == count and count not in d
    small.segment.check()
    assert all(d[i] == bytes([i % 256]) * 1000 for i in range(count))
    for i in range(0, count, 2):
        del d[i]
    for i in range(0, count // 2, 2):
        d[i] = b"new" * 300
    assert len(d) == sum(1 for i in range(count) if i % 2 or i < count // 2)


def test_list_until_full(small):
    """The same of a list; after half of it is deleted there is room again."""
    x = small.list()
    count = 0
    with pytest.raises(mpshm.SegmentFullError):
        while True:
            x.append(f"{count:06}" * 100)
            count += 1
    assert len(x) == count and x[-1] == f"{count - 1:06}" * 100
    small.segment.check()
    del x[count // 2 :]
    for i in range(count // 4):
        x.append(f"{i:06}" * 100)
    assert len(x) == count // 2 + count // 4


def test_small_entries_until_full(small):
    """The tables themselves reach the limit, while they grow."""
    d, x = small.dict(), small.list()
    with pytest.raises(mpshm.SegmentFullError):
        for i in range(10**7):
            d[i] = i
    length = len(d)
    assert length > 10_000 and d[length - 1] == length - 1 and length not in d
    assert sum(d.keys()) == length * (length - 1) // 2
    d.clear()
    with pytest.raises(mpshm.SegmentFullError):
        for i in range(10**7):
            x.append(i)
    length = len(x)
    assert length > 10_000 and x[-1] == length - 1
    assert sum(x) == length * (length - 1) // 2
    x.clear()
    d["again"] = 1
    x.append(2)
    assert d == {"again": 1} and x == [2]


BIG = b"B" * (8 << 20)

TOO_MUCH = {
    "dict set": lambda d, x, v, ns: d.__setitem__("a", BIG),
    "dict set new": lambda d, x, v, ns: d.__setitem__("new", BIG),
    "dict set long key": lambda d, x, v, ns: d.__setitem__(BIG, 1),
    "dict setdefault": lambda d, x, v, ns: d.setdefault("new", BIG),
    "dict update": lambda d, x, v, ns: d.update({"b": 2, "a": 3, "c": BIG, "d": 4}),
    "dict update many": lambda d, x, v, ns: d.update((i, i) for i in range(10**6)),
    "dict |=": lambda d, x, v, ns: d.__ior__({"b": 2, "c": BIG}),
    "dict compute": lambda d, x, v, ns: d.compute("a", lambda old: BIG),
    "dict compare_exchange": lambda d, x, v, ns: d.compare_exchange("a", 1, BIG),
    "dict incr": lambda d, x, v, ns: d.incr("a", 1 << (80 << 20)),
    "list append": lambda d, x, v, ns: x.append(BIG),
    "list insert": lambda d, x, v, ns: x.insert(1, BIG),
    "list set": lambda d, x, v, ns: x.__setitem__(0, BIG),
    "list extend": lambda d, x, v, ns: x.extend([1, 2, BIG]),
    "list extend many": lambda d, x, v, ns: x.extend(range(10**6)),
    "list +=": lambda d, x, v, ns: x.__iadd__([1, BIG]),
    "list *=": lambda d, x, v, ns: x.__imul__(10**7),
    "list *= far too much": lambda d, x, v, ns: x.__imul__(2**40),
    "list set slice": lambda d, x, v, ns: x.__setitem__(slice(0, 1), [1, BIG]),
    "list set slice many": lambda d, x, v, ns: x.__setitem__(slice(1, 1), range(10**6)),
    "list set extended slice": lambda d, x, v, ns: x.__setitem__(slice(None, None, 2), [1, BIG]),
    "Value": lambda d, x, v, ns: v.set(BIG),
    "Value attribute": lambda d, x, v, ns: setattr(v, "value", BIG),
    "Namespace": lambda d, x, v, ns: setattr(ns, "a", BIG),
    "Namespace new": lambda d, x, v, ns: setattr(ns, "new", BIG),
}


@pytest.mark.parametrize("action", TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_does_not_fit_changes_nothing(small, action):
    """Each operation that needs more than there is leaves all as it was, also the memory in use."""
    d, x = small.dict(a=1, z=[26]), small.list([1, 2, 3])
    v, ns = small.Value("i", 7), small.Namespace(a=1)
    before = small.segment.stats()
    for _ in range(20):
        with pytest.raises(mpshm.SegmentFullError):
            action(d, x, v, ns)
    assert list(d.items()) == [("a", 1), ("z", [26])] and x == [1, 2, 3]
    assert v.value == 7 and str(ns) == "Namespace(a=1)"
    after = small.segment.stats()
    assert (after.objects, after.blocks) == (before.objects, before.blocks)
    d["b"], v.value, ns.b = 2, 8, 2
    x.append(4)
    assert d["b"] == 2 and x[-1] == 4 and v.value == 8 and ns.b == 2


def test_making_objects_in_a_full_segment(small):
    """No object is half made, and handles that are dropped make room for the next."""
    hoard = fill(small)
    made = []
    for make in (
        small.dict,
        small.list,
        small.Namespace,
        small.Lock,
        small.RLock,
        lambda: small.Value("i", 1),
    ):
        with pytest.raises(mpshm.SegmentFullError):
            for _ in range(100_000):
                made.append(make())
    small.segment.check()
    made.clear()
    hoard.clear()
    d = small.dict(a=1)
    d["b"] = b"y" * (1 << 20)
    assert len(d["b"]) == 1 << 20


def test_what_needs_no_memory_works_when_full(small):
    """Reading, overwriting in place, counting, deleting and locking go on."""
    d, x, lock = small.dict(a=1, b="short", c=2.5), small.list([3, 1, 2]), small.Lock()
    v, ns = small.Value("i", 1), small.Namespace(a=1)
    hoard = fill(small)
    for _ in range(100):
        d["a"] = 2
        d["b"] = "other"
        d.incr("c", 0.5)
        x[0] = "three"
        x[0] = 3
        v.add(1)
        ns.a = 2
        with lock, d.lock:
            assert d.compare_exchange("a", 2, 3)
    assert d == {"a": 3, "b": "other", "c": 52.5} and x == [3, 1, 2] and v.value == 101
    x.reverse()
    assert x.pop() == 3 and d.pop("b") == "other" and d.popitem() == ("c", 52.5)
    small.segment.check()
    hoard.clear()


def test_after_clear_there_is_room_for_the_same_again(small):
    """Filling and clearing many times fits as much each time."""
    d = small.dict()
    counts = []
    for _ in range(6):
        count = 0
        try:
            while True:
                d[count] = "v" * (count % 3000)
                count += 1
        except mpshm.SegmentFullError:
            counts.append(count)
        assert len(d) == count
        d.clear()
    assert min(counts) > 0.9 * max(counts), counts


def test_grow_beyond_the_limit(small):
    """segment.grow() is refused the same way."""
    with pytest.raises(mpshm.SegmentFullError):
        small.segment.grow(MAX_SIZE * 2)
    d = small.dict(a=1)
    assert d["a"] == 1


def test_full_in_another_process(small, other):
    """The other process gets the error too, and this one reads what it left."""
    d = small.dict(a=1)
    with pytest.raises(mpshm.SegmentFullError):
        other.call(d, "__setitem__", "big", BIG)
    with pytest.raises(mpshm.SegmentFullError):
        other.call(d, "update", {"b": 1, "c": BIG})
    assert d == {"a": 1}
    other.call(d, "__setitem__", "b", 2)
    assert d == {"a": 1, "b": 2}
