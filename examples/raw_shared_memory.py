"""Memory by its name: made, resized, attached to by another program, for writing and for reading only."""

import os
import subprocess
import sys

import mpshm as mp


def attach(name: str) -> None:
    """Be the other program."""
    with mp.SharedMemory(name) as memory:
        memory.buf[:5] = b"hello"
    with mp.SharedMemory(name, mode="r") as memory:
        print("attached:", memory.size, "bytes, read-only:", memory.buf.readonly, flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        attach(sys.argv[1])
    else:
        name = f"raw_shared_memory_{os.getpid()}"
        with mp.SharedMemory(name, create=True, size=1000) as memory:
            memory.resize(3000)
            subprocess.run([sys.executable, __file__, name], check=True)
            print(bytes(memory.buf[:5]), memory.size)
        print("removed:", mp.SharedMemory.remove(name), mp.SharedMemory.remove(name))

# prints:
# attached: 3000 bytes, read-only: True
# b'hello' 3000
# removed: True False
