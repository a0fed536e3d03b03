"""CPython's own tests of multiprocessing, run on our objects.

    python cpython_suite.py manager spawn -                   the tests of managers, by the start method spawn
    python cpython_suite.py processes fork -                  those of locks, queues, values and the like
    python cpython_suite.py shared_memory fork -              those of SharedMemory and ShareableList
    python cpython_suite.py manager fork WithManagerTestPool  one class alone
    python cpython_suite.py manager fork - ID...              all but these tests (ID: Class.test, or a Class)

`test._test_multiprocessing` of the running interpreter is loaded after names in `multiprocessing` have been bound to
ours, so the tests themselves are as CPython has them. What comes out is one line of JSON: for each test that was run
"ok", "skipped: why" or the traceback, and the names of all tests that the suite has.

This file is the program's main module, which spawned processes import again: they find the test classes here.
"""

import json
import multiprocessing
import multiprocessing.managers
import multiprocessing.queues
import multiprocessing.shared_memory
import multiprocessing.sharedctypes
import sys
import types
import unittest

import mpshm

# Classes of tests, by group: those of the mixin ManagerMixin and ProcessesMixin, and some that stand alone.
CLASSES = {
    "manager": {
        "WithManagerTestBarrier",
        "WithManagerTestCondition",
        "WithManagerTestContainers",
        "WithManagerTestEvent",
        "WithManagerTestLock",
        "WithManagerTestManagerRestart",
        "WithManagerTestMyManager",
        "WithManagerTestPool",
        "WithManagerTestQueue",
        "WithManagerTestRemoteManager",
        "WithManagerTestSemaphore",
        "TestInitializers",
        "TestSyncManagerTypes",
    },
    "processes": {
        "WithProcessesTestArray",
        "WithProcessesTestBarrier",
        "WithProcessesTestCondition",
        "WithProcessesTestEvent",
        "WithProcessesTestLock",
        "WithProcessesTestQueue",
        "WithProcessesTestSemaphore",
        "WithProcessesTestSharedCTypes",
        "WithProcessesTestValue",
        "TestSimpleQueue",
    },
    "shared_memory": {
        "WithProcessesTestSharedMemory",
    },
}

# Functions of the module `multiprocessing`.
PRIMITIVES = (
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "Value",
)


def substitute(group):
    """Bind multiprocessing's names to ours."""
    if group == "manager":
        for name in mpshm.managers.__all__:
            setattr(multiprocessing.managers, name, getattr(mpshm.managers, name))
        multiprocessing.Manager = mpshm.Manager
        # The tests ask how the server's process ended. There is none, and nothing can have gone wrong with it.
        mpshm.managers.BaseManager._process = types.SimpleNamespace(exitcode=0)
    elif group == "shared_memory":
        # Where the tests look for it, and where they replace _make_filename().
        multiprocessing.shared_memory = sys.modules["multiprocessing.shared_memory"] = mpshm.shared_memory
        multiprocessing.managers.SharedMemoryManager = mpshm.managers.SharedMemoryManager
    else:
        for name in PRIMITIVES:
            setattr(multiprocessing, name, getattr(mpshm, name))
        # close_queue() closes what is a multiprocessing.queues.Queue; two tests make subclasses of it.
        multiprocessing.queues.Queue = mpshm.Queue
        multiprocessing.sharedctypes.Value = mpshm.sharedctypes.Value
        multiprocessing.sharedctypes.copy = mpshm.sharedctypes.copy


def load(group, method):
    """Make the suite's test classes, as `test.test_multiprocessing_spawn` and the like do."""
    substitute(group)
    from test import _test_multiprocessing

    if group == "processes":
        # The test looks into the semaphores that multiprocessing's conditions are made of.
        _test_multiprocessing._TestCondition.check_invariant = nobody_waits
    elif group == "shared_memory":
        # A forkserver may have loaded the tests before.
        _test_multiprocessing.shared_memory = mpshm.shared_memory
    _test_multiprocessing.install_tests_in_module_dict(globals(), method)


def nobody_waits(test, condition):
    """What a condition must be like when all who waited have been woken."""
    test.assertTrue(str(condition).endswith(", 0)>"), str(condition))


def ids(suite):
    """The name of each test, without its module's."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from ids(test)
        else:
            yield test.id().removeprefix("__main__.")


class Result(unittest.TestResult):
    """What became of each test."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def note(self, test, text):
        self.outcomes[test.id().removeprefix("__main__.")] = text

    def addSuccess(self, test):  # noqa: N802
        super().addSuccess(test)
        self.note(test, "ok")

    def addSkip(self, test, reason):  # noqa: N802
        super().addSkip(test, reason)
        self.note(test, f"skipped: {reason}")

    def addError(self, test, error):  # noqa: N802
        super().addError(test, error)
        self.note(test, self._exc_info_to_string(error, test))

    def addFailure(self, test, error):  # noqa: N802
        super().addFailure(test, error)
        self.note(test, self._exc_info_to_string(error, test))

    def startTest(self, test):  # noqa: N802
        super().startTest(test)
        print(test.id(), file=sys.stderr, flush=True)


def main(group, only, left_out):
    """Run the tests of a group, or of one class of it, but those that are left out."""
    import test.support

    test.support.verbose = 0
    loader = unittest.TestLoader()
    found, known = unittest.TestSuite(), []
    for name in sorted(CLASSES[group] & set(globals())):
        tests = loader.loadTestsFromTestCase(globals()[name])
        known += ids(tests)
        if only in (name, "-"):
            found.addTests(test for test in tests if not {name, next(ids([test]))} & left_out)
    result = Result()
    stdout, sys.stdout = sys.stdout, sys.stderr
    try:
        found.run(result)  # with the fixtures of classes, and of this module
    finally:
        sys.stdout = stdout
    print(json.dumps({"known": known, "outcomes": result.outcomes}))


if __name__ in ("__main__", "__mp_main__"):
    load(*sys.argv[1:3])

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[3], set(sys.argv[4:]))
