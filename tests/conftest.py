"""Fixtures for all tests: nothing may be left behind, and names are this test process's own."""

import gc
import itertools
import os
import re
from pathlib import Path

import pytest

import mpshm

METHODS = ("fork", "spawn", "forkserver")


def left_behind():
    """What has a name of ours in shared memory, but for what another process that lives has named after itself."""
    return {path.name for path in Path("/dev/shm").glob("*mpshm*") if not of_another_test(path.name)}


def of_another_test(name):
    """Whether a test process other than this one is at work on it."""
    pid = re.match(r"mpshm-[a-z]+-(\d+)", name)
    return pid is not None and int(pid[1]) != os.getpid() and Path("/proc", pid[1]).exists()


def open_segments():
    """The memory files of segments that this process has open."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            target = str(path.readlink())
        except OSError:
            continue
        if target.startswith("/memfd:mpshm-"):
            found.add(target)
    return found


@pytest.fixture(scope="session", autouse=True)
def nothing_left():
    """No test may leave anything in /dev/shm."""
    before = left_behind()
    yield
    assert left_behind() <= before


@pytest.fixture(scope="session")
def worker_id():
    """The xdist worker, or 'main'."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture
def unique_name(worker_id):
    """A function that gives names that nobody else uses."""
    numbers = itertools.count()
    return lambda: f"mpshm-test-{os.getpid()}-{worker_id}-{next(numbers)}"


@pytest.fixture
def manager():
    """A started manager, whose segment must be sound at the end."""
    made = mpshm.Manager()
    yield made
    if not made.segment.closed:
        assert made.segment.check() is None
    made.shutdown()


@pytest.fixture
def no_new_segments():
    """After the test this process has no segment open that it did not have before."""
    gc.collect()
    before = open_segments()
    yield
    gc.collect()
    assert open_segments() <= before


@pytest.fixture(params=METHODS)
def ctx(request):
    """Our context, for each start method."""
    return mpshm.get_context(request.param)


@pytest.fixture(scope="session")
def interpreter_env():
    """The environment for an interpreter that imports the mpshm that is tested here."""
    found = str(Path(mpshm.__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (found, os.environ.get("PYTHONPATH"))))}
