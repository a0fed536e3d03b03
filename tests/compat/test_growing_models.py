"""Any sequence of operations leaves LinkedList, Vector and String as it leaves list, array.array, str and bytearray."""

from array import array

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

pytestmark = pytest.mark.once

VALUES = st.one_of(st.integers(), st.text(max_size=30), st.none(), st.binary(max_size=20), st.integers(-3, 3))
NUMBERS = st.integers(-(2**31), 2**31 - 1)
PLACES = st.integers(-30, 30)
BOUNDS = st.one_of(st.none(), PLACES)
SLICES = st.builds(slice, BOUNDS, BOUNDS, st.one_of(st.none(), st.integers(1, 4), st.integers(-4, -1)))
TEXTS = st.text(st.one_of(st.characters(max_codepoint=127), st.characters()), max_size=60)

settings = hypothesis.settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)


def apply(target, name, args):
    """What an operation gives, or the exception that it raises."""
    try:
        if name == "get":
            found = target[args[0]]
            return list(found) if isinstance(args[0], slice) else found
        if name == "set":
            target[args[0]] = args[1]
        elif name == "del":
            del target[args[0]]
        elif name == "imul":
            target *= args[0]
        else:
            return getattr(target, name)(*args)
    except (IndexError, ValueError) as error:
        return type(error)
    return None


def op(name, *args):
    return st.tuples(st.just(name), st.tuples(*args))


LIST_OPERATIONS = st.one_of(
    op("append", VALUES),
    op("extend", st.lists(VALUES, max_size=10)),
    op("insert", PLACES, VALUES),
    op("pop"),
    op("pop", PLACES),
    op("get", PLACES),
    op("get", SLICES),
    op("set", PLACES, VALUES),
    op("set", SLICES, st.lists(VALUES, max_size=6)),
    op("del", PLACES),
    op("del", SLICES),
    op("reverse"),
    op("clear"),
    op("remove", VALUES),
    op("index", VALUES),
    op("count", VALUES),
    op("imul", st.integers(-1, 3)),
)


@pytest.mark.timeout(120)
@settings
@hypothesis.given(start=st.lists(VALUES, max_size=10), operations=st.lists(LIST_OPERATIONS, max_size=25))
def test_linked_list_is_a_list(manager, start, operations):
    """The same results, the same exceptions, the same content."""
    model, shared = list(start), manager.linked_list(start)
    for name, args in operations:
        assert apply(shared, name, args) == apply(model, name, args)
        assert shared == model
        assert len(shared) == len(model)
    walked, cursor = [], shared.end()
    for _ in model:
        cursor = cursor.prev()
        walked.insert(0, cursor.value)
    assert walked == model


ARRAY_OPERATIONS = st.one_of(
    op("append", NUMBERS),
    op("extend", st.lists(NUMBERS, max_size=200)),
    op("insert", PLACES, NUMBERS),
    op("pop"),
    op("pop", PLACES),
    op("get", PLACES),
    op("get", SLICES),
    op("set", PLACES, NUMBERS),
    op("del", PLACES),
    op("del", SLICES),
    op("reverse"),
    op("remove", NUMBERS),
    op("index", NUMBERS),
    op("count", NUMBERS),
)


@pytest.mark.timeout(120)
@settings
@hypothesis.given(start=st.lists(NUMBERS, max_size=10), operations=st.lists(ARRAY_OPERATIONS, max_size=25))
def test_vector_is_an_array(manager, start, operations):
    """As array.array; setting slices as NumPy and array.array both do it."""
    model, shared = array("i", start), manager.vector("i4", start)
    for name, args in operations:
        assert apply(shared, name, args) == apply(model, name, args)
        assert shared.tolist() == model.tolist()


@pytest.mark.timeout(120)
@settings
@hypothesis.given(
    start=st.lists(NUMBERS, max_size=30), part=SLICES, items=st.lists(NUMBERS, max_size=10), number=NUMBERS
)
def test_setting_slices_of_a_vector(manager, start, part, items, number):
    """By a sequence as array.array, by a number as NumPy."""
    model, shared = array("i", start), manager.vector("i4", start)
    assert apply(shared, "set", (part, items)) == apply(model, "set", (part, array("i", items)))
    assert shared.tolist() == model.tolist()
    filled = np.array(model, "i4")
    filled[part] = number
    shared[part] = number
    assert shared == filled


BYTES_OPERATIONS = st.one_of(
    op("append", st.integers(0, 255)),
    op("extend", st.binary(max_size=300)),
    op("insert", PLACES, st.integers(0, 255)),
    op("pop"),
    op("pop", PLACES),
    op("get", PLACES),
    op("get", SLICES),
    op("set", PLACES, st.integers(0, 255)),
    op("set", SLICES, st.binary(max_size=20)),
    op("del", PLACES),
    op("del", SLICES),
    op("find", st.binary(max_size=2)),
    op("count", st.binary(max_size=2)),
    op("clear"),
    op("imul", st.integers(-1, 3)),
)


@pytest.mark.timeout(120)
@settings
@hypothesis.given(start=st.binary(max_size=80), operations=st.lists(BYTES_OPERATIONS, max_size=25))
def test_string_of_bytes_is_a_bytearray(manager, start, operations):
    """The same results, the same exceptions, the same content."""
    model, shared = bytearray(start), manager.string(start)
    for name, args in operations:
        assert apply(shared, name, args) == apply(model, name, args)
        assert shared == model


@pytest.mark.timeout(120)
@settings
@hypothesis.given(
    start=TEXTS,
    changes=st.lists(
        st.tuples(PLACES, PLACES, TEXTS, st.sampled_from(["slice", "append", "replace", "one"])), max_size=20
    ),
)
def test_string_of_text_is_a_str(manager, start, changes):
    """Whatever is put in its place, in whatever width."""
    model, shared = start, manager.string(start)
    for first, last, text, how in changes:
        if how == "append":
            model, shared = model + text, shared.__iadd__(text)
        elif how == "replace":
            model = model.replace(model[:1], text)
            shared.replace(shared[:1], text)
        elif how == "one" and model and text:
            place = first % len(model)
            model = model[:place] + text[0] + model[place + 1 :]
            shared[place - len(model)] = text[0]
        else:
            part = list(model)
            part[first:last] = text
            model = "".join(part)
            shared[first:last] = text
        hypothesis.assume(len(model) < 20000)
        assert str(shared) == model
        assert len(shared) == len(model)
        assert shared[first:last] == model[first:last]
