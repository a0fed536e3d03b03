"""Every status of the core becomes the exception that the contract names, with a message that helps."""

import errno
import pickle
import re
from pathlib import Path

import pytest

import mpshm
from mpshm import errors

HEADER = Path(mpshm.__file__).resolve().parent / "_core" / "status.h"
STATUSES = {}
if HEADER.exists():  # an installed package has no C sources
    STATUSES = {name: int(code) for name, code in re.findall(r"\b(MPS_E_\w+) = (-\d+)", HEADER.read_text())}
CLASSES = [getattr(errors, name) for name in errors.__all__ if name.endswith("Error")]

BUILTINS = {
    "SegmentNotFoundError": FileNotFoundError,
    "SegmentExistsError": FileExistsError,
    "SegmentFullError": MemoryError,
    "SegmentPermissionError": PermissionError,
    "SegmentClosedError": ValueError,
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_classes(cls):
    """Each derives from MpshmError, and from the builtin that stands for it elsewhere; all are public."""
    assert issubclass(cls, mpshm.MpshmError)
    assert issubclass(cls, BUILTINS.get(cls.__name__, Exception))
    assert getattr(mpshm, cls.__name__) is cls
    assert cls.__doc__ and cls.advice and not cls.advice.endswith(".")


def test_a_status_has_one_class():
    """No status stands for two errors."""
    codes = [code for cls in CLASSES for code in cls.statuses]
    assert len(codes) == len(set(codes))
    assert not set(codes) & set(errors._BUILTINS)


@pytest.mark.parametrize("name", STATUSES)
def test_every_status_has_a_meaning(name):
    """A status of the core is one class, and its message says what was tried and on what."""
    status = STATUSES[name]
    if name == "MPS_E_RETRY":  # stays inside the core
        return
    error = errors.status_error(status, 0, "grow", "segment 12ab")
    assert "grow segment 12ab" in str(error)
    assert "unexpected" not in str(error)


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("MPS_E_NOMEM", MemoryError),
        ("MPS_E_FULL", mpshm.SegmentFullError),
        ("MPS_E_CORRUPT", mpshm.SegmentCorruptedError),
        ("MPS_E_CLOSED", mpshm.SegmentClosedError),
        ("MPS_E_STALE", ReferenceError),
        ("MPS_E_NOTFOUND", KeyError),
        ("MPS_E_EXISTS", mpshm.SegmentExistsError),
        ("MPS_E_VERSION", mpshm.SegmentVersionError),
        ("MPS_E_PERM", mpshm.SegmentPermissionError),
        ("MPS_E_READONLY", mpshm.SegmentPermissionError),
        ("MPS_E_OS", OSError),
        ("MPS_E_TIMEOUT", TimeoutError),
        ("MPS_E_RANGE", IndexError),
        ("MPS_E_NOTOWNER", RuntimeError),
        ("MPS_E_INVAL", ValueError),
        ("MPS_E_TYPE", TypeError),
        ("MPS_E_FOREIGN", mpshm.SegmentNotFoundError),
        ("MPS_E_OVERFLOW", OverflowError),
    ],
)
@pytest.mark.skipif(not STATUSES, reason="needs the C sources beside the package")
def test_what_a_status_becomes(name, cls):
    """The statuses of the contract become its exceptions."""
    assert isinstance(errors.status_error(STATUSES[name], 0, "get", "a thing"), cls)


def test_the_message_ends_with_advice():
    """What was tried, on what, why, and what to do."""
    error = errors.status_error(-2, 0, "put a value into", "Dict 12ab")
    assert str(error) == (
        "cannot put a value into Dict 12ab: the segment is full. "
        "Give it a larger max_size when it is made, or delete what is no longer needed."
    )


def test_errno_travels_beside():
    """The system's reason is in the message and in errno, where the system was asked; nowhere else."""
    error = errors.status_error(-10, errno.EMFILE, "create", "a segment")
    assert error.errno == errno.EMFILE and "Too many open files" in str(error)
    assert errors.status_error(-3, errno.EMFILE, "check", "a segment").errno is None


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_errors_pickle(cls):
    """An error that a worker raises arrives as it was."""
    error = cls.because("cannot do it", status=-10, errno=errno.EMFILE)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert (str(copy), copy.status, copy.errno) == (str(error), -10, errno.EMFILE)


def test_unknown_status():
    """A status that nobody knows is an MpshmError that names it."""
    error = errors.status_error(-999, 0, "get", "a thing")
    assert type(error) is mpshm.MpshmError and "-999" in str(error)
