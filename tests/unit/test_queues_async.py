"""Queues in asyncio: waiting blocks nobody, and a task that is cancelled has taken nothing."""

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest

from mpshm import queues, queues_async

pytestmark = pytest.mark.timeout(60)

LIMIT_S = 30


def run(work):
    return asyncio.run(asyncio.wait_for(work, LIMIT_S))


def later(seconds, call, *args):
    timer = threading.Timer(seconds, call, args)
    timer.start()
    return timer


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "mpshm-queue"]


def watch_ends():
    """The threads are gone soon when nobody waits."""
    end = time.monotonic() + LIMIT_S
    while threads() and time.monotonic() < end:
        time.sleep(0.01)
    assert not threads()
    assert not queues_async._watches


@pytest.fixture(params=["Queue", "JoinableQueue", "SimpleQueue"])
def q(request, manager):
    cls = getattr(queues, request.param)
    yield cls._in(manager.segment)._managed()
    watch_ends()


def test_what_is_there(q):
    """Without a wait there is no thread."""

    async def work():
        await q.aput(1)
        await q.aput("two")
        assert [await q.aget(), await q.aget()] == [1, "two"]
        assert not threads()

    run(work())


def test_aget_waits(q):
    """The loop runs on while a task waits for an item that another thread puts."""

    async def work():
        ticks = 0
        task = asyncio.ensure_future(q.aget())
        later(0.2, q.put, "late")
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 3
        assert task.result() == "late"

    run(work())


def test_aput_waits(manager):
    """A full queue: the task waits for room."""
    q = manager.Queue(1)

    async def work():
        await q.aput(1)
        task = asyncio.ensure_future(q.aput(2))
        await asyncio.sleep(0.05)
        assert not task.done()
        assert q.get() == 1
        await task
        assert q.get() == 2

    run(work())
    watch_ends()


def test_first_come_first_served(q):
    """The tasks of a loop get items in the order in which they asked."""

    async def work():
        order = []

        async def take(name):
            order.append((name, await q.aget()))

        tasks = [asyncio.ensure_future(take(name)) for name in range(20)]
        await asyncio.sleep(0.05)
        later(0.01, lambda: [q.put(n) for n in range(20)])
        await asyncio.gather(*tasks)
        assert order == [(n, n) for n in range(20)]
        assert len(threads()) <= 1

    run(work())


def test_timeouts_lose_nothing(q):
    """wait_for that gives up, again and again, while items come: each item is taken once."""

    async def work():
        stop = threading.Event()

        def feed():
            for n in range(100):
                q.put(n)
                time.sleep(0.0015)
            stop.set()

        feeder = threading.Thread(target=feed)
        feeder.start()
        found = []
        while len(found) < 100:
            try:
                found.append(await asyncio.wait_for(q.aget(), 0.001))
            except asyncio.TimeoutError:
                assert not stop.is_set() or not q.empty()
        feeder.join()
        assert found == list(range(100))

    run(work())


def test_cancelled_at_its_turn(q):
    """A task that is cancelled when its turn has come passes it on."""

    async def work():
        first, second = asyncio.ensure_future(q.aget()), asyncio.ensure_future(q.aget())
        await asyncio.sleep(0.05)
        q.put("one")
        time.sleep(0.05)  # the loop does not run: the thread has told it of the item
        asyncio.get_running_loop().call_soon(first.cancel)
        assert await asyncio.wait_for(second, 10) == "one" or first.result() == "one"

    run(work())


def test_shutdown_ends_all(manager):
    """Every task that waits is told."""
    q = manager.Queue()

    async def work():
        tasks = [asyncio.ensure_future(q.aget()) for _ in range(5)]
        await asyncio.sleep(0.05)
        q.shutdown()
        for task in tasks:
            with pytest.raises(queues.ShutDown):
                await task
        with pytest.raises(queues.ShutDown):
            await q.aput(1)

    run(work())
    watch_ends()


def test_several_loops(manager):
    """Tasks of several loops, in threads, and a process share one queue: each item is taken once."""
    q, out = manager.Queue(), manager.Queue()

    async def work():
        for _ in range(50):
            out.put(await q.aget())

    loops = [threading.Thread(target=run, args=(work(),)) for _ in range(3)]
    for loop in loops:
        loop.start()
    pid = os.fork()
    if pid == 0:
        for n in range(150):
            q.put(n)
        os._exit(0)
    for loop in loops:
        loop.join(LIMIT_S)
    os.waitpid(pid, 0)
    assert sorted(out.get(timeout=10) for _ in range(150)) == list(range(150))
    watch_ends()


def test_a_child_of_a_loop_that_waits(manager):
    """A fork while a task waits: the child has a loop of its own."""
    q, out = manager.Queue(), manager.Queue()

    async def work():
        task = asyncio.ensure_future(q.aget())
        await asyncio.sleep(0.05)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                asyncio.events._set_running_loop(None)
                threading.Timer(0.1, q.put, ("child's",)).start()
                asyncio.run(asyncio.wait_for(child(), 20))
                status = 0
            finally:
                os._exit(status)
        task.cancel()
        while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
            await asyncio.sleep(0.01)
        assert ended[1] == 0

    async def child():
        out.put(await q.aget())

    run(work())
    assert out.get(timeout=10) == "child's"
    watch_ends()


PROGRAM = """
import asyncio, mpshm
manager = mpshm.Manager()
q = manager.Queue()

async def work():
    task = asyncio.ensure_future(q.aget())
    await asyncio.sleep(0.05)
    {end}

asyncio.run(work())
print("ended")
"""


@pytest.mark.parametrize(
    "end", ["task.cancel()", "pass", "q.put(1); await task", "manager.shutdown()", "raise SystemExit(0)"]
)
def test_the_interpreter_ends(interpreter_env, end):
    """A program that ends while a thread waits ends at once, in silence."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(end=end)],
        env=interpreter_env,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - begin < 20
