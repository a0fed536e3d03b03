"""Stored arrays in damaged segments: an error, or an answer; never a fault, never memory that is not theirs."""

import gc
import os
import pickle
import random
import re

import numpy as np
import pytest

import mpshm
from mpshm import ManagedExternalBuffer, ManagedHeapMemory, ManagedMappedFile, dtypes
from mpshm.dtypes import dtype_of_text, text_of_dtype

pytestmark = pytest.mark.once

HARMLESS = (mpshm.MpshmError, ReferenceError, TimeoutError, MemoryError, LookupError, TypeError, ValueError)
HARMLESS += (pickle.UnpicklingError, EOFError, AttributeError, ImportError, OverflowError, SystemError, RecursionError)
ROUNDS = int(os.environ.get("MPSHM_FUZZ_ROUNDS", "8"))
FIELDS = [("name", "S5"), ("data", "<f8", (3, 2)), ("inner", [("x", "i2"), ("t", "M8[s]")])]


def content():
    """Arrays of each way of being stored: noted by text, by pickle, in pages, nested, beside bytes."""
    return {
        "small": np.arange(50.0),
        "cube": np.asfortranarray(np.arange(60, dtype="i2").reshape(3, 4, 5)),
        "times": np.arange(20).astype("M8[us]"),
        "table": np.zeros(30, FIELDS),
        "aligned": np.zeros(9, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
        "noted": np.zeros(9, np.dtype("f4", metadata={"a": 1})),
        "large": np.arange(9000.0),
        "nested": [np.arange(300.0), {"x": np.arange(9000.0)}],
        "bytearray": bytearray(range(250)) * 10,
        "bytes": bytes(range(250)) * 400,
    }


def fill(segment):
    d = segment.construct(mpshm.Dict, "d")
    d.update(content())
    segment.construct(mpshm.List, "l").append(np.arange(100))


def work_on(segment):
    """Reads everything in every way, and changes some of it."""
    if segment.mode != "r":
        with_errors(segment.check)
    d = segment["d"]
    for key in content():
        for get in (d.__getitem__, d.view):
            with_errors(lambda key=key, get=get: use(get(key)))
    with_errors(lambda: [use(value) for value in d.values()])
    with_errors(lambda: use(segment["l"].view(0)))
    with_errors(lambda: d.compare_exchange("bytearray", content()["bytearray"], 1))
    with_errors(lambda: d.compute("small", lambda x: x + 1, None))
    with_errors(lambda: d.__setitem__("new", np.arange(5000)))
    with_errors(d.clear)
    if segment.mode != "r":
        with_errors(segment.check)


def use(value):
    """Touches all of it."""
    if isinstance(value, np.ndarray):
        if value.nbytes < 1 << 26:
            value.copy()
            value.tobytes("A")
            repr(value)
            if value.flags.writeable:
                value.reshape(-1, order="A").view(np.ndarray)[-1:] = np.zeros((), value.dtype)
    elif isinstance(value, (bytes, bytearray, memoryview)):
        bytes(value)
    elif isinstance(value, (list, tuple)):
        for item in value:
            use(item)
    elif isinstance(value, dict):
        for item in value.values():
            use(item)


def with_errors(act):
    try:
        act()
    except HARMLESS:
        pass


def in_child(act, what):
    """It ends by itself, without a signal."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with_errors(act)
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, what


def places(data):
    """Where notes and the words before them are: the offsets of the bytes of types, and of pickled ones."""
    found = set()
    for pattern in (rb"A[CF].\0....", rb"<[if][248]", rb"<M8", rb'{"(names|of)"'):
        for match in re.finditer(pattern, data, re.DOTALL):
            begin = match.start()
            found.update(range(max(0, begin - 96), min(len(data), begin + 160)))
    return sorted(found)


@pytest.mark.parametrize("kind", ["heap", "buffer", "file", "reader"])
def test_changed_notes(kind, tmp_path):
    """Bytes changed in what says of an array what it is, and around it."""
    path = tmp_path / "segment"
    if kind == "heap":
        made = ManagedHeapMemory(1 << 20)
        fill(made)
        data = made.to_bytes()
    else:
        with ManagedMappedFile(path, "x", 1 << 20) as made:
            fill(made)
        gc.collect()
        data = path.read_bytes()
    del made
    gc.collect()
    spots = places(data)
    assert len(spots) > 500

    def damaged(rng):
        changed = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            at = rng.choice(spots)
            how = rng.randrange(4)
            if how == 0:
                changed[at] ^= 1 << rng.randrange(8)
            elif how == 1:
                changed[at] = rng.choice((0, 1, 127, 128, 255))
            elif how == 2:
                at &= ~7
                changed[at : at + 8] = rng.choice((b"\xff" * 8, bytes(8), rng.randbytes(8), b"\0\0\0\0\x01\0\0\0"))
            else:
                changed[at : at + 2] = rng.randbytes(2)
        return changed[: len(data)]

    def try_many(seeds):
        for seed in seeds:
            changed = damaged(random.Random(seed))
            if kind == "heap":
                act = lambda: work_on(ManagedHeapMemory.from_bytes(changed))  # noqa: B023, E731
            elif kind == "buffer":
                begin = np.zeros(len(changed) + 64, "u1")
                begin = begin[-begin.ctypes.data % 64 :][: len(changed)]
                begin[:] = np.frombuffer(changed, "u1")
                act = lambda: work_on(ManagedExternalBuffer(begin, "r+"))  # noqa: B023, E731
            else:
                path.write_bytes(changed)
                act = lambda: work_on(ManagedMappedFile(path, "r" if kind == "reader" else "r+"))  # noqa: E731
            with_errors(act)
            os.write(progress, b".")

    read, progress = os.pipe()
    try:
        in_child(lambda: try_many(range(ROUNDS)), kind)
    finally:
        os.close(progress)
        done = len(os.read(read, ROUNDS))
        os.close(read)
    assert done == ROUNDS


def test_changed_types():
    """Every byte of a type's description: an error, or a type whose parts lie inside of it."""
    for given in (
        np.dtype(FIELDS),
        np.dtype([("a", "u1"), ("b", "f8")], align=True),
        np.dtype({"names": ["p"], "formats": ["(2,3)i4"], "offsets": [8], "itemsize": 40}),
        np.dtype("f8", metadata={"m": 1}),
        np.dtype("M8[25us]"),
        np.dtype("U7"),
    ):
        text = text_of_dtype(given)
        assert dtype_of_text(text) == given

        def change(text=text):
            rng = random.Random(1)
            for at in range(len(text)):
                for new in (0, 1, 0xFF, text[at] ^ 1, text[at] ^ 0x80, rng.randrange(256)):
                    try:
                        dtype = dtype_of_text(text[:at] + bytes([new]) + text[at + 1 :])
                    except mpshm.SegmentCorruptedError:
                        continue
                    except HARMLESS:
                        raise AssertionError("another error") from None
                    if 0 < dtype.itemsize < 10_000:
                        use(np.frombuffer(bytes(dtype.itemsize * 3), dtype).copy())

        in_child(change, given)


def test_types_that_lie():
    """Parts outside of the whole, and Python objects, are no types of stored arrays."""
    base = np.dtype([("a", "i4"), ("b", "f8")])
    for state in (
        (3, "|", None, ("a", "b"), {"a": (np.dtype("i4"), 0), "b": (np.dtype("f8"), 4000)}, 12, 1, 16),
        (3, "|", None, ("a", "b"), {"a": (np.dtype("i4"), -8), "b": (np.dtype("f8"), 4)}, 12, 1, 16),
        (3, "|", None, ("a",), {"a": (np.dtype(object), 0)}, 8, 1, 0),
        (3, "|", None, ("a",), {"a": (np.dtype("f8"), 0)}, 4, 1, 16),
    ):
        lying = np.dtype([("a", "i4"), ("b", "f8")])
        reduced = lying.__reduce__()

        class Lie:
            def __reduce__(self, reduced=reduced, state=state):
                return (*reduced[:2], state)

        with pytest.raises(mpshm.SegmentCorruptedError, match="makes no sense"):
            dtype_of_text(pickle.dumps(Lie(), 5))
    for text in (b"O", b"|O", b"f8,O", b"\x80\x05]\x94.", b"", b"\xff", b"\x80"):
        with pytest.raises(mpshm.SegmentCorruptedError):
            dtype_of_text(text)
    assert dtype_of_text(text_of_dtype(base)) == base and dtypes.is_sound(base)


def test_types_of_other_packages():
    """A type that NumPy has no text for is stored as a pickle; one that says it is another's is not taken for it."""

    class Foreign:
        hasobject, kind, fields, metadata, str, type = False, "f", None, None, "<f1", float

    with pytest.raises((pickle.PicklingError, AttributeError)):
        text_of_dtype(Foreign())
    assert text_of_dtype(np.dtype(object)) is None
    assert text_of_dtype(np.dtype(np.record)) is None or dtype_of_text(text_of_dtype(np.dtype(np.record)))
