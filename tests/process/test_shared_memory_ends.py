"""Raw shared memory: what is left when its makers die, what others may do to it, and races for a name."""

import os
import resource
import signal
import stat
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from children import forked

import mpshm
from mpshm import ShareableList, SharedMemory, guards, memory
from mpshm.managers import SharedMemoryManager

SHM = Path("/dev/shm")
SECONDS = 60


def ended(pid):
    """How a child ended: 0, or what waitpid says."""
    return os.waitpid(pid, 0)[1]


def in_child(run, *args):
    assert ended(forked(run, *args)) == 0


@contextmanager
def waiting(run=lambda: None, *args):
    """A child that does something, says so, and then waits to be killed."""
    read, write = os.pipe()

    def child():
        run(*args)
        os.write(write, b"x")
        time.sleep(SECONDS)

    pid = forked(child)
    try:
        os.close(write)
        assert os.read(read, 1) == b"x"
        os.close(read)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def waiting_for_nothing(run):
    """A child, which is killed at the end."""
    pid = forked(run)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def soon(condition):
    """Whether it becomes true within seconds."""
    until = time.monotonic() + 20
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.005)
    return True


def as_nobody(run, *args):
    """Run it in a child of another user."""

    def child():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        run(*args)

    in_child(child)


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")


# ---- killed makers ----


def test_named_memory_goes_when_its_maker_is_killed(unique_name):
    """Nothing remains in /dev/shm though nobody looks for it, of lists neither; what was to stay, stays."""
    gone, kept, listed, other = (unique_name() for _ in range(4))

    def make():
        SharedMemory(gone, create=True, size=1 << 20)
        ShareableList(["x"], name=listed)
        SharedMemory(kept, create=True, size=1, track=False)
        SharedMemory(other, create=True, size=1).unlink()

    mine = SharedMemory(other + "-mine", create=True, size=1)
    with waiting(make):
        assert {gone, kept, listed} <= {path.name for path in SHM.iterdir()}
    assert soon(lambda: not (SHM / gone).exists() and not (SHM / listed).exists())
    assert SharedMemory.remove(kept)
    assert (SHM / mine.name).exists()
    mine.close()
    mine.unlink()


def test_a_file_that_got_the_name_later_stays(unique_name):
    """A guard removes what its maker made, and not what has its name by now, or one like it."""
    name = unique_name()
    with waiting(lambda: SharedMemory(name, create=True, size=1)):
        (SHM / name).unlink()
        made = SharedMemory(name, create=True, size=2, track=False)
        (SHM / f"{name}-x").write_bytes(b"x")
    gone = unique_name()
    with waiting(lambda: SharedMemory(gone, create=True, size=1)):
        pass
    assert soon(lambda: not (SHM / gone).exists())
    assert SharedMemory(name).size == 2
    (SHM / f"{name}-x").unlink()
    made.unlink()
    made.close()


def test_attached_memory_of_a_killed_maker_is_good(unique_name):
    """Whoever has it keeps it after the guard has been there, and may resize and close it."""
    name = unique_name()
    with waiting(lambda: SharedMemory(name, create=True, size=5000).buf.__setitem__(4999, 7)):
        shm = SharedMemory(name)
    assert soon(lambda: not (SHM / name).exists())
    assert shm.buf[4999] == 7
    shm.resize(9000)
    shm.buf[8999] = 1
    shm.close()
    with pytest.raises(FileNotFoundError):
        shm.unlink()


def test_a_guard_is_nobodys_child(unique_name):
    """A program that waits for all its children, or kills its group, does not meet the guard."""
    name = unique_name()

    def make():
        os.setpgid(0, 0)
        SharedMemory(name, create=True, size=1)
        with pytest.raises(ChildProcessError):
            os.wait()
        os.killpg(0, signal.SIGKILL)

    assert ended(forked(make)) == signal.SIGKILL
    assert soon(lambda: not (SHM / name).exists())


