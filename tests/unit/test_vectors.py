"""Vector: what it holds, how it grows, and what its views promise."""

import copy
import gc
import pickle

import numpy as np
import pytest

import mpshm

DTYPES = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c16", ">i4", ">f8", "S5", "U3"]
DTYPES += ["M8[ns]", "m8[s]", [("a", "i4"), ("b", "S3")], np.dtype([("x", "f8"), ("y", "u1")], align=True)]


def some(dtype, n):
    """An array of n items, all bytes of which say something."""
    dtype = np.dtype(dtype)
    if dtype.kind in "SU":
        return np.array([str(i % 7) * (i % 4) for i in range(n)], dtype)
    if dtype.fields:
        return np.array([tuple(range(i, i + len(dtype.fields))) for i in range(n)], dtype)
    return np.arange(n).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_of_a_fixed_size(manager, dtype):
    """What goes in comes out, by each way in and out."""
    items = some(dtype, 40)
    shared = manager.vector(dtype, items)
    assert shared.dtype == items.dtype
    assert shared.itemsize == items.itemsize
    assert shared.nbytes == items.nbytes
    shared.append(items[3])
    shared.insert(0, items[5])
    shared[1] = items[7]
    expected = np.concatenate([items[5:6], items[7:8], items[1:], items[3:4]])
    assert np.array_equal(shared.copy(), expected)
    assert np.array_equal(shared.array, expected)
    assert shared.tolist() == expected.tolist()
    if not items.dtype.fields:  # whose padding may be anything
        assert shared.tobytes() == expected.astype(items.dtype).tobytes()
    assert [shared[i] for i in range(len(shared))] == list(expected)
    assert shared.pop() == items[3]
    assert np.array_equal(shared[1:9:3], expected[1:9:3])
    assert pickle.loads(pickle.dumps(shared)).dtype == items.dtype
    assert items[5] in shared


@pytest.mark.parametrize(
    ("dtype", "why"), [("O", "pointers"), ("S", "fixed size"), ("U0", "fixed size"), (("i4", (3,)), "arrays")]
)
def test_dtypes_that_cannot_be_shared(manager, dtype, why):
    """A TypeError that says why."""
    with pytest.raises(TypeError, match=why):
        manager.vector(dtype)


def test_made_of(manager):
    """Arrays, sequences, iterators, other vectors, or a number of zeros."""
    made = manager.vector("i4", range(5))
    assert manager.vector("i8", made) == [0, 1, 2, 3, 4]
    assert manager.vector("i8", (i for i in range(3))) == [0, 1, 2]
    assert manager.vector("f8", 3) == [0.0, 0.0, 0.0]
    assert manager.vector("i8", np.int64(2)) == [0, 0]
    assert manager.vector("i4", manager.list([4, 5])) == [4, 5]
    assert mpshm.Vector("i4", [1]) == [1]
    assert len(mpshm.Vector("i4")) == 0
    records = manager.vector([("a", "i4"), ("b", "f8")])
    records.extend(((1, 2.0), (3, 4.0)))
    records[0] = (5, 6.0)
    records[1:] = (7, 8.0)
    assert records.tolist() == [(5, 6.0), (7, 8.0)]
    with pytest.raises(ValueError, match="not -1"):
        manager.vector("i4", -1)
    with pytest.raises(ValueError, match="one-dimensional"):
        manager.vector("i4", np.zeros((2, 2)))
    with pytest.raises(TypeError):
        manager.vector()


def test_the_dtype_stays(manager):
    """`__init__` again fills anew, with the same dtype."""
    made = manager.vector("i4", [1, 2])
    made.__init__("i4", [3])
    assert made == [3]
    with pytest.raises(TypeError, match="dtype"):
        made.__init__("i8")
    bare = mpshm.Vector._in(manager.segment)
    with pytest.raises(TypeError, match="dtype"):
        bare.append(1)


@pytest.mark.parametrize(("dtype", "bad"), [("i1", 128), ("u1", -1), ("i8", 2**63), ("u8", 2**64), ("u8", -1)])
def test_numbers_that_do_not_fit(manager, dtype, bad):
    """An OverflowError; nothing is changed."""
    made = manager.vector(dtype, [1])
    for change in (made.append, lambda x: made.__setitem__(0, x)):
        with pytest.raises(OverflowError):
            change(bad)
    assert made == [1]


def test_items_that_make_no_sense(manager):
    """What NumPy raises; nothing is changed."""
    made = manager.vector("i4", [1])
    for bad in ("x", None, [1, 2]):
        with pytest.raises((TypeError, ValueError)):
            made.append(bad)
    with pytest.raises((TypeError, ValueError)):
        made.extend(["x"])
    with pytest.raises(TypeError):
        made.extend(5)
    assert made == [1]


