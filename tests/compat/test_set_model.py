"""Any sequence of operations leaves the shared set as it leaves a builtin one."""

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, rule
from machines import Machine, agree

pytestmark = pytest.mark.once

KEYS = st.one_of(
    st.integers(-8, 8),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=30),
    st.binary(max_size=30),
    st.integers(0, 5000).map(lambda length: "k" * length),
    st.tuples(st.integers(-3, 3), st.text(max_size=2)),
    st.frozensets(st.integers(0, 3), max_size=2),
)
MANY = st.one_of(
    st.lists(KEYS, max_size=20), st.tuples(st.integers(0, 200), st.integers(0, 300)).map(lambda ends: range(*ends))
)


class SetMachine(Machine):
    raised = (KeyError, TypeError)
    told = raised

    @initialize(content=MANY)
    def make(self, content):
        self.model = set(content)
        self.shared = self.manager.set(content)

    @rule(key=KEYS)
    def add(self, key):
        self.both(lambda x: x.add(key))

    @rule(key=KEYS)
    def take_out(self, key):
        self.both(lambda x: x.remove(key))
        self.both(lambda x: x.discard(key))

    @rule(data=st.data())
    def take_out_one_there(self, data):
        if self.model:
            key = data.draw(st.sampled_from(sorted(self.model, key=repr)))
            self.both(lambda x: (key in x, x.remove(key), key in x))

    @rule()
    def pop(self):
        if self.shared:
            self.model.remove(self.shared.pop())
        else:
            self.both(lambda x: x.pop())

    @rule(key=KEYS)
    def contains(self, key):
        self.both(lambda x: (key in x, {1, 2} in x))

    @rule(others=st.lists(MANY, max_size=3), how=st.sampled_from(["", "intersection_", "difference_"]))
    def update(self, others, how):
        self.both(lambda x: getattr(x, how + "update")(*others))

    @rule(other=MANY)
    def toggle(self, other):
        self.both(lambda x: x.symmetric_difference_update(other))

    @rule(other=MANY, how=st.sampled_from("|&-^"), kind=st.sampled_from([set, frozenset, "shared"]))
    def in_place(self, other, how, kind):
        theirs = self.manager.set(other) if kind == "shared" else kind(other)
        other, before = set(other), set(self.model)
        if how == "|":
            self.model |= other
            self.shared |= theirs
        elif how == "&":
            self.model &= other
            self.shared &= theirs
            # Which of two equal keys stays (0, False, -0.0) is the builtin's own affair here: it goes by the sizes.
            self.model.clear()
            self.model.update(self.shared)
            assert self.model == before & other
        elif how == "-":
            self.model -= other
            self.shared -= theirs
        else:
            self.model ^= other
            self.shared ^= theirs

    @rule(other=MANY)
    def operators(self, other):
        other = set(other)
        self.both(lambda x: (x | other, x & other, x - other, x ^ other, other - x))
        self.both(lambda x: (x < other, x <= other, x > other, x >= other, x == other, x.isdisjoint(other)))

    @rule()
    def clear(self):
        self.both(lambda x: x.clear())

    def look(self):
        assert len(self.shared) == len(self.model)
        assert self.shared == self.model

    def look_closely(self):
        assert set(self.shared) == self.model


@pytest.mark.timeout(300)
def test_set_against_its_model(manager):
    """Same results, same content, sound segment, and no memory kept."""
    agree(SetMachine, manager, 50)
