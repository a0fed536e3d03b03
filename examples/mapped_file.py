"""A segment in a file, which is there again in the next run."""

import subprocess
import sys
import tempfile
from pathlib import Path

import mpshm as mp


def run(path: str) -> None:
    """One run of the program: it goes on where the last one stopped."""
    with mp.ManagedMappedFile(path, "a") as segment:
        runs = segment.find_or_construct(mp.List, "runs")
        runs.append(f"run {len(runs) + 1}")
        print(*runs, sep=", ", flush=True)
        segment.flush()
        del runs


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "runs")
            for _ in range(3):
                subprocess.run([sys.executable, __file__, path], check=True)
            print("a file:", path.is_file(), "removed:", mp.ManagedMappedFile.remove(path), "is there:", path.exists())

# prints:
# run 1
# run 1, run 2
# run 1, run 2, run 3
# a file: True removed: True is there: False
