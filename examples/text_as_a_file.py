"""Shared text and shared bytes as files: what reads and writes files works with them."""

import csv
import io

import mpshm as mp


def write(text: mp.String) -> None:
    """Write with the csv module, as to any file."""
    with text.open("a") as file:
        csv.writer(file, lineterminator="\n").writerows([["name", "size"], ["oak", 30], ["elm", 25]])


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    trees = segment.construct(mp.String, "trees")
    writer = mp.Process(target=write, args=(trees,))
    writer.start()
    writer.join()
    with trees.open("r") as file:
        print([row["size"] for row in csv.DictReader(file)])
    trees.replace("oak", "ash")
    print(str(trees).splitlines())

    handle = segment.allocate(16)  # a file of fixed size: sixteen bytes
    with segment.open(handle) as raw:
        print("written:", raw.write(b"0123456789"), raw.write(b"abcdefghij"))
        raw.seek(8)
        print(raw.read())
    with io.TextIOWrapper(segment.open(handle), encoding="ascii") as file:
        print(file.read())
    segment.deallocate(handle)

# prints:
# ['30', '25']
# ['name,size', 'ash,30', 'elm,25']
# written: 10 6
# b'89abcdef'
# 0123456789abcdef
