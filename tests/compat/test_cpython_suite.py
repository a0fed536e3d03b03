"""CPython's own tests of managers and of multiprocessing's objects pass with ours in their place.

A test that is left out stands in LEFT_OUT with what it is about that we do not have, by design.
"""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from cpython_suite import CLASSES

HAS_TESTS = find_spec("test") is not None and find_spec("test._test_multiprocessing") is not None

pytestmark = [
    pytest.mark.skipif(not HAS_TESTS, reason="this Python comes without its tests"),
    pytest.mark.timeout(170),
]

METHODS = ("fork", "spawn", "forkserver")
SECONDS = 150  # for one class of tests; it takes a few

NETWORK = "serves an address on the network, with xmlrpclib: shared memory serves one machine"

FEEDER = "about errors in the thread that feeds the queue's pipe: there is neither, put() itself stores and raises"
REPR = "the repr begins with the class's name: EventProxy or Event there, mpshm.Event here"
CLOSED = "empty() fails there because it polls a pipe that is closed: there is no pipe, and what is in stays in"

TRACKER = "about multiprocessing's resource tracker, in a program that is started with the standard library's objects"
GROWS = (
    "wants an error where an item outgrows its first length: here it grows (test_like_shared_memory.py has the rest)"
)

LEFT_OUT = {
    "TestSimpleQueue.test_closed": "asks the queue's two pipes whether they are closed: there is no pipe",
    "WithManagerTestManagerRestart.test_rapid_restart": NETWORK,
    "WithManagerTestRemoteManager.test_remote": NETWORK,
    "WithProcessesTestSharedMemory.test_shared_memory_ShareableList_basics": GROWS,
    "WithProcessesTestSharedMemory.test_shared_memory_SharedMemoryManager_reuses_resource_tracker": TRACKER,
    "WithProcessesTestSharedMemory.test_shared_memory_SharedMemoryServer_ignores_sigint": (
        "sends a signal to the server's process: there is none"
    ),
    "WithProcessesTestSharedMemory.test_shared_memory_cleaned_after_process_termination": TRACKER,
    "WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc": FEEDER,
    "WithProcessesTestQueue.test_queue_feeder_on_queue_feeder_error": FEEDER,
}

# The same for younger tests: from this version on they are there for certain.
YOUNGER = {
    (3, 12): {
        "WithManagerTestEvent.test_repr": REPR,
        "WithProcessesTestEvent.test_repr": REPR,
    },
    (3, 13): {
        "TestSimpleQueue.test_empty_exceptions": CLOSED,
        "WithProcessesTestQueue.test_closed_queue_empty_exceptions": CLOSED,
        "WithProcessesTestSharedMemory.test_shared_memory_tracking": TRACKER,
        "WithProcessesTestSharedMemory.test_shared_memory_untracking": TRACKER,
    },
}

ALL_LEFT_OUT = {**LEFT_OUT, **YOUNGER[3, 12], **YOUNGER[3, 13]}

# Why CPython's tests skip themselves.
OWN_REASONS = ("test not appropriate for", "test not applicable to", "start_method=", "needs sharedctypes")


def suite(interpreter_env, group, method, only, *left_out):
    """Run the suite in a process group of its own: nothing of it is left when this returns."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("cpython_suite.py"))]
    command += [group, method, only, *left_out]
    process = subprocess.Popen(
        command, env=interpreter_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGABRT)  # with tracebacks, where faulthandler is on
        out, err = process.communicate(timeout=20)
        pytest.fail(f"{only} by {method} did not end:\n{err}")
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("group", "name"), [(group, name) for group in CLASSES for name in sorted(CLASSES[group])])
def test_cpythons_tests_pass(interpreter_env, group, name, method):
    """Each test of the class passes, or is left out, or finds itself that it is not meant for these objects."""
    found = suite(interpreter_env, group, method, name, *ALL_LEFT_OUT)
    wanted = {test for test in found["known"] if test.partition(".")[0] == name} - set(ALL_LEFT_OUT)
    outcomes = found["outcomes"]
    bad = {
        test: outcome
        for test, outcome in outcomes.items()
        if outcome != "ok" and not (outcome.startswith("skipped: ") and any(why in outcome for why in OWN_REASONS))
    }
    assert not bad, "\n\n".join(f"{test}\n{outcome}" for test, outcome in bad.items())
    assert set(outcomes) == wanted


@pytest.mark.parametrize("group", CLASSES)
def test_what_is_left_out_exists(interpreter_env, group):
    """The table names tests that this Python has, and there is more than what it names."""
    known = set(suite(interpreter_env, group, "fork", "none")["known"])
    classes = {test.partition(".")[0] for test in known}
    assert classes == CLASSES[group]
    named = set(LEFT_OUT).union(*(tests for since, tests in YOUNGER.items() if sys.version_info >= since))
    assert {test for test in named if test.partition(".")[0] in CLASSES[group]} < known
    assert all(reason.strip() for reason in ALL_LEFT_OUT.values())
