"""How a segment finds room, and pools as Python sees them. What pools do with nodes is tested in C."""

from __future__ import annotations

import pickle
from multiprocessing import get_context
from typing import Any

import pytest

from mpshm import (
    AdaptivePool,
    AnonymousSegment,
    BestFit,
    CachedAdaptivePool,
    CachedNodePool,
    Dict,
    NodePool,
    PrivateAdaptivePool,
    PrivateNodePool,
    SequentialFit,
)
from mpshm.allocators import Allocator, Pool, pool_for

POOLS: list[type[Any]] = [
    NodePool,
    PrivateNodePool,
    CachedNodePool,
    AdaptivePool,
    PrivateAdaptivePool,
    CachedAdaptivePool,
]
SHARED = [kind for kind in POOLS if "Private" not in kind.__name__]
PRIVATE = [kind for kind in POOLS if "Private" in kind.__name__]


@pytest.fixture
def segment() -> AnonymousSegment:
    return AnonymousSegment(1 << 20, 16 << 20)


@pytest.mark.parametrize("kind", POOLS)
def test_a_pool_is_what_was_asked_for(segment: AnonymousSegment, kind: type[Any]) -> None:
    """A class stands for its defaults, an instance for its options; the pool says what it is and holds nothing yet."""
    pool = pool_for(segment, kind, 40)
    assert isinstance(pool, Pool)
    assert (pool.kind, pool.node_bytes, pool.nodes_per_chunk) == (kind, 40, 64)
    assert pool.max_cached_nodes == (64 if "Cached" in kind.__name__ else 0)
    assert pool.stats() == (0, 0, 0, 0, 0, 0)
    other = pool_for(segment, kind(nodes_per_chunk=100), 40)
    assert isinstance(other, Pool)
    assert other.nodes_per_chunk == 100
    assert kind.__name__ in repr(pool)
    assert pool.deallocate_free_chunks() == 0
    pool.deallocate_cache()
    segment.check()


@pytest.mark.parametrize("kind", SHARED)
def test_who_asks_alike_shares(segment: AnonymousSegment, kind: type[Any]) -> None:
    """One pool for each node size and set of options in a segment; gone with its last user."""
    before = segment.stats().objects
    pool = pool_for(segment, kind, 48)
    again = pool_for(segment, kind(), 48)
    larger = pool_for(segment, kind, 49)
    options = pool_for(segment, kind(nodes_per_chunk=65), 48)
    assert pool is not None
    assert again is not None
    assert larger is not None
    assert options is not None
    assert pool._offset == again._offset
    assert len({pool._offset, larger._offset, options._offset}) == 3
    assert pool_for(AnonymousSegment(), kind, 48)._segment is not segment  # type: ignore[union-attr]
    del pool, again, larger, options
    assert segment.stats().objects == before
    segment.check()


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_pool_is_nobody_elses(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Each one who asks gets a pool of its own."""
    pool, other = pool_for(segment, kind, 48), pool_for(segment, kind, 48)
    assert pool is not None
    assert other is not None
    assert pool._offset != other._offset
    segment.check()


def test_the_segments_own_allocator_is_no_pool(segment: AnonymousSegment) -> None:
    """None and what is for segments mean: no pool."""
    for spec in (None, BestFit, BestFit(), SequentialFit):
        assert pool_for(segment, spec, 48) is None


def test_a_pool_may_be_given_again(segment: AnonymousSegment) -> None:
    """One of this segment with nodes large enough; another segment's, or smaller nodes: ValueError."""
    pool = pool_for(segment, PrivateNodePool, 48)
    assert pool_for(segment, pool, 48) is pool
    assert pool_for(segment, pool, 20) is pool
    with pytest.raises(ValueError, match="48 bytes, where 49"):
        pool_for(segment, pool, 49)
    with pytest.raises(ValueError, match="another segment"):
        pool_for(AnonymousSegment(), pool, 48)


@pytest.mark.parametrize("spec", [int, 5, "NodePool", Allocator, object()])
def test_what_is_no_allocator_is_refused(segment: AnonymousSegment, spec: Any) -> None:
    """TypeError, for containers and for segments."""
    with pytest.raises(TypeError, match="NodePool"):
        pool_for(segment, spec, 48)
    with pytest.raises(TypeError):
        AnonymousSegment(allocator=spec)


@pytest.mark.parametrize("kind", POOLS)
def test_options_are_checked(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Numbers out of range: ValueError; no numbers: TypeError; too large a node: ValueError."""
    for wrong in (0, -1, 65536):
        with pytest.raises(ValueError, match="nodes_per_chunk"):
            kind(nodes_per_chunk=wrong)
    with pytest.raises(TypeError, match="nodes_per_chunk"):
        kind(nodes_per_chunk="64")
    for wrong in (0, 8193):
        with pytest.raises(ValueError, match="node_bytes"):
            pool_for(segment, kind, wrong)
    if "Adaptive" in kind.__name__:
        with pytest.raises(ValueError, match="overhead_percent"):
            kind(overhead_percent=21)
        with pytest.raises(ValueError, match="max_free_chunks"):
            kind(max_free_chunks=-1)
    if "Cached" in kind.__name__:
        with pytest.raises(ValueError, match="max_cached_nodes"):
            kind(max_cached_nodes=0)
    with pytest.raises(TypeError):
        Pool()
    with pytest.raises(ValueError, match="for containers"):
        AnonymousSegment(allocator=kind)


def test_specs_are_values() -> None:
    """Equal options, equal and of one hash; readable; pickled as they are."""
    spec = AdaptivePool(nodes_per_chunk=32, max_free_chunks=0)
    assert spec == AdaptivePool(32, 0, 5)
    assert spec != AdaptivePool(32, 1)
    assert spec != PrivateAdaptivePool(32, 0)
    assert hash(spec) == hash(AdaptivePool(32, 0))
    assert repr(spec) == "AdaptivePool(nodes_per_chunk=32, max_free_chunks=0, overhead_percent=5)"
    assert spec.max_free_chunks == 0
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert repr(BestFit()) == "BestFit()"


def _use(data: Any, pool: Any) -> None:
    data["seen"] = (data._segment.allocator.__name__, pool.kind.__name__, pool.node_bytes)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_know(method: str) -> None:
    """Who gets a segment or a pool by pickling uses it as it was made."""
    segment = AnonymousSegment(1 << 20, 16 << 20, allocator=SequentialFit)
    data: Any = Dict._in(segment)
    pool = pool_for(segment, CachedNodePool, 32)
    child = get_context(method).Process(target=_use, args=(data, pool))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert data["seen"] == ("SequentialFit", "CachedNodePool", 32)
    segment.check()


def test_sequential_fit_serves_as_best_fit_does() -> None:
    """Containers that grow and shrink in a segment with sequential fit; everything is given back, nothing is lost."""
    segment = AnonymousSegment(64 << 10, 64 << 20, allocator=SequentialFit)
    assert segment.allocator is SequentialFit
    assert AnonymousSegment().allocator is BestFit
    data: Any = Dict._in(segment)
    for i in range(3000):
        data[i] = b"x" * (i * 37 % 5000)
        if i % 3 == 0:
            data.pop(i * 2 // 3, None)
    assert all(value == b"x" * (key * 37 % 5000) for key, value in data.items())
    segment.check()
    data.clear()
    segment.check()
