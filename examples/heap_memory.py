"""A segment in private memory: it grows where it is, and is sent elsewhere as bytes."""

import mpshm as mp


def receive(connection) -> None:
    """Load a segment from bytes: it is another one, with the same objects."""
    segment = mp.ManagedHeapMemory.from_bytes(connection.recv_bytes())
    words = segment["words"]
    words.append("there")
    print("there:", words[-2:], len(words), flush=True)


if __name__ == "__main__":
    segment = mp.ManagedHeapMemory(1 << 16)
    words = segment.construct(mp.List, "words")
    before = segment.size
    segment.grow(1 << 20)
    words.extend(f"word number {number}" for number in range(10_000))
    print("grown:", segment.size >= before + (1 << 20), len(words))
    here, there = mp.Pipe()
    receiver = mp.Process(target=receive, args=(there,))
    receiver.start()
    here.send_bytes(segment.to_bytes())
    receiver.join()
    print("here:", words[-1], len(words))

# prints:
# grown: True 10000
# there: ['word number 9999', 'there'] 10001
# here: word number 9999 10000
