"""LinkedList: its cursors, and moving items between lists."""

import copy
import gc

import pytest

import mpshm

LONG = "a text that is much too long for sixteen bytes"


@pytest.fixture
def items(manager):
    return manager.linked_list([1, LONG, 3])


def test_walking(items):
    """From the beginning to the end and back, one item a step."""
    cursor, seen = items.begin(), []
    while not cursor.at_end:
        seen.append(cursor.value)
        cursor = cursor.next()
    assert seen == [1, LONG, 3]
    assert cursor == items.end()
    with pytest.raises(IndexError, match="end of the list"):
        cursor.next()
    with pytest.raises(IndexError, match="end of the list"):
        _ = cursor.value
    with pytest.raises(IndexError, match="end of the list"):
        cursor.value = 5
    with pytest.raises(IndexError, match="end of the list"):
        cursor.erase()
    with pytest.raises(IndexError, match="end of the list"):
        cursor.insert_after(5)
    assert cursor.prev().value == 3
    with pytest.raises(IndexError, match="end of the list"):
        items.begin().prev()


def test_an_empty_list(manager):
    """Its beginning is its end."""
    empty = manager.linked_list()
    assert empty.begin() == empty.end()
    assert empty.begin().at_end
    assert empty.find(1) == empty.end()
    with pytest.raises(IndexError, match="pop from empty list"):
        empty.pop()
    with pytest.raises(IndexError, match="pop from empty list"):
        empty.popleft()
    assert empty.end().insert_before(1).value == 1
    assert empty == [1]


def test_cursors_stay_at_their_items(items):
    """Whatever comes and goes around it, a cursor is at its item."""
    cursor = items.find(LONG)
    items.appendleft(0)
    items.append(4)
    items.remove(1)
    items.reverse()
    assert cursor.value == LONG
    assert cursor.prev().value == 3
    assert cursor.next().value == 0
    cursor.value = "other"
    assert items == [4, 3, "other", 0]


def test_inserting_and_erasing(items):
    """At a cursor; what is made or comes next is given back."""
    cursor = items.find(LONG)
    before, after = cursor.insert_before("before"), cursor.insert_after("after")
    assert items == [1, "before", LONG, "after", 3]
    assert (before.value, after.value) == ("before", "after")
    assert cursor.erase() == after
    assert after.erase().value == 3
    assert items.cursor(2).erase().at_end
    assert items == [1, "before"]


def test_stale_cursors(items):
    """An item that is gone: ReferenceError for whatever is asked of its cursors, by whatever way it went."""
    other = items.find(3)
    for gone, remove in (
        (items.find(LONG), lambda: items.remove(LONG)),
        (items.find(1), lambda: items.popleft()),
        (other, lambda: items.clear()),
    ):
        remove()
        for _ in range(3):
            with pytest.raises(ReferenceError, match="taken out"):
                _ = gone.value
            with pytest.raises(ReferenceError):
                gone.value = 1
            for act in (gone.next, gone.prev, gone.erase):
                with pytest.raises(ReferenceError):
                    act()
            with pytest.raises(ReferenceError):
                gone.insert_before(1)
            items.append("fills the hole")
            items.pop()


def test_a_cursor_keeps_the_list(manager):
    """The list lives as long as a cursor into it."""
    cursor = manager.linked_list([1, LONG]).cursor(1)
    gc.collect()
    assert cursor.value == LONG
    assert cursor.list == [1, LONG]
    assert {cursor: 1}[cursor.list.cursor(1)] == 1
    assert cursor != 5
    with pytest.raises(TypeError):
        mpshm.linked.Cursor()


def test_cursor_by_index(items):
    """As list.insert clips it."""
    assert items.cursor(-1).value == 3
    assert items.cursor(-99).value == 1
    assert items.cursor(3) == items.end()
    assert items.cursor(10**30) == items.end()


