"""Which dtypes of NumPy can be shared, and how a segment keeps them: written down as a literal, never as a pickle."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import is_sound, made_of, parts_of

__all__ = ["read", "shareable", "written"]

_WAY_OUT = {
    "O": (
        "are pointers to Python objects of one process, which mean nothing in another",
        "Choose a dtype of a fixed size, such as 'f8' or 'U20', or keep the objects in an mpshm.List",
    ),
    "T": (
        "are texts of any length, which lie outside of the array, in one process's own memory",
        "Convert them to a fixed length, as astype('U20') does, or keep them in an mpshm.List",
    ),
}


def _culprit(dtype: np.dtype[Any], path: str = "") -> tuple[str, np.dtype[Any]] | None:
    """The first field whose items point somewhere: its path ("" for the dtype itself), and its dtype."""
    if dtype.subdtype is not None:
        return _culprit(dtype.subdtype[0], path)
    if dtype.names is None:
        return (path, dtype) if dtype.hasobject or dtype.kind in _WAY_OUT else None
    assert dtype.fields is not None
    found = (_culprit(dtype.fields[name][0], f"{path}.{name}" if path else name) for name in dtype.names)
    return next(filter(None, found), None)


def shareable(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype itself. Raises: TypeError for one that cannot be shared, with the reason and the way out."""
    culprit = _culprit(dtype)
    if culprit is not None:
        path, inner = culprit
        reason, way_out = _WAY_OUT.get(inner.kind, _WAY_OUT["O"])
        what = f"the items of the field {path!r} ({inner})" if path else "its items"
        raise TypeError(f"an array of dtype {dtype} cannot be shared: {what} {reason}. {way_out}")
    try:
        known = read(written(dtype)) == dtype
    except (TypeError, ValueError):
        known = False
    if not known:
        raise TypeError(
            f"an array of dtype {dtype} cannot be shared: it is none of NumPy's own types, and has no description that "
            f"another process understands. Share its bytes, as in view('V{dtype.itemsize}')"
        )
    return dtype


def written(dtype: np.dtype[Any]) -> object:
    """A literal that says what a dtype is, but for its metadata. Raises: TypeError where there is none."""
    parts = parts_of(dtype, metadata=False)
    if parts is None:
        raise TypeError(f"{dtype!r} has no description")
    return parts


def read(parts: object) -> np.dtype[Any]:
    """The dtype that `written` said. Raises: TypeError, ValueError, KeyError for what makes no sense."""
    dtype = made_of(parts, metadata=False)
    if not is_sound(dtype):
        raise ValueError(f"parts of {dtype!r} lie outside of it")
    return dtype
