"""The examples print what they say at their ends, whatever the start method, and leave nothing behind."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))
# It counts what is in a folder that it is given: tests/process/test_demo.py runs it.
NEEDS_A_FOLDER = "wordcount.py"
LIMIT_S = 60
PROGRAM = """
import multiprocessing, runpy, sys
multiprocessing.set_start_method(sys.argv.pop(1))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def output_of(example: Path) -> str:
    """What an example says that it prints."""
    _, _, block = example.read_text().partition("\n# prints:\n")
    return re.sub(r"^# ?", "", block, flags=re.MULTILINE)


def runs() -> list[tuple[Path, str]]:
    """Each example with each start method that makes a difference to it."""
    found = []
    for example in EXAMPLES:
        if example.name != NEEDS_A_FOLDER:
            methods = ("fork", "spawn") if "mp.Process" in example.read_text() else ("fork",)
            found += [(example, method) for method in methods]
    return found


def test_there_are_examples():
    """Each example is a short program that says what it prints."""
    assert len(EXAMPLES) >= 20
    for example in EXAMPLES:
        assert len(example.read_text().splitlines()) < 80, example.name


@pytest.mark.timeout(LIMIT_S + 20)
@pytest.mark.parametrize(("example", "method"), runs(), ids=[f"{path.stem}-{method}" for path, method in runs()])
def test_prints_what_it_says(example, method, tmp_path, interpreter_env):
    """An example ends by itself, prints exactly what it says, complains of nothing, leaves no memory and no file."""
    if re.search(r"^import torch$", example.read_text(), re.MULTILINE):
        pytest.importorskip("torch")
    program = PROGRAM.replace("sys.argv[0]", repr(str(example)))
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program, method],
        cwd=tmp_path,
        env=interpreter_env | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},  # in order, as on a terminal
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        output, errors = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
    assert errors == ""
    assert process.returncode == 0
    assert output == (output_of(example) or output)
    assert list(Path("/dev/shm").glob(f"*_{process.pid}")) == []
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_read_as_they_are_written(tmp_path):
    """Empty lines and indentation of a block count."""
    example = tmp_path / "example.py"
    example.write_text("print(1)\n\n# prints:\n# 1\n#\n#  2\n")
    assert output_of(example) == "1\n\n 2\n"