def test_out_of_range(manager):
    """IndexError, as a list's."""
    made = manager.vector("i4", [1, 2])
    for act in (lambda: made[2], lambda: made[-3], lambda: made.pop(2), lambda: made.__setitem__(2, 0)):
        with pytest.raises(IndexError):
            act()
    with pytest.raises(IndexError):
        del made[2]
    with pytest.raises(IndexError):
        manager.vector("S3").pop()


def test_a_greatest_length(manager):
    """`maxlen` is room from the beginning, and never more; IndexError beyond."""
    made = manager.vector("i8", [1, 2], maxlen=4)
    assert made.maxlen == 4
    assert made.capacity == 4
    view = made.array
    made.extend([3, 4])
    for act in (
        lambda: made.append(5),
        lambda: made.insert(0, 5),
        lambda: made.resize(5),
        lambda: made.extend([1]),
        lambda: made.__setitem__(slice(0, 1), [1, 2]),
    ):
        with pytest.raises(IndexError, match="maximum size"):
            act()
    assert made == [1, 2, 3, 4]
    assert list(view) == [1, 2]
    made[1:3] = []
    made.append(9)
    assert made == [1, 4, 9]
    assert manager.vector("i8").maxlen is None
    with pytest.raises(ValueError, match="non-negative"):
        manager.vector("i8", maxlen=-1)


def test_room(manager):
    """reserve(), capacity, shrink_to_fit(), clear()."""
    made = manager.vector("i8", range(10))
    made.reserve(1000)
    assert made.capacity >= 1000
    where = made.array.ctypes.data
    made.extend(range(990))
    assert made.array.ctypes.data == where
    made.resize(10)
    gc.collect()
    made.shrink_to_fit()
    assert made.capacity < 100
    assert made == list(range(10))
    made.clear()
    assert len(made) == 0
    made.shrink_to_fit()
    assert made.capacity == 0
    made.resize(3)
    assert made == [0, 0, 0]
    with pytest.raises(ValueError, match="number of items"):
        made.resize(-1)
    with pytest.raises(mpshm.SegmentFullError):
        made.reserve(2**60)


def test_a_view_is_live(manager):
    """What is written on either side is seen on the other, without a copy; the view outlives the vector."""
    made = manager.vector("f8", range(5))
    view = made.array
    view[0] = 1.5
    made[1] = 2.5
    assert made[0] == 1.5
    assert view[1] == 2.5
    assert view.flags.writeable
    np.multiply(view, 2, out=view)
    assert made == [3.0, 5.0, 4.0, 6.0, 8.0]
    del made
    gc.collect()
    assert view.tolist() == [3.0, 5.0, 4.0, 6.0, 8.0]
    del view
    gc.collect()


def test_views_and_growth(manager):
    """While there is a view, a vector that would have to move refuses, and says how to go on."""
    made = manager.vector("i8", range(100))
    wall = manager.list(range(50))
    made.resize(made.capacity)
    view = made.array
    for act in (lambda: made.append(1), lambda: made.reserve(10**6), lambda: made.extend(range(10))):
        with pytest.raises(BufferError, match="Existing exports of data: object cannot be re-sized"):
            act()
    assert len(made) == len(view)
    made.pop()
    made.append(-1)
    assert view[-1] == -1
    made[:50] = range(100, 150)
    assert view[0] == 100
    del made[:10]
    assert view[0] == 110
    del view
    gc.collect()
    made.extend(range(1000))
    assert made[-1] == 999
    assert len(wall) == 50


def test_growth_in_place_is_always_allowed(manager):
    """Where there is room behind the items, a view does no harm."""
    made = manager.vector("i8", range(10))
    made.reserve(2000)
    view = made.array
    made.extend(range(1990))
    assert made.array.ctypes.data == view.ctypes.data
    view[0] = 7
    assert made[0] == 7


def test_buffers(manager):
    """A memoryview writes through; numpy.asarray does not copy, numpy.array does."""
    made = manager.vector("i4", range(6))
    with memoryview(made) as view:
        assert (view.format, view.itemsize, view.shape, view.readonly) == ("i", 4, (6,), False)
        view[0] = 100
    assert made[0] == 100
    np.asarray(made)[1] = 200
    np.array(made)[2] = 300
    assert made == [100, 200, 2, 3, 4, 5]
    assert np.asarray(made, dtype="f8").dtype == "f8"
    assert made.__array__(copy=True).base is not None
    assert np.sum(made) == 314


