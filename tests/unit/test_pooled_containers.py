"""Containers that take their nodes from pools: who shares one, when memory goes back, what is refused."""

from __future__ import annotations

import gc
import pickle
from typing import Any

import pytest

from mpshm import (
    AdaptivePool,
    AnonymousSegment,
    BestFit,
    CachedAdaptivePool,
    CachedNodePool,
    LinkedList,
    ManagedMappedFile,
    Manager,
    Map,
    MultiMap,
    NodePool,
    PrivateAdaptivePool,
    PrivateNodePool,
    SequentialFit,
    SortedSet,
)
from mpshm.allocators import Pool, PoolStats, pool_for

pytestmark = pytest.mark.once

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
KEPT = [kind for kind in POOLS if "Adaptive" not in kind.__name__]
ADAPTIVE = [kind for kind in POOLS if "Adaptive" in kind.__name__]
CACHED = [kind for kind in POOLS if "Cached" in kind.__name__]

N = 2000
CONTENT: dict[type[Any], Any] = {
    LinkedList: [f"item {i}" for i in range(N)],
    Map: {i: f"value {i}, which is a long one" for i in range(N)},
    MultiMap: [(i // 3, i) for i in range(N)],
    SortedSet: [f"key {i:04}, which is a long one" for i in range(N)],
}
CONTAINERS = list(CONTENT)


@pytest.fixture
def segment() -> AnonymousSegment:
    return AnonymousSegment(1 << 20, 64 << 20)


def stats_of(made: Any) -> PoolStats:
    assert isinstance(made.allocator, Pool)
    return made.allocator.stats()


def make(segment: Any, cls: Any, allocator: Any, content: bool = True) -> Any:
    return cls._make(segment, *([CONTENT[cls]] if content else []), allocator=allocator)


# ---- which one it is ----


@pytest.mark.parametrize("cls", CONTAINERS)
@pytest.mark.parametrize("kind", POOLS)
def test_nodes_come_from_the_pool(segment: AnonymousSegment, cls: Any, kind: type[Any]) -> None:
    """What is in a container is in nodes of its pool, which it names; its content is as without one; all comes back."""
    made = make(segment, cls, kind(nodes_per_chunk=16))
    assert made == make(segment, cls, None)
    pool = made.allocator
    assert (pool.kind, pool.node_bytes) == (kind, made._node_bytes)
    assert stats_of(made).used >= (N if cls is LinkedList else N // 124)
    segment.check()
    made.clear()
    gc.collect()
    assert stats_of(made).used == 0
    segment.check()
    del made, pool
    gc.collect()
    assert segment.stats().objects == 0
    segment.check()


@pytest.mark.parametrize("cls", CONTAINERS)
def test_without_one_the_segment_serves(cls: Any) -> None:
    """Such a container has its segment's allocator, which may be given again."""
    for fit in (BestFit, SequentialFit):
        segment = AnonymousSegment(allocator=fit)
        for spec in (None, BestFit, SequentialFit, BestFit()):
            assert make(segment, cls, spec).allocator is fit
        assert make(segment, cls, make(segment, cls, None).allocator).allocator is fit
        assert cls(CONTENT[cls]).allocator is BestFit


@pytest.mark.parametrize("cls", CONTAINERS)
def test_all_ways_to_make_one(segment: AnonymousSegment, cls: Any) -> None:
    """The class itself, construct(), find_or_construct(), and a manager's methods take `allocator`."""
    spec = AdaptivePool(nodes_per_chunk=20)
    named = segment.construct(cls, "named", CONTENT[cls], allocator=spec)
    found = segment.find_or_construct(cls, "named", allocator=NodePool)
    for made in (named, found, segment.construct(cls, None, allocator=spec)):
        assert made.allocator._offset == named.allocator._offset
        assert made.allocator.kind is AdaptivePool
    assert cls(CONTENT[cls], allocator=NodePool).allocator.kind is NodePool
    segment.check()
    with Manager() as manager:
        for made in (manager.map({1: 2}, allocator=NodePool), manager.linked_list([1, 2], allocator=NodePool)):
            assert made.allocator.kind is NodePool
            assert len(made) > 0
        manager.segment.check()


@pytest.mark.parametrize("cls", CONTAINERS)
def test_what_is_refused(segment: AnonymousSegment, cls: Any) -> None:
    """No allocator: TypeError. A pool of another segment, or of smaller nodes: ValueError; so a second one."""
    for spec in (7, int, "NodePool", object()):
        with pytest.raises(TypeError, match="NodePool"):
            make(segment, cls, spec)
    with pytest.raises(ValueError, match="another segment"):
        make(segment, cls, pool_for(AnonymousSegment(), NodePool, 4000))
    with pytest.raises(ValueError, match=r"8 bytes, where"):
        make(segment, cls, pool_for(segment, NodePool, 8))
    made = make(segment, cls, NodePool)
    with pytest.raises(ValueError, match="already"):
        made.__init__(allocator=NodePool)
    with pytest.raises(ValueError, match="too small"):
        make(segment, cls, None, False)._use_pool(pool_for(segment, NodePool, 8))
    with pytest.raises(TypeError, match="a Pool"):
        make(segment, cls, None, False)._use_pool(made)
    del made
    gc.collect()
    assert segment.stats().objects == 0
    segment.check()


# ---- who shares ----


@pytest.mark.parametrize("kind", SHARED)
def test_containers_that_ask_alike_share(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Map and MultiMap have nodes of one size, so one pool; what one frees the other has. LinkedList's has its own."""
    one, two, other = make(segment, Map, kind), make(segment, MultiMap, kind), make(segment, LinkedList, kind)
    assert one.allocator._offset == two.allocator._offset != other.allocator._offset
    before = stats_of(two)
    one.clear()
    freed = stats_of(two)
    assert freed.used < before.used
    three = make(segment, Map, kind)
    again = stats_of(three)
    assert (again.chunks, again.used) == (before.chunks, before.used)
    assert make(segment, Map, kind(nodes_per_chunk=63)).allocator._offset != one.allocator._offset
    segment.check()
    assert two.items() == CONTENT[MultiMap]
    assert three == CONTENT[Map]


@pytest.mark.parametrize("kind", PRIVATE)
def test_a_private_pool_serves_one(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Each container has its own; with the container it is gone. Given on, it serves two."""
    one, two = make(segment, Map, kind), make(segment, Map, kind)
    assert one.allocator._offset != two.allocator._offset
    used = stats_of(two)
    one.clear()
    assert stats_of(two) == used
    three = make(segment, SortedSet, two.allocator)
    assert three.allocator._offset == two.allocator._offset
    assert stats_of(two).used > used.used
    del two
    gc.collect()
    assert list(three) == CONTENT[SortedSet]
    segment.check()


@pytest.mark.parametrize(("cached", "plain"), [(CachedNodePool, NodePool), (CachedAdaptivePool, AdaptivePool)])
def test_a_cached_pool_is_the_shared_one_behind(segment: AnonymousSegment, cached: Any, plain: Any) -> None:
    """A container with a cache and one without share their nodes."""
    one, two = make(segment, LinkedList, cached), make(segment, LinkedList, plain)
    assert stats_of(one).used == stats_of(two).used == 2 * N
    one.clear()
    assert stats_of(two).used == N
    assert list(two) == CONTENT[LinkedList]
    segment.check()


# ---- when chunks go back ----


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("cls", CONTAINERS)
def test_a_node_pool_keeps_its_chunks(segment: AnonymousSegment, cls: Any, kind: type[Any]) -> None:
    """Until it is asked, or its last container is gone."""
    made = make(segment, cls, kind(nodes_per_chunk=8))
    full, used = stats_of(made), segment.stats().used
    made.clear()
    gc.collect()
    assert stats_of(made).chunks == full.chunks
    made.allocator.deallocate_cache()
    assert made.allocator.deallocate_free_chunks() == full.chunks
    assert stats_of(made) == (0, 0, 0, 0, 0, 0)
    assert segment.stats().used < used
    refilled = make(segment, cls, made.allocator)
    assert refilled == make(segment, cls, None)
    segment.check()


@pytest.mark.parametrize("kind", ADAPTIVE)
@pytest.mark.parametrize("cls", CONTAINERS)
@pytest.mark.parametrize("free", [0, 3])
def test_an_adaptive_pool_gives_chunks_back(segment: AnonymousSegment, cls: Any, kind: type[Any], free: int) -> None:
    """By itself, but for so many as it was told; a cache's nodes keep theirs until it is given back."""
    made = make(segment, cls, kind(nodes_per_chunk=8, max_free_chunks=free))
    full = stats_of(made)
    made.clear()
    gc.collect()
    made.allocator.deallocate_cache()
    left = stats_of(made)
    assert (left.chunks, left.free_chunks, left.used, left.cached) == (min(free, full.chunks),) * 2 + (0, 0)
    segment.check()


# ---- caches ----


@pytest.mark.parametrize("kind", CACHED)
def test_freed_nodes_stay_with_the_process(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Up to max_cached_nodes are cached and taken again; deallocate_cache() gives them to the others."""
    made = make(segment, LinkedList, kind(max_cached_nodes=20))
    assert made.allocator.max_cached_nodes == 20
    for _ in range(100):
        made.pop()
    stats = stats_of(made)
    assert stats.used == N - 100
    assert 0 < stats.cached <= 20
    for i in range(stats.cached):
        made.append(i)
    after = stats_of(made)
    assert (after.used, after.chunks) == (N - 100 + stats.cached, stats.chunks)
    segment.check()
    made.allocator.deallocate_cache()
    assert stats_of(made).cached == 0
    segment.check()


# ---- moving items between lists ----


@pytest.mark.parametrize("kind", POOLS)
def test_splice_stays_in_a_pool(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Between lists of one pool items move; between lists of different ones: ValueError, and nothing has moved."""
    one = make(segment, LinkedList, kind)
    same, other = make(segment, LinkedList, one.allocator), make(segment, LinkedList, None)
    one.splice(one.end(), same)
    assert list(one) == CONTENT[LinkedList] * 2
    assert len(same) == 0
    for to, source in ((one, other), (other, one), (one, make(segment, LinkedList, kind(nodes_per_chunk=9)))):
        before = list(to), list(source)
        for bounds in ((), (source.begin(),), (source.cursor(1), source.cursor(3))):
            with pytest.raises(ValueError, match="one pool"):
                to.splice(to.begin(), source, *bounds)
        assert (list(to), list(source)) == before
    segment.check()


@pytest.mark.parametrize("kind", PRIVATE)
def test_private_lists_do_not_splice(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Two that asked alike have two pools."""
    one, two = make(segment, LinkedList, kind), make(segment, LinkedList, kind)
    with pytest.raises(ValueError, match="one pool"):
        one.splice(one.end(), two)


# ---- with all else that a container can do ----


@pytest.mark.parametrize("kind", POOLS)
def test_stale_cursors_stay_stale(segment: AnonymousSegment, kind: type[Any]) -> None:
    """Nodes are used again at once; a cursor to the item that was there before does not take the new one for it."""
    made = make(segment, LinkedList, kind, False)
    made.extend(range(10))
    cursors = [made.cursor(i) for i in range(10)]
    made.clear()
    gc.collect()
    made.extend(range(10, 40))
    for cursor in cursors:
        with pytest.raises(ReferenceError):
            _ = cursor.value
    segment.check()


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("cls", CONTAINERS)
def test_a_full_segment_changes_nothing(cls: Any, kind: type[Any]) -> None:
    """Where there is no room for a chunk: MemoryError, and what was there is there; after room was made it goes on."""
    segment = AnonymousSegment(1 << 20, 2 << 20)
    made = make(segment, cls, kind(nodes_per_chunk=16))
    wall = []
    for size in (1 << 16, 1 << 12, 1 << 8):
        while True:
            try:
                wall.append(segment.allocate(size))
            except MemoryError:
                break
    before = made.copy() if cls is not SortedSet else list(made)
    many = range(100_000, 140_000)
    with pytest.raises(MemoryError):
        if cls is LinkedList:
            made.extend(many)
        elif cls is SortedSet:
            made.update(f"later {i}" for i in many)
        else:
            made.update(dict.fromkeys(many, 1))
    assert (made.copy() if cls is not SortedSet else list(made)) == before
    segment.check()
    for handle in wall:
        segment.deallocate(handle)
    made.clear()
    gc.collect()
    segment.check()


@pytest.mark.parametrize("kind", POOLS)
def test_pools_outlive_the_process_in_a_file(tmp_path: Any, kind: type[Any]) -> None:
    """A file that is opened again has its containers with their pools; the containers go on with them."""
    path = tmp_path / "segment"
    with ManagedMappedFile(path, "x", 1 << 20) as segment:
        for cls in CONTAINERS:
            segment.construct(cls, cls.__name__, CONTENT[cls], allocator=kind)
    gc.collect()
    with ManagedMappedFile(path, "r+") as segment:
        segment.check()
        for cls in CONTAINERS:
            made = segment[cls.__name__]
            assert made.allocator.kind is kind
            assert made == make(segment, cls, made.allocator)
            made.clear()
            segment.check()
            del made
            segment.destroy(cls.__name__)
        gc.collect()
        assert segment.names() == []
        segment.check()


@pytest.mark.parametrize("kind", POOLS)
def test_a_handle_keeps_the_pool(segment: AnonymousSegment, kind: type[Any]) -> None:
    """The pool of a container that is gone lives with its handle, also a pickled one's."""
    made = make(segment, Map, kind)
    pool = pickle.loads(pickle.dumps(made.allocator))
    del made
    gc.collect()
    assert pool.stats().used == 0
    again = make(segment, Map, pool)
    assert again == CONTENT[Map]
    segment.check()
