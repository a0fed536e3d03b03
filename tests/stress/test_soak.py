"""Workers that are killed at random moments, again and again: nothing inconsistent, nothing lost, nobody waits.

Each worker does a sequence of operations that its seed determines, on a dict and a list of its own, which all others
read, and on shared ones. After each batch of operations it writes their number where the kill does not reach. After
the kill, what is in its dict and list must be what the same sequence leaves in a builtin dict and list after some
whole number of operations between the last batch that it finished and the one that it had begun.

MPSHM_SOAK_SECONDS sets how long (3), MPSHM_SOAK_SEED which sequences (random, and printed).
"""

import ctypes
import faulthandler
import gc
import itertools
import mmap
import os
import random
import signal
import subprocess
import sys
import time

import pytest

import mpshm

SECONDS = float(os.environ.get("MPSHM_SOAK_SECONDS", "3"))
SEED = int(os.environ.get("MPSHM_SOAK_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
WORKERS = 3
BATCH = 8
# What somebody who needs something that a dead worker held may have to wait, on a busy machine.
PATIENCE_S = 5


def text(rng):
    """A text that fits into an entry, or one that needs a block, or a large one."""
    return "x" * rng.choice([0, 5, 14, 15, 40, 300, 4096, 9000])


def operations(rng):
    """The sequence of a worker: (name, arguments...) for `do`. Each changes something in a way of its own."""
    for number in itertools.count():
        key = rng.choice([rng.randrange(40), f"key {rng.randrange(40)}", ("tuple", rng.randrange(20))])
        kind = rng.randrange(20)
        if kind < 4:
            yield "set", key, (number, text(rng))
        elif kind < 6:
            yield "pop", key
        elif kind == 6:
            yield "update", {rng.randrange(60): (number, text(rng)) for _ in range(rng.randrange(1, 15))}
        elif kind == 7:
            yield "setdefault", key, [number, text(rng)]
        elif kind == 8:
            yield "popitem", number
        elif kind == 9:
            yield ("clear", number) if rng.random() < 0.1 else ("incr", "count", number)
        elif kind == 10:
            yield "compute", "computed", number
        elif kind < 14:
            yield "append", (number, text(rng))
        elif kind == 14:
            yield "extend", [(number, i) for i in range(rng.randrange(1, 30))]
        elif kind == 15:
            yield "insert", rng.randrange(10), (number, text(rng))
        elif kind == 16:
            yield "pop item", rng.choice([0, -1, 5])
        elif kind == 17:
            start = rng.randrange(20)
            yield "slice", start, start + rng.randrange(10), [(number, i) for i in range(rng.randrange(12))]
        elif kind == 18:
            yield ("shorten", 30) if rng.random() < 0.5 else ("reverse", number)
        else:
            yield "nested", key, number


def do(d, x, operation, nested):
    """One operation, on builtins as on shared ones; `nested` makes the list that goes into the dict."""
    name, first, *more = operation
    if name == "set":
        d[first] = more[0]
    elif name == "pop":
        d.pop(first, None)
    elif name == "update":
        d.update(first)
    elif name == "setdefault":
        d.setdefault(first, more[0])
    elif name == "popitem":
        if len(d):
            d.popitem()
    elif name == "clear":
        d.clear()
    elif name == "incr":
        increase(d, first, more[0])
    elif name == "compute":
        put_computed(d, first, more[0])
    elif name == "append":
        x.append(first)
    elif name == "extend":
        x.extend(first)
    elif name == "insert":
        x.insert(first, more[0])
    elif name == "pop item":
        if len(x) > 10:
            x.pop(first)
    elif name == "slice":
        x[first : more[0]] = more[1]
    elif name == "shorten":
        del x[first:]
    elif name == "reverse":
        x.reverse()
    elif name == "nested":
        d[first] = nested([more[0], [more[0]]])


def increase(d, key, n):
    if isinstance(d, dict):
        d[key] = d.get(key, 0) + n
    else:
        d.incr(key, n)


def put_computed(d, key, number):
    if isinstance(d, dict):
        d[key] = [number]
    else:
        d.compute(key, lambda old: [number])


class Shared:
    """What all workers change and read."""

    def __init__(self, manager):
        self.everybody = manager.dict(left=0, right=0)
        self.log = manager.list()
        self.totals = manager.dict()
        self.guarded = manager.dict(first=0, second=0)
        self.own = [(manager.dict(), manager.list()) for _ in range(WORKERS)]


def add_under_lock(guarded):
    """Two steps under a lock. Who gets it from a dead one puts right what that one left; nobody else needs to."""
    lock = guarded.lock
    with lock:
        if lock.owner_died:
            guarded["second"] = guarded["first"]
        assert guarded["first"] == guarded["second"], "a holder died, and the next was not told"
        guarded["first"] = guarded["first"] + 1
        guarded["second"] = guarded["second"] + 1


def work(seed, manager, place, shared, finished):
    """Do operations until killed; `finished` is the number of those that are done, in memory that outlives it."""
    d, x = shared.own[place]
    sequence = operations(random.Random(seed))
    rng = random.Random(seed + 1)
    while True:
        for operation in itertools.islice(sequence, BATCH):
            do(d, x, operation, manager.list)
        done = finished.value = finished.value + BATCH
        shared.totals.incr(seed)
        shared.totals.incr("all")
        shared.log.append((seed, done))
        shared.everybody[rng.randrange(100)] = (seed, text(rng))
        shared.everybody.pop(rng.randrange(100), None)
        shared.everybody.update({"left": done, "right": done})
        seen = shared.everybody.copy()
        assert seen["left"] == seen["right"], "half an update"
        add_under_lock(shared.guarded)
        other = rng.choice(shared.own)
        other[0].get("count"), other[0].copy(), len(other[0]), other[1][:], list(other[1])
        manager.dict(a=manager.list([1, text(rng)]))


class Worker:
    """A running worker, and what its dict and list may hold."""

    def __init__(self, manager, seed, place, shared):
        self.seed, self.place, self.own = seed, place, shared.own[place]
        # What a killed predecessor left is where this one starts.
        self.start = plain(self.own[0]), plain(self.own[1])
        self.finished = ctypes.c_int64.from_buffer(mmap.mmap(-1, mmap.PAGESIZE))
        context = mpshm.get_context("fork")
        arguments = (seed, manager, place, shared, self.finished)
        self.process = context.Process(target=work, args=arguments, daemon=True)
        self.process.start()

    def kill(self):
        """Kill it, and wait until it is gone. It must have been running until then."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join(PATIENCE_S)
        assert self.process.exitcode == -signal.SIGKILL, f"worker {self.seed}: exit {self.process.exitcode}"
        self.process.close()

    def verify(self):
        """Its dict and list are as after some whole number of operations."""
        begun = time.monotonic()
        found = list(plain(self.own[0]).items()), plain(self.own[1])
        assert time.monotonic() - begun < PATIENCE_S, "reading what a dead one left took too long"
        d, x = dict(self.start[0]), list(self.start[1])
        sequence = operations(random.Random(self.seed))
        for operation in itertools.islice(sequence, self.finished.value):
            do(d, x, operation, list)
        for operation in itertools.islice(sequence, BATCH):
            if (list(d.items()), x) == found:
                return
            do(d, x, operation, list)
            last = operation
        assert (list(d.items()), x) == found, (
            f"worker {self.seed}: not as after {self.finished.value} to +{BATCH} operations, the last {last}"
        )


def plain(value):
    """The content as builtins, also of what is nested."""
    if isinstance(value, mpshm.Dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, mpshm.List):
        return [plain(item) for item in value[:]]
    return value


def verify_shared(shared, killed):
    """What all changed agrees with what each had reported; `killed` are those that worked since the last time."""
    log, totals = shared.log[:], shared.totals.copy()
    for worker in killed:
        batches = worker.finished.value // BATCH
        mine = [done for seed, done in log if seed == worker.seed]
        assert mine == [BATCH * (i + 1) for i in range(len(mine))], f"worker {worker.seed}: items lost or doubled"
        assert batches - 1 <= len(mine) <= batches
        assert batches - 1 <= totals.pop(worker.seed, 0) <= batches
    by_seed = sum(shared.totals.get(worker.seed, 0) for worker in killed)
    assert by_seed - len(killed) <= totals.pop("all", 0) <= by_seed
    assert totals == {} and len(log) == sum(seed in {w.seed for w in killed} for seed, done in log)
    begun = time.monotonic()
    add_under_lock(shared.guarded)
    shared.log.clear()
    shared.totals.clear()
    assert time.monotonic() - begun < PATIENCE_S, "changing what dead ones had used took too long"
    assert shared.everybody["left"] == shared.everybody["right"]


def soak():
    """Start workers, kill them, and verify, for so long. Run in an interpreter of its own."""
    # A wait that never ends ends here, with a traceback.
    faulthandler.dump_traceback_later(SECONDS * 3 + 30, exit=True)
    rng = random.Random(SEED)
    seeds = itertools.count(SEED, 2)
    with mpshm.Manager() as manager:
        before = manager.segment.stats()
        shared = Shared(manager)
        workers, killed, rounds, end = {}, [], 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            for place in set(range(WORKERS)) - set(workers):
                workers[place] = Worker(manager, next(seeds), place, shared)
            time.sleep(rng.choice([0, 0.001, 0.005, 0.02, 0.05]) * rng.random())
            worker = workers.pop(rng.choice(list(workers)))
            worker.kill()
            worker.verify()
            killed.append(worker)
            rounds += 1
            if rounds % 5 == 0:
                assert manager.segment.check() is None
            if rounds % 20 == 0:
                end_all(workers, killed)
                verify_shared(shared, killed)
                killed.clear()
                assert manager.segment.check() is None
        end_all(workers, killed)
        verify_shared(shared, killed)
        manager.segment.recover()
        assert manager.segment.check() is None
        assert rounds > SECONDS
        del worker, shared
        killed.clear()
        gc.collect()
        after = manager.segment.stats()
        assert (after.objects, after.blocks) == (before.objects, before.blocks)
        assert after.processes == before.processes
        print(f"{rounds} kills, {after.recoveries} recoveries")


def end_all(workers, killed):
    """Kill all that run, and verify them when all are dead."""
    ended = list(workers.values())
    workers.clear()
    for worker in ended:
        worker.kill()
    for worker in ended:
        worker.verify()
    killed.extend(ended)


@pytest.mark.timeout(SECONDS * 3 + 90)
def test_soak():
    """After every kill: all operations whole, the segment sound, sums within what was reported, no long wait."""
    print(f"MPSHM_SOAK_SEED={SEED}")
    environment = {**os.environ, "MPSHM_SOAK_SEED": str(SEED), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-W", "ignore", __file__]
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        assert process.wait(SECONDS * 3 + 60) == 0
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()


if __name__ == "__main__":
    soak()