def test_there_is_one_guard_for_a_process(unique_name):
    """However much is made; a forked child that outlives its parent does not keep the parent's guard waiting."""
    name = unique_name()
    read, write = os.pipe()

    def make():
        for _ in range(30):
            made = SharedMemory(name, create=True, size=1)
            made.close()
            made.unlink()
        SharedMemory(name, create=True, size=1)
        assert len(guards._pipes) == 1
        child = forked(time.sleep, SECONDS)
        os.write(write, str(child).encode())
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(forked(make)) == signal.SIGKILL
    assert soon(lambda: not (SHM / name).exists())
    os.kill(int(os.read(read, 20)), signal.SIGKILL)
    os.close(read)
    os.close(write)


def test_without_a_guard_all_works(unique_name, monkeypatch):
    """Where no shell can be started, or the guard was killed, making and unlinking go on."""

    def make(name):
        made = SharedMemory(name, create=True, size=1)
        made.close()
        made.unlink()

    def no_shell():
        def refuse(*args, **kwds):
            raise FileNotFoundError("/bin/sh")

        monkeypatch.setattr(subprocess, "Popen", refuse)
        make(unique_name())
        assert guards._pipes == {"/dev/shm": ()}

    def killed():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        make(unique_name())
        os.kill(guard_of(guards._pipes["/dev/shm"]), signal.SIGKILL)
        for _ in range(2000):  # more than the pipe holds
            guards.watch("/dev/shm", 1 << 60)
        make(unique_name())

    def guard_of(pipe):
        number = os.fstat(pipe[0]).st_ino
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if int(process.name) != os.getpid() and (process / "fd/0").stat().st_ino == number:
                    return int(process.name)
            except OSError:
                continue
        raise AssertionError("there is no guard")

    in_child(no_shell)
    in_child(killed)


# ---- others ----


@root_only
@pytest.mark.parametrize("permissions", [0o600, 0o644, 0o666])
def test_other_users(permissions, unique_name):
    """They may do what the permissions say; a failed attach or unlink says why, and takes nothing away."""
    name = unique_name()
    made = SharedMemory(name, create=True, size=100, permissions=permissions)
    made.buf[0] = 1

    def other():
        if permissions == 0o600:
            for mode in ("r", "r+"):
                with pytest.raises(
                    mpshm.SegmentPermissionError, match=r"Its permissions do not allow it.*permissions="
                ):
                    SharedMemory(name, mode=mode)
        else:
            reader = SharedMemory(name, mode="r")
            assert reader.buf[0] == 1
            assert reader.buf.readonly
            with pytest.raises(OSError):
                os.ftruncate(reader.fileno(), 1)
            reader.close()
            if permissions == 0o644:
                with pytest.raises(mpshm.SegmentPermissionError, match="mode='r'"):
                    SharedMemory(name)
            else:
                SharedMemory(name).buf[1] = 2
            with pytest.raises(mpshm.SegmentPermissionError):
                reader.unlink()
        with pytest.raises(mpshm.SegmentPermissionError):
            SharedMemory.remove(name)
        assert memory.sweep() == 0

    as_nobody(other)
    assert made.buf[1] == (2 if permissions == 0o666 else 0)
    with SharedMemory(name) as again:
        assert again.size == 100
    made.close()
    made.unlink()


@root_only
def test_other_users_memory_without_a_name():
    """Nobody but its user can attach to it."""
    with SharedMemory(create=True, size=10, permissions=0o666) as made:

        def other():
            for mode in ("r", "r+"):
                with pytest.raises(FileNotFoundError):
                    SharedMemory(made.name, mode=mode)

        as_nobody(lambda: os.closerange(3, 256) or other())
        made.unlink()


@root_only
def test_not_shorter_where_other_users_may_look(unique_name):
    """What this user cannot see may be there: memory that lets other users in does not get shorter by a user's hand."""
    name = unique_name()

    def user():
        for permissions, refused in ((0o600, False), (0o644, True)):
            with SharedMemory(name, create=True, size=10_000, permissions=permissions) as shm:
                shm.buf[0] = 1
                if refused:
                    with pytest.raises(BufferError, match="another user"):
                        shm.resize(10)
                    assert len(shm.buf) == 10_000
                    shm.resize(20_000)
                else:
                    shm.resize(10)
                assert shm.buf[0] == 1
                shm.unlink()

    as_nobody(user)


