"""One test body, two implementations: the builtin, and the shared container that stands in for it."""

import collections

import pytest
from other_process import OtherProcess

import mpshm


class Builtin:
    """The reference: whatever it does is right."""

    ours = False
    dict = staticmethod(dict)
    list = staticmethod(list)
    set = staticmethod(set)
    deque = staticmethod(collections.deque)


class Shared:
    """Containers of a manager."""

    ours = True

    def __init__(self, manager):
        self.dict = manager.dict
        self.list = manager.list
        self.set = manager.set
        self.deque = manager.deque


@pytest.fixture(scope="module")
def manager():
    """A manager for the module; its segment must be sound at the end."""
    with mpshm.Manager() as made:
        yield made
        assert made.segment.check() is None


@pytest.fixture(params=["builtin", "mpshm"])
def impl(request):
    """The builtin, then ours, whose segment must be sound after each test."""
    if request.param == "builtin":
        yield Builtin()
        return
    manager = request.getfixturevalue("manager")
    yield Shared(manager)
    assert manager.segment.check() is None


@pytest.fixture(scope="module")
def other():
    """Another process, which can be asked to call a method of a shared object."""
    made = OtherProcess()
    yield made
    made.end()
