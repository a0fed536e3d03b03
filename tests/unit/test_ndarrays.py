"""Making writable shared arrays, and what NumPy does with them."""

import copy
import ctypes
import gc
import mmap
import operator
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

import mpshm

NESTED = np.dtype([("outer", [("x", "<i2"), ("y", ">f4", (2,))], (3,)), ("when", "M8[ms]"), ("é\\'", "U2")])
OVERLAPPING = np.dtype({"names": ["whole", "low", "high"], "formats": ["<u4", "<u2", "<u2"], "offsets": [0, 0, 2]})
BACKWARDS = np.dtype({"names": ["b", "a"], "formats": ["f8", "i1"], "offsets": [8, 0], "itemsize": 20})
TITLED = np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "titles": ["first", None], "offsets": [0, 8]})
ALIGNED = np.dtype([("x", "u1"), ("y", "<f8"), ("z", [("p", "u1"), ("q", "u4")])], align=True)
DTYPES = [
    "?", "i1", "u2", ">i4", "<u8", "f2", ">f4", "f8", "g", "c8", ">c16", "G", "S1", "S7", "U1", ">U5", "V3",
    "M8[D]", "M8[25s]", ">M8[us]", "m8[ns]", "M8",
    NESTED, OVERLAPPING, BACKWARDS, TITLED, ALIGNED, np.dtype([]),
]  # fmt: skip


def address(array):
    return array.__array_interface__["data"][0]


def objects(manager):
    gc.collect()
    return manager.segment.stats().objects


# ---- making ----


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_as_numpy_makes_them(manager, dtype, order):
    """An array is what `numpy.zeros` gives, shared; a name, a pickle and `asarray` keep its dtype exactly."""
    plain = np.zeros((3, 2), dtype, order)
    made = manager.ndarray((3, 2), dtype, order)
    found = manager.segment.construct(np.dtype(dtype), "a", shape=(3, 2), order=order)
    kept = manager.segment["a"]
    moved = mpshm.asarray(plain, manager=manager)
    for array in (made, found, kept, moved, pickle.loads(pickle.dumps(made)), pickle.loads(pickle.dumps(kept))):
        assert isinstance(array, mpshm.SharedArray) and array.segment is manager.segment
        assert (array.dtype, array.shape, array.strides) == (plain.dtype, plain.shape, plain.strides)
        assert array.dtype.isalignedstruct == plain.dtype.isalignedstruct
        assert array.dtype.fields == plain.dtype.fields
        assert array.tobytes("A") == plain.tobytes("A") and array.flags.writeable


@pytest.mark.parametrize("nbytes", [1, 8, 63, 64, 4096, 65535, 65536, 65537, 1 << 20])
def test_alignment(manager, nbytes):
    """The first item is at a multiple of 64 bytes, and of a page from 64 KiB on; new bytes are zero."""
    for _ in range(3):
        made = [manager.ndarray(nbytes, "u1"), mpshm.asarray(np.ones(nbytes, "u1"), manager=manager)]
        assert all(address(array) % (4096 if nbytes >= 65536 else 64) == 0 for array in made)
        assert not made[0].any() and made[1].all()
        made[0][:] = 255
        del made


def test_defaults_and_fill(manager):
    """Without a dtype it is float, without a fill zeros; what fills is broadcast, as anything that is assigned."""
    for make in (manager.ndarray, mpshm.ndarray, mpshm.SharedArray):
        made = make(3)
        assert made.dtype == float and made.tolist() == [0, 0, 0]
        assert make((), "i4", fill=7)[()] == 7
        assert make((2, 3), "i2", "F", [1, 2, 3]).tolist() == [[1, 2, 3]] * 2
        assert make([2, 0], fill=5).shape == (2, 0)
        assert make(np.int64(2), [("a", "i4"), ("b", "S2")], fill=(1, b"x")).tolist() == [(1, b"x")] * 2
        assert make((2,), "S", fill=b"abc").tolist() == [b"abc"] * 2
        assert make(2, "U").dtype == np.zeros(2, "U").dtype
        assert make(2, ("i4", (3,)), fill=1).shape == (2, 3)
        assert make(2, order="f").flags.f_contiguous
    assert mpshm.ndarray(1).segment is mpshm.SharedArray(1).segment is mpshm.Dict()._segment


