"""A segment that grows and shrinks while others use it."""

import os

import mpshm as mp


def use(name: str, begun: mp.Event, grown: mp.Event) -> None:
    """Have the segment open before it grows, and find what came after."""
    segment = mp.ManagedSharedMemory(name, "r+")
    kept = segment["kept"]
    begun.set()
    grown.wait(20)
    print("user:", kept[:], len(segment["large"]), flush=True)


if __name__ == "__main__":
    name = f"growing_in_use_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x", 1 << 16, max_size=64 << 20)
    try:
        segment.construct(mp.List, "kept", [1, 2, 3])
        begun, grown = mp.Event(), mp.Event()
        user = mp.Process(target=use, args=(name, begun, grown))
        user.start()
        begun.wait(20)
        segment.grow(1 << 20)
        print("by hand:", segment.size >= 1 << 20)
        segment.construct("u1", "large", shape=8 << 20)  # and by itself
        print("by itself:", segment.size >= 8 << 20)
        grown.set()
        user.join()
        segment.destroy("large")
        segment.recover()
        segment.shrink_to_fit()
        print("shrunk:", segment.size < 1 << 20, segment["kept"][:])
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# by hand: True
# by itself: True
# user: [1, 2, 3] 8388608
# shrunk: True [1, 2, 3]
