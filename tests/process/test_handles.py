"""A handle reaches another process on every way that multiprocessing has, and there it is the same object."""

import gc
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import handle_workers as workers
import pytest

import mpshm
from mpshm import segments

METHODS = ("fork", "spawn", "forkserver")

pytestmark = pytest.mark.timeout(90)


@pytest.fixture(params=workers.KINDS)
def obj(request, manager):
    """A shared object of each kind."""
    return workers.KINDS[request.param](manager)


def join(*processes):
    for process in processes:
        process.join(60)
        assert process.exitcode == 0


def start(ctx, target, *args, daemon=True):
    """Start a process, which a failing test doesn't leave behind."""
    process = ctx.Process(target=target, args=args, daemon=daemon)
    process.start()
    return process


def run(ctx, target, *args):
    join(start(ctx, target, *args, daemon=target is not workers.pass_on))


def test_process_arguments(ctx, obj):
    """As an argument of a Process, by position and by keyword."""
    run(ctx, workers.put, obj, "args")
    assert workers.take(obj) == "args"
    process = ctx.Process(target=workers.put, kwargs={"obj": obj, "text": "kwargs"})
    process.start()
    join(process)
    assert workers.take(obj) == "kwargs"


def test_many_arguments_of_two_managers(ctx, manager):
    """Many handles of two segments in one start: each segment's descriptor is passed on once."""
    with mpshm.get_context("fork").Manager() as other:
        objects = [m.dict() for m in (manager, other) for _ in range(150)]
        run(ctx, workers.put_all, objects, "many")
        assert all(obj["text"] == "many" for obj in objects)
        assert other.segment.check() is None


def test_pool_arguments_and_results(ctx, obj):
    """Through a Pool, there and back: what comes back is the same object."""
    with ctx.Pool(2) as pool:
        back = pool.apply(workers.put_and_return, (obj, "there"))
        assert workers.take(obj) == "there"
        workers.put(back, "and back")
        assert workers.take(obj) == "and back"
        assert type(back) is type(obj)
        backs = pool.starmap(workers.put_and_return, [(obj, str(i)) for i in range(10)])
    assert len({(b._segment.id, b._offset, b._serial) for b in [*backs, back, obj]}) == 1


def test_pool_initargs(ctx, obj):
    """As an initializer's argument."""
    with ctx.Pool(2, workers.begin, (obj,)) as pool:
        pool.map(workers.put_into_given, ["init"] * 4)
    assert workers.take(obj) == "init"


def test_process_pool_executor(ctx, obj):
    """Through concurrent.futures, as argument, initializer's argument and result."""
    with ProcessPoolExecutor(2, mp_context=ctx, initializer=workers.begin, initargs=(obj,)) as executor:
        executor.submit(workers.put_into_given, "init").result(60)
        assert workers.take(obj) == "init"
        back = executor.submit(workers.put_and_return, obj, "there").result(60)
        assert workers.take(back) == workers.take(obj) == "there"


def test_queue(ctx, obj):
    """Through a multiprocessing.Queue, both ways."""
    there, back = ctx.Queue(), ctx.Queue()
    process = start(ctx, workers.serve, there, back)
    for _ in range(3):
        there.put(obj)
        got = back.get(timeout=60)
        assert workers.take(got) == workers.take(obj) == "served"
        workers.put(obj, "again")
    there.put(None)
    join(process)
    for queue in (there, back):
        queue.close()
        queue.join_thread()


def test_pipe(ctx, obj):
    """Through a multiprocessing.Pipe, both ways."""
    here, there = ctx.Pipe()
    process = start(ctx, workers.serve_pipe, there)
    for _ in range(3):
        here.send(obj)
        assert here.poll(60)
        got = here.recv()
        assert workers.take(got) == workers.take(obj) == "served"
        workers.put(obj, "again")
    here.send(None)
    join(process)
    here.close()
    there.close()


