"""One object of every class, and what can be done with each: calls that only look, and calls that change something.

It is imported by the tests, and run by itself: then it opens a file of the tests' for reading only, or as a copy, and
makes all these calls on one object there.

    python every_class.py PATH MODE CLASS OFFSET SERIAL < answers
"""

import asyncio
import inspect
import json
import sys
from collections import deque
from collections.abc import Iterator
from copy import deepcopy

import numpy

import mpshm
from mpshm import ManagedMappedFile, SegmentPermissionError, _types, arrays, containers, named, proxies, queues, sync

LOOK = "an attribute"
LONG = "x" * 1000  # not where the item itself is
BYTES = b"x" * 5000  # and of these, a view is not a copy


def raw(segment, nbytes):
    return _types.Raw._sized(segment, nbytes)


def made_by(cls, *args):
    return lambda segment: cls._make(segment, *args)


def with_content(cls, put, *items):
    def make(segment):
        made = cls._make(segment)
        for item in items:
            put(made, item)
        return made

    return make


def stored(obj):
    """A user's object, as a registered type has it."""
    return lambda segment: proxies.share_object(segment, obj)[0]


def names(segment):
    segment.construct(mpshm.List, "one", [1])
    segment.construct(mpshm.List, "two", [2])
    return _types.Names._of(segment, True)


def a_pool(segment):
    """A pool with nodes of a list that stays, by a name."""
    made = segment.find_or_construct(mpshm.LinkedList, "of nodes", [1, 2], allocator=mpshm.NodePool)
    made.extend(range(500))
    del made[2:]
    return made.allocator


def proxy_of(handle):
    token = proxies.Token("list", None, handle, ("append", "count", "clear"), None, None)
    return proxies.AutoProxy(token, "pickle")


def an_array(segment):
    return segment.construct("i4", None, [3, 1, 2, 1])._memory


MAKE = {
    "Dict": made_by(mpshm.Dict, {1: "a", 2: BYTES, "c": 3}),
    "List": made_by(mpshm.List, [3, 1, BYTES, 1]),
    "Set": made_by(mpshm.Set, [1, 2, LONG]),
    "Deque": made_by(mpshm.Deque, [3, 1, BYTES, 1], 10),
    "Map": made_by(mpshm.Map, {3: "c", 1: "a", 2: BYTES, 5: 5}),
    "MultiMap": made_by(mpshm.MultiMap, [(3, "c"), (1, "a"), (1, LONG), (2, BYTES)]),
    "SortedSet": made_by(mpshm.SortedSet, [3, 1, 2, 9]),
    "Vector": made_by(mpshm.Vector, "u1", [3, 1, 2, 1]),
    "LinkedList": made_by(mpshm.LinkedList, [3, 1, LONG, 1]),
    "String": made_by(mpshm.String, "one two, " * 20),
    "Value": with_content(containers.Value, lambda v, x: v.set(x), 7),
    "Namespace": with_content(containers.Namespace, lambda n, x: setattr(n, "x", x), 7),
    "Array": made_by(arrays.Array, "i", [3, 1, 2, 1]),
    "Raw": lambda segment: raw(segment, 100),
    "Queue": with_content(queues.Queue, queues.Queue.put, 1, LONG),
    "JoinableQueue": with_content(queues.JoinableQueue, queues.JoinableQueue.put, 1, LONG),
    "SimpleQueue": with_content(queues.SimpleQueue, queues.SimpleQueue.put, 1, LONG),
    "Lock": made_by(sync.Lock),
    "RLock": made_by(sync.RLock),
    "Semaphore": made_by(sync.Semaphore, 3),
    "BoundedSemaphore": made_by(sync.BoundedSemaphore, 3),
    "Event": made_by(sync.Event),
    "Condition": made_by(sync.Condition),
    "Barrier": made_by(sync.Barrier, 1),
    "Instance": stored([3, 1, 2]),
    "NDArray": an_array,
    "Cursor": made_by(mpshm.LinkedList, [3, 1, LONG, 1]),
    "ObjectLock": made_by(mpshm.List, [1]),
    "Names": names,
    "Pool": a_pool,
    "Proxy": stored([3, 1, 2]),
    "SharedArray": an_array,
}

