"""What other processes do with raw shared memory."""

import os
import sys
import time

import mpshm
from mpshm import SharedMemory, guards


def write(shm, data):
    """Write into it, by object or by name."""
    if isinstance(shm, str):
        shm = SharedMemory(shm)
    shm.buf[: len(data)] = data
    shm.close()


def grow(shm, size):
    shm.resize(size)
    shm.buf[size - 1] = 7


def set_items(items, place, values):
    for value in values:
        items[place] = value


def use_manager(manager, queue, may_go):
    """Make memory by a manager of the parent's, and wait until it may go."""
    shm = manager.SharedMemory(50)
    shm.buf[0] = 5
    queue.put(shm.name)
    may_go.wait(60)


def use_xsi(xsi):
    memoryview(xsi)[1] = 2


def main(what, *args):
    """As a program of its own: say on stdout what others need, then be there until killed or told to end."""
    if what == "make":
        kwds = {"track": args[1] != "keep"} if args[1:] else {}
        if args[1:] == ("unguarded",):
            guards.watch = lambda folder, number: None
        made = SharedMemory(args[0] or None, create=True, size=100_000, **kwds)
        made.buf[:4] = b"made"
        print(made.name, flush=True)
    elif what == "attach":
        made = SharedMemory(args[0])
        print(bytes(made.buf[:4]).decode(), flush=True)
    elif what == "manager":
        made = mpshm.managers.SharedMemoryManager()
        made.start()
        shm, items = made.SharedMemory(100_000), made.ShareableList(["text", 1])
        shm.buf[:4] = b"made"
        print(shm.name, items.shm.name, flush=True)
    elif what == "fork":
        made = SharedMemory(args[0] or None, create=True, size=1000)
        pid = os.fork()
        if pid == 0:
            time.sleep(100)
        print(made.name, pid, flush=True)
    elif what == "set":
        made = mpshm.ShareableList(name=args[0])
        print("ready", flush=True)
        number = os.getpid()
        while True:
            number = number * 16807 % 2147483647
            letter, size = "abcdefgh"[number % 8], number // 8 % 300
            made[number // 4000 % len(made)] = (letter * size, letter.encode() * size, number)[number // 30 % 3]
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