def test_not_shorter_under_a_child_that_closed_its_descriptors(monkeypatch):
    """A daemon that has closed all descriptors still has the mapping: that is seen, also by the locks alone."""
    with SharedMemory(create=True, size=100_000) as shm:

        def close():
            file = os.fstat(shm.fileno()).st_ino
            for path in list(Path("/proc/self/fd").iterdir()):
                if path.exists() and path.stat().st_ino == file:
                    os.close(int(path.name))
            assert (shm.size, shm.buf[99_999]) == (100_000, 0)

        with waiting(close):
            with pytest.raises(BufferError):
                shm.resize(10)
            monkeypatch.setattr(memory, "mappers", lambda fd: ([], False))
            with pytest.raises(BufferError, match="another process"):
                shm.resize(10)
        assert len(shm.buf) == 100_000
        shm.resize(10)
        assert len(shm.buf) == shm.size == 10
        shm.unlink()


def test_readers_live_while_others_resize_close_and_unlink(unique_name):
    """Whatever others try meanwhile, no reader is killed, and each sees whole memory of some size."""
    for name in (unique_name(), None):
        shm = SharedMemory(name, create=True, size=4096)

        def read(shm=shm):
            until = time.monotonic() + 0.4
            while time.monotonic() < until:
                own = SharedMemory(shm.name)
                view = own.buf
                array = np.frombuffer(view, dtype="u1")
                assert array.sum() == 0
                assert bytes(view[-1:]) == b"\0"
                del array, view
                own.close()

        readers = [forked(read) for _ in range(3)]
        until, refused, cut = time.monotonic() + 0.4, 0, 0
        while time.monotonic() < until:
            shm.resize(1 << 20)
            try:
                shm.resize(4096)
                cut += 1
            except BufferError:
                refused += 1
        assert [ended(pid) for pid in readers] == [0, 0, 0]
        assert refused
        shm.resize(4096)
        view = shm.buf[4000:]
        shm.unlink()
        assert view[95] == 0
        view.release()
        shm.close()


# ---- a name ----


def test_one_of_many_makers_wins(unique_name):
    """Of processes that make one name at once, exactly one does; whoever attaches finds it whole."""
    name = unique_name()
    read, write = os.pipe()
    begin = time.monotonic() + 0.2

    def make(number):
        while time.monotonic() < begin:
            time.sleep(0.001)
        for turn in range(20):
            try:
                SharedMemory(f"{name}-{turn}", create=True, size=1000, track=False).close()
                os.write(write, bytes([turn]))
            except FileExistsError:
                with SharedMemory(f"{name}-{turn}") as shm:
                    assert shm.size == 1000

    children = [forked(make, number) for number in range(4)]
    assert [ended(pid) for pid in children] == [0] * 4
    os.close(write)
    assert sorted(os.read(read, 4096)) == list(range(20))
    os.close(read)
    assert all(SharedMemory.remove(f"{name}-{turn}") for turn in range(20))


def test_making_attaching_and_unlinking_at_once(unique_name):
    """Makers that come and go under one name, killed ones too, never show anybody half a memory, or another error than
    that it is there, or not there."""
    name = unique_name()
    until = time.monotonic() + 0.6

    def make():
        while time.monotonic() < until:
            try:
                shm = SharedMemory(name, create=True, size=3000)
            except FileExistsError:
                continue
            shm.buf[2999] = 1
            if os.urandom(1)[0] < 20:
                os._exit(0)  # without a word: as if killed
            shm.close()
            try:
                shm.unlink()
            except FileNotFoundError:
                pass  # another one has removed it as a dead one's, or has it by now

    def attach():
        while time.monotonic() < until:
            try:
                with SharedMemory(name) as shm:
                    assert shm.size == 3000
                    assert shm.buf[2999] in (0, 1)
            except FileNotFoundError:
                pass

    children = [forked(run) for run in (make, make, attach, attach)]
    assert [ended(pid) for pid in children] == [0] * 4
    SharedMemory.remove(name)