# What is looked at by way of another object: made of it here.
INNER = {
    "Cursor": lambda made: made.begin(),
    "Names": lambda made: made,
    "ObjectLock": lambda made: made.lock,
    "Pool": lambda made: made,
    "Proxy": proxy_of,
    "SharedArray": named.present,
}


def look_at(*place):
    """Text has no view, and says so; a view of bytes would be those."""

    def act(obj):
        try:
            return bytes(obj.view(*place))
        except TypeError as error:
            return str(error)

    return act


_SETS = {
    "__and__": ({1, 7},),
    "__rand__": ({1, 7},),
    "__or__": ({1, 7},),
    "__ror__": ({1, 7},),
    "__sub__": ({1, 7},),
    "__rsub__": ({1, 7},),
    "__xor__": ({1, 7},),
    "__rxor__": ({1, 7},),
    "__contains__": (1,),
    "__iter__": (),
    "__len__": (),
    "__deepcopy__": deepcopy,
    "copy": (),
    "lock": LOOK,
    "difference": ([1],),
    "intersection": ([1],),
    "isdisjoint": ([1],),
    "issubset": ([1],),
    "issuperset": ([1],),
    "symmetric_difference": ([1],),
    "union": ([7],),
}
_SORTED = {
    "bisect": (2,),
    "bisect_left": (2,),
    "bisect_right": (2,),
    "index": (3,),
    "irange": (1, 3),
    "islice": (1, 3),
    "lower_bound": (2,),
    "upper_bound": (2,),
    "__reversed__": (),
}
_SEQUENCES = {
    "__add__": ([1],),
    "__radd__": ([1],),
    "__mul__": (2,),
    "__rmul__": (2,),
    "__contains__": (1,),
    "__iter__": (),
    "__reversed__": (),
    "__len__": (),
    "__getitem__": (2,),
    "__deepcopy__": deepcopy,
    "copy": (),
    "count": (1,),
    "index": (1,),
    "lock": LOOK,
}
_VIEWED = {"view": lambda stored: bytes(stored.view(2))}
_DICTS = {
    "__contains__": (1,),
    "__deepcopy__": deepcopy,
    "__getitem__": (2,),
    "__iter__": (),
    "__len__": (),
    "__or__": ({9: 9},),
    "__ror__": ({9: 9},),
    "__reversed__": (),
    "copy": (),
    "fromkeys": ([1],),
    "get": (1,),
    "items": (),
    "keys": (),
    "values": (),
    "view": lambda stored: bytes(stored.view(2)),
    "lock": LOOK,
}
_QUEUES = {"qsize": (), "empty": ()}
_WHOLE_QUEUES = {
    **_QUEUES,
    "full": (),
    "maxsize": LOOK,
    "is_shutdown": LOOK,
    "unfinished_tasks": LOOK,
    "join_thread": (),
    "cancel_join_thread": (),
}
_LOCKS = {"locked": (), "owner_died": LOOK}
_TEXT = {
    "capitalize": (),
    "center": (300,),
    "endswith": (", ",),
    "expandtabs": (),
    "find": ("two",),
    "isalnum": (),
    "isalpha": (),
    "isascii": (),
    "isdigit": (),
    "islower": (),
    "isspace": (),
    "istitle": (),
    "isupper": (),
    "join": (["a", "b"],),
    "ljust": (300,),
    "lower": (),
    "lstrip": ("o",),
    "partition": (" ",),
    "removeprefix": ("one",),
    "removesuffix": (", ",),
    "rfind": ("two",),
    "rindex": ("two",),
    "rjust": (300,),
    "rpartition": (" ",),
    "rsplit": (),
    "rstrip": (),
    "split": (),
    "splitlines": (),
    "startswith": ("one",),
    "strip": (),
    "swapcase": (),
    "title": (),
    "translate": ({111: "0"},),
    "upper": (),
    "zfill": (300,),
}

