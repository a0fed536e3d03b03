"""What crash safety costs a set: the release build beside one without journal and without lists of guards held.

Locks, the note of who holds them, and the question who is alive are in both builds, and not in the difference.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

from benchmarks import table

VARIANTS = ("release", "nojournal")

# In functions: at module level the loop's own variables would cost as much as what is measured.
SET = """
from time import perf_counter
import mpshm

def measure():
    d, keys, best = mpshm.Dict(), list(range(1000)), 1.0
    for key in keys:
        d[key] = key
    for _ in range(40):
        begun = perf_counter()
        for _ in range(20):
            for key in keys:
                d[key] = 5
        best = min(best, (perf_counter() - begun) / 20000)
    return best

print(measure())
"""

INSERT = """
from time import perf_counter
import mpshm

def measure():
    d, keys, best = mpshm.Dict(), list(range(1000)), 1.0
    for _ in range(200):
        d.clear()
        begun = perf_counter()
        for key in keys:
            d[key] = 5
        best = min(best, (perf_counter() - begun) / 1000)
    return best

print(measure())
"""


def rows(fast: bool) -> list[table.Row]:
    paths = {}
    for variant in VARIANTS:
        paths[variant] = table.ROOT / "build" / "benchmarks" / variant
        command = [sys.executable, "build_ffi.py", "--variant", variant, "--package-dir", str(paths[variant])]
        subprocess.run(command, check=True, cwd=table.ROOT, stdout=subprocess.DEVNULL)
    found = []
    for what, code in (("set", SET), ("set of a new key", INSERT)):
        taken: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        for _ in range(5 if fast else 15):
            for variant in VARIANTS:
                taken[variant].append(float(table.fresh(code, path=paths[variant])))
        cost = [safe / unsafe - 1 for safe, unsafe in zip(*taken.values(), strict=True)]
        found += [
            table.Row(
                f"{what}, crash safe",
                {"mpshm": statistics.median(taken["release"])},
                spread=table.spread(taken["release"]),
            ),
            table.Row(
                f"{what}, without journal and liveness",
                {"mpshm": statistics.median(taken["nojournal"])},
                spread=table.spread(taken["nojournal"]),
            ),
            table.Row(f"{what}, their part", {"mpshm": statistics.median(cost)}, "", at_most=0.15),
        ]
    return found


if __name__ == "__main__":
    table.print_table(rows(fast=False))