def test_content_by_construct(manager):
    """Content is converted as `numpy.array` does it; a shape beside it is what it is broadcast to."""
    construct = manager.segment.construct
    records = construct([("a", "i4"), ("b", "f8")], None, [(1, 2.5), (3, 4.5)])
    assert records.shape == (2,) and records["b"].tolist() == [2.5, 4.5]
    assert construct("S", None, [b"abc", b"de"]).dtype == "S3"
    assert construct("S", None, b"abc", shape=2).tolist() == [b"abc"] * 2
    assert construct("f4", None, np.arange(3), shape=(2, 3)).tolist() == [[0, 1, 2]] * 2
    assert construct("f4", None, np.arange(6).reshape(2, 3).T, order="F").flags.f_contiguous
    assert construct(("i2", (2,)), None, [1, 2]).tolist() == np.array([1, 2], ("i2", (2,))).tolist()
    assert construct("i2", None, shape=2, fill=3).tolist() == [3, 3]
    with pytest.raises(TypeError, match="content and fill"):
        construct("i2", None, [1], fill=3)
    made = construct("S", "texts", [b"abc"])
    assert manager.segment.find("texts", "S").dtype == made.dtype
    with pytest.raises(TypeError, match=r"an array of \|S3, not of <U"):
        manager.segment.find("texts", "U")
    assert (
        construct(("i4", (2,)), "pairs", shape=3).shape == manager.segment.find("pairs", ("i4", (2,))).shape == (3, 2)
    )


@pytest.mark.parametrize(
    ("dtype", "said"),
    [
        ("O", "its items are pointers to Python objects"),
        ([("a", "i4"), ("b", [("c", "f8"), ("d", "O")])], r"the field 'b\.d' \(object\) are pointers"),
        (("O", (2,)), "pointers to Python objects"),
        ([("a", "O", (2,))], "the field 'a'"),
    ],
)
def test_dtypes_with_pointers(manager, dtype, said):
    """What points into one process is refused wherever it could come in, with the reason and the way out."""
    for make in (
        lambda: manager.ndarray(2, dtype),
        lambda: mpshm.asarray(np.zeros(2, dtype), manager=manager),
        lambda: mpshm.asarray([1, 2], dtype, manager=manager),
        lambda: manager.segment.construct(np.dtype(dtype), None, shape=2),
    ):
        with pytest.raises(TypeError, match=rf"cannot be shared: .*{said}.*mpshm\.List"):
            make()
    with pytest.raises(TypeError, match="dtype object"):
        mpshm.asarray(["a", None])
    assert objects(manager) == 0


def test_texts_of_any_length(manager):
    """NumPy 2's StringDType keeps its texts outside of the array: refused, and what to do."""
    kind = getattr(np.dtypes, "StringDType", None)
    if kind is None:  # NumPy 1 knows none
        return
    texts = np.array(["a", "much longer than that" * 3], kind())
    for make in (
        lambda: mpshm.asarray(texts),
        lambda: manager.ndarray(2, texts.dtype),
        lambda: manager.ndarray(2, "T"),
    ):
        with pytest.raises(TypeError, match=r"outside of the array.*astype\('U20'\)"):
            make()
    assert mpshm.asarray(texts.astype("U63"))[1] == texts[1]


@pytest.mark.parametrize(
    ("error", "args", "said"),
    [
        (ValueError, (-1,), r"negative dimensions.*\(-1,\)"),
        (ValueError, ((2, -3),), "negative dimensions"),
        (TypeError, ("3",), "shape must be .* not '3'"),
        (TypeError, (1.5,), "shape must be .* not 1.5"),
        (TypeError, ((1, "2"),), "shape"),
        (TypeError, (None,), "shape"),
        (ValueError, ((1 << 62, 8),), "array is too big"),
        (ValueError, ((1,) * 100,), "dimension"),
        (ValueError, (3, "f8", "X"), "order must be one of 'C', 'F' .*'X'"),
        (ValueError, (3, "f8", "K"), "order"),
        (TypeError, (3, "f8", 1), "order must be str, not int"),
        (TypeError, (3, "nothing"), "nothing"),
        (TypeError, (3, 5), "dtype|data type"),
        (ValueError, (3, "f8", "C", [1, 2]), "broadcast"),
        (ValueError, (3, "f8", "C", "text"), "text"),
        (mpshm.SegmentFullError, (1 << 42,), r"array of shape \(4398046511104,\) and dtype float64"),
    ],
)
def test_bad_arguments(manager, error, args, said):
    """What NumPy refuses is refused as it does it, naming the argument; nothing is left."""
    with pytest.raises(error, match=said):
        manager.ndarray(*args)
    assert objects(manager) == 0


