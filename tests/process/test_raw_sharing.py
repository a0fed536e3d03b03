"""Raw shared memory between processes: each start method, unrelated programs, and every kind of end."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import shared_memory_workers as workers

import mpshm
from mpshm import ShareableList, SharedMemory, anonymous_shared_memory, memory

SHM = Path("/dev/shm")
SECONDS = 60


@contextmanager
def program(env, *args):
    """A program of its own, and what it says first."""
    command = [sys.executable, str(Path(workers.__file__)), *args]
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        said = process.stdout.readline().split()
        if not said:
            pytest.fail(process.stderr.read())
        yield process, said
    finally:
        process.kill()
        process.communicate(timeout=SECONDS)


def end(process):
    """Let it end by itself; what it says to stderr is returned."""
    _, err = process.communicate("\n", timeout=SECONDS)
    assert process.returncode == 0, err
    return err


def kill(process, number=signal.SIGKILL):
    process.send_signal(number)
    process.wait(SECONDS)


def run(ctx, target, *args):
    process = ctx.Process(target=target, args=args)
    process.start()
    process.join(SECONDS)
    assert process.exitcode == 0


def is_gone(name):
    """Whether nobody can attach to it. (A process that ends takes a moment to be off /proc.)"""
    for _ in range(100):
        try:
            SharedMemory(name).close()
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


# ---- sharing ----


@pytest.mark.parametrize("named", [True, False])
def test_by_name_and_by_object(ctx, named, unique_name):
    """A child writes, the parent reads, and what the child closes or ends takes nothing away."""
    shm = SharedMemory(unique_name() if named else None, create=True, size=100)
    run(ctx, workers.write, shm.name, b"name")
    assert bytes(shm.buf[:4]) == b"name"
    run(ctx, workers.write, shm, b"object")
    assert bytes(shm.buf[:6]) == b"object"
    with SharedMemory(shm.name) as again:
        assert bytes(again.buf[:6]) == b"object"
    shm.close()
    shm.unlink()


def test_growing_in_another_process(ctx):
    """What a child's resize() adds is there for the parent."""
    with SharedMemory(create=True, size=10) as shm:
        view = shm.buf
        run(ctx, workers.grow, shm, 1 << 20)
        assert shm.size == 1 << 20
        assert shm.buf[-1] == 7
        assert len(view) == 10
        del view
        shm.unlink()


def test_not_shorter_under_another_process(ctx, interpreter_env):
    """While any other process has it mapped, it does not get shorter: nobody is killed by reading."""
    with SharedMemory(create=True, size=100_000) as shm:
        with program(interpreter_env, "attach", shm.name) as (process, _):
            with pytest.raises(BufferError, match=str(process.pid)):
                shm.resize(10)
            assert shm.size == len(shm.buf) == 100_000
        shm.resize(10)
        pid = os.fork()
        if pid == 0:
            time.sleep(SECONDS)
            os._exit(0)
        try:
            with pytest.raises(BufferError, match=str(pid)):
                shm.resize(5)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shm.resize(5)
        assert len(shm.buf) == 5
        shm.unlink()


def test_lists(ctx):
    """Items set in a child, longer than before too, are the parent's."""
    items = ShareableList(["a", 1, None])
    run(ctx, workers.set_items, items, 0, ["b" * 1000])
    run(ctx, workers.set_items, items, 2, [b"x\0", 2.5, "\0"])
    assert list(items) == ["b" * 1000, 1, "\0"]
    items.shm.close()
    items.shm.unlink()


