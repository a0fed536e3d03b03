"""A dict made, given one entry, and dropped: how long that takes."""

from __future__ import annotations

from time import perf_counter

from benchmarks import table


def make_and_drop(loops: int, name: str) -> float:
    make = table.IMPLEMENTATIONS[name].make_dict
    make()
    begun = perf_counter()
    for _ in range(loops):
        made = make()
        made["a"] = 1
        del made
    return perf_counter() - begun


def main() -> None:
    import pyperf

    runner = pyperf.Runner(program_args=("-m", "benchmarks.compare.create"))
    for name in table.IMPLEMENTATIONS:
        if name not in table.PEERS:
            runner.bench_time_func(f"dict made, set once, and dropped / {name}", make_and_drop, name)


def rows(fast: bool) -> list[table.Row]:
    return table.rows_of(table.run_pyperf("benchmarks.compare.create", fast))


if __name__ == "__main__":
    main()
