"""Arrays and large buffers as values: what comes back is the reader's own, and view() shows it in place."""

import dataclasses
import gc
import pickle
import tempfile

import numpy as np
import pytest

import mpshm

TYPES = ["?", "i1", "<i8", ">i2", "u4", ">f8", "f2", "g", "F", "D", "G", "S5", "U3", ">U3", "V7", "V0", "S0", "U0"]
TIMES = ["M8", "M8[us]", ">M8[25s]", "m8[D]", "m8"]
FIELDS = [
    [("a", "<i4"), ("b", "f8", (2, 3))],
    np.dtype([("x", "u1"), ("y", "<f8")], align=True),
    {"names": ["p", "q"], "formats": ["i2", "S3"], "offsets": [4, 10], "itemsize": 16},
    {"names": ["p", "q"], "formats": ["i4", "u1"], "offsets": [0, 0]},
    [(("title", "name"), "i4"), ("inner", [("deep", ">f4"), ("when", "M8[ms]")])],
    np.dtype((np.record, [("a", "i4")])),
    np.dtype("f8", metadata={"unit": "m"}),
    [],
]
SHAPES = [(), (0,), (3,), (2, 3), (4, 0, 2), (100, 200)]
SMALL = np.arange(5)
LARGE = np.arange(100_000.0)


def random_array(shape, dtype):
    """An array of any type with bytes that mean something there."""
    dtype = np.dtype(dtype)
    count = int(np.prod(shape)) * dtype.itemsize
    values = np.random.default_rng(1).integers(0, 2 if dtype.kind in "?bUV" else 100, count, "u1")
    if dtype.kind == "U":
        values = np.zeros(count, "u1")
    return np.ndarray(shape, dtype, values.tobytes()).copy() if count else np.ndarray(shape, dtype)


def assert_same(found, given):
    """The same array, and one that can be written to."""
    assert type(found) is type(given)
    assert found.dtype == given.dtype and found.dtype.metadata == given.dtype.metadata
    assert found.dtype.type is given.dtype.type and found.dtype.itemsize == given.dtype.itemsize
    assert found.shape == given.shape and fields(found) == fields(given)


def fields(array):
    """The bytes of all items, without those between the fields, which no copy has to keep."""
    if array.dtype.names is None:
        return array.tobytes()
    return [fields(array[name]) for name in array.dtype.names]


def address(array):
    return array.__array_interface__["data"][0]


@pytest.fixture
def d(manager):
    return manager.dict()


# ---- types and layouts ----


@pytest.mark.parametrize("dtype", [*TYPES, *TIMES, *FIELDS], ids=str)
def test_types(d, dtype):
    """Every type comes back as it is, of any shape; the view is the same, aligned and read-only."""
    for shape in SHAPES:
        given = random_array(shape, dtype)
        d["a"] = given
        found, view = d["a"], d.view("a")
        assert_same(found, given)
        assert_same(view, given)
        assert found.flags.writeable and found.flags.aligned and not view.flags.writeable
        if given.nbytes >= 64:
            assert address(view) % 64 == 0
        if given.nbytes >= 65536:
            assert address(found) % 4096 == 0 and address(view) % 4096 == 0
        d["a"] = [given, 1]
        if given.dtype.kind not in "mM":  # (NumPy's own pickles lose the byte order of these)
            assert_same(d["a"][0], given)


def test_types_of_very_many_fields(d):
    """However long a type's description is."""
    for n in (200, 2000, 6000):
        given = np.zeros(4, [(f"field{i:05}", "u2") for i in range(n)])
        given["field00007"] = range(4)
        d["a"] = given
        assert_same(d["a"], given)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 127, 128, 511, 512, 513, 8191, 8192, 8193, 8200, 16384, 131_072, 400_000])
def test_sizes(d, n):
    """Whether it is copied or mapped makes no difference."""
    given = np.arange(n, dtype="f8")
    for value in (given, given[::-1], [given], {"k": (given, 1)}):
        d["a"] = value
        found = d["a"]
        found = found["k"][0] if isinstance(found, dict) else found[0] if isinstance(found, list) else found
        expected = given[::-1] if value is not given and isinstance(value, np.ndarray) else given
        assert_same(found, expected)
        found += 1
        found.sort()
        if n > 1:
            assert found[0] == 1
    assert given.tolist() == list(range(n))


