"""Workers that other libraries start: joblib's loky, multiprocess with dill, concurrent.futures, cloudpickle.

They are given shared objects, change them, and give back an object that they made.
"""

import os
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import foreign_workers as workers
import joblib
import multiprocess
import pytest

pytestmark = pytest.mark.timeout(100)

TASKS, STEPS = 4, 25


@pytest.fixture
def manager():
    with workers.TallyManager() as made:
        yield made
        assert made.segment.check() is None


@pytest.fixture
def given(manager):
    """A dict, a lock, a list, and an object of a user's class."""
    return manager.dict(), manager.Lock(), manager.list(), manager.Tally()


def check(given, results):
    """Nothing of what they did is lost, and what they made is alive, though some of them have ended."""
    shared, _, items, tally = given
    assert shared == {"sum": TASKS * STEPS, "steps": TASKS * STEPS}
    assert tally.get() == {"step": TASKS * STEPS}
    assert len(items) == TASKS and os.getpid() not in items
    for made in results:
        assert made["pid"] in items and made["made"] == [STEPS]
        made["made"].append(1)
        assert made["made"] == [STEPS, 1]
    assert len(results) == TASKS


def test_loky(given):
    """joblib.Parallel with its own processes."""
    with joblib.parallel_backend("loky"):
        results = joblib.Parallel(n_jobs=2)(joblib.delayed(workers.change)(*given, STEPS) for _ in range(TASKS))
    check(given, results)


def test_loky_takes_a_closure(given):
    """A function that only cloudpickle takes, with the objects inside of it."""

    def change(n):
        return workers.change(*given, n)

    results = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(change)(STEPS) for _ in range(TASKS))
    check(given, results)


def test_joblib_with_multiprocessing(given):
    """joblib.Parallel with multiprocessing's pool."""
    results = joblib.Parallel(n_jobs=2, backend="multiprocessing")(
        joblib.delayed(workers.change)(*given, STEPS) for _ in range(TASKS)
    )
    check(given, results)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocess_pool(given, method):
    """multiprocess.Pool, which pickles by dill."""
    with multiprocess.get_context(method).Pool(2) as pool:
        results = pool.starmap(workers.change, [(*given, STEPS)] * TASKS)
        check(given, results)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocess_pool_takes_a_closure(given, method):
    """A local function, which dill takes, with the objects inside of it."""

    def change(n):
        return workers.change(*given, n)

    with multiprocess.get_context(method).Pool(2) as pool:
        check(given, pool.map(change, [STEPS] * TASKS))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocess_process(manager, given, method):
    """multiprocess.Process: as arguments, the manager too. What it made in the manager's memory outlives it."""
    results = manager.list()
    context = multiprocess.get_context(method)
    args = (manager, results, *given, STEPS)
    processes = [context.Process(target=workers.keep, args=args) for _ in range(TASKS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    check(given, list(results))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocess_queue(given, method):
    """Through multiprocess.Queue."""
    context = multiprocess.get_context(method)
    queue, answers = context.Queue(), context.Queue()
    process = context.Process(target=workers.serve, args=(queue, answers))
    process.start()
    for _ in range(TASKS):
        queue.put((*given, STEPS))
    check(given, [answers.get(timeout=60) for _ in range(TASKS)])
    queue.put(None)
    process.join(60)
    assert process.exitcode == 0


def test_executor(ctx, given):
    """concurrent.futures, with each of our contexts."""
    with ProcessPoolExecutor(2, mp_context=ctx) as executor:
        futures = [executor.submit(workers.change, *given, STEPS) for _ in range(TASKS)]
        check(given, [future.result(60) for future in futures])


def test_executor_with_cloudpickle(ctx, given):
    """The objects inside of a closure pickled by cloudpickle, there and back."""
    pickled = [workers.change_by_cloudpickle(*given, STEPS) for _ in range(TASKS)]
    assert all(isinstance(text, bytes) for text in pickled)
    with ProcessPoolExecutor(2, mp_context=ctx) as executor:
        check(given, list(executor.map(workers.run_pickled, pickled)))
    assert cloudpickle.loads(cloudpickle.dumps(given[0])) == given[0]
