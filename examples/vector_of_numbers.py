"""A vector that one process fills and another sorts, in place."""

import os

import mpshm as mp


def sort(name: str) -> None:
    """Find the vector and sort it, where it is."""
    numbers = mp.ManagedSharedMemory(name, "r+")["numbers"]
    numbers.sort()
    numbers.append(1000)


if __name__ == "__main__":
    name = f"vector_of_numbers_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        numbers = segment.construct(mp.Vector, "numbers", "i4", maxlen=200)
        numbers.extend((7 * i) % 100 for i in range(100))
        print(len(numbers), numbers.dtype, numbers[:5])
        sorter = mp.Process(target=sort, args=(name,))
        sorter.start()
        sorter.join()
        print(len(numbers), numbers[:5], numbers[-1])
        print("sum by NumPy, without a copy:", numbers.array.sum())
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# 100 int32 [ 0  7 14 21 28]
# 101 [0 1 2 3 4] 1000
# sum by NumPy, without a copy: 5950