@pytest.mark.parametrize("n", [6, 60])
def test_layouts(d, n):
    """Order, strides and repetition: the items are the same, and Fortran order stays."""
    cube = np.arange(n * n * n).reshape(n, n, n)
    fortran = np.asfortranarray(cube)
    d["a"] = fortran
    assert d["a"].flags.f_contiguous and d["a"].strides == fortran.strides and d.view("a").strides == fortran.strides
    for given in (
        fortran,
        fortran.T,
        cube[::-1],
        cube[:, ::-2],
        cube[1::2, :, ::3],
        cube.transpose(1, 0, 2),
        cube[:0],
        cube[..., None],
        np.broadcast_to(np.float32(3), (n, n, n)),
        np.broadcast_to(cube[0], (3, n, n)),
        np.diagonal(cube),
        cube.T[1:, :, 0],
    ):
        d["a"] = given
        d["b"] = {"x": [given]}
        for found in (d["a"], d["b"]["x"][0]):
            assert_same(found, given)
            assert found.flags.writeable
            found[...] = 0
        assert_same(d.view("a"), given)
    assert_same(cube, np.arange(n * n * n).reshape(n, n, n))


def test_many_axes(d):
    for given in (np.zeros((1,) * 32), np.zeros((2,) * 16, "u1"), np.zeros((1, 0) * 16)):
        d["a"] = given
        assert_same(d["a"], given)


@pytest.mark.parametrize("n", [3, 200, 20_000])
def test_read_only_arrays_come_back_writable(d, n):
    """As after a journey through a manager: what is read is a copy."""
    given = np.arange(n)
    given.flags.writeable = False
    d["a"], d["b"] = given, [given, (given,)]
    for found in (d["a"], d["b"][0], d["b"][1][0]):
        found[0] = 7
    assert given[0] == 0 and not given.flags.writeable
    assert not pickle.loads(pickle.dumps(given, 5)).flags.writeable  # nobody else's pickles are touched
    memory = pickle.PickleBuffer(given)
    d["c"] = [memory]
    assert memory.raw().readonly or not isinstance(d["c"][0], bytes)


def test_arrays_of_objects(d):
    """Are pickled, and right."""
    given = np.array([1, "two", None, [3]], object)
    d["a"] = given
    assert d["a"].tolist() == given.tolist() and d["a"].dtype == object
    mixed = np.zeros(2, [("n", "i4"), ("o", object)])
    mixed["o"] = ["x", {}]
    d["a"] = mixed
    assert d["a"].tolist() == mixed.tolist() and d["a"].dtype == mixed.dtype


def test_texts_of_any_length(d):
    """NumPy 2 has a type of its own for them."""
    kinds = getattr(np, "dtypes", None)
    if kinds is None or not hasattr(kinds, "StringDType"):
        return
    given = np.array(["a", "", "long " * 100], kinds.StringDType())
    d["a"] = given
    assert d["a"].tolist() == given.tolist() and d["a"].dtype == given.dtype


def test_subclasses_keep_their_type(d):
    """recarray, matrix, masked arrays, memmap and one's own."""
    rec = np.rec.array([(1, 2.0), (3, 4.0)], dtype=[("a", "i4"), ("b", "f8")])
    masked = np.ma.array(np.arange(20_000), mask=np.arange(20_000) % 3 == 0)
    for given in (rec, np.array([[1, 2], [3, 4]]).view(np.matrix), np.arange(20_000.0).view(Mine)):
        d["a"] = given
        assert_same(d["a"], given)
    d["a"] = masked
    found = d["a"]
    assert type(found) is type(masked) and (found.mask == masked.mask).all() and found.sum() == masked.sum()
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, "f8", "w+", shape=(10_000,))
        mapped[:] = 3
        d["a"] = mapped
        found = d["a"]
        assert found.shape == mapped.shape and (found == 3).all()
        found[0] = 1
        assert mapped[0] == 3
        del mapped


class Mine(np.ndarray):
    """A subclass with nothing of its own."""


def test_scalars_are_scalars(d):
    for given in (np.float64(1.5), np.int32(7), np.datetime64("2020-01-01"), np.bool_(True)):
        d["a"] = given
        assert d["a"] == given and type(d["a"]) is type(given)


# ---- containers ----


