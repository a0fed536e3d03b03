"""What the workers of the soak of containers do: each use is one function of (what all share, a random, a report).

Items, (name, number) of the worker that made them, go into all kinds of places and out again, so that each can be
accounted for. Marks are written WIDTH at a time: in whole groups they are seen, or not at all.
"""

import contextlib
import os

import numpy
from soaking import WIDTH, limited, report_type

import mpshm
from mpshm import (
    AdaptivePool,
    CachedAdaptivePool,
    CachedNodePool,
    Deque,
    Dict,
    LinkedList,
    List,
    Map,
    MultiMap,
    NodePool,
    PrivateAdaptivePool,
    PrivateNodePool,
    SortedSet,
    String,
    Vector,
)

ROWS, COLUMNS = 64, 16  # of an array; a row belongs to one worker at a time
MANY = 200  # items in a place, at most, about
IN_HAND = 8  # allocations
UNIT = 16  # characters of an item in a text
LETTERS = "aé中😀"  # of 1, 1, 2 and 4 bytes
RECORD = [("name", "i8"), ("number", "i8")]

POOLS = [
    None,
    NodePool(nodes_per_chunk=5),
    CachedNodePool(nodes_per_chunk=8, max_cached_nodes=6),
    AdaptivePool(nodes_per_chunk=6, max_free_chunks=1),
    CachedAdaptivePool(nodes_per_chunk=8, max_free_chunks=0, max_cached_nodes=4),
    PrivateNodePool(nodes_per_chunk=3),
    PrivateAdaptivePool(nodes_per_chunk=10, max_free_chunks=1),
]

Report = report_type("add", "unique", "raw", "row", held=IN_HAND)


