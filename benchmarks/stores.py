"""What keeps arrays where other processes find them: ours and its peers with one interface, and how they are timed.

`put` replaces what was under the key. What `get` returns may need its store: `forget` it before the next `get`.
The peers that know bytes only are given flat arrays of float64; the others take anything that can be pickled.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import multiprocessing
import os
import shutil
import signal
import statistics
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing import connection, shared_memory
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

import mpshm
from benchmarks import table

Result = TypeVar("Result")

CONTEXT = multiprocessing.get_context("fork")
DTYPE = np.dtype(np.float64)
RAM = Path("/dev/shm")
RAY_BYTES = 1 << 30
ROOM = 4 << 30  # bytes of /dev/shm that the peers below may need
COPY_TIMES = 1.11  # a put may take so many times what a copy takes: 0.9 of its bandwidth
IN_RAM = {"lmdb", "SharedArray", "shared_memory", "joblib", "Ray"}


def scratch(root: Path | None = RAM) -> str:
    return tempfile.mkdtemp(prefix="benchmark-", dir=root)


def remove_folder(folder: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)


class Store:
    """One way to keep values under keys. A fork has it as well, if it was detached before."""

    put: Callable[[Any, Any], None]
    get: Callable[[Any], Any]

    def forget(self) -> None:
        """Nobody uses what the last `get` returned."""

    def detach(self) -> None:
        """Nothing is open that would not outlive a fork; what is needed opens again when used."""

    def close(self) -> None:
        """Nothing is left of what was put."""


class Memcpy(Store):
    """A copy into warm memory that nobody else sees: what a put can't do without."""

    def __init__(self) -> None:
        self.buffers: dict[Any, np.ndarray] = {}

    def put(self, key: Any, value: np.ndarray) -> None:
        buffer = self.buffers.get(key)
        if buffer is None or buffer.shape != value.shape:
            buffer = self.buffers[key] = np.zeros(value.shape, value.dtype)
        np.copyto(buffer, value)

    def get(self, key: Any) -> np.ndarray:
        return self.buffers[key]

    def close(self) -> None:
        self.buffers.clear()


class Ours(Store):
    def __init__(self) -> None:
        self.manager = mpshm.Manager()
        self.values = self.manager.dict()
        self.put, self.get = self.values.__setitem__, self.values.__getitem__

    def close(self) -> None:
        self.manager.shutdown()


def viewer(store: Store) -> Callable[[Any], Any] | None:
    """Of a store of ours: `get` without the right to write, and without a copy at any size."""
    return getattr(store.values, "view", None) if isinstance(store, Ours) else None


class StdlibManager(Store):
    def __init__(self) -> None:
        self.values = table.stdlib_manager().dict()
        self.put, self.get = self.values.__setitem__, self.values.__getitem__

    def close(self) -> None:
        self.values.clear()


class Lmdb(Store):
    """lmdb without any sync, in memory.

    A get is a view that is good until its transaction ends; the binding touches each of its pages.
    """

    def __init__(self) -> None:
        self.folder = scratch()
        self.opened: Any = None
        self.reading: Any = None

    @property
    def environment(self) -> Any:
        if self.opened is None:
            import lmdb

            self.opened = lmdb.open(
                self.folder, map_size=8 << 30, writemap=True, sync=False, metasync=False, readahead=False
            )
        return self.opened

    def put(self, key: Any, value: np.ndarray) -> None:
        with self.environment.begin(write=True) as transaction:
            transaction.put(str(key).encode(), memoryview(value).cast("B"))

    def get(self, key: Any) -> np.ndarray:
        self.reading = self.environment.begin(buffers=True)
        return np.frombuffer(self.reading.get(str(key).encode()), DTYPE)

    def forget(self) -> None:
        if self.reading is not None:
            self.reading.abort()  # pages that a reader may see are not used again
            self.reading = None

    def detach(self) -> None:
        self.forget()
        if self.opened is not None:
            self.opened.close()
            self.opened = None

    def close(self) -> None:
        self.detach()
        remove_folder(self.folder)


class Named(Store):
    """What has a segment with a name for each array: a put makes a new one."""

    make: Callable[[str, np.ndarray], None]
    remove: Callable[[str], None]

    def __init__(self) -> None:
        self.prefix = f"benchmark-{os.getpid()}-{id(self)}-"
        self.keys: set[Any] = set()

    def close(self) -> None:
        self.forget()
        for key in self.keys:
            self.remove(self.prefix + str(key))
        self.keys.clear()

    def put(self, key: Any, value: np.ndarray) -> None:
        name = self.prefix + str(key)
        if key in self.keys:
            self.remove(name)
        self.keys.add(key)
        self.make(name, value)


class SharedArray(Named):
    def make(self, name: str, value: np.ndarray) -> None:
        import SharedArray

        SharedArray.create(f"shm://{name}", value.shape, value.dtype)[:] = value

    def get(self, key: Any) -> np.ndarray:
        import SharedArray

        return SharedArray.attach(f"shm://{self.prefix}{key}")

    def remove(self, name: str) -> None:
        import SharedArray

        SharedArray.delete(f"shm://{name}")


