"""What `_types` needs of NumPy to store arrays by value. Imported when the first array is stored or read.

A type is written down beside an array's bytes: as NumPy's short text ("<f8") where that says all of it, as JSON where
it has fields or metadata, else as a pickle (types that other packages add to NumPy). JSON rather than a pickle because
NumPy believes what a pickle says of a type, and damaged bytes would have it read beside an array; what it makes out of
a description it checks.
"""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
from numpy import copyto, empty, ndarray

from .errors import SegmentCorruptedError

__all__ = ["copyto", "dtype_of_text", "empty", "ndarray", "text_of_dtype"]


def text_of_dtype(dtype: np.dtype[Any]) -> bytes | None:
    """What a dtype can be made of again, in any process; None for one of Python objects: their bytes mean nothing."""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV":
        return None
    parts = parts_of(dtype)
    if isinstance(parts, str):
        return parts.encode("ascii")
    if parts is not None and is_same(made_of(parts), dtype):
        return json.dumps(parts, separators=(",", ":")).encode("ascii")
    return pickle.dumps(dtype, 5)


def dtype_of_text(text: bytes) -> np.dtype[Any]:
    """The dtype that `text_of_dtype` gave this for. Raises: SegmentCorruptedError."""
    try:
        if text[:1] == b"{":
            dtype = made_of(json.loads(text))
        else:
            dtype = pickle.loads(text) if text[:1] == b"\x80" else made_of(text.decode("ascii"))
        sound = isinstance(dtype, np.dtype) and not dtype.hasobject and is_sound(dtype)
    except Exception as error:  # what damaged bytes lead to can be anything
        raise SegmentCorruptedError.because(f"the type of a stored array makes no sense: {error}") from error
    if not sound:
        raise SegmentCorruptedError.because("the type of a stored array makes no sense")
    return dtype


# ---- descriptions ----


def parts_of(dtype: np.dtype[Any], metadata: bool = True) -> object:
    """A description that JSON can hold: a text, or a dict. None where there is none. metadata: with that, a pickle."""
    found: dict[str, object]
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        found = {"of": parts_of(base, metadata), "shape": shape}
        if found["of"] is None:
            return None
    elif dtype.names is not None and dtype.fields is not None and dtype.type in (np.void, np.record):
        fields: list[Any] = [dtype.fields[name] for name in dtype.names]
        formats = [parts_of(field[0], metadata) for field in fields]
        titles = [field[2] if len(field) > 2 else None for field in fields]
        if None in formats or not all(title is None or type(title) is str for title in titles):
            return None
        offsets = [field[1] for field in fields]
        found = {"names": dtype.names, "formats": formats, "offsets": offsets, "itemsize": dtype.itemsize}
        if any(title is not None for title in titles):
            found["titles"] = titles
        if dtype.isalignedstruct:
            found["aligned"] = True
        if dtype.type is np.record:
            found["record"] = True
    elif not said_by_text(dtype):
        return None
    elif dtype.metadata is None or not metadata:
        return dtype.str
    else:
        found = {"of": dtype.str}
    if dtype.metadata is not None and metadata:
        found["metadata"] = pickle.dumps(dict(dtype.metadata), 5).decode("latin-1")
    return found


def said_by_text(dtype: np.dtype[Any]) -> bool:
    """Whether its text says all of it but for metadata. What other packages add to NumPy has no text of its own."""
    try:
        again = np.dtype(dtype.str)
    except (TypeError, ValueError):
        return False
    return again == dtype and again.type is dtype.type


def made_of(parts: Any, metadata: bool = True) -> np.dtype[Any]:
    """The dtype of a description; errors of any type where it makes no sense, or has what it should not have."""
    dtype: np.dtype[Any]
    make: Any = np.dtype
    if isinstance(parts, str):
        dtype = make(parts)
        if dtype.str != parts:
            raise ValueError(f"{parts!r} is not how a dtype is written")
        return dtype
    if "metadata" in parts and not metadata:
        raise ValueError("metadata of a dtype")
    if "names" not in parts:
        dtype = made_of(parts["of"], metadata)
        if "shape" in parts:
            dtype = make((dtype, tuple(parts["shape"])))
    elif parts["names"]:
        given = {key: parts[key] for key in ("names", "offsets", "itemsize", "titles") if key in parts}
        given["formats"] = [made_of(part, metadata) for part in parts["formats"]]
        dtype = make(given, align=bool(parts.get("aligned")))
    else:
        dtype = make({"names": [], "formats": [], "itemsize": parts["itemsize"]}, align=bool(parts.get("aligned")))
    if parts.get("record"):
        dtype = make((np.record, dtype))
    if "metadata" in parts:
        dtype = make(dtype, metadata=pickle.loads(parts["metadata"].encode("latin-1")))
    return dtype


def is_same(a: np.dtype[Any], b: np.dtype[Any]) -> bool:
    """Whether nothing was lost."""
    return a == b and a.type is b.type and a.isalignedstruct == b.isalignedstruct and a.metadata == b.metadata


def is_sound(dtype: np.dtype[Any]) -> bool:
    """Whether its parts lie inside of it."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return min(shape, default=0) >= 0 and math.prod(shape) * base.itemsize == dtype.itemsize and is_sound(base)
    for field in (dtype.fields or {}).values():
        part, offset = field[:2]
        if offset < 0 or offset + part.itemsize > dtype.itemsize or part.hasobject or not is_sound(part):
            return False
    return dtype.itemsize >= 0
