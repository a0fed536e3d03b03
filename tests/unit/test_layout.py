"""A segment that an earlier build of this version has written is read, and goes on to be used.

`golden/layout-N.xz` holds a segment's file of layout N with an object of every kind. Who changes the layout counts
MPS_VERSION up, and makes a new one: `python tests/unit/test_layout.py`.
"""

from __future__ import annotations

import ctypes
import lzma
import sys
from pathlib import Path

import numpy as np
import pytest

import mpshm
from mpshm import ManagedMappedFile, _binding

pytestmark = pytest.mark.once

VERSION = _binding.lib.MPS_VERSION
GOLDEN = Path(__file__).parent / "golden" / f"layout-{VERSION}.xz"
LONG = "a text that is too long for its place " * 3
PAIRS = {1: "one", "two": 2.5, (3, "x"): None, LONG: LONG, b"four": -(1 << 70)}
NUMBERS = [*range(200), -5, 1 << 62]
TABLE = np.array([(1, 2.5), (3, 4.5)], [("a", "<i4"), ("b", "<f8")])
LARGE = np.arange(9_000, dtype="<f8")


def fill(segment: ManagedMappedFile) -> None:
    """One object of every kind, by name."""
    make = segment.construct
    inner = make(mpshm.Dict, "dict", PAIRS)
    inner["array"] = LARGE
    inner["table"] = {"rows": TABLE, "bytes": b"x" * 5000}
    make(mpshm.List, "list", [*NUMBERS, LONG, inner])
    make(mpshm.Set, "set", {1, LONG, (2, 3), None})
    make(mpshm.Deque, "deque", NUMBERS, maxlen=150)
    make(mpshm.Map, "map", {key: str(key) for key in NUMBERS})
    make(mpshm.MultiMap, "multi", [(key % 7, key) for key in NUMBERS])
    make(mpshm.SortedSet, "sorted", ["b", "a", LONG])
    make(mpshm.Vector, "vector", "<i8", NUMBERS)
    make(mpshm.LinkedList, "linked", NUMBERS, allocator=mpshm.NodePool)
    make(mpshm.String, "string", LONG)
    make("<i4", "numbers", [[1, 2], [3, 4]])
    queue = make(mpshm.Queue, "queue")
    for item in NUMBERS[:20]:
        queue.put((item, LONG))
    make(object, "value", (42, LONG))
    make(ctypes.c_double * 2, "array", 1.5, 2.5)
    make(mpshm.Semaphore, "semaphore", 3)
    make(mpshm.Event, "event").set()
    for name in ("Lock", "RLock", "Condition"):
        make(getattr(mpshm, name), name)
    make(mpshm.Barrier, "barrier", 3)
    inner["handle"] = segment.allocate(100)
    segment.view(inner["handle"])[:] = b"r" * 100


def look(segment: ManagedMappedFile) -> None:
    """All of it is as it was made."""
    found = segment["dict"]
    assert {key: found[key] for key in PAIRS} == PAIRS
    assert (found["array"] == LARGE).all()
    assert (found["table"]["rows"] == TABLE).all() and found["table"]["bytes"] == b"x" * 5000
    assert bytes(segment.view(found["handle"])) == b"r" * 100
    assert list(segment["list"])[:-1] == [*NUMBERS, LONG] and segment["list"][-1][1] == "one"
    assert segment["set"] == {1, LONG, (2, 3), None}
    assert list(segment["deque"]) == NUMBERS[-150:] and segment["deque"].maxlen == 150
    assert segment["map"].items() == sorted((key, str(key)) for key in NUMBERS)
    assert sorted(segment["multi"].values()) == sorted(NUMBERS)
    assert list(segment["sorted"]) == sorted(["b", "a", LONG])
    assert segment["vector"].tolist() == NUMBERS
    assert list(segment["linked"]) == NUMBERS
    assert str(segment["string"]) == LONG
    assert segment["numbers"].tolist() == [[1, 2], [3, 4]]
    assert segment["queue"].qsize() == 20
    assert segment["value"].value == (42, LONG)
    assert segment["event"].is_set()
    assert segment["semaphore"].get_value() == 3
    assert segment["barrier"].parties == 3


def use(segment: ManagedMappedFile) -> None:
    """Everything can be changed."""
    assert list(segment.find("array", ctypes.c_double * 2)) == [1.5, 2.5]
    segment["dict"]["new"] = LONG
    segment["dict"].clear()
    segment["map"].update({key: 1 for key in range(-500, 0)})
    for name in ("list", "deque", "linked", "vector"):
        segment[name].append(7)
        assert segment[name].pop() == 7
    assert segment["queue"].get(timeout=10) == (0, LONG)
    for name in ("Lock", "RLock", "Condition", "semaphore"):
        with segment[name]:
            pass
    for name in segment.names():
        segment.destroy(name)


def test_a_segment_of_an_earlier_build(tmp_path):
    """It is read, by readers too, passes the check, can be changed, and gives all its memory back."""
    path = tmp_path / "golden"
    path.write_bytes(lzma.decompress(GOLDEN.read_bytes()))
    path.chmod(0o600)
    with ManagedMappedFile(path, "r") as segment:
        look(segment)
    with ManagedMappedFile(path, "r+") as segment:
        segment.check()
        look(segment)
        use(segment)
        segment.check()


def test_the_next_version_refuses_it(tmp_path):
    """The version is where it always was, so that every other one says what is wrong."""
    path = tmp_path / "golden"
    content = bytearray(lzma.decompress(GOLDEN.read_bytes()))
    place = content.index(VERSION.to_bytes(4, "little"), 0, 64)
    content[place] += 1
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(mpshm.SegmentVersionError):
        ManagedMappedFile(path, "r+")


def main() -> None:
    path = GOLDEN.with_suffix("")
    GOLDEN.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    with ManagedMappedFile(path, "x", size=1 << 16) as segment:
        fill(segment)
        look(segment)
        segment.shrink_to_fit()
    content = path.read_bytes()
    path.unlink()
    GOLDEN.write_bytes(lzma.compress(content, preset=9))
    sys.stdout.write(f"{GOLDEN}: {GOLDEN.stat().st_size} bytes of {len(content)}\n")


if __name__ == "__main__":
    main()
