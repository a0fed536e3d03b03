"""SharedMemory and ShareableList do what multiprocessing.shared_memory's do: the same body on both.

The last test is CPython's own of ShareableList, but for the errors that it wants where an item grows.
"""

import contextlib
import os
import pickle
from multiprocessing import resource_tracker, shared_memory

import numpy as np
import pytest

import mpshm


@pytest.fixture(params=[shared_memory, mpshm.shared_memory], ids=["stdlib", "mpshm"])
def module(request):
    """One of the two modules."""
    return request.param


@pytest.fixture
def keep(module):
    """A function that notes what is to be closed and unlinked at the end."""
    noted = []

    def note(shm):
        noted.append(shm)
        return shm

    yield note
    for shm in noted:
        with contextlib.suppress(BufferError):
            shm.close()
        with contextlib.suppress(FileNotFoundError):
            shm.unlink()
        if module is shared_memory:  # which has the tracker unlink once for each that attached
            with contextlib.suppress(Exception):
                resource_tracker.register(shm._name, "shared_memory")
                resource_tracker.unregister(shm._name, "shared_memory")


def test_a_buffer(module, keep):
    """buf is a writable memoryview of bytes, the same one each time."""
    shm = keep(module.SharedMemory(create=True, size=64))
    assert isinstance(shm.buf, memoryview)
    assert shm.buf is shm.buf
    assert (shm.buf.format, shm.buf.itemsize, shm.buf.readonly, shm.buf.nbytes) == ("B", 1, False, 64)
    shm.buf[:3] = b"abc"
    assert bytes(shm.buf[:4]) == b"abc\0"
    array = np.ndarray((8,), dtype="<u8", buffer=shm.buf)
    array[7] = 258
    assert bytes(shm.buf[56:58]) == b"\2\1"
    del array


def test_closing(module, keep):
    """After close() there is no buffer; name and size stay; closing twice does nothing."""
    shm = keep(module.SharedMemory(create=True, size=10))
    name = shm.name
    shm.close()
    shm.close()
    assert shm.buf is None
    assert (shm.name, shm.size) == (name, 10)
    assert repr(shm) == f"SharedMemory({name!r}, size=10)"
    again = module.SharedMemory(name)
    again.close()


@pytest.mark.parametrize(
    ("kwds", "error"),
    [
        ({}, ValueError),
        ({"create": True}, ValueError),
        ({"create": True, "size": 0}, ValueError),
        ({"create": True, "size": -1}, ValueError),
        ({"name": "mpshm-none", "size": -1}, ValueError),
        ({"name": "mpshm-none"}, FileNotFoundError),
        ({"create": True, "size": "1"}, TypeError),
    ],
)
def test_wrong_arguments(module, kwds, error):
    """Both raise errors of one type."""
    with pytest.raises(error):
        module.SharedMemory(**kwds)


def test_a_name_is_taken_once(module, keep, unique_name):
    """Creating what is there fails, and leaves what is there alone."""
    name = unique_name()
    shm = keep(module.SharedMemory(name=name, create=True, size=5))
    shm.buf[0] = 1
    with pytest.raises(FileExistsError):
        module.SharedMemory(name=name, create=True, size=5)
    assert shm.name == name
    assert shm.buf[0] == 1


def test_after_unlink(module, keep):
    """The memory is there for those who have it, and for nobody else; unlinking twice is an error."""
    shm = keep(module.SharedMemory(create=True, size=5))
    shm.unlink()
    shm.buf[0] = 1
    assert shm.buf[0] == 1
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            module.SharedMemory(shm.name)
    with pytest.raises(FileNotFoundError):
        shm.unlink()


def test_views_keep_it_open(module, keep):
    """close() with an array in use is a BufferError in both."""
    shm = keep(module.SharedMemory(create=True, size=5))
    array = np.frombuffer(shm.buf, dtype="u1")
    with pytest.raises(BufferError):
        shm.close()
    del array
    shm.close()


def test_subclasses_are_pickled(module, keep):
    """What is unpickled is of the same class, and shares."""
    shm = keep(module.SharedMemory(create=True, size=5))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        other = keep(pickle.loads(pickle.dumps(shm, protocol)))
        other.buf[0] = protocol
        assert type(other) is module.SharedMemory
        assert shm.buf[0] == protocol
        other.close()


@pytest.fixture
def make_list(module, keep):
    """A function that makes lists."""

    def make(*args, **kwds):
        made = module.ShareableList(*args, **kwds)
        keep(made.shm)
        return made

    return make


