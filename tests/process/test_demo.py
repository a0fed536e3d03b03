"""The main job, as the command and as the example."""

import collections
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mpshm
from mpshm import cli, demo

pytestmark = pytest.mark.timeout(110)

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "wordcount.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A little text, in folders, with a file that is no text."""
    root = tmp_path_factory.mktemp("text")
    (root / "deeper").mkdir()
    for i in range(30):
        text = "def f(x):\n    return 'déjà vu' + x  # " + "word " * 40 + f"w{i}\n"
        (root / ("deeper" if i % 2 else "") / f"file{i}.py").write_text(text, encoding="utf-8")
    (root / "notes.txt").write_text("some more words\n" * 20)
    (root / "empty.py").write_text("")
    (root / "picture.bin").write_bytes(b"\x89PNG\0\0words")
    return root


@pytest.fixture
def command(interpreter_env):
    """Run `python -m mpshm` with these arguments."""

    def run(*args):
        line = [sys.executable, "-W", "error", "-m", "mpshm", *map(str, args)]
        return subprocess.run(line, capture_output=True, text=True, timeout=100, env=interpreter_env)

    return run


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_demo(command, folder, method):
    """The command counts right, says so, and prints both rates and their ratio."""
    done = command("demo", folder, "--workers", "2", "--start-method", method)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"32 files, 2 worker processes ({method}), one shared dict" in done.stdout
    assert "equal to collections.Counter" in done.stdout
    rows = re.findall(r"^(.{42}) +([\d,]+) +([\d.]+) +([\d,]+) +([\d.,]+)$", done.stdout, re.MULTILINE)
    assert [row[0].strip() for row in rows][1] == "mpshm.Manager: d.incr(word)"
    assert rows[-1][0].strip() == "multiprocessing.Manager" and rows[-1][-1] == "1.0"
    total = int(rows[0][1].replace(",", ""))
    assert total == int(rows[1][1].replace(",", ""))
    assert total == sum(len(re.findall(r"\w+", Path(p).read_text("utf-8"))) for p in demo.text_files(folder))


def test_demo_reports_a_difference(folder, monkeypatch, capsys):
    """If the counts were wrong, the command would say so and fail."""
    monkeypatch.setattr(demo, "_count_file", _count_wrongly)
    monkeypatch.setattr(demo, "_SAMPLE_SECONDS", 0.1)
    assert cli.main(["demo", str(folder), "--workers", "1", "--start-method", "fork"]) == 1
    assert "NOT EQUAL to collections.Counter" in capsys.readouterr().out


def _count_wrongly(path):
    demo._counts.incr("too many")
    return 1


def test_demo_says_what_is_wrong(command, tmp_path):
    """A folder that is not there, one without text, and bad options end with status 2 and a sentence."""
    for args, said in (
        (("demo", tmp_path / "nowhere"), "is not a folder"),
        (("demo", tmp_path), "no words in the 0 text files"),
        (("demo", tmp_path, "--workers", "0"), "--workers"),
        (("demo", tmp_path, "--start-method", "magic"), "--start-method"),
        ((), "command"),
    ):
        done = command(*args)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_version(command):
    """--version names the version."""
    assert command("--version").stdout == f"mpshm {mpshm.__version__}\n"


def test_default_files():
    """Without a folder: the .py files of the standard library, nobody else's."""
    files = demo.text_files(None)
    assert len(files) > 500
    assert os.__file__ in files
    assert all(name.endswith(".py") for name in files)
    assert not any("site-packages" in name for name in files)


def test_progress_in_lines(capsys):
    """Without a terminal, progress is a line each tenth."""
    with demo._bar(20) as bar:
        for _ in range(20):
            bar.advance(1, 5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[-1].split() == ["100", "%", "20", "of", "20", "files,", "100", "words"]


def test_progress_with_rich(monkeypatch, capsys):
    """On a terminal, rich shows a bar; without rich, lines do."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    try:
        import rich  # noqa: F401
    except ImportError:
        expected = demo._Lines
    else:
        expected = demo._RichBar
    with demo._bar(2) as bar:
        bar.advance(1, 5)
        bar.advance(1, 5)
        assert isinstance(bar, expected)
    capsys.readouterr()


@pytest.mark.parametrize("module", ["mpshm", "multiprocessing"])
def test_example(folder, module, tmp_path, interpreter_env):
    """The example counts the same with either import; only its first line differs."""
    first, rest = EXAMPLE.read_text().split("\n", 1)
    assert first.startswith("import mpshm as mp")
    script = tmp_path / "wordcount.py"
    script.write_text(f"import {module} as mp\n{rest}")
    line = [sys.executable, "-W", "error", str(script), str(folder)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, env=interpreter_env)
    assert done.returncode == 0, done.stderr
    words = collections.Counter()
    for path in folder.rglob("*.py"):
        words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    lines = done.stdout.splitlines()
    assert lines[0] == f"{words.total()} words, {len(words)} different"
    assert lines[1:] and lines[1] == f"{words['word']:8} word"
