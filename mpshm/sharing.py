"""Turning nested dicts and lists into shared ones."""

from __future__ import annotations

from typing import TypeVar, overload

from . import _types
from .containers import Dict, List
from .segments import Segment, default_segment

__all__ = ["share", "share_in"]

_K = TypeVar("_K")
_V = TypeVar("_V")
_T = TypeVar("_T")
_Made = TypeVar("_Made", bound=_types.Handle)


@overload
def share(obj: dict[_K, _V]) -> Dict[_K, _V]: ...
@overload
def share(obj: list[_T]) -> List[_T]: ...
@overload
def share(obj: _Made) -> _Made: ...
def share(obj: object) -> object:
    """Put a dict or list into shared memory with all dicts and lists inside it, so that changes anywhere are
    seen by all.

    Args: `obj`, a dict or a list, to any depth. What is in it twice is shared once; what holds itself goes on
    doing so, and is freed when the process's default segment ends. Inside, exactly `dict` and `list` are
    turned; their subclasses, and what tuples and other objects hold, are values and are copied.
    Returns: a Dict or a List in the process's default segment; `obj` itself if it is shared already.
    Raises: TypeError for anything else; what pickle raises for a value that it cannot take, and then nothing
    is left.
    """
    if isinstance(obj, _types.Handle):
        return obj
    return share_in(default_segment(), obj)


def share_in(segment: Segment, obj: object) -> Dict[object, object] | List[object]:
    """`share` into a given segment."""
    if not isinstance(obj, (dict, list)):
        raise TypeError(f"share() takes a dict or a list, not {type(obj).__name__}")
    made = {id(obj): _empty(segment, obj)}
    sources: list[dict[object, object] | list[object]] = [obj]
    for source in sources:  # grows as nested ones are found
        for value in source.values() if isinstance(source, dict) else source:
            if (type(value) is dict or type(value) is list) and id(value) not in made:
                made[id(value)] = _empty(segment, value)
                sources.append(value)
    try:
        for source in sources:
            _fill(made[id(source)], source, made)
    except BaseException:
        # Rings among them would keep each other alive for ever.
        for handle in made.values():
            handle.clear()
        raise
    return made[id(obj)]


def _empty(segment: Segment, source: object) -> Dict[object, object] | List[object]:
    return Dict._in(segment) if isinstance(source, dict) else List._in(segment)


def _fill(
    handle: Dict[object, object] | List[object],
    source: dict[object, object] | list[object],
    made: dict[int, Dict[object, object] | List[object]],
) -> None:
    """Put the items of `source` in, with shared ones in the place of nested ones."""
    if isinstance(handle, Dict):
        assert isinstance(source, dict)
        handle.update({key: made.get(id(value), value) for key, value in source.items()})
    else:
        handle.extend([made.get(id(value), value) for value in source])
