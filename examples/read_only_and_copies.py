"""One segment, opened to write, to read only, and as a private copy."""

import os

import mpshm as mp


def read(name: str, handle: int) -> None:
    """See all changes of others, make none."""
    prices = mp.ManagedSharedMemory(name, "r").from_handle(handle)
    print("reader:", prices["tea"], flush=True)
    try:
        prices["tea"] = 0
    except mp.SegmentPermissionError:
        print("reader: may not write", flush=True)


def guess(name: str, _: int) -> None:
    """Try things out on a copy, which is another segment: its objects have other handles, and the same names."""
    segment = mp.ManagedSharedMemory(name, "c")
    prices = segment["prices"]
    prices["tea"] *= 2
    segment.construct(mp.List, "notes", ["too dear"])
    print("copy:", prices["tea"], segment.names(), flush=True)


if __name__ == "__main__":
    name = f"read_only_and_copies_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        prices = segment.construct(mp.Dict, "prices", tea=4)
        handle = segment.handle_of(prices)
        for function in (read, guess, read):
            process = mp.Process(target=function, args=(name, handle))
            process.start()
            process.join()
            prices.incr("tea")
        print("writer:", prices["tea"], segment.names())
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# reader: 4
# reader: may not write
# copy: 10 ['prices', 'notes']
# reader: 6
# reader: may not write
# writer: 7 ['prices']
