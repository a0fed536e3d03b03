"""What other processes do in test_growing.py."""

import os
import signal


def fill(vector, start, n):
    for i in range(start, start + n):
        vector.append(i)


def write(vector, value):
    vector.array[:] = value


def hold_view(vector, ready, go):
    view = vector.array
    ready.set()
    go.wait(60)
    assert view[0] >= 0


def die_with_view(vector):
    view = vector.array
    assert len(view)
    os.kill(os.getpid(), signal.SIGKILL)


def add_around(linked, key, n):
    """Put items in after the item `key` and take every other one of them out again."""
    cursor = linked.find(key)
    for i in range(n):
        made = cursor.insert_after((key, i))
        if i % 2:
            made.erase()


def take_out(linked, value):
    linked.find(value).erase()


def write_lines(string, mark, n):
    with string.open("a") as file:
        for _ in range(n):
            file.write(mark * 10 + "\n")


def move(here, there, n):
    """Move the first item from one list to another and back."""
    for _ in range(n):
        cursor = here.begin()
        if not cursor.at_end:
            try:
                there.splice(there.end(), here, cursor, cursor.next())
            except (ReferenceError, ValueError, IndexError):
                pass  # another was faster
