"""Guards of named memory that is to go with its maker: they remove the files of a maker that was killed.

A guard is a shell that sleeps in reading a pipe. What it reads is which files its maker has made and removed; when the
maker is dead, by any death, the kernel closes the pipe, and the guard removes what is still there and ends. It looks at
the files' numbers and marks, so that nothing else goes, whatever has a name by then. It is no child of the maker's (who
may wait for all children) and in no group of processes that is killed or interrupted together with it.

Where there is no shell, or somebody has killed the guard, such files are removed by the next process that makes one or
looks for them: see `memory.sweep`.
"""

from __future__ import annotations

import os

__all__ = ["Address", "address", "forget", "tell", "watch"]

Address = tuple[int, int, int]  # of a guard: process, descriptor and number of the pipe

_SCRIPT = """: 'mpshm: removes what a process of it that was killed has left'
exec 3<&0
(
    trap '' HUP INT TERM
    files=' '
    while read -r what number; do
        case $what in
        made) files="$files$number " ;;
        gone) case $files in *" $number "*) files="${files%%" $number "*} ${files#*" $number "}" ;; esac ;;
        esac
    done
    for number in $files; do
        find "$0" -maxdepth 1 -type f -inum "$number" -perm -1000 -delete
    done
) <&3 3<&- >/dev/null 2>&1 &
"""
_PATH = "/usr/local/bin:/usr/bin:/bin"

# Both ends of the pipe to the guard of a folder; empty if there can be none. This process has the end for reading too,
# so that writing to a guard that was killed is no SIGPIPE.
_pipes: dict[str, tuple[int, ...]] = {}


def _start(folder: str) -> tuple[int, ...]:
    import subprocess  # not before it is needed

    try:
        pipe = os.pipe()
    except OSError:
        return ()
    try:
        os.set_blocking(pipe[1], False)
        subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT, folder],
            stdin=pipe[0],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{_PATH}"},
            start_new_session=True,
        ).wait()
    except (OSError, subprocess.SubprocessError):
        for fd in pipe:
            os.close(fd)
        return ()
    return pipe


def _tell(pipe: tuple[int, ...], what: str, number: int) -> None:
    try:
        os.write(pipe[1], f"{what} {number}\n".encode())
    except OSError:
        pass  # the guard was killed, and the pipe is full


def _pipe(folder: str) -> tuple[int, ...]:
    pipe = _pipes.get(folder)
    if pipe is None:
        pipe = _pipes[folder] = _start(os.path.abspath(folder))  # noqa: PTH100 -- memory.py has no pathlib either
    return pipe


def watch(folder: str, number: int) -> None:
    """Have the file of this number, which this process makes in a folder, removed when this process dies."""
    pipe = _pipe(folder)
    if pipe:
        _tell(pipe, "made", number)


def forget(folder: str, number: int) -> None:
    """The file was removed."""
    pipe = _pipes.get(folder)
    if pipe:
        _tell(pipe, "gone", number)


def address(folder: str) -> Address | None:
    """Where other processes can tell this process's guard of a file; None if there can be none."""
    pipe = _pipe(folder)
    return (os.getpid(), pipe[1], os.fstat(pipe[1]).st_ino) if pipe else None


def tell(where: Address, number: int) -> bool:
    """Have a file of this process removed when another process dies, the one whose guard is there; False if that has
    died already."""
    pid, descriptor, pipe = where
    try:
        fd = os.open(f"/proc/{pid}/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if os.fstat(fd).st_ino != pipe:
            return False
        os.write(fd, f"made {number}\n".encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _forget_in_child() -> None:
    """The parent's guards watch the parent."""
    for folder in list(_pipes):
        for fd in _pipes.pop(folder):
            os.close(fd)


os.register_at_fork(after_in_child=_forget_in_child)
