"""Arguments of wrong types, too few, too many: each method raises what the stdlib's, or sortedcontainers', raises."""

import array
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import mpshm

sortedcontainers = pytest.importorskip("sortedcontainers")

# Besides 0, which is right in many places.
WRONG = [None, "x", 1.5, object(), [], b"x", 10**30, -(10**30), {}, (), slice(None), -99, 0]
OPERATORS = {f"__{i}{name}__": (name, i) for name in ("add", "sub", "mul", "and", "or", "xor") for i in ("", "r", "i")}
# What is no call with arguments of a user's, or begins with an underscore.
NO_CALLS = {
    "__class_getitem__",
    "__deepcopy__",
    "__copy__",
    "__buffer__",
    "__release_buffer__",
    "__format__",
    "__dir__",
}


class Pair(NamedTuple):
    """How ours and its counterpart are made, of the same content; and what differs on purpose."""

    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    differs: frozenset[str] = frozenset()


def differs(names: str) -> frozenset[str]:
    return frozenset(names.split())


CONTENT = {1: 1, 2: 2}
PAIRS = {
    "LinkedList": Pair(lambda: mpshm.LinkedList([3, 1, 2]), lambda: [3, 1, 2]),
    "Map": Pair(lambda: mpshm.Map(CONTENT), lambda: sortedcontainers.SortedDict(CONTENT), differs("setdefault")),
    "MultiMap": Pair(
        lambda: mpshm.MultiMap(CONTENT),
        lambda: sortedcontainers.SortedDict(CONTENT),
        differs(
            "update __or__ __ror__ __ior__ __getitem__ __eq__ __ne__"
        ),  # (a value may come again, so it is no dict)
    ),
    # Operators as the builtin set's, which take sets only: the next one.
    "SortedSet": Pair(
        lambda: mpshm.SortedSet(CONTENT),
        lambda: sortedcontainers.SortedSet(CONTENT),
        differs("union symmetric_difference " + " ".join(OPERATORS)),
    ),
    "SortedSet as a set": Pair(
        lambda: mpshm.SortedSet(CONTENT),
        lambda: set(CONTENT),
        differs("add pop update symmetric_difference_update __ror__"),
    ),
    # What is assigned, and index arrays, as NumPy has it.
    "Vector": Pair(
        lambda: mpshm.Vector("i8", [3, 1, 2]),
        lambda: array.array("q", [3, 1, 2]),
        differs("append extend insert __getitem__ __setitem__ __delitem__ __add__ __mul__ __rmul__ __iadd__ __imul__"),
    ),
    "String": Pair(lambda: mpshm.String("one two"), lambda: "one two", differs("replace __hash__")),
    # (Bytes can be put in where bytearray takes one number.)
    "String of bytes": Pair(
        lambda: mpshm.String(b"one two"), lambda: bytearray(b"one two"), differs("append insert replace")
    ),
}


def call(obj: Any, name: str, args: tuple[Any, ...]) -> Any:
    if name not in OPERATORS:
        return getattr(obj, name)(*args)
    plain, side = OPERATORS[name]
    function = getattr(operator, {"and": "and_", "or": "or_"}.get(plain, plain) if side != "i" else f"i{plain}")
    return function(*args, obj) if side == "r" else function(obj, *args)


def outcome(obj: Any, name: str, args: tuple[Any, ...]) -> str:
    try:
        call(obj, name, args)
    except Exception as error:
        return next(cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins")
    return "an answer"


def calls() -> list[tuple[str, str]]:
    """Every method that both have."""
    found = []
    for pair, (ours, theirs, different) in PAIRS.items():
        one, other = ours(), theirs()
        for name in sorted((set(dir(one)) & set(dir(other))) - set(dir(object)) - NO_CALLS - different):
            if callable(getattr(other, name)) and (name[0] != "_" or name[:2] == "__"):
                found.append((pair, name))
    return found


def arguments(name: str) -> list[tuple[Any, ...]]:
    if name in OPERATORS:
        return [(wrong,) for wrong in WRONG]
    made: list[tuple[Any, ...]] = [(), (0, 0, 0, 0, 0, 0)]
    for wrong in WRONG:
        if name == "index" and wrong == 1.5:
            continue  # sortedcontainers counts with floats, too; list does not
        made += [(wrong,), (wrong, 0), (0, wrong), (1, 0, wrong), (2, wrong, 3)]
    return made


@pytest.mark.parametrize(("pair", "name"), calls())
def test_wrong_arguments(pair: str, name: str) -> None:
    """The same kind of exception, or none, as the counterpart."""
    ours, theirs, _ = PAIRS[pair]
    wrong = {}
    for args in arguments(name):
        found, wanted = outcome(ours(), name, args), outcome(theirs(), name, args)
        if found != wanted:
            wrong[repr(args)] = f"{found}, not {wanted}"
    assert not wrong


def test_one_number_is_no_bytes() -> None:
    """bytes(5) are five zeros: a number is refused wherever bytes or numbers of bytes are meant."""
    made = mpshm.String(b"one")
    for change in (
        lambda: made.extend(5),
        lambda: made.__iadd__(5),
        lambda: made.__setitem__(slice(0, 1), 5),
        lambda: made.__setitem__(slice(0, 2, 2), 5),
        lambda: made.extend("x"),
    ):
        with pytest.raises(TypeError):
            change()
    assert made == b"one"
    made.extend([120, 121])
    made[:0] = (0x61,)
    assert made == b"aonexy"


@pytest.mark.parametrize("wrong", [None, "x", 1.5, [], object()])
def test_what_has_no_counterpart(wrong: Any) -> None:
    """TypeError for what is no number, no cursor, no list, no text, or no allocator."""
    linked, other = mpshm.LinkedList([1, 2]), mpshm.LinkedList([3])
    vector, text, multi = mpshm.Vector("i4", [1]), mpshm.String("text"), mpshm.MultiMap([(1, 2)])
    refused = [
        lambda: linked.cursor(wrong),
        lambda: linked.splice(wrong, other),
        lambda: linked.splice(linked.begin(), wrong),
        lambda: vector.reserve(wrong),
        lambda: vector.resize(wrong),
        lambda: text.reserve(wrong),
        lambda: text.insert(wrong, "x"),
        lambda: text.pop(wrong),
        lambda: multi.popitem(wrong),
        lambda: multi.peekitem(wrong),
    ]
    if wrong is not None:  # which stands for no wish
        refused += [
            lambda: linked.splice(linked.begin(), other, wrong, other.end()),
            lambda: linked.splice(linked.begin(), other, other.begin(), wrong),
            lambda: mpshm.Vector("i4", maxlen=wrong),
            lambda: mpshm.Map(allocator=wrong),
            lambda: mpshm.LinkedList(allocator=wrong),
        ]
    if not isinstance(wrong, str):
        refused += [lambda: text.append(wrong), lambda: text.insert(0, wrong), lambda: text.__setitem__(0, wrong)]
    if wrong is not None and not isinstance(wrong, str):
        refused += [lambda: text.open(wrong), lambda: mpshm.Vector("u1").open(wrong)]
    for refuse in refused:
        with pytest.raises(TypeError):
            refuse()
    assert (linked, other, text, multi.items()) == ([1, 2], [3], "text", [(1, 2)])