def stores(m):
    """Ways to put a value somewhere, and to get it out again."""
    d, items, q, s, v, n = m.dict(), m.list([0]), m.deque([0]), m.map(), m.Value("O", None), m.Namespace()
    linked, several = mpshm.LinkedList(), mpshm.MultiMap()
    queues = [m.Queue(), m.JoinableQueue(), mpshm.SimpleQueue(), m.Queue(1)]
    return [
        lambda x: (d.__setitem__(1, x), d[1])[1],
        lambda x: (d.update(k=x), d.get("k"))[1],
        lambda x: (d.__setitem__(2, x), d.values()[-1])[1],
        lambda x: (d.__setitem__(2, x), d.pop(2))[1],
        lambda x: (d.setdefault("d", x), d.pop("d"))[1],
        lambda x: (d.compute("c", lambda _: x, None), d["c"])[1],
        lambda x: (items.__setitem__(0, x), items[0])[1],
        lambda x: (items.append(x), items[-1:][0])[1],
        lambda x: (items.insert(0, x), items.pop(0))[1],
        lambda x: (items.extend([x, 1]), list(items)[-2])[1],
        lambda x: (q.append(x), q.pop())[1],
        lambda x: (q.appendleft(x), q[0])[1],
        lambda x: (s.__setitem__("k", x), s["k"])[1],
        lambda x: (s.__setitem__("k", x), s.peekitem()[1])[1],
        lambda x: (several.add(1, x) if hasattr(several, "add") else several.insert(1, x), several.popitem()[1])[1],
        lambda x: (linked.append(x), list(linked)[-1])[1],
        lambda x: (v.set(x), v.value)[1],
        lambda x: (setattr(n, "x", x), n.x)[1],
        *(lambda x, q=q: (q.put(x), q.get())[1] for q in queues),
    ]


@pytest.mark.parametrize("given", [SMALL, np.arange(300.0), LARGE, LARGE[::3]], ids=["40", "2400", "800000", "strided"])
def test_containers(manager, given):
    """Every container takes arrays, alone and inside of something else, and gives back the caller's own."""
    for through in stores(manager):
        found = through(given)
        assert_same(found, given)
        found[0] = 99
        assert_same(through([given, {"x": given}])[1]["x"], given)
    assert given[0] == 0


def test_keys_and_members(manager):
    """An array is unhashable, here too."""
    for act in (
        lambda: manager.dict().__setitem__(SMALL, 1),
        lambda: manager.dict()[1, LARGE],
        lambda: SMALL in manager.dict(),
        lambda: manager.set().add(LARGE),
        lambda: manager.set([SMALL]),
        lambda: SMALL in manager.set([1]),
        lambda: manager.map().__setitem__(SMALL, 1),
        lambda: mpshm.SortedSet([SMALL]),
    ):
        with pytest.raises(TypeError, match="unhashable"):
            act()


def test_vectors_are_what_they_were(manager):
    """A Vector takes an array's items, in its own memory."""
    v = manager.vector("f8", LARGE)
    assert (v.array == LARGE).all()
    v.array[0] = 5
    assert v[0] == 5 and LARGE[0] == 0


AMBIGUOUS = "truth value of an array|broadcast"


@pytest.mark.parametrize("make", ["plain", "list", "deque"])
def test_searches_do_what_the_builtins_do(manager, make):
    """Comparing arrays has no truth: ValueError, and nothing is changed."""
    items = [SMALL, 1, "x", LARGE]
    found = items if make == "plain" else getattr(manager, make)(items)
    for act in (
        lambda: found.index(1),
        lambda: found.count(1),
        lambda: found.count(SMALL),
        lambda: found.remove("x"),
        lambda: "q" in found,
    ):
        with pytest.raises(ValueError, match=AMBIGUOUS):
            act()
    assert len(found) == 4 and found != [1] and type(found[3]) is np.ndarray
    if make != "deque":
        with pytest.raises(ValueError, match=AMBIGUOUS):
            found.sort()
        assert len(found) == 4
        found.sort(key=lambda x: np.size(x))
        assert_same(found[-1], LARGE)
    found.reverse()
    assert_same(found[0], LARGE)