def test_inside_builtin_containers(ctx, manager):
    """In a dict of lists in an argument."""
    objects = {"a": manager.dict(), "b": manager.list()}
    run(ctx, workers.put_all, objects, "inside")
    assert [workers.take(obj) for obj in objects.values()] == ["inside", "inside"]


def test_stored_in_shared_containers(ctx, manager):
    """A process that is given the outer one gets at the inner ones; what it stores there outlives it."""
    outer = manager.dict()
    run(ctx, workers.nest, outer, "by a child")
    assert outer["inner"]["text"] == "by a child"
    outer["items"] = manager.list()
    outer["items"].append(outer["inner"])
    run(ctx, workers.put, outer["items"][0], "changed")
    assert outer["inner"]["text"] == "changed"
    outer["tuple"] = (outer["items"], 1)
    run(ctx, workers.put, outer["tuple"][0], "last")
    assert outer["items"][-1] == "last"


def test_sender_drops_its_handle_after_start(ctx, manager):
    """The object lives until the child has it, and until the child is done with it."""
    gc.collect()
    before = manager.segment.stats().objects
    outer = manager.dict()
    gate = ctx.Event()
    inner = manager.dict(sent=1)
    outer["inner"] = inner
    process = start(ctx, workers.slow_put, inner, gate, "late")
    del inner
    gc.collect()
    gate.set()
    join(process)
    assert outer["inner"] == {"sent": 1, "text": "late"}
    outer.clear()
    del outer, process
    gc.collect()
    manager.segment.recover()
    assert manager.segment.stats().objects == before


def test_sender_drops_everything_after_start(ctx):
    """Even the manager: the child holds the segment alone."""
    here, there = ctx.Pipe()
    manager = mpshm.Manager()
    process = start(ctx, workers.serve_pipe, there)
    here.send(manager.dict(sent=1))
    del manager
    gc.collect()
    assert here.poll(60)
    d = here.recv()
    assert d == {"sent": 1, "text": "served"}
    here.send(None)
    join(process)
    here.close()
    there.close()
    del d, process


def test_what_was_sent_stays_findable(no_new_segments):
    """A segment stays with its sender while something of it is on its way, and no longer."""
    segments.let_go()
    assert not segments._lingering
    raw = pickle.dumps(mpshm.Manager().dict(a=1))
    gc.collect()
    assert len(segments._lingering) == 1
    d = pickle.loads(raw)
    assert d == {"a": 1}
    del d
    gc.collect()
    assert len(segments._lingering) == 1
    manager = mpshm.Manager()
    assert not segments._lingering
    d = pickle.loads(pickle.dumps(manager.dict()))
    del manager, d
    gc.collect()
    assert not segments._lingering
    manager = mpshm.Manager()
    raw = pickle.dumps(manager.dict())
    manager.shutdown()
    del manager
    gc.collect()
    assert not segments._lingering


def test_worker_returns_what_it_made(ctx, manager):
    """A worker may make a container in the caller's manager, in its own default segment, or in a manager it
    forgets."""
    with ctx.Pool(1) as pool:
        made = pool.apply(workers.make_in, (manager, "a"))
        assert made["text"] == "a" and made["pid"] != os.getpid()
        own = pool.apply(workers.make_own, ("b",))
        forgotten = pool.apply(workers.make_in_own_manager, ("c",))
        assert own["pid"] == made["pid"]
    assert made["text"] == "a"
    assert own["inner"] == ["b"] and own["text"] == "b"
    assert forgotten == {"text": "c"}
    own["more"] = 1
    assert own._segment.check() is forgotten._segment.check() is None


