"""Where memory in a segment comes from: how the segment finds room, and pools for containers that consist of nodes.

`BestFit` or `SequentialFit` is chosen when a segment is made, one of the pools when a container is. A
container gets the class, or an instance with options: `LinkedList(allocator=NodePool)`,
`Map(allocator=AdaptivePool(nodes_per_chunk=32))`.
"""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from . import _types

if TYPE_CHECKING:
    from .segments import Segment

__all__ = [
    "AdaptivePool",
    "Allocator",
    "BestFit",
    "CachedAdaptivePool",
    "CachedNodePool",
    "NodePool",
    "Pool",
    "PoolStats",
    "Pooled",
    "PrivateAdaptivePool",
    "PrivateNodePool",
    "SequentialFit",
    "pool_for",
    "segment_allocator",
]

_ADAPTIVE, _PRIVATE, _CACHED = 1, 2, 4  # the core's bits of a pool's type
_NODE_MOST = 8192  # bytes
_MOST = 65535  # nodes in a chunk, or in a cache


class Allocator:
    """What all that may be given as `allocator=` have in common. Two with equal options are equal."""

    __slots__ = ("_options",)

    _options: tuple[tuple[str, int], ...]

    def __init__(self, **options: int) -> None:
        self._options = tuple(options.items())

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Allocator) and self._options == other._options

    def __hash__(self) -> int:
        return hash((type(self), self._options))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in self._options)})"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self._options)

    def __getattr__(self, name: str) -> int:
        for known, value in object.__getattribute__(self, "_options"):
            if known == name:
                return int(value)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _rebuild(cls: type[Allocator], options: tuple[tuple[str, int], ...]) -> Allocator:
    made = cls.__new__(cls)
    made._options = options
    return made


class BestFit(Allocator):
    """The smallest free piece that is large enough, found at once if it is small; for segments, their default.

    Source: Boost.Interprocess `rbtree_best_fit`.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()


class SequentialFit(Allocator):
    """The first free piece that is large enough, by address; for segments.

    What is in use gathers at the beginning and the end stays free. Finding a large piece takes the longer, the more
    pieces are free.
    Source: Boost.Interprocess `simple_seq_fit`.
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()


def _number(value: object, name: str, least: int, most: int) -> int:
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name} is an int, not {type(value).__name__}")
    n = index(value)
    if not least <= n <= most:
        raise ValueError(f"{name} must be {least} to {most}, not {n}")
    return n


class _PoolSpec(Allocator):
    """One of the pools."""

    __slots__ = ()

    _type: ClassVar[int]

    def _given(self, name: str) -> int:
        return dict(self._options).get(name, 0)


class NodePool(_PoolSpec):
    """Nodes from a pool that all containers of the segment share which ask alike and have nodes of the same size.

    Args: `nodes_per_chunk`, 1 to 65535: nodes that are taken from the segment at a time.
    Memory stays with the pool until its last container is gone, or `Pool.deallocate_free_chunks()`.
    Raises: TypeError, ValueError.
    Source: Boost.Interprocess `node_allocator`.
    """

    __slots__ = ()
    _type = 0

    def __init__(self, nodes_per_chunk: int = 64) -> None:
        super().__init__(nodes_per_chunk=_number(nodes_per_chunk, "nodes_per_chunk", 1, _MOST))


class PrivateNodePool(NodePool):
    """As NodePool, but a pool of its own for each container. Source: Boost.Interprocess `private_node_allocator`."""

    __slots__ = ()
    _type = _PRIVATE


class CachedNodePool(_PoolSpec):
    """The nodes of the NodePool with the same options, of which each process keeps some at hand for itself.

    Args: as NodePool's; `max_cached_nodes`, 1 to 65535: so many freed nodes stay with each thread's operations.
    A process that ends, in whatever way, gives them back; `Pool.deallocate_cache()` does so at once.
    Raises: TypeError, ValueError.
    Source: Boost.Interprocess `cached_node_allocator`.
    """

    __slots__ = ()
    _type = _CACHED

    def __init__(self, nodes_per_chunk: int = 64, max_cached_nodes: int = 64) -> None:
        super().__init__(
            nodes_per_chunk=_number(nodes_per_chunk, "nodes_per_chunk", 1, _MOST),
            max_cached_nodes=_number(max_cached_nodes, "max_cached_nodes", 1, _MOST),
        )


class AdaptivePool(_PoolSpec):
    """As NodePool, but chunks of which no node is in use go back to the segment by themselves.

    Args: `nodes_per_chunk`, 1 to 65535, at least; `max_free_chunks`, 0 or more: so many free chunks stay;
    `overhead_percent`, 1 to 20: of a chunk's bytes that may serve the pool itself.
    Raises: TypeError, ValueError.
    Source: Boost.Interprocess `adaptive_pool`.
    """

    __slots__ = ()
    _type = _ADAPTIVE

    def __init__(self, nodes_per_chunk: int = 64, max_free_chunks: int = 2, overhead_percent: int = 5) -> None:
        super().__init__(
            nodes_per_chunk=_number(nodes_per_chunk, "nodes_per_chunk", 1, _MOST),
            max_free_chunks=_number(max_free_chunks, "max_free_chunks", 0, (1 << 32) - 1),
            overhead_percent=_number(overhead_percent, "overhead_percent", 1, 20),
        )


class PrivateAdaptivePool(AdaptivePool):
    """As AdaptivePool, but a pool of its own for each container. Source: Boost.Interprocess `private_adaptive_pool`."""

    __slots__ = ()
    _type = _ADAPTIVE | _PRIVATE


