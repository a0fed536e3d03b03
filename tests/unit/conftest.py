"""Segments of each kind."""

import gc
import mmap
from pathlib import Path

import pytest

import mpshm
from mpshm import ManagedExternalBuffer, ManagedHeapMemory, ManagedMappedFile, ManagedSharedMemory

MIB = 1 << 20


@pytest.fixture(params=["shm", "file"])
def kind(request, unique_name, tmp_path):
    """A class with a name of its own, which is removed afterwards; and a function that opens it."""
    cls = ManagedSharedMemory if request.param == "shm" else ManagedMappedFile
    name = unique_name() if request.param == "shm" else str(tmp_path / "segment")

    class Kind:
        backing = request.param
        path = Path("/dev/shm", name)

        def __call__(self, *args, **kwds):
            return cls(name, *args, **kwds)

        def remove(self):
            return cls.remove(name)

    made = Kind()
    made.cls, made.name = cls, name
    yield made
    gc.collect()
    made.remove()


@pytest.fixture(params=["shm", "file", "anonymous", "heap", "buffer", "copy"])
def any_segment(request, unique_name, tmp_path):
    """One new segment of each kind."""
    if request.param == "shm":
        made = ManagedSharedMemory(unique_name(), "x", MIB)
    elif request.param == "file":
        made = ManagedMappedFile(tmp_path / "segment", "x", MIB)
    elif request.param == "anonymous":
        made = mpshm.AnonymousSegment(MIB)
    elif request.param == "heap":
        made = ManagedHeapMemory(MIB)
    elif request.param == "buffer":
        made = ManagedExternalBuffer(mmap.mmap(-1, 2 * MIB))
    else:
        with ManagedMappedFile(tmp_path / "segment", "x", MIB):
            made = ManagedMappedFile(tmp_path / "segment", "c")
    yield made
    if request.param == "shm":
        made.unlink()
