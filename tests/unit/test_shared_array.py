"""Arrays of NumPy in a segment."""

import copy
import gc
import pickle

import numpy as np
import pytest

import mpshm
from mpshm import _types

pytestmark = pytest.mark.once

DTYPES = ["?", "i1", "<i8", ">i4", "u2", "f2", "f8", "c16", "S5", "U3", "M8[us]", "m8[D]", "V7"]
STRUCTURED = [
    [("a", "<i4"), ("b", "f8", (2, 3))],
    np.dtype([("x", "u1"), ("y", "<f8")], align=True),
    {"names": ["p", "q"], "formats": ["i2", "S3"], "offsets": [4, 10], "itemsize": 16},
    [(("title", "name"), "i4"), ("inner", [("deep", "f4")])],
]


@pytest.fixture
def segment():
    """A segment of one's own, in which nothing may be left in the end."""
    made = mpshm.AnonymousSegment(max_size=32 << 20)
    yield made
    gc.collect()
    for name in made.names():
        made.destroy(name)
    assert made.stats().objects == 0
    assert made.check() is None


@pytest.mark.parametrize("dtype", [*DTYPES, *STRUCTURED], ids=str)
@pytest.mark.parametrize("shape", [(), 0, 3, (2, 3), (4, 0, 2)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_types_and_shapes(segment, dtype, shape, order):
    """What is made is zero, and what is found has the same type, shape, order and bytes."""
    made = segment.construct(dtype, "a", shape=shape, order=order)
    plain = np.zeros(shape, dtype, order)
    assert made.dtype == plain.dtype and made.shape == plain.shape
    assert made.strides == plain.strides or not made.size
    assert made.tobytes("A") == plain.tobytes("A") and made.flags.writeable
    if made.nbytes:
        assert made.__array_interface__["data"][0] % min(64, 1 << (made.nbytes.bit_length() - 1), 16) == 0
        made.view(np.ndarray).reshape(-1, order="A").view("u1")[:] = 1
    found = segment.find("a", dtype)
    assert isinstance(found, mpshm.SharedArray) and found.dtype == plain.dtype and found.strides == made.strides
    assert found.tobytes("A") == made.tobytes("A")
    copied = pickle.loads(pickle.dumps(found))
    assert isinstance(copied, mpshm.SharedArray) and copied.dtype == plain.dtype and copied.shape == plain.shape


def test_shared(segment):
    """Every array on it sees every write; slices write through, and travel as the same memory."""
    made = segment.construct("f8", "a", shape=(4, 5))
    found = segment["a"]
    made[1:3, ::2] = 7
    assert found[2, 4] == 7
    for part in (made[1:], made[:, ::-2], made.T, made[2, 3:4], made[3:0:-1]):
        there = pickle.loads(pickle.dumps(part))
        assert there.shape == part.shape and (there == part).all() and np.shares_memory(there, part)
        there[...] = np.arange(there.size).reshape(there.shape)
        assert (part == there).all()
    record = segment.construct([("a", "i4"), ("b", "f8")], None, shape=3)
    pickle.loads(pickle.dumps(record["b"]))[:] = 2.5
    assert record["b"].tolist() == [2.5] * 3
    box = segment.construct(mpshm.Dict)
    box["array"] = made
    box["array"][0, 0] = 99
    assert made[0, 0] == 99


def test_results_are_ordinary(segment):
    """What is computed, and copies, have memory of their own."""
    made = segment.construct("f8", None, [1.0, 2.0])
    for result in (made + 1, np.sqrt(made), made * made):
        assert type(result) is np.ndarray
    assert isinstance(made.sum(), float) and made.sum() == 3
    for other in (copy.copy(made), copy.deepcopy(made), made.copy(), np.array(made)):
        other[0] = 50
        assert made[0] == 1 and not np.shares_memory(other, made)
        there = pickle.loads(pickle.dumps(other))
        assert type(there) is np.ndarray and there[0] == 50
    made += 1
    assert isinstance(made, mpshm.SharedArray) and made.tolist() == [2, 3]


def test_lives_as_long_as_a_view(segment):
    """The memory stays for a slice when array, handle and name are gone."""
    made = segment.construct("i8", "a", np.arange(1000))
    part = made[500:]
    segment.destroy("a")
    del made
    gc.collect()
    others = [segment.construct("i8", None, shape=1000) for _ in range(10)]
    assert part[0] == 500 and segment.stats().objects == 11
    del others, part
    gc.collect()
    assert segment.stats().objects == 0


def test_contents(segment):
    """Content gives the shape, or fills the shape given."""
    assert segment.construct("i4", None, [[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert segment.construct("i4", None, 5, shape=3).tolist() == [5, 5, 5]
    assert segment.construct("i4", None, range(3), shape=(2, 3)).tolist() == [[0, 1, 2]] * 2
    assert segment.construct(bool, None, [1, 0]).dtype == bool
    assert segment.construct(complex, None, 1j)[()] == 1j


def test_refused(segment):
    """What can't be shared or makes no sense is TypeError or ValueError, and nothing is left."""
    for dtype in ("O", [("a", "i4"), ("b", "O")], object):
        if dtype is not object:
            with pytest.raises(TypeError, match="Python objects"):
                segment.construct(dtype, "a", shape=3)
    for shape in (-1, (2, -1)):
        with pytest.raises(ValueError, match="negative"):
            segment.construct("f8", "a", shape=shape)
    for shape in ("3", 1.5, (1, "2"), [None]):
        with pytest.raises(TypeError):
            segment.construct("f8", "a", shape=shape)
    with pytest.raises(ValueError, match="order"):
        segment.construct("f8", "a", shape=3, order="K")
    with pytest.raises(TypeError):
        segment.construct("no such dtype", "a")
    with pytest.raises(ValueError):
        segment.construct("f8", "a", [1, 2], shape=3)
    for shape in (1 << 40, 1 << 45, 10_000_000):
        with pytest.raises(mpshm.SegmentFullError, match=rf"shape \({shape},\) and dtype float64"):
            segment.construct("f8", "a", shape=shape)
    with pytest.raises(ValueError, match="array is too big"):
        segment.construct("f8", "a", shape=(1 << 60, 1 << 60))
    gc.collect()
    assert segment.stats().objects == 0 and "a" not in segment


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff\xfe",
        b"()",
        b"('<f8',)",
        b"('<f8', (3,), 'X')",
        b"('<f8', (-3,), 'C')",
        b"('<f8', (4,), 'C')",
        b"('<f8', (1 << 60,), 'C')",
        b"('|O', (1,), 'C')",
        b"('nothing', (1,), 'C')",
        b"('<f8', 3, 'C')",
        b"(" * 5000,
        b"__import__('os').abort()",
        b"({'names': ['a']}, (1,), 'C')",
        b"({'names': ['a'], 'formats': ['|O'], 'offsets': [0], 'itemsize': 8}, (1,), 'C')",
        b"({'names': ['a'], 'formats': ['<f8'], 'offsets': [-8], 'itemsize': 8}, (1,), 'C')",
        b"({'names': ['a'], 'formats': ['<f8'], 'offsets': [16], 'itemsize': 8}, (1,), 'C')",
        b"({'names': [['a']], 'formats': ['<f8'], 'offsets': [0], 'itemsize': 8}, (1,), 'C')",
        b"({'names': ['a'], 'formats': ['<f8'], 'offsets': [0], 'itemsize': 9**999}, (1,), 'C')",
        b"({'names': ['a'], 'formats': ['<f8'], 'offsets': [0], 'itemsize': %d}, (1,), 'C')" % (1 << 70),
        b"('a5', (1,), 'C')",
        b"(('<f8', (-1,)), (1,), 'C')",
        b"(('<f8', (%d,)), (1,), 'C')" % (1 << 62),
        b"('<f8', (0, %d, %d), 'C')" % (1 << 62, 1 << 62),
        b"('<f8', (%s), 'C')" % (b"1, " * 100),
        b"(b'<f8', (1,), 'C')",
        b"((" + b"(" * 150 + b"'<f8'" + b", (1,))" * 150 + b", (1,), 'C')",
    ],
)
def test_damaged_notes(segment, note):
    """An array whose note makes no sense is damage, and nothing worse."""
    memory = _types.NDArray._noted(segment, 24, note, True)
    names = _types.Names._of(segment, True)
    assert names.enter("a", memory)
    for use in (lambda: segment["a"], lambda: segment.find("a", "f8"), lambda: segment.items()):
        with pytest.raises(mpshm.SegmentCorruptedError, match="note of an array"):
            use()
    assert segment.destroy("a")
    del memory