def test_full_and_used_again():
    """A segment that is full says so; when an array goes its bytes are had again, of a failed one at once."""
    segment = mpshm.AnonymousSegment(max_size=8 << 20)
    segment.construct("u1", None, shape=1)
    before = segment.stats().used
    for _ in range(5):
        held = [segment.construct("u1", None, shape=3 << 20, fill=1) for _ in range(2)]
        with pytest.raises(mpshm.SegmentFullError, match="larger max_size"):
            mpshm.asarray(np.ones(3 << 20, "u1"), segment=segment)
        with pytest.raises(ValueError):
            segment.construct("f8", None, [1, 2], shape=3)
        assert segment.used > 6 << 20
        del held
        gc.collect()
        assert segment.used - before < 4096
    assert segment.check() is None


def test_before_start():
    """A manager that was not started makes nothing, as with all that it makes."""
    with pytest.raises(AssertionError):
        mpshm.managers.SyncManager().ndarray(3)


def test_numpy_comes_late(interpreter_env):
    """Importing the module, and asking for its names, does not bring NumPy in; the first array does."""
    code = (
        "import mpshm, sys; dir(mpshm); m = mpshm.Manager(); m.list([1]); assert 'numpy' not in sys.modules; "
        "m.ndarray(3); assert 'numpy' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=interpreter_env)


# ---- asarray ----


@pytest.mark.parametrize("dtype", ["f8", NESTED, ALIGNED, "S3", "g"], ids=str)
def test_moved_in(manager, dtype):
    """A copy has its source's values, order and, where nothing is converted, bytes, also those between fields."""
    plain = np.frombuffer(np.random.default_rng(5).bytes(np.dtype(dtype).itemsize * 24), dtype).reshape(4, 6)
    for source in (plain, np.asfortranarray(plain), plain[::2, 1:], plain[::-1], plain.T, plain[0, 0], plain[:0]):
        moved = mpshm.asarray(source, manager=manager)
        assert not np.shares_memory(moved, source) and moved.segment is manager.segment
        assert moved.shape == np.shape(source) and moved.tolist().__repr__() == np.asarray(source).tolist().__repr__()
        assert moved.flags.f_contiguous == np.array(source, order="A").flags.f_contiguous
        assert moved.flags.c_contiguous == np.array(source, order="A").flags.c_contiguous
    assert mpshm.asarray(plain, manager=manager).tobytes() == plain.tobytes()


def test_what_is_like_an_array(manager):
    """Lists, scalars, buffers and whatever NumPy understands are moved in."""
    share = mpshm.asarray
    assert share([[1, 2], [3, 4]], manager=manager).tolist() == [[1, 2], [3, 4]]
    assert share(5).shape == () and share(5, "f4").dtype == "f4"
    assert share(range(3), "S").tolist() == [b"0", b"1", b"2"]
    assert share(bytearray(b"abc")).tolist() == [97, 98, 99]
    assert share((ctypes.c_int * 2)(3, 4), segment=manager.segment).tolist() == [3, 4]
    assert share(mpshm.Vector("i4", [1, 2])).tolist() == [1, 2]
    assert share(np.arange(3), ">i2").dtype == ">i2" and share(np.arange(3), "S").tolist() == [b"0", b"1", b"2"]
    assert share(np.arange(4), ("i2", (2,))).tolist() == [[0, 0], [1, 1], [2, 2], [3, 3]]
    with pytest.raises(ValueError):
        share([[1, 2], [3]])
    with pytest.raises(ValueError, match="order must be one of"):
        share([1], order="X")
    with pytest.raises(TypeError, match="segment must be a segment, not SyncManager"):
        share([1], segment=manager)
    with pytest.raises(TypeError, match="a segment or a manager"):
        share([1], segment=manager.segment, manager=manager)


def test_what_is_shared_stays(manager):
    """A SharedArray that fits is given back as it is, an ordinary view on one as one; else there is a copy."""
    made = manager.ndarray((2, 3), "i4", fill=1)
    for kwds in ({}, {"dtype": "i4"}, {"order": "C"}, {"order": "K"}, {"manager": manager}, {"segment": made.segment}):
        assert mpshm.asarray(made, **kwds) is made
    turned = made.T
    assert mpshm.asarray(turned, order="F") is turned
    for view in (np.asarray(made), made.view(np.memmap), memoryview(made), np.ma.array(made, copy=False)):
        again = mpshm.asarray(view)
        assert isinstance(again, mpshm.SharedArray) and address(again) == address(made)
        assert np.shares_memory(pickle.loads(pickle.dumps(again)), made)
    for kwds in ({"dtype": "i8"}, {"order": "F"}, {"segment": mpshm.AnonymousSegment()}):
        other = mpshm.asarray(made, **kwds)
        assert not np.shares_memory(other, made) and other.tolist() == made.tolist()
        assert other.segment is kwds.get("segment", other.segment)
    private = made[[0]]
    assert mpshm.asarray(private) is not private


# ---- views and results ----

RECORDS = np.dtype([("a", "<i4"), ("b", "f8", (2,)), ("c", "S3"), ("d", [("e", "u1")])])
VIEWS = {
    "slice": lambda a, r: a[1:3, 2:],
    "steps": lambda a, r: a[::2, ::3],
    "backwards": lambda a, r: a[::-1, ::-2],
    "transposed": lambda a, r: a.T,
    "reshaped": lambda a, r: a.reshape(2, 2, 6),
    "flat": lambda a, r: a.ravel(),
    "new axis": lambda a, r: a[:, None],
    "squeezed": lambda a, r: a[:, None].squeeze(),
    "more axes": lambda a, r: np.expand_dims(np.atleast_3d(a), 0),
    "split": lambda a, r: np.array_split(a, 3, axis=1)[1],
    "moved axes": lambda a, r: np.moveaxis(a.reshape(2, 2, 6), 0, 2),
    "one row": lambda a, r: a[2],
    "0-d": lambda a, r: a[2, 3, ...],
    "nothing": lambda a, r: a[2:2],
    "dtype": lambda a, r: a.view("u1"),
    "smaller": lambda a, r: a.view("i4")[:, ::2],
    "diagonal": lambda a, r: a[:, 1:].diagonal(),
    "broadcast": lambda a, r: np.broadcast_to(a[0], (3, 6), subok=True),
    "windows": lambda a, r: np.lib.stride_tricks.sliding_window_view(a, 2, axis=1, subok=True),
    "view of a view": lambda a, r: a[1:].T[::-1].reshape(6, 3)[2:4],
    "field": lambda a, r: r["b"],
    "part of a field": lambda a, r: r["b"][1:, 1],
    "field of a field": lambda a, r: r["d"]["e"],
    "fields": lambda a, r: r[["a", "c"]],
    "unaligned": lambda a, r: r[1:].view("u1").reshape(-1)[1:9].view("i4"),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_views_travel_as_they_are(manager, name, protocol):
    """A pickled view is the same view on the same memory, and keeps it; written through, both see it."""
    array = mpshm.asarray(np.arange(24.0).reshape(4, 6), manager=manager)
    view = VIEWS[name](array, manager.ndarray(3, RECORDS))
    there = pickle.loads(pickle.dumps(view, protocol))
    assert isinstance(there, mpshm.SharedArray) and there.segment is manager.segment
    assert (there.dtype, there.shape, there.strides) == (view.dtype, view.shape, view.strides) or not view.size
    assert there.flags.writeable == view.flags.writeable
    if view.size:
        assert address(there) == address(view)
    if view.size and view.flags.writeable:
        there.view(np.ndarray)[...] = np.ones((), view.dtype)
        assert view.tolist() == np.ones(view.shape, view.dtype).tolist()
    text = view.tolist()
    del array, view
    gc.collect()
    assert there.tolist() == text


def test_views_of_views(manager):
    """However a view came about, its pickle is the same view: random chains of slices, turns and reshapes."""
    choose = random.Random(20240715)
    steps = (
        lambda a: a[tuple(slice(choose.randrange(2), size, choose.choice((1, 1, 2))) for size in a.shape)],
        lambda a: a[tuple(slice(None, None, choose.choice((-1, 1, -2))) for _ in a.shape)],
        lambda a: a.transpose(choose.sample(range(a.ndim), a.ndim)),
        lambda a: a[..., None],
        lambda a: a.squeeze(),
        lambda a: a[choose.randrange(len(a))] if a.ndim and len(a) else a,
        lambda a: a.view("2i2") if a.dtype == "i4" else a,
    )  # fmt: skip
    whole = manager.ndarray((5, 4, 6), "i4", choose.choice("CF"), np.arange(120).reshape(5, 4, 6))
    for _ in range(300):
        view = whole
        for step in choose.choices(steps, k=choose.randrange(1, 6)):
            made = step(view)
            view = made if isinstance(made, np.ndarray) else view  # and no number
        there = pickle.loads(pickle.dumps(view))
        assert (there.shape, there.dtype) == (view.shape, view.dtype) and there.tolist() == view.tolist()
        assert isinstance(there, mpshm.SharedArray) and there.segment is manager.segment
        assert not view.size or (address(there), there.strides) == (address(view), view.strides)


def test_read_only_views_stay_so(manager):
    """What was made read-only is read-only where it is unpickled."""
    view = manager.ndarray(3).view()
    view.flags.writeable = False
    there = pickle.loads(pickle.dumps(view))
    with pytest.raises(ValueError, match="read-only"):
        there[0] = 1


def test_results_are_private(manager):
    """What is computed or copied is in memory of its own, pickles by value, and keeps nothing alive."""
    array = mpshm.asarray(np.arange(6.0).reshape(2, 3), manager=manager)
    ordinary = {
        "sum": array + 1, "ufunc": np.sqrt(array), "comparison": array > 1, "reduced": array.sum(0),
        "mean": array.mean(1),
        "cumulative": array.cumsum(), "joined": np.concatenate([array, array]), "copy": array.copy(),
        "copied": copy.copy(array), "deep": copy.deepcopy([array])[0], "numpy": np.copy(array),
        "array": np.array(array),
        "astype": array.astype("f4"), "flattened": array.flatten(), "sorted": np.sort(array), "taken": array.take([1]),
        "dot": array.dot(array.T), "where": np.where(array > 1, array, 0),
    }  # fmt: skip
    other = {"mask": array[array > 1], "fancy": array[[1, 0]], "like": np.zeros_like(array)}
    assert all(type(result) is np.ndarray for result in ordinary.values())
    assert isinstance(array.sum(), float) and isinstance(array[0, 0] + 1, float) and array.any() in (True, False)
    assert type(array[0, 0, ...] + 1) is np.float64
    for result in [*ordinary.values(), *other.values()]:
        assert not np.shares_memory(result, array)
        there = pickle.loads(pickle.dumps(result))
        assert type(there) is np.ndarray and there.dtype == result.dtype and np.array_equal(there, result)
    assert all(result.segment is None for result in other.values())
    assert repr(other["fancy"]).startswith("array(") and repr(array).startswith("SharedArray(")
    assert array.copy("F").flags.f_contiguous and copy.copy(array.T).flags.f_contiguous
    assert array.astype("f8", copy=False) is array
    del array
    assert objects(manager) == 0
    with pytest.raises(TypeError, match="a shared object is needed"):
        manager.segment.name_of(other["fancy"])


def test_in_place(manager):
    """In-place operators, `out=`, assignment, sort and the like write into the shared memory."""
    array = manager.ndarray((2, 3), fill=[3, 1, 2])
    there = pickle.loads(pickle.dumps(array))
    same = array
    for change in (operator.iadd, operator.imul, operator.isub):
        same = change(same, 2)
    assert same is array and there.tolist() == [[8, 4, 6]] * 2
    result = np.add(array, 1, out=array)
    assert result is array
    assert np.multiply.reduce(array, axis=0, out=array[0]) is not None and there[0].tolist() == [81, 25, 49]
    array.sort()
    assert there.tolist() == [[25, 49, 81], [5, 7, 9]]
    np.copyto(array, 1, where=array > 10)
    assert there.tolist() == [[1, 1, 1], [5, 7, 9]]
    array[...] = array[::-1]
    array[array > 6] = 0
    array.T[0, 1] -= 0.5
    array.flat[1] = 4
    assert there.tolist() == [[5, 4, 0], [0.5, 1, 1]]
    array.fill(2)
    array.put([0], 9)
    assert there.tolist() == [[9, 2, 2], [2, 2, 2]]
    zero = manager.ndarray((), "i4")
    zero += 5
    assert isinstance(zero, mpshm.SharedArray) and pickle.loads(pickle.dumps(zero))[()] == 5
    with pytest.raises(ValueError):
        array.resize(5)


def test_other_ways_to_the_memory(manager):
    """Buffers, DLPack, `__array_interface__`, ctypes and files show the same memory, and keep it."""
    array = mpshm.asarray(np.arange(6, dtype="i4").reshape(2, 3), manager=manager)
    with memoryview(array) as view:
        assert (view.shape, view.format, view.readonly) == ((2, 3), "i", False)
        view[1, 2] = 50
    assert array[1, 2] == 50
    exchanged = np.from_dlpack(array)
    assert address(exchanged) == address(array) and array.__dlpack_device__()[0] == 1

    class Holder:
        __array_interface__ = array.__array_interface__

    assert np.shares_memory(np.asarray(Holder()), array)
    array.ctypes.data_as(ctypes.POINTER(ctypes.c_int))[0] = 7
    record = manager.ndarray(2, [("a", "i4"), ("b", "f8")])
    record[0]["a"] = 3
    assert array[0, 0] == 7 and record["a"].tolist() == [3, 0]
    del array
    assert objects(manager) == 2 and exchanged.tolist() == [[7, 1, 2], [3, 4, 50]]
    del exchanged, Holder, record
    assert objects(manager) == 0


def test_in_containers(manager):
    """Arrays and views in containers are the same memory, and are kept by them."""
    array = manager.ndarray((4, 2), "i4")
    box, row = manager.dict(), manager.list()
    queue, space = manager.Queue(), manager.Namespace()
    box["array"], space.part = array, array[1:3]
    row.append({"nested": [array.T]})
    queue.put(array[::-1])
    array[...] = [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert objects(manager) == 5
    del array
    assert box["array"].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    assert space.part.tolist() == [[3, 4], [5, 6]]
    row[0]["nested"][0][0] = 0
    last = queue.get()
    assert last.tolist() == [[0, 8], [0, 6], [0, 4], [0, 2]]
    box.clear(), row.clear()
    del space.part
    assert objects(manager) == 5
    del last
    assert objects(manager) == 4


def test_outlives_everything_else(manager):
    """Neither the manager's end nor that of all other handles takes the memory from under a view."""
    part = manager.ndarray(10_000, "i4", fill=5).reshape(100, 100).T[3:5]
    other = mpshm.AnonymousSegment()
    far = other.construct("i4", "name", shape=5)[2:]
    assert other.destroy("name")
    other.close()
    del other
    manager.shutdown()
    gc.collect()
    part += 1
    far += 1
    assert (part == 6).all() and far.tolist() == [1, 1, 1]
    for array in (part, far):
        with pytest.raises(mpshm.SegmentClosedError):
            pickle.dumps(array)


# ---- other kinds of segments ----


def test_in_a_file(tmp_path):
    """An array in a file is there the next time; a reader's cannot be written to, that of a copy is its own."""
    path = tmp_path / "arrays"
    with mpshm.ManagedMappedFile(path, "x") as segment:
        made = segment.construct(NESTED, "a", shape=3)
        big = segment.construct("f8", "big", shape=20_000, fill=1)
        made["when"] = np.datetime64("2020-01-01")
        made.flush()
        big[5:].flush()
        segment.construct("f8", "empty", shape=0).flush()
    big.flush()
    del made, big
    gc.collect()
    with mpshm.ManagedMappedFile(path, "r") as segment:
        found = segment["a"]
        assert found.dtype == NESTED and found["when"][2] == np.datetime64("2020-01-01")
        found.flush()
        for part in (found, found[1:], found["outer"], pickle.loads(pickle.dumps(found))):
            assert not part.flags.writeable
            with pytest.raises(ValueError):
                part.flags.writeable = True
        with pytest.raises(mpshm.SegmentPermissionError):
            segment.construct("f8", None, shape=3)
        with pytest.raises(mpshm.SegmentPermissionError):
            mpshm.asarray([1], segment=segment)
    del found, part
    gc.collect()
    with mpshm.ManagedMappedFile(path, "c") as segment:
        own = segment["big"]
        own[:] = 9
        own.flush()
    del own
    gc.collect()
    with mpshm.ManagedMappedFile(path, "r+") as segment:
        assert (segment["big"] == 1).all() and segment.check() is None


@pytest.mark.parametrize("make", [mpshm.ManagedHeapMemory, lambda: mpshm.ManagedExternalBuffer(mmap.mmap(-1, 1 << 20))])
def test_in_private_memory(make):
    """Arrays in segments of one process do all but travel."""
    segment = make()
    made = segment.construct("f8", "a", [1, 2, 3])
    made += 1
    made.flush()
    assert segment["a"].tolist() == [2, 3, 4]
    assert np.shares_memory(pickle.loads(pickle.dumps(made[1:])), made)
    assert segment.check() is None