class StdlibSharedMemory(Named):
    def __init__(self) -> None:
        super().__init__()
        self.got: shared_memory.SharedMemory | None = None
        self.sizes: dict[str, int] = {}  # of the arrays: the segment's may be larger

    def make(self, name: str, value: np.ndarray) -> None:
        made = shared_memory.SharedMemory(name, create=True, size=value.nbytes)
        np.copyto(np.frombuffer(made.buf, DTYPE, value.size), value)
        made.close()
        self.sizes[name] = value.size

    def get(self, key: Any) -> np.ndarray:
        name = self.prefix + str(key)
        self.got = shared_memory.SharedMemory(name)
        return np.frombuffer(self.got.buf, DTYPE, self.sizes[name])

    def forget(self) -> None:
        if self.got is not None:
            self.got.close()
            self.got = None

    def remove(self, name: str) -> None:
        gone = shared_memory.SharedMemory(name)
        gone.close()
        gone.unlink()


class Joblib(Store):
    """joblib's file of a value in memory; arrays are mapped from it copy-on-write."""

    def __init__(self) -> None:
        import joblib

        self.folder = scratch()
        self.dump, self.load = joblib.dump, joblib.load

    def put(self, key: Any, value: Any) -> None:
        self.dump(value, f"{self.folder}/{key}")

    def get(self, key: Any) -> Any:
        return self.load(f"{self.folder}/{key}", mmap_mode="c")

    def close(self) -> None:
        remove_folder(self.folder)


class Ray(Store):
    """Ray's object store. Starts several processes: only in one of its own, see `in_ray`."""

    def __init__(self, folder: str) -> None:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        import ray

        self.ray = ray
        ray.init(
            num_cpus=1,
            object_store_memory=RAY_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
        self.references: dict[Any, Any] = {}

    def put(self, key: Any, value: Any) -> None:
        self.references[key] = self.ray.put(value)

    def get(self, key: Any) -> Any:
        return self.ray.get(self.references[key])

    def close(self) -> None:
        self.references.clear()
        self.ray.shutdown()


# In the order of the columns; Ray is not for `opened`.
STORES: dict[str, Callable[[], Store]] = {
    "Manager": StdlibManager,
    "mpshm": Ours,
    "memcpy": Memcpy,
    "lmdb": Lmdb,
    "SharedArray": SharedArray,
    "shared_memory": StdlibSharedMemory,
    "joblib": Joblib,
}
MODULES = {
    "lmdb": "lmdb",
    "SharedArray": "SharedArray",
    "joblib": "joblib",
    "Ray": "ray",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
}


def note(text: str) -> None:
    print(f"left out: {text}", file=sys.stderr)


def installed(names: Iterable[str]) -> list[str]:
    """Those of the names whose package, and room in /dev/shm, is there; the others are noted."""
    found = []
    free = shutil.disk_usage(RAM).free
    for name in names:
        if name in MODULES and importlib.util.find_spec(MODULES[name]) is None:
            note(f"{name}, which is not installed")
        elif name in IN_RAM and free < ROOM:
            note(f"{name}: {RAM} has only {free >> 20} MiB free")
        else:
            found.append(name)
    return found


@contextlib.contextmanager
def opened(names: Iterable[str], more: Mapping[str, Callable[[], Store]] | None = None) -> Iterator[dict[str, Store]]:
    """A new store of each name, and of each that is made by `more`, while in the block."""
    with contextlib.ExitStack() as stack:
        stores = {}
        for name, make in {**{name: STORES[name] for name in names}, **(more or {})}.items():
            stores[name] = make()
            stack.callback(stores[name].close)
        yield stores


def in_turns(
    acts: dict[str, Callable[[], Any]], rounds: int, warm: int = 1, stores: dict[str, Store] | None = None
) -> dict[str, list[float]]:
    """Seconds that each takes, in turns; to drop what it returns is not part of it."""
    taken: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(warm + rounds):
        for name, act in acts.items():
            begun = perf_counter()
            result = act()
            ended = perf_counter()
            del result
            if stores is not None and name in stores:
                stores[name].forget()
            if number >= warm:
                taken[name].append(ended - begun)
    return taken


def medians(taken: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in taken.items() if values}


def row(what: str, taken: dict[str, list[float]], **targets: Any) -> table.Row:
    """A line of the table from the seconds of each implementation."""
    return table.Row(what, medians(taken), spread=table.spread(taken.get("mpshm", [])), **targets)


def _answer(answer: Any, act: Callable[..., Any], args: tuple[Any, ...]) -> None:
    os.setsid()
    try:
        answer.send((True, act(*args)))
    except Exception:
        answer.send((False, traceback.format_exc()))


def in_fork(act: Callable[..., Any], *args: Any, limit_s: float = 120) -> Any:
    """What the function returns in a forked process, which with its descendants is gone afterwards.

    Raises: RuntimeError if it raised, died or took too long.
    """
    results, answer = CONTEXT.Pipe(duplex=False)
    sys.stdout.flush()
    process = CONTEXT.Process(target=_answer, args=(answer, act, args))
    process.start()
    answer.close()
    try:
        if not results.poll(limit_s):
            raise RuntimeError(f"no answer in {limit_s} s")
        good, result = results.recv()
        connection.wait([process.sentinel], 10)
    except EOFError:
        raise RuntimeError("the process died") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()
        results.close()
    if not good:
        raise RuntimeError(result)
    return result


def _with_ray(act: Callable[[Store], Result], folder: str) -> Result:
    with contextlib.closing(Ray(folder)) as store:
        return act(store)


def in_ray(act: Callable[[Store], Result]) -> Result | None:
    """What the function returns for a Ray of its own, or nothing: its processes are there for that time only."""
    if not installed(["Ray"]):
        return None
    folder = scratch(None)
    try:
        return in_fork(_with_ray, act, folder)
    except RuntimeError as problem:
        note(f"Ray: {str(problem).strip().splitlines()[-1]}")
        return None
    finally:
        remove_folder(folder)
