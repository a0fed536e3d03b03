"""WeakRef, UniqueRef, scoped objects, and pointers between structures."""

import copy
import ctypes
import gc
import pickle

import cffi
import pytest

import mpshm


@pytest.fixture
def segment():
    """A segment of one's own, in which nothing may be left in the end."""
    made = mpshm.AnonymousSegment(max_size=32 << 20)
    yield made
    gc.collect()
    assert made.stats().objects == 0
    assert made.check() is None


class Point(ctypes.Structure):
    """A structure of a user's."""

    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_int))


# WeakRef


@pytest.mark.parametrize(
    ("type_", "args", "shown"),
    [
        (mpshm.List, ([1, 2],), lambda x: x == [1, 2]),
        (mpshm.Lock, (), lambda x: not x.locked()),
        ("i4", ([3, 4],), lambda x: x.tolist() == [3, 4]),
        (Point, (5, 6), lambda x: (x.x, x.y) == (5, 6)),
        (ctypes.c_int * 2, (7, 8), lambda x: list(x) == [7, 8]),
    ],
)
def test_weak(segment, type_, args, shown):
    """It gives the object as it is, as long as anybody else has it, and None then; its copies do too."""
    made = segment.construct(type_, None, *args)
    weak = mpshm.WeakRef(made)
    again = pickle.loads(pickle.dumps(weak))
    assert shown(weak()) and shown(again()) and weak.alive
    assert weak == again and hash(weak) == hash(again) and weak != mpshm.WeakRef(mpshm.List()) and weak != 1
    assert "alive" in repr(weak)
    del made
    gc.collect()
    assert weak() is None and again() is None and not weak.alive and not again.alive
    assert "gone" in repr(weak)
    others = [segment.construct(type_, None, *args) for _ in range(50)]
    assert weak() is None
    del others


def test_weak_in_a_container(segment):
    """Stored in a container it does not keep the object either; a name does."""
    box = segment.construct(mpshm.Dict)
    target = segment.construct(mpshm.List, "target")
    box["weak"] = mpshm.WeakRef(target)
    target.append(1)
    del target
    assert box["weak"]() == [1]
    segment.destroy("target")
    assert box["weak"]() is None
    with pytest.raises(TypeError, match="shared object"):
        mpshm.WeakRef([])


def test_weak_after_shutdown():
    """With its segment the object is gone; to ask for it is an error."""
    with mpshm.Manager() as manager:
        made = manager.list()
        weak = mpshm.WeakRef(made)
    assert not weak.alive and "gone" in repr(weak)
    with pytest.raises(mpshm.SegmentClosedError):
        weak()


# UniqueRef


def test_unique_ref(segment):
    """One owner at a time: moved away it is empty, and copies there are none."""
    ref = mpshm.UniqueRef(segment.construct(mpshm.List, None, [1]))
    assert ref and ref() == [1]
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="move_to"):
            make(ref)
    box, queue = segment.construct(mpshm.Dict), segment.construct(mpshm.Queue)
    ref.move_to(box, "key")
    assert not ref and box["key"] == [1]
    for use in (ref, ref.release, lambda: ref.move_to(box, "key")):
        with pytest.raises(ReferenceError, match="moved away"):
            use()
    ref = mpshm.UniqueRef(box.pop("key"))
    ref.move_to(queue)
    other = mpshm.UniqueRef(queue.get())
    empty = mpshm.UniqueRef(segment.construct(mpshm.Lock))
    with pytest.raises(ValueError, match="has an object"):
        other.move_to(empty)
    empty.reset()
    other.move_to(empty)
    assert not other and empty.release() == [1] and not empty


def test_unique_ref_stays_where_a_move_fails(segment):
    """What the target refuses stays with its owner."""
    ref = mpshm.UniqueRef(segment.construct(mpshm.List, "name", [1]))
    with pytest.raises(TypeError, match="under a key"):
        ref.move_to(3)
    with pytest.raises(IndexError):
        ref.move_to(segment.construct(mpshm.List), 5)
    assert ref() == [1]
    ref.reset()
    ref.reset()
    assert not ref and segment.names() == []
    with pytest.raises(TypeError):
        mpshm.UniqueRef(3)


