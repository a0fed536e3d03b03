"""What other processes do in the tests of queues; importable by spawned ones, and without pytest."""

import os
import signal
import time

STOP = "stop"


def value_of(producer, n):
    """Item n of a producer: of every size, and the same wherever it is made."""
    kind = n % 7
    if kind == 0:
        return producer, n, None
    if kind == 1:
        return producer, n, b"b" * (n % 300)
    if kind == 2:
        return producer, n, "text" * (n % 50)
    if kind == 3 and n % 3 == 0:
        return producer, n, b"B" * (4000 + n % 9000)
    return producer, n, n * 1.5


def produce(q, producer, count):
    for n in range(count):
        q.put(value_of(producer, n))


def produce_and_exit(q, producer, count):
    """Leave without any cleaning up as soon as the last put has returned."""
    produce(q, producer, count)
    os._exit(0)


def consume(q, out, consumer):
    """Take items until told to stop; say what came, in the order in which it came."""
    seen = []
    while True:
        item = q.get()
        if item == STOP:
            break
        producer, n, _ = item
        assert item == value_of(producer, n)
        seen.append((producer, n))
    out.put((consumer, seen))


def put_for_ever(q, ready, producer):
    ready.put(os.getpid())
    n = 0
    while True:
        q.put(value_of(producer, n))
        n += 1


def get_for_ever(q, ready):
    ready.put(os.getpid())
    while True:
        q.get()


def die_in_get(q, ready):
    ready.put(os.getpid())
    q.get()
    os.kill(os.getpid(), signal.SIGKILL)


def answer(requests):
    """Put each request's answer into the queue that came with it."""
    while True:
        request = requests.get()
        if request == STOP:
            return
        number, back, notes, lock = request
        with lock:
            notes[number] = os.getpid()
        back.put(number * 2)


def work(tasks):
    while True:
        number = tasks.get()
        if number is None:
            tasks.task_done()
            return
        time.sleep(0.001)
        tasks.task_done()


def make_and_return(manager, count):
    """A queue made here, full; this process may be gone when it is read."""
    q = manager.Queue()
    for n in range(count):
        q.put(n)
    return q


def wait_and_tell(q, out, how):
    """Wait for what never comes, until shut down."""
    out.put("ready")
    try:
        q.get() if how == "get" else q.put(1)
    except Exception as error:
        out.put(type(error).__name__)
