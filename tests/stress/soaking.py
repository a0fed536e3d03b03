"""What the soaks have in common: workers that report what they do in memory that outlives them, and are killed.

MPSHM_SOAK_SECONDS sets how long (3), MPSHM_SOAK_SEED which operations (random, and printed).
"""

import collections
import contextlib
import ctypes
import mmap
import os
import random
import signal
import subprocess
import sys
import time

import mpshm

SECONDS = float(os.environ.get("MPSHM_SOAK_SECONDS", "3"))
SEED = int(os.environ.get("MPSHM_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
WORKERS = 4
PATIENCE_S = 5  # on top of what a wait was given, on a busy machine
SLOTS = 1 << 16  # items that one worker may report
WIDTH = 8  # items that are written as one


def limited(wait, timeout):
    """A wait that must not last longer than asked for."""
    begun = time.monotonic()
    try:
        return wait(timeout)
    finally:
        assert time.monotonic() - begun < timeout + PATIENCE_S, "a wait went past its timeout"


def report_type(*counts, held=0):
    """A structure for what a worker did, in memory that a kill does not reach.

    Of each of `counts` it has a number `..._begun` that runs ahead of `..._done` by one at most; besides, the items
    that were got, whether one is just being got, and `held` numbers for what the worker has in its hands.
    """
    fields = [(f"{count}_{when}", ctypes.c_int64) for count in ("put", *counts) for when in ("begun", "done")]
    fields += [("got", ctypes.c_int64), ("getting", ctypes.c_int64), ("items", ctypes.c_int64 * SLOTS)]
    fields += [("held", ctypes.c_int64 * held)]
    return type("Report", (ctypes.Structure,), {"_fields_": tuple(fields)})


class Progress:
    """A report, and the name that the worker's items carry."""

    def __init__(self, report, name):
        self.__dict__["report"] = report.from_buffer(mmap.mmap(-1, ctypes.sizeof(report)))
        self.__dict__["put_name"] = name

    def __getattr__(self, field):
        return getattr(self.report, field)

    def __setattr__(self, field, value):
        setattr(self.report, field, value)

    def note(self, name, number):
        """An item was got."""
        self.items[self.got] = name << 32 | number
        self.got = self.got + 1


class Known:
    """Somebody whose doings are known."""

    def __init__(self, name, report):
        self.name = name
        self.progress = Progress(report, name)


class Worker(Known):
    """A running worker: `work(seed, shared, progress)` in a process of its own."""

    def __init__(self, name, work, shared, report):
        super().__init__(name, report)
        context = mpshm.get_context("fork")
        self.process = context.Process(target=work, args=(SEED + name, shared, self.progress), daemon=True)
        self.process.start()

    def kill(self):
        with contextlib.suppress(ProcessLookupError):  # it ended by itself, which is told below
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(PATIENCE_S)
        assert self.process.exitcode == -signal.SIGKILL, f"worker {self.name}: exit {self.process.exitcode}"
        self.process.close()


def verify_items(killed, left):
    """Each item that was put is got once, or among those `left`; a killed worker may have lost the one that it was just
    getting, and put one that it did not come to report."""
    got = collections.Counter(
        (w.progress.items[i] >> 32, w.progress.items[i] & 0xFFFFFFFF) for w in killed for i in range(w.progress.got)
    )
    got.update(left)
    assert all(count == 1 for count in got.values()), "an item came twice"
    lost = []
    for w in killed:
        lost += [(w.name, number) for number in range(w.progress.put_done) if (w.name, number) not in got]
        assert not any((w.name, number) in got for number in range(w.progress.put_begun, w.progress.put_begun + 3))
    known = {w.name for w in killed}
    assert all(name in known for name, _ in got), "an item that nobody put"
    getting = sum(w.progress.getting for w in killed)
    assert len(lost) <= getting, f"{len(lost)} items were lost by {getting} kills: {lost}"


def run_alone(file):
    """Run a soak in an interpreter of its own."""
    print(f"MPSHM_SOAK_SEED={SEED}")
    environment = {**os.environ, "MPSHM_SOAK_SEED": str(SEED), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, "-W", "ignore", file], env=environment, start_new_session=True)
    try:
        assert process.wait(SECONDS * 3 + 90) == 0
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
