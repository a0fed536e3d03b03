"""The core, called from C, beside Boost.Interprocess in C++: memory, nodes, containers, names; needs compilers.

Both have their locks where they have any; ours has its journal on. `limit` is malloc and std on private memory. Each
row is the median of several runs in turns, each of which gives the best of several times, or one long one.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import table

HERE = Path(__file__).parent / "boost"
CORE = table.ROOT / "mpshm" / "_core"
# Of core_*.c: each is linked with the whole core.
PROGRAMS = ("alloc", "pools", "names", "containers")
FLAGS = ["-O2", "-DNDEBUG", "-fno-strict-aliasing", "-pthread"]
GAIN = "alloc + free by two processes at once, by what one does alone"
PEER, LIMIT = "boost", "limit"


def compile(folder: Path) -> dict[str, list[list[str]]] | None:
    """Build all programs. Returns: the commands of each implementation; None: a compiler or Boost is missing."""
    test = folder / "test.cpp"
    test.write_text("#include <boost/interprocess/managed_external_buffer.hpp>\n")
    for tool in ("gcc", "g++"):
        if shutil.which(tool) is None:
            print(f"boost: no {tool}, so nothing to measure with", file=sys.stderr)
            return None
    if subprocess.run(["g++", "-fsyntax-only", str(test)], capture_output=True).returncode != 0:
        print("boost: no Boost.Interprocess (Debian: libboost-dev), so nothing to compare with", file=sys.stderr)
        return None
    sources = sorted(str(path) for path in CORE.glob("*.c"))
    c = ["gcc", "-std=gnu11", *FLAGS, f"-I{CORE}"]
    # (built as the release is: position-independent, not known to be one program)
    subprocess.run([*c, "-fPIC", "-fvisibility=hidden", "-c", *sources], check=True, cwd=folder)
    objects = sorted(str(path) for path in folder.glob("*.o"))
    ours = []
    for name in PROGRAMS:
        program = str(folder / name)
        subprocess.run([*c, str(HERE / f"core_{name}.c"), *objects, "-o", program], check=True)
        ours.append([program])
    boost = str(folder / "boost")
    subprocess.run(["g++", *FLAGS, str(HERE / "boost.cpp"), "-o", boost, "-lrt"], check=True)
    return {"mpshm": ours, PEER: [[boost]], LIMIT: [[boost, "std"]]}


def row(what: str, by_name: dict[str, list[float]]) -> table.Row:
    figures = {name: statistics.median(values) for name, values in by_name.items()}
    if what == GAIN:
        return table.Row(f"core: {what}", figures, "x", spread=table.spread(by_name["mpshm"]), at_least=1.0)
    return table.Row(
        f"core: {what}",
        {name: figure * 1e-9 for name, figure in figures.items()},
        spread=table.spread(by_name["mpshm"]),
        of_peers={PEER: 1.0},
    )


def rows(fast: bool) -> list[table.Row]:
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        programs = compile(Path(name))
        for _ in range(0 if programs is None else 2 if fast else 5):
            for implementation, commands in programs.items():
                for command in commands:
                    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                    for what, ns in json.loads(out).items():
                        found.setdefault(what, {}).setdefault(implementation, []).append(ns)
    return [row(what, by_name) for what, by_name in found.items() if "mpshm" in by_name]


if __name__ == "__main__":
    table.print_table(rows(fast=True))