_SUMMARIES = (
    "all any argmax argmin argsort byteswap conj conjugate copy cumprod cumsum diagonal flatten max mean min nonzero "
    "prod ravel round squeeze std sum tobytes tolist trace transpose var view"
)
_ARITHMETIC = "add and floordiv lshift mod mul or pow rshift sub truediv xor"
_ARRAYS = {
    **dict.fromkeys(("T", "base", "data", "dtype", "flags", "imag", "itemsize", "nbytes", "ndim", "real"), LOOK),
    **dict.fromkeys(("shape", "size", "strides", "ctypes", "flat", "__array_interface__", "__array_struct__"), LOOK),
    **{f"__{side}{name}__": (2,) for side in ("", "r") for name in _ARITHMETIC.split()},
    **{f"__{name}__": () for name in ("abs", "copy", "invert", "iter", "len", "neg", "pos")},
    **{name: () for name in _SUMMARIES.split()},
    "__contains__": (1,),
    "__deepcopy__": deepcopy,
    "__divmod__": (2,),
    "__getitem__": (2,),
    "__matmul__": ([1, 1, 1, 1],),
    "__rdivmod__": (2,),
    "__rmatmul__": ([1, 1, 1, 1],),
    "__array__": (),
    "__bool__": lambda a: bool(a[:1]),
    "__complex__": lambda a: complex(a[0]),
    "__float__": lambda a: float(a[0]),
    "__index__": lambda a: range(9)[a[0]],
    "__int__": lambda a: int(a[0]),
    "argpartition": (1,),
    "astype": ("f8",),
    "choose": lambda a: (a - 1).choose([[1] * 4] * 4),
    "clip": (1, 2),
    "compress": ([1, 0, 1],),
    "diagonal": lambda a: a.reshape(2, 2).diagonal(),
    "dot": ([1, 1, 1, 1],),
    "dump": lambda a: a.dumps() and 0,
    "dumps": lambda a: a.dumps() and 0,
    "getfield": ("i2",),
    "item": (0,),
    "repeat": (2,),
    "reshape": ((2, 2),),
    "searchsorted": (2,),
    "swapaxes": (0, 0),
    "take": ([0, 2],),
    "trace": lambda a: a.reshape(2, 2).trace(),
}
# Of those, what says where in this process's memory the array is.
for _place in ("base", "data", "ctypes", "flat", "flags", "__array_interface__", "__array_struct__"):
    _ARRAYS[_place] = lambda a, place=_place: getattr(a, place) is not None