# scoped()


def test_scoped(segment):
    """The object is there inside of the block, and gone after it, also where it ends by an exception."""
    with segment.scoped(mpshm.List, [1]) as made:
        assert made == [1]
        weak = mpshm.WeakRef(made)
        del made
    assert not weak.alive
    with pytest.raises(LookupError), segment.scoped("f8", shape=3) as array:
        weak = mpshm.WeakRef(array)
        raise LookupError
    del array
    gc.collect()
    assert not weak.alive


def test_scoped_and_kept(segment):
    """keep() lets it live on, under a name if one is given; a taken name is an error, and then it is not kept."""
    scope = segment.scoped(mpshm.Dict, a=1)
    with scope as made:
        scope.keep("name")
    del made
    assert segment["name"] == {"a": 1}
    with pytest.raises(RuntimeError, match="outside"):
        scope.keep()
    with pytest.raises(mpshm.SegmentExistsError), scope as made:
        scope.keep("name")
    assert segment.kind_of(made) == "anonymous"
    with scope as made:
        with pytest.raises(RuntimeError, match="entered"):
            scope.__enter__()
        scope.keep()
    made["b"] = 2
    assert made == {"a": 1, "b": 2}
    segment.destroy("name")
    del made


# OffsetPtr


class Node(ctypes.Structure):
    """An item of a linked list."""

    _fields_ = (("value", ctypes.c_int), ("next", mpshm.OffsetPtr), ("before", mpshm.OffsetPtr))


def test_pointers(segment):
    """A pointer leads to its target, itself included; new ones and cleared ones are null."""
    nodes = [segment.construct(Node, None, i) for i in range(3)]
    assert not nodes[0].next and nodes[0].next.get(Node) is None and "null" in repr(nodes[0].next)
    nodes[0].next.set(nodes[1])
    nodes[1].next.set(nodes[1])
    nodes[2].next = nodes[0].next  # a copy leads to the same target
    assert nodes[0].next.get(Node).value == 1 and nodes[1].next.get(Node).value == 1
    assert nodes[2].next.get(Node).value == 1
    nodes[0].next.get(Node).value = 10
    assert nodes[1].value == 10
    nodes[0].before.set(nodes[0].next)  # to a part of an object
    assert nodes[0].before.get(mpshm.OffsetPtr).get(Node).value == 10
    assert bool(nodes[0].next) and "to 0x" in repr(nodes[0].next)
    nodes[0].next.set(None)
    assert nodes[0].next.get(Node) is None
    assert ctypes.sizeof(mpshm.OffsetPtr) == 8


def test_pointers_within_an_allocation(segment):
    """Structures in raw memory point to each other as well."""
    handle = segment.allocate(10 * ctypes.sizeof(Node))
    nodes = (Node * 10).from_buffer(segment.view(handle))
    for i, node in enumerate(nodes):
        node.value = i
        node.next.set(nodes[i + 1] if i < 9 else None)
    seen, node = [], nodes[0]
    while node is not None:
        seen.append(node.value)
        node = node.next.get(Node)
    assert seen == list(range(10))
    del nodes, node
    segment.deallocate(handle)


def test_pointers_out_of_the_segment(segment):
    """ValueError for a target elsewhere, for a pointer elsewhere, and for one that leads nowhere."""
    node = segment.construct(Node)
    elsewhere = mpshm.AnonymousSegment()
    other = elsewhere.construct(Node)
    for target in (other, Node(), ctypes.c_int(1)):
        with pytest.raises(ValueError, match="target is not in segment"):
            node.next.set(target)
    for target in (3, "x", b""):
        with pytest.raises(TypeError):
            node.next.set(target)
    private = Node()
    with pytest.raises(ValueError, match="not in a segment"):
        private.next.set(node)
    assert private.next.get(Node) is None
    node.next.set(node)
    private.next = node.next
    with pytest.raises(ValueError, match="not in a segment"):
        private.next.get(Node)
    for nonsense in (1, 8, 1 << 40, (1 << 64) - 1, segment.size + (1 << 30)):
        node.next._offset = nonsense
        with pytest.raises(ValueError, match="leads out of segment"):
            node.next.get(Node)