def test_moving_a_whole_list(manager, items):
    """All items go over, with their cursors; the other is empty and usable."""
    other = manager.linked_list(["a", "b"])
    cursor = other.find("b")
    items.splice(items.cursor(1), other)
    assert items == [1, "a", "b", LONG, 3]
    assert other == []
    assert cursor.value == "b"
    assert cursor.list == items
    assert cursor.next().value == LONG
    other.append("new")
    assert cursor.erase().value == LONG
    assert (items, other) == ([1, "a", LONG, 3], ["new"])


def test_moving_a_part(manager, items):
    """From first up to, but without, last; back again; within one list."""
    other = manager.linked_list("abcd")
    b, d = other.cursor(1), other.cursor(3)
    items.splice(items.end(), other, b, d)
    assert (items, other) == ([1, LONG, 3, "b", "c"], ["a", "d"])
    other.splice(d, items, b, items.end())
    assert (items, other) == ([1, LONG, 3], ["a", "b", "c", "d"])
    assert b.value == "b"
    other.splice(other.begin(), other, d)
    assert other == ["d", "a", "b", "c"]
    other.splice(other.end(), other, d, b)
    assert other == ["b", "c", "d", "a"]
    other.splice(other.begin(), other)
    assert other == ["b", "c", "d", "a"]


def test_moves_that_cannot_be(manager, items):
    """ValueError, and nothing moves."""
    other = manager.linked_list("abcd")
    for args in (
        (other.begin(), other),
        (items.begin(), other, items.begin()),
        (items.begin(), other, other.cursor(2), other.cursor(1)),
        (items.begin(), other, other.begin(), items.end()),
        (items.begin(), mpshm.LinkedList([1])),
    ):
        with pytest.raises(ValueError, match=r"cursor|segment"):
            items.splice(*args)
    with pytest.raises(ValueError, match="cursor"):
        other.splice(other.cursor(1), other, other.begin(), other.end())
    with pytest.raises(ValueError, match="takes a first"):
        items.splice(items.begin(), other, None, other.end())
    with pytest.raises(TypeError, match="Cursor"):
        items.splice(0, other)
    with pytest.raises(TypeError, match="LinkedList"):
        items.splice(items.begin(), [])
    stale = other.begin()
    other.popleft()
    with pytest.raises(ReferenceError):
        items.splice(stale, other)
    assert (items, other) == ([1, LONG, 3], ["b", "c", "d"])


def test_moving_back_and_forth(manager):
    """A cursor finds its item however often it moved."""
    one, two = manager.linked_list(range(5)), manager.linked_list()
    cursors = [one.cursor(i) for i in range(5)]
    for _ in range(10):
        two.splice(two.begin(), one, one.cursor(2), one.end())
        one.splice(one.end(), two)
    assert [cursor.value for cursor in cursors] == [0, 1, 2, 3, 4]
    two.splice(two.begin(), one)
    for cursor in cursors:
        cursor.erase()
    assert (len(one), len(two)) == (0, 0)


def test_iterating_walks_a_snapshot(items):
    """Changes meanwhile neither show nor disturb."""
    for item in items:
        items.append(item)
    assert items == [1, LONG, 3, 1, LONG, 3]


def test_containers_inside(manager):
    """A shared container as an item is kept by reference."""
    items = manager.linked_list([manager.list([1])])
    items[0].append(2)
    assert items.begin().value == [1, 2]
    items.clear()


def test_a_large_list_ends(manager):
    """Thousands of items are given back, by clear() and with the list."""
    used = manager.segment.stats().used
    items = manager.linked_list([LONG] * 5000)
    cursor = items.cursor(2500)
    items.clear()
    with pytest.raises(ReferenceError):
        _ = cursor.value
    items.extend(range(5000))
    del items, cursor
    gc.collect()
    assert manager.segment.stats().used < used + 4096


def test_shown(items):
    """repr names the object, str shows the contents, copies are plain lists."""
    assert "typeid 'linked_list'" in repr(items)
    assert str(items) == str([1, LONG, 3])
    assert type(copy.deepcopy(items)) is list
    with pytest.raises(TypeError):
        hash(items)
