"""The main job on real text: count words in one shared dict, and say how fast that is.

Each word is one step on the dict, as a program does it that was not written for speed. The text is read and split by
the worker processes; for the comparison, the same lines run on multiprocessing.Manager's objects, on a sample of the
words that takes a few seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from . import context
from .containers import Dict

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

__all__ = ["default_workers", "run", "text_files"]

_WORD = re.compile(r"\w+")
_NOT_OURS = {"site-packages", "dist-packages"}
_SAMPLE_SECONDS = 2.5
_TRIAL_WORDS = 400
_LOCKED_WORDS = 400_000


class Row(NamedTuple):
    """One line of the table."""

    what: str
    words: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.words / self.seconds if self.seconds else 0.0


class Bar(Protocol):
    """What shows how far a job is."""

    def advance(self, files: int, words: int) -> None: ...


# What a worker counts with; set once when it starts.
_counts: Any = None
_lock: AbstractContextManager[object] = nullcontext()


def _begin(counts: object, lock: AbstractContextManager[object]) -> None:
    global _counts, _lock
    _counts, _lock = counts, lock


def _ready(_: int) -> None:
    """Give every worker the time to start before the clock does."""
    time.sleep(0.02)


def _count_file(path: str) -> int:
    """Count a file's words, each in one step. Returns how many there were."""
    words = _words(path)
    incr = _counts.incr
    for word in words:
        incr(word)
    return len(words)


def _count_locked(words: list[str]) -> int:
    """Count words with what every manager has."""
    counts, lock = _counts, _lock
    for word in words:
        with lock:
            counts[word] = counts.get(word, 0) + 1
    return len(words)


def _words(path: str) -> list[str]:
    return _WORD.findall(Path(path).read_text(encoding="utf-8", errors="replace"))


def default_workers() -> int:
    """As many as this process may use processors."""
    return len(os.sched_getaffinity(0))


def text_files(folder: Path | None) -> list[str]:
    """The files to count, sorted.

    Args: a folder, whose text files are meant; None for the `.py` files of the running Python's standard
    library.
    Raises: NotADirectoryError.
    """
    root = folder or Path(sysconfig.get_path("stdlib"))
    if not root.is_dir():
        raise NotADirectoryError(f"{root} is not a folder. Name one with text files in it.")
    found = (path for path in root.rglob("*.py" if folder is None else "*") if path.is_file())
    ours = (path for path in found if folder or not _NOT_OURS & set(path.relative_to(root).parts))
    return sorted(str(path) for path in ours if folder is None or _is_text(path))