def test_a_list_of_fixed_length(make_list):
    """It has len, items, iteration, `in`, count, index; no append; it compares by identity."""
    items = make_list(["a", b"b", 1, 2.5, True, None])
    assert len(items) == 6
    assert list(items) == ["a", b"b", 1, 2.5, True, None]
    assert [items[place] for place in (-1, -6, 3)] == [None, "a", 2.5]
    assert 2.5 in items
    assert (items.count(1), items.count("z"), items.index(None)) == (2, 0, 5)
    assert not hasattr(items, "append")
    assert repr(items) == f"ShareableList({list(items)!r}, name={items.shm.name!r})"
    with pytest.raises(ValueError, match="'q' not in this container"):
        items.index("q")
    assert str(type(items)[int]).endswith("ShareableList[int]")


@pytest.mark.parametrize("wrong", [[1, []], [{}], [1j], [bytearray(b"x")]])
def test_items_of_other_types(make_list, wrong):
    """Both refuse them, with an error that is a KeyError."""
    with pytest.raises(KeyError):
        make_list(wrong)
    items = make_list([1])
    with pytest.raises(KeyError):
        items[0] = wrong[-1]
    assert items[0] == 1


def test_formats(make_list):
    """The format tells the type and the room of each item, as it does there."""
    values = [
        *("x" * size for size in (0, 1, 7, 8, 9, 15, 16, 100)),
        *(b"y" * size for size in (0, 7, 8)),
        1,
        1.0,
        True,
        None,
    ]
    items = make_list(values)
    assert items.format == "8s8s8s16s16s16s24s104s8s8s16sqdxxxxxxx?xxxxxx?x"
    items[3] = "short"
    assert items._get_packing_format(3) == "16s"
    items[11] = "text"
    assert items._get_packing_format(11) == "8s"
    items[11] = 5
    assert items._get_packing_format(11) == "q"


def test_cpythons_test_of_lists(module, make_list, keep):
    """test_shared_memory_ShareableList_basics of _test_multiprocessing.py, without what must not grow."""
    sl = make_list(["howdy", b"HoWdY", -273.154, 100, None, True, 42])
    assert sl.shm.name in str(sl)
    assert str(list(sl)) in str(sl)
    with pytest.raises(IndexError):
        sl[7]
    with pytest.raises(IndexError):
        sl[7] = 2
    current_format = sl._get_packing_format(0)
    sl[0] = "howdy"
    assert current_format == sl._get_packing_format(0)
    assert sl.format == "8s8sdqxxxxxx?xxxxxxxx?q"
    assert len(sl) == 7
    with pytest.raises(ValueError):
        sl.index("100")
    assert sl.index(100) == 3
    assert sl[0] == "howdy"
    assert sl[-2] is True
    assert tuple(sl) == ("howdy", b"HoWdY", -273.154, 100, None, True, 42)
    sl[3] = 42
    assert sl[3] == 42
    sl[4] = "some"
    assert sl[4] == "some"
    assert sl.format == "8s8sdq8sxxxxxxx?q"
    if module is shared_memory:
        with pytest.raises(ValueError, match="exceeds available storage"):
            sl[4] = "far too many"
        assert sl[4] == "some"
    sl[0] = "encodés"
    assert sl[0] == "encodés"
    assert sl[1] == b"HoWdY"
    assert (sl.count(42), sl.count(b"HoWdY"), sl.count(b"adios")) == (2, 1, 0)
    name_duplicate = f"mpshm-duplicate-{os.getpid()}"
    sl_copy = make_list(sl, name=name_duplicate)
    assert sl.shm.name != sl_copy.shm.name == name_duplicate
    assert list(sl) == list(sl_copy)
    if module is mpshm.shared_memory:
        assert sl_copy._get_packing_format(0) == "16s"  # as long as what is in it needs
    sl_copy[-1] = 77
    assert sl_copy[-1] == 77
    assert sl[-1] != 77
    sl_tethered = module.ShareableList(name=sl.shm.name)
    assert sl.shm.name == sl_tethered.shm.name
    sl_tethered[-1] = 880
    assert sl[-1] == 880
    sl_tethered.shm.close()
    sl.shm.close()
    empty_sl = make_list()
    assert len(empty_sl) == 0
    assert empty_sl.format == ""
    assert empty_sl.count("any") == 0
    with pytest.raises(ValueError):
        empty_sl.index(None)


def test_pickled_lists(make_list, keep):
    """What is unpickled shares; its pickle is as long, however long the list."""
    items = make_list(range(10))
    longer = make_list(range(400))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(items, protocol)
        assert abs(len(data) - len(pickle.dumps(longer, protocol))) <= 2
        other = pickle.loads(data)
        other[4] = protocol
        assert items[4] == protocol
        other.shm.close()
