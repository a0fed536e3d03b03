"""The remote manager of the stdlib's documentation, on one machine: a queue that is found by the manager's address."""

import queue
import threading

import pytest
import register_queue_workers as workers

import mpshm
from mpshm.managers import BaseManager, DictProxy, EventProxy

pytestmark = pytest.mark.timeout(60)


def test_a_queue_found_by_the_address(ctx):
    """`register('get_queue', callable=lambda: queue)` here, `register('get_queue')` and connect() there."""
    kept = queue.Queue(5)
    kept.put("before")

    class Server(BaseManager):
        pass

    Server.register("get_queue", callable=lambda: kept)
    with Server(authkey=b"abracadabra") as manager:
        process = ctx.Process(target=workers.answer, args=(manager.address,))
        process.start()
        mine = manager.get_queue()
        mine.put("question")
        process.join(60)
        assert process.exitcode == 0
        assert mine.get(timeout=30) == ("before", "question") and mine.empty()
        assert type(mine) is mpshm.Queue
        for _ in range(5):
            manager.get_queue().put_nowait(1)
        with pytest.raises(queue.Full):
            mine.put_nowait(1)
        assert kept.qsize() == 1  # what it was made of is left as it was


def test_threadings_types_registered_as_they_are(ctx):
    """A manager of the program's own that registers what SyncManager does gets ours, which wait for each other."""

    class Mine(BaseManager):
        pass

    Mine.register("Event", threading.Event, EventProxy)
    Mine.register("Queue", queue.Queue)
    Mine.register("Lock", threading.Lock)
    Mine.register("dict", dict, DictProxy)
    with Mine() as manager:
        event, answers, lock, shared = manager.Event(), manager.Queue(maxsize=2), manager.Lock(), manager.dict(a=1)
        process = ctx.Process(target=workers.set_and_put, args=(event, answers, lock, shared))
        process.start()
        assert event.wait(30) and answers.get(timeout=30) == "done"
        process.join(30)
        assert process.exitcode == 0 and shared == {"a": 2}
