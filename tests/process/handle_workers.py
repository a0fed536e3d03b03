"""What other processes do in the tests of handles; importable by spawned ones, and without pytest."""

import os
import pickle
import time

import mpshm

KINDS = {
    "Dict": lambda m: m.dict(),
    "List": lambda m: m.list(),
    "Value": lambda m: m.Value("i", None),
    "Namespace": lambda m: m.Namespace(),
}


def put(obj, text):
    """Leave a text in a shared object of any kind."""
    if isinstance(obj, mpshm.Dict):
        obj["text"] = text
    elif isinstance(obj, mpshm.List):
        obj.append(text)
    elif isinstance(obj, mpshm.Namespace):
        obj.text = text
    else:
        obj.value = text


def take(obj):
    """The text that `put` left."""
    if isinstance(obj, mpshm.Dict):
        return obj["text"]
    if isinstance(obj, mpshm.List):
        return obj[-1]
    if isinstance(obj, mpshm.Namespace):
        return obj.text
    return obj.value


def put_and_return(obj, text):
    put(obj, text)
    return obj


def put_all(objects, text):
    """Into each of some objects, wherever they came in."""
    for obj in objects.values() if isinstance(objects, dict) else objects:
        put(obj, text)


def make_in(manager, text):
    """A new dict in the caller's manager, made here."""
    return manager.dict(text=text, pid=os.getpid())


def make_own(text):
    """A new dict in this process's default segment."""
    return mpshm.Dict(text=text, inner=mpshm.List([text]), pid=os.getpid())


def make_in_own_manager(text):
    """A new dict of a manager that is forgotten at once."""
    return mpshm.Manager().dict(text=text)


_given = None


def begin(obj):
    """Keep what came as an initializer's argument."""
    global _given
    _given = obj


def put_into_given(text):
    put(_given, text)


def serve(inbox, outbox):
    """Put a text into each object that comes, and send it back; until None comes."""
    while (obj := inbox.get()) is not None:
        put(obj, "served")
        outbox.put(obj)


def serve_pipe(pipe):
    """The same over a pipe."""
    while (obj := pipe.recv()) is not None:
        put(obj, "served")
        pipe.send(obj)


def count(d, lock, times):
    """Add to a key under a shared lock, in two steps."""
    for _ in range(times):
        with lock:
            d["n"] = d.get("n", 0) + 1


def increment(d, times):
    for _ in range(times):
        d.incr("n")


def create_and_leave(pipe):
    """Make a manager and a dict, hand the dict over, and go when told to."""
    manager = mpshm.Manager()
    d = manager.dict(made_by=os.getpid(), inner=manager.list([1]))
    pipe.send(d)
    pipe.recv()


def slow_put(obj, gate, text):
    """Wait until told, then put."""
    gate.wait(60)
    put(obj, text)


def nest(outer, text):
    """Store a new shared object inside a shared one, and drop it here."""
    inner = mpshm.Dict._in(outer._segment)
    inner["text"] = text
    outer["inner"] = inner


def hold(raw, pipe):
    """Load a pickled object, and keep it until told to go."""
    obj = pickle.loads(raw)
    pipe.send(os.getpid())
    pipe.recv()
    del obj


def pass_on(obj, method, text):
    """Give an object to a process of one's own."""
    process = mpshm.get_context(method).Process(target=put, args=(obj, text))
    process.start()
    process.join(60)
    assert process.exitcode == 0


def attach_seconds(obj):
    """How long the first operation on an object took in this process, after it was loaded."""
    start = time.perf_counter()
    len(obj)
    return time.perf_counter() - start


def append_to(d, key, value):
    d[key].append(value)
