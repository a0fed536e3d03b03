"""A manager's Pool, which other processes may be given.

A pool's workers belong to the process that started them. In another process it is a pool with as many workers and the
same initializer, which is started there when it is first used.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.pool import Pool

    from typing_extensions import Self

__all__ = ["PoolProxy"]


class PoolProxy:
    """A `multiprocessing.pool.Pool` that can be pickled.

    Args: as Pool's, and first the start method; `share_arrays` as our contexts' Pool's.
    Source: `multiprocessing.managers.PoolProxy`.
    """

    def __init__(
        self,
        method: str,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        share_arrays: bool = False,
    ) -> None:
        self._recipe = method, processes, initializer, initargs, maxtasksperchild, share_arrays
        self._start()

    def _start(self) -> Pool:
        method, processes, initializer, initargs, maxtasksperchild, share = self._recipe
        if share:
            from .transfer import share_arrays  # only here: it brings NumPy in

            share_arrays()
        context = multiprocessing.get_context(method)
        self._pool = context.Pool(processes, initializer, initargs, maxtasksperchild)
        self._pid = os.getpid()
        return self._pool

    def _here(self) -> Pool:
        """This process's pool."""
        return self._pool if self._pid == os.getpid() else self._start()

    def _end(self) -> None:
        """End it, if this process has started one."""
        if self._pid == os.getpid():
            self._pool.terminate()

    def __getattr__(self, name: str) -> Any:
        if name[:1] == "_":
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self._here(), name)

    def terminate(self) -> None:
        """Stop the workers at once; those of other processes go on."""
        self._end()

    def close(self) -> None:
        """Take no more work. Workers end when theirs is done."""
        if self._pid == os.getpid():
            self._pool.close()

    def join(self) -> None:
        """Wait for the workers to end, after close() or terminate(). Raises: ValueError before."""
        if self._pid == os.getpid():
            self._pool.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.terminate()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_pool, self._recipe


def _rebuild_pool(*recipe: Any) -> PoolProxy:
    made = PoolProxy.__new__(PoolProxy)
    made._recipe = recipe
    made._pid = 0
    return made
