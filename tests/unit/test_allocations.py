"""Raw allocations, handles of objects, and allocations as files."""

import ctypes
import gc
import io
import pickle
import random

import pytest

import mpshm


@pytest.fixture
def segment():
    """A segment of one's own, which must be sound in the end."""
    made = mpshm.AnonymousSegment(max_size=32 << 20)
    yield made
    if not made.closed:
        assert made.check() is None


def address(view):
    """Where the memory of a view is."""
    return ctypes.addressof(ctypes.c_char.from_buffer(view))


@pytest.mark.parametrize("align", [16, 32, 64, 256, 4096])
@pytest.mark.parametrize("nbytes", [0, 1, 15, 16, 100, 5000, 1 << 20])
def test_allocate(segment, nbytes, align):
    """Memory of just that size, zero, writable, aligned; the handle is a positive int of 63 bits."""
    handle = segment.allocate(nbytes, align)
    assert type(handle) is int and 0 < handle < 1 << 63
    view = segment.view(handle)
    assert (len(view), view.readonly, view.format) == (nbytes, False, "B")
    assert not any(view)
    if nbytes:
        assert address(view) % align == 0
    view[:] = b"x" * nbytes
    assert segment.view(handle) == view
    assert segment.stats().objects == 1
    segment.deallocate(handle)
    del view
    gc.collect()
    assert segment.stats().objects == 0


def test_bad_arguments(segment):
    """ValueError and TypeError, and nothing is allocated."""
    for nbytes in (-1, 1 << 63, -(1 << 70)):
        with pytest.raises(ValueError, match="size"):
            segment.allocate(nbytes)
    for align in (0, 1, 8, 17, 48, 8192):
        with pytest.raises(ValueError, match="argument is out of its range"):
            segment.allocate(10, align)
    for wrong in ("1", 1.5, None, b""):
        with pytest.raises(TypeError):
            segment.allocate(wrong)
        with pytest.raises(TypeError):
            segment.view(wrong)
        with pytest.raises(TypeError):
            segment.deallocate(wrong)
    for handle in (0, -5, 1 << 63, 1 << 100):
        for use in (segment.view, segment.deallocate, segment.from_handle, segment.open):
            with pytest.raises(ValueError, match="no handle"):
                use(handle)
    with pytest.raises(mpshm.SegmentFullError):
        segment.allocate(1 << 40)
    with pytest.raises(mpshm.SegmentFullError):
        segment.allocate(1 << 62)
    with pytest.raises(OverflowError):
        segment.allocate(1, -1)
    assert segment.stats().objects == 0


def test_freed_handles_are_refused(segment):
    """Whatever is done with a handle that was given back is a ReferenceError, also once its place is another's."""
    handle = segment.allocate(100)
    segment.deallocate(handle)
    for _ in range(50):
        for use in (segment.view, segment.deallocate, segment.from_handle, segment.open):
            with pytest.raises(ReferenceError, match="gone"):
                use(handle)
        with pytest.raises(ReferenceError):
            segment.reallocate(handle, 10)
        segment.allocate(100)


def test_foreign_handles_are_refused(segment):
    """Another segment's handle is found out, and so is any number that somebody made up."""
    other = mpshm.AnonymousSegment()
    handles = [other.allocate(100) for _ in range(20)]
    mine = [segment.allocate(100) for _ in range(20)]
    assert not set(handles) & set(mine)
    for handle in handles:
        with pytest.raises(ReferenceError):
            segment.view(handle)
    rng = random.Random(5)
    for _ in range(5000):
        with pytest.raises(ReferenceError):
            segment.view(rng.randrange(1, 1 << rng.randrange(2, 64)))
    assert other.check() is None


def test_view_keeps_the_memory(segment):
    """Memory that was given back stays as long as a view of it, and is nobody else's until then."""
    handle = segment.allocate(1000)
    view = segment.view(handle)
    view[:4] = b"kept"
    segment.deallocate(handle)
    others = [segment.view(segment.allocate(1000)) for _ in range(50)]
    for other in others:
        other[:4] = b"gone"
    assert bytes(view[:4]) == b"kept"
    assert segment.stats().objects == 51
    del view
    gc.collect()
    assert segment.stats().objects == 50


def test_allocate_many(segment):
    """All at once, each by itself afterwards; all or none."""
    sizes = [0, 1, 100, 5000] * 100
    handles = segment.allocate_many(sizes, align=64)
    assert len(set(handles)) == len(sizes)
    assert [len(segment.view(handle)) for handle in handles] == sizes
    assert all(address(segment.view(h)) % 64 == 0 for h, n in zip(handles, sizes, strict=True) if n)
    segment.deallocate(handles[5])
    with pytest.raises(ReferenceError):
        segment.deallocate_many(handles)
    assert segment.stats().objects == len(sizes) - 1
    del handles[5]
    with pytest.raises(ReferenceError):
        segment.deallocate_many([*handles, handles[0]])
    segment.deallocate_many(handles)
    assert segment.stats().objects == 0
    assert segment.allocate_many([]) == [] and segment.deallocate_many([]) is None
    with pytest.raises(mpshm.SegmentFullError):
        segment.allocate_many([100] * 1000 + [1 << 30])
    with pytest.raises(ValueError, match="size"):
        segment.allocate_many([1, -1])
    assert segment.stats().objects == 0