def test_changes_in_one_step(d):
    """incr and compute work on arrays; comparing has no truth."""
    d["a"] = SMALL
    assert d.incr("a", 2).tolist() == [2, 3, 4, 5, 6] == d["a"].tolist()
    with pytest.raises(ValueError, match="broadcast"):
        d.incr("a", LARGE)
    d["b"] = LARGE
    assert_same(d.compute("b", lambda x: x * 2, None), LARGE * 2)
    assert_same(d["b"], LARGE * 2)

    def in_place(x):
        x += 1
        return x

    assert_same(d.compute("b", in_place, None), LARGE * 2 + 1)
    assert_same(d["b"], LARGE * 2 + 1)
    with pytest.raises(ValueError, match=AMBIGUOUS):
        d.compare_exchange("b", LARGE, 1)
    with pytest.raises(ValueError, match=AMBIGUOUS):
        d == {"a": SMALL + 1, "b": LARGE}
    assert d != {"a": 1}
    assert d.compare_exchange("c", 1, 1) is False
    d["n"] = 5
    assert d.compare_exchange("n", 5, LARGE) and (d["n"] == LARGE).all()


# ---- what holds arrays ----


@dataclasses.dataclass
class Record:
    name: str
    data: np.ndarray
    more: dict


def test_nested(d):
    """Dicts, lists, tuples and dataclasses of arrays; the same array twice is one array in what is read."""
    shared = np.arange(50_000)
    d["a"] = {"x": [shared, (shared, SMALL)], "r": Record("n", shared, {"y": LARGE}), "s": {1, 2}}
    found = d["a"]
    x = found["x"][0]
    assert x is found["x"][1][0] is found["r"].data
    x[0] = 77
    assert found["r"].data[0] == 77 and d["a"]["x"][0][0] == 0
    assert_same(found["r"].more["y"], LARGE)
    view = d.view("a")
    assert not view["x"][0].flags.writeable and view["x"][0] is view["r"].data
    with pytest.raises(ValueError, match="read-only"):
        view["x"][0][0] = 1


def test_containers_beside_arrays(manager):
    """A shared container in the same value stays shared."""
    inner, d = manager.list([1]), manager.dict()
    d["a"] = [LARGE, inner, SMALL, inner]
    found = d["a"]
    found[1].append(2)
    assert list(inner) == [1, 2] and found[1] is found[3]
    assert_same(found[0], LARGE)
    view = d.view("a")
    view[1].append(3)
    assert list(inner) == [1, 2, 3]