@pytest.mark.parametrize("kind", ["folder", "link", "pipe", "socket"])
def test_what_has_the_name_is_something_else(kind, unique_name):
    """Neither attaching, making nor removing touches it."""
    import socket

    name = unique_name()
    path = SHM / name
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/null")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(path))
    before = path.lstat().st_ino
    try:
        for mode in ("r", "r+"):
            with pytest.raises(mpshm.SegmentNotFoundError, match="is no shared memory"):
                SharedMemory(name, mode=mode)
        with pytest.raises(mpshm.SegmentExistsError):
            SharedMemory(name, create=True, size=1)
        assert SharedMemory.remove(name) is False
        assert path.lstat().st_ino == before
    finally:
        path.rmdir() if kind == "folder" else path.unlink()


# ---- limits ----


def test_a_full_descriptor_table_is_an_error_and_leaves_nothing(unique_name):
    """However many descriptors are left, making either works or fails as a whole: no file, no descriptor more."""
    name = unique_name()
    makers = (
        lambda: SharedMemory(create=True, size=10),
        lambda: SharedMemory(name, create=True, size=10),
        lambda: SharedMemory(name, create=True, size=10, track=False),
        lambda: ShareableList(["a"]).shm,
    )

    def run():
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        makers[1]().unlink()  # which starts the guard
        before = len(list(Path("/proc/self/fd").iterdir()))
        for make in makers:
            outcomes = set()
            for room in range(10):
                hogs = []
                try:
                    while True:
                        hogs.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    pass
                for fd in hogs[:room]:
                    os.close(fd)
                try:
                    made, outcome = make(), "made"
                except (OSError, mpshm.MpshmError):
                    made, outcome = None, "refused"
                if made is not None:
                    made.close()
                for fd in hogs[room:]:
                    os.close(fd)
                if made is not None:
                    made.unlink()
                    made = None
                outcomes.add(outcome)
                assert not (SHM / name).exists()
                assert len(list(Path("/proc/self/fd").iterdir())) == before
            assert outcomes == {"made", "refused"}

    in_child(run)


def test_too_little_address_space_leaves_nothing(unique_name):
    """Memory that cannot be mapped is not left behind by the constructor that failed."""
    name = unique_name()

    def run():
        SharedMemory(unique_name(), create=True, size=1).unlink()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20),) * 2)
        for taken in (name, None):
            with pytest.raises(mpshm.SegmentFullError):
                SharedMemory(taken, create=True, size=16 << 20)
        assert not (SHM / name).exists()
        assert not memory._pins

    in_child(run)


def test_a_limit_of_files_is_no_signal(unique_name):
    """The limit of a file's size is an error where SIGXFSZ would kill, for making and for growing."""
    name = unique_name()

    def run():
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        shm = SharedMemory(name, create=True, size=1000)
        with (SHM / f"{name}-sparse").open("wb") as file:
            file.truncate(2 << 20)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        with SharedMemory(f"{name}-sparse") as sparse:  # which is as long already
            sparse.buf[-1] = 1
            sparse.unlink()
        with pytest.raises(mpshm.SegmentFullError, match="File too large"):
            SharedMemory(create=True, size=2 << 20)
        with pytest.raises(mpshm.SegmentFullError, match="File too large"):
            shm.resize(2 << 20)
        assert shm.size == len(shm.buf) == 1000
        shm.resize(1 << 20)
        items = ShareableList(["a"])
        with pytest.raises(mpshm.SegmentFullError):
            items[0] = "x" * (2 << 20)
        assert list(items) == ["a"]
        shm.unlink()

    in_child(run)


def test_more_than_dev_shm_has_is_an_error(unique_name):
    """What is more than the file system has is refused when it is made, and not by SIGBUS when it is used."""
    name = unique_name()
    status = os.statvfs("/dev/shm")
    for size in (status.f_blocks * status.f_frsize + 1, status.f_bavail * status.f_frsize * 2 + 4096):
        with pytest.raises(mpshm.SegmentFullError):
            SharedMemory(name, create=True, size=size)
        assert not (SHM / name).exists()
    with SharedMemory(name, create=True, size=10) as shm:
        shm.buf[9] = 9
        with pytest.raises(mpshm.SegmentFullError):
            shm.resize(status.f_blocks * status.f_frsize + 1)
        assert (shm.size, shm.buf[9]) == (10, 9)
        shm.unlink()


