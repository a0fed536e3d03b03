"""System V shared memory."""

import os
import pickle

import pytest

import mpshm
from mpshm import PAGESIZE, XSISharedMemory, xsi_key


@pytest.fixture
def key(tmp_path):
    """A key of this test's own."""
    path = tmp_path / "key"
    path.touch()
    return xsi_key(path, os.getpid() % 255 + 1)


@pytest.fixture
def xsi(key):
    """Ten thousand bytes."""
    made = XSISharedMemory(key, 10_000)
    yield made
    made.close()
    try:
        made.remove()
    except FileNotFoundError:
        pass


def test_keys(tmp_path):
    """One file and id give one key; others give others."""
    assert xsi_key(tmp_path, 7) == xsi_key(str(tmp_path), 7) != xsi_key(tmp_path, 8)
    with pytest.raises(mpshm.SegmentNotFoundError, match=r"cannot make a key of .*gone.*a file that exists"):
        xsi_key(tmp_path / "gone", 1)
    for wrong in (0, 256, -1):
        with pytest.raises(ValueError, match="between 1 and 255"):
            xsi_key(tmp_path, wrong)
    with pytest.raises(TypeError):
        xsi_key(tmp_path, "a")


def test_two_objects_share_it(xsi, key):
    """By key, by shmid, by pickle; the size is exact."""
    assert xsi.size == len(xsi.buf) == 10_000
    assert bytes(xsi) == bytes(10_000)
    assert xsi.key == key
    with XSISharedMemory(key) as one, XSISharedMemory.from_shmid(xsi.shmid) as two:
        with pickle.loads(pickle.dumps(xsi)) as three:
            for number, other in enumerate((one, two, three)):
                assert other.shmid == xsi.shmid
                memoryview(other)[number] = number + 5
    assert bytes(xsi.buf[:3]) == b"\5\6\7"


def test_modes(xsi, key):
    """'x' must be new, 'r+' and 'r' must be there, 'a' takes what is there; 'r' is read-only."""
    with pytest.raises(mpshm.SegmentExistsError, match=f"cannot create XSI shared memory of key {key:#x}"):
        XSISharedMemory(key, 10_000, "x")
    with XSISharedMemory(key, 5, "a") as smaller:
        assert smaller.size == 10_000
    with XSISharedMemory(key, mode="r") as reader:
        assert reader.mode == "r"
        assert memoryview(reader).readonly
    with pytest.raises(ValueError, match="the one that is there is smaller"):
        XSISharedMemory(key, 20_000)
    xsi.remove()
    with pytest.raises(mpshm.SegmentNotFoundError, match=r"cannot open XSI.*Create it first"):
        XSISharedMemory(key)
    with XSISharedMemory(key, 1, "x") as again:
        again.remove()


def test_remove(xsi):
    """It ends with the last that is attached; a second time there is nothing."""
    with XSISharedMemory.from_shmid(xsi.shmid) as other:
        XSISharedMemory.remove(xsi.shmid)
        memoryview(other)[0] = 3
        assert memoryview(xsi)[0] == 3
    shmid = xsi.shmid
    xsi.close()
    with pytest.raises(mpshm.SegmentNotFoundError, match=f"cannot remove XSI shared memory {shmid}"):
        xsi.remove()
    with pytest.raises(mpshm.SegmentNotFoundError, match="cannot attach to XSI"):
        XSISharedMemory.from_shmid(shmid)


def test_private_memory():
    """Without a key only the shmid leads to it."""
    with XSISharedMemory(None, 5) as one, XSISharedMemory(None, 5) as two:
        assert one.shmid != two.shmid
        one.remove()
        two.remove()
    with pytest.raises(ValueError, match="from_shmid"):
        XSISharedMemory(None)


def test_as_a_region(xsi):
    """address, advise and flush work; shrinking does not, and says so."""
    assert xsi.address % PAGESIZE == 0
    xsi.advise("willneed")
    xsi.flush()
    with pytest.raises(ValueError):
        xsi.shrink(1)
    with pytest.raises(ValueError, match="no descriptor"):
        xsi.fileno()
    with pytest.raises(mpshm.SegmentExistsError, match="at this address"):
        XSISharedMemory.from_shmid(xsi.shmid, address=xsi.address)
    with pytest.raises(ValueError, match="PAGESIZE"):
        XSISharedMemory.from_shmid(xsi.shmid, address=4097)
    view = memoryview(xsi)
    with pytest.raises(BufferError, match="cannot close XSI"):
        xsi.close()
    view.release()
    xsi.close()


def test_wrong_arguments(key):
    """Each is told."""
    for wrong in ({"size": 0, "mode": "a"}, {"size": -1}, {"mode": "w"}, {"mode": "x"}):
        with pytest.raises(ValueError, match="XSI shared memory"):
            XSISharedMemory(key, **wrong)
    with pytest.raises(ValueError, match="32 bits"):
        XSISharedMemory(1 << 40)
    with pytest.raises(TypeError):
        XSISharedMemory("key")
    with pytest.raises(TypeError):
        XSISharedMemory.from_shmid("1")
    with pytest.raises(mpshm.SegmentFullError):
        XSISharedMemory(key, 1 << 45, "x")
