"""Any sequence of operations leaves the shared queue as it leaves queue.Queue."""

import queue

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, rule
from machines import PLAIN_VALUES, Machine, agree

from mpshm import queues

pytestmark = pytest.mark.once

VALUES = st.one_of(*PLAIN_VALUES, st.integers(0, 20000).map(lambda length: b"v" * length))


class QueueMachine(Machine):
    raised = (queue.Empty, queue.Full, ValueError)
    told = raised

    @initialize(maxsize=st.integers(-1, 12))
    def make(self, maxsize):
        self.model = queue.Queue(maxsize)
        self.shared = self.manager.JoinableQueue(maxsize)
        self.shut = False

    @rule(value=VALUES)
    def put(self, value):
        if self.shut:
            with pytest.raises(queues.ShutDown):
                self.shared.put(value)
        else:
            self.both(lambda q: q.put(value, block=False))

    @rule(values=st.lists(VALUES, max_size=30))
    def put_many(self, values):
        for value in values:
            self.put(value)

    def get(self):
        if self.shut and self.model.empty():
            with pytest.raises(queues.ShutDown):
                self.shared.get()
        else:
            self.both(lambda q: q.get(block=False))

    @rule(count=st.integers(1, 30))
    def get_many(self, count):
        for _ in range(count):
            self.get()

    @rule()
    def task_done(self):
        self.both(lambda q: q.task_done())

    @rule(put=st.booleans())
    def wait_in_vain(self, put):
        if put and self.model.full() and not self.shut:
            self.both(lambda q: q.put(1, timeout=0.001))
        if not put and self.model.empty() and not self.shut:
            self.both(lambda q: q.get(timeout=0.001))

    @rule(immediate=st.booleans(), wish=st.integers(0, 7))
    def shutdown(self, immediate, wish):
        if wish > 0:
            return
        self.shut = True
        self.shared.shutdown(immediate)
        while immediate and not self.model.empty():
            self.model.get()
            if self.model.unfinished_tasks > 0:
                self.model.task_done()

    def look(self):
        self.both(lambda q: (q.qsize(), q.empty(), q.full(), q.unfinished_tasks, q.maxsize))


@pytest.mark.timeout(300)
def test_queue_against_its_model(manager):
    """Same results, same counts, sound segment, and no memory kept."""
    agree(QueueMachine, manager, 60)
