"""What `_types` needs of NumPy to store arrays by value. Imported when the first array is stored or read."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
from numpy import copyto, empty, ndarray

from .errors import SegmentCorruptedError

__all__ = ["copyto", "dtype_of_text", "empty", "ndarray", "text_of_dtype"]


def text_of_dtype(dtype: np.dtype[Any]) -> bytes | None:
    """What a dtype can be made of again, in any process; None for one of Python objects, whose bytes mean nothing there."""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV":
        return None
    if dtype.fields is None and dtype.metadata is None and said_by_text(dtype):
        return dtype.str.encode("ascii")
    return pickle.dumps(dtype, 5)


def said_by_text(dtype: np.dtype[Any]) -> bool:
    """Whether its text says all of a dtype; what other packages add to NumPy has no text of its own."""
    try:
        again = np.dtype(dtype.str)
    except (TypeError, ValueError):
        return False
    return again == dtype and again.type is dtype.type


def dtype_of_text(text: bytes) -> np.dtype[Any]:
    """The dtype that `text_of_dtype` gave this for. Raises: SegmentCorruptedError."""
    try:
        dtype = pickle.loads(text) if text[:1] == b"\x80" else np.dtype(text.decode("ascii"))
    except Exception as error:  # what damaged bytes lead to can be anything
        raise SegmentCorruptedError.because(f"the type of a stored array makes no sense: {error}") from error
    if not isinstance(dtype, np.dtype) or dtype.hasobject or not is_sound(dtype):
        raise SegmentCorruptedError.because("the type of a stored array makes no sense")
    return dtype


def is_sound(dtype: np.dtype[Any]) -> bool:
    """Whether its parts lie inside of it. NumPy does not ask when it loads a pickle, and would read what lies beside an array."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return min(shape, default=0) >= 0 and math.prod(shape) * base.itemsize == dtype.itemsize and is_sound(base)
    for field in (dtype.fields or {}).values():
        part, offset = field[:2]
        if offset < 0 or offset + part.itemsize > dtype.itemsize or part.hasobject or not is_sound(part):
            return False
    return dtype.itemsize >= 0
