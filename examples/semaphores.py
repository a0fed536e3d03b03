"""A ring of fixed slots, with semaphores that count the filled and the empty ones."""

import os

import mpshm as mp

SLOTS = 4


def consume(name: str) -> None:
    """Add up what comes, until a negative number does."""
    segment = mp.ManagedSharedMemory(name, "r+")
    ring, filled, empty = (segment[key] for key in ("ring", "filled", "empty"))
    total = place = 0
    while filled.acquire(timeout=20):
        item = int(ring[place % SLOTS])
        empty.release()
        place += 1
        if item < 0:
            break
        total += item
    segment.construct(object, "total", total)


if __name__ == "__main__":
    name = f"semaphores_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        ring = segment.construct("i8", "ring", shape=SLOTS)
        filled = segment.construct(mp.Semaphore, "filled", 0)
        empty = segment.construct(mp.Semaphore, "empty", SLOTS)
        consumer = mp.Process(target=consume, args=(name,))
        consumer.start()
        for place, item in enumerate([*range(1, 101), -1]):
            assert empty.acquire(timeout=20)
            ring[place % SLOTS] = item
            filled.release()
        consumer.join()
        print("total:", segment["total"].value, "empty slots:", empty.get_value())
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# total: 5050 empty slots: 4
