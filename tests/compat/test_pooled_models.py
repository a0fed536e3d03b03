"""Whatever the nodes come from, sorted containers and lists are what they are without a pool."""

import hypothesis
import hypothesis.strategies as st
import pytest
from test_growing_models import LIST_OPERATIONS, VALUES, apply
from test_sorted_model import KINDS, machine

import mpshm

pytestmark = pytest.mark.once

SPECS = [
    mpshm.NodePool,
    mpshm.NodePool(nodes_per_chunk=2),
    mpshm.PrivateNodePool(nodes_per_chunk=3),
    mpshm.CachedNodePool(nodes_per_chunk=3, max_cached_nodes=2),
    mpshm.AdaptivePool(nodes_per_chunk=2, max_free_chunks=0),
    mpshm.PrivateAdaptivePool(nodes_per_chunk=1, max_free_chunks=1),
    mpshm.CachedAdaptivePool(nodes_per_chunk=2, max_free_chunks=0, max_cached_nodes=3),
]
FITS = [mpshm.BestFit, mpshm.SequentialFit]


class Maker:
    """Makes maps with one allocator, as a manager makes them without."""

    def __init__(self, segment, spec):
        self.segment, self.spec = segment, spec

    def map(self, content):
        return mpshm.Map._make(self.segment, content, allocator=self.spec)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_map(spec, fit):
    """A Map is a sorted dict, and nothing of it is left when it is gone."""
    segment = mpshm.AnonymousSegment(1 << 20, 64 << 20, allocator=fit)
    model = machine(KINDS["numbers"], lambda: Maker(segment, spec))
    hypothesis.stateful.run_state_machine_as_test(
        model, settings=hypothesis.settings(max_examples=8, stateful_step_count=20, deadline=None)
    )
    segment.check()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fit", FITS, ids=lambda fit: fit.__name__)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_linked_list(spec, fit):
    """A LinkedList is a list; its pool's nodes are as many as its items at any time."""
    segment = mpshm.AnonymousSegment(1 << 20, 64 << 20, allocator=fit)
    other = mpshm.LinkedList._make(segment, range(5), allocator=spec)

    @hypothesis.settings(max_examples=40, deadline=None)
    @hypothesis.given(start=st.lists(VALUES, max_size=10), operations=st.lists(LIST_OPERATIONS, max_size=25))
    def check(start, operations):
        model, shared = list(start), mpshm.LinkedList._make(segment, start, allocator=spec)
        mine = shared.allocator._offset != other.allocator._offset
        for name, args in operations:
            assert apply(shared, name, args) == apply(model, name, args)
            assert shared == model
            assert shared.allocator.stats().used == len(model) + (0 if mine else 5)
        segment.check()

    check()
    assert list(other) == list(range(5))
