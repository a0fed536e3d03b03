"""kill -9 at every numbered point of every operation, and of the recovery from it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from scenarios import SCENARIOS

# At how many points of an operation: a run of all tests takes that many, spread, of the longer ones.
# MPSHM_CRASH_ALL=1 takes all of them.
MOST = () if os.environ.get("MPSHM_CRASH_ALL") else ("--most", "20")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="session")
def crash_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package in its crash build, made once for all workers of a run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "crash_build"
    command = [sys.executable, str(ROOT / "build_ffi.py"), "--variant", "crash", "--package-dir", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


@pytest.fixture(scope="module")
def driver(crash_build: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The driver of this worker, in the crash build."""
    env = os.environ | {"PYTHONPATH": str(crash_build), "PYTHONHASHSEED": "0"}
    command = [sys.executable, str(HERE / "driver.py"), "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as process:
        yield process
        process.stdin.close()


def drive(driver: subprocess.Popen[bytes], *args: str) -> str:
    """Have the driver run a scenario; its output, or its failure as ours."""
    driver.stdin.write((" ".join(args) + "\n").encode())
    driver.stdin.flush()
    status, length = map(int, driver.stdout.readline().split())
    output = driver.stdout.read(length).decode(errors="replace")
    assert status == 0, f"{' '.join(args)}: {status}\n{output}"
    return output


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_killed_at_every_point(driver: subprocess.Popen[bytes], name: str) -> None:
    """The operation happened wholly or not at all, everything is sound, nothing is lost, and nobody waits."""
    assert "kills" in drive(driver, name, *MOST)


RECOVERED = [
    "dict_grow",
    "dict_replace_long",
    "dict_drop_tree",
    "list_insert",
    "dict_blob_replaced",
    "set_toggle_grow",
    "deque_delete_round",
    "deque_extend_at_maxlen",
    "fork",
    "semaphore_settle",
    "condition_notify",
    "condition_wait",
    "barrier_trip",
    "barrier_action",
    "queue_get_blob",
    "queue_shutdown_now",
    "vector_append_grow",
    "linked_clear",
    "linked_splice_part",
    "pooled_merge_AdaptivePool",
    "pooled_clear_CachedNodePool",
    "string_widen",
    "map_merge",
    "map_update_after_a_split",
    "frozen_check",
    "construct_grow",
    "destroy_tree",
    "reallocate_moved",
    "deallocate_many",
]


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", RECOVERED)
def test_killed_while_recovering(driver: subprocess.Popen[bytes], name: str) -> None:
    """Whoever recovers may be killed, too: the next one finishes."""
    assert "kills" in drive(driver, name, "--recover", *(("--most", "4") if MOST else ("--stride", "12")))