# What each method that only looks is called with.
READS = {
    "Dict": _DICTS,
    "List": {**_SEQUENCES, **_VIEWED},
    "Set": _SETS,
    "Deque": {**_SEQUENCES, **_VIEWED, "maxlen": LOOK, "__add__": (deque([1]),), "__radd__": (deque([1]),)},
    "Map": {**_DICTS, **_SORTED, "peekitem": (1,)},
    "MultiMap": {
        **{name: _DICTS[name] for name in ("__contains__", "__iter__", "__len__", "__reversed__", "copy", "get")},
        **{name: _DICTS[name] for name in ("items", "keys", "values", "lock")},
        **_SORTED,
        "__getitem__": (1,),
        "count": (1,),
        "equal_range": (1,),
        "getall": (1,),
        "peekitem": (1,),
        "view": lambda stored: bytes(stored.view(2)),
    },
    "SortedSet": {**_SETS, **_SORTED, "__getitem__": (1,), "count": (1,)},
    "Vector": {
        "__array__": (),
        "__contains__": (1,),
        "__deepcopy__": deepcopy,
        "__getitem__": (2,),
        "__len__": (),
        "array": LOOK,
        "capacity": LOOK,
        "copy": (),
        "count": (1,),
        "dtype": LOOK,
        "index": (1,),
        "itemsize": LOOK,
        "lock": LOOK,
        "maxlen": LOOK,
        "nbytes": LOOK,
        "open": ("rb",),
        "tobytes": (),
        "tolist": (),
    },
    "LinkedList": {**_SEQUENCES, "begin": (), "end": (), "cursor": (2,), "find": (1,)},
    "String": {
        **_TEXT,
        **{name: _SEQUENCES[name] for name in ("__iter__", "__reversed__", "__len__", "__getitem__", "copy", "lock")},
        "__add__": ("x",),
        "__radd__": ("x",),
        "__contains__": ("two",),
        "__deepcopy__": deepcopy,
        "__mod__": ((),),
        "__mul__": (2,),
        "__rmul__": (2,),
        "capacity": LOOK,
        "count": ("two",),
        "index": ("two",),
        "is_bytes": LOOK,
        "open": ("r",),
    },
    "Value": {"get": (), "value": LOOK, "lock": LOOK, "view": look_at()},
    "Namespace": {"lock": LOOK, "x": LOOK},
    "Array": {
        **{name: _SEQUENCES[name] for name in ("__contains__", "__iter__", "__reversed__", "__len__", "__getitem__")},
        "__deepcopy__": deepcopy,
        "count": (1,),
        "index": (1,),
        "itemsize": LOOK,
        "lock": LOOK,
        "tobytes": (),
        "tolist": (),
        "typecode": LOOK,
    },
    "Raw": {"nbytes": LOOK},
    "Queue": _WHOLE_QUEUES,
    "JoinableQueue": _WHOLE_QUEUES,
    "SimpleQueue": _QUEUES,
    "Lock": _LOCKS,
    "RLock": _LOCKS,
    "Semaphore": {**_LOCKS, "get_value": ()},
    "BoundedSemaphore": {**_LOCKS, "get_value": ()},
    "Event": {"is_set": ()},
    "Condition": {"wait_for": (lambda: 5,)},
    "Barrier": {"broken": LOOK, "n_waiting": LOOK, "parties": LOOK},
    "Instance": {"lock": LOOK, "_load": ()},
    "NDArray": {"nbytes": LOOK, "_note": LOOK},
    "Cursor": {"at_end": LOOK, "value": LOOK, "next": (), "list": LOOK},
    "ObjectLock": _LOCKS,
    "Names": {
        "__contains__": ("one",),
        "__len__": (),
        "find": ("two",),
        "items": lambda names: [(name, plain(obj)) for name, obj in names.items()],
        "keys": (),
        "lock": LOOK,
        "name_of": lambda names: names.name_of(names.find("one")),
    },
    "Pool": {
        "kind": LOOK,
        "max_cached_nodes": LOOK,
        "node_bytes": LOOK,
        "nodes_per_chunk": LOOK,
    },
    "Proxy": {"lock": LOOK, "__deepcopy__": deepcopy, "_getvalue": (), "str": str},
    "SharedArray": {**_ARRAYS, "flush": (), "segment": lambda a: a.segment is not None},
}
for _of_nodes in ("Map", "MultiMap", "SortedSet", "LinkedList"):
    READS[_of_nodes] = {**READS[_of_nodes], "allocator": LOOK}


# Node containers may say where their nodes come from.
for _name, _cls in (
    ("Map", mpshm.Map),
    ("MultiMap", mpshm.MultiMap),
    ("SortedSet", mpshm.SortedSet),
    ("LinkedList", mpshm.LinkedList),
):
    if hasattr(_cls, "allocator"):
        READS[_name]["allocator"] = LOOK

_LIST_CHANGES = {
    "__delitem__": (0,),
    "__iadd__": ([9],),
    "__imul__": (2,),
    "__setitem__": (0, 9),
    "append": (9,),
    "clear": (),
    "extend": ([9],),
    "insert": (0, 9),
    "pop": (),
    "remove": (1,),
    "reverse": (),
}
_DICT_CHANGES = {
    "__delitem__": (1,),
    "__ior__": ({9: 9},),
    "__setitem__": (1, "new"),
    "clear": (),
    "compare_exchange": (1, "a", "b"),
    "compute": (1, lambda old: 9, None),
    "incr": ("n",),
    "pop": (1,),
    "popitem": (),
    "setdefault": (9, 9),
    "update": ({9: 9},),
}
_SET_CHANGES = {
    "__iand__": ({1},),
    "__ior__": ({77},),
    "__isub__": ({1},),
    "__ixor__": ({1},),
    "add": (77,),
    "clear": (),
    "difference_update": ([1],),
    "discard": (1,),
    "intersection_update": ([1],),
    "pop": (),
    "remove": (1,),
    "symmetric_difference_update": ([1],),
    "update": ([77],),
}
_QUEUE_CHANGES = {"get": (), "get_nowait": (), "put": (9,), "put_nowait": (9,), "aget": (), "aput": (9,)}
_WHOLE_QUEUE_CHANGES = {**_QUEUE_CHANGES, "shutdown": (True,), "task_done": (), "join": (), "_limit": (3,)}
_LOCK_CHANGES = {"acquire": (), "release": (), "__enter__": (), "__exit__": (None, None, None)}

