"""Names and allocations in every kind of segment, in every mode, and after opening it again."""

import gc
import mmap

import pytest

import mpshm


def furnish(segment):
    """Objects by name, and an allocation; its handle and that of the dict."""
    made = segment.construct(mpshm.Dict, "dict", a=1)
    segment.construct("f8", "array", [1.0, 2.0])
    segment.construct(mpshm.List, "a name that does not fit into sixteen bytes", [1])
    segment.construct(mpshm.Lock, mpshm.unique)
    handle = segment.allocate(10)
    segment.view(handle)[:3] = b"abc"
    return handle, segment.handle_of(made)


def look(segment, handle, of_dict):
    """All that reads by name, and by handle."""
    assert segment.names() == ["dict", "array", "a name that does not fit into sixteen bytes"]
    assert len(segment) == 3 and segment.unique_types() == ["Lock"]
    assert segment["dict"] == {"a": 1} and segment["array"].tolist() == [1, 2]
    assert segment.find("a name that does not fit into sixteen bytes", mpshm.List) == [1]
    assert segment.find(mpshm.unique, mpshm.Lock) is not None and segment.find("nothing") is None
    assert "dict" in segment and "nothing" not in segment
    assert segment.name_of(segment["array"]) == "array" and segment.info("array").nbytes == 16
    assert [name for name, _ in segment.items()] == segment.names()
    assert segment.find_or_construct(mpshm.Dict, "dict") == {"a": 1}
    assert bytes(segment.view(handle)[:4]) == b"abc\0" and segment.open(handle).read(3) == b"abc"
    assert segment.from_handle(of_dict) == {"a": 1} and segment.handle_of(segment["dict"]) == of_dict


CHANGES = [
    lambda s, h: s.construct(mpshm.Dict, "new"),
    lambda s, h: s.construct(mpshm.Dict),
    lambda s, h: s.find_or_construct(mpshm.Dict, "new"),
    lambda s, h: s.destroy("dict"),
    lambda s, h: s.destroy_object(s["dict"]),
    lambda s, h: s.reserve_names(100),
    lambda s, h: s.allocate(10),
    lambda s, h: s.allocate_many([10, 20]),
    lambda s, h: s.reallocate(h, 1000),
    lambda s, h: s.reallocate(h, 5, in_place=True),
    lambda s, h: s.deallocate(h),
    lambda s, h: s.atomic().__enter__(),
]


@pytest.mark.parametrize("make", [mpshm.AnonymousSegment, mpshm.ManagedHeapMemory])
def test_private_kinds(make):
    """Segments without a file have names as all others."""
    segment = make(1 << 20)
    handles = furnish(segment)
    look(segment, *handles)
    assert segment.check() is None


def test_file(tmp_path):
    """What was named is there when the file is opened again; read-only it can be found and not changed; a private
    copy can be changed, and the file is as it was."""
    path = tmp_path / "segment"
    segment = mpshm.ManagedMappedFile(path, "x", size=1 << 20)
    handles = furnish(segment)
    segment.close()
    del segment
    gc.collect()
    content = path.read_bytes()

    reader = mpshm.ManagedMappedFile(path, "r")
    look(reader, *handles)
    assert not reader["array"].flags.writeable and reader.view(handles[0]).readonly
    for change in CHANGES:
        with pytest.raises(mpshm.SegmentPermissionError):
            change(reader, handles[0])
    reader.close()
    del reader
    gc.collect()
    assert path.read_bytes() == content

    private = mpshm.ManagedMappedFile(path, "c")
    look(private, *handles)
    private.destroy("dict")
    private["array"][0] = 50
    private.deallocate(handles[0])
    private.construct(mpshm.List, "new")
    private.close()
    del private
    gc.collect()

    again = mpshm.ManagedMappedFile(path, "r+")
    look(again, *handles)
    for change in CHANGES[:2]:
        change(again, handles[0])
    assert "new" in again and again.check() is None
    again.close()


def test_read_only_without_names(tmp_path):
    """Where nothing was ever named, a reader finds nothing, and makes no table."""
    path = tmp_path / "segment"
    mpshm.ManagedMappedFile(path, "x", size=1 << 20).close()
    gc.collect()
    reader = mpshm.ManagedMappedFile(path, "r")
    assert reader.names() == [] and "x" not in reader and reader.find("x") is None and len(reader) == 0
    for change in CHANGES[:3]:
        with pytest.raises(mpshm.SegmentPermissionError):
            change(reader, 1)
    reader.close()


def test_copy_of_a_heap():
    """Bytes of a segment, adopted elsewhere, have the same names, and know the same handles."""
    segment = mpshm.ManagedHeapMemory(1 << 20)
    handles = furnish(segment)
    content = segment.to_bytes()
    memory = mmap.mmap(-1, len(content))
    memory[:] = content
    copy = mpshm.ManagedExternalBuffer(memory)
    look(copy, *handles)
    copy.destroy("dict")
    look(segment, *handles)
