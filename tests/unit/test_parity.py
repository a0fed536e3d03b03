"""The table of Boost.Interprocess's features says of each where it is shown, and what it names is there."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| (?P<number>\d+b?) \|(?P<rest>.*)\| (?P<shown>[^|]+) \|$", re.MULTILINE)
SHOWN = re.compile(r"`(?P<path>tests/[\w/.]+)(?:::(?P<name>\w+))?`(?: \((?P<example>\w+)\))?")
ROWS = [(row["number"], row["shown"]) for row in ROW.finditer((ROOT / "docs/reference/parity.md").read_text())]


def test_every_row_is_there():
    """Each feature has one line, in order."""
    assert [number for number, _ in ROWS] == [*map(str, range(1, 6)), "5b", *map(str, range(6, 171))]


@pytest.mark.parametrize(("number", "shown"), ROWS, ids=[number for number, _ in ROWS])
def test_what_shows_it_exists(number, shown):
    """A row is open for a reason, or not needed, or names tests; whatever it names exists."""
    tests = list(SHOWN.finditer(shown))
    assert tests or shown == "not needed" or re.match(r"(open|not needed): [`\w]", shown)
    assert len(tests) == shown.count("tests/")
    for test in tests:
        path = ROOT / test["path"]
        assert path.is_file()
        assert test["name"] or path.suffix == ".c"
        if test["name"]:
            assert re.search(rf"^(async )?def {test['name']}\(", path.read_text(), re.MULTILINE)
        if test["example"]:
            assert (ROOT / "examples" / f"{test['example']}.py").is_file()
