"""What processes of every start method do with objects of segments that have a name; importable by all of them."""

import mpshm


def change(d, items, segment):
    """Change what was given, in both ways of getting to it."""
    d["pid"] = True
    items.append(len(d))
    made = mpshm.List._in(segment)
    made.append("made in the child")
    d["made"] = made
    assert d._segment.id == segment.id


def give_back(segment):
    """An object that was made here, for the caller."""
    d = mpshm.Dict._in(segment)
    d["from"] = "a worker"
    return d
