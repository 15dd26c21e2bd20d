"""Settings files and the environment: whatever stands in them, there is a result or a SettingsError.

The first line of an input says what it is: `toml`, `pyproject`, `python` or `environment`. Each line of the last is
NAME=value. A Python file is run only if nothing in it can do more than make values: the fuzzer writes programs, and
nobody has read them.
"""

import ast
import atexit
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from pronghorn.errors import SettingsError
from pronghorn.settings import Given, load

FOLDER = Path(tempfile.mkdtemp(prefix="pronghorn-fuzz-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
NAMES = {"toml": "pronghorn.toml", "pyproject": "pyproject.toml", "python": "gunicorn.conf.py"}
HARMLESS = (
    ast.Module, ast.Assign, ast.AnnAssign, ast.Name, ast.Load, ast.Store, ast.Constant, ast.List, ast.Tuple, ast.Dict,
    ast.Set, ast.If, ast.Pass, ast.Expr, ast.UnaryOp, ast.USub, ast.Not, ast.Compare, ast.Eq, ast.Try, ast.Lambda,
    ast.ExceptHandler, ast.FunctionDef, ast.ClassDef, ast.arguments, ast.arg, ast.Return, ast.Raise, ast.JoinedStr,
    ast.FormattedValue, ast.Starred,
)  # fmt: skip

warnings.simplefilter("ignore")  # of what the programs of the fuzzer deserve


def check(data: bytes) -> None:
    """Raise when settings end in anything but settings or a SettingsError of plain lines."""
    first, _, rest = data.partition(b"\n")
    kind = first.decode("ascii", "replace")
    name = NAMES.get(kind)
    environ: dict[str, str] = {}
    if kind == "environment":
        environ = variables(rest)
    elif name is None or (kind == "python" and not is_harmless(rest)):
        return
    else:
        (FOLDER / name).write_bytes(rest)
    try:
        load([], environ, FOLDER, config=name and Given("config", name, "--config"), needs_app=False)
    except SettingsError as error:
        assert error.problems
        for problem in error.problems:
            assert problem
            assert len(problem.splitlines()) == 1, f"a problem of several lines: {problem!r}"
            assert "\x1b" not in problem, f"a problem that a terminal obeys: {problem!r}"


def variables(text: bytes) -> dict[str, str]:
    """As os.environ has them: no NUL, names without `=`, octets that are not UTF-8 escaped."""
    lines = [os.fsdecode(line) for line in text.split(b"\n") if b"=" in line and b"\0" not in line]
    return dict(line.split("=", 1) for line in lines)


def is_harmless(source: bytes) -> bool:
    """Whether the file, if it compiles at all, only makes values of what is written in it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return all(isinstance(node, HARMLESS) for node in ast.walk(tree))


def report_lines(counters: memoryview) -> None:
    """Count the lines of the settings that run, for libFuzzer, which sees compiled code only."""
    size = len(counters)
    places: dict[Any, int] = {}

    def local(frame: FrameType, event: str, arg: object) -> Callable[..., Any]:
        del event, arg
        place = (places.setdefault(frame.f_code, len(places) * 397) + frame.f_lineno) % size
        counters[place] = min(counters[place] + 1, 255)
        return local

    def trace(frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        return local(frame, event, arg) if "/pronghorn/settings/" in file or "/pronghorn/options/" in file else None

    sys.settrace(trace)
