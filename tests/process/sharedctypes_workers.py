"""What other processes do in the tests of sharedctypes; importable by spawned ones, and without pytest."""

import array
import ctypes
import os
import signal

from mpshm import sharedctypes


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]


KINDS = {
    "RawValue": lambda: sharedctypes.RawValue("i", 1),
    "RawArray": lambda: sharedctypes.RawArray("d", [1, 2, 3]),
    "grid": lambda: sharedctypes.RawArray(ctypes.c_short * 3, 4),
    "structure": lambda: sharedctypes.RawValue(Point, 1, 2),
    "Value": lambda: sharedctypes.Value("q", 1),
    "Array": lambda: sharedctypes.Array("f", [1, 2, 3]),
    "string": lambda: sharedctypes.Array("c", b"text"),
    "Synchronized structure": lambda: sharedctypes.Value(Point, 1, 2),
}


def raw_of(obj):
    """The ctypes object, without its lock."""
    return obj.get_obj() if hasattr(obj, "get_obj") else obj


def put(obj, text):
    """Leave a text in the first bytes of an object of any kind."""
    ctypes.memset(ctypes.addressof(raw_of(obj)), ord(text[0]), ctypes.sizeof(raw_of(obj)))


def take(obj):
    """The letter that `put` left."""
    found = set(bytes(raw_of(obj)))
    assert len(found) == 1
    return chr(found.pop())


def put_and_return(obj, text):
    put(obj, text)
    return obj


def serve(inbox, outbox):
    """Put a letter into each object that comes, and send it back; until None comes."""
    while (obj := inbox.get()) is not None:
        put(obj, "s")
        outbox.put(obj)


def make(name):
    """A new object in this process's own default segment."""
    obj = KINDS[name]()
    put(obj, "m")
    return obj


def add_many(value, times):
    for _ in range(times):
        value.add(1)


def add_many_to_items(shared, times):
    for i in range(times):
        shared.add(i % len(shared), 1)


def hold_many(value, times):
    """Read and write in two steps, under the lock."""
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def hold_items_many(shared, times):
    for i in range(times):
        with shared.get_lock():
            shared[i % len(shared)] += 1


def add_for_ever(value, counted):
    """Count every addition beside it, too."""
    while True:
        value.add(1)
        counted.value += 1


def hold_for_ever(value, pipe):
    """Take the lock twice and keep it."""
    value.get_lock().acquire()
    value.get_lock().acquire()
    value.get_obj().value += 1
    pipe.send(os.getpid())
    signal.pause()


def add_when_told(value, pipe):
    """Add once, then wait."""
    value.add(0)
    pipe.send("there")
    pipe.recv()


def hold_until_told(value, pipe):
    with value.get_lock():
        pipe.send("held")
        pipe.recv()


def fill_array(shared, number, times):
    """Set all items to one number, again and again, in one step each."""
    ours = array.array(shared.typecode, [number]) * len(shared)
    for _ in range(times):
        shared[:] = ours


def fill_array_for_ever(shared, number):
    while True:
        fill_array(shared, number, 100)