def _is_text(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(1024)
    except OSError:
        return False


@contextmanager
def _bar(files: int) -> Iterator[Bar]:
    """A bar if rich is there and somebody looks at it, else a line now and then."""
    if sys.stdout.isatty():
        try:
            progress = import_module("rich.progress")
        except ImportError:
            pass
        else:
            columns = "{task.description}", progress.BarColumn(), "{task.completed}/{task.total} files"
            with progress.Progress(*columns, progress.TimeRemainingColumn()) as shown:
                yield _RichBar(shown, shown.add_task("counting", total=files))
                return
    yield _Lines(files)


class _RichBar:
    def __init__(self, shown: Any, task: Any) -> None:
        self._shown, self._task, self._words = shown, task, 0

    def advance(self, files: int, words: int) -> None:
        self._words += words
        self._shown.update(self._task, advance=files, description=f"{self._words:,} words")


class _Lines:
    def __init__(self, files: int) -> None:
        self._total, self._files, self._words, self._said = files, 0, 0, 0

    def advance(self, files: int, words: int) -> None:
        self._files += files
        self._words += words
        tenths = self._files * 10 // self._total
        if tenths > self._said:
            self._said = tenths
            print(f"  {tenths * 10:3d} %  {self._files:,} of {self._total:,} files, {self._words:,} words", flush=True)


def run(folder: Path | None = None, workers: int | None = None, method: str | None = None) -> bool:
    """Count, compare, and print what came out.

    Args: as the command's options. Returns: whether the shared dict holds exactly what collections.Counter
    does.
    Raises: NotADirectoryError; ValueError if there is nothing to count, or for a start method that is not
    there.
    """
    ours, theirs = context.get_context(method), multiprocessing.get_context(method)
    n = workers or default_workers()
    files = text_files(folder)
    expected, sample, plain = _count_plainly(files)
    if not expected:
        raise ValueError(f"no words in the {len(files)} text files there. Name a folder with text in it.")
    print(f"{len(files):,} files, {n} worker processes ({ours.get_start_method()}), one shared dict")
    with ours.Manager() as manager:
        counts: Dict[str, int] = manager.dict()
        with _pool(ours, n, counts, nullcontext()) as pool:
            shared = _count_shared(pool, files)
        equal = bool(counts == expected)
        print(f"{plain.words:,} words, {len(expected):,} different: {_verdict(equal)} collections.Counter\n")
        with _pool(ours, n, manager.dict(), manager.Lock()) as pool:
            locked = _count_sample(pool, n, sample, "mpshm.Manager, as with multiprocessing's")
        manager.segment.check()
    with theirs.Manager() as other, _pool(theirs, n, other.dict(), other.Lock()) as pool:
        trial = _count_sample(pool, n, sample[:_TRIAL_WORDS], "")
        part = sample[: max(_TRIAL_WORDS, int(trial.rate * _SAMPLE_SECONDS))]
        manager_row = _count_sample(pool, n, part, "multiprocessing.Manager")
    _print_table([plain, shared, locked, manager_row])
    return equal


def _count_plainly(files: list[str]) -> tuple[Counter[str], list[str], Row]:
    """In this process, into a plain dict: the limit, the truth, and the first words as a sample."""
    counts: dict[str, int] = {}
    expected: Counter[str] = Counter()
    sample: list[str] = []
    total, seconds = 0, 0.0
    for path in files:
        start = time.perf_counter()
        words = _words(path)
        for word in words:
            counts[word] = counts.get(word, 0) + 1
        seconds += time.perf_counter() - start
        total += len(words)
        expected.update(words)
        if len(sample) < _LOCKED_WORDS:
            sample += words[: _LOCKED_WORDS - len(sample)]
    assert counts == expected
    return expected, sample, Row("a plain dict in one process: the limit", total, seconds)


def _count_shared(pool: Pool, files: list[str]) -> Row:
    total = 0
    with _bar(len(files)) as bar:
        start = time.perf_counter()
        for words in pool.imap_unordered(_count_file, files, chunksize=4):
            total += words
            bar.advance(1, words)
        seconds = time.perf_counter() - start
    return Row("mpshm.Manager: d.incr(word)", total, seconds)


def _count_sample(pool: Pool, workers: int, words: list[str], what: str) -> Row:
    step = max(1, len(words) // (8 * workers))
    parts = [words[at : at + step] for at in range(0, len(words), step)]
    start = time.perf_counter()
    done = sum(pool.imap_unordered(_count_locked, parts))
    return Row(what, done, time.perf_counter() - start)


@contextmanager
def _pool(
    ctx: multiprocessing.context.BaseContext, workers: int, counts: object, lock: AbstractContextManager[object]
) -> Iterator[Pool]:
    """Workers that have started and know what to count with."""
    with ctx.Pool(workers, _begin, (counts, lock)) as pool:
        pool.map(_ready, range(4 * workers), chunksize=1)
        yield pool


def _verdict(equal: bool) -> str:
    return "equal to" if equal else "NOT EQUAL to"


def _print_table(rows: list[Row]) -> None:
    """The rates, and how many times the last row's each is."""
    print(f"{'':42}{'words':>12}{'seconds':>10}{'words/s':>13}{'x Manager':>11}")
    for row in rows:
        times = row.rate / rows[-1].rate
        print(f"{row.what:42}{row.words:>12,}{row.seconds:>10.2f}{row.rate:>13,.0f}{times:>11,.1f}")
    sample, part = rows[-2].words, rows[-1].words
    print(
        f"\nThe last two rows run the same code on the first {sample:,} and the first {part:,} words:\n"
        "  with lock: d[word] = d.get(word, 0) + 1\n"
        "The first two read and split the files too."
    )
