"""What other processes do in the tests of contexts; importable by spawned ones."""

import os
import signal

given = []


def use(lock, event, answers, value):
    """Use one of each."""
    with lock:
        value.value += 1
    event.set()
    answers.put("done")


def begin(*objects):
    given[:] = objects


def add(n):
    """Add under the lock that the initializer was given."""
    lock, value = given
    with lock:
        value.value += n
    return n


def die():
    os.kill(os.getpid(), signal.SIGKILL)
