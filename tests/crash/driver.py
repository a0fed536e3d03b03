"""Runs one scenario in an interpreter of the crash build: kills its operation at every numbered point.

For n = 1, 2, ...: a fresh manager and fresh things; a child process arms the core to die at its n-th point and runs the
operation; this process reaps it, recovers, and looks. It ends with the first n at which the operation lives.

    driver.py NAME [--first N] [--stride N] [--most N] [--recover]
    driver.py --serve

`--most` kills at so many points at most, spread over all of them from a random one on, which is printed.

`--recover` kills the recovery: the operation's victim dies at a point, then a second child, which recovers it, dies at
every point of that in turn. Prints the number of kills; an exit status other than 0 has its reason above it.

`--serve` reads command lines, runs each in a child, and answers with its status, the length of its output, and that.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import mmap
import os
import random
import shlex
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

from scenarios import SCENARIOS, Scenario, Things

import mpshm
from mpshm import _binding, queues

LIMIT_S = 20
WAIT_S = 5.0  # far above the 100 ms that a dead owner may cost, far below a hang, also on a busy machine


def dies_in(n: int, act: Callable[..., object], *args: object) -> bool:
    """Run act in a child that dies at its n-th point; False when the child outlived it."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _binding.lib.mps_crash_arm(n)
            act(*args)
            _binding.lib.mps_crash_arm(0)
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)
    _, how = os.waitpid(pid, 0)
    if os.WIFSIGNALED(how) and os.WTERMSIG(how) == signal.SIGKILL:
        return True
    assert os.waitstatus_to_exitcode(how) == 0, f"the operation failed by itself: {how}"
    return False


def fresh(scenario: Scenario) -> Things:
    """New things in a new manager; nobody but they refers to either, so that a child can leave."""
    return scenario.setup(mpshm.Manager())


def look_after(scenario: Scenario, things: Things) -> object:
    """What is there after the kill; everything must be sound, at hand at once, and usable."""
    segment = things["m"].segment
    begin = time.monotonic()
    seen = scenario.look(things)
    use(things["d"])
    segment.recover()
    segment.check()
    took = time.monotonic() - begin
    assert took < WAIT_S, f"waited {took:.3f} s after the death of a process"
    return seen


def use(shared: object) -> None:
    """A change of the object that was being changed when its changer died: it must go through."""
    if hasattr(shared, "acquire"):
        assert shared.acquire(timeout=LIMIT_S)
        shared.release()
    elif isinstance(shared, mpshm.Dict):
        shared["used afterwards"] = 1
        assert shared.pop("used afterwards") == 1
    elif isinstance(shared, mpshm.Set):
        shared.add("used afterwards")
        shared.remove("used afterwards")
    elif isinstance(shared, queues.Queue):
        use_queue(shared)
    elif isinstance(shared, mpshm.Vector):
        shared.insert(0, shared.dtype.type())
        shared.pop(0)
    elif isinstance(shared, mpshm.String):
        shared.insert(0, b"!" if shared.is_bytes else "!")
        del shared[0]
    elif isinstance(shared, (mpshm.List, mpshm.Deque, mpshm.LinkedList)):
        shared.append(1)
        assert shared.pop() == 1


def use_queue(shared: queues.Queue[Any]) -> None:
    try:
        shared.put("used afterwards", timeout=0)
    except queues.Full:
        shared.get(timeout=0)
    except queues.ShutDown:
        return
    assert shared.get(timeout=LIMIT_S) is not None


def points_of(scenario: Scenario) -> int:
    """How many points the operation passes when nobody kills it."""
    things = fresh(scenario)
    passed = ctypes.c_uint64.from_buffer(mmap.mmap(-1, mmap.PAGESIZE))

    def count(things: Things) -> None:
        scenario.op(things)
        passed.value = _binding.lib.mps_crash_count()

    assert not dies_in(1 << 62, count, things)
    things["m"].shutdown()
    return passed.value


