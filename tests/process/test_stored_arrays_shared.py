"""Stored arrays between processes: each has its own, all see what was stored, and none keeps what nobody has."""

import gc

import numpy as np
import pytest

import mpshm

LIMIT_S = 60
LARGE = np.arange(200_000.0).reshape(400, 500)
SMALL = np.arange(10, dtype=">i4")


def work(d, queue, answers):
    """Reads, changes what it read, and stores more; holds what it read until it is told to end, or is killed."""
    found, view = d["large"], d.view("large")
    found *= 2
    same = (found == 2 * view).all() and not view.flags.writeable
    small, nested = queue.get()
    small[0] = 99
    nested["x"][0] = -1
    d["made"] = found[::2]
    d["large"] = 0
    answers.put([bool(same), (view == LARGE).all(), found[1:3], small])
    queue.get()
    assert (view == LARGE).all()


@pytest.mark.parametrize(("method", "killed"), [("fork", False), ("fork", True), ("spawn", True), ("forkserver", True)])
def test_everybody_has_his_own(method, killed):
    """What one process read stays, whatever the others store; its memory is free when it has ended, by any death."""
    ctx = mpshm.get_context(method)
    with mpshm.Manager() as m:
        d, queue, answers = m.dict(large=LARGE, small=SMALL), m.Queue(), m.Queue()
        mine, view = d["large"], d.view("large")
        queue.put((SMALL, {"x": LARGE}))
        process = ctx.Process(target=work, args=(d, queue, answers))
        process.start()
        same, kept, part, small = answers.get(timeout=LIMIT_S)
        assert same and kept and (part == LARGE[1:3] * 2).all() and small[0] == 99 and small.dtype == ">i4"
        assert (mine == LARGE).all() and (view == LARGE).all() and SMALL[0] == 0 and d["large"] == 0
        assert (d["made"] == LARGE[::2] * 2).all()
        part[:] = 0
        mine[:] = 1
        assert (view == LARGE).all()
        del part, small
        d.clear()
        if killed:
            process.kill()
        else:
            queue.put(None)
        process.join(LIMIT_S)
        assert process.exitcode == (-9 if killed else 0)
        assert (view == LARGE).all()
        del view, mine, kept
        gc.collect()
        m.segment.check()
        assert m.segment.stats().used < 100_000


def total(d, i):
    found = d[i]
    found += 1
    d[i] = found
    return found.sum()


def test_pools():
    """A pool's workers change arrays in a shared dict, each its own copy of one."""
    with mpshm.Manager() as m:
        d = m.dict({i: np.full(20_000, float(i)) for i in range(6)})
        with mpshm.get_context("spawn").Pool(2) as pool:
            sums = pool.starmap(total, [(d, i) for i in range(6)])
        assert sums == [20_000 * (i + 1) for i in range(6)]
        assert all((d[i] == i + 1).all() for i in range(6))
