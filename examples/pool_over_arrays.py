"""Pool.map over large arrays: arguments and results go through shared memory, once `share_arrays` was called."""

import numpy as np

import mpshm as mp

N = 500_000  # numbers in an array: 4 MB


def smooth(signal: np.ndarray) -> np.ndarray:
    """What came is this process's own: it may be changed in place, and returned."""
    signal[1:-1] = (signal[:-2] + signal[1:-1] + signal[2:]) / 3
    return signal


if __name__ == "__main__":
    signals = [np.arange(N) % (number + 2.0) for number in range(4)]
    with mp.share_arrays() as sharing, mp.Pool(2) as pool:
        smoothed = pool.map(smooth, signals)
        print([float(signal[1:5].sum().round(2)) for signal in signals])
        print([float(signal[1:5].sum().round(2)) for signal in smoothed])
        print("through shared memory:", sharing.segment.used >= sum(signal.nbytes for signal in smoothed))

# prints:
# [2.0, 4.0, 6.0, 10.0]
# [2.0, 4.0, 6.0, 8.33]
# through shared memory: True
