"""A segment in a buffer of one's own, here an mmap; another process gets its bytes by a pipe."""

import mmap

import mpshm as mp


def receive(connection) -> None:
    """Bytes that came from elsewhere are a segment as they are; here they are copied, to be changed."""
    segment = mp.ManagedExternalBuffer(connection.recv_bytes(), "c")
    table = segment["table"]
    table["b"] = 2
    print("received:", table, flush=True)


if __name__ == "__main__":
    buffer = mmap.mmap(-1, 1 << 20)
    segment = mp.ManagedExternalBuffer(buffer, "x")
    segment.construct(mp.Dict, "table", a=1)
    print("backing:", segment.backing)
    here, there = mp.Pipe()
    receiver = mp.Process(target=receive, args=(there,))
    receiver.start()
    here.send_bytes(segment.to_bytes())
    receiver.join()
    print("here:", mp.ManagedExternalBuffer(buffer, "r+")["table"])

# prints:
# backing: buffer
# received: {'a': 1, 'b': 2}
# here: {'a': 1}