class CachedAdaptivePool(_PoolSpec):
    """The nodes of the AdaptivePool with the same options, of which each process keeps some at hand for itself.

    Args: as AdaptivePool's; `max_cached_nodes` as CachedNodePool's. A chunk with a cached node is in use.
    Raises: TypeError, ValueError.
    Source: Boost.Interprocess `cached_adaptive_pool`.
    """

    __slots__ = ()
    _type = _ADAPTIVE | _CACHED

    def __init__(
        self,
        nodes_per_chunk: int = 64,
        max_free_chunks: int = 2,
        overhead_percent: int = 5,
        max_cached_nodes: int = 64,
    ) -> None:
        super().__init__(
            nodes_per_chunk=_number(nodes_per_chunk, "nodes_per_chunk", 1, _MOST),
            max_free_chunks=_number(max_free_chunks, "max_free_chunks", 0, (1 << 32) - 1),
            overhead_percent=_number(overhead_percent, "overhead_percent", 1, 20),
            max_cached_nodes=_number(max_cached_nodes, "max_cached_nodes", 1, _MOST),
        )


_KINDS: dict[int, type[_PoolSpec]] = {
    kind._type: kind
    for kind in (NodePool, PrivateNodePool, CachedNodePool, AdaptivePool, PrivateAdaptivePool, CachedAdaptivePool)
}


class PoolStats(NamedTuple):
    """What a pool holds at one moment.

    `chunks`, of which in an adaptive pool `free_chunks` have no node in use; `nodes` in all chunks: `used` by
    containers, `free`, or `cached` by processes.
    """

    chunks: int
    nodes: int
    used: int
    free: int
    cached: int
    free_chunks: int


class Pool(_types.Pool):
    """A pool in a segment: what a container's `allocator=` came to. May be given as `allocator=` itself."""

    __slots__ = ("__weakref__",)

    @property
    def kind(self) -> type[Allocator]:
        """NodePool, or one of the others."""
        return _KINDS[self._spec[0]]

    @property
    def node_bytes(self) -> int:
        """Bytes of a node."""
        return self._spec[1]

    @property
    def nodes_per_chunk(self) -> int:
        """Nodes of a new chunk."""
        return self._spec[2]

    @property
    def max_cached_nodes(self) -> int:
        """Freed nodes that stay with each thread's operations; 0 in a pool without cache."""
        return self._spec[5]

    def stats(self) -> PoolStats:
        """Count what is there, for a cached pool in the shared one behind it.

        Raises: SegmentClosedError.
        """
        chunks, nodes, free, cached, free_chunks = self._count()
        return PoolStats(chunks, nodes, max(nodes - free - cached, 0), free, cached, free_chunks)

    def __repr__(self) -> str:
        return f"<mpshm.Pool, {self.kind.__name__} of {self.node_bytes}-byte nodes at {id(self):#x}>"


_types.register(_types.Pool, Pool)

Spec: TypeAlias = Allocator | type[Allocator] | Pool | None


def pool_for(segment: Segment, spec: Spec, node_bytes: int) -> Pool | None:
    """The pool that a container of the segment takes its nodes from.

    Args: `spec`, what was given as `allocator=`: a class of allocators, an instance with options, a Pool, or None;
    `node_bytes`, 1 to 8192.
    Returns: a handle; None for the segment's own allocator (None, BestFit, SequentialFit).
    Raises: TypeError for what is no allocator; ValueError for a pool of another segment or with smaller nodes, and for
    nodes that are too large for any; SegmentFullError; SegmentClosedError.
    """
    if isinstance(spec, Pool):
        if spec._segment._pointer != segment._pointer:
            raise ValueError("the pool belongs to another segment")
        if spec.node_bytes < node_bytes:
            raise ValueError(f"the pool's nodes have {spec.node_bytes} bytes, where {node_bytes} are needed")
        return spec
    made = _instance(spec)
    if not isinstance(made, _PoolSpec):
        return None
    node_bytes = _number(node_bytes, "node_bytes", 1, _NODE_MOST)
    given = made._given
    return Pool._for(
        segment,
        made._type,
        node_bytes,
        given("nodes_per_chunk"),
        given("max_free_chunks"),
        given("overhead_percent"),
        given("max_cached_nodes"),
    )


class Pooled:
    """What containers that consist of nodes have in common: the choice of where these come from."""

    __slots__ = ()

    @property
    def allocator(self: Any) -> Pool | type[Allocator]:
        """The Pool that nodes come from; BestFit or SequentialFit where the segment itself has room for each.

        It may be given as `allocator=` to other containers of this segment, which then share the pool.
        Raises: SegmentClosedError.
        """
        pool: Pool | None = self._pool
        return self._segment.allocator if pool is None else pool

    def _allocate_by(self: Any, spec: Spec) -> None:
        """Take all nodes from where was asked for. Raises: as `pool_for`; ValueError if it is not new and empty."""
        if spec is None:
            return
        pool = pool_for(self._segment, spec, self._node_bytes)
        if pool is not None:
            self._use_pool(pool)


def segment_allocator(spec: Allocator | type[Allocator] | None) -> int:
    """The core's number of what was given as a segment's `allocator=`.

    Raises: TypeError for what is no allocator; ValueError for one that is for containers.
    """
    made = _instance(spec)
    if isinstance(made, _PoolSpec):
        raise ValueError(f"{type(made).__name__} is for containers; a segment has BestFit or SequentialFit")
    return int(isinstance(made, SequentialFit))


def _instance(spec: object) -> Allocator:
    if spec is None:
        return BestFit()
    if isinstance(spec, type) and issubclass(spec, Allocator) and spec not in (Allocator, _PoolSpec):
        return spec()
    if isinstance(spec, Allocator):
        return spec
    raise TypeError(f"allocator is a class such as NodePool, or an instance of one, not {spec!r}")
