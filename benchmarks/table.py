"""What is measured against what, and how a result is shown: the one module that all benchmarks share."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib.util
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mpshm

ROOT = Path(__file__).resolve().parent.parent


class Implementation(NamedTuple):
    """Something that has dicts and lists. `slow` ones get fewer operations."""

    make_dict: Callable[..., Any]
    make_list: Callable[..., Any] | None
    slow: bool = False


@functools.cache
def stdlib_manager() -> Any:
    return multiprocessing.Manager()


@functools.cache
def our_manager() -> Any:
    return mpshm.Manager()


def ultra_dict(content: Any = ()) -> Any:
    from UltraDict import UltraDict

    made = UltraDict(auto_unlink=True)
    made.update(content)
    return made


def shared_memory_dict(content: Any = ()) -> Any:
    from shared_memory_dict import SharedMemoryDict

    made = SharedMemoryDict(name=f"benchmark-{os.getpid()}", size=1 << 24)
    atexit.register(made.shm.unlink)
    made.update(content)
    return made


# The standard library first, then ours, then whichever peers are installed.
IMPLEMENTATIONS = {
    "builtin": Implementation(dict, list),
    "Manager": Implementation(
        lambda *content: stdlib_manager().dict(*content), lambda *items: stdlib_manager().list(*items), slow=True
    ),
    "mpshm": Implementation(lambda *content: our_manager().dict(*content), lambda *items: our_manager().list(*items)),
}
PEERS = {
    "UltraDict": Implementation(ultra_dict, None),
    "shared_memory_dict": Implementation(shared_memory_dict, None, slow=True),
}
IMPLEMENTATIONS.update((name, peer) for name, peer in PEERS.items() if importlib.util.find_spec(name))


class Row(NamedTuple):
    """A line of the table: a figure per implementation, and what is asked of ours."""

    what: str
    figures: dict[str, float]
    unit: str = "s"  # "s", "B", "/s", or "" for a plain number
    spread: float | None = None  # of ours: half of the range between the quartiles, by the median
    builtin_at_most: float | None = None  # ours is at most so many times the builtin
    manager_at_least: float | None = None  # ours is at least so many times better than Manager
    at_most: float | None = None  # ours by itself, in the unit
    at_least: float | None = None
    # ours is at most so many times this peer's (for rates: it at most so many times ours)
    of_peers: dict[str, float] | None = None

    def ratio(self, other: str) -> float | None:
        """How many times the other's figure ours is; for rates, the other way round: smaller is always better."""
        ours, theirs = self.figures.get("mpshm"), self.figures.get(other)
        if not ours or not theirs:
            return None
        return theirs / ours if self.unit == "/s" else ours / theirs

    def misses(self) -> bool:
        """Whether a target is not reached."""
        ours, builtin, manager = self.figures.get("mpshm"), self.ratio("builtin"), self.ratio("Manager")
        return (
            (self.builtin_at_most is not None and builtin is not None and builtin > self.builtin_at_most)
            or (self.manager_at_least is not None and manager is not None and 1 / manager < self.manager_at_least)
            or (self.at_most is not None and ours is not None and ours > self.at_most)
            or (self.at_least is not None and ours is not None and ours < self.at_least)
            or any(
                (ratio := self.ratio(peer)) is not None and ratio > limit
                for peer, limit in (self.of_peers or {}).items()
            )
        )


def spread(values: Sequence[float]) -> float | None:
    """Half of the range between the quartiles, as a part of the median."""
    if len(values) < 3:
        return None
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / statistics.median(values)


def show(value: float, unit: str) -> str:
    """A figure with three digits and a unit that fits."""
    if unit == "s":
        for name, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
            if value >= size:
                return f"{value / size:.3g} {name}"
        return f"{value / 1e-9:.3g} ns"
    if unit == "/s":
        for name, size in (("M/s", 1e6), ("k/s", 1e3)):
            if value >= size:
                return f"{value / size:.3g} {name}"
    if unit == "B":
        for name, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value >= size:
                return f"{value / size:.3g} {name}"
    return f"{value:.3g} {unit}".strip()


def print_table(rows: Sequence[Row]) -> None:
    """The rows in Markdown, the target beside each ratio."""
    found = dict.fromkeys(name for row in rows for name in row.figures)
    columns = [name for name in IMPLEMENTATIONS if name in found] + [
        name for name in found if name not in IMPLEMENTATIONS
    ]
    heads = ["what", *columns, "±", "of builtin", "Manager / ours", "target"]
    lines = [heads, ["---"] * len(heads)]
    for row in rows:
        figures = [show(row.figures[name], row.unit) if name in row.figures else "" for name in columns]
        builtin, manager = row.ratio("builtin"), row.ratio("Manager")
        targets = [
            f"builtin x {row.builtin_at_most:g}" if row.builtin_at_most is not None else "",
            f"Manager / {row.manager_at_least:g}" if row.manager_at_least is not None else "",
            f"at most {show(row.at_most, row.unit)}" if row.at_most is not None else "",
            f"at least {show(row.at_least, row.unit)}" if row.at_least is not None else "",
            *(
                f"{peer} x {limit:g} ({row.ratio(peer):.2g})"
                for peer, limit in (row.of_peers or {}).items()
                if row.ratio(peer)
            ),
        ]
        target = ", ".join(filter(None, targets))
        lines.append(
            [
                row.what,
                *figures,
                f"{row.spread:.0%}" if row.spread is not None else "",
                f"{builtin:.3g} x" if builtin else "",
                f"{1 / manager:.3g} x" if manager else "",
                (f"{target}: " + ("MISSED" if row.misses() else "ok")) if target else "",
            ]
        )
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    for line in lines:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |")


def conditions() -> str:
    """Command, machine and commit, without which a figure means nothing."""
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(": ")[1] for line in lines if line.startswith("model name")), model)
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    commit = git.stdout.strip() if git.returncode == 0 else "unknown"
    return (
        f"`python -m benchmarks {' '.join(sys.argv[1:])}`".replace(" `", "`")
        + f", {model}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"CPython {platform.python_version()}, mpshm {mpshm.__version__}, commit {commit}"
    )


FAST = ["--processes=2", "--values=4", "--warmups=1", "--min-time=0.04"]
FULL = ["--processes=6", "--values=5", "--warmups=1", "--min-time=0.1"]


def run_pyperf(module: str, fast: bool) -> dict[str, list[float]]:
    """Run a pyperf script in processes of its own. Returns: the values of each benchmark, by name."""
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        options = [*(FAST if fast else FULL), "--quiet", "--inherit-environ=PYTHONPATH,PATH", "-o", str(out)]
        subprocess.run([sys.executable, "-m", module, *options], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        suite = pyperf.BenchmarkSuite.load(str(out))
    return {bench.get_name(): list(bench.get_values()) for bench in suite}


def rows_of(measured: dict[str, list[float]], **targets: Callable[[str], float | None]) -> list[Row]:
    """Rows from benchmarks that are named 'what / implementation'; each target is a function of what."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, values in measured.items():
        what, _, implementation = name.rpartition(" / ")
        found.setdefault(what, {})[implementation] = values
    return [
        Row(
            what,
            {name: statistics.median(values) for name, values in by_name.items()},
            spread=spread(by_name.get("mpshm", [])),
            **{target: limit(what) for target, limit in targets.items()},
        )
        for what, by_name in found.items()
    ]


def fresh(code: str, *, path: Path | None = None) -> str:
    """What a fresh interpreter prints that runs `code`; `path` comes first in its module path."""
    environment = dict(os.environ)
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=path or ROOT, env=environment, capture_output=True, text=True
    )
    return done.stdout.strip()
