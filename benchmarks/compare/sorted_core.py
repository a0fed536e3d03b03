"""The core's tree without Python, beside boost::interprocess::map, with a million random numbers; needs compilers."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path

from benchmarks import table

HERE = Path(__file__).parent
BUILD = table.ROOT / "build" / "benchmarks" / "sorted"
CORE = table.ROOT / "mpshm" / "_core"
PEER = "Boost.Interprocess"


def build() -> dict[str, Path]:
    """The programs there are compilers and headers for, by name."""
    BUILD.mkdir(parents=True, exist_ok=True)
    options = ["-O2", "-fno-strict-aliasing", "-pthread"]
    sources = [str(path) for path in CORE.glob("*.c")]
    made = {"mpshm": BUILD / "ours"}
    command = [
        "gcc",
        "-std=c11",
        *options,
        f"-I{CORE}",
        *sources,
        str(HERE / "sorted_core.c"),
        "-o",
        str(made["mpshm"]),
    ]
    subprocess.run(command, check=True)
    if shutil.which("g++"):
        boost = BUILD / "boost"
        command = ["g++", *options, str(HERE / "sorted_boost.cpp"), "-o", str(boost), "-lrt"]
        if subprocess.run(command, capture_output=True).returncode == 0:
            made[PEER] = boost
    return made


def rows(fast: bool) -> list[table.Row]:
    found: dict[str, dict[str, list[float]]] = {}
    programs = build()
    for _ in range(2 if fast else 5):
        for name, program in programs.items():
            out = subprocess.run([program], check=True, capture_output=True, text=True).stdout
            for what, figure in (line.split() for line in out.splitlines()):
                found.setdefault(what, {}).setdefault(name, []).append(float(figure) * 1e-9)
    return [
        table.Row(
            f"core: map {what}, processor time",
            {name: statistics.median(values) for name, values in by_name.items()},
            spread=table.spread(by_name["mpshm"]),
            of_peers={PEER: 1.0},
        )
        for what, by_name in found.items()
    ]


if __name__ == "__main__":
    table.print_table(rows(fast=True))
