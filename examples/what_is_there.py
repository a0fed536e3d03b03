"""What a segment can say of itself and of its objects: names, kinds, types, sizes, room."""

import mpshm as mp


def fill(segment: mp.AnonymousSegment) -> None:
    """Make objects of all kinds in another process."""
    segment.reserve_names(100)
    segment.construct(mp.List, "list", range(5))
    segment.construct("f4", "array", shape=(2, 3))
    segment.construct(mp.Dict, mp.unique, a=1)


if __name__ == "__main__":
    segment = mp.AnonymousSegment(max_size=16 << 20)
    filler = mp.Process(target=fill, args=(segment,))
    filler.start()
    filler.join()
    for name, obj in segment.items():
        info = segment.info(name)
        print(name, info.kind, info.type, info.length, segment.name_of(obj), segment.kind_of(obj))
    print(segment.unique_types(), segment.info(mp.unique, mp.Dict).kind)
    nameless = segment.construct(mp.Set)
    print(segment.kind_of(nameless), segment.name_of(nameless), len(segment))
    stats = segment.stats()
    print(stats.size == stats.used + stats.free + stats.cached, stats.largest_free <= stats.free, segment.max_size)
    print("sound:", segment.check() is None)

# prints:
# list named List 5 list named
# array named float32 6 array named
# ['Dict'] unique
# anonymous None 2
# True True 16777216
# sound: True