def test_reallocate(segment):
    """Bytes are kept, new ones are zero; the old handle means the allocation as long as it did not move."""
    rng = random.Random(11)
    handle, content = segment.allocate(10), b"0123456789"
    segment.view(handle)[:] = content
    neighbours = []
    for _ in range(300):
        nbytes = rng.choice([0, 1, 50, 500, 5000, 100_000])
        new = segment.reallocate(handle, nbytes)
        content = content[:nbytes] + bytes(max(0, nbytes - len(content)))
        view = segment.view(new)
        assert bytes(view) == content
        content = rng.randbytes(nbytes)
        view[:] = content
        if new != handle:
            with pytest.raises(ReferenceError):
                segment.view(handle)
        handle = new
        neighbours.append(segment.allocate(rng.randrange(200)))
        if rng.random() < 0.5:
            segment.deallocate(neighbours.pop(rng.randrange(len(neighbours))))
    segment.deallocate(handle)
    segment.deallocate_many(neighbours)
    del view
    gc.collect()
    assert segment.stats().objects == 0


def test_reallocate_in_place(segment):
    """It stays where it is, or nothing happens and SegmentFullError says so."""
    handle = segment.allocate(100_000)
    segment.view(handle)[:] = b"a" * 100_000
    assert segment.reallocate(handle, 200_000, in_place=True) == handle
    assert bytes(segment.view(handle)) == b"a" * 100_000 + bytes(100_000)
    assert segment.reallocate(handle, 10, in_place=True) == handle
    assert bytes(segment.view(handle)) == b"a" * 10
    segment.allocate(1000)
    with pytest.raises(mpshm.SegmentFullError):
        segment.reallocate(handle, 1 << 40, in_place=True)
    assert len(segment.view(handle)) == 10
    shorter = segment.reallocate(segment.allocate(1 << 20), 5)
    assert len(segment.view(shorter)) == 5
    assert segment.used < 1 << 20


def test_handles_of_objects(segment):
    """Any shared object has a handle, which leads to it as long as it is there."""
    d = segment.construct(mpshm.Dict, "d", a=1)
    handle = segment.handle_of(d)
    assert segment.from_handle(handle) == {"a": 1}
    array = segment.construct("i4", "array", [1, 2, 3])
    assert segment.from_handle(segment.handle_of(array)).tolist() == [1, 2, 3]
    number = segment.construct(ctypes.c_int, None, 7)
    assert ctypes.c_int.from_buffer(segment.from_handle(segment.handle_of(number))).value == 7
    for use in (segment.view, segment.open):
        with pytest.raises(TypeError, match="handle of a Dict, not of an allocation"):
            use(handle)
    with pytest.raises(ReferenceError):
        segment.deallocate(handle)
    del d
    assert segment.from_handle(handle) == {"a": 1}
    segment.destroy("d")
    with pytest.raises(ReferenceError):
        segment.from_handle(handle)
    with pytest.raises(ValueError, match="not in segment"):
        segment.handle_of(mpshm.List())
    with pytest.raises(TypeError):
        segment.handle_of([])


def test_allocations_outlive_handles(segment):
    """Nothing in this process has to refer to an allocation."""
    handles = segment.allocate_many([64] * 10)
    gc.collect()
    assert segment.recover() == 0
    assert segment.stats().objects == 10 and segment.check() is None
    assert pickle.loads(pickle.dumps(segment.from_handle(handles[0]))).nbytes == 64
    segment.deallocate_many(handles)


# As files


def test_as_a_file(segment):
    """It reads, writes and seeks as a file of fixed size."""
    handle = segment.allocate(10)
    with segment.open(handle) as file:
        assert isinstance(file, io.RawIOBase)
        assert file.readable() and file.writable() and file.seekable() and not file.isatty()
        assert file.write(b"hello") == 5 and file.tell() == 5
        assert file.seek(0) == 0 and file.read(5) == b"hello" and file.read() == bytes(5) and file.read(3) == b""
        assert file.seek(-3, io.SEEK_END) == 7 and file.write(b"123456") == 3
        with pytest.raises(ValueError, match="no room at position 10 of 10 bytes"):
            file.write(b"x")
        assert file.write(b"") == 0
        assert file.seek(100) == 100 and file.read(1) == b"" and file.seek(-2, io.SEEK_CUR) == 98
        for where in ((-1,), (-200, io.SEEK_CUR), (-11, io.SEEK_END), (0, 7)):
            with pytest.raises(ValueError, match=r"seek|whence"):
                file.seek(*where)
        with pytest.raises(io.UnsupportedOperation):
            file.truncate(3)
        file.seek(2)
        buffer = bytearray(4)
        assert file.readinto(buffer) == 4 and buffer == b"llo\0"
    for use in (file.read, file.tell, lambda: file.seek(0), lambda: file.write(b"x"), file.readable):
        with pytest.raises(ValueError, match="closed"):
            use()
    file.close()
    assert bytes(segment.view(handle)) == b"hello\0\x00123"
    segment.deallocate(handle)
    gc.collect()
    assert segment.stats().objects == 0


def test_as_a_text_file(segment):
    """io's own layers go on top of it."""
    handle = segment.allocate(4000)
    with io.TextIOWrapper(io.BufferedRandom(segment.open(handle)), "utf-8") as text:
        text.write("grüße\nzweite Zeile\n")
    with io.TextIOWrapper(io.BufferedReader(segment.open(handle)), "utf-8") as text:
        assert [text.readline() for _ in range(2)] == ["grüße\n", "zweite Zeile\n"]
    with pytest.raises(ValueError, match="no room"), io.BufferedWriter(segment.open(handle)) as full:
        full.write(b"x" * 5000)
        full.flush()
    with segment.open(handle) as file:
        segment.deallocate(handle)
        assert file.read(3) == b"xxx"
