"""Objects of a manager that every process gets by name: what a registered function gives out and goes on keeping.

A dict in the segment, typeid to what proxies refer to. The manager's address says where that dict is, so that a process
that has nothing but the address finds them. Only the process that started the manager calls the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from sys import getrefcount
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _types
from .containers import Dict
from .segments import Segment

if TYPE_CHECKING:
    from .proxies import BaseProxy, Token

    Shared: TypeAlias = Token | BaseProxy | _types.Handle

__all__ = ["Singletons", "call", "gives_variable"]


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
            if not isinstance(found, Dict):
                raise ValueError(f"no manager's address ends with {place!r}")
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
        """From now on the other processes get this, unless there was one before."""
        if typeid not in self._known:
            self._known[typeid] = shared
            self._shared[typeid] = shared


# What a function does that only gives out a variable, or an attribute of one.
_GIVING = frozenset(
    {
        "CACHE",
        "COPY_FREE_VARS",
        "EXTENDED_ARG",
        "LOAD_ATTR",
        "LOAD_DEREF",
        "LOAD_GLOBAL",
        "NOP",
        "RESUME",
        "RETURN_VALUE",
    }
)


def gives_variable(function: Callable[..., Any]) -> bool:
    """Whether a function does nothing but give out a variable, as `lambda: queue` does: calling it to see what that is
    cannot do any harm."""
    if not isinstance(function, FunctionType) or function.__code__.co_argcount or function.__code__.co_kwonlyargcount:
        return False
    from dis import get_instructions

    steps = {step.opname for step in get_instructions(function)}
    return steps <= _GIVING and not steps.isdisjoint({"LOAD_DEREF", "LOAD_GLOBAL"})


def _call(function: Callable[..., Any], args: Iterable[Any], kwds: Mapping[str, Any]) -> tuple[Any, int]:
    made = function(*args, **kwds)
    return made, getrefcount(made)


_ALONE = _call(object, (), {})[1]  # references to an object that nobody else knows


def call(function: Callable[..., Any], args: Iterable[Any], kwds: Mapping[str, Any]) -> tuple[Any, bool]:
    """What a function gives out, and whether the program keeps it: then it may give out the same again."""
    made, references = _call(function, args, kwds)
    return made, isinstance(function, FunctionType) and references > _ALONE
