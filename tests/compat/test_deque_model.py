"""Any sequence of operations leaves the shared deque as it leaves collections.deque."""

import collections

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, rule
from machines import PLAIN_VALUES, Machine, agree

pytestmark = pytest.mark.once

VALUES = st.one_of(*PLAIN_VALUES)
PLACES = st.integers(-40, 40)
SIDES = st.sampled_from(["", "left"])


class DequeMachine(Machine):
    raised = (IndexError, ValueError, TypeError)
    told = (IndexError,)

    @initialize(content=st.lists(VALUES, max_size=20), maxlen=st.one_of(st.none(), st.integers(0, 30)))
    def make(self, content, maxlen):
        self.model = collections.deque(content, maxlen)
        self.shared = self.manager.deque(content, maxlen)

    @rule(place=PLACES)
    def get(self, place):
        self.both(lambda x: x[place])

    @rule(place=PLACES, value=VALUES)
    def put(self, place, value):
        self.both(lambda x: x.__setitem__(place, value))

    @rule(place=PLACES)
    def delete(self, place):
        self.both(lambda x: x.__delitem__(place))

    @rule(value=VALUES, side=SIDES)
    def append(self, value, side):
        self.both(lambda x: getattr(x, f"append{side}")(value))

    @rule(side=SIDES, times=st.integers(1, 12))
    def pop(self, side, times):
        for _ in range(times):
            self.both(lambda x: getattr(x, f"pop{side}")())

    @rule(values=st.lists(VALUES, max_size=30), side=SIDES)
    def extend(self, values, side):
        self.both(lambda x: getattr(x, f"extend{side}")(values))

    @rule(side=SIDES)
    def extend_by_itself(self, side):
        if len(self.model) < 300:
            self.both(lambda x: getattr(x, f"extend{side}")(x))

    @rule(start=st.integers(0, 1000), count=st.integers(0, 300), side=SIDES)
    def fill(self, start, count, side):
        self.both(lambda x: getattr(x, f"extend{side}")(range(start, start + count)))

    @rule(places=st.integers(-400, 400))
    def rotate(self, places):
        self.both(lambda x: x.rotate(places))

    @rule(place=PLACES, value=VALUES)
    def insert(self, place, value):
        self.both(lambda x: x.insert(place, value))

    @rule(value=VALUES)
    def search(self, value):
        self.both(lambda x: (x.count(value), value in x))
        self.both(lambda x: x.index(value))

    @rule(data=st.data(), start=PLACES, stop=PLACES)
    def search_one_there(self, data, start, stop):
        if self.model:
            value = data.draw(st.sampled_from(list(self.model)))
            self.both(lambda x: (x.count(value), x.index(value)))
            self.both(lambda x: x.index(value, start, stop))
            self.both(lambda x: x.remove(value))

    @rule(times=st.integers(-1, 3))
    def multiply(self, times):
        if len(self.model) < 300:
            self.both(lambda x: x * times)
            self.model *= times
            self.shared *= times

    @rule()
    def reverse(self):
        self.both(lambda x: x.reverse())

    @rule(values=st.lists(st.integers(), max_size=4))
    def operators(self, values):
        values = collections.deque(values)
        self.both(lambda x: (x + values, values + x, x == values, x != values))
        self.both(lambda x: (x < values, x >= values))

    @rule()
    def clear(self):
        self.both(lambda x: x.clear())

    def look(self):
        assert len(self.shared) == len(self.model)
        assert list(self.shared) == list(self.model)

    def look_closely(self):
        assert self.shared == self.model and self.shared.maxlen == self.model.maxlen
        assert list(reversed(self.shared)) == list(reversed(self.model))


@pytest.mark.timeout(300)
def test_deque_against_its_model(manager):
    """Same results, same content, sound segment, and no memory kept."""
    agree(DequeMachine, manager, 60)
