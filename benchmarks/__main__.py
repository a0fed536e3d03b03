"""Run the comparison and print its tables: `python -m benchmarks [--fast] [--json FILE] [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

from . import table

NAMES = [
    "dict",
    "list",
    "sorted",
    "boost",
    "create",
    "two_readers",
    "lock",
    "counter",
    "signal",
    "queue",
    "arrays",
    "arrays_curve",
    "dataframe",
    "pool_arrays",
    "wordcount",
    "startup",
    "memory",
    "journal_cost",
]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--fast", action="store_true", help="fewer repetitions: less than eight minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    parser.add_argument("--strict", action="store_true", help="exit with status 1 if a target is missed")
    args = parser.parse_args()
    if unknown := set(args.names) - set(NAMES):
        parser.error(f"no benchmark named {', '.join(sorted(unknown))}")
    rows = []
    for name in args.names or NAMES:
        begun = time.monotonic()
        measured = importlib.import_module(f"benchmarks.compare.{name}").rows(args.fast)
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
        table.print_table(measured)
        print(flush=True)
        rows += measured
    conditions = table.conditions()
    print(f"Medians; ± is half of the range between the quartiles. {conditions}")
    if args.json:
        args.json.write_text(json.dumps({"conditions": conditions, "rows": [row._asdict() for row in rows]}, indent=1))
    missed = [row.what for row in rows if row.misses()]
    if missed:
        print(f"{len(missed)} of {len(rows)} rows miss a target: {'; '.join(missed)}", file=sys.stderr)
    return 1 if missed and args.strict else 0


if __name__ == "__main__":
    sys.exit(main())
