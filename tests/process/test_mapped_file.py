"""Files outlive processes: after an exit, a kill, or the machine going down, they open sound or are refused."""

import json
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import textwrap
import time

import pytest

import mpshm
from mpshm import ManagedMappedFile, _types

pytestmark = pytest.mark.timeout(200)

DIRTY = 104  # where the mark is in the header, and behind it the id of the machine's run
BOOT = 112


def run(code, *args, env, check=True, **kwds):
    """Run a program; its output."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=env, **kwds)
    assert not check or done.returncode == 0, done.stderr
    return done


def dirty(path):
    """Whether the file says that the disk may be behind."""
    with path.open("rb") as file:
        return struct.unpack_from("<I", file.read(4096), DIRTY)[0]


def patch(path, where, data):
    with path.open("r+b") as file:
        file.seek(where)
        file.write(data)


MAKE = """
    import pickle, sys, mpshm
    segment = mpshm.ManagedMappedFile(sys.argv[1], "a", 1 << 20)
    d = mpshm.Dict._in(segment)
    d.update(number=1, text="x" * 5000, big=b"y" * 500_000)
    d["list"] = mpshm.List._in(segment)
    d["list"].extend(range(1000))
    d["set"] = mpshm.Set._in(segment)
    d["set"].update(["a", "b" * 100])
    lost = mpshm.Dict._in(segment)
    lost["not sent"] = "z" * 10_000
    open(sys.argv[2], "wb").write(pickle.dumps(d))
    import json
    place = {"dict": d._offset, "serial": d._serial, "list": d["list"]._offset}
    open(sys.argv[2] + ".place", "w").write(json.dumps(place))
"""


def look(d):
    """Whether all is there that MAKE has stored."""
    assert d["number"] == 1 and d["text"] == "x" * 5000 and d["big"] == b"y" * 500_000
    assert list(d["list"]) == list(range(1000)) and d["set"] == {"a", "b" * 100}


def test_a_file_outlives_its_processes(tmp_path, interpreter_env):
    """What was sent is there for the next program; what was not has gone with its process."""
    path, token = tmp_path / "segment", tmp_path / "token"
    for ending in ("", "segment.close()", "import os; os._exit(0)", "import os; os.kill(os.getpid(), 9)"):
        run(textwrap.dedent(MAKE) + ending, path, token, env=interpreter_env, check="kill" not in ending)
        segment = ManagedMappedFile(path, "r+")
        d = pickle.loads(token.read_bytes())
        look(d)
        assert segment.check() is None and dirty(path) == 1
        blocks = segment.stats().objects
        assert blocks <= 5  # the dict, the list, the set, and the large values
        d.clear()
        del d
        assert segment.all_deallocated()
        segment.close()
        assert dirty(path) == 0


def test_a_clean_file_says_so(tmp_path):
    """While it is in use the file is marked, and the last one to leave takes the mark off."""
    path = tmp_path / "segment"
    first = ManagedMappedFile(path, "x")
    assert dirty(path) == 1
    first.flush()
    first.close()
    assert dirty(path) == 0
    with ManagedMappedFile(path, "r"), ManagedMappedFile(path, "c"):
        assert dirty(path) == 0
    pid = os.fork()
    if pid == 0:
        open_still = ManagedMappedFile(path, "r+")
        os._exit(open_still.closed)
    os.waitpid(pid, 0)
    assert dirty(path) == 1
    with ManagedMappedFile(path, "a"):
        pass
    assert dirty(path) == 0


@pytest.mark.parametrize("sound", [True, False])
def test_the_machine_went_down(tmp_path, interpreter_env, sound):
    """A file that was in use in another run of the machine is checked, and opens sound, or is refused."""
    path, token = tmp_path / "segment", tmp_path / "token"
    run(textwrap.dedent(MAKE) + "import os; os.kill(os.getpid(), 9)", path, token, env=interpreter_env, check=False)
    assert dirty(path) == 1
    another_run = bytes(range(16))
    patch(path, BOOT, another_run)
    if not sound:  # a page that the disk did not get
        place = json.loads(token.with_suffix(".place").read_text())
        patch(path, place["list"] // 4096 * 4096, os.urandom(4096))
        for mode in ("r", "c", "r+", "a"):
            with pytest.raises(mpshm.SegmentCorruptedError) as caught:
                ManagedMappedFile(path, mode)
            assert str(path) in str(caught.value)
        assert path.read_bytes()[BOOT : BOOT + 16] == another_run  # so that nobody takes it for sound later
        return
    with ManagedMappedFile(path, "r"), ManagedMappedFile(path, "c"):
        assert path.read_bytes()[BOOT : BOOT + 16] == another_run
    segment = ManagedMappedFile(path, "r+")
    look(pickle.loads(token.read_bytes()))
    assert segment.check() is None
    assert path.read_bytes()[BOOT : BOOT + 16] != another_run


WORK = """
    import pickle, random, sys, mpshm
    segment = mpshm.ManagedMappedFile(sys.argv[1], "a", 1 << 20)
    d = pickle.loads(open(sys.argv[2], "rb").read()) if len(sys.argv) > 3 else mpshm.Dict._in(segment)
    if len(sys.argv) <= 3:
        d.update(x=0, y=0)
        open(sys.argv[2], "wb").write(pickle.dumps(d))
    from mpshm import _types
    keep = pickle.dumps(d)
    open(sys.argv[2], "wb").write(keep)
    print("ready", flush=True)
    rng = random.Random()
    while True:
        n = d["x"] + 1
        d.update(x=n, y=n)
        d[rng.randrange(40)] = "v" * rng.randrange(8000)
        d.pop(rng.randrange(40), None)
        items = mpshm.List._in(segment)
        items.extend([b"z" * rng.randrange(70_000)] * 3)
        d["list"] = items
        if rng.random() < 0.05:
            segment.shrink_to_fit()
