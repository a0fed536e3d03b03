"""Many processes open one segment at once, and some of them die on the way: one segment comes out, and nobody waits."""

import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from pathlib import Path

import pytest
import segment_workers

import mpshm
from mpshm import ManagedSharedMemory

pytestmark = pytest.mark.timeout(200)

OPENERS = 50


@pytest.fixture(params=["ManagedSharedMemory", "ManagedMappedFile"])
def place(request, unique_name, tmp_path):
    """A class of segments and a name; removed afterwards."""
    cls = getattr(mpshm, request.param)
    name = unique_name() if cls is ManagedSharedMemory else str(tmp_path / "segment")
    yield cls, name
    cls.remove(name)


def fork(act):
    """A child that does something; its exit status says whether it went well."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return pid


def reap(pids):
    """How each ended, in a bounded time."""
    until, left, ended = time.monotonic() + 100, set(pids), {}
    while left and time.monotonic() < until:
        for pid in list(left):
            done, how = os.waitpid(pid, os.WNOHANG)
            if done:
                left.remove(pid)
                ended[pid] = os.waitstatus_to_exitcode(how)
        time.sleep(0.01)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert not left, f"{len(left)} processes were still waiting"
    return ended


@pytest.mark.parametrize("seed", range(3))
def test_fifty_open_at_once_and_some_are_killed(place, seed, tmp_path):
    """All that live have the same segment; a dead maker's work is taken over by another at once."""
    cls, name = place
    rng = random.Random(seed)
    ids, go = tmp_path / "ids", tmp_path / "go"
    ids.mkdir()

    def opener():
        while not go.exists():
            time.sleep(0.001)
        segment = cls(name, "a", 1 << 20)
        d = mpshm.Dict._in(segment)
        d["mine"] = os.getpid()
        (ids / f".{os.getpid()}").write_text(segment.id.hex())
        (ids / f".{os.getpid()}").rename(ids / str(os.getpid()))
        time.sleep(0.2)
        assert d["mine"] == os.getpid()

    pids = [fork(opener) for _ in range(OPENERS)]
    go.touch()
    victims = rng.sample(pids, OPENERS // 3)
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
        time.sleep(rng.random() * 0.004)
    ended = reap(pids)
    assert all(ended[pid] == 0 for pid in pids if pid not in victims)
    found = {path.read_text() for path in ids.iterdir() if path.name.isdigit()}
    assert len(found) == 1
    last = cls(name, "r+")
    assert {last.id.hex()} == found
    last.recover()
    assert last.check() is None and last.all_deallocated()


def test_exactly_one_creates(place, tmp_path):
    """Of many that open with x one makes it, and the others are told that it exists."""
    cls, name = place
    go = tmp_path / "go"

    def creator():
        while not go.exists():
            time.sleep(0.001)
        try:
            segment = cls(name, "x")
        except mpshm.SegmentExistsError:
            os._exit(7)
        segment.close()

    pids = [fork(creator) for _ in range(20)]
    go.touch()
    ended = reap(pids)
    assert sorted(ended.values()) == [0] + [7] * 19


def test_removing_and_making_at_once(place, tmp_path):
    """While one removes the name over and over, every opener gets a whole segment that it can use."""
    cls, name = place
    stop = tmp_path / "stop"

    def opener():
        for i in range(30):
            segment = cls(name, "a")
            d = mpshm.Dict._in(segment)
            d["i"] = i
            assert d == {"i": i} and segment.check() is None
            del d
            segment.close()

    def remover():
        while not stop.exists():
            cls.remove(name)
            time.sleep(0.001)

    removing = fork(remover)
    ended = reap([fork(opener) for _ in range(8)])
    stop.touch()
    assert reap([removing]) == {removing: 0}
    assert set(ended.values()) == {0}


def test_a_stopped_opener_is_waited_for_no_longer_than_asked(place, interpreter_env):
    """Who holds the gate and neither goes on nor dies makes others wait for their timeout; his death lets them in."""
    cls, name = place
    with cls(name, "x"):
        pass
    path = Path("/dev/shm", name)
    code = """
        import fcntl, os, struct, sys, time
        fd = os.open(sys.argv[1], os.O_RDWR)
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 1 << 40, 1, 0)
        fcntl.fcntl(fd, 37, lock)  # F_OFD_SETLK of the gate
        print("held", flush=True)
        time.sleep(1000)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), path], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "held\n"
        for mode in ("a", "r+", "r", "c"):
            begin = time.monotonic()
            with pytest.raises(TimeoutError):
                cls(name, mode, timeout=0.3)
            assert 0.2 < time.monotonic() - begin < 20
        old = signal.signal(signal.SIGALRM, lambda *args: int("not a number"))
        try:
            signal.alarm(1)
            with pytest.raises(ValueError):  # what the handler raised: a signal ends the wait
                cls(name, "a", timeout=60)
        finally:
            signal.signal(signal.SIGALRM, old)
    finally:
        child.kill()
        child.communicate(timeout=30)
    assert cls(name, "r+", timeout=20).check() is None


def test_forking_while_opening(place):
    """A process may fork while another of its threads opens segments: neither hangs, and the gate is let go."""
    cls, name = place
    stop = threading.Event()
    errors = []

    def work():
        try:
            while not stop.is_set():
                with cls(name, "a"):
                    pass
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        pids = []
        for _ in range(20):
            pids.append(fork(lambda: time.sleep(0.05)))
        assert set(reap(pids).values()) == {0}
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not errors
    assert cls(name, "a", timeout=20).check() is None


def test_two_programs_meet_by_a_name(place, interpreter_env, tmp_path):
    """Two programs that know only the name, each at its own base address, share what is in the segment."""
    cls, name = place
    code = """
        import pickle, sys, mpshm
        segment = getattr(mpshm, sys.argv[1])(sys.argv[2], "a")
        d = mpshm.Dict._in(segment)
        d["list"] = mpshm.List._in(segment)
        d["list"].append("from the other program")
        open(sys.argv[3], "wb").write(pickle.dumps(d))
    """
    token = tmp_path / "token"
    args = [sys.executable, "-c", textwrap.dedent(code), cls.__name__, name, str(token)]
    subprocess.run(args, check=True, timeout=60, env=interpreter_env)
    segment = cls(name, "r+")
    d = pickle.loads(token.read_bytes())
    assert list(d["list"]) == ["from the other program"] and segment.check() is None
    assert d._segment.id == segment.id


def test_handles_are_passed_on(place, ctx):
    """Objects of a segment with a name, and the segment itself, go to and come from processes of every start method."""
    cls, name = place
    segment = cls(name, "x")
    d, items = mpshm.Dict._in(segment), mpshm.List._in(segment)
    process = ctx.Process(target=segment_workers.change, args=(d, items, segment))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert d["pid"] is True and list(items) == [1] and list(d["made"]) == ["made in the child"]
    with ctx.Pool(1) as pool:
        got = pool.apply_async(segment_workers.give_back, (segment,)).get(60)
    assert got["from"] == "a worker" and got._segment is segment
    segment.recover()
    assert segment.check() is None
