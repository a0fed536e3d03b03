"""A linked list of structures in shared memory, made by one process and walked by another.

The two have the segment at different addresses, so that no address could be stored in it; an OffsetPtr field holds what
is the same in both. Neither passes an object on: the list is found by its name.
"""

import ctypes

import mpshm as mp


class Node(ctypes.Structure):
    """One item, and the way to the next."""

    _fields_ = (("value", ctypes.c_double), ("next", mp.OffsetPtr))


class Head(ctypes.Structure):
    """The list: how many items, and the way to the first."""

    _fields_ = (("length", ctypes.c_size_t), ("first", mp.OffsetPtr))


def push(segment: mp.AnonymousSegment, head: Head, value: float) -> None:
    """Add an item at the front, in memory of its own."""
    memory = segment.view(segment.allocate(ctypes.sizeof(Node)))
    node = Node.from_buffer(memory)
    node.value = value
    node.next = head.first
    head.first.set(node)
    head.length += 1


def walk(segment: mp.AnonymousSegment) -> None:
    """Print the list that goes by the name of squares."""
    head = segment.find("squares", Head)
    print(head.length, "items")
    node = head.first.get(Node)
    while node is not None:
        print(node.value)
        node = node.next.get(Node)


if __name__ == "__main__":
    made_in = mp.AnonymousSegment()
    squares = made_in.construct(Head, "squares")
    for number in range(5):
        push(made_in, squares, number**2)
    reader = mp.get_context("spawn").Process(target=walk, args=(made_in,))
    reader.start()
    reader.join()

# prints:
# 5 items
# 16.0
# 9.0
# 4.0
# 1.0
# 0.0
