"""Any sequence of operations leaves the shared list as it leaves a builtin one."""

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, rule
from machines import PLAIN_VALUES, Machine, agree

pytestmark = pytest.mark.once

VALUES = st.one_of(*PLAIN_VALUES)
PLACES = st.integers(-40, 40)
BOUNDS = st.one_of(st.none(), PLACES)
SLICES = st.builds(slice, BOUNDS, BOUNDS, st.one_of(st.none(), st.integers(-4, 4)))


class ListMachine(Machine):
    raised = (IndexError, ValueError, TypeError)
    told = (IndexError,)

    @initialize(content=st.lists(VALUES, max_size=20))
    def make(self, content):
        self.model = list(content)
        self.shared = self.manager.list(content)

    @rule(place=PLACES)
    def get(self, place):
        self.both(lambda x: x[place])

    @rule(place=PLACES, value=VALUES)
    def put(self, place, value):
        self.both(lambda x: x.__setitem__(place, value))

    @rule(place=PLACES)
    def delete(self, place):
        self.both(lambda x: x.__delitem__(place))

    @rule(value=VALUES)
    def append(self, value):
        self.both(lambda x: x.append(value))

    @rule(place=PLACES, value=VALUES)
    def insert(self, place, value):
        self.both(lambda x: x.insert(place, value))

    @rule(values=st.lists(VALUES, max_size=30), form=st.sampled_from(["list", "iterator", "+=", "itself"]))
    def extend(self, values, form):
        if form == "+=":
            self.model += values
            self.shared += values
        elif form == "itself" and len(self.model) < 500:
            self.both(lambda x: x.extend(x))
        else:
            self.both(lambda x: x.extend(iter(values) if form == "iterator" else values))

    @rule(place=PLACES)
    def pop(self, place):
        self.both(lambda x: x.pop(place))

    @rule()
    def pop_last(self):
        self.both(lambda x: x.pop())

    @rule(value=VALUES)
    def search(self, value):
        self.both(lambda x: (x.count(value), value in x))
        self.both(lambda x: x.index(value))

    @rule(data=st.data(), start=PLACES, stop=PLACES)
    def search_one_there(self, data, start, stop):
        if self.model:
            value = data.draw(st.sampled_from(self.model))
            self.both(lambda x: (x.count(value), x.index(value)))
            self.both(lambda x: x.index(value, start, stop))
            self.both(lambda x: x.remove(value))

    @rule(part=SLICES)
    def get_slice(self, part):
        self.both(lambda x: x[part])

    @rule(part=SLICES, values=st.lists(VALUES, max_size=10))
    def put_slice(self, part, values):
        self.both(lambda x: x.__setitem__(part, values))

    @rule(part=SLICES, values=st.lists(VALUES, min_size=40, max_size=40))
    def put_slice_of_the_right_size(self, part, values):
        size = len(range(*part.indices(len(self.model)))) if part.step != 0 else 0
        self.both(lambda x: x.__setitem__(part, values[:size]))

    @rule(part=SLICES)
    def delete_slice(self, part):
        self.both(lambda x: x.__delitem__(part))

    @rule(times=st.integers(-1, 3))
    def multiply(self, times):
        if len(self.model) < 300:
            self.both(lambda x: x * times)
            self.model *= times
            self.shared *= times

    @rule()
    def reverse(self):
        self.both(lambda x: x.reverse())

    @rule(reverse=st.booleans())
    def sort(self, reverse):
        self.both(lambda x: x.sort(key=repr, reverse=reverse))

    @rule()
    def sort_what_may_not_compare(self):
        try:
            self.model.sort()
        except TypeError:
            with pytest.raises(TypeError):
                self.shared.sort()
            self.shared[:] = self.model
        else:
            self.shared.sort()

    @rule(start=st.integers(0, 1000), count=st.integers(0, 300))
    def fill(self, start, count):
        self.both(lambda x: x.extend(range(start, start + count)))

    @rule(values=st.lists(st.integers(), max_size=4))
    def operators(self, values):
        self.both(lambda x: (x + values, values + x, x == values, x != values))
        self.both(lambda x: (x < values, x >= values))

    @rule()
    def clear(self):
        self.both(lambda x: x.clear())

    def look(self):
        assert len(self.shared) == len(self.model)
        assert self.shared[:] == self.model

    def look_closely(self):
        assert list(self.shared) == self.model == self.shared
        assert list(reversed(self.shared)) == self.model[::-1]


@pytest.mark.timeout(300)
def test_list_against_its_model(manager):
    """Same results, same content, sound segment, and no memory kept."""
    agree(ListMachine, manager, 60)
