"""SharedMemory and ShareableList: `multiprocessing.shared_memory`, without its resource tracker.

Memory made without a name of its own ends with the last process that has it, by any death, so nothing can be left
behind. Memory with a name stays in /dev/shm until it is unlinked; with `track=True` its maker's end unlinks it.
"""

from __future__ import annotations

import os
import time
import types
from functools import partial
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex
from weakref import ref

from . import file_locks, memory
from .errors import MpshmError, SegmentClosedError, SegmentExistsError, SegmentNotFoundError, SegmentPermissionError
from .regions import Region
from .shareable_list import Item, Items

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Self

    from .guards import Address

__all__ = ["ShareableList", "SharedMemory"]

_USE_POSIX = True
_SHM_NAME_PREFIX = "/psm_"
_EMPTY_NS = 200_000_000  # so long a file without a byte is given to become one


def _make_filename() -> str:
    """A name that nobody has, with the slash of POSIX."""
    return "/" + memory.new_name()


class _View(Region):
    """The mapping of a SharedMemory. It may outlive that, as long as there are views of it."""

    __slots__ = ("_nameless",)

    def __init__(self, what: str, mode: str, fd: int, size: int, nameless: bool) -> None:
        self._what = what
        self._mode = mode
        self._nameless = False
        if size == 0:
            raise ValueError(
                f"cannot map {what}: it has no bytes any more. Another program has made it empty (ftruncate)"
            )
        self._open(fd, 0, size, mode)
        self._nameless = nameless

    def length(self) -> int | None:
        """Bytes of the file now; None if another thread has just closed this."""
        try:
            return self._file_size()
        except ValueError:
            return None
        except OSError:  # a program that becomes a daemon has closed all descriptors: the mapping is still good
            return self.size

    def end(self) -> None:
        """Unmap it. Raises: BufferError while a view is in use."""
        fd = -1
        if self._nameless and self._fd >= 0:
            try:
                fd = os.dup(self._fd)
            except OSError:
                pass  # no descriptors are left: the memory is given back a little later
        try:
            self._unmap()
        except BufferError:
            if fd >= 0:
                os.close(fd)
            raise
        if fd >= 0:
            memory.last_use(fd)

    def __del__(self) -> None:
        try:
            self.end()
        except (BufferError, OSError, AttributeError, TypeError):
            pass


