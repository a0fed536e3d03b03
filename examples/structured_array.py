"""A NumPy array of records in shared memory, of which each process fills its part."""

import os

import numpy as np

import mpshm as mp

PARTICLE = np.dtype([("name", "U8"), ("position", "f8", 3), ("charge", "i2")])


def fill(name: str, begin: int, end: int) -> None:
    """The array is found by its name and its dtype; another dtype is a TypeError."""
    particles = mp.ManagedSharedMemory(name, "r+").find("particles", PARTICLE)
    for number in range(begin, end):
        particles[number] = (f"p{number}", (number, 0, 0.5), (-1) ** number)


if __name__ == "__main__":
    name = f"structured_array_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        particles = segment.construct(PARTICLE, "particles", shape=6)
        workers = [mp.Process(target=fill, args=(name, begin, begin + 3)) for begin in (0, 3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(particles["name"].tolist(), particles["charge"].tolist())
        print(particles["position"].sum(axis=0).tolist())
        print(particles[particles["charge"] < 0]["name"].tolist())
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# ['p0', 'p1', 'p2', 'p3', 'p4', 'p5'] [1, -1, 1, -1, 1, -1]
# [15.0, 0.0, 3.0]
# ['p1', 'p3', 'p5']
