"""Memory without a name, which a process and its forked child share; it is gone with the last of them."""

import os

import mpshm as mp

if __name__ == "__main__":
    segment = mp.AnonymousSegment(1 << 16)
    squares = segment.construct("i8", "squares", shape=5)
    steps = segment.construct(mp.List, "steps", ["made by the parent"])
    child = os.fork()
    if child == 0:
        squares[:] = [number**2 for number in range(5)]
        steps.append("filled by the child")
        segment.construct(mp.Dict, "late", why="names are shared, too")
        os._exit(0)
    os.waitpid(child, 0)
    print(squares.tolist())
    print(*steps, sep=", ")
    print(segment["late"])
    print("found in the file system:", segment.name)

# prints:
# [0, 1, 4, 9, 16]
# made by the parent, filled by the child
# {'why': 'names are shared, too'}
# found in the file system: None
