"""Any sequence of operations leaves the shared dict as it leaves a builtin one."""

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, rule
from machines import Machine, agree

pytestmark = pytest.mark.once

SIMPLE_KEYS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([True, False, 1.0, -0.0, 2.0, 0.5, 2**63, 2.0**63, -1, -2, 2**70, None, "", b"", ()]),
    st.text(alphabet=st.characters(), max_size=20),
    st.binary(max_size=20),
)
KEYS = st.one_of(
    SIMPLE_KEYS,
    st.tuples(SIMPLE_KEYS, SIMPLE_KEYS),
    st.frozensets(st.integers(0, 5), max_size=3),
    st.integers(),
)
SIMPLE_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.binary(max_size=40),
    st.integers(0, 6000).map(lambda length: "v" * length),
)
VALUES = st.one_of(SIMPLE_VALUES, st.lists(SIMPLE_VALUES, max_size=3), st.tuples(SIMPLE_VALUES, SIMPLE_VALUES))


class DictMachine(Machine):
    raised = (KeyError, TypeError)
    told = (KeyError,)

    @initialize(content=st.dictionaries(KEYS, VALUES, max_size=10))
    def make(self, content):
        self.model = dict(content)
        self.shared = self.manager.dict(content)

    @rule(key=KEYS, value=VALUES)
    def put(self, key, value):
        self.both(lambda d: d.__setitem__(key, value))

    @rule(key=KEYS)
    def get(self, key):
        self.both(lambda d: (d.get(key), d.get(key, 5), key in d))
        self.both(lambda d: d[key])

    @rule(key=KEYS)
    def delete(self, key):
        self.both(lambda d: d.__delitem__(key))

    @rule(key=KEYS, default=VALUES, with_default=st.booleans())
    def pop(self, key, default, with_default):
        self.both(lambda d: d.pop(key, default) if with_default else d.pop(key))

    @rule(data=st.data())
    def delete_one_there(self, data):
        if self.model:
            key = data.draw(st.sampled_from(list(self.model)))
            self.both(lambda d: d.pop(key))

    @rule()
    def popitem(self):
        self.both(lambda d: d.popitem() if len(d) else None)

    @rule(key=KEYS, default=VALUES)
    def setdefault(self, key, default):
        self.both(lambda d: d.setdefault(key, default))

    @rule(content=st.dictionaries(KEYS, VALUES, max_size=8), form=st.sampled_from(["mapping", "pairs", "or"]))
    def update(self, content, form):
        if form == "mapping":
            self.both(lambda d: d.update(content))
        elif form == "pairs":
            self.both(lambda d: d.update(iter(content.items())))
        else:
            self.shared |= content
            self.model |= content

    @rule(content=st.dictionaries(KEYS, VALUES, max_size=4))
    def operators(self, content):
        self.both(lambda d: (list((d | content).items()), list((content | d).items()), d == content, d != content))

    @rule(start=st.integers(0, 1000), count=st.integers(0, 150))
    def fill(self, start, count):
        self.both(lambda d: d.update((number, str(number)) for number in range(start, start + count)))

    @rule(step=st.integers(1, 5))
    def thin_out(self, step):
        for key in list(self.model)[::step]:
            self.both(lambda d, key=key: d.pop(key))

    @rule()
    def clear(self):
        self.both(lambda d: d.clear())

    @rule(key=KEYS, n=st.integers())
    def incr(self, key, n):
        old = self.model.get(key, 0)
        if isinstance(old, int) and not isinstance(old, bool):
            self.model[key] = old + n
            assert self.shared.incr(key, n) == old + n

    @rule(key=KEYS, new=VALUES)
    def compute(self, key, new):
        seen = []
        self.shared.compute(key, lambda old: (seen.append(old), new)[1], "absent")
        assert seen == [self.model.get(key, "absent")]
        self.model[key] = new

    @rule(key=KEYS, new=VALUES, right=st.booleans())
    def compare_exchange(self, key, new, right):
        if key in self.model:
            expected = self.model[key] if right else "something else"
            assert self.shared.compare_exchange(key, expected, new) is right
            if right:
                self.model[key] = new

    def look(self):
        assert len(self.shared) == len(self.model)
        assert self.shared.items() == list(self.model.items())
        assert list(reversed(self.shared)) == list(reversed(self.model))

    def look_closely(self):
        assert self.shared == self.model


@pytest.mark.timeout(300)
def test_dict_against_its_model(manager):
    """Same results, same content, same order, sound segment, and no memory kept."""
    agree(DictMachine, manager, 60)