# What each method that changes something is called with.
CHANGES = {
    "Dict": _DICT_CHANGES,
    "List": {**_LIST_CHANGES, "sort": lambda x: x.sort(key=str), "slice =": lambda x: x.__setitem__(slice(0, 2), [9])},
    "Set": _SET_CHANGES,
    "Deque": {**_LIST_CHANGES, "appendleft": (9,), "extendleft": ([9],), "popleft": (), "rotate": (1,)},
    "Map": {**_DICT_CHANGES, "incr": (9,)},
    "MultiMap": {
        "add": (9, 9),
        "clear": (),
        "pop": (1,),
        "popitem": (),
        "remove": (1, "a"),
        "update": ([(9, 9)],),
    },
    "SortedSet": {**_SET_CHANGES, "__delitem__": (0,)},
    "Vector": {
        **{name: args for name, args in _LIST_CHANGES.items() if name != "__imul__"},
        "reserve": (10_000,),
        "resize": (10_000,),
        "shrink_to_fit": (),
        "sort": (),
        "array[0] =": lambda v: v.array.__setitem__(0, 9),
        "open().write": lambda v: v.open().write(b"x"),
        "slice =": lambda v: v.__setitem__(slice(0, 2), [9]),
    },
    "LinkedList": {
        **_LIST_CHANGES,
        "appendleft": (9,),
        "popleft": (),
        "sort": lambda x: x.sort(key=str),
        "splice": lambda x: x.splice(x.begin(), x, x.cursor(2)),
        "slice =": lambda x: x.__setitem__(slice(0, 2), [9]),
    },
    "String": {
        **{name: args for name, args in _LIST_CHANGES.items() if name not in ("remove", "reverse")},
        "__iadd__": ("x",),
        "__setitem__": (0, "x"),
        "append": ("x",),
        "extend": ("x",),
        "insert": (0, "x"),
        "replace": ("two", "2"),
        "open().write": lambda s: s.open("r+").write("x"),
        "reserve": (10_000,),
        "shrink_to_fit": (),
    },
    "Value": {
        "add": (1,),
        "compare_exchange": (7, 8),
        "set": (9,),
        "value =": lambda v: setattr(v, "value", 9),
    },
    "Namespace": {
        "x =": lambda n: setattr(n, "x", 9),
        "y =": lambda n: setattr(n, "y", 9),
        "del x": lambda n: delattr(n, "x"),
    },
    "Array": {"__setitem__": (0, 9), "slice =": lambda a: a.__setitem__(slice(0, 2), a[2:4])},
    "Raw": {"[0] =": lambda r: memoryview(r).__setitem__(0, 9)},
    "Queue": _WHOLE_QUEUE_CHANGES,
    "JoinableQueue": _WHOLE_QUEUE_CHANGES,
    "SimpleQueue": _QUEUE_CHANGES,
    "Lock": _LOCK_CHANGES,
    "RLock": _LOCK_CHANGES,
    "Semaphore": _LOCK_CHANGES,
    "BoundedSemaphore": _LOCK_CHANGES,
    "Event": {"set": (), "clear": (), "wait": (5,)},
    "Condition": {**_LOCK_CHANGES, "notify": (), "notify_all": (), "wait": (0.01,)},
    "Barrier": {"abort": (), "reset": (), "wait": ()},
    "Cursor": {
        "erase": (),
        "insert_after": (9,),
        "insert_before": (9,),
        "value =": lambda c: setattr(c, "value", 9),
    },
    "ObjectLock": _LOCK_CHANGES,
    "Instance": {"_store": ([9],)},
    "NDArray": {"[0] =": lambda r: memoryview(r).__setitem__(0, 9)},
    "Names": {
        "enter": lambda names: names.enter("three", names.find("one")),
        "remove": ("one",),
        "remove_of": lambda names: names.remove_of("two", names.find("two")),
        "reserve": (500,),
    },
    "Pool": {"deallocate_cache": (), "deallocate_free_chunks": (), "stats": ()},
    "Proxy": {"append": (9,), "clear": (), "count": (1,)},
    "SharedArray": {
        **{f"__i{name}__": (2,) for name in _ARITHMETIC.replace("truediv ", "").replace("or ", "").split()},
        "__ior__": (8,),
        "__setitem__": (0, 9),
        "byteswap in place": lambda a: a.byteswap(True),
        "copyto": lambda a: numpy.copyto(a, 9),
        "data[0] =": lambda a: a.data.__setitem__(0, 9),
        "fill": (9,),
        "flat[0] =": lambda a: a.flat.__setitem__(0, 9),
        "out=": lambda a: numpy.add(a, 1, out=a),
        "part =": lambda a: a[1:].__setitem__(0, 9),
        "partition": (1,),
        "put": (0, 9),
        "real =": lambda a: setattr(a, "real", 9),
        "setfield": (9, "i2"),
        "sort": (),
        "view[0] =": lambda a: a.view("u1").__setitem__(0, 9),
    },
}

