"""Arrays that go by reference: what is received, and what goes as ever."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from multiprocessing.connection import Client, Listener
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
import pytest

import mpshm
from mpshm import _binding, _types, transfer

LARGE = 70_000  # bytes
OTHERS = ForkingPickler._extra_reducers  # type: ignore[attr-defined]


@pytest.fixture
def sharing() -> Any:
    with mpshm.share_arrays() as made:
        yield made
        assert made.segment.check() is None
    assert np.ndarray not in OTHERS


@pytest.fixture
def pipe() -> Any:
    """Both ends of a pipe that takes some large messages."""
    ends = multiprocessing.Pipe()
    yield ends
    for end in ends:
        end.close()


def is_shared(array: np.ndarray) -> bool:
    """Whether it lies on mapped pages."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return type(getattr(base, "obj", base)).__name__ == "Pages"


def through(pipe: Any, obj: Any) -> Any:
    pipe[0].send(obj)
    return pipe[1].recv()


def array_of_all_bits(dtype: Any, shape: Any = 30_000) -> np.ndarray:
    return np.arange(np.prod(shape), dtype="u4").astype(dtype).reshape(shape)


@pytest.mark.parametrize("dtype", ["f8", ">i4", "c16", "M8[ns]", "S7", "U3", [("a", "<i4"), ("b", "u1", 3)], "m8[s]"])
def test_types(sharing: Any, pipe: Any, dtype: Any) -> None:
    """Every type of items arrives as it was; what is received is the receiver's own."""
    sent = np.zeros(30_000, dtype)
    if sent.dtype.names is None:
        sent[:] = array_of_all_bits(dtype)
    else:
        sent["a"] = np.arange(30_000)
    before = sent.copy()
    received = through(pipe, sent)
    assert is_shared(received)
    assert received.dtype == sent.dtype
    assert np.array_equal(received, sent)
    received[1:] = received[0]
    assert np.array_equal(sent, before)


@pytest.mark.parametrize(
    "cut",
    [
        lambda a: a,
        lambda a: np.asfortranarray(a),
        lambda a: a.T,
        lambda a: a[::2, 1:],
        lambda a: a[::-1],
        lambda a: np.broadcast_to(a[0], a.shape),
    ],
)
def test_layouts(sharing: Any, pipe: Any, cut: Any) -> None:
    """Whatever the order in memory, items are at their places; an order of columns stays one."""
    sent = cut(array_of_all_bits("f8", (200, 300)))
    received = through(pipe, sent)
    assert is_shared(received)
    assert np.array_equal(received, sent)
    assert received.flags.f_contiguous == (sent.flags.f_contiguous and not sent.flags.c_contiguous)
    assert received.flags.writeable


def test_read_only_and_nested(sharing: Any, pipe: Any) -> None:
    """Inside of other objects; one that is there twice is one; read-only ones are writable again, as ever."""
    array = array_of_all_bits("f8")
    array.flags.writeable = False
    received = through(pipe, {"a": [array, (array, "text")], "b": array[:10_000]})
    assert received["a"][0] is received["a"][1][0]
    assert received["a"][0] is not received["b"]
    assert is_shared(received["a"][0])
    assert is_shared(received["b"])
    assert received["b"].flags.writeable


def test_small_ones(sharing: Any, pipe: Any) -> None:
    """Below the threshold, and of no bytes, through the pipe."""
    for n in (0, 1, 8191):
        received = through(pipe, np.arange(float(n)))
        assert not is_shared(received)
        assert len(received) == n
    assert sharing.segment.used == 0
    with mpshm.share_arrays(threshold=LARGE * 2):
        assert not is_shared(through(pipe, np.zeros(LARGE, "u1")))
    with mpshm.share_arrays(threshold=0):
        assert through(pipe, np.zeros(0)).shape == (0,)
        assert through(pipe, np.arange(3)).tolist() == [0, 1, 2]


