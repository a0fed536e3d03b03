"""References of three kinds: a handle keeps its object, a WeakRef does not, a UniqueRef is its only owner."""

import mpshm as mp


def look(cache: mp.Dict, begun: mp.Event, go_on: mp.Event) -> None:
    """Hold the object by a handle for a while: it stays as long."""
    held = cache["page"]()
    begun.set()
    go_on.wait(20)
    print("held:", held, flush=True)


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    cache = segment.construct(mp.Dict, "cache")
    page = segment.construct(mp.List, None, ["some", "text"])
    cache["page"] = mp.WeakRef(page)  # may be stored, and does not keep the page
    begun, go_on = mp.Event(), mp.Event()
    reader = mp.Process(target=look, args=(cache, begun, go_on))
    reader.start()
    begun.wait(20)
    del page
    print("alive by the reader's handle:", cache["page"].alive)
    go_on.set()
    reader.join()
    segment.recover()
    print("alive without it:", cache["page"].alive, cache["page"]())

    box = segment.construct(mp.List, "box")
    owner = mp.UniqueRef(segment.construct(mp.Dict, None, weight=3))
    owner.move_to(box)
    print("moved:", box[0], "the owner has it still:", bool(owner))

# prints:
# alive by the reader's handle: True
# held: ['some', 'text']
# alive without it: False None
# moved: {'weight': 3} the owner has it still: False
