"""The house is built floor by floor: each file may use its own floor and those below, never one above."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "mpshm"
CORE = PACKAGE / "_core"
BINDING = PACKAGE / "_cpython"

# A new concept gets its floor here: that is the moment to think about where it belongs. `table_snap.c` is a part of
# the concept `table`.
C_FLOORS = {
    0: "status base racy crash os",
    1: "region twin",
    2: "lock userlock journal nap slots",
    3: "alloc",
    4: "object refs reader token recover segment",
    5: "value order raw buffer",
    6: (
        "names node pool table vector cell numbers adder mutex kinds check deque ring event sem waitq cond "
        "barrier tree span typed linked text opening"
    ),
}
PYTHON_FLOORS = {
    0: "errors _binding _opening _version _ffi _types",
    1: "memory file_locks guards",
    3: "allocators",
    4: "segments segment_kinds handles named allocations references offsets ndarrays dtypes",
    5: "regions xsi shareable_list shared_memory",
    6: (
        "containers sharing sync queues arrays sharedctypes deques sets sorted proxies singletons "
        "vectors linked strings files transfer"
    ),
    7: "__init__ __main__ managers context cli demo registry pools memory_manager",
}
LONGEST_FILE = 900  # lines; a longer one holds two concepts
SYSTEMS = r"__(gnu_)?linux__|__ANDROID__|__APPLE__|__MACH__|__(Free|Net|Open)BSD__|__unix__|__CYGWIN__|_WIN32"


def floor_of(floors: dict[int, str], name: str, where: str) -> int:
    for concept in (name, name.partition("_")[0]):
        for floor, concepts in floors.items():
            if concept in concepts.split():
                return floor
    raise AssertionError(f"{where} has no floor yet: give it one in tests/unit/test_layers.py")


def sources(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.glob("*.[ch]") if not path.name.endswith(".cdef.h"))
    assert found, f"no C files in {folder.name}"
    return found


def included(path: Path, pattern: str) -> list[str]:
    return re.findall(rf"^\s*#\s*include\s+{pattern}", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: path.name)
def test_core_includes_point_down(path: Path) -> None:
    """A file of the core includes headers of the core only, and none from a higher floor than its own."""
    floor = floor_of(C_FLOORS, path.stem, path.name)
    for header in included(path, r'"([^"]+)"'):
        assert (CORE / header).is_file(), f"{path.name} includes {header}, which is not in the core"
        above = floor_of(C_FLOORS, Path(header).stem, header)
        assert above <= floor, f"{path.name} is on floor {floor}, but includes {header} from floor {above}"


@pytest.mark.parametrize("path", sources(CORE), ids=lambda path: path.name)
def test_core_knows_no_python(path: Path) -> None:
    """The core can be built, tested and fuzzed without Python."""
    headers = included(path, r'[<"]([^>"]+)[>"]')
    assert "Python.h" not in headers
    assert not re.search(r"\bPy(Object|_[A-Z])", path.read_text()), f"{path.name} mentions Python's C API"


@pytest.mark.parametrize("path", [*sources(CORE), *sources(BINDING)], ids=lambda path: path.name)
def test_the_system_is_known_in_one_place(path: Path) -> None:
    """Only os.h and os_*.c ask which operating system it is, and only they include its own headers."""
    if path.name == "os.h" or path.name.startswith("os_"):
        return
    asked = re.search(rf"^\s*#\s*(if|ifdef|ifndef|elif)\b.*\b({SYSTEMS})\b", path.read_text(), re.MULTILINE)
    assert asked is None, f"{path.name}: {asked and asked.group(0)}"
    if path.parent == CORE:
        system = [name for name in included(path, r"<([^>]+)>") if name.startswith(("sys/", "linux/"))]
        assert not system, f"{path.name} includes {system}"


def test_core_keeps_no_state_of_its_own(tmp_path: Path) -> None:
    """What the core knows hangs off a segment or a handle; beyond that there is the process's table of segments.

    A thread may have a variable of its own in the ground floor: its last errno, its number.
    """
    compiler, folder = shlex.split(sysconfig.get_config_var("CC")), tmp_path
    files = [str(path) for path in sources(CORE) if path.suffix == ".c"]
    subprocess.run([*compiler, "-std=c11", "-O1", "-fPIC", "-c", *files], cwd=folder, check=True, timeout=100)
    stateful = {}
    for made in sorted(folder.glob("*.o")):
        table = subprocess.run(["objdump", "-t", made], capture_output=True, text=True, check=True, timeout=60).stdout
        names = re.findall(
            r" (\.data|\.bss|\.tdata|\.tbss)\t(?!0+ )[0-9a-f]+ +(?:\.hidden )?(\S+)$", table, re.MULTILINE
        )
        if names:
            stateful[made.stem] = names
    process = stateful.pop("slots", [])
    assert [section for section, _ in process] in ([".bss"], [".data"], []), f"slots.c keeps {process}"
    for stem, names in stateful.items():
        assert floor_of(C_FLOORS, stem, stem) == 0, f"{stem}.c keeps {names}"
        assert all(section in (".tdata", ".tbss") for section, _ in names), f"{stem}.c keeps {names}"


def python_modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported_modules(path: Path) -> list[str]:
    """The modules of the package that `path` needs in order to be imported."""
    found = []
    todo: list[ast.stmt] = ast.parse(path.read_text()).body
    while todo:
        node = todo.pop(0)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, (ast.If, ast.Try)):
            todo += node.body + node.orelse
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("mpshm")):
            module = (node.module or "").removeprefix("mpshm").lstrip(".")
            names = [module.partition(".")[0]] if module else [alias.name for alias in node.names]
            found += [name for name in names if name in KNOWN]
    return found


KNOWN = {name for names in PYTHON_FLOORS.values() for name in names.split()}


@pytest.mark.parametrize("path", python_modules(), ids=lambda path: path.name)
def test_python_imports_point_down(path: Path) -> None:
    """A module imports modules of its own floor and of those below."""
    floor = floor_of(PYTHON_FLOORS, path.relative_to(PACKAGE).parts[0].removesuffix(".py"), path.name)
    for name in imported_modules(path):
        above = floor_of(PYTHON_FLOORS, name, name)
        assert above <= floor, f"{path.name} is on floor {floor}, but imports {name} from floor {above}"


def test_files_hold_one_concept() -> None:
    """No file is longer than one concept needs."""
    patterns = (
        "mpshm/**/*.py",
        "mpshm/**/*.[ch]",
        "tests/**/*.py",
        "tests/**/*.[ch]",
        "benchmarks/**/*.py",
        "*.py",
    )
    paths = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert len(paths) > 10
    long = {
        str(path.relative_to(ROOT)): n for path in paths if (n := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert not long


def test_import_is_light() -> None:
    """`import mpshm` brings in neither numpy nor the tools of the command line nor cffi's compiler side."""
    code = "import sys, mpshm; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert {"mpshm", "multiprocessing"} <= set(loaded.stdout.split())
    assert not {"numpy", "rich", "cffi", "pycparser", "argparse"} & set(loaded.stdout.split())