def test_what_cannot_be_shared(sharing: Any, pipe: Any) -> None:
    """Arrays of Python objects and of subclasses are pickled, as ever."""
    objects = np.array([None, 3] * 6000)
    assert through(pipe, objects).tolist() == objects.tolist()
    masked = np.ma.masked_less(np.arange(9000.0), 5)
    assert isinstance(through(pipe, masked), np.ma.MaskedArray)
    matrix = np.asarray(np.zeros(9000)).view(np.recarray)
    assert isinstance(through(pipe, matrix), np.recarray)


def test_memory_comes_back(sharing: Any, pipe: Any) -> None:
    """With the last array that was received; what a slice shows stays."""
    received = [through(pipe, np.full(LARGE, i, "u1")) for i in range(5)]
    assert sharing.segment.used > 5 * LARGE
    part = received[3][100:200]
    del received
    assert LARGE < sharing.segment.used < 2 * LARGE
    assert part.tolist() == [3] * 100
    del part
    assert sharing.segment.used == 0


def test_what_a_program_pickles_itself(sharing: Any) -> None:
    """It may be loaded any number of times, so it holds its bytes."""
    array = array_of_all_bits("f8")
    for made in (ForkingPickler.dumps(array), pickle.dumps(array)):
        for _ in range(2):
            assert np.array_equal(pickle.loads(made), array)
    assert sharing.segment.used == 0


@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
def test_sockets_with_an_address(sharing: Any, family: str) -> None:
    """Nobody knows whether the other end can get at this machine's memory."""
    with Listener(family=family) as listener, Client(listener.address) as client, listener.accept() as server:
        for one, other in ((client, server), (server, client)):
            thread = threading.Thread(target=one.send, args=(np.arange(30_000.0),))
            thread.start()
            assert not is_shared(other.recv())
            thread.join(60)


@pytest.mark.parametrize("duplex", [True, False])
def test_pipes(sharing: Any, duplex: bool) -> None:
    """Of both kinds, and queues."""
    there, here = multiprocessing.Pipe(duplex)[::-1]
    with there, here:
        there.send(np.zeros(LARGE, "u1"))
        assert is_shared(here.recv())
    queue = multiprocessing.SimpleQueue()
    queue.put(np.zeros(LARGE, "u1"))
    assert is_shared(queue.get())
    queue.close()
    fed: Any = multiprocessing.Queue()
    fed.put(np.zeros(LARGE, "u1"))
    assert is_shared(fed.get(timeout=60))
    fed.close()
    fed.join_thread()


def test_full(pipe: Any, no_new_segments: None) -> None:
    """What finds no room goes through the pipe; when there is room again, by reference."""
    segment = mpshm.AnonymousSegment(1 << 16, 1 << 18)
    with mpshm.share_arrays(segment=segment) as sharing:
        assert sharing.segment is segment
        sent = [np.full(100_000, i, "u1") for i in range(3)]
        received = [through(pipe, array) for array in sent]
        assert [is_shared(array) for array in received][0::2] == [True, False]
        assert [array[-1] for array in received] == [0, 1, 2]
        del received
        assert is_shared(through(pipe, sent[0]))
        segment.close()
        assert not is_shared(through(pipe, sent[0]))


def test_on_and_off(pipe: Any, no_new_segments: None) -> None:
    """A call holds until the next; a with statement until its end."""
    array = np.zeros(LARGE, "u1")
    outer = mpshm.share_arrays()
    try:
        assert (outer.on, outer.threshold) == (True, 65536)
        assert mpshm.share_arrays().segment is outer.segment
        with mpshm.share_arrays(False) as off:
            assert (off.on, off.segment) == (False, None)
            assert not is_shared(through(pipe, array))
            assert np.ndarray not in OTHERS
        assert is_shared(through(pipe, array))
        with mpshm.share_arrays(threshold=1 << 20) as inner:
            assert "1048576" in repr(inner)
            assert inner.segment is outer.segment
            assert not is_shared(through(pipe, array))
        assert is_shared(through(pipe, array))
        pipe[0].send(array)
    finally:
        off = mpshm.share_arrays(False)
    assert "off" in repr(off)
    del outer, inner, off
    assert is_shared(pipe[1].recv())  # on its way then
    assert not is_shared(through(pipe, array))
    mpshm.AnonymousSegment()  # the one that lingered goes when the next is made


