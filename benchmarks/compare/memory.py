"""Bytes per entry of int to int, at a thousand to ten million entries, and what is left after clear()."""

from __future__ import annotations

import os
import sys

import mpshm
from benchmarks import table


def builtin_bytes(size: int) -> float:
    """What a builtin dict takes, with ints that nobody else has."""
    d: dict[int, int] = {}
    for number in range(size):
        d[number] = number
    return sys.getsizeof(d) + 2 * size * sys.getsizeof(1 << 29)


def rows(fast: bool) -> list[table.Row]:
    found = []
    for exponent in range(3, 7 if fast else 8):
        size = 10**exponent
        with mpshm.Manager() as manager:
            d = manager.dict()
            before = manager.segment.stats().used
            for number in range(size):
                d[number] = number + size
            full = manager.segment.stats().used - before
            if d[size - 1] != 2 * size - 1 or len(d) != size:
                raise AssertionError("not what was put in")
            d.clear()
            left = manager.segment.stats().used - before
            backed = os.fstat(manager.segment._identity.fd).st_blocks * 512
        figures = {"builtin": builtin_bytes(size) / size, "mpshm": full / size}
        found.append(table.Row(f"bytes per entry, 10^{exponent}", figures, "B", at_most=70 if exponent == 6 else None))
        if exponent == 6:
            found.append(table.Row("in use after clear() of 10^6", {"mpshm": float(left)}, "B", at_most=1 << 20))
            found.append(table.Row("pages held after it", {"mpshm": float(backed)}, "B", at_most=8 << 20))
    return found


if __name__ == "__main__":
    table.print_table(rows(fast=False))