class SharedMemory:
    """Memory that every process can attach to by its name.

    Args: `name`, letters, digits and `_-.`, or None to have one made up; `create`, make it rather than attach to it;
    `size` in bytes, at least 1, when it is made (ignored otherwise). `track`: what this object makes goes when this
    process ends, by any death; without, it stays until it is unlinked. What an object merely attaches to, it never
    removes. `mode`: `'r+'`, or `'r'` to attach for reading only, which makes `buf` read-only. `permissions` of what
    is made: bits of 0o666.

    Raises: ValueError, TypeError for bad arguments; SegmentExistsError if the name is taken; SegmentNotFoundError if
    nothing has it; SegmentFullError if there is no memory for it (it is reserved at once: no later use can fail);
    SegmentPermissionError.

    Made with `name=None` and `track=True`, it has no file: it is found as long as its maker lives and has not
    unlinked it, or some process is attached. Only processes of the same user, or root's, find it.
    Source: `multiprocessing.shared_memory.SharedMemory`, Boost.Interprocess `shared_memory_object`.
    """

    # What stdlib's subclasses may change.
    _flags = os.O_RDWR
    _name = ""

    _now: tuple[_View, memoryview] | None = None  # mapping and buf, replaced in one step: threads may share the object
    _older: tuple[ref[_View], ...] = ()  # from before the size changed: alive as long as views of them are
    _size = 0
    _mode = "r+"
    _track = True
    _nameless = False
    _file: memory.File | None = None
    _keeper: Address | None = None

    def __init__(
        self,
        name: str | None = None,
        create: bool = False,
        size: int = 0,
        *,
        track: bool = True,
        mode: str = "r+",
        permissions: int = 0o600,
    ) -> None:
        what = "shared memory" if name is None else f"shared memory {name!r}"
        nbytes = memory.check_size(size, what)
        if mode not in ("r", "r+"):
            raise ValueError(f"mode {mode!r} for {what}: use 'r+', or 'r' to read only")
        rights = memory.check_permissions(permissions, what)
        self._mode = mode
        self._track = bool(track)
        exclusive = create or bool(self._flags & os.O_EXCL)
        if exclusive:
            if nbytes == 0:
                raise ValueError(f"'size' must be a positive number different from zero, to create {what}")
            if mode == "r":
                raise ValueError(f"cannot create {what} with mode 'r': nobody could fill it. Use 'r+'")
            self._create(name, nbytes, rights)
            return
        if name is None:
            raise ValueError("'name' can only be None if create=True")
        self._name = "/" + memory.check_name(name, what)
        try:
            self._attach(*memory.open_file(self.name, mode == "r+", self._what))
        except SegmentNotFoundError:
            if not self._flags & os.O_CREAT or nbytes == 0:
                raise
            self._create(name, nbytes, rights)

    @classmethod
    def _kept(cls, size: int, keeper: Address) -> Self:
        """New memory without a name of its own that goes with another process: a manager's."""
        made = cls.__new__(cls)
        made._keeper = keeper
        made.__init__(None, True, size, track=False)  # type: ignore[misc]
        return made

    def _create(self, name: str | None, size: int, permissions: int) -> None:
        if name is not None:
            self._name = "/" + memory.check_name(name, f"shared memory {name!r}")
            self._made(memory.create_named(self.name, size, permissions, self._track, self._what), False)
            return
        while True:
            self._name = _make_filename()
            try:
                if self._track:
                    fd = memory.create_nameless(self.name, size, permissions, self._what)
                else:
                    fd = memory.create_named(self.name, size, permissions, False, self._what, self._keeper)
                break
            except SegmentExistsError:
                continue
        self._made(fd, self._track)

    def _made(self, fd: int, nameless: bool) -> None:
        """Map what was made just now; if that fails, nothing is left of it."""
        self._file = memory.file_of(fd)
        try:
            self._attach(fd, nameless)
        except BaseException:
            memory.discard(self.name, self._file)
            raise

    def _attach(self, fd: int, nameless: bool) -> None:
        """Map the file. Takes over the descriptor."""
        try:
            file_locks.hold(fd)
            if nameless and memory.is_marked(fd):
                raise SegmentNotFoundError.because(f"cannot open {self._what}: it was unlinked just now", errno=2)
            size = self._wait_for_size(fd)
            self._fill(fd, size)
            self._nameless = nameless
            self._file = memory.file_of(fd)
            self._map(fd)
        except OSError as error:
            self._failed(error, "open")
        finally:
            os.close(fd)

    def _wait_for_size(self, fd: int) -> int:
        """Its size; one that another program makes just now has none for a moment."""
        size, until = os.fstat(fd).st_size, 0
        while size == 0:
            now = time.monotonic_ns()
            until = until or now + _EMPTY_NS
            if now > until:
                raise ValueError(
                    f"cannot attach to {self._what}: it is empty. Its maker has to give it a size first (ftruncate); "
                    "if there is none any more, remove it"
                )
            time.sleep(0.001)
            size = os.fstat(fd).st_size
        return size

    def _fill(self, fd: int, size: int) -> None:
        """See that there is memory behind what other programs have made: without, a use of it could kill, reading too.
        (A reader that may not write it has to trust its maker.)"""
        if os.fstat(fd).st_blocks * 512 >= size:
            return
        try:
            fresh = file_locks.again(fd, os.O_RDWR)
        except PermissionError:
            return
        try:
            memory.reserve(fresh, 0, size, "attach to", self._what)
        finally:
            os.close(fresh)

    def _map(self, fd: int) -> None:
        with file_locks.settled(fd):
            size = os.fstat(fd).st_size
            view = _View(self._what, self._mode, fd, size, self._nameless)
        self._now, self._size = (view, memoryview(view)), size

    def _failed(self, error: OSError, tried: str) -> None:
        """Raise what says it better."""
        if isinstance(error, MpshmError):
            raise error
        raise memory.refused(error, tried, self._what) from None

    @property
    def _what(self) -> str:
        return f"shared memory {self.name!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, size={self.size})"

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), track=self._track, mode=self._mode), (self.name, False, self.size)

    @property
    def name(self) -> str:
        """What other processes attach by."""
        return self._name.removeprefix("/")

    @property
    def mode(self) -> str:
        """`'r+'`, or `'r'` for reading only."""
        return self._mode

    @property
    def size(self) -> int:
        """Bytes, exactly as many as were asked for. What any process's `resize` changes, is seen here at once."""
        now = self._now
        length = None if now is None else now[0].length()
        if length is not None:
            self._size = length
        return self._size

    @property
    def buf(self) -> memoryview | None:
        """The memory; None after `close()`. It is as long as `size` at this moment: one taken before a `resize` goes
        on showing what it showed."""
        now = self._now
        length = None if now is None else now[0].length()
        if now is None or length is None:
            return None
        if length != now[0].size:
            return self._map_anew(now[0])
        return now[1]

    def _map_anew(self, view: _View) -> memoryview | None:
        """Map it at its new size. What still has the old mapping's buffer, in any thread, keeps the old mapping."""
        try:
            pin = memoryview(view)  # so that no other thread closes it meanwhile
        except ValueError:
            return None
        with pin:
            self._older = (*(older for older in self._older if older() is not None), ref(view))
            self._map(view._fd)
        return None if self._now is None else self._now[1]

    def fileno(self) -> int:
        """A descriptor of the memory, which this object owns, and whose position it moves.

        Raises: SegmentClosedError after `close()`.
        """
        return self._opened("get the descriptor of")._fd

    def _opened(self, tried: str) -> _View:
        if self._now is None:
            raise SegmentClosedError.because(
                f"cannot {tried} {self._what}: it was closed", advice="Use it before close(), or attach to it again"
            )
        return self._now[0]

    def resize(self, size: int) -> None:
        """Make it longer, for all processes, or shorter, if nobody else has it mapped. New bytes are zero.

        Others see the new `size` at once, and `buf` at its next use; what they have taken of `buf` before stays good.

        Args: `size` in bytes, at least 1.
        Raises: ValueError for a bad size; SegmentFullError if there is no memory for it; BufferError if it would be
        shorter and anybody has it mapped, here too (a reader would be killed); SegmentPermissionError in mode 'r';
        SegmentClosedError. Nothing has changed then.
        """
        nbytes = memory.check_size(size, self._what)
        if nbytes == 0:
            raise ValueError(f"'size' must be a positive number different from zero, to resize {self._what}")
        view = self._opened("resize")
        if self._mode == "r":
            raise SegmentPermissionError.because(
                f"cannot resize {self._what}: it was opened with mode 'r'", advice="Open it with mode 'r+'"
            )
        try:
            with memoryview(view) as pin, file_locks.settled(view._fd, change=True) as fd:
                before = os.fstat(fd).st_size
                if nbytes > before:
                    memory.reserve(fd, before, nbytes - before, "resize", f"{self._what} to {nbytes} bytes")
                elif nbytes < before:
                    pin.release()
                    self._shorten(fd, before, nbytes)
                    return
        except OSError as error:
            self._failed(error, "resize")
        if nbytes != before:
            self._map_anew(view)

    def _shorten(self, fd: int, before: int, size: int) -> None:
        """Make it shorter; nobody can map it meanwhile."""
        self._opened("resize")
        # Once it is unmapped here, its description is in use by none but forked relatives.
        keep = file_locks.again(fd, os.O_RDWR)
        try:
            if any(older() is not None for older in self._older) or not self._unmap(False):
                raise BufferError(self._too_short(before, size, "a view of it in this process"))
            others, hidden = memory.mappers(fd)
            by = f"the processes {others}" if others else "another process" if file_locks.users(keep) else ""
            if hidden and not by and not self._nameless:
                by = "a process of another user, whom its permissions let in,"
            if not by:
                os.ftruncate(fd, size)
            file_locks.hold(keep)
            mapped = _View(self._what, self._mode, keep, before if by else size, self._nameless)
            self._now, self._size = (mapped, memoryview(mapped)), mapped.size
            if by:
                raise BufferError(self._too_short(before, size, by))
        finally:
            os.close(keep)

    def _unmap(self, for_good: bool) -> bool:
        """Unmap it here; False if a view is in use, and then nothing has changed."""
        if self._now is None:
            return True
        view, buf = self._now
        try:
            buf.release()
            view.end() if for_good else view._unmap()
        except BufferError:
            self._now = view, _shown(view, buf)
            return False
        self._now = None
        return True

    def _too_short(self, before: int, size: int, by: str) -> str:
        return (
            f"cannot make {self._what} shorter than its {before} bytes: {by} may use what would go. "
            "Close it there first, or leave it as long as it is"
        )

    def close(self) -> None:
        """Let go of the memory in this object; it goes on for others. Twice is as good as once.

        Raises: BufferError while a view of `buf` (a slice, an array) is in use; nothing is lost then, and it can be
        closed later.
        """
        now = self._now
        self._older = tuple(older for older in self._older if older() is not None)
        if now is not None and not self._older:
            self._size = now[0].length() or self._size
            self._unmap(True)
        if self._now is not None or self._older:
            raise BufferError(
                f"cannot close {self._what}: cannot close exported pointers exist, a slice or an array of its buf is "
                "still in use. Release or delete it first"
            )

    def unlink(self) -> None:
        """Take the name away, once: nobody can attach any more, and the memory ends with the last use of it.

        Raises: SegmentNotFoundError if it was unlinked before; SegmentPermissionError.
        """
        name = memory.check_name(self._name, self._what)
        if not self._nameless:
            memory.unlink_named(name, self._file, self._what)
            return
        if self._now is not None:
            memory.unlink_nameless(name, self._now[0]._fd, self._what)
            return
        fd, _ = memory.open_file(name, False, self._what)
        try:
            memory.unlink_nameless(name, fd, self._what)
        finally:
            memory.last_use(fd)

    @staticmethod
    def remove(name: str) -> bool:
        """Take a name away, whoever made it; the memory ends with the last use of it.

        Returns: whether there was one. Raises: ValueError, TypeError for what is no name; SegmentPermissionError.
        """
        what = f"shared memory {name!r}"
        bare = memory.check_name(name, what)
        try:
            fd, nameless = memory.open_file(bare, False, what)
        except SegmentNotFoundError:
            return False
        except SegmentPermissionError:
            fd, nameless = -1, False
        try:
            if nameless:
                memory.unlink_nameless(bare, fd, what)
            else:
                memory.unlink_named(bare, None, what)
        except SegmentNotFoundError:
            return False
        finally:
            if nameless:
                memory.last_use(fd)
            elif fd >= 0:
                os.close(fd)
        return True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc_info: object) -> None:
        try:
            self.close()
        except BufferError:
            if exc_type is None:  # what went wrong in the block says more, and its traceback may be what has the views
                raise

    def __del__(self) -> None:
        """Nothing: the mapping goes with the last of this object, its buf, and the views of that."""


