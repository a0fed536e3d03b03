"""What other processes do in the tests of names; importable by spawned ones, and without pytest."""

import ctypes
import os
import pickle
import signal

import mpshm
from mpshm import _types

LENGTH = 500


class Node(ctypes.Structure):
    """An item of a linked list."""

    _fields_ = (("value", ctypes.c_int), ("next", mpshm.OffsetPtr))


class Point(ctypes.Structure):
    """A structure of a user's."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def race(segment, name, how, go, results):
    """Construct what others construct at the same moment; say who made what is found."""
    os.read(go, 1)
    pid = os.getpid()
    won = False
    if how == "construct":
        try:
            segment.construct(mpshm.List, name, [pid] * LENGTH)
            won = True
        except mpshm.SegmentExistsError:
            pass
        found = segment[name]
    else:
        found = segment.find_or_construct(mpshm.List, name, [pid] * LENGTH)
    items = list(found)
    os.write(
        results, f"{pid} {int(won)} {segment.handle_of(found)} {len(items)} {items[0]} {len(set(items))}\n".encode()
    )


def construct_and_destroy(segment, names, rounds):
    """Make and destroy the same names as others do."""
    for i in range(rounds):
        name = names[i % len(names)]
        segment.find_or_construct(mpshm.List, name, [name] * 20)
        found = segment.find(name)
        assert found is None or list(found) in ([], [name] * 20)
        segment.destroy(name)


def use_all(segment):
    """Find each kind of object by name, and change it."""
    assert set(segment.names()) >= {"dict", "array", "point", "value", "lock"}
    segment["dict"]["child"] = os.getpid()
    array = segment.find("array", "i8")
    array[1:] += 10
    segment.find("point", Point).y = 5
    segment["value"].value = "seen"
    with segment["lock"]:
        segment.construct(mpshm.List, "from child", [os.getpid()])
    handle = segment.allocate(100)
    segment.view(handle)[:5] = b"child"
    segment["dict"]["handle"] = handle
    segment.destroy("gone")


def use_objects(array, point_ref, handle):
    """Handed over by themselves."""
    array[0] = 77
    point_ref().x = 78
    array._memory._segment.view(handle)[:3] = b"abc"


def base_of(segment):
    return _types.range_of(segment._pointer)[0]


def walk(pickled, box):
    """Walk a linked list at another address: other segments take the one that it might have got."""
    others = [mpshm.AnonymousSegment() for _ in range(3)]
    segment = pickle.loads(pickled)
    seen, node = [], segment.find("first", Node)
    while node is not None:
        seen.append(node.value)
        node.value += 100
        node = node.next.get(Node)
    box["seen"] = seen
    box["base"] = base_of(segment)
    assert others


def die_in_atomic(segment, ready):
    with segment.atomic():
        segment.construct(mpshm.Lock, "made in atomic")
        ready.set()
        die()


def hold_view(segment, handle, ready):
    view = segment.view(handle)
    view[:4] = b"held"
    ready.set()
    signal.pause()


def allocate_and_die(segment, d):
    d["handles"] = segment.allocate_many([100] * 50)
    segment.construct(mpshm.List, "left", [1])
    segment.construct(mpshm.List, None, [2])
    die()


def ask_weak(weak, d):
    found = weak()
    d["there"] = found is not None and list(found) == [1]


def take(queue, d):
    d["taken"] = queue.get(timeout=40)
