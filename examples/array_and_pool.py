"""A pool fills parts of one array: a slice is sent as a reference, whatever its size, and so is what comes back."""

import numpy as np

import mpshm as mp

WIDTH, HEIGHT, ROWS = 64, 48, 12  # rows that one task computes


def mandelbrot(part: np.ndarray, top: int) -> np.ndarray:
    """Fill some rows, in place, and return the fullest one: a view on the same memory."""
    y, x = np.mgrid[top : top + len(part), :WIDTH]
    c = (x / WIDTH * 3 - 2) + (y / HEIGHT * 2 - 1) * 1j
    z = np.zeros_like(c)
    for _ in range(30):
        inside = np.abs(z) <= 2
        z[inside] = z[inside] ** 2 + c[inside]
        part[inside] += 1
    return part[part.sum(axis=1).argmax()]


if __name__ == "__main__":
    with mp.Manager() as manager:
        image = manager.ndarray((HEIGHT, WIDTH), "u1")
        tasks = [(image[top : top + ROWS], top) for top in range(0, HEIGHT, ROWS)]
        with mp.Pool(2) as pool:
            fullest = pool.starmap(mandelbrot, tasks)
        print([np.shares_memory(row, image) for row in fullest])
        for row in image[::6]:
            print("".join(" .:+*#"[level] for level in row[::2] // 6).rstrip())

# prints:
# [True, True, True, True]
#                    .::
#                 ...###..
#              ..:#########:.
#        ..###*:############:
# #########################..
#        ..###*:############:
#              ..:#########:.
#                 ...###..
