"""Many processes that start at once and need the same objects: one makes each of them, the others find it."""

import os

import mpshm as mp


def work(name: str, number: int) -> None:
    """Whoever comes first makes the segment, and in it the dict; nobody has to know who that is."""
    segment = mp.ManagedSharedMemory(name, "a")
    results = segment.find_or_construct(mp.Dict, "results", made_by=number)
    results.incr("calls")
    results[number] = number**2
    state = segment.find_or_construct(mp.List, mp.unique)  # the only list of its kind, which needs no name
    state.append(number)


if __name__ == "__main__":
    name = f"find_or_construct_{os.getpid()}"
    workers = [mp.Process(target=work, args=(name, number)) for number in range(6)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        segment = mp.ManagedSharedMemory(name, "r+")
        results = segment["results"]
        print("one maker:", results.pop("made_by") in range(6))
        print("calls:", results.pop("calls"))
        print(sorted(results.items()))
        print(sorted(segment.find(mp.unique, mp.List)))
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# one maker: True
# calls: 6
# [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16), (5, 25)]
# [0, 1, 2, 3, 4, 5]