@root_only
def test_a_small_file_system_of_its_own(tmp_path, unique_name):
    """In a container with 1 MiB of /dev/shm: an error, also for what another program made without reserving it, and for
    who only reads that."""
    import ctypes

    def run():
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
            return
        libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # private
        if libc.mount(b"tmpfs", bytes(tmp_path), b"tmpfs", 0, b"size=1m") != 0:
            return
        os.environ["MPSHM_DIR"] = str(tmp_path)
        name = unique_name()
        with pytest.raises(mpshm.SegmentFullError, match="No space left"):
            SharedMemory(name, create=True, size=2 << 20)
        assert not list(tmp_path.iterdir())
        shm = SharedMemory(name, create=True, size=1 << 19)
        with pytest.raises(mpshm.SegmentFullError):
            shm.resize(2 << 20)
        shm.buf[-1] = 1
        with (tmp_path / "foreign").open("wb") as file:
            file.truncate(1 << 20)
        for mode in ("r", "r+"):
            with pytest.raises(mpshm.SegmentFullError):
                SharedMemory("foreign", mode=mode)
        assert (tmp_path / "foreign").stat().st_size == 1 << 20
        items = ShareableList(["a"], name="items")
        with pytest.raises(mpshm.SegmentFullError):
            items[0] = "x" * (1 << 20)
        assert items[0] == "a"

    in_child(run)


# ---- managers ----


def names_made(manager):
    return [manager.SharedMemory(100).name, manager.ShareableList(["a"]).shm.name]


def is_gone(name):
    try:
        SharedMemory(name).close()
    except FileNotFoundError:
        return True
    return False


def test_a_manager_made_in_a_worker(ctx):
    """Its memory goes with its shutdown or the worker's end, and not with others' managers."""
    queue = ctx.Queue()
    with SharedMemoryManager() as mine:
        kept = mine.SharedMemory(10)
        process = ctx.Process(target=make_managers, args=(queue,))
        process.start()
        shut, left = queue.get(timeout=SECONDS)
        process.join(SECONDS)
        assert process.exitcode == 0
        assert all(is_gone(name) for name in shut)
        assert soon(lambda: all(is_gone(name) for name in left))
        assert not is_gone(kept.name)
    assert is_gone(kept.name)


def make_managers(queue):
    with SharedMemoryManager() as manager:
        shut = names_made(manager)
        assert not any(is_gone(name) for name in shut)
    forgotten = SharedMemoryManager()
    forgotten.start()
    queue.put((shut, names_made(forgotten)))


def make_and_end(manager, queue):
    """In a worker: make memory by its parent's manager, and end."""
    shm, items = manager.SharedMemory(100_000), manager.ShareableList(["a", 1])
    shm.buf[99_999] = 7
    items[0] = "b" * 5000
    queue.put((shm.name, items.shm.name))


def test_what_a_worker_makes_by_a_manager_outlives_the_worker(ctx):
    """As with the standard library: it goes with the manager, and not with the worker that made it."""
    queue = ctx.Queue()
    with SharedMemoryManager() as manager:
        process = ctx.Process(target=make_and_end, args=(manager, queue))
        process.start()
        process.join(SECONDS)
        assert process.exitcode == 0
        name, listed = queue.get(timeout=SECONDS)
        shm, items = SharedMemory(name), ShareableList(name=listed)
        assert (shm.size, shm.buf[99_999], items[0]) == (100_000, 7, "b" * 5000)
    assert is_gone(name)
    assert is_gone(listed)
    assert not {name, listed} & {path.name for path in SHM.iterdir()}
    assert shm.buf[99_999] == 7
    shm.close()
    items.shm.close()


