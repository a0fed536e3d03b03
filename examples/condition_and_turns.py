"""Two processes that take turns, with a condition in a segment that both find by name."""

import os

import mpshm as mp


def play(name: str, me: str, other: str) -> None:
    """Wait for my turn, write, give the turn to the other."""
    segment = mp.ManagedSharedMemory(name, "r+")
    turn, said, changed = (segment[key] for key in ("turn", "said", "changed"))
    for _ in range(3):
        with changed:
            changed.wait_for(lambda: turn.value == me, timeout=20)
            said.append(me)
            turn.value = other
            changed.notify_all()


if __name__ == "__main__":
    name = f"condition_and_turns_{os.getpid()}"
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        segment.construct(object, "turn", "ping")
        segment.construct(mp.List, "said")
        segment.construct(mp.Condition, "changed")
        players = [mp.Process(target=play, args=(name, *pair)) for pair in (("pong", "ping"), ("ping", "pong"))]
        for player in players:
            player.start()
        for player in players:
            player.join()
        print(*segment["said"])
    finally:
        mp.ManagedSharedMemory.remove(name)

# prints:
# ping pong ping pong ping pong