# Names of a handle's own affairs, of calls that no object answers, and of walks that end where they begin.
NEITHER = {
    "Array": {"__delitem__"},
    "Cursor": {"prev"},
    "JoinableQueue": {"close"},
    "Queue": {"close"},
    "SimpleQueue": {"close"},
    "String": {"__bytes__", "__getattr__"},
    "Proxy": {"_token"},
    # (What makes arrays, or changes how an array looks at the same memory.)
    "SharedArray": {name for name in dir(numpy.ndarray) if name[:7] == "__array"}
    | {
        "__delitem__",
        "__imatmul__",
        "__itruediv__",
        "__setstate__",
        "__class_getitem__",
        "device",
        "itemset",
        "newbyteorder",
    }
    | {"mT", "ptp", "resize", "setflags", "to_device", "tofile", "tostring", "__dlpack__", "__dlpack_device__"},
}

# What comes before where changes are possible.
FIRST = {
    **{(name, "release"): lambda lock: lock.acquire() for name in CHANGES},
    **{(name, "__exit__"): lambda lock: lock.acquire() for name in CHANGES},
    **{(name, "task_done"): lambda queue: queue.get() for name in CHANGES},
    **{(name, "join"): lambda queue: queue.shutdown(True) for name in CHANGES},
    ("Condition", "notify"): lambda c: c.acquire(),
    ("Condition", "notify_all"): lambda c: c.acquire(),
    ("Condition", "wait"): lambda c: c.acquire(),
    ("Event", "clear"): lambda e: e.set(),
    ("Event", "wait"): lambda e: e.set(),
    ("Barrier", "reset"): lambda b: b.abort(),
}

# Changes after which the text of an object is what it was.
UNSEEN = {
    "reserve",
    "shrink_to_fit",
    "task_done",
    "join",
    "_limit",
    "notify",
    "notify_all",
    "wait",
    "stats",
    "count",
    "deallocate_cache",
    "deallocate_free_chunks",
    "release",
    "__exit__",
}

# Names that say how a class is made.
_MADE = {"__class_getitem__", "__module__", "__slots__", "__weakref__", "__orig_bases__", "__parameters__"}
_MADE |= {"__annotations__", "__dict__", "__doc__", "__reduce__", "__reduce_ex__"}
# Names that newer Pythons give to classes by themselves.
_MADE |= {"__buffer__", "__release_buffer__", "__firstlineno__", "__static_attributes__"}
_MADE.add("__slotnames__")  # what copying an object leaves at its class


def public_names(obj):
    """What an object has that object() has not, and that a user may use."""
    names = set(dir(type(obj))) - set(dir(object)) - _MADE
    return {name for name in names if name[:1] != "_" or name[:2] == "__"}


def call(obj, name, args):
    """What comes of a call, or a look at an attribute."""
    if callable(args):
        return args(obj)
    found = getattr(obj, name)
    if args == LOOK:
        return found
    answer = found(*args)
    if inspect.iscoroutine(answer):
        return asyncio.run(asyncio.wait_for(answer, 30))
    return answer


