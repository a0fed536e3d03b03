"""Vectors, linked lists and strings between processes: views, cursors, and what the dead leave."""

import gc
import os
import signal

import growing_workers as workers
import pytest

import mpshm

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=("fork", "spawn", "forkserver"))
def ctx(request):
    return mpshm.get_context(request.param)


def run(ctx, *calls):
    """Each of the calls in a process of its own, all at once."""
    processes = [ctx.Process(target=call[0], args=call[1:], daemon=True) for call in calls]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    return [process.exitcode for process in processes]


def test_appending_together(ctx, manager):
    """No item is lost, none is there twice, and those of each are in order."""
    vector = manager.vector("i8")
    assert run(ctx, (workers.fill, vector, 0, 2000), (workers.fill, vector, 10000, 2000)) == [0, 0]
    items = vector.tolist()
    assert [i for i in items if i < 10000] == list(range(2000))
    assert [i for i in items if i >= 10000] == list(range(10000, 12000))


def test_a_view_elsewhere_is_live(ctx, manager):
    """What another process writes through its view is here, without a call."""
    vector = manager.vector("f8", 1000)
    view = vector.array
    assert run(ctx, (workers.write, vector, 2.5)) == [0]
    assert view.sum() == 2500


def test_a_view_elsewhere_is_in_the_way(ctx, manager):
    """A living process's view forbids to move; once it is gone, it does not."""
    vector = manager.vector("i8", range(100))
    wall = manager.list(range(50))
    vector.resize(vector.capacity)
    ready, go = ctx.Event(), ctx.Event()
    process = ctx.Process(target=workers.hold_view, args=(vector, ready, go), daemon=True)
    process.start()
    assert ready.wait(60)
    with pytest.raises(BufferError):
        vector.append(1)
    go.set()
    process.join(60)
    assert process.exitcode == 0
    vector.append(1)
    assert len(wall) == 50


def test_the_dead_have_no_views(ctx, manager):
    """A killed process's view does not count."""
    vector = manager.vector("i8", range(100))
    wall = manager.list(range(50))
    vector.resize(vector.capacity)
    assert run(ctx, (workers.die_with_view, vector)) == [-signal.SIGKILL]
    vector.append(1)
    assert vector[-1] == 1
    assert len(wall) == 50


def test_a_forked_child_has_the_view(manager):
    """A view that was made before a fork is the child's too, and counts for it."""
    vector = manager.vector("i8", range(10))
    view = vector.array
    pid = os.fork()
    if pid == 0:
        view[0] = 77
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert vector[0] == 77
    del view
    gc.collect()
    vector.resize(100000)


def test_cursors_side_by_side(ctx, manager):
    """Each process changes the list around an item of its own; all that should be there is, in order."""
    linked = manager.linked_list(["a", "b", "c"])
    assert run(ctx, *((workers.add_around, linked, key, 300) for key in "abc")) == [0, 0, 0]
    items = linked.copy()
    for key in "abc":
        place = items.index(key)
        assert items[place + 1 : place + 151] == [(key, i) for i in range(298, -1, -2)]
    assert len(items) == 453


def test_an_item_that_another_took_out(ctx, manager):
    """A cursor to it is stale here, too."""
    linked = manager.linked_list([1, 2, 3])
    cursor = linked.find(2)
    assert run(ctx, (workers.take_out, linked, 2)) == [0]
    with pytest.raises(ReferenceError):
        _ = cursor.value
    assert linked == [1, 3]


def test_moving_items_against_each_other(ctx, manager):
    """Two processes move items between two lists, each the other way: none is lost, nobody waits for ever."""
    one, two = manager.linked_list(range(20)), manager.linked_list(range(20, 40))
    cursors = [one.cursor(i) for i in range(20)]
    assert run(ctx, (workers.move, one, two, 500), (workers.move, two, one, 500)) == [0, 0]
    assert sorted([*one, *two]) == list(range(40))
    assert [cursor.value for cursor in cursors] == list(range(20))


def test_writing_one_text(ctx, manager):
    """Each write is one step, so no line is torn."""
    string = manager.string()
    marks = "x", "\u20ac"
    assert run(ctx, *((workers.write_lines, string, mark, 300) for mark in marks)) == [0, 0]
    lines = string.split("\n")
    assert lines.pop() == ""
    assert sorted(lines) == sorted(mark * 10 for mark in marks for _ in range(300))
