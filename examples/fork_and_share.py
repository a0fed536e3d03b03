"""Memory made before fork: an array of all workers', filled in parts, without a name, a file or pickling."""

import os

import numpy as np

import mpshm as mp

WORKERS, ROWS, COLUMNS = 4, 8, 1000


def work(table: np.ndarray, number: int) -> None:
    """Fill the rows of one worker."""
    rows = slice(number * ROWS // WORKERS, (number + 1) * ROWS // WORKERS)
    table[rows] = number + 1


if __name__ == "__main__":
    region = mp.anonymous_shared_memory(ROWS * COLUMNS * 8)
    table = np.frombuffer(region, "f8").reshape(ROWS, COLUMNS)
    done = mp.List()  # a container is shared as well
    for number in range(WORKERS):
        if os.fork() == 0:
            work(table, number)
            done.append(number)
            os._exit(0)
    for _ in range(WORKERS):
        os.wait()
    print(table[:, 0].tolist())
    print(sorted(done))
    del table
    region.close()

# prints:
# [1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
# [0, 1, 2, 3]