def test_all_at_once(ctx):
    """Of several processes that set the items of a list, none loses another's."""
    items = ShareableList([0] * 4)
    processes = [
        ctx.Process(target=workers.set_items, args=(items, place, ["x" * size for size in range(300)]))
        for place in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
        assert process.exitcode == 0
    assert list(items) == ["x" * 299] * 4
    items.shm.close()
    items.shm.unlink()


def test_manager_in_a_child(ctx):
    """A child makes memory by its parent's manager, whose shutdown unlinks it."""
    queue, may_go = ctx.Queue(), ctx.Event()
    with mpshm.managers.SharedMemoryManager() as manager:
        process = ctx.Process(target=workers.use_manager, args=(manager, queue, may_go))
        process.start()
        with SharedMemory(name := queue.get(timeout=SECONDS)) as shm:
            assert shm.buf[0] == 5
            manager.shutdown()
            with pytest.raises(FileNotFoundError):
                SharedMemory(name)
            assert shm.buf[0] == 5
        may_go.set()
        process.join(SECONDS)
        assert process.exitcode == 0


def test_manager_that_is_forgotten():
    """Without shutdown() the memory goes when the manager does, as the standard library's."""
    manager = mpshm.managers.SharedMemoryManager()
    manager.start()
    name = manager.SharedMemory(10).name
    SharedMemory(name).close()
    del manager
    assert is_gone(name)


def test_manager_before_and_after():
    """Use before start() and after shutdown() says so."""
    manager = mpshm.managers.SharedMemoryManager()
    for make in (lambda: manager.SharedMemory(5), manager.ShareableList):
        with pytest.raises(ValueError, match="Call start") as caught:
            make()
        assert isinstance(caught.value, AssertionError)
    with manager:
        other = mpshm.managers.SharedMemoryManager(address=manager.address)
        other.connect()
        name = other.SharedMemory(8).name
        assert SharedMemory(name).size == 8
        other.shutdown()
    with pytest.raises(mpshm.SegmentClosedError):
        manager.SharedMemory(5)
    del other
    assert is_gone(name)


def test_anonymous_memory_of_forked_children():
    """Children of the start method fork share it; spawned ones are told why not."""
    with anonymous_shared_memory(100) as region:
        run(mpshm.get_context("fork"), workers.use_xsi, region)
        assert memoryview(region)[1] == 2
        with pytest.raises(TypeError, match="before the fork"):
            mpshm.get_context("spawn").Process(target=workers.use_xsi, args=(region,)).start()


def test_xsi_in_a_child(ctx):
    """A System V segment goes to children of every kind."""
    with mpshm.XSISharedMemory(None, 100) as xsi:
        run(ctx, workers.use_xsi, xsi)
        assert xsi.buf[1] == 2
        xsi.remove()


# ---- ends ----


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("what", ["make", "manager"])
def test_nothing_is_left_of_a_killed_maker(interpreter_env, what, number):
    """Who is attached goes on, others find it as long as somebody is; then there is nothing, no file and no name."""
    before = set(SHM.iterdir())
    with program(interpreter_env, what, "") as (process, names):
        attached = SharedMemory(names[0])
        kill(process, number)
        assert process.stderr.read() == ""
    with SharedMemory(names[0]) as again:
        assert bytes(again.buf[:4]) == b"made"
        attached.buf[0] = 1
        assert again.buf[0] == 1
    attached.close()
    assert is_gone(names[0])
    assert all(is_gone(name) for name in names[1:])
    assert not {path.name for path in set(SHM.iterdir()) - before} & {*names}


def test_a_maker_that_ends(interpreter_env):
    """What it made, named or not, goes with it without a word; `track=False` stays."""
    for track, gone in (("track", True), ("keep", False)):
        for name in ("", f"mpshm-test-{os.getpid()}-{track}"):
            with program(interpreter_env, "make", name, track) as (process, (name,)):
                assert end(process) == ""
            assert is_gone(name) == gone
            assert (SHM / name).exists() != gone
            assert SharedMemory.remove(name) != gone


def test_an_attached_process_takes_nothing_away(interpreter_env, unique_name):
    """Whoever has merely attached removes nothing by ending or being killed, and no tracker complains."""
    for name in (unique_name(), None):
        made = SharedMemory(name, create=True, size=100)
        made.buf[:4] = b"made"
        for finish in (end, kill):
            with program(interpreter_env, "attach", made.name) as (process, said):
                assert said == ["made"]
                assert finish(process) in ("", None)
            SharedMemory(made.name).close()
        made.close()
        made.unlink()


def test_named_memory_of_a_killed_maker(interpreter_env, unique_name):
    """Without a guard it is as good as unlinked: nobody finds it, its name is free, and the next to look removes it."""
    name = unique_name()
    with program(interpreter_env, "make", name, "unguarded") as (process, _):
        assert SharedMemory(name).size == 100_000
        kill(process)
    assert (SHM / name).exists()
    with pytest.raises(mpshm.SegmentNotFoundError):
        SharedMemory(name)
    assert not (SHM / name).exists()
    with program(interpreter_env, "make", name, "unguarded") as (process, _):
        kill(process)
    with SharedMemory(name, create=True, size=5) as made:
        assert SharedMemory(name).size == 5
        made.unlink()
    with program(interpreter_env, "make", name, "unguarded") as (process, _):
        kill(process)
    assert memory.sweep() >= 1
    assert not (SHM / name).exists()


def test_sweeping_leaves_the_living_alone(interpreter_env, unique_name):
    """Memory of a maker that lives, kept memory, and files of other programs stay."""
    kept = SharedMemory(unique_name(), create=True, size=1, track=False)
    foreign = SHM / unique_name()
    foreign.write_bytes(b"x")
    foreign.chmod(0o1600)
    name = unique_name()
    with program(interpreter_env, "make", name) as (process, _):
        memory.sweep()
        assert (SHM / name).exists()
        assert (SHM / kept.name).exists()
        assert foreign.exists()
        end(process)
    foreign.unlink()
    kept.close()
    kept.unlink()


def test_a_forked_child_keeps_nothing(interpreter_env):
    """Once the maker has ended, a forked child's inherited object is a use like any other, and the last one."""
    with program(interpreter_env, "fork", "") as (process, (name, pid)):
        kill(process)
        with SharedMemory(name) as shm:
            assert shm.size == 1000
        os.kill(int(pid), signal.SIGKILL)
        assert is_gone(name)


def test_a_forked_child_unlinks_nothing(unique_name):
    """A child's end, by sys.exit() too, takes nothing of its parent's away."""
    named = SharedMemory(unique_name(), create=True, size=1)
    nameless = SharedMemory(create=True, size=1)
    for shm in (named, nameless):
        pid = os.fork()
        if pid == 0:
            memory._unlink_all()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        SharedMemory(shm.name).close()
        shm.close()
        shm.unlink()


def test_lists_whose_writers_are_killed(interpreter_env):
    """Whenever writers are killed, every item is one that was set, whole, and the next writer goes on."""
    items = ShareableList(["a"] * 5)
    for wait in (0.0, 0.003, 0.01, 0.02, 0.05) * 3:
        with program(interpreter_env, "set", items.shm.name) as (one, _):
            with program(interpreter_env, "set", items.shm.name) as (two, _):
                time.sleep(wait)
                kill(one)
                for _ in range(20):
                    list(items)
                kill(two)
        for item in items:
            assert isinstance(item, int) or len(set(item)) <= 1
        for place in range(5):
            items[place] = place
        assert list(items) == [0, 1, 2, 3, 4]
    items.shm.close()
    items.shm.unlink()


def test_the_machine_is_left_clean():
    """No memory of ours is open in this process at the end."""
    assert not [pin for pin in memory._pins.values() if pin.path is not None]
