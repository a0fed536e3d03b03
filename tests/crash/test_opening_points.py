"""kill -9 at every numbered point of making, opening, shrinking and leaving a segment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_crash_points import crash_build

HERE = Path(__file__).parent
STRIDES = {"make": 1, "make_and_leave": 1, "open_and_leave": 1, "shrink": 1, "zero": 1, "grow_again": 11}

__all__ = ["crash_build"]


@pytest.mark.timeout(420)
@pytest.mark.parametrize("cls", ["ManagedSharedMemory", "ManagedMappedFile"])
@pytest.mark.parametrize("act", STRIDES)
def test_killed_at_every_point(crash_build: Path, act: str, cls: str) -> None:
    """The next one gets in at once, and finds a whole segment: the old one, or one made anew."""
    env = os.environ | {"PYTHONPATH": str(crash_build), "PYTHONHASHSEED": "0"}
    command = [sys.executable, str(HERE / "opening.py"), act, cls, "--stride", str(STRIDES[act])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, env=env)
    assert done.returncode == 0, f"{act} {cls}\n{done.stdout}{done.stderr}"
    assert "kills" in done.stdout
