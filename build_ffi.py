"""Build the one shared object of mpshm: the cffi module `mpshm._ffi`, with `PyInit__types` in the same file.

Three ways in, one way through:

* `python build_ffi.py` compiles into `mpshm/` for development; only what changed is compiled again.
* `python build_ffi.py --variant crash --package-dir DIR` puts a whole package of that variant into `DIR/mpshm`, so that
  `PYTHONPATH=DIR` uses it beside the installed one.
* hatchling finds `CompileHook` here when pip builds a wheel or an editable install.

What is compiled: the C that cffi writes for `mpshm/_core/_ffi.cdef.h`, and every `mpshm/_core/*.c` and
`mpshm/_cpython/*.c`. In the declarations file, lines `#include "..."` name the headers behind them (default:
segment.h): they go into the generated C, the rest to cffi.

The compiler, its include folders and the name of the result are those of the running Python; `CC`, `CFLAGS` and
`LDFLAGS` of the environment are honoured.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a command, where no build is going on
    BuildHookInterface = object

ROOT = Path(__file__).resolve().parent
MODULE = "mpshm._ffi"
CDEF = Path("mpshm/_core/_ffi.cdef.h")
SOURCES = ("mpshm/_core/*.c", "mpshm/_cpython/*.c")
INCLUDES = ("mpshm/_core", "mpshm/_cpython")
PACKAGE_FILES = ("*.py", "*.pyi", "py.typed")
FILE_NAME = "_ffi" + str(sysconfig.get_config_var("EXT_SUFFIX"))

# What makes a variant: macros that the C sources ask for. NDEBUG concerns the assertions in Python's own headers.
VARIANTS: dict[str, tuple[str, ...]] = {
    "release": ("-DNDEBUG",),
    "debug": ("-DMPS_DEBUG",),
    "crash": ("-DNDEBUG", "-DMPS_CRASH"),
    "nojournal": ("-DNDEBUG", "-DMPS_NO_JOURNAL"),
}
COMMON = (
    "-O2",
    "-g",
    "-fPIC",
    "-pthread",
    "-fno-strict-aliasing",
    "-fvisibility=hidden",
    "-D_CFFI_NO_LIMITED_API",
)
OURS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror=implicit-function-declaration")
GENERATED = (
    "-std=gnu11",
    "-Wall",
)  # cffi's own code: a wrong declaration is a warning here, its style is not ours


class CompileError(Exception):
    """The compiler or the linker refused; the message is its own."""


def build(variant: str = "release", outdir: Path | None = None, *, werror: bool = False, jobs: int = 0) -> Path:
    """Compile `variant` into `outdir` (default: the package in this tree) and return the path of the shared object.

    Args: `jobs` compilers run at once, 0 for one per processor. Any number of processes may call it at once: they take
    turns, and each file appears whole.
    Raises: CompileError.
    """
    target = (outdir or ROOT / "mpshm").resolve() / FILE_NAME
    cache = ROOT / "build" / f"{sys.implementation.cache_tag}-{variant}{'-werror' if werror else ''}"
    with _turn(cache):
        commands = _compile_commands(variant, cache, werror)
        with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
            compiled = list(pool.map(_compile, commands, commands.values()))
        _link(list(commands), target, cache, fresh=any(compiled))
    return target


def package(variant: str, directory: Path, *, werror: bool = False) -> Path:
    """Make `directory/mpshm` a complete package of `variant` and return `directory`, for PYTHONPATH.

    May be called again to bring it up to date, by several processes at once too.
    """
    source, copy = ROOT / "mpshm", directory.resolve() / "mpshm"
    wanted = {path.relative_to(source) for pattern in PACKAGE_FILES for path in source.rglob(pattern)}
    with _turn(directory):
        for name in wanted:
            _write(copy / name, (source / name).read_bytes())
        for path in (path for pattern in PACKAGE_FILES for path in copy.rglob(pattern)):
            if path.relative_to(copy) not in wanted:
                path.unlink()
    build(variant, copy, werror=werror)
    return directory


def _compile_commands(variant: str, cache: Path, werror: bool) -> dict[Path, list[str]]:
    """Each object file, and the command that makes it (without `-o`)."""
    generated = cache / "_ffi.c"
    _write(generated, _generate().encode())
    compiler = shlex.split(os.environ.get("CC") or str(sysconfig.get_config_var("CC")))
    folders = [f"-I{name}" for name in INCLUDES]
    folders += [f"-isystem{path}" for path in dict.fromkeys(map(sysconfig.get_path, ("include", "platinclude")))]
    shared = [*compiler, *COMMON, *VARIANTS[variant], f"-ffile-prefix-map={ROOT}=.", *folders, "-MMD", "-c"]
    shared += ["-Werror"] if werror else []
    asked = shlex.split(os.environ.get("CFLAGS", ""))
    commands = {cache / "_ffi.o": [*shared, *GENERATED, *asked, str(generated)]}
    for source in sorted(path.relative_to(ROOT) for pattern in SOURCES for path in ROOT.glob(pattern)):
        commands[cache / (source.parent.name + "." + source.stem + ".o")] = [
            *shared,
            *OURS,
            *asked,
            str(source),
        ]
    return commands


def _generate() -> str:
    """The C source of the cffi module."""
    import io

    import cffi

    lines = (ROOT / CDEF).read_text().splitlines()
    headers = [line for line in lines if line.startswith('#include "')] or ['#include "segment.h"']
    ffi = cffi.FFI()
    ffi.cdef("\n".join("" if line in headers else line for line in lines))
    ffi.set_source(MODULE, "\n".join(headers), py_limited_api=False, compiler_verbose=0)
    text = io.StringIO()
    ffi.emit_c_code(text)
    return text.getvalue()


def _compile(target: Path, command: list[str]) -> bool:
    """Make one object file unless it is there and newer than all it was made from; whether it was made."""
    stamp = target.with_suffix(".cmd")
    if stamp.exists() and stamp.read_text() == shlex.join(command) and _is_fresh(target):
        return False
    stamp.unlink(missing_ok=True)
    _run([*command, "-MF", str(target.with_suffix(".d")), "-o", str(target)])
    stamp.write_text(shlex.join(command))
    return True


def _is_fresh(target: Path) -> bool:
    """Whether `target` is newer than each file in its dependency list, as the compiler wrote it."""
    rule = target.with_suffix(".d").read_text().replace("\\\n", " ")
    try:
        made = target.stat().st_mtime_ns
        return all((ROOT / name).stat().st_mtime_ns < made for name in shlex.split(rule.partition(": ")[2]))
    except FileNotFoundError:
        return False


def _link(objects: list[Path], target: Path, cache: Path, *, fresh: bool) -> None:
    """Link into the cache, and put a copy at `target` if that differs."""
    linker = shlex.split(str(sysconfig.get_config_var("LDSHARED")))
    if compiler := shlex.split(os.environ.get("CC", "")):
        known = shlex.split(str(sysconfig.get_config_var("CC")))
        linker = compiler + linker[len(known) :] if linker[: len(known)] == known else linker
    asked = shlex.split(os.environ.get("LDFLAGS", ""))
    command = [*linker, *map(str, objects), "-pthread", *asked]
    linked, stamp = cache / FILE_NAME, cache / "link.cmd"
    if fresh or not linked.exists() or not stamp.exists() or stamp.read_text() != shlex.join(command):
        stamp.unlink(missing_ok=True)
        _run([*command, "-o", str(linked)])
        stamp.write_text(shlex.join(command))
    _write(target, linked.read_bytes())


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CompileError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
    sys.stderr.write(done.stderr)


def _write(path: Path, content: bytes) -> None:
    """Let `path` hold `content`: untouched if it does, else replaced as a whole, since others may have it mapped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest():
        return
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_bytes(content)
    if path.suffix == ".so":
        new.chmod(0o755)
    new.replace(path)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".turn").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


class CompileHook(BuildHookInterface):
    """hatchling's door: compile in place, and put the result into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        built = build(os.environ.get("MPSHM_VARIANT") or "release")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version != "editable":
            build_data["force_include"][str(built)] = f"mpshm/{FILE_NAME}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Compile mpshm's shared object.")
    default = os.environ.get("MPSHM_VARIANT") or "release"
    parser.add_argument(
        "--variant", choices=sorted(VARIANTS), default=default, help="default: MPSHM_VARIANT, or release"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--outdir", type=Path, help="folder for the shared object (default: mpshm/)")
    where.add_argument("--package-dir", type=Path, help="make a whole package of the variant in PACKAGE_DIR/mpshm")
    parser.add_argument("--werror", action="store_true", help="warnings of the compiler are errors")
    parser.add_argument("--jobs", type=int, default=0, help="compilers at once (default: one per processor)")
    args = parser.parse_args()
    try:
        if args.package_dir:
            made = package(args.variant, args.package_dir, werror=args.werror)
        else:
            made = build(args.variant, args.outdir, werror=args.werror, jobs=args.jobs)
    except CompileError as error:
        print(error, file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
