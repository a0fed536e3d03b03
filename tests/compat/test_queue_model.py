"""Any sequence of operations leaves the shared queue as it leaves queue.Queue."""

import queue

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from memory_use import leaves_nothing

from mpshm import queues

pytestmark = pytest.mark.once

VALUES = st.one_of(
    st.integers(-5, 5),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.integers(0, 6000).map(lambda length: "v" * length),
    st.integers(0, 20000).map(lambda length: b"v" * length),
    st.tuples(st.integers(), st.text(max_size=5)),
)


class QueueMachine(RuleBasedStateMachine):
    manager = None  # set by the test

    def __init__(self):
        super().__init__()
        self.steps = 0

    @initialize(maxsize=st.integers(-1, 12))
    def make(self, maxsize):
        self.model = queue.Queue(maxsize)
        self.shared = self.manager.JoinableQueue(maxsize)
        self.shut = False

    def both(self, action):
        """The action on both: the same result, or the same exception."""
        outcomes = []
        for target in (self.model, self.shared):
            try:
                outcomes.append(("returned", action(target)))
            except (queue.Empty, queue.Full, ValueError) as error:
                outcomes.append(("raised", type(error), str(error)))
        assert outcomes[0] == outcomes[1]

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

    def teardown(self):
        self.shared = None

    @invariant()
    def same(self):
        if not hasattr(self, "model"):
            return
        self.both(lambda q: (q.qsize(), q.empty(), q.full(), q.unfinished_tasks, q.maxsize))
        self.steps += 1
        if self.steps % 10 == 0:
            self.manager.segment.check()


@pytest.mark.timeout(300)
def test_queue_against_its_model(manager):
    """Same results, same counts, sound segment, and no memory kept."""
    QueueMachine.manager = manager
    settings = hypothesis.settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with leaves_nothing(manager):
        hypothesis.stateful.run_state_machine_as_test(QueueMachine, settings=settings)
