"""Programs that use raw shared memory end without a word, however they leave it, and leave nothing behind.

Each case is what users report of the standard library: tracebacks ignored in `__del__`, warnings of leaked objects,
tracebacks of the resource tracker. The interpreters run with `-X dev -W error`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ENDS = {
    "slice": "s = SharedMemory(create=True, size=10); v = s.buf[1:]",
    "array": "s = SharedMemory(create=True, size=80); a = numpy.frombuffer(s.buf, 'f8'); a[0] = 1",
    "array-alone": "a = numpy.frombuffer(SharedMemory(create=True, size=80).buf, 'f8'); a[0] = 1; assert a[0] == 1",
    "named": "s = SharedMemory(NAME, create=True, size=10); v = s.buf[2:]",
    "attached": "s = SharedMemory(NAME, create=True, size=10); t = SharedMemory(NAME); v = t.buf[2:]",
    "kept": "s = SharedMemory(NAME, create=True, size=10, track=False); v = s.buf[2:]; s.unlink()",
    "cycle": "class C: pass\nc = C(); c.c = c; c.s = SharedMemory(create=True, size=10); c.v = c.s.buf[1:]",
    "builtins": "import builtins as b; b.s = SharedMemory(create=True, size=10); b.v = b.s.buf[1:]; sys.x = b.s",
    "closed-in-del": """
class X:
    def __del__(self):
        self.s.close()
sys.x = X()
sys.x.s = SharedMemory(create=True, size=10)""",
    "failed": """
for wrong in ({'name': 'mpshm-none'}, {'create': True, 'size': -1}, {'create': True}, {'name': 3}):
    try: SharedMemory(**wrong)
    except (OSError, ValueError, TypeError): pass
    else: raise AssertionError(wrong)
SharedMemory.__new__(SharedMemory)
mpshm.ShareableList.__new__(mpshm.ShareableList)""",
    "resized": "s = SharedMemory(create=True, size=10); v = s.buf[1:]; s.resize(100); w = s.buf[1:]",
    "region": "s = SharedMemory(create=True, size=100); r = mpshm.MappedRegion(s); v = memoryview(r)",
    "anonymous": "r = mpshm.anonymous_shared_memory(80); a = numpy.frombuffer(r, 'f8'); v = memoryview(r)",
    "list": "items = mpshm.ShareableList(['a', 1], name=NAME); items[0] = 'x' * 10000; v = items.shm.buf[1:]",
    "manager": "m = Manager(); m.start(); s = m.SharedMemory(10); v = s.buf[1:]; t = m.ShareableList([1])",
    "manager-in-a-block": "with Manager() as m: s = m.SharedMemory(10); v = s.buf[1:]; t = m.ShareableList([1])",
    "os.fork": """
s = SharedMemory(NAME, create=True, size=10); v = s.buf[1:]
pid = os.fork()
if pid == 0:
    s.buf[0] = 1
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert SharedMemory(NAME).buf[0] == 1""",
    "child": """
s = SharedMemory(NAME, create=True, size=10); v = s.buf[1:]
p = mpshm.get_context('fork').Process(target=s.buf.__setitem__, args=(0, 3))
p.start(); p.join()
assert s.buf[0] == 3""",
    "thread": """
import threading, time
s = SharedMemory(create=True, size=10)
def use():
    while True:
        v = s.buf[1:], s.size
threading.Thread(target=use, daemon=True).start()
time.sleep(0.05)""",
    "unlinked-at-exit": """
atexit.register(lambda: (s.close(), s.unlink()))  # before the memory is made
s = SharedMemory(NAME, create=True, size=10)""",
    "exit-code": "s = SharedMemory(NAME, create=True, size=10); v = s.buf[1:]; raise SystemExit(0)",
}


# These have an interpreter of their own; the others are modules of one program.
ALONE = ("os.fork", "child", "thread", "unlinked-at-exit", "exit-code")
START = """
import atexit, os, sys, types
import numpy, mpshm
from mpshm import SharedMemory
from mpshm.managers import SharedMemoryManager as Manager

def run(case, code, name):
    module = sys.modules[case] = types.ModuleType(case)
    vars(module).update({**globals(), "NAME": name})
    exec(code, vars(module))
"""


@pytest.mark.parametrize("cases", [tuple(case for case in ENDS if case not in ALONE), *((case,) for case in ALONE)])
def test_an_end_without_a_word(cases, interpreter_env, unique_name):
    """Nothing on stderr, exit code 0, no file."""
    names = [unique_name() for _ in cases]
    calls = [f"run({case!r}, {ENDS[case]!r}, {name!r})" for case, name in zip(cases, names, strict=True)]
    command = [sys.executable, "-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning"]
    command += ["-c", "\n".join([START, *calls])]
    done = subprocess.run(command, env=interpreter_env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not set(names) & {path.name for path in Path("/dev/shm").iterdir()}