def test_creator_has_exited(ctx):
    """When the process that made the manager is gone, those that have it go on, and hand it on."""
    here, there = ctx.Pipe()
    creator = start(ctx, workers.create_and_leave, there)
    assert here.poll(60)
    d = here.recv()
    here.send("go")
    join(creator)
    assert d["made_by"] == creator.pid and d["inner"] == [1]
    for method in ("fork", "spawn"):
        run(mpshm.get_context(method), workers.put, d, f"after {method}")
        assert d["text"] == f"after {method}"
    d["inner"].append(2)
    assert d["inner"] == [1, 2]
    assert d._segment.check() is None
    assert d._segment.stats().processes == 1
    here.close()
    there.close()


def test_handle_of_one_who_is_gone(ctx):
    """A pickle whose sender has ended still loads where another process has the segment."""
    here, there = ctx.Pipe()
    creator = start(ctx, workers.create_and_leave, there)
    assert here.poll(60)
    raw = here.recv_bytes()  # not loaded: this process is not attached
    holder_here, holder_there = ctx.Pipe()
    holder = start(ctx, workers.hold, raw, holder_there)
    assert holder_here.poll(60)
    assert holder_here.recv() == holder.pid
    here.send("go")
    join(creator)
    again = pickle.loads(raw)
    assert again["inner"] == [1]
    holder_here.send("go")
    join(holder)
    again["text"] = "still there"
    assert again["text"] == "still there"
    for end in (here, there, holder_here, holder_there):
        end.close()


def test_nobody_has_the_segment_any_more(interpreter_env):
    """SegmentNotFoundError names the process that sent it and the way out."""
    code = (
        "import mpshm, pickle, os, sys\n"
        "d = mpshm.Manager().dict(a=1)\n"
        "sys.stdout.write(f'{os.getpid()} {pickle.dumps(d).hex()}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, env=interpreter_env
    )
    pid, raw = done.stdout.split()
    with pytest.raises(mpshm.SegmentNotFoundError, match=f"process {pid}.* has ended.*alive") as caught:
        pickle.loads(bytes.fromhex(raw))
    assert isinstance(caught.value, FileNotFoundError)


def test_loaded_after_the_object_is_gone(manager):
    """A pickle keeps its object until it is first loaded; a later load finds it gone: ReferenceError, nothing
    else."""
    raw = pickle.dumps(manager.dict(a=1))
    d = pickle.loads(raw)
    assert d == {"a": 1}
    assert pickle.loads(raw) == d
    del d
    gc.collect()
    other = manager.dict(b=2)
    with pytest.raises(ReferenceError, match="gone"):
        pickle.loads(raw)
    assert other == {"b": 2}


def test_on_its_way_it_counts(manager):
    """A pickled handle keeps the object alive; once loaded and dropped, the memory is free again."""
    gc.collect()
    before = manager.segment.stats()
    raw = [pickle.dumps(manager.list(["x" * 1000])) for _ in range(20)]
    assert manager.segment.stats().objects == before.objects + 20
    assert all(pickle.loads(each) == ["x" * 1000] for each in raw)
    gc.collect()
    after = manager.segment.stats()
    assert (after.objects, after.blocks) == (before.objects, before.blocks)


def test_one_object_however_it_came(manager):
    """Several pickles of one object give handles of one object."""
    d = manager.dict()
    copies = [pickle.loads(pickle.dumps(d)) for _ in range(3)]
    assert {(c._offset, c._serial) for c in copies} == {(d._offset, d._serial)}
    for i, each in enumerate(copies):
        each[i] = i
    assert d == {0: 0, 1: 1, 2: 2}


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_protocols(manager, protocol):
    """Every protocol that classes pickle with."""
    d = manager.dict(a=1)
    assert pickle.loads(pickle.dumps(d, protocol)) == {"a": 1}


def test_the_manager_itself(ctx, manager):
    """A manager goes to a child, which makes things in it that the parent sees."""
    here = manager.dict()
    run(ctx, _make_with, manager, here)
    assert here["made"] == [1, 2]


def _make_with(manager, out):
    out["made"] = manager.list([1, 2])
    manager.shutdown()