def _shown(view: _View, buf: memoryview) -> memoryview:
    """What to hand out of a mapping that can't be closed: the same memoryview if it is still good."""
    try:
        buf.nbytes  # noqa: B018 -- a released one raises
    except ValueError:
        return memoryview(view)
    return buf


class ShareableList:
    """A list of fixed length in shared memory, whose items are None, bool, int, float, str and bytes.

    Args: `sequence`, what it begins with; None attaches to the list that has the name, or makes an empty one if there
    is no name either. `name`, as SharedMemory's.

    Every item may be replaced by one of another type or length: the memory grows. What is stored comes back
    exactly: any int, any text, zeros at the end. Getting and setting an item are single steps for all processes; a
    process that is killed meanwhile leaves the old item or the new one.
    Raises: TypeError for an item of another type; what SharedMemory raises; ValueError if the memory holds no list.
    Source: `multiprocessing.shared_memory.ShareableList`.
    """

    def __init__(self, sequence: Iterable[Item] | None = None, *, name: str | None = None) -> None:
        if name is None or sequence is not None:
            self._fill(list(sequence or ()), lambda size: SharedMemory(name, create=True, size=size))
        else:
            self._shm = SharedMemory(name)
            self._items = Items(self._shm)
            try:
                self._items.look()
            except BaseException:
                self._shm.close()
                raise

    @classmethod
    def _kept(cls, sequence: Iterable[Item] | None, keeper: Address) -> Self:
        """A new list that goes with another process: a manager's."""
        made = cls.__new__(cls)
        made._fill(list(sequence or ()), lambda size: SharedMemory._kept(size, keeper))
        return made

    def _fill(self, values: list[Item], make: Callable[[int], SharedMemory]) -> None:
        self._shm = make(Items.size_for(values))
        self._items = Items(self._shm)
        try:
            self._items.fill(values)
        except BaseException:
            self._shm.unlink()
            self._shm.close()
            raise

    @property
    def shm(self) -> SharedMemory:
        """The memory that it is in, for `close()` and `unlink()`."""
        return self._shm

    def _place(self, position: SupportsIndex, message: str) -> int:
        place, count = index(position), self._items.length
        place += count if place < 0 else 0
        if not 0 <= place < count:
            raise IndexError(message)
        return place

    def _get_packing_format(self, position: SupportsIndex) -> str:
        """The format of one item, as `struct` has it."""
        return self._items.format_of(self._place(position, "Requested position out of range."))

    def __getitem__(self, position: SupportsIndex) -> Any:
        return self._items.get(self._place(position, "index out of range"))

    def __setitem__(self, position: SupportsIndex, value: Item) -> None:
        self._items.set(self._place(position, "assignment index out of range"), value)

    def __iter__(self) -> Iterator[Any]:
        for place in range(len(self)):
            yield self[place]

    def __len__(self) -> int:
        return self._items.count

    def __reduce__(self) -> tuple[object, ...]:
        return partial(type(self), name=self.shm.name), ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)}, name={self.shm.name!r})"

    @property
    def format(self) -> str:
        """What items are stored, as `struct` has it."""
        return "".join(map(self._items.format_of, range(len(self))))

    def count(self, value: object) -> int:
        """How many items are equal to `value`."""
        return sum(value == item for item in self)

    def index(self, value: object) -> int:
        """The place of the first item that is equal to `value`. Raises: ValueError if there is none."""
        for position, item in enumerate(self):
            if value == item:
                return position
        raise ValueError(f"{value!r} not in this container")

    @classmethod
    def __class_getitem__(cls, item: object) -> types.GenericAlias:
        return types.GenericAlias(cls, item)