@pytest.mark.parametrize("n", [0, 10, 1023, 1024, 1025, 70_000, 1_500_000])
def test_bytes_and_bytearrays(d, n):
    """Come back as what they are; views on them are read-only."""
    data = bytes(range(256)) * (n // 256 + 1)
    data = data[:n]
    d["b"], d["a"], d["n"] = data, bytearray(data), [bytearray(data), data]
    assert d["b"] == data and type(d["b"]) is bytes
    for found in (d["a"], d["n"][0]):
        assert type(found) is bytearray and found == data
        found += b"more"
        del found[:2]
    assert d["a"] == data and d["n"][1] == data
    for view in (d.view("a"), d.view("b")):
        assert type(view) is memoryview and view.readonly and view == data
        with pytest.raises(TypeError):
            view[:1] = b"x"


class Mesh:
    """A class as users write it: its memory goes out of band."""

    def __init__(self, memory):
        self.memory = memory

    def __reduce_ex__(self, protocol):
        return (Mesh, (pickle.PickleBuffer(self.memory),)) if protocol >= 5 else (Mesh, (bytes(self.memory),))


@pytest.mark.parametrize("n", [100, 2000, 80_000])
def test_classes_with_buffers(d, n):
    """What they give to PickleBuffer comes back as something that has those bytes, writable if it was."""
    data = bytes(range(250)) * (n // 250 + 1)
    data = data[:n]
    d["a"] = Mesh(bytearray(data))
    found = d["a"].memory
    assert len(found) == n and found[5] == 5 and bytes(found[:9]) == data[:9] and found == data
    found[0] = 9
    assert d["a"].memory[0] == 0
    d["a"] = Mesh(data)
    found = d["a"].memory
    assert len(found) == n and found == data and memoryview(found).readonly
    d["a"] = Mesh(memoryview(np.arange(n, dtype="u2").reshape(n // 2, 2)))
    assert bytes(d["a"].memory) == np.arange(n, dtype="u2").tobytes()
    scattered = Mesh(memoryview(bytes(n))[::2])
    with pytest.raises((pickle.PicklingError, BufferError)):
        d["a"] = scattered
    assert bytes(d["a"].memory) == np.arange(n, dtype="u2").tobytes()


def test_tables_of_pandas(d):
    """DataFrame and Series, of numbers, text, times and categories; in-place changes stay the reader's."""
    pd = pytest.importorskip("pandas")
    n = 20_000
    frame = pd.DataFrame(
        {
            "i": np.arange(n),
            "f": np.arange(n) / 3,
            "b": np.arange(n) % 2 == 0,
            "t": pd.date_range("2020-01-01", periods=n, freq="min"),
            "s": [f"row {i}" for i in range(n)],
            "c": pd.Categorical(["x", "y"] * (n // 2)),
        }
    )
    d["frame"], d["series"], d["small"], d["both"] = frame, frame["f"], frame.head(3), {"x": frame, "y": [frame["i"]]}
    found = d["frame"]
    pd.testing.assert_frame_equal(found, frame)
    pd.testing.assert_series_equal(d["series"], frame["f"])
    pd.testing.assert_frame_equal(d["small"], frame.head(3))
    pd.testing.assert_frame_equal(d["both"]["x"], frame)
    found.loc[0, "f"] = 99.0
    found["i"] += 1
    found["new"] = 5
    found.iloc[3, 0] = -1
    pd.testing.assert_frame_equal(d["frame"], frame)
    series = d["series"]
    series[:] = 0
    assert d["series"][9] == 3
    pd.testing.assert_frame_equal(d.view("frame"), frame)


def test_tables_of_arrow(d):
    """pyarrow's, which never change."""
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"n": list(range(30_000)), "t": [f"{i}" for i in range(30_000)], "l": [[1, 2]] * 30_000})
    d["t"], d["a"] = table, [table.column("n"), pa.array([1, None])]
    assert d["t"].equals(table) and d["a"][1].to_pylist() == [1, None] and d.view("t").equals(table)
    del table
    gc.collect()
    found = d["t"]
    d.clear()
    assert found.column("n")[29_999].as_py() == 29_999


# ---- view ----


def test_what_has_no_view(manager):
    """TypeError, for values without memory to look at; KeyError and IndexError for what is not there."""
    values = [1, None, True, 1.5, "x", "x" * 10_000, 2**1000, [1], (1, 2), {"a": 1}, manager.list(), np.float64(1)]
    values += [np.array([None]), range(3), b"x".hex]
    d, items, q, s = manager.dict(), manager.list(), manager.deque(), manager.map()
    for value in values[:-1]:
        v = manager.Value("O", value)
        d["k"], s["k"] = value, value
        items[:] = [value]
        q.append(value)
        for view in (lambda: d.view("k"), lambda: s.view("k"), lambda: items.view(0), lambda: q.view(-1), v.view):
            with pytest.raises(TypeError, match="cannot be looked at"):
                view()
    for where, key in ((d, "x"), (d, 1), (s, "x"), (s, 1), (s, (1, "a"))):
        with pytest.raises(KeyError):
            where.view(key)
    for where, i in ((items, 1), (items, -2), (q, 99), (q, -99), (items, 2**70)):
        with pytest.raises(IndexError):
            where.view(i)
    for act in (lambda: items.view("x"), lambda: items.view(slice(1)), lambda: d.view([]), lambda: s.view([])):
        with pytest.raises(TypeError):
            act()


def test_views_of_every_container(manager):
    """The same memory from wherever it is looked at: two views of one entry are at one address."""
    d, items, q, s = manager.dict(k=LARGE), manager.list([1, LARGE]), manager.deque([LARGE]), manager.map({1: LARGE})
    v = manager.Value("O", LARGE)
    for view in (lambda: d.view("k"), lambda: items.view(-1), lambda: q.view(0), lambda: s.view(1.0), v.view):
        a, b = view(), view()
        assert_same(a, LARGE)
        assert address(a) == address(b) and np.shares_memory(a, b)
        with pytest.raises(ValueError, match="read-only"):
            a[0] = 1
        with pytest.raises(ValueError, match="cannot set WRITEABLE"):
            a.flags.writeable = True
        assert not np.shares_memory(a, LARGE)
