"""What other processes do in the tests of shared arrays; importable by spawned ones, and without pytest."""

import os
import time

import numpy as np

import mpshm

RECORDS = np.dtype([("a", "<i4"), ("b", "f8", (2,)), ("c", "S3")])


def views(array, records):
    """Views of every kind on an array of 4 by 6 and one of 3 records; no two overlap."""
    return {
        "slice": array[:1, 1:3],
        "backwards": array[1, ::-2],
        "transposed": array[2:].T[:2],
        "reshaped": array[2:, 2:4].reshape(2, 1, 2, 1),
        "dtype": array[3:, 4:].view("i4"),
        "0-d": array[0, 5, ...],
        "nothing": array[4:],
        "field": records["b"][:, 1],
        "fields": records[["a", "c"]],
    }


def fill(given, private, results):
    """Write into each view, and into what is nobody else's; say what they are."""
    for number, view in enumerate(given.values()):
        assert isinstance(view, mpshm.SharedArray) and view.segment is not None
        if view.dtype.names:
            view["a"] = number
        else:
            view[...] = number
    assert type(private) is np.ndarray
    private += 1
    results.put({name: (view.dtype, view.shape) for name, view in given.items()})


def part_of(array, number):
    """Fill a row, and return a view on it."""
    array[number] = number
    return array[number, ::2]


def made_here(manager, number):
    """An array that the worker makes, and a view on one."""
    made = manager.ndarray((100, 100), "i4", fill=number)
    return made[number:].T


def hold(array, ready):
    """Have an array until killed."""
    ready.put(array[1:].sum())
    time.sleep(60)


def make_and_send(manager, ready):
    """Make arrays, send a view on one, and hold on until killed."""
    arrays = [manager.ndarray(200_000, "u1", fill=n) for n in range(1, 4)]
    ready.put(arrays[1][1000:])
    time.sleep(60)


def churn(manager, array, ready):
    """Make, fill, move in and drop arrays, and write into a common one, until killed."""
    ready.put(os.getpid())
    sizes = np.random.default_rng(os.getpid()).integers(1, 300_000, 1000)
    while True:
        for size in sizes:
            manager.ndarray(int(size), "u1", fill=1)
            box = mpshm.asarray(np.ones(int(size) // 8), manager=manager)
            array += 1
            del box