"""


def test_killed_in_the_middle_over_and_over(tmp_path, interpreter_env):
    """A program that works on a file is killed at any moment, again and again; each next one finds it sound."""
    path, token = tmp_path / "segment", tmp_path / "token"
    rng = random.Random(7)
    last = -1
    for round in range(12):
        args = [path, token] + (["again"] if round else [])
        command = [sys.executable, "-c", textwrap.dedent(WORK), *map(str, args)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, env=interpreter_env, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(rng.random() * 0.15)
        child.kill()
        child.communicate(timeout=30)
        if round % 2:
            with ManagedMappedFile(path, "r+") as segment:
                assert segment.check() is None
                d = pickle.loads(token.read_bytes())
                assert d["x"] == d["y"] > last
                last = d["x"]
                token.write_bytes(pickle.dumps(d))
                del d
            assert dirty(path) == 0
    with ManagedMappedFile(path, "r+") as segment:
        assert segment.check() is None


def test_one_of_two_users_is_killed(tmp_path):
    """Who is still there goes on, and the file is clean once he leaves."""
    path = tmp_path / "segment"
    segment = ManagedMappedFile(path, "x")
    d = mpshm.Dict._in(segment)
    d["n"] = 0
    sent = pickle.dumps(d)
    pid = os.fork()
    if pid == 0:
        mine = mpshm.List._in(segment)
        mine.append("x" * 10_000)
        while True:
            d.incr("n")
    time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    n = d["n"]
    assert d.incr("n") == n + 1
    segment.recover()
    assert segment.check() is None and segment.stats().objects == 1
    assert pickle.loads(sent)["n"] == n + 1
    del d
    segment.close()
    assert dirty(path) == 0


def test_generations_go_on(tmp_path, interpreter_env):
    """A lock that a killed program held is free for the next one, which is told so, even years later."""
    path, token = tmp_path / "segment", tmp_path / "token"
    code = """
        import os, pickle, sys, mpshm
        from mpshm import sync
        segment = mpshm.ManagedMappedFile(sys.argv[1], "a")
        d = mpshm.Dict._in(segment)
        d["lock"] = sync.Lock._in(segment)
        d["lock"].acquire()
        open(sys.argv[2], "wb").write(pickle.dumps(d))
        os.kill(os.getpid(), 9)
    """
    run(code, path, token, env=interpreter_env, check=False)
    segment = ManagedMappedFile(path, "r+")
    lock = pickle.loads(token.read_bytes())["lock"]
    assert lock.acquire(timeout=20) and lock.owner_died
    lock.release()
    assert segment.check() is None


def test_reading_a_file_that_nobody_has_open(tmp_path, interpreter_env):
    """Reading only leaves no mark and no slot in the file: not a byte of it is another afterwards."""
    path, token = tmp_path / "segment", tmp_path / "token"
    run(MAKE, path, token, env=interpreter_env)
    with ManagedMappedFile(path, "r+"):
        pass
    before = path.read_bytes()
    path.chmod(0o400)
    reader = ManagedMappedFile(path, "r")
    place = json.loads(token.with_suffix(".place").read_text())
    d = _types.attach(reader, place["dict"], place["serial"], 0)
    look(d)
    assert d._segment is reader and reader.stats().processes == 0
    with pytest.raises(mpshm.SegmentPermissionError):
        d["number"] = 2
    copy = ManagedMappedFile(path, "c")
    e = _types.attach(copy, d._offset, d._serial, 0)
    e["number"] = 3
    look(d)
    assert e["number"] == 3 and copy.check() is None
    del d, e
    assert path.read_bytes() == before


def test_a_relative_path_is_kept_whole(tmp_path, monkeypatch):
    """A handle leads to the file from any folder."""
    monkeypatch.chdir(tmp_path)
    segment = ManagedMappedFile("segment", "x")
    assert segment.name == "segment" and (tmp_path / "segment").exists()
    sent = pickle.dumps(mpshm.Dict._in(segment))
    segment.close()
    monkeypatch.chdir("/")
    assert pickle.loads(sent) == {}
    assert ManagedMappedFile.remove(tmp_path / "segment")