def spread(scenario: Scenario, most: int) -> tuple[int, int]:
    """The first point and the distance to the next, for so many kills at most."""
    stride = -(-points_of(scenario) // most)
    first = random.SystemRandom().randint(1, stride) if stride > 1 else 1
    if stride > 1:
        print(f"--first {first} --stride {stride}")
    return first, max(stride, 1)


def outcomes(scenario: Scenario) -> tuple[object, object]:
    """What look shows before the operation, and after it, undisturbed, in a child as in the kills."""
    things = fresh(scenario)
    before = scenario.look(things)
    assert not dies_in(0, scenario.op, things)
    after = scenario.look(things)
    things["m"].shutdown()
    return before, after


def kill_everywhere(scenario: Scenario, first: int, stride: int) -> int:
    before, after = outcomes(scenario)
    kills, n = 0, first
    while True:
        signal.alarm(LIMIT_S)
        things = fresh(scenario)
        died = dies_in(n, scenario.op, things)
        seen = look_after(scenario, things)
        assert seen in (before, after), f"at point {n}: {seen!r} is neither {before!r} nor {after!r}"
        assert died or seen == after, f"the operation ended, but left {seen!r}, not {after!r}"
        used_up(things)
        if not died:
            return kills
        kills += 1
        n += stride


def used_up(things: Things) -> None:
    """With the last handle and name gone, nothing is left in the segment."""
    manager = things["m"]
    tokens = things.pop("tokens", 0)
    things.clear()
    gc.collect()
    for name in manager.segment.names():
        manager.segment.destroy(name)
    manager.segment.recover()
    manager.segment.check()
    stats = manager.segment.stats()
    assert stats.objects <= tokens, f"{stats.objects} objects are left, of {tokens} that may be on their way"
    manager.shutdown()


def ready_to_recover(things: Things, n: int) -> Callable[[], bool]:
    """A child, forked before anybody dies, that will recover and die at its n-th point; called, lets it go on."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        _binding.lib.mps_crash_arm(n)
        things["m"].segment.recover()
        _binding.lib.mps_crash_arm(0)
        os._exit(0)
    os.close(read)

    def go_on() -> bool:
        os.close(write)
        _, how = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(how) or os.waitstatus_to_exitcode(how) == 0
        return os.WIFSIGNALED(how)

    return go_on


def kill_recovery(scenario: Scenario, first: int, stride: int) -> int:
    before, after = outcomes(scenario)
    kills, n = 0, first
    while True:
        m = 1
        while True:
            signal.alarm(LIMIT_S)
            things = fresh(scenario)
            recover = ready_to_recover(things, m)
            if not dies_in(n, scenario.op, things):
                recover()
                return kills
            died = recover()
            seen = look_after(scenario, things)
            assert seen in (before, after), f"at points {n}, {m}: {seen!r} is neither {before!r} nor {after!r}"
            used_up(things)
            if not died:
                break
            kills += 1
            m += 1 + m // 4  # the first points closely, the long rest of a recovery ever more widely
        n += stride


def run(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(SCENARIOS))
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--most", type=int, help="kills, of the operation itself")
    parser.add_argument("--recover", action="store_true")
    args = parser.parse_args(argv)
    if _binding.lib.mps_crash_arm(0) != 0:
        parser.error("needs the crash build: python build_ffi.py --variant crash --package-dir DIR; PYTHONPATH=DIR")
    kill = kill_recovery if args.recover else kill_everywhere
    first, stride = (args.first, args.stride) if args.most is None else spread(SCENARIOS[args.name], args.most)
    kills = kill(SCENARIOS[args.name], first, stride)
    print(f"{args.name}: {kills} kills", flush=True)


def serve() -> None:
    """Saves the many runs of a test run the start of an interpreter each."""
    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            pid = os.fork()
            if pid == 0:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                status = 1
                try:
                    run(shlex.split(line))
                    status = 0
                except SystemExit as error:
                    status = 2 if error.code else 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stdout.flush()
                    sys.stderr.flush()
                    os._exit(status)
            _, how = os.waitpid(pid, 0)
            output.seek(0)
            text = output.read()
        sys.stdout.write(f"{os.waitstatus_to_exitcode(how)} {len(text)}\n")
        sys.stdout.flush()
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else run(sys.argv[1:])
