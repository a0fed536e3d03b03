"""What is one key and what is two: the same in every process, and the same as in the builtin dict."""

import decimal
import fractions

import pytest
from samples import (
    BYTES,
    FLOATS,
    HASHABLE,
    INTS,
    Color,
    Count,
    Name,
    Number,
    Pair,
    Point,
    Real,
    Record,
    Text,
    strings,
)

ALL_KEYS = [*INTS, *FLOATS, *HASHABLE, *BYTES[:-1], *strings(range(41)), *strings([100, 4096, 20000])]

ONE_KEY = [
    (1, 1.0, True),
    (0, 0.0, -0.0, False),
    (2**31, 2.0**31),
    (2**53, 2.0**53),
    (2**63, 2.0**63),
    (-(2**63), -(2.0**63)),
    (2**64, 2.0**64),
    (int(1e300), 1e300),
    (-(10**22), -1e22),
    (1, Number.ONE, Count(1), Real(1.0)),
    (2**40, Number.BIG, float(2**40)),
    (1, decimal.Decimal(1), fractions.Fraction(1), 1 + 0j),
    (decimal.Decimal("0.5"), fractions.Fraction(1, 2), 0.5),
    (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    (10**40, decimal.Decimal(10**40)),
    ((1,), (1.0,), (True,)),
    ((1, (2, "a")), (1.0, (2.0, "a")), (True, (Count(2), Name("a")))),
    (((0,), 0), ((-0.0,), False)),
    (frozenset({1, 2, 3}), frozenset({3.0, 2.0, True})),
    (frozenset(range(100)), frozenset(reversed(range(100)))),
    ("hello", Name("hello"), Text.HELLO),
    (Pair(1, 2), (1, 2), (1.0, 2.0)),
    (Point(1, "a"), Point(1, "a")),
    (Point(1), Point(1.0), Point(True)),
    (Record(a=1, b=2), Record(b=2, a=1)),
    (range(0), range(5, 5)),
    ("".join(["a", "b"]) * 30, "ab" * 30),
    (b"".join([b"a", b"b"]) * 30, b"ab" * 30),
]

DIFFERENT = [
    "", b"", (), frozenset(), None, 0, "0", b"0", (0,), frozenset({0}), "None", "a", b"a", ("a",), (b"a",),
    "a\x00", "a\x00\x00", "\x00a", b"a\x00", -1, -2, (-1,), (-2,), 1, 2, (1, 2), (2, 1), ((1, 2),), ((1,), 2),
    (1, (2,)), 2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64, 2**64 - 1, 2.0**53, 2**53 + 1, 1e300,
    int(1e300) + 1, 0.1, 0.5, decimal.Decimal("0.1"), float("inf"), float("-inf"), "\ud800", "\udfff",
    "\ud83d\udc0d", "\U0001f40d", "\xe9", "e\u0301", b"\xe9", b"\xc3\xa9", Color.RED, Color.GREEN, "green",
    Point(1, 2), Point(2, 1), Point("1", 2), Ellipsis, int, str, 2**2000, -(2**2000), "x" * 14, "x" * 15,
    "x" * 16, "x" * 15 + "y", b"x" * 14, b"x" * 15, ("x" * 15,),
]  # fmt: skip


def test_every_kind_of_key(impl):
    """Each key finds its own value, in the order of insertion, and is given back as it was."""
    d, model = impl.dict(), {}
    for index, key in enumerate(ALL_KEYS):
        d[key] = model[key] = index
    assert len(d) == len(model)
    for key in ALL_KEYS:
        assert d[key] == model[key], repr(key)
        assert key in d and d.get(key) == model[key]
    assert list(d) == list(model)
    assert d == model


def test_every_kind_of_key_is_deleted(impl):
    """Each key can be deleted and is gone then."""
    d = impl.dict((key, index) for index, key in enumerate(ALL_KEYS))
    model = {key: index for index, key in enumerate(ALL_KEYS)}
    for key in list(model)[::2]:
        assert d.pop(key) == model.pop(key)
        assert key not in d
    assert list(d.items()) == list(model.items())


@pytest.mark.parametrize("key", HASHABLE, ids=lambda key: type(key).__name__)
def test_key_comes_back_as_it_was(impl, key):
    """The key that iteration gives has the type and the value of the one put in."""
    d = impl.dict()
    d[key] = 1
    (back,) = d
    assert back == key and type(back) is type(key)
    assert d.popitem()[0] == key


@pytest.mark.parametrize("equal", ONE_KEY, ids=lambda equal: type(equal[0]).__name__)
def test_equal_keys_are_one(impl, equal):
    """Whatever compares and hashes equal is one key, whichever came first."""
    for first in equal:
        d = impl.dict()
        d[first] = "first"
        for second in equal:
            assert second in d and d[second] == "first", f"{second!r} does not find {first!r}"
        for number, second in enumerate(equal):
            d[second] = number
            assert len(d) == 1 and d[first] == number
        assert d.setdefault(equal[-1], "no") == len(equal) - 1
        assert d.pop(equal[-1]) == len(equal) - 1
        assert len(d) == 0 and first not in d


FIRST_STAYS = [
    *[(1.0, 1), (True, 1), (1, True), (-0.0, 0), (0, 0.0), ((1.0,), (1,)), ((True,), (1,))],
    *[(2.0**53, 2**53), (2.0**63, 2**63), (1e300, int(1e300)), (Number.ONE, 1), (1, Number.ONE)],
    *[(decimal.Decimal("1.50"), 1.5), (Name("a"), "a"), ("a", Name("a")), (Pair(1, 2), (1, 2))],
]


@pytest.mark.parametrize("equal", FIRST_STAYS, ids=repr)
def test_the_first_of_equal_keys_stays(impl, equal):
    """Overwriting keeps the key that was put in first, as the builtin does."""
    d = impl.dict()
    d[equal[0]] = "first"
    d[equal[1]] = "second"
    assert [repr(key) for key in d] == [repr(equal[0])]
    assert d.popitem() == (equal[0], "second")


def test_different_keys_are_different(impl):
    """None of these is taken for another."""
    d = impl.dict((key, index) for index, key in enumerate(DIFFERENT))
    assert len(d) == len(DIFFERENT)
    for index, key in enumerate(DIFFERENT):
        assert d[key] == index, repr(key)
    assert [repr(key) for key in d] == [repr(key) for key in DIFFERENT]


def test_not_a_number(impl):
    """The same nan is one key; it does not disturb the others."""
    nan = float("nan")
    d = impl.dict({nan: 1, 2: 2})
    d[nan] = 3
    assert len(d) == 2 and d[nan] == 3 and nan in d
    assert d.pop(nan) == 3 and list(d) == [2]


@pytest.mark.parametrize("length", [*range(41), 255, 256, 1000, 5000])
def test_strings_of_one_length(impl, length):
    """Strings of one length that differ in one place only are told apart."""
    keys = [
        "k" * place + other + "k" * (length - place - 1) for place in range(min(length, 40)) for other in "\x00aé€🐍"
    ]
    d = impl.dict((key, index) for index, key in enumerate(keys))
    model = {key: index for index, key in enumerate(keys)}
    assert list(d.items()) == list(model.items())
    assert all(d[key] == index for key, index in model.items())


def test_keys_found_by_another_process(manager, other):
    """A key means the same in a process whose hash() of it is another."""
    d = manager.dict((key, index) for index, key in enumerate(ALL_KEYS))
    model = {key: index for index, key in enumerate(ALL_KEYS)}
    for key in [*HASHABLE, *INTS, *FLOATS, *strings([0, 1, 13, 14, 15, 16, 100])]:
        assert other.call(d, "get", key) == model[key], repr(key)


def test_keys_made_by_another_process(manager, other):
    """What another process put in is found here, and does not become a second entry."""
    d = manager.dict()
    keys = [*HASHABLE, "text", "\xe9" * 20, b"bytes", 2**70, 1.5, frozenset({"x", "y", "z"})]
    for index, key in enumerate(keys):
        other.call(d, "__setitem__", key, index)
    model = {key: index for index, key in enumerate(keys)}
    for key in keys:
        assert d[key] == model[key], repr(key)
        d[key] = model[key]
    assert len(d) == len(model)


class BadHash:
    """A key whose hash fails."""

    def __hash__(self):
        raise RuntimeError("no hash today")


def test_hash_that_fails(impl):
    """The exception of __hash__ comes out, and nothing changed."""
    d = impl.dict(a=1)
    for action in (d.__getitem__, d.__contains__, d.get, d.pop, lambda key: d.update({key: 1})):
        with pytest.raises(RuntimeError, match="no hash today"):
            action(BadHash())
    with pytest.raises(RuntimeError, match="no hash today"):
        d[BadHash()] = 1
    assert d == {"a": 1}


def test_key_that_does_not_pickle(manager):
    """A key that can't be pickled is refused with pickle's own error, and nothing changed."""
    d = manager.dict(a=1)
    key = (lambda: 1, "x")
    with pytest.raises(Exception, match=r"(?i)pickle|lambda"):
        d[key] = 1
    assert d == {"a": 1}
