"""Every kind of container in a segment with best fit, and in one with sequential fit: also while memory goes back."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable
from typing import Any

import pytest

import mpshm
from mpshm import AnonymousSegment, BestFit, ManagedHeapMemory, NodePool, SequentialFit

pytestmark = pytest.mark.once

LONG = "a text that is too long for a word of its own "


def put_dict(made: Any, i: int) -> None:
    made[i] = LONG * (i % 50)


def put_item(made: Any, i: int) -> None:
    made.append(LONG * (i % 50))


def put_key(made: Any, i: int) -> None:
    made.add(f"{LONG} {i}" * (1 + i % 50))


def put_number(made: Any, i: int) -> None:
    made.append(i)


def put_text(made: Any, i: int) -> None:
    made += LONG * (i % 50)


def put_queue(made: Any, i: int) -> None:
    made.put(LONG * (i % 50))


def put_value(made: Any, i: int) -> None:
    made.set(LONG * (i * 7 % 900))


def empty_queue(made: Any) -> None:
    while not made.empty():
        made.get(timeout=10)


def clear(made: Any) -> None:
    made.clear()


Put = Callable[[Any, int], None]
KINDS: dict[str, tuple[Callable[[Any], Any], Put, Callable[[Any], Any]]] = {
    "Dict": (mpshm.Dict._in, put_dict, clear),
    "List": (mpshm.List._in, put_item, clear),
    "Set": (mpshm.Set._in, put_key, clear),
    "Deque": (mpshm.Deque._in, put_item, clear),
    "Vector": (lambda segment: mpshm.Vector._make(segment, "i8"), put_number, clear),
    "String": (lambda segment: mpshm.String._make(segment, ""), put_text, lambda made: made.__delitem__(slice(None))),
    "Map": (mpshm.Map._in, put_dict, clear),
    "MultiMap": (mpshm.MultiMap._in, lambda made, i: made.add(i % 9, LONG * (i % 50)), clear),
    "SortedSet": (mpshm.SortedSet._in, put_key, clear),
    "LinkedList": (mpshm.LinkedList._in, put_item, clear),
    "Map, pool": (lambda segment: mpshm.Map._make(segment, allocator=NodePool), put_dict, clear),
    "LinkedList, pool": (lambda segment: mpshm.LinkedList._make(segment, allocator=NodePool), put_item, clear),
    "Queue": (mpshm.managers.queues.Queue._in, put_queue, empty_queue),
    "Value": (mpshm.containers.Value._in, put_value, lambda made: made.set(None)),
}
N = 400


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fit", [BestFit, SequentialFit])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_in_each_segment(kind: str, fit: Any) -> None:
    """It holds the same; memory given back, zeroed and added between changes leaves all in place; nothing is left."""
    make, put, empty = KINDS[kind]
    segment, plain = AnonymousSegment(64 << 10, 256 << 20, allocator=fit), AnonymousSegment()
    one, two, model = make(segment), make(segment), make(plain)
    rng = random.Random(kind)
    tend = [segment.shrink_to_fit, segment.zero_free_memory, lambda: segment.grow(100_000)]
    for i in range(N):
        put(one, i)
        put(two, i)
        put(model, i)
        if i % 20 == 7:
            rng.choice(tend)()
        if i % 97 == 40:
            empty(two)
        if i % 50 == 49:
            segment.check()
    if kind == "Queue":
        assert [one.get(timeout=10) for _ in range(N)] == [model.get(timeout=10) for _ in range(N)]
    else:
        assert str(one) == str(model)
    size = segment.size
    empty(two)
    del one, two
    gc.collect()
    segment.shrink_to_fit()
    assert segment.size <= size
    assert segment.stats().objects == 0
    segment.check()


@pytest.mark.parametrize("fit", [BestFit, SequentialFit])
def test_little_holes_are_no_trouble(fit: Any) -> None:
    """After memory of a piece of some pages was given back, what remains of it is used up to its last byte."""
    segment = ManagedHeapMemory(4 << 20, allocator=fit)
    for size in (20_000, 24_000, 40_000):
        blocks = [segment.allocate(size) for _ in range(8)]
        for block in blocks[::2]:
            segment.deallocate(block)
        segment.shrink_to_fit()
        taken = [segment.allocate(part) for part in (size - 16_000, size - 12_000, 5_000, 3_000, 1_000) * 4]
        segment.check()
        for block in taken + blocks[1::2]:
            segment.deallocate(block)
        segment.check()
