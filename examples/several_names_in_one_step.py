"""Several objects that belong together: others find all of them, or none."""

import time

import mpshm as mp


def read(segment: mp.AnonymousSegment, begun: mp.Event) -> None:
    """Look again and again; what is found must be whole."""
    begun.set()
    while True:
        with segment.atomic():
            found = [segment.find(name) for name in ("keys", "values", "index")]
        if all(each is not None for each in found):
            keys, values, index = found
            print("found:", keys, values, index)
            return
        assert found == [None, None, None], "found one without the others"
        time.sleep(0.01)


if __name__ == "__main__":
    segment = mp.AnonymousSegment()
    begun = mp.Event()
    reader = mp.Process(target=read, args=(segment, begun))
    reader.start()
    begun.wait(20)
    with segment.atomic():  # nobody else constructs, finds or destroys meanwhile
        segment.construct(mp.List, "keys", ["a", "b"])
        segment.construct("i4", "values", [10, 20])
        segment.construct(mp.Dict, "index", a=0, b=1)
    reader.join()
    with segment.atomic(blocking=False):  # TimeoutError at once, were it another's
        print("here:", segment.names())

# prints:
# found: ['a', 'b'] [10 20] {'a': 0, 'b': 1}
# here: ['keys', 'values', 'index']