def plain(answer):
    """The same, for the same contents, in every process."""
    if isinstance(answer, Iterator):
        return f"iterator of {plain(list(answer))}"
    if isinstance(answer, _types.Cursor):
        return "cursor to the end" if answer.at_end else f"cursor to {answer.value!r}"
    if isinstance(answer, _types.ObjectLock):
        return f"lock, {answer.locked()}"
    if isinstance(answer, set | frozenset):
        return f"set of {sorted(map(repr, answer))}"
    if isinstance(answer, numpy.ndarray):
        return f"{answer.dtype} {answer.tolist()}"
    if hasattr(answer, "readline"):
        return plain(answer.read())
    if isinstance(answer, _types.Handle):
        return f"{type(answer).__name__} {answer}"
    if callable(answer):
        return plain(answer())
    return repr(answer)


def answers(name, made):
    """What every call that only looks answers."""
    obj = INNER.get(name, lambda obj: obj)(made)
    return {call_name: plain(call(obj, call_name, args)) for call_name, args in READS[name].items()}


def refused(name, obj):
    """Every change of an object is refused."""
    for method, args in {**CHANGES[name], **PRIVATE.get(name, {})}.items():
        say(method)
        try:
            answer = call(obj, method, args)
        except SegmentPermissionError:
            continue
        except (TypeError, ValueError) as error:
            if "read-only" in str(error) or "readonly" in str(error):  # a buffer's own
                continue
            raise
        raise AssertionError(f"{name}.{method} was accepted: {answer!r}")


def accepted(name, path, offset, serial):
    """Every change of an object in a copy is made, and seen there."""
    for method, args in CHANGES[name].items():
        say(method)
        made = _types.attach(ManagedMappedFile(path, "c"), offset, serial, 0)
        obj = INNER.get(name, lambda obj: obj)(made)
        FIRST.get((name, method), lambda obj: None)(obj)
        before = seen(made)
        call(obj, method, args)
        assert method in UNSEEN or seen(made) != before, f"{name}.{method} had no effect: {before}"


def seen(made):
    """What there is to be seen of an object."""
    if isinstance(made, _types.Raw):
        return bytes(made)
    if isinstance(made, _types.Instance):
        return repr(made._load())
    if isinstance(made, _types.Names):
        return repr(made.keys())
    lock = getattr(made, "lock", None)
    return f"{made} {lock is not None and lock.locked()}"


def say(what):
    """For those who look for a fault."""
    print(what, file=sys.stderr, flush=True)


# Changes by other names than a user's.
PRIVATE = {
    "Semaphore": {"_setup": (2,), "_managed": ()},
    "BoundedSemaphore": {"_setup": (2,)},
    "Condition": {"_setup": lambda c: c._setup(c._lock)},
    "Barrier": {"_store": (1, None, None, False), "_managed": ()},
    "Lock": {"_managed": (), "_release_save": (), "_acquire_restore": (1,)},
    "RLock": {"_managed": (), "_release_save": (), "_acquire_restore": (1,)},
    "Vector": {
        "_push": (b"x",),
        "_put": (0, b"x"),
        "_fill": (slice(0, 1), b"x"),
        "_assign": (slice(0, 1), b"x"),
        "_replace": (b"x", 0),
        "_setup": ("u1", 1, "B", None),
    },
    "String": {"_reset": ("x",), "_replace": ("x", 0), "_assign": (slice(0, 1), "x"), "_put": (0, "x")},
    "LinkedList": {"_replace": ([9], 0)},
    "Cursor": {"_erase_if": (3,)},
    "Map": {"_managed": ()},
}


def main(path, mode, name, offset, serial):
    """Look at the object, change it, and end without a word if all is as it must be."""
    wanted = json.load(sys.stdin)
    segment = ManagedMappedFile(path, mode)
    made = _types.attach(segment, int(offset), int(serial), 0)
    found = answers(name, made)
    assert found == wanted, {key: (found[key], wanted[key]) for key in wanted if found.get(key) != wanted[key]}
    if mode == "c":
        accepted(name, path, int(offset), int(serial))
        return
    obj = INNER.get(name, lambda obj: obj)(made)
    if name == "Raw":
        assert memoryview(made).readonly
    if name == "Vector":
        assert not made.array.flags.writeable and not numpy.asarray(made).flags.writeable
    refused(name, obj)
    assert answers(name, made) == wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
