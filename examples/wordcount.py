import mpshm as mp  # was: import multiprocessing as mp

# Count the words of all Python files below a folder, in several processes and one dict:
#
#     python wordcount.py FOLDER
#
# With either import the output is the same; only the time is not.
# ruff: noqa: I001 -- the line that changes comes first

import collections
import pathlib
import re
import sys


def begin(shared_counts, shared_lock):
    """Tell a worker what to count with."""
    global counts, lock
    counts, lock = shared_counts, shared_lock


def count(path):
    """Count one file's words, one at a time. Returns how many there were."""
    words = re.findall(r"\w+", path.read_text(encoding="utf-8", errors="replace"))
    for word in words:
        with lock:
            counts[word] = counts.get(word, 0) + 1
    return len(words)


def main(folder):
    paths = sorted(pathlib.Path(folder).rglob("*.py"))
    with mp.Manager() as manager:
        counts = manager.dict()
        with mp.Pool(initializer=begin, initargs=(counts, manager.Lock())) as pool:
            total = sum(pool.imap_unordered(count, paths, chunksize=4))
        print(f"{total} words, {len(counts)} different")
        for word, n in collections.Counter(counts.copy()).most_common(10):
            print(f"{n:8} {word}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else ".")
