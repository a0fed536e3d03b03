"""Values and keys of every kind, and classes of unusual instances: in a module, so that they pickle."""

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
from typing import NamedTuple

BORDERS = [
    sign * (base + step)
    for base in (0, 1, 2**7, 2**8, 2**15, 2**16, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 2**65, 2**120)
    for step in (-2, -1, 0, 1, 2)
    for sign in (1, -1)
]
INTS = [*sorted(set(BORDERS)), 10**100, -(10**100), 2**2000 - 1, -(2**2000)]

FLOATS = [
    0.0, -0.0, 0.1, -0.1, 1.0, -1.0, 1.5, 2.0**31, 2.0**53, 2.0**63, -(2.0**63), 2.0**64, 1e300, -1e300,
    5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, float("inf"), float("-inf"),
]  # fmt: skip

# One character of each width that CPython keeps strings in, and of each length in UTF-8.
CHARACTERS = {
    "ascii": "a",
    "latin-1": "\xe9",
    "bmp": "\u20ac",
    "astral": "\U0001f40d",
    "nul": "\x00",
    "lone high surrogate": "\ud800",
    "lone low surrogate": "\udfff",
    "last of the bmp": "\uffff",
    "last of all": "\U0010ffff",
    "del": "\x7f",
    "first of latin-1": "\x80",
}


def strings(lengths):
    """Strings of every kind and of the given lengths; the kinds are also mixed, the widest at either end."""
    for length in lengths:
        for character in CHARACTERS.values():
            yield character * length
        if length > 1:
            for character in CHARACTERS.values():
                yield "a" * (length - 1) + character
                yield character + "b" * (length - 1)
    yield "\ud83d\udc0d"  # two surrogates that are not one character
    yield "a\x00b"
    yield "tail\x00"


class Color(enum.Enum):
    RED = 1
    GREEN = "green"


class Number(enum.IntEnum):
    ONE = 1
    BIG = 2**40


class Flag(enum.Flag):
    A = 1
    B = 2


class Text(str, enum.Enum):
    HELLO = "hello"


@dataclasses.dataclass(frozen=True)
class Point:
    x: object
    y: object = 0


class Pair(NamedTuple):
    left: object
    right: object


class Name(str):
    """A str with an attribute."""


class Count(int):
    """An int of a class of its own."""


class Real(float):
    """A float of a class of its own."""


class Record:
    """A plain class with state, equal by state."""

    def __init__(self, **state):
        self.__dict__.update(state)

    def __eq__(self, other):
        return type(other) is Record and self.__dict__ == other.__dict__

    def __hash__(self):
        return hash(tuple(sorted(self.__dict__.items())))

    def __repr__(self):
        return f"Record({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


class Slotted:
    """A class without a __dict__."""

    __slots__ = ("a", "b")

    def __init__(self, a, b):
        self.a, self.b = a, b

    def __eq__(self, other):
        return type(other) is Slotted and (self.a, self.b) == (other.a, other.b)

    __hash__ = None


class CustomError(Exception):
    """An exception with two arguments."""

    def __init__(self, code, text):
        super().__init__(code, text)
        self.code = code


HASHABLE = [
    None,
    True,
    False,
    Ellipsis,
    NotImplemented,
    1j,
    (),
    (1,),
    (1, "a", None, (2.5, (b"x", ("deep",)))),
    ("long " * 50, 2**100),
    frozenset(),
    frozenset({1, "a", None}),
    frozenset({frozenset({1}), (2, 3)}),
    Color.RED,
    Color.GREEN,
    Number.BIG,
    Flag.A | Flag.B,
    Text.HELLO,
    Point(1, "y"),
    Point((1, 2), Point(3)),
    Pair("l", 2),
    Name("subclass of str"),
    Count(7),
    Real(2.5),
    Record(a=1, b="two"),
    decimal.Decimal("1.50"),
    fractions.Fraction(1, 3),
    datetime.date(2024, 2, 29),
    datetime.datetime(2024, 2, 29, 12, 30, tzinfo=datetime.timezone.utc),
    datetime.timedelta(days=1, microseconds=5),
    uuid.UUID(int=5),
    pathlib.PurePosixPath("/a/b"),
    range(1, 10, 2),
    int,
    len,
    Record,
]

UNHASHABLE = [
    [],
    [1, [2, [3, "x"]]],
    {},
    {"a": {"b": [1]}, 1: None},
    set(),
    {1, 2, 3},
    bytearray(b"abc"),
    Slotted(1, "b"),
    slice(1, None, 2),
]

BYTES = [bytes([length % 256]) * length for length in (*range(40), 255, 256, 4095, 4096, 4097, 5000)]
BYTES += [bytes(range(256)), b"\x00" * 15, b"\xff" * 16, bytes(1 << 20)]


class Index:
    """Something with __index__."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class BadIndex:
    def __index__(self):
        raise ZeroDivisionError("no index today")


def put(x, key, value):
    x[key] = value


def delete(x, key):
    del x[key]