def test_a_killed_managers_memory_made_by_workers():
    """It goes when the process that started the manager is killed, though the worker has long ended, or lives."""
    queue = mpshm.get_context("fork").Queue()

    def start():
        manager = SharedMemoryManager()
        manager.start()
        in_child(make_and_end, manager, queue)
        pid = forked(lambda: make_and_end(manager, queue) or time.sleep(SECONDS))
        queue.put(pid)
        time.sleep(SECONDS)

    with waiting_for_nothing(start) as starter:
        made = [queue.get(timeout=SECONDS) for _ in range(3)]
        worker = next(one for one in made if isinstance(one, int))
        names = [name for one in made if isinstance(one, tuple) for name in one]
        assert len(names) == 4
        assert not any(is_gone(name) for name in names)
        os.kill(starter, signal.SIGKILL)
    assert soon(lambda: all(is_gone(name) for name in names))
    os.kill(worker, signal.SIGKILL)


def test_a_worker_makes_memory_after_its_manager_was_killed():
    """Then it goes with the worker."""
    queue = mpshm.get_context("fork").Queue()

    def start():
        manager = SharedMemoryManager()
        manager.start()
        starter = os.getpid()

        def worker():
            while os.getppid() == starter:
                time.sleep(0.002)
            make_and_end(manager, queue)
            time.sleep(0.1)
            memory._at_exit()

        forked(worker)
        os.kill(os.getpid(), signal.SIGKILL)

    assert ended(forked(start)) == signal.SIGKILL
    names = queue.get(timeout=SECONDS)
    assert soon(lambda: all(is_gone(name) for name in names))


@pytest.mark.parametrize("end", ["exit", "garbage", "shutdown"])
def test_an_ended_managers_memory_is_found_by_nobody(end):
    """Though somebody is still attached; who is, keeps it."""
    read, write = os.pipe()
    go, going = os.pipe()

    def run():
        manager = SharedMemoryManager()
        manager.start()
        os.write(write, " ".join(names_made(manager)).encode())
        os.read(go, 1)
        if end == "shutdown":
            manager.shutdown()
        elif end == "exit":
            memory._at_exit()
        del manager
        os.write(write, b"x")
        os.read(go, 1)

    pid = forked(run)
    os.close(write)
    names = os.read(read, 1000).decode().split()
    shm, items = SharedMemory(names[0]), ShareableList(name=names[1])
    os.write(going, b"x")
    assert os.read(read, 1) == b"x"
    assert all(is_gone(name) for name in names)
    os.write(going, b"x")
    assert ended(pid) == 0
    shm.buf[0] = 1
    items[0] = "b" * 5000
    assert (shm.buf[0], len(items[0])) == (1, 5000)
    shm.close()
    items.shm.close()
    for fd in (read, go, going):
        os.close(fd)


def test_a_forked_child_does_not_end_its_parents_manager():
    """A child that ends, or forgets the manager, takes nothing away, and leaves the parent's other children alone."""
    other = mpshm.get_context("fork").Process(target=time.sleep, args=(SECONDS,), daemon=True)
    other.start()
    with SharedMemoryManager() as manager:
        shm = manager.SharedMemory(10)

        def child():
            nonlocal manager
            name = manager.SharedMemory(10).name
            assert not is_gone(name)
            manager.shutdown()
            del manager
            memory._at_exit()

        in_child(child)
        assert not is_gone(shm.name)
        shm.close()
    assert is_gone(shm.name)
    assert other.is_alive()
    other.kill()
    other.join(SECONDS)


def test_shutdown_of_many_that_are_gone_is_quick():
    """A manager whose memory was unlinked all along does not look for each of it through all processes."""
    manager = SharedMemoryManager()
    manager.start()
    for _ in range(2000):
        shm = manager.SharedMemory(10)
        shm.close()
        shm.unlink()
    begin = time.monotonic()
    manager.shutdown()
    assert time.monotonic() - begin < 5


def test_permissions_are_not_widened(unique_name):
    """What is made for a moment without its name, or under it, is never more open than asked for."""
    made = SharedMemory(unique_name(), create=True, size=1)
    assert stat.S_IMODE((SHM / made.name).stat().st_mode) & 0o777 == 0o600
    made.close()
    made.unlink()
