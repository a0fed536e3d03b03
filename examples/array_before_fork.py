"""Arrays made before os.fork() are shared with the children: nothing is handed on, and there is nothing to clean up."""

import os

import numpy as np

import mpshm as mp

if __name__ == "__main__":
    image = mp.asarray(np.arange(24, dtype="f8").reshape(4, 6))  # moved in: one copy
    sums = mp.ndarray(4, fill=-1)  # made there
    children = []
    for row in range(4):
        child = os.fork()
        if child == 0:
            image[row] *= 2
            sums[row] = image[row].sum()
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    print(sums)
    print(image[:, :3].tolist())
    print("what is computed is private:", (image + 1).__class__.__name__)

# prints:
# [ 30. 102. 174. 246.]
# [[0.0, 2.0, 4.0], [12.0, 14.0, 16.0], [24.0, 26.0, 28.0], [36.0, 38.0, 40.0]]
# what is computed is private: ndarray
