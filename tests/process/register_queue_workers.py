"""What other processes do in the tests of registered queues; importable by spawned ones."""

from mpshm.managers import BaseManager


class Client(BaseManager):
    pass


Client.register("get_queue")


def answer(address):
    """Connect by the address, take what is asked, and put the answer."""
    manager = Client(address=address, authkey=b"abracadabra")
    manager.connect()
    found = manager.get_queue()
    found.put((found.get(timeout=30), found.get(timeout=30)))


def set_and_put(event, answers, lock, shared):
    with lock:
        shared["a"] += 1
    answers.put("done")
    event.set()
