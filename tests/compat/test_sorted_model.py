"""Any sequence of operations leaves a sorted container as it leaves a sorted list or dict of Python's."""

import bisect
import operator

import hypothesis
import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mpshm import sorted as ordered

pytestmark = pytest.mark.once

NUMBERS = st.one_of(
    st.integers(-5, 30),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.sampled_from([2**53 + 1, 2.0**53, 2**63, 2.0**63, -(2**63), 2**64 - 1, 2.0**64, 10**30, 1e30, -0.0, 1e308]),
)
TEXTS = st.one_of(
    st.text(alphabet=st.characters(), max_size=20),
    st.text(alphabet="ab\x80\xff\u0100\ud800\uffff\U00010000", max_size=18),
)
BYTES = st.binary(max_size=20)
TUPLES = st.tuples(NUMBERS, st.tuples(TEXTS, BYTES))
KINDS = {"numbers": NUMBERS, "texts": TEXTS, "bytes": BYTES, "tuples": TUPLES}
VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=40), st.binary(max_size=100), st.lists(st.integers()))


def outcome(action):
    """What it gives, or the exception it raises."""
    try:
        return "returned", action()
    except (KeyError, IndexError, ValueError) as error:
        return "raised", type(error)


def in_range(keys, low, high, inclusive):
    above = {None: lambda k: True, True: lambda k: k >= low, False: lambda k: k > low}
    below = {None: lambda k: True, True: lambda k: k <= high, False: lambda k: k < high}
    first = above[None if low is None else inclusive[0]]
    second = below[None if high is None else inclusive[1]]
    return [key for key in keys if first(key) and second(key)]


def machine(keys, made_in):
    class MapMachine(RuleBasedStateMachine):
        """A Map beside a dict whose keys are sorted to look at it."""

        @initialize(content=st.dictionaries(keys, VALUES, max_size=150))
        def make(self, content):
            self.model = dict(content)
            self.shared = made_in().map(content)

        def order(self):
            return sorted(self.model)

        @rule(key=keys, value=VALUES)
        def put(self, key, value):
            self.model[key] = value
            self.shared[key] = value

        @rule(key=keys)
        def look(self, key):
            order = self.order()
            assert (key in self.shared) == (key in self.model)
            assert self.shared.get(key) == self.model.get(key)
            assert self.shared.bisect_left(key) == bisect.bisect_left(order, key)
            assert self.shared.bisect_right(key) == bisect.bisect_right(order, key)
            assert outcome(lambda: self.shared.index(key)) == outcome(lambda: order.index(key))

        @rule(key=keys, value=VALUES)
        def setdefault(self, key, value):
            assert self.shared.setdefault(key, value) == self.model.setdefault(key, value)

        @rule(key=keys)
        def delete(self, key):
            assert outcome(lambda: self.shared.pop(key)) == outcome(lambda: self.model.pop(key))

        @rule(index=st.integers(-200, 200))
        def popitem(self, index):
            order = self.order()
            expected = outcome(lambda: (order[index], self.model[order[index]]))
            assert outcome(lambda: self.shared.peekitem(index)) == expected
            if self.model:
                assert outcome(lambda: self.shared.popitem(index)) == expected
            if expected[0] == "returned":
                del self.model[order[index]]

        @rule(content=st.dictionaries(keys, VALUES, max_size=100))
        def update(self, content):
            self.model.update(content)
            self.shared |= content

        @rule(bounds=st.tuples(keys, keys), inclusive=st.tuples(st.booleans(), st.booleans()), reverse=st.booleans())
        def ranges(self, bounds, inclusive, reverse):
            for low, high in (bounds, (None, bounds[1]), (bounds[0], None)):
                found = list(self.shared.irange(low, high, inclusive, reverse))
                expected = in_range(self.order(), low, high, inclusive)
                assert found == (expected[::-1] if reverse else expected)

        @rule(start=st.integers(-150, 150), stop=st.integers(-150, 150), reverse=st.booleans())
        def slices(self, start, stop, reverse):
            expected = self.order()[start:stop]
            assert list(self.shared.islice(start, stop, reverse)) == (expected[::-1] if reverse else expected)

        @rule()
        def clear(self):
            self.model.clear()
            self.shared.clear()

        @invariant()
        def the_same(self):
            if not hasattr(self, "shared"):
                return
            order = self.order()
            assert len(self.shared) == len(order)
            assert self.shared.keys() == list(self.shared) == order
            assert [(type(key), repr(key)) for key in self.shared] == [(type(key), repr(key)) for key in order]
            assert list(reversed(self.shared)) == order[::-1]
            assert self.shared.items() == [(key, self.model[key]) for key in order]
            assert self.shared == self.model

    return MapMachine


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_map(manager, kind):
    """Whatever is done to a Map, keys come in Python's own order, and the first of equal keys stays."""
    hypothesis.stateful.run_state_machine_as_test(
        machine(KINDS[kind], lambda: manager),
        settings=hypothesis.settings(max_examples=25, stateful_step_count=25, deadline=None),
    )
    manager.segment.check()


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(data=st.data())
def test_multimap(data):
    """Items of equal keys stand in the order in which they came."""
    keys = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    pairs = data.draw(st.lists(st.tuples(keys, st.integers(0, 3)), max_size=150))
    made = ordered.MultiMap(pairs)
    model = sorted(pairs, key=lambda pair: pair[0])
    assert made.items() == model
    assert made.keys() == [key for key, _ in model]
    for key, value in data.draw(st.lists(st.sampled_from(pairs), max_size=20)) if pairs else []:
        mine = [v for k, v in model if k == key]
        assert made.getall(key) == mine
        assert made.count(key) == len(mine)
        first, end = made.equal_range(key)
        assert [k for k, _ in model[first:end]] == [key] * len(mine)
        assert made.get(key) == (mine[0] if mine else None)
        if data.draw(st.booleans()):
            there = (key, value) in model
            assert outcome(lambda k=key, v=value: made.remove(k, v))[0] == ("returned" if there else "raised")
            if there:
                model.remove((key, value))
        elif mine:
            assert made.pop(key) == mine[0]
            del model[first]
        assert made.items() == model


@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(data=st.data())
def test_sorted_set(data):
    """A SortedSet is a set whose keys have places."""
    keys = KINDS[data.draw(st.sampled_from(sorted(KINDS)))]
    first, second = data.draw(st.sets(keys, max_size=200)), data.draw(st.sets(keys, max_size=200))
    made = ordered.SortedSet(first)
    assert list(made) == sorted(first)
    assert made == first
    assert made | second == first | second
    assert made & second == first & second
    assert made - second == first - second
    assert second - made == second - first
    assert made ^ second == first ^ second
    assert (made <= second) == (first <= second)
    changes = [operator.ior, operator.iand, operator.isub, operator.ixor]
    for change in data.draw(st.lists(st.sampled_from(changes), max_size=4)):
        assert change(made, second) is made
        first = change(first, second)
        assert list(made) == sorted(first)
    order = sorted(first)
    start, stop = data.draw(st.integers(-200, 200)), data.draw(st.integers(-200, 200))
    assert made[start:stop] == order[start:stop]
    assert made[start:stop:3] == order[start:stop:3]
    assert outcome(lambda: made[start]) == outcome(lambda: order[start])
    assert outcome(lambda: made.pop(start)) == outcome(lambda: order.pop(start))
    assert made[:] == order
