"""What the machines have in common that do any sequence of operations to a shared object and to its model."""

import hypothesis
import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test
from memory_use import leaves_nothing

# What is stored, of each kind that is stored in a way of its own.
PLAIN_VALUES = (
    st.integers(-5, 5),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.integers(0, 6000).map(lambda length: "v" * length),
    st.tuples(st.integers(), st.text(max_size=5)),
)


class Machine(RuleBasedStateMachine):
    """Its first rule makes `model` and `shared`; `look` and `look_closely` compare them."""

    manager = None  # set by agree()
    raised: tuple = ()  # what both may raise
    told: tuple = ()  # those of them that must say the same, too

    def __init__(self):
        super().__init__()
        self.steps = 0

    def both(self, action):
        """The action on both: the same result, or the same exception."""
        outcomes = []
        for target in (self.model, self.shared):
            try:
                outcomes.append(("returned", action(target)))
            except self.raised as error:
                outcomes.append(("raised", type(error), error.args if isinstance(error, self.told) else None))
        assert outcomes[0] == outcomes[1]

    def look_closely(self):
        pass

    def teardown(self):
        self.shared = None

    @invariant()
    def same(self):
        if not hasattr(self, "model"):
            return
        self.look()
        self.steps += 1
        if self.steps % 10 == 0:
            self.look_closely()
            self.manager.segment.check()


def agree(machine, manager, examples):
    """Runs so many sequences of operations: all agree, the segment is sound, and no memory is kept."""
    machine.manager = manager
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with leaves_nothing(manager):
        run_state_machine_as_test(machine, settings=settings)