def test_connecting_from_a_child(ctx, manager):
    """A manager's address is all that another process needs."""
    d = manager.dict()
    run(ctx, _connect, manager.address, d)
    assert d["found"] == [3]


def _connect(address, out):
    other = mpshm.managers.SyncManager(address=address)
    other.connect()
    out["found"] = other.list([3])


def test_locks_between_processes(ctx, manager):
    """A shared lock excludes, and incr needs none."""
    d, lock = manager.dict(n=0), manager.Lock()
    join(*[start(ctx, workers.count, d, lock, 200) for _ in range(3)])
    assert d["n"] == 600
    join(*[start(ctx, workers.increment, d, 500) for _ in range(3)])
    assert d["n"] == 2100


@pytest.mark.parametrize(
    ("outer", "inner"),
    # multiprocessing itself can't use the parent's forkserver from a forked child
    [(outer, inner) for outer in METHODS for inner in METHODS if (outer, inner) != ("fork", "forkserver")],
)
def test_grandchildren(manager, outer, inner):
    """A child hands on what it was given, by any start method."""
    d = manager.dict()
    run(mpshm.get_context(outer), workers.pass_on, d, inner, "from below")
    assert d["text"] == "from below"


def test_shutdown_reaches_other_processes(ctx):
    """After shutdown() the handles in other processes raise SegmentClosedError."""
    with mpshm.Manager() as manager:
        d = manager.dict()
        here, there = ctx.Pipe()
        process = start(ctx, _use_after_shutdown, d, there)
        assert here.poll(60)
        assert here.recv() == "ready"
    here.send("shut down")
    assert here.poll(60)
    assert here.recv() == "SegmentClosedError"
    join(process)
    here.close()
    there.close()


def _use_after_shutdown(d, pipe):
    d["a"] = 1
    pipe.send("ready")
    pipe.recv()
    try:
        d["b"] = 2
    except mpshm.SegmentClosedError:
        pipe.send("SegmentClosedError")


def test_pickling_from_many_threads(manager):
    """Threads that send and receive at once get what was sent."""
    objects = [manager.list([i]) for i in range(8)]
    failed = []

    def work(obj, i):
        for _ in range(100):
            if pickle.loads(pickle.dumps(obj)) != [i]:
                failed.append(i)

    threads = [threading.Thread(target=work, args=(obj, i)) for i, obj in enumerate(objects)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed


def test_attaching_is_quick(manager):
    """In a spawned worker the first operation after loading takes less than a millisecond, in the best of
    some."""
    d = manager.dict(a=1)
    with mpshm.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        times = [pool.apply(workers.attach_seconds, (d,)) for _ in range(3)]
    assert min(times) < 0.001


def test_many_processes_at_once(manager):
    """Processes come and go in numbers; at the end only this one is attached."""
    d = manager.dict()
    ctx = mpshm.get_context("fork")
    for _ in range(3):
        join(*[start(ctx, workers.increment, d, 20) for _ in range(20)])
    assert d["n"] == 3 * 20 * 20
    assert manager.segment.stats().processes == 1


def test_of_another_segment_in_a_container(ctx, manager):
    """An object of another segment that is stored in a container may be read from there again and again, by all."""
    d = manager.dict(other=mpshm.List([1]), inside=[mpshm.Dict(a=1)])
    gc.collect()
    for n in range(3):
        d["other"].append(n)
        assert d["inside"][0]["a"] == 1
    run(ctx, workers.append_to, d, "other", "there")
    assert d["other"] == [1, 0, 1, 2, "there"]


def test_of_another_segment_in_a_queue(manager):
    """An object of another segment that went through a queue goes with the last handle."""
    with mpshm.Manager() as other:
        q = manager.Queue()
        for n in range(3):
            q.put(other.list([n]))
            got = q.get()
            assert got == [n]
            del got
        gc.collect()
        assert other.segment.stats().objects == 0
