"""Bytes allocated by hand: their handle is a number that means the same in every process."""

import os

import mpshm as mp


def answer(name: str, handle: int) -> None:
    """Read the question and write the answer behind it."""
    segment = mp.ManagedSharedMemory(name, "r+")
    memory = segment.view(handle)
    question = bytes(memory[:64]).rstrip(b"\0")
    memory[64 : 64 + len(question)] = question[::-1]


if __name__ == "__main__":
    name = f"raw_allocation_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        handle = segment.allocate(128, align=64)
        view = segment.view(handle)
        view[:8] = b"stressed"
        worker = mp.Process(target=answer, args=(name, handle))
        worker.start()
        worker.join()
        print(bytes(view[64:72]), len(view))
        handle = segment.reallocate(handle, 4096)
        print(bytes(segment.view(handle)[:8]), len(segment.view(handle)))
        many = segment.allocate_many([100, 200, 300])
        print([len(segment.view(each)) for each in many])
        segment.deallocate_many([handle, *many])
        try:
            segment.view(handle)
        except ReferenceError as error:
            print("given back:", type(error).__name__)
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# b'desserts' 128
# b'stressed' 4096
# [100, 200, 300]
# given back: ReferenceError
