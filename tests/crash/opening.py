"""Kills a process at every numbered point of making, opening, shrinking and leaving a segment; the next must get in.

    opening.py ACT CLASS [--stride N]

Run in the crash build. After each kill the segment is opened with mode "a": it is whole and sound, and nobody waits.
Prints the number of kills.
"""

from __future__ import annotations

import argparse
import gc
import os
import pickle
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from driver import WAIT_S, dies_in

import mpshm


def keep(segment: Any) -> bytes:
    """Something that outlives its process, and free memory around it."""
    d = mpshm.Dict._in(segment)
    d["text"] = "t" * 3000
    for i in range(20):
        d[i] = "x" * 9000
    for i in range(0, 20, 2):
        del d[i]
    d["last"] = b"y" * 300_000
    sent = pickle.dumps(d)
    del d["last"]
    return sent


def make(cls: Any, name: str) -> None:
    cls(name, "a", 1 << 20)


def open_and_close(cls: Any, name: str) -> None:
    segment = cls(name, "a", 1 << 20)
    segment.close()


def shrink(cls: Any, name: str) -> None:
    segment = cls(name, "r+")
    segment.shrink_to_fit()
    segment.close()


def zero(cls: Any, name: str) -> None:
    segment = cls(name, "r+")
    segment.zero_free_memory()
    segment.close()


def grow_again(cls: Any, name: str) -> None:
    segment = cls(name, "r+")
    segment.shrink_to_fit()
    mpshm.Dict._in(segment)["big"] = b"z" * 600_000
    segment.close()


# What is done, and whether the segment is there before.
ACTS: dict[str, tuple[Callable[[Any, str], None], bool]] = {
    "make": (make, False),
    "make_and_leave": (open_and_close, False),
    "open_and_leave": (open_and_close, True),
    "shrink": (shrink, True),
    "zero": (zero, True),
    "grow_again": (grow_again, True),
}


def get_in(cls: Any, name: str, sent: bytes | None) -> None:
    """What the next one does: all is there, sound, at once."""
    begin = time.monotonic()
    segment = cls(name, "a", 1 << 20)
    assert time.monotonic() - begin < WAIT_S
    segment.recover()
    segment.check()
    if sent is None:
        assert segment.all_deallocated()
        d = mpshm.Dict._in(segment)
    else:
        d = pickle.loads(sent)
        assert d["text"] == "t" * 3000 and len(d) == 11 and d[19] == "x" * 9000
    d["more"] = b"m" * 700_000
    assert len(d["more"]) == 700_000
    del d
    gc.collect()
    segment.check()
    segment.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("act", choices=ACTS)
    parser.add_argument("cls", choices=["ManagedSharedMemory", "ManagedMappedFile"])
    parser.add_argument("--stride", type=int, default=1)
    args = parser.parse_args()
    signal.alarm(380)
    act, there = ACTS[args.act]
    cls = getattr(mpshm, args.cls)
    folder = tempfile.mkdtemp()
    name = f"mpshm-crash-{os.getpid()}" if cls is mpshm.ManagedSharedMemory else str(Path(folder) / "segment")
    kills, n = 0, 1
    try:
        while True:
            cls.remove(name)
            sent = None
            if there:
                segment = cls(name, "x", 1 << 20)
                sent = keep(segment)
                segment.close()
                gc.collect()
            died = dies_in(n, act, cls, name)
            get_in(cls, name, sent)
            if not died:
                break
            kills += 1
            n += args.stride
    finally:
        cls.remove(name)
        Path(folder).rmdir()
    print(f"{args.act} of {args.cls}: {kills} kills")


if __name__ == "__main__":
    main()
