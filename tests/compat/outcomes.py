"""What a call did, in a form that the builtin and the shared container can be compared by."""

import collections.abc

SNAPSHOTS = (collections.abc.KeysView, collections.abc.ValuesView, collections.abc.ItemsView)


def plain(value):
    """The value, with views and iterators as lists and shared containers as builtins."""
    if isinstance(value, (*SNAPSHOTS, collections.abc.Iterator)):
        return [plain(item) for item in value]
    if hasattr(value, "_getvalue"):
        return plain(value._getvalue())
    return value


def outcome(action, target):
    """('returned', type, value) or ('raised', the exception)."""
    try:
        value = plain(action(target))
    except Exception as error:
        return "raised", error
    return "returned", value


def assert_same(action, builtin, ours, *, text=False):
    """`action` does to `ours` what it does to `builtin`: same result or exception, same content after it."""
    want = outcome(action, builtin)
    got = outcome(action, ours)
    assert got[0] == want[0], f"builtin {want}, ours {got}"
    if want[0] == "raised":
        assert isinstance(got[1], type(want[1])), f"builtin {want[1]!r}, ours {got[1]!r}"
        if text:
            assert str(got[1]) == str(want[1])
    else:
        assert type(got[1]) is type(want[1]), f"builtin {want[1]!r}, ours {got[1]!r}"
        assert repr(got[1]) == repr(want[1])
    assert repr(plain(ours)) == repr(plain(builtin))
