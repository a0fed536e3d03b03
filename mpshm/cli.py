"""The command line: `python -m mpshm`."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path

from . import demo
from ._version import __version__
from .errors import MpshmError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Args: those of the command line; None for the process's own. Returns: the exit
    status."""
    args = _parser().parse_args(argv)
    try:
        return 0 if demo.run(args.folder, args.workers, args.start_method) else 1
    except (NotADirectoryError, ValueError, MpshmError) as error:
        print(f"mpshm {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mpshm", description="multiprocessing's managers in shared memory.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mpshm {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "demo",
        help="count words in one shared dict, beside multiprocessing.Manager",
        description="Count the words of real text in one shared dict, check the result, and compare the rate with "
        "multiprocessing.Manager's.",
    )
    command.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="its text files are counted (default: the .py files of Python's standard library)",
    )
    command.add_argument(
        "--workers", type=_positive, help="processes that count (default: one per processor)", metavar="N"
    )
    command.add_argument(
        "--start-method",
        choices=multiprocessing.get_all_start_methods(),
        help="how they are started (default: multiprocessing's)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_positive.__name__ = "number of processes"  # argparse: "invalid number of processes value: '0'"
