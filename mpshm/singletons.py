"""Objects of a manager that every process gets by name: what a registered function gives out and goes on keeping.

A dict in the segment, typeid to what proxies refer to. The manager's address says where that dict is, so that a process
that has nothing but the address finds them. Only the process that started the manager calls the functions.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, isfunction, isgeneratorfunction, signature
from sys import getrefcount
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _types
from .containers import Dict
from .segments import Segment

if TYPE_CHECKING:
    from .proxies import BaseProxy, Token

    Shared: TypeAlias = Token | BaseProxy | _types.Handle

__all__ = ["Singletons", "gives_one", "kept_by"]


class Singletons:
    """Where they are found.

    Args: `segment`, the manager's; `place`, of a dict made by another process, as `place` says there.
    Raises: ValueError for what is no place; ReferenceError if the manager's process let go of the dict.
    """

    def __init__(self, segment: Segment, place: str | None = None) -> None:
        self._known: dict[str, Shared] = {}  # so that this process keeps one handle of each
        if place is None:
            self._shared: Dict[str, Shared] = Dict._in(segment)
        else:
            try:
                offset, serial = (int(part, 16) for part in place.split("-"))
            except ValueError:
                raise ValueError(f"no manager's address ends with {place!r}") from None
            found = _types.attach(segment, offset, serial, 0)
            assert isinstance(found, Dict)
            self._shared = found

    @property
    def place(self) -> str:
        """The end of the manager's address."""
        return f"-{self._shared._offset:x}-{self._shared._serial:x}"

    def find(self, typeid: str) -> Shared | None:
        """What all processes get, if there is one."""
        found = self._known.get(typeid)
        if found is None:
            found = self._shared.get(typeid)
            if found is not None:
                self._known[typeid] = found
        return found

    def publish(self, typeid: str, shared: Shared) -> None:
        """From now on all processes get this."""
        self._known[typeid] = shared
        self._shared[typeid] = shared


def gives_one(function: Callable[..., Any]) -> bool:
    """Whether it may be a function that gives out one object again and again: it needs no arguments."""
    if not isfunction(function) or isgeneratorfunction(function):
        return False
    kinds = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
    wanted = signature(function).parameters.values()
    return all(one.default is not Parameter.empty or one.kind in kinds for one in wanted)


def _call(function: Callable[[], Any]) -> tuple[Any, int]:
    made = function()
    return made, getrefcount(made)


_ALONE = _call(object)[1]  # references to an object that nobody else knows


def kept_by(function: Callable[[], Any]) -> Any:
    """What the function gives out, if somebody keeps that; None if it is new each time, or cannot be had now."""
    try:
        made, references = _call(function)
    except Exception:
        return None
    return made if references > _ALONE else None
