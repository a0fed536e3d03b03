"""A hash map that several processes change at once, in single steps and in several."""

import os

import mpshm as mp


def count(name: str, text: str) -> None:
    """Count letters: `incr` is one step, so that nothing is lost; `lock` makes one of several."""
    segment = mp.ManagedSharedMemory(name, "r+")
    letters, longest = segment["letters"], segment["longest"]
    for letter in text:
        letters.incr(letter)
    for word in text.split():
        with longest.lock:
            if len(word) > len(longest.get("word", "")):
                longest["word"] = word


if __name__ == "__main__":
    name = f"hash_map_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        letters = segment.construct(mp.Dict, "letters")
        longest = segment.construct(mp.Dict, "longest")
        texts = ["the cat sat", "on the mattress", "at a table"]
        workers = [mp.Process(target=count, args=(name, text)) for text in texts * 2]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(letters["t"], letters["a"], letters.get("z", 0), longest["word"])
        print(letters.compute("t", lambda n: n // 2), letters.compare_exchange("a", 12, 0), letters["a"])
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# 16 12 0 mattress
# 8 True 0
