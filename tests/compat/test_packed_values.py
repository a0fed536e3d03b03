"""Containers of plain values are stored packed: what comes back is what a pickle would give back."""

import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.text(st.characters(max_codepoint=255)),
    st.binary(),
)
HASHABLE = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)
NESTED = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(HASHABLE, inner),
        st.sets(HASHABLE),
    ),
)


def same(a, b):
    """Equal, and of the same types all the way down (1 == 1.0 == True, and -0.0 == 0.0)."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return repr(a) == repr(b) if isinstance(a, float) else a == b


@given(value=NESTED)
def test_comes_back_as_it_was(manager, value):
    """Whatever is nested how deeply, values and types are those that were put in, in a dict, a list and a Value."""
    d, one = manager.dict(), manager.Value("O", None)
    d["k"] = value
    one.value = value
    items = manager.list([value])
    for got in (d["k"], d.copy()["k"], items[0], one.value):
        assert same(got, value)


@pytest.mark.parametrize("size", [0, 1, 2, 254, 255, 256, 257, 5000, 70_000])
def test_any_length(manager, size):
    """Texts, bytes and containers of every length: around the limits of one byte, and beyond what is packed."""
    for value in (
        ["x" * size],
        ["é" * size],
        ["€" * size, "𝄞" * size],
        [b"x" * size],
        list(range(size)),
        tuple([None] * size),
        dict.fromkeys(range(size)),
        set(range(size)),
        (list(range(size)), {"a": {"b": [1.5] * size}}),
    ):
        stored = manager.list([value])
        assert same(stored[0], value)


def test_what_is_in_it_twice_is_one_object():
    """A list that is in another twice comes back as one list, as from a pickle; so does a ring."""
    import mpshm

    inner = [1]
    ring = [1]
    ring.append(ring)
    deep = ([2],)
    with mpshm.Manager() as m:
        d = m.dict(twice=[inner, inner], ring=ring, deeper=[deep, deep], keys={"a": inner, "b": inner})
        twice, back, deeper, keys = d["twice"], d["ring"], d["deeper"], d["keys"]
    assert twice[0] is twice[1]
    assert back[1] is back
    assert deeper[0][0] is deeper[1][0]
    assert keys["a"] is keys["b"]


def test_what_comes_back_is_the_callers():
    """Each read gives objects of its own."""
    import mpshm

    with mpshm.Manager() as m:
        d = m.dict(a=[1, [2]])
        first = d["a"]
        first.append(3)
        first[1].append(4)
        assert d["a"] == [1, [2]]


def test_as_deep_as_pickle_goes():
    """Nesting has no limit of its own: what is too deep to be packed is pickled."""
    import mpshm

    value = []
    for _ in range(100):
        value = [value]
    with mpshm.Manager() as m:
        d = m.dict(a=value)
        assert d["a"] == pickle.loads(pickle.dumps(value)) == value


class Text(str):
    """A subclass: to be pickled as such."""

    __slots__ = ()


class Numbers(list):
    """A subclass: to be pickled as such."""


@pytest.mark.parametrize("value", [[Text("a")], (Numbers([1]),), {"a": {Text("b"): 1}}, [frozenset([1])], [1 + 2j]])
def test_subclasses_and_others_are_pickled(manager, value):
    """Types that are not exactly builtin ones keep their type."""
    stored = manager.list([value])
    assert stored[0] == value
    assert repr(stored[0]) == repr(value)
    assert type(next(iter(stored[0]))) is type(next(iter(value)))


def test_references_are_not_kept(manager):
    """Packing and unpacking leave every reference count as it was."""
    value = ["a text of some length, not interned " * 2, 12345678901, 2.5, b"bytes"]
    stored = manager.list([value])
    before = [sys.getrefcount(item) for item in value]
    for _ in range(100):
        stored[0] = value
        assert stored[0] == value
    assert [sys.getrefcount(item) for item in value] == before
