"""Locks in shared memory that survive their holder's death."""

from __future__ import annotations

from . import _types
from .containers import Shared

__all__ = ["Lock", "RLock"]


class Lock(Shared, _types.Lock):
    """A lock between processes and threads; any of them may release it.

    One whose holder died goes to the next that asks, and `owner_died` tells that one.
    Source: `threading.Lock`, as SyncManager gives it out.
    """

    __slots__ = ("__weakref__",)

    _typeid = "Lock"

    def _text(self) -> str:
        return f"<{'locked' if self.locked() else 'unlocked'} mpshm.{type(self).__name__}>"


class RLock(Shared, _types.RLock):
    """A lock that its holder, one thread of one process, may take again.

    One whose holder died goes to the next that asks, and `owner_died` tells that one.
    Source: `threading.RLock`, as SyncManager gives it out.
    """

    __slots__ = ("__weakref__",)

    _typeid = "RLock"

    def _text(self) -> str:
        return f"<{'locked' if self.locked() else 'unlocked'} mpshm.{type(self).__name__}>"


_types.register(_types.Lock, Lock)
_types.register(_types.RLock, RLock)
