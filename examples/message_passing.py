"""Messages by a queue that two programs find by its name; a queue of its own carries the answers."""

import os
import subprocess
import sys

import mpshm as mp


def serve(name: str) -> None:
    """Answer until None comes."""
    segment = mp.ManagedSharedMemory(name, "r+")
    requests, answers = segment["requests"], segment["answers"]
    while (request := requests.get(timeout=20)) is not None:
        answers.put({"request": request, "answer": sum(request)})


def ask(name: str) -> None:
    """Make the queues, start the other program, ask it."""
    segment = mp.ManagedSharedMemory(name, "x")
    try:
        requests = segment.construct(mp.Queue, "requests", 10)
        answers = segment.construct(mp.Queue, "answers")
        server = subprocess.Popen([sys.executable, __file__, name])
        for request in ([1, 2, 3], (0.5, 0.25), range(10), None):
            requests.put(request)
        for _ in range(3):
            print(answers.get(timeout=20))
        print("ended with", server.wait(20))
    finally:
        mp.ManagedSharedMemory.remove(name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        serve(sys.argv[1])
    else:
        ask(f"message_passing_{os.getpid()}")

# prints:
# {'request': [1, 2, 3], 'answer': 6}
# {'request': (0.5, 0.25), 'answer': 0.75}
# {'request': range(0, 10), 'answer': 45}
# ended with 0
