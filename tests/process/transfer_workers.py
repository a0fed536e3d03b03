"""What workers do with arrays that came by reference; importable by spawned ones."""

import os
import signal
import time
from dataclasses import dataclass, field

import numpy as np

import mpshm

SIZE = 20_000  # of float64


@dataclass
class Parcel:
    array: np.ndarray
    more: dict = field(default_factory=dict)


class RefusalError(Exception):
    """Carries what was refused."""


def is_shared(array):
    """Whether an array lies on mapped pages."""
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return type(getattr(base, "obj", base)).__name__ == "Pages"


def made(number):
    return np.full(SIZE, float(number))


def change(array):
    """Write into what came; return how it came, and itself."""
    shared = is_shared(array)
    array += 1
    return shared, array


def pack(number):
    return Parcel(made(number), {"twice": [made(number), made(number)]})


def refuse(array):
    raise RefusalError(is_shared(array), array)


def wait(array, seconds=0.05):
    time.sleep(seconds)
    return array


def die(array):
    time.sleep(0.2)  # until others wait behind it
    os.kill(os.getpid(), signal.SIGKILL)


def answer(array, queue):
    """Of a process: put how it came, and itself."""
    queue.put(change(array))


def relay(context_name, queue):
    """Start a process of its own, which was told of the segment by this one."""
    child = mpshm.get_context(context_name).Process(target=answer, args=(made(1), queue))
    child.start()
    child.join(60)


def begin_and_ask(number):
    """As a process that begins by itself: send something to a pool of its own, and get something from there."""
    with mpshm.share_arrays(), mpshm.get_context("fork").Pool(1) as pool:
        shared, array = pool.apply(change, (made(number),))
        return shared, is_shared(array), array


def ask(number, queue):
    queue.put(begin_and_ask(number))
