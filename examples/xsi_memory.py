"""System V shared memory, for programs that know nothing else: found by a key that is made of a file."""

import tempfile

import mpshm as mp


def attach(key: int, shmid: int) -> None:
    """By the key, or by the system's number."""
    with mp.XSISharedMemory(key) as by_key, mp.XSISharedMemory.from_shmid(shmid, "r") as by_number:
        by_key.buf[:4] = b"ping"
        print("attached:", bytes(by_number.buf[:4]), by_number.size, flush=True)


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile() as file:
        key = mp.xsi_key(file.name, 7)
        memory = mp.XSISharedMemory(key, 500, "x")
        try:
            worker = mp.Process(target=attach, args=(key, memory.shmid))
            worker.start()
            worker.join()
            print("here:", bytes(memory.buf[:4]))
        finally:
            memory.remove()
    try:
        mp.XSISharedMemory(key)
    except mp.SegmentNotFoundError as error:
        print(type(error).__name__)

# prints:
# attached: b'ping' 500
# here: b'ping'
# SegmentNotFoundError
