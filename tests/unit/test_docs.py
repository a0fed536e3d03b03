"""What the documentation shows is what happens: its programs run, its names exist."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import mpshm

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

# A program of a page, with the output that the page shows for it.
RST_PROGRAM = re.compile(
    r"^\.\. code-block:: python\n   :caption: (?P<name>\S+)\n\n(?P<code>(?:   .*\n|\n)+)"
    r"^\.\. code-block:: text\n   :caption: Output\n\n(?P<output>(?:   .*\n|\n)+)",
    re.MULTILINE,
)
MARKDOWN_PROGRAM = re.compile(
    r"^```python\n(?P<code>.*?)^```\n\n```text\n(?P<output>.*?)^```$", re.MULTILINE | re.DOTALL
)
DIRECTIVE = re.compile(r"^(?P<indent> *)\.\. py:(?P<kind>\w+):: (?P<signature>.+)$")


def programs() -> list[tuple[str, str, str]]:
    """Each program of the documentation: its name, its text, what it prints."""
    found = []
    for page in sorted(DOCS.rglob("*.rst")):
        text = page.read_text()
        matches = list(RST_PROGRAM.finditer(text))
        assert len(matches) == text.count(".. code-block:: python"), f"{page.name}: a program without output"
        for match in matches:
            name = f"{page.stem}-{match['name']}"
            found.append((name, textwrap.dedent(match["code"]), textwrap.dedent(match["output"])))
    readme = MARKDOWN_PROGRAM.search((ROOT / "README.md").read_text())
    assert readme is not None
    found.append(("readme.py", readme["code"], readme["output"]))
    return found


@pytest.mark.parametrize(("name", "code", "output"), programs(), ids=[name for name, _, _ in programs()])
def test_program_prints_what_the_page_says(name: str, code: str, output: str, tmp_path: Path) -> None:
    """Each program, run by itself as its reader would run it, prints what the page shows, and nothing to stderr."""
    script = tmp_path / name.replace("-", "_")
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(mpshm.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.strip() == output.strip()


def documented() -> list[tuple[str, str]]:
    """Each name that the reference describes, as (module, dotted name in it)."""
    found = []
    module, parents = "mpshm", {0: ""}
    for page in sorted((DOCS / "reference").glob("*.rst")):
        for line in page.read_text().splitlines():
            match = DIRECTIVE.match(line)
            if match is None:
                continue
            indent, name = len(match["indent"]), match["signature"].partition("(")[0]
            if match["kind"] in ("module", "currentmodule"):
                module = name
            else:
                parents[indent + 3] = f"{parents[indent]}{name}."
                found.append((module, parents[indent] + name))
    return found


@pytest.mark.parametrize(("module", "name"), documented(), ids=[name for _, name in documented()])
def test_reference_describes_what_exists(module: str, name: str) -> None:
    """Each name in the reference can be found where the reference says it is."""
    found: object = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("mpshm", "Dict"),
        ("mpshm", "List"),
        ("mpshm", "AnonymousSegment"),
        ("mpshm", "Vector"),
        ("mpshm", "LinkedList"),
        ("mpshm.linked", "Cursor"),
        ("mpshm", "SharedMemory"),
        ("mpshm", "ShareableList"),
        ("mpshm", "MappedRegion"),
        ("mpshm.containers", "Value"),
        ("mpshm.sync", "Lock"),
        ("mpshm.sync", "RLock"),
        ("mpshm.sync", "Semaphore"),
        ("mpshm.sync", "BoundedSemaphore"),
        ("mpshm.sync", "Event"),
        ("mpshm.sync", "Condition"),
        ("mpshm.sync", "Barrier"),
        ("mpshm.queues", "Queue"),
        ("mpshm.queues", "SimpleQueue"),
        ("mpshm.arrays", "Array"),
        ("mpshm.sharedctypes", "Synchronized"),
        ("mpshm.managers", "SyncManager"),
        ("mpshm.managers", "BaseProxy"),
    ],
)
def test_reference_is_complete(module: str, name: str) -> None:
    """Each public attribute of a class is in the reference."""
    cls = getattr(importlib.import_module(module), name)
    described = {dotted for where, dotted in documented() if where == module}
    assert {f"{name}.{attribute}" for attribute in dir(cls) if not attribute.startswith("_")} <= described


def test_every_error_is_described() -> None:
    """Each exception class that `mpshm` exports is in the reference."""
    exported = {
        name for name, value in vars(mpshm).items() if isinstance(value, type) and issubclass(value, mpshm.MpshmError)
    }
    assert exported <= {name for _, name in documented()}