class Shared:
    """What all workers use, in one segment, found by its names."""

    def __init__(self, segment):
        self.segment = segment
        self.numbers = [self.named(Map, f"numbers {i}", allocator=POOLS[i]) for i in range(len(POOLS))]
        self.texts = self.named(Map, "texts", allocator=POOLS[2])
        self.multi = [self.named(MultiMap, f"multi {i}", allocator=POOLS[i]) for i in (0, 4)]
        self.sets = [self.named(SortedSet, f"set {i}", allocator=POOLS[i]) for i in (1, 4, 5)]
        self.vector = self.named(Vector, "vector", "i8")
        self.records = self.named(Vector, "records", RECORD)
        # Pairs whose nodes come from one pool, between which items can move.
        self.lists = [self.named(LinkedList, f"list {i}", allocator=POOLS[i // 2]) for i in range(10)]
        self.string = self.named(String, "string", "")
        self.bytes = self.named(String, "bytes", b"")
        self.marks = self.named(Map, "marks", allocator=POOLS[3])
        self.multi_marks = self.named(MultiMap, "multi marks", allocator=POOLS[2])
        self.set_marks = self.named(SortedSet, "set marks", allocator=POOLS[3])
        self.vector_marks = self.named(Vector, "vector marks", "u4")
        self.list_marks = [self.named(LinkedList, f"list marks {i}", allocator=POOLS[4]) for i in range(2)]
        self.string_marks = self.named(String, "string marks", "")
        self.cells = self.named(LinkedList, "cells", [(0, b"")] * WIDTH, allocator=POOLS[6])
        self.viewed = self.named(Vector, "viewed", "i2")
        self.handles = self.named(SortedSet, "handles")
        self.inside = self.named(object, "inside", 0)
        self.rows = self.named("i8", "rows", shape=(ROWS, COLUMNS))

    def named(self, cls, name, *args, **kwds):
        return self.segment.find_or_construct(cls, name, *args, **kwds)


def payload(s, rng):
    """Something to go with an item: small, long, larger than what goes inline, or another container."""
    kind = rng.randrange(10)
    if kind < 4:
        return None
    if kind < 8:
        return b"x" * rng.choice([10, 100, 1000, 9000])
    return List._make(s.segment, ["x" * 40] * 3) if kind == 8 else {"long": ["x" * 40] * 5, 1: 2.5}


def put(report, act):
    """Put an item somewhere by `act`, which says whether it did, and ends nothing by half."""
    number = report.put_begun
    report.put_begun = number + 1
    if act((report.put_name, number)) is False:
        report.put_begun = number
    else:
        report.put_done = number + 1


def get(report, act):
    """Get an item from somewhere by `act`, which gives None if there is none."""
    report.getting = 1
    item = act()
    if item is not None:
        report.note(*item)
    report.getting = 0


def some(rng, made):
    """A place in something that may be empty by the time it is used."""
    return rng.choice([0, -1, rng.randrange(-5, 5), len(made) // 2])


def wants_more(rng, made):
    return rng.random() < 0.55 and len(made) < MANY


def packed(item):
    return item[0] << 32 | item[1]


def unpacked(number):
    return int(number) >> 32, int(number) & 0xFFFFFFFF


def taken(pop, empty, form):
    """What `pop` gives, as an item; None if there is nothing."""
    try:
        return form(pop())
    except empty:
        return None


# ---- items ----


def use_map(s, rng, report):
    made = rng.choice(s.numbers)
    if wants_more(rng, made):
        put(report, lambda item: made.__setitem__(packed(item), payload(s, rng)))
    else:
        get(
            report,
            lambda: taken(lambda: made.popitem(some(rng, made)), (IndexError, KeyError), lambda i: unpacked(i[0])),
        )
    if rng.random() < 0.1:
        keys = list(made.irange(None, None, reverse=rng.random() < 0.5))
        assert len(keys) == len(set(keys)) and keys in (sorted(keys), sorted(keys, reverse=True))


def use_texts(s, rng, report):
    made = s.texts
    if wants_more(rng, made):
        put(
            report,
            lambda item: made.setdefault("{:012} a key that is long {:012}".format(*item), payload(s, rng)) and 0,
        )
    else:
        key = next(iter(made.islice(rng.randrange(20))), None)
        if key is not None:
            missing = object()
            found = key.split(" a key that is long ")
            get(report, lambda: None if made.pop(key, missing) is missing else tuple(map(int, found)))


def use_multimap(s, rng, report):
    made = rng.choice(s.multi)
    if wants_more(rng, made):
        put(report, lambda item: made.add(rng.randrange(5), (*item, payload(s, rng))))
    else:
        get(report, lambda: taken(lambda: made.popitem(some(rng, made)), (IndexError, KeyError), lambda i: i[1][:2]))


def use_sorted_set(s, rng, report):
    made = rng.choice(s.sets)
    if wants_more(rng, made):
        put(report, made.add)
    else:
        get(report, lambda: taken(lambda: made.pop(some(rng, made)), (IndexError, KeyError), tuple))
    if rng.random() < 0.1:
        keys = made[:]
        assert keys == sorted(set(keys))


def use_vector(s, rng, report):
    if rng.random() < 0.5:
        made = s.vector
        if wants_more(rng, made):
            put(report, lambda item: made.append(packed(item)))
        else:
            get(report, lambda: taken(lambda: made.pop(some(rng, made)), IndexError, unpacked))
    else:
        made = s.records
        if wants_more(rng, made):
            put(report, lambda item: made.insert(some(rng, made), item))
        else:
            get(report, lambda: taken(lambda: made.pop(some(rng, made)), IndexError, lambda r: tuple(r.tolist())))


def use_list(s, rng, report):
    made = rng.choice(s.lists)
    if wants_more(rng, made):
        add = rng.choice([made.append, made.appendleft, lambda item: made.insert(some(rng, made), item)])
        put(report, lambda item: add((*item, payload(s, rng))))
    else:
        pop = rng.choice([made.pop, made.popleft, lambda: made.pop(some(rng, made))])
        get(report, lambda: taken(pop, IndexError, lambda i: i[:2]))


def walked(rng, made):
    """A cursor to somewhere; None if its item went away on the way."""
    cursor = made.cursor(some(rng, made))
    with contextlib.suppress(IndexError):
        for _ in range(rng.randrange(4)):
            cursor = rng.choice([cursor.next, cursor.prev])()
    return cursor


def use_cursor(s, rng, report):
    """Insert, or take out, at a cursor; others may take its item out, or move it to another list, meanwhile."""
    made = rng.choice(s.lists)
    try:
        cursor = walked(rng, made)
    except ReferenceError:
        return

    def insert(item):
        add = rng.choice([cursor.insert_before, cursor.insert_after])
        try:
            assert add((*item, payload(s, rng))) is not None
        except (ReferenceError, IndexError):
            return False
        return True

    def erase():
        try:
            found = cursor.value
            cursor.erase()
        except (ReferenceError, IndexError):
            return None
        return found[:2]

    if wants_more(rng, made):
        put(report, insert)
    else:
        get(report, erase)


def use_splice(s, rng, report):
    """Move a whole list, or a part of one, to another."""
    first = rng.randrange(0, len(s.lists), 2)
    here, there = s.lists[first : first + 2]
    try:
        if rng.random() < 0.3:
            here.splice(walked(rng, here), there)
        else:
            begin = there.cursor(rng.randrange(10))
            end = begin
            for _ in range(rng.randrange(5)):
                end = end.next()
            here.splice(walked(rng, here), there, begin, end)
    except (ReferenceError, IndexError, ValueError):
        pass  # somebody else took what it was about


def use_string(s, rng, report):
    made = rng.choice([s.string, s.bytes])
    coded = (lambda text: text.encode()) if made.is_bytes else str
    if wants_more(rng, made[::UNIT]):
        put(report, lambda item: made.append(coded("{:08x}{:08x}".format(*item))))
        return

    def cut():
        with made.lock:
            unit = made[:UNIT]
            del made[:UNIT]
        return (int(unit[:8], 16), int(unit[8:], 16)) if unit else None

    get(report, cut)


def use_names(s, rng, report):
    """Objects by name, of which whoever destroys the name has the item."""
    segment = s.segment
    if rng.random() < 0.5:
        if len(segment) < MANY:
            put(report, lambda item: segment.construct(List, "t{} {}".format(*item), [payload(s, rng)]) and None)
        return
    names = [name for name in segment.names() if name[0] == "t" and name[1].isdigit()]
    if names:
        name = rng.choice(names)
        get(report, lambda: tuple(map(int, name[1:].split())) if segment.destroy(name) else None)


def use_only_name(s, rng, report):
    """Of those who construct under one name at once, one does; it is found whole, and taken away by one."""
    segment, name = s.segment, f"only {rng.randrange(4)}"
    if rng.random() < 0.6:

        def construct(item):
            try:
                segment.construct(object, name, (*item, payload(s, rng)))
            except mpshm.SegmentExistsError:
                return False
            return True

        put(report, construct)
        return

    def take():
        with segment.atomic(timeout=30):
            found = segment.find(name)
            if found is None:
                return None
            assert segment.destroy(name), "the name went while it was ours"
            return found.value[:2]

    get(report, take)


# ---- counts ----


def use_race(s, rng, report):
    """All who find or make one at once count in the same."""
    report.add_begun = report.add_begun + 1
    s.segment.find_or_construct(object, f"race {rng.randrange(30)}", 0).add(1)
    report.add_done = report.add_begun


def use_unique(s, rng, report):
    report.unique_begun = report.unique_begun + 1
    s.segment.find_or_construct(Dict, mpshm.unique).incr(rng.choice("ab"))
    report.unique_done = report.unique_begun


def use_atomic(s, rng, report):
    """Nobody else makes or takes away a name meanwhile."""
    try:
        with limited(lambda t: entered(s.segment.atomic(timeout=t)), rng.choice([0.001, 0.05, 30])) as segment:
            s.inside.value = os.getpid()
            before = segment.names()
            made = segment.construct(List, None, [1])
            assert segment.name_of(made) is None and segment.kind_of(made) == "anonymous"
            with segment.atomic():
                assert segment.names() == before, "the names changed"
            assert s.inside.value == os.getpid(), "two processes were in"
    except TimeoutError:
        pass


@contextlib.contextmanager
def _leaving(atomic, segment):
    try:
        yield segment
    finally:
        atomic.__exit__(None, None, None)


def entered(atomic):
    """What was entered within the timeout, to be left."""
    return _leaving(atomic, atomic.__enter__())


def look_at_names(s, rng, report):
    segment = s.segment
    name = rng.choice(segment.names())
    with contextlib.suppress(KeyError):
        assert segment.info(name).kind == "named"
    if rng.random() < 0.05:
        segment.reserve_names(rng.randrange(500))
    for found, obj in segment.items() if rng.random() < 0.1 else ():
        assert found and obj is not None


def use_row(s, rng, report):
    """Numbers in memory, from left to right, as many as the worker has come to; its row is nobody else's."""
    row = s.rows[report.put_name % ROWS]
    report.row_begun = report.row_begun + 1
    for column in range(COLUMNS):
        row[column] = report.put_name << 32 | report.row_begun
    assert (row == row[0]).all()
    report.row_done = report.row_begun


# ---- marks, WIDTH at a time ----


def whole(marks):
    """Whether all marks that are equal are there in whole groups."""
    found = numpy.unique(numpy.asarray(marks), return_counts=True)[1] if len(marks) else numpy.zeros(0)
    return not (found % WIDTH).any()


def in_order(marks):
    """Whether groups stand one behind the other."""
    return len(marks) % WIDTH == 0 and all(len(set(marks[i : i + WIDTH])) == 1 for i in range(0, len(marks), WIDTH))


def use_map_marks(s, rng, report):
    made, mark = s.marks, rng.randrange(1 << 30)
    group = [rng.randrange(40) * 1000 + i for i in range(WIDTH)]
    base = group[0]
    kind = rng.randrange(6)
    if kind < 4:
        made.update({base + i: mark for i in range(WIDTH)})
    elif kind == 4 and rng.random() < 0.05:
        made.clear()
    values = dict(made.items())
    for start in {key - key % 1000 for key in values}:
        found = {values.get(start + i) for i in range(WIDTH)}
        assert len(found) == 1 and None not in found, "half an update of a map"


def use_multimap_marks(s, rng, report):
    made, mark = s.multi_marks, rng.randrange(1 << 30)
    key = rng.randrange(10)
    if rng.random() < 0.5 and len(made) < MANY * WIDTH:
        made.update([(key, mark)] * WIDTH)
    elif rng.random() < 0.1:
        made.clear()
    assert in_order(made.getall(key)), "half an update of a multimap"


def use_set_marks(s, rng, report):
    made = s.set_marks
    base = rng.randrange(60) * 100
    group = {base + i for i in range(WIDTH)}
    rng.choice([made.update, made.difference_update, made.symmetric_difference_update])(group)
    seen = made[:]
    assert seen == sorted(set(seen)) and whole([key // 100 for key in seen]), "half a change of a set"


def use_vector_marks(s, rng, report):
    made, mark = s.vector_marks, rng.randrange(1 << 30)
    kind = rng.randrange(10)
    if kind < 3:
        if len(made) < MANY * WIDTH:
            made.extend([mark] * WIDTH)
    elif kind == 3:
        made[:WIDTH] = [mark] * WIDTH
    elif kind == 4:
        del made[:WIDTH]
    elif kind == 5:
        del made[WIDTH : 3 * WIDTH]
    elif kind == 6:
        made.reverse()
    elif kind == 7:
        made.sort()
    elif kind == 8:
        made.shrink_to_fit() if rng.random() < 0.5 else made.reserve(rng.randrange(3000))
    assert whole(made.copy()), "half a change of a vector"


def use_list_marks(s, rng, report):
    made, other = rng.sample(s.list_marks, 2)
    mark = rng.randrange(1 << 30)
    kind = rng.randrange(8)
    if kind < 3:
        if len(made) < MANY:
            made.extend([mark] * WIDTH)
    elif kind == 3:
        with made.lock:  # else the first item may be another, or gone, by the time of the splice
            made.splice(rng.choice([made.begin, made.end])(), other)
    elif kind == 4:
        made.reverse()
    elif kind == 5:
        del made[:WIDTH]
    elif kind == 6:
        made.sort()
    elif rng.random() < 0.2:
        made.clear()
    assert whole(list(made)), "half a change of a list"


def use_cells(s, rng, report):
    """A value is written whole, and read whole."""
    cursor = s.cells.cursor(rng.randrange(WIDTH))
    if rng.random() < 0.5:
        mark = rng.randrange(256)
        cursor.value = (mark, bytes([mark]) * rng.choice([1, 30, 300, 9000]))
    else:
        mark, data = cursor.value
        assert set(data) <= {mark}, "half a value"


def use_string_marks(s, rng, report):
    made, letter = s.string_marks, rng.choice(LETTERS)
    kind = rng.randrange(8)
    if kind < 3:
        if len(made) < MANY * WIDTH:
            rng.choice([made.append, lambda text: made.insert(0, text)])(letter * WIDTH)
    elif kind == 3:
        del made[:WIDTH]
    elif kind == 4:
        made[:] = letter * WIDTH * rng.randrange(20)
    elif kind == 5:
        made.replace(letter * WIDTH, rng.choice(LETTERS) * WIDTH * rng.randrange(3))
    elif kind == 6:
        made.shrink_to_fit() if rng.random() < 0.5 else made.reserve(rng.randrange(3000))
    assert in_order(made.copy()), "half a change of a string"


def use_view(s, rng, report):
    """A view stays on the items, or they do not move."""
    made = s.viewed
    if rng.random() < 0.5:
        array = made.array
        array[:] = 7
        with contextlib.suppress(BufferError):
            made.extend([7] * rng.randrange(50))
        assert (array == 7).all()
    else:
        with contextlib.suppress(BufferError):
            made.extend([7] * 10) if len(made) < 5000 else made.clear()
        assert (made.copy() == 7).all()


# ---- memory ----


def stamp(handle):
    """What all bytes of an allocation are."""
    return handle * 2654435761 >> 16 & 0xFF


def fill(segment, handle):
    view = segment.view(handle)
    view[:] = bytes([stamp(handle)]) * len(view)


def whole_allocation(segment, handle):
    view = segment.view(handle)
    return bytes(view) == bytes([stamp(handle)]) * len(view)


def keep(s, report, handles):
    """Allocations that belong to all from now on."""
    for place, handle in enumerate(handles):
        s.handles.add(handle)
        report.held[place] = 0
        report.raw_done = report.raw_done + 1


def grab(s, rng, report, n):
    """Allocations that belong to this worker from now on."""
    found = []
    for place in range(n):
        report.raw_begun = report.raw_begun + 1
        handle = taken(lambda: s.handles.pop(some(rng, s.handles)), (IndexError, KeyError), int)
        if handle is None:
            report.raw_begun = report.raw_begun - 1
            break
        report.held[place] = handle
        assert whole_allocation(s.segment, handle), "somebody wrote into an allocation of others"
        found.append(handle)
    return found


def let_go(report, n):
    for place in range(n):
        report.held[place] = 0
    report.raw_done = report.raw_done + n


def use_allocations(s, rng, report):
    segment = s.segment
    kind = rng.randrange(8)
    if kind < 4:
        if len(s.handles) > MANY:
            return
        sizes = [rng.choice([0, 1, 24, 600, 5000, 70_000]) for _ in range(rng.randrange(1, IN_HAND))]
        report.raw_begun = report.raw_begun + len(sizes)
        handles = segment.allocate_many(sizes, align=rng.choice([16, 64, 4096]))
        report.held[: len(handles)] = handles
        for handle in handles:
            assert not any(segment.view(handle)), "memory that is not new"
            fill(segment, handle)
        keep(s, report, handles)
    elif kind == 4:
        for handle in grab(s, rng, report, 1):
            reallocate(s, rng, report, handle)
    else:
        handles = grab(s, rng, report, rng.randrange(1, IN_HAND))
        views = [segment.view(handle) for handle in handles]
        if kind == 5:
            for handle in handles:
                segment.deallocate(handle)
        else:
            segment.deallocate_many(handles)
        let_go(report, len(handles))
        for handle, view in zip(handles, views, strict=True):
            try:
                segment.view(handle)
            except ReferenceError:
                assert not view or view[-1] == stamp(handle), "memory was used again while there was a view"
            else:
                raise AssertionError("an allocation that was given back is there")


def reallocate(s, rng, report, handle):
    segment = s.segment
    old, nbytes = len(segment.view(handle)), rng.choice([0, 10, 700, 6000, 90_000])
    try:
        new = segment.reallocate(handle, nbytes, in_place=rng.random() < 0.5)
    except mpshm.SegmentFullError:
        new, nbytes = handle, old
    report.held[0] = new
    view = segment.view(new)
    kept = min(old, nbytes)
    assert len(view) == nbytes and set(view[:kept]) <= {stamp(handle)} and not any(view[kept:])
    fill(segment, new)
    keep(s, report, [new])


def make_and_drop(s, rng, report):
    """Objects that nobody else ever sees: the killed one's go with it."""
    segment, pool = s.segment, rng.choice(POOLS)
    kind = rng.randrange(9)
    if kind == 0:
        made = Map._make(segment, {i: "x" * i for i in range(150)}, allocator=pool)
        del made[rng.randrange(150)]
    elif kind == 1:
        made = MultiMap._make(segment, [(i % 3, b"x" * 50 * i) for i in range(40)], allocator=pool)
        made.remove(1, b"x" * 50)
    elif kind == 2:
        made = LinkedList._make(segment, range(50), allocator=pool)
        cursor = made.cursor(25)
        del made
        cursor.erase()
    elif kind == 3:
        made = SortedSet._make(segment, map(str, range(150)), allocator=pool)
        made &= {"1", "2"}
    elif kind == 4:
        made = segment.construct("f8", None, shape=(rng.randrange(300), 5))
        made += 1.5
    elif kind == 5:
        ref = mpshm.UniqueRef(Vector._make(segment, "u1", 5000))
        ref.move_to(List._make(segment))
    elif kind == 6:
        with segment.scoped(Deque, ["x" * 100] * 20) as made:
            assert mpshm.WeakRef(made)() == made
    elif kind == 7:
        made = Map._make(segment, {"list": List._make(segment, [Map._make(segment, {1: 2})])}, allocator=pool)
        assert made["list"][0][1] == 2
    else:
        with String._make(segment, b"x" * rng.randrange(5000)).open() as file:
            file.write(b"y" * 6000)


def keep_house(s, rng, report):
    """What may be asked of a segment and its pools while others use it."""
    kind = rng.randrange(30)
    if kind == 0:
        assert s.segment.check() is None
    elif kind == 1:
        s.segment.shrink_to_fit()
    elif kind == 2:
        s.segment.zero_free_memory()
    elif kind == 3:
        s.segment.flush()
    elif kind == 4:
        s.segment.recover()
    elif kind < 10:
        pool = rng.choice([*s.numbers[1:], *s.lists[2:], *s.sets]).allocator
        rng.choice([pool.deallocate_free_chunks, pool.deallocate_cache, pool.stats])()
    else:
        stats = s.segment.stats()
        assert stats.used + stats.free + stats.cached == stats.size


USES = [
    use_map,
    use_texts,
    use_multimap,
    use_sorted_set,
    use_vector,
    use_list,
    use_cursor,
    use_splice,
    use_string,
    use_names,
    use_only_name,
    use_race,
    use_unique,
    use_atomic,
    look_at_names,
    use_row,
    use_map_marks,
    use_multimap_marks,
    use_set_marks,
    use_vector_marks,
    use_list_marks,
    use_cells,
    use_string_marks,
    use_view,
    use_allocations,
    use_allocations,
    make_and_drop,
    keep_house,
]