def test_another_reducer(pipe: Any) -> None:
    """One that was registered before is asked for what does not go by reference, and is there again at the end."""
    ForkingPickler.register(np.ndarray, lambda array: (int, (array.size,)))
    try:
        mine = OTHERS[np.ndarray]
        with mpshm.share_arrays():
            assert through(pipe, np.zeros(3)) == 3
            assert is_shared(through(pipe, np.zeros(LARGE)))
        assert OTHERS[np.ndarray] is mine
    finally:
        del OTHERS[np.ndarray]


def test_a_message_that_cannot_be_sent(sharing: Any, pipe: Any) -> None:
    """The error is pickle's own, and the next message is none the worse."""
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pipe[0].send((np.zeros(LARGE, "u1"), lambda: 0))
    assert is_shared(through(pipe, np.zeros(LARGE, "u1")))


def test_wrong_arguments(no_new_segments: None) -> None:
    """Each is refused with its reason, and nothing has been switched on."""
    with pytest.raises(ValueError, match="must not be negative: -1"):
        mpshm.share_arrays(threshold=-1)
    with pytest.raises(TypeError, match="must be a Segment, not int"):
        mpshm.share_arrays(segment=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="other processes cannot get at"):
        mpshm.share_arrays(segment=mpshm.ManagedHeapMemory(1 << 20))
    assert not transfer._current.on
    assert np.ndarray not in OTHERS


def test_stored_bytes() -> None:
    """A Buffer has a copy of an array or of bytes; what has none in one piece is refused."""
    segment = mpshm.AnonymousSegment()
    array = np.arange(20_000.0)
    stored = _types.Buffer._of(segment, array)
    array[:] = 0
    assert stored is not None
    assert stored._value()[7] == 7
    assert _types.Buffer._of(segment, np.array([None])) is None
    assert bytes(memoryview(_types.Buffer._of(segment, b"some"))) == b"some"  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _types.Buffer._of(segment, 3)
    with pytest.raises(BufferError):
        _types.Buffer._of(segment, memoryview(b"some")[::2])
    with pytest.raises(AttributeError):
        _types.Buffer._of(3, b"")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _types.Buffer._of(segment)  # type: ignore[call-arg]
    assert segment.check() is None


def test_free_memory_that_is_kept() -> None:
    """What a segment may keep for what is stored next it keeps; the rest goes back to the system."""
    sizes = []
    for keep in (0, 60 << 20):
        segment = mpshm.AnonymousSegment(1 << 16, 100 << 20)
        _binding.keep(segment._address, keep)
        stored = _types.Buffer._of(segment, np.zeros(50 << 20, "u1"))
        del stored
        sizes.append(os.fstat(segment._identity.fd).st_blocks * 512)
        assert segment.used == 0
        segment.shrink_to_fit()
        assert os.fstat(segment._identity.fd).st_blocks * 512 < 10 << 20
    assert sizes[0] < 20 << 20 < 50 << 20 < sizes[1]


def test_arrow() -> None:
    """Buffers of pyarrow go by reference, and strings in a table with them."""
    pyarrow = pytest.importorskip("pyarrow")
    pipe = multiprocessing.Pipe()
    table = pyarrow.table({"n": np.arange(20_000), "s": [str(i) for i in range(20_000)]})
    with mpshm.share_arrays() as sharing, pipe[0], pipe[1]:
        received = through(pipe, table)
        assert received.equals(table)
        assert sharing.segment is not None
        assert sharing.segment.used > 150_000
        del received
        assert sharing.segment.used == 0


def test_a_frame() -> None:
    """A DataFrame that arrived may be written to."""
    pandas = pytest.importorskip("pandas")
    pipe = multiprocessing.Pipe()
    frame = pandas.DataFrame({"a": np.arange(20_000.0), "b": np.arange(20_000)})
    with mpshm.share_arrays() as sharing, pipe[0], pipe[1]:
        received = through(pipe, frame)
        assert received.equals(frame)
        assert sharing.segment is not None
        assert sharing.segment.used > 300_000
        received.iloc[3, 0] = -1
        assert received["a"][3] == -1
        assert frame["a"][3] == 3