def test_pointers_of_cffi(segment):
    """Structs of cffi point to each other, and to ctypes objects, by fields of 64 bits; what is none is refused."""
    ffi = cffi.FFI()
    ffi.cdef("struct node { int value; uint64_t next; }; struct unknown;")
    size = ffi.sizeof("struct node")
    handles = segment.allocate_many([size, size])
    one, two = (ffi.from_buffer("struct node *", segment.view(handle)) for handle in handles)
    one.value, two.value = 1, 2
    pointer = mpshm.OffsetPtr.at(ffi.addressof(one, "next"))
    node = ffi.typeof("struct node *")
    assert pointer.get(node) is None and not pointer
    for target in (two, two[0], ffi.addressof(two, "value"), ffi.cast("void *", two)):
        pointer.set(target)
        assert one.next == pointer._offset != 0 and pointer.get(node) == two and pointer.get(node).value == 2
    one.next, two.next = 0, one.next  # a copy leads to the same target
    last = mpshm.OffsetPtr.at(ffi.addressof(two, "next")).get(node)
    last.value = 3
    assert two.value == 3 and pointer.get(node) is None
    mixed = segment.construct(Node, None, 9)
    pointer.set(mixed)
    assert pointer.get(Node).value == 9
    for wrong in (one, ffi.addressof(one, "value"), ffi.new("char *"), 5, None, ffi.cast("int", 3)):
        with pytest.raises(TypeError):
            mpshm.OffsetPtr.at(wrong)
    for wrong in (ffi.typeof("struct node"), ffi.typeof("struct unknown *"), ffi.typeof("int"), ffi.typeof("void *")):
        with pytest.raises(TypeError):
            pointer.get(wrong)
    with pytest.raises(TypeError):
        pointer.set(ffi.cast("int", 3))
    with pytest.raises(ValueError, match="target is not in segment"):
        pointer.set(ffi.new("struct node *"))
    with pytest.raises(ValueError, match="not in a segment"):
        mpshm.OffsetPtr.at(ffi.addressof(ffi.new("struct node *"), "next")).set(one)
    one.next = 1 << 50
    with pytest.raises(ValueError, match="leads out of segment"):
        pointer.get(node)
    del one, two, pointer, last, mixed, target
    segment.deallocate_many(handles)


def test_targets_of_cffi_keep_their_memory_mapped(tmp_path):
    """What get() gave can be read when all else of the segment is gone in this process."""
    ffi = cffi.FFI()
    ffi.cdef("struct node { int value; uint64_t next; };")
    segment = mpshm.ManagedMappedFile(tmp_path / "file", "x")
    node = ffi.from_buffer("struct node *", segment.view(segment.allocate(ffi.sizeof("struct node"))))
    node.value = 5
    pointer = mpshm.OffsetPtr.at(ffi.addressof(node, "next"))
    pointer.set(node)
    found = pointer.get(ffi.typeof("struct node *"))
    del node, pointer, segment
    gc.collect()
    assert found.value == 5 and found.next != 0


def test_pointers_beside_closed_segments(segment, tmp_path):
    """A segment that was closed, and is not forgotten yet, disturbs nobody's pointers."""
    closed = mpshm.ManagedMappedFile(tmp_path / "closed", "x")
    closed.close()
    node = segment.construct(Node, None, 3)
    node.next.set(node)
    assert node.next.get(Node).value == 3 and closed.closed


def test_targets_keep_their_memory_mapped():
    """What get() gave can be read when all else of the segment is gone in this process."""
    segment = mpshm.AnonymousSegment()
    node = segment.construct(Node, None, 1)
    node.next.set(node)
    found = node.next.get(Node)
    del segment, node
    gc.collect()
    assert isinstance(found.value, int)
