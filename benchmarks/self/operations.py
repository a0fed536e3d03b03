"""Every operation of ours by itself, to be compared with another commit: see README.md."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import mpshm

TEXT = "a text that does not fit into an entry"


def operations(manager: Any) -> dict[str, Callable[[], object]]:
    """Name and a call without arguments that leaves things as they were."""
    d = manager.dict({number: number for number in range(1000)})
    d.update(short="s", long=TEXT, large="x" * 100_000, list=[1, 2, 3], n=0, inner=manager.dict(a=1))
    x, value, ns = manager.list(range(1000)), manager.Value("i", 0), manager.Namespace(a=1)
    lock, rlock, ended = manager.Lock(), manager.RLock(), manager.list()
    return {
        "dict get int": lambda: d[500],
        "dict get missing": lambda: d.get("nothing"),
        "dict get short text": lambda: d["short"],
        "dict get long text": lambda: d["long"],
        "dict get 100 kB": lambda: d["large"],
        "dict get pickled": lambda: d["list"],
        "dict get reference": lambda: d["inner"],
        "dict set int": lambda: d.__setitem__(500, 5),
        "dict set long text": lambda: d.__setitem__("long", TEXT),
        "dict set pickled": lambda: d.__setitem__("list", [1, 2, 3]),
        "dict insert and delete": lambda: (d.__setitem__("new", 1), d.__delitem__("new")),
        "dict incr": lambda: d.incr("n"),
        "dict compute": lambda: d.compute("n", lambda old: old),
        "dict compare_exchange": lambda: d.compare_exchange("short", "s", "s"),
        "dict update of ten": lambda: d.update(dict.fromkeys(range(10), 1)),
        "dict keys of a thousand": lambda: d.keys(),
        "dict copy of a thousand": lambda: d.copy(),
        "dict lock": lambda: (d.lock.acquire(), d.lock.release()),
        "list getitem": lambda: x[500],
        "list setitem": lambda: x.__setitem__(500, 5),
        "list append and pop": lambda: (x.append(1), x.pop()),
        "list insert and pop in front": lambda: (x.insert(0, 1), x.pop(0)),
        "list slice of a hundred": lambda: x[100:200],
        "list set slice of a hundred": lambda: x.__setitem__(slice(100, 200), range(100)),
        "list iterate a thousand": lambda: sum(x),
        "list sort a thousand": lambda: x.sort(),
        "list extend by ten and clear": lambda: (ended.extend(range(10)), ended.clear()),
        "Value get": lambda: value.value,
        "Value add": lambda: value.add(1),
        "Namespace get": lambda: ns.a,
        "Lock": lambda: (lock.acquire(), lock.release()),
        "RLock": lambda: (rlock.acquire(), rlock.release()),
        "make and drop a dict": lambda: manager.dict(),
        "pickle and load a handle": lambda: pickle.loads(pickle.dumps(d)),
        "statistics": lambda: manager.segment.stats(),
    }


def main() -> None:
    import pyperf

    runner = pyperf.Runner(program_args=("-m", "benchmarks.self.operations"))
    manager = mpshm.Manager()
    for name, call in operations(manager).items():
        runner.bench_func(name, call)


if __name__ == "__main__":
    main()
