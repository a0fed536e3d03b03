"""Parts of a file as memory: to write, to read, and copied on write; and memory without a file, over a fork."""

import os
import tempfile

import mpshm as mp

if __name__ == "__main__":
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789" * 1000)
        file.flush()
        with mp.MappedRegion(file, "r+", offset=5, length=10) as part, mp.MappedRegion(file, "r") as whole:
            memoryview(part)[:3] = b"abc"
            part.flush()
            print(bytes(memoryview(whole)[:12]), part.size, whole.size)
            with mp.MappedRegion(file, "c") as copy:
                memoryview(copy)[:3] = b"xyz"
                print(bytes(memoryview(copy)[:4]), bytes(memoryview(whole)[:4]))
    with mp.anonymous_shared_memory(mp.PAGESIZE) as region:
        child = os.fork()
        if child == 0:
            memoryview(region)[:8] = b"by child"
            os._exit(0)
        os.waitpid(child, 0)
        print(bytes(memoryview(region)[:8]), region.size == mp.PAGESIZE)

# prints:
# b'01234abc8901' 10 10000
# b'xyz3' b'0123'
# b'by child' True
