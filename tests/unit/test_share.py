"""Nested dicts and lists become shared ones: to any depth, with cycles, and all or nothing."""

import collections
import gc
import pickle

import pytest

import mpshm


@pytest.fixture(params=["share", "deep"])
def share(request, manager):
    """mpshm.share, and a manager's deep=True, which do the same."""
    if request.param == "share":
        return mpshm.share

    def deep(obj):
        make = manager.dict if isinstance(obj, dict) else manager.list
        return make(obj, deep=True)

    return deep


def test_nested(share):
    """A change at any depth is one of the shared object."""
    d = share({"a": {"b": [1, {"c": 2}]}, "n": 5})
    assert isinstance(d, mpshm.Dict) and isinstance(d["a"], mpshm.Dict) and isinstance(d["a"]["b"], mpshm.List)
    d["a"]["b"].append(3)
    d["a"]["b"][1]["c"] = 9
    assert d == {"a": {"b": [1, {"c": 9}, 3]}, "n": 5}
    items = share([[1], {"k": [2]}])
    items[0].append(2)
    items[1]["k"].append(3)
    assert items == [[1, 2], {"k": [2, 3]}]


def test_source_is_left_alone(share):
    """What was given stays as it was, and apart."""
    source = {"a": [1]}
    d = share(source)
    d["a"].append(2)
    assert source == {"a": [1]}
    source["a"].append(3)
    assert d == {"a": [1, 2]}


def test_shared_twice_is_shared_once(share):
    """What is in it twice is one object; what is only equal is two."""
    once = [1]
    d = share({"a": once, "b": once, "c": [1], "deep": {"x": once}})
    d["a"].append(2)
    assert d == {"a": [1, 2], "b": [1, 2], "c": [1], "deep": {"x": [1, 2]}}


def test_cycles(share):
    """What holds itself goes on doing so."""
    ring = {"name": "ring", "children": []}
    ring["children"].append({"parent": ring})
    ring["me"] = ring
    d = share(ring)
    d["children"][0]["parent"]["me"]["name"] = "changed"
    assert d["name"] == "changed"
    assert d == d["me"] == d["children"][0]["parent"]
    assert len(str(d)) < 1000
    d["children"].clear()
    d.clear()


def test_deep_nesting(share):
    """Depth is bounded by memory, not by the interpreter's stack."""
    source = last = []
    for _ in range(5000):
        last.append([])
        last = last[0]
    items = share(source)
    depth = 0
    while items:
        items = items[0]
        depth += 1
    assert depth == 5000


def test_only_dict_and_list_inside(share):
    """Subclasses, and what tuples hold, are values and are copied; a subclass at the top is turned."""
    d = share({"c": collections.Counter("aab"), "t": ([1], {"x": 1}), "s": {1, 2}, "o": collections.OrderedDict(a=1)})
    assert type(d["c"]) is collections.Counter and type(d["o"]) is collections.OrderedDict
    assert type(d["t"][0]) is list and d["s"] == {1, 2}
    top = mpshm.share(collections.defaultdict(list, a=[1]))
    assert isinstance(top, mpshm.Dict) and isinstance(top["a"], mpshm.List)


def test_empty_ones(share):
    """Empty containers are shared too."""
    d = share({"a": {}, "b": []})
    d["a"]["x"] = 1
    d["b"].append(1)
    assert d == {"a": {"x": 1}, "b": [1]}


def test_shared_objects_inside_stay_what_they_are(manager):
    """A shared object in what is shared is kept by reference."""
    inner = manager.list([1])
    d = manager.dict({"a": {"inner": inner}}, deep=True)
    d["a"]["inner"].append(2)
    assert inner == [1, 2]


def test_share_of_a_shared_object(manager):
    """Is that object."""
    d = manager.dict()
    assert mpshm.share(d) is d


@pytest.mark.parametrize("obj", [1, "text", None, (1, [2]), {1, 2}, b"x"], ids=repr)
def test_share_of_anything_else(obj):
    """TypeError that names the type."""
    with pytest.raises(TypeError, match=f"not {type(obj).__name__}"):
        mpshm.share(obj)


def test_all_or_nothing(manager):
    """If a value can't be stored, the error is pickle's and nothing is left in the segment, rings
    included."""
    before = manager.segment.stats().objects
    ring = {"list": [1, 2], "bad": {"f": lambda: None}}
    ring["me"] = ring
    ring["list"].append(ring)
    with pytest.raises((AttributeError, pickle.PicklingError), match="local object"):
        manager.dict(ring, deep=True)
    gc.collect()  # the exception's traceback refers to the handles
    assert manager.segment.stats().objects == before


def test_keywords(manager):
    """deep is the maker's own keyword; the others are keys."""
    d = manager.dict({"a": [1]}, b=[2], deep=True)
    d["a"].append(0)
    d["b"].append(0)
    assert d == {"a": [1, 0], "b": [2, 0]}
    assert manager.dict(deep=True) == {}
    assert manager.list(deep=True) == []
    assert manager.list(([1] for _ in range(2)), deep=True) == [[1], [1]]
    shallow = manager.dict({"a": [1]})
    shallow["a"].append(2)
    assert shallow == {"a": [1]}


def test_later_values_are_copied(share):
    """Only what was there at first is turned; what is put in later is a value, unless it is shared itself."""
    d = share({"a": {}})
    d["a"]["later"] = {"x": []}
    d["a"]["later"]["x"].append(1)
    assert d["a"]["later"] == {"x": []}
    d["a"]["shared"] = share({"x": []}) if share is not mpshm.share else mpshm.share({"x": []})
    d["a"]["shared"]["x"].append(1)
    assert d["a"]["shared"] == {"x": [1]}
