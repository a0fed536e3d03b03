"""What `_types` needs of NumPy to store arrays by value. Imported when the first array is stored or read."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
from numpy import copyto, empty, ndarray

from .errors import SegmentCorruptedError

__all__ = ["copyto", "dtype_of_text", "empty", "ndarray", "text_of_dtype"]


def text_of_dtype(dtype: np.dtype[Any]) -> bytes | None:
    """What a dtype can be made of again, in any process; None for one of Python objects, whose bytes say nothing."""
    if dtype.hasobject or dtype.kind not in "biufcmMSUV":
        return None
    text = dtype.str
    if dtype.kind in "biufcSU" and dtype.metadata is None and np.dtype(text) == dtype:
        return text.encode("ascii")
    return pickle.dumps(dtype, 5)


def dtype_of_text(text: bytes) -> np.dtype[Any]:
    """The dtype that `text_of_dtype` gave this for. Raises: SegmentCorruptedError."""
    try:
        dtype = pickle.loads(text) if text[:1] == b"\x80" else np.dtype(text.decode("ascii"))
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, ImportError, IndexError) as error:
        raise SegmentCorruptedError.because(f"the type of a stored array makes no sense: {error}") from error
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise SegmentCorruptedError.because("the type of a stored array makes no sense")
    return dtype