def test_equality_is_of_the_whole(manager):
    """== is one answer, as List's; so it is not hashable."""
    made = manager.vector("i4", [1, 2])
    assert made == [1, 2] == made
    assert made == np.array([1, 2])
    assert made == manager.vector("f8", [1, 2])
    assert made != [1, 3]
    assert made != [1]
    assert made != "ab"
    assert made != 5
    with pytest.raises(TypeError):
        hash(made)


def test_looking_for_items(manager):
    """index, count, in, remove: by value, never by what NumPy would cast."""
    made = manager.vector("i4", [5, 6, 5, 7])
    assert made.index(5) == 0
    assert made.index(5, 1) == 2
    assert made.index(7, -2) == 3
    assert made.count(5) == 2
    assert 6 in made
    assert 6.5 not in made
    assert "x" not in made
    assert 2**70 not in made
    made.remove(5)
    assert made == [6, 5, 7]
    with pytest.raises(ValueError, match="is not in vector"):
        made.index(1)
    with pytest.raises(ValueError, match="is not in vector"):
        made.remove(1)
    records = manager.vector([("a", "i4"), ("b", "f8")], [(1, 2.0), (3, 4.0)])
    assert (3, 4.0) in records
    assert records.index((3, 4.0)) == 1


def test_slices(manager):
    """A slice is replaced by a sequence of any length, filled by one item, and copied."""
    made = manager.vector("i4", range(10))
    made[2:4] = [20, 30, 40]
    made[0:0] = manager.vector("i2", [-1])
    made[-1:] = ()
    assert made == [-1, 0, 1, 20, 30, 40, 4, 5, 6, 7, 8]
    made[5:] = 0
    made[::5] = 9
    made[1:5:2] = (7, 8)
    assert made == [9, 7, 1, 8, 30, 9, 0, 0, 0, 0, 9]
    with pytest.raises(ValueError, match="size 3 to extended slice of size 6"):
        made[::2] = [1, 2, 3]
    part = made[:3]
    part[0] = 1
    assert made[0] == 9
    del made[::2]
    assert made == [7, 8, 9, 0, 0]
    made[:] = iter([1])
    assert made == [1]


def test_index_arrays(manager):
    """Arrays, lists and masks pick out, set and delete items."""
    made = manager.vector("i4", range(10))
    assert list(made[[1, 3]]) == [1, 3]
    assert list(made[made.copy() > 7]) == [8, 9]
    made[[0, 2]] = [10, 20]
    made[made.copy() > 8] = -1
    assert made == [-1, 1, -1, 3, 4, 5, 6, 7, 8, -1]
    del made[[0, 2, 9]]
    assert made == [1, 3, 4, 5, 6, 7, 8]
    with pytest.raises(IndexError):
        made[[99]]


def test_sort_and_reverse(manager):
    """In place, in one step."""
    made = manager.vector("f8", [3, 1, 2])
    made.sort()
    assert made == [1, 2, 3]
    made.sort(reverse=True)
    assert made == [3, 2, 1]
    made.reverse()
    assert made == [1, 2, 3]


def test_shown(manager):
    """repr names the object, str shows the contents."""
    made = manager.vector("i4", [1, 2])
    assert "typeid 'vector'" in repr(made)
    assert str(made) == repr(np.array([1, 2], "i4"))
    assert type(copy.deepcopy(made)) is np.ndarray
    assert list(made) == [1, 2]
    assert list(reversed(made)) == [2, 1]


def test_in_other_containers(manager):
    """A vector in a dict is kept by reference; it keeps its dtype."""
    d = manager.dict(v=manager.vector("M8[D]", ["2020-01-01"]))
    d["v"].append("2021-05-06")
    assert d["v"][1] == np.datetime64("2021-05-06")


def test_a_file_of_bytes(manager):
    """Vector('u1').open() reads, writes and grows."""
    made = manager.vector("u1", b"hello" and list(b"hello"))
    with made.open() as file:
        assert file.read(2) == b"he"
        assert file.write(b"LLO, world") == 10
        file.seek(0)
        assert file.read() == b"heLLO, world"
        file.seek(2, 2)
        file.write(b"!")
    assert made.tobytes() == b"heLLO, world\0\0!"
    with pytest.raises(TypeError, match="larger than one byte"):
        manager.vector("i4").open()


def test_others_wait_for_the_lock(manager):
    """Several steps under the lock are one for the others; the holder's own changes go on."""
    made = manager.vector("i8", [0])
    with made.lock:
        made.append(1)
        made[0] = made[1]
    assert made == [1, 1]
