"""What other processes do with containers whose nodes come from pools."""

import time
from typing import Any


def fill(made: Any, first: int, n: int) -> None:
    """Put n items in; take every other one out again."""
    for i in range(first, first + n):
        made.append(i)
    for _ in range(n // 2):
        made.popleft()


def fill_map(made: Any, first: int, n: int) -> None:
    """Set n keys; remove every other one again."""
    for i in range(first, first + n):
        made[i] = i
    for i in range(first, first + n, 2):
        del made[i]


def look(made: Any, seen: Any) -> None:
    """Say what a container's allocator is here."""
    seen["allocator"] = made.allocator.kind.__name__, made.allocator.node_bytes, made.allocator.stats().used


def cache_and_wait(made: Any, ready: Any) -> None:
    """Have freed nodes in this process's cache, say so, and wait to be killed."""
    for i in range(100):
        made.append(i)
    for _ in range(50):
        made.pop()
    ready.set()
    time.sleep(600)


def churn(lists: Any, maps: Any) -> None:
    """Change containers until killed."""
    i = 0
    while True:
        i += 1
        lists.append(i)
        maps[i % 500] = i
        if len(lists) > 100:
            lists.popleft()
            lists.pop()
        if i % 3 == 0:
            maps.pop(i * 7 % 500, None)
        if i % 100 == 0:
            lists.clear()
        if i % 700 == 0:
            maps.clear()
